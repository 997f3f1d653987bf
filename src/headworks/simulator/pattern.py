"""Strings that match a regular expression: the subset that schemas use in practice.

Literals, `.`, classes, `\\d \\w \\s` and their opposites, groups, alternatives, `? * + {m,n}`, and anchors at the
ends. What it cannot make (look-around, back-references, anchors in the middle) it refuses.
"""

import random
import string

from headworks.errors import HeadworksError

_WORD = string.ascii_lowercase + string.digits
_PRINTABLE = string.ascii_letters + string.digits + "-_"
_EVERYTHING = [chr(code) for code in range(32, 127)]
_CLASSES = {"d": string.digits, "w": _WORD, "s": " "}
_OPPOSITES = {"D": _CLASSES["w"][:26], "W": "-!", "S": _WORD}
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_MORE = 3
"""How many repetitions beyond the least an open quantifier gets."""


class PatternUnsupported(HeadworksError):
    """A regular expression outside the subset."""


class PatternWriter:
    """Writes one matching string per call of `write`. Read once from left to right, writing as it goes."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def write(self, chance: random.Random) -> str:
        """A string in which the pattern is found. Raises PatternUnsupported."""
        self._at = 0
        written = self._alternatives(chance)
        if self._at < len(self._pattern):
            raise PatternUnsupported(f"unbalanced parenthesis at {self._at}")
        return written

    def _peek(self) -> str:
        return self._pattern[self._at] if self._at < len(self._pattern) else ""

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise PatternUnsupported("the pattern ends too early")
        self._at += 1
        return character

    def _alternatives(self, chance: random.Random) -> str:
        """A choice among branches; all are read, one is kept."""
        branches = [self._branch(chance)]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._branch(chance))
        return chance.choice(branches)

    def _branch(self, chance: random.Random) -> str:
        written: list[str] = []
        while (character := self._peek()) and character not in "|)":
            if character == "^":
                if any(written):
                    raise PatternUnsupported("`^` in the middle")
                self._at += 1
            elif character == "$":
                self._at += 1
                if self._peek() not in {"", "|", ")"}:
                    raise PatternUnsupported("`$` in the middle")
            else:
                written.append(self._repeated(chance))
        return "".join(written)

    def _repeated(self, chance: random.Random) -> str:
        """An atom as often as its quantifier asks; read anew each time, so that repetitions differ."""
        start = self._at
        first = self._atom(chance)
        end = self._at
        least, most = self._quantifier()
        after = self._at
        pieces = [first]
        times = chance.randint(least, most)
        for _ in range(1, times):
            self._at = start
            pieces.append(self._atom(chance))
            assert self._at == end
        self._at = after
        return "".join(pieces[:times])

    def _quantifier(self) -> tuple[int, int]:
        character = self._peek()
        if character not in {"?", "*", "+", "{"}:
            return 1, 1
        self._at += 1
        if character == "{":
            least, most = self._braces()
        else:
            least, most = {"?": (0, 1), "*": (0, _MORE), "+": (1, 1 + _MORE)}[character]
        if self._peek() in {"?", "+"}:  # lazy and possessive match the same strings here
            self._at += 1
        return least, most

    def _braces(self) -> tuple[int, int]:
        end = self._pattern.find("}", self._at)
        bounds = self._pattern[self._at : end].split(",") if end > 0 else []
        if not bounds or len(bounds) > 2 or not bounds[0].isdigit():
            raise PatternUnsupported("a brace that is no quantifier")
        self._at = end + 1
        least = int(bounds[0])
        if len(bounds) == 1:
            return least, least
        return least, int(bounds[1]) if bounds[1].isdigit() else least + _MORE

    def _atom(self, chance: random.Random) -> str:
        character = self._next()
        if character == "(":
            return self._group(chance)
        if character == "[":
            return chance.choice(self._class())
        if character == ".":
            return chance.choice(_WORD)
        if character == "\\":
            return chance.choice(self._escaped(self._next()))
        if character in "*+?{":
            raise PatternUnsupported("a quantifier of nothing")
        return character

    def _group(self, chance: random.Random) -> str:
        if self._peek() == "?":
            self._at += 1
            if self._peek() == ":":
                self._at += 1
            elif self._pattern.startswith("P<", self._at) and (end := self._pattern.find(">", self._at)) > 0:
                self._at = end + 1
            else:
                raise PatternUnsupported("look-around and flags")
        written = self._alternatives(chance)
        if self._next() != ")":
            raise PatternUnsupported("an open group")
        return written

    def _escaped(self, character: str) -> str:
        """The characters that an escape stands for."""
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _OPPOSITES:
            return _OPPOSITES[character]
        if character in _CONTROL:
            return _CONTROL[character]
        if character.isalnum():
            raise PatternUnsupported(f"the escape \\{character}")
        return character

    def _class(self) -> list[str]:
        """The members of `[…]`, after its opening bracket."""
        is_negated = self._peek() == "^"
        if is_negated:
            self._at += 1
        members: set[str] = set()
        is_first = True
        while (character := self._next()) != "]" or is_first:
            is_first = False
            if character == "\\":
                members.update(self._escaped(self._next()))
            elif self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] not in {"", "]"}:
                self._at += 1
                last = self._next()
                if last == "\\":
                    raise PatternUnsupported("an escape at the end of a range")
                members.update(chr(code) for code in range(ord(character), min(ord(last), ord(character) + 256) + 1))
            else:
                members.add(character)
        if is_negated:
            members = set(_EVERYTHING) - members
        if not members:
            raise PatternUnsupported("an empty class")
        # Plain characters where the class has them: `[^,]` should read like a word, not like noise.
        return sorted(members & set(_PRINTABLE)) or sorted(members)
