"""What a request's body refers to of the things that providers store. Pure.

An id counts where the OpenAI API has one: a file in an input, a conversation, the vector stores of a search tool, the
input of a batch or of a fine-tuning job, a model that was made by one (API reference, 2026-11).
"""

import msgspec

from headworks.dialects import RequestHead

FINE_TUNED = "ft:"

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
_LISTS = frozenset({"file_ids", "vector_store_ids"})
_MOST = 1000
"""References that are looked at; more than any request of the API may hold."""

_decode = msgspec.json.Decoder().decode


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
    )


def references_of(body: bytes) -> list[Reference]:
    """All of them, each once, in the order in which they stand; none where the body is not JSON: that is for others to
    say."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    references: dict[Reference, None] = {}
    waiting: list[object] = [found]
    while waiting and len(references) < _MOST:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, dict):
            for name, inner in value.items():
                references.update(dict.fromkeys(_at(str(name), inner, value)))
            waiting.extend(inner for inner in reversed(value.values()) if isinstance(inner, dict | list))
    model = found.get("model") if isinstance(found, dict) else None
    if isinstance(model, str) and FINE_TUNED in model:
        references[Reference(model[model.index(FINE_TUNED) :], "model")] = None
    return list(references)


def _at(name: str, value: object, around: dict[object, object]) -> list[Reference]:
    if isinstance(value, str):
        if name in _NAMES or (name == "id" and around.get("type") == "file_id"):
            return [Reference(value, name)]
    elif name in _LISTS and isinstance(value, list):
        return [Reference(one, name) for one in value if isinstance(one, str)]
    elif name == "conversation" and isinstance(value, dict):
        inner = value.get("id")
        return [Reference(inner, name)] if isinstance(inner, str) else []
    return []
