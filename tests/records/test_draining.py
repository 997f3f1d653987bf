import fcntl
import os

import pytest

from headworks.calls import OutcomeReport, SettledWithPrefix
from headworks.errors import StorageError
from headworks.records import Drainer, OutcomeSelection, Selection
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import list_segments
from headworks.records.stores import Batch
from headworks.records.stores.sqlite import SqliteStore


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "journal"
    folder.mkdir()
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def drainer(folder, store, said):
    return lambda: Drainer(folder, store, now=lambda: 1_795_435_300.0, report=said.append)


@pytest.fixture
def locked():
    """Holds the lock of segments, as a living writer does."""
    held: list[int] = []

    def hold(path):
        held.append(os.open(path, os.O_RDONLY))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
        return held[-1]

    yield hold
    for descriptor in held:
        os.close(descriptor)


def outcomes(store) -> dict[str, str]:
    return {record.call_id[-1]: record.outcome for record in store.select(Selection())}


def test_settled_calls_are_recorded_and_the_dead_writers_segments_removed(drainer, folder, store, write_segment, calls):
    write_segment(folder, calls.opened(1), calls.settled(1), calls.opened(2), number=0)
    write_segment(folder, calls.settled(2), calls.settled(3), number=1)

    drained = drainer().drain()

    assert (drained.entries, drained.recorded, drained.lost) == (5, 3, 0)
    assert outcomes(store) == {"1": "answered", "2": "answered", "3": "answered"}
    assert list(folder.iterdir()) == []


def test_what_a_dead_writer_left_open_is_lost(drainer, folder, store, write_segment, calls, said):
    write_segment(folder, calls.opened(1), calls.opened(2, workload="triage"), calls.settled(1))

    drained = drainer().drain()

    assert drained.lost == 1
    assert outcomes(store) == {"1": "answered", "2": "lost"}
    assert store.get("call_000002").workload == "triage"
    assert said == []


def test_what_a_living_writer_has_open_stays_open(drainer, folder, store, write_segment, calls, locked):
    segment = write_segment(folder, calls.opened(1), calls.settled(2))
    locked(folder / segment.name)
    one = drainer()

    one.drain()
    one.drain()

    assert outcomes(store) == {"2": "answered"}
    assert store.open_writers() == {segment.writer}
    assert list(list_segments(folder)) == [segment]


def test_a_call_that_opens_and_settles_in_one_pass_is_never_open_in_the_store(
    drainer, folder, store, write_segment, calls, locked
):
    segment = write_segment(folder, calls.opened(1), calls.settled(1))
    locked(folder / segment.name)

    drainer().drain()

    assert store.open_writers() == set()


def test_a_writer_that_has_gone_on_in_its_next_segment_is_not_taken_for_dead(
    drainer, folder, store, write_segment, calls, locked
):
    write_segment(folder, calls.opened(1), number=0)
    current = write_segment(folder, number=1)
    locked(folder / current.name)

    drainer().drain()

    assert outcomes(store) == {}
    assert list(list_segments(folder)) == [current]


def test_a_writer_that_goes_on_while_its_last_segment_is_read_is_not_taken_for_dead(
    folder, store, write_segment, calls, locked, monkeypatch
):
    """The dangerous moment: the listing has only the old segment, which is free by the time its lock is tried."""
    from headworks.records import draining

    write_segment(folder, calls.opened(1), number=0)
    read = draining.read

    def read_while_the_writer_goes_on(*arguments, **details):
        if len(list_segments(folder)) == 1:
            locked(folder / write_segment(folder, number=1).name)
        return read(*arguments, **details)

    monkeypatch.setattr(draining, "read", read_while_the_writer_goes_on)
    Drainer(folder, store, now=lambda: 0.0, report=print).drain()

    assert outcomes(store) == {}
    assert len(store.open_writers()) == 1


def test_a_call_may_open_in_one_segment_and_settle_in_another_much_later(
    drainer, folder, store, write_segment, calls, locked
):
    current = write_segment(folder, calls.opened(1), number=0)
    lock = locked(folder / current.name)
    one = drainer()
    one.drain()
    write_segment(folder, calls.settled(1), number=1)
    fcntl.flock(lock, fcntl.LOCK_UN)

    drained = one.drain()

    assert (drained.recorded, drained.lost) == (1, 0)
    assert outcomes(store) == {"1": "answered"}
    assert store.open_writers() == set()


def test_two_lives_of_a_worker_are_two_writers(drainer, folder, store, write_segment, calls, locked):
    import msgspec

    dead = write_segment(folder, calls.opened(1))
    alive = msgspec.structs.replace(dead, start_us=dead.start_us + 1)
    (folder / alive.name).write_bytes(MAGIC + frame(calls.opened(2)))
    locked(folder / alive.name)

    drainer().drain()

    assert outcomes(store) == {"1": "lost"}
    assert store.open_writers() == {alive.writer}


def test_open_calls_of_a_writer_whose_segments_were_taken_away_are_lost(drainer, store, calls):
    store.commit(Batch(opened=[("worker-1-5", calls.opened(1))]))

    assert drainer().drain().lost == 1


def test_a_growing_segment_is_read_from_where_the_last_pass_ended(drainer, folder, store, write_segment, calls, locked):
    segment = write_segment(folder, calls.settled(1), tail=frame(calls.settled(2))[:7])
    locked(folder / segment.name)
    one = drainer()
    first = one.drain()
    with (folder / segment.name).open("ab") as file:
        file.write(frame(calls.settled(2))[7:] + frame(calls.settled(3)))

    second = one.drain()

    assert (first.entries, second.entries) == (1, 2)
    assert set(outcomes(store)) == {"1", "2", "3"}


def test_a_drainer_that_died_after_committing_leaves_nothing_to_do_but_remove(
    drainer, folder, store, write_segment, calls, monkeypatch
):
    segment = write_segment(folder, calls.settled(1))
    content = (folder / segment.name).read_bytes()
    drainer().drain()
    (folder / segment.name).write_bytes(content)  # as if it had not come to removing the file

    drained = drainer().drain()

    assert (drained.entries, drained.recorded) == (0, 0)
    assert list(folder.iterdir()) == []


def test_what_is_finished_and_gone_is_forgotten_at_last(drainer, folder, store, write_segment, calls):
    write_segment(folder, calls.settled(1))
    one = drainer()
    one.drain()
    one.drain()

    assert store.progress() == {}


def test_a_torn_tail_is_left_out_and_said(drainer, folder, store, write_segment, calls, said):
    write_segment(folder, calls.settled(1), tail=frame(calls.settled(2))[:-3])

    drainer().drain()

    assert outcomes(store) == {"1": "answered"}
    assert len(said) == 1
    assert "interrupted" in said[0]
    assert list(folder.iterdir()) == []


def test_damage_is_said_and_the_segment_kept_for_a_person_to_look_at(
    drainer, folder, store, write_segment, calls, said
):
    segment = write_segment(folder, calls.settled(1), calls.settled(2), calls.settled(3))
    data = bytearray((folder / segment.name).read_bytes())
    data[len(data) // 2] ^= 0x40
    (folder / segment.name).write_bytes(data)

    drainer().drain()

    assert set(outcomes(store)) == {"1", "3"}
    assert len(said) == 1
    assert "calls may be missing" in said[0]
    assert [path.suffix for path in folder.iterdir()] == [".damaged"]
    assert next(folder.iterdir()).read_bytes() == data


def test_a_segment_that_cannot_be_read_holds_up_only_its_own_writer_and_is_said_once(
    drainer, folder, store, write_segment, calls, said, monkeypatch
):
    from headworks.records import draining

    troubled = write_segment(folder, calls.opened(1), number=0)
    write_segment(folder, calls.settled(1), number=1)
    write_segment(folder, calls.settled(2), worker="worker-2")
    open_segment = draining.open_segment

    def refuse(folder, segment):
        if segment == troubled:
            raise StorageError("it cannot be opened")
        return open_segment(folder, segment)

    one = drainer()
    with monkeypatch.context() as patched:
        patched.setattr(draining, "open_segment", refuse)
        one.drain()
        one.drain()
    held_up = outcomes(store)
    one.drain()

    assert held_up == {"2": "answered"}
    assert said == ["it cannot be opened"]
    assert outcomes(store) == {"1": "answered", "2": "answered"}


def test_large_journals_go_in_by_batches(folder, store, write_segment, calls, monkeypatch):
    monkeypatch.setattr("headworks.records.draining.BATCH_ENTRIES", 3)
    write_segment(folder, *(calls.settled(n) for n in range(10)))
    sizes = []
    commit = store.commit
    monkeypatch.setattr(store, "commit", lambda batch: sizes.append(len(batch.settled)) or commit(batch))

    drained = Drainer(folder, store, now=lambda: 0.0, report=print).drain()

    assert drained.recorded == 10
    assert max(sizes) <= 6
    assert len(sizes) >= 3


def report(n, **fields):
    return OutcomeReport(f"out_{n}", n, "accepted", "boolean", "true", call_id=f"call_{n:06d}", **fields)


def reported(store) -> list[tuple[str, int]]:
    return [(one.report.outcome_id, one.calls) for one in store.outcomes(OutcomeSelection())]


def test_reports_of_outcomes_go_in_with_the_calls_whichever_come_first(drainer, folder, store, write_segment, calls):
    write_segment(folder, report(1), calls.settled(1), report(2))
    write_segment(folder, calls.opened(2), calls.settled(2), worker="worker-2")

    drained = drainer().drain()

    assert (drained.entries, drained.recorded, drained.lost) == (5, 2, 0)
    assert reported(store) == [("out_2", 1), ("out_1", 1)]
    assert list(folder.iterdir()) == []


def test_a_journal_of_nothing_but_reports_is_drained_and_nobody_is_lost(drainer, folder, store, write_segment, locked):
    segment = write_segment(folder, report(1))
    locked(folder / segment.name)
    one = drainer()

    first, second = one.drain(), one.drain()

    assert (first.entries, second.entries, first.lost) == (1, 0, 0)
    assert reported(store) == [("out_1", 0)]
    assert store.open_writers() == set()


def test_reports_that_are_drained_again_change_nothing(drainer, folder, store, write_segment):
    segment = write_segment(folder, report(1))
    content = (folder / segment.name).read_bytes()
    drainer().drain()
    store.commit(Batch(forgotten=[segment.name]))
    (folder / segment.name).write_bytes(content)  # as if the store had been restored without its progress

    drainer().drain()

    assert reported(store) == [("out_1", 0)]


def test_many_reports_go_in_by_batches(folder, store, write_segment, monkeypatch):
    monkeypatch.setattr("headworks.records.draining.BATCH_ENTRIES", 3)
    write_segment(folder, *(report(n) for n in range(10)))
    sizes = []
    commit = store.commit
    monkeypatch.setattr(store, "commit", lambda batch: sizes.append(len(batch.outcomes)) or commit(batch))

    Drainer(folder, store, now=lambda: 0.0, report=print).drain()

    assert len(reported(store)) == 10
    assert max(sizes) <= 6


def test_an_idle_pass_writes_nothing(drainer, folder, store, write_segment, calls, locked, monkeypatch):
    segment = write_segment(folder, calls.opened(1))
    locked(folder / segment.name)
    one = drainer()
    one.drain()
    monkeypatch.setattr(store, "commit", lambda batch: pytest.fail(f"committed {batch}"))

    assert one.drain().entries == 0


def test_a_segment_that_was_never_born_is_cleared_away_after_a_while(drainer, folder):
    old, fresh = folder / "w-1-000000.unborn", folder / "w-2-000000.unborn"
    for path, modified in ((old, 1_795_435_200), (fresh, 1_795_435_290)):
        path.write_bytes(MAGIC)
        os.utime(path, (modified, modified))

    drainer().drain()

    assert list(folder.iterdir()) == [fresh]


def test_a_store_that_fails_loses_nothing(folder, write_segment, calls, tmp_path, monkeypatch):
    write_segment(folder, calls.opened(1), calls.settled(2))
    store = SqliteStore(tmp_path / "records.db")
    commit = store.commit

    def fail(batch):
        raise StorageError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "commit", fail)
        with pytest.raises(StorageError, match="disk full"):
            Drainer(folder, store, now=lambda: 0.0, report=print).drain()
    assert store.commit == commit
    assert len(list_segments(folder)) == 1
    Drainer(folder, store, now=lambda: 0.0, report=print).drain()

    assert outcomes(store) == {"1": "lost", "2": "answered"}
    store.close()


def test_a_drained_segment_that_cannot_be_removed_is_said_once_and_removed_when_it_can(
    drainer, folder, store, write_segment, calls, said, monkeypatch
):
    from pathlib import Path

    write_segment(folder, calls.settled(1))

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    one = drainer()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        one.drain()
        one.drain()
    one.drain()

    assert len(said) == 1
    assert "is drained, but cannot be removed: Permission denied" in said[0]
    assert list(folder.iterdir()) == []
    assert outcomes(store) == {"1": "answered"}


def test_the_fingerprint_of_a_call_is_drained_with_it(drainer, folder, store, write_segment, calls):
    write_segment(folder, calls.opened(1), SettledWithPrefix(calls.settled(1), b"hashes"), calls.settled(2))

    drained = drainer().drain()

    assert (drained.entries, drained.recorded, drained.lost) == (3, 2, 0)
    assert [store.content(store.get(f"call_00000{n}").seq, 0) for n in (1, 2)] == [{"prefix": b"hashes"}, {}]


def test_a_call_with_a_fingerprint_is_found_again_behind_damage(drainer, folder, store, write_segment, calls, said):
    segment = write_segment(folder, calls.settled(1), SettledWithPrefix(calls.settled(2), b"hashes"))
    path = folder / segment.name
    data = bytearray(path.read_bytes())
    data[len(MAGIC) + 20] ^= 0xFF
    path.write_bytes(data)

    drainer().drain()

    assert outcomes(store) == {"2": "answered"}
