"""What every scorer speaks: an answer comes in, a score goes out."""

import hashlib
from collections.abc import Mapping
from typing import Protocol

import msgspec

from headworks.errors import HeadworksError
from headworks.evals.golden import GoldenCase


class ToolCall(msgspec.Struct, frozen=True):
    """A tool that the model called. `arguments` is the JSON text that it wrote."""

    name: str
    arguments: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model answered: text, and calls of tools."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of a score: of a field, of one scorer among several."""

    name: str
    value: float
    is_acceptable: bool
    reason: str = ""


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """How good an answer is.

    Attributes:
        value: from 0 (nothing of it is right) to 1.
        is_acceptable: whether it counts as right; what decisions are made of.
        reason: why not, or what to look at; names fields and rules, and quotes neither case nor answer.
        parts: what it is made of, where it has parts.
        warnings: what scorers say that may not decide.
        cost_pico_usd: what finding it out cost: a judge's call.
    """

    value: float
    is_acceptable: bool
    reason: str = ""
    parts: tuple[Part, ...] = ()
    warnings: tuple[str, ...] = ()
    cost_pico_usd: int = 0


RIGHT = Score(1.0, is_acceptable=True)


def wrong(reason: str, *, value: float = 0.0) -> Score:
    """The score of an answer that is not acceptable."""
    return Score(value, is_acceptable=False, reason=reason)


class ScoringFailed(HeadworksError):
    """An answer could not be scored, which is no fault of the answer: a judge that cannot be asked, a function that
    raises. It counts as invalid, and scoring again may mend it."""


class Scorer(Protocol):
    """Scores answers. One instance serves a whole run; `score` may be called for several answers at once.

    Attributes:
        name: as `evals.yaml` and reports call it.
        identity: JSON values that change whenever equal answers could be scored differently.
        may_gate: whether it may say that an answer is wrong; if not, it only warns.
    """

    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> Mapping[str, object]: ...
    @property
    def may_gate(self) -> bool: ...

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: it cannot be told.
        """
        ...

    async def close(self) -> None:
        """Let go of processes and the like. Harmless to call twice."""
        ...


class Comparison:
    """The base of scorers that need nothing but case and answer."""

    may_gate = True

    def __init__(self, name: str, identity: Mapping[str, object]) -> None:
        self.name = name
        self.identity: Mapping[str, object] = {"scorer": name, **identity}

    def compare(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is. Pure."""
        raise NotImplementedError

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is."""
        return self.compare(case, answer)

    async def close(self) -> None:
        """Nothing to let go of."""


NOT_SAID = wrong("the case does not say what is expected")


def scorer_hash(scorer: Scorer) -> str:
    """What tells scorers apart: SHA-256 of the identity, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(scorer.identity, order="deterministic")).hexdigest()


def json_of(text: str) -> tuple[bool, object]:
    """Whether a text is JSON, and its value."""
    try:
        return True, msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False, None


def alternatives(expected: object) -> list[object]:
    """What may be right: each of a list's members, or the one value."""
    return expected if isinstance(expected, list) else [expected]


def as_text(value: object) -> str:
    """A value as a model would write it."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
