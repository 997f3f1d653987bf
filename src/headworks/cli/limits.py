"""Show recorded use against the limits, and forecast when they will be hit at the present growth.

For each model in each pool, and each key and team: its limits, how near the busiest time of the last weeks came to
them, and when they will be met, with the interval in which that lies with 80 % and the limit to ask the provider for.
Busy models without a limit are named, too.

What is recorded is summed up by the hour: the peak of a minute's limit is the MEAN of the busiest hour, so that bursts
within it were higher. The peak of a day's limit is the largest sum of 24 hours. A forecast needs four whole days, and
is good from two weeks on.

Exit code 0; with --within DAYS 1 if a limit was met, or will be by then, so that a timer can warn in time.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.lines import json_line, note
from headworks.cli.moments import day, iso
from headworks.cli.state import desk_of
from headworks.cli.tables import GREY, RED, YELLOW, Cell, Table, has_colours, terminal_width, tokens

if TYPE_CHECKING:
    from headworks.admin.limits import Row

_DAYS = 28
_MOST_DAYS = 400
_BUSY_RPM = 1.0
"""From so many requests a minute in its busiest hour on, a model without a limit is worth a line."""

_SOON_DAYS = 30.0
"""A limit that is hit within so many days is shown in colour."""

_HEAD = ("LIMIT OF", "KIND", "LIMIT", "PEAK", "AT", "HEADROOM", "REACHED AT THE PRESENT GROWTH")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks limits`."""
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
    parser.add_argument("--all", action="store_true", help="also limits that nobody came near, and all models")
    parser.add_argument(
        "--days", type=_days, default=_DAYS, metavar="N", help="days of recorded calls to look at; default: %(default)s"
    )
    parser.add_argument(
        "--within", type=_days, metavar="DAYS", help="exit with 1 if a limit was met, or will be in so many days"
    )


def run(options: argparse.Namespace) -> int:
    """Show it; returns the exit code."""
    from headworks.admin.limits import limit_rows
    from headworks.config import load, store_url
    from headworks.errors import StorageError
    from headworks.records import may_have_records

    project = load(options.config)
    url = store_url(project)
    if not may_have_records(project.storage, url):
        note(f"nothing is recorded yet: there is no {project.storage}", "limits")
        return 0
    try:
        found = limit_rows(desk_of(project, "limits"), days=options.days)
    except StorageError:
        note("what was used is in the store, which cannot be read; `headworks doctor` says how to mend it", "limits")
        raise
    shown = found if options.all else [row for row in found if _is_worth_a_line(row)]
    _print(shown, is_json=options.json)
    is_near = options.within is not None and any(row.headroom.is_hit_within(options.within) for row in found)
    return 1 if is_near else 0


def _is_worth_a_line(row: "Row") -> bool:
    headroom = row.headroom
    if headroom.limit is None:
        return headroom.kind == "rpm" and headroom.peak >= _BUSY_RPM
    return headroom.peak > 0


def _print(found: "list[Row]", *, is_json: bool) -> None:
    if is_json:
        for row in found:
            print(json_line(_as_json(row)))
        return
    if not found:
        note("no call of that time is under a limit, and no model was busy; --all shows every limit", "limits")
        return
    table = Table(
        _HEAD,
        right=frozenset({2, 3, 5}),
        coloured=has_colours(),
        flexible=frozenset({0}),
        width=terminal_width(),
    )
    print("\n".join(table.lines([_row(row) for row in found])), flush=True)
    note(
        "the peak of what is limited by the minute is the mean of the busiest hour: bursts within it were higher",
        "limits",
    )


def _row(row: "Row") -> list[Cell]:
    headroom = row.headroom
    colour = RED if headroom.is_hit_within(0) else YELLOW if headroom.is_hit_within(_SOON_DAYS) else 0
    return [
        Cell(row.of),
        Cell(headroom.kind),
        Cell("-" if headroom.limit is None else tokens(headroom.limit)),
        Cell(_amount(headroom.peak)),
        Cell(day(headroom.peak_hour_s) if headroom.peak else "-", GREY),
        Cell("-" if headroom.left is None else _amount(headroom.left)),
        Cell(str(headroom), GREY if headroom.limit is None else colour),
    ]


def _as_json(row: "Row") -> dict[str, object]:
    import msgspec

    headroom = row.headroom
    return {
        "of": row.of,
        "kind": headroom.kind,
        "limit": headroom.limit,
        "peak": round(headroom.peak, 3),
        "peak_is": "mean of an hour" if headroom.kind.endswith("m") else "sum of 24 hours",
        "peak_at": iso(headroom.peak_hour_s) if headroom.peak else None,
        "headroom": None if headroom.left is None else round(headroom.left, 3),
        "hours_seen": headroom.hours,
        "forecast": None if headroom.forecast is None else msgspec.structs.asdict(headroom.forecast),
        "says": str(headroom),
    }


def _amount(value: float) -> str:
    """A rate, with its fraction where it is small."""
    if value >= 10 or value == round(value):
        return tokens(round(value))
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _days(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"takes a number of days from 1 to {_MOST_DAYS}")
    return int(text)
