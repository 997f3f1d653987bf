"""Streams of which nothing comes for a while: their head goes out, and who answers stays open until the first piece."""

import asyncio
import json

import pytest

from headworks.calls import Failure, FailureKind
from headworks.stream_heart import HEARTBEAT

EVENTS = {b"content-type": b"text/event-stream"}
DOWN = Failure(FailureKind.ERROR, "stub failed")
END = b"data: [DONE]\n\n"


def piece(text):
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026", "choices": choices}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@pytest.fixture
def until(hall):
    def wait(is_so):
        async def turn():
            while not is_so():
                await asyncio.sleep(0.002)

        hall.loop.run_until_complete(asyncio.wait_for(turn(), 20))

    return wait


def ask(hall, dialect, model):
    if dialect == "chat":
        return hall.chat(model=model, stream=True)
    if dialect == "responses":
        return hall.ask("/v1/responses", {"model": model, "input": "x", "stream": True})
    if dialect == "messages":
        message = {"role": "user", "content": "x"}
        return hall.ask("/v1/messages", {"model": model, "messages": [message], "max_tokens": 9, "stream": True})
    contents = [{"parts": [{"text": "x"}]}]
    return hall.ask(f"/v1beta/models/{model}:streamGenerateContent", {"contents": contents}, query="alt=sse")


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages", "gemini"])
def test_a_silent_stream_gets_its_head_and_what_fails_then_is_said_in_the_words_of_the_dialect(hall, until, dialect):
    hall.make(heartbeat_s=0.01)
    answered = ask(hall, dialect, "google/gemini-x" if dialect == "gemini" else "nano")
    beat = b"\n" if dialect == "gemini" else HEARTBEAT
    until(lambda: answered.body.count(beat) >= 2)

    assert (answered.status, answered.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answered.headers["x-headworks-call-id"].startswith("call_")
    assert ("request-id" in answered.headers) is (dialect == "messages")
    hall.loop.call_soon(hall.flight.sink.on_failure, DOWN)
    until(lambda: answered.is_over)

    assert not answered.is_aborted
    error = {
        "chat": b'data: {"error"',
        "responses": b"event: error",
        "messages": b"event: error",
        "gemini": b'{"error"',
    }
    assert error[dialect] in answered.body
    assert (hall.settled.outcome, hall.settled.error_code, hall.settled.status) == ("failed", "upstream_error", 200)


def test_a_stream_whose_head_is_out_still_falls_back_unseen(hall, until):
    hall.make(heartbeat_s=0.01)
    answered = hall.chat(model="smart", stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(b": PROCESSING\n\n")  # nothing that a model has said
    until(lambda: answered.status)
    hall.loop.call_soon(hall.flight.sink.on_failure, DOWN)
    until(lambda: len(hall.upstream.flights) == 2)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(piece("Hello") + END)
    until(lambda: answered.is_over)

    body = answered.body.replace(HEARTBEAT, b"")
    assert body.startswith(b": x-headworks-"), "the head, which would have said it, is out"
    assert b": x-headworks-fallback: upstream_error\n" in body
    assert b"error" not in body.replace(b"upstream_error", b"")
    assert (hall.settled.outcome, hall.settled.attempts) == ("answered", 2)


def test_a_stream_that_comes_in_time_is_as_if_nobody_had_watched(hall, until):
    hall.make(heartbeat_s=600)
    answered = hall.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(piece("Hello") + END)
    until(lambda: answered.is_over)

    assert answered.body == piece("Hello") + END


def test_the_refusal_of_a_provider_comes_as_an_event_where_the_head_is_out(hall, until):
    hall.make(heartbeat_s=0.01)
    answered = hall.chat(stream=True)
    until(lambda: answered.status)
    error = {"error": {"message": "No.", "type": "x", "code": "unsupported_value", "param": None}}
    hall.loop.call_soon(hall.flight.answer, error, 400)
    until(lambda: answered.is_over)

    assert b"upstream_rejected" in answered.body


@pytest.mark.parametrize("is_last_good", [True, False])
def test_a_workload_goes_along_its_chain_behind_a_head_that_is_out(hall, work, until, is_last_good):
    work.make("fallback: [large, deterministic]\n", fallback={"team": "blue"}, heartbeat_s=0.01)
    answered = work.chat(stream=True)
    until(lambda: answered.status)
    assert answered.headers["x-headworks-workload"] == "triage"
    hall.loop.call_soon(hall.flight.sink.on_failure, DOWN)
    until(lambda: len(hall.upstream.flights) == 2)
    if is_last_good:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(piece('{"team":"red"}') + END)
    else:
        hall.loop.call_soon(hall.flight.sink.on_failure, DOWN)
    until(lambda: answered.is_over)

    told = b": x-headworks-fallback: upstream_error\n" if is_last_good else b": x-headworks-degraded: upstream_error, "
    assert told in answered.body
    assert answered.body.endswith(END)
    assert (b"red" in answered.body, b"blue" in answered.body) == (is_last_good, not is_last_good)
    assert hall.settled.outcome == "answered"


def test_a_workload_with_nobody_left_says_so_behind_its_head(hall, work, until):
    work.make("fallback: [large]\n", heartbeat_s=0.01)
    answered = work.respond(stream=True)
    until(lambda: answered.status)
    for count in (1, 2):
        until(lambda count=count: len(hall.upstream.flights) == count)
        hall.loop.call_soon(hall.flight.sink.on_failure, DOWN)
        hall.turn(3)
    until(lambda: answered.is_over)

    assert b"event: error" in answered.body
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", "upstream_error")


def test_a_caller_who_goes_from_a_silent_stream_is_told_nothing_more(hall, until):
    hall.make(heartbeat_s=0.01)
    answered = hall.chat(stream=True)
    until(lambda: answered.status)
    answered.running.cancel()
    hall.turn(3)

    assert hall.settled.outcome == "cancelled"
