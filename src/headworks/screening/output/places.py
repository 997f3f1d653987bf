"""Lines and columns in a file of JSON, for messages about it."""

from headworks.screening.output.faults import pointer_of
from headworks.screening.output.tokens import Kind
from headworks.screening.output.walk import Walk


def place_of(text: bytes, pointer: str) -> tuple[int, int]:
    """Line and column, from 1, where the value with this JSON pointer begins; (0, 0) where there is none."""
    decoded = text.decode(errors="replace")
    walk = _Places()
    walk.read(decoded)
    position = walk.places.get(pointer)
    return (0, 0) if position is None else _line_and_column(decoded, position)


def place_of_break(text: bytes) -> tuple[int, int]:
    """Line and column, from 1, of the character up to which it is JSON; (0, 0) where no character is to blame."""
    decoded = text.decode(errors="replace")
    walk = Walk()
    for position, character in enumerate(decoded):
        if walk.read(character) is not None:
            return _line_and_column(decoded, position)
    return (0, 0)


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


class _Places(Walk):
    """Keeps where each value begins. Names are shown: the file is its author's own."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, int] = {}

    def on_start(self, kind: Kind, at: int) -> None:
        super().on_start(kind, at)
        # A container that has just been opened adds nothing to the path yet.
        self.places[pointer_of(self.path)] = self.position + at
