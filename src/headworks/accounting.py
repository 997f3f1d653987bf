"""The books of budgets of an installation: where they lie, and what the records say was spent before there were any."""

from collections.abc import Callable, Iterable
from pathlib import Path

from headworks.limits.budgets import Account, AccountState, Books, Crossing, Ledger
from headworks.limits.budgets.purse_files import FOLDER as PURSES
from headworks.limits.budgets.purse_files import remains
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.limits.local import unserved
from headworks.records import Store, open_store
from headworks.records.stores import Dimension

_DIMENSIONS: dict[str, Dimension] = {"key": "key_id", "team": "team", "workload": "workload"}


def open_ledger(storage: Path, url: str = "") -> Ledger:
    """The database of the books: a file in the state folder, or the PostgreSQL database of the records.

    Raises:
        StorageError: it cannot be used.
    """
    if not url:
        return SqliteLedger(storage)
    from headworks.limits.budgets.postgres_ledger import PostgresLedger  # the extra `postgres`

    return PostgresLedger(url)


def open_books(storage: Path, url: str = "", tell: Callable[[Crossing], None] = lambda _: None) -> Books:
    """The books of an installation.

    Arguments:
        url: of the database that has the records; "" for the files in the folder.
        tell: told of each share of a budget that is reached.

    Raises:
        StorageError: they cannot be used.
    """
    open_store(storage, url).close()  # the tables of both are made with the records'
    return Books(open_ledger(storage, url), lambda account: _recorded(storage, url, account), tell)


def see_to_the_dead(storage: Path, url: str = "") -> None:
    """Count what killed workers have left on this machine, where no control plane does.

    Raises:
        StorageError: the books, or what was left, cannot be used.
    """
    with unserved(storage) as is_ours, remains(storage / PURSES) as found:
        if not is_ours or not found:
            return
        books = open_books(storage, url)
        try:
            for path, left in found:
                books.bury(left)
                path.unlink(missing_ok=True)
        finally:
            books.close()


def _recorded(storage: Path, url: str, account: Account) -> int:
    store = open_store(storage, url)
    try:
        return recorded(store, account)
    finally:
        store.close()


def recorded(store: Store, account: Account | AccountState) -> int:
    """What the calls of an account's period have cost so far, as far as it is known, in pico-dollars.

    Raises:
        StorageError: the records cannot be read.
    """
    return recorded_of(store, [account])[account.name]


def recorded_of(store: Store, accounts: Iterable[Account | AccountState]) -> dict[str, int]:
    """The same of many, by the accounts' names; records are gone through once for each kind and period.

    Raises:
        StorageError: the records cannot be read.
    """
    sums: dict[tuple[str, int, int], dict[str, int]] = {}
    found = {}
    for account in accounts:
        scope, _, name = account.of.partition("/")
        period = (scope, account.begins_us, account.ends_us)
        if period not in sums:
            totals = store.totals([_DIMENSIONS[scope]], account.begins_us, account.ends_us)
            sums[period] = {}
            for total in totals:
                of = str(total.group[0])
                sums[period][of] = sums[period].get(of, 0) + total.cost_pico
        found[account.name] = sums[period].get(name, 0)
    return found
