"""Plain data to a plan's structs, piece by piece, so that each piece has its say about what is wrong with it."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import inspect

from headworks.errors import HeadworksError

Path = tuple[str | int, ...]

_PLACE = re.compile(r" - at `\$(?P<place>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$")
_INVALID = re.compile(r"^Invalid (?:enum )?value ")


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong; `path` leads to the field, by names and indexes. `is_name`: the field's very name is wrong."""

    path: Path
    problem: str
    is_name: bool = False

    def __str__(self) -> str:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")
        return f"`{place}`: {self.problem}" if place else self.problem


class PlanProblem(HeadworksError):
    """What is wrong with a plan: everything that was found, one line each."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


class Reader:
    """Reads pieces of a plan. State: what was found wrong so far; of each piece only the first thing."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def add(self, path: Path, problem: str) -> None:
        """Note a problem."""
        self.findings.append(Finding(path, problem))

    def read(self, value: object, kind: Any, path: Path) -> Any:
        """The value as the wanted type; None after a problem has been noted."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.findings.append(_finding(str(error), value, kind, path))
            return None

    def read_all(self, values: object, kind: Any, path: Path) -> tuple[Any, ...]:
        """The items of a list, each a piece of its own; those with a problem are left out."""
        if not isinstance(values, list | tuple):
            self.read(values, tuple[kind, ...], path)
            return ()
        found = [self.read(value, kind, (*path, index)) for index, value in enumerate(values)]
        return tuple(item for item in found if item is not None)

    def finish(self) -> None:
        """Raises PlanProblem if there is any."""
        if self.findings:
            raise PlanProblem(*self.findings)


def near(word: str, names: Iterable[str]) -> str:
    """The name that may have been meant, or all of them."""
    choices = sorted(names)
    found = difflib.get_close_matches(word, choices, n=1)
    return f"; did you mean `{found[0]}`?" if found else "; choices: " + ", ".join(f"`{name}`" for name in choices)


def _finding(problem: str, value: object, kind: Any, path: Path) -> Finding:
    found = _PLACE.search(problem)
    inner: Path = ()
    if found is not None:
        problem = problem[: found.start()]
        steps = [step for step in _STEP.finditer(found["place"]) if step["index"] != "..."]
        inner = tuple(step["name"] or int(step["index"]) for step in steps)
    unknown = _UNKNOWN.match(problem)
    if unknown is not None:
        fields = [field.encode_name for struct in _structs(_type_at(kind, value, inner)) for field in struct.fields]
        name = unknown["name"]
        return Finding((*path, *inner, name), f"there is no such field{near(name, fields)}", is_name=True)
    if _INVALID.match(problem):
        given = _value_at(value, inner)
        problem = f"there is no {given!r}{near(str(given), _choices(kind, value, inner))}"
    return Finding((*path, *inner), problem)


def _choices(kind: Any, value: object, path: Path) -> list[str]:
    """What may stand at a path: the words of a literal or an enumeration, or the tags of a union."""
    types = _plain(_type_at(kind, value, path[:-1]))
    tags = [str(struct.tag) for struct in _structs(types) if struct.tag_field == path[-1]]
    if tags:
        return tags
    words: list[str] = []
    for one in _plain(_type_at(kind, value, path)):
        if isinstance(one, inspect.LiteralType):
            words += map(str, one.values)
        elif isinstance(one, inspect.EnumType):
            words += [str(member.value) for member in one.cls]
    return words


def _type_at(kind: Any, value: object, path: Path) -> Sequence[inspect.Type]:
    """The types that a value at a path may have, with the values on the way saying which of a union it is."""
    types: Sequence[inspect.Type] = _plain((inspect.type_info(kind),))
    for step in path:
        further: list[inspect.Type] = []
        for one in types:
            if isinstance(one, inspect.StructType):
                is_meant = one.tag_field is None or not isinstance(value, dict) or value.get(one.tag_field) == one.tag
                further += [field.type for field in one.fields if is_meant and field.encode_name == step]
            elif isinstance(one, inspect.VarTupleType):
                further.append(one.item_type)
        types = _plain(further)
        value = _value_at(value, (step,))
    structs = [one for one in _structs(types) if isinstance(value, dict) and one.tag_field is not None]
    meant = [one for one in structs if isinstance(value, dict) and value.get(str(one.tag_field)) == one.tag]
    return meant or types


def _plain(types: Iterable[inspect.Type]) -> list[inspect.Type]:
    """Unions taken apart, annotations taken off."""
    plain: list[inspect.Type] = []
    for one in types:
        if isinstance(one, inspect.Metadata):
            plain += _plain((one.type,))
        elif isinstance(one, inspect.UnionType):
            plain += _plain(one.types)
        else:
            plain.append(one)
    return plain


def _structs(types: Iterable[inspect.Type]) -> list[inspect.StructType]:
    return [one for one in types if isinstance(one, inspect.StructType)]


def _value_at(value: object, path: Path) -> object:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value
