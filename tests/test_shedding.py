"""Too much to do: refused fast, first what nobody waits for, and let in again when it is over."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.access import Grant
from headworks.calls import DEFERRED_PRIORITY, PRIORITIES, Caller
from headworks.shedding import RECOVERED_SHARE, SHEDS_S, Load
from headworks.stream_heart import HEARTBEAT
from headworks.wheel import Timer, TimerWheel
from played_work import DONE, EVENTS, chunk


def lagging(load, late_s, turns=40):
    for _ in range(turns):
        load.note_lag(late_s)


def test_new_calls_are_refused_fast_and_let_in_again_when_it_is_over(hall):
    under_way = hall.chat()
    lagging(hall.load, 0.9)
    refused = hall.chat()

    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "gateway_overloaded", "2")
    assert len(hall.upstream.flights) == 1
    assert hall.ask("/v1/models", method="GET").status == 200
    hall.answer()
    hall.turn(4)
    assert under_way.status == 200

    lagging(hall.load, 0.0)
    again = hall.chat()
    assert not again.status
    again.running.cancel()


def test_what_nobody_waits_for_is_refused_first(hall, work):
    work.make("urgency: deferred\n")
    lagging(hall.load, 0.3)
    refused = work.chat()
    assert (refused.status, refused.error["code"]) == (503, "gateway_overloaded")
    plain = hall.chat()
    assert not plain.status
    plain.running.cancel()


@pytest.mark.parametrize("late_s", [0.2, 0.3, 0.4, 0.6, 1.2])
def test_the_lowest_class_is_refused_first_and_the_highest_last(hall, late_s):
    lagging(hall.load, late_s)
    statuses = []
    for priority in range(PRIORITIES):
        hall.ring.grant = Grant(Caller("key_1"), priority=priority)
        answered = hall.chat()
        statuses.append(answered.status)
        if not answered.status:
            answered.running.cancel()
    taken = sum(late_s < lag_s for lag_s in SHEDS_S)
    assert statuses == [0] * taken + [503] * (PRIORITIES - taken)


def test_classes_are_let_in_again_the_highest_first():
    load, seen = Load(), []
    lagging(load, 1.2)
    for _ in range(60):
        load.note_lag(0.0)
        if not seen or seen[-1] != load.sheds_from:
            seen.append(load.sheds_from)
    assert seen == sorted(seen)
    assert (len(seen) > 2, seen[-1]) == (True, PRIORITIES)


def test_a_workload_has_its_own_class_whoever_calls(hall, work):
    work.make("priority: 0\n")
    hall.ring.grant = Grant(Caller("key_1"), priority=3)
    lagging(hall.load, 0.6)
    taken, plain = work.chat(), hall.chat()
    assert (taken.status, plain.status) == (0, 503)
    taken.running.cancel()


def test_a_workload_without_one_has_its_callers(hall, work):
    work.make("")
    hall.ring.grant = Grant(Caller("key_1"), priority=3)
    lagging(hall.load, 0.3)
    assert work.chat().status == 503


def test_one_late_turn_refuses_nobody_that_somebody_waits_for():
    load = Load()
    load.note_lag(1.0)
    assert [priority for priority in range(PRIORITIES) if load.sheds(priority)] == [DEFERRED_PRIORITY]


@given(st.lists(st.floats(-1, 10), max_size=200))
def test_whatever_comes_it_is_let_in_again_after_a_quiet_while(lags):
    load = Load()
    for late_s in lags:
        load.note_lag(late_s)
        refused = [load.sheds(priority) for priority in range(PRIORITIES)]
        assert refused == sorted(refused)  # never a class before every lower one
        assert load.is_shedding == any(refused)
        for priority, lag_s in enumerate(SHEDS_S):
            assert refused[priority] or load.lag_s < lag_s
            assert not refused[priority] or load.lag_s >= lag_s * RECOVERED_SHARE
    lagging(load, 0.0, 100)
    assert (load.sheds_from, load.is_shedding) == (PRIORITIES, False)


def test_the_wheel_tells_how_late_it_is():
    loop = asyncio.new_event_loop()
    told = []
    wheel = TimerWheel(loop, told.append)
    wheel.arm(Timer(lambda: None), 0.15)
    loop.call_later(0.01, lambda: __import__("time").sleep(0.2))
    loop.run_until_complete(asyncio.sleep(0.4))
    wheel.close()
    loop.close()

    assert max(told) >= 0.1
    assert min(told) >= -0.005


def test_a_silent_stream_is_kept_alive_by_comments_and_a_busy_one_is_not(hall):
    hall.make(heartbeat_s=0.02)
    answered = hall.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Hi."))
    for _ in range(500):
        hall.rest(0.01)
        if answered.body.count(HEARTBEAT) >= 2:
            break
    assert answered.body.count(HEARTBEAT) >= 2

    hall.flight.sink.on_body(DONE)
    hall.turn(4)
    before = answered.body
    hall.rest(0.05)
    assert answered.body == before
    assert before.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("ends", ["cancel", "stop"])
def test_a_stream_that_is_given_up_beats_no_more(hall, ends):
    hall.make(heartbeat_s=0.02)
    answered = hall.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Hi."))
    getattr(answered.running, ends)()
    hall.turn(4)
    before = answered.body
    hall.rest(0.06)
    assert answered.body == before
