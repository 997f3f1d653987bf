"""YAML text to a tree of nodes that know their line and column.

Read from events, not with PyYAML's own composer: nesting, size and aliases stay bounded, duplicate keys are seen,
and a plain scalar is judged by the type that its field wants, by the rules of YAML 1.2 (which editors apply too):
`no` and `on` are text, `010` is ten.
"""

import re
from typing import Protocol, TypeAlias

import msgspec
import yaml
from yaml.reader import Reader

MAX_BYTES = 1_048_576
"""Size of a file; a gateway with a thousand providers needs a third of it."""

MAX_NODES = 100_000
"""Nodes of a file after aliases are expanded: what an alias bomb runs into."""

MAX_DEPTH = 64
"""Nesting; the format itself needs 5."""

_UNPRINTABLE = Reader.NON_PRINTABLE  # compiled already; our own would cost a start 3 ms
_QUOTED = r"'(?!<)[^' ]{2,}'"
_TAG = "tag:yaml.org,2002:"


class Mark(msgspec.Struct, frozen=True):
    """A place in the text, counted from 1."""

    line: int
    column: int


class Scalar(msgspec.Struct, frozen=True):
    """Text; `is_plain` when it stood without quotes, so that it may be a number, a truth value or null."""

    mark: Mark
    text: str
    is_plain: bool


class Sequence(msgspec.Struct, frozen=True):
    mark: Mark
    items: tuple["Node", ...]


class Mapping(msgspec.Struct, frozen=True):
    """Keys are unique; merged ones (`<<`) stand after the mapping's own."""

    mark: Mark
    entries: tuple[tuple[Scalar, "Node"], ...]

    def get(self, name: str) -> "Node | None":
        """The value under this key."""
        return next((value for key, value in self.entries if key.text == name), None)


Node: TypeAlias = Scalar | Sequence | Mapping


class Fault(Exception):
    """The text is not usable YAML. `mark` is None when the whole of it is meant."""

    def __init__(self, message: str, mark: Mark | None) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark


class Document(msgspec.Struct, frozen=True):
    """The tree, and what was wrong in it that did not keep the rest from being read."""

    root: Node
    faults: tuple[tuple[Mark, str], ...]


def read(text: str) -> Document:
    """The tree of a YAML text with one document; an empty text is an empty mapping.

    Raises:
        Fault: not YAML, or beyond the bounds of this module.
    """
    if unprintable := _UNPRINTABLE.search(text):
        raise Fault(
            f"character U+{ord(unprintable[0]):04X} is not allowed in YAML", _mark_at(text, unprintable.start())
        )
    builder = _Builder()
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = loader_class(text)
    try:
        while (event := loader.get_event()) is not None:
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise Fault(_problem(error), _mark_of(error.problem_mark or error.context_mark)) from None
    finally:
        loader.dispose()
    root = builder.root if builder.root is not None else Mapping(Mark(1, 1), ())
    return Document(root, tuple(builder.faults))


class _Open:
    """A collection whose end has not come yet."""

    __slots__ = ("anchor", "children", "is_mapping", "mark", "size")

    def __init__(self, mark: Mark, anchor: str | None, *, is_mapping: bool) -> None:
        self.mark = mark
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.children: list[Node] = []
        self.size = 1


class _Builder:
    """Events in, tree out. The mutable state is the stack of open collections and the anchors seen."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.faults: list[tuple[Mark, str]] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}  # None: begun, not ended
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise Fault("a second document begins here: one file holds one", _mark_of(event.start_mark))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        mark = _mark_of(event.start_mark)
        is_plain = not event.style and event.tag is None  # the C parser says "", the other one None
        if event.tag is not None and event.tag not in ("!", _TAG + "str"):
            self._refuse_tag(mark)
        self._add(Scalar(mark, event.value, is_plain), 1, event.anchor)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        mark = _mark_of(event.start_mark)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag is not None and event.tag not in ("!", _TAG + ("map" if is_mapping else "seq")):
            self._refuse_tag(mark)
        if len(self._open) >= MAX_DEPTH:
            raise Fault(f"nested deeper than {MAX_DEPTH} levels", mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open(mark, event.anchor, is_mapping=is_mapping))

    def _end(self) -> None:
        done = self._open.pop()
        node: Node = self._mapping(done) if done.is_mapping else Sequence(done.mark, tuple(done.children))
        self._add(node, done.size, done.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        mark = _mark_of(event.start_mark)
        if event.anchor not in self._anchors:
            raise Fault("an alias to an anchor that does not exist above", mark)
        target = self._anchors[event.anchor]
        if target is None:
            raise Fault("an alias inside of what it stands for", mark)
        self._add(target[0], target[1], None, mark)

    def _add(self, node: Node, size: int, anchor: str | None, mark: Mark | None = None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.children.append(node)
        parent.size += size
        if parent.size > MAX_NODES:
            raise Fault(f"more than {MAX_NODES} values once aliases are expanded", mark or node.mark)

    def _refuse_tag(self, mark: Mark) -> None:
        self.faults.append((mark, "tags (`!...`) have no meaning here: remove it"))

    def _mapping(self, done: _Open) -> Mapping:
        own: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Node] = []
        for key, written in zip(done.children[::2], done.children[1::2], strict=True):
            value = written
            if isinstance(value, Scalar) and value.is_plain and not value.text:
                value = Scalar(key.mark, "", is_plain=True)  # nothing has no place of its own
            if not isinstance(key, Scalar):
                self.faults.append((key.mark, "a key must be text"))
            elif key.is_plain and key.text == "<<":
                merged.extend(value.items if isinstance(value, Sequence) else (value,))
            elif key.text in own:
                first = own[key.text][0].mark
                self.faults.append((key.mark, f"this key stands here a second time; the first is on line {first.line}"))
            else:
                own[key.text] = (key, value)
        for source in merged:
            if not isinstance(source, Mapping):
                self.faults.append((source.mark, "only mappings can be merged with `<<`"))
                continue
            for key, value in source.entries:
                own.setdefault(key.text, (key, value))
        return Mapping(done.mark, tuple(own.values()))


class _YamlMark(Protocol):
    """What PyYAML's two parsers give as a place; counts from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def _mark_of(mark: _YamlMark | None) -> Mark:
    return Mark(1, 1) if mark is None else Mark(mark.line + 1, mark.column + 1)


def _mark_at(text: str, offset: int) -> Mark:
    before = text[:offset]
    return Mark(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _problem(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words without what it quotes from the text, which may be a secret."""
    words = error.problem or "cannot be read"
    context = f" ({error.context})" if error.context else ""
    return "not valid YAML: " + re.sub(_QUOTED, "this", f"{words}{context}")
