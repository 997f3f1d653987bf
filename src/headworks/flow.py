"""Running a coroutine without a task: it goes on at once, inside the event that it waited for.

An `asyncio.Task` sleeps a turn of the loop at its start and after each wait, and every turn is a system call. A `Flow`
runs its coroutine up to the first wait when it is started, and each `Signal` that is set resumes it there and then. A
coroutine in a flow may also await futures of asyncio (a look-up in a thread, a sleep); what needs a current task
(`asyncio.timeout`) is not for it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Signal(Generic[T]):
    """Something that happens once and has a value. At most one flow waits for it."""

    __slots__ = ("_flow", "is_set", "value")

    value: T

    def __init__(self) -> None:
        self.is_set = False
        self._flow: Flow | _Bell | None = None

    def set(self, value: T) -> None:
        """It has happened. Whoever waits goes on before this returns; a second time is an error of ours."""
        assert not self.is_set, "a signal is set once"
        self.is_set = True
        self.value = value
        flow = self._flow
        if flow is not None:
            self._flow = None
            flow.resume()

    def __await__(self) -> Generator["Signal[T]", None, T]:
        if not self.is_set:
            yield self
        return self.value


class _Bell:
    """Stands in a flow's place at several signals. State: whether one of them has happened."""

    __slots__ = ("rung",)

    def __init__(self) -> None:
        self.rung: Signal[None] = Signal()

    def resume(self) -> None:
        if not self.rung.is_set:
            self.rung.set(None)


async def any_of(*signals: Signal[Any]) -> None:
    """Wait until one of these has happened. Nobody else may wait for any of them in the meantime."""
    if any(signal.is_set for signal in signals):
        return
    bell = _Bell()
    for signal in signals:
        signal._flow = bell  # noqa: SLF001 - as in `Flow`
    try:
        await bell.rung
    finally:
        for signal in signals:
            signal._flow = None  # noqa: SLF001


class Ending:
    """How a flow's coroutine wants to be asked to end before its time; while `act` is None, it is cancelled."""

    __slots__ = ("act",)

    def __init__(self) -> None:
        self.act: Callable[[], None] | None = None


class Flow:
    """One coroutine on its way. State: what it waits for; whether it runs just now.

    Arguments:
        coroutine: what to run.
        finished: called once when it has ended, however it ended.
        ending: what the coroutine was given, if it wants to end in a way of its own.
    """

    __slots__ = ("_coroutine", "_ending", "_finished", "_is_cancelled", "_is_running", "_loop", "_waits_for")

    def __init__(
        self,
        coroutine: Coroutine[Any, None, None],
        loop: asyncio.AbstractEventLoop,
        finished: Callable[["Flow"], None],
        ending: Ending | None = None,
    ) -> None:
        self._coroutine = coroutine
        self._ending = ending
        self._loop = loop
        self._finished = finished
        self._waits_for: Signal[Any] | asyncio.Future[Any] | None = None
        self._is_running = False
        self._is_cancelled = False

    def resume(self, error: BaseException | None = None) -> None:
        """Run up to the next wait; with an error, raise it where the coroutine waits."""
        if self._is_cancelled:
            self._is_cancelled = False
            error = asyncio.CancelledError()
        self._is_running = True
        try:
            waits_for = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except (StopIteration, asyncio.CancelledError):
            self._end()
            return
        except Exception as escaped:  # noqa: BLE001 - nobody awaits a flow: what escapes it goes to the loop, as a task's
            self._end()
            self._loop.call_exception_handler({"message": "a flow ended with an exception", "exception": escaped})
            return
        self._is_running = False
        self._waits_for = waits_for
        if isinstance(waits_for, Signal):
            waits_for._flow = self  # noqa: SLF001 - a signal and the flow that waits for it are one mechanism
        elif waits_for is None:
            self._loop.call_soon(self.resume)  # a bare `asyncio.sleep(0)`
        else:
            waits_for._asyncio_future_blocking = False  # noqa: SLF001 - the protocol of asyncio futures
            waits_for.add_done_callback(self._future_done)
        if self._is_cancelled:
            self._is_cancelled = False
            self.cancel()

    def cancel(self) -> None:
        """Raise `asyncio.CancelledError` where the coroutine waits; harmless after its end."""
        waits_for, self._waits_for = self._waits_for, None
        if self._is_running or waits_for is None:
            # It is on the stack below us and hears of it at its next wait; or it gave the loop a turn, and hears then.
            self._is_cancelled = True
            return
        if isinstance(waits_for, Signal):
            waits_for._flow = None  # noqa: SLF001
        else:
            waits_for.remove_done_callback(self._future_done)
            waits_for.cancel()
        self.resume(asyncio.CancelledError())

    def stop(self) -> None:
        """Ask it to end now."""
        if self._ending is None or self._ending.act is None:
            self.cancel()
        else:
            self._ending.act()

    def _future_done(self, future: "asyncio.Future[Any]") -> None:
        if self._waits_for is future:  # if not, it was cancelled when this was on its way
            self.resume()

    def _end(self) -> None:
        self._is_running = False
        self._waits_for = None
        self._finished(self)
