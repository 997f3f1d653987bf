"""A public name that several targets serve, of one provider or of several."""

import json
from collections import Counter
from random import Random

import pytest

from headworks.calls import Failure, FailureKind
from headworks.routing import Health, Member
from played_work import DONE, EVENTS, chunk

ERROR = {"error": {"message": "No.", "type": "server_error", "code": "server_error", "param": None}}
CLAUDE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
    "content": [{"type": "text", "text": "Hi."}], "usage": {"input_tokens": 3, "output_tokens": 2},
}  # fmt: skip
FLEET = (Member("stub", "m"), Member("anthropic", "claude-x"))


def fail(hall, kind):
    hall.flight.sink.on_failure(Failure(kind, "stub failed"))
    hall.turn(6)


def models(hall):
    return [flight.body["model"] for flight in hall.upstream.flights]


def ask(hall, **fields):
    return hall.ask("/v1/chat/completions", {"model": "fleet", "messages": []} | fields, turns=6)


def answer(hall):
    hall.answer(CLAUDE) if hall.flight.body["model"] == "claude-x" else hall.answer()
    hall.turn(8)


def test_load_is_spread_by_weight_and_each_answer_says_who_gave_it(hall, monkeypatch):
    monkeypatch.setattr(Health, "cost_s", lambda health, now_s: 0.0)  # how quick this machine is must not count
    random = Random(4)
    hall.make(groups={"fleet": (Member("stub", "m", weight=3), Member("only-chat", "c"))})
    hall.gateway._planner._uniform = lambda most: random.random() * most
    served = Counter()
    for _ in range(200):
        answered = ask(hall)
        answer(hall)
        served[answered.headers["x-headworks-provider"], answered.headers["x-headworks-model"]] += 1

    assert set(served) == {("stub", "m"), ("only-chat", "c")}
    assert 120 < served["stub", "m"] < 180


@pytest.mark.parametrize("kind", [FailureKind.ERROR, FailureKind.TIMEOUT, FailureKind.GONE, FailureKind.UNAUTHORIZED])
def test_a_call_that_fails_at_one_goes_on_with_another_in_its_own_dialect(hall, kind):
    hall.make(groups={"fleet": FLEET})
    answered = ask(hall)
    fail(hall, kind)
    assert models(hall) == ["m", "claude-x"]
    answer(hall)

    assert answered.status == 200
    assert json.loads(answered.body)["choices"][0]["message"]["content"] == "Hi."
    assert answered.headers["x-headworks-provider"] == "anthropic"
    assert "x-headworks-fallback" not in answered.headers  # it is what was asked for
    assert (hall.settled.opened.provider, hall.settled.opened.model, hall.settled.attempts) == (
        "anthropic", "claude-x", 2,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [FailureKind.REJECTED, FailureKind.REFUSED])
def test_a_request_that_is_at_fault_itself_goes_nowhere_else(hall, kind):
    hall.make(groups={"fleet": FLEET})
    ask(hall)
    fail(hall, kind)

    assert models(hall) == ["m"]


def test_a_stream_goes_on_with_another_unseen(hall):
    hall.make(groups={"fleet": (Member("anthropic", "claude-x", tier=0), Member("only-chat", "c", tier=1))})
    answered = ask(hall, stream=True)
    fail(hall, FailureKind.BROKEN)
    hall.flight.sink.on_head(200, EVENTS)
    for piece in (chunk("Hi."), DONE):
        hall.flight.sink.on_body(piece)
    hall.turn(8)

    assert models(hall) == ["claude-x", "c"]
    assert answered.headers["x-headworks-provider"] == "only-chat"


def test_a_target_of_a_higher_tier_is_asked_only_while_none_of_a_lower_one_can(hall):
    hall.make(groups={"fleet": (Member("stub", "m", tier=1), Member("only-chat", "c"))})
    for _ in range(3):
        ask(hall)
        answer(hall)
    assert models(hall) == ["c"] * 3
    ask(hall)
    hall.answer(ERROR, 429, retry_after="30")
    hall.turn(8)
    answer(hall)
    ask(hall)
    answer(hall)

    assert models(hall)[3:] == ["c", "m", "m"]


def test_what_not_all_of_them_serve_goes_to_those_that_do(hall):
    hall.make(groups={"fleet": (Member("anthropic", "claude-x"), Member("stub", "m"))})
    for _ in range(4):
        answered = hall.ask("/v1/embeddings", {"model": "fleet", "input": "x"})
        hall.answer({"object": "list", "data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}})
        hall.turn(8)
        assert answered.status == 200

    assert models(hall) == ["m"] * 4


def test_what_none_of_them_serves_is_refused(hall):
    hall.make(groups={"fleet": (Member("anthropic", "claude-x"), Member("google", "gemini-x"))})
    answered = hall.ask("/v1/embeddings", {"model": "fleet", "input": "x"})

    assert (answered.status, answered.error["code"]) == (400, "endpoint_not_supported")


def test_a_caller_that_wants_one_attempt_gets_one(hall):
    hall.make(groups={"fleet": FLEET})
    answered = hall.ask("/v1/chat/completions", {"model": "fleet", "messages": []}, x_headworks_retries="0")
    fail(hall, FailureKind.ERROR)

    assert (answered.status, models(hall)) == (502, ["m"])


def test_a_call_that_goes_on_from_a_stored_response_stays_where_that_lies(hall):
    hall.make(groups={"fleet": (Member("stub", "m"), Member("pooled", "p"))})
    hall.own("resp_1", provider="pooled:two")
    hall.ask("/v1/responses", {"model": "fleet", "input": "x", "previous_response_id": "resp_1"}, turns=6)
    assert models(hall) == ["p"]
    assert b"key-of-two" in hall.flight.request.headers
    hall.answer(ERROR, 500)
    hall.turn(8)

    assert len(hall.upstream.flights) == 1
