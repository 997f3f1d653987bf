import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import Secret
from headworks.errors import SecretError
from headworks.secrets import Fetched, Keeper, Watch, ask_for_look, pack, read_standing, unpack, with_looks
from headworks.secrets.keeper import MOST_VERSIONS

REFERENCE = "vault:secret/openai#key"


class Clock:
    def __init__(self):
        self.now_s = 1_000_000.0

    def __call__(self):
        return self.now_s


class Source:
    """Who has the secret. State: its value, or that it is away."""

    def __init__(self, value="one"):
        self.value = value
        self.is_away = False
        self.asked = 0

    def __call__(self, reference):
        self.asked += 1
        if self.is_away:
            raise SecretError(f"{reference}: nobody answers")
        return Fetched(Secret(self.value), f"v-{self.value}")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def keeper(clock, source):
    keeper = Keeper([REFERENCE], source, 60.0, clock)
    keeper.begin()
    return keeper


def values(keeper):
    return [version.secret.reveal() for version in keeper.kept[REFERENCE].versions]


def test_a_new_value_comes_first_and_the_one_before_it_stays_for_the_overlap(keeper, clock, source):
    source.value = "two"
    assert keeper.look() is True
    assert values(keeper) == ["two", "one"]

    clock.now_s += 59
    assert keeper.look() is False
    assert values(keeper) == ["two", "one"]
    clock.now_s += 1
    assert keeper.drain() is True
    assert values(keeper) == ["two"]
    assert keeper.drain() is False


def test_a_manager_that_is_away_changes_nothing_but_that_it_is_said(keeper, clock, source):
    source.is_away = True
    clock.now_s += 1000

    assert keeper.look() is False

    held = keeper.kept[REFERENCE]
    assert values(keeper) == ["one"]
    assert held.problem == f"{REFERENCE}: nobody answers"
    assert held.looked_s == 1_000_000.0
    source.is_away = False
    assert keeper.look() is False
    assert keeper.kept[REFERENCE].problem == ""


def test_a_value_that_was_put_back_is_the_newest_again(keeper, source):
    for source.value in ("two", "one"):
        keeper.look()

    assert values(keeper) == ["one", "two"]


def test_what_cannot_be_had_at_first_is_not_kept(clock, source):
    source.is_away = True
    keeper = Keeper([REFERENCE], source, 60.0, clock)

    keeper.begin()

    assert keeper.kept == {}
    assert keeper.problems == {REFERENCE: f"{REFERENCE}: nobody answers"}


def test_at_a_reload_what_is_known_is_not_asked_for_again_and_files_are(keeper, source, clock):
    asked = source.asked
    again = Keeper([REFERENCE, "file:key"], source, 60.0, clock, keeper.kept)

    again.begin()

    assert source.asked == asked + 1
    assert set(again.kept) == {REFERENCE, "file:key"}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 90)), max_size=30))
def test_whatever_happens_the_newest_is_the_last_that_was_seen_and_none_is_there_twice(steps):
    clock, source = Clock(), Source()
    keeper = Keeper([REFERENCE], source, 60.0, clock)
    keeper.begin()
    seen_s = {"one": clock.now_s}
    newest = "one"
    for value, is_away, passed_s in steps:
        clock.now_s += passed_s
        source.value, source.is_away = value, is_away
        before = values(keeper)
        is_news = keeper.look()
        if not is_away:
            seen_s[newest] = clock.now_s
            newest = value
            seen_s[value] = clock.now_s
        kept = values(keeper)
        assert is_news == (kept != before)
        assert kept[0] == newest
        assert len(set(kept)) == len(kept) <= MOST_VERSIONS
        assert all(clock.now_s - seen_s[one] < 60.0 for one in kept[1:])


@given(st.text(max_size=40), st.text(max_size=10), st.floats(0, 2e9))
def test_what_is_packed_for_another_process_comes_out_the_same(value, name, now_s):
    clock = Clock()
    clock.now_s = now_s
    keeper = Keeper([REFERENCE], lambda _: Fetched(Secret(value), name), 60.0, clock)
    keeper.begin()

    there = unpack(pack(keeper.kept))

    assert there == keeper.kept


class Watched:
    def __init__(self, folder, keeper, clock):
        self.sent = []
        self.said = []
        self.watch = Watch(keeper, folder, 100.0, now=clock, clock=clock, send=self.sent.append, say=self.said.append)


def test_it_is_looked_on_schedule_and_when_somebody_asks_but_not_without_end(tmp_path, keeper, clock, source):
    watched = Watched(tmp_path, keeper, clock)
    asked = source.asked
    watched.watch.tick()
    assert source.asked == asked

    ask_for_look(tmp_path, clock.now_s + 1)
    watched.watch.tick()
    assert source.asked == asked  # it has only just been looked at
    clock.now_s += 2
    watched.watch.tick()
    watched.watch.tick()
    assert source.asked == asked + 1
    clock.now_s += 101
    source.value = "two"
    watched.watch.tick()
    assert source.asked == asked + 2
    assert [list(kept) for kept in watched.sent] == [[REFERENCE]]
    standing = read_standing(tmp_path)
    assert standing is not None
    assert (standing.secrets[0].version, standing.secrets[0].older) == ("v-two", 1)


def test_after_a_look_that_failed_the_next_one_comes_soon_and_it_is_said_once(tmp_path, keeper, clock, source):
    watched = Watched(tmp_path, keeper, clock)
    source.is_away = True
    asked = source.asked
    for passed_s in (101, 3, 1, 4, 8):
        clock.now_s += passed_s
        watched.watch.tick()

    assert source.asked == asked + 4
    assert len(watched.said) == 1
    source.is_away = False
    clock.now_s += 61
    watched.watch.tick()
    assert watched.said[-1] == f"{REFERENCE} can be looked at again"
    assert watched.sent == []


def test_an_old_version_is_drained_without_a_look_and_everyone_is_told(tmp_path, keeper, clock, source):
    source.value = "two"
    keeper.look()
    watched = Watched(tmp_path, keeper, clock)
    asked = source.asked
    clock.now_s += 61

    watched.watch.tick()

    assert source.asked == asked
    assert len(watched.sent) == 1
    assert values(keeper) == ["two"]


def test_neither_what_is_kept_nor_how_it_stands_shows_a_value(tmp_path, clock):
    keeper = Keeper([REFERENCE], lambda _: Fetched(Secret("sk-planted-4711"), "v1"), 60.0, clock)
    keeper.begin()
    Watched(tmp_path, keeper, clock).watch.leave()

    shown = [
        repr(keeper.kept),
        str(keeper.kept),
        (tmp_path / "secrets.json").read_text(),
        repr(read_standing(tmp_path)),
    ]

    assert not any("sk-planted-4711" in text for text in shown)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    for leak in (pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode):
        with pytest.raises(TypeError) as raised:
            leak(keeper.kept)
        assert "sk-planted-4711" not in str(raised.value)


def bounded(clock, source, kept=None, stale_for_s=500.0, names=(REFERENCE,)):
    keeper = Keeper([REFERENCE], source, 60.0, clock, kept, stale_for_s=stale_for_s, bounded=names)
    keeper.begin()
    return keeper


def test_a_secret_whose_manager_is_away_for_longer_than_the_bound_expires_and_is_good_when_it_is_given_again(
    clock, source
):
    keeper = bounded(clock, source)
    source.is_away = True
    clock.now_s += 499
    assert keeper.look() is False
    assert keeper.drain() is False
    assert keeper.expired == ()

    clock.now_s += 1
    assert keeper.drain() is True  # without a look: the time is over all the same
    assert keeper.expired == (REFERENCE,)
    assert keeper.drain() is False
    assert keeper.look() is False

    source.is_away = False
    assert keeper.look() is True
    assert keeper.expired == ()


def test_a_secret_that_was_looked_at_does_not_expire_however_long_ago_that_was(clock, source):
    keeper = bounded(clock, source)
    clock.now_s += 10_000

    assert keeper.drain() is False
    assert keeper.expired == ()


def test_what_is_read_at_a_start_alone_has_no_bound(clock, source):
    keeper = bounded(clock, source, names=())
    source.is_away = True
    clock.now_s += 10_000

    assert keeper.look() is False
    assert keeper.expired == ()


def test_whoever_goes_on_with_the_keys_goes_by_the_looks_that_were_left(tmp_path, clock, source):
    known = bounded(clock, source).kept
    clock.now_s += 400
    keeper = bounded(clock, source, known)
    keeper.look()
    Watch(keeper, tmp_path, 100.0, now=clock, clock=clock, send=[].append, say=[].append).leave()
    clock.now_s += 200
    source.is_away = True

    again = bounded(clock, source, with_looks(known, read_standing(tmp_path)))
    again.look()
    assert again.expired == ()

    clock.now_s += 300
    assert again.drain() is True


def test_that_it_is_expired_is_said_once_and_comes_to_whoever_makes_calls_and_to_the_standing(tmp_path, clock, source):
    keeper = bounded(clock, source)
    watched = Watched(tmp_path, keeper, clock)
    source.is_away = True
    for passed_s in (101, 300, 150, 50):
        clock.now_s += passed_s
        watched.watch.tick()

    assert [kept[REFERENCE].is_expired for kept in watched.sent] == [True]
    assert unpack(pack(watched.sent[0])) == keeper.kept
    (said,) = [line for line in watched.said if "secrets.stale_for_s" in line]
    assert said.startswith(f"{REFERENCE} could not be looked at")
    assert read_standing(tmp_path).secrets[0].is_expired

    source.is_away = False
    clock.now_s += 100
    watched.watch.tick()
    assert len(watched.sent) == 2
    assert not watched.sent[-1][REFERENCE].is_expired
    assert watched.said[-1] == f"{REFERENCE} is used again"
    assert not read_standing(tmp_path).secrets[0].is_expired
