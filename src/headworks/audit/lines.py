"""The lines of the archive: how entries, segment heads and checkpoints are written, and read back to the byte. Pure.

A segment is JSON lines. Its first line is its head; then come entries, and after each batch of them a checkpoint:

    {"audit":1,"log":"5c…","segment":2,"first":17,"previous":"9a…"}
    {"n":17,"at":1795435200000000,"id":"call_…","what":"call","outcome":"answered","key":"77…","sealed":"…","chain":"…"}
    {"checkpoint":{"log":"5c…","segment":2,"size":2,"root":"…","next":18,"at":…,"previous":"…","signer":"…"},"signature":"…"}

`chain` is the SHA-256 of the entry's line up to it and of the chain before, so that the first entry which is not what
it was is known. The head and the entries are the leaves of the segment's Merkle tree, whose root a checkpoint signs.
`previous` is the SHA-256 of the checkpoint before (of the segment before, in a head), so that none can be taken out.
Every line has exactly one way to be written; a line that is written in another way is not what was written.
"""

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from headworks.audit.keys import NONCE_BYTES, MasterKey

NOTHING = "0" * 64
"""The hash before the first."""

_CHAIN = b',"chain":"'
_CHAIN_BYTES = len(_CHAIN) + 64 + len(b'"}')


class Head(msgspec.Struct, frozen=True):
    """The first line of a segment. `first` is the number of the first entry that it may hold."""

    audit: int
    log: str
    segment: int
    first: int
    previous: str


class Clear(msgspec.Struct, frozen=True):
    """What of an entry is not encrypted: no name, no address, no person.

    `n` counts the entries of a log, `at` is in microseconds since the Unix epoch, `id` is that of the call, report or
    event, `key` names the data key.
    """

    n: int
    at: int
    id: str
    what: str
    outcome: str
    key: str


class Entry(Clear, frozen=True):
    """One line of an entry, as it is read."""

    sealed: str
    chain: str


class Checkpoint(msgspec.Struct, frozen=True):
    """What is signed: the root over the first `size` leaves of a segment. `next` is the number of the entry to come."""

    log: str
    segment: int
    size: int
    root: str
    next: int
    at: int
    previous: str
    signer: str


class Signed(msgspec.Struct, frozen=True):
    """The line of a checkpoint."""

    checkpoint: Checkpoint
    signature: str


T = TypeVar("T", Head, Entry, Signed)

_encode = msgspec.json.Encoder().encode
_decoders = {kind: msgspec.json.Decoder(kind).decode for kind in (Head, Entry, Signed)}


def read_line(line: bytes, kind: type[T]) -> T | None:
    """What a line says; None if it is not of this kind, or not written in the one way in which it is written."""
    try:
        found = _decoders[kind](line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, kind) and _encode(found) == line else None


def head_line(head: Head) -> bytes:
    """A head as it is written."""
    return _encode(head)


def seal(clear: Clear, body: bytes, cipher: AESGCM) -> bytes:
    """The line of an entry, but for its chain and its end. The clear part is authenticated with the body."""
    start = _encode(clear)[:-1]
    nonce = os.urandom(NONCE_BYTES)
    return start + b',"sealed":"' + b64encode(nonce + cipher.encrypt(nonce, body, start)) + b'"'


def chained(line: bytes, chain: bytes) -> tuple[bytes, bytes]:
    """The whole line of a sealed entry, and its hash as the next one's chain goes on from it."""
    after = sha256(chain + line).digest()
    return line + _CHAIN + after.hex().encode() + b'"}', after


def continues(line: bytes, chain: bytes) -> bytes | None:
    """The chain after an entry's whole line; None if it does not go on from this chain."""
    start = line[:-_CHAIN_BYTES]
    after = sha256(chain + start).digest()
    return after if line == start + _CHAIN + after.hex().encode() + b'"}' else None


def unseal(entry: Entry, key: bytes) -> bytes | None:
    """The body of an entry; None if the key is not its own, or if it has been changed."""
    clear = Clear(entry.n, entry.at, entry.id, entry.what, entry.outcome, entry.key)
    try:
        sealed = b64decode(entry.sealed, validate=True)
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _encode(clear)[:-1])
    except (InvalidTag, ValueError, Base64Error):
        return None


def signed_line(checkpoint: Checkpoint, master: MasterKey) -> bytes:
    """The line of a checkpoint."""
    signature = master.sign(_encode(checkpoint))
    return _encode(Signed(checkpoint, b64encode(signature).decode()))


def signed_bytes(signed: Signed) -> tuple[bytes, bytes]:
    """What was signed, and the signature; an empty one if it is none."""
    try:
        signature = b64decode(signed.signature, validate=True)
    except (ValueError, Base64Error):
        return _encode(signed.checkpoint), b""
    # Base64 has bits that do not count: only one text stands for a signature.
    is_canonical = b64encode(signature).decode() == signed.signature
    return _encode(signed.checkpoint), signature if is_canonical else b""


def line_hash(line: bytes) -> str:
    """The hash of a checkpoint's line, by which the next one refers to it."""
    return sha256(line).hexdigest()
