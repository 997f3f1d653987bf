"""Looking records up in SQLite. SQL is joined from the constants in this file; what callers say is only ever bound."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from headworks.calls import WITHHELD, Caller
from headworks.records.stores import Bodies, Dimension, Record, ResponseOrigin, Selection, Total
from headworks.records.stores.sqlite_rollups import COST_HALVES, cost_of_halves

_HOUR_S = 3600
_COLUMNS = ", ".join(Record.__struct_fields__)
_SELECT = f"SELECT {_COLUMNS} FROM calls"  # noqa: S608 - names of ours

_SUMS = (
    "sum(calls), sum(iif(outcome IN ('answered', 'cancelled'), 0, calls)), sum(input_tokens), sum(cached_tokens), "
    "sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens), sum(total_us), sum(first_token_us), "
    "sum(first_tokens), sum(attempts), sum(request_bytes), sum(response_bytes), "
    f"{COST_HALVES}, sum(calls - known_costs), sum(estimated_costs)"
)
_DIMENSIONS: dict[Dimension, str] = {
    "hour": f"hour * {_HOUR_S}",
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
    "since_us": "opened_us >= ?",
    "until_us": "opened_us < ?",
    # The second half of each says to SQLite that a partial index holds every row in question.
    "key_id": "key_id = ? AND key_id <> ''",
    "team": "team = ? AND team <> ''",
    "user": "user = ? AND user <> ''",
    "response_id": "response_id = ? AND response_id <> ''",
    "workload": "workload = ? AND workload <> ''",
    "prompt_version": "prompt_version = ?",
    "owner": "owner = ?",
    "endpoint": "endpoint = ?",
    "provider": "provider = ?",
    "error_code": "error_code = ?",
    "min_tokens": "input_tokens + output_tokens >= ?",
    "after_seq": "seq > ?",
}
"""Conditions of one value, by the field of `Selection` that has it."""


class Queries:
    """Questions to one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def select(self, selection: Selection) -> list[Record]:
        conditions, values = _conditions(selection)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        if selection.after_seq is not None:
            order = "seq"
        else:
            order = "opened_us DESC, seq DESC" if selection.is_newest_first else "opened_us, seq"
        rows = self._connection.execute(f"{_SELECT}{where} ORDER BY {order} LIMIT ?", (*values, selection.limit))
        return [_record(row) for row in rows]

    def get(self, call_id: str) -> Record | None:
        row = self._connection.execute(f"{_SELECT} WHERE call_id = ?", (call_id,)).fetchone()
        return None if row is None else _record(row)

    def call_ids(self, prefix: str, limit: int) -> list[str]:
        # Not LIKE, in which `_` stands for any character; this uses the index. U+10FFFF is the last character.
        rows = self._connection.execute(
            "SELECT call_id FROM calls WHERE call_id >= ? AND call_id < ? ORDER BY call_id LIMIT ?",
            (prefix, prefix + "\U0010ffff", limit),
        )
        return [call_id for (call_id,) in rows]

    def last_seq(self) -> int:
        row = self._connection.execute("SELECT coalesce(max(seq), 0) FROM calls").fetchone()
        return int(row[0])

    def bodies(self, seq: int) -> Bodies | None:
        row = self._connection.execute("SELECT request, response FROM bodies WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else Bodies(*row)

    def response_origin(self, response_id: str, caller: Caller | None) -> ResponseOrigin | None:
        # The first call with this id made the response; later ones only asked for it.
        statement = "SELECT key_id, team, provider FROM calls WHERE response_id = ? AND response_id <> ''"
        # What was withheld is nobody's: its id may have gone out at the beginning of a stream.
        statement += f" AND verdict NOT IN ({', '.join('?' * len(WITHHELD))})"
        values: tuple[str, ...] = (response_id, *WITHHELD)
        if caller is not None:
            statement += " AND (key_id = ? OR (team = ? AND team <> ''))"
            values += (caller.key_id, caller.team)
        row = self._connection.execute(f"{statement} ORDER BY seq LIMIT 1", values).fetchone()
        return None if row is None else ResponseOrigin(*row)

    def totals(self, dimensions: Sequence[Dimension], first_hour: int | None, end_hour: int | None) -> list[Total]:
        group = ", ".join(_DIMENSIONS[dimension] for dimension in dimensions)
        rows = self._connection.execute(
            f"SELECT {group + ', ' if group else ''}{_SUMS} FROM rollups "  # noqa: S608 - constants of ours
            "WHERE hour >= coalesce(?, hour) AND hour < coalesce(?, hour + 1)"
            + (f" GROUP BY {group} ORDER BY sum(calls) DESC, {group}" if group else ""),
            (first_hour, end_hour),
        )
        width = len(dimensions)
        # Without groups there is always one row, of NULLs when nothing was counted.
        return [_total(row, width) for row in rows if row[width] is not None]


def _conditions(selection: Selection) -> tuple[list[str], list[str | int]]:
    conditions: list[str] = []
    values: list[str | int] = []
    for field, condition in _CONDITIONS.items():
        value = getattr(selection, field)
        if value is not None and value != "":
            conditions.append(condition)
            values.append(value)
    if selection.model:
        conditions.append("(requested_model GLOB ? OR model GLOB ? OR served_model GLOB ?)")
        values += [_glob(selection.model)] * 3
    if selection.statuses is not None:
        conditions.append("status BETWEEN ? AND ?")
        values += selection.statuses
    if selection.teams is not None:
        conditions.append(f"team IN ({', '.join('?' * len(selection.teams))}) AND team <> ''")
        values += selection.teams
    if selection.before is not None:
        conditions.append("(opened_us, seq) < (?, ?)")
        values += selection.before
    if selection.outcomes:
        conditions.append(f"outcome IN ({', '.join('?' * len(selection.outcomes))})")
        values += selection.outcomes
        if "answered" not in selection.outcomes:
            conditions.append("outcome <> 'answered'")
    if selection.verdicts:
        conditions.append(f"verdict IN ({', '.join('?' * len(selection.verdicts))})")
        values += selection.verdicts
        if "valid" not in selection.verdicts:
            conditions.append("verdict <> '' AND verdict <> 'valid'")
    return conditions, values


def _glob(text: str) -> str:
    """A pattern for GLOB in which only `*` means more than itself."""
    return text.replace("[", "[[]").replace("?", "[?]")


def _total(row: tuple[Any, ...], width: int) -> Total:
    upper, lower, unknown, estimated = row[-4:]
    sums = (*row[width:-4], cost_of_halves(upper, lower), unknown, estimated)
    return Total(tuple(row[:width]), *sums)


def _record(row: tuple[object, ...]) -> Record:
    values = list(row)
    values[15] = bool(values[15])  # is_streamed: SQLite has no booleans
    return Record(*values)  # type: ignore[arg-type]
