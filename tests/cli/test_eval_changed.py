"""`headworks eval --changed`: what a team has in CI, on a Git repository."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from headworks.config import Lock, lock_text, read_lock

NAME = "ticket-triage"
ROOT = Path(__file__).parents[2]
TICKET = "Ticket:\n{{ ticket | fence }}"


@pytest.fixture
def repository(desk):
    """The support desk in a Git repository, with everything committed."""
    (desk.folder / ".gitignore").write_text(".headworks/\n__pycache__/\n")
    git(desk, "init", "--quiet", "--initial-branch", "main")
    commit(desk, "Begin")
    return desk


def git(desk, *words):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who = ("-c", "user.name=Team", "-c", "user.email=team@example.com")
    return subprocess.run(
        ["git", *who, *words], cwd=desk.folder, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(desk, message):
    git(desk, "add", "--all")
    git(desk, "commit", "--quiet", "--message", message)


def worsen(desk):
    desk.edit("prompt.md", TICKET, f"{TICKET}\nAnswer at once.")


def improve(desk):
    desk.edit("prompt.md", TICKET, f"{TICKET}\nRead the ticket twice.")


def changed(desk, *words):
    code, out, err = desk.run("eval", "--changed", "--json", *words)
    assert err == ""
    return code, json.loads(out)


def test_nothing_is_run_where_nothing_has_changed(repository):
    code, out, _ = repository.run("eval", "--changed", "--base", "HEAD")

    assert code == 0
    assert "Nothing that evidence rests on has changed (3 workloads); nothing was run." in out
    assert not (repository.folder / ".headworks" / "evals").exists()


def test_a_change_for_the_worse_is_named_with_the_cases_that_it_breaks(repository):
    worsen(repository)
    commit(repository, "Hurry")

    code, out, _ = repository.run("eval", "--changed", "--base", "HEAD~1")
    assert code == 1
    assert re.search(r"ticket-triage: prompt\.md against HEAD~1 \([0-9a-f]{7}\)", out)
    assert "worse: the contract is broken in 11 cases where it was kept; right before and wrong now: 11, the" in out
    broken = re.findall(r"^(ticket-\d+) +output_blocked: rule ", out, re.MULTILINE)
    assert len(broken) == 11
    case, run = broken[0], re.search(r"look at one: headworks eval show (\S+) --case ID", out)[1]
    code, shown, _ = repository.run("eval", "show", run, "--case", case)
    assert code == 0
    assert "old is right" in shown
    assert "new is wrong" in shown
    assert "assistant, invoice-extraction" in out  # untouched, and not run


def test_a_change_for_the_better_goes_in(repository):
    improve(repository)

    code, found = changed(repository, "--base", "HEAD")
    (one,) = found["workloads"]
    assert (code, found["verdict"], one["workload"]) == (0, "not worse", NAME)
    assert one["reasons"] == ["better"]
    assert [case["id"] for case in one["won"]] == [case["id"] for case in one["won"] if "ticket-" in case["id"]]
    assert len(one["won"]) == 4
    assert one["parts"][0]["new"] == 1.0
    assert one["new"]["bill"]["cost_pico_usd"] > 0  # cost beside quality


def test_evidence_that_is_too_thin_has_an_exit_code_of_its_own(repository):
    golden = repository.triage / "golden.jsonl"
    golden.write_text("".join(golden.read_text().splitlines(keepends=True)[:20]))
    commit(repository, "A small set")
    repository.edit("prompt.md", "twelve words", "ten words")

    code, found = changed(repository, "--base", "HEAD")
    (one,) = found["workloads"]
    assert (code, found["exit_code"]) == (3, 3)
    assert re.search(r"20 cases with 0 lost and 0 won show neither .*: about \d+ would", one["reasons"][0])

    code, found = changed(repository, "--base", "HEAD", "--release")
    assert (code, found["exit_code"], found["verdict"]) == (1, 1, "too thin")


def test_what_was_asked_before_costs_nothing_the_second_time(repository):
    improve(repository)
    _, first = changed(repository, "--base", "HEAD")
    _, second = changed(repository, "--base", "HEAD")

    assert first["workloads"][0]["spent_pico_usd"] > 0
    assert second["workloads"][0]["spent_pico_usd"] == 0
    bills = [second["workloads"][0][side]["bill"] for side in ("old", "new")]
    assert [bill["cached"] for bill in bills] == [50, 50]


def test_only_requests_that_differ_are_asked(repository):
    changed(repository, "--base", "HEAD")
    repository.edit(
        "prompt.md", TICKET, TICKET + "\n{% if plan == 'enterprise' %}The customer is important.{% endif %}"
    )
    repository.run("eval", NAME, "--arm", "prompt=folder")  # nothing is known yet: all 50
    repository.edit("prompt.md", "is important.", "is very important.")

    code, out, _ = repository.run("eval", NAME, "--json")
    report = json.loads(out)
    assert code == 0
    log = repository.folder / ".headworks" / "evals" / report["manifest"]["run"] / "log.jsonl"
    asked = [json.loads(line) for line in log.read_text().splitlines()]
    assert sum(entry["t"] == "asked" for entry in asked) == 11  # the enterprise customers


def test_a_change_that_no_request_shows_runs_nothing_anew(repository):
    repository.run("eval", NAME)
    repository.edit("prompt.md", "The product that the ticket is about.", "What the ticket is about.")

    code, found = changed(repository, "--base", "HEAD")
    (one,) = found["workloads"]
    assert code == 0
    assert "every request is the same as before" in one["reasons"][0]
    assert one["spent_pico_usd"] == 0


def test_what_no_evidence_rests_on_touches_nothing(repository):
    (repository.triage / "README.md").write_text("For people.")
    repository.edit("workload.yaml", "owner: support-platform", "owner: desk")
    assert changed(repository, "--base", "HEAD")[1]["untouched"] == ["assistant", "invoice-extraction", NAME]


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("workload.yaml", "temperature: 0 }", "temperature: 1 }", "the contract"),
        ("workload.yaml", "ladder: [nano, mini", "ladder: [mini", "the model: simulator/gpt-6-luna -> "),
        ("rules.py", "goes to the team", "belongs to the team", "rules.py"),
        ("schema.json", '"maximum": 4', '"maximum": 5', "schema.json"),
        ("workload.yaml", "bar: 0.9 ", "bar: 0.8 ", "the bar: 90% -> 80%"),
    ],
)
def test_everything_that_evidence_rests_on_is_looked_at(repository, file, old, new, reason):
    repository.edit(file, old, new)

    _, out, _ = repository.run("eval", "--changed", "--base", "HEAD")
    assert out.startswith(f"{NAME}: ")
    assert reason in out.splitlines()[0]


def test_a_model_that_is_bound_anew_is_a_change(repository):
    path = repository.folder / "headworks.yaml"
    path.write_text(path.read_text().replace("nano: simulator/gpt-6-luna", "nano: simulator/gpt-6.1-terra"))

    code, found = changed(repository, "--base", "HEAD", NAME)
    (one,) = found["workloads"]
    assert code == 0
    assert (one["old"]["model"], one["new"]["model"]) == ("simulator/gpt-6-luna", "simulator/gpt-6.1-terra")


def test_a_golden_set_that_asks_for_more_is_scored_from_kept_answers(repository):
    repository.run("eval", NAME)
    golden = repository.triage / "golden.jsonl"
    lines = [json.loads(line) for line in golden.read_text().splitlines()]
    wrong = next(one for one in lines if one["id"] == "ticket-13")  # nano has it wrong
    wrong["must_pass"] = True
    golden.write_text("".join(f"{json.dumps(one)}\n" for one in lines))

    code, found = changed(repository, "--base", "HEAD")
    (one,) = found["workloads"]
    assert code == 1
    assert one["broken"] == ["ticket-13"]
    assert one["spent_pico_usd"] == 0


def test_a_new_workload_has_nothing_to_be_worse_than(repository):
    git(repository, "rm", "--quiet", "-r", "--cached", "workloads/ticket-triage")
    git(repository, "commit", "--quiet", "--message", "Without it")

    code, found = changed(repository, "--base", "HEAD")
    (one,) = found["workloads"]
    assert code == 0
    assert one["reasons"][0].startswith("it is new, so that there is nothing to compare with; 46 of 50 are right")


def test_a_workload_without_a_golden_set_is_too_thin(repository):
    path = repository.folder / "workloads" / "assistant" / "prompt.md"
    path.write_text(path.read_text().replace("{% developer %}", "{% developer %}\nBe kind."))

    code, found = changed(repository, "--base", "HEAD")
    assert code == 3
    assert found["workloads"][0]["reasons"] == ["it has no golden set, so that nothing can be said"]


def test_the_lock_is_the_base_where_none_is_named(desk):
    desk.run("prompts", "publish", NAME)
    assert "1.0.0" in (desk.folder / "headworks.lock").read_text()
    worsen(desk)

    code, out, _ = desk.run("eval", "--changed", NAME)
    assert code == 1
    assert out.startswith("ticket-triage: prompt.md against headworks.lock (1.0.0)")


def test_a_locked_prompt_whose_text_is_nowhere_is_said_to_be_missing(desk):
    desk.run("prompts", "publish", NAME)
    (desk.folder / ".headworks" / "prompts.db").unlink()
    worsen(desk)

    code, found = changed(desk, NAME)
    assert code == 3
    assert "--base REF names a commit" in found["workloads"][0]["reasons"][0]


def test_in_a_fresh_clone_the_last_commit_has_the_text_of_the_locked_prompt(repository):
    repository.run("prompts", "publish", NAME)
    commit(repository, "Lock it")
    (repository.folder / ".headworks" / "prompts.db").unlink()
    improve(repository)

    code, out, _ = repository.run("eval", "--changed", NAME)
    assert code == 0
    assert "against headworks.lock (1.0.0), as HEAD" in out


def test_a_snapshot_that_the_provider_has_changed_is_held_against_the_answers_of_the_one_before(desk, monkeypatch):
    desk.run("prompts", "publish", NAME)
    report = json.loads(desk.run("eval", NAME, "--json")[1])
    (snapshot,) = report["arms"][0]["served_models"]
    path = desk.folder / "headworks.lock"
    locked = msgspec.structs.replace(read_lock(path).workloads[NAME], served_model=snapshot)
    path.write_text(lock_text(Lock(workloads={NAME: locked})))
    assert changed(desk, NAME)[1]["workloads"] == []

    for module in ("eval_base", "eval_changed"):
        monkeypatch.setattr(f"headworks.cli.{module}.newest_snapshot", lambda *_: "gpt-6-luna-next")
    code, found = changed(desk, NAME)
    (one,) = found["workloads"]
    assert code == 0
    assert one["new"]["bill"]["cached"] == 0  # asked anew: what was kept is the other snapshot's
    assert one["old"]["run"] == report["manifest"]["run"]


def test_ctrl_c_is_no_verdict(repository):
    path = repository.folder / "headworks.yaml"
    path.write_text(path.read_text().replace("pace: 0 #", "pace: 0.2 #"))
    improve(repository)
    command = [sys.executable, "-m", "headworks", "eval", "--changed", "--base", "HEAD", "--concurrency", "2"]
    process = subprocess.Popen(
        command, cwd=repository.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    due = time.monotonic() + 60
    while time.monotonic() < due:
        logs = list((repository.folder / ".headworks" / "evals").glob("*/log.jsonl"))
        if logs and logs[0].read_bytes().count(b'"answered"') >= 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "stopped before there was a verdict" in err
    assert "Traceback" not in err


def test_reports_of_what_was_run_are_written_for_each_workload(repository):
    improve(repository)
    changed(repository, "--base", "HEAD", "--report", str(repository.folder / "report"))
    assert (repository.folder / "report" / NAME / "junit.xml").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--changed", "--base", "nowhere"), "`nowhere` is no commit"),
        (("--changed", "--base", "--output=x"), "expected one argument"),
        (("--base", "HEAD", NAME), "--base belongs to --changed"),
        (("--changed", NAME, "--arm", "nano"), "--changed takes at most a workload"),
        (("--changed", "show"), "an action comes first: headworks eval show"),
        ((), "say a workload, or --changed"),
    ],
)
def test_what_cannot_be_done_is_said(repository, words, message, capsys):
    try:
        _, _, err = repository.run("eval", *words)
    except SystemExit:
        err = capsys.readouterr().err
    assert message in err


def test_a_base_that_is_broken_is_said_without_the_folder_it_was_written_to(repository):
    repository.edit("workload.yaml", "bar: 0.9", "bar: high")
    commit(repository, "Break it")
    repository.edit("workload.yaml", "bar: high", "bar: 0.9")

    code, _, err = repository.run("eval", "--changed", "--base", "HEAD")
    assert code == 1
    assert re.search(r"cannot be read as HEAD \([0-9a-f]{7}\) has it: workloads/ticket-triage/workload.yaml:", err)


def test_a_prompt_that_was_broken_in_the_base_is_nothing_to_compare_with(repository):
    repository.edit("prompt.md", "{{ plan }}", "{{ plann }}")
    commit(repository, "Break it")
    repository.edit("prompt.md", "{{ plann }}", "{{ plan }}")

    code, found = changed(repository, "--base", "HEAD")
    assert code == 3
    assert found["workloads"][0]["reasons"][0].startswith("the workload as it was cannot be asked any more: prompt.md:")


def test_it_works_from_a_hook_whose_variables_point_elsewhere(repository, monkeypatch):
    worsen(repository)
    monkeypatch.setenv("GIT_INDEX_FILE", "somewhere/index")
    monkeypatch.setenv("GIT_DIR", "somewhere")

    assert changed(repository, "--base", "HEAD")[0] == 1


def test_the_repository_is_left_as_it_was(repository):
    worsen(repository)
    before = git(repository, "status", "--porcelain")
    repository.run("eval", "--changed", "--base", "HEAD")
    assert git(repository, "status", "--porcelain") == before


def test_a_project_may_lie_below_the_root_of_its_repository(desk, tmp_path):
    git(desk, "init", "--quiet", str(tmp_path))
    commit(desk, "Begin")
    worsen(desk)

    assert changed(desk, "--base", "HEAD")[0] == 1


# -- variables --------------------------------------------------------------------------------------------------------

DECLARED = "variables:\n"


def with_language(repository, words):
    """A further variable of the prompt."""
    text = (repository.triage / "prompt.md").read_text()
    assert DECLARED in text
    text = text.replace(DECLARED, f"{DECLARED}  language: {{ type: string, max_length: 10{words} }}\n")
    (repository.triage / "prompt.md").write_text(text.replace(TICKET, f"Language: {{{{ language }}}}\n{TICKET}"))


def spoken(repository):
    golden = repository.triage / "golden.jsonl"
    golden.write_text(golden.read_text().replace('"variables": {', '"variables": {"language": "en", '))


def test_a_variable_that_the_prompt_did_not_have_is_left_out_of_what_it_was_asked(repository):
    with_language(repository, "")
    spoken(repository)

    code, found = changed(repository, "--base", "HEAD", NAME)
    (one,) = found["workloads"]
    assert (code, found["verdict"]) == (0, "not worse")
    assert (one["parts"][0]["old"], one["parts"][0]["new"]) == (0.92, 0.92)


def test_a_prompt_that_refuses_cases_that_it_took_is_worse_and_nothing_is_asked(repository):
    with_language(repository, "")

    code, found = changed(repository, "--base", "HEAD", NAME)
    (one,) = found["workloads"]
    assert (code, found["verdict"], len(one["broken"])) == (1, "worse", 50)
    assert "50 of 50 cases were taken before, and the prompt refuses them now." in one["reasons"][0]
    assert "`language` is missing" in one["reasons"][0]
    assert not (repository.folder / ".headworks" / "evals" / "answers.db").exists()


def test_a_prompt_that_cannot_be_asked_what_is_asked_today_is_nothing_to_compare_with(repository):
    with_language(repository, "")
    spoken(repository)
    commit(repository, "With a language")
    git(repository, "revert", "--no-edit", "HEAD")

    code, found = changed(repository, "--base", "HEAD~1", NAME)
    assert (code, found["verdict"]) == (3, "too thin")
    assert "50 cases cannot be asked of the prompt as it was" in found["workloads"][0]["reasons"][0]
    assert "46 of 50 are right" in found["workloads"][0]["reasons"][0]


# -- the gate of a release --------------------------------------------------------------------------------------------


@pytest.fixture
def released(desk):
    """The support desk with a published prompt, and a worse one in the folder that was looked at."""
    desk.run("prompts", "publish", NAME)
    worsen(desk)
    desk.run("eval", "--changed", NAME)
    desk.run("prompts", "bump", NAME)
    return desk


def test_a_version_that_is_worse_is_not_published(released):
    code, _, err = released.run("prompts", "publish", NAME)

    assert code == 1
    assert "ticket-triage 1.1.0 is worse than headworks.lock (1.0.0): the contract is broken in 11 cases" in err
    assert "broken: ticket-" in err
    assert "--force --why REASON" in err
    assert "1.1.0" not in released.run("prompts", "list", "--json")[1].replace('"folder":"1.1.0"', "")


def test_a_reason_lets_it_out_and_stands_in_lock_and_log(released):
    assert "needs --why" in released.run("prompts", "publish", NAME, "--force")[2]
    assert "belongs to --force" in released.run("prompts", "publish", NAME, "--why", "so")[2]

    code, out, _ = released.run("prompts", "publish", NAME, "--force", "--why", "The old one breaks a law.")
    assert code == 0
    assert "goes out because: The old one breaks a law." in out
    lock = (released.folder / "headworks.lock").read_text()
    assert 'forced_because: "The old one breaks a law."' in lock
    assert 'verdict: "worse"' in lock
    assert "1.1.0 went out although it is worse" in released.run("prompts", "log", NAME)[1]
    assert released.run("check")[0] == 0


def test_going_back_is_never_kept_up_and_going_forth_again_is(released):
    released.run("prompts", "publish", NAME, "--force", "--why", "Try it.")

    code, out, _ = released.run("prompts", "rollback", NAME)
    assert code == 0
    assert "1.0.0 is active" in out
    assert "forced_because" not in (released.folder / "headworks.lock").read_text()
    code, _, err = released.run("prompts", "rollback", NAME, "1.1.0")
    assert code == 1
    assert "is worse than" in err
    assert released.run("prompts", "rollback", NAME, "1.1.0", "--force", "--why", "Again.")[0] == 0


def test_a_version_that_is_not_worse_takes_its_evidence_into_the_lock(desk):
    desk.run("prompts", "publish", NAME)
    improve(desk)
    desk.run("eval", "--changed", NAME)
    desk.run("prompts", "bump", NAME)

    code, out, _ = desk.run("prompts", "publish", NAME)
    assert code == 0
    assert re.search(
        r"Evidence: not worse than headworks\.lock \(1\.0\.0\) \(50 cases, 0 lost, 4 won\), run \S+\.", out
    )
    assert 'verdict: "not worse"' in (desk.folder / "headworks.lock").read_text()
    assert changed(desk, NAME)[1]["workloads"] == []  # what is locked is what the folder holds


def test_evidence_of_another_golden_set_is_said_to_be_old(desk):
    desk.run("prompts", "publish", NAME)
    improve(desk)
    desk.run("eval", "--changed", NAME)
    desk.run("prompts", "bump", NAME)
    golden = desk.triage / "golden.jsonl"
    golden.write_text("".join(golden.read_text().splitlines(keepends=True)[:49]))

    assert "Its evidence is of another golden set" in desk.run("prompts", "publish", NAME)[1]


def test_a_run_that_compared_nothing_does_not_hide_what_was_found_before(released):
    code, out, _ = released.run("eval", "--changed", NAME, "--fresh", "--cap", "0.0001")
    assert code == 3
    assert "the cap was reached" in out
    assert released.run("prompts", "publish", NAME)[0] == 1


def test_evidence_against_something_else_than_what_is_active_is_said_to_be_that(repository):
    repository.run("prompts", "publish", NAME)
    (repository.folder / "headworks.lock").unlink()
    worsen(repository)
    commit(repository, "Worse, and nobody asked")
    repository.edit("prompt.md", "Answer at once.", "Answer at once. Read the ticket twice.")
    assert changed(repository, NAME, "--base", "HEAD")[0] == 0
    repository.run("prompts", "bump", NAME)

    code, out, _ = repository.run("prompts", "publish", NAME)
    assert code == 0
    assert "which is not what was active" in out
    assert "verdict" not in (repository.folder / "headworks.lock").read_text()
