"""The stream of known pacing: how it is paced, what it says, how many there may be."""

import asyncio

import msgspec
import pytest

from headworks import pulse
from headworks.errors import Refusal
from headworks.pulse import BEAT, EVENTS, PACE_S, Pulse, PulseStreams, read_query


class Clock:
    """Time passes while somebody rests, and 3 ms more than that."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s

    async def rest(self, delay_s):
        self.now_s += delay_s + 0.003
        await asyncio.sleep(0)


class Reply:
    def __init__(self, clock):
        self._clock = clock
        self.pieces = []
        self.ended = self.aborted = False

    def begin(self, status, headers, first):
        self.head = (status, headers)
        self.write(first)

    def write(self, data):
        self.pieces.append((self._clock(), data))

    def end(self, data):
        self.write(data)
        self.ended = True

    def abort(self):
        self.aborted = True

    @property
    def pulses(self):
        return [read(data) for _, data in self.pieces if data != BEAT]


def read(data):
    assert data.startswith(b"data: ")
    assert data.endswith(b"\n\n")
    return msgspec.json.decode(data[6:], type=Pulse)


def send(query):
    clock = Clock()
    reply = Reply(clock)
    streams = PulseStreams(clock, clock.rest)
    asyncio.run(streams.send(read_query(query), reply, b"", lambda: reply.pieces.append((clock(), BEAT))))
    assert reply.pieces.pop(-2)[1] == BEAT  # it was told of the end before the end was sent
    return reply


def test_events_leave_at_an_even_pace_that_does_not_drift_and_say_when():
    reply = send("")

    assert [one.event for one in reply.pulses] == list(range(EVENTS))
    for (arrived_s, _), one in zip(reply.pieces, reply.pulses, strict=True):
        assert one.of == EVENTS
        assert arrived_s - 100.0 == pytest.approx(one.event * PACE_S, abs=0.007)
        assert one.sent_ms == pytest.approx((arrived_s - 100.0) * 1000, abs=0.1)
    assert reply.pulses[0].version
    assert sum(len(data) for _, data in reply.pieces) < 4096, "more than a proxy's buffer would not show it"
    assert reply.ended


def test_a_quiet_stream_says_nothing_before_its_last_event():
    reply = send("quiet_s=75")

    assert [one.sent_ms for one in reply.pulses] == [0, pytest.approx(75_000, abs=10)]
    assert len(reply.pieces) == 2


def test_a_quiet_stream_can_be_kept_alive_by_comments():
    reply = send("quiet_s=75&beat_s=15")

    assert [data for _, data in reply.pieces[1:-1]] == [BEAT] * 4
    assert len(reply.pulses) == 2


@pytest.mark.parametrize("query", ["quiet_s=-1", "quiet_s=301", "quiet_s=nan", "beat_s=0.1", "quiet_s=x"])
def test_what_is_no_time_within_bounds_is_refused_with_the_bounds(query):
    with pytest.raises(Refusal, match="number of seconds from") as refused:
        read_query(query)
    assert refused.value.status == 400


def test_only_a_few_are_sent_at_a_time_and_a_cancelled_one_gives_its_place_back():
    async def run():
        clock = Clock()
        never = asyncio.Event()
        streams = PulseStreams(clock, lambda _: never.wait())
        replies = [Reply(clock) for _ in range(pulse.MOST_AT_A_TIME)]
        tasks = [asyncio.create_task(streams.send(read_query(""), one, b"", bool)) for one in replies]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="under way"):
            await streams.send(read_query(""), Reply(clock), b"", bool)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        assert replies[0].aborted
        tasks.append(asyncio.create_task(streams.send(read_query(""), last := Reply(clock), b"", bool)))
        await asyncio.sleep(0)
        assert last.pulses
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(run())
