"""Every field of the official SDKs' requests crosses the bridge to and from Anthropic's Messages or is refused by its
name."""

import json
from pathlib import Path
from typing import Any

import pytest
from anthropic.types import message_create_params
from anthropic_samples import CHAT, MESSAGES, RESPONSES, WHOLE
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES
from headworks.errors import Refusal

PAGE = Path(__file__).parents[2] / "docs/explanation/bridging.md"

SCHEMA: Any = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
FUNCTION: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}
CHAT_FUNCTION: Any = {"type": "function", "function": {"name": "look"}}
TOOL: Any = {"name": "look", "input_schema": {"type": "object"}}

Table = dict[str, tuple[Any, str]]

FROM_RESPONSES: Table = {
    "access_programs": (["x"], "refused"),
    "background": (True, "refused"),
    "background_options": ({"a": 1}, "refused"),
    "context_management": ([{"type": "compaction"}], "refused"),
    "conversation": ("conv_1", "refused"),
    "image": ({"a": 1}, "refused"),
    "include": (["message.output_text.logprobs"], "refused"),
    "input": ("a word that goes up", "a word that goes up"),
    "instructions": ("Be brief, be kind.", "Be brief, be kind."),
    "max_output_tokens": (8765, '"max_tokens":8765'),
    "max_tool_calls": (3, "refused"),
    "metadata": ({"a": "carried-1"}, "kept here"),
    "model": ("m", "claude-sonnet-5"),
    "moderation": ({"model": "x"}, "refused"),
    "parallel_tool_calls": (False, '"disable_parallel_tool_use":true'),
    "previous_response_id": ("resp_1", "refused"),
    "prompt": ({"id": "p"}, "refused"),
    "prompt_cache_key": ("k", "cache_control"),
    "prompt_cache_options": ({"mode": "implicit", "ttl": "30m"}, '"ttl":"1h"'),
    "prompt_cache_retention": ("24h", "refused"),
    "reasoning": ({"effort": "low"}, '"effort":"low"'),
    "safety_identifier": ("carried-3", '"user_id":"carried-3"'),
    "service_tier": ("flex", "refused"),
    "store": (True, "refused"),
    "stream": (True, '"stream":true'),
    "stream_options": ({"include_obfuscation": True}, "refused"),
    "temperature": (0.125, "0.125"),
    "text": ({"format": SCHEMA}, '"type":"json_schema"'),
    "tool_choice": ("required", '"type":"any"'),
    "tools": ([FUNCTION], "look"),
    "top_logprobs": (3, "refused"),
    "top_p": (0.375, "0.375"),
    "truncation": ("auto", "refused"),
    "user": ("carried-4", '"user_id":"carried-4"'),
}

FROM_CHAT: Table = {
    "audio": ({"voice": "alloy", "format": "mp3"}, "refused"),
    "frequency_penalty": (0.5, "refused"),
    "function_call": ("auto", "refused"),
    "functions": ([{"name": "x"}], "refused"),
    "logit_bias": ({"5": 1}, "refused"),
    "logprobs": (True, "refused"),
    "max_completion_tokens": (8765, "8765"),
    "max_tokens": (8765, "8765"),
    "messages": ([{"role": "user", "content": "a word that goes up"}], "a word that goes up"),
    "metadata": ({"a": "carried-1"}, "kept here"),
    "modalities": (["audio"], "refused"),
    "model": ("m", "claude-sonnet-5"),
    "moderation": ({"model": "x"}, "refused"),
    "n": (2, "refused"),
    "parallel_tool_calls": (False, '"disable_parallel_tool_use":true'),
    "prediction": ({"type": "content", "content": "x"}, "refused"),
    "presence_penalty": (0.5, "refused"),
    "prompt_cache_key": ("k", "cache_control"),
    "prompt_cache_options": ({"mode": "implicit", "ttl": "12h"}, "refused"),
    "prompt_cache_retention": ("24h", "refused"),
    "reasoning_effort": ("low", '"effort":"low"'),
    "response_format": ({"type": "json_object"}, "refused"),
    "safety_identifier": ("carried-3", '"user_id":"carried-3"'),
    "seed": (5, "refused"),
    "service_tier": ("default", '"service_tier":"standard_only"'),
    "stop": (["x"], '"stop_sequences":["x"]'),
    "store": (True, "refused"),
    "stream": (True, '"stream":true'),
    "stream_options": ({"include_obfuscation": True}, "refused"),
    "temperature": (1.5, "refused"),
    "tool_choice": ("required", '"type":"any"'),
    "tools": ([CHAT_FUNCTION], "look"),
    "top_logprobs": (3, "refused"),
    "top_p": (0.375, "0.375"),
    "user": ("carried-4", '"user_id":"carried-4"'),
    "verbosity": ("low", "refused"),
    "web_search_options": ({}, "refused"),
}

FROM_MESSAGES: Table = {
    "cache_control": ({"type": "ephemeral"}, "as it is anyway"),
    "container": ("c", "refused"),
    "diagnostics": ({"previous_message_id": "msg_1"}, "refused"),
    "inference_geo": ("eu", "refused"),
    "max_tokens": (8765, "8765"),
    "messages": ([{"role": "user", "content": "a word that goes up"}], "a word that goes up"),
    "metadata": ({"user_id": "carried-3"}, '"safety_identifier":"carried-3"'),
    "model": ("m", "claude-sonnet-5"),
    "output_config": ({"effort": "low"}, '"low"'),
    "service_tier": ("standard_only", '"service_tier":"default"'),
    "speed": ("fast", "refused"),
    "stop_sequences": (["x"], "refused or stop"),
    "stream": (True, '"stream":true'),
    "system": ("Be brief, be kind.", "Be brief, be kind."),
    "thinking": ({"type": "enabled", "budget_tokens": 5000}, '"medium"'),
    "tool_choice": ({"type": "any"}, '"required"'),
    "tools": ([TOOL], "look"),
    "user_profile_id": ("u", "refused"),
    "temperature": (0.125, "0.125"),
    "top_k": (5, "refused"),
    "top_p": (0.375, "0.375"),
}
"""By field: a value that asks for something, and what of it must be in the request upstream."""

TABLES = {RESPONSES: FROM_RESPONSES, CHAT: FROM_CHAT, MESSAGES: FROM_MESSAGES}
WAYS = [
    (called, spoken, field)
    for called, spoken in ((RESPONSES, MESSAGES), (CHAT, MESSAGES), (MESSAGES, RESPONSES), (MESSAGES, CHAT))
    for field in TABLES[called]
]
ELSEWHERE = {"workspace_id"}
"""It is sent as a header."""


def test_the_tables_have_every_field_of_the_sdks() -> None:
    responses = set(response_create_params.ResponseCreateParamsBase.__annotations__) | {"stream"}
    chat = set(completion_create_params.CompletionCreateParamsBase.__annotations__) | {"stream"}
    messages = set(message_create_params.MessageCreateParamsBase.__annotations__) | {"stream"}

    assert set(FROM_RESPONSES) == responses
    assert set(FROM_CHAT) == chat
    # Sampling parameters are no longer in the SDK, and older models still take them.
    assert set(FROM_MESSAGES) == (messages - ELSEWHERE) | {"temperature", "top_k", "top_p"}


@pytest.mark.parametrize(("called", "spoken", "field"), WAYS)
def test_a_field_is_carried_or_refused_by_name(called: Endpoint, spoken: Endpoint, field: str) -> None:
    table = TABLES[called]
    value, found = table[field]
    if found == "refused or stop":
        found = "refused" if spoken is RESPONSES else '"stop":["x"]'
    besides: dict[str, Any] = {}
    if field in ("tool_choice", "parallel_tool_calls"):
        besides["tools"] = table["tools"][0]
    if field == "stream_options":
        besides["stream"] = True
    if field == "top_logprobs" and called is CHAT:
        besides["logprobs"] = True
    if field in ("prompt_cache_key", "prompt_cache_options") and called is RESPONSES:
        besides["instructions"] = "r"
    body = json.dumps(WHOLE[called] | besides | {field: value}).encode()

    if found == "refused":
        with pytest.raises(Refusal) as refused:
            BRIDGES[called, spoken](body).request(body, "claude-sonnet-5")
        assert refused.value.status == 400
        expected = "logprobs" if field == "top_logprobs" and called is CHAT else field
        assert (refused.value.param or "").startswith((expected, "top_logprobs"))
        assert (refused.value.param or "") in refused.value.message
        return
    if field == "prompt_cache_key" and called is CHAT:
        body = json.dumps(WHOLE[CHAT] | {"tools": [CHAT_FUNCTION], field: value}).encode()
    sent = BRIDGES[called, spoken](body).request(body, "claude-sonnet-5").decode()
    if found in ("kept here", "as it is anyway"):
        assert (
            sent == BRIDGES[called, spoken](json.dumps(WHOLE[called]).encode()).request(b"", "claude-sonnet-5").decode()
        )
    else:
        assert found in sent


@pytest.mark.parametrize(("called", "spoken"), sorted({(called, spoken) for called, spoken, _ in WAYS}))
def test_an_unknown_field_is_refused_by_name(called: Endpoint, spoken: Endpoint) -> None:
    body = json.dumps(WHOLE[called] | {"brand_new": 1}).encode()
    with pytest.raises(Refusal, match="brand_new"):
        BRIDGES[called, spoken](body).request(body, "claude-sonnet-5")


def test_the_page_tells_of_every_field() -> None:
    _, page = PAGE.read_text().split("## Responses and Chat to Anthropic's Messages")
    upward, inward = page.split("## Messages to an upstream that speaks Responses or Chat")
    for field in {*FROM_RESPONSES, *FROM_CHAT}:
        assert f"`{field}`" in upward, field
    for field in FROM_MESSAGES:
        assert f"`{field}`" in inward, field
