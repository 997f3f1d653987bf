"""Messages of Anthropic's API: decoded into the canonical answer, and encoded from it."""

import re

import msgspec

from headworks.calls import NO_USAGE, UnreadableAnswer, Usage
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerItem,
    AnswerMessage,
    AnswerReasoning,
    AnswerRefusal,
    AnswerText,
    EndReason,
    ModelAnswer,
    Reasoning,
    SummaryText,
    UpstreamError,
    UrlCitation,
)
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_reasoning, sealed_thinking
from headworks.dialects.usage import MessagesUsage, messages_usage, read_messages_usage


class Citation(msgspec.Struct, frozen=True):
    """Where a passage comes from. Only sources with a URL can be told in the other dialects."""

    type: str
    url: str | None = None
    source: str | None = None
    title: str | None = None


class ContentBlock(msgspec.Struct, frozen=True):
    """A block of an answer, or how one begins in a stream. Fields that are not read here may be there: what a block
    *is* stands in its type, and an unknown type is refused."""

    type: str
    text: str = ""
    citations: tuple[Citation, ...] | None = None
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class StopDetails(msgspec.Struct, frozen=True):
    """What is said about a refusal."""

    category: str | None = None
    explanation: str | None = None


class MessagesError(msgspec.Struct, frozen=True):
    type: str | None = None
    message: str | None = None


class _Message(msgspec.Struct, frozen=True):
    type: str
    content: tuple[ContentBlock, ...] | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: MessagesError | None = None


_decode = msgspec.json.Decoder(_Message).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

_END_REASONS: dict[str, EndReason] = {
    "end_turn": "",
    "stop_sequence": "",
    "tool_use": "",
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "refusal": "content_filter",
}
"""`pause_turn` belongs to tools that the provider runs, which no bridge lets through."""

_TIERS = {"standard": "default"}
_REFUSED = "The model declined to answer."


def end_reason_of(stop_reason: str | None) -> EndReason:
    """What a stop reason means; an unknown one is an error, never a silent stop."""
    if stop_reason is None:
        raise UnreadableAnswer("the message has no stop reason")
    reason = _END_REASONS.get(stop_reason)
    if reason is None:
        raise UnreadableAnswer("the message has a stop reason that is not known here")
    return reason


def stop_reason_of(end_reason: EndReason, *, has_calls: bool, has_refused: bool) -> str:
    """The stop reason for an answer that ended so."""
    if has_refused or end_reason == "content_filter":
        return "refusal"
    if end_reason == "max_output_tokens":
        return "max_tokens"
    return "tool_use" if has_calls else "end_turn"


def refusal_words(stop_reason: str | None, details: StopDetails | None) -> str:
    """What a refusal says, "" for any other end. The text so far was the model's; this comes from its provider."""
    if stop_reason != "refusal":
        return ""
    return (details.explanation if details is not None else None) or _REFUSED


def service_tier_of(usage: MessagesUsage | None) -> str | None:
    """The tier that served the call, in the words of the OpenAI API."""
    tier = None if usage is None else usage.service_tier
    return None if tier is None else _TIERS.get(tier, tier)


def upstream_error(error: MessagesError, usage: MessagesUsage | None = None) -> UpstreamError:
    """The error object of an answer or of a stream, in canonical form."""
    return UpstreamError(
        error.type or "api_error",
        error.message or "The upstream failed and did not say why.",
        usage=None if usage is None else usage.stated(),
    )


def citation_of(citation: Citation, start: int, end: int) -> UrlCitation:
    """A citation of the text from `start` to `end`, in characters."""
    url = citation.url or citation.source
    if url is None:
        raise UnreadableAnswer("the message cites something that is not known here")
    return UrlCitation(url, citation.title or "", start, end)


def decode_messages_answer(body: bytes) -> ModelAnswer | UpstreamError:
    """The answer in a message.

    Raises:
        UnreadableAnswer: the body is not a message, or says things that are not known here.
    """
    try:
        message = _decode(body)
    except msgspec.ValidationError:
        raise UnreadableAnswer("the answer is not a message: it has another shape") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("the answer is not a message: it is not JSON") from None
    usage = read_messages_usage(message.usage)
    if message.type == "error":
        return upstream_error(message.error or MessagesError(), usage)
    if message.type != "message" or message.content is None:
        raise UnreadableAnswer("the answer is not a message: it has no content")
    return ModelAnswer(
        id=message.id or "",
        model=message.model or "",
        created=0,
        output=_output(message.content, refusal_words(message.stop_reason, message.stop_details)),
        end_reason=end_reason_of(message.stop_reason),
        usage=None if usage is None else usage.stated(),
        service_tier=service_tier_of(usage),
    )


def _output(content: tuple[ContentBlock, ...], refusal: str) -> tuple[AnswerItem, ...]:
    items: list[AnswerItem] = []
    parts: list[AnswerText | AnswerRefusal] = []

    def end_message() -> None:
        if parts:
            items.append(AnswerMessage(tuple(parts)))
        parts.clear()

    for block in content:
        if block.type == "text":
            cited = tuple(citation_of(one, 0, len(block.text)) for one in block.citations or ())
            parts.append(AnswerText(block.text, cited))
            continue
        end_message()
        match block.type:
            case "thinking":
                seal = sealed_thinking(ThinkingBlock(block.thinking, block.signature)) if block.signature else None
                items.append(AnswerReasoning(block.thinking, seal))
            case "redacted_thinking":
                items.append(AnswerReasoning("", sealed_thinking(RedactedThinkingBlock(block.data))))
            case "tool_use":
                items.append(AnswerCall("function", block.id, _named(block), input_text(block)))
            case _:
                raise UnreadableAnswer("the message has a block that is not known here")
    if refusal:
        parts.append(AnswerRefusal(refusal))
    end_message()
    return tuple(items) or (AnswerMessage((AnswerText(""),)),)


def input_text(block: ContentBlock) -> str:
    """The input of a tool use, as it stands.

    Raises:
        UnreadableAnswer: it is not an object, or not UTF-8.
    """
    raw = bytes(block.input)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise UnreadableAnswer("the message calls a tool with an input that is not UTF-8") from None
    if not raw.startswith(b"{"):
        raise UnreadableAnswer("the message calls a tool with an input that is not a JSON object")
    return text


def _named(block: ContentBlock) -> str:
    if not block.name:
        raise UnreadableAnswer("the message calls a tool without a name")
    return block.name


_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def message_id(answer_id: str) -> str:
    """The id of a message that stands for the answer `answer_id` of another dialect."""
    stem = _NOT_IN_ID.sub("", answer_id)
    for prefix in ("chatcmpl-", "resp_", "msg_"):
        stem = stem.removeprefix(prefix)
    return f"msg_{stem}"


def encode_messages_answer(answer: ModelAnswer) -> bytes:
    """The message that says what `answer` says.

    Raises:
        UnreadableAnswer: a tool call whose arguments are not a JSON object, which this API cannot say.
    """
    base = message_id(answer.id)
    content: list[dict[str, object]] = []
    has_calls = has_refused = False
    for item in answer.output:
        match item:
            case AnswerMessage():
                for part in item.parts:
                    has_refused = has_refused or isinstance(part, AnswerRefusal)
                    content += text_blocks(part)
            case AnswerReasoning():
                content.append(thinking_value(item))
            case AnswerCall():
                has_calls = True
                call_id = item.call_id or made_call_id(base, len(content))
                content.append(
                    {
                        "type": "tool_use",
                        "id": call_id,
                        "name": item.name,
                        "input": _input_of(item, is_cut=answer.end_reason != ""),
                    }
                )
    body = message_value(base, answer.model, content, answer.usage or NO_USAGE, answer.service_tier)
    body["stop_reason"] = stop_reason_of(answer.end_reason, has_calls=has_calls, has_refused=has_refused)
    return _encode(body)


def message_value(
    answer_id: str, model: str, content: list[dict[str, object]], usage: Usage, service_tier: str | None = None
) -> dict[str, object]:
    """A message that has not ended."""
    return {
        "id": answer_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": messages_usage(usage, service_tier),
    }


def made_call_id(base: str, index: int) -> str:
    """The id of a tool call whose upstream gave none, since its result must name it."""
    return f"toolu_{base.removeprefix('msg_')}_{index}"


def text_blocks(part: AnswerText | AnswerRefusal) -> list[dict[str, object]]:
    """The block that says what a part says; none for an empty one. A refusal is text here, and a stop reason."""
    if isinstance(part, AnswerRefusal):
        return [{"type": "text", "text": part.refusal, "citations": None}]
    if not part.text:
        return []
    cited = [citation_value(one, part.text) for one in part.citations]
    return [{"type": "text", "text": part.text, "citations": cited or None}]


def citation_value(citation: UrlCitation, text: str) -> dict[str, object]:
    """A citation as this API writes it."""
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": text[citation.start_index : citation.end_index],
        "encrypted_index": "",
    }


def thinking_value(item: AnswerReasoning) -> dict[str, object]:
    """Reasoning as a thinking block; unsigned where its upstream does not want it back."""
    return {"type": "thinking", "thinking": item.text, "signature": signature_of(item)}


def signature_of(item: AnswerReasoning) -> str:
    """What the caller hands back with the next turn, "" where there is nothing."""
    if item.encrypted_content is None:
        return ""
    return sealed_reasoning(Reasoning(item.id, summary_of(item.text), encrypted_content=item.encrypted_content))


def summary_of(text: str) -> tuple[SummaryText, ...]:
    """Readable reasoning as the summary of an item."""
    return (SummaryText(text),) if text else ()


def _input_of(call: AnswerCall, *, is_cut: bool) -> msgspec.Raw:
    text = call.text.strip() or "{}"
    try:
        _decode_object(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        if is_cut:
            return msgspec.Raw(b"{}")  # broken off; the stop reason says so
        raise UnreadableAnswer("the answer calls a tool with arguments that are not a JSON object") from None
    return msgspec.Raw(text.encode())
