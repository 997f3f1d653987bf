import json

import pydantic
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from headworks.simulator.plan import Rule, Say

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def user(text="Hello there"):
    return [{"role": "user", "content": text}]


def chunks(desk, text="Hello there", **fields):
    body = {"model": "gpt-6-luna", "messages": user(text), "stream": True, **fields}
    events = desk.events("/v1/chat/completions", body)
    for event in events:
        ChatCompletionChunk.model_validate(event, strict=True)
    return events


def joined(events, choice=0):
    deltas = [c["delta"] for event in events for c in event["choices"] if c["index"] == choice]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_a_completion_is_complete_in_the_types_of_the_sdk(desk):
    value = desk.chat()
    completion = ChatCompletion.model_validate(value, strict=True)
    assert completion.choices[0].message.content.startswith('You said: "Hello there".')
    assert value["choices"][0]["logprobs"] is None
    assert value["choices"][0]["finish_reason"] == "stop"
    assert value["usage"]["total_tokens"] == value["usage"]["prompt_tokens"] + value["usage"]["completion_tokens"]
    assert value["model"] == "gpt-6-luna-2026-08-20"


def test_a_stream_opens_with_the_role_and_ends_with_the_reason_and_done(desk):
    script = desk.ask("POST", "/v1/chat/completions", {"model": "gpt-6-luna", "messages": user(), "stream": True})
    lines = [beat.data for beat in script.beats]
    first, last = (json.loads(line.removeprefix(b"data: ")) for line in (lines[0], lines[-2]))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert lines[-1] == b"data: [DONE]\n\n"
    assert all("usage" not in json.loads(line.removeprefix(b"data: ")) for line in lines[:-1])


def test_usage_comes_in_a_chunk_of_its_own_only_where_it_is_asked_for(desk):
    events = chunks(desk, stream_options={"include_usage": True})
    assert all(event["usage"] is None for event in events[:-1])
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == desk.chat()["usage"]


def test_streamed_and_plain_answers_are_the_same_and_like_the_responses_api(desk):
    plain = desk.chat("Tell me about Lyon")["choices"][0]["message"]["content"]
    assert joined(chunks(desk, "Tell me about Lyon")) == plain
    assert desk.respond("Tell me about Lyon")["output"][0]["content"][0]["text"] == plain


def test_several_choices_differ_and_are_billed_together(desk):
    value = desk.chat(n=3)
    texts = [choice["message"]["content"] for choice in value["choices"]]
    assert [choice["index"] for choice in value["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    events = chunks(desk, n=3)
    assert [joined(events, choice) for choice in range(3)] == texts
    assert value["usage"]["completion_tokens"] > desk.chat()["usage"]["completion_tokens"]


def test_a_stop_sequence_ends_the_text_before_it(desk):
    message = desk.chat("one two three", stop=["two"])["choices"][0]
    assert message["message"]["content"] == 'You said: "one '
    assert message["finish_reason"] == "stop"


@pytest.mark.parametrize("field", ["max_completion_tokens", "max_tokens"])
def test_the_output_limit_ends_the_text(desk, field):
    value = desk.chat("word " * 40, **{field: 5})
    assert value["choices"][0]["finish_reason"] == "length"
    assert value["usage"]["completion_tokens"] == 5
    assert chunks(desk, "word " * 40, **{field: 5})[-1]["choices"][0]["finish_reason"] == "length"


def test_a_reasoning_model_wants_max_completion_tokens(desk):
    error = desk.chat(model="gpt-6.1-sol", max_tokens=5, status=400)["error"]
    assert (error["code"], error["param"]) == ("unsupported_parameter", "max_tokens")
    usage = desk.chat(model="gpt-6.1-sol", reasoning_effort="low")["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] > 0


def test_a_tool_call_and_its_answer(desk):
    value = desk.chat("Weather in Paris?", tools=[WEATHER])
    message = value["choices"][0]["message"]
    assert (message["content"], value["choices"][0]["finish_reason"]) == (None, "tool_calls")
    call = message["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    messages = [*user("Weather in Paris?"), message, {"role": "tool", "tool_call_id": call["id"], "content": "18 C"}]
    body = {"model": "gpt-6-luna", "messages": messages, "tools": [WEATHER]}
    second = desk.json("POST", "/v1/chat/completions", body)
    assert second["choices"][0]["message"]["content"].startswith('The tool said: "18 C".')


def test_the_sdk_accumulates_streamed_tool_calls(desk):
    client = desk.client()
    with client.chat.completions.stream(
        model="gpt-6-luna", messages=user("Weather in Paris?"), tools=[WEATHER]
    ) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls[0].function.name == "get_weather"
    assert message.tool_calls[0].function.parsed_arguments == {"city": "Paris"}


def test_the_sdk_parses_structured_output(desk):
    class City(pydantic.BaseModel):
        name: str
        is_capital: bool

    completion = desk.client().chat.completions.parse(
        model="gpt-6-luna", messages=user("Tell me about Lyon"), response_format=City
    )
    assert isinstance(completion.choices[0].message.parsed, City)


def test_a_refusal_stands_in_its_own_field(desk_with):
    desk = desk_with(rules=(Rule(say=Say(refusal="No.")),))
    message = desk.chat()["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "No.")
    deltas = [event["choices"][0]["delta"] for event in chunks(desk)]
    assert "".join(delta.get("refusal") or "" for delta in deltas) == "No."
    assert deltas[0] == {"role": "assistant", "content": None, "refusal": None}


def test_service_tier_is_echoed(desk):
    assert desk.chat()["service_tier"] == "default"
    assert desk.chat(service_tier="flex")["service_tier"] == "flex"


def test_parts_of_content_are_understood(desk):
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": parts}]}
    value = desk.json("POST", "/v1/chat/completions", body)
    assert value["usage"]["prompt_tokens"] > 85
    assert "What is this?" in value["choices"][0]["message"]["content"]
