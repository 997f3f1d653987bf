"""The timer wheel on a clock that the test turns by hand."""

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.wheel import TICK_S, Timer, TimerWheel


class ClockLoop:
    """As much of an event loop as the wheel uses; time passes only in `advance`."""

    def __init__(self, now_s=1000.0):
        self.now_s = now_s
        self.soon = []
        self.reported = []
        self.later = []
        self.count = 0

    def time(self):
        return self.now_s

    def call_soon(self, callback, *arguments):
        self.soon.append((callback, arguments))

    def call_later(self, delay_s, callback):
        handle = _Handle(callback)
        self.count += 1
        heapq.heappush(self.later, (self.now_s + delay_s, self.count, handle))
        return handle

    def run_soon(self):
        soon, self.soon = self.soon, []
        for callback, arguments in soon:
            try:
                callback(*arguments)
            except LookupError as error:  # as an event loop does: report it and go on
                self.reported.append(error)

    def advance(self, delay_s):
        end_s = self.now_s + delay_s
        while self.later and self.later[0][0] <= end_s:
            self.now_s, _, handle = heapq.heappop(self.later)
            if not handle.is_cancelled:
                handle.callback()
            self.run_soon()
        self.now_s = end_s
        self.run_soon()

    @property
    def turns_ahead(self):
        return sum(not handle.is_cancelled for _, _, handle in self.later)


class _Handle:
    def __init__(self, callback):
        self.callback = callback
        self.is_cancelled = False

    def cancel(self):
        self.is_cancelled = True


@pytest.fixture
def loop():
    return ClockLoop()


def recording(loop):
    times = []
    return Timer(lambda: times.append(loop.now_s)), times


def test_a_timer_fires_once_at_its_time_and_at_most_two_ticks_late(loop):
    wheel = TimerWheel(loop)
    timer, times = recording(loop)
    wheel.arm(timer, 1.0)
    loop.advance(0.99)
    assert not times
    loop.advance(5.0)
    assert len(times) == 1
    assert 1001.0 <= times[0] <= 1001.0 + 2 * TICK_S
    assert not timer.is_armed


def test_a_disarmed_timer_does_not_fire(loop):
    wheel = TimerWheel(loop)
    timer, times = recording(loop)
    wheel.arm(timer, 1.0)
    timer.disarm()
    assert not timer.is_armed
    loop.advance(5.0)
    assert not times


def test_a_timer_that_is_moved_later_fires_at_its_new_time_alone(loop):
    wheel = TimerWheel(loop)
    timer, times = recording(loop)
    for _ in range(20):
        wheel.arm(timer, 1.0)
        loop.advance(0.5)
    assert not times
    loop.advance(1.0)
    assert len(times) == 1


def test_a_timer_that_is_moved_earlier_fires_at_its_new_time_alone(loop):
    wheel = TimerWheel(loop)
    timer, times = recording(loop)
    wheel.arm(timer, 10.0)
    wheel.arm(timer, 1.0)
    loop.advance(20.0)
    assert len(times) == 1
    assert times[0] < 1001.2


def test_a_timer_disarmed_and_armed_again_keeps_its_new_time(loop):
    wheel = TimerWheel(loop)
    timer, times = recording(loop)
    wheel.arm(timer, 1.0)
    timer.disarm()
    wheel.arm(timer, 3.0)
    loop.advance(2.9)
    assert not times
    loop.advance(1.0)
    assert len(times) == 1


def test_a_deadline_that_has_passed_already_fires_on_the_next_turn(loop):
    wheel = TimerWheel(loop)
    first, _ = recording(loop)
    wheel.arm(first, 60.0)
    loop.advance(10.0)
    timer, times = recording(loop)
    wheel.arm(timer, -5.0)
    loop.advance(2 * TICK_S)
    assert len(times) == 1
    wheel.arm(timer, 0.5)
    loop.advance(1.0)
    assert len(times) == 2


def test_a_timer_may_arm_itself_again_when_it_fires(loop):
    wheel = TimerWheel(loop)
    times = []

    def tick():
        times.append(loop.now_s)
        wheel.arm(timer, 1.0)

    timer = Timer(tick)
    wheel.arm(timer, 1.0)
    loop.advance(10.0)
    assert 9 <= len(times) <= 10
    timer.disarm()


def test_a_timer_moved_between_the_turn_and_its_firing_does_not_fire_early(loop):
    wheel = TimerWheel(loop)
    late, late_times = recording(loop)
    gone, gone_times = recording(loop)
    first = Timer(lambda: (wheel.arm(late, 5.0), gone.disarm()))
    for timer in (first, late, gone):
        wheel.arm(timer, 1.0)
    loop.advance(2.0)
    assert not late_times
    assert not gone_times
    loop.advance(5.0)
    assert len(late_times) == 1
    assert not gone_times


def test_a_timer_that_raises_does_not_stop_the_others(loop):
    wheel = TimerWheel(loop)

    def fail():
        raise LookupError

    bad = Timer(fail)
    timer, times = recording(loop)
    wheel.arm(bad, 1.0)
    wheel.arm(timer, 1.0)
    loop.advance(2.0)
    assert len(loop.reported) == 1
    assert len(times) == 1


def test_timers_survive_a_stalled_loop(loop):
    wheel = TimerWheel(loop)
    timers = [recording(loop) for _ in range(50)]
    for index, (timer, _) in enumerate(timers):
        wheel.arm(timer, index / 10)
    loop.now_s += 100.0
    loop.advance(1.0)
    assert all(len(times) == 1 for _, times in timers)


def test_a_wheel_without_timers_does_not_turn(loop):
    wheel = TimerWheel(loop)
    assert loop.turns_ahead == 0
    timer, _ = recording(loop)
    wheel.arm(timer, 1.0)
    assert loop.turns_ahead == 1
    loop.advance(5.0)
    assert loop.turns_ahead == 0


def test_nothing_fires_after_the_wheel_is_closed(loop):
    wheel = TimerWheel(loop)
    timer, times = recording(loop)
    wheel.arm(timer, 1.0)
    wheel.close()
    other, other_times = recording(loop)
    wheel.arm(other, 1.0)
    loop.advance(10.0)
    assert not times
    assert not other_times
    assert loop.turns_ahead == 0


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.none(), st.floats(-1.0, 8.0, allow_nan=False)),
        st.floats(0.0, 2.0, allow_nan=False),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps=_STEPS, start_s=st.floats(0.0, 1e6, allow_nan=False))
def test_whatever_is_armed_moved_or_dropped_every_deadline_fires_once_and_in_time(steps, start_s):
    loop = ClockLoop(start_s)
    wheel = TimerWheel(loop)
    due = [math.inf] * 4
    fired = []

    def make(index):
        def fire():
            fired.append(index)
            assert due[index] <= loop.now_s, "early"
            assert loop.now_s <= due[index] + 2 * TICK_S + 1e-6, "late"
            due[index] = math.inf

        return Timer(fire)

    timers = [make(index) for index in range(4)]
    for index, delay_s, wait_s in steps:
        if delay_s is None:
            timers[index].disarm()
            due[index] = math.inf
        else:
            wheel.arm(timers[index], delay_s)
            due[index] = loop.now_s + max(delay_s, 0.0)
        loop.advance(wait_s)
    loop.advance(20.0)
    assert due == [math.inf] * 4
    assert not any(timer.is_armed for timer in timers)
