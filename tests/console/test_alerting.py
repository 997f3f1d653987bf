"""Alerts: delivered by webhook, to a chat, by mail; tried again; never a secret in the log."""

import hmac
import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headworks.config import load
from headworks.console import alert_terms, channels_of
from headworks.console.alerting import Alert, Alerter
from headworks.console.channels import Mail, Webhook
from headworks.errors import ConfigError

ALERT = Alert("team/support", "day", "2026-11-26", 80, 10**13, 8_123_456_789_012, is_hard=True)
SECRET_PATH = "/services/T0/B0/s3cret"


class _Server(HTTPServer):
    """State: what it got, and with what it is still to answer."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, self.headers, body))
        self.send_response(self.server.left.pop(0) if self.server.left else 200)
        self.end_headers()

    def log_message(self, *_):
        """Nothing is said."""


class Receiver:
    """A web server that keeps what it is sent, and answers with these statuses, one after the other."""

    def __init__(self, *statuses):
        self.got = []
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.got, self.server.left = self.got, list(statuses)
        self.url = f"http://127.0.0.1:{self.server.server_port}{SECRET_PATH}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = []

    def make(*statuses):
        made.append(Receiver(*statuses))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_webhook_gets_exact_figures_and_a_signature(receiver):
    there = receiver()
    Webhook(there.url, is_slack=False, secret=b"key").send(ALERT)
    ((path, headers, body),) = there.got
    assert path == SECRET_PATH
    assert json.loads(body)["spent_usd"] == "8.123456789012"
    assert headers["x-headworks-signature"] == f"sha256={hmac.new(b'key', body, 'sha256').hexdigest()}"


def test_a_chat_gets_a_sentence(receiver):
    there = receiver()
    Webhook(there.url, is_slack=True).send(ALERT)
    assert json.loads(there.got[0][2]) == {"text": ALERT.text}
    assert "80 %" in ALERT.text


def test_what_fails_is_tried_again_until_it_is_delivered(receiver):
    there, said = receiver(500, 503), []
    alerter = Alerter([Webhook(there.url, is_slack=True)], said.append, pauses_s=(0.01, 0.01, 0.01))
    alerter.tell(ALERT)
    while len(there.got) < 3:
        pass
    alerter.close()
    assert said == [ALERT.text]


def test_what_cannot_be_delivered_is_said_without_its_secret(receiver):
    there, said = receiver(*[500] * 10), []
    alerter = Alerter([Webhook(there.url, is_slack=True)], said.append, pauses_s=(0.01,))
    alerter.tell(ALERT)
    while len(said) < 2:
        pass
    alerter.close()
    assert "127.0.0.1" in said[1]
    assert "500" in said[1]
    assert "s3cret" not in said[1]


class MailServer(socketserver.TCPServer):
    """Takes one mail by SMTP (RFC 5321), without encryption."""

    allow_reuse_address = True

    def __init__(self):
        self.said = []
        super().__init__(("127.0.0.1", 0), MailHandler)


class MailHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 here\r\n")
        in_data = False
        for line in self.rfile:
            self.server.said.append(line)
            if in_data:
                in_data = line != b".\r\n"
                if in_data:
                    continue
                self.wfile.write(b"250 taken\r\n")
            elif line.upper().startswith(b"DATA"):
                in_data = True
                self.wfile.write(b"354 go on\r\n")
            elif line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 well\r\n")


@pytest.fixture
def mail_server():
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_mail_goes_to_all(mail_server):
    port = mail_server.server_address[1]
    Mail(f"smtp://127.0.0.1:{port}", "a@example.com", ["b@example.com", "c@example.com"]).send(ALERT)
    said = b"".join(mail_server.said).decode()
    assert "TO:<b@example.com>" in said
    assert "Subject: Headworks: budget of team/support at 80 %" in said
    assert "used to 80 %" in said


def test_no_password_is_sent_to_a_server_that_does_not_encrypt(mail_server):
    port = mail_server.server_address[1]
    with pytest.raises(OSError, match="does not encrypt") as raised:
        Mail(f"smtp://ann:s3cret@127.0.0.1:{port}", "a@example.com", ["b@example.com"]).send(ALERT)
    assert "s3cret" not in str(raised.value)
    assert b"s3cret" not in b"".join(mail_server.said)


PROJECT = """version: 1
providers: {sim: {kind: simulator}}
alerts:
  webhooks: [{url: env:HOOK, format: slack}]
  mail: {server: env:SMTP, sender: a@example.com, to: [b@example.com]}
"""


def test_a_project_says_who_is_told(tmp_path):
    (tmp_path / "headworks.yaml").write_text(PROJECT)
    project = load(tmp_path)
    good = {"HOOK": "https://hooks.example.com/x", "SMTP": "smtps://mail.example.com"}
    terms = alert_terms(project, good)
    assert [one.name for one in channels_of(terms)] == [
        "the webhook at hooks.example.com",
        "the mail server mail.example.com",
    ]
    with pytest.raises(ConfigError, match="HOOK"):
        alert_terms(project, {})
    with pytest.raises(ConfigError, match=r"alerts.webhooks\[0\].url: this is no URL of https or http") as raised:
        alert_terms(project, good | {"HOOK": "ftp://s3cret"})
    assert "s3cret" not in str(raised.value)
    assert "hooks.example.com" not in repr(terms)  # what Slack has in an URL is a secret
