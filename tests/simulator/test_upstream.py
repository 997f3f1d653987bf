import asyncio
import json

import pytest

from headworks.calls import FailureKind
from headworks.exchange import Timeouts, UpstreamRequest, request_line
from headworks.simulator import Plan, SimulatedUpstream, Simulator
from headworks.simulator.plan import Cut, Outage, SlowStart, Stall

HEADERS = b"authorization: Bearer sk-test\r\ncontent-type: application/json\r\n"


class Heard:
    """A sink that keeps what it hears."""

    def __init__(self):
        self.status = 0
        self.headers = {}
        self.pieces = []
        self.failure = None
        self.is_over = asyncio.Event()

    def on_head(self, status, headers):
        assert self.status == 0
        self.status, self.headers = status, headers

    def on_body(self, data):
        assert self.status
        self.pieces.append(data)

    def on_end(self):
        self.is_over.set()

    def on_failure(self, failure):
        self.failure = failure
        self.is_over.set()


def post(**fields):
    body = {"model": "gpt-6-luna", "input": "Hi", **fields}
    return UpstreamRequest(request_line("POST", "/v1/responses"), HEADERS, json.dumps(body).encode())


def upstream(**plan):
    loop = asyncio.get_running_loop()
    return SimulatedUpstream(Simulator(Plan(**{"pace": 0, **plan}), now=loop.time))


async def heard(request, timeouts=None, **plan):
    sink = Heard()
    upstream(**plan).send(request, sink, timeouts or Timeouts())
    await sink.is_over.wait()
    return sink


def test_an_answer_comes_whole_and_not_before_send_returns(hurry):
    async def sent():
        sink = Heard()
        upstream().send(post(), sink, Timeouts())
        before = sink.status
        await sink.is_over.wait()
        return before, sink

    before, sink = hurry(sent())
    assert before == 0
    assert sink.status == 200
    assert sink.headers[b"content-type"] == b"application/json"
    assert json.loads(b"".join(sink.pieces))["status"] == "completed"


def test_a_stream_without_delays_comes_in_one_piece(hurry):
    sink = hurry(heard(post(stream=True)))
    assert len(sink.pieces) == 1
    assert sink.pieces[0].count(b"\n\n") > 10


def test_a_stream_with_delays_comes_in_pieces(hurry):
    sink = hurry(heard(post(stream=True), pace=1))
    assert len(sink.pieces) > 10
    assert sink.failure is None


def test_the_query_reaches_the_simulator(hurry):
    async def stored():
        the_upstream = upstream()
        first, second = Heard(), Heard()
        the_upstream.send(post(), first, Timeouts())
        await first.is_over.wait()
        path = f"/v1/responses/{json.loads(first.pieces[0])['id']}?stream=true&starting_after=5"
        the_upstream.send(UpstreamRequest(request_line("GET", path), HEADERS), second, Timeouts())
        await second.is_over.wait()
        return second

    assert b'"sequence_number":6' in hurry(stored()).pieces[0]


@pytest.mark.parametrize(
    ("plan", "kind", "status"),
    [
        ({"faults": (Cut(),)}, FailureKind.BROKEN, 200),
        ({"faults": (Outage(is_silent=True),)}, FailureKind.BROKEN, 0),
        ({"faults": (Stall(),)}, FailureKind.TIMEOUT, 200),
        ({"faults": (Stall(before_head=True),)}, FailureKind.TIMEOUT, 0),
        ({"faults": (SlowStart(delay_s=500),)}, FailureKind.TIMEOUT, 0),
    ],
)
def test_what_goes_wrong_is_a_failure_of_its_kind(hurry, plan, kind, status):
    failure = hurry(heard(post(stream=True), **plan)).failure
    assert (failure.kind, failure.status) == (kind, status)


def test_a_slow_stream_meets_the_total_time_limit(hurry):
    sink = hurry(heard(post(stream=True), Timeouts(total_s=2.0), pace=100))
    assert sink.failure.kind is FailureKind.TIMEOUT
    assert "total" in sink.failure.detail


def test_a_paused_flight_waits_and_a_cancelled_one_is_silent(hurry):
    async def flown():
        sink = Heard()
        flight = upstream(pace=1000).send(post(stream=True), sink, Timeouts())
        flight.pause()
        await asyncio.sleep(30)
        while_paused = len(sink.pieces)
        flight.resume()
        await asyncio.sleep(0.3)
        flight.cancel()
        flight.cancel()
        pieces = len(sink.pieces)
        await asyncio.sleep(60)
        return while_paused, pieces == len(sink.pieces), sink.is_over.is_set()

    assert hurry(flown()) == (0, True, False)


def test_closing_fails_what_is_under_way(hurry):
    async def closed():
        the_upstream = upstream(pace=1)
        sink = Heard()
        the_upstream.send(post(stream=True), sink, Timeouts())
        await asyncio.sleep(0.01)
        await the_upstream.close()
        await the_upstream.close()
        await asyncio.sleep(60)
        return sink

    sink = hurry(closed())
    assert sink.failure.kind is FailureKind.BROKEN
