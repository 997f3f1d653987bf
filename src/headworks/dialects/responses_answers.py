"""Response objects: decoded into the canonical answer, and encoded from it."""

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from headworks.calls import UnreadableAnswer
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerItem,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    EndReason,
    Logprob,
    ModelAnswer,
    UpstreamError,
    UrlCitation,
)
from headworks.dialects.reading import Fields
from headworks.dialects.usage import NO_TOOLS, NOT_HOSTED, HostedUse, ResponsesUsage, responses_usage, with_tools


class ResponseAnnotation(msgspec.Struct, frozen=True):
    type: str
    url: str = ""
    title: str = ""
    start_index: int = 0
    end_index: int = 0


class ResponsePart(msgspec.Struct, frozen=True):
    """A part of a message, of a reasoning item's content or of its summary."""

    type: str
    text: str = ""
    refusal: str = ""
    annotations: tuple[ResponseAnnotation, ...] | None = None
    logprobs: tuple[Logprob, ...] | None = None


class ResponseItem(msgspec.Struct, frozen=True):
    """An output item of any type. Fields that are not read here may be there: they add to an item, what an item
    *is* stands in its type, and an unknown type is refused."""

    type: str
    id: str | None = None
    content: tuple[ResponsePart, ...] | None = None
    summary: tuple[ResponsePart, ...] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    encrypted_content: str | None = None


class _Incomplete(msgspec.Struct, frozen=True):
    reason: str | None = None


class ResponseError(msgspec.Struct, frozen=True):
    code: str | None = None
    message: str | None = None
    param: str | None = None


class ResponseObject(msgspec.Struct, frozen=True):
    """What is read of a response; of the fields that repeat the request only what the provider makes of `store`."""

    id: str | None = None
    model: str | None = None
    created_at: int | float | None = None
    status: str | None = None
    output: tuple[ResponseItem, ...] | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    tool_usage: msgspec.Raw = NO_TOOLS
    incomplete_details: _Incomplete | None = None
    error: ResponseError | None = None
    service_tier: str | None = None
    store: bool | None = None


HOSTED_ITEMS = frozenset(
    {
        *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"),
        *("mcp_call", "mcp_list_tools", "tool_search_call", "tool_search_output", "program", "program_output"),
        "compaction",
    }
)
"""Items of tools that have run at the provider (`ResponseOutputItem` of the SDK, openai 3.51): there is nothing that
the caller has to do about them. What a caller would have to run (a shell, a computer) is not among them."""

NO_REASON = "The upstream failed and did not say why."

_decode = msgspec.json.Decoder(ResponseObject).decode
_decode_usage = msgspec.json.Decoder(ResponsesUsage).decode
_encode = msgspec.json.Encoder().encode


def decode_responses_answer(body: bytes, *, skips_hosted: bool = False) -> ModelAnswer | UpstreamError:
    """The answer in a response object; a failed or cancelled response is an `UpstreamError`.

    Arguments:
        skips_hosted: pass over what tools at the provider have done, and what they cite: for who reads an answer that
            goes on as it is.

    Raises:
        UnreadableAnswer: the body is not a finished response, or says things that are not known here.
    """
    try:
        response = _decode(body)
    except msgspec.ValidationError:
        raise UnreadableAnswer("the answer is not a response: it has another shape") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("the answer is not a response: it is not JSON") from None
    if response.output is None and response.error is None:
        raise UnreadableAnswer("the answer is not a response: it has no output")
    used = HostedUse.of(item.type for item in response.output or ())
    if skips_hosted and response.output is not None:
        response = msgspec.structs.replace(response, output=tuple(_without_hosted(response.output)))
    return answer_of(response, used)


def _without_hosted(output: tuple[ResponseItem, ...]) -> Iterator[ResponseItem]:
    for item in output:
        if item.type in HOSTED_ITEMS:
            continue
        if item.type == "message" and any(part.annotations for part in item.content or ()):
            parts = (msgspec.structs.replace(part, annotations=None) for part in item.content or ())
            item = msgspec.structs.replace(item, content=tuple(parts))  # noqa: PLW2901 - the same, less its notes
        yield item


def answer_of(response: ResponseObject, used: HostedUse = NOT_HOSTED) -> ModelAnswer | UpstreamError:
    """The canonical form of a finished response.

    Arguments:
        used: how often tools ran at the provider for it, which its usage does not say.
    """
    usage = None
    try:
        usage = _decode_usage(response.usage).stated()
        if response.tool_usage is not NO_TOOLS or used:
            usage = with_tools(usage, response.tool_usage, used)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        usage = None  # null, or not a usage: then there is none
    identity = {"id": response.id or "", "model": response.model or ""}
    if response.error is not None or response.status in ("failed", "cancelled"):
        error = response.error or ResponseError()
        return UpstreamError(
            error.code or response.status or "upstream_error",
            error.message or NO_REASON,
            error.param,
            usage,
            **identity,
        )
    return ModelAnswer(
        **identity,
        created=int(response.created_at or 0),
        output=tuple(item for one in response.output or () for item in _answer_items(one)),
        end_reason=end_reason_of(response),
        usage=usage,
        service_tier=response.service_tier,
        is_stored=response.store is True,
    )


def end_reason_of(response: ResponseObject) -> EndReason:
    """Why a response ended; a status or reason that is not known is an error, never a silent stop."""
    if response.status in ("completed", None):
        return ""
    reason = response.incomplete_details.reason if response.incomplete_details is not None else None
    if response.status == "incomplete":
        if reason == "max_output_tokens":
            return "max_output_tokens"
        if reason == "content_filter":
            return "content_filter"
    raise UnreadableAnswer("the response has a status or a reason that is not known here")


def _answer_items(item: ResponseItem) -> list[AnswerItem]:
    match item.type:
        case "message":
            return [AnswerMessage(tuple(_answer_part(part) for part in item.content or ()))]
        case "reasoning":
            text = reasoning_text(item)
            is_there = text or item.encrypted_content
            return [AnswerReasoning(text, item.encrypted_content, item.id)] if is_there else []
        case "function_call":
            return [AnswerCall("function", item.call_id or "", item.name or "", item.arguments or "")]
        case "custom_tool_call":
            return [AnswerCall("custom", item.call_id or "", item.name or "", item.input or "")]
        case _:
            raise UnreadableAnswer("the response has an item that is not known here")


def reasoning_text(item: ResponseItem) -> str:
    """What can be read of a reasoning item: its content, else its summary."""
    return "\n\n".join(part.text for part in item.content or item.summary or ())


def _answer_part(part: ResponsePart) -> AnswerText | AnswerRefusal:
    if part.type == "refusal":
        return AnswerRefusal(part.refusal)
    if part.type != "output_text":
        raise UnreadableAnswer("the response has a part that is not known here")
    return AnswerText(part.text, tuple(citation_of(one) for one in part.annotations or ()), part.logprobs or ())


def citation_of(annotation: ResponseAnnotation) -> UrlCitation:
    """An annotation in canonical form; citations of files come only from hosted tools, which no bridge lets through."""
    if annotation.type != "url_citation":
        raise UnreadableAnswer("the response has an annotation that is not known here")
    return UrlCitation(annotation.url, annotation.title, annotation.start_index, annotation.end_index)


_ID = re.compile(r"[^A-Za-z0-9_-]")
_NULL = msgspec.Raw(b"null")


def response_id(answer_id: str) -> str:
    """The id of a response that stands for the answer `answer_id` of another dialect. One of this dialect stays as it
    is: the caller may go on from it."""
    return "resp_" + _stem(answer_id)


def _stem(answer_id: str) -> str:
    return _ID.sub("", answer_id).removeprefix("chatcmpl-").removeprefix("resp_")


_ECHOED: dict[str, object] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a response that repeat the request, and what they say when it did not."""


_ABSENT: dict[str, object] = {
    "completed_at": None,
    "conversation": None,
    "moderation": None,
    "prompt": None,
    "prompt_cache_options": None,
}
"""Fields of a response that nothing on the other side of a bridge can fill."""


class ResponseFrame:
    """Everything of a response object but its output: what the request said, and who answers."""

    __slots__ = ("_echo", "base")

    def __init__(self, fields: Fields, answer_id: str) -> None:
        """`fields` are the top-level fields of the request that is answered."""
        # Whether it is stored the answer says, not the request: across a bridge there is nowhere to store it.
        self._echo = _ECHOED | {name: value for name, value in fields.items() if name in _ECHOED and value != _NULL}
        self.base = _stem(answer_id)

    def response(
        self,
        head: "ModelAnswer",
        status: Literal["in_progress", "completed", "incomplete", "failed"],
        output: list[dict[str, object]],
        error: UpstreamError | None = None,
    ) -> dict[str, object]:
        """A response object with this output."""
        return {
            "id": f"resp_{self.base}",
            "object": "response",
            "created_at": head.created,
            "status": status,
            "error": None if error is None else {"code": error.code, "message": error.message},
            "incomplete_details": {"reason": head.end_reason} if status == "incomplete" else None,
            "model": head.model,
            "output": output,
            "usage": None if head.usage is None else responses_usage(head.usage),
            "service_tier": head.service_tier,
            **_ABSENT,
            **self._echo,
            "store": head.is_stored,
        }

    def message_id(self, index: int) -> str:
        """The id of the message at `output[index]`."""
        return f"msg_{self.base}_{index}"

    def item_id(self, prefix: str, index: int) -> str:
        """The id of another item at `output[index]`: `fc`, `ctc`, `rs`."""
        return f"{prefix}_{self.base}_{index}"

    def call_id(self, call: str, index: int) -> str:
        """The id of a tool call; one is made for servers that give none, since its output must name it."""
        return call or f"call_{self.base}_{index}"


def encode_responses_answer(answer: ModelAnswer, frame: ResponseFrame) -> bytes:
    """The response object that says what `answer` says."""
    output = [item_value(item, frame, index, is_done=True) for index, item in enumerate(answer.output)]
    if answer.end_reason and output:
        output[-1]["status"] = "incomplete"
    return _encode(frame.response(answer, "incomplete" if answer.end_reason else "completed", output))


def item_value(item: AnswerItem, frame: ResponseFrame, index: int, *, is_done: bool) -> dict[str, object]:
    """An output item as this API writes it."""
    status = "completed" if is_done else "in_progress"
    match item:
        case AnswerMessage():
            return {
                "id": frame.message_id(index),
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": [part_value(part) for part in item.parts],
            }
        case AnswerReasoning():
            value: dict[str, object] = {"id": frame.item_id("rs", index), "type": "reasoning", "summary": []}
            value["content"] = [{"type": "reasoning_text", "text": item.text}] if is_done and item.text else []
            if item.encrypted_content is not None:
                value["encrypted_content"] = item.encrypted_content
            value["status"] = status
            return value
        case AnswerCall():
            is_function = item.kind == "function"
            return {
                "id": frame.item_id("fc" if is_function else "ctc", index),
                "type": "function_call" if is_function else "custom_tool_call",
                "status": status,
                "call_id": frame.call_id(item.call_id, index),
                "name": item.name,
                "arguments" if is_function else "input": item.text,
            }


def part_value(part: AnswerText | AnswerRefusal) -> dict[str, object]:
    """A part of a message as this API writes it."""
    if isinstance(part, AnswerRefusal):
        return {"type": "refusal", "refusal": part.refusal}
    return {
        "type": "output_text",
        "text": part.text,
        "annotations": part.citations,
        "logprobs": [with_bytes(one) for one in part.logprobs],
    }


def with_bytes(logprob: Logprob) -> dict[str, Any]:
    """A token with its bytes, which this API requires and others may leave out."""
    return {
        "token": logprob.token,
        "logprob": logprob.logprob,
        "bytes": logprob.bytes if logprob.bytes is not None else tuple(logprob.token.encode("utf-8", "replace")),
        "top_logprobs": [
            {
                "token": one.token,
                "logprob": one.logprob,
                "bytes": one.bytes if one.bytes is not None else tuple(one.token.encode("utf-8", "replace")),
            }
            for one in logprob.top_logprobs
        ],
    }
