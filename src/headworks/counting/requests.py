"""How many input tokens a request takes: its texts, what frames them, its tools, and its media by the providers' rules.

Understands what the four dialects have in common: Chat Completions, Responses, Anthropic's Messages and Gemini's
generateContent. A request is walked once; encoded media are measured and never counted as text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from headworks.catalogue import Certainty, Tokenizer, tokenizer_for
from headworks.counting.image_rules import Rule, image_tokens, rule_of
from headworks.counting.images import size_of_base64
from headworks.counting.tools import json_text, tools_tokens

Kind = Literal["text", "framing", "tools", "schema", "images", "audio", "files"]

_A_MESSAGE = 3
_A_NAME = 1
_THE_REPLY = 3
"""OpenAI cookbook, "How to count tokens with tiktoken", 6: of gpt-4o, gpt-4, gpt-3.5-turbo. A role is one more."""

_FRAMED_EXACTLY = ("gpt-4o", "chatgpt-4o", "gpt-4", "gpt-3.5", "gpt-35")

_AUDIO_BYTES_PER_TOKEN = 3_200
"""Of 16-bit PCM at 16 kHz, when a second is 10 tokens (OpenAI, "Audio": 1 token per 100 ms of what a user says)."""

_FILE_BYTES_PER_TOKEN = 40
"""Our guess: a page of PDF is 60 KB, and 1,500 tokens (Anthropic, "PDF support": 1,500 to 3,000 a page)."""

_A_FILE_ELSEWHERE = 1_500
"""Our guess of a file that is only named: one page."""

_STRUCTURE = frozenset(
    {"type", "role", "id", "call_id", "tool_call_id", "item_id", "detail", "status", "file_id", "filename", "format"}
    | {"encrypted_content", "strict", "signature", "tool_use_id", "media_type", "cache_control", "thoughtSignature"}
)
"""Keys whose values the model does not read as text: words of the protocol, and references."""

_DEEPEST = 64
"""Levels that are walked into; no real request has more than a few."""

_LISTS = ("messages", "input", "contents")
_TEXTS = ("instructions", "system", "systemInstruction", "system_instruction", "prompt")
_MEDIA_KEYS = frozenset(
    {"image_url", "source", "inlineData", "inline_data", "input_audio", "file", "file_data", "file_id", "file_url"}
    | {"fileData"}
)


class Part(msgspec.Struct, frozen=True):
    """Tokens of one kind, and how sure they are. `note` says what was assumed, "" for nothing."""

    kind: Kind
    tokens: int
    certainty: Certainty
    note: str = ""


class RequestCount(msgspec.Struct, frozen=True):
    """What a request is counted to take, part by part; parts of nothing are left out. `encoding` is that of its text.

    `text_bytes` are those of its text in UTF-8, `media_chars` those of its encoded media.
    """

    encoding: str
    parts: tuple[Part, ...]
    text_bytes: int
    media_chars: int = 0

    @property
    def tokens(self) -> int:
        """All of them."""
        return sum(part.tokens for part in self.parts)

    @property
    def media_tokens(self) -> int:
        """Those of pictures, sound and files."""
        return sum(part.tokens for part in self.parts if part.kind in ("images", "audio", "files"))

    @property
    def certainty(self) -> Certainty:
        """As sure as the least sure part."""
        found = {part.certainty for part in self.parts}
        return "estimated" if "estimated" in found else "presumed" if "presumed" in found else "exact"


def count_request(
    fields: Mapping[str, msgspec.Raw], model: str, *, tokenizer: Tokenizer | None = None, most_bytes: int | None = None
) -> RequestCount:
    """Count a request's input.

    Arguments:
        fields: the top-level fields of its body.
        model: its provider's name for the model.
        tokenizer: another than the model's own.
        most_bytes: of text are counted, about; what is beyond them is taken to be like them, as an estimate.
    """
    tokenizer = tokenizer_for(model) if tokenizer is None else tokenizer
    walk = _Walk(rule_of(model)[0])
    for name in _TEXTS:
        walk.field(fields.get(name))
    for name in _LISTS:
        walk.field(fields.get(name))
    schema = _Walk(walk.rule)
    for name in ("response_format", "text"):
        schema.schema(fields.get(name))
    texts, text_bytes = walk.texts, walk.text_bytes
    counted, scale = _sample(texts, text_bytes, most_bytes)
    certainty: Certainty = "estimated" if scale > 1.0 else tokenizer.certainty
    parts = [
        Part("text", round(tokenizer.count_all(counted) * scale), certainty, "sampled" if scale > 1.0 else ""),
        _framing(fields, walk, model, tokenizer),
        Part("schema", tokenizer.count_all(schema.texts), "estimated"),
        *_tools(fields, tokenizer),
        *walk.media(is_documented=rule_of(model)[1]),
    ]
    return RequestCount(
        tokenizer.name,
        tuple(part for part in parts if part.tokens),
        text_bytes + schema.text_bytes,
        walk.media_chars,
    )


def measure_media(fields: Mapping[str, msgspec.Raw], model: str) -> tuple[int, int]:
    """The tokens of a request's pictures, sound and files, and the characters that encode them; nothing else of it is
    counted."""
    walk = None
    for name in _LISTS:
        raw = fields.get(name)
        # What holds media has lists of parts, in its messages: most have none, and that is seen at a glance.
        if raw is not None and (data := bytes(raw)).find(b"[", 1) > 0 and _may_hold_media(data):
            walk = walk or _Walk(rule_of(model)[0])
            walk.field(raw)
    if walk is None:
        return 0, 0
    return sum(part.tokens for part in walk.media(is_documented=True)), walk.media_chars


def _may_hold_media(data: bytes) -> bool:
    """Whether a text of JSON may hold a picture, sound or a file, told faster than by reading it: each of their keys
    has one of these words in it."""
    return b"image_url" in data or b"source" in data or b"inline" in data or b"audio" in data or b"file" in data


def _framing(fields: Mapping[str, msgspec.Raw], walk: "_Walk", model: str, tokenizer: Tokenizer) -> Part:
    """Around each message, and before the answer."""
    is_chat = "messages" in fields and "system" not in fields
    name = model.rpartition("/")[2].lower()
    is_known = is_chat and tokenizer.certainty == "exact" and name.startswith(_FRAMED_EXACTLY) and not walk.has_calls
    tokens = walk.messages * (_A_MESSAGE + 1) + walk.names * _A_NAME + (_THE_REPLY if walk.messages else 0)
    return Part("framing", tokens, "exact" if is_known else "estimated")


def _tools(fields: Mapping[str, msgspec.Raw], tokenizer: Tokenizer) -> Iterator[Part]:
    for name in ("tools", "functions"):
        raw = fields.get(name)
        if raw is not None:
            yield Part("tools", tools_tokens(_decoded(raw), tokenizer), "estimated")


def _sample(texts: Sequence[str], text_bytes: int, most_bytes: int | None) -> tuple[Sequence[str], float]:
    """The first texts, and by how much all of them are more."""
    if most_bytes is None or text_bytes <= most_bytes:
        return texts, 1.0
    chosen: list[str] = []
    chars = 0
    most = max(1, most_bytes * sum(map(len, texts)) // text_bytes)
    for text in texts:
        chosen.append(text[: most - chars])
        chars += len(chosen[-1])
        if chars >= most:
            break
    return chosen, sum(map(len, texts)) / max(1, chars)


class _Walk:
    """What is met on the way through a request. State: everything that is collected."""

    __slots__ = (
        "_images",
        "_others",
        "_unseen",
        "has_calls",
        "media_chars",
        "messages",
        "names",
        "rule",
        "text_bytes",
        "texts",
    )

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.texts: list[str] = []
        self.text_bytes = 0
        self.media_chars = 0
        self.messages = 0
        self.names = 0
        self.has_calls = False
        self._images: list[int] = []
        self._unseen = 0
        self._others: dict[Kind, int] = {}

    def field(self, raw: msgspec.Raw | None) -> None:
        """A field of instructions or of messages."""
        if raw is None:
            return
        value = _decoded(raw)
        if isinstance(value, str):
            self.messages += 1
            self._text(value)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            self._value(value, 0)  # texts to embed or to complete, each by itself
        elif isinstance(value, list):
            for item in value:
                self._message(item)
        elif isinstance(value, dict):
            self._message(value)

    def schema(self, raw: msgspec.Raw | None) -> None:
        """A field that may hold the schema of the answer: the model reads it as JSON."""
        value = None if raw is None else _decoded(raw)
        if isinstance(value, dict):
            inner = value.get("json_schema", value.get("format"))
            if isinstance(inner, dict) and "schema" in inner:
                self._text(json_text(inner["schema"]))

    def media(self, *, is_documented: bool) -> Iterator[Part]:
        """What was met beside text."""
        if self._images:
            notes = [f"{self._unseen} of unknown size"] if self._unseen else []
            notes += [] if is_documented else ["no rule is published for this model"]
            is_sure = not notes and not self._unseen
            yield Part("images", sum(self._images), "presumed" if is_sure else "estimated", "; ".join(notes))
        for kind, tokens in self._others.items():
            yield Part(kind, tokens, "estimated", "by the size of the data")

    def _message(self, value: object) -> None:
        self.messages += 1
        if isinstance(value, dict) and isinstance(value.get("name"), str) and "role" in value:
            self.names += 1
        self._value(value, 0)

    def _text(self, text: str) -> None:
        self.texts.append(text)
        self.text_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))

    def _value(self, value: object, depth: int) -> None:
        if isinstance(value, str):
            self._text(value)
        elif depth > _DEEPEST:
            return
        elif isinstance(value, list):
            for item in value:
                self._value(item, depth + 1)
        elif isinstance(value, dict):
            self._object(value, depth)

    def _object(self, value: dict[str, object], depth: int) -> None:
        if not _MEDIA_KEYS.isdisjoint(value) and self._medium(value, depth):
            return
        if "function" in value or "functionCall" in value or "tool_use_id" in value or "call_id" in value:
            self.has_calls = True
        for key, item in value.items():
            if key in _STRUCTURE:
                continue
            if key in ("input", "args", "response") and isinstance(item, dict):
                self._text(json_text(item))  # a call's arguments are read as JSON
            else:
                self._value(item, depth + 1)

    def _medium(self, value: dict[str, object], depth: int) -> bool:
        """Whether this is a picture, sound or file, which is then noted."""
        image = value.get("image_url")
        if isinstance(image, dict):
            self._image(image.get("url"), image.get("detail"))
        elif isinstance(image, str) or (value.get("type") == "input_image" and "file_id" in value):
            self._image(image, value.get("detail"))
        elif isinstance(inline := value.get("inlineData", value.get("inline_data")), dict):
            self._data(str(inline.get("mimeType", inline.get("mime_type", ""))), inline.get("data"))
        elif isinstance(source := value.get("source"), dict) and value.get("type") in ("image", "document"):
            return self._source(str(value["type"]), source, depth)
        elif isinstance(audio := value.get("input_audio"), dict):
            self._data("audio/", audio.get("data"))
        elif value.get("type") in ("file", "input_file") or "fileData" in value or "file_data" in value:
            file = value.get("file", value)
            self._data("", file.get("file_data") if isinstance(file, dict) else None)
        else:
            return False
        return True

    def _source(self, kind: str, source: dict[str, object], depth: int) -> bool:
        """Of Anthropic's: `base64`, `url` and `file`; a document may also be `text` or `content`."""
        if kind == "document" and source.get("type") in ("text", "content"):
            self._value(source.get("data", source.get("content")), depth + 1)
        elif kind == "image":
            self._image(source.get("data"), None)
        else:
            self._data("", source.get("data"))
        return True

    def _image(self, data: object, detail: object) -> None:
        text = data if isinstance(data, str) else ""
        self.media_chars += len(text)
        if text.startswith("data:"):
            text = text[text.find(",") + 1 :] if "," in text[:200] else ""
        size = size_of_base64(text)
        self._unseen += size is None
        self._images.append(image_tokens(self.rule, size, detail if isinstance(detail, str) else "auto"))

    def _data(self, media_type: str, data: object) -> None:
        if media_type.startswith("image/"):
            self._image(data, None)
            return
        size = len(data) * 3 // 4 if isinstance(data, str) else 0
        self.media_chars += len(data) if isinstance(data, str) else 0
        kind: Kind = "audio" if media_type.startswith("audio/") else "files"
        each = _AUDIO_BYTES_PER_TOKEN if kind == "audio" else _FILE_BYTES_PER_TOKEN
        self._others[kind] = self._others.get(kind, 0) + (size // each + 1 if size else _A_FILE_ELSEWHERE)


def _decoded(raw: msgspec.Raw) -> object:
    """The value; what cannot be decoded counts as the text that it is."""
    try:
        value: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bytes(raw).decode("utf-8", "replace")
    return value
