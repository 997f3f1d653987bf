import asyncio
import time

import pytest

from headworks.embedding import load_local_model
from headworks.records.content import ContentVault
from headworks.response_cache import (
    CachedAnswer,
    MemoryStore,
    Neighbours,
    ResponseCache,
    SqliteStore,
    stats_of_file,
)
from headworks.response_cache.neighbours import MOST_NEIGHBOURS

HERE, THERE = b"c" * 32, b"d" * 32
SECRET = b"s" * 32
HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def model():
    return load_local_model()


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Corner:
    """A cache with the neighbours of one workload."""

    def __init__(self, model, store=None, at_least=0.9, seal=None):
        self.clock = Clock()
        self.store = MemoryStore(1 << 24, time.monotonic) if store is None else store
        self.cache = ResponseCache("faq", self.store, seal, self.clock, pytest.fail)
        self.near = Neighbours(self.cache, model, at_least, SECRET, self.clock)

    async def answer(self, key, text, context=HERE, lives_us=HOUR_US):
        stored_us = int(self.clock.now_s * 1e6)
        said = CachedAnswer(stored_us, stored_us + lives_us, "m", "m-1", "stop", "", 5, {}, ((0, text.encode()),))
        await self.cache.keep(key, said)
        await self.near.keep(context, text, key, said.expires_us)

    async def found(self, text, context=HERE):
        near = await self.near.find(context, text)
        return None if near is None else (near.answer.pieces[0][1].decode(), round(near.similarity, 2))


def test_the_most_similar_text_of_a_context_is_found_and_of_no_other(model):
    async def dialogue():
        corner = Corner(model, at_least=0.8)
        await corner.answer(b"1" * 32, "How do I reset my password?")
        await corner.answer(b"2" * 32, "How can I reset it, my password?")
        await corner.answer(b"3" * 32, "When do you open?")

        assert (await corner.found("how can i reset it, my password"))[0] == "How can I reset it, my password?"
        assert await corner.found("When do you open?") == ("When do you open?", 1.0)
        assert await corner.found("How do I close my account?") is None
        assert await corner.found("When do you open?", THERE) is None

    asyncio.run(dialogue())


def test_what_is_near_and_differs_in_a_number_is_not_found(model):
    async def dialogue():
        corner = Corner(model, at_least=0.5)
        await corner.answer(b"1" * 32, "Where is order 4411?")

        assert await corner.found("Where is order 4412?") is None
        assert await corner.found("Where is my order 4411?") is not None

    asyncio.run(dialogue())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Move 100 from account 5 to account 7", "Move 100 from account 7 to account 5"),
        ("Does Ann owe Bob anything?", "Does Bob owe Ann anything?"),
    ],
)
def test_the_same_words_in_another_order_have_the_same_vector_and_another_answer(model, one, other):
    async def dialogue():
        corner = Corner(model, at_least=0.99)
        await corner.answer(b"1" * 32, one)

        assert model.cosines(model.packed(one), model.packed(other))[0] > 0.99
        assert await corner.found(other) is None
        assert await corner.found(one) == (one, 1.0)

    asyncio.run(dialogue())


def test_what_has_expired_or_was_removed_is_passed_over(model):
    async def dialogue():
        corner = Corner(model, at_least=0.8)
        await corner.answer(b"1" * 32, "So when do you open?", lives_us=10_000_000)
        await corner.answer(b"2" * 32, "When do you open?")
        corner.store._drop(b"2" * 32)

        assert (await corner.found("when do you open"))[0] == "So when do you open?"
        corner.clock.now_s += 11
        assert await corner.found("when do you open") is None

    asyncio.run(dialogue())


def test_texts_without_words_or_too_long_are_never_compared(model):
    async def dialogue():
        corner = Corner(model, at_least=0.1)
        for number, text in enumerate(["", "  ", "when do you open " * 200]):
            await corner.answer(bytes([number]) * 32, text)
            assert await corner.found(text) is None

    asyncio.run(dialogue())


def test_a_context_keeps_its_latest_neighbours(model):
    async def dialogue():
        corner = Corner(model)
        for number in range(MOST_NEIGHBOURS + 1):
            await corner.answer(number.to_bytes(32), f"What is number {number}?")

        assert await corner.found("what is number 0") is None
        assert await corner.found("what is number 1") is not None
        assert await corner.found(f"what is number {MOST_NEIGHBOURS}") is not None
        assert len(await corner.cache.read(b"like:" + HERE)) < 300_000

    asyncio.run(dialogue())


def test_vectors_of_another_model_are_not_compared(model):
    class Other:
        identity = "another"
        packed, cosines = model.packed, model.cosines

    async def dialogue():
        corner = Corner(model)
        await corner.answer(b"1" * 32, "When do you open?")
        corner.near = Neighbours(corner.cache, Other(), 0.9, SECRET, corner.clock)

        assert await corner.found("When do you open?") is None

    asyncio.run(dialogue())


def test_what_leaves_the_process_is_sealed(model, tmp_path):
    async def dialogue():
        store = SqliteStore(tmp_path / "answers.db", 1 << 20, Clock())
        corner = Corner(model, store, seal=ContentVault(SECRET))
        await corner.answer(b"1" * 32, "Wherefore art thou here?")
        assert await corner.found("wherefore art thou here") is not None
        await store.close()
        assert stats_of_file(tmp_path / "answers.db", lambda: 1000.0)[0].entries == 1, "neighbours are no answers"
        written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert model.packed("Wherefore art thou here?")[:32] not in written
        assert b"Wherefore" not in written

    asyncio.run(dialogue())
