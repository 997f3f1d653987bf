"""As much of the protocol of Valkey and Redis as leases need: RESP 2, one command, one reply, no retry.

Source: "Serialization protocol specification", valkey.io/topics/protocol and redis.io, 2026-11. Replies are statuses,
errors, whole numbers and strings; arrays and the types of RESP 3 are not asked for, so they are refused.
"""

import asyncio
import re
import ssl
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from headworks.errors import LimitsUnavailable
from headworks.limits.link import LinkError, Streams

_MOST_LINE_BYTES = 16 * 1024
MOST_REPLY_BYTES = 4 * 1024 * 1024
_SCHEMES = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}
_PORT = 6379
_NUMBER = re.compile(rb"-?[0-9]{1,19}")


class ErrorReply(msgspec.Struct, frozen=True):
    """An error that the server answers with: its code (`NOSCRIPT`, `MOVED`, `LOADING`, …) and the rest."""

    code: str
    detail: str


Reply = bytes | int | ErrorReply | None


class Address(msgspec.Struct, frozen=True):
    """Where a server is, and as whom one speaks to it.

    Attributes:
        database: its number; 0 in a cluster.
        ca_file: a PEM file that replaces the system's authorities; None for those.
    """

    host: str
    port: int
    is_tls: bool = False
    user: str = ""
    password: str = ""
    database: int = 0
    ca_file: str | None = None

    @classmethod
    def from_url(cls, url: str, *, ca_file: str | None = None) -> "Address":
        """The address of `valkey://[[user]:password@]host[:port][/database]`; `redis` means the same, `valkeys` and
        `rediss` with TLS.

        Raises:
            LimitsUnavailable: not such a URL. The message holds no part of it, for it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port, host, path = parts.port or _PORT, parts.hostname or "", parts.path.strip("/")
            database = int(path) if path else 0
        except ValueError:
            host = ""
        if not host or parts.scheme not in _SCHEMES or parts.query or parts.fragment or database < 0:
            raise LimitsUnavailable(
                "the URL of Valkey is not one: expected valkey://[[user]:password@]host[:port][/database], "
                "or valkeys:// with TLS; write characters such as @ and / in a password as %40 and %2F"
            )
        return cls(
            host,
            port,
            _SCHEMES[parts.scheme],
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            database,
            ca_file,
        )

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    __repr__ = __str__  # a traceback or a log must not show the password


async def connect(address: Address) -> Streams:
    """A connection that is logged in and has its database.

    Raises:
        OSError: not reachable, or TLS not acceptable (`ssl.SSLError` is one).
        LinkError: reachable, but it does not let us in.
    """
    loop = asyncio.get_running_loop()
    # Reading the system's authorities takes tens of milliseconds, once: not on the loop.
    context = await loop.run_in_executor(None, _tls_context, address.ca_file) if address.is_tls else None
    streams = Streams(*await asyncio.open_connection(address.host, address.port, ssl=context, limit=_MOST_LINE_BYTES))
    try:
        if address.password:
            user = (address.user,) if address.user else ()
            await _expect_ok(streams, "AUTH", *user, address.password)
        if address.database:
            await _expect_ok(streams, "SELECT", str(address.database))
    except BaseException:
        streams.writer.transport.abort()
        raise
    return streams


async def command(streams: Streams, *parts: str | bytes) -> Reply:
    """What the server answers to one command.

    Raises:
        OSError, EOFError: the connection broke.
        LinkError: the answer is none, or one that nothing of ours asks for.
    """
    streams.writer.write(encode(*parts))
    await streams.writer.drain()
    return await read_reply(streams.reader)


def encode(*parts: str | bytes) -> bytes:
    """A command as an array of strings."""
    pieces = [b"*%d\r\n" % len(parts)]
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        pieces.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(pieces)


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """One reply.

    Raises:
        EOFError: the connection ended.
        LinkError: bytes that are no reply, or one of a kind or length that is not ours.
    """
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError as error:
        raise LinkError("answered with a line that has no end; is it Valkey or Redis?") from error
    kind, text = line[:1], line[1:-2]
    if kind == b"+":
        return text
    if kind == b"-":
        code, _, detail = text.decode("utf-8", "replace").partition(" ")
        return ErrorReply(code, detail)
    number = int(text) if _NUMBER.fullmatch(text) else None
    if kind == b":" and number is not None:
        return number
    if kind == b"$" and number == -1:
        return None
    if kind == b"$" and number is not None and 0 <= number <= MOST_REPLY_BYTES:
        data = await reader.readexactly(number + 2)
        if data.endswith(b"\r\n"):
            return data[:-2]
    raise LinkError("answered with bytes that are no reply; is it Valkey or Redis, and TLS as the URL says?")


async def _expect_ok(streams: Streams, name: Literal["AUTH", "SELECT"], *arguments: str) -> None:
    reply = await command(streams, name, *arguments)
    if isinstance(reply, ErrorReply):
        what = "does not accept the password of its URL" if name == "AUTH" else "does not have the database of its URL"
        raise LinkError(f"{what} ({reply.code})")


@lru_cache(maxsize=4)
def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
