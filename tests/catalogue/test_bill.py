"""A bill says how a cost came about: its lines sum to the cost, and every token stands in one line."""

from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import NO_USAGE, Extras, Usage
from headworks.catalogue import Period, Prices, Rates, Step, TargetPrice, cost_of, deck_of
from headworks.catalogue.bill import Bill, BillLine, bill_of
from headworks.catalogue.prices import RATE_NAMES

AT_US = 1_795_608_000_000_000

counts = st.integers(0, 2_000_000)
rate = st.integers(0, 10**9)
whole = st.fixed_dictionaries(
    {"input": rate, "output": rate},
    optional=dict.fromkeys((name for name in RATE_NAMES if name not in ("input", "output")), rate),
)
rates = st.builds(lambda given: Rates(**given), whole)
decks = st.builds(
    lambda base, bounds, higher, flex: deck_of(
        Prices(
            periods=(
                Period(
                    rates=base,
                    steps=tuple(
                        Step(above=bound, rates=each) for bound, each in zip(sorted(bounds), higher, strict=False)
                    ),
                ),
            ),
            tiers={"flex": (Period(rates=flex),)},
        )
    ),
    rates,
    st.sets(st.integers(1, 1_500_000), max_size=3),
    st.lists(rates, min_size=3, max_size=3),
    rates,
)
more = st.builds(
    lambda given: Extras(**given),
    st.fixed_dictionaries({}, optional={n: counts for n in Extras.__struct_fields__ if n != "foreign_tokens"}),
)
usages = st.builds(
    Usage,
    *(counts,) * 5,
    st.sampled_from(["provider", "estimated"]),
    extras=st.none() | more,
)
READ = ("input", "cached_input", "cache_write", "cache_write_long", "audio_input", "cached_audio", "image_input",
        "cached_image", "video_input")  # fmt: skip
WRITTEN = ("output", "reasoning", "citation", "audio_output", "image_output", "video_output")


@given(usages, decks, st.sampled_from(["standard", "flex", "default", "unheard of"]))
def test_the_lines_of_a_bill_sum_to_the_cost_and_no_token_stands_in_two(usage, deck, tier):
    bill = bill_of(usage, deck, at_us=AT_US, tier=tier)
    cost = cost_of(usage, deck, at_us=AT_US, tier=tier)

    assert bill.total_pico == cost.total
    assert cost.is_complete == (not bill.unpriced)  # a service that has no price
    counted = {line.kind for line in bill.lines}
    assert not counted & {kind for kind, _ in bill.unpriced}
    assert (bill.tier, bill.above) == (cost.tier, cost.above)
    tokens = {line.kind: line.count for line in bill.lines}
    assert sum(tokens.get(kind, 0) for kind in READ) == usage.input_tokens
    assert sum(tokens.get(kind, 0) for kind in WRITTEN) == usage.output_tokens
    assert all(line.count > 0 for line in bill.lines)
    assert len({line.kind for line in bill.lines}) == len(bill.lines)


def test_a_bill_has_a_line_for_each_kind_with_the_price_of_the_step_that_holds():
    low = Rates(input=1000, cached_input=100, output=8000)
    high = Rates(input=2000, cached_input=200, cache_write=2500, output=12_000, reasoning=13_000, request=7)
    price = TargetPrice(Prices(periods=(Period(rates=low, steps=(Step(above=100, rates=high),)),)), "table-1")

    bill = price.bill(Usage(150, 60, 20, 30, 10, "provider"), at_us=AT_US)

    assert bill == Bill(
        (
            BillLine("input", 70, 2000),
            BillLine("cached_input", 60, 200),
            BillLine("cache_write", 20, 2500),
            BillLine("output", 20, 12_000),
            BillLine("reasoning", 10, 13_000),
            BillLine("request", 1, 7),
        ),
        "standard",
        100,
    )


def test_what_has_no_price_is_named_beside_what_has_one():
    deck = deck_of(Prices(periods=(Period(rates=Rates(output=5, web_search=0)),)))
    extras = Extras(web_searches=2, container_runs=3, foreign_tokens=9)

    bill = bill_of(Usage(7, output_tokens=1, source="provider", extras=extras), deck, at_us=AT_US)

    assert bill.lines == (BillLine("output", 1, 5), BillLine("web_search", 2, 0))
    assert bill.unpriced == (("input", 7), ("container_run", 3), ("foreign_tokens", 9))


def test_what_has_no_known_cost_has_no_bill():
    deck = deck_of(Prices(periods=(Period(rates=Rates(output=5)),)))

    assert bill_of(NO_USAGE, deck, at_us=AT_US) is None
    assert bill_of(Usage(1, source="provider"), None, at_us=AT_US) is None
    assert bill_of(Usage(output_tokens=1, source="provider"), deck, at_us=AT_US).total_pico == 5
