"""List, filter, show, sum up and follow recorded calls; say how economical they were, and what choices saved.

Without an action it lists the last calls. What has happened before the command began is in the list: the journals of
running workers are drained first. Times are UTC.
"""

import argparse
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from headworks.cli.amounts import cost, known_cost, usd
from headworks.cli.call_cache import MOST_CALLS, cache_arguments, show_cache
from headworks.cli.call_cache import SUMMARY as CACHE
from headworks.cli.call_economy import show_economy
from headworks.cli.call_filters import (
    common_arguments,
    count,
    list_arguments,
    microseconds,
    selection_of,
    time_arguments,
    words,
)
from headworks.cli.call_savings import SUMMARY as SAVINGS
from headworks.cli.call_savings import savings_arguments, show_savings
from headworks.cli.call_show import as_json, show_call
from headworks.cli.lines import json_line, note
from headworks.cli.moments import clock, duration, iso
from headworks.cli.state import desk_of, load_project
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, terminal_width, tokens

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.records import Record, Store, Total

_DIMENSIONS = {
    "hour": "hour",
    "key": "key_id",
    "team": "team",
    "endpoint": "endpoint",
    "provider": "provider",
    "model": "model",
    "outcome": "outcome",
    "workload": "workload",
    "prompt-version": "prompt_version",
}
_OUTCOME_COLOURS = {"answered": GREEN, "refused": YELLOW, "cancelled": YELLOW, "failed": RED, "lost": RED}
_FOLLOW_EVERY_S = 0.3

_HEAD = ("TIME", "RESULT", "ENDPOINT", "MODEL", "WHO", "IN", "CACHED", "OUT", "COST", "FIRST", "TOTAL", "CALL")
_FOLLOWED_WIDTHS = (8, 25, 25, 28, 16, 6, 6, 6, 11, 6, 6, 32)
"""What calls to come may need: `429 upstream_rate_limited`, `chat.completions (stream)`, `~12.3k`, `~$0.0000123`, the
id of a call."""
_SPARE = (9, 6, 2, 4, 5, 7)
"""What a narrow terminal goes without; `--json` and `headworks calls show` have it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    # `headworks calls --json` is `headworks calls list --json`: the flags of `list` are taken here, too.
    list_arguments(parser, has_defaults=True)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    listing = commands.add_parser(
        "list",
        help="List calls (the default action); filters can be combined",
        description="List calls, the last ones unless something else is asked for. Filters can be combined.",
        argument_default=argparse.SUPPRESS,
    )
    list_arguments(listing, has_defaults=False)
    show = commands.add_parser(
        "show",
        help="Show all that is known of a call",
        argument_default=argparse.SUPPRESS,
        description="Show all that is known of a call.",
    )
    show.add_argument(
        "id", metavar="CALL_ID", help="as in x-headworks-call-id; the beginning is enough if it is unique"
    )
    show.add_argument(
        "--bodies", action="store_true", help="also the template, and what was sent and answered, where that is stored"
    )
    common_arguments(show, has_defaults=False)
    totals = commands.add_parser(
        "totals",
        help="Sum up calls by model, key, team, ...",
        argument_default=argparse.SUPPRESS,
        description="Sum up calls, by whole hours.",
    )
    totals.add_argument(
        "--by", type=_dimensions, metavar="NAME,...", help=f"of {', '.join(_DIMENSIONS)}. Default: model"
    )
    time_arguments(totals, has_defaults=False)
    common_arguments(totals, has_defaults=False)
    economy = commands.add_parser(
        "economy",
        help="Say what output was thrown away, how long answers are, and whether they have grown",
        argument_default=argparse.SUPPRESS,
        description="Say what output was paid for and thrown away, how long answers are by prompt version, whether "
        "they have grown, and what a lower maximum or a stop sequence would save. Sums are by whole hours.",
    )
    economy.add_argument(
        "--stop",
        action="append",
        metavar="TEXT",
        help="also what stopping at this text would save, from recent answers whose content is kept; \\n is a line's "
        "end; may be given several times",
    )
    economy.add_argument(
        "--max-tokens",
        type=count,
        metavar="N",
        help="what this maximum would save. Default: one that 99 of 100 answers do not reach",
    )
    economy.add_argument("--workload", metavar="NAME", help="of this workload; all of them without it")
    time_arguments(economy, has_defaults=False)
    common_arguments(economy, has_defaults=False)
    cache_arguments(commands.add_parser("cache", help=CACHE, argument_default=argparse.SUPPRESS))
    savings_arguments(commands.add_parser("savings", help=SAVINGS, argument_default=argparse.SUPPRESS))
    parser.set_defaults(by=("model",), bodies=False, stop=None, max_tokens=None, baseline=None, calls=MOST_CALLS)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.config import store_url
    from headworks.records import catch_up, may_have_records, open_store

    project = load_project(options.config, "calls")
    url = store_url(project)
    if not may_have_records(project.storage, url):
        note(f"nothing is recorded yet: there is no {project.storage}")
        return 0
    if not catch_up(project.storage, url, report=note):
        note("the gateway's control plane is behind: the last calls may be missing")
    store = open_store(project.storage, url)
    try:
        if options.action == "show":
            return show_call(store, project, options)
        if options.action == "economy":
            show_economy(store, project, options)
        elif options.action == "cache":
            show_cache(store, project, options)
        elif options.action == "savings":
            show_savings(store, project, options)
        elif options.action == "totals":
            _totals(store, project, options)
        else:
            _list(store, project, options)
    finally:
        store.close()
    return 0


def _list(store: "Store", project: "Project", options: argparse.Namespace) -> None:
    import msgspec

    from headworks.admin.calls import select_calls
    from headworks.config import store_url
    from headworks.records import catch_up

    selection = selection_of(project, options)
    desk = desk_of(project, "calls")
    last = store.last_seq()
    found = select_calls(desk, store, selection)
    if options.follow:
        found.reverse()
    printer = _Printer(is_json=options.json, is_followed=options.follow)
    printer.show(found)
    if not options.follow:
        if not found:
            note("no call matches" if last else "no call is recorded yet")
        return
    selection = msgspec.structs.replace(selection, limit=1000)
    last = max([last, *(record.seq for record in found)])
    url = store_url(project)

    def more() -> "list[Record]":
        nonlocal last
        catch_up(project.storage, url, report=note, wait_s=0)
        fresh = select_calls(desk, store, msgspec.structs.replace(selection, after_seq=last))
        last = max([last, *(record.seq for record in fresh)])
        return fresh

    follow(more, printer.show, rest=time.sleep)


def follow(
    more: "Callable[[], list[Record]]", show: "Callable[[list[Record]], None]", *, rest: Callable[[float], None]
) -> None:
    """Show what comes, until the user has seen enough and presses Ctrl-C (KeyboardInterrupt ends this)."""
    while True:
        fresh = more()
        if fresh:
            show(fresh)
        else:
            rest(_FOLLOW_EVERY_S)


_KEPT = {"vector_stores": "vector stores", "cached_contents": "cached contents"}
"""What providers charge for by the time that it lies there, by endpoint (OpenAI, "Pricing", file search storage, in a
copy of 2026-09; Google, "Caching", 2026-11)."""


class _Printer:
    """Prints calls as they come, in one table or as lines of JSON.

    Arguments:
        is_followed: more will come below the first: there must be room for it, and in a terminal what is longer than
            its room is cut, so that the rows line up.
    """

    def __init__(self, *, is_json: bool, is_followed: bool) -> None:
        self._is_json = is_json
        self._table = Table(
            _HEAD,
            right=frozenset({5, 6, 7, 8, 9, 10}),
            coloured=has_colours(),
            least=_FOLLOWED_WIDTHS if is_followed else (),
            flexible=frozenset({1, 2, 3, 4}),
            width=terminal_width(),
            spare=_SPARE,
        )

    def show(self, records: "list[Record]") -> None:
        if self._is_json:
            lines = [json_line(as_json(record)) for record in records]
        elif records:
            now = time.time()
            lines = self._table.lines([_row(record, now) for record in records])
        else:
            lines = []
        if lines:
            print("\n".join(lines), flush=True)


def _row(record: "Record", now: float) -> list[Cell]:
    estimated = "~" if record.usage_source == "estimated" else ""
    has_usage = record.usage_source != "none"
    model = f"{record.provider}/{record.model}" if record.provider else record.requested_model or "-"
    return [
        Cell(clock(record.opened_us / 1e6, now=now)),
        Cell(result(record), _OUTCOME_COLOURS[record.outcome]),
        Cell(record.endpoint + (" (stream)" if record.is_streamed else "")),
        Cell(model),
        Cell(record.owner or record.key_id or "-"),
        Cell(estimated + tokens(record.input_tokens) if has_usage else "-"),
        Cell(tokens(record.cached_tokens) if record.cached_tokens else "-", 0 if record.cached_tokens else GREY),
        Cell(estimated + tokens(record.output_tokens) if has_usage else "-"),
        Cell(cost(record.cost_pico, is_estimated=bool(estimated)), 0 if record.cost_pico else GREY),
        Cell(duration(record.first_token_us)),
        Cell(duration(record.total_us)),
        Cell(record.call_id, GREY),
    ]


def result(record: "Record") -> str:
    """How a call ended, in a word or two: `200`, `429 upstream_rate_limited`, `cancelled`, `lost`."""
    if record.outcome in ("lost", "cancelled"):
        return record.outcome
    return f"{record.status} {record.error_code}".strip()


def _totals(store: "Store", project: "Project", options: argparse.Namespace) -> None:
    from headworks.admin.calls import sum_calls

    fields: Any = tuple(_DIMENSIONS[name] for name in options.by)  # each a records.Dimension
    found = sum_calls(
        desk_of(project, "calls"), store, fields, microseconds(options.since), microseconds(options.until)
    )
    whole = sum(total.cost_pico for total in found)
    if options.json:
        for total in found:
            print(json_line(_total_as_json(total, options.by, whole)))
        return
    if not found:
        note("no call is recorded in that time")
        return
    head = [*(name.upper() for name in options.by), "CALLS", "FAILED", "IN", "CACHED", "OUT", "COST", "SHARE"]
    head += ["UNKNOWN", "FIRST", "TOTAL"]
    width = len(options.by)
    table = Table(head, right=frozenset(range(width, width + 10)), coloured=has_colours())
    print("\n".join(table.lines([_total_row(total, options.by, whole) for total in found])))
    unknown = sum(total.unknown_costs for total in found)
    if unknown:
        note(f"what {unknown:,} of {sum(total.calls for total in found):,} calls cost is not known, and in no sum")
    endpoints = sum_calls(desk_of(project, "calls"), store, ("endpoint",), None, microseconds(options.until))
    kept = [_KEPT[name] for total in endpoints if (name := str(total.group[0])) in _KEPT]
    if kept:
        note(f"what providers charge for keeping {' and '.join(kept)}, day by day, no call tells: it is in no sum")


def _total_row(total: "Total", by: tuple[str, ...], whole: int) -> list[Cell]:
    is_estimated = total.estimated_costs > 0
    groups = [
        Cell((iso(value) or "")[:16] if name == "hour" and isinstance(value, int) else str(value) or "-")
        for name, value in zip(by, total.group, strict=True)
    ]
    cached = f"{total.cached_tokens / total.input_tokens:.0%}" if total.input_tokens else "-"
    return [
        *groups,
        Cell(f"{total.calls:,}"),
        Cell(f"{total.failures:,}" if total.failures else "-", RED if total.failures else GREY),
        Cell(tokens(total.input_tokens)),
        Cell(cached),
        Cell(tokens(total.output_tokens)),
        Cell(known_cost(total.cost_pico, calls=total.calls, unknown=total.unknown_costs, is_estimated=is_estimated)),
        Cell(f"{Decimal(total.cost_pico) / whole:.1%}" if whole else "-", 0 if total.cost_pico else GREY),
        Cell(f"{total.unknown_costs:,}" if total.unknown_costs else "-", YELLOW if total.unknown_costs else GREY),
        Cell(duration(round(total.first_token_us / total.first_tokens)) if total.first_tokens else "-"),
        Cell(duration(round(total.total_us / total.calls))),
    ]


def _total_as_json(total: "Total", by: tuple[str, ...], whole: int) -> dict[str, object]:
    """The fields of `records.Total`; the cost as exact decimal strings, and as a share of all groups."""
    import msgspec

    shown = msgspec.structs.asdict(total)
    groups = dict(zip(by, shown.pop("group"), strict=True))
    if "hour" in groups:
        groups["hour"] = iso(groups["hour"])
    is_known = total.unknown_costs < total.calls
    cost_pico = shown.pop("cost_pico")
    shown["cost_usd"] = usd(cost_pico) if is_known else None
    shown["cost_share"] = f"{Decimal(cost_pico) / whole:.6f}" if whole and is_known else None
    return groups | shown


def _dimensions(text: str) -> tuple[str, ...]:
    return words(text, tuple(_DIMENSIONS), "something to sum up by")
