"""The words of budgets: accounts, what a worker claims of them, and what it is allowed."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

import msgspec

from headworks.calls import Budget

CLAIM_EXPIRES_S = 10.0
"""A worker may spend what it holds for so long after it last asked: one that cannot tell what it spends stops."""


class Account(msgspec.Struct, frozen=True):
    """A budget in one of its periods.

    Attributes:
        name: `key/ID/day/2026-11-26`, `team/NAME/month/2026-11`, `workload/NAME/day/...`: the same on every machine.
        cap: most that may be spent, in pico-dollars.
        is_hard: calls are refused beyond it; else it is only told.
        alert_at: percents of the cap at which somebody is told.
        begins_us, ends_us: the period, in microseconds since the Unix epoch.
    """

    name: str
    cap: int
    is_hard: bool
    alert_at: tuple[int, ...]
    begins_us: int
    ends_us: int

    @property
    def of(self) -> str:
        """Whose budget it is: `team/support`."""
        return self.name.rpartition("/")[0].rpartition("/")[0]

    @property
    def kind(self) -> str:
        """`day` or `month`."""
        return self.name.rsplit("/", 2)[1]


class Claim(msgspec.Struct, frozen=True):
    """What a worker says of one account, in pico-dollars.

    Attributes:
        spent: what it has spent of it since it started, all together: said again, it counts once.
        reserved: what it has set aside for calls under way.
        wanted: what it would like to hold for the next calls.
        least: what the first call that waits needs: less would only lie here, and others lack it.
    """

    account: Account
    spent: int
    reserved: int
    wanted: int
    least: int = 0


class Allowance(msgspec.Struct, frozen=True):
    """What the worker has of one account from now on, in pico-dollars.

    Attributes:
        held: what it may spend without asking until `CLAIM_EXPIRES_S` after it asked.
        spent: what everybody has spent in the period, this worker included.
        reserved: what everybody has set aside for calls under way.
        is_short: somebody waits for what others hold: hold only what calls need.
    """

    held: int
    spent: int
    reserved: int
    is_short: bool = False


class AllowanceSource(Protocol):
    """Whoever keeps the books, as a worker reaches it."""

    async def claim(self, holder: str, claims: Sequence[Claim]) -> Sequence[Allowance]:
        """One allowance for each claim, in their order.

        Arguments:
            holder: the worker's name, unique over all machines; a worker that starts again has another.

        Raises:
            LimitsUnavailable: the books cannot be reached, or do not answer in time.
        """
        ...

    async def settle(self, batch: str, spent: int) -> None:
        """What was set aside for a batch has come to so much, in pico-dollars; -1: nobody knows, so all of it counts.
        Said again, it counts once.

        Raises:
            LimitsUnavailable: the books cannot be reached, or do not answer in time: to be said again.
        """
        ...


def accounts_of(of: str, budget: Budget, now_s: float) -> list[Account]:
    """The accounts that a budget means at a moment.

    Arguments:
        of: whose it is: `key/ID`, `team/NAME`, `workload/NAME`.
        now_s: Unix seconds.
    """
    found = []
    for kind, cap in (("day", budget.day_pico), ("month", budget.month_pico)):
        if cap is not None:
            label, begins_us, ends_us = period_of(kind, now_s)
            found.append(Account(f"{of}/{kind}/{label}", cap, budget.is_hard, budget.alert_at, begins_us, ends_us))
    return found


def period_of(kind: str, now_s: float) -> tuple[str, int, int]:
    """The calendar day or month (UTC) around a moment: its name, and where it begins and ends, in microseconds since
    the Unix epoch."""
    day = dt.datetime.fromtimestamp(now_s, dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "day":
        begins, ends, label = day, day + dt.timedelta(days=1), f"{day:%Y-%m-%d}"
    else:
        begins = day.replace(day=1)
        ends, label = (begins + dt.timedelta(days=32)).replace(day=1), f"{begins:%Y-%m}"
    return label, int(begins.timestamp()) * 1_000_000, int(ends.timestamp()) * 1_000_000
