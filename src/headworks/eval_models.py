"""Which models a provider's eval, or a run of one, names: one that samples, and one for each grader that is a model.
Pure.

Wherever in the body an object has a `model`, that is one (OpenAI API reference, "Evals", 2026-11).
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from headworks.dialects.reading import Fields
from headworks.errors import Refusal

_DEEPEST = 64
_MOST = 100


def models_of_eval(body: bytes) -> list[Fields]:
    """Each object that names a model, as the fields of a call: with what it says of sampling among them.

    Raises:
        Refusal: 400, it names more than are looked at, or lies deeper: something could hide in it.
    """
    try:
        value = msgspec.json.decode(body) if body else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []  # its provider refuses it
    found = []
    for one in _named(value, 0):
        found.append(one)
        if len(found) > _MOST:
            raise Refusal(400, "too_many_models", f"An eval, or a run of one, names at most {_MOST} models here.")
    return found


def _named(value: Any, depth: int) -> Iterator[Fields]:
    if depth > _DEEPEST:
        raise Refusal(400, "invalid_json", "The body is nested deeper than an eval can be.")
    if isinstance(value, list):
        for one in value:
            yield from _named(one, depth + 1)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("model"), str):
        sampling = value.get("sampling_params")
        said = {**value, **(sampling if isinstance(sampling, dict) else {}), "model": value["model"]}
        yield {name: msgspec.Raw(msgspec.json.encode(one)) for name, one in said.items()}
    for one in value.values():
        yield from _named(one, depth + 1)
