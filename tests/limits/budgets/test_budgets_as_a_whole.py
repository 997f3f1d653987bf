"""Workers, books and calls by a clock of ours: what is spent, whatever happens."""

import random
from pathlib import Path

import pytest

from headworks.calls import Budget
from headworks.limits.budgets import AccountState, Books, Claim, Purse, PurseFile, Purses, Spender, accounts_of
from headworks.limits.budgets.purse_files import remains
from headworks.limits.budgets.sqlite_ledger import SqliteLedger

NOON = 1_795_521_600.0
USD = 10**12


class Clock:
    def __init__(self) -> None:
        self.now_s = NOON

    def __call__(self) -> float:
        return self.now_s


class World:
    """Books and workers that call as they are told. Answers may be lost, workers may die, and what they leave on the
    disk may be seen to late."""

    def __init__(self, folder: Path, cap: int, workers: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        ledger = SqliteLedger(folder, now=self.clock)
        ledger._connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug of a test
        self.books = Books(ledger, lambda account: 0, lambda crossing: None)
        self.account = accounts_of("team/one", Budget(day_pico=cap), NOON)[0]
        self.folder = folder / "purses"
        self.files: dict[str, PurseFile] = {}
        self.workers = {holder: self.purses(holder) for holder in (f"worker-{number}" for number in range(workers))}
        self.under_way: list[tuple[str, int]] = []
        self.batches: dict[str, int] = {}
        self.handed = 0
        self.spent = 0
        self.counted = 0
        """What living workers have settled, and the most that the calls of those could cost that were killed."""
        self.refused = 0
        self.made = 0

    def purses(self, holder: str) -> Purses:
        file = self.files[holder] = PurseFile(self.folder, holder)
        return Purses(make_slot=file.slot, give_back=file.give_back)

    def call(self, holder: str) -> None:
        bound = self.random.randrange(1, 2000)
        purse = self.workers[holder].of(self.account, self.clock.now_s)

        if purse.try_reserve(bound, self.clock.now_s):
            self.begin(holder, bound)
        else:
            purse.wait(Spender(bound, self.clock.now_s + 5.0, lambda: self.begin(holder, bound), self.refuse))

    def refuse(self) -> None:
        self.refused += 1

    def begin(self, holder: str, bound: int) -> None:
        self.made += 1
        self.under_way.append((holder, bound))

    def end(self) -> None:
        holder, bound = self.under_way.pop(self.random.randrange(len(self.under_way)))
        real = self.random.randrange(bound + 1)
        self.spent += real
        if holder in self.workers:
            self.counted += real
            self.workers[holder].of(self.account, self.clock.now_s).settle(bound, real)

    def hand_over(self) -> None:
        """What was set aside for one that is under way becomes a batch's; or a batch ends."""
        if self.batches and self.random.random() < 0.5:
            name, bound = self.batches.popitem()
            real = self.random.randrange(bound + 1)
            self.spent += real
            self.counted += real
            self.books.settle(name, real)
            return
        living = [one for one in self.under_way if one[0] in self.workers]
        if living:
            holder, bound = one = self.random.choice(living)
            self.under_way.remove(one)
            self.handed += 1
            name = f"batch/{self.handed}"
            self.batches[name] = bound
            self.books.claim(name, [Claim(self.account, 0, bound, 0)])
            self.workers[holder].of(self.account, self.clock.now_s).hand_over(bound)

    def exchange(self, holder: str, loss: float) -> None:
        purses = self.workers[holder]
        claims = purses.beat(self.clock.now_s)
        if not claims:
            return
        asked = self.random.random() >= loss / 2
        allowances = self.books.claim(holder, claims) if asked else None
        for _ in range(self.random.randrange(3)):  # calls begin and end while it is under way
            self.call(holder)
            if self.under_way:
                self.end()
        if allowances is None or self.random.random() < loss / 2:
            purses.fail(self.clock.now_s)
        else:
            purses.take(allowances, self.clock.now_s)

    def kill(self, holder: str) -> None:
        del self.workers[holder]
        self.files.pop(holder).close(is_told=False)
        self.counted += sum(bound for one, bound in self.under_way if one == holder)
        self.workers[f"{holder}+"] = self.purses(f"{holder}+")

    def bury(self) -> None:
        with remains(self.folder) as found:
            for path, left in found:
                self.books.bury(left)
                if self.random.random() < 0.8:  # else who does so is killed before it is gone, and it is said again
                    path.unlink()

    @property
    def state(self) -> AccountState:
        (found,) = self.books._ledger.states(int(self.clock.now_s * 1e6))
        return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_whoever_dies_and_whatever_is_lost_no_more_is_spent_than_the_budget(
    tmp_path: Path, seed: int, loss: float
) -> None:
    world = World(tmp_path, cap=400_000, workers=16, seed=seed)
    for step in range(2500):
        world.clock.now_s += world.random.expovariate(20)
        holder = world.random.choice(list(world.workers))
        match world.random.randrange(8):
            case 0 | 1 | 2:
                world.call(holder)
            case 3 | 4 if world.under_way:
                world.end()
            case 7 if loss and step % 40 == 0:
                world.kill(holder)
            case 6 if loss and step % 10 == 0:
                world.bury()
            case 5 if step % 20 == 0:
                world.hand_over()
            case _:
                world.exchange(holder, loss)
        assert world.spent <= world.account.cap
    assert world.made > 300
    assert world.refused > 0, "the budget was not used up, so nothing was proven"


@pytest.mark.parametrize("seed", range(4))
def test_what_the_killed_held_comes_back_but_for_what_their_calls_could_cost(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, cap=10**9, workers=4, seed=seed)
    for step in range(400):
        world.clock.now_s += world.random.expovariate(20)
        holder = world.random.choice(list(world.workers))
        match world.random.randrange(4):
            case 0 | 1:
                world.call(holder)
            case 2 if world.under_way:
                world.end()
            case _:
                world.exchange(holder, loss=0.3)
        if step % 50 == 49:
            world.kill(holder)
        if step % 30 == 29:
            world.hand_over()
    while world.batches:
        world.hand_over()
    for holder in list(world.workers):
        world.kill(holder)
    while len(list(world.folder.glob("*.purse"))) > len(world.workers):
        world.bury()
    assert (world.state.reserved, world.state.held) == (0, 0)
    assert world.state.spent == world.counted >= world.spent


def test_without_losses_all_of_a_budget_can_be_spent(tmp_path: Path) -> None:
    world = World(tmp_path, cap=50_000, workers=8, seed=1)
    for _ in range(600):
        world.clock.now_s += 0.02
        purse = world.workers[world.random.choice(list(world.workers))].of(world.account, world.clock.now_s)

        def spend(purse: Purse = purse) -> None:
            purse.settle(500, 500)
            world.spent += 500

        if purse.try_reserve(500, world.clock.now_s):
            spend()
        else:
            purse.wait(Spender(500, world.clock.now_s + 5.0, spend, world.refuse))
        for holder, purses in world.workers.items():
            claims = purses.beat(world.clock.now_s)
            if claims:
                purses.take(world.books.claim(holder, claims), world.clock.now_s)
    assert world.spent == world.account.cap
