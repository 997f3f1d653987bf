"""The public keys of a token issuer: a JSON Web Key Set (RFC 7517), read and made ready for verifying. Pure.

Each key verifies with one algorithm, which its kind decides. What a token's header says must agree with it: so a token
cannot choose how it is verified (RFC 8725 §3.1).
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

MOST_BYTES = 262_144
"""Of a key set. Those of large issuers have some 20 KiB."""

MOST_KEYS = 64

Algorithm = Literal["RS256", "ES256", "EdDSA"]
"""RFC 7518 §3.3 and §3.4, RFC 8037 §3.1."""

_RSA_BITS = (2048, 8192)
"""Fewer are not safe (RFC 7518 §3.3), and more cost a verifier milliseconds."""

_EXPONENT_BITS = 32
_ES256_BYTES = 32
_ED25519_BYTES = 32

_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")


class VerifyingKey(msgspec.Struct, frozen=True):
    """A key, and what says whether a signature is its own."""

    algorithm: Algorithm
    kid: str
    is_signed: Callable[[bytes, bytes], bool]


class KeySet(msgspec.Struct, frozen=True):
    """The keys of one issuer."""

    keys: tuple[VerifyingKey, ...]

    def find(self, algorithm: str, kid: str | None) -> VerifyingKey | None:
        """The key that a token's header names. Without a name it must be the only one for that algorithm."""
        found = [key for key in self.keys if key.algorithm == algorithm and (kid is None or key.kid == kid)]
        return found[0] if len(found) == 1 else None


class _Jwk(msgspec.Struct):
    """What is read of a key; what a private one has besides is not."""

    kty: str
    kid: str = ""
    use: str = "sig"
    alg: str = ""
    key_ops: tuple[str, ...] = ("verify",)
    crv: str = ""
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""


class _JwkSet(msgspec.Struct):
    keys: list[msgspec.Raw]


_decode_set = msgspec.json.Decoder(_JwkSet).decode
_decode_key = msgspec.json.Decoder(_Jwk).decode


def read_key_set(data: bytes) -> KeySet:
    """The keys that can verify a token. Others (for encryption, of other kinds, too short) are left out, as RFC 7517 §5
    says.

    Raises:
        ValueError: this is no key set, or none of its keys can be used.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"a key set has at most {MOST_BYTES} bytes")
    try:
        raw = _decode_set(data).keys
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError("this is no JSON Web Key Set: expected an object with a list `keys`") from None
    found = [key for text in raw[:MOST_KEYS] if (key := _key(bytes(text))) is not None]
    if not found:
        raise ValueError("no key in it can verify RS256 (2048 bits at least), ES256 or EdDSA (Ed25519)")
    return KeySet(tuple(found))


def decode_base64url(text: bytes) -> bytes:
    """Raises ValueError for anything but base64url without padding (RFC 7515 §2), each value in its only form."""
    if _BASE64URL.fullmatch(text) is None:
        raise ValueError("no base64url")
    data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text:
        raise ValueError("no canonical base64url")
    return data


def _key(text: bytes) -> VerifyingKey | None:
    try:
        jwk = _decode_key(text)
        made = _verifier(jwk)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, binascii.Error):
        return None
    meant = "EdDSA" if jwk.alg == "Ed25519" else jwk.alg  # RFC 9864 §2.2 gives it that name, too
    if made is None or jwk.use != "sig" or "verify" not in jwk.key_ops or meant not in ("", made[0]):
        return None
    return VerifyingKey(made[0], jwk.kid, made[1])


def _verifier(jwk: _Jwk) -> tuple[Algorithm, Callable[[bytes, bytes], bool]] | None:
    match jwk.kty, jwk.crv:
        case "RSA", _:
            modulus, exponent = (int.from_bytes(decode_base64url(text.encode())) for text in (jwk.n, jwk.e))
            if not _RSA_BITS[0] <= modulus.bit_length() <= _RSA_BITS[1] or exponent.bit_length() > _EXPONENT_BITS:
                return None
            return "RS256", _rs256(rsa.RSAPublicNumbers(exponent, modulus).public_key())
        case "EC", "P-256":
            point = [decode_base64url(text.encode()) for text in (jwk.x, jwk.y)]
            if any(len(part) != _ES256_BYTES for part in point):
                return None
            x, y = (int.from_bytes(part) for part in point)
            return "ES256", _es256(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
        case "OKP", "Ed25519":
            data = decode_base64url(jwk.x.encode())
            if len(data) != _ED25519_BYTES:
                return None
            return "EdDSA", _eddsa(ed25519.Ed25519PublicKey.from_public_bytes(data))
    return None


def _rs256(key: rsa.RSAPublicKey) -> Callable[[bytes, bytes], bool]:
    scheme, digest = padding.PKCS1v15(), SHA256()

    def is_signed(signature: bytes, data: bytes) -> bool:
        try:
            key.verify(signature, data, scheme, digest)
        except InvalidSignature:
            return False
        return True

    return is_signed


def _es256(key: ec.EllipticCurvePublicKey) -> Callable[[bytes, bytes], bool]:
    scheme = ec.ECDSA(SHA256())

    def is_signed(signature: bytes, data: bytes) -> bool:
        if len(signature) != 2 * _ES256_BYTES:
            return False
        r, s = int.from_bytes(signature[:_ES256_BYTES]), int.from_bytes(signature[_ES256_BYTES:])
        try:
            key.verify(encode_dss_signature(r, s), data, scheme)
        except InvalidSignature:
            return False
        return True

    return is_signed


def _eddsa(key: ed25519.Ed25519PublicKey) -> Callable[[bytes, bytes], bool]:
    def is_signed(signature: bytes, data: bytes) -> bool:
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    return is_signed
