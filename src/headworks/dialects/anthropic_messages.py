"""Canonical items as the `system` and the `messages` of a Messages request.

Where the two are not alike: what stands in a row for one side is one message here, and the results of tools come first
in it; what the caller says as `system` or `developer` before anything else is the top-level `system`, later it is a
message of the role `system`, in its place. Left out, because no model reads it: the ids and the status of items,
annotations of earlier answers, empty text (which this API refuses), and reasoning in plain text without a seal (which
it does not take back). Tool call ids that this API would refuse are rewritten, a call's and its result's alike.
"""

import base64
import binascii
import re
from hashlib import blake2b

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.anthropic_wire import (
    Base64Source,
    Block,
    CacheControl,
    DocumentBlock,
    FileSource,
    ImageBlock,
    MessageParam,
    ResultBlock,
    TextBlock,
    TextSource,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
)
from headworks.dialects.canonical import (
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
from headworks.dialects.sealing import thinking_in
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

_TARGET = Endpoint.MESSAGES
_TTLS = {None: None, "30m": "1h"}
"""How long a prefix is kept: the shortest of this API's times that is not shorter. 12 hours it does not offer."""

_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_DATA_URL = re.compile(r"data:([A-Za-z0-9.+/-]+)(?:;[A-Za-z0-9.=_-]+)*;base64,", re.IGNORECASE)
_TYPES_OF_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Conversation(msgspec.Struct):
    """What a request says to the model: `system`, and the turns in the order of the API."""

    system: list[TextBlock]
    messages: list[MessageParam]


def item_names(dialect: Endpoint, index: int) -> tuple[str, str]:
    """How a caller of `dialect` names an item, and the content of one. Only in Responses is an item one entry of the
    caller's own list."""
    where = f"input[{index}]" if dialect is Endpoint.RESPONSES else "messages[]"
    return where, f"{where}.content"


def conversation_of(items: tuple[Item, ...], instructions: str | None, dialect: Endpoint) -> Conversation:
    """The conversation that `instructions` and `items` are.

    Raises:
        Refusal: 400, for what this API has no place for, in the words of the caller's `dialect`.
    """
    talk = Conversation([], [])
    if instructions:
        talk.system.append(TextBlock(instructions))
    turn: list[Block] = []
    role = ""

    def end_turn() -> None:
        if turn:
            kept = _in_order(turn, role)
            if kept:
                talk.messages.append(MessageParam("assistant" if role == "assistant" else "user", tuple(kept)))
        turn.clear()

    for index, item in enumerate(items):
        if isinstance(item, Message) and item.role in ("system", "developer"):
            rules = _rules(item, index, dialect)
            end_turn()
            role = ""
            if not talk.messages:
                talk.system.extend(rules)
            elif rules:
                talk.messages.append(MessageParam("system", rules))
            continue
        side, blocks = _side_of(item, index, dialect)
        if side != role:
            end_turn()
            role = side
        turn.extend(blocks)
    end_turn()
    return talk


def cache_control(mark: CacheBreakpoint | None, param: str) -> CacheControl | None:
    """The breakpoint as this API has it."""
    if mark is None:
        return None
    if mark.ttl not in _TTLS:
        raise unsupported(f"{param}.prompt_cache_breakpoint.ttl", _TARGET, "It keeps a prefix for an hour at most.")
    return CacheControl("1h" if mark.ttl is not None else None)


def tool_id(call_id: str) -> str:
    """The id of a call as this API takes it; another call's stays another."""
    if _ID.fullmatch(call_id) is not None:
        return call_id
    digest = blake2b(call_id.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{_NOT_IN_ID.sub('_', call_id)[:96]}_{digest}"


def _in_order(turn: list[Block], role: str) -> list[Block]:
    """The blocks of a turn that say something, the results of tools first."""
    if role == "assistant":
        return [block for block in turn if not isinstance(block, TextBlock) or block.text.strip()]
    results: list[Block] = [block for block in turn if isinstance(block, ToolResultBlock)]
    rest = [block for block in turn if not isinstance(block, ToolResultBlock)]
    return results + [block for block in rest if not isinstance(block, TextBlock) or block.text]


def _rules(item: Message, index: int, dialect: Endpoint) -> tuple[TextBlock, ...]:
    content = (InputText(item.content),) if isinstance(item.content, str) else item.content
    _, param = item_names(dialect, index)
    blocks = []
    for place, part in enumerate(content):
        if not isinstance(part, InputText | OutputText):
            raise unsupported(f"{param}[{place}]", _TARGET, "Here it takes only text.")
        mark = part.prompt_cache_breakpoint if isinstance(part, InputText) else None
        if part.text:
            blocks.append(TextBlock(part.text, cache_control(mark, f"{param}[{place}]")))
    return tuple(blocks)


def _side_of(item: Item, index: int, dialect: Endpoint) -> tuple[str, list[Block]]:
    """Whose turn an item belongs to, and what it adds to it."""
    where, content = item_names(dialect, index)
    match item:
        case Message(role="user"):
            parts: tuple[Part, ...] = (InputText(item.content),) if isinstance(item.content, str) else item.content
            return "user", [_user_block(part, f"{content}[{place}]") for place, part in enumerate(parts)]
        case Message():
            return "assistant", _said(item, where)
        case Reasoning():
            return "assistant", _thought(item, where)
        case FunctionCall():
            _refuse_caller(item, where)
            return "assistant", [ToolUseBlock(tool_id(item.call_id), item.name, _input(item, where))]
        case FunctionCallOutput():
            _refuse_caller(item, where)
            return "user", [_result(item.call_id, item.output, f"{where}.output")]
        case CustomCall() | CustomCallOutput():
            raise unsupported(f"{where}.custom_tool_call", _TARGET, "Its tools take JSON, never free text.")
        case OtherItem():
            raise unsupported(f"{where}.{item.type}", _TARGET)


def _said(item: Message, where: str) -> list[Block]:
    if item.phase is not None:
        raise unsupported(f"{where}.phase", _TARGET)
    content = (OutputText(item.content),) if isinstance(item.content, str) else item.content
    blocks: list[Block] = []
    for place, part in enumerate(content):
        match part:
            case OutputText():
                blocks.append(TextBlock(part.text))
            case InputText():
                mark = cache_control(part.prompt_cache_breakpoint, f"{where}.content[{place}]")
                blocks.append(TextBlock(part.text, mark))
            case RefusalText():
                blocks.append(TextBlock(part.refusal))  # in the model's own words
            case _:
                raise unsupported(f"{where}.content[{place}]", _TARGET)
    return blocks


def _thought(item: Reasoning, where: str) -> list[Block]:
    if item.encrypted_content is None:
        return []
    block = thinking_in(item.encrypted_content)
    if block is None:
        raise unsupported(
            f"{where}.encrypted_content", _TARGET, "What another provider's model has thought only it can read."
        )
    return [block]


def _input(item: FunctionCall, where: str) -> msgspec.Raw:
    arguments = item.arguments.strip() or "{}"
    try:
        _decode_object(arguments)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        param = f"{where}.arguments"
        raise Refusal(
            400,
            "invalid_value",
            f"'{param}' must be a JSON object: this model's provider takes no call whose arguments are anything else.",
            param=param,
        ) from None
    return msgspec.Raw(arguments.encode())


def _result(call_id: str, output: str | tuple[OutputPart, ...], param: str) -> ToolResultBlock:
    if isinstance(output, str):
        return ToolResultBlock(tool_id(call_id), output or None)
    blocks: list[ResultBlock] = []
    for place, part in enumerate(output):
        block = _user_block(part, f"{param}[{place}]")
        assert isinstance(block, TextBlock | ImageBlock | DocumentBlock), "an output has no other parts"
        if not isinstance(block, TextBlock) or block.text:
            blocks.append(block)
    return ToolResultBlock(tool_id(call_id), tuple(blocks) or None)


def _user_block(part: Part, param: str) -> Block:
    match part:
        case InputText():
            return TextBlock(part.text, cache_control(part.prompt_cache_breakpoint, param))
        case OutputText():
            return TextBlock(part.text)
        case InputImage():
            return _image(part, param)
        case InputFile():
            return _document(part, param)
        case InputAudio():
            raise unsupported(f"{param}.input_audio", _TARGET)
        case RefusalText():
            raise unsupported(f"{param}.refusal", _TARGET)


def _image(part: InputImage, param: str) -> ImageBlock:
    if part.detail not in (None, "auto", "high"):
        raise unsupported(f"{param}.detail", _TARGET, "It sees every image as sharply as it can.")
    mark = cache_control(part.prompt_cache_breakpoint, param)
    if part.file_id is not None:
        return ImageBlock(FileSource(part.file_id), mark)
    url = part.image_url or ""
    if url[:5].lower() != "data:":
        return ImageBlock(UrlSource(url), mark)
    source = _inline(url, f"{param}.image_url")
    if source.media_type not in _TYPES_OF_IMAGES:
        raise unsupported(f"{param}.image_url", _TARGET, "It takes JPEG, PNG, GIF and WebP.")
    return ImageBlock(source, mark)


def _document(part: InputFile, param: str) -> DocumentBlock:
    if part.detail not in (None, "auto"):
        raise unsupported(f"{param}.detail", _TARGET)
    mark = cache_control(part.prompt_cache_breakpoint, param)
    if part.file_id is not None:
        return DocumentBlock(FileSource(part.file_id), mark, part.filename)
    if part.file_url is not None:
        return DocumentBlock(UrlSource(part.file_url), mark, part.filename)
    source = _inline(part.file_data or "", f"{param}.file_data")
    if source.media_type == "application/pdf":
        return DocumentBlock(source, mark, part.filename)
    if source.media_type == "text/plain":
        return DocumentBlock(TextSource("text/plain", _text_in(source.data, f"{param}.file_data")), mark, part.filename)
    raise unsupported(f"{param}.file_data", _TARGET, "It takes PDF and plain text.")


def _inline(url: str, param: str) -> Base64Source:
    head = _DATA_URL.match(url)
    if head is None:
        raise Refusal(
            400,
            "invalid_value",
            f"'{param}' must be a data URL in base 64 that names its media type (`data:image/png;base64,...`).",
            param=param,
        )
    return Base64Source(head[1].lower(), url[head.end() :])


def _text_in(data: str, param: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refusal(400, "invalid_value", f"'{param}' is not plain text in UTF-8 and base 64.", param=param) from None


def _refuse_caller(item: FunctionCall | FunctionCallOutput, where: str) -> None:
    """What programmatic calling adds to calls and outputs."""
    if is_given(item.caller):
        raise unsupported(f"{where}.caller", _TARGET)
    for name in ("namespace", "is_async"):
        if getattr(item, name, None):
            raise unsupported(f"{where}.{name.removeprefix('is_')}", _TARGET)
