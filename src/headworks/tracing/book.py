"""The file in which traces are kept: SQLite, beside the records and apart from them.

Two keys never see or overwrite each other's traces, whatever ids they use. What is kept is bounded in age and in
number: the oldest goes first.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from headworks.database import open_database, storage_errors, transaction
from headworks.tracing.reading import Ingested, Span, Trace

MOST_SPANS = 500_000
"""Some 100 MB."""

MOST_TRACES = 100_000

_MIGRATIONS = (
    """
    CREATE TABLE traces (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        key_id TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        workflow TEXT NOT NULL,
        group_id TEXT NOT NULL,
        noted_us INTEGER NOT NULL,
        UNIQUE (trace_id, key_id)
    ) STRICT;
    CREATE TABLE spans (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        key_id TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        span_id TEXT NOT NULL,
        parent_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        started_us INTEGER NOT NULL,
        ended_us INTEGER NOT NULL,
        response_id TEXT NOT NULL,
        has_failed INTEGER NOT NULL,
        noted_us INTEGER NOT NULL,
        UNIQUE (trace_id, key_id, span_id)
    ) STRICT;
    CREATE INDEX traces_by_time ON traces (noted_us);
    CREATE INDEX spans_by_time ON spans (noted_us)
    """,
)

_ADD_TRACE = (
    "INSERT INTO traces (key_id, trace_id, workflow, group_id, noted_us) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (trace_id, key_id) DO UPDATE SET workflow = excluded.workflow, group_id = excluded.group_id"
)
_ADD_SPAN = (
    "INSERT INTO spans (key_id, trace_id, span_id, parent_id, kind, name, started_us, ended_us, response_id, "
    "has_failed, noted_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (trace_id, key_id, span_id) DO UPDATE SET parent_id = excluded.parent_id, kind = excluded.kind, "
    "name = excluded.name, started_us = excluded.started_us, ended_us = excluded.ended_us, "
    "response_id = excluded.response_id, has_failed = excluded.has_failed"
)


class TraceBook:
    """The book. For one thread at a time; several processes may have it open.

    Raises:
        StorageError: the file cannot be used; from every method, too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, _MIGRATIONS, busy_s=5.0)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def add(
        self, ingested: Ingested, key_id: str, *, now_us: int, forget_before_us: int = 0, most_spans: int = MOST_SPANS
    ) -> None:
        """Keep these, all or none; what is sent again replaces what was sent. Old ones go.

        Arguments:
            key_id: the virtual key that sends them.
            now_us: microseconds since the Unix epoch.
            forget_before_us: what came before goes.
            most_spans: how many are kept in all.
        """
        traces = [(key_id, one.trace_id, one.workflow, one.group_id, now_us) for one in ingested.traces]
        spans = [
            (
                key_id,
                one.trace_id,
                one.span_id,
                one.parent_id,
                one.kind,
                one.name,
                one.started_us,
                one.ended_us,
                one.response_id,
                int(one.has_failed),
                now_us,
            )
            for one in ingested.spans
        ]
        connection = self._connection
        with storage_errors(self._path), transaction(connection):
            connection.executemany(_ADD_TRACE, traces)
            connection.executemany(_ADD_SPAN, spans)
            connection.execute("DELETE FROM traces WHERE noted_us < ?", (forget_before_us,))
            connection.execute("DELETE FROM spans WHERE noted_us < ?", (forget_before_us,))
            # Numbers only ever grow, so this counts without counting.
            connection.execute(
                "DELETE FROM traces WHERE number <= (SELECT MAX(number) FROM traces) - ?", (MOST_TRACES,)
            )
            connection.execute("DELETE FROM spans WHERE number <= (SELECT MAX(number) FROM spans) - ?", (most_spans,))

    def recent(self, limit: int) -> list[tuple[str, Trace]]:
        """The traces that came last, the newest first, each with the key that sent it."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT key_id, trace_id, workflow, group_id FROM traces ORDER BY number DESC LIMIT ?", (limit,)
            ).fetchall()
        return [(str(row[0]), Trace(*map(str, row[1:]))) for row in rows]

    def find(self, trace_id: str) -> list[tuple[str, Trace | None, Sequence[Span]]]:
        """What is known of a trace, for each key that sent something of it; the trace itself may not have come."""
        with storage_errors(self._path):
            traces = self._connection.execute(
                "SELECT key_id, trace_id, workflow, group_id FROM traces WHERE trace_id = ?", (trace_id,)
            ).fetchall()
            spans = self._connection.execute(
                "SELECT key_id, trace_id, span_id, parent_id, kind, name, started_us, ended_us, response_id, "
                "has_failed FROM spans WHERE trace_id = ? ORDER BY started_us, number",
                (trace_id,),
            ).fetchall()
        heads = {str(row[0]): Trace(*map(str, row[1:])) for row in traces}
        steps: dict[str, list[Span]] = {key_id: [] for key_id in heads}
        for key_id, *columns in spans:
            # SQLite has no truth values: 0 and 1 are what was put in.
            one = msgspec.structs.replace(Span(*columns), has_failed=bool(columns[-1]))
            steps.setdefault(str(key_id), []).append(one)
        return [(key_id, heads.get(key_id), found) for key_id, found in steps.items()]
