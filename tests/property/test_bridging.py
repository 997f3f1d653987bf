"""Nothing is lost between the dialects: what one codec writes it reads again, and no cutting of a stream shows."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Endpoint, Usage
from headworks.dialects import BRIDGES, EventSplitter, encode_event, parse_event
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerMessage,
    AnswerText,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputImage,
    InputText,
    JsonSchemaFormat,
    Message,
    ModelAnswer,
    ModelRequest,
    OutputText,
    ToolName,
)
from headworks.dialects.chat_answers import decode_chat_answer, encode_chat_answer
from headworks.dialects.chat_requests import decode_chat_request, encode_chat_request
from headworks.dialects.reading import read_fields
from headworks.dialects.responses_answers import ResponseFrame, decode_responses_answer, encode_responses_answer
from headworks.dialects.responses_requests import decode_responses_request, encode_responses_request

OTHER = {Endpoint.RESPONSES: Endpoint.CHAT, Endpoint.CHAT: Endpoint.RESPONSES}

# -- requests ----------------------------------------------------------------------------------------------------------

_TEXT = st.text(min_size=1, max_size=20)
_NAME = st.text("abcXYZ_019-", min_size=1, max_size=12)
_ID = _NAME.map(lambda name: f"call_{name}")
_SCHEMA = st.dictionaries(_NAME, st.one_of(st.text(max_size=5), st.integers(), st.booleans()), max_size=3).map(
    lambda value: msgspec.Raw(json.dumps({"type": "object", "title": value}).encode())
)
_IMAGE = st.builds(
    InputImage,
    image_url=st.sampled_from(["https://example.com/a.png", "data:image/png;base64,AA=="]),
    detail=st.sampled_from([None, "auto", "low", "high"]),
)
_USER = st.builds(
    Message,
    role=st.just("user"),
    content=st.one_of(_TEXT, st.lists(st.one_of(st.builds(InputText, text=_TEXT), _IMAGE), min_size=1).map(tuple)),
)
_RULES = st.builds(Message, role=st.sampled_from(["system", "developer"]), content=_TEXT)
_SAID = st.builds(
    Message,
    role=st.just("assistant"),
    content=st.lists(st.builds(OutputText, text=_TEXT), min_size=1, max_size=2).map(tuple),
)
_CALLED = st.builds(FunctionCall, call_id=_ID, name=_NAME, arguments=st.just('{"a":"é"}'))
_RETURNED = st.builds(FunctionCallOutput, call_id=_ID, output=_TEXT)
_TOOL = st.builds(
    FunctionTool,
    name=_NAME,
    parameters=_SCHEMA,
    strict=st.sampled_from([True, False]),
    description=st.one_of(st.none(), _TEXT),
)
_REQUESTS = st.builds(
    ModelRequest,
    model=_NAME,
    input=st.lists(st.one_of(_USER, _RULES, _SAID, _CALLED, _RETURNED), min_size=1, max_size=6).map(tuple),
    instructions=st.one_of(st.none(), _TEXT),
    max_output_tokens=st.one_of(st.none(), st.integers(1, 10_000)),
    temperature=st.one_of(st.none(), st.sampled_from([0.0, 0.5, 2.0])),
    top_p=st.one_of(st.none(), st.sampled_from([0.1, 1.0])),
    tools=st.lists(_TOOL, max_size=3).map(tuple),
    tool_choice=st.one_of(st.none(), st.sampled_from(["none", "auto", "required"])),
    parallel_tool_calls=st.one_of(st.none(), st.booleans()),
    reasoning_effort=st.sampled_from([None, "low", "high"]),
    text_format=st.one_of(st.none(), st.builds(JsonSchemaFormat, name=_NAME, schema=_SCHEMA, strict=st.booleans())),
    verbosity=st.sampled_from([None, "low", "high"]),
    prompt_cache_key=st.one_of(st.none(), _TEXT),
    safety_identifier=st.one_of(st.none(), _TEXT),
    metadata=st.one_of(st.none(), st.dictionaries(_NAME, _TEXT, min_size=1, max_size=2)),
    is_streamed=st.booleans(),
)


def strings(value):
    """Every string in some JSON, names left out."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@given(_REQUESTS)
def test_a_responses_request_is_read_as_it_was_written(request):
    written = encode_responses_request(request)

    again = decode_responses_request(read_fields(written))

    assert encode_responses_request(again) == written
    assert again.tools == request.tools
    assert again.metadata == request.metadata
    assert again.text_format == request.text_format


@given(_REQUESTS)
def test_a_chat_request_is_read_as_it_was_written(request):
    written = encode_chat_request(request)

    assert encode_chat_request(decode_chat_request(read_fields(written))) == written


@given(_REQUESTS)
def test_every_word_and_number_of_a_request_reaches_the_other_dialect(request):
    responses = json.loads(encode_responses_request(request))
    chat = json.loads(encode_chat_request(request))

    texts = {text for item in request.input for text in _texts(item)} | {tool.name for tool in request.tools}
    for body in (responses, chat):
        assert texts <= set(strings(body))
        assert body["model"] == request.model
        assert body.get("temperature") == request.temperature
        assert body.get("metadata") == request.metadata
    assert chat.get("max_completion_tokens", chat.get("max_tokens")) == request.max_output_tokens
    assert responses.get("max_output_tokens") == request.max_output_tokens
    assert responses.get("parallel_tool_calls") == request.parallel_tool_calls
    assert chat.get("parallel_tool_calls") == (request.parallel_tool_calls if request.tools else None)


def _texts(item):
    match item:
        case Message(content=str() as text):
            return [text]
        case Message():
            return [part.image_url if isinstance(part, InputImage) else part.text for part in item.content]
        case FunctionCall():
            return [item.call_id, item.name, item.arguments]
        case FunctionCallOutput():
            return [item.call_id, item.output]


# -- answers -----------------------------------------------------------------------------------------------------------

_USAGE = st.builds(
    Usage,
    input_tokens=st.integers(5, 10**6),
    cached_tokens=st.integers(0, 5),
    output_tokens=st.integers(5, 10**6),
    reasoning_tokens=st.integers(0, 5),
    source=st.just("provider"),
)
_SAYING = st.builds(AnswerMessage, parts=st.builds(AnswerText, text=_TEXT).map(lambda text: (text,)))
_CALLING = st.builds(AnswerCall, kind=st.just("function"), call_id=_ID, name=_NAME, text=st.just('{"a":1}'))
_OUTPUT = st.tuples(st.lists(_SAYING, max_size=1), st.lists(_CALLING, max_size=3)).map(
    lambda both: (*both[0], *both[1])
)
_ANSWERS = st.builds(
    ModelAnswer,
    id=_NAME,
    model=_NAME,
    created=st.integers(0, 2**31),
    output=_OUTPUT.filter(bool),
    end_reason=st.sampled_from(["", "max_output_tokens", "content_filter"]),
    usage=_USAGE,
    service_tier=st.sampled_from([None, "default"]),
)


@given(_ANSWERS)
def test_an_answer_is_the_same_after_either_dialect(answer):
    fields = read_fields(b'{"model":"m","input":"x"}')
    through_chat = decode_chat_answer(encode_chat_answer(answer))
    through_responses = decode_responses_answer(encode_responses_answer(answer, ResponseFrame(fields, answer.id)))

    for again in (through_chat, through_responses):
        assert again.output == answer.output
        assert again.usage == answer.usage
        assert again.end_reason == answer.end_reason
        assert (again.model, again.created) == (answer.model, answer.created)


# -- streams -----------------------------------------------------------------------------------------------------------


def _chunk(delta, finish_reason=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": choices,
    } | more


@st.composite
def _chat_streams(draw):
    """A chat stream as bytes, and what it says."""
    texts = draw(st.lists(_TEXT, max_size=5))
    calls = draw(st.lists(st.tuples(_ID, _NAME, st.lists(_TEXT, max_size=3)), max_size=2))
    chunks = [_chunk({"role": "assistant", "content": ""})] + [_chunk({"content": text}) for text in texts]
    for index, (call_id, name, pieces) in enumerate(calls):
        function = {"name": name, "arguments": ""}
        first = {"index": index, "id": call_id, "type": "function", "function": function}
        chunks.append(_chunk({"tool_calls": [first]}))
        chunks += [_chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces]
    chunks.append(_chunk({}, "tool_calls" if calls else "stop"))
    chunks.append(_chunk(None, usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}))
    data = b"".join(encode_event(None, json.dumps(chunk).encode()) for chunk in chunks) + b"data: [DONE]\n\n"
    return data, "".join(texts), [(call_id, name, "".join(pieces)) for call_id, name, pieces in calls]


def _translated(endpoint, body, data, places):
    steps = BRIDGES[endpoint, OTHER[endpoint]](body).stream()
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return b"".join(steps.feed(piece) for piece in pieces), steps


def _events(data):
    return [json.loads(event.data) for event in map(parse_event, EventSplitter().feed(data)) if event.data != b"[DONE]"]


_PLACES = st.lists(st.integers(0, 100_000), max_size=12)


@settings(deadline=None)
@given(stream=_chat_streams(), places=_PLACES)
def test_a_chat_stream_says_the_same_as_a_responses_stream_however_it_is_cut(stream, places):
    data, text, calls = stream
    body = b'{"model":"m","input":"x","stream":true}'

    whole, steps = _translated(Endpoint.RESPONSES, body, data, [])
    cut, _ = _translated(Endpoint.RESPONSES, body, data, places)
    events = _events(whole)

    assert cut == whole
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta") == text
    final = events[-1]["response"]
    assert events[-1]["type"] == "response.completed"
    spoken = [part["text"] for item in final["output"] if item["type"] == "message" for part in item["content"]]
    assert "".join(spoken) == text
    made = [(item["call_id"], item["name"], item["arguments"]) for item in final["output"] if item["type"] != "message"]
    assert made == calls
    assert steps.is_complete
    assert steps.summary().usage == Usage(input_tokens=3, output_tokens=4, source="provider")
    assert final["usage"]["total_tokens"] == 7


@settings(deadline=None)
@given(stream=_chat_streams(), places=_PLACES)
def test_there_and_back_again_a_stream_says_the_same(stream, places):
    data, text, calls = stream
    there, _ = _translated(Endpoint.RESPONSES, b'{"model":"m","input":"x","stream":true}', data, [])
    body = b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}'

    back, steps = _translated(Endpoint.CHAT, body, there, places)
    chunks = _events(back)

    assert back.endswith(b"data: [DONE]\n\n")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == text
    pieces = [call for delta in deltas for call in delta.get("tool_calls", [])]
    assert [
        (call_id, name, "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == index))
        for index, (call_id, name, _) in enumerate(calls)
    ] == calls
    assert [(piece["id"], piece["function"]["name"]) for piece in pieces if piece.get("id")] == [
        (call_id, name) for call_id, name, _ in calls
    ]
    assert steps.summary().finish_reason == ("tool_calls" if calls else "stop")
    assert chunks[-1]["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("choice", [ToolName("function", "f"), "required"])
def test_a_choice_of_tool_is_carried(choice):
    request = ModelRequest("m", (Message("user", "x"),), tools=(FunctionTool("f"),), tool_choice=choice)

    assert decode_chat_request(read_fields(encode_chat_request(request))).tool_choice == choice
    assert decode_responses_request(read_fields(encode_responses_request(request))).tool_choice == choice
