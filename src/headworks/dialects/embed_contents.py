"""Embeddings of Google's models: by AI Studio's batchEmbedContents, and by the three ways that Vertex AI has.

    .../models/gemini-embedding-001:batchEmbedContents                         AI Studio
    .../publishers/google/models/gemini-embedding-001:embedContent             Vertex AI: Gemini, one text
    .../publishers/google/models/gemini-embedding-001:batchEmbedContents       Vertex AI: Gemini, several
    .../publishers/google/models/text-embedding-005:predict                    Vertex AI: the older ones

Sources: Gemini API reference, "Embeddings"; Vertex AI, "Text embeddings API"; which model is asked in which way, and
the fields of each, as the official SDK has them, 3.6 (`Models.embed_content`; 2026-11). Google takes texts, never
tokens. Vertex AI would cut what is too long and say nothing: it is told not to, as OpenAI does not.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from headworks.calls import Endpoint
from headworks.dialects.embeddings import Embedded, EmbeddingForm, Part, PartAnswer, Wanted
from headworks.dialects.errors import translated_error
from headworks.dialects.unsupported import unsupported
from headworks.dialects.usage import read_gemini_usage

_BATCH = ":batchEmbedContents"
_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _Statistics(msgspec.Struct, frozen=True):
    token_count: float | None = None


class _Embedding(_Wire, frozen=True):
    values: tuple[float, ...]
    statistics: _Statistics | None = None


class _Answer(_Wire, frozen=True):
    embeddings: tuple[_Embedding, ...] = ()
    embedding: _Embedding | None = None
    usage_metadata: msgspec.Raw = _NULL


class _Prediction(_Wire, frozen=True):
    embeddings: _Embedding


class _Predictions(_Wire, frozen=True):
    predictions: tuple[_Prediction, ...]


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_predictions = msgspec.json.Decoder(_Predictions).decode


class _GoogleForm:
    """What all of them share."""

    target = Endpoint.EMBED_CONTENT
    most_texts = 100
    """("BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch")"""
    most_bytes = 0

    def read(self, answer: PartAnswer) -> Embedded:
        """See `EmbeddingForm`."""
        found = _decode_answer(answer.body)
        vectors = found.embeddings if found.embedding is None else (found.embedding,)
        usage = read_gemini_usage(found.usage_metadata)
        return Embedded([one.values for one in vectors], _counted(vectors) if usage is None else usage.input_tokens)

    def error(self, body: bytes, status: int) -> bytes:
        """See `EmbeddingForm`."""
        return translated_error(body, Endpoint.EMBEDDINGS, status)


class _StudioForm(_GoogleForm):
    """AI Studio's batchEmbedContents, whose every request names the model again."""

    def write(self, texts: Sequence[str], wanted: Wanted) -> Part:
        """See `EmbeddingForm`."""
        _refuse_purpose(wanted)
        model = wanted.model
        named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
        more = {} if wanted.dimensions is None else {"outputDimensionality": wanted.dimensions}
        asked = [{"model": named, "content": _content(text)} | more for text in texts]
        return Part(wanted.path, _encode({"requests": asked}))


class _VertexForm(_GoogleForm):
    """embedContent and batchEmbedContents of Vertex AI.

    Arguments:
        most_texts: in one request; models of other makers take one at a time.
    """

    def __init__(self, most_texts: int) -> None:
        self.most_texts = most_texts

    def write(self, texts: Sequence[str], wanted: Wanted) -> Part:
        """See `EmbeddingForm`."""
        _refuse_purpose(wanted)
        config: dict[str, Any] = {"autoTruncate": False}
        if wanted.dimensions is not None:
            config["outputDimensionality"] = wanted.dimensions
        asked = [{"content": _content(text), "embedContentConfig": config} for text in texts]
        base = wanted.path.rpartition(":")[0]
        if len(asked) == 1:
            return Part(f"{base}:embedContent", _encode(asked[0]))
        return Part(f"{base}{_BATCH}", _encode({"requests": asked}))


class _PredictForm(_GoogleForm):
    """Vertex AI's predict, for the models before Gemini's."""

    most_texts = 250
    most_bytes = 60_000
    """It takes 20,000 tokens at once, and most tokens are three bytes or more ("Text embeddings API", 2026-11)."""

    def write(self, texts: Sequence[str], wanted: Wanted) -> Part:
        """See `EmbeddingForm`."""
        _refuse_purpose(wanted)
        parameters: dict[str, Any] = {"autoTruncate": False}
        if wanted.dimensions is not None:
            parameters["outputDimensionality"] = wanted.dimensions
        return Part(
            wanted.path, _encode({"instances": [{"content": text} for text in texts], "parameters": parameters})
        )

    def read(self, answer: PartAnswer) -> Embedded:
        """See `EmbeddingForm`."""
        found = [one.embeddings for one in _decode_predictions(answer.body).predictions]
        return Embedded([one.values for one in found], _counted(found))


_STUDIO, _GEMINI, _OTHER_MAKERS, _PREDICT = _StudioForm(), _VertexForm(100), _VertexForm(1), _PredictForm()


def google_form(path: str, model: str) -> EmbeddingForm:
    """How a model of Google's is asked, by its path (AI Studio's ends with what it does) and by its name."""
    if path.endswith(_BATCH):
        return _STUDIO
    name = model.rpartition("/")[2]
    if "maas" in name:
        return _OTHER_MAKERS
    return _GEMINI if "gemini" in name else _PREDICT


def _content(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


def _counted(vectors: Sequence[_Embedding]) -> int | None:
    """How many tokens there were, where each vector says it."""
    told = [one.statistics.token_count for one in vectors if one.statistics is not None]
    counts = [int(count) for count in told if count is not None]
    return sum(counts) if counts and len(counts) == len(vectors) else None


def _refuse_purpose(wanted: Wanted) -> None:
    if wanted.purpose is not None:
        raise unsupported("input_type", Endpoint.EMBED_CONTENT)
