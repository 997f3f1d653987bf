"""A workload's schema at upstreams that do not know `json_schema`: asked in their own way, answered as everywhere."""

import json

import pytest

from headworks.calls import Endpoint
from played_work import EVENTS, SCHEMA, TOOLS, call_chunk, chat_answer, chunk, message_item, response_object

GOOD = '{"team": "red"}'
WRONG = '{"team": "green"}'
FINISH = chunk(finish_reason="tool_calls") + b"data: [DONE]\n\n"
BOTH = pytest.mark.parametrize("dialect", ["chat", "responses"])


@pytest.fixture
def desk(hall, work):
    def desk(mode, **options):
        hall.structured_output = mode
        return work.make("validation: {repairs: 1}\n", **options)

    return desk


def ask(desk, dialect, **fields):
    return desk.chat(**fields) if dialect == "chat" else desk.respond(**fields)


def said(answered, dialect):
    body = json.loads(answered.body)
    return body["choices"][0]["message"]["content"] if dialect == "chat" else body["output"][0]["content"][0]["text"]


@BOTH
def test_a_grammar_is_made_of_the_schema(hall, desk, dialect):
    answered = ask(desk("grammar"), dialect)
    up = hall.flight
    assert b"/v1/chat/completions" in up.request.line
    assert up.body["response_format"] == {"type": "json_object", "schema": SCHEMA}

    hall.answer(chat_answer(GOOD))
    assert said(answered, dialect) == GOOD
    assert answered.headers["x-headworks-verdict"] == "valid"


@BOTH
def test_a_tool_is_called_whose_arguments_are_the_answer(hall, desk, dialect):
    answered = ask(desk("tool"), dialect)
    (tool,) = hall.flight.body["tools"]
    assert tool["function"]["parameters"] == SCHEMA
    assert hall.flight.body["tool_choice"] == {"type": "function", "function": {"name": "give_answer"}}
    assert "response_format" not in hall.flight.body

    hall.answer(chat_answer(calls=[("give_answer", GOOD)]))
    assert said(answered, dialect) == GOOD
    assert hall.settled.verdict == "valid"
    assert hall.settled.output_tokens == 5


@BOTH
def test_json_mode_has_the_schema_in_the_instructions_behind_the_prompts(hall, desk, dialect):
    answered = ask(desk("json_object"), dialect)
    messages = hall.flight.body["messages"]
    assert hall.flight.body["response_format"] == {"type": "json_object"}
    assert messages[0]["content"] == "Sort tickets."
    assert messages[1]["role"] == messages[0]["role"]
    assert json.loads(messages[1]["content"].partition("\n")[2]) == SCHEMA

    hall.answer(chat_answer(GOOD))
    assert said(answered, dialect) == GOOD


@pytest.mark.parametrize("mode", ["grammar", "tool", "json_object"])
def test_what_none_of_them_promises_is_checked_and_mended(hall, desk, mode):
    def given(text):
        return chat_answer(calls=[("give_answer", text)]) if mode == "tool" else chat_answer(text)

    answered = desk(mode).chat()
    hall.answer(given(WRONG))
    assert "/team" in hall.flight.body["messages"][-1]["content"]
    hall.answer(given(GOOD))

    assert said(answered, "chat") == GOOD
    assert answered.headers["x-headworks-verdict"] == "repaired"


def test_where_there_are_other_tools_the_model_has_to_call_one(hall, desk):
    answered = desk("tool", tools=TOOLS).chat()
    names = [tool["function"]["name"] for tool in hall.flight.body["tools"]]
    assert (names, hall.flight.body["tool_choice"]) == (["look", "pay", "erase", "give_answer"], "required")

    hall.answer(chat_answer(calls=[("look", '{"id": 1}')]))
    (call,) = json.loads(answered.body)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "look"


def test_a_tool_with_the_name_of_ours_is_refused(desk):
    answered = desk("tool", tools=[TOOLS[0] | {"name": "give_answer"}]).chat()
    assert (answered.status, answered.error["param"]) == (400, "tools")


def test_a_chat_stream_of_the_tools_arguments_is_a_stream_of_text(hall, desk):
    answered = desk("tool").chat(stream=True)
    assert hall.flight.body["stream_options"] == {"include_usage": True}
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(call_chunk("give_answer", GOOD[:6]) + call_chunk(arguments=GOOD[6:]))
    hall.flight.sink.on_body(FINISH)
    hall.turn(10)

    data = [json.loads(line[6:]) for line in answered.body.splitlines() if line.startswith(b"data: {")]
    choices = [choice for one in data for choice in one["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == GOOD
    assert choices[-1]["finish_reason"] == "stop"
    assert b"tool_calls" not in answered.body
    assert hall.settled.verdict == "valid"


def test_a_responses_stream_of_the_tools_arguments_is_a_stream_of_text(hall, desk):
    answered = desk("tool").respond(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(call_chunk("give_answer", GOOD[:6]) + call_chunk(arguments=GOOD[6:]) + FINISH)
    hall.turn(10)

    data = [json.loads(line[6:]) for line in answered.body.splitlines() if line.startswith(b"data: {")]
    assert "".join(one["delta"] for one in data if one["type"] == "response.output_text.delta") == GOOD
    assert data[-1]["type"] == "response.completed"
    assert data[-1]["response"]["output"][0]["content"][0]["text"] == GOOD


def test_a_stream_that_breaks_the_schema_is_ended(hall, desk):
    answered = desk("tool").chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(call_chunk("give_answer", '{"team": '))
    hall.turn()
    hall.flight.sink.on_body(call_chunk(arguments='"green"}'))
    hall.turn(10)

    assert b"output_invalid" in answered.body
    assert b"green" not in answered.body


def test_without_a_schema_nothing_is_translated(hall, desk):
    desk("tool", schema=None).chat()
    assert "tools" not in hall.flight.body
    hall.answer(chat_answer("Hello."))


def test_an_upstream_that_only_speaks_responses_is_asked_in_the_apis_own_way(hall, desk):
    desk("tool", speaks=[Endpoint.RESPONSES]).respond()
    assert hall.flight.body["text"]["format"]["type"] == "json_schema"
    hall.answer(response_object(message_item(GOOD)))
