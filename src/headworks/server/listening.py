"""A listening HTTP server in one process: its connections, its limits, its graceful stop."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable
from email.utils import formatdate

from headworks.exchange import Application
from headworks.server.connection import Connection
from headworks.server.known_head import SharedHeads
from headworks.server.settings import ServerLimits
from headworks.wheel import Timer, TimerWheel

_BACKLOG = 2048
_WRITE_HIGH_WATER_BYTES = 64 * 1024
"""Unsent bytes of a connection from which the upstream is told to pause: enough for a burst of chunks."""

_LAST_WORDS_S = 1.0
"""How long clients may take to be told that their answer was broken off, in seconds."""


class HttpServer:
    """Serves an application on listening sockets.

    State: `connections`; `buffered_bytes`, which is at all times the sum of request bodies held; `is_stopping`.
    `application` may be replaced at any time (configuration reload): requests under way keep the one they
    started with.

    Arguments:
        application: what answers requests.
        limits: bounds on clients.
        wheel: the worker's timer wheel.
        known_paths: paths that need no checking: a short cut.
        slashes_below: paths, ending in a slash, below which one name stands that may hold encoded slashes.
        drops_waiting: where there are as many connections as there may be, whoever has kept us waiting longest goes for
            a new one. Else the new one is refused.
    """

    def __init__(
        self,
        application: Application,
        *,
        limits: ServerLimits,
        wheel: TimerWheel,
        loop: asyncio.AbstractEventLoop,
        known_paths: Iterable[str] = (),
        slashes_below: Iterable[str] = (),
        drops_waiting: bool = False,
    ) -> None:
        self.application = application
        self.limits = limits
        self.wheel = wheel
        self.loop = loop
        self._drops_waiting = drops_waiting
        self.slashes_below = tuple(path.encode() for path in slashes_below)
        self.known_targets = {path.encode(): (path, "") for path in known_paths}
        self.connections: dict[Connection, None] = {}
        self.shared_heads = SharedHeads()
        self.buffered_bytes = 0
        self.is_stopping = False
        self._listeners: list[asyncio.Server] = []
        self._all_closed = asyncio.Event()
        self._date_timer = Timer(self._refresh_date)
        self.date_line = b""
        self._refresh_date()

    async def listen(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Take connections on a bound socket, with TLS if a context is given."""
        self._listeners.append(
            await self.loop.create_server(
                lambda: Connection(self),
                sock=listener,
                ssl=tls,
                backlog=_BACKLOG,
                ssl_handshake_timeout=self.limits.header_timeout_s if tls else None,
            )
        )

    async def stop(self, grace_s: float) -> int:
        """Take no new connections, let exchanges under way finish for `grace_s` seconds, then break them.

        Returns how many had to be broken.
        """
        self.is_stopping = True
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.stop()
        broken = 0
        if self.connections:
            self._all_closed.clear()
            try:
                await asyncio.wait_for(self._all_closed.wait(), grace_s)
            except TimeoutError:
                broken = len(self.connections)
                await self._break_off()
        self._date_timer.disarm()
        return broken

    async def _break_off(self) -> None:
        """End what is under way with an error that says why, and close what will not be told."""
        for connection in list(self.connections):
            connection.break_off()
        try:
            await asyncio.wait_for(self._all_closed.wait(), _LAST_WORDS_S)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            await self._all_closed.wait()

    def connection_opened(self, connection: Connection) -> bool:
        """Note a new connection; False if there are too many."""
        if len(self.connections) >= self.limits.connections and self._drops_waiting:
            self._drop_waiting()
        self.connections[connection] = None
        transport = connection._transport  # noqa: SLF001 - server and connection are one room
        transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER_BYTES)
        return len(self.connections) <= self.limits.connections

    def connection_closed(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        if not self.connections:
            self._all_closed.set()

    def _drop_waiting(self) -> None:
        """Break the oldest connection that waits for its client, and so costs nobody an answer."""
        oldest = next((one for one in self.connections if one.waits_for_client), None)
        if oldest is not None:
            del self.connections[oldest]  # it learns of it in a later turn, and is not to be chosen again
            oldest.abort()

    def _refresh_date(self) -> None:
        """The Date header (RFC 9110 §6.6.1) has a resolution of a second, so it is rendered once a second."""
        self.date_line = b"date: %b\r\n" % formatdate(time.time(), usegmt=True).encode()
        self.wheel.arm(self._date_timer, 1.0)


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """A bound TCP socket; `shared` lets the workers of one gateway listen on the same port (SO_REUSEPORT).

    Raises OSError when the address is not to be had; without `shared` also when another gateway shares it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
