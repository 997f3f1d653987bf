"""Requests of Google's generateContent, encoded from the canonical form.

What this API wants otherwise than the others, and what is done about it:

- The model, and whether it streams, stand in the path: the provider writes them.
- How hard to think is `thinkingConfig.thinkingLevel`; models before Gemini 3 have a budget of tokens (`_BUDGETS`).
- A strict tool, and a choice among only some of the tools, are the mode `VALIDATED`.
- Prefixes are cached by what they say: a cache key is not needed, and marks are not either. Who the caller's user is
  has no place, and is kept in our own record.
"""

import re

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import (
    ABSENT,
    AllowedTools,
    CustomTool,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    ModelRequest,
    OtherChoice,
    OtherTool,
    Tool,
    ToolName,
    is_given,
)
from headworks.dialects.gemini_contents import conversation_of
from headworks.dialects.gemini_wire import (
    CallingConfig,
    FunctionDeclaration,
    GenerateContent,
    GenerationConfig,
    ThinkingConfig,
    ThinkingLevel,
    ToolConfig,
    ToolParam,
)
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

_TARGET = Endpoint.GENERATE_CONTENT

_EFFORTS: dict[str, ThinkingLevel] = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "XHIGH",
}
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
"""Google, "OpenAI compatibility", 2026-11: what it takes efforts for itself."""

_OLD = re.compile(r"gemini-[12](?![0-9])")
"""Models before Gemini 3: they think by a budget, and sign nothing that they insist on."""

_ALWAYS_THINKS = re.compile(r"gemini-2\.5-pro")
_TIERS = {"auto": None, "default": "standard", "flex": "flex", "priority": "priority"}
_JSON = "application/json"

OWN_FIELDS = (
    *("generationConfig.mediaResolution", "generationConfig.audioTimestamp"),
    *("generationConfig.enableEnhancedCivicAnswers", "safetySettings", "labels"),
)
"""What only this API has, of a caller of it whose request was another dialect's on the way."""

_encode = msgspec.json.Encoder().encode
_decode_schema = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def encode_gemini_request(request: ModelRequest) -> bytes:
    """The body of a generateContent request that asks for the same.

    Raises:
        Refusal: 400 `unsupported_parameter`, for what this API has nothing for.
    """
    _refuse_foreign(request)
    own = {extra.name: extra.value for extra in request.extras}
    is_new = "gemini" in request.known_model and _OLD.search(request.known_model) is None
    talk = conversation_of(request.input, request.instructions, request.dialect, wants_signatures=is_new)
    declared = tuple(_declaration(tool, index) for index, tool in enumerate(request.tools))
    mime_type, schema = _format(request)
    config = GenerationConfig(
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        max_output_tokens=request.max_output_tokens,
        stop_sequences=request.stop,
        response_logprobs=request.wants_logprobs or None,
        logprobs=request.top_logprobs if request.wants_logprobs else None,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=request.seed,
        response_mime_type=mime_type,
        response_json_schema=schema,
        thinking_config=_thinking(request),
        media_resolution=own.get("generationConfig.mediaResolution", ABSENT),
        audio_timestamp=own.get("generationConfig.audioTimestamp", ABSENT),
        enable_enhanced_civic_answers=own.get("generationConfig.enableEnhancedCivicAnswers", ABSENT),
    )
    calling = _calling(request) if declared else None
    return _encode(
        GenerateContent(
            contents=talk.contents,
            system_instruction=talk.system,
            tools=(ToolParam(declared),) if declared else (),
            tool_config=None if calling is None else ToolConfig(calling),
            generation_config=None if config == GenerationConfig() else config,
            service_tier=None if request.service_tier is None else _TIERS[request.service_tier],
            safety_settings=own.get("safetySettings", ABSENT),
            labels=own.get("labels", ABSENT),
        )
    )


def _refuse_foreign(request: ModelRequest) -> None:
    """What has no counterpart. `metadata` has none either and need not, nor have the names of the caller's user: they
    are for the record, which we keep."""
    is_chat = request.dialect is Endpoint.CHAT
    for extra in request.extras:
        if extra.dialect is not _TARGET or extra.name not in OWN_FIELDS:
            raise unsupported(extra.name, _TARGET)
    for name, is_asked in (
        ("top_logprobs", request.top_logprobs and not request.wants_logprobs),
        ("verbosity" if is_chat else "text.verbosity", request.verbosity not in (None, "medium")),
        ("service_tier", request.service_tier is not None and request.service_tier not in _TIERS),
        ("store", request.store),
        ("prompt_cache_retention", request.prompt_cache_retention not in (None, "in_memory")),
        ("parallel_tool_calls", request.parallel_tool_calls is False and request.tools),
    ):
        if is_asked:
            raise unsupported(name, _TARGET)
    for name, value in (request.prompt_cache_options or {}).items():
        if name != "mode" and bytes(value) not in (b"null", b"false"):
            raise unsupported(f"prompt_cache_options.{name}", _TARGET)


def _declaration(tool: Tool, index: int) -> FunctionDeclaration:
    match tool:
        case OtherTool():
            raise unsupported(f"tools[{index}].{tool.type}", _TARGET)
        case CustomTool():
            raise unsupported(f"tools[{index}].custom", _TARGET, "Its functions take JSON, never free text.")
        case FunctionTool():
            for name, is_asked in (
                ("async", tool.is_async),
                ("defer_loading", tool.defer_loading),
                ("output_schema", is_given(tool.output_schema)),
                ("allowed_callers", is_given(tool.allowed_callers) and bytes(tool.allowed_callers) != b'["direct"]'),
            ):
                if is_asked:
                    raise unsupported(f"tools[{index}].{name}", _TARGET)
            schema = tool.parameters if is_given(tool.parameters) else ABSENT
            return FunctionDeclaration(tool.name, tool.description, parameters_json_schema=schema)


def _calling(request: ModelRequest) -> CallingConfig | None:
    """How the model may call; None where it is what the API does anyway."""
    is_strict = any(isinstance(tool, FunctionTool) and tool.strict for tool in request.tools)
    match request.tool_choice:
        case None | "auto":
            if is_strict:
                return CallingConfig("VALIDATED")
            return None if request.tool_choice is None else CallingConfig("AUTO")
        case "none":
            return CallingConfig("NONE")
        case "required":
            return CallingConfig("ANY")
        case ToolName(type="function", name=name):
            return CallingConfig("ANY", (name,))
        case AllowedTools(mode=mode, tools=tools):
            return CallingConfig("VALIDATED" if mode == "auto" else "ANY", tuple(tool.name for tool in tools))
        case OtherChoice() | ToolName():
            raise unsupported("tool_choice", _TARGET)


def _thinking(request: ModelRequest) -> ThinkingConfig | None:
    effort = request.reasoning_effort
    shows = request.shows_reasoning or None
    if effort is None:
        return None if shows is None else ThinkingConfig(shows)
    param = "reasoning_effort" if request.dialect is Endpoint.CHAT else "reasoning.effort"
    is_old = _OLD.search(request.known_model) is not None
    if effort == "none" and (not is_old or _ALWAYS_THINKS.search(request.known_model) is not None):
        raise unsupported(param, _TARGET, "This model always thinks: ask for `minimal` or `low`.")
    if is_old:
        if effort not in _BUDGETS:
            raise unsupported(param, _TARGET, "The efforts of this model end with `high`.")
        return ThinkingConfig(shows, thinking_budget=_BUDGETS[effort])
    if effort not in _EFFORTS:
        raise unsupported(param, _TARGET, "Its efforts end with `xhigh`.")
    return ThinkingConfig(shows, thinking_level=_EFFORTS[effort])


def _format(request: ModelRequest) -> tuple[str | None, msgspec.Raw]:
    """The media type and the schema. It is enforced whether or not the caller insists; its name is only a label."""
    wanted = request.text_format
    if isinstance(wanted, JsonObjectFormat):
        return _JSON, ABSENT
    if not isinstance(wanted, JsonSchemaFormat):
        return None, ABSENT
    if not wanted.description:
        return _JSON, wanted.schema
    param = "response_format" if request.dialect is Endpoint.CHAT else "text.format"
    try:
        schema = _decode_schema(wanted.schema)
    except msgspec.MsgspecError:
        raise Refusal(400, "invalid_value", f"Invalid value for '{param}': its schema is no object.") from None
    # The model reads a description where it stands: in the schema.
    schema.setdefault("description", msgspec.Raw(_encode(wanted.description)))
    return _JSON, msgspec.Raw(_encode(schema))
