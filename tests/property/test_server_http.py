"""However a request is cut into pieces it is the same request, and whatever comes in nothing is left behind."""

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import Refusal
from headworks.server import HttpServer, ServerLimits
from headworks.server.connection import Connection
from headworks.wheel import TimerWheel


class Transport:
    """A transport in memory whose client takes everything at once."""

    def get_extra_info(self, name, default=None):
        return default

    def __init__(self):
        self.sent = b""
        self.is_closed = False

    def write(self, data):
        self.sent += data

    def write_eof(self):
        self.is_closed = True

    def can_write_eof(self):
        return True

    def close(self):
        self.is_closed = True

    abort = close

    def pause_reading(self):
        """Nothing to do: the test decides what comes in."""

    def resume_reading(self):
        """Nothing to do: the test decides what comes in."""

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high):
        assert high > 0


class Application:
    """Notes what it is asked, and answers at once."""

    def __init__(self):
        self.requests = []
        self.refusals = []

    def admit(self, request):
        """Everyone may come in."""

    def refuse(self, refusal, request, reply):
        self.refusals.append(refusal)
        reply.respond(refusal.status, b"", refusal.body())

    def handle(self, request, reply):
        self.requests.append((request.method, request.path, request.query, dict(request.headers), request.body))
        reply.respond(200, b"", b"")


@pytest.fixture(scope="module")
def server():
    loop = asyncio.new_event_loop()
    wheel = TimerWheel(loop)
    yield HttpServer(Application(), limits=ServerLimits(body_bytes=5000), wheel=wheel, loop=loop)
    wheel.close()
    loop.close()
    gc.collect()


def received(server, pieces):
    """What the application was asked when these pieces came in on one connection."""
    server.application = Application()
    connection = Connection(server)
    transport = Transport()
    connection.connection_made(transport)
    for piece in pieces:
        if not transport.is_closed:
            connection.data_received(piece)
    connection.connection_lost(None)
    assert server.buffered_bytes == 0
    assert not server.connections
    return server.application, transport.sent


def cut(data, places):
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


_TOKEN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12).map(lambda name: f"x-{name}")
_VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)
_PATH = st.text("abcXYZ019-._~", min_size=1, max_size=20).filter(lambda path: path not in {".", ".."})


@st.composite
def _requests(draw):
    """The bytes of a valid request, and what the application must see of it."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    path = "/" + "/".join(draw(st.lists(_PATH, min_size=1, max_size=3)))
    query = draw(st.text("abc=&%20+?/", max_size=15))
    headers = draw(st.dictionaries(_TOKEN, _VALUE, max_size=6)) | {"host": "gateway:4000"}
    body = draw(st.binary(max_size=2000))
    if draw(st.booleans()):
        headers["content-length"] = str(len(body))
        content = body
    else:
        headers["transfer-encoding"] = "chunked"
        parts = [part for part in cut(body, draw(st.lists(st.integers(0, 2000), max_size=4))) if part]
        content = b"".join(b"%X\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    head = f"{method} {path}{'?' if query else ''}{query} HTTP/1.1\r\n"
    lines = "".join(f"{name.title()}: {value}\r\n" for name, value in headers.items())
    seen = {name.encode(): value.encode() for name, value in headers.items()}
    return (head + lines + "\r\n").encode() + content, (method, path, query, seen, body)


@given(requests=st.lists(_requests(), min_size=1, max_size=3), places=st.lists(st.integers(0, 10_000), max_size=12))
def test_any_cutting_of_valid_requests_gives_the_same_requests(server, requests, places):
    data = b"".join(data for data, _ in requests)
    application, sent = received(server, cut(data, places))
    assert application.requests == [seen for _, seen in requests]
    assert application.refusals == []
    assert sent.count(b"HTTP/1.1 200 OK\r\n") == len(requests)


@given(request=_requests())
def test_a_byte_at_a_time_gives_the_same_request(server, request):
    data, seen = request
    application, _ = received(server, [data[place : place + 1] for place in range(len(data))])
    assert application.requests == [seen]


@given(pieces=st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_random_bytes_never_crash_and_leave_nothing_behind(server, pieces):
    application, _ = received(server, pieces)
    assert all(isinstance(refusal, Refusal) for refusal in application.refusals)
    assert len(application.refusals) <= 1


@given(request=_requests(), place=st.integers(0, 10_000), noise=st.binary(min_size=1, max_size=20))
def test_a_request_with_noise_in_it_is_served_refused_or_waited_for(server, request, place, noise):
    data, _ = request
    place %= len(data)
    application, sent = received(server, [data[:place] + noise + data[place:]])
    assert len(application.refusals) <= 1
    assert sent.count(b"content-length:") == len(application.requests) + len(application.refusals)


@given(request=_requests(), place=st.integers(0, 10_000))
def test_a_request_that_is_cut_off_is_not_served(server, request, place):
    data, _ = request
    application, _ = received(server, [data[: place % len(data)]])
    assert application.requests == []


# -- heads that come again ---------------------------------------------------------------------------------------------

_BODIES = st.lists(st.binary(min_size=1, max_size=1200), min_size=3, max_size=6)


@st.composite
def _heads(draw):
    """The bytes of a head before and after the digits of its length."""
    lines = [f"{name}: {draw(_VALUE)}" for name in draw(st.lists(_TOKEN, max_size=5, unique=True))]
    lines += ["Host: gateway:4000", draw(st.sampled_from(["X-A: b", "Connection: keep-alive", "accept: */*"]))]
    name = draw(st.sampled_from(["content-length: ", "Content-Length: ", "CONTENT-LENGTH:", "content-length:  "]))
    place = draw(st.integers(0, len(lines)))
    path = draw(_PATH)
    before = "\r\n".join([f"POST /{path} HTTP/1.1", *lines[:place], name])
    after = "\r\n".join(["", *lines[place:], "", ""])
    return before.encode(), after.encode()


def _without_length(requests):
    return [
        (method, path, query, {name: value for name, value in headers.items() if name != b"content-length"}, body)
        for method, path, query, headers, body in requests
    ]


@given(heads=st.lists(_heads(), min_size=1, max_size=2), bodies=_BODIES, order=st.lists(st.integers(0, 1), min_size=6))
def test_requests_one_after_another_are_what_each_is_alone(server, heads, bodies, order):
    pieces = []
    for body, number in zip(bodies, order, strict=False):
        before, after = heads[number % len(heads)]
        pieces.append(before + b"%d" % len(body) + after + body)

    together, _ = received(server, pieces)
    alone = [request for piece in pieces for request in received(server, [piece])[0].requests]

    assert _without_length(together.requests) == _without_length(alone)
    assert len(alone) == len(pieces)


@given(
    head=_heads(),
    body=st.binary(min_size=1, max_size=60),
    place=st.integers(0, 10_000),
    removed=st.integers(0, 3),
    noise=st.one_of(
        st.binary(max_size=6),
        st.sampled_from(
            [b"+", b"0", b"00", b" ", b"\r\n", b"1", b"_", b"\r\ntransfer-encoding: chunked", b"-1", b"\x00"]
        ),
    ),
)
def test_what_only_resembles_a_known_head_is_read_as_if_it_came_first(server, head, body, place, removed, noise):
    before, after = head
    known = before + b"%d" % len(body) + after + body
    place %= len(known)
    other = known[:place] + noise + known[place + removed :]

    after_others, said = received(server, [known, known, other])
    first, said_first = received(server, [other])

    assert _without_length(after_others.requests[2:]) == _without_length(first.requests)
    assert [refusal.code for refusal in after_others.refusals] == [refusal.code for refusal in first.refusals]
    assert said.endswith(said_first[said_first.find(b"\r\n\r\n") :] if said_first else b"")
