"""`headworks budgets`: what workers held that are dead or gone."""

import json
import time

import pytest

from headworks.accounting import open_books
from headworks.calls import Budget
from headworks.cli import main
from headworks.limits.budgets import Claim, PurseFile, accounts_of
from headworks.limits.local import unserved


@pytest.fixture
def storage(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")
    folder = tmp_path / ".headworks"
    folder.mkdir()
    return folder


@pytest.fixture
def told(storage):
    """A worker that has told the books of 10 dollars spent, 2 set aside and 3 held, and was not heard of since."""
    (account,) = accounts_of("team/desk", Budget(day_pico=100 * 10**12), time.time())
    books = open_books(storage)
    books.claim("machine/worker_1/ab", [Claim(account, 10 * 10**12, 2 * 10**12, 3 * 10**12)])
    books._ledger.write(lambda: books._ledger._connection.execute("UPDATE holders SET heard_s = heard_s - 100"))
    books.close()
    return account


def budgets(storage, capsys, *words):
    assert main(["budgets", *words, "--config", str(storage.parent / "headworks.yaml"), "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines] if not words else lines


def figures(storage, capsys):
    (shown,) = budgets(storage, capsys)
    return shown["spent_usd"], shown["reserved_usd"], shown["held_usd"]


def test_what_a_machine_held_that_is_gone_is_let_go_when_somebody_says_so(storage, told, capsys):
    assert figures(storage, capsys) == ("10", "2", "3")
    assert budgets(storage, capsys, "release") == ["let go of what 1 holder held"]
    assert figures(storage, capsys) == ("10", "0", "0")


@pytest.mark.parametrize("is_served", [False, True])
def test_what_a_worker_has_left_is_exact_and_goes_first_where_no_control_plane_sees_to_it(
    storage, told, capsys, is_served
):
    file = PurseFile(storage / "purses", "machine/worker_1/ab")
    file.slot(told.name).note(11 * 10**12, 1 * 10**12)
    file.close(is_told=False)
    with unserved(storage) as is_ours:
        assert is_ours
        if is_served:
            budgets(storage, capsys, "release")
    if not is_served:
        budgets(storage, capsys, "release")
    assert figures(storage, capsys) == (("10" if is_served else "12"), "0", "0")
    assert bool(list((storage / "purses").iterdir())) is is_served
