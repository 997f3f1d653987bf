"""`headworks workloads reproduce`: code that says the same of the same passes, and whatever else shows."""

import json

import pytest

from headworks.cli import main

PROJECT = "providers: {sim: {kind: simulator}}\nmodels: {fast: sim/gpt-6-luna}\n"
CONTRACT = """owner: o
description: d
ladder: [fast]
first: deterministic
validation: {rules_timeout_s: 20}
"""
SCHEMA = {
    "type": "object",
    "properties": {"of": {"type": "string"}, "words": {"type": "array", "items": {"type": "string"}}},
    "required": ["of", "words"],
    "additionalProperties": False,
}
CASES = ["a b c", "leave it", "d e f g"]


@pytest.fixture
def reproduce(tmp_path, capsys):
    """Runs the command on code that makes `words` of what was asked; gives its exit code, output and errors."""
    folder = tmp_path / "workloads" / "words"
    folder.mkdir(parents=True)
    (tmp_path / "headworks.yaml").write_text(PROJECT)
    (folder / "workload.yaml").write_text(CONTRACT)
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    golden = [json.dumps({"id": str(number), "input": text}) for number, text in enumerate(CASES)]
    (folder / "golden.jsonl").write_text("\n".join(golden) + "\n")

    def do(words, *flags, before=""):
        head = f"{before}\n\ndef answer(asked, context):\n    if asked.startswith('leave'):\n        return None\n"
        (folder / "first.py").write_text(f"{head}    return {{'of': context['workload'], 'words': {words}}}\n")
        code = main(["workloads", "reproduce", "words", *flags, "--config", str(tmp_path / "headworks.yaml")])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    do.folder = folder
    return do


def test_code_that_is_a_function_of_the_call_passes(reproduce):
    assert reproduce("sorted(set(asked.split()))") == (
        0,
        "3 cases, each 3 times: 2 answered by code and the same each time, 1 left to the model, 0 not reproduced\n",
        "",
    )


@pytest.mark.parametrize(
    ("words", "before"),
    [
        ("list({f'word {number}' for number in range(40)})", ""),
        ("[str(time.time_ns())]", "import time"),
        ("[str(random.random())]", "import random"),
        ("seen.append(asked) or list(seen)", "seen = []"),
        ("[str(os.getpid())]", "import os"),
    ],
    ids=["the order of a set", "the clock", "chance", "the call before", "the process"],
)
def test_what_depends_on_more_than_the_call_shows(reproduce, words, before):
    code, out, _ = reproduce(words, before=before)

    assert code == 1
    assert "0: differs at character " in out
    assert out.endswith("0 answered by code and the same each time, 1 left to the model, 2 not reproduced\n")


def test_an_answer_that_breaks_the_schema_or_fails_is_told_without_the_text(reproduce):
    code, out, _ = reproduce("[7] if 'a' in asked else 1 / 0")

    assert code == 1
    assert out.splitlines()[:2] == [
        "0: breaks the schema at /words/0",
        "2: raised ZeroDivisionError in line 6",
    ]


def test_machines_get_a_line_a_case(reproduce):
    code, out, _ = reproduce("asked.split()", "--json", "--times", "2")

    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["case"], line["same"], len(line["said"])) for line in lines] == [
        ("0", True, 1),
        ("1", True, 0),
        ("2", True, 1),
    ]


def test_what_is_missing_is_named(reproduce):
    (reproduce.folder / "golden.jsonl").unlink()
    assert "has no golden set" in reproduce("[]")[2]

    (reproduce.folder / "workload.yaml").write_text(CONTRACT.replace("first: deterministic\n", ""))
    (reproduce.folder / "first.py").unlink()
    code = main(["workloads", "reproduce", "words", "--config", str(reproduce.folder.parents[1] / "headworks.yaml")])
    assert code == 1


def test_once_is_no_proof(reproduce):
    with pytest.raises(SystemExit):
        reproduce("[]", "--times", "1")
