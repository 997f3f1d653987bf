import sqlite3

import pytest

from headworks.errors import StorageError
from headworks.records.stores import Batch, OutcomeSelection, Progress, Selection, Span
from headworks.records.stores.sqlite import SqliteStore


def test_filters_that_the_command_line_offers_use_an_index(sqlite_store):
    connection = sqlite_store._connection
    for fields, index in [
        ({"key_id": "k"}, "calls_by_key"),
        ({"team": "t"}, "calls_by_team"),
        ({"user": "u"}, "calls_by_user"),
        ({"response_id": "r"}, "calls_by_response"),
        ({"outcomes": ("lost",)}, "calls_not_answered"),
        ({"workload": "w"}, "calls_by_workload"),
        ({"verdicts": ("invalid", "repaired")}, "calls_not_valid"),
        ({}, "calls_by_time"),
    ]:
        statements = []
        connection.set_trace_callback(statements.append)
        sqlite_store.select(Selection(**fields))
        connection.set_trace_callback(None)
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statements[0]}"))
        assert index in plan, (fields, plan)


def test_joining_and_listing_use_indexes(sqlite_store):
    statements: list[str] = []
    sqlite_store._connection.set_trace_callback(statements.append)
    sqlite_store.outcomes(OutcomeSelection())
    sqlite_store.outcomes_of(1)
    sqlite_store.tallies(["workload", "prompt_version"], Span(workload="triage"))
    sqlite_store._connection.set_trace_callback(None)
    for statement in statements:
        plan = [row[3] for row in sqlite_store._connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        assert not [step for step in plan if step.startswith(("SCAN c", "SCAN calls"))], plan


def test_a_batch_that_fails_leaves_nothing_behind(sqlite_store, calls, tmp_path):
    hindrance = sqlite3.connect(tmp_path / "records.db")
    hindrance.execute("CREATE TRIGGER refuse BEFORE INSERT ON segments BEGIN SELECT raise(ABORT, 'refused'); END")
    hindrance.commit()
    hindrance.close()

    with pytest.raises(StorageError, match="refused"):
        sqlite_store.commit(
            Batch(
                settled=[calls.settled(1)],
                opened=[("w", calls.opened(2))],
                progress={"a": Progress(1, is_finished=False)},
            )
        )

    assert sqlite_store.last_seq() == 0
    assert sqlite_store.open_writers() == set()
    assert sqlite_store.totals([], None, None) == []


def test_a_store_of_a_later_release_is_refused_with_the_way_out(tmp_path):
    SqliteStore(tmp_path / "records.db").close()
    connection = sqlite3.connect(tmp_path / "records.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(StorageError, match="newer release"):
        SqliteStore(tmp_path / "records.db")


def test_what_is_no_database_is_refused_and_left_alone(tmp_path):
    (tmp_path / "records.db").write_text("this is not a database, whatever its name may say" * 50)

    with pytest.raises(StorageError, match="not a database"):
        SqliteStore(tmp_path / "records.db")
    assert (tmp_path / "records.db").read_text().startswith("this is not")


def test_the_store_is_for_its_owner_only(sqlite_store, tmp_path):
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_from_where_a_call_came_is_not_kept_not_even_while_it_is_under_way(sqlite_store, calls, tmp_path):
    sqlite_store.commit(Batch(opened=[("worker-1", calls.opened(1, source="203.0.113.77"))]))
    sqlite_store.commit(Batch(settled=[calls.settled(2, source="203.0.113.77")]))

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"call_000001" in path.read_bytes() for path in files)
    assert not any(b"203.0.113.77" in path.read_bytes() for path in files)
    assert sqlite_store.commit(Batch(ended_writers=["worker-1"])).lost == 1
