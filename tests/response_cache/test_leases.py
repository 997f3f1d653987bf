"""Which of several processes makes a call: by a file, and by Valkey."""

import asyncio
import time

import pytest

from headworks.records.content import ContentVault
from headworks.response_cache import (
    LEASE_S,
    MemoryStore,
    ResponseCache,
    SqliteStore,
    StoreAway,
    ValkeyStore,
    purge_file,
)

KEY, OTHER = b"k" * 32, b"o" * 32


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Server:
    """Speaks as Valkey does of `SET`, `GET` and `DEL`."""

    def __init__(self, clock):
        self.clock = clock
        self.kept = {}
        self.says = None

    async def __call__(self, parts):
        if self.says is not None:
            return self.says
        name, key, *rest = parts
        if key in self.kept and self.kept[key][1] <= self.clock.now_s:
            del self.kept[key]
        if name == "GET":
            return self.kept[key][0] if key in self.kept else None
        if name == "DEL":
            return self.kept.pop(key, None) and 1
        if ("NX" in rest and key in self.kept) or ("XX" in rest and key not in self.kept):
            return None
        self.kept[key] = rest[0], self.clock.now_s + int(rest[-1]) / 1000
        return b"OK"


async def nothing():
    return None


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", "valkey"])
def two(request, tmp_path, clock):
    """Makes the caches of two processes with one store."""

    def make():
        if request.param == "sqlite":
            stores = [SqliteStore(tmp_path / "answers.db", 1 << 20, clock) for _ in range(2)]
        else:
            server = Server(clock)
            stores = [ValkeyStore(server, nothing) for _ in range(2)]
        return [ResponseCache("faq", one, ContentVault(b"s" * 32), clock, pytest.fail) for one in stores]

    return make


class Loop:
    """Timers that go off when they are told to; tasks of the loop that runs."""

    def __init__(self):
        self.timers = []

    def call_later(self, delay_s, do, *args):
        self.timers.append((delay_s, do, args))
        return asyncio.get_running_loop().call_later(1e6, lambda: None)

    def create_task(self, coroutine):
        return asyncio.get_running_loop().create_task(coroutine)

    def ring(self):
        _, do, args = self.timers.pop()
        do(*args)


async def said(lease):
    while lease._saying:
        await asyncio.gather(*lease._saying)


def test_one_process_has_the_lease_of_a_key_until_it_lets_go(two):
    async def dialogue():
        one, other = two()
        lease = await one.claim(KEY)
        assert lease is not None
        assert await other.claim(KEY) is None
        assert await one.claim(KEY) is None, "another call of the same process is another holder"
        theirs = await other.claim(OTHER)
        assert theirs is not None
        theirs.let_go(Loop())
        lease.let_go(Loop())
        lease.let_go(Loop())
        await said(lease)
        assert await other.claim(KEY) is not None
        await said(theirs)
        for cache in (one, other):
            await cache.close()

    asyncio.run(dialogue())


def test_the_lease_of_a_holder_that_has_died_expires_and_a_late_release_harms_nobody(two, clock):
    async def dialogue():
        one, other = two()
        dead = await one.claim(KEY)
        clock.now_s += LEASE_S + 0.1
        assert await other.claim(KEY) is not None
        dead.let_go(Loop())
        await said(dead)
        assert await one.claim(KEY) is None
        for cache in (one, other):
            await cache.close()

    asyncio.run(dialogue())


def test_a_lease_is_renewed_for_as_long_as_the_call_is_under_way(two, clock):
    async def dialogue():
        (one, other), loop = two(), Loop()
        lease = await one.claim(KEY)
        lease.hold(loop)
        for _ in range(4):
            clock.now_s += LEASE_S * 0.6
            loop.ring()
            await said(lease)
            assert await other.claim(KEY) is None
        assert loop.timers[0][0] < LEASE_S / 2
        lease.let_go(loop)
        await said(lease)
        assert await other.claim(KEY) is not None
        for cache in (one, other):
            await cache.close()

    asyncio.run(dialogue())


def test_memory_needs_no_lease():
    async def dialogue():
        cache = ResponseCache("faq", MemoryStore(1 << 20, time.monotonic), None, time.time, pytest.fail)
        one, other = await cache.claim(KEY), await cache.claim(KEY)
        one.hold(Loop())
        other.let_go(Loop())
        one.let_go(Loop())
        assert not one._saying

    asyncio.run(dialogue())


def test_a_store_that_is_away_binds_nobody_and_is_told_of(clock):
    async def dialogue():
        told = []
        server = Server(clock)
        server.says = object()
        cache = ResponseCache("faq", ValkeyStore(server, nothing), ContentVault(b"s" * 32), clock, told.append)
        assert await cache.claim(KEY) is not None
        assert "+del" in told[0]

    asyncio.run(dialogue())


def test_a_lease_whose_store_goes_away_tells_of_it_and_ends_all_the_same(clock):
    async def dialogue():
        told, server = [], Server(clock)
        cache = ResponseCache("faq", ValkeyStore(server, nothing), ContentVault(b"s" * 32), clock, told.append)
        lease = await cache.claim(KEY)

        async def away(parts):
            raise StoreAway("gone")

        cache._store._command = away
        lease.let_go(Loop())
        await said(lease)
        assert "gone" in told[0]

    asyncio.run(dialogue())


def test_leases_that_nobody_gave_back_are_swept(tmp_path, clock):
    async def dialogue():
        store = SqliteStore(tmp_path / "answers.db", 1 << 20, clock)
        await store.claim(KEY, b"h", 1.0)
        purge_file(tmp_path / "answers.db", clock.now_s + 2)
        assert store._connection.execute("SELECT count(*) FROM leases").fetchone() == (0,)
        await store.close()

    asyncio.run(dialogue())
