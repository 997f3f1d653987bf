"""Answers of Google's as callers of Responses, Chat and Messages get them, whole and streamed."""

import json
from typing import Any

import pytest
from anthropic_samples import answered, stream
from gemini_samples import CHAT, GEMINI, MESSAGES, NEW, RESPONSES, USAGE, content, sse, to_gemini

from headworks.calls import AttemptFailed, FailureKind, UnreadableAnswer
from headworks.dialects import BRIDGES

CALL: Any = {"functionCall": {"name": "get_weather", "args": {"city": "Oslo"}, "id": "g-1"}}
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}, "modelVersion": NEW}


def chat(*parts: Any, **more: Any) -> Any:
    return answered(CHAT, GEMINI, content(*parts, **more))["choices"][0]


def test_a_text_with_all_that_belongs_to_it() -> None:
    thought = {"text": "Let me think.", "thought": True}
    response = answered(
        RESPONSES, GEMINI, content(thought, {"text": "Snow"}, {"text": " falls.", "thoughtSignature": "c2ln"})
    )
    kinds = [item["type"] for item in response["output"]]

    assert kinds == ["reasoning", "message", "reasoning"]
    assert response["output"][0]["content"] == [{"type": "reasoning_text", "text": "Let me think."}]
    assert response["output"][2]["encrypted_content"]
    assert response["output"][1]["content"][0]["text"] == "Snow falls."
    assert (response["status"], response["model"]) == ("completed", NEW)
    assert response["usage"] == {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 6},
        "total_tokens": 40,
    }


def test_calls_that_run_beside_each_other_end_as_calls_and_not_as_a_stop() -> None:
    choice = chat(CALL, {"functionCall": {"name": "now"}})
    assert choice["finish_reason"] == "tool_calls"
    first, second = choice["message"]["tool_calls"]
    assert (first["id"], first["function"]) == ("g-1", {"name": "get_weather", "arguments": '{"city": "Oslo"}'})
    assert (second["id"], second["function"]) == ("call_r-1_1", {"name": "now", "arguments": "{}"})


@pytest.mark.parametrize("called", [RESPONSES, MESSAGES])
def test_a_signature_goes_to_the_caller_and_comes_back_where_it_was(called: Any) -> None:
    asked = {"role": "user", "content": "The weather?"}
    signed = CALL | {"thoughtSignature": "c2ln"}
    told = answered(called, GEMINI, content(signed, CALL | {"functionCall": {"name": "now", "args": {}, "id": "g-2"}}))
    if called is RESPONSES:
        outputs = [{"type": "function_call_output", "call_id": name, "output": "x"} for name in ("g-1", "g-2")]
        sent = to_gemini(called, input=[asked, *told["output"], *outputs])
    else:
        results = [{"type": "tool_result", "tool_use_id": name, "content": "x"} for name in ("g-1", "g-2")]
        said = [{k: v for k, v in block.items() if v is not None} for block in told["content"]]
        turns = [asked, {"role": "assistant", "content": said}, {"role": "user", "content": results}]
        sent = to_gemini(called, messages=turns)

    assert sent["contents"][1]["parts"] == [signed, {"functionCall": {"name": "now", "args": {}, "id": "g-2"}}]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter")],
)
def test_each_end_has_its_word(finish: str, reason: str) -> None:
    assert chat({"text": "So"}, finish=finish)["finish_reason"] == reason


def test_a_filter_says_that_it_was_one() -> None:
    choice = chat(finish="SAFETY")
    assert choice["message"]["refusal"] == "Google's filters ended the answer (SAFETY)."
    response = answered(RESPONSES, GEMINI, content({"text": "So"}, finish="SPII", finishMessage="No."))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert [part["type"] for part in response["output"][0]["content"]] == ["output_text", "refusal"]
    assert answered(MESSAGES, GEMINI, content(finish="SAFETY"))["stop_reason"] == "refusal"


def test_a_blocked_prompt_is_a_refusal_and_no_empty_answer() -> None:
    choice = answered(CHAT, GEMINI, BLOCKED)["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["refusal"] == "Google's filters blocked the prompt (SAFETY)."
    events, steps = stream(RESPONSES, GEMINI, sse([BLOCKED]))
    assert events[-1]["type"] == "response.incomplete"
    assert steps.summary().usage.input_tokens == 9


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("MALFORMED_FUNCTION_CALL", FailureKind.ERROR),
        ("OTHER", FailureKind.ERROR),
        ("MISSING_THOUGHT_SIGNATURE", FailureKind.REJECTED),
        ("BRAND_NEW", FailureKind.INVALID),
    ],
)
def test_an_end_without_an_answer_is_a_failure_and_never_a_stop(finish: str, kind: FailureKind) -> None:
    with pytest.raises(AttemptFailed) as caught:
        chat({"text": "So"}, finish=finish)
    assert caught.value.failure.kind is kind
    with pytest.raises(AttemptFailed) as caught:
        stream(CHAT, GEMINI, sse([content(finish=finish)]))
    assert caught.value.failure.kind is kind
    if kind is not FailureKind.INVALID:
        assert caught.value.usage is not None


def test_an_answer_that_failed_after_it_began_ends_with_an_error() -> None:
    events, steps = stream(
        CHAT, GEMINI, sse([content({"text": "So"}, finish=None), content(finish="MALFORMED_FUNCTION_CALL")])
    )
    assert events[-1]["error"]["code"] == "server_error"
    assert steps.summary().usage.output_tokens == 10


def test_an_error_in_a_stream_keeps_its_kind() -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(AttemptFailed) as caught:
        stream(CHAT, GEMINI, sse([error]))
    assert caught.value.failure.kind is FailureKind.OVERLOADED


@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"code": "1"}},
        {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
        {"functionCall": {"args": {}}},
        {"functionCall": {"name": "x", "args": [1]}},
        {"functionCall": {"name": "x", "willContinue": True}},
        {"functionCall": {"name": "x", "partialArgs": []}},
    ],
)
def test_what_was_not_asked_for_is_not_passed_over(part: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        chat(part)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"candidates":5}', b'{"candidates":[]}', b"\xff"])
def test_what_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        BRIDGES[CHAT, GEMINI](b'{"model":"m","messages":[]}').answer(body)


def test_log_probabilities_and_sources_are_carried() -> None:
    token = {"token": "Ø", "tokenId": 5, "logProbability": -0.5}
    result = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token]}]}
    cited = {"citationSources": [{"startIndex": 2, "endIndex": 3, "uri": "https://a.example"}, {"license": "MIT"}]}
    answer = content({"text": "Øb"}, logprobsResult=result, citationMetadata=cited)
    choice = answered(CHAT, GEMINI, answer, logprobs=True)["choices"][0]

    logprob = {"token": "Ø", "logprob": -0.5, "bytes": [195, 152]}
    assert choice["logprobs"]["content"] == [logprob | {"top_logprobs": [logprob]}]
    assert choice["message"]["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.example", "title": "", "start_index": 1, "end_index": 2},
        }
    ]


def test_a_streams_usage_is_its_last_and_not_the_sum() -> None:
    first = content({"text": "Snow"}, finish=None) | {"usageMetadata": USAGE | {"candidatesTokenCount": 1}}
    events, steps = stream(CHAT, GEMINI, sse([first, content({"text": " falls."})]))
    assert [event["choices"][0]["delta"].get("content") for event in events if event["choices"]][-3:-1] == [
        "Snow",
        " falls.",
    ]
    assert steps.summary().usage.output_tokens == 10
    assert events[-1]["usage"]["completion_tokens"] == 10
    assert steps.is_complete


def test_errors_are_told_in_the_callers_words() -> None:
    body = json.dumps({"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}).encode()
    chat_bridge = BRIDGES[CHAT, GEMINI](b'{"model":"m","messages":[]}')
    assert json.loads(chat_bridge.error(body, 429))["error"] == {
        "message": "Slow down.",
        "type": "invalid_request_error",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    messages = BRIDGES[MESSAGES, GEMINI](b'{"model":"m","max_tokens":5,"messages":[]}')
    assert json.loads(messages.error(body, 429))["error"] == {"type": "rate_limit_error", "message": "Slow down."}
