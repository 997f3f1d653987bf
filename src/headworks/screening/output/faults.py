"""What is wrong with an answer, and where: a value that may be logged, stored and told to the model."""

from collections.abc import Iterable

import msgspec

ANY_NAME = "*"
"""Stands in a pointer for a property name that the schema does not know: the model made it up, so it may hold
anything, a person's name included."""


class OutputFault(msgspec.Struct, frozen=True):
    """The first thing found wrong with an answer. Holds nothing of the answer but positions in it.

    `pointer` is a JSON pointer (RFC 6901) to the place, in which `*` stands for names that the schema does not know.
    `rule` is the JSON Schema keyword that is broken, or one of `not-json`, `trailing-text`, `incomplete`,
    `duplicate-key`, `too-deep`, `number-out-of-range`, `not-unicode`, `unknown-tool`. `message` says it in a sentence
    whose words come from us and from the schema.
    """

    pointer: str
    rule: str
    message: str

    def below(self, prefix: str) -> "OutputFault":
        """The same fault, seen from further up: its place is below `prefix`."""
        return OutputFault(prefix + self.pointer, self.rule, self.message)


def pointer_of(parts: Iterable[str | int]) -> str:
    """The JSON pointer with these parts, `~` and `/` escaped."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def masked_pointer(parts: Iterable[str | int], known_names: frozenset[str]) -> str:
    """The JSON pointer with these parts, in which names other than the known ones are `*`."""
    return pointer_of(part if isinstance(part, int) or part in known_names else ANY_NAME for part in parts)
