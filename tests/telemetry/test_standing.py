"""How workers stand together, what of it stands in `/metrics`, and what they leave for others to read."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headworks.telemetry import Metrics, MetricsShare, Standing, read_left, together
from headworks.telemetry.standing import (
    BREAKERS,
    MOST_QUOTAS,
    MOST_TARGETS,
    QueueStanding,
    QuotaStanding,
    TargetStanding,
    bounded,
    render_standing,
)

WELL = TargetStanding("openai:a/m", "closed", 0.0, 0.0, 0.0, 1, 0.5, 30.0, 1.0, 0.1)
OPEN = TargetStanding("openai:a/m", "open", 12.0, 3.0, 0.0, 0, 1.5, 10.0, 9.0, 0.7)
RPM = QuotaStanding("target/openai:a/m", "rpm", 500, 60.0, 100.0, 10, 3)


def standing(*targets, quotas=(), queues=(), **options):
    return Standing(True, targets=targets, quotas=quotas, queues=queues, **options)


def shown(text):
    return {
        (sample.name.removeprefix("headworks_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_of_several_breakers_the_worst_is_shown_and_what_is_counted_is_summed_up():
    (found,) = together([standing(WELL), standing(OPEN)]).targets

    assert (found.breaker, found.open_for_s, found.opens_in_s) == ("open", 12.0, 3.0)
    assert (found.pending, found.calls, found.failures, found.budget_used) == (1, 40.0, 10.0, 0.7)
    assert found.took_s == pytest.approx(0.75)  # the mean of forty calls


def test_what_workers_use_and_hold_of_a_quota_is_summed_up_and_its_limit_is_not():
    (found,) = together([standing(quotas=(RPM,)), standing(quotas=(RPM,))]).quotas

    assert (found.limit, found.used, found.held, found.unreported, found.headroom) == (500, 200.0, 20, 6, 300.0)


def test_all_are_ready_or_it_is_not_and_one_that_is_cut_off_is_told():
    assert together([standing(), standing()]).is_ready
    assert not together([standing(), Standing()]).is_ready
    assert not together([]).is_ready
    assert together([standing(), standing(is_away=True)]).is_away


@given(st.lists(st.sampled_from(BREAKERS), min_size=1, max_size=4))
def test_together_is_never_better_than_the_worst(breakers):
    found = together([standing(msgspec.structs.replace(WELL, breaker=breaker)) for breaker in breakers])

    assert found.targets[0].breaker == max(breakers, key=BREAKERS.index)


def test_however_many_there_are_the_labels_are_bounded_and_what_is_not_well_stays():
    many = [msgspec.structs.replace(WELL, target=f"openai/{place}") for place in range(MOST_TARGETS)]
    quotas = [msgspec.structs.replace(RPM, of=f"key/{place}") for place in range(MOST_QUOTAS + 5)]
    found = bounded(standing(*many, OPEN, quotas=tuple(quotas)))

    assert (len(found.targets), len(found.quotas), found.left_out) == (MOST_TARGETS, MOST_QUOTAS, 6)
    assert OPEN in found.targets


def test_metrics_show_every_state_of_a_breaker_as_0_or_1():
    metrics = Metrics()
    metrics.standing = lambda: standing(
        OPEN, quotas=(RPM,), queues=(QueueStanding("target/openai:a/m", 7, (0, 5, 0, 2)),)
    )
    found = shown(metrics.render())

    assert [found["breaker_state", "openai:a/m", state] for state in BREAKERS] == [0, 0, 1]
    assert found["target_pending", "openai:a/m"] == 0
    assert found["retry_budget_used_ratio", "openai:a/m"] == 0.7
    assert found["quota_limit", "target/openai:a/m", "rpm"] == 500
    assert found["quota_used", "target/openai:a/m", "rpm"] == 100
    assert found["quota_held", "target/openai:a/m", "rpm"] == 10
    assert [found["queue_waiting", "target/openai:a/m", str(priority)] for priority in range(4)] == [0, 5, 0, 2]


def test_what_alone_is_held_back_at_one_worker_is_shown_of_all():
    held = msgspec.structs.replace(WELL, held="streams")
    metrics = Metrics()
    metrics.standing = lambda: together([standing(WELL), standing(held), standing(WELL)])
    found = shown(metrics.render())

    assert found["answers_held", "openai:a/m", "streamed"] == 1
    assert found["answers_held", "openai:a/m", "whole"] == 0
    assert found["breaker_state", "openai:a/m", "closed"] == 1


def test_metrics_name_no_key_and_no_team():
    quotas = (msgspec.structs.replace(RPM, of="key/key_1"), msgspec.structs.replace(RPM, of="team/search"))
    metrics = Metrics()
    queues = (QueueStanding("team/search", 7, (0, 7, 0, 0)), QueueStanding("key/key_1", 2, (1, 1, 0, 0)))
    metrics.standing = lambda: standing(quotas=quotas, queues=queues)
    text = metrics.render()

    assert b"key_1" not in text
    assert b"search" not in text
    assert [shown(text)["queue_waiting", "callers", str(priority)] for priority in range(4)] == [1, 8, 0, 0]


def test_who_waits_is_summed_up_by_priority_and_the_worker_that_refuses_most_is_shown():
    one = QueueStanding("target/x", 3, (1, 2, 0, 0))
    found = together([standing(queues=(one,)), standing(queues=(one,), sheds_from=2)])
    assert found.queues == (QueueStanding("target/x", 6, (2, 4, 0, 0)),)

    metrics = Metrics()
    metrics.standing = lambda: found
    refused = shown(metrics.render())
    assert [refused["priority_refused", str(priority)] for priority in range(4)] == [0, 0, 1, 1]


def worker(folder, name, *targets):
    metrics = Metrics()
    metrics.gauge("workers", "Workers that are running.", lambda: 1)
    metrics.standing = lambda: standing(*targets)
    return MetricsShare(metrics, folder, name, now=lambda: 100.0)


def test_one_page_shows_how_all_workers_stand(tmp_path):
    worker(tmp_path, "worker_1", WELL).publish()
    found = shown(worker(tmp_path, "worker_2", OPEN).render())

    assert found["breaker_state", "openai:a/m", "open"] == 1
    assert found["target_recent_calls", "openai:a/m"] == 40


def test_others_can_read_what_a_worker_left_until_it_ends(tmp_path):
    share = worker(tmp_path, "worker_1", WELL)
    share.publish()
    (left,) = read_left(tmp_path)
    assert (left.worker, left.left_s, left.gauges) == ("worker_1", 100.0, {"workers": 1})
    assert left.standing == standing(WELL)

    share.end()
    (left,) = read_left(tmp_path)
    assert (left.gauges, left.standing) == ({}, None)


def test_a_target_whose_model_is_shut_down_some_day_says_when():
    retiring = msgspec.structs.replace(WELL, shutdown_on="2026-12-11")
    metrics = shown("\n".join(render_standing(together([standing(retiring)] * 2))).encode() + b"\n")
    others = shown("\n".join(render_standing(standing(WELL))).encode() + b"\n")

    assert metrics["target_shutdown_timestamp_seconds", "openai:a/m"] == 1_796_947_200
    assert not [name for name, *_ in others if name == "target_shutdown_timestamp_seconds"]
