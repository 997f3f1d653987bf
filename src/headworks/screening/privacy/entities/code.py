"""Lines of programs, told from prose at a glance: models take their identifiers for names by the thousand.

What is quoted in such a line is data, and two words in a row are seldom an identifier: those are left alone.
"""

import re
from bisect import bisect_right
from itertools import accumulate

_MOST_LOOKED_AT = 400
_NEARBY = 2
"""Characters of a line that are looked at; and how many lines off the next line of code may be."""

_SIGN = re.compile(r"[=(){}\[\]<>_;:/\\\"'#,|*+&%$@!~^`-]")
_LEAST_SIGNS = 0.08
"""The share of signs in a line from which on one piece of syntax is enough: prose has less than half of it."""

_SYNTAX = re.compile(
    r"\w\(|^\s*[\w.\[\]]+\s+[-+*/|&]?=\s|[\w\])]\s*(?:==|!=|<=|>=|->|=>)\s*[\w\"'(\[{]|\w\.\w+[(\[=,)]|\w\[[^\d\]]"
    r"|[{;]\s*$|0x[0-9a-f]{2}"
)
_STATEMENT = re.compile(
    r"\s*(?:(?:class|struct|interface|enum) \w+\s*[:({]|def \w+|except\b.*:\s*$|from [\w.]+ import\b"
    r"|import [\w.]+(?: as \w+)?(?:, [\w.]+){0,9};?\s*$|return \w+;?\s*$|raise \w+;?\s*$|@\w+\s*$|#\s*include\b)"
)
_KEYWORD = re.compile(
    r"\s*(?:class|def|from|import|except|return|if|elif|else|for|while|with|raise|assert|yield|try|function|const|let|var"
    r"|public|private|static|void|using|namespace|async|await)\b"
)


class CodeLines:
    """Which lines of a text are a program's: those that look like it and have another such line nearby. State: none.

    Arguments:
        text: whatever a model has read.
    """

    def __init__(self, text: str) -> None:
        lines = text.split("\n")
        looks = [is_code(line[:_MOST_LOOKED_AT]) for line in lines]
        self._text = text
        self._starts = [0, *accumulate(len(line) + 1 for line in lines)]
        self._are_code = [
            looks[number] and sum(looks[max(0, number - _NEARBY) : number + _NEARBY + 1]) > 1
            for number in range(len(lines))
        ]

    def have_identifier(self, start: int, end: int) -> bool:
        """Whether a span is a word of a program: it stands alone, unquoted, in such a line."""
        number = bisect_right(self._starts, start) - 1
        value = self._text[start:end]
        if not self._are_code[number] or (" " in value and not value.isupper()):
            return False
        before = self._text[self._starts[number] : start]
        return not (before.count('"') % 2 or before.count("'") % 2)


def is_code(line: str) -> bool:
    """Whether a line is a program's."""
    pieces = len(_SYNTAX.findall(line))
    if pieces >= 2 or _STATEMENT.match(line) is not None:
        return True
    bare = line.strip()
    signs = len(_SIGN.findall(bare))
    return pieces == 1 and (signs >= _LEAST_SIGNS * len(bare) or _KEYWORD.match(line) is not None)
