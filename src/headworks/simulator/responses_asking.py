"""Requests of the Responses API, checked as the API checks them, and turned into what is asked."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from headworks.calls import Endpoint
from headworks.simulator.asking import FREE_TEXT, Ask, Format, Segment, Tool, accepted_schema, effort_of
from headworks.simulator.decoding import ABSENT, decoded, given
from headworks.simulator.items import Item, check_calls, read_item, text_item
from headworks.simulator.logprobs import MOST_TOP_LOGPROBS
from headworks.simulator.plan import Model
from headworks.simulator.rejection import Rejection, invalid_value, missing
from headworks.simulator.wishes import CacheOptions, cache_wish, tool_choice

_LEAST_OUTPUT = 16
"""The smallest `max_output_tokens` that the API takes."""

_MOST_METADATA = 16


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class _FormatBody(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class _Text(msgspec.Struct):
    format: Raw = ABSENT
    verbosity: Literal["low", "medium", "high"] | None = None


class _ToolBody(msgspec.Struct):
    type: str
    name: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class _PromptBody(msgspec.Struct):
    id: str


class _ConversationBody(msgspec.Struct):
    id: str


class ResponsesBody(msgspec.Struct):
    """The body of POST /v1/responses: the fields that mean something here; others are let through."""

    model: str | None = None
    input: Raw = ABSENT
    instructions: str | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: str | _ConversationBody | None = None
    prompt: _PromptBody | None = None
    max_output_tokens: Annotated[int, Meta(ge=_LEAST_OUTPUT)] | None = None
    max_tool_calls: Annotated[int, Meta(ge=0)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MOST_TOP_LOGPROBS)] | None = None
    tools: Raw = ABSENT
    tool_choice: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    text: _Text | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None

    @property
    def wants_logprobs(self) -> bool:
        """Whether the tokens of the text are to have their log probabilities."""
        return bool(self.top_logprobs) or "message.output_text.logprobs" in (self.include or ())

    @property
    def conversation_id(self) -> str | None:
        """The conversation that the response belongs to."""
        named = self.conversation
        return named.id if isinstance(named, _ConversationBody) else named


def input_items(body: ResponsesBody) -> tuple[Item, ...]:
    """The items of this request alone, without its history. Raises Rejection."""
    data = given(body.input)
    if not data:
        return ()
    if data.startswith(b'"'):
        return (text_item(decoded(data, str, "input")),)
    if not data.startswith(b"["):
        raise Rejection(
            400,
            "Invalid type for 'input': expected one of a string or an array, but got something else instead.",
            code="invalid_type",
            param="input",
        )
    return tuple(read_item(bytes(raw), f"input[{index}]") for index, raw in enumerate(decoded(data, list[Raw])))


def responses_ask(body: ResponsesBody, history: Sequence[Item], items: Sequence[Item], model: Model) -> Ask:
    """What a request asks; `history` is what `previous_response_id` stands for. Raises Rejection: the API's 400."""
    _check_fields(body, has_history=bool(history))
    every = (*history, *items)
    check_calls(every)
    form = _format(body.text)
    tools = _tools(body.tools)
    segments = _segments(body, form, every)
    if form.kind == "json_object" and not any("json" in segment.text.lower() for segment in segments):
        raise invalid_value(
            "input",
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'.",
        )
    return Ask(
        endpoint=Endpoint.RESPONSES,
        model_id=body.model or "",
        model=model,
        segments=segments,
        last_user_text=next((item.text for item in reversed(every) if item.is_user_text), ""),
        tool_outputs=_trailing_outputs(items),
        tools=tools,
        tool_choice=tool_choice(body.tool_choice, tools, is_chat=False),
        is_parallel=body.parallel_tool_calls is not False,
        format=form,
        max_tokens=body.max_output_tokens,
        effort=effort_of(model, body.reasoning.effort if body.reasoning else None, "reasoning.effort"),
        cache=cache_wish(body.prompt_cache_key, body.prompt_cache_options, body.prompt_cache_retention),
    )


def _check_fields(body: ResponsesBody, *, has_history: bool) -> None:
    if body.prompt is not None:
        raise Rejection(404, f"Prompt with id '{body.prompt.id}' not found.", param="prompt.id")
    if body.conversation is not None and body.previous_response_id is not None:
        raise Rejection(
            400,
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.",
            code="mutually_exclusive_parameters",
            param="previous_response_id",
        )
    if not given(body.input) and not has_history:
        raise Rejection(
            400,
            'One of "input" or "previous_response_id" or "prompt" or "conversation" must be provided.',
            code="missing_required_parameter",
            param="input",
        )
    if body.background and body.store is False:
        raise invalid_value("background", "Background mode requires 'store' to be true.")
    if body.metadata is not None and len(body.metadata) > _MOST_METADATA:
        raise Rejection(
            400,
            f"Invalid 'metadata': too many properties. Expected an object with at most {_MOST_METADATA} properties.",
            code="object_above_max_properties",
            param="metadata",
        )


def _format(text: _Text | None) -> Format:
    if text is None or not given(text.format):
        return FREE_TEXT
    body = decoded(given(text.format), _FormatBody, "text.format")
    if body.type != "json_schema":
        return Format(body.type)
    if body.name is None:
        raise missing("text.format.name")
    if not given(body.schema):
        raise missing("text.format.schema")
    schema = accepted_schema(
        given(body.schema),
        is_strict=bool(body.strict),
        subject=f"response_format '{body.name}'",
        param="text.format.schema",
        code="invalid_json_schema",
    )
    return Format("json_schema", schema)


def _tools(raw: Raw) -> tuple[Tool, ...]:
    """The functions among the tools; hosted tools are accepted and never called."""
    bodies = decoded(given(raw), list[_ToolBody], "tools") if given(raw) else []
    tools: list[Tool] = []
    for index, body in enumerate(bodies):
        if body.type != "function":
            continue
        if body.name is None:
            raise missing(f"tools[{index}].name")
        schema = None
        if given(body.parameters):
            schema = accepted_schema(
                given(body.parameters),
                is_strict=bool(body.strict),
                subject=f"function '{body.name}'",
                param=f"tools[{index}].parameters",
                code="invalid_function_parameters",
            )
        tools.append(Tool(body.name, schema))
    return tuple(tools)


def _segments(body: ResponsesBody, form: Format, items: Sequence[Item]) -> tuple[Segment, ...]:
    """Tools, schema, instructions, then the items: the order in which the provider caches them."""
    heads = (given(body.tools), given(body.text.format) if body.text and form.schema else b"")
    segments = [Segment(head.decode()) for head in heads if head]
    if body.instructions:
        segments.append(Segment(f"developer\n{body.instructions}"))
    for item in items:
        segments += item.segments()
    return tuple(segments)


def _trailing_outputs(items: Sequence[Item]) -> tuple[str, ...]:
    outputs: list[str] = []
    for item in reversed(items):
        if not item.is_output:
            break
        outputs.append(item.text)
    return tuple(reversed(outputs))
