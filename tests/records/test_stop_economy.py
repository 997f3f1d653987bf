import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.records.stop_economy import KeptAnswer, kept_answers, stop_savings
from headworks.records.stores import Record


def record(**fields) -> Record:
    text = dict.fromkeys(Record.__struct_fields__, "") | {
        name: 0
        for name in Record.__struct_fields__
        if name.endswith(("_us", "_tokens", "_bytes")) or name in ("seq", "status", "attempts", "repairs")
    }
    return Record(**text | {"is_streamed": False, "outcome": "answered", "output_tokens": 100} | fields)


def chat(text, calls=()) -> bytes:
    tools = [{"function": {"name": name, "arguments": arguments}} for name, arguments in calls]
    return json.dumps({"choices": [{"message": {"content": text, "tool_calls": tools}}]}).encode()


def kept(body: bytes, **fields) -> list[KeptAnswer]:
    return kept_answers([record(**fields)], lambda _: {"response": body})


def test_what_lies_behind_the_first_place_is_saved():
    (answer,) = kept(chat("one two three four END five six seven eight nine END ten"))
    (saving,) = stop_savings([answer], ["END"])

    assert saving.share == pytest.approx(7 / 12)
    assert (saving.sequence, saving.cut_calls, saving.calls) == ("END", 1, 1)


def test_a_sequence_that_nobody_wrote_or_that_ends_the_answer_saves_nothing():
    for saving in stop_savings(kept(chat("one two END")), ["END", "STOP"]):
        assert (saving.share, saving.cut_calls, saving.calls) == (0.0, 0, 1)


def test_reasoning_and_thrown_away_answers_are_paid_for_and_not_saved():
    (answer,) = kept(chat("one END two"), output_tokens=300, wasted_tokens=100, reasoning_tokens=150)

    assert (answer.tokens, answer.visible_tokens) == (300, 100)
    assert stop_savings([answer], ["END"])[0].share == pytest.approx(100 / 3 / 300)


def test_calls_of_tools_stand_behind_the_text():
    (answer,) = kept(chat("I look. END", [("look_up", '{"order": 1}')]))

    assert 0.3 < stop_savings([answer], ["END"])[0].share < 0.9


def test_a_stream_is_read_too():
    lines = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in ("one E", "ND two")]
    body = b"".join(b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines) + b"data: [DONE]\n\n"

    assert stop_savings(kept(body), ["END"])[0].share == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "fields", [{"outcome": "failed"}, {"finish_reason": "degraded"}, {"output_tokens": 0}], ids=str
)
def test_what_no_model_has_answered_is_not_looked_at(fields):
    assert kept(chat("one END two"), **fields) == []


def test_where_no_content_is_kept_nothing_is_known():
    answers = kept_answers([record()], lambda _: {})
    (saving,) = stop_savings(answers, ["END"])

    assert (saving.calls, saving.share) == (0, 0.0)


@given(st.lists(st.text(max_size=200), max_size=20), st.text(min_size=1, max_size=3))
def test_no_more_is_saved_than_was_paid(texts, sequence):
    answers = [KeptAnswer(text, "", 100, 80.0) for text in texts]
    (saving,) = stop_savings(answers, [sequence])

    assert 0 <= saving.share <= 0.8
    assert saving.cut_calls <= sum(sequence in text for text in texts)
    assert msgspec.json.encode(saving)
