"""Streamed calls, as a dialogue of caller, gateway and upstream."""

import json

import pytest

from headworks.calls import Failure, FailureKind

EVENTS = {b"content-type": b"text/event-stream", b"x-request-id": b"req_1"}


def chunk(text=None, finish_reason=None, usage=None):
    choices = [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish_reason}]
    value = {"id": "c1", "object": "chat.completion.chunk", "model": "m-2026", "choices": [] if usage else choices}
    return b"data: " + json.dumps(value | ({"usage": usage} if usage else {})).encode() + b"\n\n"


USAGE = chunk(usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12})
DONE = b"data: [DONE]\n\n"
DELTA = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": "x"}


@pytest.fixture
def stream(hall):
    """A streamed chat call whose upstream has answered with its head."""

    def start(**fields):
        answered = hall.chat(stream=True, **fields)
        hall.flight.sink.on_head(200, EVENTS)
        return answered, hall.flight.sink.on_body

    return start


def test_pieces_go_on_as_they_come_and_the_last_waits_for_the_record(hall, stream):
    answered, come = stream()
    assert not answered.status
    come(chunk("Hello"))
    hall.turn()
    assert answered.body == chunk("Hello")
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert answered.headers["x-request-id"] == "req_1"
    assert answered.headers["cache-control"] == "no-cache, no-transform"
    come(chunk(" there."))
    assert answered.body.endswith(chunk(" there."))
    recorded = []
    end = answered.end
    answered.end = lambda data=b"": (recorded.extend(hall.entries()), end(data))
    come(chunk(finish_reason="stop") + USAGE + DONE)

    assert answered.is_over
    assert [type(entry).__name__ for entry in recorded] == ["Opened", "Settled"]
    assert answered.body.endswith(DONE)
    settled = hall.settled
    assert (settled.outcome, settled.finish_reason, settled.served_model) == ("answered", "stop", "m-2026")
    assert (settled.input_tokens, settled.output_tokens, settled.usage_source) == (9, 3, "provider")
    assert settled.first_token_us > 0
    assert settled.response_bytes == len(answered.body)


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (200, {b"content-type": b"application/json"}, b'{"object":"chat.completion"}', 502),
        (401, {b"content-type": b"application/json"}, b'{"error":{"message":"no"}}', 502),
        (302, {b"location": b"/"}, b"", 502),
        (503, {b"content-type": b"text/html"}, b"<html>", 503),
        (200, EVENTS, b"data: {no\n\n", 502),
    ],
)
def test_an_answer_without_content_has_no_first_token(hall, status, headers, body, told):
    answered = hall.chat(stream=True)
    sink = hall.flight.sink
    sink.on_head(status, headers)
    sink.on_body(body)
    sink.on_end()
    hall.turn()

    assert answered.status == told
    assert hall.settled.first_token_us == 0


def test_usage_is_asked_for_and_shown_only_to_who_wants_it(hall, stream):
    answered, come = stream()
    assert hall.flight.body["stream_options"] == {"include_usage": True}
    come(chunk("x") + USAGE + DONE)
    hall.turn()
    assert b"usage" not in answered.body

    answered, come = stream(stream_options={"include_usage": True})
    come(chunk("x") + USAGE + DONE)
    hall.turn()
    assert USAGE in answered.body


def test_a_stream_without_usage_is_counted_and_marked(hall, stream):
    _, come = stream()
    come(chunk("Hello there, you.") + DONE)
    hall.turn()

    assert hall.settled.usage_source == "estimated"
    assert hall.settled.output_tokens > 2


def test_a_stream_that_breaks_ends_with_an_error_event_and_what_was_said_is_counted(hall, stream):
    answered, come = stream()
    come(chunk("Hello there, you."))
    hall.turn()
    hall.flight.sink.on_failure(Failure(FailureKind.BROKEN, "stub closed the connection"))
    hall.turn()

    assert answered.is_over
    last = json.loads(answered.body.split(b"data: ")[-1])
    assert last["error"]["code"] == "upstream_broken"
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", "upstream_broken")
    assert hall.settled.usage_source == "estimated"


def numbers_of(body):
    return [json.loads(data.split(b"\n")[0])["sequence_number"] for data in body.split(b"data: ")[1:]]


def test_the_error_of_a_broken_response_goes_on_with_its_numbers(hall):
    answered = hall.ask("/v1/responses", {"model": "nano", "input": "x", "stream": True})
    hall.flight.sink.on_head(200, EVENTS)
    for number, event in enumerate([{"type": "response.created", "response": {"id": "resp_1"}}, *[DELTA] * 3]):
        data = json.dumps({"type": event["type"], **event, "sequence_number": number}, separators=(",", ":"))
        hall.flight.sink.on_body(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data.encode()))
        hall.turn()
    hall.flight.sink.on_failure(Failure(FailureKind.BROKEN, "stub closed the connection"))
    hall.turn()

    assert numbers_of(answered.body) == [0, 1, 2, 3, 4]
    assert b'"code":"upstream_broken"' in answered.body


def test_the_error_of_a_broken_bridged_response_goes_on_with_its_numbers(hall):
    answered = hall.ask("/v1/responses", {"model": "bridged", "input": "x", "stream": True})
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Hello"))
    hall.turn()
    hall.flight.sink.on_failure(Failure(FailureKind.BROKEN, "stub closed the connection"))
    hall.turn()

    numbers = numbers_of(answered.body)
    assert numbers == list(range(len(numbers)))
    assert b'"code":"upstream_broken"' in answered.body


def test_a_stream_that_ends_without_its_end_is_broken(hall, stream):
    answered, come = stream()
    come(chunk("Hello"))
    hall.turn()
    hall.flight.sink.on_end()
    hall.turn()

    assert b"upstream_broken" in answered.body
    assert hall.settled.error_code == "upstream_broken"


def test_an_attempt_that_fails_before_its_first_piece_gets_a_status(hall):
    answered = hall.chat(stream=True)
    hall.flight.sink.on_failure(Failure(FailureKind.TIMEOUT, "stub did not begin to answer"))
    hall.turn()

    assert (answered.status, answered.error["code"]) == (504, "upstream_timeout")


def test_a_stream_that_the_provider_refuses_is_refused_in_its_words(hall):
    answered = hall.chat(stream=True)
    hall.answer({"error": {"message": "No.", "code": "context_length_exceeded", "type": "x", "param": None}}, 400)

    assert (answered.status, answered.error["code"]) == (400, "context_length_exceeded")
    assert hall.settled.outcome == "failed"


def test_something_else_than_a_stream_is_not_passed_on(hall):
    answered = hall.chat(stream=True)
    hall.answer({"id": "not a stream"})

    assert (answered.status, answered.error["code"]) == (502, "upstream_invalid")


def test_garbage_in_a_stream_ends_it_with_an_error(hall, stream):
    answered, come = stream()
    come(chunk("Hello"))
    hall.turn()
    come(b"data: {nothing}\n\n")
    hall.turn()

    assert b"upstream_invalid" in answered.body
    assert hall.flight.is_cancelled


def test_a_caller_who_goes_cancels_the_stream_and_what_was_said_is_counted(hall, stream):
    answered, come = stream()
    come(chunk("Hello there, you."))
    hall.turn()
    answered.running.cancel()
    hall.turn()

    assert hall.flight.is_cancelled
    assert (hall.settled.outcome, hall.settled.usage_source) == ("cancelled", "estimated")
    assert hall.settled.output_tokens > 2


def test_a_caller_who_reads_slowly_pauses_the_upstream(hall, stream):
    answered, come = stream()
    come(chunk("x"))
    hall.turn()
    pause, resume = answered.flow
    pause()
    assert hall.flight.is_paused
    resume()
    assert not hall.flight.is_paused
    come(DONE)
    hall.turn()


def test_a_stream_that_is_over_at_once_still_settles_first(hall, stream):
    answered, come = stream()
    recorded = []
    begin = answered.begin
    answered.begin = lambda *arguments: (recorded.extend(hall.entries()), begin(*arguments))
    come(chunk("x") + DONE)

    assert [type(entry).__name__ for entry in recorded] == ["Opened", "Settled"]
    assert answered.body == chunk("x") + DONE


def test_raw_answers_pass_as_they_come_and_break_as_they_break(hall):
    answered = hall.ask("/v1/audio/speech", {"model": "nano", "input": "x", "voice": "alloy"})
    sink = hall.flight.sink
    sink.on_head(200, {b"content-type": b"audio/mpeg", b"content-disposition": b"attachment"})
    sink.on_body(b"\x00\x01")
    hall.turn()
    assert (answered.headers["content-type"], answered.headers["content-disposition"]) == ("audio/mpeg", "attachment")
    sink.on_failure(Failure(FailureKind.BROKEN, "stub closed"))
    hall.turn()

    assert answered.body == b"\x00\x01"
    assert answered.is_aborted
    assert hall.settled.error_code == "upstream_broken"


def test_a_raw_answer_ends_where_it_ends(hall):
    answered = hall.ask("/v1/audio/speech", {"model": "nano", "input": "x", "voice": "alloy"})
    sink = hall.flight.sink
    sink.on_head(200, {b"content-type": b"audio/mpeg"})
    sink.on_body(b"\x00\x01")
    hall.turn()
    sink.on_body(b"\x02")
    sink.on_end()
    hall.turn()

    assert answered.body == b"\x00\x01\x02"
    assert answered.is_over
    assert not answered.is_aborted
    assert hall.settled.outcome == "answered"


def test_a_responses_stream_is_relayed_with_its_usage(hall):
    answered = hall.ask("/v1/responses", {"model": "nano", "input": "x", "stream": True})
    usage = {"input_tokens": 4, "output_tokens": 2, "total_tokens": 6}
    response = {"id": "resp_1", "model": "m-2026", "status": "completed", "output": [], "usage": usage}
    created = {"type": "response.created", "sequence_number": 0, "response": response | {"status": "in_progress"}}
    completed = {"type": "response.completed", "sequence_number": 1, "response": response}
    data = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in (created, completed))
    sink = hall.flight.sink
    sink.on_head(200, EVENTS)
    sink.on_body(data)
    hall.turn()

    assert answered.body == data
    assert (hall.settled.finish_reason, hall.settled.input_tokens) == ("completed", 4)
    assert hall.settled.response_id == "resp_1"


def test_bodies_of_streams_are_recorded_where_it_is_configured(hall, stream):
    hall.make(keeps_bodies=True)
    answered, come = stream()
    come(chunk("Hello"))
    hall.turn()
    come(chunk(" you") + DONE)
    hall.turn()

    assert hall.settled.response_body == answered.body
    assert json.loads(hall.settled.request_body)["stream"] is True


def test_a_stream_that_must_end_before_its_time_says_so_in_its_dialect_and_on_record(hall, stream):
    answered, come = stream()
    come(chunk("Hello"))
    answered.running.stop()

    assert answered.is_over
    assert b'"code":"gateway_stopping"' in answered.body
    assert hall.flight.is_cancelled
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", "gateway_stopping")


def test_a_stream_that_has_not_begun_is_refused_when_it_must_end(hall, stream):
    answered, _ = stream()
    answered.running.stop()

    assert (answered.status, answered.error["code"]) == (503, "gateway_stopping")
    assert hall.settled.outcome == "failed"


def test_a_model_that_the_upstream_does_not_know_is_refused_with_the_nearest_names(hall):
    error = {"error": {"message": "No.", "type": "invalid_request_error", "code": "model_not_found", "param": None}}
    hall.make(takes_any_model=True)
    answered = hall.ask("/v1/chat/completions", {"model": "open/nanno", "messages": [], "stream": True})
    hall.answer(error, 404)

    assert (answered.status, answered.error["code"], answered.error["param"]) == (404, "model_not_found", "model")
    assert "Did you mean" in answered.error["message"]


def test_a_stream_that_breaks_behind_its_opening_is_refused_with_a_status(hall, stream):
    answered, come = stream()
    come(chunk())
    assert not answered.status
    hall.flight.sink.on_failure(Failure(FailureKind.BROKEN, "the connection was lost"))
    hall.turn()

    assert (answered.status, answered.error["code"]) == (502, "upstream_broken")


def test_a_stream_that_is_an_error_and_nothing_else_is_refused_with_a_status(hall, stream):
    answered, come = stream()
    error = {"error": {"message": "Busy.", "type": "server_error", "code": "server_error", "param": None}}
    come(b"data: " + json.dumps(error).encode() + b"\n\n")
    hall.turn()

    assert (answered.status, answered.error["code"]) == (502, "upstream_error")
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", "upstream_error")


def test_an_error_that_blames_the_request_passes_as_the_provider_says_it(hall, stream):
    answered, come = stream()
    error = {"error": {"message": "No.", "type": "x", "code": "invalid_prompt", "param": None}}
    come(b"data: " + json.dumps(error).encode() + b"\n\n")

    assert (answered.status, json.loads(answered.body[6:])) == (200, error)
