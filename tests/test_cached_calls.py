"""The response cache of a workload, as a dialogue of callers, gateway and upstream."""

import json
import time

import pytest

from headworks.access import Grant
from headworks.calls import Caller, Endpoint, FailureKind, SettledFromCache, Usage
from headworks.catalogue import PriceBook, Terms, shipped
from headworks.dialects.canonical import AnswerMessage, AnswerText, ModelAnswer
from headworks.dialects.whole import write_stream
from headworks.response_cache import MemoryStore, ResponseCache
from played_work import (
    DONE,
    EVENTS,
    TOOLS,
    chat_answer,
    chunk,
    completed,
    event,
    message_item,
    response_object,
    team,
    text_delta,
)

CACHE = "cache: {ttl_s: 60}\n"
TEXT = {"schema": None}


@pytest.fixture
def counted():
    return []


@pytest.fixture
def make(work, counted):
    """A workload with a cache in memory; further lines of its contract come behind."""

    def made(contract=CACHE, **options):
        cache = ResponseCache("triage", MemoryStore(1 << 20, time.monotonic), None, time.time, counted.append)
        return work.make(contract, cache=cache, cached=counted, **options)

    return made


def hows(counted):
    return [how for _, how, _ in counted]


def test_the_second_of_two_calls_that_are_the_same_goes_nowhere(hall, work, make, counted):
    hall.price = PriceBook(shipped(), {"stub": Terms(catalogue="openai")}).for_target("stub", "gpt-6-luna")
    make()
    first = work.chat("help")
    work.answer(team("red"))
    paid = hall.settled.cost_pico
    assert paid > 0
    second = work.chat("help")

    assert (len(hall.upstream.flights), second.status) == (1, 200)
    assert json.loads(second.body) == json.loads(first.body) == team("red")
    assert (first.headers["x-headworks-cache"], second.headers["x-headworks-cache"]) == ("miss", "hit")
    assert second.headers["age"] == "0"
    assert second.headers["x-headworks-cost-usd"] == "0.000000000000"
    assert second.headers["x-headworks-verdict"] == "valid"
    assert second.headers["x-headworks-prompt-version"] == "1.2.0"
    entry = hall.entries()[-1]
    assert isinstance(entry, SettledFromCache)
    assert (entry.saved_pico, entry.settled.cost_pico, entry.settled.attempts) == (paid, 0, 0)
    assert (entry.settled.input_tokens, entry.settled.opened.provider) == (0, "")
    assert counted == [("triage", "miss", -1), ("triage", "hit", paid)]


def test_another_value_is_another_call(hall, work, make):
    make()
    work.chat("help")
    work.answer(team("red"))
    second = work.chat("fire")
    work.answer(team("blue"))

    assert json.loads(second.body) == team("blue")
    assert second.headers["x-headworks-cache"] == "miss"


@pytest.mark.parametrize(
    ("scope", "other", "shares"),
    [
        ("key", Caller("key_2", "bob", "search"), False),
        ("team", Caller("key_2", "bob", "search"), True),
        ("team", Caller("key_2", "bob", "sales"), False),
        ("team", Caller("key_2", "bob", ""), False),
        ("user", Caller("key_2", "ann", "search"), False),
    ],
)
def test_nothing_of_one_tenant_reaches_another(hall, work, make, scope, other, shares):
    make(f"cache: {{scope: {scope}}}\n")
    work.chat("help")
    work.answer(team("red"))
    hall.ring.grant = Grant(other)
    hall.ring.edition = object()
    second = work.chat("help")

    assert bool(second.status) is shares
    assert len(hall.upstream.flights) == (1 if shares else 2)
    if not shares:
        work.answer(team("blue"))
        assert json.loads(second.body) == team("blue")


def test_end_users_are_kept_apart_where_the_scope_says_so(hall, work, make):
    make("cache: {scope: user}\n")
    work.chat("help", user="u-1")
    work.answer(team("red"))
    other, same = work.chat("help", user="u-2"), work.chat("help", user="u-1")

    assert (other.status, same.headers["x-headworks-cache"]) == (0, "hit")
    work.answer(team("blue"))


def test_calls_that_come_at_once_make_one(hall, work, make, counted):
    make()
    calls = [work.chat("help") for _ in range(5)]
    assert len(hall.upstream.flights) == 1
    work.answer(team("red"))

    assert [json.loads(one.body) for one in calls] == [team("red")] * 5
    assert sorted(hows(counted)) == ["hit"] * 4 + ["miss"]


def test_where_the_first_fails_the_others_go_by_themselves(hall, work, make):
    make()
    calls = [work.chat("help") for _ in range(3)]
    work.fail(FailureKind.UNREACHABLE)

    assert calls[0].status == 502
    assert len(hall.upstream.flights) == 3
    for flight in hall.upstream.flights[1:]:
        hall.loop.call_soon(flight.answer, team("red"), 200)
        hall.turn(2)
    work.settle()
    assert [json.loads(one.body) for one in calls[1:]] == [team("red")] * 2


def test_a_first_that_goes_away_takes_nobody_along(hall, work, make):
    make()
    calls = [work.chat("help") for _ in range(3)]
    calls[0].running.cancel()
    hall.turn(3)

    assert len(hall.upstream.flights) == 2
    work.answer(team("red"))
    assert [json.loads(one.body) for one in calls[1:]] == [team("red")] * 2


def test_a_follower_that_goes_away_leaves_the_others(hall, work, make):
    make()
    calls = [work.chat("help") for _ in range(3)]
    calls[1].running.cancel()
    hall.turn(2)
    work.answer(team("red"))

    assert [bool(one.status) for one in calls] == [True, False, True]
    assert len(hall.upstream.flights) == 1


@pytest.mark.parametrize(("wish", "is_kept"), [("no-cache", True), ("no-store", False)])
def test_a_caller_may_do_without(hall, work, make, counted, wish, is_kept):
    make()
    work.chat("help")
    work.answer(team("red"))
    body = {"model": "triage", "messages": [], "prompt": {"variables": {"ticket": "help"}}}
    fresh = hall.ask("/v1/chat/completions", body, cache_control=wish)
    work.answer(team("blue"))
    after = work.chat("help")

    assert (json.loads(fresh.body), fresh.headers["x-headworks-cache"]) == (team("blue"), "bypass")
    assert json.loads(after.body) == team("blue" if is_kept else "red")
    assert hows(counted) == ["miss", "bypass", "hit"]


@pytest.mark.parametrize(
    "answer",
    [
        chat_answer(None, [("look", '{"id": 1}')]),
        {**chat_answer("cut"), "choices": [{**chat_answer("cut")["choices"][0], "finish_reason": "length"}]},
        {**chat_answer(), "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant",
         "content": None, "refusal": "No."}}]},
    ],
    ids=["tool call", "cut", "refusal"],
)  # fmt: skip
def test_what_is_no_complete_text_is_not_given_again(hall, work, make, answer):
    make(schema=None, tools=TOOLS[:1])
    work.chat("help")
    work.answer(answer)
    assert hall.settled.outcome == "answered"
    second = work.chat("help")

    assert (second.status, len(hall.upstream.flights)) == (0, 2)
    work.answer(chat_answer("a text"))
    assert second.headers["x-headworks-cache"] == "miss"


def test_an_answer_that_was_judged_bad_is_not_given_again(hall, work, make):
    make(CACHE + "validation: {repairs: 0}\n")
    work.chat("help")
    work.answer(team("green"))
    assert work.chat("help").status == 0
    work.answer(team("red"))


def test_an_answer_of_a_fallback_is_not_given_again(hall, work, make):
    make(CACHE + "fallback: [large]\n")
    first = work.chat("help")
    work.fail(FailureKind.UNREACHABLE)
    work.answer(team("red"))
    second = work.chat("help")

    assert (first.status, second.status) == (200, 0)
    work.answer(team("blue"))


@pytest.mark.parametrize(
    "fields",
    [{"tools": [{"type": "web_search"}]}, {"store": True}, {"previous_response_id": "resp_9"}],
    ids=["a tool of the provider's", "stored for the caller", "goes on from a stored response"],
)
def test_what_has_effects_or_a_state_elsewhere_is_always_asked(hall, work, make, counted, fields):
    make(CACHE + "caller_may_set: [tools, instructions]\nstate: provider\n", schema=None)
    work.respond("help", **fields)
    work.answer(response_object(message_item("one")))

    assert hows(counted) == ["bypass"]


def streamed(hall, work, *pieces, ticket="x"):
    answered = work.chat(ticket, stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    for piece in pieces:
        hall.flight.sink.on_body(piece)
    hall.flight.sink.on_end()
    work.settle()
    return answered


def test_a_stream_is_given_again_byte_for_byte(hall, work, make):
    make(schema=None)
    first = streamed(hall, work, chunk("Hello "), chunk("there."), DONE)
    second = work.chat("x", stream=True)

    assert second.body == first.body
    assert second.headers["content-type"].startswith("text/event-stream")
    assert (first.headers["x-headworks-cache"], second.headers["x-headworks-cache"]) == ("miss", "hit")
    assert hall.entries()[-1].settled.opened.is_streamed
    whole = work.chat("x")
    assert whole.status == 0, "a whole answer is another"
    work.answer(chat_answer("Hello there."))


def test_a_stream_that_breaks_off_is_not_given_again(hall, work, make):
    make(schema=None)
    work.chat("x", stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Hello "))
    work.fail(FailureKind.BROKEN)
    second = streamed(hall, work, chunk("Whole."), DONE)

    assert second.headers["x-headworks-cache"] == "miss"
    assert len(hall.upstream.flights) == 2


def test_a_stream_keeps_its_pace_where_the_contract_says_so(hall, work, make):
    make("cache: {replay: original}\n", schema=None)
    first = work.chat("x", stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Hello "))
    begun_s = hall.loop.time()
    while hall.loop.time() - begun_s < 0.03:
        hall.turn(1)
    hall.flight.sink.on_body(DONE)
    hall.flight.sink.on_end()
    work.settle()
    second = work.chat("x", stream=True)

    assert (second.is_over, b"Hello" in second.body) == (False, True)
    begun_s = hall.loop.time()
    while not second.is_over and hall.loop.time() - begun_s < 10:
        hall.turn(1)
    assert second.body == first.body


def test_a_response_repeats_what_its_own_caller_sent(hall, work, make):
    make(schema=None)
    work.respond("x", metadata={"run": "1"}, user="u-1")
    work.answer(response_object(message_item("hi")) | {"metadata": {"run": "1"}, "user": "u-1"})
    second = work.respond("x", metadata={"run": "2"})

    said = json.loads(second.body)
    assert (said["metadata"], said["user"], second.headers["x-headworks-cache"]) == ({"run": "2"}, None, "hit")
    assert said["output"][0]["content"][0]["text"] == "hi"


def test_a_streamed_response_repeats_it_too(hall, work, make):
    make(schema=None)
    work.respond("x", stream=True, metadata={"run": "1"})
    hall.flight.sink.on_head(200, EVENTS)
    end = json.loads(completed(message_item("hi")).split(b"data: ")[1])
    end["response"]["metadata"] = {"run": "1"}
    hall.flight.sink.on_body(event("response.created", response=response_object() | {"metadata": {"run": "1"}}))
    hall.flight.sink.on_body(text_delta("hi"))
    hall.flight.sink.on_body(f"event: response.completed\ndata: {json.dumps(end)}\n\n".encode())
    hall.flight.sink.on_end()
    work.settle()
    second = work.respond("x", stream=True, metadata={"run": "2"})

    assert second.headers["x-headworks-cache"] == "hit"
    assert second.body.count(b'"metadata":{"run": "2"}') == 2
    assert b'"run": "1"' not in second.body
    assert b"response.output_text.delta" in second.body


def test_a_workload_without_a_cache_says_nothing_of_it(hall, work):
    work.make()
    answered = work.chat("help")
    work.answer(team("red"))

    assert "x-headworks-cache" not in answered.headers


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_call_in_anthropics_words_is_given_the_answer_of_one_in_openais(hall, work, make, is_streamed):
    make("cache: {}\n", schema=None, prompt=None)
    body = {"model": "triage", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    first = hall.ask("/v1/messages", body | {"stream": is_streamed})
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        said = ModelAnswer(
            "resp_1", "m-2026", 1, (AnswerMessage((AnswerText("hello"),)),), usage=Usage(3, output_tokens=2)
        )
        hall.flight.sink.on_body(write_stream(said, Endpoint.RESPONSES, {}))
        hall.flight.sink.on_end()
        work.settle()
    else:
        work.answer(response_object(message_item("hello")))
    second = hall.ask("/v1/messages", body | {"stream": is_streamed})

    assert second.headers["x-headworks-cache"] == "hit"
    assert b"hello" in second.body
    assert second.body == first.body


def test_a_wish_that_responses_has_no_place_for_makes_another_call(hall, work, make):
    make(speaks=[Endpoint.MESSAGES])
    variables = {"prompt": {"variables": {"ticket": "x"}}}
    block = {"type": "text", "text": '{"team":"red"}'}
    usage = {"input_tokens": 10, "output_tokens": 5}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [block]}
    for top_k in (3, 4, 3):
        before = len(hall.upstream.flights)
        hall.ask("/v1/messages", {"model": "triage", "messages": [], "max_tokens": 99, "top_k": top_k} | variables)
        if len(hall.upstream.flights) > before:
            work.answer(message | {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage})

    assert [flight.body["top_k"] for flight in hall.upstream.flights] == [3, 4]
