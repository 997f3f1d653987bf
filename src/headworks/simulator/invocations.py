"""AWS Bedrock's InvokeModel as its embedding models speak it: Titan's words and Cohere's, by the name that is asked.

Source: Amazon Bedrock user guide, "Amazon Titan Embeddings G1 - Text" and "Cohere Embed" (2026-11). A name of theirs
that the plan does not have means its first embedding model (see `embeddings.embedding_named`).
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headworks.simulator.chance import identifier
from headworks.simulator.decoding import decoded
from headworks.simulator.embeddings import vector
from headworks.simulator.plan import Model
from headworks.simulator.rejection import Rejection
from headworks.simulator.script import Script, plain
from headworks.simulator.tokens import count

_MOST_TEXTS = 96
_TITAN_SIZES = (256, 512, 1024)
_COHERE_SIZES = (256, 512, 1024, 1536)


class _Titan(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    input_text: Annotated[str, Meta(min_length=1)]
    dimensions: int | None = None
    normalize: bool = True
    embedding_types: tuple[Literal["float", "binary"], ...] = ("float",)


class _Cohere(msgspec.Struct, forbid_unknown_fields=True):
    texts: Annotated[list[str], Meta(min_length=1)]
    input_type: Literal["search_document", "search_query", "classification", "clustering"]
    embedding_types: list[Literal["float", "int8", "uint8", "binary", "ubinary"]] | None = None
    output_dimension: int | None = None
    truncate: Literal["NONE", "START", "END", "LEFT", "RIGHT"] = "NONE"


class Invoked(msgspec.Struct, frozen=True):
    """What an invocation answers, and how many tokens it was asked."""

    fields: dict[str, object]
    tokens: int

    def script(self) -> Script:
        """The answer, with its tokens in its head."""
        told = str(self.tokens).encode()
        headers = {b"x-amzn-bedrock-input-token-count": told, b"x-amzn-bedrock-output-token-count": b"0"}
        return plain(200, msgspec.json.encode(self.fields), headers=headers)


def invoked(body: bytes, asked: str, model: Model, seed: int, unique: bytes) -> Invoked:
    """The answer to one invocation.

    Arguments:
        asked: the model's name as it was asked, which says whose words are spoken.

    Raises:
        Rejection: the request is none of its maker's.
    """
    if "cohere." in asked:
        return _of_cohere(decoded(body, _Cohere), model, is_sized="embed-v4" in asked, seed=seed, unique=unique)
    return _of_titan(decoded(body, _Titan), model, is_sized="titan-embed-text-v2" in asked)


def _of_titan(body: _Titan, model: Model, *, is_sized: bool) -> Invoked:
    size = _size(body.dimensions, _TITAN_SIZES, model, is_sized=is_sized)
    tokens = _tokens(body.input_text, model)
    values = vector(body.input_text, model.dimensions, size)
    fields: dict[str, object] = {"embedding": values, "inputTextTokenCount": tokens}
    if is_sized:
        fields["embeddingsByType"] = {"float": values}
    return Invoked(fields, tokens)


def _of_cohere(body: _Cohere, model: Model, *, is_sized: bool, seed: int, unique: bytes) -> Invoked:
    if len(body.texts) > _MOST_TEXTS:
        raise Rejection(400, f"Malformed input request: expected maxItems: {_MOST_TEXTS}, please reformat your input.")
    size = _size(body.output_dimension, _COHERE_SIZES, model, is_sized=is_sized)
    tokens = sum(_tokens(text, model) for text in body.texts)
    # A query's vector lies a little off a document's, so that whoever mixes them up can see it.
    prefix = "" if body.input_type == "search_document" else f"{body.input_type} "
    vectors = [vector(prefix + text, model.dimensions, size) for text in body.texts]
    is_typed = body.embedding_types is not None
    return Invoked(
        {
            "id": identifier("", seed, unique),
            "texts": body.texts,
            "embeddings": {"float": vectors} if is_typed else vectors,
            "response_type": "embeddings_by_type" if is_typed else "embeddings_floats",
        },
        tokens,
    )


def _size(wanted: int | None, sizes: tuple[int, ...], model: Model, *, is_sized: bool) -> int:
    if wanted is None:
        return min(model.dimensions, sizes[-1])
    if not is_sized:
        raise Rejection(400, "Malformed input request: extraneous key is not permitted, please reformat your input.")
    if wanted not in sizes:
        raise Rejection(
            400, f"Malformed input request: {wanted} is not a valid enum value, please reformat your input."
        )
    return wanted


def _tokens(text: str, model: Model) -> int:
    tokens = count(text)
    if tokens > model.context_tokens:
        raise Rejection(
            400, f"Too many input tokens. Max input tokens: {model.context_tokens}, request input token count: {tokens}"
        )
    return tokens
