import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Failure, FailureKind
from headworks.catalogue import TargetPrice
from headworks.catalogue.prices import Period, Prices, Rates
from headworks.realtime import Meter
from headworks.realtime_relay import USAGE_WAIT_S, Relay, RelayLimits
from headworks.websocket import ClosingWords, FrameReader, Opcode, closing_words, frame

KEY = b"abcd"
PRICE = TargetPrice(Prices(periods=(Period(rates=Rates(input=1, output=10)),)), "v1")
LIMITS = RelayLimits(message_bytes=1000, idle_s=30.0, session_s=100.0, ping_s=10.0)
CREATED = {"type": "response.created", "response": {"id": "r"}}
DONE = {"type": "response.done", "response": {"id": "r", "usage": {"input_tokens": 3, "output_tokens": 2}}}
ASK = {"type": "response.create", "event_id": "mine"}


class Clock:
    """The loop's time and timers, moved by hand."""

    def __init__(self):
        self.now = 1000.0
        self.due = []

    def time(self):
        return self.now

    def call_at(self, when, act):
        timer = Timer(when, act)
        self.due.append(timer)
        return timer

    def call_later(self, delay, act):
        return self.call_at(self.now + delay, act)

    def move(self, seconds):
        end = self.now + seconds
        while due := [one for one in self.due if one.when <= end]:
            first = min(due, key=lambda one: one.when)
            self.due.remove(first)
            self.now = max(self.now, first.when)
            first.act()
        self.now = end


class Timer:
    def __init__(self, when, act):
        self.when, self._act, self.is_cancelled = when, act, False

    def act(self):
        if not self.is_cancelled:
            self._act()

    def cancel(self):
        self.is_cancelled = True


class Wire:
    """One side, as the test sees it: the frames that were sent there."""

    def __init__(self, *, is_upstream):
        self.reader = FrameReader(is_server=is_upstream, most_bytes=1 << 20)
        self.frames = []
        self.is_paused = self.is_closed = self.is_aborted = False

    def write(self, data):
        assert not self.is_closed
        self.frames += self.reader.feed(data)

    def pause(self):
        self.is_paused = True

    def resume(self):
        self.is_paused = False

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_aborted = True

    @property
    def events(self):
        return [json.loads(one.payload) for one in self.frames if one.opcode is Opcode.TEXT]

    @property
    def types(self):
        return [event["type"] for event in self.events]

    @property
    def closed_with(self):
        return next((ClosingWords.read(one.payload).code for one in self.frames if one.opcode is Opcode.CLOSE), 0)


class Rules:
    def __init__(self):
        self.failure = None
        self.setting = ""
        self.revoked = False
        self.notes = []

    def may_ask(self):
        self.notes.append("asked")
        return self.failure

    def take_back(self):
        self.notes.append("taken back")

    def may_set(self, _):
        return self.setting

    def named(self, message):
        return message

    def began(self):
        self.notes.append("began")

    def ended(self, read, written):
        self.notes.append((read, written))

    def is_revoked(self):
        return self.revoked


class Purse:
    """Slots, as the test gives them out."""

    def __init__(self, free, failure=None):
        self.free = free
        self.failure = failure

    def want(self, slots):
        """The test says when there are more."""

    def take(self):
        self.free -= 1
        return self

    def settle(self, cost):
        """Nothing is counted here."""

    def close(self):
        """As `settle`."""


USED_UP = Failure(FailureKind.BUDGET, "the budget is used up")


class Table:
    """A session that is under way, with the test on both sides of it."""

    def __init__(self, purse=None):
        self.clock = Clock()
        self.rules = Rules()
        self.meter = Meter(PRICE, lambda _: PRICE, 0, purse)
        self.relay = Relay(self.meter, self.rules, LIMITS, self.clock, lambda: "event_ours")
        self.caller, self.upstream = Wire(is_upstream=False), Wire(is_upstream=True)
        self.relay.upstream_end.wire = self.upstream
        self.relay.start(self.caller, 1000.0)

    def says(self, event, *, parts=1):
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        size = -(-len(data) // parts)
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        for index, piece in enumerate(pieces):
            opcode = Opcode.TEXT if index == 0 else Opcode.CONTINUATION
            self.relay.caller_end.on_data(frame(opcode, piece, key=KEY, is_final=index == len(pieces) - 1))

    def hears(self, event):
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.relay.upstream_end.on_data(frame(Opcode.TEXT, data))

    @property
    def end(self):
        return self.relay.ended.value if self.relay.ended.is_set else None

    def goodbye(self):
        self.relay.say_goodbye(self.end)


@pytest.fixture
def table():
    return Table()


def test_messages_go_on_in_the_turn_in_which_they_come_byte_for_byte(table):
    odd = b'{ "type" : "conversation.item.create",  "item":{"x":"\\u00e9\xc3\xa9"} }'
    table.says(odd)
    assert [one.payload for one in table.upstream.frames] == [odd]
    answer = b'{"type":"response.output_text.delta" , "delta":"\xe2\x82\xac"}'
    table.hears(answer)
    assert [one.payload for one in table.caller.frames] == [answer]


def test_a_message_in_parts_goes_on_as_one(table):
    table.says({"type": "conversation.item.create", "item": {"text": "x" * 100}}, parts=7)
    assert [one.is_final for one in table.upstream.frames] == [True]


def test_pings_are_answered_by_whoever_they_were_sent_to(table):
    table.relay.caller_end.on_data(frame(Opcode.PING, b"1", key=KEY))
    table.relay.upstream_end.on_data(frame(Opcode.PING, b"2"))
    assert [(one.opcode, one.payload) for one in table.caller.frames] == [(Opcode.PONG, b"1")]
    assert [(one.opcode, one.payload) for one in table.upstream.frames] == [(Opcode.PONG, b"2")]


def test_what_is_slow_on_one_side_is_not_read_from_the_other(table):
    table.relay.caller_end.on_full()
    assert table.upstream.is_paused
    assert not table.caller.is_paused
    table.relay.caller_end.on_free()
    table.relay.upstream_end.on_full()
    assert not table.upstream.is_paused
    assert table.caller.is_paused


def test_the_responses_of_a_session_are_summed_up(table):
    for _ in range(2):
        table.says(ASK)
        table.hears(CREATED)
        table.hears(DONE)
    sums = table.meter.sums
    assert (sums.responses, sums.input_tokens, sums.output_tokens, sums.cost_pico) == (2, 6, 4, 2 * 23)
    assert table.rules.notes == ["asked", "began", (3, 2)] * 2


# -- how it ends --------------------------------------------------------------------------------------------------


def test_a_close_of_the_caller_ends_it_and_is_answered(table):
    table.relay.caller_end.on_data(frame(Opcode.CLOSE, closing_words(1000, "bye"), key=KEY))
    assert (table.end.outcome, table.end.how) == ("answered", "client_closed")
    table.goodbye()
    assert (table.caller.closed_with, table.upstream.closed_with) == (1000, 1000)
    assert table.caller.is_closed
    assert table.upstream.is_closed


def test_a_close_without_a_code_is_answered_by_one_without(table):
    table.relay.caller_end.on_data(frame(Opcode.CLOSE, b"", key=KEY))
    table.goodbye()
    assert table.caller.closed_with is None


def test_a_close_of_the_upstream_is_passed_on_with_its_reason(table):
    table.relay.upstream_end.on_data(frame(Opcode.CLOSE, closing_words(3000, "no such voice")))
    assert table.end.outcome == "failed"
    table.goodbye()
    assert ClosingWords.read(table.caller.frames[-1].payload) == ClosingWords(3000, "no such voice")


def test_the_loss_of_the_upstream_is_told_as_an_error_and_closed_with_1011(table):
    table.relay.upstream_end.on_lost()
    table.goodbye()
    error = table.caller.events[-1]
    assert (error["type"], error["error"]["code"]) == ("error", "upstream_broken")
    assert table.caller.closed_with == 1011
    assert table.end.outcome == "failed"


@pytest.mark.parametrize(
    "event", [b"no json", b"[]", b'{"type":"response.done","response":{"usage":{"input_tokens":"x"}}}']
)
def test_what_cannot_be_metered_is_not_passed_on(table, event):
    table.hears(event)
    table.goodbye()
    assert table.caller.types == ["error"]
    assert table.caller.events[0]["error"]["code"] == "upstream_invalid"
    assert table.caller.closed_with == 1011


def test_bytes_from_the_upstream_break_it_off(table):
    table.relay.upstream_end.on_data(frame(Opcode.BINARY, b"\x00"))
    assert table.end.error == "upstream_invalid"
    assert table.upstream.closed_with == 1003


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(Opcode.TEXT, b"{}"), 1002),  # not masked
        (frame(Opcode.BINARY, b"{}", key=KEY), 1003),
        (frame(Opcode.TEXT, b"\xff", key=KEY), 1007),
        (frame(Opcode.TEXT, b"x" * 1001, key=KEY), 1009),
        (frame(Opcode.CLOSE, b"\x03\xed", key=KEY), 1002),
    ],
)
def test_a_caller_that_breaks_the_protocol_is_closed_with_the_code_for_it(table, data, code):
    table.relay.caller_end.on_data(data)
    table.goodbye()
    assert table.caller.closed_with == code
    assert table.upstream.frames[-1].opcode is Opcode.CLOSE
    table.relay.caller_end.on_data(frame(Opcode.TEXT, b'{"type":"late"}', key=KEY))
    assert table.upstream.types == []


def test_a_stop_says_so_and_closes_with_1001(table):
    table.relay.stop()
    table.goodbye()
    assert table.caller.events[-1]["error"]["code"] == "gateway_stopping"
    assert table.caller.closed_with == 1001


def test_what_is_under_way_when_the_caller_goes_is_stopped_and_its_usage_waited_for(table):
    table.says(ASK)
    table.hears(CREATED)
    table.relay.caller_end.on_lost()
    assert table.end is None
    assert table.upstream.types == ["response.create", "response.cancel"]
    table.hears(DONE)
    assert (table.end.outcome, table.end.how) == ("cancelled", "client_disconnected")
    assert table.meter.sums.cost_pico == 23
    table.goodbye()
    assert table.caller.is_aborted
    assert table.caller.types == ["response.created"]


def test_the_usage_is_heard_also_where_the_caller_was_slow(table):
    table.says(ASK)
    table.hears(CREATED)
    table.relay.caller_end.on_full()
    assert table.upstream.is_paused
    table.relay.caller_end.on_lost()
    assert not table.upstream.is_paused


def test_a_response_that_begins_when_the_caller_has_gone_is_stopped_too(table):
    table.says(ASK)
    table.relay.caller_end.on_lost()
    table.hears(CREATED)
    assert table.upstream.types[-1] == "response.cancel"
    table.hears(DONE)
    assert table.end.outcome == "cancelled"


def test_usage_that_does_not_come_is_not_waited_for_long(table):
    table.says(ASK)
    table.hears(CREATED)
    table.relay.caller_end.on_lost()
    table.clock.move(USAGE_WAIT_S)
    table.meter.close()
    assert table.end.outcome == "cancelled"
    assert table.meter.sums.cost_pico == -1


def test_the_first_to_end_it_is_right_about_why(table):
    table.says(ASK)
    table.hears(CREATED)
    table.relay.caller_end.on_lost()
    table.relay.upstream_end.on_lost()
    assert table.end.how == "client_disconnected"
    table.relay.stop()
    assert table.end.how == "client_disconnected"


# -- time ---------------------------------------------------------------------------------------------------------


def test_a_session_in_which_nothing_is_said_ends(table):
    for _ in range(3):
        table.clock.move(9)
        for end, key in ((table.relay.caller_end, KEY), (table.relay.upstream_end, None)):
            end.on_data(frame(Opcode.PONG, b"", key=key))
    assert table.end is None
    table.clock.move(4)
    table.goodbye()
    assert (table.end.how, table.caller.closed_with) == ("idle", 1000)
    assert table.caller.events[-1]["error"]["code"] == "session_idle"


def test_a_session_ends_when_it_has_lasted_long_enough(table):
    for _ in range(12):
        table.clock.move(9)
        table.says({"type": "input_audio_buffer.append", "audio": ""})
        table.hears({"type": "input_audio_buffer.speech_started"})
    assert table.end.how == "session_limit"


@pytest.mark.parametrize(
    ("silent", "how"), [("upstream_end", "upstream_broken"), ("caller_end", "client_disconnected")]
)
def test_a_side_that_answers_no_ping_counts_as_gone(table, silent, how):
    alive, key = (table.relay.caller_end, KEY) if silent == "upstream_end" else (table.relay.upstream_end, None)
    wire = table.upstream if silent == "upstream_end" else table.caller
    while table.end is None and table.clock.now < 1100:
        table.clock.move(5)
        alive.on_data(frame(Opcode.PONG, b"", key=key))
    assert Opcode.PING in [one.opcode for one in wire.frames]
    assert table.end.how == how
    assert table.clock.now <= 1000 + 3 * LIMITS.ping_s


def test_a_side_that_is_not_read_is_not_taken_for_gone(table):
    table.relay.caller_end.on_full()
    while table.clock.now < 1000 + 2.5 * LIMITS.ping_s:
        table.clock.move(5)
        table.relay.caller_end.on_data(frame(Opcode.PONG, b"", key=KEY))
    assert table.end is None


# -- money and rules ----------------------------------------------------------------------------------------------


def test_a_response_that_may_not_be_asked_for_does_not_go_up_and_the_session_goes_on(table):
    table.rules.failure = Failure(FailureKind.LIMITED, "the limit rpm of key/k is reached: try again in 2.0 s")
    table.says(ASK)
    error = table.caller.events[-1]["error"]
    assert (error["code"], error["type"], error["event_id"]) == ("rate_limit_exceeded", "rate_limit_error", "mine")
    assert table.upstream.types == []
    table.rules.failure = None
    table.says(ASK)
    assert table.upstream.types == ["response.create"]


def test_a_response_that_cannot_be_paid_for_gives_its_quota_back():
    table = Table(Purse(1, USED_UP))
    table.says(ASK)
    table.says({**ASK, "event_id": "second"})
    assert table.caller.events[-1]["error"]["code"] == "budget_exceeded"
    assert table.upstream.types == ["response.create"]
    assert table.rules.notes == ["asked", "asked", "taken back"]


def test_a_session_ends_with_the_response_behind_which_there_is_no_money():
    table = Table(Purse(1, USED_UP))
    table.says(ASK)
    table.hears(CREATED)
    table.says({"type": "input_audio_buffer.append", "audio": "AAAA"})
    assert table.caller.events[-1]["error"]["code"] == "budget_exceeded"
    table.says({"type": "response.cancel"})
    table.hears({"type": "response.output_text.delta", "delta": "x"})
    table.hears(DONE)
    assert table.caller.types[-2:] == ["response.output_text.delta", "response.done"]
    table.goodbye()
    assert table.caller.types[-1] == "error"
    assert table.caller.closed_with == 1008
    assert table.upstream.types == ["response.create", "response.cancel"]


def test_a_session_that_only_transcribes_ends_with_its_budget():
    table = Table(Purse(1, USED_UP))
    usage = {"type": "tokens", "input_tokens": 1, "output_tokens": 1}
    table.hears({"type": "conversation.item.input_audio_transcription.completed", "usage": usage})
    assert len(table.caller.types) == 1
    assert table.end.how == "spent_up"


def test_while_money_is_waited_for_the_caller_is_not_heard():
    purse = Purse(1)
    table = Table(purse)
    table.says(ASK)
    table.hears(CREATED)
    assert table.caller.is_paused
    purse.free += 1
    table.relay.money_changed()
    assert not table.caller.is_paused


def test_a_session_whose_money_does_not_come_ends():
    purse = Purse(1)
    table = Table(purse)
    table.hears(CREATED)
    table.hears(DONE)
    assert table.end is None
    purse.failure = USED_UP
    table.relay.money_changed()
    assert (table.end.how, table.end.error) == ("spent_up", "budget_exceeded")


def test_a_response_that_the_provider_refuses_takes_nothing(table):
    table.says(ASK)
    table.hears({"type": "error", "error": {"type": "invalid_request_error", "code": "bad", "event_id": "mine"}})
    assert table.rules.notes == ["asked", "taken back"]
    assert not table.meter.is_busy


def test_settings_that_are_not_allowed_do_not_go_up(table):
    table.rules.setting = "The model of a session cannot be changed."
    table.says({"type": "session.update", "event_id": "e1", "session": {"type": "realtime", "model": "other"}})
    assert table.upstream.types == []
    assert table.caller.events[-1]["error"]["event_id"] == "e1"


def test_a_key_that_is_not_good_any_more_ends_it(table):
    table.rules.revoked = True
    table.says(ASK)
    assert table.upstream.types == []
    table.goodbye()
    assert (table.end.how, table.caller.closed_with) == ("key_revoked", 1008)


def test_a_key_that_is_revoked_ends_a_session_in_which_nothing_is_said_too(table):
    table.rules.revoked = True
    table.clock.move(1)
    assert table.end.how == "key_revoked"


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=6))
@settings(max_examples=60)
def test_whatever_comes_from_either_side_it_ends_in_words_or_goes_on(pieces):
    table = Table()
    for is_caller, data in pieces:
        (table.relay.caller_end if is_caller else table.relay.upstream_end).on_data(data)
    if table.end is None:
        table.relay.stop()
    table.goodbye()
    assert table.caller.is_closed
    assert table.caller.closed_with is None or table.caller.closed_with >= 1000


def test_what_is_no_event_is_not_passed_on_and_the_session_goes_on(table):
    table.says(b"hello")
    assert table.upstream.types == []
    assert table.caller.events[-1]["error"]["code"] == "invalid_json"
    assert "hello" not in table.caller.events[-1]["error"]["message"]
    assert table.end is None


def test_a_caller_that_reads_no_errors_is_told_of_no_more(table):
    table.relay.caller_end.on_full()
    table.says(b"hello")
    assert table.end.close == 1008
    assert table.caller.types == []


def test_a_caller_that_reads_no_pongs_is_sent_the_last_one_when_it_does(table):
    table.relay.caller_end.on_full()
    for number in range(100):
        table.relay.caller_end.on_data(frame(Opcode.PING, b"%d" % number, key=KEY))
    assert table.caller.frames == []
    table.relay.caller_end.on_free()
    assert [one.payload for one in table.caller.frames] == [b"99"]
