"""The machine, judged by figures that the test gives."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from played_servers import by_about, situation

from headworks.doctoring import machine
from headworks.telemetry import Left

GIB = 1 << 30


def test_the_machine_of_these_tests_can_be_looked_at(project_of):
    project = project_of("providers: {sim: {kind: simulator}}\n")
    (project.storage / "journal").mkdir(parents=True)
    (project.storage / "journal" / "x.journal").write_bytes(b"x" * 10)
    (check,) = machine.checks(situation(project=project))
    found = by_about(asyncio.run(check.look()))
    assert set(found) == {"open files", "disk", "compiled", "hot path", "python"}
    assert found["compiled"].verdict == "ok"
    assert machine.checks(situation()) == []


def test_every_connection_of_a_worker_is_a_file(project_of):
    project = project_of(
        "server: {connections: 1000}\n"
        "providers:\n"
        "  sim: {kind: simulator}\n"
        "  a: {kind: openai, api_key: env:K, connections: {limit: 10}, pools: {x: {}, y: {}}}\n"
    )
    assert machine.files_needed(project) == 1000 + 10 + 64


@pytest.mark.parametrize(("soft", "verdict"), [(1024, "warning"), (2000, "ok"), (-1, "ok")])
def test_too_few_open_files_are_a_warning_with_the_number_to_set(soft, verdict):
    finding = machine.judge_files(2000, soft)
    assert finding.verdict == verdict
    assert ("LimitNOFILE=2000" in finding.way_out) is (verdict == "warning")


def test_of_a_gateway_that_runs_its_own_limit_counts_and_not_that_of_who_looks():
    finding = machine.judge_files(2000, 1_000_000, running=1024)
    assert finding.verdict == "warning"
    assert "the limit of the gateway that runs is 1,024" in finding.says
    assert machine.judge_files(2000, 1024, running=4096).verdict == "ok"


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are seen on Linux")
def test_the_limit_of_another_process_is_seen_and_of_none_that_has_ended():
    with subprocess.Popen(["sh", "-c", "ulimit -S -n 77; echo; exec sleep 60"], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert machine.files_of_process(other.pid) == 77
        other.kill()
    assert machine.files_of_process(other.pid) is None


@pytest.mark.parametrize(
    ("free", "used", "verdict"),
    [(2 * GIB, 0, "ok"), (GIB // 2, 0, "warning"), (GIB // 2, GIB, "ok"), (1 << 20, 0, "problem")],
)
def test_the_disk_must_have_room_for_what_journals_may_still_grow_by(free, used, verdict):
    finding = machine.judge_disk(
        free_bytes=free, used_bytes=used, journal_bytes=GIB, segment_bytes=16 << 20, where=Path("/x")
    )
    assert finding.verdict == verdict


def test_what_is_not_compiled_or_not_there_is_a_problem():
    assert machine.judge_modules([("a", "/x/a.cpython-311.so")]).verdict == "ok"
    finding = machine.judge_modules([("a", "/x/a.py"), ("b", "")])
    assert (finding.verdict, "a, b" in finding.says) == ("problem", True)


def said_by_workers(*compiled):
    return [
        Left(f"worker_{place}", 0.0, {"workers": 1.0, "workers_compiled": float(one)}, None)
        for place, one in enumerate(compiled)
    ]


def test_it_is_said_whether_the_hot_path_is_compiled():
    assert machine.judge_hot_path([]).verdict == "ok"
    finding = machine.judge_hot_path(["headworks.unary"])
    assert (finding.verdict, finding.figures) == ("warning", {"workers": 1, "compiled": 0})
    assert "`make wheel`" in finding.way_out


def test_of_the_hot_path_what_the_workers_that_run_say_counts():
    assert machine.judge_hot_path(["headworks.unary"], said_by_workers(1, 1)).verdict == "ok"
    assert "Python source" in machine.judge_hot_path([], said_by_workers(0, 0)).says
    assert "in 1 of 2 workers" in machine.judge_hot_path([], said_by_workers(1, 0)).says


@pytest.mark.parametrize(
    ("arguments", "is_debug", "base", "verdict"),
    [
        ("'--enable-optimizations'", False, "/opt/python", "ok"),
        ("", False, "/usr", "ok"),
        ("", False, "/opt/python", "warning"),
        ("'--enable-optimizations'", True, "/usr", "warning"),
    ],
)
def test_a_slow_build_of_python_is_hinted_at(arguments, is_debug, base, verdict):
    assert machine.judge_python(arguments=arguments, is_debug=is_debug, base=base).verdict == verdict
