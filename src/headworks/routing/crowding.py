"""Whether calls queue up inside a target, by how long its answers take. Pure.

A target that takes longer than it did may be ill, may be asked harder things, or has more to do than it can. Only the
last is mended by asking it less. Three signs together tell it from the others:

- Even its quickest answers take longer. Who stands in a queue waits behind all others, whatever is asked; where only
  harder things are asked, the easy ones are as quick as ever. So what counts of a time is its minimum, as in CoDel
  (Nichols and Jacobson, "Controlling Queue Delay", 2012).
- What is under way grows, again and again. While more comes in than goes out, it grows from one answer's time to the
  next by just that share (Little's law); where all answers merely take longer, it grows once, and stays.
- Asking it less makes it quicker. A cut after which it is as slow as before is taken back.

What is compared is what Netflix's concurrency-limits compare (`Gradient2Limit`, 2018): the present time with that of a
long time, with a tolerance. The long-term time is a low, as in TCP Vegas (Brakmo and Peterson, 1995), for a mean would
take a queue that stands for the usual.
"""

import math

TOLERANCE = 2.0
"""The quickest answers may take so many times their long-term low. `Gradient2Limit` has 1.5; models' answers differ
more."""

CUT = 1.0 / TOLERANCE
"""To this share: where answers take twice as long as they could, half of what is under way would do as much."""

GROWTH = 1.1
"""What is under way grows where it is so many times what it was one answer's time ago."""

GROWTHS = 4
"""So often in a row, while answers are slow."""

LEAST_UNDER_WAY = 8
"""With fewer attempts under way nothing is held back for slowness."""

HELPED = 0.8
"""A cut was right where the quickest take no longer than this share of before; else the bound goes, for `DOUBTED_S`."""

JUDGED_AFTER = 2.0
"""A cut is judged after so many answers' times: those under way have to end first."""

_SMOOTHING = 0.3
"""Weight of the newest low: that of few answers is a matter of chance."""

DOUBTED_S = 60.0

EPOCH_S = 300.0
"""The long-term low is that of the present and the last time of this length."""


class Crowding:
    """What is learnt of one target's queue. State: the lows, what was under way at the last look, the last cut.

    Attributes:
        quickest_s: the smoothed time of the quickest answers of late; 0 before the first look.
    """

    __slots__ = (
        "_before_s",
        "_cut_s",
        "_cut_took_s",
        "_doubted_until_s",
        "_ends_s",
        "_grown",
        "_is_bound",
        "_least_s",
        "_looks_at_s",
        "_low_s",
        "_pending",
        "quickest_s",
    )

    def __init__(self) -> None:
        self._low_s = self._before_s = math.inf
        self._ends_s = -math.inf
        self.quickest_s = 0.0
        self._least_s = math.inf
        self._looks_at_s = -math.inf
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
        """How many attempts may be under way from now on. To be called every second or so; it compares times that
        lie as far apart as an answer takes.

        Arguments:
            took_s: the least that an answer has taken since the last call.
            pending: attempts under way.
            most: how many may be, up to now.
        """
        self._least_s = min(self._least_s, took_s)
        if now_s < self._looks_at_s:
            return most
        took_s, self._least_s = self._least_s, math.inf
        self._looks_at_s = now_s + took_s
        quickest_s = self.quickest_s
        self.quickest_s = quickest_s + (took_s - quickest_s) * _SMOOTHING if quickest_s else took_s
        is_slow = min(took_s, self.quickest_s) > TOLERANCE * self._low(now_s, self.quickest_s)
        self._grown = self._grown + 1 if is_slow and pending > GROWTH * self._pending else 0
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
        if not is_slow or not is_seen or self._cut_took_s or now_s < self._doubted_until_s:
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
