"""A bounded process that runs the functions of a user's file: one question at a time, each with an answer.

It keeps a mistake (an endless loop, all memory eaten, `sys.exit`) away from the gateway and bounds what it costs. It is
no sandbox against malice: it runs as the same user.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Literal

import msgspec

from headworks.errors import ConfigError, Problem
from headworks.screening.bounded import LENGTH, Surroundings, kill, surroundings
from headworks.screening.output.rules_worker import Loaded

MEMORY_BYTES = 1 << 30
"""The address space of a worker: ample for functions over one answer."""

LOAD_TIMEOUT_S = 20.0
"""Seconds in which a file must be loaded, Python's own start included, on a machine that is busy."""

Entry = Literal["main", "answers_main"]
"""The function of `rules_worker` that a process runs: one for rules, one for answers."""


def check_file(path: Path, entry: Entry, *, timeout_s: float) -> tuple[str, ...]:
    """The names of a file's functions, in order. It is loaded in a process of its own, which is gone afterwards.

    Raises:
        ConfigError: it cannot be loaded or has none; with the line at fault.
    """
    with tempfile.TemporaryFile() as progress:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _command(path, progress, entry),
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
                kill(process.pid)
                process.communicate()
    return _names(path, out[LENGTH.size :])


class BoundedProcess:
    """The process, once it has loaded its file. `rules` are the names of the functions."""

    def __init__(self, process: asyncio.subprocess.Process, progress: IO[bytes]) -> None:
        self._process = process
        self._progress = progress
        self.rules: tuple[str, ...] = ()

    @classmethod
    async def start(cls, path: Path, entry: Entry) -> "BoundedProcess":
        """Start one.

        Raises:
            ConfigError: the file cannot be loaded; with the line at fault.
        """
        progress = tempfile.TemporaryFile()  # noqa: SIM115 - the worker's to close
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(path, progress, entry),
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
        """Whether it can be asked."""
        return self._process.returncode is None

    @property
    def rule_under_way(self) -> str:
        """The rule that the process is or was in; empty if it is in none."""
        (number,) = LENGTH.unpack(os.pread(self._progress.fileno(), LENGTH.size, 0))
        return self.rules[number - 1] if 0 < number <= len(self.rules) else ""

    async def ask(self, question: bytes) -> bytes:
        """What it answers to one question, as JSON.

        Raises:
            IncompleteReadError, ConnectionError: it has ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(LENGTH.pack(len(question)) + question)
        await self._process.stdin.drain()
        return await self._read()

    async def end(self) -> None:
        """Kill it and whatever it has started, and wait until it is gone."""
        if self.is_alive:
            kill(self._process.pid)
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


def _command(path: Path, progress: IO[bytes], entry: Entry) -> Sequence[str]:
    progress.truncate(LENGTH.size)
    # Not by `-m`: the module is one that the package imports, and would be run twice.
    start = f"import sys; from headworks.screening.output.rules_worker import {entry}; sys.exit({entry}())"
    return [sys.executable, "-P", "-c", start, str(path.absolute()), str(progress.fileno()), str(MEMORY_BYTES)]


def _surroundings(path: Path, progress: IO[bytes]) -> Surroundings:
    return surroundings(path.absolute().parent, (progress.fileno(),))


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
