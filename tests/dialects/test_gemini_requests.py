"""Requests of Responses, Chat and Messages as Google's Gemini API gets them."""

from typing import Any

import pytest
from gemini_samples import CHAT, MESSAGES, NEW, OLD, RESPONSES, to_gemini

from headworks.dialects.canonical import Reasoning
from headworks.dialects.gemini_contents import UNSIGNED
from headworks.dialects.sealing import GeminiSeal, ThinkingBlock, sealed_reasoning, sealed_signature, sealed_thinking
from headworks.errors import Refusal

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "description": "Looks."}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
PDF = "data:application/pdf;base64,JVBERi0="
ASKED: Any = {"role": "user", "content": "The weather?"}


def call(call_id: str = "call_1", arguments: str = '{"city":"Oslo"}') -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "get_weather", "arguments": arguments}


def result(call_id: str = "call_1", output: Any = "snow") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def sealed(signature: str, belongs_to: Any = "call") -> dict[str, Any]:
    seal = sealed_signature(GeminiSeal(signature, belongs_to))
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal}


def test_a_whole_conversation_from_responses() -> None:
    sent = to_gemini(
        instructions="Be kind.",
        input=[
            {"role": "developer", "content": "Answer in metres."},
            {"role": "user", "content": [{"type": "input_text", "text": "See:"},
                                         {"type": "input_image", "image_url": PIXEL, "detail": "high"},
                                         {"type": "input_image", "image_url": "https://example.com/a.png?b=1"},
                                         {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
                                         {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}]},
            {"role": "user", "content": "And the weather?"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            sealed("c2ln"),
            call("call_1"),
            call("call_2", ""),
            result("call_2", [{"type": "input_text", "text": "sun"}, {"type": "input_image", "image_url": PIXEL}]),
            result("call_1", '{"sky": 1.50}'),
            {"role": "user", "content": "Go on."},
        ],
        tools=[TOOL],
        max_output_tokens=500,
        temperature=1.5,
        top_p=0.5,
        stream=True,
    )  # fmt: skip

    gif = {"mimeType": "image/gif", "data": PIXEL.split(",")[1]}
    assert sent == {
        "systemInstruction": {"parts": [{"text": "Be kind."}, {"text": "Answer in metres."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "See:"},
                    {"inlineData": gif, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
                    {"fileData": {"fileUri": "https://example.com/a.png?b=1", "mimeType": "image/png"}},
                    {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
                    {"inlineData": {"mimeType": "audio/wav", "data": "AA=="}},
                    {"text": "And the weather?"},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "I look."},
                    {
                        "functionCall": {"name": "get_weather", "args": {"city": "Oslo"}, "id": "call_1"},
                        "thoughtSignature": "c2ln",
                    },
                    {"functionCall": {"name": "get_weather", "args": {}, "id": "call_2"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "get_weather", "response": {"sky": 1.5}, "id": "call_1"}},
                    {
                        "functionResponse": {
                            "name": "get_weather",
                            "response": {"output": "sun"},
                            "id": "call_2",
                            "parts": [{"inlineData": gif}],
                        }
                    },
                    {"text": "Go on."},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "get_weather", "description": "Looks.", "parametersJsonSchema": WEATHER}
                ]
            }
        ],
        "generationConfig": {"temperature": 1.5, "topP": 0.5, "maxOutputTokens": 500},
    }


def test_a_whole_conversation_from_chat() -> None:
    sent = to_gemini(
        CHAT,
        messages=[
            {"role": "system", "content": "Be kind."},
            ASKED,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "snow"},
        ],
        tools=[CHAT_TOOL],
        seed=7,
        stop=["END"],
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        logprobs=True,
        top_logprobs=3,
        reasoning_effort="low",
        response_format={"type": "json_object"},
        service_tier="flex",
        metadata={"a": "b"},
        user="u-1",
    )
    assert sent["systemInstruction"] == {"parts": [{"text": "Be kind."}]}
    assert [one["role"] for one in sent["contents"]] == ["user", "model", "user"]
    assert sent["contents"][2]["parts"] == [
        {"functionResponse": {"name": "get_weather", "response": {"output": "snow"}, "id": "c1"}}
    ]
    assert sent["serviceTier"] == "flex"
    assert sent["generationConfig"] == {
        "seed": 7,
        "stopSequences": ["END"],
        "frequencyPenalty": 0.5,
        "presencePenalty": -0.5,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseMimeType": "application/json",
        "thinkingConfig": {"thinkingLevel": "LOW"},
    }


def test_a_conversation_of_anthropics_callers_keeps_its_thoughts() -> None:
    seal = sealed_signature(GeminiSeal("c2ln", "call"))
    thinking = {"type": "thinking", "thinking": "", "signature": sealed_reasoning(Reasoning(encrypted_content=seal))}
    sent = to_gemini(
        MESSAGES,
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        metadata={"user_id": "u-1"},
        tools=[{"name": "get_weather", "input_schema": WEATHER}],
        messages=[
            ASKED,
            {"role": "assistant", "content": [thinking,
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "snow"}]},
        ],
    )  # fmt: skip
    assert sent["contents"][1]["parts"][0]["thoughtSignature"] == "c2ln"
    assert sent["generationConfig"] == {"maxOutputTokens": 100}


def test_a_call_that_nobody_signed_is_marked_so_for_models_that_insist() -> None:
    items = [ASKED, call("call_1"), call("call_2"), result("call_1"), result("call_2")]
    signed = [part.get("thoughtSignature") for part in to_gemini(model=NEW, input=items)["contents"][1]["parts"]]
    assert signed == [UNSIGNED, None]
    assert "thoughtSignature" not in str(to_gemini(model=OLD, input=items))


def test_a_signature_of_text_goes_back_by_itself_in_its_place() -> None:
    said = {"role": "assistant", "content": "Snow."}
    sent = to_gemini(input=[ASKED, said, sealed("c2ln", "text"), ASKED])
    assert sent["contents"][1]["parts"] == [{"text": "Snow."}, {"text": "", "thoughtSignature": "c2ln"}]


def test_a_signature_whose_call_is_gone_still_goes_back() -> None:
    sent = to_gemini(input=[ASKED, sealed("c2ln"), ASKED])
    assert sent["contents"][1] == {"role": "model", "parts": [{"text": "", "thoughtSignature": "c2ln"}]}


@pytest.mark.parametrize(
    ("output", "response"),
    [
        ("snow", {"output": "snow"}),
        ("", {"output": ""}),
        ('{"a": 1}', {"a": 1}),
        ('{"error": 1}', {"output": '{"error": 1}'}),
        ("{no json", {"output": "{no json"}),
        ("[1]", {"output": "[1]"}),
    ],
)
def test_a_result_is_an_object_or_stands_in_one(output: str, response: object) -> None:
    sent = to_gemini(input=[ASKED, call(), result(output=output)])
    assert sent["contents"][2]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        (None, False, None),
        (None, True, {"mode": "VALIDATED"}),
        ("auto", False, {"mode": "AUTO"}),
        ("none", True, {"mode": "NONE"}),
        ("required", False, {"mode": "ANY"}),
        (
            {"type": "function", "name": "get_weather"},
            False,
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "get_weather"}]},
            False,
            {"mode": "VALIDATED", "allowedFunctionNames": ["get_weather"]},
        ),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]},
            False,
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
    ],
)
def test_a_choice_of_tools_is_a_mode(choice: Any, strict: bool, config: Any) -> None:
    more = {} if choice is None else {"tool_choice": choice}
    sent = to_gemini(tools=[TOOL | {"strict": strict}], **more)
    assert sent.get("toolConfig", {}).get("functionCallingConfig") == config


def test_a_schema_is_asked_for_in_json_schemas_own_words() -> None:
    schema = {"$defs": {"a": {"type": "string"}}, "type": "object", "additionalProperties": False}
    form = {"type": "json_schema", "name": "x", "schema": schema, "strict": True, "description": "A thing."}
    config = to_gemini(text={"format": form})["generationConfig"]
    assert config == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema | {"description": "A thing."},
    }


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        (NEW, "minimal", {"thinkingLevel": "MINIMAL"}),
        (NEW, "xhigh", {"thinkingLevel": "XHIGH"}),
        (OLD, "none", {"thinkingBudget": 0}),
        (OLD, "medium", {"thinkingBudget": 8192}),
        ("gemini-2.5-pro", "high", {"thinkingBudget": 24_576}),
        ("gemini-flash-latest", "high", {"thinkingLevel": "HIGH"}),
    ],
)
def test_an_effort_is_a_level_or_a_budget(model: str, effort: str, config: object) -> None:
    assert to_gemini(model=model, reasoning={"effort": effort})["generationConfig"] == {"thinkingConfig": config}


def test_a_summary_of_reasoning_is_asked_for() -> None:
    config = to_gemini(reasoning={"summary": "auto"})["generationConfig"]["thinkingConfig"]
    assert config == {"includeThoughts": True}


FOREIGN = sealed_thinking(ThinkingBlock("Oslo.", "c2ln"))


@pytest.mark.parametrize(
    ("called", "fields", "param"),
    [
        (RESPONSES, {"reasoning": {"effort": "none"}}, "reasoning.effort"),
        (CHAT, {"reasoning_effort": "max"}, "reasoning_effort"),
        (RESPONSES, {"text": {"verbosity": "low"}}, "text.verbosity"),
        (CHAT, {"verbosity": "low"}, "verbosity"),
        (RESPONSES, {"store": True}, "store"),
        (RESPONSES, {"service_tier": "fast"}, "service_tier"),
        (RESPONSES, {"parallel_tool_calls": False, "tools": [TOOL]}, "parallel_tool_calls"),
        (RESPONSES, {"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        (RESPONSES, {"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options.ttl"),
        (RESPONSES, {"tools": [{"type": "web_search"}]}, "tools[0].web_search"),
        (RESPONSES, {"tools": [{"type": "custom", "name": "x"}]}, "tools[0].custom"),
        (RESPONSES, {"truncation": "auto"}, "truncation"),
        (RESPONSES, {"input": [ASKED, {"role": "system", "content": "Be kind."}]}, "input[1].role"),
        (RESPONSES, {"input": [result()]}, "input[0].call_id"),
        (RESPONSES, {"input": [call(arguments="[1]")]}, "input[0].arguments"),
        (
            RESPONSES,
            {"input": [{"type": "reasoning", "summary": [], "encrypted_content": FOREIGN}]},
            "input[0].encrypted_content",
        ),
        (
            RESPONSES,
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            RESPONSES,
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": PIXEL, "detail": "original"}]}
                ]
            },
            "input[0].content[0].detail",
        ),
    ],
)
def test_what_google_has_nothing_for_is_refused_by_its_name(called: Any, fields: Any, param: str) -> None:
    with pytest.raises(Refusal) as caught:
        to_gemini(called, **fields)
    assert (caught.value.status, caught.value.param) == (400, param)
