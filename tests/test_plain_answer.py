"""Plain calls of a model for which configuration has an answer when nobody is able to give one."""

import json

import msgspec
import pytest

from headworks.calls import Failure, FailureKind, Limits

DOWN = Failure(FailureKind.UNREACHABLE, "stub failed")
TEXT = 'We will answer "tomorrow".'
DIALECTS = pytest.mark.parametrize("dialect", ["chat", "responses", "messages", "gemini", "completions"])


@pytest.fixture
def ask(hall):
    hall.make(answers={"nano": TEXT, "smart": TEXT, "google/gemini-x": TEXT})

    def do(dialect, *, stream=False, model="nano", **fields):
        turn = {"role": "user", "content": "x"}
        if dialect == "gemini":
            what, query = ("streamGenerateContent", "alt=sse") if stream else ("generateContent", "")
            return hall.ask(
                f"/v1beta/models/google/gemini-x:{what}",
                {"contents": [{"role": "user", "parts": [{"text": "x"}]}]} | fields,
                query=query,
            )
        path, body = {
            "chat": ("/v1/chat/completions", {"messages": [turn]}),
            "responses": ("/v1/responses", {"input": "x", "metadata": {"mine": "1"}}),
            "messages": ("/v1/messages", {"messages": [turn], "max_tokens": 9}),
            "completions": ("/v1/completions", {"prompt": "x"}),
        }[dialect]
        return hall.ask(path, body | {"model": model, "stream": stream} | fields)

    return do


def values(answered):
    lines = [line[6:] for line in answered.body.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines] if lines else [json.loads(answered.body)]


@DIALECTS
@pytest.mark.parametrize("stream", [False, True])
def test_the_text_is_answered_and_says_so_in_head_body_and_record(hall, ask, dialect, stream):
    answered = ask(dialect, stream=stream)
    hall.flight.sink.on_failure(DOWN)
    hall.turn()

    assert (answered.status, answered.is_over) == (200, True)
    assert answered.headers["x-headworks-degraded"] == "upstream_unreachable"
    assert "x-headworks-provider" not in answered.headers
    assert json.dumps(TEXT)[1:-1].encode() in answered.body
    first = values(answered)[0]
    holder = first.get("message", first.get("response", first)) if stream else first
    assert holder["metadata"]["headworks.degraded"] == "upstream_unreachable"
    assert holder["metadata"].get("mine") == ("1" if dialect == "responses" else None)
    settled = hall.settled
    assert (settled.outcome, settled.finish_reason, settled.served_model) == (
        "answered",
        "degraded",
        "headworks/deterministic",
    )
    assert settled.cost_pico == 0


@pytest.mark.parametrize("stream", [False, True])
def test_it_is_what_comes_behind_the_last_fallback(hall, ask, stream):
    answered = ask("chat", model="smart", stream=stream)
    for status in (503, 529, 500):
        hall.answer({"error": {"message": "Busy.", "type": "overloaded_error"}}, status)

    assert answered.headers["x-headworks-degraded"] == "upstream_overloaded, upstream_overloaded, upstream_overloaded"
    assert hall.settled.attempts == 3


@pytest.mark.parametrize("stream", [False, True])
def test_who_wants_the_models_own_answer_or_none_gets_the_error(hall, ask, stream):
    body = {"model": "nano", "messages": [], "stream": stream}
    answered = hall.ask("/v1/chat/completions", body, x_headworks_fallback="off")
    hall.flight.sink.on_failure(DOWN)
    hall.turn()

    assert answered.status == 502
    assert "x-headworks-degraded" not in answered.headers


@pytest.mark.parametrize("stream", [False, True])
def test_it_is_given_where_the_models_limit_is_reached(hall, ask, stream):
    limits = hall.limiter.target_set("x", Limits(requests_per_minute=3))
    msgspec.structs.force_setattr(hall.table.resolve("nano").station, "limits", limits)
    body = {"model": "nano", "messages": [], "stream": stream}
    asked = []
    for number in range(1, 5):
        asked.append(hall.ask("/v1/chat/completions", body, x_headworks_deadline_ms="1000" if number == 4 else "60000"))
        for _ in range(500):
            if len(hall.upstream.flights) == number or asked[-1].is_over:
                break
            hall.rest(0.02)

    assert len(hall.upstream.flights) == 3
    assert asked[3].status == 200
    assert asked[3].headers["x-headworks-degraded"] == "rate_limit_exceeded"
    for one in asked[:3]:
        one.running.cancel()
    hall.turn(4)


def test_an_answer_that_is_none_has_it_given_too(hall, ask):
    answered = ask("chat")
    hall.answer(b"<html>")

    assert answered.headers["x-headworks-degraded"] == "upstream_invalid"


def test_a_request_that_is_at_fault_gets_its_error(hall, ask):
    answered = ask("chat")
    hall.answer({"error": {"message": "No.", "type": "invalid_request_error", "code": "x", "param": None}}, 400)

    assert answered.status == 400


@pytest.mark.parametrize("stream", [False, True])
def test_who_asks_for_json_gets_the_error(hall, ask, stream):
    answered = ask("chat", stream=stream, response_format={"type": "json_object"})
    hall.flight.sink.on_failure(DOWN)
    hall.turn()

    assert answered.error["code"] == "upstream_unreachable"


def test_a_model_without_an_answer_gets_the_error(hall, ask):
    answered = ask("chat", model="bridged")
    hall.flight.sink.on_failure(DOWN)
    hall.turn()

    assert answered.status == 502


def test_a_target_that_rests_has_it_given_at_once(hall, ask):
    for _ in range(60):
        answered = ask("chat")
        if answered.is_over:
            break
        hall.flight.sink.on_failure(DOWN)
        hall.turn()

    assert answered.headers["x-headworks-degraded"] == "circuit_open"
