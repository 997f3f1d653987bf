import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import pytest

NAME = "ticket-triage"


@pytest.fixture
def evals(desk):
    """Runs `headworks eval`."""
    return lambda *words: desk.run("eval", *words)


def run_id(out):
    return re.search(r"run ([0-9]{8}-[0-9]{6}-[0-9a-f]+)", out)[1]


def test_the_gate_of_a_release_belongs_to_changed(evals):
    code, _, err = evals(NAME, "--release")
    assert (code, "--release belongs to --changed" in err) == (2, True)


def test_a_golden_set_is_run_on_arms_with_scores_intervals_and_costs(evals, desk):
    code, out, err = evals(NAME, "--arm", "nano", "--arm", "mini", "--report", str(desk.folder / "report"))

    assert (code, err) == (0, "")
    nano, mini = (line.split() for line in out.splitlines() if line.startswith(("nano", "mini")))
    assert nano[:7] == ["nano", "simulator/gpt-6-luna", "92.0", "%", "80.8", "to", "97.8"]
    assert mini[2] == "96.0"
    assert nano[8:11] == ["46", "4", "0"]
    assert 0 < float(nano[11].strip("$")) < float(mini[11].strip("$"))
    assert "enterprise" in out
    folder = desk.folder / "report"
    assert sorted(path.name for path in folder.iterdir()) == ["junit.xml", "report.html", "report.json", "report.md"]
    assert [suite.get("failures") for suite in ET.parse(folder / "junit.xml").getroot()] == ["4", "2"]
    report = json.loads((folder / "report.json").read_text())
    assert [arm["right"] for arm in report["arms"]] == [46, 48]
    assert report["manifest"]["arms"][0]["prompt_version"] == "1.0.0"


def test_parameters_and_names_make_arms_of_one_model(evals):
    code, out, _ = evals(
        NAME,
        *("--arm", "model=flagship,max_tokens=100,name=tight"),
        *("--arm", "model=flagship,reasoning_effort=none,name=quiet"),
        "--json",
    )
    arms = {arm["arm"]["name"]: arm for arm in json.loads(out)["arms"]}

    assert code == 0
    assert arms["quiet"]["score"] == 1.0
    # With its usual effort the answer does not fit into so few tokens: the eval is there to tell.
    assert arms["tight"]["errors"]["output_invalid"] > 0
    assert arms["quiet"]["arm"]["identity"] != arms["tight"]["arm"]["identity"]


def test_a_run_stops_at_its_cap_and_is_gone_on_with(evals):
    code, out, err = evals(NAME, "--cap", "0.001")
    run = run_id(out)

    assert code == 1
    assert "not complete" in out
    assert f"it reached its cap; go on with: headworks eval {NAME} --resume {run}" in err
    code, out, _ = evals(NAME, "--resume", run)
    assert code == 0
    assert run_id(out) == run
    assert "92.0 %" in out
    assert evals(NAME, "--resume", run, "--json")[0] == 0


def test_a_run_whose_prompt_has_changed_is_not_gone_on_with(evals, desk):
    run = run_id(evals(NAME, "--cap", "0.001")[1])
    desk.edit("prompt.md", "twelve words", "ten words")

    code, _, err = evals(NAME, "--resume", run)
    assert code == 1
    assert "have changed since that run began" in err


def test_runs_are_listed_shown_and_scored_again_without_a_call(evals, desk):
    run = run_id(evals(NAME)[1])
    assert run in evals("list")[1]
    assert json.loads(evals("list", NAME, "--json")[1])["run"] == run
    code, out, _ = evals("show", run, "--cases")
    assert code == 0
    assert "expected" in out
    assert "is wrong" in out
    assert "german" in out
    (desk.triage / "evals.yaml").write_text("scorers:\n  - label: {}\n    field: category\n")
    (desk.folder / "simulator.yaml").unlink()  # whoever is asked now, it is no model
    (desk.folder / "headworks.yaml").write_text(
        (desk.folder / "headworks.yaml").read_text().replace("plan: simulator.yaml", "#")
    )
    code, out, err = evals("show", "last", "--rescore", "--json")
    report = json.loads(out)
    assert code == 0
    assert "scored as evals.yaml says today" in err
    assert report["arms"][0]["right"] >= 46
    assert evals("show", run)[1].count("92.0 %") >= 1


def test_scorers_of_every_kind_run_from_a_workloads_folder(evals, desk):
    (desk.triage / "own.py").write_text("def brief(case, answer):\n    return len(answer['text']) < 400\n")
    (desk.triage / "evals.yaml").write_text(
        "scorers:\n  - fields: {fields: {summary: {text: present}}}\n  - schema\n  - rules\n"
        '  - function: {call: "own.py:brief"}\n  - command: {run: ["echo", "true"]}\n'
    )
    code, out, _ = evals(NAME, "--json")

    assert code == 0
    report = json.loads(out)
    assert [one["name"] for one in report["manifest"]["scorer"]["all"]] == [
        "fields", "schema", "rules", "function", "command",
    ]  # fmt: skip
    assert report["arms"][0]["invalid"] == 0


def test_a_judge_without_labels_only_warns(evals, desk):
    (desk.triage / "rubric.md").write_text("The summary says what the customer wants.")
    (desk.triage / "evals.yaml").write_text(
        "scorers:\n  - fields\n  - judge: {model: simulator/gpt-6.1-sol, rubric: rubric.md}\n"
    )
    code, out, err = evals(NAME, "--json")

    assert "the judge simulator/gpt-6.1-sol has no human `labels`: it only warns" in err
    report = json.loads(out)
    # The simulator gives no verdict in the form that a judge must have: that takes nothing from what `fields` says.
    assert report["arms"][0]["wrong"] + report["arms"][0]["right"] == 50
    assert (code, report["arms"][0]["invalid"]) == (0, 0)
    assert any("judge: cannot tell" in one for one in report["warnings"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("assistant",), "has no golden set"),
        (("nothing",), "no workload is called `nothing`"),
        ((NAME, "--arm", "modell"), "`modell` is no model"),
        ((NAME, "--arm", "prompt=9.9.9"), "no version 9.9.9 of the prompt"),
        (("show", "20"), "no eval run begins"),
        ((NAME, "--resume", "x"), "no eval run begins"),
    ],
)
def test_what_cannot_be_done_is_said(evals, words, message):
    code, _, err = evals(*words)

    assert code == 1
    assert message in err


def test_two_arms_of_one_name_are_wrong_usage(evals):
    code, _, err = evals(NAME, "--arm", "nano", "--arm", "nano")

    assert (code, "two arms have one name" in err) == (2, True)


@pytest.mark.parametrize("command", ["eval", "select"])
def test_cases_that_do_not_fit_the_prompt_are_told_before_anything_is_asked(desk, command):
    """That no model was asked says nothing of a model: it was a score of 0 % once."""
    desk.edit("golden.jsonl", '"variables": {"product"', '"variables": {"produkt"')
    words = ("--underpowered",) if command == "select" else ()

    code, _, err = desk.run(command, NAME, *words)

    assert code == 1
    assert "50 of 50 cases do not fit the prompt of the arm `nano`, so that nothing was asked." in err
    assert "`produkt` is not a variable of it; did you mean `product`?" in err
    assert f"`headworks golden lint {NAME}` names those" in err


def test_rules_that_are_too_late_say_nothing_of_a_model(evals, desk):
    """They count as a block where an answer goes out, and as no outcome here."""
    golden = (desk.triage / "golden.jsonl").read_text().splitlines(keepends=True)
    (desk.triage / "golden.jsonl").write_text("".join(golden[:2]))
    desk.edit("workload.yaml", "validation: {", "validation: { rules_timeout_s: 0.05,")
    (desk.triage / "rules.py").write_text("import time\n\n\ndef slow(output, context):\n    time.sleep(30)\n")

    code, out, _ = evals(NAME, "--concurrency", "2", "--json")
    report = json.loads(out)["arms"][0]
    assert (code, report["wrong"], report["invalid"]) == (1, 0, 2)
    assert report["errors"] == {"rules_failed": 2}


def test_a_broken_evals_yaml_is_named_by_line(evals, desk):
    (desk.triage / "evals.yaml").write_text("scorers: [lable]\n")

    code, _, err = evals(NAME)
    assert code == 1
    assert re.search(r"evals\.yaml:1:11: .*did you mean `label`", err)


def slow(desk):
    path = desk.folder / "headworks.yaml"
    path.write_text(path.read_text().replace("pace: 0 #", "pace: 0.2 #"))


def start(desk, *words, **options):
    command = [sys.executable, "-m", "headworks", "eval", NAME, *words]
    return subprocess.Popen(command, cwd=desk.folder, stdout=subprocess.PIPE, text=True, **options)


def wait_for_answers(desk, count):
    due = time.monotonic() + 60
    while time.monotonic() < due:
        logs = list((desk.folder / ".headworks" / "evals").glob("*/log.jsonl"))
        if logs and logs[0].read_bytes().count(b'"answered"') >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the run does not get on")


def test_ctrl_c_finishes_what_is_under_way_and_leaves_a_run_to_go_on_with(desk, evals):
    slow(desk)
    process = start(desk, "--concurrency", "2", stderr=subprocess.PIPE)
    wait_for_answers(desk, 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "finishing what is under way" in err
    assert "Traceback" not in err
    assert f"--resume {run_id(out)}" in err
    log = desk.folder / ".headworks" / "evals" / run_id(out) / "log.jsonl"
    assert log.read_bytes().count(b'"t":"asked"') == log.read_bytes().count(b'"t":"answered"') < 50
    assert evals(NAME, "--resume", "last")[0] == 0


def test_a_killed_run_is_gone_on_with_and_pays_for_no_answer_twice(desk, evals):
    slow(desk)
    process = start(desk, "--concurrency", "4", stderr=subprocess.DEVNULL)
    wait_for_answers(desk, 10)
    process.kill()
    process.communicate()

    code, out, _ = evals(NAME, "--resume", "last")
    assert code == 0
    log = desk.folder / ".headworks" / "evals" / run_id(out) / "log.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    answered = [entry["case_id"] for entry in entries if entry["t"] == "answered"]
    assert len(answered) == len(set(answered)) == 50
    assert sum(entry["t"] == "asked" for entry in entries) <= 50 + 4


def test_a_terminal_shows_how_far_a_run_is(desk):
    reader, writer = pty.openpty()
    process = start(desk, stderr=writer)
    os.close(writer)
    shown = b""
    while True:
        try:
            piece = os.read(reader, 65_536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(reader)
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert b"50/50" in shown
    assert b"92.0 %" in shown


def with_provider_away(desk):
    """A provider of whom nothing is known."""
    path = desk.folder / "headworks.yaml"
    away = '  away: { kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", regions: [us] }\n'
    path.write_text(path.read_text().replace("providers:\n", f"providers:\n{away}"))


def test_cases_go_to_no_model_where_the_contract_does_not_allow_it(evals, desk):
    with_provider_away(desk)

    code, _, err = evals(NAME, "--arm", "away/x")

    assert code == 1
    assert f"the cases of {NAME} must not go to `away/x`: data.agreements: no-training" in err


def test_nor_do_they_go_to_a_judge_there(evals, desk):
    with_provider_away(desk)
    (desk.triage / "rubric.md").write_text("The summary says what the customer wants.")
    (desk.triage / "evals.yaml").write_text("scorers:\n  - fields\n  - judge: {model: away/x, rubric: rubric.md}\n")

    code, _, err = evals(NAME)

    assert code == 1
    assert f"the cases of {NAME} must not go to `away/x`: data.agreements: no-training" in err


def test_a_model_that_is_too_slow_for_the_contract_is_wrong_about_each_case_and_asked_each_of_them(evals, desk):
    """No breaker opens over it, and nothing of it is remembered: another time it may be quicker."""
    plan = desk.folder / "headworks.yaml"
    plan.write_text(plan.read_text().replace("pace: 0 #", "pace: 1 #"))
    contract = desk.triage / "workload.yaml"
    text = contract.read_text()
    assert "latency:" in text
    contract.write_text(re.sub("latency: .*", "latency: { total_s: 0.05 }", text))
    _, out, _ = evals(NAME, "--arm", "nano", "--json")
    arm = json.loads(out)["arms"][0]

    assert arm["errors"] == {"upstream_timeout": 50}
    assert (arm["right"], arm["wrong"], arm["invalid"]) == (0, 50, 0)
    run = json.loads(evals(NAME, "--arm", "nano", "--json")[1])["manifest"]["run"]
    assert '"is_cached"' not in (desk.folder / ".headworks" / "evals" / run / "log.jsonl").read_text()
