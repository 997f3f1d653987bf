"""What is done after a refusal depends on its reason: too long, against a policy, or simply wrong."""

import json
from time import perf_counter
from types import SimpleNamespace

import pytest

from headworks.attempts import may_hold_more
from headworks.calls import FailureKind
from played_work import EVENTS, chat_answer, chunk, team

TOO_LONG = {"error": {"message": "Too long.", "type": "invalid_request_error", "code": "context_length_exceeded"}}
FORBIDDEN = {"error": {"message": "No.", "type": "invalid_request_error", "code": "content_filter"}}
WRONG = {"error": {"message": "What?", "type": "invalid_request_error", "code": "unknown_parameter"}}
SMART = {"model": "smart", "messages": [{"role": "user", "content": "x"}]}


def declined():
    answer = chat_answer(None)
    answer["choices"][0]["message"]["refusal"] = "I will not."
    return answer


@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_is_too_long_for_one_model_is_asked_of_the_next(hall, is_streamed):
    hall.make(retries=2)
    answered = hall.ask("/v1/chat/completions", SMART | {"stream": is_streamed})
    hall.answer(TOO_LONG, 400)
    hall.turn(8)

    assert hall.flight.body["model"] == "c"
    answered.running.cancel()
    hall.turn(3)


@pytest.mark.parametrize(("error", "code"), [(FORBIDDEN, "content_refused"), (WRONG, "upstream_rejected")])
def test_what_is_forbidden_or_wrong_is_not_taken_elsewhere(hall, error, code):
    hall.make(retries=2)
    answered = hall.ask("/v1/chat/completions", SMART)
    hall.answer(error, 400)
    hall.turn(8)

    assert (answered.status, answered.error["message"]) == (400, error["error"]["message"])
    assert (hall.settled.error_code, hall.settled.attempts) == (code, 1)


def test_where_no_window_is_larger_the_providers_words_are_told(hall):
    answered = hall.chat()
    hall.answer(TOO_LONG, 400)
    hall.turn(8)

    assert (answered.status, answered.error["message"]) == (400, "Too long.")
    assert hall.settled.error_code == "context_length_exceeded"


def test_windows_are_compared_where_they_are_known():
    def target(window):
        model = None if window == 0 else SimpleNamespace(context_tokens=window)
        return SimpleNamespace(station=SimpleNamespace(price=SimpleNamespace(model=model)))

    assert may_hold_more(target(400_000), target(128_000))
    assert not may_hold_more(target(128_000), target(128_000))
    assert not may_hold_more(target(8_000), target(128_000))
    assert may_hold_more(target(0), target(128_000))
    assert may_hold_more(target(None), target(128_000))
    assert may_hold_more(target(8_000), target(0))


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_workload_asks_the_next_of_its_chain_for_what_is_too_long(hall, work, is_streamed):
    work.make("fallback: [large]\n")
    answered = work.chat(stream=is_streamed)
    work.answer(TOO_LONG, 400)
    assert hall.flight.body["model"] == "large"
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        work.come(chunk('{"team":"red"}'), chunk(finish_reason="stop") + b"data: [DONE]\n\n")
    else:
        work.answer(team("red"))

    assert answered.status == 200
    assert answered.headers["x-headworks-fallback"] == "context_length_exceeded"


@pytest.mark.parametrize("answer", [(FORBIDDEN, 400), (declined(), 200)], ids=["provider", "model"])
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_refusal_of_the_content_is_taken_elsewhere_only_where_the_contract_says_so(hall, work, answer, goes_on):
    work.make("fallback: [large]\n" + ("refusals: fallback\n" if goes_on else ""))
    answered = work.chat()
    work.answer(*answer)
    if goes_on:
        assert hall.flight.body["model"] == "large"
        work.answer(team("red"))
        assert json.loads(answered.body)["choices"][0]["message"]["content"] == '{"team": "red"}'
        assert answered.headers["x-headworks-fallback"] == FailureKind.REFUSED
        assert "content_refused" in hall.settled.course
        return

    assert len(hall.upstream.flights) == 1
    assert answered.status == answer[1]


def test_the_last_of_the_chain_says_itself_that_it_declines(hall, work):
    work.make("fallback: [large]\nrefusals: fallback\n")
    answered = work.chat()
    work.answer(declined())
    work.answer(declined())

    assert answered.status == 200
    assert json.loads(answered.body)["choices"][0]["message"]["refusal"] == "I will not."
    assert hall.settled.input_tokens == 20  # both are paid for


TOO_LARGE = {
    "error": {
        "message": "Request too large for small in organization o on tokens per min (TPM): Limit 10, Requested 20. The "
        "input or output tokens must be reduced in order to run successfully.",
        "type": "tokens",
        "code": "rate_limit_exceeded",
        "param": None,
    }
}


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_request_that_is_larger_than_a_whole_limit_is_not_asked_again_and_nobody_has_to_rest_for_it(
    hall, is_streamed
):
    """OpenAI says it with the 429 of limits that are reached; no waiting helps, and others' requests are as welcome as
    before."""
    hall.make(retries=2)
    answered = hall.chat(stream=is_streamed)
    hall.answer(TOO_LARGE, 429)
    hall.turn(8)

    assert (answered.status, answered.error["message"]) == (429, TOO_LARGE["error"]["message"])
    assert answered.headers["x-should-retry"] == "false"  # else an SDK asks twice more
    assert (hall.settled.error_code, hall.settled.attempts) == ("request_over_limit", 1)
    health = hall.table.resolve("nano").station.health
    assert health.view(perf_counter()).rests_s == 0.0
    assert health.may_pass(perf_counter())


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_request_that_is_larger_than_a_whole_limit_is_asked_of_the_next_model(hall, is_streamed):
    hall.make(retries=2)
    answered = hall.ask("/v1/chat/completions", SMART | {"stream": is_streamed})
    hall.answer(TOO_LARGE, 429)
    hall.turn(8)

    assert hall.flight.body["model"] == "c"
    answered.running.cancel()
    hall.turn(3)


def test_a_workload_asks_the_next_of_its_chain_what_is_larger_than_a_whole_limit(hall, work):
    work.make("fallback: [large]\n")
    answered = work.chat()
    work.answer(TOO_LARGE, 429)
    assert hall.flight.body["model"] == "large"
    work.answer(team("red"))

    assert answered.headers["x-headworks-fallback"] == "request_over_limit"
