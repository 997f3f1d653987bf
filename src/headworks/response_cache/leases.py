"""Who of several processes makes a call that all of them were asked for: whoever has the lease of its key.

A lease lies in the store that holds the answers. Its holder renews it for as long as the call is under way; if the
holder dies, it expires, and another takes it. Nothing depends on it but money: without one a call is made twice.
"""

import asyncio
import secrets
from collections.abc import Callable

from headworks.response_cache.stores import Store, StoreAway

LEASE_S = 6.0
"""Seconds after which a lease whose holder has died is free. Renewed at a third of it: two renewals may fail."""


class Lease:
    """The right to make a call. State: when it is renewed next; what is being said to the store.

    Arguments:
        store: where it lies; None for one that needs no store.
        tell: told of a store that is away.
    """

    def __init__(self, store: Store | None, key: bytes, holder: bytes, tell: Callable[[Exception], None]) -> None:
        self._store = store
        self._key = key
        self._holder = holder
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None
        self._saying: set[asyncio.Task[None]] = set()
        self._is_over = False

    def hold(self, loop: asyncio.AbstractEventLoop) -> None:
        """Renew it from now on, until it is let go."""
        if self._store is not None:
            self._timer = loop.call_later(LEASE_S / 3, self._renew, loop)

    def let_go(self, loop: asyncio.AbstractEventLoop) -> None:
        """Others may make the call. Harmless to call twice. Returns at once: who lets go may be ending itself."""
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._store is not None:
            self._say(loop, self._store)

    def _renew(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._store is not None, "only what lies in a store is held"
        self._say(loop, self._store)
        self._timer = loop.call_later(LEASE_S / 3, self._renew, loop)

    def _say(self, loop: asyncio.AbstractEventLoop, store: Store) -> None:
        task = loop.create_task(self._said(store))
        self._saying.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._saying.discard)

    async def _said(self, store: Store) -> None:
        try:
            if self._is_over:
                await store.release(self._key, self._holder)
            else:
                await store.claim(self._key, self._holder, LEASE_S)
        except StoreAway as error:
            self._tell(error)


async def claim(store: Store, key: bytes, tell: Callable[[Exception], None]) -> Lease | None:
    """The lease of a key; None where another process has it. Where the store is away, one that binds nobody."""
    if not store.is_outside:
        return Lease(None, key, b"", tell)
    holder = secrets.token_bytes(16)
    try:
        is_ours = await store.claim(key, holder, LEASE_S)
    except StoreAway as error:
        tell(error)
        return Lease(None, key, b"", tell)
    return Lease(store, key, holder, tell) if is_ours else None
