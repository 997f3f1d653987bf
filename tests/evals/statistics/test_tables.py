"""The figures are those of the evals reference, section 2, which were found by other programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headworks.evals.statistics import (
    cases_for_power,
    clopper_pearson,
    exact_bound,
    floor_p_value,
    floor_plan,
    floor_power,
    midp_interval,
    paired_power,
    power_table,
    tango_interval,
    wilson,
)

LEAST = {50: (46, 48, 50), 100: (89, 93, 96), 150: (130, 137, 143), 200: (172, 181, 189)}
SHARES = {
    50: (0.940, 0.970, 0.997), 100: (0.910, 0.945, 0.970), 150: (0.885, 0.927, 0.965), 200: (0.877, 0.920, 0.955),
}  # fmt: skip


@pytest.mark.parametrize("cases", SHARES)
def test_the_power_table_is_that_of_the_reference(cases):
    """2.3: alpha .025; floors .80, .85, .90."""
    rows = power_table(cases, (0.80, 0.85, 0.90), 0.025)

    assert tuple(row.least for row in rows) == LEAST[cases]
    assert [row.share for row in rows] == pytest.approx(SHARES[cases], abs=0.003)
    assert [row.needed for row in rows] == [17, 23, 36]
    for row in rows:
        assert floor_power(cases, row.floor, 0.025, row.share) == pytest.approx(0.8)
        assert row.half_way == floor_power(cases, row.floor, 0.025, (1 + row.floor) / 2)


def test_a_floor_that_cannot_be_shown_has_no_share_that_would():
    (row,) = power_table(50, (0.95,), 0.025)
    assert (row.least, row.share, row.half_way, row.needed) == (None, None, 0.0, 72)


RUNS = {  # 2.4: true share, power, mean number of cases
    (100, 0.80): ((0.65, 0.0, 34), (0.75, 0.0, 48), (0.80, 0.01, 60), (0.88, 0.46, 83)),
    (100, 0.85): ((0.70, 0.0, 27), (0.80, 0.0, 40), (0.85, 0.02, 53), (0.93, 0.62, 81)),
    (100, 0.90): ((0.75, 0.0, 20), (0.85, 0.0, 33), (0.90, 0.02, 49), (0.98, 0.95, 85)),
    (150, 0.85): ((0.70, 0.0, 47), (0.85, 0.02, 93), (0.93, 0.84, 120)),
    (200, 0.85): ((0.70, 0.0, 67), (0.85, 0.02, 133), (0.93, 0.93, 153)),
    (200, 0.90): ((0.75, 0.0, 48), (0.90, 0.02, 120), (0.98, 1.0, 131)),
}


@pytest.mark.parametrize(("cases", "floor"), RUNS)
def test_how_often_a_plan_passes_and_how_soon_it_ends_is_that_of_the_table(cases, floor):
    plan = floor_plan(cases, floor, 0.025)
    for share, power, asked in RUNS[cases, floor]:
        assert plan.power(share) == pytest.approx(power, abs=0.0055)
        assert plan.expected_cases(share) == pytest.approx(asked, abs=0.7)


POWERS = {  # 2.2: Tango's test, equal arms that disagree by 1, 2, 4 % a side, alpha .05
    (50, 0.05): (0.25, 0.27, 0.25), (100, 0.05): (0.79, 0.63, 0.49), (200, 0.05): (0.99, 0.92, 0.77),
    (50, 0.10): (0.94, 0.86, 0.70), (100, 0.10): (1.0, 0.99, 0.94), (200, 0.10): (0.995, 0.995, 0.995),
}  # fmt: skip


@pytest.mark.parametrize(("cases", "margin"), POWERS)
def test_the_power_of_a_comparison_is_that_of_the_table(cases, margin):
    """The table's bounds are asymptotic ones; that ours keep alpha costs two points of power at most."""
    for rate, power in zip((0.01, 0.02, 0.04), POWERS[cases, margin], strict=True):
        assert paired_power(cases, margin, 0.05, win=rate, loss=rate) == pytest.approx(power, abs=0.02)


@pytest.mark.parametrize(
    ("cases", "margin", "alpha", "bound"),
    [(100, 0.1, 0.05, 1.6667), (100, 0.1, 0.025, 1.9723), (200, 0.05, 0.05, 1.6469), (200, 0.05, 0.025, 1.9573)],
)
def test_exact_bounds_are_those_of_the_reference(cases, margin, alpha, bound):
    """To within .005: the reference looked at fewer values of the nuisance."""
    assert exact_bound(cases, margin, alpha) == pytest.approx(bound, abs=0.005)


def test_arms_that_never_disagree_pass_for_certain_or_not_at_all():
    assert paired_power(100, 0.1, 0.05, win=0.0, loss=0.0) == 1.0
    assert paired_power(20, 0.05, 0.025, win=0.0, loss=0.0) == 0.0


@given(floor=st.sampled_from([0.5, 0.8, 0.9, 0.95]), better=st.floats(0.1, 0.9), power=st.sampled_from([0.5, 0.8, 0.9]))
def test_the_cases_that_a_power_takes_reach_it_and_one_less_does_not(floor, better, power):
    share = floor + (1 - floor) * better
    cases = cases_for_power(floor, 0.025, share, power)

    assert floor_power(cases, floor, 0.025, share) >= power
    assert cases == 1 or floor_power(cases - 1, floor, 0.025, share) < power


def test_no_number_of_cases_shows_what_is_not_so():
    assert cases_for_power(0.9, 0.025, 0.9) is None
    assert cases_for_power(0.9, 0.025, 0.90001) is None


@given(cases=st.integers(1, 300), floor=st.floats(0.5, 0.99), data=st.data())
def test_p_values_and_mid_p_intervals_are_those_of_a_binomial(cases, floor, data):
    successes = data.draw(st.integers(0, cases))
    expected = stats.binomtest(successes, cases, floor, alternative="greater").pvalue
    assert floor_p_value(successes, cases, floor) == pytest.approx(expected, abs=1e-10)

    low, high = midp_interval(successes, cases)
    widest = clopper_pearson(successes, cases)
    assert widest[0] - 1e-9 <= low <= successes / cases <= high <= widest[1] + 1e-9
    if successes > 0:
        above = stats.binom.sf(successes, cases, low) + stats.binom.pmf(successes, cases, low) / 2
        assert above == pytest.approx(0.025)
    if successes < cases:
        below = stats.binom.cdf(successes - 1, cases, high) + stats.binom.pmf(successes, cases, high) / 2
        assert below == pytest.approx(0.025)


def test_of_no_case_every_share_may_be():
    assert midp_interval(0, 0) == clopper_pearson(0, 0) == wilson(0, 0) == (0.0, 1.0)
    assert tango_interval(0, 0, 0) == (-1.0, 1.0)
