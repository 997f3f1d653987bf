"""Provider keys of a real OpenBao, rotated while calls are under way."""

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest
from e2e_processes import Gateway

from openbao_process import OpenBaoProcess

ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,'
    b'"total_tokens":2}}'
)
POLICY = 'path "secret/data/openai" { capabilities = ["read"] }'


class Provider:
    """An upstream that takes some keys and refuses all others. State: the keys, and how often each was seen."""

    def __init__(self, *keys):
        self.keys = set(keys)
        self.seen = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                key = self.headers["authorization"].removeprefix("Bearer ")
                outer.seen[key] = outer.seen.get(key, 0) + 1
                is_good = key in outer.keys
                body = ANSWER if is_good else b'{"error":{"message":"wrong key","type":"invalid_request_error"}}'
                self.send_response(200 if is_good else 401)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def wait_until(holds, limit_s=20.0):
    due_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < due_s, "it does not come to hold"
        time.sleep(0.02)


class Callers:
    """Two threads that call without a pause. State: the statuses of all answers."""

    def __init__(self, gateway):
        self.statuses = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(gateway,)) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _call(self, gateway):
        with httpx2.Client(timeout=20) as client:
            while not self._is_over.is_set():
                body = {"model": "up/m", "messages": [{"role": "user", "content": "Hello"}]}
                headers = {"authorization": f"Bearer {gateway.key}"}
                answer = client.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers)
                self.statuses.append(answer.status_code)

    def end(self):
        self._is_over.set()
        for thread in self._threads:
            thread.join(20)
        return self.statuses


@pytest.fixture(scope="module")
def bao():
    server = OpenBaoProcess()
    yield server
    server.stop()


def config_of(folder, bao, provider):
    role_id, secret_id = bao.role("gateway", POLICY)
    (folder / "role_id").write_text(role_id)
    (folder / "secret_id").write_text(secret_id)
    return f"""
version: 1
server: {{workers: 1}}
secrets:
  refresh_s: 3600
  vault: {{address: "{bao.address}", auth: approle, role_id: "file:role_id", secret_id: "file:secret_id"}}
providers:
  up: {{kind: openai-compatible, base_url: "{provider.url}", api_key: "vault:secret/openai#api_key", speaks: [chat]}}
"""


def test_no_call_fails_while_a_key_is_rotated_in_openbao_and_the_old_one_revoked(bao, tmp_path):
    first, second = "sk-first-0123456789abcdef", "sk-second-0123456789abcdef"
    provider = Provider(first)
    bao.put("openai", api_key=first)
    gateway = Gateway(tmp_path, config_of(tmp_path, bao, provider))
    try:
        callers = Callers(gateway)
        wait_until(lambda: provider.seen.get(first, 0) > 20)
        bao.put("openai", api_key=second)  # the manager is first, and the provider does not know it yet
        rotated = gateway.command("keys", "provider", "rotate")
        wait_until(lambda: provider.seen.get(second, 0) > 0)
        before = provider.seen[first]
        wait_until(lambda: provider.seen[first] > before + 20)  # calls go on with the old one
        provider.keys = {first, second}
        os.kill(gateway.process.pid, signal.SIGHUP)  # looks again, and forgets what was refused
        provider.keys = {second}  # the old one is revoked while it is in use
        wait_until(lambda: provider.seen[second] > 20)
        statuses = callers.end()
    finally:
        code = gateway.process.stop()
        provider.close()

    assert rotated.returncode == 0, rotated.stderr
    assert set(statuses) == {200}
    assert code == 0
    said = "".join(gateway.process.said) + rotated.stdout + rotated.stderr
    assert first not in said
    assert second not in said
