"""The answer to one request on a socket: its head, its framing, its end."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from headworks.exchange import Running

if TYPE_CHECKING:
    from headworks.server.connection import Connection
    from headworks.server.listening import HttpServer

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
STATUS_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(100, 1000)}
"""Of every status that an upstream can send: Anthropic's 529 has no name, and needs none (RFC 9112 §4)."""
_NO_CONTENT = 204
_LAST_CHUNK = b"0\r\n\r\n"


class SocketReply:
    """The answer to one request on a socket; implements `exchange.Reply`."""

    __slots__ = (
        "_connection",
        "_is_begun",
        "_is_chunked",
        "_is_head",
        "_is_http10",
        "_server",
        "_transport",
        "held_bytes",
        "is_over",
        "keeps_alive",
        "pause",
        "resume",
        "running",
    )

    def __init__(
        self,
        connection: "Connection",
        server: "HttpServer",
        transport: asyncio.WriteTransport,
        *,
        keeps_alive: bool = True,
        is_http10: bool = False,
        is_head: bool = False,
    ) -> None:
        self._connection = connection
        self._server = server
        self._transport = transport
        self.keeps_alive = keeps_alive
        self._is_http10 = is_http10
        self._is_head = is_head
        self._is_chunked = False
        self._is_begun = False
        self.is_over = False
        self.held_bytes = 0
        self.running: Running | None = None
        self.pause: Callable[[], None] | None = None
        self.resume: Callable[[], None] | None = None

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        if self.is_over:
            return
        length = len(body)
        if self._is_head:
            body = b""  # its bytes would be read as the next answer (RFC 9110 §9.3.2)
        line = STATUS_LINES[status]
        server = self._server
        is_usual = self.keeps_alive and not self._is_http10 and not server.is_stopping
        persistence = b"" if is_usual else self._persistence()
        if status == _NO_CONTENT:
            # No length and no body (RFC 9110 §8.6, §15.3.5).
            self._transport.write(b"%b%b%b%b\r\n" % (line, server.date_line, persistence, headers))
        else:
            self._transport.write(
                b"%b%b%b%bcontent-length: %d\r\n\r\n%b" % (line, server.date_line, persistence, headers, length, body)
            )
        self.is_over = True
        self.running = None
        self._connection.reply_finished(self)

    def begin(self, status: int, headers: bytes, first: bytes = b"", length: int | None = None) -> None:
        if self.is_over:
            return
        self._is_begun = True
        if self._is_head:
            first = b""
        if length is not None:
            framing = b"content-length: %d\r\n\r\n%b" % (length, first)
        elif self._is_http10:
            # HTTP/1.0 knows no chunks: the body ends with the connection (RFC 9112 §6.3).
            self.keeps_alive = False
            framing = b"\r\n" + first
        else:
            self._is_chunked = not self._is_head
            framing = b"transfer-encoding: chunked\r\n\r\n"
            if first:
                framing += b"%x\r\n%b\r\n" % (len(first), first)
        self._transport.write(
            b"%b%b%b%b%b" % (STATUS_LINES[status], self._server.date_line, self._persistence(), headers, framing)
        )

    def write(self, data: bytes) -> None:
        if self.is_over or not data or self._is_head:
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)

    def end(self, data: bytes = b"") -> None:
        if self.is_over:
            return
        if self._is_chunked:
            self._transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else _LAST_CHUNK)
        elif data and not self._is_head:
            self._transport.write(data)
        self._finish()

    def abort(self) -> None:
        if self.is_over:
            return
        self.keeps_alive = False
        self._finish(is_broken=True)

    def set_flow(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self.pause = pause
        self.resume = resume
        if self._connection.is_write_paused and not self.is_over:
            pause()

    def _persistence(self) -> bytes:
        if not self.keeps_alive or self._server.is_stopping:
            self.keeps_alive = False
            return b"connection: close\r\n"
        return b"connection: keep-alive\r\n" if self._is_http10 else b""

    def _finish(self, *, is_broken: bool = False) -> None:
        self.is_over = True
        self.running = self.pause = self.resume = None
        self._connection.reply_finished(self, is_broken=is_broken)
