"""From journals to the store: every entry once, and what a dead worker left open as lost.

How far a segment has been read is written in the same transaction as what was read, so it does not matter when this
process is killed. A segment is removed when it is read to its end and nobody holds it any more. What can be said of
a *writer* (see `segments`) is only said after its segments' locks were tried and the folder was listed again.

Where there is an audit log, two drain, each with its own word on how far it is: one for the records, which reads, and
hands on what it has read (`handing_on`); and one for the audit, which reads by itself only what it was not handed, and
*marks* what it has to its end. Records' drainer removes only what is marked. So whoever drains the records, the audit
log misses nothing; and while it cannot be written, journals grow to their bound.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from headworks.calls import (
    AuditEvent,
    JournalEntry,
    ObjectNote,
    Opened,
    OutcomeReport,
    Settled,
    SettledFromCache,
    SettledWithPrefix,
)
from headworks.database import storage_errors
from headworks.errors import StorageError
from headworks.records.frames import Gap
from headworks.records.handing_on import HandOn, Handover
from headworks.records.segments import (
    CHUNK_BYTES,
    DAMAGED_SUFFIX,
    UNBORN_SUFFIX,
    Segment,
    is_locked,
    list_segments,
    open_segment,
    read,
)
from headworks.records.stores import Batch, Intake, Progress

BATCH_ENTRIES = 4096
BATCH_BYTES = 8 << 20
"""A batch is committed when it has that many entries, or was read from that many bytes of journal."""

LOCK_FILE = "drain.lock"
"""Whoever holds it, below the storage folder, is the one that drains."""

MARKS_FOLDER = "audited"
"""Below the journal folder, as long as there is an audit log: a file for each segment that the log has whole."""

_UNBORN_S = 60.0
"""A segment that has not been locked and named within that time never will be: its worker died in between."""


class Drained(msgspec.Struct, frozen=True):
    """What one pass came to. `entries` were read; of the calls that are new in the store, `lost` are lost."""

    entries: int = 0
    recorded: int = 0
    lost: int = 0


@contextmanager
def drain_lock(storage: Path) -> Iterator[bool]:
    """The right to drain, or False if another process (or thread) has it. Ends with the process, however that ends.

    Raises:
        StorageError: the lock file cannot be made.
    """
    with storage_errors(storage / LOCK_FILE):
        descriptor = os.open(storage / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


class Drainer:
    """Drains one journal folder into one store. State: how far each segment is read, as the store has it.

    Arguments:
        folder: the segments of all workers.
        store: filled by nobody else; the caller holds `drain_lock`.
        now: seconds since the Unix epoch.
        report: told in a sentence what an operator must know (bytes that cannot be read, say).
        is_audit: drain for the audit log: mark what is finished, and leave its removal to who drains the records.
        hand_on: is told of every batch.
    """

    def __init__(
        self,
        folder: Path,
        store: Intake,
        *,
        now: Callable[[], float],
        report: Callable[[str], None],
        is_audit: bool = False,
        hand_on: HandOn | None = None,
    ) -> None:
        self._folder = folder
        self._store = store
        self._is_audit = is_audit
        self._hand_on = hand_on
        self._marks = folder / MARKS_FOLDER
        self._now = now
        self._report = report
        self._progress: dict[str, Progress] = store.progress()
        self._forgotten: list[str] = []
        self._troubled: dict[str, str] = {}
        # Found gone by an earlier pass, of this one or of one before it: see `_mark_finished`.
        self._gone = {name for name in self._progress if is_audit and not (self._marks / name).exists()}

    def take(self, handover: Handover) -> Drained:
        """Take in what another drainer of this folder has read; read as far by ourselves where we cannot.

        Raises:
            StorageError: as `drain`.
        """
        batch = handover.batch
        if batch is None or not self._is_at(handover.before, batch):
            return self.drain(handover.after)
        done = self._store.commit(msgspec.structs.replace(batch, forgotten=self._forgotten))
        self._progress.update(batch.progress)
        self._forgotten = []
        self._tidy()
        return Drained(handover.entries, done.recorded, done.lost)

    def _is_at(self, before: Mapping[str, Progress], batch: Batch) -> bool:
        """Whether we have read just what another one had, of all that it had left to read, or reads with this batch."""
        nothing = Progress(0)
        unfinished = {name for name, position in self._progress.items() if not position.is_finished}
        names = before.keys() | batch.progress.keys() | unfinished
        return all(self._progress.get(name, nothing) == before.get(name, nothing) for name in names)

    def drain(self, bounds: Mapping[str, Progress] | None = None) -> Drained:
        """Take in everything that the journals hold at this moment.

        Arguments:
            bounds: take in only so much of each segment, by name; of others nothing.

        Raises:
            StorageError: the store or the folder cannot be used. Nothing is lost: make a new drainer and try again.
        """
        segments = list_segments(self._folder)
        if bounds is not None:
            segments = {segment: size for segment, size in segments.items() if segment.name in bounds}
        batch = _Building(self._store, self._hand_on)
        halted: set[str] = set()
        idle: set[str] = set()
        for segment, size in segments.items():
            if segment.writer in halted:
                continue  # in order or not at all
            try:
                is_final = self._read(segment, size, batch, None if bounds is None else bounds[segment.name])
            except StorageError as error:
                self._tell_once(segment.name, str(error))
                halted.add(segment.writer)
                continue
            if is_final:
                idle.add(segment.name)
        self._end_writers(idle | batch.finished(self._progress), batch)
        drained = batch.commit(self._progress, self._forgotten)
        self._forgotten = []
        self._tidy()
        return drained

    def _tidy(self) -> None:
        if self._is_audit:
            self._mark_finished()
        else:
            self._remove_finished()
            self._remove_unborn()

    def _read(self, segment: Segment, size: int, batch: "_Building", bound: Progress | None) -> bool:
        """Read a segment up to `size`, its size when this pass began, or to its end if nobody writes to it; of one that
        is not finished by its bound, up to that.

        Returns whether it is read to its end and will not grow.
        """
        known = batch.position(segment.name) or self._progress.get(segment.name, Progress(0))
        if known.is_finished:
            return True
        offset = known.offset
        is_bounded = bound is not None and not bound.is_finished
        if bound is not None and is_bounded:
            size = bound.offset
        with open_segment(self._folder, segment) as descriptor:
            # In this order: what it holds when it is found without a lock is all that it will ever hold.
            is_final = not is_bounded and not is_locked(descriptor)
            while is_final or offset < size:
                most = min(CHUNK_BYTES, size - offset) if is_bounded else CHUNK_BYTES
                stretch = read(descriptor, offset, is_final=is_final, limit=BATCH_ENTRIES, chunk_bytes=most)
                self._tell_gaps(segment, stretch.gaps)
                is_at_end = stretch.end == offset
                batch.add(segment, stretch.entries, Progress(stretch.end), stretch.end - offset)
                offset = stretch.end
                if is_at_end:
                    break
                if batch.is_full:
                    batch.commit(self._progress)
        if is_final:
            batch.add(segment, [], Progress(offset, is_finished=True), 0)
        return is_final

    def _end_writers(self, idle: set[str], batch: "_Building") -> None:
        """Find the writers that are dead, and settle with this batch what they have open."""
        present: dict[str, bool] = {}
        for segment in list_segments(self._folder):
            present[segment.writer] = present.get(segment.writer, True) and segment.name in idle
        batch.ended_writers = [
            writer for writer in sorted(self._store.open_writers() | batch.open_writers()) if present.get(writer, True)
        ]

    def _tell_gaps(self, segment: Segment, gaps: tuple[Gap, ...]) -> None:
        for gap in gaps:
            if gap.kind == "damaged":
                self._keep(segment)
                self._report(
                    f"{gap.end - gap.start} bytes at offset {gap.start} of the journal {segment.name} cannot be read: "
                    f"calls may be missing; the file is kept as {_kept_name(segment)}"
                )
            else:
                self._report(
                    f"the journal {segment.name} ends in a write that was interrupted: {gap.end - gap.start} bytes "
                    "left out, which nobody had been told were safe"
                )

    def _keep(self, segment: Segment) -> None:
        """Give a damaged segment a second name, under which it stays for a person to look at."""
        with storage_errors(self._folder / segment.name), suppress(FileExistsError):
            os.link(self._folder / segment.name, self._folder / _kept_name(segment))

    def _tell_once(self, name: str, trouble: str) -> None:
        if self._troubled.get(name) != trouble:
            self._troubled[name] = trouble
            self._report(trouble)

    def _mark_finished(self) -> None:
        """Say of each segment that is read to its end that it may go, and forget those that are gone.

        Not at once: what was handed on before it went, and comes to us after this pass, may be about it. To whom
        everything is handed in order, that comes with the next one.
        """
        for name in [name for name, progress in self._progress.items() if progress.is_finished]:
            mark = self._marks / name
            with storage_errors(mark):
                if (self._folder / name).exists():
                    mark.touch(0o600)
                    self._gone.discard(name)
                elif name not in self._gone:
                    mark.unlink(missing_ok=True)
                    self._gone.add(name)
                else:
                    self._gone.remove(name)
                    self._forgotten.append(name)
                    del self._progress[name]

    def _remove_finished(self) -> None:
        is_audited = self._marks.is_dir()
        for name in [name for name, progress in self._progress.items() if progress.is_finished]:
            path = self._folder / name
            if is_audited and path.exists() and not (self._marks / name).exists():
                continue  # the audit log still has to read it
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._tell_once(name, f"{path} is drained, but cannot be removed: {error.strerror}")
            else:
                self._forgotten.append(name)
                del self._progress[name]

    def _remove_unborn(self) -> None:
        for path in self._folder.glob(f"*{UNBORN_SUFFIX}"):
            try:
                if self._now() - path.stat().st_mtime > _UNBORN_S:
                    path.unlink()
            except FileNotFoundError:
                continue  # born, or given up by its worker
            except OSError as error:
                self._tell_once(path.name, f"{path} cannot be removed: {error.strerror}")


class _Building:
    """A batch while it grows. Opened entries whose call settles in the same batch never reach the store."""

    def __init__(self, store: Intake, hand_on: HandOn | None) -> None:
        self.ended_writers: list[str] = []
        self._hand_on = hand_on
        self._store = store
        self._settled: list[Settled] = []
        self._opened: dict[str, tuple[str, Opened]] = {}
        self._outcomes: list[OutcomeReport] = []
        self._prefixes: dict[str, bytes] = {}
        self._cached: dict[str, tuple[int, int]] = {}
        self._objects: list[ObjectNote] = []
        self._closing: list[str] = []
        self._events: list[AuditEvent] = []
        self._positions: dict[str, Progress] = {}
        self._bytes = self._handed = 0
        self._drained = Drained()

    @property
    def is_full(self) -> bool:
        waiting = len(self._settled) + len(self._opened) + len(self._outcomes) + len(self._objects)
        waiting += len(self._events)
        return waiting >= BATCH_ENTRIES or self._bytes >= BATCH_BYTES

    def position(self, name: str) -> Progress | None:
        """How far a segment is read with what is not committed yet."""
        return self._positions.get(name)

    def finished(self, progress: dict[str, Progress]) -> set[str]:
        """Names of the segments that are read to their end."""
        return {name for name, position in {**progress, **self._positions}.items() if position.is_finished}

    def open_writers(self) -> set[str]:
        """Writers of what is open in this batch."""
        return {writer for writer, _ in self._opened.values()}

    def add(self, segment: Segment, entries: list[JournalEntry], position: Progress, size: int) -> None:
        """Take in what was read of a segment up to a position."""
        for written in entries:
            entry = written
            if isinstance(entry, SettledWithPrefix):
                self._prefixes[entry.settled.opened.call_id] = entry.prefix
                entry = entry.settled
            elif isinstance(entry, SettledFromCache):
                self._cached[entry.settled.opened.call_id] = entry.saved_pico, entry.age_s
                entry = entry.settled
            if isinstance(entry, Settled):
                if self._opened.pop(entry.opened.call_id, None) is None:
                    self._closing.append(entry.opened.call_id)
                self._settled.append(entry)
            elif isinstance(entry, Opened):
                self._opened[entry.call_id] = (segment.writer, entry)
            elif isinstance(entry, ObjectNote):
                self._objects.append(entry)
            elif isinstance(entry, OutcomeReport):
                self._outcomes.append(entry)
            else:
                self._events.append(entry)
        self._positions[segment.name] = position
        self._bytes += size
        total = self._drained
        self._drained = Drained(total.entries + len(entries), total.recorded, total.lost)

    def commit(self, progress: dict[str, Progress], forgotten: Sequence[str] = ()) -> Drained:
        """Make it durable, note that in `progress`, begin anew; returns the sum of all that was ever added."""
        moved = {name: position for name, position in self._positions.items() if progress.get(name) != position}
        entries = self._settled or self._opened or self._outcomes or self._objects
        if entries or moved or forgotten or self.ended_writers:
            batch = Batch(
                self._settled,
                list(self._opened.values()),
                self.ended_writers,
                moved,
                forgotten,
                self._outcomes,
                self._prefixes,
                self._objects,
                self._events,
                self._cached,
                self._closing,
            )
            done = self._store.commit(batch)
            total = self._drained
            self._drained = Drained(total.entries, total.recorded + done.recorded, total.lost + done.lost)
            if self._hand_on is not None and (moved or self.ended_writers):
                before = progress.copy()
                after = {**before, **moved}
                self._hand_on(Handover(before, after, batch, total.entries - self._handed, self._bytes))
                self._handed = total.entries
        progress.update(self._positions)
        self._settled, self._opened, self._outcomes, self._positions, self._bytes = [], {}, [], {}, 0
        self._prefixes, self._objects = {}, []
        self._events, self._closing = [], []
        self._cached = {}
        self.ended_writers = []
        return self._drained


def _kept_name(segment: Segment) -> str:
    return Path(segment.name).with_suffix(DAMAGED_SUFFIX).name
