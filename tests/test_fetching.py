"""An address of the operator's is asked, and nobody else, whatever it answers."""

import socket
import threading
import urllib.error
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request

import pytest

from headworks.cli.model_update import _fetch
from headworks.console.alerting import Alert
from headworks.console.channels import Webhook
from headworks.errors import HeadworksError
from headworks.fetching import _ByTls, fetch

ALERT = Alert("team/support", "day", "2026-11-26", 80, 10**13, 8_123_456_789_012, is_hard=True)
STATUSES = [301, 302, 303, 307, 308]


class Redirecting(BaseHTTPRequestHandler):
    """Sends everybody to the trap."""

    def do_GET(self):
        status = int(self.path.rpartition("/")[2])
        self.send_response(status)
        self.send_header("location", self.server.elsewhere)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def trap():
    """A listener; it is an error to have connected to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    yield listener.getsockname()[1]
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.close()


@pytest.fixture
def redirecting(trap):
    server = HTTPServer(("127.0.0.1", 0), Redirecting)
    server.elsewhere = f"http://127.0.0.1:{trap}/latest/meta-data"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", STATUSES)
def test_a_redirect_is_an_answer_and_not_a_way_on(redirecting, status):
    for follows in (False, True):
        with pytest.raises(urllib.error.HTTPError) as answered:
            fetch(Request(f"{redirecting}/{status}"), timeout_s=10.0, follows_tls=follows)
        assert answered.value.code == status
        answered.value.close()


def test_a_webhook_cannot_send_the_alert_elsewhere(redirecting):
    for status in STATUSES:
        with pytest.raises(OSError, match=f"status {status}"):
            Webhook(f"{redirecting}/{status}", is_slack=False, secret=b"x").send(ALERT)


def test_a_catalogue_is_not_fetched_from_elsewhere(redirecting):
    for status in STATUSES:
        with pytest.raises(HeadworksError, match="cannot be fetched"):
            _fetch(f"{redirecting}/{status}", 1000)


@pytest.mark.parametrize(
    ("begun", "sent_to", "is_followed"),
    [
        ("https://a.example/x", "https://b.example/y", True),
        ("https://a.example/x", "http://b.example/y", False),
        ("https://a.example/x", "ftp://b.example/y", False),
        ("https://a.example/x", "file:///etc/passwd", False),
        ("https://a.example/x", "http://169.254.169.254/", False),
        ("http://127.0.0.1/x", "https://b.example/y", False),
    ],
)
def test_only_tls_leads_on_to_tls(begun, sent_to, is_followed):
    asked = _ByTls().redirect_request(Request(begun), None, 302, "Found", {}, sent_to)

    assert (asked is not None) == is_followed
