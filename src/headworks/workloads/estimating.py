"""What a month of calls costs: volume x tokens x shares x prices, with a range and what each figure is worth. Pure.

Figures are exact fractions, prices whole pico-dollars. Each part of an estimate is rounded once, at the end, to a whole
pico-dollar (halves to the even side), and the total is the sum of the parts: against calls priced one by one it is
off by half a pico-dollar for each part at most.
"""

import itertools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Literal

import msgspec

from headworks.catalogue import STANDARD, CacheFacts, TargetPrice, deck_of
from headworks.catalogue.tariffs import Tariff
from headworks.workloads.plan import DAYS_PER_MONTH

FigureSource = Literal["traffic", "contract", "given", "default"]
"""Where a figure is from: measured on recorded calls; or assumed: the contract says it, the command does, or nobody."""

BATCH = "batch"
_TENTH = Fraction(11, 10)
_SHARES = frozenset({"cache_share", "write_share", "batch_share", "long_share"})


class Assumption(msgspec.Struct, frozen=True):
    """A figure that an estimate rests on: what it most likely is, and between what bounds it lies.

    `note` says in words where it is from.
    """

    name: str
    value: Fraction
    low: Fraction
    high: Fraction
    source: FigureSource
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.value <= self.high:
            raise ValueError(f"{self.name}: expected 0 <= low <= value <= high")
        if self.name in _SHARES and self.high > 1:
            raise ValueError(f"{self.name}: a share is at most 1")

    @property
    def is_measured(self) -> bool:
        return self.source == "traffic"


def fixed(name: str, value: Fraction | int, source: FigureSource, note: str = "") -> Assumption:
    """A figure without a range."""
    exact = Fraction(value)
    return Assumption(name, exact, exact, exact, source, note)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a month.

    Attributes:
        calls_per_day: how many there are.
        input_tokens: input of a call, the prefix included.
        prefix_tokens: those of them that every call begins with: what a cache can hold.
        cache_share: how much of the prefix is read from the cache.
        output_tokens: output of a call, reasoning included.
        reasoning_tokens: those of them that are reasoning.
        batch_share: how many of the calls go by batch.
        write_share: how much of the prefix is written to the cache; None: all of it that is not read, where the model
            bills writes.
        long_share, long_input_tokens: how many of the calls have a long input, and what it has on the average;
            `input_tokens` is that of the others.
        tier: that of the calls that do not go by batch.
    """

    calls_per_day: Assumption
    input_tokens: Assumption
    output_tokens: Assumption
    prefix_tokens: Assumption = fixed("prefix_tokens", 0, "default")
    cache_share: Assumption = fixed("cache_share", 0, "default")
    reasoning_tokens: Assumption = fixed("reasoning_tokens", 0, "default")
    batch_share: Assumption = fixed("batch_share", 0, "default")
    write_share: Assumption | None = None
    long_share: Assumption = fixed("long_share", 0, "default")
    long_input_tokens: Assumption = fixed("long_input_tokens", 0, "default")
    tier: str = STANDARD

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """All figures, in the order of the fields."""
        return tuple(one for name in self.__struct_fields__ if isinstance(one := getattr(self, name), Assumption))


class Parts(msgspec.Struct, frozen=True):
    """A month's cost by what is paid for, in whole pico-dollars. `output` is without reasoning."""

    fresh_input: int
    cached_input: int
    cache_write: int
    output: int
    reasoning: int
    request: int

    @property
    def total(self) -> int:
        return self.fresh_input + self.cached_input + self.cache_write + self.output + self.reasoning + self.request


class Sensitivity(msgspec.Struct, frozen=True):
    """What one figure is worth, all others left alone, in pico-dollars a month.

    `tenth` is what a tenth more of it costs (a share stays at most 1), negative where it saves. `low` and `high` are
    the totals at the figure's bounds.
    """

    name: str
    tenth: int
    low: int
    high: int


class CacheCheck(msgspec.Struct, frozen=True):
    """Whether the prompt cache earns its keep.

    `usable_tokens` is how much of the prefix the model's cache takes, `minimum_tokens` from how many on it does.
    `pays_from` is the cache share above which it does; None: reading from it saves nothing. `saves` is what it saves in
    a month in pico-dollars, negative where it loses.
    """

    usable_tokens: Fraction
    minimum_tokens: int
    pays_from: Fraction | None
    saves: int


class Estimate(msgspec.Struct, frozen=True):
    """A month's cost on one model. Amounts are whole pico-dollars.

    Attributes:
        parts: what is paid for; they sum to `total`.
        low, high: the totals with every figure at its cheapest and its dearest bound.
        calls: calls in the month.
        sensitivities: of every figure, the one of most weight first.
        cache: whether caching pays.
        surcharge: how much of the total is for long input; `above` is the first bound of the model's, 0 for none.
        tiers: the total if every call went by this tier, for the tiers that the model has prices of.
        applied_tier: the tier whose prices calls outside of batch have.
        has_batch: whether the model has prices of batch; if not, the share is charged as standard.
    """

    parts: Parts
    low: int
    high: int
    calls: Fraction
    sensitivities: tuple[Sensitivity, ...]
    cache: CacheCheck
    surcharge: int
    above: int
    tiers: Mapping[str, int]
    applied_tier: str
    has_batch: bool

    @property
    def total(self) -> int:
        """A month's cost."""
        return self.parts.total

    @property
    def per_call(self) -> int:
        """The mean cost of a call, rounded; 0 if there are no calls."""
        return round(self.total / self.calls) if self.calls else 0


def estimate(price: TargetPrice, load: Load, *, at_us: int) -> Estimate | None:
    """What a month of calls costs on a model; None where its input or output has no price.

    Arguments:
        price: of the model at its provider.
        load: the calls.
        at_us: by the prices of which moment, in microseconds since the Unix epoch.
    """
    if price.prices is None:
        return None
    pricing = _Pricing(price, load, at_us)
    if not pricing.is_complete:
        return None
    middle = {one.name: one.value for one in load.assumptions}
    parts = pricing.parts(middle)
    corners = [parts.total, *(pricing.parts(dict(corner)).total for corner in _corners(load))]
    tiers = [STANDARD, *(tier for tier in price.prices.tiers if tier != STANDARD)]
    return Estimate(
        parts=parts,
        low=min(corners),
        high=max(corners),
        calls=middle["calls_per_day"] * DAYS_PER_MONTH,
        sensitivities=_sensitivities(pricing, load, middle, parts.total),
        cache=_cache_check(pricing, load, middle, parts.total),
        surcharge=parts.total - pricing.parts(middle, has_steps=False).total,
        above=pricing.first_bound,
        tiers={tier: pricing.parts(middle, tier=tier).total for tier in tiers},
        applied_tier=pricing.applied(load.tier),
        has_batch=pricing.applied(BATCH) == BATCH,
    )


class _Pricing:
    """One model's prices at one moment, and the calls that are charged by them."""

    def __init__(self, price: TargetPrice, load: Load, at_us: int) -> None:
        assert price.prices is not None
        self._deck = deck_of(price.prices)
        self._at_us = at_us
        self._load = load
        self._cache = None if price.model is None else price.model.cache
        base = self.tariff(load.tier, Fraction(0))
        self.is_complete = base.has_input and base.has_output

    @property
    def first_bound(self) -> int:
        """Above how much input the whole call is dearer; 0 for never."""
        return min((bound for bound, _ in self._deck.card(self._load.tier, self._at_us).steps), default=0)

    @property
    def cache(self) -> CacheFacts | None:
        return self._cache

    def applied(self, tier: str) -> str:
        return self._deck.card(tier, self._at_us).tier

    def tariff(self, tier: str, input_tokens: Fraction, *, has_steps: bool = True) -> Tariff:
        card = self._deck.card(tier, self._at_us)
        steps = card.steps if has_steps else ()
        return next((tariff for bound, tariff in steps if input_tokens > bound), card.base)

    def usable(self, figures: Mapping[str, Fraction]) -> Fraction:
        """How much of the prefix a cache can hold. What was measured held it: no rule goes before that."""
        prefix = figures["prefix_tokens"]
        if self._load.cache_share.is_measured:
            return prefix
        prefix = min(prefix, figures["input_tokens"])
        if self._cache is None:
            return prefix
        return Fraction(0) if prefix < self._cache.minimum_tokens else prefix - prefix % self._cache.step_tokens

    def parts(self, figures: Mapping[str, Fraction], *, tier: str = "", has_steps: bool = True) -> Parts:
        """A month's cost. A `tier` is that of every call, batch or not."""
        month = figures["calls_per_day"] * DAYS_PER_MONTH
        batch, long = figures["batch_share"], figures["long_share"]
        tiers = [(tier, Fraction(1))] if tier else [(self._load.tier, 1 - batch), (BATCH, batch)]
        inputs = [(figures["input_tokens"], 1 - long), (figures["long_input_tokens"], long)]
        sums = [Fraction(0)] * 6
        for (name, tier_share), (input_tokens, input_share) in itertools.product(tiers, inputs):
            tariff = self.tariff(name, input_tokens, has_steps=has_steps)
            calls = month * tier_share * input_share
            sums = [
                sum_ + calls * each for sum_, each in zip(sums, self._call(tariff, input_tokens, figures), strict=True)
            ]
        return Parts(*map(round, sums))

    def _call(self, tariff: Tariff, input_tokens: Fraction, figures: Mapping[str, Fraction]) -> tuple[Fraction, ...]:
        """What one call costs, by `Parts`."""
        prefix = self.usable(figures)
        cached = min(prefix * figures["cache_share"], input_tokens)
        if "write_share" in figures:
            written = min(prefix * figures["write_share"], input_tokens - cached)
        elif tariff.cache_write > tariff.input:
            written = min(prefix - cached, input_tokens - cached)
        else:
            written = Fraction(0)
        reasoning = min(figures["reasoning_tokens"], figures["output_tokens"])
        return (
            tariff.input * (input_tokens - cached - written),
            tariff.cached_input * cached,
            tariff.cache_write * written,
            tariff.output * (figures["output_tokens"] - reasoning),
            tariff.reasoning * reasoning,
            Fraction(tariff.request),
        )


def _corners(load: Load) -> Iterator[tuple[tuple[str, Fraction], ...]]:
    """Every choice of a bound for each figure. A month's cost goes one way with each figure alone: it is linear, and
    the bounds of caches and of long input only add to its slope. So the cheapest and the dearest month are among these;
    but for a prefix that may be longer than the input, where a longer input can bring it above the cache's minimum."""
    bounds = [
        [(one.name, one.low), (one.name, one.high)] if one.low != one.high else [(one.name, one.value)]
        for one in load.assumptions
    ]
    return itertools.product(*bounds)


def _sensitivities(
    pricing: _Pricing, load: Load, middle: Mapping[str, Fraction], total: int
) -> tuple[Sensitivity, ...]:
    found = []
    for one in load.assumptions:
        if not one.high:
            continue
        more = one.value * _TENTH
        if one.name in _SHARES:
            more = min(more, Fraction(1))
        at = {bound: pricing.parts({**middle, one.name: bound}).total for bound in {more, one.low, one.high}}
        found.append(Sensitivity(one.name, at[more] - total, at[one.low], at[one.high]))
    return tuple(sorted(found, key=lambda each: -max(abs(each.tenth), abs(each.high - each.low))))


def _cache_check(pricing: _Pricing, load: Load, middle: Mapping[str, Fraction], total: int) -> CacheCheck:
    tariff = pricing.tariff(load.tier, middle["input_tokens"])
    saved, premium = tariff.input - tariff.cached_input, max(0, tariff.cache_write - tariff.input)
    without = {**middle, "cache_share": Fraction(0), "write_share": Fraction(0)}
    return CacheCheck(
        usable_tokens=pricing.usable(middle),
        minimum_tokens=0 if pricing.cache is None else pricing.cache.minimum_tokens,
        # Each token that is found saves so much, each that is not, and is written, costs the premium.
        pays_from=Fraction(premium, saved + premium) if saved > 0 else None,
        saves=pricing.parts(without).total - total,
    )
