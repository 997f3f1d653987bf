import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.records.economy import economy, lower_maximum, percentile, saving_of
from headworks.records.stores import OutputCount, OutputLengths, Wasted
from headworks.records.stores.lengths import bucket_of


def histogram(values, version="1.0.0", model="luna", workload="triage", hour=0) -> list[OutputLengths]:
    buckets: dict[int, list[int]] = {}
    for value in values:
        buckets.setdefault(bucket_of(value), []).append(value)
    return [
        OutputLengths(workload, version, model, bucket, hour, len(inside), sum(inside))
        for bucket, inside in buckets.items()
    ]


@given(st.lists(st.integers(0, 10**6), min_size=1), st.floats(0, 1))
def test_a_percentile_lies_in_a_bucket_that_has_answers_and_grows_with_the_share(values, share):
    lengths = histogram(values)
    estimate = percentile(lengths, share)

    assert bucket_of(int(estimate)) in {one.bucket for one in lengths}
    assert percentile(lengths, 0) <= estimate + 1e-9
    assert estimate <= percentile(lengths, 1) + 1e-9


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0])
def test_median_and_p95_of_lengths_as_they_occur_are_estimated_well(sigma):
    source = random.Random(7)
    values = [round(source.lognormvariate(5.5, sigma)) for _ in range(5000)]
    cuts = statistics.quantiles(values, n=100)

    assert percentile(histogram(values), 0.5) == pytest.approx(cuts[49], rel=0.1)
    assert percentile(histogram(values), 0.95) == pytest.approx(cuts[94], rel=0.15)


@pytest.mark.parametrize("length", [0, 1, 2, 100, 127, 128, 129, 5000])
def test_the_median_of_equal_lengths_is_about_that_length(length):
    assert percentile(histogram([length] * 300), 0.5) == pytest.approx(length, rel=0.12)


def test_there_is_no_percentile_of_nothing():
    assert percentile([], 0.5) == 0.0


def growth_of(*versions):
    (found,) = economy([one for version in versions for one in version], [], [])
    return [(one.prompt_version, one.before) for one in found.growth]


def test_a_version_whose_answers_have_grown_by_more_than_a_fifth_raises_the_alarm():
    old = histogram([100] * 150, "1.0.0")

    assert growth_of(old, histogram([130] * 150, "1.1.0")) == [("1.1.0", "1.0.0")]
    assert growth_of(old, histogram([115] * 150, "1.1.0")) == []
    assert growth_of(old, histogram([60] * 150, "1.1.0")) == []


def test_a_token_more_at_the_edge_of_a_bucket_is_no_alarm():
    assert growth_of(histogram([127] * 150, "1.0.0"), histogram([128] * 150, "1.1.0")) == []


def test_few_answers_raise_no_alarm_and_are_passed_over():
    old, few = histogram([100] * 100, "1.0.0"), histogram([900] * 99, "1.1.0")

    assert growth_of(old, few) == []
    assert growth_of(old, few, histogram([140] * 100, "1.2.0")) == [("1.2.0", "1.0.0")]


def test_versions_are_in_the_order_of_their_numbers_and_others_by_when_they_came():
    lengths = [
        one
        for hour, version in enumerate(["1.10.0", "1.9.0", "b", "a", "2.0.0", "2.0.0-rc.1", ""])
        for one in histogram([5], version, hour=hour)
    ]
    (found,) = economy(lengths, [], [])

    assert [one.prompt_version for one in found.versions] == ["b", "a", "", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0"]


def test_growth_says_whether_other_models_answered():
    (found,) = economy([*histogram([100] * 150), *histogram([200] * 150, "1.1.0", model="astra")], [], [])

    assert [one.is_same_model for one in found.growth] == [False]
    assert found.growth[0].factor == pytest.approx(2, rel=0.1)


def test_what_was_thrown_away_is_a_share_of_all_output():
    wasted = [
        Wasted("triage", "1.0.0", "cancelled", 1, 100),
        Wasted("triage", "1.0.0", "cut", 1, 50),
        Wasted("triage", "1.1.0", "cut", 2, 50),
        Wasted("triage", "1.1.0", "rejected", 1, 1000),
    ]
    (found,) = economy(histogram([90] * 10), wasted, [])

    assert [(one.reason, one.calls, one.tokens, one.share) for one in found.thrown] == [
        ("cut", 3, 100, 0.05),
        ("rejected", 1, 1000, 0.5),
        ("cancelled", 1, 100, 0.05),
    ]


def test_each_workload_has_an_economy_of_its_own():
    found = economy(histogram([5], workload="b"), [Wasted("a", "", "cut", 1, 5)], [OutputCount("c", 5, 1)])

    assert [(one.workload, len(one.versions), len(one.thrown), one.saving is None) for one in found] == [
        ("a", 0, 1, True),
        ("b", 1, 0, True),
        ("c", 0, 0, False),
    ]


def test_a_lower_maximum_saves_what_the_longest_hundredth_has_beyond_it():
    saving = lower_maximum([OutputCount("w", 100, 99), OutputCount("w", 1100, 1)])

    assert (saving.max_tokens, saving.cut_calls, saving.calls) == (100, 1, 100)
    assert saving.share == pytest.approx(1000 / (99 * 100 + 1100))


@given(st.dictionaries(st.integers(0, 10**6), st.integers(1, 1000), min_size=1))
def test_a_maximum_never_cuts_more_than_it_may_nor_saves_more_than_there_is(counts):
    saving = lower_maximum([OutputCount("w", length, calls) for length, calls in counts.items()])

    assert saving.cut_calls <= 0.01 * saving.calls + 1e-9
    assert 0 <= saving.share < 1
    assert saving.max_tokens in counts


def test_nothing_is_saved_where_there_is_nothing():
    assert lower_maximum([]) is None


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 50)), min_size=1), st.integers(0, 6000))
def test_a_maximum_saves_what_lies_beyond_it_and_nothing_else(lengths, maximum):
    saving = saving_of([OutputCount("triage", length, calls) for length, calls in lengths], maximum)
    answers = [length for length, calls in lengths for _ in range(calls)]

    assert (saving.max_tokens, saving.calls) == (maximum, len(answers))
    assert saving.cut_calls == sum(length > maximum for length in answers)
    assert saving.share * max(1, sum(answers)) == pytest.approx(sum(max(0, length - maximum) for length in answers))


def test_every_version_is_compared_with_the_one_before_whether_or_not_it_raises_the_alarm():
    versions = histogram([100] * 150, "1.0.0"), histogram([105] * 150, "1.1.0"), histogram([200] * 150, "1.2.0")
    (found,) = economy([one for version in versions for one in version], [], [])

    assert [(one.prompt_version, one.before) for one in found.compared] == [("1.1.0", "1.0.0"), ("1.2.0", "1.1.0")]
    assert [one.prompt_version for one in found.growth] == ["1.2.0"]
    assert found.compared[1] == found.growth[0]


def test_what_was_thrown_away_is_a_share_of_all_that_was_paid_for():
    wasted = [Wasted("triage", "1.0.0", "validation", 9, 60), Wasted("triage", "1.0.0", "cut", 2, 20)]
    (found,) = economy(histogram([10, 30]), wasted, [])

    assert {one.reason: one.share for one in found.thrown} == {"cut": 0.2, "validation": 0.6}
