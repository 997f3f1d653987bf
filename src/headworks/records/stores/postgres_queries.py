"""Looking records up in PostgreSQL. SQL is joined from the constants in this file; what callers say is only ever
bound.
"""

from collections.abc import Sequence
from typing import Any

from headworks.calls import WITHHELD, Caller
from headworks.postgres import Connection
from headworks.records.stores import Bodies, ContentKind, Dimension, Progress, Record, ResponseOrigin, Selection, Total
from headworks.records.stores.postgres_intake import CUT, indexable, storable
from headworks.records.stores.rollups import HOUR_S

_COLUMNS = ", ".join(f'"{name}"' for name in Record.__struct_fields__)
_SELECT = f"SELECT {_COLUMNS} FROM calls"  # noqa: S608 - names of ours

# Cast, for a sum of bigints is a numeric, which Python reads as a Decimal.
_SUMS = ", ".join(
    f"sum({counted})::bigint"
    for counted in (
        "calls",
        "CASE WHEN outcome IN ('answered', 'cancelled') THEN 0 ELSE calls END",
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
)
# No bigint holds more pico-dollars than $9.2 million.
_COSTS = "sum(cost_pico)::numeric, sum(calls - known_costs)::bigint, sum(estimated_costs)::bigint"
_DIMENSIONS: dict[Dimension, str] = {
    "hour": f"hour * {HOUR_S}",
    "key_id": "key_id",
    "team": "team",
    "endpoint": "endpoint",
    "provider": "provider",
    "model": "model",
    "outcome": "outcome",
    "workload": "workload",
    "prompt_version": "prompt_version",
}

_CONDITIONS = {
    "since_us": "opened_us >= %s",
    "until_us": "opened_us < %s",
    # The second half of each says to PostgreSQL that a partial index holds every row in question.
    "key_id": "key_id = %s AND key_id <> ''",
    "team": "team = %s AND team <> ''",
    "user": '"user" = %s AND "user" <> \'\'',
    "response_id": "response_id = %s AND response_id <> ''",
    "workload": "workload = %s AND workload <> ''",
    "prompt_version": "prompt_version = %s",
    "owner": "owner = %s",
    "endpoint": "endpoint = %s",
    "provider": "provider = %s",
    "error_code": "error_code = %s",
    "min_tokens": "input_tokens + output_tokens >= %s",
    "after_seq": "seq > %s",
}
"""Conditions of one value, by the field of `Selection` that has it."""

PURGE_PIECES = 200
"""Most pieces that are removed in one transaction: who records waits for less than it would notice."""


def select(connection: Connection, selection: Selection) -> list[Record]:
    conditions, values = _conditions(selection)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    if selection.after_seq is not None:
        order = "seq"
    else:
        order = "opened_us DESC, seq DESC" if selection.is_newest_first else "opened_us, seq"
    rows = connection.execute(f"{_SELECT}{where} ORDER BY {order} LIMIT %s", (*values, selection.limit))
    return [Record(*row) for row in rows]


def get(connection: Connection, call_id: str) -> Record | None:
    row = connection.execute(
        # The time is looked up first: with it, one partition is read and not every month's.
        f"{_SELECT} WHERE call_id = %(id)s "  # noqa: S608 - names of ours
        "AND opened_us = (SELECT opened_us FROM call_ids WHERE call_id = %(id)s)",
        {"id": storable(call_id)},
    ).fetchone()
    return None if row is None else Record(*row)


def call_ids(connection: Connection, prefix: str, limit: int) -> list[str]:
    # Not LIKE, in which `_` stands for any character; this uses the index. U+10FFFF is the last character.
    prefix = storable(prefix)
    rows = connection.execute(
        "SELECT call_id FROM call_ids WHERE call_id >= %s AND call_id < %s ORDER BY call_id LIMIT %s",
        (prefix, prefix + "\U0010ffff", limit),
    )
    return [call_id for (call_id,) in rows]


def last_seq(connection: Connection) -> int:
    row = connection.execute("SELECT coalesce(max(seq), 0) FROM call_ids").fetchone()
    assert row is not None
    return int(row[0])


def progress(connection: Connection, site: str) -> dict[str, Progress]:
    rows = connection.execute("SELECT name, read_to, is_finished FROM segments WHERE site = %s", (site,))
    return {name: Progress(read_to, is_finished) for name, read_to, is_finished in rows}


def open_writers(connection: Connection, site: str) -> set[str]:
    rows = connection.execute("SELECT DISTINCT writer FROM calls_open WHERE site = %s", (site,))
    return {writer for (writer,) in rows}


def bodies(connection: Connection, seq: int) -> Bodies | None:
    row = connection.execute("SELECT request, response FROM bodies WHERE seq = %s", (seq,)).fetchone()
    return None if row is None else Bodies(*row)


def content(connection: Connection, seq: int, now_us: int) -> dict[ContentKind, bytes]:
    """What has expired is not there, whether it has been removed yet or not."""
    rows = connection.execute("SELECT kind, sealed FROM content WHERE seq = %s AND expires_us > %s", (seq, now_us))
    return dict(rows.fetchall())


def expire(connection: Connection, now_us: int) -> int:
    """Remove some of what has expired; how many pieces. Fewer than `PURGE_PIECES`: no more is left to this process."""
    return connection.execute(
        "DELETE FROM content WHERE (seq, kind) IN (SELECT seq, kind FROM content WHERE expires_us <= %s "
        # Another machine may be removing the same.
        "ORDER BY expires_us LIMIT %s FOR UPDATE SKIP LOCKED)",
        (now_us, PURGE_PIECES),
    ).rowcount


def response_origin(connection: Connection, response_id: str, caller: Caller | None) -> ResponseOrigin | None:
    # The first call with this id made the response; later ones only asked for it.
    statement = "SELECT key_id, team, provider FROM calls WHERE response_id = %s AND response_id <> ''"
    # What was withheld is nobody's: its id may have gone out at the beginning of a stream.
    statement += " AND verdict <> ALL(%s)"
    values: tuple[object, ...] = (storable(response_id), sorted(WITHHELD))
    if caller is not None:
        statement += " AND (key_id = %s OR (team = %s AND team <> ''))"
        values += (indexable(caller.key_id), indexable(caller.team))
    row = connection.execute(f"{statement} ORDER BY seq LIMIT 1", values).fetchone()
    return None if row is None else ResponseOrigin(*row)


def totals(
    connection: Connection, dimensions: Sequence[Dimension], first_hour: int | None, end_hour: int | None
) -> list[Total]:
    group = ", ".join(_DIMENSIONS[dimension] for dimension in dimensions)
    rows = connection.execute(
        f"SELECT {group + ', ' if group else ''}{_SUMS}, {_COSTS} FROM rollups "  # noqa: S608 - constants of ours
        "WHERE hour >= coalesce(%s, hour) AND hour < coalesce(%s, hour + 1)"
        + (f" GROUP BY {group} ORDER BY sum(calls) DESC, {group}" if group else ""),
        (first_hour, end_hour),
    )
    width = len(dimensions)
    # Without groups there is always one row, of NULLs when nothing was counted.
    return [_total(row, width) for row in rows if row[width] is not None]


def _total(row: tuple[Any, ...], width: int) -> Total:
    cost, unknown, estimated = row[-3:]
    sums = (*row[width:-3], int(cost), unknown, estimated)
    return Total(tuple(row[:width]), *sums)


def _conditions(selection: Selection) -> tuple[list[str], list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    for field, condition in _CONDITIONS.items():
        value = getattr(selection, field)
        if value is not None and value != "":
            conditions.append(condition)
            if isinstance(value, str):
                value = indexable(value) if field in CUT else storable(value)
            values.append(value)
    if selection.model:
        conditions.append("(requested_model LIKE %s OR model LIKE %s OR served_model LIKE %s)")
        values += [_like(selection.model)] * 3
    if selection.statuses is not None:
        conditions.append("status BETWEEN %s AND %s")
        values += selection.statuses
    if selection.teams is not None:
        conditions.append("team = ANY(%s) AND team <> ''")
        values.append([indexable(team) for team in selection.teams])
    if selection.before is not None:
        # The first half says which partitions need not be read.
        conditions.append("opened_us <= %s AND (opened_us, seq) < (%s, %s)")
        values += (selection.before[0], *selection.before)
    if selection.outcomes:
        conditions.append("outcome = ANY(%s)")
        values.append(list(selection.outcomes))
        if "answered" not in selection.outcomes:
            conditions.append("outcome <> 'answered'")
    if selection.verdicts:
        conditions.append("verdict = ANY(%s)")
        values.append(list(selection.verdicts))
        if "valid" not in selection.verdicts:
            conditions.append("verdict <> '' AND verdict <> 'valid'")
    return conditions, values


def _like(text: str) -> str:
    """A pattern for LIKE in which `*`, and nothing else, means more than itself."""
    return storable(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
