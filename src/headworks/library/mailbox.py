"""An answer in memory: the gateway writes it on its loop, a caller reads it on another thread or loop."""

from collections.abc import Callable
from concurrent.futures import Future

from headworks.exchange import Running

_HIGH_WATER_PIECES = 64
"""Pieces of a stream that lie unread before the upstream is told to pause."""


class Mailbox:
    """Implements `exchange.Reply` in memory: a head, then pieces, read from another thread or loop.

    `deliver` is called on the gateway's loop with each piece; None ends the body, an exception breaks it.
    """

    def __init__(self, deliver: Callable[[bytes | BaseException | None], None]) -> None:
        self.head: Future[tuple[int, bytes]] = Future()
        self.running: Running | None = None
        self.unread = 0
        self._deliver = deliver
        self._pause: Callable[[], None] | None = None
        self._resume: Callable[[], None] | None = None
        self._is_paused = False
        self._is_over = False

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        self.begin(status, headers, body, len(body))
        self.end()

    def begin(self, status: int, headers: bytes, first: bytes = b"", length: int | None = None) -> None:  # noqa: ARG002
        if not self._is_over and not self.head.done():
            self.head.set_result((status, headers))
            self.write(first)

    def write(self, data: bytes) -> None:
        if self._is_over or not data:
            return
        self.unread += 1
        self._deliver(data)
        if self.unread > _HIGH_WATER_PIECES and self._pause is not None and not self._is_paused:
            self._is_paused = True
            self._pause()

    def end(self, data: bytes = b"") -> None:
        self.write(data)
        if not self._is_over:
            self._is_over = True
            self._deliver(None)

    def abort(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        broken = ConnectionError("the answer broke off")
        if not self.head.done():
            self.head.set_exception(broken)
        self._deliver(broken)

    def set_flow(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pause, self._resume = pause, resume

    def cancel(self) -> None:
        """The reader has gone."""
        self._is_over = True
        if self.running is not None:
            self.running.cancel()

    def resume(self) -> None:
        """The reader has taken what lay here."""
        self.unread = 0
        if self._is_paused and self._resume is not None and not self._is_over:
            self._is_paused = False
            self._resume()
