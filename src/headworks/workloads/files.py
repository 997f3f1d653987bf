"""The files beside a contract that no other room compiles: tools, golden set, static answer. Well formed or not."""

import re
from pathlib import Path

import msgspec

from headworks.config import Workload
from headworks.config.contract import TOOL_NAME
from headworks.errors import Problem

MOST_SHOWN = 20
"""Problems of one golden set that are named; a set in another format has one a line."""

_MAPPING = msgspec.json.Decoder(dict[str, object])


def check_files(workload: Workload) -> tuple[Problem, ...]:
    """What is wrong with `tools.json`, `golden.jsonl` and `fallback.json`: a check for `config.examine_workloads`.

    Tools are a list of function tools as the Responses API has them; every tool that `actions` names is among them. A
    golden set is JSON lines, each with an `id` of its own and what is `expected`. A static answer is JSON.
    """
    files = workload.files
    found: list[Problem] = []
    if files.tools is not None:
        found += _tools(workload, files.tools)
    if files.golden is not None:
        found += _golden(_shown(workload, files.golden), files.golden)
    if files.fallback is not None:
        _, problems = _json(_shown(workload, files.fallback), files.fallback)
        found += problems
    return tuple(found)


def _tools(workload: Workload, path: Path) -> list[Problem]:
    shown = _shown(workload, path)
    tools, problems = _json(shown, path)
    if problems:
        return problems
    if not isinstance(tools, list):
        return [Problem(shown, 0, 0, "expected a list of tools")]
    names: set[str] = set()
    for number, tool in enumerate(tools, 1):
        name = tool.get("name") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(name, str) or not re.fullmatch(TOOL_NAME, name):
            message = f"tool {number}: expected `type: function` and a `name` of letters, digits, `_` and `-`"
            problems.append(Problem(shown, 0, 0, message))
        elif name in names:
            problems.append(Problem(shown, 0, 0, f"tool {number}: `{name}` is there already"))
        else:
            names.add(name)
    if not problems:
        problems += [
            workload.problem(("actions", name), f"is no tool of {path.name}")
            for name in workload.contract.actions
            if name not in names
        ]
    return problems


def _golden(shown: str, path: Path) -> list[Problem]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [_unreadable(shown, error)]
    problems: list[Problem] = []
    ids: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and len(problems) < MOST_SHOWN:
            message = _case(line, number, ids)
            if message:
                problems.append(Problem(shown, number, 1, message))
    if not ids and not problems:
        problems.append(Problem(shown, 0, 0, "holds no case"))
    return problems


def _case(line: str, number: int, ids: dict[str, int]) -> str:
    """What is wrong with a case; "" if nothing. Notes its id."""
    try:
        case = _MAPPING.decode(line)
    except msgspec.DecodeError:
        return "expected a JSON object"
    identity = case.get("id")
    if not isinstance(identity, str) or not identity:
        return "expected an `id`: a text of its own"
    if identity in ids:
        return f"has the `id` of line {ids[identity]}"
    ids[identity] = number
    if "expected" not in case:
        return "`expected` is missing: what a right answer is"
    if not isinstance(case.get("variables", {}), dict):
        return "expected `variables` to be an object"
    return ""


def _json(shown: str, path: Path) -> tuple[object, list[Problem]]:
    try:
        return msgspec.json.decode(path.read_bytes()), []
    except msgspec.DecodeError:
        return None, [Problem(shown, 0, 0, "is not JSON")]
    except OSError as error:
        return None, [_unreadable(shown, error)]


def _unreadable(shown: str, error: OSError | UnicodeDecodeError) -> Problem:
    reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is not UTF-8"
    return Problem(shown, 0, 0, reason)


def _shown(workload: Workload, path: Path) -> str:
    """The file named from where the reader is, as the contract is."""
    return (
        str(workload.file.parent / path.relative_to(workload.folder))
        if path.is_relative_to(workload.folder)
        else str(path)
    )
