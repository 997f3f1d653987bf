"""What a model answers, validated before anything acts on it: schema, tool arguments, rules.

An answer is read strictly (`reading`), judged by its schema at once (`OutputSchema`) or while it streams
(`IncrementalCheck`), then by the user's rules in a process of their own (`RulesRunner`). A fault says where and which
rule, and never what the answer holds. What a user's fallback.py says in a model's place comes from such
a process, too (`AnswerRunner`). All of it is pure but for `process`, the only module here that starts one.
"""

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
