"""Writing the event stream of a response from canonical events: every event that the API promises, in its order.

    created, in_progress
    for each item: output_item.added, its parts and deltas, their done events, output_item.done
    completed | incomplete | error

A message or a piece of reasoning ends when something else begins. Tool calls stay open until the end, since other
dialects may go back to an earlier one.
"""

from typing import Any, Literal, assert_never

import msgspec

from headworks.dialects.canonical import (
    AnswerCall,
    AnswerItem,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    Logprob,
    ModelAnswer,
    UpstreamError,
    UrlCitation,
)
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.reading import Fields
from headworks.dialects.responses_answers import ResponseFrame, item_value, part_value, with_bytes
from headworks.dialects.sse import encode_event

_encode = msgspec.json.Encoder().encode


class _Open:
    """An output item that is being written. `place` is the JSON of where its deltas belong, once it has a part."""

    __slots__ = ("citations", "closed_parts", "event", "index", "item", "logprobs", "pieces", "place")

    def __init__(self, index: int, item: AnswerItem) -> None:
        self.index = index
        self.item = item
        self.event = ""
        self.place = b""
        self.pieces: list[str] = []
        self.logprobs: list[Logprob] = []
        self.citations: list[UrlCitation] = []
        self.closed_parts: list[AnswerText | AnswerRefusal] = []


class ResponsesEncoder:
    """Implements `events.StreamEncoder` for Responses. The opening events come with the first content, so that
    nothing is sent before there is something to say.

    Arguments:
        fields: the top-level fields of the request, which a response repeats.
    """

    __slots__ = ("_calls", "_done", "_fields", "_frame", "_head", "_is_open", "_number", "_output", "_saying")

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._frame = ResponseFrame(fields, "")
        self._head = ModelAnswer("", "", 0, ())
        self._is_open = False
        self._number = 0
        self._output = 0  # how many items there are
        self._saying: _Open | None = None
        self._calls: list[_Open] = []
        self._done: dict[int, dict[str, object]] = {}

    def encode(self, event: StreamEvent) -> bytes:
        """The events for `event`; see `StreamEncoder`."""
        match event:
            case Text():
                return self._say(event.text, event.logprobs, is_refusal=False)
            case Called():
                return self._call(event)
            case Thought():
                return self._think(event.text)
            case Refused():
                return self._say(event.text, (), is_refusal=True)
            case Cited():
                return self._cite(event.citation)
            case Sealed():
                return self._seal(event.encrypted_content)
            case Started():
                self._frame = ResponseFrame(self._fields, event.id)
                self._head = ModelAnswer(
                    *(event.id, event.model, event.created, ()),
                    service_tier=event.service_tier,
                    is_stored=event.is_stored,
                )
                return b""
            case Ended():
                return self._end(event)
            case UpstreamError():
                error = {"message": event.message, "type": "upstream_error", "param": event.param, "code": event.code}
                flat = {"code": event.code, "message": event.message, "param": event.param, "error": error}
                return self._event("error", flat)
            case _:
                assert_never(event)

    # -- what is said ---------------------------------------------------------------------------------------------

    def _say(self, text: str, logprobs: tuple[Logprob, ...], *, is_refusal: bool) -> bytes:
        event = "response.refusal" if is_refusal else "response.output_text"
        out = b""
        saying = self._saying
        if saying is None or saying.event != event:
            out = self._begin_part(event)
            saying = self._saying
            assert saying is not None
        saying.pieces.append(text)
        if logprobs:
            saying.logprobs.extend(logprobs)
        rest = b"" if is_refusal else b',"logprobs":%b' % _encode([with_bytes(one) for one in logprobs])
        return out + self._delta(saying, text, rest)

    def _begin_part(self, event: str) -> bytes:
        out = b""
        saying = self._saying
        if saying is None or not isinstance(saying.item, AnswerMessage):
            out = self._finish_saying() + self._opening()
            saying = self._saying = self._add(AnswerMessage(()))
            out += self._item_event("added", saying)
        else:
            out = self._close_part(saying)
        saying.event = event
        saying.pieces = []
        saying.logprobs = []
        saying.citations = []
        saying.place = self._place(self._frame.message_id(saying.index), saying.index, len(saying.closed_parts))
        empty = AnswerRefusal("") if event == "response.refusal" else AnswerText("")
        return out + self._placed("response.content_part.added", saying, {"part": part_value(empty)})

    def _cite(self, citation: UrlCitation) -> bytes:
        saying = self._saying
        out = b""
        if saying is None or saying.event != "response.output_text":
            out = self._begin_part("response.output_text")
            saying = self._saying
            assert saying is not None
        saying.citations.append(citation)
        fields = {"annotation": citation, "annotation_index": len(saying.citations) - 1}
        return out + self._placed("response.output_text.annotation.added", saying, fields)

    def _think(self, text: str) -> bytes:
        out = b""
        saying = self._saying
        if saying is None or not isinstance(saying.item, AnswerReasoning):
            out = self._begin_reasoning()
            saying = self._saying
            assert saying is not None
            empty = {"part": {"type": "reasoning_text", "text": ""}}
            out += self._placed("response.content_part.added", saying, empty)
        saying.pieces.append(text)
        return out + self._delta(saying, text)

    def _begin_reasoning(self) -> bytes:
        out = self._finish_saying() + self._opening()
        saying = self._saying = self._add(AnswerReasoning(""))
        saying.event = "response.reasoning_text"
        saying.place = self._place(self._frame.item_id("rs", saying.index), saying.index, 0)
        return out + self._item_event("added", saying)

    def _seal(self, encrypted_content: str) -> bytes:
        out = b""
        if self._saying is None or not isinstance(self._saying.item, AnswerReasoning):
            out = self._begin_reasoning()
        assert self._saying is not None
        self._saying.item = AnswerReasoning("", encrypted_content)
        return out + self._finish_saying()

    def _call(self, event: Called) -> bytes:
        out = b""
        if event.index == len(self._calls):
            out = self._finish_saying() + self._opening()
            call = self._add(AnswerCall(event.kind, event.call_id, event.name, ""))
            self._calls.append(call)
            is_function = event.kind == "function"
            call.event = "response.function_call_arguments" if is_function else "response.custom_tool_call_input"
            call.place = self._place(self._frame.item_id("fc" if is_function else "ctc", call.index), call.index)
            out += self._item_event("added", call)
        if not event.text:
            return out
        call = self._calls[event.index]
        call.pieces.append(event.text)
        return out + self._delta(call, event.text)

    # -- what ends ------------------------------------------------------------------------------------------------

    def _end(self, event: Ended) -> bytes:
        out = [] if self._output else [self._begin_part("response.output_text")]
        last = max((one.index for one in (*self._calls, self._saying) if one is not None), default=-1)
        out.append(self._finish_saying(is_cut=event.end_reason != "" and not self._is_behind(last)))
        for call in self._calls:
            item = call.item
            assert isinstance(item, AnswerCall)
            text = "".join(call.pieces)
            call.item = AnswerCall(item.kind, item.call_id, item.name, text)
            name = "arguments" if item.kind == "function" else "input"
            out.append(self._placed(f"{call.event}.done", call, {name: text}))
            out.append(self._finish(call, is_cut=event.end_reason != "" and call.index == last))
        head = self._head
        answer = ModelAnswer(
            head.id,
            head.model,
            head.created,
            (),
            event.end_reason,
            event.usage,
            event.service_tier or head.service_tier,
            head.is_stored,
        )
        status: Literal["completed", "incomplete"] = "incomplete" if event.end_reason else "completed"
        output = [self._done[index] for index in range(self._output)]
        response = self._frame.response(answer, status, output)
        out.append(self._event(f"response.{status}", {"response": response}))
        return b"".join(out)

    def _is_behind(self, last: int) -> bool:
        """Whether what is being said stands before the item `last`."""
        return self._saying is not None and self._saying.index < last

    def _finish_saying(self, *, is_cut: bool = False) -> bytes:
        """End the message or the reasoning that is being written, if there is one."""
        saying = self._saying
        if saying is None:
            return b""
        self._saying = None
        text = "".join(saying.pieces)
        if isinstance(saying.item, AnswerReasoning):
            saying.item = AnswerReasoning(text, saying.item.encrypted_content)
            out = b""
            if text:
                out = self._placed("response.reasoning_text.done", saying, {"text": text})
                part = {"part": {"type": "reasoning_text", "text": text}}
                out += self._placed("response.content_part.done", saying, part)
        else:
            out = self._close_part(saying)
            saying.item = AnswerMessage(tuple(saying.closed_parts))
        return out + self._finish(saying, is_cut=is_cut)

    def _close_part(self, saying: _Open) -> bytes:
        text = "".join(saying.pieces)
        part: AnswerText | AnswerRefusal
        if saying.event == "response.refusal":
            part = AnswerRefusal(text)
            out = self._placed("response.refusal.done", saying, {"refusal": text})
        else:
            part = AnswerText(text, tuple(saying.citations), tuple(saying.logprobs))
            logprobs = [with_bytes(one) for one in saying.logprobs]
            out = self._placed("response.output_text.done", saying, {"text": text, "logprobs": logprobs})
        saying.closed_parts.append(part)
        return out + self._placed("response.content_part.done", saying, {"part": part_value(part)})

    def _finish(self, item: _Open, *, is_cut: bool) -> bytes:
        value = item_value(item.item, self._frame, item.index, is_done=True)
        if is_cut:
            value["status"] = "incomplete"
        self._done[item.index] = value
        return self._event("response.output_item.done", {"output_index": item.index, "item": value})

    # -- events as bytes ------------------------------------------------------------------------------------------

    def _add(self, item: AnswerItem) -> _Open:
        added = _Open(self._output, item)
        self._output += 1
        return added

    def _opening(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        response = self._frame.response(self._head, "in_progress", [])
        created = self._event("response.created", {"response": response})
        return created + self._event("response.in_progress", {"response": response})

    def _item_event(self, what: str, item: _Open) -> bytes:
        value = item_value(item.item, self._frame, item.index, is_done=False)
        return self._event(f"response.output_item.{what}", {"output_index": item.index, "item": value})

    def _place(self, item_id: str, output_index: int, content_index: int | None = None) -> bytes:
        place = b'"item_id":"%b","output_index":%d,' % (item_id.encode(), output_index)
        return place if content_index is None else place + b'"content_index":%d,' % content_index

    def _delta(self, item: _Open, text: str, rest: bytes = b"") -> bytes:
        kind = item.event.encode()
        number = self._number
        self._number += 1
        return b'event: %b.delta\ndata: {"type":"%b.delta","sequence_number":%d,%b"delta":%b%b}\n\n' % (
            kind,
            kind,
            number,
            item.place,
            _encode(text),
            rest,
        )

    def _placed(self, kind: str, item: _Open, fields: dict[str, Any]) -> bytes:
        """An event about a part of `item`, or about its text as a whole."""
        number = self._number
        self._number += 1
        name = kind.encode()
        rest = _encode(fields)[1:]
        return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b%b\n\n' % (name, name, number, item.place, rest)

    def _event(self, kind: str, fields: dict[str, Any]) -> bytes:
        number = self._number
        self._number += 1
        return encode_event(kind, _encode({"type": kind, "sequence_number": number, **fields}))
