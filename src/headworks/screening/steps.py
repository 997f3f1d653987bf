"""Work that can be interrupted: a generator that yields between its steps and returns what it comes to.

Whoever has something else to do drives it step by step; whoever has not drains it. Between two steps lies no more than
some tens of microseconds of work that grows with the input, but for what C code does at a gigabyte a second.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Steps: TypeAlias = Generator[None, None, T]


def drained(steps: Steps[T]) -> T:
    """What it comes to, without an interruption."""
    try:
        while True:
            next(steps)
    except StopIteration as over:
        result: T = over.value
        return result
