"""Journals that are written to are turned over, so that nothing of before is left in them."""

import pytest

from headworks.errors import StorageError
from headworks.records.frames import MAGIC
from headworks.records.segments import list_segments
from headworks.records.turning import TURN_FILE, ask_for_turn, turn_journals


def numbers(folder):
    return [(segment.worker, segment.number) for segment in list_segments(folder)]


def test_a_worker_that_was_asked_goes_on_in_a_new_segment_once(journal, tmp_path, calls):
    one, idle = journal("one"), journal("two")
    one.append(calls.settled(1))
    one._look()
    assert numbers(tmp_path) == [("one", 0), ("two", 0)]

    ask_for_turn(tmp_path)
    for writer in (one, idle, one, idle):
        writer._look()

    assert numbers(tmp_path) == [("one", 0), ("one", 1), ("two", 0)]
    assert [size for segment, size in list_segments(tmp_path).items() if segment.number or segment.worker == "two"] == [
        len(MAGIC)
    ] * 2
    assert (tmp_path / TURN_FILE).stat().st_mode & 0o777 == 0o600


def test_a_worker_that_begins_later_is_not_meant(journal, tmp_path, calls):
    ask_for_turn(tmp_path)
    writer = journal()
    writer.append(calls.settled(1))
    writer._look()

    assert [number for _, number in numbers(tmp_path)] == [0]


def test_what_was_there_is_waited_for_until_it_is_gone(journal, tmp_path, calls):
    writer = journal()
    writer.append(calls.settled(1))
    passes = []

    def drain():
        passes.append(numbers(tmp_path))
        writer._look()
        first, *later = list_segments(tmp_path)
        if later and len(passes) > 2:
            (tmp_path / first.name).unlink()

    assert turn_journals(tmp_path, drain, rest=lambda _: None)
    assert len(passes) == 3
    assert [number for _, number in numbers(tmp_path)] == [1]


def test_what_is_not_gone_in_time_is_said(journal, tmp_path, calls):
    journal().append(calls.settled(1))
    rests = []

    assert not turn_journals(tmp_path, lambda: None, wait_s=0.2, rest=rests.append)
    assert len(rests) == 4


def test_where_there_is_no_journal_nothing_is_asked_for(tmp_path):
    assert turn_journals(tmp_path / "journal", pytest.fail)
    with pytest.raises(StorageError, match="turn: No such file"):
        ask_for_turn(tmp_path / "journal")
