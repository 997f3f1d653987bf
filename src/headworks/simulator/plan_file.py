"""A plan from a YAML file; what is wrong with it is said with its line and column."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from headworks.errors import ConfigError, Problem
from headworks.simulator.plan import Plan
from headworks.simulator.plan_reading import Finding, PlanProblem
from headworks.simulator.plan_source import plan_from


def load_plan(path: Path) -> Plan:
    """The plan in a file. Raises ConfigError, naming file, line and field of everything that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error.strerror or error}")) from error
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(str(path), 0, 0, "cannot be read: it is not UTF-8")) from error
    return read_plan(text, path)


def read_plan(text: str, path: Path) -> Plan:
    """The plan in a text; `path` is named in problems, and files that it refers to lie beside it. Raises
    ConfigError."""
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(_yaml_problem(error, path)) from error
    except RecursionError:
        raise ConfigError(Problem(str(path), 0, 0, "is nested too deep")) from None
    try:
        return plan_from(value, lambda name: (path.parent / name).read_text(encoding="utf-8"))
    except PlanProblem as problem:
        found = sorted(zip(places_of(text, problem.findings), map(str, problem.findings), strict=True))
        raise ConfigError(*(Problem(str(path), *place, message) for place, message in found)) from problem


def _yaml_problem(error: yaml.YAMLError, path: Path) -> Problem:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    said = (error.problem if isinstance(error, yaml.MarkedYAMLError) else None) or "not YAML"
    return Problem(str(path), mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, said)


def places_of(text: str, findings: Sequence[Finding]) -> list[tuple[int, int]]:
    """Line and column of what was found, as far as each can be followed into the text; counted from 1, (0, 0) for the
    whole of it.

    Arguments:
        text: YAML or JSON.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # JSON that is indented with tabs, say
        root = None
    return [(0, 0) if root is None or not finding.path else _place(root, finding) for finding in findings]


def _place(node: yaml.Node, finding: Finding) -> tuple[int, int]:
    for number, step in enumerate(finding.path, 1):
        found = _child(node, step)
        if found is None:
            break
        key, node = found
        if finding.is_name and number == len(finding.path):
            node = key
    return node.start_mark.line + 1, node.start_mark.column + 1


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and the value of a mapping's entry; for an item of a sequence, that item as both."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
