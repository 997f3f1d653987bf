"""Requests of Responses and Chat as Anthropic gets them."""

import json
from typing import Any

import pytest
from anthropic_samples import CHAT, MESSAGES, RESPONSES, to_messages, translated

from headworks.dialects.anthropic_requests import DEFAULT_MAX_TOKENS
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_thinking
from headworks.errors import Refusal

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True, "description": "Looks."}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
PDF = "data:application/pdf;base64,JVBERi0="
MARK = {"mode": "explicit"}


def test_a_whole_conversation_from_responses() -> None:
    thought = ThinkingBlock("Oslo it is.", "c2lnbmVk")
    sent = to_messages(
        instructions="Be kind.",
        input=[
            {"role": "developer", "content": "Answer in metres."},
            {"role": "user", "content": [{"type": "input_text", "text": "See:"},
                                         {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                                         {"type": "input_image", "image_url": "https://example.com/a.png"},
                                         {"type": "input_file", "file_data": PDF, "filename": "a.pdf"}]},
            {"role": "user", "content": "And the weather?"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed_thinking(thought)},
            {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Oslo"}'},
            {"type": "function_call", "call_id": "call_2", "name": "get_weather", "arguments": ""},
            {"type": "function_call_output", "call_id": "call_1", "output": "snow"},
            {"type": "function_call_output", "call_id": "call_2",
             "output": [{"type": "input_text", "text": "sun"}, {"type": "input_image", "image_url": PIXEL}]},
            {"role": "user", "content": "Go on."},
        ],
        tools=[TOOL],
        max_output_tokens=500,
        stream=True,
    )  # fmt: skip

    gif = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": PIXEL.split(",")[1]}}
    assert sent == {
        "model": "claude-sonnet-5",
        "max_tokens": 500,
        "stream": True,
        "system": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "Answer in metres."}],
        "tools": [{"name": "get_weather", "input_schema": WEATHER, "description": "Looks.", "strict": True}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See:"},
                    gif,
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                        "title": "a.pdf",
                    },
                    {"type": "text", "text": "And the weather?"},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Oslo it is.", "signature": "c2lnbmVk"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Oslo"}},
                    {"type": "tool_use", "id": "call_2", "name": "get_weather", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "snow"},
                    {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "sun"}, gif]},
                    {"type": "text", "text": "Go on."},
                ],
            },
        ],
    }


def test_a_whole_conversation_from_chat() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    sent = translated(
        CHAT,
        MESSAGES,
        messages=[
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}}]},
        ],
        tools=[{"type": "function", "function": {"name": "f"}}],
        stop=["END"],
        temperature=0.5,
    )

    assert sent["system"] == [{"type": "text", "text": "Be kind."}]
    assert sent["stop_sequences"] == ["END"]
    assert sent["temperature"] == 0.5
    assert sent["max_tokens"] == DEFAULT_MAX_TOKENS
    assert sent["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    assert [one["role"] for one in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][1]["content"] == [{"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}]
    assert [block["type"] for block in sent["messages"][2]["content"]] == ["tool_result", "image"]


def test_results_of_tools_come_first_in_their_message_as_the_api_demands() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "r"}
    sent = to_messages(input=[call, {"role": "user", "content": "hurry"}, result])

    assert [block["type"] for block in sent["messages"][1]["content"]] == ["tool_result", "text"]


def test_rules_in_the_middle_of_a_conversation_keep_their_place_and_their_rank() -> None:
    items = [{"role": "user", "content": "a"}, {"role": "developer", "content": "b"}, {"role": "user", "content": "c"}]
    sent = to_messages(input=items)

    assert [one["role"] for one in sent["messages"]] == ["user", "system", "user"]
    assert "system" not in sent


@pytest.mark.parametrize("text", ["", " \n"])
def test_what_an_assistant_said_without_words_is_left_out_for_the_api_refuses_it(text: str) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    sent = to_messages(input=[{"role": "user", "content": "a"}, {"role": "assistant", "content": text}, call])

    assert [block["type"] for block in sent["messages"][1]["content"]] == ["tool_use"]


def test_an_id_that_the_api_would_refuse_is_rewritten_alike_for_a_call_and_its_result() -> None:
    def ids(name: str) -> tuple[str, str]:
        call = {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"}
        sent = to_messages(input=[call, {"type": "function_call_output", "call_id": name, "output": "r"}])["messages"]
        return sent[0]["content"][0]["id"], sent[1]["content"][0]["tool_use_id"]

    assert ids("call_1") == ("call_1", "call_1")
    called, answered = ids("functions.f:0")
    assert called == answered
    assert called.replace("_", "").isalnum()
    assert ids("functions.f:0") != ids("functions.f.0")


# -- tools -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": {"type": "function", "name": "get_weather"}}, {"type": "tool", "name": "get_weather"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "required", "parallel_tool_calls": False},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_a_choice_of_tool(asked: dict[str, Any], choice: object) -> None:
    assert to_messages(tools=[TOOL], **asked).get("tool_choice") == choice


def test_of_allowed_tools_only_those_are_offered() -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]}
    sent = to_messages(tools=[TOOL, TOOL | {"name": "other"}], tool_choice=allowed)

    assert [tool["name"] for tool in sent["tools"]] == ["other"]
    assert sent["tool_choice"] == {"type": "any"}


# -- structured output -------------------------------------------------------------------------------------------------


def test_a_schema_is_enforced_natively() -> None:
    form = {"type": "json_schema", "name": "weather", "schema": WEATHER, "strict": True}
    assert to_messages(text={"format": form})["output_config"] == {"format": {"type": "json_schema", "schema": WEATHER}}
    described = to_messages(text={"format": form | {"description": "In short."}})["output_config"]
    assert described["format"]["schema"] == WEATHER | {"description": "In short."}


# -- reasoning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh", "max"])
def test_an_effort_lets_a_model_think_as_it_sees_fit(effort: str) -> None:
    sent = to_messages(reasoning={"effort": effort})
    assert sent["thinking"] == {"type": "adaptive"}
    assert sent["output_config"] == {"effort": effort}
    assert translated(CHAT, MESSAGES, reasoning_effort=effort)["output_config"] == {"effort": effort}


def test_no_effort_is_no_thinking() -> None:
    assert to_messages(reasoning={"effort": "none"})["thinking"] == {"type": "disabled"}
    assert "thinking" not in to_messages()


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-sonnet-4-5-20250929", "claude-opus-4-1", "claude-3-7-x"])
def test_a_model_that_knows_no_adaptive_thinking_gets_a_budget(model: str) -> None:
    sent = to_messages(model=model, reasoning={"effort": "high"}, max_output_tokens=5000)
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 4999}
    assert "output_config" not in sent
    with pytest.raises(Refusal, match="1024"):
        to_messages(model=model, reasoning={"effort": "low"}, max_output_tokens=1000)


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-haiku-5-5", "claude-sonnet-4-10", "claude-opus-5"])
def test_newer_models_get_none(model: str) -> None:
    assert to_messages(model=model, reasoning={"effort": "high"})["thinking"] == {"type": "adaptive"}


def test_a_summary_is_asked_for_where_the_caller_asks() -> None:
    sent = to_messages(reasoning={"effort": "low", "summary": "auto"}, include=["reasoning.encrypted_content"])
    assert sent["thinking"] == {"type": "adaptive", "display": "summarized"}


def test_hidden_thinking_goes_back_as_it_came() -> None:
    block = RedactedThinkingBlock("b3BhcXVl")
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed_thinking(block)}
    sent = to_messages(input=[{"role": "user", "content": "x"}, item, {"role": "assistant", "content": "y"}])
    assert sent["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "b3BhcXVl"}


def test_thoughts_of_another_providers_model_are_refused_and_plain_ones_left_out() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAsealed"}
    with pytest.raises(Refusal) as refused:
        to_messages(input=[item])
    assert refused.value.param == "input[0].encrypted_content"

    plain = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert "hm" not in json.dumps(to_messages(input=[plain, {"role": "user", "content": "x"}]))


# -- caching -----------------------------------------------------------------------------------------------------------


def test_a_breakpoint_goes_up_where_it_was_set() -> None:
    def marked(mark: dict[str, Any]) -> Any:
        part = {"type": "input_text", "text": "long", "prompt_cache_breakpoint": mark}
        return to_messages(input=[{"role": "user", "content": [part]}])["messages"][0]["content"][0]["cache_control"]

    assert marked(MARK) == {"type": "ephemeral"}
    assert marked(MARK | {"ttl": "30m"}) == {"type": "ephemeral", "ttl": "1h"}
    with pytest.raises(Refusal, match="hour"):
        marked(MARK | {"ttl": "12h"})


def test_a_cache_key_marks_the_end_of_what_repeats() -> None:
    sent = to_messages(instructions="Long rules.", tools=[TOOL], prompt_cache_key="k")
    assert sent["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in sent["tools"][-1]

    assert to_messages(tools=[TOOL], prompt_cache_key="k")["tools"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in json.dumps(to_messages(instructions="Long rules.", tools=[TOOL]))
    explicit = to_messages(instructions="r", prompt_cache_key="k", prompt_cache_options={"mode": "explicit"})
    assert "cache_control" not in json.dumps(explicit)


def test_of_many_breakpoints_the_latest_four_are_set() -> None:
    parts = [{"type": "input_text", "text": f"{n}", "prompt_cache_breakpoint": MARK} for n in range(6)]
    sent = to_messages(instructions="r", prompt_cache_key="k", input=[{"role": "user", "content": parts}])

    assert ["cache_control" in block for block in sent["messages"][0]["content"]] == [False] * 2 + [True] * 4
    assert "cache_control" not in sent["system"][0]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_image", "image_url": PIXEL, "detail": "low"}, "input[0].content[0].detail"),
        ({"type": "input_image", "image_url": "data:image/tiff;base64,AA=="}, "input[0].content[0].image_url"),
        ({"type": "input_image", "image_url": "data:,x"}, "input[0].content[0].image_url"),
        ({"type": "input_file", "file_data": "JVBERi0=", "filename": "a.pdf"}, "input[0].content[0].file_data"),
        ({"type": "input_file", "file_data": "data:text/csv;base64,YQ=="}, "input[0].content[0].file_data"),
        ({"type": "input_file", "file_data": "data:text/plain;base64,!!"}, "input[0].content[0].file_data"),
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}, "input[0].content[0].input_audio"),
    ],
)
def test_a_part_that_the_api_cannot_take_is_refused_by_its_place(part: dict[str, Any], param: str) -> None:
    with pytest.raises(Refusal) as refused:
        to_messages(input=[{"role": "user", "content": [part]}])
    assert refused.value.param == param


def test_plain_text_and_files_elsewhere_are_documents() -> None:
    parts: list[Any] = [
        {"type": "input_file", "file_data": "data:text/plain;base64,aGVp", "filename": "a.txt"},
        {"type": "input_file", "file_url": "https://example.com/a.pdf"},
        {"type": "input_file", "file_id": "file_1"},
    ]
    sent = to_messages(input=[{"role": "user", "content": parts}])["messages"][0]["content"]
    assert [block["source"] for block in sent] == [
        {"type": "text", "media_type": "text/plain", "data": "hei"},
        {"type": "url", "url": "https://example.com/a.pdf"},
        {"type": "file", "file_id": "file_1"},
    ]


@pytest.mark.parametrize("arguments", ["[1]", '{"a":', "zebra"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments}
    with pytest.raises(Refusal) as refused:
        to_messages(input=[call])
    assert refused.value.param == "input[0].arguments"
    assert arguments not in refused.value.message


def test_a_custom_tool_is_refused_for_it_takes_free_text() -> None:
    with pytest.raises(Refusal, match=r"tools\[0\]"):
        to_messages(tools=[{"type": "custom", "name": "t"}])


def test_a_refusal_speaks_in_the_words_of_the_callers_api() -> None:
    with pytest.raises(Refusal) as refused:
        translated(CHAT, MESSAGES, logprobs=True)
    assert refused.value.param == "logprobs"
    assert "Messages API" in refused.value.message
    part = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
    with pytest.raises(Refusal) as refused:
        translated(CHAT, MESSAGES, messages=[{"role": "user", "content": [part]}])
    assert refused.value.param == "messages[].content[0].detail"
    assert RESPONSES.value not in refused.value.message
