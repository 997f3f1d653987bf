"""The answer is a collection: of which things (set), or of which things in which order (list)."""

import re
from collections.abc import Hashable, Sequence
from typing import Literal

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.label import normalised
from headworks.evals.scorers.scoring import NOT_SAID, Answer, Comparison, Score, json_of, wrong

MOST_MEMBERS = 2000
"""Of longer lists the order is not compared: that takes time by the square."""

_BULLET = re.compile(r"^\s*(?:[-*\u2022]|[0-9]{1,4}[.)])\s+")


class Collection(Comparison):
    """F1: of what was said and of what is expected, how much is common. Acceptable from `at_least` on.

    The answer is a JSON list, or one thing a line, or one line divided by commas.

    Arguments:
        kind: *set* ignores order and repetition; *list* counts the longest common subsequence.
        at_least: from 0 to 1.
    """

    def __init__(self, kind: Literal["set", "list"], *, at_least: float = 1.0) -> None:
        super().__init__(kind, {"at_least": at_least})
        self._kind = kind
        self._at_least = at_least

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        if not case.has_expected:
            return NOT_SAID
        expected = case.expected_value()
        wanted = _members(expected if isinstance(expected, list) else members_in(str(expected)))
        said = _members(members_in(answer.text))
        if self._kind == "set":
            common, of_said, of_wanted = len(set(said) & set(wanted)), len(set(said)), len(set(wanted))
        else:
            if max(len(said), len(wanted)) > MOST_MEMBERS:
                return wrong(f"has more than {MOST_MEMBERS:,} members")
            common, of_said, of_wanted = _common_in_order(said, wanted), len(said), len(wanted)
        value = f1(common, of_said, of_wanted)
        if value >= self._at_least:
            return Score(value, is_acceptable=True)
        missing, extra = of_wanted - common, of_said - common
        return wrong(f"{missing} of {of_wanted} are missing, {extra} are too many", value=value)


def members_in(text: str) -> list[object]:
    """What a text lists."""
    is_json, value = json_of(text)
    if is_json:
        return value if isinstance(value, list) else [value]
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        return [_BULLET.sub("", line) for line in lines]
    return [part for part in re.split(r"[,;]", text) if part.strip()]


def f1(common: int, said: int, wanted: int) -> float:
    """The harmonic mean of precision and recall; 1 where both collections are empty."""
    return 2 * common / (said + wanted) if said + wanted else 1.0


def _members(values: Sequence[object]) -> list[Hashable]:
    return [
        normalised(one) if isinstance(one, str) else msgspec.json.encode(one, order="deterministic") for one in values
    ]


def _common_in_order(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence."""
    lengths = [0] * (len(other) + 1)
    for left in one:
        before = 0
        for place, right in enumerate(other, 1):
            before, lengths[place] = (
                lengths[place],
                before + 1 if left == right else max(lengths[place], lengths[place - 1]),
            )
    return lengths[-1]
