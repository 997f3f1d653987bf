"""Reading only the head of a request: what routing needs, while the rest stays bytes.

A body is taken apart at its top level, once, and put together again from the same pieces: what is sent upstream is
what was read here, value for value, byte for byte, so that no parser behind us can see another `model` than we did.
Of a name that is given twice the last value counts, as in most parsers (RFC 8259 §4), and only that one is sent on.
"""

from typing import Literal

import msgspec

from headworks.calls import Endpoint
from headworks.errors import Refusal

Fields = dict[str, msgspec.Raw]

_decode_fields = msgspec.json.Decoder(Fields).decode
_decode_str = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_TRUE = msgspec.Raw(b"true")
_STREAM_USAGE = msgspec.Raw(b'{"include_usage":true}')

JsonKind = Literal["object", "array", "string", "number", "boolean", "null"]

_KINDS: dict[int, JsonKind] = {
    ord("{"): "object",
    ord("["): "array",
    ord('"'): "string",
    ord("t"): "boolean",
    ord("f"): "boolean",
    ord("n"): "null",
}

_ARTICLES: dict[JsonKind, str] = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "boolean": "a boolean",
    "null": "null",
}

_REQUIRED: dict[Endpoint, tuple[str, tuple[JsonKind, ...]]] = {
    Endpoint.CHAT: ("messages", ("array",)),
    Endpoint.MESSAGES: ("messages", ("array",)),
    Endpoint.EMBEDDINGS: ("input", ("string", "array")),
    Endpoint.MODERATIONS: ("input", ("string", "array")),
}

_INSTEAD_OF_INPUT = ("prompt", "previous_response_id", "conversation")
"""With one of these a response needs no input of its own (OpenAI API reference, "Create a response", 2026-10)."""


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """The top-level fields of a JSON body, undecoded, and the few of them that the gateway reads.

    `model` and `is_streamed` were checked when the head was read; the others are when they are asked for. A wrong type
    is a `Refusal` that names the field. null counts as absent, as in the OpenAI API.
    """

    fields: Fields
    model: str
    is_streamed: bool = False

    def boolean(self, name: str) -> bool:
        """The value of a true-or-false field; False when it is absent or null."""
        raw = self.fields.get(name)
        return raw is not None and _boolean(raw, name)

    def text(self, name: str) -> str | None:
        """The value of a string field; None when it is absent or null."""
        raw = self.fields.get(name)
        return None if raw is None or bytes(raw) == b"null" else _string(raw, name)

    @property
    def user(self) -> str | None:
        """Whom the caller says that the call is for: `safety_identifier`, or its forerunner `user`."""
        fields = self.fields
        if "safety_identifier" in fields or "user" in fields:
            return self.text("safety_identifier") or self.text("user")
        return None

    @property
    def previous_response_id(self) -> str | None:
        """The stored response that this one continues."""
        return self.text("previous_response_id")

    @property
    def store(self) -> bool | None:
        """Whether the answer is to be stored; None when the caller leaves it to the provider."""
        raw = self.fields.get("store")
        return None if raw is None or bytes(raw) == b"null" else self.boolean("store")

    @property
    def is_background(self) -> bool:
        """Whether the caller wants to fetch the answer later."""
        return self.boolean("background")

    @property
    def includes_usage(self) -> bool:
        """Whether the caller asked for usage at the end of a Chat stream."""
        options = self._stream_options()
        if options is None:
            return False
        raw = options.get("include_usage")
        value = b"null" if raw is None else bytes(raw)
        if value not in (b"true", b"false", b"null"):
            raise invalid_type("stream_options.include_usage", "a boolean", kind_of(msgspec.Raw(value)))
        return value == b"true"

    def splice(self, *, model: str | None = None, include_usage: bool = False) -> bytes:
        """The body to send: every value as it came, but for `model`, and `stream_options.include_usage` set to true."""
        fields: dict[str, object] = {**self.fields}
        if model is not None:
            fields["model"] = model
        if include_usage:
            options = self._stream_options()
            fields["stream_options"] = {**options, "include_usage": _TRUE} if options else _STREAM_USAGE
        return _encode(fields)

    def _stream_options(self) -> Fields | None:
        raw = self.fields.get("stream_options")
        if raw is None or bytes(raw) == b"null":
            return None
        kind = kind_of(raw)
        if kind != "object":
            raise invalid_type("stream_options", "an object", kind)
        return _decode_fields(raw)


def read_fields(body: bytes) -> Fields:
    """The top level of a JSON body, each value as the bytes that it came in.

    Raises:
        Refusal: 400 `invalid_json` with the place of the first thing wrong, or `invalid_type` when the body is not
            an object. Neither repeats any of the body.
    """
    try:
        return _decode_fields(body)
    except msgspec.ValidationError:
        kind = kind_of(msgspec.Raw(body.lstrip()))
        raise Refusal(
            400, "invalid_type", f"Invalid body: expected a JSON object, but got {_ARTICLES[kind]} instead."
        ) from None
    except msgspec.DecodeError as error:
        raise _invalid_json(body, str(error)) from None
    except UnicodeDecodeError:
        _check_encoding(body)
        raise AssertionError("what cannot be decoded is not UTF-8") from None
    except RecursionError:
        raise Refusal(400, "invalid_json", "The body is not acceptable JSON: it is nested too deeply.") from None


def read_head(body: bytes, endpoint: Endpoint, *, default_model: str = "") -> RequestHead:
    """The head of a request to `endpoint`, with the fields that it requires present and of the right JSON kind.

    `default_model` stands in where the body names no model, for endpoints of which the API allows that.

    Raises:
        Refusal: 400, for everything that is wrong with it.
    """
    try:
        fields = _decode_fields(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        fields = read_fields(body)  # raises with the reason
    if not body.isascii():
        _check_encoding(body)
    if default_model:
        fields.setdefault("model", msgspec.Raw(_encode(default_model)))
    try:
        model = _decode_str(fields["model"]) or _model(fields)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        model = _model(fields)  # raises with the reason, where there is one
    raw = fields.get("stream")
    head = RequestHead(fields, model, raw is not None and _boolean(raw, "stream"))
    required = _REQUIRED.get(endpoint)
    if required is not None:
        name, kinds = required
        raw = fields.get(name)
        if raw is None:
            raise _missing(name)
        if kind_of(raw) not in kinds:
            _check_kind(name, raw, kinds)
    elif endpoint is Endpoint.RESPONSES:
        raw = fields.get("input")
        if raw is not None:
            _check_kind("input", raw, ("string", "array"))
        elif not any(name in fields for name in _INSTEAD_OF_INPUT):
            raise _missing("input")
    return head


def _model(fields: Fields) -> str:
    """The model that is asked for; "" where a prompt may name it (OpenAI API, "Create a response", 2026-10)."""
    raw = fields.get("model")
    if raw is None:
        if "prompt" in fields:
            return ""
        raise _missing("model")
    try:
        model = _decode_str(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        model = _string(raw, "model")  # raises with the reason
    if not model:
        raise Refusal(400, "invalid_value", "Invalid 'model': an empty string names no model.", param="model")
    return model


def kind_of(raw: msgspec.Raw | bytes) -> JsonKind:
    """The JSON kind of a value, by its first byte."""
    view = memoryview(raw)
    return _KINDS.get(view[0], "number") if view else "null"


def invalid_type(param: str, expected: str, kind: JsonKind) -> Refusal:
    """The refusal of a value of the wrong kind."""
    return Refusal(
        400,
        "invalid_type",
        f"Invalid type for '{param}': expected {expected}, but got {_ARTICLES[kind]} instead.",
        param=param,
    )


def _check_kind(name: str, raw: msgspec.Raw, kinds: tuple[JsonKind, ...]) -> None:
    kind = kind_of(raw)
    if kind not in kinds:
        raise invalid_type(name, " or ".join([_ARTICLES[one] for one in kinds]), kind)


def _boolean(raw: msgspec.Raw, name: str) -> bool:
    value = bytes(raw)
    if value == b"true":
        return True
    if value in (b"false", b"null"):
        return False
    raise invalid_type(name, "a boolean", kind_of(raw))


def _string(raw: msgspec.Raw, name: str) -> str:
    try:
        return _decode_str(raw)
    except msgspec.ValidationError:
        raise invalid_type(name, "a string", kind_of(raw)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal(400, "invalid_value", f"Invalid '{name}': it is not valid UTF-8.", param=name) from None


def _missing(name: str) -> Refusal:
    return Refusal(400, "missing_required_parameter", f"Missing required parameter: '{name}'.", param=name)


def _check_encoding(body: bytes) -> None:
    """What is only carried must be UTF-8, too (RFC 8259 §8.1): parsers behind us could read other bytes in two ways.

    Raises:
        Refusal: 400 `invalid_json` with the place.
    """
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Refusal(
            400, "invalid_json", f"The body is not valid JSON: it is not UTF-8 at {_place(body, error.start)}."
        ) from None


def _place(body: bytes, offset: int) -> str:
    before = body[:offset]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return f"line {line}, column {column} (byte {offset})"


def _invalid_json(body: bytes, reason: str) -> Refusal:
    """Names the place: msgspec tells it in bytes, or not at all when the body simply ends."""
    what, _, place = reason.removeprefix("JSON is malformed: ").partition(" (byte ")
    digits = place.removesuffix(")")
    if not digits.isdigit():
        if not body.strip():
            return Refusal(400, "invalid_json", "The body is empty; a JSON object is needed.")
        return Refusal(
            400,
            "invalid_json",
            f"The body is not valid JSON: it ends, at {_place(body, len(body))}, before its last value does (or a "
            "string in it holds half of a surrogate pair).",
        )
    return Refusal(400, "invalid_json", f"The body is not valid JSON: {what} at {_place(body, int(digits))}.")
