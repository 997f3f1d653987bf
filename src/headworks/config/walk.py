"""From a tree of YAML nodes to a frozen struct, driven by the struct's own types; every problem is collected.

A field that is wrong takes its default, so that the rest is still judged; the caller fails at the end if there was
any problem. No message quotes a value from the file: its line and column are given, and it may be a secret.
"""

import functools
import math
import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as ReadOnly
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
from msgspec import inspect

from headworks.config.document import Mapping, Mark, Node, Scalar, Sequence
from headworks.config.forms import FORMS, Unfit
from headworks.config.secrets import looks_like_secret

Path = tuple[str | int, ...]
"""Where a value is: field names, keys and positions from the root."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_FIELD_LIKE = r"[A-Za-z][A-Za-z0-9_-]{0,40}"


class _Wrong:
    """What a node that could not be read stands for."""


WRONG: Final = _Wrong()


class Findings:
    """What was read so far: the place of every value, and the problems."""

    def __init__(self) -> None:
        self.problems: list[tuple[Mark, str]] = []
        self.places: dict[Path, Mark] = {}
        self._faulty: set[Path] = set()

    def add(self, path: Path, message: str, mark: Mark | None = None) -> None:
        """Note a problem with the value at `path`, at `mark` or where the value stands."""
        where = shown(path)
        self._faulty.add(path)
        self.problems.append((mark or self.place(path), f"{where}: {message}" if where else message))

    def add_unless_faulty(self, path: Path, message: str) -> None:
        """Note a problem, unless the value at `path` has one already: the second would follow from the first."""
        if path not in self._faulty:
            self.add(path, message)

    def is_set(self, path: Path) -> bool:
        """Whether the file says something here, rightly or wrongly."""
        return path in self.places

    def place(self, path: Path) -> Mark:
        """The place of a value, or of the nearest thing around it."""
        return nearest_mark(self.places, path)


def nearest_mark(places: ReadOnly[Path, Mark], path: Path) -> Mark:
    """The place of a value among `places`, or of the nearest thing around it."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path, Mark(1, 1))


def shown(path: Path) -> str:
    """A path as `providers.openai.speaks[2]`. A key that may be a secret is left out."""
    parts = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            parts.append(
                "." + (step if step.isprintable() and len(step) <= 128 and not looks_like_secret(step) else "…")
            )
    return "".join(parts).removeprefix(".")


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name most like the word, where one is like enough to be meant."""
    import difflib  # only a file with a problem needs it

    by_folded = {name.casefold().replace("-", "_"): name for name in names}
    found = difflib.get_close_matches(word.casefold().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def suggestion(word: str, names: Iterable[str]) -> str:
    """`; did you mean …?`, or the choices where none is near."""
    choices = sorted(names)
    name = nearest(word, choices)
    if name is not None:
        return f"; did you mean `{name}`?"
    return f"; choices: {', '.join(f'`{choice}`' for choice in choices)}" if 0 < len(choices) <= 16 else ""


class Bounds(msgspec.Struct, frozen=True):
    """What a type's annotations add to it."""

    form: Callable[[str], str] | None = None
    expected: str = ""


NO_BOUNDS = Bounds()


class Walker:
    """Reads nodes as types, and has every struct that it makes judged. The findings are its only state."""

    def __init__(self, findings: Findings, judge: Callable[[msgspec.Struct, Path], None]) -> None:
        self._findings = findings
        self._judge = judge

    def read(self, node: Node, wanted: inspect.Type, path: Path = (), bounds: Bounds = NO_BOUNDS) -> Any:
        """The node's value as the wanted type, or `WRONG` after the problem has been noted."""
        self._findings.places.setdefault(path, node.mark)
        match wanted:
            case inspect.Metadata():
                return self.read(node, wanted.type, path, _bounds(wanted.extra) if wanted.extra else bounds)
            case inspect.UnionType():
                return self._optional(node, wanted, path, bounds)
            case inspect.StructType():
                return self._struct(node, wanted, path)
            case inspect.DictType():
                return self._dict(node, wanted, path)
            case inspect.VarTupleType():
                return self._tuple(node, wanted, path)
            case inspect.LiteralType():
                return self._literal(node, wanted, path)
            case inspect.StrType():
                return self._str(node, wanted, path, bounds)
            case inspect.BoolType():
                return self._bool(node, path)
            case inspect.IntType() | inspect.FloatType():
                return self._number(node, wanted, path)
            case inspect.DecimalType():
                return self._decimal(node, path, bounds)
            case inspect.CustomType() if wanted.cls is object:
                return self._anything(node, path)
        raise AssertionError(f"no reader for {type(wanted).__name__}")

    def _wrong(self, path: Path, message: str, node: Node) -> _Wrong:
        self._findings.add(path, message, node.mark)
        return WRONG

    def _optional(self, node: Node, wanted: inspect.UnionType, path: Path, bounds: Bounds) -> Any:
        if _kind(node) == "nothing":
            return None
        (inner,) = (kind for kind in wanted.types if not isinstance(kind, inspect.NoneType))
        return self.read(node, inner, path, bounds)

    def _struct(self, node: Node, wanted: inspect.StructType, path: Path) -> Any:
        short_form = getattr(wanted.cls, "from_text", None)
        if short_form is not None and isinstance(node, Scalar) and _kind(node) == "text":
            return self._short_form(node, short_form, path)
        entries = self._entries(node, path)
        if entries is None:
            return WRONG
        fields = {field.encode_name: field for field in wanted.fields}
        values: dict[str, Any] = {}
        for key, value in entries:
            field = fields.get(key.text)
            if field is None:
                self._unknown(key, fields, path)
                continue
            here = (*path, key.text)
            self._findings.places[here] = key.mark if isinstance(value, Mapping) else value.mark
            found = self.read(value, field.type, here)
            if found is not WRONG:
                values[field.name] = found
        given = {key.text for key, _ in entries}
        is_whole = True
        for name, field in fields.items():
            if field.required and field.name not in values:
                is_whole = False
                if name not in given:
                    self._findings.add((*path, name), "is missing", self._findings.place(path))
        if not is_whole:
            return WRONG
        struct: msgspec.Struct = wanted.cls(**values)
        self._judge(struct, path)
        return struct

    def _short_form(self, node: Scalar, make: Callable[[str], msgspec.Struct], path: Path) -> Any:
        self._findings.places[path] = node.mark
        try:
            struct = make(node.text)
        except ValueError as error:
            return self._wrong(path, str(error), node)
        self._judge(struct, path)
        return struct

    def _unknown(self, key: Scalar, fields: Iterable[str], path: Path) -> None:
        name = f"`{key.text}`" if re.fullmatch(_FIELD_LIKE, key.text) and not looks_like_secret(key.text) else "this"
        self._findings.add(path, f"{name} is not a field{suggestion(key.text, fields)}", key.mark)

    def _dict(self, node: Node, wanted: inspect.DictType, path: Path) -> Any:
        entries = self._entries(node, path)
        if entries is None:
            return WRONG
        values: dict[str, Any] = {}
        for key, value in entries:
            here = (*path, key.text)
            self._findings.places[here] = key.mark
            name = self.read(Scalar(key.mark, key.text, is_plain=False), wanted.key_type, here)
            found = self.read(value, wanted.value_type, here)
            if name is WRONG:
                continue
            if name in values:
                self._findings.add(here, "is the same as an earlier name", key.mark)
            elif found is not WRONG:
                values[name] = found
        if not entries and wanted.min_length:
            return self._wrong(path, "must not be empty", node)
        return values

    def _entries(self, node: Node, path: Path) -> tuple[tuple[Scalar, Node], ...] | None:
        """The entries of a mapping; nothing at all (`server:` and no more) is an empty one."""
        if isinstance(node, Mapping):
            return node.entries
        if _kind(node) == "nothing":
            return ()
        self._wrong(path, f"expected a mapping (`name: value` lines), got {_kind(node)}", node)
        return None

    def _tuple(self, node: Node, wanted: inspect.VarTupleType, path: Path) -> Any:
        if not isinstance(node, Sequence):
            return self._wrong(path, f"expected a list, got {_kind(node)}", node)
        if len(node.items) < (wanted.min_length or 0):
            return self._wrong(path, "must not be empty", node)
        values = [self.read(item, wanted.item_type, (*path, index)) for index, item in enumerate(node.items)]
        for index, value in enumerate(values):
            if value is not WRONG and value in values[:index]:
                self._findings.add((*path, index), "stands in this list a second time")
        return WRONG if WRONG in values else tuple(values)

    def _literal(self, node: Node, wanted: inspect.LiteralType, path: Path) -> Any:
        by_text = {str(value): value for value in wanted.values}
        if not isinstance(node, Scalar):
            return self._wrong(path, f"expected {_choices(by_text)}, got {_kind(node)}", node)
        is_text_wanted = all(isinstance(value, str) for value in wanted.values)
        if node.text in by_text and (is_text_wanted or node.is_plain):
            return by_text[node.text]
        near = nearest(node.text, by_text)
        hint = f"; did you mean `{near}`?" if near is not None and len(by_text) > 1 else ""
        return self._wrong(path, f"expected {_choices(by_text)}{hint}", node)

    def _str(self, node: Node, wanted: inspect.StrType, path: Path, bounds: Bounds) -> Any:
        if not isinstance(node, Scalar):
            return self._wrong(path, f"expected {bounds.expected or 'text'}, got {_kind(node)}", node)
        kind = _kind(node)
        if kind == "nothing":
            return self._wrong(path, f"expected {bounds.expected or 'text'}, got nothing", node)
        if kind != "text":
            return self._wrong(path, f"expected text, got {kind}: put it in quotes", node)
        text = node.text
        if bounds.form is not None:
            try:
                text = bounds.form(text)
            except Unfit as unfit:
                return self._wrong(path, str(unfit), node)
        if len(text) < (wanted.min_length or 0):
            return self._wrong(path, "must not be empty", node)
        if wanted.max_length is not None and len(text) > wanted.max_length:
            return self._wrong(path, f"expected at most {wanted.max_length} characters", node)
        if wanted.pattern is not None and not _pattern(wanted.pattern).fullmatch(text):
            return self._wrong(path, f"expected {bounds.expected or 'text like ' + wanted.pattern}", node)
        return text

    def _bool(self, node: Node, path: Path) -> Any:
        if isinstance(node, Scalar) and node.is_plain:
            if node.text in _TRUE or node.text in _FALSE:
                return node.text in _TRUE
            if node.text.lower() in ("yes", "on", "no", "off"):
                meant = "true" if node.text.lower() in ("yes", "on") else "false"
                return self._wrong(path, f"expected `true` or `false`; did you mean `{meant}`?", node)
        return self._wrong(path, f"expected `true` or `false`, got {_kind(node)}", node)

    def _anything(self, node: Node, path: Path) -> Any:
        """The JSON value that a node is to YAML 1.2's core schema; what has no bounds of its own."""
        if isinstance(node, Mapping):
            inner = {key.text: self._anything(value, (*path, key.text)) for key, value in node.entries}
            return WRONG if WRONG in inner.values() else inner
        if isinstance(node, Sequence):
            items = [self._anything(item, (*path, index)) for index, item in enumerate(node.items)]
            return WRONG if WRONG in items else items
        match _kind(node):
            case "nothing":
                return None
            case "a truth value":
                return node.text in _TRUE
            case "a whole number":
                return int(node.text)
            case "a number":
                if node.text.lstrip("+-").isdigit():
                    return int(node.text)  # longer than a bounded field may be
                value = float(node.text)
                return value if math.isfinite(value) else self._wrong(path, "expected a smaller number", node)
            case _:
                return node.text

    def _decimal(self, node: Node, path: Path, bounds: Bounds) -> Any:
        """A number exactly as it is written: money does not go through a float."""
        kind = _kind(node)
        if not isinstance(node, Scalar) or kind not in ("a whole number", "a number"):
            hint = " in quotes: remove the quotes" if isinstance(node, Scalar) and _is_number(node.text) else ""
            return self._wrong(path, f"expected a number, got {kind}{hint if kind == 'text' else ''}", node)
        try:
            return Decimal(bounds.form(node.text) if bounds.form is not None else node.text)
        except Unfit as unfit:
            return self._wrong(path, str(unfit), node)

    def _number(self, node: Node, wanted: inspect.IntType | inspect.FloatType, path: Path) -> Any:
        is_int = isinstance(wanted, inspect.IntType)
        expected = "a whole number" if is_int else "a number"
        kind = _kind(node)
        if not isinstance(node, Scalar) or (kind != "a whole number" and (is_int or kind != "a number")):
            hint = " in quotes: remove the quotes" if isinstance(node, Scalar) and _is_number(node.text) else ""
            return self._wrong(path, f"expected {expected}, got {kind}{hint if kind == 'text' else ''}", node)
        value = int(node.text) if is_int else float(node.text)
        limits: tuple[tuple[bool, str, float | None], ...] = (
            (wanted.ge is not None and value < wanted.ge, "at least", wanted.ge),
            (wanted.gt is not None and value <= wanted.gt, "more than", wanted.gt),
            (wanted.le is not None and value > wanted.le, "at most", wanted.le),
        )
        for is_broken, words, bound in limits:
            if is_broken:
                return self._wrong(path, f"expected {words} {bound}", node)
        return value


Kind = Literal["nothing", "text", "a whole number", "a number", "a truth value", "a list", "a mapping"]


def _kind(node: Node) -> Kind:
    """What a node is to its reader, by the core schema of YAML 1.2."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if not node.is_plain:
        return "text"
    if node.text in _NULL:
        return "nothing"
    if node.text in _TRUE or node.text in _FALSE:
        return "a truth value"
    if _INT.fullmatch(node.text):
        return "a whole number"
    return "a number" if _is_number(node.text) else "text"


def _is_number(text: str) -> bool:
    return _FLOAT.fullmatch(text) is not None


def _choices(names: Iterable[str]) -> str:
    shown_names = [f"`{name}`" for name in names]
    return shown_names[0] if len(shown_names) == 1 else "one of " + ", ".join(shown_names)


def _bounds(extra: dict[str, Any]) -> Bounds:
    form = extra.get("form")
    return Bounds(form=FORMS[form] if form else None, expected=extra.get("expected", ""))


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
