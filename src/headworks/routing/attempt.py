"""One attempt at a streamed answer: it goes through piece by piece; the call waits only for its first piece and for
its end."""

from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Protocol

from headworks.calls import AttemptFailed, Failure, FailureKind
from headworks.flow import Signal


class Steps(Protocol):
    """What a streamed answer goes through on its way: `dialects` implements it, for relaying and translating."""

    def feed(self, data: bytes) -> bytes:
        """What to send on for what came in; may be nothing."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the end that the dialect promises has been seen (and is part of the last `feed`'s result)."""
        ...

    @property
    def has_content(self) -> bool:
        """Whether anything that a model generated, or a tool did, is part of what `feed` has returned."""
        ...


class Later(Protocol):
    """`asyncio.AbstractEventLoop.call_later`."""

    def __call__(self, delay: float, _then: Callable[[], None], /) -> TimerHandle: ...


LONGEST_HOLD_S = 15.0
MOST_HELD = 64
"""For so long, and up to so many pieces, the beginning of a stream that has no content yet waits for it: somebody else
may give the answer until then. Proxies close connections on which nothing comes for a minute (nginx,
`proxy_read_timeout`); a model that thinks in silence must not be taken for one that is gone."""


_STREAMS = (b"text/event-stream", b"application/vnd.amazon.eventstream")
"""What a stream of events is: of text, or AWS's own."""


class StreamSink:
    """Sends a streamed answer on while it comes.

    `started` ends when the first piece that has content has come (or the whole body, for an error answer), or with a
    `Failure`. Then `forward` is set by the call, and pieces go there. The piece that
    completes the stream is held back in `last`, for the call must be settled before the caller sees it; `ended`
    ends with None then, or with a `Failure`.

    Arguments:
        steps: what it goes through.
        later: runs something later; without it, the first piece is taken for content.
    """

    __slots__ = (
        "_is_error",
        "_later",
        "_parts",
        "_steps",
        "_timer",
        "ended",
        "error_body",
        "first_s",
        "forward",
        "head_s",
        "headers",
        "last",
        "started",
        "status",
    )

    def __init__(self, steps: Steps | None, later: Later | None = None) -> None:
        self._steps = steps
        self._later = later
        self._timer: TimerHandle | None = None
        self._parts: list[bytes] = []
        self._is_error = False
        self.started: Signal[Failure | None] = Signal()
        self.ended: Signal[Failure | None] = Signal()
        self.forward: Callable[[bytes], None] | None = None
        self.status = 0
        self.headers: Mapping[bytes, bytes] = {}
        self.head_s = 0.0
        self.first_s = 0.0
        self.last = b""
        self.error_body = b""

    def take(self) -> bytes:
        """What has come before `forward` was set."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers
        self.head_s = perf_counter()
        self._is_error = status >= 300
        if self._steps is not None and not self._is_error:
            kind = headers.get(b"content-type", b"")
            if not kind.startswith(_STREAMS):
                self._is_error = True  # a promise not kept: gather it, the call will say what it is

    def on_body(self, data: bytes) -> None:
        steps = self._steps
        if self._is_error or self.ended.is_set:
            if self._is_error and sum(map(len, self._parts)) < _ERROR_BYTES:
                self._parts.append(data)
            return
        if steps is not None:
            try:
                data = steps.feed(data)
            except AttemptFailed as error:  # what came is not what its dialect promises, or says that it failed
                self.on_failure(error.failure)
                return
            if steps.is_complete:
                self.last = data
                self.ended.set(None)
                self._start()
                return
            if not data:
                return
        if self.forward is not None:
            self.forward(data)
            return
        self._parts.append(data)
        if steps is not None and self._later is not None and not steps.has_content and len(self._parts) < MOST_HELD:
            if self._timer is None:
                self._timer = self._later(LONGEST_HOLD_S, self._start)
        else:
            self._start()

    def on_end(self) -> None:
        if self._is_error:
            self.error_body = self.take()
            self._start()
        if self.ended.is_set:
            return
        if self._steps is not None and not self._is_error:
            self.on_failure(Failure(FailureKind.BROKEN, "the stream ended before its last event", self.status))
            return
        self._start()
        self.ended.set(None)

    def on_failure(self, failure: Failure) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.started.is_set:
            self.started.set(failure)
        if not self.ended.is_set:
            self.ended.set(failure)

    @property
    def is_error(self) -> bool:
        """Whether this is not the stream that was asked for; `error_body` holds what came instead."""
        return self._is_error

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.started.is_set:
            if not self._is_error:  # of an error's body nothing is content
                self.first_s = perf_counter()
            self.started.set(None)


class Gathering:
    """Gathers one answer whole. `ended` ends with None when all of it has come, or with a `Failure`.

    Arguments:
        most_bytes: bound on the answer.
    """

    __slots__ = ("_most_bytes", "_parts", "_size", "ended", "head_s", "headers", "status")

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []
        self._size = 0
        self.ended: Signal[Failure | None] = Signal()
        self.status = 0
        self.headers: Mapping[bytes, bytes] = {}
        self.head_s = 0.0

    @property
    def body(self) -> bytes:
        """What has come."""
        return b"".join(self._parts)

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers
        self.head_s = perf_counter()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._most_bytes:
            self.on_failure(Failure(FailureKind.INVALID, f"the answer is over {self._most_bytes} bytes", self.status))
        else:
            self._parts.append(data)

    def on_end(self) -> None:
        if not self.ended.is_set:
            self.ended.set(None)

    def on_failure(self, failure: Failure) -> None:
        if not self.ended.is_set:
            self.ended.set(failure)


_ERROR_BYTES = 1024 * 1024
"""Of an error answer to a streamed call, no more than this is kept."""
