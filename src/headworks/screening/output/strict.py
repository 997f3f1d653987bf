"""The subset of JSON Schema that OpenAI's structured outputs accept with `strict: true`.

Outside it the provider refuses the call; here it is known when the schema is loaded. Source of rules and limits:
OpenAI, "Structured model outputs", section "Supported schemas" (developers.openai.com/api/docs/guides/
structured-outputs), as profiled in 2026-02 and, for formats, quoted in 2026-05; that a `$ref` stands alone, that every
sub-schema has a type and every array its items is what the provider answers and the official SDK's own conversion
obeys (openai 3.54, `openai/lib/_pydantic.py`).

How the provider counts nesting is not documented. We count objects within objects, the root being the first, through
references and arrays.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias
from urllib.parse import unquote

import msgspec

from headworks.screening.output.faults import pointer_of

MAX_NESTING = 10
MAX_PROPERTIES = 5_000
MAX_STRING_LENGTH = 120_000
MAX_ENUM_VALUES = 1_000
SMALL_ENUM_VALUES = 250
MAX_LARGE_ENUM_LENGTH = 15_000

FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"}
    | {"$ref", "$defs", "definitions", "title", "description"}
    | {"pattern", "format"}
    | {"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"}
)
_ROOT_KEYWORDS = frozenset({"$schema"})
_WAYS_OUT = {
    "allOf": "write out what they say together, or use `anyOf`",
    "oneOf": "use `anyOf`",
    "default": "say it in `description`, or let the application fill it in",
    "minLength": "use `pattern`, or a rule in rules.py",
    "maxLength": "use `pattern`, or a rule in rules.py",
    "patternProperties": "use an array of objects with a name and a value",
    "prefixItems": "use an object with a property for each",
}

_Path: TypeAlias = tuple[str | int, ...]
_Node: TypeAlias = Mapping[str, object]


class SchemaProblem(msgspec.Struct, frozen=True):
    """One thing that keeps a schema out of the subset: where, which rule, and what to do."""

    pointer: str
    rule: str
    message: str


def strict_problems(schema: object) -> list[SchemaProblem]:
    """Everything that keeps a schema out of the strict subset; empty if it is within.

    Arguments:
        schema: the decoded document, valid by draft 2020-12.
    """
    if not isinstance(schema, dict):
        return [SchemaProblem("", "root-object", "the root must be an object's schema, not a boolean")]
    nodes = list(_nodes(schema, ()))
    problems = [*_root_problems(schema)]
    for path, node in nodes:
        for pointer, rule, message in _node_problems(schema, path, node):
            problems.append(SchemaProblem(pointer_of(pointer), rule, message))
    return [*problems, *_size_problems(schema, nodes)]


def _root_problems(schema: _Node) -> Iterator[SchemaProblem]:
    if "anyOf" in schema:
        yield SchemaProblem(
            "/anyOf", "root-any-of", "the root must not be `anyOf`; put it under a property, such as `result`"
        )
    elif schema.get("type") != "object":
        yield SchemaProblem(
            "", "root-object", 'the root must have `"type": "object"`; put another value under a property of one'
        )


def _nodes(node: object, path: _Path) -> Iterator[tuple[_Path, object]]:
    """Every sub-schema and its path, the root first."""
    yield path, node
    if not isinstance(node, dict):
        return
    for keyword in ("properties", "$defs", "definitions"):
        for name, child in _items(node.get(keyword)):
            yield from _nodes(child, (*path, keyword, name))
    for index, child in enumerate(_list(node.get("anyOf"))):
        yield from _nodes(child, (*path, "anyOf", index))
    if "items" in node:
        yield from _nodes(node["items"], (*path, "items"))


def _node_problems(root: _Node, path: _Path, node: object) -> Iterator[tuple[_Path, str, str]]:
    if not isinstance(node, dict):
        yield path, "boolean-schema", "a boolean is no schema here; say which type the value has"
        return
    for keyword in node:
        if keyword not in KEYWORDS and not (keyword in _ROOT_KEYWORDS and not path):
            way_out = _WAYS_OUT.get(keyword, "leave it out, and check what it says in rules.py if it matters")
            yield (*path, keyword), "keyword", f"`{keyword}` is not supported; {way_out}"
    if node.get("format") is not None and node["format"] not in FORMATS:
        yield (*path, "format"), "format", f"this format is not supported; choose one of {', '.join(sorted(FORMATS))}"
    yield from _reference_problems(root, path, node)
    types = _types(node)
    if "object" in types or "properties" in node:
        yield from _object_problems(path, node)
    if "array" in types and not isinstance(node.get("items"), dict):
        yield path, "items", "an array needs `items` that say what it holds"
    if not types and not {"$ref", "anyOf", "enum", "const"} & node.keys() and "oneOf" not in node:
        yield path, "type", 'a value needs a type, such as `"type": "string"`'
    values = _list(node.get("enum"))
    length = sum(len(value) for value in values if isinstance(value, str))
    if len(values) > SMALL_ENUM_VALUES and length > MAX_LARGE_ENUM_LENGTH:
        message = (
            f"an enum of more than {SMALL_ENUM_VALUES} values may have {MAX_LARGE_ENUM_LENGTH} characters in all, and "
            f"this has {length}; use short codes"
        )
        yield (*path, "enum"), "enum-length", message


def _reference_problems(root: _Node, path: _Path, node: _Node) -> Iterator[tuple[_Path, str, str]]:
    if "$ref" not in node:
        return
    if _resolved(root, node["$ref"]) is None:
        yield (
            (*path, "$ref"),
            "ref",
            "a reference must lead to `#` or to a place in this file, such as `#/$defs/name`",
        )
    if len(node) > 1 + sum(keyword in node for keyword in ("$defs", "definitions")):
        yield path, "ref-alone", "`$ref` must stand alone; move what stands beside it to where it leads"


def _object_problems(path: _Path, node: _Node) -> Iterator[tuple[_Path, str, str]]:
    if node.get("additionalProperties") is not False:
        yield path, "additional-properties", 'an object needs `"additionalProperties": false`'
    names = [name for name, _ in _items(node.get("properties"))]
    required = _list(node.get("required"))
    for name in names:
        if name not in required:
            yield (
                (*path, "properties", name),
                "required",
                'every property must be listed in `required`; one that may be missing gets `"null"` among its types',
            )
    if any(name not in names for name in required):
        yield (*path, "required"), "required", "names a property that is not among `properties`; add it or take it out"


def _size_problems(root: _Node, nodes: list[tuple[_Path, object]]) -> Iterator[SchemaProblem]:
    schemas = [node for _, node in nodes if isinstance(node, dict)]
    names = [name for node in schemas for name, _ in _items(node.get("properties"))]
    definitions = [name for node in schemas for key in ("$defs", "definitions") for name, _ in _items(node.get(key))]
    choices = [value for node in schemas for value in _list(node.get("enum"))]
    constants = [node["const"] for node in schemas if "const" in node]
    length = sum(len(text) for text in (*names, *definitions, *choices, *constants) if isinstance(text, str))
    nesting = _nesting(root, root, frozenset())
    for rule, found, most, what, way_out in (
        ("property-count", len(names), MAX_PROPERTIES, "properties", "split the job into several calls"),
        ("enum-count", len(choices), MAX_ENUM_VALUES, "enum values", "check them in rules.py instead"),
        ("name-length", length, MAX_STRING_LENGTH, "characters of names and values", "use shorter ones"),
        ("nesting-depth", nesting, MAX_NESTING, "levels of objects", "flatten it"),
    ):
        if found > most:
            yield SchemaProblem("", rule, f"a schema may have {most} {what}, and this has {found}; {way_out}")


def _nesting(root: _Node, node: object, above: frozenset[int]) -> int:
    """Levels of objects from here down; what refers back to itself counts once."""
    if not isinstance(node, dict) or id(node) in above:
        return 0
    above = above | {id(node)}
    children = [child for _, child in _items(node.get("properties"))]
    children += [*_list(node.get("anyOf")), node.get("items")]
    if "$ref" in node:
        children.append(_resolved(root, node["$ref"]))
    own = 1 if "object" in _types(node) else 0
    return own + max((_nesting(root, child, above) for child in children), default=0)


def _resolved(root: _Node, reference: object) -> object:
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    target: object = root
    for part in unquote(reference).split("/")[1:]:
        if not isinstance(target, dict):
            return None
        target = target.get(part.replace("~1", "/").replace("~0", "~"))
    return target


def _types(node: _Node) -> list[object]:
    types = node.get("type")
    return [types] if isinstance(types, str) else _list(types)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _items(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, dict) else []
