"""Nothing is lost between Anthropic's dialect and the canonical form, and no cutting of a stream shows."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Endpoint, Usage
from headworks.dialects import BRIDGES, MessagesTail, encode_event
from headworks.dialects.anthropic_answers import decode_messages_answer, encode_messages_answer
from headworks.dialects.anthropic_decoding import decode_messages_request
from headworks.dialects.anthropic_requests import encode_messages_request
from headworks.dialects.canonical import (
    AnswerCall,
    AnswerMessage,
    AnswerText,
    CacheBreakpoint,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputFile,
    InputImage,
    InputText,
    JsonSchemaFormat,
    Message,
    ModelAnswer,
    ModelRequest,
    OutputText,
)
from headworks.dialects.reading import read_fields

RESPONSES, CHAT, MESSAGES = Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=20)
_NAME = st.text("abcXYZ_019-", min_size=1, max_size=12)
_ID = _NAME.map(lambda name: f"call_{name}")
_SCHEMA = st.dictionaries(_NAME, st.one_of(st.text(max_size=5), st.integers(), st.booleans()), max_size=3).map(
    lambda value: msgspec.Raw(json.dumps({"type": "object", "title": value}).encode())
)
_MARK = st.sampled_from([None, CacheBreakpoint("explicit")])
_PART = st.one_of(
    st.builds(InputText, text=_TEXT, prompt_cache_breakpoint=_MARK),
    st.builds(
        InputImage,
        image_url=st.sampled_from(["https://example.com/a.png", "data:image/png;base64,AA=="]),
        detail=st.just("auto"),
    ),
    st.builds(InputFile, file_data=st.just("data:application/pdf;base64,JVBERi0="), filename=_NAME),
)
_USER = st.builds(Message, role=st.just("user"), content=st.lists(_PART, min_size=1, max_size=3).map(tuple))
_SAID = st.builds(
    Message, role=st.just("assistant"), content=st.builds(OutputText, text=_TEXT).map(lambda text: (text,))
)
_RULES = st.builds(Message, role=st.just("system"), content=st.builds(InputText, text=_TEXT).map(lambda text: (text,)))
_CALLED = st.builds(FunctionCall, call_id=_ID, name=_NAME, arguments=st.sampled_from(['{"a":"é"}', "{}"]))
_RETURNED = st.builds(FunctionCallOutput, call_id=_ID, output=_TEXT)
_TOOL = st.builds(
    FunctionTool,
    name=_NAME,
    parameters=_SCHEMA,
    strict=st.sampled_from([True, False]),
    description=st.one_of(st.none(), _TEXT),
)
_FORMAT = st.builds(JsonSchemaFormat, name=st.just("answer"), schema=_SCHEMA, strict=st.just(True))


@st.composite
def _turns(draw):
    """A conversation as this API has it: turns by turns, which the user ends."""
    items = []
    for _ in range(draw(st.integers(0, 2))):
        items += [
            draw(_USER),
            draw(_SAID),
            *draw(st.lists(_CALLED, max_size=2)),
            *draw(st.lists(_RETURNED, max_size=2)),
        ]
        if draw(st.booleans()):
            items.append(draw(_RULES))
    return (*items, draw(_USER))


_REQUESTS = st.builds(
    ModelRequest,
    model=st.just("claude-sonnet-5"),
    input=_turns(),
    max_output_tokens=st.integers(1, 10_000),
    temperature=st.one_of(st.none(), st.sampled_from([0.0, 0.5])),
    top_p=st.one_of(st.none(), st.sampled_from([0.1])),
    stop=st.lists(_TEXT, max_size=2).map(tuple),
    tools=st.lists(_TOOL, max_size=3).map(tuple),
    reasoning_effort=st.sampled_from([None, "low", "high", "max"]),
    text_format=st.one_of(st.none(), _FORMAT),
    service_tier=st.sampled_from([None, "auto", "default"]),
    safety_identifier=st.one_of(st.none(), _TEXT),
    is_streamed=st.booleans(),
)


def _joined(items):
    """Items with the messages of one side in a row made one: who says something is kept, in how many breaths is not."""
    joined = []
    for item in items:
        before = joined[-1] if joined else None
        if isinstance(item, Message) and isinstance(before, Message) and item.role == before.role == "user":
            joined[-1] = Message("user", (*before.content, *item.content))
        else:
            joined.append(item)
    return tuple(joined)


@settings(deadline=None)
@given(_REQUESTS)
def test_a_request_is_the_same_after_anthropics_dialect(request):
    again = decode_messages_request(read_fields(encode_messages_request(request)))

    marks = sum(getattr(part, "prompt_cache_breakpoint", None) is not None for item in request.input
                if isinstance(item, Message) for part in item.content)  # fmt: skip
    if marks <= 4:
        assert _joined(again.input) == _joined(request.input)
    for name in (
        "model", "max_output_tokens", "temperature", "top_p", "stop", "tools", "reasoning_effort", "text_format",
        "service_tier", "safety_identifier", "is_streamed",
    ):  # fmt: skip
        assert getattr(again, name) == getattr(request, name), name
    assert again.extras == ()


_USAGE = st.builds(
    Usage,
    input_tokens=st.integers(10, 10**6),
    cached_tokens=st.integers(0, 5),
    cache_write_tokens=st.integers(0, 5),
    output_tokens=st.integers(5, 10**6),
    reasoning_tokens=st.integers(0, 5),
    source=st.just("provider"),
)
_SAYING = st.builds(AnswerMessage, parts=st.builds(AnswerText, text=_TEXT).map(lambda text: (text,)))
_CALLING = st.builds(AnswerCall, kind=st.just("function"), call_id=_ID, name=_NAME, text=st.just('{"a":1}'))
_ANSWERS = st.builds(
    ModelAnswer,
    id=_NAME,
    model=_NAME,
    created=st.just(0),
    output=st.tuples(_SAYING, st.lists(_CALLING, max_size=3)).map(lambda both: (both[0], *both[1])),
    end_reason=st.sampled_from(["", "max_output_tokens"]),
    usage=_USAGE,
)


@given(_ANSWERS)
def test_an_answer_is_the_same_after_anthropics_dialect(answer):
    again = decode_messages_answer(encode_messages_answer(answer))

    assert again.output == answer.output
    assert again.usage == answer.usage
    assert (again.end_reason, again.model) == (answer.end_reason, answer.model)


# -- streams -----------------------------------------------------------------------------------------------------------


@st.composite
def _streams(draw):
    """A stream of Anthropic's as bytes, and what it says."""
    blocks = draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("text"), st.lists(_TEXT, min_size=1, max_size=3)),
                st.tuples(st.just("thinking"), st.lists(_TEXT, max_size=3)),
                st.tuples(st.just("tool_use"), st.sampled_from([[], ['{"a"', ":1}"], ["{}"]])),
            ),
            min_size=1,
            max_size=4,
        )
    )
    begin = {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}
    events = [{"type": "message_start", "message": begin}]
    for index, (kind, pieces) in enumerate(blocks):
        empty = {"type": kind, "text": "", "thinking": "", "signature": "", "id": f"t{index}", "name": "f", "input": {}}
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        field = {"text": "text", "thinking": "thinking", "tool_use": "partial_json"}[kind]
        name = "input_json_delta" if kind == "tool_use" else f"{kind}_delta"
        deltas = [{"type": name, field: piece} for piece in pieces]
        if kind == "thinking":
            deltas.append({"type": "signature_delta", "signature": "c2ln"})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    has_calls = any(kind == "tool_use" for kind, _ in blocks)
    stop = {"stop_reason": "tool_use" if has_calls else "end_turn"}
    events += [{"type": "message_delta", "delta": stop, "usage": {"output_tokens": 4}}, {"type": "message_stop"}]
    line_end = draw(st.sampled_from([b"\n", b"\r\n"]))
    data = b"".join(encode_event(event["type"], json.dumps(event).encode()) for event in events)
    said = "".join(piece for kind, pieces in blocks if kind == "text" for piece in pieces)
    calls = [json.loads("".join(pieces) or "{}") for kind, pieces in blocks if kind == "tool_use"]
    return data.replace(b"\n", line_end), said, calls, blocks


def _cut(data, places):
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _through(called, spoken, pieces):
    body = {"model": "m", "input": "x", "max_tokens": 9, "messages": [], "stream": True}
    fields = {CHAT: ("model", "messages", "stream"), RESPONSES: ("model", "input", "stream")}
    kept = {name: body[name] for name in fields.get(called, ("model", "max_tokens", "messages", "stream"))}
    steps = BRIDGES[called, spoken](json.dumps(kept).encode(), new_id=lambda: "x", now=lambda: 7.0).stream()
    return b"".join(steps.feed(piece) for piece in pieces), steps


def _json(data):
    lines = [line.removeprefix(b"data: ") for line in data.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


@settings(deadline=None)
@given(stream=_streams(), places=st.lists(st.integers(0, 100_000), max_size=12))
def test_a_stream_says_the_same_however_it_is_cut(stream, places):
    data, said, calls, blocks = stream
    for called in (RESPONSES, CHAT):
        whole, steps = _through(called, MESSAGES, [data])
        cut, _ = _through(called, MESSAGES, _cut(data, places))
        assert cut == whole
        assert steps.summary().usage == Usage(input_tokens=3, output_tokens=4, source="provider")

    events = _json(_through(RESPONSES, MESSAGES, [data])[0])
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    output = events[-1]["response"]["output"]
    parts = [part["text"] for item in output if item["type"] == "message" for part in item["content"]]
    assert "".join(parts) == said
    assert [json.loads(item["arguments"]) for item in output if item["type"] == "function_call"] == calls
    assert sum(item["type"] == "reasoning" for item in output) == sum(kind == "thinking" for kind, _ in blocks)


@settings(deadline=None)
@given(stream=_streams(), places=st.lists(st.integers(0, 100_000), max_size=12))
def test_there_and_back_again_a_stream_says_the_same(stream, places):
    data, said, calls, _ = stream
    there, _ = _through(RESPONSES, MESSAGES, [data])
    back, steps = _through(MESSAGES, RESPONSES, _cut(there, places))

    events = _json(back)
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta") == said
    begun = [event for event in events if event["type"] == "content_block_start"]
    made = [
        json.loads("".join(event["delta"]["partial_json"] for event in events
                           if event["type"] == "content_block_delta" and event["index"] == start["index"]))
        for start in begun if start["content_block"]["type"] == "tool_use"
    ]  # fmt: skip
    assert made == calls
    assert [event["index"] for event in begun] == list(range(len(begun)))
    assert events[-1]["type"] == "message_stop"
    assert steps.summary().usage == Usage(input_tokens=3, output_tokens=4, source="provider")


@settings(deadline=None)
@given(stream=_streams(), places=st.lists(st.integers(0, 100_000), max_size=12))
def test_a_relayed_stream_is_the_same_bytes_and_the_same_figures_however_it_is_cut(stream, places):
    data, *_ = stream
    whole, cut = MessagesTail(), MessagesTail()
    assert whole.feed(data) == data
    assert b"".join(cut.feed(piece) for piece in _cut(data, places)) == data
    assert cut.is_complete
    assert cut.summary() == whole.summary()
    assert cut.summary().usage == Usage(input_tokens=3, output_tokens=4, source="provider")
