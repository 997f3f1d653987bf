"""The fingerprint of a rendered request: keyed hashes of its first blocks, so that prefixes can be compared later
without the text.

What a provider caches is the beginning that two requests share, byte for byte: tools, then the schema, then the
messages (OpenAI and Anthropic prompt-caching guides, 2026-11). The n-th hash covers the first n blocks, so two requests
share as many blocks as hashes. The key is this installation's and the workload's: without it nobody can test a guess,
and fingerprints of two workloads cannot be compared. With it, equal beginnings are equal, and that is all they tell.

A fingerprint is the version (1 byte), the length of the whole in bytes (4, little-endian), the hash of the caller's own
cache key (8; zeros where there was none), then 8 bytes a block.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate

import msgspec

BLOCK_BYTES = 512
"""About 128 tokens, the step in which OpenAI caches (prompt-caching guide, 2026-11)."""

MOST_BLOCKS = 64
"""The first 32 KiB, about 8,000 tokens: what lies behind counts as shared with nobody."""

PARTS = (
    *("tools", "functions", "text", "response_format", "instructions", "system", "systemInstruction"),
    *("input", "messages", "contents"),
)
"""The fields of a request that models read, in the order in which providers cache them, of all dialects."""

CACHE_KEY = "prompt_cache_key"

_VERSION = b"\x01"
_HASH_BYTES = 8
_HEAD_BYTES = len(_VERSION) + 4 + _HASH_BYTES
_NO_KEY = bytes(_HASH_BYTES)
_DIVIDER = b"\0"
_MOST_BYTES = BLOCK_BYTES * MOST_BLOCKS


class Fingerprint(msgspec.Struct, frozen=True, gc=False):
    """A fingerprint, read. `blocks[n - 1]` stands for the first n blocks; `key` for the caller's own cache key, b""
    where there was none. `whole_bytes` is the length of all parts, those behind the last block included."""

    whole_bytes: int
    key: bytes
    blocks: tuple[bytes, ...]


def hash_key(secret: bytes, workload: str) -> bytes:
    """The key of a workload's fingerprints.

    Arguments:
        secret: the server secret.
    """
    return blake2b(workload.encode(), key=blake2b(secret).digest(), digest_size=32, person=b"headworks prefix").digest()


def prefix_of(fields: Mapping[str, msgspec.Raw]) -> bytes:
    """All that a model reads of a request, as one text. No part holds a NUL (RFC 8259 §7), which divides them."""
    return _DIVIDER.join([bytes(fields[name]) for name in PARTS if name in fields])


def fingerprint(fields: Mapping[str, msgspec.Raw], key: bytes) -> bytes:
    """The fingerprint of a request as it goes up. Costs 1.4 to 3.1 us a KiB, up to 32.

    Arguments:
        key: of the workload (`hash_key`).
    """
    # Behind the last block nothing is copied: a request may hold megabytes of images.
    views = [memoryview(fields[name]) for name in PARTS if name in fields]
    whole_bytes = sum(map(len, views)) + max(0, len(views) - 1)
    whole = memoryview(_DIVIDER.join([view[:_MOST_BYTES] for view in views]))
    state = blake2b(key=key, digest_size=_HASH_BYTES)
    chosen = fields.get(CACHE_KEY)
    parts = [
        _VERSION,
        min(whole_bytes, 2**32 - 1).to_bytes(4, "little"),
        _NO_KEY if chosen is None else blake2b(chosen, key=key, digest_size=_HASH_BYTES, person=b"cache key").digest(),
    ]
    for end in range(BLOCK_BYTES, min(whole_bytes, _MOST_BYTES) + 1, BLOCK_BYTES):
        state.update(whole[end - BLOCK_BYTES : end])
        parts.append(state.digest())
    return b"".join(parts)


def read_fingerprint(data: bytes) -> Fingerprint | None:
    """A fingerprint that was kept; None where it is in no form that this release knows."""
    if data[:1] != _VERSION or len(data) < _HEAD_BYTES or (len(data) - _HEAD_BYTES) % _HASH_BYTES:
        return None
    key = data[5:_HEAD_BYTES]
    hashes = tuple(data[start : start + _HASH_BYTES] for start in range(_HEAD_BYTES, len(data), _HASH_BYTES))
    return Fingerprint(int.from_bytes(data[1:5], "little"), b"" if key == _NO_KEY else key, hashes)


def part_at(fields: Mapping[str, msgspec.Raw], offset: int) -> tuple[str, int]:
    """The field in which a byte of `prefix_of` lies, and its place in that."""
    present = [name for name in PARTS if name in fields]
    ends = list(accumulate(len(bytes(fields[name])) + 1 for name in present))
    for name, start, end in zip(present, [0, *ends], ends, strict=False):
        if offset < end:
            return name, offset - start
    return "", 0


def first_difference(texts: Sequence[bytes]) -> int:
    """The first byte at which not all of these are the same; the length of the shortest where it begins all of them."""
    shortest, longest = min(texts), max(texts)
    low, high = 0, min(len(shortest), len(longest))
    while low < high:
        middle = (low + high + 1) // 2
        if shortest[:middle] == longest[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
