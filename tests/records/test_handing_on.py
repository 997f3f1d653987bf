"""What the records' drainer has read is handed on: every entry once in both stores, whoever lags or dies."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headworks.calls import AuditEvent, Opened, Settled
from headworks.records import MARKS_FOLDER, Batch, Committed, Drainer, Handover, Progress, joined, without_batch
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment


class Memory:
    """An `Intake` that outlives its drainers. State: as a store's tables."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []
        self.events: list[str] = []
        self.open: dict[str, str] = {}
        self.segments: dict[str, Progress] = {}
        self.is_dead = False
        self.batches = 0

    def commit(self, batch: Batch) -> Committed:
        assert not self.is_dead
        self.batches += 1
        for settled in batch.settled:
            self.ends.append((settled.opened.call_id, settled.outcome))
        for call_id in batch.closed:
            self.open.pop(call_id, None)
        self.open |= {opened.call_id: writer for writer, opened in batch.opened}
        for call_id in [call for call, writer in self.open.items() if writer in batch.ended_writers]:
            self.ends.append((call_id, "lost"))
            del self.open[call_id]
        self.events += [event.event_id for event in batch.events]
        self.segments |= batch.progress
        for name in batch.forgotten:
            del self.segments[name]
        return Committed(len(batch.settled), 0, 0)

    def progress(self) -> dict[str, Progress]:
        return dict(self.segments)

    def open_writers(self) -> set[str]:
        return set(self.open.values())


def opened(call_id: str) -> Opened:
    return Opened(call_id, 1, "responses", "fast")


def settled(call_id: str) -> Settled:
    return Settled(opened(call_id), "answered", 200, 5)


class Writer:
    """A worker that writes a segment at a time, under its lock."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.number, self.calls = folder, name, -1, 0
        self.open: list[str] = []
        self.file = -1
        self.turn_over()

    def turn_over(self) -> None:
        self.number += 1
        path = self.folder / Segment(self.name, 1, self.number).name
        last, self.file = self.file, os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.file, fcntl.LOCK_EX)
        os.write(self.file, MAGIC)
        if last >= 0:
            os.close(last)

    def begin(self) -> None:
        self.calls += 1
        self.open.append(f"{self.name}.{self.calls}")
        os.write(self.file, frame(opened(self.open[-1])))

    def end(self) -> str:
        call_id = self.open.pop(0)
        os.write(self.file, frame(settled(call_id)))
        return call_id

    def note(self, event_id: str) -> None:
        os.write(self.file, frame(AuditEvent(event_id, 1, "x.y")))

    def die(self) -> None:
        os.close(self.file)


class TwoStores(RuleBasedStateMachine):
    """Writers write, turn over and die; records are drained and hand on; the audit takes, misses, is reopened, reads by
    itself; both may be killed between any two commits."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="handing-on-"))
        (self.folder / MARKS_FOLDER).mkdir()
        self.expected: dict[str, str] = {}
        self.notes: list[str] = []
        self.workers: list[Writer] = []
        self.started = 0
        self.records, self.audit = Memory(), Memory()
        self.queue: list[Handover] = []
        self.reader = self.records_drainer()
        self.taker: Drainer | None = None

    def records_drainer(self) -> Drainer:
        return Drainer(self.folder, self.records, now=lambda: 0.0, report=_never, hand_on=self.queue.append)

    def audit_drainer(self) -> Drainer:
        return Drainer(self.folder, self.audit, now=lambda: 0.0, report=_never, is_audit=True)

    @rule()
    def start_a_writer(self) -> None:
        if len(self.workers) < 3:
            self.started += 1
            self.workers.append(Writer(self.folder, f"w{self.started}"))

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 2), what=st.lists(st.sampled_from(["begin", "end", "note", "turn"]), max_size=6))
    def write(self, which: int, what: list[str]) -> None:
        worker = self.workers[which % len(self.workers)]
        for step in what:
            if step == "begin":
                worker.begin()
                self.expected[worker.open[-1]] = "lost"
            elif step == "end" and worker.open:
                self.expected[worker.end()] = "answered"
            elif step == "note":
                self.notes.append(f"event_{len(self.notes)}")
                worker.note(self.notes[-1])
            elif step == "turn":
                worker.turn_over()

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 2))
    def die(self, which: int) -> None:
        self.workers.pop(which % len(self.workers)).die()

    @rule()
    def drain_records(self) -> None:
        self.reader.drain()

    @rule(is_late=st.booleans())
    def take(self, is_late: bool) -> None:
        """As the control plane's thread: what was there when it looked; records may be drained meanwhile."""
        taken = list(self.queue)
        self.queue.clear()
        if is_late:
            self.reader.drain()
        if self.taker is None:
            self.taker = self.audit_drainer()
            self.taker.drain()
        elif taken:
            self.taker.take(joined(taken))

    @precondition(lambda self: self.queue)
    @rule(which=st.integers(0, 9))
    def run_out_of_room(self, which: int) -> None:
        which %= len(self.queue)
        self.queue[which] = without_batch(self.queue[which])

    @rule()
    def read_alone(self) -> None:
        if self.taker is not None:
            self.taker.drain()

    @rule()
    def reopen_the_audit_log(self) -> None:
        self.taker = None

    @rule()
    def kill_the_control_plane(self) -> None:
        self.queue.clear()
        self.reader = self.records_drainer()
        self.taker = None

    @invariant()
    def nothing_is_there_twice(self) -> None:
        for store in (self.records, self.audit):
            assert len({call for call, _ in store.ends}) == len(store.ends)
            assert len(set(store.events)) == len(store.events)

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        for worker in self.workers:
            worker.die()
        self.reader.drain()
        self.take(is_late=False)
        for _ in range(3):
            self.reader.drain()
            self.take(is_late=True)
        for store in (self.records, self.audit):
            assert dict(store.ends) == self.expected
            assert sorted(store.events) == sorted(self.notes)
            assert store.open == {}
        assert list(self.folder.glob("*.journal")) == []
        self.nothing_is_there_twice()
        shutil.rmtree(self.folder)


def _never(text: str) -> None:
    raise AssertionError(text)


TwoStores.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestEveryEntryIsInBothStoresOnce = TwoStores.TestCase


def test_what_is_handed_on_in_order_is_not_read_again(tmp_path, monkeypatch):
    (tmp_path / MARKS_FOLDER).mkdir()
    records, audit, handed = Memory(), Memory(), []
    reader = Drainer(tmp_path, records, now=lambda: 0.0, report=_never, hand_on=handed.append)
    taker = Drainer(tmp_path, audit, now=lambda: 0.0, report=_never, is_audit=True)
    worker = Writer(tmp_path, "w")
    for _ in range(3):
        worker.begin()
        reader.drain()
        worker.end()
        reader.drain()
    worker.die()
    reader.drain()
    monkeypatch.setattr("headworks.records.draining.open_segment", _never)

    drained = taker.take(joined(handed))

    assert drained.entries == 6
    assert [call for call, _ in audit.ends] == ["w.1", "w.2", "w.3"]
    assert audit.open == {}
    assert audit.batches == 1


def test_who_is_behind_reads_as_far_as_the_other_and_then_takes(tmp_path):
    (tmp_path / MARKS_FOLDER).mkdir()
    records, audit, handed = Memory(), Memory(), []
    reader = Drainer(tmp_path, records, now=lambda: 0.0, report=_never, hand_on=handed.append)
    taker = Drainer(tmp_path, audit, now=lambda: 0.0, report=_never, is_audit=True)
    worker = Writer(tmp_path, "w")
    worker.note("event_1")
    reader.drain()
    handed.clear()  # killed before it was taken
    worker.note("event_2")
    reader.drain()
    worker.note("event_3")  # read by nobody yet

    taker.take(joined(handed))

    assert audit.events == ["event_1", "event_2"]
    assert audit.segments == records.segments
    worker.die()


def test_what_is_handed_on_of_a_journal_that_is_gone_meanwhile_is_known_to_have_been_read(tmp_path):
    (tmp_path / MARKS_FOLDER).mkdir()
    records, audit, handed = Memory(), Memory(), []
    reader = Drainer(tmp_path, records, now=lambda: 0.0, report=_never, hand_on=handed.append)
    taker = Drainer(tmp_path, audit, now=lambda: 0.0, report=_never, is_audit=True)
    staying = Writer(tmp_path, "w1")
    staying.note("event_1")
    reader.drain()
    going = Writer(tmp_path, "w2")
    going.note("event_2")
    going.die()
    taker.drain()  # by itself, and further than the records' drainer
    (first,) = handed
    reader.drain()  # it reads the second journal, and removes it

    taker.take(first)
    taker.take(handed[1])
    staying.die()

    assert list(tmp_path.glob("w2*")) == []
    assert sorted(audit.events) == sorted(records.events) == ["event_1", "event_2"]
