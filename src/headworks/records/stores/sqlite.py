"""Records in one SQLite file: taking in what the drainer brings. `sqlite_schema` has the tables, `sqlite_rollups` what
is counted; `sqlite_queries`, `sqlite_outcomes` and `sqlite_content` look things up.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from headworks.calls import Caller, ObjectNote, Opened, OutcomeReport, Settled
from headworks.database import open_database, storage_errors, transaction
from headworks.records.stores import (
    Batch,
    Bodies,
    Committed,
    ContentKind,
    Dimension,
    Figures,
    ObjectSelection,
    OutcomeDimension,
    OutcomeSelection,
    OutputCount,
    OutputLengths,
    Progress,
    Record,
    Reported,
    ResponseOrigin,
    Selection,
    Span,
    Tally,
    Total,
    Wasted,
)
from headworks.records.stores.rollups import Rollups, whole_hours
from headworks.records.stores.rows import COLUMNS, kept_opened, lost, row_of
from headworks.records.stores.sqlite_content import (
    erase,
    expire,
    forget,
    insert_content,
    insert_prefix,
    select_content,
)
from headworks.records.stores.sqlite_objects import note_objects, object_note, select_objects
from headworks.records.stores.sqlite_outcomes import OutcomeQueries, insert_reports
from headworks.records.stores.sqlite_queries import Queries
from headworks.records.stores.sqlite_rollups import LengthQueries, add_rollups
from headworks.records.stores.sqlite_schema import MIGRATIONS

_BUSY_S = 5.0
"""The only other writer is a migration; readers do not wait at all."""

_INSERT_CALL = (
    f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608 - names of ours
    "ON CONFLICT (call_id) DO NOTHING"
)

_decode_opened = msgspec.msgpack.Decoder(Opened).decode


class SqliteStore:
    """A `Store` in one file, which is made when missing. For one thread at a time; readers have one each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, MIGRATIONS, busy_s=_BUSY_S)
        self._queries = Queries(self._connection)
        self._outcomes = OutcomeQueries(self._connection)
        self._lengths = LengthQueries(self._connection)

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self._connection.close()

    def commit(self, batch: Batch) -> Committed:
        """Make a batch durable, whole or not at all. Calls that are known already change nothing."""
        connection = self._connection
        rollups = Rollups()
        with storage_errors(self._path), transaction(connection):
            recorded = self._record(batch.settled, rollups, batch)
            connection.executemany("DELETE FROM calls_open WHERE call_id = ?", [(call_id,) for call_id in batch.closed])
            connection.executemany(
                "INSERT INTO calls_open (call_id, writer, entry) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(opened.call_id, writer, kept_opened(opened)) for writer, opened in batch.opened],
            )
            lost_calls = sum(self._record(self._take_open(writer), rollups, Batch()) for writer in batch.ended_writers)
            connection.executemany(
                "INSERT INTO segments (name, offset, is_finished) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET offset = excluded.offset, is_finished = excluded.is_finished",
                [(name, progress.offset, progress.is_finished) for name, progress in batch.progress.items()],
            )
            connection.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in batch.forgotten])
            add_rollups(connection, rollups)
            insert_reports(connection, batch.outcomes)
            note_objects(connection, batch.objects)
        return Committed(recorded + lost_calls, lost_calls, len(batch.settled) - recorded)

    def progress(self) -> dict[str, Progress]:
        """How far each segment has been read, by name."""
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT name, offset, is_finished FROM segments")
            return {name: Progress(offset, bool(is_finished)) for name, offset, is_finished in rows}

    def open_writers(self) -> set[str]:
        """Writers that have calls open."""
        with storage_errors(self._path):
            return {writer for (writer,) in self._connection.execute("SELECT DISTINCT writer FROM calls_open")}

    def select(self, selection: Selection) -> list[Record]:
        """The selected calls."""
        with storage_errors(self._path):
            return self._queries.select(selection)

    def get(self, call_id: str) -> Record | None:
        """One call."""
        with storage_errors(self._path):
            return self._queries.get(call_id)

    def call_ids(self, prefix: str, limit: int) -> list[str]:
        """Ids of calls that begin so, in alphabetical order."""
        with storage_errors(self._path):
            return self._queries.call_ids(prefix, limit)

    def last_seq(self) -> int:
        """The `seq` of the call that came last; 0 if there is none."""
        with storage_errors(self._path):
            return self._queries.last_seq()

    def bodies(self, seq: int) -> Bodies | None:
        """What is stored of a call's bodies."""
        with storage_errors(self._path):
            return self._queries.bodies(seq)

    def response_origin(self, response_id: str, caller: Caller | None) -> ResponseOrigin | None:
        """Who made a response; if a caller is given, only if it belongs to the caller's key or team."""
        with storage_errors(self._path):
            return self._queries.response_origin(response_id, caller)

    def object_note(self, object_id: str) -> ObjectNote | None:
        """What is known of an object at a provider, gone or not."""
        with storage_errors(self._path):
            return object_note(self._connection, object_id)

    def has_objects(self) -> bool:
        """Whether there is any object at a provider, gone or not."""
        with storage_errors(self._path):
            return self._connection.execute("SELECT 1 FROM objects LIMIT 1").fetchone() is not None

    def objects(self, selection: ObjectSelection) -> list[ObjectNote]:
        """The selected objects at providers."""
        with storage_errors(self._path):
            return select_objects(self._connection, selection)

    def totals(self, dimensions: Sequence[Dimension], since_us: int | None, until_us: int | None) -> list[Total]:
        """Calls by group, the most frequent first. Times are widened to whole hours."""
        hours = whole_hours(since_us, until_us)
        with storage_errors(self._path):
            return self._queries.totals(dimensions, *hours)

    def content(self, seq: int, now_us: int) -> dict[ContentKind, bytes]:
        """What is kept of a call's content and has not expired, sealed."""
        with storage_errors(self._path):
            return select_content(self._connection, seq, now_us)

    def purge(self, now_us: int) -> int:
        """Remove content that has expired, in transactions of a bounded size; how many pieces."""
        with storage_errors(self._path):
            return expire(self._connection, now_us)

    def erase(self, user: str) -> int:
        """Remove all content that is kept of a person's calls, so that nothing of it is left in the file."""
        with storage_errors(self._path):
            return erase(self._connection, user)

    def responses_of(self, user: str) -> list[tuple[str, str]]:
        """Of each call of a person the team, or the key where there is none, and the id of the response."""
        with storage_errors(self._path):
            return self._connection.execute(
                "SELECT CASE WHEN team <> '' THEN team ELSE key_id END, response_id FROM calls "
                "WHERE user = ? AND user <> '' AND response_id <> ''",
                (user,),
            ).fetchall()

    def prepare(self, now_us: int) -> None:
        """There is nothing to make."""

    def forget(self, before_us: int) -> int:
        """Remove calls opened before then, what is stored with them, and reports of before; how many calls."""
        with storage_errors(self._path):
            return forget(self._connection, before_us)

    def outcomes(self, selection: OutcomeSelection) -> list[Reported]:
        """The selected reports."""
        with storage_errors(self._path):
            return self._outcomes.select(selection)

    def outcomes_of(self, seq: int) -> list[OutcomeReport]:
        """What has been reported of one call, however it was named; one for each name and source."""
        with storage_errors(self._path):
            return self._outcomes.of_call(seq)

    def tallies(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Tally]:
        """What the reports on the calls of a span come to, by group of calls."""
        with storage_errors(self._path):
            return self._outcomes.tallies(dimensions, span)

    def figures(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Figures]:
        """What the calls of a span come to, by group."""
        with storage_errors(self._path):
            return self._outcomes.figures(dimensions, span)

    def output_lengths(self, span: Span) -> list[OutputLengths]:
        """How long answers were. Times are widened to whole hours."""
        with storage_errors(self._path):
            return self._lengths.lengths(span)

    def wasted(self, span: Span) -> list[Wasted]:
        """What of the output was thrown away. Times are widened to whole hours."""
        with storage_errors(self._path):
            return self._lengths.wasted(span)

    def output_counts(self, span: Span) -> list[OutputCount]:
        """How long answers were exactly, from the records of the span, shortest first."""
        with storage_errors(self._path):
            return self._lengths.counts(span)

    def _record(self, calls: Iterable[Settled], rollups: Rollups, batch: Batch) -> int:
        """Insert the calls that are new, add them to the rollups; how many were new."""
        cursor = self._connection.cursor()
        recorded = 0
        for call in calls:
            row = row_of(call, batch.cached.get(call.opened.call_id))
            cursor.execute(_INSERT_CALL, row)
            if cursor.rowcount != 1:
                continue
            recorded += 1
            if call.content_expires_us > 0:
                insert_content(self._connection, cursor.lastrowid, call)
            elif call.request_body or call.response_body:
                self._connection.execute(
                    "INSERT INTO bodies (seq, request, response) VALUES (?, ?, ?)",
                    (cursor.lastrowid, call.request_body, call.response_body),
                )
            prefix = batch.prefixes.get(call.opened.call_id)
            if prefix:
                insert_prefix(self._connection, cursor.lastrowid, prefix, call.opened.opened_us)
            rollups.count(call, row)
        return recorded

    def _take_open(self, writer: str) -> list[Settled]:
        """What a dead writer had open, settled as lost and no longer open."""
        rows = self._connection.execute("SELECT entry FROM calls_open WHERE writer = ?", (writer,)).fetchall()
        self._connection.execute("DELETE FROM calls_open WHERE writer = ?", (writer,))
        return [lost(_decode_opened(entry)) for (entry,) in rows]
