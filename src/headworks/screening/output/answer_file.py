"""A fallback.py or first.py: loaded, and its function called. Only ever in a process of its own (`rules_worker`)."""

import inspect
from collections.abc import Callable
from pathlib import Path

import msgspec

from headworks.screening.output.rules_file import LoadProblem, line_of, load_module

ANSWER = "answer"
"""What the function is called."""

NO_ANSWER = "gave no answer"
"""Why there is no text, where the function has returned None."""


class Said(msgspec.Struct, frozen=True):
    """What a function said: a text, or why there is none. The reason holds no value."""

    text: str | None = None
    reason: str = ""


class AnswerFile(msgspec.Struct, frozen=True):
    """The function of one file."""

    path: str
    function: Callable[[object, object], object]

    def say(self, asked: str, context: object) -> Said:
        """The answer of one call. Whatever the function raises is a reason for having none."""
        try:
            said = self.function(asked, context)
        except BaseException as error:  # noqa: BLE001 - SystemExit too: no function may end the worker
            where = f" in line {line}" if (line := line_of(error.__traceback__, self.path)) else ""
            return Said(reason=f"raised {type(error).__name__}{where}")
        if said is None:
            return Said(reason=NO_ANSWER)
        if isinstance(said, str):
            return Said(said)
        try:
            return Said(msgspec.json.encode(said).decode())
        except (TypeError, ValueError, RecursionError):
            return Said(reason=f"returned a value of type {type(said).__name__}, which is not JSON")


def load_answer(path: Path) -> AnswerFile | LoadProblem:
    """Run the file, and find its `answer`. Nothing that it raises comes out."""
    module = load_module(path)
    if isinstance(module, LoadProblem):
        return module
    function = module.__dict__.get(ANSWER)
    if not inspect.isfunction(function):
        return LoadProblem(
            0, f"has no function `{ANSWER}`: write `def {ANSWER}(asked, context)`, which gives the answer"
        )
    line = function.__code__.co_firstlineno
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        return LoadProblem(line, f"`{ANSWER}` is a coroutine or generator; it must be a plain function")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return LoadProblem(line, f"`{ANSWER}` cannot be called with (asked, context)")
    return AnswerFile(str(path), function)
