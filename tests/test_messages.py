"""Calls of Anthropic's Messages, as a dialogue of caller, gateway and upstream."""

import json

import pytest

from headworks.calls import Endpoint, Failure, FailureKind
from played_work import SCHEMA

ASKED = {"model": "claude-x", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]}
ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x-2026",
    "content": [{"type": "text", "text": "Hello there."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 2, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 3},
}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
EVENTS = [
    {"type": "message_start", "message": ANSWER | {"content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello there."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]


def sse(*events):
    return b"".join(b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json.dumps(one).encode()) for one in events)


def ask(hall, path="/v1/messages", headers=None, **fields):
    return hall.ask(path, ASKED | fields, **(headers or {}))


def begin_stream(hall, *events, model="claude-x"):
    answered = ask(hall, model=model, stream=True)
    hall.flight.sink.on_head(200, {b"content-type": b"text/event-stream", b"request-id": b"req_1"})
    hall.flight.sink.on_body(sse(*events))
    hall.turn()
    return answered


def test_a_call_is_relayed_value_for_value_with_what_we_do_not_know(hall):
    answered = ask(hall, top_k=5, brand_new={"a": [1]}, headers={"anthropic_beta": "b", "x_api_key": "theirs"})
    assert hall.flight.request.line == b"POST /v1/messages HTTP/1.1\r\n"
    assert hall.flight.body == ASKED | {"top_k": 5, "brand_new": {"a": [1]}}
    assert b"anthropic-beta: b\r\n" in hall.flight.request.headers
    assert b"x-api-key: sk-ant\r\n" in hall.flight.request.headers
    assert b"theirs" not in hall.flight.request.headers

    body = json.dumps(ANSWER | {"mood": 1}, indent=1).encode()
    hall.answer(body, request_id="req_1", anthropic_ratelimit_requests_remaining="9", set_cookie="no")
    assert answered.body == body
    assert answered.headers["request-id"] == answered.headers["x-request-id"] == "req_1"
    assert answered.headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert answered.headers["x-ratelimit-remaining-requests"] == "9"
    assert "set-cookie" not in answered.headers


def test_its_record_counts_cached_tokens_in(hall):
    ask(hall, metadata={"user_id": "u-1"})
    hall.answer(ANSWER, request_id="req_1")

    settled = hall.settled
    assert (settled.opened.endpoint, settled.opened.user, settled.outcome) == ("messages", "u-1", "answered")
    assert (settled.input_tokens, settled.cached_tokens, settled.cache_write_tokens, settled.output_tokens) == (
        9,
        4,
        3,
        3,
    )
    assert (settled.finish_reason, settled.response_id, settled.served_model) == ("end_turn", "msg_1", "claude-x-2026")
    assert settled.upstream_request_id == "req_1"


def test_an_answer_without_usage_is_counted_and_marked(hall):
    ask(hall)
    hall.answer({name: value for name, value in ANSWER.items() if name != "usage"})
    assert hall.settled.usage_source == "estimated"
    assert hall.settled.output_tokens > 1
    assert hall.settled.input_tokens > 0


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"content":"x"}'])
def test_an_answer_that_is_no_message_does_not_get_out(hall, body):
    answered = ask(hall)
    hall.answer(body)
    assert (answered.status, answered.error["type"]) == (502, "api_error")
    assert hall.settled.error_code == "upstream_invalid"


def test_a_key_may_come_as_anthropics_client_sends_it(hall):
    assert ask(hall, headers={"authorization": "", "x_api_key": "good"}).status == 0
    hall.answer(ANSWER)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_our_refusals_have_anthropics_shape(hall, path):
    wrong = ask(hall, path, headers={"authorization": "Bearer bad"})
    assert (wrong.status, json.loads(wrong.body)["type"]) == (401, "error")
    assert wrong.error["type"] == "authentication_error"
    assert wrong.headers["request-id"] == hall.settled.opened.call_id


@pytest.mark.parametrize(
    ("fields", "status", "kind"),
    [
        ({"model": "nope"}, 404, "not_found_error"),
        ({"messages": 5}, 400, "invalid_request_error"),
        ({"model": "bridged", "top_k": 5}, 400, "invalid_request_error"),
    ],
)
def test_so_do_those_of_what_is_asked(hall, fields, status, kind):
    answered = ask(hall, **fields)
    assert (answered.status, answered.error["type"]) == (status, kind)
    assert set(answered.error) == {"type", "message"}


# -- errors of upstreams -----------------------------------------------------------------------------------------------


def test_an_upstreams_own_error_is_relayed(hall):
    answered = ask(hall)
    hall.answer(OVERLOADED, 529, request_id="req_1", x_should_retry="true")
    assert (answered.status, json.loads(answered.body)) == (529, OVERLOADED)
    assert answered.headers["x-should-retry"] == "true"
    assert hall.settled.error_code == "upstream_overloaded"


def test_callers_of_openais_api_read_it_in_its_words(hall):
    for path, body in (("/v1/responses", {"input": "x"}), ("/v1/chat/completions", {"messages": []})):
        for is_streamed in (False, True):
            answered = hall.ask(path, {"model": "claude-x", "stream": is_streamed} | body)
            hall.answer(OVERLOADED, 529, request_id="req_1")
            assert answered.status == 529
            assert answered.error == {
                "message": "Overloaded",
                "type": "overloaded_error",
                "param": None,
                "code": "overloaded_error",
            }


def test_callers_of_anthropics_read_openais_in_its_words(hall):
    error = {"error": {"message": "Slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
    answered = ask(hall, model="bridged")
    hall.answer(error, 429, retry_after="3")
    assert json.loads(answered.body) == {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}
    assert answered.headers["retry-after"] == "3"


def test_an_error_that_is_none_is_ours_in_anthropics_words(hall):
    answered = ask(hall)
    hall.answer(b"<html>", 503)
    assert (answered.status, answered.error["type"]) == (503, "overloaded_error")


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_is_relayed_byte_for_byte_and_recorded(hall):
    answered = begin_stream(hall, *EVENTS)
    assert answered.body == sse(*EVENTS)
    assert answered.headers["request-id"] == "req_1"
    settled = hall.settled
    assert (settled.input_tokens, settled.output_tokens, settled.usage_source) == (9, 3, "provider")
    assert (settled.finish_reason, settled.response_id) == ("end_turn", "msg_1")


def test_a_stream_that_breaks_ends_with_anthropics_error_and_is_counted(hall):
    answered = begin_stream(hall, *EVENTS[:3])
    hall.flight.sink.on_failure(Failure(FailureKind.BROKEN, "gone"))
    hall.turn()
    last = json.loads(answered.body.rsplit(b"data: ", 1)[1])
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert answered.body.startswith(sse(*EVENTS[:3]))
    assert (hall.settled.error_code, hall.settled.usage_source) == ("upstream_broken", "estimated")
    assert hall.settled.output_tokens > 1


def test_an_error_in_a_stream_is_relayed_and_recorded(hall):
    answered = begin_stream(hall, *EVENTS[:3], OVERLOADED)
    assert answered.body == sse(*EVENTS[:3], OVERLOADED)
    assert hall.settled.error_code == "overloaded_error"


def test_an_event_is_sent_on_only_whole(hall):
    answered = begin_stream(hall, *EVENTS[:2])
    before = answered.body
    data = sse(EVENTS[2])
    hall.flight.sink.on_body(data[:20])
    assert answered.body == before
    hall.flight.sink.on_body(data[20:] + sse(*EVENTS[3:]))
    hall.turn()
    assert answered.body == sse(*EVENTS)


def test_an_error_before_the_first_word_of_a_translated_stream_is_a_status(hall):
    answered = hall.ask("/v1/responses", {"model": "claude-x", "input": "x", "stream": True})
    hall.flight.sink.on_head(200, {b"content-type": b"text/event-stream"})
    hall.flight.sink.on_body(sse(EVENTS[0], OVERLOADED))
    hall.turn()
    assert answered.status == 503
    assert answered.error["code"] == "upstream_overloaded"


# -- bridges -----------------------------------------------------------------------------------------------------------


def test_a_translated_call_takes_no_headers_of_the_other_api_along(hall):
    answered = ask(hall, model="bridged", headers={"anthropic_beta": "b"})
    assert b"anthropic" not in hall.flight.request.headers
    assert hall.flight.request.line == b"POST /v1/chat/completions HTTP/1.1\r\n"
    hall.answer()
    assert json.loads(answered.body)["content"][0]["text"] == "Hello there."
    assert answered.headers["request-id"] == hall.settled.opened.call_id


def test_stop_sequences_go_where_there_are_some(hall):
    hall.ask("/v1/messages", ASKED | {"model": "bridged", "stop_sequences": ["x"]})
    assert hall.flight.body["stop"] == ["x"]
    hall.answer()


def test_anthropic_is_asked_for_a_response(hall):
    hall.ask("/v1/responses", {"model": "claude-x", "input": "x"}, openai_beta="b")
    assert hall.flight.request.line == b"POST /v1/messages HTTP/1.1\r\n"
    assert b"openai" not in hall.flight.request.headers
    assert hall.flight.body["max_tokens"] == 32_000
    hall.answer(ANSWER)
    assert (hall.settled.input_tokens, hall.settled.cached_tokens) == (9, 4)


def test_what_it_has_no_endpoint_for_is_refused(hall):
    refused = hall.ask("/v1/embeddings", {"model": "claude-x", "input": "x"})
    assert (refused.status, refused.error["code"]) == (400, "endpoint_not_supported")


# -- counting ----------------------------------------------------------------------------------------------------------


def test_tokens_are_counted_by_an_anthropic_upstream(hall):
    answered = ask(hall, "/v1/messages/count_tokens")
    assert hall.flight.request.line == b"POST /v1/messages/count_tokens HTTP/1.1\r\n"
    hall.answer({"input_tokens": 7})
    assert json.loads(answered.body) == {"input_tokens": 7}
    assert hall.settled.usage_source == "none"


def test_tokens_are_counted_here_for_others_and_said_to_be_estimated(hall):
    answered = ask(hall, "/v1/messages/count_tokens", model="bridged", system="Be kind.")
    assert json.loads(answered.body)["input_tokens"] > 2
    assert answered.headers["x-headworks-usage"] == "estimated"
    assert not hall.upstream.flights
    assert (hall.settled.outcome, hall.settled.input_tokens) == ("answered", 0)
    assert ask(hall, "/v1/messages/count_tokens", model="nope").status == 404


# -- workloads ---------------------------------------------------------------------------------------------------------


def message(value):
    return ANSWER | {"content": [{"type": "text", "text": json.dumps(value)}]}


@pytest.mark.parametrize("is_chat", [True, False])
def test_a_workload_is_answered_by_claude_and_judged(hall, work, is_chat):
    work.make("output: {max_tokens: 50}\n", speaks=[Endpoint.MESSAGES])
    prompt = {"id": "triage", "version": "1", "variables": {"ticket": "help"}}
    answered = work.chat("help") if is_chat else hall.ask("/v1/responses", {"prompt": prompt})
    sent = hall.flight.body
    assert sent["system"] == [{"type": "text", "text": "Sort tickets."}]
    assert sent["output_config"]["format"]["schema"] == SCHEMA
    assert sent["max_tokens"] == 50
    hall.answer(message({"team": "red"}))
    hall.turn(20)
    assert answered.status == 200
    assert hall.settled.verdict == "valid"


def test_an_answer_of_claudes_that_breaks_the_schema_goes_back_to_it(hall, work):
    work.make("validation: {repairs: 1}\n", speaks=[Endpoint.MESSAGES])
    answered = work.chat("help")
    hall.answer(message({"team": "green"}))
    hall.turn(20)
    assert [one["role"] for one in hall.flight.body["messages"]] == ["user", "assistant", "user"]
    hall.answer(message({"team": "red"}))
    hall.turn(20)
    assert answered.status == 200
    assert (hall.settled.verdict, hall.settled.repairs) == ("repaired", 1)
