"""What a detector is made of: patterns, each with a judge that decides on every match.

A pattern is written for both engines (`engines`): ASCII, no look-around, no back reference, every repeat bounded or
such that it cannot give back, and word boundaries only. Whatever needs more is the judge's work.
"""

from collections.abc import Callable

import msgspec

Hit = tuple[str, int, int, float]
"""The kind, where it starts and ends in the shadow, and the confidence."""

Judge = Callable[[bytes, int, int], Hit | None]
"""What a match is: from the shadow and the place of the match (of its first group, if it has one)."""

EDGE = r"(?:\b|_)"
"""Where a value may start or end: at a word's edge; the underscore of a file name counts as one."""

GAP = r"[ \t\r\n.-]{0,2}"
"""What may stand between groups of digits, line ends included."""


class Pattern(msgspec.Struct, frozen=True):
    """One pattern and its gates: what a text must hold for a match to be possible at all.

    Attributes:
        digits: so many digits in a row, separators left out.
        needles: one of these, in lower case; within the match where there is a `reach`.
        reach: how many characters a match has at most, and of them before its first needle; None for no bounds.
        run: so many letters and digits in a row.
        shapes: letters written as `a`, digits as `0` and all else as `-`, one of these.
        shape_first: every match begins with its one shape.
        hex_shapes: digits and the letters to `f` written as `0`, `:` as `-`, all else but `-` and `.` as `x`; one
            of these.
        wider: a cheaper pattern that matches wherever this one does, for the first pass.
        is_own: it is a contract's.
        is_long: a match may be longer than `engines.MOST_NEAR` characters, or take `re` unbounded time.
        retries: when the judge says no, a match may begin within the one that was refused.
        after: from where on it may, given where the refused one starts; by default one character on.
    """

    source: str
    judge: Judge
    digits: int = 0
    needles: tuple[bytes, ...] = ()
    shapes: tuple[bytes, ...] = ()
    shape_first: bool = False
    hex_shapes: tuple[bytes, ...] = ()
    reach: tuple[int, int] | None = None
    run: int = 0
    retries: bool = False
    after: Callable[[bytes, int], int] | None = None
    wider: str = ""
    is_own: bool = False
    is_long: bool = False


def any_of(words: str) -> tuple[bytes, ...]:
    """Needles or shapes, from words divided by `|`."""
    return tuple(words.encode().split(b"|"))
