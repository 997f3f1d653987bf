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
        is_known: False where there is no text to look at, and it is only the template's first piece that can vary.
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
    within = _first_character(texts[message], others[message])
    # Where one value begins as the other goes on, only the longer one is still in its piece: the earlier place is it.
    places = [_place_of(messages, message, within, template) for messages in (texts, others)]
    place = min((one for one in places if one is not None), default=None)
    return offset, _callers(part, template) if place is None else _of_piece(part, template, *place)


def first_varying(template: Template) -> Cause:
    """The first piece of a template that can vary, as a guess where no text is kept."""
    for number, section in enumerate(template.sections):
        if number == template.input_at:
            return msgspec.structs.replace(_callers("", template), is_known=False)
        for place, piece in enumerate(section):
            if not piece.text:
                fixed = template.fixed_behind(number, place)
                return Cause("", piece.line, piece.column, piece.names, fixed_tokens=fixed, is_known=False)
    return Cause("", is_callers=True, is_known=False)


def _place_of(texts: Sequence[str], message: int, offset: int, template: Template) -> tuple[int, int] | None:
    """The section and the piece that a character of a message was made by; None where it is the caller's own."""
    sections = template.sections
    # Sections that rendered to nothing became no message, so one that does not fit is passed over.
    ahead = 0
    for number in range(template.input_at):
        if ahead < len(texts) and _piece_at(sections[number], texts[ahead], 0) is not None:
            if ahead == message:
                return _in_section(number, _piece_at(sections[number], texts[ahead], offset))
            ahead += 1
    behind = len(texts) - 1
    for number in range(len(sections) - 1, template.input_at - 1, -1):
        if behind >= ahead and _piece_at(sections[number], texts[behind], 0) is not None:
            if behind == message:
                return _in_section(number, _piece_at(sections[number], texts[behind], offset))
            behind -= 1
    return None


def _in_section(section: int, piece: int | None) -> tuple[int, int] | None:
    return None if piece is None else (section, piece)


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


def _piece_at(section: Sequence[TemplatePiece], text: str, offset: int) -> int | None:
    """The piece that a character of a message was made by; None where the message is not this section's."""
    position, found = 0, None
    for place, piece in enumerate(section):
        if piece.text:
            if not text.startswith(piece.text, position):
                return None
            position += len(piece.text)
        else:
            following = next((later.text for later in section[place + 1 :] if later.text), None)
            end = len(text) if following is None else text.find(following, position)
            if end < 0:
                return None
            position = end
        if found is None and (offset < position or place == len(section) - 1):
            found = place
    return found


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


def _first_character(one: str, other: str) -> int:
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
