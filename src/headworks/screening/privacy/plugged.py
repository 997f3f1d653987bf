"""Recognisers that other packages bring along: an adapter of a local model, or of a customer's own lists.

Headworks has no model for names, organisations and addresses. A package has one by an entry point in the group
`headworks.recognisers`: something that is called without arguments and gives a `Recogniser`.
"""

import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points

from headworks.errors import ConfigError, Problem
from headworks.screening.privacy.finding import Recogniser

GROUP = "headworks.recognisers"
"""The group of entry points."""

_NAME = re.compile(r"[a-z][a-z0-9_]{1,30}")
_LABEL = re.compile(r"(?!.*PII)[A-Z][A-Z0-9]{0,30}")


def _installed() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


def load_recognisers(
    names: tuple[str, ...], file: str, installed: Callable[[], Iterable[EntryPoint]] = _installed
) -> tuple[Recogniser, ...]:
    """The recognisers with these names, each made once.

    Arguments:
        file: the contract, for errors.
        installed: the entry points there are.

    Raises:
        ConfigError: there is none of a name, it cannot be made, or its kinds cannot be told from others in a text.
    """
    if not names:
        return ()
    known = {entry.name: entry for entry in installed()}
    return tuple([_made(name, known, file) for name in names])


def _made(name: str, known: dict[str, EntryPoint], file: str) -> Recogniser:
    entry = known.get(name)
    if entry is None:
        there = ", ".join(sorted(known)) or "none"
        raise _unusable(file, name, f"no package that is installed here brings it along; there are: {there}")
    try:
        recogniser: Recogniser = entry.load()()
        kinds = tuple(recogniser.kinds)
    except Exception as error:
        raise _unusable(file, name, f"it cannot be made ({type(error).__name__})") from error
    for kind in kinds:
        if _NAME.fullmatch(kind.name) is None or _LABEL.fullmatch(kind.label) is None:
            raise _unusable(file, name, "a kind's label is capitals and digits, and its name small letters")
    return recogniser


def _unusable(file: str, name: str, reason: str) -> ConfigError:
    return ConfigError(Problem(file, 0, 0, f"screening.privacy.recognisers: `{name}` cannot be used: {reason}"))
