import json
import sys
import time

import msgspec
import pytest

from headworks.calls import Opened, Settled
from headworks.cli import main
from headworks.cli.plan import traffic_of
from headworks.records import Selection, open_store
from headworks.records.stores import Batch

PROJECT = "providers: {sim: {kind: simulator}}\ntiers: {nano: sim/a, mini: sim/b, flagship: sim/c}\n"


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "workloads" / "triage"
    folder.mkdir(parents=True)
    (folder / "workload.yaml").write_text("owner: a|b\ndescription: Sort <tickets>.\n")
    (tmp_path / "headworks.yaml").write_text(PROJECT)
    return tmp_path / "headworks.yaml"


@pytest.fixture
def planned(file, capsys):
    def do(*flags):
        code = main(["plan", "triage", "--config", str(file), *flags])
        assert code == 0
        return capsys.readouterr().out

    return do


def record(store, calls):
    store.commit(Batch(settled=calls))


def call(number, *, model="triage", outcome="answered", total_us=1_000_000, opened_us=None):
    opened_us = opened_us or round(time.time() * 1e6) - 3_600_000_000
    opened = Opened(f"call_{number:027}", opened_us, "responses", model, provider="sim", model="a")
    return Settled(
        opened, outcome, 200, total_us, first_token_us=total_us // 2, input_tokens=1000, cached_tokens=100,
        output_tokens=50, usage_source="provider",
    )  # fmt: skip


def test_a_plan_is_read_on_a_terminal_with_its_questions_last(planned):
    lines = planned().splitlines()

    assert lines[0] == "triage: Sort <tickets>."
    assert "Model and ladder" in lines
    assert lines[-1].lstrip().split(". ")[1] == "outcomes: What tells, later, that an answer was right?"


def test_colours_are_for_terminals_only(planned, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = planned()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert "\x1b" not in plain
    assert "\x1b[33m" in planned()
    assert "\x1b" not in planned("--format", "markdown")


def test_markdown_is_a_page_whose_tables_hold_whatever_the_contract_says(planned):
    lines = planned("--format", "markdown").splitlines()

    assert lines[0] == "# Plan of triage"
    assert "Sort &lt;tickets>." in lines
    assert "Owner: a\\|b" in lines
    assert all(line.replace("\\|", "").count("|") == 6 for line in lines if line.startswith("|"))


def test_json_has_sections_and_questions(planned):
    plan = json.loads(planned("--json"))

    assert plan["workload"] == "triage"
    assert all(
        {"what", "value", "reason", "source", "by"} == set(one) for s in plan["sections"] for one in s["decisions"]
    )
    assert plan["questions"]


def test_recorded_calls_of_the_workload_are_its_traffic(planned, file):
    store = open_store(file.parent / ".headworks")
    record(store, [call(n) for n in range(10)] + [call(11, model="other"), call(12, outcome="failed")])
    store.close()

    found = {one["what"]: one for section in json.loads(planned("--json"))["sections"] for one in section["decisions"]}

    assert found["measured share"]["reason"] == "11 recorded calls"
    assert found["calls a month"]["source"] == "traffic"
    assert found["fit"]["source"] == "traffic"


def test_older_calls_do_not_count(planned, file):
    store = open_store(file.parent / ".headworks")
    record(store, [call(1)])
    store.close()

    assert "traffic: " not in planned("--since", "10m")


def test_a_few_calls_in_a_minute_are_no_volume(tmp_path):
    store = open_store(tmp_path)
    record(store, [call(n, total_us=(n + 1) * 1000, opened_us=1_000_000_000_000_000) for n in range(100)])
    records = store.select(Selection(limit=1000))
    store.close()

    traffic = traffic_of(records, now=1_000_000_060.0)

    assert traffic.days == pytest.approx(1 / 24)
    assert (traffic.calls, traffic.input_tokens, traffic.cached_tokens) == (100, 100_000, 10_000)
    assert traffic.total_s == pytest.approx(0.096)


def test_a_plan_writes_nothing(planned, file):
    planned()

    assert sorted(path.name for path in file.parent.iterdir()) == ["headworks.yaml", "workloads"]


def test_a_call_that_never_answered_has_no_time(tmp_path):
    store = open_store(tmp_path)
    record(store, [call(1, outcome="failed")])
    (found,) = store.select(Selection())
    store.close()

    assert traffic_of([msgspec.structs.replace(found, outcome="lost")], now=time.time()).total_s == 0
