"""One connection to an authority: made when it is needed, one exchange at a time, dropped at the first doubt.

    link = Link("the control plane", dial, timeout_s=0.25)
    answer = await link.exchange(talk)      # LimitsUnavailable if there is none in time

Nothing is done between exchanges: no task runs, nothing is tried before the first one. An exchange that is broken off
(in time, by an error, by cancellation) leaves an answer under way, so its connection goes with it. After a failure
there is a pause, longer each time, in which exchanges fail at once: an authority that is down is neither waited for
nor hammered.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from headworks.errors import LimitsUnavailable

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
"""Pauses after a failure, in seconds, doubled up to the longest; each is shortened by chance by up to a half, so that
workers do not come back all at once. The longest is what recovery takes after a long outage."""

T = TypeVar("T")


class LinkError(Exception):
    """The other side says something that ends the connection; the words go on into `LimitsUnavailable`."""


class Streams(msgspec.Struct, frozen=True):
    """Both ways of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_open(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())


Dial = Callable[[], Awaitable[Streams]]
Talk = Callable[[Streams, float], Awaitable[T]]


class Link:
    """State: the connection, if there is one; what is wrong, if anything, and when to try again.

    Arguments:
        name: of the other side, for messages; no password in it.
        dial: makes a connection that is ready for exchanges. Raises OSError or `LinkError`.
        timeout_s: most that an exchange takes, seconds; connecting and waiting for another exchange included.
    """

    def __init__(self, name: str, dial: Dial, *, timeout_s: float) -> None:
        self._name = name
        self._dial = dial
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._streams: Streams | None = None
        self._trouble = ""
        self._pause_s = FIRST_PAUSE_S
        self._retry_at_s = 0.0

    async def exchange(self, talk: Talk[T]) -> T:
        """What `talk` returns; it is given the connection and the loop's time at which its exchange is given up.

        Raises:
            LimitsUnavailable: not reachable, no answer in time, or an answer that is none.
        """
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._timeout_s
        try:
            async with asyncio.timeout_at(due_s), self._lock:
                self._refuse_in_pause(loop.time())
                result = await self._attempt(talk, due_s)
        except TimeoutError as error:
            self._fail(loop.time(), f"did not answer within {self._timeout_s:g} s")
            raise LimitsUnavailable(self._words()) from error
        self._trouble = ""
        self._pause_s = FIRST_PAUSE_S
        return result

    async def close(self) -> None:
        """Let go of the connection. Harmless to call twice."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.writer.close()
            with contextlib.suppress(OSError):  # it may be broken already, which is what is wanted
                await streams.writer.wait_closed()

    async def _attempt(self, talk: Talk[T], due_s: float) -> T:
        try:
            streams = self._streams
            if streams is None or not streams.is_open:
                self._drop()
                streams = self._streams = await self._dial()
            return await talk(streams, due_s)
        except TimeoutError:  # the system's own, while connecting, or ours
            raise
        except (OSError, EOFError, LinkError) as error:
            self._fail(asyncio.get_running_loop().time(), _reason(error))
            raise LimitsUnavailable(self._words()) from error
        except BaseException:
            self._drop()
            raise

    def _refuse_in_pause(self, now_s: float) -> None:
        left_s = self._retry_at_s - now_s
        if self._trouble and left_s > 0:
            raise LimitsUnavailable(f"{self._words()}; it is tried again in {left_s:.1f} s")

    def _fail(self, now_s: float, trouble: str) -> None:
        self._drop()
        self._trouble = trouble
        self._retry_at_s = now_s + self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)

    def _words(self) -> str:
        return f"the authority over limits, {self._name}, {self._trouble}"

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.writer.transport.abort()


def _reason(error: Exception) -> str:
    if isinstance(error, LinkError):
        return str(error)
    if isinstance(error, EOFError):
        return "closed the connection"
    assert isinstance(error, OSError)
    return f"cannot be reached: {error.strerror or error}"
