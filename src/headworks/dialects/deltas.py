"""The text of a streamed answer, piece by piece, read from what is sent on to the caller."""

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.sse import EventSplitter, parse_event


class _ChatDelta(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"")


class _ChatChoice(msgspec.Struct, frozen=True):
    delta: _ChatDelta = _ChatDelta()


class _ChatChunk(msgspec.Struct, frozen=True):
    choices: tuple[_ChatChoice, ...] = ()


class _Item(msgspec.Struct, frozen=True):
    type: str = ""


class _ResponsesEvent(msgspec.Struct, frozen=True):
    type: str = ""
    delta: str = ""
    item: _Item = _Item()


_decode_chunk = msgspec.json.Decoder(_ChatChunk).decode
_decode_event = msgspec.json.Decoder(_ResponsesEvent).decode
_CALL_ITEMS = frozenset({"function_call", "custom_tool_call"})


class TextDeltas:
    """Reads one stream. `has_calls` is True once the model has called a tool, `has_refused` once it has declined."""

    __slots__ = ("_endpoint", "_splitter", "has_calls", "has_refused")

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._splitter = EventSplitter()
        self.has_calls = False
        self.has_refused = False

    def feed(self, data: bytes) -> str:
        """The text in these bytes."""
        pieces: list[str] = []
        for block in self._splitter.feed(data):
            event = parse_event(block)
            if event is None or event.data.startswith(b"[DONE]"):
                continue
            try:
                pieces.append(
                    self._chat(event.data) if self._endpoint is Endpoint.CHAT else self._responses(event.data)
                )
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue  # not of a kind that carries text
        return "".join(pieces)

    def _chat(self, data: bytes) -> str:
        choices = _decode_chunk(data).choices
        if not choices:
            return ""
        delta = choices[0].delta
        if bytes(delta.tool_calls) not in (b"", b"null", b"[]"):
            self.has_calls = True
        return delta.content or ""

    def _responses(self, data: bytes) -> str:
        event = _decode_event(data)
        if event.type == "response.output_text.delta":
            return event.delta
        if event.type == "response.output_item.added" and event.item.type in _CALL_ITEMS:
            self.has_calls = True
        elif event.type == "response.refusal.delta":
            self.has_refused = True
        return ""
