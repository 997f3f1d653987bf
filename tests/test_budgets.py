"""Calls under budgets: what they can cost is set aside, or they are refused; what they did cost is what counts."""

import json

import msgspec
import pytest

from headworks.access import Grant
from headworks.budgeting import CallMoney, Wallet
from headworks.call_bounds import HOSTED_RUNS, most_of_call, most_tokens
from headworks.calls import NO_BUDGET, Budget, Caller
from headworks.catalogue import Model, Period, Prices, Rates, TargetPrice
from headworks.errors import LimitsUnavailable
from headworks.limits.budgets import Books
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.stations import NO_PRICE
from played_work import DONE, EVENTS, chunk

RATES = Rates(input=100, output=500)
MODEL = Model(name="m", context_tokens=10_000, max_output_tokens=4_000)
PRICE = TargetPrice(Prices(periods=(Period(rates=RATES),)), "table-1", MODEL)
CALL = {"model": "nano", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]}
COST = 10 * 100 + 5 * 500
BOUND = (1024 + len(json.dumps(CALL))) * 100 + 100 * 500


class Here:
    """The books in the loop itself."""

    def __init__(self, folder):
        self.told = []
        self.books = Books(SqliteLedger(folder), lambda account: 0, self.told.append)

    async def claim(self, holder, claims):
        return self.books.claim(holder, claims)


class Away:
    async def claim(self, holder, claims):
        raise LimitsUnavailable("nobody keeps the books")


@pytest.fixture
def spending(hall):
    """A hall with prices, and a key that has a budget."""

    def do(source=None, price=PRICE, **budget):
        hall.price = price
        hall.source = source or Here(hall.folder)
        hall.wallet = Wallet(hall.source, "w", hall.loop)
        hall.make()
        hall.ring.grant = Grant(Caller("key_1", "ann", "search"), budget=Budget(**budget) if budget else NO_BUDGET)
        return hall

    yield do
    hall.loop.run_until_complete(hall.wallet.close())


def run(hall, seconds=0.05):
    hall.rest(seconds)


def until(hall, is_so):
    """Run until it is so, or for ten seconds."""
    for _ in range(500):
        if is_so():
            return
        run(hall, 0.02)


def ask(hall, headers=None, **fields):
    return hall.ask("/v1/chat/completions", CALL | fields, **(headers or {}))


def usage(hall):
    return {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def answer(hall):
    hall.answer({"id": "c", "model": "m", "choices": [], "usage": usage(hall)})
    hall.turn(4)


def spent(hall):
    hall.loop.run_until_complete(hall.wallet.close())
    return {state.name.rsplit("/", 1)[0]: state.spent for state in hall.source.books._ledger.states(_now_us())}


def _now_us():
    import time

    return int(time.time() * 1e6)


def test_a_call_counts_with_what_it_cost(spending):
    hall = spending(day_pico=10**9, month_pico=10**10)
    answered = ask(hall)
    run(hall)
    answer(hall)

    assert answered.status == 200
    assert answered.headers["x-headworks-cost-usd"] == f"0.{COST:012d}"
    assert "x-headworks-budget-remaining-usd" in answered.headers
    assert spent(hall) == {"key/key_1/day": COST, "key/key_1/month": COST}


def test_what_a_budget_has_not_is_refused_at_once_and_says_why(spending):
    hall = spending(day_pico=BOUND - 1)
    answered = ask(hall)
    run(hall)

    assert answered.status == 429
    assert (answered.error["code"], answered.error["type"]) == ("budget_exceeded", "insufficient_quota")
    assert "budget of key/key_1 for this day" in answered.error["message"]
    assert "x-should-retry" in answered.headers
    assert answered.headers["x-should-retry"] == "false"
    assert int(answered.headers["retry-after"]) >= 1
    assert not hall.upstream.flights
    assert spent(hall) == {"key/key_1/day": 0}


def test_calls_at_the_same_time_wait_for_what_the_first_gives_back(spending):
    hall = spending(day_pico=BOUND + COST)
    first, second = ask(hall), ask(hall)
    run(hall)
    assert len(hall.upstream.flights) == 1
    answer(hall)
    run(hall, 0.4)
    assert len(hall.upstream.flights) == 2
    answer(hall)
    assert (first.status, second.status) == (200, 200)
    assert spent(hall) == {"key/key_1/day": 2 * COST}


def test_when_a_budget_is_spent_it_is_told_once_and_calls_are_refused(spending):
    hall = spending(day_pico=COST + BOUND - 1)
    ask(hall)
    run(hall)
    answer(hall)
    refused = ask(hall)
    run(hall)
    assert refused.error["code"] == "budget_exceeded"
    assert [crossing.percent for crossing in hall.source.told] == []


def test_a_soft_budget_is_told_and_refuses_nobody(spending):
    hall = spending(day_pico=COST + 1, is_hard=False)
    for _ in range(3):
        answered = ask(hall)
        run(hall, 0.01)
        answer(hall)
        run(hall, 0.3)
        assert answered.status == 200
    assert answered.headers["x-headworks-budget-exceeded"] == "day"
    assert answered.headers["x-headworks-budget-remaining-usd"].startswith("-")
    assert [crossing.percent for crossing in hall.source.told] == [80, 100]


def test_a_call_that_asks_for_more_answers_than_can_be_counted_keeps_nobody_s_budget_from_being_counted(spending):
    hall = spending(day_pico=COST + 1, is_hard=False)
    for number, asked in enumerate(({"n": 10**17}, {})):
        ask(hall, **asked)
        until(hall, lambda count=number + 1: len(hall.upstream.flights) == count)
        answer(hall)
        run(hall, 0.25)  # so that the first one is told of while it is new
    assert spent(hall) == {"key/key_1/day": 2 * COST}
    assert [crossing.percent for crossing in hall.source.told] == [80, 100]


def test_whatever_goes_wrong_with_a_claim_the_next_one_is_made(spending):
    class Broken(Here):
        is_broken = True

        async def claim(self, holder, claims):
            if self.is_broken:
                self.is_broken = False
                raise OverflowError("no such thing is expected")
            return await super().claim(holder, claims)

    hall = spending(day_pico=10**9)
    hall.source.__class__ = Broken
    hall.loop.set_exception_handler(lambda *_: None)
    answered = ask(hall)
    until(hall, lambda: hall.upstream.flights)
    answer(hall)
    assert answered.status == 200


def test_a_team_has_a_budget_together(spending):
    hall = spending()
    hall.wallet.reconfigure({"search": Budget(day_pico=BOUND - 1)})
    hall.make()
    hall.ring.grant = Grant(Caller("key_1", "ann", "search"))
    refused = ask(hall)
    hall.ring.grant = Grant(Caller("key_2", "ben", "other"))
    passed = ask(hall)
    run(hall)
    answer(hall)
    assert (refused.status, passed.status) == (429, 200)


@pytest.mark.parametrize("is_hard", [True, False])
def test_what_has_no_price_is_refused_under_a_hard_budget_and_passes_under_a_soft_one(spending, is_hard):
    hall = spending(price=NO_PRICE, day_pico=10**12, is_hard=is_hard)
    answered = ask(hall)
    run(hall)
    if is_hard:
        assert answered.status == 429
        assert "prices" in answered.error["message"]
    else:
        answer(hall)
        assert answered.status == 200


def test_while_nobody_keeps_the_books_calls_wait_and_are_refused(spending):
    hall = spending(source=Away(), day_pico=10**12)
    answered = ask(hall, {"x_headworks_deadline_ms": "300"})
    run(hall, 0.5)
    assert answered.error["code"] == "budget_exceeded"
    assert not hall.upstream.flights


def test_a_caller_that_leaves_while_it_waits_leaves_nothing_behind(spending):
    hall = spending(day_pico=BOUND + COST)
    ask(hall)
    second = ask(hall)
    run(hall)
    second.running.cancel()
    answer(hall)
    run(hall, 0.3)
    assert len(hall.upstream.flights) == 1
    assert spent(hall) == {"key/key_1/day": COST}
    assert hall.wallet.waiting == 0


def test_a_stream_counts_with_what_it_cost(spending):
    hall = spending(day_pico=10**9)
    answered = ask(hall, stream=True)
    run(hall)
    hall.flight.sink.on_head(200, EVENTS)
    last = json.dumps({"choices": [], "usage": usage(hall)}).encode()
    for piece in (chunk("Hello."), chunk(finish_reason="stop") + b"data: " + last + b"\n\n" + DONE):
        hall.flight.sink.on_body(piece)
    run(hall)
    assert answered.is_over
    assert "x-headworks-budget-remaining-usd" in answered.headers
    assert spent(hall) == {"key/key_1/day": COST}


def test_a_call_that_failed_without_cost_gives_all_back(spending):
    hall = spending(day_pico=10**9)
    answered = ask(hall)
    run(hall)
    hall.answer({"error": {"message": "no"}}, status=400)
    hall.turn(4)
    assert answered.status == 400
    assert spent(hall) == {"key/key_1/day": 0}


def raw(**fields):
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (raw(input="abc", max_output_tokens=7), (1024 + 5 + 1, 7)),
        (raw(input="abc"), (1024 + 5, 4_000)),
        (raw(input="abc", max_tokens=7), (1024 + 5 + 1, 4_000)),
        (raw(input=[{"type": "web_search"}], max_output_tokens=7), (100_000, 7)),
        ({"tools": msgspec.Raw(b'[{"type": "\\u0077eb_search"}]')}, (100_000, 4_000)),
        (raw(input="x" * 20_000, max_output_tokens=7), (10_000, 7)),
        (raw(previous_response_id="resp_1", max_output_tokens=7), (10_000, 7)),
        (raw(input=[{"type": "input_file", "file_id": "f"}], max_output_tokens=7), (10_000, 7)),
        (raw(input=[{"type": "input_image", "image_url": "https://x/y.png"}], max_output_tokens=7), (10_000, 7)),
        (raw(tools=[{"type": "web_search"}], max_output_tokens=7), (100_000, 7)),
    ],
)
def test_the_most_that_a_call_can_take_is_bounded_by_its_bytes_or_its_window(fields, expected):
    assert most_tokens(fields, PRICE) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (raw(messages=[], max_completion_tokens=9_999), (1024 + 2 + 4, 4_000)),
        (raw(messages=[], max_tokens=10, n=3), (1024 + 2 + 2 + 1, 30)),
        (raw(messages=[], max_tokens=10, max_completion_tokens=20), (1024 + 2 + 2 + 2, 20)),
        (raw(messages=[], max_output_tokens=1), (1024 + 2 + 1, 4_000)),
        (raw(messages=[], max_tokens=10, n=1_000_000), (1024 + 2 + 2 + 7, 10_000_000)),
    ],
)
def test_what_another_api_calls_a_limit_bounds_nothing(fields, expected):
    assert most_tokens(fields, PRICE, endpoint="chat.completions") == expected


def test_what_embeds_writes_nothing_and_may_read_many_windows():
    assert most_tokens(raw(input=["x" * 8_000] * 4), PRICE, endpoint="embeddings") == (1024 + 32_016, 0)
    embedding = TargetPrice(Prices(periods=(Period(rates=Rates(input=20)),)), "v", MODEL)
    assert embedding.most(*most_tokens(raw(input="abc"), embedding, endpoint="embeddings"), at_us=0) == 20 * (1024 + 5)


def image_model(name):
    rates = Rates(input=5, image_input=8, output=10, image_output=32)
    return TargetPrice(Prices(periods=(Period(rates=rates),)), "v", Model(name=name))


@pytest.mark.parametrize(
    ("name", "fields", "most"),
    [
        ("gpt-image-1.5", raw(prompt="dot", n=2), (1024 + 5 + 1, 2 * 6_600)),
        ("gpt-image-2", raw(prompt="dot"), (1024 + 5, 128_000)),
        ("gpt-image-2", raw(prompt="dot", images=[{"image_url": "x"}]), (1024 + 5 + 20 + 16 * 50_000, 128_000)),
    ],
)
def test_images_are_bounded_by_what_one_can_take_and_cost_what_images_cost(name, fields, most):
    price = image_model(name)
    assert most_tokens(fields, price, endpoint="images") == most
    bound = price.most_together(most_of_call(fields, price, 0, "images"), at_us=0)
    assert bound == most[0] * 8 + most[1] * 32


def test_sound_and_long_lived_writes_are_bounded_at_their_own_price():
    rates = Rates(input=10, cache_write=12, cache_write_long=25, output=20, audio_input=90)
    price = TargetPrice(Prices(periods=(Period(rates=rates),)), "v", MODEL)

    def bound(**fields):
        found = most_of_call(raw(**fields, max_completion_tokens=0), price, 0, "chat.completions")
        return price.most_together(found, at_us=0) - found.output_tokens * 20, found.input_tokens

    cost, taken = bound(messages=[{"role": "user", "content": "x"}])
    assert cost == taken * 12
    cost, taken = bound(messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}])
    assert cost == taken * 90
    cost, taken = bound(messages=[], prompt_cache_options={"ttl": "12h"})
    assert cost == taken * 25


def test_a_tier_that_a_call_must_name_bounds_only_calls_that_name_it():
    higher = Rates(input=300, output=900)
    tiers = {"ultrafast": (Period(rates=higher),)}
    price = TargetPrice(Prices(periods=(Period(rates=Rates(input=50, output=150)),), tiers=tiers), "v")

    def bound(**fields):
        found = most_of_call(raw(input="x", max_output_tokens=10, **fields), price, 0, "responses")
        return price.most_together(found, at_us=0) / (found.input_tokens * 50 + 10 * 150)

    assert bound() == bound(service_tier="auto") == 1
    assert bound(service_tier="ultrafast") == 6


def test_what_tools_at_the_provider_charge_for_themselves_is_set_aside_too():
    rates = Rates(input=1, output=1, web_search=10**10, container_run=3 * 10**10)
    price = TargetPrice(Prices(periods=(Period(rates=rates),)), "v")

    def bound(*tools):
        found = most_of_call(raw(input="x", tools=[{"type": one} for one in tools]), price, 0, "responses")
        return price.most_together(found, at_us=0) - found.input_tokens - found.output_tokens

    assert bound("function") == 0
    assert bound("web_search") == HOSTED_RUNS * 3 * 10**10  # which of the tools will run, nobody knows before


def test_of_all_tiers_and_steps_the_dearest_bounds_the_cost():
    higher = Rates(input=300, cache_write=400, output=900)
    prices = Prices(periods=(Period(rates=RATES),), tiers={"priority": (Period(rates=higher),)})
    assert TargetPrice(prices, "v").most(10, 10, at_us=0) == 10 * 400 + 10 * 900
    assert TargetPrice(None, "v").most(10, 10, at_us=0) is None


def test_a_workload_whose_budget_is_spent_gives_its_static_answer(work):
    hall = work.hall
    hall.price = PRICE
    hall.source = Here(hall.folder)
    hall.wallet = Wallet(hall.source, "w", hall.loop)
    work.make("fallback: [deterministic]\nbudget: {per_day: 0.000001}\n", fallback={"team": "red"})
    answered = work.chat()
    run(hall, 0.1)
    assert answered.status == 200
    assert answered.headers["x-headworks-degraded"] == "budget_exceeded"
    assert not hall.upstream.flights
    assert spent(hall) == {"workload/triage/day": 0}


@pytest.mark.parametrize(
    ("fields", "of_input", "of_output"),
    [
        (raw(input="abc", max_output_tokens=7), 20, 900),
        (raw(input=[{"type": "input_image", "image_url": "x"}], max_output_tokens=7), 300, 900),
        (
            raw(system=[{"type": "text", "cache_control": {"type": "ephemeral", "ttl": "1h"}}], max_output_tokens=7),
            50,
            900,
        ),
        (raw(input="abc", modalities=["text", "audio"], max_output_tokens=7), 300, 900),
    ],
)
def test_what_is_set_aside_has_the_prices_of_what_a_call_may_hold(fields, of_input, of_output):
    rates = Rates(input=20, output=40, cache_write_long=50, audio_input=300, audio_output=900)
    price = TargetPrice(Prices(periods=(Period(rates=rates),)), "v", MODEL)
    money = CallMoney((), fields, 0)
    taken, written = most_tokens(fields, price)

    assert money.bound(price) == taken * of_input + written * of_output
