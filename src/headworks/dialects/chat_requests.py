"""Requests of the Chat Completions API: decoded into the canonical form, and encoded from it."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import (
    ABSENT,
    AllowedTools,
    CustomTool,
    Extra,
    FreeFormat,
    FunctionTool,
    GrammarFormat,
    JsonObjectFormat,
    JsonSchemaFormat,
    ModelRequest,
    OtherChoice,
    OtherTool,
    PlainFormat,
    TextFormat,
    Tool,
    ToolChoice,
    ToolName,
    is_given,
)
from headworks.dialects.chat_messages import ChatMessage, items_of_messages, messages_of_items, system_message
from headworks.dialects.reading import Fields
from headworks.dialects.responses_requests import decoded
from headworks.dialects.unsupported import top_k_name, unsupported
from headworks.errors import Refusal


class _Strict(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    pass


class _Function(_Strict, frozen=True):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = ABSENT
    strict: bool | None = None


class _FunctionTool(_Strict, frozen=True, tag_field="type", tag="function"):
    function: _Function


class _Grammar(_Strict, frozen=True):
    definition: str
    syntax: Literal["lark", "regex"]


class _GrammarFormat(_Strict, frozen=True, tag_field="type", tag="grammar"):
    grammar: _Grammar


class _Custom(_Strict, frozen=True):
    name: str
    description: str | None = None
    format: _GrammarFormat | FreeFormat | None = None


class _CustomTool(_Strict, frozen=True, tag_field="type", tag="custom"):
    custom: _Custom


class _Named(_Strict, frozen=True):
    name: str


class _FunctionChoice(_Strict, frozen=True, tag_field="type", tag="function"):
    function: _Named


class _CustomChoice(_Strict, frozen=True, tag_field="type", tag="custom"):
    custom: _Named


class _Allowed(_Strict, frozen=True):
    mode: Literal["auto", "required"]
    tools: tuple[_FunctionChoice | _CustomChoice, ...]


class _AllowedChoice(_Strict, frozen=True, tag_field="type", tag="allowed_tools"):
    allowed_tools: _Allowed


class _Schema(_Strict, frozen=True):
    name: str
    schema: msgspec.Raw = ABSENT
    description: str | None = None
    strict: bool | None = None


class _SchemaFormat(_Strict, frozen=True, tag_field="type", tag="json_schema"):
    json_schema: _Schema


class _StreamOptions(_Strict, frozen=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


_encode = msgspec.json.Encoder().encode

_decode_messages = msgspec.json.Decoder(tuple[ChatMessage, ...]).decode
_decode_tools = msgspec.json.Decoder(tuple[_FunctionTool | _CustomTool, ...]).decode
_decode_choice = msgspec.json.Decoder(_FunctionChoice | _CustomChoice | _AllowedChoice).decode
_decode_mode = msgspec.json.Decoder(Literal["none", "auto", "required"]).decode
_decode_format = msgspec.json.Decoder(PlainFormat | JsonObjectFormat | _SchemaFormat).decode
_decode_stop = msgspec.json.Decoder(str | tuple[str, ...]).decode
_decode_stream_options = msgspec.json.Decoder(_StreamOptions).decode
_decode_int = msgspec.json.Decoder(int).decode

_SAME: dict[str, Callable[[msgspec.Raw], Any]] = {
    "model": msgspec.json.Decoder(str).decode,
    "temperature": msgspec.json.Decoder(float).decode,
    "top_p": msgspec.json.Decoder(float).decode,
    "seed": _decode_int,
    "frequency_penalty": msgspec.json.Decoder(float).decode,
    "presence_penalty": msgspec.json.Decoder(float).decode,
    "parallel_tool_calls": msgspec.json.Decoder(bool).decode,
    "reasoning_effort": msgspec.json.Decoder(str).decode,
    "verbosity": msgspec.json.Decoder(Literal["low", "medium", "high"]).decode,
    "top_logprobs": _decode_int,
    "service_tier": msgspec.json.Decoder(str).decode,
    "prompt_cache_key": msgspec.json.Decoder(str).decode,
    "prompt_cache_options": msgspec.json.Decoder(dict[str, msgspec.Raw]).decode,
    "prompt_cache_retention": msgspec.json.Decoder(str).decode,
    "safety_identifier": msgspec.json.Decoder(str).decode,
    "user": msgspec.json.Decoder(str).decode,
    "metadata": msgspec.json.Decoder(dict[str, str]).decode,
    "store": msgspec.json.Decoder(bool).decode,
}
"""Fields that have the same name and the same form here and in the canonical request."""

_RENAMED: dict[str, tuple[str, Callable[[msgspec.Raw], Any]]] = {
    "logprobs": ("wants_logprobs", msgspec.json.Decoder(bool).decode),
    "stream": ("is_streamed", msgspec.json.Decoder(bool).decode),
}

_ALREADY_SO = {
    "n": msgspec.Raw(b"1"),
    "modalities": msgspec.Raw(b'["text"]'),
    "logit_bias": msgspec.Raw(b"{}"),
}
"""Fields that only Chat has, and the value of each that asks for nothing special."""

_NULL = msgspec.Raw(b"null")


def decode_chat_request(fields: Fields) -> ModelRequest:
    """The request in the top-level `fields` of a body.

    Where the dialects' defaults differ, Chat's are written down: an answer is not stored, a function is not strict.

    Raises:
        Refusal: 400, naming the field that is wrong or not understood.
    """
    values: dict[str, Any] = {"input": (), "store": False, "dialect": Endpoint.CHAT}
    extras: list[Extra] = []
    for name, raw in fields.items():
        if raw == _NULL:
            continue
        decode = _SAME.get(name)
        if decode is not None:
            values[name] = decoded(decode, raw, name)
        elif name in _RENAMED:
            name_here, decode = _RENAMED[name]
            values[name_here] = decoded(decode, raw, name)
        elif name in _SPECIAL:
            _SPECIAL[name](raw, values, extras)
        elif bytes(_ALREADY_SO.get(name, _NULL)) != bytes(raw).replace(b" ", b""):
            extras.append(Extra(name, Endpoint.CHAT, raw))
    return ModelRequest(extras=tuple(extras), **values)


def reads_usage(fields: Fields) -> bool:
    """Whether a stream is to end with its usage."""
    raw = fields.get("stream_options", _NULL)
    return raw != _NULL and bool(decoded(_decode_stream_options, raw, "stream_options").include_usage)


def _take_messages(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    values["input"] = items_of_messages(decoded(_decode_messages, raw, "messages"))


def _take_max_tokens(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    _set_limit(decoded(_decode_int, raw, "max_tokens"), values)


def _take_max_completion_tokens(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    _set_limit(decoded(_decode_int, raw, "max_completion_tokens"), values)


def _set_limit(limit: int, values: dict[str, Any]) -> None:
    if values.setdefault("max_output_tokens", limit) != limit:
        raise Refusal(
            400,
            "invalid_value",
            "'max_tokens' and 'max_completion_tokens' say different things; give only 'max_completion_tokens'.",
            param="max_tokens",
        )


def _take_tools(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    values["tools"] = tuple(_canonical_tool(tool) for tool in decoded(_decode_tools, raw, "tools"))


def _canonical_tool(tool: _FunctionTool | _CustomTool) -> Tool:
    if isinstance(tool, _FunctionTool):
        function = tool.function
        return FunctionTool(function.name, function.parameters, function.strict or False, function.description)
    custom = tool.custom
    form: GrammarFormat | FreeFormat | None = None
    match custom.format:
        case _GrammarFormat(grammar=grammar):
            form = GrammarFormat(grammar.definition, grammar.syntax)
        case FreeFormat():
            form = custom.format
        case None:
            pass
    return CustomTool(custom.name, custom.description, form)


def _take_tool_choice(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    if memoryview(raw)[0] == ord('"'):
        values["tool_choice"] = decoded(_decode_mode, raw, "tool_choice")
        return
    choice = decoded(_decode_choice, raw, "tool_choice")
    if isinstance(choice, _AllowedChoice):
        allowed = choice.allowed_tools
        values["tool_choice"] = AllowedTools(allowed.mode, tuple(_tool_name(one) for one in allowed.tools))
    else:
        values["tool_choice"] = _tool_name(choice)


def _tool_name(choice: _FunctionChoice | _CustomChoice) -> ToolName:
    if isinstance(choice, _FunctionChoice):
        return ToolName("function", choice.function.name)
    return ToolName("custom", choice.custom.name)


def _take_response_format(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    wanted = decoded(_decode_format, raw, "response_format")
    if isinstance(wanted, _SchemaFormat):
        schema = wanted.json_schema
        wanted = JsonSchemaFormat(
            schema.name,
            schema.schema if is_given(schema.schema) else msgspec.Raw(b"{}"),
            schema.description,
            schema.strict,
        )
    values["text_format"] = wanted


def _take_stop(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    stop = decoded(_decode_stop, raw, "stop")
    values["stop"] = (stop,) if isinstance(stop, str) else stop


def _take_stream_options(raw: msgspec.Raw, _: dict[str, Any], extras: list[Extra]) -> None:
    # A translated stream is not padded: that is what `false` asks for. `include_usage` is for whoever encodes it.
    if decoded(_decode_stream_options, raw, "stream_options").include_obfuscation:
        extras.append(Extra("stream_options.include_obfuscation", Endpoint.CHAT, raw))


_SPECIAL: dict[str, Callable[[msgspec.Raw, dict[str, Any], list[Extra]], None]] = {
    "messages": _take_messages,
    "max_tokens": _take_max_tokens,
    "max_completion_tokens": _take_max_completion_tokens,
    "tools": _take_tools,
    "tool_choice": _take_tool_choice,
    "response_format": _take_response_format,
    "stop": _take_stop,
    "stream_options": _take_stream_options,
}

_CACHE_OPTIONS = frozenset({"mode", "ttl"})
_SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
"""Those that `ChatCompletion.service_tier` lists in the SDK."""


def encode_chat_request(request: ModelRequest, *, limit_name: str = "max_tokens") -> bytes:
    """The body of a chat request that asks for the same; a streamed one ends with its usage.

    Arguments:
        limit_name: what the output limit is called: servers that speak only Chat read `max_tokens`; OpenAI calls that
            deprecated, and its models that reason refuse it for `max_completion_tokens`.

    Raises:
        Refusal: 400 `unsupported_parameter`, for what this API has nothing for.
    """
    _refuse_foreign(request)
    messages = messages_of_items(request.input)
    if request.instructions is not None:
        messages.insert(0, system_message(request.instructions))
    body: dict[str, Any] = {"model": request.model, "messages": messages}
    for name in _SAME:
        value = getattr(request, name)
        if value is not None and name != "store":
            body[name] = value
    if request.store:
        body["store"] = True
    if request.max_output_tokens is not None:
        body[limit_name] = request.max_output_tokens
    if request.stop:
        body["stop"] = request.stop
    _put_tools(body, request)
    if request.text_format is not None and not isinstance(request.text_format, PlainFormat):
        body["response_format"] = _chat_format(request.text_format)
    if request.wants_logprobs:
        body["logprobs"] = True
    elif request.top_logprobs == 0:
        body.pop("top_logprobs")  # here it may only stand beside `logprobs`
    if request.is_streamed:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    for extra in request.extras:
        body[extra.name] = extra.value
    return _encode(body)


def _refuse_foreign(request: ModelRequest) -> None:
    for extra in request.extras:
        if extra.dialect is not Endpoint.CHAT:
            raise unsupported(extra.name, Endpoint.CHAT)
    if request.top_k is not None:
        raise unsupported(top_k_name(request.dialect), Endpoint.CHAT)
    if request.seals_reasoning and request.dialect is Endpoint.RESPONSES:
        raise unsupported("include", Endpoint.CHAT)
    for name, value in (request.prompt_cache_options or {}).items():
        if name not in _CACHE_OPTIONS and value not in (_NULL, _FALSE):
            raise unsupported(f"prompt_cache_options.{name}", Endpoint.CHAT)
    if request.service_tier is not None and request.service_tier not in _SERVICE_TIERS:
        raise unsupported("service_tier", Endpoint.CHAT)


def _put_tools(body: dict[str, Any], request: ModelRequest) -> None:
    if request.tools:
        body["tools"] = [_chat_tool(tool, index) for index, tool in enumerate(request.tools)]
    else:
        # Without tools Chat refuses what says how to choose among them; in Responses it may stand there, idle.
        body.pop("parallel_tool_calls", None)
        if request.tool_choice in ("auto", "none"):
            return
    if request.tool_choice is not None:
        body["tool_choice"] = _chat_choice(request.tool_choice)


_FALSE = msgspec.Raw(b"false")


def _chat_tool(tool: Tool, index: int) -> _FunctionTool | _CustomTool:
    match tool:
        case OtherTool():
            raise unsupported(f"tools[{index}].{tool.type}", Endpoint.CHAT)
        case FunctionTool():
            _refuse_hosting(tool, index)
            if is_given(tool.output_schema):
                raise unsupported(f"tools[{index}].output_schema", Endpoint.CHAT)
            parameters = tool.parameters if is_given(tool.parameters) else ABSENT
            return _FunctionTool(_Function(tool.name, tool.description, parameters, tool.strict or None))
        case CustomTool():
            _refuse_hosting(tool, index)
            form: _GrammarFormat | FreeFormat | None = None
            match tool.format:
                case GrammarFormat(definition=definition, syntax=syntax):
                    form = _GrammarFormat(_Grammar(definition, syntax))
                case FreeFormat():
                    form = tool.format
                case None:
                    pass
            return _CustomTool(_Custom(tool.name, tool.description, form))


def _refuse_hosting(tool: FunctionTool | CustomTool, index: int) -> None:
    """What tool search and programmatic calling add to a tool; saying what is so anyway asks for nothing."""
    if tool.is_async:
        raise unsupported(f"tools[{index}].async", Endpoint.CHAT)
    if tool.defer_loading:
        raise unsupported(f"tools[{index}].defer_loading", Endpoint.CHAT)
    if is_given(tool.allowed_callers) and bytes(tool.allowed_callers) != b'["direct"]':
        raise unsupported(f"tools[{index}].allowed_callers", Endpoint.CHAT)


def _chat_choice(choice: ToolChoice) -> object:
    match choice:
        case OtherChoice():
            raise unsupported("tool_choice", Endpoint.CHAT)
        case AllowedTools():
            return _AllowedChoice(_Allowed(choice.mode, tuple(_named_choice(one) for one in choice.tools)))
        case ToolName():
            return _named_choice(choice)
        case _:
            return choice


def _named_choice(name: ToolName) -> _FunctionChoice | _CustomChoice:
    if name.type == "function":
        return _FunctionChoice(_Named(name.name))
    return _CustomChoice(_Named(name.name))


def _chat_format(wanted: TextFormat) -> object:
    if isinstance(wanted, JsonSchemaFormat):
        return _SchemaFormat(_Schema(wanted.name, wanted.schema, wanted.description, wanted.strict))
    return wanted
