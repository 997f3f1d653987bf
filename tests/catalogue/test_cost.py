"""The arithmetic of a call's cost: what always holds, and what tokens of each kind are charged as."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import NO_USAGE, Usage
from headworks.catalogue import Cost, Extras, Most, Period, Prices, Rates, Step, cost_of, deck_of
from headworks.catalogue.cost import most_of
from headworks.catalogue.prices import RATE_NAMES

AT_US = 1_795_608_000_000_000
PARTS = ("input", "cached_input", "cache_write", "output", "media", "services", "request")

counts = st.integers(0, 2_000_000)
rate = st.integers(0, 10**9)
rates = st.builds(lambda given: Rates(**given), st.dictionaries(st.sampled_from(RATE_NAMES), rate))
periods = st.builds(
    lambda base, bounds, higher: Period(
        rates=base,
        steps=tuple(Step(above=bound, rates=each) for bound, each in zip(sorted(bounds), higher, strict=False)),
    ),
    rates,
    st.sets(st.integers(1, 1_500_000), max_size=3),
    st.lists(rates, min_size=3, max_size=3),
)
decks = st.builds(lambda period: deck_of(Prices(periods=(period,))), periods)
usages = st.builds(Usage, counts, counts, counts, counts, counts, st.sampled_from(["provider", "estimated"]))
extras = st.none() | st.builds(Extras, **dict.fromkeys(Extras.__struct_fields__, st.integers(0, 10_000)))


def deck(steps=(), **prices):
    return deck_of(Prices(periods=(Period(rates=Rates(**prices), steps=steps),)))


def cost(usage, prices, **more):
    return cost_of(usage, prices, at_us=AT_US, **more)


@given(usages, decks, extras)
def test_the_parts_sum_to_the_whole(usage, prices, more):
    found = cost(usage, prices, extras=more)

    assert sum(getattr(found, part) for part in PARTS) == found.total
    assert found.reasoning <= found.output


@given(usages, decks, extras)
def test_no_amount_is_a_float_or_negative(usage, prices, more):
    found = cost(usage, prices, extras=more)

    amounts = [getattr(found, part) for part in (*PARTS, "reasoning", "above")]
    assert all(type(amount) is int and amount >= 0 for amount in (*amounts, found.total))


@pytest.mark.uncounted
@given(st.lists(st.tuples(usages, decks), max_size=12), st.data())
def test_any_grouping_sums_to_what_the_calls_sum_to(calls, data):
    costs = [cost(usage, prices) for usage, prices in calls]
    groups = {}
    for each in costs:
        groups.setdefault(data.draw(st.integers(0, 3)), []).append(each)

    by_group = sum(sum(getattr(each, part) for each in group for part in PARTS) for group in groups.values())
    assert by_group == sum(each.total for each in costs)


@given(usages, rates, st.sampled_from(["input_tokens", "output_tokens"]), st.integers(0, 10_000))
def test_more_tokens_never_cost_less(usage, base, field, more):
    prices = deck_of(Prices(periods=(Period(rates=base),)))
    larger = msgspec.structs.replace(usage, **{field: getattr(usage, field) + more})
    if base.cached_input is not None or base.cache_write is not None or base.reasoning is not None:
        # A count that was cut to what there is may grow with it: compare calls whose figures agree.
        usage = consistent(usage)
        larger = msgspec.structs.replace(usage, **{field: getattr(usage, field) + more})

    assert cost(larger, prices).total >= cost(usage, prices).total


def consistent(usage):
    cached = min(usage.cached_tokens, usage.input_tokens)
    return msgspec.structs.replace(
        usage,
        cached_tokens=cached,
        cache_write_tokens=min(usage.cache_write_tokens, usage.input_tokens - cached),
        reasoning_tokens=min(usage.reasoning_tokens, usage.output_tokens),
    )


@given(usages, rates)
def test_higher_prices_never_cost_less(usage, base):
    higher = Rates(**{name: each + 1 for name, each in base.set_rates().items()})

    lower_cost = cost(usage, deck_of(Prices(periods=(Period(rates=base),))))
    higher_cost = cost(usage, deck_of(Prices(periods=(Period(rates=higher),))))
    assert higher_cost.total >= lower_cost.total


@given(usages, st.integers(0, 10**9), extras)
def test_every_token_is_charged_once(usage, price, more):
    """With one price for all tokens, cached, written, spoken or thought, only how many there were counts."""
    token_counts = [name for name in Extras.__struct_fields__ if name.endswith("tokens")]
    only_tokens = more and Extras(**{name: getattr(more, name) for name in token_counts})

    found = cost(usage, deck(input=price, output=price), extras=only_tokens)

    assert found.total == price * (usage.input_tokens + usage.output_tokens)


@given(usages, decks)
def test_extras_of_nothing_change_nothing(usage, prices):
    assert cost(usage, prices, extras=Extras()) == cost(usage, prices)


def test_cached_tokens_are_not_charged_as_input_too():
    found = cost(Usage(2000, 1500, 300, 0, source="provider"), deck(input=100, cached_input=10, cache_write=125))

    assert (found.input, found.cached_input, found.cache_write) == (200 * 100, 1500 * 10, 300 * 125)


def test_what_has_no_price_of_its_own_costs_what_the_wider_kind_costs():
    usage = Usage(1000, 400, 100, 200, 50, source="provider")

    assert cost(usage, deck(input=7, output=11)).total == 1000 * 7 + 200 * 11


def test_reasoning_is_a_part_of_output():
    found = cost(Usage(0, 0, 0, 300, 100, source="provider"), deck(input=1, output=10))
    dearer = cost(Usage(0, 0, 0, 300, 100, source="provider"), deck(input=1, output=10, reasoning=25))

    assert (found.output, found.reasoning) == (3000, 1000)
    assert (dearer.output, dearer.reasoning) == (200 * 10 + 100 * 25, 2500)


def test_the_whole_call_costs_more_above_a_bound_and_not_at_it():
    steps = (Step(above=272_000, rates=Rates(input=2, output=3)),)
    prices = deck(input=1, output=2, steps=steps)

    at = cost(Usage(272_000, output_tokens=10, source="provider"), prices)
    above = cost(Usage(272_001, output_tokens=10, source="provider"), prices)

    assert (at.total, at.above) == (272_000 + 20, 0)
    assert (above.total, above.above) == (2 * 272_001 + 30, 272_000)


def test_of_several_bounds_the_highest_that_is_exceeded_holds():
    steps = tuple(Step(above=bound, rates=Rates(input=price)) for bound, price in ((10, 2), (100, 3)))

    assert [cost(Usage(n, source="provider"), deck(input=1, steps=steps)).input // n for n in (10, 11, 100, 101)] == [
        1, 2, 2, 3,
    ]  # fmt: skip


def test_no_price_is_not_zero():
    assert cost(Usage(1, source="provider"), None) is None


def test_no_usage_is_not_zero():
    assert cost(NO_USAGE, deck(input=1)) is None


def test_counted_tokens_make_an_estimated_cost():
    assert cost(Usage(1, source="estimated"), deck(input=1)).is_estimated
    assert not cost(Usage(1, source="provider"), deck(input=1)).is_estimated


def test_tokens_without_any_price_make_a_cost_incomplete():
    prices = deck(input=5)

    assert cost(Usage(10, source="provider"), prices).is_complete
    assert not cost(Usage(10, output_tokens=1, source="provider"), prices).is_complete
    assert not cost(Usage(10, output_tokens=1, source="provider"), prices, extras=Extras()).is_complete


def test_sound_with_a_price_of_its_own_needs_none_for_text():
    usage, sound = Usage(10, source="provider"), Extras(audio_input_tokens=10)

    assert cost(usage, deck(audio_input=5), extras=sound).is_complete
    assert not cost(usage, deck(output=5), extras=sound).is_complete


def test_a_request_costs_what_a_request_costs_however_small():
    assert cost(Usage(0, source="provider"), deck(input=1, request=5)).total == 5


def test_long_lived_cache_writes_have_their_own_price():
    usage = Usage(1000, 0, 800, 0, source="provider")

    found = cost(
        usage, deck(input=100, cache_write=125, cache_write_long=200), extras=Extras(long_cache_write_tokens=300)
    )

    assert found.cache_write == 500 * 125 + 300 * 200


def test_sound_is_billed_by_the_second_and_by_the_least():
    prices = deck_of(Prices(periods=(Period(rates=Rates(audio_hour=3_600_000)),), least_audio_s=10))

    assert [cost(Usage(source="provider"), prices, extras=Extras(audio_s=n)).media for n in (0, 1, 10, 11)] == [
        0, 10_000, 10_000, 11_000,
    ]  # fmt: skip


def test_a_tier_has_its_own_prices_and_others_are_standard():
    standard, batch = Period(rates=Rates(input=10)), Period(rates=Rates(input=5))
    prices = deck_of(Prices(periods=(standard,), tiers={"batch": (batch,)}))
    usage = Usage(1, source="provider")

    found = {tier: cost(usage, prices, tier=tier) for tier in ("standard", "batch", "flex", "default", "")}

    assert [each.total for each in found.values()] == [10, 5, 10, 10, 10]
    assert [each.tier for each in found.values()] == ["standard", "batch", "standard", "standard", "standard"]


@pytest.mark.parametrize(
    ("moment", "price"),
    [
        (0, 1),
        (1_577_836_800_000_000 - 1, 1),  # 2020-01-01
        (1_577_836_800_000_000, 3),
        (1_577_836_800_000_000 + 2 * 3_600_000_000, 2),
        (1_577_836_800_000_000 + 22 * 3_600_000_000 - 1, 2),
        (1_577_836_800_000_000 + 22 * 3_600_000_000, 3),
        (1_577_836_800_000_000 + 26 * 3_600_000_000 - 1, 3),
        (1_577_836_800_000_000 + 26 * 3_600_000_000, 2),
    ],
)
def test_prices_change_with_the_day_and_with_the_hour_beyond_midnight(moment, price):
    every = (
        Period(rates=Rates(input=1)),
        Period(since="2020-01-01", rates=Rates(input=2)),
        Period(since="2020-01-01", hours=(22 * 60, 2 * 60), rates=Rates(input=3)),
    )

    found = cost_of(Usage(1, source="provider"), deck_of(Prices(periods=every)), at_us=moment)

    assert found.total == price


def test_a_cost_survives_a_round_trip_through_json():
    found = cost(Usage(2000, 1500, 300, 20, 5, source="provider"), deck(input=100, output=3), version="v")

    assert msgspec.json.decode(msgspec.json.encode(found), type=Cost) == found


# -- what an answer says of its tokens ---------------------------------------------------------------------------------

_KINDS = [name for name in Extras.__struct_fields__ if name.endswith("_tokens") and name != "foreign_tokens"]
kinds = st.builds(Extras, **dict.fromkeys(_KINDS, st.integers(0, 3_000)))
_SPOKEN = {"input": 100, "output": 400, "audio_input": 4_000, "audio_output": 8_000}


def test_sound_among_the_tokens_of_a_call_has_its_own_price():
    usage = Usage(1_000, 0, 0, 500, 0, "provider", -1, Extras(audio_input_tokens=600, audio_output_tokens=450))
    assert cost(usage, deck(**_SPOKEN)).total == 400 * 100 + 600 * 4_000 + 50 * 400 + 450 * 8_000


def test_what_is_kept_for_an_hour_has_its_own_price():
    usage = Usage(1_000, 0, 900, 0, 0, "provider", -1, Extras(long_cache_write_tokens=600))
    prices = deck(input=100, output=0, cache_write=125, cache_write_long=200)
    assert cost(usage, prices).total == 100 * 100 + 300 * 125 + 600 * 200


@given(usages, decks, kinds)
def test_the_most_that_is_set_aside_is_never_less_than_what_a_call_comes_to(usage, prices, extras):
    usage = msgspec.structs.replace(usage, extras=extras)
    most = Most(usage.input_tokens, usage.output_tokens, has_media=True, writes_long=True)
    bound, found = most_of(prices, most, at_us=AT_US), cost(usage, prices)

    assert bound is None or found.total <= bound
