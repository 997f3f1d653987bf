"""One flight for calls that are the same and come at once: the first goes up, the others wait for its answer."""

import asyncio
from typing import Literal

import msgspec

from headworks.response_cache.entries import CachedAnswer

How = Literal["good", "none", "gone", "late"]


class Landed(msgspec.Struct, frozen=True):
    """How a flight ended for one who waited for it.

    Attributes:
        how: *good* with an answer that others may have; *none*: with another answer, or an error, so that all go by
            themselves; *gone*: its caller went away, so that the next leads; *late*: it has not ended in time.
        answer: of a good one.
        similarity: of the text that it was given to, where that was another: a cosine.
    """

    how: How
    answer: CachedAnswer | None = None
    similarity: float | None = None


class Flight:
    """One call that others wait for. State: who waits; how it ended.

    A follower that goes away takes nobody along, and neither does the leader.
    """

    __slots__ = ("_waiting", "landed")

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[Landed]] = set()
        self.landed: Landed | None = None

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._waiting)

    def land(self, landed: Landed) -> None:
        """It has ended. Only the first time counts."""
        if self.landed is not None:
            return
        self.landed = landed
        for future in self._waiting:
            if not future.done():
                future.set_result(landed)

    async def wait(self, loop: asyncio.AbstractEventLoop, most_s: float) -> Landed:
        """How it ends; `late` after so many seconds."""
        if self.landed is not None:
            return self.landed
        future: asyncio.Future[Landed] = loop.create_future()
        self._waiting.add(future)
        timer = loop.call_later(max(0.0, most_s), _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()
            self._waiting.discard(future)


class Flights:
    """The flights of one worker. State: those under way, by key."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def join(self, key: bytes) -> tuple[Flight, bool]:
        """The flight of a key, and whether it is the caller's to lead (and then to `end`)."""
        flight = self._under_way.get(key)
        if flight is not None:
            return flight, False
        flight = self._under_way[key] = Flight()
        return flight, True

    def end(self, key: bytes, flight: Flight) -> None:
        """It is over, whatever it came to; who still waits leads next."""
        if self._under_way.get(key) is flight:
            del self._under_way[key]
        flight.land(Landed("gone"))


def _give_up(future: "asyncio.Future[Landed]") -> None:
    if not future.done():
        future.set_result(Landed("late"))
