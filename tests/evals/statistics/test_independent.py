import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headworks.evals.statistics import Tally, always_valid_interval, fisher_exact, newcombe_interval


@st.composite
def tallies(draw, most=200):
    cases = draw(st.integers(1, most))
    return Tally(draw(st.integers(0, cases)), cases)


@given(first=tallies(), second=tallies())
def test_fishers_test_is_scipys(first, second):
    table = [[second.good, second.cases - second.good], [first.good, first.cases - first.good]]
    assert fisher_exact(first, second) == pytest.approx(stats.fisher_exact(table, "less").pvalue, rel=1e-7, abs=1e-12)


def test_newcombes_interval_is_that_of_his_paper():
    """Newcombe 1998, table II, method 10: 56/70 less 48/80, 9/10 less 3/10, 10/10 less 0/10."""
    assert newcombe_interval(Tally(48, 80), Tally(56, 70)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert newcombe_interval(Tally(3, 10), Tally(9, 10)) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    assert newcombe_interval(Tally(0, 10), Tally(10, 10)) == pytest.approx((0.6075, 1.0), abs=5e-5)


@given(first=tallies(), second=tallies())
def test_intervals_hold_what_was_seen_turn_with_the_arms_and_always_valid_ones_are_wider(first, second):
    seen = second.share - first.share
    once, always = newcombe_interval(first, second), always_valid_interval(first, second)

    for low, high in (once, always):
        assert -1 <= low <= seen + 1e-9
        assert seen - 1e-9 <= high <= 1
    turned = always_valid_interval(second, first)
    assert turned == pytest.approx((-always[1], -always[0]), abs=1e-6)


@pytest.mark.parametrize("interval", [newcombe_interval, always_valid_interval])
def test_of_nothing_everything_may_be(interval):
    assert interval(Tally(0, 0), Tally(5, 5)) == (-1.0, 1.0)
    assert Tally(0, 0).share == 0.0


def test_looking_always_costs_more_than_twice_the_width():
    first, second = Tally(1800, 2000), Tally(1790, 2000)
    (low, high), (least, most) = newcombe_interval(first, second), always_valid_interval(first, second)
    assert 2.0 < (most - least) / (high - low) < 2.6
