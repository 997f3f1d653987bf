import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Failure, FailureKind
from headworks.catalogue import TargetPrice
from headworks.catalogue.models import Model
from headworks.catalogue.prices import Period, Prices, Rates
from headworks.realtime import (
    Meter,
    UnreadableEvent,
    error_event,
    most_per_response,
    read_client_event,
    read_server_event,
    used_by_response,
    used_by_transcription,
)

RATES = Rates(input=4, cached_input=1, output=16, audio_input=32, cached_audio=2, audio_output=64, image_input=5)
MODEL = Model(name="gpt-realtime-2", context_tokens=1000, max_output_tokens=100)
PRICE = TargetPrice(Prices(periods=(Period(rates=RATES),)), "v1", MODEL)
BY_HOUR = TargetPrice(Prices(periods=(Period(rates=Rates(audio_hour=3600)),)), "v1")
UNPRICED = TargetPrice(None, "v1")
EACH = 900 * 32 + 100 * 64


class Money:
    """A budget that has its slots at once or not at all. `spent` never may be above its cap."""

    def __init__(self, cap):
        self.cap = cap
        self.set_aside = EACH
        self.spent = 0
        self.free = 1
        self.failure = None

    def want(self, slots):
        self.failure = None
        while self.free < slots:
            if self.spent + self.set_aside + EACH > self.cap:
                self.failure = Failure(FailureKind.BUDGET, "used up")
                return
            self.set_aside += EACH
            self.free += 1

    def take(self):
        if not self.free:
            return None
        self.free -= 1
        return Slot(self)

    def count(self, cost):
        self.spent += max(0, cost)

    def close(self):
        self.set_aside -= EACH * self.free
        self.free = 0


class Slot:
    def __init__(self, money):
        self.money = money

    def settle(self, cost):
        self.money.set_aside -= EACH
        self.money.spent += EACH if cost < 0 else cost


def meter(purse=None, price=PRICE, price_of=lambda _: UNPRICED):
    one = Meter(price, price_of, 0, purse)
    one.begin()
    return one


def done(read=0, written=0, **details):
    text = {"input_tokens": read, "output_tokens": written, **details}
    event = {"type": "response.done", "event_id": "e", "response": {"id": "r", "status": "completed", "usage": text}}
    return read_server_event(json.dumps(event).encode()).response.usage


def asks(event_id=None):
    return read_client_event(json.dumps({"type": "response.create", "event_id": event_id}).encode())


def test_a_response_is_charged_by_kind_of_token():
    one = meter()
    one.began()
    one.ended(
        done(
            132,
            50,
            input_token_details={
                "text_tokens": 90,
                "audio_tokens": 40,
                "image_tokens": 2,
                "cached_tokens": 70,
                "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 10, "image_tokens": 0},
            },
            output_token_details={"text_tokens": 20, "audio_tokens": 30},
        )
    )
    assert one.sums.cost_pico == 60 * 1 + 10 * 2 + 30 * 4 + 30 * 32 + 2 * 5 + 20 * 16 + 30 * 64
    assert one.sums.price_version == "v1"
    usage = one.sums.usage()
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.source) == (132, 70, 50, "provider")


def test_what_a_session_used_has_all_that_its_cost_comes_from():
    one = meter()
    for _ in range(2):
        one.began()
        one.ended(done(132, 50, input_token_details={"audio_tokens": 40}, output_token_details={"audio_tokens": 30}))
    cost = PRICE.cost(one.sums.usage(), at_us=0)
    assert cost.total == one.sums.cost_pico == 2 * (92 * 4 + 40 * 32 + 20 * 16 + 30 * 64)


def test_cached_tokens_of_no_kind_make_no_sound_cheaper():
    used = used_by_response(
        done(100, 0, input_token_details={"audio_tokens": 60, "text_tokens": 40, "cached_tokens": 30})
    )
    assert PRICE.cost(used.usage, at_us=0, extras=used.extras).total == 60 * 32 + 30 * 1 + 10 * 4


def test_responses_are_summed_up():
    one = meter()
    for _ in range(3):
        one.began()
        one.ended(done(10, 5))
    assert (one.sums.responses, one.sums.input_tokens, one.sums.cost_pico) == (3, 30, 3 * (40 + 80))


def test_what_is_not_told_makes_the_cost_unknown_and_keeps_what_is_known():
    one = meter()
    one.began()
    one.ended(done(10, 5))
    one.began()
    one.ended(None)
    one.close()
    assert (one.sums.cost_pico, one.sums.input_tokens) == (-1, 10)


def test_a_session_without_responses_costs_nothing():
    one = meter(Money(EACH))
    one.close()
    assert one.sums.cost_pico == 0
    assert one.sums.usage().source == "none"


def test_a_response_that_is_under_way_at_the_end_counts_as_the_most_that_it_can_cost():
    money = Money(5 * EACH)
    one = meter(money)
    one.began()
    one.close()
    assert (money.spent, money.set_aside, one.sums.cost_pico) == (EACH, 0, -1)


def test_there_is_a_slot_for_one_more_and_one_ahead_or_it_ends():
    money = Money(3 * EACH)
    one = meter(money)
    assert money.free == 2
    assert one.may_ask(asks()) is None
    one.began()
    assert money.set_aside == 3 * EACH
    one.ended(None)
    assert one.is_covered
    one.began()
    one.ended(None)
    assert one.is_covered
    one.began()
    assert not one.is_covered
    assert one.spent_up.kind is FailureKind.BUDGET
    assert one.may_ask(asks()).kind is FailureKind.BUDGET
    one.ended(done(1, 1))  # it came to less than was set aside, but not to so much less
    assert one.spent_up.kind is FailureKind.BUDGET
    assert (money.spent, money.set_aside) == (2 * EACH + 20, 0)


def test_responses_beside_each_other_are_each_set_aside_for():
    one = meter(Money(3 * EACH))
    assert [one.may_ask(asks()) for _ in range(3)] == [None, None, None]
    assert one.may_ask(asks()).kind is FailureKind.BUDGET


def test_a_response_that_the_provider_refuses_is_not_waited_for():
    one = meter()
    one.may_ask(asks("mine"))
    one.may_ask(asks())
    for error in ({"code": "x", "event_id": "mine"}, {"code": "y", "event_id": None}):
        one.refused(read_server_event(json.dumps({"type": "error", "error": error}).encode()).error)
    assert not one.is_busy


def test_no_more_responses_are_asked_for_ahead_than_can_be_counted():
    one = meter()
    assert [one.may_ask(asks()) for _ in range(64)] == [None] * 64
    assert one.may_ask(asks()).kind is FailureKind.LIMITED


@given(st.integers(1, 6), st.lists(st.sampled_from(["ask", "begin", "vad", "end", "cancel", "error"]), max_size=40))
def test_a_budget_is_never_exceeded_whatever_happens_when(share, acts):
    """The caller asks, and stops where it is told to; the provider begins what was asked for or what it likes, as long
    as the session is not at its end."""
    money = Money(share * EACH)
    one, asked = meter(money), 0
    for act in acts:
        if act == "ask" and one.is_covered:
            asked += one.may_ask(asks()) is None
        elif (act == "begin" and asked) or (act == "vad" and one.is_covered and not one.under_way and not asked):
            asked -= bool(asked)
            one.began()
        elif act in ("end", "cancel") and one.under_way:
            one.ended(done(900, 100) if act == "end" else None)
        elif act == "error" and asked:
            asked -= 1
            one.refused(read_server_event(b'{"type":"error","error":{"code":"bad"}}').error)
        assert money.spent + money.set_aside <= money.cap
        assert money.set_aside == EACH * (one.under_way + money.free)
    one.close()
    assert money.set_aside == 0
    assert money.spent <= money.cap


def test_a_transcription_is_charged_by_its_own_model():
    one = meter(price_of=lambda name: {"whisper-1": BY_HOUR, "gpt-4o-transcribe": PRICE}[name])
    one.transcribes_with("whisper-1")
    kind = "conversation.item.input_audio_transcription.completed"
    one.transcribed(
        read_server_event(json.dumps({"type": kind, "usage": {"type": "duration", "seconds": 1.5}}).encode()).usage
    )
    assert one.sums.cost_pico == 2
    one.transcribes_with("gpt-4o-transcribe")
    tokens = {"type": "tokens", "input_tokens": 10, "output_tokens": 2, "input_token_details": {"audio_tokens": 10}}
    one.transcribed(read_server_event(json.dumps({"type": kind, "usage": tokens}).encode()).usage)
    assert one.sums.cost_pico == 2 + 10 * 32 + 2 * 16


def test_what_is_transcribed_is_paid_for_out_of_what_was_set_aside_until_there_is_none():
    dear = TargetPrice(Prices(periods=(Period(rates=Rates(input=EACH)),)), "v1")
    money = Money(3 * EACH)
    one = meter(money, price_of=lambda _: dear)
    one.transcribes_with("any")
    usage = read_server_event(b'{"type":"t","usage":{"input_tokens":1,"output_tokens":0}}').usage
    for spent in (1, 2):
        one.transcribed(usage)
        assert (money.spent, one.is_covered) == (spent * EACH, True)
    one.transcribed(usage)
    assert one.spent_up.kind is FailureKind.BUDGET
    assert (money.spent, money.set_aside) == (3 * EACH, 0)


def test_a_transcription_whose_price_is_not_known_makes_the_cost_unknown():
    for price in (UNPRICED, PRICE):  # the latter has no price by the hour
        one = meter(price_of=lambda _, price=price: price)
        one.transcribed(read_server_event(b'{"type":"t","usage":{"seconds":3.0}}').usage)
        assert one.sums.cost_pico == -1


def test_the_most_of_a_response_is_bound_by_the_window_and_by_sound():
    assert most_per_response(PRICE, 0) == EACH
    assert most_per_response(UNPRICED, 0) is None


@pytest.mark.parametrize("message", [b"", b"[]", b"{}", b'{"type":1}', b'{"type":"a"', b'"\xff"', b"[" * 2000])
def test_what_is_no_event_is_told_without_being_shown(message):
    for read in (read_client_event, read_server_event):
        with pytest.raises(UnreadableEvent):
            read(message)


def test_a_type_that_is_written_with_escapes_is_the_same_type():
    assert read_client_event(rb'{"type":"response\u002ecreate"}').type == "response.create"


def test_an_error_is_what_the_sdk_takes_for_one():
    from openai.types.realtime import RealtimeErrorEvent

    found = RealtimeErrorEvent.model_validate_json(error_event("e1", "server_error", "c", "m", about="mine"))
    assert (found.error.code, found.error.event_id) == ("c", "mine")


def test_nothing_is_used_where_nothing_is_told():
    assert not used_by_response(None).is_told
    assert not used_by_transcription(None).is_told
