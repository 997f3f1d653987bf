"""Requests of the Chat Completions API, checked as the API checks them, and turned into what is asked."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from headworks.calls import Endpoint
from headworks.simulator.asking import (
    FREE_TEXT,
    Ask,
    Format,
    Segment,
    Tool,
    accepted_schema,
    effort_of,
)
from headworks.simulator.decoding import ABSENT, decoded, given
from headworks.simulator.logprobs import MOST_TOP_LOGPROBS
from headworks.simulator.plan import Model
from headworks.simulator.rejection import Rejection, invalid_value, missing, unsupported
from headworks.simulator.wishes import CacheOptions, cache_wish, tool_choice

_MOST_CHOICES = 128


class _Part(msgspec.Struct):
    """A piece of a message's content; `payload` fields are carried, not read."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: Raw = ABSENT
    input_audio: Raw = ABSENT
    file: Raw = ABSENT
    prompt_cache_breakpoint: Raw = ABSENT


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _Call(msgspec.Struct):
    id: str
    type: str = "function"
    function: _Function | None = None
    custom: Raw = ABSENT


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    refusal: str | None = None


class _ToolFunction(msgspec.Struct):
    name: str
    parameters: Raw = ABSENT
    strict: bool | None = None


class _ToolBody(msgspec.Struct):
    type: str
    function: _ToolFunction | None = None


class _JsonSchema(msgspec.Struct):
    name: str
    schema: Raw = ABSENT
    strict: bool | None = None


class _ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class ChatBody(msgspec.Struct):
    """The body of POST /v1/chat/completions: the fields that mean something here; others are let through."""

    model: str | None = None
    messages: list[_Message] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=_MOST_CHOICES)] | None = None
    stop: str | list[str] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MOST_TOP_LOGPROBS)] | None = None
    tools: Raw = ABSENT
    tool_choice: Raw = ABSENT
    parallel_tool_calls: bool | None = None
    response_format: Raw = ABSENT
    reasoning_effort: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None
    functions: Raw = ABSENT
    function_call: Raw = ABSENT


def chat_ask(body: ChatBody, model_id: str, model: Model) -> Ask:
    """What a request asks. Raises Rejection: the API's 400."""
    if body.messages is None:
        raise missing("messages")
    if not body.messages:
        raise Rejection(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="messages",
        )
    _check_fields(body, model)
    _check_tool_order(body.messages)
    form = _format(body.response_format)
    tools = _tools(body.tools)
    segments = _segments(body, form)
    if form.kind == "json_object" and not any("json" in segment.text.lower() for segment in segments):
        raise invalid_value(
            "messages",
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        )
    return Ask(
        endpoint=Endpoint.CHAT,
        model_id=model_id,
        model=model,
        segments=segments,
        last_user_text=next((_text(m) for m in reversed(body.messages) if m.role == "user"), ""),
        tool_outputs=_trailing_outputs(body.messages),
        tools=tools,
        tool_choice=tool_choice(body.tool_choice, tools, is_chat=True),
        is_parallel=body.parallel_tool_calls is not False,
        format=form,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ()),
        effort=effort_of(model, body.reasoning_effort, "reasoning_effort"),
        cache=cache_wish(body.prompt_cache_key, body.prompt_cache_options, body.prompt_cache_retention),
    )


def _check_fields(body: ChatBody, model: Model) -> None:
    for name, field in (("functions", body.functions), ("function_call", body.function_call)):
        if given(field):
            raise unsupported(name, f"Unsupported parameter: '{name}' is not supported with this model.")
    if model.is_reasoning and body.max_tokens is not None:
        raise unsupported(
            "max_tokens",
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
        )
    if body.top_logprobs is not None and not body.logprobs:
        raise invalid_value("top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.")
    if isinstance(body.stop, list) and len(body.stop) > 4:
        raise invalid_value("stop", "Invalid 'stop': array too long. Expected an array with maximum length 4.")
    if body.stream_options is not None and not body.stream:
        raise invalid_value(
            "stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        )


def _check_tool_order(messages: Sequence[_Message]) -> None:
    """Every tool call has its output, and every output its call."""
    open_calls: list[str] = []
    was_called = False
    for index, message in enumerate(messages):
        if message.role == "tool":
            if not was_called or message.tool_call_id not in open_calls:
                raise invalid_value(
                    f"messages.[{index}].role",
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'.",
                )
            open_calls.remove(message.tool_call_id)
            continue
        _check_answered(open_calls, index)
        open_calls = [call.id for call in message.tool_calls or ()]
        was_called = bool(open_calls)
    _check_answered(open_calls, len(messages))


def _check_answered(open_calls: Sequence[str], index: int) -> None:
    if open_calls:
        raise invalid_value(
            f"messages.[{index}].role",
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}",
        )


def _format(raw: Raw) -> Format:
    if not given(raw):
        return FREE_TEXT
    body = decoded(given(raw), _ResponseFormat, "response_format")
    if body.type != "json_schema":
        return Format(body.type)
    if body.json_schema is None:
        raise missing("response_format.json_schema")
    if not given(body.json_schema.schema):
        raise missing("response_format.json_schema.schema")
    schema = accepted_schema(
        given(body.json_schema.schema),
        is_strict=bool(body.json_schema.strict),
        subject=f"response_format '{body.json_schema.name}'",
        param="response_format",
        code="invalid_json_schema",
    )
    return Format("json_schema", schema)


def _tools(raw: Raw) -> tuple[Tool, ...]:
    """The functions among the tools; tools of other kinds are accepted and never called."""
    bodies = decoded(given(raw), list[_ToolBody], "tools") if given(raw) else []
    tools: list[Tool] = []
    for index, body in enumerate(bodies):
        if body.type != "function":
            continue
        if body.function is None:
            raise missing(f"tools[{index}].function")
        schema = None
        if given(body.function.parameters):
            schema = accepted_schema(
                given(body.function.parameters),
                is_strict=bool(body.function.strict),
                subject=f"function '{body.function.name}'",
                param=f"tools[{index}].function.parameters",
                code="invalid_function_parameters",
            )
        tools.append(Tool(body.function.name, schema))
    return tuple(tools)


def _segments(body: ChatBody, form: Format) -> tuple[Segment, ...]:
    """Tools, schema, then the messages: the order in which the provider caches them."""
    heads = (given(body.tools), given(body.response_format) if form.schema else b"")
    segments = [Segment(head.decode()) for head in heads if head]
    for message in body.messages or ():
        segments.append(Segment(f"{message.role}\n"))
        if isinstance(message.content, str):
            segments.append(Segment(message.content))
        elif message.content:
            segments += map(_part_segment, message.content)
        segments += [Segment(bytes(msgspec.json.encode(call)).decode()) for call in message.tool_calls or ()]
    return tuple(segments)


def _part_segment(part: _Part) -> Segment:
    is_marked = bool(given(part.prompt_cache_breakpoint))
    if part.type == "image_url":
        return Segment(given(part.image_url).decode(), is_marked, is_image=True)
    payload = part.text or part.refusal
    if payload is None:
        payload = (given(part.input_audio) or given(part.file)).decode()
    return Segment(payload, is_marked)


def _text(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content or () if part.text)


def _trailing_outputs(messages: Sequence[_Message]) -> tuple[str, ...]:
    outputs: list[str] = []
    for message in reversed(messages):
        if message.role != "tool":
            break
        outputs.append(_text(message))
    return tuple(reversed(outputs))
