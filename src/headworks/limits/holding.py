"""A worker's side of quotas: what it holds, and reservations on several quotas at once. Synchronous, without I/O.

    limits = LimitSet(requests=(rpm, rpd), tokens=(tpm, team_tpm))
    reservation = limits.reserve(1_200, now_s)       # None: too little is held
    reservation.settle(1_043)                        # or .cancel(), where the provider never saw the call

This is the hot path. A reservation costs a comparison and a subtraction a quota and one small object; everything that
can be done some times a second instead of once a call is in `keeping`.
"""

import math
from collections.abc import Callable, Iterable

from headworks.limits.leases import Ask, Lease, Quota
from headworks.limits.tokens import TokenCount, whole

SOON_S = 0.01
"""The shortest time between two asks of a worker, and so the least that waiting for one takes."""

SAME_WORD_S = 0.005
"""What answers say of a provider's limits is read no more often: a worker asks for leases every tenth of a second, and
to read it costs as much as a third of a plain call."""


def _nobody(meter: "QuotaMeter") -> None:
    """Nobody keeps this meter."""


class QuotaMeter:
    """One quota, as far as this worker holds it. State: `balance`, and what is to be reported of it.

    Attributes:
        balance: units that may still be spent until `expires_s`; below zero after a call that cost more than all.
        expires_s: when what is held must not be spent any more.
        needed: the most units that were asked for and not there since the authority was asked last.
        waiting: units that waiting calls, and the next responses of sessions, want together.
        remaining: what the provider said is left, the least since the authority was asked last.
        is_kept: whether the keeper renews it; False while nobody uses it.
        is_on_share: whether it lives on this worker's share because the authority is away.
    """

    __slots__ = (
        "_asked_s", "_asked_spent", "_base", "_carry", "_keep", "_rate", "_reported", "_returned", "_share",
        "_share_at", "_useful_at", "_wanted", "balance", "expires_s", "is_kept", "is_on_share", "needed", "quota",
        "remaining", "waiting",
    )  # fmt: skip

    def __init__(self, quota: Quota, keep: Callable[["QuotaMeter"], None] = _nobody) -> None:
        self.quota = quota
        self.balance = 0
        self.expires_s = -math.inf
        self.needed = 0
        self.waiting = 0
        self.remaining: int | None = None
        self.is_kept = False
        self.is_on_share = False
        self._keep = keep
        self._rate = quota.amount / quota.window_s
        # What was held when the authority was asked last, or granted by it since. `_base - balance` is spent.
        self._base = 0
        self._returned = 0  # came back beyond `_base`: the authority's, not ours to spend
        self._reported = 0  # of all that was ever spent, what the authority has heard of
        self._carry = 0  # spent of what we hold no more, or reported without an answer
        self._asked_s = 0.0
        self._asked_spent = 0
        self._wanted = 0
        self._useful_at = -math.inf  # no use to ask for more before
        self._share = 0.0
        self._share_at = 0.0

    def try_take(self, units: int, now_s: float) -> bool:
        """Take so many, if they are there."""
        if units <= self.balance and now_s < self.expires_s:
            self.balance -= units
            return True
        self.lack(units)
        return False

    def give_back(self, units: int) -> None:
        """Undo a `try_take`."""
        self.correct(units, 0)

    def correct(self, reserved: int, real: int) -> None:
        """Replace an estimate that was taken by what it really came to. The balance may fall below zero.

        What comes back of a lease that has been reported since goes to the authority: it has refilled in the
        meantime, and only it knows whether the quota has room for them.
        """
        balance = self.balance + reserved - real
        if balance > self._base:
            self._returned += balance - self._base
            balance = self._base
            if not self.is_kept:
                self._keep(self)
        elif balance < 0 and not self.is_kept:
            self._keep(self)
        self.balance = balance

    def lack(self, units: int) -> None:
        """Note that so many were asked for and not there, so that they are got."""
        if units > self.needed:
            self.needed = units
            self._keep(self)

    def believe(self, remaining: int, reset_s: float, now_s: float) -> None:
        """Take in what the provider says is left for everybody, and in how many seconds there will be all again.

        We hold no more than that, from now on; the authority hears of it with the next ask.
        """
        remaining = max(0, remaining)
        if self.remaining is None or remaining < self.remaining:
            self.remaining = remaining
        if self.balance > remaining:
            self._base -= self.balance - remaining  # not spent: the authority takes it back with the next ask
            self.balance = remaining
        if remaining == 0 and reset_s > 0.0:
            # Evenly refilled, as every provider's quota is that we know, the first unit is there after this time.
            self._useful_at = max(self._useful_at, now_s + min(reset_s, 1.0 / self._rate))

    def wait_s(self, units: int, now_s: float, ahead: float = 0.0) -> float:
        """In how many seconds so many will be there, after so many for those `ahead`; infinity if never (more than the
        quota's amount, or more than our share while the authority is away).

        As exact as what the authority said last: it is told how much is wanted, and answers when its turn comes.
        """
        has = self.balance if now_s < self.expires_s else min(self.balance, 0)
        missing = units + ahead - has
        if missing <= 0:
            return 0.0
        if units > self.quota.amount:
            return math.inf
        if self.is_on_share:
            share = self._share * self._rate
            return missing / share if units <= int(self._share * self.quota.amount) else math.inf
        if self._useful_at == -math.inf:
            return SOON_S
        return max(self._useful_at - now_s, SOON_S) + (missing - 1) / self._rate

    # The keeper's side, some times a second.

    def resize(self, quota: Quota) -> None:
        """Go by another amount or window; what is held stays."""
        self.quota = quota
        self._rate = quota.amount / quota.window_s

    @property
    def unreported(self) -> int:
        """Units that were spent since the authority heard of it; negative where units came back."""
        return self._carry + self._base - self.balance - self._returned

    @property
    def spent(self) -> int:
        """Units that were spent since this meter was made, less what came back."""
        return self._reported + self.unreported

    @property
    def useful_at(self) -> float:
        """When there is more to be had, as far as the authority said; in the past where it did not."""
        return self._useful_at

    def ask(self, wanted: int, now_s: float) -> Ask:
        """Report, and ask to hold so many. What it holds beyond that is given back here and now, so that the
        authority may count on it even if its answer is lost."""
        self._asked_spent = spent = self.unreported
        self._asked_s = now_s
        self._reported += spent
        self._carry = self._returned = 0
        has = self.balance if now_s < self.expires_s else 0
        self._base = self.balance = max(0, has if self.is_on_share else min(has, wanted))
        self._wanted = wanted
        ask = Ask(self.quota, spent, wanted, self.remaining)
        self.remaining = None
        self.needed = 0
        return ask

    def take_lease(self, lease: Lease, now_s: float) -> None:
        """Hold what was granted, less what was spent while the ask was under way."""
        self._asked_spent = 0
        self.is_on_share = False
        spent = self._base - self.balance
        self._base = lease.amount
        self.balance = lease.amount - spent
        self.expires_s = self._asked_s + lease.expires_s
        self._useful_at = now_s + lease.wait_s if lease.amount < self._wanted else -math.inf

    def lose_answer(self) -> None:
        """The ask may have been heard or not: what was spent is said again (counted twice is the safe side), what
        came back is not (for the same reason)."""
        again = max(0, self._asked_spent)
        self._carry += again
        self._reported -= again
        self._asked_spent = 0

    def live_on_share(self, share: float, now_s: float) -> None:
        """Spend from a bucket of our own, of this share of the quota, that is empty at first. Repeated, it refills."""
        if not self.is_on_share:
            if now_s < self.expires_s and self.balance > 0 and self.needed <= self.balance:
                return  # first what is held
            self._carry += self._base - self.balance
            self._base = self.balance = 0
            self.is_on_share = True
            self.expires_s = math.inf
            self._share_at = now_s
        self._share = share
        gained = int((now_s - self._share_at) * share * self._rate)
        if gained > 0:
            self._share_at += gained / (share * self._rate)
            room = max(0, int(share * self.quota.amount) - self.balance)
            self._base += min(gained, room)
            self.balance += min(gained, room)


class LimitSet:
    """The quotas that one kind of call is under: a target's, its key's and its team's. All or nothing.

    Arguments:
        requests: quotas that count calls.
        tokens: quotas that count tokens.

    Attributes:
        blocker: the quota for which the last reservation that failed did so.
        heard_s: when the provider's word of them was read last.
    """

    __slots__ = ("_requests", "_tokens", "blocker", "heard_s")

    def __init__(self, requests: Iterable[QuotaMeter] = (), tokens: Iterable[QuotaMeter] = ()) -> None:
        self._requests = tuple(requests)
        self._tokens = tuple(tokens)
        self.blocker: QuotaMeter | None = None
        self.heard_s = -math.inf

    def listens(self, now_s: float) -> bool:
        """Whether the provider's word is worth reading again."""
        return now_s >= self.heard_s + SAME_WORD_S

    @property
    def requests(self) -> tuple[QuotaMeter, ...]:
        """Those that count calls."""
        return self._requests

    @property
    def tokens(self) -> tuple[QuotaMeter, ...]:
        """Those that count tokens."""
        return self._tokens

    @property
    def inputs(self) -> tuple[QuotaMeter, ...]:
        """Those that count what is read: see `splitting`."""
        return ()

    @property
    def outputs(self) -> tuple[QuotaMeter, ...]:
        """Those that count what is written."""
        return ()

    @property
    def counts_tokens(self) -> bool:
        """Whether any of them counts tokens, so that it matters what a call holds."""
        return bool(self._tokens or self.inputs or self.outputs)

    @property
    def meters(self) -> tuple[QuotaMeter, ...]:
        """All of them."""
        return self._requests + self._tokens

    def correct(self, reserved: TokenCount, real: TokenCount) -> None:
        """Tokens that were taken came to something else."""
        for meter in self._tokens:
            meter.correct(whole(reserved), whole(real))

    def reserve(self, tokens: TokenCount, now_s: float) -> "Reservation | None":
        """One call and so many tokens on every quota, or nothing on any: None, and `blocker` says for which."""
        for meter in self._requests:
            if meter.balance < 1 or now_s >= meter.expires_s:
                self._lack(meter, tokens, now_s)
                return None
        units = whole(tokens)
        for meter in self._tokens:
            if meter.balance < units or now_s >= meter.expires_s:
                self._lack(meter, tokens, now_s)
                return None
        for meter in self._requests:
            meter.balance -= 1
        for meter in self._tokens:
            meter.balance -= units
        return Reservation(self, tokens)

    def wait_s(self, tokens: TokenCount, now_s: float, calls_ahead: float = 0.0, tokens_ahead: float = 0.0) -> float:
        """In how many seconds such a call can be reserved, after others, as far as can be known; infinity if never."""
        waits = [meter.wait_s(1, now_s, calls_ahead) for meter in self._requests]
        waits += [meter.wait_s(whole(tokens), now_s, tokens_ahead) for meter in self._tokens]
        return max(waits, default=0.0)

    def begin_waiting(self, tokens: TokenCount) -> None:
        """A call waits for these: they are asked for ahead."""
        for meter in self._requests:
            meter.waiting += 1
            if meter.balance < 1:
                meter.lack(1)
        units = whole(tokens)
        for meter in self._tokens:
            meter.waiting += units
            if meter.balance < units:
                meter.lack(units)

    def end_waiting(self, tokens: TokenCount) -> None:
        """It waits no more, however it ended."""
        for meter in self._requests:
            meter.waiting -= 1
        for meter in self._tokens:
            meter.waiting -= whole(tokens)

    def _wanted(self, tokens: TokenCount) -> Iterable[tuple[QuotaMeter, int]]:
        """What such a call takes of each."""
        yield from ((meter, 1) for meter in self._requests)
        yield from ((meter, whole(tokens)) for meter in self._tokens)

    def _lack(self, blocker: QuotaMeter, tokens: TokenCount, now_s: float) -> None:
        """Note which has too little, and have all got that have: one after the other, each would take an exchange."""
        self.blocker = blocker
        for meter, units in self._wanted(tokens):
            if meter.balance < units or now_s >= meter.expires_s:
                meter.lack(units)


class Reservation:
    """What one call has taken. Ended once, by `settle` or `cancel`; what comes after that has no effect. One that is
    never ended stays spent as it was reserved, and holds nothing else."""

    __slots__ = ("_limits", "_tokens", "is_open")

    def __init__(self, limits: LimitSet, tokens: TokenCount) -> None:
        self._limits = limits
        self._tokens = tokens
        self.is_open = True

    @property
    def tokens(self) -> int:
        """What is reserved; 0 when it has ended."""
        return whole(self._tokens) if self.is_open else 0

    def settle(self, real_tokens: TokenCount) -> None:
        """The call has ended and came to so many tokens."""
        if self.is_open:
            self.is_open = False
            reserved, real = whole(self._tokens), whole(real_tokens)
            if real != reserved:
                for meter in self._limits._tokens:  # noqa: SLF001 - a set and its reservations are one mechanism
                    balance = meter.balance + reserved - real
                    if 0 <= balance <= meter._base:  # noqa: SLF001
                        meter.balance = balance
                    else:
                        meter.correct(reserved, real)

    def cancel(self) -> None:
        """The provider never saw the call: everything comes back."""
        if self.is_open:
            self.is_open = False
            for meter in self._limits._requests:  # noqa: SLF001
                meter.correct(1, 0)
            reserved = whole(self._tokens)
            for meter in self._limits._tokens:  # noqa: SLF001
                meter.correct(reserved, 0)
