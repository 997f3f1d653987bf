"""A plan from plain data (YAML, JSON), on top of the models that are built in; and back again."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from headworks.errors import HeadworksError
from headworks.simulator.plan import BUILT_IN_MODELS, Case, Fault, Model, Plan, Rule, Say
from headworks.simulator.rules import RuleBook

T = TypeVar("T")

Path = tuple[str | int, ...]

ReadFile = Callable[[str], str]
"""Gives the text of a file that a plan refers to; raises OSError."""


class PlanProblem(HeadworksError):
    """Something wrong with a plan; `path` leads to the field, by names and indexes."""

    def __init__(self, path: Path, problem: str) -> None:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        super().__init__(f"`{place}`: {problem}" if place else problem)
        self.path = path


def plan_from(value: object, read_file: ReadFile | None = None) -> Plan:
    """The plan that `value` describes. Fields that are left out have their defaults; `models` adds to the models
    that are built in, changes their fields, or drops one by giving null.

    Arguments:
        value: what a YAML or JSON document holds; None is an empty one.
        read_file: how to read a `cases_file`; without it there can be none.

    Raises PlanProblem, naming the first field that is wrong.
    """
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise PlanProblem((), "a plan is a mapping of fields, such as `seed: 1`")
    fields = {str(name): field for name, field in value.items() if field is not None}
    models = _models(fields.pop("models", {}))
    plan = msgspec.structs.replace(_converted(fields, Plan, ()), models=models)
    rules = tuple(_with_cases(rule, index, read_file) for index, rule in enumerate(plan.rules))
    plan = msgspec.structs.replace(plan, rules=rules)
    try:
        RuleBook(plan.rules, plan.seed)
    except ValueError as error:
        raise PlanProblem((), str(error)) from error
    return plan


def plan_value(plan: Plan) -> dict[str, object]:
    """The plan as plain data that `plan_from` reads back to an equal plan."""
    value: dict[str, object] = msgspec.to_builtins(plan)
    models = value["models"]
    assert isinstance(models, dict)
    value["models"] = {**dict.fromkeys(sorted(BUILT_IN_MODELS.keys() - models.keys())), **models}
    return value


def changed(plan: Plan, changes: object) -> Plan:
    """The plan with some fields changed: mappings are merged, everything else is replaced. Raises PlanProblem."""
    if not isinstance(changes, dict):
        raise PlanProblem((), "changes are a mapping of fields")
    return plan_from(_merged(plan_value(plan), changes))


def fault_from(value: object) -> Fault:
    """One fault. Raises PlanProblem."""
    return _converted({"faults": [value]}, Plan, ()).faults[0]


def _models(value: object) -> dict[str, Model]:
    if not isinstance(value, dict):
        raise PlanProblem(("models",), "expected a mapping of model ids")
    models = dict(BUILT_IN_MODELS)
    for key, changes in value.items():
        name = str(key)
        if changes is None:
            models.pop(name, None)
        else:
            base = msgspec.to_builtins(BUILT_IN_MODELS[name]) if name in BUILT_IN_MODELS else {}
            models[name] = _converted(_merged(base, changes), Model, ("models", name))
    return models


def _merged(base: object, changes: object) -> object:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}


_PLACE = re.compile(r" - at `\$(?P<place>[^`]*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]")


def _converted(value: object, kind: type[T], path: Path) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem = str(error)
        found = _PLACE.search(problem)
        steps = _STEP.finditer(found["place"]) if found else ()
        inner = tuple(step["name"] or int(step["index"]) for step in steps)
        raise PlanProblem((*path, *inner), problem[: found.start()] if found else problem) from error


def _with_cases(rule: Rule, index: int, read_file: ReadFile | None) -> Rule:
    """The rule with the cases of its file in place of the file."""
    if not rule.cases_file:
        return rule
    path: Path = ("rules", index, "cases_file")
    if read_file is None:
        raise PlanProblem(path, "files can be named in a plan file only; give `cases` here")
    try:
        lines = read_file(rule.cases_file).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanProblem(path, f"{rule.cases_file} cannot be read: {error}") from error
    cases = tuple(_case(line, number, rule, path) for number, line in enumerate(lines, 1) if line.strip())
    if not cases:
        raise PlanProblem(path, f"{rule.cases_file} is empty")
    return msgspec.structs.replace(rule, cases=cases, cases_file="")


def _case(line: str, number: int, rule: Rule, path: Path) -> Case:
    where = f"{rule.cases_file}, line {number}"
    try:
        fields = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise PlanProblem(path, f"{where} is not a JSON object") from error
    text, answer = fields.get(rule.input_field), fields.get(rule.answer_field)
    if not isinstance(text, str):
        raise PlanProblem(path, f"{where}: `{rule.input_field}` should be a text")
    if answer is None:
        raise PlanProblem(path, f"{where}: `{rule.answer_field}` is missing")
    wrong = fields.get("wrong", [])
    if not isinstance(wrong, list):
        raise PlanProblem(path, f"{where}: `wrong` should be a list")
    return Case(text, _say(answer), tuple(map(_say, wrong)))


def _say(answer: object) -> str | Say:
    return answer if isinstance(answer, str) else Say(json=answer)
