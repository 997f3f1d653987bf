"""Records are kept as long as configured, by either engine; in PostgreSQL, months are made ahead, and dropped."""

from contextlib import ExitStack, closing
from datetime import UTC, datetime
from secrets import token_hex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import OutcomeReport
from headworks.errors import StorageError
from headworks.records.stores import Batch, Bodies, Selection, postgres_retention, sqlite_content
from headworks.records.stores.postgres_schema import months_from
from headworks.records.stores.sqlite import SqliteStore

FAR_US = 2**62


def at(*moment: int) -> int:
    """A moment in UTC, in microseconds since the Unix epoch."""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


def months(store) -> list[str]:
    rows = store._link.ask(
        lambda connection: connection.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = 'calls'::regclass ORDER BY relname"
        ).fetchall()
    )
    return [name.removeprefix("calls_") for (name,) in rows]


def ids(store) -> list[str]:
    return [record.call_id[-1] for record in store.select(Selection(is_newest_first=False, limit=1000))]


def report(number: int, opened_us: int) -> OutcomeReport:
    return OutcomeReport(f"o{number}", opened_us, "good", "boolean", "true", call_id=f"call_{number:06d}")


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(postgres_retention, "STEP_CALLS", 2)
    monkeypatch.setattr(sqlite_content, "FORGET_CALLS", 2)


def fill(store, calls) -> None:
    moments = [at(2026, 8, 1), at(2026, 8, 31, 23), at(2026, 9, 1), at(2026, 9, 15), at(2026, 9, 30), at(2026, 11, 2)]
    store.commit(
        Batch(
            settled=[
                calls.settled(n, opened_us=opened_us, request_body=b"%d" % n, content_expires_us=FAR_US * (n % 2))
                for n, opened_us in enumerate(moments)
            ],
            outcomes=[report(n, opened_us) for n, opened_us in enumerate(moments)],
        )
    )


def test_old_calls_go_with_all_that_belongs_to_them_and_sums_stay(store, calls, small_steps):
    fill(store, calls)
    seqs = {record.call_id[-1]: record.seq for record in store.select(Selection())}

    removed = store.forget(at(2026, 10, 1))

    assert removed == 5
    assert ids(store) == ["5"]
    assert store.get("call_000001") is None
    assert store.call_ids("call_", 9) == ["call_000005"]
    assert [store.bodies(seqs[n]) for n in "024"] == [None] * 3
    assert [store.content(seqs[n], 0) for n in "13"] == [{}] * 2
    assert store.content(seqs["5"], 0) == {"request": b"5"}
    assert [len(store.outcomes_of(seq)) for seq in (seqs["4"], seqs["5"])] == [0, 1]
    assert [total.calls for total in store.totals([], None, None)] == [6]
    assert store.forget(at(2026, 10, 1)) == 0


def test_what_is_kept_of_a_persons_calls_is_erased_and_nobody_elses(store, calls, small_steps, monkeypatch):
    monkeypatch.setattr(sqlite_content, "ERASE_CALLS", 2)
    store.commit(
        Batch(
            settled=[
                calls.settled(
                    n, user="ann" if n < 5 else "bob", request_body=b"%d" % n, content_expires_us=FAR_US * (n % 2)
                )
                for n in range(8)
            ]
        )
    )

    assert store.erase("ann") == 5
    assert store.erase("ann") == 0

    kept = {
        record.call_id[-1]: bool(store.bodies(record.seq) or store.content(record.seq, 0))
        for record in store.select(Selection(limit=100))
    }
    assert kept == {**dict.fromkeys("01234", False), **dict.fromkeys("567", True)}


def test_what_others_can_go_on_from_of_a_persons_calls_is_told_with_whose_it_is(store, calls):
    settled = [
        calls.settled(0, user="ann"),
        calls.settled(1, user="ann", team=""),
        calls.settled(2, user="ann", response_id=""),
        calls.settled(3, user="bob"),
        calls.settled(4, user=""),
    ]
    store.commit(Batch(settled=settled))

    assert sorted(store.responses_of("ann")) == [("key_a", "resp_1"), ("search", "resp_0")]
    assert store.responses_of("") == []


def steps_of_erasing(store, calls, *, of_ann, of_others):
    """How much SQLite has to do, in thousands of its instructions, to erase one person."""
    store.commit(
        Batch(
            settled=[
                calls.settled(n, user="ann" if n < of_ann else "bob", request_body=b"%d" % n, content_expires_us=FAR_US)
                for n in range(of_ann + of_others)
            ]
        )
    )
    steps = 0

    def step():
        nonlocal steps
        steps += 1

    store._connection.set_progress_handler(step, 1000)
    assert store.erase("ann") == of_ann
    return steps


@pytest.fixture
def new_sqlite_store(tmp_path):
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(SqliteStore(tmp_path / f"{token_hex(4)}.db")))


def test_erasing_a_person_takes_no_longer_where_others_have_many_calls(new_sqlite_store, calls):
    few = steps_of_erasing(new_sqlite_store(), calls, of_ann=500, of_others=500)
    many = steps_of_erasing(new_sqlite_store(), calls, of_ann=500, of_others=5000)

    assert many < 2 * few


def test_erasing_a_person_takes_as_long_as_there_are_calls_of_theirs(new_sqlite_store, calls):
    some = steps_of_erasing(new_sqlite_store(), calls, of_ann=500, of_others=0)
    ten_times = steps_of_erasing(new_sqlite_store(), calls, of_ann=5000, of_others=0)

    assert ten_times < 20 * some


def test_a_call_that_comes_after_its_time_is_recorded_and_goes_the_next_time(store, calls):
    fill(store, calls)
    store.forget(at(2026, 10, 1))

    store.commit(Batch(settled=[calls.settled(7, opened_us=at(2026, 8, 7), request_body=b"{}")]))

    late = store.get("call_000007")
    assert store.bodies(late.seq) == Bodies(b"{}", b"")
    assert store.forget(at(2026, 10, 1)) == 1
    assert ids(store) == ["5"]


def test_whoever_follows_misses_nothing_when_all_old_calls_are_gone(new_postgres_store, calls):
    store = new_postgres_store()
    fill(store, calls)
    last = store.last_seq()

    assert store.forget(at(2027, 1, 1)) == 6
    store.commit(Batch(settled=[calls.settled(8)]))

    assert ids(store) == ["8"]
    assert [record.call_id[-1] for record in store.select(Selection(after_seq=last))] == ["8"]


def test_months_are_made_ahead_and_dropped_when_they_are_over(new_postgres_store, calls):
    store = new_postgres_store()
    store.prepare(at(2026, 11, 30, 23, 59))
    store.prepare(at(2026, 11, 30, 23, 59))
    assert months(store) == ["2026_11", "2026_12", "2027_01", "other"]

    fill(store, calls)
    assert months(store) == ["2026_08", "2026_09", "2026_11", "2026_12", "2027_01", "other"]

    assert store.forget(at(2026, 10, 1) - 1) == 2
    assert months(store) == ["2026_09", "2026_11", "2026_12", "2027_01", "other"]
    assert store.forget(at(2026, 10, 1)) == 3
    assert months(store) == ["2026_11", "2026_12", "2027_01", "other"]


def test_calls_of_a_clock_that_is_wrong_are_kept_apart_and_go_with_the_old_ones(new_postgres_store, calls, small_steps):
    store = new_postgres_store()
    wrong = [calls.settled(n, opened_us=n, request_body=b"x") for n in range(5)]
    store.commit(Batch(settled=[*wrong, calls.settled(6, opened_us=at(2300, 1, 1)), calls.settled(7)]))
    assert months(store) == ["2026_11", "other"]
    assert ids(store) == list("0123476")

    assert store.forget(at(2026, 11, 1)) == 5
    assert ids(store) == ["7", "6"]


def test_what_was_broken_off_is_taken_up_again(new_postgres_store, calls, small_steps, monkeypatch):
    store = new_postgres_store()
    fill(store, calls)
    forget_belonging, steps = postgres_retention._forget_belonging, 0

    def break_off(connection, seqs):
        nonlocal steps
        steps += 1
        if steps == 4:
            raise StorageError("cut")
        forget_belonging(connection, seqs)

    monkeypatch.setattr(postgres_retention, "_forget_belonging", break_off)
    with pytest.raises(StorageError, match="cut"):
        store.forget(at(2026, 10, 1))
    assert ids(store) == list("2345")
    monkeypatch.undo()

    assert store.forget(at(2026, 10, 1)) == 3
    assert ids(store) == ["5"]
    assert store.call_ids("call_", 9) == ["call_000005"]


def test_one_machine_at_a_time_removes_and_the_others_leave_it_to_that_one(new_postgres_store, calls):
    here, there = new_postgres_store("here"), new_postgres_store("there")
    fill(here, calls)

    def at_once(connection):
        postgres_retention.forget_some(connection, at(2026, 10, 1), 0)
        return there.forget(at(2026, 10, 1))

    assert here._link.write(at_once) == 0
    assert here.forget(at(2026, 10, 1)) == 3
    assert ids(there) == ["5"]


@given(st.integers(at(2020, 1, 1), at(2199, 10, 1)))
def test_the_months_ahead_begin_with_this_one_and_follow_each_other(now_us):
    now = datetime.fromtimestamp(now_us // 1_000_000, UTC)

    found = [datetime.fromtimestamp(month_us // 1_000_000, UTC) for month_us in months_from(now_us)]

    assert (found[0].year, found[0].month) == (now.year, now.month)
    assert all(month.day == 1 for month in found)
    counted = [month.year * 12 + month.month for month in found]
    assert counted == list(range(counted[0], counted[0] + 3))
