"""OpenAI's embeddings from whoever makes them: one call, asked in as many requests as the provider needs.

    bridge = EmbeddingsBridge(body)
    for part in bridge.parts(path, "amazon.titan-embed-text-v2:0"):
        ...  # send part.body to part.path; gather what is answered
    body, summary = bridge.answer(packed_answers(gathered))

What one request is like, and what its answer, is a form: one for each API (and maker) that embeds.
"""

import base64
import struct
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from headworks.calls import Endpoint, UnreadableAnswer, Usage
from headworks.dialects.bridging import BridgeStream
from headworks.dialects.reading import Fields, read_fields
from headworks.dialects.responses_requests import decoded
from headworks.dialects.summary import AnswerSummary
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

MOST_TEXTS = 2048
"""Texts in one call, at most (API reference, "Create embeddings", 2026-11)."""

_decode_input = msgspec.json.Decoder(str | list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode
_decode_format = msgspec.json.Decoder(Literal["float", "base64"]).decode
_decode_purpose = msgspec.json.Decoder(
    Literal["search_document", "search_query", "classification", "clustering"]
).decode
_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")

Purpose = Literal["search_document", "search_query", "classification", "clustering"]
"""What a vector is for, where its maker wants to know: the values of `input_type` (Cohere, "Embed", 2026-11)."""


class Part(NamedTuple):
    """One request of a call: where it goes, below the base URL, and its body."""

    path: str
    body: bytes


class PartAnswer(msgspec.Struct, frozen=True, array_like=True):
    """What one of them is answered. `tokens` are those of its texts where the answer's head says them; else -1."""

    body: bytes
    tokens: int = -1


class Wanted(NamedTuple):
    """What a call asks for beside its texts. `model` is as the upstream calls it; `path` its own, below the base URL;
    `purpose` is None where the caller does not say."""

    path: str
    model: str
    dimensions: int | None = None
    purpose: Purpose | None = None


class Embedded(NamedTuple):
    """What one answer holds. `tokens` is None where it does not say how many there were."""

    vectors: Sequence[Sequence[float]]
    tokens: int | None


class EmbeddingForm(Protocol):
    """How one API is asked for embeddings.

    Attributes:
        target: the API, for refusals.
        most_texts: in one request.
        most_bytes: of texts in one request that has more than one; 0 where there is no such bound.
    """

    target: Endpoint
    most_texts: int
    most_bytes: int

    def write(self, texts: Sequence[str], wanted: Wanted) -> Part:
        """One request.

        Raises:
            Refusal: 400, for what this API has nothing for, by its name.
        """
        ...

    def read(self, answer: PartAnswer) -> Embedded:
        """What was answered.

        Raises:
            msgspec.MsgspecError: it is something else.
        """
        ...

    def error(self, body: bytes, status: int) -> bytes:
        """An error's body in OpenAI's words."""
        ...


def packed_answers(answers: Sequence[PartAnswer]) -> bytes:
    """The answers to all requests of a call, as one body; `EmbeddingsBridge` reads it."""
    return msgspec.msgpack.encode(answers)


_unpack = msgspec.msgpack.Decoder(tuple[PartAnswer, ...]).decode


class EmbeddingsBridge:
    """Implements `bridging.Bridge` for a call of `/v1/embeddings`, whose answer is a `packed_answers`.

    Arguments:
        body: the caller's request.
    """

    __slots__ = ("_fields", "_form", "_is_packed", "_model", "_texts")

    _form: EmbeddingForm

    def __init__(self, body: bytes) -> None:
        self._fields = read_fields(body)
        self._is_packed = False
        self._model = ""
        self._texts: list[str] = []

    def parts(self, path: str, model: str, stands_for: str = "") -> list[Part]:
        """The requests to send, one at least.

        Arguments:
            path: of the model at this provider, with what its API does there.
            model: as the upstream calls it.
            stands_for: the model whose name says what it can do, where its own is one that its operator chose.

        Raises:
            Refusal: 400, for what is wrong or cannot be honoured, by the name of its field.
        """
        form = self._form = form_of(path, stands_for or model)
        self._model = model
        wanted = Wanted(path, model)
        for name, raw in self._fields.items():
            if raw == _NULL or name in ("input", "model", "user"):
                continue  # whom it is for is kept in our own record
            match name:
                case "dimensions":
                    wanted = wanted._replace(dimensions=decoded(_decode_int, raw, name))
                case "encoding_format":
                    self._is_packed = decoded(_decode_format, raw, name) == "base64"
                case "input_type":
                    wanted = wanted._replace(purpose=decoded(_decode_purpose, raw, name))
                case _:
                    raise unsupported(name, form.target)
        self._texts = _texts(self._fields, form.target)
        return [form.write(texts, wanted) for texts in _divided(self._texts, form)]

    def request(  # as there
        self,
        body: bytes,  # noqa: ARG002
        model: str,  # noqa: ARG002
        *,
        limit_name: str = "max_tokens",  # noqa: ARG002
        stands_for: str = "",  # noqa: ARG002
    ) -> bytes:
        """There may be several; see `parts`."""
        raise AssertionError("embeddings are asked for in parts")

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The answer in OpenAI's words; see `bridging.Bridge`."""
        found = self._read(body)
        vectors = [vector for one in found for vector in one.vectors]
        if len(vectors) != len(self._texts):
            raise UnreadableAnswer("the answer has another number of embeddings than was asked for")
        data = [
            {"object": "embedding", "index": index, "embedding": self._written(vector)}
            for index, vector in enumerate(vectors)
        ]
        usage = _used(found)
        tokens = 0 if usage is None else usage.input_tokens
        told = {"prompt_tokens": tokens, "total_tokens": tokens}
        written = _encode({"object": "list", "data": data, "model": self._model, "usage": told})
        return written, AnswerSummary(served_model=self._model, usage=usage, terminal="done")

    def used(self, body: bytes) -> Usage | None:
        """What those used that were answered, of a call that was not answered whole; None where that is not known."""
        try:
            return _used(self._read(body))
        except UnreadableAnswer:
            return None

    def _read(self, body: bytes) -> list[Embedded]:
        try:
            return [self._form.read(one) for one in _unpack(body)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UnreadableAnswer("the answer is not one of embeddings") from None

    def _written(self, values: Sequence[float]) -> list[float] | str:
        if not self._is_packed:
            return list(values)
        try:
            packed = struct.pack(f"<{len(values)}f", *values)
        except OverflowError:
            raise UnreadableAnswer("the answer has numbers that no embedding has") from None
        return base64.b64encode(packed).decode("ascii")

    def error(self, body: bytes, status: int) -> bytes:
        """The error in OpenAI's words; see `bridging.Bridge`."""
        return self._form.error(body, status)

    def stream(self) -> BridgeStream:
        """Embeddings are not streamed; see `bridging.Bridge`."""
        raise AssertionError("embeddings are not streamed")


def form_of(path: str, model: str) -> EmbeddingForm:
    """How a model is asked, by its path at its provider and by its name.

    Raises:
        Refusal: 400, its maker's way to ask for embeddings is not known here.
    """
    if path.endswith("/invoke"):
        from headworks.dialects.embed_invocations import invocation_form  # only who has Bedrock loads it

        return invocation_form(model)
    from headworks.dialects.embed_contents import google_form  # only who has Google's loads it

    return google_form(path, model)


def _divided(texts: list[str], form: EmbeddingForm) -> list[list[str]]:
    divided: list[list[str]] = []
    size = 0
    for text in texts:
        # In UTF-8, or as near to it as half a surrogate pair can come.
        more = len(text.encode("utf-8", "surrogatepass")) if form.most_bytes else 0
        is_full = not divided or len(divided[-1]) == form.most_texts or size + more > (form.most_bytes or size + more)
        if is_full:
            divided.append([])
            size = 0
        divided[-1].append(text)
        size += more
    return divided


def _used(found: Sequence[Embedded]) -> Usage | None:
    told = [one.tokens for one in found if one.tokens is not None]
    if not found or len(told) != len(found):
        return None
    return Usage(input_tokens=sum(told), source="provider")


def _texts(fields: Fields, target: Endpoint) -> list[str]:
    """The texts of a request.

    Raises:
        Refusal: 400, there are none or too many, or tokens among them, which only OpenAI's models read.
    """
    found = decoded(_decode_input, fields.get("input", _NULL), "input")
    if isinstance(found, str):
        return [found]
    if not 0 < len(found) <= MOST_TEXTS:
        raise Refusal(
            400, "invalid_value", f"Invalid 'input': expected 1 to {MOST_TEXTS} inputs in one call.", param="input"
        )
    for index, one in enumerate(found):
        if memoryview(one)[0] != ord('"'):
            raise unsupported(f"input[{index}]", target, "It takes texts, not tokens.")
    return [decoded(_decode_text, one, f"input[{index}]") for index, one in enumerate(found)]
