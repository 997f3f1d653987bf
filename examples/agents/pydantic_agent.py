"""Pydantic AI through Headworks: a tool, then an answer that is a checked value.

pip install "pydantic-ai-slim[openai]"

OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=hw-... MODEL=nano python pydantic_agent.py
"""

import asyncio
import os
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class Report(BaseModel):
    """What the agent answers with."""

    city: str
    summary: str


async def run(base_url: str, api_key: str, model_name: str) -> dict[str, Any]:
    """Run it on both of OpenAI's APIs; returns what came."""
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return f"It is sunny in {city}."

    async with AsyncOpenAI(base_url=base_url, api_key=api_key) as client:
        provider = OpenAIProvider(openai_client=client)
        responses = OpenAIResponsesModel(model_name, provider=provider)
        chat = OpenAIChatModel(model_name, provider=provider)
        reporter = Agent(responses, output_type=NativeOutput(Report), instructions="Report.")
        helper = Agent(chat, tools=[get_weather], instructions="Help with the weather.")
        report = await reporter.run("Report on Oslo.")
        answer = await helper.run("What is the weather in Oslo?")
        async with helper.run_stream("Say hello.") as streamed:
            said = await streamed.get_output()
        return {"report": report.output.model_dump(), "answer": answer.output, "tools": len(asked), "streamed": said}


if __name__ == "__main__":
    where = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"], os.environ.get("MODEL", "nano")
    print(asyncio.run(run(*where)))
