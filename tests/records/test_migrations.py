"""A store of an earlier release is brought up to date, and says the same as before."""

import sqlite3

from headworks.records.stores import Batch, Selection
from headworks.records.stores.sqlite import SqliteStore
from headworks.records.stores.sqlite_schema import MIGRATIONS


def write_first_release(path):
    connection = sqlite3.connect(path)
    connection.executescript(MIGRATIONS[0])
    connection.execute("PRAGMA user_version = 1")
    connection.execute(
        "INSERT INTO calls VALUES (1, 'call_1', 7200000000, 'answered', 200, '', 'responses', 'fast', 'sim', 'luna', "
        "'luna-1', 'key_a', 'ann', 'search', 'u', 0, 5, 3, 10, 0, 0, 4, 0, 'provider', 1, 'stop', 'r', 'req', 9, 8)"
    )
    connection.execute("INSERT INTO bodies VALUES (1, x'7B7D', x'5B5D')")
    connection.execute(
        "INSERT INTO rollups VALUES (2, 'key_a', 'search', 'responses', 'sim', 'luna', 'answered', 2, 1, 10, 0, 0, 4, "
        "0, 5, 3, 1, 1, 9, 8)"
    )
    connection.commit()
    connection.close()


def test_records_sums_and_bodies_of_the_first_release_are_still_there(tmp_path, calls):
    write_first_release(tmp_path / "records.db")
    store = SqliteStore(tmp_path / "records.db")
    try:
        record = store.get("call_1")
        assert (record.model, record.response_bytes, record.workload, record.verdict) == ("luna", 8, "", "")
        assert store.bodies(1).request == b"{}"
        (total,) = store.totals(["key_id", "workload", "prompt_version"], None, None)
        assert (total.group, total.calls, total.output_tokens, total.response_bytes) == (("key_a", "", ""), 1, 4, 8)
        # What an old call cost is not known, and not zero.
        assert (record.cost_pico, record.price_version, total.cost_pico, total.unknown_costs) == (None, "", 0, 1)

        store.commit(Batch(settled=[calls.settled(2, workload="triage", cost_pico=5)]))
        assert len(store.select(Selection())) == 2
        (total,) = store.totals([], None, None)
        assert (total.calls, total.cost_pico, total.unknown_costs) == (2, 5, 1)
    finally:
        store.close()
