"""The support desk of `examples/`, for tests that run it: its files, its golden cases, what every answer must be."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import openai
from e2e_processes import Gateway

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


class Desk:
    """The support desk, running, with its command line and the official SDK in front of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = copy_desk(folder)
        self.gateway: Gateway | None = None

    def start(self) -> Gateway:
        self.gateway = Gateway(self.folder, (self.folder / "headworks.yaml").read_text())
        return self.gateway

    @property
    def running(self) -> Gateway:
        assert self.gateway is not None, "it is not started"
        return self.gateway

    def stop(self) -> None:
        if self.gateway is not None:
            assert self.gateway.process.stop() == 0, self.gateway.process.said
            self.gateway = None

    def reload(self, says: str = "configuration reloaded") -> None:
        """SIGHUP, as `headworks prompts publish` asks for; back when the gateway has said so."""
        said = self.running.process.said
        before = "".join(said).count(says)
        os.kill(self.running.process.pid, signal.SIGHUP)
        due_s = time.monotonic() + 60
        while "".join(said).count(says) == before:
            assert time.monotonic() < due_s, said
            time.sleep(0.01)
        # Workers were told before it was said; whoever answers this has nothing older left to hear.
        assert httpx2.get(f"{self.running.process.address}/health/live").is_success

    def client(self, key: str = "") -> openai.OpenAI:
        return openai.OpenAI(base_url=self.running.base_url, api_key=key or self.running.key, max_retries=0)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file of the example."""
        path = self.folder / name
        text = path.read_text()
        assert old in text, (name, old)
        path.write_text(text.replace(old, new))

    def command(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """A command as its user runs it, in the folder; it must end with this code."""
        command = [sys.executable, "-m", "headworks", *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done

    def told(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """What a command says with `--json`, line by line."""
        return [json.loads(line) for line in self.command(*words, "--json", code=code).stdout.splitlines()]


def call_id_of(raw: Any) -> str:
    """The call's id, of an SDK's raw response."""
    return str(raw.headers["x-headworks-call-id"])


def wait_for(read: Callable[[], list[str]], limit_s: float = 60.0) -> list[str]:
    """What another process lets be read, as soon as it is something."""
    due_s = time.monotonic() + limit_s
    while not (found := read()):
        assert time.monotonic() < due_s, "it does not come"
        time.sleep(0.02)
    return found
