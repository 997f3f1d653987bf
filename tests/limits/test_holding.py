import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headworks.limits import Lease, LeaseKeeper, Ledger, LimitSet, Quota, QuotaMeter

MINUTE = Quota("q", 600, 60.0)


def holding(units, quota=MINUTE, wanted=None, wait_s=0.0):
    meter = QuotaMeter(quota)
    meter.ask(units if wanted is None else wanted, 0.0)
    meter.take_lease(Lease(units, 5.0, wait_s), 0.0)
    return meter


def test_what_is_held_is_spent_until_it_expires():
    meter = holding(10)
    assert meter.try_take(6, 4.9)
    assert not meter.try_take(5, 4.9)
    assert not meter.try_take(1, 5.0)
    assert meter.unreported == 6


def test_an_answer_is_less_what_was_spent_meanwhile():
    meter = holding(10)
    meter.ask(10, 1.0)
    meter.try_take(4, 1.0)
    meter.take_lease(Lease(10, 5.0), 1.1)

    assert (meter.balance, meter.unreported) == (6, 4)


def test_a_call_that_cost_more_takes_the_balance_below_zero_and_the_authority_hears_of_it():
    meter = holding(10)
    meter.try_take(10, 0.0)
    meter.correct(10, 25)

    assert meter.balance == -15
    assert meter.ask(10, 0.0).spent == 25
    assert meter.balance == 0


def test_what_comes_back_of_a_lease_of_before_goes_to_the_authority():
    meter = holding(10)
    meter.try_take(10, 0.0)
    meter.ask(10, 0.0)
    meter.take_lease(Lease(5, 5.0), 0.0)
    meter.correct(10, 2)

    assert meter.balance == 5
    assert meter.ask(10, 0.0).spent == -8


def test_an_answer_that_is_lost_is_made_good_on_the_safe_side():
    meter = holding(10)
    meter.try_take(7, 0.0)
    meter.ask(10, 0.0)
    meter.lose_answer()
    assert meter.ask(10, 0.0).spent == 7

    meter.correct(7, 0)
    meter.take_lease(Lease(5, 5.0), 0.0)
    assert meter.ask(10, 0.0).spent == -7
    meter.lose_answer()
    assert meter.ask(10, 0.0).spent == 0


def test_the_wait_is_what_the_authority_said_and_then_the_refill():
    meter = holding(5, wanted=20, wait_s=2.0)

    assert meter.wait_s(5, 0.0) == 0.0
    assert meter.wait_s(6, 0.0) == pytest.approx(2.0)
    assert meter.wait_s(26, 1.0) == pytest.approx(1.0 + 20 / 10)
    assert meter.wait_s(601, 0.0) == math.inf


def test_the_providers_word_shrinks_what_is_held_and_that_is_not_spent():
    meter = holding(100)
    meter.believe(30, 1.0, 0.0)
    meter.believe(50, 1.0, 0.0)

    assert meter.balance == 30
    ask = meter.ask(100, 0.0)
    assert (ask.spent, ask.remaining) == (0, 30)


def test_a_reservation_is_on_all_quotas_or_on_none():
    requests, tokens, team = holding(2), holding(100), holding(50)
    limits = LimitSet((requests,), (tokens, team))

    assert limits.reserve(60, 0.0) is None
    assert limits.blocker is team
    assert (requests.balance, tokens.balance, team.balance) == (2, 100, 50)
    reservation = limits.reserve(40, 0.0)
    assert (requests.balance, tokens.balance, team.balance) == (1, 60, 10)
    reservation.settle(30)
    reservation.settle(0)
    reservation.cancel()
    assert (requests.balance, tokens.balance, team.balance) == (1, 70, 20)
    assert not reservation.is_open


def test_a_cancelled_reservation_leaves_nothing():
    requests, tokens = holding(2), holding(100)
    LimitSet((requests,), (tokens,)).reserve(60, 0.0).cancel()

    assert (requests.balance, tokens.balance, requests.unreported, tokens.unreported) == (2, 100, 0, 0)


def exchange(keeper, ledger, now):
    asks = keeper.beat(now)
    if asks:
        keeper.take([ledger.renew("w", a.spent, a.wanted, now, remaining=a.remaining) for a in asks], now)
    return asks


def test_a_keeper_asks_when_something_is_short_and_gives_back_what_is_idle():
    rung = []
    keeper, ledger = LeaseKeeper(0.0, ring=lambda: rung.append(1)), Ledger(MINUTE, 0.0)
    assert keeper.due_s() == math.inf
    meter = keeper.meter(MINUTE)
    assert keeper.meter(MINUTE) is meter
    assert not meter.try_take(3, 0.0)
    assert rung == [1]
    assert keeper.due_s() <= 0.01

    exchange(keeper, ledger, 0.0)
    assert meter.try_take(3, 0.0)
    now = 0.0
    while keeper.due_s() < math.inf:
        now = keeper.due_s()
        exchange(keeper, ledger, now)
        assert now < 25.0

    assert now >= 10.0
    assert (ledger.held, meter.balance, ledger.free(now)) == (0, 0, 600.0)
    LimitSet((), (meter,)).begin_waiting(1)
    assert keeper.due_s() <= now + 0.01


def test_a_changed_quota_has_the_same_meter():
    keeper = LeaseKeeper(0.0)
    meter = keeper.meter(MINUTE)

    assert keeper.meter(Quota("q", 60, 60.0)) is meter
    assert meter.quota.amount == 60
    assert meter.wait_s(61, 0.0) == math.inf


def test_a_keeper_holds_no_more_than_is_used_soon():
    quota = Quota("q", 60_000, 60.0)
    keeper, ledger = LeaseKeeper(0.0), Ledger(quota, 0.0)
    meter, now, refused = keeper.meter(quota), 0.0, 0
    for step in range(1_000):
        now = step * 0.01
        refused += not meter.try_take(1, now)
        if now >= keeper.due_s():
            exchange(keeper, ledger, now)

    assert refused <= 10
    assert ledger.held <= 100 * 0.5 * 1.3


def test_of_a_quota_that_is_far_from_used_up_a_keeper_holds_some_for_calls_that_nobody_foresaw():
    keeper = LeaseKeeper(0.0)
    meter = keeper.meter(Quota("t", 60_000_000, 60.0))
    meter.try_take(1, 0.0)
    (asked,) = keeper.beat(0.0)
    assert asked.wanted == 1_000_000 * 0.5 // 32


def test_away_it_lives_on_what_it_holds_then_on_its_share_and_recovers_by_itself():
    keeper, ledger = LeaseKeeper(0.0, share=0.25), Ledger(MINUTE, 0.0)
    meter = keeper.meter(MINUTE)
    meter.try_take(10, 0.0)
    exchange(keeper, ledger, 0.0)
    taken_of_lease, taken_of_share, now = 0, 0, 0.0
    while now < 30.0:
        now += 0.05
        if now >= keeper.due_s() and keeper.beat(now):
            keeper.fail(now)
        if meter.try_take(1, now):
            taken_of_share += meter.is_on_share
            taken_of_lease += not meter.is_on_share
    assert keeper.is_away(now)
    assert taken_of_lease == 10
    assert taken_of_share == pytest.approx(0.25 * 10.0 * 29.0, abs=3)
    assert meter.wait_s(100, now) == pytest.approx(100 / 2.5, abs=1)

    exchange(keeper, ledger, now)
    assert not keeper.is_away(now)
    assert not meter.is_on_share
    assert ledger.free(now) + ledger.held == pytest.approx(600 - taken_of_lease - taken_of_share, abs=25)


def test_away_without_a_share_nothing_is_to_be_had():
    keeper = LeaseKeeper(0.0)
    meter = keeper.meter(MINUTE)
    meter.try_take(1, 0.0)
    for step in range(40):
        if keeper.beat(step * 0.1):
            keeper.fail(step * 0.1)

    assert meter.wait_s(1, 4.0) == math.inf


class Meter(RuleBasedStateMachine):
    """A meter and its books by a simple count: what was granted, taken, and said."""

    @initialize()
    def open(self):
        self.meter, self.taken, self.said, self.open_calls = QuotaMeter(MINUTE), 0, 0, []

    @rule(units=st.integers(0, 300))
    def take(self, units):
        if self.meter.try_take(units, 0.0):
            self.taken += units
            self.open_calls.append(units)

    @rule(real=st.integers(0, 300))
    def settle(self, real):
        if self.open_calls:
            reserved = self.open_calls.pop()
            self.meter.correct(reserved, real)
            self.taken += real - reserved

    @rule(wanted=st.integers(0, 600), granted=st.integers(0, 600), meanwhile=st.integers(0, 300))
    def exchange(self, wanted, granted, meanwhile):
        self.said += self.meter.ask(wanted, 0.0).spent
        self.take(meanwhile)
        self.meter.take_lease(Lease(granted, 1e9), 0.0)

    @rule(remaining=st.integers(0, 600))
    def believe(self, remaining):
        self.meter.believe(remaining, 0.0, 0.0)

    @invariant()
    def everything_that_was_taken_is_said_once(self):
        assert self.said + self.meter.unreported == self.taken


Meter.TestCase.settings = settings(stateful_step_count=40)
TestMeter = Meter.TestCase


def test_all_that_was_spent_is_known_whatever_became_of_the_messages():
    meter = holding(100)
    meter.try_take(30, 0.0)
    meter.ask(100, 1.0)
    meter.try_take(5, 1.0)
    meter.lose_answer()  # so that the thirty are said again
    assert meter.spent == 35

    meter.ask(100, 2.0)
    meter.take_lease(Lease(100, 5.0), 2.0)
    meter.try_take(10, 2.0)
    meter.correct(10, 4)
    assert meter.spent == 39
