"""What the lines of a batch's input ask for: which models, and how many tokens they can take. Read while it goes by.
Pure.

It is kept with the note of the file as a text, a line for each model: its name, and five figures, divided by tabs.
Files that were uploaded to earlier releases have four, or the names alone.
"""

from collections.abc import Callable

import msgspec

from headworks.calls import Endpoint
from headworks.hosted_tools import may_run_tools

Fields = dict[str, msgspec.Raw]
UNKNOWN = "?"
"""Stands for what could not be read."""

TokenBound = Callable[[str, Fields, int, str], tuple[int, int]]
"""The most tokens that a call can take, in and out: of this model, with these fields, in a line of so many bytes, of
this API."""

MOST_LINE_BYTES = 16 * 1024 * 1024
"""Of one call in a file."""

_MOST_MODELS = 64
"""A batch asks one model (OpenAI batch guide, 2026-11); more names than this are not kept."""

_MOST_NAME = 200

BATCHED = {
    "/v1/responses": Endpoint.RESPONSES,
    "/v1/chat/completions": Endpoint.CHAT,
    "/v1/completions": Endpoint.COMPLETIONS,
    "/v1/embeddings": Endpoint.EMBEDDINGS,
    "/v1/moderations": Endpoint.MODERATIONS,
    "/v1/images/generations": Endpoint.IMAGES,
    "/v1/images/edits": Endpoint.IMAGES,
}
"""What the lines of a batch may call (OpenAI batch guide, 2026-11), as far as it is paid for by tokens."""


class ModelLines(msgspec.Struct, frozen=True):
    """What a file asks of one model.

    Attributes:
        lines: how many calls.
        input_tokens, output_tokens: the most that they can take, together; -1 where that is not known.
        longest: the most input that one of them can take: by it long context has other prices.
        hosted: how many may have the provider run tools, which cost something of their own; -1 where that is not
        known.
    """

    model: str
    lines: int = 0
    input_tokens: int = -1
    output_tokens: int = -1
    longest: int = -1
    hosted: int = -1

    @property
    def is_bounded(self) -> bool:
        """Whether it is known what the lines can take."""
        return self.input_tokens >= 0 and self.output_tokens >= 0


def write_models(models: list[ModelLines]) -> str:
    """As it is kept; `UNKNOWN` for none."""
    return "\n".join("\t".join(map(str, msgspec.structs.astuple(one))) for one in models) or UNKNOWN


def read_models(kept: str) -> tuple[ModelLines, ...]:
    """What is kept of a file; nothing where nothing is known."""
    if kept in ("", UNKNOWN):
        return ()
    found = []
    for line in kept.split("\n"):
        name, *figures = line.split("\t")
        is_whole = len(figures) in (4, 5) and all(one.removeprefix("-").isdigit() for one in figures)
        found.append(ModelLines(name, *map(int, figures)) if is_whole else ModelLines(name))
    return tuple(found)


class _Line(msgspec.Struct):
    body: dict[str, msgspec.Raw]
    url: str = ""


class _Sums(msgspec.Struct):
    lines: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    longest: int = 0
    hosted: int = 0
    is_bounded: bool = True


_decode = msgspec.json.Decoder(_Line).decode
_decode_name = msgspec.json.Decoder(str).decode


class BatchLines:
    """Reads JSON lines in pieces of any size. State: the line that is under way, and the sums by model.

    What is no line of a batch makes all of it unknown: who may use only some models cannot use such a file, nor who is
    under a budget.

    Arguments:
        bound: what one call can take at most; without it that is not known.
    """

    def __init__(self, bound: TokenBound | None = None) -> None:
        self._bound = bound
        self._rest: list[bytes] = []
        self._size = 0
        self._sums: dict[str, _Sums] = {}
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
        if self._size > MOST_LINE_BYTES:
            self._give_up()

    def models(self) -> list[ModelLines]:
        """What is asked of each model, once all of it has come; none where it could not be read."""
        if not self._is_unknown:
            self._take(b"".join(self._rest))
        self._rest = []
        return [
            ModelLines(name, sums.lines, sums.input_tokens, sums.output_tokens, sums.longest, sums.hosted)
            if sums.is_bounded
            else ModelLines(name, sums.lines, hosted=sums.hosted)
            for name, sums in self._sums.items()
        ]

    def _take(self, line: bytes) -> None:
        if self._is_unknown or not line.strip():
            return
        try:
            read = _decode(line)
            model = _decode_name(read.body.get("model", b'""'))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._give_up()
            return
        if not model or not model.isprintable() or len(model) > _MOST_NAME:
            self._give_up()
            return
        sums = self._sums.get(model)
        if sums is None:
            if len(self._sums) >= _MOST_MODELS:
                self._give_up()
                return
            sums = self._sums[model] = _Sums()
        sums.lines += 1
        sums.hosted += may_run_tools(read.body)
        endpoint = BATCHED.get(read.url)
        if self._bound is None or endpoint is None:
            sums.is_bounded = False
            return
        taken, written = self._bound(model, read.body, len(line), endpoint)
        sums.input_tokens += taken
        sums.output_tokens += written
        sums.longest = max(sums.longest, taken)

    def _give_up(self) -> None:
        self._is_unknown = True
        self._rest = []
        self._sums = {}
