"""The books in both databases."""

import pytest

from headworks.limits.budgets.postgres_ledger import PostgresLedger
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.records.stores.postgres import PostgresStore


@pytest.fixture(params=["sqlite", "postgresql"])
def make_ledger(request, tmp_path):
    """Makes one more connection to the same books; it goes by the clock that is given where the database has none."""
    made = []
    url = ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        url = server.store_url(server.new_database())
        PostgresStore(url, "site").close()

    def make(now=lambda: 1.0):
        ledger = PostgresLedger(url) if url else SqliteLedger(tmp_path, now=now)
        made.append(ledger)
        return ledger

    yield make
    for ledger in made:
        ledger.close()
