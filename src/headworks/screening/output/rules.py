"""Rules over answers: plain functions in a user's rules.py, run in bounded processes of their own.

    >>> def refund_within_order(output, context):
    ...     if output["refund"] <= output["order_total"]:
    ...         return Verdict.ok()
    ...     return Verdict.repair("the refund must not exceed the order's total")

A rule is the user's own code: the process keeps a mistake (an endless loop, all memory eaten, `sys.exit`) away from
the gateway and bounds what it costs. It is no sandbox against malice: it runs as the same user.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypedDict

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.screening.output.reading import JsonValue
from headworks.screening.output.rules_worker import LENGTH, Loaded
from headworks.screening.output.verdicts import RuleFinding, RulesCode, RulesOutcome, outcome_of

MEMORY_BYTES = 1 << 30
"""The address space of a worker: ample for functions over one answer."""

PROCESSES = 2
"""At most so many for one file: while a rule hangs in one, other answers are judged in the other."""

LOAD_TIMEOUT_S = 20.0
"""Seconds in which a rules.py must be loaded, Python's own start included, on a machine that is busy."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""What of our environment a worker sees. Everything else could be a provider's key."""

_ANSWER = msgspec.json.Decoder(tuple[RuleFinding, ...])


def check_rules(path: Path, *, timeout_s: float = LOAD_TIMEOUT_S) -> tuple[str, ...]:
    """The names of a file's rules, in order. The file is loaded in a process of its own, which is gone afterwards.

    Arguments:
        path: the rules.py.
        timeout_s: how long loading may take, in seconds.

    Raises:
        ConfigError: it cannot be loaded or has no rules; with the line at fault.
    """
    with tempfile.TemporaryFile() as progress:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _command(path, progress),
            stdin=subprocess.DEVNULL,  # it ends after the first frame
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **_surroundings(path, progress),
        )
        try:
            out, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ConfigError(Problem(str(path), 0, 0, f"was not loaded within {timeout_s:g} s")) from None
        finally:
            if process.returncode is None:
                _kill(process.pid)
                process.communicate()
    return _names(path, out[LENGTH.size :])


class RulesRunner:
    """Judges answers by the rules of one file, one answer at a time in each process; for one event loop.

    A process is started by the first answer, another for answers that come while the first is busy, and a new one after
    one that was killed. `close` ends them; so does the end of our own process, however it comes about.

    Arguments:
        path: the rules.py.
        timeout_s: seconds that all rules together may take over one answer. Waiting for answers before does not count:
            an answer that is good must not be blocked because of another.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(PROCESSES)
        self._idle: list[_Worker] = []

    async def start(self) -> tuple[str, ...]:
        """Start a process ahead of the first answer; returns the rules' names.

        Raises:
            ConfigError: the file cannot be loaded; with the line at fault.
        """
        async with self._turns:
            worker = await self._ready()
            self._idle.append(worker)
            return worker.rules

    async def run(self, output: JsonValue, context: Mapping[str, object]) -> RulesOutcome:
        """What the rules say about an answer. Never raises for what a rule does: that blocks.

        Arguments:
            output: the answer, decoded.
            context: what rules get beside it: workload, prompt_version, model, call_id, variables, metadata.
        """
        question = msgspec.json.encode((self._timeout_s, output, context))
        async with self._turns:
            try:
                worker = await self._ready()
            except ConfigError as error:
                return _blocked("", "rules_failed", f"the rules cannot be loaded: {error}")
            is_whole = False
            try:
                async with asyncio.timeout(self._timeout_s):
                    findings = await worker.ask(question)
                is_whole = True
            except TimeoutError:
                within = f"gave no verdict within {self._timeout_s:g} s"
                return _blocked(worker.rule_under_way, "rules_timeout", within)
            except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
                return _blocked(worker.rule_under_way, "rules_failed", "ended the process that it ran in")
            finally:
                # After a cancellation, too: the next answer must not be given the verdict on this one.
                if is_whole:
                    self._idle.append(worker)
                else:
                    await worker.end()
        return outcome_of(findings)

    async def close(self) -> None:
        """End the processes, each when it has judged what it is at. Harmless to call twice; a later answer starts
        another."""
        for _ in range(PROCESSES):
            await self._turns.acquire()
        try:
            while self._idle:
                await self._idle.pop().end()
        finally:
            for _ in range(PROCESSES):
                self._turns.release()

    async def _ready(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()  # the last one used: what is seldom needed stays out of the caches
            if worker.is_alive:
                return worker
            await worker.end()
        return await _Worker.start(self._path)


class _Worker:
    """The process, once it has loaded the rules."""

    def __init__(self, process: asyncio.subprocess.Process, progress: IO[bytes]) -> None:
        self._process = process
        self._progress = progress
        self.rules: tuple[str, ...] = ()

    @classmethod
    async def start(cls, path: Path) -> "_Worker":
        progress = tempfile.TemporaryFile()  # noqa: SIM115 - the worker's to close
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(path, progress),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                **_surroundings(path, progress),
            )
        except OSError as error:
            progress.close()
            message = f"no process can be started for it: {error.strerror or error}"
            raise ConfigError(Problem(str(path), 0, 0, message)) from error
        except BaseException:
            progress.close()
            raise
        worker = cls(process, progress)
        is_ready = False
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                worker.rules = _names(path, await worker._read())
            is_ready = True
        except TimeoutError:
            raise ConfigError(Problem(str(path), 0, 0, f"was not loaded within {LOAD_TIMEOUT_S:g} s")) from None
        except asyncio.IncompleteReadError:
            raise ConfigError(Problem(str(path), 0, 0, "ended the process that loaded it")) from None
        finally:
            if not is_ready:
                await worker.end()
        return worker

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    @property
    def rule_under_way(self) -> str:
        """The rule that the process is or was in; empty if it is in none."""
        (number,) = LENGTH.unpack(os.pread(self._progress.fileno(), LENGTH.size, 0))
        return self.rules[number - 1] if 0 < number <= len(self.rules) else ""

    async def ask(self, question: bytes) -> tuple[RuleFinding, ...]:
        assert self._process.stdin is not None
        self._process.stdin.write(LENGTH.pack(len(question)) + question)
        await self._process.stdin.drain()
        return _ANSWER.decode(await self._read())

    async def end(self) -> None:
        """Kill it and whatever it has started, and wait until it is gone."""
        if self.is_alive:
            _kill(self._process.pid)
        try:
            await self._process.wait()
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._progress.close()

    async def _read(self) -> bytes:
        assert self._process.stdout is not None
        (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
        return await self._process.stdout.readexactly(length)


def _command(path: Path, progress: IO[bytes]) -> Sequence[str]:
    progress.truncate(LENGTH.size)
    # Not by `-m`: the module is one that the package imports, and would be run twice.
    start = "import sys; from headworks.screening.output.rules_worker import main; sys.exit(main())"
    return [sys.executable, "-P", "-c", start, str(path.absolute()), str(progress.fileno()), str(MEMORY_BYTES)]


class _Surroundings(TypedDict):
    env: dict[str, str]
    cwd: str
    pass_fds: tuple[int, ...]
    start_new_session: bool


def _surroundings(path: Path, progress: IO[bytes]) -> _Surroundings:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # The same modules as here; an empty entry means the folder that we are in.
    environment["PYTHONPATH"] = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {
        "env": environment,
        "cwd": str(path.absolute().parent),
        "pass_fds": (progress.fileno(),),
        # A group of its own, so that what a rule starts ends with it, and so that Ctrl-C is ours alone.
        "start_new_session": True,
    }


def _names(path: Path, frame: bytes) -> tuple[str, ...]:
    """The rules that a worker says it has loaded."""
    try:
        loaded = msgspec.json.decode(frame, type=Loaded)
    except msgspec.DecodeError:
        raise ConfigError(Problem(str(path), 0, 0, "ended the process that loaded it")) from None
    if loaded.problem is not None:
        # There is no column to tell; a place needs one.
        raise ConfigError(Problem(str(path), loaded.problem.line, 1, loaded.problem.message))
    return loaded.rules


def _blocked(rule: str, code: RulesCode, reason: str) -> RulesOutcome:
    return outcome_of((RuleFinding(rule, "block", reason, code),))


def _kill(process_id: int) -> None:
    """Kill a process that has not been waited for, and its group."""
    with suppress(ProcessLookupError):
        os.killpg(process_id, signal.SIGKILL)
