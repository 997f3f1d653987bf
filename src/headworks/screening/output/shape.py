"""What a value at one place of an answer may begin as: a schema, loosened until it can be judged while it is read.

A `Shape` admits everything that the schema admits, and more. So what it refuses is certainly wrong, and what it lets
pass is judged by the validator later. Of keywords that all apply to one value it may look at some only; of `anyOf`,
`oneOf` and `$ref` it makes the list of sub-schemas one of which the value must satisfy.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias
from urllib.parse import unquote

from headworks.screening.output.tokens import Kind

Node: TypeAlias = Mapping[str, object]

_ALL_KINDS: tuple[Kind, ...] = ("{", "[", '"', "0", "t", "f", "n")
_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "object": ("{",),
    "array": ("[",),
    "string": ('"',),
    "number": ("0",),
    "integer": ("0",),
    "boolean": ("t", "f"),
    "null": ("n",),
}
_LOOKED_AT = frozenset(
    {"type", "properties", "enum", "const", "items", "prefixItems", "required", "additionalProperties"}
)
_MOST_ALTERNATIVES = 32
"""Beyond this a place is left to the validator; keeps what is computed per place small."""

# With any of these in a document, a pointer or a property's sub-schema taken alone may mean something else than in
# its place (JSON Schema 2020-12 core, 8.2).
_CONTEXTUAL = frozenset({"$id", "$dynamicRef", "$dynamicAnchor"})


class Shape:
    """What may stand at a place. `kinds` are the characters that its value may begin as.

    `texts` are the only strings allowed, None where any is. `required` are the names that an object must have,
    `names` those that are known.
    `is_integral`: a number here must be whole. `types` is for messages.
    """

    __slots__ = (
        "_arrays",
        "_children",
        "_items",
        "_objects",
        "_shapes",
        "is_integral",
        "kinds",
        "names",
        "required",
        "texts",
        "types",
    )

    def __init__(self, shapes: "Shapes", alternatives: tuple[Node, ...] | None) -> None:
        self._shapes = shapes
        # The alternatives that allow an object or an array; None where anything is allowed.
        self._objects: list[Node] | None = None
        self._arrays: list[Node] | None = None
        self._children: dict[str, Shape] = {}
        self._items: dict[int, Shape] = {}
        self.kinds: frozenset[Kind] = frozenset(_ALL_KINDS)
        self.texts: tuple[str, ...] | None = None
        self.required: tuple[str, ...] = ()
        self.names: tuple[str, ...] = ()
        self.is_integral = False
        self.types: tuple[str, ...] = ()
        if alternatives is not None:
            self._describe(alternatives)

    def _describe(self, alternatives: tuple[Node, ...]) -> None:
        kinds = [(node, _kinds(node)) for node in alternatives]
        self.kinds = frozenset(kind for _, each in kinds for kind in each)
        self.types = tuple(dict.fromkeys(name for node in alternatives for name in _types(node)))
        self._objects = [node for node, each in kinds if "{" in each]
        self._arrays = [node for node, each in kinds if "[" in each]
        self.texts = _texts([node for node, each in kinds if '"' in each])
        self.required = _required(self._objects)
        self.names = tuple(dict.fromkeys(name for node in self._objects for name in _names(node.get("properties"))))
        numeric = [_types(node) for node, each in kinds if "0" in each]
        self.is_integral = all("integer" in types and "number" not in types for types in numeric) and bool(numeric)

    def child(self, name: str) -> "Shape | None":
        """The shape of an object's property; None where the object may have none of this name."""
        if self._objects is None:
            return self._shapes.anything
        if name in self._children:
            return self._children[name]
        nodes = [_property(node, name) for node in self._objects]
        allowed = [node for node in nodes if node is not False]
        if not allowed:
            return None
        found = self._shapes.of(allowed)
        # Only names of the schema are kept: those that models make up have no end.
        if name in self.names:
            self._children[name] = found
        return found

    def item(self, index: int) -> "Shape":
        """The shape of an array's element."""
        if self._arrays is None:
            return self._shapes.anything
        index = min(index, max(len(_list(node.get("prefixItems"))) for node in self._arrays))
        if index not in self._items:
            self._items[index] = self._shapes.of(_item(node, index) for node in self._arrays)
        return self._items[index]


class Shapes:
    """The shapes of one schema document, made as they are asked for and kept."""

    def __init__(self, document: object) -> None:
        self._document = document
        self._made: dict[tuple[int, ...], Shape] = {}
        self.anything = Shape(self, None)
        self._is_contextual = depends_on_its_place(document)
        self.root = self.of([document])

    def of(self, nodes: Iterable[object]) -> Shape:
        """The shape of a value that satisfies one of these sub-schemas."""
        alternatives: list[Node] = []
        for node in nodes:
            flat = self._flat(node, set())
            if flat is None or len(alternatives) + len(flat) > _MOST_ALTERNATIVES:
                return self.anything
            alternatives.extend(flat)
        # The nodes are parts of the document, which lives as long as we do, so that ids name them.
        key = tuple(id(node) for node in alternatives)
        if key not in self._made:
            self._made[key] = Shape(self, tuple(alternatives))
        return self._made[key]

    def _flat(self, node: object, seen: set[int]) -> list[Node] | None:
        """The sub-schemas of which the value must satisfy one; None where it may be anything."""
        if node is False:
            return []
        if not isinstance(node, dict) or id(node) in seen:
            return None
        if not _LOOKED_AT.isdisjoint(node):
            return [node]
        seen = seen | {id(node)}
        if "$ref" in node:
            return self._flat(self._resolved(node["$ref"]), seen)
        for keyword in ("anyOf", "oneOf"):
            if keyword in node:
                branches = [self._flat(branch, seen) for branch in _list(node[keyword])]
                known = [branch for branch in branches if branch is not None]
                return [each for branch in known for each in branch] if len(known) == len(branches) else None
        for branch in _list(node.get("allOf")):
            if (flat := self._flat(branch, seen)) is not None:
                return flat
        return None

    def _resolved(self, reference: object) -> object:
        if (
            self._is_contextual
            or not isinstance(reference, str)
            or not (reference == "#" or reference.startswith("#/"))
        ):
            return None
        target = self._document
        for part in unquote(reference).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict):
                target = target.get(name)
            elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                return None
        return target


def depends_on_its_place(document: object) -> bool:
    """Whether a part of the schema may mean something else when it is taken out."""
    return _mentions(document, _CONTEXTUAL)


def names_in(document: object) -> frozenset[str]:
    """Every property name that a schema speaks of."""
    if isinstance(document, list):
        return frozenset(name for each in document for name in names_in(each))
    if not isinstance(document, dict):
        return frozenset()
    own = [name for keyword in ("properties", "required") for name in _names(document.get(keyword))]
    return frozenset(own).union(*(names_in(each) for each in document.values()))


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, dict | list) else []


def _mentions(value: object, names: frozenset[str]) -> bool:
    if isinstance(value, dict):
        return not names.isdisjoint(value) or any(_mentions(each, names) for each in value.values())
    return isinstance(value, list) and any(_mentions(each, names) for each in value)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _options(node: Node) -> list[object] | None:
    if "enum" in node:
        return _list(node["enum"])
    return [node["const"]] if "const" in node else None


def _kinds(node: Node) -> frozenset[Kind]:
    types = node.get("type")
    named = [types] if isinstance(types, str) else _list(types)
    kinds = frozenset(kind for name in named for kind in _KINDS.get(str(name), ())) or frozenset(_ALL_KINDS)
    options = _options(node)
    return kinds if options is None else kinds & {_kind_of(option) for option in options}


def _kind_of(value: object) -> Kind:
    match value:
        case dict():
            return "{"
        case list():
            return "["
        case str():
            return '"'
        case bool():
            return "t" if value else "f"
        case None:
            return "n"
        case _:
            return "0"


def _types(node: Node) -> tuple[str, ...]:
    types = node.get("type")
    return (types,) if isinstance(types, str) else tuple(str(name) for name in _list(types))


def _texts(nodes: list[Node]) -> tuple[str, ...] | None:
    options = [_options(node) for node in nodes]
    if not options or any(each is None for each in options):
        return None
    return tuple(text for each in options for text in each or () if isinstance(text, str))


def _required(nodes: list[Node]) -> tuple[str, ...]:
    if not nodes:
        return ()
    first, *others = [[name for name in _list(node.get("required")) if isinstance(name, str)] for node in nodes]
    return tuple(name for name in first if all(name in other for other in others))


def _property(node: Node, name: str) -> object:
    properties = node.get("properties")
    if isinstance(properties, dict) and name in properties:
        return properties[name]
    return True if "patternProperties" in node else node.get("additionalProperties", True)


def _item(node: Node, index: int) -> object:
    prefix = _list(node.get("prefixItems"))
    return prefix[index] if index < len(prefix) else node.get("items", True)


ANYTHING = Shapes({}).anything
"""What admits every value."""
