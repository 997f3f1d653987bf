"""Which model a name means: the clauses of a catalogue's entry, tried in the order of the entries.

A clause is a text whose first character says how it is meant: `=` the whole name, `^` its beginning, `$` its end, `*` a
part of it, `/` a regular expression. A list of clauses holds when all of them do; an entry is meant when any of its
clauses holds. Upper and lower case are the same.
"""

import datetime as dt
import re
from collections.abc import Sequence

Clause = str | tuple[str, ...]

_SPECIAL = frozenset(".^$*+?{}[]|()")
_COMPACT_DAY = re.compile(r"-(20\d{2})(\d{2})(\d{2})(?=-|:|$)")


def is_meant(name: str, clauses: Sequence[Clause]) -> bool:
    """Whether any clause holds for a name in lower case."""
    for clause in clauses:
        if isinstance(clause, str):
            if _holds(name, clause):
                return True
        elif all(_holds(name, part) for part in clause):
            return True
    return False


def with_dashed_day(name: str) -> str:
    """A name that ends on `-20251211` as one on `-2025-12-11`, which some gateways shorten."""

    def dashed(match: re.Match[str]) -> str:
        year, month, day = (int(part) for part in match.groups())
        try:
            return f"-{dt.date(year, month, day).isoformat()}"
        except ValueError:
            return match[0]

    return _COMPACT_DAY.sub(dashed, name)


def _holds(name: str, clause: str) -> bool:
    kind, text = clause[0], clause[1:]
    match kind:
        case "=":
            return name == text
        case "^":
            return name.startswith(text)
        case "$":
            return name.endswith(text)
        case "*":
            return text in name
        case _:
            # Compiling is what costs here, and most expressions begin with a literal that the name does not.
            return name.startswith(literal_beginning(text)) and re.search(text, name) is not None


def literal_beginning(pattern: str) -> str:
    """What every match of a pattern anchored by `^` begins with; nothing where that is not plain to see."""
    if not pattern.startswith("^") or "|" in pattern:
        return ""
    found = []
    place = 1
    while place < len(pattern):
        character = pattern[place]
        if character == "\\":
            place += 1
            character = pattern[place]
            if character.isalnum():
                break  # a class, such as \d
        elif character in _SPECIAL:
            break
        found.append(character)
        place += 1
    if place < len(pattern) and pattern[place] in "*?{":
        found = found[:-1]
    return "".join(found)
