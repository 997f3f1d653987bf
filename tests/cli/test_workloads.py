import json
import sys

import pytest

from headworks.cli import main

PROJECT = (
    "providers: {sim: {kind: simulator}}\nmodels: {fast: sim/gpt-6-luna}\n"
    "tiers: {nano: sim/gpt-6-luna, mini: sim/gpt-6.1-terra, flagship: sim/gpt-6.1-sol}\n"
)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "headworks.yaml"
    file.write_text(PROJECT)
    return file


@pytest.fixture
def run(file, capsys):
    """Runs a command; gives its exit code, output and errors."""

    def do(*words):
        code = main([*words, "--config", str(file)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return do


@pytest.fixture
def new(run):
    return lambda *flags: run("workloads", "new", "triage", "--owner", "support", "--description", "Sort.", *flags)


def test_a_new_workload_is_written_and_passes_the_check(new, run, file):
    code, out, _ = new("--json-output", "--calls-per-day", "12", "--deferred", "--sensitivity", "restricted")

    folder = file.parent / "workloads" / "triage"
    assert code == 0
    assert out.splitlines()[:3] == [f"wrote {folder / name}" for name in ("workload.yaml", "prompt.md", "schema.json")]
    assert run("check")[:2] == (0, run("check")[1])
    assert "  workload    triage: Sort." in run("check")[1].splitlines()


def test_what_is_there_is_never_overwritten(new, file):
    folder = file.parent / "workloads" / "triage"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")

    code, _, err = new()

    assert (code, sorted(path.name for path in folder.iterdir())) == (1, ["notes.txt"])
    assert "is there already, and is left as it is; nothing was written" in err


def test_a_name_that_means_a_model_writes_nothing(run, file):
    code, _, err = run("workloads", "new", "fast", "--owner", "a", "--description", "b")

    assert code == 1
    assert "the name `fast` means a model already" in err
    assert not (file.parent / "workloads").exists()


def test_a_script_must_say_what_cannot_be_assumed(run):
    _, _, err = run("workloads", "new", "triage")
    assert err == "headworks workloads: give --owner and --description: nobody is here to be asked\n"
    code, _, err = run("workloads", "new", "triage", "--owner", "a")

    assert (code, err) == (2, "headworks workloads: give --description: nobody is here to be asked\n")


@pytest.mark.parametrize("flags", [["Triage"], ["triage", "--calls-per-day", "many"], ["triage", "--owner", "a\nb"]])
def test_a_flag_that_is_none_is_wrong_usage(run, flags):
    with pytest.raises(SystemExit) as ended:
        run("workloads", "new", *flags)

    assert ended.value.code == 2


def test_a_person_at_a_terminal_is_asked_for_what_was_not_given(run, file, monkeypatch):
    answers = iter(["support", " ", "Sort tickets.", "x", "", "soon", "y", "secret", "public", "n"])
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(answers))

    code, _, _ = run("workloads", "new", "triage")

    text = (file.parent / "workloads" / "triage" / "workload.yaml").read_text()
    assert code == 0
    assert text.split("\n\n")[0].splitlines() == [
        "owner: support",
        "description: Sort tickets.",
        "volume: {calls_per_day: 1000}",
        "urgency: deferred",
        "data: {sensitivity: public}",
    ]
    assert len(asked) == 10


@pytest.mark.parametrize(
    ("project", "ladder"),
    [
        ("providers: {sim: {kind: simulator}}\nmodels: {fast: sim/gpt-6-luna}\n", "ladder: [fast]"),
        ("providers: {sim: {kind: simulator}}\ntiers: {mini: sim/a}\n", "ladder: [mini]"),
    ],
)
def test_a_project_without_all_tiers_gets_a_ladder_of_what_it_has(new, file, project, ladder):
    file.write_text(project)

    assert new()[0] == 0
    assert ladder in (file.parent / "workloads" / "triage" / "workload.yaml").read_text().splitlines()


def test_a_project_without_any_name_is_told_to_give_one(new, file):
    file.write_text("providers: {sim: {kind: simulator}}\n")

    assert "bind `tiers` in headworks.yaml" in new()[2]


def test_workloads_are_listed(new, run):
    assert run("workloads", "list")[:2] == (0, "")
    new()

    _, out, _ = run("workloads", "list")
    _, lines, _ = run("workloads", "list", "--json")

    assert out.splitlines()[1].split() == [
        "triage", "support", "nano", "->", "mini", "->", "flagship", "1,000", "prompt", "Sort.",
    ]  # fmt: skip
    shown = json.loads(lines)
    assert (shown["name"], shown["contract"]["owner"], list(shown["files"])) == ("triage", "support", ["prompt"])


def test_steps_are_explained(new, run):
    new()

    _, out, _ = run("workloads", "explain", "triage")
    _, text, _ = run("workloads", "explain", "triage", "--json")

    assert out.splitlines()[0].split() == ["STEP", "COST", "WHY"]
    assert out.splitlines()[-1].startswith("about 27 us of the gateway's own time a call")
    assert [step["name"] for step in json.loads(text)["steps"]][3] == "render prompt"


def test_an_unknown_name_is_told_which_there_are(new, run):
    assert "there is none yet; `headworks workloads new NAME` makes one" in run("workloads", "explain", "x")[2]
    new()

    assert run("workloads", "explain", "x")[2] == "headworks workloads: no workload is called `x`; there are: triage\n"


def test_problems_of_contracts_and_their_files_fail_the_check(new, run, file):
    new()
    folder = file.parent / "workloads" / "triage"
    (folder / "golden.jsonl").write_text("{}\n")

    code, _, err = run("check")
    assert code == 1
    assert f"{folder / 'golden.jsonl'}:1:1: problem: expected an `id`" in err

    (folder / "workload.yaml").write_text("owner: a\n")
    code, out, _ = run("check", "--json")
    assert code == 1
    assert [problem["message"] for problem in json.loads(out)["problems"]] == ["description: is missing"]


def test_the_schema_of_contracts_is_printed(capsys):
    assert main(["check", "--schema", "workload"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "workload.yaml"
