"""Answers in the memory of one worker, within a bound: what was used longest ago goes first."""

from collections import OrderedDict
from collections.abc import Callable

_OVERHEAD_BYTES = 200
"""What an entry takes beside its data: key, tuple, and its place in the table."""


class MemoryStore:
    """Implements `Store`. State: the entries, the one used last at the end; how many bytes they take.

    Arguments:
        most_bytes: that all entries may take together.
        now: seconds, monotonic.
    """

    is_outside = False

    def __init__(self, most_bytes: int, now: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._now = now
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: bytes) -> bytes | None:
        """See `Store`."""
        found = self._entries.get(key)
        if found is None:
            return None
        expires_s, data = found
        if expires_s <= self._now():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return data

    async def put(self, key: bytes, workload: str, data: bytes, lives_s: float) -> None:  # noqa: ARG002 - of the seam
        """See `Store`. What is larger than the bound is not kept."""
        self._drop(key)
        size = len(data) + _OVERHEAD_BYTES
        if size > self._most_bytes:
            return
        self._entries[key] = self._now() + lives_s, data
        self.used_bytes += size
        while self.used_bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    async def claim(self, key: bytes, holder: bytes, lives_s: float) -> bool:  # noqa: ARG002 - of the seam
        """See `Store`. Nobody else sees this memory."""
        return True

    async def release(self, key: bytes, holder: bytes) -> None:
        """See `Store`."""

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()
        self.used_bytes = 0

    async def close(self) -> None:
        """See `Store`."""
        self.clear()

    def _drop(self, key: bytes) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.used_bytes -= len(found[1]) + _OVERHEAD_BYTES
