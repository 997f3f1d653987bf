"""One call that goes up in several requests, as a dialogue of caller, gateway and upstream."""

import json

import pytest

from headworks.calls import Endpoint, Failure, FailureKind
from headworks.catalogue import TargetPrice
from headworks.catalogue.prices import Period, Prices, Rates
from headworks.dialects.embeddings import PartAnswer, packed_answers
from headworks.exchange import Timeouts, UpstreamRequest
from headworks.parted import MOST_AT_ONCE, MOST_BYTES, PartedRequest

TITAN = "aws/amazon.titan-embed-text-v2:0"
PRICE = TargetPrice(Prices(periods=(Period(rates=Rates(input=20_000)),)), "book-1")


@pytest.fixture
def at_aws(hall):
    """The gateway with a model of Bedrock's that embeds, and a price for it."""
    hall.price = PRICE
    hall.make()
    return hall


def ask(hall, count, **fields):
    texts = [f"text {index}" for index in range(count)]
    return hall.ask("/v1/embeddings", {"model": TITAN, "input": texts} | fields)


def vector_of(flight):
    return [float(flight.body["inputText"].removeprefix("text ")), 0.25]


def answer(hall, flight, tokens=3):
    flight.answer({"embedding": vector_of(flight), "inputTextTokenCount": tokens})
    hall.turn()


def test_texts_that_are_asked_one_at_a_time_are_answered_as_one(at_aws):
    answered = ask(at_aws, 3)
    flights = at_aws.upstream.flights
    line = b"POST /model/amazon.titan-embed-text-v2%3A0/invoke HTTP/1.1\r\n"
    assert [flight.request.line for flight in flights] == [line] * 3
    for flight in reversed(flights):
        assert not answered.is_over
        answer(at_aws, flight)
    told = json.loads(answered.body)
    assert [one["embedding"][0] for one in told["data"]] == [0.0, 1.0, 2.0]
    assert told["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert answered.headers["content-type"] == "application/json"
    settled = at_aws.settled
    assert (settled.outcome, settled.attempts, settled.input_tokens, settled.usage_source) == (
        "answered", 1, 9, "provider",
    )  # fmt: skip
    assert settled.cost_pico == 9 * 20_000
    assert settled.opened.endpoint == Endpoint.EMBEDDINGS


def test_so_many_are_under_way_at_once_and_no_more(at_aws):
    answered = ask(at_aws, MOST_AT_ONCE + 2)
    flights = at_aws.upstream.flights
    assert len(flights) == MOST_AT_ONCE
    answer(at_aws, flights[0])
    assert len(flights) == MOST_AT_ONCE + 1
    for flight in flights:  # which grows on the way
        if flight is not flights[0]:
            answer(at_aws, flight)
    assert len(flights) == MOST_AT_ONCE + 2
    assert len(json.loads(answered.body)["data"]) == MOST_AT_ONCE + 2


def test_where_one_is_refused_no_more_is_sent_and_what_was_used_is_paid(at_aws):
    answered = ask(at_aws, MOST_AT_ONCE + 5)
    flights = list(at_aws.upstream.flights)
    answer(at_aws, flights[0])
    sent = len(at_aws.upstream.flights)
    flights[1].answer({"message": "Too many input tokens."}, status=400, x_amzn_errortype="ValidationException")
    at_aws.turn()
    assert not answered.is_over  # the others are under way, and cost something
    for flight in at_aws.upstream.flights[2:]:
        answer(at_aws, flight)
    assert len(at_aws.upstream.flights) == sent
    assert (answered.status, answered.error["message"]) == (400, "Too many input tokens.")
    settled = at_aws.settled
    used = 3 * (sent - 1)
    assert (settled.outcome, settled.input_tokens, settled.cost_pico) == ("failed", used, used * 20_000)


def test_where_what_was_answered_does_not_say_its_tokens_the_cost_is_not_known(at_aws):
    answered = ask(at_aws, 2)
    first, second = at_aws.upstream.flights
    first.answer({"embedding": [0.5]})
    second.answer({"message": "Too many input tokens."}, status=400, x_amzn_errortype="ValidationException")
    at_aws.turn()
    assert answered.status == 400
    assert at_aws.settled.cost_pico == -1


def test_a_part_that_breaks_fails_the_call(at_aws):
    answered = ask(at_aws, 2)
    first, second = at_aws.upstream.flights
    second.sink.on_failure(Failure(FailureKind.BROKEN, "it broke"))
    answer(at_aws, first)
    assert (answered.status, answered.error["code"]) == (502, "upstream_broken")
    assert at_aws.settled.cost_pico == 3 * 20_000


def test_it_is_asked_again_as_a_whole_and_both_are_paid(at_aws):
    at_aws.make(retries=1)
    answered = ask(at_aws, 2)
    first, second = at_aws.upstream.flights
    answer(at_aws, first)
    second.answer({"message": "Slow."}, status=503, x_amzn_errortype="ServiceUnavailableException")
    at_aws.turn()
    for flight in at_aws.upstream.flights[2:]:
        answer(at_aws, flight)
    assert answered.status == 200
    settled = at_aws.settled
    assert (settled.attempts, settled.input_tokens, settled.cost_pico) == (2, 6, 9 * 20_000)


def test_a_caller_who_goes_takes_all_parts_along(at_aws):
    answered = ask(at_aws, 3)
    answer(at_aws, at_aws.upstream.flights[0])
    answered.running.cancel()
    at_aws.turn()
    assert [flight.is_cancelled for flight in at_aws.upstream.flights] == [False, True, True]
    assert (at_aws.settled.outcome, at_aws.settled.cost_pico) == ("cancelled", -1)


def test_a_refusal_comes_before_anything_is_sent(at_aws):
    answered = ask(at_aws, 1, brand_new=1)
    assert (answered.status, answered.error["param"]) == (400, "brand_new")
    assert at_aws.upstream.flights == []


def test_cohere_says_its_tokens_in_the_head(at_aws):
    answered = at_aws.ask("/v1/embeddings", {"model": "aws/cohere.embed-v4:0", "input": ["a", "b"]})
    at_aws.answer({"embeddings": {"float": [[0.5], [0.25]]}}, x_amzn_bedrock_input_token_count="11")
    assert json.loads(answered.body)["usage"]["prompt_tokens"] == 11
    assert at_aws.settled.input_tokens == 11


def test_tokens_that_nobody_tells_are_counted_here(at_aws):
    at_aws.ask("/v1/embeddings", {"model": "aws/cohere.embed-v4:0", "input": ["a b c", "b"]})
    at_aws.answer({"embeddings": [[0.5], [0.25]]})
    settled = at_aws.settled
    assert settled.usage_source == "estimated"
    assert settled.input_tokens > 0


class Sink:
    def __init__(self):
        self.head = self.failure = None
        self.body = b""
        self.ends = 0

    def on_head(self, status, headers):
        self.head = (status, headers)

    def on_body(self, data):
        self.body += data

    def on_end(self):
        self.ends += 1

    def on_failure(self, failure):
        assert self.failure is None
        self.failure = failure


class AtOnce:
    """An upstream that answers before its `send` returns, as one in memory may."""

    def __init__(self, answers):
        self.answers = list(answers)

    def send(self, request, sink, timeouts):
        status, body = self.answers.pop(0)
        sink.on_head(status, {b"n": str(len(self.answers)).encode()})
        sink.on_body(body)
        sink.on_end()
        return self

    def cancel(self):
        """It is over."""


def sent_to(upstream, count, timeouts=None):
    sink = Sink()
    parted = PartedRequest(upstream, [UpstreamRequest(b"x", b"")] * count, lambda body: None)
    parted.send(sink, timeouts or Timeouts())
    return sink, parted


@pytest.mark.parametrize("count", [1, MOST_AT_ONCE, 3 * MOST_AT_ONCE])
def test_an_upstream_may_answer_at_once(count):
    sink, parted = sent_to(AtOnce([(200, str(index).encode()) for index in range(count)]), count)
    assert sink.body == packed_answers([PartAnswer(str(index).encode()) for index in range(count)])
    assert (sink.ends, sink.head[0], parted.is_begun) == (1, 200, True)


def test_an_upstream_may_refuse_at_once():
    sink, parted = sent_to(AtOnce([(200, b"a"), (429, b"slow"), (200, b"c")]), 3)
    assert (sink.head[0], sink.body, sink.ends) == (429, b"slow", 1)
    assert parted.is_begun


def test_a_call_that_has_no_time_left_is_not_sent():
    sink, parted = sent_to(AtOnce([]), 2, Timeouts(total_s=0.01))
    assert sink.failure.kind is FailureKind.TIMEOUT
    assert not parted.is_begun


def test_answers_that_are_too_long_together_are_given_up():
    sink, _ = sent_to(AtOnce([(200, bytes(MOST_BYTES)), (200, b"x")]), 2)
    assert sink.failure.kind is FailureKind.INVALID
