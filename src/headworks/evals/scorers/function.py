"""The user's own Python function: `def score(case, answer): return True`, in one bounded process of its own."""

import asyncio
import hashlib
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.processes import MOST_OUTPUT_BYTES, end, surroundings
from headworks.evals.scorers.scoring import Answer, Score, ScoringFailed
from headworks.evals.scorers.verdicts import score_of

MEMORY_BYTES = 1 << 30
"""The address space of the process: ample for functions over one answer."""

LOAD_TIMEOUT_S = 20.0
"""Seconds in which a file must be loaded, Python's own start included, on a machine that is busy."""


class _Reply(msgspec.Struct):
    problem: str = ""
    said: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(_Reply).decode


class Function:
    """Scores one answer at a time. The function gets case and answer as dicts, and gives what `verdicts` takes.

    Its process is started by the first answer, and again after one that was killed.

    Arguments:
        path: the file.
        function: its name there.
        timeout_s: seconds for one answer.
    """

    name = "function"
    may_gate = True

    def __init__(self, path: Path, function: str, *, timeout_s: float) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.identity = {"scorer": "function", "function": f"{path.name}:{function}", "file": digest}
        self._path = path.absolute()
        self._function = function
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def score(self, case: GoldenCase, answer: Answer) -> Score:
        """How good the answer is.

        Raises:
            ScoringFailed: the function cannot be loaded, raises, takes too long, or says no score.
        """
        asked = {"timeout_s": self._timeout_s, "case": case, "answer": answer}
        async with self._turn:
            reply = await self._ask(msgspec.json.encode(asked) + b"\n")
        if reply.problem:
            raise ScoringFailed(f"{self._who}: {reply.problem}")
        return score_of(bytes(reply.said), self._who)

    async def close(self) -> None:
        """End the process. Harmless to call twice; a later answer starts another."""
        async with self._turn:
            await self._end()

    @property
    def _who(self) -> str:
        return f"{self._path.name}:{self._function}"

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
            raise ScoringFailed(f"{self._who}: gave no score within {self._timeout_s:g} s") from None
        except (ConnectionError, asyncio.IncompleteReadError, msgspec.DecodeError):
            raise ScoringFailed(f"{self._who}: ended the process that it ran in") from None
        except asyncio.LimitOverrunError:
            raise ScoringFailed(f"{self._who}: said more than {MOST_OUTPUT_BYTES:,} bytes") from None
        finally:
            # After a cancellation, too: the next answer must not be given the score of this one.
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
                *(sys.executable, "-P", "-c", start, str(self._path), self._function, str(MEMORY_BYTES)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=MOST_OUTPUT_BYTES,
                cwd=self._path.parent,
                env=surroundings(self._path.parent),
                start_new_session=True,
            )
        except OSError as error:
            raise ScoringFailed(f"{self._who}: no process can be started: {error.strerror or error}") from None
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                loaded = await self._read(process)
        except TimeoutError:
            raise ScoringFailed(f"{self._who}: was not loaded within {LOAD_TIMEOUT_S:g} s") from None
        if loaded.problem:
            raise ScoringFailed(f"{self._who}: {loaded.problem}")
        return process

    async def _read(self, process: asyncio.subprocess.Process) -> _Reply:
        assert process.stdout is not None
        return _decode(await process.stdout.readuntil(b"\n"))

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                await end(process)
