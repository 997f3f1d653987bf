"""The filters of templates, and the sandbox that templates run in.

The filters are Jinja's by name and meaning, written anew: none looks at an object's attributes, none makes more text
than a message may have. Values are plain data (`variables`), and so is whatever a filter returns.
"""

import functools
import hashlib
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from jinja2 import StrictUndefined, TemplateRuntimeError, Undefined, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headworks.prompts.variables import as_json

MAX_OUTPUT = 1_048_576
"""Characters of all messages of a prompt together. Far beyond any model's context."""

MARKER = "\x00marker"
"""Where the fence's marker is in a template's context: no template can say this name."""

MARKER_FORM = re.compile(r"[0-9a-z]{8,64}")
"""Lower case, so that a search in folded text finds it however it is written; eight or more, to be unlikely."""

LOOP_FACTS = frozenset({"index", "index0", "revindex", "first", "last", "length"})

Kind = Literal["text", "number", "boolean", "none", "list", "object", "any"]
"""What an expression is known to be before any value is there; `any` is what stands inside an object."""


class Unusable(TemplateRuntimeError):
    """A filter got what it has no meaning for."""


class Argument(msgspec.Struct, frozen=True):
    """An argument of a filter: always a constant, so that its bounds hold for every call."""

    name: str
    kinds: tuple[type, ...]
    is_required: bool = False
    most: int | None = None


class Filter(msgspec.Struct, frozen=True):
    """A filter: what it takes and gives. `gives` is None when it gives what it takes."""

    function: Callable[..., object]
    takes: frozenset[Kind]
    gives: Kind | None
    arguments: tuple[Argument, ...] = ()


def shown(value: object) -> object:
    """A value as it stands in text: what is not text or a number is JSON, never Python's own form."""
    if type(value) is str:
        return value
    if value is None or isinstance(value, bool | list | dict):
        return as_json(value)
    return value  # numbers; an undefined one raises when it becomes text


def _upper(value: object) -> str:
    return _text(value).upper()


def _lower(value: object) -> str:
    return _text(value).lower()


def _trim(value: object) -> str:
    return _text(value).strip()


def _join(value: object, d: str = "") -> str:
    if not isinstance(value, list):
        raise Unusable("join")
    parts = [str(shown(part)) for part in value]
    _bounded(sum(map(len, parts)) + len(d) * len(parts))
    return d.join(parts)


def _length(value: object) -> int:
    if not isinstance(value, str | list | dict):
        raise Unusable("length")
    return len(value)


def _default(value: object, default_value: object) -> object:
    return default_value if isinstance(value, Undefined) else value


def _tojson(value: object) -> str:
    if isinstance(value, Undefined):
        raise Unusable("tojson")
    return as_json(value)


def _truncate(value: object, length: int = 255, killwords: bool = False, end: str = "...") -> str:
    text = _text(value)
    if len(text) <= length:
        return text
    cut = text[: max(0, length - len(end))]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def _round(value: object, precision: int = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("round")
    return round(float(value), precision)


def _indent(value: object, width: int = 4, first: bool = False, blank: bool = False) -> str:
    text = _text(value)
    _bounded(len(text) + width * (text.count("\n") + 1))
    pad = " " * width
    return "\n".join(
        pad + line if (line or blank) and (number or first) else line for number, line in enumerate(text.split("\n"))
    )


def _fence(context: Context, value: object) -> str:
    text = str(shown(value))
    marker = _apart(str(context.parent[MARKER]), text)
    return f"<data-{marker}>\n{text}\n</data-{marker}>"


def _apart(marker: str, text: str) -> str:
    """The marker, or the first one derived from it, that the text does not hold, however its letters are written."""
    folded = text.casefold()
    made, number = marker, 0
    while made in folded:
        number += 1
        made = hashlib.sha256(f"{marker}:{number}".encode()).hexdigest()[:32]
    return made


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unusable("text")
    return value


def _bounded(length: int) -> None:
    if length > MAX_OUTPUT:
        raise OverflowError


_TEXTS: frozenset[Kind] = frozenset({"text"})
_NUMBERS: frozenset[Kind] = frozenset({"number"})
_SIZED: frozenset[Kind] = frozenset({"text", "list", "object"})
_ANYTHING: frozenset[Kind] = frozenset({"text", "number", "boolean", "none", "list", "object"})

FILTERS: dict[str, Filter] = {
    "trim": Filter(_trim, _TEXTS, "text"),
    "upper": Filter(_upper, _TEXTS, "text"),
    "lower": Filter(_lower, _TEXTS, "text"),
    "join": Filter(_join, frozenset({"list"}), "text", (Argument("d", (str,)),)),
    "length": Filter(_length, _SIZED, "number"),
    "default": Filter(
        _default, _ANYTHING, None, (Argument("default_value", (str, bool, int, float), is_required=True),)
    ),
    "tojson": Filter(_tojson, _ANYTHING, "text"),
    "truncate": Filter(
        _truncate,
        _TEXTS,
        "text",
        (Argument("length", (int,), most=MAX_OUTPUT), Argument("killwords", (bool,)), Argument("end", (str,))),
    ),
    "round": Filter(_round, _NUMBERS, "number", (Argument("precision", (int,), most=10),)),
    "indent": Filter(
        _indent,
        _TEXTS,
        "text",
        (Argument("width", (int,), most=32), Argument("first", (bool,)), Argument("blank", (bool,))),
    ),
    "fence": Filter(pass_context(_fence), _ANYTHING, "text"),
}
"""Every filter there is, by name."""

TESTS = ("defined", "none")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox without anything in it: no globals, our filters, and data that has items but no attributes."""

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            autoescape=False,
            finalize=shown,
            optimized=False,
        )
        self.globals = {}
        self.filters = {name: filter_.function for name, filter_ in FILTERS.items()}
        self.tests = {name: self.tests[name] for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`order.total` is the item `total`, whatever methods the value has."""
        if isinstance(obj, LoopContext) and attribute in LOOP_FACTS:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: str | Any) -> Any:
        """The item, or the undefined; never an attribute."""
        if isinstance(obj, dict) and argument in obj:
            return obj[argument]
        if isinstance(obj, list) and isinstance(argument, int) and 0 <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=str(argument))


@functools.cache
def sandbox() -> Sandbox:
    """The one sandbox of the process; it holds no state of a prompt or a call."""
    return Sandbox()
