"""One request on its way through a pool: waiting for a connection, bound to one, or over."""

import math
from typing import TYPE_CHECKING

from headworks.calls import Failure
from headworks.exchange import Sink, Timeouts, UpstreamRequest
from headworks.wheel import Timer

if TYPE_CHECKING:
    from headworks.transport.connection import UpstreamConnection
    from headworks.transport.pool import UpstreamPool


class PooledFlight:
    """Implements `exchange.Flight`. `due_s` is the loop time at which the whole attempt must be over."""

    __slots__ = (
        "_pool",
        "connection",
        "due_s",
        "is_over",
        "is_resent",
        "request",
        "sink",
        "timeouts",
        "wait_timer",
        "wants_pause",
    )

    def __init__(
        self, pool: "UpstreamPool", request: UpstreamRequest, sink: Sink, timeouts: Timeouts, now_s: float
    ) -> None:
        self._pool = pool
        self.request = request
        self.sink = sink
        self.timeouts = timeouts
        self.due_s = now_s + timeouts.total_s if timeouts.total_s else math.inf
        self.connection: UpstreamConnection | None = None
        self.wait_timer: Timer | None = None
        self.is_over = False
        self.is_resent = False
        self.wants_pause = False

    def pause(self) -> None:
        self.wants_pause = True
        if self.connection is not None and not self.is_over:
            self.connection.pause()

    def resume(self) -> None:
        self.wants_pause = False
        if self.connection is not None and not self.is_over:
            self.connection.resume()

    def cancel(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        if self.connection is not None:
            self.connection.close()
            self._pool.connection_closed(self.connection)
        else:
            self._pool.forget(self)

    def fail(self, failure: Failure) -> None:
        """The attempt has failed."""
        if not self.is_over:
            self.is_over = True
            self.sink.on_failure(failure)
