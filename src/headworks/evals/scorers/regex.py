"""The answer holds what regular expressions look for. They are matched in linear time, whatever the pattern."""

from collections.abc import Sequence
from functools import lru_cache

import jsonschema_rs

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import (
    NOT_SAID,
    Answer,
    Comparison,
    Score,
    ScoringFailed,
    alternatives,
    as_text,
    wrong,
)


def pattern_problem(pattern: str) -> str:
    """What is wrong with a pattern; "" if nothing."""
    try:
        _compiled(pattern)
    except jsonschema_rs.ValidationError:
        return "is no regular expression that can be matched in linear time: do without look-around and back-references"
    return ""


class Regex(Comparison):
    """All patterns must be found; the value is the share of them that are.

    The engine is Rust's, by way of the schema validator: Python's own can take exponential time over one answer.

    Arguments:
        patterns: of every case; none: each case's `expected` is its pattern, or a list of them.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        super().__init__("regex", {"patterns": list(patterns)})
        self._patterns = tuple(patterns)

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: the case's own pattern is none.
        """
        if not self._patterns and not case.has_expected:
            return NOT_SAID
        patterns = self._patterns or [as_text(one) for one in alternatives(case.expected_value())]
        try:
            found = [_compiled(pattern).is_valid(answer.text) for pattern in patterns]
        except jsonschema_rs.ValidationError:
            raise ScoringFailed(
                "what is expected is no regular expression that can be matched in linear time"
            ) from None
        share = sum(found) / len(found) if found else 0.0
        if found and all(found):
            return Score(1.0, is_acceptable=True)
        missing = ", ".join(str(number) for number, one in enumerate(found, 1) if not one)
        return wrong(f"pattern {missing} is not found" if len(found) > 1 else "the pattern is not found", value=share)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> jsonschema_rs.Draft202012Validator:
    schema = {"type": "string", "pattern": pattern}
    return jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions())
