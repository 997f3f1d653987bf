"""A worker's side of budgets: what it holds, has set aside and has spent of each account, and when it asks for more.

    purse = purses.of(account, now_s)
    purse.try_reserve(4_000_000, now_s)     # the most that the call can cost; False: ask, and wait
    purse.settle(4_000_000, 612_000)        # what it did cost

Synchronous, without I/O. Whoever drives it calls `beat` at the time that `due_s` names (and when it is rung for),
sends the claims, and hands back `take` or `fail`; one exchange is under way at a time.
"""

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence

from headworks.limits.budgets.accounts import CLAIM_EXPIRES_S, Account, Allowance, Claim
from headworks.limits.budgets.purse_files import Slot

SOON_S = 0.01
"""The shortest time between two claims, and so the least that waiting for one takes."""

PERIOD_S = 0.2
"""Time between two claims where nothing is short: what was spent is known to others after so long."""

HEARTBEAT_S = 1.0
"""Time between two claims of a purse that only holds something: within `CLAIM_EXPIRES_S`, several times."""

IDLE_S = 5.0
"""What is held and not used for so long is given back."""

_TIDY_S = 600.0

_AHEAD = 2
"""Held ahead of need: so many times what was reserved since the last claim, or the largest single call."""


class Spender:
    """A call that waits for what it reserves. Ended once, by either of the two.

    Arguments:
        amount: pico-dollars.
        due_s: the longest that it waits, by the clock that `Purses` goes by.
        go: it has its turn: so much was set aside.
        refuse: it will not be there in time.
    """

    __slots__ = ("amount", "due_s", "go", "purse", "refuse")

    def __init__(self, amount: int, due_s: float, go: Callable[[], None], refuse: Callable[[], None]) -> None:
        self.amount = amount
        self.due_s = due_s
        self.go = go
        self.refuse = refuse
        self.purse: Purse | None = None

    def leave(self) -> None:
        """It waits no more, and is told nothing."""
        purse, self.purse = self.purse, None
        if purse is not None:
            purse.waiting.remove(self)


class Purse:
    """One account, as far as this worker has to do with it. Of soft accounts nothing is refused.

    Attributes:
        free: what may be reserved until `expires_s`.
        reserved: set aside for calls under way.
        spent: by this worker since it started.
        others: what everybody else has spent or set aside, as of the last answer.
        waiting: calls that wait, the first one first.
    """

    __slots__ = (
        "_asked", "_asked_handed", "_asked_of", "_chunk", "_handed", "_is_short", "_new", "_ring", "_slot",
        "_spent_told", "_total_reserved", "_total_spent", "_used", "_used_s", "account", "expires_s", "free",
        "is_known", "reserved", "spent", "waiting",
    )  # fmt: skip

    def __init__(
        self, account: Account, ring: Callable[["Purse"], None], now_s: float, slot: Slot | None = None
    ) -> None:
        self.account = account
        self._slot = slot
        self._asked_of = account
        self._handed = self._asked_handed = 0  # what was set aside and is another's, since it started
        self.free = 0
        self.expires_s = -math.inf
        self.reserved = 0
        self.spent = 0
        self.waiting: deque[Spender] = deque()
        self.is_known = False
        self._ring = ring
        self._asked = (0, 0)  # spent and reserved, as it was told last
        self._spent_told = (0, 0)  # what the answer that came last had been told
        self._chunk = 0
        self._used = 0
        self._used_s = now_s
        self._is_short = False
        self._total_spent = 0
        self._total_reserved = 0
        self._new = True

    def try_reserve(self, amount: int, now_s: float) -> bool:
        """Set so much aside, if it is there and nobody waits for it."""
        account = self.account
        if account.is_hard and (self.waiting or self.free < amount or now_s >= self.expires_s):
            return False
        self._take(amount, now_s)
        self._ring(self)
        return True

    def wait(self, spender: Spender) -> None:
        """Let a call wait its turn."""
        spender.purse = self
        self.waiting.append(spender)
        self._ring(self)

    def settle(self, reserved: int, real: int) -> None:
        """A call has ended that had reserved so much, and came to so much; a real cost beyond what was reserved is
        spent all the same."""
        self.reserved -= reserved
        self.spent += real
        if self._slot is not None:
            self._slot.note(self.spent, self.reserved)
        if self.account.is_hard:
            self.free += reserved - real
        self._ring(self)

    def hand_over(self, reserved: int) -> None:
        """What was set aside is another holder's from now on: it does not come back."""
        self.reserved -= reserved
        self._handed += reserved
        if self._slot is not None:
            self._slot.note(self.spent, self.reserved)
        self._new = True
        self._ring(self)

    def hold_no_more(self) -> None:
        """What was set aside last was no call: nothing is held ahead for more of the kind."""
        self._chunk = self._used = 0

    def become(self, account: Account) -> None:
        """The budget has changed. What was allowed of the other one allows nothing more: a call waits for the answer to
        the next claim."""
        self.account = account
        self._new = True
        self.expires_s = -math.inf

    @property
    def left(self) -> int:
        """What nobody has spent or set aside, as far as is known; below zero where a soft budget is exceeded."""
        return self.account.cap - self._all_spent - self._all_reserved

    @property
    def left_unspent(self) -> int:
        """What nobody has spent, as far as is known: what is set aside may come back."""
        return self.account.cap - self._all_spent

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to say and nothing is held."""
        return not (self.waiting or self.reserved or self.free > 0 or self._new or self._has_news)

    # The keeper's side.

    def due_s(self, asked_s: float) -> float:
        """When it would like to be asked for, of an exchange that was begun at `asked_s` last."""
        if self.waiting:
            # What lies with others is there within their next claim.
            return asked_s + (PERIOD_S / 4 if self.is_known and not self._new else SOON_S)
        if self._has_news or self._new:
            return asked_s + PERIOD_S
        return asked_s + HEARTBEAT_S if self.free > 0 or self.reserved else math.inf

    def claim(self, now_s: float) -> Claim:
        """Say how it stands. What it holds beyond what it wants is given back here and now, so that others may count
        on it even if the answer is lost."""
        needed = sum(spender.amount for spender in self.waiting)
        least = self.waiting[0].amount if self.waiting and self.account.is_hard else 0
        if self._used:
            self._used_s = now_s
        if not self.account.is_hard:
            wanted = 0
        elif self._is_short or now_s - self._used_s >= IDLE_S:
            wanted = needed
        else:
            wanted = needed + _AHEAD * max(self._chunk, self._used)
        self._used = 0
        if now_s - self._used_s >= IDLE_S:
            self._chunk = 0
        if now_s >= self.expires_s:
            self.free = min(self.free, 0)
        # What is not enough for the first that waits is given back, too: it may be for another's.
        self.free = min(self.free, 0 if self.waiting else wanted)
        self._asked, self._asked_of = (self.spent, self.reserved), self.account
        self._asked_handed = self._handed
        self._new = False
        return Claim(self.account, self.spent, self.reserved, min(wanted, self.account.cap), least)

    def take_allowance(self, allowance: Allowance, asked_s: float) -> None:
        """Hold what was allowed, less what was taken while the claim was under way."""
        if self._asked_of is not self.account:
            return  # it was allowed of another budget: the next claim asks for this one
        told_spent, told_reserved = self._spent_told = self._asked
        if self.account.is_hard:
            # A budget that was soft, or larger, may be exceeded already, and what comes back of it is no one's then.
            excess = max(0, allowance.spent + allowance.reserved - self.account.cap)
            told = told_spent + told_reserved + self._asked_handed
            self.free = allowance.held + told - self.spent - self.reserved - self._handed - excess
        self.expires_s = asked_s + CLAIM_EXPIRES_S
        self._total_spent, self._total_reserved = allowance.spent, allowance.reserved
        self._is_short = allowance.is_short
        self.is_known = True

    def serve(self, now_s: float) -> None:
        """Let go whom there is enough for, and refuse whom there will not be."""
        while self.waiting:
            first = self.waiting[0]
            if now_s < self.expires_s and self.free >= first.amount:
                self._end(first)
                self._take(first.amount, now_s)
                first.go()
            elif now_s >= first.due_s or (self.is_known and first.amount > self.left_unspent):
                self._end(first)
                first.refuse()
            else:
                break
        for late in [spender for spender in self.waiting if now_s >= spender.due_s]:
            self._end(late)
            late.refuse()

    def _end(self, spender: Spender) -> None:
        spender.purse = None
        self.waiting.remove(spender)

    def _take(self, amount: int, now_s: float) -> None:
        if self.account.is_hard:
            self.free -= amount
        self.reserved += amount
        if self._slot is not None:
            self._slot.note(self.spent, self.reserved)
        self._used += amount
        self._used_s = now_s
        self._chunk = max(self._chunk, amount)

    @property
    def _has_news(self) -> bool:
        return (self.spent, self.reserved) != self._asked

    @property
    def _all_spent(self) -> int:
        return self._total_spent + self.spent - self._spent_told[0]

    @property
    def _all_reserved(self) -> int:
        return self._total_reserved + self.reserved - self._spent_told[1]


class Purses:
    """The purses of one worker, and the exchange with whoever keeps the books. State: those, by account, and which of
    them have something to say or to hold.

    Arguments:
        ring: called when `due_s` may have become earlier, with the time that it may be now.
        make_slot: called once for each account: where it is noted how it stands; None where that is nowhere.
        give_back: called when an account is over and done with.
    """

    def __init__(
        self,
        ring: Callable[[float], None] = lambda _: None,
        make_slot: Callable[[str], Slot | None] = lambda _: None,
        give_back: Callable[[Slot], None] = lambda _: None,
    ) -> None:
        self._ring = ring
        self._make_slot = make_slot
        self._give_back = give_back
        self._purses: dict[str, Purse] = {}
        self._active: dict[str, Purse] = {}
        self._asked: list[Purse] = []
        self._asked_s = -math.inf
        self._is_asking = False
        self._failing_since: float | None = None
        self._tidied_s = -math.inf

    def of(self, account: Account, now_s: float) -> Purse:
        """The purse of an account; its cap and kind are the account's from now on."""
        purse = self._purses.get(account.name)
        if purse is None:
            purse = Purse(account, self._rung, now_s, self._make_slot(account.name))
            self._purses[account.name] = self._active[account.name] = purse
        elif purse.account != account:
            purse.become(account)
            self._active[account.name] = purse
        return purse

    @property
    def purses(self) -> Collection[Purse]:
        """All of them."""
        return self._purses.values()

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return sum(len(purse.waiting) for purse in self._purses.values())

    def is_away(self, now_s: float) -> bool:
        """Whether nobody answers, for a second and more."""
        return self._failing_since is not None and now_s - self._failing_since >= 1.0

    def due_s(self) -> float:
        """When to call `beat` next; infinity: not before it rings."""
        due = min((purse.due_s(self._asked_s) for purse in self._active.values()), default=math.inf)
        waits = [spender.due_s for purse in self._active.values() for spender in purse.waiting]
        if self._is_asking:
            return min(waits, default=math.inf)
        if self._failing_since is not None:
            due = max(due, self._asked_s + PERIOD_S)
        return min([due, *waits])

    def beat(self, now_s: float) -> list[Claim]:
        """Refuse whose time is over, and say what to claim; nothing while an answer is awaited, or where there is
        nothing to say. The claims must be followed by `take` or `fail`."""
        for purse in tuple(self._active.values()):
            purse.serve(now_s)
        if self._is_asking:
            return []
        if min((purse.due_s(self._asked_s) for purse in self._active.values()), default=math.inf) > now_s + 1e-4:
            return []
        self._forget(now_s)
        self._active = {name: purse for name, purse in self._active.items() if not purse.is_idle}
        self._asked = list(self._active.values())
        if not self._asked:
            return []
        self._is_asking, self._asked_s = True, now_s
        return [purse.claim(now_s) for purse in self._asked]

    def take(self, allowances: Sequence[Allowance], now_s: float) -> None:
        """The answer to the claims of the last `beat`."""
        self._is_asking, self._failing_since = False, None
        for purse, allowance in zip(self._asked, allowances, strict=True):
            purse.take_allowance(allowance, self._asked_s)
            purse.serve(now_s)

    def fail(self, now_s: float) -> None:
        """There was none."""
        self._is_asking = False
        for purse in self._asked:
            purse._new = True  # noqa: SLF001 - it may not have been heard: said again, it counts once
        if self._failing_since is None:
            self._failing_since = now_s

    @property
    def reserved(self) -> int:
        """What is set aside for calls under way, of all accounts together."""
        return sum(purse.reserved for purse in self._purses.values())

    def parting(self, now_s: float) -> list[Claim]:
        """What is left to say when this worker ends: what was spent, and that it holds nothing any more. Calls whose
        end it does not know stay set aside, until what it has left on the disk is seen to."""
        claims = []
        for purse in self._purses.values():
            if not purse.is_idle:
                claim = purse.claim(now_s)
                claims.append(Claim(claim.account, claim.spent, claim.reserved, 0))
        return claims

    def _rung(self, purse: Purse) -> None:
        self._active[purse.account.name] = purse
        self._ring(min([purse.due_s(self._asked_s), *(spender.due_s for spender in purse.waiting)]))

    def _forget(self, now_s: float) -> None:
        """Let go of periods that are over."""
        if now_s - self._tidied_s < _TIDY_S:
            return
        self._tidied_s = now_s
        over = [name for name, purse in self._purses.items() if purse.is_idle and purse._used_s < now_s - 86_400]  # noqa: SLF001
        for name in over:
            slot = self._purses.pop(name)._slot  # noqa: SLF001 - purses and their keeper are one mechanism
            if slot is not None:
                self._give_back(slot)
