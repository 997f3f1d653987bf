"""What one read holds is parsed in parts, so that no connection keeps the loop from the others."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.server import HttpServer, ServerLimits
from headworks.server.connection import _PARSED_BYTES, _PARTS, _PIECES, Connection
from headworks.wheel import TimerWheel

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


class MemoryTransport:
    """As much of a transport as a connection uses."""

    def __init__(self):
        self.sent = []
        self.is_reading = True

    def get_extra_info(self, name, default=None):
        return default

    def write(self, data):
        self.sent.append(data)

    def can_write_eof(self):
        return True

    def write_eof(self):
        pass

    def close(self):
        pass

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high):
        pass


class Application:
    """Answers each request with its path and body, at once or when it is told to."""

    def __init__(self):
        self.waits = False
        self.held = []

    def admit(self, request):
        pass

    def refuse(self, refusal, request, reply):
        reply.respond(refusal.status, b"", b"refused")

    def handle(self, request, reply):
        if not self.waits:
            reply.respond(200, b"", request.body)
            return None
        self.held.append((request, reply))
        return self

    def cancel(self):
        self.held.clear()


class Stage:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.wheel = TimerWheel(self.loop)
        self.application = Application()
        limits = ServerLimits(body_bytes=10_000_000, buffered_bytes=100_000_000)
        self.server = HttpServer(self.application, limits=limits, wheel=self.wheel, loop=self.loop)
        self.connection = Connection(self.server)
        self.transport = MemoryTransport()
        self.connection.connection_made(self.transport)

    def turn(self):
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def rest(self):
        """Until all that has come is parsed, and a few turns more, for answers."""
        turns = 0
        while self.connection._unparsed:
            self.turn()
            turns += 1
            assert turns < 10_000
        for _ in range(20):
            self.turn()

    def bodies(self):
        """Of the answers, in order."""
        found, rest = [], b"".join(self.transport.sent)
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            found.append(rest[:length])
            rest = rest[length:]
        return found

    def close(self):
        self.connection.connection_lost(None)
        self.turn()
        assert self.server.buffered_bytes == 0
        self.wheel.close()
        self.loop.close()


@pytest.fixture
def stage():
    made = Stage()
    yield made
    made.close()


def chunked(body, size=1):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return HEAD + CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def sized(body, more=b""):
    return HEAD + more + b"content-length: %d\r\n\r\n%b" % (len(body), body)


def test_many_tiny_chunks_of_one_read_are_taken_in_over_many_turns_in_which_others_are_answered(stage):
    body = bytes(range(256)) * 160
    other = Stage()
    grown, turns = [], 0
    before = stage.server.buffered_bytes
    stage.connection.data_received(chunked(body))
    while not stage.transport.sent:
        assert not stage.transport.is_reading
        grown.append(stage.server.buffered_bytes - before)
        before = stage.server.buffered_bytes
        stage.turn()
        turns += 1
        assert turns < 1000
    other.close()

    assert turns >= len(chunked(body)) // _PARSED_BYTES
    assert max(grown) <= _PARSED_BYTES
    assert stage.bodies() == [body]
    assert stage.transport.is_reading


@pytest.mark.parametrize("pieces", [_PIECES - 1, _PIECES, _PIECES + 1, 3 * _PIECES, 3 * _PIECES + 1])
def test_a_body_that_comes_in_many_pieces_is_whole_and_never_in_many_at_once(stage, pieces):
    body = bytes(number % 251 for number in range(pieces))
    whole = chunked(body)
    most = 0
    for at in range(0, len(whole), 1000):
        stage.connection.data_received(whole[at : at + 1000])
        most = max(most, len(stage.connection._body), len(stage.connection._blocks))
    stage.turn()

    assert stage.bodies() == [body]
    assert most <= _PIECES
    stage.connection.data_received(chunked(body[::-1]))  # nothing of it is left for the next one
    stage.rest()
    assert stage.bodies() == [body, body[::-1]]


def test_a_body_in_many_pieces_that_breaks_off_leaves_none(stage):
    stage.connection.data_received(chunked(b"x" * 3 * _PIECES)[:-20] + b"not a chunk\r\n")
    stage.rest()

    assert stage.connection._body == stage.connection._blocks == []


def test_chunks_that_are_no_smaller_than_most_take_fewer_turns(stage):
    body = bytes(range(256)) * 1000
    stage.connection.data_received(chunked(body, 16_000))
    turns = 0
    while not stage.transport.sent:
        stage.turn()
        turns += 1
        assert turns < 1000

    assert turns <= len(body) // (_PARTS * _PARSED_BYTES) + 3
    assert stage.bodies() == [body]


def test_a_body_whose_length_is_known_is_taken_in_at_once(stage):
    body = b"x" * 200_000
    stage.connection.data_received(sized(body))

    assert stage.bodies() == [body]
    assert stage.transport.is_reading


def test_the_head_of_a_long_body_is_remembered_as_any_other(stage):
    for _ in range(2):
        stage.connection.data_received(sized(b"x" * 40_000))

    assert stage.connection._known_head is not None
    assert len(stage.bodies()) == 2


def test_what_stands_behind_tiny_chunks_is_answered_behind_them(stage):
    bodies = [b"a" * 30_000, b"b" * 50_000, b"", b"c" * 9_000, b"d"]
    stage.connection.data_received(
        chunked(bodies[0]) + sized(bodies[1]) + sized(bodies[2]) + chunked(bodies[3], 2) + sized(bodies[4])
    )
    stage.rest()

    assert stage.bodies() == bodies
    assert stage.transport.is_reading


def test_requests_that_wait_hold_up_what_is_not_parsed_yet_too(stage):
    stage.application.waits = True
    small = sized(b"x")
    count = 3 * _PARSED_BYTES // len(small)
    stage.connection.data_received(small * count)
    for _ in range(20):
        stage.turn()
    assert not stage.transport.is_reading
    answered = 0
    while stage.application.held:
        _, reply = stage.application.held.pop()
        reply.respond(200, b"", b"%d" % answered)
        answered += 1
        for _ in range(3):
            stage.turn()

    assert answered == count
    assert stage.bodies() == [b"%d" % number for number in range(count)]
    assert stage.transport.is_reading


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(stage):
    stage.connection.data_received(chunked(b"x" * 40_000))
    stage.turn()


def test_what_is_wrong_in_a_later_part_is_refused_and_nothing_behind_it_is_served(stage):
    stage.connection.data_received(chunked(b"x" * 20_000)[:-5] + b"zz\r\n" + sized(b"smuggled"))
    stage.rest()

    assert stage.bodies() == [b"refused"]
    assert b"HTTP/1.1 400 " in b"".join(stage.transport.sent)
    assert stage.transport.is_reading  # what still comes is read and dropped until the client has the answer


def test_what_came_while_reading_was_held_is_read_behind_it(stage):
    data = chunked(b"x" * 20_000) + sized(b"next")
    stage.connection.data_received(data[:-60])
    stage.connection.data_received(data[-60:])
    stage.rest()

    assert stage.bodies() == [b"x" * 20_000, b"next"]


@given(
    st.lists(st.tuples(st.sampled_from("sc"), st.integers(0, 30_000), st.integers(1, 5000)), min_size=1, max_size=6),
    st.integers(1, 100_000),
)
def test_however_requests_are_cut_into_reads_they_are_the_same(requests, size):
    bodies = [bytes([65 + number]) * length for number, (_, length, _) in enumerate(requests)]
    data = b"".join(
        sized(body) if kind == "s" else chunked(body, chunk)
        for body, (kind, _, chunk) in zip(bodies, requests, strict=True)
    )
    stage = Stage()
    for at in range(0, len(data), size):
        stage.connection.data_received(data[at : at + size])
    stage.rest()
    assert stage.bodies() == bodies
    assert stage.transport.is_reading
    stage.close()
