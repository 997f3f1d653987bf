"""Streams of AWS's ConverseStream (Amazon Bedrock), decoded into canonical events.

The usage comes last, behind the stop reason: an answer has ended when it is there. An exception may stand in the place
of any event, and nothing follows it.
"""

import msgspec

from headworks.calls import UnreadableAnswer, Usage
from headworks.dialects.canonical import EndReason, UpstreamError
from headworks.dialects.converse_answers import (
    Citation,
    Tier,
    citation_of,
    end_of,
    named,
    refusal_words,
    service_tier_of,
)
from headworks.dialects.converse_errors import code_of
from headworks.dialects.event_stream import Frame, FrameSplitter
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_thinking
from headworks.dialects.usage import read_converse_usage


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _ToolUseStart(_Wire, frozen=True):
    tool_use_id: str = ""
    name: str = ""


class _Start(_Wire, frozen=True):
    tool_use: _ToolUseStart | None = None


class _ToolUseDelta(_Wire, frozen=True):
    input: str = ""


class _ReasoningDelta(_Wire, frozen=True):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(_Wire, frozen=True):
    text: str | None = None
    tool_use: _ToolUseDelta | None = None
    reasoning_content: _ReasoningDelta | None = None
    citation: Citation | None = None


class _Event(_Wire, frozen=True):
    """Any event: which it is stands in the header of its message."""

    content_block_index: int = 0
    start: _Start | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    service_tier: Tier | None = None


class _Exception(_Wire, frozen=True):
    message: str | None = None
    original_message: str | None = None


_decode = msgspec.json.Decoder(_Event).decode
_decode_exception = msgspec.json.Decoder(_Exception).decode

_UNSAID = "The upstream failed and did not say why."


class _Open:
    """A block that is coming."""

    __slots__ = ("call", "citations", "has_input", "redacted", "signature", "start", "thinking")

    def __init__(self, start: int) -> None:
        self.start = start
        self.call = -1
        self.has_input = False
        self.citations: list[Citation] = []
        self.thinking: list[str] = []
        self.signature = ""
        self.redacted: list[str] = []


class ConverseDecoder:
    """Implements `events.StreamDecoder` for ConverseStream. Kinds of events that are new to it are passed over; kinds
    of blocks are not, since they are part of the answer."""

    __slots__ = ("_calls", "_chars", "_end", "_has_text", "_is_over", "_is_started", "_open", "_splitter")

    def __init__(self) -> None:
        self._splitter = FrameSplitter()
        self._is_started = False
        self._is_over = False
        self._has_text = False
        self._calls = 0
        self._chars = 0
        self._open: dict[int, _Open] = {}
        self._end: EndReason | UpstreamError | None = None

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes; see `StreamDecoder`."""
        events: list[StreamEvent] = []
        for frame in self._splitter.feed(chunk):
            if not self._is_over:
                self._take(frame, events)
        return events

    def _take(self, frame: Frame, events: list[StreamEvent]) -> None:
        headers = frame.headers
        if headers.get(":message-type") != "event":
            self._is_over = True
            events.append(_failure(frame))
            return
        kind = headers.get(":event-type", "")
        match kind:
            case "contentBlockDelta":
                event = _read(frame.payload, kind)
                self._go_on(event, events)
            case "contentBlockStart":
                self._begin(_read(frame.payload, kind), events)
            case "contentBlockStop":
                block = self._open.pop(_read(frame.payload, kind).content_block_index, None)
                if block is not None:
                    self._close(block, events)
            case "messageStart":
                if not self._is_started:
                    self._is_started = True
                    events.append(Started("", "", 0))
            case "messageStop":
                self._stop(_read(frame.payload, kind), events)
            case "metadata":
                self._finish(_read(frame.payload, kind), events)
            case _:
                pass  # what is still to be invented

    def _block(self, index: int) -> _Open:
        found = self._open.get(index)
        if found is None:
            found = self._open[index] = _Open(self._chars)
        return found

    def _begin(self, event: _Event, events: list[StreamEvent]) -> None:
        start = event.start
        block = self._open[event.content_block_index] = _Open(self._chars)
        if start is None or start.tool_use is None:
            raise UnreadableAnswer("the stream begins a block that is not known here")
        block.call = self._calls
        self._calls += 1
        events.append(Called(block.call, "", "function", start.tool_use.tool_use_id, named(start.tool_use.name)))

    def _go_on(self, event: _Event, events: list[StreamEvent]) -> None:
        """Blocks of text and of reasoning begin with their first piece."""
        delta, block = event.delta, self._block(event.content_block_index)
        if delta is None:
            raise UnreadableAnswer("the stream goes on without saying with what")
        if delta.text is not None:
            if delta.text:
                self._has_text = True
                self._chars += len(delta.text)
                events.append(Text(delta.text))
        elif delta.tool_use is not None:
            if block.call < 0:
                raise UnreadableAnswer("the stream goes on with a call that it has not begun")
            if delta.tool_use.input:
                block.has_input = True
                events.append(Called(block.call, delta.tool_use.input))
        elif delta.reasoning_content is not None:
            _think(delta.reasoning_content, block, events)
        elif delta.citation is not None:
            block.citations.append(delta.citation)
        else:
            raise UnreadableAnswer("the stream goes on with something that is not known here")

    def _close(self, block: _Open, events: list[StreamEvent]) -> None:
        events.extend(Cited(citation_of(one, block.start, self._chars)) for one in block.citations)
        if block.redacted:
            events.append(Sealed(sealed_thinking(RedactedThinkingBlock("".join(block.redacted)))))
        elif block.signature:
            thinking = ThinkingBlock("".join(block.thinking), block.signature)
            events.append(Sealed(sealed_thinking(thinking)))
        if block.call >= 0 and not block.has_input:
            events.append(Called(block.call, "{}"))

    def _stop(self, event: _Event, events: list[StreamEvent]) -> None:
        for index in sorted(self._open):
            self._close(self._open[index], events)
        self._open.clear()
        self._end = end_of(event.stop_reason)
        if not isinstance(self._end, UpstreamError):
            words = refusal_words(self._end, has_text=self._has_text)
            if words:
                events.append(Refused(words))

    def _finish(self, event: _Event, events: list[StreamEvent]) -> None:
        usage: Usage | None = read_converse_usage(event.usage)
        if self._end is None:
            raise UnreadableAnswer("the stream tells its usage before it has ended")
        self._is_over = True
        if isinstance(self._end, UpstreamError):
            events.append(msgspec.structs.replace(self._end, usage=usage))
        else:
            events.append(Ended(self._end, usage, service_tier_of(event.service_tier)))


def _think(delta: _ReasoningDelta, block: _Open, events: list[StreamEvent]) -> None:
    if delta.text:
        block.thinking.append(delta.text)
        events.append(Thought(delta.text))
    if delta.signature:
        block.signature += delta.signature
    if delta.redacted_content:
        block.redacted.append(delta.redacted_content)


def _read(payload: bytes, kind: str) -> _Event:
    try:
        return _decode(payload)
    except msgspec.ValidationError:
        raise UnreadableAnswer(f"an event of the stream is not a {kind}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("an event of the stream is not JSON") from None


def _failure(frame: Frame) -> UpstreamError:
    """What an exception says, or an error that has no body."""
    headers = frame.headers
    name = headers.get(":exception-type") or headers.get(":error-code", "")
    try:
        found = _decode_exception(frame.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = _Exception()
    message = found.original_message or found.message or headers.get(":error-message") or _UNSAID
    return UpstreamError(code_of(name, message), message)
