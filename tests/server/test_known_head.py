"""What of a request is remembered, and what is recognised again."""

import pytest

from headworks.errors import Refusal
from headworks.exchange import Request
from headworks.server.connection import Connection
from headworks.server.known_head import KnownHead, SharedHeads


def request(body=b"hello", **headers):
    seen = {b"host": b"gateway", b"content-length": b"%d" % len(body)}
    seen |= {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request("POST", "/echo", "", seen, body, admission="admitted")


def raw(body=b"hello", lines=b""):
    return b"POST /echo HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), lines, body)


def test_the_same_head_with_another_length_gives_its_body():
    known = KnownHead.learn(raw(), request(), SharedHeads())

    assert known.body_in(raw(b"x" * 1234)) == b"x" * 1234
    assert known.request.admission == "admitted"
    assert known.request.headers == {b"host": b"gateway"}
    assert known.request.body == b""


def test_what_several_connections_have_learnt_alike_is_kept_once_and_each_has_its_own_admission():
    shared = SharedHeads()
    one = KnownHead.learn(raw(), request(), shared)
    again = request(b"longer")
    again.admission = "admitted later"
    other = KnownHead.learn(raw(b"longer"), again, shared)

    assert other.request.headers is one.request.headers
    assert (one.request.admission, other.request.admission) == ("admitted", "admitted later")
    assert other.body_in(raw(b"abc")) == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        raw(b"hello")[:-1],
        raw(b"hello") + b"!",
        raw(b"hello", b"x: y\r\n"),
        raw().replace(b"gateway", b"gatewax"),
        raw().replace(b": 5", b": +5"),
        raw().replace(b": 5", b": 5 "),
        raw().replace(b": 5", b": "),
        raw().replace(b": 5", b": 5_"),
        raw().replace(b": 5", b": 0000000000000005"),
        b"",
    ],
)
def test_anything_else_goes_to_the_parser(data):
    assert KnownHead.learn(raw(), request(), SharedHeads()).body_in(data) is None


def test_another_head_is_not_taken_for_one_that_is_kept():
    shared = SharedHeads()
    KnownHead.learn(raw(), request(), shared)
    other = KnownHead.learn(raw().replace(b"\r\n\r\n", b"\r\nx: y\r\n\r\n"), request(x=b"y"), shared)

    assert other.request.headers[b"x"] == b"y"
    assert other.body_in(raw()) is None


def test_so_many_heads_are_kept_and_no_more():
    shared = SharedHeads()
    for number in range(1000):
        shared.share((b"%d" % number, b"", {}))

    assert len(shared._parts) <= 256


@pytest.mark.parametrize(
    ("data", "read"),
    [
        (raw(), request(expect=b"100-continue")),
        (raw(), request(connection=b"close")),
        (raw(), request(connection=b"keep-alive, x-hop")),
        (raw(b""), request(b"")),
        (raw() + raw(), request()),
        (b"GET / HTTP/1.1\r\n\r\n", request(b"")),
        (raw(lines=b"content-length: 5\r\n"), request()),
        (b"hello", request()),
    ],
)
def test_a_request_that_is_more_than_a_head_and_a_sized_body_is_not_remembered(data, read):
    assert KnownHead.learn(data, read, SharedHeads()) is None


@pytest.mark.replaces
def test_a_connection_parses_a_head_once(serve, monkeypatch):
    parsed = []
    parse = Connection._parse
    monkeypatch.setattr(Connection, "_parse", lambda self, data: parsed.append(data) or parse(self, data))

    async def dialogue(served):
        client = await served.connect()
        for length in (5, 50, 500):
            assert (await client.ask(raw(b"x" * length))).body == b"/echo?|" + b"x" * length
        assert parsed == [raw(b"x" * 5)]

    serve(dialogue)


@pytest.mark.replaces
def test_a_client_whose_heads_never_come_again_is_not_learnt_from_for_ever(serve, monkeypatch):
    learnt = []
    learn = KnownHead.learn
    monkeypatch.setattr(KnownHead, "learn", lambda data, *more: learnt.append(data) or learn(data, *more))

    async def dialogue(served):
        client = await served.connect()
        for number in range(20):
            assert (await client.ask(raw(lines=b"traceparent: %d\r\n" % number))).status == 200
        assert len(learnt) == 4

    serve(dialogue)


def test_a_known_head_is_still_admitted_anew_and_its_body_bounded(serve):
    async def dialogue(served):
        client = await served.connect()
        assert (await client.ask(raw(b"x"))).status == 200
        assert (await client.ask(raw(b"x" * 101))).status == 413
        client = await served.connect()
        assert (await client.ask(raw(b"x"))).status == 200
        served.application.admit = _refuse
        assert (await client.ask(raw(b"y"))).status == 401

    serve(dialogue, body_bytes=100)


def _refuse(_):
    raise Refusal(401, "invalid_api_key", "No longer.")
