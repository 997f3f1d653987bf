"""What a contract adds: patterns, word lists, and identifiers that `python-stdnum` knows."""

import importlib
import re
from collections.abc import Callable
from typing import TypeAlias

from headworks.config.privacy import CustomPattern, WordList
from headworks.errors import ConfigError, Problem
from headworks.screening.privacy.judging import Words, always, is_alone, is_other_number
from headworks.screening.privacy.patterns import EDGE, Hit, Judge, Pattern
from headworks.screening.privacy.shadow import folded


def custom_pattern(kind: str, pattern: CustomPattern) -> Pattern:
    """The pattern of a contract. Whether the engine takes it shows when it is compiled."""
    source = ("(?i)" if pattern.ignore_case else "") + folded(pattern.regex)
    if not pattern.context:
        return Pattern(source, always(kind, 1.0), is_own=True, is_long=True)
    words = Words("|".join(re.escape(folded(word).lower()) for word in pattern.context))

    def judge(data: bytes, start: int, end: int) -> Hit | None:
        return (kind, start, end, 1.0) if words.stand_before(data, start) else None

    return Pattern(source, judge, is_own=True, is_long=True)


def word_pattern(kind: str, words: WordList) -> Pattern:
    """The pattern of a word list: a tree, so that ten thousand words cost about as much as one."""
    tree: _Tree = {}
    for word in words.words:
        branch = tree
        for character in folded(word):
            branch = branch.setdefault(character, {})
        branch[_END] = {}
    flag = "(?i)" if words.ignore_case else ""
    judge: Judge = _whole(kind) if words.whole_words else always(kind, 1.0)
    needles = tuple({folded(word).lower().split()[0].encode("latin-1") for word in words.words if word.strip()})
    return Pattern(
        f"{flag}({_written(tree)})", judge, needles=needles, retries=words.whole_words, is_own=True, is_long=True
    )


_Tree: TypeAlias = dict[str, "_Tree"]
_END = ""


def _written(tree: _Tree) -> str:
    """A tree as a regular expression; the longest word comes first. A line end between words is a space, too."""
    branches = [
        (r"\s{1,3}" if character == " " else re.escape(character)) + _written(branch)
        for character, branch in sorted(tree.items())
        if character
    ]
    if not branches:
        return ""
    whole = branches[0] if len(branches) == 1 and _END not in tree else f"(?:{'|'.join(branches)})"
    return f"{whole}?" if _END in tree else whole


def _whole(kind: str) -> Judge:
    def judge(data: bytes, start: int, end: int) -> Hit | None:
        return (kind, start, end, 1.0) if is_alone(data, start, end) else None

    return judge


def more_identifiers(names: tuple[str, ...], file: str) -> tuple[Pattern, ...]:
    """One pattern that asks python-stdnum about every word with digits.

    Raises:
        ConfigError: the extra is not installed, or has no such module.
    """
    if not names:
        return ()
    modules = [(name, _module(name, file)) for name in names]

    def judge(data: bytes, start: int, end: int) -> Hit | None:
        text = data[start:end].decode("latin-1")
        for words, is_valid in judges:
            if is_valid(text):
                if words.stand_before(data, start):
                    return "national_id", start, end, 0.95
                if not is_other_number(data, start):
                    return "national_id", start, end, 0.6
        return None

    judges = [
        (Words(rf"{re.escape(name.partition('.')[2])}|id|identity|personal|national|tax|number"), is_valid)
        for name, is_valid in modules
    ]
    source = EDGE + r"([A-Za-z0-9]{1,14}(?:[ ./-][A-Za-z0-9]{1,14}){0,4})" + EDGE
    return (
        Pattern(source, judge, digits=3, retries=True, is_own=True),
        Pattern(EDGE + r"([A-Za-z0-9]{5,20})" + EDGE, judge, digits=3, is_own=True),
    )


def _module(name: str, file: str) -> Callable[[str], bool]:
    try:
        module = importlib.import_module(f"stdnum.{name}")
    except ImportError:
        message = (
            f"screening.privacy.identifiers: python-stdnum is not installed, or has no module {name!r}; "
            "`pip install 'headworks[privacy]'`, or take it out"
        )
        raise ConfigError(Problem(file, 0, 0, message)) from None
    is_valid: Callable[[str], bool] = module.is_valid
    return is_valid
