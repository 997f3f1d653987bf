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
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from headworks.cli.lines import json_line, note
from headworks.cli.moments import day, iso
from headworks.cli.tables import GREY, RED, YELLOW, Cell, Table, has_colours, terminal_width, tokens

if TYPE_CHECKING:
    from headworks.calls import Limits
    from headworks.config import Project
    from headworks.limits.headroom import Headroom, HourUse
    from headworks.records import Store, Total

_DAYS = 28
_MOST_DAYS = 400
_BUSY_RPM = 1.0
"""From so many requests a minute in its busiest hour on, a model without a limit is worth a line."""

_SOON_DAYS = 30.0
"""A limit that is hit within so many days is shown in colour."""

_HEAD = ("LIMIT OF", "KIND", "LIMIT", "PEAK", "AT", "HEADROOM", "REACHED AT THE PRESENT GROWTH")


class Row(NamedTuple):
    """One line: whose limit it is (`target/...`, `key/...`, `team/...`), and use against it."""

    of: str
    headroom: "Headroom"


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
    from headworks.config import load, store_url
    from headworks.records import catch_up, may_have_records, open_store

    project = load(options.config)
    url = store_url(project)
    if not may_have_records(project.storage, url):
        note(f"nothing is recorded yet: there is no {project.storage}", "limits")
        return 0
    if not catch_up(project.storage, url, report=lambda text: note(text, "limits")):
        note("the gateway's control plane is behind: the last calls may be missing", "limits")
    store = open_store(project.storage, url)
    now_s = time.time()
    try:
        found = list(rows(project, store, now_s=now_s, days=options.days))
    finally:
        store.close()
    shown = found if options.all else [row for row in found if _is_worth_a_line(row)]
    _print(shown, is_json=options.json)
    is_near = options.within is not None and any(row.headroom.is_hit_within(options.within) for row in found)
    return 1 if is_near else 0


def rows(project: "Project", store: "Store", *, now_s: float, days: int) -> Iterator[Row]:
    """Every limit that the project has, and every target that was called."""
    from headworks.config.limits import limits_of_target, listed_targets
    from headworks.limits.headroom import headroom_of

    config, since_us = project.config, int((now_s - days * 86_400) * 1e6)
    by_target = _hours(store.totals(("provider", "model", "hour", "outcome"), since_us, None))
    targets = dict.fromkeys(sorted({*listed_targets(config), *((group[0], group[1]) for group in by_target)}))
    for provider, model in targets:
        of_target = limits_of_target(config, provider, model)
        if of_target is not None and model:
            for headroom in headroom_of(by_target[provider, model], of_target, now_s=now_s):
                yield Row(f"target/{provider}/{model}", headroom)
    by_key = _hours(store.totals(("key_id", "team", "hour", "outcome"), since_us, None))
    teams = {name: team.limits for name, team in config.access.teams.items()}
    for kind, place, limited in (("key", 0, _key_limits(project)), ("team", 1, teams)):
        for name, limits in sorted(limited.items()):
            hours = _together(hours for group, hours in by_key.items() if group[place] == name)
            for headroom in headroom_of(hours, limits, now_s=now_s):
                if headroom.limit is not None:
                    yield Row(f"{kind}/{name}", headroom)


def _hours(totals: "Iterable[Total]") -> "defaultdict[tuple[str, str], dict[int, HourUse]]":
    """Use by hour of each pair of groups. What was refused here has asked nobody."""
    from headworks.limits.headroom import HourUse

    found: defaultdict[tuple[str, str], dict[int, HourUse]] = defaultdict(dict)
    for total in totals:
        first, second, hour_s, outcome = total.group
        if outcome != "refused":
            hours = found[str(first), str(second)]
            before = hours.get(int(hour_s), HourUse())
            hours[int(hour_s)] = HourUse(
                before.calls + total.calls, before.tokens + total.input_tokens + total.output_tokens
            )
    return found


def _together(many: "Iterable[dict[int, HourUse]]") -> "dict[int, HourUse]":
    from headworks.limits.headroom import HourUse

    found: dict[int, HourUse] = {}
    for hours in many:
        for hour_s, use in hours.items():
            before = found.get(hour_s, HourUse())
            found[hour_s] = HourUse(before.calls + use.calls, before.tokens + use.tokens)
    return found


def _key_limits(project: "Project") -> "dict[str, Limits]":
    """The limits of every key that is not revoked."""
    from headworks.access import KEYS_FILE, KeyStore

    if not (project.storage / KEYS_FILE).exists():
        return {}
    store = KeyStore.below(project.storage, KEYS_FILE)
    try:
        return {record.key_id: record.limits for record in store.list() if record.revoked_at is None}
    finally:
        store.close()


def _is_worth_a_line(row: Row) -> bool:
    headroom = row.headroom
    if headroom.limit is None:
        return headroom.kind == "rpm" and headroom.peak >= _BUSY_RPM
    return headroom.peak > 0


def _print(found: list[Row], *, is_json: bool) -> None:
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
    note("the peak of rpm and tpm is the mean of the busiest hour: bursts within it were higher", "limits")


def _row(row: Row) -> list[Cell]:
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


def _as_json(row: Row) -> dict[str, object]:
    import msgspec

    headroom = row.headroom
    return {
        "of": row.of,
        "kind": headroom.kind,
        "limit": headroom.limit,
        "peak": round(headroom.peak, 3),
        "peak_is": "mean of an hour" if headroom.kind in ("rpm", "tpm") else "sum of 24 hours",
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
