"""Messages of Anthropic's as callers of the other APIs get them, whole and streamed alike."""

import json
from typing import Any

import pytest
from anthropic_samples import (
    CHAT,
    MESSAGES,
    RESPONSES,
    USAGE,
    answered,
    events_of,
    message,
    read,
    sse,
    steps_for,
    stream,
    to_messages,
)

from headworks.calls import AttemptFailed, FailureKind, UnreadableAnswer, Usage
from headworks.dialects import BRIDGES

TEXT = {"type": "text", "text": "Hello there", "citations": None}
THINKING = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"}
HIDDEN = {"type": "redacted_thinking", "data": "b3BhcXVl"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
OTHER_CALL = {"type": "tool_use", "id": "toolu_2", "name": "get_time", "input": {}}
EVERYTHING = message(THINKING, HIDDEN, TEXT, CALL, OTHER_CALL, stop_reason="tool_use")
COUNTED = Usage(32, 20, 7, 4, 2, "provider")


def final(answer: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The response that a stream ends with."""
    told, _ = stream(RESPONSES, MESSAGES, sse(events_of(answer)), **fields)
    response: dict[str, Any] = told[-1]["response"]
    return response


def comparable(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name != "created_at"}


def test_a_response_has_everything_in_its_order() -> None:
    response = answered(RESPONSES, MESSAGES, EVERYTHING)

    assert [item["type"] for item in response["output"]] == [
        "reasoning",
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    thought, hidden, said, call, other = response["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Let me see."}]
    assert hidden["content"] == []
    assert said["content"][0]["text"] == "Hello there"
    assert (call["call_id"], call["name"], json.loads(call["arguments"])) == (
        "toolu_1",
        "get_weather",
        {"city": "Oslo"},
    )
    assert other["arguments"] == "{}"
    assert response["status"] == "completed"
    assert response["id"] == "resp_msg_1"
    assert response["model"] == "claude-sonnet-5"
    assert response["service_tier"] == "default"
    assert response["created_at"] > 1_700_000_000


def test_a_stream_ends_with_the_response_that_the_call_without_one_gives() -> None:
    whole = answered(RESPONSES, MESSAGES, EVERYTHING, stream=True)
    streamed = final(EVERYTHING)

    for one in (whole, streamed):
        for item in one["output"]:
            if item["type"] == "function_call":
                item["arguments"] = json.loads(item["arguments"])
    assert comparable(streamed) == comparable(whole)


def test_thinking_goes_back_exactly_as_it_came() -> None:
    for response in (answered(RESPONSES, MESSAGES, EVERYTHING), final(EVERYTHING)):
        sent = to_messages(input=[{"role": "user", "content": "x"}, *response["output"]])
        assert sent["messages"][1]["content"] == [THINKING, HIDDEN, {"type": "text", "text": "Hello there"}, CALL,
                                                  OTHER_CALL]  # fmt: skip


def test_it_goes_back_even_where_the_client_keeps_only_what_is_sealed() -> None:
    items = [
        {name: item[name] for name in ("type", "id", "summary", "encrypted_content")}
        for item in answered(RESPONSES, MESSAGES, EVERYTHING)["output"][:2]
    ]
    sent = to_messages(input=[{"role": "user", "content": "x"}, *items])
    assert sent["messages"][1]["content"] == [THINKING, HIDDEN]


def test_thinking_that_is_not_shown_is_still_sealed() -> None:
    silent = THINKING | {"thinking": ""}
    for response in (answered(RESPONSES, MESSAGES, message(silent, TEXT)), final(message(silent, TEXT))):
        thought = response["output"][0]
        assert thought["content"] == []
        sent = to_messages(input=[{"role": "user", "content": "x"}, thought, {"role": "assistant", "content": "y"}])
        assert sent["messages"][1]["content"][0] == silent


def test_a_chat_completion_has_text_calls_and_readable_thoughts() -> None:
    completion = answered(CHAT, MESSAGES, EVERYTHING)
    choice = completion["choices"][0]

    assert choice["message"]["content"] == "Hello there"
    assert choice["message"]["reasoning_content"] == "Let me see."
    assert [(call["id"], call["function"]["name"]) for call in choice["message"]["tool_calls"]] == [
        ("toolu_1", "get_weather"),
        ("toolu_2", "get_time"),
    ]
    assert choice["finish_reason"] == "tool_calls"
    assert completion["id"] == "chatcmpl-msg_1"


def test_a_chat_stream_says_the_same() -> None:
    chunks, steps = stream(CHAT, MESSAGES, sse(events_of(EVERYTHING)))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]

    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello there"
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Let me see."
    pieces = [call for delta in deltas for call in delta.get("tool_calls", ())]
    arguments = [
        "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == index) for index in (0, 1)
    ]
    assert [json.loads(text) for text in arguments] == [{"city": "Oslo"}, {}]
    assert chunks[-1]["usage"]["prompt_tokens"] == 32
    assert steps.summary().finish_reason == "tool_calls"


# -- endings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop_reason", "status", "reason", "finish_reason"),
    [
        ("end_turn", "completed", None, "stop"),
        ("stop_sequence", "completed", None, "stop"),
        ("max_tokens", "incomplete", "max_output_tokens", "length"),
        ("model_context_window_exceeded", "incomplete", "max_output_tokens", "length"),
        ("refusal", "incomplete", "content_filter", "content_filter"),
    ],
)
def test_every_stop_reason_has_its_twin(stop_reason: str, status: str, reason: str | None, finish_reason: str) -> None:
    answer = message(TEXT, stop_reason=stop_reason)
    for response in (answered(RESPONSES, MESSAGES, answer), final(answer)):
        assert response["status"] == status
        assert (response["incomplete_details"] or {}).get("reason") == reason
        assert response["usage"]["total_tokens"] == 36
    assert answered(CHAT, MESSAGES, answer)["choices"][0]["finish_reason"] == finish_reason
    chunks, _ = stream(CHAT, MESSAGES, sse(events_of(answer)))
    assert [one["choices"][0]["finish_reason"] for one in chunks if one["choices"]][-1] == finish_reason


@pytest.mark.parametrize("stop_reason", ["pause_turn", "something_new", None])
def test_a_stop_that_is_not_understood_is_an_error_never_a_silent_end(stop_reason: str | None) -> None:
    answer = message(TEXT) | {"stop_reason": stop_reason}
    with pytest.raises(UnreadableAnswer, match="stop reason"):
        answered(RESPONSES, MESSAGES, answer)
    with pytest.raises(UnreadableAnswer, match="stop reason"):
        stream(RESPONSES, MESSAGES, sse(events_of(answer)))


def test_a_refusal_says_why_and_is_no_empty_answer() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "This could do harm."}
    answer = message(stop_reason="refusal", stop_details=details)
    for response in (answered(RESPONSES, MESSAGES, answer), final(answer)):
        assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "This could do harm."}]
    assert answered(CHAT, MESSAGES, answer)["choices"][0]["message"]["refusal"] == "This could do harm."


def test_an_answer_without_words_is_an_empty_message() -> None:
    for response in (answered(RESPONSES, MESSAGES, message()), final(message())):
        assert [part["text"] for item in response["output"] for part in item["content"]] == [""]


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("called", [RESPONSES, CHAT])
def test_whole_and_streamed_answers_bill_the_same_and_count_cached_tokens_once(called: Any) -> None:
    body = json.dumps({"model": "m", "input": "x", "messages": [{"role": "user", "content": "x"}]}).encode()
    _, summary = BRIDGES[called, MESSAGES](body).answer(json.dumps(EVERYTHING).encode())
    _, steps = stream(called, MESSAGES, sse(events_of(EVERYTHING)))

    assert summary.usage == steps.summary().usage == COUNTED


def test_figures_of_the_last_event_replace_those_of_the_first() -> None:
    events = events_of(message(TEXT))
    events[-2]["usage"] = {"input_tokens": 6, "output_tokens": 9, "cache_read_input_tokens": 1}
    _, steps = stream(RESPONSES, MESSAGES, sse(events))
    assert steps.summary().usage == Usage(14, 1, 7, 9, 2, "provider")


@pytest.mark.parametrize("usage", [None, {"input_tokens": -1}, {"input_tokens": "a lot"}, []])
def test_a_usage_that_cannot_be_read_is_none_and_the_answer_is_one_all_the_same(usage: Any) -> None:
    answer = message(TEXT) | {"usage": usage}
    assert answered(RESPONSES, MESSAGES, answer)["usage"] is None
    events = events_of(message(TEXT))
    events[0]["message"]["usage"] = events[-2]["usage"] = usage
    told, steps = stream(RESPONSES, MESSAGES, sse(events))
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == TEXT["text"]
    assert steps.summary().usage is None


# -- citations ---------------------------------------------------------------------------------------------------------


def test_a_citation_marks_the_block_that_it_supports() -> None:
    source = {
        "type": "web_search_result_location",
        "url": "https://a.example",
        "title": "A",
        "cited_text": "…",
        "encrypted_index": "x",
    }
    answer = message(TEXT, {"type": "text", "text": " Snow.", "citations": [source]})

    (response,) = (final(answer),)
    assert response["output"][0]["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 11, "end_index": 17}
    ]
    told = answered(CHAT, MESSAGES, answer)["choices"][0]["message"]["annotations"]
    assert told[0]["url_citation"]["start_index"] == 11
    with pytest.raises(UnreadableAnswer, match="cites"):
        answered(CHAT, MESSAGES, message(TEXT | {"citations": [{"type": "page_location", "document_index": 0}]}))


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "failure"),
    [
        ("overloaded_error", FailureKind.OVERLOADED),
        ("rate_limit_error", FailureKind.RATE_LIMITED),
        ("api_error", FailureKind.ERROR),
        ("timeout_error", FailureKind.TIMEOUT),
        ("invalid_request_error", FailureKind.REJECTED),
        ("authentication_error", FailureKind.UNAUTHORIZED),
        ("billing_error", FailureKind.QUOTA),
        ("brand_new_error", FailureKind.ERROR),
    ],
)
def test_an_error_before_the_first_word_is_a_failed_attempt(kind: str, failure: FailureKind) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "the words of a prompt"}}
    begun = events_of(message(TEXT))[:2]
    for events in ([error], [*begun, error]):
        with pytest.raises(AttemptFailed) as failed:
            stream(RESPONSES, MESSAGES, sse(events))
        assert failed.value.failure.kind is failure
        assert "prompt" not in failed.value.failure.detail


def test_an_error_after_it_ends_the_stream_as_one() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = [*events_of(message(TEXT))[:4], error]
    told, steps = stream(RESPONSES, MESSAGES, sse(events))
    assert (told[-1]["type"], told[-1]["code"]) == ("error", "overloaded_error")
    assert steps.summary().terminal == "error"

    chunks, _ = stream(CHAT, MESSAGES, sse(events))
    assert chunks[-1]["error"]["code"] == "overloaded_error"


def test_an_error_after_a_mere_seal_is_still_a_failed_attempt_for_chat_which_has_no_place_for_it() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = [*events_of(message(HIDDEN))[:-2], error]
    with pytest.raises(AttemptFailed):
        stream(CHAT, MESSAGES, sse(events))


def test_kinds_of_events_that_are_new_are_passed_over_and_kinds_of_blocks_are_not() -> None:
    events = events_of(message(TEXT))
    events.insert(3, {"type": "mood", "message": "calm", "delta": 4})
    told, _ = stream(RESPONSES, MESSAGES, sse(events))
    assert told[-1]["type"] == "response.completed"
    with pytest.raises(UnreadableAnswer, match="block"):
        stream(RESPONSES, MESSAGES, sse(events_of(message({"type": "server_tool_use", "id": "s", "name": "w"}))))
    with pytest.raises(UnreadableAnswer, match="block"):
        answered(RESPONSES, MESSAGES, message({"type": "server_tool_use", "id": "s", "name": "w"}))


@pytest.mark.parametrize(
    "data",
    [
        b"data: {]\n\n",
        b"data: []\n\n",
        b'data: {"type":"content_block_delta","index":"a"}\n\n',
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n',
        b'data: {"type":"content_block_start","index":0}\n\n',
        b'data: {"type":"message_stop"}\n\n',
    ],
)
def test_garbage_is_named_and_never_passed_on(data: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        steps_for(RESPONSES, MESSAGES).feed(data)


@pytest.mark.parametrize("given", [b"[1]", b"null", b'{"a":"\xed\xa0"}'])
def test_a_tool_is_never_called_with_what_is_no_object(given: bytes) -> None:
    block = b'{"type":"tool_use","id":"t","name":"f","input":%b}' % given
    body = b'{"type":"message","id":"m","stop_reason":"tool_use","content":[%b]}' % block
    with pytest.raises(UnreadableAnswer, match="input"):
        BRIDGES[RESPONSES, MESSAGES](b'{"model":"m","input":"x"}').answer(body)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"type":"message"}', b'{"type":"message","content":[1]}', b"\xff"]
)
def test_an_answer_that_is_no_message_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        BRIDGES[RESPONSES, MESSAGES](b'{"model":"m","input":"x"}').answer(body)


def test_an_error_in_a_good_answers_place_is_a_failure() -> None:
    body = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}).encode()
    with pytest.raises(AttemptFailed) as failed:
        BRIDGES[RESPONSES, MESSAGES](b'{"model":"m","input":"x"}').answer(body)
    assert failed.value.failure.kind is FailureKind.OVERLOADED


def test_nothing_comes_out_before_there_is_content() -> None:
    assert steps_for(RESPONSES, MESSAGES).feed(sse(events_of(message(TEXT))[:2])) == b""
    assert read(steps_for(RESPONSES, MESSAGES).feed(sse(events_of(message(TEXT))[:4]))) != []
    assert USAGE["input_tokens"] == 5
