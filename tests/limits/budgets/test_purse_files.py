"""What a worker leaves on the disk of what it has spent and set aside."""

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import LimitsUnavailable, StorageError
from headworks.limits.budgets import Account, Books, Claim, PurseFile
from headworks.limits.budgets import purse_files as module
from headworks.limits.budgets.own import OwnBooks
from headworks.limits.budgets.purse_files import boot_id, remains
from headworks.limits.budgets.sqlite_ledger import SqliteLedger

ACCOUNT = Account("team/one/day/2026-11-26", 1000, is_hard=True, alert_at=(), begins_us=0, ends_us=2 * 10**15)


def left_in(folder: Path) -> dict[str, dict[str, tuple[int, int]]]:
    with remains(folder) as found:
        return {left.holder: dict(left.accounts) for _, left in found}


amounts = st.integers(0, 2**63 - 1)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=150), st.tuples(amounts, amounts), max_size=120))
def test_what_is_noted_is_read_again_however_many_accounts_there_are(tmp_path_factory, noted):
    folder = tmp_path_factory.mktemp("purses")
    file = PurseFile(folder, "machine/worker_1/ab")
    slots = {name: file.slot(name) for name in noted}
    for name, figures in noted.items():
        slots[name].note(*figures)
    file.close(is_told=False)
    assert left_in(folder) == {"machine/worker_1/ab": noted}


def test_who_lives_has_left_nothing(tmp_path):
    file = PurseFile(tmp_path, "w")
    file.slot("a").note(1, 2)
    assert left_in(tmp_path) == {}
    file.close(is_told=False)
    assert left_in(tmp_path) == {"w": {"a": (1, 2)}}


def test_what_the_books_know_is_not_kept(tmp_path):
    file = PurseFile(tmp_path, "w")
    file.slot("a").note(1, 2)
    file.close(is_told=True)
    file.close(is_told=True)
    assert list(tmp_path.iterdir()) == []


def test_a_slot_that_was_given_back_is_another_account_s(tmp_path):
    file = PurseFile(tmp_path, "w")
    old = file.slot("old")
    old.note(9, 9)
    file.give_back(old)
    file.slot("new")
    file.close(is_told=False)
    assert left_in(tmp_path) == {"w": {"new": (0, 0)}}


def test_figures_beyond_what_a_file_holds_are_noted_as_the_most_that_it_does(tmp_path):
    file = PurseFile(tmp_path, "w")
    file.slot("a").note(2**70, 2**70)
    file.close(is_told=False)
    assert left_in(tmp_path) == {"w": {"a": (2**63 - 1, 2**63 - 1)}}


def test_a_file_that_is_none_of_ours_goes_and_a_folder_that_is_none_is_said(tmp_path):
    (tmp_path / "x.purse").write_bytes(b"nothing of ours")
    assert left_in(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match=r"no\.folder"):
        PurseFile(tmp_path / "no.folder" / "purses", "w")


def test_a_process_that_is_killed_leaves_what_it_had_noted_last(tmp_path):
    ready, told = os.pipe()
    pid = os.fork()
    if not pid:
        file = PurseFile(tmp_path, "w")
        slot = file.slot("a")
        for spent in range(1000):
            slot.note(spent, 1000 - spent)
        os.write(told, b"!")
        signal.pause()
    os.read(ready, 1)
    assert left_in(tmp_path) == {}
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert left_in(tmp_path) == {"w": {"a": (999, 1)}}


# -- what the books make of it ----------------------------------------------------------------------------------------


class Died:
    """A worker that told the books something, went on, and was killed."""

    def __init__(self, folder: Path) -> None:
        self.purses = folder / "purses"
        ledger = partial(SqliteLedger, folder, now=lambda: 1.0)
        self.own = OwnBooks(lambda: Books(ledger(), lambda _: 0, lambda _: None), self.purses)
        self.file = PurseFile(self.purses, "dead")

    def claim(self, holder: str, spent: int, reserved: int, wanted: int):
        (allowance,) = asyncio.run(self.own.claim(holder, [Claim(ACCOUNT, spent, reserved, wanted)]))
        return allowance

    def die(self, spent: int, reserved: int) -> None:
        self.file.slot(ACCOUNT.name).note(spent, reserved)
        self.file.close(is_told=False)
        asyncio.run(self.own.bury())


@pytest.fixture
def died(tmp_path):
    return Died(tmp_path)


def test_what_a_dead_worker_held_is_free_and_what_its_calls_could_cost_is_spent(died):
    assert (died.claim("dead", 10, 20, 500)).held == 500
    died.die(spent=110, reserved=220)
    allowance = died.claim("other", 0, 0, 1000)
    assert (allowance.held, allowance.spent, allowance.reserved) == (1000 - 330, 330, 0)
    assert list(died.purses.iterdir()) == []


def test_a_claim_that_comes_after_its_worker_was_seen_to_is_not_heard(died):
    died.claim("dead", 10, 20, 500)
    died.die(spent=10, reserved=20)
    with pytest.raises(LimitsUnavailable, match="found dead"):
        died.claim("dead", 10, 20, 900)
    assert (died.claim("other", 0, 0, 1000)).held == 970


@pytest.mark.skipif(not boot_id(), reason="this system does not say")
def test_after_the_machine_was_started_anew_all_that_was_held_counts(died, monkeypatch):
    died.claim("dead", 10, 20, 500)
    monkeypatch.setattr(module, "boot_id", lambda: "another")
    died.die(spent=11, reserved=0)
    assert (died.claim("other", 0, 0, 1000)).spent == 530


def test_an_account_that_was_never_told_of_is_left_to_the_records(died):
    died.die(spent=5, reserved=5)
    assert (died.claim("other", 0, 0, 1000)).held == 1000


def test_what_is_left_is_seen_to_before_the_first_claim(died):
    died.claim("dead", 10, 20, 500)
    died.file.slot(ACCOUNT.name).note(10, 0)
    died.file.close(is_told=False)
    asyncio.run(died.own.close())
    assert (died.claim("other", 0, 0, 1000)).held == 990
