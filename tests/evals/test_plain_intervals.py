import pytest
from scipy import stats

from headworks.evals.plain_intervals import PlainIntervals, needed_cases

INTERVALS = PlainIntervals()


@pytest.mark.parametrize(
    ("right", "cases", "low", "high"),
    [
        (46, 50, 0.8077, 0.9778),
        (50, 50, 0.9289, 1.0),
        (0, 10, 0.0, 0.3085),
        (5, 10, 0.1871, 0.8129),
        (1, 1, 0.025, 1.0),
    ],
)
def test_shares_have_the_exact_interval(right, cases, low, high):  # from scipy.stats.binomtest
    assert INTERVALS.share(right, cases) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_means_have_students_interval():
    values = [0.2, 0.5, 0.9, 1.0, 0.6]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert INTERVALS.mean(values) == pytest.approx((expected.low, 1.0))


def test_a_mean_of_equal_values_is_not_certain():
    assert INTERVALS.mean([1.0] * 50)[0] == pytest.approx(0.9289, abs=1e-4)
    assert INTERVALS.mean([0.5]) == (0.0, 1.0)
    low, high = INTERVALS.mean([0.5] * 20)  # every case flickers: half of the repeats are right
    assert low < 0.3 < 0.7 < high
    low, high = INTERVALS.mean([1.0, 0.0, 1.0, 1.0])
    assert 0 <= low < 0.75 < high <= 1


def test_a_bar_needs_cases_to_be_defended():
    assert (needed_cases(0.9), needed_cases(0.95), needed_cases(0.0)) == (36, 72, 0)
    assert needed_cases(1.0) > 10**6
