"""`headworks select`: the ladder of a real project on the simulator, whose tiers are of known quality."""

import json
import signal
import subprocess
import sys
import time

import pytest

from headworks.config import read_lock

NAME = "invoice-extraction"


@pytest.fixture
def select(desk):
    """Runs `headworks select`, with the tiers as good as this and a bar."""

    def do(*words, bar=0.85, **shares):
        plan = desk.folder / "simulator.yaml"
        if shares:
            shown = ", ".join(f"{name}: {share}" for name, share in shares.items())
            plan.write_text(plan.read_text().replace("{ nano: 0.8, mini: 0.94, flagship: 0.99 }", f"{{ {shown} }}"))
        contract = desk.folder / "workloads" / NAME / "workload.yaml"
        text = contract.read_text()
        assert "bar: 0.95" in text
        contract.write_text(text.replace("bar: 0.95", f"bar: {bar}"))
        return desk.run("select", NAME, *words)

    return do


def locked(desk):
    return read_lock(desk.folder / "headworks.lock").workloads.get(NAME)


@pytest.mark.parametrize(
    ("shares", "chosen"),
    [
        ({"nano": 1.0, "mini": 1.0, "flagship": 1.0}, "nano"),
        ({"nano": 0.5, "mini": 1.0, "flagship": 1.0}, "mini"),
        ({"nano": 0.5, "mini": 0.5, "flagship": 0.99}, "flagship"),
    ],
)
def test_the_cheapest_rung_that_is_good_enough_is_locked_with_its_evidence(select, desk, shares, chosen):
    code, out, err = select(**shares)

    assert code == 0, err
    assert out.startswith(f"# Model of {NAME}: `{chosen}`")
    assert f"locked to {chosen}" in err
    found = locked(desk)
    assert found.model == chosen
    assert found.served_model.startswith("gpt-6")  # the snapshot that the provider has named
    assert found.prompt_hash.startswith("sha256:")
    assert found.evidence["chosen"] == chosen
    assert found.evidence["calls"] + found.evidence["calls_saved"] == 300
    assert (desk.folder / "workloads" / NAME / "decision.md").read_text() == out


@pytest.mark.parametrize("words", [(), ("--against-best",)])
def test_the_calls_that_the_record_names_are_those_that_were_made(select, desk, words):
    """What every rung is asked to learn its price is among them, and what the best one is asked to be compared with."""
    code, out, _ = select("--json", *words, nano=1.0, mini=1.0, flagship=1.0)
    found = json.loads(out)
    log = desk.folder / ".headworks" / "evals" / found["run"] / "log.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines() if '"answered"' in line]
    asked = [entry["unit"][0] for entry in entries]

    assert code == 0
    assert found["calls"] == len(asked)
    assert found["calls"] + found["calls_saved"] == 300
    for arm, rung in enumerate(found["rungs"]):  # nano, mini, flagship: by their prices
        assert rung.get("asked", 0) + rung.get("surplus", 0) == asked.count(arm) >= 10
        costs = [entry["reply"]["cost_pico_usd"] for entry in entries if entry["unit"][0] == arm]
        assert rung["cost_pico_usd"] == round(sum(costs) / len(costs))


def test_calls_are_made_with_the_rung_that_was_locked(select, desk):
    select(nano=0.5, mini=1.0, flagship=1.0)
    assert "mini (simulator/gpt-6.1-terra)" in desk.run("plan", NAME)[1]
    code, _, _ = desk.run("check")
    assert code == 0


def test_where_no_rung_is_good_enough_nothing_is_locked_and_the_exit_code_says_so(select, desk):
    code, out, _ = select(nano=0.3, mini=0.4, flagship=0.5)

    assert code == 1
    assert "none: mend the prompt, or lower the bar" in out
    assert locked(desk) is None


def test_a_dry_run_changes_nothing(select, desk):
    code, _, _ = select("--dry-run", nano=1.0)
    assert code == 0
    assert not (desk.folder / "headworks.lock").exists()
    assert not (desk.folder / "workloads" / NAME / "decision.md").exists()


def test_a_set_that_is_too_small_for_its_bar_is_refused_unless_it_is_wanted(select, desk):
    code, _, err = select(bar=0.95)
    assert code == 1
    assert "100 cases cannot defend a bar of 95%" in err
    assert "--underpowered" in err

    code, out, _ = desk.run("select", NAME, "--underpowered", "--dry-run")
    assert "**Underpowered**" in out


def test_the_best_rung_can_be_compared_with(select):
    code, out, _ = select("--against-best", "--json", nano=1.0, mini=1.0, flagship=1.0)
    found = json.loads(out)

    assert code == 0
    assert found["chosen"] == "nano"
    assert found["rungs"][0]["score"] > 2


def test_the_evidence_outlives_a_publication(select, desk):
    select(nano=1.0)
    desk.run("prompts", "publish", NAME)
    assert locked(desk).evidence["chosen"] == "nano"


def test_a_workload_without_a_golden_set_has_no_ladder_to_climb(desk):
    code, _, err = desk.run("select", "assistant")
    assert code == 1
    assert "has no golden set" in err


def test_a_cap_ends_it_with_a_word_and_no_lock(select, desk):
    code, _, err = select("--cap", "0.0001", nano=1.0)
    assert code == 1
    assert "the cap was reached" in err
    assert locked(desk) is None


def test_ctrl_c_says_that_nothing_is_lost(select, desk):
    path = desk.folder / "headworks.yaml"
    path.write_text(path.read_text().replace("pace: 0 #", "pace: 0.2 #"))
    contract = desk.folder / "workloads" / NAME / "workload.yaml"
    contract.write_text(contract.read_text().replace("bar: 0.95", "bar: 0.85"))
    command = [sys.executable, "-m", "headworks", "select", NAME, "--concurrency", "2"]
    process = subprocess.Popen(command, cwd=desk.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    due = time.monotonic() + 60
    while time.monotonic() < due:
        logs = list((desk.folder / ".headworks" / "evals").glob("*/log.jsonl"))
        if logs and logs[0].read_bytes().count(b'"answered"') >= 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "stopped before there was a decision; what was answered is kept" in err
    assert "Traceback" not in err
    assert locked(desk) is None


@pytest.mark.uncounted
def test_a_set_that_is_too_small_to_compare_with_the_best_is_refused_too(select):
    code, _, err = select("--against-best", "--margin", "0.02", nano=1.0)
    assert code == 1
    assert "100 cases cannot show that a model is worse by less than 2%" in err


def test_a_rung_that_fails_a_case_that_must_pass_is_not_locked(select, desk):
    golden = desk.folder / "workloads" / NAME / "golden.jsonl"
    golden.write_text(golden.read_text().replace('{"id": ', '{"must_pass": true, "id": '))
    code, out, _ = select("--json", nano=0.99, mini=1.0)
    found = json.loads(out)

    assert code == 0
    assert (found["chosen"], found["rungs"][0]["reason"]) == ("mini", "must pass")


def test_a_case_that_is_there_twice_is_counted_once(select, desk):
    golden = desk.folder / "workloads" / NAME / "golden.jsonl"
    lines = golden.read_text().splitlines()
    golden.write_text("\n".join([*lines[:50], *(line.replace('{"id": "', '{"id": "again-') for line in lines[:50])]))

    assert "50 cases cannot defend a bar of 90%" in select(bar=0.9, nano=1.0)[2]


def test_a_margin_without_anything_to_be_compared_with_is_refused(select):
    assert "it belongs to --against-best" in select("--margin", "0.05")[2]


def test_of_the_cases_of_a_cluster_one_is_counted(select, desk):
    """Half of them are one customer's: with 51 that are independent, the set is too small for what 100 may defend."""
    golden = desk.folder / "workloads" / NAME / "golden.jsonl"
    lines = golden.read_text().splitlines()
    golden.write_text(
        "\n".join([*lines[:50], *(line.replace('{"id"', '{"cluster": "c", "id"') for line in lines[50:])])
    )
    code, _, err = select(bar=0.9, nano=1.0)
    assert code == 1
    assert "51 cases cannot defend a bar of 90%" in err

    code, out, _ = desk.run("select", NAME, "--underpowered", "--dry-run")
    assert "100 cases in 51 independent groups, of each of which one is counted" in out
