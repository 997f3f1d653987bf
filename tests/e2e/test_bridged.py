"""The official client against an upstream that speaks only the other of the two dialects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall
from pydantic import BaseModel

import headworks
from headworks.library import InProcessGateway
from headworks.records import Record, Selection, open_store

CONFIG = """
version: 1
providers:
  both: {kind: simulator, pace: 0}
  only-chat: {kind: simulator, pace: 0, speaks: [chat]}
  only-responses: {kind: simulator, pace: 0, speaks: [responses]}
models:
  both: both/gpt-6-luna
  chat: only-chat/gpt-6-luna
  responses: only-responses/gpt-6-luna
  thinking: only-responses/gpt-6.1-sol
"""

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
RESPONSES_TOOL: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER, "strict": True}}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="


class Person(BaseModel):
    """What structured output is asked for."""

    name: str
    age: int


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / ".headworks"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[InProcessGateway]:
    (tmp_path / "headworks.yaml").write_text(CONFIG)
    with headworks.connect(tmp_path / "headworks.yaml") as running:
        yield running


@pytest.fixture
def client(gateway: InProcessGateway) -> Iterator[openai.OpenAI]:
    with gateway.openai(max_retries=0) as client:
        yield client


def last_record(gateway: InProcessGateway, storage: Path) -> Record:
    gateway.close()  # what is in the journal is drained
    store = open_store(storage)
    try:
        return store.select(Selection())[0]
    finally:
        store.close()


def shape(value: object) -> object:
    """The names and kinds of what is there, without the values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


# -- Responses, to an upstream that speaks Chat ------------------------------------------------------------------------


def test_a_response_is_what_the_provider_itself_would_have_answered(client: openai.OpenAI) -> None:
    ours, theirs = (
        client.responses.create(model=model, input="Say hello.", instructions="Be kind.") for model in ("chat", "both")
    )

    assert ours.output_text
    assert ours.status == "completed"
    assert ours.usage is not None
    assert ours.usage.total_tokens == ours.usage.input_tokens + ours.usage.output_tokens > 0
    assert set(ours.to_dict()) >= set(theirs.to_dict()) - {"billing", "prompt_cache_retention", "tool_usage"}
    assert ours.instructions == "Be kind."
    assert ours.id.startswith("resp_")


@pytest.mark.parametrize("asked", [{}, {"tools": [RESPONSES_TOOL], "tool_choice": "required"}])
def test_its_events_are_those_of_the_provider_in_the_same_order_with_the_same_fields(
    client: openai.OpenAI, asked: dict[str, Any]
) -> None:
    def events(model: str) -> list[tuple[str, object]]:
        told = []
        with client.responses.create(model=model, input="The weather in Oslo?", stream=True, **asked) as stream:
            for number, event in enumerate(stream):
                assert event.sequence_number == number
                plain = json.loads(event.to_json())
                plain.pop("response", None)  # the objects are compared in the test above
                plain.pop("obfuscation", None)
                if not told or told[-1][0] != event.type:
                    told.append((event.type, shape(plain)))
        return told

    assert events("chat") == events("both")


def test_its_stream_ends_with_what_the_call_without_a_stream_gives(client: openai.OpenAI) -> None:
    with client.responses.stream(model="chat", input="Say hello.") as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    whole = client.responses.create(model="chat", input="Say hello.")

    assert final.output_text == deltas
    assert _comparable(final) == _comparable(whole)


def _comparable(response: Response) -> dict[str, Any]:
    plain = response.to_dict()
    for name in ("id", "created_at", "completed_at"):
        plain.pop(name, None)
    for item in plain["output"]:  # type: ignore[attr-defined]
        item.pop("id", None)
        for part in item.get("content", []):
            part.pop("parsed", None)
            part.pop("logprobs", None)
    return plain


def test_tools_are_called_and_their_results_go_back(client: openai.OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = client.responses.create(model="chat", input=asked, tools=[RESPONSES_TOOL], tool_choice="required")
    calls = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
    assert [call.name for call in calls] == ["get_weather"]
    assert "city" in json.loads(calls[0].arguments)

    asked += [item.to_dict() for item in first.output]
    asked += [{"type": "function_call_output", "call_id": calls[0].call_id, "output": "snow, again"}]
    second = client.responses.create(model="chat", input=asked, tools=[RESPONSES_TOOL])
    assert "snow, again" in second.output_text

    with client.responses.stream(
        model="chat", input="Weather in Oslo", tools=[RESPONSES_TOOL], tool_choice="required"
    ) as s:
        pieces = "".join(event.delta for event in s if event.type == "response.function_call_arguments.delta")
        final = s.get_final_response()
    assert [item.type for item in final.output] == ["function_call"]
    assert final.output[0].arguments == pieces  # type: ignore[union-attr]


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model="chat", input="Make up a person.", text_format=Person)
    assert isinstance(parsed.output_parsed, Person)
    with client.responses.stream(model="chat", input="Make up a person.", text_format=Person) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Person)


def test_images_go_up(client: openai.OpenAI) -> None:
    for url in (PIXEL, "https://example.com/a.png"):
        content: Any = [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": url}]
        answer = client.responses.create(model="chat", input=[{"role": "user", "content": content}])
        assert answer.status == "completed"
        assert answer.usage is not None
        assert answer.usage.input_tokens > 20


def test_an_answer_that_was_cut_short_is_incomplete(client: openai.OpenAI) -> None:
    cut = client.responses.create(model="chat", input="Say hello at length.", max_output_tokens=16)
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    with client.responses.create(
        model="chat", input="Say hello at length.", max_output_tokens=16, stream=True
    ) as stream:
        assert [event.type for event in stream][-1] == "response.incomplete"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].web_search"),
        ({"truncation": "auto"}, "truncation"),
        ({"store": True}, "store"),
        ({"include": ["reasoning.encrypted_content"]}, "include"),
        ({"prompt": {"id": "p"}}, "prompt"),
    ],
)
def test_what_chat_has_no_word_for_is_refused_by_name(client: openai.OpenAI, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="chat", input="x", **asked)
    assert refused.value.param == param
    assert f"'{param}'" in str(refused.value)


def test_a_bridged_response_is_stored_nowhere(client: openai.OpenAI) -> None:
    made = client.responses.create(model="chat", input="Say hello.")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_it_is_recorded_as_what_was_asked(gateway: InProcessGateway, client: openai.OpenAI, storage: Path) -> None:
    with client.responses.create(model="chat", input="Say hello.", stream=True) as stream:
        final = list(stream)[-1]
    record = last_record(gateway, storage)

    assert (record.endpoint, record.requested_model, record.provider) == ("responses", "chat", "only-chat")
    assert (record.outcome, record.finish_reason, record.usage_source) == ("answered", "completed", "provider")
    assert final.type == "response.completed"
    assert final.response.usage is not None
    assert record.output_tokens == final.response.usage.output_tokens
    assert record.response_id == final.response.id
    assert 0 < record.first_token_us <= record.total_us


# -- Chat, to an upstream that speaks Responses ------------------------------------------------------------------------

HELLO: Any = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Say hello."}]


def test_a_completion_is_what_the_provider_itself_would_have_answered(client: openai.OpenAI) -> None:
    ours, theirs = (client.chat.completions.create(model=model, messages=HELLO) for model in ("responses", "both"))

    assert ours.choices[0].message.content
    assert ours.choices[0].finish_reason == "stop"
    assert ours.usage is not None
    assert ours.usage.total_tokens == ours.usage.prompt_tokens + ours.usage.completion_tokens > 0
    assert set(ours.to_dict()) >= set(theirs.to_dict()) - {"system_fingerprint"}
    assert ours.id.startswith("chatcmpl-")


def test_its_stream_has_usage_only_when_asked_for(client: openai.OpenAI) -> None:
    without = list(client.chat.completions.create(model="responses", messages=HELLO, stream=True))
    with_usage = list(
        client.chat.completions.create(
            model="responses", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )

    assert all(chunk.usage is None for chunk in without)
    assert without[-1].choices[0].finish_reason == "stop"
    assert with_usage[-1].choices == []
    assert with_usage[-1].usage is not None
    assert len({chunk.id for chunk in without}) == 1


def test_its_stream_accumulates_to_the_whole(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="responses", messages=HELLO) as stream:
        final = stream.get_final_completion()
    whole = client.chat.completions.create(model="responses", messages=HELLO)

    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.choices[0].finish_reason == whole.choices[0].finish_reason


def test_chat_tools_are_called_and_their_results_go_back(client: openai.OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    first = client.chat.completions.create(
        model="responses", messages=asked, tools=[CHAT_TOOL], tool_choice="required"
    ).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls is not None
    asked += [first.message.to_dict()]
    asked += [{"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "snow, again"}]
    second = client.chat.completions.create(model="responses", messages=asked, tools=[CHAT_TOOL])
    assert "snow, again" in (second.choices[0].message.content or "")

    with client.chat.completions.stream(
        model="responses", messages=asked[:1], tools=[CHAT_TOOL], tool_choice="required"
    ) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert final.message.tool_calls is not None
    assert final.message.tool_calls[0].function.name == "get_weather"
    assert "city" in json.loads(final.message.tool_calls[0].function.arguments)


def test_chat_structured_output_is_parsed(client: openai.OpenAI) -> None:
    parsed = client.chat.completions.parse(model="responses", messages=HELLO, response_format=Person)
    assert isinstance(parsed.choices[0].message.parsed, Person)


def test_chat_images_go_up(client: openai.OpenAI) -> None:
    content: Any = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    answer = client.chat.completions.create(model="responses", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].finish_reason == "stop"


def test_a_chat_answer_that_was_cut_short_says_length(client: openai.OpenAI) -> None:
    cut = client.chat.completions.create(model="responses", messages=HELLO, max_completion_tokens=16)
    assert cut.choices[0].finish_reason == "length"


def test_reasoning_tokens_are_counted_through_the_bridge(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="thinking", messages=HELLO, reasoning_effort="high")
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert (answer.usage.completion_tokens_details.reasoning_tokens or 0) > 0


@pytest.mark.parametrize(
    ("asked", "param"),
    [({"n": 2}, "n"), ({"stop": ["x"]}, "stop"), ({"seed": 3}, "seed"), ({"logit_bias": {"5": 1}}, "logit_bias")],
)
def test_what_responses_has_no_word_for_is_refused_by_name(
    client: openai.OpenAI, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="responses", messages=HELLO, **asked)
    assert refused.value.param == param


def test_chat_is_recorded_as_what_was_asked(gateway: InProcessGateway, client: openai.OpenAI, storage: Path) -> None:
    completion = client.chat.completions.create(model="responses", messages=HELLO)
    record = last_record(gateway, storage)

    assert (record.endpoint, record.provider, record.finish_reason) == ("chat.completions", "only-responses", "stop")
    assert completion.usage is not None
    assert record.input_tokens == completion.usage.prompt_tokens
    assert record.response_id == completion.id
