"""Steps 5 and 8 of a call: what goes to a model and what comes from it, before it goes on.

`output` validates answers and tool calls by schema and by the user's rules. `ActionPolicy` says which tools with side
effects may run, and `ApprovalStore` keeps those that a person has to decide on, each approval bound to the exact
arguments. A rules.py needs `Verdict` from here and nothing else.

May import `errors`, `calls`, `catalogue`, `config` and `database`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_HOMES = {
    "APPROVALS_FILE": "approvals",
    "NO_ANSWER": "output",
    "ActionPolicy": "actions",
    "AnswerRunner": "output",
    "Approval": "approvals",
    "ApprovalState": "approvals",
    "ApprovalStep": "approvals",
    "ApprovalStore": "approvals",
    "Decision": "output",
    "HeldAnswer": "approvals",
    "HeldCall": "approvals",
    "HeldState": "approvals",
    "IncrementalCheck": "output",
    "JsonValue": "output",
    "OutputFault": "output",
    "OutputSchema": "output",
    "RuleFinding": "output",
    "RulesOutcome": "output",
    "RulesRunner": "output",
    "Said": "output",
    "SchemaProblem": "output",
    "ToolSet": "output",
    "Verdict": "output",
    "approval_hash": "actions",
    "check_answers": "output",
    "check_rules": "output",
    "has_not_judged": "output",
    "held_state": "approvals",
    "repair_message": "output",
    "strict_problems": "output",
}
"""The module of each name."""


def __getattr__(name: str) -> object:
    """Load a name's module when it is first asked for, so that a process of rules starts without the rest (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
