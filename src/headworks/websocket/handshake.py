"""The opening handshake, of both sides. Source: RFC 6455 §4.1 (client), §4.2 (server), §11.3 (headers)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence

import msgspec

from headworks.errors import Refusal

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What is hashed with a key, so that nobody accepts a WebSocket who does not know what one is (§1.3)."""

_VERSION = b"13"
_KEY_BYTES = 16
_PROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,1024}")
_MOST_PROTOCOLS = 16


class Offer(msgspec.Struct, frozen=True):
    """What a client asks for. `protocols` may hold a secret: it is never shown.

    Attributes:
        key: what proves that the handshake was understood; no secret.
        protocols: the subprotocols that it speaks, in the order of its liking.
    """

    key: bytes
    protocols: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Offer(...)"


def read_offer(headers: Mapping[bytes, bytes]) -> Offer:
    """The offer of a request whose `upgrade` and `connection` say WebSocket.

    Raises:
        Refusal: 426 for another version; 400 for a handshake that is none.
    """
    if headers.get(b"sec-websocket-version", b"").strip() != _VERSION:
        raise Refusal(
            426,
            "websocket_version",
            "Only version 13 of WebSocket is served here (RFC 6455); send `Sec-WebSocket-Version: 13`.",
            headers=(("sec-websocket-version", "13"), ("upgrade", "websocket")),
        )
    key = headers.get(b"sec-websocket-key", b"").strip()
    try:
        is_good = len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        is_good = False
    if not is_good:
        raise Refusal(400, "malformed_http", "The header Sec-WebSocket-Key is missing, or is not 16 bytes in base64.")
    offered = headers.get(b"sec-websocket-protocol", b"").decode("latin-1")
    protocols = tuple(one.strip(" \t") for one in offered.split(",")) if offered.strip(" \t") else ()
    if len(protocols) > _MOST_PROTOCOLS or any(_PROTOCOL.fullmatch(one) is None for one in protocols):
        raise Refusal(400, "malformed_http", "The header Sec-WebSocket-Protocol is not a list of a few names.")
    return Offer(key, protocols)


def accept_key(key: bytes) -> bytes:
    """What the server answers a key with (§4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _MAGIC).digest())  # noqa: S324 - as the protocol has it


def answer_headers(offer: Offer, protocol: str = "") -> bytes:
    """The header block with which a server accepts, beside `upgrade` and `connection`."""
    chosen = f"sec-websocket-protocol: {protocol}\r\n".encode("latin-1") if protocol else b""
    return b"sec-websocket-accept: %b\r\n%b" % (accept_key(offer.key), chosen)


def request_headers(nonce: bytes, protocols: Sequence[str] = ()) -> tuple[bytes, bytes]:
    """The key and the header block with which a client asks.

    Arguments:
        nonce: 16 random bytes.
    """
    assert len(nonce) == _KEY_BYTES, "the protocol wants 16 bytes"
    key = base64.b64encode(nonce)
    offered = f"sec-websocket-protocol: {', '.join(protocols)}\r\n".encode("latin-1") if protocols else b""
    block = b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: %b\r\n%b" % (
        key,
        offered,
    )
    return key, block


def check_answer(headers: Mapping[bytes, bytes], key: bytes, protocols: Sequence[str] = ()) -> str:
    """What is wrong with a server's 101; "" where it is as it must be (§4.1)."""
    if headers.get(b"upgrade", b"").strip().lower() != b"websocket":
        return "the protocol that it changes to is not WebSocket"
    if headers.get(b"sec-websocket-accept", b"").strip() != accept_key(key):
        return "it accepts another handshake than ours"
    if headers.get(b"sec-websocket-extensions", b"").strip():
        return "it uses an extension that was not offered"
    chosen = headers.get(b"sec-websocket-protocol", b"").strip().decode("latin-1")
    return "it speaks a subprotocol that was not offered" if chosen and chosen not in protocols else ""
