"""Requests of AWS's Converse API, decoded into the canonical form.

Nobody calls the gateway in this dialect. What was translated into it is read again with this: by the support matrix,
which tells what arrives from what does not, and by the tests that nothing is lost on the way.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.anthropic_requests import BUDGETS
from headworks.dialects.canonical import (
    Audio,
    CacheBreakpoint,
    Extra,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    Item,
    JsonSchemaFormat,
    Message,
    ModelRequest,
    OutputPart,
    OutputText,
    Part,
    Reasoning,
    ToolName,
)
from headworks.dialects.canonical import ToolChoice as CanonicalChoice
from headworks.dialects.converse_messages import DOCUMENTS, IMAGES
from headworks.dialects.converse_wire import (
    Block,
    CachePoint,
    Converse,
    Document,
    Image,
    ReasoningContent,
    ToolChoice,
    ToolEntry,
    ToolResult,
    Turn,
)
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_thinking
from headworks.dialects.unsupported import unsupported, wrong_shape
from headworks.errors import Refusal

_decode = msgspec.json.Decoder(Converse).decode

_MEDIA_TYPES: dict[str, str] = {name: kind for kind, name in (*IMAGES.items(), *DOCUMENTS.items())}
_EFFORTS = {budget: effort for effort, budget in BUDGETS.items()}


class _Thinking(msgspec.Struct, frozen=True):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    disable_parallel_tool_use: bool = False


class _ReasoningConfig(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    max_reasoning_effort: str | None = None


T = TypeVar("T")


def decode_converse_request(body: bytes, model: str, *, is_streamed: bool = False) -> ModelRequest:
    """The request in a body, asking `model`, which stands in the path.

    Raises:
        Refusal: 400, for what has another shape, or what the canonical form has no place for.
    """
    try:
        found = _decode(body)
    except msgspec.ValidationError as error:
        raise wrong_shape(error, "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "invalid_value", "The body is no JSON.") from None
    inference, tools, output = found.inference_config, found.tool_config, found.output_config
    rules = _texts(found.system, "system")
    thinking = _thinking(found)
    structure = None if output is None or output.text_format is None else output.text_format.structure.json_schema
    single = _read(found, "tool_choice", _Choice)
    thinks = thinking is not None and thinking.type != "disabled"
    # In the words of the models' maker, whose API has it, too.
    extras = [Extra("top_k", Endpoint.MESSAGES, value) for name, value in _fields(found).items() if name == "top_k"]
    return ModelRequest(
        model=model,
        input=(*((Message("system", rules),) if rules else ()), *_items(found.messages)),
        max_output_tokens=None if inference is None else inference.max_tokens,
        temperature=None if inference is None else inference.temperature,
        top_p=None if inference is None else inference.top_p,
        stop=() if inference is None else inference.stop_sequences,
        tools=() if tools is None else _tools(tools.tools),
        tool_choice=None if tools is None else _choice(tools.tool_choice),
        parallel_tool_calls=False if single is not None and single.disable_parallel_tool_use else None,
        reasoning_effort=_effort(found, thinking),
        shows_reasoning=thinks and thinking is not None and thinking.display != "omitted",
        seals_reasoning=thinks,
        text_format=None
        if structure is None
        else JsonSchemaFormat(
            structure.name or "answer", msgspec.Raw(structure.schema.encode()), structure.description, strict=True
        ),
        service_tier=None if found.service_tier is None else found.service_tier.type,
        store=False,
        is_streamed=is_streamed,
        extras=tuple(extras),
        dialect=Endpoint.CONVERSE,
    )


def _fields(found: Converse) -> dict[str, msgspec.Raw]:
    return found.additional_model_request_fields


def _read(found: Converse, name: str, kind: type[T]) -> T | None:
    """A field of one maker's own."""
    raw = _fields(found).get(name)
    try:
        return None if raw is None else msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise wrong_shape(error, f"additionalModelRequestFields.{name}") from None


def _thinking(found: Converse) -> _Thinking | None:
    return _read(found, "thinking", _Thinking)


def _effort(found: Converse, thinking: _Thinking | None) -> str | None:
    """How hard to think, in whichever maker's words it is said."""
    if found.output_config is not None and found.output_config.effort is not None:
        return found.output_config.effort
    if thinking is not None and thinking.type == "disabled":
        return "none"
    if thinking is not None and thinking.budget_tokens is not None:
        return _EFFORTS.get(thinking.budget_tokens, "low")
    nova = _read(found, "reasoningConfig", _ReasoningConfig)
    if nova is not None:
        return nova.max_reasoning_effort if nova.type == "enabled" else "none"
    return _read(found, "reasoning_effort", str)


def _breakpoint(point: CachePoint) -> CacheBreakpoint:
    return CacheBreakpoint("explicit", "30m" if point.ttl == "1h" else None)


def _texts(blocks: Sequence[Block], where: str) -> tuple[InputText, ...]:
    parts: list[InputText] = []
    for place, block in enumerate(blocks):
        if block.cache_point is not None and parts:
            parts[-1] = InputText(parts[-1].text, _breakpoint(block.cache_point))
        elif block.text is not None:
            parts.append(InputText(block.text))
        else:
            raise unsupported(f"{where}[{place}]", None, "Here it takes only text.")
    return tuple(parts)


def _items(turns: Sequence[Turn]) -> list[Item]:
    items: list[Item] = []
    for index, turn in enumerate(turns):
        where = f"messages[{index}].content"
        match turn.role:
            case "system":
                items.append(Message("system", _texts(turn.content, where)))
            case "assistant":
                _take_assistant(turn.content, where, items)
            case "user":
                _take_user(turn.content, where, items)
    return items


def _take_assistant(blocks: Sequence[Block], where: str, items: list[Item]) -> None:
    said: list[OutputText] = []

    def end_message() -> None:
        if said:
            items.append(Message("assistant", tuple(said)))
        said.clear()

    for place, block in enumerate(blocks):
        if block.text is not None:
            said.append(OutputText(block.text))
            continue
        end_message()
        if block.tool_use is not None:
            call = block.tool_use
            items.append(FunctionCall(call.tool_use_id, call.name, bytes(call.input).decode()))
        elif block.reasoning_content is not None:
            items.append(_reasoning(block.reasoning_content))
        else:
            raise unsupported(f"{where}[{place}]", None)
    end_message()


def _reasoning(found: ReasoningContent) -> Reasoning:
    if found.reasoning_text is None:
        return Reasoning(encrypted_content=sealed_thinking(RedactedThinkingBlock(found.redacted_content or "")))
    text = found.reasoning_text
    return Reasoning(encrypted_content=sealed_thinking(ThinkingBlock(text.text, text.signature or "")))


def _take_user(blocks: Sequence[Block], where: str, items: list[Item]) -> None:
    parts: list[Part] = []
    for place, block in enumerate(blocks):
        param = f"{where}[{place}]"
        if block.tool_result is not None:
            items.append(_output(block.tool_result, param))
        elif block.cache_point is not None and parts:
            parts[-1] = msgspec.structs.replace(parts[-1], prompt_cache_breakpoint=_breakpoint(block.cache_point))
        elif block.cache_point is None:
            parts.append(_part(block, param))
        else:
            raise unsupported(param, None)
    if parts:
        items.append(Message("user", tuple(parts)))


def _output(result: ToolResult, param: str) -> FunctionCallOutput:
    parts: list[OutputPart] = []
    for place, one in enumerate(result.content):
        part = _part(Block(text=one.text, image=one.image, document=one.document), f"{param}.content[{place}]")
        assert isinstance(part, InputText | InputImage | InputFile), "a result has no sound"
        parts.append(part)
    if len(parts) == 1 and isinstance(parts[0], InputText):
        return FunctionCallOutput(result.tool_use_id, parts[0].text)
    return FunctionCallOutput(result.tool_use_id, tuple(parts))


def _part(block: Block, param: str) -> InputText | InputImage | InputFile | InputAudio:
    if block.text is not None:
        return InputText(block.text)
    if block.image is not None:
        return InputImage(_data_url(block.image), detail="auto")
    if block.document is not None:
        return InputFile(_data_url(block.document), filename=block.document.name)
    if block.audio is not None and block.audio.format in ("wav", "mp3"):
        return InputAudio(msgspec.convert({"data": block.audio.source.bytes, "format": block.audio.format}, Audio))
    raise unsupported(param, None)


def _data_url(found: Image | Document) -> str:
    return f"data:{_MEDIA_TYPES[found.format or 'txt']};base64,{found.source.bytes or ''}"


def _tools(entries: Sequence[ToolEntry]) -> tuple[FunctionTool, ...]:
    specs = [entry.tool_spec for entry in entries if entry.tool_spec is not None]
    return tuple(
        FunctionTool(spec.name, spec.input_schema.json, spec.strict or False, spec.description) for spec in specs
    )


def _choice(choice: ToolChoice | None) -> CanonicalChoice | None:
    if choice is None:
        return None
    if choice.tool is not None:
        return ToolName("function", choice.tool.name)
    return "required" if choice.any is not None else "auto"
