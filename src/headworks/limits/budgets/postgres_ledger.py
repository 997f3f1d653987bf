"""The books of budgets in the PostgreSQL database that several machines share: none may spend what another has. The
tables are the records' (`records/stores/postgres_schema.py`), which whoever drains them makes."""

from collections.abc import Callable, Sequence

from headworks.limits.budgets.accounts import Account, Claim
from headworks.limits.budgets.books import BATCHES, AccountState, Holding, Others, Row, T
from headworks.postgres import Connection, Link

_TIMEOUT_S = 5.0
"""Workers have given up long before: a server that is silent for so long is connected to anew."""


class PostgresLedger:
    """Implements `books.Ledger`.

    Arguments:
        url: `postgresql://...`.

    Raises (here and in every method):
        StorageError: the database cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._link = Link(url, (), silence_s=_TIMEOUT_S)
        self._within: Connection | None = None

    def write(self, work: Callable[[], T]) -> T:
        """See `Ledger`."""

        def done(connection: Connection) -> T:
            self._within = connection
            try:
                return work()
            finally:
                self._within = None

        return self._link.write(done)

    def now_s(self) -> float:
        """See `Ledger`: the server's clock."""
        row = self._connection.execute("SELECT extract(epoch FROM clock_timestamp())::double precision").fetchone()
        assert row is not None
        return float(row[0])

    def account(self, name: str) -> Row | None:
        """See `Ledger`."""
        query = "SELECT base, alerted, short_until_s FROM budgets WHERE name = %s"
        within = self._within
        if within is not None:
            row = within.execute(f"{query} FOR UPDATE", (name,)).fetchone()
        else:
            row = self._link.ask(lambda connection: connection.execute(query, (name,)).fetchone())
        return None if row is None else Row(*row)

    def open_account(self, account: Account, base: int) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "INSERT INTO budgets (name, cap, is_hard, begins_us, ends_us, base) VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            (account.name, account.cap, account.is_hard, account.begins_us, account.ends_us, base),
        )

    def note(self, account: Account, row: Row) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "UPDATE budgets SET cap = %s, is_hard = %s, alerted = %s, short_until_s = %s WHERE name = %s",
            (account.cap, account.is_hard, row.alerted, row.short_until_s, account.name),
        )

    def others(self, name: str, holder: str, unheard_since_s: float) -> Others:
        """See `Ledger`."""
        row = self._connection.execute(
            "SELECT coalesce(sum(spent), 0)::bigint, coalesce(sum(reserved) FILTER (WHERE heard), 0)::bigint, "
            "coalesce(sum(held) FILTER (WHERE heard), 0)::bigint, "
            "coalesce(sum(reserved + held) FILTER (WHERE NOT heard), 0)::bigint "
            "FROM (SELECT *, heard_s >= %s OR starts_with(holder, %s) AS heard FROM budget_holders) AS known "
            "WHERE account = %s AND holder <> %s",
            (unheard_since_s, BATCHES, name, holder),
        ).fetchone()
        assert row is not None
        return Others(*row)

    def holdings(self, holder: str) -> Sequence[Holding]:
        """See `Ledger`."""
        rows = self._connection.execute(
            "SELECT account, spent, reserved, held FROM budget_holders WHERE holder = %s", (holder,)
        ).fetchall()
        return [Holding(*row) for row in rows]

    def close_out(self, name: str, holder: str, spent: int) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "INSERT INTO budget_holders AS known (account, holder, spent, reserved, held, heard_s) "
            "VALUES (%s, %s, %s, 0, 0, extract(epoch FROM clock_timestamp())) ON CONFLICT (account, holder) "
            "DO UPDATE SET spent = greatest(known.spent, excluded.spent), reserved = 0, held = 0",
            (name, holder, spent),
        )

    def hold(self, name: str, holder: str, claim: Claim, held: int, now_s: float) -> None:
        """See `Ledger`."""
        self._connection.execute(
            "INSERT INTO budget_holders AS known (account, holder, spent, reserved, held, heard_s) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (account, holder) DO UPDATE SET "
            "spent = greatest(known.spent, excluded.spent), reserved = excluded.reserved, held = excluded.held, "
            "heard_s = excluded.heard_s",
            (name, holder, claim.spent, claim.reserved, held, now_s),
        )

    def count(self, name: str, pico: int) -> None:
        """See `Ledger`."""
        self._connection.execute("UPDATE budgets SET base = base + %s WHERE name = %s", (pico, name))

    def let_go(self, unheard_since_s: float) -> int:
        """See `Ledger`."""
        return self._connection.execute(
            "UPDATE budget_holders SET held = 0, reserved = 0 "
            "WHERE heard_s < %s AND NOT starts_with(holder, %s) AND (held > 0 OR reserved > 0)",
            (unheard_since_s, BATCHES),
        ).rowcount

    def states(self, at_us: int) -> Sequence[AccountState]:
        """See `Ledger`."""
        rows = self._link.ask(
            lambda connection: connection.execute(
                "SELECT name, cap, is_hard, begins_us, ends_us, (base + coalesce(sum(spent), 0))::bigint, "
                "coalesce(sum(reserved), 0)::bigint, coalesce(sum(held), 0)::bigint, alerted "
                "FROM budgets LEFT JOIN budget_holders ON account = name WHERE begins_us <= %s AND ends_us > %s "
                "GROUP BY name ORDER BY name",
                (at_us, at_us),
            ).fetchall()
        )
        return [AccountState(*row) for row in rows]

    def forget(self, before_us: int) -> None:
        """See `Ledger`."""
        self._connection.execute("DELETE FROM budgets WHERE ends_us < %s", (before_us,))

    def close(self) -> None:
        """See `Ledger`."""
        self._link.close()

    @property
    def _connection(self) -> Connection:
        assert self._within is not None, "writing is done within `write`"
        return self._within
