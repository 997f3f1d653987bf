"""How an answer is compared with a recorded one: by its shape, not by what it says.

A record is an answer in JSON, as its API documents it. Of what is found, everything must be there that the record has,
of the same type; what the record has not, may be there. Texts and numbers that are above zero (or not empty) in the
record are so in what is found. In a record

    "type", "object", "role"    are the same in both
    null                        may be missing, or be anything
    "name?"                     may be missing or null; if it is there, it has this shape
    "name="                     has this value
    "name|"                     has one of these shapes
    {"?": true, ...}            in a list: need not occur

A list has each kind of element that the record has; each of its elements fits one of the record's, unless the record
knows none of its `type`: APIs get new kinds of items every month.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

_SAME = frozenset({"type", "object", "role"})
_MAYBE = "?"
_EXACT = "="
_EITHER = "|"
_MARKS = _MAYBE + _EXACT + _EITHER


def differences(recorded: object, found: object, place: str = "") -> list[str]:
    """What of the record is not in what was found: "PLACE: what is wrong", quoting nothing of what was found."""
    return list(_differences(recorded, found, place))


def sample(recorded: Any) -> Any:
    """The recorded answer as it was sent: the marks are taken away."""
    if isinstance(recorded, dict):
        return {
            name.rstrip(_MARKS): sample(value[0] if name.endswith(_EITHER) else value)
            for name, value in recorded.items()
            if name != _MAYBE
        }
    return [sample(one) for one in recorded] if isinstance(recorded, list) else recorded


def _differences(recorded: object, found: object, place: str) -> Iterator[str]:
    if recorded is None:
        return
    if isinstance(recorded, Mapping):
        if not isinstance(found, Mapping):
            yield f"{place or 'it'}: is no object"
            return
        yield from _of_objects(recorded, found, place)
    elif isinstance(recorded, list):
        if not isinstance(found, list):
            yield f"{place or 'it'}: is no list"
            return
        yield from _of_lists(recorded, found, place)
    else:
        said = _of_values(recorded, found)
        if said:
            yield f"{place or 'it'}: {said}"


def _of_objects(recorded: Mapping[str, object], found: Mapping[str, object], place: str) -> Iterator[str]:
    for marked, value in recorded.items():
        if marked == _MAYBE or value is None:
            continue
        name = marked.rstrip(_MARKS)
        at = f"{place}.{name}" if place else name
        there = found.get(name)
        if marked.endswith(_MAYBE) and there is None:
            continue
        if name not in found:
            yield f"{at}: is missing"
        elif marked.endswith(_EXACT) or (name in _SAME and isinstance(value, str)):
            if there != value:
                yield f"{at}: is not {value!r}"
        elif marked.endswith(_EITHER) and isinstance(value, list):
            told = [differences(each, there, at) for each in value]
            if all(told):
                yield from min(told, key=len)
        else:
            yield from _differences(value, there, at)


def _of_lists(recorded: Sequence[object], found: Sequence[object], place: str) -> Iterator[str]:
    if not recorded:
        return
    misfits: set[str | None] = set()
    for number, one in enumerate(found):
        told = [differences(each, one, f"{place}[{_label(one, number)}]") for each in _candidates(recorded, one)]
        if told and all(told):
            misfits.add(_kind(one))
            yield from min(told, key=len)
    for each in recorded:
        if isinstance(each, Mapping) and each.get(_MAYBE):
            continue
        is_told_of = _kind(each) is not None and _kind(each) in misfits
        if not is_told_of and not any(not differences(each, one) for one in found):
            yield f"{place or 'it'}: has no element {_words(each)}"


def _candidates(recorded: Sequence[object], found: object) -> list[object]:
    """The elements of the record that this one may be like."""
    kind = _kind(found)
    if kind is None or all(_kind(one) is None for one in recorded):
        return list(recorded)
    return [one for one in recorded if _kind(one) == kind]


def _kind(value: object) -> str | None:
    kind = value.get("type") if isinstance(value, Mapping) else None
    return kind if isinstance(kind, str) else None


def _label(found: object, number: int) -> str:
    kind = _kind(found)
    return str(number) if kind is None or not kind.replace("_", "").replace(".", "").isalnum() else f"{number}, {kind}"


def _words(recorded: object) -> str:
    kind = _kind(recorded)
    exact = ", ".join(_exact(recorded))
    if kind is not None:
        return f"of type {kind}{exact and ' with '}{exact}"
    names = [name.rstrip(_MARKS) for name in recorded] if isinstance(recorded, Mapping) else []
    if exact or names:
        return f"with {exact or ', '.join(names)}"
    return "of the record's kind"


def _exact(recorded: object, place: str = "") -> Iterator[str]:
    """The values that are the same in both, with their places."""
    if isinstance(recorded, Mapping):
        for marked, value in recorded.items():
            name = marked.rstrip(_MARKS)
            at = f"{place}.{name}" if place else name
            if marked.endswith(_EXACT):
                yield f"{at} {value!r}"
            else:
                yield from _exact(value, at)
    elif isinstance(recorded, list):
        for one in recorded:
            yield from _exact(one, place)


def _of_values(recorded: object, found: object) -> str:
    if isinstance(recorded, bool):
        return "" if isinstance(found, bool) else "is neither true nor false"
    if isinstance(recorded, str):
        if not isinstance(found, str):
            return "is no text"
        return "is empty" if recorded and not found else ""
    if not _is_number(found) or (isinstance(recorded, int) and found != int(found)):
        return "is no whole number" if isinstance(recorded, int) else "is no number"
    return "is not above zero" if isinstance(recorded, int) and recorded > 0 >= found else ""


def _is_number(found: object) -> TypeGuard[int | float]:
    return isinstance(found, int | float) and not isinstance(found, bool)
