"""Taint: whether untrusted text may have brought about a tool call.

By context, as soon as there is any such text in the call. By arguments, when a value of the call's arguments stands in
untrusted text and in nothing that is trusted: this finds what is copied, not what the model puts in other words.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

TaintBy = Literal["context", "arguments"]
"""What makes a call of a tool tainted."""

_LEAST = 3
"""Letters and digits of a value: a shorter one stands anywhere by chance."""

_WINDOW = 24
"""Letters and digits: of a longer value, a piece of this length that is copied is enough."""


class Taint:
    """What one call's texts may have put into its tool calls. Built from them once; holds no other state.

    Arguments:
        untrusted: texts that anybody may have written.
        trusted: texts of who may instruct the model.
        by: what makes a call of a tool tainted.
    """

    def __init__(self, untrusted: Sequence[str], trusted: Sequence[str], by: TaintBy) -> None:
        self.has_untrusted = any(not text.isspace() for text in untrusted if text)
        self.by = by
        self._texts = (tuple(untrusted), tuple(trusted))
        self._read: tuple[str, str] | None = None

    def is_on(self, arguments: str) -> bool:
        """Whether a call with these arguments (JSON, or a custom tool's text) is tainted. What cannot be read is."""
        if not self.has_untrusted or self.by == "context":
            return self.has_untrusted
        try:
            value: object = msgspec.json.decode(arguments)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            value = arguments
        return any(self._stems(leaf) for leaf in leaves(value))

    def _stems(self, leaf: str) -> bool:
        """Whether a value stands in untrusted text, and in nothing that is trusted."""
        if self._read is None:  # only who needs it reads it
            untrusted, trusted = self._texts
            untrusted = tuple(piece for text in untrusted for piece in (text, *_inside(text)))
            self._read = "\0".join(map(_plain, untrusted)), "\0".join(map(_plain, trusted))
        untrusted_text, trusted_text = self._read
        plain = _plain(leaf)
        if len(plain) < _LEAST or plain in trusted_text:
            return False
        if plain in untrusted_text:
            return True
        pieces = (plain[at : at + _WINDOW] for at in range(0, len(plain) - _WINDOW + 1, _WINDOW // 2))
        return any(piece in untrusted_text and piece not in trusted_text for piece in pieces)


def _inside(text: str) -> Iterator[str]:
    """The strings of a text that is JSON: in it they may be written in escapes."""
    if text.lstrip()[:1] in ("{", "[", '"'):
        try:
            yield from leaves(msgspec.json.decode(text))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return


def _plain(text: str) -> str:
    return "".join([character for character in text if character.isalnum()]).casefold()


def leaves(value: object) -> Iterator[str]:
    """The strings and numbers of a JSON value."""
    match value:
        case bool() | None:
            return
        case dict():
            for inner in value.values():
                yield from leaves(inner)
        case list():
            for inner in value:
                yield from leaves(inner)
        case _:
            yield str(value)
