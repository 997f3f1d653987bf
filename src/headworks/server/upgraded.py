"""A client connection that has become a wire: an HTTP request was its last, and frames of another protocol follow.

    bind -> hold -> accept -> data both ways -> close | abort | lost

The connection itself goes on existing behind it: it stands among the server's, its reply is under way, so that a stop
of the server finds it, and its time limit for what the client takes holds.
"""

import asyncio
from typing import TYPE_CHECKING

from headworks.exchange import Wire, WireEnd
from headworks.server.reply import STATUS_LINES, SocketReply

if TYPE_CHECKING:
    from headworks.server.connection import Connection
    from headworks.server.listening import HttpServer

_EARLY_BYTES = 64 * 1024
"""A client may not speak before it is answered (RFC 6455 §4.1), but what was on its way with the request is kept."""


class UpgradedSocket(asyncio.Protocol):
    """Implements `exchange.Upgrade` and, once it is accepted, `exchange.Wire`.

    State: who listens, and what came before somebody did.
    """

    __slots__ = ("_connection", "_early", "_end", "_is_closed", "_is_paused", "_reply", "_server", "_transport")

    def __init__(self, connection: "Connection", server: "HttpServer", transport: asyncio.Transport) -> None:
        self._connection = connection
        self._server = server
        self._transport = transport
        self._reply: SocketReply | None = None
        self._end: WireEnd | None = None
        self._early = b""
        self._is_closed = False
        self._is_paused = False

    # -- what the connection calls --------------------------------------------------------------------------------

    def bind(self, reply: SocketReply) -> None:
        """Its request is here whole; the connection ends with the answer, whatever it is."""
        self._reply = reply
        reply.keeps_alive = False

    def hold(self, data: bytes) -> None:
        """Take what came behind the request. Reading goes on, or nobody would see that the client has gone."""
        if data:
            self.data_received(data)

    # -- what the application calls -------------------------------------------------------------------------------

    def accept(self, headers: bytes, end: WireEnd) -> Wire:
        """See `exchange.Upgrade`."""
        assert self._reply is not None, "a request is handled when it is here"
        if self._reply.is_over:
            self._is_closed = True  # the client has gone meanwhile
            return self
        self._transport.write(
            b"%b%bupgrade: websocket\r\nconnection: Upgrade\r\n%b\r\n"
            % (STATUS_LINES[101], self._server.date_line, headers)
        )
        self._end = end
        if self._early:
            self._server.loop.call_soon(self._give_early)
        return self

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
        if self._is_closed:
            return
        self._is_closed = True
        self.resume()  # or the client's own end would not be seen
        reply = self._reply
        if reply is not None and not reply.is_over:
            reply.is_over = True
            reply.running = None
            self._connection.upgrade_ended(reply)

    def abort(self) -> None:
        """See `exchange.Wire`."""
        if not self._is_closed:
            self._is_closed = True
            self._transport.abort()

    # -- what asyncio calls ---------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._is_closed:
            return
        if self._end is not None and not self._early:
            self._end.on_data(data)
            return
        self._early += data
        if len(self._early) > _EARLY_BYTES:
            self._transport.abort()

    def _give_early(self) -> None:
        """What came too early goes out in a turn of its own: who accepts is not called back meanwhile."""
        early, self._early = self._early, b""
        if self._end is not None and not self._is_closed:
            self._end.on_data(early)

    def pause_writing(self) -> None:
        self._connection.pause_writing()
        if self._end is not None and not self._is_closed:
            self._end.on_full()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
        if self._end is not None and not self._is_closed:
            self._end.on_free()

    def connection_lost(self, exc: Exception | None) -> None:
        is_news, self._is_closed = not self._is_closed, True
        reply, end = self._reply, self._end
        self._end = None
        if reply is not None and end is not None:
            reply.running = None  # who listens is told, and ends what it does in its own way
        self._connection.connection_lost(exc)
        self._connection.let_upgrade_go()
        if end is not None and is_news:
            end.on_lost()
