"""Requests of Anthropic's Messages API, decoded into the canonical form, for an upstream that speaks another."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.anthropic_items import items_of_messages, items_of_system
from headworks.dialects.anthropic_wire import (
    CacheControl,
    MessageParam,
    MetadataParam,
    OutputConfig,
    TextBlock,
    ThinkingConfig,
    ToolChoice,
    ToolParam,
)
from headworks.dialects.canonical import (
    Extra,
    FunctionTool,
    JsonSchemaFormat,
    ModelRequest,
    ToolHints,
    ToolName,
    is_given,
)
from headworks.dialects.reading import Fields
from headworks.dialects.responses_requests import decoded
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

MOST_USER_CHARACTERS = 64
"""As long as a `safety_identifier` may be (OpenAI API reference, 2026-11). A longer name is sent as its SHA-256."""

_MEDIUM_BUDGET, _HIGH_BUDGET = 4096, 16_384
"""Thinking tokens from which a budget asks for this effort; below it is low. The figures are ours: the APIs that know
efforts say nothing in tokens."""


class _Type(msgspec.Struct, frozen=True):
    type: str | None = None


_decode_messages = msgspec.json.Decoder(tuple[MessageParam, ...]).decode
_decode_system = msgspec.json.Decoder(str | tuple[TextBlock, ...]).decode
_decode_raws = msgspec.json.Decoder(tuple[msgspec.Raw, ...]).decode
_decode_type = msgspec.json.Decoder(_Type).decode
_decode_tool = msgspec.json.Decoder(ToolParam).decode
_decode_choice = msgspec.json.Decoder(ToolChoice).decode
_decode_thinking = msgspec.json.Decoder(ThinkingConfig).decode
_decode_output = msgspec.json.Decoder(OutputConfig).decode
_decode_metadata = msgspec.json.Decoder(MetadataParam).decode
_decode_cache_control = msgspec.json.Decoder(CacheControl).decode
_decode_int = msgspec.json.Decoder(int).decode
_decode_tier = msgspec.json.Decoder(Literal["auto", "standard_only"]).decode
_decode_speed = msgspec.json.Decoder(Literal["standard", "fast"]).decode

_SAME: dict[str, tuple[str, Callable[[msgspec.Raw], Any]]] = {
    "model": ("model", msgspec.json.Decoder(str).decode),
    "temperature": ("temperature", msgspec.json.Decoder(float).decode),
    "top_p": ("top_p", msgspec.json.Decoder(float).decode),
    "top_k": ("top_k", msgspec.json.Decoder(int).decode),
    "stop_sequences": ("stop", msgspec.json.Decoder(tuple[str, ...]).decode),
    "stream": ("is_streamed", msgspec.json.Decoder(bool).decode),
}

_NULL = msgspec.Raw(b"null")


def decode_messages_request(fields: Fields) -> ModelRequest:
    """The request in the top-level `fields` of a body.

    Where the dialects' defaults differ, Anthropic's are written down: an answer is not stored, a tool is not strict.

    Raises:
        Refusal: 400, naming the field that is wrong or not understood.
    """
    values: dict[str, Any] = {
        "store": False,
        "dialect": Endpoint.MESSAGES,
        "input": (),
        "has_hourly_marks": True,
    }
    extras: list[Extra] = []
    for name, raw in fields.items():
        if raw == _NULL:
            continue
        if name in _SAME:
            name_here, decode = _SAME[name]
            values[name_here] = decoded(decode, raw, name)
        elif name in _SPECIAL:
            _SPECIAL[name](raw, values, extras)
        else:
            extras.append(Extra(name, Endpoint.MESSAGES, raw))
    if "max_output_tokens" not in values:
        raise Refusal(
            400, "missing_required_parameter", "Missing required parameter: 'max_tokens'.", param="max_tokens"
        )
    values["input"] = (*values.pop("rules", ()), *values["input"])
    return ModelRequest(extras=tuple(extras), **values)


def _take_messages(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    values["input"] = items_of_messages(decoded(_decode_messages, raw, "messages"))


def _take_system(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    system = decoded(_decode_system, raw, "system")
    if isinstance(system, str):
        values["instructions"] = system or None
    else:
        values["rules"] = items_of_system(system)


def _take_max_tokens(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    limit = decoded(_decode_int, raw, "max_tokens")
    if limit == 0:
        raise unsupported("max_tokens", None, "Only Anthropic's own API warms a cache without an answer.")
    values["max_output_tokens"] = limit


def _take_tools(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    tools, hints = [], dict[str, ToolHints]()
    for index, one in enumerate(decoded(_decode_raws, raw, "tools")):
        param = f"tools[{index}]"
        kind = decoded(_decode_type, one, param).type
        if kind not in (None, "custom"):
            raise unsupported(f"{param}.{kind}", None, "Anthropic runs this tool itself.")
        tool = decoded(_decode_tool, one, param)
        tools.append(_tool(tool, param))
        mark = tool.cache_control
        if mark is not None or tool.eager_input_streaming:
            hints[tool.name] = ToolHints(None if mark is None else mark.ttl or "5m", tool.eager_input_streaming)
    values["tools"], values["tool_hints"] = tuple(tools), hints


def _tool(tool: ToolParam, param: str) -> FunctionTool:
    if is_given(tool.allowed_callers) and bytes(tool.allowed_callers) != b'["direct"]':
        raise unsupported(f"{param}.allowed_callers", None)
    if tool.defer_loading:
        raise unsupported(f"{param}.defer_loading", None)
    if is_given(tool.input_examples):
        raise unsupported(f"{param}.input_examples", None)
    return FunctionTool(tool.name, tool.input_schema, tool.strict or False, tool.description)


def _take_tool_choice(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    choice = decoded(_decode_choice, raw, "tool_choice")
    if choice.type == "tool":
        if choice.name is None:
            raise Refusal(
                400,
                "missing_required_parameter",
                "Missing required parameter: 'tool_choice.name'.",
                param="tool_choice.name",
            )
        values["tool_choice"] = ToolName("function", choice.name)
    else:
        values["tool_choice"] = "required" if choice.type == "any" else choice.type
    if choice.disable_parallel_tool_use:
        values["parallel_tool_calls"] = False


def _take_thinking(raw: msgspec.Raw, values: dict[str, Any], extras: list[Extra]) -> None:
    config = decoded(_decode_thinking, raw, "thinking")
    if config.type == "between_tools":
        extras.append(Extra("thinking", Endpoint.MESSAGES, raw))
    elif config.type == "disabled":
        values["reasoning_effort"] = "none"
    else:
        # What Anthropic's API does for whoever lets it think: show a summary, and seal the rest for the next turn.
        values["shows_reasoning"] = config.display != "omitted"
        values["seals_reasoning"] = True
        if config.budget_tokens is not None:
            values.setdefault("reasoning_effort", _effort(config.budget_tokens))


def _effort(budget: int) -> str:
    if budget >= _HIGH_BUDGET:
        return "high"
    return "medium" if budget >= _MEDIUM_BUDGET else "low"


def _take_output_config(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    config = decoded(_decode_output, raw, "output_config")
    if config.effort is not None and values.get("reasoning_effort") != "none":
        values["reasoning_effort"] = config.effort
    if config.format is not None:
        values["text_format"] = JsonSchemaFormat("answer", config.format.schema, strict=True)


def _take_metadata(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    user = decoded(_decode_metadata, raw, "metadata").user_id
    if user:
        is_long = len(user) > MOST_USER_CHARACTERS
        values["safety_identifier"] = sha256(user.encode("utf-8", "replace")).hexdigest() if is_long else user


def _take_service_tier(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    values["service_tier"] = "auto" if decoded(_decode_tier, raw, "service_tier") == "auto" else "default"


def _take_speed(raw: msgspec.Raw, _: dict[str, Any], extras: list[Extra]) -> None:
    if decoded(_decode_speed, raw, "speed") != "standard":
        extras.append(Extra("speed", Endpoint.MESSAGES, raw))


def _take_cache_control(raw: msgspec.Raw, values: dict[str, Any], _: list[Extra]) -> None:
    values["caches_all"] = decoded(_decode_cache_control, raw, "cache_control").ttl or "5m"


_SPECIAL: dict[str, Callable[[msgspec.Raw, dict[str, Any], list[Extra]], None]] = {
    "messages": _take_messages,
    "system": _take_system,
    "max_tokens": _take_max_tokens,
    "tools": _take_tools,
    "tool_choice": _take_tool_choice,
    "thinking": _take_thinking,
    "output_config": _take_output_config,
    "metadata": _take_metadata,
    "service_tier": _take_service_tier,
    "speed": _take_speed,
    "cache_control": _take_cache_control,
}
