"""Streams that go on with another target after theirs has broken off."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headworks.calls import AttemptFailed, Endpoint, FailureKind
from headworks.continuing import ANEW, GO_ON, LEAST_OVERLAP, Stitcher, stitched
from headworks.dialects.deltas import TextDeltas
from played_work import DONE, EVENTS, call_chunk, chunk, completed, event, message_item, response_object, text_delta

CONTINUES = "fallback: [large]\nstreaming: {on_break: continue}\n"
STREAMED = ("The order is on its way", " and will be there on Monday.")


def said(endpoint, body):
    return TextDeltas(endpoint).feed(body)


@pytest.fixture
def talk(work):
    """A workload that answers in words."""
    work.make(CONTINUES, schema=None)
    return work


def begin(hall, work, *pieces):
    answered = work.chat(stream=True, stream_options={"include_usage": True})
    hall.flight.sink.on_head(200, EVENTS)
    for piece in pieces:
        hall.flight.sink.on_body(chunk(piece))
    return answered


def break_off(work):
    work.hall.flight.sink.on_failure(broken())
    work.hall.turn()


def broken(kind=FailureKind.BROKEN):
    from headworks.calls import Failure

    return Failure(kind, "the connection was lost")


def test_another_target_goes_on_where_the_first_broke_off(hall, talk):
    answered = begin(hall, talk, STREAMED[0])
    break_off(talk)

    assert hall.flight.body["model"] == "large"
    assert hall.flight.body["messages"][-2:] == [
        {"role": "assistant", "content": STREAMED[0]},
        {"role": "user", "content": GO_ON},
    ]
    hall.flight.sink.on_head(200, EVENTS)
    talk.come(chunk(STREAMED[1]), chunk(finish_reason="stop"), DONE)

    assert said(Endpoint.CHAT, answered.body) == "".join(STREAMED)
    assert answered.body.count(b"[DONE]") == 1
    assert b": x-headworks-continued: stub/large\n\n" in answered.body
    ids = {json.loads(line[6:])["id"] for line in answered.body.splitlines() if line.startswith(b"data: {")}
    assert len(ids) == 1
    settled = hall.settled
    assert (settled.outcome, settled.attempts, settled.error_code) == ("answered", 2, "")
    assert "stub/large (goes on behind 23 characters)" in settled.course
    assert settled.usage_source == "estimated"


def test_what_is_repeated_at_the_seam_is_left_out(hall, talk):
    answered = begin(hall, talk, STREAMED[0])
    break_off(talk)
    hall.flight.sink.on_head(200, EVENTS)
    talk.come(chunk("is on its"), chunk(" way" + STREAMED[1]), chunk(finish_reason="stop"), DONE)

    assert said(Endpoint.CHAT, answered.body) == "".join(STREAMED)


def test_a_third_goes_on_where_the_second_broke_off(hall, work):
    work.make(CONTINUES, schema=None, retries=1)
    answered = begin(hall, work, "One, ")
    break_off(work)
    hall.flight.sink.on_head(200, EVENTS)
    assert hall.flight.body["model"] == "small"
    hall.flight.sink.on_body(chunk("two, "))
    break_off(work)

    assert (hall.flight.body["model"], hall.flight.body["messages"][-2]["content"]) == ("large", "One, two, ")
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk("three."), chunk(finish_reason="stop"), DONE)
    assert said(Endpoint.CHAT, answered.body) == "One, two, three."
    assert hall.settled.attempts == 3


def test_a_responses_stream_goes_on_in_the_same_item_with_the_next_number(hall, talk):
    answered = talk.respond(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    created = event("response.created", response=response_object(status="in_progress"))
    added = event("response.output_item.added", output_index=0, item=message_item("") | {"content": []})
    hall.flight.sink.on_body(created + added + text_delta(STREAMED[0]))
    break_off(talk)
    hall.flight.sink.on_head(200, EVENTS)
    talk.come(created + added + text_delta(STREAMED[1]), completed(message_item(STREAMED[1])))

    events = [json.loads(line[6:]) for line in answered.body.splitlines() if line.startswith(b"data: ")]
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    assert len([one for one in events if one["type"] == "response.created"]) == 1
    assert len({one["item_id"] for one in events if one["type"] == "response.output_text.delta"}) == 1
    last = events[-1]
    assert last["type"] == "response.completed"
    assert last["response"]["output"][0]["content"][0]["text"] == "".join(STREAMED)


def test_what_was_held_of_an_attempt_that_failed_before_its_first_word_leaves_no_trace(hall, work):
    work.make(CONTINUES, schema=None)
    answered = work.respond(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    created = event("response.created", response=response_object(status="in_progress"))
    added = event("response.output_item.added", output_index=0, item=message_item("") | {"content": []})
    hall.flight.sink.on_body(created + added)
    break_off(work)
    assert hall.flight.body["model"] == "large"
    hall.flight.sink.on_head(200, EVENTS)
    work.come(created + added + text_delta("Here."), completed(message_item("Here.")))

    events = [json.loads(line[6:]) for line in answered.body.splitlines() if line.startswith(b"data: ")]
    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    kinds = [one["type"] for one in events]
    assert (kinds[0], kinds.count("response.created"), kinds.count("response.output_item.added")) == (
        "response.created", 1, 1,
    )  # fmt: skip
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Here."


def test_the_bound_on_the_first_token_is_not_one_on_who_goes_on(hall, work):
    work.make(CONTINUES + "latency: {first_token_s: 0.5}\n", schema=None, retries=1)
    answered = begin(hall, work, "One, ")
    hall.rest(0.6)  # by now a first token would be too late
    break_off(work)
    assert hall.flight.body["model"] == "small"
    hall.rest(0.02)
    assert not hall.flight.is_cancelled
    assert hall.flight.timeouts.first_byte_s > 1
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk("two."), chunk(finish_reason="stop"), DONE)

    assert said(Endpoint.CHAT, answered.body) == "One, two."


def test_an_answer_that_a_rule_sends_back_before_any_of_it_is_out_leaves_no_trace(hall, work):
    rules = """
from headworks.screening import Verdict

def judged(output, context):
    return Verdict.repair("say it better") if "bad" in output else None
"""
    work.make(CONTINUES + "validation: {repairs: 1}\n", schema=None, rules=rules)
    answered = work.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk("bad words") + chunk(finish_reason="stop") + DONE)
    assert len(hall.upstream.flights) == 2
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk("good words"), chunk(finish_reason="stop"), DONE)

    assert said(Endpoint.CHAT, answered.body) == "good words"
    assert answered.body.count(b"[DONE]") == 1
    assert answered.body.count(b'"role":"assistant"') == 1


def test_where_nobody_can_go_on_the_stream_ends_honestly(hall, talk):
    answered = begin(hall, talk, STREAMED[0])
    break_off(talk)
    hall.flight.sink.on_failure(broken(FailureKind.TIMEOUT))
    talk.settle()

    assert answered.is_over
    assert said(Endpoint.CHAT, answered.body) == STREAMED[0]
    assert b'"code":"upstream_timeout"' in answered.body
    assert b"[DONE]" not in answered.body
    assert (hall.settled.outcome, hall.settled.error_code, hall.settled.status) == ("failed", "upstream_timeout", 200)
    assert hall.settled.output_tokens > 0


def test_a_refusal_of_who_should_go_on_is_no_second_answer(hall, talk):
    answered = begin(hall, talk, STREAMED[0])
    break_off(talk)
    talk.answer({"error": {"message": "Too long.", "type": "invalid_request_error", "code": "x", "param": None}}, 400)
    talk.settle()

    assert answered.is_over
    assert answered.status == 200
    assert b'"code":"upstream_rejected"' in answered.body


def test_behind_a_tool_call_nobody_goes_on(hall, talk):
    answered = talk.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(call_chunk("look", '{"id"'))
    break_off(talk)
    talk.settle()

    assert hall.settled.attempts == 1
    assert b'"code":"upstream_broken"' in answered.body


def test_without_the_contracts_word_a_stream_ends(hall, work):
    work.make("fallback: [large]\n", schema=None)
    answered = begin(hall, work, STREAMED[0])
    break_off(work)
    work.settle()

    assert hall.settled.attempts == 1
    assert b'"code":"upstream_broken"' in answered.body


def test_an_error_within_the_stream_is_gone_on_behind_as_well(hall, talk):
    answered = begin(hall, talk, STREAMED[0])
    error = {"error": {"message": "Busy.", "type": "server_error", "code": "server_error", "param": None}}
    talk.come(b"data: " + json.dumps(error).encode() + b"\n\n")
    hall.flight.sink.on_head(200, EVENTS)
    talk.come(chunk(STREAMED[1]), chunk(finish_reason="stop"), DONE)

    assert said(Endpoint.CHAT, answered.body) == "".join(STREAMED)


# -- the seam ---------------------------------------------------------------------------------------------------------

LETTERS = st.text(st.characters(codec="utf-8"), max_size=400)


def fed(before, pieces):
    stitcher = Stitcher(before)
    return "".join([stitcher.feed(piece) for piece in pieces]) + stitcher.end()


@st.composite
def cuts(draw, text):
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=5)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@given(st.data())
def test_the_text_is_whole_however_much_of_its_end_is_repeated_and_however_it_comes(data):
    # Words that are all different: what is repeated can only be a repetition.
    words = "".join(f"{number}. " for number in range(data.draw(st.integers(0, 200)), 400))
    cut = data.draw(st.integers(1, len(words)))
    repeated = data.draw(st.one_of(st.just(0), st.integers(LEAST_OVERLAP + 4, 150)))
    start = max(0, cut - repeated)

    assert words[:cut] + fed(words[:cut], data.draw(cuts(words[start:]))) == words


@given(LETTERS, LETTERS, st.data())
def test_the_same_is_left_out_however_the_text_is_cut(before, more, data):
    try:
        whole = fed(before, [more])
    except AttemptFailed:
        with pytest.raises(AttemptFailed):
            fed(before, data.draw(cuts(more)))
        return
    assert fed(before, data.draw(cuts(more))) == whole
    assert more.endswith(whole)


@given(LETTERS)
def test_an_answer_that_begins_anew_and_says_the_same_is_gone_on_with(before):
    assume(len(before) >= LEAST_OVERLAP)

    assert fed(before, [before + " And more \0 than that."]) == " And more \0 than that."


@pytest.mark.parametrize("length", [ANEW, 200, 350])
def test_an_answer_that_begins_anew_and_says_something_else_is_none(length):
    before = "".join(f"{number}. " for number in range(100))
    with pytest.raises(AttemptFailed) as failed:
        fed(before, [before[:length], "another thing"])

    assert failed.value.failure.kind is FailureKind.INVALID


def test_a_few_equal_letters_are_no_repetition():
    assert stitched("- one\n- ", "- two") == "- two"
    assert stitched("ha", "ha!") == "ha!"
