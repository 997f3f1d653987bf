"""Every official client over every kind of upstream: plain, streamed, with tools, with streamed tools, with structured
output.

What is special about a pair is tested beside it (`test_anthropic`, `test_genai`, `test_clouds`, ...): here no pair is
left out.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
from e2e_processes import Gateway, JavaScript, Process
from google import genai

CONFIG = """
version: 1
server: {{workers: 1}}
providers:
  openai: {{kind: openai, base_url: "{simulator}/v1", api_key: env:MATRIX_KEY}}
  chat: {{kind: openai-compatible, base_url: "{simulator}/v1", api_key: env:MATRIX_KEY}}
  anthropic: {{kind: anthropic, base_url: "{simulator}/v1", api_key: env:MATRIX_KEY}}
  gemini: {{kind: gemini, base_url: "{simulator}/v1beta", api_key: env:MATRIX_KEY}}
  bedrock: {{kind: bedrock, region: eu-west-1, base_url: "{simulator}", api_key: env:MATRIX_KEY}}
  azure: {{kind: azure, base_url: "{simulator}", api_key: env:MATRIX_KEY}}
  vertex: {{kind: vertex, base_url: "{simulator}/v1/projects/p/locations/eu", api_key: env:MATRIX_KEY}}
"""
MODELS = [
    "openai/gpt-6-luna",
    "chat/gpt-6-luna",
    "anthropic/claude-sonnet-5",
    "gemini/gemini-3.5-flash",
    "azure/gpt-6-luna",
    "bedrock/claude-sonnet-5",
    "vertex/gemini-3.5-flash",
]
ASKED = "What is the weather in Oslo?"
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Responses:
    """OpenAI's client, Responses API."""

    def __init__(self, gateway: Gateway) -> None:
        self._client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)
        self._tool: Any = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}

    def say(self, model: str) -> str:
        return self._client.responses.create(model=model, input=ASKED, store=False).output_text

    def stream(self, model: str) -> str:
        with self._client.responses.stream(model=model, input=ASKED, store=False) as stream:
            pieces = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            assert pieces == stream.get_final_response().output_text
        return pieces

    def call(self, model: str) -> list[tuple[str, Any]]:
        asked = self._client.responses.create(
            model=model, input=ASKED, tools=[self._tool], tool_choice="required", store=False
        )
        return [(one.name, json.loads(one.arguments)) for one in asked.output if one.type == "function_call"]

    def stream_call(self, model: str) -> list[tuple[str, Any]]:
        with self._client.responses.stream(
            model=model, input=ASKED, tools=[self._tool], tool_choice="required", store=False
        ) as stream:
            output = stream.get_final_response().output
        return [(one.name, json.loads(one.arguments)) for one in output if one.type == "function_call"]

    def structured(self, model: str) -> Any:
        form: Any = {"format": {"type": "json_schema", "name": "city", "schema": CITY, "strict": True}}
        return json.loads(self._client.responses.create(model=model, input=ASKED, text=form, store=False).output_text)


class Chat:
    """OpenAI's client, Chat Completions."""

    def __init__(self, gateway: Gateway) -> None:
        self._client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)
        self._turns: Any = [{"role": "user", "content": ASKED}]
        self._tool: Any = {
            "type": "function",
            "function": {"name": "get_weather", "parameters": CITY, "strict": True},
        }

    def _ask(self, model: str, **fields: Any) -> Any:
        return self._client.chat.completions.create(model=model, messages=self._turns, **fields).choices[0].message

    def say(self, model: str) -> str:
        return self._ask(model).content

    def stream(self, model: str) -> str:
        with self._client.chat.completions.stream(model=model, messages=self._turns) as stream:
            pieces = "".join(event.delta for event in stream if event.type == "content.delta")
            assert pieces == stream.get_final_completion().choices[0].message.content
        return pieces

    def call(self, model: str) -> list[tuple[str, Any]]:
        calls = self._ask(model, tools=[self._tool], tool_choice="required").tool_calls
        return [(one.function.name, json.loads(one.function.arguments)) for one in calls]

    def stream_call(self, model: str) -> list[tuple[str, Any]]:
        with self._client.chat.completions.stream(
            model=model, messages=self._turns, tools=[self._tool], tool_choice="required"
        ) as stream:
            calls = stream.get_final_completion().choices[0].message.tool_calls or []
        return [(one.function.name, json.loads(one.function.arguments)) for one in calls]

    def structured(self, model: str) -> Any:
        form = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
        return json.loads(self._ask(model, response_format=form).content)


class Messages:
    """Anthropic's client."""

    def __init__(self, gateway: Gateway) -> None:
        self._client = anthropic.Anthropic(base_url=gateway.process.address, api_key=gateway.key, max_retries=0)
        tool = {"name": "get_weather", "description": "Looks.", "input_schema": CITY}
        self._tools: Any = {"tools": [tool], "tool_choice": {"type": "any"}}
        self._fields: Any = {"max_tokens": 1000, "messages": [{"role": "user", "content": ASKED}]}

    def say(self, model: str) -> str:
        return self._text(self._client.messages.create(model=model, **self._fields))

    def stream(self, model: str) -> str:
        with self._client.messages.stream(model=model, **self._fields) as stream:
            pieces = "".join(stream.text_stream)
            assert pieces == self._text(stream.get_final_message())
        return pieces

    def call(self, model: str) -> list[tuple[str, Any]]:
        return self._calls(self._client.messages.create(model=model, **self._tools, **self._fields))

    def stream_call(self, model: str) -> list[tuple[str, Any]]:
        with self._client.messages.stream(model=model, **self._tools, **self._fields) as stream:
            return self._calls(stream.get_final_message())

    def structured(self, model: str) -> Any:
        form: Any = {"format": {"type": "json_schema", "schema": CITY}}
        return json.loads(self._text(self._client.messages.create(model=model, output_config=form, **self._fields)))

    @staticmethod
    def _calls(message: anthropic.types.Message) -> list[tuple[str, Any]]:
        return [(block.name, block.input) for block in message.content if block.type == "tool_use"]

    @staticmethod
    def _text(message: anthropic.types.Message) -> str:
        return "".join(block.text for block in message.content if block.type == "text")


class Generate:
    """Google's client."""

    def __init__(self, gateway: Gateway) -> None:
        options = genai.types.HttpOptions(base_url=gateway.process.address)
        self._client = genai.Client(api_key=gateway.key, http_options=options)
        declared = genai.types.FunctionDeclaration(
            name="get_weather", description="Looks.", parameters_json_schema=CITY
        )
        self._tools: Any = {
            "tools": [genai.types.Tool(function_declarations=[declared])],
            "tool_config": {"function_calling_config": {"mode": "ANY"}},
        }

    def _ask(self, model: str, **config: Any) -> Any:
        return self._client.models.generate_content(model=model, contents=ASKED, config=config or None)

    def say(self, model: str) -> str:
        return self._ask(model).text

    def stream(self, model: str) -> str:
        chunks = list(self._client.models.generate_content_stream(model=model, contents=ASKED))
        assert chunks[-1].usage_metadata is not None
        return "".join(chunk.text or "" for chunk in chunks)

    def call(self, model: str) -> list[tuple[str, Any]]:
        return [(one.name, one.args) for one in self._ask(model, **self._tools).function_calls or []]

    def stream_call(self, model: str) -> list[tuple[str, Any]]:
        chunks = self._client.models.generate_content_stream(model=model, contents=ASKED, config=self._tools)
        return [(one.name, one.args) for chunk in chunks for one in chunk.function_calls or []]

    def structured(self, model: str) -> Any:
        asked = self._ask(model, response_mime_type="application/json", response_json_schema=CITY)
        return json.loads(asked.text)


CLIENTS: list[Callable[[Gateway], Any]] = [Responses, Chat, Messages, Generate]


@pytest.fixture(scope="module")
def gateway(simulator: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATRIX_KEY", "sk-simulated")
        folder = tmp_path_factory.mktemp("matrix")
        running = Gateway(folder, CONFIG.format(simulator=simulator.address))
    yield running
    assert running.process.stop() == 0, running.process.said


def test_the_javascript_client_puts_the_streams_of_every_upstream_together(
    gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    seen = JavaScript(tmp_path_factory.mktemp("js")).run("matrix.mjs", gateway, ",".join(MODELS))

    assert list(seen) == MODELS
    for one in seen.values():
        assert "weather in Oslo" in one["completion"]
        assert one["chatStream"] == one["completion"]
        assert one["pieces"] == one["responsesStream"] == one["response"]
        assert one["called"] == one["calls"]
        assert [(name, set(arguments)) for name, arguments in one["calls"]] == [("get_weather", {"city"})]


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.__name__.lower())
def client(request: pytest.FixtureRequest, gateway: Gateway) -> Any:
    return request.param(gateway)


@pytest.mark.parametrize("model", MODELS)
def test_every_client_gets_what_it_asks_for_from_every_upstream(client: Any, model: str) -> None:
    whole = client.say(model)
    calls = client.call(model)

    assert "weather in Oslo" in whole
    assert client.stream(model) == whole
    assert [name for name, _ in calls] == ["get_weather"]
    assert all(set(arguments) == {"city"} for _, arguments in calls)
    assert client.stream_call(model) == calls
    assert set(client.structured(model)) == {"city"}


@pytest.mark.parametrize("model", MODELS)
def test_legacy_completions_come_from_every_upstream(gateway: Gateway, model: str) -> None:
    client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)
    whole = client.completions.create(model=model, prompt=ASKED, max_tokens=1000)
    pieces = list(
        client.completions.create(
            model=model, prompt=ASKED, max_tokens=1000, stream=True, stream_options={"include_usage": True}
        )
    )

    assert (whole.object, whole.choices[0].finish_reason) == ("text_completion", "stop")
    assert "weather in Oslo" in whole.choices[0].text
    assert "".join(choice.text for piece in pieces for choice in piece.choices) == whole.choices[0].text
    assert whole.usage is not None
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.prompt_tokens == whole.usage.prompt_tokens > 0
    cut = client.completions.create(model=model, prompt=ASKED, max_tokens=1)
    assert cut.choices[0].finish_reason == "length"


def test_embeddings_come_from_openai_and_from_google(gateway: Gateway) -> None:
    client = openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)
    found = [
        client.embeddings.create(model=model, input=["snow", "rain"], **more)
        for model in ("openai/text-embedding-3-small", "gemini/text-embedding-3-small")
        for more in ({}, {"dimensions": 64, "encoding_format": "float"})
    ]

    for ours, googles in zip(found[:2], found[2:], strict=True):
        assert [one.index for one in googles.data] == [0, 1]
        for one, other in zip(ours.data, googles.data, strict=True):
            assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert googles.usage.prompt_tokens == ours.usage.prompt_tokens > 0
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="gemini/text-embedding-3-small", input=[[1, 2]])
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "input[0]")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="gemini/nothing", input="x")
    with pytest.raises(openai.BadRequestError, match="does not serve embeddings"):
        client.embeddings.create(model="anthropic/claude-sonnet-5", input="x")
