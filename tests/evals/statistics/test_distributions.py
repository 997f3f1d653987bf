import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from headworks.evals.statistics import at_most
from headworks.evals.statistics.distributions import (
    beta_cdf,
    beta_quantile,
    binomial_row,
    rising_root,
    student_quantile,
)

PARAMETERS = st.floats(0.5, 5_000)


@given(at=st.floats(0, 1), a=PARAMETERS, b=PARAMETERS)
def test_the_incomplete_beta_function_is_scipys(at, a, b):
    assert beta_cdf(at, a, b) == pytest.approx(special.betainc(a, b, at), rel=1e-9, abs=1e-13)


@given(chance=st.floats(1e-4, 0.9999), a=st.floats(0.5, 500), b=st.floats(0.5, 500))
def test_quantiles_of_beta_are_scipys(chance, a, b):
    assert beta_quantile(chance, a, b) == pytest.approx(stats.beta.ppf(chance, a, b), rel=1e-8, abs=1e-12)


@given(chance=st.floats(0.001, 0.49), freedom=st.integers(1, 5_000), is_upper=st.booleans())
def test_quantiles_of_students_t_are_scipys(chance, freedom, is_upper):
    chance = 1 - chance if is_upper else chance
    assert student_quantile(chance, freedom) == pytest.approx(stats.t.ppf(chance, freedom), rel=1e-7)


@given(cases=st.integers(0, 500), share=st.floats(0, 1))
def test_a_row_of_the_binomial_sums_to_one_and_is_scipys(cases, share):
    row = dict(binomial_row(cases, share))

    assert math.fsum(row.values()) == pytest.approx(1.0, abs=1e-10)
    for successes, expected in enumerate(stats.binom.pmf(range(cases + 1), cases, share)):
        assert row.get(successes, 0.0) == pytest.approx(expected, rel=1e-7, abs=1e-12)
    assert at_most(cases // 2, cases, share) == pytest.approx(stats.binom.cdf(cases // 2, cases, share), abs=1e-10)


def test_a_root_that_is_not_there_is_the_upper_end():
    assert rising_root(lambda _: -1.0, 0.0, 1.0) == 1.0
    assert rising_root(lambda _: 1.0, 0.0, 1.0) == pytest.approx(0.0)
