"""Log probabilities: only when asked for, one for each token, and the same streamed or whole."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response

from headworks.simulator.logprobs import logprobs_of, without_bytes
from headworks.simulator.plan import Rule, Say


@given(st.text(max_size=60), st.integers(0, 20), st.integers(0, 9))
def test_tokens_are_the_text_and_alternatives_are_less_likely(text, top, seed):
    told = logprobs_of(text, top, seed)

    assert "".join(one["token"] for one in told) == text
    for one in told:
        tops = one["top_logprobs"]
        assert len(tops) == top
        assert bytes(one["bytes"]) == one["token"].encode()
        assert [each["logprob"] for each in tops] == sorted((each["logprob"] for each in tops), reverse=True)
        assert sum(math.exp(each["logprob"]) for each in tops or [one]) <= 1.0001
        assert not tops or tops[0]["token"] == one["token"]
    assert all("bytes" not in one for one in without_bytes(told))


def test_chat_tells_them_when_asked_whole_and_streamed(desk):
    whole = desk.chat(logprobs=True, top_logprobs=2)
    ChatCompletion.model_validate(whole, strict=True)
    content = whole["choices"][0]["logprobs"]["content"]
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hello there"}], "stream": True}
    events = desk.events("/v1/chat/completions", {**body, "logprobs": True, "top_logprobs": 2})
    for event in events:
        ChatCompletionChunk.model_validate(event, strict=True)
    streamed = [one for event in events for one in (event["choices"][0]["logprobs"] or {}).get("content", ())]

    assert "".join(one["token"] for one in content) == whole["choices"][0]["message"]["content"]
    assert streamed == content
    assert all(len(one["top_logprobs"]) == 2 for one in content)


def test_a_refusal_has_its_own(desk_with):
    desk = desk_with(rules=(Rule(say=Say(refusal="I cannot.")),))

    told = desk.chat(logprobs=True)["choices"][0]["logprobs"]

    assert told["content"] is None
    assert "".join(one["token"] for one in told["refusal"]) == "I cannot."


def test_alternatives_need_log_probabilities_in_chat(desk):
    assert desk.chat(top_logprobs=2, status=400)["error"]["param"] == "top_logprobs"
    assert desk.chat(logprobs=True, top_logprobs=21, status=400)["error"]["param"] == "top_logprobs"


@pytest.mark.parametrize("fields", [{"include": ["message.output_text.logprobs"]}, {"top_logprobs": 3}])
def test_responses_tell_them_when_asked_whole_and_streamed(desk, fields):
    whole = desk.respond(**fields)
    Response.model_validate(whole, strict=True)
    part = whole["output"][0]["content"][0]
    body = {"model": "gpt-6-luna", "input": "Hello there", "stream": True, **fields}
    deltas = [e for e in desk.events("/v1/responses", body) if e["type"] == "response.output_text.delta"]
    streamed = [one for event in deltas for one in event["logprobs"]]

    assert "".join(one["token"] for one in part["logprobs"]) == part["text"]
    assert streamed == without_bytes(part["logprobs"])
    assert all(len(one["top_logprobs"]) == fields.get("top_logprobs", 0) for one in streamed)


def test_nobody_is_told_who_does_not_ask(desk):
    assert desk.respond()["output"][0]["content"][0]["logprobs"] == []
    assert desk.chat()["choices"][0]["logprobs"] is None
