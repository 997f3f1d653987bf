"""The values of one call, held to what the prompt declares.

What comes out is plain: exact `str`, `int`, `float`, `bool`, `None`, `list` and `dict`, so that nothing a template
touches has behaviour of its own. No message quotes a value.
"""

import json
import math
import re
from collections.abc import Callable, Mapping

import msgspec

from headworks.config.secrets import looks_like_secret
from headworks.config.walk import nearest
from headworks.errors import Refusal
from headworks.prompts.shape import VARIABLE_NAME, Variable

MAX_DEPTH = 32
"""Nesting of a list or an object."""

_INTEGERS = range(-(2**63), 2**63)
"""What every JSON reader and database takes; beyond it, writing a number out may take unbounded time."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, allow_nan=False)


class Unfit(Exception):
    """A value does not fit its variable; the message says how, without the value."""


def as_json(value: object) -> str:
    """The one JSON text of a value: keys are sorted, so that equal values give equal bytes."""
    return _ENCODER.encode(value)


def fill(declared: Mapping[str, Variable], values: Mapping[str, object], prompt: str) -> dict[str, object]:
    """Every declared variable with its value or default.

    Arguments:
        declared: the prompt's variables.
        values: what the call gives.
        prompt: the prompt's name, for messages.

    Raises:
        Refusal: names every variable that is missing, unknown or unfit; code and `param` are those of the first.
    """
    filled: dict[str, object] = {}
    faults: list[tuple[str, str, str]] = []
    given = 0
    for name, variable in declared.items():
        if name in values:
            given += 1
            try:
                filled[name] = _CHECKS[variable.type](variable, values[name])
            except Unfit as unfit:
                faults.append(("invalid_prompt_variable", name, f"`{name}`: {unfit}"))
        elif variable.is_required:
            faults.append(("missing_prompt_variable", name, f"`{name}` is missing"))
        else:
            filled[name] = variable.default
    if given != len(values):
        faults.extend(_unknown(name, declared) for name in sorted(map(str, values.keys() - declared.keys())))
    if faults:
        raise refusal(prompt, faults)
    return filled


def refusal(prompt: str, faults: list[tuple[str, str, str]]) -> Refusal:
    """The error for faults, each a code, a variable's name and what is wrong."""
    code, name, _ = faults[0]
    listed = "; ".join(text for _, _, text in faults)
    return Refusal(
        400, code, f"The variables do not fit the prompt `{prompt}`: {listed}.", param=f"prompt.variables.{name}"
    )


def fitted(variable: Variable, value: object) -> object:
    """The value, made plain.

    Raises:
        Unfit: it is not what the variable takes.
    """
    return _CHECKS[variable.type](variable, value)


def _unknown(name: str, declared: Mapping[str, Variable]) -> tuple[str, str, str]:
    if not re.fullmatch(VARIABLE_NAME, name) or looks_like_secret(name):
        name = "…"  # it may be anything, a value in the wrong place too
    near = nearest(name, declared)
    choices = ", ".join(f"`{known}`" for known in sorted(declared)) or "none"
    hint = f"did you mean `{near}`?" if near else f"the prompt's variables: {choices}"
    return "unknown_prompt_variable", name, f"`{name}` is not a variable of it; {hint}"


def _string(variable: Variable, value: object) -> str:
    text = _text(value)
    if len(text) > variable.max_length:
        raise Unfit(f"longer than {variable.max_length} characters")
    return text


def _enum(variable: Variable, value: object) -> str:
    text = _text(value)
    if text not in variable.values:
        raise Unfit("expected one of " + ", ".join(f"`{choice}`" for choice in variable.values))
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit(f"expected text, got {_kind(value)}")
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Unfit("holds half of a surrogate pair, which is no character") from None
    return text


def _integer(variable: Variable, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit(f"expected a whole number, got {_kind(value)}")
    number = int(value)
    if number not in _INTEGERS:
        raise Unfit("expected a whole number of at most 64 bits")
    _within(variable, number)
    return number


def _number(variable: Variable, value: object) -> int | float:
    if isinstance(value, float):
        number = float(value)
        if not math.isfinite(number):
            raise Unfit("expected a finite number")
        _within(variable, number)
        return number
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit(f"expected a number, got {_kind(value)}")
    return _integer(variable, value)


def _within(variable: Variable, number: float) -> None:
    if variable.minimum is not None and number < variable.minimum:
        raise Unfit(f"expected at least {variable.minimum:g}")
    if variable.maximum is not None and number > variable.maximum:
        raise Unfit(f"expected at most {variable.maximum:g}")


def _boolean(_: Variable, value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit(f"expected true or false, got {_kind(value)}")
    return value


def _list(variable: Variable, value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise Unfit(f"expected a list, got {_kind(value)}")
    if len(value) > variable.max_items:
        raise Unfit(f"more than {variable.max_items} items")
    check, item = _CHECKS[variable.item.type], variable.item
    made: list[object] = []
    for index, each in enumerate(value):
        try:
            made.append(check(item, each))
        except Unfit as unfit:
            raise Unfit(f"item {index}: {unfit}") from None
    _short_enough(variable, made)
    return made


def _object(variable: Variable, value: object) -> object:
    if not isinstance(value, Mapping):
        raise Unfit(f"expected an object, got {_kind(value)}")
    made = _plain(value, 0)
    _short_enough(variable, made)
    return made


def _short_enough(variable: Variable, made: object) -> None:
    if len(as_json(made)) > variable.max_length:
        raise Unfit(f"longer than {variable.max_length} characters as JSON")


def _plain(value: object, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise Unfit(f"nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(_UNBOUNDED, value)
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    raise Unfit("holds something that is not JSON")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    for kind, word in ((str, "text"), (bool, "a truth value"), (int, "a whole number"), (float, "a number")):
        if isinstance(value, kind):
            return word
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, Mapping | msgspec.Struct) else "something that is not JSON"


_UNBOUNDED = Variable(type="number")
_CHECKS: dict[str, Callable[[Variable, object], object]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "enum": _enum,
    "list": _list,
    "object": _object,
}
