"""A number of tokens that may know what it is made of."""

from typing import TypeAlias

import msgspec


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """So many tokens, and how many of them are read and written. What is read from a cache counts in the whole only."""

    whole: int
    read: int
    written: int


TokenCount: TypeAlias = int | Tokens
"""Tokens of which is known what they are made of, where some quota asks for it; else their number alone."""


def whole(tokens: TokenCount) -> int:
    """How many they are altogether."""
    return tokens if isinstance(tokens, int) else tokens.whole
