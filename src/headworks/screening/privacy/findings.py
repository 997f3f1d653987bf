"""What is found in texts, and who finds what has no form."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from headworks.screening.privacy.kinds import Kind


class Finding(msgspec.Struct, frozen=True, order=True, gc=False):
    """A value in a text: where it starts and ends in characters, what it is, and how sure that is (0 to 1)."""

    start: int
    end: int
    kind: str
    confidence: float


class Recogniser(Protocol):
    """What finds data that has no form: names, organisations, addresses. An adapter of a local model is one.

    It must give the same findings for the same text. Whatever it raises closes the door.
    """

    @property
    def kinds(self) -> Iterable[Kind]:
        """The kinds that it finds."""
        ...

    def find(self, text: str) -> Iterable[Finding]:
        """What it finds, overlapping or not."""
        ...
