"""Which cases ask the same, or nearly: by the share of short word sequences (shingles) that they have in common.

Each case keeps the hashes of its shingles; a table from the smallest of them (a bottom-k sketch, Broder 1997) to the
first cases that have them finds those that may be alike, and the exact share decides. So time grows with the number of
cases and not with its square, and a set made from one template does not change that: of each hash only some cases are
remembered, which are enough to be like.
"""

import hashlib
import re
from array import array

import msgspec

from headworks.evals.golden.cases import GoldenCase

NEARLY = 0.8
"""The share of common shingles (Jaccard) from which two cases are nearly the same."""

_WORDS = 3
_SKETCH = 32
_REMEMBERED = 8
_MOST_SHINGLES = 4096
"""Of a longer text only the smallest hashes are kept: as good as a sample, for a hash is even."""

_WORD = re.compile(r"\w+")


class Likeness(msgspec.Struct, frozen=True):
    """An earlier case that this one is like. `share` is 1.0 where the same is asked, word for word."""

    index: int
    share: float


class LikenessTable:
    """Takes cases one by one, and tells of each which earlier one it is most like."""

    def __init__(self, *, nearly: float = NEARLY) -> None:
        self._nearly = nearly
        self._shingles: list[array[int]] = []
        self._same: dict[str, int] = {}
        self._having: dict[int, list[int]] = {}

    def add(self, case: GoldenCase) -> Likeness | None:
        """Take the next case; returns the earlier one that it is like, None if there is none."""
        index = len(self._shingles)
        shingles = array("Q", sorted(_shingles(asked_text(case)))[:_MOST_SHINGLES])
        self._shingles.append(shingles)
        first = self._same.setdefault(case.asked_hash, index)
        if first != index:
            return Likeness(first, 1.0)
        sketch = shingles[:_SKETCH]
        candidates = {other for shingle in sketch for other in self._having.get(shingle, ())}
        for shingle in sketch:
            having = self._having.setdefault(shingle, [])
            if len(having) < _REMEMBERED:
                having.append(index)
        own = set(shingles)
        best = max(
            ((_share(own, self._shingles[other]), -other) for other in candidates),
            default=(0.0, 0),
        )
        return Likeness(-best[1], best[0]) if best[0] >= self._nearly else None


def asked_text(case: GoldenCase) -> str:
    """Every text in variables and input, in order: what a model reads of a case."""
    texts: list[str] = []
    _collect(case.variables, texts)
    _collect(case.input_value(), texts)
    return "\n".join(texts)


def _collect(value: object, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for name in sorted(value):
            if name not in ("role", "type"):
                _collect(value[name], texts)
    elif isinstance(value, list):
        for each in value:
            _collect(each, texts)
    elif value is not None:
        texts.append(str(value))


def _shingles(text: str) -> set[int]:
    words = _WORD.findall(text.casefold())
    pieces = {" ".join(words[at : at + _WORDS]) for at in range(max(1, len(words) - _WORDS + 1))}
    return {int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=8).digest()) for piece in pieces}


def _share(one: set[int], other: "array[int]") -> float:
    common = sum(1 for shingle in other if shingle in one)
    whole = len(one) + len(other) - common
    return common / whole if whole else 1.0
