"""Looks for the wordings of known attacks, also where they are encoded. What it finds is a signal, no proof."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol
from urllib.parse import unquote

from headworks.screening.injection.characters import beyond_ascii, seen_steps, suspects
from headworks.screening.injection.wordings import WORDINGS
from headworks.screening.steps import Steps, drained

try:
    import re2
except ImportError:
    re2 = None

_RE2_MEMORY = 64 << 20
_MOST_RUN = 8192
_HEX = re.compile(r"\b(?:[0-9a-fA-F]{2}){16,4096}\b")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*]{1,3}){11,1024}[^\W_](?![^\W_])")
_TAG = re.compile("[\U000e0020-\U000e007f]")
_OTHER_SPACE = re.compile("[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
"""White space beyond ASCII."""


_RUN, _SPACED_LETTERS, _ROT13 = range(3)
"""The signs of encoded pieces, by which a text is passed over that has none of them."""

_SIGNS: dict[int, str] = {
    _SPACED_LETTERS: r"[ .\-_*][a-z0-9?][ .\-_*]+[a-z0-9?][ .\-_*]+[a-z0-9?][ .\-_*]",
    _ROT13: "vafgehpgvba|cebzcg|cnffjbeq",
}
"""Three letters that stand apart; `instruction`, `prompt` and `password` by rot13. In a folded text; `?` stands for
what is beyond ASCII."""

_GATES = (
    "[A-Za-z0-9+/_-]{24}",
    "[0-9a-fA-F]{32}",
    r"(?:[A-Za-z0-9?][ .\-_*]{1,3}){11}[A-Za-z0-9?]",
)
"""What a text must have for there to be a piece of each form; `?` stands for what is beyond ASCII."""

_MOST_DECODED = 64
"""Encoded pieces that are looked into in one text: a text of nothing else costs no more than that."""

_TAG_TO_ASCII = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
"""Tags spell ASCII that nobody sees (Unicode 16, chapter 23.9)."""

_ONE_FORM = bytes(32 if chr(code).isspace() else ord(chr(code).lower()) for code in range(128)) + bytes(range(128, 256))
"""ASCII in lower case, with spaces for all white space; the bytes of other characters as they are."""

_CLASSES = bytes(97 if chr(code).isalnum() or chr(code) in "+/_-" else 32 for code in range(128)) + bytes(128)
_LONG_RUN = b"a" * 24
"""Base64 and hexadecimal are such a run: of characters of the first class."""


class Detector:
    """The wordings, compiled. Holds no state of a call.

    Arguments:
        prefers_re2: False for Python's engine even where RE2 is installed.
    """

    def __init__(self, *, prefers_re2: bool = True) -> None:
        self._engine: _Engine = _Re2Wordings() if re2 is not None and prefers_re2 else _PythonWordings()

    def find(self, text: str) -> tuple[str, ...]:
        """The kinds of what was found; those in an encoded piece as `encoded:…`."""
        return drained(self.steps(text))

    def steps(self, text: str) -> Steps[tuple[str, ...]]:
        """`find`, step by step."""
        is_ascii = text.isascii()
        folded = _folded_ascii(text) if is_ascii else (yield from _folded(text))
        wordings, signs = self._engine.matching(folded)
        yield
        forms: Sequence[int] = ()
        if not is_ascii:
            forms = self._engine.forms(text.encode("ascii", "replace").decode())
        elif _RUN in signs or _SPACED_LETTERS in signs:
            forms = self._engine.forms(text)
        found = {WORDINGS[index].kind: None for index in wordings}
        if not is_ascii and _TAG.search(suspects(text)) is not None:
            kinds = yield from self._kinds(text.translate(_TAG_TO_ASCII))
            found |= dict.fromkeys(f"encoded:{kind}" for kind in kinds)
            yield
        if not forms and _ROT13 not in signs and "%" not in text:
            return tuple(found)  # nearly always
        for piece in _decoded(text, forms):
            kinds = yield from self._kinds(piece)
            found |= dict.fromkeys(f"encoded:{kind}" for kind in kinds)
            yield
        return tuple(found)

    def _kinds(self, text: str) -> Steps[list[str]]:
        folded = _folded_ascii(text) if text.isascii() else (yield from _folded(text))
        return [WORDINGS[index].kind for index in self._engine.matching(folded)[0]]


def _folded(text: str) -> Steps[str]:
    """Lower case, single spaces, the letters that a reader sees."""
    seen = yield from seen_steps(text)
    text = unicodedata.normalize("NFKC", seen).replace("\u2019", "'").lower()
    return " ".join(text.split()) if _OTHER_SPACE.search(beyond_ascii(text)) is not None else _folded_ascii(text)


def _folded_ascii(text: str) -> str:
    """The same, for what has no other white space than ASCII has, nor other letters in capitals."""
    data = text.encode().translate(_ONE_FORM)
    return (b" ".join(data.split()) if b"  " in data else data.strip()).decode()


def _decoded(text: str, forms: Sequence[int]) -> Iterator[str]:
    """What encoded pieces of a text say, if it is text: Base64, hexadecimal, per cent, spaced letters; and all of it by
    rot13, where nothing else would be looked for."""
    left = _MOST_DECODED
    for run in _runs(text) if 0 in forms else ():
        left -= 1
        if left < 0:
            break
        piece = run.translate(_URL_SAFE)
        if not piece.isalpha() or any(letter.isupper() for letter in piece[1:]):
            yield from _text_of(partial(base64.b64decode, piece + "=" * (-len(piece) % 4)))
    for match in _HEX.finditer(text) if 1 in forms else ():
        left -= 1
        if left < 0:
            break
        yield from _text_of(partial(bytes.fromhex, match[0]))
    if text.count("%") >= 8:
        yield unquote(text)
    for match in _SPACED.finditer(text) if 2 in forms else ():
        yield re.sub(r"[ .\-_*]{2,3}", "\0", match[0]).translate(_NO_GAPS).replace("\0", " ")
    if any(word in text for word in _BY_ROT13):
        yield codecs.encode(text, "rot13")


def _runs(text: str) -> Iterator[str]:
    """What may be Base64, the signs at its end left out: the longest one is `_MOST_RUN` characters."""
    classes = text.encode("ascii", "replace").translate(_CLASSES)
    start = classes.find(_LONG_RUN)
    while start >= 0:
        end = classes.find(b" ", start + len(_LONG_RUN), start + _MOST_RUN)
        end = min(start + _MOST_RUN, len(text)) if end < 0 else end
        yield text[start:end]
        start = classes.find(_LONG_RUN, end)


_URL_SAFE = str.maketrans("-_", "+/")
_NO_GAPS = str.maketrans("", "", " .-_*")
_BY_ROT13 = ("vafgehpgvba", "Vafgehpgvba", "cebzcg", "cnffjbeq")
"""`instruction`, `prompt` and `password`, encoded."""


def _text_of(decode: Callable[[], bytes]) -> Iterator[str]:
    try:
        text = decode().decode()
    except (ValueError, binascii.Error):
        return
    if sum(character.isprintable() or character.isspace() for character in text) >= 0.9 * len(text):
        yield text


class _Engine(Protocol):
    def matching(self, folded: str) -> tuple[Sequence[int], Sequence[int]]:
        """Which wordings a folded text has, and which of the signs."""
        ...

    def forms(self, text: str) -> Sequence[int]:
        """Which of the gates a text passes."""
        ...


class _Re2Wordings:
    """RE2. The first pass looks for wordings whose parts may be any distance apart: one automaton that counts all the
    distances at once makes a new state at nearly every letter of a text of nothing but such words, a microsecond each.
    Whichever is found so is then looked for as it is written."""

    def __init__(self) -> None:
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _RE2_MEMORY
        self._exact = [re2.compile(wording.pattern.encode(), options).search for wording in WORDINGS]
        self._wider = _set_of([*(_wider(wording.pattern) for wording in WORDINGS), *_SIGNS.values()], options)
        self._signs = dict(enumerate(_SIGNS, len(WORDINGS)))
        self._gates = _set_of(_GATES, options)

    def matching(self, folded: str) -> tuple[Sequence[int], Sequence[int]]:
        """As in `_Engine`."""
        data = folded.encode()
        signs = [_RUN] if _LONG_RUN in data.translate(_CLASSES) else []
        matching = self._wider(data)
        if not matching:
            return (), signs
        signs += [self._signs[index] for index in matching if index in self._signs]
        exact = self._exact
        return [index for index in sorted(matching) if index < len(exact) and exact[index](data) is not None], signs

    def forms(self, text: str) -> Sequence[int]:
        """As in `_Engine`."""
        return self._gates(text.encode()) or ()


def _set_of(sources: Sequence[str], options: "re2.Options") -> Callable[[bytes], Sequence[int] | None]:
    """What says which of these match."""
    found = re2.Set.SearchSet(options)
    for source in sources:
        found.Add(source)
    found.Compile()
    match: Callable[[bytes], Sequence[int] | None] = found.Match
    return match


def _wider(source: str) -> str:
    """A pattern without upper bounds: it matches wherever the one with them does."""
    return re.sub(r"\{1,[0-9]+\}\??", "+", re.sub(r"\{0,[0-9]+\}\??", "*", source))


class _PythonWordings:
    """Python's engine. A wording is only tried on a text that has a word of each of its needs."""

    def __init__(self) -> None:
        self._wordings = [
            (index, wording.needs, re.compile(wording.pattern, re.ASCII).search)
            for index, wording in enumerate(WORDINGS)
        ]
        self._gates = [re.compile(source).search for source in _GATES]

    def matching(self, folded: str) -> tuple[Sequence[int], Sequence[int]]:
        """As in `_Engine`."""
        found = [
            index
            for index, needs, search in self._wordings
            if all(any(word in folded for word in words) for words in needs) and search(folded) is not None
        ]
        classes = folded.encode("ascii", "replace").translate(_CLASSES)
        signs = [_RUN] if _LONG_RUN in classes else []
        letters = folded.encode("ascii", "replace").translate(_LETTERS).replace(b"  ", b" ").replace(b"  ", b" ")
        if _APART in letters:
            signs.append(_SPACED_LETTERS)
        if any(word in folded for word in _BY_ROT13):
            signs.append(_ROT13)
        return found, signs

    def forms(self, text: str) -> Sequence[int]:
        """As in `_Engine`."""
        return [index for index, search in enumerate(self._gates) if search(text) is not None]


_LETTERS = bytes(
    97 if chr(code).isalnum() or chr(code) == "?" else 32 if chr(code) in " .-_*" else 120 for code in range(128)
) + bytes(128)
_APART = b" a a a "
