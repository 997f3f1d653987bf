"""Tokens that were no text, or are kept in a cache for longer: read from every dialect as its provider tells them."""

import json

import msgspec
import pytest

from headworks.calls import Extras, Usage
from headworks.dialects.usage import (
    ChatUsage,
    ResponsesUsage,
    chat_usage,
    messages_usage,
    read_chat_usage,
    read_gemini_usage,
    read_messages_usage,
    responses_usage,
)

CHAT = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 60, "image_tokens": 5, "text_tokens": 35},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 40, "text_tokens": 10},
}
RESPONSES = {
    "input_tokens": 100,
    "output_tokens": 5,
    "input_tokens_details": {
        "cached_tokens": 0,
        "cache_write_tokens": 90,
        "cache_write_tokens_details": {"ttl_30m_tokens": 20, "ttl_12h_tokens": 70},
    },
    "output_tokens_details": {"reasoning_tokens": 0},
}
MESSAGES = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 90,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 70},
    "output_tokens": 5,
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
}
GEMINI = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 30,
    "candidatesTokenCount": 50,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 10},
        {"modality": "AUDIO", "tokenCount": 50},
        {"modality": "IMAGE", "tokenCount": 20},
        {"modality": "VIDEO", "tokenCount": 20},
    ],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}, {"modality": "IMAGE", "tokenCount": 5}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 8}, {"modality": "AUDIO", "tokenCount": 42}],
}
OF_GEMINI = Extras(
    audio_input_tokens=50,
    cached_audio_tokens=25,
    audio_output_tokens=42,
    image_input_tokens=20,
    cached_image_tokens=5,
    video_input_tokens=20,
)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def responses(value: object) -> Usage | None:
    return msgspec.json.decode(raw(value), type=ResponsesUsage).stated()


def messages(value: object) -> Usage | None:
    found = read_messages_usage(raw(value))
    return None if found is None else found.stated()


def test_what_each_provider_tells_is_read() -> None:
    of_chat = Extras(audio_input_tokens=60, image_input_tokens=5, audio_output_tokens=40)
    kept = Extras(long_cache_write_tokens=70)
    assert read_chat_usage(raw(CHAT)) == Usage(100, 10, 0, 50, 0, "provider", -1, of_chat)
    assert responses(RESPONSES) == Usage(100, 0, 90, 5, 0, "provider", -1, kept)
    searched = msgspec.structs.replace(kept, web_searches=2)
    assert messages(MESSAGES) == Usage(100, 0, 90, 5, 0, "provider", -1, searched)
    assert read_gemini_usage(raw(GEMINI)) == Usage(100, 30, 0, 50, 0, "provider", -1, OF_GEMINI)


def test_text_alone_has_no_details() -> None:
    bare = {"prompt_tokens_details": {"audio_tokens": 0}, "completion_tokens_details": {"audio_tokens": 0}}
    for usage in (
        read_chat_usage(raw(CHAT | bare)),
        responses(RESPONSES | {"input_tokens_details": {"cache_write_tokens_details": {"ttl_12h_tokens": 0}}}),
        messages(MESSAGES | {"cache_creation": None, "server_tool_use": {"web_search_requests": 0}}),
        read_gemini_usage(raw({"promptTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]})),
    ):
        assert usage is not None
        assert usage.extras is None


@pytest.mark.parametrize("stated", [CHAT, RESPONSES, MESSAGES])
def test_what_is_written_says_as_much(stated: dict[str, object]) -> None:
    if stated is CHAT:
        usage = msgspec.json.decode(raw(CHAT), type=ChatUsage).stated()
        assert usage is not None
        assert read_chat_usage(raw(chat_usage(usage))) == usage
    elif stated is RESPONSES:
        usage = responses(RESPONSES)
        assert usage is not None
        assert responses(responses_usage(usage)) == usage
    else:
        usage = messages(MESSAGES | {"server_tool_use": None})
        assert usage is not None
        assert messages(messages_usage(usage)) == usage


def test_more_kept_for_long_than_was_written_is_not_believed() -> None:
    usage = messages(MESSAGES | {"cache_creation_input_tokens": 30})
    assert usage is not None
    assert usage.extras is not None
    assert usage.extras.long_cache_write_tokens == 30
