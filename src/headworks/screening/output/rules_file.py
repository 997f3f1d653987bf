"""A rules.py: loaded, and its functions called. Only ever in a process of their own (`rules_worker`)."""

import inspect
import sys
import types
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec

from headworks.screening.output.verdicts import RuleFinding, Verdict

MODULE = "headworks_rules"
"""The name that a rules.py has as a module."""

_LONGEST_REASON = 500
"""Characters of a rule's reason that are kept: a sentence or two."""


class LoadProblem(msgspec.Struct, frozen=True):
    """Why there are no rules to run. `line` counts from 1; 0 means the whole file."""

    line: int
    message: str


class RulesFile(msgspec.Struct, frozen=True):
    """The rules of one file: name and function, in the file's order."""

    path: str
    rules: tuple[tuple[str, Callable[[object, object], object]], ...]

    def judge(self, index: int, output: object, context: object) -> RuleFinding | None:
        """What one rule says; None if it holds. Whatever it raises is a finding that blocks."""
        name, rule = self.rules[index]
        try:
            said = rule(output, context)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: no rule may end the worker
            where = f" in line {line}" if (line := line_of(error.__traceback__, self.path)) else ""
            return RuleFinding(name, "block", f"raised {type(error).__name__}{where}", "rules_failed")
        if said is None or said is True:
            return None
        if said is False:
            return RuleFinding(name, "block", "does not hold", "rule_blocked")
        if not isinstance(said, Verdict):
            message = f"returned a value of type {type(said).__name__}; it must be a Verdict, a bool or None"
            return RuleFinding(name, "block", message, "rules_failed")
        reason = " ".join(str(said.reason).split())[:_LONGEST_REASON]
        match said.decision:
            case "ok":
                return None
            case "mark":
                return RuleFinding(name, "mark", reason, "rule_marked")
            case "repair":
                return RuleFinding(name, "repair", reason, "rule_repair")
            case _:
                return RuleFinding(name, "block", reason, "rule_blocked")


def load_rules(path: Path) -> RulesFile | LoadProblem:
    """Run the file, and find the public functions that it defines. Nothing that it raises comes out."""
    module = load_module(path)
    if isinstance(module, LoadProblem):
        return module
    rules: list[tuple[str, Callable[..., object]]] = []
    for key, value in module.__dict__.items():
        is_own = inspect.isfunction(value) and value.__module__ == MODULE and not key.startswith("_")
        if is_own and all(value is not known for _, known in rules):
            rules.append((key, value))
    if not rules:
        return LoadProblem(0, "has no rules: a rule is a public function such as `def in_range(output, context)`")
    for key, rule in rules:
        if problem := _signature_problem(key, rule):
            return problem
    return RulesFile(str(path), tuple(rules))


def load_module(path: Path) -> types.ModuleType | LoadProblem:
    """Run a user's file. Nothing that it raises comes out."""
    name = str(path)
    try:
        source = path.read_bytes()
    except OSError as error:
        return LoadProblem(0, f"cannot be read: {error.strerror or error}")
    module = types.ModuleType(MODULE)
    module.__file__ = name
    sys.modules[MODULE] = module  # where dataclasses and pickles look for it
    try:
        exec(compile(source, name, "exec"), module.__dict__)  # noqa: S102 - this is what such a file is for
    except SyntaxError as error:
        line = error.lineno or 0 if error.filename == name else line_of(error.__traceback__, name)
        return LoadProblem(line, f"is not Python: {error.msg}")
    except ModuleNotFoundError as error:
        return LoadProblem(line_of(error.__traceback__, name), f"imports {error.name!r}, which is not installed")
    except BaseException as error:  # noqa: BLE001 - SystemExit too: the file is somebody else's
        return LoadProblem(line_of(error.__traceback__, name), f"raised {type(error).__name__} when it was loaded")
    return module


def _signature_problem(name: str, rule: Callable[..., object]) -> LoadProblem | None:
    line = rule.__code__.co_firstlineno if isinstance(rule, types.FunctionType) else 0
    if inspect.iscoroutinefunction(rule) or inspect.isgeneratorfunction(rule) or inspect.isasyncgenfunction(rule):
        return LoadProblem(line, f"the rule {name!r} is a coroutine or generator; a rule is a plain function")
    try:
        inspect.signature(rule).bind(None, None)
    except TypeError:
        message = f"{name!r} cannot be called with (output, context); give a function that is no rule a `_` in front"
        return LoadProblem(line, message)
    return None


def line_of(traceback: TracebackType | None, path: str) -> int:
    """The last line of that file that was being run; 0 where there is none."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
