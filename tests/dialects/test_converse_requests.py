"""Requests of every caller as Amazon Bedrock gets them."""

import json
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from converse_samples import CHAT, CLAUDE, GEMINI, MESSAGES, RESPONSES, sent

from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_thinking
from headworks.errors import Refusal

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True, "description": "Looks."}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
PDF = "data:application/pdf;base64,JVBERi0="
MARK = {"mode": "explicit"}
NOVA = "us.amazon.nova-2-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
OLDER = "anthropic.claude-sonnet-4-5-20250929-v1:0"
SAID = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Oslo"}'}
RETURNED = {"type": "function_call_output", "call_id": "call_1", "output": "snow"}


def refused(called=RESPONSES, model=CLAUDE, **fields):
    with pytest.raises(Refusal) as caught:
        sent(called, model, **fields)
    assert caught.value.status == 400
    return caught.value.param


def test_a_whole_conversation_from_responses():
    told = sent(
        instructions="Be kind.",
        input=[
            {"role": "developer", "content": "Answer in metres."},
            {"role": "user", "content": [{"type": "input_text", "text": "See:"},
                                         {"type": "input_image", "image_url": PIXEL, "detail": "auto"},
                                         {"type": "input_file", "file_data": PDF, "filename": "A b_c.v2.pdf"},
                                         {"type": "input_file", "file_data": PDF, "filename": "a B c V2.pdf"},
                                         {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]},
            {"role": "user", "content": "And the weather?"},
            {"type": "reasoning", "id": "rs_1", "summary": [],
             "encrypted_content": sealed_thinking(ThinkingBlock("Oslo it is.", "c2lnbmVk"))},
            {"type": "reasoning", "id": "rs_2", "summary": [],
             "encrypted_content": sealed_thinking(RedactedThinkingBlock("c2VjcmV0"))},
            {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            SAID,
            {"type": "function_call", "call_id": "call/2", "name": "get_weather", "arguments": ""},
            RETURNED,
            {"type": "function_call_output", "call_id": "call/2",
             "output": [{"type": "input_text", "text": "sun"}, {"type": "input_image", "image_url": PIXEL}]},
            {"role": "system", "content": "Now in feet."},
            {"role": "user", "content": "Go on."},
        ],
        tools=[TOOL],
        max_output_tokens=500,
        temperature=0.5,
        stream=True,
    )  # fmt: skip

    gif = {"image": {"format": "gif", "source": {"bytes": PIXEL.split(",")[1]}}}
    pdf = {"format": "pdf", "source": {"bytes": "JVBERi0="}}
    second = told["messages"][1]["content"][-1]["toolUse"]["toolUseId"]
    assert second.startswith("call_2_")
    assert told == {
        "system": [{"text": "Be kind."}, {"text": "Answer in metres."}],
        "inferenceConfig": {"maxTokens": 500, "temperature": 0.5},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "get_weather",
                        "description": "Looks.",
                        "inputSchema": {"json": WEATHER},
                        "strict": True,
                    }
                }
            ]
        },
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "See:"},
                    gif,
                    {"document": {"name": "A b c v2", **pdf}},
                    {"document": {"name": "a B c V2 (2)", **pdf}},
                    {"audio": {"format": "wav", "source": {"bytes": "AA=="}}},
                    {"text": "And the weather?"},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Oslo it is.", "signature": "c2lnbmVk"}}},
                    {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
                    {"text": "I look."},
                    {"toolUse": {"toolUseId": "call_1", "name": "get_weather", "input": {"city": "Oslo"}}},
                    {"toolUse": {"toolUseId": second, "name": "get_weather", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "call_1", "content": [{"text": "snow"}]}},
                    {"toolResult": {"toolUseId": second, "content": [{"text": "sun"}, gif]}},
                ],
            },
            {"role": "system", "content": [{"text": "Now in feet."}]},
            {"role": "user", "content": [{"text": "Go on."}]},
        ],
    }


@pytest.fixture(scope="module")
def model_of_the_sdk():
    return botocore.session.get_session().get_service_model("bedrock-runtime")


def as_the_sdk_takes_it(value):
    """Base 64 is bytes in the SDK."""
    if isinstance(value, dict):
        made = {name: as_the_sdk_takes_it(one) for name, one in value.items()}
        for name in ("bytes", "redactedContent"):
            if isinstance(made.get(name), str):
                made[name] = made[name].encode()
        return made
    return [as_the_sdk_takes_it(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("called", "model", "fields"),
    [
        (RESPONSES, CLAUDE, {"instructions": "x", "reasoning": {"effort": "max", "summary": "auto"}, "tools": [TOOL]}),
        (RESPONSES, OLDER, {"reasoning": {"effort": "low"}, "service_tier": "flex",
                            "tool_choice": "required", "tools": [TOOL]}),
        (RESPONSES, NOVA, {"reasoning": {"effort": "low"}, "tools": [TOOL],
                           "tool_choice": {"type": "function", "name": "get_weather"}}),
        (RESPONSES, GPT, {"text": {"format": {"type": "json_schema", "name": "n", "schema": WEATHER}}}),
        (RESPONSES, CLAUDE, {"input": [{"role": "user", "content": [
            {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
            {"type": "input_image", "image_url": PIXEL}, {"type": "input_file", "file_data": PDF, "filename": "x"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": sealed_thinking(RedactedThinkingBlock("cw=="))},
            SAID, {**RETURNED, "output": ""}]}),
        (CHAT, CLAUDE, {"stop": ["END"], "temperature": 0.25, "top_p": 0.5, "max_tokens": 7}),
        (MESSAGES, CLAUDE, {"top_k": 5, "system": "x"}),
    ],
)  # fmt: skip
def test_what_is_sent_is_what_the_sdk_would_send(model_of_the_sdk, called, model, fields):
    told = as_the_sdk_takes_it(sent(called, model, **fields))
    shape = model_of_the_sdk.operation_model("Converse").input_shape
    report = ParamValidator().validate({"modelId": model, **told}, shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    ("model", "effort", "output", "more"),
    [
        (CLAUDE, "minimal", {"effort": "low"}, {"thinking": {"type": "adaptive"}}),
        (CLAUDE, "max", {"effort": "max"}, {"thinking": {"type": "adaptive"}}),
        (CLAUDE, "none", None, {"thinking": {"type": "disabled"}}),
        (OLDER, "high", None, {"thinking": {"type": "enabled", "budget_tokens": 16384}}),
        (NOVA, "minimal", None, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA, "none", None, {"reasoningConfig": {"type": "disabled"}}),
        (GPT, "medium", None, {"reasoning_effort": "medium"}),
    ],
)
def test_an_effort_is_said_in_the_words_of_the_models_maker(model, effort, output, more):
    told = sent(model=model, reasoning={"effort": effort})
    assert told.get("outputConfig") == output
    assert told["additionalModelRequestFields"] == more


def test_a_budget_stays_below_the_limit():
    told = sent(model=OLDER, reasoning={"effort": "high"}, max_output_tokens=2000)
    assert told["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1999
    assert refused(model=OLDER, reasoning={"effort": "high"}, max_output_tokens=1024) == "reasoning.effort"


@pytest.mark.parametrize(
    ("model", "effort"), [(NOVA, "max"), ("mistral.mistral-large-3-675b-instruct", "low"), (CLAUDE, "huge")]
)
def test_an_effort_that_the_model_does_not_know_is_refused(model, effort):
    assert refused(model=model, reasoning={"effort": effort}) == "reasoning.effort"
    assert refused(CHAT, model, reasoning_effort=effort) == "reasoning_effort"


def test_a_callers_wish_to_read_along_is_told_to_models_that_think():
    told = sent(reasoning={"summary": "auto"})
    assert told["additionalModelRequestFields"] == {"thinking": {"type": "adaptive", "display": "summarized"}}
    assert "additionalModelRequestFields" not in sent(model=NOVA, reasoning={"summary": "auto"})


def test_json_by_a_schema_is_asked_for_in_the_apis_own_way():
    wanted = {"type": "json_schema", "name": "n", "schema": WEATHER, "description": "d", "strict": True}
    (found,) = [sent(text={"format": wanted})["outputConfig"]["textFormat"]]
    schema = found["structure"]["jsonSchema"]
    assert found["type"] == "json_schema"
    assert (json.loads(schema["schema"]), schema["name"], schema["description"]) == (WEATHER, "n", "d")


def test_where_no_tool_may_be_called_none_is_offered():
    assert "toolConfig" not in sent(tools=[TOOL], tool_choice="none")
    called = [{"role": "user", "content": "x"}, SAID, RETURNED]
    assert refused(input=called, tools=[TOOL], tool_choice="none") == "tool_choice"


def test_tools_that_were_called_and_are_no_longer_offered_are_declared():
    told = sent(input=[{"role": "user", "content": "x"}, SAID, RETURNED])
    assert told["toolConfig"] == {
        "tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object"}}}}]
    }


@pytest.mark.parametrize(
    ("choice", "told", "more"),
    [
        (None, None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", {"any": {}}, {"disable_parallel_tool_use": True}),
    ],
)
def test_one_call_at_a_time_is_asked_for_in_the_words_of_models_that_know_it(choice, told, more):
    found = sent(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False)
    assert found["toolConfig"].get("toolChoice") == told
    assert found["additionalModelRequestFields"] == {"tool_choice": more}
    for model in (NOVA, GPT, "us.anthropic.claude-opus-4-1-20250805-v1:0", "anthropic.claude-3-7-sonnet-20250219-v1:0"):
        assert refused(model=model, tools=[TOOL], parallel_tool_calls=False) == "parallel_tool_calls"
    assert "additionalModelRequestFields" not in sent(parallel_tool_calls=False)


def test_only_some_of_the_tools_are_offered_where_only_they_may_be_called():
    other = TOOL | {"name": "other"}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "other"}]}
    told = sent(tools=[TOOL, other], tool_choice=allowed)["toolConfig"]
    assert [one["toolSpec"]["name"] for one in told["tools"]] == ["other"]
    assert told["toolChoice"] == {"any": {}}


# -- caching -----------------------------------------------------------------------------------------------------------

POINT = {"cachePoint": {"type": "default"}}


def marked(text, **mark):
    return {"type": "input_text", "text": text, "prompt_cache_breakpoint": MARK | mark}


def test_a_mark_is_a_block_behind_what_it_ends():
    told = sent(input=[{"role": "user", "content": [marked("a", ttl="30m"), {"type": "input_text", "text": "b"}]}])
    hour = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert told["messages"][0]["content"] == [{"text": "a"}, hour, {"text": "b"}]
    assert refused(input=[{"role": "user", "content": [marked("a", ttl="12h")]}]).endswith(".ttl")


def test_a_mark_behind_nothing_is_none():
    told = sent(input=[{"role": "user", "content": [marked(" "), {"type": "input_text", "text": "b"}]}])
    assert told["messages"][0]["content"] == [{"text": "b"}]


def test_of_too_many_marks_the_latest_count():
    told = sent(
        input=[{"role": "system", "content": [marked("s")]}, {"role": "user", "content": [marked(c) for c in "abcd"]}]
    )
    assert POINT not in told["system"]
    assert told["messages"][0]["content"].count(POINT) == 4


@pytest.mark.parametrize(
    ("model", "rules", "in_system", "in_tools"),
    [(CLAUDE, "r", 1, 0), (CLAUDE, None, 0, 1), (NOVA, "r", 1, 0), (NOVA, None, 0, 0), (GPT, "r", 0, 0)],
)
def test_a_cache_key_marks_the_static_prefix_where_the_model_takes_marks(model, rules, in_system, in_tools):
    told = sent(model=model, instructions=rules, tools=[TOOL], prompt_cache_key="k")
    assert told.get("system", []).count(POINT) == in_system
    assert told["toolConfig"]["tools"].count(POINT) == in_tools


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("called", "fields", "param"),
    [
        (RESPONSES, {"temperature": 1.5}, "temperature"),
        (RESPONSES, {"store": True}, "store"),
        (RESPONSES, {"service_tier": "scale"}, "service_tier"),
        (RESPONSES, {"text": {"verbosity": "low"}}, "text.verbosity"),
        (RESPONSES, {"text": {"format": {"type": "json_object"}}}, "text.format"),
        (RESPONSES, {"tools": [{"type": "web_search"}]}, "tools[0].web_search"),
        (RESPONSES, {"tools": [{"type": "custom", "name": "c"}]}, "tools[0].custom"),
        (RESPONSES, {"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        (RESPONSES, {"previous_response_id": "r"}, "previous_response_id"),
        (CHAT, {"seed": 3}, "seed"),
        (CHAT, {"logprobs": True}, "logprobs"),
        (CHAT, {"logit_bias": {"5": 1}}, "logit_bias"),
        (CHAT, {"frequency_penalty": 0.5}, "frequency_penalty"),
        (CHAT, {"n": 2}, "n"),
        (MESSAGES, {"container": "c"}, "container"),
        (GEMINI, {"cachedContent": "c"}, "cachedContent"),
    ],
)
def test_what_it_cannot_honour_is_refused_by_its_name(called, fields, param):
    assert refused(called, **fields) == param


@pytest.mark.parametrize(
    ("model", "mark", "told"),
    [
        (CLAUDE, {"type": "ephemeral"}, [POINT]),
        (CLAUDE, {"type": "ephemeral", "ttl": "1h"}, [{"cachePoint": {"type": "default", "ttl": "1h"}}]),
        ("amazon.nova-2-lite-v1:0", {"type": "ephemeral"}, [POINT]),
        ("openai.gpt-oss-120b-1:0", {"type": "ephemeral"}, []),
    ],
)
def test_all_of_a_request_is_cached_where_anthropics_caller_asks_for_it(model, mark, told):
    asked = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "cache_control": mark}
    assert sent(MESSAGES, model, **asked)["messages"] == [{"role": "user", "content": [{"text": "x"}, *told]}]


def test_top_k_goes_to_models_that_know_it():
    assert sent(MESSAGES, top_k=5)["additionalModelRequestFields"] == {"top_k": 5}
    assert refused(MESSAGES, GPT, top_k=5) == "top_k"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_image", "image_url": "https://example.com/a.png"}, "input[0].content[0].image_url"),
        ({"type": "input_image", "image_url": "s3://bucket/a.png"}, "input[0].content[0].image_url"),
        ({"type": "input_image", "image_url": "data:image/tiff;base64,AA=="}, "input[0].content[0].image_url"),
        ({"type": "input_image", "file_id": "file_1"}, "input[0].content[0].file_id"),
        ({"type": "input_image", "image_url": PIXEL, "detail": "low"}, "input[0].content[0].detail"),
        ({"type": "input_file", "file_url": "https://example.com/a.pdf"}, "input[0].content[0].file_url"),
        ({"type": "input_file", "file_id": "file_1"}, "input[0].content[0].file_id"),
        ({"type": "input_file", "file_data": "data:application/zip;base64,AA=="}, "input[0].content[0].file_data"),
        ({"type": "input_file", "file_data": "AA=="}, "input[0].content[0].file_data"),
    ],
)
def test_what_is_not_in_the_request_is_not_fetched(part, param):
    assert refused(input=[{"role": "user", "content": [part]}]) == param


def test_what_another_providers_model_has_thought_is_refused():
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    assert refused(input=[{"role": "user", "content": "x"}, thought]) == "input[1].encrypted_content"


def test_arguments_that_are_no_object_are_refused():
    wrong = SAID | {"arguments": "[1]"}
    assert refused(input=[{"role": "user", "content": "x"}, wrong, RETURNED]) == "input[1].arguments"
