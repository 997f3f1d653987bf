"""`headworks calls economy`: what output was thrown away, how long answers are, and what would be saved."""

import argparse
from typing import TYPE_CHECKING

from headworks.cli.call_filters import microseconds
from headworks.cli.lines import json_line, note
from headworks.cli.tables import Cell, Table, has_colours, plain, tokens

if TYPE_CHECKING:
    from headworks.records import Store
    from headworks.records.economy import Economy

_REASONS = {
    "cut": "cut by maximum",
    "validation": "failed validation, and was mended or replaced",
    "rejected": "failed validation, in calls without an answer",
    "cancelled": "cancelled by the client",
    "failed": "the call failed",
}


def show_economy(store: "Store", options: argparse.Namespace) -> None:
    """Print it, for one workload or for all."""
    import msgspec

    from headworks.records import Span
    from headworks.records.economy import economy

    span = Span(microseconds(options.since), microseconds(options.until), options.workload or None)
    found = economy(store.output_lengths(span), store.wasted(span), store.output_counts(span))
    if options.json:
        for one in found:
            print(json_line(msgspec.to_builtins(one)))
        return
    if not found:
        note("no output is recorded in that time" + (f" of workload {options.workload}" if options.workload else ""))
    for place, one in enumerate(found):
        print("\n" * bool(place) + f"workload {plain(one.workload) or '- (plain calls)'}")
        _print_one(one)


def _print_one(economy: "Economy") -> None:
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
    if saving is not None and saving.cut_calls:
        print(
            f"a maximum of {saving.max_tokens:,} tokens (p99) would save {saving.share:.1%} of the output and cut "
            f"{saving.cut_calls:,} of {saving.calls:,} answers"
        )
