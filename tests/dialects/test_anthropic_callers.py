"""Requests of Anthropic's Messages API as upstreams of the other APIs get them, and their answers as its callers get
them."""

import json
from typing import Any

import pytest
from anthropic_samples import CHAT, MESSAGES, RESPONSES, answered, read, sse, stream, translated

from headworks.calls import UnreadableAnswer, Usage
from headworks.dialects import encode_event
from headworks.errors import Refusal

SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: Any = {"name": "get_weather", "input_schema": SCHEMA, "description": "Looks."}
GIF: Any = {"type": "base64", "media_type": "image/gif", "data": "R0lGOD"}
LONG = {"type": "ephemeral", "ttl": "1h"}

TURNS: Any = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "See:"}, {"type": "image", "source": GIF}],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "I look.", "cache_control": LONG},
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "snow"},
            {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": True, "content": "no city"},
            {"type": "text", "text": "Go on.", "cache_control": LONG},
        ],
    },
]


def to_responses(**fields: Any) -> dict[str, Any]:
    return translated(MESSAGES, RESPONSES, "gpt-6-luna", **fields)


def test_a_whole_conversation_to_responses() -> None:
    sent = to_responses(system="Be kind.", messages=TURNS, tools=[TOOL], tool_choice={"type": "auto"})

    assert sent["instructions"] == "Be kind."
    assert sent["store"] is False
    assert sent["tools"] == [
        {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False, "description": "Looks."}
    ]
    image = {"type": "input_image", "image_url": "data:image/gif;base64,R0lGOD", "detail": "auto"}
    mark = {"mode": "explicit", "ttl": "12h"}
    assert sent["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "See:"}, image]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "toolu_1", "name": "get_weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call", "call_id": "toolu_2", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "toolu_1", "output": "snow"},
        {"type": "function_call_output", "call_id": "toolu_2", "output": "Error: no city"},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Go on.", "prompt_cache_breakpoint": mark}],
        },
    ]


def test_a_whole_conversation_to_chat() -> None:
    blocks = [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}]
    sent = translated(MESSAGES, CHAT, "gpt-6-luna", system=blocks, messages=TURNS, tools=[TOOL])

    assert [one["role"] for one in sent["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert sent["messages"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert [call["id"] for call in sent["messages"][2]["tool_calls"]] == ["toolu_1", "toolu_2"]
    assert sent["max_tokens"] == 100


def test_files_and_rich_results_go_up() -> None:
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVB"}}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hei"}, "title": "a.txt"}
    content = [{"type": "text", "text": "seen"}, {"type": "image", "source": GIF}]
    result = {"type": "tool_result", "tool_use_id": "t", "content": content, "is_error": True}
    sent = to_responses(messages=[{"role": "user", "content": [result, pdf, text]}])

    assert [part["type"] for part in sent["input"][0]["output"]] == ["input_text", "input_text", "input_image"]
    assert sent["input"][1]["content"] == [
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVB", "filename": "document.pdf"},
        {"type": "input_file", "file_data": "data:text/plain;base64,aGVp", "filename": "a.txt"},
    ]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "get_weather"}, {"type": "function", "name": "get_weather"}),
    ],
)
def test_a_choice_of_tool(choice: dict[str, Any], wanted: object) -> None:
    sent = to_responses(tools=[TOOL], tool_choice=choice | {"disable_parallel_tool_use": True})
    assert sent["tool_choice"] == wanted
    assert sent["parallel_tool_calls"] is False


@pytest.mark.parametrize(
    ("asked", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"effort": "low", "summary": "auto"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 20_000}}, {"effort": "high", "summary": "auto"}),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
            {"effort": "max"},
        ),
        ({"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, {"effort": "none"}),
        ({}, None),
    ],
)
def test_how_hard_to_think(asked: dict[str, Any], reasoning: object) -> None:
    sent = to_responses(**asked)
    assert sent.get("reasoning") == reasoning
    thinks = asked.get("thinking", {}).get("type") in ("enabled", "adaptive")
    assert (sent.get("include") == ["reasoning.encrypted_content"]) is thinks


def test_a_schema_becomes_a_strict_format() -> None:
    sent = to_responses(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert sent["text"]["format"] == {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}


def test_a_long_name_of_a_user_is_sent_as_its_digest() -> None:
    assert to_responses(metadata={"user_id": "u" * 64})["safety_identifier"] == "u" * 64
    sent = to_responses(metadata={"user_id": "u" * 65})["safety_identifier"]
    assert len(sent) == 64
    assert "u" not in sent


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "Once"}]}, "messages[1]"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].web_search_20250305"),
        ({"tools": [TOOL | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [TOOL | {"input_examples": [{}]}]}, "tools[0].input_examples"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": None}, "max_tokens"),
        ({"thinking": {"type": "between_tools"}}, "thinking"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "mood": 1}]}]}, "messages[0].content[0].mood"),
    ],
)
def test_what_cannot_be_translated_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Refusal) as refused:
        to_responses(**fields)
    assert refused.value.param is not None
    assert refused.value.param.replace("...", "0") == param


@pytest.mark.parametrize(
    "block", [{"type": "thinking", "thinking": "t", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "b3A"}]
)
def test_thoughts_that_anthropic_signed_are_refused_by_others(block: dict[str, Any]) -> None:
    turns = [{"role": "assistant", "content": [block]}, {"role": "user", "content": "x"}]
    with pytest.raises(Refusal, match="another provider"):
        to_responses(messages=turns)


# -- answers -----------------------------------------------------------------------------------------------------------

RESPONSES_USAGE = {
    "input_tokens": 32,
    "output_tokens": 4,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 7},
    "output_tokens_details": {"reasoning_tokens": 2},
}
OUTPUT: Any = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "I think."}],
        "encrypted_content": "gAAAAsealed",
    },
    {"type": "message", "id": "m_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'},
]
RESPONSE: Any = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "model": "gpt-6-luna",
    "status": "completed",
    "output": OUTPUT,
    "usage": RESPONSES_USAGE,
}


def response_events(response: dict[str, Any]) -> bytes:
    """A response as a stream in which every item is told at its end."""
    begun = response | {"status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(response["output"]):
        open_item = {name: "" if name == "arguments" else value for name, value in item.items() if name != "content"}
        events.append({"type": "response.output_item.added", "output_index": index, "item": open_item})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return sse([*events, {"type": f"response.{response['status']}", "response": response}])


def accumulated(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream's events make, as a client puts it together."""
    message: dict[str, Any] = events[0]["message"]
    texts: dict[int, str] = {}
    for event in events[1:]:
        match event:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                assert index == len(message["content"])
                message["content"].append(block)
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                kind = delta["type"].removesuffix("_delta")
                if kind == "input_json":
                    texts[index] = texts.get(index, "") + delta["partial_json"]
                elif kind != "citations":
                    message["content"][index][kind] += delta[kind]
            case {"type": "message_delta", "delta": delta, "usage": usage}:
                message |= delta
                message["usage"] = usage
    for index, text in texts.items():
        message["content"][index]["input"] = json.loads(text)
    return message


def test_a_response_becomes_a_message_whole_and_streamed_alike() -> None:
    whole = answered(MESSAGES, RESPONSES, RESPONSE)
    events, steps = stream(MESSAGES, RESPONSES, response_events(RESPONSE))

    assert accumulated(events) == whole
    assert [block["type"] for block in whole["content"]] == ["thinking", "text", "tool_use"]
    assert whole["content"][2] == {
        "type": "tool_use",
        "id": "call_1",
        "name": "get_weather",
        "input": {"city": "Oslo"},
    }
    assert (whole["id"], whole["stop_reason"], whole["model"]) == ("msg_1", "tool_use", "gpt-6-luna")
    assert whole["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 7,
        "cache_read_input_tokens": 20,
        "output_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    assert steps.summary().usage == Usage(32, 20, 7, 4, 2, "provider")
    assert steps.summary().finish_reason == "tool_use"
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 3


def test_sealed_reasoning_goes_back_to_its_provider_as_it_came() -> None:
    content = answered(MESSAGES, RESPONSES, RESPONSE)["content"]
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "snow"}
    turns = [{"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    sent = to_responses(messages=turns)

    assert sent["input"][0] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "I think."}],
        "encrypted_content": "gAAAAsealed",
    }


def test_readable_reasoning_of_a_chat_server_is_unsigned_thinking_and_is_left_out_when_it_comes_back() -> None:
    message = {"role": "assistant", "content": "4", "reasoning_content": "2 and 2"}
    completion = {"id": "chatcmpl-1", "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}
    whole = answered(MESSAGES, CHAT, completion)
    assert whole["content"][0] == {"type": "thinking", "thinking": "2 and 2", "signature": ""}

    turns = [{"role": "assistant", "content": whole["content"]}, {"role": "user", "content": "x"}]
    assert "2 and 2" not in json.dumps(translated(MESSAGES, CHAT, messages=turns))


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("tool_calls", "end_turn")],
)
def test_every_finish_reason_has_its_twin(finish_reason: str, stop_reason: str) -> None:
    chunk = {"id": "chatcmpl-1", "created": 7, "model": "m"}
    last = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": finish_reason}
    data = encode_event(None, json.dumps(chunk | {"choices": [last]}).encode()) + b"data: [DONE]\n\n"
    events, _ = stream(MESSAGES, CHAT, data)
    assert accumulated(events)["stop_reason"] == stop_reason


def test_a_refusal_is_text_and_a_stop_reason() -> None:
    part = {"type": "refusal", "refusal": "I would rather not."}
    response = RESPONSE | {"output": [{"type": "message", "content": [part]}]}
    for told in (
        answered(MESSAGES, RESPONSES, response),
        accumulated(stream(MESSAGES, RESPONSES, response_events(response))[0]),
    ):
        assert told["content"][0]["text"] == "I would rather not."
        assert told["stop_reason"] == "refusal"


def test_a_citation_quotes_what_it_supports() -> None:
    cited = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4}
    part = {"type": "output_text", "text": "Snow falls.", "annotations": [cited]}
    response = RESPONSE | {"output": [{"type": "message", "content": [part]}]}
    events, _ = stream(MESSAGES, RESPONSES, response_events(response))
    streamed = [event["delta"]["citation"] for event in events if "citation" in event.get("delta", {})]

    for citations in (answered(MESSAGES, RESPONSES, response)["content"][0]["citations"], streamed):
        assert [(one["url"], one["cited_text"]) for one in citations] == [("https://a.example", "Snow")]


def test_arguments_that_are_no_object_are_an_error_unless_the_answer_was_cut() -> None:
    call = OUTPUT[2] | {"arguments": '{"city":"Os'}
    with pytest.raises(UnreadableAnswer, match="arguments"):
        answered(MESSAGES, RESPONSES, RESPONSE | {"output": [call]})
    cut = {"output": [call], "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    told = answered(MESSAGES, RESPONSES, RESPONSE | cut)
    assert (told["content"][0]["input"], told["stop_reason"]) == ({}, "max_tokens")


def test_an_error_in_the_middle_ends_the_stream_as_one() -> None:
    chunk = {"id": "chatcmpl-1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}]}
    error = {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}
    data = b"".join(encode_event(None, json.dumps(one).encode()) for one in (chunk, error))
    events, _ = stream(MESSAGES, CHAT, data)
    assert events[-1] == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}


def test_nothing_comes_out_before_there_is_content() -> None:
    chunk = {"id": "chatcmpl-1", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    assert stream(MESSAGES, CHAT, sse([{"type": "x"} | chunk]))[0] == []
    assert read(b"") == []
