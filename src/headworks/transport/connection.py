"""One connection to an upstream: a request out, its answer's head and body in, again and again.

    IDLE -> (start) -> SENT -> (head) -> ANSWERING -> (end) -> IDLE | CLOSED

A flight is bound to a connection from `start` to its end. Whatever ends the connection ends the flight: an answer
that did not finish is a `Failure`, never a short answer.
"""

import asyncio
import math
from typing import TYPE_CHECKING, cast

import httptools

from headworks.body import BodyStream
from headworks.calls import Failure, FailureKind
from headworks.errors import Refusal
from headworks.headers import RawHeaders
from headworks.wheel import Timer

if TYPE_CHECKING:
    from headworks.transport.flight import PooledFlight, UploadFlight
    from headworks.transport.pool import UpstreamPool

_HEAD_BYTES = 64 * 1024
"""Bound on an answer's head: providers send some 30 headers and 3 KB."""

_BODILESS = frozenset({204, 304})


class UpstreamConnection(asyncio.Protocol):
    """State: `_flight` (None when idle) and how far its answer has come."""

    __deletable__ = ("_parser",)  # for mypyc, which compiles this
    __slots__ = (
        "_flight",
        "_has_bytes",
        "_head",
        "_head_start",
        "_headers",
        "_is_closing",
        "_is_complete",
        "_is_paused",
        "_keeps_alive",
        "_parser",
        "_pool",
        "_status",
        "_timer",
        "_transport",
        "_upload",
        "born_s",
        "idle_since_s",
        "served",
    )

    def __init__(self, pool: "UpstreamPool") -> None:
        self._pool = pool
        self._flight: PooledFlight | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._timer = Timer(self._timed_out)
        self._headers = _NO_HEADERS
        self._status = 0
        self._head = b""
        self._head_start = 0
        self._has_bytes = False
        self._is_closing = False
        self._is_complete = False
        self._keeps_alive = False
        self._is_paused = False
        self._upload: BodyStream | None = None
        self.born_s = pool.loop.time()
        self.idle_since_s = self.born_s
        self.served = 0

    # -- what the pool and the flight call ------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return not self._is_closing and not self._transport.is_closing()

    def start(self, flight: "PooledFlight", now_s: float) -> None:
        """Send the flight's request; the connection is the flight's until its answer has ended. `now_s` is the loop's
        time."""
        self._flight = flight
        flight.connection = self
        self._status = 0
        self._head = b""
        self._head_start = 0
        self._has_bytes = False
        self._is_complete = False
        request = flight.request
        body = request.body
        self._transport.write(
            b"%b%b%bcontent-length: %d\r\n\r\n%b"
            % (request.line, self._pool.host_line, request.headers, len(body), body)
        )
        due_s = now_s + flight.timeouts.first_byte_s
        self._pool.wheel.arm_at(self._timer, due_s if due_s < flight.due_s else max(flight.due_s, now_s))
        if flight.wants_pause:
            self.pause()

    def start_upload(self, flight: "UploadFlight", body: BodyStream) -> None:
        """The same with a body that comes piece by piece. Until its end the answer is not waited for, only the whole
        attempt has its time: who sends the body is bound by whoever receives it."""
        self._flight = flight
        flight.connection = self
        self._status = 0
        self._head = b""
        self._head_start = 0
        self._has_bytes = False
        self._is_complete = False
        self._upload = body
        request, transport = flight.request, self._transport
        framing = b"transfer-encoding: chunked" if body.length is None else b"content-length: %d" % body.length
        transport.write(b"%b%b%b%b\r\n\r\n" % (request.line, self._pool.host_line, request.headers, framing))
        self._arm(math.inf)
        is_chunked = body.length is None

        def write(data: bytes) -> None:
            transport.write(b"%x\r\n%b\r\n" % (len(data), data) if is_chunked else data)

        def ended(refusal: Refusal | None) -> None:
            self._upload = None
            if refusal is not None:
                flight.refused()
                return
            if is_chunked:
                transport.write(b"0\r\n\r\n")
            if self._flight is flight and not self._status:
                self._arm(flight.timeouts.first_byte_s)

        body.attach(write, ended)

    def start_upgrade(self, flight: "PooledFlight") -> None:
        """The same for a request to change to another protocol, which has no body."""
        self._flight = flight
        flight.connection = self
        self._status = 0
        self._head = b""
        self._head_start = 0
        self._has_bytes = False
        self._is_complete = False
        request = flight.request
        self._transport.write(b"%b%b%b\r\n" % (request.line, self._pool.host_line, request.headers))
        self._arm(flight.timeouts.first_byte_s)

    def hand_over(self) -> tuple[asyncio.Transport, RawHeaders]:
        """Leave the connection to what it has become: its transport, and the headers that say so."""
        self._flight = None
        self._is_closing = True
        self._timer.retire()
        del self._parser
        self._pool.connection_closed(self)
        return self._transport, self._headers

    def pause_writing(self) -> None:
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        if self._upload is not None:
            self._upload.resume()

    def pause(self) -> None:
        if not self._is_closing and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
            self._arm(math.inf)

    def resume(self) -> None:
        if not self._is_closing and self._is_paused and self._flight is not None:
            self._is_paused = False
            self._transport.resume_reading()
            timeouts = self._flight.timeouts
            self._arm(timeouts.between_bytes_s if self._has_bytes else timeouts.first_byte_s)

    def close(self) -> None:
        """Close now. A flight that is bound to it is forgotten: its owner has given up on it or been told."""
        self._flight = None
        self._is_closing = True
        self._stop_upload()
        self._timer.disarm()
        self._transport.abort()

    # -- what asyncio calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        flight = self._flight
        if flight is None:
            self._close_and_leave()  # bytes that nobody asked for
            return
        self._has_bytes = True
        if not self._status:
            self._head = self._head + data if self._head else data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not flight.take_over(self, data[upgrade.args[0] :]):
                self._fail(FailureKind.INVALID, "answered with a protocol upgrade")
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, _UnacceptableAnswerError):
                # A sink's own fault: a bug, not the upstream's. The call must end all the same.
                self._fail(FailureKind.INVALID, "sent an answer at which this gateway failed")
                raise cause from None
            if not self._is_complete:
                self._fail(FailureKind.INVALID, str(cause or "sent an answer that is not valid HTTP/1.1"))
                return
            self._is_closing = True  # the answer is whole; what came behind it is nobody's
        if self._is_complete:
            self._end()
        elif self._flight is flight:
            if not self._status and len(self._head) > _HEAD_BYTES:
                self._fail(FailureKind.INVALID, f"sent headers of over {_HEAD_BYTES} bytes")
                return
            self._arm(flight.timeouts.between_bytes_s)

    def eof_received(self) -> bool:
        if self._flight is not None and self._status and self._ends_with_the_connection():
            self._is_closing = True
            self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_closing = True
        self._stop_upload()
        self._timer.retire()
        del self._parser  # it knows this connection, which would wait for the collector
        flight = self._flight
        self._flight = None
        self._pool.connection_closed(self)
        if flight is None:
            return
        if not self._has_bytes and self.served and not flight.is_resent:
            # It was closed while it lay idle, and the news came after our request had gone out: the upstream has
            # not taken it. Once, and only when not one byte came back (compare RFC 9112 §9.3.1).
            self._pool.resend(flight)
            return
        reason = f": {exc}" if isinstance(exc, OSError) else ""
        step = "before the answer ended" if self._has_bytes else "before an answer"
        flight.fail(Failure(FailureKind.BROKEN, f"{self._pool.name} closed the connection {step}{reason}"))

    # -- what httptools calls -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_complete:
            # A second answer behind the one that has ended would become the next request's answer.
            raise _UnacceptableAnswerError("sent more than one answer")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        head = self._head
        start = self._head_start
        end = head.find(b"\r\n\r\n", start)
        if end < 0 or not head.startswith(b"HTTP/1.", start):
            raise _UnacceptableAnswerError("sent an answer that is not valid HTTP/1.1")
        if status < 200:
            self._headers = RawHeaders(head[start : end + 2])
            self._head_start = end + 4  # an interim answer: the one that counts follows
            return
        self._head = b""
        self._status = status
        headers = self._headers = RawHeaders(head[start : end + 2])
        flight = self._flight
        if flight is not None:
            flight.sink.on_head(status, headers)

    def on_body(self, data: bytes) -> None:
        flight = self._flight
        if flight is not None:
            flight.sink.on_body(data)

    def on_message_complete(self) -> None:
        # The end itself comes after the parser's: the next request may be sent inside it.
        self._is_complete = self._status != 0 and self._flight is not None
        self._keeps_alive = self._parser.should_keep_alive()

    # -- steps ----------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        flight = self._flight
        if flight is None:
            return
        self._flight = None  # and with it, the timer has nothing to say
        self._headers = _NO_HEADERS  # a thousand idle connections need not hold the heads of their last answers
        self.served += 1
        if self._upload is not None:
            self._is_closing = True  # answered before it was there: the rest of it is not sent
            self._stop_upload()
        if self._keeps_alive and not self._is_closing and self._transport.get_write_buffer_size() == 0:
            if self._is_paused:
                self._is_paused = False  # who paused is gone; the next request must be heard
                self._transport.resume_reading()
            self._pool.connection_free(self)
        else:
            self._close_and_leave()
        if not flight.is_over:
            flight.is_over = True
            flight.sink.on_end()

    def _stop_upload(self) -> None:
        body, self._upload = self._upload, None
        if body is not None:
            body.abandon()

    def _ends_with_the_connection(self) -> bool:
        """Whether nothing else says where the answer's body ends (RFC 9112 §6.3)."""
        headers = self._headers
        return (
            b"content-length" not in headers and b"transfer-encoding" not in headers and self._status not in _BODILESS
        )

    def _arm(self, delay_s: float) -> None:
        """Set the next time limit; while we are the ones who do not read, only the whole attempt's counts."""
        flight = self._flight
        if flight is None:
            return
        pool = self._pool
        now_s = pool.loop.time()
        due_s = math.inf if self._is_paused else now_s + delay_s
        if due_s > flight.due_s:
            due_s = max(flight.due_s, now_s)
        pool.wheel.arm_at(self._timer, due_s)

    def _timed_out(self) -> None:
        flight = self._flight
        if flight is None:
            return
        if self._pool.loop.time() >= flight.due_s:
            step = f"did not finish within {flight.timeouts.total_s:g} s"
        elif self._status:
            step = f"sent nothing for {flight.timeouts.between_bytes_s:g} s"
        else:
            step = f"did not begin to answer within {flight.timeouts.first_byte_s:g} s"
        self._fail(FailureKind.TIMEOUT, step)

    def _fail(self, kind: FailureKind, what: str) -> None:
        flight = self._flight
        self._close_and_leave()
        if flight is not None:
            flight.fail(Failure(kind, f"{self._pool.name} {what}"))

    def _close_and_leave(self) -> None:
        self.close()
        self._pool.connection_closed(self)


_NO_HEADERS = RawHeaders(b"")


class _UnacceptableAnswerError(Exception):
    """An answer that is HTTP but past our bounds."""
