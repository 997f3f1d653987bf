"""Nothing is lost between AWS's Converse and the canonical form, and no cutting of a stream shows."""

import contextlib
import itertools
import json
from functools import cache

import botocore.session
import msgspec
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import UnreadableAnswer, Usage
from headworks.dialects.canonical import (
    Audio,
    CacheBreakpoint,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    JsonSchemaFormat,
    Message,
    ModelRequest,
    OutputText,
    Reasoning,
    ToolName,
)
from headworks.dialects.converse_decoding import decode_converse_request
from headworks.dialects.converse_requests import encode_converse_request
from headworks.dialects.converse_streams import ConverseDecoder
from headworks.dialects.events import Called, Ended, Sealed, Text, Thought
from headworks.dialects.sealing import RedactedThinkingBlock, ThinkingBlock, sealed_thinking, thinking_in
from headworks.simulator.event_frames import event

CLAUDE = "eu.anthropic.claude-sonnet-5-v1:0"

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=20)
_NAME = st.text("abcXYZ_019-", min_size=1, max_size=12)
_ID = _NAME.map(lambda name: f"call_{name}")
_SCHEMA = st.dictionaries(_NAME, st.one_of(st.text(max_size=5), st.integers(), st.booleans()), max_size=3).map(
    lambda value: msgspec.Raw(json.dumps({"type": "object", "title": value}).encode())
)
_MARK = st.sampled_from([None, CacheBreakpoint("explicit"), CacheBreakpoint("explicit", "30m")])
_PART = st.one_of(
    st.builds(InputText, text=_TEXT, prompt_cache_breakpoint=_MARK),
    st.builds(
        InputImage,
        image_url=st.sampled_from(["data:image/png;base64,AA==", "data:image/webp;base64,AAA="]),
        detail=st.just("auto"),
        prompt_cache_breakpoint=_MARK,
    ),
    st.builds(InputAudio, input_audio=st.builds(Audio, data=st.just("AA=="), format=st.sampled_from(["wav", "mp3"]))),
)
_FILE = st.builds(
    InputFile,
    file_data=st.sampled_from(["data:application/pdf;base64,JVBERi0=", "data:text/csv;base64,YSxi"]),
    filename=st.just("report"),
)
_USER = st.builds(Message, role=st.just("user"), content=st.lists(_PART, min_size=1, max_size=3).map(tuple))
_SAID = st.builds(
    Message, role=st.just("assistant"), content=st.builds(OutputText, text=_TEXT).map(lambda text: (text,))
)
_THOUGHT = st.one_of(st.builds(ThinkingBlock, _TEXT, _TEXT), st.builds(RedactedThinkingBlock, _TEXT)).map(
    lambda block: Reasoning(encrypted_content=sealed_thinking(block))
)
_RULES = st.builds(Message, role=st.just("system"), content=st.builds(InputText, text=_TEXT).map(lambda text: (text,)))
_CALLED = st.builds(FunctionCall, call_id=_ID, name=st.just("f"), arguments=st.sampled_from(['{"a":"é"}', "{}"]))
_RETURNED = st.builds(FunctionCallOutput, call_id=_ID, output=_TEXT)
_TOOL = st.builds(
    FunctionTool,
    name=_NAME,
    parameters=_SCHEMA,
    strict=st.sampled_from([True, False]),
    description=st.one_of(st.none(), _TEXT),
)
_F = FunctionTool("f", msgspec.Raw(b'{"type":"object"}'), strict=False)


@st.composite
def _turns(draw):
    """A conversation as this API has it: turns by turns, which the user ends."""
    items = [draw(_RULES)] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        items += [
            draw(_USER),
            *draw(st.lists(_THOUGHT, max_size=1)),
            draw(_SAID),
            *draw(st.lists(_CALLED, max_size=2)),
            *draw(st.lists(_RETURNED, max_size=2)),
        ]
    last = draw(_USER)
    return (*items, Message("user", (*last.content, *draw(st.lists(_FILE, max_size=1)))))


_REQUESTS = st.builds(
    ModelRequest,
    model=st.just(CLAUDE),
    input=_turns(),
    max_output_tokens=st.one_of(st.none(), st.integers(1, 10_000)),
    temperature=st.one_of(st.none(), st.sampled_from([0.0, 0.5])),
    top_p=st.one_of(st.none(), st.sampled_from([0.1])),
    stop=st.lists(_TEXT, max_size=2).map(tuple),
    tools=st.lists(_TOOL, max_size=3).map(lambda tools: (_F, *tools)),
    tool_choice=st.sampled_from([None, "auto", "required", ToolName("function", "f")]),
    parallel_tool_calls=st.sampled_from([None, False]),
    reasoning_effort=st.sampled_from([None, "none", "low", "high", "max"]),
    text_format=st.one_of(
        st.none(), st.builds(JsonSchemaFormat, name=_NAME, schema=_SCHEMA, description=_TEXT, strict=st.just(True))
    ),
    service_tier=st.sampled_from([None, "default", "flex", "priority"]),
    is_streamed=st.booleans(),
)


@cache
def _shape():
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model("Converse").input_shape


def _with_bytes(value):
    """Base 64 is bytes in the SDK."""
    if isinstance(value, dict):
        made = {name: _with_bytes(one) for name, one in value.items()}
        return {name: one.encode() if name in ("bytes", "redactedContent") else one for name, one in made.items()}
    return [_with_bytes(one) for one in value] if isinstance(value, list) else value


def faults(body):
    """What AWS's own SDK would have against sending this; "" for nothing."""
    return ParamValidator().validate({"modelId": CLAUDE, **_with_bytes(json.loads(body))}, _shape()).generate_report()


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


def _marks(request):
    parts = [part for item in request.input if isinstance(item, Message) for part in item.content]
    return sum(getattr(part, "prompt_cache_breakpoint", None) is not None for part in parts)


@settings(deadline=None, max_examples=60)
@given(_REQUESTS)
def test_a_request_is_the_same_after_converse(request):
    sent = encode_converse_request(request)
    assert faults(sent) == ""
    again = decode_converse_request(sent, CLAUDE, is_streamed=request.is_streamed)
    assert _marks(again) == min(4, _marks(request))
    if _marks(request) <= 4:
        assert _joined(again.input) == _joined(request.input)
    for name in ("max_output_tokens", "temperature", "top_p", "stop", "tools", "reasoning_effort"):
        assert getattr(again, name) == getattr(request, name), name
    if request.parallel_tool_calls is not False:
        assert again.tool_choice == request.tool_choice
    for name in ("text_format", "service_tier", "is_streamed", "parallel_tool_calls"):
        assert getattr(again, name) == getattr(request, name), name


_EFFORTS = st.sampled_from(["none", "low", "medium", "high"])


@given(st.sampled_from(["us.amazon.nova-2-lite-v1:0", "openai.gpt-oss-120b-1:0", CLAUDE]), _EFFORTS)
def test_every_makers_word_for_an_effort_means_the_same(model, effort):
    request = ModelRequest(model, (Message("user", "x"),), reasoning_effort=effort)
    assert decode_converse_request(encode_converse_request(request), model).reasoning_effort == effort


# -- streams -----------------------------------------------------------------------------------------------------------

_PIECES = st.lists(_TEXT, min_size=1, max_size=3)


@st.composite
def _streams(draw):
    """A stream and what it says: thoughts, then text, then calls."""
    blocks, thoughts, text, calls = [], None, "", []
    if draw(st.booleans()):
        pieces, signature = draw(_PIECES), draw(_TEXT)
        thoughts = ThinkingBlock("".join(pieces), signature)
        blocks.append(
            [{"reasoningContent": {"text": one}} for one in pieces] + [{"reasoningContent": {"signature": signature}}]
        )
    if draw(st.booleans()):
        pieces = draw(_PIECES)
        text = "".join(pieces)
        blocks.append([{"text": one} for one in pieces])
    for index in range(draw(st.integers(0, 2))):
        pieces = draw(st.sampled_from([[], ['{"a"', ":1}"], ["{", "}"]]))
        calls.append((f"tooluse_{index}", "f", "".join(pieces) or "{}"))
        blocks.append([f"tooluse_{index}", *({"toolUse": {"input": one}} for one in pieces)])
    events = [("messageStart", {"role": "assistant"})]
    for index, (first, *deltas) in enumerate(blocks):
        if isinstance(first, str):
            start = {"toolUse": {"toolUseId": first, "name": "f"}}
            events.append(("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        else:
            deltas.insert(0, first)
        events += [("contentBlockDelta", {"contentBlockIndex": index, "delta": one}) for one in deltas]
        events.append(("contentBlockStop", {"contentBlockIndex": index}))
    events.append(("messageStop", {"stopReason": "tool_use" if calls else "end_turn"}))
    events.append(("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}))
    data = b"".join(event(name, json.dumps(fields).encode()) for name, fields in events)
    return data, thoughts, text, calls


@settings(deadline=None, max_examples=60)
@given(_streams(), st.data())
def test_any_pieces_of_a_stream_say_the_same(stream, data):
    bytes_, thoughts, text, calls = stream
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(bytes_)), max_size=6))), len(bytes_)]
    decoder = ConverseDecoder()
    found = [one for a, b in itertools.pairwise(cuts) for one in decoder.feed(bytes_[a:b])]
    assert found == ConverseDecoder().feed(bytes_)

    assert "".join(one.text for one in found if isinstance(one, Text)) == text
    assert "".join(one.text for one in found if isinstance(one, Thought)) == (thoughts.thinking if thoughts else "")
    assert [thinking_in(one.encrypted_content) for one in found if isinstance(one, Sealed)] == [thoughts] * bool(
        thoughts
    )
    made = [
        (
            next(one.call_id for one in found if isinstance(one, Called) and one.index == index and one.name),
            "f",
            "".join(one.text for one in found if isinstance(one, Called) and one.index == index),
        )
        for index in range(len(calls))
    ]
    assert made == calls
    assert found[-1] == Ended("", Usage(3, 0, 0, 2, 0, "provider"))


@given(st.binary(max_size=300))
def test_garbage_is_never_an_answer(garbage):
    with contextlib.suppress(UnreadableAnswer):
        assert ConverseDecoder().feed(garbage) == []
