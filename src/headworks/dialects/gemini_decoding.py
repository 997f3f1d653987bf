"""Requests of Google's generateContent, decoded into the canonical form.

Google takes names of fields in snake case, too (ProtoJSON), and its own client mixes the two. The model, and whether
the answer is streamed, stand in the path: `planning` writes them into the fields as `model` and `stream`.
"""

import base64
import binascii
import re
from typing import Any

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import (
    AllowedTools,
    Audio,
    Extra,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    Item,
    JsonObjectFormat,
    JsonSchemaFormat,
    Message,
    ModelRequest,
    OutputText,
    ToolChoice,
    ToolName,
    is_given,
)
from headworks.dialects.gemini_contents import UNSIGNED
from headworks.dialects.gemini_wire import (
    Blob,
    CallingConfig,
    Content,
    FileData,
    FunctionDeclaration,
    FunctionResponsePart,
    GenerationConfig,
    Part,
    ThinkingConfig,
    ToolConfig,
    ToolParam,
)
from headworks.dialects.reading import Fields, kind_of
from headworks.dialects.responses_requests import decoded
from headworks.dialects.sealing import reasoning_in
from headworks.dialects.unsupported import undecodable, unsupported
from headworks.errors import Refusal

_SNAKE = re.compile(r"_([a-z])")
_CALLERS_OWN = frozenset(
    {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}
)
_MEDIUM_BUDGET, _HIGH_BUDGET = 4096, 16_384
"""Thinking tokens from which a budget asks for this effort, as for Anthropic's callers; below it is low."""

_TIERS = {"unspecified": None, "standard": "default", "flex": "flex", "priority": "priority"}
_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
_NO_NAME = "file"
"""A file needs a name in the other APIs."""

_decode_contents = msgspec.json.Decoder(tuple[Content, ...]).decode
_decode_content = msgspec.json.Decoder(Content).decode
_decode_tools = msgspec.json.Decoder(tuple[ToolParam, ...]).decode
_decode_tool_config = msgspec.json.Decoder(ToolConfig).decode
_decode_config = msgspec.json.Decoder(GenerationConfig).decode
_decode_str = msgspec.json.Decoder(str).decode
_decode_bool = msgspec.json.Decoder(bool).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def decode_gemini_request(fields: Fields) -> ModelRequest:
    """The request in the top-level `fields` of a body, with `model` and `stream`.

    Raises:
        Refusal: 400, naming the field that is wrong or not understood.
    """
    values: dict[str, Any] = {"model": "", "store": False, "dialect": Endpoint.GENERATE_CONTENT, "input": ()}
    rules: tuple[Item, ...] = ()
    extras: list[Extra] = []
    for written, raw in fields.items():
        name = _camel(written)
        if not is_given(raw):
            continue
        match name:
            case "model":
                values["model"] = decoded(_decode_str, raw, name)
            case "stream":
                values["is_streamed"] = decoded(_decode_bool, raw, name)
            case "contents":
                values["input"] = _items(decoded(_decode_contents, _camelled(raw), name))
            case "systemInstruction":
                rules = _rules(decoded(_decode_content, _camelled(raw), name))
            case "tools":
                values["tools"] = _tools(decoded(_decode_tools, _camelled(raw), name))
            case "toolConfig":
                calling = decoded(_decode_tool_config, _camelled(raw), name).function_calling_config
                values["tool_choice"] = None if calling is None else _choice(calling)
            case "generationConfig":
                config = decoded(_decode_config, _camelled(raw), name)
                values |= _generation(config)
                extras += _googles_own(config)
            case "serviceTier":
                tier = decoded(_decode_str, raw, name)
                values["service_tier"] = _TIERS.get(tier.lower(), tier)
            case _:
                extras.append(Extra(name, Endpoint.GENERATE_CONTENT, raw))
    values["input"] = (*rules, *values["input"])
    return ModelRequest(extras=tuple(extras), **values)


def _camel(name: str) -> str:
    return _SNAKE.sub(lambda match: match[1].upper(), name)


def _camelled(raw: msgspec.Raw) -> msgspec.Raw:
    """The value with its fields in camel case, and the caller's own values as they came."""
    kind = kind_of(bytes(raw).lstrip())
    try:
        if kind == "object":
            found = {_camel(name): value for name, value in _decode_object(raw).items()}
            return msgspec.Raw(
                _encode({name: value if name in _CALLERS_OWN else _camelled(value) for name, value in found.items()})
            )
        if kind == "array":
            return msgspec.Raw(_encode([_camelled(one) for one in _decode_array(raw)]))
    except (msgspec.MsgspecError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        pass  # the decoder of the field says what is wrong
    return raw


def _rules(content: Content) -> tuple[Item, ...]:
    parts = []
    for place, part in enumerate(content.parts):
        if part.text is None:
            raise unsupported(f"systemInstruction.parts[{place}]", None, "Here it takes only text.")
        parts.append(InputText(part.text))
    return (Message("system", tuple(parts)),) if parts else ()


def _items(contents: tuple[Content, ...]) -> tuple[Item, ...]:
    items: list[Item] = []
    calls: list[FunctionCall] = []  # whose results have not come
    for index, content in enumerate(contents):
        where = f"contents[{index}]"
        if content.role == "model":
            _take_model(content, where, items, calls)
            continue
        said: list[InputText | InputImage | InputFile | InputAudio] = []
        for place, part in enumerate(content.parts):
            param = f"{where}.parts[{place}]"
            if part.function_response is not None:
                items.append(_result(part.function_response, param, calls))
            else:
                said.append(_user_part(part, param))
        if said:
            items.append(Message("user", tuple(said)))
    return tuple(items)


def _take_model(content: Content, where: str, items: list[Item], calls: list[FunctionCall]) -> None:
    for place, part in enumerate(content.parts):
        param = f"{where}.parts[{place}]"
        if part.thought_signature not in (None, UNSIGNED):
            items.append(_reasoning(part.thought_signature or "", param))
        if part.function_call is not None:
            call = part.function_call
            call_id = call.id or f"call_{len(items)}"
            made = FunctionCall(call_id, call.name, _utf8(call.args, param) if is_given(call.args) else "{}")
            items.append(made)
            calls.append(made)
        elif part.thought:
            continue  # a summary; no model reads it
        elif part.text is None:
            raise unsupported(param, None)
        elif part.text:
            items.append(Message("assistant", (OutputText(part.text),)))


def _reasoning(signature: str, param: str) -> Item:
    try:
        text = base64.b64decode(signature.encode("ascii").translate(_STANDARD) + b"==").decode()
    except (binascii.Error, ValueError):
        text = ""
    item = reasoning_in(text)
    if item is None:
        raise unsupported(
            f"{param}.thoughtSignature", None, "What another provider's model has thought only it can read."
        )
    return item


_STANDARD = bytes.maketrans(b"-_", b"+/")


def _result(response: FunctionResponsePart, param: str, calls: list[FunctionCall]) -> FunctionCallOutput:
    if response.parts:
        raise unsupported(f"{param}.functionResponse.parts", None)
    call = next((one for one in calls if response.id in (None, one.call_id) and one.name == response.name), None)
    if call is not None:
        calls.remove(call)
    elif response.id is None:
        raise Refusal(400, "invalid_value", f"'{param}' answers a call that is not there.", param=param)
    call_id = response.id or (call.call_id if call is not None else "")
    return FunctionCallOutput(call_id, _text_of(response.response, param))


def _utf8(raw: msgspec.Raw, param: str) -> str:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        raise undecodable(param) from None


def _text_of(response: msgspec.Raw, param: str) -> str:
    """A result as text: what stands under `output` if nothing else does, or the whole object."""
    if not is_given(response):
        return "{}"
    found = decoded(_decode_object, response, param)
    if found.keys() == {"output"} and kind_of(found["output"]) == "string":
        text: str = decoded(_decode_str, found["output"], param)
        return text
    return _utf8(response, param)


def _user_part(part: Part, param: str) -> InputText | InputImage | InputFile | InputAudio:
    if part.media_resolution is not None:
        raise unsupported(f"{param}.mediaResolution", None)
    if part.inline_data is not None:
        return _inline(part.inline_data)
    if part.file_data is not None:
        return _linked(part.file_data)
    if part.text is None:
        raise unsupported(param, None)
    return InputText(part.text)


def _inline(blob: Blob) -> InputImage | InputFile | InputAudio:
    kind = blob.mime_type.lower()
    data = blob.data.translate(str.maketrans("-_", "+/"))
    if kind in _AUDIO:
        return InputAudio(Audio(data, "wav" if _AUDIO[kind] == "wav" else "mp3"))
    url = f"data:{kind};base64,{data}"
    if kind.startswith("image/"):
        return InputImage(image_url=url, detail="auto")
    return InputFile(file_data=url, filename=blob.display_name or _NO_NAME)


def _linked(file: FileData) -> InputImage | InputFile:
    if (file.mime_type or "").startswith("image/"):
        return InputImage(image_url=file.file_uri, detail="auto")
    return InputFile(file_url=file.file_uri, filename=file.display_name)


def _tools(tools: tuple[ToolParam, ...]) -> tuple[FunctionTool, ...]:
    return tuple(_tool(one) for tool in tools for one in tool.function_declarations)


def _tool(declared: FunctionDeclaration) -> FunctionTool:
    schema = declared.parameters_json_schema
    if is_given(declared.parameters):
        schema = _standard(declared.parameters, "tools[].functionDeclarations[].parameters")
    return FunctionTool(declared.name, schema, False, declared.description)


def _standard(schema: msgspec.Raw, param: str) -> msgspec.Raw:
    """A schema in Google's own words as JSON Schema."""
    try:
        return msgspec.Raw(_encode(_lowered(msgspec.json.decode(schema))))
    except (msgspec.MsgspecError, UnicodeDecodeError, UnicodeEncodeError, RecursionError):
        raise undecodable(param) from None


def _lowered(node: object) -> object:
    if isinstance(node, list):
        return [_lowered(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {name: _lowered(value) for name, value in node.items() if name not in ("nullable", "propertyOrdering")}
    kind = node.get("type")
    if isinstance(kind, str):
        found["type"] = [kind.lower(), "null"] if node.get("nullable") is True else kind.lower()
    for name in ("anyOf", "any_of"):
        if name in found:
            found["anyOf"] = found.pop(name)
    properties = node.get("properties")
    if isinstance(properties, dict):  # their names are the caller's, whatever they are
        found["properties"] = {name: _lowered(value) for name, value in properties.items()}
    return found


def _choice(config: CallingConfig) -> ToolChoice | None:
    names = tuple(ToolName("function", name) for name in config.allowed_function_names)
    match config.mode:
        case "ANY":
            if len(names) == 1:
                return names[0]
            return AllowedTools("required", names) if names else "required"
        case "NONE":
            return "none"
        case "VALIDATED" if names:
            return AllowedTools("auto", names)
        case None | "MODE_UNSPECIFIED":
            return None
        case _:
            return "auto"


def _generation(config: GenerationConfig) -> dict[str, Any]:
    if config.candidate_count not in (None, 1):
        raise unsupported("generationConfig.candidateCount", None)
    values: dict[str, Any] = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "max_output_tokens": config.max_output_tokens,
        "stop": config.stop_sequences,
        "wants_logprobs": bool(config.response_logprobs),
        "top_logprobs": config.logprobs,
        "presence_penalty": config.presence_penalty,
        "frequency_penalty": config.frequency_penalty,
        "seed": config.seed,
    }
    if config.response_mime_type == "application/json":
        schema = config.response_json_schema
        if is_given(config.response_schema):
            schema = _standard(config.response_schema, "generationConfig.responseSchema")
        is_any = not is_given(schema)
        values["text_format"] = JsonObjectFormat() if is_any else JsonSchemaFormat("answer", schema, strict=False)
    elif config.response_mime_type not in (None, "text/plain"):
        raise unsupported("generationConfig.responseMimeType", None)
    elif is_given(config.response_schema) or is_given(config.response_json_schema):
        # Google's own API says the same; a schema that nothing is held to must not pass for one.
        name = "responseSchema" if is_given(config.response_schema) else "responseJsonSchema"
        raise Refusal(
            400,
            "invalid_value",
            f"'generationConfig.{name}' needs a 'generationConfig.responseMimeType' of `application/json`.",
            param=f"generationConfig.{name}",
        )
    if config.thinking_config is not None:
        values |= _thinking(config.thinking_config)
    return values


def _googles_own(config: GenerationConfig) -> list[Extra]:
    """What of a configuration only Google's models know; where it asks for nothing special it is not there."""
    found = {
        "mediaResolution": config.media_resolution,
        "audioTimestamp": config.audio_timestamp,
        "enableEnhancedCivicAnswers": config.enable_enhanced_civic_answers,
    }
    return [
        Extra(f"generationConfig.{name}", Endpoint.GENERATE_CONTENT, raw)
        for name, raw in found.items()
        if is_given(raw) and bytes(raw) not in (b"false", b'"MEDIA_RESOLUTION_UNSPECIFIED"')
    ]


def _thinking(config: ThinkingConfig) -> dict[str, Any]:
    values: dict[str, Any] = {"shows_reasoning": bool(config.include_thoughts), "seals_reasoning": True}
    level, budget = config.thinking_level, config.thinking_budget
    if level not in (None, "THINKING_LEVEL_UNSPECIFIED"):
        values["reasoning_effort"] = str(level).lower()
    elif budget == 0:
        values |= {"reasoning_effort": "none", "seals_reasoning": False}
    elif budget is not None and budget > 0:
        effort = "high" if budget >= _HIGH_BUDGET else "medium" if budget >= _MEDIUM_BUDGET else "low"
        values["reasoning_effort"] = effort
    return values
