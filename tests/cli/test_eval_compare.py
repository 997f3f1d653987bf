"""`headworks eval compare`: two runs, two arms of one, two versions or models that are run for it."""

import json
import re

import pytest

from .conftest import Desk

NAME = "ticket-triage"


def run_of(desk, *words):
    return json.loads(desk.run("eval", NAME, "--json", *words)[1])["manifest"]["run"]


def compared(desk, *words):
    code, out, err = desk.run("eval", "compare", *words, "--json")
    assert err == ""
    return code, json.loads(out)


def test_two_models_are_run_and_set_side_by_side(desk):
    code, out, _ = desk.run("eval", "compare", NAME, "--arm", "nano", "--arm", "flagship")

    assert code == 0
    assert out.startswith("not worse: better")
    nano, flagship = (line.split() for line in out.splitlines() if line.startswith(("nano", "flagship")))
    assert (nano[4], flagship[4]) == ("92.0", "100.0")
    assert float(nano[6].strip("$")) < float(flagship[6].strip("$"))
    assert re.search(r"^a call costs \d+\.\d\d times as much$", out, re.MULTILINE)  # the price of being better
    assert re.search(r"^all +50 +92\.0 % +100\.0 % +\+8\.0 +\+\d\.\d to \+\d+\.\d +0 +4$", out, re.MULTILINE)
    assert len(re.findall(r"^ticket-\d+ ", out, re.MULTILINE)) == 4


def test_two_versions_of_the_prompt_are_compared(desk):
    desk.run("prompts", "publish", NAME)
    desk.edit("prompt.md", "Ticket:\n{{ ticket | fence }}", "Ticket:\n{{ ticket | fence }}\nAnswer at once.")
    desk.run("prompts", "bump", NAME)

    code, found = compared(desk, NAME, "--arm", "prompt=1.0.0", "--arm", "prompt=folder")
    assert code == 1
    assert (found["old"]["name"], found["new"]["name"]) == ("nano@1.0.0", "nano@folder")
    assert (found["old"]["prompt"][:5], found["new"]["prompt"][:5]) == ("1.0.0", "1.1.0")
    assert len(found["lost"]) == 11
    assert found["statistics"]["counts"]["losses"] == 11


def test_two_runs_are_compared_and_so_are_the_arms_of_one(desk):
    first, second = run_of(desk, "--arm", "nano"), run_of(desk, "--arm", "mini", "--arm", "nano")

    assert compared(desk, "last")[1]["statistics"]["counts"]["losses"] == 2
    code, found = compared(desk, first, f"{second}:mini")
    assert code == 0
    assert (found["old"]["run"], found["new"]["run"]) == (first, second)
    assert found["statistics"]["counts"]["wins"] == 2
    assert compared(desk, f"{second}:nano", f"{second}:mini")[1]["statistics"]["counts"]["wins"] == 2


def test_runs_on_two_golden_sets_are_compared_on_what_both_were_asked(desk):
    first = run_of(desk)
    golden = desk.triage / "golden.jsonl"
    golden.write_text("".join(golden.read_text().replace("two labels", "three labels").splitlines(keepends=True)[:40]))
    second = run_of(desk)

    _, found = compared(desk, first, second)
    assert found["statistics"]["counts"]["cases"] == 39
    assert found["unpaired"] == 12  # ten are gone, and one is asked otherwise: it is another case in each


def test_runs_that_are_scored_differently_are_not_judged_until_they_are_scored_alike(desk):
    first = run_of(desk)
    (desk.triage / "evals.yaml").write_text("scorers:\n  - label: {}\n    field: category\n")
    second = run_of(desk)
    code, found = compared(desk, first, second)
    assert code == 3
    assert "scored differently" in found["reasons"][0]

    desk.run("eval", "show", first, "--rescore")
    assert compared(desk, first, second)[0] == 0


def test_a_wider_margin_lets_less_evidence_do(desk):
    words = (NAME, "--arm", "mini", "--arm", "nano")
    assert compared(desk, *words)[0] == 3
    assert compared(desk, *words, "--margin", "0.15")[0] == 0


@pytest.mark.parametrize(
    ("words", "ends_with", "message"),
    [
        ((), 2, "say what to compare"),
        ((NAME,), 2, "which arms of `ticket-triage`?"),
        ((NAME, "--arm", "nano"), 2, "say what to compare"),
        (("last",), 1, "has 1 arms (nano): say two"),
        (("last:mini", "last"), 1, "has no arm `mini`; it has: nano"),
        (("20", "99"), 1, "no eval run begins with `99`"),
    ],
)
def test_what_cannot_be_compared_is_said(desk, words, ends_with, message):
    run_of(desk)
    code, _, err = desk.run("eval", "compare", *words)
    assert code == ends_with
    assert message in err


def test_a_case_that_a_run_does_not_have_is_said(desk):
    run_of(desk)
    assert "has no case `ticket-99`" in desk.run("eval", "show", "last", "--case", "ticket-99")[2]
    assert json.loads(desk.run("eval", "show", "last", "--case", "ticket-01", "--json")[1])["id"] == "ticket-01"


# -- a judge, and the command of its own ------------------------------------------------------------------------------

LIKES = """
rules:
  - when: { matches: 'The first answer:[^<]*<data-[0-9a-f]+>[^<]*please' }
    say: '{"better": "first"}'
  - when: { matches: 'The second answer:[^<]*<data-[0-9a-f]+>[^<]*please' }
    say: '{"better": "second"}'
  - when: { tier: flagship }
    say: "please, {{input}}"
  - say: "{{input}}"
"""


@pytest.fixture
def kind(tmp_path, capsys):
    """A workload that repeats what it hears, the flagship politely, with a judge that likes that."""
    folder = tmp_path / "workloads" / "echo"
    folder.mkdir(parents=True)
    (tmp_path / "headworks.yaml").write_text(
        "providers: {sim: {kind: simulator, plan: plan.yaml, pace: 0}}\n"
        "tiers: {nano: sim/gpt-6-luna, mini: sim/gpt-6.1-terra, flagship: sim/gpt-6.1-sol}\n"
    )
    (tmp_path / "plan.yaml").write_text(LIKES)
    (folder / "workload.yaml").write_text("owner: me\ndescription: Say it again.\n")
    (folder / "rubric.md").write_text("The answer is polite.")
    (folder / "evals.yaml").write_text(
        "scorers:\n  - regex\n  - judge: {model: sim/gpt-6.1-sol, rubric: rubric.md}\n    gates: false\n"
    )
    cases = (json.dumps({"id": f"case-{n}", "input": f"word {n}", "expected": f"word {n}"}) for n in range(40))
    (folder / "golden.jsonl").write_text("\n".join(cases))
    return Desk(tmp_path, capsys)


def test_a_judge_says_which_answers_are_better_in_both_orders_and_decides_nothing(kind):
    words = ("echo", "--arm", "nano", "--arm", "flagship", "--prefer")

    code, out, err = kind.run("compare", *words, "--json")
    found = json.loads(out)
    assert code == 0
    assert "has no human `labels`: it only warns" in err
    assert found["lost"] == found["won"] == []  # both are right everywhere, and one is better
    preferred = found["preferences"]
    assert preferred["judge"] == "sim/gpt-6.1-sol"
    assert [preferred[name] for name in ("pairs", "old", "new", "swayed", "failed")] == [40, 0, 40, 0, 0]
    assert preferred["p_value"] < 1e-6
    said = kind.run("compare", *words)[1]
    assert "prefers the new answer in 40 of 40 pairs, the old one in 0, neither in 0: +100.0 points" in said
    assert "each pair was shown in both orders, and this decides nothing; it cost $0" in said  # it is remembered


def test_without_a_judge_none_prefers(desk):
    code, _, err = desk.run("compare", NAME, "--arm", "nano", "--arm", "mini", "--prefer")
    assert (code, f"`{NAME}` has no judge that could prefer an answer" in err) == (1, True)


def test_compare_is_a_command_of_its_own(desk):
    code, out, _ = desk.run("compare", NAME, "--arm", "nano", "--arm", "flagship", "--json")
    assert code == 0
    assert json.loads(out)["verdict"] == "not worse"
    assert desk.run("compare", "last", "--json")[1] == desk.run("eval", "compare", "last", "--json")[1]
