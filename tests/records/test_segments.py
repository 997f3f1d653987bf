import fcntl
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import StorageError
from headworks.records.frames import MAGIC, Gap, frame
from headworks.records.segments import (
    Segment,
    end_of_entries,
    is_locked,
    list_segments,
    open_segment,
    parse_name,
    read,
)


def read_all(folder, segment, *, is_final=True, chunk_bytes=1 << 20, limit=4096):
    entries, gaps, offset = [], [], 0
    with open_segment(folder, segment) as descriptor:
        while True:
            stretch = read(descriptor, offset, is_final=is_final, chunk_bytes=chunk_bytes, limit=limit)
            entries += stretch.entries
            gaps += stretch.gaps
            if stretch.end == offset:
                return entries, gaps, offset
            offset = stretch.end


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True), st.integers(0, 2**60), st.integers(0, 9_999_999)
)
def test_a_name_says_whose_segment_it_is(worker, start_us, number):
    segment = Segment(worker, start_us, number)

    assert parse_name(segment.name) == segment


@pytest.mark.parametrize(
    "name",
    ["", "x", ".journal", "-1-1.journal", "w-1-000001.unborn", "w-1-1.journal", "w-a-000001.journal", "w.journal"],
)
def test_other_names_are_no_segments(name):
    assert parse_name(name) is None


def test_segments_are_listed_in_the_order_in_which_they_were_written(tmp_path, write_segment, calls):
    written = [write_segment(tmp_path, calls.opened(n), number=n) for n in (10, 9, 100)]
    (tmp_path / "notes.txt").write_text("not a segment")

    found = list_segments(tmp_path)

    assert list(found) == [written[1], written[0], written[2]]
    assert found[written[0]] == (tmp_path / written[0].name).stat().st_size


def test_a_folder_that_is_not_there_holds_no_segments(tmp_path):
    assert list_segments(tmp_path / "none") == {}


def test_a_segment_that_vanished_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="cannot be opened"), open_segment(tmp_path, Segment("w", 1, 0)):
        pass


def test_a_lock_is_seen_as_long_as_its_holder_lives(tmp_path, write_segment):
    segment = write_segment(tmp_path)
    holder = os.open(tmp_path / segment.name, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)

    with open_segment(tmp_path, segment) as descriptor:
        seen_before = is_locked(descriptor)
        os.close(holder)
        assert (seen_before, is_locked(descriptor)) == (True, False)


@pytest.mark.parametrize("chunk_bytes", [9, 64, 300, 1 << 20])
@pytest.mark.parametrize("limit", [1, 3, 4096])
def test_however_it_is_read_in_pieces_the_entries_are_the_same(tmp_path, write_segment, calls, chunk_bytes, limit):
    entries = [calls.settled(n, response_body=b"x" * (n * 50)) for n in range(10)]
    segment = write_segment(tmp_path, *entries, tail=frame(calls.opened())[:-1])

    found, gaps, end = read_all(tmp_path, segment, chunk_bytes=chunk_bytes, limit=limit)

    assert found == entries
    assert [gap.kind for gap in gaps] == ["torn"]
    assert end == (tmp_path / segment.name).stat().st_size


@pytest.mark.parametrize("chunk_bytes", [16, 100, 1 << 20])
@pytest.mark.parametrize(("place", "value"), [(2, 0xFF), (0, 1), (5, 0xFF), (40, 0xFF)])
def test_damage_is_passed_over_however_the_segment_is_read(tmp_path, write_segment, calls, chunk_bytes, place, value):
    """In the length (to beyond the file, or to a shorter one), in the checksum, in the payload."""
    entries = [calls.settled(n) for n in range(6)]
    segment = write_segment(tmp_path, *entries)
    path = tmp_path / segment.name
    data = bytearray(path.read_bytes())
    data[len(MAGIC) + len(frame(entries[0])) + place] ^= value
    path.write_bytes(data)

    found, gaps, _ = read_all(tmp_path, segment, chunk_bytes=chunk_bytes)

    assert found == [entries[0], *entries[2:]]
    assert [gap.kind for gap in gaps] == ["damaged"]


def test_a_disk_that_fails_while_reading_is_a_storage_error(tmp_path, write_segment, calls, monkeypatch):
    segment = write_segment(tmp_path, calls.opened())

    def fail(*_arguments):
        raise OSError(5, "Input/output error")

    with open_segment(tmp_path, segment) as descriptor:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            read(descriptor, 0, is_final=True)


def test_a_folder_that_cannot_be_read_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="file cannot be read: Not a directory"):
        list_segments(tmp_path / "file")


def test_while_a_writer_is_at_it_what_is_incomplete_is_waited_for(tmp_path, write_segment, calls):
    last = frame(calls.settled(1))
    segment = write_segment(tmp_path, calls.opened(0), tail=last[:-5])
    entries, gaps, end = read_all(tmp_path, segment, is_final=False)
    with (tmp_path / segment.name).open("ab") as file:
        file.write(last[-5:])

    with open_segment(tmp_path, segment) as descriptor:
        rest = read(descriptor, end, is_final=False)

    assert (entries, gaps) == ([calls.opened(0)], [])
    assert rest.entries == [calls.settled(1)]


@pytest.mark.parametrize(
    ("content", "gaps"),
    [
        (b"", []),
        (MAGIC[:3], [Gap(0, 3, "torn")]),
        (MAGIC, []),
        (b"something else entirely", [Gap(0, 23, "damaged")]),
    ],
)
def test_a_segment_without_a_proper_beginning_holds_nothing(tmp_path, content, gaps):
    segment = Segment("w", 1, 0)
    (tmp_path / segment.name).write_bytes(content)

    assert read_all(tmp_path, segment) == ([], gaps, len(content))
    assert read_all(tmp_path, segment, is_final=False)[:2] == ([], [])


def test_the_end_of_entries_is_where_what_is_filled_ahead_begins(tmp_path, write_segment, calls):
    segment = write_segment(tmp_path, calls.settled(1), calls.settled(2), tail=bytes(5_000))
    written = len(MAGIC) + len(frame(calls.settled(1))) + len(frame(calls.settled(2)))

    assert end_of_entries(tmp_path, segment, 0) == written
    assert end_of_entries(tmp_path, segment, written) == written
    (tmp_path / segment.name).unlink()
    assert end_of_entries(tmp_path, segment, 0) == 0
