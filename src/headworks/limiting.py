"""Quotas of keys, teams and targets. Who finds too little left waits in a fair queue, as long as its deadline allows,
and is else told when to come back."""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from time import perf_counter, time

import msgspec

from headworks.access import Grant
from headworks.answering import UpstreamRefusal, refusal_of
from headworks.budgeting import CallMoney, unpriced
from headworks.calls import NO_LIMITS, Caller, Failure, FailureKind, Limits, Team
from headworks.errors import LimitsUnavailable
from headworks.limits import (
    Ask,
    Authority,
    Expectations,
    FairQueue,
    KindLimit,
    LeaseKeeper,
    LimitSet,
    QuotaMeter,
    Reservation,
    SplitLimitSet,
    TokenCount,
    Tokens,
    Waiter,
    parse_limits,
    render_limits,
)
from headworks.quotas import Quotas, count_tokens, has_token_limits, limits_of, quotas_of
from headworks.settlement import CANCELLED, UNTOLD, OpenCall
from headworks.stations import Station
from headworks.weighing import expected_tokens, learn_tokens

MOST_WAITING = 4096
"""Calls that wait for one target, or as one key, in one worker; further ones are refused at once."""

LONGEST_WAIT_S = 60.0
"""No call waits longer, whatever its deadline: a client that is told to come back is better off."""

WAIT_SHARE = 0.2
"""Of what a call may take, the share that it waits where it could go on to another target instead."""

_REFUSED = 300
"""Answers with this status or a higher one are none: what they say of limits is why they are not."""

_REMEMBERED = 4096
"""Sets of quotas that are kept: by key, team and target."""


class CallQuota:
    """What one call has taken of quotas. State: the reservations, and whether the first of them has been used.

    Arguments:
        station: where the call was admitted to.
        tokens: what it is expected to take.
        has_target: whether the reservation holds of the station's own quotas, too.
        is_fresh: whether it is still to be used.

    Attributes:
        money: what it may spend; None where it is under no budget.
    """

    __slots__ = (
        "_asked",
        "_further",
        "_has_target",
        "_is_paid",
        "_limiter",
        "_reservation",
        "is_fresh",
        "kind",
        "money",
        "station",
        "tokens",
    )

    def __init__(
        self,
        limiter: "Limiter",
        station: Station,
        kind: str,
        tokens: TokenCount,
        reservation: Reservation | None,
        *,
        has_target: bool = True,
        is_fresh: bool = True,
    ) -> None:
        self._limiter = limiter
        self.station = station
        self.kind = kind
        self.tokens = tokens
        self._reservation = reservation
        self._has_target = has_target
        self.is_fresh = is_fresh
        self.money: CallMoney | None = None
        self._is_paid = False
        self._asked: Station | None = None
        self._further: tuple[Reservation, ...] = ()

    def pay(self, money: CallMoney, *, is_paid: bool) -> None:
        """The call is under budgets. `is_paid`: what its first attempt can cost was set aside."""
        self.money = money
        self._is_paid = is_paid

    def cancel(self) -> None:
        """The call is not made after all."""
        if self._reservation is not None:
            self._reservation.cancel()

    def covers(self, station: Station) -> bool:
        """`take` where it is the first attempt and there is nothing to find out, which is nearly always."""
        if self.is_fresh and station is self.station and self.money is None:
            self.is_fresh = False
            return True
        return False

    def take(self, station: Station, now_s: float) -> Failure | None:
        """Reserve for one attempt; why it cannot be made, if it cannot. The first is what the call was admitted for."""
        failure = None if self.money is None else self._set_aside(self.money, station, now_s)
        if failure is not None:
            return failure
        self._asked = station
        limits = station.limits
        if self.is_fresh and station is self.station:
            self.is_fresh = False
            return None
        if limits is None:
            return None
        reservation = limits.reserve(self.tokens, now_s)
        if reservation is None:
            self._limiter.wake()
            return limited(limits, self.tokens, now_s)
        self._further = (*self._further, reservation)
        return None

    def _set_aside(self, money: CallMoney, station: Station, now_s: float) -> Failure | None:
        """What one more attempt can cost. What an attempt leaves behind that failed stays set aside until the end: it
        may have to be paid for."""
        amount = money.bound(station.price)
        if amount is None:
            return unpriced() if money.is_hard else None
        if self._is_paid:  # it may go to another pool than it was admitted for, which may be dearer
            self._is_paid = False
            amount -= money.reserved
        return money.extend(amount, now_s) if amount > 0 else None

    def headers(self) -> bytes:
        """What is left of its budgets, for its caller."""
        return b"" if self.money is None else self.money.headers()

    def hand_over(self) -> None:
        """The call goes on as a session that accounts for itself, also for its money: it has been one request, of no
        tokens yet."""
        for reservation in (self._reservation, *self._further):
            if reservation is not None:
                reservation.settle(0)

    def release(self, call: OpenCall, cost_pico: int) -> None:
        """The call has ended: what was estimated becomes what was used."""
        if self.money is not None:
            self.money.settle(cost_pico)
        usage = call.usage
        is_known = usage.source != "none"
        used = usage.input_tokens + usage.output_tokens
        real: TokenCount = used
        if self._limiter.splits:
            real = Tokens(used, read=usage.input_tokens - usage.cached_tokens, written=usage.output_tokens)
        if not is_known and (call.error_code in UNTOLD or call.error_code == CANCELLED):
            real = self.tokens  # nobody knows what the provider counted
        reservation = self._reservation
        if reservation is not None:
            if call.attempts == 0:
                reservation.cancel()
            else:
                reservation.settle(real)
                if self._asked is not None and self._asked is not self.station:
                    self._charge_elsewhere(real)
        if self._further:
            for reservation in self._further[:-1]:
                reservation.settle(0)
            self._further[-1].settle(real)
        if is_known:
            learn_tokens(self._limiter.expectations, self.kind, call)

    def _charge_elsewhere(self, real: TokenCount) -> None:
        """Another target has answered than the call was admitted to: its own quotas are charged, not the first's."""
        first = self.station.limits
        if first is not None and self._has_target:
            first.correct(real, 0)

    def believe(self, station: Station, status: int, headers: Mapping[bytes, bytes], now_s: float) -> None:
        """Take in what the provider's headers say is left. Of a refusal always, else not again within a moment."""
        limits = station.limits
        if limits is None or not (status >= _REFUSED or limits.listens(now_s)):
            return
        limits.heard_s = now_s
        said = parse_limits(headers, time())
        for kind, meters in (
            (said.requests, limits.requests),
            (said.tokens, limits.tokens),
            (said.input_tokens, limits.inputs),
            (said.output_tokens, limits.outputs),
        ):
            if kind.remaining is not None and meters:
                meter = _meant(meters, kind)
                meter.believe(kind.remaining, kind.reset_s or 0.0, now_s)


def _meant(meters: Iterable[QuotaMeter], said: KindLimit) -> QuotaMeter:
    """The quota that a header is about: it does not say whether it is the minute's or the day's, but how much it is."""
    if said.limit is None:
        return next(iter(meters))
    limit = said.limit
    return min(meters, key=lambda meter: abs(meter.quota.amount - limit))


def limited(limits: LimitSet, tokens: TokenCount, now_s: float, wait_s: float | None = None) -> Failure:
    """Why a call is not made: which quota is used up, and when there is room again."""
    wait_s = limits.wait_s(tokens, now_s) if wait_s is None else wait_s
    name = limits.blocker.quota.name if limits.blocker is not None else next(iter(limits.meters)).quota.name
    of, _, kind = name.rpartition("/")
    if math.isinf(wait_s):
        detail = f"the limit {kind} of {of} is below what this call needs ({tokens} tokens)"
        return Failure(FailureKind.LIMITED, detail, may_retry=False)
    detail = f"the limit {kind} of {of} is reached: try again in {wait_s:.1f} s, or have it raised"
    return Failure(FailureKind.LIMITED, detail, retry_after_s=wait_s)


def _together(sets: Sequence[LimitSet]) -> LimitSet | None:
    """All quotas of several; None where there are none."""
    if len(sets) == 1:
        return sets[0]
    return _made(
        tuple(meter for one in sets for meter in one.requests),
        tuple(meter for one in sets for meter in one.tokens),
        tuple(meter for one in sets for meter in one.inputs),
        tuple(meter for one in sets for meter in one.outputs),
    )


def _made(
    requests: tuple[QuotaMeter, ...],
    tokens: tuple[QuotaMeter, ...],
    inputs: tuple[QuotaMeter, ...],
    outputs: tuple[QuotaMeter, ...],
) -> LimitSet | None:
    if inputs or outputs:
        return SplitLimitSet(requests, tokens, inputs, outputs)
    return LimitSet(requests, tokens) if requests or tokens else None


class Limiter:
    """Admits calls, and keeps the leases that they spend from.

    Arguments:
        authority: over the quotas that workers share.
        holder: this worker's name, unique over all machines.
        share: of each quota, what this worker may spend while the authority is away; see `LeaseKeeper`.
        teams: by name, what the keys of each team may ask for together.
    """

    def __init__(
        self,
        authority: Authority,
        holder: str,
        loop: asyncio.AbstractEventLoop,
        *,
        share: float,
        teams: Mapping[str, Team],
    ) -> None:
        self._authority = authority
        self._holder = holder
        self._loop = loop
        self._keeper = LeaseKeeper(perf_counter(), share=share, ring=self.wake)
        self._team_limits = limits_of(teams)
        self._sets: OrderedDict[tuple[int, int], tuple[Grant, Station, LimitSet | None]] = OrderedDict()
        self._has_targets = False
        self._counts_tokens = count_tokens(self._team_limits)
        self.has_quotas = bool(self._team_limits)
        self.splits = False
        """Whether any quota has been met that counts input or output alone."""
        self._queues: dict[int | str, FairQueue] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = math.inf
        self._renewal: asyncio.Task[None] | None = None
        self._is_closed = False
        self.expectations = Expectations()

    def reconfigure(self, teams: Mapping[str, Team]) -> None:
        """Take other limits from now on; calls that wait go on waiting under those that they came under."""
        self._team_limits = limits_of(teams)
        self._sets.clear()
        self._has_targets = False
        self._counts_tokens = count_tokens(self._team_limits)
        self.has_quotas = bool(self._team_limits)

    def target_set(self, name: str, limits: Limits) -> LimitSet | None:
        """The quotas of a target; None if there are none."""
        found = self._set(quotas_of(f"target/{name}", limits))
        self._has_targets = self._has_targets or found is not None
        self._counts_tokens = self._counts_tokens or (found is not None and found.counts_tokens)
        self.has_quotas = self.has_quotas or found is not None
        return found

    async def close(self) -> None:
        """Renew nothing more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    def is_needed(self, grant: Grant) -> bool:
        """Whether calls with this grant may be under any quota."""
        return self.has_quotas or grant.limits is not NO_LIMITS

    def counts_tokens(self, grant: Grant) -> bool:
        """Whether calls with this grant may be under a quota of tokens, so that it matters what they hold."""
        return self._counts_tokens or has_token_limits(grant.limits)

    # -- a call ---------------------------------------------------------------------------------------------------

    def admits_now(self, call: OpenCall, station: Station, grant: Grant, kind: str) -> bool:
        """`admit` where there is room and nobody waits, which is nearly always; False: ask there."""
        limits = self._set_of(grant, station)
        if limits is None or self._queues:
            return False
        expected = (
            self.expectations.tokens(kind, call.request_bytes)
            if call.weight is None
            else expected_tokens(self.expectations, kind, call)
        )
        tokens = self._split(kind, expected) if self.splits else expected
        reservation = limits.reserve(tokens, call.started_s)
        if reservation is None:
            return False
        call.quota = CallQuota(self, station, kind, tokens, reservation)
        return True

    def admit(
        self,
        call: OpenCall,
        station: Station,
        grant: Grant,
        kind: str,
        wait_s: float,
        go: Callable[[], None],
        refuse: Callable[[UpstreamRefusal], None],
        *,
        has_more: bool = False,
        priority: int | None = None,
    ) -> Waiter | None:
        """Reserve what a call is expected to take: None when that is done, or not needed; else it waits, and one of the
        two is called later.

        Arguments:
            kind: a model's or a workload's name, whose output is known by experience.
            wait_s: the longest that it may wait.
            has_more: where this target's quotas are used up, the call can go on to another pool or model. It does not
                wait long then, and its attempts find the way.
            priority: its class, where that is not its key's.

        Raises:
            UpstreamRefusal: 429: there is no room by then, and when there is.
        """
        limits = self._set_of(grant, station)
        if limits is None:
            if self._has_targets:  # another target of the call's may have some
                self._admitted(call, station, kind, self._expected(kind, call), None)
            return None
        tokens = self._expected(kind, call)
        now_s = perf_counter()
        key: int | str = id(station) if station.limits is not None else grant.caller.team or grant.caller.key_id
        queue = self._queues.get(key)
        if queue is None or not len(queue):  # else those who wait go first
            reservation = limits.reserve(tokens, now_s)
            if reservation is not None:
                self._admitted(call, station, kind, tokens, reservation)
                return None
        if queue is None:
            shared = station.limits if station.limits is not None else limits
            queue = self._queues[key] = FairQueue(shared, max_waiters=MOST_WAITING)

        def ready(reservation: Reservation) -> None:
            self._admitted(call, station, kind, tokens, reservation)
            go()

        def refused(again_s: float) -> None:
            if has_more and self._goes_elsewhere(call, station, grant, kind, tokens):
                go()
            else:
                refuse(self._refusal(limits, tokens, again_s))

        caller = grant.caller
        longest_s = min(wait_s * WAIT_SHARE if has_more else wait_s, LONGEST_WAIT_S)
        waiter = Waiter(
            limits,
            tokens,
            now_s + longest_s,
            ready,
            refused,
            flow=caller.team or caller.key_id,
            weight=grant.weight,
            priority=grant.priority if priority is None else priority,
        )
        again_s = queue.enter(waiter, now_s)
        if again_s is None:
            self.wake()
            return waiter
        if has_more and self._goes_elsewhere(call, station, grant, kind, tokens):
            return None
        raise self._refusal(limits, tokens, again_s)

    def _expected(self, kind: str, call: OpenCall) -> TokenCount:
        """What to reserve for a call."""
        tokens = expected_tokens(self.expectations, kind, call)
        return self._split(kind, tokens) if self.splits else tokens

    def _split(self, kind: str, tokens: int) -> Tokens:
        written = self.expectations.output(kind)
        return Tokens(tokens, read=max(0, tokens - written), written=written)

    def _goes_elsewhere(self, call: OpenCall, station: Station, grant: Grant, kind: str, tokens: TokenCount) -> bool:
        """Whether only the target's quotas keep a call back: then it takes its key's and its team's, and finds at its
        attempts which other target has room."""
        if station.limits is None:
            return False
        own = self._own_set(grant)
        reservation = None if own is None else own.reserve(tokens, perf_counter())
        if own is not None and reservation is None:
            return False
        call.quota = CallQuota(self, station, kind, tokens, reservation, has_target=False, is_fresh=False)
        return True

    def quotas(self, grant: Grant, station: Station) -> LimitSet | None:
        """All quotas that calls with this grant at this target are under; None where there are none."""
        return self._set_of(grant, station)

    def leave(self, waiter: Waiter) -> None:
        """A caller that waited has gone."""
        for queue in self._queues.values():
            if waiter.is_waiting:
                queue.leave(waiter)

    def _admitted(
        self, call: OpenCall, station: Station, kind: str, tokens: TokenCount, reservation: Reservation | None
    ) -> None:
        call.quota = CallQuota(self, station, kind, tokens, reservation)

    def _refusal(self, limits: LimitSet, tokens: TokenCount, again_s: float) -> UpstreamRefusal:
        refusal = refusal_of(limited(limits, tokens, perf_counter(), again_s))
        blocker = limits.blocker
        if blocker is not None:
            said = KindLimit(blocker.quota.amount, max(0, blocker.balance), again_s if math.isfinite(again_s) else None)
            is_requests = blocker in limits.requests
            request_limit, token_limit = (said, KindLimit()) if is_requests else (KindLimit(), said)
            refusal.add(headers=render_limits(request_limit, token_limit))
        return refusal

    def _set_of(self, grant: Grant, station: Station) -> LimitSet | None:
        """All quotas that a call is under: its key's, its team's, its target's."""
        if grant.limits is NO_LIMITS and not self._team_limits:
            return station.limits
        key = (id(grant), id(station))
        known = self._sets.get(key)
        if known is not None and known[0] is grant and known[1] is station:
            return known[2]
        found = _together([one for one in (self._own_set(grant), station.limits) if one is not None])
        self._sets[key] = (grant, station, found)
        if len(self._sets) > _REMEMBERED:
            self._sets.popitem(last=False)
        return found

    def _own_set(self, grant: Grant) -> LimitSet | None:
        """The quotas of the key and of its team."""
        sets = [self._set(quotas_of(name, limits)) for name, limits in self._own(grant.caller, grant)]
        return _together([one for one in sets if one is not None])

    def _own(self, caller: Caller, grant: Grant) -> Iterable[tuple[str, Limits]]:
        if grant.limits != NO_LIMITS:
            yield f"key/{caller.key_id}", grant.limits
        team = self._team_limits.get(caller.team)
        if team is not None:
            yield f"team/{caller.team}", team

    def _set(self, quotas: Quotas) -> LimitSet | None:
        kinds = [tuple(map(self._keeper.meter, of)) for of in msgspec.structs.astuple(quotas)]
        self.splits = self.splits or bool(quotas.inputs or quotas.outputs)
        return _made(*kinds)

    # -- leases ---------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """See to the leases and to those who wait, in the next turn of the loop."""
        self._wake_at(0.0)

    def _wake_at(self, due_s: float) -> None:
        if self._is_closed or due_s >= self._due_s or math.isinf(due_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_s = due_s
        self._timer = self._loop.call_later(max(0.0, due_s - perf_counter()), self._beat)

    def _beat(self) -> None:
        self._due_s, self._timer = math.inf, None
        now_s = perf_counter()
        if self._renewal is None and now_s >= self._keeper.due_s() - 1e-4:
            asks = self._keeper.beat(now_s)
            if asks:
                self._renewal = self._loop.create_task(self._renew(asks))
        self._pump()

    async def _renew(self, asks: list[Ask]) -> None:
        try:
            leases = await self._authority.renew(self._holder, asks)
        except LimitsUnavailable:
            self._keeper.fail(perf_counter())
        else:
            self._keeper.take(leases, perf_counter())
        finally:
            self._renewal = None
        self._pump()

    def _pump(self) -> None:
        """Serve whom there is room for now, and come back when there may be more."""
        due_s = self._keeper.due_s()
        for key, queue in list(self._queues.items()):
            due_s = min(due_s, queue.pump(perf_counter()))
            if not len(queue):
                self._queues.pop(key, None)
        self._wake_at(due_s)

    # -- what there is to see ---------------------------------------------------------------------------------------

    @property
    def meters(self) -> Collection[QuotaMeter]:
        """The quotas that were met so far, those that nobody uses any more included."""
        return self._keeper.meters

    def queues(self) -> list[tuple[str, tuple[int, ...]]]:
        """Whose quotas calls wait for (`target/...`, `team/...` or `key/...`), and how many of each priority do."""
        found = []
        for key, queue in self._queues.items():
            names = [meter.quota.name.rpartition("/")[0] for meter in queue.shared.meters]
            if isinstance(key, str):
                names = [f"key/{key}"] if f"key/{key}" in names else [f"team/{key}"]
            found.append((names[0], queue.waiting()))
        return found

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return sum(map(len, self._queues.values()))

    @property
    def is_away(self) -> bool:
        """Whether the authority does not answer."""
        return self._keeper.is_away(perf_counter())
