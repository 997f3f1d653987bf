"""Virtual keys as text: making, checking and hashing them. Pure; randomness is passed in.

A key is `hw-`, 33 characters that stand for 192 random bits, and 6 that are the CRC-32 of all before them, so that a
mistyped key is known as such without looking anything up, and secret scanners hardly ever err. What is stored is
the key's HMAC-SHA-256 under the server secret: who only has the database has no key, and cannot plant one. A fast
hash is right for 192 random bits; slow ones are for passwords (OWASP ASVS 5.0, 11.4.2).
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Callable

PREFIX = "hw-"
RANDOM_BYTES = 24
SECRET_BYTES = 32

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS = 33  # 62 ** 33 > 2 ** 192
_CHECKSUM_CHARACTERS = 6  # 62 ** 6 > 2 ** 32
KEY_CHARACTERS = len(PREFIX) + _RANDOM_CHARACTERS + _CHECKSUM_CHARACTERS

_CREDENTIAL = re.compile(r"(?:hw-|sk-)[0-9A-Za-z_-]{16,}|ey[JK][0-9A-Za-z_-]{8,}(?:\.[0-9A-Za-z_-]*){1,2}")
"""A virtual key, a provider's key, or a token (JWT), which a caller has put where it does not belong."""

_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that is mistaken for another
_ID_CHARACTERS = 12

Random = Callable[[int], bytes]
"""`n` to n random bytes, such as `os.urandom`."""


def make_key(random: Random) -> str:
    """A new key."""
    body = PREFIX + _base62(int.from_bytes(random(RANDOM_BYTES), "big"), _RANDOM_CHARACTERS)
    return body + _checksum(body)


def make_key_id(random: Random) -> str:
    """A new key's public name: for lists, records and commands. No secret, and not derived from the key."""
    bits = int.from_bytes(random(8), "big")
    return "key_" + "".join(_ID_ALPHABET[(bits >> (5 * place)) & 31] for place in range(_ID_CHARACTERS))


def is_well_formed(key: str) -> bool:
    """Whether the text has a key's form and its checksum is right. Any one wrong character is noticed."""
    return (
        len(key) == KEY_CHARACTERS
        and key.startswith(PREFIX)
        and key.isascii()
        and key[-_CHECKSUM_CHARACTERS:] == _checksum(key[:-_CHECKSUM_CHARACTERS])
    )


def key_digest(key: bytes, secret: bytes) -> bytes:
    """What stands for the key in the database and in memory: its HMAC-SHA-256 under the server secret."""
    return hmac.digest(secret, key, "sha256")


def secret_id(secret: bytes) -> str:
    """A name for the server secret that says nothing about it: which secret a stored key was hashed under."""
    return hmac.digest(secret, b"headworks: the name of this secret", hashlib.sha256).hex()[:12]


def without_credentials(text: str) -> str:
    """A text of a caller's as it may stand in a log: what looks like a key or a token in it is masked."""
    return _CREDENTIAL.sub("***", text)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_CHARACTERS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
