"""The keys of the audit log: one that wraps data keys, one that signs, both derived from one secret. No I/O.

The secret is `audit.key`, or else the server secret. From it come, by HKDF-SHA256 (RFC 5869), the key that wraps data
keys (AES-256-GCM, NIST SP 800-38D) and the seed of the Ed25519 key that signs checkpoints (RFC 8032). Each has its own
`info`, so that neither says anything of the other.
"""

import os
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headworks.errors import StorageError

KEY_BYTES = 32
NONCE_BYTES = 12
"""96 bits: NIST SP 800-38D §8.2."""


class Signer:
    """Who may sign checkpoints: a public key, and its name."""

    __slots__ = ("_key", "name", "public")

    def __init__(self, public: bytes) -> None:
        self.public = public
        self.name = sha256(public).hexdigest()[:16]
        self._key = Ed25519PublicKey.from_public_bytes(public)

    @property
    def text(self) -> str:
        """The public key in base64, as `--public-key` takes it."""
        return b64encode(self.public).decode()

    def has_signed(self, data: bytes, signature: bytes) -> bool:
        """Whether the signature over the data is this signer's."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class MasterKey:
    """What is derived from one secret. `name` says which secret, and gives nothing away of it."""

    __slots__ = ("_signing", "_wrapping", "name", "signer")

    def __init__(self, secret: bytes) -> None:
        self._wrapping = AESGCM(_derive(secret, b"headworks audit wrap 1"))
        self._signing = Ed25519PrivateKey.from_private_bytes(_derive(secret, b"headworks audit sign 1"))
        self.signer = Signer(self._signing.public_key().public_bytes_raw())
        self.name = self.signer.name

    def sign(self, data: bytes) -> bytes:
        return self._signing.sign(data)

    def wrap(self, key: bytes, bound_to: bytes) -> bytes:
        """A data key as it may be stored; it can be unwrapped only for what it is bound to."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, key, bound_to)

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> bytes | None:
        """The data key; None if this is not what it was wrapped with, or for."""
        try:
            return self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):
            return None


class MasterKeys:
    """The key in use, and earlier ones that what is old can be opened and verified with.

    Arguments:
        secret: the one in use.
        earlier: `audit.previous_keys`.
    """

    def __init__(self, secret: bytes, earlier: Sequence[bytes] = ()) -> None:
        self.current = MasterKey(secret)
        self._all = (self.current, *map(MasterKey, earlier))

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Everyone whose signature counts."""
        return tuple(key.signer for key in self._all)

    def unwrap(self, wrapped: bytes, bound_to: bytes, name: str) -> bytes:
        """The data key.

        Raises:
            StorageError: none of the secrets at hand is the one that it was wrapped with.
        """
        for key in self._all:
            if key.name == name:
                opened = key.unwrap(wrapped, bound_to)
                if opened is not None:
                    return opened
        raise StorageError(
            f"a data key of the audit log was wrapped with the key {name}, which is not at hand: add the secret that "
            "`audit.key` (or `access.secret`) led to then to `audit.previous_keys`"
        )


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, info).derive(secret)
