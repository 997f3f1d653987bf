"""`headworks migrate`: from a model that goes to one that stays, on the simulator. What is said here does not depend on
the day: before gpt-5-nano's last, it goes; after it, it has gone, and the simulator's own still answers."""

import json
import shutil

import pytest

from headworks.config import read_lock

NAME = "invoice-extraction"
OLD = "simulator/gpt-5-nano"


@pytest.fixture
def desk(desk):
    """The support desk with a nano tier that goes; nano and mini are told apart by how good they are."""
    config = desk.folder / "headworks.yaml"
    config.write_text(config.read_text().replace("nano: simulator/gpt-6-luna", f"nano: {OLD}"))
    plan = desk.folder / "simulator.yaml"
    plan.write_text("models:\n  gpt-5-nano: { tier: mini }\n" + plan.read_text())
    return desk


def plan(desk, old, new):
    path = desk.folder / "simulator.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def keep(desk, count):
    """So many of the golden cases."""
    golden = desk.folder / "workloads" / NAME / "golden.jsonl"
    golden.write_text("".join(golden.read_text().splitlines(keepends=True)[:count]))


def migrated(desk, *words):
    code, out, err = desk.run("migrate", NAME, "--json", "--repeats", "1", *words)
    assert err == ""
    found = json.loads(out)
    assert found["exit_code"] == code
    return code, found["workloads"][0]


def test_successors_are_held_against_what_was_captured_and_the_lock_says_which_one_it_is(desk):
    """The incumbent is as good as `mini`: `nano`'s 80 % are worse, and of those that are not the cheapest is taken."""
    code, found = migrated(desk)

    assert code == 0
    assert found["incumbent"]["target"] == OLD
    assert found["incumbent"]["shutdown_on"] == "2026-12-11"
    assert (found["captured"]["cases"], found["captured"]["right"]) == (100, 94)
    tried = {one["name"]: (one["why"], one["verdict"], len(one["lost"])) for one in found["successors"]}
    assert tried == {
        "simulator/gpt-6-luna": ("recommended", "worse", 14),
        "mini": ("rung", "not worse", 0),
        "flagship": ("rung", "not worse", 0),
    }
    assert found["chosen"] == "mini"
    assert '+    model: "mini"' in found["lock_change"]
    assert not (desk.folder / "headworks.lock").exists()
    spent = sum(one["cost_per_month_pico_usd"] for one in found["successors"])
    assert spent > 0

    code, written = migrated(desk, "--write", "--to", "mini")
    locked = read_lock(desk.folder / "headworks.lock").workloads[NAME]
    assert (code, written["written"], locked.model) == (0, True, "mini")
    assert locked.served_model.startswith("gpt-6.1-terra")
    assert locked.evidence["migrated_from"] == {"model": OLD, "run": found["captured"]["run"]}
    assert written["captured"]["spent_pico_usd"] == 0
    assert written["successors"][0]["new"]["bill"]["cached"] == 100  # nothing was paid for twice

    (desk.folder / "headworks.lock").unlink()
    code, out, _ = desk.run("migrate", NAME, "--repeats", "1", "--to", "simulator/gpt-6-luna")
    assert code == 1
    assert "captured: 100 cases, 94.0 % right" in out
    assert "the contract is kept in 80.0 % of answers, for 94.0 %" in out
    assert "breaks invoice-" in out
    assert "None of them can be taken yet" in out


def test_the_incumbent_can_be_captured_alone_and_is_enough_when_it_is_gone(desk):
    """After it is gone nobody can ask it again: not with another prompt, either."""
    keep(desk, 30)
    code, out, err = desk.run("migrate", "--capture", "--repeats", "1")
    assert (code, err) == (0, "")
    assert f"nano ({OLD})" in out
    assert "captured: 50 cases" in out
    assert "captured: 30 cases" in out

    plan(desk, "gpt-5-nano: { tier: mini }", "gpt-5-nano: { tier: mini, shutdown_date: '2026-01-01' }")
    prompt = desk.folder / "workloads" / NAME / "prompt.md"
    prompt.write_text(prompt.read_text().replace("{% input %}", "Be exact.\n{% input %}"))
    code, found = migrated(desk, "--to", "mini", "--margin", "0.3")
    assert code == 0
    assert found["captured"]["is_of_another_prompt"]
    assert found["chosen"] == "mini"

    shutil.rmtree(desk.folder / ".headworks")
    code, found = migrated(desk)
    assert (code, found["chosen"]) == (1, None)
    assert "no answers of it were kept" in found["why_not"]


def test_a_cap_stops_it_and_the_same_command_goes_on(desk):
    keep(desk, 20)
    code, found = migrated(desk, "--cap", "0.0001", "--to", "mini", "--margin", "0.4")
    assert code == 3
    assert "the cap was reached" in found["why_not"]

    code, found = migrated(desk, "--to", "mini", "--margin", "0.4")
    assert (code, found["chosen"]) == (0, "mini")


def test_where_no_model_goes_nothing_is_run(desk):
    config = desk.folder / "headworks.yaml"
    config.write_text(config.read_text().replace(f"nano: {OLD}", "nano: simulator/gpt-6-luna"))

    code, out, _ = desk.run("migrate")
    assert code == 0
    assert "No workload's model is shut down" in out
    assert not (desk.folder / ".headworks" / "evals").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("assistant",), "has no golden set"),
        ((NAME, "--to", "gpt-9"), "`gpt-9` is no model of this project"),
    ],
)
def test_what_cannot_be_done_is_said(desk, words, said):
    code, _, err = desk.run("migrate", *words, "--repeats", "1")
    assert code == 1
    assert said in err


def test_to_capture_and_to_write_is_wrong_usage(desk):
    code, _, err = desk.run("migrate", NAME, "--capture", "--write")
    assert (code, "leave --to and --write out" in err) == (2, True)


def test_a_workload_without_a_golden_set_is_named_and_the_others_go_on(desk):
    (desk.folder / "workloads" / NAME / "golden.jsonl").unlink()
    code, out, err = desk.run("migrate", "--capture", "--repeats", "1")

    assert code == 1
    assert "invoice-extraction: its model goes, and it has no golden set" in err
    assert "ticket-triage" in out
