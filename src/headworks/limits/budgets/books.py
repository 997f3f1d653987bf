"""The books of budgets: who has spent, set aside and holds how much of each account. In a database, for they must
outlive a process, a machine and a month.

    books = Books(SqliteLedger(path), recorded, tell)
    allowances = books.claim("machine-1/worker-3", claims)

`Ledger` is what the two databases have to be able to do; the arithmetic is here, once. Each claim is one transaction
that locks its account, so that nobody is allowed what another has.

What a worker held when it was killed comes back with what it has left on the disk (`purse_files`): what it had spent
counts, calls that were under way count with the most that they could cost, for they may have to be paid for, and the
rest is free again. Of who is silent and has left nothing to read (a machine that is gone with its disk), all that it
had set aside and held counts as spent, for it may have been: nothing is given back that anybody could still spend.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from headworks.limits.budgets.accounts import Account, Allowance, Claim
from headworks.limits.budgets.purse_files import Remains

T = TypeVar("T")

GONE_S = 60.0
"""Who has set something aside says so every second (`purses.HEARTBEAT_S`): of who is silent for so long nothing is
waited for."""

BATCHES = "batch/"
"""What begins the name of a holder that is no worker but a batch, which says nothing for a day."""

SHORT_S = 1.0
"""For so long after somebody was left waiting, holders are asked to hold only what calls need."""

_FORGET_US = 70 * 86_400_000_000
"""Periods are kept for so long after their end: two months to look back on."""

_TIDY_S = 3600.0


class Row(msgspec.Struct):
    """One account in the books.

    Attributes:
        base: what was spent in the period before the account was opened, as the records have it.
        alerted: the highest percent that was told already; 0 for none.
        short_until_s: till when holders are asked to hold little.
    """

    base: int
    alerted: int
    short_until_s: float


class Others(msgspec.Struct, frozen=True):
    """The sums over all holders but one. `silent` is what workers have set aside and hold that were not heard of for a
    while; it is no part of the other two."""

    spent: int
    reserved: int
    held: int
    silent: int = 0


class Holding(msgspec.Struct, frozen=True):
    """What one holder has of one account, in pico-dollars."""

    account: str
    spent: int
    reserved: int
    held: int

    @property
    def most(self) -> int:
        """What it may have spent by now, and not told."""
        return self.spent + self.reserved + self.held


class AccountState(msgspec.Struct, frozen=True):
    """One account as it stands, for people: in pico-dollars, times in microseconds since the Unix epoch."""

    name: str
    cap: int
    is_hard: bool
    begins_us: int
    ends_us: int
    spent: int
    reserved: int
    held: int
    alerted: int

    @property
    def of(self) -> str:
        """Whose budget it is: `team/support`."""
        return self.name.rpartition("/")[0].rpartition("/")[0]


class Crossing(msgspec.Struct, frozen=True):
    """An account has reached a share of its cap that somebody wants to be told of."""

    account: Account
    percent: int
    spent: int


class Ledger(Protocol):
    """What a database must be able to do. Every method raises `StorageError`. Used by one thread at a time."""

    def write(self, work: Callable[[], T]) -> T:
        """What the work comes to, which is one transaction: all or nothing, and the accounts that it reads are its
        own until it ends."""
        ...

    def now_s(self) -> float:
        """Unix seconds, by the clock that all who keep these books share."""
        ...

    def account(self, name: str) -> Row | None:
        """One account; within a transaction nobody else may change it until that ends."""
        ...

    def open_account(self, account: Account, base: int) -> None:
        """Make one; nothing happens where another has just made it."""
        ...

    def note(self, account: Account, row: Row) -> None:
        """Write how an account stands, and its cap and kind of now."""
        ...

    def others(self, name: str, holder: str, unheard_since_s: float) -> Others:
        """The sums over all holders but this one; workers not heard of since are silent."""
        ...

    def holdings(self, holder: str) -> Sequence[Holding]:
        """What a holder has, of every account."""
        ...

    def close_out(self, name: str, holder: str, spent: int) -> None:
        """A holder has come to its end, and has spent so much, all told: it holds nothing more. Said again, it counts
        once; what it has spent never falls."""
        ...

    def hold(self, name: str, holder: str, claim: Claim, held: int, now_s: float) -> None:
        """Write what a holder has; what it has spent never falls."""
        ...

    def count(self, name: str, pico: int) -> None:
        """Count what was spent and nobody has told."""
        ...

    def let_go(self, unheard_since_s: float) -> int:
        """Let others have what workers hold and have set aside that were not heard of since, and the count of those."""
        ...

    def states(self, at_us: int) -> Sequence[AccountState]:
        """The accounts whose period is under way, by name."""
        ...

    def forget(self, before_us: int) -> None:
        """Remove the accounts whose period ended before."""
        ...

    def close(self) -> None:
        """Let go of the database. Harmless to call twice."""
        ...


Recorded = Callable[[Account], int]
"""What the records say was spent of an account's period so far, in pico-dollars. Raises `StorageError`."""


class Books:
    """Answers claims. State: what is in the database, and when it was tidied last.

    Arguments:
        recorded: asked once when an account is opened, so that a budget that is new in the middle of a month counts
            what the month has cost.
        tell: told of each share of a cap that is reached, once, after it is written.
    """

    def __init__(self, ledger: Ledger, recorded: Recorded, tell: Callable[[Crossing], None]) -> None:
        self._ledger = ledger
        self._recorded = recorded
        self._tell = tell
        self._tidied_s = -math.inf

    def claim(self, holder: str, claims: Sequence[Claim]) -> list[Allowance]:
        """One allowance for each claim, in their order.

        Raises:
            StorageError: the database cannot be used; nothing is allowed then.
        """
        self._open(claims)
        crossings: list[Crossing] = []

        def allow_all() -> dict[str, Allowance]:
            now_s = self._ledger.now_s()
            # In one order, so that two who claim the same accounts never wait for one another.
            return {
                claim.account.name: self._allow(holder, claim, now_s, crossings)
                for claim in sorted(claims, key=lambda claim: claim.account.name)
            }

        found = self._ledger.write(allow_all)
        for crossing in crossings:
            self._tell(crossing)
        self._tidy()
        return [found[claim.account.name] for claim in claims]

    def bury(self, remains: Remains) -> None:
        """A worker is dead, and this is what it has left: count what it had spent, and what its calls under way may
        cost; the rest is free. Said again, it counts once.

        Raises:
            StorageError: the database cannot be used: to be said again.
        """
        holder, figures = remains.holder, remains.accounts

        def close_all() -> None:
            known = {holding.account: holding for holding in self._ledger.holdings(holder)}
            for name in sorted({*known, *figures}):
                if self._ledger.account(name) is None:
                    continue  # nobody has claimed of it: when somebody does, the records have what was spent
                told = known.get(name, Holding(name, 0, 0, 0))
                final = sum(figures.get(name, (0, 0)))
                if name not in figures or not remains.is_exact:
                    final = max(final, told.most)
                self._ledger.close_out(name, holder, final)

        self._ledger.write(close_all)

    def settle(self, holder: str, spent: int) -> None:
        """What was set aside for a holder that is no worker has come to so much, in pico-dollars, of every account; -1:
        nobody knows, so all that was set aside counts. Said again, it counts once.

        Raises:
            StorageError: the database cannot be used: to be said again.
        """

        def close_all() -> None:
            for holding in sorted(self._ledger.holdings(holder), key=lambda one: one.account):
                if self._ledger.account(holding.account) is not None:
                    self._ledger.close_out(holding.account, holder, holding.most if spent < 0 else spent)

        self._ledger.write(close_all)

    def close(self) -> None:
        """Let go of the database."""
        self._ledger.close()

    def _open(self, claims: Iterable[Claim]) -> None:
        """Open the accounts that are new. The records are asked outside of any transaction: they may be many."""
        for claim in claims:
            if self._ledger.account(claim.account.name) is None:
                base = self._recorded(claim.account)
                self._ledger.write(partial(self._ledger.open_account, claim.account, base))

    def _allow(self, holder: str, claim: Claim, now_s: float, crossings: list[Crossing]) -> Allowance:
        account = claim.account
        row = self._ledger.account(account.name)
        assert row is not None, "it was opened"
        others = self._ledger.others(account.name, holder, now_s - GONE_S)
        spent = row.base + others.spent + claim.spent
        reserved = others.reserved + claim.reserved
        room = account.cap - spent - others.silent - reserved - others.held
        held = max(0, min(claim.wanted, room)) if account.is_hard else 0
        if held < claim.least:
            held, row.short_until_s = 0, now_s + SHORT_S
        reached = max((mark for mark in account.alert_at if spent * 100 >= mark * account.cap), default=0)
        if reached > row.alerted:
            row.alerted = reached
            crossings.append(Crossing(account, reached, spent))
        self._ledger.note(account, row)
        self._ledger.hold(account.name, holder, claim, held, now_s)
        # What silent workers have is not waited for: as far as anybody knows, it is spent.
        return Allowance(held, spent + others.silent, reserved, now_s < row.short_until_s)

    def _tidy(self) -> None:
        now_s = time.monotonic()
        if now_s - self._tidied_s >= _TIDY_S:
            self._tidied_s = now_s
            self._ledger.write(lambda: self._ledger.forget(int(self._ledger.now_s() * 1e6) - _FORGET_US))
