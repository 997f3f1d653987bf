"""Anthropic's SDK through Headworks: its own tool runner, and a stream. Its base URL has no `/v1`.

pip install anthropic

ANTHROPIC_BASE_URL=http://127.0.0.1:4000 ANTHROPIC_API_KEY=hw-... MODEL=nano python anthropic_loop.py
"""

import os
from typing import Any

from anthropic import Anthropic, beta_tool


def run(base_url: str, api_key: str, model_name: str) -> dict[str, Any]:
    """Run it; returns what came."""
    asked: list[str] = []

    @beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: Its name.
        """
        asked.append(city)
        return f"It is sunny in {city}."

    with Anthropic(base_url=base_url, api_key=api_key, max_retries=0) as client:
        runner = client.beta.messages.tool_runner(
            model=model_name,
            max_tokens=1000,
            tools=[get_weather],
            thread=False,  # threads are kept at Anthropic: other providers have none
            messages=[{"role": "user", "content": "What is the weather in Oslo?"}],
        )
        last = runner.until_done()
        hello: Any = [{"role": "user", "content": "Say hello."}]
        with client.messages.stream(model=model_name, max_tokens=1000, messages=hello) as stream:
            streamed = stream.get_final_text()
    said = "".join(block.text for block in last.content if block.type == "text")
    return {"answer": said, "tools": len(asked), "stop_reason": last.stop_reason, "streamed": streamed}


if __name__ == "__main__":
    where = os.environ["ANTHROPIC_BASE_URL"], os.environ["ANTHROPIC_API_KEY"], os.environ.get("MODEL", "nano")
    print(run(*where))
