"""What budgets have left, and letting go what dead workers hold of them; for the command line and the admin API alike.

The budget of a key is changed with the key (`keys`); those of teams and workloads stand in files, and nowhere else.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from headworks.access import KEYS_FILE, Right
from headworks.accounting import open_ledger, recorded_of, see_to_the_dead
from headworks.admin.desk import Desk
from headworks.calls import Budget
from headworks.config import load_workloads, store_url
from headworks.config.budgets import budget_of, team_budgets
from headworks.errors import CommandError, ConfigError
from headworks.limits.budgets import Account, AccountState, Ledger, accounts_of
from headworks.records import catch_up, may_have_records, open_store

_UNHEARD_S = 60.0
"""A worker that has said nothing for so long, in seconds, is dead: it speaks every few seconds."""


def budget_states(desk: Desk) -> Sequence[AccountState]:
    """The budgets of this day and month that whoever asks reaches, by name: those in the books, and those that are
    configured and no call was under yet, with what the records say was spent. A cap is what is configured now.

    Raises:
        Forbidden: they reach none.
        StorageError: the books cannot be read.
    """
    teams = desk.teams(Right.READ_BUDGETS)
    with _ledger(desk) as ledger:
        booked = () if ledger is None else ledger.states(int(desk.now() * 1e6))
    states = _with_configured(desk, booked)
    if teams is None:
        return states
    of_key = desk.teams_of_keys()
    return [state for state in states if _team_of(state, of_key) in teams]


def release_budgets(desk: Desk) -> int:
    """Let go what workers hold that were not heard of for a minute, and count what the records know of and the books do
    not, up to as much as is let go; returns of how many. What the killed have left on this machine is seen to first: it
    is exact.

    Raises:
        Forbidden: it concerns everybody's budgets, and they may not.
        CommandError: the records are behind.
        StorageError: books or records cannot be used.
    """
    desk.demand_everywhere(Right.WRITE_BUDGETS)
    with _ledger(desk) as ledger:
        count = 0 if ledger is None else _release(desk, ledger)
    desk.tell("budget.released", "", {"holders": count})
    return count


def used_up_s(state: AccountState, now_s: float) -> float | None:
    """When it is used up if spending goes on as in the period so far, in Unix seconds; None: not before its end."""
    begins_s, ends_s = state.begins_us / 1e6, state.ends_us / 1e6
    if state.spent <= 0 or now_s <= begins_s:
        return None
    at_s = begins_s + (now_s - begins_s) * (state.cap / state.spent)
    return max(now_s, at_s) if at_s < ends_s else None


@contextmanager
def _ledger(desk: Desk) -> Iterator[Ledger | None]:
    storage, url = desk.project.storage, store_url(desk.project)
    if not may_have_records(storage, url):
        yield None
        return
    ledger = open_ledger(storage, url)
    try:
        yield ledger
    finally:
        ledger.close()


def _with_configured(desk: Desk, booked: Sequence[AccountState]) -> list[AccountState]:
    found = {state.name: state for state in booked}
    unbooked: list[Account] = []
    for of, budget in _configured(desk).items():
        for account in accounts_of(of, budget, desk.now()):
            state = found.get(account.name)
            if state is None:
                unbooked.append(account)
            else:  # the books know the cap of the last call, and it may have been changed since
                found[account.name] = msgspec.structs.replace(state, cap=account.cap, is_hard=account.is_hard)
    if unbooked:
        with desk.records() as store:
            # As the books will begin: a budget that is new in the middle of a month has the month's cost against it.
            spent = {} if store is None else recorded_of(store, unbooked)
        for one in unbooked:
            period = (one.begins_us, one.ends_us)
            found[one.name] = AccountState(one.name, one.cap, one.is_hard, *period, spent.get(one.name, 0), 0, 0, 0)
    return [found[name] for name in sorted(found)]


def _configured(desk: Desk) -> dict[str, Budget]:
    """Every budget that calls may be under, by whose it is."""
    project = desk.project
    found = {f"team/{name}": budget for name, budget in team_budgets(project.config).items()}
    if (project.storage / KEYS_FILE).exists():
        with desk.keys() as store:
            found |= {f"key/{record.key_id}": record.budget for record in store.list() if record.is_good(desk.now())}
    try:
        found |= {f"workload/{one.name}": budget_of(one.contract.budget) for one in load_workloads(project)}
    except ConfigError as error:
        desk.report(f"new budgets of workloads are left out, for a contract cannot be used: {error}")
    return found


def _team_of(state: AccountState, of_key: dict[str, str]) -> str:
    """The team that a budget belongs to; "" for none, as a workload's."""
    scope, _, name = state.of.partition("/")
    if scope == "key":
        return of_key.get(name, "")
    return name if scope == "team" else ""


def _release(desk: Desk, ledger: Ledger) -> int:
    storage, url, now_us = desk.project.storage, store_url(desk.project), int(desk.now() * 1e6)
    see_to_the_dead(storage, url)
    if not catch_up(storage, url, report=desk.report):
        raise CommandError("the records are behind, and by them is known what was spent last: try again in a moment")
    store = open_store(storage, url)
    try:
        known = recorded_of(store, ledger.states(now_us))
    finally:
        store.close()

    def let_go() -> int:
        since_s = ledger.now_s() - _UNHEARD_S
        for state in ledger.states(now_us):
            missing = min(known.get(state.name, 0) - state.spent, ledger.others(state.name, "", since_s).silent)
            if missing > 0:
                ledger.count(state.name, missing)
        return ledger.let_go(since_s)

    return ledger.write(let_go)
