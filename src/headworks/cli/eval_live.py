"""`headworks eval compare WORKLOAD --outcome NAME`: two versions, models or times by what became of live calls."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from headworks.catalogue.money import mean_pico
from headworks.cli.amounts import cost, usd
from headworks.cli.eval_arms import ArmSpec
from headworks.cli.lines import json_line, note
from headworks.cli.parsing import UsageError
from headworks.cli.tables import Cell, Table, has_colours, plain
from headworks.config import Project, model_of_rung, store_url
from headworks.errors import CommandError
from headworks.evals.comparing import SpanComparison, compare_spans
from headworks.evals.gate import EXIT_CODES, Word
from headworks.evals.rendering import percent, score_with_interval
from headworks.evals.statistics import Tally

if TYPE_CHECKING:
    from headworks.records import Figures, Span, Store

_MARGIN = 0.05
_GRAVITY: tuple[Word, ...] = ("not worse", "too thin", "worse")


def run_live(project: Project, options: argparse.Namespace) -> int:
    """Do it; returns the exit code, as `compare` does."""
    from headworks.records import catch_up, may_have_records, open_store

    workload, arms = options.run_id, options.arm
    if len(arms) != 2 or not workload or options.other:
        raise UsageError("--outcome compares two: WORKLOAD --outcome NAME --arm prompt=1.0.0 --arm prompt=1.1.0")
    if _may_overlap(project, arms[0], arms[1]):
        raise UsageError(
            "a call may be of both: give the arms two versions, two models, or times that do not overlap, such as "
            "--arm until=2026-11-08 --arm since=2026-11-08"
        )
    url = store_url(project)
    if not may_have_records(project.storage, url) or not catch_up(
        project.storage, url, report=lambda text: note(text, "eval")
    ):
        note("the last calls and reports may be missing", "eval")
    store = open_store(project.storage, url)
    try:
        old, new = (_tallies(store, project, options, arm) for arm in arms)
        costs = tuple(_figures(store, project, options, arm) for arm in arms)
    finally:
        store.close()
    sources = sorted(old.keys() & new.keys())
    if not sources:
        raise CommandError(
            f"no source has reported `{plain(options.outcome)}`, as true or false, of calls of both; `headworks "
            f"outcomes rates --workload {plain(workload)}` shows what there is"
        )
    margin = options.margin or _MARGIN
    found = {source: compare_spans(old[source], new[source]) for source in sources}
    words: list[Word] = [_word(one, margin) for one in found.values()]
    word = max(words, key=_GRAVITY.index)
    if options.json:
        shown = {source: msgspec.to_builtins(one) for source, one in found.items()}
        told = {"verdict": word, "exit_code": EXIT_CODES[word], "workload": workload, "sources": shown}
        print(json_line(told | {"costs": [_cost_as_json(one) for one in costs]}))
    else:
        _print(options.outcome, found, words, margin, f"old {_cost_of(costs[0])}, new {_cost_of(costs[1])}")
    return EXIT_CODES[word]


def _wanted(project: Project, arm: ArmSpec) -> dict[str, str]:
    """What the calls of an arm are told by, in the order of the store's groups."""
    wanted: dict[str, str] = {}
    if arm.prompt != "folder":
        wanted["prompt_version"] = arm.prompt
    if arm.model:
        bound = model_of_rung(project.config, arm.model)
        wanted["model"] = arm.model if bound is None else bound.model
    is_timed = arm.since_us is not None or arm.until_us is not None
    if arm.parameters or arm.retrieval or not (wanted or is_timed):
        raise UsageError(
            "live calls are told apart by version, model and time: --arm prompt=1.0.0, --arm model=mini, or "
            "--arm since=2026-11-01,until=2026-11-08"
        )
    return wanted


def _may_overlap(project: Project, first: ArmSpec, second: ArmSpec) -> bool:
    """Whether a call could be of both arms: then they are not independent of one another."""
    one, other = _wanted(project, first), _wanted(project, second)
    if any(one[field] != other[field] for field in one.keys() & other.keys()):
        return False
    since = max(first.since_us or 0, second.since_us or 0)
    until = [bound for bound in (first.until_us, second.until_us) if bound is not None]
    return not until or since < min(until)


def _span(arm: ArmSpec, workload: str) -> "Span":
    from headworks.records import Span

    return Span(arm.since_us, arm.until_us, workload)


def _figures(store: "Store", project: Project, options: argparse.Namespace, arm: ArmSpec) -> "Figures | None":
    """What an arm's calls came to; None where there are none."""
    wanted = _wanted(project, arm)
    fields: Any = list(wanted)  # each a records.OutcomeDimension
    found = store.figures(fields, _span(arm, options.run_id))
    return next((one for one in found if one.group == tuple(wanted.values())), None)


def _cost_of(found: "Figures | None") -> str:
    known = 0 if found is None else found.calls - found.unknown_costs
    if found is None or not known:
        return "not known"
    rest = f"; of {found.unknown_costs:,} it is not known" if found.unknown_costs else ""
    return f"{cost(mean_pico(found.cost_pico, known))} (mean of {known:,}{rest})"


def _cost_as_json(found: "Figures | None") -> dict[str, object]:
    """An arm's calls and their cost together, an exact decimal string; null where of none it is known."""
    calls, unknown = (0, 0) if found is None else (found.calls, found.unknown_costs)
    known = found.cost_pico if found is not None and unknown < calls else None
    return {"calls": calls, "unknown_costs": unknown, "cost_usd": usd(known)}


def _tallies(store: "Store", project: Project, options: argparse.Namespace, arm: ArmSpec) -> dict[str, Tally]:
    """By source, how many of an arm's calls were good."""
    wanted = _wanted(project, arm)
    fields: Any = list(wanted)  # each a records.OutcomeDimension
    found: dict[str, Tally] = {}
    for one in store.tallies(fields, _span(arm, options.run_id)):
        if one.kind == "boolean" and one.name == options.outcome and one.group == tuple(wanted.values()):
            found[one.source] = Tally(round(one.total), one.reports)
    return found


def _word(found: SpanComparison, margin: float) -> Word:
    if found.finding == "worse":
        return "worse"
    return "not worse" if found.always[0] > -margin else "too thin"


def _print(outcome: str, found: dict[str, SpanComparison], words: Sequence[Word], margin: float, costs: str) -> None:
    head = ("SOURCE", "OLD", "95 %", "NEW", "95 %", "CHANGE", "HOWEVER OFTEN ONE LOOKS", "VERDICT")
    rows = [
        [
            Cell(source),
            Cell(f"{one.first.good:,} of {one.first.cases:,}, {percent(one.first.share)}"),
            Cell(score_with_interval(*one.first_interval)),
            Cell(f"{one.second.good:,} of {one.second.cases:,}, {percent(one.second.share)}"),
            Cell(score_with_interval(*one.second_interval)),
            Cell(f"{100 * one.difference:+.1f}"),
            Cell(f"{100 * one.always[0]:+.1f} to {100 * one.always[1]:+.1f}"),
            Cell(word),
        ]
        for (source, one), word in zip(found.items(), words, strict=True)
    ]
    print(f"{plain(outcome)}, by what became of live calls; not worse: by less than {margin:.0%}, if at all")
    print(f"what a call has cost: {costs}")
    print()
    print("\n".join(Table(head, right=frozenset(range(1, 7)), coloured=has_colours()).lines(rows)))
