"""Two independent rates, such as the outcomes of two spans of live traffic.

Of each arm, `good` of `cases`. Differences are the second arm's share less the first one's.
"""

import math
from functools import partial

import msgspec

from headworks.evals.statistics.distributions import log_factorial, rising_root
from headworks.evals.statistics.rates import wilson


class Tally(msgspec.Struct, frozen=True):
    """How many of how many were good."""

    good: int
    cases: int

    @property
    def share(self) -> float:
        """0 of none."""
        return self.good / self.cases if self.cases else 0.0


def newcombe_interval(first: Tally, second: Tally, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the difference from the two score intervals (Newcombe 1998, Statistics in Medicine 17:873, his
    method 10). For one look at a number of cases that was fixed before."""
    one, other = wilson(first.good, first.cases, confidence), wilson(second.good, second.cases, confidence)
    if not first.cases or not second.cases:
        return -1.0, 1.0
    difference = second.share - first.share
    low = difference - math.hypot(second.share - other[0], one[1] - first.share)
    high = difference + math.hypot(other[1] - second.share, first.share - one[0])
    return max(-1.0, low), min(1.0, high)


def fisher_exact(first: Tally, second: Tally) -> float:
    """The one-sided p-value of Fisher's exact test that the second arm is worse: how probable so few good answers of
    it are, or fewer, given how many are good in all."""
    good = first.good + second.good
    cases = first.cases + second.cases
    least = max(0, good - first.cases)
    whole = _log_choose(cases, good)
    return min(
        1.0,
        math.fsum(
            math.exp(_log_choose(second.cases, one) + _log_choose(first.cases, good - one) - whole)
            for one in range(least, second.good + 1)
        ),
    )


def always_valid_interval(first: Tally, second: Tally, alpha: float = 0.05) -> tuple[float, float]:
    """Where the difference of the rates is, however often one has looked, and whenever one stops: these intervals all
    hold it at once, but with a probability of alpha.

    For each arm, the likelihood of what was seen, averaged over rates with Jeffreys' weights, over that at the true
    rate is a martingale (Robbins 1970); so is their product, in whatever order the two arms' answers come. Kept is each
    difference for which any two rates make it less than 1 / alpha (Ville; "mixture martingales", Kaufmann and Koolen
    2021). Each arm's rate must be the same all the time: with traffic that changes over the day, take
    `betting.CanarySequence`.
    """
    if not first.cases or not second.cases:
        return -1.0, 1.0
    needed = math.log(1.0 / alpha) - _log_average(first) - _log_average(second)
    seen = second.share - first.share

    def excess(difference: float) -> float:
        return _least_surprise(first, second, difference) - needed

    low = -rising_root(lambda turned: excess(-turned), -seen, 1.0, precision=1e-9)
    high = rising_root(excess, seen, 1.0, precision=1e-9)
    return low, high


def _log_average(tally: Tally) -> float:
    """The logarithm of the likelihood averaged with Jeffreys' weights, Beta(1/2, 1/2)."""
    good, bad = tally.good + 0.5, tally.cases - tally.good + 0.5
    return math.lgamma(good) + math.lgamma(bad) - math.lgamma(tally.cases + 1.0) - math.log(math.pi)


def _least_surprise(first: Tally, second: Tally, difference: float) -> float:
    """Minus the greatest log likelihood of any two rates that differ by so much; convex, so found where it is flat."""
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    rate = low if low >= high else rising_root(partial(_slope, first, second, difference), low, high)
    return _surprise(first, rate) + _surprise(second, rate + difference)


def _slope(first: Tally, second: Tally, difference: float, rate: float) -> float:
    return _slope_at(first, rate) + _slope_at(second, rate + difference)


def _slope_at(tally: Tally, rate: float) -> float:
    bad = tally.cases - tally.good
    up = -math.inf if tally.good and rate <= 0.0 else -tally.good / rate if tally.good else 0.0
    down = math.inf if bad and rate >= 1.0 else bad / (1.0 - rate) if bad else 0.0
    return up + down


def _surprise(tally: Tally, rate: float) -> float:
    """Minus the log likelihood at a rate."""
    total = 0.0
    for count, chance in ((tally.good, rate), (tally.cases - tally.good, 1.0 - rate)):
        if count:
            total += -count * math.log(chance) if chance > 0.0 else math.inf
    return total


def _log_choose(cases: int, chosen: int) -> float:
    return log_factorial(cases) - log_factorial(chosen) - log_factorial(cases - chosen)
