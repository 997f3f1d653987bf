"""JSON Schema as structured outputs take it: which schemas are accepted, and how deep one must go.

`checked` refuses what the API refuses in strict mode, with its messages; `invention` then makes values. A schema
is a JSON object; it is read here and nowhere else.
"""

import functools
import math
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from headworks.errors import HeadworksError

Node: TypeAlias = dict[str, object]

_NOT_PERMITTED = (
    "allOf",
    "not",
    "oneOf",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "then",
    "else",
    "patternProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
)
"""Keywords that strict mode refuses (OpenAI structured-outputs guide, "Supported schemas")."""

FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
"""String formats that strict mode supports (the same guide)."""

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_MOST_PROPERTIES = 5000
_MOST_LEVELS = 10
"""Limits of strict mode (the same guide)."""


class SchemaRefused(HeadworksError):
    """A schema that cannot be used; `context` is the place in it, as the API writes it."""

    def __init__(self, context: tuple[str, ...], problem: str) -> None:
        super().__init__(f"In context=({', '.join(repr(part) for part in context)}), {problem}")


class Schema:
    """A schema with what `invention` needs: the definitions, and how many levels each place costs at least."""

    __slots__ = ("_heights", "root")

    def __init__(self, root: Node) -> None:
        self.root = root
        self._heights: dict[str, float] = {}
        self._settle_heights()

    def resolve(self, reference: object) -> Node:
        """What a `$ref` points at. Raises SchemaRefused."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaRefused((), f"reference {reference!r} can only point to definitions within the schema.")
        node: object = self.root
        for part in reference.lstrip("#").strip("/").split("/") if reference != "#" else []:
            name = part.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise SchemaRefused((), f"reference to component {reference!r} which was not found in the schema.")
        return node

    def height(self, node: Node) -> float:
        """The fewest levels of nesting that a value for this place needs; infinite if there is no end."""
        if "$ref" in node:
            return self._heights.get(str(node["$ref"]), math.inf)
        if "const" in node or "enum" in node:
            return 0.0
        if branches := nodes(node.get("anyOf") or node.get("oneOf")):
            return min(map(self.height, branches))
        parts = [self.height(part) for part in nodes(node.get("allOf"))]
        return min((self._height_of(kind, node) for kind in types(node)), default=0.0) + max(parts, default=0.0)

    def _height_of(self, kind: str, node: Node) -> float:
        if kind == "object":
            needed = required(node)
            inner = [self.height(part) for name, part in properties(node).items() if name in needed]
            return 1.0 + max(inner, default=0.0)
        if kind == "array":
            items = node.get("items")
            needs_items = whole(node.get("minItems"), 0) > 0 and isinstance(items, dict)
            return 1.0 + (self.height(items) if needs_items and isinstance(items, dict) else 0.0)
        return 0.0

    def _settle_heights(self) -> None:
        """Heights of everything referred to, from infinity down until none changes."""
        targets = {str(reference): self.resolve(reference) for reference in _references(self.root)}
        for _ in range(len(targets) + 1):
            settled = {reference: self.height(target) for reference, target in targets.items()}
            if settled == self._heights:
                return
            self._heights = settled


def nodes(value: object) -> list[Node]:
    """The schemas in a list; none if it is no list."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def properties(node: Node) -> dict[str, Node]:
    """The properties of an object schema."""
    value = node.get("properties")
    return {str(k): v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}


def required(node: Node) -> set[str]:
    """The names that an object must have."""
    value = node.get("required")
    return {str(name) for name in value} if isinstance(value, list) else set()


def types(node: Node) -> list[str]:
    """The types that a node allows, derived from its keywords where it names none."""
    value = node.get("type")
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [str(kind) for kind in value]
    if "properties" in node:
        return ["object"]
    if "items" in node:
        return ["array"]
    return []


def whole(value: object, default: int) -> int:
    """An integer keyword, or its default."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def checked(raw: bytes, *, is_strict: bool) -> Schema:
    """The schema in `raw`, which must be JSON. Raises SchemaRefused where the API would refuse it."""
    return (_remembered if len(raw) <= _MOST_REMEMBERED_BYTES else _checked)(raw, is_strict)


def _checked(raw: bytes, is_strict: bool) -> Schema:
    root: object = msgspec.json.decode(raw)
    if not isinstance(root, dict):
        raise SchemaRefused((), "schema must be a JSON object.")
    schema = Schema(root)
    if is_strict:
        kind = root.get("type")
        if kind != "object" or "anyOf" in root:
            raise SchemaRefused((), f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'.")
        _StrictCheck(schema).run()
    if math.isinf(schema.height(root)):
        raise SchemaRefused((), "schema has no finite value.")
    return schema


_MOST_REMEMBERED_BYTES = 65_536
_remembered = functools.lru_cache(maxsize=256)(_checked)


class _StrictCheck:
    """Walks a schema by the rules of strict mode."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._properties = 0

    def run(self) -> None:
        self._node(self._schema.root, (), 1)
        for section in ("$defs", "definitions"):
            definitions = self._schema.root.get(section)
            for name, node in definitions.items() if isinstance(definitions, dict) else ():
                if isinstance(node, dict):
                    self._node(node, (section, str(name)), 1)

    def _node(self, node: Node, context: tuple[str, ...], level: int) -> None:
        if level > _MOST_LEVELS:
            raise SchemaRefused(context, f"schema exceeds the maximum nesting depth of {_MOST_LEVELS}.")
        for keyword in _NOT_PERMITTED:
            if keyword in node:
                raise SchemaRefused(context, f"'{keyword}' is not permitted.")
        if "$ref" in node:
            self._schema.resolve(node["$ref"])
            return
        branches = nodes(node.get("anyOf"))
        for index, branch in enumerate(branches):
            self._node(branch, (*context, "anyOf", str(index)), level)
        kinds = types(node)
        if not (kinds or branches or "enum" in node or "const" in node):
            raise SchemaRefused(context, "schema must have a 'type' key.")
        for kind in kinds:
            self._typed(kind, node, context, level)

    def _typed(self, kind: str, node: Node, context: tuple[str, ...], level: int) -> None:
        if kind not in _TYPES:
            raise SchemaRefused(context, f"{kind!r} is not valid under any of the given schemas.")
        if kind == "object":
            self._object(node, context, level)
        elif kind == "array":
            items = node.get("items")
            if not isinstance(items, dict):
                raise SchemaRefused(context, "array schema missing items.")
            self._node(items, (*context, "items"), level + 1)
        elif kind == "string" and "format" in node and node["format"] not in FORMATS:
            raise SchemaRefused(context, f"{node['format']!r} is not a valid format.")

    def _object(self, node: Node, context: tuple[str, ...], level: int) -> None:
        if node.get("additionalProperties") is not False:
            raise SchemaRefused(context, "'additionalProperties' is required to be supplied and to be false.")
        members = properties(node)
        self._properties += len(members)
        if self._properties > _MOST_PROPERTIES:
            raise SchemaRefused(context, f"schema exceeds the maximum of {_MOST_PROPERTIES} properties.")
        lacking = [name for name in members if name not in required(node)]
        if lacking:
            raise SchemaRefused(
                context,
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{lacking[0]}'.",
            )
        unknown = sorted(required(node) - members.keys())
        if unknown:
            raise SchemaRefused(context, f"Extra required key '{unknown[0]}' supplied.")
        for name, member in members.items():
            self._node(member, (*context, "properties", name), level + 1)


def _references(value: object) -> Iterator[object]:
    """Every `$ref` in a schema."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            elif key not in {"enum", "const", "default", "examples"}:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
