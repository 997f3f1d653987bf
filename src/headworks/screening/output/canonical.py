"""JSON in one canonical spelling, so that what means the same hashes the same and nothing else does."""

import json
from collections.abc import Iterator

from headworks.errors import CommandError
from headworks.screening.output.faults import OutputFault
from headworks.screening.output.reading import read_json


class _Number(str):
    """A number as it was written. Turned into a float, two different numbers could become one."""

    __slots__ = ()


def canonical_json(text: str | bytes, *, sorts_keys: bool) -> str:
    """The same JSON without white space, its strings spelled in one way, its numbers as they were written.

    Arguments:
        sorts_keys: whether the order of an object's properties means nothing.

    Raises:
        CommandError: it is not JSON as we read it strictly; says where.
    """
    fault = read_json(text)
    if isinstance(fault, OutputFault):
        raise CommandError(f"the text {fault.message}")
    decoded = text.decode() if isinstance(text, bytes) else text
    value: object = json.loads(decoded, parse_float=_Number, parse_int=_Number)
    return "".join(_pieces(value, sorts_keys=sorts_keys))


def _pieces(value: object, *, sorts_keys: bool) -> Iterator[str]:
    if isinstance(value, dict):
        names = sorted(value) if sorts_keys else list(value)
        for number, name in enumerate(names):
            yield f"{',' if number else '{'}{_text(name)}:"
            yield from _pieces(value[name], sorts_keys=sorts_keys)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield "," if number else "["
            yield from _pieces(item, sorts_keys=sorts_keys)
        yield "]" if value else "[]"
    elif isinstance(value, _Number):
        yield str(value)
    else:
        yield _text(value)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
