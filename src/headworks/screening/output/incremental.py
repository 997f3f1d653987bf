"""An answer checked while it streams: what is certainly wrong is known at the earliest character.

Text goes through a tokenizer that knows where in the answer it is (`walk`) and what its schema allows there (`shape`).
Each property of the root is validated by its own sub-schema as soon as it is complete, and may be read then. The whole
is validated at the end; only that verdict says that an answer is right.
"""

from collections.abc import Mapping

from headworks.screening.output.faults import OutputFault
from headworks.screening.output.reading import JsonValue, read_json
from headworks.screening.output.schema import OutputSchema
from headworks.screening.output.tokens import Kind
from headworks.screening.output.walk import Walk, Wrong


class IncrementalCheck:
    """The check of one streamed answer.

    However the text is cut, `finish` finds a fault exactly if `OutputSchema.check` finds one in the whole. A fault
    that `feed` reports is certain: no text that goes on like this is right. It is reported again by every later call.
    """

    def __init__(self, schema: OutputSchema) -> None:
        self._schema = schema
        self._pieces: list[str] = []
        self._reader = _Reader(schema)
        self._fault: OutputFault | None = None

    @property
    def completed(self) -> Mapping[str, JsonValue]:
        """The properties of the root that are complete, each right by its own sub-schema where that can be told alone.

        Whether they are right together is known at `finish`.
        """
        return self._reader.completed

    @property
    def text(self) -> str:
        """Everything that has been fed."""
        return "".join(self._pieces)

    def feed(self, piece: str) -> OutputFault | None:
        """Read on; returns what is certainly wrong by now."""
        if self._fault is None:
            self._pieces.append(piece)
            self._fault = self._reader.read(piece)
        return self._fault

    def finish(self) -> OutputFault | None:
        """The verdict on the whole text."""
        if self._fault is None:
            self._fault = self._schema.check(self.text)
        return self._fault


class _Reader(Walk):
    """A walk that keeps the properties of the root."""

    def __init__(self, schema: OutputSchema) -> None:
        super().__init__(schema.shape, schema.known_names)
        self.completed: dict[str, JsonValue] = {}
        self._schema = schema
        self._piece = ""
        self._field: list[str] = []  # what has been read of the property that is open
        self._field_from = -1  # where the rest of it begins in this piece; -1 where none is open

    def feed(self, piece: str) -> None:
        self._piece = piece
        super().feed(piece)
        if self._field_from >= 0:
            self._field.append(piece[self._field_from :])
            self._field_from = 0

    def on_start(self, kind: Kind, at: int) -> None:
        if len(self._frames) == 1 and self._frames[0].is_object:
            self._field = []
            self._field_from = at
        super().on_start(kind, at)

    def on_end(self, kind: Kind, text: str, stop: int) -> None:
        super().on_end(kind, text, stop)
        if len(self._frames) == 1 and self._frames[0].is_object:
            self._field.append(self._piece[self._field_from : stop])
            self._field_from = -1
            self._complete(self._frames[0].key, "".join(self._field))

    def _complete(self, name: str, text: str) -> None:
        value = read_json(text, self._known_names)
        if isinstance(value, OutputFault):
            raise Wrong(value.below(self.pointer))
        if fault := self._schema.check_field(name, value):
            raise Wrong(fault)
        self.completed[name] = value
