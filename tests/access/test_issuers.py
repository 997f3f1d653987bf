import os

import pytest

from headworks.access import KeyRing
from headworks.access.fetching import LEAST_S, REFRESH_S, KeySetFetcher, Wanted
from headworks.access.issuers import STALE_AFTER_S, Issuers, Source, fetched_file, wish_file
from headworks.access.tokens import Issuer
from headworks.calls import NO_TEAM, Team
from headworks.errors import Refusal
from tests.access.token_maker import NOW_S, SigningKey, claims, key_set, token

SECRET = b"5" * 64
URL = "https://id.example/keys"
OLD, NEW = SigningKey("ES256", "old"), SigningKey("EdDSA", "new")
ISSUER = Issuer("https://id.example", ("headworks",), team="search")


@pytest.fixture
def file(tmp_path):
    file = fetched_file(tmp_path, URL)
    file.parent.mkdir()
    return file


def publish(file, *keys, at_s=NOW_S):
    fresh = file.with_suffix(".new")
    fresh.write_bytes(key_set(*keys))
    os.utime(fresh, (at_s, at_s))
    fresh.replace(file)


@pytest.fixture
def said():
    return []


@pytest.fixture
def issuers(file, clock, said):
    publish(file, OLD)
    teams = {"search": Team(priority=0)}
    return Issuers([Source(ISSUER, file, is_fetched=True)], clock, teams=teams, clock=clock, say=said.append)


@pytest.fixture
def ring(store, issuers, clock):
    return KeyRing(store, SECRET, clock, issuers=issuers, clock=clock)


def bearer(text):
    return b"Bearer " + text


def status(ring, header):
    try:
        ring.identify(header)
    except Refusal as refusal:
        return refusal.status
    return 200


def test_a_token_opens_the_gateway_beside_virtual_keys(ring, make, clock):
    grant = ring.identify(bearer(token(OLD)))
    _, key = make()

    assert (grant.caller.owner, grant.caller.team, grant.priority) == ("ann", "search", 0)
    assert ring.identify(bearer(key.encode())).caller.key_id.startswith("key_")
    assert status(ring, b"Basic " + token(OLD)) == 401


def test_a_token_is_checked_once_and_is_not_good_any_longer_than_it_says(ring, clock, monkeypatch):
    header = bearer(token(OLD))
    grant = ring.identify(header)
    monkeypatch.setattr("headworks.access.issuers.verify", None)

    assert ring.identify(header) is grant
    clock.now = NOW_S + 629.9
    assert ring.identify(header) is grant
    clock.now = NOW_S + 630.0
    assert status(ring, header) == 401


def test_a_token_with_the_beginning_of_a_good_one_is_another(ring):
    good = token(OLD)
    ring.identify(bearer(good))

    assert status(ring, bearer(good[:-1])) == 401
    assert status(ring, bearer(token(OLD, claims(exp=1)))) == 401


def test_bad_tokens_and_bad_keys_hear_the_same(ring):
    heard = []
    for bad in (token(SigningKey("ES256", "old")), token(OLD, claims(aud="x")), token(NEW), b"a.b.c", b"hw-x", b"x"):
        with pytest.raises(Refusal) as raised:
            ring.identify(bearer(bad))
        heard.append(raised.value.body())

    assert len(set(heard)) == 1


def test_a_key_that_is_unknown_is_wished_for_and_good_once_it_is_there(ring, file):
    header = bearer(token(NEW))
    assert status(ring, header) == 401
    assert wish_file(file).exists()

    publish(file, OLD, NEW)
    assert ring.refresh()
    assert status(ring, header) == 200
    assert not ring.refresh()


def test_wishes_are_seldom_whoever_makes_them(ring, file, clock):
    status(ring, bearer(token(NEW)))
    wish_file(file).unlink()
    status(ring, bearer(token(NEW, claims(sub="bob"))))
    assert not wish_file(file).exists()
    clock.now += 5.0
    status(ring, bearer(token(NEW)))
    assert wish_file(file).exists()


def test_a_token_is_not_good_any_more_when_its_key_is_gone(ring, file):
    header, edition = bearer(token(OLD)), ring.edition
    ring.identify(header)

    publish(file, NEW)
    assert ring.refresh()
    assert ring.edition is not edition
    assert status(ring, header) == 401


def test_the_same_keys_written_again_change_nothing(ring, file, clock):
    edition = ring.edition
    publish(file, OLD, at_s=NOW_S + 60)

    assert not ring.refresh()
    assert ring.edition is edition


@pytest.mark.parametrize("content", [b"", b"{}", b'{"keys": []}'])
def test_a_key_set_that_is_none_leaves_the_keys_and_is_said_once(ring, file, said, content):
    file.write_bytes(content)

    assert not ring.refresh()
    assert not ring.refresh()
    assert status(ring, bearer(token(OLD))) == 200
    assert len(said) == 1


def test_without_keys_a_token_is_not_refused_for_good_but_for_now(tmp_path, clock):
    missing = Issuers([Source(ISSUER, tmp_path / "none", is_fetched=True)], clock, clock=clock)
    with pytest.raises(Refusal) as raised:
        missing.identify(token(OLD))

    assert (raised.value.status, raised.value.code) == (503, "token_keys_unavailable")
    assert missing.identify(token(OLD, claims(iss="https://other.example"))) is None


def test_keys_that_were_not_renewed_for_a_day_are_not_used(issuers, clock):
    clock.now = NOW_S + STALE_AFTER_S + 1
    with pytest.raises(Refusal) as raised:
        issuers.identify(token(OLD, claims(exp=clock.now + 60)))
    assert raised.value.status == 503


def test_keys_in_a_file_of_ones_own_do_not_age_and_a_missing_file_is_said(tmp_path, clock, said):
    file = tmp_path / "keys.json"
    issuers = Issuers([Source(ISSUER, file, is_fetched=False)], clock, clock=clock, say=said.append)
    assert "no such file" in said[0]

    publish(file, OLD)
    assert issuers.refresh()
    clock.now = NOW_S + 10 * STALE_AFTER_S
    assert issuers.identify(token(OLD, claims(exp=clock.now + 60))).priority == NO_TEAM.priority_of(None)


class Provider:
    """Answers with what it has, or fails."""

    def __init__(self):
        self.answer: bytes | OSError = key_set(OLD)
        self.asked = 0

    def __call__(self, url):
        assert url == URL
        self.asked += 1
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def fetcher(tmp_path, provider, clock, said):
    return KeySetFetcher([Wanted(URL), Wanted(URL)], tmp_path, provider, clock, said.append)


def test_a_key_set_is_fetched_at_once_and_then_now_and_then(fetcher, provider, clock, tmp_path):
    for _ in range(4):
        fetcher.tick()
        clock.now += REFRESH_S / 2

    assert provider.asked == 2
    file = fetched_file(tmp_path, URL)
    assert file.read_bytes() == key_set(OLD)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_wish_is_granted_but_not_more_often_than_is_polite(fetcher, provider, clock, tmp_path):
    fetcher.tick()
    wish = wish_file(fetched_file(tmp_path, URL))
    wish.touch()
    fetcher.tick()
    assert provider.asked == 1

    clock.now += LEAST_S
    fetcher.tick()
    assert (provider.asked, wish.exists()) == (2, False)


@pytest.mark.parametrize("answer", [OSError("it answers with 503"), b"<html>", b'{"keys": []}'])
def test_a_fetch_that_fails_leaves_what_is_there_and_is_tried_again_later_and_later(
    fetcher, provider, clock, tmp_path, said, answer
):
    fetcher.tick()
    clock.now += REFRESH_S
    provider.answer = answer
    for _ in range(60):
        fetcher.tick()
        clock.now += 1.0

    assert 5 <= provider.asked <= 7
    assert fetched_file(tmp_path, URL).read_bytes() == key_set(OLD)
    assert len(said) == 1

    provider.answer = key_set(NEW)
    clock.now += REFRESH_S
    fetcher.tick()
    assert fetched_file(tmp_path, URL).read_bytes() == key_set(NEW)
    assert said[1:] == [f"the keys at {URL} are fetched again"]


def test_claims_are_shown_of_a_good_token_only_and_with_who_has_signed_them(issuers):
    issuer, said = issuers.claims(token(OLD, claims(groups=["a"])))

    assert (issuer, said["sub"], said["groups"]) == (ISSUER, "ann", ["a"])
    assert issuers.claims(token(OLD, claims(aud="other"))) is None
    assert issuers.claims(token(NEW, claims())) is None
