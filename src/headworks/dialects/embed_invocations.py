"""Embeddings of AWS Bedrock's models, by InvokeModel, whose body is each maker's own.

Sources: Amazon Bedrock user guide, "Amazon Titan Embeddings G1 - Text" (with V2), "Cohere Embed v3", "Cohere Embed v4"
(2026-11). Cohere says how many tokens there were in the answer's head alone. It would cut what is too long: it is told
not to, as OpenAI does not.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.embeddings import Embedded, EmbeddingForm, Part, PartAnswer, Wanted
from headworks.dialects.errors import translated_bare_error
from headworks.dialects.unsupported import unsupported
from headworks.errors import Refusal

_TARGET = Endpoint.INVOKE_MODEL
_encode = msgspec.json.Encoder().encode

_TITAN = re.compile(r"\bamazon\.titan-embed-(?:text-|g1-text-)")
_TITAN_SIZED = re.compile(r"\bamazon\.titan-embed-text-v[2-9]")
_COHERE = re.compile(r"\bcohere\.embed-")
_COHERE_SIZED = re.compile(r"\bcohere\.embed-v[4-9]")


class _TitanAnswer(msgspec.Struct, frozen=True, rename="camel"):
    embedding: tuple[float, ...]
    input_text_token_count: int | None = None


class _ByType(msgspec.Struct, frozen=True):
    floats: tuple[tuple[float, ...], ...] = msgspec.field(name="float")


class _CohereAnswer(msgspec.Struct, frozen=True):
    embeddings: _ByType | tuple[tuple[float, ...], ...]


_decode_titan = msgspec.json.Decoder(_TitanAnswer).decode
_decode_cohere = msgspec.json.Decoder(_CohereAnswer).decode


class _InvocationForm:
    """What both share."""

    target = _TARGET
    most_bytes = 0

    def __init__(self, *, is_sized: bool) -> None:
        self._is_sized = is_sized

    def error(self, body: bytes, status: int) -> bytes:
        """See `EmbeddingForm`."""
        return translated_bare_error(body, Endpoint.EMBEDDINGS, status)

    def _sized(self, wanted: Wanted, name: str) -> dict[str, Any]:
        """The length of the vectors, as their maker calls it.

        Raises:
            Refusal: 400, this model has one length.
        """
        if wanted.dimensions is None:
            return {}
        if not self._is_sized:
            raise unsupported("dimensions", _TARGET, "The vectors of this model have one length.")
        return {name: wanted.dimensions}


class _TitanForm(_InvocationForm):
    """Amazon's Titan: one text in a request."""

    most_texts = 1

    def write(self, texts: Sequence[str], wanted: Wanted) -> Part:
        """See `EmbeddingForm`."""
        if wanted.purpose is not None:
            raise unsupported("input_type", _TARGET)
        (text,) = texts
        return Part(wanted.path, _encode({"inputText": text, **self._sized(wanted, "dimensions")}))

    def read(self, answer: PartAnswer) -> Embedded:
        """See `EmbeddingForm`."""
        found = _decode_titan(answer.body)
        told = found.input_text_token_count
        return Embedded([found.embedding], told if told is not None else _told(answer))


class _CohereForm(_InvocationForm):
    """Cohere's Embed, which must know what its vectors are for: what is not said is for documents to be found."""

    most_texts = 96

    def write(self, texts: Sequence[str], wanted: Wanted) -> Part:
        """See `EmbeddingForm`."""
        body = {
            "texts": list(texts),
            "input_type": wanted.purpose or "search_document",
            "embedding_types": ["float"],
            "truncate": "NONE",
            **self._sized(wanted, "output_dimension"),
        }
        return Part(wanted.path, _encode(body))

    def read(self, answer: PartAnswer) -> Embedded:
        """See `EmbeddingForm`."""
        found = _decode_cohere(answer.body).embeddings
        return Embedded(found.floats if isinstance(found, _ByType) else found, _told(answer))


def invocation_form(model: str) -> EmbeddingForm:
    """How a model of Bedrock's is asked for embeddings.

    Raises:
        Refusal: 400, it is of no maker whose words are known here.
    """
    if _TITAN.search(model) is not None:
        return _TitanForm(is_sized=_TITAN_SIZED.search(model) is not None)
    if _COHERE.search(model) is not None:
        return _CohereForm(is_sized=_COHERE_SIZED.search(model) is not None)
    raise Refusal(
        400,
        "endpoint_not_supported",
        "Of Amazon Bedrock's models, Titan Text Embeddings and Cohere Embed are asked for embeddings. Where this name "
        "stands for one of them and does not show it, the operator can say so under `deployments`.",
        param="model",
    )


def _told(answer: PartAnswer) -> int | None:
    return None if answer.tokens < 0 else answer.tokens
