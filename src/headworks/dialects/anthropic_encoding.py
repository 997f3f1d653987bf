"""Writing the event stream of a message from canonical events.

    message_start
    for each block: content_block_start, its deltas, content_block_stop
    message_delta, message_stop | error

A block of text or of thinking ends when something else begins. Tool calls stay open until the end, since other dialects
may go back to an earlier one. Usage is told at the end, where the other dialects tell it.
"""

import io
from typing import assert_never

import msgspec

from headworks.calls import NO_USAGE
from headworks.dialects.anthropic_answers import (
    citation_value,
    made_call_id,
    message_id,
    message_value,
    signature_of,
    stop_reason_of,
)
from headworks.dialects.canonical import AnswerReasoning, UpstreamError
from headworks.dialects.endings import messages_error
from headworks.dialects.events import Called, Cited, Ended, Refused, Sealed, Started, StreamEvent, Text, Thought
from headworks.dialects.sse import encode_event
from headworks.dialects.usage import messages_usage

_encode = msgspec.json.Encoder().encode


class MessagesEncoder:
    """Implements `events.StreamEncoder` for Messages. The opening event comes with the first content, so that nothing
    is sent before there is something to say."""

    __slots__ = (
        *("_base", "_blocks", "_calls", "_has_refused", "_is_open", "_kind", "_model", "_saying", "_text", "_tier"),
    )

    def __init__(self) -> None:
        self._base = ""
        self._model = ""
        self._tier: str | None = None
        self._is_open = False
        self._has_refused = False
        self._blocks = 0
        self._calls: list[int] = []  # the blocks of the calls
        self._saying = -1  # the block of text or thinking that is open
        self._kind = ""
        self._text = io.StringIO()

    def encode(self, event: StreamEvent) -> bytes:
        """The events for `event`; see `StreamEncoder`."""
        match event:
            case Text():
                return self._say(event.text)
            case Called():
                return self._call(event)
            case Thought():
                return self._think(event.text)
            case Refused():
                self._has_refused = True
                return self._say(event.text)
            case Sealed():
                return self._seal(event)
            case Cited():
                return self._cite(event)
            case Started():
                self._base = message_id(event.id)
                self._model, self._tier = event.model, event.service_tier
                return b""
            case Ended():
                return self._end(event)
            case UpstreamError():
                return messages_error(event.code, event.message)
            case _:
                assert_never(event)

    def _say(self, text: str) -> bytes:
        out = self._begin("text", b'{"type":"text","text":"","citations":null}')
        self._text.write(text)
        return out + self._delta(self._saying, b'{"type":"text_delta","text":%b}' % _encode(text))

    def _think(self, text: str) -> bytes:
        out = self._begin("thinking", b'{"type":"thinking","thinking":"","signature":""}')
        self._text.write(text)
        return out + self._delta(self._saying, b'{"type":"thinking_delta","thinking":%b}' % _encode(text))

    def _seal(self, event: Sealed) -> bytes:
        out = self._begin("thinking", b'{"type":"thinking","thinking":"","signature":""}')
        item = AnswerReasoning(self._text.getvalue(), event.encrypted_content, event.id)
        delta = b'{"type":"signature_delta","signature":%b}' % _encode(signature_of(item))
        return out + self._delta(self._saying, delta) + self._stop_saying()

    def _cite(self, event: Cited) -> bytes:
        out = self._begin("text", b'{"type":"text","text":"","citations":null}')
        citation = citation_value(event.citation, self._text.getvalue())
        return out + self._delta(self._saying, _encode({"type": "citations_delta", "citation": citation}))

    def _call(self, event: Called) -> bytes:
        out = b""
        if event.index == len(self._calls):
            out = self._opening() + self._stop_saying()
            block = {
                "type": "tool_use",
                "id": event.call_id or made_call_id(self._base, self._blocks),
                "name": event.name,
                "input": {},
            }
            self._calls.append(self._blocks)
            out += self._start(_encode(block))
        if not event.text:
            return out
        delta = b'{"type":"input_json_delta","partial_json":%b}' % _encode(event.text)
        return out + self._delta(self._calls[event.index], delta)

    def _end(self, event: Ended) -> bytes:
        out = [self._opening(), self._stop_saying()]
        out += [_stop(block) for block in self._calls]
        reason = stop_reason_of(event.end_reason, has_calls=bool(self._calls), has_refused=self._has_refused)
        last = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": messages_usage(event.usage or NO_USAGE, event.service_tier),
        }
        out.append(encode_event("message_delta", _encode(last)))
        out.append(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        return b"".join(out)

    def _begin(self, kind: str, block: bytes) -> bytes:
        """Begin a block, unless one of this kind is open."""
        if self._saying >= 0 and self._kind == kind:
            return b""
        out = self._opening() + self._stop_saying()
        self._saying, self._kind = self._blocks, kind
        self._text = io.StringIO()
        return out + self._start(block)

    def _stop_saying(self) -> bytes:
        if self._saying < 0:
            return b""
        saying, self._saying = self._saying, -1
        return _stop(saying)

    def _opening(self) -> bytes:
        if self._is_open:
            return b""
        self._is_open = True
        message = message_value(self._base, self._model, [], NO_USAGE, self._tier)
        return encode_event("message_start", _encode({"type": "message_start", "message": message}))

    def _start(self, block: bytes) -> bytes:
        index = self._blocks
        self._blocks += 1
        return b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n' % (
            index,
            block,
        )

    def _delta(self, index: int, delta: bytes) -> bytes:
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n' % (
            index,
            delta,
        )


def _stop(index: int) -> bytes:
    return b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % index
