"""The statistics against scipy, against exhaustive enumeration, and against the figures of the literature."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headworks.evals.statistics import (
    at_least,
    cases_for_margin,
    clopper_pearson,
    floor_plan,
    floor_power,
    floor_successes,
    mcnemar_midp,
    needed_cases,
    paired_power,
    spending_bounds,
    tango_interval,
    tango_score,
    wilson,
)

FLOORS = {  # exact binomial, alpha .025: evals reference 2.3
    (50, 0.80): 46, (50, 0.85): 48, (50, 0.90): 50,
    (100, 0.80): 89, (100, 0.85): 93, (100, 0.90): 96,
    (150, 0.80): 130, (150, 0.85): 137, (150, 0.90): 143,
    (200, 0.80): 172, (200, 0.85): 181, (200, 0.90): 189,
}  # fmt: skip


@given(cases=st.integers(1, 300), share=st.floats(0.001, 0.999), data=st.data())
def test_tails_are_scipys(cases, share, data):
    successes = data.draw(st.integers(0, cases + 1))
    assert at_least(successes, cases, share) == pytest.approx(stats.binom.sf(successes - 1, cases, share), abs=1e-9)


@given(cases=st.integers(1, 400), data=st.data(), confidence=st.sampled_from([0.9, 0.95, 0.99]))
def test_exact_and_score_intervals_are_scipys(cases, data, confidence):
    successes = data.draw(st.integers(0, cases))
    test = stats.binomtest(successes, cases)
    for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
        theirs = test.proportion_ci(confidence, method)
        assert ours(successes, cases, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


@pytest.mark.parametrize(("cases", "floor"), FLOORS)
def test_the_floors_are_those_of_the_table(cases, floor):
    assert floor_successes(cases, floor, 0.025) == FLOORS[cases, floor]


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.0125])
@pytest.mark.parametrize("floor", [0.6, 0.8, 0.85, 0.9, 0.95])
def test_a_floor_is_never_passed_more_often_than_alpha_at_the_floor_and_no_lower_bound_would_do(alpha, floor):
    for cases in range(50, 201):
        least = floor_successes(cases, floor, alpha)
        if least is None:
            assert cases < needed_cases(floor, alpha)
            continue
        assert stats.binom.sf(least - 1, cases, floor) <= alpha < stats.binom.sf(least - 2, cases, floor)


def test_how_many_cases_a_bar_takes():
    assert needed_cases(0.95, 0.025) == 72
    assert floor_successes(71, 0.95, 0.025) is None
    assert floor_power(50, 0.95, 0.025, 0.999) == 0.0
    with pytest.raises(ValueError, match="no number of cases"):
        needed_cases(1.0, 0.05)


PLANS = {  # evals reference 2.4; where the first look cannot be passed it is one above it
    (100, 0.80): ((48, 69, 89), 11), (100, 0.85): ((50, 71, 93), 7), (100, 0.90): ((51, 74, 96), 4),
    (150, 0.85): ((73, 104, 137), 13), (200, 0.85): ((96, 138, 181), 19), (200, 0.90): ((99, 144, 189), 11),
}  # fmt: skip


@pytest.mark.parametrize(("cases", "floor"), PLANS)
def test_looking_early_has_the_bounds_of_the_table_and_keeps_alpha_exactly(cases, floor):
    plan = floor_plan(cases, floor, 0.025)

    assert (plan.passes, plan.most_errors) == PLANS[cases, floor]
    assert plan.power(floor) <= 0.025
    assert plan.power((1 + floor) / 2) >= floor_power(cases, floor, 0.025, (1 + floor) / 2) - 0.03


@given(cases=st.integers(20, 200), floor=st.sampled_from([0.7, 0.8, 0.9]), alpha=st.sampled_from([0.05, 0.025, 0.01]))
def test_any_plan_keeps_its_alpha(cases, floor, alpha):
    plan = floor_plan(cases, floor, alpha)
    assert plan.power(floor) <= alpha + 1e-12
    assert all(least <= at + 1 for least, at in zip(plan.passes, plan.at, strict=True))


@pytest.mark.parametrize(
    ("alpha", "shares", "bounds"),  # evals reference 2.4, by simulation: to within .006
    [
        (0.025, (0.5, 0.75, 1.0), (2.959, 2.359, 2.014)),
        (0.0125, (0.5, 0.75, 1.0), (3.339, 2.670, 2.281)),
        (0.025, (0.4, 0.6, 0.8, 1.0), (3.353, 2.680, 2.290, 2.030)),
    ],
)
def test_the_bounds_of_looks_are_those_of_the_table_and_spend_alpha_to_the_last_bit(alpha, shares, bounds):
    found = spending_bounds(alpha, shares)
    correlation = [[math.sqrt(min(one, other) / max(one, other)) for one in shares] for other in shares]

    assert found == pytest.approx(bounds, abs=0.006)
    none = stats.multivariate_normal(cov=correlation, abseps=1e-7, releps=1e-7, seed=1).cdf(found)
    assert 1 - none == pytest.approx(alpha, abs=1e-5)


def test_the_score_is_tangos():
    """With no discordance it is sqrt(n d / (1 - d)) for margin d; by hand from the closed form."""
    assert tango_score(0, 0, 100, 0.1) == pytest.approx(math.sqrt(100 * 0.1 / 0.9))
    assert tango_score(0, 0, 0, 0.1) == 0.0
    assert tango_score(10, 0, 100, 0.1) == pytest.approx(0.0, abs=1e-9)  # exactly at the margin


@given(cases=st.integers(1, 200), data=st.data())
def test_the_interval_of_a_difference_holds_what_was_seen_and_is_the_tests_inverse(cases, data):
    losses = data.draw(st.integers(0, cases))
    wins = data.draw(st.integers(0, cases - losses))
    low, high = tango_interval(losses, wins, cases)

    assert -1 <= low <= (wins - losses) / cases <= high <= 1
    assert tango_interval(wins, losses, cases) == pytest.approx((-high, -low), abs=1e-6)
    if -0.99 < low < (wins - losses) / cases - 1e-6:
        assert tango_score(losses, wins, cases, -low) == pytest.approx(1.959964, abs=1e-3)


@given(losses=st.integers(0, 60), wins=st.integers(0, 60))
def test_mcnemars_mid_p_is_that_of_a_binomial(losses, wins):
    if losses + wins == 0:
        assert mcnemar_midp(0, 0) == 1.0
        return
    expected = stats.binom.sf(losses, losses + wins, 0.5) + stats.binom.pmf(losses, losses + wins, 0.5) / 2
    assert mcnemar_midp(losses, wins) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("win", "loss", "margin"), [(0.02, 0.02, 0.1), (0.01, 0.04, 0.1), (0.05, 0.05, 0.1), (0.02, 0.02, 0.05)]
)
def test_the_cases_that_show_a_margin_show_it_about_four_times_in_five(win, loss, margin):
    """By every outcome of so many, at the exact bound: the normal approximation is ten points off at most."""
    cases = cases_for_margin(margin, 0.025, losses=round(1000 * loss), wins=round(1000 * win), cases=1000)
    assert paired_power(cases, margin, 0.025, win=win, loss=loss) == pytest.approx(0.8, abs=0.11)


@pytest.mark.parametrize(("losses", "wins", "cases"), [(0, 0, 0), (10, 0, 100), (15, 5, 100), (12, 0, 100)])
def test_no_number_of_cases_shows_what_is_not_so(losses, wins, cases):
    assert cases_for_margin(0.1, 0.025, losses=losses, wins=wins, cases=cases) == 0
