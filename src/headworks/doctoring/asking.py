"""Asking a server from outside: is it there, what does it answer, and when does each piece of the answer come."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import cast

import msgspec

from headworks.calls import Failure, FailureKind
from headworks.doctoring.findings import Finding, ok, problem, warning
from headworks.exchange import Timeouts, Upstream, UpstreamRequest
from headworks.headers import RawHeaders
from headworks.transport import Origin, PoolLimits, UpstreamPool
from headworks.transport.origin import ProxyRefusedError, dial
from headworks.wheel import TimerWheel

CONNECT_S = 5.0
TIMEOUTS = Timeouts(connect_s=CONNECT_S, first_byte_s=10.0, between_bytes_s=5.0, total_s=15.0)

_BODY_BYTES = 4 * 1024 * 1024
"""Bound on an answer that is read: a provider's list of models has some 100 KB."""

_CERTIFICATE_DAYS = 14
_DAY_S = 86_400

_SKEW_S = 2.0
_SKEW_MOST_S = 30.0
"""A `Date` is whole seconds. Beyond half a minute keys expire, and records are ordered, visibly wrong."""


class Piece(msgspec.Struct, frozen=True):
    """A part of a body as it was read; `at_s` is of the loop's clock."""

    at_s: float
    data: bytes


class Heard(msgspec.Struct, frozen=True):
    """What came of a request. Times are seconds of the loop's clock; `failure` says why the answer is not whole."""

    status: int
    headers: RawHeaders
    pieces: tuple[Piece, ...]
    sent_s: float
    head_s: float
    end_s: float
    failure: Failure | None = None

    @property
    def body(self) -> bytes:
        """All that came."""
        return b"".join(piece.data for piece in self.pieces)

    @property
    def is_http10(self) -> bool:
        """Whether it was answered in HTTP/1.0."""
        return self.headers.head.startswith(b"HTTP/1.0")

    def header(self, name: str) -> str:
        """A header's value; "" without it."""
        return self.headers.get(name.encode(), b"").decode("latin-1")


class _Listener:
    """Implements `exchange.Sink`: keeps what comes, and when."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.heard: asyncio.Future[Heard] = loop.create_future()
        self._time = loop.time
        self._sent_s = self._head_s = loop.time()
        self._status = 0
        self._headers = RawHeaders(b"")
        self._pieces: list[Piece] = []
        self._bytes = 0

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self._head_s = self._time()
        self._status, self._headers = status, RawHeaders.of(headers)

    def on_body(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes <= _BODY_BYTES:
            self._pieces.append(Piece(self._time(), data))

    def on_end(self) -> None:
        self._finish(None)

    def on_failure(self, failure: Failure) -> None:
        self._finish(failure)

    def _finish(self, failure: Failure | None) -> None:
        if not self.heard.done():
            pieces = tuple(self._pieces)
            heard = Heard(self._status, self._headers, pieces, self._sent_s, self._head_s, self._time(), failure)
            self.heard.set_result(heard)


class Asker:
    """Asks one server, over one connection that is kept."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self._upstream = upstream
        self._loop = loop

    async def ask(self, request: UpstreamRequest, timeouts: Timeouts = TIMEOUTS) -> Heard:
        """Send it and hear the answer, whatever it is."""
        listener = _Listener(self._loop)
        flight = self._upstream.send(request, listener, timeouts)
        try:
            return await listener.heard
        finally:
            flight.cancel()


@asynccontextmanager
async def asking(name: str, origin: Origin) -> AsyncIterator[Asker]:
    """Someone who asks this origin; connections are closed at the end."""
    loop = asyncio.get_running_loop()
    wheel = TimerWheel(loop)
    pool = UpstreamPool(name, origin, limits=PoolLimits(limit=1), connect_s=CONNECT_S, wheel=wheel, loop=loop)
    try:
        yield Asker(pool, loop)
    finally:
        await pool.close()
        wheel.close()


class _Greeting(asyncio.Protocol):
    """A connection that is made and says nothing."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)


async def reach(origin: Origin, *, now_s: float, way_out: str = "") -> list[Finding]:
    """Connect, and say how that went: name, connection, TLS with its certificate. The first finding is about the whole.

    Arguments:
        now_s: the time, in seconds since the Unix epoch, against which a certificate is judged.
        way_out: what to do where nobody listens.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    about = "reached"
    where = origin.authority
    try:
        async with asyncio.timeout(CONNECT_S):
            greeting = await dial(origin, _Greeting, loop)
    except TimeoutError:
        says = f"{where} did not take a connection within {CONNECT_S:g} s"
        return [problem(about, says, "let this machine out to it: a firewall or a missing route drops the packets")]
    except (OSError, UnicodeError) as error:
        says, usual = _unreached(error, origin)
        return [problem(about, says, way_out if way_out and isinstance(error, ConnectionRefusedError) else usual)]
    took_ms = round((loop.time() - began_s) * 1000, 1)
    findings = [ok(about, f"{where} in {took_ms:g} ms{_tls_words(greeting.transport)}", connect_ms=took_ms)]
    certificate = greeting.transport.get_extra_info("peercert")
    if certificate and "notAfter" in certificate:
        left_days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - now_s) / _DAY_S
        if left_days < _CERTIFICATE_DAYS:
            says = f"the certificate of {where} ends in {left_days:.0f} days"
            findings.append(warning("certificate", says, "renew it", days_left=round(left_days, 1)))
    greeting.transport.abort()
    return findings


def clock_finding(heard: Heard, whose: str, *, now_s: float, is_ours: bool = False) -> Finding | None:
    """How this machine's clock stands to the one that an answer's `Date` is of; None if it has none.

    Arguments:
        now_s: the time at which the answer had come, in seconds since the Unix epoch.
        is_ours: the other clock may be the wrong one as well as this one; else it is taken for right.
    """
    try:
        date = parsedate_to_datetime(heard.header("date"))
    except (ValueError, TypeError):
        return None
    # The date was written between the request and the answer, and is cut to its second.
    ago_s = (heard.end_s - heard.sent_s) - (heard.head_s - heard.sent_s) / 2
    skew_s = round(now_s - ago_s - (date.timestamp() + 0.5), 1)
    slack_s = _SKEW_S + (heard.head_s - heard.sent_s) / 2
    says = f"this machine's clock and that of {whose} differ by {abs(skew_s):g} s"
    if abs(skew_s) <= slack_s:
        return ok("clock", f"this machine's clock agrees with that of {whose}", skew_s=skew_s)
    verdict = problem if abs(skew_s) > _SKEW_MOST_S else warning
    where = "clocks set by NTP, here and there" if is_ours else "clock set by NTP here"
    return verdict("clock", says, f"have the {where}: `timedatectl set-ntp true`", skew_s=skew_s)


def failure_words(failure: Failure) -> str:
    """What happened, and where, without the full stop."""
    return failure.detail.rstrip(".")


def is_unreachable(failure: Failure | None) -> bool:
    """Whether no connection came about."""
    return failure is not None and failure.kind in (FailureKind.UNREACHABLE, FailureKind.TIMEOUT)


def _tls_words(transport: asyncio.Transport) -> str:
    secured = transport.get_extra_info("ssl_object")
    return f", {secured.version()}" if secured is not None else ""


def _unreached(error: OSError | UnicodeError, origin: Origin) -> tuple[str, str]:
    """What kept us from it, and the way out."""
    where = origin.authority
    if isinstance(error, socket.gaierror | UnicodeError):
        return (
            f"the name {origin.host if origin.proxy is None else origin.proxy} does not resolve",
            "see that the name is right and that this machine's resolver (/etc/resolv.conf) answers",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {where} is not accepted: {error.verify_message}",
            "name the authority that signed it (`ca_file`), or have a certificate made for this name",
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"TLS with {where} fails: {error.reason or 'the handshake was broken off'}",
            "see that the port speaks TLS 1.2 or newer, and that no middlebox breaks it open",
        )
    if isinstance(error, ProxyRefusedError):
        return f"{error}", f"have the proxy allow CONNECT to {origin.host}:{origin.port}"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}", "see that the address is right and that the server runs"
    return (
        f"{where} cannot be reached: {error.strerror or type(error).__name__}",
        "see that this machine has a route to it",
    )
