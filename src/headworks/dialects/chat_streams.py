"""Streams of chat completion chunks: decoded into canonical events, and encoded from them."""

from typing import Literal, assert_never

import msgspec

from headworks.calls import UnreadableAnswer
from headworks.dialects.canonical import ABSENT, AnswerCall, UpstreamError, is_given
from headworks.dialects.chat_answers import (
    ChatCall,
    ChatError,
    ChatLogprobs,
    ChatMessage,
    chat_annotation,
    chat_call,
    chat_id,
    citation_of,
    contents_of,
    end_reason_of,
    finish_reason_of,
    refuse_unasked,
    upstream_error,
)
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.sse import EventSplitter, encode_event, parse_event
from headworks.dialects.usage import chat_usage, read_chat_usage


class _Choice(msgspec.Struct, frozen=True):
    delta: ChatMessage | None = None
    index: int = 0
    finish_reason: str | None = None
    logprobs: ChatLogprobs | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...] | None = None
    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT
    service_tier: str | None = None
    error: ChatError | str | None = None


_decode = msgspec.json.Decoder(_Chunk).decode
_encode = msgspec.json.Encoder().encode


class ChatDecoder:
    """Implements `events.StreamDecoder` for Chat."""

    __slots__ = ("_calls", "_ended", "_finish_reason", "_is_started", "_service_tier", "_splitter", "_usage")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._is_started = False
        self._ended = False
        self._finish_reason: str | None = None
        self._usage = ABSENT
        self._service_tier: str | None = None
        self._calls: list[tuple[int, str]] = []  # of each call so far: its index in Chat, its id

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes; see `StreamDecoder`."""
        events: list[StreamEvent] = []
        for block in self._splitter.feed(chunk):
            event = parse_event(block)
            if event is None or self._ended:
                continue
            if event.data.startswith(b"[DONE]"):
                if not self._is_started:
                    raise UnreadableAnswer("a stream that ends before its first choice")
                self._ended = True
                usage = read_chat_usage(self._usage)
                events.append(Ended(end_reason_of(self._finish_reason), usage, self._service_tier))
            else:
                self._take(event.data, events)
        return events

    def _take(self, data: bytes, events: list[StreamEvent]) -> None:
        try:
            chunk = _decode(data)
        except msgspec.ValidationError:
            raise UnreadableAnswer("an event of the stream is not a chat completion chunk") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UnreadableAnswer("an event of the stream is not JSON") from None
        if is_given(chunk.usage):
            self._usage = chunk.usage
        if chunk.service_tier is not None:
            self._service_tier = chunk.service_tier
        if chunk.error is not None:
            self._ended = True
            usage = read_chat_usage(self._usage)
            events.append(upstream_error(chunk.error, usage=usage))
            return
        if not chunk.choices:
            return
        if not self._is_started:
            self._is_started = True
            events.append(Started(chunk.id or "", chunk.model or "", int(chunk.created or 0), chunk.service_tier))
        for choice in chunk.choices:
            if choice.index != 0:
                raise UnreadableAnswer("the stream has several choices where one was asked for")
            if choice.delta is not None:
                self._take_delta(choice.delta, choice.logprobs, events)
            if choice.finish_reason is not None:
                self._finish_reason = choice.finish_reason

    def _take_delta(self, delta: ChatMessage, logprobs: ChatLogprobs | None, events: list[StreamEvent]) -> None:
        refuse_unasked(delta)
        content, thought = contents_of(delta)
        if thought:
            events.append(Thought(thought))
        if content:
            events.append(Text(content, logprobs.content or () if logprobs is not None else ()))
        if delta.refusal:
            events.append(Refused(delta.refusal))
        for call in delta.tool_calls or ():
            self._take_call(call, events)
        events.extend(Cited(citation_of(one)) for one in delta.annotations or ())

    def _take_call(self, call: ChatCall, events: list[StreamEvent]) -> None:
        function, custom = call.function, call.custom
        name = (function.name if function is not None else custom.name if custom is not None else None) or ""
        text = (function.arguments if function is not None else custom.input if custom is not None else None) or ""
        known = next((place for place, (index, _) in enumerate(self._calls) if index == call.index), None)
        if known is not None and name and call.id and call.id != self._calls[known][1]:
            # Some servers give every call of one message the same index, each whole and with an id of its own.
            known = None
            self._calls = [(index if index != call.index else -1, one) for index, one in self._calls]
        if known is not None:
            events.append(Called(known, text))
            return
        if not name:
            raise UnreadableAnswer("the stream calls a tool without a name")
        self._calls.append((call.index, call.id or ""))
        kind: Literal["function", "custom"] = "custom" if custom is not None else "function"
        events.append(Called(len(self._calls) - 1, text, kind, call.id or "", name))


class ChatEncoder:
    """Implements `events.StreamEncoder` for Chat. The role comes with the first content, so that nothing is sent
    before there is something to say.

    Arguments:
        includes_usage: end with the chunk that carries the usage, as `stream_options.include_usage` asks.
    """

    __slots__ = ("_before", "_calls", "_head", "_includes_usage", "_is_open", "_rest")

    def __init__(self, *, includes_usage: bool) -> None:
        self._includes_usage = includes_usage
        self._is_open = False
        self._calls = 0
        self._head = b""
        self._before = b""
        self._rest = b""

    def encode(self, event: StreamEvent) -> bytes:
        """The chunks for `event`; see `StreamEncoder`."""
        match event:
            case Text():
                delta = b'{"content":%b}' % _encode(event.text)
                if event.logprobs:
                    return self._chunk(delta, _encode({"content": event.logprobs, "refusal": None}))
                return self._chunk(delta)
            case Thought():
                return self._chunk(b'{"reasoning_content":%b}' % _encode(event.text))
            case Refused():
                return self._chunk(b'{"refusal":%b}' % _encode(event.text))
            case Called():
                return self._call(event)
            case Cited():
                return self._chunk(_encode({"annotations": [chat_annotation(event.citation)]}))
            case Sealed():
                return b""  # Chat has no place to hand it back from
            case Started():
                self._start(event)
                return b""
            case Ended():
                return self._end(event)
            case UpstreamError():
                error = {"message": event.message, "type": "upstream_error", "param": event.param, "code": event.code}
                return encode_event(None, _encode({"error": error}))
            case _:
                assert_never(event)

    def _start(self, event: Started) -> None:
        head: dict[str, object] = {
            "id": chat_id(event.id),
            "object": "chat.completion.chunk",
            "created": event.created,
            "model": event.model,
        }
        if event.service_tier is not None:
            head["service_tier"] = event.service_tier
        self._head = b"data: " + _encode(head)[:-1]
        self._before = self._head + b',"choices":[{"index":0,"delta":'
        self._rest = b',"finish_reason":null}]%b}\n\n' % (b',"usage":null' if self._includes_usage else b"")

    def _chunk(self, delta: bytes, logprobs: bytes = b"null") -> bytes:
        chunk = b'%b%b,"logprobs":%b%b' % (self._before, delta, logprobs, self._rest)
        if self._is_open:
            return chunk
        self._is_open = True
        return b'%b{"role":"assistant","content":"","refusal":null},"logprobs":null%b%b' % (
            self._before,
            self._rest,
            chunk,
        )

    def _call(self, event: Called) -> bytes:
        call: dict[str, object] = {"index": event.index}
        if event.name:
            self._calls += 1
            call |= chat_call(AnswerCall(event.kind, event.call_id, event.name, event.text))
        elif event.kind == "function":
            call["function"] = {"arguments": event.text}
        else:
            call["custom"] = {"input": event.text}
        return self._chunk(_encode({"tool_calls": [call]}))

    def _end(self, event: Ended) -> bytes:
        reason = finish_reason_of(event.end_reason, has_calls=self._calls > 0)
        usage_field = b',"usage":null' if self._includes_usage else b""
        parts = [
            b"" if self._is_open else self._chunk(b"{}"),
            b'%b{},"logprobs":null,"finish_reason":%b}]%b}\n\n' % (self._before, _encode(reason), usage_field),
        ]
        if self._includes_usage and event.usage is not None:
            parts.append(b'%b,"choices":[],"usage":%b}\n\n' % (self._head, _encode(chat_usage(event.usage))))
        parts.append(b"data: [DONE]\n\n")
        return b"".join(parts)
