"""Answers and streams of Amazon Bedrock as every caller gets them."""

import json

import pytest
from converse_samples import (
    BEGIN,
    CHAT,
    CLAUDE,
    CONVERSE,
    GEMINI,
    MESSAGES,
    META,
    RESPONSES,
    USAGE,
    WHOLE,
    answer,
    answered,
    delta,
    end,
    sent,
    stop,
    streamed,
    tool_start,
    translated_stream,
)

from headworks.calls import AttemptFailed, FailureKind, UnreadableAnswer
from headworks.dialects import BRIDGES
from headworks.dialects.canonical import UpstreamError
from headworks.dialects.converse_errors import CODES
from headworks.dialects.converse_streams import ConverseDecoder

THOUGHT = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
REDACTED = {"reasoningContent": {"redactedContent": "c2VjcmV0"}}
CALL = {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": {"a": 1}}}


def test_a_whole_answer_for_responses():
    told = answered(RESPONSES, answer(THOUGHT, {"text": "Hello"}, {"text": " there."}, CALL, stop="tool_use"))
    assert told["model"] == CLAUDE
    assert told["status"] == "completed"
    assert [item["type"] for item in told["output"]] == ["reasoning", "message", "function_call"]
    assert [part["text"] for part in told["output"][1]["content"]] == ["Hello", " there."]
    assert told["output"][2]["arguments"] == '{"a": 1}'
    assert told["output"][2]["call_id"] == "tooluse_1"
    usage = told["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (32, 4)
    details = usage["input_tokens_details"]
    assert (details["cached_tokens"], details["cache_write_tokens"]) == (20, 7)


@pytest.mark.parametrize("block", [THOUGHT, REDACTED])
def test_reasoning_goes_back_as_it_came_by_every_api_that_has_a_place_for_it(block):
    item = answered(RESPONSES, answer(block, {"text": "x"}), include=["reasoning.encrypted_content"])["output"][0]
    back = sent(input=[{"role": "user", "content": "x"}, item, {"role": "user", "content": "y"}])
    assert back["messages"][1]["content"] == [block]

    content = answered(MESSAGES, answer(block, {"text": "x"}))["content"]
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": "y"},
    ]
    assert sent(MESSAGES, messages=turns)["messages"][1]["content"] == [block, {"text": "x"}]


def test_reasoning_without_a_signature_is_shown_and_not_sealed():
    item = answered(RESPONSES, answer({"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "x"}))[
        "output"
    ][0]
    assert item["type"] == "reasoning"
    assert not item.get("encrypted_content")


@pytest.mark.parametrize(
    ("reason", "chat", "messages", "gemini"),
    [
        ("end_turn", "stop", "end_turn", "STOP"),
        ("stop_sequence", "stop", "end_turn", "STOP"),
        ("max_tokens", "length", "max_tokens", "MAX_TOKENS"),
        ("model_context_window_exceeded", "length", "max_tokens", "MAX_TOKENS"),
        ("guardrail_intervened", "content_filter", "refusal", "SAFETY"),
        ("content_filtered", "content_filter", "refusal", "SAFETY"),
        ("refusal", "content_filter", "refusal", "SAFETY"),
    ],
)
def test_why_an_answer_ended_is_told(reason, chat, messages, gemini):
    told = answer({"text": "x"}, stop=reason)
    assert answered(CHAT, told)["choices"][0]["finish_reason"] == chat
    assert answered(MESSAGES, told)["stop_reason"] == messages
    assert answered(GEMINI, told)["candidates"][0]["finishReason"] == gemini

    data = streamed(BEGIN, delta(0, text="x"), stop(0), end(reason), META)
    assert translated_stream(CHAT, data)[-1]["choices"][0]["finish_reason"] == chat


def test_an_answer_that_a_filter_stopped_before_it_began_is_a_refusal():
    choice = answered(CHAT, answer(stop="content_filtered"))["choices"][0]
    assert choice["message"]["refusal"]
    data = streamed(BEGIN, end("content_filtered"), META)
    assert any(one["choices"] and one["choices"][0]["delta"].get("refusal") for one in translated_stream(CHAT, data))


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_went_wrong_is_a_failure_that_may_pass(reason):
    with pytest.raises(AttemptFailed) as caught:
        answered(CHAT, answer({"text": "x"}, stop=reason))
    assert caught.value.failure.kind is FailureKind.ERROR
    assert caught.value.usage.output_tokens == 4
    with pytest.raises(AttemptFailed):
        translated_stream(CHAT, streamed(BEGIN, end(reason), META))


def test_citations_with_an_address_are_told():
    cited = {
        "citationsContent": {
            "content": [{"text": "It snows."}],
            "citations": [{"title": "T", "location": {"web": {"url": "https://example.com"}}}],
        }
    }
    (note,) = answered(RESPONSES, answer(cited))["output"][0]["content"][0]["annotations"]
    assert (note["url"], note["start_index"], note["end_index"]) == ("https://example.com", 0, 9)


def test_a_total_may_say_that_the_cache_is_within_the_input():
    usage = USAGE | {"inputTokens": 40, "totalTokens": 44}
    assert answered(CHAT, answer({"text": "x"}, usage=usage))["usage"]["prompt_tokens"] == 40


@pytest.mark.parametrize(
    "told",
    [
        b"no json",
        b"[]",
        b"{}",
        answer({"text": "x"}, stop="brand_new"),
        answer({"text": "x"}) | {"stopReason": None},
        answer({"video": {}}),
        answer({"toolUse": {"toolUseId": "a", "name": "", "input": {}}}),
        answer({"toolUse": {"toolUseId": "a", "name": "f", "input": [1]}}),
        answer({"reasoningContent": {}}),
        answer({"citationsContent": {"content": [{"text": "a"}], "citations": [{"location": {"documentChar": {}}}]}}),
    ],
)
def test_what_is_not_understood_is_never_an_answer(told):
    with pytest.raises(UnreadableAnswer):
        answered(CHAT, told)


# -- streams -----------------------------------------------------------------------------------------------------------

STREAM = streamed(
    BEGIN,
    delta(0, reasoningContent={"text": "Hm."}),
    delta(0, reasoningContent={"signature": "c2ln"}),
    stop(0),
    delta(1, text="Hello"),
    delta(1, text=" there."),
    stop(1),
    tool_start(2),
    delta(2, toolUse={"input": '{"a"'}),
    delta(2, toolUse={"input": ":1}"}),
    stop(2),
    tool_start(3, "tooluse_2", "g"),
    stop(3),
    end("tool_use"),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}, "serviceTier": {"type": "flex"}}),
)


@pytest.mark.parametrize("pieces", [1, 7, 400])
def test_a_whole_stream_for_responses(pieces):
    events = translated_stream(RESPONSES, STREAM, pieces=pieces)
    response = events[-1]["response"]
    assert events[-1]["type"] == "response.completed"
    assert [item["type"] for item in response["output"]] == ["reasoning", "message", "function_call", "function_call"]
    assert response["output"][1]["content"][0]["text"] == "Hello there."
    assert [item["arguments"] for item in response["output"][2:]] == ['{"a":1}', "{}"]
    assert response["model"] == CLAUDE
    assert response["usage"]["input_tokens"] == 32


def test_a_stream_for_messages_keeps_the_signature():
    events = translated_stream(MESSAGES, STREAM)
    assert any(one.get("delta", {}).get("type") == "signature_delta" for one in events)
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", FailureKind.RATE_LIMITED),
        ("modelStreamErrorException", FailureKind.ERROR),
        ("internalServerException", FailureKind.ERROR),
        ("serviceUnavailableException", FailureKind.OVERLOADED),
        ("modelTimeoutException", FailureKind.TIMEOUT),
        ("validationException", FailureKind.REJECTED),
        ("brandNewException", FailureKind.ERROR),
    ],
)
def test_an_exception_before_any_content_is_a_failure_of_its_kind(name, kind):
    with pytest.raises(AttemptFailed) as caught:
        translated_stream(CHAT, streamed(BEGIN, (name, {"message": "m"})))
    assert caught.value.failure.kind is kind


def test_an_exception_in_the_middle_ends_the_stream_with_an_error():
    data = streamed(BEGIN, delta(0, text="He"), ("throttlingException", {"message": "Slow down."}), META)
    assert translated_stream(CHAT, data)[-1]["error"]["message"] == "Slow down."


def test_a_context_that_is_too_long_is_known_for_it():
    data = streamed(BEGIN, ("validationException", {"message": "Input is too long for requested model."}))
    with pytest.raises(AttemptFailed) as caught:
        translated_stream(CHAT, data)
    assert caught.value.failure.kind is FailureKind.TOO_LONG


def test_what_the_model_itself_says_of_a_broken_stream_is_told():
    found = ConverseDecoder().feed(streamed(("modelStreamErrorException", {"message": "m", "originalMessage": "why"})))
    assert found == [UpstreamError("server_error", "why")]


def test_every_exception_of_the_service_has_a_word():
    import botocore.session

    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    names = {one.name for name in ("Converse", "ConverseStream") for one in model.operation_model(name).error_shapes}
    names |= {"ModelStreamErrorException"}
    assert {name.lower().removesuffix("exception") for name in names} <= set(CODES)


@pytest.mark.parametrize(
    "events",
    [
        (BEGIN, tool_start(0), delta(0, brandNew={})),
        (BEGIN, delta(0, toolUse={"input": "{"})),
        (BEGIN, ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}})),
        (BEGIN, ("contentBlockDelta", {"contentBlockIndex": 0})),
        (BEGIN, ("contentBlockDelta", {"contentBlockIndex": "x"})),
        (BEGIN, tool_start(0, name="")),
        (BEGIN, end("brand_new")),
        (BEGIN, META),
        (delta(0, text="x"),),
    ],
)
def test_a_stream_that_is_not_understood_is_never_passed_on(events):
    with pytest.raises(UnreadableAnswer):
        translated_stream(CHAT, streamed(*events))


def test_events_that_are_new_are_passed_over():
    data = streamed(BEGIN, ("heartbeat", {}), delta(0, text="x"), stop(0), end(), META, ("late", {}))
    told = translated_stream(CHAT, data, stream_options={"include_usage": True})
    assert told[-1]["usage"]["completion_tokens"] == 4


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("called", "status", "expected"),
    [
        (CHAT, 400, {"message": "m", "type": "invalid_request_error", "param": None, "code": "invalid_request_error"}),
        (RESPONSES, 404, {"message": "m", "type": "not_found_error", "param": None, "code": "model_not_found"}),
        (MESSAGES, 429, {"type": "rate_limit_error", "message": "m"}),
        (GEMINI, 503, {"code": 503, "message": "m", "status": "UNAVAILABLE"}),
    ],
)
def test_an_error_is_told_in_the_callers_words(called, status, expected):
    bridge = BRIDGES[called, CONVERSE](json.dumps(WHOLE[called]).encode())
    for body in (b'{"message":"m"}', b'{"Message":"m","__type":"X"}'):
        assert json.loads(bridge.error(body, status))["error"] == expected
    for body in (b"<html>", b"{}", b'{"message":3}'):
        assert bridge.error(body, status) == body
