"""A connection that has become a wire: the upstream has changed to the protocol that a request asked for.

It counts among its pool's connections only until then: a session that lasts an hour must not take the place of calls
that last a second.
"""

import asyncio
from typing import TYPE_CHECKING

from headworks.calls import Failure, FailureKind
from headworks.exchange import Timeouts, UpstreamRequest, WireEnd, WireSink
from headworks.transport.flight import PooledFlight

if TYPE_CHECKING:
    from headworks.transport.connection import UpstreamConnection
    from headworks.transport.pool import UpstreamPool

_HIGH_WATER_BYTES = 64 * 1024
"""Unsent bytes from which whoever writes is told to pause."""


class Tunnel(asyncio.Protocol):
    """Implements `exchange.Wire`. State: who listens, and whether it is over."""

    __slots__ = ("_end", "_is_closed", "_is_paused", "_pool", "_transport")

    def __init__(self, pool: "UpstreamPool", transport: asyncio.Transport) -> None:
        self._pool = pool
        self._transport = transport
        self._end: WireEnd | None = None
        self._is_closed = False
        self._is_paused = False
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        transport.set_protocol(self)

    def attach(self, end: WireEnd, rest: bytes) -> None:
        """Have what comes in go there, first what came along with the answer."""
        self._end = end
        if rest and not self._is_closed:
            end.on_data(rest)

    def write(self, data: bytes) -> None:
        """See `exchange.Wire`."""
        if not self._is_closed:
            self._transport.write(data)

    def pause(self) -> None:
        """See `exchange.Wire`."""
        if not self._is_paused and not self._transport.is_closing():
            self._is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """See `exchange.Wire`."""
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """See `exchange.Wire`."""
        if not self._is_closed:
            self._leave()
            self._transport.close()

    def abort(self) -> None:
        """See `exchange.Wire`."""
        if not self._is_closed:
            self._leave()
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._end is not None and not self._is_closed:
            self._end.on_data(data)

    def pause_writing(self) -> None:
        if self._end is not None and not self._is_closed:
            self._end.on_full()

    def resume_writing(self) -> None:
        if self._end is not None and not self._is_closed:
            self._end.on_free()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        end = self._end
        is_news = not self._is_closed
        self._leave()
        if end is not None and is_news:
            end.on_lost()

    def cut(self) -> None:
        """The pool is closed: end it as the upstream would, so that whoever listens hears of it."""
        self._transport.abort()

    def _leave(self) -> None:
        self._is_closed = True
        self._end = None
        self._pool.tunnels.discard(self)


class TunnelFlight(PooledFlight):
    """A request to change to another protocol: sent once."""

    __slots__ = ("_wire_sink",)

    def __init__(
        self, pool: "UpstreamPool", request: UpstreamRequest, sink: WireSink, timeouts: Timeouts, now_s: float
    ) -> None:
        super().__init__(pool, request, sink, timeouts, now_s)
        self._wire_sink = sink
        self.is_resent = True

    def begin_on(self, connection: "UpstreamConnection", now_s: float) -> None:  # noqa: ARG002 - as in `PooledFlight`
        connection.start_upgrade(self)

    def take_over(self, connection: "UpstreamConnection", rest: bytes) -> bool:
        transport, headers = connection.hand_over()
        if self.is_over:
            transport.abort()
            return True
        self.is_over = True
        tunnel = Tunnel(self._pool, transport)
        self._pool.tunnels.add(tunnel)
        end = self._wire_sink.on_wire(headers, tunnel)
        if end is None:
            tunnel.abort()
            self.sink.on_failure(
                Failure(FailureKind.INVALID, f"{self._pool.name} changed to another protocol than it was asked for")
            )
        else:
            tunnel.attach(end, rest)
        return True
