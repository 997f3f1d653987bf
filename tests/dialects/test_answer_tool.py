"""Structured output by a tool, for models at Bedrock that cannot be held to a schema."""

import json

import pytest
from converse_samples import (
    BEGIN,
    CHAT,
    CLAUDE,
    CONVERSE,
    META,
    RESPONSES,
    WHOLE,
    answer,
    delta,
    end,
    stop,
    streamed,
    tool_start,
)

from headworks.dialects import EventSplitter, parse_event
from headworks.dialects.answer_tool import ANSWER_TOOL, AnswerToolBridge
from headworks.dialects.structured import SchemaBridge, emulated_by, schema_bridge
from headworks.errors import Refusal

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
WANTED = {
    CHAT: {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
    RESPONSES: {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
}
OTHER = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}


def asked(called, **fields):
    body = json.dumps(WHOLE[called] | WANTED[called] | fields).encode()
    bridge = AnswerToolBridge(called, CONVERSE, body)
    return bridge, json.loads(bridge.request(body, CLAUDE))


@pytest.mark.parametrize("called", [CHAT, RESPONSES])
def test_the_model_has_to_call_a_tool_whose_parameters_the_schema_is(called):
    _, sent = asked(called)
    (tool,) = sent["toolConfig"]["tools"]
    assert (tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]["json"]) == (ANSWER_TOOL, SCHEMA)
    assert sent["toolConfig"]["toolChoice"] == {"tool": {"name": ANSWER_TOOL}}
    assert "outputConfig" not in sent


def test_beside_other_tools_it_has_to_call_one_of_them():
    _, sent = asked(CHAT, tools=[OTHER])
    assert [one["toolSpec"]["name"] for one in sent["toolConfig"]["tools"]] == ["other", ANSWER_TOOL]
    assert sent["toolConfig"]["toolChoice"] == {"any": {}}


def test_a_tool_of_this_name_is_refused():
    with pytest.raises(Refusal, match=ANSWER_TOOL):
        asked(CHAT, tools=[OTHER | {"function": OTHER["function"] | {"name": ANSWER_TOOL}}])


def test_the_call_is_the_answers_text():
    bridge, _ = asked(CHAT)
    call = {"toolUse": {"toolUseId": "t", "name": ANSWER_TOOL, "input": {"a": 1}}}
    body, summary = bridge.answer(json.dumps(answer(call, stop="tool_use")).encode())
    choice = json.loads(body)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"a": 1}', "stop")
    assert summary.finish_reason == "stop"


def test_in_a_stream_too():
    bridge, _ = asked(RESPONSES, stream=True)
    data = streamed(
        BEGIN, tool_start(0, name=ANSWER_TOOL), delta(0, toolUse={"input": '{"a"'}), delta(0, toolUse={"input": ":1}"}),
        stop(0), end("tool_use"), META,
    )  # fmt: skip
    events = [parse_event(block) for block in EventSplitter().feed(bridge.stream().feed(data))]
    last = json.loads(events[-1].data)["response"]
    assert last["output"][0]["content"][0]["text"] == '{"a":1}'


def test_other_calls_stay_calls():
    bridge, _ = asked(CHAT, tools=[OTHER])
    call = {"toolUse": {"toolUseId": "t", "name": "other", "input": {}}}
    body, _ = bridge.answer(json.dumps(answer(call, stop="tool_use")).encode())
    assert json.loads(body)["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("speaks", "mode", "expected"),
    [
        ({CHAT}, "grammar", CHAT),
        ({CHAT, CONVERSE}, "tool", CHAT),
        ({CONVERSE}, "tool", CONVERSE),
        ({CONVERSE}, "json_object", None),
        ({CONVERSE}, "json_schema", None),
        ({RESPONSES}, "tool", None),
    ],
)
def test_where_a_schema_is_asked_for_in_another_way(speaks, mode, expected):
    assert emulated_by(frozenset(speaks), mode) is expected


def test_each_api_has_its_bridge():
    body = json.dumps(WHOLE[CHAT] | WANTED[CHAT]).encode()
    assert isinstance(schema_bridge(CHAT, CONVERSE, body, "tool"), AnswerToolBridge)
    assert isinstance(schema_bridge(CHAT, CHAT, body, "tool"), SchemaBridge)
