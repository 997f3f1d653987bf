import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import StorageError
from headworks.records import content
from headworks.records.content import ContentVault, open_content
from headworks.records.stores import Batch

SECRET = b"s" * 64
vault = ContentVault(SECRET)


@given(st.binary(), st.sampled_from(["request", "response", "values"]), st.text(max_size=8))
def test_what_is_sealed_opens_to_itself_under_any_vault_of_the_secret(data, kind, workload):
    sealed = vault.seal("call_1", workload, kind, data)

    assert ContentVault(SECRET).open("call_1", workload, kind, sealed) == data


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_changed_byte_is_found_and_the_call_named(data, draw):
    sealed = bytearray(vault.seal("call_1", "triage", "request", data))
    place = draw.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= draw.draw(st.integers(1, 255))

    with pytest.raises(StorageError, match="call_1"):
        vault.open("call_1", "triage", "request", bytes(sealed))


@given(st.integers(1, 200))
def test_what_was_cut_off_is_found(length):
    sealed = vault.seal("call_1", "triage", "request", b"data" * 50)

    with pytest.raises(StorageError, match="call_1"):
        vault.open("call_1", "triage", "request", sealed[:length][: len(sealed) - 1])


@pytest.mark.parametrize(
    ("call_id", "workload", "kind"),
    [("call_2", "triage", "request"), ("call_1", "other", "request"), ("call_1", "triage", "response")],
)
def test_a_piece_cannot_be_passed_off_as_another(call_id, workload, kind):
    sealed = vault.seal("call_1", "triage", "request", b"data")

    with pytest.raises(StorageError, match=call_id):
        vault.open(call_id, workload, kind, sealed)


def test_another_secret_opens_nothing_and_it_is_said_which_secret_is_meant():
    sealed = vault.seal("call_1", "triage", "request", b"data")

    with pytest.raises(StorageError, match="call_1 cannot be opened: the server secret"):
        ContentVault(b"t" * 64).open("call_1", "triage", "request", sealed)


def test_the_same_data_is_never_the_same_bytes_and_shows_nothing_of_itself():
    data = b"the same words " * 100
    first, second = (vault.seal("call_1", "triage", "request", data) for _ in range(2))

    assert first[17:29] != second[17:29]
    assert first != second
    assert b"words" not in first
    assert len(first) < 150


def test_workloads_have_keys_of_their_own_and_a_key_is_not_used_for_ever(monkeypatch):
    monkeypatch.setattr(content, "SEALS_A_KEY", 2)
    fresh = ContentVault(SECRET)

    def salt(workload):
        return fresh.seal("call_1", workload, "request", b"x")[1:17]

    salts = [salt("a"), salt("a"), salt("a"), salt("b")]
    assert salts[0] == salts[1]
    assert len(set(salts)) == 3


def test_more_keys_than_are_kept_still_open_everything(monkeypatch):
    monkeypatch.setattr(content, "_MOST_KEYS", 2)
    fresh = ContentVault(SECRET)
    sealed = {name: fresh.seal("call_1", name, "request", name.encode()) for name in "abcd"}

    assert all(fresh.open("call_1", name, "request", piece) == name.encode() for name, piece in sealed.items())
    assert len(fresh._ciphers) == 2


def seal(call, **pieces):
    """A settled call whose content is sealed, as a worker leaves it."""
    import msgspec

    kinds = {"request": "request_body", "response": "response_body", "values": "template_values"}
    fields = {kinds[kind]: vault.seal(call.opened.call_id, call.workload, kind, data) for kind, data in pieces.items()}
    return msgspec.structs.replace(call, **fields)


def test_sealed_content_is_kept_until_it_expires(store, calls):
    call = calls.settled(1, workload="triage", content_expires_us=100)
    store.commit(Batch(settled=[seal(call, request=b"{}", response=b"[]", values=b'{"a":1}')]))
    record = store.get("call_000001")

    assert open_content(store, record, vault, 99) == {"request": b"{}", "response": b"[]", "values": b'{"a":1}'}
    assert open_content(store, record, vault, 100) == {}
    assert store.bodies(record.seq) is None


def test_plain_bodies_of_before_are_still_read(store, calls):
    store.commit(Batch(settled=[calls.settled(1, request_body=b"{}"), calls.settled(2)]))

    assert open_content(store, store.get("call_000001"), vault, 0) == {"request": b"{}"}
    assert open_content(store, store.get("call_000002"), vault, 0) == {}


def test_values_that_nobody_sealed_are_not_kept(sqlite_store, calls):
    sqlite_store.commit(Batch(settled=[calls.settled(1, workload="triage", template_values=b'{"name":"Ann"}')]))

    assert sqlite_store.content(sqlite_store.get("call_000001").seq, 0) == {}
    assert b"Ann" not in sqlite_store._connection.serialize()


def test_purging_removes_what_has_expired_and_nothing_else_in_bounded_batches(sqlite_store, calls, monkeypatch):
    from headworks.records.stores import sqlite_content

    monkeypatch.setattr(sqlite_content, "PURGE_PIECES", 3)
    sqlite_store.commit(
        Batch(
            settled=[
                seal(calls.settled(n, workload="w", content_expires_us=1000 + n), request=b"q", response=b"a")
                for n in range(10)
            ]
        )
    )
    statements: list[str] = []
    sqlite_store._connection.set_trace_callback(statements.append)

    removed = sqlite_store.purge(1004)

    sqlite_store._connection.set_trace_callback(None)
    assert removed == 10
    assert statements.count("COMMIT") == 4
    assert sqlite_store.purge(1004) == 0
    left = [n for n in range(10) if sqlite_store.content(sqlite_store.get(f"call_{n:06d}").seq, 0)]
    assert left == [5, 6, 7, 8, 9]


def test_a_call_that_comes_twice_keeps_the_content_of_the_first(store, calls):
    first = seal(calls.settled(1, workload="w", content_expires_us=9), request=b"first")
    second = seal(calls.settled(1, workload="w", content_expires_us=9), request=b"second")
    store.commit(Batch(settled=[first, second]))

    assert open_content(store, store.get("call_000001"), vault, 0) == {"request": b"first"}


def test_a_fingerprint_is_kept_beside_content_for_thirty_days_and_never_taken_for_content(store, calls):
    kept = seal(calls.settled(1, workload="triage", content_expires_us=2**61), request=b"{}")
    store.commit(Batch(settled=[kept, calls.settled(2), calls.settled(3)], prefixes={"call_000001": b"one"}))
    store.commit(
        Batch(settled=[calls.settled(2), calls.settled(4)], prefixes={"call_000002": b"late", "call_000004": b"four"})
    )
    first, second, fourth = (store.get(f"call_00000{n}") for n in (1, 2, 4))

    expires_us = first.opened_us + 30 * 86_400_000_000
    assert store.content(first.seq, expires_us - 1)["prefix"] == b"one"
    assert "prefix" not in store.content(first.seq, expires_us)
    assert open_content(store, first, vault, 0) == {"request": b"{}"}
    assert store.content(second.seq, 0) == {}  # it was known before
    assert store.content(fourth.seq, 0) == {"prefix": b"four"}
    assert open_content(store, fourth, vault, 0) == {}
