"""What a streamed answer says, piece by piece, read from what is sent on to the caller: its text and its tool calls.

What cannot be read is an error, never passed over: a caller may read it.
"""

import msgspec

from headworks.calls import Endpoint, UnreadableAnswer
from headworks.dialects.canonical import AnswerCall
from headworks.dialects.chat_answers import ChatCall, ChatMessage, contents_of, refuse_unasked
from headworks.dialects.responses_answers import HOSTED_ITEMS
from headworks.dialects.sse import EventSplitter, parse_event


class _ChatChoice(msgspec.Struct, frozen=True):
    delta: ChatMessage | None = None
    index: int = 0


class _ChatChunk(msgspec.Struct, frozen=True):
    choices: tuple[_ChatChoice, ...] | None = None


class _Part(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""


class _Item(msgspec.Struct, frozen=True):
    type: str = ""
    name: str = ""
    arguments: str = ""
    input: str = ""
    content: tuple[_Part, ...] | None = None


class _ResponsesType(msgspec.Struct, frozen=True):
    type: str = ""


class _DeltaEvent(msgspec.Struct, frozen=True):
    delta: str
    output_index: int = 0


class _ItemEvent(msgspec.Struct, frozen=True):
    item: _Item
    output_index: int = 0


class _Response(msgspec.Struct, frozen=True):
    output: tuple[_Item, ...] | None = None


class _EndEvent(msgspec.Struct, frozen=True):
    response: _Response


_decode_chunk = msgspec.json.Decoder(_ChatChunk).decode
_decode_type = msgspec.json.Decoder(_ResponsesType).decode
_decode_delta = msgspec.json.Decoder(_DeltaEvent).decode
_decode_item = msgspec.json.Decoder(_ItemEvent).decode
_decode_end = msgspec.json.Decoder(_EndEvent).decode

_CALL_ITEMS = frozenset({"function_call", "custom_tool_call"})
_QUIET_ITEMS = HOSTED_ITEMS | {"message", "reasoning"}
_KNOWN_ITEMS = _QUIET_ITEMS | _CALL_ITEMS
_CALL_DELTAS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_ENDS = frozenset({"response.completed", "response.incomplete"})


class _Call:
    """A tool call while it comes."""

    __slots__ = ("kind", "name", "parts")

    def __init__(self) -> None:
        self.name = ""
        self.kind = "function"
        self.parts: list[str] = []


class TextDeltas:
    """Reads one stream.

    Attributes:
        has_refused: the model has declined.
        final_text: what the stream's last event repeats as the whole text; None where the dialect does not, or before.
    """

    __slots__ = ("_calls", "_endpoint", "_final_calls", "_splitter", "final_text", "has_refused")

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._splitter = EventSplitter()
        self._calls: dict[int, _Call] = {}
        self._final_calls: list[AnswerCall] = []
        self.has_refused = False
        self.final_text: str | None = None

    @property
    def has_calls(self) -> bool:
        """Whether the model has begun to call a tool."""
        return bool(self._calls or self._final_calls)

    @property
    def called(self) -> list[str]:
        """The names of the tools that are called, as far as they have come."""
        return [call.name for call in self._calls.values()]

    @property
    def calls(self) -> list[AnswerCall]:
        """The tool calls so far, with what has come of their arguments; what the end says otherwise stands beside."""
        found = [
            AnswerCall("custom" if call.kind == "custom" else "function", "", call.name, "".join(call.parts))
            for call in self._calls.values()
        ]
        return found + [call for call in self._final_calls if call not in found]

    def feed(self, data: bytes) -> str:
        """The text in these bytes.

        Raises:
            UnreadableAnswer: an event cannot be read, or says things that are not known here.
        """
        read = self._chat if self._endpoint is Endpoint.CHAT else self._responses
        pieces: list[str] = []
        for block in self._splitter.feed(data):
            event = parse_event(block)
            if event is None or event.data.startswith(b"[DONE]"):
                continue
            try:
                pieces.append(read(event.data))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                raise UnreadableAnswer("an event of the stream cannot be read") from None
        return "".join(pieces)

    def _chat(self, data: bytes) -> str:
        pieces = []
        for choice in _decode_chunk(data).choices or ():
            if choice.index != 0:
                raise UnreadableAnswer("the stream has several choices where one was asked for")
            delta = choice.delta
            if delta is None:
                continue
            refuse_unasked(delta)
            for call in delta.tool_calls or ():
                self._chat_call(call)
            if delta.refusal:
                self.has_refused = True
            pieces.append(contents_of(delta)[0])
        return "".join(pieces)

    def _chat_call(self, piece: ChatCall) -> None:
        call = self._calls.setdefault(piece.index, _Call())
        if piece.custom is not None:
            call.kind = "custom"
            call.name += piece.custom.name or ""
            call.parts.append(piece.custom.input or "")
        if piece.function is not None:
            call.name += piece.function.name or ""
            call.parts.append(piece.function.arguments or "")

    def _responses(self, data: bytes) -> str:
        kind = _decode_type(data).type
        if kind == "response.output_text.delta":
            return _decode_delta(data).delta
        if kind in _CALL_DELTAS:
            delta = _decode_delta(data)
            self._calls.setdefault(delta.output_index, _Call()).parts.append(delta.delta)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            event = _decode_item(data)
            if event.item.type in _CALL_ITEMS:
                self._responses_call(event, is_done=kind.endswith("done"))
            elif event.item.type not in _QUIET_ITEMS:
                raise UnreadableAnswer("the stream has an item that is not known here")
        elif kind == "response.refusal.delta":
            self.has_refused = True
        elif kind in _ENDS:
            self._responses_end(_decode_end(data).response.output or ())
        return ""

    def _responses_call(self, event: _ItemEvent, *, is_done: bool) -> None:
        item = event.item
        call = self._calls.setdefault(event.output_index, _Call())
        call.name = item.name
        call.kind = "custom" if item.type == "custom_tool_call" else "function"
        if is_done:
            call.parts = [item.arguments or item.input]

    def _responses_end(self, output: tuple[_Item, ...]) -> None:
        if any(item.type not in _KNOWN_ITEMS for item in output):
            raise UnreadableAnswer("the stream's end has an item that is not known here")
        self._final_calls = [
            AnswerCall(
                "custom" if item.type == "custom_tool_call" else "function", "", item.name, item.arguments or item.input
            )
            for item in output
            if item.type in _CALL_ITEMS
        ]
        parts = [part for item in output if item.type == "message" for part in item.content or ()]
        self.has_refused = self.has_refused or any(part.type == "refusal" for part in parts)
        self.final_text = "".join(part.text for part in parts if part.type == "output_text") if parts else None
