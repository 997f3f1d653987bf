"""Two arms on the same cases: non-inferiority by Tango's score test, regression by McNemar's.

Of `cases`, `losses` are those that the reference has right and the candidate wrong, `wins` the other way round.
"""

import math
from functools import lru_cache
from statistics import NormalDist

from headworks.evals.statistics.rates import binomial

_NORMAL = NormalDist()
_GRID = 120
"""Points at which the nuisance parameter is looked at for the largest error; it is smooth between them."""


def tango_score(losses: int, wins: int, cases: int, margin: float) -> float:
    """The statistic of H0: the candidate's share is lower by `margin` or more (Tango 1998, Stat Med 17:891, with the
    constrained maximum likelihood estimate in closed form). Above the bound it is rejected: not inferior.
    """
    if cases == 0:
        return 0.0
    difference = -margin
    b, c, n = losses, wins, cases
    first = 2 * n
    second = -c - b + (2 * n - c + b) * difference
    third = -b * difference * (1 - difference)
    root = math.sqrt(max(0.0, second * second - 4 * first * third))
    estimate = (root - second) / (2 * first)
    variance = n * (2 * estimate + difference * (1 - difference))
    score = c - b - n * difference
    return score / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, score) if score else 0.0


@lru_cache(maxsize=256)
def exact_bound(cases: int, margin: float, alpha: float) -> float:
    """The least bound for `tango_score` at which the error is at most `alpha`, whatever share of cases the two arms
    disagree on: the asymptotic one is a little too low for small sets. Never below the asymptotic one.
    """
    asymptotic = _NORMAL.inv_cdf(1.0 - alpha)
    # What could reject at all, the clearest first.
    scored = sorted(
        (
            (tango_score(losses, wins, cases, margin), losses, wins)
            for losses in range(cases + 1)
            for wins in range(cases - losses + 1)
            if wins - losses > -cases * margin
        ),
        reverse=True,
    )
    scored = [one for one in scored if one[0] >= asymptotic - 0.25]
    bound = asymptotic
    for step in range(_GRID + 1):
        win = (1.0 - margin) / 2.0 * (step / _GRID) ** 2  # finer where disagreement is rare, as it is
        bound = max(bound, _bound_at(scored, cases, win, win + margin, alpha))
    return bound


def _bound_at(scored: list[tuple[float, int, int]], cases: int, win: float, loss: float, alpha: float) -> float:
    """The least bound above which the outcomes have at most `alpha` in all, where wins and losses are so likely."""
    total = 0.0
    for score, losses, wins in scored:
        total += _trinomial(losses, wins, cases, loss, win)
        if total > alpha:
            return math.nextafter(score, math.inf)
    return -math.inf


def _trinomial(losses: int, wins: int, cases: int, loss: float, win: float) -> float:
    either = loss + win
    if either <= 0.0:
        return float(losses == wins == 0)
    return binomial(losses + wins, cases, min(1.0, either)) * binomial(losses, losses + wins, loss / either)


def paired_power(cases: int, margin: float, alpha: float, *, win: float, loss: float) -> float:
    """How probable it is that non-inferiority is shown where wins and losses have these probabilities."""
    bound = exact_bound(cases, margin, alpha)
    return math.fsum(
        _trinomial(losses, wins, cases, loss, win)
        for losses in range(cases + 1)
        for wins in range(cases - losses + 1)
        if tango_score(losses, wins, cases, margin) >= bound
    )


def tango_interval(losses: int, wins: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the difference of shares, candidate less reference, by inverting the score test."""
    if cases == 0:
        return -1.0, 1.0
    z = _NORMAL.inv_cdf(1.0 - (1.0 - confidence) / 2.0)
    return _difference_where(losses, wins, cases, z), -_difference_where(wins, losses, cases, z)


def _difference_where(losses: int, wins: int, cases: int, z: float) -> float:
    """The difference at which the score is z; the score falls as the difference grows."""
    low, high = -1.0, (wins - losses) / cases
    for _ in range(100):
        middle = (low + high) / 2.0
        if tango_score(losses, wins, cases, -middle) > z:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def mcnemar_midp(losses: int, wins: int) -> float:
    """The one-sided mid-p of McNemar's test that the candidate is worse: P(B > losses) + P(B = losses) / 2 of a
    binomial of the discordant cases at a half (Fagerland, Lydersen, Laake 2013)."""
    discordant = losses + wins
    if discordant == 0:
        return 1.0
    above = math.fsum(binomial(one, discordant, 0.5) for one in range(losses + 1, discordant + 1))
    return above + binomial(losses, discordant, 0.5) / 2.0
