"""A running gateway, from what its processes left: running, silent or gone, and what is not well of it."""

import pytest

from headworks.config import load
from headworks.doctoring import target_of
from headworks.doctoring.running import STALE_S, find_running, judge_left, look_at_running
from headworks.state_claim import claim_state
from headworks.telemetry import Left, Metrics, MetricsShare, Standing, TargetStanding

NOW_S = 1000.0
READY = Standing(is_ready=True)
KEY_REFUSED = "its provider refuses the key, so put a good one where `api_key` says"
NO_CREDIT = "its provider says that the project is out of credit, so buy some or raise its limit"


def left(worker="worker_1", ago_s=0.5, standing=READY, **gauges):
    return Left(worker, NOW_S - ago_s, gauges, standing)


def judge(*lefts, books="control plane"):
    return judge_left(lefts, now_s=NOW_S, books=books)


def target(breaker, **fields):
    values = {"open_for_s": 0.0, "opens_in_s": 0.0, "rests_s": 0.0, "pending": 0, "took_s": 0.1, "calls": 9.0}
    return TargetStanding("openai/m", breaker, **{**values, "failures": 0.0, "budget_used": 0.0, **fields})


def test_two_workers_are_summed_up_and_well():
    found = judge(left(calls_in_flight=3), left("worker_2", calls_in_flight=4, calls_waiting=1))

    assert (found.state, found.workers, found.is_ready, found.problems) == ("running", 2, True, ())
    assert (found.calls_in_flight, found.calls_waiting) == (7, 1)


def test_without_words_nothing_runs():
    assert judge().state == "none"
    stopped = judge(left(standing=None), left("control-plane", standing=None))
    assert (stopped.state, stopped.problems) == ("none", ("no gateway of this project is running",))


def test_old_words_are_those_of_a_gateway_that_hangs_or_was_killed():
    found = judge(left(ago_s=STALE_S + 60))

    assert (found.state, found.seen_s, found.is_ready) == ("stale", 65.0, False)
    assert found.problems == ("the gateway's last word is 65 s old: it hangs, or was killed",)


def test_one_worker_that_is_silent_or_gone_beside_others_is_named():
    found = judge(left(), left("worker_2", ago_s=30.5), left("worker_3", standing=None))

    assert (found.state, found.workers) == ("running", 1)
    assert found.problems == ("worker_2 says nothing for 30 s", "worker_3 has died or ended")


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing(), "not every worker takes calls"),
        (Standing(True, targets=(target("open", open_for_s=12.0),)), "openai/m: its circuit breaker is open for 12 s"),
        (
            Standing(True, targets=(target("closed", rests_s=118.0, rest_for="upstream_unauthorized"),)),
            f"openai/m: {KEY_REFUSED}; it is asked again in 118 s",
        ),
        (
            Standing(True, targets=(target("closed", rests_s=60.0, rest_for="upstream_quota_exhausted"),)),
            f"openai/m: {NO_CREDIT}; it is asked again in 60 s",
        ),
        (
            Standing(True, targets=(target("closed", held="streams"),)),
            "openai/m: its streams fail and are not asked for, while the rest of its answers is good",
        ),
        (Standing(True, is_away=True), "Valkey does not answer: workers live on their share of each quota, or refuse"),
    ],
)
def test_what_is_not_well_is_said(standing, said):
    assert judge(left(standing=standing), books="Valkey").problems == (said,)


def test_a_breaker_that_may_be_probed_and_a_rest_after_a_429_are_no_problems():
    rested = target("closed", rests_s=2.0, rest_for="upstream_rate_limited")
    standing = Standing(True, targets=(target("half_open", open_for_s=90.0), rested))

    assert judge(left(standing=standing)).problems == ()


def test_a_project_is_looked_at_where_its_state_is(tmp_path):
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")
    project = load(tmp_path / "headworks.yaml")
    assert look_at_running(project, now_s=NOW_S).state == "none"
    assert not project.storage.exists()  # looking makes nothing

    metrics = Metrics()
    metrics.standing = lambda: READY
    MetricsShare(metrics, project.storage / "run", "worker_1", now=lambda: NOW_S).publish()
    found = look_at_running(project, now_s=NOW_S + 1)
    assert (found.state, found.books, found.waiting_bytes, found.problems) == ("running", "control plane", 0, ())


def test_a_gateway_that_runs_is_found_where_it_listens_and_one_that_does_not_where_the_file_says(tmp_path):
    (tmp_path / "headworks.yaml").write_text("server: {port: 4321}\nproviders: {sim: {kind: simulator}}\n")
    project = load(tmp_path / "headworks.yaml")
    assert find_running(project, now_s=NOW_S) is None

    metrics = Metrics()
    metrics.standing = lambda: READY
    MetricsShare(metrics, project.storage / "run", "worker_1", now=lambda: NOW_S).publish()
    assert find_running(project, now_s=NOW_S + 1) is None
    claim = claim_state(project.storage)
    assert find_running(project, now_s=NOW_S + 1) is None
    claim.tell("0.0.0.0", 4999)
    found = find_running(project, now_s=NOW_S + 1)
    claim.close()

    assert target_of(project, found).shown == "http://127.0.0.1:4999"
    stale = find_running(project, now_s=NOW_S + STALE_S + 1)
    assert target_of(project, stale).shown == "http://127.0.0.1:4321"
