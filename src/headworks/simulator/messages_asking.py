"""Requests of Anthropic's Messages API, checked as that API checks them, and turned into what is asked.

Source: Anthropic API reference, "Messages", and the types of the official SDK, 2.14.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from headworks.calls import Endpoint
from headworks.simulator.asking import FREE_TEXT, Ask, CacheWish, Format, Segment, Tool, ToolChoice, accepted_schema
from headworks.simulator.decoding import ABSENT, decoded, given
from headworks.simulator.plan import Model
from headworks.simulator.rejection import Rejection


class _CacheControl(msgspec.Struct):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class _Block(msgspec.Struct, omit_defaults=True):
    """A block of content; what it is stands in its type."""

    type: str
    text: str | None = None
    source: Raw = ABSENT
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    tool_use_id: str | None = None
    content: "str | list[_Block] | None" = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    cache_control: _CacheControl | None = None


class _Message(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[_Block]


class _Tool(msgspec.Struct, omit_defaults=True):
    name: str
    input_schema: Raw = ABSENT
    type: str | None = None
    cache_control: _CacheControl | None = None


class _Choice(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class _Thinking(msgspec.Struct):
    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class _Format(msgspec.Struct):
    type: Literal["json_schema"]
    schema: Raw


class _OutputConfig(msgspec.Struct):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: _Format | None = None


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class MessagesBody(msgspec.Struct):
    """The body of POST /v1/messages; other fields are refused, as that API does."""

    model: str
    messages: list[_Message]
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    system: str | list[_Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: int | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    metadata: _Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    cache_control: _CacheControl | None = None

    @property
    def shows_thinking(self) -> bool:
        """Whether the text of the thinking is in the answer."""
        return self.thinking is not None and self.thinking.display != "omitted"


def messages_body(data: bytes) -> MessagesBody:
    """The body of a request. Raises Rejection: the API's 400."""
    body = decoded(data, MessagesBody)
    for name in decoded(data, dict[str, Raw]):
        if name not in MessagesBody.__struct_fields__:
            raise _invalid(f"{name}: Extra inputs are not permitted")
    return body


def messages_ask(body: MessagesBody, model_id: str, model: Model, sign: Callable[[str], str]) -> Ask:
    """What a request asks. `sign` gives the signature of a thought. Raises Rejection: the API's 400."""
    if not body.messages:
        raise _invalid("messages: at least one message is required")
    for index, message in enumerate(body.messages):
        _check_blocks(_blocks(message.content), f"messages.{index}.content", sign)
    _check_tool_order(body.messages)
    _check_thinking(body)
    tools = _tools(body)
    form = FREE_TEXT
    if body.output_config is not None and body.output_config.format is not None:
        schema = accepted_schema(
            bytes(body.output_config.format.schema),
            is_strict=False,
            subject="output_config.format",
            param="output_config.format.schema",
            code="invalid_request_error",
        )
        form = Format("json_schema", schema)
    last = body.messages[-1]
    return Ask(
        endpoint=Endpoint.MESSAGES,
        model_id=model_id,
        model=model,
        segments=_segments(body),
        last_user_text=next(
            (_text(m.content) for m in reversed(body.messages) if m.role == "user" and _text(m.content)), ""
        ),
        tool_outputs=tuple(
            _text(block.content or "") for block in _blocks(last.content) if block.type == "tool_result"
        ),
        tools=tools,
        tool_choice=_choice(body, tools),
        is_parallel=body.tool_choice is None or not body.tool_choice.disable_parallel_tool_use,
        format=form,
        max_tokens=body.max_tokens,
        stop=tuple(body.stop_sequences or ()),
        effort=_effort(body, model),
        cache=CacheWish(is_implicit=False, ttl_s=_ttl_s(body)),
    )


def _invalid(message: str) -> Rejection:
    return Rejection(400, message)


def _check_blocks(blocks: Sequence[_Block], place: str, sign: Callable[[str], str]) -> None:
    for index, block in enumerate(blocks):
        if block.type == "text" and not block.text:
            raise _invalid(f"{place}.{index}.text: text content blocks must be non-empty")
        if block.type == "thinking" and block.signature != sign(block.thinking or ""):
            raise _invalid(f"{place}.{index}: Invalid `signature` in `thinking` block")


def _check_tool_order(messages: Sequence[_Message]) -> None:
    """Every tool use has its result at the beginning of the next message, and every result its use."""
    awaited: list[str] = []
    for index, message in enumerate(messages):
        blocks = _blocks(message.content)
        results = [block.tool_use_id or "" for block in blocks if block.type == "tool_result"]
        missing = [name for name in awaited if name not in results]
        if missing:
            raise _invalid(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        if any(name not in awaited for name in results):
            raise _invalid(f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks")
        if results and [block.type for block in blocks[: len(results)]] != ["tool_result"] * len(results):
            raise _invalid(f"messages.{index}: `tool_result` blocks must come first in the content")
        awaited = [block.id or "" for block in blocks if block.type == "tool_use"]
    if awaited:
        raise _invalid(f"messages.{len(messages)}: `tool_use` ids were found without `tool_result` blocks")


def _check_thinking(body: MessagesBody) -> None:
    thinking = body.thinking
    if thinking is None or thinking.type != "enabled":
        return
    if thinking.budget_tokens is None:
        raise _invalid("thinking.enabled.budget_tokens: Field required")
    if body.max_tokens is not None and thinking.budget_tokens >= body.max_tokens:
        raise _invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if body.tool_choice is not None and body.tool_choice.type in ("any", "tool"):
        raise _invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _effort(body: MessagesBody, model: Model) -> str:
    if body.thinking is None or body.thinking.type not in ("enabled", "adaptive") or not model.is_reasoning:
        return ""
    wanted = body.output_config.effort if body.output_config is not None else None
    return wanted or "medium"


def _tools(body: MessagesBody) -> tuple[Tool, ...]:
    """The caller's own tools; those that the provider runs are accepted and never called."""
    tools: list[Tool] = []
    for index, tool in enumerate(body.tools or ()):
        if tool.type not in (None, "custom"):
            continue
        if not given(tool.input_schema):
            raise _invalid(f"tools.{index}.custom.input_schema: Field required")
        param = f"tools.{index}.custom.input_schema"
        schema = accepted_schema(
            given(tool.input_schema), is_strict=False, subject=param, param=param, code="invalid_request_error"
        )
        tools.append(Tool(tool.name, schema))
    return tuple(tools)


def _choice(body: MessagesBody, tools: Sequence[Tool]) -> ToolChoice:
    choice = body.tool_choice
    if choice is None:
        return ToolChoice()
    if not body.tools:
        raise _invalid("tool_choice: tool_choice may only be specified while providing tools")
    if choice.type == "tool":
        if choice.name not in {tool.name for tool in tools}:
            raise _invalid(f"tool_choice: Tool '{choice.name}' not found in provided tools")
        return ToolChoice("required", (choice.name or "",))
    return ToolChoice("required" if choice.type == "any" else "none" if choice.type == "none" else "auto")


def _segments(body: MessagesBody) -> tuple[Segment, ...]:
    """Tools, system, messages: the order in which the provider caches them."""
    segments = [Segment(_json(tool), tool.cache_control is not None) for tool in body.tools or ()]
    segments += [_segment(block) for block in _blocks(body.system or "")]
    for message in body.messages:
        segments.append(Segment(f"{message.role}\n"))
        segments += [_segment(block) for block in _blocks(message.content)]
    if body.cache_control is not None:
        segments[-1] = msgspec.structs.replace(segments[-1], ends_prefix=True)
    return tuple(segments)


def _segment(block: _Block) -> Segment:
    is_marked = block.cache_control is not None
    if block.type == "image":
        return Segment(given(block.source).decode(), is_marked, is_image=True)
    if block.type == "text":
        return Segment(block.text or "", is_marked)
    return Segment(_json(msgspec.structs.replace(block, cache_control=None)), is_marked)


def _ttl_s(body: MessagesBody) -> float:
    """The longest time that a mark asks for."""
    blocks = [block for message in body.messages for block in _blocks(message.content)] + _blocks(body.system or "")
    marks = [body.cache_control, *(block.cache_control for block in blocks)]
    marks += [tool.cache_control for tool in body.tools or ()]
    return 3600.0 if any(mark is not None and mark.ttl == "1h" for mark in marks) else 300.0


def _blocks(content: str | list[_Block]) -> list[_Block]:
    if isinstance(content, str):
        return [_Block("text", content)] if content else []
    return content


def _text(content: str | list[_Block]) -> str:
    return "\n".join(block.text for block in _blocks(content) if block.text)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
