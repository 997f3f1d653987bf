# ruff: noqa: RUF001 - letters that look like others are what this is about
"""Characters that people do not see, or take for others, and that models read all the same.

Some have their uses: joiners in Persian, Indic scripts and emoji, variation selectors behind emoji and ideographs, tags
in the flags of England, Scotland and Wales. There they are neither found nor taken out.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

_KINDS: tuple[tuple[str, str], ...] = (
    ("tag", "\U000e0000-\U000e007f"),
    ("bidi", "\u202a-\u202e\u2066-\u2069"),
    ("zero_width", "\u200b\u2060-\u2064\ufeff\u180e\u034f\u115f\u1160\u3164\uffa0"),
    ("joiner", "\u200c\u200d"),
    ("selector", "\ufe00-\ufe0f\U000e0100-\U000e01ef"),
    ("control", "\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\x80-\x84\x86-\x9f"),
)
"""Unicode 16, chapters 23.2 to 23.9. ESC is left out: terminals' colours are in every build log."""

_UNSEEN = re.compile("".join(["[", *(members for _, members in _KINDS), "]"]))
_KIND_OF = [(name, re.compile(f"[{members}]")) for name, members in _KINDS]
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
"""A flag of a region (Unicode Technical Standard 51, annex C)."""

_LOOKALIKES = {
    **dict(zip("аеорсухіјѕԁһԛԝАВЕКМНОРСТУХІЈЅ", "aeopcyxijsdhqwABEKMHOPCTYXIJS", strict=True)),
    **dict(zip("οΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "oABEZHIKMNOPTYX", strict=True)),
}
"""Cyrillic and Greek letters that look like Latin ones in common fonts (Unicode Technical Standard 39, confusables)."""

_TO_LATIN = str.maketrans(_LOOKALIKES)
_MIXED = re.compile(f"[A-Za-z{''.join(_LOOKALIKES)}]{{3,}}")
_STYLED = re.compile("[\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff\u24b6-\u24e9\U0001f130-\U0001f149]{4,}")
"""Four letters or more of full width, mathematical or in circles."""


def unusual_characters(text: str) -> Mapping[str, int]:
    """How often each kind of such characters is in a text; empty for nearly all texts."""
    found: Counter[str] = Counter()
    for match in _UNSEEN.finditer(text):
        kind = _unseen_kind(text, match.start())
        if kind:
            found[kind] += 1
    if not text.isascii():
        mixed = sum(1 for match in _MIXED.finditer(text) if _is_mixed(match[0]))
        styled = sum(1 for _ in _STYLED.finditer(text))
        found.update({name: count for name, count in (("homoglyph", mixed), ("styled", styled)) if count})
    return found


def without_unusual_characters(text: str) -> str:
    """The text as a reader sees it: what is not seen is gone, and what looks like a Latin letter is one."""
    if _UNSEEN.search(text):
        text = _UNSEEN.sub(lambda match: "" if _unseen_kind(text, match.start()) else match[0], text)
    if text.isascii():
        return text
    text = _MIXED.sub(lambda match: match[0].translate(_TO_LATIN) if _is_mixed(match[0]) else match[0], text)
    return _STYLED.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


def _unseen_kind(text: str, at: int) -> str:
    """What the character there is found as; empty where it has its use."""
    character = text[at]
    kind = next(name for name, members in _KIND_OF if members.match(character))
    match kind:
        case "tag":
            start = text.rfind("\U0001f3f4", max(0, at - 7), at)
            flag = _FLAG.match(text, start) if start >= 0 else None
            return "" if flag is not None and flag.end() > at else kind
        case "joiner":
            before, after = text[at - 1 : at], text[at + 1 : at + 2]
            return "zero_width" if _is_plain(before) and _is_plain(after) else ""
        case "selector":
            before = text[at - 1 : at]
            return "" if before and not before.isascii() and not _KIND_OF[4][1].match(before) else _keycap(text, at)
        case "zero_width" if character == "\ufeff" and at == 0:
            return ""  # a byte order mark
        case _:
            return kind


def _keycap(text: str, at: int) -> str:
    return "" if text[at - 1 : at] in tuple("0123456789#*") and text[at + 1 : at + 2] == "\u20e3" else "selector"


def _is_plain(character: str) -> bool:
    return not character or character.isascii()


def _is_mixed(word: str) -> bool:
    return not word.isascii() and any(letter.isascii() for letter in word)
