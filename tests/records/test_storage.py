import threading

import pytest

from headworks.errors import CommandError, StorageError
from headworks.records import CallLookup, Selection, catch_up, drain_lock, drain_once, find_call, open_store
from headworks.records.stores import Batch


@pytest.fixture
def storage(tmp_path):
    return tmp_path


def recorded(storage) -> list[str]:
    store = open_store(storage)
    try:
        return sorted(record.call_id for record in store.select(Selection()))
    finally:
        store.close()


def test_draining_once_moves_what_is_there(storage, write_segment, calls):
    write_segment(storage / "journal", calls.settled(1))

    drained = drain_once(storage)

    assert drained.recorded == 1
    assert recorded(storage) == ["call_000001"]


def test_without_a_journal_nothing_is_made(storage):
    assert drain_once(storage) is None
    assert list(storage.iterdir()) == []


def test_only_one_drains_at_a_time(storage, write_segment, calls):
    write_segment(storage / "journal", calls.settled(1))

    with drain_lock(storage) as is_ours, drain_lock(storage) as is_theirs:
        drained = drain_once(storage)

    assert (is_ours, is_theirs, drained) == (True, False, None)
    assert drain_once(storage).recorded == 1


def test_many_that_drain_at_the_same_time_record_every_call_once(storage, write_segment, calls):
    for n in range(20):
        write_segment(storage / "journal", calls.settled(n), number=n)
    together = threading.Barrier(6)
    results, errors = [], []

    def drain():
        together.wait()
        try:
            results.extend(drain_once(storage) for _ in range(5))
        except StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=drain) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sum(result.recorded for result in results if result is not None) == 20
    assert len(recorded(storage)) == 20


def test_who_cannot_drain_waits_until_the_one_that_does_has_come_so_far(storage, write_segment, calls):
    segment = write_segment(storage / "journal", calls.settled(1))
    rests = []

    def rest(seconds):
        rests.append(seconds)
        if len(rests) == 3:
            from headworks.records.stores import Progress

            store = open_store(storage)
            size = (storage / "journal" / segment.name).stat().st_size
            store.commit(Batch(settled=[calls.settled(1)], progress={segment.name: Progress(size)}))
            store.close()

    with drain_lock(storage):
        has_come = catch_up(storage, report=print, rest=rest)
        rests_it_took = len(rests)
        write_segment(storage / "journal", calls.settled(2), number=1)
        is_late = catch_up(storage, report=print, rest=rests.append, wait_s=0.2)

    assert (has_come, rests_it_took) == (True, 3)
    assert is_late is False
    assert catch_up(storage, report=print)
    assert recorded(storage) == ["call_000001", "call_000002"]


def test_nothing_in_the_journal_needs_no_waiting(storage, write_segment):
    write_segment(storage / "journal")

    with drain_lock(storage):
        assert catch_up(storage, report=print, rest=lambda _: pytest.fail("it waited"))


def test_a_lookup_finds_the_owner_from_any_thread(storage, calls):
    store = open_store(storage)
    store.commit(Batch(settled=[calls.settled(1, response_id="resp_x")]))
    lookup = CallLookup(storage)
    found = []

    threads = [threading.Thread(target=lambda: found.append(lookup.owner_of("resp_x"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    missing = lookup.owner_of("resp_none")
    lookup.close()
    store.close()

    assert found == [("key_a", "search", "sim")] * 4
    assert missing is None


def test_a_database_that_stands_still_costs_who_looks_up_little_and_those_behind_nothing(
    storage, own_postgresql, calls, monkeypatch
):
    monkeypatch.setattr("headworks.records.storage._LOOKUP_SILENCE_S", 0.2)
    url, clock = own_postgresql.store_url(), [100.0]
    store = open_store(storage, url)
    store.commit(Batch(settled=[calls.settled(1, response_id="resp_x")]))
    store.close()
    lookup = CallLookup(storage, url, now=lambda: clock[0])
    assert lookup.owner_of("resp_x") is not None
    own_postgresql.pause()
    try:
        with pytest.raises(StorageError, match="no answer for"):
            lookup.owner_of("resp_x")
        monkeypatch.setattr(lookup, "_store", None)  # whoever asked it now would get another error
        with pytest.raises(StorageError, match="no answer for"):
            lookup.owner_of("resp_x")
    finally:
        own_postgresql.resume()

    clock[0] += 1.0

    assert lookup.owner_of("resp_x") == ("key_a", "search", "sim")
    lookup.close()


def test_a_folder_keeps_its_name_in_a_shared_store_and_another_folder_has_another(tmp_path, postgresql):
    url = postgresql.store_url(postgresql.new_database())
    for folder in ("one", "two", "one"):
        open_store(tmp_path / folder, url).close()

    names = [(tmp_path / folder / "site").read_text() for folder in ("one", "two")]
    assert len(set(names)) == 2
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["site"]


def test_a_name_that_is_damaged_is_not_guessed(tmp_path, postgresql):
    (tmp_path / "site").write_text("")

    with pytest.raises(StorageError, match="restore it from a copy"):
        open_store(tmp_path, postgresql.store_url())


def test_a_call_is_found_by_its_id_or_the_only_beginning(storage, calls):
    store = open_store(storage)
    store.commit(Batch(settled=[calls.settled(n) for n in (1, 12, 20)]))

    exact = find_call(store, "call_000001")
    begun = find_call(store, "call_00002")
    with pytest.raises(
        CommandError, match="several calls begin with 'call_0000': call_000001, call_000012, call_000020"
    ):
        find_call(store, "call_0000")
    with pytest.raises(CommandError, match="there is no call 'call_000019'; the nearest: call_000012"):
        find_call(store, "call_000019")
    with pytest.raises(CommandError, match="`headworks calls` lists them"):
        find_call(store, "nonsense")
    with pytest.raises(CommandError, match="no call ''"):
        find_call(store, "")
    store.close()

    assert (exact.call_id, begun.call_id) == ("call_000001", "call_000020")
