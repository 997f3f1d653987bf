"""How streams and answers of one dialect end in another: every ending has its twin, an unknown one is an error, never a
silent stop, and usage is read from wherever it stands."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from headworks.calls import AttemptFailed, Endpoint, FailureKind, UnreadableAnswer, Usage
from headworks.dialects import BRIDGES
from headworks.dialects.bridging import TranslatedStream, failure_of
from headworks.dialects.canonical import UpstreamError
from headworks.dialects.endings import error_ending

RESPONSES_REQUEST = b'{"model":"m","input":"x","stream":true}'
CHAT_REQUEST = b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}'

CHAT_USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 4,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
RESPONSES_USAGE = {
    "input_tokens": 30,
    "output_tokens": 4,
    "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
    "output_tokens_details": {"reasoning_tokens": 2},
}
USAGE = Usage(30, 20, 5, 4, 2, "provider")


def chunk(delta: dict[str, Any] | None = None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": choices,
    } | more


def response(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "created_at": 7, "model": "m", "status": status, "output": []} | more


CREATED = {"type": "response.created", "sequence_number": 0, "response": response("in_progress")}
SAID = {"type": "response.output_text.delta", "delta": "Hello", "output_index": 0, "content_index": 0}


def sse(events: Sequence[dict[str, Any]], *, done: bool = False) -> bytes:
    told = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return told + b"data: [DONE]\n\n" if done else told


def from_chat(*events: dict[str, Any], done: bool = True) -> tuple[list[dict[str, Any]], TranslatedStream]:
    steps = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](RESPONSES_REQUEST).stream()
    return read(steps.feed(sse(events, done=done))), steps


def from_responses(*events: dict[str, Any]) -> tuple[list[dict[str, Any]], TranslatedStream]:
    steps = BRIDGES[Endpoint.CHAT, Endpoint.RESPONSES](CHAT_REQUEST).stream()
    return read(steps.feed(sse([CREATED, *events]))), steps


def read(stream: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in stream.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


# -- endings -----------------------------------------------------------------------------------------------------------


def test_a_broken_response_ends_with_the_number_that_comes_next() -> None:
    events, steps = from_chat(chunk({"content": "Hello"}), done=False)

    (ending,) = read(steps.broken("upstream_broken", "The upstream failed."))

    assert ending == read(error_ending(Endpoint.RESPONSES, "upstream_broken", "The upstream failed."))[0] | {
        "sequence_number": events[-1]["sequence_number"] + 1
    }


def test_a_broken_chat_stream_ends_with_an_error_as_any_other() -> None:
    _, steps = from_responses(SAID)

    assert steps.broken("upstream_broken", "x") == error_ending(Endpoint.CHAT, "upstream_broken", "x")


@pytest.mark.parametrize(
    ("finish_reason", "kind", "details"),
    [
        ("stop", "response.completed", None),
        ("tool_calls", "response.completed", None),
        ("length", "response.incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "response.incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_finish_reason_becomes_its_last_event(finish_reason: str, kind: str, details: object) -> None:
    events, steps = from_chat(chunk({"content": "Hello"}), chunk({}, finish_reason))

    assert events[-1]["type"] == kind
    assert events[-1]["response"]["incomplete_details"] == details
    assert steps.is_complete


@pytest.mark.parametrize(
    ("last", "finish_reason"),
    [
        (response("completed"), "stop"),
        (response("incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (response("incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
    ],
)
def test_a_last_event_becomes_its_finish_reason(last: dict[str, Any], finish_reason: str) -> None:
    chunks, steps = from_responses(SAID, {"type": f"response.{last['status']}", "response": last})

    assert chunks[-1]["choices"][0]["finish_reason"] == finish_reason
    assert steps.summary().finish_reason == finish_reason


@pytest.mark.parametrize(
    "last",
    [
        {"type": "response.failed", "response": response("failed", error={"code": "server_error", "message": "no"})},
        {"type": "response.failed", "response": response("failed")},
        {"type": "response.failed", "response": response("completed")},
        {"type": "response.completed", "response": response("failed")},
        {"type": "error", "code": "server_error", "message": "no", "param": None},
        {"type": "error", "error": {"type": "server_error", "message": "no"}},
    ],
)
def test_a_failure_is_an_error_in_chat_and_never_a_stop(last: dict[str, Any]) -> None:
    steps = BRIDGES[Endpoint.CHAT, Endpoint.RESPONSES](CHAT_REQUEST).stream()
    steps.feed(sse([CREATED, SAID]))
    told = steps.feed(sse([last]))

    assert read(told)[-1]["error"]["message"]
    assert b"[DONE]" not in told
    assert b'"stop"' not in told
    assert steps.summary().terminal == "error"


@pytest.mark.parametrize(
    "last",
    [
        {"type": "response.cancelled", "response": response("cancelled")},
        {"type": "response.exhausted", "response": response("exhausted")},
        {"type": "response.completed", "response": response("in_progress")},
        {"type": "response.incomplete", "response": response("incomplete", incomplete_details={"reason": "tired"})},
        {"type": "response.incomplete", "response": response("incomplete")},
    ],
)
def test_a_last_event_that_nobody_knows_is_unreadable(last: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAnswer):
        from_responses(SAID, last)


@pytest.mark.parametrize("last", [chunk({}, "tired"), chunk({})])
def test_a_chat_stream_that_does_not_say_how_it_ended_is_unreadable(last: dict[str, Any]) -> None:
    with pytest.raises(UnreadableAnswer, match="finish reason"):
        from_chat(chunk({"content": "Hello"}), last)


def test_a_failure_before_the_first_word_is_a_failed_attempt_with_its_usage() -> None:
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    last = {"type": "response.failed", "response": response("failed", error=error, usage=RESPONSES_USAGE)}
    with pytest.raises(AttemptFailed) as failed:
        from_responses(last)

    assert failed.value.failure.kind is FailureKind.RATE_LIMITED
    assert failed.value.usage == USAGE
    assert "slow down" not in failed.value.failure.detail


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("429", FailureKind.RATE_LIMITED),
        ("400", FailureKind.REJECTED),
        ("413", FailureKind.REJECTED),
        ("401", FailureKind.UNAUTHORIZED),
        ("408", FailureKind.TIMEOUT),
        ("504", FailureKind.TIMEOUT),
        ("503", FailureKind.OVERLOADED),
        ("529", FailureKind.OVERLOADED),
        ("500", FailureKind.ERROR),
        ("502", FailureKind.ERROR),
        ("1234", FailureKind.ERROR),
        ("rate_limit_exceeded", FailureKind.RATE_LIMITED),
        ("insufficient_quota", FailureKind.QUOTA),
        ("invalid_prompt", FailureKind.REJECTED),
        ("server_error", FailureKind.ERROR),
        ("something new", FailureKind.ERROR),
    ],
)
def test_an_errors_code_says_what_kind_of_failure_it_is(code: str, kind: FailureKind) -> None:
    assert failure_of(UpstreamError(code, "why")).kind is kind


def test_a_numeric_code_of_an_error_in_a_chat_stream_is_understood() -> None:
    with pytest.raises(AttemptFailed) as failed:
        from_chat({"error": {"code": 429, "message": "slow down", "type": "requests"}}, done=False)
    assert failed.value.failure.kind is FailureKind.RATE_LIMITED


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        [chunk({"content": "Hello"}, "stop"), chunk(usage=CHAT_USAGE)],
        [chunk({"content": "Hello"}), chunk({}, "stop", usage=CHAT_USAGE)],
        [chunk({"content": "Hello"}, "stop", usage=CHAT_USAGE)],
        [chunk({"content": "Hello"}, usage={"prompt_tokens": 30, "completion_tokens": 1}), chunk({}, "stop"),
         chunk(usage=CHAT_USAGE)],
        [chunk({"content": "Hello"}, "stop", usage=CHAT_USAGE), chunk(usage=None)],
    ],
    ids=["alone", "with the finish reason", "with everything", "in every chunk", "then null"],
)  # fmt: skip
def test_usage_is_read_from_wherever_it_stands_in_a_chat_stream(events: list[dict[str, Any]]) -> None:
    told, steps = from_chat(*events)

    assert steps.summary().usage == USAGE
    assert told[-1]["response"]["usage"] == RESPONSES_USAGE | {"total_tokens": 34}


@pytest.mark.parametrize("status", ["completed", "incomplete", "failed"])
def test_usage_of_an_answer_is_kept_however_it_ended(status: str) -> None:
    more = {
        "incomplete": {"incomplete_details": {"reason": "max_output_tokens"}},
        "failed": {"error": {"code": "server_error", "message": "no"}},
    }
    last = response(status, usage=RESPONSES_USAGE, **more.get(status, {}))
    steps = BRIDGES[Endpoint.CHAT, Endpoint.RESPONSES](CHAT_REQUEST).stream()
    steps.feed(sse([CREATED, SAID]))
    steps.feed(sse([{"type": f"response.{status}", "response": last}]))

    assert steps.summary().usage == USAGE


def test_whole_and_streamed_answers_bill_the_same() -> None:
    message = {"role": "assistant", "content": "Hello"}
    whole = {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": CHAT_USAGE,
    }
    _, summary = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](RESPONSES_REQUEST).answer(json.dumps(whole).encode())
    _, steps = from_chat(chunk({"content": "Hello"}, "stop"), chunk(usage=CHAT_USAGE))

    assert summary.usage == steps.summary().usage == USAGE


# -- how servers differ ------------------------------------------------------------------------------------------------


def test_what_a_server_says_only_at_the_end_is_passed_on() -> None:
    output = [
        {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    chunks, _ = from_responses({"type": "response.completed", "response": response("completed", output=output)})

    deltas = [one["choices"][0]["delta"] for one in chunks]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Hello"
    assert [call["function"] for delta in deltas for call in delta.get("tool_calls", ())] == [
        {"name": "f", "arguments": "{}"}
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_nothing_is_said_twice_when_the_end_repeats_it() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
    chunks, _ = from_responses(
        SAID,
        {"type": "response.output_text.done", "text": "Hello", "output_index": 0, "content_index": 0},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response("completed", output=[item])},
    )
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks) == "Hello"


def test_calls_that_all_have_the_same_index_are_told_apart_by_their_ids() -> None:
    def call(name: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": f"call_{name}", "function": {"name": name, "arguments": "{}"}}]}

    events, _ = from_chat(chunk(call("f")), chunk(call("g")), chunk({}, "tool_calls"))
    assert [(item["call_id"], item["name"], item["arguments"]) for item in events[-1]["response"]["output"]] == [
        ("call_f", "f", "{}"),
        ("call_g", "g", "{}"),
    ]


def test_a_call_without_an_id_gets_one_that_its_output_can_name() -> None:
    calls = [{"index": index, "function": {"name": "f", "arguments": "{}"}} for index in range(2)]
    events, _ = from_chat(chunk({"tool_calls": calls}), chunk({}, "tool_calls"))
    names = [item["call_id"] for item in events[-1]["response"]["output"]]
    assert all(names)
    assert len(set(names)) == 2


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_readable_reasoning_becomes_an_item_before_the_message(field: str) -> None:
    events, _ = from_chat(chunk({field: "Let me "}), chunk({field: "see."}), chunk({"content": "4"}, "stop"))
    thought, said = events[-1]["response"]["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Let me see."}]
    assert said["content"][0]["text"] == "4"


def test_several_paragraphs_of_reasoning_become_reasoning_content() -> None:
    def thought(text: str, index: int) -> dict[str, Any]:
        kind = "response.reasoning_summary_text.delta"
        return {"type": kind, "delta": text, "output_index": 0, "summary_index": index}

    last = {"type": "response.completed", "response": response("completed")}
    chunks, _ = from_responses(thought("One.", 0), thought("Two.", 1), SAID | {"output_index": 1}, last)
    assert "".join(one["choices"][0]["delta"].get("reasoning_content") or "" for one in chunks) == "One.\n\nTwo."


def test_nothing_comes_out_before_there_is_content() -> None:
    steps = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](RESPONSES_REQUEST).stream()
    assert steps.feed(sse([chunk({"role": "assistant", "content": ""})])) == b""
    steps = BRIDGES[Endpoint.CHAT, Endpoint.RESPONSES](CHAT_REQUEST).stream()
    assert steps.feed(sse([CREATED, {"type": "response.in_progress", "response": response("in_progress")}])) == b""


def test_an_event_type_of_next_month_is_passed_over() -> None:
    news = {"type": "response.mood.delta", "delta": {"a": 1}, "output_index": 0}
    chunks, _ = from_responses(news, SAID, {"type": "response.completed", "response": response("completed")})
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_an_item_that_only_a_hosted_tool_makes_is_unreadable_for_it_was_not_asked_for() -> None:
    with pytest.raises(UnreadableAnswer, match="item"):
        from_responses({"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}})
