"""The hall: who may come in, what is served, and what we answer ourselves."""

import json

import pytest

from headworks.access import Grant
from headworks.calls import Caller, Endpoint, OutcomeReport
from headworks.catalogue import Model, TargetPrice
from headworks.exchange import Request

CALL = "call_1a20bc82d040079c116f6000001"
FORM = (
    b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nnano\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\ncontent-type: audio/wav\r\n\r\n'
    b"\x00\xff\r\n\r\n--no\r\n--b--\r\n"
)


def test_a_missing_or_wrong_key_is_refused_and_recorded(hall):
    answered = hall.ask("/v1/chat/completions", {}, authorization="Bearer bad")

    assert (answered.status, answered.error["code"]) == (401, "invalid_api_key")
    assert (hall.settled.outcome, hall.settled.status, hall.settled.opened.endpoint) == (
        "refused",
        401,
        "chat/completions",
    )
    assert not hall.upstream.flights


def test_an_endpoint_or_model_outside_of_the_keys_scope_is_refused(hall):
    hall.ring.grant = Grant(Caller("key_1"), models=("nano",), endpoints=(Endpoint.CHAT,))

    assert hall.ask("/v1/responses", {"model": "nano", "input": "x"}).error["code"] == "endpoint_not_allowed"
    missing = hall.chat(model="stub/m")
    assert (missing.status, missing.error["code"], missing.error["param"]) == (404, "model_not_found", "model")
    assert [model["id"] for model in json.loads(hall.ask("/v1/models", method="GET").body)["data"]] == ["nano"]
    hall.chat()
    hall.answer()


def test_an_admission_is_kept_with_its_head_only_while_the_ring_is_the_same(hall):
    request = Request("GET", "/v1/models", "", {b"authorization": b"Bearer good"})
    hall.gateway.admit(request)
    hall.gateway.admit(request.again(b""))
    assert hall.ring.looked == 1

    hall.ring.edition = object()
    hall.gateway.admit(request.again(b""))
    assert hall.ring.looked == 2


def test_a_key_that_expires_is_looked_up_every_time(hall):
    hall.ring.grant = Grant(Caller("key_1"), expires_at=2e9)
    request = Request("GET", "/v1/models", "", {b"authorization": b"Bearer good"})
    hall.gateway.admit(request)
    hall.gateway.admit(request.again(b""))

    assert hall.ring.looked == 2


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        ("/v1/nothing", {}, {}, 404, "unknown_url"),
        ("/v1/chat/completions", b"{", {}, 400, "invalid_json"),
        ("/v1/chat/completions", b"", {}, 400, "invalid_json"),
        ("/v1/chat/completions", [], {}, 400, "invalid_type"),
        ("/v1/chat/completions", {"model": "nano"}, {}, 400, "missing_required_parameter"),
        ("/v1/chat/completions", {"model": 5, "messages": []}, {}, 400, "invalid_type"),
        ("/v1/chat/completions", {"messages": []}, {}, 400, "missing_required_parameter"),
        ("/v1/chat/completions", {"model": "nanoo", "messages": []}, {}, 404, "model_not_found"),
        ("/v1/chat/completions", {"model": "nano", "messages": [], "stream": 1}, {}, 400, "invalid_type"),
        ("/v1/chat/completions", b"x", {"content_type": "text/plain"}, 415, "unsupported_content_type"),
        ("/v1/chat/completions", FORM, {"content_type": "multipart/form-data; boundary=b"}, 415, None),
        ("/v1/audio/transcriptions", b"x", {"content_type": "text/plain"}, 415, "unsupported_content_type"),
        ("/v1/embeddings", {"model": "bridged", "input": "x"}, {}, 400, "endpoint_not_supported"),
        ("/v1/responses/input_tokens", {"model": "bridged", "input": "x"}, {}, 400, "endpoint_not_supported"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_code_before_anything_goes_up(hall, path, body, headers, status, code):
    answered = hall.ask(path, body, **headers)

    assert answered.status == status
    assert set(answered.error) == {"message", "type", "param", "code"}
    assert code is None or answered.error["code"] == code
    assert answered.headers["x-headworks-call-id"] == hall.settled.opened.call_id
    assert hall.settled.outcome == "refused"
    assert not hall.upstream.flights


def test_a_wrong_method_is_told_the_right_ones(hall):
    answered = hall.ask("/v1/chat/completions", method="GET")
    assert (answered.status, answered.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v1/models", "/v1/models/nano", "/metrics"])
def test_what_we_answer_ourselves_can_be_asked_for_by_head(hall, path):
    assert hall.ask(path, method="HEAD").status == 200
    assert hall.ask(path, method="POST").headers["allow"] == "GET, HEAD"


def test_what_an_upstream_answers_cannot_be_asked_for_by_head(hall):
    assert hall.ask("/v1/responses/resp_1", method="HEAD").headers["allow"] == "DELETE, GET"


def test_an_unknown_model_comes_with_the_nearest_names_that_the_key_may_use(hall):
    assert "`nano`" in hall.chat(model="nan").error["message"]
    hall.ring.grant = Grant(Caller("key_1"), models=("other*",))
    assert "`nano`" not in hall.chat(model="nan").error["message"]


def test_only_headers_on_the_list_go_up(hall):
    hall.ask(
        "/v1/responses",
        {"model": "nano", "input": "x"},
        openai_beta="responses=v1",
        cookie="a=b",
        x_forwarded_for="10.0.0.1",
        openai_organization="evil",
        host="gateway",
    )
    lines = hall.flight.request.headers.split(b"\r\n")

    assert b"openai-beta: responses=v1" in lines
    assert not [
        line for line in lines if line.split(b":")[0] in (b"cookie", b"x-forwarded-for", b"openai-organization")
    ]
    hall.answer(b'{"id": "resp_1", "output": []}')


def test_a_form_goes_up_byte_for_byte_but_for_the_model(hall):
    answered = hall.ask("/v1/audio/transcriptions", FORM, content_type="multipart/form-data; boundary=b")
    assert hall.flight.request.body == FORM.replace(b"\r\n\r\nnano\r\n", b"\r\n\r\nm\r\n", 1)
    assert b"content-type: multipart/form-data; boundary=b\r\n" in hall.flight.request.headers

    hall.answer(b"WEBVTT", content_type="text/vtt")

    assert (answered.body, answered.headers["content-type"]) == (b"WEBVTT", "text/vtt")
    assert hall.settled.opened.requested_model == "nano"
    assert hall.settled.usage_source == "none"


def test_a_form_has_the_callers_deadline_and_goes_to_a_pool_that_can_be_asked(hall):
    hall.ask("/v1/chat/completions", {"model": "pooled/p", "messages": []})
    resting = b"key-of-one" in hall.flight.request.headers
    hall.answer({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}, 429, retry_after="60")
    hall.turn(8)
    hall.answer()
    hall.turn(8)

    kind = {"content_type": "multipart/form-data; boundary=b", "x_headworks_deadline_ms": "500"}
    answered = hall.ask("/v1/audio/transcriptions", FORM.replace(b"nano", b"pooled/p"), **kind)

    assert hall.flight.timeouts.total_s <= 0.5
    assert (b"key-of-one" in hall.flight.request.headers) != resting
    answered.running.cancel()
    hall.turn(3)


def test_a_default_model_stands_in_where_the_api_has_one(hall):
    answered = hall.ask("/v1/moderations", {"input": "x"})
    assert answered.error["code"] == "model_not_found"
    assert "omni-moderation-latest" in answered.error["message"]


# -- stored responses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses/resp_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/responses/resp_1/input_items"),
    ],
)
def test_a_stored_response_is_reached_through_the_provider_that_has_it(hall, method, path):
    hall.own("resp_1")
    answered = hall.ask(path, method=method, query="limit=3&after=x")
    assert hall.flight.request.line == f"{method} {path}?limit=3&after=x HTTP/1.1\r\n".encode()
    hall.answer(b'{"id": "resp_1"}')

    assert answered.body == b'{"id": "resp_1"}'
    assert (hall.settled.outcome, hall.settled.response_id) == ("answered", "resp_1")


def test_another_keys_response_is_not_there_but_a_team_shares(hall):
    hall.own("resp_1", key_id="key_2")
    hall.own("resp_2", key_id="key_2", team="search")
    hall.own("resp_3", provider="gone")

    for response_id in ("resp_1", "resp_3", "resp_4"):
        answered = hall.ask(f"/v1/responses/{response_id}", method="GET")
        assert (answered.status, answered.error["code"]) == (404, "response_not_found")
    assert not hall.upstream.flights
    hall.ask("/v1/responses/resp_2", method="GET")
    hall.answer(b"{}")


def test_a_response_made_here_is_known_without_asking_the_store(hall):
    hall.ask("/v1/responses", {"model": "nano", "input": "x"})
    hall.answer(b'{"id": "resp_9", "output": [], "status": "completed"}')
    hall.ask("/v1/responses/resp_9", method="GET")

    assert hall.flight.request.line == b"GET /v1/responses/resp_9 HTTP/1.1\r\n"
    hall.answer(b"{}")


def test_a_call_goes_on_only_from_responses_of_its_own(hall):
    hall.own("resp_1", key_id="key_2")
    hall.own("resp_2")

    refused = hall.ask("/v1/responses", {"model": "nano", "input": "x", "previous_response_id": "resp_1"})
    assert (refused.status, refused.error["param"]) == (404, "previous_response_id")
    for own_or_unknown in ("resp_2", "resp_unknown"):
        answered = hall.ask("/v1/responses", {"model": "nano", "input": "x", "previous_response_id": own_or_unknown})
        assert hall.flight.body["previous_response_id"] == own_or_unknown
        hall.answer(b'{"id": "resp_5", "output": []}')
        assert answered.status == 200


def test_a_caller_who_goes_during_a_look_up_sends_nothing_up(hall):
    hall.own("resp_1")
    answered = hall.ask("/v1/responses/resp_1", method="GET", turns=0)
    answered.running.cancel()
    hall.turn()

    assert not hall.upstream.flights
    assert hall.settled.outcome == "cancelled"


def test_a_caller_who_goes_after_a_look_up_cancels_the_attempt(hall):
    hall.own("resp_1")
    answered = hall.ask("/v1/responses/resp_1", method="GET")
    answered.running.cancel()
    hall.turn()

    assert hall.flight.is_cancelled
    assert hall.settled.outcome == "cancelled"


# -- what we answer ourselves ------------------------------------------------------------------------------------------


def test_models_are_listed_and_looked_up(hall):
    listed = json.loads(hall.ask("/v1/models", method="GET").body)
    assert {model["id"] for model in listed["data"]} == {
        "nano",
        "bridged",
        "smart",
        "stub/m",
        "only-chat/c",
        "m",
        "c",
    } | {
        "pooled/p",
        "p",
        "anthropic/claude-x",
        "claude-x",
        "google/gemini-x",
        "aws/claude-at-aws",
        "claude-at-aws",
        "gemini-x",
        *(name for model in ("amazon.titan-embed-text-v2:0", "cohere.embed-v4:0") for name in (model, f"aws/{model}")),
    }
    one = json.loads(hall.ask("/v1/models/stub/m", method="GET").body)
    assert (one["id"], one["object"], one["owned_by"]) == ("stub/m", "model", "stub")
    assert one["shutdown_date"] is None
    assert hall.ask("/v1/models/stub/n", method="GET").status == 404


def test_models_are_told_to_anthropics_client_in_its_own_form(hall):
    hall.price = TargetPrice(
        None, "t", Model(name="m", context_tokens=100, max_output_tokens=9, shutdown_on="2026-12-11")
    )
    hall.make()
    hall.ring.grant = Grant(Caller("key_1"), models=["stub/m", "nano"])
    asked = {"method": "GET", "anthropic_version": "2023-06-01"}
    listed = json.loads(hall.ask("/v1/models", **asked).body)
    one = json.loads(hall.ask("/v1/models/stub/m", **asked).body)
    gone = hall.ask("/v1/models/other", **asked)

    assert [model["id"] for model in listed["data"]] == ["nano", "stub/m"]
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, "nano", "stub/m")
    assert one == listed["data"][1]
    assert (one["type"], one["lifecycle"], one["max_input_tokens"], one["max_tokens"]) == (
        "model",
        "deprecated",
        100,
        9,
    )
    assert one["created_at"].endswith("Z")
    assert (gone.status, gone.error["type"]) == (404, "not_found_error")
    assert (hall.entries()[-1].outcome, hall.entries()[-1].error_code) == ("refused", "model_not_found")


def test_a_models_shutdown_is_told_as_the_openai_api_tells_it(hall):
    hall.price = TargetPrice(None, "t", Model(name="m", shutdown_on="2026-12-11"))
    hall.make()
    assert json.loads(hall.ask("/v1/models/stub/m", method="GET").body)["shutdown_date"] == "2026-12-11"


def test_a_full_journal_takes_no_calls_and_is_not_ready_but_live(hall):
    hall.journal.is_full = True

    answered = hall.chat()
    assert (answered.status, answered.error["code"], answered.headers["retry-after"]) == (503, "journal_full", "5")
    assert hall.ask("/health/ready", method="GET").status == 503
    assert hall.ask("/health/live", method="GET").status == 200
    assert not hall.upstream.flights
    hall.journal.is_full = False
    assert hall.ask("/health/ready", method="GET").status == 200


def test_it_is_not_ready_while_it_stops(hall):
    hall.is_ready = False
    assert hall.ask("/health/ready", method="GET").status == 503


def test_metrics_count_what_was_settled(hall):
    hall.chat()
    hall.answer()
    hall.chat(model="nope")
    text = hall.ask("/metrics", method="GET").body.decode()

    assert (
        'headworks_calls_total{endpoint="chat.completions",provider="stub",model="m",outcome="answered",status="200"} 1'
        in text
    )
    assert 'outcome="refused",status="404"} 1' in text


def test_it_waits_for_the_calls_under_way(hall):
    hall.chat()
    drained = hall.loop.create_task(hall.gateway.drain())
    hall.turn()
    assert not drained.done()
    hall.answer()
    assert drained.done()


def test_outcomes_are_written_down_before_they_are_answered(hall):
    reports = [{"call_id": CALL, "name": "accepted", "value": True}, {"trace_id": "t", "name": "score", "value": 4}]
    answered = hall.ask("/v1/outcomes", {"outcomes": reports})

    told = json.loads(answered.body)["data"]
    written = [entry for entry in hall.entries() if isinstance(entry, OutcomeReport)]
    assert answered.status == 200
    assert [one["id"] for one in told] == [one.outcome_id for one in written]
    assert [(one.call_id, one.trace_id, one.name, one.value) for one in written] == [
        (CALL, "", "accepted", "true"),
        ("", "t", "score", "4.0"),
    ]
    assert {one.key_id for one in written} == {"key_1"}


def test_an_outcome_that_cannot_be_read_is_refused_and_none_is_taken(hall):
    answered = hall.ask("/v1/outcomes", {"outcomes": [{"call_id": CALL, "name": "ok", "value": True}, {"name": "x"}]})

    assert answered.status == 400
    assert not [entry for entry in hall.entries() if isinstance(entry, OutcomeReport)]


def test_the_callers_own_key_and_trace_are_on_record(hall):
    hall.ask(
        "/v1/chat/completions",
        {"model": "nano", "messages": [], "metadata": {"headworks_key": "order-7", "trace_id": "t-1"}},
    )
    hall.answer()

    assert (hall.settled.caller_key, hall.settled.trace_id) == ("order-7", "t-1")


def test_the_stream_of_known_pacing_wants_a_key(hall):
    refused = hall.ask("/v1/diagnostics/stream", method="GET", authorization="Bearer bad")
    assert refused.error["code"] == "invalid_api_key"


def test_the_stream_of_known_pacing_asks_proxies_not_to_buffer_as_every_stream_does(hall):
    async def ask():
        return hall.ask("/v1/diagnostics/stream", method="GET", turns=0)

    answered = hall.loop.run_until_complete(ask())
    assert answered.headers["x-accel-buffering"] == "no"
    assert answered.headers["content-type"].startswith("text/event-stream")
    assert hall.gateway.in_flight == 1

    answered.running.cancel()
    assert hall.gateway.in_flight == 0
    assert (hall.settled.opened.endpoint, hall.settled.outcome) == ("diagnostics", "cancelled")


def test_a_wish_for_pacing_that_cannot_be_had_is_refused(hall):
    assert hall.ask("/v1/diagnostics/stream", method="GET", query="quiet_s=x").error["param"] == "quiet_s"
