"""Retrieval as an arm of an eval, on the simulator, which answers from the context that it is given."""

import json

import pytest

from headworks.cli import main

PROMPT = """---
version: 1.0.0
variables:
  question: {type: string}
  passages: {type: string, default: nothing}
---
{% user %}
Known: {{ passages | fence }}
{{ question | fence }}
"""
PLAN = """
pace: 0
rules:
  - when: { matches: "opens at (?P<hour>[0-9]+)" }
    say: "{{hour}}"
  - say: unknown
"""
EVALS = """
retrieval:
  variable: passages
  ways:
    kept: {file: kept.jsonl}
    own: {function: {call: 'find.py:find'}}
"""
FIND = """
from pathlib import Path

def find(case):
    with open("asked.txt", "a") as file:
        file.write(case["id"] + "\\n")
    if case["id"] == "shop-9":
        raise KeyError
    return "the shop opens at " + case["id"].removeprefix("shop-")
"""


class Shops:
    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.workload = folder / "workloads" / "hours"
        self.workload.mkdir(parents=True)
        (folder / "headworks.yaml").write_text(
            "access: {mode: open}\nserver: {host: 127.0.0.1}\nproviders: {sim: {kind: simulator, plan: plan.yaml}}\n"
            "tiers: {nano: sim/gpt-6-luna, mini: sim/gpt-6.1-terra, flagship: sim/gpt-6.1-sol}\n"
        )
        (folder / "plan.yaml").write_text(PLAN)
        cases = [
            {"id": f"shop-{n}", "variables": {"question": f"When does shop {n} open?"}, "expected": str(n)}
            for n in range(6, 12)
        ]
        kept = [{"id": f"shop-{n}", "context": f"opens at {n if n < 9 else 5}"} for n in range(6, 12)]
        for name, text in (
            ("workload.yaml", "owner: o\ndescription: d\nmodel: nano\n"),
            ("prompt.md", PROMPT),
            ("evals.yaml", EVALS),
            ("find.py", FIND),
            ("golden.jsonl", "".join(json.dumps(case) + "\n" for case in cases)),
            ("kept.jsonl", "".join(json.dumps(one) + "\n" for one in kept)),
        ):
            (self.workload / name).write_text(text)

    def run(self, *words):
        code = main([*words, "--config", str(self.folder / "headworks.yaml")])
        return code, *self.capsys.readouterr()

    @property
    def asked(self):
        return (self.workload / "asked.txt").read_text().split()


@pytest.fixture
def shops(tmp_path, capsys):
    return Shops(tmp_path / "shops", capsys)


def test_arms_differ_in_what_they_find(shops):
    code, out, err = shops.run(
        "eval", "hours", "--arm", "nano", "--arm", "model=nano,retrieval=kept", "--arm", "retrieval=own", "--json"
    )
    arms = {one["arm"]["name"]: one for one in json.loads(out)["arms"]}

    assert code == 1, "of the third too many are invalid"
    assert {name: (one["right"], one["wrong"], one["invalid"]) for name, one in arms.items()} == {
        "nano": (0, 6, 0),
        "nano+kept": (3, 3, 0),
        "nano+own": (5, 0, 1),
    }
    assert arms["nano+own"]["errors"] == {"retrieval_failed": 1}
    assert "own: nothing was found for 1 cases" in err
    assert len({one["arm"]["identity"] for one in arms.values()}) == 3


def test_a_way_is_asked_once_for_all_its_arms_and_not_again_by_a_run_that_goes_on(shops):
    _, out, _ = shops.run(
        "eval", "hours", "--arm", "model=nano,retrieval=own", "--arm", "model=mini,retrieval=own", "--json"
    )
    assert sorted(shops.asked) == sorted(f"shop-{n}" for n in range(6, 12))
    run = json.loads(out)["manifest"]["run"]
    _, out, err = shops.run("eval", "hours", "--resume", run, "--json")

    assert [arm["right"] for arm in json.loads(out)["arms"]] == [5, 5], err
    assert shops.asked.count("shop-6") == 1
    assert shops.asked.count("shop-9") == 2, "what was not found is looked for again"


def test_an_answer_to_another_context_is_another_answer(shops):
    shops.run("eval", "hours", "--arm", "retrieval=kept", "--json")
    kept = shops.workload / "kept.jsonl"
    kept.write_text(kept.read_text().replace("opens at 5", "opens at 11"))
    _, out, _ = shops.run("eval", "hours", "--arm", "retrieval=kept", "--json")

    assert json.loads(out)["arms"][0]["right"] == 4


def test_two_ways_are_compared_case_by_case(shops):
    code, out, err = shops.run(
        "eval", "compare", "hours", "--arm", "name=a,retrieval=kept", "--arm", "name=b", "--json"
    )

    assert code in (1, 3), err
    assert [json.loads(out)[side]["name"] for side in ("old", "new")] == ["a", "b"]
    assert len(json.loads(out)["lost"]) == 3


@pytest.mark.parametrize(
    ("words", "change", "message"),
    [
        ("retrieval=gone", None, "no way of retrieval called `gone`"),
        ("retrieval=kept", ("evals.yaml", "scorers: [label]\n"), "needs `retrieval` in evals.yaml"),
        ("retrieval=kept", ("evals.yaml", EVALS.replace("passages", "facts")), "no variable `facts`"),
    ],
)
def test_what_cannot_be_done_is_said(shops, words, change, message):
    if change is not None:
        (shops.workload / change[0]).write_text(change[1])
    code, out, err = shops.run("eval", "hours", "--arm", words)

    assert code == 1
    assert message in out + err
