import json

import pytest

from headworks.errors import ConfigError
from headworks.screening import ToolSet

PARAMETERS = {
    "type": "object",
    "properties": {"order": {"type": "integer"}},
    "required": ["order"],
    "additionalProperties": False,
}
RESPONSES = {"type": "function", "name": "refund", "parameters": PARAMETERS, "strict": True}
CHAT = {"type": "function", "function": {"name": "refund", "parameters": PARAMETERS, "strict": True}}


def compiled(*tools):
    return ToolSet.compile(json.dumps(tools, indent=1).encode(), file="tools.json")


def problems(*tools):
    with pytest.raises(ConfigError) as raised:
        compiled(*tools)
    return raised.value.problems


@pytest.mark.parametrize("tool", [RESPONSES, CHAT], ids=["responses", "chat"])
def test_arguments_are_judged_by_the_tool_s_schema(tool):
    tools = compiled(tool)

    assert tools.check_call("refund", '{"order": 8731}') is None
    assert tools.check_call("refund", '{"order": "8731"}').pointer == "/order"
    assert tools.check_call("refund", '{"order": 1, "order": 2}').rule == "duplicate-key"
    assert tools.check_call("refund", "").rule == "incomplete"


def test_a_tool_that_there_is_not_is_a_fault_that_names_those_there_are():
    fault = compiled(RESPONSES).check_call("refund_jane", "{}")

    assert fault.rule == "unknown-tool"
    assert '"refund"' in fault.message
    assert "jane" not in str(fault)
    assert compiled().check_call("refund", "{}").rule == "unknown-tool"


def test_a_tool_without_parameters_takes_an_object():
    tools = compiled({"type": "function", "name": "now", "parameters": None}, {"type": "function", "name": "today"})

    assert tools.check_call("now", "{}") is None
    assert tools.check_call("today", "[]").rule == "type"


def test_a_custom_tool_takes_any_text_and_a_tool_of_the_provider_is_passed_over():
    tools = compiled(
        {"type": "custom", "name": "sql"},
        {"type": "custom", "custom": {"name": "shell"}},
        {"type": "web_search", "filters": {"name": 1}},
    )

    assert tools.names == ("shell", "sql")
    assert tools.check_call("sql", "select 1") is None
    assert tools.check_call("web_search", "{}").rule == "unknown-tool"


def test_every_tool_that_has_a_problem_is_named_with_its_line():
    bad = {"type": "function", "name": "bad", "parameters": {"type": "wat"}}
    loose = {"type": "function", "name": "loose", "parameters": {"type": "object"}, "strict": True}

    found = problems(RESPONSES, bad, loose, {"type": "function"}, CHAT)

    assert {problem.file for problem in found} == {"tools.json"}
    assert [problem.line for problem in found] == sorted({problem.line for problem in found})
    assert [problem.message.split(":")[0] for problem in found] == [
        "/1/parameters of 'bad'",
        "/2/parameters of 'loose'",
        "/3",
        "/4/function",
    ]


@pytest.mark.parametrize("text", [b"{}", b"[1]", b'[{"type": "function", "name": 1}]', b"[", b'[{"a": 1, "a": 2}]'])
def test_what_is_no_list_of_tools_is_refused(text):
    with pytest.raises(ConfigError, match=r"tools\.json"):
        ToolSet.compile(text)
