"""The files beside a contract that no other room compiles: tools and static answer. Well formed or not."""

import re
from pathlib import Path

import msgspec

from headworks.config import Workload
from headworks.config.contract import TOOL_NAME
from headworks.errors import Problem


def check_files(workload: Workload) -> tuple[Problem, ...]:
    """What is wrong with `tools.json` and `fallback.json`: a check for `config.examine_workloads`.

    Tools are a list of function tools as the Responses API has them; every tool that `actions` names is among them. A
    static answer is JSON. The golden set is `evals`' matter.
    """
    files = workload.files
    found: list[Problem] = []
    if files.tools is not None:
        found += _tools(workload, files.tools)
    if files.fallback is not None:
        shown = _shown(workload, files.fallback)
        found += _json(shown, files.fallback)[1] if files.fallback.suffix == ".json" else []
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


def _json(shown: str, path: Path) -> tuple[object, list[Problem]]:
    try:
        return msgspec.json.decode(path.read_bytes()), []
    except msgspec.DecodeError:
        return None, [Problem(shown, 0, 0, "is not JSON")]
    except OSError as error:
        return None, [Problem(shown, 0, 0, f"cannot be read: {error.strerror}")]


def _shown(workload: Workload, path: Path) -> str:
    """The file named from where the reader is, as the contract is."""
    return (
        str(workload.file.parent / path.relative_to(workload.folder))
        if path.is_relative_to(workload.folder)
        else str(path)
    )
