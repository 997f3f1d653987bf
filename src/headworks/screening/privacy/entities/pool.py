"""Processes with a model: a bounded number, each asked one question at a time, killed when stuck and started anew."""

import asyncio
import hashlib
import os
import sys
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from headworks.config.privacy import Names
from headworks.screening.bounded import LENGTH, kill, surroundings
from headworks.screening.privacy.entities.found import NO_ENTITIES, Entities, worth_reading
from headworks.screening.privacy.entities.models import Span
from headworks.screening.privacy.entities.worker import Answer, Ready
from headworks.screening.privacy.findings import Finding

LOAD_TIMEOUT_S = 60.0
"""Seconds in which a model must be loaded, on a machine that is busy."""

REST_S = 10.0
"""Seconds after a model could not be loaded in which nobody tries again: loading takes seconds of processor time."""

_MOST_WAITING = 64
"""Questions that wait for a process. Whoever comes after those fails at once: it would run out of time anyway."""

_MOST_KEPT = 4096
"""Texts whose findings are remembered, by a hash: a conversation brings its history along at every turn."""

_ANSWER = msgspec.json.Decoder(Answer)
_READY = msgspec.json.Decoder(Ready)


class EntityFailure(Exception):
    """Entities could not be looked for. Says why, never in what."""


class _Process:
    """One process that has loaded its model."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, settings: Names) -> "_Process":
        """Start one, and wait until it is ready.

        Raises:
            EntityFailure: the model cannot be loaded.
        """
        entry = "import sys; from headworks.screening.privacy.entities.worker import main; sys.exit(main())"
        memory_bytes = str(settings.memory_mb << 20)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-c", entry, settings.adapter, settings.model, memory_bytes),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=1 << 20,
                **surroundings(Path.cwd(), more=_ALONE),
            )
        except OSError as error:
            raise EntityFailure(f"no process can be started: {error.strerror or type(error).__name__}") from None
        made = cls(process)
        is_ready = False
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                said = _READY.decode(await made._read())
            if said.error:
                raise EntityFailure(f"the model cannot be loaded ({said.error})")
            is_ready = True
        except TimeoutError:
            raise EntityFailure(f"the model was not loaded within {LOAD_TIMEOUT_S:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
            raise EntityFailure("the process ended while it loaded the model: is `memory_mb` enough?") from None
        finally:
            if not is_ready:
                await made.end()
        return made

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, question: bytes) -> bytes:
        assert self._process.stdin is not None
        self._process.stdin.write(LENGTH.pack(len(question)) + question)
        await self._process.stdin.drain()
        return await self._read()

    async def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self.kill()
        try:
            await self._process.wait()
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def kill(self) -> None:
        """Kill it. Who is about to end cannot wait; it is reaped by whoever inherits it."""
        if self.is_alive:
            kill(self._process.pid)

    async def _read(self) -> bytes:
        assert self._process.stdout is not None
        (length,) = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))
        return await self._process.stdout.readexactly(length)


_ALONE = {
    # One thread a process: there are as many processes as the contract says. No weights are fetched, ever.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


class EntityPool:
    """Asks a model; for one event loop. Processes are started when they are first needed; they end with `close`, when
    nobody holds the pool any more, or with our own process.

    State: the idle processes, findings of texts by their hash, and when loading last failed.

    Arguments:
        settings: the contract's.
        now: monotonic seconds.
    """

    def __init__(self, settings: Names, *, now: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._now = now
        self._turns = asyncio.Semaphore(settings.processes)
        self._waiting = 0
        self._idle: list[_Process] = []
        self._kept: OrderedDict[bytes, tuple[Span, ...]] = OrderedDict()
        self._salt = os.urandom(32)
        self._failed_s = -REST_S
        self._why = ""
        self._kinds = frozenset(settings.kinds)
        weakref.finalize(self, _kill_all, self._idle)

    async def find(self, texts: Iterable[str]) -> Entities:
        """What there is in texts.

        Raises:
            EntityFailure: they could not all be read, in the time that there is.
        """
        wanted = worth_reading(texts)
        if not wanted:
            return NO_ENTITIES
        hashes = {text: self._hash(text) for text in wanted}
        missing = [text for text in wanted if hashes[text] not in self._kept]
        spans = dict(zip(missing, await self._ask(missing), strict=True)) if missing else {}
        found = {text: spans[text] if text in spans else self._kept[hashes[text]] for text in wanted}
        for text, one in found.items():
            self._kept[hashes[text]] = one
            self._kept.move_to_end(hashes[text])
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return Entities({text: self._findings(one) for text, one in found.items()})

    def _findings(self, spans: Sequence[Span]) -> list[Finding]:
        return [Finding(start, end, kind, score) for start, end, kind, score in spans if kind in self._kinds]

    def _hash(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=16).digest()

    async def _ask(self, texts: Sequence[str]) -> Answer:
        if self._waiting >= _MOST_WAITING:
            raise EntityFailure(f"{_MOST_WAITING} questions wait already; `processes` says how many are read at once")
        timeout_s = self.settings.timeout_s
        question = msgspec.json.encode((timeout_s, texts))
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._turns.acquire()
        except TimeoutError:
            raise EntityFailure(f"no process was free within {timeout_s:g} s") from None
        finally:
            self._waiting -= 1
        try:
            return await self._answer(await self._ready(), question)
        finally:
            self._turns.release()

    async def _answer(self, process: _Process, question: bytes) -> Answer:
        is_whole = False
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                answer = _ANSWER.decode(await process.ask(question))
            is_whole = True
        except TimeoutError:
            raise EntityFailure(f"the model gave no answer within {self.settings.timeout_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
            raise EntityFailure("the model's process ended") from None
        finally:
            # After a cancellation, too: the next question must not be given the answer to this one.
            if is_whole:
                self._idle.append(process)
            else:
                await process.end()
        return answer

    async def _ready(self) -> _Process:
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                return process
            await process.end()
        if self._now() - self._failed_s < REST_S:
            raise EntityFailure(self._why)
        try:
            return await _Process.start(self.settings)
        except EntityFailure as failure:
            self._failed_s, self._why = self._now(), str(failure)
            raise

    async def close(self) -> None:
        """End the processes, each when it has answered. Harmless to call twice, and what is asked later starts anew."""
        for _ in range(self.settings.processes):
            await self._turns.acquire()
        try:
            while self._idle:
                await self._idle.pop().end()
        finally:
            for _ in range(self.settings.processes):
                self._turns.release()


def _kill_all(processes: list[_Process]) -> None:
    for process in processes:
        process.kill()


_POOLS: "weakref.WeakValueDictionary[Names, EntityPool]" = weakref.WeakValueDictionary()


def pool_of(settings: Names) -> EntityPool:
    """The pool with these settings: all policies that say the same share it, and so does a configuration that is read
    anew."""
    pool = _POOLS.get(settings)
    if pool is None:
        pool = _POOLS[settings] = EntityPool(settings)
    return pool
