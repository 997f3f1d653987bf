"""The text of `prompt.md`, divided: front matter, then sections of one role each.

The division is made on the source, before anything is rendered. Whatever a value holds, it becomes text within the
section that its variable stands in: no value can begin a section.
"""

import re
from typing import Literal

import msgspec

from headworks.config.document import Mark

Role = Literal["developer", "system", "user", "assistant"]

_MARKER = re.compile(r"^[ \t]*\{%-?[ \t]*(developer|system|user|assistant|input)[ \t]*-?%\}[ \t]*$", re.MULTILINE)
_RULER = re.compile(r"^---[ \t]*$", re.MULTILINE)

Complaint = tuple[int, str]
"""An offset into the text and what is wrong there."""


class Stretch(msgspec.Struct, frozen=True):
    """The source of one section, as it stands in the text from `start` on."""

    role: Role
    start: int
    source: str


class Division(msgspec.Struct, frozen=True):
    """A prompt's text in its parts.

    `front` has the line numbers of the file: the first `---` is an empty line in it. `input_at` is the number of
    sections before the caller's own messages; `input_marker` where that was said, None if it was not.
    """

    text: str
    front: str
    sections: tuple[Stretch, ...]
    input_at: int
    input_marker: int | None
    complaints: tuple[Complaint, ...]

    def mark(self, offset: int) -> Mark:
        """The line and column of an offset."""
        return mark_at(self.text, offset)


class Misshapen(Exception):
    """There is no front matter to read; the text is not looked at further."""

    def __init__(self, message: str, mark: Mark) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark


def mark_at(text: str, offset: int) -> Mark:
    """The line and column of an offset, counted from 1."""
    return Mark(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def divide(text: str) -> Division:
    """The parts of a prompt's text. Line ends of any kind become `\\n`.

    Raises:
        Misshapen: it does not begin with front matter.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    opening = _RULER.match(text)
    if opening is None:
        raise Misshapen("a prompt begins with front matter: a line `---`, `version: 1.0.0`, a line `---`", Mark(1, 1))
    closing = _RULER.search(text, opening.end())
    if closing is None:
        raise Misshapen("the front matter that begins here has no end: a line `---` must follow it", Mark(1, 1))
    front = text[opening.end() : closing.start()]

    sections: list[Stretch] = []
    complaints: list[Complaint] = []
    input_at: int | None = None
    input_marker: int | None = None
    role: str = "developer"
    begin, place = closing.end(), None
    for marker in (*_MARKER.finditer(text, closing.end()), None):
        end = len(text) if marker is None else marker.start()
        stretch = _stretch(text, begin, end)
        if role == "input":
            if stretch is not None:
                complaints.append((stretch[0], "text after `{% input %}` needs a role: a line `{% user %}`, say"))
        elif stretch is not None:
            sections.append(Stretch(role, stretch[0], stretch[1]))  # type: ignore[arg-type]  # the pattern's words
        elif place is not None:
            complaints.append((place, "this section is empty: give it text, or remove it"))
        if marker is None:
            break
        role, place, begin = marker[1], text.index("{", marker.start()), marker.end()
        if role == "input":
            if input_marker is not None:
                complaints.append((place, "`{% input %}` stands here a second time"))
            input_at, input_marker = len(sections), place
    if not sections and not complaints:
        complaints.append((closing.start(), "the template after the front matter is empty"))
    return Division(
        text, front, tuple(sections), len(sections) if input_at is None else input_at, input_marker, tuple(complaints)
    )


def _stretch(text: str, begin: int, end: int) -> tuple[int, str] | None:
    """What stands there without blank lines before it and blanks after it; None if nothing does."""
    source = text[begin:end].rstrip()
    blank = re.match(r"(?:[ \t]*\n)*", source)
    start = blank.end() if blank else 0
    return (begin + start, source[start:]) if source[start:] else None
