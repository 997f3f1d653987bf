import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.records.answers import Answer, ToolCall, offered_tools, read_answer

CALL = ToolCall("look_up", '{"id":1}')
RESPONSE = {
    "object": "response",
    "output": [
        {"type": "reasoning", "summary": []},
        {
            "type": "message",
            "content": [{"type": "output_text", "text": "Hello"}, {"type": "refusal", "refusal": "No"}],
        },
        {"type": "function_call", "name": "look_up", "arguments": '{"id":1}'},
    ],
}
CHAT = {
    "choices": [
        {
            "message": {
                "content": "Hello",
                "tool_calls": [{"function": {"name": "look_up", "arguments": '{"id":1}'}}],
            }
        }
    ]
}


def stream(*events) -> bytes:
    return b"".join(b"event: x\ndata: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"


def chunk(**delta) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta}]}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (json.dumps(RESPONSE).encode(), Answer("Hello\nNo", (CALL,))),
        (json.dumps(CHAT).encode(), Answer("Hello", (CALL,))),
        (stream({"type": "response.created"}, {"response": RESPONSE}), Answer("Hello\nNo", (CALL,))),
        (
            stream(*({"type": "response.output_text.delta", "delta": text} for text in ("Hel", "lo"))),
            Answer("Hello"),
        ),
        (
            stream(
                chunk(role="assistant", content=""),
                chunk(content="Hel"),
                chunk(content="lo"),
                chunk(tool_calls=[{"index": 0, "function": {"name": "look_up", "arguments": '{"id"'}}]),
                chunk(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
                {"choices": [], "usage": {}},
            ),
            Answer("Hello", (CALL,)),
        ),
        (b"not an answer \xff", Answer("not an answer �")),
        (b'{"error": 1}', Answer('{"error": 1}')),
        (b"", Answer("")),
    ],
)
def test_an_answer_is_read_in_each_form(body, answer):
    assert read_answer(body) == answer


@pytest.mark.parametrize(
    ("request_body", "names"),
    [
        ({"tools": [{"type": "function", "name": "a"}, {"type": "web_search"}]}, ("a", "web_search")),
        ({"tools": [{"type": "function", "function": {"name": "b"}}]}, ("b",)),
        ({"tools": 5}, ()),
        ({}, ()),
        ([], ()),
    ],
)
def test_offered_tools_are_named(request_body, names):
    assert offered_tools(json.dumps(request_body).encode()) == names


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["output", "choices", "message", "content", "tool_calls", "function", "delta", "response", "tools"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(anything)
def test_whatever_is_stored_something_is_read(value):
    body = json.dumps(value).encode()

    assert isinstance(read_answer(body).text, str)
    assert isinstance(read_answer(b"data: " + body + b"\n\n").text, str)
    assert isinstance(offered_tools(body), tuple)


def test_why_an_answer_is_not_whole_is_read_from_every_form():
    incomplete = RESPONSE | {"incomplete_details": {"reason": "max_output_tokens"}}
    length = {"choices": [{"message": {"content": "Hel"}, "finish_reason": "length"}]}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}

    assert read_answer(json.dumps(incomplete).encode()).ended_by == "max_output_tokens"
    assert read_answer(stream({"response": incomplete})).ended_by == "max_output_tokens"
    assert read_answer(json.dumps(length).encode()).ended_by == "length"
    assert read_answer(stream(chunk(content="Hel"), last)).ended_by == "length"
    assert read_answer(json.dumps(RESPONSE).encode()).ended_by == ""
