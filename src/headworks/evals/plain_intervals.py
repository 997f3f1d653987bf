"""The intervals that reports show until they are told others: Clopper and Pearson's for shares, Student's for means.

`evals.statistics` is the room for decisions; nothing here is one.
"""

from collections.abc import Sequence

from headworks.evals.statistics import clopper_pearson, mean_interval
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
        """Student's t, cut to 0 and 1; where all values are alike, as wide as that of so many answers."""
        return mean_interval(values, 1 - ALPHA)


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
