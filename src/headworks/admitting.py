"""Step 6, admit: first the quotas that a call is under, then the money of its budgets. Either may let it wait."""

from collections.abc import Callable
from functools import partial
from time import perf_counter

from headworks.access import Grant
from headworks.answering import STOPPED, UpstreamRefusal, refusal_of
from headworks.budgeting import LONGEST_WAIT_S, CallMoney, Wallet, unpriced
from headworks.calls import NO_BUDGET, Budget
from headworks.dialects.reading import Fields
from headworks.errors import Refusal
from headworks.flow import Ending, Signal
from headworks.limiting import WAIT_SHARE, CallQuota, Limiter
from headworks.limits import Waiter
from headworks.limits.budgets import Spender
from headworks.settlement import OpenCall
from headworks.stations import Station


class Ask:
    """One call that asks to be admitted.

    Arguments:
        kind: a model's or a workload's name, whose output is known by experience.
        wait_s: the longest that it may wait.
        fields: what goes up, by which is known what it can cost.
        has_more: where this target has no room, the call can go on to another pool or model. It does not wait long
            then, and its attempts find the way.
        priority: its class, where that is not its key's.
        budget: its workload's.
        is_free: it costs nothing, so that no budget binds it.
    """

    __slots__ = ("budget", "call", "fields", "grant", "has_more", "is_free", "kind", "priority", "station", "wait_s")

    def __init__(
        self,
        call: OpenCall,
        station: Station,
        grant: Grant,
        kind: str,
        wait_s: float,
        fields: Fields,
        *,
        has_more: bool,
        priority: int | None = None,
        budget: Budget = NO_BUDGET,
        is_free: bool = False,
    ) -> None:
        self.is_free = is_free
        self.call = call
        self.station = station
        self.grant = grant
        self.kind = kind
        self.wait_s = wait_s
        self.fields = fields
        self.has_more = has_more
        self.priority = priority
        self.budget = budget


class Admissions:
    """Admits calls where there are quotas or budgets."""

    def __init__(self, limiter: Limiter, wallet: Wallet) -> None:
        self.limiter = limiter
        self.wallet = wallet

    def is_needed(self, grant: Grant, budget: Budget = NO_BUDGET) -> bool:
        """Whether calls with this grant may be under anything."""
        return self.limiter.has_quotas or grant.is_bound or self.wallet.has_teams or budget is not NO_BUDGET

    def admit(
        self, ask: Ask, go: Callable[[], None], refuse: Callable[[UpstreamRefusal], None]
    ) -> Callable[[], None] | None:
        """Reserve what a call is expected to take, and set aside what it can cost: None when that is done, or not
        needed. Else it waits, and one of the two is called later; returns what takes it out of where it waits.

        Raises:
            UpstreamRefusal: 429: there is no room by then, or not as much money.
        """
        money = None if ask.is_free else self._money(ask)
        if money is None:
            waiter = self._reserve(ask, go, refuse)
            return None if waiter is None else partial(self.limiter.leave, waiter)
        entry = _Entry(self.limiter, ask, money, go, refuse)
        entry.waiter = self._reserve(ask, entry.go_on, refuse)
        if entry.waiter is None and entry.set_aside():
            return None
        return entry.leave

    async def set_aside(self, grant: Grant, amount: int | None, why_not: str, ending: Ending) -> CallMoney | None:
        """Set aside for what is no call; None where no budget binds it.

        Arguments:
            amount: the most that it can cost, in pico-dollars; None where nobody knows.
            why_not: why it is refused then, under a hard budget.
            ending: is told how to end this before its time.

        Raises:
            Refusal: 403, nobody knows what it can cost; 429, there is not as much; or because this must end.
        """
        money = self.wallet.money(grant, {}, "", NO_BUDGET)
        if money is None:
            return None
        if money.is_hard and amount is None:
            raise Refusal(403, "budget_cannot_bound", why_not, kind="permission_error")
        over: Signal[UpstreamRefusal | None] = Signal()
        due_s = perf_counter() + LONGEST_WAIT_S
        if money.begin(money.countable(amount or 0), due_s, partial(over.set, None), over.set) is None:
            money.hold_no_more()
            return money

        def stop() -> None:
            money.leave()
            over.set(refusal_of(STOPPED))

        ending.act = stop
        try:
            refusal = await over
        except BaseException:
            money.leave()
            raise
        finally:
            ending.act = None
        if refusal is not None:
            raise refusal
        money.hold_no_more()
        return money

    def count(self, grant: Grant, cost_pico: int) -> None:
        """Count what is known to have been spent."""
        money = self.wallet.money(grant, {}, "", NO_BUDGET)
        if money is not None and cost_pico > 0:
            money.begin_empty()
            money.settle(cost_pico)

    def _money(self, ask: Ask) -> CallMoney | None:
        return self.wallet.money(ask.grant, ask.fields, ask.kind, ask.budget, ask.call.request_bytes, ask.call.endpoint)

    async def wait(self, ask: Ask, ending: Ending) -> None:
        """The same for a call that can wait in a coroutine.

        Arguments:
            ending: is told how to end this before its time.

        Raises:
            Refusal: 429, or because it must end.
        """
        over: Signal[UpstreamRefusal | None] = Signal()
        leave = self.admit(ask, partial(over.set, None), over.set)
        if leave is None:
            return

        def stop() -> None:
            leave()
            over.set(refusal_of(STOPPED))

        ending.act = stop
        try:
            refusal = await over
        except BaseException:
            leave()
            raise
        finally:
            ending.act = None
        if refusal is not None:
            raise refusal

    def _reserve(self, ask: Ask, go: Callable[[], None], refuse: Callable[[UpstreamRefusal], None]) -> Waiter | None:
        return self.limiter.admit(
            ask.call,
            ask.station,
            ask.grant,
            ask.kind,
            ask.wait_s,
            go,
            refuse,
            has_more=ask.has_more,
            priority=ask.priority,
        )


class _Entry:
    """A call under budgets, on its way in. State: where it waits."""

    def __init__(
        self,
        limiter: Limiter,
        ask: Ask,
        money: CallMoney,
        go: Callable[[], None],
        refuse: Callable[[UpstreamRefusal], None],
    ) -> None:
        self._limiter = limiter
        self._ask = ask
        self._money = money
        self._go = go
        self._refuse = refuse
        self._spender: Spender | None = None
        self.waiter: Waiter | None = None

    def go_on(self) -> None:
        """It has its quotas."""
        self.waiter = None
        try:
            if self.set_aside():
                self._go()
        except UpstreamRefusal as refusal:
            self._refuse(refusal)

    def set_aside(self) -> bool:
        """Take the money; False where the call waits for it.

        Raises:
            UpstreamRefusal: 429, there is not as much.
        """
        ask, money = self._ask, self._money
        amount = money.bound(ask.station.price)
        if amount is None:
            if money.is_hard:
                self._give_up()
                raise refusal_of(unpriced())
            amount = 0
        wait_s = min(ask.wait_s * WAIT_SHARE if ask.has_more else ask.wait_s, LONGEST_WAIT_S)
        self._spender = money.begin(amount, perf_counter() + wait_s, self._paid, self._refused)
        if self._spender is not None:
            return False
        self._attach(is_paid=True)
        return True

    def leave(self) -> None:
        """The caller has gone."""
        if self.waiter is not None:
            self._limiter.leave(self.waiter)
        elif self._spender is not None:
            self._money.leave()
            self._give_up()

    def _paid(self) -> None:
        self._spender = None
        self._attach(is_paid=True)
        self._go()

    def _refused(self, refusal: UpstreamRefusal) -> None:
        self._spender = None
        if self._ask.has_more:  # another model may be cheaper; what is free at the end costs nothing
            self._money.begin_empty()
            self._attach(is_paid=False)
            self._go()
        else:
            self._give_up()
            self._refuse(refusal)

    def _attach(self, *, is_paid: bool) -> None:
        call = self._ask.call
        quota = call.quota
        if quota is None:
            quota = call.quota = CallQuota(self._limiter, self._ask.station, self._ask.kind, 0, None)
        assert isinstance(quota, CallQuota), "nobody else makes them"
        quota.pay(self._money, is_paid=is_paid)

    def _give_up(self) -> None:
        """Give back what was taken of quotas: nothing is asked."""
        quota = self._ask.call.quota
        if isinstance(quota, CallQuota):
            quota.cancel()
        self._ask.call.quota = None


__all__ = ["Admissions", "Ask"]
