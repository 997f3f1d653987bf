"""How often a semantic cache would give a wrong answer, and what that binds."""

import json

import pytest

from headworks.cli import main
from headworks.config import load, read_lock
from headworks.errors import ConfigError
from headworks.settings import read_settings

_THINGS = (
    "password router invoice parcel kettle passport garden bicycle mortgage violin printer curtain salary visa "
    "elevator tractor helmet aquarium dentist library umbrella satellite pension keyboard wallet fridge ladder "
    "museum engine harvest camera blanket theatre subway lawyer chimney battery ticket orchard pharmacy freezer "
    "glove calendar insurance puppy sculpture canoe furnace telescope scooter bakery lantern sweater dishwasher "
    "vaccine trumpet carpet embassy saddle balcony compass"
)
THINGS = _THINGS.split()
CONTRACT = "owner: o\ndescription: d\nmodel: nano\ncache: {ttl_s: 60, semantic: {at_least: 0.8}}\n"


class Faq:
    """A project with one workload whose answers may be given to what is like it."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.workload = folder / "workloads" / "faq"
        self.workload.mkdir(parents=True)
        (folder / "headworks.yaml").write_text(
            "access: {mode: open}\nserver: {host: 127.0.0.1}\nproviders: {sim: {kind: simulator}}\n"
            "tiers: {nano: sim/gpt-6-luna, mini: sim/gpt-6.1-terra, flagship: sim/gpt-6.1-sol}\n"
        )
        self.contract()
        self.golden()

    def contract(self, text=CONTRACT):
        (self.workload / "workload.yaml").write_text(text)

    def golden(self, things=THINGS, other=lambda thing: thing, **more):
        cases = [
            {"id": f"{thing}-{number}", "input": text, "expected": answer, **more}
            for thing in things
            for number, (text, answer) in enumerate(
                [(f"What about the {thing}?", thing), (f"what about the {thing} please", other(thing))]
            )
        ]
        (self.workload / "golden.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))

    def run(self, *words):
        code = main([*words, "--config", str(self.folder / "headworks.yaml")])
        return code, *self.capsys.readouterr()

    def measure(self, *words):
        code, out, err = self.run("cache", "measure", "faq", *words, "--json")
        return code, json.loads(out), err

    @property
    def evidence(self):
        locked = read_lock(self.folder / "headworks.lock").workloads.get("faq")
        return None if locked is None else locked.semantic_cache

    def served(self):
        """What keeps it from being served; "" for nothing."""
        try:
            read_settings(load(self.folder))
        except ConfigError as error:
            return str(error)
        return ""


@pytest.fixture
def faq(tmp_path, capsys):
    return Faq(tmp_path / "faq", capsys)


def test_what_was_never_measured_is_neither_served_nor_passed(faq):
    code, out, err = faq.run("check")

    assert code == 1
    assert "workload.yaml:4:20: problem: cache.semantic" in out + err
    assert "was never measured: `headworks cache measure faq`" in faq.served()


def test_a_set_that_shows_it_switches_it_on(faq):
    code, found, err = faq.measure()

    assert code == 0, (found, err)
    assert (found["cases"], found["hits"], found["false_hits"]) == (2 * len(THINGS), len(THINGS), 0)
    assert found["upper"] < 0.05
    assert (faq.evidence.hits, faq.evidence.upper) == (found["hits"], found["upper"])
    assert "headworks.lock" in err
    assert faq.served() == ""
    assert faq.run("check")[0] == 0
    text = (faq.folder / "headworks.lock").read_text()
    assert faq.measure()[1]["locked"] is False
    assert (faq.folder / "headworks.lock").read_text() == text


def test_a_dry_run_changes_nothing(faq):
    assert faq.measure("--dry-run")[0] == 0
    assert faq.evidence is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda faq: faq.golden(THINGS[:-1]), "the golden set has changed"),
        (lambda faq: faq.contract(CONTRACT.replace("0.8", "0.85")), "`at_least` has changed"),
        (lambda faq: (faq.workload / "evals.yaml").write_text("scorers: [exact]\n"), "evals.yaml has changed"),
        (
            lambda faq: (faq.workload / "prompt.md").write_text("---\nversion: 1.0.0\n---\n{% system %}\nBe kind.\n"),
            "the prompt has changed",
        ),
        (
            lambda faq: faq.contract(CONTRACT.replace("0.8", "0.8, most_false: 0.01")),
            "`most_false` allows 1.0%",
        ),
    ],
)
def test_stale_evidence_refuses(faq, change, words):
    assert faq.measure()[0] == 0
    change(faq)

    assert words in faq.served()
    assert faq.run("check")[0] == 1


def test_false_hits_are_counted_shown_and_lock_nothing(faq):
    wrong = set(THINGS[:6])
    faq.golden(other=lambda thing: "else" if thing in wrong else thing)
    code, found, err = faq.measure()

    assert (code, found["false_pairs"], found["false_hits"], found["is_good"]) == (1, 6, 6, False)
    assert set(found["examples"][0][:2]) <= {f"{thing}-{n}" for thing in wrong for n in (0, 1)}
    assert faq.evidence is None
    assert "at every threshold" in err
    assert "false: " in faq.run("cache", "measure", "faq")[1]


def test_too_few_hits_say_how_many_it_takes(faq):
    faq.golden(THINGS[:10])
    code, found, err = faq.measure()

    assert (code, found["hits"]) == (1, 10)
    assert "it takes 59 hits, none of them false: 59 pairs of golden cases that ask the same, in other words" in err


def test_only_cases_that_decide_are_measured(faq):
    faq.golden(THINGS[:30], split="test")
    lines = (faq.workload / "golden.jsonl").read_text()
    faq.golden(THINGS[30:], split="dev")
    with (faq.workload / "golden.jsonl").open("a") as file:
        file.write(lines)

    assert faq.measure()[1]["cases"] == 60


def test_a_right_answer_in_other_words_is_right_by_the_workloads_own_scorer(faq):
    faq.golden(other=str.upper)
    (faq.workload / "evals.yaml").write_text("scorers: [label]\n")
    assert faq.measure()[1]["false_hits"] == 0
    (faq.workload / "evals.yaml").write_text("scorers: [exact]\n")
    assert faq.measure()[1]["false_hits"] == len(THINGS)


def test_a_variable_is_compared_within_what_the_others_say(faq):
    (faq.workload / "prompt.md").write_text(
        "---\nversion: 1.0.0\nvariables:\n  q: {type: string, trusted: true}\n  plan: {type: string, trusted: true}\n"
        "  n: {type: integer, default: 1}\n---\n{% user %}\n{{ plan }} {{ q }} {{ n }}\n"
    )
    cases = [
        {"id": f"{plan}{n}", "variables": {"q": q, "plan": plan}, "expected": plan}
        for plan in ("free", "pro")
        for n, q in enumerate(("What about the router?", "what about the router please"))
    ]
    (faq.workload / "golden.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    faq.contract(CONTRACT.replace("0.8", "0.8, over: q"))
    found = faq.measure()[1]
    assert (found["pairs"], found["false_pairs"]) == (2, 0)

    for over, words in (("x", "no variable `x`"), ("n", "is no text")):
        faq.contract(CONTRACT.replace("0.8", f"0.8, over: {over}"))
        code, out, err = faq.run("cache", "measure", "faq")
        assert code != 0
        assert words in out + err
        assert words in faq.served()


def test_a_workload_without_a_semantic_cache_says_what_to_write(faq):
    faq.contract("owner: o\ndescription: d\nmodel: nano\n")
    code, out, err = faq.run("cache", "measure", "faq")

    assert code != 0
    assert "has no semantic cache to measure" in out + err


def test_evals_are_never_answered_from_a_cache_and_need_no_evidence(faq):
    faq.golden(THINGS[:2])
    code, out, err = faq.run("eval", "faq", "--repeats", "2", "--json")

    assert code in (0, 1), (out, err)
    arm = json.loads(out)["arms"][0]
    assert arm["invalid"] == 0
    assert arm["served_models"], "a call that a cache answers has no provider"
    assert json.loads(out)["answered"] == 8
