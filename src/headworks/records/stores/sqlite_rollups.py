"""What is counted of calls as they come in, by the hour, so that sums are quick however many calls there are."""

import sqlite3

from headworks.calls import Settled
from headworks.records.stores.lengths import (
    OutputCount,
    OutputLengths,
    Span,
    Wasted,
    bucket_of,
    has_length,
    length_of,
    wasted_by,
)

HOUR_US = 3_600_000_000
_HOUR_S = 3600

_GROUP = (
    "hour",
    "key_id",
    "team",
    "endpoint",
    "provider",
    "model",
    "outcome",
    "status_class",
    "workload",
    "prompt_version",
)
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

_Counts = dict[tuple[object, ...], list[int]]


class Rollups:
    """What the calls of one batch add to the tables of sums; written once, at the end of the batch."""

    def __init__(self) -> None:
        self._sums: _Counts = {}
        self._lengths: _Counts = {}
        self._wasted: _Counts = {}

    def count(self, call: Settled, row: tuple[str | int, ...]) -> None:
        """Add a call. `row` are the values of its record, within bounds."""
        opened = call.opened
        hour, status, output = int(row[1]) // HOUR_US, int(row[3]), int(row[20])
        group = (
            hour,
            opened.key_id,
            opened.team,
            opened.endpoint,
            opened.provider,
            opened.model,
            call.outcome,
            status // 100,
            call.workload,
            call.prompt_version,
        )
        sums = self._sums.get(group)
        if sums is None:
            sums = self._sums[group] = [0] * len(_SUMS)
        values = (1, *row[17:22], row[15], row[16], 1 if call.first_token_us else 0, row[23], row[27], row[28])
        for place, value in enumerate(values):
            sums[place] += value  # type: ignore[operator]
        source = (hour, call.workload, call.prompt_version, opened.model)
        if has_length(call):
            length = min(length_of(call), output)
            _add(self._lengths, (*source, bucket_of(length)), length)
        for reason, tokens in wasted_by(call):
            _add(self._wasted, (*source, reason), min(tokens, output))

    def add_to(self, connection: sqlite3.Connection) -> None:
        """Write the sums, within the transaction that is under way."""
        for statement, counts in (
            (_ADD_ROLLUP, self._sums),
            (_ADD_LENGTHS, self._lengths),
            (_ADD_WASTED, self._wasted),
        ):
            connection.executemany(statement, [(*group, *sums) for group, sums in counts.items()])


class LengthQueries:
    """Questions on the length of output, to one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def lengths(self, span: Span) -> list[OutputLengths]:
        rows = self._connection.execute(
            f"SELECT workload, prompt_version, model, bucket, min(hour) * {_HOUR_S}, sum(calls), sum(tokens) "  # noqa: S608
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


def whole_hours(since_us: int | None, until_us: int | None) -> tuple[int | None, int | None]:
    """The first hour, and the one after the last, counted from the Unix epoch."""
    return (
        None if since_us is None else since_us // HOUR_US,
        None if until_us is None else -(-until_us // HOUR_US),
    )


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


def _add(counts: _Counts, group: tuple[object, ...], tokens: int) -> None:
    sums = counts.get(group)
    if sums is None:
        sums = counts[group] = [0, 0]
    sums[0] += 1
    sums[1] += tokens
