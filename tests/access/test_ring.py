import os
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access import KeyRing, KeyStore, OpenRing, Role
from headworks.access.keys import make_key
from headworks.calls import Caller, Endpoint
from headworks.errors import Refusal, StorageError

SECRET = b"5" * 64
UNKNOWN = make_key(Random(7).randbytes)


@pytest.fixture
def ring(store, clock):
    return KeyRing(store, SECRET, clock, clock=clock)


def bearer(key: str) -> bytes:
    return b"Bearer " + key.encode()


def refusal(ring, header) -> Refusal:
    with pytest.raises(Refusal) as raised:
        ring.identify(header)
    return raised.value


def test_a_good_key_is_known_with_its_grant(store, make, clock):
    record, key = make(owner="ann", team="search", models=("sim/*",), endpoints=(Endpoint.CHAT,))

    grant = KeyRing(store, SECRET, clock).identify(bearer(key))

    assert grant.caller == Caller(record.key_id, "ann", "search")
    assert (grant.may_use("sim/x"), grant.may_use("fast")) == (True, False)
    assert (grant.may_call(Endpoint.CHAT), grant.may_call(Endpoint.RESPONSES)) == (True, False)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}", "Bearer {}  ", "  Bearer {}"])
def test_the_scheme_is_taken_in_any_case_and_with_any_spaces(store, make, clock, form):
    _, key = make()
    ring = KeyRing(store, SECRET, clock)

    assert ring.identify(form.format(key).encode()) is ring.identify(bearer(key))


def test_a_key_that_is_made_later_is_known_when_it_first_comes(ring, make):
    _, key = make()

    assert ring.identify(bearer(key)).caller.key_id
    assert ring.refresh() is False


def test_a_key_that_is_made_after_the_wall_clock_was_set_back_is_known_when_it_first_comes(store, make, clock):
    monotonic = iter(range(100))
    ring = KeyRing(store, SECRET, clock, clock=lambda: float(next(monotonic)))
    refusal(ring, bearer(UNKNOWN))
    clock.now -= 7200.0
    _, key = make()

    assert ring.identify(bearer(key)).caller.key_id


def test_a_moment_without_the_store_is_no_news_when_the_wall_clock_is_set_forward(store, clock, monkeypatch):
    ring = KeyRing(store, SECRET, clock, clock=lambda: 1.0)

    def fail():
        raise StorageError("locked")

    monkeypatch.setattr(store, "version", fail)
    clock.now += 3600.0

    assert ring.refresh() is False


def test_unknown_keys_do_not_make_it_look_all_the_time(ring, make, clock):
    refusal(ring, bearer(UNKNOWN))
    _, key = make()
    assert refusal(ring, bearer(key)).code == "invalid_api_key"

    clock.now += 0.06

    assert ring.identify(bearer(key)).caller.key_id


def test_a_revoked_key_is_refused_from_the_next_refresh_on_however_often_it_was_used(ring, make, other_store, clock):
    record, key = make()
    ring.refresh()
    for _ in range(3):
        ring.identify(bearer(key))
    other_store.revoke(record.key_id, now=clock())

    ring.refresh()

    assert refusal(ring, bearer(key)).status == 401


def test_a_key_expires_to_the_moment_without_any_refresh(ring, make, clock):
    _, key = make(expires_at=clock() + 10)
    ring.refresh()
    clock.now += 9.999
    ring.identify(bearer(key))
    clock.now += 0.001

    assert refusal(ring, bearer(key)).status == 401


def test_a_rotated_key_is_good_for_its_overlap_and_the_new_one_from_at_once(ring, make, other_store, clock):
    record, old_key = make()
    ring.refresh()
    ring.identify(bearer(old_key))
    _, new_key = other_store.rotate(record.key_id, secret=SECRET, now=clock(), overlap_s=60)
    ring.refresh()

    ring.identify(bearer(old_key))
    ring.identify(bearer(new_key))
    clock.now += 60

    assert refusal(ring, bearer(old_key)).status == 401
    ring.identify(bearer(new_key))


def test_unknown_malformed_revoked_and_expired_keys_get_the_very_same_answer(ring, make, other_store, clock):
    revoked, revoked_key = make()
    _, expired_key = make(expires_at=clock() + 1)
    _, good_key = make()
    _, foreign_key = make(secret=b"another secret")
    other_store.revoke(revoked.key_id, now=clock())
    clock.now += 2
    ring.refresh()

    answers = {
        (answer.status, answer.body(), answer.headers)
        for header in (
            bearer(revoked_key),
            bearer(expired_key),
            bearer(foreign_key),
            bearer(good_key[:-1] + ("a" if good_key[-1] != "a" else "b")),
            bearer("hw-nonsense"),
            bearer("sk-something-of-a-provider"),
            b"Bearer",
            b"Basic dXNlcjpwYXNz",
            good_key.encode(),
            b"\xff\xfe",
        )
        for answer in [refusal(ring, header)]
    }

    assert len(answers) == 1
    assert b"invalid_api_key" in answers.pop()[1]


@pytest.mark.parametrize("header", [None, b""])
def test_who_sends_no_key_is_told_how_to(ring, header):
    answer = refusal(ring, header)

    assert (answer.status, answer.code) == (401, "invalid_api_key")
    assert "Authorization: Bearer" in answer.message
    assert answer.headers == (("www-authenticate", 'Bearer realm="headworks"'),)


def test_a_refusal_never_shows_what_was_sent(ring):
    sent = "hw-0123456789abcdefghijABCDEFGHIJ0123456789AB"

    assert sent[3:12] not in refusal(ring, bearer(sent)).body().decode()


@pytest.mark.uncounted
@given(st.integers(1, 41), st.sampled_from("abcxyz019"))
def test_keys_that_share_a_beginning_are_never_confused(tmp_path_factory, place, character):
    folder = tmp_path_factory.mktemp("keys")
    store = KeyStore(folder / "keys.db")
    _, key = store.create(secret=SECRET, now=1.0)
    ring = KeyRing(store, SECRET, lambda: 2.0)
    ring.identify(bearer(key))

    for other in (key[:place], key[:place] + character + key[place + 1 :], key + character, key + " " + character):
        if other != key:
            assert refusal(ring, bearer(other)).status == 401
    store.close()


def test_keys_that_were_hashed_under_another_secret_are_not_good(store, make, clock):
    _, key = make(secret=b"another secret")

    assert refusal(KeyRing(store, SECRET, clock), bearer(key)).status == 401
    KeyRing(store, b"another secret", clock).identify(bearer(key))


def test_a_digest_that_was_planted_in_the_store_opens_nothing(ring, store, other_store, make, clock):
    """Who can write the database but does not have the secret cannot make a key of their own good."""
    from hashlib import sha256

    from headworks.access.keys import make_key

    planted = make_key(os.urandom)
    record, _ = make()
    other_store._connection.execute(
        "UPDATE keys SET digest = ?, revision = revision + 1 WHERE key_id = ?",
        (sha256(planted.encode()).digest(), record.key_id),
    )
    ring.refresh()

    assert refusal(ring, bearer(planted)).status == 401


def test_another_file_in_the_place_of_the_store_is_read_anew(ring, make, store, tmp_path, clock):
    _, old_key = make()
    ring.refresh()
    ring.identify(bearer(old_key))
    replacement = KeyStore(tmp_path / "restored.db")
    _, restored_key = replacement.create(secret=SECRET, now=clock())
    replacement.close()
    for leftover in tmp_path.glob("keys.db-*"):
        leftover.unlink()
    (tmp_path / "restored.db").replace(tmp_path / "keys.db")

    assert ring.refresh()
    assert refusal(ring, bearer(old_key)).status == 401
    ring.identify(bearer(restored_key))


def test_a_store_that_cannot_be_read_for_a_moment_changes_nothing_and_for_long_is_said(
    ring, make, store, clock, monkeypatch
):
    _, key = make()
    ring.refresh()

    def fail():
        raise StorageError("locked")

    monkeypatch.setattr(store, "version", fail)
    clock.now += 4
    assert ring.refresh() is False
    ring.identify(bearer(key))
    clock.now += 2
    with pytest.raises(StorageError):
        ring.refresh()


def test_a_change_whose_reading_failed_is_read_at_the_next_refresh(ring, make, store, monkeypatch):
    _, key = make()

    def fail(_revision):
        raise StorageError("locked")

    with monkeypatch.context() as patched:
        patched.setattr(store, "changes_since", fail)
        assert ring.refresh() is False

    assert ring.refresh() is True
    ring.identify(bearer(key))


def test_what_is_remembered_of_headers_is_bounded(store, make, clock):
    _, key = make()
    ring = KeyRing(store, SECRET, clock)

    for spaces in range(3_000):
        ring.identify(b"Bearer " + b" " * spaces + key.encode())

    assert len(ring._seen) <= 1_026


@pytest.mark.replaces
def test_neither_ring_nor_store_holds_a_key(ring, make):
    _, key = make()
    ring.refresh()
    ring.identify(bearer(key))

    held = repr([vars(ring), vars(ring._store)])
    assert key not in held
    assert key[3:15] not in held


def test_the_open_ring_lets_everyone_in_without_a_name():
    ring = OpenRing()

    assert (ring.hosts, KeyRing.hosts) == (None, None)
    assert ring.identify(None).caller == Caller()
    assert ring.identify(b"Bearer anything").may_use("anything")
    assert ring.refresh() is False


def test_a_key_of_the_admin_api_calls_nothing_and_who_has_it_is_told_why(ring, make):
    _, key = make(role=Role.ADMIN)

    told = refusal(ring, bearer(key))
    assert (told.status, told.code) == (403, "key_calls_no_models")
    assert "admin API" in told.message
    assert refusal(ring, bearer(UNKNOWN)).status == 401


@pytest.mark.parametrize("end", ["revoked", "expired", "other secret"])
def test_a_key_of_the_admin_api_that_is_good_no_longer_is_as_unknown_as_any(store, other_store, make, clock, end):
    record, key = make(role=Role.ADMIN, expires_at=clock() + 10)
    ring = KeyRing(store, b"6" * 64 if end == "other secret" else SECRET, clock, clock=clock)
    if end == "revoked":
        assert refusal(ring, bearer(key)).status == 403
        other_store.revoke(record.key_id, now=clock())
        ring.refresh()
    if end == "expired":
        clock.now += 10

    assert refusal(ring, bearer(key)).message == refusal(ring, bearer(UNKNOWN)).message
