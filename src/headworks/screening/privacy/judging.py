"""What judges have in common: words that stand before a value, numbers that are something else, check digits."""

import re
from collections.abc import Callable

from headworks.screening.privacy.patterns import Hit, Judge

_BEFORE = 48
"""How many characters before a match are searched for words. `answering` keeps more of what has gone out."""


class Words:
    """Words that raise or lower confidence when they stand shortly before a value.

    Arguments:
        alternatives: a regular expression of lower-case words, without accents.
    """

    __slots__ = ("_search",)

    def __init__(self, alternatives: str) -> None:
        self._search = re.compile(f"(?<![a-z])(?:{_by_letter(alternatives)})(?![a-z])".encode()).search

    def stand_before(self, data: bytes, start: int, reach: int = _BEFORE) -> bool:
        """Whether one does."""
        before = data[max(0, start - reach) : start].lower()
        # Where there are no letters (numbers after numbers) there is no word, and this is quicker.
        return before.islower() and self._search(before) is not None


def _by_letter(alternatives: str) -> str:
    """The same alternatives under their first letters, so that `re` tries few of them at each word."""
    rests: dict[str, list[str]] = {}
    depth = start = 0
    is_escaped = False
    for place, character in enumerate(alternatives + "|"):
        if is_escaped or character == "\\":
            is_escaped = not is_escaped
            continue
        depth += (character == "(") - (character == ")")
        if character == "|" and not depth:
            word = alternatives[start:place]
            start = place + 1
            # What is no plain letter, or is repeated, stays in one piece.
            is_plain = word[:1].isalnum() and word[1:2] not in ("?", "*", "{", "+")
            rests.setdefault(word[0] if is_plain else "", []).append(word[1:] if is_plain else word)
    return "|".join(f"{letter}(?:{'|'.join(words)})" if letter else "|".join(words) for letter, words in rests.items())


_SEPARATORS = b" \t\r\n.-/()"

_OTHERS = (
    b"id|ids|uid|gid|pid|order|build|version|ver|v|rev|revision|sku|ref|invoice|ticket|trace|span|commit|isbn"
    b"|serial|seq|sequence|offset|port|bytes|size|timestamp|ts|time|epoch|hash|uuid|guid|session|request|req|txn|tracking"
    b"|part|item|batch|lot|article|model|release|case|issue|bug|rfc|line|row|count|total|amount|price|doi|isin|ean|upc"
)
_NUMBER_WORDS = b"no|nr|num|number|id"
_OTHER_NUMBERS = re.compile(rb"(?<![a-z])(?:%b)(?:s|[ _-]?(?:%b))?[^a-z0-9\n]{0,4}\Z" % (_OTHERS, _NUMBER_WORDS))
_OTHERS_END = frozenset(
    word + end for word in [*_OTHERS.split(b"|"), b""] for end in [b"", b"s", *_NUMBER_WORDS.split(b"|")]
)
"""How the text before a match of `_OTHER_NUMBERS` ends, signs left out: whatever else it ends with, there is none."""

_SMALL = bytes(range(97, 123))
_SIGNS = bytes(set(range(256)) - set(_SMALL) - set(b"0123456789\n"))


def is_other_number(data: bytes, start: int) -> bool:
    """Whether the words just before say that this is an order number, a version, or another number of no person."""
    before = data[max(0, start - 24) : start].lower()
    words = before.rstrip(_SIGNS)
    last = words[len(words.rstrip(_SMALL)) :]
    return last != b"" and last in _OTHERS_END and _OTHER_NUMBERS.search(before) is not None


_UNIT = re.compile(rb" ?(?:[kmgt]i?b|b|bytes?|bits?|[mun]?s|secs?|seconds?|rows|lines|items|records|px|hz|%)(?![a-z])")


def is_quantity(data: bytes, end: int) -> bool:
    """Whether a unit follows."""
    after = data[end : end + 10].lower()
    if not (after.islower() or b"%" in after) or after[1:2].isdigit():
        return False
    return _UNIT.match(after) is not None


def is_part_of_more(data: bytes, start: int, end: int) -> bool:
    """Whether it is the fraction of a number, or one of the parts of a UUID."""
    if start > 1 and data[start - 1] in b".-" and data[max(0, start - 2) : max(0, start - 1)].isalnum():
        return True
    return data[end : end + 1] == b"-" and data[end + 1 : end + 2].isalnum()


def digits_of(value: bytes) -> str:
    """A value without separators."""
    return value.translate(None, _SEPARATORS).decode("latin-1")


MOST_FOURS = 64
"""Groups of four digits that are looked at in one step: each takes up to a microsecond."""


def four_at(data: bytes, place: int) -> int:
    """The number that four digits at a place make."""
    return data[place] * 1000 + data[place + 1] * 100 + data[place + 2] * 10 + data[place + 3] - 53_328


def next_four(data: bytes, place: int, apart: bytes) -> int:
    """Where the next group of four digits is, one or two signs apart from the one at `place`; -1 if there is none."""
    # Byte by byte: compiled, that is much quicker than slices of it.
    size = len(data)
    start = place + 4
    while start < size and start < place + 6 and data[start] in apart:
        start += 1
    if start == place + 4 or start + 4 > size:
        return -1
    for at in range(start, start + 4):
        if not 48 <= data[at] < 58:
            return -1
    return -1 if start + 4 < size and 48 <= data[start + 4] < 58 else start


def is_alone(data: bytes, start: int, end: int) -> bool:
    """Whether neither neighbour is a letter or a digit."""
    return not (start and data[max(0, start - 1) : start].isalnum()) and not data[end : end + 1].isalnum()


def number(
    kind: str,
    is_valid: Callable[[str], bool],
    *,
    bare: float,
    written: float,
    words: Words,
    named: float = 0.95,
) -> Judge:
    """The judge of a number with a check digit.

    Arguments:
        is_valid: of the digits and letters, without separators, in capitals.
        bare: the confidence of an undivided one; 0 if it takes a word nearby.
        written: the confidence of one that is divided as is usual.
        named: the confidence when one of `words` stands before it.
    """

    def judge(data: bytes, start: int, end: int) -> Hit | None:
        value = data[start:end]
        characters = value.translate(None, _SEPARATORS).decode("latin-1")
        if not is_valid(characters.upper()):
            return None
        has_words = data[max(0, start - _BEFORE) : start].lower().islower()
        if has_words and words.stand_before(data, start):
            return kind, start, end, named
        if is_part_of_more(data, start, end):
            return None
        confidence = bare if len(characters) == len(value) else written
        if confidence and confidence < 0.9:
            is_other = has_words and is_other_number(data, start)
            confidence -= 0.4 if is_other or is_quantity(data, end) else 0.0
        return (kind, start, end, confidence) if confidence > 0 else None

    return judge


def always(kind: str, confidence: float) -> Judge:
    """The judge of a form that nothing else has."""

    def judge(data: bytes, start: int, end: int) -> Hit | None:  # noqa: ARG001
        return kind, start, end, confidence

    return judge
