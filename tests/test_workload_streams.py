"""Streamed calls of a workload: what passes, what ends them, and where they go on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Endpoint, FailureKind
from headworks.dialects.deltas import TextDeltas
from played_work import (
    DONE,
    EVENTS,
    RULES,
    TOOLS,
    call_chunk,
    call_item,
    chunk,
    completed,
    event,
    message_item,
    response_object,
    stream,
    text_delta,
)

ACTIONS = "actions: {erase: {policy: deny}, pay: {policy: hold}}\n"
GOOD_TEXT = '{"team": "red"}'
ERROR = {"error": {"message": "No.", "type": "server_error", "code": "server_error", "param": None}}


def responses_stream(hall, work, *pieces, ticket="x"):
    answered = work.respond(ticket, stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    for piece in pieces:
        hall.flight.sink.on_body(piece)
    return answered


def last_event(answered):
    return json.loads(answered.body.rsplit(b"data: ", 1)[1])


def test_a_valid_responses_stream_passes_unchanged(hall, work):
    work.make("output: {max_tokens: 20}\n")
    pieces = [text_delta('{"team": '), text_delta('"red"}'), completed(message_item(GOOD_TEXT))]
    answered = responses_stream(hall, work, *pieces)
    assert hall.flight.body["max_output_tokens"] == 20
    assert "prompt" not in hall.flight.body
    work.settle()

    assert answered.body == b"".join(pieces)
    settled = hall.settled
    assert (settled.verdict, settled.workload, settled.prompt_version) == ("valid", "triage", "1.2.0")
    assert (len(settled.prompt_hash), len(settled.schema_hash)) == (64, 64)
    assert (settled.input_tokens, settled.output_tokens, settled.wasted_tokens) == (10, 5, 0)


def test_a_responses_stream_that_breaks_the_schema_ends_with_its_dialects_error_event(hall, work):
    work.make()
    answered = responses_stream(hall, work, text_delta('{"team": '))
    work.come(text_delta('"gr'), text_delta('een"}'))

    ending = last_event(answered)
    assert (ending["type"], ending["code"], ending["error"]["code"]) == ("error", "output_invalid", "output_invalid")
    assert b"een" not in answered.body
    assert hall.flight.is_cancelled
    assert (hall.settled.outcome, hall.settled.verdict) == ("failed", "invalid")


@pytest.mark.parametrize("is_first", [True, False])
def test_it_ends_at_the_earliest_piece_that_cannot_be_mended(hall, work, is_first):
    """A name that the schema does not know is seen before its value has come."""
    work.make("validation: {repairs: 0}\n")
    pieces = ['{"mood"'] if is_first else ["{", '"mood"']
    answered = stream(hall, work, *pieces)
    work.settle()

    assert answered.is_over
    assert b"mood" not in answered.body
    assert hall.settled.error_code == "output_invalid"


def test_a_stream_whose_first_piece_is_wrong_is_a_plain_error(hall, work):
    work.make("validation: {repairs: 0}\n")
    answered = stream(hall, work, "Sure!")
    work.settle()

    assert (answered.status, answered.error["code"]) == (502, "output_invalid")
    assert (hall.settled.verdict, hall.settled.outcome) == ("invalid", "failed")


def test_a_stream_whose_first_piece_is_wrong_may_be_asked_for_elsewhere(hall, work):
    work.make("fallback: [large]\nvalidation: {repairs: 0, otherwise: fallback}\n")
    answered = stream(hall, work, "Sure!")
    first = hall.upstream.flights[0]
    hall.turn()
    assert hall.flight.body["model"] == "large"
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk(GOOD_TEXT), DONE)

    assert first.is_cancelled
    assert answered.headers["x-headworks-fallback"] == "output_invalid"
    assert (hall.settled.verdict, hall.settled.attempts) == ("valid", 2)


def test_a_stream_of_which_nothing_has_gone_out_is_mended_by_the_model(hall, work):
    work.make()
    answered = stream(hall, work, "Sure!")
    first = hall.upstream.flights[0]
    hall.turn()
    said, told = hall.flight.body["messages"][-2:]
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk(GOOD_TEXT), DONE)

    assert first.is_cancelled
    assert (said, told["role"]) == ({"role": "assistant", "content": "Sure!"}, "user")
    assert (answered.status, answered.body.count(b"team")) == (200, 1)
    assert (hall.settled.verdict, hall.settled.repairs, hall.settled.attempts) == ("repaired", 1, 2)
    assert 0 < hall.settled.wasted_tokens < hall.settled.output_tokens


def test_a_stream_that_is_not_mended_in_its_turns_goes_on_elsewhere(hall, work):
    work.make("fallback: [large]\nvalidation: {otherwise: fallback}\n")
    answered = stream(hall, work, "Sure!")
    hall.turn()
    assert hall.flight.body["model"] == "small"
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(chunk("Certainly!"))
    hall.turn()
    assert hall.flight.body["model"] == "large"
    assert len(hall.flight.body["messages"]) == 2
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk(GOOD_TEXT), DONE)

    assert answered.headers["x-headworks-fallback"] == "output_invalid"
    assert (hall.settled.verdict, hall.settled.repairs, hall.settled.attempts) == ("valid", 1, 3)


def test_an_answer_that_ends_too_early_is_invalid(hall, work):
    work.make()
    answered = stream(hall, work, '{"team": "re')
    work.come(DONE)

    assert last_event(answered)["error"]["code"] == "output_invalid"
    assert b"[DONE]" not in answered.body
    assert hall.settled.verdict == "invalid"


def test_what_was_paid_for_a_broken_stream_is_recorded_as_thrown_away(hall, work):
    work.make()
    stream(hall, work, '{"team": ', '"green"')
    work.settle()

    settled = hall.settled
    assert settled.usage_source == "estimated"
    assert settled.wasted_tokens == settled.output_tokens > 0


@pytest.mark.parametrize(("status", "code"), [(500, "upstream_error"), (503, "upstream_overloaded"), (429, None)])
def test_a_stream_that_is_refused_by_a_server_in_trouble_goes_on_elsewhere(hall, work, status, code):
    work.make("fallback: [large]\n")
    answered = work.chat(stream=True)
    work.answer(ERROR, status)
    assert not answered.status
    assert hall.flight.body["model"] == "large"
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk(GOOD_TEXT), DONE)

    assert answered.body.endswith(b"[DONE]\n\n")
    assert answered.headers["x-headworks-fallback"] == (code or "upstream_rate_limited")


def test_a_stream_that_the_provider_refuses_does_not_go_shopping(hall, work):
    work.make("fallback: [large]\n")
    answered = work.chat(stream=True)
    work.answer({"error": {"message": "Too long.", "type": "x", "code": "unknown_parameter"}}, 400)

    assert (answered.status, len(hall.upstream.flights)) == (400, 1)
    assert answered.error["message"] == "Too long."


def test_a_stream_ends_with_the_deterministic_answer_when_every_server_is_in_trouble(hall, work):
    work.make("fallback: [large, deterministic]\n", fallback={"team": "blue"})
    answered = work.chat(stream=True)
    work.answer(ERROR, 500)
    work.answer(ERROR, 503)

    assert answered.headers["x-headworks-degraded"] == "upstream_error, upstream_overloaded"
    assert b"[DONE]" in answered.body
    settled = hall.settled
    assert (settled.outcome, settled.attempts, settled.error_code) == ("answered", 2, "")


def test_once_a_piece_has_gone_out_nothing_else_is_asked(hall, work):
    work.make("fallback: [large, deterministic]\n", fallback={"team": "blue"})
    answered = stream(hall, work, '{"team"')
    work.fail(FailureKind.BROKEN)

    assert last_event(answered)["error"]["code"] == "upstream_broken"
    assert len(hall.upstream.flights) == 1
    assert hall.settled.outcome == "failed"


CALLS = [
    ("look", '{"id": 1}', ""),
    ("look", '{"id": "one"}', "output_invalid"),
    ("look", '{"id":', "output_invalid"),
    ("guess", "{}", "output_invalid"),
    ("erase", "{}", "action_denied"),
    ("pay", "{}", "action_held"),
]


@pytest.mark.parametrize(("name", "arguments", "code"), CALLS)
def test_tool_calls_in_a_chat_stream_are_known_well_formed_and_allowed(hall, work, name, arguments, code):
    work.make(ACTIONS, schema=None, tools=TOOLS)
    answered = work.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    middle = len(arguments) // 2
    work.come(call_chunk("look", '{"id": 2}'), call_chunk(name, arguments[:middle], index=1))
    work.come(call_chunk(arguments=arguments[middle:], index=1))
    work.come(DONE)

    assert hall.settled.error_code == code
    assert (b"[DONE]" in answered.body) == (not code)
    if code:
        assert last_event(answered)["error"]["code"] == code
        assert hall.settled.verdict == (
            "invalid" if code == "output_invalid" else "held" if name == "pay" else "blocked"
        )


@pytest.mark.parametrize(("name", "arguments", "code"), CALLS[:4])
def test_tool_calls_in_a_responses_stream_are_known_and_well_formed(hall, work, name, arguments, code):
    work.make(ACTIONS, schema=None, tools=TOOLS)
    item = call_item(name, arguments)
    added = event("response.output_item.added", output_index=0, item=item | {"arguments": "", "status": "in_progress"})
    answered = responses_stream(hall, work, added)
    work.come(event("response.function_call_arguments.delta", item_id="fc_1", output_index=0, delta=arguments))
    work.come(event("response.output_item.done", output_index=0, item=item), completed(item))

    assert hall.settled.error_code == code
    assert (b"response.completed" in answered.body) == (not code)
    if code:
        assert last_event(answered)["code"] == code


@pytest.mark.parametrize(("name", "code"), [("erase", "action_denied"), ("pay", "action_held")])
def test_a_stream_that_begins_with_a_call_that_may_not_act_is_refused_and_not_asked_for_elsewhere(
    hall, work, name, code
):
    work.make(ACTIONS + "fallback: [large]\nvalidation: {otherwise: fallback}\n", schema=None, tools=TOOLS)
    answered = responses_stream(
        hall, work, event("response.output_item.added", output_index=0, item=call_item(name, ""))
    )
    if name == "pay":  # it is read to its end, for the arguments are to be decided on
        item = call_item(name, "{}")
        work.come(event("response.output_item.done", output_index=0, item=item), completed(item))
    work.settle()

    assert (answered.status, answered.error["code"]) == (403, code)
    assert len(hall.upstream.flights) == 1
    assert hall.settled.error_code == code


def test_what_the_last_event_says_is_judged_though_no_event_before_has_said_it(hall, work):
    """A caller may read nothing but the last event."""
    work.make(ACTIONS, tools=TOOLS)
    answered = responses_stream(hall, work, text_delta(GOOD_TEXT))
    work.come(completed(message_item('{"team": "green"}')))
    assert last_event(answered)["code"] == "output_invalid"
    assert b"green" not in answered.body


def test_a_call_that_only_the_last_event_names_is_judged(hall, work):
    work.make(ACTIONS, schema=None, tools=TOOLS)
    answered = responses_stream(hall, work, text_delta("I will pay."))
    work.come(completed(message_item("I will pay."), call_item("pay", "{}")))

    assert last_event(answered)["code"] == "action_held"
    assert hall.settled.verdict == "held"


@pytest.mark.parametrize(
    "piece",
    [
        chunk("x").replace(b'"index": 0', b'"index": 1'),
        chunk("x").replace(b'"content": "x"', b'"tool_calls": "pay"'),
        chunk("x").replace(b'"content": "x"', b'"function_call": {"name": "pay", "arguments": "{}"}'),
    ],
)
def test_what_cannot_be_read_is_not_passed_over(hall, work, piece):
    work.make(ACTIONS, schema=None, tools=TOOLS)
    answered = stream(hall, work, "Well,")
    work.come(piece)

    assert last_event(answered)["error"]["code"] == "upstream_invalid"
    assert piece not in answered.body


@pytest.mark.parametrize("dialect", ["chat", "responses"])
def test_a_model_may_decline_in_a_stream_as_it_may_in_a_whole_answer(hall, work, dialect):
    work.make()
    if dialect == "chat":
        answered = work.chat(stream=True)
        hall.flight.sink.on_head(200, EVENTS)
        piece = chunk("x").replace(b'"content": "x"', b'"refusal": "I cannot."')
        work.come(piece, DONE)
    else:
        delta = event("response.refusal.delta", item_id="msg_1", output_index=0, content_index=0, delta="I cannot.")
        answered = responses_stream(hall, work, delta)
        work.come(completed())

    assert b"I cannot." in answered.body
    assert (hall.settled.outcome, hall.settled.error_code) == ("answered", "")


@pytest.mark.parametrize(
    ("ticket", "verdict", "code"),
    [
        ("fine", "valid", ""),
        ("mark", "marked", ""),
        ("block", "blocked", "output_blocked"),
        ("broken", "blocked", "output_blocked"),
    ],
)
def test_rules_judge_a_responses_stream_before_its_end(hall, work, ticket, verdict, code):
    work.make(rules=RULES)
    answered = responses_stream(hall, work, text_delta('{"team": "blue"}'), ticket=ticket)
    work.come(completed(message_item('{"team": "blue"}')))

    assert (hall.settled.verdict, hall.settled.error_code) == (verdict, code)
    assert (b"response.completed" in answered.body) == (not code)
    assert (b"\n\n: x-headworks-verdict: marked\n\n" in answered.body) == (verdict == "marked")
    assert b"what the customer wrote" not in answered.body
    if code:
        assert last_event(answered)["code"] == code


def test_a_rule_that_hangs_ends_a_stream_within_its_time(hall, work):
    work.make("validation: {rules_timeout_s: 0.2}\n", rules="def slow(output, context):\n    while True: pass\n")
    answered = stream(hall, work, GOOD_TEXT)
    work.come(DONE)

    assert last_event(answered)["error"]["code"] == "output_blocked"


def test_a_bridged_stream_is_held_to_the_schema_in_the_callers_dialect(hall, work):
    work.make(speaks=[Endpoint.CHAT])
    answered = responses_stream(hall, work, chunk('{"team": '))
    assert hall.flight.body["response_format"]["json_schema"]["strict"] is True
    work.come(chunk('"green"}'))

    assert last_event(answered)["code"] == "output_invalid"
    assert b"green" not in answered.body


def test_a_bridged_stream_passes(hall, work):
    work.make(speaks=[Endpoint.RESPONSES])
    answered = work.chat(stream=True)
    assert hall.flight.body["text"]["format"]["strict"] is True
    hall.flight.sink.on_head(200, EVENTS)
    created = event("response.created", response={"id": "resp_1", "model": "m", "created_at": 1, "output": []})
    work.come(created, text_delta(GOOD_TEXT), completed(message_item(GOOD_TEXT)))

    assert answered.body.endswith(b"[DONE]\n\n")
    assert hall.settled.verdict == "valid"


@pytest.mark.parametrize("ending", [DONE, b""])
def test_a_workloads_stream_is_not_kept_in_the_clear_though_bodies_of_plain_calls_are(hall, work, ending):
    work.make(keeps_bodies=True)
    stream(hall, work, GOOD_TEXT)
    if ending:
        work.come(ending)
    else:
        work.fail(FailureKind.BROKEN)

    assert (hall.settled.request_body, hall.settled.response_body) == (b"", b"")


def test_the_providers_refusal_of_a_stream_is_not_kept_in_the_clear(hall, work):
    work.make(keeps_bodies=True)
    work.chat(stream=True)
    work.answer({"error": {"message": "You wrote: my secret", "type": "x", "code": "y"}}, 400)

    assert hall.settled.response_body == b""


def sse(pieces):
    return b"".join(chunk(piece) for piece in pieces)


@given(cuts=st.lists(st.integers(1, 10_000), max_size=12), text=st.text(max_size=40))
def test_the_text_read_from_a_stream_does_not_depend_on_how_its_bytes_are_cut(cuts, text):
    data = sse([text[:3], text[3:], "ü{}"]) + call_chunk("look", "{}") + DONE
    places = sorted({cut % len(data) for cut in cuts})
    whole, cut = TextDeltas(Endpoint.CHAT), TextDeltas(Endpoint.CHAT)

    expected = whole.feed(data)
    found = "".join(cut.feed(data[start:end]) for start, end in zip([0, *places], [*places, len(data)], strict=True))

    assert found == expected == text + "ü{}"
    assert cut.has_calls is True
    assert [(call.name, call.text) for call in cut.calls] == [("look", "{}")]


SEARCHED = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}
TO_RUN = {"id": "sh_1", "type": "local_shell_call", "status": "completed", "call_id": "c", "action": {"type": "exec"}}


def cited(text):
    item = message_item(text)
    item["content"][0]["annotations"] = [{"type": "file_citation", "file_id": "f", "filename": "a.md", "index": 1}]
    return item


def test_what_tools_at_the_provider_have_done_is_passed_over_and_passed_on(hall, work):
    work.make()
    answered = work.respond()
    work.answer(response_object(SEARCHED, cited(GOOD_TEXT)))

    assert answered.status == 200
    assert json.loads(answered.body)["output"][0] == SEARCHED
    assert hall.settled.verdict == "valid"


def test_the_same_holds_for_a_stream(hall, work):
    work.make()
    answered = responses_stream(
        hall,
        work,
        event("response.output_item.added", output_index=0, item=SEARCHED),
        event("response.output_item.done", output_index=0, item=SEARCHED),
        text_delta(GOOD_TEXT),
        completed(SEARCHED, cited(GOOD_TEXT)),
    )
    work.settle()

    assert b"response.completed" in answered.body
    assert hall.settled.verdict == "valid"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_a_caller_would_have_to_run_and_nobody_can_judge_is_not_passed_on(hall, work, is_streamed):
    work.make()
    if is_streamed:
        answered = responses_stream(
            hall, work, event("response.output_item.added", output_index=0, item=TO_RUN), completed(TO_RUN)
        )
        work.settle()
    else:
        answered = work.respond()
        work.answer(response_object(TO_RUN))

    assert (answered.status, answered.error["code"]) == (502, "upstream_invalid")


def test_a_head_that_comes_at_once_is_no_first_token(hall, work):
    work.make("fallback: [large]\nlatency: {first_token_s: 0.2}\n", schema=None)
    answered = work.chat(stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    for _ in range(100):
        hall.rest(0.01)
        if len(hall.upstream.flights) == 2:
            break
    assert hall.flight.body["model"] == "large"
    hall.flight.sink.on_head(200, EVENTS)
    work.come(chunk("Here."), DONE)

    assert answered.headers["x-headworks-fallback"] == "upstream_timeout"
    assert hall.upstream.flights[0].is_cancelled
    assert hall.settled.outcome == "answered"
