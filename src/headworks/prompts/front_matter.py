"""Front matter to frozen structs, with the place of every value and every problem."""

import functools
from collections.abc import Iterator

import msgspec
from msgspec import inspect

from headworks.config import document
from headworks.config.document import Fault, Mapping, Mark, Node, Scalar, Sequence
from headworks.config.walk import WRONG, Findings, Path, Walker
from headworks.prompts.shape import FrontMatter, Rules, Variable
from headworks.prompts.variables import Unfit, fitted


class Front(msgspec.Struct, frozen=True):
    """What was read. `matter` is None when it could not be used; `names` are the variables that it declares, also
    those whose declaration is wrong."""

    matter: FrontMatter | None
    names: tuple[str, ...]
    places: dict[Path, Mark]
    problems: tuple[tuple[Mark, str], ...]


def read_front(text: str) -> Front:
    """The front matter of this YAML text.

    Raises:
        Fault: it is not YAML.
    """
    read = document.read(text)
    findings = Findings()
    findings.problems.extend(read.faults)
    defaults = dict(_defaults(read.root))
    root = _without_defaults(read.root, 0)
    matter = Walker(findings, Rules(findings).judge).read(root, _type())
    if matter is WRONG:
        return Front(None, _names(root), findings.places, tuple(findings.problems))
    variables = {
        name: _with_default(variable, defaults[name], ("variables", name, "default"), findings)
        if name in defaults
        else variable
        for name, variable in matter.variables.items()
    }
    for path, node in _defaults_of_items(read.root):
        findings.add(path, "belongs to the list, not to its items", node.mark)
    made = msgspec.structs.replace(matter, variables=variables)
    return Front(made, _names(root), findings.places, tuple(findings.problems))


@functools.cache
def _type() -> inspect.Type:
    return inspect.type_info(FrontMatter)


def _names(root: Node) -> tuple[str, ...]:
    return tuple(name for name, _ in _variables(root))


def _variables(root: Node) -> Iterator[tuple[str, Node]]:
    variables = root.get("variables") if isinstance(root, Mapping) else None
    if isinstance(variables, Mapping):
        yield from ((key.text, node) for key, node in variables.entries)


def _defaults(root: Node) -> Iterator[tuple[str, Node]]:
    for name, node in _variables(root):
        if isinstance(node, Mapping) and (default := node.get("default")) is not None:
            yield name, default


def _defaults_of_items(root: Node) -> Iterator[tuple[Path, Node]]:
    for name, declaration in _variables(root):
        path: Path = ("variables", name)
        node: Node | None = declaration
        while isinstance(node, Mapping):
            path, node = (*path, "items"), node.get("items")
            if isinstance(node, Mapping) and (default := node.get("default")) is not None:
                yield (*path, "default"), default


def _without_defaults(node: Node, depth: int) -> Node:
    """The tree without what only a variable's own type can read."""
    if not isinstance(node, Mapping):
        return node
    is_declaration = depth >= 2  # the root, the variables, one of them, its items, theirs
    entries = tuple(
        (key, _without_defaults(value, depth + 1) if depth != 0 or key.text == "variables" else value)
        for key, value in node.entries
        if not (is_declaration and key.text == "default")
    )
    return Mapping(node.mark, entries)


def _with_default(variable: Variable, node: Node, path: Path, findings: Findings) -> Variable:
    findings.places[path] = node.mark
    try:
        value = fitted(variable, _plain(node))
    except Unfit as unfit:
        findings.add(path, str(unfit))
        return variable
    return msgspec.structs.replace(variable, default=value)


def _plain(node: Node) -> object:
    """The JSON value of a node, by the core schema of YAML 1.2."""
    if isinstance(node, Mapping):
        return {key.text: _plain(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return _scalar(node) if node.is_plain else node.text


def _scalar(node: Scalar) -> object:
    for kind in (bool | None, int, float):
        value = Walker(Findings(), lambda *_: None).read(node, inspect.type_info(kind))
        if value is not WRONG:
            return value
    return node.text


__all__ = ["Fault", "Front", "read_front"]
