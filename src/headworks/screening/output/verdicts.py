"""What rules say about an answer, and what comes of it."""

from typing import Literal

import msgspec

Decision = Literal["ok", "mark", "repair", "block"]
"""From best to worst: let it pass; let it pass and say so in the records; tell the model and ask again; stop it."""

RulesCode = Literal["", "rule_marked", "rule_repair", "rule_blocked", "rules_timeout", "rules_failed"]


class Verdict(msgspec.Struct, frozen=True):
    """What one rule says. Made by the four methods; a rule may also return True or None (ok) or False (block).

    A reason is kept in records, and told to the model where it is to repair: it says what must hold, and should quote
    nothing of the answer.
    """

    decision: Decision
    reason: str = ""

    @classmethod
    def ok(cls) -> "Verdict":
        """The rule holds."""
        return cls("ok")

    @classmethod
    def block(cls, reason: str) -> "Verdict":
        """Nothing may act on this answer."""
        return cls("block", reason)

    @classmethod
    def repair(cls, reason: str) -> "Verdict":
        """The model may mend it, where the contract allows a repair; else it is blocked."""
        return cls("repair", reason)

    @classmethod
    def mark(cls, reason: str) -> "Verdict":
        """It passes, and the records say so."""
        return cls("mark", reason)


class RuleFinding(msgspec.Struct, frozen=True):
    """A rule that does not hold, or could not tell. `reason` of one that failed names a type and a line only."""

    rule: str
    decision: Decision
    reason: str
    code: RulesCode


class RulesOutcome(msgspec.Struct, frozen=True):
    """What all rules say together: the worst decides, of equals the first.

    Attributes:
        verdict: what is to be done.
        rule: the name of the rule that decided; empty when all hold, or when it is not known.
        reason: its reason.
        findings: every rule that does not hold, in the file's order.
        code: for machines; empty when all hold.
    """

    verdict: Decision
    rule: str = ""
    reason: str = ""
    findings: tuple[RuleFinding, ...] = ()
    code: RulesCode = ""


_BADNESS: dict[Decision, int] = {"ok": 0, "mark": 1, "repair": 2, "block": 3}


def outcome_of(findings: tuple[RuleFinding, ...]) -> RulesOutcome:
    """The outcome that follows from these findings."""
    if not findings:
        return RulesOutcome("ok")
    worst = max(findings, key=lambda finding: _BADNESS[finding.decision])  # the first of equals
    return RulesOutcome(worst.decision, worst.rule, worst.reason, findings, worst.code)
