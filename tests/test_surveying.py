"""What a worker says of itself: targets, quotas and queues, read from the parts that do the work."""

from time import perf_counter

import pytest

from headworks.calls import Failure, FailureKind, Limits
from headworks.limits import FairQueue, Lease, LimitSet
from headworks.surveying import Surveyor, WindowUse


def test_what_was_used_leaves_the_window_as_time_goes_on():
    use = WindowUse(60.0, 0, 0.0)
    seen = [use.used(10 if second < 30 else 30, float(second)) for second in range(1, 120)]

    assert seen[28] == 10
    assert seen[40] == 30
    assert seen[62] == 20
    assert seen[95] == 0


def test_units_that_came_back_do_not_make_it_less_than_nothing():
    assert WindowUse(60.0, 10, 0.0).used(4, 1.0) == 0


def test_a_long_window_is_known_by_a_few_marks():
    use = WindowUse(86_400.0, 0, 0.0)
    for second in range(0, 200_000, 50):
        used = use.used(second, float(second))

    assert 86_400 <= used <= 86_400 * 31 / 30 + 50
    assert len(use._marks) <= 33


def test_a_target_that_fails_is_seen_with_its_breaker_open(hall):
    for _ in range(5):
        hall.chat()
        hall.flight.sink.on_failure(Failure(FailureKind.UNREACHABLE, "no route"))
        hall.turn(6)
    found = Surveyor(hall.limiter).standing(hall.table, perf_counter(), is_ready=True)

    (target,) = [one for one in found.targets if one.breaker == "open"]
    assert target.target.startswith("stub/")
    assert target.pending == 0
    assert target.failures == pytest.approx(5.0, abs=0.5)


def test_a_target_that_fails_at_streams_alone_is_seen_with_what_is_held_back(hall):
    for _ in range(5):
        hall.chat(stream=True)
        hall.flight.sink.on_failure(Failure(FailureKind.BROKEN, "cut"))
        hall.turn(6)
        hall.chat()
        hall.answer()
        hall.turn(6)
    found = Surveyor(hall.limiter).standing(hall.table, perf_counter(), is_ready=True)

    assert [one.held for one in found.targets if one.held] == ["streams"]


def test_a_target_whose_key_is_refused_is_seen_with_why_it_rests(hall):
    hall.chat()
    hall.answer({"error": {"message": "No."}}, status=401)
    hall.turn(6)
    found = Surveyor(hall.limiter).standing(hall.table, perf_counter(), is_ready=True)

    assert {one.rest_for for one in found.targets if one.rests_s} == {"upstream_unauthorized"}
    assert {one.rest_for for one in found.targets if not one.rests_s} == {""}


def test_quotas_are_seen_while_somebody_uses_them(hall):
    meter, _ = hall.limiter.target_set("stub/x", Limits(requests_per_minute=100, tokens_per_day=1_000)).meters
    surveyor = Surveyor(hall.limiter)
    table = hall.table
    assert surveyor.standing(table, 0.0, is_ready=True).quotas == ()  # no target of the table's, and not used

    meter.lack(4)  # so that it is kept
    meter.ask(10, 0.0)
    meter.take_lease(Lease(10, 5.0), 0.0)
    meter.try_take(4, 1.0)
    (quota,) = surveyor.standing(table, 1.0, is_ready=True).quotas
    assert (quota.of, quota.kind, quota.limit) == ("target/stub/x", "rpm", 100)
    assert (quota.used, quota.held, quota.unreported) == (4, 6, 4)
    assert surveyor.standing(table, 6.0, is_ready=True).quotas[0].held == 0  # its lease is over


def test_a_queue_is_called_after_those_whose_quotas_it_waits_for(hall):
    limits = hall.limiter.target_set("stub/nano", Limits(requests_per_minute=1))
    hall.limiter._queues[1] = FairQueue(limits)
    hall.limiter._queues["search"] = FairQueue(LimitSet(limits.requests))

    assert hall.limiter.queues() == [("target/stub/nano", (0, 0, 0, 0)), ("team/search", (0, 0, 0, 0))]
    hall.limiter._queues.clear()


def test_a_quota_that_nobody_uses_is_seen_again_when_somebody_does(hall):
    (meter,) = hall.limiter.target_set("stub/x", Limits(requests_per_minute=100)).meters
    surveyor, table = Surveyor(hall.limiter), hall.table
    meter.ask(10, 0.0)
    meter.take_lease(Lease(10, 500.0), 0.0)
    meter.try_take(4, 1.0)
    assert surveyor.standing(table, 1.0, is_ready=True).quotas[0].used == 4
    for second in range(2, 130):
        last = surveyor.standing(table, float(second), is_ready=True).quotas
    assert last == ()

    meter.try_take(3, 200.0)
    meter.lack(5)  # so that it is kept
    assert surveyor.standing(table, 200.0, is_ready=True).quotas[0].used == 3
