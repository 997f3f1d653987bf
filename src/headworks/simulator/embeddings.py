"""Embeddings: unit vectors from hashed words and letter groups, so that similar texts lie close together."""

import base64
import hashlib
import math
import re
import struct
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headworks.simulator.plan import Model
from headworks.simulator.rejection import Rejection, invalid_value
from headworks.simulator.tokens import count

_MOST_INPUTS = 2048
_NGRAM = 3

_OF_MAKERS = re.compile(
    r"(?:.*/)?(?:[a-z-]+\.)?(?:amazon\.titan-embed-|cohere\.embed-|gemini-embedding-|text-(?:multilingual-)?embedding-00)\S+"
)
"""What other makers call the models that embed."""


def embedding_named(wanted: str, models: Mapping[str, Model], *, is_known: bool) -> str:
    """The name to look an embedding model up by: another maker's name that a plan does not have means the plan's first
    of this kind, so that every maker's clients can ask a plan that was not written for them."""
    if is_known or _OF_MAKERS.fullmatch(wanted) is None:
        return wanted
    return next((name for name, model in models.items() if model.kind == "embedding"), wanted)


class EmbeddingsBody(msgspec.Struct):
    """The body of POST /v1/embeddings."""

    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None


def embeddings(body: EmbeddingsBody, model_id: str, model: Model) -> dict[str, object]:
    """The answer to a request. Raises Rejection for inputs and dimensions that the model does not take."""
    inputs = _inputs(body.input)
    dimensions = body.dimensions or model.dimensions
    if dimensions > model.dimensions:
        raise invalid_value(
            "dimensions",
            f"Invalid value for 'dimensions' = {dimensions}. Must be less than or equal to {model.dimensions}.",
        )
    counts = [len(item) if isinstance(item, list) else count(item) for item in inputs]
    if max(counts) > model.context_tokens:
        raise Rejection(
            400,
            f"This model's maximum context length is {model.context_tokens} tokens, however you requested "
            f"{max(counts)} tokens. Please reduce your prompt.",
            code="context_length_exceeded",
            param="input",
        )
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector(item, model.dimensions, dimensions), body)}
        for index, item in enumerate(inputs)
    ]
    usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
    return {"object": "list", "data": data, "model": model_id, "usage": usage}


def vector(item: str | list[int], full_dimensions: int, dimensions: int) -> list[float]:
    """The unit vector of a text or of a list of tokens: its first `dimensions`, scaled to length one."""
    weights = [0.0] * full_dimensions
    for feature in _features(item):
        place = int.from_bytes(hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        weights[(place >> 1) % full_dimensions] += 1.0 if place & 1 else -1.0
    kept = weights[:dimensions]
    length = math.sqrt(sum(weight * weight for weight in kept))
    if not length:  # nothing of the text fell into the dimensions that are kept
        return [1.0] + [0.0] * (dimensions - 1)
    return [weight / length for weight in kept]


def _features(item: str | list[int]) -> list[str]:
    if isinstance(item, list):
        return [f"#{token}" for token in item]
    words = re.findall(r"\w+", item.lower())
    grams = [
        padded[start : start + _NGRAM]
        for word in words
        for padded in [f"<{word}>"]
        for start in range(len(padded) - _NGRAM + 1)
    ]
    return [f"w:{word}" for word in words] * 2 + grams or [f"t:{item}"]


def _inputs(value: str | list[str | int | list[int]]) -> list[str | list[int]]:
    """The inputs one by one: a string, a list of strings, a list of tokens, or a list of lists of tokens."""
    if isinstance(value, str):
        inputs: list[str | list[int]] = [value]
    elif value and all(isinstance(item, int) for item in value):
        inputs = [[item for item in value if isinstance(item, int)]]
    else:
        inputs = [item for item in value if not isinstance(item, int)]
        if len(inputs) != len(value):
            raise invalid_value("input", "Invalid 'input': tokens and texts cannot be mixed.")
    if not inputs or not all(inputs):
        raise invalid_value("input", "Invalid 'input': input cannot be an empty string or an empty array.")
    if len(inputs) > _MOST_INPUTS:
        raise invalid_value("input", f"Invalid 'input': array too long. Expected at most {_MOST_INPUTS} inputs.")
    return inputs


def _encoded(values: list[float], body: EmbeddingsBody) -> list[float] | str:
    packed = struct.pack(f"<{len(values)}f", *values)
    if body.encoding_format == "base64":
        return base64.b64encode(packed).decode()
    return list(struct.unpack(f"<{len(values)}f", packed))
