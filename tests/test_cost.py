"""What calls cost: in the record, in the head of the answer, in the metrics."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import Caller, FailureKind, Usage
from headworks.catalogue import Period, Prices, Rates, TargetPrice
from headworks.outcome import charge
from headworks.plans import Plan
from headworks.routing import Target
from headworks.settlement import CallMaker
from headworks.stations import Station
from played_work import EVENTS, chat_answer, chunk, team

RATES = Rates(input=100, cached_input=10, cache_write=125, output=500)
PRICE = TargetPrice(Prices(periods=(Period(rates=RATES),), tiers={"flex": (Period(rates=RATES),)}), "table-1")
ANSWER = chat_answer("Hello.") | {
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 40},
        "total_tokens": 107,
    }
}
COST = 60 * 100 + 40 * 10 + 7 * 500


@pytest.fixture
def priced(hall):
    hall.price = PRICE
    hall.make()
    return hall


def test_a_call_costs_what_its_tokens_cost(priced):
    answered = priced.chat()
    priced.answer(ANSWER | {"service_tier": "flex"})

    settled = priced.settled
    assert (settled.cost_pico, settled.price_version, settled.service_tier) == (COST, "table-1", "flex")
    assert answered.headers["x-headworks-cost-usd"] == f"0.{COST:012d}"
    assert "x-headworks-cost-estimated" not in answered.headers
    assert b'headworks_cost_usd_total{endpoint="chat.completions",provider="stub",model="m",outcome="answered",' in (
        priced.metrics.render()
    )
    assert f"0.{COST:012d}".encode() in priced.metrics.render()


def test_a_call_that_hears_and_speaks_costs_what_sound_costs(hall):
    rates = Rates(input=100, cached_input=10, output=500, audio_input=4_000, audio_output=8_000)
    hall.price = TargetPrice(Prices(periods=(Period(rates=rates),)), "table-1")
    hall.make()
    hall.chat()
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 70,
        "total_tokens": 170,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 60},
        "completion_tokens_details": {"audio_tokens": 50},
    }
    hall.answer(ANSWER | {"usage": usage})

    assert hall.settled.cost_pico == 40 * 100 + 60 * 4_000 + 20 * 500 + 50 * 8_000


DRAWN = {
    "input_tokens": 100,
    "input_tokens_details": {"text_tokens": 40, "image_tokens": 60},
    "output_tokens": 1000,
    "total_tokens": 1100,
}
HEARD = {"type": "tokens", "input_tokens": 100, "output_tokens": 10, "input_token_details": {"audio_tokens": 90}}
MEDIA_RATES = Rates(input=100, output=500, image_input=200, audio_input=4_000, audio_hour=3_600_000)


@pytest.mark.parametrize(
    ("path", "answer", "cost"),
    [
        ("/v1/images/generations", {"created": 1, "data": [], "usage": DRAWN}, 40 * 100 + 60 * 200 + 1000 * 500),
        ("/v1/images/generations", {"created": 1, "data": []}, -1),
        ("/v1/images/generations", {"created": 1, "usage": {"input_tokens": "many"}}, -1),
        ("/v1/audio/transcriptions", {"text": "x", "usage": HEARD}, 10 * 100 + 90 * 4_000 + 10 * 500),
        ("/v1/audio/transcriptions", {"text": "x", "usage": {"type": "duration", "seconds": 59.2}}, 60 * 1_000),
        ("/v1/audio/transcriptions", b"1\n00:00:00,000 --> 00:00:01,000\nx", -1),
    ],
)
def test_pictures_and_transcriptions_cost_what_they_say(hall, path, answer, cost):
    hall.price = TargetPrice(Prices(periods=(Period(rates=MEDIA_RATES),)), "table-1")
    hall.make()
    answered = hall.ask(path, {"model": "nano", "prompt": "a dot"})
    hall.answer(answer)

    assert (answered.status, hall.settled.cost_pico) == (200, cost)


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({"cost": 0.000123456789}, 123_456_789),
        ({"cost": 1.4e-05, "is_byok": False, "cost_details": {"upstream_inference_cost": 19}}, 14_000_000),
        ({"cost": 1e-6, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.00002}}, 21_000_000),
        ({"cost": 0}, 0),
        ({"cost": 1e-6, "is_byok": True, "cost_details": None}, COST),
        ({"cost": -1}, COST),
        ({"cost": 1e300}, COST),
        ({"cost": "0.5"}, COST),
        ({"cost": {"total_cost": 0.5}}, COST),
        ({"cost": None}, COST),
        ({}, COST),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_a_provider_says_that_it_charged_is_what_a_call_costs(hall, said, cost, is_streamed):
    hall.price, hall.says_cost = PRICE, True
    hall.make()
    usage = ANSWER["usage"] | said
    if is_streamed:
        hall.chat(stream=True)
        hall.flight.sink.on_head(200, EVENTS)
        last = json.dumps({"choices": [], "usage": usage}).encode()
        hall.flight.sink.on_body(chunk("Hello.") + chunk(finish_reason="stop"))
        hall.flight.sink.on_body(b"data: " + last + b"\n\ndata: [DONE]\n\n")
        hall.turn()
    else:
        hall.chat()
        hall.answer(ANSWER | {"usage": usage})

    assert hall.settled.cost_pico == cost
    assert hall.settled.price_version == ("table-1" if cost == COST else "table-1+charged")
    assert hall.settled.input_tokens == 100


def test_what_other_providers_call_cost_is_not_believed(priced):
    priced.chat()
    priced.answer(ANSWER | {"usage": ANSWER["usage"] | {"cost": 5}})
    assert priced.settled.cost_pico == COST


def test_a_stream_costs_the_same(priced):
    answered = priced.chat(stream=True)
    priced.flight.sink.on_head(200, EVENTS)
    last = json.dumps({"choices": [], "usage": ANSWER["usage"]}).encode()
    end = chunk(finish_reason="stop") + b"data: " + last + b"\n\ndata: [DONE]\n\n"
    for piece in (chunk("Hello."), end):
        priced.flight.sink.on_body(piece)
    priced.turn()

    assert answered.is_over
    assert priced.settled.cost_pico == COST


def test_what_is_free_is_said_to_be(hall):
    free = Rates(input=0, cached_input=0, cache_write=0, output=0)
    hall.price = TargetPrice(Prices(periods=(Period(rates=free),)), "table-1")
    hall.make()
    answered = hall.chat()
    hall.answer()

    assert (hall.settled.cost_pico, hall.settled.price_version) == (0, "table-1")
    assert answered.headers["x-headworks-cost-usd"] == "0.000000000000"


def test_what_has_no_price_is_not_said_to_be_free(hall):
    answered = hall.chat()
    hall.answer()

    assert (hall.settled.cost_pico, hall.settled.price_version) == (-1, "")
    assert "x-headworks-cost-usd" not in answered.headers


def test_what_is_refused_before_any_attempt_is_free(priced):
    priced.ask("/v1/chat/completions", {"model": "nobody", "messages": []})

    assert priced.settled.cost_pico == 0


def test_usage_that_was_counted_here_is_charged_and_marked(priced):
    answered = priced.chat()
    priced.answer({name: value for name, value in ANSWER.items() if name != "usage"})

    settled = priced.settled
    assert settled.usage_source == "estimated"
    assert answered.headers["x-headworks-cost-estimated"] == "true"
    assert settled.cost_pico == settled.input_tokens * 100 + settled.output_tokens * 500


def test_all_attempts_of_a_workload_are_paid_for(priced, work):
    work.make("fallback: [large]\n")
    work.chat()
    work.answer(team("green"))  # breaks the schema
    work.answer(team("green"))  # the repair does, too
    work.chat()
    work.fail(FailureKind.UNREACHABLE)  # nothing was used
    work.answer(team("red"))

    first, second = (entry for entry in priced.entries() if type(entry).__name__ == "Settled")
    assert first.cost_pico == 2 * (10 * 100 + 5 * 500)
    assert second.cost_pico == 10 * 100 + 5 * 500


tokens = st.integers(0, 10**7)


@given(attempts=st.lists(st.tuples(tokens, tokens, tokens, tokens), min_size=1, max_size=4))
def test_attempts_sum_up_and_cached_tokens_never_count_twice(attempts):
    call = CallMaker().begin("chat.completions", Caller())
    target = Target("p", "m", Station(None, None, None, PRICE, None), frozenset(), b"")
    plan = Plan(target, None, None, "/chat/completions", False)
    expected = 0
    for whole, cached, written, output in attempts:
        call.usage = Usage(whole, min(cached, whole), min(written, whole - min(cached, whole)), output, 0, "provider")
        usage = call.usage
        rest = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
        expected += rest * 100 + usage.cached_tokens * 10 + usage.cache_write_tokens * 125 + output * 500
        charge(call, plan)

    assert call.cost_pico == expected


def test_one_attempt_without_a_price_makes_the_whole_unknown():
    call = CallMaker().begin("chat.completions", Caller())
    call.usage = Usage(10, output_tokens=1, source="provider")
    for price in (PRICE, TargetPrice(None, "table-1"), PRICE):
        charge(
            call,
            Plan(Target("p", "m", Station(None, None, None, price, None), frozenset(), b""), None, None, "", False),
        )

    assert call.cost_pico == -1
