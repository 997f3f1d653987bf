import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.catalogue import tokenizer_for
from headworks.counting import count_request
from tests.counting.conftest import png

COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates "
        "corporate jargon into plain English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on "
        "opportunities for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    },
}
PICTURE = base64.b64encode(png(1024, 1024) + bytes(600_000)).decode()


def count(body, model="gpt-4o", **more):
    return count_request(msgspec.json.decode(json.dumps(body), type=dict[str, msgspec.Raw]), model, **more)


def kinds(found):
    return {part.kind: part.tokens for part in found.parts}


@pytest.mark.parametrize(("model", "tokens"), [("gpt-4o", 124), ("gpt-4", 129), ("gpt-3.5-turbo", 129)])
def test_messages_are_framed_as_in_the_cookbook(model, tokens):
    found = count({"model": model, "messages": COOKBOOK}, model)

    assert (found.tokens, found.certainty) == (tokens, "exact")


def test_tools_are_counted_as_in_the_cookbook_and_called_an_estimate():
    messages = [
        {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
        {"role": "user", "content": "What's the weather like in San Francisco?"},
    ]
    found = count({"messages": messages, "tools": [WEATHER]})

    assert (found.tokens, found.certainty) == (101, "estimated")
    assert [part.kind for part in found.parts if part.certainty == "estimated"] == ["tools"]


BODIES = {
    "chat": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
                    ],
                }
            ]
        },
        "gpt-4o",
        765,
    ),
    "responses": (
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "What is this?"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}", "detail": "low"},
                    ],
                }
            ]
        },
        "gpt-4o",
        85,
    ),
    "messages": (
        {
            "max_tokens": 100,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
                        },
                    ],
                }
            ],
        },
        "claude-sonnet-4-5",
        1399,
    ),
    "gemini": (
        {
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "What is this?"},
                        {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
                    ],
                }
            ]
        },
        "gemini-2.5-flash",
        4 * 258,
    ),
}


@pytest.mark.parametrize("dialect", BODIES)
def test_a_picture_counts_by_its_size_and_never_as_text(dialect):
    body, model, tokens = BODIES[dialect]
    found = count(body, model)

    assert kinds(found)["images"] == tokens
    assert kinds(found)["text"] == tokenizer_for(model).count("What is this?")
    assert found.text_bytes == len("What is this?")
    assert found.tokens < 2_000


def test_a_picture_behind_a_url_is_taken_to_be_of_usual_size_and_that_is_said():
    content = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    found = count({"messages": [{"role": "user", "content": content}]})

    assert [(part.tokens, part.certainty) for part in found.parts if part.kind == "images"] == [(765, "estimated")]
    assert "unknown size" in next(part.note for part in found.parts if part.kind == "images")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PICTURE}"}},
        {"type": "input_file", "filename": "a.pdf", "file_data": PICTURE},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PICTURE}},
        {"inlineData": {"mimeType": "application/pdf", "data": PICTURE}},
        {"type": "input_file", "file_id": "file-1"},
    ],
    ids=lambda part: next(iter(part.values())) if isinstance(next(iter(part.values())), str) else "inline",
)
def test_sound_and_files_are_estimated_by_their_size(part):
    found = count({"messages": [{"role": "user", "content": [part]}]})

    assert found.certainty == "estimated"
    assert 0 < found.media_tokens < 20_000
    assert found.text_bytes == 0


def test_calls_of_tools_and_their_results_are_text():
    body = {
        "messages": [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"city": "Rome"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "It is warm."}]},
        ]
    }
    found = count(body, "claude-sonnet-4-5")

    assert found.text_bytes == len('f{"city":"Rome"}It is warm.')


def test_the_schema_of_the_answer_is_counted_and_called_an_estimate():
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    chat = count({"messages": [], "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}})
    responses = count({"input": "", "text": {"format": {"type": "json_schema", "schema": schema}}})

    assert kinds(chat)["schema"] == kinds(responses)["schema"] > 5


def test_long_text_may_be_sampled_and_that_is_called_an_estimate():
    body = {"messages": [{"role": "user", "content": "All models are wrong, but some are useful. " * 5_000}]}
    whole, sampled = count(body), count(body, most_bytes=20_000)

    assert sampled.certainty == "estimated"
    assert sampled.tokens == pytest.approx(whole.tokens, rel=0.02)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": 5},
        {"input": None},
        {"contents": [None, 3]},
        {"tools": {}},
        {"tools": [None, {"name": 3}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": None}]}]},
    ],
)
def test_what_is_no_request_is_counted_all_the_same(body):
    assert count(body).tokens >= 0


@pytest.mark.parametrize("name", ["messages", "input", "tools", "text", "response_format", "system"])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"source":', "}"), ('{"type":"document","source":', "}")])
@pytest.mark.parametrize("depth", [200, 480, 900, 20_000])
def test_no_depth_is_too_deep(name, start, end, depth):
    raw = msgspec.Raw(b"[" + start.encode() * depth + b'""' + end.encode() * depth + b"]")

    assert count_request({name: raw}, "gpt-4o").tokens >= 0


@pytest.mark.parametrize("depth", [100, 900])
def test_a_call_s_arguments_and_a_schema_may_be_deep(depth):
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    fields = {
        "messages": msgspec.Raw(b'[{"role":"assistant","content":[{"type":"tool_use","input":' + deep + b"}]}]"),
        "tools": msgspec.Raw(b'[{"type":"x","y":' + deep + b"}]"),
        "text": msgspec.Raw(b'{"format":{"schema":' + deep + b"}}"),
    }

    assert count_request(fields, "gpt-4o").tokens >= 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "role", "content", "image_url", "source", "data", "file", "tools", "text", "name"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["messages", "input", "contents", "system", "tools", "text"]), JSON, max_size=3))
def test_anything_can_be_counted(body):
    assert count(body).tokens >= 0
