"""Requests of AWS's Converse API, checked as that API checks them, and turned into what is asked.

Source: Amazon Bedrock API reference, "Converse" (2026-11), and the service model of the SDK, 1.44.
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
from headworks.simulator.schema import Schema

_CODE = "ValidationException"


class _Wire(msgspec.Struct, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    pass


class _CachePoint(msgspec.Struct):
    type: Literal["default"]
    ttl: Literal["5m", "1h"] | None = None


class _ToolUse(_Wire):
    tool_use_id: Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-zA-Z0-9_.:-]+$")]
    name: str
    input: dict[str, Raw]


class _ResultBlock(_Wire):
    text: str | None = None
    json: Raw = ABSENT
    image: Raw = ABSENT
    document: Raw = ABSENT


class _ToolResult(msgspec.Struct, rename="camel", omit_defaults=True):
    tool_use_id: str
    content: list[_ResultBlock]
    status: Literal["success", "error"] | None = None


class _ReasoningText(_Wire):
    text: str
    signature: str | None = None


class _Reasoning(_Wire):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _Block(_Wire):
    """A block of content; what it is stands in the field that is set."""

    text: str | None = None
    image: Raw = ABSENT
    document: Raw = ABSENT
    audio: Raw = ABSENT
    tool_use: _ToolUse | None = None
    tool_result: _ToolResult | None = None
    reasoning_content: _Reasoning | None = None
    cache_point: _CachePoint | None = None


class _Message(_Wire):
    role: Literal["user", "assistant", "system"]
    content: list[_Block]


class _Inference(_Wire):
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: list[str] | None = None


class _InputSchema(_Wire):
    json: Raw


class _ToolSpec(_Wire):
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-zA-Z0-9_-]+$")]
    input_schema: _InputSchema
    description: Annotated[str, Meta(min_length=1)] | None = None
    strict: bool | None = None


class _ToolEntry(_Wire):
    tool_spec: _ToolSpec | None = None
    cache_point: _CachePoint | None = None


class _Named(msgspec.Struct):
    name: str


class _Choice(_Wire):
    auto: Raw = ABSENT
    any: Raw = ABSENT
    tool: _Named | None = None


class _ToolConfig(_Wire):
    tools: Annotated[list[_ToolEntry], Meta(min_length=1)]
    tool_choice: _Choice | None = None


class _Schema(_Wire):
    schema: str
    name: str | None = None
    description: str | None = None


class _Structure(_Wire):
    json_schema: _Schema


class _TextFormat(msgspec.Struct):
    type: Literal["json_schema"]
    structure: _Structure


class _OutputConfig(_Wire):
    text_format: _TextFormat | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class _Tier(msgspec.Struct):
    type: Literal["priority", "default", "flex", "reserved"]


class _Thinking(msgspec.Struct):
    type: Literal["enabled", "adaptive", "disabled"]
    budget_tokens: Annotated[int, Meta(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class _Single(msgspec.Struct):
    disable_parallel_tool_use: bool = False


class _More(msgspec.Struct):
    """What is read of `additionalModelRequestFields`."""

    thinking: _Thinking | None = None
    tool_choice: _Single | None = None


class ConverseBody(_Wire):
    """The body of a request; other fields are refused."""

    messages: list[_Message] = []
    system: list[_Block] = []
    inference_config: _Inference = msgspec.field(default_factory=_Inference)
    tool_config: _ToolConfig | None = None
    output_config: _OutputConfig | None = None
    service_tier: _Tier | None = None
    guardrail_config: Raw = ABSENT
    performance_config: Raw = ABSENT
    request_metadata: dict[str, str] = {}
    additional_model_request_fields: _More = msgspec.field(default_factory=_More)

    @property
    def thinking(self) -> _Thinking | None:
        """How Anthropic's models are to think."""
        return self.additional_model_request_fields.thinking

    @property
    def tier(self) -> str:
        """The service tier that is asked for."""
        return "default" if self.service_tier is None else self.service_tier.type


def converse_body(data: bytes) -> ConverseBody:
    """The body of a request. Raises Rejection: the API's 400."""
    return decoded(data, ConverseBody)


def converse_ask(body: ConverseBody, model_id: str, model: Model, sign: Callable[[str], str]) -> Ask:
    """What a request asks. `sign` gives the signature of a thought. Raises Rejection: the API's 400."""
    if not body.messages:
        raise _invalid("The messages field is empty: a conversation must have at least one message.")
    if body.messages[0].role != "user":
        raise _invalid("A conversation must start with a user message. Try again with a conversation that does.")
    for index, message in enumerate(body.messages):
        _check_blocks(message.content, f"messages.{index}.content", sign)
    _check_tool_order(body)
    form = FREE_TEXT
    if body.output_config is not None and body.output_config.text_format is not None:
        schema = body.output_config.text_format.structure.json_schema.schema.encode()
        param = "outputConfig.textFormat"
        form = Format("json_schema", accepted_schema(schema, is_strict=False, subject=param, param=param, code=_CODE))
    tools = _tools(body)
    single = body.additional_model_request_fields.tool_choice
    last = body.messages[-1]
    return Ask(
        endpoint=Endpoint.CONVERSE,
        model_id=model_id,
        model=model,
        segments=_segments(body),
        last_user_text=next(
            (_text(one.content) for one in reversed(body.messages) if one.role == "user" and _text(one.content)), ""
        ),
        tool_outputs=tuple(_text(block.tool_result.content) for block in last.content if block.tool_result is not None),
        tools=tools,
        tool_choice=_choice(body, tools),
        is_parallel=single is None or not single.disable_parallel_tool_use,
        format=form,
        max_tokens=body.inference_config.max_tokens,
        stop=tuple(body.inference_config.stop_sequences or ()),
        effort=_effort(body, model),
        cache=CacheWish(is_implicit=False, ttl_s=_ttl_s(body)),
    )


def _invalid(message: str) -> Rejection:
    return Rejection(400, message, code=_CODE)


def _check_blocks(blocks: Sequence[_Block], place: str, sign: Callable[[str], str]) -> None:
    for index, block in enumerate(blocks):
        if block.text is not None and not block.text.strip():
            raise _invalid(
                f"The text field in the ContentBlock object at {place}.{index} is blank. Add text to the text field, "
                "and try again."
            )
        thought = None if block.reasoning_content is None else block.reasoning_content.reasoning_text
        if thought is not None and thought.signature != sign(thought.text):
            raise _invalid(f"{place}.{index}: Invalid `signature` in `thinking` block")


def _check_tool_order(body: ConverseBody) -> None:
    """Every tool use has its result in the next message, and every result its use; and the tools are known."""
    awaited: list[str] = []
    has_calls = False
    for message in body.messages:
        uses = [block.tool_use.tool_use_id for block in message.content if block.tool_use is not None]
        results = [block.tool_result.tool_use_id for block in message.content if block.tool_result is not None]
        has_calls = has_calls or bool(uses)
        missing = [name for name in awaited if name not in results]
        if missing:
            raise _invalid(f"Expected toolResult blocks for the following Ids: {', '.join(missing)}")
        if any(name not in awaited for name in results):
            raise _invalid("The number of toolResult blocks exceeds the number of toolUse blocks of previous turn.")
        awaited = uses
    if awaited:
        raise _invalid(f"Expected toolResult blocks for the following Ids: {', '.join(awaited)}")
    if has_calls and body.tool_config is None:
        raise _invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")


def _effort(body: ConverseBody, model: Model) -> str:
    thinking = body.thinking
    if thinking is None or thinking.type == "disabled" or not model.is_reasoning:
        return ""
    if thinking.type == "enabled" and thinking.budget_tokens is None:
        raise _invalid("thinking.enabled.budget_tokens: Field required")
    limit = body.inference_config.max_tokens
    if thinking.budget_tokens is not None and limit is not None and thinking.budget_tokens >= limit:
        raise _invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    wanted = body.output_config.effort if body.output_config is not None else None
    return wanted or "medium"


def _tools(body: ConverseBody) -> tuple[Tool, ...]:
    entries = () if body.tool_config is None else body.tool_config.tools
    specs = [entry.tool_spec for entry in entries if entry.tool_spec is not None]
    return tuple(Tool(spec.name, _schema(spec, index)) for index, spec in enumerate(specs))


def _schema(spec: _ToolSpec, index: int) -> Schema:
    param = f"toolConfig.tools.{index}.toolSpec.inputSchema.json"
    return accepted_schema(given(spec.input_schema.json), is_strict=False, subject=param, param=param, code=_CODE)


def _choice(body: ConverseBody, tools: Sequence[Tool]) -> ToolChoice:
    choice = None if body.tool_config is None else body.tool_config.tool_choice
    if choice is None:
        return ToolChoice()
    if choice.tool is not None:
        if choice.tool.name not in {tool.name for tool in tools}:
            raise _invalid(f"The tool {choice.tool.name} in toolChoice is not among the tools.")
        return ToolChoice("required", (choice.tool.name,))
    return ToolChoice("required" if given(choice.any) else "auto")


def _segments(body: ConverseBody) -> tuple[Segment, ...]:
    """Tools, system, messages: the order in which the provider caches them."""
    segments: list[Segment] = []

    def add(text: str, point: _CachePoint | None, *, is_image: bool = False) -> None:
        if point is None:
            segments.append(Segment(text, is_image=is_image))
        elif segments:
            segments[-1] = msgspec.structs.replace(segments[-1], ends_prefix=True)

    for entry in () if body.tool_config is None else body.tool_config.tools:
        add(_json(entry), entry.cache_point)
    for block in body.system:
        add(block.text or "", block.cache_point)
    for message in body.messages:
        add(f"{message.role}\n", None)
        for block in message.content:
            is_image = bool(given(block.image))
            add(block.text or given(block.image).decode() or _json(block), block.cache_point, is_image=is_image)
    return tuple(segments)


def _ttl_s(body: ConverseBody) -> float:
    """The longest time that a mark asks for."""
    blocks = [*body.system, *(block for message in body.messages for block in message.content)]
    points = [block.cache_point for block in blocks]
    points += [entry.cache_point for entry in (body.tool_config.tools if body.tool_config is not None else ())]
    return 3600.0 if any(point is not None and point.ttl == "1h" for point in points) else 300.0


def _text(blocks: Sequence[_Block | _ResultBlock]) -> str:
    return "\n".join(block.text for block in blocks if block.text)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
