"""A response cache in Valkey: the store of that room, speaking through the connection of `limits`."""

import asyncio

from headworks.limits.link import Link, Streams
from headworks.limits.resp import Address, Reply, command, connect
from headworks.response_cache import ValkeyStore

_TIMEOUT_S = 0.25
"""A call waits no longer to learn whether it was answered before: it can go up instead."""


_COMMAND_TIMEOUT_S = 10.0
"""A command may wait for one step over a large server."""


def answers_in_valkey(url: str, loop: asyncio.AbstractEventLoop, *, timeout_s: float = _TIMEOUT_S) -> ValkeyStore:
    """The store in the server of this URL. Nothing is connected before the first call.

    Raises:
        LimitsUnavailable: the URL is not one.
    """
    address = Address.from_url(url)

    async def dial() -> Streams:
        return await connect(address)

    link = Link(f"Valkey at {address}", dial, timeout_s=timeout_s)

    async def ask(parts: tuple[str | bytes, ...]) -> Reply:
        async def talk(streams: Streams, _: float) -> Reply:
            return await command(streams, *parts)

        # In a task: the link has a time limit of asyncio's, which a flow does not know.
        return await loop.create_task(link.exchange(talk))

    return ValkeyStore(ask, link.close)


def clear_valkey(url: str) -> int:
    """Remove all answers in the server of this URL; how many there were. Blocking; for commands.

    Raises:
        LimitsUnavailable: the URL is not one.
        StoreAway: the server cannot be reached, or does not let us.
    """

    async def clear() -> int:
        store = answers_in_valkey(url, asyncio.get_running_loop(), timeout_s=_COMMAND_TIMEOUT_S)
        try:
            return await store.clear()
        finally:
            await store.close()

    return asyncio.run(clear())
