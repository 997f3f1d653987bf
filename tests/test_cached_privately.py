"""Answers of calls whose personal data went up as tokens: kept with tokens, given with values."""

import json
import time

import pytest

from headworks.access import Grant
from headworks.calls import Caller
from headworks.conversation_values import ConversationValues
from headworks.response_cache import MemoryStore, ResponseCache
from played_work import chat_answer, chunk, message_item, response_object
from test_workload_privacy import CARD, MAIL, token_in

CONTRACT = "cache: {ttl_s: 60}\nscreening: {privacy: {}}\n"
DIALECTS = pytest.mark.parametrize("dialect", ["chat", "responses"])


@pytest.fixture
def store():
    return MemoryStore(1 << 20, time.monotonic)


@pytest.fixture
def make(work, store):
    def made(contract=CONTRACT, **options):
        cache = ResponseCache("triage", store, None, time.time, pytest.fail)
        return work.make(contract, cache=cache, cached=[], **({"schema": None} | options))

    return made


def ask(work, dialect, ticket, **fields):
    return work.chat(ticket, **fields) if dialect == "chat" else work.respond(ticket, **fields)


def give(work, dialect, text):
    work.answer(chat_answer(text) if dialect == "chat" else response_object(message_item(text)))


def kept(store):
    return b"".join(data for _, data in store._entries.values())


@DIALECTS
def test_who_asks_the_same_again_gets_the_answer_with_the_values_and_none_lies_in_the_cache(
    hall, work, store, make, dialect
):
    make()
    first = ask(work, dialect, f"Write to {MAIL}")
    give(work, dialect, f"I wrote to {token_in(hall)}.")
    second = ask(work, dialect, f"Write to {MAIL}")

    assert MAIL in first.body.decode()
    assert second.body == first.body
    assert (len(hall.upstream.flights), second.headers["x-headworks-cache"]) == (1, "hit")
    assert len(store) == 1
    assert MAIL.encode() not in kept(store)
    assert b"ada" not in kept(store)
    course = hall.entries()[-1].settled.course
    assert "1 email up" in course
    assert "response cache: 0 s old" in course


def test_another_value_is_another_call(hall, work, make):
    make()
    work.chat(f"Write to {MAIL}")
    give(work, "chat", f"I wrote to {token_in(hall)}.")
    other = work.chat("Write to grace.hopper@example.org")
    give(work, "chat", f"I wrote to {token_in(hall)}.")

    assert other.headers["x-headworks-cache"] == "miss"
    assert b"grace.hopper@example.org" in other.body
    assert MAIL.encode() not in other.body


def test_another_team_has_other_tokens_and_another_answer(hall, work, make):
    make("cache: {scope: team}\nscreening: {privacy: {}}\n")
    hall.ring.grant = Grant(Caller("key_1", "ann", "search"))
    hall.ring.edition = object()
    work.chat(f"Write to {MAIL}")
    give(work, "chat", f"I wrote to {token_in(hall)}.")
    hall.ring.grant = Grant(Caller("key_2", "bob", "sales"))
    hall.ring.edition = object()
    other = work.chat(f"Write to {MAIL}")

    assert other.status == 0
    give(work, "chat", f"I wrote to {token_in(hall)}.")


@pytest.mark.parametrize(
    "said", ["Write to grace.hopper@example.org, too.", f"Their card is {CARD}.", "PII_EMAIL_z9zzzzz has written."]
)
def test_an_answer_with_personal_data_or_tokens_of_its_own_is_not_kept(hall, work, store, make, said):
    make()
    work.chat(f"Write to {MAIL}")
    give(work, "chat", f"I wrote to {token_in(hall)}. {said}")

    assert not len(store)


def test_what_the_caller_sends_beside_is_its_own_and_not_kept(hall, work, store, make):
    make()
    work.respond(f"Write to {MAIL}", metadata={"run": "for Ada"}, user="ada")
    work.answer(response_object(message_item(f"To {token_in(hall)}.")) | {"metadata": {"run": "for Ada"}})
    second = work.respond(f"Write to {MAIL}", metadata={"run": "2"})

    assert b"for Ada" not in kept(store)
    assert json.loads(second.body)["metadata"] == {"run": "2"}
    assert second.headers["x-headworks-cache"] == "hit"


def test_calls_that_come_at_once_make_one(hall, work, make):
    make()
    calls = [work.chat(f"Write to {MAIL}") for _ in range(3)]
    assert len(hall.upstream.flights) == 1
    give(work, "chat", f"I wrote to {token_in(hall)}.")

    assert [MAIL in one.body.decode() for one in calls] == [True] * 3


def test_without_personal_data_it_is_as_anywhere(hall, work, make):
    make()
    work.chat("help")
    give(work, "chat", "Here it is.")

    assert work.chat("help").headers["x-headworks-cache"] == "hit"


def test_an_answer_as_json_comes_back_as_json(hall, work, make):
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    make(schema=schema | {"additionalProperties": False})
    first = work.chat(f"Write to {MAIL}")
    give(work, "chat", json.dumps({"to": token_in(hall)}))
    second = work.chat(f"Write to {MAIL}")

    assert second.body == first.body
    assert json.loads(json.loads(second.body)["choices"][0]["message"]["content"]) == {"to": MAIL}
    assert second.headers["x-headworks-verdict"] == "valid"


def test_streams_are_not_given_again(hall, work, store, make):
    make()
    for _ in range(2):
        answered = work.chat(f"Write to {MAIL}", stream=True)
        hall.flight.sink.on_head(200, {b"content-type": b"text/event-stream"})
        hall.flight.sink.on_body(chunk("hi") + chunk(finish_reason="stop") + b"data: [DONE]\n\n")
        hall.flight.sink.on_end()
        work.settle()
        assert answered.headers["x-headworks-cache"] == "bypass"
    assert not len(store)


def test_what_goes_up_unscreened_is_not_kept(hall, work, store, make, monkeypatch):
    from headworks.screening.privacy import Redactor, ScreeningFailed

    make("cache: {ttl_s: 60}\nscreening: {privacy: {on_failure: open}}\n")

    def fail(self, body, book, entities):
        raise ScreeningFailed("the request")

    monkeypatch.setattr(Redactor, "steps", fail)
    answered = work.chat(f"Write to {MAIL}")
    give(work, "chat", "I did.")

    assert answered.headers["x-headworks-cache"] == "bypass"
    assert not len(store)


def test_the_same_token_for_another_value_is_another_call(hall, work, make, monkeypatch):
    from headworks.screening.privacy import books

    make(values=ConversationValues(b"s" * 32))
    monkeypatch.setattr(books, "suffix_of", lambda key, kind, value, attempt: "a2aaaa" + "abcdefg"[attempt])
    work.chat(messages=[{"role": "user", "content": f"Write to {MAIL}"}])
    give(work, "chat", f"I wrote to {token_in(hall)}.")
    other = work.chat(messages=[{"role": "user", "content": "Write to grace.hopper@example.org"}])

    assert other.status == 0
    give(work, "chat", "I did.")
