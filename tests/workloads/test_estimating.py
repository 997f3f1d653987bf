from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Usage
from headworks.catalogue import CacheFacts, Model, Period, Prices, Rates, Step, TargetPrice
from headworks.workloads import Assumption, Load, estimate, fixed

AT = 1_800_000_000_000_000
MICRO = 1_000_000
RATES = Rates(input=100_000, cached_input=10_000, cache_write=125_000, output=500_000, reasoning=500_000)
STEP = Step(above=272_000, rates=Rates(input=200_000, cached_input=20_000, cache_write=250_000, output=750_000))
HALF = Rates(input=50_000, cached_input=5_000, cache_write=62_500, output=250_000, reasoning=250_000)


def price(*, steps=(), cache=None, rates=RATES):
    model = Model(name="m", cache=cache)
    standard, batch = Period(rates=rates, steps=steps), Period(rates=HALF)
    return TargetPrice(Prices(periods=(standard,), tiers={"batch": (batch,)}), "v", model)


def figure(name, low, value, high):
    return Assumption(name, Fraction(value), Fraction(low), Fraction(high), "given")


def load(source="given", tier="standard", **figures):
    figures = {"calls_per_day": 1000, "input_tokens": 2000, "output_tokens": 100} | figures
    ready = {
        name: value if isinstance(value, Assumption) else fixed(name, value, source) for name, value in figures.items()
    }
    return Load(tier=tier, **ready)


shares = st.fractions(0, 1, max_denominator=50)
ranged = st.tuples(*[st.integers(0, 5000)] * 3).map(sorted)
ranged_shares = st.tuples(shares, shares, shares).map(sorted)


@st.composite
def loads(draw):
    counts = ("calls_per_day", "input_tokens", "output_tokens", "prefix_tokens", "reasoning_tokens")
    figures = {name: figure(name, *draw(ranged)) for name in counts}
    figures |= {name: figure(name, *draw(ranged_shares)) for name in ("cache_share", "batch_share")}
    return Load(**figures)


calls = st.integers(0, 4000).flatmap(
    lambda whole: st.builds(
        lambda cached, written, out, thought: Usage(
            whole, cached, min(written, whole - cached), out, min(thought, out), source="provider"
        ),
        st.integers(0, whole),
        st.integers(0, 4000),
        st.integers(0, 1000),
        st.integers(0, 1000),
    )
)


@pytest.mark.uncounted
@given(loads())
def test_parts_sum_to_the_whole_and_the_range_contains_it(month):
    found = estimate(price(), month, at_us=AT)

    parts = found.parts
    assert found.total == sum(getattr(parts, name) for name in parts.__struct_fields__)
    assert found.low <= found.total <= found.high
    assert all(min(one.low, one.high) >= found.low for one in found.sensitivities)
    assert all(max(one.low, one.high) <= found.high for one in found.sensitivities)


@pytest.mark.uncounted
@given(loads(), st.data())
def test_no_month_within_the_bounds_lies_outside_of_the_range(month, data):
    facts = CacheFacts(minimum_tokens=1024, step_tokens=128, bills_writes=True)
    target = price(steps=(Step(above=7000, rates=STEP.rates),), cache=facts)
    one, prefix = month.input_tokens, month.prefix_tokens.high
    longer = figure("input_tokens", one.low + prefix, one.value + prefix, one.high + prefix)
    figures = {name: getattr(month, name) for name in month.__struct_fields__} | {"input_tokens": longer}
    inside = {
        each.name: fixed(each.name, each.low + (each.high - each.low) * data.draw(shares), each.source)
        for each in Load(**figures).assumptions
    }

    found = estimate(target, Load(**figures), at_us=AT)
    assert found.low - 6 <= estimate(target, Load(**inside), at_us=AT).total <= found.high + 6


@pytest.mark.uncounted
@given(loads(), st.integers(0, 1000))
def test_more_calls_never_cost_less(month, more):
    one = month.calls_per_day
    grown = figure("calls_per_day", one.low, one.value + more, one.high + more)
    higher = Load(**{name: getattr(month, name) for name in month.__struct_fields__} | {"calls_per_day": grown})

    before, after = (estimate(price(), each, at_us=AT) for each in (month, higher))

    assert after.total >= before.total
    assert after.high >= before.high


@given(st.lists(calls, min_size=1, max_size=20), st.integers(0, 3), st.integers(0, 3))
def test_at_measured_shares_it_is_the_sum_of_calls_priced_one_by_one(sample, interactive, batched):
    """Every call of the sample is made so many times a day in each of the tiers."""
    if not interactive + batched:
        return
    target, n = price(), len(sample)
    mean = {
        name: Fraction(sum(getattr(one, name) for one in sample), n)
        for name in ("input_tokens", "output_tokens", "reasoning_tokens")
    }
    prefix = max(one.cached_tokens + one.cache_write_tokens for one in sample)
    per_prefix = Fraction(1, prefix * n) if prefix else Fraction(0)
    month = load(
        source="traffic",
        calls_per_day=n * (interactive + batched),
        prefix_tokens=prefix,
        cache_share=sum(one.cached_tokens for one in sample) * per_prefix,
        write_share=sum(one.cache_write_tokens for one in sample) * per_prefix,
        batch_share=Fraction(batched, interactive + batched),
        **mean,
    )

    found = estimate(target, month, at_us=AT)

    singly = sum(
        30 * times * target.cost(one, at_us=AT, tier=tier).total
        for one in sample
        for tier, times in (("standard", interactive), ("batch", batched))
    )
    assert abs(found.total - singly) <= 3  # six parts, each rounded by half a pico-dollar at most


def test_an_estimate_by_hand():
    """1,000 calls a day, 30 days: 2,000 tokens, half of 1,000 cached, the other half written; 100 of output."""
    found = estimate(price(), load(prefix_tokens=1000, cache_share=Fraction(1, 2)), at_us=AT)

    assert found.calls == 30_000
    assert found.parts.fresh_input == 30_000 * 1000 * 100_000
    assert found.parts.cached_input == 30_000 * 500 * 10_000
    assert found.parts.cache_write == 30_000 * 500 * 125_000
    assert found.parts.output == 30_000 * 100 * 500_000
    assert found.per_call * 30_000 == found.total


def test_a_prefix_below_the_cache_s_minimum_is_neither_read_nor_written():
    facts = CacheFacts(minimum_tokens=1024, step_tokens=128, bills_writes=True)
    short = load(prefix_tokens=1023, cache_share=Fraction(1, 2))
    longer = load(prefix_tokens=1200, cache_share=Fraction(1, 2))

    assert estimate(price(cache=facts), short, at_us=AT).cache.usable_tokens == 0
    assert estimate(price(cache=facts), short, at_us=AT).parts.cache_write == 0
    assert estimate(price(cache=facts), longer, at_us=AT).cache.usable_tokens == 1152


def test_a_cache_that_is_written_more_than_read_loses_money_below_the_share_that_is_told():
    at = estimate(price(), load(prefix_tokens=1000, cache_share=Fraction(1, 2)), at_us=AT).cache.pays_from

    assert at == Fraction(25, 115)
    for share, wins in ((at, 0), (at - Fraction(1, 100), -1), (at + Fraction(1, 100), 1)):
        saves = estimate(price(), load(prefix_tokens=1000, cache_share=share), at_us=AT).cache.saves
        assert (saves > 0) - (saves < 0) == wins


def test_long_input_is_charged_whole_and_the_surcharge_is_told():
    target = price(steps=(STEP,))
    short = estimate(target, load(input_tokens=272_000), at_us=AT)
    long = estimate(target, load(input_tokens=272_001), at_us=AT)
    some = load(input_tokens=1000, long_share=Fraction(1, 10), long_input_tokens=300_000)

    assert (short.surcharge, short.above) == (0, 272_000)
    assert long.surcharge == 30_000 * (272_001 * 100_000 + 100 * 250_000)
    assert estimate(target, some, at_us=AT).surcharge == 3_000 * (300_000 * 100_000 + 100 * 250_000)


def test_batch_halves_its_share_and_other_tiers_are_told_beside_it():
    all_standard = estimate(price(), load(), at_us=AT)
    half = estimate(price(), load(batch_share=Fraction(1, 2)), at_us=AT)

    assert half.total * 4 == all_standard.total * 3
    assert all_standard.tiers == {"standard": all_standard.total, "batch": all_standard.total // 2}


def test_a_tier_without_prices_is_charged_as_standard_and_says_so():
    target = TargetPrice(Prices(periods=(Period(rates=RATES),)), "v")
    found = estimate(target, load(tier="flex", batch_share=Fraction(1, 2)), at_us=AT)

    assert (found.applied_tier, found.has_batch) == ("standard", False)
    assert found.total == estimate(target, load(), at_us=AT).total


def test_the_sensitivity_to_volume_is_a_tenth_of_the_total():
    found = estimate(price(), load(calls_per_day=figure("calls_per_day", 800, 1000, 1200)), at_us=AT)

    (volume,) = [one for one in found.sensitivities if one.name == "calls_per_day"]
    assert volume.tenth * 10 == found.total
    assert (volume.low, volume.high) == (found.low, found.high)


def test_what_has_no_price_is_none_and_never_zero():
    assert estimate(TargetPrice(None, "v"), load(), at_us=AT) is None
    assert estimate(price(rates=Rates(input=1)), load(), at_us=AT) is None


@pytest.mark.parametrize("bounds", [(2, 1, 3), (1, 4, 3), (-1, 0, 1)])
def test_a_figure_outside_of_its_bounds_is_refused(bounds):
    with pytest.raises(ValueError, match="calls_per_day"):
        figure("calls_per_day", *bounds)


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match="a share is at most 1"):
        fixed("cache_share", Fraction(3, 2), "given")
