"""Who calls, and from where, at a running gateway: tokens whose keys are fetched, networks, bad keys, and the audit."""

import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

import pytest

from tests.access.token_maker import SigningKey, claims, key_set, token

KEY = SigningKey("ES256", "one")
CONFIG = """
server: {{trusted_proxies: [127.0.0.1]}}
access:
  bad_keys: {{tries: 2}}
  tokens: [{{issuer: "{issuer}", audience: [headworks], team: search}}]
providers: {{sim: {{kind: simulator}}}}
models: {{nano: sim/gpt-6-luna}}
"""


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        found = {
            "/.well-known/openid-configuration": json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/keys"}).encode(),
            "/keys": key_set(KEY),
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(found[self.path])

    def log_message(self, *_):
        """Nobody reads it."""


@pytest.fixture
def identity_provider():
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(gateway, key, forwarded="192.0.2.7", body=None):
    """The status of an answer, and the id of its call."""
    connection = http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=20)
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": forwarded, "Content-Type": "application/json"}
    try:
        if body is None:
            connection.request("GET", "/v1/models", headers=headers)
        else:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["x-headworks-call-id"]
    finally:
        connection.close()


def status(*question):
    return asked(*question)[0]


def test_tokens_networks_and_bad_keys_at_a_running_gateway(make_gateway, identity_provider):
    gateway = make_gateway(CONFIG.format(issuer=identity_provider))
    now_s = int(time.time())
    said = claims(iss=identity_provider, exp=now_s + 600, iat=now_s)
    good = token(KEY, said).decode()
    due_s = time.monotonic() + 60
    while (first := status(gateway, good)) == 503 and time.monotonic() < due_s:
        time.sleep(0.05)  # until the keys are fetched
    assert first == 200
    assert status(gateway, token(SigningKey("ES256", "one"), said).decode()) == 401

    told, call_id = asked(gateway, good, body={"model": "nano", "messages": [{"role": "user", "content": "Hello"}]})
    record = gateway.record(call_id)
    assert (told, record.owner, record.team) == (200, "ann", "search")
    assert record.key_id.startswith("token_")

    inside = gateway.new_key("inside", networks=["10.0.0.0/8"])
    assert [status(gateway, inside, "203.0.113.9, 10.1.2.3"), status(gateway, inside, "10.1.2.3, 203.0.113.9")] == [
        200,
        403,
    ]

    assert [status(gateway, "hw-bad"), status(gateway, "hw-bad"), status(gateway, good)] == [401, 429, 200]
    due_s = time.monotonic() + 60
    while time.monotonic() < due_s:
        told = gateway.command("audit", "search", "--what", "access.refused", "--json").stdout
        if "too_many_bad_keys" in told and "address_not_allowed" in told:
            break
        time.sleep(0.1)
    assert "too_many_bad_keys" in told
    assert "203.0.113.9" in told
    assert good not in told
