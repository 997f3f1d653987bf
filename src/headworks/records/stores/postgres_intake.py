"""Taking a batch into PostgreSQL, within the transaction that is under way."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from headworks.calls import ObjectNote, Opened, OutcomeReport, Settled
from headworks.postgres import Connection
from headworks.records.stores import Batch, Committed
from headworks.records.stores.postgres_schema import make_partitions, take_commit_lock
from headworks.records.stores.rollups import GROUP, LENGTH_GROUP, SUMS, TOKEN_SUMS, WASTE_GROUP, Rollups
from headworks.records.stores.rows import COLUMNS, Row, kept_opened, lost, prefix_expires_us, row_of

_INDEXED_BYTES = 240
"""Most bytes of a text that stands in an ordered index, whose entries have a bound (2,704 bytes): that of the rollups
has eight of them. A batch that does not fit would keep all that comes after it from being recorded."""

_TARGET_BYTES = 2048
"""The same for what a report is about, of which its index has one: 512 characters, the most that are taken."""

CUT = frozenset({"endpoint", "provider", "model", "key_id", "team", "user", "workload", "prompt_version"})
"""Columns of calls whose texts are stored no longer than an index can hold."""

_INDEXED = tuple(COLUMNS.index(name) for name in sorted(CUT))
_NAMES = ", ".join(f'"{name}"' for name in ("seq", *COLUMNS))

# The temporary table is of the session: made once, empty at the end of each transaction.
_MAKE_INCOMING = "CREATE TEMPORARY TABLE IF NOT EXISTS incoming (LIKE calls) ON COMMIT DELETE ROWS"
_COPY = f"COPY incoming ({_NAMES}) FROM STDIN"
_TAKE_IN = (
    "WITH fresh AS (INSERT INTO call_ids (call_id, seq, opened_us) "  # noqa: S608 - names of ours
    "SELECT call_id, seq, opened_us FROM incoming ORDER BY seq ON CONFLICT (call_id) DO NOTHING RETURNING seq) "
    f"INSERT INTO calls ({_NAMES}) SELECT {_NAMES} FROM incoming JOIN fresh USING (seq) RETURNING seq"
)

_REPORT_FIELDS = OutcomeReport.__struct_fields__
# The latest holds, in whatever order they are drained: ties of the clock are broken by the id. `reporter` keeps those
# apart who must not speak for one another.
_ADD_REPORT = (
    f"INSERT INTO outcomes ({', '.join(_REPORT_FIELDS)}, reporter) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join(['%s'] * (len(_REPORT_FIELDS) + 1))}) "
    "ON CONFLICT (call_id, trace_id, caller_key, name, source, reporter) DO UPDATE SET outcome_id = "
    "excluded.outcome_id, reported_us = excluded.reported_us, kind = excluded.kind, value = excluded.value, "
    "key_id = excluded.key_id "
    "WHERE (excluded.reported_us, excluded.outcome_id) > (outcomes.reported_us, outcomes.outcome_id)"
)

_OBJECT_FIELDS = ObjectNote.__struct_fields__
_NOTE_OBJECT = (
    f"INSERT INTO objects ({', '.join(_OBJECT_FIELDS)}) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join(['%s'] * len(_OBJECT_FIELDS))}) ON CONFLICT (object_id) DO UPDATE SET "
    "noted_us = excluded.noted_us, label = excluded.label, models = excluded.models, is_gone = excluded.is_gone "
    "WHERE excluded.noted_us >= objects.noted_us"
)

_decode_opened = msgspec.msgpack.Decoder(Opened).decode


def storable(text: str) -> str:
    """A text as PostgreSQL can hold it: NUL, which it cannot, is the character for what cannot be shown."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def indexable(text: str, most: int = _INDEXED_BYTES) -> str:
    """The same, no longer in UTF-8 than an ordered index can hold."""
    text = storable(text)
    if len(text) * 4 <= most:
        return text
    return text.encode()[:most].decode(errors="ignore")


def take_in(connection: Connection, batch: Batch, site: str) -> Committed:
    """Put a batch into the tables.

    Arguments:
        site: whose journals these are. Writers and segments of other sites are not touched.
    """
    take_commit_lock(connection)
    rollups = Rollups()
    recorded = _record(connection, batch.settled, rollups, batch)
    if batch.closed:
        connection.execute("DELETE FROM calls_open WHERE call_id = ANY(%s)", (list(batch.closed),))
    _open(connection, batch.opened, site)
    lost_calls = 0
    if batch.ended_writers:
        lost_calls = _record(connection, _take_open(connection, batch.ended_writers, site), rollups, Batch())
    _move_on(connection, batch, site)
    _add(connection, "rollups", GROUP, SUMS, rollups.sums)
    _add(connection, "output_lengths", LENGTH_GROUP, TOKEN_SUMS, rollups.lengths)
    _add(connection, "wasted_output", WASTE_GROUP, TOKEN_SUMS, rollups.wasted)
    _add_reports(connection, batch.outcomes)
    _note_objects(connection, batch.objects)
    return Committed(recorded + lost_calls, lost_calls, len(batch.settled) - recorded)


def _record(connection: Connection, calls: Sequence[Settled], rollups: Rollups, batch: Batch) -> int:
    """Insert the calls that are new, add them to the rollups; how many were new."""
    if not calls:
        return 0
    rows = [_row(call, batch.cached.get(call.opened.call_id)) for call in calls]
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM call_ids").fetchone()
    assert row is not None
    first = row[0] + 1
    make_partitions(connection, (call.opened.opened_us for call in calls))
    connection.execute(_MAKE_INCOMING)
    connection.execute("TRUNCATE incoming")
    cursor = connection.cursor()
    with cursor.copy(_COPY) as copy:
        for seq, values in enumerate(rows, first):
            copy.write_row((seq, *values))
    fresh = sorted(seq for (seq,) in connection.execute(_TAKE_IN))
    new = [(seq, calls[seq - first]) for seq in fresh]
    for seq, call in new:
        rollups.count(call, rows[seq - first])
    _copy(connection, "COPY bodies (seq, request, response) FROM STDIN (FORMAT binary)", _bodies(new))
    _copy(
        connection,
        "COPY content (seq, kind, sealed, expires_us) FROM STDIN (FORMAT binary)",
        _content(new, batch.prefixes),
    )
    return len(new)


def _row(call: Settled, cached: tuple[int, int] | None) -> Row:
    values = [storable(value) if isinstance(value, str) else value for value in row_of(call, cached)]
    for place in _INDEXED:
        values[place] = indexable(str(values[place]))
    return tuple(values)


def _bodies(new: Iterable[tuple[int, Settled]]) -> Iterator[tuple[object, ...]]:
    for seq, call in new:
        if call.content_expires_us <= 0 and (call.request_body or call.response_body):
            yield seq, call.request_body, call.response_body


def _content(new: Iterable[tuple[int, Settled]], prefixes: Mapping[str, bytes]) -> Iterator[tuple[object, ...]]:
    for seq, call in new:
        prefix = prefixes.get(call.opened.call_id)
        if prefix:
            yield seq, "prefix", prefix, prefix_expires_us(call.opened.opened_us)
        if call.content_expires_us > 0:
            expires_us = min(call.content_expires_us, 2**62)
            pieces = (
                ("request", call.request_body),
                ("response", call.response_body),
                ("values", call.template_values),
            )
            yield from ((seq, kind, sealed, expires_us) for kind, sealed in pieces if sealed)


def _copy(connection: Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Write rows in binary form: bodies are not blown up to text."""
    present = list(rows)
    if not present:
        return
    types = ["int8", "bytea", "bytea"] if len(present[0]) == 3 else ["int8", "text", "bytea", "int8"]
    cursor = connection.cursor()
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in present:
            copy.write_row(row)


def _open(connection: Connection, opened: Sequence[tuple[str, Opened]], site: str) -> None:
    if opened:
        connection.execute(
            "INSERT INTO calls_open (call_id, site, writer, entry) "
            "SELECT call_id, %s, writer, entry FROM unnest(%s::text[], %s::text[], %s::bytea[]) "
            "AS new (call_id, writer, entry) ON CONFLICT DO NOTHING",
            (
                site,
                [call.call_id for _, call in opened],
                [writer for writer, _ in opened],
                [kept_opened(call) for _, call in opened],
            ),
        )


def _take_open(connection: Connection, writers: Sequence[str], site: str) -> list[Settled]:
    """What dead writers had open, settled as lost and no longer open."""
    rows = connection.execute(
        "WITH gone AS (DELETE FROM calls_open WHERE site = %s AND writer = ANY(%s) RETURNING call_id, entry) "
        "SELECT entry FROM gone ORDER BY call_id",
        (site, list(writers)),
    )
    return [lost(_decode_opened(entry)) for (entry,) in rows]


def _move_on(connection: Connection, batch: Batch, site: str) -> None:
    """Write how far segments have been read, and forget those that are gone."""
    if batch.progress:
        connection.execute(
            "INSERT INTO segments (site, name, read_to, is_finished) SELECT %s, name, read_to, is_finished "
            "FROM unnest(%s::text[], %s::bigint[], %s::boolean[]) AS new (name, read_to, is_finished) "
            "ON CONFLICT (site, name) DO UPDATE SET read_to = excluded.read_to, is_finished = excluded.is_finished",
            (
                site,
                list(batch.progress),
                [progress.offset for progress in batch.progress.values()],
                [progress.is_finished for progress in batch.progress.values()],
            ),
        )
    if batch.forgotten:
        connection.execute("DELETE FROM segments WHERE site = %s AND name = ANY(%s)", (site, list(batch.forgotten)))


def _add(
    connection: Connection,
    table: str,
    group: tuple[str, ...],
    sums: tuple[str, ...],
    counts: dict[tuple[object, ...], list[int]],
) -> None:
    """Add counts to a table of sums."""
    if not counts:
        return
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    connection.cursor().executemany(
        f"INSERT INTO {table} ({', '.join(group + sums)}) "  # noqa: S608 - names of ours
        f"VALUES ({', '.join(['%s'] * len(group + sums))}) ON CONFLICT ({', '.join(group)}) DO UPDATE SET {added}",
        [(*key, *values) for key, values in counts.items()],
    )


def _add_reports(connection: Connection, reports: Sequence[OutcomeReport]) -> None:
    if reports:
        connection.cursor().executemany(_ADD_REPORT, [_report_row(report) for report in reports])


def _report_row(report: OutcomeReport) -> tuple[str | int, ...]:
    fitting = msgspec.structs.replace(
        report,
        outcome_id=storable(report.outcome_id),
        name=indexable(report.name, 64),
        value=storable(report.value),
        call_id=indexable(report.call_id, 64),
        trace_id=indexable(report.trace_id, _TARGET_BYTES),
        caller_key=indexable(report.caller_key, _TARGET_BYTES),
        key_id=indexable(report.key_id),
        source=indexable(report.source, 64),
        team=indexable(report.team),
    )
    reporter = indexable(f"team {report.team}") if report.team else fitting.key_id
    return (*msgspec.structs.astuple(fitting), reporter)


def _note_objects(connection: Connection, notes: Sequence[ObjectNote]) -> None:
    if notes:
        connection.cursor().executemany(_NOTE_OBJECT, [_object_row(note) for note in notes])


def _object_row(note: ObjectNote) -> tuple[str | int | bool, ...]:
    fitting = msgspec.structs.replace(
        note,
        object_id=indexable(note.object_id, _TARGET_BYTES),
        provider=storable(note.provider),
        key_id=indexable(note.key_id),
        team=indexable(note.team),
        label=storable(note.label),
        models=storable(note.models),
    )
    return msgspec.structs.astuple(fitting)
