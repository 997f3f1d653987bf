# ruff: noqa: INP001
"""The features of the support matrix, and how each API asks for them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headworks.calls import Endpoint

RESPONSES, CHAT, COMPLETIONS, MESSAGES, GEMINI, CONVERSE = (
    Endpoint.RESPONSES,
    Endpoint.CHAT,
    Endpoint.COMPLETIONS,
    Endpoint.MESSAGES,
    Endpoint.GENERATE_CONTENT,
    Endpoint.CONVERSE,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = f"data:image/png;base64,{PIXEL}"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SOUND = {"data": "UklGRg==", "format": "wav"}

Fields = dict[str, Any]


def _item(*parts: Fields) -> Fields:
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}, *parts]}]}


def _message(*parts: Fields) -> Fields:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}]}


def _content(*parts: Fields) -> Fields:
    return {"contents": [{"role": "user", "parts": [{"text": "x"}, *parts]}]}


def _generation(**fields: Any) -> Fields:
    return {"generationConfig": fields}


def _function(**more: Any) -> Fields:
    return {"type": "function", "name": "weather", "parameters": PARAMETERS} | more


def _chat_function(**more: Any) -> Fields:
    return {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS} | more}


PLAIN: dict[Endpoint, Fields] = {
    RESPONSES: {"model": "m"} | _item(),
    CHAT: {"model": "m"} | _message(),
    COMPLETIONS: {"model": "m", "prompt": "x"},
    MESSAGES: {"model": "m", "max_tokens": 4096} | _message(),
    GEMINI: {"model": "m"} | _content(),
}
TOOLS: dict[Endpoint, Fields] = {
    RESPONSES: {"tools": [_function()]},
    CHAT: {"tools": [_chat_function()]},
    MESSAGES: {"tools": [{"name": "weather", "input_schema": PARAMETERS}]},
    GEMINI: {"tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": PARAMETERS}]}]},
}
_SAID = {"call_id": "call_1", "name": "weather", "arguments": '{"city":"Oslo"}'}
TOOL_TURNS: dict[Endpoint, Fields] = {
    RESPONSES: {
        "input": [
            {"role": "user", "content": "x"},
            {"type": "function_call", **_SAID},
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        ]
    },
    CHAT: {
        "messages": [
            {"role": "user", "content": "x"},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ]
    },
    MESSAGES: {
        "messages": [
            {"role": "user", "content": "x"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]},
        ]
    },
    GEMINI: {
        "contents": [
            {"role": "user", "parts": [{"text": "x"}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Oslo"}}}],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"id": "call_1", "name": "weather", "response": {"output": "sunny"}}}],
            },
        ]
    },
}


class Feature(msgspec.Struct, frozen=True):
    """One row: how each API asks for it. `besides` is what has to stand in the request for it to mean anything; `near`
    asks for a little more of it, which a provider that has the same thing is told, too."""

    title: str
    asks: Mapping[Endpoint, Fields]
    besides: Mapping[Endpoint, Fields] = {}
    near: Mapping[Endpoint, Fields] = {}


FEATURES = (
    Feature(
        "system prompt",
        {
            RESPONSES: {"instructions": "Be brief."},
            CHAT: {"messages": [{"role": "system", "content": "Be brief."}, *_message()["messages"]]},
            MESSAGES: {"system": "Be brief."},
            GEMINI: {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
        },
    ),
    Feature(
        "developer message",
        {
            RESPONSES: {"input": [{"role": "developer", "content": "Be brief."}, *_item()["input"]]},
            CHAT: {"messages": [{"role": "developer", "content": "Be brief."}, *_message()["messages"]]},
        },
    ),
    Feature("streaming", {one: {"stream": True} for one in (RESPONSES, CHAT, COMPLETIONS, MESSAGES)}),
    Feature(
        "image, inline",
        {
            RESPONSES: _item({"type": "input_image", "image_url": IMAGE}),
            CHAT: _message({"type": "image_url", "image_url": {"url": IMAGE}}),
            MESSAGES: _message(
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
            ),
            GEMINI: _content({"inlineData": {"mimeType": "image/png", "data": PIXEL}}),
        },
    ),
    Feature(
        "image, by URL",
        {
            RESPONSES: _item({"type": "input_image", "image_url": "https://example.org/a.png"}),
            CHAT: _message({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
            MESSAGES: _message({"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}),
            GEMINI: _content({"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}}),
        },
    ),
    Feature(
        "PDF, inline",
        {
            RESPONSES: _item(
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
            ),
            CHAT: _message(
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}
            ),
            MESSAGES: _message(
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}
            ),
            GEMINI: _content({"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}}),
        },
    ),
    Feature(
        "audio as input",
        {
            RESPONSES: _item({"type": "input_audio", "input_audio": SOUND}),
            CHAT: _message({"type": "input_audio", "input_audio": SOUND}),
            GEMINI: _content({"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}}),
        },
    ),
    Feature("audio as output", {CHAT: {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "mp3"}}}),
    Feature("functions", TOOLS),
    Feature("functions called and answered", TOOL_TURNS, TOOLS),
    Feature(
        "strict functions",
        {RESPONSES: {"tools": [_function(strict=True)]}, CHAT: {"tools": [_chat_function(strict=True)]}},
    ),
    Feature(
        "a function must be called",
        {
            RESPONSES: {"tool_choice": "required"},
            CHAT: {"tool_choice": "required"},
            MESSAGES: {"tool_choice": {"type": "any"}},
            GEMINI: {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        },
        TOOLS,
    ),
    Feature(
        "this function must be called",
        {
            RESPONSES: {"tool_choice": {"type": "function", "name": "weather"}},
            CHAT: {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
            MESSAGES: {"tool_choice": {"type": "tool", "name": "weather"}},
            GEMINI: {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}},
        },
        TOOLS,
    ),
    Feature(
        "no parallel calls",
        {
            RESPONSES: {"parallel_tool_calls": False},
            CHAT: {"parallel_tool_calls": False},
            MESSAGES: {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        },
        TOOLS,
    ),
    Feature(
        "custom tools (free text)",
        {
            RESPONSES: {"tools": [{"type": "custom", "name": "shell"}]},
            CHAT: {"tools": [{"type": "custom", "custom": {"name": "shell"}}]},
        },
    ),
    Feature(
        "hosted web search",
        {
            RESPONSES: {"tools": [{"type": "web_search"}]},
            CHAT: {"web_search_options": {}},
            MESSAGES: {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            GEMINI: {"tools": [{"googleSearch": {}}]},
        },
    ),
    Feature(
        "JSON by a schema",
        {
            RESPONSES: {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}},
            CHAT: {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
                }
            },
            MESSAGES: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
            GEMINI: _generation(responseMimeType="application/json", responseJsonSchema=SCHEMA),
        },
    ),
    Feature(
        "JSON without a schema",
        {
            RESPONSES: {"text": {"format": {"type": "json_object"}}},
            CHAT: {"response_format": {"type": "json_object"}},
            GEMINI: _generation(responseMimeType="application/json"),
        },
    ),
    Feature(
        "reasoning effort",
        {
            RESPONSES: {"reasoning": {"effort": "low"}},
            CHAT: {"reasoning_effort": "low"},
            MESSAGES: {"output_config": {"effort": "low"}},
            GEMINI: _generation(thinkingConfig={"thinkingLevel": "LOW"}),
        },
    ),
    Feature(
        "reasoning by a budget of tokens",
        {
            MESSAGES: {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            GEMINI: _generation(thinkingConfig={"thinkingBudget": 2048}),
        },
        near={
            MESSAGES: {"thinking": {"type": "enabled", "budget_tokens": 2100}},
            GEMINI: _generation(thinkingConfig={"thinkingBudget": 2100}),
        },
    ),
    Feature(
        "sealed reasoning",
        {RESPONSES: {"include": ["reasoning.encrypted_content"]}},
    ),
    Feature(
        "output limit",
        {
            RESPONSES: {"max_output_tokens": 500},
            CHAT: {"max_completion_tokens": 500},
            COMPLETIONS: {"max_tokens": 500},
            MESSAGES: {"max_tokens": 500},
            GEMINI: _generation(maxOutputTokens=500),
        },
    ),
    Feature(
        "temperature",
        {
            **{one: {"temperature": 0.25} for one in (RESPONSES, CHAT, COMPLETIONS, MESSAGES)},
            GEMINI: _generation(temperature=0.25),
        },
    ),
    Feature("top_k", {MESSAGES: {"top_k": 5}, GEMINI: _generation(topK=5)}),
    Feature(
        "stop sequences",
        {
            **{one: {"stop": ["END"]} for one in (CHAT, COMPLETIONS)},
            MESSAGES: {"stop_sequences": ["END"]},
            GEMINI: _generation(stopSequences=["END"]),
        },
    ),
    Feature("seed", {CHAT: {"seed": 7}, COMPLETIONS: {"seed": 7}, GEMINI: _generation(seed=7)}),
    Feature(
        "penalties",
        {
            **{one: {"presence_penalty": 0.5} for one in (CHAT, COMPLETIONS)},
            GEMINI: _generation(presencePenalty=0.5),
        },
    ),
    Feature("logit bias", {one: {"logit_bias": {"5": 1}} for one in (CHAT, COMPLETIONS)}),
    Feature(
        "log probabilities",
        {
            RESPONSES: {"top_logprobs": 3, "include": ["message.output_text.logprobs"]},
            CHAT: {"logprobs": True, "top_logprobs": 3},
            COMPLETIONS: {"logprobs": 3},
            GEMINI: _generation(responseLogprobs=True, logprobs=3),
        },
    ),
    Feature(
        "several answers",
        {CHAT: {"n": 2}, COMPLETIONS: {"n": 2}, GEMINI: _generation(candidateCount=2)},
    ),
    Feature("verbosity", {RESPONSES: {"text": {"verbosity": "low"}}, CHAT: {"verbosity": "low"}}),
    Feature(
        "service tier",
        {
            RESPONSES: {"service_tier": "flex"},
            CHAT: {"service_tier": "flex"},
            MESSAGES: {"service_tier": "standard_only"},
            GEMINI: {"serviceTier": "flex"},
        },
    ),
    Feature(
        "prompt cache key",
        {RESPONSES: {"prompt_cache_key": "k"}, CHAT: {"prompt_cache_key": "k"}},
        TOOLS,
    ),
    Feature(
        "prompt cache breakpoint",
        {
            RESPONSES: {
                "input": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
                        ],
                    }
                ]
            },
            MESSAGES: {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
                    }
                ]
            },
            GEMINI: {"cachedContent": "cachedContents/1"},
        },
    ),
    Feature("metadata", {RESPONSES: {"metadata": {"team": "a"}}, CHAT: {"metadata": {"team": "a"}}}),
    Feature(
        "end user's id",
        {
            RESPONSES: {"safety_identifier": "u"},
            CHAT: {"safety_identifier": "u"},
            MESSAGES: {"metadata": {"user_id": "u"}},
        },
    ),
    Feature("stored by the provider", {RESPONSES: {"store": True}, CHAT: {"store": True}}),
    Feature("previous_response_id", {RESPONSES: {"previous_response_id": "resp_1"}}),
    Feature("background", {RESPONSES: {"background": True}}),
)
