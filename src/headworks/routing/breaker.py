"""A circuit breaker: closed, open, half open with probes, closed again. Pure.

It is told what happens and lets attempts pass or not; when it opens is decided by whoever counts (`health.py`).
"""

from collections.abc import Callable

FAILURES_IN_A_ROW = 5
"""One opens after so many failures with nothing good between them: a target with little traffic must not wait."""

BUSY_CALLS = 100
FAILURES_OF_BUSY = 10
"""With so many calls in the window it takes so many in a row: where it is down they come within a moment, while five in
a row come by chance every few seconds where a third of its answers fail, and two thirds are better than none."""

FIRST_OPEN_S = 5.0
MOST_OPEN_S = 60.0
"""How long it stays open; twice as long each time that a probe fails."""

OPEN_SPREAD = 0.2
"""Of that time, the share that is random, so that workers do not probe together."""

CLOSING_PROBES = 2
"""It closes after so many good probes, of which one is under way at a time."""


class Breaker:
    """One breaker. Times are of one monotonic clock.

    Arguments:
        uniform: a random number from 0 up to the one given.

    Attributes:
        is_open: open or half open: attempts are probes.
        row: failures since the last good attempt.
        since_s: when it opened; failed probes do not begin it anew.
        opened_s: when it has opened last, a failed probe of half-open included; it may be closed by now.
        opens_at_s: when the next probe may be made.
    """

    __slots__ = (
        "_good_probes",
        "_may_hurry",
        "_open_s",
        "_probe_since_s",
        "_uniform",
        "is_open",
        "opened_s",
        "opens_at_s",
        "row",
        "since_s",
    )

    def __init__(self, uniform: Callable[[float], float]) -> None:
        self._uniform = uniform
        self.is_open = False
        self.row = 0
        self.since_s = 0.0
        self.opened_s = 0.0
        self.opens_at_s = 0.0
        self._may_hurry = True
        self._open_s = FIRST_OPEN_S
        self._probe_since_s = -1.0
        self._good_probes = 0

    def may_pass(self, now_s: float) -> bool:
        """Whether an attempt may be made. Where it is half open this is a probe, which `begin` makes."""
        if not self.is_open:
            return True
        # A probe that nobody ended would keep it half open for ever: after as long as it may be open, it is given up.
        is_probed = self._probe_since_s >= 0 and now_s - self._probe_since_s < MOST_OPEN_S
        return now_s >= self.opens_at_s and not is_probed

    def begin(self, now_s: float) -> None:
        """An attempt begins."""
        if self.is_open:
            self._probe_since_s = now_s

    def good(self) -> bool:
        """One was good; whether that closes it."""
        self.row = 0
        if not self.is_open:
            return False
        self._probe_since_s = -1.0
        self._good_probes += 1
        if self._good_probes < CLOSING_PROBES:
            return False
        self.is_open, self._may_hurry, self._open_s = False, True, FIRST_OPEN_S
        return True

    def bad(self, now_s: float) -> None:
        """One has failed. A probe that does opens it for twice as long; others had begun before it opened."""
        self.row += 1
        if self.is_open and self._probe_since_s >= 0:
            self._open_s = min(self._open_s * 2.0, MOST_OPEN_S)
            self.open(now_s)

    def let_go(self) -> None:
        """One has ended without a word on how the target is: somebody else may probe."""
        self._probe_since_s = -1.0

    def open(self, now_s: float) -> None:
        """Let nothing pass for a while."""
        if not self.is_open:
            self.since_s = now_s
        self.opened_s = now_s
        self.is_open = True
        self._probe_since_s = -1.0
        self._good_probes = 0
        self.opens_at_s = now_s + self._open_s * (1.0 - OPEN_SPREAD) + self._uniform(self._open_s * OPEN_SPREAD)

    def is_down(self, calls: float) -> bool:
        """Whether so many have failed in a row that it is to open.

        Arguments:
            calls: in the window.
        """
        return self.row >= (FAILURES_IN_A_ROW if calls < BUSY_CALLS else FAILURES_OF_BUSY)

    def hold_open(self, until_s: float, *, has_failed: bool) -> None:
        """Keep it open, where it is, as long as it is not known how the target is, or known that it is not well.

        Arguments:
            has_failed: an active probe has failed: the next one that does not is news.
        """
        if self.is_open:
            self.opens_at_s = max(self.opens_at_s, until_s)
            self._may_hurry = self._may_hurry or has_failed

    def half_open(self, now_s: float) -> None:
        """An active probe has found the target well: let an attempt through before its time. Once, until a further
        probe has failed: a target whose probes are good and whose answers are not keeps its pace."""
        if self.is_open and self._may_hurry:
            self._may_hurry = False
            self.opens_at_s = min(self.opens_at_s, now_s)
