"""Requests of AWS's Converse API (Amazon Bedrock), encoded from the canonical form.

What this API wants otherwise than the others, and what is done about it:

- The model, and whether it streams, stand in the path: the provider writes them.
- How hard to think is `outputConfig.effort` for models of Anthropic's, with `thinking` switched to adaptive; for those
  from before that it is a budget of tokens. Amazon's and OpenAI's models have words of their own for it. What only one
  maker's models know goes into `additionalModelRequestFields`.
- A tool can be forced and none can be forbidden: where none may be called, none is offered. That only one may be
  called at a time is said in the words of Anthropic's models, which alone know it.
- A conversation with calls in it needs the tools that were called: those that the caller no longer offers are declared
  with any parameters, since the calls could not be sent otherwise.
- Where a caller names a cache key, the end of the static prefix is marked: the last block of `system`, else the last
  tool. No key is needed here: prefixes are found by what they say.
- Who the caller's user is has no place, and is kept in our own record.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.anthropic_requests import BUDGETED, BUDGETS, EFFORTS, LEAST_BUDGET
from headworks.dialects.canonical import (
    AllowedTools,
    CacheBreakpoint,
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
from headworks.dialects.converse_messages import Conversation, cache_point, conversation_of
from headworks.dialects.converse_wire import (
    Block,
    Converse,
    FormatStructure,
    InferenceConfig,
    InputSchema,
    JsonSchema,
    NamedTool,
    Nothing,
    OutputConfig,
    OutputFormat,
    ServiceTier,
    ToolChoice,
    ToolConfig,
    ToolEntry,
    ToolSpec,
    Turn,
)
from headworks.dialects.unsupported import top_k_name, undecodable, unsupported

_TARGET = Endpoint.CONVERSE
_MOST_POINTS = 4
"""Cache points of a request (Amazon Bedrock, "Prompt caching", 2026-11). Of more the latest count, as in OpenAI's API.
"""

_CLAUDE = re.compile(r"\bclaude-")
_CALLS_IN_PARALLEL = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4-(?:[01](?![0-9])|20))")
"""Models of Anthropic's from before 4.5, for which Bedrock takes no `disable_parallel_tool_use`. It wants the flag with
the type `auto` where there is no `toolChoice`, and beside one without (BerriAI/litellm#34347 and #36536, 2026-08)."""

_NOVA = re.compile(r"\bnova-")
_NOVA_THINKS = re.compile(r"\bnova-(?:[2-9]|\d\d)")
_GPT = re.compile(r"\bopenai\.|\bgpt-")
_NOVA_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high"}
"""Amazon Nova 2, "Extended thinking", 2026-11."""

_TIERS = {"auto": None, "default": "default", "flex": "flex", "priority": "priority", "reserved": "reserved"}
_NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')
_ANY_PARAMETERS = msgspec.Raw(b'{"type":"object"}')

_encode = msgspec.json.Encoder().encode


def encode_converse_request(request: ModelRequest) -> bytes:
    """The body of a Converse request that asks for the same.

    Raises:
        Refusal: 400 `unsupported_parameter`, for what this API has nothing for.
    """
    more = _refuse_foreign(request)
    items = with_hours(request.input) if request.has_hourly_marks else request.input
    talk = conversation_of(items, request.instructions, request.dialect)
    tools = [_tool(tool, index) for index, tool in enumerate(request.tools)]
    if isinstance(request.tool_choice, AllowedTools):
        allowed = {tool.name for tool in request.tool_choice.tools}
        tools = [tool for tool in tools if tool.name in allowed]
    if request.tool_choice == "none":
        if talk.called and tools:
            hint = "After calls it has to know the tools, and then it may call them. Leave it to the model: `auto`."
            raise unsupported("tool_choice", _TARGET, hint)
        tools = []
    choice = _choice(request) if tools else None
    if _is_single(request) and choice == ToolChoice(auto=Nothing()):
        choice = None  # it is said in the model's own words
    tools += [_declared(name) for name in talk.called if name not in {tool.name for tool in tools}]
    entries = list(_entries(tools, request))
    _mark_prefix(request, talk, entries)
    _mark_all(request, talk)
    _bound_points(talk, entries)
    inference = InferenceConfig(request.max_output_tokens, request.temperature, request.top_p, request.stop)
    effort, thinking = _thinking(request)
    output = OutputConfig(_format(request), effort)
    tier = None if request.service_tier is None else _TIERS[request.service_tier]
    return _encode(
        Converse(
            messages=tuple(talk.messages),
            system=tuple(talk.system),
            inference_config=None if inference == InferenceConfig() else inference,
            tool_config=ToolConfig(tuple(entries), choice) if entries else None,
            output_config=None if output == OutputConfig() else output,
            service_tier=None if tier is None else ServiceTier(tier),
            additional_model_request_fields={**thinking, **_one_at_a_time(request, choice), **more},
        )
    )


def _entries(tools: list[ToolSpec], request: ModelRequest) -> Iterator[ToolEntry]:
    """The tools, with marks behind those whose caller asks for them, where the model takes marks there."""
    takes_marks = _CLAUDE.search(request.known_model) is not None
    for tool in tools:
        yield ToolEntry(tool)
        caches = request.tool_hints.get(tool.name, ToolHints()).caches
        if caches is not None and takes_marks:
            yield ToolEntry(cache_point=_mark(caches).cache_point)


def _mark(time: Literal["5m", "1h"]) -> Block:
    (mark,) = cache_point(CacheBreakpoint("explicit", "30m" if time == "1h" else None), "")
    return mark


def _refuse_foreign(request: ModelRequest) -> dict[str, msgspec.Raw]:
    """What has no counterpart is refused; what has one in the model's own words alone is returned in these. `metadata`
    has none and need not: it is for the record, which we keep."""
    is_chat = request.dialect is Endpoint.CHAT
    more: dict[str, msgspec.Raw] = {}
    for extra in request.extras:
        raise unsupported(extra.name, _TARGET)
    if request.top_k is not None:
        if _CLAUDE.search(request.known_model) is None:
            raise unsupported(top_k_name(request.dialect), _TARGET)
        more["top_k"] = msgspec.Raw(_encode(request.top_k))
    if request.temperature is not None and request.temperature > 1:
        raise unsupported("temperature", _TARGET, "Its temperatures go from 0 to 1.")
    for name, is_asked in (
        ("seed", request.seed is not None),
        ("frequency_penalty", request.frequency_penalty),
        ("presence_penalty", request.presence_penalty),
        ("logprobs" if is_chat or request.dialect is Endpoint.COMPLETIONS else "top_logprobs", request.wants_logprobs),
        ("top_logprobs", request.top_logprobs),
        ("verbosity" if is_chat else "text.verbosity", request.verbosity not in (None, "medium")),
        ("service_tier", request.service_tier is not None and request.service_tier not in _TIERS),
        ("store", request.store),
        ("prompt_cache_retention", request.prompt_cache_retention not in (None, "in_memory")),
        ("parallel_tool_calls", _is_single(request) and not _may_be_single(request.known_model)),
    ):
        if is_asked:
            raise unsupported(name, _TARGET)
    for name, value in (request.prompt_cache_options or {}).items():
        if name not in ("mode", "ttl") and bytes(value) not in (b"null", b"false"):
            raise unsupported(f"prompt_cache_options.{name}", _TARGET)
    return more


def _tool(tool: Tool, index: int) -> ToolSpec:
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
            return ToolSpec(tool.name, InputSchema(schema), tool.description or None, tool.strict or None)


def _declared(name: str) -> ToolSpec:
    """A tool that was called and is no longer offered."""
    return ToolSpec(name, InputSchema(_ANY_PARAMETERS))


def _choice(request: ModelRequest) -> ToolChoice | None:
    """What may be called of what is offered; None where it is what the API does anyway."""
    match request.tool_choice:
        case None | "none":
            return None
        case "auto" | AllowedTools(mode="auto"):
            return ToolChoice(auto=Nothing())
        case "required" | AllowedTools():
            return ToolChoice(any=Nothing())
        case ToolName(type="function", name=name):
            return ToolChoice(tool=NamedTool(name))
        case OtherChoice() | ToolName():
            raise unsupported("tool_choice", _TARGET)


def _is_single(request: ModelRequest) -> bool:
    return request.parallel_tool_calls is False and bool(request.tools)


def _may_be_single(model: str) -> bool:
    return _CLAUDE.search(model) is not None and _CALLS_IN_PARALLEL.search(model) is None


def _one_at_a_time(request: ModelRequest, choice: ToolChoice | None) -> dict[str, msgspec.Raw]:
    """That only one tool is to be called at a time; beside a choice, whose type is not said twice."""
    if not _is_single(request) or request.tool_choice == "none":
        return {}
    kind = {"type": "auto"} if choice is None else {}
    return {"tool_choice": _raw({**kind, "disable_parallel_tool_use": True})}


def _thinking(request: ModelRequest) -> tuple[str | None, dict[str, msgspec.Raw]]:
    """How hard to think, and what is said of it in the words of the model's maker."""
    effort, model = request.reasoning_effort, request.known_model
    if _CLAUDE.search(model) is not None:
        return _thinking_of_claude(request)
    if effort is None:
        return None, {}
    param = _effort_name(request)
    if _NOVA_THINKS.search(model) is not None:
        if effort == "none":
            return None, {"reasoningConfig": _raw({"type": "disabled"})}
        if effort not in _NOVA_EFFORTS:
            raise unsupported(param, _TARGET, "The efforts of this model end with `high`.")
        return None, {"reasoningConfig": _raw({"type": "enabled", "maxReasoningEffort": _NOVA_EFFORTS[effort]})}
    if _GPT.search(model) is not None:
        return None, {"reasoning_effort": _raw(effort)}
    raise unsupported(param, _TARGET, "It has no word for it that all models of this maker know.")


def _thinking_of_claude(request: ModelRequest) -> tuple[str | None, dict[str, msgspec.Raw]]:
    effort, is_budgeted = request.reasoning_effort, BUDGETED.search(request.known_model) is not None
    display = {"display": "summarized"} if request.shows_reasoning else {}
    adaptive = {"thinking": _raw({"type": "adaptive", **display})}
    if effort is None:
        return None, adaptive if request.shows_reasoning and not is_budgeted else {}
    if effort == "none":
        return None, {"thinking": _raw({"type": "disabled"})}
    if effort not in EFFORTS:
        raise unsupported(_effort_name(request), _TARGET)
    if not is_budgeted:
        return EFFORTS[effort], adaptive
    budget = BUDGETS[effort]
    if request.max_output_tokens is not None:
        budget = min(budget, request.max_output_tokens - 1)
    if budget < LEAST_BUDGET:
        hint = "This model thinks in 1024 tokens at least: allow it more output."
        raise unsupported(_effort_name(request), _TARGET, hint)
    return None, {"thinking": _raw({"type": "enabled", "budget_tokens": budget})}


def _effort_name(request: ModelRequest) -> str:
    return "reasoning_effort" if request.dialect is Endpoint.CHAT else "reasoning.effort"


def _format(request: ModelRequest) -> OutputFormat | None:
    """The schema is enforced whether or not the caller insists."""
    wanted = request.text_format
    param = "response_format" if request.dialect is Endpoint.CHAT else "text.format"
    if isinstance(wanted, JsonObjectFormat):
        raise unsupported(param, _TARGET, "Ask for JSON by a schema: `json_schema`.")
    if not isinstance(wanted, JsonSchemaFormat):
        return None
    try:
        schema = bytes(wanted.schema).decode()
    except UnicodeDecodeError:
        raise undecodable(param) from None
    return OutputFormat("json_schema", FormatStructure(JsonSchema(schema, wanted.name, wanted.description or None)))


def _mark_prefix(request: ModelRequest, talk: Conversation, tools: list[ToolEntry]) -> None:
    """Mark the end of what repeats, where the caller asks for caching without saying where. Only models of Anthropic's
    and Amazon's take marks, and Amazon's none behind tools ("Prompt caching", 2026-11)."""
    options = request.prompt_cache_options or {}
    mode, ttl = options.get("mode"), options.get("ttl")
    if ttl is not None and bytes(ttl) not in (b"null", b'"30m"'):
        raise unsupported("prompt_cache_options.ttl", _TARGET, "It keeps a prefix for an hour at most.")
    asks = request.prompt_cache_key is not None or (mode is not None and bytes(mode) == b'"implicit"')
    if not asks or (mode is not None and bytes(mode) == b'"explicit"'):
        return
    is_claude = _CLAUDE.search(request.known_model) is not None
    (mark,) = cache_point(CacheBreakpoint("explicit", "30m" if ttl is not None and bytes(ttl) != b"null" else None), "")
    if talk.system and (is_claude or _NOVA.search(request.known_model) is not None):
        if talk.system[-1].cache_point is None:
            talk.system.append(mark)
    elif tools and is_claude and tools[-1].cache_point is None:
        tools.append(ToolEntry(cache_point=mark.cache_point))


def _mark_all(request: ModelRequest, talk: Conversation) -> None:
    """Mark the end of the conversation, where the caller asks for all of it to be cached: this API does not unasked."""
    takes_marks = _CLAUDE.search(request.known_model) is not None or _NOVA.search(request.known_model) is not None
    if request.caches_all is None or not takes_marks or not talk.messages:
        return
    last = talk.messages[-1]
    if last.content[-1].cache_point is None:
        talk.messages[-1] = Turn(last.role, (*last.content, _mark(request.caches_all)))


def _bound_points(talk: Conversation, tools: list[ToolEntry]) -> None:
    """Leave the latest cache points that the API takes."""
    left = _MOST_POINTS
    for index in range(len(talk.messages) - 1, -1, -1):
        turn = talk.messages[index]
        blocks, left = _bounded(turn.content, left)
        talk.messages[index] = Turn(turn.role, tuple(blocks))
    talk.system, left = _bounded(talk.system, left)
    marked = [place for place, tool in enumerate(tools) if tool.cache_point is not None]
    too_many = set(marked[: max(0, len(marked) - left)])
    tools[:] = [tool for place, tool in enumerate(tools) if place not in too_many]


def _bounded(blocks: list[Block] | tuple[Block, ...], left: int) -> tuple[list[Block], int]:
    kept: list[Block] = []
    for block in reversed(blocks):
        if block.cache_point is not None:
            if not left:
                continue
            left -= 1
        kept.append(block)
    return kept[::-1], left


def _raw(value: str | Mapping[str, object]) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))
