"""What is counted of calls, in SQLite."""

import sqlite3

from headworks.records.stores.lengths import OutputCount, OutputLengths, Span, Wasted
from headworks.records.stores.rollups import GROUP, HOUR_S, SUMS, Rollups, whole_hours

_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)
_ADD_ROLLUP = (
    f"INSERT INTO rollups ({', '.join(GROUP + SUMS)}) "  # noqa: S608 - names of ours
    f"VALUES ({', '.join('?' * len(GROUP + SUMS))}) "
    f"ON CONFLICT ({', '.join(GROUP)}) DO UPDATE SET {_ADDED}"
)
_ADD_LENGTHS = (
    "INSERT INTO output_lengths (hour, workload, prompt_version, model, bucket, calls, tokens) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hour, workload, prompt_version, model, bucket) "
    "DO UPDATE SET calls = calls + excluded.calls, tokens = tokens + excluded.tokens"
)
_ADD_WASTED = (
    "INSERT INTO wasted_output (hour, workload, prompt_version, model, reason, calls, tokens) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hour, workload, prompt_version, model, reason) "
    "DO UPDATE SET calls = calls + excluded.calls, tokens = tokens + excluded.tokens"
)

_HALF = 1_000_000
COST_HALVES = f"coalesce(sum(cost_pico / {_HALF}), 0), coalesce(sum(cost_pico % {_HALF}), 0)"
"""A sum of costs as SQLite can form it: in one, it would be too large a number at $9.2 million. NULLs count nothing."""


def cost_of_halves(upper: int, lower: int) -> int:
    """The sum that `COST_HALVES` gives."""
    return upper * _HALF + lower


def add_rollups(connection: sqlite3.Connection, rollups: Rollups) -> None:
    """Write what was counted, within the transaction that is under way."""
    for statement, counts in (
        (_ADD_ROLLUP, rollups.sums),
        (_ADD_LENGTHS, rollups.lengths),
        (_ADD_WASTED, rollups.wasted),
    ):
        connection.executemany(statement, [(*group, *sums) for group, sums in counts.items()])


class LengthQueries:
    """Questions on the length of output, to one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def lengths(self, span: Span) -> list[OutputLengths]:
        rows = self._connection.execute(
            f"SELECT workload, prompt_version, model, bucket, min(hour) * {HOUR_S}, sum(calls), sum(tokens) "  # noqa: S608
            f"FROM output_lengths WHERE {_IN_HOURS} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            _hours(span),
        )
        return [OutputLengths(*row) for row in rows]

    def wasted(self, span: Span) -> list[Wasted]:
        rows = self._connection.execute(
            "SELECT workload, prompt_version, reason, sum(calls), sum(tokens) "  # noqa: S608 - constants of ours
            f"FROM wasted_output WHERE {_IN_HOURS} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            _hours(span),
        )
        return [Wasted(*row) for row in rows]

    def counts(self, span: Span) -> list[OutputCount]:
        where, values = in_span(span, "calls")
        rows = self._connection.execute(
            "SELECT workload, max(0, output_tokens - max(0, wasted_tokens)), count(*) "  # noqa: S608 - constants of ours
            "FROM calls WHERE outcome = 'answered' AND usage_source <> 'none' AND finish_reason <> 'degraded' "
            f"AND {where} GROUP BY 1, 2 ORDER BY 1, 2",
            values,
        )
        return [OutputCount(*row) for row in rows]


_IN_HOURS = "hour >= coalesce(?, hour) AND hour < coalesce(?, hour + 1) AND workload = coalesce(?, workload)"


def _hours(span: Span) -> tuple[int | None, int | None, str | None]:
    return (*whole_hours(span.since_us, span.until_us), span.workload)


def in_span(span: Span, table: str) -> tuple[str, list[str | int]]:
    """The condition that a record is in a span, and its values."""
    conditions, values = ["1"], list[str | int]()
    if span.since_us is not None:
        conditions.append(f"{table}.opened_us >= ?")
        values.append(span.since_us)
    if span.until_us is not None:
        conditions.append(f"{table}.opened_us < ?")
        values.append(span.until_us)
    if span.workload is not None:
        # The second half says to SQLite that the partial index holds every row in question.
        conditions.append(f"{table}.workload = ?" + (f" AND {table}.workload <> ''" if span.workload else ""))
        values.append(span.workload)
    return " AND ".join(conditions), values
