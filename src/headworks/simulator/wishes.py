"""Wishes that both APIs express alike: which tool is called, and how the prompt cache is used."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Raw

from headworks.simulator.asking import CacheWish, Tool, ToolChoice
from headworks.simulator.decoding import decoded, given
from headworks.simulator.rejection import invalid_value, missing


class CacheOptions(msgspec.Struct):
    """`prompt_cache_options`, as both APIs have it."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m", "12h"] | None = None
    prewarm: bool | None = None


class _Named(msgspec.Struct):
    name: str


class _AllowedTool(msgspec.Struct):
    type: str
    name: str | None = None
    function: _Named | None = None


class _Allowed(msgspec.Struct):
    mode: Literal["auto", "required"]
    tools: list[_AllowedTool]


class _Choice(msgspec.Struct):
    """A `tool_choice` object of either API: Chat nests what Responses keeps flat."""

    type: str
    name: str | None = None
    function: _Named | None = None
    allowed_tools: _Allowed | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[_AllowedTool] | None = None


def tool_choice(raw: Raw, tools: Sequence[Tool], *, is_chat: bool) -> ToolChoice:
    """The `tool_choice` of either API. Raises Rejection for a name that is not among the tools."""
    data = given(raw)
    if not data:
        return ToolChoice()
    if data.startswith(b'"'):
        return _plain_choice(decoded(data, str, "tool_choice"), tools)
    choice = decoded(data, _Choice, "tool_choice")
    if choice.type == "allowed_tools":
        mode = (choice.allowed_tools.mode if choice.allowed_tools else choice.mode) or "auto"
        allowed = choice.allowed_tools.tools if choice.allowed_tools else choice.tools or []
        names = [tool.function.name if tool.function else tool.name for tool in allowed if tool.type == "function"]
        return ToolChoice(mode, tuple(name for name in names if name))
    if choice.type != "function":
        return ToolChoice()
    name = choice.function.name if choice.function else choice.name
    if name is None:
        raise missing("tool_choice.function.name" if is_chat else "tool_choice.name")
    if name not in {tool.name for tool in tools}:
        raise invalid_value("tool_choice", f"Tool choice '{name}' not found in 'tools' parameter.")
    return ToolChoice("required", (name,))


def _plain_choice(choice: str, tools: Sequence[Tool]) -> ToolChoice:
    if choice not in {"none", "auto", "required"}:
        raise invalid_value(
            "tool_choice",
            f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.",
        )
    if choice == "required" and not tools:
        raise invalid_value("tool_choice", "Tool choice 'required' must be specified with 'tools' parameter.")
    return ToolChoice("none" if choice == "none" else "required" if choice == "required" else "auto")


def cache_wish(key: str | None, options: CacheOptions | None, retention: str | None) -> CacheWish:
    """How the prompt cache is to be used; the same fields in both APIs."""
    ttl = options.ttl if options else None
    seconds = {"30m": 1800.0, "12h": 43_200.0}[ttl] if ttl else 86_400.0 if retention == "24h" else None
    return CacheWish(
        key=key or "",
        is_implicit=options is None or options.mode != "explicit",
        ttl_s=seconds,
        is_prewarm=bool(options and options.prewarm),
    )
