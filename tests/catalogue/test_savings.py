import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Usage
from headworks.catalogue import PriceBook, Terms, saving_of, shipped

BOOK = PriceBook(shipped(), {"openai": Terms(catalogue="openai"), "anthropic": Terms(catalogue="anthropic")})
NOON_US = 1_795_435_200_000_000  # 2026-11-23 12:00 UTC
SOL, LUNA, OLD = (BOOK.for_target("openai", name) for name in ("gpt-6.1-sol", "gpt-6-luna", "gpt-5.4-mini"))
OPUS = BOOK.for_target("anthropic", "claude-opus-4-8")

TARGETS = st.sampled_from([SOL, LUNA, OLD, OPUS])
TIERS = st.sampled_from(["standard", "default", "flex", "batch", "no-such-tier"])
PRIORITY = st.just("priority")
"""Opus has no price of it."""
PRICED = st.sampled_from([SOL, LUNA, OLD])
CHOICES = st.tuples(TARGETS, TARGETS, TIERS) | st.tuples(PRICED, PRICED, PRIORITY)


@st.composite
def usages(draw):
    count = draw(st.sampled_from([5_000, 400_000]))
    whole = draw(st.integers(0, count))
    cached = draw(st.integers(0, whole))
    written = draw(st.integers(0, whole - cached))
    output = draw(st.integers(0, 9_000))
    return Usage(whole, cached, written, output, draw(st.integers(0, output)), "provider")


@given(usages(), CHOICES)
def test_the_parts_sum_to_the_whole_and_the_whole_is_what_was_not_paid(usage, choices):
    price, baseline, tier = choices
    saving = saving_of(usage, price, baseline, at_us=NOON_US, tier=tier)

    assert saving.model + saving.cache + saving.tier == saving.total == saving.baseline - saving.paid
    assert saving.paid == price.cost(usage, at_us=NOON_US, tier=tier).total


@given(usages(), CHOICES)
def test_a_choice_that_was_not_made_saves_nothing(usage, choices):
    price, baseline, tier = choices
    plain = Usage(usage.input_tokens, 0, 0, usage.output_tokens, usage.reasoning_tokens, "provider")

    assert saving_of(usage, price, price, at_us=NOON_US, tier=tier).model == 0
    assert saving_of(plain, price, baseline, at_us=NOON_US, tier=tier).cache == 0
    assert saving_of(usage, price, baseline, at_us=NOON_US).tier == 0


@given(usages(), CHOICES)
def test_the_parts_are_the_mean_of_all_orders_to_a_pico_dollar(usage, choices):
    price, baseline, tier = choices
    plain = Usage(usage.input_tokens, 0, 0, usage.output_tokens, usage.reasoning_tokens, "provider")

    def cost(made):
        target = price if "model" in made else baseline
        tokens = usage if "cache" in made else plain
        return target.cost(tokens, at_us=NOON_US, tier=tier if "tier" in made else "standard").total

    sums = dict.fromkeys(("model", "cache", "tier"), 0)
    for order in itertools.permutations(sums):
        for place, choice in enumerate(order):
            sums[choice] += cost(order[:place]) - cost(order[: place + 1])
    saving = saving_of(usage, price, baseline, at_us=NOON_US, tier=tier)

    for choice, six_times in sums.items():
        assert abs(6 * getattr(saving, choice) - six_times) < 6


def test_a_worked_example_comes_to_what_the_price_list_says():
    # sol: $2 in, $0.10 cached, $10 out. luna: $0.10, $0.01, $0.50 a million. Flex is half of either.
    usage = Usage(2_000, 1_000, 0, 100, 0, "provider")

    saving = saving_of(usage, LUNA, SOL, at_us=NOON_US, tier="flex")

    assert saving.baseline == 2_000 * 2_000_000 + 100 * 10_000_000
    assert saving.paid == (1_000 * 100_000 + 1_000 * 10_000 + 100 * 500_000) // 2
    assert (saving.model, saving.cache, saving.tier) == (2_959_166_667, 821_666_667, 1_139_166_666)


def test_a_cache_that_is_written_and_never_read_saves_less_than_nothing():
    saving = saving_of(Usage(2_000, 0, 1_920, 10, 0, "provider"), LUNA, LUNA, at_us=NOON_US)

    assert saving.cache == saving.total == -1_920 * 25_000


@pytest.mark.parametrize("which", ["price", "baseline"])
def test_without_a_price_there_is_no_saving(which):
    prices = {"price": LUNA, "baseline": SOL} | {which: BOOK.for_target("openai", "no-such-model")}

    assert saving_of(Usage(10, 0, 0, 10, 0, "provider"), **prices, at_us=NOON_US) is None


def test_without_usage_there_is_no_saving():
    assert saving_of(Usage(0, 0, 0, 0, 0, "none"), LUNA, SOL, at_us=NOON_US) is None


@pytest.mark.parametrize(("price", "baseline"), [(OPUS, SOL), (SOL, OPUS)])
def test_a_dearer_tier_that_one_of_the_models_has_no_price_of_makes_the_saving_unknown(price, baseline):
    usage = Usage(10, 0, 0, 10, 0, "provider")
    assert saving_of(usage, price, baseline, at_us=NOON_US, tier="priority") is None
