"""LangChain's OpenAI client through Headworks: a tool loop, streaming, structured output.

pip install langchain-openai

OPENAI_BASE_URL=http://127.0.0.1:4000/v1 OPENAI_API_KEY=hw-... MODEL=nano python langchain_agent.py
"""

import os
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr


class Report(BaseModel):
    """What the model answers with."""

    city: str
    summary: str


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


def run(base_url: str, api_key: str, model_name: str, *, use_responses_api: bool = False) -> dict[str, Any]:
    """Run it; returns what came."""
    model = ChatOpenAI(
        model=model_name,
        base_url=base_url,
        api_key=SecretStr(api_key),
        use_responses_api=use_responses_api,
        max_retries=0,
    )
    messages: list[Any] = [HumanMessage("What is the weather in Oslo?")]
    with_tools = model.bind_tools([get_weather])
    calls = 0
    while True:
        answer = with_tools.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            break
        for call in answer.tool_calls:
            calls += 1
            messages.append(ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]))
    report = model.with_structured_output(Report, method="json_schema").invoke("Report on Oslo.")
    streamed = "".join(piece.text for piece in model.stream("Say hello."))
    return {"answer": answer.text, "tools": calls, "report": report.model_dump(), "streamed": streamed}


if __name__ == "__main__":
    where = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"], os.environ.get("MODEL", "nano")
    print(run(*where))
