"""Canonical items as the `systemInstruction` and the `contents` of a Gemini request.

Where the two are not alike: what stands in a row for one side is one content here, and the results of functions come
first in it, in the order of their calls; a result names its function, not only its call. Left out, because no model
reads it: ids and status of items, annotations of earlier answers, the names of files, empty text, and reasoning in
plain text. Marks of cached prefixes are left out, too: Gemini caches what repeats by itself.
"""

import re

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.canonical import (
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
    Reasoning,
    RefusalText,
    is_given,
)
from headworks.dialects.canonical import Part as CanonicalPart
from headworks.dialects.gemini_media import media_type_of
from headworks.dialects.gemini_wire import (
    Blob,
    Content,
    FileData,
    FunctionCallPart,
    FunctionResponsePart,
    MediaResolution,
    Part,
    ResultPart,
)
from headworks.dialects.sealing import gemini_seal_in
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

UNSIGNED = "skip_thought_signature_validator"
"""What stands for the signature of a call that no Gemini model has made, or whose signature the caller's API has no
place for (Google, "Thought signatures", 2026-11). Models before Gemini 3 want none."""

_TARGET = Endpoint.GENERATE_CONTENT
_DATA_URL = re.compile(r"data:([A-Za-z0-9.+/-]+)(?:;[A-Za-z0-9.=_-]+)*;base64,", re.IGNORECASE)
_LEVELS = {None: None, "auto": None, "low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"}
_OWN_KEYS = frozenset({"output", "error"})
"""In what a function returned, the keys that mean something to the API itself."""

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Conversation(msgspec.Struct):
    """What a request says to the model."""

    system: Content | None
    contents: tuple[Content, ...]


def conversation_of(
    items: tuple[Item, ...], instructions: str | None, dialect: Endpoint, *, wants_signatures: bool
) -> Conversation:
    """The conversation that `instructions` and `items` are.

    Arguments:
        wants_signatures: the model refuses calls of functions that are not signed.

    Raises:
        Refusal: 400, for what this API has no place for, in the words of the caller's `dialect`.
    """
    writer = _Writer(dialect, wants_signatures=wants_signatures)
    if instructions:
        writer.rules.append(Part(instructions))
    for index, item in enumerate(items):
        writer.take(item, index)
    writer.end_turn()
    system = Content(tuple(writer.rules)) if writer.rules else None
    return Conversation(system, tuple(writer.contents))


class _Writer:
    """State: the turn that is being written, the calls so far, and the signature that waits for its call."""

    def __init__(self, dialect: Endpoint, *, wants_signatures: bool) -> None:
        self.rules: list[Part] = []
        self.contents: list[Content] = []
        self._dialect = dialect
        self._wants_signatures = wants_signatures
        self._role = ""
        self._turn: list[Part] = []
        self._names: dict[str, str] = {}  # of functions, by the ids of their calls, in their order
        self._signature: str | None = None

    def take(self, item: Item, index: int) -> None:
        where = f"input[{index}]" if self._dialect is Endpoint.RESPONSES else "messages[]"
        match item:
            case Message(role="system" | "developer"):
                self._rule(item, where)
            case Message(role="user"):
                self._turn_of("user")
                parts = (InputText(item.content),) if isinstance(item.content, str) else item.content
                self._turn += [
                    found
                    for place, part in enumerate(parts)
                    for found in _said_by_user(part, f"{where}.content[{place}]")
                ]
            case Message():
                self._turn_of("model")
                self._turn += _said_by_model(item, where)
            case Reasoning():
                self._turn_of("model")
                self._thought(item, where)
            case FunctionCall():
                self._turn_of("model")
                self._call(item, where)
            case FunctionCallOutput():
                self._turn_of("user")
                self._turn.append(self._result(item, where))
            case CustomCall() | CustomCallOutput():
                raise unsupported(f"{where}.custom_tool_call", _TARGET, "Its functions take JSON, never free text.")
            case OtherItem():
                raise unsupported(f"{where}.{item.type}", _TARGET)

    def end_turn(self) -> None:
        """Write the turn down, if it says something."""
        self._put_signature()
        if self._turn:
            results = [part for part in self._turn if part.function_response is not None]
            if len(results) > 1:
                order = {call: place for place, call in enumerate(self._names)}
                results.sort(key=lambda part: order[(part.function_response or _NO_RESPONSE).id or ""])
            rest = [part for part in self._turn if part.function_response is None]
            self.contents.append(Content((*results, *rest), self._role))
        self._turn = []
        self._role = ""

    def _turn_of(self, role: str) -> None:
        if role != self._role:
            self.end_turn()
            self._role = role

    def _rule(self, item: Message, where: str) -> None:
        if self.contents or self._turn:
            raise unsupported(
                f"{where}.role", _TARGET, "It reads the system's instructions before everything else: put them first."
            )
        parts = (InputText(item.content),) if isinstance(item.content, str) else item.content
        for place, part in enumerate(parts):
            if not isinstance(part, InputText | OutputText):
                raise unsupported(f"{where}.content[{place}]", _TARGET, "Here it takes only text.")
            if part.text:
                self.rules.append(Part(part.text))

    def _thought(self, item: Reasoning, where: str) -> None:
        if item.encrypted_content is None:
            return
        seal = gemini_seal_in(item.encrypted_content)
        if seal is None:
            raise unsupported(
                f"{where}.encrypted_content", _TARGET, "What another provider's model has thought only it can read."
            )
        self._put_signature()
        if seal.belongs_to == "call":
            self._signature = seal.signature
        else:
            self._turn.append(Part("", thought_signature=seal.signature))

    def _put_signature(self) -> None:
        """A signature whose call is not there goes back by itself."""
        if self._signature is not None:
            self._turn.append(Part("", thought_signature=self._signature))
            self._signature = None

    def _call(self, item: FunctionCall, where: str) -> None:
        _refuse_caller(item, where)
        signature, self._signature = self._signature, None
        if signature is None and self._wants_signatures and not any(part.function_call for part in self._turn):
            signature = UNSIGNED  # only the first of parallel calls is signed
        self._names[item.call_id] = item.name
        call = FunctionCallPart(item.name, _arguments(item, where), item.call_id or None)
        self._turn.append(Part(function_call=call, thought_signature=signature))

    def _result(self, item: FunctionCallOutput, where: str) -> Part:
        _refuse_caller(item, where)
        name = self._names.get(item.call_id)
        if name is None:
            param = f"{where}.call_id"
            raise Refusal(
                400,
                "invalid_value",
                f"'{param}' names no call before it. This model's provider wants to know which function has returned.",
                param=param,
            )
        response, parts = _returned(item.output, f"{where}.output")
        return Part(function_response=FunctionResponsePart(name, response, item.call_id or None, parts))


_NO_RESPONSE = FunctionResponsePart("")


def _said_by_user(part: CanonicalPart, param: str) -> list[Part]:
    match part:
        case InputText() | OutputText():
            return [Part(part.text)] if part.text else []
        case InputImage():
            return [_media(_image(part, param), part.detail, param)]
        case InputFile():
            return [_media(_file(part, param), part.detail, param)]
        case InputAudio():
            return [Part(inline_data=Blob(f"audio/{part.input_audio.format}", part.input_audio.data))]
        case RefusalText():
            raise unsupported(f"{param}.refusal", _TARGET)


def _said_by_model(item: Message, where: str) -> list[Part]:
    if item.phase is not None:
        raise unsupported(f"{where}.phase", _TARGET)
    content = (OutputText(item.content),) if isinstance(item.content, str) else item.content
    parts = []
    for place, part in enumerate(content):
        match part:
            case OutputText() | InputText():
                text = part.text
            case RefusalText():
                text = part.refusal  # in the model's own words
            case _:
                raise unsupported(f"{where}.content[{place}]", _TARGET)
        if text:
            parts.append(Part(text))
    return parts


def _media(source: Blob | FileData, detail: str | None, param: str) -> Part:
    if detail not in _LEVELS:
        raise unsupported(f"{param}.detail", _TARGET)
    level = _LEVELS[detail]
    resolution = None if level is None else msgspec.convert({"level": level}, MediaResolution)
    if isinstance(source, Blob):
        return Part(inline_data=source, media_resolution=resolution)
    return Part(file_data=source, media_resolution=resolution)


def _image(part: InputImage, param: str) -> Blob | FileData:
    if part.file_id is not None:
        return _stored(part.file_id, f"{param}.file_id")
    url = part.image_url or ""
    return _inline(url, f"{param}.image_url") if url[:5].lower() == "data:" else _linked(url)


def _file(part: InputFile, param: str) -> Blob | FileData:
    if part.file_id is not None:
        return _stored(part.file_id, f"{param}.file_id")
    if part.file_url is not None:
        return _linked(part.file_url)
    return _inline(part.file_data or "", f"{param}.file_data")


def _stored(file_id: str, param: str) -> FileData:
    """Google knows its own files by the address that it gave them."""
    if not file_id.startswith("https://"):
        raise unsupported(param, _TARGET, "It knows its own files only, by their `uri`.")
    return FileData(file_id)


def _linked(url: str) -> FileData:
    """What lies behind an address is told by how it ends, as far as it is."""
    return FileData(url, media_type_of(url))


def _inline(url: str, param: str) -> Blob:
    head = _DATA_URL.match(url)
    if head is None:
        raise Refusal(
            400,
            "invalid_value",
            f"'{param}' must be a data URL in base 64 that names its media type (`data:image/png;base64,...`).",
            param=param,
        )
    return Blob(head[1].lower(), url[head.end() :])


def _arguments(item: FunctionCall, where: str) -> msgspec.Raw:
    text = item.arguments.strip() or "{}"
    try:
        _decode_object(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        param = f"{where}.arguments"
        raise Refusal(
            400,
            "invalid_value",
            f"'{param}' must be a JSON object: this model's provider takes no call whose arguments are anything else.",
            param=param,
        ) from None
    return msgspec.Raw(text.encode())


def _returned(output: str | tuple[OutputPart, ...], param: str) -> tuple[msgspec.Raw, tuple[ResultPart, ...]]:
    """A result as the API has it: a JSON object, and beside it what is no text."""
    if isinstance(output, str):
        return _object_of(output), ()
    texts: list[str] = []
    parts: list[ResultPart] = []
    for place, part in enumerate(output):
        where = f"{param}[{place}]"
        if isinstance(part, InputText):
            texts.append(part.text)
            continue
        if part.detail not in (None, "auto"):
            raise unsupported(f"{where}.detail", _TARGET)
        source = _image(part, where) if isinstance(part, InputImage) else _file(part, where)
        parts.append(ResultPart(source) if isinstance(source, Blob) else ResultPart(file_data=source))
    return _object_of("\n".join(texts)), tuple(parts)


def _object_of(text: str) -> msgspec.Raw:
    """A text that is an object goes as it is; any other under the key that the API has for it."""
    if text.lstrip().startswith("{"):
        try:
            if not _OWN_KEYS & _decode_object(text).keys():
                return msgspec.Raw(text.encode())
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
            pass  # a text that only begins like one
    try:
        return msgspec.Raw(_encode({"output": text}))
    except UnicodeEncodeError:
        raise Refusal(400, "invalid_value", "The output of a tool holds half of a surrogate pair.") from None


def _refuse_caller(item: FunctionCall | FunctionCallOutput, where: str) -> None:
    """What programmatic calling adds to calls and outputs."""
    if is_given(item.caller):
        raise unsupported(f"{where}.caller", _TARGET)
    for name in ("namespace", "is_async"):
        if getattr(item, name, None):
            raise unsupported(f"{where}.{name.removeprefix('is_')}", _TARGET)
