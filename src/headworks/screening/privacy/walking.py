"""A body as a tree: its strings are gathered to be screened, and written again as what they became.

JSON within a string is walked as well. Where nothing in it changes, the string stays as it is, byte for byte.
"""

from collections.abc import Container
from decimal import Decimal
from typing import TypeAlias

import msgspec

from headworks.screening.privacy.findings import Finding
from headworks.screening.privacy.places import DATA, PLAIN, STRUCTURE, is_opaque, is_structure
from headworks.screening.steps import Steps

Json: TypeAlias = "str | int | Decimal | bool | list[Json] | dict[str, Json] | None"

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
encode_json = msgspec.json.Encoder(decimal_format="number").encode

_LEAST_NUMBER = 10_000_000
"""Smaller numbers are counts and prices; eight digits may be somebody's."""

_MOST_AT_ONCE = 64
"""Values that are walked past in one step: each takes about a microsecond."""


class Leaf(msgspec.Struct, gc=False):
    """A string (or a number, or a property's name) to be screened, with what it becomes."""

    text: str
    lead: str  # what is read before it: the name that it stands under
    becomes: str = ""
    findings: list[Finding] = []


class _Inner(msgspec.Struct, gc=False):
    """JSON within a string: its tree, and how many leaves and inner ones there are when it is over."""

    tree: Json
    leaves: int = 0
    inners: int = 0
    has_twins: bool = False


class Walk:
    """Goes through a body twice in the same order: to read its leaves, and to write what they became.

    Attributes:
        leaves: what was read.
        opaque: how many images, sounds and files were passed.
        has_twins: whether an object has a name twice. A decoder keeps the last only: the other one would go up unseen
            if the body did.
    """

    __slots__ = ("_inner_place", "_inners", "_place", "_strings", "_walked", "has_twins", "leaves", "opaque")

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.opaque = 0
        self.has_twins = False
        self._inners: list[_Inner | None] = []
        self._strings = 0
        self._place = 0
        self._inner_place = 0
        self._walked = 0

    def read(self, body: bytes) -> Steps[Json]:
        """The body as a tree; its leaves are gathered."""
        tree: Json = _decode(body)
        yield from self._gather(tree, "", in_data=False)
        self.has_twins = self.has_twins or self._strings != _strings_in(body)
        return tree

    def rewind(self) -> None:
        """Back to the first leaf, to write."""
        self._place = self._inner_place = 0

    def _gather(self, value: Json, name: str, *, in_data: bool) -> Steps[None]:
        """What is in a value. A generator for each string would cost more than the string: there is one where more lies
        within. The name of somebody who has a role in a conversation is data, unlike a function's."""
        if isinstance(value, dict):
            in_data = in_data or name in DATA
            for key, inner in value.items():
                self._strings += 1
                if _is_data_name(key):
                    self.leaves.append(Leaf(key, ""))
                is_data = in_data or (key == "name" and "role" in value)
                if isinstance(inner, dict | list) or not self._gather_leaf(inner, key, in_data=is_data):
                    yield from self._gather(inner, key, in_data=in_data)
                if self._is_time():
                    yield
        elif isinstance(value, list):
            for inner in value:
                if isinstance(inner, dict | list) or not self._gather_leaf(inner, name, in_data=in_data):
                    yield from self._gather(inner, name, in_data=in_data)
                if self._is_time():
                    yield
        elif not self._gather_leaf(value, name, in_data=in_data):
            assert isinstance(value, str), "nothing else holds more"
            yield from self._gather_json(value, name)

    def _gather_leaf(self, value: Json, name: str, *, in_data: bool) -> bool:
        """Whether it was one: a string that looks like JSON is none."""
        if not isinstance(value, str):
            if _is_number_to_read(value, name, in_data=in_data):
                self.leaves.append(Leaf(str(value), _lead(name)))
            return True
        if not in_data and is_structure(name, value):
            self._strings += 1
        elif is_opaque(name, value):
            self._strings += 1
            self.opaque += 1
        elif _looks_like_json(value):
            return False
        else:
            self._strings += 1
            self.leaves.append(Leaf(value, _lead(name)))
        return True

    def _gather_json(self, text: str, name: str) -> Steps[None]:
        """What is in a string that looks like JSON."""
        self._strings += 1
        tree = _parsed(text)
        inner = None if tree is None else _Inner(tree)
        self._inners.append(inner)
        if inner is None:
            self.leaves.append(Leaf(text, _lead(name)))
            return
        outer, self._strings = self._strings, 0
        yield from self._gather(inner.tree, name, in_data=True)
        inner.has_twins = self._strings != _strings_in(text.encode())
        inner.leaves, inner.inners = len(self.leaves), len(self._inners)
        self.has_twins |= inner.has_twins
        self._strings = outer

    def _is_time(self) -> bool:
        """Whether so much was walked past that others may have their turn."""
        self._walked += 1
        return not self._walked % _MOST_AT_ONCE

    def write(self, value: Json, name: str = "", *, in_data: bool = False) -> Steps[Json]:
        """The tree with what its leaves became."""
        if isinstance(value, dict):
            in_data = in_data or name in DATA
            written: dict[str, Json] = {}
            alike: dict[str, int] = {}
            for key, inner in value.items():
                new_key = self._next() if _is_data_name(key) else key
                if new_key in written:  # two names that were masked alike
                    new_key = _another(new_key, written, alike)
                if isinstance(inner, dict | list):
                    written[new_key] = yield from self.write(inner, key, in_data=in_data)
                else:
                    is_data = in_data or (key == "name" and "role" in value)
                    written[new_key] = yield from self._write_leaf(inner, key, in_data=is_data)
                if self._is_time():
                    yield
            return written
        if isinstance(value, list):
            items: list[Json] = []
            for inner in value:
                if isinstance(inner, dict | list):
                    items.append((yield from self.write(inner, name, in_data=in_data)))
                else:
                    items.append((yield from self._write_leaf(inner, name, in_data=in_data)))
                if self._is_time():
                    yield
            return items
        return (yield from self._write_leaf(value, name, in_data=in_data))

    def _write_leaf(self, value: Json, name: str, *, in_data: bool) -> Steps[Json]:
        if isinstance(value, str):
            return (yield from self._write_text(value, name, in_data=in_data))
        if _is_number_to_read(value, name, in_data=in_data):
            becomes = self._next()
            return value if becomes == str(value) else becomes
        return value

    def _write_text(self, text: str, name: str, *, in_data: bool) -> Steps[str]:
        if (not in_data and is_structure(name, text)) or is_opaque(name, text):
            return text
        if not _looks_like_json(text):
            return self._next()
        inner = self._inners[self._inner_place]
        self._inner_place += 1
        if inner is None:
            return self._next()
        leaves = self.leaves[self._place : inner.leaves]
        inners = self._inners[self._inner_place - 1 : inner.inners]
        if all(leaf.becomes == leaf.text for leaf in leaves) and not any(one and one.has_twins for one in inners):
            self._place, self._inner_place = inner.leaves, inner.inners
            return text
        tree = yield from self.write(inner.tree, name, in_data=True)
        return encode_json(tree).decode()

    def _next(self) -> str:
        leaf = self.leaves[self._place]
        self._place += 1
        return leaf.becomes


def _another(name: str, taken: Container[str], alike: dict[str, int]) -> str:
    """A name that is not taken. So many were masked alike, by the name: counting from there takes no time."""
    number = alike.get(name, 1)
    while (other := f"{name}_{number}") in taken:
        number += 1
    alike[name] = number + 1
    return other


def _looks_like_json(text: str) -> bool:
    return text[:1] in ("{", "[") and text[-1:] in ("}", "]")


def _lead(name: str) -> str:
    return "" if not name or name in PLAIN else f"{name}: "


def _is_data_name(key: str) -> bool:
    """Whether a property's name may hold data: words of a program do not."""
    return not (key.isidentifier() and key.isascii()) or sum(character.isdigit() for character in key) > 4


def _is_number_to_read(value: Json, name: str, *, in_data: bool) -> bool:
    return type(value) is int and abs(value) >= _LEAST_NUMBER and (in_data or name not in STRUCTURE)


def _parsed(text: str) -> Json:
    """JSON within a string; None if it is none."""
    try:
        tree: Json = _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return tree if isinstance(tree, dict | list) else None


def _strings_in(body: bytes) -> int:
    """How many strings a JSON text has, names included: its quotation marks, less the escaped ones, by two."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"")
        return (body.count(b'"') - body.count(b'\\"')) // 2
    return body.count(b'"') // 2
