"""What a plain call does when an attempt fails: pools, pauses, other models; and what it tells of it."""

import json
from time import perf_counter

import pytest

from headworks.attempts import RULES, SPREAD_S, Policy
from headworks.calls import Failure, FailureKind
from headworks.exchange import Timeouts
from headworks.routing import BreakerState
from headworks.routing.breaker import FAILURES_IN_A_ROW
from played_work import DONE, EVENTS, chunk, team

ERROR = {"error": {"message": "No.", "type": "server_error", "code": "server_error", "param": None}}


@pytest.fixture
def patient(hall):
    hall.make(retries=2)
    return hall


def fail(hall, kind, **options):
    hall.flight.sink.on_failure(Failure(kind, "stub failed", **options))
    hall.turn(6)


def sent(hall):
    return [(flight.body["model"], flight.request.headers) for flight in hall.upstream.flights]


def settle(hall):
    hall.turn(8)


def pause(hall):
    """Let a pause of two milliseconds pass."""
    hall.turn(8)
    hall.rest(0.004)
    hall.turn(8)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 529])
def test_a_failure_that_may_pass_is_tried_again_and_the_caller_sees_the_answer(patient, status):
    answered = patient.chat()
    patient.answer(ERROR, status, retry_after_ms="2")
    pause(patient)
    patient.answer()
    settle(patient)

    assert (answered.status, patient.settled.attempts, patient.settled.outcome) == (200, 2, "answered")
    assert patient.settled.error_code == ""
    assert patient.upstream.flights[0].request == patient.upstream.flights[1].request


@pytest.mark.parametrize("kind", [FailureKind.UNREACHABLE, FailureKind.BROKEN])
def test_a_connection_that_breaks_is_tried_again(patient, kind):
    answered = patient.chat()
    fail(patient, kind)
    patient.answer()
    settle(patient)

    assert (answered.status, patient.settled.attempts) == (200, 2)


def test_what_fails_every_time_is_told_once_and_the_client_is_told_not_to_try_again(patient):
    answered = patient.chat()
    for _ in range(3):
        patient.answer(ERROR, 503, x_should_retry="true", retry_after_ms="2")
        pause(patient)

    assert (answered.status, patient.settled.attempts, len(patient.upstream.flights)) == (503, 3, 3)
    assert answered.headers["x-should-retry"] == "false"
    assert patient.settled.outcome == "failed"


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_what_the_provider_refuses_is_not_tried_again_and_says_nothing_of_its_health(patient, status):
    answered = patient.chat()
    patient.answer(ERROR, status)
    settle(patient)

    assert (answered.status, patient.settled.attempts) == (status, 1)
    assert "x-should-retry" not in answered.headers


def test_a_timeout_is_not_tried_again_at_the_same_target(patient):
    answered = patient.chat()
    fail(patient, FailureKind.TIMEOUT)

    assert (answered.status, patient.settled.attempts) == (504, 1)


def test_a_pause_that_is_longer_than_the_call_may_take_is_not_waited_for(hall):
    hall.make(retries=2, deadline_s=5.0)
    answered = hall.chat()
    hall.answer(ERROR, 429, retry_after="60")
    settle(hall)

    assert (answered.status, answered.headers["retry-after"], hall.settled.attempts) == (429, "60", 1)


def test_the_next_model_answers_in_its_own_dialect_and_the_caller_in_its_own(hall):
    hall.make()
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": [{"role": "user", "content": "x"}]})
    fail(hall, FailureKind.TIMEOUT)
    assert hall.flight.body["model"] == "c"
    fail(hall, FailureKind.UNREACHABLE)
    assert hall.flight.body["model"] == "claude-x"
    hall.answer({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Hi."}], "usage": {"input_tokens": 3, "output_tokens": 2},
    })  # fmt: skip
    settle(hall)

    assert answered.status == 200
    assert json.loads(answered.body)["choices"][0]["message"]["content"] == "Hi."
    assert answered.headers["x-headworks-fallback"] == "upstream_timeout, upstream_unreachable"
    assert answered.headers["x-headworks-provider"] == "anthropic"
    settled = hall.settled
    assert (settled.opened.provider, settled.opened.model, settled.opened.requested_model) == (
        "anthropic", "claude-x", "smart",
    )  # fmt: skip
    assert settled.attempts == 3


def test_when_no_model_is_left_the_last_failure_is_told(hall):
    hall.make()
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []})
    for kind in (FailureKind.TIMEOUT, FailureKind.UNREACHABLE, FailureKind.BROKEN):
        fail(hall, kind)

    assert (answered.status, answered.error["code"]) == (502, "upstream_broken")
    assert answered.headers["x-should-retry"] == "false"


def test_a_pool_that_is_over_its_limit_rests_and_the_other_goes_on(hall):
    hall.make()
    body = {"model": "pooled/p", "messages": []}
    first = hall.ask("/v1/chat/completions", body)
    was = b"key-of-one" in hall.flight.request.headers
    hall.answer(ERROR, 429, retry_after="30")
    settle(hall)
    assert (b"key-of-one" in hall.flight.request.headers) != was
    hall.answer()
    settle(hall)
    assert first.status == 200
    assert first.headers["x-headworks-provider"] == ("pooled:two" if was else "pooled:one")

    for _ in range(5):
        hall.ask("/v1/chat/completions", body)
        assert (b"key-of-one" in hall.flight.request.headers) != was
        hall.answer()
        settle(hall)


def test_a_pool_whose_key_is_refused_is_set_aside(hall):
    hall.make()
    hall.ask("/v1/chat/completions", {"model": "pooled/p", "messages": []})
    was = b"key-of-one" in hall.flight.request.headers
    hall.answer(ERROR, 401)
    settle(hall)
    assert (b"key-of-one" in hall.flight.request.headers) != was
    hall.answer()
    settle(hall)
    assert hall.settled.outcome == "answered"


def test_an_open_breaker_answers_at_once_and_says_when_to_come_back(hall):
    for _ in range(5):
        hall.chat()
        fail(hall, FailureKind.UNREACHABLE)
    before = len(hall.upstream.flights)
    answered = hall.chat()

    assert len(hall.upstream.flights) == before
    assert (answered.status, answered.error["code"]) == (503, "circuit_open")
    assert answered.headers["x-headworks-breaker"] == "open"
    assert 0 < int(answered.headers["retry-after"]) <= 5


def test_a_refusal_for_another_reason_says_nothing_of_a_breaker(hall):
    answered = hall.chat()
    fail(hall, FailureKind.UNAUTHORIZED)

    assert answered.status == 502
    assert "x-headworks-breaker" not in answered.headers


def test_a_caller_that_goes_while_an_attempt_waits_leaves_nothing_behind(patient):
    answered = patient.chat()
    patient.answer(ERROR, 503, retry_after="5")
    patient.turn(4)
    answered.running.cancel()
    settle(patient)

    assert patient.settled.outcome == "cancelled"
    assert patient.gateway.in_flight == 0
    target = patient.table.resolve("nano")
    assert target.station.health.pending == 0


def test_nothing_is_left_pending_whatever_became_of_the_attempts(hall):
    hall.make(retries=1)
    for kind in FailureKind:
        answered = hall.chat()
        fail(hall, kind)
        while not answered.is_over:
            if hall.flight.is_cancelled or hall.flight.sink.is_over:
                settle(hall)
                break
            fail(hall, kind)
    health = hall.table.resolve("nano").station.health

    assert health.pending == 0
    assert health.view(1e9).state is not BreakerState.CLOSED


def test_judged_and_refused_kinds_have_no_further_attempt():
    for kind in ("upstream_rejected", "output_invalid", "output_blocked", "action_denied", "action_held"):
        assert FailureKind(kind) not in RULES


def test_no_time_limit_is_above_what_is_left():
    limits = Timeouts(5, 120, 60, 600).within(7.0)

    assert (limits.connect_s, limits.first_byte_s, limits.between_bytes_s, limits.total_s) == (5, 7.0, 7.0, 7.0)


# -- streams ----------------------------------------------------------------------------------------------------------


def end_stream(hall):
    for piece in (chunk("Hi."), DONE):
        hall.flight.sink.on_body(piece)
    settle(hall)


@pytest.mark.parametrize("trouble", ["status", "connection", "html", "first event"])
def test_a_stream_that_fails_before_its_first_piece_is_tried_again_unseen(patient, trouble):
    answered = patient.chat(stream=True)
    match trouble:
        case "status":
            patient.answer(ERROR, 503)
        case "connection":
            fail(patient, FailureKind.BROKEN)
        case "html":
            patient.flight.sink.on_head(200, {b"content-type": b"text/html"})
            patient.flight.sink.on_end()
        case _:
            patient.flight.sink.on_head(200, EVENTS)
            fail(patient, FailureKind.BROKEN)
    settle(patient)
    assert not answered.status
    patient.flight.sink.on_head(200, EVENTS)
    end_stream(patient)

    assert (answered.status, patient.settled.attempts, patient.settled.outcome) == (200, 2, "answered")
    assert answered.body.count(b"Hi.") == 1


def test_a_stream_goes_on_with_the_next_model_as_long_as_nothing_has_gone_out(hall):
    hall.make()
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": [], "stream": True})
    fail(hall, FailureKind.TIMEOUT)
    hall.flight.sink.on_head(200, EVENTS)
    end_stream(hall)

    assert answered.headers["x-headworks-fallback"] == "upstream_timeout"
    assert hall.settled.opened.provider == "only-chat"


def test_a_stream_that_breaks_after_its_first_piece_ends_honestly_and_is_not_begun_again(patient):
    answered = patient.chat(stream=True)
    patient.flight.sink.on_head(200, EVENTS)
    patient.flight.sink.on_body(chunk("Hi."))
    fail(patient, FailureKind.BROKEN)

    assert len(patient.upstream.flights) == 1
    assert b"upstream_broken" in answered.body
    assert patient.table.resolve("nano").station.health.view(0).failures == 1


def test_a_stream_that_fails_every_time_is_told_in_the_providers_words(patient):
    answered = patient.chat(stream=True)
    for _ in range(3):
        patient.answer(ERROR, 503)
        settle(patient)

    assert (answered.status, answered.error["message"]) == (503, "No.")
    assert answered.headers["x-should-retry"] == "false"
    assert patient.settled.attempts == 3


def test_a_stop_while_a_stream_waits_to_be_tried_again_is_heard(patient):
    answered = patient.chat(stream=True)
    patient.answer(ERROR, 503, retry_after="5")
    settle(patient)
    answered.running.stop()
    settle(patient)

    assert (answered.status, answered.error["code"]) == (503, "gateway_stopping")


# -- workloads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_workload_asks_its_target_again_before_it_goes_on_with_the_next(hall, work, is_streamed):
    work.make("fallback: [large]\n", retries=1)
    answered = work.chat(stream=is_streamed)
    for status in (503, 503):
        work.answer(ERROR, status)
    assert [flight.body["model"] for flight in hall.upstream.flights] == ["small", "small", "large"]
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(chunk('{"team": "red"}'))
        hall.flight.sink.on_body(DONE)
        work.settle()
    else:
        work.answer(team("red"))

    assert answered.status == 200
    assert hall.settled.attempts == 3
    assert hall.settled.course.count("upstream_overloaded") == 2
    assert answered.headers["x-headworks-fallback"] == "upstream_overloaded"


def test_an_open_breaker_sends_a_workload_on_at_once(hall, work):
    work.make("fallback: [large]\n")
    for _ in range(5):
        work.chat()
        work.fail(FailureKind.UNREACHABLE)
        work.answer(team("red"))
    before = len(hall.upstream.flights)
    answered = work.chat()
    assert [flight.body["model"] for flight in hall.upstream.flights[before:]] == ["large"]
    work.answer(team("red"))
    assert answered.headers["x-headworks-fallback"] == "circuit_open"


# -- what is held back for a while is not waited for where another model is well ------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_call_whose_failure_opens_the_breaker_goes_to_the_next_model_and_does_not_wait_for_it_to_close(
    hall, is_streamed
):
    """Its deadline would allow that: it is ten minutes, and the breaker opens for seconds, after failed probes for a
    minute."""
    hall.make(retries=2)
    health = hall.table.resolve("smart").station.health
    for _ in range(FAILURES_IN_A_ROW - 1):
        health.begin(perf_counter())
        health.failed(perf_counter(), FailureKind.ERROR)
    body = {"model": "smart", "messages": [{"role": "user", "content": "x"}], "stream": is_streamed}
    answered = hall.ask("/v1/chat/completions", body)
    hall.answer(ERROR, 503)
    settle(hall)

    assert [model for model, _ in sent(hall)] == ["m", "c"]
    answered.running.cancel()
    settle(hall)


def test_a_call_that_a_rate_limit_puts_off_for_long_goes_to_the_next_model(hall):
    hall.make(retries=2)
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": [{"role": "user", "content": "x"}]})
    hall.answer(ERROR, 429, retry_after="20")
    settle(hall)

    assert [model for model, _ in sent(hall)] == ["m", "c"]
    answered.running.cancel()
    settle(hall)


def test_a_workload_does_not_wait_for_a_breaker_either(hall, work):
    work.make("fallback: [large]\nlatency: {total_s: 500}\n", retries=2)
    health = hall.gateway._works._works["triage"].chain[0].station.health
    for _ in range(FAILURES_IN_A_ROW - 1):
        health.begin(perf_counter())
        health.failed(perf_counter(), FailureKind.ERROR)
    work.chat()
    work.answer(ERROR, 503)

    assert [model for model, _ in sent(hall)] == ["small", "large"]
    work.answer(team("red"))


@pytest.mark.parametrize("asked_s", [0.0, 1.0])
def test_who_is_told_when_to_come_back_comes_a_little_later_and_not_with_all_others(hall, asked_s):
    """Also where it is told "at once" (`retry-after: 0`)."""
    hall.make(retries=2)
    policy = Policy(2, lambda most: most, hall.table.resolve)
    failure = Failure(FailureKind.RATE_LIMITED, "busy", 429, asked_s)
    now_s = perf_counter()
    pause_s = policy.pause_s(failure, hall.table.resolve("nano"), 0, now_s, now_s + 100.0)

    assert pause_s == pytest.approx(asked_s + SPREAD_S)
