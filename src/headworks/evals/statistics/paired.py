"""Two arms on the same cases: the interval of their difference, regression by McNemar's test, and the power of both.

Of `cases`, `losses` are those that the reference has right and the candidate wrong, `wins` the other way round.
"""

import math
from functools import lru_cache

from headworks.evals.statistics.distributions import NORMAL, at_least, binomial, binomial_row, rising_root
from headworks.evals.statistics.paired_looks import exact_bound, is_as_good, most_disagreements, tango_score


def is_shown_as_good(losses: int, wins: int, cases: int, *, margin: float, alpha: float) -> bool:
    """Whether the candidate is shown, looked at once with error at most `alpha`, to be worse by less than the margin.

    By Tango's test; and of arms that disagree too often for that, by McNemar's exact one, turned round: a candidate
    that mends what was broken is right nearly everywhere, and its reference hardly anywhere. That both together keep
    alpha is enumerated for 50 to 200 cases (tests/evals/statistics/test_errors.py).
    """
    if losses + wins > most_disagreements(cases):
        return mcnemar_exact(wins, losses) <= alpha
    return is_as_good(losses, wins, cases, margin=margin, bound=exact_bound(cases, margin, alpha))


@lru_cache(maxsize=256)
def paired_power(cases: int, margin: float, alpha: float, *, win: float, loss: float) -> float:
    """How probable it is that non-inferiority is shown, looked at once, where wins and losses have these probabilities:
    every outcome enumerated."""
    bound = exact_bound(cases, margin, alpha)
    either = loss + win
    if either <= 0.0:
        return float(is_as_good(0, 0, cases, margin=margin, bound=bound))
    return math.fsum(
        chance * part
        for discordant, chance in binomial_row(cases, min(1.0, either))
        for losses, part in binomial_row(discordant, loss / either)
        if is_as_good(losses, discordant - losses, cases, margin=margin, bound=bound)
    )


def cases_for_margin(margin: float, alpha: float, *, losses: int, wins: int, cases: int, power: float = 0.8) -> int:
    """About how many cases it takes to show that a candidate is worse by less than the margin, where losses and wins
    are as frequent as they were here (normal approximation of the difference of paired shares); 0 where no number does.
    """
    if cases == 0 or wins - losses + margin * cases <= 0:
        return 0
    difference = (wins - losses) / cases
    # With nothing that differs, the score is what a difference at the margin would make of it.
    variance = max((losses + wins) / cases - difference * difference, margin * (1.0 - margin))
    reach = NORMAL.inv_cdf(1.0 - alpha) + NORMAL.inv_cdf(power)
    return math.ceil(variance * (reach / (margin + difference)) ** 2)


def tango_interval(losses: int, wins: int, cases: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the difference of shares, candidate less reference, by inverting the score test (Tango 1998)."""
    if cases == 0:
        return -1.0, 1.0
    z = NORMAL.inv_cdf(1.0 - (1.0 - confidence) / 2.0)
    return _difference_where(losses, wins, cases, z), -_difference_where(wins, losses, cases, z)


def _difference_where(losses: int, wins: int, cases: int, z: float) -> float:
    """The difference at which the score is z; the score falls as the difference grows."""
    seen = (wins - losses) / cases
    return rising_root(lambda difference: z - tango_score(losses, wins, cases, -difference), -1.0, seen)


def mcnemar_exact(losses: int, wins: int) -> float:
    """The one-sided p-value of McNemar's exact test that the candidate is worse: P(B >= losses) of a binomial of the
    discordant cases at a half. Its error is never above what it says, and mostly far below."""
    return at_least(losses, losses + wins, 0.5)


def mcnemar_midp(losses: int, wins: int) -> float:
    """The one-sided mid-p of McNemar's test that the candidate is worse: P(B > losses) + P(B = losses) / 2 of a
    binomial of the discordant cases at a half (Fagerland, Lydersen, Laake 2013, who found no violation of the level in
    practice). 1 where nothing differs.
    """
    discordant = losses + wins
    if discordant == 0:
        return 1.0
    return at_least(losses + 1, discordant, 0.5) + binomial(losses, discordant, 0.5) / 2.0


def mcnemar_power(cases: int, alpha: float, *, win: float, loss: float, is_midp: bool = True) -> float:
    """How probable it is that McNemar's test finds the candidate worse, where wins and losses have these probabilities.

    Arguments:
        alpha: it is found where the p-value is below this.
        is_midp: by the mid-p; else by the exact test.
    """
    either = win + loss
    if either <= 0.0:
        return 0.0
    total = 0.0
    for discordant, chance in binomial_row(cases, min(1.0, either)):
        least = _least_losses(discordant, alpha, is_midp)
        total += chance * at_least(least, discordant, loss / either)
    return total


@lru_cache(maxsize=8192)
def _least_losses(discordant: int, alpha: float, is_midp: bool) -> int:
    """The fewest losses of so many discordant cases with which the candidate is found worse; one more than there are
    where none is enough."""
    p_value = mcnemar_midp if is_midp else mcnemar_exact
    low, high = 0, discordant + 1
    while low < high:
        middle = (low + high) // 2
        if p_value(middle, discordant - middle) < alpha:
            high = middle
        else:
            low = middle + 1
    return low
