"""Whether calls queue up inside a target, by how long its answers take. Pure.

A target that takes longer than it did may be ill, may be asked harder things, or has more to do than it can. Only the
last is mended by asking it less. So slowness alone binds nothing: there must be a queue, too. While more comes in than
goes out, what is under way grows from one answer's time to the next by just that share (Little's law), and goes on
growing; where answers merely take longer, it grows once, and stays.

What is compared is what Netflix's concurrency-limits compare (`Gradient2Limit`, 2018): the present time with that of a
long time, with a tolerance. Beyond it, half of what is under way stands in the queue, and half is the most that is cut
at once there. The long-term time is a minimum, as in TCP Vegas (Brakmo and Peterson, 1995), for a mean would take a
queue that stands for the usual.
"""

import math

TOLERANCE = 2.0
"""An answer's time may be so many times its long-term low. `Gradient2Limit` has 1.5; answers of models differ more."""

CUT = 1.0 / TOLERANCE
"""To this share: where answers take twice as long as they could, half of what is under way would do as much."""

GROWTH = 1.1
"""What is under way grows where it is so many times what it was one answer's time ago."""

GROWTHS = 2
"""So often in a row: answers that take longer, and nothing else, let it grow once."""

LEAST_UNDER_WAY = 8
"""With fewer attempts under way nothing is held back for slowness."""

HELPED = 0.8
"""A cut was right where answers take no longer than this share of before; else the bound goes, for `DOUBTED_S`."""

JUDGED_AFTER = 3.0
"""A cut is judged after so many answers' times: those under way have to end first, and the smoothed time has to
follow."""

DOUBTED_S = 60.0

EPOCH_S = 300.0
"""The long-term low is that of the present and the last time of this length."""


class Crowding:
    """What is learnt of one target's queue. State: the lows, what was under way at the last look, the last cut."""

    __slots__ = (
        "_before_s",
        "_cut_s",
        "_cut_took_s",
        "_doubted_until_s",
        "_ends_s",
        "_grown",
        "_is_bound",
        "_low_s",
        "_pending",
    )

    def __init__(self) -> None:
        self._low_s = self._before_s = math.inf
        self._ends_s = -math.inf
        self._pending = 0
        self._grown = 0
        self._cut_s = 0.0
        self._cut_took_s = 0.0  # above 0 until it is known whether the cut was right
        self._is_bound = False
        self._doubted_until_s = -math.inf

    def forget_cut(self) -> None:
        """The target itself has said that it has too much to do: the bound is that word's from now on."""
        self._is_bound = False
        self._cut_took_s = 0.0

    def look(self, now_s: float, took_s: float, pending: int, most: float) -> float:
        """How many attempts may be under way from now on. To be called about once in an answer's time.

        Arguments:
            took_s: the smoothed time of its answers of late.
            pending: attempts under way.
            most: how many may be, up to now.
        """
        low_s = self._low(now_s, took_s)
        self._grown = self._grown + 1 if pending > GROWTH * self._pending else 0
        self._pending = pending
        if math.isinf(most):
            self.forget_cut()
        if self._cut_took_s and now_s >= self._cut_s + JUDGED_AFTER * self._cut_took_s:
            if took_s > HELPED * self._cut_took_s:
                self.forget_cut()
                self._doubted_until_s = now_s + DOUBTED_S
                return math.inf
            self._cut_took_s = 0.0
        is_seen = self._is_bound or (self._grown >= GROWTHS and pending > LEAST_UNDER_WAY)
        if took_s <= TOLERANCE * low_s or not is_seen or self._cut_took_s or now_s < self._doubted_until_s:
            return most
        self._is_bound, self._cut_s, self._cut_took_s = True, now_s, took_s
        return min(most, pending) * CUT

    def _low(self, now_s: float, took_s: float) -> float:
        if now_s >= self._ends_s:
            self._before_s = self._low_s if now_s < self._ends_s + EPOCH_S else math.inf
            self._low_s = math.inf
            self._ends_s = now_s + EPOCH_S
        self._low_s = min(self._low_s, took_s)
        return min(self._low_s, self._before_s)
