r"""Server-sent events, as bytes: the framing of every streamed answer, without a socket.

Source: WHATWG HTML, "Server-sent events", §9.2.5 (parsing) and §9.2.6 (interpreting). A stream is cut into *blocks*
at blank lines; a block is parsed into the name of an event and its data. Lines end in LF, CRLF or CR.

    splitter = EventSplitter()
    for block in splitter.feed(chunk):
        parse_event(block)    # ServerSentEvent(name=None, data=b"[DONE]"), or None for a comment
"""

import re
from typing import NamedTuple

from headworks.calls import UnreadableAnswer

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""The longest event that is held back to be completed. The Responses API repeats whole answers, generated images
included, in one event; what is larger than this is not an answer that the SDKs are made for."""

_BOM = b"\xef\xbb\xbf"

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""The end of a line and an empty line. The groups are atomic: CRLF is never taken for CR and LF."""

_BLANK_LINE_SO_FAR = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r(?!\Z)|(?<=\r)\r)")
"""The same in what has come so far: a CR that came last and follows an LF is half of a CRLF, and not yet one."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerSentEvent(NamedTuple):
    """One event: `name` as in its `event:` field, `data` as in its `data:` fields, joined by LF."""

    name: str | None
    data: bytes


class EventSplitter:
    """Cuts a stream into blocks, however it was chunked.

    A block is what stands between two blank lines, without the blank lines. What is not complete yet is held
    back, at most `max_event_bytes` of it.
    """

    __slots__ = ("_held", "_is_at_start", "_max_event_bytes", "_scanned")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._held = bytearray()
        self._scanned = 0  # no blank line begins before this place in _held
        self._is_at_start = True
        self._max_event_bytes = max_event_bytes

    @property
    def held(self) -> bytes:
        """The beginning of an event whose end has not come."""
        return bytes(self._held)

    def held_up_to(self, most_bytes: int) -> bytes:
        """What is held back if it is no more than this, else nothing: to look at it at each piece of a long event would
        copy all of it each time."""
        return bytes(self._held) if len(self._held) <= most_bytes else b""

    def release(self) -> bytes:
        """Give up what is held back, because its end will not come, and return it."""
        held, self._held, self._scanned = self.held, bytearray(), 0
        return held

    @property
    def is_between_events(self) -> bool:
        """Whether nothing is held back: what comes next begins an event."""
        return not self._held and not self._is_at_start

    def feed(self, chunk: bytes) -> list[bytes]:
        """The blocks that `chunk` completes, in order.

        Raises:
            UnreadableAnswer: an event is longer than `max_event_bytes`.
        """
        return split_blocks(self.take(chunk))

    def take(self, chunk: bytes) -> bytes:
        """The bytes of the events that `chunk` completes, as they came, line ends and comments included.

        Raises:
            UnreadableAnswer: an event is longer than `max_event_bytes`.
        """
        held = self._held
        if not held and not self._is_at_start and chunk.endswith(b"\n\n"):
            return chunk
        held += chunk
        if self._is_at_start:
            if len(held) < len(_BOM) and _BOM.startswith(held):
                return b""
            self._is_at_start = False
            if held.startswith(_BOM):
                del held[: len(_BOM)]
        end = 0
        for found in _BLANK_LINE_SO_FAR.finditer(held, self._scanned):
            end = found.end()
        complete = bytes(held[:end])
        if end:
            held = self._held = held[end:]
        # Line ends that may become part of a blank line: CRLF and half of the next at most.
        self._scanned = max(0, len(held) - 3)
        if len(held) > self._max_event_bytes:
            raise UnreadableAnswer(f"an event of the stream is over {self._max_event_bytes} bytes")
        return complete


def split_blocks(data: bytes) -> list[bytes]:
    """The blocks in `data`, which begins and ends between events (as `EventSplitter.take` returns it)."""
    if data.endswith(b"\n\n") and b"\r" not in data:
        if data.find(b"\n\n") == len(data) - 2:
            block = data[:-2].lstrip(b"\n")
            return [block] if block else []
        parts = data.split(b"\n\n")
    else:
        parts = _BLANK_LINE.split(data)
    return [block for block in (part.lstrip(b"\r\n") for part in parts) if block.strip(b"\r\n")]


def parse_event(block: bytes) -> ServerSentEvent | None:
    """The event in a block; None when the block has no data (a comment, a heartbeat).

    `id:`, `retry:` and unknown fields are for reconnecting browsers and are passed over. A name that is not UTF-8
    is read with replacement characters: it then equals no name that we know.
    """
    if block.startswith(b"data: ") and b"\n" not in block and b"\r" not in block:
        return ServerSentEvent(None, block[6:])
    name: str | None = None
    data: list[bytes] = []
    for line in _LINE_END.split(block):
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return ServerSentEvent(name, b"\n".join(data)) if data else None


def encode_event(name: str | None, data: bytes) -> bytes:
    """An event as bytes, ended by a blank line. `data` may hold line ends; it comes out as one value."""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    if name is None:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
