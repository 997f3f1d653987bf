"""Several scorers as one, one for a part of the answer, and the one that fits what a case expects."""

from collections.abc import Mapping, Sequence

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.fields import Fields
from headworks.evals.scorers.label import Label
from headworks.evals.scorers.members import Collection
from headworks.evals.scorers.number import Number
from headworks.evals.scorers.scoring import (
    Answer,
    Comparison,
    Part,
    Score,
    Scorer,
    ScoringFailed,
    as_text,
    json_of,
    wrong,
)
from headworks.evals.scorers.tool_calls import ToolCalls, expected_calls


class Weighted(msgspec.Struct, frozen=True, eq=False):
    """A scorer among others: its name in reports, its weight in the value, and whether it decides."""

    scorer: Scorer
    name: str
    weight: float = 1.0
    gates: bool = True


class Combined:
    """An answer is acceptable if every scorer that may decide accepts it; the value is their weighted mean.

    What the others find is a warning. Where no scorer may decide, all are asked as if they might, and `may_gate` is
    false: the result is to be looked at, and nothing more.
    """

    name = "all"

    def __init__(self, members: Sequence[Weighted]) -> None:
        self._members = tuple(members)
        self.may_gate = any(_gates(one) for one in members)
        self.identity = {
            "all": [
                {"name": one.name, "weight": one.weight, "gates": _gates(one), "by": one.scorer.identity}
                for one in members
            ]
        }

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: one of the scorers that decide cannot tell. Of the others, that is a warning.
        """
        parts, warnings, reasons = list[Part](), list[str](), list[str]()
        total = weights = 0.0
        cost = 0
        for member in self._members:
            only_warns = self.may_gate and not _gates(member)
            try:
                found = await member.scorer.score(case, answer)
            except ScoringFailed as error:
                if not only_warns:
                    raise
                warnings.append(f"{member.name}: cannot tell: {error}")
                continue
            cost += found.cost_pico_usd
            warnings.extend(found.warnings)
            if only_warns:
                if not found.is_acceptable:
                    warnings.append(f"{member.name}: {found.reason or 'is not acceptable'}")
                continue
            if not found.is_acceptable:
                reasons.append(f"{member.name}: {found.reason}" if len(self._members) > 1 else found.reason)
            parts.append(Part(member.name, found.value, found.is_acceptable, found.reason))
            if len(self._members) == 1:
                parts[:] = found.parts
            total += member.weight * found.value
            weights += member.weight
        value = min(1.0, total / weights) if weights else 1.0
        return Score(value, not reasons, "; ".join(reasons), tuple(parts), tuple(warnings), cost)

    async def close(self) -> None:
        """Close all."""
        for member in self._members:
            await member.scorer.close()


class OfField:
    """Another scorer, over one field of answer and expected value, both objects.

    Arguments:
        path: names divided by `.`.
    """

    def __init__(self, scorer: Scorer, path: str) -> None:
        self.name = scorer.name
        self.may_gate = scorer.may_gate
        self.identity: Mapping[str, object] = {"field": path, "by": scorer.identity}
        self._scorer = scorer
        self._path = path

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the field is. Raises ScoringFailed."""
        is_json, value = json_of(answer.text)
        is_there, said = _at(value, self._path) if is_json else (False, None)
        if not is_there:
            return wrong(f"has no field {self._path}")
        has_expected, expected = _at(case.expected_value(), self._path)
        inner = msgspec.structs.replace(
            case, expected=msgspec.Raw(msgspec.json.encode(expected)) if has_expected else msgspec.UNSET
        )
        return await self._scorer.score(inner, msgspec.structs.replace(answer, text=as_text(said)))

    async def close(self) -> None:
        """Close the other."""
        await self._scorer.close()


class ByExpected(Comparison):
    """The scorer that fits what a case expects: an object field by field, tool calls as such, a number as a number, a
    list of objects or numbers as a list, text (or several that are right) as a label."""

    def __init__(self) -> None:
        self._fields, self._calls, self._label = Fields(), ToolCalls(), Label()
        self._number, self._list = Number(), Collection("list")
        members = (self._fields, self._calls, self._label, self._number, self._list)
        super().__init__("expected", {"by": [one.identity for one in members]})

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        return self.scorer_of(case).compare(case, answer)

    def scorer_of(self, case: GoldenCase) -> Comparison:
        """The one that scores this case."""
        expected = case.expected_value()
        if isinstance(expected, dict):
            return self._calls if set(expected) == {"tool_calls"} else self._fields
        if isinstance(expected, list):
            if expected and all(isinstance(one, str) for one in expected):
                return self._label
            calls = expected_calls(expected)
            return self._calls if calls is not None and _are_calls(expected) else self._list
        if isinstance(expected, int | float) and not isinstance(expected, bool):
            return self._number
        return self._label


def _are_calls(expected: Sequence[object]) -> bool:
    return all(isinstance(one, dict) and set(one) <= {"name", "arguments"} for one in expected)


def _gates(member: Weighted) -> bool:
    return member.gates and member.scorer.may_gate


def _at(value: object, path: str) -> tuple[bool, object]:
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return False, None
        value = value[name]
    return True, value
