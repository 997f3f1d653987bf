"""Records in one SQLite file: the tables, and taking in what the drainer brings. `sqlite_queries` looks things up."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from headworks.calls import Caller, Opened, Settled
from headworks.database import open_database, storage_errors, transaction
from headworks.records.stores import (
    Batch,
    Bodies,
    Committed,
    Dimension,
    Progress,
    Record,
    ResponseOrigin,
    Selection,
    Total,
)
from headworks.records.stores.sqlite_queries import Queries

_BUSY_S = 5.0
"""The only other writer is a migration; readers do not wait at all."""

_MOST = 10**15
"""No count in a record is larger. What a provider states is not to be trusted: sums must stay below 2^63."""

_HOUR_US = 3_600_000_000

_MIGRATIONS = (
    """
    CREATE TABLE calls (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        call_id TEXT NOT NULL UNIQUE,
        opened_us INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER NOT NULL,
        error_code TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        requested_model TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        served_model TEXT NOT NULL,
        key_id TEXT NOT NULL,
        owner TEXT NOT NULL,
        team TEXT NOT NULL,
        user TEXT NOT NULL,
        is_streamed INTEGER NOT NULL,
        total_us INTEGER NOT NULL,
        first_token_us INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        usage_source TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        finish_reason TEXT NOT NULL,
        response_id TEXT NOT NULL,
        upstream_request_id TEXT NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL
    );
    CREATE INDEX calls_by_time ON calls (opened_us);
    CREATE INDEX calls_by_key ON calls (key_id, opened_us) WHERE key_id <> '';
    CREATE INDEX calls_by_team ON calls (team, opened_us) WHERE team <> '';
    CREATE INDEX calls_by_user ON calls (user, opened_us) WHERE user <> '';
    CREATE INDEX calls_by_response ON calls (response_id) WHERE response_id <> '';
    CREATE INDEX calls_not_answered ON calls (outcome, opened_us) WHERE outcome <> 'answered';

    CREATE TABLE bodies (
        seq INTEGER PRIMARY KEY REFERENCES calls (seq),
        request BLOB NOT NULL,
        response BLOB NOT NULL
    );

    CREATE TABLE calls_open (
        call_id TEXT PRIMARY KEY,
        writer TEXT NOT NULL,
        entry BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX calls_open_by_writer ON calls_open (writer);

    CREATE TABLE rollups (
        hour INTEGER NOT NULL,
        key_id TEXT NOT NULL,
        team TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        outcome TEXT NOT NULL,
        status_class INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        cache_write_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        reasoning_tokens INTEGER NOT NULL,
        total_us INTEGER NOT NULL,
        first_token_us INTEGER NOT NULL,
        first_tokens INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        request_bytes INTEGER NOT NULL,
        response_bytes INTEGER NOT NULL,
        PRIMARY KEY (hour, key_id, team, endpoint, provider, model, outcome, status_class)
    ) WITHOUT ROWID;

    CREATE TABLE segments (
        name TEXT PRIMARY KEY,
        offset INTEGER NOT NULL,
        is_finished INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)

_COLUMNS = Record.__struct_fields__[1:]
_INSERT_CALL = (
    f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - names of ours
    "ON CONFLICT (call_id) DO NOTHING"
)

_GROUP = ("hour", "key_id", "team", "endpoint", "provider", "model", "outcome", "status_class")
_SUMS = (
    "calls",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_us",
    "first_token_us",
    "first_tokens",
    "attempts",
    "request_bytes",
    "response_bytes",
)
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
_ADD_ROLLUP = (
    f"INSERT INTO rollups ({', '.join(_GROUP + _SUMS)}) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join('?' * len(_GROUP + _SUMS))}) "
    f"ON CONFLICT ({', '.join(_GROUP)}) DO UPDATE SET {_ADDED}"
)

_Rollups = dict[tuple[object, ...], list[int]]

_encode = msgspec.msgpack.Encoder().encode
_decode_opened = msgspec.msgpack.Decoder(Opened).decode


class SqliteStore:
    """A `Store` in one file, which is made when missing. For one thread at a time; readers have one each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, _MIGRATIONS, busy_s=_BUSY_S)
        self._queries = Queries(self._connection)

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        self._connection.close()

    def commit(self, batch: Batch) -> Committed:
        """Make a batch durable, whole or not at all. Calls that are known already change nothing."""
        connection = self._connection
        rollups: _Rollups = {}
        with storage_errors(self._path), transaction(connection):
            recorded = self._record(batch.settled, rollups)
            connection.executemany(
                "DELETE FROM calls_open WHERE call_id = ?", [(settled.opened.call_id,) for settled in batch.settled]
            )
            connection.executemany(
                "INSERT INTO calls_open (call_id, writer, entry) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(opened.call_id, writer, _encode(opened)) for writer, opened in batch.opened],
            )
            lost = sum(self._record(self._take_open(writer), rollups) for writer in batch.ended_writers)
            connection.executemany(
                "INSERT INTO segments (name, offset, is_finished) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET offset = excluded.offset, is_finished = excluded.is_finished",
                [(name, progress.offset, progress.is_finished) for name, progress in batch.progress.items()],
            )
            connection.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in batch.forgotten])
            connection.executemany(_ADD_ROLLUP, [(*group, *sums) for group, sums in rollups.items()])
        return Committed(recorded + lost, lost, len(batch.settled) - recorded)

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

    def totals(self, dimensions: Sequence[Dimension], since_us: int | None, until_us: int | None) -> list[Total]:
        """Calls by group, the most frequent first. Times are widened to whole hours."""
        hours = (
            None if since_us is None else since_us // _HOUR_US,
            None if until_us is None else -(-until_us // _HOUR_US),
        )
        with storage_errors(self._path):
            return self._queries.totals(dimensions, *hours)

    def _record(self, calls: Iterable[Settled], rollups: _Rollups) -> int:
        """Insert the calls that are new, add them to the rollups; how many were new."""
        cursor = self._connection.cursor()
        recorded = 0
        for call in calls:
            row = _row(call)
            cursor.execute(_INSERT_CALL, row)
            if cursor.rowcount != 1:
                continue
            recorded += 1
            if call.request_body or call.response_body:
                self._connection.execute(
                    "INSERT INTO bodies (seq, request, response) VALUES (?, ?, ?)",
                    (cursor.lastrowid, call.request_body, call.response_body),
                )
            _count(rollups, call, row)
        return recorded

    def _take_open(self, writer: str) -> list[Settled]:
        """What a dead writer had open, settled as lost and no longer open."""
        rows = self._connection.execute("SELECT entry FROM calls_open WHERE writer = ?", (writer,)).fetchall()
        self._connection.execute("DELETE FROM calls_open WHERE writer = ?", (writer,))
        return [Settled(_decode_opened(entry), "lost", 0, 0, error_code="lost") for (entry,) in rows]


def _row(call: Settled) -> tuple[str | int, ...]:
    """The values of `_COLUMNS`."""
    opened = call.opened
    return (
        opened.call_id,
        _bounded(opened.opened_us, 2**62),
        call.outcome,
        _bounded(call.status, 999),
        call.error_code,
        opened.endpoint,
        opened.requested_model,
        opened.provider,
        opened.model,
        call.served_model,
        opened.key_id,
        opened.owner,
        opened.team,
        opened.user,
        opened.is_streamed,
        _bounded(call.total_us),
        _bounded(call.first_token_us),
        _bounded(call.input_tokens),
        _bounded(call.cached_tokens),
        _bounded(call.cache_write_tokens),
        _bounded(call.output_tokens),
        _bounded(call.reasoning_tokens),
        call.usage_source,
        _bounded(call.attempts),
        call.finish_reason,
        call.response_id,
        call.upstream_request_id,
        _bounded(opened.request_bytes),
        _bounded(call.response_bytes),
    )


def _bounded(value: int, most: int = _MOST) -> int:
    return value if 0 <= value <= most else max(0, min(value, most))


def _count(rollups: _Rollups, call: Settled, row: tuple[str | int, ...]) -> None:
    opened = call.opened
    hour, status = int(row[1]) // _HOUR_US, int(row[3])
    group = (
        hour,
        opened.key_id,
        opened.team,
        opened.endpoint,
        opened.provider,
        opened.model,
        call.outcome,
        status // 100,
    )
    sums = rollups.get(group)
    if sums is None:
        sums = rollups[group] = [0] * len(_SUMS)
    values = (1, *row[17:22], row[15], row[16], 1 if call.first_token_us else 0, row[23], row[27], row[28])
    for place, value in enumerate(values):
        sums[place] += value  # type: ignore[operator]
