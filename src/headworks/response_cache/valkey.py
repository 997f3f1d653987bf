"""Answers in Valkey or Redis, which the workers of all machines share. The server forgets them by itself."""

from collections.abc import Awaitable, Callable

from headworks.errors import HeadworksError
from headworks.response_cache.stores import StoreAway

_CLEAR = """
local found = redis.call('SCAN', ARGV[1], 'MATCH', KEYS[1] .. '*', 'COUNT', 1000)
local removed = 0
for _, name in ipairs(found[2]) do removed = removed + redis.call('DEL', name) end
return found[1] .. ' ' .. removed
"""
"""One step over all keys of a server: `SCAN` answers in a form that is not read here, a script in a word."""

Command = Callable[[tuple[str | bytes, ...]], Awaitable[object]]
"""Sends one command and gives the reply: bytes, None, a status, or what stands for an error. Raises HeadworksError."""


class ValkeyStore:
    """Implements `Store`.

    Arguments:
        command: speaks to the server (`limits.link`).
        close: lets go of the connection.
        prefix: what all keys begin with.
    """

    is_outside = True

    def __init__(self, command: Command, close: Callable[[], Awaitable[None]], prefix: str = "headworks") -> None:
        self._command = command
        self._close = close
        self._prefix = f"{{{prefix}}}:answers:".encode()
        self._leases = f"{{{prefix}}}:leases:".encode()

    async def get(self, key: bytes) -> bytes | None:
        """See `Store`."""
        reply = await self._ask("GET", self._prefix + key.hex().encode())
        if reply is None or isinstance(reply, bytes):
            return reply
        raise StoreAway("Valkey answered a GET with something else than a value; allow `+get +set` on its keys")

    async def put(self, key: bytes, workload: str, data: bytes, lives_s: float) -> None:  # noqa: ARG002 - of the seam
        """See `Store`."""
        lives_ms = str(max(1, int(lives_s * 1000)))
        reply = await self._ask("SET", self._prefix + key.hex().encode(), data, "PX", lives_ms)
        if reply != b"OK":
            raise StoreAway("Valkey did not take an answer; allow `+get +set` on its keys and see to its memory")

    async def claim(self, key: bytes, holder: bytes, lives_s: float) -> bool:
        """See `Store`."""
        name, lives_ms = self._leases + key.hex().encode(), str(max(1, int(lives_s * 1000)))
        reply = await self._ask("SET", name, holder.hex().encode(), "NX", "PX", lives_ms)
        if reply == b"OK":
            return True
        if reply is not None:
            raise StoreAway("Valkey did not take a lease; allow `+get +set +del` on its keys")
        if await self._ask("GET", name) != holder.hex().encode():
            return False
        # Between the two it may have expired and be another's: then two have it, and a call is made twice.
        return await self._ask("SET", name, holder.hex().encode(), "XX", "PX", lives_ms) == b"OK"

    async def release(self, key: bytes, holder: bytes) -> None:
        """See `Store`."""
        name = self._leases + key.hex().encode()
        if await self._ask("GET", name) == holder.hex().encode():
            await self._ask("DEL", name)  # in between it may have become another's, as above

    async def clear(self) -> int:
        """Remove the answers of all workloads, and what is kept beside them; how many there were. Other machines have
        them no longer, either. Raises StoreAway."""
        cursor, removed = b"0", 0
        while True:
            reply = await self._ask("EVAL", _CLEAR, "1", self._prefix, cursor)
            if not isinstance(reply, bytes):
                raise StoreAway("Valkey did not remove answers; allow `+eval +scan +del` on its keys")
            cursor, _, count = reply.partition(b" ")
            removed += int(count)
            if cursor == b"0":
                return removed

    async def close(self) -> None:
        """See `Store`."""
        await self._close()

    async def _ask(self, *parts: str | bytes) -> object:
        try:
            return await self._command(parts)
        except HeadworksError as error:
            raise StoreAway(str(error)) from error
