"""The books of budgets in an SQLite file of their own: for one machine. Each claim is flushed to the disk, so that what
was allowed survives a power cut."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from headworks.database import open_database, storage_errors, transaction
from headworks.limits.budgets.accounts import Account, Claim
from headworks.limits.budgets.books import BATCHES, AccountState, Holding, Others, Row, T

BUDGETS_FILE = "budgets.db"

_BUSY_S = 5.0

_MIGRATIONS = (
    """
    CREATE TABLE accounts (
        name TEXT PRIMARY KEY,
        cap INTEGER NOT NULL,
        is_hard INTEGER NOT NULL,
        begins_us INTEGER NOT NULL,
        ends_us INTEGER NOT NULL,
        base INTEGER NOT NULL,
        alerted INTEGER NOT NULL DEFAULT 0,
        short_until_s REAL NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE holders (
        account TEXT NOT NULL,
        holder TEXT NOT NULL,
        spent INTEGER NOT NULL,
        reserved INTEGER NOT NULL,
        held INTEGER NOT NULL,
        heard_s REAL NOT NULL,
        PRIMARY KEY (account, holder)
    ) WITHOUT ROWID
    """,
)


class SqliteLedger:
    """Implements `books.Ledger`.

    Arguments:
        storage: the state folder.
        now: Unix seconds.

    Raises (here and in every method):
        StorageError: the file cannot be used.
    """

    def __init__(self, storage: Path, *, now: Callable[[], float] = time.time) -> None:
        self._path = storage / BUDGETS_FILE
        self._now = now
        self._connection = open_database(self._path, _MIGRATIONS, busy_s=_BUSY_S)

    def write(self, work: Callable[[], T]) -> T:
        """See `Ledger`."""
        with storage_errors(self._path), transaction(self._connection):
            return work()

    def now_s(self) -> float:
        """See `Ledger`."""
        return self._now()

    def account(self, name: str) -> Row | None:
        """See `Ledger`."""
        with storage_errors(self._path):
            row = self._connection.execute(
                "SELECT base, alerted, short_until_s FROM accounts WHERE name = ?", (name,)
            ).fetchone()
        return None if row is None else Row(*row)

    def open_account(self, account: Account, base: int) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "INSERT OR IGNORE INTO accounts (name, cap, is_hard, begins_us, ends_us, base) VALUES (?, ?, ?, ?, ?, ?)",
            (account.name, account.cap, account.is_hard, account.begins_us, account.ends_us, base),
        )

    def note(self, account: Account, row: Row) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "UPDATE accounts SET cap = ?, is_hard = ?, alerted = ?, short_until_s = ? WHERE name = ?",
            (account.cap, account.is_hard, row.alerted, row.short_until_s, account.name),
        )

    def others(self, name: str, holder: str, unheard_since_s: float) -> Others:
        """See `Ledger`."""
        return Others(
            *self._connection.execute(
                "SELECT coalesce(sum(spent), 0), coalesce(sum(reserved) FILTER (WHERE heard), 0), "
                "coalesce(sum(held) FILTER (WHERE heard), 0), "
                "coalesce(sum(reserved + held) FILTER (WHERE NOT heard), 0) "
                "FROM (SELECT *, heard_s >= ? OR instr(holder, ?) = 1 AS heard FROM holders) "
                "WHERE account = ? AND holder <> ?",
                (unheard_since_s, BATCHES, name, holder),
            ).fetchone()
        )

    def holdings(self, holder: str) -> Sequence[Holding]:
        """See `Ledger`."""
        rows = self._connection.execute(
            "SELECT account, spent, reserved, held FROM holders WHERE holder = ?", (holder,)
        ).fetchall()
        return [Holding(*row) for row in rows]

    def close_out(self, name: str, holder: str, spent: int) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "INSERT INTO holders (account, holder, spent, reserved, held, heard_s) VALUES (?, ?, ?, 0, 0, ?) "
            "ON CONFLICT DO UPDATE SET spent = max(spent, excluded.spent), reserved = 0, held = 0",
            (name, holder, spent, self._now()),
        )

    def hold(self, name: str, holder: str, claim: Claim, held: int, now_s: float) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "INSERT INTO holders (account, holder, spent, reserved, held, heard_s) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET spent = max(spent, excluded.spent), reserved = excluded.reserved, "
            "held = excluded.held, heard_s = excluded.heard_s",
            (name, holder, claim.spent, claim.reserved, held, now_s),
        )

    def count(self, name: str, pico: int) -> None:
        """See `Ledger`."""
        self._connection.execute("UPDATE accounts SET base = base + ? WHERE name = ?", (pico, name))

    def let_go(self, unheard_since_s: float) -> int:
        """See `Ledger`."""
        return self._connection.execute(
            "UPDATE holders SET held = 0, reserved = 0 "
            "WHERE heard_s < ? AND instr(holder, ?) <> 1 AND (held > 0 OR reserved > 0)",
            (unheard_since_s, BATCHES),
        ).rowcount

    def states(self, at_us: int) -> Sequence[AccountState]:
        """See `Ledger`."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT name, cap, is_hard, begins_us, ends_us, base + coalesce(sum(spent), 0), "
                "coalesce(sum(reserved), 0), coalesce(sum(held), 0), alerted "
                "FROM accounts LEFT JOIN holders ON account = name WHERE begins_us <= ? AND ends_us > ? "
                "GROUP BY name ORDER BY name",
                (at_us, at_us),
            ).fetchall()
        return [AccountState(row[0], row[1], bool(row[2]), *row[3:]) for row in rows]

    def forget(self, before_us: int) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "DELETE FROM holders WHERE account IN (SELECT name FROM accounts WHERE ends_us < ?)", (before_us,)
        )
        self._connection.execute("DELETE FROM accounts WHERE ends_us < ?", (before_us,))

    def close(self) -> None:
        """See `Ledger`."""
        self._connection.close()
