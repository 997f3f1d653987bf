"""Where in an answer the tokenizer is, and whether what it meets there can still be right."""

from headworks.screening.output.faults import OutputFault, masked_pointer
from headworks.screening.output.shape import ANYTHING, Shape
from headworks.screening.output.tokens import Broken, Kind, Tokenizer
from headworks.screening.output.words import enum_message, required_message, type_message, unknown_property_message


class Wrong(Exception):  # the tokenizer's way of stopping; caught by who feeds it
    """What is met here cannot be right, whatever follows."""

    def __init__(self, fault: OutputFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class _Frame:
    """An array or object that is open."""

    __slots__ = ("child", "index", "is_object", "key", "seen", "shape")

    def __init__(self, shape: Shape, *, is_object: bool) -> None:
        self.shape = shape
        self.is_object = is_object
        self.key = ""
        self.index = -1
        self.seen: set[str] = set()
        self.child = shape


class Walk(Tokenizer):
    """Follows one JSON text and holds it to a shape. `read` is its way in.

    Arguments:
        shape: what may stand at the root.
        known_names: property names that a fault's pointer may show.
    """

    def __init__(self, shape: Shape = ANYTHING, known_names: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._root = shape
        self._known_names = known_names
        self._frames: list[_Frame] = []
        self._here = shape

    def read(self, piece: str) -> OutputFault | None:
        """Read on, until the end of the piece or the first fault, after which there is no reading on."""
        try:
            self.feed(piece)
        except Broken as broken:
            return OutputFault(self.pointer, broken.rule, broken.message)
        except Wrong as wrong:
            return wrong.fault
        return None

    @property
    def path(self) -> list[str | int]:
        """Names and indices that lead to what is being read."""
        return [
            frame.key if frame.is_object else frame.index for frame in self._frames if frame.seen or frame.index >= 0
        ]

    @property
    def pointer(self) -> str:
        """`path` as a JSON pointer without unknown names."""
        return masked_pointer(self.path, self._known_names)

    def on_key(self, name: str) -> None:
        """A repeated name and one that the shape does not allow are faults of the object around it."""
        frame = self._frames[-1]
        if name in frame.seen:
            self._wrong("duplicate-key", "has a property twice", at_parent=True)
        child = frame.shape.child(name)
        if child is None:
            self._wrong("additionalProperties", unknown_property_message(frame.shape.names), at_parent=True)
            return
        frame.seen.add(name)
        frame.key, frame.child = name, child

    def on_start(self, kind: Kind, at: int) -> None:  # noqa: ARG002 - for those who derive from it
        """A value must begin as its shape says."""
        if not self._frames:
            shape = self._root
        else:
            frame = self._frames[-1]
            if frame.is_object:
                shape = frame.child
            else:
                frame.index += 1
                shape = frame.shape.item(frame.index)
        self._here = shape
        if kind not in shape.kinds:
            self._wrong("type", type_message(shape.types))
        if kind in "{[":
            self._frames.append(_Frame(shape, is_object=kind == "{"))

    def on_string_so_far(self, text: str) -> None:
        """A string that can become none of those allowed is wrong before it ends."""
        texts = self._here.texts
        if texts is not None and not any(allowed.startswith(text) for allowed in texts):
            self._wrong("enum", enum_message(texts))

    def on_end(self, kind: Kind, text: str, stop: int) -> None:  # noqa: ARG002 - for those who derive from it
        """A string must be one of those allowed, a number whole where it must, an object must have what it must."""
        if kind == '"':
            texts = self._here.texts
            if texts is not None and text not in texts:
                self._wrong("enum", enum_message(texts))
        elif kind == "0":
            if self._here.is_integral and not _is_whole(text):
                self._wrong("type", type_message(self._here.types))
        elif kind in "{[":
            frame = self._frames.pop()
            for name in frame.shape.required if kind == "{" else ():
                if name not in frame.seen:
                    self._wrong("required", required_message(name))

    def _wrong(self, rule: str, message: str, *, at_parent: bool = False) -> None:
        path = self.path
        if at_parent and self._frames[-1].seen:
            path.pop()
        raise Wrong(OutputFault(masked_pointer(path, self._known_names), rule, message))


def _is_whole(digits: str) -> bool:
    # As the validator sees it: 1.0 and 1e2 are integers (JSON Schema 2020-12 validation, 6.1.1). What is beyond a
    # float's range is a fault of its own.
    return not any(mark in digits for mark in ".eE") or float(digits).is_integer() or float(digits) in _INFINITE


_INFINITE = (float("inf"), float("-inf"))
