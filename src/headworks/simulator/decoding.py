"""Request bodies into structs; what does not fit becomes the API's own 400."""

import re
from typing import TypeVar

import msgspec

from headworks.simulator.rejection import Rejection, missing, not_json

T = TypeVar("T")

ABSENT = msgspec.Raw(b"")
"""The default of fields that are carried undecoded (`Raw` knows no optional form)."""


def given(raw: msgspec.Raw) -> bytes:
    """The JSON of a carried field; empty where it is absent or null."""
    data = bytes(raw)
    return b"" if data == b"null" else data


def repeated(raw: msgspec.Raw, default: bytes) -> msgspec.Raw:
    """A carried field to be said again, on one line: an event of a stream ends at a line's end."""
    return msgspec.Raw(msgspec.json.format(given(raw) or default, indent=-1))


_EXPECTED_GOT = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")
_BOUND = re.compile(r"Expected `(?P<kind>\w+)` (?P<sign>[<>]=?) (?P<bound>\S+)")
_PLACE = re.compile(r" - at `\$\.?(?P<place>[^`]*)`$")

_NAMES = {
    "str": "a string",
    "int": "an integer",
    "float": "a decimal",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def decoded(body: bytes, kind: type[T], place: str = "") -> T:
    """`body` as a `kind`. Raises Rejection with the code and `param` of the API; `place` is where in the whole
    request `body` stands."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _explained(str(error), place) from None  # its text may quote the request
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise not_json() from None


def _explained(problem: str, outer: str) -> Rejection:
    found = _PLACE.search(problem)
    inner = found["place"].replace("[...]", "") if found else ""
    problem = problem[: found.start()] if found else problem
    place = f"{outer}.{inner}" if outer and inner and not inner.startswith("[") else outer + inner
    if lacking := _MISSING.search(problem):
        return missing(f"{place}.{lacking['field']}" if place else lacking["field"])
    if not place:
        return not_json()  # JSON, but no object
    if mismatch := _EXPECTED_GOT.search(problem):
        kinds = [_NAMES.get(kind, kind) for kind in mismatch["expected"].split(" | ") if kind != "null"]
        got = _NAMES.get(mismatch["got"], mismatch["got"])
        return Rejection(
            400,
            f"Invalid type for '{place}': expected {_listed(kinds)}, but got {got} instead.",
            code="invalid_type",
            param=place,
        )
    if bound := _BOUND.search(problem):
        is_below = bound["sign"].startswith(">")
        kind = {"int": "integer", "float": "decimal"}.get(bound["kind"], bound["kind"])
        return Rejection(
            400,
            f"Invalid '{place}': {kind} {'below minimum' if is_below else 'above maximum'} value. "
            f"Expected a value {bound['sign']} {bound['bound']}.",
            code=f"{kind}_{'below_min' if is_below else 'above_max'}_value",
            param=place,
        )
    return Rejection(400, f"Invalid value for '{place}'.", code="invalid_value", param=place)


def _listed(kinds: list[str]) -> str:
    return kinds[0] if len(kinds) == 1 else f"one of {', '.join(kinds[:-1])} or {kinds[-1]}"
