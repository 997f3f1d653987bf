"""One of the user's own Python functions, in one bounded process of its own."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from headworks.evals.scorers.processes import MOST_OUTPUT_BYTES, end, surroundings
from headworks.evals.scorers.scoring import ScoringFailed

MEMORY_BYTES = 1 << 30
"""The address space of the process: ample for functions over one answer."""

LOAD_TIMEOUT_S = 20.0
"""Seconds in which a file must be loaded, Python's own start included, on a machine that is busy."""


class _Reply(msgspec.Struct):
    problem: str = ""
    said: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(_Reply).decode


class FunctionProcess:
    """Calls the function, one call at a time. State: the process, started by the first call, and again after one that
    was killed.

    Arguments:
        path: the file.
        function: its name there.
        timeout_s: seconds for one call.
        gives: what it is to give, as problems call it.
        memory_bytes: that the process may take.
    """

    def __init__(
        self, path: Path, function: str, *, timeout_s: float, gives: str, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self.who = f"{path.name}:{function}"
        self._path = path.absolute()
        self._function = function
        self._timeout_s = timeout_s
        self._gives = gives
        self._memory_bytes = memory_bytes
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def call(self, given: Mapping[str, object]) -> bytes:
        """What the function gives, as JSON.

        Arguments:
            given: `case`, and `answer` where there is one: the function's arguments.

        Raises:
            ScoringFailed: the function cannot be loaded, raises, or takes too long.
        """
        asked = {"timeout_s": self._timeout_s, **given}
        async with self._turn:
            reply = await self._ask(msgspec.json.encode(asked) + b"\n")
        if reply.problem:
            raise ScoringFailed(f"{self.who}: {reply.problem}")
        return bytes(reply.said)

    async def close(self) -> None:
        """End the process. Harmless to call twice; a later call starts another."""
        async with self._turn:
            await self._end()

    async def _ask(self, asked: bytes) -> _Reply:
        is_whole = False
        try:
            process = await self._ready()
            assert process.stdin is not None
            async with asyncio.timeout(self._timeout_s):
                process.stdin.write(asked)
                await process.stdin.drain()
                reply = await self._read(process)
            is_whole = True
        except TimeoutError:
            raise ScoringFailed(f"{self.who}: gave no {self._gives} within {self._timeout_s:g} s") from None
        except (ConnectionError, asyncio.IncompleteReadError, msgspec.DecodeError):
            raise ScoringFailed(f"{self.who}: ended the process that it ran in") from None
        except asyncio.LimitOverrunError:
            raise ScoringFailed(f"{self.who}: said more than {MOST_OUTPUT_BYTES:,} bytes") from None
        finally:
            # After a cancellation, too: the next call must not be given what this one asked for.
            if not is_whole:
                await self._end()
        return reply

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        await self._end()
        start = "import sys; from headworks.evals.scorers.function_worker import main; sys.exit(main())"
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", start, str(self._path), self._function, str(self._memory_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=MOST_OUTPUT_BYTES,
                cwd=self._path.parent,
                env=surroundings(self._path.parent),
                start_new_session=True,
            )
        except OSError as error:
            raise ScoringFailed(f"{self.who}: no process can be started: {error.strerror or error}") from None
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                loaded = await self._read(process)
        except TimeoutError:
            raise ScoringFailed(f"{self.who}: was not loaded within {LOAD_TIMEOUT_S:g} s") from None
        if loaded.problem:
            raise ScoringFailed(f"{self.who}: {loaded.problem}")
        return process

    async def _read(self, process: asyncio.subprocess.Process) -> _Reply:
        assert process.stdout is not None
        return _decode(await process.stdout.readuntil(b"\n"))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                await end(process)
