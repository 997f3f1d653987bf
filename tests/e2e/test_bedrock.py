"""AWS Bedrock behind the gateway, by a key that is sent and by one that signs: official clients of the other makers'
APIs call models there, whole and streamed, with tools and with reasoning that goes back."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from e2e_processes import Gateway, Process

CONFIG = """
version: 1
providers:
  sent: {{kind: bedrock, region: eu-west-1, base_url: "{simulator}", api_key: env:BEDROCK_KEY}}
  signed:
    kind: bedrock
    region: eu-west-1
    base_url: "{simulator}"
    access_key_id: env:AN_ID
    secret_access_key: env:A_SECRET
    session_token: env:A_TOKEN
    guardrail: abc123:1
models:
  claude: signed/eu.anthropic.claude-sonnet-5-v1:0
"""
MODELS = ["sent/anthropic.claude-sonnet-5-v1:0", "claude"]
ASKED: Any = [{"role": "user", "content": "The weather in Oslo?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Process) -> Iterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "BEDROCK_KEY": "bedrock-key",
            "AN_ID": "AKIDEXAMPLE",
            "A_SECRET": "secret-0815",
            "A_TOKEN": "session",
        }.items():
            patch.setenv(name, value)
        gateway = Gateway(tmp_path_factory.mktemp("bedrock"), CONFIG.format(simulator=simulator.address))
    yield gateway
    assert gateway.process.stop() == 0, gateway.process.said


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.process.address, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_answer_and_a_stream_say_the_same(gateway: Gateway, client: openai.OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASKED, max_completion_tokens=900)
    answer = raw.parse()
    with client.chat.completions.stream(model=model, messages=ASKED, stream_options={"include_usage": True}) as stream:
        streamed = stream.get_final_completion()
    assert answer.choices[0].message.content
    assert streamed.choices[0].message.content == answer.choices[0].message.content
    assert streamed.usage is not None
    assert answer.usage is not None
    assert streamed.usage.completion_tokens == answer.usage.completion_tokens

    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert (record.outcome, record.output_tokens) == ("answered", answer.usage.completion_tokens)
    assert record.upstream_request_id.startswith("req_")
    assert record.cost_pico > 0


def test_tools_are_called_and_answered(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="claude", messages=ASKED, tools=[TOOL], tool_choice="required")
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    call = message.tool_calls[0]
    assert call.type == "function"
    assert json.loads(call.function.arguments)["city"]

    turns: Any = [*ASKED, message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "snow, again"}]
    with client.chat.completions.stream(model="claude", messages=turns, tools=[TOOL]) as stream:
        said = stream.get_final_completion().choices[0].message.content
    assert said
    assert "snow, again" in said


def test_reasoning_goes_back_as_it_came(client: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    first = client.responses.create(
        model="claude", input="Hello", reasoning={"effort": "low", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    )  # fmt: skip
    assert [item.type for item in first.output] == ["reasoning", "message"]
    items: Any = [{"role": "user", "content": "Hello"}, *(item.to_dict() for item in first.output)]
    assert client.responses.create(model="claude", input=[*items, *ASKED]).output_text  # its signature is checked

    thinking: Any = {"type": "adaptive"}
    with claude.messages.stream(model="claude", max_tokens=900, messages=ASKED, thinking=thinking) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"]
    back: Any = [*ASKED, {"role": "assistant", "content": message.content}, *ASKED]
    assert claude.messages.create(model="claude", max_tokens=900, messages=back).content


@pytest.mark.parametrize("model", MODELS)
def test_anthropics_client_calls_tools_in_streams(claude: anthropic.Anthropic, model: str) -> None:
    tool: Any = {"name": "get_weather", "input_schema": PARAMETERS}
    choice: Any = {"type": "tool", "name": "get_weather"}
    with claude.messages.stream(
        model=model, max_tokens=900, messages=ASKED, tools=[tool], tool_choice=choice, system="Be kind."
    ) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    (block,) = message.content
    assert block.type == "tool_use"
    assert isinstance(block.input, dict)
    assert block.input["city"]


def test_json_by_a_schema(client: openai.OpenAI) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": PARAMETERS}}
    answer = client.chat.completions.create(model="claude", messages=ASKED, response_format=schema)
    assert json.loads(answer.choices[0].message.content or "")["city"]


def test_what_the_provider_refuses_is_told_in_its_own_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="must start with a user message"):
        client.chat.completions.create(model="claude", messages=[{"role": "assistant", "content": "x"}])
    with pytest.raises(openai.BadRequestError, match="seed"):
        client.chat.completions.create(model="claude", messages=ASKED, seed=1)
    with pytest.raises(openai.BadRequestError, match="model identifier is invalid"):
        client.chat.completions.create(model="sent/nobody", messages=ASKED)
