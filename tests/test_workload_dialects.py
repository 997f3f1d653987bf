"""Workloads called through the APIs of Anthropic and Google: judged like any other call, answered in their words."""

import asyncio
import json

import pytest

from headworks.access import Grant
from headworks.calls import Caller, Endpoint, Failure, FailureKind
from headworks.dialects.canonical import AnswerMessage, AnswerText, ModelAnswer
from headworks.dialects.whole import write_stream
from played_work import team

EVENTS = {b"content-type": b"text/event-stream"}
DOWN = Failure(FailureKind.UNREACHABLE, "stub failed")
DIALECTS = pytest.mark.parametrize("dialect", ["messages", "gemini"])


@pytest.fixture
def until(hall):
    def wait(is_so):
        async def turn():
            while not is_so():
                await asyncio.sleep(0.002)

        hall.loop.run_until_complete(asyncio.wait_for(turn(), 20))

    return wait


@pytest.fixture
def ask(hall):
    def do(dialect, *, stream=False, ticket="x", **fields):
        variables = {"prompt": {"variables": {"ticket": ticket}}}
        if dialect == "messages":
            body = {"model": "triage", "messages": [], "max_tokens": 4096, "stream": stream} | variables | fields
            return hall.ask("/v1/messages", body)
        what, query = ("streamGenerateContent", "alt=sse") if stream else ("generateContent", "")
        return hall.ask(f"/v1beta/models/triage:{what}", {"contents": []} | variables | fields, query=query)

    return do


def response(text, **fields):
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    frame = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m-2026"}
    return frame | {"output": [item], "usage": usage} | fields


def events(text):
    answer = ModelAnswer("1", "m-2026", 1, (AnswerMessage((AnswerText(text),)),), usage=None)
    return write_stream(answer, Endpoint.RESPONSES, {})


def said(answered, dialect):
    """The text of an answer, whole or streamed."""
    lines = [line for line in answered.body.split(b"\n") if line.startswith(b"data: ")]
    values = [json.loads(line[6:]) for line in lines] if lines else [json.loads(answered.body)]
    if dialect == "gemini":
        return "".join(part["text"] for one in values for part in one["candidates"][0]["content"].get("parts", ()))
    if lines:
        return "".join(one["delta"].get("text", "") for one in values if one["type"] == "content_block_delta")
    return "".join(part["text"] for part in values[0]["content"])


@DIALECTS
def test_an_answer_is_held_to_the_schema_and_mended(hall, work, ask, dialect):
    work.make("output: {max_tokens: 100}\n")
    answered = ask(dialect)
    sent = hall.flight.body
    assert hall.flight.request.line.startswith(b"POST /v1/responses ")
    assert (sent["max_output_tokens"], sent["store"], sent["text"]["format"]["type"]) == (100, False, "json_schema")
    assert [item["content"] for item in sent["input"]] == ["Sort tickets.", "Ticket: x"]
    work.answer(response('{"team":"green"}'))
    work.answer(response('{"team":"red"}'))

    assert (answered.status, answered.headers["x-headworks-verdict"]) == (200, "repaired")
    assert json.loads(said(answered, dialect)) == {"team": "red"}
    assert ("request-id" in answered.headers) is (dialect == "messages")
    settled = hall.settled
    assert (settled.workload, settled.repairs, settled.opened.requested_model) == ("triage", 1, "triage")
    assert settled.opened.endpoint == ("messages" if dialect == "messages" else "generate_content")


@DIALECTS
def test_a_stream_comes_in_the_callers_dialect(hall, work, ask, dialect):
    work.make()
    answered = ask(dialect, stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    data = events('{"team":"red"}')
    work.come(*(data[at : at + 40] for at in range(0, len(data), 40)))

    assert answered.is_over
    assert json.loads(said(answered, dialect)) == {"team": "red"}
    assert hall.settled.verdict == "valid"


@DIALECTS
@pytest.mark.parametrize("stream", [False, True])
def test_the_last_answer_comes_in_the_callers_dialect(hall, work, ask, dialect, stream):
    work.make("fallback: [deterministic]\n", fallback={"team": "blue"})
    answered = ask(dialect, stream=stream)
    work.fail(FailureKind.UNREACHABLE)

    assert (answered.status, answered.headers["x-headworks-degraded"]) == (200, "upstream_unreachable")
    assert json.loads(said(answered, dialect)) == {"team": "blue"}
    assert b"headworks/deterministic" in answered.body
    assert b'"metadata":{"headworks.degraded":"upstream_unreachable"}' in answered.body


@pytest.mark.parametrize("droppable", ["", "droppable: [thinking]\n"])
def test_a_caller_who_lets_a_model_think_is_answered_where_nothing_can_be_sealed(hall, work, ask, droppable):
    work.make(droppable, speaks=[Endpoint.CHAT])
    answered = ask("messages", thinking={"type": "enabled", "budget_tokens": 3000})
    assert hall.flight.body["reasoning_effort"] == "low"
    work.answer(team("red"))

    assert (answered.status, "x-headworks-dropped" in answered.headers) == (200, False)


@DIALECTS
def test_what_is_wrong_is_told_in_the_callers_words(work, ask, dialect):
    work.make()
    instructions = (
        {"system": "Be rude."} if dialect == "messages" else {"systemInstruction": {"parts": [{"text": "x"}]}}
    )
    answered = ask(dialect, **instructions)

    assert answered.status == 400
    error = answered.error
    assert "role" in error["message"] or "instructions" in error["message"]
    assert error.get("type", error.get("status")) in ("invalid_request_error", "INVALID_ARGUMENT")


@DIALECTS
def test_who_may_not_use_a_workload_does_not_learn_of_it_by_a_field_that_it_does_not_take(hall, work, ask, dialect):
    work.make()
    hall.ring.grant = Grant(Caller("key_1"), models=("small",))
    answered = ask(dialect, top_k=3)

    assert (answered.status, "triage" in answered.error["message"]) == (404, True)
    assert "top_k" not in answered.error["message"]


@DIALECTS
def test_a_stream_that_breaks_its_schema_ends_with_the_dialects_error(hall, work, ask, dialect):
    work.make("validation: {repairs: 0}\n")
    answered = ask(dialect, stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    work.come(events('{"team":"red","more":1}'))

    assert answered.status in (200, 502)
    assert b"error" in answered.body
    assert b"more" not in answered.body.split(b"error", 1)[1]


@DIALECTS
def test_a_silent_stream_is_kept_alive_and_fails_in_the_dialect(hall, work, ask, until, dialect):
    work.make(heartbeat_s=0.01)
    answered = ask(dialect, stream=True)
    until(lambda: len(answered.body) > 2)
    hall.loop.call_soon(hall.flight.sink.on_failure, DOWN)
    until(lambda: answered.is_over)

    assert (b": keep-alive" in answered.body) is (dialect == "messages")
    assert (b"event: error" in answered.body) is (dialect == "messages")
    assert b'"error"' in answered.body


# -- what a target has that the Responses API has not ------------------------------------------------------------------

HOUR = {"type": "ephemeral", "ttl": "1h"}


def message(text):
    block = {"type": "text", "text": text}
    usage = {"input_tokens": 10, "output_tokens": 5}
    frame = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    return frame | {"content": [block], "stop_reason": "end_turn", "usage": usage}


def test_what_only_anthropic_has_goes_to_anthropic(hall, work, ask):
    work.make(speaks=[Endpoint.MESSAGES])
    answered = ask("messages", top_k=3, stop_sequences=["x"], cache_control=HOUR, speed="fast")
    sent = hall.flight.body
    assert (sent["top_k"], sent["stop_sequences"], sent["cache_control"], sent["speed"]) == (3, ["x"], HOUR, "fast")
    work.answer(message('{"team":"red"}'))

    assert (answered.status, "x-headworks-dropped" in answered.headers) == (200, False)


def test_what_only_google_has_goes_to_google(hall, work, ask):
    work.make(speaks=[Endpoint.GENERATE_CONTENT])
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    ask("gemini", generationConfig={"topK": 3, "seed": 5, "stopSequences": ["x"]}, safetySettings=safety)
    config = hall.flight.body["generationConfig"]
    work.fail(FailureKind.REJECTED)

    assert (config["topK"], config["seed"], config["stopSequences"]) == (3, 5, ["x"])
    assert hall.flight.body["safetySettings"] == safety


def test_what_chat_has_and_responses_has_not_goes_by_chat(hall, work, ask):
    work.make()
    ask("gemini", generationConfig={"seed": 5, "stopSequences": ["x"]})
    work.fail(FailureKind.REJECTED)

    assert hall.flight.request.line.startswith(b"POST /v1/chat/completions ")
    assert (hall.flight.body["seed"], hall.flight.body["stop"]) == (5, ["x"])


def test_a_hint_on_caching_is_no_reason_to_ask_by_another_api(hall, work, ask):
    work.make()
    ask("messages", cache_control=HOUR)
    work.fail(FailureKind.REJECTED)

    assert hall.flight.request.line.startswith(b"POST /v1/responses ")
    assert "cache_control" not in hall.flight.body


@pytest.mark.parametrize(
    ("dialect", "fields", "name"),
    [
        ("messages", {"top_k": 3}, "top_k"),
        ("messages", {"stop_sequences": ["x"]}, "stop_sequences"),
        ("messages", {"speed": "fast"}, "speed"),
        ("gemini", {"generationConfig": {"topK": 3}}, "generationConfig.topK"),
        ("gemini", {"generationConfig": {"seed": 3}}, "generationConfig.seed"),
        ("gemini", {"generationConfig": {"mediaResolution": "LOW"}}, "generationConfig.mediaResolution"),
        ("gemini", {"labels": {"a": "b"}}, "labels"),
    ],
)
def test_what_a_target_has_nothing_for_is_refused_or_left_out_and_named(hall, work, ask, dialect, fields, name):
    work.make(speaks=[Endpoint.RESPONSES])
    refused = ask(dialect, **fields)
    assert (refused.status, name in refused.error["message"], hall.upstream.flights) == (400, True, [])

    work.make(f"droppable: [{name}]\n", speaks=[Endpoint.RESPONSES])
    answered = ask(dialect, **fields)
    assert name.rpartition(".")[2] not in hall.flight.body
    work.answer(response('{"team":"red"}'))
    assert (answered.status, answered.headers["x-headworks-dropped"]) == (200, name)


@pytest.mark.parametrize(
    ("dialect", "fields", "name"),
    [
        ("messages", {"container": "c"}, "container"),
        ("messages", {"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ("gemini", {"cachedContent": "cachedContents/c"}, "cachedContent"),
    ],
)
def test_what_brings_instructions_or_tools_along_goes_nowhere(hall, work, ask, dialect, fields, name):
    work.make(speaks=[Endpoint.MESSAGES if dialect == "messages" else Endpoint.GENERATE_CONTENT])
    refused = ask(dialect, **fields)

    assert (refused.status, name in refused.error["message"], hall.upstream.flights) == (400, True, [])


@pytest.mark.parametrize(("contract", "status"), [("", 400), ("caller_may_set: [stop]\n", 200)])
def test_a_contracts_stop_sequences_are_its_own(hall, work, ask, contract, status):
    work.make(f"output: {{stop: ['END']}}\n{contract}", speaks=[Endpoint.MESSAGES])
    answered = ask("messages", stop_sequences=["x"])
    if status == 400:
        assert (answered.status, "`stop_sequences`" in answered.error["message"]) == (400, True)
    else:
        assert hall.flight.body["stop_sequences"] == ["x"]
        work.fail(FailureKind.REJECTED)
    ask("messages", stop_sequences=["END"])
    assert hall.flight.body["stop_sequences"] == ["END"]
    work.fail(FailureKind.REJECTED)
