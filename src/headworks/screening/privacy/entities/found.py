"""What a model has found in the texts of one call."""

import re
from collections.abc import Iterable, Mapping, Sequence

from headworks.screening.privacy.findings import Finding
from headworks.screening.privacy.spreading import occurrences
from headworks.screening.steps import drained

_LEAST_SPREAD = 4
"""Characters of a name that is looked for in texts that no model has read: a shorter one stands in other words' way."""


class Entities:
    """By text. Made once, before the call's body is redacted; holds no other state.

    Arguments:
        found: what was found in each text that was read.
    """

    __slots__ = ("_found", "_known")

    def __init__(self, found: Mapping[str, Sequence[Finding]]) -> None:
        self._found = found
        self._known: dict[str, str] | None = None

    def of(self, text: str) -> Sequence[Finding]:
        """What there is in a text. In one that no model has read (a header, what a model has answered): the names that
        were found in those that it has."""
        known = self._found.get(text)
        return self._elsewhere(text) if known is None and self._found else known or ()

    def within(self, lead: str, text: str) -> Sequence[Finding]:
        """What there is in a text that is read behind a lead, with the places that it has there."""
        found = self.of(text)
        if not lead or not found:
            return found
        by = len(lead)
        return [Finding(one.start + by, one.end + by, one.kind, one.confidence) for one in found]

    def _elsewhere(self, text: str) -> Sequence[Finding]:
        if self._known is None:
            self._known = {
                read[one.start : one.end]: one.kind
                for read, found in self._found.items()
                for one in found
                if one.end - one.start >= _LEAST_SPREAD
            }
        (found,) = drained(occurrences([text], self._known))
        return [Finding(start, end, self._known[name], 1.0) for start, end, name in found]


NO_ENTITIES = Entities({})
"""Where no model is asked."""

_LETTERS = re.compile(r"[^\W\d_]{2}")


def worth_reading(texts: Iterable[str]) -> list[str]:
    """The texts that may hold a name, each once."""
    return [text for text in dict.fromkeys(texts) if len(text) > 2 and _LETTERS.search(text) is not None]
