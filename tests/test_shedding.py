"""Too much to do: refused fast, first what nobody waits for, and let in again when it is over."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks import streaming
from headworks.shedding import RECOVERED_S, SHEDS_ALL_S, Load
from headworks.wheel import Timer, TimerWheel
from played_work import DONE, EVENTS, chunk


def lagging(load, late_s, turns=40):
    for _ in range(turns):
        load.note_lag(late_s)


def test_new_calls_are_refused_fast_and_let_in_again_when_it_is_over(hall):
    under_way = hall.chat()
    lagging(hall.load, 1.0)
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


def test_one_late_turn_refuses_nobody():
    load = Load()
    load.note_lag(1.0)
    assert not load.is_shedding


@given(st.lists(st.floats(-1, 10), max_size=200))
def test_whatever_comes_it_is_let_in_again_after_a_quiet_while(lags):
    load = Load()
    for late_s in lags:
        load.note_lag(late_s)
        assert load.is_shedding == (load.level == 2)
        if load.lag_s >= SHEDS_ALL_S:
            assert load.is_shedding
    lagging(load, 0.0)
    assert (load.level, load.lag_s < RECOVERED_S) == (0, True)


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


def test_a_silent_stream_is_kept_alive_by_comments_and_a_busy_one_is_not(hall, monkeypatch):
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.02)
    answered = hall.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Hi."))
    hall.loop.run_until_complete(asyncio.sleep(0.07))
    assert answered.body.count(streaming.HEARTBEAT) >= 2

    hall.flight.sink.on_body(DONE)
    hall.turn(4)
    before = answered.body
    hall.loop.run_until_complete(asyncio.sleep(0.05))
    assert answered.body == before
    assert before.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("ends", ["cancel", "stop"])
def test_a_stream_that_is_given_up_beats_no_more(hall, monkeypatch, ends):
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.02)
    answered = hall.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Hi."))
    getattr(answered.running, ends)()
    hall.turn(4)
    before = answered.body
    hall.loop.run_until_complete(asyncio.sleep(0.06))
    assert answered.body == before
