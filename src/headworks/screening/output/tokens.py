"""A JSON tokenizer (RFC 8259) without I/O, for text that comes in pieces of any size.

It is a state machine that goes forward once and fails at the first character that no JSON text could have there. A
subclass is told of keys and values as they come:

    >>> class Keys(Tokenizer):
    ...     def on_key(self, name): print(name)
    >>> keys = Keys()
    >>> keys.feed('{"a": 1, "b'); keys.feed('c": tru')
    a
    bc

Strings and white space are passed over with regular expressions, a run at a time: the cost is by the token, not by
the character.
"""

import json
import re
from collections.abc import Callable
from typing import Literal, NoReturn

MAX_DEPTH = 64
"""How deeply arrays and objects may lie in one another. Our own bound: far more than the 10 levels of structured
outputs, far less than what would exhaust a parser's stack."""

Kind = Literal["{", "[", '"', "0", "t", "f", "n"]
"""A value's kind, by the character it begins with; `0` stands for all numbers."""

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_WORDS = {"t": "true", "f": "false", "n": "null"}
_HEX = frozenset("0123456789abcdefABCDEF")
_HEX_DIGITS = 4

_DIGITS = "0123456789"


def _arcs(*arcs: tuple[str, str]) -> dict[str, str]:
    return {character: state for characters, state in arcs for character in characters}


# The states of a number, named by what has been read last: sign, zero, integer, dot, fraction, e, sign of the
# exponent, exponent.
_NUMBER = {
    "sign": _arcs(("0", "zero"), (_DIGITS[1:], "integer")),
    "zero": _arcs((".", "dot"), ("eE", "e")),
    "integer": _arcs((_DIGITS, "integer"), (".", "dot"), ("eE", "e")),
    "dot": _arcs((_DIGITS, "fraction")),
    "fraction": _arcs((_DIGITS, "fraction"), ("eE", "e")),
    "e": _arcs(("+-", "e sign"), (_DIGITS, "exponent")),
    "e sign": _arcs((_DIGITS, "exponent")),
    "exponent": _arcs((_DIGITS, "exponent")),
}
_WHOLE_NUMBER = frozenset({"zero", "integer", "fraction", "exponent"})
_AFTER_NUMBER = frozenset(" \t\n\r,]}")
_NUMBER_START = _arcs(("-", "sign"), ("0", "zero"), (_DIGITS[1:], "integer"))


class Broken(Exception):  # caught where a fault is made of it
    """The text cannot become JSON, whatever follows. `position` counts characters from 0."""

    def __init__(self, rule: str, message: str, position: int) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.position = position


class Tokenizer:
    """Reads one JSON text. Subclasses override the `on_` methods, which may raise to stop.

    Once an exception has come out of `feed`, the tokenizer must not be used any more.
    """

    def __init__(self) -> None:
        self._step: Callable[[str, int], int] = self._value
        self._open: list[str] = []
        self._raw: list[str] = []
        self._is_key = False
        self._has_escapes = False
        self._hex_left = 0
        self._number_state = ""
        self._word = ""
        self._word_read = 0
        self._before = 0  # characters of earlier pieces

    def on_key(self, name: str) -> None:
        """A property's name is complete."""

    def on_start(self, kind: Kind, at: int) -> None:
        """A value begins at this character of the piece."""

    def on_string_so_far(self, text: str) -> None:
        """A string value without escapes goes on in the next piece; this is its beginning."""

    def on_end(self, kind: Kind, text: str, stop: int) -> None:
        """A value is complete, and ended before this character of the piece.

        `text` is a string's value, or what a number or a word looked like; empty for arrays and objects.
        """

    @property
    def position(self) -> int:
        """Characters in the pieces before the one that is being read."""
        return self._before

    def feed(self, piece: str) -> None:
        """Read on.

        Raises:
            Broken: no JSON text goes on like this.
        """
        at, end = 0, len(piece)
        while at < end:
            at = self._step(piece, at)
        if self._step == self._string and not self._is_key and not self._has_escapes:
            self.on_string_so_far("".join(self._raw))
        self._before += end

    def _fail(self, at: int, rule: str = "not-json", message: str = "is not JSON") -> NoReturn:
        position = self._before + at
        raise Broken(rule, f"{message} at character {position}", position)

    # Between tokens. Each method is one state; it takes the piece and where to read, and says where to go on.

    def _value(self, piece: str, at: int) -> int:
        if (at := _skip(piece, at)) == len(piece):
            return at
        character = piece[at]
        if character == '"':
            self.on_start('"', at)
            self._is_key = False
            return self._begin_string(at)
        if character in "{[":
            if len(self._open) == MAX_DEPTH:
                self._fail(at, "too-deep", f"is nested more than {MAX_DEPTH} levels deep")
            self.on_start("{" if character == "{" else "[", at)
            self._open.append(character)
            self._step = self._first_key if character == "{" else self._first_item
            return at + 1
        if state := _NUMBER_START.get(character):
            self.on_start("0", at)
            self._number_state = state
            self._raw = [character]
            self._step = self._number
            return at + 1
        if character in "tfn":
            self.on_start(_word_kind(character), at)
            self._word, self._word_read, self._step = _WORDS[character], 1, self._literal
            return at + 1
        return self._fail(at)

    def _first_item(self, piece: str, at: int) -> int:
        if (at := _skip(piece, at)) == len(piece):
            return at
        return self._close(at) if piece[at] == "]" else self._value(piece, at)

    def _first_key(self, piece: str, at: int) -> int:
        if (at := _skip(piece, at)) == len(piece):
            return at
        return self._close(at) if piece[at] == "}" else self._key(piece, at)

    def _key(self, piece: str, at: int) -> int:
        if (at := _skip(piece, at)) == len(piece):
            return at
        if piece[at] != '"':
            self._fail(at)
        self._is_key = True
        return self._begin_string(at)

    def _colon(self, piece: str, at: int) -> int:
        if (at := _skip(piece, at)) == len(piece):
            return at
        if piece[at] != ":":
            self._fail(at)
        self._step = self._value
        return at + 1

    def _next(self, piece: str, at: int) -> int:
        if (at := _skip(piece, at)) == len(piece):
            return at
        is_object = self._open[-1] == "{"
        if piece[at] == ",":
            self._step = self._key if is_object else self._value
            return at + 1
        if piece[at] != ("}" if is_object else "]"):
            self._fail(at)
        return self._close(at)

    def _nothing(self, piece: str, at: int) -> int:
        if (at := _skip(piece, at)) < len(piece):
            self._fail(at, "trailing-text", "goes on after the JSON value")
        return at

    def _close(self, at: int) -> int:
        self._ended("{" if self._open.pop() == "{" else "[", "", at + 1)
        return at + 1

    def _ended(self, kind: Kind, text: str, stop: int) -> None:
        self._step = self._next if self._open else self._nothing
        self.on_end(kind, text, stop)

    # Within tokens.

    def _begin_string(self, at: int) -> int:
        self._raw = []
        self._has_escapes = False
        self._step = self._string
        return at + 1

    def _string(self, piece: str, at: int) -> int:
        match = _PLAIN.match(piece, at)
        assert match is not None  # it matches nothing, too
        stop = match.end()
        self._raw.append(piece[at:stop])
        if stop == len(piece):
            return stop
        if piece[stop] == "\\":
            self._raw.append("\\")
            self._has_escapes = True
            self._step = self._escape
            return stop + 1
        if piece[stop] != '"':
            self._fail(stop, message="is not JSON: a control character that is not escaped")
        text = "".join(self._raw)
        if self._has_escapes:
            text = json.loads(f'"{text}"')
        if self._is_key:
            self._step = self._colon
            self.on_key(text)
        else:
            self._ended('"', text, stop + 1)
        return stop + 1

    def _escape(self, piece: str, at: int) -> int:
        character = piece[at]
        if character == "u":
            self._hex_left = _HEX_DIGITS
            self._step = self._hex
        elif character in '"\\/bfnrt':
            self._step = self._string
        else:
            self._fail(at)
        self._raw.append(character)
        return at + 1

    def _hex(self, piece: str, at: int) -> int:
        if piece[at] not in _HEX:
            self._fail(at)
        self._raw.append(piece[at])
        self._hex_left -= 1
        if not self._hex_left:
            self._step = self._string
        return at + 1

    def _number(self, piece: str, at: int) -> int:
        start, state = at, self._number_state
        for character in piece[start:]:
            following = _NUMBER[state].get(character)
            if following is None:
                break
            state = following
            at += 1
        self._raw.append(piece[start:at])
        self._number_state = state
        if at < len(piece):
            # What follows is looked at first, so that `01` never passes for 0.
            if state not in _WHOLE_NUMBER or piece[at] not in _AFTER_NUMBER:
                self._fail(at)
            self._ended("0", "".join(self._raw), at)
        return at

    def _literal(self, piece: str, at: int) -> int:
        word = self._word
        if piece[at] != word[self._word_read]:
            self._fail(at)
        self._word_read += 1
        if self._word_read == len(word):
            self._ended(_word_kind(word[0]), word, at + 1)
        return at + 1


def _skip(piece: str, at: int) -> int:
    match = _SPACE.match(piece, at)
    assert match is not None  # it matches nothing, too
    return match.end()


def _word_kind(character: str) -> Kind:
    return "t" if character == "t" else "f" if character == "f" else "n"
