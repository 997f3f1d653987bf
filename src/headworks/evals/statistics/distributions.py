"""The distributions that everything here rests on: binomial, beta, Student's t. Pure, to about twelve digits.

The incomplete beta function is the continued fraction of the NIST Digital Library of Mathematical Functions, 8.17.22
(<https://dlmf.nist.gov/8.17#v>), evaluated by Lentz's method (Lentz 1976; Thompson and Barnett 1986).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

NORMAL = NormalDist()

NEGLIGIBLE = 1e-18
"""What is less probable is left out of recursions: ten thousand of it are nothing beside any alpha."""

_MANY = 400

_SMALLEST = 1e-300
_PRECISION = 1e-15
_MOST_TERMS = 10_000

_log_factorials = [0.0]


def log_factorial(number: int) -> float:
    """The natural logarithm of number!; remembered."""
    while len(_log_factorials) <= number:
        _log_factorials.append(math.lgamma(len(_log_factorials) + 1))
    return _log_factorials[number]


def binomial(successes: int, cases: int, share: float) -> float:
    """P(X = successes) of a binomial."""
    if not 0 <= successes <= cases:
        return 0.0
    if share <= 0.0 or share >= 1.0:
        return float(successes == (0 if share <= 0.0 else cases))
    return math.exp(
        log_factorial(cases)
        - log_factorial(successes)
        - log_factorial(cases - successes)
        + successes * math.log(share)
        + (cases - successes) * math.log1p(-share)
    )


@lru_cache(maxsize=64)
def binomial_row(cases: int, share: float) -> tuple[tuple[int, float], ...]:
    """Each k from 0 to `cases` with P(X = k), but those that are too improbable to count: less than 1e-18."""
    return tuple((one, chance) for one in range(cases + 1) if (chance := binomial(one, cases, share)) > NEGLIGIBLE)


def at_least(successes: int, cases: int, share: float) -> float:
    """P(X >= successes) of a binomial, summed over the shorter tail; of many cases by the incomplete beta function."""
    if successes <= 0:
        return 1.0
    if successes > cases:
        return 0.0
    if cases > _MANY:
        return beta_cdf(share, successes, cases - successes + 1)
    if successes > cases * share:
        return math.fsum(binomial(one, cases, share) for one in range(successes, cases + 1))
    return 1.0 - math.fsum(binomial(one, cases, share) for one in range(successes))


def at_most(successes: int, cases: int, share: float) -> float:
    """P(X <= successes) of a binomial."""
    return at_least(cases - successes, cases, 1.0 - share)


def beta_cdf(at: float, a: float, b: float) -> float:
    """The regularised incomplete beta function: P(X <= at) of a beta distribution.

    Arguments:
        at: from 0 to 1.
        a, b: the distribution's parameters, above 0.
    """
    if at <= 0.0:
        return 0.0
    if at >= 1.0:
        return 1.0
    if at > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on the other side of the mean
        return 1.0 - beta_cdf(1.0 - at, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(at) + b * math.log1p(-at))
    return front * _beta_fraction(at, a, b) / a


def _beta_fraction(at: float, a: float, b: float) -> float:
    """The continued fraction of DLMF 8.17.22, by Lentz's method."""
    above = 1.0
    below = 1.0 / _away_from_zero(1.0 - (a + b) * at / (a + 1.0))
    found = below
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * at / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * at / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for coefficient in (even, odd):
            below = 1.0 / _away_from_zero(1.0 + coefficient * below)
            above = _away_from_zero(1.0 + coefficient / above)
            step = below * above
            found *= step
        if abs(step - 1.0) < _PRECISION:
            return found
    raise AssertionError("the fraction converges within a few hundred terms for parameters below ten million")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST


def beta_quantile(chance: float, a: float, b: float) -> float:
    """Where `beta_cdf` is `chance`."""
    return rising_root(lambda at: beta_cdf(at, a, b) - chance, 0.0, 1.0)


@lru_cache(maxsize=256)
def student_quantile(chance: float, freedom: float) -> float:
    """Where the distribution function of Student's t is `chance`, which lies between 0 and 1, both excluded.

    Arguments:
        freedom: degrees of freedom.
    """
    if chance < 0.5:
        return -student_quantile(1.0 - chance, freedom)
    # freedom / (freedom + t²) is a beta's (Abramowitz and Stegun 26.7.1), so no search without end is needed.
    rest = beta_quantile(2.0 * (1.0 - chance), freedom / 2.0, 0.5)
    return math.sqrt(freedom * (1.0 - rest) / rest)


def rising_root(function: Callable[[float], float], low: float, high: float, *, precision: float = 0.0) -> float:
    """Where a function that rises is zero, between two places; the upper one where it is below zero everywhere.

    Arguments:
        precision: how near is near enough; 0 for as near as a float can be.
    """
    while high - low > precision:
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if function(middle) < 0.0:
            low = middle
        else:
            high = middle
    return high
