"""Looks for the wordings of known attacks, also where they are encoded. What it finds is a signal, no proof."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from urllib.parse import unquote

from headworks.screening.injection.characters import seen_steps
from headworks.screening.injection.wordings import WORDINGS
from headworks.screening.steps import Steps, drained

try:
    import re2
except ImportError:
    re2 = None

_RE2_MEMORY = 64 << 20
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,8192}={0,2}")
_HEX = re.compile(r"\b(?:[0-9a-fA-F]{2}){16,4096}\b")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*]{1,3}){11,1024}[^\W_](?![^\W_])")
_TAG = re.compile("[\U000e0020-\U000e007f]")


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

Search = Callable[[str], Sequence[int]]


class Detector:
    """The wordings, compiled. Holds no state of a call.

    Arguments:
        prefers_re2: False for Python's engine even where RE2 is installed.
    """

    def __init__(self, *, prefers_re2: bool = True) -> None:
        make = _re2_search if re2 is not None and prefers_re2 else _python_search
        self._matching = make([source for _, source in WORDINGS])
        self._forms = make(_GATES)

    def find(self, text: str) -> tuple[str, ...]:
        """The kinds of what was found; those in an encoded piece as `encoded:…`."""
        return drained(self.steps(text))

    def steps(self, text: str) -> Steps[tuple[str, ...]]:
        """`find`, step by step."""
        found = dict.fromkeys((yield from self._kinds(text)))
        yield
        if not text.isascii() and _TAG.search(text) is not None:
            kinds = yield from self._kinds(text.translate(_TAG_TO_ASCII))
            found |= dict.fromkeys(f"encoded:{kind}" for kind in kinds)
            yield
        forms = self._forms(text if text.isascii() else text.encode("ascii", "replace").decode())
        for piece in _decoded(text, forms):
            kinds = yield from self._kinds(piece)
            found |= dict.fromkeys(f"encoded:{kind}" for kind in kinds)
            yield
        return tuple(found)

    def _kinds(self, text: str) -> Steps[list[str]]:
        folded = yield from _folded(text)
        return [WORDINGS[index][0] for index in self._matching(folded)]


def _folded(text: str) -> Steps[str]:
    """Lower case, single spaces, the letters that a reader sees."""
    if not text.isascii():
        seen = yield from seen_steps(text)
        text = unicodedata.normalize("NFKC", seen).replace("\u2019", "'")
    return " ".join(text.lower().split())


def _decoded(text: str, forms: Sequence[int]) -> Iterator[str]:
    """What encoded pieces of a text say, if it is text: Base64, hexadecimal, per cent, spaced letters; and all of it by
    rot13, where nothing else would be looked for."""
    left = _MOST_DECODED
    for match in _BASE64.finditer(text) if 0 in forms else ():
        left -= 1
        if left < 0:
            break
        piece = match[0].translate(_URL_SAFE).rstrip("=")
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
    if any(word in text for word in _ROT13):
        yield codecs.encode(text, "rot13")


_URL_SAFE = str.maketrans("-_", "+/")
_NO_GAPS = str.maketrans("", "", " .-_*")
_ROT13 = ("vafgehpgvba", "Vafgehpgvba", "cebzcg", "cnffjbeq")
"""`instruction`, `prompt` and `password`, encoded."""


def _text_of(decode: Callable[[], bytes]) -> Iterator[str]:
    try:
        text = decode().decode()
    except (ValueError, binascii.Error):
        return
    if sum(character.isprintable() or character.isspace() for character in text) >= 0.9 * len(text):
        yield text


def _re2_search(sources: Sequence[str]) -> Search:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _RE2_MEMORY
    found = re2.Set.SearchSet(options)
    for source in sources:
        found.Add(source)
    found.Compile()

    def search(text: str) -> Sequence[int]:
        return sorted(found.Match(text) or ())

    return search


def _python_search(sources: Sequence[str]) -> Search:
    compiled = [re.compile(source, re.ASCII) for source in sources]
    return lambda text: [index for index, pattern in enumerate(compiled) if pattern.search(text)]
