"""How many further attempts a target may be given: a budget, and whether it fails too often for that to last. Pure.

Both are asked only when an attempt has failed: what goes well costs nothing here.
"""

from collections import deque

WINDOW_S = 20.0
"""The window in which calls and failures are counted."""

RETRY_RATIO = 0.2
RETRIES_IN_WINDOW = 10
"""Further attempts that may be made in the window: a fifth of its calls and a few more (Google SRE, "Handling
Overload": a client's retries stay below a tenth; Finagle's budget has a fifth and ten a second)."""

OFTEN_SHARE = RETRY_RATIO / (1.0 + RETRY_RATIO)
LATEST_FAILURES = 16
"""A target fails often of late where its latest failures, so many, are a sixth of the attempts that they lie among.
Where a share f fails, to ask again until it is answered makes f/(1-f) further attempts for each call: a fifth from a
sixth on. The latest few say so within seconds; the window would still know how well it was."""


class RetryBudget:
    """The further attempts at one target, in the window that ends now. The time of each is kept until it is out of the
    window: an approximation would let through up to twice as many in a window that begins in the middle of one of
    ours."""

    __slots__ = ("_times_s",)

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()  # no more than the budget

    def taken(self, now_s: float) -> int:
        """How many there were."""
        times_s = self._times_s
        while times_s and times_s[0] <= now_s - WINDOW_S:
            times_s.popleft()
        return len(times_s)

    def take(self, now_s: float, calls: float) -> bool:
        """Take one; False where there is none left.

        Arguments:
            calls: in the window, without further attempts.
        """
        if self.taken(now_s) + 1 > RETRIES_IN_WINDOW + RETRY_RATIO * calls:
            return False
        self._times_s.append(now_s)
        return True


class LatestFailures:
    """The latest failures of one target, each with how many attempts there had been by then, and when."""

    __slots__ = ("_failed",)

    def __init__(self) -> None:
        self._failed: deque[tuple[int, float]] = deque(maxlen=LATEST_FAILURES)

    def note(self, attempts: int, now_s: float) -> None:
        """One more."""
        self._failed.append((attempts, now_s))

    def clear(self) -> None:
        """What was is no sign of what will be."""
        self._failed.clear()

    def are_often(self, attempts: int, now_s: float) -> bool:
        """Whether they are so many of the attempts that to ask again would take more than a budget has."""
        failed = self._failed
        if len(failed) < LATEST_FAILURES:
            return False
        first, since_s = failed[0]
        return now_s - since_s < 2.0 * WINDOW_S and len(failed) - 1 >= OFTEN_SHARE * (attempts - first)
