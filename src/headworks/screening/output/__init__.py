"""What a model answers, validated before anything acts on it: schema, tool arguments, rules.

An answer is read strictly (`reading`), judged by its schema at once (`OutputSchema`) or while it streams
(`IncrementalCheck`), then by the user's rules in a process of their own (`RulesRunner`). A fault says where and which
rule, and never what the answer holds. What a user's fallback.py says in a model's place comes from such
a process, too (`AnswerRunner`). All of it is pure but for `process`, the only module here that starts one.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.screening.output.answer_file import NO_ANSWER, Said
    from headworks.screening.output.answer_runner import AnswerRunner, check_answers
    from headworks.screening.output.canonical import canonical_json
    from headworks.screening.output.faults import OutputFault
    from headworks.screening.output.incremental import IncrementalCheck
    from headworks.screening.output.reading import JsonValue
    from headworks.screening.output.repair import repair_message
    from headworks.screening.output.rules import RulesRunner, check_rules, has_not_judged
    from headworks.screening.output.schema import OutputSchema
    from headworks.screening.output.strict import SchemaProblem, strict_problems
    from headworks.screening.output.tool_calls import ToolSet
    from headworks.screening.output.verdicts import Decision, RuleFinding, RulesOutcome, Verdict

__all__ = [
    "NO_ANSWER",
    "AnswerRunner",
    "Decision",
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
    "canonical_json",
    "check_answers",
    "check_rules",
    "has_not_judged",
    "repair_message",
    "strict_problems",
]

_HOMES = {
    "NO_ANSWER": "answer_file",
    "AnswerRunner": "answer_runner",
    "Decision": "verdicts",
    "IncrementalCheck": "incremental",
    "JsonValue": "reading",
    "OutputFault": "faults",
    "OutputSchema": "schema",
    "RuleFinding": "verdicts",
    "RulesOutcome": "verdicts",
    "RulesRunner": "rules",
    "Said": "answer_file",
    "SchemaProblem": "strict",
    "ToolSet": "tool_calls",
    "Verdict": "verdicts",
    "canonical_json": "canonical",
    "check_answers": "answer_runner",
    "check_rules": "rules",
    "has_not_judged": "rules",
    "repair_message": "repair",
    "strict_problems": "strict",
}
"""The module of each name."""


def __getattr__(name: str) -> object:
    """Load a name's module when it is first asked for, so that a process of rules starts without the rest (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
