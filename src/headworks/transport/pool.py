"""The connections to one origin and the requests that wait for one.

The mutable state is `_idle` (free connections, the most recently used last), `_waiting` (flights without a
connection, oldest first), `_open` (connections, free or not) and `_dialing` (how many are being made). Every change
goes through `_assign`: a free connection takes the oldest waiting flight; while more wait than are being dialled,
and the limit allows, another is dialled.
"""

import asyncio
from collections import deque

from headworks.body import BodyStream
from headworks.calls import Failure, FailureKind
from headworks.exchange import Sink, Timeouts, UpstreamRequest, WireSink
from headworks.transport.connection import UpstreamConnection
from headworks.transport.flight import PooledFlight, UploadFlight
from headworks.transport.origin import Origin, PoolLimits, dial
from headworks.transport.tunnel import Tunnel, TunnelFlight
from headworks.wheel import Timer, TimerWheel

_REAP_S = 5.0
"""How often idle connections are looked at."""


class UpstreamPool:
    """Implements `exchange.Upstream` for one origin.

    Arguments:
        name: what messages call this upstream.
        origin: where it is.
        limits: bounds on connections and waiting requests.
        connect_s: seconds to make a connection, name resolution, proxy and TLS included.
    """

    def __init__(
        self,
        name: str,
        origin: Origin,
        *,
        limits: PoolLimits,
        connect_s: float,
        wheel: TimerWheel,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.name = name
        self.wheel = wheel
        self.loop = loop
        self.host_line = f"host: {origin.authority}\r\n".encode("ascii")
        self._origin = origin
        self._limits = limits
        self._connect_s = connect_s
        self._idle: list[UpstreamConnection] = []
        self._waiting: deque[PooledFlight] = deque()
        self._open: set[UpstreamConnection] = set()
        self.tunnels: set[Tunnel] = set()
        """Connections that have become wires, and count as none of the pool's any more."""
        self._dialing = 0
        self._dials: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._reap_timer = Timer(self._reap)

    def send(self, request: UpstreamRequest, sink: Sink, timeouts: Timeouts) -> PooledFlight:
        now_s = self.loop.time()
        flight = PooledFlight(self, request, sink, timeouts, now_s)
        idle = self._idle
        while idle:
            connection = idle.pop()
            # As `is_open` has it; pool and connection are one room.
            if not connection._is_closing and not connection._transport.is_closing():  # noqa: SLF001
                connection.start(flight, now_s)
                return flight
        self._wait(flight)
        return flight

    def upload(self, request: UpstreamRequest, body: BodyStream, sink: Sink, timeouts: Timeouts) -> UploadFlight:
        flight = UploadFlight(self, request, body, sink, timeouts, self.loop.time())
        # On a new connection where there may be one: one that lay idle may be gone without our knowing, and what was
        # sent into it could not be sent again.
        self._wait(flight)
        return flight

    def connect(self, request: UpstreamRequest, sink: WireSink, timeouts: Timeouts) -> TunnelFlight:
        flight = TunnelFlight(self, request, sink, timeouts, self.loop.time())
        self._wait(flight)  # on a new connection where there may be one, as above
        return flight

    async def close(self) -> None:
        self._is_closed = True
        self._reap_timer.disarm()
        for task in list(self._dials):
            task.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        for connection in list(self._open):
            flight = connection._flight  # noqa: SLF001 - pool and connection are one room
            connection.close()
            if flight is not None:
                flight.fail(Failure(FailureKind.BROKEN, f"{self.name} was taken out of service"))
        self._open.clear()
        self._idle.clear()
        for tunnel in list(self.tunnels):
            tunnel.cut()
        while self._waiting:
            self._waiting.popleft().fail(Failure(FailureKind.UNREACHABLE, f"{self.name} was taken out of service"))

    @property
    def open_connections(self) -> int:
        """Connections that exist, free or not."""
        return len(self._open)

    # -- what connections and flights call ------------------------------------------------------------------------

    def adopt(self, connection: UpstreamConnection) -> None:
        """Take over a connection that has been made."""
        self._open.add(connection)
        self.connection_free(connection)

    def connection_free(self, connection: UpstreamConnection) -> None:
        """An answer has ended and its connection can serve another request."""
        now_s = self.loop.time()
        if self._is_closed or now_s - connection.born_s > self._limits.max_age_s:
            connection.close()
            self.connection_closed(connection)
            return
        if self._waiting:
            if not connection.is_open:
                self.connection_closed(connection)
                return
            flight = self._next_waiting()
            if flight is not None:
                flight.begin_on(connection, now_s)
                return
        connection.idle_since_s = now_s
        self._idle.append(connection)
        if not self._reap_timer.is_armed:
            self.wheel.arm(self._reap_timer, min(_REAP_S, self._limits.idle_s))

    def connection_closed(self, connection: UpstreamConnection) -> None:
        """A connection is gone, for whatever reason; harmless to say twice."""
        if connection in self._open:
            self._open.discard(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._assign()

    def resend(self, flight: PooledFlight) -> None:
        """Send again on a new connection what a stale one never delivered."""
        flight.is_resent = True
        flight.connection = None
        if not flight.is_over:
            self._wait(flight, first=True)

    def forget(self, flight: PooledFlight) -> None:
        """A waiting flight was cancelled."""
        if flight in self._waiting:
            self._waiting.remove(flight)
        if flight.wait_timer is not None:
            flight.wait_timer.retire()

    # -- steps ----------------------------------------------------------------------------------------------------

    def _wait(self, flight: PooledFlight, *, first: bool = False) -> None:
        if self._is_closed or len(self._waiting) >= self._limits.waiting + self._limits.limit:
            why = "is out of service" if self._is_closed else "has too many requests waiting for a connection"
            # Through the loop, so that a sink is never called inside `send`.
            self.loop.call_soon(flight.fail, Failure(FailureKind.UNREACHABLE, f"{self.name} {why}"))
            return
        if first:
            self._waiting.appendleft(flight)
        else:
            self._waiting.append(flight)
        flight.wait_timer = Timer(lambda: self._waited_too_long(flight))
        # A queue behind busy connections may wait as long as an answer may take; dialling has its own limit.
        self.wheel.arm(flight.wait_timer, min(flight.timeouts.first_byte_s, flight.due_s - self.loop.time()))
        self._assign()

    def _assign(self) -> None:
        """Dial while more flights wait than connections are being made."""
        while (
            not self._is_closed
            and len(self._waiting) > self._dialing
            and len(self._open) + self._dialing < self._limits.limit
        ):
            self._dialing += 1
            task = self.loop.create_task(self._dial())
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    async def _dial(self) -> None:
        failure: Failure
        connection: UpstreamConnection | None = None
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await dial(self._origin, lambda: UpstreamConnection(self), self.loop)
        except TimeoutError:
            failure = Failure(FailureKind.TIMEOUT, f"{self.name} did not take a connection in {self._connect_s:g} s")
        except (OSError, UnicodeError) as error:
            failure = Failure(FailureKind.UNREACHABLE, f"{self.name} cannot be reached: {_reason(error)}")
        finally:
            self._dialing -= 1
        if connection is not None:
            self.adopt(connection)
            return
        flight = self._next_waiting()
        if flight is not None:
            flight.fail(failure)
        self._assign()

    def _next_waiting(self) -> PooledFlight | None:
        while self._waiting:
            flight = self._waiting.popleft()
            if flight.wait_timer is not None:
                flight.wait_timer.retire()
            if not flight.is_over:
                return flight
        return None

    def _waited_too_long(self, flight: PooledFlight) -> None:
        if flight in self._waiting:
            self._waiting.remove(flight)
            flight.fail(Failure(FailureKind.TIMEOUT, f"{self.name} had no free connection in time"))

    def _reap(self) -> None:
        """Close what has lain idle too long; the least recently used lie first."""
        oldest_s = self.loop.time() - self._limits.idle_s
        while self._idle and self._idle[0].idle_since_s <= oldest_s:
            connection = self._idle.pop(0)
            self._open.discard(connection)
            connection.close()
        if self._idle:
            self.wheel.arm(self._reap_timer, min(_REAP_S, self._limits.idle_s))


def _reason(error: OSError | UnicodeError) -> str:
    """The system's words for it, without addresses or file names that the message does not need."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
