"""One client connection: bytes in, requests out; answers in, bytes out.

The connection is a state machine around an httptools parser:

    phase     IDLE -> HEAD -> BODY -> IDLE ...      where the parser stands in the incoming bytes
    reply     the exchange that is being answered, or None
    intake    the body that arrives for a request which is being answered already, or None
    queue     requests that arrived meanwhile (pipelining), answered strictly in order
    ending    nothing more is read as HTTP; what still comes in is discarded until the client closes

Invariants: one reply at a time; bytes after an error never become a request; every answer goes through the
application, also an error's, so that each is recorded.
"""

import asyncio
import enum
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from headworks.body import BodyStream
from headworks.errors import Refusal
from headworks.exchange import Application, Request
from headworks.server.guard import ONCE, REFUSED_METHODS, check_coding, check_framing, malformed, split_target
from headworks.server.known_head import KnownHead, length_in
from headworks.server.reply import SocketReply
from headworks.server.upgraded import UpgradedSocket
from headworks.wheel import Timer

if TYPE_CHECKING:
    from headworks.server.listening import HttpServer

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_PIPELINE_DEPTH = 8
"""Requests held while one is being answered; then reading stops until the queue is shorter. What was parsed at one go
may hold more: as many as `_PARSED_BYTES` have room for."""

_PARSED_BYTES = 2 * 1024
"""Parsed at one go, but for a body whose length is known, which costs next to nothing: one read may hold 40,000 chunks
of a byte each, and other connections are not to wait for them. So many bytes of such chunks take half as long as a
small call does."""

_PARTS = 8
"""So many times as much is parsed in one turn of a body in chunks that are no smaller than most."""

_FEW_CHUNKS = 4
"""In `_PARSED_BYTES`: such a part is read in the time of a few turns of the loop without anything to do."""

_TURNS_BETWEEN = 4
"""Turns of the loop from one part with many chunks to the next: a small call takes about as many, and so meets one or
two of them."""

_HEAD_BYTES = 16 * 1024
"""Within so many bytes the end of a head is looked for, to see whether nothing but a body is behind it."""

_PIECES = 256
"""Of a body that are put together as they come: 100,000 at once would take longer than many calls."""

_DRAIN_BYTES = 256 * 1024
"""A refused request's body is read and dropped up to this size, to keep the connection; past it we close."""

_HEADS_TO_LEARN = 4
"""Heads that are remembered without one coming back; then this client's are all different, and it is not tried on."""

_LINGER_S = 1.0
"""How long a closing connection discards input, so that the client reads the answer before a reset kills it
(RFC 9112 §9.6)."""


_Queued = tuple[Request, SocketReply, Refusal | None, Application]
"""A request that waits for its turn; the application is the one that admitted it."""


class _Phase(enum.IntEnum):
    IDLE = 0
    HEAD = 1
    BODY = 2


_IDLE = _Phase.IDLE


class Connection(asyncio.Protocol):
    """Reads requests from one client and hands them to the application, one at a time."""

    __deletable__ = ("_parser",)  # for mypyc, which compiles this
    __slots__ = (
        "_application",
        "_blocks",
        "_body",
        "_body_bytes",
        "_body_length",
        "_chunks",
        "_has_completed",
        "_head_bytes",
        "_header_count",
        "_headers",
        "_heads_learnt",
        "_incoming",
        "_incoming_bytes",
        "_intake",
        "_is_ending",
        "_is_gone",
        "_is_parsing_on",
        "_is_reading_held",
        "_is_reading_paused",
        "_known_head",
        "_last_refusal",
        "_limits",
        "_owes_continue",
        "_parsed_to",
        "_parser",
        "_peer",
        "_phase",
        "_queue",
        "_raw_body_bytes",
        "_read_timer",
        "_refusal",
        "_reply",
        "_request",
        "_server",
        "_target",
        "_transport",
        "_turns_to_wait",
        "_unparsed",
        "_unsent_bytes",
        "_upgrade",
        "_write_timer",
        "is_write_paused",
    )

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._limits = server.limits
        self._phase = _Phase.IDLE
        self._application = server.application
        self._queue: deque[_Queued] = deque()
        self._reply: SocketReply | None = None
        self._refusal: Refusal | None = None
        self._last_refusal: Refusal | None = None
        self._request: Request | None = None
        self._has_completed = False
        self._owes_continue = False
        self._is_ending = False
        self._is_gone = False
        self._is_reading_paused = False
        self._is_reading_held = False
        self.is_write_paused = False
        self._unsent_bytes = 0
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_count = 0
        self._head_bytes = 0
        self._incoming = b""
        self._incoming_bytes = 0
        self._unparsed, self._parsed_to = b"", 0
        self._is_parsing_on = False
        self._body_length = 0
        self._chunks = 0
        self._turns_to_wait = 0
        self._intake: BodyStream | None = None
        self._upgrade: UpgradedSocket | None = None
        self._known_head: KnownHead | None = None
        self._heads_learnt = 0
        self._body: list[bytes] = []
        self._blocks: list[bytes] = []  # what came before, put together
        self._body_bytes = 0
        self._raw_body_bytes = 0

    # -- what asyncio calls ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        self._parser = httptools.HttpRequestParser(self)
        self._read_timer = Timer(self._read_timed_out)
        self._write_timer = Timer(self._write_timed_out)
        if not self._server.connection_opened(self):
            self._fail(
                Refusal(
                    503,
                    "too_many_connections",
                    "This gateway has as many connections as it is configured for; try again shortly.",
                    kind="server_error",
                    headers=(("retry-after", "1"),),
                )
            )
            return
        self._server.wheel.arm(self._read_timer, self._limits.idle_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._is_gone = True
        self._unparsed = b""
        # Nothing may hold on to this connection now, nor wait for the collector to see that it is a circle.
        self._read_timer.retire()
        self._write_timer.retire()
        del self._parser
        self._let_body_go()
        self._drop_queue()
        current = self._reply
        if current is not None:
            running = current.running
            current.is_over = True
            self._reply = None
            self._server.buffered_bytes -= current.held_bytes
            if running is not None:
                running.cancel()
        self._server.connection_closed(self)

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        if self._unparsed:  # it was on its way when reading was held
            self._unparsed, self._parsed_to = self._unparsed[self._parsed_to :] + data, 0
            return
        if self._phase is _IDLE:
            known = self._known_head
            if known is not None and self._reply is None and not self._queue:
                body = known.body_in(data)
                if body is not None and self._take_known(known, body):
                    return
            self._incoming = data
        if len(data) > _PARSED_BYTES and not self._is_one_body(data):
            self._parse_by_parts(data)
        else:
            self._parse(data)
            self._incoming = b""

    def _is_one_body(self, data: bytes) -> bool:
        """Whether a long read is nothing but a body of known length, or a head and such a body: nothing is gained by
        dividing it. Where it looks so and is not, a turn takes longer."""
        if self._phase is _Phase.BODY:
            return self._body_length - self._body_bytes >= len(data)
        head_end = data.find(b"\r\n\r\n", 0, _HEAD_BYTES) + 4
        return self._phase is _IDLE and head_end > 4 and length_in(data, head_end) >= len(data) - head_end

    def _parse_by_parts(self, data: bytes) -> None:
        """A long read: some of it now and the rest in further turns, so that others have theirs. Until it is done,
        nothing more is read."""
        self._unparsed, self._parsed_to = data, 0
        self._parse_on()
        if self._unparsed:
            self._is_reading_held = True
            self._transport.pause_reading()

    def _parse_on(self) -> None:
        """The next part of a long read; in the same turn what is left of a body whose length is known."""
        self._is_parsing_on = False
        for _ in range(_PARTS):
            self._chunks = 0
            self._parse_part(_PARSED_BYTES)
            is_cheap = self._phase is _Phase.BODY and not self._has_completed and self._chunks <= _FEW_CHUNKS
            if not self._unparsed or not is_cheap or self._is_reading_paused:
                has_many = self._chunks > _FEW_CHUNKS and not self._has_completed
                self._turns_to_wait = _TURNS_BETWEEN - 1 if has_many else 0
                break
        left = self._body_length - self._body_bytes
        if self._unparsed and self._phase is _Phase.BODY and left > 0:
            self._parse_part(left)
        self._incoming = b""
        if self._unparsed and not self._is_reading_paused:
            self._parse_soon()

    def _parse_part(self, most: int) -> None:
        data, begin = self._unparsed, self._parsed_to
        self._parsed_to = end = min(begin + most, len(data))
        if end == len(data):
            self._unparsed, self._parsed_to = b"", 0
        self._parse(data[begin:end])
        if self._is_ending or self._is_gone:
            self._unparsed, self._parsed_to = b"", 0

    def _parse_soon(self) -> None:
        if not self._is_parsing_on:
            self._is_parsing_on = True
            self._server.loop.call_soon(self._parse_further)

    def _parse_further(self) -> None:
        if self._is_gone or self._is_reading_paused:
            self._is_parsing_on = False
            return
        if self._turns_to_wait:
            self._turns_to_wait -= 1
            self._server.loop.call_soon(self._parse_further)
            return
        if self._is_ending:
            self._unparsed, self._parsed_to = b"", 0
        if self._unparsed:
            self._parse_on()
        if not self._unparsed:
            self._is_parsing_on = False
            self._let_read()

    def _let_read(self) -> None:
        """All of the long read is parsed."""
        if self._is_reading_held:
            self._is_reading_held = False
            if not self._is_reading_paused and not self._is_gone:
                self._transport.resume_reading()

    def _read_on(self) -> None:
        """Nothing but what is not parsed yet holds reading up any more."""
        self._is_reading_paused = False
        if self._unparsed:
            self._parse_soon()
        elif not self._is_reading_held:
            self._transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        phase, body_bytes = self._phase, self._body_bytes
        self._incoming_bytes = len(data)
        self._has_completed = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest, self._unparsed, self._parsed_to = self._unparsed[self._parsed_to :], b"", 0
            self._let_read()  # it is the other protocol's from now on
            self._take_early(data[upgrade.args[0] :] + rest)
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, Refusal):
                self._transport.abort()
                raise cause from None  # the application's own fault: a bug, not the client's
            self._fail(cause or malformed(f"The request is not valid HTTP/1.1: {error}."))
            return
        if self._phase is _Phase.HEAD:
            if self._has_completed:
                return  # most of these bytes were other requests; one read is bound enough
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes + self._limits.target_bytes:
                self._fail(_headers_too_large(self._limits.header_bytes))
        elif self._phase is _Phase.BODY:
            if phase is _Phase.BODY and not self._has_completed:
                self._bound_framing(len(data), self._body_bytes - body_bytes)
            if not self._is_ending and not self._is_reading_paused:
                self._server.wheel.arm(self._read_timer, self._limits.body_timeout_s)

    def eof_received(self) -> None:
        """The client has sent its last: what it was answered is flushed, for as long as it takes any of it."""
        self._watch_unsent()

    def pause_writing(self) -> None:
        self.is_write_paused = True
        self._watch_unsent()
        if self._reply is not None and self._reply.pause is not None:
            self._reply.pause()

    def resume_writing(self) -> None:
        self.is_write_paused = False
        if not self._is_ending:
            self._write_timer.disarm()
        if self._reply is not None and self._reply.resume is not None:
            self._reply.resume()

    # -- what httptools calls -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_ending:
            raise malformed("The connection has ended.")  # stops the parser; no answer is written any more
        self._phase = _Phase.HEAD
        self._target = b""
        self._headers = {}
        self._header_count = 0
        self._head_bytes = 0
        self._body_bytes = 0
        self._raw_body_bytes = 0
        if self._reply is None and not self._queue:
            self._server.wheel.arm(self._read_timer, self._limits.header_timeout_s)

    def on_url(self, url: bytes) -> None:
        self._target = self._target + url if self._target else url
        if len(self._target) > self._limits.target_bytes:
            raise Refusal(414, "target_too_long", f"The request target is over {self._limits.target_bytes} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_count += 1
        if self._header_count > self._limits.header_count:
            raise _too_many_headers(self._limits.header_count)
        if self._phase is not _Phase.HEAD:
            return  # a trailer: nothing here needs one
        name = name.lower()
        headers = self._headers
        if name in headers:
            if name in ONCE:
                raise malformed(f"The request has more than one {name.decode('latin-1')} header.")
            headers[name] = headers[name] + b", " + value
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        headers = self._headers
        limit = self._limits.header_bytes
        # What has come in altogether bounds the head; only when that is too much is the head itself measured.
        if self._head_bytes + self._incoming_bytes > limit and _size(headers) > limit:
            raise _headers_too_large(self._limits.header_bytes)
        version = self._parser.get_http_version()
        is_upgrade = check_framing(headers, version)
        method = self._parser.get_method().decode("ascii")
        if method in REFUSED_METHODS:
            raise Refusal(405, "method_not_allowed", f"{method} is not served here.")
        path, query = self._server.known_targets.get(self._target) or split_target(
            self._target, self._server.slashes_below
        )
        request = Request(method, path, query, headers, b"", peer=self._peer)
        self._request = request
        if is_upgrade:
            self._begin_upgrade(request)
        self._application = self._server.application
        self._phase = _Phase.BODY
        self._head_bytes = 0
        self._refusal = None
        length = self._body_length = int(headers.get(b"content-length", b"0"))
        if length > self._limits.upload_bytes:
            self._refusal = _body_too_large(self._limits.upload_bytes)
        else:
            try:
                self._application.admit(request)
                check_coding(headers)
                if length > self._limits.body_bytes and request.incoming is None:
                    self._refusal = _body_too_large(self._limits.body_bytes)
            except Refusal as refusal:
                self._refusal = refusal
        if self._refusal is not None and length > _DRAIN_BYTES:
            raise self._refusal
        if b"expect" in headers:
            self._expect(headers[b"expect"], version)
        if request.incoming is not None and self._refusal is None:
            self._begin_intake(request, request.incoming, length if b"content-length" in headers else None)

    def on_body(self, data: bytes) -> None:
        size = len(data)
        self._chunks += 1
        self._body_bytes += size
        intake = self._intake
        if intake is not None:
            if self._body_bytes > self._limits.upload_bytes:
                raise _body_too_large(self._limits.upload_bytes)
            intake.feed(data)
            return
        self._server.buffered_bytes += size
        if self._refusal is not None:
            if self._body_bytes > _DRAIN_BYTES:
                raise self._refusal
            return
        if self._body_bytes > self._limits.body_bytes:
            raise _body_too_large(self._limits.body_bytes)
        if self._server.buffered_bytes > self._limits.buffered_bytes:
            raise Refusal(
                503,
                "server_overloaded",
                "This gateway holds as many request bodies as it is configured for; try again shortly.",
                kind="server_error",
                headers=(("retry-after", "1"),),
            )
        body = self._body
        if len(body) == _PIECES:
            self._blocks.append(b"".join(body))
            body.clear()
        body.append(data)

    def on_message_complete(self) -> None:
        request = self._request
        assert request is not None
        self._request = None
        self._phase = _Phase.IDLE
        self._has_completed = True
        self._owes_continue = False
        if self._intake is not None:
            self._end_intake(self._intake)
            return
        body = self._body
        if body:
            if self._blocks:
                body = [*self._blocks, *body]
                self._blocks = []
            request.body = body[0] if len(body) == 1 else b"".join(body)
            self._body = []
        parser = self._parser
        keeps_alive = parser.should_keep_alive()
        is_http10 = parser.get_http_version() == "1.0"
        if keeps_alive and not is_http10 and self._refusal is None and self._heads_learnt < _HEADS_TO_LEARN:
            self._heads_learnt += 1
            self._known_head = KnownHead.learn(self._incoming, request, self._server.shared_heads)
        self._incoming = b""  # what follows in it is another request's
        reply = SocketReply(
            self,
            self._server,
            self._transport,
            keeps_alive=keeps_alive,
            is_http10=is_http10,
            is_head=request.method == "HEAD",
        )
        reply.held_bytes = self._body_bytes
        self._body_bytes = 0
        if self._upgrade is not None:
            self._upgrade.bind(reply)
        if self._reply is None and not self._queue:
            self._start(request, reply, self._refusal, self._application)
            return
        # It is here whole: what may take its time from now on is our answer.
        self._read_timer.disarm()
        self._queue.append((request, reply, self._refusal, self._application))
        if len(self._queue) >= _PIPELINE_DEPTH and not self._is_reading_paused:
            self._is_reading_paused = True
            self._transport.pause_reading()

    # -- what the server and the reply call -----------------------------------------------------------------------

    def reply_finished(self, reply: SocketReply, *, is_broken: bool = False) -> None:
        """The reply has been written whole (or given up): go on with the next request, or close."""
        self._reply = None
        if self._intake is not None:
            # Answered before it was there whole: what still comes in is nobody's, and no request.
            self._is_ending = True
            self._let_body_go()
        server = self._server
        server.buffered_bytes -= reply.held_bytes
        if is_broken:
            self._is_ending = True
            self._transport.abort()
        elif self._last_refusal is not None:
            refusal, self._last_refusal = self._last_refusal, None
            self._refuse_and_close(refusal)
        elif not reply.keeps_alive or self._is_ending:
            self._close_gently()
        elif self._queue:
            # Through the loop: answers that are ready at once must not nest one inside the other.
            server.loop.call_soon(self._start_queued)
        elif self._phase is _IDLE:
            if server.is_stopping:
                self._close_gently()
            else:
                server.wheel.arm(self._read_timer, self._limits.idle_timeout_s)
        else:
            if self._owes_continue:
                self._owes_continue = False
                self._transport.write(_CONTINUE)
            server.wheel.arm(self._read_timer, self._limits.header_timeout_s)

    def stop(self) -> None:
        """Close as soon as no request is arriving or being answered; the server is stopping."""
        if self._reply is None and not self._queue and self._phase is _Phase.IDLE:
            self._is_ending = True
            self._transport.close()

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing is being answered: a request is still coming in, or none has begun."""
        return self._reply is None and not self._queue

    def break_off(self) -> None:
        """Time is up: have the answer under way end with an error; nothing else is answered."""
        running = None if self._reply is None else self._reply.running
        self._drop_queue()
        if running is None:
            self._transport.abort()
        else:
            running.stop()

    def abort(self) -> None:
        """Break the connection now."""
        self._transport.abort()

    # -- steps ----------------------------------------------------------------------------------------------------

    def _take_known(self, known: KnownHead, body: bytes) -> bool:
        """Start on a request whose head has come before; False if it is to be parsed, for it passes some bound."""
        server = self._server
        size = len(body)
        if size > self._limits.body_bytes or server.buffered_bytes + size > self._limits.buffered_bytes:
            return False
        self._heads_learnt = 0
        server.buffered_bytes += size
        reply = self._reply = SocketReply(self, server, self._transport)
        reply.held_bytes = size
        request = known.request.again(body)
        application = self._application = server.application
        try:
            application.admit(request)
            running = application.handle(request, reply)
        except Refusal as refusal:
            self._start(request, reply, refusal, application)
        except BaseException:
            self._transport.abort()  # as in `_start`
            raise
        else:
            if not reply.is_over:
                reply.running = running
        return True

    def _start(self, request: Request, reply: SocketReply, refusal: Refusal | None, application: Application) -> None:
        self._reply = reply
        try:
            if refusal is not None:
                application.refuse(refusal, request, reply)
                return
            running = application.handle(request, reply)
        except BaseException:
            self._transport.abort()  # nobody is left to answer; the loop reports the bug
            raise
        if not reply.is_over:
            reply.running = running

    def _start_queued(self) -> None:
        if self._is_gone or self._reply is not None or not self._queue:
            return
        request, reply, refusal, application = self._queue.popleft()
        if self._is_reading_paused and len(self._queue) < _PIPELINE_DEPTH // 2:
            self._read_on()
        self._start(request, reply, refusal, application)

    def _begin_upgrade(self, request: Request) -> None:
        """The last request of this connection as HTTP: what comes behind it is for whoever accepts it."""
        if self._reply is not None or self._queue:
            raise malformed("A request for a protocol upgrade must wait for the answers before it.")
        request.upgrade = self._upgrade = UpgradedSocket(self, self._server, self._transport)

    def _take_early(self, data: bytes) -> None:
        """What follows the request for an upgrade."""
        upgrade = self._upgrade
        if upgrade is None:
            self._fail(malformed("CONNECT is not served here."))
        elif not self._is_gone and not self._is_ending:
            self._transport.set_protocol(upgrade)
            upgrade.hold(data)

    def let_upgrade_go(self) -> None:
        """It has ended, and must not wait for the collector to see that the two hold each other."""
        self._upgrade = None

    def upgrade_ended(self, reply: SocketReply) -> None:
        """All has been said on what this connection has become."""
        self._is_ending = True
        if not self._is_gone:
            self.reply_finished(reply)

    def _begin_intake(self, request: Request, intake: BodyStream, length: int | None) -> None:
        """Have the application begin with this request while its body comes in."""
        if self._reply is not None or self._queue:
            request.incoming = None  # its turn is not yet: it is gathered like others
            if length is not None and length > self._limits.body_bytes:
                raise _body_too_large(self._limits.body_bytes)
            return
        self._intake = intake
        intake.bind(length, self._pause_intake, self._resume_intake)
        # Until its body is there whole, nothing can follow on this connection.
        reply = self._reply = SocketReply(
            self,
            self._server,
            self._transport,
            keeps_alive=False,
            is_http10=self._parser.get_http_version() == "1.0",
        )
        # In the next turn, outside of the parser: the answer may be there at once.
        self._server.loop.call_soon(self._start_intake, request, reply, self._application)

    def _start_intake(self, request: Request, reply: SocketReply, application: Application) -> None:
        if not self._is_gone and self._reply is reply:
            self._start(request, reply, None, application)

    def _end_intake(self, intake: BodyStream) -> None:
        """All of it has come."""
        self._intake = None
        self._body_bytes = 0
        self._read_timer.disarm()
        self._incoming = b""
        reply = self._reply
        assert reply is not None, "as long as it is there, somebody answers"
        reply.keeps_alive = self._parser.should_keep_alive()
        intake.end()

    def _pause_intake(self) -> None:
        if not self._is_reading_paused and not self._is_gone:
            self._is_reading_paused = True
            self._transport.pause_reading()
            self._read_timer.disarm()

    def _resume_intake(self) -> None:
        if self._is_reading_paused and not self._is_gone:
            self._read_on()
            if self._phase is _Phase.BODY:
                self._server.wheel.arm(self._read_timer, self._limits.body_timeout_s)

    def _let_body_go(self, refusal: Refusal | None = None) -> None:
        """What has come of a body is not wanted any more."""
        intake, self._intake = self._intake, None
        if intake is None:
            self._server.buffered_bytes -= self._body_bytes
        elif refusal is None:
            intake.abandon()
        else:
            intake.fail(refusal)
        self._body = []
        self._blocks = []
        self._body_bytes = 0

    def _expect(self, value: bytes, version: str) -> None:
        if value.lower() != b"100-continue":
            raise Refusal(417, "expectation_failed", "The only Expect that is served is 100-continue.")
        if self._refusal is not None:
            # The client waits for our word before it sends the body: answer now, and do not wait for one.
            raise self._refusal
        if version == "1.0":
            return
        if self._reply is None and not self._queue:
            self._transport.write(_CONTINUE)
        else:
            self._owes_continue = True  # its turn comes when the answers before it are out

    def _bound_framing(self, raw: int, content: int) -> None:
        """Chunk framing and trailers are bounded too: one-byte chunks are six bytes each on the wire, and a trailer
        is gathered by the parser out of our sight."""
        self._raw_body_bytes += raw
        most = self._limits.body_bytes if self._intake is None else self._limits.upload_bytes
        self._head_bytes = 0 if content else self._head_bytes + raw
        if self._raw_body_bytes > 8 * most:
            self._fail(_body_too_large(most))
        elif self._head_bytes > self._limits.header_bytes:
            self._fail(_headers_too_large(self._limits.header_bytes))

    def _fail(self, refusal: Refusal) -> None:
        """The incoming bytes cannot be read on: answer what is under way, then this refusal, then close."""
        if self._is_ending:
            return
        self._is_ending = True
        is_for_reply = self._intake is not None
        self._let_body_go(refusal)
        self._drop_queue()
        self._read_timer.disarm()
        if is_for_reply:
            return  # whoever answers was told, and says it
        if self._reply is not None:
            self._last_refusal = refusal
        else:
            self._refuse_and_close(refusal)

    def _drop_queue(self) -> None:
        for _, reply, _, _ in self._queue:
            self._server.buffered_bytes -= reply.held_bytes
        self._queue.clear()

    def _refuse_and_close(self, refusal: Refusal) -> None:
        is_head = self._request is not None and self._request.method == "HEAD"
        reply = SocketReply(self, self._server, self._transport, keeps_alive=False, is_head=is_head)
        self._reply = reply
        self._application.refuse(refusal, self._request, reply)

    def _close_gently(self) -> None:
        """Close after the answer has been sent, without a reset that would destroy it on its way."""
        self._watch_unsent()
        if self._is_ending and self._transport.can_write_eof():
            self._transport.write_eof()
            self._server.wheel.arm(self._read_timer, _LINGER_S)
            return
        self._is_ending = True
        self._transport.close()

    def _read_timed_out(self) -> None:
        if self._is_gone or (self._reply is not None and self._phase is _IDLE and not self._is_ending):
            return  # a request is being answered and none is arriving: nothing is owed by the client
        if self._is_ending or self._phase is _Phase.IDLE:
            self._is_ending = True
            self._watch_unsent()
            self._transport.close()
        else:
            what = "headers" if self._phase is _Phase.HEAD else "body"
            self._fail(Refusal(408, "request_timeout", f"The request's {what} did not arrive in time."))

    def _watch_unsent(self) -> None:
        """Have the client take something of what waits to be sent within the time limit."""
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._server.wheel.arm(self._write_timer, self._limits.write_timeout_s)

    def _write_timed_out(self) -> None:
        """Give up on a client that has taken nothing since the last look; look again if it has."""
        if self._is_gone:
            return
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0:
            return
        if unsent >= self._unsent_bytes:
            self._transport.abort()
        else:
            self._unsent_bytes = unsent
            self._server.wheel.arm(self._write_timer, self._limits.write_timeout_s)


def _size(headers: dict[bytes, bytes]) -> int:
    return sum(map(len, headers)) + sum(map(len, headers.values()))


def _too_many_headers(limit: int) -> Refusal:
    return Refusal(431, "headers_too_large", f"The request has more than {limit} headers.")


def _headers_too_large(limit: int) -> Refusal:
    return Refusal(431, "headers_too_large", f"The request's headers are over {limit} bytes.")


def _body_too_large(limit: int) -> Refusal:
    return Refusal(413, "request_too_large", f"The request's body is over {limit} bytes; send it in smaller parts.")
