import json
from itertools import pairwise

import openai
import pydantic
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from headworks.simulator.plan import Rule, Say

EVENT = pydantic.TypeAdapter(ResponseStreamEvent)

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}
CLOCK = {
    "type": "function",
    "name": "get_time",
    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    "strict": True,
}


def kinds(events):
    """The types in order, repeated deltas once."""
    types = [event["type"] for event in events]
    return [types[0], *(after for before, after in pairwise(types) if after != before)]


def body(text="Hello there", **fields):
    return {"model": "gpt-6-luna", "input": text, "stream": True, **fields}


def test_a_response_is_complete_in_the_types_of_the_sdk(desk):
    value = desk.respond(metadata={"a": "b"}, instructions="Be kind", temperature=0.3, safety_identifier="u1")
    response = Response.model_validate(value, strict=True)
    assert response.status == "completed"
    assert response.output_text.startswith('You said: "Hello there".')
    assert (response.metadata, response.instructions, response.temperature) == ({"a": "b"}, "Be kind", 0.3)
    assert response.safety_identifier == "u1"
    required = {name for name, field in Response.model_fields.items() if field.is_required()}
    assert required <= value.keys()
    assert value["usage"]["total_tokens"] == value["usage"]["input_tokens"] + value["usage"]["output_tokens"]


def test_what_is_repeated_of_a_request_on_many_lines_stays_on_one_line_of_the_stream(desk):
    asked = json.dumps(
        body(tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}), indent=2
    ).encode()
    events = desk.events("/v1/responses", asked)
    assert events[0]["response"]["tools"] == [WEATHER]


def test_the_answer_names_the_snapshot_whether_alias_or_snapshot_was_asked_for(desk):
    for name in ("gpt-6-luna", "gpt-6-luna-2026-08-20"):
        assert desk.respond(model=name)["model"] == "gpt-6-luna-2026-08-20"


def test_a_text_stream_has_every_event_of_the_api_in_order(desk):
    events = desk.events("/v1/responses", body())
    for event in events:
        EVENT.validate_python(event, strict=True)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_every_event_has_its_name_on_a_line_of_its_own(desk):
    for beat in desk.ask("POST", "/v1/responses", body()).beats:
        name, data, *end = beat.data.split(b"\n")
        assert name == b"event: " + json.loads(data.removeprefix(b"data: "))["type"].encode()
        assert end == [b"", b""]


def test_streamed_and_plain_answers_are_the_same(desk):
    plain = desk.respond("What is the weather in Paris?")
    streamed = desk.events("/v1/responses", body("What is the weather in Paris?"))[-1]["response"]
    assert [item["content"] for item in streamed["output"]] == [item["content"] for item in plain["output"]]
    assert streamed["usage"] == plain["usage"]


def test_the_sdk_accumulates_a_stream_to_the_final_response(desk):
    with desk.client().responses.stream(model="gpt-6.1-sol", input="Hi", reasoning={"summary": "auto"}) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text.startswith('You said: "Hi".')


def test_a_reasoning_model_reasons_first_and_bills_it(desk):
    value = desk.respond(model="gpt-6.1-sol", reasoning={"effort": "high"})
    assert [item["type"] for item in value["output"]] == ["reasoning", "message"]
    assert value["output"][0]["summary"] == []
    assert 0 < value["usage"]["output_tokens_details"]["reasoning_tokens"] < value["usage"]["output_tokens"]
    quiet = desk.respond(model="gpt-6.1-sol", reasoning={"effort": "none"})
    assert [item["type"] for item in quiet["output"]] == ["message"]


def test_a_summary_of_the_reasoning_is_streamed_where_it_is_asked_for(desk):
    events = desk.events("/v1/responses", body(model="gpt-6.1-sol", reasoning={"summary": "detailed"}))
    for event in events:
        EVENT.validate_python(event, strict=True)
    assert kinds(events)[2:8] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]
    deltas = [event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta"]
    assert "".join(deltas) == events[-1]["response"]["output"][0]["summary"][0]["text"]


def test_encrypted_reasoning_is_included_on_demand(desk):
    value = desk.respond(model="gpt-6.1-sol", include=["reasoning.encrypted_content"], store=False)
    assert value["output"][0]["encrypted_content"].startswith("gAAAA")


def test_a_mentioned_tool_is_called_with_arguments_that_satisfy_its_schema(desk):
    value = desk.respond("What is the weather in Paris?", tools=[WEATHER, CLOCK])
    (call,) = Response.model_validate(value).output
    assert (call.type, call.name, call.status) == ("function_call", "get_weather", "completed")
    arguments = json.loads(call.arguments)
    assert arguments["city"] == "Paris"
    assert arguments["unit"] in {"c", "f"}


def test_tool_calls_are_streamed_with_their_arguments_in_pieces(desk):
    events = desk.events("/v1/responses", body("Weather and time, please", tools=[WEATHER, CLOCK]))
    for event in events:
        EVENT.validate_python(event, strict=True)
    one_call = [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert kinds(events)[2:-1] == one_call * 2
    deltas = [event["delta"] for event in events if event["type"].endswith("arguments.delta")]
    done = [event["arguments"] for event in events if event["type"].endswith("arguments.done")]
    assert "".join(deltas) == "".join(done)


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({"tool_choice": "auto"}, ["get_weather", "get_time"]),
        ({"tool_choice": "none"}, []),
        ({"tool_choice": "required"}, ["get_weather", "get_time"]),
        ({"tool_choice": {"type": "function", "name": "get_time"}}, ["get_time"]),
        ({"parallel_tool_calls": False}, ["get_weather"]),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "get_time"}],
                }
            },
            ["get_time"],
        ),
    ],
)
def test_tool_choice_is_obeyed(desk, fields, called):
    value = desk.respond("Weather and time, please", tools=[WEATHER, CLOCK], **fields)
    assert [item["name"] for item in value["output"] if item["type"] == "function_call"] == called


def test_a_required_tool_is_called_even_if_nobody_mentions_it(desk):
    value = desk.respond("Hello", tools=[WEATHER, CLOCK], tool_choice="required")
    assert [item["name"] for item in value["output"]] == ["get_weather"]


def test_a_tool_without_a_schema_is_called_without_arguments(desk):
    value = desk.respond("Hello", tools=[{"type": "function", "name": "ping"}], tool_choice="required")
    assert value["output"][0]["arguments"] == "{}"


def test_an_output_limit_cuts_the_arguments_of_a_tool_call(desk):
    text = {"type": "string", "minLength": 400}
    parameters = {"type": "object", "properties": {"text": text}, "required": ["text"], "additionalProperties": False}
    tools = [{"type": "function", "name": name, "parameters": parameters, "strict": True} for name in ("note", "send")]
    value = desk.respond("note and send", tools=tools, tool_choice="required", max_output_tokens=16)
    Response.model_validate(value, strict=True)
    (call,) = value["output"]
    assert (value["status"], call["status"], call["name"]) == ("incomplete", "incomplete", "note")
    assert 0 < len(call["arguments"]) < 400
    assert value["usage"]["output_tokens"] == 16


def test_hosted_tools_are_accepted_and_never_called(desk):
    value = desk.respond("search the web", tools=[{"type": "web_search"}])
    assert value["tools"] == [{"type": "web_search"}]
    assert value["output"][0]["type"] == "message"


def test_after_tool_outputs_the_answer_is_text_about_them(desk):
    first = desk.respond("Weather in Paris?", tools=[WEATHER])
    output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "18 degrees"}
    second = desk.respond([output], previous_response_id=first["id"], tools=[WEATHER])
    assert second["output"][0]["content"][0]["text"].startswith('The tool said: "18 degrees".')
    everything = [{"role": "user", "content": "Weather in Paris?"}, first["output"][0], output]
    assert desk.respond(everything, tools=[WEATHER])["output"][0]["type"] == "message"


def test_structured_output_satisfies_its_schema_through_the_sdk(desk):
    class City(pydantic.BaseModel):
        name: str
        population: int
        rivers: list[str]

    parsed = desk.client().responses.parse(model="gpt-6-luna", input="Tell me about Lyon", text_format=City)
    assert isinstance(parsed.output_parsed, City)


def test_a_json_object_is_an_object(desk):
    value = desk.respond("Answer in json", text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(value["output"][0]["content"][0]["text"]), dict)
    error = desk.respond("Answer", text={"format": {"type": "json_object"}}, status=400)["error"]
    assert "must contain the word 'json'" in error["message"]


def test_an_output_limit_leaves_the_response_incomplete(desk):
    value = desk.respond("word " * 40, max_output_tokens=16)
    Response.model_validate(value, strict=True)
    assert (value["status"], value["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert value["output"][0]["status"] == "incomplete"
    assert value["usage"]["output_tokens"] == 16
    events = desk.events("/v1/responses", body("word " * 40, max_output_tokens=16))
    assert events[-1]["type"] == "response.incomplete"
    EVENT.validate_python(events[-1], strict=True)


def test_reasoning_can_eat_the_whole_output(desk):
    value = desk.respond(model="gpt-6.1-sol", reasoning={"effort": "max"}, max_output_tokens=16)
    assert [item["type"] for item in value["output"]] == ["reasoning"]
    assert value["usage"]["output_tokens"] == value["usage"]["output_tokens_details"]["reasoning_tokens"] == 16


def test_a_refusal_has_its_own_events(desk_with):
    desk = desk_with(rules=(Rule(say=Say(refusal="I cannot help with that.")),))
    value = desk.respond()
    assert value["output"][0]["content"] == [{"type": "refusal", "refusal": "I cannot help with that."}]
    events = desk.events("/v1/responses", body())
    for event in events:
        EVENT.validate_python(event, strict=True)
    assert kinds(events)[3:7] == [
        "response.content_part.added",
        "response.refusal.delta",
        "response.refusal.done",
        "response.content_part.done",
    ]


def test_filtered_content_ends_incomplete(desk_with):
    desk = desk_with(rules=(Rule(say=Say(text="Half a", is_filtered=True)),))
    assert desk.respond()["incomplete_details"] == {"reason": "content_filter"}


def test_input_tokens_are_counted_as_a_response_would_bill_them(desk):
    counted = desk.json("POST", "/v1/responses/input_tokens", {"model": "gpt-6-luna", "input": "Hello there"})
    assert counted == {"object": "response.input_tokens", "input_tokens": desk.respond()["usage"]["input_tokens"]}


def test_images_and_files_count_and_do_not_confuse(desk):
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
    ]
    value = desk.respond([{"role": "user", "content": parts}])
    assert value["usage"]["input_tokens"] > 85
    assert 'You said: "What is this?".' in value["output"][0]["content"][0]["text"]


def test_equal_seeds_answer_equally_and_others_do_not(desk_with):
    texts = [desk_with(seed=seed).respond()["output"][0]["content"][0]["text"] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_ids_are_never_given_twice(desk):
    values = [desk.respond() for _ in range(3)]
    assert len({value["id"] for value in values} | {value["output"][0]["id"] for value in values}) == 6


def test_errors_reach_the_sdk_as_its_own(desk):
    with pytest.raises(openai.NotFoundError) as caught:
        desk.client().responses.create(model="gpt-2", input="Hi")
    assert caught.value.code == "model_not_found"
