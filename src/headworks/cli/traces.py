"""List and show the runs of agents, as their SDK sends them to POST /v1/traces/ingest.

Without an action it lists the traces that came last. `show` prints the steps of one as a tree; a step in which a model
gave a response has the call's id and cost. Names, times and ids are kept, and no content. Traces are kept in the state
directory of the machine that they were sent to, for `records.days` or 30 days.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.amounts import cost, usd
from headworks.cli.call_filters import common_arguments, count
from headworks.cli.lines import json_line, note
from headworks.cli.moments import duration, iso
from headworks.cli.state import load_project
from headworks.cli.tables import Cell, Table, has_colours, plain
from headworks.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headworks.config import Project
    from headworks.records import Record
    from headworks.tracing import Span, Trace, TraceBook

_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    parser.add_argument("--limit", type=count, default=_SHOWN, metavar="N", help=f"how many; default: {_SHOWN}")
    common_arguments(parser, has_defaults=True)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    show = commands.add_parser(
        "show",
        help="Show the steps of a trace, and what its calls cost",
        description="Show the steps of a trace as a tree, with the calls that belong to them.",
        argument_default=argparse.SUPPRESS,
    )
    show.add_argument("trace", metavar="TRACE", help="its id, as the SDK has it: trace_...")
    common_arguments(show, has_defaults=False)


def run(options: argparse.Namespace) -> int:
    """Print it; returns the exit code."""
    from headworks.tracing import TRACES_FILE, TraceBook

    project = load_project(options.config, "traces")
    file: Path = project.storage / TRACES_FILE
    book = TraceBook(file) if file.exists() else None
    try:
        if options.action == "show":
            return _show(project, book, options)
        return _list(book, options)
    finally:
        if book is not None:
            book.close()


def _list(book: "TraceBook | None", options: argparse.Namespace) -> int:
    recent = [] if book is None else book.recent(options.limit)
    if options.json:
        for key_id, trace in recent:
            print(
                json_line({"trace": trace.trace_id, "workflow": trace.workflow, "group": trace.group_id, "key": key_id})
            )
        return 0
    if not recent:
        note("no traces yet: an agent's SDK sends them to POST /v1/traces/ingest", "traces")
        return 0
    table = Table(("TRACE", "WORKFLOW", "GROUP", "KEY"), coloured=has_colours())
    for line in table.lines([[Cell(t.trace_id), Cell(t.workflow), Cell(t.group_id), Cell(key)] for key, t in recent]):
        print(line)
    return 0


def _show(project: "Project", book: "TraceBook | None", options: argparse.Namespace) -> int:
    found = [] if book is None else book.find(options.trace)
    if not found:
        raise CommandError(f"no trace {options.trace} is known here: see `headworks traces`")
    for key_id, trace, spans in found:
        calls = _calls(project, key_id, {one.response_id for one in spans if one.response_id})
        _print(options, (key_id, trace, spans), calls)
    return 0


def _calls(project: "Project", key_id: str, response_ids: "Iterable[str]") -> "dict[str, Record]":
    """The calls of these responses that this key made, by the response."""
    from headworks.config import store_url
    from headworks.records import Selection, catch_up, may_have_records, open_store

    url = store_url(project)
    if not may_have_records(project.storage, url):
        return {}
    if not catch_up(project.storage, url, report=lambda text: note(text, "traces")):
        note("the gateway's control plane is behind: the last calls may be missing", "traces")
    store = open_store(project.storage, url)
    try:
        found = {}
        for response_id in response_ids:
            for record in store.select(Selection(response_id=response_id, key_id=key_id, limit=1)):
                found[response_id] = record
        return found
    finally:
        store.close()


def _print(
    options: argparse.Namespace,
    found: "tuple[str, Trace | None, Sequence[Span]]",
    calls: "dict[str, Record]",
) -> None:
    from headworks.tracing import tree_of

    key_id, trace, spans = found
    branches = tree_of(spans)
    known = [record.cost_pico for record in calls.values() if record.cost_pico is not None]
    if options.json:
        steps = [
            {
                "span": one.span.span_id,
                "parent": one.span.parent_id,
                "kind": one.span.kind,
                "name": one.span.name,
                "started": iso(one.span.started_us / 1e6) if one.span.started_us else None,
                "ended": iso(one.span.ended_us / 1e6) if one.span.ended_us else None,
                "failed": one.span.has_failed,
                "response": one.span.response_id,
                **_call_of(calls.get(one.span.response_id)),
            }
            for one in branches
        ]
        head = {"trace": options.trace, "key": key_id, "cost_usd": usd(sum(known)), "calls": len(calls)}
        names = {"workflow": trace.workflow, "group": trace.group_id} if trace is not None else {}
        print(json_line(head | names | {"spans": steps}))
        return
    for name, value in (
        ("trace", options.trace),
        ("workflow", trace.workflow if trace is not None else ""),
        ("group", trace.group_id if trace is not None else ""),
        ("key", key_id),
        ("calls", str(len(calls))),
        ("cost", cost(sum(known) if known else None)),
    ):
        if value:
            print(f"{name:<10} {plain(value)}")
    print()
    table = Table(("STEP", "TOOK", "CALL", "MODEL", "COST"), right=frozenset({1, 4}), coloured=has_colours())
    for line in table.lines([_row(one.depth, one.span, calls.get(one.span.response_id)) for one in branches]):
        print(line)


def _row(depth: int, span: "Span", record: "Record | None") -> list[Cell]:
    name = f"{'  ' * depth}{span.kind} {span.name}".rstrip() + (" (failed)" if span.has_failed else "")
    took = duration(span.ended_us - span.started_us) if span.ended_us >= span.started_us > 0 else "-"
    if record is None:
        return [Cell(name), Cell(took), Cell(""), Cell(""), Cell("")]
    return [
        Cell(name),
        Cell(took),
        Cell(record.call_id),
        Cell(record.served_model or record.model),
        Cell(cost(record.cost_pico)),
    ]


def _call_of(record: "Record | None") -> dict[str, object]:
    if record is None:
        return {}
    return {"call": record.call_id, "model": record.model, "cost_usd": usd(record.cost_pico)}
