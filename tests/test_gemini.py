"""Calls over Google's Gemini, as a dialogue of caller, gateway and upstream."""

import json

import pytest

from headworks.calls import Endpoint
from headworks.dialects import RequestHead, read_fields
from headworks.stations import spoken_by

USAGE = {"promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}
ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello there."}]}, "finishReason": "STOP"}],
    "usageMetadata": USAGE,
    "modelVersion": "gemini-x-2026",
    "responseId": "r-1",
}
LIMITED = {
    "error": {
        "code": 429,
        "message": "Slow down.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "6.2s"}],
    }
}


def ask(hall, **fields):
    asked = {"model": "google/gemini-x", "messages": [{"role": "user", "content": "x"}]} | fields
    return hall.ask("/v1/chat/completions", asked)


def begin_stream(hall, *chunks):
    answered = ask(hall, stream=True)
    hall.flight.sink.on_head(200, {b"content-type": b"text/event-stream"})
    hall.flight.sink.on_body(b"".join(b"data: %b\r\n\r\n" % json.dumps(one).encode() for one in chunks))
    hall.turn()
    return answered


def test_a_call_goes_to_the_models_own_path_and_says_nothing_of_it_in_its_body(hall):
    answered = ask(hall)
    assert hall.flight.request.line == b"POST /v1beta/models/gemini-x:generateContent HTTP/1.1\r\n"
    assert hall.flight.body == {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    assert b"x-goog-api-key: AIza\r\n" in hall.flight.request.headers

    hall.answer(ANSWER)
    assert json.loads(answered.body)["choices"][0]["message"]["content"] == "Hello there."
    settled = hall.settled
    assert (settled.outcome, settled.served_model, settled.usage_source) == ("answered", "gemini-x-2026", "provider")
    assert (settled.input_tokens, settled.cached_tokens) == (9, 4)
    assert (settled.output_tokens, settled.reasoning_tokens) == (5, 2)


def test_a_streams_path_asks_for_events(hall):
    answered = begin_stream(hall, ANSWER)
    line = b"POST /v1beta/models/gemini-x:streamGenerateContent?alt=sse HTTP/1.1\r\n"
    assert hall.flight.request.line == line
    assert answered.is_over
    assert answered.body.endswith(b"data: [DONE]\n\n")
    assert hall.settled.output_tokens == 5


@pytest.mark.parametrize("stream", [False, True])
def test_how_long_google_says_to_wait_is_told_in_a_header(hall, stream):
    answered = ask(hall, stream=stream)
    hall.answer(LIMITED, status=429)
    hall.turn()
    assert (answered.status, answered.headers["retry-after"]) == (429, "7")
    assert answered.error["code"] == "rate_limit_exceeded"
    assert hall.settled.error_code == "upstream_rate_limited"


def test_a_wait_that_the_upstream_told_in_a_header_stays(hall):
    answered = ask(hall)
    hall.answer(LIMITED, status=429, retry_after="3")
    assert answered.headers["retry-after"] == "3"


def test_a_wrong_key_of_ours_is_not_the_callers(hall):
    answered = ask(hall)
    reason = {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}
    hall.answer({"error": reason}, status=400)
    assert (answered.status, answered.error["code"]) == (502, "upstream_unauthorized")


def test_a_stream_that_fails_before_it_says_anything_is_an_error_and_no_stream(hall):
    answered = begin_stream(hall, {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}})
    assert (answered.status, answered.error["code"]) == (503, "upstream_overloaded")


def test_a_stream_that_ends_without_a_finish_reason_is_broken(hall):
    begun = ANSWER | {"candidates": [{"content": {"role": "model", "parts": [{"text": "He"}]}}]}
    answered = begin_stream(hall, begun)
    hall.flight.sink.on_end()
    hall.turn()
    assert b"upstream_broken" in answered.body
    assert hall.settled.outcome == "failed"


# -- called by Google's own API ----------------------------------------------------------------------------------------

CONTENTS = [{"role": "user", "parts": [{"text": "x"}]}]


def generate(hall, model, action="generateContent", version="v1beta", headers=None, query="", **fields):
    path = f"/{version}/models/{model}:{action}"
    return hall.ask(path, {"contents": CONTENTS} | fields, query=query, **(headers or {}))


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_googles_own_call_is_relayed_with_what_we_do_not_know(hall, version):
    answered = generate(hall, "google/gemini-x", version=version, brandNew=1, headers={"openai_beta": "x"})
    assert hall.flight.request.line == b"POST /v1beta/models/gemini-x:generateContent HTTP/1.1\r\n"
    assert hall.flight.body == {"contents": CONTENTS, "brandNew": 1}
    assert b"openai-beta" not in hall.flight.request.headers

    body = json.dumps(ANSWER | {"mood": 1}, indent=1).encode()
    hall.answer(body)
    assert answered.body == body
    settled = hall.settled
    assert (settled.opened.endpoint, settled.finish_reason, settled.response_id) == ("generate_content", "STOP", "r-1")
    assert (settled.input_tokens, settled.output_tokens) == (9, 5)


def test_googles_own_stream_is_relayed(hall):
    answered = generate(hall, "google/gemini-x", "streamGenerateContent", query="alt=sse")
    assert b":streamGenerateContent?alt=sse " in hall.flight.request.line
    hall.flight.sink.on_head(200, {b"content-type": b"text/event-stream"})
    data = b"data: %b\r\n\r\n" % json.dumps(ANSWER).encode()
    hall.flight.sink.on_body(data)
    hall.turn()
    assert (answered.body, answered.is_over) == (data, True)


def test_it_is_translated_for_another_upstream(hall):
    answered = generate(hall, "bridged")
    assert hall.flight.body == {
        "model": "c",
        "messages": [{"role": "user", "content": "x"}],
    }
    hall.answer()
    assert json.loads(answered.body)["candidates"][0]["content"]["parts"] == [{"text": "Hello there."}]


@pytest.mark.parametrize(
    ("config", "spoken"),
    [
        ({"temperature": 1}, Endpoint.RESPONSES),
        ({"stopSequences": ["x"]}, Endpoint.CHAT),
        ({"stop_sequences": ["x"]}, Endpoint.CHAT),
        ({"seed": 1}, Endpoint.CHAT),
        ({"presence_penalty": 1}, Endpoint.CHAT),
        (3, Endpoint.RESPONSES),
    ],
)
def test_what_chat_has_and_responses_has_not_goes_by_chat(config, spoken):
    head = RequestHead(read_fields(json.dumps({"generationConfig": config}).encode()), "m")
    assert spoken_by(frozenset({Endpoint.RESPONSES, Endpoint.CHAT}), Endpoint.GENERATE_CONTENT, head) is spoken


def test_a_key_may_come_as_googles_client_sends_it(hall):
    answered = generate(hall, "google/gemini-x", headers={"authorization": "", "x_goog_api_key": "good"})
    assert answered.status == 0
    assert b"good" not in hall.flight.request.headers
    hall.answer(ANSWER)


@pytest.mark.parametrize(
    ("model", "action", "headers", "status", "name"),
    [
        ("nope", "generateContent", {}, 404, "NOT_FOUND"),
        ("bridged", "streamGenerateContent", {}, 400, "INVALID_ARGUMENT"),
        ("bridged", "generateContent", {"authorization": "Bearer bad"}, 401, "UNAUTHENTICATED"),
    ],
)
def test_our_refusals_have_googles_shape(hall, model, action, headers, status, name):
    answered = generate(hall, model, action, headers=headers)
    assert (answered.status, answered.error["status"], answered.error["code"]) == (status, name, status)
    assert set(answered.error) == {"code", "message", "status"}


def test_what_google_has_besides_does_not_exist_here(hall):
    assert generate(hall, "google/gemini-x", "embedContent").status in (404, 405)
