"""What a store keeps of costs, in both engines: the same in every sum, and never zero for what is not known."""

import itertools
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Extras
from headworks.records.stores import Batch, Dimension, Selection, Span

DIMENSIONS = get_args(Dimension)
PRICED = {"price_version": "table-1", "service_tier": "flex"}
MOST = 10**15

costs = st.one_of(st.just(-1), st.just(0), st.integers(0, MOST), st.integers(MOST + 1, 2**80))
drawn_calls = st.fixed_dictionaries(
    {
        "cost_pico": costs,
        "usage_source": st.sampled_from(["provider", "estimated", "none"]),
        "key_id": st.sampled_from(["", "key_a", "key_b"]),
        "team": st.sampled_from(["", "search"]),
        "endpoint": st.sampled_from(["responses", "chat.completions"]),
        "provider": st.sampled_from(["", "sim", "other"]),
        "model": st.sampled_from(["luna", "sol"]),
        "outcome": st.sampled_from(["answered", "failed", "cancelled", "refused"]),
        "workload": st.sampled_from(["", "triage"]),
        "prompt_version": st.sampled_from(["", "1.0.0", "1.1.0"]),
        "hours": st.integers(0, 2),
    }
)


def test_a_cost_is_kept_with_its_price_table_and_tier(store, calls):
    store.commit(Batch(settled=[calls.settled(1, cost_pico=123_456_789, **PRICED), calls.settled(2, cost_pico=0)]))

    first, second = store.get("call_000001"), store.get("call_000002")
    assert (first.cost_pico, first.price_version, first.service_tier) == (123_456_789, "table-1", "flex")
    assert (second.cost_pico, second.price_version, second.service_tier) == (0, "", "")


@pytest.mark.parametrize("cost", [-1, MOST + 1, 2**63, 2**80])
def test_a_cost_that_is_not_known_or_cannot_be_right_is_unknown_and_not_zero(store, calls, cost):
    store.commit(Batch(settled=[calls.settled(1, cost_pico=cost), calls.settled(2, cost_pico=7)]))

    assert store.get("call_000001").cost_pico is None
    (total,) = store.totals([], None, None)
    assert (total.calls, total.cost_pico, total.unknown_costs, total.estimated_costs) == (2, 7, 1, 0)


def test_the_cost_of_a_lost_call_is_unknown(store, calls):
    store.commit(Batch(opened=[("w", calls.opened(1))], ended_writers=["w"]))

    assert store.get("call_000001").cost_pico is None
    assert [total.unknown_costs for total in store.totals([], None, None)] == [1]


def test_a_call_that_comes_twice_is_paid_for_once(store, calls):
    for _ in range(2):
        store.commit(Batch(settled=[calls.settled(1, cost_pico=50), calls.settled(1, cost_pico=50)]))

    assert [total.cost_pico for total in store.totals([], None, None)] == [50]


def test_a_tier_that_a_provider_made_up_is_kept_no_longer_than_tiers_are(store, calls):
    store.commit(Batch(settled=[calls.settled(1, service_tier="x" * 10_000)]))

    assert store.get("call_000001").service_tier == "x" * 64


def test_sums_are_exact_beyond_what_64_bits_hold(store, calls):
    hour_us = 3_600_000_000
    for hour in range(10):  # a million dollars an hour: 2^63 pico-dollars are 9.2 of them
        store.commit(
            Batch(
                settled=[
                    calls.settled(
                        hour * 1000 + n, opened_us=calls.opened().opened_us + hour * hour_us, cost_pico=MOST - 1
                    )
                    for n in range(1000)
                ]
            )
        )

    (total,) = store.totals([], None, None)
    (figures,) = store.figures([], Span())
    assert total.cost_pico == figures.cost_pico == 10_000 * (MOST - 1) > 2**63
    assert total.unknown_costs == figures.unknown_costs == 0


@pytest.mark.uncounted
@settings(deadline=None, max_examples=25)
@given(st.lists(drawn_calls, max_size=10), st.sets(st.sampled_from(DIMENSIONS)))
def test_the_sum_over_any_grouping_is_the_sum_of_the_calls(new_store, calls, drawn, by):
    store = new_store()
    try:
        for n, fields in enumerate(drawn):
            opened_us = calls.opened().opened_us + fields["hours"] * 3_600_000_000
            of_call = {name: value for name, value in fields.items() if name != "hours"}
            store.commit(Batch(settled=[calls.settled(n, opened_us=opened_us, **of_call)]))
        expected: dict[tuple[object, ...], list[int]] = {}
        dimensions = sorted(by)
        for record in store.select(Selection()):
            hour = record.opened_us // 3_600_000_000 * 3600
            group = tuple(hour if name == "hour" else getattr(record, name) for name in dimensions)
            sums = expected.setdefault(group, [0, 0, 0])
            sums[0] += record.cost_pico or 0
            sums[1] += record.cost_pico is None
            sums[2] += record.cost_pico is not None and record.usage_source == "estimated"
        totals = {
            total.group: [total.cost_pico, total.unknown_costs, total.estimated_costs]
            for total in store.totals(dimensions, None, None)
        }
        assert totals == expected
        known = [fields["cost_pico"] for fields in drawn if 0 <= fields["cost_pico"] <= MOST]
        assert sum(cost for cost, _, _ in totals.values()) == sum(known)
        assert sum(unknown for _, unknown, _ in totals.values()) == len(drawn) - len(known)
        for fields in itertools.chain.from_iterable(itertools.combinations(("workload", "model"), n) for n in range(3)):
            figures = store.figures(fields, Span())
            assert sum(one.cost_pico for one in figures) == sum(known)
            assert sum(one.unknown_costs for one in figures) == len(drawn) - len(known)
    finally:
        store.close()


def test_a_call_that_was_answered_from_the_cache_says_so_and_what_it_saved(store, calls):
    settled = [calls.settled(n, cost_pico=0) for n in (1, 2, 3)]
    cached = {settled[1].opened.call_id: (1_250, 9), settled[2].opened.call_id: (-1, 4)}
    store.commit(Batch(settled=settled, cached=cached))

    found = [store.get(one.opened.call_id) for one in settled]
    assert [(one.cache_age_s, one.cache_saved_pico) for one in found] == [(None, None), (9, 1_250), (4, None)]


def test_what_a_call_used_beyond_text_is_kept_with_it(store, calls):
    extras = Extras(audio_input_tokens=40, web_searches=2)
    store.commit(Batch(settled=[calls.settled(1, input_tokens=90, extras=extras), calls.settled(2)]))

    first, second = store.get("call_000001"), store.get("call_000002")
    assert (first.usage.input_tokens, first.usage.extras) == (90, extras)
    assert second.usage.extras is None
