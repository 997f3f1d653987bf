"""Derive the architecture that a workload's contract asks for.

Model and ladder, endpoint, prompt cache, batch or not, time limits and fallback, state, retrieval or fine-tuning,
residency, screening, monitoring: each with its reason, from the contract or, where calls are recorded, from traffic.
Each line says who sees to it: Headworks, with every call, or you. What cannot be derived is listed as a question.
Decides nothing and changes nothing.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.moments import MOMENT_FORM, past
from headworks.cli.tables import GREEN, GREY, YELLOW, has_colours, plain
from headworks.config import FILE_NAME, load, store_url

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.records import Record
    from headworks.workloads import Decision, Plan, Traffic

_MOST_CALLS = 20_000
"""Calls that traffic is judged by: the latest ones."""

_COLOURS = {"contract": 0, "traffic": GREEN, "default": GREY, "ask": YELLOW}
_BY = {"headworks": ", done by Headworks", "you": ", yours", "": ""}
_DAY_S = 86_400


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks plan`."""
    parser.add_argument("name", metavar="WORKLOAD", help="the workload")
    parser.add_argument("--config", type=Path, default=Path(FILE_NAME), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="default: %(default)s")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument(
        "--since",
        type=past,
        default="7d",
        metavar="WHEN",
        help=f"recorded calls count from then on: {MOMENT_FORM}. Default: 7d",
    )


def run(options: argparse.Namespace) -> int:
    """Print the plan; returns the exit code."""
    from headworks.cli.workloads import find_workload
    from headworks.workloads import derive, read_facts

    project = load(options.config)
    workload = find_workload(project, options.name)
    traffic = _traffic(project, workload.name, time.time() - options.since)
    plan = derive(workload, read_facts(project, workload), traffic)
    match options.format:
        case "json":
            print(as_json(plan))
        case "markdown":
            print(as_markdown(plan), end="")
        case _:
            print(as_text(plan, coloured=has_colours()), end="")
    return 0


def as_text(plan: "Plan", *, coloured: bool) -> str:
    """The plan for a terminal: what, value, source; the reason below."""
    lines = [f"{plan.workload}: {plain(plan.description)}", f"owner: {plain(plan.owner)}"]
    for section in plan.sections:
        lines += ["", _painted(section.title, 1, coloured=coloured)]
        for one in section.decisions:
            lines.append(_painted(f"  {one.what:<26} {plain(one.value)}", _COLOURS[one.source], coloured=coloured))
            by = _BY[one.by]
            lines.append(_painted(f"  {'':<26}   {one.source}{by}: {plain(one.reason)}", GREY, coloured=coloured))
    if plan.questions:
        lines += ["", _painted("Open questions", 1, coloured=coloured)]
        lines += [f"  {number}. {one.what}: {plain(one.value)}" for number, one in enumerate(plan.questions, 1)]
    return "\n".join(lines) + "\n"


def as_markdown(plan: "Plan") -> str:
    """The plan as a page."""
    lines = [f"# Plan of {plan.workload}", "", _cell(plan.description), "", f"Owner: {_cell(plan.owner)}"]
    for section in plan.sections:
        lines += ["", f"## {section.title}", "", "| what | decision | why | from | by |", "|---|---|---|---|---|"]
        lines += [_line(one) for one in section.decisions]
    if plan.questions:
        lines += ["", "## Open questions", ""]
        lines += [
            f"{number}. {one.what}: {_cell(one.value)} ({_cell(one.reason)})"
            for number, one in enumerate(plan.questions, 1)
        ]
    return "\n".join(lines) + "\n"


def as_json(plan: "Plan") -> str:
    """The plan for programs, its questions by themselves too."""
    import msgspec

    value = {**msgspec.to_builtins(plan), "questions": msgspec.to_builtins(plan.questions)}
    return msgspec.json.encode(value).decode()


def _line(one: "Decision") -> str:
    return f"| {_cell(one.what)} | {_cell(one.value)} | {_cell(one.reason)} | {one.source} | {one.by} |"


def _cell(text: str) -> str:
    return plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _painted(text: str, colour: int, *, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured and colour else text


def _traffic(project: "Project", name: str, since_s: float) -> "Traffic | None":
    """What is recorded of the workload's calls; None where nothing is."""
    from headworks.records import Selection, catch_up, has_store, open_store

    url = store_url(project)
    if not has_store(project.storage, url):
        return None
    catch_up(project.storage, url, report=lambda text: print(f"headworks plan: {text}", file=sys.stderr))
    now = time.time()
    store = open_store(project.storage, url)
    try:
        selection = Selection(since_us=round((now - since_s) * 1e6), model=name, limit=_MOST_CALLS)
        records = [record for record in store.select(selection) if record.requested_model == name]
    finally:
        store.close()
    if not records:
        return None
    return traffic_of(records, now=now)


def traffic_of(records: "list[Record]", *, now: float) -> "Traffic":
    """Recorded calls, at least one, summed up. The time that they were counted over begins with the first, and is an
    hour at least: a few calls in a minute are no volume."""
    from headworks.workloads import Traffic

    answered = [record for record in records if record.outcome == "answered"]
    costs = [record.cost_pico for record in records if record.cost_pico is not None]
    first_us = min(record.opened_us for record in records)
    return Traffic(
        days=max(now - first_us / 1e6, 3600.0) / _DAY_S,
        calls=len(records),
        failures=sum(record.outcome not in ("answered", "cancelled") for record in records),
        input_tokens=sum(record.input_tokens for record in records),
        cached_tokens=sum(record.cached_tokens for record in records),
        output_tokens=sum(record.output_tokens for record in records),
        total_s=_below([record.total_us for record in answered]) / 1e6,
        first_token_s=_below([record.first_token_us for record in answered if record.first_token_us]) / 1e6,
        cost_pico=sum(costs),
        known_costs=len(costs),
    )


def _below(values: list[int]) -> int:
    """What 95 of 100 values do not pass; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)] if ordered else 0
