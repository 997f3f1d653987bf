"""A person is erased from a gateway that goes on running: nothing of what they wrote is left in any file of it."""

import time

import httpx2

from headworks.records import JOURNAL_FOLDER

PLANTED = "zebra-4711-what-ann-has-written"


def holding(folder, text):
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


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
    state = tmp_path / ".headworks"
    before = set((state / JOURNAL_FOLDER).glob("*.journal"))
    assert holding(state, PLANTED)

    due_s = time.monotonic() + 60
    while (done := gateway.command("audit", "erase", "--user", "ann", "--yes")).returncode:
        assert "do it again" in done.stderr  # a machine that has much else to do
        assert time.monotonic() < due_s, done.stderr

    assert holding(state, PLANTED) == []
    assert not before & set((state / JOURNAL_FOLDER).glob("*.journal"))
    assert gateway.command("audit", "verify").returncode == 0
    call(gateway, "ann", "she comes back")
