"""A stream of known pacing, by which `headworks doctor` measures what stands between a caller and this gateway.

`GET /v1/diagnostics/stream` sends events a tenth of a second apart, each with the moment at which it left: whoever
receives them sees by its own clock which ones were kept back on the way, and for how long. It lies below `/v1/` and
wants a key, as calls do: a proxy treats it as it treats them. No model is asked.

    ?quiet_s=75            say nothing for that long before the last event: does a proxy cut what is idle?
    ?quiet_s=75&beat_s=15  the same with a comment every 15 seconds: does that keep the connection alive?
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import msgspec

from headworks._version import __version__
from headworks.errors import Refusal
from headworks.exchange import Reply

PATH = "/v1/diagnostics/stream"

EVENTS = 20
PACE_S = 0.1
"""Two seconds for 1.5 KB in all: less than any proxy's buffer, so that one that fills buffers sends it as one."""

QUIET_MOST_S = 300.0
BEAT_LEAST_S = 1.0

MOST_AT_A_TIME = 4
"""Streams of one worker: enough for every operator who looks for a fault, too few to be of use for anything else."""

BEAT = b": beat\n\n"


class Pulse(msgspec.Struct, frozen=True):
    """One event. `sent_ms` counts from the first one, by the gateway's clock; `of` is how many there will be."""

    event: int
    of: int
    sent_ms: float
    version: str = ""


class Asked(msgspec.Struct, frozen=True):
    """What the query asks for, in seconds; 0 is none."""

    quiet_s: float = 0.0
    beat_s: float = 0.0


def read_query(query: str) -> Asked:
    """What is asked for.

    Raises:
        Refusal: 400, a value is not a number within its bounds.
    """
    given = parse_qs(query)
    return Asked(
        _seconds(given, "quiet_s", 0.0, QUIET_MOST_S),
        _seconds(given, "beat_s", BEAT_LEAST_S, QUIET_MOST_S),
    )


class PulseStreams:
    """Sends such streams. State: how many are under way.

    Arguments:
        clock: seconds, of the loop's clock.
        rest: waits for that many seconds.
    """

    def __init__(self, clock: Callable[[], float], rest: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._clock = clock
        self._rest = rest
        self._under_way = 0

    async def send(self, asked: Asked, reply: Reply, headers: bytes, before_end: Callable[[], None]) -> None:
        """Send one, with these headers; `before_end` is called when only its last event is left to send.

        Raises:
            Refusal: 429, there are enough under way.
        """
        if self._under_way >= MOST_AT_A_TIME:
            raise Refusal(
                429,
                "too_many_diagnostics",
                f"{MOST_AT_A_TIME} diagnostic streams are under way in this worker; try again when they have ended.",
                kind="rate_limit_error",
                headers=(("retry-after", "3"),),
            )
        self._under_way += 1
        try:
            last = await self._send(asked, reply, headers)
            before_end()
            reply.end(last())
        except asyncio.CancelledError:
            reply.abort()  # the caller has gone, or we stop: a stream that lacks its end must not look whole
            raise
        finally:
            self._under_way -= 1

    async def _send(self, asked: Asked, reply: Reply, headers: bytes) -> Callable[[], bytes]:
        """Send all but the last event, wait until that is due, and return what makes it."""
        began_s = self._clock()
        count = 2 if asked.quiet_s else EVENTS

        def event(number: int) -> bytes:
            sent_ms = round((self._clock() - began_s) * 1000, 1)
            pulse = Pulse(number, count, sent_ms, __version__ if number == 0 else "")
            return b"data: %b\n\n" % msgspec.json.encode(pulse)

        reply.begin(200, headers, event(0))
        if asked.quiet_s:
            await self._keep_quiet(asked, reply)
        for number in range(1, count - 1):
            await self._rest(max(0.0, began_s + number * PACE_S - self._clock()))
            reply.write(event(number))
        if not asked.quiet_s:
            await self._rest(PACE_S)
        return lambda: event(count - 1)

    async def _keep_quiet(self, asked: Asked, reply: Reply) -> None:
        end_s = self._clock() + asked.quiet_s
        while (left_s := end_s - self._clock()) > 0:
            await self._rest(min(left_s, asked.beat_s or left_s))
            if asked.beat_s and self._clock() < end_s:
                reply.write(BEAT)


def _seconds(given: dict[str, list[str]], name: str, least: float, most: float) -> float:
    if name not in given:
        return 0.0
    try:
        value = float(given[name][-1])
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        message = f"`{name}` takes a number of seconds from {least:g} to {most:g}."
        raise Refusal(400, "invalid_value", message, param=name)
    return value
