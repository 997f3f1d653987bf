"""The process that a user's function runs in. Its arguments: the file, the function, a bound on memory.

Lines of JSON come in on standard input (`{"timeout_s": …, "case": …, "answer": …}`, without `answer` for a function
that retrieves) and go out on standard output: the first says whether the function was loaded. What the function prints
goes nowhere.
"""

import importlib.util
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import Any

_GRACE_S = 1.0
"""Seconds after its time limit at which a worker ends itself; its parent is there first, if there still is one."""

_LOAD_S = 60.0


class _NotThere(Exception):
    """The file has no such function."""


def main() -> int:
    """Load the function, then score until the input ends."""
    path, name, memory_bytes = sys.argv[1:]
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    for kind, limit in ((resource.RLIMIT_AS, int(memory_bytes)), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
    signal.setitimer(signal.ITIMER_REAL, _LOAD_S)
    try:
        function = _load(path, name)
    except BaseException as error:  # noqa: BLE001 - whatever the file does, the parent is told
        _send(answers, {"problem": _words(error)})
        return 0
    _send(answers, {"problem": ""})
    for line in questions:
        question = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, question.pop("timeout_s") + _GRACE_S)
        _send(answers, _judge(function, question))
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def _judge(function: Any, question: dict[str, Any]) -> dict[str, Any]:
    try:
        said = function(*(question[name] for name in ("case", "answer") if name in question))
        return {"said": json.loads(json.dumps(said, allow_nan=False))}
    except BaseException as error:  # noqa: BLE001 - an exit is the function's mistake as well
        return {"problem": _words(error)}


def _load(path: str, name: str) -> Any:
    spec = importlib.util.spec_from_file_location("scoring_function", path)
    assert spec is not None, "a path that ends in .py has one"
    assert spec.loader is not None, "likewise"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise _NotThere(f"there is no function {name}")
    return function


def _words(error: BaseException) -> str:
    """What went wrong, without the error's own text, which may hold what the answer holds."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == sys.argv[1]:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno or 0
    if isinstance(error, _NotThere):
        return str(error)
    return f"raises {type(error).__name__}" + (f" in line {line}" if line else "")


def _send(answers: Any, value: dict[str, Any]) -> None:
    data = memoryview(json.dumps(value).encode() + b"\n")
    while data:
        data = data[answers.write(data) :]
