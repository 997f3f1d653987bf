"""Whether an answer is kept under its id is said by who keeps it, whatever the request asked for."""

import json

import msgspec
import pytest

from headworks.calls import Endpoint
from headworks.dialects.bridging import BRIDGES
from headworks.dialects.canonical import AnswerMessage, AnswerText, ModelAnswer
from headworks.dialects.chat_answers import encode_chat_answer
from headworks.dialects.events import Ended, Started, Text
from headworks.dialects.responses_answers import ResponseFrame, decode_responses_answer, encode_responses_answer
from headworks.dialects.responses_encoding import ResponsesEncoder
from headworks.dialects.responses_streams import ResponsesDecoder

ASKED = [{}, {"store": msgspec.Raw(b"true")}, {"store": msgspec.Raw(b"false")}]
both = pytest.mark.parametrize("is_stored", [False, True])
asked_for = pytest.mark.parametrize("fields", ASKED, ids=["unsaid", "to be stored", "not to be stored"])


def an_answer(*, is_stored):
    return ModelAnswer("resp_1", "m", 7, (AnswerMessage((AnswerText("Hello."),)),), is_stored=is_stored)


@both
@asked_for
def test_a_whole_response_says_what_its_provider_says(fields, is_stored):
    answer = an_answer(is_stored=is_stored)

    body = encode_responses_answer(answer, ResponseFrame(fields, answer.id))

    assert json.loads(body)["store"] is is_stored
    assert decode_responses_answer(body) == answer


@both
@asked_for
def test_every_event_of_a_stream_that_has_the_response_says_the_same(fields, is_stored):
    encoder = ResponsesEncoder(fields)
    events = [Started("resp_1", "m", 7, is_stored=is_stored), Text("Hello."), Ended("", None)]

    data = b"".join(map(encoder.encode, events))

    told = [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: {")]
    assert [one["response"]["store"] for one in told if "response" in one] == [is_stored] * 3
    (started,) = [event for event in ResponsesDecoder().feed(data) if isinstance(event, Started)]
    assert started.is_stored is is_stored


def test_what_was_written_from_another_apis_words_is_not_stored():
    bridge = BRIDGES[Endpoint.RESPONSES, Endpoint.CHAT](json.dumps({"model": "m", "input": "Hello"}).encode())

    body, _ = bridge.answer(encode_chat_answer(an_answer(is_stored=True)))

    assert json.loads(body)["store"] is False
