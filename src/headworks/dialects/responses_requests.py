"""Requests of the Responses API: decoded into the canonical form, and encoded from it.

The canonical items are this API's own, so that decoding is mostly checking and encoding mostly writing.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import (
    ABSENT,
    AllowedTools,
    CustomCall,
    CustomCallOutput,
    CustomTool,
    Extra,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    Item,
    Message,
    ModelRequest,
    OtherChoice,
    OtherItem,
    OtherTool,
    PlainFormat,
    Reasoning,
    TextFormat,
    Tool,
    ToolChoice,
    ToolName,
    is_given,
)
from headworks.dialects.reading import Fields
from headworks.dialects.unsupported import top_k_name, undecodable, unsupported, wrong_shape
from headworks.errors import Refusal

INCLUDE_LOGPROBS = "message.output_text.logprobs"
INCLUDE_SEALED = "reasoning.encrypted_content"

_NO_EFFECT = frozenset(
    {
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
    }
)
"""Values of `include` that add to the output of hosted tools. Without such tools, which are refused, they add nothing
in the Responses API either."""


class _Type(msgspec.Struct, frozen=True):
    type: str | None = None


class _TextConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class _Reasoning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class _StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    include_obfuscation: bool | None = None


_decode_type = msgspec.json.Decoder(_Type).decode
_decode_raws = msgspec.json.Decoder(tuple[msgspec.Raw, ...]).decode
_encode = msgspec.json.Encoder().encode

_ITEMS: dict[str, Callable[[msgspec.Raw], Item]] = {
    "message": msgspec.json.Decoder(Message).decode,
    "function_call": msgspec.json.Decoder(FunctionCall).decode,
    "function_call_output": msgspec.json.Decoder(FunctionCallOutput).decode,
    "custom_tool_call": msgspec.json.Decoder(CustomCall).decode,
    "custom_tool_call_output": msgspec.json.Decoder(CustomCallOutput).decode,
    "reasoning": msgspec.json.Decoder(Reasoning).decode,
}

_TOOLS: dict[str, Callable[[msgspec.Raw], Tool]] = {
    "function": msgspec.json.Decoder(FunctionTool).decode,
    "custom": msgspec.json.Decoder(CustomTool).decode,
}

_CHOICES: dict[str, Callable[[msgspec.Raw], ToolChoice]] = {
    "function": msgspec.json.Decoder(ToolName).decode,
    "custom": msgspec.json.Decoder(ToolName).decode,
    "allowed_tools": msgspec.json.Decoder(AllowedTools).decode,
}

_SAME: dict[str, Callable[[msgspec.Raw], Any]] = {
    "model": msgspec.json.Decoder(str).decode,
    "instructions": msgspec.json.Decoder(str).decode,
    "max_output_tokens": msgspec.json.Decoder(int).decode,
    "temperature": msgspec.json.Decoder(float).decode,
    "top_p": msgspec.json.Decoder(float).decode,
    "parallel_tool_calls": msgspec.json.Decoder(bool).decode,
    "top_logprobs": msgspec.json.Decoder(int).decode,
    "service_tier": msgspec.json.Decoder(str).decode,
    "prompt_cache_key": msgspec.json.Decoder(str).decode,
    "prompt_cache_options": msgspec.json.Decoder(dict[str, msgspec.Raw]).decode,
    "prompt_cache_retention": msgspec.json.Decoder(str).decode,
    "safety_identifier": msgspec.json.Decoder(str).decode,
    "user": msgspec.json.Decoder(str).decode,
    "metadata": msgspec.json.Decoder(dict[str, str]).decode,
}
"""Fields that have the same name and the same form here, in the canonical request, and where they exist in Chat."""

_decode_text = msgspec.json.Decoder(_TextConfig).decode
_decode_reasoning = msgspec.json.Decoder(_Reasoning).decode
_decode_include = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_stream_options = msgspec.json.Decoder(_StreamOptions).decode
_decode_bool = msgspec.json.Decoder(bool).decode
_decode_str = msgspec.json.Decoder(str).decode

_NULL = msgspec.Raw(b"null")


def decode_responses_request(fields: Fields) -> ModelRequest:
    """The request in the top-level `fields` of a body.

    Raises:
        Refusal: 400, naming the field that is wrong or not understood.
    """
    values: dict[str, Any] = {"input": ()}
    extras: list[Extra] = []
    for name, raw in fields.items():
        if raw == _NULL:
            continue
        decode = _SAME.get(name)
        if decode is not None:
            values[name] = decoded(decode, raw, name)
        elif name in _SPECIAL:
            _SPECIAL[name](raw, values, extras)
        else:
            extras.append(Extra(name, Endpoint.RESPONSES, raw))
    if values.get("top_logprobs"):
        values["wants_logprobs"] = True
    return ModelRequest(extras=tuple(extras), **values)


def decoded(decode: Callable[[msgspec.Raw], Any], raw: msgspec.Raw, param: str) -> Any:
    """The value of `raw`; what is wrong with it becomes a `Refusal` that names `param`."""
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        raise wrong_shape(error, param) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise undecodable(param) from None


def _take_input(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    if memoryview(raw)[0] == ord('"'):
        values["input"] = (Message("user", decoded(_decode_str, raw, "input")),)
        return
    items: list[Item] = []
    for index, one in enumerate(decoded(_decode_raws, raw, "input")):
        param = f"input[{index}]"
        kind = decoded(_decode_type, one, param).type or "message"
        decode = _ITEMS.get(kind)
        items.append(OtherItem(kind, one) if decode is None else decoded(decode, one, param))
    values["input"] = tuple(items)


def _take_tools(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    tools: list[Tool] = []
    for index, one in enumerate(decoded(_decode_raws, raw, "tools")):
        param = f"tools[{index}]"
        kind = decoded(_decode_type, one, param).type or "function"
        decode = _TOOLS.get(kind)
        tools.append(OtherTool(kind, one) if decode is None else decoded(decode, one, param))
    values["tools"] = tuple(tools)


def _take_tool_choice(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    if memoryview(raw)[0] == ord('"'):
        choice = decoded(_decode_str, raw, "tool_choice")
        if choice not in ("none", "auto", "required"):
            raise Refusal(400, "invalid_value", "Invalid value for 'tool_choice'.", param="tool_choice")
        values["tool_choice"] = choice
        return
    kind = decoded(_decode_type, raw, "tool_choice").type
    decode = _CHOICES.get(kind or "")
    values["tool_choice"] = OtherChoice(raw) if decode is None else decoded(decode, raw, "tool_choice")


def _take_text(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    config = decoded(_decode_text, raw, "text")
    values["text_format"] = config.format
    values["verbosity"] = config.verbosity


def _take_reasoning(raw: msgspec.Raw, values: dict[str, Any], extras: list[Extra]) -> None:
    config = decoded(_decode_reasoning, raw, "reasoning")
    values["reasoning_effort"] = config.effort
    # `auto` asks for what there is; a bridge passes on whatever reasoning the upstream shows.
    asks = {"summary": config.summary, "generate_summary": config.generate_summary, "context": config.context}
    values["shows_reasoning"] = "auto" in (config.summary, config.generate_summary)
    is_foreign = {name: value not in (None, "auto") for name, value in asks.items()}
    is_foreign["mode"] = config.mode not in (None, "standard")
    extras.extend(Extra(f"reasoning.{name}", Endpoint.RESPONSES, raw) for name, is_so in is_foreign.items() if is_so)


def _take_include(raw: msgspec.Raw, values: dict[str, Any], extras: list[Extra]) -> None:
    for one in decoded(_decode_include, raw, "include"):
        if one == INCLUDE_LOGPROBS:
            values["wants_logprobs"] = True
        elif one == INCLUDE_SEALED:
            values["seals_reasoning"] = True
        elif one not in _NO_EFFECT:
            extras.append(Extra("include", Endpoint.RESPONSES, raw))


def _take_stream(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    values["is_streamed"] = decoded(_decode_bool, raw, "stream")


def _take_stream_options(raw: msgspec.Raw, _: dict[str, Any], extras: list[Extra]) -> None:
    # A translated stream is not padded: that is what `false` asks for.
    if decoded(_decode_stream_options, raw, "stream_options").include_obfuscation:
        extras.append(Extra("stream_options.include_obfuscation", Endpoint.RESPONSES, raw))


def _take_background(raw: msgspec.Raw, _: dict[str, Any], extras: list[Extra]) -> None:
    if decoded(_decode_bool, raw, "background"):
        extras.append(Extra("background", Endpoint.RESPONSES, raw))


def _take_truncation(raw: msgspec.Raw, _: dict[str, Any], extras: list[Extra]) -> None:
    if decoded(_decode_str, raw, "truncation") != "disabled":
        extras.append(Extra("truncation", Endpoint.RESPONSES, raw))


def _take_store(raw: msgspec.Raw, values: dict[str, Any], extras: list[Extra]) -> None:
    if decoded(_decode_bool, raw, "store"):
        extras.append(Extra("store", Endpoint.RESPONSES, raw))  # to be retrieved as a response, nowhere else
    else:
        values["store"] = False


_SPECIAL: dict[str, Callable[[msgspec.Raw, dict[str, Any], list[Extra]], None]] = {
    "input": _take_input,
    "tools": _take_tools,
    "tool_choice": _take_tool_choice,
    "text": _take_text,
    "reasoning": _take_reasoning,
    "include": _take_include,
    "stream": _take_stream,
    "stream_options": _take_stream_options,
    "background": _take_background,
    "truncation": _take_truncation,
    "store": _take_store,
}


def encode_responses_request(request: ModelRequest) -> bytes:
    """The body of a Responses request that asks for the same.

    Raises:
        Refusal: 400 `unsupported_parameter`, for what this API has nothing for.
    """
    _refuse_foreign(request)
    body: dict[str, Any] = {"model": request.model, "input": [_item(item) for item in request.input]}
    for name in _SAME:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.store is not None:
        body["store"] = request.store
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    reasoning = _reasoning_config(request)
    if reasoning:
        body["reasoning"] = reasoning
    text = _text_config(request)
    if text:
        body["text"] = text
    wanted = {INCLUDE_LOGPROBS: request.wants_logprobs, INCLUDE_SEALED: request.seals_reasoning}
    if any(wanted.values()):
        body["include"] = [name for name, is_wanted in wanted.items() if is_wanted]
    if request.is_streamed:
        body["stream"] = True
    for extra in request.extras:
        body[extra.name.partition(".")[0]] = extra.value  # the field as it came, whatever of it is meant
    return _encode(body)


def _reasoning_config(request: ModelRequest) -> dict[str, str]:
    reasoning = {} if request.reasoning_effort is None else {"effort": request.reasoning_effort}
    return reasoning | {"summary": "auto"} if request.shows_reasoning else reasoning


def _text_config(request: ModelRequest) -> dict[str, object]:
    text: dict[str, object] = {}
    if request.text_format is not None and not isinstance(request.text_format, PlainFormat):
        text["format"] = request.text_format
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    return text


def _refuse_foreign(request: ModelRequest) -> None:
    for extra in request.extras:
        if extra.dialect is not Endpoint.RESPONSES:
            raise unsupported(extra.name, Endpoint.RESPONSES)
    if request.stop:
        raise unsupported("stop_sequences" if request.dialect is Endpoint.MESSAGES else "stop", Endpoint.RESPONSES)
    if request.seed is not None:
        raise unsupported("seed", Endpoint.RESPONSES)
    if request.top_k is not None:
        raise unsupported(top_k_name(request.dialect), Endpoint.RESPONSES)
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(request, name):
            raise unsupported(name, Endpoint.RESPONSES)


def _item(item: Item) -> Item | msgspec.Raw:
    if isinstance(item, OtherItem):
        return item.raw
    if isinstance(item, Message) and not isinstance(item.content, str):
        for part in item.content:
            if isinstance(part, InputAudio):
                # As the SDK's types have it: audio is not among `ResponseInputContent`.
                raise unsupported("messages[].content[].input_audio", Endpoint.RESPONSES)
    return item


def _tool(tool: Tool) -> Any:
    match tool:
        case OtherTool():
            return tool.raw
        case FunctionTool():
            return _function(tool)
        case CustomTool():
            return tool


def _function(tool: FunctionTool) -> dict[str, Any]:
    # `parameters` and `strict` are required here, null allowed.
    parameters = tool.parameters if is_given(tool.parameters) else None
    body: dict[str, Any] = {"type": "function", "name": tool.name, "parameters": parameters, "strict": tool.strict}
    further = {
        "description": tool.description,
        "allowed_callers": tool.allowed_callers,
        "async": tool.is_async,
        "defer_loading": tool.defer_loading,
        "output_schema": tool.output_schema,
    }
    return body | {name: value for name, value in further.items() if value is not None and value != ABSENT}


def _tool_choice(choice: ToolChoice) -> Any:
    match choice:
        case OtherChoice():
            return choice.raw
        case AllowedTools():
            return {"type": "allowed_tools", "mode": choice.mode, "tools": choice.tools}
        case _:
            return choice
