"""One request on its way through a pool: waiting for a connection, bound to one, or over."""

import math
from typing import TYPE_CHECKING

from headworks.body import BodyStream
from headworks.calls import Failure, FailureKind
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

    def begin_on(self, connection: "UpstreamConnection", now_s: float) -> None:
        """Be sent on this connection; `now_s` is the loop's time."""
        connection.start(self, now_s)

    def take_over(self, connection: "UpstreamConnection", rest: bytes) -> bool:  # noqa: ARG002 - others do
        """The upstream has changed to another protocol, in which it goes on with `rest`; False where nobody asked."""
        return False

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


class UploadFlight(PooledFlight):
    """A request whose body comes piece by piece: what has gone up is nowhere any more, so it is sent once."""

    __slots__ = ("body",)

    def __init__(
        self,
        pool: "UpstreamPool",
        request: UpstreamRequest,
        body: BodyStream,
        sink: Sink,
        timeouts: Timeouts,
        now_s: float,
    ) -> None:
        super().__init__(pool, request, sink, timeouts, now_s)
        self.body = body
        self.is_resent = True

    def begin_on(self, connection: "UpstreamConnection", now_s: float) -> None:  # noqa: ARG002 - as above
        connection.start_upload(self, self.body)

    def cancel(self) -> None:
        super().cancel()
        self.body.abandon()

    def fail(self, failure: Failure) -> None:
        self.body.abandon()
        super().fail(failure)

    def refused(self) -> None:
        """Its body broke off on its way to us."""
        connection = self.connection
        if self.is_over:
            return
        if connection is not None:
            connection.close()
            self._pool.connection_closed(connection)
        self.fail(Failure(FailureKind.BROKEN, "the request's body did not come to its end"))
