"""Calls whose answer is gathered whole, as a dialogue of caller, gateway and upstream."""

import asyncio
import json

import pytest

from headworks.calls import Failure, FailureKind, Opened, Settled
from headworks.errors import StorageError


def test_a_call_goes_up_with_our_credentials_and_down_with_its_names(hall):
    answered = hall.chat(temperature=0.5)
    assert not answered.status
    assert hall.flight.request.line == b"POST /v1/chat/completions HTTP/1.1\r\n"
    assert b"authorization: Bearer upstream-key\r\n" in hall.flight.request.headers
    assert b"good" not in hall.flight.request.headers
    assert hall.flight.body == {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 0.5}

    hall.answer(x_request_id="req_1", x_ratelimit_remaining_requests="9", set_cookie="no", openai_organization="no")

    assert answered.status == 200
    assert json.loads(answered.body)["id"] == "chatcmpl-1"
    assert answered.headers["x-request-id"] == "req_1"
    assert answered.headers["x-ratelimit-remaining-requests"] == "9"
    assert answered.headers["x-headworks-model"] == "m"
    assert answered.headers["x-headworks-call-id"] == hall.settled.opened.call_id
    assert float(answered.headers["x-headworks-overhead-ms"]) >= 0
    assert not {"set-cookie", "openai-organization"} & set(answered.headers)


def test_its_record_has_who_what_and_how_much(hall):
    hall.chat(user="u-1")
    hall.answer(x_request_id="req_1")

    settled, opened = hall.settled, hall.settled.opened
    assert (opened.key_id, opened.owner, opened.team, opened.user) == ("key_1", "ann", "search", "u-1")
    assert (opened.endpoint, opened.requested_model, opened.provider, opened.model) == (
        "chat.completions",
        "nano",
        "stub",
        "m",
    )
    assert (settled.outcome, settled.status, settled.attempts, settled.finish_reason) == ("answered", 200, 1, "stop")
    assert (settled.input_tokens, settled.output_tokens, settled.usage_source) == (9, 3, "provider")
    assert (settled.served_model, settled.response_id, settled.upstream_request_id) == ("m-2026", "chatcmpl-1", "req_1")
    assert settled.request_body == settled.response_body == b""


def test_bodies_are_recorded_where_it_is_configured(hall):
    hall.make(keeps_bodies=True)
    answered = hall.chat()
    hall.answer()

    assert json.loads(hall.settled.request_body)["model"] == "nano"
    assert hall.settled.response_body == answered.body


def test_an_answer_without_usage_is_counted_and_marked(hall):
    hall.chat()
    hall.answer({"choices": [{"finish_reason": "stop", "message": {"content": "Hello there, you."}}]})

    assert hall.settled.usage_source == "estimated"
    assert hall.settled.output_tokens > 2
    assert hall.settled.input_tokens > 0


def test_the_opened_entry_is_there_before_anything_goes_up(hall):
    request_seen = []
    send = hall.upstream.send

    def look(*arguments):
        request_seen.extend(hall.entries())
        return send(*arguments)

    hall.upstream.send = look
    hall.chat()
    hall.answer()

    assert [type(entry).__name__ for entry in request_seen] == ["Opened"]


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure(FailureKind.UNREACHABLE, "stub cannot be reached"), 502),
        (Failure(FailureKind.TIMEOUT, "stub did not answer"), 504),
        (Failure(FailureKind.BROKEN, "stub closed"), 502),
    ],
)
def test_an_attempt_that_fails_is_told_and_recorded(hall, failure, status):
    answered = hall.chat()
    hall.flight.sink.on_failure(failure)
    hall.turn()

    assert (answered.status, answered.error["code"]) == (status, failure.kind.value)
    assert failure.detail in answered.error["message"]
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", failure.kind.value)


def test_the_providers_own_refusal_is_passed_on(hall):
    answered = hall.chat()
    error = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded", "param": None}}
    hall.answer(error, 429, retry_after="3", x_should_retry="true")

    assert (answered.status, answered.error["code"]) == (429, "rate_limit_exceeded")
    assert answered.headers["retry-after"] == "3"
    assert answered.headers["x-should-retry"] == "true"
    assert hall.settled.error_code == "upstream_rate_limited"


def test_an_error_page_becomes_an_error_object_with_its_status(hall):
    answered = hall.chat()
    hall.answer(b"<html>bad gateway</html>", 503)

    assert (answered.status, answered.error["code"]) == (503, "upstream_overloaded")
    assert b"html" not in answered.body


def test_our_own_credentials_being_refused_is_not_the_callers_fault(hall):
    answered = hall.chat()
    hall.answer({"error": {"message": "Incorrect API key sk-secret"}}, 401)

    assert answered.status == 502
    assert "Your key is fine" in answered.error["message"]
    assert b"sk-secret" not in answered.body


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"choices": 5}', b"\xff", b""])
def test_garbage_does_not_reach_the_caller(hall, body):
    answered = hall.chat()
    hall.answer(body)

    assert (answered.status, answered.error["code"]) == (502, "upstream_invalid")
    assert hall.settled.outcome == "failed"


def test_an_answer_past_the_bound_is_given_up(hall):
    hall.make(answer_bytes=100)
    answered = hall.chat()
    flight = hall.flight
    flight.sink.on_head(200, {})
    flight.sink.on_body(b"x" * 60)
    flight.sink.on_body(b"x" * 60)
    hall.turn()

    assert flight.is_cancelled
    assert answered.error["code"] == "upstream_invalid"


def test_an_answer_in_pieces_is_joined(hall):
    answered = hall.chat()
    sink = hall.flight.sink
    whole = b'{"choices": [{"finish_reason": "length"}], "usage": null}'
    sink.on_head(200, {b"content-type": b"application/json; charset=utf-8"})
    for start in range(0, len(whole), 10):
        sink.on_body(whole[start : start + 10])
    sink.on_end()
    hall.turn()

    assert answered.body == whole
    assert answered.headers["content-type"] == "application/json; charset=utf-8"
    assert hall.settled.finish_reason == "length"


def test_a_caller_who_goes_cancels_the_attempt_and_is_recorded(hall):
    answered = hall.chat()
    answered.running.cancel()
    answered.running.cancel()
    hall.turn()

    assert hall.flight.is_cancelled
    assert not answered.status
    assert (hall.settled.outcome, hall.settled.status, hall.settled.error_code) == (
        "cancelled",
        499,
        "client_disconnected",
    )


def test_a_caller_who_goes_once_the_call_is_answered_leaves_one_record(hall):
    answered = hall.chat()
    hall.answer()
    answered.running.cancel()

    assert hall.settled.outcome == "answered"


def test_the_settled_entry_is_there_before_the_caller_sees_anything(hall):
    answered = hall.chat()
    recorded = []
    respond = answered.respond
    answered.respond = lambda *arguments: (recorded.extend(hall.entries()), respond(*arguments))
    hall.answer()

    assert [type(entry).__name__ for entry in recorded] == ["Opened", "Settled"]


def test_a_bug_of_ours_is_answered_recorded_and_reported_without_values(hall, capfd):
    def broken(*_):
        raise LookupError("the prompt was: x")

    hall.upstream.send = broken
    answered = hall.chat()

    assert (answered.status, answered.error["code"]) == (500, "internal_error")
    assert hall.settled.error_code == "internal_error"
    said = capfd.readouterr().err
    assert "LookupError" in said
    assert "prompt" not in said


def fill_disk(journal, error, monkeypatch):
    """From now on there is no room for another entry."""
    monkeypatch.setattr(journal, "_full_at", -1)
    monkeypatch.setattr(journal, "_make_room", lambda _: (_ for _ in ()).throw(error))


@pytest.mark.replaces
def test_an_answer_that_cannot_be_recorded_is_not_given(hall, monkeypatch, capfd):
    answered = hall.chat()
    error = StorageError("the disk is full")
    fill_disk(hall.journal, error, monkeypatch)
    hall.answer()

    assert answered.is_aborted
    assert "the disk is full" in capfd.readouterr().err
    monkeypatch.undo()


@pytest.mark.replaces
def test_nothing_is_sent_for_a_call_that_cannot_be_recorded(hall, monkeypatch, capfd):
    error = StorageError("the disk is full")
    fill_disk(hall.journal, error, monkeypatch)
    answered = hall.chat()
    hall.turn()

    assert not hall.upstream.flights
    assert (answered.status, answered.error["code"]) == (500, "internal_error")
    assert "the disk is full" in capfd.readouterr().err
    monkeypatch.undo()


def test_a_bridged_call_is_asked_and_answered_in_two_dialects(hall):
    answered = hall.ask("/v1/responses", {"model": "bridged", "input": "x"})
    assert hall.flight.request.line == b"POST /v1/chat/completions HTTP/1.1\r\n"
    assert hall.flight.body["messages"] == [{"role": "user", "content": "x"}]
    hall.answer()

    assert json.loads(answered.body)["output"][0]["content"][0]["text"] == "Hello there."
    assert (hall.settled.opened.endpoint, hall.settled.finish_reason) == ("responses", "completed")


def test_a_bridged_answer_that_is_an_error_is_an_error(hall):
    answered = hall.ask("/v1/responses", {"model": "bridged", "input": "x"})
    hall.answer({"error": {"message": "no", "code": "server_error"}})

    assert answered.status == 502
    assert hall.settled.outcome == "failed"


def test_a_call_that_must_end_before_its_time_is_refused(hall):
    answered = hall.chat()
    answered.running.stop()

    assert (answered.status, answered.error["code"]) == (503, "gateway_stopping")
    assert hall.flight.is_cancelled
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", "gateway_stopping")


def test_a_model_that_the_upstream_does_not_know_is_refused_with_the_nearest_names(hall):
    error = {"error": {"message": "No.", "type": "invalid_request_error", "code": "model_not_found", "param": None}}
    hall.make(takes_any_model=True)
    answered = hall.ask("/v1/chat/completions", {"model": "nanno", "messages": []})
    hall.answer(error, 404)

    assert (answered.status, answered.error["code"], answered.error["param"]) == (404, "model_not_found", "model")
    assert "Did you mean `nano`?" in answered.error["message"]
    assert hall.settled.error_code == "model_not_found"


def test_answers_that_keep_coming_are_ended_together_and_none_waits_for_long(hall):
    answered = [hall.chat() for _ in range(12)]
    flights = list(hall.upstream.flights)
    ended = []

    async def upstream():
        for flight in flights:
            flight.answer()
            await asyncio.sleep(0)  # one turn of the loop
            ended.append(sum(one.status == 200 for one in answered))

    hall.loop.run_until_complete(upstream())
    hall.turn(5)

    assert [one.status for one in answered] == [200] * 12
    first = next(count for count in ended if count)
    assert first >= 4, "what came meanwhile was ended with it"
    assert ended.index(first) <= 7


def test_an_answer_that_comes_alone_does_not_wait_for_others(hall):
    answered = hall.chat()

    async def upstream():
        hall.flight.answer()
        for _ in range(3):
            await asyncio.sleep(0)

    hall.loop.run_until_complete(upstream())
    assert answered.status == 200


@pytest.mark.parametrize(("kind", "statuses"), [(Opened, [200, 500, 200]), (Settled, [200, 0, 200])])
def test_a_call_that_cannot_be_written_fails_alone_of_those_that_start_or_end_with_it(
    hall, monkeypatch, kind, statuses
):
    """An entry that no encoder takes, say. An answer whose end cannot be written is not seen at all."""
    encode = hall.journal._encode

    def only_good(entry):
        if type(entry) is kind and getattr(entry, "opened", entry).user == "bad":
            raise ValueError("cannot be encoded")
        return encode(entry)

    monkeypatch.setattr(hall.journal, "_encode", only_good)
    body = {"model": "nano", "messages": [{"role": "user", "content": "x"}]}
    answers = [hall.ask("/v1/chat/completions", body | {"user": user}, turns=0) for user in ("good", "bad", "fine")]
    hall.turn(3)
    for flight in list(hall.upstream.flights):
        flight.answer()
    hall.turn(8)

    assert [answered.status for answered in answers] == statuses
