"""From a byte of a rendered request back to the line of the template that made it. Pure.

A message is laid beside the pieces of its section: fixed text must stand in it as it is, and what lies between two
fixed texts is what the piece between them rendered to.
"""

from collections.abc import Mapping, Sequence

import msgspec

from headworks.caching.fingerprint import first_difference, part_at, prefix_of
from headworks.catalogue import count_tokens

_TURNS = ("input", "messages", "contents")
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class TemplatePiece(msgspec.Struct, frozen=True):
    """A part of a section: fixed text, or, where that is empty, what depends on the variables in `names`."""

    line: int
    column: int
    text: str = ""
    names: tuple[str, ...] = ()


class Template(msgspec.Struct, frozen=True):
    """A prompt as its sections, each with its pieces; `input_at` of them stand before the caller's own messages."""

    sections: tuple[tuple[TemplatePiece, ...], ...]
    input_at: int

    def fixed_behind(self, section: int, piece: int) -> int:
        """About how many tokens of fixed text stand behind a piece."""
        rest = [*self.sections[section][piece + 1 :], *(one for later in self.sections[section + 1 :] for one in later)]
        return sum(count_tokens(one.text) for one in rest if one.text)


class Cause(msgspec.Struct, frozen=True):
    """Why requests part at a byte.

    Attributes:
        part: the field of the request in which it lies (`tools`, `input`, ...); "" where that is not known.
        line, column: of the template's piece; 0 where it is none of the template's.
        names: the variables of that piece.
        is_callers: it lies in the caller's own messages.
        fixed_tokens: about how many tokens of fixed text stand behind it, and are never read from the cache.
        is_known: False where there is no text to look at: it is then the template's first piece that can vary, and
            what stands behind that may be the cause as well.
    """

    part: str
    line: int = 0
    column: int = 0
    names: tuple[str, ...] = ()
    is_callers: bool = False
    fixed_tokens: int = 0
    is_known: bool = True


Fields = Mapping[str, msgspec.Raw]


def cause_of(one: Fields, other: Fields, template: Template | None) -> tuple[int, Cause]:
    """The first byte at which two requests part, and why.

    Arguments:
        template: of the prompt that both were made with; None where there is none, or it is not known.
    """
    offset = first_difference([prefix_of(one), prefix_of(other)])
    part, _ = part_at(one, offset)
    if part not in _TURNS:
        return offset, Cause(part)
    texts, others = (_texts(fields.get(part)) for fields in (one, other))
    message = next((n for n, pair in enumerate(zip(texts, others, strict=False)) if pair[0] != pair[1]), None)
    if message is None or template is None:
        return offset, Cause(part, is_callers=template is not None)
    try:
        mine, theirs = (_section_of(messages, message, template) for messages in (texts, others))
    except LookupError:  # another prompt than this, or its text was redacted
        return offset, Cause(part)
    place = _first_place(mine, theirs, template.input_at)
    return offset, _callers(part, template) if place is None else _of_piece(part, template, *place)


def first_varying(template: Template, last_byte: int) -> Cause:
    """The first piece of a template that can vary, for requests that part up to a byte, where no text is kept. One that
    must lie behind that byte is not the cause: it is then something that is sent before the template."""
    before = 0
    for number, section in enumerate(template.sections):
        if number == template.input_at:
            return msgspec.structs.replace(_callers("", template), is_known=False)
        for place, piece in enumerate(section):
            if not piece.text:
                fixed = template.fixed_behind(number, place)
                cause = Cause("", piece.line, piece.column, piece.names, fixed_tokens=fixed, is_known=False)
                return cause if before <= last_byte else Cause("", is_known=False)
            before += len(piece.text.encode())
    return Cause("", is_callers=True, is_known=False)


_Laid = tuple[int, list[str]]
"""A section's number, and what each of its pieces rendered to."""


def _first_place(one: _Laid | None, other: _Laid | None, input_at: int) -> tuple[int, int] | None:
    """The section and the piece that is the first to differ in two messages; None where it is the caller's messages
    that differ, or how many there are."""
    if one is not None and other is not None and one[0] == other[0]:
        pairs = zip(one[1], other[1], strict=True)
        return one[0], next((place for place, (mine, theirs) in enumerate(pairs) if mine != theirs), 0)
    first = min((laid[0] for laid in (one, other) if laid is not None), default=input_at)
    is_callers = first >= input_at and (one is None or other is None)
    # In one of the two, this section rendered to nothing: it is the cause as a whole.
    return None if is_callers else (first, 0)


def _section_of(texts: Sequence[str], message: int, template: Template) -> _Laid | None:
    """The section that a message was made by, with what its pieces rendered to; None for the caller's own.

    Raises:
        LookupError: the messages are not this template's.
    """
    sections = template.sections
    ahead, behind = 0, len(texts) - 1
    for number in range(template.input_at):
        laid = _laid(sections[number], texts[ahead]) if ahead <= behind else None
        if laid is not None:
            if ahead == message:
                return number, laid
            ahead += 1
    for number in range(len(sections) - 1, template.input_at - 1, -1):
        laid = _laid(sections[number], texts[behind]) if behind >= ahead else None
        if laid is not None:
            if behind == message:
                return number, laid
            behind -= 1
    return None


def _laid(section: Sequence[TemplatePiece], text: str) -> list[str] | None:
    """What each piece of a section rendered to, if a message is this section's. One that rendered to nothing became no
    message, and fits none.

    Raises:
        LookupError: the section has fixed text, so it must have become a message, and this is another.
    """
    found, position = [], 0
    for place, piece in enumerate(section):
        end = position + len(piece.text) if piece.text else _end_of_value(section, place, text, position)
        if end < 0 or (piece.text and not text.startswith(piece.text, position)):
            if any(one.text.strip() for one in section):
                raise LookupError
            return None
        found.append(text[position:end])
        position = end
    return found


def _callers(part: str, template: Template) -> Cause:
    fixed = sum(count_tokens(piece.text) for section in template.sections[template.input_at :] for piece in section)
    return Cause(part, is_callers=True, fixed_tokens=fixed)


def _of_piece(part: str, template: Template, section: int, place: int) -> Cause:
    piece = template.sections[section][place]
    return Cause(
        part,
        piece.line,
        piece.column,
        piece.names,
        fixed_tokens=template.fixed_behind(section, place) * (not piece.text),
    )


def _end_of_value(section: Sequence[TemplatePiece], place: int, text: str, start: int) -> int:
    """Where what a piece rendered to ends: at the next fixed text; negative where that is not there. The last one is
    looked for at the end, for a value may hold the same words."""
    following = next((n for n in range(place + 1, len(section)) if section[n].text), None)
    if following is None:
        return len(text)
    fixed = section[following].text
    if following == len(section) - 1:
        end = len(text) - len(fixed)
        return end if end >= start and text.endswith(fixed) else -1
    return text.find(fixed, start)


def _texts(raw: msgspec.Raw | None) -> list[str]:
    """The text of each message; of one that is more than text, its JSON."""
    try:
        items = [] if raw is None else _decode_items(raw)
    except msgspec.MsgspecError:
        return []
    texts = []
    for item in items:
        try:
            content = msgspec.json.decode(item, type=_Message).content
        except msgspec.MsgspecError:
            content = msgspec.UNSET
        texts.append(content if isinstance(content, str) else bytes(item).decode(errors="replace"))
    return texts


class _Message(msgspec.Struct):
    content: str | msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
