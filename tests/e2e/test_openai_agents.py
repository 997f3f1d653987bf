"""The OpenAI Agents SDK, unchanged: tools, a handoff, streaming; on its Responses and on its Chat model, each with an
upstream that speaks the same, with one that speaks only the other, and with one that speaks Anthropic's Messages."""

import asyncio
from collections.abc import Iterator

import agents
import openai
import pytest
from e2e_processes import Gateway

CONFIG = """
version: 1
providers:
  sim: {kind: simulator, pace: 0}
  only-chat: {kind: simulator, pace: 0, speaks: [chat]}
  only-responses: {kind: simulator, pace: 0, speaks: [responses]}
  only-messages: {kind: simulator, pace: 0, speaks: [messages]}
models:
  nano: sim/gpt-6-luna
  chat-nano: only-chat/gpt-6-luna
  responses-nano: only-responses/gpt-6-luna
  claude: only-messages/claude-sonnet-5
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    agents.set_tracing_disabled(disabled=True)
    running = Gateway(tmp_path_factory.mktemp("agents"), CONFIG)
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.fixture(
    params=[
        "responses nano",
        "chat nano",
        "responses chat-nano",
        "chat responses-nano",
        "responses claude",
        "chat claude",
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def model_of(kind: str, client: openai.AsyncOpenAI) -> agents.Model:
    dialect, model = kind.split()
    if dialect == "responses":
        return agents.OpenAIResponsesModel(model=model, openai_client=client)
    return agents.OpenAIChatCompletionsModel(model=model, openai_client=client)


def client_of(gateway: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)


def test_an_agent_calls_a_tool_and_answers(gateway: Gateway, kind: str) -> None:
    asked: list[str] = []

    @agents.function_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "sunny"

    async def run() -> agents.RunResult:
        async with client_of(gateway) as client:
            agent = agents.Agent(name="Helper", instructions="Help.", model=model_of(kind, client), tools=[get_weather])
            return await agents.Runner.run(agent, "What is the weather in Oslo?")

    result = asyncio.run(run())
    assert len(asked) == 1
    assert result.final_output


def test_an_agent_hands_over_to_another(gateway: Gateway, kind: str) -> None:
    async def run() -> agents.RunResult:
        async with client_of(gateway) as client:
            model = model_of(kind, client)
            billing = agents.Agent(name="Billing", instructions="Answer about bills.", model=model)
            triage = agents.Agent(name="Triage", instructions="Hand over.", model=model, handoffs=[billing])
            return await agents.Runner.run(triage, "Please transfer me to billing.")

    assert asyncio.run(run()).last_agent.name == "Billing"


def test_an_agent_streams(gateway: Gateway, kind: str) -> None:
    async def run() -> tuple[str, str]:
        async with client_of(gateway) as client:
            agent = agents.Agent(name="Helper", instructions="Help.", model=model_of(kind, client))
            result = agents.Runner.run_streamed(agent, "Say hello.")
            text = ""
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    text += event.data.delta
            return text, str(result.final_output)

    streamed, final = asyncio.run(run())
    assert streamed == final
    assert "hello" in streamed
