"""OpenAI's embeddings from Google's batchEmbedContents.

Source: Gemini API reference, "Embeddings" (2026-11), and the types of the official SDK, 3.6. Google takes texts, never
tokens, and 100 of them at once; how many tokens they had it says or not.
"""

import base64
import struct
from typing import Literal

import msgspec

from headworks.calls import Endpoint, UnreadableAnswer
from headworks.dialects.bridging import BridgeStream
from headworks.dialects.errors import translated_error
from headworks.dialects.reading import Fields, read_fields
from headworks.dialects.responses_requests import decoded
from headworks.dialects.summary import AnswerSummary
from headworks.dialects.unsupported import unsupported
from headworks.dialects.usage import read_gemini_usage

_TARGET = Endpoint.EMBED_CONTENT

_decode_input = msgspec.json.Decoder(str | list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode
_decode_format = msgspec.json.Decoder(Literal["float", "base64"]).decode
_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")


class _Embedding(msgspec.Struct, frozen=True):
    values: tuple[float, ...]


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    embeddings: tuple[_Embedding, ...]
    usage_metadata: msgspec.Raw = _NULL


_decode_answer = msgspec.json.Decoder(_Answer).decode


class EmbeddingsBridge:
    """Implements `bridging.Bridge` for a call of `/v1/embeddings`.

    Arguments:
        body: the caller's request.
    """

    __slots__ = ("_fields", "_is_packed", "_model")

    def __init__(self, body: bytes) -> None:
        self._fields = read_fields(body)
        self._is_packed = False
        self._model = ""

    def request(self, body: bytes, model: str, *, limit_name: str = "max_tokens") -> bytes:  # noqa: ARG002 - read before
        """The request for Google; see `bridging.Bridge`."""
        self._model = model
        named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
        more: dict[str, object] = {}
        for name, raw in self._fields.items():
            if raw == _NULL or name in ("input", "model", "user"):
                continue  # whom it is for is kept in our own record
            match name:
                case "dimensions":
                    more["outputDimensionality"] = decoded(_decode_int, raw, name)
                case "encoding_format":
                    self._is_packed = decoded(_decode_format, raw, name) == "base64"
                case _:
                    raise unsupported(name, _TARGET)
        asked = [{"model": named, "content": {"parts": [{"text": text}]}} | more for text in _texts(self._fields)]
        return _encode({"requests": asked})

    def answer(self, body: bytes) -> tuple[bytes, AnswerSummary]:
        """The answer in OpenAI's words; see `bridging.Bridge`."""
        try:
            answer = _decode_answer(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UnreadableAnswer("the answer is not one of batchEmbedContents") from None
        if len(answer.embeddings) != len(_texts(self._fields)):
            raise UnreadableAnswer("the answer has another number of embeddings than was asked for")
        data = [
            {"object": "embedding", "index": index, "embedding": self._written(one.values)}
            for index, one in enumerate(answer.embeddings)
        ]
        usage = read_gemini_usage(answer.usage_metadata)
        tokens = 0 if usage is None else usage.input_tokens
        told = {"prompt_tokens": tokens, "total_tokens": tokens}
        written = _encode({"object": "list", "data": data, "model": self._model, "usage": told})
        return written, AnswerSummary(served_model=self._model, usage=usage, terminal="done")

    def _written(self, values: tuple[float, ...]) -> list[float] | str:
        if not self._is_packed:
            return list(values)
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode("ascii")

    def error(self, body: bytes, status: int) -> bytes:
        """The error in OpenAI's words; see `bridging.Bridge`."""
        return translated_error(body, Endpoint.EMBEDDINGS, status)

    def stream(self) -> BridgeStream:
        """Embeddings are not streamed; see `bridging.Bridge`."""
        raise AssertionError("embeddings are not streamed")


def _texts(fields: Fields) -> list[str]:
    """The texts of a request.

    Raises:
        Refusal: 400, there are tokens among them, which only OpenAI's models read.
    """
    found = decoded(_decode_input, fields.get("input", _NULL), "input")
    if isinstance(found, str):
        return [found]
    for index, one in enumerate(found):
        if memoryview(one)[0] != ord('"'):
            raise unsupported(f"input[{index}]", _TARGET, "It takes texts, not tokens.")
    return [decoded(_decode_text, one, f"input[{index}]") for index, one in enumerate(found)]
