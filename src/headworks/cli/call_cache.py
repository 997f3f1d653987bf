"""`headworks calls cache`: the measured hit rate beside the achievable one, the money between, and where calls part."""

import argparse
from typing import TYPE_CHECKING

from headworks.cli.amounts import cost, usd
from headworks.cli.call_filters import common_arguments, count, microseconds, time_arguments
from headworks.cli.lines import json_line, note
from headworks.cli.tables import GREY, RED, YELLOW, Cell, Table, has_colours, plain, tokens

if TYPE_CHECKING:
    from headworks.caching import CacheReport, Money
    from headworks.cli.call_prefixes import Found, Sight
    from headworks.config import Project
    from headworks.records import Store

SUMMARY = "Say how much of the input came from prompt caches, how much could have, and what keeps it out"

MOST_CALLS = 1_000

_WORTH_MOVING = 128
"""Tokens of fixed text: a provider's cache takes a prefix by so many (OpenAI prompt-caching guide, 2026-11)."""

_DESCRIPTION = """\
Say for each workload, prompt version and model how much of the input was read from the provider's prompt cache, how
much could have been, and what lies between in money.

  HIT RATE    cached tokens of all input tokens, as the provider counted them
  ACHIEVABLE  the same calls, in their order, sent through a cache that works as the provider documents: the shortest
              prefix that it keeps, its steps, its time to live, about 15 requests a minute for one prefix and key
              (OpenAI), and one key for all where that reads more than the callers' own. What was measured counts as
              achievable, too.
  SAVED       what reading saved less what writing cost; below zero, caching loses money
  TO GAIN     what the cheapest way of using the cache would have cost less: every prefix by itself, one prefix with an
              explicit breakpoint behind it, or no cache at all

Below the table stands where calls part that began alike: the first byte of what the model reads (tools, schema,
messages) at which they differ, and the line of the template that is the cause.

Prefixes come from text that is kept (`retention.content`), or from keyed hashes of the first 32 KiB
(`retention.prefixes: true` in the contract). Where neither is kept, what is achievable is not known. Where a token
lies in a text is reckoned from its bytes. Calls of several attempts are left out.
"""

_WAYS = {
    "automatic": "a cache that takes every prefix",
    "marked": "an explicit breakpoint",
    "none": "no cache (explicit mode without breakpoints)",
}


def cache_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags; `parser` is the action's."""
    parser.description = _DESCRIPTION
    parser.add_argument("--workload", metavar="NAME", help="of this workload; all of them without it")
    parser.add_argument(
        "--calls", type=count, metavar="N", help=f"the last N answered calls of each workload. Default: {MOST_CALLS:,}"
    )
    time_arguments(parser, has_defaults=False)
    common_arguments(parser, has_defaults=False)


def show_cache(store: "Store", project: "Project", options: argparse.Namespace) -> None:
    """Print the report, for one workload or for all."""
    from headworks.cli.call_prefixes import Prefixes
    from headworks.records import Selection

    since_us, until_us = microseconds(options.since), microseconds(options.until)
    names = [str(total.group[0]) for total in store.totals(("workload",), since_us, until_us) if total.group[0]]
    prefixes = Prefixes(store, project, note)
    sights = []
    for name in [options.workload] if options.workload else sorted(names):
        selection = Selection(
            since_us=since_us, until_us=until_us, workload=name, outcomes=("answered",), limit=options.calls
        )
        sights += prefixes.sights(name, store.select(selection))
    if options.json:
        for sight in sights:
            print(json_line(_for_machines(sight)))
    elif not sights:
        note("no answered call of a workload is recorded in that time")
    else:
        _print(sights)


def _print(sights: "list[Sight]") -> None:
    head = ("WORKLOAD", "PROMPT VERSION", "MODEL", "CALLS", "IN", "HIT RATE", "ACHIEVABLE", "SAVED", "TO GAIN")
    table = Table(head, right=frozenset(range(3, 9)), coloured=has_colours())
    print("\n".join(table.lines([_row(sight) for sight in sights])))
    for sight in sights:
        lines = _remarks(sight)
        if lines:
            print(plain(f"{sight.workload} {sight.prompt_version or '-'} on {sight.provider}/{sight.model}:"))
            print("\n".join(plain(f"  {line}") for line in lines))


def _row(sight: "Sight") -> list[Cell]:
    report = sight.report
    known = report or sight
    rate = known.cached_tokens / known.input_tokens if known.input_tokens else 0.0
    money = None if report is None else report.money
    lost = money is not None and money.saved < 0
    return [
        Cell(sight.workload),
        Cell(sight.prompt_version or "-"),
        Cell(f"{sight.provider}/{sight.model}"),
        Cell(f"{known.calls:,}"),
        Cell(tokens(known.input_tokens)),
        Cell(f"{rate:.1%}" if known.input_tokens else "-"),
        Cell("-" if report is None else f"{report.achievable_rate:.1%}"),
        Cell(cost(None if money is None else money.saved), RED if lost else 0),
        Cell(cost(None if money is None else money.between), YELLOW if money and money.between else GREY),
    ]


def _remarks(sight: "Sight") -> list[str]:
    report = sight.report
    found = []
    if report is None:
        if sight.calls:
            found.append(
                "what is achievable is not known: neither text nor fingerprints are kept of these calls "
                "(`retention.prefixes: true` in the contract has fingerprints kept from then on)"
            )
    else:
        if report.calls < sight.calls:
            found.append(f"of {sight.calls:,} calls, the prefixes of {report.calls:,} are known: these are shown")
        if sight.is_redacted:
            found.append("the text was redacted before it was kept: where only redacted values differ, nothing shows")
        found += _money(report)
        if report.split_tokens:
            found.append(
                f"callers send {report.keys:,} cache keys: {tokens(report.split_tokens)} tokens could be read if all "
                "calls had one (`prompt_cache_key` left out is the workload's own)"
            )
        found += [_parting(one, report) for one in sight.found]
    if sight.rules.assumed and report is not None:
        found.append(f"assumed, for the catalogue does not say it of this model: {', '.join(sight.rules.assumed)}")
    if sight.left_out:
        found.append(f"{sight.left_out:,} calls more are left out: several attempts, or no count of the provider's")
    return found


def _money(report: "CacheReport") -> list[str]:
    money = report.money
    if money is None:
        return ["no price is known: `prices` in headworks.yaml can say it"]
    found = []
    if money.saved < 0:
        found.append(
            f"caching loses {cost(-money.saved)}: {tokens(report.written_tokens)} tokens were written at more than the "
            f"price of input, and {tokens(report.cached_tokens)} were read"
        )
    if money.between:
        found.append(_to_gain(report, money))
    return found


def _to_gain(report: "CacheReport", money: "Money") -> str:
    from headworks.caching import BLOCK_BYTES

    way, _ = money.best
    text = f"{_WAYS[way]} would have cost {cost(money.between)} less"
    if way == "marked":
        end = report.marked_blocks * BLOCK_BYTES
        share = report.marked_tokens / report.input_tokens
        text += f": behind the first {end:,} bytes, with {share:.1%} of the input read from the cache"
    return text


def _parting(one: "Found", report: "CacheReport") -> str:
    parting, cause = one.parting, one.cause
    where = f"{one.first_byte:,}" if one.first_byte == one.last_byte else f"{one.first_byte:,} to {one.last_byte:,}"
    text = f"{parting.calls:,} of {report.calls:,} calls part in {parting.branches:,} ways at byte {where}: "
    likely = "" if cause.is_known or not cause.line else ", or something behind it (no text is kept that would tell)"
    if cause.line:
        names = ", ".join(f"`{name}`" for name in cause.names)
        what = f"prompt.md:{cause.line}:{cause.column}" + (f", {names}" if names else "")
    elif cause.is_callers:
        what = "the caller's own messages"
    elif cause.part:
        what = f"`{cause.part}` of the request"
    else:
        what = "why is not known"
        what += "" if cause.is_known else ", for no text is kept that would tell"
    text += what + likely
    if cause.fixed_tokens >= _WORTH_MOVING:
        text += f"; about {cause.fixed_tokens:,} tokens of fixed text stand behind it: move it behind them"
        if one.at_most_pico:
            text += f" (worth at most ~{cost(one.at_most_pico)})"
    return text


def _for_machines(sight: "Sight") -> dict[str, object]:
    report = sight.report
    known = report or sight
    shown: dict[str, object] = {
        "workload": sight.workload,
        "prompt_version": sight.prompt_version,
        "prompt_hash": sight.prompt_hash,
        "provider": sight.provider,
        "model": sight.model,
        "calls": known.calls,
        "calls_without_prefix": sight.calls - (report.calls if report else 0),
        "calls_left_out": sight.left_out,
        "input_tokens": known.input_tokens,
        "cached_tokens": known.cached_tokens,
        "cache_write_tokens": known.written_tokens,
        "achievable_tokens": None,
        "is_redacted": sight.is_redacted,
        "assumed": sight.rules.assumed,
        "money": None,
        "partings": (),
    }
    if report is None:
        return shown
    shown |= {
        "achievable_tokens": report.achievable_tokens,
        "cache_keys": report.keys,
        "tokens_lost_to_keys": report.split_tokens,
        "partings": [
            {
                "first_byte": one.first_byte,
                "last_byte": one.last_byte,
                "calls": one.parting.calls,
                "branches": one.parting.branches,
                "tokens_behind": one.parting.tokens_behind,
                "part": one.cause.part,
                "line": one.cause.line or None,
                "column": one.cause.column or None,
                "variables": one.cause.names,
                "is_callers": one.cause.is_callers,
                "fixed_tokens_behind": one.cause.fixed_tokens,
                "at_most_usd": usd(one.at_most_pico),
                "is_known": one.cause.is_known,
            }
            for one in sight.found
        ],
    }
    if report.money is not None:
        shown["money"] = _money_for_machines(report, report.money)
    return shown


def _money_for_machines(report: "CacheReport", money: "Money") -> dict[str, object]:
    from headworks.caching import BLOCK_BYTES

    way, best = money.best
    return {
        "input_paid_usd": usd(money.paid),
        "without_cache_usd": usd(money.without),
        "automatic_usd": usd(money.automatic),
        "marked_usd": usd(money.marked),
        "marked_bytes": report.marked_blocks * BLOCK_BYTES or None,
        "saved_usd": usd(money.saved),
        "cheapest": way,
        "cheapest_usd": usd(best),
        "to_gain_usd": usd(money.between),
    }
