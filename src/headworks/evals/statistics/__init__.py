"""The statistics of small golden sets: exact where that can be had, with the error that they promise.

`rates` is about one share of right answers, `paired` about two arms on the same cases, `looks` and `paired_looks` about
stopping early without losing the guarantee. Pure, standard library only; sources stand where the formulas do.
"""

from headworks.evals.statistics.distributions import at_least, at_most
from headworks.evals.statistics.looks import (
    LOOKS,
    FloorPlan,
    allowed_errors,
    floor_passes,
    floor_plan,
    look_places,
    spending_bounds,
    spent,
)
from headworks.evals.statistics.paired import (
    mcnemar_exact,
    mcnemar_midp,
    mcnemar_power,
    paired_power,
    tango_interval,
)
from headworks.evals.statistics.paired_looks import exact_bound, is_as_good, paired_bounds, tango_score
from headworks.evals.statistics.rates import (
    PowerRow,
    cases_for_power,
    clopper_pearson,
    floor_p_value,
    floor_power,
    floor_successes,
    midp_interval,
    needed_cases,
    power_table,
    share_for_power,
    wilson,
)

__all__ = [
    "LOOKS",
    "FloorPlan",
    "PowerRow",
    "allowed_errors",
    "at_least",
    "at_most",
    "cases_for_power",
    "clopper_pearson",
    "exact_bound",
    "floor_p_value",
    "floor_passes",
    "floor_plan",
    "floor_power",
    "floor_successes",
    "is_as_good",
    "look_places",
    "mcnemar_exact",
    "mcnemar_midp",
    "mcnemar_power",
    "midp_interval",
    "needed_cases",
    "paired_bounds",
    "paired_power",
    "power_table",
    "share_for_power",
    "spending_bounds",
    "spent",
    "tango_interval",
    "tango_score",
    "wilson",
]
