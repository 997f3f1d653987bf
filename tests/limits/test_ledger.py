import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headworks.errors import LimitsUnavailable
from headworks.limits import Ask, Ledger, LocalAuthority, Quota

MINUTE = Quota("q", 60, 60.0)


class Holder:
    def __init__(self, name):
        self.name = name
        self.held = 0
        self.expires_at = -1.0
        self.spent = 0  # since it asked last
        self.said = 0  # and not answered
        self.serial = 0


class Books(RuleBasedStateMachine):
    """Holders that spend, crash, lose answers and let messages overtake one another, against a token bucket that sees
    only what is spent. A holder keeps to what its keeper's rules say; everything else may happen."""

    names = st.integers(0, 2)

    @initialize(amount=st.integers(1, 200), window_s=st.sampled_from([1.0, 7.0, 60.0]))
    def open(self, amount, window_s):
        self.quota = Quota("q", amount, window_s)
        self.now = 0.0
        self.ledger = Ledger(self.quota, 0.0, lease_s=5.0)
        self.bucket = float(amount)
        self.born = 3
        self.holders = [Holder(f"h{n}") for n in range(3)]
        self.under_way = []

    def take(self, holder, units):
        if units > 0 and self.now < holder.expires_at:
            holder.held -= units
            holder.spent += units
            self.bucket -= units

    @rule(seconds=st.floats(0, 20))
    def pass_time(self, seconds):
        self.now += seconds
        self.bucket = min(self.quota.amount, self.bucket + seconds * self.quota.amount / self.quota.window_s)

    @rule(which=names, part=st.floats(0, 1))
    def spend(self, which, part):
        holder = self.holders[which]
        self.take(holder, math.ceil(holder.held * part))

    @rule(which=names, wanted=st.integers(0, 300))
    def ask(self, which, wanted):
        holder = self.holders[which]
        holder.said += holder.spent  # what was said before was not answered: it is said again
        holder.spent = 0
        holder.held = max(0, min(holder.held, wanted)) if self.now < holder.expires_at else 0
        holder.serial += 1
        self.under_way.append((holder, holder.serial, holder.said, wanted, self.now))

    @rule(which=st.integers(0, 5), is_answer_lost=st.booleans())
    def arrive(self, which, is_answer_lost):
        if not self.under_way:
            return
        holder, serial, said, wanted, asked_at = self.under_way.pop(which % len(self.under_way))
        lease = self.ledger.renew(holder.name, said, wanted, self.now, serial=serial)
        if not is_answer_lost and holder in self.holders and holder.serial == serial:
            holder.held = lease.amount - holder.spent
            holder.expires_at = asked_at + lease.expires_s
            holder.said = 0

    @rule(which=st.integers(0, 5))
    def lose_message(self, which):
        if self.under_way:
            self.under_way.pop(which % len(self.under_way))

    @rule(which=names)
    def crash(self, which):
        """It spends all that it holds and never says so. What it had sent may still arrive."""
        self.take(self.holders[which], self.holders[which].held)
        self.born += 1
        self.holders[which] = Holder(f"h{self.born}")

    @invariant()
    def what_is_spent_fits_a_bucket(self):
        assert self.bucket >= -1e-6
        # ... and so would all that may still be spent at once
        assert self.bucket - sum(h.held for h in self.holders if h.held > 0 and self.now < h.expires_at) >= -1e-6

    @invariant()
    def nothing_is_granted_twice(self):
        assert self.ledger.free(self.now) + self.ledger.held <= self.quota.amount + 1e-6


Books.TestCase.settings = settings(stateful_step_count=40)
TestBooks = Books.TestCase


def test_what_is_not_spent_comes_back_and_what_is_lost_counts_as_spent():
    ledger = Ledger(MINUTE, 0.0, lease_s=5.0)
    assert ledger.renew("a", 0, 20, 0.0).amount == 20
    ledger.renew("a", 5, 0, 0.0)
    assert (ledger.free(0.0), ledger.held) == (55.0, 0)

    ledger.renew("b", 0, 20, 0.0)
    assert ledger.free(5.0) == 40.0  # full, but for what is out
    assert ledger.free(6.05) == pytest.approx(41.0)  # the lease has lapsed: what it held is spent, and refills


def test_a_report_after_the_lease_has_expired_brings_nothing_back():
    ledger = Ledger(MINUTE, 0.0, lease_s=5.0)
    ledger.renew("a", 0, 20, 0.0)
    before = ledger.free(8.0)

    ledger.renew("a", 4, 0, 8.0)

    assert ledger.free(8.0) == pytest.approx(before - 4.0)


def test_more_may_have_been_spent_than_was_held():
    ledger = Ledger(MINUTE, 0.0)
    ledger.renew("a", 0, 10, 0.0)

    assert ledger.renew("a", 100, 10, 0.0).amount == 0
    assert ledger.free(0.0) == -40.0
    assert ledger.renew("a", 0, 10, 0.0).wait_s == pytest.approx(41.0)


@given(st.integers(1, 50), st.integers(1, 100))
def test_after_the_wait_there_is_more_and_not_before(has, wanted):
    ledger = Ledger(MINUTE, 0.0, level=float(-has))
    wait_s = ledger.renew("a", 0, wanted, 0.0).wait_s

    assert ledger.renew("a", 0, wanted, wait_s - 0.01).amount == 0
    assert ledger.renew("a", 0, wanted, wait_s + 0.01).amount == 1


def test_a_greedy_holder_leaves_the_others_their_share():
    quota = Quota("q", 1_000, 10.0)
    ledger = Ledger(quota, 0.0, level=0.0)
    had = {"greedy": 0, "modest": 0, "also": 0}
    spent = dict.fromkeys(had, 0)
    for step in range(1, 3_001):
        for name, wanted in (("greedy", 1_000), ("modest", 3), ("also", 3)):
            spent[name] = ledger.renew(name, spent[name], wanted, step * 0.1).amount
            had[name] += spent[name]

    assert sum(had.values()) >= 0.99 * 30_000 - 1_000
    assert min(had["modest"], had["also"]) >= 0.29 * sum(had.values())


def test_a_large_want_is_met_although_small_ones_never_end():
    ledger = Ledger(Quota("q", 100, 10.0), 0.0, level=0.0)
    spent, large = 0, 0
    for step in range(1, 400):
        spent = ledger.renew("small", spent, 10, step * 0.1).amount
        large = ledger.renew("large", 0, 60, step * 0.1).amount
        if large == 60:
            break

    assert large == 60


def test_the_providers_word_pulls_down_at_once_and_up_slowly():
    ledger = Ledger(MINUTE, 0.0)
    ledger.renew("a", 0, 10, 0.0, remaining=20)
    assert ledger.free(0.0) + ledger.held == 20.0

    ledger.renew("a", 0, 10, 4.0, remaining=60)
    assert ledger.free(4.0) + ledger.held == pytest.approx(24.4)  # 4 s of refill, and a tenth of them


def test_a_message_that_was_overtaken_changes_nothing():
    ledger = Ledger(MINUTE, 0.0)
    ledger.renew("a", 0, 10, 0.0, serial=2)

    ledger.renew("a", 7, 0, 0.0, serial=1)

    assert (ledger.free(0.0), ledger.held) == (50.0, 10)


def test_an_authority_drops_what_is_idle_and_knows_what_is_not():
    now = [0.0]
    authority = LocalAuthority(lambda: now[0])
    authority.renew_now("w", [Ask(MINUTE, 0, 5), Ask(Quota("r", 10, 1.0), 0, 0)])
    now[0] = 11.0
    authority.renew_now("w", [Ask(MINUTE, 0, 5)])

    assert [ledger.quota.name for ledger in authority.ledgers] == ["q"]


def test_an_authority_that_follows_another_waits_until_the_leases_of_before_have_expired():
    now = [0.0]
    authority = LocalAuthority(lambda: now[0], settling_s=5.05)
    with pytest.raises(LimitsUnavailable, match="restarted"):
        authority.renew_now("w", [Ask(MINUTE, 0, 5)])

    now[0] = 7.05
    assert authority.renew_now("w", [Ask(MINUTE, 0, 5)])[0].amount == 2


def test_a_changed_quota_is_followed_without_a_gift():
    ledger = Ledger(MINUTE, 0.0, level=10.0)
    ledger.resize(Quota("q", 600, 60.0), 0.0)
    assert ledger.free(0.0) == 10.0
    assert ledger.free(1.0) == 20.0
