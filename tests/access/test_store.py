import sqlite3

import pytest

from headworks.access import Change, KeyStore, Role
from headworks.access.keys import is_well_formed
from headworks.calls import Budget, Endpoint, Limits
from headworks.errors import CommandError, OutOfDate, StorageError, UnknownName

SECRET = b"5" * 64
OTHER_SECRET = b"6" * 64


def test_a_key_is_stored_with_its_grant_and_not_itself(store, tmp_path):
    record, key = store.create(
        secret=SECRET,
        now=100.0,
        name="app",
        owner="ann",
        team="search",
        models=("fast", "sim/*"),
        endpoints=(Endpoint.CHAT,),
        expires_at=200.0,
    )

    assert is_well_formed(key)
    assert store.get(record.key_id) == record
    assert (record.models, record.endpoints) == (("fast", "sim/*"), (Endpoint.CHAT,))
    assert (record.created_at, record.expires_at, record.revoked_at, record.revision) == (100.0, 200.0, None, 1)
    assert record.is_good(199.9)
    assert not record.is_good(200.0)
    for path in tmp_path.iterdir():
        assert key.encode() not in path.read_bytes()
        assert key.encode()[3:20] not in path.read_bytes()


def test_a_reader_learns_exactly_what_changed_since_a_revision(store):
    first, _ = store.create(secret=SECRET, now=1.0)
    second, _ = store.create(secret=SECRET, now=2.0)
    seen = store.revision()
    store.revoke(first.key_id, now=3.0)

    changed = store.changes_since(seen)

    assert [record.key_id for record in changed] == [first.key_id]
    assert store.changes_since(store.revision()) == []
    assert [record.key_id for record in store.list()] == [first.key_id, second.key_id]


def test_the_version_changes_with_every_change_whoever_makes_it(store, other_store):
    versions = [store.version(), store.version()]
    other_store.create(secret=SECRET, now=1.0)
    versions.append(store.version())
    store.create(secret=SECRET, now=2.0)
    versions.append(store.version())

    assert versions[0] == versions[1]
    assert len(set(versions)) == 3


def test_a_revoked_key_stays_revoked_at_its_first_time(store):
    record, _ = store.create(secret=SECRET, now=1.0)

    store.revoke(record.key_id, now=5.0)
    again = store.revoke(record.key_id, now=9.0)

    assert again.revoked_at == 5.0
    assert not again.is_good(5.0)


def test_rotating_makes_a_key_of_the_same_grant_and_ends_the_old_one(store):
    old, old_key = store.create(
        secret=SECRET,
        now=1.0,
        name="app",
        owner="ann",
        team="t",
        models=("m",),
        endpoints=(Endpoint.CHAT,),
        expires_at=9e9,
    )

    new, new_key = store.rotate(old.key_id, secret=SECRET, now=100.0, overlap_s=50.0)

    assert new_key != old_key
    assert new.replaces == old.key_id
    for field in ("name", "owner", "team", "models", "endpoints", "expires_at"):
        assert getattr(new, field) == getattr(old, field)
    assert store.get(old.key_id).expires_at == 150.0


def test_rotating_never_lengthens_the_life_of_the_old_key(store):
    old, _ = store.create(secret=SECRET, now=1.0, expires_at=120.0)

    new, _ = store.rotate(old.key_id, secret=SECRET, now=100.0, overlap_s=50.0, expires_at=500.0)

    assert (store.get(old.key_id).expires_at, new.expires_at) == (120.0, 500.0)


@pytest.mark.parametrize("is_revoked", [True, False])
def test_a_key_that_is_no_longer_good_cannot_be_rotated(store, is_revoked):
    record, _ = store.create(secret=SECRET, now=1.0, expires_at=10.0)
    if is_revoked:
        store.revoke(record.key_id, now=5.0)

    with pytest.raises(CommandError, match="no longer good"):
        store.rotate(record.key_id, secret=SECRET, now=10.0, overlap_s=1.0)
    assert len(store.list()) == 1


def test_a_key_is_found_by_id_beginning_or_name(store):
    one, _ = store.create(secret=SECRET, now=1.0, name="app", random=lambda n: bytes([1] * n))
    two, _ = store.create(secret=SECRET, now=2.0, name="web", random=lambda n: bytes([2] * n))

    assert store.find(one.key_id, now=3.0) == one
    assert store.find(two.key_id[:8], now=3.0) == two
    assert store.find("web", now=3.0) == two


def test_of_keys_of_one_name_the_good_one_is_meant_and_two_good_ones_are_not_guessed_at(store):
    one, _ = store.create(secret=SECRET, now=1.0, name="app", expires_at=10.0)
    two, _ = store.create(secret=SECRET, now=2.0, name="app")

    with pytest.raises(CommandError, match=f"'app' may be several keys: {one.key_id}, {two.key_id}"):
        store.find("app", now=5.0)
    assert store.find("app", now=12.0) == two


def test_the_name_of_a_key_that_was_rotated_means_the_newest_while_the_others_are_good_too(store):
    old, _ = store.create(secret=SECRET, now=1.0, name="app")
    newer, _ = store.rotate(old.key_id, secret=SECRET, now=2.0, overlap_s=10.0)
    newest, _ = store.rotate(newer.key_id, secret=SECRET, now=3.0, overlap_s=10.0)

    assert store.find("app", now=5.0) == newest
    store.revoke(newest.key_id, now=6.0)
    assert store.find("app", now=7.0).key_id == newer.key_id


def test_an_unknown_name_is_answered_with_the_nearest(store):
    store.create(secret=SECRET, now=1.0, name="checkout")

    with pytest.raises(CommandError, match="there is no key 'chekout'; did you mean 'checkout'"):
        store.find("chekout", now=2.0)
    with pytest.raises(CommandError, match="keys list"):
        store.find("", now=2.0)
    with pytest.raises(CommandError, match="there is no key 'key_none'"):
        store.revoke("key_none", now=2.0)


def test_whose_a_found_key_is_can_be_learnt(store):
    record, key = store.create(secret=SECRET, now=1.0)
    store.revoke(record.key_id, now=2.0)

    assert store.identify(key, SECRET).key_id == record.key_id
    with pytest.raises(CommandError, match="made elsewhere"):
        store.identify(key, OTHER_SECRET)
    with pytest.raises(CommandError, match="mistyped or cut off") as raised:
        store.identify(key[:-1], SECRET)
    assert key[:-1] not in str(raised.value)


def test_a_broken_file_is_a_storage_error_that_names_it(tmp_path):
    (tmp_path / "keys.db").write_bytes(b"not a database at all, but long enough to be looked at" * 40)

    with pytest.raises(StorageError, match=r"keys\.db"):
        KeyStore(tmp_path / "keys.db")


def test_a_store_that_another_process_holds_is_a_storage_error_and_not_a_wait_for_ever(store, tmp_path, monkeypatch):
    store._connection.execute("PRAGMA busy_timeout = 10")
    holder = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageError, match="locked"):
        store.create(secret=SECRET, now=1.0)
    holder.execute("ROLLBACK")
    holder.close()

    assert store.list() == []


def test_networks_are_kept_changed_and_handed_on_by_rotation(store, other_store, clock):
    record, _ = other_store.create(secret=b"5" * 64, now=clock(), networks=["10.0.0.0/8"])
    assert store.get(record.key_id).networks == ("10.0.0.0/8",)

    other_store.change(record.key_id, Change(networks=("2001:db8::/32",)))
    fresh, _ = other_store.rotate(record.key_id, secret=b"5" * 64, now=clock(), overlap_s=0.0)
    assert store.get(fresh.key_id).networks == ("2001:db8::/32",)
    assert other_store.change(fresh.key_id, Change(networks=())).networks == ()


def test_a_role_is_kept_and_handed_on_by_rotation(store, clock):
    usual, _ = store.create(secret=SECRET, now=clock())
    record, _ = store.create(secret=SECRET, now=clock(), role=Role.AUDITOR)
    fresh, _ = store.rotate(record.key_id, secret=SECRET, now=clock(), overlap_s=0.0)

    assert [store.get(one.key_id).role for one in (usual, record, fresh)] == [Role.CALLER, Role.AUDITOR, Role.AUDITOR]


def test_what_is_not_named_in_a_change_stays(store, clock):
    record, _ = store.create(secret=SECRET, now=clock(), limits=Limits(5), networks=("10.0.0.0/8",), priority=2)

    changed = store.change(record.key_id, Change(budget=Budget(day_pico=7)))
    assert (changed.limits, changed.budget, changed.priority) == (Limits(5), Budget(day_pico=7), 2)
    assert store.change(record.key_id, Change(priority=None)).priority is None
    assert store.change(record.key_id, Change()).revision == record.revision + 2


def test_a_change_of_what_has_changed_meanwhile_is_refused_whole(store, other_store, clock):
    record, _ = store.create(secret=SECRET, now=clock())
    other_store.change(record.key_id, Change(limits=Limits(5)))

    with pytest.raises(OutOfDate, match="look again"):
        store.change(record.key_id, Change(limits=Limits(9)), revision=record.revision)
    assert store.get(record.key_id).limits == Limits(5)
    now = store.get(record.key_id)
    assert store.change(record.key_id, Change(limits=Limits(9)), revision=now.revision).limits == Limits(9)


def test_a_key_is_found_by_itself_under_its_own_secret_only(store, clock):
    record, key = store.create(secret=SECRET, now=clock())

    assert store.of_key(key.encode(), SECRET) == record
    assert store.of_key(key.encode(), OTHER_SECRET) is None
    assert store.of_key(key.encode()[:-1], SECRET) is None


def test_a_key_that_is_not_there_is_an_unknown_name(store):
    for ask in (store.get, lambda name: store.find(name, now=1.0), lambda name: store.change(name, Change())):
        with pytest.raises(UnknownName):
            ask("key_nobody")
