"""Chance that can be repeated: everything random is drawn from the seed and what it is about."""

import hashlib

_SPAN = float(1 << 64)


def digest(seed: int, *about: bytes | str) -> bytes:
    """Sixteen bytes that only this seed and these parts, in this order, give."""
    state = hashlib.blake2b(b"%d" % seed, digest_size=16)
    for part in about:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.digest()


def fraction(seed: int, *about: bytes | str) -> float:
    """A number in [0, 1), the same whenever the same is asked."""
    return min(int.from_bytes(digest(seed, *about)[:8], "big") / _SPAN, 1.0 - 2**-53)


def identifier(prefix: str, seed: int, *about: bytes | str) -> str:
    """An object id such as `resp_…`: 32 hexadecimal digits behind a prefix."""
    return prefix + digest(seed, *about).hex()
