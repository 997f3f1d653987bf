"""`headworks calls economy`: what output was thrown away, how long answers are, and what would be saved."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from headworks.cli.amounts import cost, usd
from headworks.cli.call_filters import microseconds
from headworks.cli.lines import json_line, note
from headworks.cli.tables import Cell, Table, has_colours, plain, tokens

if TYPE_CHECKING:
    from headworks.config import Project
    from headworks.records import Store, Total
    from headworks.records.economy import Economy
    from headworks.records.stop_economy import StopSaving

_REASONS = {
    "cut": "cut by maximum",
    "validation": "failed validation, and was mended or replaced",
    "rejected": "failed validation, in calls without an answer",
    "cancelled": "cancelled by the client",
    "failed": "the call failed",
}


def show_economy(store: "Store", project: "Project", options: argparse.Namespace) -> None:
    """Print it, for one workload or for all."""
    import msgspec

    from headworks.records import Span
    from headworks.records.economy import economy, saving_of

    span = Span(microseconds(options.since), microseconds(options.until), options.workload or None)
    counts = store.output_counts(span)
    found = economy(store.output_lengths(span), store.wasted(span), counts)
    if options.max_tokens is not None:
        asked = {
            one.workload: saving_of([count for count in counts if count.workload == one.workload], options.max_tokens)
            for one in found
        }
        found = [msgspec.structs.replace(one, saving=asked[one.workload]) for one in found]
    stops = {one.workload: _stops(store, project, one.workload, options) for one in found} if options.stop else {}
    # The rollups are by the hour, as what was thrown away is.
    costs = {total.group[0]: total for total in store.totals(("workload",), span.since_us, span.until_us)}
    if options.json:
        for one in found:
            told = {"stops": msgspec.to_builtins(stops[one.workload])} if stops else {}
            total = costs.get(one.workload)
            is_known = total is not None and total.unknown_costs < total.calls
            told["cost_usd"] = usd(total.cost_pico if total is not None and is_known else None)
            told["unknown_costs"] = 0 if total is None else total.unknown_costs
            print(json_line(msgspec.to_builtins(one) | told))
        return
    if not found:
        note("no output is recorded in that time" + (f" of workload {options.workload}" if options.workload else ""))
    for place, one in enumerate(found):
        print("\n" * bool(place) + f"workload {plain(one.workload) or '- (plain calls)'}")
        if one.workload in costs:
            _print_cost(costs[one.workload])
        _print_one(one, is_asked=options.max_tokens is not None)
        for stop in stops.get(one.workload, ()):
            _print_stop(stop)


def _print_cost(total: "Total") -> None:
    """What all calls of the workload cost together, the good ones included."""
    if total.unknown_costs < total.calls:
        is_estimated = total.estimated_costs > 0
        calls = total.calls - total.unknown_costs
        print(f"cost: {cost(total.cost_pico, is_estimated=is_estimated)} in {calls:,} call{'s' * (calls != 1)}", end="")
        print(f"; what {total.unknown_costs:,} more cost is not known" if total.unknown_costs else "")


def _stops(store: "Store", project: "Project", workload: str, options: argparse.Namespace) -> "tuple[StopSaving, ...]":
    from headworks.cli.call_show import kept_content
    from headworks.records import Selection
    from headworks.records.stop_economy import MOST_ANSWERS, kept_answers, stop_savings

    if not workload:
        return ()
    selection = Selection(
        since_us=microseconds(options.since),
        until_us=microseconds(options.until),
        workload=workload,
        outcomes=("answered",),
        limit=MOST_ANSWERS,
    )
    answers = kept_answers(store.select(selection), partial(kept_content, store, project))
    return stop_savings(answers, [text.replace("\\n", "\n") for text in options.stop])


def _print_stop(stop: "StopSaving") -> None:
    what = f'a stop at "{plain(stop.sequence)}"'
    if not stop.calls:
        print(
            f"{what}: nobody can tell what it would save, for no content is kept of these answers "
            "(`retention.content` in the contract has it kept from then on)"
        )
        return
    print(
        f"{what} would save ~{stop.share:.1%} of the output and cut {stop.cut_calls:,} of {stop.calls:,} answers "
        "(the last whose content is kept)"
    )


def _print_one(economy: "Economy", *, is_asked: bool) -> None:
    if economy.versions:
        head = ("PROMPT VERSION", "CALLS", "OUT", "P50", "P95", "MODELS")
        table = Table(head, right=frozenset({1, 2, 3, 4}), coloured=has_colours())
        rows = [
            [
                Cell(version.prompt_version or "-"),
                Cell(f"{version.calls:,}"),
                Cell(tokens(version.tokens)),
                Cell(f"~{tokens(round(version.median))}"),
                Cell(f"~{tokens(round(version.p95))}"),
                Cell(", ".join(version.models)),
            ]
            for version in economy.versions
        ]
        print("\n".join(table.lines(rows)))
    for thrown in economy.thrown:
        calls = "1 call" if thrown.calls == 1 else f"{thrown.calls:,} calls"
        print(
            f"thrown away, {_REASONS[thrown.reason]}: {tokens(thrown.tokens)} tokens in {calls} "
            f"({thrown.share:.1%} of the output)"
        )
    for growth in economy.growth:
        why = "" if growth.is_same_model else "; other models answered, too"
        print(
            plain(
                f"ALARM: answers of {growth.prompt_version or '-'} are {growth.factor - 1:.0%} longer than those of "
                f"{growth.before or '-'} (median){why}"
            )
        )
    saving = economy.saving
    if saving is not None and (saving.cut_calls or is_asked):
        how = "" if is_asked else " (p99)"
        print(
            f"a maximum of {saving.max_tokens:,} tokens{how} would save {saving.share:.1%} of the output and cut "
            f"{saving.cut_calls:,} of {saving.calls:,} answers"
        )
