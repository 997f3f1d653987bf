"""Threads for what may block and is not ours: nothing in them can keep a process from ending, or a loop from going on.

The executors of the standard library wait for their threads when Python ends; code of another package may never return.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")

_Job = Callable[[], None]


class SideThreads:
    """Runs functions in up to `most` threads, which are started when they are needed. State: how many there are, and
    how many jobs wait or run."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = 0
        self._busy = 0

    def run(self, loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> "asyncio.Future[T]":
        """The result of a function, from the loop that this is called on. To cancel it does not stop the function."""
        done: asyncio.Future[T] = loop.create_future()
        self._busy += 1
        if self._busy > self._threads and self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put(partial(self._do, loop, function, done))
        return done

    def close(self) -> None:
        """Let the threads end when they have done what they do. Nothing may be run any more."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _do(self, loop: asyncio.AbstractEventLoop, function: Callable[[], T], done: "asyncio.Future[T]") -> None:
        if done.cancelled():  # nobody waits any more; the loop may see it later than this
            settle = partial(self._settled, done)
        else:
            try:
                settle = partial(self._settled, done, function())
            except BaseException as error:  # noqa: BLE001 - not our code: not even its SystemExit is ours
                settle = partial(self._settled, done, error=error)
        with suppress(RuntimeError):  # the loop has been closed: nobody is there to be told
            loop.call_soon_threadsafe(settle)

    def _settled(
        self, done: "asyncio.Future[T]", result: T | None = None, *, error: BaseException | None = None
    ) -> None:
        self._busy -= 1
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # it is a T, or nobody asks
        else:
            done.set_exception(error if isinstance(error, Exception) else RuntimeError(type(error).__name__))
