"""Provider keys of a real OpenBao, rotated while calls are under way."""

import json
import os
import signal
import subprocess
import sys
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
            wbufsize = -1  # in one piece: the second would wait for the receiver's delayed ACK

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


def wait_until(holds, limit_s=60.0):
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


@pytest.fixture
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


def metrics_of(gateway):
    return httpx2.get(f"{gateway.process.address}/metrics").text


def left_behind(folder):
    """All that the gateway has written, but for the two ids that the test has put there."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.name not in ("role_id", "secret_id")]
    return b"\n".join(file.read_bytes() for file in files)


def test_no_call_fails_while_a_key_is_rotated_the_old_one_revoked_and_the_manager_away(bao, tmp_path):
    first, second = "sk-first-0123456789abcdef", "sk-second-0123456789abcdef"
    provider = Provider(first)
    bao.put("openai", api_key=first)
    gateway = Gateway(tmp_path, config_of(tmp_path, bao, provider))
    try:
        callers = Callers(gateway)
        wait_until(lambda: provider.seen.get(first, 0) > 20)
        bao.put("openai", api_key=second)  # the manager is first, and the provider does not know it yet
        rotated = gateway.command("keys", "provider", "rotate", "--json")
        wait_until(lambda: provider.seen.get(second, 0) > 0)
        before = provider.seen[first]
        wait_until(lambda: provider.seen[first] > before + 20)  # calls go on with the old one
        provider.keys = {first, second}
        os.kill(gateway.process.pid, signal.SIGHUP)  # looks again, and forgets what was refused
        wait_until(lambda: provider.seen[second] > 20)
        provider.keys = {second}  # the old one is revoked
        bao.stop()
        away = gateway.command("keys", "provider", "rotate")
        after = provider.seen[second]
        wait_until(lambda: provider.seen[second] > after + 20)
        status = gateway.command("status")
        wait_until(lambda: 'headworks_secrets{state="stale"} 1' in metrics_of(gateway))  # they come within a second
        metrics = metrics_of(gateway)
        told = gateway.command("audit", "search", "--what", "provider.key_rotated", "--json").stdout
        statuses = callers.end()
    finally:
        code = gateway.process.stop()
        provider.close()

    assert set(statuses) == {200}
    assert code == 0
    (event,) = [json.loads(line) for line in told.splitlines()]
    assert (event["target"], event["detail"]) == ("vault:secret/openai#api_key", {"version": "2"})
    assert rotated.returncode == 0, rotated.stderr
    assert '"state":"good","version":"2"' in rotated.stdout
    assert away.returncode == 1
    assert "stale" in away.stdout
    assert "cannot be reached: Connection refused" in away.stderr
    assert "the last known key goes on" in status.stdout
    commands = "".join(done.stdout + done.stderr for done in (rotated, away, status))
    shown = ("".join(gateway.process.said) + commands + metrics + told).encode() + left_behind(tmp_path)
    ids = [(tmp_path / name).read_text() for name in ("role_id", "secret_id")]
    assert not [planted for planted in (first, second, *ids) if planted.encode() in shown]


def test_a_first_start_without_the_manager_says_which_key_cannot_be_had_and_why(tmp_path):
    (tmp_path / "headworks.yaml").write_text(
        "version: 1\nsecrets: {vault: {address: 'http://127.0.0.1:9'}}\n"
        "providers:\n  up: {kind: openai, api_key: 'vault:secret/openai#api_key'}\n"
    )
    environment = {**os.environ, "VAULT_TOKEN": "hvs.planted-token"}

    done = subprocess.run(
        [sys.executable, "-m", "headworks", "serve", "--port", "0"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode != 0
    assert "headworks.yaml:4:" in done.stderr
    expected = "providers.up.api_key: vault:secret/openai#api_key: 127.0.0.1:9 cannot be reached: Connection refused"
    assert expected in done.stderr
    assert "hvs.planted-token" not in done.stdout + done.stderr


def test_a_key_that_its_manager_does_not_give_any_more_is_refused_after_its_bound_and_used_again_when_it_does(tmp_path):
    key = "sk-bounded-0123456789abcdef"
    provider = Provider(key)
    (tmp_path / "key").write_text(key)
    config = f"""
version: 1
server: {{workers: 1}}
secrets: {{refresh_s: 1, stale_for_s: 2}}
providers:
  up: {{kind: openai-compatible, base_url: "{provider.url}", api_key: "file:key", speaks: [chat]}}
"""
    gateway = Gateway(tmp_path, config)

    def call():
        body = {"model": "up/m", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {gateway.key}"}
        return httpx2.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers, timeout=20)

    try:
        assert call().status_code == 200
        (tmp_path / "key").unlink()
        wait_until(lambda: 'headworks_secrets{state="expired"} 1' in metrics_of(gateway))
        wait_until(lambda: call().status_code != 200)
        seen = provider.seen[key]
        refused = call()
        keys, status = gateway.command("keys", "provider", "status"), gateway.command("status")
        assert provider.seen[key] == seen
        (tmp_path / "key").write_text(key)
        wait_until(lambda: call().status_code == 200)
        told = gateway.command("audit", "search", "--what", "provider", "--json").stdout
    finally:
        code = gateway.process.stop()
        provider.close()

    assert code == 0
    actions = {json.loads(line)["what"] for line in told.splitlines()}
    assert actions == {"provider.key_expired", "provider.key_renewed"}
    assert refused.status_code == 502
    assert refused.json()["error"]["code"] == "upstream_unauthorized"
    assert keys.returncode == 1
    assert "expired" in keys.stdout
    assert status.returncode == 1
    assert "calls with it are refused" in status.stdout
    said = "".join(gateway.process.said)
    assert "calls with it are refused until it can" in said
    assert "file:key is used again" in said
