"""One share of right answers: exact tests of a floor, and intervals."""

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_MOST_STEPS = 200


def binomial(successes: int, cases: int, share: float) -> float:
    """P(X = successes) of a binomial."""
    if not 0 <= successes <= cases:
        return 0.0
    if share <= 0.0 or share >= 1.0:
        return float(successes == (0 if share <= 0.0 else cases))
    log = (
        math.lgamma(cases + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(cases - successes + 1)
        + successes * math.log(share)
        + (cases - successes) * math.log1p(-share)
    )
    return math.exp(log)


def at_least(successes: int, cases: int, share: float) -> float:
    """P(X >= successes) of a binomial, summed over the shorter tail."""
    if successes <= 0:
        return 1.0
    if successes > cases:
        return 0.0
    if successes > cases * share:
        return math.fsum(binomial(one, cases, share) for one in range(successes, cases + 1))
    return 1.0 - math.fsum(binomial(one, cases, share) for one in range(successes))


@lru_cache(maxsize=1024)
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


def needed_cases(floor: float, alpha: float) -> int:
    """The fewest cases with which the floor can be shown at all: with all of them right, floor^n <= alpha.

    Raises:
        ValueError: the floor is 1 (or more), which no number of cases shows.
    """
    if floor >= 1.0:
        raise ValueError("no number of cases shows that a share is 1")
    return 1 if floor <= alpha else math.ceil(math.log(alpha) / math.log(floor) - 1e-9)


def clopper_pearson(successes: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval (Clopper and Pearson 1934): the shares that neither one-sided exact test rejects."""
    alpha = (1.0 - confidence) / 2.0
    if cases == 0:
        return 0.0, 1.0
    low = 0.0 if successes == 0 else _share_where(successes, cases, alpha)
    high = 1.0 if successes == cases else 1.0 - _share_where(cases - successes, cases, alpha)
    return low, high


def _share_where(successes: int, cases: int, tail: float) -> float:
    """The share with P(X >= successes) = tail; it grows with the share."""
    low, high = 0.0, 1.0
    for _ in range(_MOST_STEPS):
        middle = (low + high) / 2.0
        if at_least(successes, cases, middle) < tail:
            low = middle
        else:
            high = middle
        if high - low < 1e-12:
            break
    return (low + high) / 2.0


def wilson(successes: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval (Wilson 1927): as wide as its name says on average. For showing, not for deciding."""
    if cases == 0:
        return 0.0, 1.0
    z = _NORMAL.inv_cdf(1.0 - (1.0 - confidence) / 2.0)
    share = successes / cases
    centre = share + z * z / (2 * cases)
    half = z * math.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases))
    scale = 1 + z * z / cases
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
