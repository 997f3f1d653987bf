"""A queue inside a target is seen by how long its answers take; slowness alone is none. On a clock of its own."""

import heapq
import math

import pytest

from headworks.routing import Health
from headworks.routing.crowding import EPOCH_S, TOLERANCE, Crowding


class Server:
    """Answers so many requests at once, each in `takes_s`; others queue in it. Calls come at a steady pace."""

    def __init__(self, *, at_once=math.inf, takes_s=1.0):
        self.health = Health(lambda most: most, slow_s=math.inf)
        self.at_once, self.takes_s = at_once, takes_s
        self.free_at = []
        self.under_way = []
        self.now_s = 0.0
        self.answered = self.refused = 0
        self.slowest_s = 0.0

    def run(self, for_s, *, every_s):
        end_s = self.now_s + for_s
        while self.now_s < end_s:
            self.now_s += every_s
            while self.under_way and self.under_way[0][0] <= self.now_s:
                done_s, sent_s = heapq.heappop(self.under_way)
                self.health.succeeded(done_s, done_s - sent_s)
                self.answered += 1
                self.slowest_s = max(self.slowest_s, done_s - sent_s)
            if self.health.may_pass(self.now_s):
                self._ask()
            else:
                self.refused += 1
        return self

    def _ask(self):
        self.health.begin(self.now_s)
        begins_s = self.now_s
        if len(self.free_at) >= self.at_once:
            begins_s = max(begins_s, heapq.heappop(self.free_at))
        if self.at_once != math.inf:
            heapq.heappush(self.free_at, begins_s + self.takes_s)
        heapq.heappush(self.under_way, (begins_s + self.takes_s, self.now_s))


def test_a_target_that_gets_more_than_it_can_do_is_held_to_what_it_can():
    server = Server(at_once=20).run(60, every_s=0.1)
    assert server.refused == 0
    server.answered, server.slowest_s = 0, 0.0
    server.run(300, every_s=0.04)  # 25 a second come, and 20 can go

    assert server.answered > 0.93 * 20 * 300
    assert server.slowest_s < 8.0  # without a bound the last would have waited for more than a minute
    assert 20 <= server.health.pending < 120


@pytest.mark.parametrize("times", [3, 10, 20])
def test_answers_that_take_longer_and_nothing_else_hold_nothing_back(times):
    server = Server(takes_s=0.5).run(60, every_s=0.05)
    server.takes_s *= times
    server.run(300, every_s=0.05)

    assert server.refused == 0
    assert server.health.most == math.inf


@pytest.mark.parametrize("factor", [1.2, 2, 5])
def test_more_calls_hold_nothing_back_while_answers_take_as_long_as_ever(factor):
    server = Server().run(60, every_s=0.1)
    for _ in range(4):
        server.run(20, every_s=0.1 / factor)
        factor *= 1.2

    assert server.refused == 0


def queue_up(crowding):
    """Answers take three times as long, and what is under way grows."""
    for second, pending in ((20, 25), (23, 30), (26, 40), (29, 50)):
        assert crowding.look(float(second), 3.0, pending, math.inf) == math.inf


def test_a_cut_that_does_not_help_is_taken_back():
    crowding = Crowding()
    for second in range(20):
        assert crowding.look(float(second), 1.0, 20, math.inf) == math.inf
    queue_up(crowding)
    most = crowding.look(32.0, 3.0, 60, math.inf)
    assert most == pytest.approx(60 / TOLERANCE)
    assert crowding.look(35.0, 3.0, 30, most) == most  # too early to tell
    assert crowding.look(38.0, 3.0, 30, most) == math.inf
    for second in range(41, 90, 3):
        assert crowding.look(float(second), 3.0, second * second, math.inf) == math.inf


def test_a_target_that_says_itself_that_it_is_too_much_is_not_let_off_for_being_as_slow_as_before():
    crowding = Crowding()
    for second in range(20):
        crowding.look(float(second), 1.0, 20, math.inf)
    queue_up(crowding)
    assert crowding.look(32.0, 3.0, 60, math.inf) < math.inf
    crowding.forget_cut()
    assert crowding.look(40.0, 3.0, 10, 10.0) == 10.0


def test_what_was_long_ago_is_no_measure():
    crowding = Crowding()
    crowding.look(0.0, 0.1, 20, math.inf)
    for second in range(1, 3 * int(EPOCH_S)):
        crowding.look(float(second), 1.0, 20, math.inf)
    for second in range(900, 940, 2):
        assert crowding.look(float(second), 1.5, second * second, math.inf) == math.inf


@pytest.mark.parametrize("over_s", [1, 20, 60])
def test_whoever_comes_with_much_work_that_takes_longer_is_not_taken_for_a_queue(over_s):
    """Short calls as ever, and beside them up to sixty long ones at once, more and more of them for a while."""
    health = Health(lambda most: most, slow_s=math.inf)
    under_way, refused, long_ones = [], 0, 0
    for tick in range(6000):
        now_s = tick / 20
        while under_way and under_way[0][0] <= now_s:
            done_s, sent_s = heapq.heappop(under_way)
            health.succeeded(done_s, done_s - sent_s)
            long_ones -= done_s - sent_s > 5
        wanted = 0 if now_s < 100 else min(60, 60 * (now_s - 100) / over_s)
        calls = [1.0] * (tick % 5 == 0) + [20.0] * max(0, int(wanted) - long_ones)
        for takes_s in calls:
            if not health.may_pass(now_s):
                refused += 1
                continue
            health.begin(now_s)
            long_ones += takes_s > 5
            heapq.heappush(under_way, (now_s + takes_s, now_s))

    assert refused == 0


def test_few_attempts_are_never_held_back_for_slowness():
    health = Health(lambda most: most, slow_s=math.inf)
    for second in range(200):
        health.begin(float(second))
        health.succeeded(float(second), 0.1 if second < 100 else 5.0)
        assert health.may_pass(float(second))
