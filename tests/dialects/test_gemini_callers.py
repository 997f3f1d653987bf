"""Calls of Google's own API as other upstreams get them, and how they are answered."""

import json
from typing import Any

import pytest
from anthropic_samples import answered, events_of, message, sse, stream, translated
from gemini_samples import CHAT, GEMINI, MESSAGES, NEW, RESPONSES, USAGE, content
from gemini_samples import sse as google_sse

from headworks.calls import AttemptFailed, FailureKind, UnreadableAnswer
from headworks.dialects import BRIDGES, GeminiTail, read_gemini_answer
from headworks.dialects.gemini_contents import UNSIGNED
from headworks.errors import Refusal

ASKED: Any = {"role": "user", "parts": [{"text": "The weather?"}]}
OWN = {
    "type": "OBJECT",
    "properties": {"type": {"type": "STRING", "nullable": True}, "n": {"anyOf": [{"type": "INTEGER"}]}},
    "propertyOrdering": ["type", "n"],
}
STANDARD = {
    "type": "object",
    "properties": {"type": {"type": ["string", "null"]}, "n": {"anyOf": [{"type": "integer"}]}},
}


def to_chat(**fields: Any) -> dict[str, Any]:
    return translated(GEMINI, CHAT, "m", **({"contents": [ASKED]} | fields))


def test_a_whole_conversation_goes_up() -> None:
    sent = to_chat(
        systemInstruction={"parts": [{"text": "Be kind."}]},
        contents=[
            {"parts": [{"text": "See:"}, {"inline_data": {"mime_type": "image/gif", "data": "R0lG_w=="}}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"functionCall": {"name": "look", "args": {"a_b": 1.50}}, "thoughtSignature": UNSIGNED},
                    {"function_call": {"name": "now"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "now", "response": {"output": "noon"}}},
                    {"functionResponse": {"name": "look", "response": {"sky": "snow"}}},
                    {"text": "Go on."},
                ],
            },
        ],
        tools=[{"functionDeclarations": [{"name": "look", "description": "Looks.", "parameters": OWN}]}],
        tool_config={"function_calling_config": {"mode": "ANY", "allowed_function_names": ["look"]}},
        generationConfig={
            "temperature": 0.5,
            "maxOutputTokens": 99,
            "stop_sequences": ["END"],
            "seed": 5,
            "responseMimeType": "application/json",
            "responseSchema": OWN,
            "thinkingConfig": {"thinkingBudget": 5000},
        },
    )
    roles = [one["role"] for one in sent["messages"]]
    first, second = sent["messages"][2]["tool_calls"]

    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == "data:image/gif;base64,R0lG/w=="
    assert (first["function"], second["function"]["arguments"]) == ({"name": "look", "arguments": '{"a_b": 1.5}'}, "{}")
    results = [(one["tool_call_id"], one["content"]) for one in sent["messages"][3:5]]
    assert results == [(second["id"], "noon"), (first["id"], '{"sky": "snow"}')]
    assert sent["tools"][0]["function"]["parameters"] == STANDARD
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert (sent["temperature"], sent["max_tokens"], sent["stop"], sent["seed"]) == (0.5, 99, ["END"], 5)
    assert sent["response_format"]["json_schema"]["schema"] == STANDARD
    assert sent["reasoning_effort"] == "medium"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"safetySettings": [{}]}, "safetySettings"),
        ({"cachedContent": "x"}, "cachedContent"),
        ({"generationConfig": {"topK": 5}}, "generationConfig.topK"),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"contents": [{"parts": [{"videoMetadata": {}}]}]}, "contents[0].parts[0].videoMetadata"),
        ({"contents": [{"role": "model", "parts": [{"text": "x", "thoughtSignature": "c2ln"}]}]},
         "contents[0].parts[0].thoughtSignature"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "x"}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": 5}, "contents"),
    ],
)  # fmt: skip
def test_what_others_have_nothing_for_is_refused_by_its_name(fields: Any, param: str) -> None:
    with pytest.raises(Refusal) as caught:
        to_chat(**fields)
    assert (caught.value.status, (caught.value.param or "")) == (400, param)


def test_claudes_thoughts_go_to_googles_caller_and_come_back() -> None:
    thought = {"type": "thinking", "thinking": "Oslo it is.", "signature": "c2ln"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Oslo"}}
    told = answered(GEMINI, MESSAGES, message(thought, use, stop_reason="tool_use"), contents=[ASKED])
    (candidate,) = told["candidates"]
    shown, _ = candidate["content"]["parts"]
    assert shown == {"text": "Oslo it is.", "thought": True}
    assert candidate["finishReason"] == "STOP"
    assert told["usageMetadata"]["promptTokenCount"] == 32

    returned = {"functionResponse": {"id": "toolu_1", "name": "look", "response": {"output": "snow"}}}
    turns = [ASKED, candidate["content"], {"role": "user", "parts": [returned]}]
    sent = translated(GEMINI, MESSAGES, contents=turns)
    assert sent["messages"][1]["content"] == [thought, use]


def test_a_stream_of_claudes_is_one_of_googles() -> None:
    thought = {"type": "thinking", "thinking": "Oslo.", "signature": "c2ln"}
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {"city": "Oslo"}}
    whole = message(thought, {"type": "text", "text": "I look."}, use, stop_reason="tool_use")
    events, steps = stream(GEMINI, MESSAGES, sse(events_of(whole)), contents=[ASKED])
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]

    assert "".join(part.get("text", "") for part in parts if not part.get("thought")) == "I look."
    assert [part["functionCall"] for part in parts if "functionCall" in part] == [
        {"name": "look", "args": {"city": "Oslo"}, "id": "t"}
    ]
    assert any("thoughtSignature" in part for part in parts)
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    assert events[-1]["usageMetadata"]["totalTokenCount"] == steps.summary().usage.input_tokens + 4
    assert steps.summary().finish_reason == "STOP"


def test_a_cut_call_and_a_broken_one_are_told_apart() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a'}}

    def told(finish: str) -> Any:
        choice = {"message": {"content": None, "tool_calls": [call]}, "finish_reason": finish}
        return answered(GEMINI, CHAT, {"id": "x", "choices": [choice]}, contents=[ASKED])["candidates"][0]

    cut = told("length")
    assert (cut["finishReason"], cut["content"]["parts"][0]["functionCall"]["args"]) == ("MAX_TOKENS", {})
    with pytest.raises(UnreadableAnswer):
        told("tool_calls")


def test_a_refusal_is_googles_safety() -> None:
    choice = {"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}
    candidate = answered(GEMINI, CHAT, {"id": "x", "choices": [choice]}, contents=[ASKED])["candidates"][0]
    assert (candidate["finishReason"], candidate["content"]["parts"]) == ("SAFETY", [{"text": "No."}])


def test_errors_are_googles() -> None:
    body = json.dumps({"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}}).encode()
    bridge = BRIDGES[GEMINI, RESPONSES](b'{"model":"m","contents":[]}')
    assert json.loads(bridge.error(body, 429))["error"] == {
        "code": 429,
        "message": "Slow down.",
        "status": "RESOURCE_EXHAUSTED",
    }
    broken = json.loads(bridge.stream().broken("upstream_timeout", "Late.").removeprefix(b"data: "))
    assert broken["error"]["status"] == "DEADLINE_EXCEEDED"
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}
    with pytest.raises(AttemptFailed) as caught:
        stream(GEMINI, MESSAGES, sse([failed]), contents=[ASKED])
    assert caught.value.failure.kind is FailureKind.OVERLOADED


def test_a_relayed_stream_passes_byte_for_byte_and_is_summed_up() -> None:
    data = google_sse([content({"text": "Snow"}, finish=None) | {"brandNew": 1}, content({"text": "."})])
    for size in (1, 7, len(data)):
        tail = GeminiTail()
        assert b"".join(tail.feed(data[at : at + size]) for at in range(0, len(data), size)) == data
        summary = tail.summary()
        assert tail.is_complete
        assert (summary.text, summary.finish_reason, summary.served_model) == ("Snow.", "STOP", NEW)
        assert summary.usage is not None
        assert (summary.usage.output_tokens, summary.usage.reasoning_tokens) == (10, 6)


def test_a_relayed_error_and_a_blocked_prompt_end_a_stream() -> None:
    for event, terminal in (
        ({"error": {"status": "INTERNAL"}}, "error"),
        ({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE}, "done"),
    ):
        tail = GeminiTail()
        tail.feed(google_sse([event]))
        assert (tail.is_complete, tail.summary().terminal) == (True, terminal)


def test_a_whole_relayed_answer_is_summed_up() -> None:
    summary = read_gemini_answer(json.dumps(content({"text": "Snow"}) | {"usageMetadata": None}).encode())
    assert (summary.text, summary.finish_reason, summary.usage) == ("Snow", "STOP", None)  # type: ignore[union-attr]
    for body in (b"", b"[]", b"{}", b'{"candidates":[{}]}'):
        assert read_gemini_answer(body).kind is FailureKind.INVALID  # type: ignore[union-attr]


def test_log_probabilities_and_citations_go_to_googles_caller() -> None:
    token = {"token": "Ø", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "O", "logprob": -1.0}]}
    cited = {"url": "https://a.example", "title": "A", "start_index": 1, "end_index": 2}
    said = {"content": "Øb", "annotations": [{"type": "url_citation", "url_citation": cited}]}
    choice = {"message": said, "finish_reason": "stop", "logprobs": {"content": [token]}}
    whole = answered(GEMINI, CHAT, {"id": "x", "choices": [choice]}, contents=[ASKED])["candidates"][0]
    delta = {"delta": said, "index": 0, "logprobs": {"content": [token]}, "finish_reason": "stop"}
    events, _ = stream(
        GEMINI, CHAT, google_sse([{"id": "x", "choices": [delta]}]) + b"data: [DONE]\n\n", contents=[ASKED]
    )

    logprobs = {
        "chosenCandidates": [{"token": "Ø", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "O", "logProbability": -1.0}]}],
    }
    sources = [{"startIndex": 2, "endIndex": 3, "uri": "https://a.example", "title": "A"}]
    assert (whole["logprobsResult"], whole["citationMetadata"]) == (logprobs, {"citationSources": sources})
    streamed: dict[str, Any] = {}
    for event in events:
        streamed |= event["candidates"][0]
    assert (streamed["logprobsResult"], streamed["citationMetadata"]) == (logprobs, {"citationSources": sources})
