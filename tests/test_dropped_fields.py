"""Calls whose target has nothing for a field that its contract, or its model's name, lists as droppable: answered, and
told so in the answer's head and in the record."""

import json
import time

import msgspec
import pytest

from headworks.calls import Endpoint, FailureKind
from headworks.providers import ProviderSettings
from headworks.providers.quirky import QuirkyProvider
from headworks.response_cache import MemoryStore, ResponseCache
from played_work import EVENTS, chat_answer

MESSAGES, GEMINI = Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT


@pytest.fixture
def name(hall):
    """Give a target a public name with what may be left out for it."""

    def do(public, target, droppable=(), **fields):
        found = msgspec.structs.replace(hall.table.resolve(target), droppable=tuple(droppable), **fields)
        hall.table.named[public] = found
        return found

    return do


def quirky(target, *refused):
    provider = QuirkyProvider(ProviderSettings("quirky", "/v1", refused=refused))
    return msgspec.structs.replace(target, station=msgspec.structs.replace(target.station, provider=provider))


def claude(text="Hello there."):
    usage = {"input_tokens": 9, "output_tokens": 3}
    content = [{"type": "text", "text": text}]
    frame = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content}
    return frame | {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


def stream_of_claude():
    start = claude() | {"content": [], "stop_reason": None}
    told = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in told)


# -- models -----------------------------------------------------------------------------------------------------------


def test_what_a_model_lists_is_left_out_and_told(hall, name):
    name("m", "anthropic/claude-x", ["seed", "logprobs", "verbosity"])
    answered = hall.chat(model="m", seed=7, logprobs=True, temperature=0.5)
    assert (hall.flight.body["temperature"], "seed" in hall.flight.body) == (0.5, False)
    hall.answer(claude())

    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, "seed, logprobs")
    assert hall.settled.course == "anthropic/claude-x (without seed, logprobs)"
    assert hall.settled.workload == ""


def test_what_it_does_not_list_is_refused_by_name(hall, name):
    name("m", "anthropic/claude-x", ["seed"])
    answered = hall.chat(model="m", seed=7, logit_bias={"5": 1})

    assert (answered.status, answered.error["param"]) == (400, "logit_bias")
    assert hall.upstream.flights == []


def test_a_call_that_needs_nothing_left_out_is_told_nothing(hall, name):
    name("m", "anthropic/claude-x", ["seed"])
    answered = hall.chat(model="m", temperature=0.5)
    hall.answer(claude())

    assert (answered.status, "x-headworks-dropped" in answered.headers, hall.settled.course) == (200, False, "")


def test_a_stream_is_told_too(hall, name):
    name("m", "anthropic/claude-x", ["seed"])
    answered = hall.chat(model="m", seed=7, stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(stream_of_claude())
    hall.flight.sink.on_end()
    hall.turn(10)

    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, "seed")
    assert b"Hello" in answered.body
    assert hall.settled.course == "anthropic/claude-x (without seed)"


def test_each_target_of_a_chain_is_asked_all_that_it_can_honour(hall, name):
    name("m", "anthropic/claude-x", ["seed"], fallback=("google/gemini-x",))
    answered = hall.chat(model="m", seed=7)
    assert "seed" not in hall.flight.body
    hall.answer(b"{}", status=529)
    assert hall.flight.body["generationConfig"]["seed"] == 7
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}
    hall.answer({"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r"})

    assert (answered.status, answered.headers["x-headworks-fallback"]) == (200, "upstream_overloaded")
    assert "x-headworks-dropped" not in answered.headers


def test_the_name_that_is_called_says_it_for_its_fallbacks(hall, name):
    name("m", "google/gemini-x", ["seed"], fallback=("anthropic/claude-x",))
    answered = hall.chat(model="m", seed=7)
    hall.answer(b"{}", status=503)
    hall.answer(claude())

    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, "seed")
    assert hall.settled.course == "anthropic/claude-x (without seed)"


def test_what_a_server_with_quirks_refuses_is_left_out_where_it_speaks_the_callers_api(hall, name):
    name("m", "only-chat/c", ["verbosity"])
    hall.table.named["m"] = quirky(hall.table.named["m"], "verbosity", "seed")
    answered = hall.chat(model="m", verbosity="low")
    assert "verbosity" not in hall.flight.body
    hall.answer(chat_answer("Hi"))
    refused = hall.chat(model="m", verbosity="low", seed=3)

    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, "verbosity")
    assert (refused.status, refused.error["param"]) == (400, "seed")


def test_what_such_a_server_refuses_of_a_translation_is_named_as_the_caller_has_it(hall, name):
    name("m", "only-chat/c", ["reasoning.effort"])
    hall.table.named["m"] = quirky(hall.table.named["m"], "verbosity", "reasoning_effort")
    asked = {"model": "m", "input": "x", "reasoning": {"effort": "low"}}
    refused = hall.ask("/v1/responses", asked | {"text": {"verbosity": "low"}})
    answered = hall.ask("/v1/responses", asked)
    hall.answer(chat_answer("Hi"))

    assert (refused.status, refused.error["param"]) == (400, "text.verbosity")
    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, "reasoning.effort")


@pytest.mark.parametrize(
    ("path", "body", "dropped"),
    [
        ("/v1/messages", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "top_k": 5}, "top_k"),
        (
            "/v1beta/models/m:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "x"}]}], "generation_config": {"top_k": 5}},
            "generationConfig.topK",
        ),
    ],
)
def test_other_callers_are_told_in_their_words(hall, name, path, body, dropped):
    name("m", "only-chat/c", [dropped])
    answered = hall.ask(path, {"model": "m"} | body if "messages" in body else body)
    assert b"top_k" not in hall.flight.request.body
    hall.answer(chat_answer("Hi"))

    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, dropped)


# -- workloads --------------------------------------------------------------------------------------------------------

BARE = {"schema": None, "prompt": None}


@pytest.fixture
def contract(hall, work):
    """Make a workload of a contract.

    Arguments:
        behind: what its targets speak, and the station of each, where it is not the usual one.
    """

    def make(text, *behind, **options):
        work.make(text, **BARE, **options)
        works = hall.gateway._works._works
        chain = list(works["triage"].chain)
        for index, (speaks, station) in enumerate(behind):
            chain[index] = msgspec.structs.replace(chain[index], speaks=frozenset({speaks}), station=station)
        works["triage"] = msgspec.structs.replace(works["triage"], chain=tuple(chain))
        return work

    return make


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_contract_lists_is_left_out_and_told(hall, contract, stream):
    work = contract("droppable: [seed, logprobs]\n", (MESSAGES, hall.anthropic_station()))
    answered = hall.chat(model="triage", seed=7, logprobs=True, stream=stream)
    assert not {"seed", "logprobs"} & hall.flight.body.keys()
    if stream:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(stream_of_claude())
        hall.flight.sink.on_end()
        work.settle()
    else:
        work.answer(claude())

    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, "seed, logprobs")
    assert hall.settled.course.startswith("stub/small (without seed, logprobs)")


def test_what_a_contract_does_not_list_is_refused_by_name(hall, contract):
    contract("droppable: [seed]\n", (MESSAGES, hall.anthropic_station()))
    answered = hall.chat(model="triage", seed=7, logprobs=True)

    assert (answered.status, answered.error["param"]) == (400, "logprobs")


def test_what_only_the_first_of_a_chain_refuses_the_next_is_asked(hall, contract):
    work = contract("fallback: [large]\ndroppable: [seed]\n", (MESSAGES, hall.anthropic_station()))
    answered = hall.chat(model="triage", seed=7)
    work.fail(FailureKind.UNREACHABLE)
    assert hall.flight.body["seed"] == 7
    work.answer(chat_answer("Hi"))

    assert (answered.status, "x-headworks-dropped" in answered.headers) == (200, False)
    assert hall.settled.course == "stub/small (without seed): upstream_unreachable; stub/large: good"


def test_a_caller_of_another_api_is_told_by_its_own_name(hall, contract):
    listed = "droppable: [speed, tool_choice.disable_parallel_tool_use]\n"
    work = contract(listed, (GEMINI, hall.gemini_station()))
    body = {"model": "triage", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "speed": "fast"}
    body |= {"tools": [{"name": "look", "input_schema": {"type": "object"}}]}
    body |= {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    answered = hall.ask("/v1/messages", body)
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}
    work.answer({"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r"})

    assert answered.status == 200
    assert answered.headers["x-headworks-dropped"] == "speed, tool_choice.disable_parallel_tool_use"


def test_a_head_that_went_out_early_is_followed_by_the_names(hall, contract):
    work = contract("droppable: [seed]\n", (MESSAGES, hall.anthropic_station()), heartbeat_s=0.01)
    answered = hall.chat(model="triage", seed=7, stream=True)
    while not answered.status:
        hall.rest(0.005)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(stream_of_claude())
    hall.flight.sink.on_end()
    work.settle()

    assert "x-headworks-dropped" not in answered.headers
    assert b": x-headworks-dropped: seed\n" in answered.body


@pytest.mark.parametrize("seed", [{}, {"seed": 7}])
def test_an_answer_to_less_than_was_asked_is_given_to_nobody_else(hall, contract, seed):
    cache = ResponseCache("triage", MemoryStore(1 << 20, time.monotonic), None, time.time, lambda *_: None)
    work = contract("droppable: [seed]\ncache: {ttl_s: 60}\n", (MESSAGES, hall.anthropic_station()), cache=cache)
    asked = {"model": "triage", "messages": [{"role": "user", "content": "x"}], **seed}
    first = hall.ask("/v1/chat/completions", asked, turns=30)
    work.answer(claude())
    second = hall.ask("/v1/chat/completions", asked, turns=30)
    if seed:
        work.answer(claude())

    assert first.headers["x-headworks-cache"] == "miss"
    assert second.headers["x-headworks-cache"] == ("miss" if seed else "hit")
    assert second.headers.get("x-headworks-dropped") == (", ".join(seed) or None)


def test_what_the_caller_of_another_api_wishes_for_makes_another_call(hall, contract):
    cache = ResponseCache("triage", MemoryStore(1 << 20, time.monotonic), None, time.time, lambda *_: None)
    work = contract("droppable: [speed]\ncache: {ttl_s: 60}\n", (GEMINI, hall.gemini_station()), cache=cache)
    asked = {"model": "triage", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9}
    candidate = {"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}
    told = []
    for fields in ({}, {"speed": "fast"}, {"speed": "fast"}):
        answered = hall.ask("/v1/messages", asked | fields, turns=30)
        work.answer({"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r"})
        told.append((answered.headers["x-headworks-cache"], answered.headers.get("x-headworks-dropped")))

    assert told == [("miss", None), ("miss", "speed"), ("miss", "speed")]


def test_whom_a_call_is_for_is_known_where_a_target_is_not_told(hall, name):
    name("m", "only-chat/c", ["metadata", "top_k"])
    hall.table.named["m"] = quirky(hall.table.named["m"], "safety_identifier")
    message = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "metadata": {"user_id": "ann"}}
    answered = hall.ask("/v1/messages", {"model": "m", "top_k": 5} | message)
    hall.answer(chat_answer("Hi"))

    assert answered.headers["x-headworks-dropped"] == "top_k, metadata.user_id"
    assert hall.settled.opened.user == "ann"
