"""Canonical items as the `system` and the `messages` of a Converse request.

Where the two are not alike: what stands in a row for one side is one message here, and the results of tools come first
in it; what the caller says as `system` or `developer` before anything else is the top-level `system`, later it is a
message of the role `system`, in its place; the mark of a cached prefix is a block of its own behind it. Images and
documents come with the request: nothing is fetched. Left out, because no model reads it: the ids and the status of
items, annotations of earlier answers, blank text (which this API refuses), and reasoning in plain text without a seal.
Tool call ids that this API would refuse are rewritten, a call's and its result's alike.
"""

import re
from hashlib import blake2b
from itertools import dropwhile

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.anthropic_messages import item_names
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
from headworks.dialects.converse_wire import (
    Audio,
    Block,
    Bytes,
    CachePoint,
    Document,
    DocumentFormat,
    Image,
    ReasoningContent,
    ReasoningText,
    ResultBlock,
    ToolResult,
    ToolUse,
    Turn,
)
from headworks.dialects.sealing import ThinkingBlock, thinking_in
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

_TARGET = Endpoint.CONVERSE

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_DATA_URL = re.compile(r"data:([A-Za-z0-9.+/-]+)(?:;[A-Za-z0-9.=_-]+)*;base64,", re.IGNORECASE)
_MOST_NAME = 190
_INLINE = "Nothing is fetched from an address: send the content itself, as a data URL."

IMAGES: dict[str, str] = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
DOCUMENTS: dict[str, DocumentFormat] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
"""By media type: what this API calls it (ImageFormat, DocumentFormat)."""

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Conversation(msgspec.Struct):
    """What a request says to the model: `system`, and the turns in the order of the API. `names` are those of the
    documents so far, each of which must be another; `called` those of the tools that were called."""

    system: list[Block]
    messages: list[Turn]
    names: set[str]
    called: dict[str, None]


def conversation_of(items: tuple[Item, ...], instructions: str | None, dialect: Endpoint) -> Conversation:
    """The conversation that `instructions` and `items` are.

    Raises:
        Refusal: 400, for what this API has no place for, in the words of the caller's `dialect`.
    """
    talk = Conversation([], [], set(), {})
    if instructions and instructions.strip():
        talk.system.append(Block(text=instructions))
    turn: list[Block] = []
    role = ""

    def end_turn() -> None:
        kept = _in_order(turn)
        if kept:
            talk.messages.append(Turn("assistant" if role == "assistant" else "user", tuple(kept)))
        turn.clear()

    for index, item in enumerate(items):
        if isinstance(item, Message) and item.role in ("system", "developer"):
            rules = _rules(item, index, dialect)
            end_turn()
            role = ""
            if not talk.messages:
                talk.system.extend(rules)
            elif rules:
                talk.messages.append(Turn("system", rules))
            continue
        side, blocks = _side_of(item, index, dialect, talk)
        if side != role:
            end_turn()
            role = side
        turn.extend(blocks)
    end_turn()
    return talk


def cache_point(mark: CacheBreakpoint | None, param: str) -> tuple[Block, ...]:
    """The block that marks the end of a prefix, behind what it ends; none without a mark."""
    if mark is None:
        return ()
    if mark.ttl not in (None, "30m"):
        raise unsupported(f"{param}.prompt_cache_breakpoint.ttl", _TARGET, "It keeps a prefix for an hour at most.")
    return (Block(cache_point=CachePoint("default", None if mark.ttl is None else "1h")),)


def tool_id(call_id: str) -> str:
    """The id of a call as this API takes it; another call's stays another."""
    if _ID.fullmatch(call_id) is not None:
        return call_id
    digest = blake2b(call_id.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{_NOT_IN_ID.sub('_', call_id)[:40]}_{digest}"


def _in_order(turn: list[Block]) -> list[Block]:
    """The blocks of a turn that say something, the results of tools first; a mark stands behind one that does."""
    results = [block for block in turn if block.tool_result is not None]
    rest = [block for block in turn if block.tool_result is None]
    kept = results + [block for block in rest if block.text is None or block.text.strip()]
    return list(dropwhile(lambda block: block.cache_point is not None, kept))


def _rules(item: Message, index: int, dialect: Endpoint) -> tuple[Block, ...]:
    content = (InputText(item.content),) if isinstance(item.content, str) else item.content
    _, param = item_names(dialect, index)
    blocks: list[Block] = []
    for place, part in enumerate(content):
        if not isinstance(part, InputText | OutputText):
            raise unsupported(f"{param}[{place}]", _TARGET, "Here it takes only text.")
        if part.text.strip():
            mark = part.prompt_cache_breakpoint if isinstance(part, InputText) else None
            blocks += (Block(text=part.text), *cache_point(mark, f"{param}[{place}]"))
    return tuple(blocks)


def _side_of(item: Item, index: int, dialect: Endpoint, talk: Conversation) -> tuple[str, list[Block]]:
    """Whose turn an item belongs to, and what it adds to it."""
    where, content = item_names(dialect, index)
    match item:
        case Message(role="user"):
            parts: tuple[Part, ...] = (InputText(item.content),) if isinstance(item.content, str) else item.content
            pieces = [_user_blocks(part, f"{content}[{place}]", talk) for place, part in enumerate(parts)]
            return "user", [block for piece in pieces for block in piece]
        case Message():
            return "assistant", _said(item, where)
        case Reasoning():
            return "assistant", _thought(item, where)
        case FunctionCall():
            _refuse_caller(item, where)
            talk.called[item.name] = None
            return "assistant", [Block(tool_use=ToolUse(tool_id(item.call_id), item.name, _input(item, where)))]
        case FunctionCallOutput():
            _refuse_caller(item, where)
            return "user", _result(item, f"{where}.output", talk)
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
                blocks.append(Block(text=part.text))
            case InputText():
                mark = cache_point(part.prompt_cache_breakpoint, f"{where}.content[{place}]")
                blocks += (Block(text=part.text), *mark)
            case RefusalText():
                blocks.append(Block(text=part.refusal))  # in the model's own words
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
    if isinstance(block, ThinkingBlock):
        return [Block(reasoning_content=ReasoningContent(ReasoningText(block.thinking, block.signature)))]
    return [Block(reasoning_content=ReasoningContent(redacted_content=block.data))]


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


def _result(item: FunctionCallOutput, param: str, talk: Conversation) -> list[Block]:
    call_id = tool_id(item.call_id)
    if isinstance(item.output, str):
        content = (ResultBlock(text=item.output),) if item.output.strip() else ()
        return [Block(tool_result=ToolResult(call_id, content))]
    blocks: list[ResultBlock] = []
    marks: list[Block] = []
    for place, part in enumerate(item.output):
        made, *mark = _user_blocks(part, f"{param}[{place}]", talk)
        marks += mark
        if made.text is None or made.text.strip():
            blocks.append(ResultBlock(text=made.text, image=made.image, document=made.document))
    # A mark cannot stand inside a result: behind it, the prefix ends in the same place or a little later.
    return [Block(tool_result=ToolResult(call_id, tuple(blocks))), *marks[-1:]]


def _user_blocks(part: Part | OutputPart, param: str, talk: Conversation) -> tuple[Block, ...]:
    match part:
        case InputText():
            return Block(text=part.text), *cache_point(part.prompt_cache_breakpoint, param)
        case OutputText():
            return (Block(text=part.text),)
        case InputImage():
            return Block(image=_image(part, param)), *cache_point(part.prompt_cache_breakpoint, param)
        case InputFile():
            return Block(document=_document(part, param, talk)), *cache_point(part.prompt_cache_breakpoint, param)
        case InputAudio():
            sound = Audio(part.input_audio.format, Bytes(part.input_audio.data))
            return Block(audio=sound), *cache_point(part.prompt_cache_breakpoint, param)
        case RefusalText():
            raise unsupported(f"{param}.refusal", _TARGET)


def _image(part: InputImage, param: str) -> Image:
    if part.detail not in (None, "auto", "high"):
        raise unsupported(f"{param}.detail", _TARGET, "It sees every image as sharply as it can.")
    if part.file_id is not None:
        raise unsupported(f"{param}.file_id", _TARGET, "It keeps no files.")
    url = part.image_url or ""
    if url[:5].lower() != "data:":
        raise unsupported(f"{param}.image_url", _TARGET, _INLINE)
    kind, data = _inline(url, f"{param}.image_url")
    if kind not in IMAGES:
        raise unsupported(f"{param}.image_url", _TARGET, "It takes JPEG, PNG, GIF and WebP.")
    return msgspec.convert({"format": IMAGES[kind], "source": {"bytes": data}}, Image)


def _document(part: InputFile, param: str, talk: Conversation) -> Document:
    if part.detail not in (None, "auto"):
        raise unsupported(f"{param}.detail", _TARGET)
    if part.file_id is not None:
        raise unsupported(f"{param}.file_id", _TARGET, "It keeps no files.")
    if part.file_url is not None:
        raise unsupported(f"{param}.file_url", _TARGET, _INLINE)
    kind, data = _inline(part.file_data or "", f"{param}.file_data")
    if kind not in DOCUMENTS:
        raise unsupported(f"{param}.file_data", _TARGET, "It takes PDF, office documents, HTML, CSV and plain text.")
    return Document(_document_name(part.filename or "document", talk.names), Bytes(data), DOCUMENTS[kind])


def _document_name(filename: str, taken: set[str]) -> str:
    """A name as this API takes them (DocumentBlock), that no other document of the request has."""
    stem, dot, _ = filename.rpartition(".")
    name = _NOT_IN_NAME.sub(" ", stem if dot and stem else filename).strip()[:_MOST_NAME].strip() or "document"
    found, number = name, 1
    while found.lower() in taken:
        number += 1
        found = f"{name} ({number})"
    taken.add(found.lower())
    return found


def _inline(url: str, param: str) -> tuple[str, str]:
    head = _DATA_URL.match(url)
    if head is None:
        raise Refusal(
            400,
            "invalid_value",
            f"'{param}' must be a data URL in base 64 that names its media type (`data:image/png;base64,...`).",
            param=param,
        )
    return head[1].lower(), url[head.end() :]


def _refuse_caller(item: FunctionCall | FunctionCallOutput, where: str) -> None:
    """What programmatic calling adds to calls and outputs."""
    if is_given(item.caller):
        raise unsupported(f"{where}.caller", _TARGET)
    for name in ("namespace", "is_async"):
        if getattr(item, name, None):
            raise unsupported(f"{where}.{name.removeprefix('is_')}", _TARGET)
