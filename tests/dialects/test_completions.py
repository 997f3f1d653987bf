"""The legacy Completions API over upstreams that speak another: requests, answers, streams, and what is refused."""

import json
from typing import Any

import pytest
from openai.types import Completion
from openai.types.completion_create_params import CompletionCreateParamsBase

from headworks.calls import Endpoint
from headworks.config.droppable import DROPPABLE, KEPT
from headworks.dialects import BRIDGES
from headworks.errors import Refusal

COMPLETIONS, CHAT = Endpoint.COMPLETIONS, Endpoint.CHAT
ASKED = {"model": "m", "prompt": "Say it."}
UPSTREAMS = [CHAT, Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.CONVERSE]
MODELS = {Endpoint.GENERATE_CONTENT: "gemini-3.5-flash", Endpoint.CONVERSE: "anthropic.claude-sonnet-5-v1:0"}
LOGPROBS = [
    {"token": "It", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "It", "logprob": -0.5, "bytes": None}]},
    {"token": " snows", "logprob": -1.5, "bytes": None, "top_logprobs": []},
]


def sent(spoken: Endpoint = CHAT, **fields: Any) -> dict[str, Any]:
    body = json.dumps(ASKED | fields).encode()
    found: dict[str, Any] = json.loads(BRIDGES[COMPLETIONS, spoken](body).request(body, MODELS.get(spoken, "m")))
    return found


def answered(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "It snows."}, "finish_reason": "stop"} | message
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    told = {"id": "chatcmpl-1", "created": 7, "model": "m-1", "choices": [choice], "usage": usage}
    found: dict[str, Any] = json.loads(
        BRIDGES[COMPLETIONS, CHAT](json.dumps(ASKED).encode()).answer(json.dumps(told).encode())[0]
    )
    return found


def test_a_whole_request_goes_up() -> None:
    fields = {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "stop": "x",
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "logit_bias": {"5": 1},
        "logprobs": 2,
        "user": "u",
    }
    assert sent(**fields, n=1, best_of=1, echo=False, suffix=None) == {
        **fields,
        "model": "m",
        "messages": [{"role": "user", "content": "Say it."}],
        "stop": ["x"],
        "logprobs": True,
        "top_logprobs": 2,
    }


@pytest.mark.parametrize("spoken", UPSTREAMS)
def test_the_apis_own_limit_holds_where_none_is_said(spoken: Endpoint) -> None:
    assert "16" in json.dumps(sent(spoken))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1]]}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"suffix": "x"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"brand_new": 1}, "brand_new"),
    ],
)
@pytest.mark.parametrize("spoken", UPSTREAMS)
def test_what_an_answer_cannot_be_is_refused_by_its_name(spoken: Endpoint, fields: Any, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        sent(spoken, **fields)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_of_every_field_it_is_known_whether_it_may_be_left_out() -> None:
    known = {*DROPPABLE[COMPLETIONS], *KEPT}
    assert set(CompletionCreateParamsBase.__annotations__) - known == set()


def test_a_list_of_one_text_is_that_text() -> None:
    assert sent(prompt=["é"])["messages"] == [{"role": "user", "content": "é"}]


def test_an_answer_is_one_of_the_apis_own() -> None:
    told = answered(logprobs={"content": LOGPROBS})
    found = Completion.model_validate(told)

    assert (found.id, found.object, found.model, found.created) == ("cmpl-1", "text_completion", "m-1", 7)
    assert (found.choices[0].text, found.choices[0].finish_reason) == ("It snows.", "stop")
    logprobs = found.choices[0].logprobs
    assert logprobs is not None
    assert (logprobs.tokens, logprobs.token_logprobs) == (["It", " snows"], [-0.5, -1.5])
    assert (logprobs.text_offset, logprobs.top_logprobs) == ([0, 2], [{"It": -0.5}, {}])
    assert found.usage is not None
    assert found.usage.total_tokens == 7


@pytest.mark.parametrize(
    ("message", "text", "finish"),
    [
        ({"finish_reason": "length"}, "It snows.", "length"),
        ({"message": {"content": None, "refusal": "No."}, "finish_reason": "content_filter"}, "No.", "content_filter"),
        ({"message": {"content": "Yes.", "reasoning_content": "Hm."}}, "Yes.", "stop"),
    ],
)
def test_each_end_has_its_word(message: Any, text: str, finish: str) -> None:
    choice = answered(**message)["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (text, finish)


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_says_what_the_whole_answer_does(usage: bool) -> None:
    head = {"id": "chatcmpl-1", "created": 7, "model": "m-1"}
    deltas: list[Any] = [{"role": "assistant", "content": ""}, {"content": "It"}, {"content": " snows."}]
    chunks = [head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks[1]["choices"][0]["logprobs"] = {"content": LOGPROBS[:1]}
    chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append(head | {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}})
    data = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"
    asked = ASKED | {"stream": True} | ({"stream_options": {"include_usage": True}} if usage else {})
    steps = BRIDGES[COMPLETIONS, CHAT](json.dumps(asked).encode()).stream()
    lines = [line[6:] for line in steps.feed(data).split(b"\n\n") if line]

    assert lines[-1] == b"[DONE]"
    found = [json.loads(line) for line in lines[:-1]]
    assert "".join(choice["text"] for one in found for choice in one["choices"]) == "It snows."
    assert [choice["finish_reason"] for one in found for choice in one["choices"]][-1] == "stop"
    assert found[0]["choices"][0]["logprobs"]["tokens"] == ["It"]
    assert ("usage" in found[-1]) is usage
    assert steps.summary().finish_reason == "stop"
    assert steps.summary().response_id == "cmpl-1"


def test_a_stream_that_breaks_ends_with_an_error() -> None:
    steps = BRIDGES[COMPLETIONS, CHAT](json.dumps(ASKED | {"stream": True}).encode()).stream()
    assert json.loads(steps.broken("server_error", "It ended.")[6:])["error"]["code"] == "server_error"
