"""What an older release does with the journals of a newer one: nothing. And when a layout is another one."""

import zlib
from typing import get_args

import msgspec
import pytest

from headworks.calls import JournalEntry, Opened
from headworks.errors import StorageError
from headworks.records import Drainer
from headworks.records.frames import LAYOUT, MAGIC, frame, layout_of, scan
from headworks.records.segments import Segment, list_segments, open_segment

TYPES_OF_LAYOUT = {1: {"o", "s", "f", "c", "u", "b", "a"}}
"""Only ever add a line: a release knows what it has written, and all that came before."""

NEWER = MAGIC.replace(b"%d" % LAYOUT, b"%d" % (LAYOUT + 1))


def test_another_type_of_entry_is_another_layout():
    tags = {entry.__struct_config__.tag for entry in get_args(JournalEntry)}
    assert tags == TYPES_OF_LAYOUT[LAYOUT], "a type more or less: raise `frames.LAYOUT`, and add its line here"
    assert max(TYPES_OF_LAYOUT) == LAYOUT
    assert layout_of(MAGIC) == LAYOUT


@pytest.mark.parametrize("magic", [b"", b"hwjrnl", b"hwjrnlx\n", b"hwjrnl12", b"\0" * 8])
def test_what_is_no_layout_is_no_newer_one(magic):
    assert layout_of(magic) == 0


def test_a_newer_releases_journal_is_neither_read_nor_removed_nor_are_its_calls_lost(tmp_path, store, calls):
    folder = tmp_path / "journal"
    folder.mkdir()
    newer, known = Segment("worker-1", 1, 1), Segment("worker-2", 1, 0)
    earlier = Segment("worker-1", 1, 0)
    (folder / earlier.name).write_bytes(MAGIC + frame(calls.opened(1)))
    (folder / newer.name).write_bytes(NEWER + b"whatever it writes")
    (folder / known.name).write_bytes(MAGIC + frame(calls.settled(2)))
    said = []
    drainer = Drainer(folder, store, now=lambda: 1.0, report=said.append)

    drained = [drainer.drain(), drainer.drain()]

    assert [one.recorded for one in drained] == [1, 0]
    assert sum(one.lost for one in drained) == 0
    assert len(said) == 1
    assert (
        f"was written by a newer release of Headworks (its layout is {LAYOUT + 1}, this one knows {LAYOUT})" in said[0]
    )
    assert list(list_segments(folder)) == [newer]
    assert (folder / newer.name).read_bytes() == NEWER + b"whatever it writes"


def test_the_newer_release_drains_it_when_it_is_back(tmp_path, store, calls):
    folder = tmp_path / "journal"
    folder.mkdir()
    newer = Segment("worker-1", 1, 1)
    (folder / Segment("worker-1", 1, 0).name).write_bytes(MAGIC + frame(calls.opened(1)))
    (folder / newer.name).write_bytes(NEWER + frame(calls.settled(1)))
    Drainer(folder, store, now=lambda: 1.0, report=lambda _: None).drain()
    with pytest.raises(StorageError), open_segment(folder, newer):
        pytest.fail("it was opened")

    (folder / newer.name).write_bytes(MAGIC + frame(calls.settled(1)))  # as a release sees it that knows the layout
    drained = Drainer(folder, store, now=lambda: 1.0, report=pytest.fail).drain()

    assert (drained.recorded, drained.lost) == (1, 0)
    assert list(folder.iterdir()) == []


def test_a_field_that_is_not_known_is_left_out_and_the_call_is_there(calls):
    opened: Opened = calls.opened(1)
    longer = msgspec.msgpack.decode(msgspec.msgpack.encode(opened))
    payload = msgspec.msgpack.encode([*longer, "of a later release"])
    data = len(payload).to_bytes(4, "little") + _crc(payload) + payload

    assert scan(data, start=0, whole=True, limit=9).entries == [opened]


def _crc(payload: bytes) -> bytes:
    return zlib.crc32(payload).to_bytes(4, "little")
