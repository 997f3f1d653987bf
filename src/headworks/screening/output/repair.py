"""What the model is told when its answer is to be mended.

Place and rule, in words of ours, of the schema and of the rules' author. Nothing of the answer is quoted: the model has
it before it, and what an attacker has put into an answer must not come back as a message of ours.
"""

from headworks.screening.output.faults import OutputFault
from headworks.screening.output.verdicts import RulesOutcome

_NOT_JSON = frozenset({"not-json", "trailing-text", "incomplete", "not-unicode", "duplicate-key", "too-deep"})


def repair_message(wrong: OutputFault | RulesOutcome) -> str:
    """The text of a repair turn: what is wrong, and that the whole corrected answer is asked for.

    Arguments:
        wrong: a fault, or an outcome whose verdict is not `ok`. Reasons of rules are passed on as they are.
    """
    if isinstance(wrong, OutputFault):
        what = _fault(wrong)
        only = " Answer with one JSON value and nothing before or after it." if wrong.rule in _NOT_JSON else ""
    else:
        reasons = [finding.reason for finding in wrong.findings if finding.decision == "repair" and finding.reason]
        what = "\n".join(f"- {reason}" for reason in reasons) or "It breaks a rule of the application."
        only = ""
    return (
        f"Your last answer was not accepted.\n{what}\nGive the whole corrected answer again, not only the part.{only}"
    )


def _fault(fault: OutputFault) -> str:
    if not fault.pointer:
        place = "The answer"
    elif "*" in fault.pointer:
        place = f"The value at {fault.pointer} (* stands for a name of yours)"
    else:
        place = f"The value at {fault.pointer}"
    return f"{place} {fault.message}. Broken rule: {fault.rule}."
