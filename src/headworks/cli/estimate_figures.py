"""The figures of `headworks estimate`: from flags, from recorded calls, from a contract, each with what it is worth."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from headworks.catalogue import TargetPrice
from headworks.config import Project, Workload, store_url
from headworks.records import Record, Selection, catch_up, has_store, open_store
from headworks.workloads import Assumption, Facts, FigureSource, Load, fixed

_MOST_CALLS = 20_000
"""Calls that traffic is judged by: the latest ones, as for the plan."""

_DAY_S = 86_400
_HOUR_S = 3600
_FIFTH = Fraction(1, 5)
"""How far off an assumed count may be: counting without the model's tokenizer is no better (`catalogue.tokens`)."""

_COUNT_ERROR = {"exact": Fraction(1, 20), "presumed": Fraction(1, 10), "estimated": _FIFTH}
"""How far off a count of the prompt may be. The text is exact, how a provider writes tools and schema is its own."""

_CACHE = (Fraction(4, 10), Fraction(55, 100), Fraction(7, 10))
"""How much of a static prefix is read from the cache where nothing is measured."""

Flags = Mapping[str, tuple[Fraction, Fraction, Fraction]]


def from_flags(flags: Flags, *, tier: str) -> Load:
    """What flags say, and defaults for the rest. Calls a day, input and output are among them."""
    return _load({}, flags, tier=tier)


def from_workload(
    workload: Workload, facts: Facts, records: Sequence[Record], flags: Flags, *, tier: str, bound: int, now: float
) -> Load:
    """A workload's month: by flags, else by its recorded calls, else by its contract.

    Arguments:
        records: calls whose usage is known; may be none.
        bound: above how much input a call counts as long; 0 for never.
        now: seconds since the Unix epoch.
    """
    known = _contracted(workload, facts)
    if records:
        known |= _measured(records, facts, bound=bound, now=now)
    return _load(known, flags, tier=tier)


def first_bound(price: TargetPrice) -> int:
    """Above how much input a model's calls are dearer; 0 for never."""
    periods = () if price.prices is None else price.prices.periods
    return min((step.above for period in periods for step in period.steps), default=0)


def measured_calls(project: Project, name: str, *, since_s: float) -> list[Record]:
    """The latest recorded calls of a workload whose usage is known; none where nothing is recorded."""
    url = store_url(project)
    if not has_store(project.storage, url):
        return []
    catch_up(project.storage, url, report=lambda text: print(f"headworks estimate: {text}", file=sys.stderr))
    store = open_store(project.storage, url)
    try:
        selection = Selection(since_us=round((time.time() - since_s) * 1e6), model=name, limit=_MOST_CALLS)
        found = store.select(selection)
        return [one for one in found if one.requested_model == name and one.usage_source != "none"]
    finally:
        store.close()


def recorded_costs(records: Sequence[Record]) -> tuple[dict[str, tuple[int, int]], int]:
    """What recorded calls have cost: by provider and model, the most frequent first, how many there are of known cost
    and their cost together, in pico-dollars; and of how many the cost is not known."""
    found: dict[str, tuple[int, int]] = {}
    unknown = 0
    for one in records:
        if one.cost_pico is None:
            unknown += 1
        else:
            name = f"{one.provider}/{one.model}" if one.provider else "no one model"
            calls, cost = found.get(name, (0, 0))
            found[name] = calls + 1, cost + one.cost_pico
    return dict(sorted(found.items(), key=lambda item: (-item[1][0], item[0]))), unknown


def _load(known: dict[str, Assumption], flags: Flags, *, tier: str) -> Load:
    figures = dict(known)
    for flag, (low, value, high) in flags.items():
        name = "prefix_tokens" if flag == "static_tokens" else flag
        figures[name] = Assumption(name, value, low, high, "given", "by flag")
    if "cache_share" in flags or "static_tokens" in flags:
        figures.pop("write_share", None)
        # A share that was measured is one of the prefix that was measured.
        if "cache_share" not in flags:
            figures.pop("cache_share", None)
    if "cache_share" not in figures:
        low, value, high = _CACHE
        figures["cache_share"] = Assumption("cache_share", value, low, high, "default", "nothing is measured")
    figures.setdefault("prefix_tokens", fixed("prefix_tokens", 0, "default", "nobody says that there are any"))
    figures.setdefault("reasoning_tokens", fixed("reasoning_tokens", 0, "default", "nobody says that there are any"))
    figures.setdefault("batch_share", fixed("batch_share", 0, "default", "nobody says that calls may wait"))
    return Load(**figures, tier=tier)


def _contracted(workload: Workload, facts: Facts) -> dict[str, Assumption]:
    volume = workload.contract.volume

    def about(name: str, count: int, note: str) -> Assumption:
        source: FigureSource = "contract" if ("volume", name) in workload.places else "default"
        exact = Fraction(count)
        return Assumption(name, exact, exact * (1 - _FIFTH), exact * (1 + _FIFTH), source, note)

    whole = facts.static_tokens + volume.input_tokens
    counted, off = Fraction(facts.cacheable_tokens), _COUNT_ERROR[facts.certainty]
    return {
        "calls_per_day": about("calls_per_day", volume.calls_per_day, "volume.calls_per_day"),
        "input_tokens": about(
            "input_tokens", whole, f"volume.input_tokens, and {facts.static_tokens:,} counted in the files"
        ),
        "output_tokens": about("output_tokens", volume.output_tokens, "volume.output_tokens"),
        "prefix_tokens": Assumption(
            "prefix_tokens",
            counted,
            counted * (1 - off),
            counted * (1 + off),
            "contract",
            "tools, schema, and the prompt before its first variable, counted",
        ),
    }


def _measured(records: Sequence[Record], facts: Facts, *, bound: int, now: float) -> dict[str, Assumption]:
    """Means over recorded calls, at least one, each with two standard errors to both sides."""
    days = Fraction(max(now - min(one.opened_us for one in records) / 1e6, _HOUR_S)) / _DAY_S
    long = [one for one in records if bound and one.input_tokens > bound]
    short = [one for one in records if not bound or one.input_tokens <= bound] or long
    prefix = max(facts.cacheable_tokens, *(one.cached_tokens + one.cache_write_tokens for one in records), 0)
    calls = len(records)
    error = Fraction(2 * math.isqrt(calls))
    note = f"{calls:,} recorded calls" + (" in " + _span(days))
    found = {
        "calls_per_day": Assumption(
            "calls_per_day",
            calls / days,
            max(Fraction(0), calls - error) / days,
            (calls + error) / days,
            "traffic",
            note,
        ),
        "input_tokens": _mean("input_tokens", short, lambda one: one.input_tokens),
        "output_tokens": _mean("output_tokens", records, lambda one: one.output_tokens),
        "reasoning_tokens": _mean("reasoning_tokens", records, lambda one: one.reasoning_tokens),
        "prefix_tokens": fixed("prefix_tokens", prefix, "traffic", "the longest that a cache held, or the files have"),
    }
    per = prefix or 1
    found["cache_share"] = _mean("cache_share", records, lambda one: one.cached_tokens, per=per)
    found["write_share"] = _mean("write_share", records, lambda one: one.cache_write_tokens, per=per)
    if long:
        found["long_share"] = fixed("long_share", Fraction(len(long), calls), "traffic", f"{len(long):,} calls")
        found["long_input_tokens"] = _mean("long_input_tokens", long, lambda one: one.input_tokens)
    return found


def _mean(name: str, records: Sequence[Record], figure: Callable[[Record], int], *, per: int = 1) -> Assumption:
    values = [figure(one) for one in records]
    count = len(values)
    mean = Fraction(sum(values), count)
    # The error needs no exactness, and a variance over 20,000 fractions takes a second: floats do.
    spread = math.sqrt(sum((value - float(mean)) ** 2 for value in values) / count)
    error = Fraction(round(2000 * spread / math.sqrt(count)), 1000)
    low, high = max(Fraction(0), mean - error) / per, (mean + error) / per
    if name.endswith("_share"):
        high = min(high, Fraction(1))
    return Assumption(name, mean / per, low, high, "traffic", f"mean of {count:,} recorded calls")


def _span(days: Fraction) -> str:
    return f"{float(days):.1f} days" if days >= 1 else f"{float(days * 24):.1f} hours"
