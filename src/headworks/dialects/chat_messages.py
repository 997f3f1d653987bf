"""The messages of a Chat Completions request, and the canonical items that say the same.

Where the two are not alike: an assistant message carries its tool calls, while each call is an item of its own; a tool
message does not say whether the tool was a function or a custom one, its call does. Left out towards Chat, because they
are the server's notes and no model reads them: the ids and the status of items, annotations and logprobs of earlier
answers, a function's name beside its output (its call has it), and reasoning that is in plain text (neither API takes
it back in that form). Sealed reasoning, which is there to be handed back, is refused.
"""

from typing import Literal

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import (
    ABSENT,
    Audio,
    CacheBreakpoint,
    CustomCall,
    CustomCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    Item,
    Message,
    OtherItem,
    OutputPart,
    OutputText,
    Part,
    Reasoning,
    RefusalText,
    is_given,
)
from headworks.dialects.unsupported import unsupported


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    pass


class _TextPart(_Wire, frozen=True, tag_field="type", tag="text"):
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class _ImageUrl(_Wire, frozen=True):
    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class _ImagePart(_Wire, frozen=True, tag_field="type", tag="image_url"):
    image_url: _ImageUrl
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class _AudioPart(_Wire, frozen=True, tag_field="type", tag="input_audio"):
    input_audio: Audio
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class _File(_Wire, frozen=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _FilePart(_Wire, frozen=True, tag_field="type", tag="file"):
    file: _File
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class _RefusalPart(_Wire, frozen=True, tag_field="type", tag="refusal"):
    refusal: str


_UserPart = _TextPart | _ImagePart | _AudioPart | _FilePart


class _Function(_Wire, frozen=True):
    name: str
    arguments: str


class _Custom(_Wire, frozen=True):
    name: str
    input: str


class _FunctionToolCall(_Wire, frozen=True, tag_field="type", tag="function"):
    id: str
    function: _Function


class _CustomToolCall(_Wire, frozen=True, tag_field="type", tag="custom"):
    id: str
    custom: _Custom


class _System(_Wire, frozen=True, tag_field="role", tag="system"):
    content: str | tuple[_TextPart, ...]
    name: str | None = None


class _Developer(_Wire, frozen=True, tag_field="role", tag="developer"):
    content: str | tuple[_TextPart, ...]
    name: str | None = None


class _User(_Wire, frozen=True, tag_field="role", tag="user"):
    content: str | tuple[_UserPart, ...]
    name: str | None = None


class _Assistant(_Wire, frozen=True, tag_field="role", tag="assistant"):
    """As callers send it back: often the whole message that they got, empty fields and reasoning included."""

    content: str | tuple[_TextPart | _RefusalPart, ...] | None = None
    refusal: str | None = None
    tool_calls: tuple[_FunctionToolCall | _CustomToolCall, ...] | None = None
    name: str | None = None
    audio: msgspec.Raw = ABSENT
    function_call: msgspec.Raw = ABSENT
    annotations: msgspec.Raw = ABSENT
    reasoning_content: str | None = None


class _Tool(_Wire, frozen=True, tag_field="role", tag="tool"):
    tool_call_id: str
    content: str | tuple[_TextPart, ...]
    name: str | None = None


ChatMessage = _System | _Developer | _User | _Assistant | _Tool


def items_of_messages(messages: tuple[ChatMessage, ...]) -> tuple[Item, ...]:
    """The canonical items that say what `messages` say.

    Raises:
        Refusal: 400 `unsupported_parameter`, for what the canonical form has no place for.
    """
    items: list[Item] = []
    custom_calls: set[str] = set()
    for index, message in enumerate(messages):
        match message:
            case _Tool():
                content = _text_parts(message.content)
                if message.tool_call_id in custom_calls:
                    items.append(CustomCallOutput(message.tool_call_id, content))
                else:
                    items.append(FunctionCallOutput(message.tool_call_id, content))
            case _Assistant():
                _take_assistant(message, index, items, custom_calls)
            case _User():
                _refuse_name(message.name, index)
                parts = message.content
                items.append(Message("user", parts if isinstance(parts, str) else tuple(map(_input_part, parts))))
            case _System() | _Developer():
                _refuse_name(message.name, index)
                role: Literal["system", "developer"] = "system" if isinstance(message, _System) else "developer"
                items.append(Message(role, _text_parts(message.content)))
    return tuple(items)


def _take_assistant(message: _Assistant, index: int, items: list[Item], custom_calls: set[str]) -> None:
    _refuse_name(message.name, index)
    for name in ("audio", "function_call"):
        if is_given(getattr(message, name)):
            raise unsupported(f"messages[{index}].{name}", None)
    parts: list[Part] = []
    if isinstance(message.content, str):
        if message.content or not (message.refusal or message.tool_calls):
            parts.append(OutputText(message.content))
    else:
        for place, part in enumerate(message.content or ()):
            if isinstance(part, _RefusalPart):
                parts.append(RefusalText(part.refusal))
                continue
            if part.prompt_cache_breakpoint is not None:
                raise unsupported(f"messages[{index}].content[{place}].prompt_cache_breakpoint", None)
            parts.append(OutputText(part.text))
    if message.refusal:
        parts.append(RefusalText(message.refusal))
    if parts:
        items.append(Message("assistant", tuple(parts)))
    for call in message.tool_calls or ():
        if isinstance(call, _FunctionToolCall):
            items.append(FunctionCall(call.id, call.function.name, call.function.arguments))
        else:
            custom_calls.add(call.id)
            items.append(CustomCall(call.id, call.custom.name, call.custom.input))


def _refuse_name(name: str | None, index: int) -> None:
    if name is not None:
        raise unsupported(f"messages[{index}].name", None)


def _text_parts(content: str | tuple[_TextPart, ...]) -> str | tuple[InputText, ...]:
    if isinstance(content, str):
        return content
    return tuple(InputText(part.text, part.prompt_cache_breakpoint) for part in content)


def _input_part(part: _UserPart) -> Part:
    mark = part.prompt_cache_breakpoint
    match part:
        case _TextPart():
            return InputText(part.text, mark)
        case _ImagePart():
            return InputImage(
                image_url=part.image_url.url, detail=part.image_url.detail or "auto", prompt_cache_breakpoint=mark
            )
        case _AudioPart():
            return InputAudio(part.input_audio, mark)
        case _FilePart():
            file = part.file
            return InputFile(
                file_data=file.file_data, file_id=file.file_id, filename=file.filename, prompt_cache_breakpoint=mark
            )


class _Turn:
    """An assistant's message while the items that belong to it come."""

    __slots__ = ("calls", "parts")

    def __init__(self) -> None:
        self.parts: list[_TextPart | _RefusalPart] = []
        self.calls: list[_FunctionToolCall | _CustomToolCall] = []

    def message(self) -> _Assistant:
        content: str | tuple[_TextPart | _RefusalPart, ...] | None = None
        refusal: str | None = None
        match self.parts:
            case [_TextPart(prompt_cache_breakpoint=None) as only]:
                content = only.text
            case [_RefusalPart() as only]:
                refusal = only.refusal
            case [_, *_]:
                content = tuple(self.parts)
        return _Assistant(content=content, refusal=refusal, tool_calls=tuple(self.calls) or None)


def messages_of_items(items: tuple[Item, ...]) -> list[msgspec.Struct]:
    """The chat messages that say what `items` say; what an assistant said and the calls that it made directly after
    or before become one message, as Chat wants them.

    Raises:
        Refusal: 400 `unsupported_parameter`, for what Chat has no place for.
    """
    messages: list[msgspec.Struct] = []
    turn: _Turn | None = None
    for index, item in enumerate(items):
        if isinstance(item, Reasoning):
            if item.encrypted_content is not None:
                raise unsupported(f"input[{index}].encrypted_content", Endpoint.CHAT)
            continue
        said = isinstance(item, Message) and item.role == "assistant"
        if said or isinstance(item, FunctionCall | CustomCall):
            if turn is None or (said and turn.parts and not turn.calls):
                if turn is not None:
                    messages.append(turn.message())
                turn = _Turn()
            _add(turn, item, index)
            continue
        if turn is not None:
            messages.append(turn.message())
            turn = None
        messages.append(_message(item, index))
    if turn is not None:
        messages.append(turn.message())
    return messages


def system_message(text: str) -> msgspec.Struct:
    """The message that says what `instructions` say."""
    return _System(text)


def _add(turn: _Turn, item: Item, index: int) -> None:
    match item:
        case Message():
            if item.phase is not None:
                raise unsupported(f"input[{index}].phase", Endpoint.CHAT)
            content = (OutputText(item.content),) if isinstance(item.content, str) else item.content
            for place, part in enumerate(content):
                match part:
                    case OutputText():
                        turn.parts.append(_TextPart(part.text))
                    case InputText():
                        turn.parts.append(_TextPart(part.text, part.prompt_cache_breakpoint))
                    case RefusalText():
                        turn.parts.append(_RefusalPart(part.refusal))
                    case _:
                        raise unsupported(f"input[{index}].content[{place}]", Endpoint.CHAT)
        case FunctionCall():
            _refuse_caller(item, index)
            turn.calls.append(_FunctionToolCall(item.call_id, _Function(item.name, item.arguments)))
        case CustomCall():
            _refuse_caller(item, index)
            turn.calls.append(_CustomToolCall(item.call_id, _Custom(item.name, item.input)))


def _message(item: Item, index: int) -> msgspec.Struct:
    match item:
        case Message():
            content = _chat_content(item.content, f"input[{index}].content")
            # The API takes `developer` for the newer name of `system`; most other servers know only the older one.
            if item.role == "user":
                return _User(content)
            return _System(_only_text(content, f"input[{index}].content"))
        case FunctionCallOutput() | CustomCallOutput():
            _refuse_caller(item, index)
            param = f"input[{index}].output"
            return _Tool(item.call_id, _only_text(_chat_content(item.output, param), param))
        case OtherItem():
            raise unsupported(f"input[{index}].{item.type}", Endpoint.CHAT)
        case _:
            raise AssertionError("taken into a turn, or left out")


def _chat_content(content: str | tuple[Part, ...] | tuple[OutputPart, ...], param: str) -> str | tuple[_UserPart, ...]:
    if isinstance(content, str):
        return content
    parts = tuple(_chat_part(part, f"{param}[{place}]") for place, part in enumerate(content))
    if len(parts) == 1 and isinstance(parts[0], _TextPart) and parts[0].prompt_cache_breakpoint is None:
        return parts[0].text  # the form that every server takes
    return parts


def _chat_part(part: Part, param: str) -> _UserPart:
    match part:
        case InputText():
            return _TextPart(part.text, part.prompt_cache_breakpoint)
        case OutputText():
            return _TextPart(part.text)
        case InputImage():
            if part.image_url is None or part.file_id is not None:
                raise unsupported(f"{param}.file_id", Endpoint.CHAT, "Give the image as `image_url`.")
            detail = None if part.detail == "auto" else part.detail
            return _ImagePart(_ImageUrl(part.image_url, detail), part.prompt_cache_breakpoint)
        case InputFile():
            if part.file_url is not None:
                raise unsupported(f"{param}.file_url", Endpoint.CHAT, "Give the file as `file_data`.")
            if part.detail not in (None, "auto"):
                raise unsupported(f"{param}.detail", Endpoint.CHAT)
            return _FilePart(_File(part.file_data, part.file_id, part.filename), part.prompt_cache_breakpoint)
        case InputAudio():
            return _AudioPart(part.input_audio, part.prompt_cache_breakpoint)
        case RefusalText():
            raise unsupported(f"{param}.refusal", Endpoint.CHAT)


def _only_text(content: str | tuple[_UserPart, ...], param: str) -> str | tuple[_TextPart, ...]:
    if isinstance(content, str):
        return content
    for place, part in enumerate(content):
        if not isinstance(part, _TextPart):
            raise unsupported(f"{param}[{place}]", Endpoint.CHAT, "Here it takes only text.")
    return tuple(part for part in content if isinstance(part, _TextPart))


def _refuse_caller(item: FunctionCall | CustomCall | FunctionCallOutput | CustomCallOutput, index: int) -> None:
    """What programmatic calling adds to calls and outputs."""
    if is_given(item.caller):
        raise unsupported(f"input[{index}].caller", Endpoint.CHAT)
    for name in ("namespace", "is_async"):
        if getattr(item, name, None):
            raise unsupported(f"input[{index}].{name.removeprefix('is_')}", Endpoint.CHAT)
