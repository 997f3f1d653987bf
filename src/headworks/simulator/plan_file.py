"""A plan from a YAML file; what is wrong with it is said with its line and column."""

from pathlib import Path

import yaml

from headworks.errors import ConfigError, Problem
from headworks.simulator.plan import Plan
from headworks.simulator.plan_source import PlanProblem, plan_from


def load_plan(path: Path) -> Plan:
    """The plan in a file. Raises ConfigError, naming file, line and field."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error}")) from error
    return read_plan(text, path)


def read_plan(text: str, path: Path) -> Plan:
    """The plan in a text; `path` is named in problems, and files that it refers to lie beside it. Raises
    ConfigError."""
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(_yaml_problem(error, path)) from error
    try:
        return plan_from(value, lambda name: (path.parent / name).read_text(encoding="utf-8"))
    except PlanProblem as problem:
        line, column = _place(text, problem.path)
        raise ConfigError(Problem(str(path), line, column, str(problem))) from problem


def _yaml_problem(error: yaml.YAMLError, path: Path) -> Problem:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    said = (error.problem if isinstance(error, yaml.MarkedYAMLError) else None) or "not YAML"
    return Problem(str(path), mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, said)


def _place(text: str, field: tuple[str | int, ...]) -> tuple[int, int]:
    """Where a field stands, as far as it can be followed into the text; counted from 1."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None or not field:
        return 0, 0
    for step in field:
        inner = _child(node, step)
        if inner is None:
            break
        node = inner
    return node.start_mark.line + 1, node.start_mark.column + 1


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child
    return None
