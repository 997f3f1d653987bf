"""Anthropic's Messages that are relayed as they are: what a record needs to know of a stream, and of a whole answer."""

import msgspec

from headworks.calls import Failure, FailureKind
from headworks.dialects.anthropic_answers import service_tier_of
from headworks.dialects.endings import messages_error
from headworks.dialects.sse import MAX_EVENT_BYTES, EventSplitter, parse_event, split_blocks
from headworks.dialects.summary import AnswerSummary, Terminal
from headworks.dialects.tails import StreamText, leniently
from headworks.dialects.usage import MessagesUsage, read_messages_usage


class _Error(msgspec.Struct, frozen=True):
    type: str | None = None


class _Message(msgspec.Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    usage: MessagesUsage | None = None


class _Delta(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str = ""
    delta: _Delta | None = None
    message: _Message | None = None
    usage: MessagesUsage | None = None
    error: _Error | None = None


_decode_event = msgspec.json.Decoder(_Event).decode


class MessagesTail:
    """The tail of a Messages stream; it ends with `message_stop` or `error`. Implements `tails.StreamTail`.

    Arguments:
        max_event_bytes: the longest event that is waited for.
    """

    __slots__ = ("_error_code", "_message", "_splitter", "_stop_reason", "_terminal", "_text", "_usage", "is_complete")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.is_complete = False
        self._splitter = EventSplitter(max_event_bytes)
        self._text = StreamText()
        self._message = _Message()
        self._usage = MessagesUsage()
        self._stop_reason = ""
        self._error_code = ""
        self._terminal: Terminal = "none"

    def feed(self, chunk: bytes) -> bytes:
        """What to send on for `chunk`; see `StreamTail`."""
        if self.is_complete:
            return b""
        complete = self._splitter.take(chunk)
        for block in split_blocks(complete):
            event = parse_event(block)
            if event is not None:
                self._look(leniently(event.data, _Event, _decode_event))
        return complete

    @property
    def has_content(self) -> bool:
        """Whether anything that a model generated has been seen."""
        return bool(self._text) or self._stop_reason != ""

    def broken(self, code: str, message: str) -> bytes:
        """The event that ends a broken stream; see `tails.StreamTail`."""
        return messages_error(code, message)

    def summary(self) -> AnswerSummary:
        """What the stream has said so far."""
        # A stream that was cut says at its beginning what went in, and never what came out.
        usage = self._usage.stated() if self._stop_reason or self._terminal != "none" else None
        return AnswerSummary(
            response_id=self._message.id or "",
            served_model=self._message.model or "",
            finish_reason=self._stop_reason,
            usage=usage,
            terminal=self._terminal,
            error_code=self._error_code,
            text=self._text.whole(),
            service_tier=service_tier_of(self._usage) or "",
        )

    def _look(self, event: _Event) -> None:
        delta = event.delta
        if delta is not None:
            text = delta.text or delta.thinking or delta.partial_json
            if text:
                self._text.write(text)
            if delta.stop_reason is not None:
                self._stop_reason = delta.stop_reason
        if event.message is not None:
            self._message = event.message
            if event.message.usage is not None:
                self._usage = self._usage.updated(event.message.usage)
        if event.usage is not None:
            self._usage = self._usage.updated(event.usage)
        if event.type == "message_stop":
            self._terminal = "done"
            self.is_complete = True
        elif event.type == "error" or event.error is not None:
            self._terminal = "error"
            self.is_complete = True
            self._error_code = (event.error.type if event.error is not None else None) or "error"


class _Block(msgspec.Struct, frozen=True):
    text: str | None = None
    thinking: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"")


class _Answer(msgspec.Struct, frozen=True):
    content: tuple[_Block, ...]
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_messages_answer(body: bytes) -> AnswerSummary | Failure:
    """A message, summed up; a `Failure` of kind INVALID when the body is not one."""
    try:
        answer = _decode_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = "it has another shape" if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        return Failure(FailureKind.INVALID, f"the answer is not a message: {reason}")
    usage = read_messages_usage(answer.usage)
    stated = None if usage is None else usage.stated()
    text = ""
    if stated is None:
        text = "".join(
            (block.text or "") + (block.thinking or "") + bytes(block.input).decode("utf-8", "replace")
            for block in answer.content
        )
    return AnswerSummary(
        response_id=answer.id or "",
        served_model=answer.model or "",
        finish_reason=answer.stop_reason or "",
        usage=stated,
        terminal="done",
        text=text,
        service_tier=service_tier_of(usage) or "",
    )
