"""The statistics of small golden sets: exact where that can be had, with the error that they promise.

`rates` is about one share of right answers, `paired` about two arms on the same cases, `looks` about stopping early
without losing the guarantee. Pure, standard library only; sources stand where the formulas do.
"""

from headworks.evals.statistics.looks import FloorPlan, floor_plan, spending_bounds
from headworks.evals.statistics.paired import (
    exact_bound,
    mcnemar_midp,
    paired_power,
    tango_interval,
    tango_score,
)
from headworks.evals.statistics.rates import (
    at_least,
    clopper_pearson,
    floor_power,
    floor_successes,
    needed_cases,
    wilson,
)

__all__ = [
    "FloorPlan",
    "at_least",
    "clopper_pearson",
    "exact_bound",
    "floor_plan",
    "floor_power",
    "floor_successes",
    "mcnemar_midp",
    "needed_cases",
    "paired_power",
    "spending_bounds",
    "tango_interval",
    "tango_score",
    "wilson",
]
