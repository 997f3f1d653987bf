"""What a caller of a workload asks for beside what the Responses API has a place for: it arrives, or is refused."""

import json
from functools import partial
from typing import Any

import pytest
from anthropic_samples import CHAT, MESSAGES, RESPONSES, WHOLE
from gemini_samples import GEMINI, NEW
from hypothesis import given
from hypothesis import strategies as st
from test_anthropic_fields import FROM_MESSAGES, TOOL

from headworks.calls import Endpoint
from headworks.dialects import BRIDGES, read_fields
from headworks.dialects.bridging import ASKED
from headworks.dialects.leaving_out import leaving_out
from headworks.dialects.reading import Fields
from headworks.dialects.responses_requests import encode_responses_request
from headworks.dialects.wishes import Wished, Wishes, beside
from headworks.errors import Refusal

MODELS = {MESSAGES: "claude-sonnet-5", GEMINI: NEW, Endpoint.CONVERSE: "anthropic.claude-sonnet-5-v1:0"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def through(called: Endpoint, spoken: Endpoint, body: dict[str, Any]) -> Any:
    """What goes up of a workload's call: it is one of Responses on the way. What is refused is told by its name."""
    try:
        request, wished = beside(ASKED[called](read_fields(json.dumps(body).encode())).request())
        written = {**read_fields(encode_responses_request(request)), **wished}
        asked, fields = Wishes(called, tuple(wished)).apart(written)
        if spoken is RESPONSES:
            asked.check_responses()
            return {name: json.loads(bytes(raw)) for name, raw in fields.items()}
        try:
            return translated(spoken, asked, fields)
        except Refusal as refusal:  # nobody who calls another API asks for sealed reasoning in words
            own = read_fields(json.dumps(body).encode())
            return leaving_out(refusal, fields, (), partial(translated, spoken, asked), own)[0]
    except Refusal as refusal:
        return refusal.param


def translated(spoken: Endpoint, wished: Wished, fields: Fields) -> Any:
    inner = json.dumps({name: json.loads(bytes(raw)) for name, raw in fields.items()}).encode()
    return json.loads(BRIDGES[RESPONSES, spoken](inner, wished=wished).request(b"", MODELS.get(spoken, "m")))


def directly(called: Endpoint, spoken: Endpoint, body: dict[str, Any]) -> Any:
    """What goes up of a plain call."""
    try:
        return json.loads(BRIDGES[called, spoken](json.dumps(body).encode()).request(b"", MODELS.get(spoken, "m")))
    except Refusal as refusal:
        return refusal.param


# -- to the caller's own dialect ---------------------------------------------------------------------------------------

OWN: dict[str, tuple[Any, Any]] = {
    "cache_control": (HOUR, HOUR),
    "container": ("c", "refused"),
    "diagnostics": ({"previous_message_id": "msg_1"}, {"previous_message_id": "msg_1"}),
    "inference_geo": ("eu", "eu"),
    "max_tokens": (8765, 8765),
    "messages": ([{"role": "user", "content": "up"}], [{"role": "user", "content": [{"type": "text", "text": "up"}]}]),
    "metadata": ({"user_id": "u"}, {"user_id": "u"}),
    "model": ("m", "claude-sonnet-5"),
    "output_config": ({"effort": "low"}, {"effort": "low"}),
    "service_tier": ("standard_only", "standard_only"),
    "speed": ("fast", "fast"),
    "stop_sequences": (["x"], ["x"]),
    "stream": (True, True),
    "system": ("Be brief.", [{"type": "text", "text": "Be brief."}]),
    "thinking": ({"type": "between_tools"}, {"type": "between_tools"}),
    "tool_choice": ({"type": "any"}, {"type": "any"}),
    "tools": (
        [TOOL | {"cache_control": HOUR, "eager_input_streaming": True}],
        [TOOL | {"cache_control": HOUR, "eager_input_streaming": True}],
    ),
    "user_profile_id": ("u", "u"),
    "temperature": (0.125, 0.125),
    "top_k": (5, 5),
    "top_p": (0.375, 0.375),
}
"""Fields of Messages on their way to Anthropic, by a value and what arrives. A container brings skills along."""


@pytest.mark.parametrize("field", FROM_MESSAGES)
def test_a_field_of_messages_arrives_at_anthropic_or_is_refused_by_name(field: str) -> None:
    value, arrives = OWN[field]
    more = {"tools": [TOOL]} if field == "tool_choice" else {}
    told = through(MESSAGES, MESSAGES, WHOLE[MESSAGES] | more | {field: value})

    assert told == field if arrives == "refused" else told[field] == arrives


GOOGLES: dict[str, Any] = {
    "topK": 7,
    "topP": 0.5,
    "temperature": 0.5,
    "maxOutputTokens": 10,
    "stopSequences": ["x"],
    "seed": 3,
    "presencePenalty": 0.5,
    "frequencyPenalty": 0.5,
    "responseLogprobs": True,
    "mediaResolution": "MEDIA_RESOLUTION_LOW",
    "audioTimestamp": True,
    "enableEnhancedCivicAnswers": True,
    "responseMimeType": "application/json",
}


@pytest.mark.parametrize("field", GOOGLES)
def test_a_field_of_googles_configuration_arrives_at_google(field: str) -> None:
    told = through(GEMINI, GEMINI, WHOLE[GEMINI] | {"generationConfig": {field: GOOGLES[field]}})

    assert told["generationConfig"] == {field: GOOGLES[field]}


@pytest.mark.parametrize(
    ("field", "value", "arrives"),
    [
        ("safetySettings", [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}], True),
        ("labels", {"team": "red"}, True),
        ("serviceTier", "flex", True),
        ("cachedContent", "cachedContents/c", False),  # it may hold instructions and tools
        ("modelArmorConfig", {"promptTemplateName": "x"}, False),
        ("brandNew", 1, False),
    ],
)
def test_a_field_of_googles_arrives_at_google_or_is_refused_by_name(field: str, value: Any, arrives: bool) -> None:
    told = through(GEMINI, GEMINI, WHOLE[GEMINI] | {field: value})

    assert told[field] == value if arrives else told == field


@pytest.mark.parametrize("config", ["speechConfig", "imageConfig", "responseModalities", "routingConfig"])
def test_what_asks_google_for_another_kind_of_answer_is_refused_by_name(config: str) -> None:
    assert through(GEMINI, GEMINI, WHOLE[GEMINI] | {"generationConfig": {config: {}}}) == f"generationConfig.{config}"


def test_an_hour_of_caching_stays_one() -> None:
    blocks = [{"type": "text", "text": "a", "cache_control": HOUR}]
    body = WHOLE[MESSAGES] | {"system": blocks, "messages": [{"role": "user", "content": blocks}]}

    told = through(MESSAGES, MESSAGES, body)
    assert (told["system"], told["messages"][0]["content"]) == (blocks, blocks)
    assert '"ttl": "12h"' in json.dumps(through(MESSAGES, CHAT, body))
    for way in (through, directly):
        point = {"cachePoint": {"type": "default", "ttl": "1h"}}
        assert way(MESSAGES, Endpoint.CONVERSE, body)["system"] == [{"text": "a"}, point]


# -- to any other ------------------------------------------------------------------------------------------------------

_TURNS = [
    {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": HOUR}]},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t_1", "name": "look", "input": {"a": 1}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t_1", "content": "seen"}]},
]
_ASKED: dict[Endpoint, dict[str, list[Any]]] = {
    MESSAGES: {
        **{name: [value] for name, (value, _) in OWN.items() if name != "model"},
        "messages": [WHOLE[MESSAGES]["messages"], _TURNS],
        "system": ["Be brief.", [{"type": "text", "text": "Be brief.", "cache_control": HOUR}]],
        "cache_control": [HOUR, {"type": "ephemeral"}],
        "thinking": [{"type": "enabled", "budget_tokens": 5000}, {"type": "disabled"}, {"type": "between_tools"}],
        "stop_sequences": [["x"], []],
    },
    GEMINI: {
        "systemInstruction": [{"parts": [{"text": "Be brief."}]}],
        "generationConfig": [{name: value} for name, value in GOOGLES.items()] + [dict(list(GOOGLES.items())[:8])],
        "safetySettings": [[]],
        "labels": [{"team": "red"}],
        "serviceTier": ["flex"],
        "tools": [[{"functionDeclarations": [{"name": "look", "parameters": {"type": "OBJECT"}}]}]],
    },
}
_PAIRS = [(called, spoken) for called in _ASKED for spoken in (CHAT, MESSAGES, GEMINI, Endpoint.CONVERSE)]


@given(st.data())
def test_a_workloads_call_says_to_another_api_what_a_plain_call_says(data: st.DataObject) -> None:
    called, spoken = data.draw(st.sampled_from([pair for pair in _PAIRS if pair[0] is not pair[1]]))
    able = _ASKED[called]
    names = data.draw(st.lists(st.sampled_from(sorted(able)), max_size=4, unique=True))
    body = WHOLE[called] | {name: data.draw(st.sampled_from(able[name])) for name in names}

    plain, told = directly(called, spoken, body), through(called, spoken, body)
    if isinstance(plain, str):  # of several that are refused, either may be told first
        assert isinstance(told, str)
    else:
        assert told == plain


@given(st.sampled_from(sorted(_ASKED[MESSAGES])), st.data())
def test_nothing_that_is_wished_goes_to_responses_in_silence(name: str, data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(_ASKED[MESSAGES][name]))
    told = through(MESSAGES, RESPONSES, WHOLE[MESSAGES] | {name: value})
    plain = directly(MESSAGES, RESPONSES, WHOLE[MESSAGES] | {name: value})

    assert (
        told == plain | {"model": "m"}
        if isinstance(plain, dict)
        else told in (plain, name, {"stop_sequences": "stop"}.get(name))
    )
