"""`headworks models compare`: what calls of a size cost with each of some models."""

import argparse
import time
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from headworks.calls import Usage
from headworks.catalogue import Cost, Period, Prices, TargetPrice
from headworks.catalogue.money import usd_text
from headworks.cli.lines import json_line
from headworks.cli.model_list import life
from headworks.cli.model_offers import Offer, Offers
from headworks.cli.parsing import UsageError
from headworks.cli.tables import GREY, Cell, Table, has_colours


class _Line(msgspec.Struct, frozen=True):
    """One model's answer. `surcharge` is how much of the cost is for long input."""

    offer: Offer
    cost: Cost | None
    surcharge: int
    remark: str


def compare_models(offers: Offers, options: argparse.Namespace) -> None:
    """Print it, the cheapest model first.

    Raises:
        CommandError: a model is not known, or the tokens contradict one another.
    """
    usage = _usage(options)
    lines = [_line(offers.find(name), usage, options.tier, offers) for name in dict.fromkeys(options.names)]
    lines.sort(key=lambda line: (line.cost is None, line.cost.total if line.cost else 0))
    if options.json:
        for line in lines:
            print(json_line(_as_json(line, options.calls)))
        return
    print(_question(options))
    cheapest = next((line.cost.total for line in lines if line.cost is not None), 0)
    head = ("MODEL", "INPUT", "CACHED", "WRITTEN", "OUTPUT", "A CALL", "ALL CALLS", "TIMES", "REMARK")
    table = Table(head, right=frozenset(range(1, 8)), coloured=has_colours())
    print("\n".join(table.lines([_row(line, options.calls, cheapest) for line in lines])))


def _usage(options: argparse.Namespace) -> Usage:
    if options.cached + options.cache_write > options.input:
        raise UsageError("--cached and --cache-write are parts of --input: together they are more than it")
    if options.reasoning > options.output:
        raise UsageError("--reasoning is a part of --output: it is more than it")
    return Usage(
        options.input, options.cached, options.cache_write, options.output, options.reasoning, source="provider"
    )


def _line(offer: Offer, usage: Usage, tier: str, offers: Offers) -> _Line:
    now_us = time.time_ns() // 1000
    cost = offer.price.cost(usage, at_us=now_us, tier=tier)
    if cost is None:
        return _Line(offer, None, 0, "no price is known")
    remarks = []
    surcharge = 0
    if cost.above:
        assert offer.price.prices is not None
        short = TargetPrice(_without_steps(offer.price.prices), "").cost(usage, at_us=now_us, tier=tier)
        assert short is not None
        surcharge = cost.total - short.total
        remarks.append(f"long context: above {cost.above:,} tokens of input, {usd_text(surcharge)} of it is surcharge")
    if cost.tier != tier and tier not in ("default", "auto"):
        remarks.append(f"no price for {tier}: {cost.tier}")
    if not cost.is_complete:
        remarks.append("some tokens have no price: more than this")
    context = offer.model.context_tokens if offer.model else None
    if context is not None and usage.input_tokens + usage.output_tokens > context:
        remarks.append(f"does not fit: its context is {context:,} tokens")
    if offer.model is not None and offer.model.shutdown_on:
        remarks.append(f"shut down: {life(offer, offers).text}")
    return _Line(offer, cost, surcharge, "; ".join(remarks))


def _without_steps(prices: Prices) -> Prices:
    def flat(periods: tuple[Period, ...]) -> tuple[Period, ...]:
        return tuple(msgspec.structs.replace(period, steps=()) for period in periods)

    tiers = {tier: flat(periods) for tier, periods in prices.tiers.items()}
    return msgspec.structs.replace(prices, periods=flat(prices.periods), tiers=tiers)


def _question(options: argparse.Namespace) -> str:
    parts = [f"{options.input:,} tokens of input"]
    if options.cached:
        parts.append(f"{options.cached:,} of them cached")
    if options.cache_write:
        parts.append(f"{options.cache_write:,} of them written to the cache")
    parts.append(f"{options.output:,} of output")
    calls = "1 call" if options.calls == 1 else f"{options.calls:,} calls"
    return f"{calls} of {', '.join(parts)}; tier {options.tier}; US dollars"


def _row(line: _Line, calls: int, cheapest: int) -> list[Cell]:
    cost = line.cost
    if cost is None:
        return [Cell(line.offer.name), *[Cell("-", GREY)] * 7, Cell(line.remark)]
    times = "1.00" if not cheapest else _times(cost.total, cheapest)
    amounts = (cost.input, cost.cached_input, cost.cache_write, cost.output, cost.total, cost.total * calls)
    return [Cell(line.offer.name), *(Cell(usd_text(each)) for each in amounts), Cell(times), Cell(line.remark)]


def _times(total: int, cheapest: int) -> str:
    return str((Decimal(total) / Decimal(cheapest)).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN))


def _as_json(line: _Line, calls: int) -> dict[str, object]:
    cost = line.cost
    return {
        "name": line.offer.name,
        "cost_pico_usd": None if cost is None else msgspec.to_builtins(cost) | {"total": cost.total},
        "call_usd": None if cost is None else usd_text(cost.total),
        "all_usd": None if cost is None else usd_text(cost.total * calls),
        "calls": calls,
        "surcharge_pico_usd": line.surcharge,
        "remark": line.remark,
    }
