"""Step 7: which attempts a call makes, one after the other, until one is good or nothing is left to try.

A call whose first attempt is good never comes here. What is done when one fails depends on the kind of the failure:
the same model through another pool, the same again after a pause, or the next model that configuration names.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from time import perf_counter

import msgspec

from headworks.calls import Failure, FailureKind
from headworks.errors import Refusal
from headworks.exchange import SHARE_WITH_MORE, Timeouts
from headworks.planning import Planner
from headworks.plans import Plan
from headworks.routing import Health, Target
from headworks.settlement import OpenCall
from headworks.stations import Station, pick

LEAST_S = 0.05
"""With less time left no attempt is begun: a connection alone may take as long."""

FIRST_PAUSE_S = 0.5
MOST_PAUSE_S = 8.0
"""Bounds of the pause before the same target is asked again: a random time up to the first, doubled each time ("full
jitter": Brooker, "Exponential Backoff And Jitter", AWS 2015; the OpenAI SDK has the same two figures)."""

MOMENT_S = 0.1
"""For so long a call waits for a quota of a target that it comes to late; longer waits are those of its admission."""

SPREAD_S = 0.25
"""Of a pause that the target asks for, the random part behind it: who was refused together must not come back so."""


REQUEST_AT_FAULT = frozenset({FailureKind.REJECTED, FailureKind.REFUSED, FailureKind.TOO_LONG, FailureKind.OVERSIZED})
"""Kinds that say something of the request, and nothing of who refused it. What the provider says of it is told."""

JUDGED = frozenset({FailureKind.UNFIT, FailureKind.BLOCKED, FailureKind.DENIED, FailureKind.HELD})
"""Kinds that say something of an answer, and nothing of who gave it."""


class Rules(msgspec.Struct, frozen=True):
    """What may help after a failure: the same target again, another pool of the same model, another model."""

    again: bool = False
    elsewhere: bool = False
    onward: bool = False


_NOTHING = Rules()
_ANYTHING = Rules(again=True, elsewhere=True, onward=True)
_NOT_HERE = Rules(elsewhere=True, onward=True)

RULES = {
    # It may pass: a new connection, another machine behind the address, less load in a moment.
    FailureKind.UNREACHABLE: _ANYTHING,
    FailureKind.BROKEN: _ANYTHING,
    FailureKind.OVERLOADED: _ANYTHING,
    FailureKind.ERROR: _ANYTHING,
    FailureKind.RATE_LIMITED: _ANYTHING,
    FailureKind.INVALID: _ANYTHING,
    # It stays too long for this model, through whichever pool: see `_to_next_model`.
    FailureKind.TOO_LONG: Rules(onward=True),
    # Another project, or another model, may have a limit that it fits into.
    FailureKind.OVERSIZED: _NOT_HERE,
    # Another model may be there.
    FailureKind.GONE: Rules(onward=True),
    # It would take as long again.
    FailureKind.TIMEOUT: Rules(onward=True),
    # It is this key's, and stays.
    FailureKind.QUOTA: _NOT_HERE,
    FailureKind.UNAUTHORIZED: _NOT_HERE,
    # Nobody was asked: the target rests, or is known to be down.
    FailureKind.OPEN: _NOT_HERE,
    # It has no room. What there is of a quota that was not used for a while comes within a moment: see `pause_s`.
    FailureKind.LIMITED: _ANYTHING,
    # Another model may be cheaper.
    FailureKind.BUDGET: Rules(onward=True),
}
"""By kind of failure; what is not here is not tried again: the request itself is at fault, or the answer was judged.
A call to a model has no effect but its answer: one that may have been begun can be made again."""


def rules_of(failure: Failure) -> Rules:
    """What may help after this failure. That the same must not be asked again says nothing of others."""
    rules = RULES.get(failure.kind, _NOTHING)
    return rules if failure.may_retry or not rules.again else msgspec.structs.replace(rules, again=False)


def may_help(failure: Failure, other: Target[Station], than: Target[Station]) -> bool:
    """Whether a target that serves the same name may do better than one that failed: another pool of the same model, or
    another model, of which a name may stand for several."""
    rules = rules_of(failure)
    if other.model == than.model and other.provider.partition(":")[0] == than.provider.partition(":")[0]:
        return rules.elsewhere
    if failure.kind is FailureKind.TOO_LONG and not may_hold_more(other, than):
        return False
    return rules.elsewhere or rules.onward


class Policy(msgspec.Struct, frozen=True):
    """What holds for all calls of a gateway.

    Attributes:
        retries: most further attempts at one target.
        uniform: a random number from 0 up to the one given.
        resolve: the target that a public name means.
        may_hop: whether others that serve the same name may be asked.
    """

    retries: int
    uniform: Callable[[float], float]
    resolve: Callable[[str], Target[Station]]
    may_hop: bool = True

    def at_most(self, retries: int | None) -> "Policy":
        """The policy of a caller that wants no more further attempts at a target than this, and with 0 none of what the
        same name stands for; None for as many as there are."""
        if retries is None:
            return self
        return msgspec.structs.replace(self, retries=min(retries, self.retries), may_hop=retries > 0)

    def another(
        self,
        failure: Failure,
        than: Target[Station],
        tried: Collection[tuple[str, str]],
        now_s: float,
        *,
        is_streamed: bool = False,
    ) -> Target[Station] | None:
        """Which of those that serve the same name is asked next; None where none that was not tried may help now.

        Arguments:
            than: the one that failed.
            tried: keys of those that were asked.
            is_streamed: a stream is asked for; so below, too.
        """
        if not self.may_hop or not than.pools:
            return None
        left = [one for one in than.pools if one.key not in tried and may_help(failure, one, than)]
        return self.first_of(left, now_s, is_streamed=is_streamed)

    def first_of(
        self, pools: Sequence[Target[Station]], now_s: float, *, is_streamed: bool = False
    ) -> Target[Station] | None:
        """Which of several takes an attempt that others could not serve; None where none does."""
        left = list(pools)
        while left:
            found = pick(left, now_s, self.uniform, is_streamed=is_streamed)
            if found is None or found.station.health.take_hop(now_s):
                return found
            left.remove(found)
        return None

    def pause_s(
        self,
        failure: Failure,
        target: Target[Station],
        again: int,
        now_s: float,
        due_s: float,
        *,
        is_streamed: bool = False,
    ) -> float | None:
        """Seconds until the same target is asked again; None if it is not to be.

        Arguments:
            again: how many further attempts there have been at it.
            due_s: when the last attempt must be over.
        """
        if again >= self.retries or not rules_of(failure).again:
            return None
        health = target.station.health
        pause_s = failure.retry_after_s
        if failure.kind is FailureKind.LIMITED and (pause_s is None or pause_s > MOMENT_S):
            return None
        if pause_s is None:
            pause_s = self.uniform(min(MOST_PAUSE_S, FIRST_PAUSE_S * 2.0**again))
        pause_s = max(pause_s, health.waits_s(now_s, is_streamed))
        pause_s += self.uniform(SPREAD_S)
        is_in_time = now_s + pause_s + max(LEAST_S, health.quick_s) < due_s
        return pause_s if is_in_time and health.take_retry(now_s) else None


class Further(msgspec.Struct, frozen=True):
    """The attempt to make, so many seconds from now."""

    plan: Plan
    after_s: float = 0.0


class Attempts:
    """The further attempts of one call. State: what has been tried.

    Arguments:
        plan: of the first attempt, which has failed.
    """

    __slots__ = ("_again", "_call", "_due_s", "_line", "_onward", "_plan", "_planner", "_policy", "_tried", "reasons")

    def __init__(self, planner: Planner, policy: Policy, call: OpenCall, plan: Plan) -> None:
        admission = plan.admission
        self._planner = planner
        self._policy = policy if admission is None else policy.at_most(admission.retries)
        self._line = b""
        self._call = call
        self._plan = plan
        self._due_s = call.started_s + planner.longest_s(plan)
        self._again = 0
        self._onward: Sequence[str] = plan.target.fallback if admission is None or admission.may_fall_back else ()
        self._tried = {plan.target.key}
        self.reasons: list[str] = []
        """Codes of the failures that had the call go on to another model, in order."""

    def after(self, failure: Failure, now_s: float) -> Further | None:
        """The next attempt; None where nothing is left to try, or no time to try it in."""
        rules = rules_of(failure)
        left_s = self._due_s - now_s
        if left_s < LEAST_S or self._plan.asked is None:
            return None
        # What a call goes on from lies in one project, and no other pool or provider knows it.
        if not self._plan.previous_response_id:
            found = self._to_other_pool(failure, now_s, left_s)
            if found is not None:
                return found
        may_go_on = rules.onward and not self._plan.previous_response_id
        onward = map(self._policy.resolve, self._onward)
        if may_go_on and goes_on_at_once(self._plan.target, onward, now_s, is_streamed=self._call.is_streamed):
            found = self._to_next_model(failure, now_s, left_s)
            if found is not None:
                return found
        if rules.again:
            pause_s = self._policy.pause_s(
                failure, self._plan.target, self._again, now_s, self._due_s, is_streamed=self._call.is_streamed
            )
            if pause_s is not None:
                self._again += 1
                return Further(self._timed(self._plan, left_s - pause_s), pause_s)
        return self._to_next_model(failure, now_s, left_s) if may_go_on else None

    def _to_other_pool(self, failure: Failure, now_s: float, left_s: float) -> Further | None:
        than = self._plan.target
        while True:
            other = self._policy.another(failure, than, self._tried, now_s, is_streamed=self._call.is_streamed)
            if other is None:
                return None
            self._tried.add(other.key)
            found = self._to(other, left_s, self._line)
            if found is not None:
                return found

    def _to(self, target: Target[Station], left_s: float, line: bytes) -> Further | None:
        if line:
            target = msgspec.structs.replace(target, headers=target.headers + line)
        try:
            plan = self._planner.again(self._call, self._plan, target)
        except Refusal:
            return None  # this target cannot be asked what the caller asks
        self._plan = plan
        return Further(self._timed(plan, left_s))

    def _to_next_model(self, failure: Failure, now_s: float, left_s: float) -> Further | None:
        reasons, than = [*self.reasons, failure.kind.value], self._plan.target
        line = f"x-headworks-fallback: {', '.join(reasons)}\r\n".encode("ascii")
        while self._onward:
            name, *self._onward = self._onward
            target = self._policy.resolve(name)
            left = list(target.pools or (target,))
            if failure.kind is FailureKind.TOO_LONG:
                left = [one for one in left if may_hold_more(one, than)]
            tried = set()
            while left:
                able = self._policy.first_of(left, now_s, is_streamed=self._call.is_streamed)
                if able is None:
                    break  # it rests, too, or has enough to do with its own
                tried.add(able.key)
                found = self._to(able, left_s, line)
                if found is not None:
                    self._again = 0
                    self._tried = tried
                    self._line = line
                    self.reasons = reasons
                    return found
                left.remove(able)
        return None

    def _timed(self, plan: Plan, left_s: float) -> Plan:
        """The plan with time limits that fit what is left."""
        if self._onward:
            left_s *= SHARE_WITH_MORE
        return msgspec.structs.replace(plan, timeouts=plan.target.station.timeouts.within(left_s))


def goes_on_at_once(
    target: Target[Station], onward: Iterable[Target[Station]], now_s: float, *, is_streamed: bool = False
) -> bool:
    """Whether the next model is asked before the same target is asked again: where one of those to come is well, and
    this one often fails, or is not to be asked for a while. What fails often fails often again: calls would take more
    attempts than a budget has. And a breaker may be open for a minute, a rate limit full for longer, which a deadline
    of ten minutes has time for, and a caller who could be answered at once has not."""
    health = target.station.health
    if not health.fails_often(now_s) and health.waits_s(now_s, is_streamed) <= FIRST_PAUSE_S:
        return False
    healths = [pool.station.health for one in onward for pool in one.pools or (one,)]
    return any(health.may_pass(now_s, is_streamed) and not health.fails_often(now_s) for health in healths)


def window_of(target: Target[Station]) -> int | None:
    """Tokens of a model's context window; None where the catalogue does not know them."""
    model = target.station.price.model
    return None if model is None else model.context_tokens


def may_hold_more(target: Target[Station], than: Target[Station]) -> bool:
    """Whether what was too long for one model may fit into another's window; where a window is not known, it may."""
    window, least = window_of(target), window_of(than)
    return window is None or least is None or window > least


def tell(health: Health, call: OpenCall, failure: Failure | None) -> None:
    """Tell a target's health how an attempt ended; what was judged, or refused with reason, is as good as answered."""
    now_s = perf_counter()
    if failure is None or failure.kind in JUDGED:
        health.succeeded(now_s, call.head_s - call.sent_s, call.is_streamed)
    elif failure.kind in REQUEST_AT_FAULT:
        health.refused(now_s, call.head_s - call.sent_s, call.is_streamed)
    elif failure.kind is FailureKind.STOPPED:
        health.gave_up(call.is_streamed)
    else:
        health.failed(now_s, failure.kind, failure.retry_after_s, call.is_streamed)


def begin(target: Target[Station], call: OpenCall, now_s: float, timeouts: Timeouts | None = None) -> Failure | None:
    """Begin an attempt; why it is not made, if it is not. `tell` ends it.

    Arguments:
        timeouts: its time limits, where they are not the target's own.
    """
    station = target.station
    if not station.health.may_pass(now_s, call.is_streamed):
        return held_back(target, now_s, is_streamed=call.is_streamed)
    if timeouts is not None and not station.health.answers_within(timeouts.first_byte_s, now_s):
        return too_late(target, timeouts)
    if call.quota is not None:
        failure = call.quota.take(station, now_s)
        if failure is not None:
            return failure
    station.health.begin(now_s, call.is_streamed)
    call.attempts += 1
    call.sent_s = now_s
    return None


def takes_no_more(target: Target[Station]) -> Failure:
    """Why a target is not asked what others could not serve."""
    return Failure(
        FailureKind.OPEN, f"{target.provider} fails often itself, and takes nothing more from others just now"
    )


def too_late(target: Target[Station], timeouts: Timeouts) -> Failure:
    """Why a target is not asked of which is known that it would take longer than there is time."""
    detail = (
        f"{target.provider} has lately taken {target.station.health.quick_s:.2f} s at least, and there were "
        f"{timeouts.first_byte_s:.2f} s for it, so that it was not asked"
    )
    return Failure(FailureKind.TIMEOUT, detail)


def held_back(target: Target[Station], now_s: float, *, is_streamed: bool = False) -> Failure:
    """Why a target is not asked now, of which `Health.may_pass` says so."""
    health = target.station.health
    waits_s = health.waits_s(now_s, is_streamed)
    detail = f"{target.provider} is asked again in {waits_s:.1f} s"
    return Failure(health.why_not(now_s, is_streamed), detail, retry_after_s=waits_s)
