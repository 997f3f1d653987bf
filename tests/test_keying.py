"""A provider's keys under its calls, as a dialogue: what goes up, what comes back, what the call hears."""

import asyncio

import pytest

from headworks.calls import Failure, FailureKind
from headworks.exchange import Timeouts, UpstreamRequest
from headworks.keying import FIRST_REST_S, KeyedUpstream, blocks_of
from headworks.providers import AnthropicProvider, GeminiProvider, OpenAIProvider, ProviderSettings

REFUSED = b'{"error":{"code":"invalid_api_key"}}'
TIMEOUTS = Timeouts()


class PlayedUpstream:
    """State: what was sent and to whose sink, in order."""

    def __init__(self):
        self.flights = []

    def send(self, request, sink, timeouts):
        flight = PlayedFlight(request, sink, timeouts)
        self.flights.append(flight)
        return flight

    connect = send

    async def close(self):
        pass


class PlayedFlight:
    def __init__(self, request, sink, timeouts):
        self.request, self.sink, self.timeouts = request, sink, timeouts
        self.did = []

    @property
    def key(self):
        return self.request.headers.partition(b"authorization: Bearer ")[2].partition(b"\r\n")[0].decode()

    def pause(self):
        self.did.append("pause")

    def resume(self):
        self.did.append("resume")

    def cancel(self):
        self.did.append("cancel")

    def answer(self, status=200, *pieces):
        self.sink.on_head(status, {})
        for piece in pieces or (b"hello",):
            self.sink.on_body(piece)
        self.sink.on_end()


class Heard:
    """What a call hears."""

    def __init__(self):
        self.status, self.body, self.ended, self.failure = 0, b"", 0, None

    def on_head(self, status, headers):
        assert not self.status
        self.status = status

    def on_body(self, data):
        self.body += data

    def on_end(self):
        self.ended += 1

    def on_failure(self, failure):
        self.failure = failure


class Stage:
    def __init__(self, *keys):
        self.now_s = 1000.0
        self.said, self.asked = [], []
        self.upstream = PlayedUpstream()
        self.providers = [OpenAIProvider(ProviderSettings("up", api_key=key)) for key in keys]
        self.keyed = KeyedUpstream(
            "up", self.upstream, self.providers[0], blocks_of(self.providers),
            say=self.said.append, refused=lambda: self.asked.append(1), now=lambda: self.now_s,
        )  # fmt: skip

    def call(self):
        heard = Heard()
        request = self.providers[0].json_request("/chat/completions", b"{}", b"x-forwarded-thing: 1\r\n")
        heard.flight = self.keyed.send(request, heard, TIMEOUTS)
        return heard

    def take(self, *keys):
        return self.keyed.take(blocks_of([OpenAIProvider(ProviderSettings("up", api_key=key)) for key in keys]))

    @property
    def last(self):
        return self.upstream.flights[-1]


def test_a_call_that_succeeds_is_passed_through_as_it_was_made():
    stage = Stage("new", "old")
    heard = stage.call()
    stage.last.answer(200, b"a", b"b")

    assert (heard.status, heard.body, heard.ended) == (200, b"ab", 1)
    assert stage.last.key == "new"
    assert len(stage.upstream.flights) == 1


def test_a_call_whose_new_key_is_refused_is_made_with_the_older_one_and_hears_nothing_of_it():
    stage = Stage("new", "old")
    heard = stage.call()
    stage.last.answer(401, REFUSED)
    assert (heard.status, heard.ended) == (0, 0)
    assert stage.last.key == "old"
    assert stage.last.request.headers.endswith(b"content-type: application/json\r\nx-forwarded-thing: 1\r\n")
    stage.last.answer(200)

    assert (heard.status, heard.body, heard.ended) == (200, b"hello", 1)
    assert stage.call().flight is not None
    assert stage.last.key == "old"
    assert stage.keyed.is_fallen_back
    assert stage.said == ["up: the newest key is refused; an older one is used for now"]


def test_a_wire_whose_new_key_is_refused_is_asked_for_with_the_older_one():
    stage = Stage("new", "old")
    heard, wire, end = Heard(), object(), object()
    heard.on_wire = lambda headers, given: end if given is wire else None
    stage.keyed.connect(stage.providers[0].request("GET", "/realtime?model=m", b"", b"", b""), heard, TIMEOUTS)
    stage.last.answer(401, REFUSED)
    assert (heard.status, stage.last.key) == (0, "old")
    assert stage.last.sink.on_wire({}, wire) is end
    assert stage.keyed.is_fallen_back


def test_a_wire_that_is_not_taken_up_fails():
    stage = Stage("new", "old")
    heard = Heard()
    heard.on_wire = lambda headers, given: None
    stage.keyed.connect(stage.providers[0].request("GET", "/realtime", b"", b"", b""), heard, TIMEOUTS)
    assert stage.last.sink.on_wire({}, object()) is None
    stage.last.sink.on_failure(Failure(FailureKind.INVALID, "changed to another protocol"))
    assert heard.failure.kind is FailureKind.INVALID


def test_the_newest_is_tried_again_after_a_while_and_stays_when_it_is_accepted():
    stage = Stage("new", "old")
    stage.call()
    stage.last.answer(401, REFUSED)
    stage.last.answer(200)
    stage.now_s += FIRST_REST_S
    heard = stage.call()
    assert stage.last.key == "new"
    stage.last.answer(401, REFUSED)
    stage.last.answer(200)
    assert heard.status == 200  # its rest is twice as long now
    stage.now_s += FIRST_REST_S
    stage.call()
    assert stage.last.key == "old"
    stage.last.answer(200)
    stage.now_s += FIRST_REST_S
    stage.call()
    stage.last.answer(200)

    assert stage.last.key == "new"
    assert not stage.keyed.is_fallen_back
    assert stage.said[-1] == "up: the newest key is accepted now"


def test_calls_under_way_with_a_key_that_was_drained_are_made_again_with_the_present_one():
    stage = Stage("old")
    early = [stage.call() for _ in range(3)]
    assert stage.take("new") is True
    late = stage.call()
    assert [flight.key for flight in stage.upstream.flights] == ["old", "old", "old", "new"]
    for flight in stage.upstream.flights[:2]:
        flight.answer(401, REFUSED)
    stage.upstream.flights[2].answer(200)  # it keeps the key that it was sent with

    assert [flight.key for flight in stage.upstream.flights[4:]] == ["new", "new"]
    for flight in stage.upstream.flights[3:]:
        flight.answer(200)
    assert [heard.status for heard in (*early, late)] == [200] * 4


def test_where_all_keys_are_refused_the_refusal_is_passed_on_whole_and_new_ones_are_asked_for():
    stage = Stage("new", "old")
    heard = stage.call()
    stage.last.answer(401, REFUSED[:10], REFUSED[10:])
    stage.last.answer(401, REFUSED)

    assert (heard.status, heard.body, heard.ended) == (401, REFUSED, 1)
    assert stage.asked
    stage.call()
    assert stage.last.key == "new"


def test_a_refusal_of_something_else_is_passed_on_as_it_came():
    stage = Stage("new", "old")
    heard = stage.call()
    stage.last.answer(400, b'{"error":{"code":"unsupported_value"}}')

    assert (heard.status, heard.body) == (400, b'{"error":{"code":"unsupported_value"}}')
    assert len(stage.upstream.flights) == 1


def test_a_body_that_is_too_long_for_a_refusal_is_passed_on():
    stage = Stage("new", "old")
    heard = stage.call()
    stage.last.answer(400, b"x" * 65_000, b"x" * 1_000, b"x")

    assert (heard.status, len(heard.body), heard.ended) == (400, 66_001, 1)


def test_a_caller_who_goes_ends_whichever_request_is_under_way():
    stage = Stage("new", "old")
    heard = stage.call()
    heard.flight.pause()
    stage.last.answer(401, REFUSED)
    heard.flight.resume()
    heard.flight.cancel()

    assert stage.upstream.flights[0].did == ["pause"]
    assert stage.last.did == ["pause", "resume", "cancel"]


def test_a_connection_that_breaks_is_no_matter_of_keys():
    stage = Stage("new", "old")
    heard = stage.call()
    stage.last.sink.on_failure(Failure(FailureKind.BROKEN, "gone"))

    assert heard.failure.kind is FailureKind.BROKEN
    assert len(stage.upstream.flights) == 1


def test_the_same_keys_once_more_change_nothing():
    stage = Stage("new", "old")

    assert stage.take("new", "old") is False
    assert stage.take("new") is True


@pytest.mark.parametrize("make", [OpenAIProvider, AnthropicProvider, GeminiProvider])
def test_every_providers_requests_begin_with_its_fixed_headers(make):
    provider = make(ProviderSettings("up", api_key="sk-1", headers=(("x-a", "b"),)))
    requests = [
        provider.request("GET", "/models", b"", b"", b""),
        provider.request("POST", "/files", b"x", b"multipart/form-data", b"a: b\r\n"),
        provider.json_request("/chat/completions", b"{}", b"a: b\r\n"),
    ]

    assert isinstance(requests[0], UpstreamRequest)
    assert all(request.headers.startswith(provider.fixed_headers) for request in requests)
    assert b"sk-1" in provider.fixed_headers


def test_without_a_key_that_may_be_used_nothing_is_sent_until_there_is_one_again():
    async def play():
        stage = Stage("new", "old")
        assert stage.keyed.take([]) is True
        assert stage.keyed.take([]) is False
        heard = stage.call()
        assert heard.failure is None  # whoever sends does not hear of it before it has the flight
        wire, body, given_up = Heard(), Heard(), stage.call()
        stage.keyed.connect(stage.providers[0].request("GET", "/realtime?model=m", b"", b"", b""), wire, TIMEOUTS)
        stage.keyed.upload(stage.providers[0].request("POST", "/files", b"", b"", b""), None, body, TIMEOUTS)
        given_up.flight.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stage.upstream.flights == []
        assert [one.failure.kind for one in (heard, wire, body)] == [FailureKind.UNAUTHORIZED] * 3
        assert (
            heard.failure.detail
            == "up: its key could not be looked at for longer than secrets.stale_for_s, and is not used"
        )
        assert given_up.failure is None

        assert stage.take("new", "old") is True
        assert stage.take("new", "old") is False
        stage.call()
        assert stage.last.key == "new"

    asyncio.run(play())


def test_a_call_under_way_whose_key_expires_is_not_made_again_with_another():
    stage = Stage("new", "old")
    heard = stage.call()
    stage.keyed.take([])
    stage.last.answer(401, REFUSED)

    assert heard.status == 401
    assert len(stage.upstream.flights) == 1
