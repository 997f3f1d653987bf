"""What an arm of an eval finds for a case before it asks: the context that its prompt is given as a variable.

A way of finding is a file with a context for each case, a Python function of the workload's, or a command. What was
found for a run is kept with it: it is found once for all arms with the same way, and not again when the run goes on.
Where nothing can be found, the case is not asked, and its answer is invalid with the reason: retrieval that fails says
nothing of a model, and is never silently an empty context.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

import msgspec

from headworks.errors import CommandError, ConfigError, HeadworksError, Problem
from headworks.evals.append_log import AppendLog
from headworks.evals.golden import GoldenCase
from headworks.evals.scorers.function_process import FunctionProcess
from headworks.evals.scorers.processes import run_once
from headworks.evals.scorers.settings import RetrievalSettings, WaySettings

MOST_CONTEXT_BYTES = 500_000
"""A longer context fits no model's window that we know of, beside a prompt (a million tokens are about 4 MB of English
text, but who retrieves wants a part of it)."""

_MEMORY_BYTES = 4 << 30
"""The address space of a function's process: an index over documents may be loaded there."""


class RetrievalFailed(HeadworksError):
    """Nothing can be found for a case, or it took too long; the text says which, and quotes nothing."""


class Way(Protocol):
    """Finds contexts."""

    identity: Mapping[str, object]
    """What contexts depend on, as far as it can be told."""

    async def find(self, case: GoldenCase) -> str:
        """The context for a case. Raises RetrievalFailed."""
        ...

    async def close(self) -> None:
        """Let go of what it holds on to."""
        ...


class _Line(msgspec.Struct):
    id: str
    context: str | list[str]


class _Found(msgspec.Struct, omit_defaults=True):
    """An entry of what was found for a run: a context, or why there is none."""

    id: str
    context: str = ""
    failed: str = ""
    ms: float = 0.0


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_found = msgspec.json.Decoder(_Found).decode
_decode_said = msgspec.json.Decoder(str | list[str]).decode


class FromFile:
    """Contexts from JSON lines `{"id": ..., "context": ...}`, one for each case.

    Raises:
        ConfigError: it cannot be read, or a line is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, int] = {}
        digest, offset = hashlib.sha256(), 0
        try:
            with path.open("rb") as opened:
                for number, line in enumerate(opened, 1):
                    digest.update(line)
                    if line.strip():
                        self._places[_read(line, path, number).id] = offset
                    offset += len(line)
        except OSError as error:
            raise ConfigError(Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")) from None
        self.identity: Mapping[str, object] = {"retrieval": "file", "file": digest.hexdigest()}

    async def find(self, case: GoldenCase) -> str:
        """See `Way`."""
        if case.id not in self._places:
            raise RetrievalFailed(f"{self._path.name} has no context for the case")
        with self._path.open("rb") as opened:
            opened.seek(self._places[case.id])
            return _joined(_read(opened.readline(), self._path, 0).context)

    async def close(self) -> None:
        """Nothing is held."""


class FromFunction:
    """Contexts from a function of the workload's: it gets the case as a dict, and gives a text or a list of texts."""

    def __init__(self, path: Path, function: str, timeout_s: float) -> None:
        if not path.is_file():
            raise ConfigError(Problem(str(path), 0, 0, "there is no such file"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.identity: Mapping[str, object] = {
            "retrieval": "function",
            "function": f"{path.name}:{function}",
            "file": digest,
        }
        self._process = FunctionProcess(
            path, function, timeout_s=timeout_s, gives="context", memory_bytes=_MEMORY_BYTES
        )

    async def find(self, case: GoldenCase) -> str:
        """See `Way`."""
        try:
            return _said(await self._process.call({"case": _shown(case)}), self._process.who)
        except RetrievalFailed:
            raise
        except HeadworksError as error:
            raise RetrievalFailed(str(error)) from None

    async def close(self) -> None:
        """End the process."""
        await self._process.close()


class FromCommand:
    """Contexts from a command: the case as JSON on its standard input, a text or a list of texts on its output."""

    def __init__(self, command: Sequence[str], folder: Path, timeout_s: float) -> None:
        files = {
            word: hashlib.sha256((folder / word).read_bytes()).hexdigest()
            for word in command
            if len(word) < 256 and (folder / word).is_file()
        }
        self.identity: Mapping[str, object] = {"retrieval": "command", "command": list(command), "files": files}
        self._command = tuple(command)
        self._folder = folder
        self._timeout_s = timeout_s

    async def find(self, case: GoldenCase) -> str:
        """See `Way`."""
        name = f"the command {Path(self._command[0]).name}"
        try:
            data = msgspec.json.encode({"case": _shown(case)})
            said = await run_once(self._command, data, folder=self._folder, timeout_s=self._timeout_s, gives="context")
            return _said(said, name)
        except RetrievalFailed:
            raise
        except HeadworksError as error:
            raise RetrievalFailed(str(error)) from None

    async def close(self) -> None:
        """Each process ends with its context."""


def way_of(settings: RetrievalSettings, name: str, folder: Path) -> Way:
    """The way of this name.

    Raises:
        CommandError: there is none.
        ConfigError: its file cannot be used.
    """
    given: WaySettings | None = settings.ways.get(name)
    if given is None:
        known = ", ".join(f"`{one}`" for one in sorted(settings.ways)) or "none"
        raise CommandError(f"evals.yaml has no way of retrieval called `{name[:40]}`; it has: {known}")
    if given.file is not None:
        return FromFile(folder / given.file)
    if given.function is not None:
        file, _, function = given.function.call.rpartition(":")
        return FromFunction(folder / file, function, given.function.timeout_s)
    assert given.command is not None, "the kinds are all here"
    return FromCommand(given.command.run, folder, given.command.timeout_s)


class Contexts:
    """What one way has found for a run, in a file of the run's folder. Close it.

    Arguments:
        path: the file; it may be there already.

    State: where each case's entry stands.
    """

    def __init__(self, path: Path, way: Way) -> None:
        self._way = way
        self._log = AppendLog(path, is_writing=True)
        self._places: dict[str, int] = {}
        for at, line in self._log.lines():
            found = _decode_found(line)
            if not found.failed:
                self._places[found.id] = at

    async def gather(self, cases: Iterator[GoldenCase], *, concurrency: int, most_s: float) -> int:
        """Find what is not found yet; how many cases have none after it.

        Arguments:
            concurrency: cases that are looked for at once.
            most_s: seconds for all of them; what is left then has failed.
        """
        end_s, failed = perf_counter() + most_s, 0

        async def work() -> None:
            nonlocal failed
            for case in cases:
                if case.id not in self._places:
                    is_found = await self._find(case, end_s - perf_counter())
                    failed += not is_found

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
        await self._log.synced()
        return failed

    async def _find(self, case: GoldenCase, left_s: float) -> bool:
        begun_s = perf_counter()
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                entry = _Found(case.id, await self._way.find(case), ms=(perf_counter() - begun_s) * 1000)
        except TimeoutError:
            entry = _Found(case.id, failed="the time for all retrieval was over")
        except RetrievalFailed as error:
            entry = _Found(case.id, failed=str(error))
        self._places[case.id] = self._log.append(msgspec.json.encode(entry))
        return not entry.failed

    def context_of(self, case: GoldenCase) -> str:
        """What was found for a case.

        Raises:
            RetrievalFailed: nothing was.
        """
        at = self._places.get(case.id)
        if at is None:
            raise RetrievalFailed("nothing was looked for")
        found = _decode_found(self._log.line_at(at))
        if found.failed:
            raise RetrievalFailed(found.failed)
        return found.context

    async def close(self) -> None:
        """Let go of file and way."""
        self._log.close()
        await self._way.close()


def _shown(case: GoldenCase) -> dict[str, object]:
    """What of a case retrieval may see: not what is expected."""
    return {"id": case.id, "variables": case.variables, "input": case.input, "tags": case.tags}


def _read(line: bytes, path: Path, number: int) -> _Line:
    try:
        return _decode_line(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = 'expected {"id": ..., "context": ...}: a text, or a list of texts'
        raise ConfigError(Problem(str(path), number, 1 if number else 0, message)) from None


def _said(said: bytes, who: str) -> str:
    try:
        return _joined(_decode_said(said))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RetrievalFailed(f"{who}: gave neither a text nor a list of texts") from None


def _joined(texts: str | list[str]) -> str:
    """One text of it; several are divided by an empty line."""
    text = texts if isinstance(texts, str) else "\n\n".join(texts)
    if len(text.encode(errors="replace")) > MOST_CONTEXT_BYTES:
        raise RetrievalFailed(f"the context is longer than {MOST_CONTEXT_BYTES:,} bytes")
    return text
