"""A stream whose provider breaks off midway, gone on with by another: the official client reads one whole answer."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from e2e_processes import Gateway, Process

from headworks.continuing import GO_ON

PROMPT = [{"role": "user", "content": "Count, please."}]
WHOLE = " ".join(f"{number}." for number in range(1, 120))
REPEATED_FROM = WHOLE.index("10.")
"""What goes on says it all again from here, further back than the cut."""

PLAN_OF_FIRST = {
    "pace": 0,
    "rules": [{"when": {"contains": "Count"}, "say": WHOLE}],
    "faults": [{"kind": "cut", "after_content": 30}],
}
PLAN_OF_SECOND = {
    "pace": 0,
    "rules": [
        {"when": {"contains": GO_ON[:40]}, "say": WHOLE[REPEATED_FROM:]},
        {"when": {"contains": "Count"}, "say": "This was asked for as if nothing had been said."},
    ],
}
CONFIG = """
version: 1
providers:
  first: {kind: openai-compatible, base_url: FIRST/v1, api_key: file:key, speaks: [responses, chat]}
  second: {kind: openai-compatible, base_url: SECOND/v1, api_key: file:key, speaks: [SPEAKS]}
models:
  breaks: {provider: first, model: gpt-6-luna}
  whole: {provider: second, model: gpt-6-luna}
defaults: {retries: 0}
"""
CONTRACT = """
owner: o
description: counts
ladder: [breaks]
fallback: [whole]
streaming: {on_break: continue}
retention: {content: full}
"""


def simulate(folder: Any, plan: object) -> Process:
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps(plan))
    command = ("simulate", "--port", "0", "--plan", "plan.json")
    return Process(*command, ready="headworks simulator ready on ", cwd=folder)


@pytest.fixture(scope="module", params=["responses", "chat"])
def gateway(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """Gateways whose second provider speaks one dialect only: the other is translated."""
    folder = tmp_path_factory.mktemp("continued")
    first, second = simulate(folder / "first", PLAN_OF_FIRST), simulate(folder / "second", PLAN_OF_SECOND)
    (folder / "key").write_text("sk-provider-0123456789abcdef")
    (folder / "key").chmod(0o600)
    workload = folder / "workloads" / "count"
    workload.mkdir(parents=True)
    (workload / "workload.yaml").write_text(CONTRACT)
    config = CONFIG.replace("FIRST", first.address).replace("SECOND", second.address).replace("SPEAKS", request.param)
    running = Gateway(folder, config)
    yield running
    assert running.process.stop() == 0, running.process.said
    assert first.stop() == second.stop() == 0


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as made:
        yield made


def is_recorded(gateway: Gateway, call_id: str) -> bool:
    record = gateway.record(call_id)
    assert (record.outcome, record.attempts, record.error_code) == ("answered", 2, "")
    assert "first/gpt-6-luna: upstream_broken; second/gpt-6-luna (goes on behind" in record.course
    assert record.output_tokens > 119  # both parts are paid for
    return True


def test_a_chat_stream_is_one_answer(gateway: Gateway, client: openai.OpenAI) -> None:
    with client.chat.completions.with_raw_response.create(
        model="count",
        messages=PROMPT,  # type: ignore[arg-type]
        stream=True,
        stream_options={"include_usage": True},
    ).parse() as stream:
        chunks = list(stream)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == WHOLE
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None


def test_the_accumulators_of_the_client_read_it(gateway: Gateway, client: openai.OpenAI) -> None:
    with client.responses.stream(model="count", input="Count, please.") as stream:
        events = list(stream)
        response = stream.get_final_response()
    assert response.output_text == WHOLE
    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert len([event for event in events if event.type == "response.output_item.added"]) == 1

    with client.chat.completions.stream(model="count", messages=PROMPT) as told:  # type: ignore[arg-type]
        assert told.get_final_completion().choices[0].message.content == WHOLE


def test_the_record_marks_the_seam_and_counts_both_parts(gateway: Gateway) -> None:
    async def ask() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
            raw = await client.responses.with_raw_response.create(model="count", input="Count, please.", stream=True)
            text = ""
            async for event in raw.parse():
                text += event.delta if event.type == "response.output_text.delta" else ""
            return text, raw.headers["x-headworks-call-id"]

    text, call_id = asyncio.run(ask())

    assert text == WHOLE
    assert is_recorded(gateway, call_id)
