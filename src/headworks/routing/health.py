"""What is learnt of a target, and what holds attempts at it back: circuit breaker, rest, retry budget, load. Pure.

A good attempt costs two calls of a few additions here. Counts are kept over a sliding window in the usual
approximation: the present window, and the share of the one before it that is still within reach.
"""

import math
from collections.abc import Callable

from headworks.calls import FailureKind
from headworks.routing.breaker import Breaker
from headworks.routing.crowding import Crowding
from headworks.routing.health_view import BreakerState, HealthView
from headworks.routing.retrying import RETRY_RATIO, WINDOW_S, LatestFailures, RetryBudget

LEAST_CALLS = 10
"""With fewer calls in the window their share of failures says little."""

FAILURE_SHARE = 0.5
"""The breaker opens when so many of them have failed (resilience4j's default)."""

UNAUTHORIZED_REST_S = 120.0
"""How long a target rests whose key was refused: whoever mends it needs minutes, too."""

RATE_LIMIT_REST_S = 2.0
"""How long it rests after a 429 that does not say how long."""

MOST_REST_S = 300.0

UNWELL_SHARE = RETRY_RATIO
"""Of a target that fails so often, attempts that others could not serve are further attempts like all: they come out of
its budget. Below that they are free, and yet no more than a fifth of them makes another one."""

LOOK_S = 1.0
"""How often, at most, it is looked at how long answers take of late."""

TRIED_ALL_THE_SAME = 10
"""Of attempts for which a target is known to be too slow, one in so many is made all the same, to see."""

OVERLOADED_BY = frozenset({FailureKind.OVERLOADED, FailureKind.TIMEOUT})
CUT = 0.7
LEAST_AT_ONCE = 4
"""When a target says that it has too much to do, or takes too long, no more than this share of what was under way may
be under way from then on, and at least so many; each answer adds a little (additive increase, multiplicative decrease:
Chiu and Jain 1989)."""

CUT_EVERY_S = 1.0
"""One cut in so long: the failures of one moment are one sign."""

UNCUT_AFTER_S = 60.0
"""Without a further sign for so long, there is no bound again."""

CROWDED_WAIT_S = 0.05

_SMOOTHING = 0.1
"""Weight of the newest time in the smoothed one."""

FORGETS_S = 10.0
"""A pool's slowness counts half after so long without an answer of its own."""

COUNTED = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.TIMEOUT,
        FailureKind.BROKEN,
        FailureKind.INVALID,
        FailureKind.OVERLOADED,
        FailureKind.ERROR,
    }
)
"""Failures that the breaker counts: those that say that the target is not well. A 429 and a refused key are one
project's and have it rest; what is wrong with a request is its caller's."""


class Health:
    """One target's, in one process. Times are of one monotonic clock.

    Arguments:
        uniform: a random number from 0 up to the one given.
        slow_s: a good answer that took so long counts as a failure.
        is_measured: what is asked is to find out how the target is, as evals do. No attempt is held back for those
            before it, but where the target has said so: neither breaker nor bound, and time enough is always taken for
            enough.

    Attributes:
        pending: attempts under way.
        is_held: whether `may_pass` has anything to say; while False it need not be asked, and an attempt begins by
            adding to `pending`.
        took_s: the smoothed time to the head of an answer; 0 before the first.
        most: attempts that may be under way at once; infinite as long as the target has not said that it is too much,
            and no queue has been seen.
        quick_s: the shortest time to the head of an answer in the window and the one before it; 0 where too few are
            known.
    """

    __slots__ = (
        "_bad",
        "_bad_before",
        "_before",
        "_breaker",
        "_calls",
        "_crowding",
        "_cut_s",
        "_ends_s",
        "_failures",
        "_heard_s",
        "_is_measured",
        "_latest",
        "_looks_at_s",
        "_low_before_s",
        "_low_s",
        "_peak_s",
        "_rest_kind",
        "_rest_until_s",
        "_retries",
        "_retry_budget",
        "_seen",
        "_slow_s",
        "_streamed",
        "_untimely",
        "_whole",
        "_window_low_s",
        "is_held",
        "most",
        "pending",
        "quick_s",
        "took_s",
    )

    def __init__(self, uniform: Callable[[float], float], *, slow_s: float = 60.0, is_measured: bool = False) -> None:
        self.pending = 0
        self.is_held = False
        self.most = math.inf
        self._cut_s = -math.inf
        self.took_s = 0.0
        self._peak_s = 0.0
        self._heard_s = 0.0
        self._breaker = Breaker(uniform)
        self._streamed, self._whole = Breaker(uniform), Breaker(uniform)
        self._slow_s = slow_s
        self._is_measured = is_measured
        self._calls = self._failures = self._retries = 0
        self._before = (0, 0, 0)
        self._seen = 0  # attempts before those in `_calls`
        self._latest = LatestFailures()
        self._bad = self._bad_before = 0  # attempts that gave no answer that a model has made
        self._low_s = math.inf  # since the last look
        self._window_low_s = self._low_before_s = math.inf
        self.quick_s = 0.0
        self._untimely = 0
        self._looks_at_s = 0.0
        self._crowding = Crowding()
        self._retry_budget = RetryBudget()
        self._ends_s = 0.0
        self._rest_until_s = 0.0
        self._rest_kind = FailureKind.RATE_LIMITED

    # -- an attempt -----------------------------------------------------------------------------------------------

    @property
    def opened_s(self) -> float:
        """When the breaker has opened last, a failed probe of half-open included; it may be closed by now."""
        return self._breaker.opened_s

    def may_pass(self, now_s: float, is_streamed: bool = False) -> bool:
        """Whether an attempt may be made. Where a breaker is half open this is a probe, which `begin` makes.

        Arguments:
            is_streamed: a stream is asked for, and no whole answer; so below, too.
        """
        if now_s < self._rest_until_s:
            return False
        if self.most != math.inf:
            if now_s - self._cut_s >= UNCUT_AFTER_S:
                self.most = math.inf
            elif self.pending >= self.most:
                return False
        own = self._streamed if is_streamed else self._whole
        if own.is_open and not own.may_pass(now_s):
            return False
        if not self._breaker.is_open:
            self.is_held = self.most != math.inf or self._whole.is_open or self._streamed.is_open
            return True
        return self._breaker.may_pass(now_s)

    def begin(self, now_s: float, is_streamed: bool = False) -> None:
        """An attempt begins; `succeeded`, `failed` or `gave_up` ends it."""
        self.pending += 1
        self._breaker.begin(now_s)
        (self._streamed if is_streamed else self._whole).begin(now_s)

    def succeeded(self, now_s: float, took_s: float, is_streamed: bool = False) -> None:
        """It came to an answer, whatever is in it.

        Arguments:
            took_s: until the head of the answer.
        """
        self.pending -= 1
        if now_s >= self._looks_at_s:
            self._look(now_s)
        self._calls += 1
        if took_s < self._low_s:
            self._low_s = took_s
        smoothed_s = self.took_s
        self.took_s = smoothed_s + (took_s - smoothed_s) * _SMOOTHING if smoothed_s else took_s
        peak_s = self._peak_s
        self._peak_s = took_s if took_s > peak_s else peak_s + (took_s - peak_s) * _SMOOTHING
        self._heard_s = now_s
        if took_s >= self._slow_s:
            self._count_failure(now_s, is_streamed)
            return
        own = self._streamed if is_streamed else self._whole
        own.row = self._breaker.row = 0
        if self.is_held:  # else no breaker is open, and there is no bound
            self._was_good(own)

    def refused(self, now_s: float, took_s: float, is_streamed: bool = False) -> None:
        """It was answered, with a refusal that says nothing of the target, and nothing of how long its answers take."""
        if now_s >= self._looks_at_s:
            self._look(now_s)
        low_s = self._low_s
        self.succeeded(now_s, took_s, is_streamed)
        self._low_s = low_s
        self._bad += 1

    def failed(
        self, now_s: float, kind: FailureKind, retry_after_s: float | None = None, is_streamed: bool = False
    ) -> None:
        """It came to nothing.

        Arguments:
            retry_after_s: what the target says.
        """
        self.pending -= 1
        if now_s >= self._looks_at_s:
            self._look(now_s)
        self._calls += 1
        self._bad += 1
        self._latest.note(self._seen + self._calls, now_s)
        if kind in (FailureKind.RATE_LIMITED, FailureKind.QUOTA):
            rest_s = RATE_LIMIT_REST_S if retry_after_s is None else retry_after_s
            self._rest(kind, now_s + min(rest_s, MOST_REST_S))
        elif kind is FailureKind.UNAUTHORIZED:
            self._rest(kind, now_s + UNAUTHORIZED_REST_S)
        elif kind in COUNTED:
            if kind in OVERLOADED_BY and now_s - self._cut_s >= CUT_EVERY_S and not self._is_measured:
                self.most = max(float(LEAST_AT_ONCE), min(self.most, self.pending + 1.0) * CUT)
                self._cut_s, self.is_held = now_s, True
                self._crowding.forget_cut()
            self._count_failure(now_s, is_streamed)
            return
        self._let_go(is_streamed)  # it says nothing of the target's health

    def gave_up(self, is_streamed: bool = False) -> None:
        """The caller has gone: nothing was learnt."""
        self.pending -= 1
        self._let_go(is_streamed)

    def key_changed(self) -> None:
        """There is another key: a refusal of the one before says nothing of it."""
        if self._rest_kind is FailureKind.UNAUTHORIZED:
            self._rest_until_s = 0.0

    # -- active probes --------------------------------------------------------------------------------------------

    def is_open(self, now_s: float) -> bool:
        """Whether the breaker is open, and not half open: no attempt is let through."""
        return self._breaker.is_open and now_s < self._breaker.opens_at_s

    def hold_open(self, until_s: float, *, has_failed: bool) -> None:
        """Keep an open breaker open: see `Breaker.hold_open`."""
        self._breaker.hold_open(until_s, has_failed=has_failed)

    def half_open(self, now_s: float) -> None:
        """An active probe has found the target well: see `Breaker.half_open`."""
        self._breaker.half_open(now_s)

    def cost_s(self, now_s: float) -> float:
        """How long an answer's head takes, for choosing: a slow one counts at once, and is forgotten in time, also
        while nobody asks (peak-EWMA, as in Finagle); 0 before the first."""
        return self._peak_s * math.exp2((self._heard_s - now_s) / FORGETS_S)

    def answers_within(self, within_s: float, now_s: float) -> bool:
        """Whether an attempt that may take so long can come to an answer, by the quickest of late. Where too little is
        known it can; and now and then it is let through to see whether the target has become quicker."""
        if within_s >= self.quick_s or self._is_measured:
            return True
        if now_s >= self._ends_s + WINDOW_S:  # all that is known is old
            self.quick_s = 0.0
            return True
        self._untimely += 1
        return self._untimely % TRIED_ALL_THE_SAME == 0

    # -- further attempts -----------------------------------------------------------------------------------------

    def take_retry(self, now_s: float) -> bool:
        """Take one of the further attempts that the budget allows; False where it is used up."""
        if now_s >= self._ends_s:
            self._turn(now_s)
        calls, _, retries = self._sums(now_s)
        if not self._retry_budget.take(now_s, max(0.0, calls - retries)):  # both are counted as calls
            return False
        self._retries += 1
        return True

    def take_hop(self, now_s: float) -> bool:
        """Let an attempt in that another target could not serve. A target that is well takes them all: it is there for
        that. One that often fails itself takes them out of its budget: else each failure would make further ones."""
        calls, failures, _ = self._sums(now_s)
        if calls < LEAST_CALLS or failures < UNWELL_SHARE * calls:
            return True
        return self.take_retry(now_s)

    def fails_often(self, now_s: float) -> bool:
        """Whether it fails so often of late that another one should be asked instead of it again."""
        return self._latest.are_often(self._seen + self._calls, now_s)

    def why_not(self, now_s: float, is_streamed: bool = False) -> FailureKind:
        """What keeps attempts back, where `may_pass` says no."""
        if now_s < self._rest_until_s:
            return self._rest_kind
        is_open = self.is_open(now_s) or now_s < self._own_opens_at_s(is_streamed)
        return FailureKind.OVERLOADED if self.pending >= self.most and not is_open else FailureKind.OPEN

    def waits_s(self, now_s: float, is_streamed: bool = False) -> float:
        """Seconds until `may_pass` can say otherwise; 0 where it already lets attempts pass."""
        if self.may_pass(now_s, is_streamed):
            return 0.0
        opens_at_s = self._breaker.opens_at_s if self._breaker.is_open else 0.0
        least_s = CROWDED_WAIT_S if self.pending >= self.most else 0.001
        return max(opens_at_s, self._own_opens_at_s(is_streamed), self._rest_until_s, now_s + least_s) - now_s

    def view(self, now_s: float) -> HealthView:
        """What there is to see."""
        calls, failures, _ = self._sums(now_s)
        breaker = self._breaker
        return HealthView(
            _state(breaker, now_s),
            self.pending,
            calls,
            failures,
            self._retry_budget.taken(now_s),
            self.took_s,
            max(0.0, breaker.opens_at_s - now_s) if breaker.is_open else 0.0,
            max(0.0, self._rest_until_s - now_s),
            now_s - breaker.since_s if breaker.is_open else 0.0,
            self._rest_kind if now_s < self._rest_until_s else None,
            _state(self._streamed, now_s),
            _state(self._whole, now_s),
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    def _rest(self, kind: FailureKind, until_s: float) -> None:
        if until_s > self._rest_until_s:
            self._rest_until_s, self._rest_kind, self.is_held = until_s, kind, True

    def _count_failure(self, now_s: float, is_streamed: bool) -> None:
        self._failures += 1
        breaker = self._breaker
        own = self._streamed if is_streamed else self._whole
        own.bad(now_s)
        breaker.bad(now_s)
        if self._is_measured or breaker.is_open or own.is_open:
            return
        calls, failures, _ = self._sums(now_s)
        if breaker.is_down(calls) or (calls >= LEAST_CALLS and failures >= FAILURE_SHARE * calls):
            breaker.open(now_s)
            self.is_held = True
            # All is held back by one; what failed before it opened says nothing of streams or whole answers alone.
            self._streamed.row = self._whole.row = 0
        elif own.is_down(calls):
            own.open(now_s)
            self.is_held = True

    def _was_good(self, own: Breaker) -> None:
        if self.most != math.inf:
            self.most += 1.0 / self.most
        own.good()
        if self._breaker.good():
            self._forget()

    def _let_go(self, is_streamed: bool) -> None:
        self._breaker.let_go()
        (self._streamed if is_streamed else self._whole).let_go()

    def _own_opens_at_s(self, is_streamed: bool) -> float:
        own = self._streamed if is_streamed else self._whole
        return own.opens_at_s if own.is_open else 0.0

    def _forget(self) -> None:
        self._streamed.row = self._whole.row = 0
        self._latest.clear()
        self._seen += self._calls
        self._calls = self._failures = self._bad = self._bad_before = 0  # what opened it must not open it again
        self._before = (0, 0, self._before[2])

    def _look(self, now_s: float) -> None:
        """See how long answers take of late: what an attempt costs must not be worked out at each."""
        low_s, self._low_s = self._low_s, math.inf
        self._window_low_s = min(self._window_low_s, low_s)
        if now_s >= self._ends_s:
            self._turn(now_s)
        answers = self._calls + self._before[0] - self._bad - self._bad_before
        if answers >= LEAST_CALLS:
            self.quick_s = min(self._window_low_s, self._low_before_s)
            if low_s < math.inf and not self._is_measured:
                self._see_queue(now_s, low_s)
        else:
            self.quick_s = 0.0
        self._looks_at_s = min(self._ends_s, now_s + LOOK_S)

    def _see_queue(self, now_s: float, low_s: float) -> None:
        most = self._crowding.look(now_s, low_s, self.pending, self.most)
        if most < self.most:
            self._cut_s, self.is_held = now_s, True
            most = max(float(LEAST_AT_ONCE), most)
        self.most = most

    def _turn(self, now_s: float) -> None:
        """Begin a new window; the last one is kept for its share."""
        is_next = now_s < self._ends_s + WINDOW_S
        self._bad_before, self._bad = (self._bad if is_next else 0), 0
        self._low_before_s, self._window_low_s = (self._window_low_s if is_next else math.inf), math.inf
        self._before = (self._calls, self._failures, self._retries) if is_next else (0, 0, 0)
        self._seen += self._calls
        self._calls = self._failures = self._retries = 0
        self._ends_s = self._ends_s + WINDOW_S if is_next else now_s + WINDOW_S

    def _sums(self, now_s: float) -> tuple[float, float, float]:
        """Calls, failures and further attempts in the window that ends now."""
        share = (self._ends_s - now_s) / WINDOW_S
        if share < 0:  # nothing was counted since the window ended
            share = max(0.0, 1.0 + share)
            return self._calls * share, self._failures * share, self._retries * share
        calls, failures, retries = self._before
        return self._calls + calls * share, self._failures + failures * share, self._retries + retries * share


def _state(breaker: Breaker, now_s: float) -> BreakerState:
    if not breaker.is_open:
        return BreakerState.CLOSED
    return BreakerState.OPEN if now_s < breaker.opens_at_s else BreakerState.HALF_OPEN
