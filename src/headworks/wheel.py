"""The timer wheel: one a worker, so that a deadline costs an assignment and not a timer of the event loop.

A deadline is nearly always moved or dropped before it passes (every byte of a stream moves it). So a timer is
*lazy*: moving it later only writes the new time; the wheel looks at it when the old time comes round, and puts
it where it then belongs. The price is coarseness: a timer fires up to one tick late, never early.

    wheel = TimerWheel(loop)
    timer = Timer(on_timeout)
    wheel.arm(timer, 30.0)     # seconds from now
    wheel.arm(timer, 30.0)     # moved: an attribute write
    timer.disarm()
"""

import asyncio
import math
from collections.abc import Callable

TICK_S = 0.05
"""Coarseness in seconds: well below the shortest time limit that configuration accepts (0.1 s)."""


class Timer:
    """One deadline with what happens when it passes. Owned by one object and re-armed as its state changes."""

    __slots__ = ("_due_s", "_fire", "_look_s", "_slot")

    def __init__(self, fire: Callable[[], None]) -> None:
        self._fire = fire
        self._due_s = math.inf
        self._slot = -1  # the tick at which the wheel will look at this timer; -1: it is not in the wheel
        self._look_s = math.inf  # no deadline before this needs the wheel to look sooner

    @property
    def is_armed(self) -> bool:
        return self._due_s != math.inf

    def disarm(self) -> None:
        """Drop the deadline; harmless when there is none."""
        self._due_s = math.inf

    def retire(self) -> None:
        """The same for good: its owner goes, and is not to be held until the wheel has come round to this timer."""
        self._due_s = math.inf
        self._fire = _nothing


def _nothing() -> None:
    pass


class TimerWheel:
    """Buckets of timers by tick. State: `_buckets`, the handle of the next turn, and when it should come.

    Arguments:
        note_lag: told by how many seconds each turn came late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, note_lag: Callable[[float], None] | None = None) -> None:
        self._loop = loop
        self._note_lag = note_lag
        self._expected_s = 0.0
        self._time = loop.time
        self._buckets: dict[int, list[Timer]] = {}
        self._tick = int(loop.time() / TICK_S)
        self._turn_handle: asyncio.TimerHandle | None = None
        self._is_closed = False

    def arm(self, timer: Timer, delay_s: float) -> None:
        """Have `timer` fire `delay_s` seconds from now (up to one tick later), whatever it was set to before.

        What is left of a deadline may be negative: that is now. A slot in the past would never come round.
        """
        due_s = self._time() + delay_s if delay_s > 0.0 else self._time()
        timer._due_s = due_s  # noqa: SLF001 - Timer and TimerWheel are one mechanism in two classes
        if due_s < timer._look_s:  # noqa: SLF001
            self._place(timer, int(due_s / TICK_S) + 1)

    def arm_at(self, timer: Timer, due_s: float) -> None:
        """The same for a time of the loop's clock, which must not lie in the past; infinity is no deadline."""
        timer._due_s = due_s  # noqa: SLF001
        if due_s < timer._look_s:  # noqa: SLF001
            self._place(timer, int(due_s / TICK_S) + 1)

    def close(self) -> None:
        """Stop turning; no timer fires any more, also none that is armed later."""
        self._is_closed = True
        if self._turn_handle is not None:
            self._turn_handle.cancel()
            self._turn_handle = None
        self._buckets.clear()

    def _place(self, timer: Timer, slot: int) -> None:
        timer._slot = slot  # noqa: SLF001
        timer._look_s = (slot - 1) * TICK_S  # noqa: SLF001
        bucket = self._buckets.get(slot)
        if bucket is None:
            self._buckets[slot] = [timer]
        else:
            bucket.append(timer)
        if self._turn_handle is None and not self._is_closed:
            self._tick = int(self._time() / TICK_S)
            self._schedule()

    def _schedule(self) -> None:
        self._expected_s = self._time() + TICK_S
        self._turn_handle = self._loop.call_later(TICK_S, self._turn)

    def _turn(self) -> None:
        """Look at every timer whose slot has come: fire it, put it further on, or let it go."""
        now_s = self._time()
        if self._note_lag is not None:
            self._note_lag(now_s - self._expected_s)
        current = int(now_s / TICK_S)
        due: list[Timer] = []
        for tick in range(self._tick + 1, current + 1):
            for timer in self._buckets.pop(tick, ()):
                if timer._slot != tick:  # noqa: SLF001 - it was armed for an earlier slot since; this entry is stale
                    continue
                timer._slot = -1  # noqa: SLF001
                timer._look_s = math.inf  # noqa: SLF001
                if timer._due_s == math.inf:  # noqa: SLF001
                    continue
                if timer._due_s <= now_s:  # noqa: SLF001
                    due.append(timer)
                else:
                    self._place(timer, max(int(timer._due_s / TICK_S) + 1, current + 1))  # noqa: SLF001
        self._tick = current
        if self._buckets:
            self._schedule()
        else:
            self._turn_handle = None
        for timer in due:
            # Through the loop, so that one that raises is reported and does not stop the others.
            self._loop.call_soon(self._fire, timer)

    def _fire(self, timer: Timer) -> None:
        """Fire, unless the timer was disarmed or moved between the turn and now (bytes may have come in between)."""
        if timer._due_s <= self._time() and not self._is_closed:  # noqa: SLF001
            timer._due_s = math.inf  # noqa: SLF001
            timer._fire()  # noqa: SLF001
