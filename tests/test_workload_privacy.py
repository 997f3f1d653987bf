"""Personal data of a workload's calls: tokens go up, values come back, and what is kept holds none."""

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Caller, Endpoint
from headworks.config.privacy import Privacy
from headworks.conversation_values import ConversationValues
from headworks.dialects.events import Ended, Text, Thought
from headworks.privacy_bridge import CallPrivacy
from headworks.records.content import ContentVault
from headworks.screening.privacy import PrivacyPolicy
from headworks.settlement import OpenCall
from played_work import (
    EVENTS,
    TOOLS,
    call_chunk,
    call_item,
    chat_answer,
    chunk,
    completed,
    event,
    message_item,
    response_object,
    text_delta,
)

MAIL = "ada.lovelace@example.org"
CARD = "4111 1111 1111 1111"
CONTRACT = "screening: {privacy: {}}\n"
TOKEN = re.compile(r"PII_[A-Z]+_[a-z0-9]+")
BOTH = pytest.mark.parametrize("dialect", ["chat", "responses"])


@pytest.fixture
def desk(work):
    return work.make(CONTRACT, schema=None, tools=[tool | {"parameters": {"type": "object"}} for tool in TOOLS])


def ask(desk, dialect, ticket, **fields):
    return desk.chat(ticket, **fields) if dialect == "chat" else desk.respond(ticket, **fields)


def token_in(hall):
    (found,) = set(TOKEN.findall(hall.flight.request.body.decode()))
    return found


def give(desk, dialect, text="", calls=()):
    if dialect == "chat":
        desk.answer(chat_answer(text or None, calls))
    else:
        desk.answer(response_object(*([message_item(text)] if text else []), *(call_item(*call) for call in calls)))


@BOTH
def test_a_value_goes_up_as_a_token_and_comes_back_as_itself(hall, desk, dialect):
    answered = ask(desk, dialect, f"Write to {MAIL}, please.")
    assert MAIL.encode() not in hall.flight.request.body

    give(desk, dialect, f"I have written to {token_in(hall)}.")
    assert f"I have written to {MAIL}." in answered.body.decode()
    assert hall.settled.outcome == "answered"


@BOTH
def test_arguments_of_tools_have_the_value_where_they_are_judged(hall, desk, dialect):
    answered = ask(desk, dialect, f'Look {MAIL} up, he is "Ada".')
    give(desk, dialect, calls=[("look", json.dumps({"mail": token_in(hall)}))])

    assert json.loads(re.search(r'"arguments":"((?:[^"\\]|\\.)*)"', answered.body.decode())[1].replace('\\"', '"')) == {
        "mail": MAIL
    }


@BOTH
def test_in_a_stream_a_token_may_be_cut_anywhere(hall, desk, dialect):
    answered = ask(desk, dialect, f"Write to {MAIL}, please.", stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    said = f"Done: {token_in(hall)} has it."
    for at in range(0, len(said), 3):
        piece = said[at : at + 3]
        hall.flight.sink.on_body(chunk(piece) if dialect == "chat" else _delta(piece, at == 0))
    end = chunk(finish_reason="stop") + b"data: [DONE]\n\n" if dialect == "chat" else completed(message_item(said))
    hall.flight.sink.on_body(end)
    hall.turn(10)

    assert TOKEN.search(answered.body.decode()) is None
    pieces = re.findall(r'"(?:content|delta)":"([^"]*)"', answered.body.decode())
    assert f"Done: {MAIL} has it." in "".join(pieces)
    assert hall.settled.outcome == "answered"


def _delta(piece, is_first):
    if not is_first:
        return text_delta(piece)
    created = event("response.created", response=response_object(status="in_progress"))
    item = message_item("") | {"content": [], "status": "in_progress"}
    part = {"type": "output_text", "text": "", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 0}
    return (
        created
        + event("response.output_item.added", output_index=0, item=item)
        + event("response.content_part.added", content_index=0, part=part, **place)
        + text_delta(piece)
    )


def test_in_a_stream_arguments_have_the_value(hall, desk):
    answered = desk.chat(f"Look {MAIL} up.", stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    arguments = json.dumps({"mail": token_in(hall)})
    hall.flight.sink.on_body(call_chunk("look", arguments[:14]) + call_chunk(arguments=arguments[14:]))
    hall.flight.sink.on_body(chunk(finish_reason="tool_calls") + b"data: [DONE]\n\n")
    hall.turn(10)

    data = [json.loads(line[6:]) for line in answered.body.splitlines() if line.startswith(b"data: {")]
    deltas = [choice["delta"] for one in data for choice in one["choices"]]
    told = "".join(call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", []))
    assert json.loads(told) == {"mail": MAIL}


def test_what_the_model_thinks_has_the_value_wherever_it_was_cut():
    book_of = ConversationValues(b"s")
    call = OpenCall("c", Caller("k"), "chat.completions", 0, 0, 0.0)
    privacy = CallPrivacy(PrivacyPolicy.compile(Privacy()), book_of, call)
    token = privacy.redact_text(MAIL)

    class Pieces:
        def feed(self, piece):
            return {"t": [Thought(token[:9]), Thought(token[9:])], "x": [Text("Well. ")], "e": [Ended("", None)]}[piece]

    decoder = privacy.wrap(Pieces(), is_json=False)
    events = [*decoder.feed("t"), *decoder.feed("x"), *decoder.feed("e")]
    assert "".join(one.text for one in events if isinstance(one, Thought)) == MAIL
    assert [type(one) for one in events][-2:] == [Text, Ended]


def test_arguments_that_the_model_makes_up_can_be_blocked(hall, work):
    tools = [tool | {"parameters": {"type": "object"}} for tool in TOOLS]
    work.make("screening: {privacy: {answer: block}}\n", schema=None, tools=tools)
    answered = work.chat("Look it up.")
    work.answer(chat_answer(None, [("look", json.dumps({"mail": MAIL}))]))
    assert answered.error["code"] == "output_blocked"


def test_within_json_a_value_is_escaped_as_it_has_to_be(hall, work):
    schema = {
        "type": "object",
        "properties": {"team": {"type": "string"}},
        "required": ["team"],
        "additionalProperties": False,
    }
    words = "screening: {privacy: {words: {client: {words: ['Ada \"the first\" Lovelace']}}}}\n"
    answered = work.make(words, schema=schema).chat('For Ada "the first" Lovelace.')
    work.answer(chat_answer(json.dumps({"team": token_in(hall)})))

    content = json.loads(answered.body)["choices"][0]["message"]["content"]
    assert json.loads(content) == {"team": 'Ada "the first" Lovelace'}
    assert hall.settled.verdict == "valid"


def test_a_repair_turn_goes_up_with_tokens_too(hall, work):
    work.make(CONTRACT + "validation: {repairs: 1}\n").chat(f"From {MAIL}.")
    token = token_in(hall)
    work.answer(chat_answer(json.dumps({"team": token})))

    assert MAIL.encode() not in hall.flight.request.body
    assert token in hall.flight.body["messages"][-2]["content"]
    work.answer(chat_answer('{"team": "red"}'))


def test_what_the_contract_blocks_is_refused_before_anything_goes_up(hall, work):
    answered = work.make("screening: {privacy: {kinds: {card: block}}}\n", schema=None).chat(f"My card is {CARD}.")
    assert (answered.status, hall.upstream.flights) == (400, [])
    assert CARD not in answered.body.decode()
    assert hall.settled.outcome == "refused"


def test_what_the_model_brings_up_can_be_blocked(hall, work):
    work.make("screening: {privacy: {answer: block}}\n", schema=None)
    answered = work.chat("Who was it?")
    work.answer(chat_answer(f"It was {MAIL}."))
    assert answered.error["code"] == "output_blocked"
    assert MAIL not in answered.body.decode()
    assert hall.settled.verdict == "blocked"
    assert MAIL not in hall.settled.course


def test_a_stream_in_which_the_model_brings_it_up_is_withheld_where_it_is_stored_too(hall, work):
    work.make("screening: {privacy: {answer: block}}\n", schema=None)
    answered = work.respond("Who was it?", stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    hall.flight.sink.on_body(_delta("It was ", True))
    work.come(_delta(f"{MAIL}, ", False), completed(message_item(f"It was {MAIL}, ")))

    assert b"output_blocked" in answered.body
    assert MAIL.encode() not in answered.body
    assert hall.settled.verdict == "blocked"
    assert hall.ask("/v1/responses/resp_1", method="GET", turns=20).status == 404


def test_an_answer_from_another_dialect_has_its_values_back(hall, work):
    work.make(CONTRACT, schema=None, speaks=[Endpoint.CHAT])
    answered = work.respond(f"Write to {MAIL}.")
    work.answer(chat_answer(f"To {token_in(hall)}."))
    assert json.loads(answered.body)["output"][0]["content"][0]["text"] == f"To {MAIL}."


@pytest.mark.parametrize("is_screened", [True, False])
@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("words", [1, 2000], ids=["short", "long"])
def test_what_is_kept_redacted_holds_no_value(hall, work, is_streamed, is_screened, words):
    work.make((CONTRACT if is_screened else "") + "retention: {content: redacted}\n", schema=None)
    work.chat(f"Write to {MAIL}, {'please ' * words}.", stream=is_streamed)
    hall.turn(10)
    said = f"Done: {token_in(hall)}." if is_screened else f"Done: {MAIL}."
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(chunk(said[:9]) + chunk(said[9:]) + chunk(finish_reason="stop") + b"data: [DONE]\n\n")
        hall.turn(10)
    else:
        work.answer(chat_answer(said))

    settled, vault = hall.settled, ContentVault(b"s" * 32)
    sealed = {"request": settled.request_body, "response": settled.response_body, "values": settled.template_values}
    for kind, piece in sealed.items():
        kept = vault.open(settled.opened.call_id, "triage", kind, piece).decode()
        assert TOKEN.search(kept), (kind, kept)
        assert MAIL not in kept


def test_what_cannot_be_kept_redacted_is_not_kept(hall, work, capsys):
    work.make("retention: {content: redacted}\nscreening: {privacy: {kinds: {email: block}}}\n", schema=None)
    answered = work.chat("Hello")
    work.answer(chat_answer(f"It is {MAIL}."))
    assert answered.status == 200
    assert hall.settled.response_body == b""
    assert "could not be redacted" in capsys.readouterr().err


@given(cuts=st.lists(st.integers(0, 60), max_size=8), before=st.text(max_size=8), after=st.text(max_size=8))
def test_however_it_is_cut_a_stream_says_the_same(cuts, before, after):
    privacy = CallPrivacy(
        PrivacyPolicy.compile(Privacy(answer="allow")),
        ConversationValues(b"s"),
        OpenCall("c", Caller("k"), "chat.completions", 0, 0, 0.0),
    )
    said = before + " " + privacy.redact_text(f" {MAIL} ") + after

    class Pieces:
        def feed(self, piece):
            return [Text(piece)] if piece else [Ended("", None)]

    decoder = privacy.wrap(Pieces(), is_json=False)
    places = [0, *sorted(min(cut, len(said)) for cut in cuts), len(said)]
    events = [
        one
        for start, end in itertools.pairwise(places)
        for one in (decoder.feed(said[start:end]) if end > start else [])
    ]
    events += decoder.feed("")
    assert "".join(one.text for one in events if isinstance(one, Text)) == before + " " + f" {MAIL} " + after
    assert isinstance(events[-1], Ended)


def test_over_turns_that_the_provider_remembers_tokens_of_earlier_ones_lead_back(hall, work, tmp_path):
    """Another worker, or the same one after a restart, has nothing but the file."""
    contract = CONTRACT + "state: provider\n"
    values = ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: 1.0)
    values.run_on(hall.loop)
    work.make(contract, schema=None, values=values)
    first = work.respond(f"I am {MAIL}.", store=True)
    token = token_in(hall)
    work.answer(response_object(message_item(f"Hello {token}.")))
    hall.loop.run_until_complete(values.close())
    assert json.loads(first.body)["id"] == "resp_1"
    hall.own("resp_1")

    work.make(contract, schema=None, values=values)
    answered = work.respond("Again?", previous_response_id="resp_1")
    hall.until(lambda: len(hall.upstream.flights) == 2)
    work.answer(response_object(message_item(f"You are {token}.")))
    hall.until(lambda: answered.status)
    hall.loop.run_until_complete(values.close())

    assert f"You are {MAIL}." in answered.body.decode()


def test_after_a_repair_turn_tokens_lead_back_from_the_answer_that_went_out(hall, work, tmp_path):
    contract = CONTRACT + "state: provider\nvalidation: {repairs: 1}\n"
    values = ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: 1.0)
    values.run_on(hall.loop)
    work.make(contract, values=values)
    answered = work.respond(f"I am {MAIL}.", store=True)
    token = token_in(hall)
    work.answer(response_object(message_item('{"team": "green"}')) | {"id": "resp_1"})
    hall.until(lambda: len(hall.upstream.flights) == 2)
    work.answer(response_object(message_item('{"team": "red"}')) | {"id": "resp_2"})
    hall.until(lambda: answered.status)
    hall.loop.run_until_complete(values.close())
    assert answered.status == 200
    hall.own("resp_2")

    free = {"type": "object", "properties": {"team": {"type": "string"}}, "required": ["team"]}
    work.make(contract, schema=free | {"additionalProperties": False}, values=values)
    answered = work.respond("Again?", previous_response_id="resp_2")
    hall.until(lambda: len(hall.upstream.flights) == 3)
    work.answer(response_object(message_item(json.dumps({"team": token}))))
    hall.until(lambda: answered.status)
    hall.loop.run_until_complete(values.close())

    assert MAIL in answered.body.decode()


def test_what_was_found_is_on_record_by_kind(hall, desk):
    desk.chat(f"Write to {MAIL}, please.")
    desk.answer(chat_answer("I have asked bob@example.com, and PII_EMAIL_k3fxab9."))

    assert hall.settled.course.startswith("screened: 1 email up, 1 email of the model's own, 1 unknown tokens; ")


def test_the_end_of_a_text_that_was_held_back_comes_before_a_call(hall, desk):
    answered = desk.respond(f"Look {MAIL} up.", stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    call = call_item("look", "{}")
    added = event("response.output_item.added", output_index=1, item=call | {"arguments": "", "status": "in_progress"})
    told = event("response.function_call_arguments.delta", item_id=call.get("id", "fc_1"), output_index=1, delta="{}")
    hall.flight.sink.on_body(_delta("Let me look it up", True) + added + told)
    hall.flight.sink.on_body(completed(message_item("Let me look it up"), call))
    hall.turn(10)

    (last,) = re.findall(rb"data: (.*response\.completed.*)", answered.body)
    output = json.loads(last)["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call"]
    assert output[0]["content"][0]["text"] == "Let me look it up"


@BOTH
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_refusal_has_the_values_too(hall, desk, dialect, is_streamed):
    answered = ask(desk, dialect, f"Write to {MAIL}, please.", stream=is_streamed)
    said = f"I cannot write to {token_in(hall)}."
    message = message_item("") | {"content": [{"type": "refusal", "refusal": said}]}
    if not is_streamed:
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": None, "refusal": said},
        }
        whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        desk.answer(whole if dialect == "chat" else response_object(message))
    elif dialect == "chat":
        hall.flight.sink.on_head(200, EVENTS)
        for piece in (said[:24], said[24:]):
            one = {"index": 0, "delta": {"refusal": piece}, "finish_reason": None}
            event_of = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [one]}
            hall.flight.sink.on_body(b"data: " + json.dumps(event_of).encode() + b"\n\n")
        hall.flight.sink.on_body(chunk(finish_reason="stop") + b"data: [DONE]\n\n")
    else:
        hall.flight.sink.on_head(200, EVENTS)
        item = message | {"content": [], "status": "in_progress"}
        hall.flight.sink.on_body(event("response.created", response=response_object(status="in_progress")))
        hall.flight.sink.on_body(event("response.output_item.added", output_index=0, item=item))
        for piece in (said[:24], said[24:]):
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
            hall.flight.sink.on_body(event("response.refusal.delta", delta=piece, **place))
        hall.flight.sink.on_body(completed(message))
    hall.turn(10)

    pieces = re.findall(r'"(?:refusal|delta)":"([^"]*)"', answered.body.decode())
    assert f"I cannot write to {MAIL}." in "".join(pieces)
    assert TOKEN.search(answered.body.decode()) is None


@pytest.mark.parametrize(("answer", "is_told"), [("mask", False), ("remove", False), ("report", True)])
def test_probabilities_are_told_only_where_nothing_is_taken_out(hall, work, answer, is_told):
    work.make(f"screening: {{privacy: {{answer: {answer}}}}}\n", schema=None)
    answered = work.chat("Who was it?", logprobs=True)
    body = chat_answer(f"It was {MAIL}.")
    tokens = [{"token": one, "logprob": -0.1, "bytes": None, "top_logprobs": []} for one in ("It was ada", ".lovelace")]
    body["choices"][0]["logprobs"] = {"content": tokens, "refusal": None}
    work.answer(body)

    assert answered.status == 200
    assert (".lovelace" in answered.body.decode()) is is_told
