"""Reading the event stream of a response into canonical events.

Deltas are taken as they come. What a server says only in a `done` event or in the last one, without deltas before, is
taken from there: nothing of an answer is lost because of how it was told.
"""

from typing import Literal

import msgspec

from headworks.calls import UnreadableAnswer
from headworks.dialects.canonical import Logprob, UpstreamError, UrlCitation
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.responses_answers import (
    NO_REASON,
    ResponseAnnotation,
    ResponseItem,
    ResponseObject,
    answer_of,
    citation_of,
    reasoning_text,
)
from headworks.dialects.sse import EventSplitter, parse_event


class _Error(msgspec.Struct, frozen=True):
    code: str | int | None = None
    message: str | None = None
    param: str | None = None
    type: str | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    delta: str = ""
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    logprobs: tuple[Logprob, ...] | None = None
    item: ResponseItem | None = None
    response: ResponseObject | None = None
    annotation: ResponseAnnotation | None = None
    error: _Error | None = None
    code: str | int | None = None
    message: str | None = None
    param: str | None = None


class _Type(msgspec.Struct, frozen=True):
    type: str = ""


_decode = msgspec.json.Decoder(_Event).decode
_decode_type = msgspec.json.Decoder(_Type).decode

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})

_READ = _LAST | frozenset(
    {
        "error",
        "response.created",
        "response.in_progress",
        "response.queued",
        "response.output_item.added",
        "response.output_item.done",
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.output_text.annotation.added",
    }
)
"""The events that are read. Others repeat these (`…done`) or belong to hosted tools."""

_KINDS: dict[str, Literal["function", "custom"]] = {
    "function_call": "function",
    "custom_tool_call": "custom",
    "response.function_call_arguments.delta": "function",
    "response.custom_tool_call_input.delta": "custom",
}

_STILL_RUNNING = frozenset({"queued", "in_progress", None})


class _Progress:
    """What has been passed on of one output item."""

    __slots__ = ("call", "chars", "citations", "is_done", "part")

    def __init__(self) -> None:
        self.call = -1
        self.chars = 0
        self.citations = 0
        self.part = 0
        self.is_done = False


class ResponsesDecoder:
    """Implements `events.StreamDecoder` for Responses."""

    __slots__ = ("_calls", "_ended", "_is_started", "_items", "_part", "_part_start", "_splitter", "_text_chars")

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self._is_started = False
        self._ended = False
        self._calls = 0
        self._items: dict[int, _Progress] = {}
        self._part = (-1, -1)  # the text part that is coming: its item's index and its own
        self._part_start = 0  # how many characters of text came before it
        self._text_chars = 0

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes; see `StreamDecoder`."""
        events: list[StreamEvent] = []
        for block in self._splitter.feed(chunk):
            event = parse_event(block)
            if event is not None and not self._ended and not event.data.startswith(b"[DONE]"):
                self._take(_read(event.data), events)
        return events

    def _take(self, event: _Event, events: list[StreamEvent]) -> None:  # noqa: C901 - one case an event type
        match event.type:
            case "response.output_text.delta":
                self._text(event.output_index, event.content_index, event.delta, event.logprobs or (), events)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                progress = self._items.get(event.output_index)
                if progress is None or progress.call < 0:
                    raise UnreadableAnswer("the stream goes on with a tool call that it has not begun")
                progress.chars += len(event.delta)
                events.append(Called(progress.call, event.delta, _KINDS[event.type]))
            case "response.reasoning_text.delta":
                self._thought(event.output_index, event.content_index, event.delta, events)
            case "response.reasoning_summary_text.delta":
                self._thought(event.output_index, event.summary_index, event.delta, events)
            case "response.refusal.delta":
                self._progress(event.output_index).chars += len(event.delta)
                events.append(Refused(event.delta))
            case "response.output_text.annotation.added":
                if event.annotation is not None:
                    self._progress(event.output_index).citations += 1
                    events.append(Cited(self._shifted(event)))
            case "response.output_item.added":
                self._open(event.output_index, event.item, events)
            case "response.output_item.done":
                self._close(event.output_index, event.item, events)
            case "error":
                self._fail(event, events)
            case _ if event.response is not None:
                self._life(event.type, event.response, events)
            case _:
                pass  # it repeats what was read, or is not about the answer

    def _life(self, kind: str, response: ResponseObject, events: list[StreamEvent]) -> None:
        """Events that carry the response as a whole."""
        if not self._is_started:
            self._is_started = True
            created, is_stored = int(response.created_at or 0), response.store is True
            events.append(Started(response.id or "", response.model or "", created, response.service_tier, is_stored))
        if kind not in _LAST:
            if response.status not in _STILL_RUNNING:
                raise UnreadableAnswer("the stream ends with an event that is not known here")
            return
        self._ended = True
        answer = answer_of(response)
        if isinstance(answer, UpstreamError):
            events.append(answer)
            return
        if kind == "response.failed":
            events.append(
                UpstreamError("upstream_error", "The upstream failed and did not say why.", None, answer.usage)
            )
            return
        for index, item in enumerate(response.output or ()):
            self._close(index, item, events)
        events.append(Ended(answer.end_reason, answer.usage, answer.service_tier))

    def _fail(self, event: _Event, events: list[StreamEvent]) -> None:
        self._ended = True
        error = event.error or _Error()
        code = str(event.code or error.code or error.type or "upstream_error")
        message = event.message or error.message or NO_REASON
        events.append(UpstreamError(code, message, event.param or error.param))

    def _open(self, index: int, item: ResponseItem | None, events: list[StreamEvent]) -> None:
        if item is None:
            raise UnreadableAnswer("the stream adds an item without saying which")
        progress = self._progress(index)
        match item.type:
            case "message" | "reasoning":
                pass
            case "function_call" | "custom_tool_call":
                if progress.call >= 0:
                    return
                progress.call = self._calls
                self._calls += 1
                text = item.arguments or item.input or ""
                progress.chars += len(text)
                if not item.name:
                    raise UnreadableAnswer("the stream calls a tool without a name")
                events.append(Called(progress.call, text, _KINDS[item.type], item.call_id or "", item.name))
            case _:
                raise UnreadableAnswer("the stream has an item that is not known here")

    def _close(self, index: int, item: ResponseItem | None, events: list[StreamEvent]) -> None:
        """Pass on what an item says at its end and no delta has said."""
        if item is None:
            raise UnreadableAnswer("the stream ends an item without saying which")
        progress = self._progress(index)
        if progress.is_done:
            return
        progress.is_done = True
        is_silent = progress.chars == 0
        if item.type in ("function_call", "custom_tool_call"):
            if progress.call < 0:
                self._open(index, item, events)
            elif is_silent and (item.arguments or item.input):
                events.append(Called(progress.call, item.arguments or item.input or "", _KINDS[item.type]))
        elif item.type == "reasoning":
            text = reasoning_text(item)
            if is_silent and text:
                events.append(Thought(text))
            if item.encrypted_content:
                events.append(Sealed(item.encrypted_content, item.id))
        elif item.type == "message":
            self._close_message(index, item, progress, is_silent, events)
        else:
            raise UnreadableAnswer("the stream has an item that is not known here")

    def _close_message(
        self, index: int, item: ResponseItem, progress: _Progress, is_silent: bool, events: list[StreamEvent]
    ) -> None:
        for place, part in enumerate(item.content or ()):
            if is_silent and part.text:
                self._text(index, place, part.text, part.logprobs or (), events)
            if is_silent and part.refusal:
                events.append(Refused(part.refusal))
            if progress.citations == 0:
                for annotation in part.annotations or ():
                    cited = citation_of(annotation)
                    events.append(Cited(_moved(cited, self._part_start)))

    def _text(
        self, index: int, place: int, text: str, logprobs: tuple[Logprob, ...], events: list[StreamEvent]
    ) -> None:
        if self._part != (index, place):
            self._part = (index, place)
            self._part_start = self._text_chars
        self._text_chars += len(text)
        self._progress(index).chars += len(text)
        if text or logprobs:
            events.append(Text(text, logprobs))

    def _thought(self, index: int, place: int, text: str, events: list[StreamEvent]) -> None:
        progress = self._progress(index)
        if progress.part != place:
            progress.part = place
            text = "\n\n" + text  # a further paragraph of the summary
        progress.chars += len(text)
        events.append(Thought(text))

    def _shifted(self, event: _Event) -> UrlCitation:
        assert event.annotation is not None
        return _moved(citation_of(event.annotation), self._part_start)

    def _progress(self, index: int) -> _Progress:
        progress = self._items.get(index)
        if progress is None:
            progress = self._items[index] = _Progress()
        return progress


def _moved(citation: UrlCitation, by: int) -> UrlCitation:
    """A citation whose indices count from the beginning of all text, not of its own part."""
    return UrlCitation(citation.url, citation.title, citation.start_index + by, citation.end_index + by)


def _read(data: bytes) -> _Event:
    try:
        return _decode(data)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("an event of the stream is not JSON") from None
    try:
        kind = _decode_type(data).type
    except msgspec.ValidationError:
        raise UnreadableAnswer("an event of the stream has no type") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # What stands behind the value of the wrong kind is read only now.
        raise UnreadableAnswer("an event of the stream is not JSON") from None
    if kind in _READ:
        raise UnreadableAnswer(f"an event of the stream is not a {kind}")
    return _Event(kind)
