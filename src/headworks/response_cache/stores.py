"""What every store of the response cache can do."""

from typing import Protocol

from headworks.errors import HeadworksError

MOST_ENTRY_BYTES = 1024 * 1024
"""A larger answer is not kept: one of today's longest texts is half of it, and Valkey's replies have a bound."""


class StoreAway(HeadworksError):
    """A store cannot be reached or used; the call goes on without it."""


class Store(Protocol):
    """Bytes by key, each until a moment of its own."""

    is_outside: bool
    """Whether what it holds leaves this process, and is to be sealed."""

    async def get(self, key: bytes) -> bytes | None:
        """What lies under a key and has not expired. Raises StoreAway."""
        ...

    async def put(self, key: bytes, workload: str, data: bytes, lives_s: float) -> None:
        """Keep this for so many seconds in the place of what is there. Raises StoreAway."""
        ...

    async def claim(self, key: bytes, holder: bytes, lives_s: float) -> bool:
        """Whether the lease of a key is this holder's for so many seconds: it was free, had expired, or is the holder's
        own, and is renewed. Only of a store that is outside. Raises StoreAway."""
        ...

    async def release(self, key: bytes, holder: bytes) -> None:
        """Give a lease back, if it is this holder's. Raises StoreAway."""
        ...

    async def close(self) -> None:
        """Let go of what it holds on to. Harmless to call twice."""
        ...
