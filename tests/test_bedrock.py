"""Calls over AWS Bedrock, as a dialogue of caller, gateway and upstream."""

import json

import pytest

from headworks.simulator.event_frames import event, exception

USAGE = {
    "inputTokens": 5,
    "outputTokens": 3,
    "totalTokens": 12,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 0,
}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello there."}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "serviceTier": {"type": "default"},
}
EVENTS = b"application/vnd.amazon.eventstream"
STREAM = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": " there."}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": USAGE}),
]


def ask(hall, **fields):
    asked = {"model": "aws/claude-at-aws", "messages": [{"role": "user", "content": "x"}]} | fields
    return hall.ask("/v1/chat/completions", asked)


def begin_stream(hall, *events, content_type=EVENTS):
    answered = ask(hall, stream=True)
    hall.flight.sink.on_head(200, {b"content-type": content_type})
    for name, fields in events:
        write = exception if name.endswith("Exception") else event
        hall.flight.sink.on_body(write(name, json.dumps(fields).encode()))
    hall.turn()
    return answered


def refuse(hall, answered, status, name, message):
    hall.answer({"message": message}, status=status, x_amzn_errortype=name, x_amzn_requestid="req-9")
    hall.turn()
    return answered


def test_a_call_goes_to_the_models_own_path_and_says_nothing_of_it_in_its_body(hall):
    answered = ask(hall)
    assert hall.flight.request.line == b"POST /model/claude-at-aws/converse HTTP/1.1\r\n"
    assert hall.flight.body == {"messages": [{"role": "user", "content": [{"text": "x"}]}]}
    assert b"authorization: Bearer bedrock-key\r\n" in hall.flight.request.headers

    hall.answer(ANSWER, x_amzn_requestid="req-1")
    told = json.loads(answered.body)
    assert told["choices"][0]["message"]["content"] == "Hello there."
    assert told["model"] == "claude-at-aws"
    settled = hall.settled
    assert (settled.outcome, settled.served_model, settled.usage_source) == ("answered", "claude-at-aws", "provider")
    assert (settled.input_tokens, settled.cached_tokens, settled.output_tokens) == (9, 4, 3)
    assert settled.upstream_request_id == "req-1"
    assert settled.service_tier == "default"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1beta/models/aws/claude-at-aws:generateContent"])
def test_it_is_reached_by_every_api(hall, path):
    bodies = {
        "/v1/responses": {"model": "aws/claude-at-aws", "input": "x"},
        "/v1/messages": {"model": "aws/claude-at-aws", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
    }
    answered = hall.ask(path, bodies.get(path, {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}))
    assert hall.flight.body["messages"] == [{"role": "user", "content": [{"text": "x"}]}]
    hall.answer(ANSWER)
    assert "Hello there." in answered.body.decode()


def test_a_stream_is_translated_event_by_event(hall):
    answered = begin_stream(hall, *STREAM[:3])
    assert hall.flight.request.line == b"POST /model/claude-at-aws/converse-stream HTTP/1.1\r\n"
    assert b" there." in answered.body
    assert not answered.is_over
    for name, fields in STREAM[3:]:
        hall.flight.sink.on_body(event(name, json.dumps(fields).encode()))
    hall.turn()
    assert answered.is_over
    assert answered.body.endswith(b"data: [DONE]\n\n")
    assert (hall.settled.input_tokens, hall.settled.output_tokens) == (9, 3)


def test_a_stream_that_ends_without_its_usage_is_broken(hall):
    answered = begin_stream(hall, *STREAM[:5])
    hall.flight.sink.on_end()
    hall.turn()
    assert b"upstream_broken" in answered.body
    assert hall.settled.outcome == "failed"


def test_an_exception_before_any_content_is_an_error_and_no_stream(hall):
    answered = begin_stream(hall, STREAM[0], ("serviceUnavailableException", {"message": "m"}))
    assert (answered.status, answered.error["code"]) == (503, "upstream_overloaded")


def test_an_exception_in_the_middle_ends_the_stream_with_an_error(hall):
    answered = begin_stream(hall, *STREAM[:2], ("throttlingException", {"message": "Slow down."}))
    assert b"Hello" in answered.body
    assert b'"error"' in answered.body
    assert hall.settled.outcome == "failed"


def test_bytes_that_are_damaged_are_not_passed_on(hall):
    answered = ask(hall, stream=True)
    hall.flight.sink.on_head(200, {b"content-type": EVENTS})
    hall.flight.sink.on_body(event("messageStart", b"{}")[:-1] + b"x")
    hall.turn()
    assert (answered.status, answered.error["code"]) == (502, "upstream_invalid")


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_with_a_request_is_told_in_the_providers_own_words(hall, stream):
    answered = refuse(hall, ask(hall, stream=stream), 400, "ValidationException:http://x/", "messages.0 is wrong.")
    assert answered.status == 400
    assert answered.error["message"] == "messages.0 is wrong."
    assert answered.error["code"] == "invalid_request_error"
    assert (hall.settled.error_code, hall.settled.upstream_request_id) == ("upstream_rejected", "req-9")


@pytest.mark.parametrize(
    ("status", "name", "message", "code"),
    [
        (400, "ValidationException", "Input is too long for requested model.", "context_length_exceeded"),
        (429, "ThrottlingException", "Too many requests.", "upstream_rate_limited"),
        (429, "ThrottlingException", "Too many tokens per day.", "upstream_quota_exhausted"),
        (503, "ServiceUnavailableException", "m", "upstream_overloaded"),
        (408, "ModelTimeoutException", "m", "upstream_timeout"),
        (404, "ResourceNotFoundException", "m", "upstream_model_gone"),
    ],
)
def test_every_refusal_is_recorded_by_its_kind(hall, status, name, message, code):
    answered = refuse(hall, ask(hall), status, name, message)
    assert answered.status == status
    assert answered.error["message"]
    assert hall.settled.error_code == code


def test_a_wrong_key_of_ours_is_not_the_callers(hall):
    message = "Signature expired: 20261126T010203Z is now earlier than 20261126T020203Z (x - 5 min.)"
    answered = refuse(hall, ask(hall), 403, "InvalidSignatureException", message)
    assert (answered.status, answered.error["code"]) == (502, "upstream_unauthorized")
    assert "clock" in answered.error["message"]


def test_what_it_cannot_honour_is_refused_before_it_is_asked(hall):
    answered = ask(hall, seed=3)
    assert (answered.status, answered.error["code"], answered.error["param"]) == (400, "unsupported_parameter", "seed")
    assert not hall.upstream.flights
