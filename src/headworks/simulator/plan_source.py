"""A plan from plain data (YAML, JSON), on top of the models that are built in; and back again."""

import re
from collections.abc import Callable

import msgspec

from headworks.simulator.plan import BUILT_IN_MODELS, Case, Fault, Model, Plan, Rule, Say
from headworks.simulator.plan_reading import Finding, Path, PlanProblem, Reader, near

ReadFile = Callable[[str], str]
"""Gives the text of a file that a plan refers to; raises OSError or UnicodeDecodeError."""

_FIELDS = {field.name: field for field in msgspec.structs.fields(Plan)}


def plan_from(value: object, read_file: ReadFile | None = None) -> Plan:
    """The plan that `value` describes. Fields that are left out have their defaults; `models` adds to the models
    that are built in, changes their fields, or drops one by giving null.

    Arguments:
        value: what a YAML or JSON document holds; None is an empty one.
        read_file: how to read a `cases_file`; without it there can be none.

    Raises PlanProblem, naming every field, model, rule and fault with which something is wrong.
    """
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise PlanProblem(Finding((), "a plan is a mapping of fields, such as `seed: 1`"))
    reader = Reader()
    values: dict[str, object] = {}
    for key, given in value.items():
        name = str(key)
        if name not in _FIELDS:
            reader.findings.append(Finding((name,), f"there is no such field{near(name, _FIELDS)}", is_name=True))
        elif given is None:
            continue
        elif name == "models":
            values[name] = _models(reader, given)
        elif name == "rules":
            values[name] = _rules(reader, given, read_file)
        elif name == "faults":
            values[name] = reader.read_all(given, Fault, (name,))
        else:
            values[name] = reader.read(given, _FIELDS[name].type, (name,))
    reader.finish()
    return msgspec.structs.replace(Plan(), **values)


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
        raise PlanProblem(Finding((), "changes are a mapping of fields"))
    return plan_from(_merged(plan_value(plan), changes))


def fault_from(value: object) -> Fault:
    """One fault. Raises PlanProblem."""
    reader = Reader()
    fault: Fault = reader.read(value, Fault, ())
    reader.finish()
    return fault


def _models(reader: Reader, value: object) -> dict[str, Model]:
    models = dict(BUILT_IN_MODELS)
    if not isinstance(value, dict):
        reader.add(("models",), "expected a mapping of model ids")
        return models
    for key, changes in value.items():
        name = str(key)
        if changes is None:
            models.pop(name, None)
        else:
            base = msgspec.to_builtins(BUILT_IN_MODELS[name]) if name in BUILT_IN_MODELS else {}
            models[name] = reader.read(_merged(base, changes), Model, ("models", name))
    return models


def _rules(reader: Reader, value: object, read_file: ReadFile | None) -> tuple[Rule, ...]:
    if not isinstance(value, list | tuple):
        return reader.read_all(value, Rule, ("rules",))
    rules = []
    for index, given in enumerate(value):
        rule: Rule | None = reader.read(given, Rule, ("rules", index))
        if rule is None:
            continue
        try:
            re.compile(rule.when.matches)
        except re.error as error:
            reader.add(("rules", index, "when", "matches"), f"is not a regular expression: {error}")
        try:
            rules.append(_with_cases(rule, index, read_file))
        except PlanProblem as problem:
            reader.findings += problem.findings
    return tuple(rules)


def _merged(base: object, changes: object) -> object:
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}


def _with_cases(rule: Rule, index: int, read_file: ReadFile | None) -> Rule:
    """The rule with the cases of its file in place of the file."""
    if not rule.cases_file:
        return rule
    path: Path = ("rules", index, "cases_file")
    if read_file is None:
        raise PlanProblem(Finding(path, "files can be named in a plan file only; give `cases` here"))
    try:
        lines = read_file(rule.cases_file).splitlines()
    except OSError as error:
        raise PlanProblem(Finding(path, f"{rule.cases_file} cannot be read: {error.strerror or error}")) from error
    except UnicodeDecodeError as error:
        raise PlanProblem(Finding(path, f"{rule.cases_file} is not UTF-8")) from error
    cases = tuple(_case(line, number, rule, path) for number, line in enumerate(lines, 1) if line.strip())
    if not cases:
        raise PlanProblem(Finding(path, f"{rule.cases_file} is empty"))
    return msgspec.structs.replace(rule, cases=cases, cases_file="")


def _case(line: str, number: int, rule: Rule, path: Path) -> Case:
    where = f"{rule.cases_file}, line {number}"
    try:
        fields = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise PlanProblem(Finding(path, f"{where} is not a JSON object")) from error
    text, answer = fields.get(rule.input_field), fields.get(rule.answer_field)
    if not isinstance(text, str):
        raise PlanProblem(Finding(path, f"{where}: `{rule.input_field}` should be a text"))
    if answer is None:
        raise PlanProblem(Finding(path, f"{where}: `{rule.answer_field}` is missing"))
    wrong = fields.get("wrong", [])
    if not isinstance(wrong, list):
        raise PlanProblem(Finding(path, f"{where}: `wrong` should be a list"))
    return Case(text, _say(answer), tuple(map(_say, wrong)))


def _say(answer: object) -> str | Say:
    return answer if isinstance(answer, str) else Say(json=answer)
