"""The answer is a JSON object; it is compared with the expected one, field by field."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.label import normalised
from headworks.evals.scorers.number import is_near, numbers_in
from headworks.evals.scorers.scoring import NOT_SAID, Answer, Comparison, Part, Score, json_of, wrong


class FieldRule(msgspec.Struct, frozen=True):
    """How one field is compared.

    Attributes:
        weight: its part of the value, beside the others; 0: it is not compared.
        absolute: by how much a number may differ.
        relative: by which share of the expected number it may differ.
        text: *label*: case, punctuation and white space do not count. *exact*: they do. *present*: any text will do.
    """

    weight: float = 1.0
    absolute: float = 0.0
    relative: float = 0.0
    text: Literal["label", "exact", "present"] = "label"


_PLAIN = FieldRule()


class Fields(Comparison):
    """Each field of the expected object counts by its weight; within objects and lists, by the share that is right.

    Lists are compared member by member. A field that is not expected is an error, unless `allows_more`. An answer is
    acceptable from the value `at_least` on.

    Arguments:
        rules: by the field's path: `total`, `lines.amount` (of every member of the list `lines`).
        at_least: from 0 to 1.
        allows_more: fields that are not expected do no harm.
    """

    def __init__(
        self, rules: Mapping[str, FieldRule] | None = None, *, at_least: float = 1.0, allows_more: bool = False
    ) -> None:
        self._rules = dict(rules or {})
        identity = {"rules": msgspec.to_builtins(self._rules), "at_least": at_least, "allows_more": allows_more}
        super().__init__("fields", identity)
        self._at_least = at_least
        self._allows_more = allows_more

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        expected = case.expected_value()
        if not case.has_expected:
            return NOT_SAID
        if not isinstance(expected, dict):
            return wrong("the case expects no object, which is what this scorer compares")
        is_json, value = json_of(answer.text)
        if not is_json or not isinstance(value, dict):
            return wrong("is no JSON object")
        parts, total, weights = list[Part](), 0.0, 0.0
        for name, wanted in expected.items():
            rule = self._rules.get(name, _PLAIN)
            if rule.weight == 0:
                continue
            share = self._share(name, value[name], wanted) if name in value else 0.0
            reason = "" if share == 1.0 else "is missing" if name not in value else "differs"
            parts.append(Part(name, share, share == 1.0, reason))
            total += rule.weight * share
            weights += rule.weight
        more = [] if self._allows_more else [name for name in value if name not in expected]
        if more:
            parts.append(Part("(more)", 0.0, is_acceptable=False, reason=f"{len(more)} fields that are not expected"))
            weights += len(more)
        found = total / weights if weights else 1.0
        # Sums of floats: a whole that is all right must not fail by the last bit.
        is_acceptable = all(part.is_acceptable for part in parts) or found >= self._at_least
        faulty = ", ".join(f"{part.name} {part.reason}" for part in parts if not part.is_acceptable)
        return Score(min(1.0, found), is_acceptable, "" if is_acceptable and not faulty else faulty, tuple(parts))

    def _share(self, path: str, value: object, wanted: object) -> float:
        """How much of a value is right, from 0 to 1."""
        rule = self._rules.get(path, _PLAIN)
        if isinstance(wanted, dict):
            return self._share_of_object(path, value, wanted)
        if isinstance(wanted, list):
            if not isinstance(value, list):
                return 0.0
            shares = [self._share(path, *pair) for pair in zip(value, wanted, strict=False)]
            longest = max(len(value), len(wanted))
            return sum(shares) / longest if longest else 1.0
        if isinstance(wanted, bool) or wanted is None:
            return float(value is wanted)
        if isinstance(wanted, int | float):
            return float(_is_number_near(value, wanted, rule))
        return float(_is_text_right(value, str(wanted), rule))

    def _share_of_object(self, path: str, value: object, wanted: dict[str, object]) -> float:
        if not isinstance(value, dict):
            return 0.0
        total = weights = 0.0
        for name, each in wanted.items():
            inner = f"{path}.{name}"
            weight = self._rules.get(inner, _PLAIN).weight
            weights += weight
            total += weight * (self._share(inner, value[name], each) if name in value else 0.0)
        if not self._allows_more:
            weights += sum(name not in wanted for name in value)
        return total / weights if weights else 1.0


def _is_number_near(value: object, wanted: float, rule: FieldRule) -> bool:
    if isinstance(value, str):
        found = numbers_in(value)
        number = found[0] if len(found) == 1 and str(found[0]) == value.strip() else None
    else:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        number = Decimal(repr(value)) if is_number else None
    if number is None:
        return False
    return is_near(number, Decimal(repr(wanted)), absolute=rule.absolute, relative=rule.relative)


def _is_text_right(value: object, wanted: str, rule: FieldRule) -> bool:
    if not isinstance(value, str):
        return False
    match rule.text:
        case "present":
            return bool(value.strip())
        case "exact":
            return value == wanted
        case "label":
            return value == wanted or normalised(value) == normalised(wanted)
