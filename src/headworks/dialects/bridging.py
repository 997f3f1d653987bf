"""Bridges: one call, asked in one dialect and answered by an upstream that speaks another.

    bridge = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](body)      # what is called, what the upstream speaks
    upstream_body = bridge.request(body, "gpt-6-luna")
    body, summary = bridge.answer(upstream_answer)    # or, for a stream:
    steps = bridge.stream()
    forward(steps.feed(chunk))

A bridge is made of a dialect's decoder and another one's encoder, with the canonical form between them.
"""

import io
import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind, UnreadableAnswer, Usage
from headworks.dialects.anthropic_answers import (
    decode_messages_answer,
    encode_messages_answer,
    message_id,
    stop_reason_of,
)
from headworks.dialects.anthropic_decoding import decode_messages_request
from headworks.dialects.anthropic_encoding import MessagesEncoder
from headworks.dialects.anthropic_requests import encode_messages_request
from headworks.dialects.anthropic_streams import MessagesDecoder
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    EndReason,
    ModelAnswer,
    ModelRequest,
    UpstreamError,
)
from headworks.dialects.chat_answers import chat_id, decode_chat_answer, encode_chat_answer, finish_reason_of
from headworks.dialects.chat_requests import decode_chat_request, encode_chat_request, reads_usage
from headworks.dialects.chat_streams import ChatDecoder, ChatEncoder
from headworks.dialects.completions import (
    CompletionsEncoder,
    completion_id,
    decode_completions_request,
    encode_completion,
)
from headworks.dialects.errors import translated_bare_error, translated_error
from headworks.dialects.events import (
    Called,
    Cited,
    Ended,
    Refused,
    Sealed,
    Started,
    StreamDecoder,
    StreamEncoder,
    StreamEvent,
    Text,
    Thought,
)
from headworks.dialects.gemini_answers import decode_gemini_answer
from headworks.dialects.gemini_decoding import decode_gemini_request
from headworks.dialects.gemini_encoding import GeminiEncoder, encode_gemini_answer
from headworks.dialects.gemini_encoding import finish_reason_of as gemini_finish_reason_of
from headworks.dialects.gemini_requests import encode_gemini_request
from headworks.dialects.gemini_streams import GeminiDecoder
from headworks.dialects.reading import Fields, read_fields
from headworks.dialects.responses_answers import (
    ResponseFrame,
    decode_responses_answer,
    encode_responses_answer,
    response_id,
)
from headworks.dialects.responses_encoding import ResponsesEncoder
from headworks.dialects.responses_requests import decode_responses_request, encode_responses_request
from headworks.dialects.responses_streams import ResponsesDecoder
from headworks.dialects.summary import AnswerSummary, Terminal
from headworks.dialects.tails import MAX_TEXT
from headworks.dialects.unsupported import shown_name
from headworks.dialects.wishes import Wished


class BridgeMaker(Protocol):
    """Makes a bridge from the caller's request, and from what is wished beside it; see `wishes`."""

    def __call__(self, body: bytes, /, *, wished: Wished | None = None) -> "Bridge": ...


class BridgeStream(Protocol):
    """One stream between two dialects; see `TranslatedStream`."""

    def feed(self, data: bytes) -> bytes: ...
    @property
    def is_complete(self) -> bool: ...
    @property
    def has_content(self) -> bool: ...
    def broken(self, code: str, message: str) -> bytes: ...
    def summary(self) -> AnswerSummary: ...


class Bridge(Protocol):
    """One call between two dialects."""

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens", stands_for: str = "") -> bytes:
        """The body to send upstream, asking `model`. `limit_name` is what a Chat upstream calls the output limit,
        `stands_for` the model whose name says what it can do, where its own is one that its operator chose.

        Raises:
            Refusal: 400, for what is wrong or cannot be honoured, by the name of its field.
        """
        ...

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The body to answer with.

        Raises:
            UnreadableAnswer: the upstream answered something else than its dialect promises.
            AttemptFailed: the upstream says, in a good answer's place, that it failed.
        """
        ...

    def error(self, body: bytes, status: int) -> bytes:
        """The upstream's own error object, in the words of the caller's API."""
        ...

    def stream(self) -> BridgeStream:
        """Fresh steps for a stream."""
        ...


class TranslatedStream:
    """One stream on its way from a dialect to another. Nothing comes out before there is content (or the end): until
    then a failure is raised, and the call can still be answered with an error status."""

    __slots__ = (
        "_decoder",
        "_encoder",
        "_ended",
        "_endpoint",
        "_error",
        "_has_calls",
        "_has_refused",
        "_is_open",
        "_model",
        "_new_id",
        "_now",
        "_started",
        "_text",
        "is_complete",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        decoder: StreamDecoder,
        encoder: StreamEncoder,
        new_id: Callable[[], str],
        *,
        now: Callable[[], float] = time.time,
        model: str = "",
    ) -> None:
        self.is_complete = False
        self._now = now
        self._model = model
        self._endpoint = endpoint
        self._decoder = decoder
        self._encoder = encoder
        self._new_id = new_id
        self._is_open = False
        self._has_calls = False
        self._has_refused = False
        self._started = Started("", "", 0)
        self._ended: Ended | None = None
        self._error: UpstreamError | None = None
        self._text = io.StringIO()

    def feed(self, data: bytes) -> bytes:
        """What to send on for what came in; may be nothing.

        Raises:
            UnreadableAnswer: the stream is not what its dialect promises.
            AttemptFailed: the upstream says that it failed, before anything has been sent on.
        """
        return b"".join([self._step(event) for event in self._decoder.feed(data)])

    @property
    def text(self) -> str:
        """What has been said so far."""
        return self._text.getvalue()

    def read_from(self, decoder: StreamDecoder) -> None:
        """Go on with what another decoder reads; what has gone out stays."""
        self._decoder = decoder
        self.is_complete = False

    def _step(self, event: StreamEvent) -> bytes:
        if isinstance(event, Started):
            if not event.id or not event.created:
                event = msgspec.structs.replace(
                    event,
                    id=event.id or self._new_id(),
                    created=event.created or int(self._now()),
                    model=event.model or self._model,
                )
            self._started = event
            return self._encoder.encode(event)
        if isinstance(event, UpstreamError):
            self._error = event
            self.is_complete = True
            if not self._is_open:
                raise AttemptFailed(failure_of(event), event.usage)
            return self._encoder.encode(event)
        if not self._started.id:
            raise UnreadableAnswer("the stream went on or ended before it began")
        if isinstance(event, Ended):
            self._ended = event
            self.is_complete = True
        elif not isinstance(event, Cited | Sealed):
            self._note(event)
        out = self._encoder.encode(event)
        # Some dialects have nothing for a seal: until there is something to send, a failure can still be told as one.
        self._is_open = self._is_open or out != b"" or not isinstance(event, Sealed)
        return out

    def _note(self, event: Text | Thought | Refused | Called) -> None:
        if isinstance(event, Called):
            self._has_calls = True
        elif isinstance(event, Refused):
            self._has_refused = True
        if self._text.tell() < MAX_TEXT:
            self._text.write(event.text)

    @property
    def has_content(self) -> bool:
        """Whether anything that a model generated has been sent on: nothing is before that."""
        return self._is_open

    def broken(self, code: str, message: str) -> bytes:
        """The event that ends the stream when it cannot be gone on with; its number is the one that comes next."""
        return self._encoder.encode(UpstreamError(code, message))

    def summary(self) -> AnswerSummary:
        """What the stream has said so far."""
        usage: Usage | None = None
        finish_reason = error_code = ""
        terminal: Terminal = "none"
        if self._error is not None:
            usage, error_code, terminal = self._error.usage, self._error.code, "error"
        elif self._ended is not None:
            usage = self._ended.usage
            finish_reason, terminal = _ending(
                self._endpoint,
                self._ended.end_reason,
                has_calls=self._has_calls,
                has_refused=self._has_refused,
            )
        return AnswerSummary(
            response_id=_caller_id(self._endpoint, self._started.id) if self._started.id else "",
            served_model=self._started.model,
            finish_reason=finish_reason,
            usage=usage,
            terminal=terminal,
            error_code=error_code,
            text=self._text.getvalue(),
            service_tier=("" if self._ended is None else self._ended.service_tier) or "",
        )


def _random_id() -> str:
    return secrets.token_hex(16)


class Asked(Protocol):
    """The caller's side of a bridge: one request, and how it wants to be answered."""

    def request(self) -> ModelRequest:
        """What is asked.

        Raises:
            Refusal: 400, naming the field that is wrong or not understood.
        """
        ...

    def answer(self, answer: ModelAnswer) -> bytes:
        """The body that answers."""
        ...

    def encoder(self) -> StreamEncoder:
        """What writes the stream that answers."""
        ...


class _AskedResponses:
    __slots__ = ("_fields",)

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def request(self) -> ModelRequest:
        return decode_responses_request(self._fields)

    def answer(self, answer: ModelAnswer) -> bytes:
        return encode_responses_answer(answer, ResponseFrame(self._fields, answer.id))

    def encoder(self) -> StreamEncoder:
        return ResponsesEncoder(self._fields)


class _AskedChat:
    __slots__ = ("_fields",)

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def request(self) -> ModelRequest:
        return decode_chat_request(self._fields)

    def answer(self, answer: ModelAnswer) -> bytes:
        return encode_chat_answer(answer)

    def encoder(self) -> StreamEncoder:
        return ChatEncoder(includes_usage=reads_usage(self._fields))


class _AskedMessages:
    __slots__ = ("_fields",)

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def request(self) -> ModelRequest:
        return decode_messages_request(self._fields)

    def answer(self, answer: ModelAnswer) -> bytes:
        return encode_messages_answer(answer)

    def encoder(self) -> StreamEncoder:
        return MessagesEncoder()


class _AskedGemini:
    __slots__ = ("_fields",)

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def request(self) -> ModelRequest:
        return decode_gemini_request(self._fields)

    def answer(self, answer: ModelAnswer) -> bytes:
        return encode_gemini_answer(answer)

    def encoder(self) -> StreamEncoder:
        return GeminiEncoder()


class _AskedCompletions:
    __slots__ = ("_fields",)

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def request(self) -> ModelRequest:
        return decode_completions_request(self._fields)

    def answer(self, answer: ModelAnswer) -> bytes:
        return encode_completion(answer)

    def encoder(self) -> StreamEncoder:
        return CompletionsEncoder(includes_usage=reads_usage(self._fields))


class Spoken(NamedTuple):
    """The upstream's side of a bridge. `write` is given what a Chat upstream calls the output limit, too; `told` is how
    an error's body is written for a caller."""

    write: Callable[[ModelRequest, str], bytes]
    read: Callable[[bytes], ModelAnswer | UpstreamError]
    decoder: Callable[[], StreamDecoder]
    told: Callable[[bytes, Endpoint, int], bytes] = translated_error


def _write_responses(request: ModelRequest, _: str) -> bytes:
    # Responses stores everything that it is not told not to; other dialects only what they are told to.
    stored = request.store if request.dialect is Endpoint.RESPONSES else bool(request.store)
    return encode_responses_request(msgspec.structs.replace(request, store=stored))


def _write_chat(request: ModelRequest, limit_name: str) -> bytes:
    return encode_chat_request(request, limit_name=limit_name)


def _write_messages(request: ModelRequest, _: str) -> bytes:
    return encode_messages_request(request)


def _write_gemini(request: ModelRequest, _: str) -> bytes:
    return encode_gemini_request(request)


def _write_converse(request: ModelRequest, _: str) -> bytes:
    from headworks.dialects.converse_requests import encode_converse_request  # here and below: only who has Bedrock

    return encode_converse_request(request)


def _read_converse(body: bytes) -> ModelAnswer | UpstreamError:
    from headworks.dialects.converse_answers import decode_converse_answer

    return decode_converse_answer(body)


def _converse_decoder() -> StreamDecoder:
    from headworks.dialects.converse_streams import ConverseDecoder

    return ConverseDecoder()


ASKED: dict[Endpoint, Callable[[Fields], Asked]] = {
    Endpoint.RESPONSES: _AskedResponses,
    Endpoint.CHAT: _AskedChat,
    Endpoint.MESSAGES: _AskedMessages,
    Endpoint.GENERATE_CONTENT: _AskedGemini,
    Endpoint.COMPLETIONS: _AskedCompletions,
}
_SPOKEN = {
    Endpoint.RESPONSES: Spoken(_write_responses, decode_responses_answer, ResponsesDecoder),
    Endpoint.CHAT: Spoken(_write_chat, decode_chat_answer, ChatDecoder),
    Endpoint.MESSAGES: Spoken(_write_messages, decode_messages_answer, MessagesDecoder),
    Endpoint.GENERATE_CONTENT: Spoken(_write_gemini, decode_gemini_answer, GeminiDecoder),
    Endpoint.CONVERSE: Spoken(_write_converse, _read_converse, _converse_decoder, translated_bare_error),
}
_OPENAI = (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.COMPLETIONS)


class DialectBridge:
    """Implements `Bridge`, between any two dialects.

    Arguments:
        called: the caller's dialect.
        spoken: the upstream's.
        body: the caller's request.
        new_id: makes an id for an answer whose upstream gives none.
        now: Unix seconds, for an answer whose upstream does not say when it was made.
        wished: what the caller asks for that is not in the request, for its dialect has no place for it.
    """

    __slots__ = ("_asked", "_called", "_is_foreign", "_model", "_new_id", "_now", "_spoken", "_wished")

    def __init__(
        self,
        called: Endpoint,
        spoken: Endpoint,
        body: bytes,
        new_id: Callable[[], str] = _random_id,
        now: Callable[[], float] = time.time,
        *,
        wished: Wished | None = None,
    ) -> None:
        self._wished = wished
        self._called = called
        self._is_foreign = not (called in _OPENAI and spoken in _OPENAI)
        self._asked = ASKED[called](read_fields(body))
        self._spoken = _SPOKEN[spoken]
        self._new_id = new_id
        self._now = now
        self._model = ""

    def request(
        self,
        body: bytes,  # noqa: ARG002 - read before
        model: str,
        *,
        limit_name: str = "max_tokens",
        stands_for: str = "",
    ) -> bytes:
        """The request in the upstream's dialect; see `Bridge`."""
        self._model = model
        return self._spoken.write(
            msgspec.structs.replace(self._wanted(), model=model, stands_for=stands_for), limit_name
        )

    def _wanted(self) -> ModelRequest:
        request = self._asked.request()
        return request if self._wished is None else self._wished.added_to(request)

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The answer in the caller's dialect; see `Bridge`."""
        answer = succeeded(self._spoken.read(body), self._new_id, self._now)
        if not answer.model:  # AWS does not say who answers
            answer = msgspec.structs.replace(answer, model=self._model)
        return self._asked.answer(answer), summary_of_answer(self._called, answer)

    def error(self, body: bytes, status: int) -> bytes:
        """The error in the caller's words; see `Bridge`. Responses and Chat say it alike."""
        return self._spoken.told(body, self._called, status) if self._is_foreign else body

    def stream(self) -> TranslatedStream:
        """Fresh steps for a stream; see `Bridge`."""
        return TranslatedStream(
            self._called,
            self._spoken.decoder(),
            self._asked.encoder(),
            self._new_id,
            now=self._now,
            model=self._model,
        )


BRIDGES: dict[tuple[Endpoint, Endpoint], BridgeMaker] = {
    (called, spoken): partial(DialectBridge, called, spoken)
    for called in ASKED
    for spoken in _SPOKEN
    if called is not spoken
}
"""By the endpoint that is called and the one that the upstream speaks: what makes a bridge from the request."""

_KINDS = {
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "billing_error": FailureKind.QUOTA,
    "authentication_error": FailureKind.UNAUTHORIZED,
    "permission_error": FailureKind.UNAUTHORIZED,
    "not_found_error": FailureKind.REJECTED,
    "request_too_large": FailureKind.REJECTED,
    "timeout_error": FailureKind.TIMEOUT,
    "api_error": FailureKind.ERROR,
    "insufficient_quota": FailureKind.QUOTA,
    "server_error": FailureKind.ERROR,
    "internal_server_error": FailureKind.ERROR,
    "upstream_error": FailureKind.ERROR,
    "failed": FailureKind.ERROR,
    "cancelled": FailureKind.ERROR,
    "server_overloaded": FailureKind.OVERLOADED,
    "overloaded_error": FailureKind.OVERLOADED,
    "vector_store_timeout": FailureKind.TIMEOUT,
    "context_length_exceeded": FailureKind.TOO_LONG,
}
_STATUS = re.compile("[45][0-9][0-9]")
_STATUS_KINDS = {
    "401": FailureKind.UNAUTHORIZED,
    "402": FailureKind.QUOTA,
    "403": FailureKind.UNAUTHORIZED,
    "408": FailureKind.TIMEOUT,
    "429": FailureKind.RATE_LIMITED,
    "503": FailureKind.OVERLOADED,
    "504": FailureKind.TIMEOUT,
    "529": FailureKind.OVERLOADED,
}
_REJECTIONS = ("invalid_", "image_", "empty_image", "unsupported_image", "failed_to_download_image")
"""Codes of `ResponseError` in the SDK's types that blame the request begin so, or end in `_policy` and the like."""


def failure_of(error: UpstreamError) -> Failure:
    """What an error inside an answer means for the attempt. The detail has its code, never its message."""
    kind = _KINDS.get(error.code)
    if kind is None and _STATUS.fullmatch(error.code):
        # OpenRouter, vLLM and llama.cpp give the HTTP status that came too late to be one.
        kind = _STATUS_KINDS.get(error.code, FailureKind.ERROR if error.code[0] == "5" else FailureKind.REJECTED)
    if kind is None:
        is_rejection = error.code.startswith(_REJECTIONS) or "policy" in error.code
        kind = FailureKind.REJECTED if is_rejection else FailureKind.ERROR
    return Failure(kind, f"its answer is an error, {shown_name(error.code)}")


def succeeded(answer: ModelAnswer | UpstreamError, new_id: Callable[[], str], now: Callable[[], float]) -> ModelAnswer:
    """An answer that has an id and a time.

    Raises:
        AttemptFailed: the upstream says that it failed.
    """
    if isinstance(answer, UpstreamError):
        raise AttemptFailed(failure_of(answer), answer.usage)
    return msgspec.structs.replace(answer, id=answer.id or new_id(), created=answer.created or int(now()))


def summary_of_answer(endpoint: Endpoint, answer: ModelAnswer) -> AnswerSummary:
    """What a record needs to know of an answer, in the words of the caller's dialect."""
    has_calls = any(isinstance(item, AnswerCall) for item in answer.output)
    has_refused = any(
        isinstance(part, AnswerRefusal)
        for item in answer.output
        if isinstance(item, AnswerMessage)
        for part in item.parts
    )
    finish_reason, terminal = _ending(endpoint, answer.end_reason, has_calls=has_calls, has_refused=has_refused)
    return AnswerSummary(
        response_id=_caller_id(endpoint, answer.id),
        served_model=answer.model,
        finish_reason=finish_reason,
        usage=answer.usage,
        terminal=terminal,
        text="" if answer.usage is not None else _text(answer),
        service_tier=answer.service_tier or "",
    )


def _ending(endpoint: Endpoint, end_reason: EndReason, *, has_calls: bool, has_refused: bool) -> tuple[str, Terminal]:
    """The finish reason and the terminal as the caller's dialect has them."""
    if endpoint in (Endpoint.CHAT, Endpoint.COMPLETIONS):
        return finish_reason_of(end_reason, has_calls=has_calls), "done"
    if endpoint is Endpoint.MESSAGES:
        return stop_reason_of(end_reason, has_calls=has_calls, has_refused=has_refused), "done"
    if endpoint is Endpoint.GENERATE_CONTENT:
        return gemini_finish_reason_of(end_reason, has_refused=has_refused), "done"
    return (end_reason, "incomplete") if end_reason else ("completed", "completed")


def _caller_id(endpoint: Endpoint, answer_id: str) -> str:
    if endpoint is Endpoint.MESSAGES:
        return message_id(answer_id)
    if endpoint is Endpoint.GENERATE_CONTENT:
        return answer_id
    if endpoint is Endpoint.COMPLETIONS:
        return completion_id(answer_id)
    return chat_id(answer_id) if endpoint is Endpoint.CHAT else response_id(answer_id)


def _text(answer: ModelAnswer) -> str:
    pieces: list[str] = []
    for item in answer.output:
        match item:
            case AnswerMessage():
                pieces.extend(part.text if isinstance(part, AnswerText) else part.refusal for part in item.parts)
            case AnswerReasoning() | AnswerCall():
                pieces.append(item.text)
    return "".join(pieces)
