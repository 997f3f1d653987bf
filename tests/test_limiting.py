"""Calls under quotas: reserved, waiting in the fair queue, refused with when to come back, corrected afterwards."""

import time

import msgspec
import pytest

from headworks.access import Grant
from headworks.calls import Caller, Failure, FailureKind, Limits, Team
from headworks.errors import LimitsUnavailable
from headworks.limiting import CallQuota, Limiter
from headworks.limits import LocalAuthority, holding
from headworks.quotas import quotas_of
from played_work import DONE, EVENTS, chat_answer, chunk, team

ANSWERED = chat_answer("Hello.", usage=(7, 5))


@pytest.fixture
def limit(hall):
    """Gives the hall's targets limits of their own, by the name that they are called by."""

    def do(target=None, **limits):
        station = hall.table.resolve(target or "nano").station
        found = hall.limiter.target_set(f"stub/{target or 'nano'}", Limits(**limits))
        msgspec.structs.force_setattr(station, "limits", found)
        return found

    return do


def grant(**limits):
    return Grant(Caller("key_1", "ann", "search"), limits=Limits(**limits))


def run(hall, seconds=0.05):
    hall.rest(seconds)


def until(hall, is_so):
    """Run until it is so, or for ten seconds; at least for a turn, as between any two things that happen."""
    run(hall, 0.0)
    for _ in range(500):
        if is_so():
            break
        run(hall, 0.02)
    run(hall, 0.0)


def ask(hall, **headers):
    return hall.ask(
        "/v1/chat/completions", {"model": "nano", "messages": [{"role": "user", "content": "x"}]}, **headers
    )


def test_a_call_within_its_limit_is_made_as_soon_as_the_lease_is_there(hall, limit):
    limit(requests_per_minute=100)
    answered = ask(hall)
    run(hall)
    hall.answer()
    hall.turn(6)

    assert answered.status == 200
    assert hall.limiter.waiting == 0


@pytest.mark.parametrize("is_streamed", [False, True])
def test_over_the_limit_a_call_waits_as_long_as_its_deadline_allows_and_is_then_told_when_to_come_back(
    hall, limit, is_streamed
):
    limit(requests_per_minute=2)
    for _ in range(2):
        hall.chat(stream=is_streamed)
        run(hall)
    sent = len(hall.upstream.flights)
    assert sent == 2
    for flight in hall.upstream.flights:
        if is_streamed:
            flight.sink.on_head(200, EVENTS)
            flight.sink.on_body(chunk("x"))
            flight.sink.on_body(DONE)
        else:
            flight.answer()
    hall.turn(6)
    answered = (
        ask(hall, x_headworks_deadline_ms="200")
        if not is_streamed
        else hall.ask(
            "/v1/chat/completions", {"model": "nano", "messages": [], "stream": True}, x_headworks_deadline_ms="200"
        )
    )
    run(hall, 0.4)

    assert len(hall.upstream.flights) == sent
    assert (answered.status, answered.error["code"]) == (429, "rate_limit_exceeded")
    assert answered.error["type"] == "rate_limit_error"
    assert 25 <= int(answered.headers["retry-after"]) <= 31  # a call every 30 seconds
    assert answered.headers["x-ratelimit-limit-requests"] == "2"
    assert answered.headers["x-ratelimit-remaining-requests"] == "0"
    assert hall.limiter.waiting == 0


def test_a_call_that_waits_is_made_when_there_is_room(hall, limit):
    limit(requests_per_minute=60)
    asked = [ask(hall) for _ in range(62)]
    run(hall)
    assert len(hall.upstream.flights) < 62
    for _ in range(100):
        run(hall, 0.1)
        if len(hall.upstream.flights) == 62:
            break
    assert len(hall.upstream.flights) == 62
    for answered in asked:
        answered.running.cancel()
    hall.turn(4)


def test_a_caller_that_goes_while_it_waits_leaves_nothing_behind(hall, limit):
    limit(requests_per_minute=3)  # one every 20 seconds
    first = [ask(hall) for _ in range(3)]
    run(hall)
    waiting = [ask(hall), hall.chat(stream=True)]
    run(hall)
    assert hall.limiter.waiting == 2
    for answered in waiting:
        answered.running.cancel()
    assert hall.limiter.waiting == 0
    assert len(hall.upstream.flights) == 3
    for answered in first:
        answered.running.cancel()
    hall.turn(4)
    assert hall.gateway.in_flight == 0


def test_a_stop_ends_what_waits(hall, limit):
    limit(requests_per_minute=3)  # one every 20 seconds
    first = [ask(hall) for _ in range(3)]
    run(hall)
    waiting = [ask(hall), hall.chat(stream=True)]
    run(hall)
    for answered in waiting:
        answered.running.stop()
    assert [answered.error["code"] for answered in waiting] == ["gateway_stopping", "gateway_stopping"]
    for answered in first:
        answered.running.cancel()
    hall.turn(4)


def test_tokens_are_corrected_to_what_was_used(hall, limit):
    meters = limit(tokens_per_minute=100_000)
    ask(hall)
    run(hall)
    hall.answer()  # 12 tokens
    hall.turn(6)
    run(hall, 0.3)

    (meter,) = meters.tokens
    assert hall.limiter.expectations.tokens("m", 80) < 512  # learnt
    assert meter.unreported == 0


def test_what_never_went_up_gives_everything_back(hall, limit):
    meters = limit(requests_per_minute=10)
    hall.table.resolve("nano").station.health._rest(FailureKind.RATE_LIMITED, time.perf_counter() + 30)
    ask(hall)
    run(hall, 0.3)

    assert not hall.upstream.flights
    (meter,) = meters.requests
    assert meter.unreported <= 0


@pytest.mark.parametrize("whose", ["key", "team"])
def test_a_key_and_a_team_have_limits_of_their_own(hall, whose):
    if whose == "team":
        hall.limiter.reconfigure({"search": Team(Limits(requests_per_minute=1))})
        hall.ring.grant = Grant(Caller("key_1", "ann", "search"))
    else:
        hall.ring.grant = grant(requests_per_minute=1)
    ask(hall)
    run(hall)
    hall.answer()
    hall.turn(6)
    refused = ask(hall, x_headworks_deadline_ms="100")
    run(hall, 0.2)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert f"{whose}/" in refused.error["message"]

    hall.ring.grant = Grant(Caller("key_2", "bob", "other"))
    hall.ring.edition = object()
    other = ask(hall)
    run(hall)
    hall.answer()
    hall.turn(6)
    assert other.status == 200


def test_what_needs_more_than_the_limit_is_refused_at_once_and_not_told_to_come_back(hall, limit):
    limit(tokens_per_minute=10)
    answered = ask(hall)
    run(hall)

    assert answered.status == 429
    assert "below what this call needs" in answered.error["message"]
    assert answered.headers["x-should-retry"] == "false"  # else an SDK asks twice more
    assert "retry-after" not in answered.headers


def test_the_providers_own_word_is_believed(hall, limit):
    meters = limit(requests_per_minute=100)
    ask(hall)
    run(hall)
    hall.answer(x_ratelimit_limit_requests="100", x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="60s")
    hall.turn(6)
    (meter,) = meters.requests
    assert meter.balance == 0


def test_the_providers_word_is_read_once_a_moment_but_that_of_a_refusal_always(hall, limit, monkeypatch):
    monkeypatch.setattr(holding, "SAME_WORD_S", 3600.0)
    meters = limit(requests_per_minute=100)
    (meter,) = meters.requests

    def answered(status, remaining):
        ask(hall)
        run(hall)
        hall.answer(ANSWERED, status=status, x_ratelimit_limit_requests="100", x_ratelimit_remaining_requests=remaining)
        hall.turn(6)
        return meters.heard_s

    heard_s = answered(200, "3")
    assert meter.balance <= 3
    assert answered(200, "2") == heard_s
    assert answered(400, "1") > heard_s
    assert meter.balance <= 1


def test_a_streams_refusal_is_read_like_that_of_a_plain_call(hall, limit, monkeypatch):
    monkeypatch.setattr(holding, "SAME_WORD_S", 3600.0)
    (meter,) = limit(requests_per_minute=100).requests
    said = {"x_ratelimit_limit_requests": "100"}
    ask(hall)
    until(hall, lambda: hall.upstream.flights)
    hall.answer(**said, x_ratelimit_remaining_requests="50")
    hall.turn(6)
    hall.chat(stream=True)
    until(hall, lambda: len(hall.upstream.flights) == 2)
    hall.answer({"error": {"message": "No."}}, status=400, **said, x_ratelimit_remaining_requests="1")
    hall.turn(6)

    assert meter.balance <= 1


def test_a_workloads_refusal_is_read_like_that_of_a_plain_call(hall, work, monkeypatch):
    monkeypatch.setattr(holding, "SAME_WORD_S", 3600.0)
    work.make()
    station = hall.gateway._works._works["triage"].chain[0].station
    msgspec.structs.force_setattr(station, "limits", hall.limiter.target_set("x", Limits(requests_per_minute=100)))
    (meter,) = station.limits.requests
    for number, (status, remaining) in enumerate(((200, "50"), (400, "1")), 1):
        work.chat()
        until(hall, lambda number=number: len(hall.upstream.flights) == number)
        said = {"x_ratelimit_limit_requests": "100", "x_ratelimit_remaining_requests": remaining}
        hall.loop.call_soon(lambda status=status, said=said: hall.flight.answer(team("red"), status, **said))
        work.settle()

    assert meter.balance <= 1


def test_a_fallback_has_limits_of_its_own_and_is_passed_over_when_they_are_reached(hall, limit):
    hall.make(retries=2)
    limit("only-chat/c", requests_per_minute=1)
    for _ in range(2):
        answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []})
        run(hall)
        hall.flight.sink.on_failure(Failure(FailureKind.TIMEOUT, "x"))
        run(hall)
        last = hall.flight.body["model"]
        answered.running.cancel()
        hall.turn(4)
        run(hall)
    assert last == "claude-x"


def test_a_workload_is_under_the_limits_of_its_target_and_its_key(hall, work):
    work.make()
    hall.ring.grant = grant(requests_per_minute=1)
    first = work.chat()
    run(hall)
    work.answer(team("red"))
    assert first.status == 200
    refused = hall.ask(
        "/v1/chat/completions",
        {"model": "triage", "messages": [], "prompt": {"variables": {"ticket": "x"}}},
        x_headworks_deadline_ms="100",
    )
    run(hall, 0.2)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")


class Away:
    async def renew(self, holder, asks):
        raise LimitsUnavailable("the authority is not there")


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.5, 10)])
def test_while_the_authority_is_away_a_worker_has_its_share_or_refuses(hall, share, count):
    hall.limiter = Limiter(Away(), "w", hall.loop, share=share, teams={})
    hall.make()
    hall.ring.grant = grant(requests_per_minute=1200)
    answered = [ask(hall, x_headworks_deadline_ms="2500") for _ in range(12)]
    run(hall, 2.8)
    assert len(hall.upstream.flights) >= count
    if not count:
        assert not hall.upstream.flights
        assert {one.status for one in answered} == {429}
    assert hall.limiter.is_away
    for one in answered:
        if not one.is_over:
            one.running.cancel()
    hall.turn(4)
    hall.loop.run_until_complete(hall.limiter.close())


def test_limits_become_quotas_with_names_that_every_machine_gives_alike():
    limits = Limits(requests_per_minute=1, tokens_per_day=2, input_tokens_per_minute=3, output_tokens_per_minute=4)
    quotas = msgspec.structs.astuple(quotas_of("key/k", limits))
    assert [(quota.name, quota.amount, quota.window_s) for kind in quotas for quota in kind] == [
        ("key/k/rpm", 1, 60.0),
        ("key/k/tpd", 2, 86_400.0),
        ("key/k/itpm", 3, 60.0),
        ("key/k/otpm", 4, 60.0),
    ]


def test_without_limits_nothing_is_asked_of_anybody(hall):
    assert not hall.limiter.is_needed(hall.ring.grant)
    assert isinstance(hall.limiter._authority, LocalAuthority)
    assert hall.limiter._timer is None


def test_a_model_whose_quota_is_used_up_is_answered_by_its_fallback(hall, limit):
    limit("smart", requests_per_minute=1)
    for number in range(2):
        answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []}, x_headworks_deadline_ms="1000")
        run(hall, 0.3)
        assert hall.flight.body["model"] == ("m", "c")[number]
        hall.answer()
        hall.turn(6)
        assert answered.status == 200
    assert answered.headers["x-headworks-fallback"] == "rate_limit_exceeded"


def limited_to(hall, name, rpm):
    """All that serve this name share one limit."""
    target = hall.table.resolve(name)
    limits = hall.limiter.target_set(f"all/{name}", Limits(requests_per_minute=rpm))
    for one in target.pools or (target,):
        msgspec.structs.force_setattr(one.station, "limits", limits)


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "given"), [("smart", {"x_headworks_fallback": "off"}), ("pooled/p", {"x_headworks_retries": "0"})]
)
def test_a_call_that_must_not_go_elsewhere_waits_for_its_own_target_as_long_as_it_may(hall, model, given, is_streamed):
    """Others go on, or are refused, where a fifth of their time is not enough to wait."""
    limited_to(hall, model, 3)  # one every 20 seconds
    body = {"model": model, "messages": [], "stream": is_streamed}
    asked = [hall.ask("/v1/chat/completions", body) for _ in range(3)]
    until(hall, lambda: len(hall.upstream.flights) == 3)
    asked.append(hall.ask("/v1/chat/completions", body, x_headworks_deadline_ms="90000", **given))
    run(hall)

    assert (hall.limiter.waiting, len(hall.upstream.flights)) == (1, 3)
    for one in asked:
        one.running.cancel()
    hall.turn(4)


def test_a_workloads_call_that_must_not_go_elsewhere_waits_for_its_own_target_as_long_as_it_may(hall, work):
    work.make("fallback: [large]\nlatency: {total_s: 90}\ncaller_may_set: [fallback]\n")
    station = hall.gateway._works._works["triage"].chain[0].station
    msgspec.structs.force_setattr(station, "limits", hall.limiter.target_set("x", Limits(requests_per_minute=3)))
    body = {"model": "triage", "messages": [], "prompt": {"variables": {"ticket": "x"}}}
    asked = [hall.ask("/v1/chat/completions", body, x_headworks_fallback="off") for _ in range(3)]
    until(hall, lambda: len(hall.upstream.flights) == 3)
    asked.append(hall.ask("/v1/chat/completions", body, x_headworks_fallback="off"))
    run(hall)

    assert (hall.limiter.waiting, len(hall.upstream.flights)) == (1, 3)
    for one in asked:
        one.running.cancel()
    hall.turn(4)


def test_a_workload_whose_model_is_over_its_quota_goes_on_along_its_chain(hall, work):
    work.make("fallback: [large]\nlatency: {total_s: 1}\n")
    station = hall.gateway._works._works["triage"].chain[0].station
    msgspec.structs.force_setattr(station, "limits", hall.limiter.target_set("x", Limits(requests_per_minute=1)))
    asked = []
    for _ in range(2):
        work.chat()
        run(hall, 0.3)
        asked.append(hall.flight.body["model"])
        work.answer(team("red"))
    assert asked == ["small", "large"]


def test_after_a_fallback_the_target_that_answered_is_charged_and_the_first_is_not(hall, limit):
    hall.make(retries=2)
    first, second = limit("smart", tokens_per_minute=100_000), limit("only-chat/c", tokens_per_minute=100_000)
    hall.ask("/v1/chat/completions", {"model": "smart", "messages": [{"role": "user", "content": "x"}]})
    run(hall)
    hall.flight.sink.on_failure(Failure(FailureKind.TIMEOUT, "took too long"))
    run(hall, 0.2)
    assert len(hall.upstream.flights) == 2
    hall.answer(ANSWERED)
    hall.turn(6)
    assert (first.tokens[0].spent, second.tokens[0].spent) == (0, 12)


def test_what_is_read_and_what_is_written_have_limits_of_their_own(hall, limit):
    meters = limit(input_tokens_per_minute=100_000, output_tokens_per_minute=50_000)
    ask(hall)
    until(hall, lambda: hall.upstream.flights)
    hall.answer(
        ANSWERED
        | {
            "usage": {
                "prompt_tokens": 70,
                "completion_tokens": 5,
                "total_tokens": 75,
                "prompt_tokens_details": {"cached_tokens": 60},
            }
        }
    )
    hall.turn(6)
    assert ([meter.spent for meter in meters.inputs], [meter.spent for meter in meters.outputs]) == ([10], [5])


@pytest.mark.parametrize(("kind", "name"), [("output", "otpm"), ("input", "itpm")])
def test_a_limit_of_one_of_the_two_refuses_what_is_beyond_it(hall, limit, kind, name):
    limit(tokens_per_minute=100_000, **{f"{kind}_tokens_per_minute": 10})
    answered = ask(hall)
    until(hall, lambda: answered.status)
    assert answered.status == 429
    assert f"the limit {name} of target/" in answered.error["message"].lower()


def test_what_anthropic_says_of_the_two_is_believed(hall, limit):
    meters = limit(input_tokens_per_minute=100_000, output_tokens_per_minute=50_000)
    answered = ask(hall)
    until(hall, lambda: hall.upstream.flights)
    said = {
        b"anthropic-ratelimit-input-tokens-limit": b"100000",
        b"anthropic-ratelimit-input-tokens-remaining": b"7",
        b"anthropic-ratelimit-output-tokens-limit": b"50000",
        b"anthropic-ratelimit-output-tokens-remaining": b"0",
        b"anthropic-ratelimit-output-tokens-reset": b"2126-11-25T12:00:30Z",
    }
    station = hall.table.resolve("nano").station
    quota = CallQuota(hall.limiter, station, "m", 0, None)
    quota.believe(station, 200, said, time.perf_counter())
    assert meters.inputs[0].balance <= 7
    assert meters.outputs[0].balance == 0
    answered.running.cancel()


def test_after_a_fallback_what_the_first_target_read_and_wrote_is_not_charged(hall, limit):
    hall.make(retries=2)
    both = {"input_tokens_per_minute": 100_000, "output_tokens_per_minute": 100_000}
    first, second = limit("smart", **both), limit("only-chat/c", **both)
    answered = hall.ask("/v1/chat/completions", {"model": "smart", "messages": [{"role": "user", "content": "x"}]})
    until(hall, lambda: hall.upstream.flights)
    hall.flight.sink.on_failure(Failure(FailureKind.TIMEOUT, "took too long"))
    until(hall, lambda: len(hall.upstream.flights) == 2)
    hall.answer(ANSWERED)
    until(hall, lambda: answered.is_over)
    spent = [[meter.spent for meter in one.meters] for one in (first, second)]
    assert spent == [[0, 0], [7, 5]]


def test_a_keys_own_limit_is_not_gone_round_by_a_fallback(hall):
    hall.ring.grant = grant(requests_per_minute=1)
    first = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []})
    run(hall)
    refused = hall.ask("/v1/chat/completions", {"model": "smart", "messages": []}, x_headworks_deadline_ms="300")
    run(hall, 0.3)
    assert (refused.status, len(hall.upstream.flights)) == (429, 1)
    first.running.cancel()
    hall.turn(4)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_picture_is_no_reason_to_refuse_a_call_for_good(hall, limit, is_streamed):
    limit(tokens_per_minute=30_000)
    content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 1_400_000}"}}]
    body = {"model": "nano", "messages": [{"role": "user", "content": content}], "stream": is_streamed}
    asked = hall.ask("/v1/chat/completions", body)
    for _ in range(100):
        run(hall, 0.02)
        if hall.upstream.flights:
            break

    assert len(hall.upstream.flights) == 1
    asked.running.cancel()
    hall.turn(4)
