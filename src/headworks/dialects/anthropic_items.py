"""The `system` and the `messages` of a Messages request, as canonical items.

Marks of cached prefixes (`cache_control`) are carried on what a user or the system says. On tools, and on what the
assistant said, the other APIs have no place for them and need none: they cache prefixes by themselves. That a tool
failed (`is_error`) is said in words, since the other APIs have no field for it.
"""

import base64

import msgspec

from headworks.dialects.anthropic_wire import (
    Base64Source,
    Block,
    CacheControl,
    DocumentBlock,
    FileSource,
    ImageBlock,
    MessageParam,
    TextBlock,
    TextSource,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
)
from headworks.dialects.canonical import (
    CacheBreakpoint,
    FunctionCall,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputText,
    Item,
    Message,
    OutputPart,
    OutputText,
    Reasoning,
    ReasoningText,
    is_given,
)
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, reasoning_in
from headworks.dialects.unsupported import undecodable, unsupported
from headworks.errors import Refusal

_FAILED = "Error: "
_FOREIGN = "What another provider's model has thought only it can read."
_NO_TITLE = "document.pdf"
"""A file needs a name in the other APIs; a document here needs no title."""

_NO_CITATIONS = msgspec.Raw(b'{"enabled":false}')


def items_of_system(system: str | tuple[TextBlock, ...]) -> tuple[Item, ...]:
    """The system prompt as a message; a plain string is for `instructions`."""
    parts = _rules(system, "system")
    return (Message("system", parts),) if parts else ()


def items_of_messages(messages: tuple[MessageParam, ...]) -> tuple[Item, ...]:
    """The canonical items that say what `messages` say.

    Raises:
        Refusal: 400, for what the canonical form has no place for.
    """
    items: list[Item] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        match message.role:
            case "assistant":
                _take_assistant(message, where, items)
            case "system":
                items.append(Message("system", _rules(message.content, f"{where}.content")))
            case "user":
                _take_user(message, where, items)
    if messages and messages[-1].role == "assistant":
        raise Refusal(
            400,
            "unsupported_parameter",
            f"'messages[{len(messages) - 1}]' cannot be translated: it is the beginning of the answer (prefill), and "
            "this model's provider always begins anew. End with a message of the user.",
            param=f"messages[{len(messages) - 1}]",
        )
    return tuple(items)


def _rules(content: str | tuple[Block, ...], where: str) -> tuple[InputText, ...]:
    parts = []
    for place, block in enumerate(_blocks(content)):
        if not isinstance(block, TextBlock):
            raise unsupported(f"{where}[{place}]", None, "Here it takes only text.")
        parts.append(InputText(block.text, _breakpoint(block.cache_control)))
    return tuple(parts)


def _blocks(content: str | tuple[Block, ...]) -> tuple[Block, ...]:
    return (TextBlock(content),) if isinstance(content, str) else content


def _take_assistant(message: MessageParam, where: str, items: list[Item]) -> None:
    said: list[OutputText] = []

    def end_message() -> None:
        if said:
            items.append(Message("assistant", tuple(said)))
        said.clear()

    for place, block in enumerate(_blocks(message.content)):
        param = f"{where}.content[{place}]"
        if isinstance(block, TextBlock):
            said.append(OutputText(block.text))
            continue
        end_message()
        match block:
            case ToolUseBlock():
                if block.toolset_name is not None or not _is_direct(block.caller):
                    raise unsupported(f"{param}.caller", None)
                items.append(FunctionCall(block.id, block.name, _input(block, param)))
            case ThinkingBlock():
                items.append(_reasoning(block, param))
            case RedactedThinkingBlock():
                raise unsupported(f"{param}.data", None, _FOREIGN)
            case _:
                raise unsupported(param, None)
    end_message()


def _input(block: ToolUseBlock, param: str) -> str:
    try:
        return bytes(block.input).decode()
    except UnicodeDecodeError:
        raise undecodable(f"{param}.input") from None


def _reasoning(block: ThinkingBlock, param: str) -> Reasoning:
    if not block.signature:
        return Reasoning(content=(ReasoningText(block.thinking),))
    item = reasoning_in(block.signature)
    if item is None:
        raise unsupported(f"{param}.signature", None, _FOREIGN)
    return item


def _take_user(message: MessageParam, where: str, items: list[Item]) -> None:
    if isinstance(message.content, str):
        items.append(Message("user", message.content))
        return
    parts: list[InputText | InputImage | InputFile] = []
    for place, block in enumerate(message.content):
        param = f"{where}.content[{place}]"
        if isinstance(block, ToolResultBlock):
            items.append(_output(block, param))
        else:
            parts.append(_part(block, param))
    if parts:
        items.append(Message("user", tuple(parts)))


def _output(block: ToolResultBlock, param: str) -> FunctionCallOutput:
    if block.toolset_name is not None:
        raise unsupported(f"{param}.toolset_name", None)
    mark = _breakpoint(block.cache_control)
    prefix = _FAILED if block.is_error else ""
    if block.content is None or isinstance(block.content, str):
        text = prefix + (block.content or "")
        return FunctionCallOutput(block.tool_use_id, text if mark is None else (InputText(text, mark),))
    parts: list[OutputPart] = [_part(one, f"{param}.content[{place}]") for place, one in enumerate(block.content)]
    if prefix:
        parts.insert(0, InputText(prefix))
    if mark is not None and parts:
        parts[-1] = msgspec.structs.replace(parts[-1], prompt_cache_breakpoint=mark)
    if len(parts) == 1 and isinstance(parts[0], InputText) and parts[0].prompt_cache_breakpoint is None:
        return FunctionCallOutput(block.tool_use_id, parts[0].text)
    return FunctionCallOutput(block.tool_use_id, tuple(parts))


def _part(block: Block, param: str) -> InputText | InputImage | InputFile:
    match block:
        case TextBlock():
            return InputText(block.text, _breakpoint(block.cache_control))
        case ImageBlock():
            if is_given(block.transformations) and bytes(block.transformations) != b"{}":
                raise unsupported(f"{param}.transformations", None)
            return _image(block)
        case DocumentBlock():
            return _document(block, param)
        case _:
            raise unsupported(param, None)


def _image(block: ImageBlock) -> InputImage:
    mark = _breakpoint(block.cache_control)
    match block.source:
        case Base64Source(media_type=kind, data=data):
            return InputImage(f"data:{kind};base64,{data}", detail="auto", prompt_cache_breakpoint=mark)
        case UrlSource(url=url):
            return InputImage(url, detail="auto", prompt_cache_breakpoint=mark)
        case FileSource(file_id=file_id):
            return InputImage(file_id=file_id, detail="auto", prompt_cache_breakpoint=mark)


def _document(block: DocumentBlock, param: str) -> InputFile:
    if is_given(block.citations) and bytes(block.citations).replace(b" ", b"") not in (b"{}", bytes(_NO_CITATIONS)):
        raise unsupported(f"{param}.citations", None)
    if block.context is not None:
        raise unsupported(f"{param}.context", None)
    mark = _breakpoint(block.cache_control)
    match block.source:
        case Base64Source(media_type=kind, data=data):
            url = f"data:{kind};base64,{data}"
            return InputFile(url, filename=block.title or _NO_TITLE, prompt_cache_breakpoint=mark)
        case TextSource(data=data):
            url = f"data:text/plain;base64,{base64.b64encode(data.encode()).decode()}"
            return InputFile(url, filename=block.title or "document.txt", prompt_cache_breakpoint=mark)
        case UrlSource(url=url):
            return InputFile(file_url=url, filename=block.title, prompt_cache_breakpoint=mark)
        case FileSource(file_id=file_id):
            return InputFile(file_id=file_id, filename=block.title, prompt_cache_breakpoint=mark)


def _breakpoint(mark: CacheControl | None) -> CacheBreakpoint | None:
    """The mark as OpenAI's API has it; for an hour is at least the shorter of its times, so the longer is meant."""
    if mark is None:
        return None
    return CacheBreakpoint("explicit", "12h" if mark.ttl == "1h" else None)


def _is_direct(caller: msgspec.Raw) -> bool:
    return not is_given(caller) or bytes(caller).replace(b" ", b"") == b'{"type":"direct"}'
