"""`headworks select`: the ladder of a real project on the simulator, whose tiers are of known quality."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from headworks.cli import main
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


@pytest.mark.parametrize("words", [(), ("--reference", "none"), ("--reference", "mini")])
def test_the_calls_that_the_record_names_are_those_that_were_made(select, desk, words):
    """What every rung is asked to learn its price is among them, and what the best one is asked to be compared with."""
    code, out, _ = select("--json", *words, nano=0.96, mini=1.0, flagship=1.0)
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


def test_a_rung_is_compared_with_the_dearest_one_and_that_is_asked_about_as_few_cases_as_settle_it(select):
    """Nano is right in all but a few, the flagship in all: these few are what the flagship is asked beyond the ten that
    each is asked to learn its price."""
    code, out, err = select("--json", nano=0.97, mini=1.0, flagship=1.0)
    found = json.loads(out)
    nano, _, flagship = found["rungs"]

    assert code == 0
    assert (found["chosen"], found["reference"]) == ("nano", "flagship")
    assert nano["looks"][-1]["score"] >= nano["looks"][-1]["bound"]
    wrong = nano["asked"] - nano["right"]
    assert 0 < wrong <= 10
    assert flagship["surplus"] <= 10 + wrong
    assert "flagship is asked about the cases that nano has wrong, at about $0.0" in err


def test_a_rung_above_the_bar_that_is_much_worse_than_the_dearest_is_not_chosen(select):
    code, out, _ = select("--json", bar=0.6, nano=0.8, mini=1.0, flagship=1.0)
    found = json.loads(out)

    assert code == 0
    assert found["chosen"] == "mini"
    assert found["rungs"][0]["reason"] in ("non-inferiority", "futility")
    assert found["rungs"][0]["losses"] > 0


@pytest.mark.parametrize(("reference", "said"), [("none", ""), ("mini", "mini"), ("best", "flagship")])
def test_who_a_rung_is_compared_with_can_be_said(select, reference, said):
    code, out, _ = select("--json", "--reference", reference, bar=0.6, nano=0.8, mini=0.98, flagship=1.0)
    found = json.loads(out)

    assert code == 0
    assert found["reference"] == said
    assert (found["chosen"] == "nano") is (reference == "none")


def test_what_is_locked_today_can_be_the_reference(select, desk):
    code, _, err = select("--reference", "locked", nano=0.5, mini=1.0, flagship=1.0)
    assert (code, "headworks.lock knows no model" in err) == (1, True)
    assert desk.run("select", NAME)[0] == 0
    assert locked(desk).model == "mini"
    code, out, _ = desk.run("select", NAME, "--reference", "locked", "--json", "--dry-run")
    assert (code, json.loads(out)["reference"]) == (0, "mini")


def test_a_reference_that_is_no_rung_is_refused_with_those_that_there_are(select):
    code, _, err = select("--reference", "gpt-3")
    assert code == 1
    assert "`gpt-3` is no rung of `invoice-extraction`: it has nano, mini, flagship" in err


def test_the_run_keeps_all_that_it_was_made_with(select, desk):
    """Also what is usual today: a run is read by other releases."""
    run = json.loads(select("--json", nano=1.0)[1])["run"]
    manifest = json.loads((desk.folder / ".headworks" / "evals" / run / "run.json").read_text())

    assert manifest["seed"] == 1
    assert manifest["order"] == "sha256(seed, id)"
    assert manifest["climb"] == {"margin": 0.1, "reference": "best"}
    hashes = ("golden_hash", "scorer_hash", "schema_hash", "rules_hash")
    assert all(len(manifest[name]) == 64 for name in hashes)
    assert set(manifest["versions"]) == {"headworks", "prices"}


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
    again = err[err.index("headworks select invoice") :].split()[1:]
    code, _, err = desk.run(*again)
    assert code == 0, err
    assert locked(desk).model == "nano"


class Slow:
    """`headworks select` as a process of its own, with answers that take their time."""

    def __init__(self, desk):
        self.desk = desk
        path = desk.folder / "headworks.yaml"
        path.write_text(path.read_text().replace("pace: 0 #", "pace: 0.015 #"))
        contract = desk.folder / "workloads" / NAME / "workload.yaml"
        contract.write_text(contract.read_text().replace("bar: 0.95", "bar: 0.85"))

    def start(self, *words):
        command = [sys.executable, "-m", "headworks", "select", NAME, "--concurrency", "2", *words]
        return subprocess.Popen(
            command, cwd=self.desk.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def log(self):
        """The whole lines of the one run's log."""
        logs = list((self.desk.folder / ".headworks" / "evals").glob("*/log.jsonl"))
        lines = logs[0].read_bytes().split(b"\n")[:-1] if logs else []
        return [json.loads(line) for line in lines]

    def wait_for_answers(self, process, count):
        """Wait until so many are in the log."""
        while sum(one["t"] == "answered" for one in self.log()) < count:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)


def test_ctrl_c_says_that_nothing_is_lost(desk):
    slow = Slow(desk)
    process = slow.start()
    slow.wait_for_answers(process, 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "stopped before there was a decision; what was answered is kept. Go on with: headworks select" in err
    assert "Traceback" not in err
    assert locked(desk) is None


@pytest.mark.timeout(300)  # three processes, one after the other
def test_killed_in_the_middle_it_goes_on_and_pays_for_nothing_twice(desk):
    """Killed twice, while it learns prices and on the ladder. The answers' cache is taken away, so that what is
    not paid for again is what the run itself has kept."""
    slow, words = Slow(desk), ()
    for count in (5, 60):
        process = slow.start(*words)
        slow.wait_for_answers(process, count)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in (desk.folder / ".headworks" / "evals").glob("answers.db*"):
            path.unlink()
        words = ("--resume", "last")
    process = slow.start(*words, "--json")
    out, err = process.communicate()

    assert process.returncode == 0, err
    found = json.loads(out)
    assert len(list((desk.folder / ".headworks" / "evals").glob("*/log.jsonl"))) == 1
    asked = Counter(str(one["unit"]) for one in slow.log() if one["t"] == "asked")
    answered = Counter(str(one["unit"]) for one in slow.log() if one["t"] == "answered")
    assert set(answered.values()) == {1}
    assert found["calls"] == len(answered)
    assert asked.total() - len(asked) <= 2 * 2  # what was under way when it died
    code, out, _ = desk.run("select", NAME, "--dry-run", "--json")
    assert (code, json.loads(out)["chosen"]) == (0, found["chosen"])


def test_a_run_is_gone_on_with_as_it_was_begun(select, desk):
    _, _, err = select("--cap", "0.0001", "--margin", "0.08", nano=1.0)
    assert "the cap was reached" in err
    code, _, err = desk.run("select", NAME, "--resume", "last", "--margin", "0.2")
    assert (code, "leave --seed, --margin and --reference out" in err) == (2, True)
    code, out, _ = desk.run("select", NAME, "--resume", "last", "--json", "--dry-run")
    assert (code, json.loads(out)["terms"]["margin"]) == (0, 0.08)


def test_a_run_of_another_kind_or_of_what_has_changed_is_not_gone_on_with(select, desk):
    select("--cap", "0.0001", nano=1.0)
    code, _, err = desk.run("eval", NAME, "--resume", "last")
    assert (code, "is of `select`" in err) == (2, True)
    code, _, err = desk.run("select", "ticket-triage", "--resume", "last")
    assert (code, "is no `headworks select ticket-triage`" in err) == (2, True)

    golden = desk.folder / "workloads" / NAME / "golden.jsonl"
    text = golden.read_text()
    golden.write_text(text.replace('{"id": "', '{"id": "x', 1))
    assert "the golden set or `quality.bar` has changed" in desk.run("select", NAME, "--resume", "last")[2]
    golden.write_text(text)
    prompt = desk.folder / "workloads" / NAME / "prompt.md"
    prompt.write_text(prompt.read_text().replace("{% input %}", "Be quick.\n{% input %}"))
    code, _, err = desk.run("select", NAME, "--resume", "last")
    assert (code, "begin a new one" in err) == (1, True), err
    desk.run("eval", NAME, "--arm", "nano")
    assert desk.run("select", NAME, "--resume", "last")[0] == 2


@pytest.mark.uncounted
def test_a_set_that_is_too_small_to_compare_with_the_best_is_refused_too(select):
    code, _, err = select("--margin", "0.02", nano=1.0)
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
    code, _, err = select("--margin", "0.05", "--reference", "none")
    assert (code, "there is none" in err) == (2, True)


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


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def echo(tmp_path, capsys):
    """`headworks select` on models that say again what they are told and cost the same, with what goes wrong."""

    def do(*words, pauses=(0, 0, 0), faults=(), total_s=60, bar=0.6):
        folder, tiers = tmp_path / "echo", ("nano", "mini", "flagship")
        work = folder / "workloads" / "again"
        work.mkdir(parents=True)
        config = {
            "providers": {"sim": {"kind": "simulator", "plan": "plan.yaml", "pace": 1}},
            "tiers": {name: f"sim/{name}-model" for name in tiers},
            "prices": {"models": {f"sim/{name}-model": {"input": 1, "output": 1} for name in tiers}},
        }
        at_once = {"median_ms": 1, "sigma": 0}
        models = {
            f"{name}-model": {
                "tier": name,
                "latency": {"first_token": {"median_ms": 1 + pause_ms, "sigma": 0}, "token": at_once},
            }
            for name, pause_ms in zip(tiers, pauses, strict=True)
        }
        plan = {"models": models, "rules": [{"say": "{{input}}"}], "faults": list(faults)}
        contract = {"owner": "proof", "description": "Say it again.", "quality": {"bar": bar}}
        (folder / "headworks.yaml").write_text(json.dumps(config))
        (folder / "plan.yaml").write_text(json.dumps(plan))
        (work / "workload.yaml").write_text(json.dumps(contract | {"latency": {"total_s": total_s}}))
        cases = ({"id": f"case-{n}", "input": f"word {n}", "expected": f"word {n}"} for n in range(60))
        (work / "golden.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
        code = main(["select", "again", "--json", *words, "--config", str(folder / "headworks.yaml")])
        printed = capsys.readouterr()
        assert printed.out, printed.err
        return code, json.loads(printed.out)

    return do


def test_of_rungs_that_cost_the_same_the_quicker_one_is_tried_first(echo):
    code, found = echo("--concurrency", "30", pauses=(400, 0, 800))

    assert code == 0
    assert [one["rung"] for one in found["rungs"]] == ["mini", "nano", "flagship"]
    assert len({one["cost_pico_usd"] for one in found["rungs"]}) == 1
    assert (found["chosen"], found["reference"]) == ("mini", "flagship")


def test_a_rung_that_is_too_slow_for_the_contract_is_not_chosen_however_often_it_is_right(echo):
    """One answer in three never comes in time; the bar asks for two in five."""
    late = {"kind": "slow_start", "model": "nano-model", "share": 0.33, "delay_s": 60}
    words = ("--concurrency", "30", "--reference", "none")
    code, found = echo(*words, pauses=(0, 400, 800), faults=[late], total_s=4, bar=0.4)
    nano = found["rungs"][0]

    assert code == 0
    assert (found["chosen"], nano["rung"], nano["reason"]) == ("mini", "nano", "latency")
    assert nano["late"] > 0
    assert nano["right"] >= nano["looks"][-1]["needed"]
