"""What detectors look at: a text as bytes, one a character, in which evasions of the eye are undone.

Full-width and other decimal digits become ASCII digits, accented letters their base, every kind of space and dash the
plain one; other letters become 0xFF, other signs 0x7F. Characters that cannot be seen (zero width, soft hyphens,
combining marks) are left out. So both engines see bytes, agree on what a word is, and give places that are characters.
"""

import codecs
import unicodedata

_UNSEEN = "\x00"
_LETTER = "\xff"
_SIGN = "\x7f"
_QUOTES = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2212: "-", 0x30FC: "-"}
_UNSEEN_CATEGORIES = frozenset({"Cf", "Mn", "Me"})


def _fold(code: int) -> str:
    if code in _QUOTES:
        return _QUOTES[code]
    character = chr(code)
    category = unicodedata.category(character)
    if category in _UNSEEN_CATEGORIES:
        return _UNSEEN
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Pd":
        return "-"
    if category in ("Zs", "Zl", "Zp"):
        return " "
    plain = unicodedata.normalize("NFKD", character)
    if plain[0].isascii() and (len(plain) == 1 or all(unicodedata.combining(mark) for mark in plain[1:])):
        return plain[0]
    return _LETTER if category[0] == "L" else _SIGN


class _Folding(dict[int, str]):
    """A table for `str.translate` that is worked out as it is asked, and kept."""

    def __missing__(self, code: int) -> str:
        character = _fold(code)
        if len(self) < _MOST_KEPT:
            self[code] = character
        return character


_MOST_KEPT = 20_000
_FOLDING = _Folding({code: chr(code) for code in range(0x80)})


def folded(text: str) -> str:
    """A text with every character in the form that detectors know; what cannot be seen becomes NUL."""
    return text if text.isascii() else text.translate(_FOLDING)


def is_legible(text: str) -> bool:
    """Whether the shadow of a text tells it from others: letters of other scripts than Latin all look alike in it."""
    seen = folded(text)
    return _LETTER not in seen and _SIGN not in seen


def plain(text: str) -> str:
    """A text without accents, case, unseen characters and more than single spaces; any script."""
    letters = unicodedata.normalize("NFKD", text)
    seen = "".join([one for one in letters if unicodedata.category(one) not in _UNSEEN_CATEGORIES])
    return " ".join(seen.casefold().split())


def _fold_run(error: UnicodeError) -> tuple[bytes, int]:
    """What an encoder puts in for a run of characters that are not ASCII: as many bytes."""
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end].translate(_FOLDING).encode("latin-1"), error.end


codecs.register_error("headworks.shadow", _fold_run)


class Shadow:
    """The shadow of one text.

    Attributes:
        data: the bytes.
    """

    __slots__ = ("_places", "data")

    def __init__(self, text: str) -> None:
        self._places: list[int] | None = None
        data = text.encode("ascii", "headworks.shadow")
        if b"\0" in data:
            self._places = [place for place, byte in enumerate(data) if byte]
            data = data.replace(b"\0", b"")
        if b"\v" in data:
            data = data.replace(b"\v", b" ")  # white space to one engine only
        if b"\\" in data:
            # JSON or code quoted in a text: what follows an escaped line end does not belong to its letter.
            data = data.replace(b"\\n", b"  ").replace(b"\\r", b"  ").replace(b"\\t", b"  ")
        self.data = data

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text a span of the shadow is; it may not be empty."""
        if self._places is None:
            return start, end
        return self._places[start], self._places[end - 1] + 1
