"""Content at rest: what people wrote is compressed and encrypted before it is written anywhere.

A worker that keeps content calls `ContentVault.seal` on each piece just before it settles the call (that is, before
`settlement.OpenCall.settled` reads `request_body`, `response_body` and `work.template_values`), and sets
`work.content_expires_us`. So neither the journal nor the store ever holds it in the clear.

A sealed piece is the version (1 byte), the salt of its key (16), the nonce (12), and the AES-256-GCM ciphertext of the
zstd frame with its tag (16). Content of different workloads has different keys. The call's id and the kind are
authenticated with it, so that a piece cannot be passed off as another call's, or as another piece of the same call.
"""

import os
import sys
from collections import OrderedDict

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headworks.errors import StorageError
from headworks.records.stores import ContentKind, Record, Store

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_VERSION = b"\x01"
_SALT_BYTES = 16
_NONCE_BYTES = 12  # 96 bits: NIST SP 800-38D §8.2
_HEAD_BYTES = len(_VERSION) + _SALT_BYTES + _NONCE_BYTES
_LEVEL = 3  # zstd's own default
_INFO = b"headworks content 1\0"
_MOST_KEYS = 256

SEALS_A_KEY = 1 << 28
"""How often a key is used before a new salt is drawn. With random nonces, 2^32 is the most (NIST SP 800-38D §8.3);
workers that were forked from one process share its salts, and have this margin together."""


class ContentVault:
    """Seals and opens content. State: for each workload the salt in use and how often it was; some derived keys.

    For one thread at a time.

    Arguments:
        secret: the server secret; keys are derived from it by HKDF-SHA256 (RFC 5869). Whoever loses it has lost the
            content, too.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._salts: dict[str, tuple[bytes, int]] = {}
        self._ciphers: OrderedDict[tuple[str, bytes], AESGCM] = OrderedDict()

    def seal(self, call_id: str, workload: str, kind: ContentKind, data: bytes) -> bytes:
        """The data as it may be written down. Empty data stays empty: there is nothing to keep."""
        if not data:
            return b""
        salt, count = self._salts.get(workload, (b"", SEALS_A_KEY))
        if count >= SEALS_A_KEY:
            salt, count = os.urandom(_SALT_BYTES), 0
        self._salts[workload] = salt, count + 1
        nonce = os.urandom(_NONCE_BYTES)
        frame = zstd.compress(data, _LEVEL)
        return _VERSION + salt + nonce + self._cipher(workload, salt).encrypt(nonce, frame, _bound_to(call_id, kind))

    def open(self, call_id: str, workload: str, kind: ContentKind, sealed: bytes) -> bytes:
        """The data that was sealed.

        Raises:
            StorageError: it was sealed with another secret, for another call, or has been changed; names the call.
        """
        if not sealed:
            return b""
        if sealed[:1] != _VERSION or len(sealed) < _HEAD_BYTES:
            raise StorageError(f"the {kind} kept of {call_id} is not in a form that this release knows")
        salt, nonce = sealed[1 : 1 + _SALT_BYTES], sealed[1 + _SALT_BYTES : _HEAD_BYTES]
        try:
            frame = self._cipher(workload, salt).decrypt(nonce, sealed[_HEAD_BYTES:], _bound_to(call_id, kind))
        except InvalidTag:
            raise StorageError(
                f"the {kind} kept of {call_id} cannot be opened: the server secret (access.secret) is not the one that "
                "it was sealed with, or the stored bytes were changed"
            ) from None
        return zstd.decompress(frame)

    def _cipher(self, workload: str, salt: bytes) -> AESGCM:
        which = (workload, salt)
        cipher = self._ciphers.get(which)
        if cipher is None:
            key = HKDF(SHA256(), 32, salt, _INFO + workload.encode()).derive(self._secret)
            cipher = self._ciphers[which] = AESGCM(key)
            if len(self._ciphers) > _MOST_KEYS:
                self._ciphers.popitem(last=False)
        return cipher


def _bound_to(call_id: str, kind: ContentKind) -> bytes:
    """What is authenticated beside the ciphertext. No kind holds a NUL, so no two pairs are the same bytes."""
    return _VERSION + kind.encode() + b"\0" + call_id.encode()


def open_content(store: Store, record: Record, vault: ContentVault, now_us: int) -> dict[ContentKind, bytes]:
    """Everything that is kept of a call's content: sealed pieces, or the plain bodies that `records.bodies` had
    kept by releases before they were sealed.

    Raises:
        StorageError: the store cannot be used, or a piece cannot be opened.
    """
    sealed = store.content(record.seq, now_us)
    sealed.pop("prefix", None)
    if sealed:
        return {kind: vault.open(record.call_id, record.workload, kind, piece) for kind, piece in sealed.items()}
    bodies = store.bodies(record.seq)
    if bodies is None:
        return {}
    pieces: tuple[tuple[ContentKind, bytes], ...] = (("request", bodies.request), ("response", bodies.response))
    return {kind: piece for kind, piece in pieces if piece}
