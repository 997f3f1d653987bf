"""Answers in and out of a store: written, sealed, read, and never a reason for a call to fail."""

from collections.abc import Callable
from typing import Literal, Protocol

from headworks.errors import StorageError
from headworks.response_cache.entries import CachedAnswer, decode_entry, encode_entry
from headworks.response_cache.leases import Lease, claim
from headworks.response_cache.stores import MOST_ENTRY_BYTES, Store, StoreAway

_QUIET_S = 60.0
"""A store that is away is told of once in so many seconds."""


_NONE_S = 2.0
"""Whoever waits looks several times within it."""


class Seal(Protocol):
    """Seals what leaves this process: `records.content.ContentVault`."""

    def seal(self, call_id: str, workload: str, kind: Literal["response"], data: bytes, /) -> bytes:
        """The data as it may be written down; `call_id` is what it is bound to."""
        ...

    def open(self, call_id: str, workload: str, kind: Literal["response"], sealed: bytes, /) -> bytes:
        """The data again. Raises StorageError: it was changed, or is another's."""
        ...


class ResponseCache:
    """The cache of one workload. State: when its store's trouble was told last.

    Arguments:
        workload: whose answers these are; their key is its own.
        seal: needed where the store is outside.
        now: Unix seconds.
        say: told in a sentence what an operator must know.
    """

    def __init__(
        self, workload: str, store: Store, seal: Seal | None, now: Callable[[], float], say: Callable[[str], None]
    ) -> None:
        assert seal is not None or not store.is_outside, "what leaves the process is sealed"
        self._workload = workload
        self._store = store
        self._seal = seal if store.is_outside else None
        self._now = now
        self._say = say
        self._told_s = -_QUIET_S

    async def find(self, key: bytes) -> CachedAnswer | None:
        """The answer of this key, if it is there and young enough; None as well where the store is away."""
        data = await self.read(key)
        if data is None:
            return None
        try:
            answer = decode_entry(data)
        except StorageError as error:
            self._tell(error)
            return None
        return answer if answer.expires_us > self._now() * 1e6 else None

    async def keep(self, key: bytes, answer: CachedAnswer) -> None:
        """Keep an answer until it expires. What is too large is not kept."""
        await self.write(key, encode_entry(answer), answer.expires_us / 1e6 - self._now())

    async def claim(self, key: bytes) -> Lease | None:
        """The right to make the call of this key; None where another process is making it."""
        return await claim(self._store, key, self._tell)

    async def give_none(self, key: bytes) -> None:
        """Tell other processes that this call's answer is not for them: each is to make its own, and none to wait."""
        if self._store.is_outside:
            await self.write(_none_of(key), b"none", _NONE_S)

    async def gives_none(self, key: bytes) -> bool:
        """Whether a call of this key was told of so, just now."""
        return self._store.is_outside and await self.read(_none_of(key)) is not None

    async def read(self, key: bytes) -> bytes | None:
        """What was written under a key; None as well where the store is away."""
        try:
            data = await self._store.get(key)
            if data is None or self._seal is None:
                return data
            return self._seal.open(_bound(key), self._workload, "response", data)
        except (StoreAway, StorageError) as error:
            self._tell(error)
            return None

    async def write(self, key: bytes, data: bytes, lives_s: float) -> None:
        """Write this under a key for so many seconds. What is too large is not written."""
        if len(data) > MOST_ENTRY_BYTES or lives_s <= 0:
            return
        if self._seal is not None:
            data = self._seal.seal(_bound(key), self._workload, "response", data)
        try:
            await self._store.put(key, self._workload, data, lives_s)
        except StoreAway as error:
            self._tell(error)

    async def close(self) -> None:
        """Let go of the store."""
        await self._store.close()

    def _tell(self, error: Exception) -> None:
        if self._now() - self._told_s >= _QUIET_S:
            self._told_s = self._now()
            self._say(f"the response cache of {self._workload} cannot be used, and its calls go up: {error}")


def _none_of(key: bytes) -> bytes:
    return b"none:" + key


def _bound(key: bytes) -> str:
    """What a sealed entry is bound to: put under another key, it does not open."""
    return f"cache:{key.hex()}"
