"""Means, clusters, repeats, the bootstrap and judges, against scipy, by hand, and against the reference's figures."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headworks.evals.statistics import (
    JudgeLabels,
    bootstrap_interval,
    clopper_pearson,
    cluster_means,
    cohens_kappa,
    cost_per_acceptable,
    design_effect,
    mean_interval,
    ppi_difference,
    repeats,
    rogan_gladen,
    standard_error,
)

SCORES = st.lists(st.floats(0, 1), min_size=2, max_size=60).filter(lambda values: max(values) - min(values) > 1e-3)


@given(SCORES)
def test_the_interval_of_a_mean_is_scipys_cut_to_what_scores_can_be(values):
    low, high = stats.ttest_1samp(values, 0.5).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((max(0, low), min(1, high)), abs=1e-7)
    assert standard_error(values) == pytest.approx(stats.sem(values), rel=1e-9)


def test_scores_that_are_all_alike_are_not_certain():
    assert mean_interval([1.0] * 20) == pytest.approx(clopper_pearson(20, 20))
    low, high = mean_interval([0.55] * 10)
    assert (low, high) == pytest.approx((clopper_pearson(5, 10)[0], clopper_pearson(6, 10)[1]))
    assert mean_interval([0.5]) == (0.0, 1.0)
    assert standard_error([0.5]) == math.inf


def test_clusters_count_and_not_their_cases():
    values = [("a", 1.0), ("b", 0.0), ("a", 0.0), ("c", 1.0)]
    assert cluster_means(values) == [0.5, 0.0, 1.0]


def test_the_design_effect_is_that_of_the_formula():
    """Clusters of four that are wholly alike: 1 + (4 - 1) * 1; of one: none."""
    chance = Random(1)
    alike = [(cluster, score) for cluster in range(500) for score in [float(chance.random() < 0.7)] * 4]
    assert design_effect(alike) == pytest.approx(4.0, rel=0.01)
    assert design_effect([(index, float(chance.random() < 0.7)) for index in range(500)]) == pytest.approx(1.0)
    assert design_effect([("a", 1.0), ("a", 0.0)]) == 1.0


def test_repeats_say_how_many_cases_flicker():
    found = repeats([[True, True, True], [True, False, True], [False, False, False], [True], []])

    assert found.means == pytest.approx((1.0, 2 / 3, 0.0, 1.0))
    assert found.flicker == pytest.approx(1 / 3)
    assert found.within == pytest.approx((2 / 9 * 3 / 2) / 3)
    assert repeats([]).means == ()


@pytest.mark.parametrize(
    ("a", "b", "errors"), [(9, 1, {1: 0.0300, 3: 0.0188, 5: 0.0157}), (0.9, 0.1, {1: 0.0301, 3: 0.0245, 5: 0.0233})]
)
def test_repeats_narrow_the_error_as_the_table_says(a, b, errors):
    """Evals reference 2.5: 100 cases whose chances are Beta(a, b)."""
    chance = Random(0)
    cases = [[chance.random() < share for _ in range(5)] for share in (chance.betavariate(a, b) for _ in range(20_000))]
    found = repeats(cases)
    for count, error in errors.items():
        assert math.sqrt((found.between + found.within / count) / 100) == pytest.approx(error, abs=0.001)
        assert standard_error(repeats([one[:count] for one in cases]).means) * math.sqrt(200) == pytest.approx(
            error, abs=0.001
        )


def test_the_bootstrap_is_reproducible_and_near_students_where_all_is_normal():
    chance = Random(3)
    values = [chance.gauss(0.1, 1.0) for _ in range(80)]
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)

    assert (
        bootstrap_interval(values, seed=5) == bootstrap_interval(values, seed=5) != bootstrap_interval(values, seed=6)
    )
    assert bootstrap_interval(values, seed=5) == pytest.approx((low, high), abs=0.06)
    assert bootstrap_interval([0.5] * 9, seed=5) == (-math.inf, math.inf)


def test_the_bootstrap_sees_the_long_tail_that_students_interval_does_not():
    """Rare large losses: the mean is exactly at the margin, and an interval that lies above it is wrong."""
    chance, wrong_t, wrong_bootstrap, runs = Random(4), 0, 0, 150
    for _ in range(runs):
        values = [-1.0 if chance.random() < 0.05 else chance.uniform(0.0, 0.02) for _ in range(100)]
        mean = -0.05 + 0.95 * 0.01
        wrong_t += stats.ttest_1samp(values, 0.0).confidence_interval(0.95).low > mean
        wrong_bootstrap += bootstrap_interval(values, seed=1, resamples=300)[0] > mean
    assert wrong_bootstrap / runs <= 0.04 < wrong_t / runs


def test_what_an_acceptable_answer_costs_has_an_interval():
    value, low, high = cost_per_acceptable([2.0] * 100, [True] * 80 + [False] * 20, seed=1)
    assert value == pytest.approx(2.5)
    assert 2.2 < low < 2.5 < high < 2.9
    assert cost_per_acceptable([1.0], [False], seed=1)[0] == math.inf
    assert cost_per_acceptable([], [], seed=1)[0] == math.inf


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "labels", "half"), [(0.95, 0.95, 40, 0.102), (0.9, 0.9, 40, 0.141)]
)
def test_what_a_judge_says_is_as_uncertain_as_the_table_has_it(sensitivity, specificity, labels, half):
    """Evals reference 2.6: 100 cases of which 90 % are acceptable."""
    judge = JudgeLabels(
        acceptable=labels,
        accepted=round(sensitivity * labels),
        unacceptable=labels,
        rejected=round(specificity * labels),
    )
    seen = 0.9 * sensitivity + 0.1 * (1 - specificity)
    found = rogan_gladen(round(100 * seen), 100, judge)

    assert found.value == pytest.approx(0.9, abs=0.01)
    assert 1.96 * found.error == pytest.approx(half, abs=0.003)
    assert found.low == pytest.approx(found.value - 1.96 * found.error, abs=1e-3)
    assert found.high == 1.0


def test_a_judge_that_was_always_right_so_far_is_not_certain():
    judge = JudgeLabels(acceptable=40, accepted=40, unacceptable=40, rejected=40)
    found = rogan_gladen(40, 40, judge)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.90 < found.low < 0.97  # Clopper and Pearson's of 40 of 40 alone begins at 0.912


@pytest.mark.parametrize("accepted", [5, 4])
def test_a_judge_no_better_than_chance_measures_nothing(accepted):
    with pytest.raises(ValueError, match="measures nothing"):
        rogan_gladen(5, 10, JudgeLabels(acceptable=10, accepted=accepted, unacceptable=10, rejected=5))
    with pytest.raises(ValueError, match="measures nothing"):
        rogan_gladen(5, 10, JudgeLabels(acceptable=0, accepted=0, unacceptable=10, rejected=5))


def test_kappa_is_cohens():
    """Wikipedia's worked example: 20, 5, 10, 15 of 50 agree beyond chance by 0.4."""
    found = cohens_kappa([[20, 5], [10, 15]])
    assert found.value == pytest.approx(0.4)
    assert found.error == pytest.approx(math.sqrt(0.7 * 0.3 / 50) / 0.5)
    assert cohens_kappa([[30, 0], [0, 20]]).value == 1.0
    assert cohens_kappa([[50, 0], [0, 0]]).value == 0.0
    with pytest.raises(ValueError, match="square"):
        cohens_kappa([[1, 2]])


def test_a_judge_that_favours_one_arm_is_mended_by_human_labels():
    """The arms are equally good; the judge likes the candidate better in a tenth of the cases."""
    chance, held, runs = Random(6), 0, 300
    for _ in range(runs):
        human = [chance.choice((-1, 0, 0, 0, 1)) for _ in range(260)]
        judge = [min(1, one + (chance.random() < 0.1)) for one in human]
        found = ppi_difference(judge[60:], list(zip(human[:60], judge[:60], strict=True)))
        held += found.low <= 0.0 <= found.high
    assert 0.91 <= held / runs <= 0.98
    with pytest.raises(ValueError, match="at least two"):
        ppi_difference([1.0], [(1.0, 1.0), (0.0, 0.0)])
