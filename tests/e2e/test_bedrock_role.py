"""A gateway that is whoever its container is at AWS: new credentials come in, and no call fails."""

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
from e2e_processes import Gateway

CONFIG = """
version: 1
providers:
  aws: {{kind: bedrock, region: eu-west-1, base_url: "{address}"}}
"""
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
}


class Aws:
    """Where a container is told who it is, and Bedrock, which takes some. State: who it is, is known, has called."""

    def __init__(self) -> None:
        self.who = "ASIAONE"
        self.known = {"ASIAONE", "ASIATWO"}
        self.callers: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # in one piece: the second would wait for the receiver's delayed ACK

            def do_GET(self) -> None:
                until = (datetime.now(UTC) + timedelta(seconds=100)).isoformat()
                given = {"AccessKeyId": outer.who, "SecretAccessKey": "s", "Token": "t", "Expiration": until}
                self._answer(200, given)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                found = re.search(r"Credential=([^/]+)/", self.headers["authorization"])
                assert found is not None
                outer.callers.append(found[1])
                is_known = found[1] in outer.known
                self._answer(200 if is_known else 403, ANSWER if is_known else {"message": "The token is expired."})

            def _answer(self, status: int, told: dict[str, Any]) -> None:
                body = json.dumps(told).encode()
                self.send_response(status)
                if status == 403:
                    self.send_header("x-amzn-errortype", "ExpiredTokenException")
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def aws() -> Iterator[Aws]:
    made = Aws()
    yield made
    made.close()


@pytest.mark.long
def test_new_credentials_are_taken_without_a_failed_call(tmp_path: Path, aws: Aws) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(tmp_path))
        patch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{aws.address}/who")
        gateway = Gateway(tmp_path, CONFIG.format(address=aws.address))
        try:
            with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:

                def ask() -> str | None:
                    asked: Any = [{"role": "user", "content": "x"}]
                    return client.chat.completions.create(model="aws/m", messages=asked).choices[0].message.content

                assert ask() == "hi"
                aws.who = "ASIATWO"
                looked = gateway.command("keys", "provider", "rotate")
                assert looked.returncode == 0, looked.stderr
                assert "aws-credentials:default" in looked.stdout
                due_s = time.monotonic() + 60
                while aws.callers[-1] != "ASIATWO":
                    assert time.monotonic() < due_s, "the new credentials are not used"
                    assert ask() == "hi"
                aws.known = {"ASIATWO"}
                assert ask() == "hi"
        finally:
            assert gateway.process.stop() == 0, gateway.process.said
        assert not any("ASIA" in line for line in gateway.process.said)
