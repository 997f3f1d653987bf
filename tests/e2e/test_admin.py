"""The admin API of a running gateway: keys with roles, sign-in at a real identity provider, the audit log, a reload."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlencode, urlsplit

import pytest
from memory_of import children, held_by, who_listens

from headworks.access import Role

CONFIG = """
admin:
  port: 0
  sign_in:
    url: "http://127.0.0.1:4001"
    issuer: "{issuer}"
    client_id: headworks
    client_secret: file:client-secret
access:
  organisations: {{acme: {{teams: [search]}}}}
  roles: [{{claim: groups, value: gateway-admins, role: admin}}]
  users: [{{subject: bob, roles: [operator], organisation: acme}}]
providers: {{sim: {{kind: simulator}}}}
models: {{nano: sim/gpt-6-luna}}
"""
ANN = {"sub": "ann", "email": "ann@a.example", "groups": ["staff", "gateway-admins"]}


def free_port():
    """Not of those that the system gives away, so that it stays free."""
    for port in range(12_000 + os.getpid() % 8_000, 20_000):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("there is none")


@pytest.fixture
def identity_provider():
    port = free_port()
    process = subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "oidc_provider_mock",
            "--port",
            str(port),
            "--user-claims",
            json.dumps(ANN),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    issuer = f"http://127.0.0.1:{port}"
    due_s = time.monotonic() + 60
    while True:
        try:
            ask(issuer, "GET", "/jwks")
            break
        except OSError:
            assert process.poll() is None, "it has ended"
            assert time.monotonic() < due_s, "it does not answer"
            time.sleep(0.05)
    yield issuer
    process.terminate()
    process.wait(20)


def ask(base, method, path, body=None, headers=()):
    """Status, headers and body of an answer; no redirect is followed."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    try:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Browser:
    """Keeps the cookies of the admin API."""

    def __init__(self, base):
        self.base, self.cookies, self.csrf = base, {}, ""

    def ask(self, method, path, body=None, **headers):
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} | headers
        if body is not None:
            sent["content-type"] = "application/json"
            body = json.dumps(body)
        status, heard, data = ask(self.base, method, path, body, sent)
        for line in heard.get_all("set-cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return status, heard, data

    def sign_in(self, as_whom):
        status, heard, _ = self.ask("GET", "/login")
        assert status == 302
        there = urlsplit(heard["location"])
        form = urlencode({"sub": as_whom})
        kind = {"content-type": "application/x-www-form-urlencoded"}
        status, heard, data = ask(f"http://{there.netloc}", "POST", f"{there.path}?{there.query}", form, kind)
        assert status == 302, data
        back = urlsplit(heard["location"])
        return self.ask("GET", f"{back.path}?{back.query}")

    def me(self):
        status, _, data = self.ask("GET", "/admin/v1/me")
        found = json.loads(data)
        self.csrf = found.get("csrf_token", "")
        return status, found


def admin_address(gateway):
    due_s = time.monotonic() + 60
    mark = "the admin API is on "
    while True:
        for line in list(gateway.process.said):
            if mark in line:
                return line.partition(mark)[2].strip()
        assert time.monotonic() < due_s, gateway.process.said
        time.sleep(0.02)


def test_people_sign_in_programs_come_with_keys_and_all_of_it_is_in_the_audit_log(
    make_gateway, identity_provider, tmp_path
):
    (tmp_path / "client-secret").write_text("planted-client-secret\n")
    gateway = make_gateway(CONFIG.format(issuer=identity_provider))
    base = admin_address(gateway)

    ann = Browser(base)
    due_s = time.monotonic() + 60
    while (status := ann.sign_in("ann")[0]) == 503 and time.monotonic() < due_s:
        time.sleep(0.05)  # until the keys are fetched
    assert status == 200
    assert ann.me()[1]["roles"] == [{"role": "admin", "organisation": None}]
    assert Browser(base).sign_in("stranger")[0] == 403
    bob = Browser(base)
    assert bob.sign_in("bob")[0] == 200
    assert bob.me()[1]["roles"] == [{"role": "operator", "organisation": "acme"}]
    assert bob.ask("GET", "/admin/v1/status")[0] == 403

    asked = {"name": "search-app", "team": "search"}
    assert ann.ask("POST", "/admin/v1/keys", asked)[0] == 403
    status, _, data = ann.ask("POST", "/admin/v1/keys", asked, **{"x-csrf-token": ann.csrf})
    assert status == 201
    made = json.loads(data)
    authorization = {"authorization": f"Bearer {made['key']}"}
    assert ask(gateway.process.address, "GET", "/v1/models", headers=authorization)[0] == 200
    assert ask(base, "GET", "/admin/v1/keys", headers=authorization)[0] == 403
    path = f"/admin/v1/keys/{made['record']['key_id']}"
    assert bob.ask("DELETE", path, **{"x-csrf-token": bob.csrf})[0] == 200

    command = gateway.command("keys", "create", "watch", "--role", "auditor", "--json")
    auditor = {"authorization": f"Bearer {json.loads(command.stdout)['key']}"}
    assert ask(gateway.process.address, "GET", "/v1/models", headers=auditor)[0] == 403
    entries = json.loads(ask(base, "GET", "/admin/v1/audit?limit=200", headers=auditor)[2])["items"]
    told = {one["what"]: one for one in reversed(entries)}
    assert told["admin.signed_in"]["detail"]["by_name"] in ("ann", "bob")  # nobody has verified their addresses
    assert (told["key.revoked"]["target"], told["key.revoked"]["source"]) == (made["record"]["key_id"], "127.0.0.1")
    assert json.loads(ask(base, "POST", "/admin/v1/audit/verify", headers=auditor)[2])["is_good"] is True

    assert ann.ask("POST", "/logout", **{"x-csrf-token": ann.csrf})[0] == 204
    assert ann.me()[0] == 401
    said = "".join(gateway.process.said) + json.dumps(entries)
    assert "planted-client-secret" not in said
    assert made["key"] not in said


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_provider_key_is_in_the_memory_of_the_process_that_serves_it(make_gateway, tmp_path, monkeypatch):
    planted = ("sk-planted-in-the-environment-0123456789", "sk-planted-in-a-file-0123456789")
    monkeypatch.setenv("PLANTED_KEY", planted[0])
    (tmp_path / "planted-key").write_text(f"{planted[1]}\n")
    (tmp_path / "planted-key").chmod(0o600)
    gateway = make_gateway("""
admin: {port: 0}
providers:
  one: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: "env:PLANTED_KEY"}
  two: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: "file:planted-key"}
""")
    base = admin_address(gateway)
    boss = {"authorization": f"Bearer {gateway.new_key('boss', role=Role.ADMIN)}"}
    checked = json.loads(ask(base, "POST", "/admin/v1/config/check", headers=boss)[2])
    assert checked["problems"] == []
    assert ask(base, "POST", "/admin/v1/config/reload", headers=boss)[0] == 200
    assert ask(base, "GET", "/admin/v1/provider-keys", headers=boss)[0] == 200
    secret = (tmp_path / ".headworks" / "secret").read_text().strip()

    processes = children(gateway.process.pid)
    serving = who_listens(processes, urlsplit(base).port)
    answering = who_listens(processes, urlsplit(gateway.process.address).port)

    try:
        seen = held_by(answering, *planted)
    except PermissionError:
        pytest.skip("this system lets nobody read the memory of another process")
    assert seen == set(planted)  # or nothing would be searched
    assert held_by(serving, secret, *planted) == {secret}


@pytest.mark.long
def test_a_reload_is_asked_for_and_answered_when_it_is_done(make_gateway, tmp_path):
    (tmp_path / "client-secret").write_text("planted-client-secret\n")
    text = CONFIG.format(issuer="http://127.0.0.1:9")  # nobody signs in
    gateway = make_gateway(text)
    base = admin_address(gateway)
    command = gateway.command("keys", "create", "boss", "--role", "admin", "--json")
    boss = {"authorization": f"Bearer {json.loads(command.stdout)['key']}"}
    before = json.loads(ask(base, "GET", "/admin/v1/config", headers=boss)[2])

    (tmp_path / "headworks.yaml").write_text(text.replace("nano:", "mini:"))
    status, _, data = ask(base, "POST", "/admin/v1/config/reload", headers=boss)
    after = json.loads(ask(base, "GET", "/admin/v1/config", headers=boss)[2])
    assert (status, json.loads(data)["fingerprint"]) == (200, after["fingerprint"])
    assert after["fingerprint"] != before["fingerprint"]
    assert "mini" in after["config"]["models"]

    (tmp_path / "headworks.yaml").write_text(text.replace("port: 0", "port: 1"))
    status, _, data = ask(base, "POST", "/admin/v1/config/reload", headers=boss)
    assert (status, json.loads(data)["error"]["code"]) == (409, "config_not_taken")
    assert "restart" in json.loads(data)["error"]["message"]

    (tmp_path / "headworks.yaml").write_text("providers: {}\n")
    assert ask(base, "POST", "/admin/v1/config/reload", headers=boss)[0] == 422
    (tmp_path / "headworks.yaml").write_text(text)
    answers = []
    many = [
        threading.Thread(target=lambda: answers.append(ask(base, "POST", "/admin/v1/config/reload", headers=boss)[0]))
        for _ in range(3)
    ]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert set(answers) <= {200, 409}
    assert 200 in answers
