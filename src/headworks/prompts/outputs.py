"""Whether consumers of a workload's output can take what a changed schema lets through.

They can when every answer that the new schema takes is one that the old schema took, but for properties that are added:
a reader passes over what it does not know. Only what can be shown is taken for harmless; whatever else changes in what
the schema asserts counts as a break. Annotations (`description` and the like) assert nothing.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias

MOST_REASONS = 5
"""Breaks that are named; the rest follow once these are looked at."""

_Pair: TypeAlias = tuple[str, str]

_TYPES = frozenset({"null", "boolean", "object", "array", "number", "string"})
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_MAY_BE_ADDED = ("pattern", "format", "multipleOf", "uniqueItems", "propertyNames", "contains", "not", "allOf")
"""A new one only takes away. One that changes or goes may let something new through."""

_MUST_BE_THE_SAME = (
    "oneOf", "if", "then", "else", "patternProperties", "prefixItems", "dependentRequired", "dependentSchemas",
    "unevaluatedProperties", "unevaluatedItems", "$dynamicRef",
)  # fmt: skip


def broken_output(old: str, new: str) -> tuple[str, ...]:
    """How the output's contract breaks, a reason for each place, at most `MOST_REASONS`; empty if it does not.

    Arguments:
        old: the JSON schema that consumers were promised; "" where answers were free text.
        new: the one that is to be.
    """
    if old == new:
        return ()
    if not old:
        return ("answers were free text and are JSON now",)
    if not new:
        return ("the output's schema is gone",)
    comparison = _Comparison(json.loads(old), json.loads(new))
    return tuple(dict.fromkeys(comparison.reasons()))[:MOST_REASONS]


class _Comparison:
    """Two documents, side by side. Holds the pairs of references that have been followed, so that it ends."""

    def __init__(self, old: object, new: object) -> None:
        self._old = old
        self._new = new
        self._followed: set[_Pair] = set()

    def reasons(self) -> Iterator[str]:
        return self._compare(self._old, self._new, "")

    def _compare(self, old: object, new: object, path: str) -> Iterator[str]:
        pair = (_reference(old), _reference(new))
        if any(pair):
            if pair in self._followed:
                return
            self._followed.add(pair)
            old, new = _resolved(self._old, old), _resolved(self._new, new)
        where = f"`{path or 'the answer'}`"
        if old is True or old == {} or new is False:
            return
        if not isinstance(old, dict) or not isinstance(new, dict):
            if old != new:
                yield f"{where} takes more than before"
            return
        yield from _values(old, new, where)
        yield from _limits(old, new, where)
        yield from self._branches(old, new, where)
        yield from self._objects(old, new, path)
        yield from self._items(old, new, path)

    def _branches(self, old: Mapping[str, object], new: Mapping[str, object], where: str) -> Iterator[str]:
        before = old.get("anyOf")
        if isinstance(before, list):
            after = new.get("anyOf")
            # The same words may mean something else below another `$defs`.
            is_same_below = self._definitions(self._old) == self._definitions(self._new)
            are_known = isinstance(after, list) and all(branch in before for branch in after)
            if not (are_known and is_same_below):
                yield f"{where}: `anyOf` changes"
        for word in _MUST_BE_THE_SAME:
            if old.get(word) != new.get(word):
                yield f"{where}: `{word}` changes"
        for word in _MAY_BE_ADDED:
            if word in old and old[word] != new.get(word):
                yield f"{where}: `{word}` changes"

    def _definitions(self, document: object) -> object:
        return [document.get(word) for word in ("$defs", "definitions")] if isinstance(document, dict) else None

    def _objects(self, old: Mapping[str, object], new: Mapping[str, object], path: str) -> Iterator[str]:
        before, after = _mapping(old.get("properties")), _mapping(new.get("properties"))
        for name, inner in before.items():
            below = f"{path}.{name}" if path else name
            if name in after:
                yield from self._compare(inner, after[name], below)
            else:
                yield f"`{below}` is gone"
        for name in _texts(old.get("required")):
            if name not in _texts(new.get("required")) and name in after:
                yield f"`{path}.{name}` may be missing" if path else f"`{name}` may be missing"
        rest = old.get("additionalProperties", True)
        if isinstance(rest, dict):
            yield from self._compare(rest, new.get("additionalProperties", True), f"{path}.*" if path else "*")

    def _items(self, old: Mapping[str, object], new: Mapping[str, object], path: str) -> Iterator[str]:
        if "items" in old:
            yield from self._compare(old["items"], new.get("items", True), f"{path}[]")


def _values(old: Mapping[str, object], new: Mapping[str, object], where: str) -> Iterator[str]:
    before, after = _types(old), _types(new)
    choices = _choices(new)
    if choices is None and (more := sorted(after - before)):
        yield f"{where} may be of type {', '.join(more)}"
    allowed = _choices(old)
    if choices is not None and allowed is None and (more := sorted({_type_of(one) for one in choices} - before)):
        yield f"{where} may be of type {', '.join(more)}"
    if allowed is None:
        return
    if choices is None:
        yield f"{where} is no longer one of a few values"
    elif any(_spelled(one) not in {_spelled(value) for value in allowed} for one in choices):
        yield f"{where} may have further values"


def _limits(old: Mapping[str, object], new: Mapping[str, object], where: str) -> Iterator[str]:
    for words, sign in ((_LEAST, 1), (_MOST, -1)):
        for word in words:
            before, after = old.get(word), new.get(word)
            if not isinstance(before, int | float):
                continue
            if not isinstance(after, int | float) or sign * after < sign * before:
                yield f"{where}: `{word}` takes more than before"


def _types(node: Mapping[str, object]) -> frozenset[str]:
    """The types that a value may have; a whole number is a number of its own kind only where nothing else is asked."""
    named = node.get("type")
    names = {named} if isinstance(named, str) else set(_texts(named))
    if not names:
        return _TYPES | {"integer"}
    return frozenset(names | ({"integer"} if "number" in names else set()))


def _choices(node: Mapping[str, object]) -> list[object] | None:
    if "const" in node:
        return [node["const"]]
    values = node.get("enum")
    return values if isinstance(values, list) else None


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    for kind, word in ((bool, "boolean"), (str, "string"), (list, "array"), (dict, "object"), (int, "integer")):
        if isinstance(value, kind):
            return word
    return "number"


def _spelled(value: object) -> str:
    """A value as a text: True is not 1 here, though Python says so."""
    return json.dumps(value, sort_keys=True)


def _reference(node: object) -> str:
    found = node.get("$ref") if isinstance(node, dict) else None
    return found if isinstance(found, str) else ""


def _resolved(document: object, node: object) -> object:
    """Where a reference leads, through further ones; the node itself if it is none, or leads nowhere that we know."""
    seen: set[str] = set()
    while (reference := _reference(node)) and reference.startswith("#") and reference not in seen:
        seen.add(reference)
        target = document
        for part in reference.split("/")[1:]:
            target = _mapping(target).get(part.replace("~1", "/").replace("~0", "~"))
        if target is None:
            return node
        node = target
    return node


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
