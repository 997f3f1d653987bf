"""From the journals into the audit log: what is drained becomes entries, in the transaction that says how far.

`AuditIntake` is what a `records.Drainer` drains into; `AuditDraining` runs one, and looks after what is old and what
is anchored. Calls that a dead worker left open are entered as lost, as the records do it.
"""

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from secrets import token_hex

import msgspec

from headworks.audit.anchors import Anchoring, AnchorPlace
from headworks.audit.entries import Body, CallBody, CallFigures, Content, NewEntry
from headworks.audit.keys import MasterKeys
from headworks.audit.sealing import AuditLog
from headworks.auditing import AuditTerms, event, keep_for_audit, record_in
from headworks.calls import AuditEvent, ObjectNote, Opened, OutcomeReport, Settled
from headworks.errors import StorageError
from headworks.records import (
    JOURNAL_FOLDER,
    Batch,
    Committed,
    Drained,
    Drainer,
    Handover,
    Progress,
    drain_lock,
    joined,
)
from headworks.records.segments import end_of_entries, list_segments

DAY_US = 86_400_000_000
_WAIT_STEP_S = 0.05
_MOST_COURSE = 500

NOTHING_DRAINED = Drained()

_encode = msgspec.msgpack.Encoder().encode
_decode_opened = msgspec.msgpack.Decoder(Opened).decode
_decode_detail = msgspec.json.Decoder(dict[str, str | int]).decode


def masters_of(terms: AuditTerms) -> MasterKeys:
    """The keys that a log's secrets come to."""
    return MasterKeys(terms.secret.reveal().encode(), [one.reveal().encode() for one in terms.earlier])


class AuditIntake:
    """What is drained, into the log. A `records.Intake`.

    Arguments:
        now: seconds since the Unix epoch.
    """

    def __init__(self, log: AuditLog, *, now: Callable[[], float]) -> None:
        self._log = log
        self._connection = log.ledger.connection
        self._now = now
        self.entries = 0

    def commit(self, batch: Batch) -> Committed:
        """Make a batch durable, whole or not at all, and move it into the archive."""
        connection = self._connection
        with self._log.ledger.taking():
            connection.executemany("DELETE FROM calls_open WHERE call_id = ?", [(call_id,) for call_id in batch.closed])
            connection.executemany(
                "INSERT INTO calls_open (call_id, writer, entry) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(opened.call_id, writer, _encode(opened)) for writer, opened in batch.opened],
            )
            lost = [opened for writer in batch.ended_writers for opened in self._take_open(writer)]
            entries = [*map(entry_of_call, batch.settled), *map(entry_of_lost, lost)]
            entries += [*map(entry_of_report, batch.outcomes), *map(entry_of_event, batch.events)]
            entries += map(entry_of_object, batch.objects)
            self._log.put(entries)
            connection.executemany(
                "INSERT INTO journals (name, offset, is_finished) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET offset = excluded.offset, is_finished = excluded.is_finished",
                [(name, progress.offset, progress.is_finished) for name, progress in batch.progress.items()],
            )
            connection.executemany("DELETE FROM journals WHERE name = ?", [(name,) for name in batch.forgotten])
        self.entries += len(entries)
        self._log.settle(int(self._now() * 1e6))
        return Committed(len(entries), len(lost), 0)

    def progress(self) -> dict[str, Progress]:
        """How far each segment has been read, by name."""
        return progress_of(self._log)

    def open_writers(self) -> set[str]:
        """Writers that have calls open."""
        with self._log.ledger.errors():
            return {writer for (writer,) in self._connection.execute("SELECT DISTINCT writer FROM calls_open")}

    def _take_open(self, writer: str) -> list[Opened]:
        rows = self._connection.execute("SELECT entry FROM calls_open WHERE writer = ?", (writer,)).fetchall()
        self._connection.execute("DELETE FROM calls_open WHERE writer = ?", (writer,))
        return [_decode_opened(entry) for (entry,) in rows]


class AuditDraining:
    """Drains for the audit log, now and then. State: the open log, and what is wrong with it at the moment.

    The caller holds `records.drain_lock`.

    Arguments:
        terms: of the log.
        report: told in a sentence what an operator must know.
        now: seconds since the Unix epoch.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        terms: AuditTerms,
        *,
        report: Callable[[str], None],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terms = terms
        self._report = report
        self._now = now
        self._log: AuditLog | None = None
        self._drainer: Drainer | None = None
        self._trouble = ""
        places = [
            AnchorPlace(anchor.file, anchor.url, anchor.token.reveal() if anchor.token else "")
            for anchor in terms.anchors
        ]
        self._anchoring = Anchoring(places, every_s=terms.anchor_every_s, report=report, clock=clock)

    def take(self, handovers: Sequence[Handover]) -> int:
        """Take in what who drains the records has read, and hands on; returns how many entries that is.

        A log that has just been opened takes in what the journals hold, for nobody may hand on what it lacks.
        """
        if self._drainer is None:
            return self.drain()
        return self._do(lambda drainer: drainer.take(joined(handovers)) if handovers else NOTHING_DRAINED)

    def drain(self, *, is_last: bool = False) -> int:
        """Take in what the journals hold at this moment; returns how many entries were read of them.

        Where the log cannot be used, that is told once, and the journals wait.
        """
        return self._do(Drainer.drain, is_last=is_last)

    def _do(self, drain: Callable[[Drainer], Drained], *, is_last: bool = False) -> int:
        try:
            drained = drain(self._opened())
            assert self._log is not None, "it has just been opened"
            self._anchoring.keep(self._log.settle(int(self._now() * 1e6)), is_last=is_last)
        except StorageError as error:
            self.close()
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._report(f"the audit log waits, and journals stay, for now: {self._trouble}")
            return 0
        if self._trouble:
            self._trouble = ""
            self._report("the audit log is written again")
        return drained.entries

    @property
    def trouble(self) -> str:
        """What is wrong; "" when all is well."""
        return self._trouble

    def expire(self) -> None:
        """Destroy the keys of what is older than it is to be read. Later, where it cannot be done."""
        try:
            self._opened()
            assert self._log is not None, "it has just been opened"
            ledger = self._log.ledger
            for workload in ledger.workloads():
                days = self._terms.days_of(workload)
                if days is None:
                    continue
                keys = ledger.expire(workload, int(self._now() * 1e6) - days * DAY_US)
                if keys:
                    detail: dict[str, str | int] = {"keys": keys, "days": days}
                    done = event(
                        "audit.expired", actor="headworks", origin="control-plane", target=workload, detail=detail
                    )
                    record_in(self._terms.storage, done)
        except StorageError as error:
            self._report(f"audit entries whose time is over stay for now: {error}")

    def close(self) -> None:
        """Let go of the log; the next call opens it again."""
        if self._log is not None:
            self._log.close()
        self._log = self._drainer = None

    def _opened(self) -> Drainer:
        if self._drainer is None:
            keep_for_audit(self._terms.storage, is_on=True)
            self._log = AuditLog(self._terms.folder, masters_of(self._terms), report=self._report)
            self._drainer = Drainer(
                self._terms.storage / JOURNAL_FOLDER,
                AuditIntake(self._log, now=self._now),
                now=self._now,
                report=lambda _: None,  # who drains the records tells of gaps
                is_audit=True,
            )
        return self._drainer


def drain_audit(terms: AuditTerms, *, report: Callable[[str], None]) -> None:
    """Take in what the journals hold at this moment, unless another process drains.

    Raises:
        StorageError: the lock cannot be had.
    """
    with drain_lock(terms.storage) as is_ours:
        if is_ours:
            draining = AuditDraining(terms, report=report)
            try:
                draining.drain()
            finally:
                draining.close()


def catch_up_audit(
    terms: AuditTerms,
    *,
    report: Callable[[str], None],
    wait_s: float = 5.0,
    rest: Callable[[float], None] = time.sleep,
) -> bool:
    """See to it that what the journals hold at this moment is in the log: drain, or wait for who drains already.

    Returns whether it is.

    Raises:
        StorageError: journals or log cannot be used.
    """
    folder = terms.storage / JOURNAL_FOLDER
    keep_for_audit(terms.storage, is_on=True)
    wanted = {segment: end_of_entries(folder, segment, 0) for segment in list_segments(folder)}
    for attempt in range(max(1, int(wait_s / _WAIT_STEP_S))):
        if attempt:
            rest(_WAIT_STEP_S)
        with drain_lock(terms.storage) as is_ours:
            if is_ours:
                draining = AuditDraining(terms, report=report)
                try:
                    draining.drain(is_last=True)
                    return not draining.trouble
                finally:
                    draining.close()
        if not wanted:
            return True
        offsets = _offsets(terms)
        left = list_segments(folder)
        if all(offsets.get(segment.name, 0) >= end for segment, end in wanted.items() if segment in left):
            return True
    return False


def _offsets(terms: AuditTerms) -> dict[str, int]:
    from headworks.audit.sealing import open_ledger

    ledger = open_ledger(terms.folder, masters_of(terms))
    try:
        with ledger.errors():
            waiting = ledger.waiting()
            rows = ledger.connection.execute("SELECT name, offset FROM journals").fetchall()
        return {} if waiting else dict(rows)
    finally:
        ledger.close()


def progress_of(log: AuditLog) -> dict[str, Progress]:
    """How far a log has read each journal segment, by name."""
    with log.ledger.errors():
        rows = log.ledger.connection.execute("SELECT name, offset, is_finished FROM journals")
        return {name: Progress(offset, bool(is_finished)) for name, offset, is_finished in rows}


# -- entries ----------------------------------------------------------------------------------------------------------


def entry_of_call(call: Settled) -> NewEntry:
    """The entry of a call that has ended."""
    opened = call.opened
    figures = CallFigures(
        opened.endpoint,
        opened.provider,
        opened.model,
        call.served_model,
        call.attempts,
        call.verdict,
        call.course[:_MOST_COURSE],
        call.input_tokens,
        call.output_tokens,
        max(0, call.cost_pico),
        call.prompt_hash,
        call.caller_key,
        call.trace_id,
    )
    body = CallBody(
        opened.key_id,
        opened.owner,
        opened.team,
        opened.user,
        opened.source,
        opened.requested_model,
        call.workload or opened.workload,
        call.prompt_version,
        call.status,
        call.error_code,
        figures,
        commitment(call.request_body, call.response_body, call.template_values),
    )
    at_us = opened.opened_us + max(0, call.total_us)
    return NewEntry(_bounded(at_us), opened.call_id, "call", call.outcome, body)


def entry_of_lost(opened: Opened) -> NewEntry:
    """The entry of a call whose process died."""
    return entry_of_call(Settled(opened, "lost", 0, 0, error_code="lost", workload=opened.workload))


def entry_of_report(report: OutcomeReport) -> NewEntry:
    """The entry of what an application reports; the value stands in the records, and here is what commits to it."""
    body = Body(
        who=report.key_id,
        team=report.team,
        target=report.call_id or report.trace_id or report.caller_key,
        detail={"name": report.name, "kind": report.kind, "by": report.source},
        content=commitment(report.value.encode("utf-8", "surrogatepass"), b"", b""),
    )
    return NewEntry(_bounded(report.reported_us), report.outcome_id, "outcome", "reported", body)


def entry_of_event(done: AuditEvent) -> NewEntry:
    """The entry of what else was done."""
    try:
        detail = _decode_detail(done.detail) if done.detail else {}
    except msgspec.MsgspecError:
        detail = {"detail": done.detail}
    workload = str(detail.get("workload", ""))
    body = Body(who=done.actor, source=done.origin, target=done.target, workload=workload, detail=detail)
    return NewEntry(_bounded(done.at_us), done.event_id, done.action, done.outcome, body)


def entry_of_object(note: ObjectNote) -> NewEntry:
    """The entry of what was made at a provider, or is gone from there."""
    detail: dict[str, str | int] = {"kind": note.kind, "provider": note.provider}
    if note.label:
        detail["label"] = note.label
    body = Body(who=note.key_id, team=note.team, target=note.object_id, detail=detail)
    action = "object.gone" if note.is_gone else "object.noted"
    return NewEntry(_bounded(note.noted_us), f"{note.object_id}@{note.noted_us}", action, "done", body)


def commitment(request: bytes, response: bytes, values: bytes) -> Content | None:
    """What commits to the content that is kept of a call; None where none is kept."""
    if not (request or response or values):
        return None
    salt = token_hex(16)
    return Content(salt, *(committed(salt, data) if data else "" for data in (request, response, values)))


def committed(salt: str, data: bytes) -> str:
    """The hash that commits to the data."""
    return sha256(bytes.fromhex(salt) + data).hexdigest()


def _bounded(at_us: int) -> int:
    """A time that a calendar has: what a clock says is not to be trusted."""
    return min(max(0, at_us), 253_402_300_799_000_000)
