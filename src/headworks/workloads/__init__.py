"""What follows from a workload's contract: the steps of its calls, its plan, a new workload's first files.

`read_facts` counts what lies beside a contract; `steps_of` and `derive` are pure functions of contract and facts.
`estimate` is what a month of calls costs, and `break_even` where a machine of one's own meets it: pure, too.
`check_files` judges the files that no other room compiles; `first_files` writes a new workload's.

May import `catalogue`, `config` and `errors`.
"""

from headworks.workloads.estimating import (
    Assumption,
    CacheCheck,
    Estimate,
    FigureSource,
    Load,
    Parts,
    Sensitivity,
    estimate,
    fixed,
)
from headworks.workloads.facts import Facts, ModelFact, read_facts
from headworks.workloads.files import check_files
from headworks.workloads.fine_tuning import PayOff, pay_off
from headworks.workloads.plan import Decision, Plan, PlanSection, Source, Traffic
from headworks.workloads.planning import derive
from headworks.workloads.scaffold import Answers, first_files
from headworks.workloads.self_hosting import BreakEven, break_even
from headworks.workloads.steps import Step, steps_of

__all__ = [
    "Answers",
    "Assumption",
    "BreakEven",
    "CacheCheck",
    "Decision",
    "Estimate",
    "Facts",
    "FigureSource",
    "Load",
    "ModelFact",
    "Parts",
    "PayOff",
    "Plan",
    "PlanSection",
    "Sensitivity",
    "Source",
    "Step",
    "Traffic",
    "break_even",
    "check_files",
    "derive",
    "estimate",
    "first_files",
    "fixed",
    "pay_off",
    "read_facts",
    "steps_of",
]
