"""Calls of a workload that end before their time, at every stage: one record, no task, no attempt left behind."""

import asyncio
import json

import pytest

from headworks.calls import FailureKind
from played_work import DONE, EVENTS, chunk, completed, message_item, team, text_delta

HANGS = """
import time

def judged(output, context):
    while context["variables"]["ticket"] == "hang":
        time.sleep(0.01)
    from headworks.screening import Verdict
    return Verdict.repair("once more") if context["variables"]["ticket"] == "repair" else None
"""
CONTRACT = "fallback: [large]\nvalidation: {repairs: 2, otherwise: fallback, rules_timeout_s: 15}\n"
GOOD_TEXT = '{"team": "red"}'


def tasks(hall):
    return asyncio.all_tasks(hall.loop)


def wait_until(hall, is_so):
    """Let another process do something; polls."""
    for _ in range(1000):
        hall.turn(1)
        if is_so():
            return
        hall.rest(0.005)
    raise AssertionError("it does not come about")


def sends(hall, *pieces):
    hall.flight.sink.on_head(200, EVENTS)
    for piece in pieces:
        hall.flight.sink.on_body(piece)


def at_once(hall, work):
    return work.chat()


def head_has_come(hall, work):
    answered = work.chat()
    hall.flight.sink.on_head(200, {b"content-type": b"application/json"})
    return answered


def half_has_come(hall, work):
    answered = head_has_come(hall, work)
    hall.flight.sink.on_body(json.dumps(team("red")).encode()[:30])
    return answered


def rules_judge(hall, work):
    answered = work.chat("hang")
    hall.loop.call_soon(hall.flight.answer, team("red"))
    wait_until(hall, lambda: tasks(hall))
    return answered


def in_repair(hall, work):
    answered = work.chat()
    work.answer(team("green"))
    assert len(hall.upstream.flights) == 2
    return answered


def on_the_next_target(hall, work):
    answered = work.chat()
    work.fail(FailureKind.UNREACHABLE)
    assert hall.flight.body["model"] == "large"
    return answered


def stream_at_once(hall, work):
    return work.chat(stream=True)


def stream_head_has_come(hall, work):
    answered = work.chat(stream=True)
    sends(hall)
    return answered


def stream_has_begun(hall, work):
    answered = work.chat(stream=True)
    sends(hall, chunk('{"team"'))
    return answered


def stream_on_the_next_target(hall, work):
    answered = work.chat(stream=True)
    work.fail(FailureKind.OVERLOADED)
    sends(hall, chunk('{"team"'))
    return answered


def stream_before_its_last_piece(hall, work):
    answered = work.chat("hang", stream=True)
    sends(hall, chunk(GOOD_TEXT))
    hall.loop.call_soon(hall.flight.sink.on_body, DONE)
    wait_until(hall, lambda: tasks(hall))
    return answered


def responses_stream_before_its_last_piece(hall, work):
    answered = work.respond("hang", stream=True)
    sends(hall, text_delta(GOOD_TEXT))
    hall.loop.call_soon(hall.flight.sink.on_body, completed(message_item(GOOD_TEXT)))
    wait_until(hall, lambda: tasks(hall))
    return answered


WHOLE = [at_once, head_has_come, half_has_come, rules_judge, in_repair, on_the_next_target]
STREAMED = [
    stream_at_once,
    stream_head_has_come,
    stream_has_begun,
    stream_on_the_next_target,
    stream_before_its_last_piece,
    responses_stream_before_its_last_piece,
]
JUDGING = (rules_judge, stream_before_its_last_piece, responses_stream_before_its_last_piece)


def is_open(flight):
    return not flight.is_cancelled and not flight.sink.ended.is_set


@pytest.mark.parametrize("stage", WHOLE + STREAMED)
def test_a_caller_who_goes_leaves_one_record_no_task_and_no_attempt(hall, work, stage):
    answered = stage(hall, work.make(CONTRACT, rules=HANGS))
    body = answered.body
    answered.running.cancel()
    answered.running.cancel()
    wait_until(hall, lambda: not tasks(hall))

    settled = hall.settled
    assert (settled.outcome, settled.status, settled.error_code) == ("cancelled", 499, "client_disconnected")
    assert (settled.workload, settled.prompt_version) == ("triage", "1.2.0")
    assert hall.gateway.in_flight == 0
    assert not [flight for flight in hall.upstream.flights if is_open(flight)]
    assert answered.body == body  # nothing goes out to who has gone


@pytest.mark.parametrize("stage", JUDGING)
def test_the_next_call_is_judged_though_the_one_before_went_while_rules_judged_it(hall, work, stage):
    stage(hall, work.make(CONTRACT, rules=HANGS)).running.cancel()
    wait_until(hall, lambda: not tasks(hall))
    answered = work.chat()
    work.answer(team("red"))

    assert (answered.status, answered.headers["x-headworks-verdict"]) == (200, "valid")


@pytest.mark.parametrize("stage", [one for one in WHOLE + STREAMED if one not in JUDGING])
def test_a_call_that_must_end_now_says_so_and_leaves_one_record_no_task_and_no_attempt(hall, work, stage):
    answered = stage(hall, work.make(CONTRACT, rules=HANGS))
    is_begun = answered.status == 200
    answered.running.stop()
    answered.running.stop()
    wait_until(hall, lambda: not tasks(hall))

    assert answered.is_over
    assert b'"gateway_stopping"' in answered.body
    assert answered.status == (200 if is_begun else 503)
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", "gateway_stopping")
    assert hall.gateway.in_flight == 0
    assert not [flight for flight in hall.upstream.flights if is_open(flight)]


@pytest.mark.parametrize("ticket", ["repair", "x"])
def test_an_answer_that_is_being_judged_when_all_must_end_is_the_last_that_is_asked_for(hall, work, ticket):
    """Rules have a time limit, so that the answer may still be given; another turn would take its own time."""
    work.make("fallback: [large]\nvalidation: {repairs: 2, otherwise: fallback}\n", rules=HANGS)
    answered = work.chat(ticket)
    hall.loop.call_soon(hall.flight.answer, team("red"))
    wait_until(hall, lambda: tasks(hall))
    answered.running.stop()
    wait_until(hall, lambda: not hall.gateway.in_flight)

    assert len(hall.upstream.flights) == 1
    if ticket == "repair":
        assert (answered.status, answered.error["code"]) == (503, "gateway_stopping")
        assert (hall.settled.output_tokens, hall.settled.wasted_tokens) == (5, 5)
    else:
        assert (answered.status, hall.settled.outcome) == (200, "answered")


@pytest.mark.parametrize("is_streamed", [True, False])
def test_who_goes_when_all_is_answered_changes_nothing(hall, work, is_streamed):
    answered = work.make().chat(stream=is_streamed)
    if is_streamed:
        sends(hall, chunk(GOOD_TEXT), DONE)
        work.settle()
    else:
        work.answer(team("red"))
    answered.running.cancel()
    answered.running.stop()

    assert (hall.settled.outcome, hall.settled.verdict) == ("answered", "valid")


def test_a_caller_who_reads_slowly_pauses_the_model(hall, work):
    answered = work.make().chat(stream=True)
    sends(hall, chunk('{"team"'))
    hall.turn()
    pause, resume = answered.flow
    pause()
    assert hall.flight.is_paused
    resume()
    assert not hall.flight.is_paused
    answered.running.cancel()


def test_the_time_of_the_contract_bounds_all_attempts_together(hall, work):
    given = []
    send = hall.upstream.send
    hall.upstream.send = lambda request, sink, timeouts: (given.append(timeouts), send(request, sink, timeouts))[1]
    work.make("fallback: [large]\nlatency: {total_s: 10}\n").chat()
    work.fail(FailureKind.TIMEOUT)
    work.fail(FailureKind.TIMEOUT)

    assert 5.9 < given[0].total_s <= 6
    assert 9.5 < given[1].total_s <= 10
    assert all(one.connect_s <= one.total_s and one.first_byte_s <= one.total_s for one in given)


def test_a_stream_that_does_not_begin_in_time_leaves_time_for_the_next_target_to_begin(hall, work):
    given = []
    send = hall.upstream.send
    hall.upstream.send = lambda request, sink, timeouts: (given.append(timeouts), send(request, sink, timeouts))[1]
    work.make("fallback: [large]\nlatency: {total_s: 10, first_token_s: 2}\n").chat(stream=True)
    work.fail(FailureKind.TIMEOUT)
    sends(hall, chunk(GOOD_TEXT))
    work.come(DONE)

    assert 1.1 < given[0].first_byte_s <= 1.2
    assert given[1].first_byte_s > 2


def test_no_attempt_is_made_once_the_time_is_up(hall, work):
    answered = work.make("latency: {total_s: 0.001}\n").chat()
    if hall.upstream.flights:  # it was quicker
        work.fail(FailureKind.TIMEOUT)

    assert (answered.status, answered.error["code"]) == (504, "upstream_timeout")
