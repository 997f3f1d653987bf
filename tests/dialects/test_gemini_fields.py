"""Every field of the official SDKs' requests crosses the bridge to Google's Gemini or is refused by its name."""

import json
from pathlib import Path
from typing import Any

import pytest
from anthropic_samples import CHAT, MESSAGES, RESPONSES, WHOLE
from gemini_samples import GEMINI, NEW
from test_anthropic_fields import CHAT_FUNCTION, FROM_CHAT, FROM_MESSAGES, FROM_RESPONSES, FUNCTION, SCHEMA, TOOL, Table

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES
from headworks.errors import Refusal

PAGE = Path(__file__).parents[2] / "docs/explanation/bridging.md"

KEPT = "kept here"
OTHERWISE: dict[Endpoint, Table] = {
    RESPONSES: {
        "max_output_tokens": (8765, '"maxOutputTokens":8765'),
        "model": ("m", '"contents"'),
        "parallel_tool_calls": (False, "refused"),
        "prompt_cache_key": ("k", KEPT),
        "prompt_cache_options": ({"mode": "implicit"}, KEPT),
        "reasoning": ({"effort": "low", "summary": "auto"}, '{"includeThoughts":true,"thinkingLevel":"LOW"}'),
        "safety_identifier": ("carried-3", KEPT),
        "service_tier": ("flex", '"serviceTier":"flex"'),
        "stream": (True, KEPT),
        "text": ({"format": SCHEMA}, '"responseJsonSchema":{"type": "object"}'),
        "tool_choice": ("required", '"mode":"ANY"'),
        "top_logprobs": (3, '"logprobs":3'),
        "include": (["message.output_text.logprobs"], '"responseLogprobs":true'),
        "user": ("carried-4", KEPT),
    },
    CHAT: {
        "frequency_penalty": (0.5, '"frequencyPenalty":0.5'),
        "logprobs": (True, '"responseLogprobs":true'),
        "model": ("m", '"contents"'),
        "parallel_tool_calls": (False, "refused"),
        "presence_penalty": (0.5, '"presencePenalty":0.5'),
        "prompt_cache_key": ("k", KEPT),
        "prompt_cache_options": ({"mode": "implicit", "ttl": "12h"}, "refused"),
        "reasoning_effort": ("low", '"thinkingLevel":"LOW"'),
        "response_format": ({"type": "json_object"}, '"responseMimeType":"application/json"'),
        "safety_identifier": ("carried-3", KEPT),
        "seed": (5, '"seed":5'),
        "service_tier": ("default", '"serviceTier":"standard"'),
        "stop": (["x"], '"stopSequences":["x"]'),
        "stream": (True, KEPT),
        "temperature": (1.5, '"temperature":1.5'),
        "tool_choice": ("required", '"mode":"ANY"'),
        "top_logprobs": (3, '"logprobs":3'),
        "user": ("carried-4", KEPT),
    },
    MESSAGES: {
        "cache_control": ({"type": "ephemeral"}, KEPT),
        "metadata": ({"user_id": "carried-3"}, KEPT),
        "model": ("m", '"contents"'),
        "output_config": ({"effort": "low"}, '"thinkingLevel":"LOW"'),
        "service_tier": ("standard_only", '"serviceTier":"standard"'),
        "stop_sequences": (["x"], '"stopSequences":["x"]'),
        "stream": (True, KEPT),
        "thinking": ({"type": "enabled", "budget_tokens": 5000}, '"thinkingLevel":"MEDIUM"'),
        "tool_choice": ({"type": "any"}, '"mode":"ANY"'),
        "top_k": (5, '"topK":5'),
    },
}
"""What differs from what becomes of the fields on the way to the other dialects."""

TABLES = {
    RESPONSES: FROM_RESPONSES | OTHERWISE[RESPONSES],
    CHAT: FROM_CHAT | OTHERWISE[CHAT],
    MESSAGES: FROM_MESSAGES | OTHERWISE[MESSAGES],
}
TOOLS = {RESPONSES: FUNCTION, CHAT: CHAT_FUNCTION, MESSAGES: TOOL}


def sent(called: Endpoint, **fields: Any) -> str:
    body = json.dumps(WHOLE[called] | fields).encode()
    return BRIDGES[called, GEMINI](body).request(body, NEW).decode()


@pytest.mark.parametrize(("called", "field"), [(called, field) for called, table in TABLES.items() for field in table])
def test_a_field_is_carried_or_refused_by_name(called: Endpoint, field: str) -> None:
    value, found = TABLES[called][field]
    fields: dict[str, Any] = {field: value}
    if field in ("tool_choice", "parallel_tool_calls"):
        fields["tools"] = [TOOLS[called]]
    if field == "stream_options":
        fields["stream"] = True
    if field == "top_logprobs":
        fields |= {"logprobs": True} if called is CHAT else {"include": ["message.output_text.logprobs"]}

    if found == "refused":
        with pytest.raises(Refusal) as refused:
            sent(called, **fields)
        assert refused.value.status == 400
        assert (refused.value.param or "").startswith(field)
        assert (refused.value.param or "") in refused.value.message
    elif found == KEPT:
        assert sent(called, **fields) == sent(called)
    else:
        assert found in sent(called, **fields)


@pytest.mark.parametrize("called", [RESPONSES, CHAT, MESSAGES])
def test_an_unknown_field_is_refused_by_name(called: Endpoint) -> None:
    with pytest.raises(Refusal, match="brand_new"):
        sent(called, brand_new=1)


def test_the_page_tells_of_the_fields_that_differ() -> None:
    page = PAGE.read_text().split("## Responses, Chat and Messages to Google's Gemini")[1]
    for field in {field for table in OTHERWISE.values() for field in table}:
        assert f"`{field}`" in page or field in ("max_output_tokens", "cache_control"), field
