"""Entries in the forms that others take, and checkpoints in the places that are others'."""

import json

import pytest

from headworks.audit.anchors import Anchoring, AnchorPlace, read_anchors, send
from headworks.audit.entries import AuditEntry, Body
from headworks.audit.exporting import FORMATS, as_cef, as_json, as_ocsf
from headworks.errors import StorageError

BODY = Body(
    who="key_1",
    owner="ann",
    team="desk",
    user="u1",
    source="203.0.113.7",
    target="fast|model=\n\\x",
    workload="triage",
    prompt_version="1.2.0",
    status=403,
    error_code="model_not_allowed",
    detail={"endpoint": "responses", "attempts": 0},
)
ENTRY = AuditEntry(17, 1_795_435_200_000_001, "call_1", "call", "refused", BODY, 2, 5)
ERASED = AuditEntry(18, 1_795_435_200_000_001, "call_2", "call", "answered", None, 2, 6)


def test_json_lines_name_every_field():
    shown = json.loads(as_json(ENTRY))
    assert shown["time"] == "2026-11-23T12:00:00.000001Z"
    assert (shown["who"], shown["detail"]["endpoint"], shown["number"]) == ("key_1", "responses", 17)
    assert json.loads(as_json(ERASED)) == {
        "number": 18, "time": "2026-11-23T12:00:00.000001Z", "id": "call_2", "what": "call", "outcome": "answered",
        "is_erased": True, "segment": 2, "line": 6,
    }  # fmt: skip


def test_ocsf_events_have_what_the_class_api_activity_requires():
    event = json.loads(as_ocsf(ENTRY))
    required = {"activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "severity_id", "src_endpoint"}
    assert required | {"time", "type_uid"} <= set(event)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert (event["status_id"], event["src_endpoint"]) == (2, {"ip": "203.0.113.7"})
    assert event["time"] == 1_795_435_200_000


def test_cef_lines_are_one_line_each_and_escaped():
    line = as_cef(ENTRY).decode()
    assert line.startswith("CEF:0|Headworks|Headworks|")
    assert "\n" not in line
    assert r"request=fast|model\= \\x" in line
    assert "src=203.0.113.7" in line


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_erased_is_exported_as_what_is_left_of_it(name):
    assert b"call_2" in FORMATS[name](ERASED)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_checkpoints_are_kept_now_and_then_and_at_the_end(tmp_path):
    clock, file = Clock(), tmp_path / "elsewhere" / "anchors.log"
    anchoring = Anchoring([AnchorPlace(file)], every_s=60, report=pytest.fail, clock=clock)

    anchoring.keep(b"")
    anchoring.keep(b"one")
    anchoring.keep(b"two")
    clock.now_s += 60
    anchoring.keep(b"two")
    anchoring.keep(b"three", is_last=True)
    Anchoring([AnchorPlace(file)], every_s=60, report=pytest.fail, clock=clock).keep(b"three")

    assert read_anchors(file) == [b"one", b"two", b"three"]


def test_a_place_that_does_not_take_them_is_told_of_once_and_asked_again():
    clock, said, sent, is_away = Clock(), [], [], True

    def post(place, line):
        if is_away:
            raise StorageError(f"{place.url} did not take it: refused")
        sent.append(line)

    anchoring = Anchoring([AnchorPlace(url="http://a")], every_s=1, report=said.append, clock=clock, post=post)
    for line in (b"one", b"two"):
        anchoring.keep(line)
        clock.now_s += 1
    is_away = False
    anchoring.keep(b"two")
    anchoring.keep(b"two", is_last=True)

    assert len(said) == 1
    assert sent == [b"two"]


def test_a_checkpoint_is_posted_with_its_token(httpd):
    url, seen = httpd
    send(AnchorPlace(url=url, token="t0ken"), b"{}")
    assert seen == [("Bearer t0ken", b"{}")]
    with pytest.raises(StorageError, match="did not take it: 302") as raised:
        send(AnchorPlace(url=f"{url}/moved", token="t0ken"), b"{}")
    assert "t0ken" not in str(raised.value)
    with pytest.raises(StorageError, match="did not take it"):
        send(AnchorPlace(url="http://127.0.0.1:1"), b"{}")


@pytest.fixture
def httpd():
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("location", "/")
                self.end_headers()
                return
            seen.append((self.headers["authorization"], self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()
