"""The support desk of `examples/`, for tests that run it: its files, its golden cases, what every answer must be."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs

DESK = Path(__file__).parents[2] / "examples" / "support-desk"
VARIABLE = {"ticket-triage": "ticket", "invoice-extraction": "invoice"}
STATIC = json.loads((DESK / "workloads/ticket-triage/fallback.json").read_text())


def copy_desk(folder: Path) -> Path:
    shutil.copytree(DESK, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".headworks"))
    return folder


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DESK / "workloads" / name / "golden.jsonl").read_text().splitlines()]


def rules_of(name: str) -> list[Callable[[Any, Any], Any]]:
    path = DESK / "workloads" / name / "rules.py"
    specification = importlib.util.spec_from_file_location(f"rules_of_{name.replace('-', '_')}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return [
        value
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]


class Fit:
    """What every answer of a workload must be."""

    def __init__(self, name: str) -> None:
        schema = json.loads((DESK / "workloads" / name / "schema.json").read_text())
        self._validator = jsonschema_rs.validator_for(schema, validate_formats=True)
        self._rules = rules_of(name)
        assert self._rules

    def check(self, text: str, variables: dict[str, Any]) -> dict[str, Any]:
        output: dict[str, Any] = json.loads(text)
        assert self._validator.is_valid(output), output
        for rule in self._rules:
            assert rule(output, {"variables": variables}).decision == "ok", (rule.__name__, output)
        return output


def prompt_of(name: str, case: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "version": "1", "variables": case["variables"]}


def asked(name: str, case: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `chat.completions.create`."""
    prompt = {"version": "1.0.0", "variables": case["variables"]}
    return {"model": name, "messages": [], "extra_body": {"prompt": prompt}}
