"""Names are read by a model before a call goes up; where it cannot be asked, the contract's word holds."""

import asyncio
import re

import pytest

from headworks.config.privacy import Names, PlainScreening, Privacy
from headworks.conversation_values import ConversationValues
from headworks.screened_calls import PlainCalls
from headworks.screening.privacy import EntityFailure, Finding, PrivacyPolicy
from headworks.screening.privacy.entities import Entities
from played_work import chat_answer

NAME = re.compile("Ada Lovelace")


class Pool:
    """A model that knows one name; while `fails` is set, none."""

    fails = ""

    def __init__(self):
        self.read = []

    async def find(self, texts):
        texts = list(texts)
        async with asyncio.timeout(60):  # as the real one does: it takes a task to run in
            await asyncio.sleep(0)
        self.read += texts
        if self.fails:
            raise EntityFailure(self.fails)
        return Entities(
            {
                text: [Finding(match.start(), match.end(), "person", 0.7) for match in NAME.finditer(text)]
                for text in texts
            }
        )


@pytest.fixture
def pool(monkeypatch):
    made = Pool()
    monkeypatch.setattr("headworks.screening.privacy.policy.pool_of", lambda settings: made)
    monkeypatch.setattr("headworks.screening.privacy.policy.check_model", lambda *_: None)
    return made


@pytest.fixture
def plain(hall, tmp_path, pool):
    made = []

    def make(**more):
        made.append(ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: 1.0))
        made[-1].run_on(hall.loop)
        hall.make(
            screening=PlainCalls(PlainScreening(privacy=Privacy(names=Names(), **more)), made[-1]), providers=("stub",)
        )
        return hall

    yield make
    for one in made:
        hall.loop.run_until_complete(one.close())


BODIES = {
    "/v1/chat/completions": {"model": "nano", "messages": [{"role": "user", "content": "I am Ada Lovelace."}]},
    "/v1/responses": {"model": "nano", "input": "I am Ada Lovelace."},
    "/v1/embeddings": {"model": "nano", "input": ["I am Ada Lovelace."]},
    "/v1/messages/count_tokens": {"model": "nano", "messages": [{"role": "user", "content": "I am Ada Lovelace."}]},
    "/v1/conversations": {"items": [{"type": "message", "role": "user", "content": "I am Ada Lovelace."}]},
}


@pytest.mark.parametrize("path", BODIES)
def test_a_name_goes_up_as_a_token_wherever_plain_calls_go(plain, path):
    hall = plain()
    hall.ask(path, BODIES[path])
    hall.turn(10)

    assert b"Lovelace" not in hall.flight.request.body
    assert b"PII_PERSON_" in hall.flight.request.body
    hall.flight.answer({"error": {"message": "no", "type": "x", "code": "y"}}, status=400)
    hall.turn(10)


@pytest.mark.parametrize("path", BODIES)
def test_where_names_cannot_be_read_the_door_is_closed(plain, pool, path):
    pool.fails = "the model's process ended"
    hall = plain()
    answered = hall.ask(path, BODIES[path])
    hall.turn(10)

    assert answered.status == 500
    assert b"screening for personal data failed in the names" in answered.body
    assert not hall.upstream.flights


def test_where_the_contract_says_open_the_rest_is_screened_and_that_is_recorded(plain, pool):
    pool.fails = "the model's process ended"
    hall = plain(on_failure="open")
    hall.ask("/v1/chat/completions", {"model": "nano", "messages": [{"role": "user", "content": "Ada, a@example.org"}]})
    hall.turn(10)

    assert b"Ada, PII_EMAIL_" in hall.flight.request.body
    hall.answer(chat_answer("Hello"))
    assert "names unread" in hall.settled.course


def test_the_names_of_a_form_are_read(plain):
    hall = plain()
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nnano\r\n'
        b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nWith Ada Lovelace\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n'
    )
    hall.ask("/v1/audio/transcriptions", form, turns=9, content_type="multipart/form-data; boundary=b")

    assert b"With PII_PERSON_" in hall.flight.request.body
    hall.answer(b"Said.")


CONTRACT = "screening: {privacy: {names: {}}}\nretention: {content: redacted}\n"


def test_a_workloads_names_come_back_and_what_is_kept_has_none(hall, work, pool):
    desk = work.make(CONTRACT, schema=None)
    answered = desk.chat("Write to Ada Lovelace, please.")
    hall.turn(10)
    assert b"Lovelace" not in hall.flight.request.body
    (token,) = set(re.findall(r"PII_PERSON_\w+", hall.flight.request.body.decode()))

    desk.answer(chat_answer(f"I have written to {token}."))
    assert "I have written to Ada Lovelace." in answered.body.decode()
    assert pool.read


def test_a_workload_whose_model_cannot_be_asked_refuses_its_calls(hall, work, pool):
    pool.fails = "no process was free within 5 s"
    desk = work.make(CONTRACT, schema=None)
    answered = desk.chat("Write to Ada Lovelace, please.")
    hall.turn(10)

    assert (answered.status, answered.error["code"]) == (500, "screening_failed")
    assert not hall.upstream.flights


def test_a_screening_that_skipped_the_model_is_no_screening(pool):
    from headworks.errors import Refusal
    from headworks.name_reading import NameReading

    reading = NameReading(PrivacyPolicy.compile(Privacy(names=Names())), call=None)

    with pytest.raises(Refusal, match="screening"):
        _ = reading.entities
    assert not reading.known.of("Ada Lovelace")
