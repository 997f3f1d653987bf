"""What bounds the attempts of a call: the time that is left, what its targets can take, what its caller and provider
say."""

from time import perf_counter

import msgspec
import pytest

from headworks.attempts import LEAST_S
from headworks.calls import Failure, FailureKind
from headworks.routing import BreakerState
from headworks.routing.health import LEAST_CALLS, Health
from headworks.routing.retrying import RETRIES_IN_WINDOW, RETRY_RATIO, WINDOW_S
from played_work import DONE, EVENTS, chunk, team

ERROR = {"error": {"message": "No.", "type": "server_error", "code": "server_error", "param": None}}


def fail(hall, kind, **options):
    hall.flight.sink.on_failure(Failure(kind, "stub failed", **options))
    hall.turn(6)


def health_of(hall, name):
    return hall.table.resolve(name).station.health


def took(health, took_s, *, answers=30):
    """So long its answers have taken of late: it is told so by the clock that calls go by."""
    end_s = perf_counter()
    for number in range(answers):
        now_s = end_s - (answers - number) * 0.5
        health.begin(now_s)
        health.succeeded(now_s, took_s)


def models(hall):
    return [flight.body["model"] for flight in hall.upstream.flights]


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_target_that_was_never_so_quick_is_not_asked_and_the_next_model_is(hall, is_streamed):
    hall.make()
    took(health_of(hall, "smart"), 5.0)
    body = {"model": "smart", "messages": [], "stream": is_streamed}
    answered = hall.ask("/v1/chat/completions", body, turns=6, x_headworks_deadline_ms="2000")

    assert models(hall) == ["c"]
    if is_streamed:
        hall.flight.sink.on_head(200, EVENTS)
        for piece in (chunk("Hi."), DONE):
            hall.flight.sink.on_body(piece)
        hall.turn(8)
    else:
        hall.answer()
        hall.turn(8)
    assert answered.status == 200
    assert answered.headers["x-headworks-fallback"] == "upstream_timeout"
    assert hall.settled.attempts == 1


@pytest.mark.parametrize("is_streamed", [False, True])
def test_where_nobody_can_answer_in_time_the_call_fails_at_once_with_the_deadlines_error(hall, is_streamed):
    took(health_of(hall, "nano"), 5.0)
    body = {"model": "nano", "messages": [], "stream": is_streamed}
    answered = hall.ask("/v1/chat/completions", body, turns=6, x_headworks_deadline_ms="2000")

    assert (answered.status, answered.error["code"]) == (504, "upstream_timeout")
    assert "lately taken 5.00 s at least" in answered.error["message"]
    assert hall.upstream.flights == []
    assert health_of(hall, "nano").view(0).failures == 0  # it is not the target's fault


@pytest.mark.parametrize("deadline_ms", ["", "8000"])
def test_a_target_is_asked_where_there_is_time_for_it(hall, deadline_ms):
    took(health_of(hall, "nano"), 5.0)
    given = {"x_headworks_deadline_ms": deadline_ms} if deadline_ms else {}
    hall.ask("/v1/chat/completions", {"model": "nano", "messages": []}, **given)

    assert models(hall) == ["m"]
    hall.answer()


def test_a_target_that_is_too_slow_is_asked_now_and_then_so_that_it_is_seen_when_it_is_not(hall):
    took(health_of(hall, "nano"), 5.0)
    for _ in range(30):
        before = len(hall.upstream.flights)
        hall.ask("/v1/chat/completions", {"model": "nano", "messages": []}, x_headworks_deadline_ms="2000")
        if len(hall.upstream.flights) > before:
            hall.answer(ERROR, 400)  # an answer would be news
            hall.turn(8)

    assert len(hall.upstream.flights) == 3


def test_a_workload_goes_on_from_a_target_that_was_never_so_quick(hall, work):
    work.make("fallback: [large]\nlatency: {total_s: 2}\n")
    target = hall.gateway._works._works["triage"].chain[0]
    took(target.station.health, 5.0)
    answered = work.chat()

    assert models(hall) == ["large"]
    work.answer(team("red"))
    assert answered.headers["x-headworks-fallback"] == "upstream_timeout"


def test_the_same_target_is_not_asked_again_where_it_could_not_answer_in_what_is_left(hall):
    hall.make(retries=2)
    took(health_of(hall, "nano"), 1.9)
    answered = hall.ask("/v1/chat/completions", {"model": "nano", "messages": []}, x_headworks_deadline_ms="2000")
    hall.answer(ERROR, 503, retry_after_ms=str(int(1000 * (0.1 + LEAST_S))))
    hall.turn(8)

    assert (answered.status, hall.settled.attempts) == (503, 1)


# -- outages ----------------------------------------------------------------------------------------------------------


def test_the_next_model_takes_all_calls_of_one_that_is_out_as_long_as_it_is_well(hall):
    hall.make()
    for _ in range(200):
        answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []})
        if hall.flight.body["model"] == "m":
            fail(hall, FailureKind.UNREACHABLE)
        hall.answer()
        hall.turn(8)
        assert answered.status == 200


def test_pools_that_all_fail_now_and_then_are_not_asked_one_after_the_other_by_every_call(hall, monkeypatch):
    monkeypatch.setattr(Health, "cost_s", lambda health, now_s: 0.0)  # how quick this machine is must not count
    hall.make()
    hops = 0
    for number in range(1000):
        hall.gateway._planner._uniform = lambda most, number=number: most * 0.99 * (number % 2)  # one by one
        answered = hall.ask("/v1/chat/completions", {"model": "pooled/p", "messages": []})
        has_failed = number > 40 and number % 7 in (1, 4)  # nearly three in ten of either: too few for a breaker
        while not answered.is_over:
            if has_failed:
                fail(hall, FailureKind.ERROR)
                hops += 1
                has_failed = hops % 3 == 1
            else:
                hall.answer()
                hall.turn(8)

    pools = hall.table.resolve("pooled/p").pools
    assert all(pool.station.health.view(perf_counter()).state is BreakerState.CLOSED for pool in pools)
    assert len(hall.upstream.flights) <= (1 + RETRY_RATIO) * 1000 + 2 * (RETRIES_IN_WINDOW + LEAST_CALLS)


def fails_often(health):
    """Three in ten of its attempts have failed of late: too few for a breaker, and it may still be asked again."""
    now_s = perf_counter()
    for number in range(100):
        health.begin(now_s)
        if number % 10 in (0, 3, 6):
            health.failed(now_s, FailureKind.ERROR)
        else:
            health.succeeded(now_s, 0.1)
    assert health.view(now_s).state is BreakerState.CLOSED
    assert health.take_retry(now_s)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_where_a_target_often_fails_the_next_model_is_asked_before_it_is_asked_again(hall, is_streamed):
    hall.make(retries=2)
    fails_often(health_of(hall, "smart"))
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": [], "stream": is_streamed})
    fail(hall, FailureKind.ERROR)

    assert models(hall) == ["m", "c"]
    fail(hall, FailureKind.REJECTED)
    assert answered.is_over


def test_where_the_next_model_often_fails_too_the_same_is_asked_again(hall):
    hall.make(retries=2)
    fails_often(health_of(hall, "smart"))
    for name in ("only-chat/c", "anthropic/claude-x"):
        fails_often(health_of(hall, name))
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []})
    fail(hall, FailureKind.ERROR)

    assert models(hall) == ["m", "m"]
    hall.answer()
    hall.turn(8)
    assert answered.status == 200
    assert "x-headworks-fallback" not in answered.headers


def test_where_no_next_model_can_be_asked_the_same_is_asked_again_and_is_no_fallback(hall):
    hall.make(retries=2)
    fails_often(health_of(hall, "smart"))
    body = {"model": "smart", "messages": [], "audio": {"voice": "alloy", "format": "mp3"}, "modalities": ["audio"]}
    hall.table.resolve("smart")
    msgspec.structs.force_setattr(hall.table.resolve("smart"), "fallback", ("anthropic/claude-x",))
    answered = hall.ask("/v1/chat/completions", body)
    fail(hall, FailureKind.ERROR)

    assert models(hall) == ["m", "m"]
    hall.answer()
    hall.turn(8)
    assert answered.status == 200
    assert "x-headworks-fallback" not in answered.headers


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(("chain", "asked"), [("[large]", ["small", "large"]), ("[deterministic]", ["small", "small"])])
def test_a_workload_goes_on_at_once_from_a_target_that_often_fails_but_not_to_an_answer_of_no_model(
    hall, work, is_streamed, chain, asked
):
    work.make(f"fallback: {chain}\n", fallback={"team": "blue"}, retries=2)
    fails_often(hall.gateway._works._works["triage"].chain[0].station.health)
    work.chat(stream=is_streamed)
    work.answer(ERROR, 500)

    assert models(hall) == asked
    work.fail(FailureKind.REJECTED)


def test_attempts_that_come_from_elsewhere_are_counted_as_its_own_by_a_target_that_is_well():
    health = Health(lambda most: most)
    for number in range(500):
        now_s = number * WINDOW_S / 500
        assert health.take_hop(now_s)
        health.begin(now_s)
        health.succeeded(now_s, 0.1)
    assert health.view(WINDOW_S).retries == 0


# -- what the provider says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_says_that_it_must_not_be_asked_again_is_not(hall, status):
    hall.make(retries=2)
    answered = hall.chat()
    hall.answer(ERROR, status, x_should_retry="false")
    hall.turn(8)

    assert (answered.status, hall.settled.attempts) == (status, 1)


def test_another_model_is_asked_although_the_first_must_not_be_again(hall):
    hall.make(retries=2)
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []})
    hall.answer(ERROR, 500, x_should_retry="false")
    hall.turn(8)
    assert models(hall) == ["m", "c"]
    hall.answer()
    hall.turn(8)

    assert answered.status == 200


def test_a_provider_that_asks_to_be_asked_again_is_whatever_its_status_says(hall):
    hall.make(retries=2)
    answered = hall.chat()
    hall.answer(ERROR, 409, x_should_retry="true", retry_after_ms="0")
    hall.turn(8)
    hall.answer()
    hall.turn(8)

    assert (answered.status, hall.settled.attempts) == (200, 2)


# -- what the caller says ---------------------------------------------------------------------------------------------


def test_a_caller_that_wants_no_other_model_gets_none(hall):
    hall.make()
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []}, x_headworks_fallback="off")
    assert hall.flight.timeouts.total_s > 500  # no time is kept for another
    fail(hall, FailureKind.TIMEOUT)

    assert (answered.status, models(hall)) == (504, ["m"])


@pytest.mark.parametrize(("retries", "attempts"), [("0", 1), ("1", 2), ("9", 3)])
def test_a_caller_says_how_often_the_same_is_asked_again_but_not_oftener_than_is_configured(hall, retries, attempts):
    hall.make(retries=2)
    answered = hall.ask("/v1/chat/completions", {"model": "nano", "messages": []}, x_headworks_retries=retries)
    for _ in range(attempts):
        hall.answer(ERROR, 503, retry_after_ms="0")
        hall.turn(8)

    assert (answered.status, hall.settled.attempts) == (503, attempts)


def test_a_caller_that_wants_one_attempt_gets_no_other_pool(hall):
    hall.make()
    body = {"model": "pooled/p", "messages": []}
    answered = hall.ask("/v1/chat/completions", body, x_headworks_retries="0")
    hall.answer(ERROR, 500)
    hall.turn(8)

    assert (answered.status, len(hall.upstream.flights)) == (500, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_headworks_fallback", "none"),
        ("x_headworks_retries", "few"),
        ("x_headworks_retries", "11"),
        ("x_headworks_retries", "9" * 9999),
    ],
)
def test_what_is_not_understood_is_refused_and_not_left_out(hall, name, value):
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []}, **{name: value})

    assert (answered.status, answered.error["code"]) == (400, "invalid_header")
    assert answered.error["param"] == name.replace("_", "-")
    assert hall.upstream.flights == []


@pytest.mark.parametrize("is_left_to_callers", [False, True])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_contract_says_how_its_calls_are_made_but_for_what_it_leaves_to_callers(
    hall, work, is_left_to_callers, is_streamed
):
    freed = "caller_may_set: [fallback, retries]\n" if is_left_to_callers else ""
    work.make(f"fallback: [large]\n{freed}", retries=1)
    body = {"model": "triage", "messages": [], "prompt": {"variables": {"ticket": "x"}}, "stream": is_streamed}
    answered = hall.ask("/v1/chat/completions", body, x_headworks_fallback="off", x_headworks_retries="0")
    work.answer(ERROR, 503)
    if is_left_to_callers:
        assert (answered.status, models(hall)) == (503, ["small"])
        return
    work.answer(ERROR, 503)
    assert models(hall) == ["small", "small", "large"]
    work.fail(FailureKind.TIMEOUT)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_workloads_next_model_that_often_fails_itself_is_not_asked_beyond_its_budget(hall, work, is_streamed):
    work.make("fallback: [large, deterministic]\n", fallback={"team": "blue"})
    health = hall.gateway._works._works["triage"].chain[1].station.health
    now_s = perf_counter()
    for number in range(20):
        health.begin(now_s)
        if number % 5 in (0, 2):
            health.failed(now_s, FailureKind.ERROR)
        else:
            health.succeeded(now_s, 0.1)
    while health.take_hop(now_s):
        pass
    answered = work.chat(stream=is_streamed)
    work.fail(FailureKind.TIMEOUT)

    assert models(hall) == ["small"]
    assert answered.status == 200
    assert answered.headers["x-headworks-degraded"] == "upstream_timeout, circuit_open"
