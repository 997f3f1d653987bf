"""The statistics of small golden sets: exact where that can be had, with the error that they promise.

`rates` is about one share of right answers, `paired` about two arms on the same cases, `independent` about two arms on
different ones, `looks` and `paired_looks` about stopping early without losing the guarantee, `betting` about looking as
often as one likes, `means` about graded scores, repeats and clusters, `judges` about judges that err. Pure, standard
library only; sources stand where the formulas do.
"""

from headworks.evals.statistics.betting import (
    CanarySequence,
    DifferenceSequence,
    evidence_above,
    evidence_below,
    futility,
)
from headworks.evals.statistics.distributions import at_least, at_most
from headworks.evals.statistics.independent import Tally, always_valid_interval, fisher_exact, newcombe_interval
from headworks.evals.statistics.judges import Estimate, JudgeLabels, cohens_kappa, ppi_difference, rogan_gladen
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
from headworks.evals.statistics.means import (
    Repeats,
    bootstrap_interval,
    cluster_means,
    cost_per_acceptable,
    design_effect,
    mean_interval,
    repeats,
    standard_error,
)
from headworks.evals.statistics.paired import (
    cases_for_margin,
    is_shown_as_good,
    mcnemar_exact,
    mcnemar_midp,
    mcnemar_power,
    paired_power,
    tango_interval,
)
from headworks.evals.statistics.paired_looks import (
    exact_bound,
    is_as_good,
    most_disagreements,
    paired_bounds,
    tango_score,
)
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
    "CanarySequence",
    "DifferenceSequence",
    "Estimate",
    "FloorPlan",
    "JudgeLabels",
    "PowerRow",
    "Repeats",
    "Tally",
    "allowed_errors",
    "always_valid_interval",
    "at_least",
    "at_most",
    "bootstrap_interval",
    "cases_for_margin",
    "cases_for_power",
    "clopper_pearson",
    "cluster_means",
    "cohens_kappa",
    "cost_per_acceptable",
    "design_effect",
    "evidence_above",
    "evidence_below",
    "exact_bound",
    "fisher_exact",
    "floor_p_value",
    "floor_passes",
    "floor_plan",
    "floor_power",
    "floor_successes",
    "futility",
    "is_as_good",
    "is_shown_as_good",
    "look_places",
    "mcnemar_exact",
    "mcnemar_midp",
    "mcnemar_power",
    "mean_interval",
    "midp_interval",
    "most_disagreements",
    "needed_cases",
    "newcombe_interval",
    "paired_bounds",
    "paired_power",
    "power_table",
    "ppi_difference",
    "repeats",
    "rogan_gladen",
    "share_for_power",
    "spending_bounds",
    "spent",
    "standard_error",
    "tango_interval",
    "tango_score",
    "wilson",
]
