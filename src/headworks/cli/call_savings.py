"""`headworks calls savings`: what model, cache and tier saved against a baseline that has a name, by workload and
month."""

import argparse
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

from headworks.cli.amounts import cost, usd
from headworks.cli.call_filters import common_arguments, microseconds, time_arguments
from headworks.cli.call_pages import all_calls
from headworks.cli.lines import json_line, note
from headworks.cli.tables import GREY, RED, Cell, Table, has_colours, plain

if TYPE_CHECKING:
    from headworks.catalogue import PriceArchive, PriceBook, Saving
    from headworks.config import Project
    from headworks.records import Store
    from headworks.records.ledger import Baseline, Ledger, Line, NotCompared, Repeated

SUMMARY = "Say what model, caching and tier saved against a named baseline, by workload and month"

_DESCRIPTION = """\
Say what choices saved, by workload and month: each call's own tokens are charged again by the price table that the
call was settled at, as if nobody had chosen anything.

The baseline has a name. It is the top rung of each workload's ladder, all input at the full price, in the standard
tier; --baseline names another model for all calls. Calls of no workload are compared with the model that they asked
for, so only caching and tier count there. The same tokens are taken for both models: another model may need more or
fewer for the same text, and nobody counted them.

  model   calling the cheaper model
  cache   reading from the provider's prompt cache, less what writing to it cost; below zero, caching loses money
  tier    batch and flex; priority is dearer, and below zero

The three sum to what was saved, to the pico-dollar. Where two choices work on the same tokens (half the price of a
cheaper model), each gets the mean of what it changes over all orders of choosing (the Shapley value).

What the response cache saved stands by itself, in no sum: the calls that were given an earlier call's answer, and what
those earlier calls cost.

Nothing is invented. What a maximum or a stop sequence saved, no record tells, and it is in no sum: of answers that were
cut, the most that it can have been is shown. Calls that cannot be compared are counted, with the reason.
"""

_WHY = {
    "unknown cost": "what they cost is not known",
    "not itemised": "their tokens do not come to their cost (several attempts, or more than text)",
    "no price table": "their price table is not kept here",
    "no baseline price": "their price table has no price of the baseline's model",
}


def savings_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; `parser` is the action's."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "--baseline", metavar="MODEL", help="compare with this model: a role, a public name or provider/model"
    )
    parser.add_argument("--workload", metavar="NAME", help="of this workload; all of them without it")
    time_arguments(parser, has_defaults=False)
    common_arguments(parser, has_defaults=False)


def show_savings(store: "Store", project: "Project", options: argparse.Namespace) -> None:
    """Print the ledger.

    Raises:
        CommandError: the project has no model of the name that `--baseline` gives.
    """
    from headworks.catalogue import PriceArchive
    from headworks.records import Selection
    from headworks.records.ledger import LedgerSums

    sums = LedgerSums(_books(PriceArchive(project.storage)), _baselines(project, options.baseline))
    selection = Selection(
        since_us=microseconds(options.since),
        until_us=microseconds(options.until),
        workload=options.workload or "",
        is_newest_first=False,
    )
    for page in all_calls(store, selection):
        sums.add(page)
    ledger = sums.ledger()
    if options.json:
        _print_json(ledger)
    elif not ledger.lines and not ledger.left_out and not ledger.repeated:
        note("no call that cost anything is recorded in that time")
    else:
        _print_text(ledger, is_named=options.baseline is not None)


def _books(archive: "PriceArchive") -> "Callable[[str], PriceBook | None]":
    from headworks.errors import StorageError

    known: dict[str, PriceBook | None] = {}

    def book_of(version: str) -> "PriceBook | None":
        if version not in known:
            try:
                known[version] = archive.book(version) if version else None
            except StorageError as error:
                note(str(error))
                known[version] = None
        return known[version]

    return book_of


def _baselines(project: "Project", name: str | None) -> "Callable[[str], Baseline | None]":
    """What calls of a workload are compared with: the model of that name, or else the top of the ladder."""
    from headworks.config import DETERMINISTIC, load_workloads, model_of_rung
    from headworks.errors import CommandError, ConfigError
    from headworks.records.ledger import Baseline

    def baseline(rung: str) -> "Baseline | None":
        target = model_of_rung(project.config, rung)
        return None if target is None else Baseline(target.provider, target.model)

    if name is not None:
        named = baseline(name)
        if named is None:
            raise CommandError(f"--baseline {name}: the project has no such model; `headworks models list` has them")
        return lambda _: named
    tops: dict[str, Baseline | None] = {}
    try:
        for workload in load_workloads(project):
            rungs = [rung for rung in workload.contract.ladder if rung != DETERMINISTIC]
            tops[workload.name] = baseline(rungs[-1]) if rungs else None
    except ConfigError as error:
        note(f"the ladders are not known, and calls are compared with the model that they asked for: {error}")
    return tops.get


def _print_text(ledger: "Ledger", *, is_named: bool) -> None:
    head = ("WORKLOAD", "MONTH", "BASELINE", "CALLS", "WOULD COST", "PAID", "SAVED", "SHARE", "MODEL", "CACHE", "TIER")
    table = Table(head, right=frozenset(range(3, 11)), coloured=has_colours())
    rows = [_row(line.workload or "-", line.month, _name(line), line.calls, line.saving, line) for line in ledger.lines]
    if len(rows) > 1:
        whole = _sum(line.saving for line in ledger.lines)
        is_estimated = any(line.estimated for line in ledger.lines)
        calls = sum(line.calls for line in ledger.lines)
        rows.append(_row("total", "", "", calls, whole, None, is_estimated=is_estimated))
    if rows:
        print("\n".join(table.lines(rows)))
    what = "that --baseline names" if is_named else "at the top of each workload's ladder"
    print(f"\nbaseline: the model {what}, all input at the full price, standard tier; the same tokens")
    for line in ledger.lines:
        for text in _remarks(line):
            print(plain(f"{line.workload or '-'} {line.month}: {text}"))
    print(_output_limits(ledger.lines))
    for repeated in ledger.repeated:
        print(plain(_repeated(repeated)))
    for one in ledger.left_out:
        print(plain(_left_out(one)))


def _row(
    workload: str,
    month: str,
    baseline: str,
    calls: int,
    saving: "Saving",
    line: "Line | None",
    *,
    is_estimated: bool = False,
) -> list[Cell]:
    is_estimated = is_estimated or (line is not None and line.estimated > 0)
    share = f"{Decimal(saving.total) / saving.baseline:.1%}" if saving.baseline else "-"
    return [
        Cell(workload),
        Cell(month),
        Cell(baseline),
        Cell(f"{calls:,}"),
        Cell(cost(saving.baseline, is_estimated=is_estimated)),
        Cell(cost(saving.paid, is_estimated=is_estimated)),
        _amount(saving.total),
        Cell(share),
        _amount(saving.model),
        _amount(saving.cache),
        _amount(saving.tier),
    ]


def _amount(pico: int) -> Cell:
    return Cell(cost(pico), RED if pico < 0 else 0 if pico else GREY)


def _name(line: "Line") -> str:
    return f"{line.baseline.provider}/{line.baseline.model}" if line.baseline else "as asked for"


def _sum(savings: "Iterable[Saving]") -> "Saving":
    from headworks.catalogue import Saving

    parts = [(one.baseline, one.paid, one.model, one.cache, one.tier) for one in savings]
    return Saving(*(sum(column) for column in zip(*parts, strict=True)))


def _remarks(line: "Line") -> list[str]:
    found = []
    if line.cache_writes > line.cache_reads:
        found.append(
            f"caching lost {cost(line.cache_writes - line.cache_reads)}: writes cost {cost(line.cache_writes)} more "
            f"than plain input, reads saved {cost(line.cache_reads)} (`headworks calls cache` says why)"
        )
    if len(line.tiers) > 1:
        found.append("of the tier: " + ", ".join(f"{tier} {cost(saved)}" for tier, saved in line.tiers.items()))
    if line.estimated:
        found.append(f"the tokens of {line.estimated:,} calls were counted here (~)")
    return found


def _output_limits(lines: "Iterable[Line]") -> str:
    cuts = [line.cut for line in lines if line.cut.calls]
    text = "output limits: what a maximum or a stop sequence saved is not known, and in no sum"
    if not cuts:
        return text
    calls = sum(cut.calls for cut in cuts)
    most = [cut.most_pico for cut in cuts]
    known = [one for one in most if one is not None]
    bound = f"at most {cost(sum(known))}" if len(known) == len(most) else "no bound of it is known"
    answers = "1 answer was" if calls == 1 else f"{calls:,} answers were"
    return f"{text}; {answers} cut at a maximum: {bound}"


def _repeated(one: "Repeated") -> str:
    calls = "1 call of" if one.calls == 1 else f"{one.calls:,} calls of"
    unknown = f", without {one.unknown:,} of unknown cost" if one.unknown else ""
    where = f"{calls} {one.workload or '-'} in {one.month}"
    return f"response cache: {where} answered again: {cost(one.saved_pico)} saved{unknown}"


def _left_out(one: "NotCompared") -> str:
    paid = f", {cost(one.cost_pico)}" if one.cost_pico else ""
    return f"not compared: {one.calls:,} of {one.workload or '-'} in {one.month}{paid}: {_WHY[one.why]}"


def _print_json(ledger: "Ledger") -> None:
    for line in ledger.lines:
        saving = line.saving
        print(
            json_line(
                {
                    "workload": line.workload,
                    "month": line.month,
                    "baseline": _name(line) if line.baseline else None,
                    "calls": line.calls,
                    "estimated": line.estimated,
                    "baseline_usd": usd(saving.baseline),
                    "paid_usd": usd(saving.paid),
                    "saved_usd": usd(saving.total),
                    "parts_usd": {"model": usd(saving.model), "cache": usd(saving.cache), "tier": usd(saving.tier)},
                    "tiers_usd": {tier: usd(saved) for tier, saved in line.tiers.items()},
                    "cache_reads_saved_usd": usd(line.cache_reads),
                    "cache_writes_cost_usd": usd(line.cache_writes),
                    "output_limits": {
                        "saved_usd": None,
                        "cut_calls": line.cut.calls,
                        "at_most_usd": usd(line.cut.most_pico),
                    },
                    "price_versions": ledger.price_versions,
                }
            )
        )
    for repeated in ledger.repeated:
        print(
            json_line(
                {
                    "workload": repeated.workload,
                    "month": repeated.month,
                    "response_cache_calls": repeated.calls,
                    "response_cache_saved_usd": usd(repeated.saved_pico),
                    "unknown_costs": repeated.unknown,
                }
            )
        )
    for one in ledger.left_out:
        print(
            json_line(
                {
                    "workload": one.workload,
                    "month": one.month,
                    "not_compared": one.why,
                    "calls": one.calls,
                    "paid_usd": usd(one.cost_pico),
                }
            )
        )
