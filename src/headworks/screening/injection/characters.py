# ruff: noqa: RUF001 - letters that look like others are what this is about
"""Characters that people do not see, or take for others, and that models read all the same.

Some have their uses: joiners in Persian, Indic scripts and emoji, variation selectors behind emoji and ideographs, tags
in the flags of England, Scotland and Wales. There they are neither found nor taken out.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping

from headworks.screening.steps import Steps, drained

_KINDS: tuple[tuple[str, str], ...] = (
    ("tag", "\U000e0000-\U000e007f"),
    ("bidi", "\u202a-\u202e\u2066-\u2069"),
    ("zero_width", "\u200b\u2060-\u2064\ufeff\u180e\u034f\u115f\u1160\u3164\uffa0"),
    ("joiner", "\u200c\u200d"),
    ("selector", "\ufe00-\ufe0f\U000e0100-\U000e01ef"),
    ("control", "\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\x80-\x84\x86-\x9f"),
)
"""Unicode 16, chapters 23.2 to 23.9. ESC is left out: terminals' colours are in every build log."""

_UNSEEN = re.compile("".join(["[", *(members for _, members in _KINDS), "]+"]))
_OF_A_KIND = re.compile("|".join(f"([{members}]+)" for _, members in _KINDS))
_NAMES = [name for name, _ in _KINDS]
_SEEN = bytes([*range(0x09, 0x0E), 0x1B, *range(0x20, 0x7F)])
"""All of ASCII but controls."""

_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
"""A flag of a region (Unicode Technical Standard 51, annex C)."""

_MOST_AT_ONCE = 128
"""Rows of characters that are looked at in one step: each takes a microsecond."""

_LOOKALIKES = {
    **dict(zip("аеорсухіјѕԁһԛԝАВЕКМНОРСТУХІЈЅ", "aeopcyxijsdhqwABEKMHOPCTYXIJS", strict=True)),
    **dict(zip("οΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "oABEZHIKMNOPTYX", strict=True)),
}
"""Cyrillic and Greek letters that look like Latin ones in common fonts (Unicode Technical Standard 39, confusables)."""

_TO_LATIN = str.maketrans(_LOOKALIKES)
_MIXED = re.compile(f"[A-Za-z{''.join(_LOOKALIKES)}]{{3,}}")
_STYLES = "\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff\u24b6-\u24e9\U0001f130-\U0001f149"
_STYLED = re.compile(f"[{_STYLES}]{{4,}}")
"""Four letters or more of full width, mathematical or in circles."""

_LOOKALIKE = re.compile(f"[{''.join(_LOOKALIKES)}]")
_STYLED_ONE = re.compile(f"[{_STYLES}]")
_SUSPECT = re.compile("".join(["[", *(members for _, members in _KINDS), *_LOOKALIKES, _STYLES, "]"]))


def beyond_ascii(text: str) -> str:
    """What of a text is beyond ASCII, or a control. Quick: of most texts little is left, in which one may search."""
    return text.encode("utf-8", "surrogatepass").translate(None, _SEEN).decode("utf-8", "surrogatepass")


def suspects(text: str) -> str:
    """The same; empty if nothing of that is ever found."""
    rest = beyond_ascii(text)
    return rest if rest and _SUSPECT.search(rest) is not None else ""


def unusual_characters(text: str) -> Mapping[str, int]:
    """How often each kind of such characters is in a text; empty for nearly all texts."""
    return drained(unusual_steps(text))


def unusual_steps(text: str) -> Steps[Mapping[str, int]]:
    """`unusual_characters`, step by step."""
    rest = suspects(text)
    if not rest:
        return {}
    found: Counter[str] = Counter()
    if _UNSEEN.search(rest) is not None:
        for count, (kind, start, end) in enumerate(_unseen(text)):
            found[kind] += end - start
            if not count % _MOST_AT_ONCE:
                yield
    mixed = styled = 0
    if _LOOKALIKE.search(rest) is not None:
        mixed = sum(1 for match in _MIXED.finditer(text) if _is_mixed(match[0]))
    if _STYLED_ONE.search(rest) is not None:
        styled = sum(1 for _ in _STYLED.finditer(text))
    found.update({name: count for name, count in (("homoglyph", mixed), ("styled", styled)) if count})
    return found


def without_unusual_characters(text: str) -> str:
    """The text as a reader sees it: what is not seen is gone, and what looks like a Latin letter is one."""
    return drained(seen_steps(text))


def seen_steps(text: str) -> Steps[str]:
    """`without_unusual_characters`, step by step."""
    rest = suspects(text)
    if not rest:
        return text
    if _UNSEEN.search(rest) is not None:
        text = yield from _without_unseen(text)
    if _LOOKALIKE.search(rest) is not None:
        text = _MIXED.sub(lambda match: match[0].translate(_TO_LATIN) if _is_mixed(match[0]) else match[0], text)
    if _STYLED_ONE.search(rest) is not None:
        text = _STYLED.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return text


def _without_unseen(text: str) -> Steps[str]:
    pieces, done = [], 0
    for _, start, end in _unseen(text):
        pieces.append(text[done:start])
        done = end
        if not len(pieces) % _MOST_AT_ONCE:
            yield
    return "".join([*pieces, text[done:]])


def _unseen(text: str) -> Iterator[tuple[str, int, int]]:
    """What is not seen, but for what has its use: as what it is found, and where. All of a kind in a row are one: so no
    text takes much longer than others."""
    for unseen in _UNSEEN.finditer(text):
        start, stop = unseen.span()
        while start < stop:
            row = _OF_A_KIND.match(text, start, stop)
            assert row is not None, "it is of one of the kinds"
            end = row.end()
            kind = _NAMES[(row.lastindex or 1) - 1]
            is_found, after = _found_as(kind, text, start, end)
            if after < end:
                yield is_found, after, end
            start = end


def _found_as(kind: str, text: str, start: int, end: int) -> tuple[str, int]:
    """What a row of a kind is found as, and behind what of it that has its use."""
    before = text[max(0, start - 1) : start]
    match kind:
        case "tag" if before == "\U0001f3f4":
            flag = _FLAG.match(text, start - 1)
            return kind, start if flag is None else flag.end()
        case "joiner":  # two in a row have each other beside them
            is_useless = end - start == 1 and _is_plain(before) and _is_plain(text[end : end + 1])
            return "zero_width", start if is_useless else end
        case "selector":
            is_used = (before and not before.isascii()) or _is_keycap(before, text[start + 1 : start + 2])
            return kind, start + bool(is_used)
        case "zero_width" if not start and text[0] == "\ufeff":
            return kind, 1  # a byte order mark
        case _:
            return kind, start


def _is_keycap(before: str, after: str) -> bool:
    return before in tuple("0123456789#*") and after == "\u20e3"


def _is_plain(character: str) -> bool:
    return not character or character.isascii()


def _is_mixed(word: str) -> bool:
    return not word.isascii() and any(letter.isascii() for letter in word)
