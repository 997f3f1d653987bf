"""Requests of Google's generateContent, checked as that API checks them, and turned into what is asked.

Source: Gemini API reference, "Generating content", "Function calling" and "Thought signatures" (2026-11), and the types
of the official SDK, 3.6.
"""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from headworks.calls import Endpoint
from headworks.simulator.asking import FREE_TEXT, Ask, Format, Segment, Tool, ToolChoice, accepted_schema
from headworks.simulator.decoding import ABSENT, decoded, given
from headworks.simulator.plan import Model
from headworks.simulator.rejection import Rejection
from headworks.simulator.schema import Schema

UNSIGNED = "skip_thought_signature_validator"
"""A signature that says that there is none, which the API takes (Google, "Thought signatures", 2026-11)."""

_LEAST_BUDGETS = (("high", 16_384), ("medium", 4096), ("low", 1))
_SNAKE = re.compile(r"_([a-z])")
"""Google takes names of fields in snake case, too (ProtoJSON), and its own client mixes the two."""

_CALLERS_OWN = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}
)
_STANDARD = str.maketrans("-_", "+/")
"""Bytes may come in either alphabet of base 64 (ProtoJSON)."""

_LEFT_OUT = frozenset({"nullable", "propertyOrdering", "title", "example"})
"""Of Google's own schemas, what says nothing about which values there are, or is said otherwise."""


class _Body(msgspec.Struct, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    pass


class _FunctionCall(_Body):
    name: str
    args: dict[str, object] = {}
    id: str | None = None


class _FunctionResponse(_Body):
    name: str
    response: dict[str, object] = {}
    id: str | None = None
    parts: Raw = ABSENT


class _Part(_Body):
    text: str | None = None
    inline_data: Raw = ABSENT
    file_data: Raw = ABSENT
    function_call: _FunctionCall | None = None
    function_response: _FunctionResponse | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    media_resolution: Raw = ABSENT


class _Content(_Body):
    parts: list[_Part] = []
    role: Literal["user", "model", "system"] | None = None


class _Declaration(_Body):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    parameters_json_schema: Raw = ABSENT


class _Tool(_Body):
    function_declarations: list[_Declaration] = []


class _Calling(_Body):
    mode: Literal["AUTO", "ANY", "NONE", "VALIDATED"] = "AUTO"
    allowed_function_names: list[str] = []


class _ToolConfig(_Body):
    function_calling_config: _Calling | None = None


class _Thinking(_Body):
    include_thoughts: bool = False
    thinking_budget: Annotated[int, Meta(ge=-1)] | None = None
    thinking_level: Literal["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"] | None = None


class _Config(_Body):
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: float | None = None
    candidate_count: Annotated[int, Meta(ge=1, le=1)] | None = None
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=5)] = []
    response_logprobs: bool = False
    logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    response_mime_type: Literal["text/plain", "application/json"] | None = None
    response_schema: Raw = ABSENT
    response_json_schema: Raw = ABSENT
    thinking_config: _Thinking | None = None


class GeminiBody(_Body):
    """The body of a request; other fields are refused, as that API does."""

    contents: list[_Content] = []
    system_instruction: _Content | None = None
    tools: list[_Tool] = []
    tool_config: _ToolConfig | None = None
    generation_config: _Config = msgspec.field(default_factory=_Config)
    safety_settings: Raw = ABSENT
    cached_content: str | None = None
    service_tier: Literal["flex", "standard", "priority"] | None = None

    @property
    def shows_thoughts(self) -> bool:
        """Whether the text about the thinking is in the answer."""
        thinking = self.generation_config.thinking_config
        return thinking is not None and thinking.include_thoughts


def gemini_body(data: bytes) -> GeminiBody:
    """The body of a request. Raises Rejection: the API's 400."""
    fields = _camelled(decoded(data, dict[str, object]))
    for name in fields:
        if name not in GeminiBody.__struct_encode_fields__:
            raise _invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    return decoded(msgspec.json.encode(fields), GeminiBody)


def _camelled(fields: dict[str, object]) -> dict[str, object]:
    """The fields as the structs name them; the caller's own values as they are."""
    found: dict[str, object] = {}
    for written, value in fields.items():
        name = _SNAKE.sub(lambda match: match[1].upper(), written)
        if name in _CALLERS_OWN:
            found[name] = value
        elif isinstance(value, list):
            found[name] = [_camelled(one) if isinstance(one, dict) else one for one in value]
        else:
            found[name] = _camelled(value) if isinstance(value, dict) else value
    return found


def gemini_ask(body: GeminiBody, model_id: str, model: Model, sign: Callable[[str], str]) -> Ask:
    """What a request asks. `sign` gives the signature of the call of a function. Raises Rejection: the API's 400."""
    if not body.contents:
        raise _invalid("GenerateContentRequest.contents: contents is not specified")
    for content in body.contents:
        if not content.parts:
            raise _invalid("GenerateContentRequest.contents: must include at least one parts field")
    _check_returns(body.contents)
    if model.is_reasoning:
        _check_signatures(body.contents, sign)
    config = body.generation_config
    if config.response_logprobs:
        raise _invalid(f"Logprobs is not enabled for models/{model_id}")
    tools = _tools(body)
    return Ask(
        endpoint=Endpoint.GENERATE_CONTENT,
        model_id=model_id,
        model=model,
        segments=_segments(body),
        last_user_text=next((_text(one) for one in reversed(body.contents) if one.role != "model" and _text(one)), ""),
        tool_outputs=tuple(
            _output(part.function_response) for part in body.contents[-1].parts if part.function_response is not None
        ),
        tools=tools,
        tool_choice=_choice(body, tools),
        format=_format(config),
        max_tokens=config.max_output_tokens,
        stop=tuple(config.stop_sequences),
        effort=_effort(config.thinking_config, model),
    )


def _invalid(message: str) -> Rejection:
    return Rejection(400, message)


def cached_body(data: bytes) -> "CachedBody":
    """The body of a request for a cache. Raises Rejection: the API's 400."""
    fields = _camelled(decoded(data, dict[str, object]))
    for name in fields:
        if name not in CachedBody.__struct_encode_fields__:
            raise _invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    return decoded(msgspec.json.encode(fields), CachedBody)


class CachedBody(_Body):
    """The body of a request for a cache, or for another end of it; other fields are refused, as that API does."""

    model: str = ""
    contents: list[_Content] = []
    system_instruction: _Content | None = None
    tools: list[_Tool] = []
    tool_config: _ToolConfig | None = None
    ttl: str | None = None
    expire_time: str | None = None
    display_name: str | None = None


def behind_cache(cache: CachedBody, body: GeminiBody) -> GeminiBody:
    """What is asked with a cache before it. Raises Rejection: what the cache has may not be said again."""
    if body.system_instruction is not None or body.tools or body.tool_config is not None:
        raise _invalid(
            "CachedContent can not be used with GenerateContent request setting system_instruction, tools or "
            "tool_config."
        )
    return msgspec.structs.replace(
        body,
        contents=[*cache.contents, *body.contents],
        system_instruction=cache.system_instruction,
        tools=cache.tools,
        tool_config=cache.tool_config,
    )


def _check_returns(contents: Sequence[_Content]) -> None:
    """Every call has its return in the next content, by the function's name."""
    awaited: list[str] = []
    for content in contents:
        returned = [part.function_response.name for part in content.parts if part.function_response is not None]
        if sorted(returned) != sorted(awaited):
            raise _invalid(
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        awaited = [part.function_call.name for part in content.parts if part.function_call is not None]
    if awaited:
        raise _invalid("Please ensure that function call turn is followed by a function response turn.")


def _check_signatures(contents: Sequence[_Content], sign: Callable[[str], str]) -> None:
    """The first call of each content since the user last spoke is signed; no signature is another's."""
    spoken = [
        place
        for place, content in enumerate(contents)
        if content.role != "model" and any(part.function_response is None for part in content.parts)
    ]
    for place, content in enumerate(contents):
        calls = [part for part in content.parts if part.function_call is not None]
        for index, part in enumerate(calls):
            name = part.function_call.name if part.function_call is not None else ""
            if part.thought_signature is None:
                if index == 0 and place > (spoken[-1] if spoken else -1):
                    raise _invalid(
                        f"Function call `{name}` in the {place}. content block is missing a thought_signature. This "
                        "is required for tools to work correctly."
                    )
            elif part.thought_signature.translate(_STANDARD) != sign(name) and part.thought_signature != UNSIGNED:
                raise _invalid("Thought signature is not valid")


def _tools(body: GeminiBody) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for declaration in (one for tool in body.tools for one in tool.function_declarations):
        own, standard = given(declaration.parameters), given(declaration.parameters_json_schema)
        if own and standard:
            raise _invalid(f"Function {declaration.name} has both parameters and parameters_json_schema")
        schema = _own(own) if own else standard
        place = f"tools.function_declarations.{declaration.name}"
        tools.append(Tool(declaration.name, _accepted(schema, place) if schema else None))
    return tuple(tools)


def _choice(body: GeminiBody, tools: Sequence[Tool]) -> ToolChoice:
    config = body.tool_config.function_calling_config if body.tool_config is not None else None
    if config is None:
        return ToolChoice()
    names = tuple(config.allowed_function_names)
    if names and config.mode not in ("ANY", "VALIDATED"):
        raise _invalid("Allowed function names should be set only when the function calling mode is ANY or VALIDATED.")
    if any(name not in {tool.name for tool in tools} for name in names):
        raise _invalid("tool_config.function_calling_config.allowed_function_names: not a declared function")
    mode: Literal["none", "auto", "required"] = "required" if config.mode == "ANY" else "auto"
    return ToolChoice("none" if config.mode == "NONE" else mode, names)


def _format(config: _Config) -> Format:
    own, standard = given(config.response_schema), given(config.response_json_schema)
    if config.response_mime_type != "application/json":
        if own or standard:
            raise _invalid("response_mime_type must be application/json where there is a response_schema")
        return FREE_TEXT
    schema = _own(own) if own else standard
    return Format("json_schema", _accepted(schema, "response_schema")) if schema else Format("json_object")


def _accepted(schema: bytes, place: str) -> Schema:
    return accepted_schema(schema, is_strict=False, subject=place, param=place, code="invalid_request_error")


def _own(schema: bytes) -> bytes:
    """A schema in Google's own words as JSON Schema: its types are in capitals."""
    return msgspec.json.encode(_lowered(msgspec.json.decode(schema)))


def _lowered(node: object) -> object:
    if isinstance(node, list):
        return [_lowered(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {name: _lowered(value) for name, value in node.items() if name not in _LEFT_OUT}
    kind = node.get("type")
    if isinstance(kind, str):
        found["type"] = [kind.lower(), "null"] if node.get("nullable") is True else kind.lower()
    properties = node.get("properties")
    if isinstance(properties, dict):  # their names are the caller's, whatever they are
        found["properties"] = {name: _lowered(value) for name, value in properties.items()}
    return found


def _effort(thinking: _Thinking | None, model: Model) -> str:
    if not model.is_reasoning:
        return ""
    if thinking is None or (thinking.thinking_level is None and thinking.thinking_budget in (None, -1)):
        return "medium"
    if thinking.thinking_level is not None:
        return thinking.thinking_level.lower()
    budget = thinking.thinking_budget or 0
    return next((effort for effort, least in _LEAST_BUDGETS if budget >= least), "none")


def _segments(body: GeminiBody) -> tuple[Segment, ...]:
    """Tools, system, contents: the order in which the provider caches them."""
    segments = [Segment(_json(tool)) for tool in body.tools]
    for content in (body.system_instruction, *body.contents):
        if content is not None:
            segments.append(Segment(f"{content.role or 'system'}\n"))
            segments += [_segment(part) for part in content.parts]
    return tuple(segments)


def _segment(part: _Part) -> Segment:
    media = given(part.inline_data) or given(part.file_data)
    if media:
        return Segment(media.decode(), is_image=True)
    return Segment(part.text) if part.text is not None else Segment(_json(part))


def _text(content: _Content) -> str:
    return "\n".join(part.text for part in content.parts if part.text)


def _output(response: _FunctionResponse) -> str:
    """What the function said: under `output`, or the whole of it."""
    output = response.response.get("output", response.response)
    return output if isinstance(output, str) else _json(output)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
