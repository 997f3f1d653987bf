"""Streams whose first token is late: a second target is asked, and whoever begins first is taken."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Endpoint, Failure, FailureKind, Settled
from headworks.dialects.deltas import TextDeltas
from headworks.hedging import LATE_SHARE, LEAST_SEEN, FirstTokens
from played_work import DONE, EVENTS, SCHEMA, chunk

HEDGED = "fallback: [large]\nlatency: {hedge: true}\n"


@pytest.fixture
def quick(work):
    """A workload whose streams have begun within a moment, so far."""
    work.make(HEDGED, schema=None)
    teach(work)
    return work


def teach(work):
    for _ in range(LEAST_SEEN):
        begin(work)
        work.come(chunk("x"), DONE)
    assert all(flight.body["model"] == "small" for flight in work.hall.upstream.flights)
    work.hall.upstream.flights.clear()


def begin(work, **fields):
    answered = work.chat(stream=True, **fields)
    work.hall.flight.sink.on_head(200, EVENTS)
    return answered


def late(work, **fields):
    """A call whose first token does not come until another target is asked; both flights."""
    answered = begin(work, **fields)
    flights = work.hall.upstream.flights
    for _ in range(200):
        work.hall.rest(0.005)
        if len(flights) == 2:
            break
    first, second = flights
    second.sink.on_head(200, EVENTS)
    return answered, first, second


def settled_of(hall):
    """Of the last call."""
    return [entry for entry in hall.entries() if isinstance(entry, Settled)][-1]


def said(answered):
    return TextDeltas(Endpoint.CHAT).feed(answered.body)


def finish(work, flight, *pieces):
    for piece in pieces:
        flight.sink.on_body(chunk(piece))
    flight.sink.on_body(DONE)
    work.settle()


def test_a_second_target_is_asked_when_the_first_is_late_and_the_loser_is_given_up(hall, quick):
    answered, first, second = late(quick)
    assert second.body["model"] == "large"
    assert second.body["messages"] == first.body["messages"]
    finish(quick, second, "From the second.")

    assert said(answered) == "From the second."
    assert first.is_cancelled
    assert not second.is_cancelled
    assert answered.headers["x-headworks-hedged"] == "true"
    settled = settled_of(hall)
    assert (settled.outcome, settled.attempts, settled.opened.model) == ("answered", 2, "large")
    assert settled.course == "stub/small: late; stub/large (hedge)"


def test_what_both_used_is_counted(hall, quick):
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    _, _, second = late(quick)
    second.sink.on_body(chunk("Two"))
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
    second.sink.on_body(chunk(finish_reason="stop") + b"data: " + json.dumps(value).encode() + b"\n\ndata: [DONE]\n\n")
    quick.settle()

    settled = settled_of(hall)
    assert settled.usage_source == "estimated"  # the loser's is
    assert settled.input_tokens > 11
    assert settled.output_tokens == 5


def test_the_first_is_taken_where_it_begins_after_all_before_the_second(hall, quick):
    answered, first, second = late(quick)
    finish(quick, first, "From the first.")

    assert said(answered) == "From the first."
    assert second.is_cancelled
    assert "x-headworks-hedged" not in answered.headers
    settled = settled_of(hall)
    assert (settled.outcome, settled.opened.model) == ("answered", "small")
    assert settled.course == "stub/small: late; stub/large (hedge): given up; stub/small"


def test_where_one_of_them_fails_the_other_is_waited_for(hall, quick):
    answered, first, second = late(quick)
    second.sink.on_failure(Failure(FailureKind.BROKEN, "gone"))
    hall.turn(3)
    assert not answered.is_over
    finish(quick, first, "Slow, but there.")

    assert said(answered) == "Slow, but there."
    assert settled_of(hall).course == "stub/small: late; stub/large (hedge): upstream_broken; stub/small"


def test_a_refusal_of_the_second_does_not_win(hall, quick):
    answered = begin(quick)
    flights = hall.upstream.flights
    for _ in range(200):
        hall.rest(0.005)
        if len(flights) == 2:
            break
    error = {"error": {"message": "Busy.", "type": "rate_limit_error", "code": "rate_limit_exceeded", "param": None}}
    flights[1].answer(error, 429)
    hall.turn(3)
    assert not answered.is_over
    finish(quick, flights[0], "Here.")

    assert said(answered) == "Here."


def test_where_both_fail_the_chain_goes_on_as_it_would(hall, quick):
    answered, first, second = late(quick)
    second.sink.on_failure(Failure(FailureKind.BROKEN, "gone"))
    first.sink.on_failure(Failure(FailureKind.BROKEN, "gone, too"))
    quick.settle()
    third = hall.flight
    assert third.body["model"] == "large"
    third.sink.on_head(200, EVENTS)
    finish(quick, third, "At last.")

    assert said(answered) == "At last."
    assert settled_of(hall).attempts == 3


def test_a_caller_that_goes_ends_both(hall, quick):
    answered, first, second = late(quick)
    answered.running.cancel()
    hall.turn(3)

    assert first.is_cancelled
    assert second.is_cancelled
    assert settled_of(hall).outcome == "cancelled"


def test_an_end_of_the_gateway_ends_both(hall, quick):
    answered, first, second = late(quick)
    answered.running.stop()
    quick.settle()

    assert answered.is_over
    assert first.is_cancelled
    assert second.is_cancelled
    assert b"shutting_down" in answered.body or answered.status == 503


def test_each_is_held_to_the_schema_on_its_own(hall, work):
    work.make(HEDGED, schema=SCHEMA)
    for _ in range(LEAST_SEEN):
        begin(work)
        work.come(chunk('{"team":"red"}'), DONE)
    hall.upstream.flights.clear()
    answered, first, second = late(work)
    first.sink.on_body(chunk("not what it should be"))  # found unfit before anything was sent
    work.settle()
    assert not answered.is_over
    finish(work, second, '{"team":', '"blue"}')

    assert said(answered) == '{"team":"blue"}'
    assert settled_of(hall).verdict == "valid"


def test_nobody_is_asked_twice_before_it_is_known_what_is_late(hall, work):
    work.make(HEDGED, schema=None)
    answered = begin(work)
    hall.rest(0.1)

    assert len(hall.upstream.flights) == 1
    answered.running.cancel()


def test_without_the_contracts_word_nobody_is_asked_twice(hall, work):
    work.make("fallback: [large]\n", schema=None)
    teach(work)
    answered = begin(work)
    hall.rest(0.1)

    assert len(hall.upstream.flights) == 1
    answered.running.cancel()


def test_a_workload_of_one_target_asks_it_once_more(hall, work):
    work.make("latency: {hedge: true}\n", schema=None)
    teach(work)
    answered, _, second = late(work)
    assert second.body["model"] == "small"
    finish(work, second, "Again.")

    assert said(answered) == "Again."


@given(st.lists(st.floats(0.001, 60), min_size=LEAST_SEEN, max_size=300))
def test_one_stream_in_twenty_is_late(times_s):
    seen = FirstTokens()
    for time_s in times_s:
        seen.note(time_s)
    late_s = seen.late_s
    assert late_s is not None
    latest = times_s[-256:]
    assert sum(time_s > late_s for time_s in latest) <= (1 - LATE_SHARE) * len(latest) + 1
    assert sum(time_s >= late_s for time_s in latest) >= (1 - LATE_SHARE) * len(latest) - 1


def test_nothing_is_late_while_little_is_known():
    seen = FirstTokens()
    for _ in range(LEAST_SEEN - 1):
        seen.note(1.0)
        assert seen.late_s is None
