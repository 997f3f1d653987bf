"""Cookies that say who has signed in: sealed, so that a browser can neither read nor make one. Pure.

A cookie is a nonce (12 bytes) and the AES-256-GCM ciphertext of what it says, with its tag, in base64url. What it is
for is authenticated with it, so that one kind of cookie cannot be passed off as another. The key is derived from the
server secret by HKDF-SHA256 (RFC 5869).
"""

import hmac
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headworks.access.key_sets import decode_base64url

SESSION_COOKIE = "__Host-headworks-session"
SIGNING_IN_COOKIE = "__Host-headworks-signing-in"
"""A browser takes a cookie of such a name only with `Secure`, for one host and all of it (RFC 6265bis §4.1.3)."""

MOST_BYTES = 4096
"""Of a cookie: browsers keep no longer ones."""

_NONCE_BYTES = 12  # 96 bits: NIST SP 800-38D §8.2
_TAG_BYTES = 16
_INFO = b"headworks admin cookies 1"

Random = Callable[[int], bytes]


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Who has signed in.

    Attributes:
        session_id: of this sign-in.
        issuer, subject: who it is.
        name: for people to read.
        claims: of what the identity provider says, that from which roles follow: each claim with its texts.
        csrf: must come back in a header with whatever changes something.
        ends_s: when it is over, in Unix seconds.
        read_s: when the identity provider has said so, in Unix seconds.
    """

    session_id: str
    issuer: str
    subject: str
    name: str
    claims: dict[str, tuple[str, ...]]
    csrf: str
    ends_s: float
    read_s: float

    def is_csrf(self, token: bytes) -> bool:
        """Whether this is its CSRF token; in constant time."""
        return hmac.compare_digest(self.csrf.encode(), token)


class SigningIn(msgspec.Struct, frozen=True, array_like=True):
    """A sign-in that has begun: what the identity provider must say back, and the PKCE verifier (RFC 7636)."""

    state: str
    nonce: str
    verifier: str
    ends_s: float


Kind = TypeVar("Kind", Session, SigningIn)


class Seals:
    """Seals and opens cookies.

    Arguments:
        secret: the server secret.
        random: `n` to n random bytes.
    """

    def __init__(self, secret: bytes, random: Random = os.urandom) -> None:
        self._cipher = AESGCM(HKDF(SHA256(), 32, None, _INFO).derive(secret))
        self._random = random

    def token(self) -> str:
        """Something that nobody guesses: 256 bits as text."""
        return urlsafe_b64encode(self._random(32)).rstrip(b"=").decode()

    def seal(self, value: Session | SigningIn) -> str:
        """The cookie of a value."""
        nonce = self._random(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, msgspec.msgpack.encode(value), type(value).__name__.encode())
        return urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def open(self, cookie: str, kind: type[Kind], now_s: float) -> Kind | None:
        """The value of a cookie; None if it is not one of ours, of another kind, or over."""
        if not cookie or len(cookie) > MOST_BYTES or not cookie.isascii():
            return None
        try:
            data = decode_base64url(cookie.encode())
        except ValueError:
            return None
        if len(data) < _NONCE_BYTES + _TAG_BYTES:
            return None
        try:
            opened = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], kind.__name__.encode())
            value = msgspec.msgpack.decode(opened, type=kind)
        except (InvalidTag, msgspec.MsgspecError):
            return None
        return value if now_s < value.ends_s else None


def cookie_in(header: bytes | None, name: str) -> str:
    """A cookie's value in a `Cookie` header; "" where it is not in it, or twice: then one is not ours."""
    found = [
        value.strip()
        for part in (header or b"").decode("latin-1").split(";")
        for key, _, value in (part.partition("="),)
        if key.strip() == name
    ]
    return found[0] if len(found) == 1 else ""


def set_cookie(name: str, value: str, *, max_age_s: int, same_site: str) -> tuple[str, str]:
    """The header that has a browser keep a cookie: for this host, over TLS alone, out of reach of scripts."""
    return "set-cookie", f"{name}={value}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite={same_site}"


def clear_cookie(name: str, *, same_site: str) -> tuple[str, str]:
    """The header that has a browser forget it."""
    return set_cookie(name, "", max_age_s=0, same_site=same_site)
