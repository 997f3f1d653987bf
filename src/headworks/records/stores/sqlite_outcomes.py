"""Outcomes in SQLite: taking reports in, and joining them with the calls that they are about.

They are joined when somebody asks, so it does not matter whether a report or its call was recorded first. SQL is
joined from the constants in this file; what callers say is only ever bound.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from headworks.calls import OutcomeReport
from headworks.records.stores import Figures, OutcomeDimension, OutcomeSelection, Reported, Span, Tally
from headworks.records.stores.sqlite_rollups import COST_HALVES, cost_of_halves, in_span

_FIELDS = OutcomeReport.__struct_fields__
_COLUMNS = ", ".join(f"o.{name}" for name in _FIELDS)

# The latest holds, in whatever order they are drained: ties of the clock are broken by the id. `reporter` keeps those
# apart who must not speak for one another.
_INSERT = (
    f"INSERT INTO outcomes ({', '.join(_FIELDS)}, reporter) VALUES ({', '.join('?' * (len(_FIELDS) + 1))}) "  # noqa: S608
    "ON CONFLICT (call_id, trace_id, caller_key, name, source, reporter) DO UPDATE SET outcome_id = "
    "excluded.outcome_id, reported_us = excluded.reported_us, kind = excluded.kind, value = excluded.value, "
    "key_id = excluded.key_id WHERE (excluded.reported_us, excluded.outcome_id) > (reported_us, outcome_id)"
)

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


def insert_reports(connection: sqlite3.Connection, reports: Iterable[OutcomeReport]) -> None:
    """Take reports in, within the transaction that is under way. One that is known, or older, changes nothing."""
    connection.executemany(
        _INSERT,
        [
            (*(getattr(report, name) for name in _FIELDS), f"team {report.team}" if report.team else report.key_id)
            for report in reports
        ],
    )


class OutcomeQueries:
    """Questions on outcomes, to one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def select(self, selection: OutcomeSelection) -> list[Reported]:
        conditions: list[str] = ["1"]
        values: list[str | int] = []
        for condition, value in (
            ("o.reported_us >= ?", selection.since_us),
            ("o.reported_us < ?", selection.until_us),
            ("o.name = ?", selection.name),
            ("o.source = ?", selection.source),
            (f"o.reported_us < ? AND {_COUNT_CALLS} = 0", selection.unmatched_before_us),
        ):
            if value is not None and value != "":
                conditions.append(condition)
                values.append(value)
        rows = self._connection.execute(
            f"SELECT {_COLUMNS}, {_COUNT_CALLS} FROM outcomes o WHERE {' AND '.join(conditions)} "  # noqa: S608
            "ORDER BY o.reported_us DESC, o.outcome_id DESC LIMIT ?",
            (*values, selection.limit),
        )
        return [Reported(OutcomeReport(*row[:-1]), row[-1]) for row in rows]

    def of_call(self, seq: int) -> list[OutcomeReport]:
        ways = " UNION ALL ".join(
            # Named by its call, each way reads one range of the unique index over (call_id, trace_id, caller_key).
            f"SELECT {_COLUMNS} FROM calls c JOIN outcomes o ON {_unused_before(name)}{about} WHERE c.seq = :seq"  # noqa: S608
            for name, about in _ABOUT.items()
        )
        rows = self._connection.execute(f"{ways} ORDER BY reported_us, outcome_id", {"seq": seq})
        latest: dict[tuple[str, str], OutcomeReport] = {}
        for row in rows:
            report = OutcomeReport(*row)
            latest[report.name, report.source] = report
        return sorted(latest.values(), key=lambda report: (report.name, report.source))

    def tallies(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Tally]:
        group = [_DIMENSIONS[dimension] for dimension in dimensions]
        within, values = in_span(span, "c")
        by_call = "".join(f"c.{name}, " for name in group)
        by_group = "".join(f"{name}, " for name in group)
        joined = " UNION ALL ".join(
            f"SELECT {by_call}c.seq AS seq, o.name AS name, o.source AS source, o.kind AS kind, "  # noqa: S608
            "iif(o.kind = 'label', o.value, '') AS label, "
            "CASE o.kind WHEN 'boolean' THEN o.value = 'true' WHEN 'number' THEN CAST(o.value AS REAL) END AS figure, "
            f"o.reported_us AS reported_us, o.outcome_id AS outcome_id FROM outcomes o JOIN calls c ON {about} "
            f"WHERE {within}"
            for about in _ABOUT.values()
        )
        rows = self._connection.execute(
            f"WITH joined AS ({joined}), "  # noqa: S608 - constants of ours
            "ranked AS (SELECT *, row_number() OVER (PARTITION BY seq, name, source "
            "ORDER BY reported_us DESC, outcome_id DESC) AS place FROM joined), "
            f"held AS (SELECT *, avg(figure) OVER (PARTITION BY {by_group}name, source, kind) AS mean "
            "FROM ranked WHERE place = 1) "
            f"SELECT {by_group}name, source, kind, label, count(*), total(figure), "
            "total((figure - mean) * (figure - mean)) FROM held "
            f"GROUP BY {by_group}name, source, kind, label ORDER BY {by_group}name, source, kind, label",
            values * len(_ABOUT),
        )
        width = len(group)
        return [Tally(tuple(row[:width]), *row[width:]) for row in rows]

    def figures(self, dimensions: Sequence[OutcomeDimension], span: Span) -> list[Figures]:
        by_group = "".join(f"{_DIMENSIONS[dimension]}, " for dimension in dimensions)
        within, values = in_span(span, "calls")
        rows = self._connection.execute(
            f"WITH chosen AS (SELECT {by_group}total_us, input_tokens, output_tokens, cost_pico, "  # noqa: S608
            "outcome = 'answered' AS is_answered, "
            f"row_number() OVER (PARTITION BY {by_group}outcome = 'answered' ORDER BY total_us) AS place, "
            f"count(*) OVER (PARTITION BY {by_group}outcome = 'answered') AS size FROM calls WHERE {within}) "
            f"SELECT {by_group}count(*), sum(is_answered), "
            "coalesce(CAST(avg(iif(is_answered AND place IN ((size + 1) / 2, (size + 2) / 2), total_us, NULL)) "
            "AS INTEGER), 0), sum(iif(is_answered, input_tokens, 0)), sum(iif(is_answered, output_tokens, 0)), "
            f"{COST_HALVES}, sum(cost_pico IS NULL) "
            "FROM chosen" + (f" GROUP BY {by_group[:-2]} ORDER BY {by_group[:-2]}" if by_group else ""),
            values,
        )
        width = len(dimensions)
        # Without groups there is always one row, of NULLs when there is no call.
        return [_figures(row, width) for row in rows if row[width]]


def _figures(row: tuple[Any, ...], width: int) -> Figures:
    upper, lower, unknown = row[-3:]
    sums = (*row[width:-3], cost_of_halves(upper, lower), unknown)
    return Figures(tuple(row[:width]), *sums)


def _unused_before(name: str) -> str:
    """Says to SQLite that the columns before this one in the unique index are empty."""
    names = tuple(_ABOUT)
    return "".join(f"o.{other} = '' AND " for other in names[: names.index(name)])
