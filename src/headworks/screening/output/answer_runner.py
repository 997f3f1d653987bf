"""The function that answers where no model does, of a user's fallback.py or first.py, in a bounded process."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headworks.errors import ConfigError
from headworks.screening.output.answer_file import Said
from headworks.screening.output.process import LOAD_TIMEOUT_S, BoundedProcess, check_file

PROCESSES = 2
"""At most so many for one file, as for rules."""

_SAID = msgspec.json.Decoder(Said)


def check_answers(path: Path, *, timeout_s: float = LOAD_TIMEOUT_S) -> None:
    """Whether such a file can be used. It is loaded in a process of its own, which is gone afterwards.

    Raises:
        ConfigError: it cannot be loaded or has no `answer`; with the line at fault.
    """
    check_file(path, "answers_main", timeout_s=timeout_s)


class AnswerRunner:
    """Asks the function of one file; for one event loop. Processes are started when they are first needed, and end with
    `close` or with our own process.

    Arguments:
        path: the fallback.py, or first.py.
        timeout_s: seconds that it may take over one answer; the time its process takes to start does not count.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self.timeout_s = timeout_s
        self._turns = asyncio.Semaphore(PROCESSES)
        self._idle: list[BoundedProcess] = []

    async def say(self, asked: str, context: Mapping[str, object], *, within_s: float) -> Said:
        """What the function says. Never raises for what it does: then there is a reason instead of an answer.

        Arguments:
            asked: the caller's last message.
            context: what rules get, too; for a fallback.py also `reason`: why no model has answered.
            within_s: seconds that all of it may take, waiting for a process included.
        """
        try:
            async with asyncio.timeout(within_s), self._turns:
                return await self._ask(asked, context)
        except TimeoutError:
            return Said(reason="gave no answer in the time that the call had left")

    async def _ask(self, asked: str, context: Mapping[str, object]) -> Said:
        question = msgspec.json.encode((self.timeout_s, asked, context))
        try:
            process = await self._ready()
        except ConfigError:
            return Said(reason="cannot be loaded: `headworks check` says why")
        is_whole = False
        limit = asyncio.timeout(self.timeout_s)
        try:
            async with limit:
                said = _SAID.decode(await process.ask(question))
            is_whole = True
        except TimeoutError:
            if not limit.expired():
                raise
            return Said(reason=f"gave no answer within {self.timeout_s:g} s")
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
            return Said(reason="ended the process that it ran in")
        finally:
            # After a cancellation, too: the next call must not be given the answer to this one.
            if is_whole:
                self._idle.append(process)
            else:
                await process.end()
        return said

    async def close(self) -> None:
        """End the processes, each when it has answered. Harmless to call twice."""
        for _ in range(PROCESSES):
            await self._turns.acquire()
        try:
            while self._idle:
                await self._idle.pop().end()
        finally:
            for _ in range(PROCESSES):
                self._turns.release()

    async def _ready(self) -> BoundedProcess:
        while self._idle:
            process = self._idle.pop()
            if process.is_alive:
                return process
            await process.end()
        return await BoundedProcess.start(self._path, "answers_main")
