"""Means of graded scores, of repeated cases and of cases in clusters: intervals that take the right thing for one
observation, and a bootstrap for distributions with a long tail.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from random import Random

import msgspec

from headworks.evals.statistics.distributions import student_quantile
from headworks.evals.statistics.rates import clopper_pearson

RESAMPLES = 2000
"""Of a bootstrap: a quantile of 2.5 % then rests on fifty of them (Efron and Tibshirani 1993, 12.5 ask for 1,000 to
2,000)."""


def cluster_means(values: Iterable[tuple[Hashable, float]]) -> list[float]:
    """One mean for each cluster, in the order in which clusters first come: cases of one document, user or session are
    not independent, so the cluster is what is counted (Miller 2024, arXiv 2411.00640)."""
    found: dict[Hashable, list[float]] = {}
    for cluster, value in values:
        found.setdefault(cluster, []).append(value)
    return [math.fsum(members) / len(members) for members in found.values()]


def standard_error(values: Sequence[float]) -> float:
    """Of the mean; infinite for fewer than two values."""
    count = len(values)
    if count < 2:
        return math.inf
    mean = math.fsum(values) / count
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of scores from 0 to 1, cut to these. Pass one mean for each cluster or case.

    Where all values are alike the interval is Clopper and Pearson's, of as many right answers: that nothing differs
    does not make it certain.
    """
    count = len(values)
    if count < 2:
        return 0.0, 1.0
    mean = math.fsum(values) / count
    error = standard_error(values)
    if error == 0.0:
        return (
            clopper_pearson(math.floor(mean * count), count, confidence)[0],
            clopper_pearson(math.ceil(mean * count), count, confidence)[1],
        )
    half = student_quantile(1.0 - (1.0 - confidence) / 2.0, count - 1) * error
    return max(0.0, mean - half), min(1.0, mean + half)


def design_effect(values: Sequence[tuple[Hashable, float]]) -> float:
    """How many times as large the variance of the mean is as if all cases were independent: that of the clusters over
    the naive one. About 1 + (m - 1) * rho with clusters of m that resemble one another by rho (Kish 1965)."""
    naive = standard_error([value for _, value in values])
    means: dict[Hashable, list[float]] = {}
    for cluster, value in values:
        means.setdefault(cluster, []).append(value)
    if naive == 0.0 or math.isinf(naive) or len(means) < 2:
        return 1.0
    count, clusters = len(values), len(means)
    mean = math.fsum(value for _, value in values) / count
    between = math.fsum((math.fsum(members) - mean * len(members)) ** 2 for members in means.values())
    return between * clusters / (clusters - 1) / count**2 / naive**2


class Repeats(msgspec.Struct, frozen=True, kw_only=True):
    """What asking each case more than once has shown.

    Attributes:
        means: of each case: these are the observations, never each answer.
        flicker: the share of cases that were sometimes right and sometimes wrong, of those asked more than once.
        between, within: the variance of the means beyond what chance within cases explains, and that within them: the
            variance of the score is (between + within / repeats) / cases.
    """

    means: tuple[float, ...]
    flicker: float
    between: float
    within: float


def repeats(answers: Sequence[Sequence[bool]]) -> Repeats:
    """What repeated answers, case by case, show. Cases without any answer are left out."""
    asked = [one for one in answers if one]
    means = [sum(one) / len(one) for one in asked]
    several = [(len(one), mean) for one, mean in zip(asked, means, strict=True) if len(one) > 1]
    flickering = sum(0.0 < mean < 1.0 for _, mean in several)
    within = (
        math.fsum(mean * (1.0 - mean) * count / (count - 1) for count, mean in several) / len(several)
        if several
        else 0.0
    )
    inside = math.fsum(within / len(one) for one in asked) / len(asked) if asked else 0.0
    spread = standard_error(means) ** 2 * len(means) if len(means) > 1 else 0.0
    return Repeats(
        means=tuple(means),
        flicker=flickering / len(several) if several else 0.0,
        between=max(0.0, spread - inside),
        within=within,
    )


def bootstrap_interval(
    values: Sequence[float], *, seed: int, confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The studentised bootstrap's interval of a mean (Efron 1979; Hall 1988): for graded scores and their differences,
    whose rare large losses make Student's interval and the percentile bootstrap far too narrow (evals reference 2.5).
    Secondary all the same: what gates is whether answers are acceptable.

    Infinite at a side where the resamples do not say (nearly all values alike).

    Arguments:
        seed: the same one gives the same interval.
    """
    count = len(values)
    error = standard_error(values)
    if count < 2 or error == 0.0:
        return -math.inf, math.inf
    mean = math.fsum(values) / count
    centred = [value - mean for value in values]
    chance = Random(seed)  # noqa: S311
    found = []
    for _ in range(resamples):
        drawn = chance.choices(centred, k=count)
        average = sum(drawn) / count
        variance = sum(value * value for value in drawn) / count - average * average
        if variance <= 1e-15:
            found.append(math.copysign(math.inf, average) if abs(average) > 1e-12 else 0.0)
        else:
            found.append(average / math.sqrt(variance / (count - 1)))
    found.sort()
    tail = (1.0 - confidence) / 2.0
    low = found[max(0, math.floor(tail * resamples) - 1)]
    high = found[min(resamples - 1, math.ceil((1.0 - tail) * resamples))]
    return mean - high * error, mean - low * error


def cost_per_acceptable(
    costs: Sequence[float], acceptable: Sequence[bool], *, seed: int, confidence: float = 0.95
) -> tuple[float, float, float]:
    """What an acceptable answer costs: all calls' cost over the number of acceptable ones, and its percentile bootstrap
    interval over the cases. Infinite where none is acceptable.

    Arguments:
        costs: of each call, in whatever unit the result is wanted in.
        acceptable: whether its answer was.
    """
    pairs = list(zip(costs, map(int, acceptable), strict=True))
    chance = Random(seed)  # noqa: S311

    def ratio(drawn: Sequence[tuple[float, int]]) -> float:
        good = sum(one for _, one in drawn)
        return sum(cost for cost, _ in drawn) / good if good else math.inf

    found = sorted(ratio(chance.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES)) if pairs else [math.inf]
    tail = (1.0 - confidence) / 2.0
    last = len(found) - 1
    return ratio(pairs), found[math.floor(tail * last)], found[math.ceil((1.0 - tail) * last)]
