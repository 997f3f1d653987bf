"""What each server with quirks answers is understood: relayed and translated, whole and streamed, in any pieces."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_shapes import SHAPES, TEXT

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind
from headworks.config.quirks import QUIRKS
from headworks.dialects import BRIDGES, ChatTail, EventSplitter, parse_event, read_chat_answer
from headworks.dialects.bridging import TranslatedStream

ASKED: dict[Endpoint, dict[str, Any]] = {
    Endpoint.RESPONSES: {"model": "m", "input": "x"},
    Endpoint.MESSAGES: {"model": "m", "max_tokens": 9, "messages": []},
    Endpoint.GENERATE_CONTENT: {"model": "m", "contents": []},
    Endpoint.COMPLETIONS: {"model": "m", "prompt": "x"},
}
ENDS = {"model_length": ("max_output_tokens", "max_tokens", "MAX_TOKENS", "length")}
GOOD_ENDS = ("completed", "end_turn", "STOP", "stop")
NAMES = sorted(SHAPES)


def steps_for(called: Endpoint) -> TranslatedStream:
    body = json.dumps(ASKED[called] | {"stream": True}).encode()
    steps = BRIDGES[called, Endpoint.CHAT](body).stream()
    assert isinstance(steps, TranslatedStream)
    return steps


def test_every_server_has_its_shape() -> None:
    assert set(SHAPES) == set(QUIRKS)


@pytest.mark.parametrize("name", NAMES)
def test_a_relayed_answer_is_summed_up(name: str) -> None:
    shape = SHAPES[name]
    summary = read_chat_answer(json.dumps(shape.whole).encode())
    assert not isinstance(summary, Failure)
    assert (summary.usage, summary.finish_reason) == (shape.usage, shape.finish_reason)

    tail = ChatTail()
    assert tail.feed(shape.stream) == shape.stream
    assert (tail.summary().usage, tail.summary().finish_reason) == (shape.usage, shape.finish_reason)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("called", ASKED)
def test_a_translated_answer_says_the_same_whole_and_streamed(called: Endpoint, name: str) -> None:
    shape = SHAPES[name]
    body, summary = BRIDGES[called, Endpoint.CHAT](json.dumps(ASKED[called]).encode()).answer(
        json.dumps(shape.whole).encode()
    )
    steps = steps_for(called)
    steps.feed(shape.stream)

    assert summary.usage == steps.summary().usage == shape.usage
    ends = ENDS.get(shape.finish_reason, GOOD_ENDS)
    assert summary.finish_reason == steps.summary().finish_reason
    assert summary.finish_reason == ends[list(ASKED).index(called)]
    assert TEXT in body.decode()
    assert steps.text == shape.thought + TEXT
    if called is not Endpoint.COMPLETIONS:
        assert (shape.thought in body.decode()) is True


@given(name=st.sampled_from(NAMES), places=st.lists(st.integers(0, 4000), max_size=6))
def test_no_cutting_of_a_stream_shows(name: str, places: list[int]) -> None:
    data = SHAPES[name].stream
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    steps = steps_for(Endpoint.RESPONSES)
    out = b"".join(steps.feed(data[start:end]) for start, end in zip([0, *ends], ends, strict=False))
    events = [parse_event(block) for block in EventSplitter().feed(out)]
    told = [json.loads(one.data) for one in events if one is not None]

    text = "".join(one["delta"] for one in told if one["type"] == "response.output_text.delta")
    assert text == TEXT
    assert told[-1]["response"]["usage"]["output_tokens"] == SHAPES[name].usage.output_tokens


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("insufficient_system_resource", FailureKind.OVERLOADED),
        ("error", FailureKind.ERROR),
        ("abort", FailureKind.ERROR),
        ("brand_new", FailureKind.INVALID),
        (None, FailureKind.INVALID),
    ],
)
def test_an_answer_that_broke_off_is_a_failure_and_no_stop(reason: str | None, kind: FailureKind) -> None:
    whole = SHAPES["deepseek"].whole
    broken = whole | {"choices": [whole["choices"][0] | {"finish_reason": reason}]}
    bridge = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](json.dumps(ASKED[Endpoint.RESPONSES]).encode())
    with pytest.raises(AttemptFailed) as failed:
        bridge.answer(json.dumps(broken).encode())
    assert failed.value.failure.kind is kind
