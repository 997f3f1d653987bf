"""OpenAI's client over Claude, with fields that Claude has nothing for: told what was left out, whole and streamed."""

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from e2e_processes import Gateway, Process

CONFIG = """
version: 1
providers:
  claude: {{kind: anthropic, base_url: "{simulator}/v1", api_key: env:CLAUDE_KEY}}
models:
  claude: {{provider: claude, model: claude-sonnet-5, droppable: [seed, logprobs, reasoning.summary]}}
"""
ASKED: Any = {"model": "claude", "messages": [{"role": "user", "content": "Say hello."}], "seed": 7}


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway], simulator: Process, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.setenv("CLAUDE_KEY", "sk-ant-simulated")
    return make_gateway(CONFIG.format(simulator=simulator.address))


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        yield client


def test_what_is_left_out_stands_in_the_head_and_in_the_record(gateway: Gateway, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(**ASKED, logprobs=True)
    assert raw.parse().choices[0].message.content
    assert raw.headers["x-headworks-dropped"] == "seed, logprobs"
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert record.course == "claude/claude-sonnet-5 (without seed, logprobs)"

    streamed = client.chat.completions.with_raw_response.create(**ASKED, stream=True)
    assert streamed.headers["x-headworks-dropped"] == "seed"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed.parse())

    reasoned = client.responses.with_raw_response.create(
        model="claude", input="Say hello.", reasoning={"effort": "low", "summary": "detailed"}
    )
    assert reasoned.headers["x-headworks-dropped"] == "reasoning.summary"
    assert reasoned.parse().reasoning.effort == "low"  # type: ignore[union-attr] # it was asked for

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**ASKED, logit_bias={"5": 1})
    assert refused.value.param == "logit_bias"
