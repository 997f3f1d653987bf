"""Outcomes in PostgreSQL, joined with the calls that they are about; and how long output was.

They are joined when somebody asks, so it does not matter whether a report or its call was recorded first. SQL is
joined from the constants in this file; what callers say is only ever bound.
"""

from collections.abc import Sequence
from typing import Any

from headworks.calls import OutcomeReport
from headworks.postgres import Connection
from headworks.records.stores import (
    Figures,
    OutcomeDimension,
    OutcomeSelection,
    OutputCount,
    OutputLengths,
    Reported,
    Span,
    Tally,
    Wasted,
)
from headworks.records.stores.postgres_intake import indexable, storable
from headworks.records.stores.rollups import HOUR_S, whole_hours

_COLUMNS = ", ".join(f"o.{name}" for name in OutcomeReport.__struct_fields__)
_MAY_SPEAK = (
    "(o.key_id = '' AND o.team = '' OR c.key_id = o.key_id AND o.key_id <> '' OR c.team = o.team AND o.team <> '')"
)
_ABOUT = {
    name: f"o.{name} <> '' AND c.{name} = o.{name} AND c.{name} <> '' AND {_MAY_SPEAK}"
    for name in ("call_id", "trace_id", "caller_key")
}
"""The three ways in which a report `o` is about a call `c`; one holds for each report."""

_COUNT_CALLS = "CASE {} ELSE 0 END".format(
    " ".join(
        f"WHEN o.{name} <> '' THEN (SELECT count(*) FROM calls c WHERE {about})"  # noqa: S608 - constants of ours
        for name, about in _ABOUT.items()
    )
)
_DIMENSIONS: dict[OutcomeDimension, str] = {
    "workload": "workload",
    "prompt_version": "prompt_version",
    "model": "model",
}
_IN_HOURS = "hour >= coalesce(%s, hour) AND hour < coalesce(%s, hour + 1) AND workload = coalesce(%s, workload)"


def select(connection: Connection, selection: OutcomeSelection) -> list[Reported]:
    conditions: list[str] = ["true"]
    values: list[object] = []
    for condition, value in (
        ("o.reported_us >= %s", selection.since_us),
        ("o.reported_us < %s", selection.until_us),
        ("o.name = %s", storable(selection.name)),
        ("o.source = %s", storable(selection.source)),
        (f"o.reported_us < %s AND {_COUNT_CALLS} = 0", selection.unmatched_before_us),
    ):
        if value is not None and value != "":
            conditions.append(condition)
            values.append(value)
    rows = connection.execute(
        f"SELECT {_COLUMNS}, {_COUNT_CALLS} FROM outcomes o WHERE {' AND '.join(conditions)} "  # noqa: S608
        "ORDER BY o.reported_us DESC, o.outcome_id DESC LIMIT %s",
        (*values, selection.limit),
    )
    return [Reported(OutcomeReport(*row[:-1]), row[-1]) for row in rows]


def of_call(connection: Connection, seq: int) -> list[OutcomeReport]:
    ways = " UNION ALL ".join(
        f"SELECT {_COLUMNS} FROM calls c JOIN outcomes o ON {about} WHERE c.seq = %(seq)s"  # noqa: S608
        for about in _ABOUT.values()
    )
    rows = connection.execute(f"{ways} ORDER BY reported_us, outcome_id", {"seq": seq})
    latest: dict[tuple[str, str], OutcomeReport] = {}
    for row in rows:
        report = OutcomeReport(*row)
        latest[report.name, report.source] = report
    return sorted(latest.values(), key=lambda report: (report.name, report.source))


def tallies(connection: Connection, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Tally]:
    group = [_DIMENSIONS[dimension] for dimension in dimensions]
    within, values = _in_span(span, "c")
    by_call = "".join(f"c.{name}, " for name in group)
    by_group = "".join(f"{name}, " for name in group)
    joined = " UNION ALL ".join(
        f"SELECT {by_call}c.seq AS seq, o.name AS name, o.source AS source, o.kind AS kind, "  # noqa: S608
        "CASE WHEN o.kind = 'label' THEN o.value ELSE '' END AS label, "
        "CASE o.kind WHEN 'boolean' THEN CASE WHEN o.value = 'true' THEN 1::float8 ELSE 0 END "
        "WHEN 'number' THEN o.value::float8 END AS figure, "
        f"o.reported_us AS reported_us, o.outcome_id AS outcome_id FROM outcomes o JOIN calls c ON {about} "
        f"WHERE {within}"
        for about in _ABOUT.values()
    )
    rows = connection.execute(
        f"WITH joined AS ({joined}), "  # noqa: S608 - constants of ours
        "ranked AS (SELECT *, row_number() OVER (PARTITION BY seq, name, source "
        "ORDER BY reported_us DESC, outcome_id DESC) AS place FROM joined), "
        f"held AS (SELECT *, avg(figure) OVER (PARTITION BY {by_group}name, source, kind) AS mean "
        "FROM ranked WHERE place = 1) "
        f"SELECT {by_group}name, source, kind, label, count(*), coalesce(sum(figure), 0), "
        "coalesce(sum((figure - mean) * (figure - mean)), 0) FROM held "
        f"GROUP BY {by_group}name, source, kind, label ORDER BY {by_group}name, source, kind, label",
        values * len(_ABOUT),
    )
    width = len(group)
    return [Tally(tuple(row[:width]), *row[width:]) for row in rows]


def figures(connection: Connection, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Figures]:
    by_group = ", ".join(_DIMENSIONS[dimension] for dimension in dimensions)
    within, values = _in_span(span, "calls")
    rows = connection.execute(
        f"SELECT {by_group + ', ' if by_group else ''}count(*), "  # noqa: S608 - constants of ours
        "count(*) FILTER (WHERE outcome = 'answered'), "
        "coalesce(trunc(percentile_cont(0.5) WITHIN GROUP (ORDER BY total_us) FILTER (WHERE outcome = 'answered')), "
        "0)::bigint, "
        "coalesce(sum(input_tokens) FILTER (WHERE outcome = 'answered'), 0)::bigint, "
        "coalesce(sum(output_tokens) FILTER (WHERE outcome = 'answered'), 0)::bigint, "
        "coalesce(sum(cost_pico), 0)::numeric, count(*) FILTER (WHERE cost_pico IS NULL) "
        f"FROM calls WHERE {within}" + (f" GROUP BY {by_group} ORDER BY {by_group}" if by_group else ""),
        values,
    )
    width = len(dimensions)
    # Without groups there is always one row, also when there is no call.
    return [_figures(row, width) for row in rows if row[width]]


def _figures(row: tuple[Any, ...], width: int) -> Figures:
    cost, unknown = row[-2:]
    sums = (*row[width:-2], int(cost), unknown)
    return Figures(tuple(row[:width]), *sums)


def output_lengths(connection: Connection, span: Span) -> list[OutputLengths]:
    rows = connection.execute(
        f"SELECT workload, prompt_version, model, bucket, min(hour) * {HOUR_S}, sum(calls)::bigint, "  # noqa: S608
        f"sum(tokens)::bigint FROM output_lengths WHERE {_IN_HOURS} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        _hours(span),
    )
    return [OutputLengths(*row) for row in rows]


def wasted(connection: Connection, span: Span) -> list[Wasted]:
    rows = connection.execute(
        "SELECT workload, prompt_version, reason, sum(calls)::bigint, sum(tokens)::bigint "  # noqa: S608
        f"FROM wasted_output WHERE {_IN_HOURS} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        _hours(span),
    )
    return [Wasted(*row) for row in rows]


def output_counts(connection: Connection, span: Span) -> list[OutputCount]:
    within, values = _in_span(span, "calls")
    rows = connection.execute(
        "SELECT workload, greatest(0, output_tokens - greatest(0, wasted_tokens)), count(*) "  # noqa: S608
        "FROM calls WHERE outcome = 'answered' AND usage_source <> 'none' AND finish_reason <> 'degraded' "
        f"AND {within} GROUP BY 1, 2 ORDER BY 1, 2",
        values,
    )
    return [OutputCount(*row) for row in rows]


def _hours(span: Span) -> tuple[int | None, int | None, str | None]:
    workload = None if span.workload is None else indexable(span.workload)
    return (*whole_hours(span.since_us, span.until_us), workload)


def _in_span(span: Span, table: str) -> tuple[str, list[object]]:
    """The condition that a record is in a span, and its values."""
    conditions, values = ["true"], list[object]()
    if span.since_us is not None:
        conditions.append(f"{table}.opened_us >= %s")
        values.append(span.since_us)
    if span.until_us is not None:
        conditions.append(f"{table}.opened_us < %s")
        values.append(span.until_us)
    if span.workload is not None:
        # The second half says to PostgreSQL that the partial index holds every row in question.
        conditions.append(f"{table}.workload = %s" + (f" AND {table}.workload <> ''" if span.workload else ""))
        values.append(indexable(span.workload))
    return " AND ".join(conditions), values
