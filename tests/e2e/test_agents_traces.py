"""The OpenAI Agents SDK sends its traces to a gateway with its own exporter; they join the calls."""

import asyncio
import json
from collections.abc import Callable

import agents
import openai
import pytest
from agents.tracing.processor_interface import TracingProcessor
from agents.tracing.processors import BackendSpanExporter
from e2e_processes import Gateway

CONFIG = """
version: 1
providers:
  sim: {kind: simulator, pace: 0}
models:
  nano: sim/gpt-6-luna
"""


class Gathering(TracingProcessor):
    """Gives what has ended to the SDK's exporter when it is asked to, and not by a thread of its own."""

    def __init__(self, exporter: BackendSpanExporter) -> None:
        self._exporter = exporter
        self.items: list[object] = []

    def on_trace_start(self, trace: object) -> None:
        self.items.append(trace)

    def on_trace_end(self, trace: object) -> None: ...

    def on_span_start(self, span: object) -> None: ...

    def on_span_end(self, span: object) -> None:
        self.items.append(span)

    def shutdown(self) -> None: ...

    def force_flush(self) -> None:
        self._exporter.export(self.items)


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(CONFIG)


def test_a_run_is_shown_with_what_its_calls_cost(gateway: Gateway) -> None:
    exporter = BackendSpanExporter(api_key=gateway.key, endpoint=f"{gateway.base_url}/traces/ingest")
    gathering = Gathering(exporter)
    agents.set_trace_processors([gathering])
    agents.set_tracing_disabled(disabled=False)

    @agents.function_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return "sunny-and-private"

    async def run() -> agents.RunResult:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key) as client:
            model = agents.OpenAIResponsesModel(model="nano", openai_client=client)
            agent = agents.Agent(name="Helper", instructions="Help.", model=model, tools=[get_weather])
            setting = agents.RunConfig(trace_id="trace_0123456789abcdef0123456789abcdef", group_id="visit-7")
            return await agents.Runner.run(agent, "What is the weather in Oslo?", run_config=setting)

    try:
        asyncio.run(run())
        gathering.force_flush()
    finally:
        exporter.close()
        agents.set_tracing_disabled(disabled=True)
        agents.set_trace_processors([])

    shown = gateway.command("traces", "show", "trace_0123456789abcdef0123456789abcdef", "--json")
    told = json.loads(shown.stdout)
    kinds = [one["kind"] for one in told["spans"]]
    responses = [one for one in told["spans"] if one["kind"] == "response"]

    assert told["group"] == "visit-7"
    assert {"agent", "function", "response"} <= set(kinds)
    assert told["calls"] == len(responses) == 2
    assert all(one["call"].startswith("call_") for one in responses)
    assert "Oslo" not in shown.stdout
    assert b"sunny-and-private" not in b"".join(
        file.read_bytes() for file in (gateway.folder / ".headworks").glob("traces.sqlite*")
    )
    text = gateway.command("traces", "show", told["trace"]).stdout
    assert "agent Helper" in text
    assert responses[0]["call"] in text
    assert "trace_0123456789abcdef0123456789abcdef" in gateway.command("traces").stdout


def test_traces_need_a_key_and_are_judged(gateway: Gateway) -> None:
    where = f"{gateway.base_url}/traces/ingest"
    with (
        openai.OpenAI(base_url=gateway.base_url, api_key="hw-wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.post("/traces/ingest", body={"data": []}, cast_to=object)
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError, match="object"):
            client.post(where, body={"data": [{"object": "x", "id": "y"}]}, cast_to=object)
        assert client.post(where, body={"data": []}, cast_to=object) is not None
