"""The answer calls the expected tools: their names, arguments and order."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import NOT_SAID, Answer, Comparison, Part, Score, ToolCall, json_of, wrong


class ExpectedCall(msgspec.Struct, frozen=True):
    """A call that is right: the tool's name, and its arguments."""

    name: str
    arguments: dict[str, object] = {}


class ToolCalls(Comparison):
    """The value is the share of calls that are right, of those expected or made, whichever are more.

    A case expects a list of `{"name": …, "arguments": {…}}`, or an object with such a list as `tool_calls`; an empty
    list means that no tool is to be called.

    Arguments:
        order: *same*: calls must come in the expected order; *any*: they need not.
        arguments: *equal*: those expected and no others; *given*: those expected, others do no harm; *ignored*.
    """

    def __init__(
        self,
        *,
        order: Literal["any", "same"] = "any",
        arguments: Literal["equal", "given", "ignored"] = "equal",
    ) -> None:
        super().__init__("tool_calls", {"order": order, "arguments": arguments})
        self._order = order
        self._arguments = arguments

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        if not case.has_expected:
            return NOT_SAID
        wanted = expected_calls(case.expected_value())
        if wanted is None:
            return wrong("the case expects no list of tool calls, which is what this scorer compares")
        made = list(answer.tool_calls)
        parts = []
        for place, call in enumerate(wanted):
            found = self._find(call, made, place)
            reason = "" if found >= 0 else self._why(call, answer.tool_calls)
            parts.append(Part(call.name, float(found >= 0), found >= 0, reason))
            if found >= 0 and self._order == "any":
                del made[found]
        right = sum(part.is_acceptable for part in parts)
        longest = max(len(wanted), len(answer.tool_calls))
        if right == longest:
            return Score(1.0, is_acceptable=True, parts=tuple(parts))
        reasons = [f"{part.name}: {part.reason}" for part in parts if not part.is_acceptable]
        too_many = len(answer.tool_calls) - len(wanted)
        if too_many > 0:
            reasons.append(f"{too_many} more calls than expected")
        return Score(right / longest, is_acceptable=False, reason="; ".join(reasons), parts=tuple(parts))

    def _find(self, wanted: ExpectedCall, made: Sequence[ToolCall], place: int) -> int:
        """Where the call is among those made; -1 if it is not."""
        if self._order == "same":
            return place if place < len(made) and self._fits(wanted, made[place]) else -1
        return next((index for index, call in enumerate(made) if self._fits(wanted, call)), -1)

    def _fits(self, wanted: ExpectedCall, made: ToolCall) -> bool:
        if wanted.name != made.name:
            return False
        if self._arguments == "ignored":
            return True
        is_json, arguments = json_of(made.arguments or "{}")
        if not is_json or not isinstance(arguments, dict):
            return False
        if self._arguments == "given":
            return all(name in arguments and arguments[name] == value for name, value in wanted.arguments.items())
        return bool(arguments == wanted.arguments)

    def _why(self, wanted: ExpectedCall, made: Sequence[ToolCall]) -> str:
        if all(call.name != wanted.name for call in made):
            return "is not called"
        return "is called with other arguments" + (", or at another place" if self._order == "same" else "")


def expected_calls(expected: object) -> list[ExpectedCall] | None:
    """The calls that a case expects; None where it expects something else."""
    if isinstance(expected, dict) and "tool_calls" in expected:
        expected = expected["tool_calls"]
    try:
        return msgspec.convert(expected, list[ExpectedCall])
    except msgspec.ValidationError:
        return None
