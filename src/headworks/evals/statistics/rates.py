"""One share of right answers: exact tests of a floor, how many cases they take, and intervals."""

import math
from functools import lru_cache

import msgspec

from headworks.evals.statistics.distributions import (
    NORMAL,
    at_least,
    at_most,
    beta_quantile,
    binomial,
    rising_root,
)

_MOST_CASES = 1_000_000
_TEETH = 60


@lru_cache(maxsize=4096)
def floor_successes(cases: int, floor: float, alpha: float) -> int | None:
    """The fewest right answers that show, with error at most `alpha`, that the share is above the floor: the least k
    with P(X >= k | floor) <= alpha. None where not even all of them would.
    """
    low, high = 0, cases + 1
    while low < high:
        middle = (low + high) // 2
        if at_least(middle, cases, floor) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low if low <= cases else None


def floor_power(cases: int, floor: float, alpha: float, share: float) -> float:
    """How probable it is that a model whose true share is this one passes the test of the floor."""
    least = floor_successes(cases, floor, alpha)
    return 0.0 if least is None else at_least(least, cases, share)


def floor_p_value(successes: int, cases: int, floor: float) -> float:
    """How probable so many right answers, or more, are at the floor: the exact one-sided p-value."""
    return at_least(successes, cases, floor)


def needed_cases(floor: float, alpha: float) -> int:
    """The fewest cases with which the floor can be shown at all: with all of them right, floor^n <= alpha.

    Raises:
        ValueError: the floor is 1 (or more), which no number of cases shows.
    """
    if floor >= 1.0:
        raise ValueError("no number of cases shows that a share is 1")
    return 1 if floor <= alpha else math.ceil(math.log(alpha) / math.log(floor) - 1e-9)


def cases_for_power(floor: float, alpha: float, share: float, power: float = 0.8) -> int | None:
    """The fewest cases with which a model of this true share passes with this probability.

    The power goes up in a saw: a case more can make it a little smaller, since k is whole. This is the first number
    that reaches it, near enough. None where none below a million does: the share is hardly above the floor.
    """
    if share <= floor:
        return None
    low, high = 0, 1
    while floor_power(high, floor, alpha, share) < power:
        low, high = high, 2 * high
        if high > _MOST_CASES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if floor_power(middle, floor, alpha, share) >= power else (middle, high)
    # The search may have ended on a later tooth of the saw.
    while True:
        before = range(max(1, high - _TEETH), high)
        least = next((cases for cases in before if floor_power(cases, floor, alpha, share) >= power), None)
        if least is None:
            return high
        high = least


def share_for_power(cases: int, floor: float, alpha: float, power: float = 0.8) -> float | None:
    """The true share at which a model passes with this probability; None where no share does."""
    least = floor_successes(cases, floor, alpha)
    if least is None:
        return None
    return rising_root(lambda share: at_least(least, cases, share) - power, 0.0, 1.0)


class PowerRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a number of cases can show of one floor.

    Attributes:
        least: the fewest right answers that pass; None where the set cannot defend the floor.
        half_way: how probable it is that a model half way between floor and 1 passes.
        share: the true share at which a model passes with a probability of 80 %; None where none does.
        needed: the fewest cases that could defend the floor at all.
    """

    floor: float
    cases: int
    least: int | None
    half_way: float
    share: float | None
    needed: int


def power_table(cases: int, floors: tuple[float, ...], alpha: float) -> tuple[PowerRow, ...]:
    """What a set of so many cases can defend, floor by floor. Floors lie between 0 and 1, both excluded."""
    return tuple(
        PowerRow(
            floor=floor,
            cases=cases,
            least=floor_successes(cases, floor, alpha),
            half_way=floor_power(cases, floor, alpha, (1.0 + floor) / 2.0),
            share=share_for_power(cases, floor, alpha),
            needed=needed_cases(floor, alpha),
        )
        for floor in floors
    )


def clopper_pearson(successes: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval (Clopper and Pearson 1934): the shares that neither one-sided exact test rejects, which are
    quantiles of beta distributions. For deciding: it holds the true share at least as often as its name says."""
    alpha = (1.0 - confidence) / 2.0
    if cases == 0:
        return 0.0, 1.0
    low = 0.0 if successes == 0 else beta_quantile(alpha, successes, cases - successes + 1)
    # By symmetry, so that a small upper tail is not the difference of two large numbers.
    high = 1.0 if successes == cases else 1.0 - beta_quantile(alpha, cases - successes, successes + 1)
    return low, high


def midp_interval(successes: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The mid-p interval (Lancaster 1961; Berry and Armitage 1995): as Clopper and Pearson's, with what was seen
    counted by half, so that it is narrower and right on average instead of at least."""
    alpha = (1.0 - confidence) / 2.0
    if cases == 0:
        return 0.0, 1.0

    def above(share: float) -> float:
        return at_least(successes + 1, cases, share) + binomial(successes, cases, share) / 2.0

    def below(share: float) -> float:
        return at_most(successes - 1, cases, share) + binomial(successes, cases, share) / 2.0

    low = 0.0 if successes == 0 else rising_root(lambda share: above(share) - alpha, 0.0, 1.0)
    high = 1.0 if successes == cases else rising_root(lambda share: alpha - below(share), 0.0, 1.0)
    return low, high


def wilson(successes: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval (Wilson 1927): as wide as its name says on average. For showing, not for deciding."""
    if cases == 0:
        return 0.0, 1.0
    z = NORMAL.inv_cdf(1.0 - (1.0 - confidence) / 2.0)
    share = successes / cases
    centre = share + z * z / (2 * cases)
    half = z * math.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases))
    scale = 1 + z * z / cases
    low = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if successes == cases else min(1.0, (centre + half) / scale)
    return low, high
