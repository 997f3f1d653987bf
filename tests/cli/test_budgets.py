"""`headworks budgets`: what workers held that are dead or gone."""

import json
import time

import pytest

from headworks.accounting import open_books
from headworks.calls import Budget, Opened, Settled
from headworks.cli import main
from headworks.limits.budgets import Claim, PurseFile, accounts_of
from headworks.limits.local import unserved
from headworks.records import Batch, open_store

NONE = "there is no budget: headworks keys create NAME --budget-day USD makes a key with one"


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
    assert budgets(storage, capsys, "release") == ['{"released":1}']
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


def shown(folder, capsys):
    assert main(["budgets", "--config", str(folder / "headworks.yaml"), "--json"]) == 0
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    return {(one["of"], one["name"], one["kind"]): (one["budget_usd"], one["spent_usd"]) for one in lines}, printed.err


def test_every_budget_is_shown_before_the_first_call(tmp_path, capsys):
    text = "providers: {sim: {kind: simulator}}\nmodels: {small: sim/gpt-6-luna}\n"
    (tmp_path / "headworks.yaml").write_text(text)
    assert main(["budgets", "--config", str(tmp_path / "headworks.yaml")]) == 0
    assert NONE in capsys.readouterr().err

    (tmp_path / "headworks.yaml").write_text(text + "access: {teams: {desk: {budget: {per_month: 7}}, bare: {}}}\n")
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    contract = "owner: o\ndescription: d\nladder: [small]\nbudget: {per_day: 2}\n"
    (folder / "workload.yaml").write_text(contract)
    at = ("--config", str(tmp_path / "headworks.yaml"))
    assert main(["keys", "create", "app", "--budget-day", "10", *at]) == 0
    assert main(["keys", "create", "free", *at]) == 0
    capsys.readouterr()

    expected = {
        ("team", "desk", "month"): ("7", "0"),
        ("workload", "triage", "day"): ("2", "0"),
        ("key", "app", "day"): ("10", "0"),
    }
    assert shown(tmp_path, capsys) == (expected, "")

    (folder / "workload.yaml").write_text(contract + "no_field: 1\n")
    del expected["workload", "triage", "day"]
    found, err = shown(tmp_path, capsys)
    assert found == expected
    assert "no_field" in err


def test_a_budget_whose_cap_was_changed_since_the_last_call_has_the_new_one(storage, told, capsys):
    text = "providers: {sim: {kind: simulator}}\naccess: {teams: {desk: {budget: {per_day: 50}}}}\n"
    (storage.parent / "headworks.yaml").write_text(text)

    (found,) = budgets(storage, capsys)
    assert (found["budget_usd"], found["spent_usd"]) == ("50", "10")


def test_a_budget_that_is_new_has_what_was_spent_before_against_it(storage, capsys):
    begun_us = int(time.time() * 1e6)
    opened = Opened("call_1", begun_us, "responses", "m", "key_1", "", "desk")
    store = open_store(storage, "")
    store.commit(Batch(settled=[Settled(opened, "answered", 200, 10, cost_pico=3 * 10**12)]))
    store.close()
    text = "providers: {sim: {kind: simulator}}\naccess: {teams: {desk: {budget: {per_month: 50}}}}\n"
    (storage.parent / "headworks.yaml").write_text(text)

    (found,) = budgets(storage, capsys)
    assert (found["spent_usd"], found["left_usd"]) == ("3", "47")
