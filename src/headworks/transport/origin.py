"""Where a pool connects to, and how a connection is made: TCP, then a proxy's CONNECT, then TLS."""

import asyncio
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

_PROXY_HEAD_BYTES = 16 * 1024
"""Bound on a proxy's answer to CONNECT."""


class PoolLimits(msgspec.Struct, frozen=True):
    """Bounds of one pool. `limit` connections at most; idle ones are closed after `idle_s`, all are replaced after
    `max_age_s` (so that a changed DNS answer is followed); `waiting` requests at most wait for a connection."""

    limit: int = 256
    idle_s: float = 30.0
    max_age_s: float = 300.0
    waiting: int = 1024


class Origin(msgspec.Struct, frozen=True):
    """One upstream origin. `proxy` is an `http://host:port` that is asked to CONNECT; `ca_file` a PEM file that
    replaces the system's authorities."""

    host: str
    port: int
    is_tls: bool
    proxy: str | None = None
    ca_file: str | None = None

    @classmethod
    def from_url(cls, url: str, *, proxy: str | None = None, ca_file: str | None = None) -> "Origin":
        """The origin of an absolute URL, whatever its path."""
        parts = urlsplit(url)
        assert parts.hostname is not None, "configuration has checked the URL"
        is_tls = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if is_tls else 80), is_tls, proxy, ca_file)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


class ProxyRefusedError(OSError):
    """The proxy did not open a tunnel."""


P = TypeVar("P", bound=asyncio.Protocol)


async def dial(origin: Origin, make: Callable[[], P], loop: asyncio.AbstractEventLoop) -> P:
    """A connected protocol. Names are resolved anew each time.

    Raises:
        OSError: not reachable, TLS not acceptable (`ssl.SSLError` is one), or the proxy refused.
    """
    # Reading the system's authorities takes tens of milliseconds, once: not on the loop, not at start.
    context = await loop.run_in_executor(None, _tls_context, origin.ca_file) if origin.is_tls else None
    if origin.proxy is None:
        _, protocol = await loop.create_connection(make, origin.host, origin.port, ssl=context)
        return protocol
    proxy = urlsplit(origin.proxy)
    transport, tunnel = await loop.create_connection(_Tunnel, proxy.hostname or "", proxy.port or 80)
    try:
        transport.write(f"CONNECT {origin.host}:{origin.port} HTTP/1.1\r\nhost: {origin.authority}\r\n\r\n".encode())
        await tunnel.opened
        protocol = make()
        if context is None:
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            return protocol
        secured = await loop.start_tls(transport, protocol, context, server_hostname=origin.host)
    except BaseException:
        transport.abort()
        raise
    if secured is None:
        raise OSError("the connection closed during the TLS handshake")
    protocol.connection_made(secured)
    return protocol


@lru_cache(maxsize=16)
def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT (RFC 9110 §9.3.6)."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self.opened.done():
            return
        if b"\r\n\r\n" in self._head:
            status = self._head.split(b"\r\n", 1)[0].split(b" ")
            if len(status) > 1 and status[1].startswith(b"2"):
                self.opened.set_result(None)
            else:
                code = status[1].decode("latin-1")[:3] if len(status) > 1 else "no status"
                self.opened.set_exception(ProxyRefusedError(f"the proxy answered CONNECT with {code}"))
        elif len(self._head) > _PROXY_HEAD_BYTES:
            self.opened.set_exception(ProxyRefusedError("the proxy's answer to CONNECT is too long"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(exc or ProxyRefusedError("the proxy closed the connection"))
