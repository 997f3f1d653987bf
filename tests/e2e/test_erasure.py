"""A person is erased from a gateway that goes on running: nothing of what they wrote is left in any file of it."""

import re
import sqlite3
import time
from contextlib import closing

import httpx2

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
