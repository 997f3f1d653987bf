"""Personal data of calls that belong to no workload: nothing of it goes up, and the caller has it back."""

import json
import re
import sqlite3
from contextlib import closing

import msgspec
import pytest

from headworks.access import Grant
from headworks.calls import Caller
from headworks.config.privacy import PlainScreening, Privacy
from headworks.conversation_values import ConversationValues
from headworks.screened_calls import PlainCalls
from played_streams import chat_stream, chunk, gemini_stream, messages_stream, response, responses_stream

MAIL = "ada.lovelace@example.org"
CARD = "4111 1111 1111 1111"
TOKEN = re.compile(r"PII_[A-Z]+_[a-z0-9]+")
EVENTS = {b"content-type": b"text/event-stream"}


@pytest.fixture
def screen(hall, tmp_path):
    made = []

    def make(settings=None, keeps_bodies=False, **options):
        settings = PlainScreening(privacy=Privacy()) if settings is None else settings
        made.append(ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: 1.0))
        made[-1].run_on(hall.loop)
        screening = PlainCalls(settings, made[-1], keeps_bodies=keeps_bodies)
        hall.make(screening=screening, keeps_bodies=keeps_bodies, **options)
        return hall

    yield make
    for one in made:
        hall.loop.run_until_complete(one.close())


def chat_body(text, **fields):
    return {"model": "nano", "messages": [{"role": "user", "content": text}]} | fields


BODIES = {
    "/v1/chat/completions": chat_body,
    "/v1/responses": lambda text, **fields: {"model": "nano", "input": text} | fields,
    "/v1/messages": lambda text, **fields: chat_body(text, max_tokens=9, **fields),
    "/v1/embeddings": lambda text, **fields: {"model": "nano", "input": [text]} | fields,
    "/v1/completions": lambda text, **fields: {"model": "nano", "prompt": text} | fields,
    "/v1/moderations": lambda text, **fields: {"model": "nano", "input": text} | fields,
    "/v1/images/generations": lambda text, **fields: {"model": "nano", "prompt": text} | fields,
    "/v1/audio/speech": lambda text, **fields: {"model": "nano", "input": text, "voice": "a"} | fields,
    "/v1beta/models/google/gemini-x:generateContent": lambda text, **fields: (
        {"contents": [{"role": "user", "parts": [{"text": text}]}]} | fields
    ),
    "/v1/messages/count_tokens": chat_body,
}


def ask_going_on(hall, *request, **more):
    """A call whose conversation's values a thread reads first, up to its attempt."""
    before = len(hall.upstream.flights)
    answered = hall.ask(*request, **more)
    hall.until(lambda: len(hall.upstream.flights) > before)
    return answered


def token_in(hall):
    (found,) = set(TOKEN.findall(hall.flight.request.body.decode()))
    return found


@pytest.mark.parametrize("path", BODIES)
def test_no_value_goes_up_at_any_endpoint(screen, path):
    hall = screen()
    answered = hall.ask(path, BODIES[path](f"Write to {MAIL}, please."))

    assert MAIL.encode() not in hall.flight.request.body
    assert token_in(hall).startswith("PII_EMAIL_")
    hall.flight.answer({"error": {"message": f"no {token_in(hall)}", "type": "x", "code": "y"}}, status=400)
    hall.turn(10)
    assert answered.status == 400


def test_the_fields_of_a_form_are_screened(screen):
    hall = screen()
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nnano\r\n'
        b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nAda, ' + MAIL.encode() + b"\r\n"
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'
    )
    answered = hall.ask("/v1/audio/transcriptions", form, content_type="multipart/form-data; boundary=b")

    assert MAIL.encode() not in hall.flight.request.body
    assert b"RIFF" in hall.flight.request.body
    hall.answer(b"Said.")
    assert answered.body == b"Said."
    assert "1 files unread" in hall.settled.course


def chat_answer(text, **message):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text} | message}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "x": 12345678901234567890}


def test_the_answer_has_the_value_and_everything_else_as_it_came(screen):
    hall = screen()
    answered = hall.ask("/v1/chat/completions", chat_body(f"Write to {MAIL}."))
    arguments = json.dumps({"to": token_in(hall)})
    call = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": arguments}}
    hall.flight.answer(chat_answer(f"I wrote to {token_in(hall)}.", tool_calls=[call]))
    hall.turn()

    message = json.loads(answered.body)["choices"][0]["message"]
    assert message["content"] == f"I wrote to {MAIL}."
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"to": MAIL}
    assert b'"x":12345678901234567890' in answered.body
    assert hall.settled.course == "screened: 1 email up"


def test_within_json_a_value_is_escaped(screen):
    words = {"client": {"words": ['Ada "the first"']}}
    settings = PlainScreening(privacy=msgspec.convert({"words": words}, Privacy))
    hall = screen(settings)
    answered = hall.ask("/v1/chat/completions", chat_body('For Ada "the first".'))
    hall.flight.answer(chat_answer(json.dumps({"who": token_in(hall)})))
    hall.turn()

    content = json.loads(answered.body)["choices"][0]["message"]["content"]
    assert json.loads(content) == {"who": 'Ada "the first"'}


def test_a_clean_call_goes_up_and_comes_back_byte_for_byte(screen):
    hall = screen()
    body = b'{"model": "nano",  "messages": [{"role": "user", "content": "caf\\u00e9 1.50"}], "x": 1.50}'
    answered = hall.ask("/v1/chat/completions", body)
    assert b'[{"role": "user", "content": "caf\\u00e9 1.50"}]' in hall.flight.request.body
    raw = json.dumps(chat_answer("caf\u00e9")).encode()
    hall.answer(raw)
    assert answered.body == raw
    assert hall.settled.course == ""


def test_calls_of_a_team_and_of_a_model_are_screened_as_configuration_says(screen):
    blocking = Privacy(otherwise="block")
    hall = screen(PlainScreening(privacy=None, teams={"legal": blocking}, unscreened=("bridged",)))
    hall.ask("/v1/chat/completions", chat_body(MAIL))
    assert MAIL.encode() in hall.flight.request.body
    hall.answer()

    hall.ring.grant = Grant(Caller("key_1", "ann", "legal"))
    refused = hall.ask("/v1/chat/completions", chat_body(MAIL))
    assert (refused.status, refused.error["code"], MAIL in refused.body.decode()) == (
        400,
        "personal_data_blocked",
        False,
    )
    hall.ask("/v1/chat/completions", chat_body(MAIL, model="bridged"))
    assert MAIL.encode() in hall.flight.request.body
    hall.answer()


def test_a_further_attempt_at_another_dialect_is_treated_as_well(screen):
    hall = screen()
    answered = hall.ask("/v1/chat/completions", chat_body(f"To {MAIL}.", model="smart"), turns=6)
    token = token_in(hall)
    hall.flight.answer({"error": {"message": "x"}}, status=503)
    hall.turn(6)
    assert MAIL.encode() not in hall.flight.request.body
    assert token_in(hall) == token
    hall.answer(chat_answer(f"Sent to {token}."))
    hall.turn(6)
    assert f"Sent to {MAIL}." in answered.body.decode()


def test_headers_that_go_up_are_screened(screen):
    hall = screen()
    hall.ask("/v1/chat/completions", chat_body("Hello"), idempotency_key=f"for-{MAIL}")
    assert MAIL.encode() not in hall.flight.request.headers
    assert b"idempotency-key: PII_EMAIL_" in hall.flight.request.headers
    hall.answer()


@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_the_model_brings_up_can_be_blocked_and_is_on_record(screen, is_streamed):
    hall = screen(PlainScreening(privacy=Privacy(answer="block")))
    answered = hall.ask("/v1/chat/completions", chat_body("Who was it?", stream=is_streamed))
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(chunk(f"It was {MAIL}, ") + chunk("I am quite sure of that. ", finish_reason="stop"))
        hall.flight.sink.on_body(b"data: [DONE]\n\n")
        hall.turn(10)
    else:
        hall.answer(chat_answer(f"It was {MAIL}."))
        hall.turn(5)

    assert b"output_blocked" in answered.body
    assert MAIL.encode() not in answered.body
    assert hall.settled.outcome == "failed"
    assert "of the model's own" in hall.settled.course


def test_what_the_model_brings_up_is_reported_and_unknown_tokens_are_flagged(screen):
    hall = screen()
    answered = hall.ask("/v1/chat/completions", chat_body("Who was it?"))
    hall.answer(chat_answer(f"It was {MAIL}, or PII_EMAIL_k3fxab9."))
    hall.turn(3)
    assert MAIL.encode() in answered.body
    assert b"PII_EMAIL_k3fxab9" in answered.body
    assert hall.settled.course == "screened: 1 email of the model's own, 1 unknown tokens"


def test_tokens_stay_where_nothing_is_to_be_restored(screen):
    hall = screen(PlainScreening(privacy=Privacy(restore="nothing")))
    answered = hall.ask("/v1/chat/completions", chat_body(f"To {MAIL}."))
    token = token_in(hall)
    hall.answer(chat_answer(f"Sent to {token}."))
    assert f"Sent to {token}." in answered.body.decode()


def test_a_token_that_a_caller_types_is_nobodys(screen):
    hall = screen()
    hall.ask("/v1/chat/completions", chat_body(f"To {MAIL}."))
    token = token_in(hall)
    hall.answer()

    answered = hall.ask("/v1/chat/completions", chat_body(f"What is {token}?"))
    hall.answer(chat_answer(f"It is {token}."))
    assert MAIL.encode() not in answered.body

    answered = hall.ask("/v1/chat/completions", chat_body(f"Is {token} the one of {MAIL}?"))
    up = hall.flight.body["messages"][0]["content"]
    assert up.count("PII_EMAIL_") == 1
    hall.answer(chat_answer(up))
    assert f"Is {token} the one of {MAIL}?" in answered.body.decode()


def test_over_turns_of_a_conversation_that_the_provider_keeps_tokens_lead_back(screen, tmp_path):
    hall = screen()
    hall.own("resp_1")
    hall.own("resp_2")
    answered = hall.ask("/v1/responses", {"model": "nano", "input": f"I am {MAIL}."})
    token = token_in(hall)
    hall.answer(response(f"Hello {token}.", "resp_1"))
    hall.until(lambda: answered.status)
    assert MAIL in answered.body.decode()

    hall = screen()  # another worker, or the same one after a restart
    answered = ask_going_on(
        hall, "/v1/responses", {"model": "nano", "input": "Again?", "previous_response_id": "resp_1"}
    )
    hall.answer(response(f"You are {token}.", "resp_2"))
    hall.until(lambda: answered.status)
    assert f"You are {MAIL}." in answered.body.decode()

    answered = ask_going_on(hall, "/v1/responses/resp_2", method="GET")
    hall.answer(response(f"You are {token}.", "resp_2"))
    hall.until(lambda: answered.status)
    assert f"You are {MAIL}." in answered.body.decode()

    hall.ring.grant = Grant(Caller("key_2", "bob", "other"))
    answered = hall.ask("/v1/chat/completions", chat_body(f"What is {token}?"))
    hall.answer(chat_answer(f"{token}"))
    assert MAIL.encode() not in answered.body


def locked(folder):
    """The vault, with another process in the middle of a write: what a disk is like that takes its time."""
    connection = sqlite3.connect(folder / "privacy.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return closing(connection)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_while_its_values_are_written_an_answer_waits_and_no_other_call_does(screen, tmp_path, is_streamed):
    hall = screen()
    first = hall.ask("/v1/responses", {"model": "nano", "input": f"I am {MAIL}."})
    hall.answer(response(f"Hello {token_in(hall)}.", "resp_0"))
    hall.until(lambda: first.status)  # the file is there now

    with locked(tmp_path) as others:
        waiting = hall.ask("/v1/responses", {"model": "nano", "input": f"I am {CARD}.", "stream": is_streamed}, turns=5)
        (token,) = set(TOKEN.findall(hall.flight.request.body.decode()))
        if is_streamed:
            hall.flight.sink.on_head(200, EVENTS)
            hall.flight.sink.on_body(b"".join(responses_stream(f"Hello {token}.")))
            hall.flight.sink.on_end()
        else:
            hall.flight.answer(response(f"Hello {token}.", "resp_1"))
        hall.turn(20)
        assert not waiting.is_over
        other = hall.ask("/v1/chat/completions", chat_body("Hello"))
        hall.answer(chat_answer("Hi."))
        assert other.status == 200
        assert not waiting.is_over
        others.execute("ROLLBACK")
    hall.until(lambda: waiting.is_over)

    assert waiting.status == 200


def test_a_caller_that_goes_away_takes_no_values_along(screen, tmp_path):
    hall = screen()
    hall.own("resp_1")
    first = hall.ask("/v1/responses", {"model": "nano", "input": f"I am {MAIL}."})
    hall.answer(response(f"Hello {token_in(hall)}.", "resp_0"))
    hall.until(lambda: first.status)
    with locked(tmp_path) as others:
        gone = hall.ask("/v1/responses", {"model": "nano", "input": f"I am {CARD}."}, turns=5)
        (token,) = set(TOKEN.findall(hall.flight.request.body.decode()))
        hall.flight.answer(response(f"Hello {token}.", "resp_1"))
        hall.turn(9)
        gone.running.cancel()
        others.execute("ROLLBACK")
        hall.until(lambda: others.execute("SELECT count(*) FROM entries").fetchone() == (2,))

    hall = screen()
    asked = ask_going_on(hall, "/v1/responses/resp_1", method="GET")
    hall.answer(response(f"You have {token}.", "resp_1"))
    hall.until(lambda: asked.status)
    assert f"You have {CARD}." in asked.body.decode()


STREAMS = {
    "/v1/chat/completions": (chat_stream, {"stream": True}, r'"content": ?("(?:[^"\\]|\\.)*")'),
    "/v1/responses": (responses_stream, {"stream": True}, r'"delta": ?("(?:[^"\\]|\\.)*")'),
    "/v1/messages": (messages_stream, {"stream": True}, r'_delta", ?"text": ?("(?:[^"\\]|\\.)*")'),
    "/v1beta/models/google/gemini-x:streamGenerateContent": (gemini_stream, {}, r'"text": ?("(?:[^"\\]|\\.)*")'),
}


def ask_stream(hall, path, text):
    body = BODIES[path.replace("stream", "").replace("Generate", "generate")](text, **STREAMS[path][1])
    return hall.ask(path, body, query="alt=sse" if "Generate" in path else "", turns=5)


@pytest.mark.parametrize("step", [1, 3, 100])
@pytest.mark.parametrize("path", STREAMS)
def test_in_a_stream_of_any_dialect_a_token_may_be_cut_anywhere(screen, path, step):
    hall = screen()
    answered = ask_stream(hall, path, f"Write to {MAIL}, please.")
    said = f"Done: {token_in(hall)}"
    hall.flight.sink.on_head(200, EVENTS)
    for event in STREAMS[path][0]([said[at : at + step] for at in range(0, len(said), step)]):
        hall.flight.sink.on_body(event[:20])
        hall.flight.sink.on_body(event[20:])
    hall.flight.sink.on_end()
    hall.until(lambda: answered.is_over)

    told = answered.body.decode()
    assert TOKEN.search(told) is None
    assert "".join(json.loads(one) for one in re.findall(STREAMS[path][2], told)) == f"Done: {MAIL}"
    numbers = [int(one) for one in re.findall(r'"sequence_number": ?(\d+)', told)]
    assert numbers == list(range(len(numbers)))
    assert hall.settled.outcome == "answered"


def test_a_stream_in_which_nothing_is_restored_goes_on_byte_for_byte(screen):
    hall = screen()
    answered = hall.ask("/v1/chat/completions", chat_body("Hi", stream=True, stream_options={"include_usage": True}))
    hall.flight.sink.on_head(200, EVENTS)
    sent = b": hello\n\n" + b"".join(chat_stream(["Well, ", "Pa", "II do not know. P"]))
    hall.flight.sink.on_body(sent)
    hall.turn(10)
    assert answered.body.replace(b'"content":""', b'"content": ""').count(b"data: ") >= 5
    texts = re.findall(r'"content": ?"([^"]*)"', answered.body.decode())
    assert "".join(texts) == "Well, PaII do not know. P"
    assert hall.gateway.in_flight == 0


def test_stored_things_are_screened_where_they_are_made(screen):
    hall = screen(providers=("stub",))
    hall.ask("/v1/conversations", {"items": [{"type": "message", "role": "user", "content": MAIL}]}, turns=9)
    assert MAIL.encode() not in hall.flight.request.body
    hall.answer({"id": "conv_1", "object": "conversation"})
    hall.turn(5)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_records_that_hold_bodies_hold_no_value(screen, is_streamed):
    hall = screen(keeps_bodies=True)
    answered = hall.ask("/v1/chat/completions", chat_body(f"To {MAIL}.", stream=is_streamed), turns=6)
    said = f"Sent to {token_in(hall)}."
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        hall.flight.sink.on_body(b"".join(chat_stream([said[:3], said[3:]])))
        hall.turn(10)
    else:
        hall.answer(chat_answer(said))
        hall.turn(4)

    assert f"Sent to {MAIL}." in "".join(re.findall(r'"content": ?"([^"]*)"', answered.body.decode()))
    settled = hall.settled
    assert b"PII_EMAIL_" in settled.request_body
    assert b"PII_EMAIL_" in settled.response_body
    assert MAIL.encode() not in settled.request_body + settled.response_body


def test_what_is_neither_json_nor_a_form_is_refused_as_ever(screen):
    hall = screen()
    answered = hall.ask("/v1/chat/completions", b"hello", content_type="text/plain")

    assert (answered.status, answered.error["code"]) == (415, "unsupported_content_type")
    assert hall.upstream.flights == []


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/images/generations", {"created": 1, "data": [], "usage": {"input_tokens": 9, "output_tokens": 5}}),
        ("/v1/embeddings", {"data": [], "model": "m", "usage": {"prompt_tokens": 9, "total_tokens": 9}}),
    ],
)
def test_what_a_screened_call_used_is_read_wherever_it_is_told(screen, path, answer):
    hall = screen()
    hall.ask(path, BODIES[path](f"Write to {MAIL}, please."))
    hall.answer(answer)

    assert (hall.settled.input_tokens, hall.settled.usage_source) == (9, "provider")
