"""What follows from a workload's contract: the steps of its calls, its plan, a new workload's first files.

`read_facts` counts what lies beside a contract; `steps_of` and `derive` are pure functions of contract and facts.
`check_files` judges the files that no other room compiles; `first_files` writes a new workload's.

May import `catalogue`, `config` and `errors`.
"""

from headworks.workloads.facts import Facts, ModelFact, read_facts
from headworks.workloads.files import check_files
from headworks.workloads.plan import Decision, Plan, PlanSection, Source, Traffic
from headworks.workloads.planning import derive
from headworks.workloads.scaffold import Answers, first_files
from headworks.workloads.steps import Step, steps_of

__all__ = [
    "Answers",
    "Decision",
    "Facts",
    "ModelFact",
    "Plan",
    "PlanSection",
    "Source",
    "Step",
    "Traffic",
    "check_files",
    "derive",
    "first_files",
    "read_facts",
    "steps_of",
]
