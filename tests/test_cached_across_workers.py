"""Calls that are the same and come to several workers at once: one of them makes the call."""

import json

import pytest

from headworks.calls import FailureKind
from headworks.response_cache import LEASE_S, ResponseCache
from played_work import team

CACHE = "cache: {ttl_s: 60, store: sqlite}\n"
OTHERS = b"another worker's"


class Shared:
    """A store that other workers use, too; what it holds is in the open."""

    is_outside = True

    def __init__(self):
        self.now_s = 1000.0
        self.kept = {}
        self.leases = {}

    async def get(self, key):
        return self.kept.get(key)

    async def put(self, key, workload, data, lives_s):
        self.kept[key] = data

    async def claim(self, key, holder, lives_s):
        held = self.leases.get(key)
        if held is not None and held[0] != holder and held[1] > self.now_s:
            return False
        self.leases[key] = holder, self.now_s + lives_s
        return True

    async def release(self, key, holder):
        if self.leases.get(key, (b"",))[0] == holder:
            del self.leases[key]

    async def close(self):
        pass


class NoSeal:
    """Leaves what it is given as it is."""

    def seal(self, call_id, workload, kind, data):
        return data

    open = seal


@pytest.fixture
def store():
    return Shared()


@pytest.fixture
def make(work, store):
    def made(contract=CACHE):
        counted = []
        cache = ResponseCache("triage", store, NoSeal(), lambda: store.now_s, pytest.fail)
        work.now_s = store.now_s
        work.make(contract, cache=cache, cached=counted)
        return counted

    return made


@pytest.fixture
def elsewhere(hall, work, store, make):
    """Another worker is making the call: its lease is taken, and its answer is to come. Returns the answer's key and
    entry."""
    make()
    work.chat("help")
    work.answer(team("red"))
    hall.turn()
    ((key, data),) = store.kept.items()
    store.kept.clear()
    store.leases[key] = OTHERS, store.now_s + LEASE_S
    return key, data


def until(hall, holds):
    """Let the loop run until something is so."""
    end_s = hall.loop.time() + 60
    while not holds():
        assert hall.loop.time() < end_s
        hall.turn(1)


def test_who_makes_a_call_has_its_lease_until_the_answer_is_kept(hall, work, store, make):
    make()
    answered = work.chat("help")
    assert len(store.leases) == 1
    work.answer(team("red"))
    hall.turn()

    assert answered.status == 200
    assert len(store.kept) == 1
    assert not store.leases


def test_who_comes_later_waits_for_the_answer_of_the_other_worker(hall, work, store, elsewhere):
    key, data = elsewhere
    waiting = work.chat("help")
    assert (waiting.status, len(hall.upstream.flights)) == (0, 1)
    store.kept[key] = data
    until(hall, lambda: waiting.status)

    assert json.loads(waiting.body) == team("red")
    assert waiting.headers["x-headworks-cache"] == "hit"
    assert store.leases[key][0] == OTHERS


@pytest.mark.parametrize("how", ["let go", "died"])
def test_where_the_other_ends_without_an_answer_the_next_makes_the_call(hall, work, store, elsewhere, how):
    key, _ = elsewhere
    waiting = work.chat("help")
    if how == "died":
        store.now_s += LEASE_S + 1
    else:
        del store.leases[key]
    until(hall, lambda: len(hall.upstream.flights) == 2)

    assert store.leases[key][0] != OTHERS
    work.answer(team("blue"))
    hall.turn()
    assert json.loads(waiting.body) == team("blue")
    assert not store.leases


def test_an_answer_that_comes_just_before_its_lease_is_free_is_taken(hall, work, store, elsewhere):
    _, data = elsewhere
    waiting = work.chat("help")
    claim = store.claim

    async def later(key, holder, lives_s):
        store.kept[key] = data
        del store.leases[key]
        return await claim(key, holder, lives_s)

    store.claim = later
    until(hall, lambda: waiting.status)

    assert waiting.headers["x-headworks-cache"] == "hit"
    hall.turn()
    assert not store.leases


def test_who_has_waited_for_long_goes_up_alone(hall, work, store, make, elsewhere):
    key, _ = elsewhere
    make(CACHE + "latency: {total_s: 0.2}\n")
    before = len(hall.upstream.flights)
    waiting = work.chat("help")
    assert len(hall.upstream.flights) == before
    until(hall, lambda: len(hall.upstream.flights) > before)

    assert store.leases[key][0] == OTHERS
    waiting.running.cancel()


def test_where_the_others_answer_is_not_for_others_nobody_waits_for_the_next(hall, work, store, elsewhere):
    key, _ = elsewhere
    cache = ResponseCache("triage", store, NoSeal(), lambda: store.now_s, pytest.fail)
    waiting = work.chat("help")
    hall.loop.run_until_complete(cache.give_none(key))
    until(hall, lambda: len(hall.upstream.flights) == 2)

    assert store.leases[key][0] == OTHERS
    work.answer(team("blue"))
    assert json.loads(waiting.body) == team("blue")


def test_who_has_an_answer_that_is_not_for_others_tells_them(hall, work, store, make):
    make()
    work.chat("help")
    (key,) = store.leases
    work.answer(team("red"), status=500)
    hall.turn()
    cache = ResponseCache("triage", store, NoSeal(), lambda: store.now_s, pytest.fail)

    assert not store.leases
    assert hall.loop.run_until_complete(cache.gives_none(key))


@pytest.mark.parametrize("ends", ["fails", "goes away"])
def test_a_lease_is_given_back_however_the_call_ends(hall, work, store, make, ends):
    make()
    answered = work.chat("help")
    assert store.leases
    if ends == "fails":
        work.fail(FailureKind.UNREACHABLE)
    else:
        answered.running.stop()
    hall.turn()

    assert not store.leases
    assert not [data for data in store.kept.values() if data != b"none"]
