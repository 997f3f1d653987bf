"""Summing up a whole answer that is relayed as it is: only what a record needs is decoded."""

import msgspec

from headworks.calls import Failure, FailureKind
from headworks.dialects.bridging import failure_of
from headworks.dialects.canonical import UpstreamError
from headworks.dialects.summary import AnswerSummary, Terminal
from headworks.dialects.usage import (
    IN_CONTAINER,
    NO_TOOLS,
    NOT_HOSTED,
    ChatUsage,
    HostedUse,
    ResponsesUsage,
    read_chat_usage,
    with_tools,
)


class _Error(msgspec.Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


class _Choice(msgspec.Struct, frozen=True):
    finish_reason: str | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...]
    id: str | None = None
    model: str | None = None
    usage: ChatUsage | None = None
    service_tier: str | None = None


class _BareCompletion(msgspec.Struct, frozen=True):
    """A completion whose usage cannot be read: it is still an answer."""

    choices: tuple[_Choice, ...]
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None


class _Incomplete(msgspec.Struct, frozen=True):
    reason: str | None = None


class _Response(msgspec.Struct, frozen=True):
    id: str
    output: tuple[msgspec.Raw, ...]
    model: str | None = None
    status: str | None = None
    usage: ResponsesUsage | None = None
    incomplete_details: _Incomplete | None = None
    error: _Error | None = None
    service_tier: str | None = None
    tool_usage: msgspec.Raw = NO_TOOLS


class _BareResponse(msgspec.Struct, frozen=True):
    """A response whose usage cannot be read."""

    id: str
    output: tuple[msgspec.Raw, ...]
    model: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    error: _Error | None = None
    service_tier: str | None = None


class _Embeddings(msgspec.Struct, frozen=True):
    data: msgspec.Raw
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Function(msgspec.Struct, frozen=True):
    arguments: str | None = None
    input: str | None = None


class _Piece(msgspec.Struct, frozen=True):
    """Whatever part of an answer can carry text that a model generated."""

    content: "str | tuple[_Piece, ...] | None" = None
    summary: "tuple[_Piece, ...] | None" = None
    text: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    arguments: str | None = None
    input: str | None = None
    tool_calls: "tuple[_Piece, ...] | None" = None
    function: _Function | None = None
    custom: _Function | None = None


class _ChoiceText(msgspec.Struct, frozen=True):
    message: _Piece | None = None


class _CompletionText(msgspec.Struct, frozen=True):
    choices: tuple[_ChoiceText, ...]


_decode_completion = msgspec.json.Decoder(_Completion).decode
_decode_response = msgspec.json.Decoder(_Response).decode
_decode_embeddings = msgspec.json.Decoder(_Embeddings).decode
_decode_completion_text = msgspec.json.Decoder(_CompletionText).decode
_decode_piece = msgspec.json.Decoder(_Piece).decode

_decode_bare_completion = msgspec.json.Decoder(_BareCompletion).decode
_decode_bare_response = msgspec.json.Decoder(_BareResponse).decode

_decode_error = msgspec.json.Decoder(_ErrorBody).decode

_FILE_SEARCH = b'"file_search_call"'
_RUNS = tuple(b'"%b"' % kind.encode() for kind in IN_CONTAINER)
"""In an item of the output, unescaped: nothing that a model writes can look like it."""

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read_chat_answer(body: bytes) -> AnswerSummary | Failure:
    """A chat completion, summed up; a `Failure` of kind INVALID when the body is not one."""
    answer: _Completion | _BareCompletion
    try:
        answer = _decode_completion(body)
    except _UNREADABLE:
        try:
            answer = _decode_bare_completion(body)
        except _UNREADABLE as error:
            return _told_failure(body) or _invalid("a chat completion", error)
    usage = answer.usage.stated() if isinstance(answer, _Completion) and answer.usage is not None else None
    return AnswerSummary(
        answer.id or "",
        answer.model or "",
        (answer.choices and answer.choices[0].finish_reason) or _first_reason(answer.choices),
        usage,
        "done",
        "",
        "" if usage is not None else _completion_text(body),
        answer.service_tier or "",
    )


def _first_reason(choices: tuple[_Choice, ...]) -> str:
    for choice in choices:
        if choice.finish_reason:
            return choice.finish_reason
    return ""


def _hosted_use(output: tuple[msgspec.Raw, ...]) -> HostedUse:
    searches = runs = 0
    for item in map(bytes, output):
        searches += _FILE_SEARCH in item
        runs += _RUNS[0] in item or _RUNS[1] in item
    return HostedUse(searches, runs) if searches or runs else NOT_HOSTED


def read_responses_answer(body: bytes) -> AnswerSummary | Failure:
    """A response, summed up; a `Failure` of kind INVALID when the body is not one.

    A response that is still queued or in progress (`background`) has the terminal *none*.
    """
    answer: _Response | _BareResponse
    try:
        answer = _decode_response(body)
    except _UNREADABLE:
        try:
            answer = _decode_bare_response(body)
        except _UNREADABLE as error:
            return _invalid("a response", error)
    usage = answer.usage.stated() if isinstance(answer, _Response) and answer.usage is not None else None
    if isinstance(answer, _Response):
        used = _hosted_use(answer.output)
        if used is not NOT_HOSTED or answer.tool_usage is not NO_TOOLS:
            usage = with_tools(usage, answer.tool_usage, used)
    status = answer.status or "completed"
    reason = answer.incomplete_details.reason if answer.incomplete_details is not None else None
    return AnswerSummary(
        response_id=answer.id,
        served_model=answer.model or "",
        finish_reason=(reason if status == "incomplete" else None) or status,
        usage=usage,
        terminal=_TERMINALS.get(status, "none"),
        error_code=str(answer.error.code or answer.error.type or "error") if answer.error is not None else "",
        text="" if usage is not None else _output_text(answer.output),
        service_tier=answer.service_tier or "",
    )


def read_embeddings_answer(body: bytes) -> AnswerSummary | Failure:
    """An embeddings answer, summed up; a `Failure` of kind INVALID when the body is not one."""
    try:
        answer = _decode_embeddings(body)
    except _UNREADABLE as error:
        return _invalid("an embeddings answer", error)
    if not bytes(answer.data).startswith(b"["):
        return Failure(FailureKind.INVALID, "the answer is not an embeddings answer: its data is no list")
    return AnswerSummary(
        served_model=answer.model or "",
        usage=read_chat_usage(answer.usage),
        terminal="done",
    )


_TERMINALS: dict[str, Terminal] = {
    "completed": "completed",
    "incomplete": "incomplete",
    "cancelled": "incomplete",
    "failed": "failed",
}


def _completion_text(body: bytes) -> str:
    try:
        answer = _decode_completion_text(body)
    except _UNREADABLE:
        return ""
    return "".join(_texts(choice.message) for choice in answer.choices if choice.message is not None)


def _output_text(output: tuple[msgspec.Raw, ...]) -> str:
    parts = []
    for item in output:
        try:
            parts.append(_texts(_decode_piece(item)))
        except _UNREADABLE:
            continue  # an item of another shape: it adds nothing to what is counted
    return "".join(parts)


def _texts(piece: _Piece) -> str:
    own = (piece.text, piece.refusal, piece.reasoning_content, piece.arguments, piece.input)
    parts = [text for text in own if text]
    if isinstance(piece.content, str):
        parts.append(piece.content)
    else:
        parts.extend(_texts(inner) for inner in piece.content or ())
    parts.extend(_texts(inner) for inner in piece.summary or ())
    parts.extend(_texts(inner) for inner in piece.tool_calls or ())
    parts.extend(call.arguments or call.input or "" for call in (piece.function, piece.custom) if call is not None)
    return "".join(parts)


def _told_failure(body: bytes) -> Failure | None:
    """The failure that a body tells although its status is 200, as OpenRouter's do ("Errors and Debugging", 2026-11);
    None where it tells none."""
    try:
        error = _decode_error(body).error
    except _UNREADABLE:
        return None
    return failure_of(UpstreamError(str(error.code or error.type or "upstream_error"), ""))


def _invalid(what: str, error: Exception) -> Failure:
    reason = "it has another shape" if isinstance(error, msgspec.ValidationError) else "it is not JSON"
    return Failure(FailureKind.INVALID, f"the answer is not {what}: {reason}")
