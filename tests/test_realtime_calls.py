"""Realtime sessions through a gateway, with the test on both sides of it."""

import asyncio
import gc
import json
import weakref

import pytest

from headworks.access import Grant
from headworks.budgeting import Wallet
from headworks.calls import Budget, Caller, Endpoint, Failure, FailureKind, Limits, Opened
from headworks.catalogue import Model, Period, Prices, Rates, TargetPrice
from headworks.config.privacy import PlainScreening, Privacy
from headworks.conversation_values import ConversationValues
from headworks.errors import Refusal
from headworks.exchange import Request
from headworks.gateway_parts import RealtimeBounds
from headworks.limits.budgets import Books
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.screened_calls import PlainCalls
from headworks.websocket import ClosingWords, FrameReader, Opcode, accept_key, closing_words, frame

HEAD = {
    b"host": b"gateway.local",
    b"authorization": b"Bearer good",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
}
KEY = b"abcd"
RATES = Rates(input=100, output=500, audio_input=1000, audio_output=2000)
PRICE = TargetPrice(
    Prices(periods=(Period(rates=RATES),)), "table-1", Model(name="m", context_tokens=1000, max_output_tokens=100)
)
EACH = 900 * 1000 + 100 * 2000
ASK = {"type": "response.create"}
CREATED = {"type": "response.created", "response": {"id": "r"}}
USAGE = {
    "input_tokens": 10,
    "output_tokens": 5,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 6, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 2, "audio_tokens": 3},
}
COST = 4 * 100 + 6 * 1000 + 2 * 500 + 3 * 2000
DONE = {"type": "response.done", "response": {"id": "r", "status": "completed", "usage": USAGE}}


class Answered:
    """What a caller gets that gets no session."""

    def __init__(self):
        self.status = 0
        self.headers = {}
        self.body = b""

    def respond(self, status, headers, body):
        lines = [line.split(b": ", 1) for line in headers.split(b"\r\n")[:-1]]
        self.status, self.headers = status, {name.decode(): value.decode() for name, value in lines}
        self.body = body

    def abort(self):
        """What it is called for when a session was under way."""

    @property
    def error(self):
        return json.loads(self.body)["error"]


class Wire:
    """One end of the gateway's, as whoever is there sees it."""

    def __init__(self, *, is_upstream):
        self._reader = FrameReader(is_server=is_upstream, most_bytes=1 << 20)
        self._key = None if is_upstream else KEY
        self.frames = []
        self.is_over = False
        self.end = None

    def write(self, data):
        self.frames += self._reader.feed(data)

    def pause(self):
        """The test reads all."""

    def resume(self):
        """As `pause`."""

    def close(self):
        self.is_over = True

    abort = close

    def says(self, event):
        self.end.on_data(frame(Opcode.TEXT, json.dumps(event).encode(), key=self._key))

    def closes(self, code=1000):
        self.end.on_data(frame(Opcode.CLOSE, closing_words(code), key=self._key))

    @property
    def events(self):
        return [json.loads(one.payload) for one in self.frames if one.opcode is Opcode.TEXT]

    @property
    def types(self):
        return [event["type"] for event in self.events]

    @property
    def closed_with(self):
        return next((ClosingWords.read(one.payload).code for one in self.frames if one.opcode is Opcode.CLOSE), None)


class Upgrade:
    def __init__(self):
        self.headers = b""
        self.wire = Wire(is_upstream=False)

    def accept(self, headers, end):
        self.headers, self.wire.end = headers, end
        return self.wire


class Session:
    """A caller that asks for a session, and the upstream that it reaches."""

    def __init__(self, hall, query="model=nano", headers=None, *, is_upgrade=True, **changed):
        self.hall = hall
        given = {
            **HEAD,
            **(headers or {}),
            **{name.replace("_", "-").encode(): value for name, value in changed.items()},
        }
        self.upgrade = Upgrade() if is_upgrade else None
        self.caller = None if self.upgrade is None else self.upgrade.wire
        self.request = Request(
            "GET", "/v1/realtime", query, {name: value for name, value in given.items() if value}, upgrade=self.upgrade
        )
        self.answered = Answered()
        self.running = None
        try:
            hall.gateway.admit(self.request)
        except Refusal as refusal:
            hall.gateway.refuse(refusal, self.request, self.answered)
        else:
            self.running = hall.gateway.handle(self.request, self.answered)
        self.upstream = Wire(is_upstream=True)

    @property
    def head(self):
        """What went up, as lines in lower case."""
        request = self.hall.flight.request
        return (request.line + request.headers).decode().lower().split("\r\n")

    def opens(self, **headers):
        """The upstream takes the session up."""
        key = next(
            line.split(": ")[1] for line in self.hall.flight.request.headers.decode().split("\r\n") if "-key: " in line
        )
        answer = {b"upgrade": b"websocket", b"sec-websocket-accept": accept_key(key.encode())}
        answer |= {name.encode(): value for name, value in headers.items()}
        self.upstream.end = self.hall.flight.sink.on_wire(answer, self.upstream)
        return self

    def responds(self, usage=USAGE):
        """One response from beginning to end."""
        self.caller.says(ASK)
        self.upstream.says(CREATED)
        self.upstream.says({"type": "response.done", "response": {"id": "r", "usage": usage}})


@pytest.fixture
def talk(hall):
    def begin(*arguments, **changed):
        return Session(hall, *arguments, **changed)

    return begin


# -- how it begins ------------------------------------------------------------------------------------------------


def test_a_session_is_one_call_with_all_that_its_responses_used(hall, talk):
    hall.price = PRICE
    hall.make()
    session = talk().opens(**{"x-request-id": b"req_9"})
    session.upstream.says({"type": "session.created", "session": {"id": "sess_1"}})
    session.responds()
    session.responds()
    session.caller.closes()
    assert session.caller.closed_with == 1000
    settled = hall.settled
    assert (settled.outcome, settled.status, settled.finish_reason) == ("answered", 101, "client_closed")
    assert (settled.input_tokens, settled.output_tokens, settled.usage_source) == (20, 10, "provider")
    assert (settled.cost_pico, settled.price_version) == (2 * COST, "table-1")
    assert (settled.response_id, settled.opened.endpoint, settled.opened.model) == ("sess_1", "realtime", "m")
    assert settled.opened.request_bytes == sum(len(one.payload) for one in session.upstream.frames[:2])
    assert (settled.opened.is_streamed, settled.upstream_request_id) == (True, "req_9")


def test_a_session_that_has_ended_waits_for_no_collector(hall, talk):
    session = talk().opens()
    session.responds()
    relay = weakref.ref(session.caller.end._on_message.__self__)
    gc.disable()
    try:
        session.caller.closes()
        session.caller.end = session.upstream.end = None
        hall.upstream.flights.clear()
        session.running = None
        assert relay() is None
    finally:
        gc.enable()


def test_nothing_goes_up_before_it_is_on_record(hall, talk):
    session = talk()
    assert [type(entry) for entry in hall.entries()] == [Opened]
    session.opens().caller.closes()


def test_a_session_in_which_nothing_is_answered_costs_nothing(hall, talk):
    hall.price = PRICE
    hall.make()
    talk().opens().caller.closes()
    assert (hall.settled.cost_pico, hall.settled.usage_source) == (0, "none")


def test_the_upstream_gets_its_own_model_and_key_and_nothing_of_the_callers_but_what_is_meant_for_it(talk):
    session = talk(
        sec_websocket_protocol=b"realtime, openai-insecure-api-key.hw-mine",
        cookie=b"secret",
        origin=b"https://elsewhere",
        openai_beta=b"realtime=v1",
    )
    head = session.head
    assert head[0] == "get /v1/realtime?model=m http/1.1"
    assert "authorization: bearer upstream-key" in head
    assert "openai-beta: realtime=v1" in head
    text = "\n".join(head)
    for word in ("good", "hw-mine", "cookie", "origin", "sec-websocket-protocol", "sec-websocket-extensions"):
        assert word not in text
    session.opens().caller.closes()


def test_the_caller_is_told_the_call_and_the_target_and_never_its_key(talk):
    session = talk(sec_websocket_protocol=b"realtime, openai-insecure-api-key.hw-mine").opens()
    head = session.upgrade.headers.decode()
    assert "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert "sec-websocket-protocol: realtime\r\n" in head
    assert "x-headworks-call-id: call_" in head
    assert "x-headworks-provider: stub\r\n" in head
    assert "hw-mine" not in head
    assert "content-type" not in head
    session.caller.closes()


def test_a_browser_sends_its_key_as_a_subprotocol(hall, talk):
    session = talk(authorization=b"", sec_websocket_protocol=b"realtime, openai-insecure-api-key.good").opens()
    session.caller.closes()
    assert hall.settled.opened.key_id == "key_1"
    wrong = talk(authorization=b"", sec_websocket_protocol=b"realtime, openai-insecure-api-key.bad")
    assert wrong.answered.status == 401


def test_the_events_of_the_first_version_can_be_asked_for_by_subprotocol(talk):
    session = talk(sec_websocket_protocol=b"realtime, openai-beta.realtime-v1")
    assert "openai-beta: realtime=v1" in session.head
    session.opens().caller.closes()


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {}, 400, "missing_required_parameter"),
        ("model=", {}, 400, "missing_required_parameter"),
        ("model=nano&model=m", {}, 400, "missing_required_parameter"),
        ("model=nano&call_id=rtc_1", {}, 400, "unsupported_parameter"),
        ("intent=transcription", {}, 400, "unsupported_parameter"),
        ("model=no-such", {}, 404, "model_not_found"),
        ("model=bridged", {}, 400, "endpoint_not_supported"),
        ("model=nano", {b"sec-websocket-version": b"8"}, 426, "websocket_version"),
        ("model=nano", {b"sec-websocket-key": b"x"}, 400, "malformed_http"),
        ("model=nano", {b"authorization": b"Bearer bad"}, 401, "invalid_api_key"),
    ],
)
def test_what_is_wrong_is_answered_as_http(hall, talk, query, headers, status, code):
    answered = talk(query, headers).answered
    assert (answered.status, answered.error["code"]) == (status, code)
    assert hall.settled.outcome == "refused"


def test_a_request_that_is_no_websocket_is_told_to_be_one(talk):
    answered = talk(is_upgrade=False).answered
    assert (answered.status, answered.headers["upgrade"]) == (426, "websocket")


def test_a_key_may_be_kept_from_sessions(hall, talk):
    hall.ring.grant = Grant(Caller("key_1"), endpoints=[Endpoint.CHAT])
    assert talk().answered.status == 403
    hall.ring.grant = Grant(Caller("key_1"), models=["other"])
    assert talk().answered.status == 404


@pytest.mark.parametrize(
    ("origin", "status"), [(b"https://evil.example", 403), (b"null", 403), (b"http://gateway.local", 0), (b"", 0)]
)
def test_without_a_key_a_page_of_another_site_opens_no_session(hall, talk, origin, status):
    hall.ring.grant = Grant(Caller())
    session = talk(origin=origin)
    assert session.answered.status == status
    if not status:
        session.opens().caller.closes()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/realtime/client_secrets"),
        ("POST", "/v1/realtime/sessions"),
        ("POST", "/v1/realtime/transcription_sessions"),
        ("POST", "/v1/realtime/calls"),
        ("POST", "/v1/realtime/calls/rtc_1/accept"),
        ("GET", "/v1/realtime/translations"),
        ("POST", "/v1/realtime/translations/client_secrets"),
    ],
)
def test_what_leads_around_the_gateway_is_refused_with_the_way_that_does_not(hall, method, path):
    answered = hall.ask(path, {} if method == "POST" else None, method)
    assert (answered.status, answered.error["code"]) == (403, "unmetered_session")
    assert "/v1/realtime?model=" in answered.error["message"]
    assert hall.upstream.flights == []


def test_no_more_sessions_are_held_than_configured(hall, talk):
    hall.make(realtime=RealtimeBounds(sessions=1))
    first = talk().opens()
    assert (hall.gateway.sessions, talk().answered.error["code"]) == (1, "too_many_sessions")
    first.caller.closes()
    talk().opens().caller.closes()
    assert hall.gateway.sessions == 0


def test_a_session_that_would_have_to_be_screened_is_refused(hall, talk, tmp_path):
    values = ConversationValues(b"s" * 32, tmp_path / "privacy.db", now=lambda: 1.0)
    settings = PlainScreening(privacy=Privacy(), unscreened=("m",))
    hall.make(screening=PlainCalls(settings, values))
    answered = talk().answered
    assert (answered.status, answered.error["code"]) == (403, "session_not_screened")
    talk("model=m").opens().caller.closes()
    asyncio.run(values.close())


# -- what the upstream says before it is one ----------------------------------------------------------------------


def test_an_upstream_that_refuses_is_heard_before_the_upgrade(hall, talk):
    session = talk()
    error = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded", "param": None}}
    hall.answer(error, status=429, retry_after="7", x_request_id="req_1")
    assert (session.answered.status, session.answered.error["message"]) == (429, "Slow down.")
    assert session.answered.headers["retry-after"] == "7"
    settled = hall.settled
    assert (settled.outcome, settled.status, settled.error_code) == ("failed", 429, "upstream_rate_limited")
    assert settled.upstream_request_id == "req_1"


def test_that_our_key_is_refused_is_not_the_callers_fault(hall, talk):
    session = talk()
    hall.answer({"error": {"message": "Incorrect API key: upstream-key"}}, status=401)
    assert session.answered.status == 502
    assert "upstream-key" not in session.answered.body.decode()


def test_an_upstream_that_cannot_be_reached_costs_nothing(hall, talk):
    hall.price = PRICE
    hall.make()
    session = talk()
    hall.flight.sink.on_failure(Failure(FailureKind.TIMEOUT, "stub did not begin to answer"))
    hall.turn()
    assert session.answered.status == 504
    assert hall.settled.cost_pico == 0


def test_an_upstream_that_changes_to_something_else_is_left(hall, talk):
    session = talk()
    assert hall.flight.sink.on_wire({b"upgrade": b"websocket", b"sec-websocket-accept": b"x"}, session.upstream) is None
    hall.flight.sink.on_failure(Failure(FailureKind.INVALID, "stub changed to another protocol"))
    assert session.answered.status == 502


def test_where_one_pool_refuses_another_is_asked(hall, talk):
    session = talk("model=p")
    first = hall.flight.request.headers
    hall.answer({"error": {"message": "no"}}, status=503)
    assert len(hall.upstream.flights) == 2
    assert hall.flight.request.headers != first
    session.opens().caller.closes()
    assert (hall.settled.attempts, hall.settled.outcome) == (2, "answered")


def test_a_caller_that_goes_before_it_is_open_takes_its_attempt_with_it_and_owes_nothing(hall, talk):
    hall.price = PRICE
    hall.make()
    session = talk()
    session.running.cancel()
    assert hall.flight.is_cancelled
    assert (hall.settled.outcome, hall.settled.cost_pico) == ("cancelled", 0)


def test_a_stop_before_it_is_open_is_told_as_http(hall, talk):
    session = talk()
    session.running.stop()
    assert (session.answered.status, session.answered.error["code"]) == (503, "gateway_stopping")


# -- how it ends --------------------------------------------------------------------------------------------------


def test_the_record_is_there_before_the_caller_sees_the_end(hall, talk):
    session = talk().opens()
    seen = []
    session.caller.close = lambda: seen.append(hall.settled.outcome)
    session.upstream.end.on_lost()
    assert seen == ["failed"]
    assert session.caller.closed_with == 1011
    assert hall.settled.error_code == "upstream_broken"


def test_a_stop_ends_it_with_1001(hall, talk):
    session = talk().opens()
    session.running.stop()
    assert session.caller.closed_with == 1001
    assert (hall.settled.outcome, hall.settled.error_code) == ("failed", "gateway_stopping")


def test_a_response_that_nobody_told_the_usage_of_makes_the_cost_unknown(hall, talk):
    hall.price = PRICE
    hall.make()
    session = talk().opens()
    session.responds()
    session.caller.says(ASK)
    session.upstream.says(CREATED)
    session.upstream.end.on_lost()
    assert (hall.settled.cost_pico, hall.settled.input_tokens) == (-1, 10)


def test_a_record_that_cannot_be_written_ends_it_with_1011(hall, talk, monkeypatch):
    from headworks.errors import StorageError

    session = talk().opens()

    def full(entry):
        raise StorageError("no room")

    monkeypatch.setattr(hall.gateway._settlement, "_append", full)
    session.caller.closes()
    assert session.caller.closed_with == 1011


def test_a_key_that_is_revoked_ends_its_session_with_the_next_response(hall, talk):
    session = talk().opens()
    session.responds()
    hall.ring.edition = object()  # something has changed, but not this key
    session.responds()
    hall.ring.edition = object()
    hall.ring.identify = lambda header: (_ for _ in ()).throw(Refusal(401, "invalid_api_key", "No."))
    session.caller.says(ASK)
    assert session.caller.closed_with == 1008
    assert hall.settled.error_code == "invalid_api_key"


# -- quotas and budgets -------------------------------------------------------------------------------------------


def test_each_response_counts_as_a_request_with_its_tokens(hall, talk):
    hall.ring.grant = Grant(Caller("key_1"), limits=Limits(requests_per_minute=3, tokens_per_minute=2000))
    session = talk()
    hall.rest(0.05)  # the lease comes
    session.opens()
    for _ in range(2):
        session.responds()
        hall.rest(0.2)  # and the next one
    spent = {meter.quota.name: meter.spent for meter in hall.limiter.meters}
    assert spent == {"key/key_1/rpm": 3, "key/key_1/tpm": 30}
    session.caller.says(ASK)
    assert session.caller.events[-1]["error"]["code"] == "rate_limit_exceeded"
    assert [meter.waiting > 0 for meter in hall.limiter.meters] == [True, True]  # held ahead as long as it is open
    session.caller.closes()
    assert [meter.waiting for meter in hall.limiter.meters] == [0, 0]
    hall.loop.run_until_complete(hall.limiter.close())


class Here:
    """The books in the loop itself."""

    def __init__(self, folder):
        self.books = Books(SqliteLedger(folder), lambda account: 0, lambda _: None)

    async def claim(self, holder, claims):
        return self.books.claim(holder, claims)


@pytest.fixture
def spending(hall):
    def do(cap, **options):
        hall.price = options.pop("price", PRICE)
        hall.source = Here(hall.folder)
        hall.wallet = Wallet(hall.source, "w", hall.loop)
        hall.make(**options)
        hall.ring.grant = Grant(Caller("key_1", "ann", "search"), budget=Budget(day_pico=cap))
        return hall

    yield do
    hall.loop.run_until_complete(hall.wallet.close())


def purse_of(hall):
    (purse,) = hall.wallet._purses._purses.values()
    return purse


def settle_in(hall):
    hall.rest(0.05)


def test_under_a_budget_the_most_of_a_response_is_set_aside_and_what_it_cost_is_spent(spending, talk):
    hall = spending(10 * EACH)
    session = talk()
    settle_in(hall)
    session.opens()
    purse = purse_of(hall)
    settle_in(hall)
    assert purse.reserved == 2 * EACH
    session.caller.says(ASK)
    session.upstream.says(CREATED)
    settle_in(hall)
    assert purse.reserved == 3 * EACH
    session.upstream.says(DONE)
    assert (purse.reserved, purse.spent) == (2 * EACH, COST)
    assert b"x-headworks-budget-remaining-usd: " in session.upgrade.headers
    session.caller.closes()
    assert (purse.reserved, purse.spent) == (0, COST)
    assert hall.settled.cost_pico == COST


def test_a_budget_that_has_no_response_left_refuses_the_session(spending, talk):
    hall = spending(EACH - 1)
    session = talk()
    settle_in(hall)
    assert (session.answered.status, session.answered.error["code"]) == (429, "budget_exceeded")
    assert hall.upstream.flights == []
    assert purse_of(hall).reserved == 0


def test_a_hard_budget_wants_prices(spending, talk):
    hall = spending(10 * EACH, price=TargetPrice(None, "v"))
    session = talk()
    settle_in(hall)
    assert session.answered.error["code"] == "budget_exceeded"
    hall.price = PRICE


def test_a_key_for_some_models_has_no_other_transcribe(hall, talk):
    hall.ring.grant = Grant(Caller("key_1"), models=["nano", "listens"])
    session = talk().opens()
    for model in ("other", "listens"):
        audio = {"input": {"transcription": {"model": model}}}
        session.caller.says({"type": "session.update", "event_id": model, "session": {"audio": audio}})

    (told,) = session.caller.events
    assert (told["error"]["code"], told["error"]["event_id"]) == ("setting_not_allowed", "other")
    assert session.upstream.types == ["session.update"]
    session.caller.closes()


def test_a_hard_budget_lets_nothing_be_transcribed_whose_price_is_not_known(spending, talk):
    hall = spending(10 * EACH, price_of=lambda provider, model: PRICE if model == "known" else TargetPrice(None, ""))
    session = talk()
    settle_in(hall)
    session.opens()
    for model, goes_up in (("secret-asr", False), ("known", True)):
        audio = {"input": {"transcription": {"model": model}}}
        session.caller.says({"type": "session.update", "session": {"type": "realtime", "audio": audio}})
        assert ("session.update" in session.upstream.types) is goes_up
    session.upstream.says(
        {"type": "session.updated", "session": {"audio": {"input": {"transcription": {"model": "known"}}}}}
    )
    kind = "conversation.item.input_audio_transcription.completed"
    session.upstream.says({"type": kind, "usage": {"type": "tokens", "input_tokens": 10, "output_tokens": 1}})
    session.caller.closes()
    assert hall.settled.cost_pico == 10 * 100 + 500
    assert purse_of(hall).spent == 10 * 100 + 500


def test_a_budget_that_is_taken_away_holds_no_session_up(spending, talk):
    hall = spending(10 * EACH)
    session = talk()
    settle_in(hall)
    session.opens()
    settle_in(hall)
    hall.ring.grant = Grant(Caller("key_1", "ann", "search"))
    hall.ring.edition = object()
    for _ in range(4):
        session.responds()
    assert session.upstream.types == ["response.create"] * 4
    session.caller.closes()
    assert purse_of(hall).reserved == 0


def test_a_budget_that_is_nearly_used_up_ends_the_session_after_what_is_under_way(spending, talk):
    hall = spending(EACH + 1)
    session = talk()
    settle_in(hall)
    session.opens()
    session.caller.says(ASK)
    session.upstream.says(CREATED)
    session.caller.says({"type": "input_audio_buffer.append", "audio": ""})
    session.upstream.says({"type": "response.done", "response": {"id": "r"}})  # nobody says what it used
    hall.rest(0.3)
    assert session.caller.events[-1]["error"]["code"] == "budget_exceeded"
    assert session.caller.closed_with == 1008
    assert (purse_of(hall).spent, purse_of(hall).reserved) == (EACH, 0)
    assert hall.settled.cost_pico == -1


def test_a_failed_handshake_gives_all_money_back(spending, talk):
    hall = spending(10 * EACH)
    session = talk()
    settle_in(hall)
    hall.answer({"error": {"message": "no"}}, status=500)
    assert session.answered.status == 500
    purse = purse_of(hall)
    assert (purse.reserved, purse.spent) == (0, 0)


def test_the_model_of_a_session_stays(talk):
    session = talk().opens()
    for model in ("nano", "m"):
        session.caller.says({"type": "session.update", "session": {"type": "realtime", "model": model}, "x": 1.50})
    session.caller.says({"type": "session.update", "session": {"type": "realtime", "model": "dearer"}})
    assert session.caller.events[-1]["error"]["code"] == "setting_not_allowed"
    known = {"type": "session.update", "session": {"type": "realtime", "model": "m"}, "x": 1.5}
    assert session.upstream.events == [known, known]
    session.caller.closes()
