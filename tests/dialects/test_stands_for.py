"""Names that an operator chose: what a model can be asked is what the model behind them can."""

import json
from typing import Any

import pytest

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES
from headworks.dialects.structured import schema_bridge
from headworks.errors import Refusal

ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a1b2"
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PLAIN: Any = {"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "x"}]}
ASKED: list[Any] = [
    {"reasoning_effort": "high", "max_completion_tokens": 9000},
    {"reasoning_effort": "none"},
    {"tools": [TOOL], "parallel_tool_calls": False},
    {"tools": [TOOL], "parallel_tool_calls": False, "tool_choice": "required"},
    {"prompt_cache_key": "k"},
    {"top_k": 3},
    {},
]
MODELS = {
    Endpoint.CONVERSE: [
        "eu.anthropic.claude-sonnet-5-v1:0",
        "claude-haiku-4-5",
        "amazon.nova-lite-v1:0",
        "global.amazon.nova-2-lite-v1:0",
        "openai.gpt-oss-120b-1:0",
        "meta.llama4-scout-v1:0",
    ],
    Endpoint.MESSAGES: ["claude-sonnet-5", "claude-haiku-4-5"],
    Endpoint.GENERATE_CONTENT: ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.5-flash"],
}
PAIRS = [(spoken, model) for spoken, models in MODELS.items() for model in models]


def sent(spoken: Endpoint, fields: Any, model: str, stands_for: str = "") -> Any:
    body = json.dumps(PLAIN | fields).encode()
    try:
        found = json.loads(BRIDGES[Endpoint.CHAT, spoken](body).request(body, model, stands_for=stands_for))
    except Refusal as refusal:
        return refusal.param, refusal.message
    return {name: value for name, value in found.items() if name != "model"}


@pytest.mark.parametrize("fields", ASKED)
@pytest.mark.parametrize(("spoken", "model"), PAIRS)
def test_a_name_is_asked_what_the_model_behind_it_can_be(spoken: Endpoint, model: str, fields: Any) -> None:
    assert sent(spoken, fields, ARN, model) == sent(spoken, fields, model)


@pytest.mark.parametrize(("spoken", "model"), PAIRS)
def test_it_is_still_asked_by_its_own_name(spoken: Endpoint, model: str) -> None:
    body = json.dumps(PLAIN).encode()
    found = json.loads(BRIDGES[Endpoint.CHAT, spoken](body).request(body, ARN, stands_for=model))
    assert found.get("model", ARN) == ARN


def test_a_schema_by_a_tool_is_asked_for_so_too() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    body = json.dumps(PLAIN | {"response_format": schema, "prompt_cache_key": "k"}).encode()
    bridge = schema_bridge(Endpoint.CHAT, Endpoint.CONVERSE, body, "tool")
    claude = "anthropic.claude-sonnet-5-v1:0"
    assert bridge.request(body, ARN, stands_for=claude) == bridge.request(body, claude)
    assert bridge.request(body, ARN) != bridge.request(body, claude)
