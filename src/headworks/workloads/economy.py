"""Sections of a plan about quantities: volume, the prompt cache, where the knowledge comes from."""

import math
from collections.abc import Iterator
from fractions import Fraction

from headworks.catalogue.money import dollars, mean_pico
from headworks.workloads.plan import DAYS_PER_MONTH, Decision, Given, many

CACHE_MINIMUM = 1024
CACHE_STEP = 128
"""A prefix is cached from so many tokens on, in such steps (OpenAI prompt-caching guide, 2026-11)."""

CACHE_TTL_S = 1800.0
"""A prefix is kept so long after its last use (the guide's `30m`)."""

WORTH_CACHING = 0.25 / (0.25 + 0.9)
"""The hit rate at which caching pays for itself where writes are billed at 1.25 and reads at 0.1 of the input price:
each miss costs 0.25 more, each hit 0.9 less."""

PEAK_FACTOR = 10
"""The busiest minute against the mean one, where nobody knows better: a working day's calls in few hours, unevenly."""

_LARGE_INPUT = 20_000
_LARGE_PROMPT = 8_000
_LONG_CONTEXT = 272_000
"""Above it the whole call is priced higher (OpenAI price list, 2026-11)."""

_TUNING_CALLS_PER_DAY = 10_000
_TUNING_CASES = 100


def volume(given: Given) -> Iterator[Decision]:
    """Calls and tokens of a month, and the busiest minute."""
    source = given.volume_source
    calls = given.calls_per_day * DAYS_PER_MONTH
    per_call = f"{given.input_tokens:,.0f} input and {given.output_tokens:,.0f} output tokens a call"
    basis = f"{given.calls_per_day:,.0f} calls a day" + (", as recorded" if source == "traffic" else "")
    yield Decision("calls a month", many(calls), basis, source, "")
    yield Decision("input tokens a month", many(calls * given.input_tokens), per_call, source, "")
    yield Decision("output tokens a month", many(calls * given.output_tokens), per_call, source, "")
    measured = given.measured
    if measured is not None and measured.known_costs:
        month = round(Fraction(measured.cost_pico, measured.known_costs) * Fraction(calls))
        reason = (
            f"{dollars(mean_pico(measured.cost_pico, measured.known_costs))} a call, the mean of "
            f"{measured.known_costs:,} recorded calls"
        )
        unknown = measured.calls - measured.known_costs
        reason += f"; what {unknown:,} more cost is not known" if unknown else ""
        yield Decision("cost a month", dollars(month), reason, "traffic", "")
    peak = given.contract.volume.peak_per_minute
    if peak:
        tokens = peak * (given.input_tokens + given.output_tokens)
        reason = "what the provider's limits of requests and tokens a minute must allow"
        yield Decision("busiest minute", f"{peak:,} calls, {many(tokens)} tokens", reason, "contract", "")
    else:
        assumed = max(1, math.ceil(given.calls_per_day / 1440 * PEAK_FACTOR))
        yield Decision(
            "busiest minute",
            "How many calls come in the busiest minute?",
            f"rate limits are sized by it; until `volume.peak_per_minute` says so, {assumed:,} ({PEAK_FACTOR} times "
            "the mean) is assumed",
            "ask",
        )


def cache(given: Given) -> Iterator[Decision]:
    """How the prompt is laid out, and how much of the input can come from the provider's cache."""
    facts = given.facts
    prefix = facts.cacheable_tokens
    order = [name for name, there in (
        ("tools", bool(facts.tools)), ("schema", facts.has_schema), ("prompt's static part", facts.has_prompt),
    ) if there]  # fmt: skip
    layout = ", ".join((*order, "then variables and input"))
    yield Decision(
        "layout", layout, "equal bytes first: a cache holds prefixes, and ends at the first change", "default"
    )
    if facts.has_prompt and facts.prefix_tokens < facts.prompt_tokens * 0.9:
        late = facts.prompt_tokens - facts.prefix_tokens
        yield Decision(
            "static text after a variable",
            f"about {late:,} tokens",
            "they are never cached: move them before the first variable",
            "default",
            "you",
        )
    if prefix < CACHE_MINIMUM:
        reason = f"the prefix has about {prefix:,} tokens, and a provider caches from {CACHE_MINIMUM:,} on"
        yield Decision("cache", "none", reason, "default", "")
    else:
        yield from _hit_rate(given, prefix // CACHE_STEP * CACHE_STEP)
    measured = given.measured
    if measured is not None and measured.input_tokens:
        share = measured.cached_tokens / measured.input_tokens
        yield Decision(
            "measured share", f"{share:.0%} of input tokens", f"{measured.calls:,} recorded calls", "traffic", ""
        )


def _hit_rate(given: Given, prefix: int) -> Iterator[Decision]:
    # Arrivals at random: a prefix is still there if another call came within its time to live.
    calls_in_ttl = given.calls_per_day / 86_400 * CACHE_TTL_S
    hit_rate = 1 - math.exp(-calls_in_ttl)
    often = f"{calls_in_ttl:,.1f} calls within the {CACHE_TTL_S / 60:g} minutes that it is kept"
    source = given.volume_source
    if hit_rate < WORTH_CACHING:
        reason = f"{often}: too few for the writes, at 1.25 times the input, to pay (from {WORTH_CACHING:.0%} on)"
        yield Decision("cache", "explicit mode without breakpoints", reason, source, "you")
        return
    kind, facts = "" if given.model is None else given.model.kind, given.facts
    if kind in ("openai", "simulator"):
        key = f"{given.workload.name} and the prompt's version"
        reason = "equal keys meet in the same cache; a new version begins its own"
        yield Decision("cache", f"on, key: {key}", reason, source)
    elif kind == "anthropic" and facts.has_prompt:
        reason = "its cache holds what a mark ends: the prompt's prefix is marked, unless `cache.breakpoint` is `off`"
        yield Decision("cache", "on, by breakpoint", reason, source)
    elif kind == "anthropic":
        reason = "its cache holds what a breakpoint ends: callers send `prompt_cache_key`, which sets one"
        yield Decision("cache", "on, by breakpoint", reason, source, "you")
    else:
        yield Decision("cache", "on", "the provider's own, by equal prefixes", source, "")
    share = min(1.0, hit_rate * prefix / given.input_tokens) if given.input_tokens else 0.0
    reason = f"{hit_rate:.0%} of calls find the first {prefix:,} tokens ({often}); a call has {given.input_tokens:,.0f}"
    yield Decision("expected hit rate", f"{share:.0%} of input tokens", reason, source, "")
    cached = given.calls_per_day * DAYS_PER_MONTH * hit_rate * prefix
    yield Decision("cached tokens a month", many(cached), "they cost a tenth of fresh ones, or less", source, "")


def knowledge(given: Given) -> Iterator[Decision]:
    """Prompting, retrieval or fine-tuning."""
    facts = given.facts
    variable = given.contract.volume.input_tokens
    yield Decision(
        "first", "prompting", "the cheapest to change; the golden set says when it is not enough", "default", "you"
    )
    if facts.prompt_tokens > _LARGE_PROMPT:
        reason = (
            f"the prompt has about {facts.prompt_tokens:,} tokens of its own: send only the parts that a call needs"
        )
        yield Decision("retrieval", "try it against the golden set", reason, "default", "you")
    elif variable > _LARGE_INPUT:
        yield Decision(
            "retrieval",
            "Are the inputs cut from the same documents again and again?",
            f"a call has {variable:,} tokens of input: an index would send only the passages that matter",
            "ask",
        )
    else:
        yield Decision(
            "retrieval",
            "Does a right answer need facts that are in neither prompt nor input?",
            "then they must be retrieved; a model's own memory is old, and cannot be cited",
            "ask",
        )
    yield _tuning(given)
    if given.input_tokens > _LONG_CONTEXT:
        reason = f"above {_LONG_CONTEXT:,} input tokens a whole call is priced higher"
        yield Decision("long context", "shorten the input", reason, given.source("volume", "input_tokens"), "you")


def _tuning(given: Given) -> Decision:
    is_frequent = given.calls_per_day >= _TUNING_CALLS_PER_DAY
    if not is_frequent:
        reason = (
            f"below {_TUNING_CALLS_PER_DAY:,} calls a day a shorter prompt saves less than the upkeep of a model costs"
        )
        return Decision("fine-tuning", "no", reason, given.volume_source, "you")
    if given.facts.golden_cases < _TUNING_CASES:
        cases = given.facts.golden_cases
        reason = f"the volume would carry it, but a gain shows in {_TUNING_CASES} golden cases, not in {cases}"
        return Decision("fine-tuning", "not yet", reason, given.volume_source, "you")
    reason = "volume and golden set would carry it; OpenAI takes its last self-serve job on 2027-01-06"
    return Decision("fine-tuning", "compare it, if the bar is missed by prompting", reason, given.volume_source, "you")
