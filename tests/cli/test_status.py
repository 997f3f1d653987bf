"""`headworks status`: what it prints of a gateway, and what it ends with."""

import argparse
import json
import time

import msgspec
import pytest

from headworks.cli import main, status
from headworks.config import load
from headworks.doctoring.running import look_at_running
from headworks.telemetry import Metrics, MetricsShare, QueueStanding, QuotaStanding, Standing, TargetStanding

IDLE = TargetStanding("sim/idle", "closed", 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0)
BUSY = TargetStanding("sim/busy", "closed", 0.0, 0.0, 0.0, 3, 0.25, 40.0, 2.0, 0.5)
OPEN = TargetStanding("sim/down", "open", 12.0, 3.0, 0.0, 0, 1.0, 9.0, 9.0, 1.0)
RPM = QuotaStanding("target/sim/busy", "rpm", 500, 60.0, 470.0, 5, 0)


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headworks.yaml").write_text("providers: {sim: {kind: simulator}}\n")

    def run(*words):
        code = main(["status", *words])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def publish(tmp_path):
    def publish(*targets, ago_s=0.0, compiled=0.0, **standing):
        metrics = Metrics()
        metrics.gauge("calls_in_flight", "Calls under way.", lambda: 3)
        metrics.gauge("calls_waiting", "Calls that wait.", lambda: 1)
        metrics.gauge("workers_compiled", "Those that run compiled.", lambda: compiled)
        metrics.standing = lambda: Standing(True, targets=targets, **standing)
        MetricsShare(metrics, tmp_path / ".headworks/run", "worker_1", now=lambda: time.time() - ago_s).publish()

    return publish


def test_where_none_runs_it_says_so_and_fails(run):
    code, out = run()

    assert code == 1
    assert "gateway   not running" in out
    assert "problem  no gateway of this project is running" in out


def test_a_gateway_that_is_well_is_shown_with_what_is_used(run, publish):
    publish(BUSY, IDLE, quotas=(RPM,), queues=(QueueStanding("target/sim/busy", 1, (0, 0, 0, 1)),))
    code, out = run()

    assert code == 0
    assert "gateway   running with 1 worker, ready" in out
    assert "calls     3 in flight, 1 of them waiting for room" in out
    assert "quotas    kept by the control plane: answers" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["sim/busy", "closed", "-", "3", "250ms", "40", "2", "50%", "-"] in lines
    assert ["target/sim/busy", "rpm", "500", "470", "30", "5", "1"] in lines
    assert "target/sim/busy: 1 of priority 3 waits" in out
    assert "sim/idle" not in out
    assert "\x1b" not in out
    assert "sim/idle" in run("--all")[1]


@pytest.mark.parametrize(
    ("quotas", "said"), [((), "nothing is limited"), ((msgspec.structs.replace(RPM, used=0, held=0),), "not asked")]
)
def test_of_books_that_nobody_had_to_ask_it_is_not_said_that_they_answer(run, publish, quotas, said):
    publish(BUSY, quotas=quotas)

    assert f"quotas    kept by the control plane: {said}" in run()[1]


def test_a_worker_that_refuses_low_classes_makes_it_fail(run, publish):
    publish(BUSY, sheds_from=2)
    code, out = run()

    assert code == 1
    assert "problem  a worker has too much to do: it refuses calls of priority 2 to 3" in out


def test_a_target_whose_streams_are_held_back_makes_it_fail(run, publish):
    publish(msgspec.structs.replace(BUSY, held="streams"))
    code, out = run()

    assert code == 1
    assert "no streams" in out
    assert "problem  sim/busy: its streams fail and are not asked for" in out


@pytest.mark.parametrize(("compiled", "said"), [(0.0, "Python source"), (1.0, "compiled")])
def test_it_says_whether_the_hot_path_is_compiled(run, publish, compiled, said):
    publish(BUSY, compiled=compiled)

    assert f"hot path  {said}\n" in run()[1]


def test_an_open_breaker_makes_it_fail(run, publish):
    publish(OPEN)
    code, out = run()

    assert code == 1
    assert "problem  sim/down: its circuit breaker is open for 12 s" in out
    assert "-> `headworks doctor` looks further, and says how to mend it" in out


def test_a_silent_gateway_makes_it_fail(run, publish):
    publish(BUSY, ago_s=90.0)
    code, out = run()

    assert code == 1
    assert "gateway   silent for 1m30s" in out


def test_valkey_that_is_away_is_named(run, publish, tmp_path):
    with (tmp_path / "headworks.yaml").open("a") as file:
        file.write("quotas: {valkey: env:NOWHERE}\n")
    publish(BUSY, quotas=(RPM,), is_away=True)
    code, out = run()

    assert code == 1
    assert "quotas    kept by Valkey: DOES NOT ANSWER" in out


def test_json_has_all_of_it(run, publish):
    publish(BUSY, IDLE, quotas=(RPM,))
    code, out = run("--json")
    found = json.loads(out)

    assert code == 0
    assert (found["ok"], found["state"], found["workers"]) == (True, "running", 1)
    assert [target["target"] for target in found["standing"]["targets"]] == ["sim/busy", "sim/idle"]
    assert found["standing"]["quotas"][0]["used"] == 470


def test_watching_shows_it_again_until_told_to_stop(run, publish, tmp_path, capsys):
    publish(BUSY)
    project = load(tmp_path / "headworks.yaml")
    rests = []

    def rest(seconds):
        rests.append(seconds)
        if len(rests) == 3:
            raise KeyboardInterrupt

    options = argparse.Namespace(json=False, all=False)
    with pytest.raises(KeyboardInterrupt):
        status.watch(lambda: look_at_running(project, now_s=time.time()), options, rest=rest)
    assert capsys.readouterr().out.count("running with 1 worker") == 3
