"""Answers of AWS's Converse API (Amazon Bedrock), decoded into the canonical form."""

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
    ModelAnswer,
    UpstreamError,
    UrlCitation,
)
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_thinking
from headworks.dialects.usage import read_converse_usage

_NULL = msgspec.Raw(b"null")


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Fields that are not read here may be there: what a block *is* stands in the field that is set."""


class _ReasoningText(_Wire, frozen=True):
    text: str = ""
    signature: str = ""


class Reasoned(_Wire, frozen=True):
    """A block of reasoning."""

    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _ToolUse(_Wire, frozen=True):
    tool_use_id: str
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Web(_Wire, frozen=True):
    url: str | None = None


class _Location(_Wire, frozen=True):
    web: _Web | None = None


class Citation(_Wire, frozen=True):
    """Where a passage comes from. Only sources with an address can be told in the other dialects."""

    title: str | None = None
    location: _Location | None = None


class _Piece(_Wire, frozen=True):
    text: str = ""


class _Cited(_Wire, frozen=True):
    content: tuple[_Piece, ...] = ()
    citations: tuple[Citation, ...] = ()


class _Block(_Wire, frozen=True):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: Reasoned | None = None
    citations_content: _Cited | None = None


class _Message(_Wire, frozen=True):
    content: tuple[_Block, ...] = ()


class _Output(_Wire, frozen=True):
    message: _Message | None = None


class Tier(_Wire, frozen=True):
    """The service tier that served a call."""

    type: str | None = None


class _Answer(_Wire, frozen=True):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = _NULL
    service_tier: Tier | None = None


_decode = msgspec.json.Decoder(_Answer).decode

_END_REASONS: dict[str, EndReason] = {
    "end_turn": "",
    "stop_sequence": "",
    "tool_use": "",
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
"""StopReason in the service model, and what Claude says by its maker's own API."""

_MALFORMED = {
    "malformed_model_output": "The model's output is not what the provider can read.",
    "malformed_tool_use": "The model called a tool in a way that the provider cannot read.",
}
"""StopReason in the service model: the model went wrong, and may not the next time."""

_REFUSED = "The model's provider stopped the answer."


def end_of(stop_reason: str | None) -> EndReason | UpstreamError:
    """What a stop reason means; an unknown one is an error, never a silent stop."""
    if stop_reason is None:
        raise UnreadableAnswer("the answer has no stop reason")
    if stop_reason in _MALFORMED:
        return UpstreamError("server_error", _MALFORMED[stop_reason])
    reason = _END_REASONS.get(stop_reason)
    if reason is None:
        raise UnreadableAnswer("the answer has a stop reason that is not known here")
    return reason


def refusal_words(end_reason: EndReason, *, has_text: bool) -> str:
    """What is said where a filter stopped an answer before it said anything; a guardrail has words of its own."""
    return _REFUSED if end_reason == "content_filter" and not has_text else ""


def service_tier_of(tier: Tier | None) -> str | None:
    """The tier, in the words of the OpenAI API, which are these."""
    return None if tier is None else tier.type


def citation_of(citation: Citation, start: int, end: int) -> UrlCitation:
    """A citation of the text from `start` to `end`, in characters."""
    url = None if citation.location is None or citation.location.web is None else citation.location.web.url
    if url is None:
        raise UnreadableAnswer("the answer cites something that is not known here")
    return UrlCitation(url, citation.title or "", start, end)


def decode_converse_answer(body: bytes) -> ModelAnswer | UpstreamError:
    """The answer in a body. It says neither its own id nor the model.

    Raises:
        UnreadableAnswer: the body is no answer of Converse, or says things that are not known here.
    """
    try:
        answer = _decode(body)
    except msgspec.ValidationError:
        raise UnreadableAnswer("the answer is not one of Converse: it has another shape") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableAnswer("the answer is not one of Converse: it is not JSON") from None
    if answer.output is None or answer.output.message is None:
        raise UnreadableAnswer("the answer is not one of Converse: it has no message")
    usage = read_converse_usage(answer.usage)
    end = end_of(answer.stop_reason)
    if isinstance(end, UpstreamError):
        return msgspec.structs.replace(end, usage=usage)
    return ModelAnswer(
        id="",
        model="",
        created=0,
        output=_output(answer.output.message.content, end),
        end_reason=end,
        usage=usage,
        service_tier=service_tier_of(answer.service_tier),
    )


def _output(content: tuple[_Block, ...], end: EndReason) -> tuple[AnswerItem, ...]:
    items: list[AnswerItem] = []
    parts: list[AnswerText | AnswerRefusal] = []
    has_text = False

    def end_message() -> None:
        if parts:
            items.append(AnswerMessage(tuple(parts)))
        parts.clear()

    for block in content:
        if block.text is not None or block.citations_content is not None:
            text = _text(block)
            has_text = has_text or bool(text.text)
            parts.append(text)
            continue
        end_message()
        if block.reasoning_content is not None:
            items.append(_reasoning(block.reasoning_content))
        elif block.tool_use is not None:
            call = block.tool_use
            items.append(AnswerCall("function", call.tool_use_id, named(call.name), input_text(call.input)))
        else:
            raise UnreadableAnswer("the answer has a block that is not known here")
    refusal = refusal_words(end, has_text=has_text)
    if refusal:
        parts.append(AnswerRefusal(refusal))
    end_message()
    return tuple(items) or (AnswerMessage((AnswerText(""),)),)


def _text(block: _Block) -> AnswerText:
    if block.citations_content is None:
        return AnswerText(block.text or "")
    cited = block.citations_content
    text = "".join(piece.text for piece in cited.content)
    return AnswerText(text, tuple(citation_of(one, 0, len(text)) for one in cited.citations))


def _reasoning(block: Reasoned) -> AnswerReasoning:
    if block.redacted_content is not None:
        return AnswerReasoning("", sealed_thinking(RedactedThinkingBlock(block.redacted_content)))
    if block.reasoning_text is None:
        raise UnreadableAnswer("the answer has reasoning of a kind that is not known here")
    found = block.reasoning_text
    seal = sealed_thinking(ThinkingBlock(found.text, found.signature)) if found.signature else None
    return AnswerReasoning(found.text, seal)


def named(name: str) -> str:
    """The name of a tool that is called.

    Raises:
        UnreadableAnswer: it has none.
    """
    if not name:
        raise UnreadableAnswer("the answer calls a tool without a name")
    return name


def input_text(found: msgspec.Raw) -> str:
    """The input of a tool use, as it stands.

    Raises:
        UnreadableAnswer: it is not an object, or not UTF-8.
    """
    raw = bytes(found)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise UnreadableAnswer("the answer calls a tool with an input that is not UTF-8") from None
    if not raw.startswith(b"{"):
        raise UnreadableAnswer("the answer calls a tool with an input that is not a JSON object")
    return text
