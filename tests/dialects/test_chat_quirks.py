"""What other servers than OpenAI's say otherwise in Chat: read for what it means, streamed or not."""

import json
from typing import Any

import pytest

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind, Usage
from headworks.dialects import BRIDGES, ChatTail, TranslatedStream, read_chat_answer
from headworks.errors import Refusal

XAI = {
    "prompt_tokens": 10120,
    "completion_tokens": 1499,
    "total_tokens": 14428,
    "prompt_tokens_details": {"cached_tokens": 128},
    "completion_tokens_details": {"reasoning_tokens": 2809},
}
OPENAI = XAI | {"completion_tokens": 4308}
DEEPSEEK = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_cache_hit_tokens": 4}
THOUGHT = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}, {"type": "text", "text": "Yes."}]},
    {"type": "text", "text": "It snows."},
]
ASKED = json.dumps({"model": "m", "input": "x"}).encode()


def completion(**more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "created": 1, "model": "m", "choices": [choice]} | more).encode()


def event(delta: dict[str, Any] | None = None, finish_reason: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices} | more
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def translated() -> TranslatedStream:
    stream = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](ASKED).stream()
    assert isinstance(stream, TranslatedStream)
    return stream


@pytest.mark.parametrize(
    ("usage", "meant"),
    [
        (XAI, Usage(10120, 128, 0, 4308, 2809, "provider")),
        (OPENAI, Usage(10120, 128, 0, 4308, 2809, "provider")),
        (DEEPSEEK, Usage(9, 4, 0, 3, 0, "provider")),
        (DEEPSEEK | {"total_tokens": "?"}, Usage(9, 4, 0, 3, 0, "provider")),
    ],
    ids=["xai", "openai", "deepseek", "unreadable total"],
)
def test_usage_means_the_same_streamed_or_not_relayed_or_translated(usage: dict[str, Any], meant: Usage) -> None:
    whole = read_chat_answer(completion(usage=usage))
    assert not isinstance(whole, Failure)
    _, bridged = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](ASKED).answer(completion(usage=usage))
    events = [event({"content": "Hi"}), event({}, "stop", usage=usage), b"data: [DONE]\n\n"]
    tail, stream = ChatTail(), translated()
    for data in events:
        tail.feed(data)
        stream.feed(data)

    assert [one.usage for one in (whole, bridged, tail.summary(), stream.summary())] == [meant] * 4


def test_what_a_mistral_model_thought_is_reasoning_and_no_text() -> None:
    message = {"role": "assistant", "content": THOUGHT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body, _ = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](ASKED).answer(completion(choices=[choice]))
    thought, said = json.loads(body)["output"]

    assert (thought["type"], "Hm. Yes." in json.dumps(thought)) == ("reasoning", True)
    assert said["content"][0]["text"] == "It snows."


def test_the_same_is_so_in_a_stream() -> None:
    stream = translated()
    out = b"".join(
        stream.feed(data)
        for data in (
            event({"content": THOUGHT[:1]}),
            event({"content": [THOUGHT[1]]}),
            event({"content": " Again."}),
            event({"content": []}, "stop"),
            b"data: [DONE]\n\n",
        )
    )
    last = json.loads(out.rsplit(b"data: ", 1)[1])["response"]
    assert last["status"] == "completed"
    assert [item["type"] for item in last["output"]] == ["reasoning", "message"]
    assert last["output"][1]["content"][0]["text"] == "It snows. Again."


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (429, FailureKind.RATE_LIMITED),
        (502, FailureKind.ERROR),
        (503, FailureKind.OVERLOADED),
        (400, FailureKind.REJECTED),
    ],
)
def test_an_error_in_a_body_of_200_is_that_error(code: int, kind: FailureKind) -> None:
    body = json.dumps({"error": {"code": code, "message": "No provider.", "metadata": {}}}).encode()
    failure = read_chat_answer(body)
    assert isinstance(failure, Failure)
    assert failure.kind is kind
    assert "No provider" not in failure.detail

    with pytest.raises(AttemptFailed) as caught:
        BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](ASKED).answer(body)
    assert caught.value.failure.kind is kind


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"error": 5}', b"<html>"])
def test_what_is_no_answer_and_no_error_is_invalid(body: bytes) -> None:
    failure = read_chat_answer(body)
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.INVALID


def test_comments_before_and_between_events_are_passed_over() -> None:
    comment = b": OPENROUTER PROCESSING\n\n"
    tail, stream = ChatTail(), translated()
    for data in (comment, event({"content": "Hi"}), comment, event({}, "stop", usage=DEEPSEEK), b"data: [DONE]\n\n"):
        assert tail.feed(data) == data
        stream.feed(data)

    assert (tail.summary().text, tail.summary().terminal) == ("Hi", "done")
    assert stream.text == "Hi"


def test_an_error_in_the_middle_of_a_stream_ends_it() -> None:
    error = {"code": "server_error", "message": "Provider disconnected."}
    tail, stream = ChatTail(), translated()
    out = b""
    for data in (event({"content": "Hi"}), event({"content": ""}, "error", error=error)):
        tail.feed(data)
        out += stream.feed(data)

    assert (tail.is_complete, tail.summary().terminal, tail.summary().error_code) == (True, "error", "server_error")
    assert (stream.is_complete, stream.summary().terminal) == (True, "error")
    assert b"response.completed" not in out


@pytest.mark.parametrize(
    "spoken", [Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE]
)
def test_what_no_other_api_has_is_refused_without_naming_an_api_that_is_not_asked(spoken: Endpoint) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x", "name": "ann"}]}).encode()
    with pytest.raises(Refusal) as refused:
        BRIDGES[Endpoint.CHAT, spoken](body).request(body, "m")
    assert refused.value.param == "messages[0].name"
    assert "reached through another API" in refused.value.message
