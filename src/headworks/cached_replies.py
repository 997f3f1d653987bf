"""What went out to a caller, kept as it goes, and given again to another with that one's own fields."""

from collections.abc import Callable, Mapping

import msgspec

from headworks.dialects.reading import Fields, kind_of
from headworks.dialects.sse import split_blocks
from headworks.exchange import Reply
from headworks.response_cache import MOST_ENTRY_BYTES

ECHOED = ("metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
"""Fields of a request that a response repeats and that are in no key (OpenAI API reference, the response object,
2026-11)."""

_decode_fields = msgspec.json.Decoder(Fields).decode
_encode = msgspec.json.Encoder().encode


class RecordedReply:
    """Implements `exchange.Reply`: passes everything on, and keeps what went out.

    Arguments:
        how: what the header `x-headworks-cache` says.
        now: seconds of the loop's clock.

    State: what has gone out, and when; whether that is all of it.
    """

    def __init__(self, reply: Reply, how: bytes, now: Callable[[], float]) -> None:
        self._reply = reply
        self._line = b"x-headworks-cache: %b\r\n" % how
        self._now = now
        self._begun_s = 0.0
        self._size = 0
        self.pieces: list[tuple[int, bytes]] = []
        self.status = 0
        self.is_over = False
        self.is_complete = True

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """See `Reply`."""
        self.status, self.is_over = status, True
        self._note(body)
        self._reply.respond(status, headers + self._line, body)

    def begin(self, status: int, headers: bytes, first: bytes = b"", length: int | None = None) -> None:
        """See `Reply`."""
        self.status = status
        self._note(first)
        self._reply.begin(status, headers + self._line, first, length)

    def write(self, data: bytes) -> None:
        """See `Reply`."""
        self._note(data)
        self._reply.write(data)

    def end(self, data: bytes = b"") -> None:
        """See `Reply`."""
        self.is_over = True
        self._note(data)
        self._reply.end(data)

    def abort(self) -> None:
        """See `Reply`."""
        self.is_complete = False
        self._reply.abort()

    def set_flow(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """See `Reply`."""
        self._reply.set_flow(pause, resume)

    def _note(self, data: bytes) -> None:
        while data.startswith(b": "):  # comments tell of this call alone: heartbeats, headers that came late
            at = data.find(b"\n\n")
            data = data[at + 2 :] if at >= 0 else b""
        if not data or not self.is_complete:
            return
        self._size += len(data)
        if self._size > MOST_ENTRY_BYTES:
            self.is_complete = False
            self.pieces.clear()
            return
        now_s = self._now()
        self._begun_s = self._begun_s or now_s
        self.pieces.append((int((now_s - self._begun_s) * 1e6), data))


def echoing(
    pieces: list[bytes], times: list[int], echo: Mapping[str, bytes], *, is_streamed: bool
) -> tuple[list[bytes], list[int]]:
    """The pieces of a response that repeats this call's own fields in the place of the earlier call's."""
    data = b"".join(pieces)
    if not is_streamed:
        return [_with_echo(data, echo)], [0]
    blocks = split_blocks(data)
    out, at, last = [], [], 0
    ends = _ends(pieces)
    position = 0
    for block in blocks:
        position = data.index(block, position) + len(block)
        while last < len(ends) - 1 and ends[last] < position:
            last += 1
        out.append(_event_with_echo(block, echo) + b"\n\n")
        at.append(times[last])
    return out, at


def _ends(pieces: list[bytes]) -> list[int]:
    """Where each piece ends in the whole."""
    ends, end = [], 0
    for piece in pieces:
        end += len(piece)
        ends.append(end)
    return ends


def _event_with_echo(block: bytes, echo: Mapping[str, bytes]) -> bytes:
    lines = block.split(b"\n")
    for number, line in enumerate(lines):
        if line.startswith(b"data: {"):
            event = _decode_fields(line[6:])
            if "response" in event and kind_of(event["response"]) == "object":
                event["response"] = msgspec.Raw(_with_echo(bytes(event["response"]), echo))
                lines[number] = b"data: " + _encode(event)
    return b"\n".join(lines)


def _with_echo(response: bytes, echo: Mapping[str, bytes]) -> bytes:
    fields = _decode_fields(response)
    for name in ECHOED:
        if name in fields or name in echo:
            fields[name] = msgspec.Raw(echo.get(name, b"{}" if name == "metadata" else b"null"))
    return _encode(fields)
