"""The pipeline in this process, behind the official clients."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

import headworks
from headworks.library import InProcessGateway
from headworks.records import Selection, open_store

CONFIG = """
version: 1
providers:
  sim: {kind: simulator, pace: 0}
models:
  nano: sim/gpt-6-luna
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[InProcessGateway]:
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    with headworks.connect(tmp_path / "headworks.yaml") as running:
        yield running


def test_the_synchronous_client_answers_and_streams(gateway: InProcessGateway) -> None:
    with gateway.openai() as client:
        assert "hello" in client.responses.create(model="nano", input="Say hello.").output_text
        with client.responses.stream(model="nano", input="Say hello.") as stream:
            assert [event.type for event in stream][-1] == "response.completed"
        chunks = list(
            client.chat.completions.create(
                model="nano", messages=[{"role": "user", "content": "Say hello."}], stream=True
            )
        )
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_asynchronous_client_runs_many_calls_at_once(gateway: InProcessGateway) -> None:
    async def run() -> list[str]:
        async with gateway.async_openai() as client:
            answers = await asyncio.gather(
                *(client.responses.create(model="nano", input=f"call {index}") for index in range(20))
            )
            async with client.responses.stream(model="nano", input="Say hello.") as stream:
                final = await stream.get_final_response()
        return [answer.output_text for answer in answers] + [final.output_text]

    texts = asyncio.run(run())
    assert all(f"call {index}" in text for index, text in enumerate(texts[:-1]))
    assert "hello" in texts[-1]


def test_errors_are_the_sdks_own(gateway: InProcessGateway) -> None:
    with gateway.openai(max_retries=0) as client, pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="nano", messages="no list")  # type: ignore[call-overload]
    assert refused.value.code == "invalid_type"


def test_calls_are_recorded_also_one_whose_stream_was_left(tmp_path: Path) -> None:
    (tmp_path / "headworks.yaml").write_text(CONFIG.replace("pace: 0", "pace: 0.2"))
    with headworks.connect(tmp_path) as gateway, gateway.openai() as client:
        client.responses.create(model="nano", input="Say hello.")
        stream = client.responses.create(model="nano", input="Say much and slowly.", stream=True)
        next(iter(stream))
        stream.close()
    store = open_store(tmp_path / ".headworks")
    try:
        records = store.select(Selection(is_newest_first=False))
    finally:
        store.close()
    assert [record.outcome for record in records] == ["answered", "cancelled"]
    assert records[1].usage_source == "estimated"
    assert records[1].input_tokens > 0


def test_a_closed_gateway_says_so(tmp_path: Path) -> None:
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    gateway = headworks.connect(tmp_path)
    client = gateway.openai(max_retries=0)
    gateway.close()
    gateway.close()
    with pytest.raises(headworks.HeadworksError, match="closed"):
        client.responses.create(model="nano", input="x")
