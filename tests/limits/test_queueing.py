import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headworks.limits import FairQueue, Lease, LimitSet, Quota, QuotaMeter, Waiter


class Bench:
    """A queue on one quota of tokens, and what became of its waiters."""

    def __init__(self, amount=10_000, **options):
        self.meter = QuotaMeter(Quota("tpm", amount, 60.0))
        self.limits = LimitSet(tokens=(self.meter,))
        self.queue = FairQueue(self.limits, **options)
        self.served, self.refused, self.reservations = [], [], []

    def fill(self, units, now=0.0):
        self.meter.ask(0, now)
        self.meter.take_lease(Lease(units, 1e9), now)

    def waiter(self, name, tokens=100, deadline=1e6, limits=None, **options):
        def ready(reservation):
            self.served.append(name)
            self.reservations.append(reservation)

        return Waiter(limits or self.limits, tokens, deadline, ready, lambda s: self.refused.append(name), **options)

    def enter(self, name, now=0.0, **options):
        waiter = self.waiter(name, **options)
        assert self.queue.enter(waiter, now) is None
        return waiter


def test_who_comes_first_is_served_first_and_only_when_its_reservation_is_made():
    bench = Bench()
    for name in "abc":
        bench.enter(name)
    assert bench.queue.pump(0.0) < math.inf
    assert bench.served == []

    bench.fill(250)
    bench.queue.pump(0.0)

    assert bench.served == ["a", "b"]
    assert bench.meter.balance == 50
    assert [reservation.tokens for reservation in bench.reservations] == [100, 100]


def test_teams_share_by_their_weights():
    bench = Bench(amount=10**6)
    for _ in range(300):
        bench.enter("one", flow="one", weight=1.0)
        bench.enter("two", flow="two", weight=2.0)
    bench.fill(300 * 100)

    bench.queue.pump(0.0)

    assert bench.served.count("two") == pytest.approx(200, abs=1)


def test_a_team_that_always_has_one_waiting_gets_no_more_than_its_share():
    bench = Bench(amount=10**6)
    for _ in range(200):
        bench.enter("many", flow="many")
    for _ in range(100):
        if not any(lane.flow.name == "single" for lane in bench.queue._classes[1].values()):
            bench.enter("single", flow="single")
        bench.fill(100)
        bench.queue.pump(0.0)

    assert bench.served.count("single") == pytest.approx(50, abs=1)


def test_the_more_urgent_go_first_and_the_others_do_not_wait_for_ever():
    bench = Bench(amount=10**6, ageing_s=10.0)
    bench.enter("patient", priority=2)
    for second in range(60):
        bench.enter("urgent", now=float(second), priority=1)
        bench.enter("urgent", now=float(second), priority=1)
        bench.fill(100, float(second))
        bench.queue.pump(float(second))
        if "patient" in bench.served:
            break

    assert 10 <= second <= 30


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_a_deferred_call_is_served_in_the_end_however_many_of_a_higher_class_come(priority):
    bench = Bench(amount=10**6, ageing_s=10.0)
    bench.enter("deferred", flow="batch", priority=3)
    for second in range(120):
        for _ in range(2):
            bench.enter("urgent", now=float(second), flow="desk", priority=priority)
        bench.fill(100, float(second))
        bench.queue.pump(float(second))
        if "deferred" in bench.served:
            break

    assert (3 - priority) * 10 - 1 <= second <= 31


def test_a_large_call_is_not_overtaken_for_ever():
    bench = Bench()
    bench.enter("large", tokens=5_000, flow="a")
    bench.enter("small", tokens=10, flow="b")
    bench.queue._flows["b"].tag = 1.0
    bench.fill(4_000)
    bench.queue.pump(0.0)
    assert bench.served == []

    bench.fill(5_010)
    bench.queue.pump(0.0)
    assert bench.served == ["large", "small"]


def test_who_lacks_room_in_a_quota_of_its_own_holds_up_nobody():
    bench = Bench()
    key = QuotaMeter(Quota("key", 1_000, 60.0))
    bench.enter("limited", limits=LimitSet(tokens=(bench.meter, key)))
    bench.enter("free")
    bench.fill(1_000)

    bench.queue.pump(0.0)

    assert bench.served == ["free"]


def test_who_cannot_be_served_in_time_is_refused_at_once_and_told_when():
    bench = Bench(amount=6_000)  # 100 a second
    bench.meter.ask(1_000, 0.0)
    bench.meter.take_lease(Lease(0, 5.0, 0.01), 0.0)
    bench.enter("first", tokens=1_000)

    wait_s = bench.queue.enter(bench.waiter("second", tokens=1_000, deadline=15.0), 0.0)

    assert wait_s == pytest.approx(20.0, abs=0.1)
    assert len(bench.queue) == 1
    assert bench.queue.enter(bench.waiter("never", tokens=7_000), 0.0) == math.inf


def test_the_number_that_wait_is_bounded():
    bench = Bench(max_waiters=2)
    bench.enter("a")
    bench.enter("b")

    assert bench.queue.enter(bench.waiter("c"), 0.0) is not None


def test_where_too_many_wait_the_last_of_the_lowest_class_makes_room():
    bench = Bench(max_waiters=3)
    bench.enter("usual", priority=1)
    bench.enter("first", priority=3)
    bench.enter("last", priority=3)

    assert bench.queue.enter(bench.waiter("as low", priority=3), 0.0) is not None
    bench.enter("urgent", priority=0)
    assert bench.refused == ["last"]
    bench.enter("more urgent", priority=0)
    assert bench.refused == ["last", "first"]
    assert bench.queue.waiting() == (2, 1, 0, 0)
    assert len(bench.queue) == 3


def test_who_has_waited_long_makes_room_for_nobody():
    bench = Bench(max_waiters=1, ageing_s=10.0)
    bench.enter("deferred", priority=3)
    bench.queue.pump(31.0)

    assert bench.queue.enter(bench.waiter("urgent", priority=0), 31.0) is not None
    assert bench.refused == []


def test_whose_deadline_passes_is_refused_then():
    bench = Bench()
    waiter = bench.enter("a", deadline=5.0)
    assert bench.queue.pump(4.9) <= 5.0
    assert bench.refused == []

    assert bench.queue.pump(5.0) == math.inf
    assert bench.refused == ["a"]
    assert not waiter.is_waiting


def test_a_cancelled_waiter_leaves_nothing_behind():
    bench = Bench()
    for n in range(900):
        waiter = bench.enter("a", flow=f"team-{n}")
        bench.queue.leave(waiter)
        bench.queue.leave(waiter)

    assert bench.meter.waiting == 0
    assert len(bench.queue) == len(bench.queue._flows) == 0
    assert len(bench.queue._looks) <= 64
    assert all(look.waiter is None for look in bench.queue._looks)
    bench.fill(1_000)
    bench.queue.pump(0.0)
    assert bench.served == []


def test_callbacks_may_enter_and_leave():
    bench = Bench()
    other = bench.waiter("other")
    first = bench.waiter("first")
    first.on_ready = lambda reservation: (bench.queue.leave(other), bench.enter("third"), bench.queue.pump(0.0))
    assert bench.queue.enter(first, 0.0) is None
    assert bench.queue.enter(other, 0.0) is None
    bench.fill(1_000)

    bench.queue.pump(0.0)

    assert bench.served == ["third"]


class Queue(RuleBasedStateMachine):
    """Whatever happens: each waiter ends once, nothing is served without room, and the books agree."""

    @initialize()
    def open(self):
        self.bench = Bench(amount=2_000, max_waiters=20, ageing_s=3.0)
        self.now, self.number, self.given, self.waiters, self.left = 0.0, 0, 0, {}, set()

    @rule(tokens=st.integers(0, 500), lasts=st.floats(0, 100), flow=st.sampled_from("ab"), priority=st.integers(0, 3))
    def enter(self, tokens, lasts, flow, priority):
        self.number += 1
        waiter = self.bench.waiter(self.number, tokens, self.now + lasts, flow=flow, priority=priority)
        waiting = {name: one for name, one in self.waiters.items() if one.is_waiting}
        lanes = {name: one.lane.priority for name, one in waiting.items()}
        refused = len(self.bench.refused)
        if self.bench.queue.enter(waiter, self.now) is None:
            self.waiters[self.number] = waiter
            for name in self.bench.refused[refused:]:  # who made room was of the lowest class, and below the newcomer
                assert lanes[name] == max(lanes.values()) > priority
        else:
            assert len(self.bench.refused) == refused

    @rule(units=st.integers(0, 800))
    def grant(self, units):
        self.bench.fill(units, self.now)
        self.bench.queue.pump(self.now)

    @rule(seconds=st.floats(0, 10))
    def pass_time(self, seconds):
        self.now += seconds
        assert self.bench.queue.pump(self.now) > self.now

    @rule(which=st.integers(0, 30))
    def leave(self, which):
        if self.waiters:
            name = list(self.waiters)[which % len(self.waiters)]
            if self.waiters[name].is_waiting:
                self.left.add(name)
            self.bench.queue.leave(self.waiters[name])

    @invariant()
    def each_is_in_one_place(self):
        waiting = [name for name, waiter in self.waiters.items() if waiter.is_waiting]
        ended = self.bench.served + self.bench.refused + list(self.left)
        assert sorted(waiting + ended) == sorted(self.waiters)
        assert len(self.bench.queue) == len(waiting)
        assert self.bench.meter.waiting == sum(self.waiters[name].tokens for name in waiting)
        assert self.bench.meter.balance >= 0
        assert all(self.waiters[name].deadline_s > self.now - 10.1 for name in waiting)


Queue.TestCase.settings = settings(stateful_step_count=40)
TestQueue = Queue.TestCase
