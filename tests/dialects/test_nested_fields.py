"""What stands inside messages, items and tools crosses a bridge, is refused by its name, or is on the short list of the
server's own notes that no model reads."""

import json
from typing import Any

import msgspec
import pytest

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES
from headworks.dialects.canonical import (
    CustomCall,
    CustomCallOutput,
    CustomTool,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputFile,
    InputImage,
    InputText,
    Message,
    OutputText,
    Reasoning,
)
from headworks.errors import Refusal

OTHER = {Endpoint.RESPONSES: Endpoint.CHAT, Endpoint.CHAT: Endpoint.RESPONSES}

MARK = {"mode": "explicit", "ttl": "30m"}
PROGRAM = {"type": "program", "caller_id": "x"}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"}


def upstream(endpoint: Endpoint, **fields: Any) -> str:
    body = json.dumps({"model": "m", **fields}).encode()
    return BRIDGES[endpoint, OTHER[endpoint]](body).request(body, "u").decode()


def sent_as_chat(**fields: Any) -> str:
    return upstream(Endpoint.RESPONSES, **({"input": "x"} | fields))


def sent_as_responses(**fields: Any) -> str:
    return upstream(Endpoint.CHAT, **({"messages": [{"role": "user", "content": "x"}]} | fields))


ITEMS: dict[type[msgspec.Struct], tuple[dict[str, Any], dict[str, tuple[Any, str]]]] = {
    Message: (
        {"type": "message", "role": "assistant", "content": "said"},
        {
            "role": ("assistant", '"role":"assistant"'),
            "content": ("a word", "a word"),
            "id": ("msg_noted", "left out"),
            "status": ("completed", "left out"),
            "phase": ("commentary", "refused"),
        },
    ),
    FunctionCall: (
        CALL,
        {
            "call_id": ("call_7", '"id":"call_7"'),
            "name": ("look", '"name":"look"'),
            "arguments": ('{"a":1}', '\\"a\\":1'),
            "id": ("fc_noted", "left out"),
            "status": ("completed", "left out"),
            "namespace": ("n", "refused"),
            "caller": (PROGRAM, "refused"),
            "is_async": (True, "refused"),
        },
    ),
    FunctionCallOutput: (
        {"type": "function_call_output", "call_id": "c", "output": "o"},
        {
            "call_id": ("call_7", '"tool_call_id":"call_7"'),
            "output": ("what it gave", "what it gave"),
            "id": ("fco_noted", "left out"),
            "status": ("completed", "left out"),
            "name": ("f_noted", "left out"),
            "namespace": ("n", "refused"),
            "caller": (PROGRAM, "refused"),
        },
    ),
    CustomCall: (
        CUSTOM,
        {
            "call_id": ("call_7", '"id":"call_7"'),
            "name": ("look", '"name":"look"'),
            "input": ("free text", "free text"),
            "id": ("ctc_noted", "left out"),
            "status": ("completed", "left out"),
            "namespace": ("n", "refused"),
            "caller": (PROGRAM, "refused"),
            "is_async": (True, "refused"),
        },
    ),
    CustomCallOutput: (
        {"type": "custom_tool_call_output", "call_id": "c", "output": "o"},
        {
            "call_id": ("call_7", '"tool_call_id":"call_7"'),
            "output": ("what it gave", "what it gave"),
            "id": ("cto_noted", "left out"),
            "caller": (PROGRAM, "refused"),
        },
    ),
    Reasoning: (
        {"type": "reasoning", "summary": []},
        {
            "id": ("rs_noted", "left out"),
            "summary": ([{"type": "summary_text", "text": "thought_noted"}], "left out"),
            "content": ([{"type": "reasoning_text", "text": "thought_noted"}], "left out"),
            "encrypted_content": ("sealed", "refused"),
            "status": ("completed", "left out"),
        },
    ),
}
"""By item of a Responses request: one of its kind, and of each field a value and what the chat request has of it."""

PARTS: dict[type[msgspec.Struct], tuple[str, dict[str, Any], dict[str, tuple[Any, str]]]] = {
    InputText: (
        "user",
        {"type": "input_text", "text": "t"},
        {"text": ("a word", "a word"), "prompt_cache_breakpoint": (MARK, '"ttl":"30m"')},
    ),
    InputImage: (
        "user",
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {
            "image_url": ("data:image/gif;base64,AA==", "data:image/gif;base64,AA=="),
            "file_id": ("file_1", "refused"),
            "detail": ("low", '"detail":"low"'),
            "prompt_cache_breakpoint": (MARK, '"ttl":"30m"'),
        },
    ),
    InputFile: (
        "user",
        {"type": "input_file", "file_data": "AA=="},
        {
            "file_data": ("QUJD", "QUJD"),
            "file_id": ("file_1", "file_1"),
            "file_url": ("https://example.com/a.pdf", "refused"),
            "filename": ("a.pdf", "a.pdf"),
            "detail": ("low", "refused"),
            "prompt_cache_breakpoint": (MARK, '"ttl":"30m"'),
        },
    ),
    OutputText: (
        "assistant",
        {"type": "output_text", "text": "t"},
        {
            "text": ("a word", "a word"),
            "annotations": ([{"url": "https://example.com/_noted"}], "left out"),
            "logprobs": ([{"token": "_noted"}], "left out"),
        },
    ),
}
"""The same for the parts of a message, with the role of who says them."""

TOOLS: dict[type[msgspec.Struct], tuple[dict[str, Any], dict[str, tuple[Any, str]]]] = {
    FunctionTool: (
        {"type": "function", "name": "f", "parameters": {}, "strict": False},
        {
            "name": ("look", '"name":"look"'),
            "parameters": ({"title": "carried"}, "carried"),
            "strict": (True, '"strict":true'),
            "description": ("Looks.", "Looks."),
            "allowed_callers": (["programmatic"], "refused"),
            "is_async": (True, "refused"),
            "defer_loading": (True, "refused"),
            "output_schema": ({"type": "object"}, "refused"),
        },
    ),
    CustomTool: (
        {"type": "custom", "name": "f"},
        {
            "name": ("look", '"name":"look"'),
            "description": ("Looks.", "Looks."),
            "format": ({"type": "grammar", "syntax": "lark", "definition": "carried"}, "carried"),
            "allowed_callers": (["programmatic"], "refused"),
            "is_async": (True, "refused"),
            "defer_loading": (True, "refused"),
        },
    ),
}
"""The same for tools."""


def judge(field: str, fate: str, **request: Any) -> None:
    name = field.removeprefix("is_")
    if fate == "refused":
        with pytest.raises(Refusal) as refused:
            sent_as_chat(**request)
        assert refused.value.status == 400
        assert (refused.value.param or "").endswith(f".{name}")
    elif fate == "left out":
        assert "_noted" not in sent_as_chat(**request)
    else:
        assert fate in sent_as_chat(**request)


def _fields(table: dict[Any, Any]) -> list[tuple[type[msgspec.Struct], str]]:
    return [(kind, field) for kind, told in table.items() for field in told[-1]]


def test_the_tables_have_every_field_of_every_struct() -> None:
    for kind, told in [*ITEMS.items(), *PARTS.items(), *TOOLS.items()]:
        assert set(told[-1]) == set(kind.__struct_fields__), kind


@pytest.mark.parametrize(("kind", "field"), _fields(ITEMS))
def test_a_field_of_an_item(kind: type[msgspec.Struct], field: str) -> None:
    item, table = ITEMS[kind]
    value, fate = table[field]
    judge(field, fate, input=[item | {field.removeprefix("is_"): value}])


@pytest.mark.parametrize(("kind", "field"), _fields(PARTS))
def test_a_field_of_a_part(kind: type[msgspec.Struct], field: str) -> None:
    role, part, table = PARTS[kind]
    value, fate = table[field]
    judge(field, fate, input=[{"role": role, "content": [part | {field: value}]}])


@pytest.mark.parametrize(("kind", "field"), _fields(TOOLS))
def test_a_field_of_a_tool(kind: type[msgspec.Struct], field: str) -> None:
    tool, table = TOOLS[kind]
    value, fate = table[field]
    judge(field, fate, tools=[tool | {field.removeprefix("is_"): value}])


@pytest.mark.parametrize(
    "request_fields",
    [
        {"tool_choice": "auto"},
        {"tool_choice": "none", "tools": []},
        {"parallel_tool_calls": True},
        {"parallel_tool_calls": False, "tools": None},
    ],
)
def test_what_only_says_how_to_choose_among_no_tools_is_not_sent_to_chat_which_refuses_it(
    request_fields: dict[str, Any],
) -> None:
    sent = json.loads(sent_as_chat(**request_fields))

    assert set(sent) == {"model", "messages"}


def test_a_tool_that_must_be_called_and_is_not_there_is_for_the_upstream_to_refuse() -> None:
    assert json.loads(sent_as_chat(tool_choice="required"))["tool_choice"] == "required"


def test_a_breakpoint_in_what_the_assistant_said_is_kept_towards_chat_and_refused_towards_responses() -> None:
    said = {"role": "assistant", "content": [{"type": "input_text", "text": "t", "prompt_cache_breakpoint": MARK}]}
    assert '"ttl":"30m"' in sent_as_chat(input=[said])

    said = {"role": "assistant", "content": [{"type": "text", "text": "t", "prompt_cache_breakpoint": MARK}]}
    with pytest.raises(Refusal) as refused:
        sent_as_responses(messages=[said])
    assert refused.value.param == "messages[0].content[0].prompt_cache_breakpoint"


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ({"role": "system", "content": "a word"}, '"role":"system","content":"a word"'),
        ({"role": "developer", "content": [{"type": "text", "text": "a word"}]}, '"role":"developer"'),
        ({"role": "user", "content": [{"type": "text", "text": "t", "prompt_cache_breakpoint": MARK}]}, '"ttl":"30m"'),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}]},
            '"image_url":"u","detail":"low"',
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "QUJD", "filename": "a.pdf"}}]},
            '"file_data":"QUJD","filename":"a.pdf"',
        ),
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}, '"file_id":"file_1"'),
        ({"role": "assistant", "content": "a", "refusal": "no, thanks"}, '"refusal":"no, thanks"'),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "no, thanks"}]}, '"refusal":"no, thanks"'),
        (
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            '"type":"function_call","call_id":"c","name":"f","arguments":"{}"',
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
            '"type":"custom_tool_call","call_id":"c","name":"f","input":"x"',
        ),
        (
            {"role": "tool", "tool_call_id": "c", "content": "a word"},
            '"function_call_output","call_id":"c","output":"a word"',
        ),
    ],
)
def test_a_message_of_chat_crosses(message: dict[str, Any], found: str) -> None:
    assert found in sent_as_responses(messages=[message])


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": "x", "name": "bob"}, "messages[0].name"),
        ({"role": "system", "content": "x", "name": "bob"}, "messages[0].name"),
        ({"role": "assistant", "content": "x", "name": "bob"}, "messages[0].name"),
        ({"role": "assistant", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": ""}}, "messages[0].function_call"),
        ({"role": "function", "name": "f", "content": "x"}, "messages[0].role"),
        ({"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}, "cache_control"),
        ({"role": "user", "content": [{"type": "video_url", "video_url": {}}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}, "audio"),
        ({"role": "user"}, "messages[0].content"),
    ],
)
def test_a_message_that_cannot_cross_is_refused_by_name(message: dict[str, Any], param: str) -> None:
    with pytest.raises(Refusal) as refused:
        sent_as_responses(messages=[message])
    assert refused.value.status == 400
    assert (refused.value.param or "").endswith(param)


def test_the_result_of_a_custom_tool_is_known_by_its_call() -> None:
    called = {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]}
    result = {"role": "tool", "tool_call_id": "c", "content": "done"}
    assert '"type":"custom_tool_call_output"' in sent_as_responses(messages=[called, result])


def test_what_an_assistant_said_and_called_is_one_message_of_chat() -> None:
    items: list[Any] = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "I will look."},
        CALL,
        {"type": "reasoning", "summary": []},
        CALL | {"call_id": "d"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "function_call_output", "call_id": "d", "output": "2"},
    ]
    messages = json.loads(sent_as_chat(input=items))["messages"]

    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert messages[1]["content"] == "I will look."
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["c", "d"]
