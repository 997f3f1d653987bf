"""What a user's own function or command says of an answer, as a score."""

import math

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.scoring import Answer, Score, ScoringFailed

MOST_REASON_CHARACTERS = 500


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    value: float | None = None
    is_acceptable: bool | None = None
    reason: str = ""


def question(case: GoldenCase, answer: Answer) -> bytes:
    """Case and answer as one line of JSON: `{"case": {id, variables, input, expected, …}, "answer": {text, …}}`."""
    return msgspec.json.encode({"case": case, "answer": answer}) + b"\n"


def score_of(said: bytes, who: str) -> Score:
    """The score: `true` or `false`, a number from 0 to 1 (acceptable from 1 on), or an object with `value`,
    `is_acceptable` and `reason`.

    Arguments:
        who: what problems name.

    Raises:
        ScoringFailed: it is none of these.
    """
    try:
        verdict = msgspec.json.decode(said, type=bool | float | _Said)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ScoringFailed(
            f"{who} must say true, false, a number from 0 to 1, or an object with value, is_acceptable and reason"
        ) from None
    if isinstance(verdict, bool):
        return Score(float(verdict), verdict)
    given = _Said(value=verdict) if isinstance(verdict, float) else verdict
    value = float(bool(given.is_acceptable)) if given.value is None else given.value
    if given.value is None and given.is_acceptable is None:
        raise ScoringFailed(f"{who} says neither `value` nor `is_acceptable`")
    if not math.isfinite(value) or not 0 <= value <= 1:
        raise ScoringFailed(f"{who} says a value that is not from 0 to 1")
    is_acceptable = value >= 1 if given.is_acceptable is None else given.is_acceptable
    return Score(value, is_acceptable, given.reason[:MOST_REASON_CHARACTERS])
