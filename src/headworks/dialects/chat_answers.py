"""Chat completions: decoded into the canonical answer, and encoded from it."""

import re
from typing import Any

import msgspec

from headworks.calls import AttemptFailed, Failure, FailureKind, UnreadableAnswer
from headworks.dialects.canonical import (
    ABSENT,
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
    is_given,
)
from headworks.dialects.usage import chat_usage, read_chat_usage


class ChatFunction(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class ChatCustom(msgspec.Struct, frozen=True):
    name: str | None = None
    input: str | None = None


class ChatCall(msgspec.Struct, frozen=True):
    """A tool call, or a piece of one in a stream."""

    index: int = 0
    id: str | None = None
    type: str | None = None
    function: ChatFunction | None = None
    custom: ChatCustom | None = None


class _Citation(msgspec.Struct, frozen=True):
    url: str
    title: str
    start_index: int
    end_index: int


class ChatAnnotation(msgspec.Struct, frozen=True):
    type: str
    url_citation: _Citation | None = None


class ChatLogprobs(msgspec.Struct, frozen=True):
    content: tuple[Logprob, ...] | None = None


class ChatPart(msgspec.Struct, frozen=True):
    """A part of a content that is a list, as Mistral's models that reason have it: text, or `thinking` with parts of
    its own (Mistral, "Reasoning", 2026-11)."""

    text: str | None = None
    thinking: "tuple[ChatPart, ...] | None" = None


class ChatMessage(msgspec.Struct, frozen=True):
    """The message of a completion, or a piece of it in a stream. `reasoning_content` and `reasoning` are what other
    servers than OpenAI's call the readable reasoning."""

    content: str | tuple[ChatPart, ...] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[ChatCall, ...] | None = None
    annotations: tuple[ChatAnnotation, ...] | None = None
    audio: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT


class ChatError(msgspec.Struct, frozen=True):
    message: str | None = None
    code: str | int | None = None
    type: str | None = None
    param: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: ChatMessage
    finish_reason: str | None = None
    logprobs: ChatLogprobs | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    service_tier: str | None = None
    error: ChatError | str | None = None


_decode = msgspec.json.Decoder(_Completion).decode
_encode = msgspec.json.Encoder().encode

_END_REASONS: dict[str, EndReason] = {
    "stop": "",
    "tool_calls": "",
    "function_call": "",
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "eos": "",
    "end_turn": "",
    "model_length": "max_output_tokens",
}
"""The last three are other servers' words: Together's, xAI's, and Mistral's for a window that is full ("Chat
completions" of each, 2026-11)."""

_BROKEN_OFF = {
    "insufficient_system_resource": FailureKind.OVERLOADED,
    "error": FailureKind.ERROR,
    "abort": FailureKind.ERROR,
    "aborted": FailureKind.ERROR,
}
"""Reasons of DeepSeek's, OpenRouter's, Mistral's and vLLM's which say that the answer has failed."""

_FINISH_REASONS: dict[EndReason, str] = {"max_output_tokens": "length", "content_filter": "content_filter"}


def end_reason_of(finish_reason: str | None) -> EndReason:
    """What Chat's finish reason means; an unknown one is an error, never a silent stop.

    Raises:
        AttemptFailed: it says that the answer failed, or is not known.
    """
    if finish_reason is None:
        raise UnreadableAnswer("the chat completion has no finish reason")
    if finish_reason in _BROKEN_OFF:
        kind = _BROKEN_OFF[finish_reason]
        raise AttemptFailed(Failure(kind, f"the chat completion broke off: {finish_reason}"))
    reason = _END_REASONS.get(finish_reason)
    if reason is None:
        raise UnreadableAnswer("the chat completion has a finish reason that is not known here")
    return reason


def finish_reason_of(end_reason: EndReason, *, has_calls: bool) -> str:
    """Chat's finish reason for an answer that ended so."""
    return _FINISH_REASONS.get(end_reason) or ("tool_calls" if has_calls else "stop")


def upstream_error(error: ChatError | str, **details: Any) -> UpstreamError:
    """The error object of a chat answer or stream, in canonical form."""
    if isinstance(error, str):
        return UpstreamError("upstream_error", error, **details)
    code = str(error.code or error.type or "upstream_error")
    return UpstreamError(code, error.message or "The upstream failed and did not say why.", error.param, **details)


def citation_of(annotation: ChatAnnotation) -> UrlCitation:
    """A chat annotation in canonical form."""
    if annotation.url_citation is None:
        raise UnreadableAnswer("the chat completion has an annotation that is not known here")
    cited = annotation.url_citation
    return UrlCitation(cited.url, cited.title, cited.start_index, cited.end_index)


def chat_annotation(citation: UrlCitation) -> dict[str, object]:
    """A citation as Chat writes it."""
    return {
        "type": "url_citation",
        "url_citation": {
            "url": citation.url,
            "title": citation.title,
            "start_index": citation.start_index,
            "end_index": citation.end_index,
        },
    }


def decode_chat_answer(body: bytes) -> ModelAnswer | UpstreamError:
    """The answer in a chat completion.

    Raises:
        UnreadableAnswer: the body is not a completion with one choice, or says things that are not known here.
    """
    try:
        completion = _decode(body)
    except msgspec.ValidationError:
        raise UnreadableAnswer("the answer is not a chat completion: it has another shape") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("the answer is not a chat completion: it is not JSON") from None
    usage = read_chat_usage(completion.usage)
    if completion.error is not None:
        return upstream_error(completion.error, usage=usage, id=completion.id or "", model=completion.model or "")
    if len(completion.choices) != 1:
        raise UnreadableAnswer(f"the chat completion has {len(completion.choices)} choices where one was asked for")
    choice = completion.choices[0]
    return ModelAnswer(
        id=completion.id or "",
        model=completion.model or "",
        created=int(completion.created or 0),
        output=_output(choice.message, choice.logprobs),
        end_reason=end_reason_of(choice.finish_reason),
        usage=usage,
        service_tier=completion.service_tier,
    )


def contents_of(message: ChatMessage) -> tuple[str, str]:
    """What is said in a message or a piece of one, and what was thought before it."""
    thought = message.reasoning_content or message.reasoning or ""
    content = message.content
    if content is None or isinstance(content, str):
        return content or "", thought
    thoughts = [inner.text or "" for part in content for inner in part.thinking or ()]
    return "".join(part.text or "" for part in content), thought + "".join(thoughts)


def refuse_unasked(message: ChatMessage) -> None:
    """Audio and the forerunner of tool calls are never asked for through a bridge."""
    if is_given(message.audio) or is_given(message.function_call):
        raise UnreadableAnswer("the chat completion has audio or a function_call that was not asked for")


def _output(message: ChatMessage, logprobs: ChatLogprobs | None) -> tuple[AnswerItem, ...]:
    refuse_unasked(message)
    items: list[AnswerItem] = []
    content, reasoning = contents_of(message)
    if reasoning:
        items.append(AnswerReasoning(reasoning))
    parts: list[AnswerText | AnswerRefusal] = []
    if content or not (message.refusal or message.tool_calls):
        citations = tuple(citation_of(one) for one in message.annotations or ())
        tokens = logprobs.content or () if logprobs is not None else ()
        parts.append(AnswerText(content, citations, tokens))
    if message.refusal:
        parts.append(AnswerRefusal(message.refusal))
    if parts:
        items.append(AnswerMessage(tuple(parts)))
    items.extend(_call(call) for call in message.tool_calls or ())
    return tuple(items)


def _call(call: ChatCall) -> AnswerCall:
    if call.function is not None and call.function.name:
        return AnswerCall("function", call.id or "", call.function.name, call.function.arguments or "")
    if call.custom is not None and call.custom.name:
        return AnswerCall("custom", call.id or "", call.custom.name, call.custom.input or "")
    raise UnreadableAnswer("the chat completion calls a tool without a name")


_ID = re.compile(r"[^A-Za-z0-9_-]")


def chat_id(answer_id: str) -> str:
    """The id of a completion that stands for the answer `answer_id`: its own where that is a completion's."""
    return "chatcmpl-" + _ID.sub("", answer_id).removeprefix("resp_").removeprefix("chatcmpl-")


def encode_chat_answer(answer: ModelAnswer) -> bytes:
    """The chat completion that says what `answer` says. Several messages become one; readable reasoning is written as
    `reasoning_content`, the name that most servers use."""
    texts = [part for item in answer.output if isinstance(item, AnswerMessage) for part in item.parts]
    text = "".join(part.text for part in texts if isinstance(part, AnswerText))
    refusal = "".join(part.refusal for part in texts if isinstance(part, AnswerRefusal))
    calls = [item for item in answer.output if isinstance(item, AnswerCall)]
    reasoning = "\n\n".join(item.text for item in answer.output if isinstance(item, AnswerReasoning) and item.text)
    logprobs = [one for part in texts if isinstance(part, AnswerText) for one in part.logprobs]
    message: dict[str, object] = {
        "role": "assistant",
        "content": text if text or not (refusal or calls) else None,
        "refusal": refusal or None,
        "annotations": [chat_annotation(one) for one in shifted_citations(texts)],
    }
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [chat_call(call) for call in calls]
    choice: dict[str, object] = {
        "index": 0,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if logprobs else None,
        "finish_reason": finish_reason_of(answer.end_reason, has_calls=bool(calls)),
    }
    body: dict[str, object] = {
        "id": chat_id(answer.id),
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [choice],
    }
    if answer.usage is not None:
        body["usage"] = chat_usage(answer.usage)
    if answer.service_tier is not None:
        body["service_tier"] = answer.service_tier
    return _encode(body)


def shifted_citations(parts: list[AnswerText | AnswerRefusal]) -> list[UrlCitation]:
    """The citations of texts that are joined into one: their indices count from its beginning."""
    citations: list[UrlCitation] = []
    before = 0
    for part in parts:
        if isinstance(part, AnswerText):
            citations.extend(
                UrlCitation(one.url, one.title, one.start_index + before, one.end_index + before)
                for one in part.citations
            )
            before += len(part.text)
    return citations


def chat_call(call: AnswerCall) -> dict[str, object]:
    """A tool call as Chat writes it."""
    if call.kind == "function":
        return {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.text}}
    return {"id": call.call_id, "type": "custom", "custom": {"name": call.name, "input": call.text}}
