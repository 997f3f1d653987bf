"""JSON Schemas of the source, in the draft that answers are validated by here: 2020-12.

What older drafts (04 to 2019-09) write otherwise is rewritten; what means the same in both stays as it is. Sources:
JSON Schema's migration notes, "Draft 2019-09 to Draft 2020-12" and the ones before it.
"""

import json
from collections.abc import Mapping
from typing import Any

_OLDER = (
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
)
_OF_SCHEMAS = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "additionalItems",
     "unevaluatedItems", "unevaluatedProperties"}
)  # fmt: skip
_OF_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_OF_NAMES = frozenset({"properties", "patternProperties", "definitions", "$defs", "dependentSchemas"})


def in_our_draft(text: str) -> str | None:
    """The schema in draft 2020-12; the text itself if it says no older draft, or is no JSON. None where there is no
    word for a part of it: `$recursiveRef`, and references to places whose names change."""
    try:
        schema = json.loads(text)
    except ValueError:
        return text
    if not isinstance(schema, dict) or str(schema.get("$schema", "")).rstrip("#") not in _OLDER:
        return text
    if any(mark in text for mark in ('"$recursiveRef"', "/items/", "/additionalItems", "/dependencies")):
        return None
    is_alone = "2019-09" not in schema.pop("$schema")
    return json.dumps(_rewritten(schema, is_alone=is_alone), indent=2, ensure_ascii=False) + "\n"


def _rewritten(schema: Any, *, is_alone: bool) -> Any:
    """`is_alone`: a reference is all that counts of a schema that has one, as before draft 2019-09."""
    if not isinstance(schema, dict):
        return schema
    if is_alone and isinstance(schema.get("$ref"), str):
        return {"$ref": schema["$ref"], **_beside(schema)}
    found: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "items" and isinstance(value, list):
            found["prefixItems"] = [_rewritten(one, is_alone=is_alone) for one in value]
            if "additionalItems" in schema:
                found["items"] = _rewritten(schema["additionalItems"], is_alone=is_alone)
        elif name == "additionalItems":
            continue  # without a list of items it says nothing
        elif name == "dependencies" and isinstance(value, dict):
            found |= _dependencies(value, is_alone=is_alone)
        elif name in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool):
            bound = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}[name]
            if value and bound in schema:
                found[name] = schema[bound]
                found.pop(bound, None)
        elif name in ("minimum", "maximum") and schema.get(f"exclusive{name.capitalize()}") is True:
            continue  # of draft 04: the other word has it now
        elif name == "id" and isinstance(value, str):
            found["$id"] = value
        else:
            found[name] = _inner(name, value, is_alone=is_alone)
    return found


def _inner(name: str, value: Any, *, is_alone: bool) -> Any:
    if name in _OF_LISTS and isinstance(value, list):
        return [_rewritten(one, is_alone=is_alone) for one in value]
    if name in _OF_NAMES and isinstance(value, dict):
        return {key: _rewritten(one, is_alone=is_alone) for key, one in value.items()}
    return _rewritten(value, is_alone=is_alone) if name in _OF_SCHEMAS else value


def _beside(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside a reference and is no rule: older drafts read nothing else there."""
    said = {name: value for name, value in schema.items() if name in ("title", "description")}
    return said | {
        name: _inner(name, value, is_alone=True) for name, value in schema.items() if name in ("definitions", "$defs")
    }


def _dependencies(value: Mapping[str, Any], *, is_alone: bool) -> dict[str, Any]:
    required = {name: one for name, one in value.items() if isinstance(one, list)}
    schemas = {name: _rewritten(one, is_alone=is_alone) for name, one in value.items() if not isinstance(one, list)}
    found: dict[str, Any] = {"dependentRequired": required} if required else {}
    return found | ({"dependentSchemas": schemas} if schemas else {})
