"""Quotas of a few calls a minute, which several workers share: all of it can be used, and who is told when to come back
finds room then."""

import random

import pytest

from headworks.limits import LeaseKeeper, Ledger, LimitSet, Quota

STEP_S = 0.005


class Workers:
    """Some workers and the books, on a clock of the test. State: the time, and who was asked when."""

    def __init__(self, count, quota):
        self.now_s = 0.0
        self.ledger = Ledger(quota, 0.0)
        self.keepers = [LeaseKeeper(0.0) for _ in range(count)]
        self.limits = [LimitSet(requests=(keeper.meter(quota),)) for keeper in self.keepers]

    def pass_by(self, seconds):
        """Time goes by: each renews when it is due."""
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for number, keeper in enumerate(self.keepers):
                if self.now_s >= keeper.due_s() and (asks := keeper.beat(self.now_s)):
                    leases = [
                        self.ledger.renew(f"w{number}", one.spent, one.wanted, self.now_s, remaining=one.remaining)
                        for one in asks
                    ]
                    keeper.take(leases, self.now_s)

    def call(self, number, waits_s=0.3):
        """Whether a call at this worker finds room in so long; like the queue, it is refused at once where it is known
        that it does not."""
        limits = self.limits[number]
        (meter,) = limits.requests
        due_s = self.now_s + waits_s
        while limits.reserve(0, self.now_s) is None:
            if self.now_s + limits.wait_s(0, self.now_s) > due_s:
                meter.waiting = 0
                return False
            meter.waiting = 1
            self.pass_by(STEP_S)
        meter.waiting = 0
        return True

    def told_s(self, number):
        """In how many seconds a call that was refused is told to come back."""
        return self.limits[number].wait_s(0, self.now_s)


@pytest.mark.parametrize(("workers", "amount"), [(2, 3), (2, 12), (4, 20), (8, 60)])
def test_all_of_a_small_quota_can_be_used_by_whichever_worker_a_call_comes_to(workers, amount):
    chance = random.Random(amount)
    some = Workers(workers, Quota("q", amount, 60.0))
    answered = 0
    for _ in range(amount):
        answered += some.call(chance.randrange(workers))
        some.pass_by(0.05)

    assert answered >= 0.9 * amount


def test_what_was_lacked_is_held_for_a_call_that_looks_again_in_a_moment_and_then_let_go():
    one = Workers(1, Quota("q", 12, 60.0))
    (meter,) = one.limits[0].requests
    assert one.limits[0].reserve(0, one.now_s) is None
    one.pass_by(0.35)
    assert meter.balance == 1
    one.pass_by(0.3)
    assert meter.balance == 0


@pytest.mark.parametrize(("workers", "amount"), [(2, 3), (2, 12), (4, 20)])
def test_who_comes_back_when_it_was_told_to_finds_room(workers, amount):
    """With nobody else there any more. It waits for a moment at most, as leases come and go."""
    chance = random.Random(amount)
    some = Workers(workers, Quota("q", amount, 60.0))
    for _ in range(2 * amount):
        some.call(chance.randrange(workers))
        some.pass_by(0.05)
    for _ in range(20):
        some.pass_by(0.6)  # what another worker took or lacked a moment ago is kept for it
        number = chance.randrange(workers)
        while some.call(number):
            pass
        told_s = some.told_s(number)
        assert told_s <= 60.0 / amount + 1.0
        some.pass_by(told_s)
        assert some.call(number)
