"""What a golden set's split binds: which cases commands ask."""

import json

import pytest

NAME = "ticket-triage"


@pytest.fixture
def divided(desk):
    """Of twelve cases six decide, three are examples, and three are for work on the prompt."""
    path = desk.folder / "workloads" / NAME / "golden.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()[:12]]
    for number, case in enumerate(lines):
        case["split"] = "test" if number < 6 else "train" if number < 9 else "dev"
    path.write_text("".join(json.dumps(case) + "\n" for case in lines))
    return desk


def asked(out):
    return json.loads(out)["manifest"]["split"], json.loads(out)["answered"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [((), ("test", 6)), (("--split", "train"), ("train", 3))],
)
def test_an_eval_asks_what_decides_unless_another_part_is_wanted(divided, words, expected):
    _, out, err = divided.run("eval", NAME, *words, "--json")

    assert asked(out) == expected, err


def test_all_cases_are_asked_where_that_is_said_and_a_report_says_which_part_it_is(divided):
    found = json.loads(divided.run("eval", NAME, "--split", "all", "--json")[1])
    assert (found["manifest"].get("split", ""), found["answered"]) == ("", 12)
    out = divided.run("eval", NAME, "--split", "dev")[1]

    assert "3 cases of the split `dev`: for work on the prompt, where others decide" in out


def test_a_run_of_a_part_is_gone_on_with_as_it_is(divided):
    _, out, _ = divided.run("eval", NAME, "--split", "dev", "--cap", "0.000001", "--json")
    run = json.loads(out)["manifest"]["run"]
    code, _, err = divided.run("eval", NAME, "--resume", run, "--split", "test")
    assert (code, "leave --split out" in err) == (2, True)
    _, out, _ = divided.run("eval", NAME, "--resume", run, "--json")

    assert asked(out) == ("dev", 3)


def test_what_is_compared_is_what_decides(divided):
    code, _, err = divided.run("eval", "--changed", NAME, "--split", "dev")
    assert (code, "--split belongs to a run" in err) == (2, True)


def test_select_decides_by_test_cases_alone_and_says_so(divided):
    contract = divided.folder / "workloads" / NAME / "workload.yaml"
    contract.write_text(contract.read_text().replace("bar: 0.9", "bar: 0.5"))
    code, out, err = divided.run("select", NAME, "--dry-run", "--underpowered")

    assert code == 0, err
    assert "6 cases of `test`" in out


def test_new_cases_are_given_their_split(divided, tmp_path):
    table = tmp_path / "cases.csv"
    table.write_text("input,expected,id\nHow are you?,fine,new-1\n")
    code, _, err = divided.run("golden", "import", NAME, str(table), "--from", "csv", "--split", "test")

    assert code == 0, err
    last = (divided.folder / "workloads" / NAME / "golden.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["split"] == "test"
    code, _, err = divided.run("golden", "import", NAME, "--from", "calls", "--outcome", "x", "--split", "dev")
    assert (code, "read by a person first" in err) == (2, True)


def test_an_example_of_the_prompt_that_decides_is_found(divided):
    path = divided.folder / "workloads" / NAME
    case = json.loads((path / "golden.jsonl").read_text().splitlines()[0])
    prompt = path / "prompt.md"
    prompt.write_text(prompt.read_text().replace("{% user %}", f"Example: {case['variables']['ticket']}\n{{% user %}}"))
    code, out, _ = divided.run("golden", "lint", NAME)

    assert code == 1
    assert "stands in the prompt" in out
    assert "(shown)" in out
