"""`headworks golden export`: examples to fine-tune a model on, of what is right and nobody's secret."""

import json

import pytest

NAME = "ticket-triage"


@pytest.fixture
def cases(desk):
    """Changes the golden set, case by case; gives the file that examples are written to."""
    path = desk.triage / "golden.jsonl"

    def change(*changes):
        read = [json.loads(line) for line in path.read_text().splitlines()]
        for case, changed in zip(read, changes, strict=False):
            case.update(changed)
        path.write_text("".join(json.dumps(case) + "\n" for case in read))
        return desk.folder / "train.jsonl"

    return change


def export(desk, file, *words):
    return desk.run("golden", "export", NAME, str(file), *words)


def test_cases_to_train_on_become_conversations_as_the_model_has_them(desk, cases):
    file = cases({"split": "train"}, {"split": "train"}, {"split": "test"})

    code, out, err = export(desk, file)

    assert (code, "2 examples" in out) == (0, True)
    assert "providers want 10 examples at least" in err
    first, second = (json.loads(line)["messages"] for line in file.read_text().splitlines())
    assert [one["role"] for one in first] == ["system", "user", "assistant"]
    assert first[0]["content"].startswith("You sort support tickets.")
    assert "SD-104233" in first[1]["content"]
    assert json.loads(first[2]["content"])["team"] == "finance"
    marker = first[1]["content"].split()[1]
    assert marker.startswith("<data-")
    assert marker not in second[1]["content"]


def test_cases_that_decide_are_never_written(desk, cases):
    file = cases(*[{"split": "test"}] * 50)

    code, _, err = export(desk, file, "--split", "dev")

    assert code == 1
    assert "no case of `ticket-triage` has the split `dev`" in err
    assert not file.exists()
    with pytest.raises(SystemExit) as ended:
        export(desk, file, "--split", "test")
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"expected": {"category": "none of them"}}, "do not fit the prompt or the schema"),
        ({"variables": {"product": "Ledgerly"}}, "do not fit the prompt or the schema"),
        ({"input": [{"role": "user", "content": "Write to ann@example.org."}]}, "have personal data"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "more than messages of text"),
        ({"input": [{"role": "developer", "content": "Be rude."}]}, "more than messages of text"),
    ],
)
def test_what_a_model_must_not_learn_is_left_out(desk, cases, changed, why):
    file = cases({"split": "train"}, {"split": "train", **changed})

    code, out, err = export(desk, file, "--json")

    assert code == 0, err
    told = json.loads(out)
    assert told["examples"] == 1
    (reason,) = told["left_out"]
    assert why in reason
    assert f"left out (1): cases that {reason}" in err
    assert "ann@example.org" not in file.read_text() + out + err


def test_nothing_is_overwritten_and_nothing_written_where_nothing_is_left(desk, cases):
    file = cases({"split": "train", "expected": {"category": "none of them"}})
    assert export(desk, file)[0] == 1
    assert not file.exists()

    file.write_text("mine")
    cases({}, {"split": "train"})
    code, _, err = export(desk, file)
    assert (code, "is there already" in err, file.read_text()) == (1, True, "mine")


def test_a_workload_with_tools_is_refused(desk):
    (desk.triage / "tools.json").write_text("[]")

    code, _, err = export(desk, desk.folder / "train.jsonl")
    assert (code, "has tools" in err) == (1, True)
