"""Streams of Anthropic's Messages API: decoded into canonical events."""

import msgspec

from headworks.calls import UnreadableAnswer
from headworks.dialects.anthropic_answers import (
    Citation,
    ContentBlock,
    MessagesError,
    StopDetails,
    citation_of,
    end_reason_of,
    input_text,
    refusal_words,
    service_tier_of,
    upstream_error,
)
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_thinking
from headworks.dialects.sse import EventSplitter, parse_event
from headworks.dialects.usage import MessagesUsage, read_messages_usage

_NO_USAGE = msgspec.Raw(b"null")


class _Delta(msgspec.Struct, frozen=True):
    """What a block goes on with, or what an answer ends with."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    citation: Citation | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class _Message(msgspec.Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = _NO_USAGE


class _Event(msgspec.Struct, frozen=True):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: ContentBlock | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = _NO_USAGE
    error: MessagesError | None = None


class _Type(msgspec.Struct, frozen=True):
    type: str


_decode = msgspec.json.Decoder(_Event).decode
_decode_type = msgspec.json.Decoder(_Type).decode

_READ = frozenset(
    {"message_start", "message_delta", "message_stop", "error"}
    | {"content_block_start", "content_block_delta", "content_block_stop"}
)


class _Open:
    """A block that is coming."""

    __slots__ = ("block", "call", "citations", "has_input", "signature", "start", "thinking")

    def __init__(self, block: ContentBlock, start: int, call: int) -> None:
        self.block = block
        self.start = start
        self.call = call
        self.has_input = False
        self.citations: list[Citation] = []
        self.signature = block.signature
        self.thinking: list[str] = []


class MessagesDecoder:
    """Implements `events.StreamDecoder` for Messages. Kinds of events that are new to it are passed over, as the API
    asks of clients ("Streaming messages", 2026-11); kinds of blocks are not, since they are part of the answer."""

    __slots__ = ("_calls", "_chars", "_ended", "_is_started", "_open", "_splitter", "_stop", "_usage")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._is_started = False
        self._ended = False
        self._calls = 0
        self._chars = 0
        self._open: dict[int, _Open] = {}
        self._stop = _Delta()
        self._usage = MessagesUsage()

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes; see `StreamDecoder`."""
        events: list[StreamEvent] = []
        for block in self._splitter.feed(chunk):
            event = parse_event(block)
            if event is not None and not self._ended:
                self._take(_read(event.data), events)
        return events

    def _take(self, event: _Event, events: list[StreamEvent]) -> None:
        match event.type:
            case "content_block_delta":
                self._go_on(event, events)
            case "content_block_start":
                self._begin(event, events)
            case "content_block_stop":
                block = self._open.pop(event.index, None)
                if block is not None:
                    self._close(block, events)
            case "message_start":
                self._start(event, events)
            case "message_delta":
                self._stop = event.delta or self._stop
                self._note(event.usage)
            case "message_stop":
                self._end(events)
            case "error":
                self._ended = True
                events.append(upstream_error(event.error or MessagesError(), self._usage))
            case _:
                pass  # `ping`, and what is still to be invented

    def _start(self, event: _Event, events: list[StreamEvent]) -> None:
        message = event.message or _Message()
        self._note(message.usage)
        if not self._is_started:
            self._is_started = True
            tier = service_tier_of(self._usage)
            events.append(Started(message.id or "", message.model or "", 0, tier))

    def _begin(self, event: _Event, events: list[StreamEvent]) -> None:
        block = event.content_block
        if block is None:
            raise UnreadableAnswer("the stream begins a block without saying which")
        found = self._open[event.index] = _Open(block, self._chars, self._calls)
        match block.type:
            case "text":
                found.citations.extend(block.citations or ())
                self._text(block.text, events)
            case "thinking":
                self._think(found, block.thinking, events)
            case "redacted_thinking":
                pass
            case "tool_use":
                if not block.name:
                    raise UnreadableAnswer("the stream calls a tool without a name")
                self._calls += 1
                events.append(Called(found.call, "", "function", block.id, block.name))
            case _:
                raise UnreadableAnswer("the stream has a block that is not known here")

    def _go_on(self, event: _Event, events: list[StreamEvent]) -> None:
        delta, block = event.delta, self._open.get(event.index)
        if delta is None or block is None:
            raise UnreadableAnswer("the stream goes on with a block that it has not begun")
        match delta.type:
            case "text_delta":
                self._text(delta.text, events)
            case "input_json_delta":
                if delta.partial_json:
                    block.has_input = True
                    events.append(Called(block.call, delta.partial_json))
            case "thinking_delta":
                self._think(block, delta.thinking, events)
            case "signature_delta":
                block.signature = delta.signature
            case "citations_delta":
                if delta.citation is not None:
                    block.citations.append(delta.citation)
            case _:
                raise UnreadableAnswer("the stream goes on with something that is not known here")

    def _close(self, block: _Open, events: list[StreamEvent]) -> None:
        match block.block.type:
            case "text":
                events.extend(Cited(citation_of(one, block.start, self._chars)) for one in block.citations)
            case "thinking":
                if block.signature:
                    thinking = ThinkingBlock("".join(block.thinking), block.signature)
                    events.append(Sealed(sealed_thinking(thinking)))
            case "redacted_thinking":
                events.append(Sealed(sealed_thinking(RedactedThinkingBlock(block.block.data))))
            case _:
                if not block.has_input:
                    events.append(Called(block.call, input_text(block.block)))

    def _end(self, events: list[StreamEvent]) -> None:
        for index in sorted(self._open):
            self._close(self._open[index], events)
        self._ended = True
        refusal = refusal_words(self._stop.stop_reason, self._stop.stop_details)
        if refusal:
            events.append(Refused(refusal))
        reason = end_reason_of(self._stop.stop_reason)
        events.append(Ended(reason, self._usage.stated(), service_tier_of(self._usage)))

    def _text(self, text: str, events: list[StreamEvent]) -> None:
        if text:
            self._chars += len(text)
            events.append(Text(text))

    def _think(self, block: _Open, text: str, events: list[StreamEvent]) -> None:
        if text:
            block.thinking.append(text)
            events.append(Thought(text))

    def _note(self, raw: msgspec.Raw) -> None:
        usage = read_messages_usage(raw)
        if usage is not None:
            self._usage = self._usage.updated(usage)


def _read(data: bytes) -> _Event:
    try:
        return _decode(data)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("an event of the stream is not JSON") from None
    try:
        kind = _decode_type(data).type
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("an event of the stream has no type") from None
    if kind in _READ:
        raise UnreadableAnswer(f"an event of the stream is not a {kind}")
    return _Event(kind)
