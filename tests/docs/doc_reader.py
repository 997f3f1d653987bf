"""A reader who does what a page says: runs its samples in one folder and compares what is shown with what happens.

`headworks serve` and `headworks simulate` stay running, on a free port that stands in for the one of the page. A second
`headworks serve` stands for: stop the first with Ctrl-C, start again.
"""

import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

import openai
import pytest
from doc_samples import Page, Sample, Step, differs, steps

from headworks.config import load, parse
from headworks.simulator import load_plan

_READY = re.compile(r"^headworks (?:simulator )?ready on (?:https?)://(\S+)$")
_SERVICE = re.compile(r"headworks (serve|simulate)\b(?!.*--help)")
_STAND_INS = {
    "hw-...": re.compile(r"\bhw-[A-Za-z0-9]{39}\b"),
    "call_...": re.compile(r"\bcall_[0-9a-f]{20,}\b"),
}
"""What a page leaves to its reader: the last key, or call id, that was printed."""

_SERVICES = {"serve": "127.0.0.1:4000", "simulate": "127.0.0.1:4010"}
"""Commands that stay, and where the pages say that they listen."""

_ADMIN_PORT = "4001"
"""Where the pages say that the admin API listens."""

_LIMIT_S = 60


class Service:
    """A command that stays running, and what it says. With `shows_key` it is read until the trial key's call is out."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str], *, shows_key: bool) -> None:
        self.said: list[str] = []
        self.address = ""
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._is_ready = threading.Event()
        self._has_shown_key = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        has_started = self._is_ready.wait(20) and bool(self.address)
        if not has_started or (shows_key and not self._has_shown_key.wait(20)):
            self._process.kill()
            raise AssertionError(f"{command} did not start as it should: {self.text}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def text(self) -> str:
        return "".join(self.said)

    def stop(self) -> None:
        """Ctrl-C, and the end that the pages promise."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self._reader.join(5)
        assert code == 0, f"exit code {code}: {self.text}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.said.append(line)
                ready = _READY.match(line)
                if ready is not None:
                    self.address = ready[1]
                    self._is_ready.set()
                if "Ctrl-C stops" in line:
                    self._has_shown_key.set()
        self._is_ready.set()


class Reader:
    """State: the folder and environment of the reader's shell, what runs in the background, what was printed last of
    what pages leave to their reader (`_STAND_INS`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cwd = folder
        self._state = folder / ".reader-shell"
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "HEADWORKS_"))
        }
        self._environment["PYTHONUNBUFFERED"] = "1"  # what is printed and what is told come in order, as on a terminal
        self._environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._services: dict[str, Service] = {}
        self._seen: dict[str, str] = {}
        self._port = ""

    def follow(self, page: Page) -> None:
        """Do everything that the page says. Raises AssertionError with the line of the sample that is not true."""
        for command in page.run_first:
            self._do(Step(command, None), "before the page")
        for sample in page.samples:
            if not sample.not_run:
                self._run(sample)

    def close(self) -> None:
        """Stop what is still running."""
        with ExitStack() as stack:  # all of them, whatever becomes of the first
            for service in self._services.values():
                stack.callback(service.stop)
        self._services.clear()

    def _run(self, sample: Sample) -> None:
        where = f"line {sample.line}"
        if sample.language == "yaml":
            self._judge(sample)
        if sample.file:
            path = self._cwd / sample.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._as_here(sample.text))
        elif sample.language == "console":
            for step in steps(sample):
                self._do(step, where)
        elif sample.language == "sh":
            self._do(Step(sample.text, None), where)
        elif sample.language == "python":
            self._run_python(sample, where)

    # -- YAML -----------------------------------------------------------------------------------------------------

    def _judge(self, sample: Sample) -> None:
        text = self._as_here(sample.text)
        if sample.kind == "plan":
            path = self._cwd / "sample-plan.yaml"
            path.write_text(text)
            load_plan(path)
            return
        if not re.search(r"^providers:", text, re.MULTILINE):
            text += "\nproviders: {simulator: {kind: simulator}}\n"  # a part of a file is shown: the rest of it
        parse(text, file=f"line {sample.line}", base=self._cwd)

    # -- commands -------------------------------------------------------------------------------------------------

    def _do(self, step: Step, where: str) -> None:
        service = _SERVICE.match(step.command)
        printed = self._serve(service[1], step.command) if service is not None else self._shell(step.command, where)
        self._look_at(printed)
        if step.output is not None:
            difference = differs(self._as_here(step.output), printed)
            assert not difference, f"{where}: {step.command}\n{difference}"

    def _serve(self, name: str, command: str) -> str:
        running = self._services.pop(name, None)
        if running is not None:
            running.stop()
        command = re.sub(r"\s--port \d+|\s*&$", "", command) + " --port 0"
        shows_key = name == "serve" and self._is_trial(shlex.split(command))
        self._services[name] = service = Service(command, self._cwd, self._environment, shows_key=shows_key)
        if running is not None:  # the page's port is still the same: what was exported goes on to lead there
            self._environment = {
                variable: value.replace(running.address, service.address)
                for variable, value in self._environment.items()
            }
        return service.text

    def _is_trial(self, words: list[str]) -> bool:
        file = words[words.index("--config") + 1] if "--config" in words else "headworks.yaml"
        config = load(self._cwd / file).config
        return config.access.mode == "keys" and all(one.kind == "simulator" for one in config.providers.values())

    def _shell(self, command: str, where: str) -> str:
        """Run it as the next command of the reader's shell: what it exports and where it goes stay."""
        script = (
            f"trap 'code=$?; {{ pwd; env -0; }} > {shlex.quote(str(self._state))}; exit $code' EXIT\n"
            f"set -e -o pipefail\n{self._as_here(command)}\n"
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LIMIT_S,
        )
        assert done.returncode == 0, f"{where}: {command}\nexit code {done.returncode}: {done.stdout}"
        cwd, _, variables = self._state.read_text().partition("\n")
        self._cwd = Path(cwd)
        self._environment = dict(variable.split("=", 1) for variable in variables.split("\0") if "=" in variable)
        return done.stdout

    # -- Python ---------------------------------------------------------------------------------------------------

    def _run_python(self, sample: Sample, where: str) -> None:
        """In this process, for an SDK takes a second to import. Functions that are tests are called."""
        printed = io.StringIO()
        names: dict[str, object] = {"__name__": "__main__"}
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
            patch.chdir(self._cwd)
            for name in [name for name in os.environ if name not in self._environment]:
                patch.delenv(name)
            for name, value in self._environment.items():
                patch.setenv(name, value)
            try:
                exec(compile(self._as_here(sample.text), f"sample of {where}", "exec"), names)
                for name, value in list(names.items()):
                    if name.startswith("test_") and callable(value):
                        value()
            finally:
                for value in names.values():
                    if isinstance(value, openai.OpenAI):
                        value.close()  # the reader's process would have ended here
        self._look_at(printed.getvalue())
        if sample.output is not None:
            difference = differs(self._as_here(sample.output), printed.getvalue())
            assert not difference, f"{where}\n{difference}"

    def _look_at(self, printed: str) -> None:
        for stand_in, form in _STAND_INS.items():
            found = form.findall(printed)
            if found:
                self._seen[stand_in] = found[-1]

    def _as_here(self, text: str) -> str:
        """The text with the addresses, the process, the key and the call of this run in the place of the page's."""
        for name, service in self._services.items():
            text = text.replace(_SERVICES[name], service.address)
            if name == "serve":
                text = text.replace("$!", str(service.pid))
        if _ADMIN_PORT in text:
            text = text.replace(_ADMIN_PORT, self._admin_port())
        for stand_in, seen in self._seen.items():
            text = text.replace(stand_in, seen)
        return text

    def _admin_port(self) -> str:
        """A free port for this reader's admin API; not of those that the system gives away, so that it stays free."""
        for port in range(20_000 + os.getpid() % 10_000, 32_000) if not self._port else ():
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)):
                    self._port = str(port)
                    break
        return self._port
