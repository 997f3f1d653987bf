"""What another gateway's file says, as values that know their line: YAML and JSON by nodes, TOML by a search for keys.

A number keeps the text that it stood as, so that prices stay exact. YAML is read as those gateways read it, by the
rules of YAML 1.1 for truth values (`yes`, `on`), and a second key of a mapping is told as a fault.
"""

import re
import tomllib
from collections.abc import Mapping as ReadOnly
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headworks.config import read_text
from headworks.config.document import Fault, Mapping, Node, Scalar, read
from headworks.errors import ConfigError, Problem

Step = str | int
Place = tuple[Step, ...]
"""Where a value stands: keys, and indices from 0."""

_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_NUMBER = r"[-+]?(\d[\d_]*)?(\.\d+)?\d*([eE][-+]?\d+)?"
_LEADING_TABS = r"(?m)^[\t ]*\t"
_BARE = r"[A-Za-z0-9_-]+"
_KEY = rf"({_BARE}|\"[^\"\n]*\"|'[^'\n]*')"
_DOTTED = rf"{_KEY}(\s*\.\s*{_KEY})*"


class Value(msgspec.Struct, frozen=True):
    """One value of the file.

    Attributes:
        line: counted from 1.
        text: a scalar as text, None for nothing and for collections.
        is_text: whether a scalar can be nothing but text: it stood in quotes.
        fields: the entries of a mapping; None if it is none.
        items: the items of a list; None if it is none.
    """

    line: int
    text: str | None = None
    is_text: bool = False
    fields: dict[str, "Value"] | None = None
    items: tuple["Value", ...] | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether nothing lies below it: a scalar, nothing, or an empty collection."""
        return not self.fields and not self.items

    @property
    def number(self) -> float | None:
        """The scalar as a number; None if it is none. Text that reads as a number counts, as environments give it."""
        if self.text is None or not re.fullmatch(_NUMBER, self.text) or not any(c.isdigit() for c in self.text):
            return None
        return float(self.text.replace("_", ""))

    @property
    def truth(self) -> bool | None:
        """The scalar as a truth value; None if it is none."""
        folded = (self.text or "").lower()
        return True if folded in _TRUE else False if folded in _FALSE else None

    def get(self, name: str) -> "Value | None":
        """The entry of a mapping; None where there is none."""
        return None if self.fields is None else self.fields.get(name)

    def texts(self) -> list[str]:
        """The texts of a list, or of a single scalar; what is no text is left out."""
        values = self.items if self.items is not None else (self,)
        return [value.text for value in values if value.text is not None]


class Source(msgspec.Struct, frozen=True):
    """A file that was read: its values, and lines with something wrong that did not keep the rest from being read."""

    root: Value
    faults: tuple[tuple[int, str], ...] = ()
    name: str = ""

    def at(self, place: Place) -> Value | None:
        """The value at a place; None where there is none."""
        value: Value | None = self.root
        for step in place:
            if value is None:
                return None
            if isinstance(step, str):
                value = value.get(step)
            else:
                value = value.items[step] if value.items is not None and step < len(value.items) else None
        return value

    def line(self, place: Place) -> int:
        """The line of what stands at a place, or of the nearest thing around it."""
        value = self.at(place)
        return value.line if value is not None else self.line(place[:-1])


def read_yaml(path: Path) -> Source:
    """A YAML or JSON file as values.

    Raises:
        ConfigError: it cannot be read, or its top is not a mapping.
    """
    text = read_text(path)
    if text.lstrip().startswith("{"):
        text = re.sub(_LEADING_TABS, lambda found: " " * len(found[0]), text)  # JSON may be indented by tabs
    try:
        document = read(text)
    except Fault as fault:
        line, column = (fault.mark.line, fault.mark.column) if fault.mark else (0, 0)
        raise ConfigError(Problem(str(path), line, column, fault.message)) from None
    root = _value(document.root)
    if root.fields is None:
        raise ConfigError(Problem(str(path), root.line, 1, "expected a mapping at the top of the file"))
    return Source(root, tuple((mark.line, message) for mark, message in document.faults), path.name)


def read_toml(path: Path) -> Source:
    """A TOML file as values.

    Raises:
        ConfigError: it cannot be read.
    """
    text = read_text(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (0, 0)
        # Its own words may quote what stands there, and that may be a secret.
        raise ConfigError(Problem(str(path), line, column, "not valid TOML from here on")) from None
    return Source(_from_plain(table, (), _toml_lines(text), 1), name=path.name)


def _value(node: Node) -> Value:
    line = node.mark.line
    if isinstance(node, Scalar):
        is_nothing = node.is_plain and node.text.lower() in ("", "~", "null")
        return Value(line, None if is_nothing else node.text, is_text=not node.is_plain)
    if isinstance(node, Mapping):
        # A key's own line, and not that of a value which may begin further down.
        fields = {key.text: msgspec.structs.replace(_value(value), line=key.mark.line) for key, value in node.entries}
        return Value(line, fields=fields)
    return Value(line, items=tuple(_value(item) for item in node.items))


def _from_plain(plain: object, place: Place, lines: ReadOnly[Place, int], line: int) -> Value:
    line = lines.get(place, line)
    if isinstance(plain, dict):
        return Value(line, fields={key: _from_plain(one, (*place, key), lines, line) for key, one in plain.items()})
    if isinstance(plain, list):
        return Value(
            line, items=tuple(_from_plain(one, (*place, index), lines, line) for index, one in enumerate(plain))
        )
    text = str(plain).lower() if isinstance(plain, bool) else str(plain)
    return Value(line, text, is_text=isinstance(plain, str))


def _toml_lines(text: str) -> dict[Place, int]:
    """The lines of the keys of a valid TOML text. What lies in an inline table or a list has the line of its key."""
    lines: dict[Place, int] = {}
    tables: dict[Place, int] = {}  # how many of each `[[table]]` there were so far
    here: Place = ()
    for number, line in _logical_lines(text):
        if found := re.match(rf"\s*\[\[\s*({_DOTTED})\s*\]\]", line):
            name = _within(tables, _keys(found[1]))
            tables[name] = tables.get(name, -1) + 1
            here = (*name, tables[name])
        elif found := re.match(rf"\s*\[\s*({_DOTTED})\s*\]", line):
            here = _within(tables, _keys(found[1]))
        elif found := re.match(rf"\s*({_DOTTED})\s*=", line):
            place = (*here, *_keys(found[1]))
            for length in range(len(here) + 1, len(place) + 1):
                lines.setdefault(place[:length], number)
            continue
        for length in range(1, len(here) + 1):
            lines.setdefault(here[:length], number)
    return lines


def _within(tables: ReadOnly[Place, int], keys: Sequence[str]) -> Place:
    """A table's name as a place: below the newest of each list of tables on the way."""
    place: Place = ()
    for index, key in enumerate(keys):
        place = (*place, key)
        if place in tables and index < len(keys) - 1:
            place = (*place, tables[place])
    return place


def _keys(dotted: str) -> list[str]:
    return [found[0].strip("\"'") for found in re.finditer(_KEY, dotted)]


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines outside of values that go over several: each with its number."""
    starts: list[tuple[int, str]] = []
    depth, quotes = 0, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if depth == 0 and not quotes:
            starts.append((number, line))
        is_header = depth == 0 and not quotes and re.match(r"\s*\[", line) is not None
        for found in re.finditer(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|\\.|#|[\[\]{}]', line):
            mark = found[0]
            if quotes:
                quotes = "" if mark == quotes else quotes
            elif mark in ('"""', "'''"):
                quotes = mark
            elif mark == "#":
                break
            elif not is_header and mark in "[{":
                depth += 1
            elif not is_header and mark in "]}":
                depth -= 1
    return starts
