"""The intervals that reports show until they are told others: Clopper and Pearson's for shares, Student's for means.

`evals.statistics` is the room for decisions; nothing here is one.
"""

import math
from collections.abc import Sequence

from headworks.evals.statistics import clopper_pearson
from headworks.evals.statistics import needed_cases as exact_needed_cases

ALPHA = 0.05
"""Both sides together: the intervals are of 95 %."""

ONE_SIDED_ALPHA = 0.025
"""Of a decision that a bar is met (evals reference, 2.3)."""


class PlainIntervals:
    """Implements `reporting.Intervals`."""

    def share(self, right: int, cases: int) -> tuple[float, float]:
        """Clopper and Pearson 1934: the shares that a two-sided exact binomial test does not reject."""
        return clopper_pearson(right, cases, 1 - ALPHA)

    def mean(self, values: Sequence[float]) -> tuple[float, float]:
        """Student's t, cut to 0 and 1; everything where there is but one value."""
        count = len(values)
        if count < 2:
            return 0.0, 1.0
        mean = math.fsum(values) / count
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
        if deviation == 0:  # as for a share: that all are alike does not make it certain
            return self.share(round(mean * count), count) if mean in (0.0, 1.0) else (mean, mean)
        half = _student(count - 1) * deviation / math.sqrt(count)
        return max(0.0, mean - half), min(1.0, mean + half)


def needed_cases(bar: float) -> int:
    """The least number of cases with which a bar can be defended at all: if every one of so many is right, a share
    below the bar is rejected by an exact test.

    Arguments:
        bar: from 0 to 1; 1 cannot be defended by any number, and 0 needs none.
    """
    if bar <= 0:
        return 0
    if bar >= 1:
        return 10**9
    return exact_needed_cases(bar, ONE_SIDED_ALPHA)


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t: exact for 1 and 2, else Cornish and Fisher's expansion (Abramowitz and Stegun
    26.7.5), to within 0.01 from 3 on."""
    if freedom == 1:
        return 12.7062
    if freedom == 2:
        return 4.3027
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / float(freedom) ** power for power, term in enumerate(terms))
