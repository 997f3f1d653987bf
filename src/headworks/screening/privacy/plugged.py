"""Recognisers that other packages bring along: an adapter of a local model, or of a customer's own lists.

A package has one by an entry point in the group `headworks.recognisers`: something that is called without arguments
and gives a `Recogniser`, which finds spans in a text, or a `TextJudge`, which takes a whole text for something.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.screening.privacy.findings import Finding, Recogniser
from headworks.screening.privacy.kinds import Kind

GROUP = "headworks.recognisers"
"""The group of entry points."""

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
_LABEL = re.compile(r"(?!.*PII)[A-Z][A-Z0-9]{0,30}")

_ABOVE_ALL = 2.0
"""Where findings overlap, the surest says what they are: a judgement of the whole text is about all that is in it."""


class Verdict(msgspec.Struct, frozen=True):
    """What a text is taken for, by the name of a kind, and how sure that is (0 to 1)."""

    kind: str
    confidence: float = 1.0


class TextJudge(Protocol):
    """What judges texts as a whole: a classifier of attacks, of topics, of languages.

    What becomes of a text is said in `kinds`, as of every other kind; where nothing is said there, it is blocked. It
    must say the same of the same text. Whatever it raises closes the door.
    """

    @property
    def kinds(self) -> Iterable[Kind]:
        """What it takes texts for."""
        ...

    def judge(self, text: str) -> Verdict | None:
        """What it takes this text for; None if for nothing that is to be stopped."""
        ...


class JudgingRecogniser:
    """Implements `Recogniser` for a judge: what it judges is a finding of the whole text."""

    def __init__(self, judge: TextJudge, least_confidence: float) -> None:
        self.kinds = tuple(judge.kinds)
        self._names = frozenset(kind.name for kind in self.kinds)
        self._judge = judge.judge
        self._least = least_confidence

    def find(self, text: str) -> Sequence[Finding]:
        """See `Recogniser`."""
        verdict = self._judge(text)
        if verdict is None or verdict.confidence < self._least:
            return ()
        if verdict.kind not in self._names:
            raise ValueError("a judge says a kind that is none of its own")
        return (Finding(0, len(text), verdict.kind, _ABOVE_ALL),)


def _installed() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


def load_recognisers(
    names: tuple[str, ...],
    file: str,
    installed: Callable[[], Iterable[EntryPoint]] = _installed,
    *,
    least_confidence: float = 0.5,
) -> tuple[Recogniser, ...]:
    """The recognisers with these names, each made once.

    Arguments:
        file: the contract, for errors.
        least_confidence: from which on a judge's verdict counts.
        installed: the entry points there are.

    Raises:
        ConfigError: there is none of a name, it cannot be made, or its kinds cannot be told from others in a text.
    """
    if not names:
        return ()
    known = {entry.name: entry for entry in installed()}
    return tuple([_made(name, known, file, least_confidence) for name in names])


def _made(name: str, known: dict[str, EntryPoint], file: str, least_confidence: float) -> Recogniser:
    entry = known.get(name)
    if entry is None:
        there = ", ".join(sorted(known)) or "none"
        raise _unusable(file, name, f"no package that is installed here brings it along; there are: {there}")
    try:
        made = entry.load()()
        recogniser: Recogniser = made if hasattr(made, "find") else JudgingRecogniser(made, least_confidence)
        kinds = tuple(recogniser.kinds)
    except Exception as error:
        raise _unusable(file, name, f"it cannot be made ({type(error).__name__})") from error
    for kind in kinds:
        if _NAME.fullmatch(kind.name) is None or _LABEL.fullmatch(kind.label) is None:
            raise _unusable(file, name, "a kind's label is capitals and digits, and its name small letters")
    return recogniser


def _unusable(file: str, name: str, reason: str) -> ConfigError:
    return ConfigError(Problem(file, 0, 0, f"screening.privacy.recognisers: `{name}` cannot be used: {reason}"))
