"""Every field of the official SDK's requests crosses a bridge or is refused by its name; none is dropped in silence."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES
from headworks.errors import Refusal

OTHER = {Endpoint.RESPONSES: Endpoint.CHAT, Endpoint.CHAT: Endpoint.RESPONSES}

PAGE = Path(__file__).parents[2] / "docs/explanation/bridging.md"

CACHE: Any = {"mode": "explicit", "ttl": "30m"}
FUNCTION: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}

FROM_RESPONSES: dict[str, tuple[Any, str]] = {
    "access_programs": (["x"], "refused"),
    "background": (True, "refused"),
    "background_options": ({"a": 1}, "refused"),
    "context_management": ([{"type": "compaction"}], "refused"),
    "conversation": ("conv_1", "refused"),
    "image": ({"a": 1}, "refused"),
    "include": (["reasoning.encrypted_content"], "refused"),
    "input": ("a word that goes up", "a word that goes up"),
    "instructions": ("Be brief, be kind.", "Be brief, be kind."),
    "max_output_tokens": (8765, "8765"),
    "max_tool_calls": (3, "refused"),
    "metadata": ({"a": "carried-1"}, "carried-1"),
    "model": ("m", "upstream-model"),
    "moderation": ({"model": "x"}, "refused"),
    "parallel_tool_calls": (False, '"parallel_tool_calls":false'),
    "previous_response_id": ("resp_1", "refused"),
    "prompt": ({"id": "p"}, "refused"),
    "prompt_cache_key": ("carried-2", "carried-2"),
    "prompt_cache_options": (CACHE, "explicit"),
    "prompt_cache_retention": ("24h", "24h"),
    "reasoning": ({"effort": "low"}, '"reasoning_effort":"low"'),
    "safety_identifier": ("carried-3", "carried-3"),
    "service_tier": ("flex", "flex"),
    "store": (True, "refused"),
    "stream": (True, '"stream":true'),
    "stream_options": ({"include_obfuscation": True}, "refused"),
    "temperature": (0.125, "0.125"),
    "text": ({"verbosity": "low", "format": {"type": "json_object"}}, '"verbosity":"low"'),
    "tool_choice": ("required", "required"),
    "tools": ([FUNCTION], "look"),
    "top_logprobs": (3, '"top_logprobs":3'),
    "top_p": (0.375, "0.375"),
    "truncation": ("auto", "refused"),
    "user": ("carried-4", "carried-4"),
}
"""By field of a Responses request: a value that asks for something, and what of it must be in the chat request."""

FROM_CHAT: dict[str, tuple[Any, str]] = {
    "audio": ({"voice": "alloy", "format": "mp3"}, "refused"),
    "frequency_penalty": (0.5, "refused"),
    "function_call": ("auto", "refused"),
    "functions": ([{"name": "x"}], "refused"),
    "logit_bias": ({"5": 1}, "refused"),
    "logprobs": (True, "message.output_text.logprobs"),
    "max_completion_tokens": (8765, "8765"),
    "max_tokens": (8765, "8765"),
    "messages": ([{"role": "user", "content": "a word that goes up"}], "a word that goes up"),
    "metadata": ({"a": "carried-1"}, "carried-1"),
    "modalities": (["audio"], "refused"),
    "model": ("m", "upstream-model"),
    "moderation": ({"model": "x"}, "refused"),
    "n": (2, "refused"),
    "parallel_tool_calls": (False, '"parallel_tool_calls":false'),
    "prediction": ({"type": "content", "content": "x"}, "refused"),
    "presence_penalty": (0.5, "refused"),
    "prompt_cache_key": ("carried-2", "carried-2"),
    "prompt_cache_options": (CACHE, "explicit"),
    "prompt_cache_retention": ("24h", "24h"),
    "reasoning_effort": ("low", '"effort":"low"'),
    "response_format": ({"type": "json_object"}, "json_object"),
    "safety_identifier": ("carried-3", "carried-3"),
    "seed": (5, "refused"),
    "service_tier": ("flex", "flex"),
    "stop": (["x"], "refused"),
    "store": (True, '"store":true'),
    "stream": (True, '"stream":true'),
    "stream_options": ({"include_obfuscation": True}, "refused"),
    "temperature": (0.125, "0.125"),
    "tool_choice": ("required", "required"),
    "tools": ([{"type": "function", "function": {"name": "look"}}], "look"),
    "top_logprobs": (3, '"top_logprobs":3'),
    "top_p": (0.375, "0.375"),
    "user": ("carried-4", "carried-4"),
    "verbosity": ("low", '"verbosity":"low"'),
    "web_search_options": ({}, "refused"),
}
"""The same for a chat request that goes to Responses."""

WHOLE: dict[Endpoint, dict[str, Any]] = {
    Endpoint.RESPONSES: {"model": "m", "input": "x"},
    Endpoint.CHAT: {"model": "m", "messages": [{"role": "user", "content": "x"}]},
}
BESIDES = {
    "stream_options": {"stream": True},
    "tool_choice": {"tools": None},
    "parallel_tool_calls": {"tools": None},
    "top_logprobs": {"logprobs": True},
}
"""What some fields cannot stand without."""


def test_the_tables_have_every_field_of_the_sdk() -> None:
    responses = set(response_create_params.ResponseCreateParamsBase.__annotations__) | {"stream"}
    chat = set(completion_create_params.CompletionCreateParamsBase.__annotations__) | {"stream"}

    assert set(FROM_RESPONSES) == responses
    assert set(FROM_CHAT) == chat


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [(Endpoint.RESPONSES, field) for field in FROM_RESPONSES] + [(Endpoint.CHAT, field) for field in FROM_CHAT],
)
def test_a_field_is_carried_or_refused_by_name(endpoint: Endpoint, field: str) -> None:
    table = FROM_RESPONSES if endpoint is Endpoint.RESPONSES else FROM_CHAT
    value, found = table[field]
    besides = dict(BESIDES.get(field, {}))
    if "tools" in besides:
        besides["tools"] = table["tools"][0]
    if endpoint is Endpoint.RESPONSES:
        besides.pop("logprobs", None)
    body = json.dumps(WHOLE[endpoint] | besides | {field: value}).encode()

    if found == "refused":
        with pytest.raises(Refusal) as refused:
            BRIDGES[endpoint, OTHER[endpoint]](body).request(body, "upstream-model")
        assert refused.value.status == 400
        assert (refused.value.param or "").startswith(field)
        assert field in refused.value.message
    else:
        assert found in BRIDGES[endpoint, OTHER[endpoint]](body).request(body, "upstream-model").decode()


@pytest.mark.parametrize("endpoint", [Endpoint.RESPONSES, Endpoint.CHAT])
def test_an_unknown_field_is_refused_by_name(endpoint: Endpoint) -> None:
    body = json.dumps(WHOLE[endpoint] | {"brand_new": 1}).encode()
    with pytest.raises(Refusal, match="brand_new"):
        BRIDGES[endpoint, OTHER[endpoint]](body).request(body, "upstream-model")


def test_chat_that_says_nothing_of_storing_is_not_stored() -> None:
    body = json.dumps(WHOLE[Endpoint.CHAT]).encode()

    assert json.loads(BRIDGES[Endpoint.CHAT, Endpoint.RESPONSES](body).request(body, "m"))["store"] is False


def test_the_page_tells_of_every_field() -> None:
    page = PAGE.read_text()
    responses, chat = page.split("## Chat to an upstream that speaks Responses")
    for field in FROM_RESPONSES:
        assert f"`{field}`" in responses, field
    for field in FROM_CHAT:
        assert f"`{field}`" in chat, field
