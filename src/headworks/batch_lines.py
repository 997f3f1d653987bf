"""Which models the lines of a batch's input ask for, read while the file goes by. Pure."""

import msgspec

UNKNOWN = "?"
"""Stands for models that could not be read."""

_MOST_LINE_BYTES = 16 * 1024 * 1024
_MOST_MODELS = 64
"""A batch asks one model (OpenAI batch guide, 2026-11); more names than this are not kept."""

_MOST_NAME = 200


class _Body(msgspec.Struct):
    model: str = ""


class _Line(msgspec.Struct):
    body: _Body


_decode = msgspec.json.Decoder(_Line).decode


class BatchLines:
    """Reads JSON lines in pieces of any size. State: the line that is under way, and the names so far.

    What is no line of a batch makes all of it unknown: who may use only some models cannot use such a file.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self._names: dict[str, None] = {}
        self._is_unknown = False

    def feed(self, data: bytes) -> None:
        """The next piece."""
        if self._is_unknown:
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._take(b"".join([*self._rest, line]))
            self._rest, self._size = [], 0
        if rest:
            self._rest.append(rest)
            self._size += len(rest)
        if self._size > _MOST_LINE_BYTES:
            self._give_up()

    def names(self) -> str:
        """The names, one a line, or `UNKNOWN`, once all of it has come."""
        if not self._is_unknown:
            self._take(b"".join(self._rest))
        self._rest = []
        return UNKNOWN if self._is_unknown or not self._names else "\n".join(self._names)

    def _take(self, line: bytes) -> None:
        if self._is_unknown or not line.strip():
            return
        try:
            model = _decode(line).body.model
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._give_up()
            return
        if not model or not model.isprintable() or len(model) > _MOST_NAME or len(self._names) >= _MOST_MODELS:
            self._give_up()
        else:
            self._names[model] = None

    def _give_up(self) -> None:
        self._is_unknown = True
        self._rest = []
        self._names = {}
