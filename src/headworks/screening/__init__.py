"""Steps 5 and 8 of a call: what goes to a model and what comes from it, before it goes on.

`output` validates answers and tool calls by schema and by the user's rules. `ActionPolicy` says which tools with side
effects may run, and `ApprovalStore` keeps those that a person has to decide on, each approval bound to the exact
arguments. A rules.py needs `Verdict` from here and nothing else.

May import `errors`, `calls`, `catalogue`, `config` and `database`.
"""

from headworks.screening.actions import ActionPolicy, approval_hash
from headworks.screening.approvals import (
    APPROVALS_FILE,
    Approval,
    ApprovalState,
    ApprovalStep,
    ApprovalStore,
    HeldAnswer,
    HeldCall,
    HeldState,
    held_state,
)
from headworks.screening.output import (
    NO_ANSWER,
    AnswerRunner,
    Decision,
    IncrementalCheck,
    JsonValue,
    OutputFault,
    OutputSchema,
    RuleFinding,
    RulesOutcome,
    RulesRunner,
    Said,
    SchemaProblem,
    ToolSet,
    Verdict,
    check_answers,
    check_rules,
    has_not_judged,
    repair_message,
    strict_problems,
)

__all__ = [
    "APPROVALS_FILE",
    "NO_ANSWER",
    "ActionPolicy",
    "AnswerRunner",
    "Approval",
    "ApprovalState",
    "ApprovalStep",
    "ApprovalStore",
    "Decision",
    "HeldAnswer",
    "HeldCall",
    "HeldState",
    "IncrementalCheck",
    "JsonValue",
    "OutputFault",
    "OutputSchema",
    "RuleFinding",
    "RulesOutcome",
    "RulesRunner",
    "Said",
    "SchemaProblem",
    "ToolSet",
    "Verdict",
    "approval_hash",
    "check_answers",
    "check_rules",
    "has_not_judged",
    "held_state",
    "repair_message",
    "strict_problems",
]
