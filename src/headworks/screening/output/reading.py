"""JSON read strictly: what two parsers could understand differently is refused.

RFC 8259 leaves open what a repeated name, a number beyond every float or half a surrogate pair means. An answer that
is checked here and read elsewhere must mean one thing, so each is a fault. Python's own extensions (NaN, Infinity) are
faults as well.
"""

import json
import math
import re
from typing import NoReturn, TypeAlias, Union

from headworks.screening.output.faults import OutputFault
from headworks.screening.output.tokens import MAX_DEPTH
from headworks.screening.output.walk import Walk

JsonValue: TypeAlias = Union[bool, int, float, str, list["JsonValue"], dict[str, "JsonValue"], None]  # noqa: UP007 - read at run time

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_OUT_OF_RANGE = OutputFault("", "number-out-of-range", "holds a number beyond the range of a 64-bit float")
_NOT_UNICODE = OutputFault("", "not-unicode", "holds half a surrogate pair or bytes that are not UTF-8")


class _Refused(Exception):
    """A hook's way out of the scanner, to be looked into by a walk."""


class _OutOfRange(Exception):
    """The same, where there is nothing to look into."""


def read_json(text: str | bytes, known_names: frozenset[str] = frozenset()) -> JsonValue | OutputFault:
    """The value of a JSON text, or what is wrong with the text.

    Arguments:
        text: UTF-8 where it is bytes.
        known_names: property names that a fault's pointer may show.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            return _NOT_UNICODE
    try:
        value: JsonValue = _DECODER.decode(text)
    except _OutOfRange:
        return _OUT_OF_RANGE
    except (_Refused, RecursionError, json.JSONDecodeError):
        return Walk(known_names=known_names).read(text) or incomplete(text)
    except ValueError:  # more digits than Python turns into an integer
        return _OUT_OF_RANGE
    # Deep nesting needs many brackets, so that few answers are walked through.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_too_deep(value):
        return Walk(known_names=known_names).read(text) or incomplete(text)
    return _NOT_UNICODE if _has_lone_surrogate(text, value) else value


def incomplete(text: str) -> OutputFault:
    """The fault of a text that ends too early."""
    return OutputFault("", "incomplete", f"ends after {len(text)} characters, before the JSON value does")


def _pairs(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Refused
    return made


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _OutOfRange
    return value


def _constant(_name: str) -> NoReturn:
    raise _Refused


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_float, parse_constant=_constant)


def _is_too_deep(value: JsonValue) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [each for each in level if isinstance(each, dict | list)]
        if not containers:
            return False
        level = [each for one in containers for each in (one.values() if isinstance(one, dict) else one)]
    return True


def _has_lone_surrogate(text: str, value: JsonValue) -> bool:
    try:
        if not text.isascii():
            text.encode()
        if "\\" in text and _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
