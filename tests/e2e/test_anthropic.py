"""The official clients over every pair of the dialects, with Anthropic's on at least one side: a gateway, and a
simulator behind it that speaks as the provider does."""

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
  claude: {{kind: anthropic, base_url: "{simulator}/v1", api_key: env:CLAUDE_KEY}}
  gpt: {{kind: openai-compatible, base_url: "{simulator}/v1", api_key: env:CLAUDE_KEY, speaks: [responses]}}
  cellar: {{kind: openai-compatible, base_url: "{simulator}/v1", api_key: env:CLAUDE_KEY, speaks: [chat]}}
models:
  claude: claude/claude-sonnet-5
  gpt: gpt/gpt-6.1-sol
  cellar: cellar/gpt-6-luna
"""
MODELS = ["claude", "gpt", "cellar"]

WEATHER: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"name": "get_weather", "description": "Looks.", "input_schema": WEATHER}
ASKED: Any = [{"role": "user", "content": "The weather in Oslo?"}]
PIXEL = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="


class Person(BaseModel):
    """What structured output is asked for."""

    name: str
    age: int


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, simulator: Process) -> Iterator[Gateway]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLAUDE_KEY", "sk-ant-simulated")
        running = Gateway(tmp_path_factory.mktemp("anthropic"), CONFIG.format(simulator=simulator.address))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.fixture
def client(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.process.address, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def openai_client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        yield client


def test_its_client_lists_the_models_of_the_gateway(client: anthropic.Anthropic) -> None:
    listed = {model.id: model for model in client.models.list()}

    assert {*MODELS} <= set(listed)
    assert client.models.retrieve("claude") == listed["claude"]
    assert listed["claude"].created_at.year >= 1970
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


def ask(client: anthropic.Anthropic, model: str, **fields: Any) -> anthropic.types.Message:
    return client.messages.create(**({"model": model, "max_tokens": 1000, "messages": ASKED} | fields))


# -- Anthropic's client, over each kind of upstream --------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_message_is_answered_and_recorded(gateway: Gateway, client: anthropic.Anthropic, model: str) -> None:
    raw = client.messages.with_raw_response.create(
        model=model, max_tokens=1000, messages=ASKED, system="Be kind.", metadata={"user_id": "u-1"}
    )
    message = raw.parse()
    record = gateway.record(raw.headers["x-headworks-call-id"])

    assert message.content[-1].type == "text"
    assert message.stop_reason == "end_turn"
    assert message._request_id
    assert (record.endpoint, record.requested_model, record.user) == ("messages", model, "u-1")
    assert (record.outcome, record.finish_reason, record.usage_source) == ("answered", "end_turn", "provider")
    assert record.input_tokens == message.usage.input_tokens > 0
    assert record.output_tokens == message.usage.output_tokens > 0
    assert record.response_id == message.id


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "fields",
    [{}, {"tools": [TOOL], "tool_choice": {"type": "any"}}, {"thinking": {"type": "adaptive"}}],
    ids=["text", "tools", "thinking"],
)
def test_the_accumulated_stream_is_the_whole_message(
    client: anthropic.Anthropic, model: str, fields: dict[str, Any]
) -> None:
    if model == "cellar":
        fields = {name: value for name, value in fields.items() if name != "thinking"}
    with client.messages.stream(model=model, max_tokens=1000, messages=ASKED, **fields) as stream:
        streamed = stream.get_final_message()
    whole = ask(client, model, **fields)

    def said(message: anthropic.types.Message) -> Any:
        kept = ("type", "text", "thinking", "name", "input")
        blocks = [{name: block.get(name) for name in kept} for block in message.to_dict()["content"]]  # type: ignore[attr-defined]
        return blocks, message.stop_reason, message.usage.output_tokens

    assert said(streamed) == said(whole)
    if "thinking" in fields:
        assert streamed.content[0].type == "thinking"
        assert streamed.content[0].signature


@pytest.mark.parametrize("model", MODELS)
def test_tools_and_thoughts_go_round(client: anthropic.Anthropic, model: str) -> None:
    thinking = {} if model == "cellar" else {"thinking": {"type": "adaptive"}}
    turns: Any = [*ASKED]
    first = ask(client, model, messages=turns, tools=[TOOL], tool_choice={"type": "any"}, **thinking)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.name for call in calls] == ["get_weather"]
    assert "city" in calls[0].input

    result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": "snow, again"}
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = ask(client, model, messages=turns, tools=[TOOL], **thinking)
    assert "snow, again" in second.content[-1].text


@pytest.mark.parametrize("model", MODELS)
def test_images_and_schemas_go_up(client: anthropic.Anthropic, model: str) -> None:
    source = {"type": "base64", "media_type": "image/gif", "data": PIXEL}
    content = [{"type": "text", "text": "Make up a person."}, {"type": "image", "source": source}]
    form = {"type": "json_schema", "schema": Person.model_json_schema() | {"additionalProperties": False}}
    message = ask(client, model, messages=[{"role": "user", "content": content}], output_config={"format": form})
    assert Person.model_validate_json(message.content[-1].text)


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted_by_the_provider_or_here(client: anthropic.Anthropic, model: str) -> None:
    raw = client.messages.with_raw_response.count_tokens(model=model, messages=ASKED, system="Be kind.")
    assert raw.parse().input_tokens > 3
    assert raw.headers.get("x-headworks-usage") == (None if model == "claude" else "estimated")


def test_a_stream_is_relayed_byte_for_byte(gateway: Gateway, client: anthropic.Anthropic) -> None:
    with client.messages.with_streaming_response.create(
        model="claude", max_tokens=50, messages=ASKED, stream=True
    ) as raw:
        data = b"".join(raw.iter_bytes())
    kinds = [line.removeprefix(b"event: ") for line in data.split(b"\n") if line.startswith(b"event: ")]
    assert kinds[:2] == [b"message_start", b"ping"]  # a translated stream has no ping
    assert kinds[-1] == b"message_stop"
    assert gateway.record(raw.headers["x-headworks-call-id"]).usage_source == "provider"


@pytest.mark.parametrize("model", MODELS)
def test_errors_are_anthropics(client: anthropic.Anthropic, gateway: Gateway, model: str) -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
    with pytest.raises(anthropic.BadRequestError) as refused:
        ask(client, model, messages=[{"role": "user", "content": [result]}])
    assert refused.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index,call-overload]
    assert refused.value.request_id

    with pytest.raises(anthropic.NotFoundError) as unknown:
        ask(client, "no-such-model")
    assert unknown.value.body["type"] == "error"  # type: ignore[index,call-overload]
    assert unknown.value.request_id
    with (
        anthropic.Anthropic(base_url=gateway.process.address, api_key="hw-wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError) as wrong,
    ):
        ask(stranger, model)
    assert wrong.value.body["error"]["type"] == "authentication_error"  # type: ignore[index,call-overload]


def test_a_bearer_key_is_as_good(gateway: Gateway) -> None:
    address = gateway.process.address
    with anthropic.Anthropic(base_url=address, auth_token=gateway.key, api_key=None, max_retries=0) as client:
        assert ask(client, "claude").content


def test_what_cannot_be_translated_is_refused_by_name_only_where_it_must_be(client: anthropic.Anthropic) -> None:
    assert ask(client, "claude", extra_body={"top_k": 5}).content
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        ask(client, "gpt", extra_body={"top_k": 5})


# -- OpenAI's client, over Anthropic -----------------------------------------------------------------------------------


def test_a_response_comes_from_claude(gateway: Gateway, openai_client: openai.OpenAI) -> None:
    raw = openai_client.responses.with_raw_response.create(model="claude", input="Say hello.", instructions="Be kind.")
    response = raw.parse()
    record = gateway.record(raw.headers["x-headworks-call-id"])

    assert response.output_text
    assert response.status == "completed"
    assert response.usage is not None
    assert (record.provider, record.model, record.served_model) == ("claude", "claude-sonnet-5", "claude-sonnet-5")
    assert (record.input_tokens, record.output_tokens) == (response.usage.input_tokens, response.usage.output_tokens)
    assert record.upstream_request_id == raw.headers["x-request-id"]
    assert record.upstream_request_id.startswith("req_")


def test_its_stream_ends_with_what_the_call_without_one_gives(openai_client: openai.OpenAI) -> None:
    asked: Any = {"model": "claude", "input": "Say hello.", "reasoning": {"effort": "low", "summary": "auto"}}
    with openai_client.responses.stream(**asked) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    whole = openai_client.responses.create(**asked)

    assert final.output_text == whole.output_text == deltas
    assert [item.type for item in final.output] == [item.type for item in whole.output] == ["reasoning", "message"]


def test_reasoning_and_tools_go_round_through_responses(openai_client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
    asked: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    thinking: Any = {"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content"]}
    first = openai_client.responses.create(
        model="claude", input=asked, tools=[tool], tool_choice="required", **thinking
    )
    call = next(item for item in first.output if isinstance(item, ResponseFunctionToolCall))
    assert first.output[0].type == "reasoning"
    assert "city" in json.loads(call.arguments)

    asked += [item.to_dict() for item in first.output]
    asked += [{"type": "function_call_output", "call_id": call.call_id, "output": "snow, again"}]
    # The simulated provider refuses a thought whose signature is not its own.
    second = openai_client.responses.create(model="claude", input=asked, tools=[tool], **thinking)
    assert "snow, again" in second.output_text


def test_structured_output_is_parsed(openai_client: openai.OpenAI) -> None:
    parsed = openai_client.responses.parse(model="claude", input="Make up a person.", text_format=Person)
    assert isinstance(parsed.output_parsed, Person)
    completion = openai_client.chat.completions.parse(
        model="claude", messages=[{"role": "user", "content": "Make up a person."}], response_format=Person
    )
    assert isinstance(completion.choices[0].message.parsed, Person)


def test_chat_streams_text_tools_and_usage(openai_client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER, "strict": True}}
    messages: Any = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Weather in Oslo?"}]
    with openai_client.chat.completions.stream(
        model="claude", messages=messages, tools=[tool], tool_choice="required", stream_options={"include_usage": True}
    ) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or ()
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.usage is not None
    assert final.usage.total_tokens > 0

    messages += [
        final.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"}),
        {"role": "tool", "tool_call_id": call.id, "content": "snow, again"},
    ]
    messages[2]["tool_calls"] = [
        {"id": call.id, "type": "function", "function": {"name": "get_weather", "arguments": call.function.arguments}}
    ]
    second = openai_client.chat.completions.create(model="claude", messages=messages, tools=[tool])
    assert "snow, again" in (second.choices[0].message.content or "")


def test_errors_are_openais(openai_client: openai.OpenAI) -> None:
    output: Any = {"type": "function_call_output", "call_id": "c", "output": "r"}
    with pytest.raises(openai.BadRequestError) as refused:
        openai_client.responses.create(model="claude", input=[output])
    assert refused.value.code == "invalid_request_error"
    assert "tool_use_id" in refused.value.message
    with pytest.raises(openai.BadRequestError) as untranslatable:
        openai_client.chat.completions.create(model="claude", messages=ASKED, seed=5)
    assert untranslatable.value.param == "seed"
