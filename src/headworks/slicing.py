"""Screening a long text while others are served: a slice of the work every few turns of the loop, whoever it is for.

The loop of a worker serves thousands of calls. A call of a few kilobytes is screened at once, in less time than going
round the loop takes. What takes longer gives way after each slice, and of all that take longer one is at it in a turn.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

from headworks.screening.steps import Steps, T

FIRST_S = 0.0003
"""Seconds after which a screening counts as a long one: about what a small call takes from end to end."""

SLICE_S = 0.0001
"""Seconds that a long one takes from each turn of the loop. A small call takes some turns, and each costs about ten
microseconds."""

_TURNS_BETWEEN = 4
"""Turns of the loop from one slice to the next: a small call takes about as many, and so meets one slice or two. Where
nobody else has anything to do they cost some ten microseconds each."""


class Slices:
    """Drives the screenings of a gateway. State: whose turn it is.

    Arguments:
        now: seconds, from any beginning.
    """

    def __init__(self, *, now: Callable[[], float] = perf_counter) -> None:
        self._turn = asyncio.Lock()
        self._now = now

    async def of(self, steps: Steps[T]) -> T:
        """What the steps come to. Cancelling ends them.

        Raises:
            Whatever they raise.
        """
        is_over, result = self._slice(steps, FIRST_S)
        while not is_over:
            async with self._turn:  # who came first goes on first
                for _ in range(_TURNS_BETWEEN):
                    await asyncio.sleep(0)
                is_over, result = self._slice(steps, SLICE_S)
        assert result is not None, "it is over"
        return result[0]

    def _slice(self, steps: Steps[T], length_s: float) -> tuple[bool, tuple[T] | None]:
        """Whether it is over, and the result in a tuple of its own."""
        ends_s = self._now() + length_s
        try:
            while True:
                next(steps)
                if self._now() >= ends_s:
                    return False, None
        except StopIteration as over:
            return True, (over.value,)
