"""A number of tokens that may know what it is made of."""

from typing import TypeAlias


class Tokens(int):
    """So many tokens, and how many of them are read and written. What is read from a cache counts in the whole only."""

    read: int
    written: int

    @classmethod
    def of(cls, whole: int, *, read: int, written: int) -> "Tokens":
        """Those."""
        made = cls(whole)
        made.read, made.written = read, written
        return made


TokenCount: TypeAlias = Tokens | int
"""Where a number of tokens is only passed on: in compiled code what is called an `int` becomes a bare one."""
