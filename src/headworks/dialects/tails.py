"""What a relayed stream says about itself, read while it passes, in one look at each event.

A *tail* follows a stream that is relayed in its own dialect: `feed` takes what came in and returns what to send on,
which is the same object unless an event was cut by the chunking (then it waits for its end: an event that breaks
off would keep an honest error event from being read) or must not be seen by the caller. Nothing is translated;
fields that we do not know pass through.

    tail = ChatTail()
    forward(tail.feed(chunk))       # for each chunk, until tail.is_complete
    tail.summary().usage            # what the provider stated, or None

The text of the answer is kept, up to a bound, so that the tokens of a cut stream can be counted.
"""

import io
import json
from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar

import msgspec

from headworks.calls import Endpoint, UnreadableAnswer
from headworks.dialects.endings import NUMBER_BEHIND_ALL, error_ending
from headworks.dialects.sse import MAX_EVENT_BYTES, EventSplitter, parse_event, split_blocks
from headworks.dialects.summary import AnswerSummary, Terminal
from headworks.dialects.usage import NO_TOOLS, ChatUsage, HostedUse, ResponsesUsage, with_tools

MAX_TEXT = 8 * 1024 * 1024
"""Of a stream's text, this many characters are kept for counting: ten times what today's models can generate."""


_END_MARK_BYTES = 64
"""More than `data: [DONE]` is with any white space around it that a server has been seen to write."""

_ESCAPED_BYTES = 64 * 1024
"""So much text is put by before it is unescaped."""

_BACKSLASH = 0x5C

_LESSONS = 64
"""How often what stands around a text is learnt anew in one stream, before it is plain that it never stays."""

_PADDING = b'"obfuscation":"'

_NEVER = b"\xff"
"""No event begins with this."""


class StreamText:
    """The text of a stream. Pieces come as strings, or, from the shortest way, as they stand in the JSON."""

    __slots__ = ("_escaped", "_plain")

    def __init__(self) -> None:
        self._plain = io.StringIO()
        self._escaped = bytearray()

    def write(self, piece: str) -> None:
        if self._escaped:
            self._unescape()
        if self._plain.tell() < MAX_TEXT:
            self._plain.write(piece)

    def write_escaped(self, piece: bytes) -> None:
        escaped = self._escaped  # not `self._escaped +=`: that would be a look-up and a store more for each event
        escaped += piece
        if len(escaped) > _ESCAPED_BYTES:
            self._unescape()

    def __bool__(self) -> bool:
        return bool(self._escaped) or self._plain.tell() > 0

    def whole(self) -> str:
        """All of it; halves of a surrogate pair that came in two pieces are put together."""
        if self._escaped:
            self._unescape()
        text = self._plain.getvalue()
        if text.isascii():
            return text
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _unescape(self) -> None:
        escaped = bytes(self._escaped)
        self._escaped.clear()
        try:
            piece: str = json.loads(b'"%b"' % escaped)
        except ValueError:
            piece = escaped.decode("utf-8", "replace")
        if self._plain.tell() < MAX_TEXT:
            self._plain.write(piece)


class StreamTail(Protocol):
    """What all tails offer."""

    is_complete: bool
    """Whether the end that the dialect promises has been seen, in what `feed` last returned."""

    def feed(self, chunk: bytes) -> bytes:
        """What to send on for what came in; may be nothing.

        Raises:
            UnreadableAnswer: the stream holds an event that is not JSON, or one beyond every bound.
        """
        ...

    @property
    def has_content(self) -> bool:
        """Whether anything that a model generated, or a tool did, has been seen."""
        ...

    def broken(self, code: str, message: str) -> bytes:
        """The event that ends the stream when it cannot be gone on with."""
        ...

    def summary(self) -> AnswerSummary:
        """What the stream has said so far."""
        ...


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class _Function(msgspec.Struct, frozen=True, gc=False):
    arguments: str | None = None


class _Custom(msgspec.Struct, frozen=True, gc=False):
    input: str | None = None


class _ToolCall(msgspec.Struct, frozen=True):
    function: _Function | None = None
    custom: _Custom | None = None


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta | None = None
    finish_reason: str | None = None
    text: str | None = None  # of legacy completions, which have no delta


class _Error(msgspec.Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...] | None = None
    usage: ChatUsage | None = None
    error: _Error | str | None = None


class _Identity(msgspec.Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None


_decode_identity = msgspec.json.Decoder(_Identity).decode
_decode_chunk = msgspec.json.Decoder(_Chunk).decode

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not the JSON we look for."""


class ChatTail:
    """The tail of a Chat Completions stream; it ends with `[DONE]` or with an error event.

    Arguments:
        hides_usage: keep back the chunk that has usage and no choices: it was asked for by us, not by the caller.
        max_event_bytes: the longest event that is waited for.
    """

    __slots__ = (
        "_error_code",
        "_finish_reason",
        "_first",
        "_head",
        "_hides_usage",
        "_is_between_events",
        "_is_padded",
        "_lessons",
        "_rest",
        "_rest_length",
        "_splitter",
        "_terminal",
        "_text",
        "_text_start",
        "_usage",
        "is_complete",
    )

    def __init__(self, *, hides_usage: bool = False, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.is_complete = False
        self._hides_usage = hides_usage
        self._splitter = EventSplitter(max_event_bytes)
        self._is_between_events = False
        self._is_padded = False
        self._lessons = _LESSONS
        self._head = _NEVER
        self._text_start = 0
        self._rest = b""
        self._rest_length = 0
        self._first = b""
        self._text = StreamText()
        self._usage: ChatUsage | None = None
        self._finish_reason = ""
        self._error_code = ""
        self._terminal: Terminal = "none"

    def feed(self, chunk: bytes) -> bytes:
        """What to send on for `chunk`; see `StreamTail`."""
        if self._is_between_events:
            if chunk.startswith(self._head):
                # Just another piece of text: what stands around it is, byte for byte, what was understood before.
                end = chunk.find(b'"', self._text_start)
                rest_end = end + self._rest_length
                if (rest_end == len(chunk) and chunk.endswith(self._rest)) or (
                    self._is_padded
                    and chunk.startswith(self._rest, end)
                    and chunk.endswith(b'"}\n\n')
                    and chunk.find(b'"', rest_end) == len(chunk) - 4
                ):
                    self._text.write_escaped(chunk[self._text_start : end])
                    return chunk
            if chunk.endswith(b"}\n\n") and chunk.startswith(b"data: "):
                return self._feed_one(chunk)
        return self._feed_slowly(chunk)

    def broken(self, code: str, message: str) -> bytes:
        """The event that ends a broken stream; see `StreamTail`."""
        return error_ending(Endpoint.CHAT, code, message)

    def summary(self) -> AnswerSummary:
        """What the stream has said so far."""
        identity = _identity(self._first)
        return AnswerSummary(
            response_id=identity.id or "",
            served_model=identity.model or "",
            finish_reason=self._finish_reason,
            usage=self._usage.stated() if self._usage is not None else None,
            terminal=self._terminal,
            error_code=self._error_code,
            text=self._text.whole(),
            service_tier=identity.service_tier or "",
        )

    @property
    def has_content(self) -> bool:
        """Whether anything that a model generated has been seen."""
        return bool(self._text) or self._finish_reason != ""

    def _feed_one(self, chunk: bytes) -> bytes:
        """The usual case, one event a chunk. JSON allows white space behind it and nothing else, so that the
        decoder itself tells when there is more in this chunk than one event."""
        try:
            event = _decode_chunk(chunk[6:])
        except _UNREADABLE:
            return self._feed_slowly(chunk)
        if not self._look(event, chunk[6:]):
            return b""
        if event.usage is None and event.choices is not None and len(event.choices) == 1:
            self._learn(chunk, event.choices[0])
        return chunk

    def _learn(self, chunk: bytes, choice: _Choice) -> None:
        """Remember what stands around the text of this event, if it has text and nothing else to note."""
        delta = choice.delta
        if delta is None or not delta.content or choice.finish_reason is not None or self._lessons == 0:
            return
        start = chunk.find(b'"content":"') + 11
        end = start + len(delta.content)
        if (
            start > 11
            and chunk[start:end] == delta.content.encode("utf-8", "replace")
            and chunk.count(b'"content"') == 1
            and delta == _Delta(content=delta.content)
        ):
            self._lessons -= 1
            self._head = chunk[:start]
            rest = chunk[end:]
            padding = rest.find(_PADDING)
            # Padding of a random length that hides how long the text is; it stands last, if it stands there.
            self._is_padded = padding > 0 and rest.count(b'"', padding + len(_PADDING)) == 1
            self._rest = rest[: padding + len(_PADDING)] if self._is_padded else rest
            self._rest_length = len(self._rest)
            self._text_start = start

    def _feed_slowly(self, chunk: bytes) -> bytes:
        if self.is_complete:
            return b""
        complete = self._splitter.take(chunk)
        self._is_between_events = self._splitter.is_between_events
        held = self._splitter.held_up_to(_END_MARK_BYTES)
        if held.strip() == b"data: [DONE]" and held.endswith(b"\n"):
            # Some servers close the connection without the blank line; nothing can follow this one, so we write it.
            complete += self._splitter.release() + (b"\r\n" if held.endswith(b"\r\n") else b"\n")
        blocks = split_blocks(complete)
        kept = [block for block in blocks if self._look_at(block)]
        if len(kept) == len(blocks):
            return complete
        return b"".join(block + b"\n\n" for block in kept)

    def _look_at(self, block: bytes) -> bool:
        event = parse_event(block)
        if event is None:
            return True
        if event.data.startswith(b"[DONE]"):
            if not self._first:  # nothing came, and that is no answer: somebody else may have one
                raise UnreadableAnswer("a stream that ends before its first choice")
            self._terminal = "done" if self._terminal == "none" else self._terminal
            self.is_complete = True
            return True
        return self._look(leniently(event.data, _Chunk, _decode_chunk), event.data)

    def _look(self, event: _Chunk, data: bytes) -> bool:
        """Take in an event; whether the caller may see it."""
        if event.error is not None:
            self._terminal = "error"
            self.is_complete = True
            self._error_code = _code(event.error)
            return True
        if not self._first and event.choices:
            self._first = data
        for choice in event.choices or ():
            if choice.finish_reason is not None:
                self._finish_reason = choice.finish_reason
            if choice.delta is not None:
                self._note(choice.delta)
            elif choice.text is not None:
                self._text.write(choice.text)
        if event.usage is not None:
            self._usage = event.usage
            return not (self._hides_usage and not event.choices)
        return True

    def _note(self, delta: _Delta) -> None:
        if delta.content is not None:
            self._text.write(delta.content)
        if (
            delta.tool_calls is not None
            or delta.reasoning_content is not None
            or delta.reasoning is not None
            or delta.refusal is not None
            or delta.function_call is not None
        ):
            self._note_rarer(delta)

    def _note_rarer(self, delta: _Delta) -> None:
        for text in (delta.refusal, delta.reasoning_content or delta.reasoning):
            if text:
                self._text.write(text)
        for call in delta.tool_calls or ():
            if call.function is not None and call.function.arguments:
                self._text.write(call.function.arguments)
            if call.custom is not None and call.custom.input:
                self._text.write(call.custom.input)
        if delta.function_call is not None and delta.function_call.arguments:
            self._text.write(delta.function_call.arguments)


class _Incomplete(msgspec.Struct, frozen=True):
    reason: str | None = None


class _Response(msgspec.Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    usage: ResponsesUsage | None = None
    incomplete_details: _Incomplete | None = None
    error: _Error | None = None
    service_tier: str | None = None
    tool_usage: msgspec.Raw = NO_TOOLS


class _Event(msgspec.Struct, frozen=True):
    type: str = ""
    delta: str | None = None
    response: _Response | None = None
    code: str | int | None = None
    error: _Error | str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode

_LAST_EVENTS: dict[str, Terminal] = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "error": "error",
}

_TEXT_DELTAS = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.code_interpreter_call_code.delta",
    }
)


_OPENING = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
    }
)
"""What comes before the first content."""

_FILE_SEARCHED = "response.file_search_call.completed"
_RAN_IN_CONTAINER = frozenset({"response.code_interpreter_call.completed", "response.shell_call_output_content.done"})


class ResponsesTail:
    """The tail of a Responses stream; it ends with `response.completed`, `.incomplete`, `.failed` or `error`.

    Arguments:
        max_event_bytes: the longest event that is waited for.
    """

    __slots__ = (
        "_container_runs",
        "_error_code",
        "_file_searches",
        "_has_begun",
        "_head",
        "_head_length",
        "_is_between_events",
        "_last",
        "_response",
        "_splitter",
        "_terminal",
        "_text",
        "_usage",
        "is_complete",
    )

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.is_complete = False
        self._splitter = EventSplitter(max_event_bytes)
        self._text = StreamText()
        self._is_between_events = False
        self._has_begun = False
        self._head = _NEVER
        self._head_length = 0
        self._last = b""  # ends with the last event that went on: where its number is read if it is ever asked for
        self._response = _Response()
        self._file_searches = 0
        self._container_runs = 0
        self._usage: ResponsesUsage | None = None
        self._error_code = ""
        self._terminal: Terminal = "none"

    def feed(self, chunk: bytes) -> bytes:
        """What to send on for `chunk`; see `StreamTail`."""
        if not self._is_between_events:
            return self._feed_slowly(chunk)
        if chunk.startswith(self._head):
            # A further event of a type that only carries text, and no other event behind it.
            start = chunk.find(b'"delta":"', self._head_length) + 9
            end = chunk.find(b'"', start)
            if (
                start > 8
                and end > 0
                and chunk[end - 1] != _BACKSLASH
                and chunk.endswith(b"}\n\n")
                and chunk.find(b"\n", end) == len(chunk) - 2
            ):
                self._text.write_escaped(chunk[start:end])
                self._last = chunk
                return chunk
        if chunk.endswith(b"}\n\n"):
            # As in ChatTail: the decoder tells when this chunk is more than one event.
            start = chunk.find(b"\ndata: ", 0, 100)
            try:
                event = _decode_event(chunk[start + 7 :])
            except _UNREADABLE:
                return self._feed_slowly(chunk)
            self._last = chunk
            if event.delta is not None and event.type in _TEXT_DELTAS:
                self._text.write(event.delta)
                self._learn(chunk, event)
            elif event.response is not None or event.type in _LAST_EVENTS or event.error is not None:
                self._look(event)
            elif event.type not in _OPENING:
                self._has_begun = True
                self._count_hosted(event.type)
            return chunk
        return self._feed_slowly(chunk)

    def broken(self, code: str, message: str) -> bytes:
        """The event that ends a broken stream; see `StreamTail`. Its number is the one that comes next, where the
        events have numbers."""
        return error_ending(Endpoint.RESPONSES, code, message, _number_after(self._last))

    def summary(self) -> AnswerSummary:
        """What the stream has said so far."""
        response = self._response
        finish_reason = ""
        usage = self._usage.stated() if self._usage is not None else None
        used = HostedUse(self._file_searches, self._container_runs)
        if response.tool_usage is not NO_TOOLS or used:
            usage = with_tools(usage, response.tool_usage, used)
        if self.is_complete:
            finish_reason = "failed" if self._terminal in ("error", "failed") else response.status or self._terminal
            if response.incomplete_details is not None and response.incomplete_details.reason:
                finish_reason = response.incomplete_details.reason
        return AnswerSummary(
            response_id=response.id or "",
            served_model=response.model or "",
            finish_reason=finish_reason,
            usage=usage,
            terminal=self._terminal,
            error_code=self._error_code,
            text=self._text.whole(),
            service_tier=response.service_tier or "",
        )

    @property
    def has_content(self) -> bool:
        """Whether anything that a model generated, or a tool did, has been seen."""
        return self._has_begun or bool(self._text)

    def _count_hosted(self, kind: str) -> None:
        """Count what a tool at the provider has done, of which the usage does not tell."""
        if kind == _FILE_SEARCHED:
            self._file_searches += 1
        elif kind in _RAN_IN_CONTAINER:
            self._container_runs += 1

    def _learn(self, chunk: bytes, event: _Event) -> None:
        """Remember how an event of this type begins, if its type stands where the API writes it: first."""
        head = b'event: %b\ndata: {"type":"%b",' % (event.type.encode(), event.type.encode())
        if chunk.startswith(head):
            self._head = head
            self._head_length = len(head)

    def _feed_slowly(self, chunk: bytes) -> bytes:
        complete = self._splitter.take(chunk)
        self._is_between_events = self._splitter.is_between_events
        last = self._last
        for block in split_blocks(complete):
            event = parse_event(block)
            if event is not None and not event.data.startswith(b"[DONE]"):
                self._look(leniently(event.data, _Event, _decode_event))
                last = block
        self._last = last
        return complete

    def _look(self, event: _Event) -> None:
        if event.delta is not None and event.type in _TEXT_DELTAS:
            self._text.write(event.delta)
        if event.type not in _OPENING:
            self._has_begun = True
            self._count_hosted(event.type)
        if event.response is not None:
            self._response = event.response
            if event.response.usage is not None:
                self._usage = event.response.usage
            if event.response.error is not None:
                self._error_code = _code(event.response.error)
        if event.type in _LAST_EVENTS:
            self._terminal = _LAST_EVENTS[event.type]
            self.is_complete = True
        elif event.error is not None:
            self._terminal = "error"
            self.is_complete = True
        if self._terminal == "error":
            self._error_code = str(event.code) if event.code else _code(event.error)


class _Numbered(msgspec.Struct, frozen=True):
    sequence_number: Annotated[int, msgspec.Meta(ge=0, lt=NUMBER_BEHIND_ALL)]


_decode_number = msgspec.json.Decoder(_Numbered).decode


def _number_after(events: bytes) -> int:
    """The number of the event that follows these."""
    blocks = split_blocks(events)
    event = parse_event(blocks[-1]) if blocks else None
    if event is None:
        return NUMBER_BEHIND_ALL
    try:
        return _decode_number(event.data).sequence_number + 1
    except _UNREADABLE:
        return NUMBER_BEHIND_ALL


def leniently(data: bytes, kind: type[_Struct], decode: Callable[[bytes], _Struct]) -> _Struct:
    """An event that may be a little off: what cannot be read of it is passed over, for the stream is only relayed.

    Raises:
        UnreadableAnswer: the event is not a JSON object.
    """
    try:
        return decode(data)
    except _UNREADABLE:
        pass
    try:
        # Reads what msgspec refuses and SDKs may accept: halves of surrogate pairs, NaN.
        loose = json.loads(data)
    except (ValueError, RecursionError):
        raise UnreadableAnswer("an event of the stream is not JSON") from None
    if not isinstance(loose, dict):
        raise UnreadableAnswer("an event of the stream is not a JSON object")
    values = {}
    for field in msgspec.structs.fields(kind):
        value = loose.get(field.name)
        try:
            values[field.name] = msgspec.convert(value, field.type)
        except (msgspec.ValidationError, UnicodeError, RecursionError):
            if field.name == "error" and value:
                values[field.name] = _Error()  # of whatever shape, it is one
    return kind(**values)


def _code(error: _Error | str | None) -> str:
    if not isinstance(error, _Error):
        return "error"
    return str(error.code or error.type or "error")


def _identity(data: bytes) -> _Identity:
    """Of the first event: which answer and which model it is; nothing if it is the one that could not be read."""
    if not data:
        return _Identity()
    try:
        return leniently(data, _Identity, _decode_identity)
    except UnreadableAnswer:
        return _Identity()
