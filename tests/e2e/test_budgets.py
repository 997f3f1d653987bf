"""A hard budget as a team meets it: never exceeded, whoever dies while it is spent; and somebody is told."""

import http.client
import json
import os
import signal
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from headworks.cli import main
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.records import Selection, open_store

CAP_USD = "0.02"
CONFIG = f"""
server: {{workers: 4}}
access: {{teams: {{desk: {{budget: {{per_day: {CAP_USD}, alert_at: [10]}}}}}}}}
alerts:
  webhooks: [{{url: file:hook, format: json}}, {{url: file:chat, format: slack}}]
  mail: {{server: file:mail, sender: a@example.com, to: [b@example.com]}}
providers:
  sim: {{kind: simulator, pace: 0.02}}
"""
CALL = {
    "model": "sim/gpt-6-luna",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Hello there, you. " * 100}],
}


class Post(socketserver.StreamRequestHandler):
    """A mail server (RFC 5321) that keeps what it is sent, in its server."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        is_data = False
        for line in self.rfile:
            if is_data:
                is_data = line != b".\r\n"
                if is_data:
                    self.server.told[-1] += line
                    continue
            elif line.upper().startswith(b"DATA"):
                is_data = True
                self.server.told.append(b"")
                self.wfile.write(b"354 go on\r\n")
                continue
            self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 well\r\n")


class Told(BaseHTTPRequestHandler):
    """Keeps what it is told, in its server."""

    def do_POST(self):
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Nothing is said."""


@pytest.fixture
def hearers():
    """A webhook, a chat and a mail server, each with what it was told."""
    servers = [HTTPServer(("127.0.0.1", 0), Told) for _ in range(2)]
    servers.append(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post))
    threads = []
    for server in servers:
        server.told = []
        threads.append(threading.Thread(target=server.serve_forever, args=(0.02,)))
        threads[-1].start()
    yield servers
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def spend(gateway, key: str, answered: list[int], until: threading.Event) -> None:
    """Call until calls are refused again and again, or for long enough."""
    where = urlsplit(gateway.base_url)
    refused = 0
    while refused < 2 and not until.is_set():
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=20)
        try:
            headers = {"authorization": f"Bearer {key}", "x-headworks-deadline-ms": "1500"}
            connection.request("POST", "/v1/chat/completions", json.dumps(CALL), headers)
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            continue  # its worker was killed
        finally:
            connection.close()
        if answer.status == 200:
            answered.append(1)
        elif body["error"]["code"] == "budget_exceeded":
            refused += 1


def processes(gateway) -> list[int]:
    pid = gateway.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes through /proc")
def test_a_hard_budget_is_never_exceeded_whoever_dies_while_it_is_spent(tmp_path, make_gateway, hearers, capsys):
    hook, chat, post = hearers
    (tmp_path / "hook").write_text(f"http://127.0.0.1:{hook.server_port}/")
    (tmp_path / "chat").write_text(f"http://127.0.0.1:{chat.server_port}/")
    (tmp_path / "mail").write_text(f"smtp://127.0.0.1:{post.server_address[1]}")
    gateway = make_gateway(CONFIG)
    key = gateway.new_key("desk", team="desk")
    answered: list[int] = []
    until = threading.Event()
    callers = [threading.Thread(target=spend, args=(gateway, key, answered, until)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for victim in (1, 2, 0, 3):  # the control plane, which keeps the books, is the first child
        seen, due_s = len(answered), time.monotonic() + 20
        while len(answered) < seen + 3 and any(caller.is_alive() for caller in callers):
            assert time.monotonic() < due_s, f"{len(answered)} answers"
            time.sleep(0.01)
        found = processes(gateway)
        if victim < len(found):
            os.kill(found[victim], signal.SIGKILL)
    patience = threading.Timer(40, until.set)
    patience.start()
    for caller in callers:
        caller.join()
    patience.cancel()

    refused = httpx2.post(
        f"{gateway.base_url}/chat/completions", json=CALL, headers={"authorization": f"Bearer {key}"}, timeout=20
    )
    assert refused.status_code == 429, refused.text
    assert refused.headers["x-should-retry"] == "false"
    assert gateway.process.stop() == 0

    store = open_store(tmp_path / ".headworks")
    records = store.select(Selection(limit=10_000))
    store.close()
    spent = sum(record.cost_pico or 0 for record in records)
    ledger = SqliteLedger(tmp_path / ".headworks")
    (account,) = ledger.states(int(time.time() * 1e6))
    ledger.close()
    assert len(answered) > 10
    # What the killed had spent is counted, and what they held is free: nothing stays set aside for ever.
    assert 0 < spent <= account.spent <= account.cap == 20_000_000_000
    assert (account.reserved, account.held) == (0, 0)
    assert list((tmp_path / ".headworks" / "purses").iterdir()) == []

    due_s = time.monotonic() + 60
    while not all(hearer.told for hearer in hearers) and time.monotonic() < due_s:
        time.sleep(0.02)
    # Once, however many workers there are and whoever was killed.
    assert [(one["of"], one["percent"]) for one in hook.told] == [("team/desk", 10)]
    assert ["used to 10 %" in one["text"] for one in chat.told] == [True]
    assert [b"Subject: Headworks: budget of team/desk at 10 %" in one for one in post.told] == [True]

    assert main(["budgets", "--config", str(tmp_path / "headworks.yaml"), "--within", "10", "--json"]) == 1
    (shown,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (shown["of"], shown["name"], shown["budget_usd"]) == ("team", "desk", "0.02")

    assert main(["budgets", "release", "--config", str(tmp_path / "headworks.yaml")]) == 0
    ledger = SqliteLedger(tmp_path / ".headworks")
    (account,) = ledger.states(int(time.time() * 1e6))
    ledger.close()
    assert account.spent >= spent
