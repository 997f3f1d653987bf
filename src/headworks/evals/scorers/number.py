"""The answer is the expected number, within a tolerance. Numbers are exact decimals: 0.1 is 0.1."""

import re
from decimal import Decimal, InvalidOperation

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import NOT_SAID, RIGHT, Answer, Comparison, Score, alternatives, as_text, wrong

_NUMBER = re.compile(
    r"(?<![\w.,])[-+\N{MINUS SIGN}]?"
    r"(?:[0-9]{1,3}(?:[,'\u202f\u00a0][0-9]{3})+|[0-9]{1,30})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?(?![\w]|[.,][0-9])"
)
_BETWEEN = re.compile("[,'\u202f\u00a0]")


def numbers_in(text: str) -> list[Decimal]:
    """The numbers that a text holds, written as in English or Swiss text (1,234.5 or 1'234.5)."""
    found = []
    for match in _NUMBER.finditer(text):
        try:
            found.append(Decimal(_BETWEEN.sub("", match[0]).replace("\N{MINUS SIGN}", "-")))
        except InvalidOperation:
            continue
    return found


def is_near(value: Decimal, wanted: Decimal, *, absolute: float, relative: float) -> bool:
    """Whether two numbers differ by no more than either tolerance allows."""
    allowed = max(Decimal(repr(absolute)), Decimal(repr(relative)) * abs(wanted))
    return abs(value - wanted) <= allowed


class Number(Comparison):
    """The answer must hold one number; words and units around it do not count.

    Arguments:
        absolute: by how much it may differ.
        relative: by which share of the expected number it may differ. The larger of both counts.
    """

    def __init__(self, *, absolute: float = 0.0, relative: float = 0.0) -> None:
        super().__init__("number", {"absolute": absolute, "relative": relative})
        self._absolute = absolute
        self._relative = relative

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        if not case.has_expected:
            return NOT_SAID
        wanted = [number for one in alternatives(case.expected_value()) for number in numbers_in(as_text(one))]
        if not wanted:
            return wrong("the case expects no number")
        said = set(numbers_in(answer.text))
        if len(said) != 1:
            return wrong("holds no number" if not said else "holds several numbers: which is meant?")
        (value,) = said
        if any(is_near(value, one, absolute=self._absolute, relative=self._relative) for one in wanted):
            return RIGHT
        return wrong("is another number than expected")
