import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.config.semantic import needed_hits
from headworks.errors import CommandError
from headworks.evals.false_hits import (
    ALPHA,
    THRESHOLDS,
    Pair,
    Probe,
    false_pairs,
    find_pairs,
    rate_at,
    recommend,
)


def probes(count, context=lambda place: b""):
    return [Probe(context(place), f"text {place}", bytes([place])) for place in range(count)]


def cosines(vector, others):
    """Places of two are alike: 0 and 1, 2 and 3."""
    return [1.0 if vector[0] // 2 == other // 2 else 0.5 for other in others]


def test_pairs_are_of_one_context_alike_and_may_stand_for_one_another():
    found = find_pairs(probes(6), 0.9, cosines, lambda one, other: one != 4)

    assert [(pair.one, pair.other) for pair in found] == [(0, 1), (2, 3)]
    assert find_pairs(probes(6, lambda place: bytes([place % 2])), 0.9, cosines, lambda one, other: True) == []
    silent = [Probe(b"", "", b""), *probes(2)]
    assert [(pair.one, pair.other) for pair in find_pairs(silent, 0.9, cosines, lambda one, other: True)] == [(1, 2)]


def test_a_pair_is_false_where_either_answer_is_wrong_for_the_other():
    async def is_right(one, other):
        return (one, other) not in ((0, 1), (3, 2))

    found = asyncio.run(false_pairs([Pair(0, 1, 1.0), Pair(2, 3, 1.0), Pair(4, 5, 1.0)], is_right))

    assert found == {(0, 1), (2, 3)}


def test_of_cases_that_hang_together_one_is_counted():
    chain = [Pair(0, 1, 0.95), Pair(1, 2, 0.95), Pair(3, 4, 0.95)]
    rate = rate_at(0.9, probes(5), chain, frozenset())

    assert (rate.pairs, rate.hits, rate.false_hits, rate.share) == (3, 2, 0, 0.0)
    assert rate.upper == pytest.approx(1 - ALPHA ** (1 / 2))
    assert rate_at(0.96, probes(5), chain, frozenset()).hits == 0
    assert rate_at(0.96, probes(5), chain, frozenset()).share is None
    assert rate_at(0.96, probes(5), chain, frozenset()).upper == 1.0


def test_a_group_is_false_with_its_counted_case_and_not_with_every_one():
    both = rate_at(0.9, probes(2), [Pair(0, 1, 0.95)], frozenset({(0, 1)}))

    assert (both.false_pairs, both.hits, both.false_hits, both.upper) == (1, 1, 1, 1.0)


@settings(max_examples=30)
@given(
    pairs=st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda one: one[0] < one[1])), data=st.data()
)
def test_more_likeness_asked_for_never_finds_more_pairs_and_counts_stay_within(pairs, data):
    alike = [Pair(one, other, data.draw(st.floats(0.8, 1.0))) for one, other in sorted(pairs)]
    false = frozenset(pair for pair in pairs if data.draw(st.booleans()))
    rates = [rate_at(one, probes(10), alike, false) for one in (0.8, 0.9, 1.0)]

    assert [rate.pairs for rate in rates] == sorted((rate.pairs for rate in rates), reverse=True)
    for rate in rates:
        assert rate.false_hits <= rate.hits <= rate.pairs
        assert rate.hits == 0 or rate.share <= rate.upper


def test_a_threshold_is_recommended_only_where_enough_hits_show_it():
    def of(count, similarity):
        return [Pair(2 * place, 2 * place + 1, similarity) for place in range(count)]

    enough = math.floor(math.log(ALPHA / len(THRESHOLDS)) / math.log(0.95)) + 1
    many = probes(0) + [Probe(b"", f"text {place}", b"v") for place in range(4 * enough)]
    near, far = of(enough, 0.95), [Pair(2 * enough + one.one, 2 * enough + one.other, 0.85) for one in of(enough, 0.85)]
    false = frozenset((pair.one, pair.other) for pair in far)

    assert recommend(0.05, many, near + far, false) == 0.86
    assert recommend(0.05, many, near + far, frozenset()) == 0.75
    assert recommend(0.05, many, near[1:], frozenset()) is None


@pytest.mark.parametrize("most_false", [0.01, 0.05, 0.2])
def test_the_hits_that_are_needed_are_just_enough(most_false):
    needed = needed_hits(most_false)
    pairs = [Pair(2 * place, 2 * place + 1, 1.0) for place in range(needed)]
    many = [Probe(b"", f"text {place}", b"v") for place in range(2 * needed)]

    assert rate_at(0.9, many, pairs, frozenset()).upper < most_false
    assert rate_at(0.9, many, pairs[1:], frozenset()).upper >= most_false


def test_a_set_in_which_everything_is_alike_is_refused(monkeypatch):
    monkeypatch.setattr("headworks.evals.false_hits.MOST_PAIRS", 10)
    with pytest.raises(CommandError, match="tells nothing apart"):
        find_pairs(probes(9), 0.4, cosines, lambda one, other: True)
