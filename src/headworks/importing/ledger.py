"""What became of each setting of the file. Each ends as exactly one of three; what nobody has spoken of is found."""

from typing import Literal

import msgspec

from headworks.config.secrets import looks_like_secret
from headworks.importing.source import Place, Source, Value

Fate = Literal["mapped", "needless", "missing"]
"""`mapped`: it is in our files, or in a command of the report. `needless`: here it goes without saying. `missing`:
something is left to do."""


class Finding(msgspec.Struct, frozen=True):
    """What became of one setting.

    Attributes:
        line: of the source, counted from 1.
        setting: its place, such as `model_list[0].litellm_params.rpm`; never its value.
        fate: one of three.
        text: where to, why not needed, or what to do instead.
    """

    line: int
    setting: str
    fate: Fate
    text: str


class Ledger:
    """The findings of one file. The mutable state is the fate of each place that was spoken of."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._fates: dict[Place, tuple[int, Fate, str]] = {}

    def mapped(self, place: Place, text: str) -> None:
        """It, and all that lies below it, is in our files."""
        self._note(place, "mapped", text)

    def needless(self, place: Place, text: str) -> None:
        """It, and all that lies below it, goes without saying."""
        self._note(place, "needless", text)

    def missing(self, place: Place, text: str) -> None:
        """It, and all that lies below it, is not there; `text` says what to do instead."""
        self._note(place, "missing", text)

    def is_settled(self, place: Place) -> bool:
        """Whether a place, or one above it, was spoken of."""
        return any(place[:length] in self._fates for length in range(len(place) + 1))

    def is_free(self, place: Place) -> bool:
        """Whether neither a place, nor one above or below it, was spoken of."""
        return not self.is_settled(place) and not any(other[: len(place)] == place for other in self._fates)

    def findings(self, otherwise: str) -> tuple[Finding, ...]:
        """All findings in the order of the file; `otherwise` is said of each setting that nobody has spoken of."""
        found = [Finding(line, shown(place), fate, text) for place, (line, fate, text) in self._fates.items()]
        found += [
            Finding(value.line, shown(place), "missing", otherwise)
            for place, value in leaves(self._source.root)
            if not self.is_settled(place)
        ]
        found += [Finding(line, "(this line)", "missing", f"not read: {text}") for line, text in self._source.faults]
        return tuple(sorted(found, key=lambda one: (one.line, one.setting)))

    def _note(self, place: Place, fate: Fate, text: str) -> None:
        assert self._source.at(place) is not None, f"{shown(place)} is not there"
        assert self.is_free(place), f"{shown(place)} has two fates"
        self._fates[place] = (self._source.line(place), fate, text)


def leaves(value: Value, place: Place = ()) -> list[tuple[Place, Value]]:
    """All settings below a value: scalars and empty collections, each with its place."""
    if value.is_leaf:
        return [(place, value)] if place else []
    if value.fields is not None:
        return [leaf for key, one in value.fields.items() for leaf in leaves(one, (*place, key))]
    return [leaf for index, one in enumerate(value.items or ()) for leaf in leaves(one, (*place, index))]


def shown(place: Place) -> str:
    """A place as people write it. A key that looks like a secret is not shown."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + ("(hidden)" if looks_like_secret(step) else step)
    return text
