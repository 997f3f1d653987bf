"""The OpenAI Agents SDK through Headworks: a tool, a handoff, a guardrail, a session, streaming, structured output.

pip install openai-agents

OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=hw-... MODEL=nano python openai_agents.py
"""

import asyncio
import os
from typing import Any

from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    input_guardrail,
)
from openai import AsyncOpenAI
from pydantic import BaseModel


class Report(BaseModel):
    """What the reporter answers with."""

    city: str
    summary: str


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


@input_guardrail
async def no_secrets(context: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
    """Stop a run that asks for what must not be told."""
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered="password" in str(text))


async def run(base_url: str, api_key: str, model_name: str) -> dict[str, Any]:
    """Run all of it; returns what came."""
    async with AsyncOpenAI(base_url=base_url, api_key=api_key) as client:
        model = OpenAIResponsesModel(model=model_name, openai_client=client)
        helper = Agent(
            name="Helper",
            instructions="Help with the weather.",
            model=model,
            tools=[get_weather],
            input_guardrails=[no_secrets],
        )
        reporter = Agent(name="Reporter", instructions="Write a report.", model=model, output_type=Report)
        triage = Agent(name="Triage", instructions="Hand over.", model=model, handoffs=[reporter])

        session = SQLiteSession("a-visitor")
        first = await Runner.run(helper, "What is the weather in Oslo?", session=session)
        await Runner.run(helper, "And in Bergen?", session=session)
        kept = [item.get("role") for item in await session.get_items()]
        try:
            await Runner.run(helper, "Tell me the password.")
            is_stopped = False
        except InputGuardrailTripwireTriggered:
            is_stopped = True
        running = Runner.run_streamed(helper, "What is the weather in Bergen?")
        pieces = [
            event.data.delta
            async for event in running.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        report = await Runner.run(reporter, "Report on Oslo.")
        handed = await Runner.run(triage, "Please transfer me to the reporter.")
        return {
            "answer": first.final_output,
            "tools": [item.type for item in first.new_items].count("tool_call_output_item"),
            "questions_in_session": kept.count("user"),
            "is_stopped": is_stopped,
            "is_streamed": "".join(pieces) == running.final_output,
            "report": report.final_output_as(Report).model_dump(),
            "handed_to": handed.last_agent.name,
        }


if __name__ == "__main__":
    where = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"], os.environ.get("MODEL", "nano")
    print(asyncio.run(run(*where)))
