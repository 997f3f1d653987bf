"""Bridges: one call, asked in one dialect and answered by an upstream that speaks another.

    bridge = BRIDGES[Endpoint.RESPONSES](body)        # a Responses request, an upstream that speaks only Chat
    upstream_body = bridge.request(body, "gpt-6-luna")
    body, summary = bridge.answer(upstream_answer)    # or, for a stream:
    steps = bridge.stream()
    forward(steps.feed(chunk))

A bridge is made of a dialect's decoder and another one's encoder, with the canonical form between them.
"""

import io
import re
import secrets
from collections.abc import Callable
from typing import Protocol

import msgspec

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind, UnreadableAnswer, Usage
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerMessage,
    AnswerReasoning,
    AnswerText,
    EndReason,
    ModelAnswer,
    UpstreamError,
)
from headworks.dialects.chat_answers import chat_id, decode_chat_answer, encode_chat_answer, finish_reason_of
from headworks.dialects.chat_requests import decode_chat_request, encode_chat_request, reads_usage
from headworks.dialects.chat_streams import ChatDecoder, ChatEncoder
from headworks.dialects.events import Called, Cited, Ended, Started, StreamDecoder, StreamEncoder
from headworks.dialects.reading import read_fields
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


class Bridge(Protocol):
    """One call between two dialects."""

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens") -> bytes:
        """The body to send upstream, asking `model`. `limit_name` is what a Chat upstream calls the output limit.

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

    def stream(self) -> "TranslatedStream":
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
        "_is_open",
        "_new_id",
        "_started",
        "_text",
        "is_complete",
    )

    def __init__(
        self, endpoint: Endpoint, decoder: StreamDecoder, encoder: StreamEncoder, new_id: Callable[[], str]
    ) -> None:
        self.is_complete = False
        self._endpoint = endpoint
        self._decoder = decoder
        self._encoder = encoder
        self._new_id = new_id
        self._is_open = False
        self._has_calls = False
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
        out = []
        for event in self._decoder.feed(data):
            if isinstance(event, Started):
                self._started = event if event.id else msgspec.structs.replace(event, id=self._new_id())
                out.append(self._encoder.encode(self._started))
                continue
            if isinstance(event, UpstreamError):
                self._error = event
                self.is_complete = True
                if not self._is_open:
                    raise AttemptFailed(failure_of(event), event.usage)
            elif not self._started.id:
                raise UnreadableAnswer("the stream went on or ended before it began")
            elif isinstance(event, Ended):
                self._ended = event
                self.is_complete = True
            elif not isinstance(event, Cited):
                if isinstance(event, Called):
                    self._has_calls = True
                if self._text.tell() < MAX_TEXT:
                    self._text.write(event.text)
            self._is_open = True
            out.append(self._encoder.encode(event))
        return b"".join(out)

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
            finish_reason, terminal = _ending(self._endpoint, self._ended.end_reason, has_calls=self._has_calls)
        return AnswerSummary(
            response_id=_caller_id(self._endpoint, self._started.id) if self._started.id else "",
            served_model=self._started.model,
            finish_reason=finish_reason,
            usage=usage,
            terminal=terminal,
            error_code=error_code,
            text=self._text.getvalue(),
        )


def _random_id() -> str:
    return secrets.token_hex(16)


class ResponsesOverChat:
    """A `Bridge` for callers of the Responses API to an upstream that speaks Chat.

    Arguments:
        body: the caller's request.
        new_id: makes an id for an answer whose upstream gives none.
    """

    __slots__ = ("_fields", "_new_id")

    def __init__(self, body: bytes, new_id: Callable[[], str] = _random_id) -> None:
        self._fields = read_fields(body)
        self._new_id = new_id

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens") -> bytes:  # noqa: ARG002 - read before
        """The chat request; see `Bridge`."""
        asked = decode_responses_request(self._fields)
        return encode_chat_request(msgspec.structs.replace(asked, model=model), limit_name=limit_name)

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The response object; see `Bridge`."""
        answer = succeeded(decode_chat_answer(body), self._new_id)
        return encode_responses_answer(answer, ResponseFrame(self._fields, answer.id)), summary_of_answer(
            Endpoint.RESPONSES, answer
        )

    def stream(self) -> TranslatedStream:
        """Fresh steps for a stream; see `Bridge`."""
        return TranslatedStream(Endpoint.RESPONSES, ChatDecoder(), ResponsesEncoder(self._fields), self._new_id)


class ChatOverResponses:
    """A `Bridge` for callers of Chat Completions to an upstream that speaks only Responses.

    Arguments:
        body: the caller's request.
        new_id: makes an id for an answer whose upstream gives none.
    """

    __slots__ = ("_fields", "_new_id")

    def __init__(self, body: bytes, new_id: Callable[[], str] = _random_id) -> None:
        self._fields = read_fields(body)
        self._new_id = new_id

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens") -> bytes:  # noqa: ARG002 - as above
        """The Responses request; see `Bridge`."""
        asked = decode_chat_request(self._fields)
        # Chat stores only what it is told to store, Responses everything that it is not told not to.
        return encode_responses_request(msgspec.structs.replace(asked, model=model, store=bool(asked.store)))

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The chat completion; see `Bridge`."""
        answer = succeeded(decode_responses_answer(body), self._new_id)
        return encode_chat_answer(answer), summary_of_answer(Endpoint.CHAT, answer)

    def stream(self) -> TranslatedStream:
        """Fresh steps for a stream; see `Bridge`."""
        encoder = ChatEncoder(includes_usage=reads_usage(self._fields))
        return TranslatedStream(Endpoint.CHAT, ResponsesDecoder(), encoder, self._new_id)


BRIDGES: dict[Endpoint, Callable[[bytes], Bridge]] = {
    Endpoint.RESPONSES: ResponsesOverChat,
    Endpoint.CHAT: ChatOverResponses,
}
"""By the endpoint that is called: what makes a bridge from the caller's request."""

_KINDS = {
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "insufficient_quota": FailureKind.QUOTA,
    "server_error": FailureKind.ERROR,
    "internal_server_error": FailureKind.ERROR,
    "upstream_error": FailureKind.ERROR,
    "failed": FailureKind.ERROR,
    "cancelled": FailureKind.ERROR,
    "server_overloaded": FailureKind.OVERLOADED,
    "overloaded_error": FailureKind.OVERLOADED,
    "vector_store_timeout": FailureKind.TIMEOUT,
}
_STATUS = re.compile("[45][0-9][0-9]")
_STATUS_KINDS = {
    "401": FailureKind.UNAUTHORIZED,
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


def succeeded(answer: ModelAnswer | UpstreamError, new_id: Callable[[], str]) -> ModelAnswer:
    """An answer that has an id.

    Raises:
        AttemptFailed: the upstream says that it failed.
    """
    if isinstance(answer, UpstreamError):
        raise AttemptFailed(failure_of(answer), answer.usage)
    return answer if answer.id else msgspec.structs.replace(answer, id=new_id())


def summary_of_answer(endpoint: Endpoint, answer: ModelAnswer) -> AnswerSummary:
    """What a record needs to know of an answer, in the words of the caller's dialect."""
    has_calls = any(isinstance(item, AnswerCall) for item in answer.output)
    finish_reason, terminal = _ending(endpoint, answer.end_reason, has_calls=has_calls)
    return AnswerSummary(
        response_id=_caller_id(endpoint, answer.id),
        served_model=answer.model,
        finish_reason=finish_reason,
        usage=answer.usage,
        terminal=terminal,
        text="" if answer.usage is not None else _text(answer),
    )


def _ending(endpoint: Endpoint, end_reason: EndReason, *, has_calls: bool) -> tuple[str, Terminal]:
    """The finish reason and the terminal as the caller's dialect has them."""
    if endpoint is Endpoint.CHAT:
        return finish_reason_of(end_reason, has_calls=has_calls), "done"
    return (end_reason, "incomplete") if end_reason else ("completed", "completed")


def _caller_id(endpoint: Endpoint, answer_id: str) -> str:
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
