"""What a request's body refers to of the things that providers store. Pure.

An id counts where the OpenAI API has one: a file in an input, a conversation, the vector stores of a search tool, the
input of a batch or of a fine-tuning job, a model that was made by one (API reference, 2026-11); or Google's: a cache of
the prompt's beginning.
"""

import json

import msgspec

from headworks.dialects import RequestHead
from headworks.errors import Refusal

FINE_TUNED = "ft:"
_CHECKPOINT = ":ckpt-step-"
"""Between the name of a fine-tuned model and the number of a checkpoint of it."""

_NAMES = frozenset(
    {
        "file_id",
        "vector_store_id",
        "input_file_id",
        "training_file",
        "validation_file",
        "conversation",
        "previous_response_id",
    }
)
_CACHES = ("cachedContent", "cached_content")
"""At the top of a body only: Google takes names in snake case, too (ProtoJSON)."""

_LISTS = frozenset({"file_ids", "vector_store_ids"})
_MOST = 500
"""References of one request: a search tool has one or two stores, a vector store takes 500 files at once."""


class Reference(msgspec.Struct, frozen=True):
    """An id, and the name of the field that it stands in."""

    object_id: str
    param: str


def may_refer(body: bytes, head: RequestHead) -> bool:
    """Whether it is worth looking: quick, and never wrong in saying no. A name may be written with escapes."""
    return (
        b"file_id" in body
        or b"vector_store_id" in body
        or b"\\u" in body
        or "conversation" in head.fields
        or FINE_TUNED in head.model
        or "cachedContent" in head.fields
        or "cached_content" in head.fields
    )


def references_of(body: bytes) -> list[Reference]:
    """All of them, each once.

    A name that an object has twice counts twice: who reads the body after us may take the other one.

    Raises:
        Refusal: 400, for more than are looked at, and for what cannot be read to its end: something could hide in it.
    """
    try:
        found = json.loads(body, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise Refusal(400, "invalid_json", "The body is not acceptable JSON.") from None
    references: dict[Reference, None] = {}
    waiting: list[object] = [found]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Pairs):
            for name, inner in value:
                references.update(dict.fromkeys(_at(name, inner, value)))
                if isinstance(inner, list):
                    waiting.append(inner)
        elif isinstance(value, list):
            waiting.extend(inner for inner in value if isinstance(inner, list))
        if len(references) > _MOST:
            message = f"The request refers to more than {_MOST} files and other objects."
            raise Refusal(400, "too_many_references", message)
    for name, model in found if isinstance(found, _Pairs) else ():
        if name == "model" and isinstance(model, str) and FINE_TUNED in model:
            made = model[model.index(FINE_TUNED) :].partition(_CHECKPOINT)[0]
            references[Reference(made, "model")] = None
        elif name in _CACHES and isinstance(model, str):
            references[Reference(model, "cachedContent")] = None
    return list(references)


class _Pairs(list[tuple[str, object]]):
    """An object with all its names, also those that it has twice."""


def _at(name: str, value: object, around: _Pairs) -> list[Reference]:
    if isinstance(value, str):
        if name in _NAMES or (name == "id" and ("type", "file_id") in around):
            return [Reference(value, name)]
    elif isinstance(value, _Pairs):
        if name == "conversation":
            return [Reference(inner, name) for key, inner in value if key == "id" and isinstance(inner, str)]
    elif name in _LISTS and isinstance(value, list):
        return [Reference(one, name) for one in value if isinstance(one, str)]
    return []
