"""What is PostgreSQL's alone: the connection, the schema, and several machines on one database."""

import random
import threading
from typing import get_type_hints

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Opened, OutcomeReport, Settled
from headworks.errors import StorageError
from headworks.postgres import Link, schema_version
from headworks.records.stores import Batch, OutcomeSelection, Progress, Selection
from headworks.records.stores.postgres import PostgresStore
from headworks.records.stores.postgres_intake import indexable
from headworks.records.stores.postgres_schema import MIGRATIONS, make_partitions
from headworks.records.stores.rows import COLUMNS, row_of
from postgres_process import PASSWORD


def ids(store) -> list[str]:
    return [record.call_id[-1] for record in store.select(Selection(is_newest_first=False, limit=100_000))]


def test_a_connection_that_was_cut_while_nobody_used_it_is_made_again(own_postgresql, calls):
    store = PostgresStore(own_postgresql.store_url(), "here")
    store.commit(Batch(settled=[calls.settled(1)]))

    own_postgresql.cut()

    assert ids(store) == ["1"]
    store.close()


def test_a_batch_on_a_connection_that_was_cut_is_told_to_have_failed_and_can_be_tried_again(own_postgresql, calls):
    store = PostgresStore(own_postgresql.store_url(), "here")
    own_postgresql.cut()

    with pytest.raises(StorageError, match="PostgreSQL 127"):
        store.commit(Batch(settled=[calls.settled(1)]))

    assert store.commit(Batch(settled=[calls.settled(1)])).recorded == 1
    assert ids(store) == ["1"]
    store.close()


def test_a_server_that_stands_still_is_given_up_and_used_again_when_it_goes_on(own_postgresql, calls):
    store = PostgresStore(own_postgresql.store_url(), "here", silence_s=0.3)
    store.commit(Batch(settled=[calls.settled(1)]))
    own_postgresql.pause()
    try:
        with pytest.raises(StorageError, match=r"no answer for 0\.3 seconds"):
            store.commit(Batch(settled=[calls.settled(2)]))
    finally:
        own_postgresql.resume()

    store.commit(Batch(settled=[calls.settled(2)]))  # whether the first try got through or not
    assert ids(store) == ["1", "2"]
    store.close()


def test_what_was_committed_survives_a_crash_and_what_was_not_is_not_there(own_postgresql, calls):
    store = PostgresStore(own_postgresql.store_url(), "here")
    store.commit(Batch(settled=[calls.settled(1)], progress={"a": Progress(10)}))
    under_way = own_postgresql.connect()
    under_way.execute("BEGIN")
    under_way.execute("DELETE FROM calls")
    own_postgresql.crash()
    under_way.close()
    with pytest.raises(StorageError):
        store.commit(Batch(settled=[calls.settled(2)], progress={"a": Progress(20)}))
    own_postgresql.start()

    assert ids(store) == ["1"]
    assert store.progress() == {"a": Progress(10)}
    assert store.commit(Batch(settled=[calls.settled(1), calls.settled(2)])).recorded == 1
    store.close()


def test_no_message_has_the_password(own_postgresql):
    url = own_postgresql.store_url()
    said = []
    for wrong in (
        url.replace("p%40ss", "p%40sss"),
        url.replace("/postgres?", "/nowhere?"),
        url.replace("headworks@", "nobody@"),
        url + "&sslmode=require",
        url + "&sslmode=sometimes",
        url + "&nonsense=1",
        url.replace("postgresql:", "postgres;"),
    ):
        with pytest.raises(StorageError) as refused:
            PostgresStore(wrong, "here")
        said.append(str(refused.value))
    own_postgresql.stop()
    with pytest.raises(StorageError, match="refused") as away:
        PostgresStore(url, "here")

    for text in (*said, str(away.value)):
        assert PASSWORD not in text
        assert "p%40ss" not in text
        assert "headworks@" not in text


def test_a_database_that_is_not_of_utf8_is_refused(postgresql):
    with pytest.raises(StorageError, match="SQL_ASCII; make a database of UTF8"):
        PostgresStore(postgresql.store_url(postgresql.new_database("SQL_ASCII")), "here")


def test_texts_that_the_database_cannot_hold_as_they_are_do_no_harm(new_postgres_store, calls):
    store = new_postgres_store()
    store.commit(
        Batch(
            settled=[
                calls.settled(1, user="u\x00v", requested_model="m\x00", key_id="k" * 9000, team="ü" * 9000),
                calls.settled(2, error_code="tab\tback\\slash\nnewline \\N", trace_id="t" * 9000),
            ]
        )
    )

    (first,) = store.select(Selection(user="u\x00v"))
    assert (first.user, first.requested_model) == ("u\ufffdv", "m\ufffd")
    assert [record.call_id for record in store.select(Selection(key_id="k" * 9000))] == [first.call_id]
    second = store.get("call_000002")
    assert (second.error_code, second.trace_id) == ("tab\tback\\slash\nnewline \\N", "t" * 9000)


WIDE = "".join(map(chr, random.Random(5).choices(range(0x10000, 0x1FFFF), k=600)))  # cannot be compressed much


def test_no_text_is_too_long_for_an_index_so_that_nothing_keeps_what_comes_after_it_from_being_recorded(
    new_postgres_store, calls
):
    store = new_postgres_store()
    texts = [name for name, kind in get_type_hints(Settled).items() if kind is str]
    of_opened = [name for name, kind in get_type_hints(Opened).items() if kind is str and name != "call_id"]
    everything = dict.fromkeys([*texts, *of_opened], WIDE)
    reports = [
        OutcomeReport("o", 1, "n" * 64, "label", WIDE, key_id=WIDE, team=team, source="s" * 64, **{target: WIDE[:512]})
        for target in ("trace_id", "caller_key")
        for team in ("", WIDE)
    ]

    done = store.commit(Batch(settled=[calls.settled(1, **everything)], outcomes=reports))

    assert done.recorded == 1
    assert len(store.select(Selection(workload=WIDE, key_id=WIDE, team=WIDE, prompt_version=WIDE))) == 1
    assert len(store.outcomes(OutcomeSelection())) == 4
    assert [total.calls for total in store.totals(["workload"], None, None)] == [1]


@given(st.text(), st.integers(1, 300))
def test_a_text_is_cut_between_characters_and_never_lengthened(text, most):
    cut = indexable(text, most)

    assert len(cut.encode()) <= most
    assert text.replace("\x00", "\ufffd").startswith(cut)
    assert indexable(cut, most) == cut
    if len(text.replace("\x00", "\ufffd").encode()) <= most:
        assert cut == text.replace("\x00", "\ufffd")


# -- the schema ---------------------------------------------------------------------------------------------------


LATER = (*MIGRATIONS, "ALTER TABLE calls ADD COLUMN later text NOT NULL DEFAULT 'as before'")


def test_an_older_schema_is_brought_up_to_date_and_says_the_same_as_before(postgresql, new_postgres_store, calls):
    name = postgresql.new_database()
    older = PostgresStore(postgresql.store_url(name), "here")
    older.commit(Batch(settled=[calls.settled(1, request_body=b"{}")], progress={"a": Progress(10)}))

    link = Link(postgresql.store_url(name), LATER)

    assert link.ask(schema_version) == len(LATER)
    assert link.ask(lambda connection: connection.execute("SELECT later FROM calls").fetchall()) == [("as before",)]
    assert ids(older) == ["1"]
    assert older.progress() == {"a": Progress(10)}
    link.close()
    older.close()


def test_what_calls_cost_that_an_earlier_release_recorded_is_unknown_and_not_zero(postgresql, calls):
    name = postgresql.new_database()
    Link(postgresql.store_url(name), MIGRATIONS[:1]).close()
    first = COLUMNS.index("cost_pico")
    columns, values = COLUMNS[:first], row_of(calls.settled(1))[:first]
    with postgresql.connect(name) as connection:
        make_partitions(connection, [calls.opened(1).opened_us])
        names, places = ", ".join(f'"{name}"' for name in columns), ", ".join(["%s"] * len(columns))
        connection.execute(f"INSERT INTO calls (seq, {names}) VALUES (1, {places})", values)
        connection.execute("INSERT INTO call_ids VALUES ('call_000001', 1, %s)", (calls.opened(1).opened_us,))
        hour = calls.opened(1).opened_us // 3_600_000_000
        connection.execute(
            f"INSERT INTO rollups VALUES (%s, '', '', '', '', '', 'answered', 2, '', '', 1{', 0' * 11})", (hour,)
        )

    store = PostgresStore(postgresql.store_url(name), "here")
    store.commit(Batch(settled=[calls.settled(2, cost_pico=5)]))

    assert (store.get("call_000001").cost_pico, store.get("call_000001").price_version) == (None, "")
    assert store.get("call_000002").cost_pico == 5
    (total,) = store.totals([], None, None)
    assert (total.calls, total.cost_pico, total.unknown_costs) == (2, 5, 1)
    store.close()


def test_a_release_that_is_older_than_the_schema_refuses_it_and_says_so(postgresql):
    url = postgresql.store_url(postgresql.new_database())
    Link(url, LATER).close()

    with pytest.raises(
        StorageError, match=f"newer release .* schema is {len(LATER)}, this one knows {len(MIGRATIONS)}"
    ):
        PostgresStore(url, "here")


def test_a_migration_that_fails_leaves_the_schema_as_it_was(postgresql, calls):
    url = postgresql.store_url(postgresql.new_database())
    PostgresStore(url, "here").close()

    with pytest.raises(StorageError, match="nothing_like_that"):
        Link(url, (*LATER, "DROP TABLE nothing_like_that"))

    store = PostgresStore(url, "here")
    assert store.commit(Batch(settled=[calls.settled(1)])).recorded == 1
    store.close()


def test_machines_that_start_at_the_same_time_make_the_schema_once(postgresql, calls):
    url = postgresql.store_url(postgresql.new_database())
    begin, failed = threading.Barrier(6), []

    def start(number: int) -> None:
        begin.wait()
        try:
            store = PostgresStore(url, f"site-{number}")
            store.prepare(calls.opened().opened_us)
            store.commit(Batch(settled=[calls.settled(number)]))
            store.close()
        except StorageError as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    store = PostgresStore(url, "here")
    assert ids(store) == list("012345")
    store.close()


# -- several machines ---------------------------------------------------------------------------------------------


def test_a_site_has_its_own_progress_and_ends_its_own_writers(new_postgres_store, calls):
    here, there = new_postgres_store("here"), new_postgres_store("there")
    here.commit(Batch(opened=[("w-1", calls.opened(1))], progress={"a": Progress(10)}))
    there.commit(Batch(opened=[("w-1", calls.opened(2))], progress={"a": Progress(99, is_finished=True)}))

    ended = here.commit(Batch(ended_writers=["w-1"], forgotten=["a"]))

    assert ended.lost == 1
    assert (here.progress(), there.progress()) == ({}, {"a": Progress(99, is_finished=True)})
    assert (here.open_writers(), there.open_writers()) == (set(), {"w-1"})
    assert ids(there) == ["1"]


def test_batches_of_two_machines_at_once_are_all_there_once_and_seen_in_the_order_of_seq(new_postgres_store, calls):
    each, machines = 12, 3
    stores = [new_postgres_store(f"site-{number}") for number in range(machines)]
    reader, failed, seen = new_postgres_store("reader"), [], []
    is_over = threading.Event()

    def fill(number: int) -> None:
        try:
            for batch in range(each):
                first = (number * each + batch) * 10
                # Two of each batch's calls are in the next machine's, too.
                also = [(first + each * 10) % (machines * each * 10)]
                stores[number].commit(
                    Batch(
                        settled=[calls.settled(n) for n in (*range(first, first + 10), *also)],
                        progress={"segment": Progress(first)},
                    )
                )
        except StorageError as error:
            failed.append(error)

    def follow() -> None:
        last = 0
        try:
            while True:
                is_last = is_over.is_set()
                fresh = reader.select(Selection(after_seq=last, limit=100_000))
                seen.extend(record.call_id for record in fresh)
                last = max([last, *(record.seq for record in fresh)])
                if is_last:
                    return
        except StorageError as error:
            failed.append(error)

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(machines)]
    follower = threading.Thread(target=follow)
    for thread in (*threads, follower):
        thread.start()
    for thread in threads:
        thread.join()
    is_over.set()
    follower.join()

    assert failed == []
    expected = [calls.opened(n).call_id for n in range(machines * each * 10)]
    assert sorted(seen) == expected
    assert [total.calls for total in reader.totals([], None, None)] == [len(expected)]
    assert [total.input_tokens for total in reader.totals([], None, None)] == [100 * len(expected)]


def test_a_lock_that_others_hold_for_too_long_is_told(postgresql, calls, monkeypatch):
    monkeypatch.setattr("headworks.postgres._LOCK_TIMEOUT", "100ms")
    name = postgresql.new_database()
    store = PostgresStore(postgresql.store_url(name), "here")
    with psycopg.connect(postgresql.store_url(name)) as other:
        other.execute("LOCK TABLE calls")
        with pytest.raises(StorageError, match="lock timeout"):
            store.commit(Batch(settled=[calls.settled(1)]))
        other.rollback()
    assert store.commit(Batch(settled=[calls.settled(1)])).recorded == 1
    store.close()
