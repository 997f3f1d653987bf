import asyncio
import os
import subprocess
import sys

import pytest

from headworks.calls import SettledWithPrefix
from headworks.errors import StorageError
from headworks.records import Journal
from headworks.records.frames import MAGIC, frame, scan
from headworks.records.segments import is_locked, list_segments, open_segment


def entries_in(folder) -> list:
    found = []
    for segment in list_segments(folder):
        data = (folder / segment.name).read_bytes()
        assert data.startswith(MAGIC)
        stretch = scan(data[len(MAGIC) :], start=0, whole=True, limit=100_000)
        assert stretch.gaps == ()
        found += stretch.entries
    return found


def test_when_append_returns_the_entry_is_in_the_file(journal, tmp_path, calls):
    writer = journal()

    writer.append(calls.opened(1))
    first = entries_in(tmp_path)
    writer.append(calls.settled(1))

    assert first == [calls.opened(1)]
    assert entries_in(tmp_path) == [calls.opened(1), calls.settled(1)]


def test_entries_of_any_size_lie_one_after_another(journal, tmp_path, calls):
    writer = journal(segment_bytes=1 << 20, limit_bytes=1 << 24)
    written = [calls.settled(n, response_body=b"x" * size) for n, size in enumerate([0, 70_000, 5, 4_000, 300_000, 1])]

    for entry in written:
        writer.append(entry)

    assert entries_in(tmp_path) == written


def test_entries_that_are_written_at_once_are_the_same_as_one_by_one(journal, tmp_path, calls):
    writer = journal()
    written = [calls.settled(n, response_body=b"x" * (100 * n)) for n in range(6)]

    writer.append(written[0])
    assert writer.append_all(written[1:4])
    assert writer.append_all(written[4:5])
    writer.append(written[5])

    assert entries_in(tmp_path) == written


def test_entries_for_which_there_is_no_room_at_once_are_not_written_and_fit_one_by_one(journal, tmp_path, calls):
    writer = journal(segment_bytes=65_536)
    written = [calls.settled(n, response_body=b"x" * 30_000) for n in range(7)]

    at_once = [writer.append_all(written[:2]), writer.append_all(written[:7])]
    before = entries_in(tmp_path)
    for entry in written[len(before) :]:
        writer.append(entry)

    assert at_once[1] is False
    assert before in ([], written[:2])
    assert entries_in(tmp_path) == written


def test_nothing_is_written_at_once_to_a_closed_journal(journal, calls):
    writer = journal()
    writer.close()

    assert writer.append_all([calls.opened(1), calls.opened(2)]) is False


def test_a_full_segment_is_followed_by_the_next_and_only_the_last_is_locked(journal, loop, tmp_path, calls):
    writer = journal(segment_bytes=65_536)
    written = [calls.settled(n, response_body=b"x" * 30_000) for n in range(7)]

    for entry in written:
        writer.append(entry)

    assert entries_in(tmp_path) == written
    locks = []
    for segment in list_segments(tmp_path):
        with open_segment(tmp_path, segment) as descriptor:
            locks.append(is_locked(descriptor))
    assert locks == [False, False, True]


def test_after_closing_no_segment_is_locked_and_what_was_appended_is_there(journal, loop, tmp_path, calls):
    writer = journal()
    writer.append(calls.opened(1))

    writer.close()
    writer.close()

    assert entries_in(tmp_path) == [calls.opened(1)]
    (segment,) = list_segments(tmp_path)
    with open_segment(tmp_path, segment) as descriptor:
        assert not is_locked(descriptor)


def test_an_entry_for_a_closed_journal_is_refused(journal, loop, calls):
    writer = journal()
    writer.close()

    with pytest.raises(StorageError, match="closed"):
        writer.append(calls.opened(1))


def test_the_files_are_for_their_owner_only(journal, tmp_path):
    journal()

    (segment,) = list_segments(tmp_path)
    assert (tmp_path / segment.name).stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path, journal, loop):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"w-0-000000\.journal cannot be made: Not a directory"):
        Journal(
            tmp_path / "file" / "journal",
            worker="w",
            segment_bytes=1000,
            limit_bytes=1000,
            loop=loop,
            now=lambda: 0.0,
        )


@pytest.mark.parametrize("worker", ["", "../w", "a b", "w" * 65, "-w"])
def test_a_name_that_could_not_be_read_back_from_a_file_name_is_refused(journal, worker):
    with pytest.raises(StorageError, match="not a name for a worker"):
        journal(worker)


def test_the_journal_is_full_when_all_workers_segments_reach_the_bound_and_not_when_they_are_drained(
    journal, loop, tmp_path, calls
):
    ours, others = journal("ours", limit_bytes=65_536), journal("others", limit_bytes=65_536)
    while not ours.is_full:
        ours.append(calls.settled(1, response_body=b"x" * 8_000))
    others._look()
    seen_by_others = others.is_full

    ours.append(calls.settled(2))  # those under way are still written
    for segment in list_segments(tmp_path):
        if segment.worker == "ours":
            (tmp_path / segment.name).unlink()
    ours._look()

    assert seen_by_others
    assert not ours.is_full
    assert ours.failure is None


def test_a_full_journal_gives_its_own_segment_free_so_that_draining_can_make_room(journal, loop, tmp_path, calls):
    writer = journal(segment_bytes=32_768, limit_bytes=65_536)
    while not writer.is_full:
        writer.append(calls.settled(1, response_body=b"x" * 8_000))
    writer._look()

    *free, last = list_segments(tmp_path)

    assert (tmp_path / last.name).stat().st_size == len(MAGIC)
    for segment in free:
        with open_segment(tmp_path, segment) as descriptor:
            assert not is_locked(descriptor)


def test_bodies_that_no_store_could_take_are_left_out_of_the_record(journal, loop, tmp_path, calls, monkeypatch):
    monkeypatch.setattr("headworks.records.journal.MAX_PAYLOAD_BYTES", 1000)
    writer = journal()

    writer.append(calls.settled(1, request_body=b"x" * 2000))

    writer.append(SettledWithPrefix(calls.settled(2, request_body=b"x" * 2000), b"hashes"))

    assert entries_in(tmp_path) == [calls.settled(1), calls.settled(2)]


DISK_FULL = """
import asyncio, resource, sys
from pathlib import Path
from headworks.calls import Opened
from headworks.errors import StorageError
from headworks.records import Journal

async def main():
    loop = asyncio.get_running_loop()
    journal = Journal(Path(sys.argv[1]), worker="w", segment_bytes=1 << 20, limit_bytes=1 << 30, loop=loop,
                      now=lambda: 1.0)
    call = lambda n: Opened(f"call_{n}", n, "responses", "m" * 50_000)
    journal.append(call(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, resource.RLIM_INFINITY))
    try:
        journal.append(call(2))
    except StorageError as error:
        print("failed:", "File too large" in str(error), journal.failure is error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append(call(3))
    print("well again:", journal.failure)
    journal.close()

asyncio.run(main())
"""


def test_an_entry_for_which_there_is_no_room_is_told_and_spoils_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", DISK_FULL, str(tmp_path)], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines() == ["failed: True True", "well again: None"], done.stderr
    assert [entry.call_id for entry in entries_in(tmp_path)] == ["call_1", "call_3"]


def test_a_journal_that_can_have_no_next_segment_goes_on_in_the_last_and_says_so(journal, tmp_path, calls, monkeypatch):
    writer = journal(segment_bytes=300)
    written = [calls.settled(n) for n in range(4)]
    writer.append(written[0])
    writer.append(written[1])

    def refuse(*_arguments, **_details):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        writer.append(written[2])
        hindrance = writer.failure
    writer.append(written[3])

    assert "cannot be made: Permission denied" in str(hindrance)
    assert writer.failure is None
    assert entries_in(tmp_path) == written


def test_a_segment_that_cannot_get_its_name_leaves_nothing_behind(journal, loop, tmp_path, calls, monkeypatch):
    from pathlib import Path

    writer = journal(segment_bytes=100)
    writer.append(calls.settled(1))

    def refuse(_path, _target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        writer.append(calls.settled(2))
        hindrance = str(writer.failure)

    assert "cannot be made: No space left" in hindrance
    assert entries_in(tmp_path) == [calls.settled(1), calls.settled(2)]
    assert [path.suffix for path in tmp_path.iterdir()] == [".journal"]


def test_a_journal_whose_files_were_removed_goes_on_in_new_ones(journal, loop, tmp_path, calls):
    import shutil

    folder = tmp_path / "journal"
    writer = Journal(
        folder, worker="w", segment_bytes=65_536, limit_bytes=1 << 30, loop=loop, now=lambda: 1_795_435_200.0
    )
    shutil.rmtree(folder)

    writer._look()
    writer.append(calls.settled(1))
    writer.close()

    assert entries_in(folder) == [calls.settled(1)]


def test_a_folder_that_cannot_be_looked_at_is_said_until_it_can(journal, loop, tmp_path, calls, monkeypatch):
    from headworks.records import journal as module

    writer = journal(segment_bytes=100)

    def refuse(_folder):
        raise StorageError("cannot be read: Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(module, "list_segments", refuse)
        writer._look()
        while_it_lasts = str(writer.failure)
    writer._look()

    assert while_it_lasts == "cannot be read: Permission denied"
    assert writer.failure is None


def test_the_folder_is_looked_at_again_and_again(journal, loop, tmp_path, calls, monkeypatch):
    monkeypatch.setattr("headworks.records.journal.LOOK_EVERY_S", 0.0)
    writer = journal(limit_bytes=4_096)
    others = tmp_path / "other-1-000000.journal"
    others.write_bytes(MAGIC + bytes(5_000))

    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))

    assert writer.is_full


def test_the_first_segment_has_its_name_only_when_it_is_locked(journal, tmp_path, monkeypatch):
    import fcntl

    names = []
    flock = fcntl.flock
    monkeypatch.setattr(
        fcntl,
        "flock",
        lambda *arguments: names.append([path.suffix for path in tmp_path.iterdir()]) or flock(*arguments),
    )

    journal()

    assert names == [[".unborn"]]
    assert [path.suffix for path in tmp_path.iterdir()] == [".journal"]


def test_a_worker_that_starts_at_the_time_of_another_one_leaves_its_segments_alone(journal, tmp_path, calls):
    for number in range(3):  # a clock that was set back may name the same moment again
        writer = journal()
        writer.append(calls.settled(number))
        writer.close()

    assert entries_in(tmp_path) == [calls.settled(number) for number in range(3)]
    assert len({segment.writer for segment in list_segments(tmp_path)}) == 3


def test_the_frame_on_disk_is_the_documented_one(journal, tmp_path, calls):
    writer = journal()
    writer.append(calls.settled(1))
    (segment,) = list_segments(tmp_path)
    filled = (tmp_path / segment.name).read_bytes()
    writer.close()

    written = MAGIC + frame(calls.settled(1))
    assert filled.startswith(written)
    assert not filled[len(written) :].strip(b"\0")
    assert (tmp_path / segment.name).read_bytes() == written
