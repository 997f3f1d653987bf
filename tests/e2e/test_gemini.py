"""OpenAI's client and Anthropic's over Gemini: a gateway, and a simulator behind it that speaks as Google does."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from e2e_processes import Gateway, Process
from openai.types.responses import ResponseFunctionToolCall
from pydantic import BaseModel

CONFIG = """
version: 1
providers:
  google: {{kind: gemini, base_url: "{simulator}/v1beta", api_key: env:GEMINI_KEY}}
models:
  gemini: google/gemini-3.5-flash
"""

WEATHER: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER, "strict": True}}
ASKED: Any = [{"role": "user", "content": "What is the weather in Oslo?"}]
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="


class Person(BaseModel):
    """What structured output is asked for."""

    name: str
    age: int


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Process) -> Iterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEMINI_KEY", "AIza-simulated")
        running = Gateway(tmp_path_factory.mktemp("gemini"), CONFIG.format(simulator=simulator.address))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.fixture
def client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        yield client


def test_a_response_comes_from_gemini_and_is_recorded(gateway: Gateway, client: openai.OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model="gemini", input="Say hello.", instructions="Be kind.")
    response = raw.parse()
    record = gateway.record(raw.headers["x-headworks-call-id"])

    assert response.output_text
    assert response.status == "completed"
    assert response.usage is not None
    assert (record.provider, record.model, record.served_model) == ("google", "gemini-3.5-flash", "gemini-3.5-flash")
    assert (record.input_tokens, record.output_tokens) == (response.usage.input_tokens, response.usage.output_tokens)
    assert record.usage_source == "provider"
    assert response.usage.output_tokens > response.usage.output_tokens_details.reasoning_tokens > 0


def test_a_streamed_response_is_the_whole_one(gateway: Gateway, client: openai.OpenAI) -> None:
    asked: Any = {"model": "gemini", "input": "Say hello.", "reasoning": {"effort": "low", "summary": "auto"}}
    with client.responses.stream(**asked) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    whole = client.responses.create(**asked)

    assert final.output_text == whole.output_text == deltas
    assert [item.type for item in final.output] == [item.type for item in whole.output]
    assert final.usage == whole.usage


@pytest.mark.parametrize("is_streamed", [False, True])
def test_signed_calls_go_round_through_responses(client: openai.OpenAI, is_streamed: bool) -> None:
    asked: list[Any] = [*ASKED]
    fields: Any = {"model": "gemini", "tools": [TOOL], "include": ["reasoning.encrypted_content"]}
    if is_streamed:
        with client.responses.stream(input=asked, tool_choice="required", **fields) as stream:
            first = stream.get_final_response()
        output: list[Any] = [item.to_dict() for item in first.output]
        for item in output:
            item.pop("parsed_arguments", None)
    else:
        answered = client.responses.create(input=asked, tool_choice="required", **fields)
        output = [item.to_dict() for item in answered.output]
    call = next(item for item in output if item["type"] == "function_call")
    assert "city" in json.loads(call["arguments"])
    assert output[0]["encrypted_content"]

    asked += [*output, {"type": "function_call_output", "call_id": call["call_id"], "output": "snow, again"}]
    # The simulated provider refuses a call whose signature is missing, or not its own.
    assert "snow, again" in client.responses.create(input=asked, **fields).output_text


def test_calls_beside_each_other_are_answered_together(client: openai.OpenAI) -> None:
    tools = [TOOL, TOOL | {"name": "get_tide"}]
    asked: list[Any] = [{"role": "user", "content": "Weather and tide?"}]
    first = client.responses.create(model="gemini", input=asked, tools=tools)
    calls = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
    assert {call.name for call in calls} == {"get_weather", "get_tide"}

    asked += [item.to_dict() for item in first.output]
    asked += [
        {"type": "function_call_output", "call_id": call.call_id, "output": f"{call.name} is fine"}
        for call in reversed(calls)
    ]
    assert "is fine" in client.responses.create(model="gemini", input=asked, tools=tools).output_text


@pytest.mark.parametrize("is_streamed", [False, True])
def test_calls_go_round_through_chat(client: openai.OpenAI, is_streamed: bool) -> None:
    messages: Any = [{"role": "system", "content": "Be kind."}, *ASKED]
    asked: Any = {"model": "gemini", "messages": messages, "tools": [CHAT_TOOL], "tool_choice": "required"}
    if is_streamed:
        with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
            first: Any = stream.get_final_completion()
    else:
        first = client.chat.completions.create(**asked)
    (call,) = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert first.usage.total_tokens > 0

    function = {"name": call.function.name, "arguments": call.function.arguments}
    messages += [
        {"role": "assistant", "tool_calls": [{"id": call.id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call.id, "content": "snow, again"},
    ]
    second = client.chat.completions.create(model="gemini", messages=messages, tools=[CHAT_TOOL])
    assert "snow, again" in (second.choices[0].message.content or "")


def test_a_streamed_completion_is_the_whole_one(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="gemini", messages=ASKED, stream=True))
    whole = client.chat.completions.create(model="gemini", messages=ASKED)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model="gemini", input="Make up a person.", text_format=Person)
    assert isinstance(parsed.output_parsed, Person)
    completion = client.chat.completions.parse(
        model="gemini", messages=[{"role": "user", "content": "Make up a person."}], response_format=Person
    )
    assert isinstance(completion.choices[0].message.parsed, Person)


def test_images_and_limits_go_up(client: openai.OpenAI) -> None:
    content: Any = [{"type": "input_text", "text": "See."}, {"type": "input_image", "image_url": PIXEL}]
    response = client.responses.create(
        model="gemini", input=[{"role": "user", "content": content}], max_output_tokens=20, reasoning={"effort": "low"}
    )
    assert response.usage is not None
    assert response.usage.output_tokens <= 20


def test_anthropics_client_gets_the_same_model(gateway: Gateway) -> None:
    tool: Any = {"name": "get_weather", "input_schema": WEATHER}
    turns: Any = [*ASKED]
    with anthropic.Anthropic(base_url=gateway.process.address, api_key=gateway.key, max_retries=0) as client:
        with client.messages.stream(model="gemini", max_tokens=900, messages=turns, tools=[tool]) as stream:
            first = stream.get_final_message()
        call = next(block for block in first.content if block.type == "tool_use")
        assert first.content[0].type == "thinking"

        result = {"type": "tool_result", "tool_use_id": call.id, "content": "snow, again"}
        turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        second = client.messages.create(model="gemini", max_tokens=900, messages=turns, tools=[tool])
    assert "snow, again" in "".join(block.text for block in second.content if block.type == "text")


def test_errors_are_openais(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="gemini", input="Hello.", temperature=3)
    assert refused.value.code == "invalid_request_error"
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="google/no-such-model", input="Hello.")
    with pytest.raises(openai.BadRequestError) as untranslatable:
        client.chat.completions.create(model="gemini", messages=ASKED, verbosity="low")
    assert untranslatable.value.param == "verbosity"
