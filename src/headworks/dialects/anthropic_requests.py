"""Requests of Anthropic's Messages API, encoded from the canonical form.

What this API wants otherwise than the others, and what is done about it:

- `max_tokens` is required. A request that sets no limit gets `DEFAULT_MAX_TOKENS`; an answer that is cut there says so.
- How hard to think is `output_config.effort`, with `thinking` switched to adaptive; models from before that have a
  budget of tokens instead (`BUDGETS`).
- Where a caller names a cache key, the end of the static prefix is marked: the last block of `system`, else the last
  tool. No key is needed here: prefixes are found by what they say.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.anthropic_messages import Conversation, conversation_of
from headworks.dialects.anthropic_wire import (
    CacheControl,
    MessageParam,
    OutputConfig,
    OutputFormat,
    ThinkingConfig,
    ToolChoice,
    ToolParam,
    ToolResultBlock,
)
from headworks.dialects.canonical import (
    AllowedTools,
    CustomTool,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    ModelRequest,
    OtherChoice,
    OtherTool,
    Tool,
    ToolHints,
    ToolName,
    is_given,
    with_hours,
)
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

DEFAULT_MAX_TOKENS = 32_000
"""Output tokens of a request that sets no limit: what every model that is still served can give (Anthropic, "Models
overview", 2026-11). The limit is no price: only what is generated is paid, or counted against a rate limit."""

_TARGET = Endpoint.MESSAGES
_MOST_BREAKPOINTS = 4
"""Anthropic, "Prompt caching", 2026-11. Of more the latest count, as in OpenAI's API."""

EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 31_999}
LEAST_BUDGET = 1024
"""Anthropic, "Extended thinking", 2026-11; a budget must also be below `max_tokens`."""

BUDGETED = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4-(?:[015](?![0-9])|20))")
"""Models that think by a budget and know no adaptive thinking: those before 4.6 ("Adaptive thinking", 2026-11)."""

OWN_FIELDS = ("speed", "inference_geo", "user_profile_id", "diagnostics", "thinking")
"""What only this API has, of a caller of it whose request was another dialect's on the way; `thinking` between tools.
"""

_TIERS = {"auto": "auto", "default": "standard_only"}
_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')

_encode = msgspec.json.Encoder().encode
_decode_schema = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def encode_messages_request(request: ModelRequest) -> bytes:
    """The body of a Messages request that asks for the same.

    Raises:
        Refusal: 400 `unsupported_parameter`, for what this API has nothing for.
    """
    _refuse_foreign(request)
    items = with_hours(request.input) if request.has_hourly_marks else request.input
    talk = conversation_of(items, request.instructions, request.dialect)
    tools = [_tool(tool, index, request.tool_hints) for index, tool in enumerate(request.tools)]
    choice = _choice(request)
    if isinstance(request.tool_choice, AllowedTools):
        allowed = {tool.name for tool in request.tool_choice.tools}
        tools = [tool for tool in tools if tool.name in allowed]
    _mark_prefix(request, talk, tools)
    _bound_breakpoints(talk, tools)
    limit = DEFAULT_MAX_TOKENS if request.max_output_tokens is None else request.max_output_tokens
    body: dict[str, Any] = {"model": request.model, "max_tokens": limit, "messages": talk.messages}
    if talk.system:
        body["system"] = talk.system
    if tools:
        body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = choice
    sampling = {"temperature": request.temperature, "top_p": request.top_p}
    body |= {name: value for name, value in sampling.items() if value not in (None, 1)}  # 1 is what it is anyway
    if request.top_k is not None:
        body["top_k"] = request.top_k
    if request.stop:
        body["stop_sequences"] = request.stop
    _put_thinking(body, request, limit)
    user = request.safety_identifier or request.user
    if user is not None:
        body["metadata"] = {"user_id": user}
    if request.service_tier is not None:
        body["service_tier"] = _TIERS[request.service_tier]
    if request.is_streamed:
        body["stream"] = True
    if request.caches_all is not None:
        body["cache_control"] = _kept_for(request.caches_all)
    for extra in request.extras:
        body[extra.name] = extra.value
    return _encode(body)


def _kept_for(time: Literal["5m", "1h"]) -> CacheControl:
    return CacheControl(None if time == "5m" else time)


def _refuse_foreign(request: ModelRequest) -> None:
    """What has no counterpart. `metadata` has none either and need not: it is for the record, which we keep."""
    is_chat = request.dialect is Endpoint.CHAT
    for extra in request.extras:
        if extra.dialect is not _TARGET or extra.name not in OWN_FIELDS:
            raise unsupported(extra.name, _TARGET)
    if request.temperature is not None and request.temperature > 1:
        raise unsupported("temperature", _TARGET, "Its temperatures go from 0 to 1.")
    if request.user is not None and request.safety_identifier not in (None, request.user):
        raise unsupported("user", _TARGET, "It takes one name of a user, and there is a `safety_identifier`.")
    tier, retention = request.service_tier, request.prompt_cache_retention
    for name, is_asked in (
        ("seed", request.seed is not None),
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
        ("logprobs" if is_chat or request.dialect is Endpoint.COMPLETIONS else "top_logprobs", request.wants_logprobs),
        ("top_logprobs", request.top_logprobs),
        ("verbosity" if is_chat else "text.verbosity", request.verbosity not in (None, "medium")),
        ("service_tier", tier is not None and tier not in _TIERS),
        ("store", request.store),
        ("prompt_cache_retention", retention not in (None, "in_memory")),
    ):
        if is_asked:
            raise unsupported(name, _TARGET)
    for name, value in (request.prompt_cache_options or {}).items():
        if name not in ("mode", "ttl") and bytes(value) not in (b"null", b"false"):
            raise unsupported(f"prompt_cache_options.{name}", _TARGET)


def _tool(tool: Tool, index: int, all_hints: Mapping[str, ToolHints]) -> ToolParam:
    match tool:
        case OtherTool():
            raise unsupported(f"tools[{index}].{tool.type}", _TARGET)
        case CustomTool():
            raise unsupported(f"tools[{index}].custom", _TARGET, "Its tools take JSON, never free text.")
        case FunctionTool():
            for name, is_asked in (
                ("async", tool.is_async),
                ("defer_loading", tool.defer_loading),
                ("output_schema", is_given(tool.output_schema)),
                ("allowed_callers", is_given(tool.allowed_callers) and bytes(tool.allowed_callers) != b'["direct"]'),
            ):
                if is_asked:
                    raise unsupported(f"tools[{index}].{name}", _TARGET)
            schema = tool.parameters if is_given(tool.parameters) else _NO_PARAMETERS
            hints = all_hints.get(tool.name, ToolHints())
            return ToolParam(
                tool.name,
                schema,
                tool.description,
                tool.strict or None,
                cache_control=None if hints.caches is None else _kept_for(hints.caches),
                eager_input_streaming=hints.streams_eagerly,
            )


def _choice(request: ModelRequest) -> ToolChoice | None:
    is_single = True if request.parallel_tool_calls is False and request.tools else None
    match request.tool_choice:
        case None:
            return None if is_single is None else ToolChoice("auto", None, is_single)
        case "none":
            return ToolChoice("none") if request.tools else None
        case "auto":
            return ToolChoice("auto", None, is_single) if request.tools else None
        case "required":
            return ToolChoice("any", None, is_single)
        case ToolName(type="function", name=name):
            return ToolChoice("tool", name, is_single)
        case AllowedTools(mode=mode):
            return ToolChoice("auto" if mode == "auto" else "any", None, is_single)
        case OtherChoice() | ToolName():
            raise unsupported("tool_choice", _TARGET)


def _put_thinking(body: dict[str, Any], request: ModelRequest, limit: int) -> None:
    effort = request.reasoning_effort
    display: Literal["summarized"] | None = "summarized" if request.shows_reasoning else None
    config = OutputConfig(format=_format(request))
    param = "reasoning_effort" if request.dialect is Endpoint.CHAT else "reasoning.effort"
    if effort == "none":
        body["thinking"] = ThinkingConfig("disabled")
    elif effort is not None:
        if effort not in EFFORTS:
            raise unsupported(param, _TARGET)
        if BUDGETED.search(request.known_model) is None:
            config = msgspec.structs.replace(config, effort=EFFORTS[effort])
            body["thinking"] = ThinkingConfig("adaptive", None, display)
        else:
            budget = min(BUDGETS[effort], limit - 1)
            if budget < LEAST_BUDGET:
                raise unsupported(param, _TARGET, "This model thinks in 1024 tokens at least: allow it more output.")
            body["thinking"] = ThinkingConfig("enabled", budget, display)
    elif request.shows_reasoning and BUDGETED.search(request.known_model) is None:
        body["thinking"] = ThinkingConfig("adaptive", None, display)
    if config != OutputConfig():
        body["output_config"] = config


def _format(request: ModelRequest) -> OutputFormat | None:
    """The schema is enforced whether or not the caller insists; its name is only a label."""
    wanted = request.text_format
    param = "response_format" if request.dialect is Endpoint.CHAT else "text.format"
    if isinstance(wanted, JsonObjectFormat):
        raise unsupported(param, _TARGET, "Ask for JSON by a schema: `json_schema`.")
    if not isinstance(wanted, JsonSchemaFormat):
        return None
    if not wanted.description:
        return OutputFormat(wanted.schema)
    try:
        schema = _decode_schema(wanted.schema)
    except msgspec.MsgspecError:
        raise Refusal(400, "invalid_value", f"Invalid value for '{param}': its schema is no object.") from None
    # The model reads a description where it stands: in the schema.
    schema.setdefault("description", msgspec.Raw(_encode(wanted.description)))
    return OutputFormat(msgspec.Raw(_encode(schema)))


def _mark_prefix(request: ModelRequest, talk: Conversation, tools: list[ToolParam]) -> None:
    """Mark the end of what repeats, where the caller asks for caching without saying where."""
    options = request.prompt_cache_options or {}
    mode, ttl = options.get("mode"), options.get("ttl")
    if ttl is not None and bytes(ttl) not in (b"null", b'"30m"'):
        raise unsupported("prompt_cache_options.ttl", _TARGET, "It keeps a prefix for an hour at most.")
    asks = request.prompt_cache_key is not None or (mode is not None and bytes(mode) == b'"implicit"')
    if not asks or (mode is not None and bytes(mode) == b'"explicit"'):
        return
    mark = CacheControl("1h" if ttl is not None and bytes(ttl) != b"null" else None)
    if talk.system:
        if talk.system[-1].cache_control is None:
            talk.system[-1] = msgspec.structs.replace(talk.system[-1], cache_control=mark)
    elif tools and tools[-1].cache_control is None:
        tools[-1] = msgspec.structs.replace(tools[-1], cache_control=mark)


def _bound_breakpoints(talk: Conversation, tools: list[ToolParam]) -> None:
    """Leave the latest breakpoints that the API takes."""
    left = _MOST_BREAKPOINTS
    for index in range(len(talk.messages) - 1, -1, -1):
        content, left = _bounded(list(talk.messages[index].content), left)
        talk.messages[index] = MessageParam(talk.messages[index].role, tuple(content))
    talk.system, left = _bounded(talk.system, left)
    tools[:], _ = _bounded(tools, left)


def _bounded(blocks: list[Any], left: int) -> tuple[list[Any], int]:
    kept: list[Any] = []
    for block in reversed(blocks):
        one = block
        if isinstance(one, ToolResultBlock) and isinstance(one.content, tuple):
            inner, left = _bounded(list(one.content), left)
            one = msgspec.structs.replace(one, content=tuple(inner))
        if getattr(one, "cache_control", None) is not None:
            if left == 0:
                one = msgspec.structs.replace(one, cache_control=None)
            else:
                left -= 1
        kept.append(one)
    return kept[::-1], left
