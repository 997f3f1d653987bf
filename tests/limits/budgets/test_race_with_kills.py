"""Sixteen real processes that spend one budget, and are killed while they do."""

import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from headworks.calls import Budget
from headworks.limits.budgets import Books, PurseFile, Purses, Spender, accounts_of
from headworks.limits.budgets.purse_files import remains
from headworks.limits.budgets.sqlite_ledger import SqliteLedger

WORKERS = 16
KILLS = 20
ACCOUNT = accounts_of("team/one", Budget(day_pico=2_000_000), time.time())[0]


def books_in(folder: Path) -> Books:
    ledger = SqliteLedger(folder)
    ledger._connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug of a test
    return Books(ledger, lambda account: 0, lambda crossing: None)


class Worker:
    """Spends until it is refused again and again. What it really spends, it writes where the test reads it, before it
    says so to anybody."""

    def __init__(self, folder: Path, number: int, truth: memoryview) -> None:
        self.random = random.Random(number)
        self.truth, self.number = truth, number
        self.books, self.holder = books_in(folder), f"worker-{number}"
        file = PurseFile(folder / "purses", self.holder)
        self.purses = Purses(make_slot=file.slot)
        self.purse = self.purses.of(ACCOUNT, time.perf_counter())
        self.refused = self.waiting = 0

    def run(self) -> None:
        while self.refused < 3:
            now_s = time.perf_counter()
            claims = self.purses.beat(now_s)
            if claims:
                self.purses.take(self.books.claim(self.holder, claims), time.perf_counter())
            elif self.waiting:
                time.sleep(max(0.0, min(0.01, self.purses.due_s() - now_s)))
            elif self.purse.try_reserve(bound := self.random.randrange(1, 4000), now_s):
                self.spend(bound)
            else:
                self.waiting += 1
                self.purse.wait(Spender(bound, now_s + 0.3, lambda bound=bound: self.go(bound), self.refuse))

    def go(self, bound: int) -> None:
        self.waiting -= 1
        self.spend(bound)

    def refuse(self) -> None:
        self.waiting -= 1
        self.refused += 1

    def spend(self, bound: int) -> None:
        real = self.random.randrange(bound + 1)
        time.sleep(self.random.random() * 0.002)
        self.truth[self.number] += real
        self.purse.settle(bound, real)


def started(folder: Path, number: int, truth: memoryview) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        Worker(folder, number, truth).run()
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


@pytest.mark.uncounted
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long), pytest.param(3, marks=pytest.mark.long)])
def test_not_a_micro_dollar_more_is_spent_than_the_budget_and_all_of_it_is_accounted_for(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    shared = mmap.mmap(-1, 8 * 256)
    truth = memoryview(shared).cast("q")
    books = books_in(tmp_path)

    def bury() -> None:
        with remains(tmp_path / "purses") as found:
            for path, left in found:
                books.bury(left)
                path.unlink()

    alive = {started(tmp_path, number, truth): number for number in range(WORKERS)}
    made, kills, codes = WORKERS, 0, []
    due_s = time.monotonic() + 60
    while alive:
        assert time.monotonic() < due_s
        if kills < KILLS and sum(truth) * 2 * KILLS >= (kills + 1) * ACCOUNT.cap:  # one for each share that is spent
            kills += 1
            os.kill(chance.choice(list(alive)), signal.SIGKILL)
        for pid in list(alive):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del alive[pid]
            codes.append(os.waitstatus_to_exitcode(status))
            if codes[-1] == -signal.SIGKILL:
                alive[started(tmp_path, made, truth)] = made
                made += 1
                bury()
        assert sum(truth) <= ACCOUNT.cap
        time.sleep(0.002)
    bury()
    spent = sum(truth)
    (state,) = books._ledger.states(ACCOUNT.begins_us)
    books.close()
    assert set(codes) <= {0, -signal.SIGKILL}
    assert codes.count(-signal.SIGKILL) > 0
    assert (state.reserved, state.held) == (0, 0)
    assert 0 < spent <= state.spent <= state.cap
    # What the killed had under way counts with the most that it could cost: less than a call's bound for each.
    assert state.spent - spent <= 4000 * kills
