"""List, filter, show, sum up and follow recorded calls.

Without an action it lists the last calls. What has happened before the command began is in the list: the journals of
running workers are drained first. Times are UTC.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headworks.cli.call_filters import (
    common_arguments,
    list_arguments,
    microseconds,
    selection_of,
    time_arguments,
    words,
)
from headworks.cli.moments import clock, duration, iso
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, tokens

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
}
_OUTCOME_COLOURS = {"answered": GREEN, "refused": YELLOW, "cancelled": YELLOW, "failed": RED, "lost": RED}
_FOLLOW_EVERY_S = 0.3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    # `headworks calls --json` is `headworks calls list --json`: the flags of `list` are taken here too, unseen.
    list_arguments(parser, is_visible=False)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    listing = commands.add_parser(
        "list",
        help="List calls (the default action); filters can be combined",
        description="List calls, the last ones unless something else is asked for. Filters can be combined.",
        argument_default=argparse.SUPPRESS,
    )
    list_arguments(listing, is_visible=True)
    show = commands.add_parser(
        "show",
        help="Show all that is known of a call",
        argument_default=argparse.SUPPRESS,
        description="Show all that is known of a call.",
    )
    show.add_argument(
        "id", metavar="CALL_ID", help="as in x-headworks-call-id; the beginning is enough if it is unique"
    )
    show.add_argument("--bodies", action="store_true", help="also what was sent and answered, where that is stored")
    common_arguments(show, is_visible=True)
    totals = commands.add_parser(
        "totals",
        help="Sum up calls by model, key, team, ...",
        argument_default=argparse.SUPPRESS,
        description="Sum up calls, by whole hours.",
    )
    totals.add_argument(
        "--by", type=_dimensions, metavar="NAME,...", help=f"of {', '.join(_DIMENSIONS)}. Default: model"
    )
    time_arguments(totals, is_visible=True)
    common_arguments(totals, is_visible=True)
    parser.set_defaults(by=("model",), bodies=False)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.config import load
    from headworks.records import catch_up, open_store

    project = load(options.config)
    if not project.storage.is_dir():
        _note(f"nothing is recorded yet: there is no {project.storage}")
        return 0
    if not catch_up(project.storage, report=_note):
        _note("the gateway's control plane is behind: the last calls may be missing")
    store = open_store(project.storage)
    try:
        if options.action == "show":
            _show(store, options)
        elif options.action == "totals":
            _totals(store, options)
        else:
            _list(store, project, options)
    finally:
        store.close()
    return 0


def _list(store: "Store", project: "Project", options: argparse.Namespace) -> None:
    import msgspec

    from headworks.records import catch_up

    selection = selection_of(project, options)
    last = store.last_seq()
    found = store.select(selection)
    if options.follow:
        found.reverse()
    printer = _Printer(is_json=options.json)
    printer.show(found)
    if not options.follow:
        if not found:
            _note("no call matches" if last else "no call is recorded yet")
        return
    selection = msgspec.structs.replace(selection, limit=1000)
    last = max([last, *(record.seq for record in found)])

    def more() -> "list[Record]":
        nonlocal last
        catch_up(project.storage, report=_note, wait_s=0)
        fresh = store.select(msgspec.structs.replace(selection, after_seq=last))
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


class _Printer:
    """Prints calls as they come, in one table or as lines of JSON."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        head = ("TIME", "RESULT", "ENDPOINT", "MODEL", "WHO", "IN", "CACHED", "OUT", "FIRST", "TOTAL", "CALL")
        self._table = Table(head, right=frozenset({5, 6, 7, 8, 9}), coloured=has_colours())

    def show(self, records: "list[Record]") -> None:
        if self._is_json:
            lines = [_json(as_json(record)) for record in records]
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
        Cell(duration(record.first_token_us)),
        Cell(duration(record.total_us)),
        Cell(record.call_id, GREY),
    ]


def result(record: "Record") -> str:
    """How a call ended, in a word or two: `200`, `429 upstream_rate_limited`, `cancelled`, `lost`."""
    if record.outcome in ("lost", "cancelled"):
        return record.outcome
    return f"{record.status} {record.error_code}".strip()


def _show(store: "Store", options: argparse.Namespace) -> None:
    from headworks.records import find_call

    record = find_call(store, options.id)
    bodies = store.bodies(record.seq) if options.bodies else None
    if options.json:
        shown = as_json(record)
        if bodies is not None:
            shown |= {"request_body": bodies.request.decode(errors="replace")}
            shown |= {"response_body": bodies.response.decode(errors="replace")}
        print(_json(shown))
        return
    for name, value in _details(record):
        print(f"{name:<20} {plain(value)}")
    if options.bodies and bodies is None:
        _note("no bodies are stored of this call; `records.bodies` in headworks.yaml has them stored")
    if bodies is not None:
        for title, body in (("request", bodies.request), ("response", bodies.response)):
            print(f"\n{title}:")
            print("\n".join(plain(line) for line in body.decode(errors="replace").splitlines()))


def _details(record: "Record") -> list[tuple[str, str]]:
    """Name and value of everything that is known, in the order of the call."""
    usage = {"provider": "as the provider says", "estimated": "counted here", "none": "none"}[record.usage_source]
    first = f", first token after {duration(record.first_token_us)}" if record.first_token_us else ""
    details = [
        ("call", record.call_id),
        ("opened", iso(record.opened_us / 1e6) or ""),
        ("outcome", f"{record.outcome}, status {record.status}" if record.status else record.outcome),
        ("error", "" if record.error_code == record.outcome else record.error_code),
        ("took", f"{duration(record.total_us)}{first}" if record.total_us else ""),
        ("endpoint", record.endpoint + (", streamed" if record.is_streamed else "")),
        ("asked for", record.requested_model),
        ("provider", record.provider),
        ("model", record.model),
        ("served", record.served_model),
        ("key", record.key_id),
        ("owner", record.owner),
        ("team", record.team),
        ("user", record.user),
        ("usage", usage),
        ("input tokens", f"{record.input_tokens:,}"),
        ("  cached", f"{record.cached_tokens:,}" if record.cached_tokens else ""),
        ("  written to cache", f"{record.cache_write_tokens:,}" if record.cache_write_tokens else ""),
        ("output tokens", f"{record.output_tokens:,}"),
        ("  reasoning", f"{record.reasoning_tokens:,}" if record.reasoning_tokens else ""),
        ("finish reason", record.finish_reason),
        ("attempts", str(record.attempts)),
        ("bytes", f"{record.request_bytes:,} sent, {record.response_bytes:,} answered"),
        ("response", record.response_id),
        ("upstream request", record.upstream_request_id),
    ]
    return [(name, value) for name, value in details if value]


def _totals(store: "Store", options: argparse.Namespace) -> None:
    fields: Any = [_DIMENSIONS[name] for name in options.by]  # each a records.Dimension
    found = store.totals(fields, microseconds(options.since), microseconds(options.until))
    if options.json:
        for total in found:
            print(_json(_total_as_json(total, options.by)))
        return
    if not found:
        _note("no call is recorded in that time")
        return
    head = [*(name.upper() for name in options.by), "CALLS", "FAILED", "IN", "CACHED", "OUT", "FIRST", "TOTAL"]
    width = len(options.by)
    table = Table(head, right=frozenset(range(width, width + 7)), coloured=has_colours())
    print("\n".join(table.lines([_total_row(total, options.by) for total in found])))


def _total_row(total: "Total", by: tuple[str, ...]) -> list[Cell]:
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
        Cell(duration(round(total.first_token_us / total.first_tokens)) if total.first_tokens else "-"),
        Cell(duration(round(total.total_us / total.calls))),
    ]


def _total_as_json(total: "Total", by: tuple[str, ...]) -> dict[str, object]:
    import msgspec

    shown = msgspec.structs.asdict(total)
    groups = dict(zip(by, shown.pop("group"), strict=True))
    if "hour" in groups:
        groups["hour"] = iso(groups["hour"])
    return groups | shown


def as_json(record: "Record") -> dict[str, object]:
    """A call for machines: the fields of `records.Record`, and `opened_at` as a time in UTC."""
    import msgspec

    return {"call_id": record.call_id, "opened_at": iso(record.opened_us / 1e6)} | msgspec.structs.asdict(record)


def _dimensions(text: str) -> tuple[str, ...]:
    return words(text, tuple(_DIMENSIONS), "something to sum up by")


def _note(text: str) -> None:
    print(f"headworks calls: {plain(text)}", file=sys.stderr)


def _json(value: dict[str, object]) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
