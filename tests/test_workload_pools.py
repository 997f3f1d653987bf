"""A workload whose model can be reached through several pools of its provider."""

import json

import pytest

from headworks.calls import FailureKind
from played_work import DONE, EVENTS, chunk, team

ERROR = {"error": {"message": "No.", "type": "server_error", "code": "server_error", "param": None}}
POOLS = ("one", "two")


@pytest.mark.parametrize("status", [401, 429, 500])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_another_pool_is_asked_before_another_model(hall, work, status, is_streamed):
    work.make("fallback: [large]\n", pools=POOLS)
    answered = work.chat(stream=is_streamed)
    work.answer(ERROR, status)
    assert hall.flight.body["model"] == "small"
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        work.come(chunk('{"team":"red"}'), DONE)
    else:
        work.answer(team("red"))

    assert answered.status == 200
    assert "x-headworks-fallback" not in answered.headers
    assert hall.settled.course.startswith("stub:one/small: ")
    assert "; stub:two/small" in hall.settled.course
    assert hall.settled.opened.provider == "stub:two"


def test_when_all_pools_have_failed_the_next_model_is_asked(hall, work):
    work.make("fallback: [large]\n", pools=POOLS)
    answered = work.chat()
    work.answer(ERROR, 401)
    work.answer(ERROR, 401)
    assert hall.flight.body["model"] == "large"
    work.answer(team("red"))

    assert (answered.status, hall.settled.attempts) == (200, 3)


def test_a_call_that_goes_on_from_a_stored_response_stays_where_that_lies(hall, work):
    work.make("fallback: [large]\n", schema=None, prompt=None, pools=POOLS)
    hall.own("resp_1", provider="stub:two")
    answered = hall.ask("/v1/responses", {"model": "triage", "input": "x", "previous_response_id": "resp_1"}, turns=6)
    work.answer(ERROR, 500)

    assert answered.is_over
    assert len(hall.upstream.flights) == 1
    assert hall.settled.opened.provider == "stub:two"


def test_a_client_is_told_not_to_try_again_what_was_tried_again(hall, work):
    work.make("fallback: [large]\n")
    answered = work.chat()
    work.fail(FailureKind.BROKEN)
    work.fail(FailureKind.BROKEN)

    assert answered.status == 502
    assert answered.headers["x-should-retry"] == "false"
    assert json.loads(answered.body)["error"]["code"] == "upstream_broken"
