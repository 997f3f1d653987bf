import json
import re

import pytest

import headworks
from headworks.cli.golden import CANDIDATES_FILE

NAME = "ticket-triage"


@pytest.fixture
def golden(desk):
    """Runs `headworks golden`."""
    return lambda *words: desk.run("golden", *words)


def test_the_examples_golden_sets_have_nothing_of_weight(golden):
    code, out, _ = golden("lint")

    assert code == 0
    assert "problem" not in out


def test_findings_are_named_with_file_and_line(golden, desk):
    path = desk.triage / "golden.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    with path.open("a") as opened:
        opened.write(json.dumps({**first, "id": "again"}) + "\n")

    code, out, _ = golden("lint", NAME)
    assert code == 1
    assert f"workloads/{NAME}/golden.jsonl:51: problem: asks the same as line 1 (`ticket-01`)" in out
    shown = [json.loads(line) for line in golden("lint", NAME, "--json")[1].splitlines()]
    assert ("duplicate", 51, True) in [(one["rule"], one["line"], one["weighs"]) for one in shown]


def test_a_set_that_is_too_small_for_its_bar_says_so(golden, desk):
    desk.edit("workload.yaml", "bar: 0.9 ", "bar: 0.95 ")

    code, out, _ = golden("lint", NAME)
    assert code == 1
    assert "this set has 50 cases and cannot defend a bar of 0.95; it needs n >= 72" in out
    assert "50 independent cases that decide are too few to choose among 3 rungs" in out


def test_a_set_that_select_refuses_is_remarked_on_with_the_number_that_select_says(golden, desk):
    code, out, _ = golden("lint", NAME)
    assert code == 0
    needed = re.search(
        r"50 independent cases .* bar of 0\.90 .* among 3 rungs: `headworks select` takes about (\d+)", out
    )
    assert needed
    assert f"It takes about {needed[1]} cases" in desk.run("select", NAME)[2]
    assert json.loads(golden("stats", NAME, "--json")[1])["needed_to_select"] == int(needed[1])

    desk.edit("workload.yaml", "ladder: [nano, mini, flagship]", "ladder: [nano]")
    assert "`headworks select`" not in golden("lint", NAME)[1]


def test_cases_that_can_never_be_right_are_named(golden, desk):
    path = desk.triage / "golden.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    wrong = {**first, "expected": {**first["expected"], "category": "none of them"}}
    with path.open("a") as opened:
        opened.writelines(json.dumps({**wrong, "id": f"wrong-{number}"}) + "\n" for number in range(3))

    out = golden("lint", NAME)[1]
    told = [line for line in out.splitlines() if "breaks the schema: /category" in line]
    assert [line.split(":")[1] for line in told] == ["51", "52", "53"]
    warned = desk.run("check")[2]
    assert warned.count("breaks the schema") == 1
    assert "(and 2 more)" in warned


def test_what_is_wrong_with_every_case_is_told_five_times_and_counted(golden, desk):
    desk.edit("golden.jsonl", '"variables": {"product"', '"variables": {"produkt"')

    out = golden("lint", NAME)[1]
    assert out.count("(unfit)") == 6
    assert f"and 45 more of {NAME} (unfit); --json has them" in out
    assert golden("lint", NAME, "--json")[1].count('"unfit"') == 50


def test_where_there_is_no_golden_set_there_is_nothing_that_could_be_good(golden, desk):
    for name in (NAME, "invoice-extraction"):
        (desk.folder / "workloads" / name / "golden.jsonl").unlink()

    code, out, err = golden("lint")
    assert (code, out) == (0, "")
    assert "no workload has a golden set yet; `headworks golden import WORKLOAD FILE --from csv` makes one" in err


def test_a_set_that_is_large_enough_says_how_many_cases_would_have_done(golden, desk):
    desk.edit("workload.yaml", "bar: 0.9 ", "bar: 0.6 ")
    assert 5 < json.loads(golden("stats", NAME, "--json")[1])["needed_to_select"] < 50


def test_a_broken_set_is_named_by_line(golden, desk):
    (desk.triage / "golden.jsonl").write_text("{\n")

    code, _, err = golden("lint", NAME)
    assert code == 1
    assert "golden.jsonl:1:1: expected a JSON object" in err


def test_a_set_is_counted(golden):
    out = golden("stats", NAME)[1]
    found = json.loads(golden("stats", NAME, "--json")[1])

    assert "needed for a bar of 0.90  36" in out
    assert (found["cases"], found["splits"], found["labels"]["urgency"]["1"]) == (50, {"dev": 50}, 19)


def test_cases_are_imported_and_those_known_left_out(golden, desk, tmp_path):
    table = tmp_path / "more.csv"
    table.write_text('ticket,product,plan,expected\nHi there,Ledgerly,pro,"{""category"": ""other""}"\n')

    code, out, _ = golden("import", NAME, str(table), "--from", "csv")
    assert code == 0
    assert out.startswith("1 cases added to ")
    assert "1 were there already" in golden("import", NAME, str(table), "--from", "csv")[1]
    assert f"Next: headworks golden lint {NAME}" in out
    table.write_text(table.read_text().replace("other", "billing"))
    err = golden("import", NAME, str(table), "--from", "csv")[2]
    assert "1 of those that were there already expect something else in more.csv: the set was left as it is" in err
    case = json.loads((desk.triage / "golden.jsonl").read_text().splitlines()[-1])
    assert case["variables"] == {"ticket": "Hi there", "product": "Ledgerly", "plan": "pro"}
    assert case["expected"] == {"category": "other"}


def test_an_import_makes_a_golden_set_where_there_is_none(golden, desk, tmp_path):
    samples = tmp_path / "samples.jsonl"
    samples.write_text('{"input": "Where is my order?", "ideal": "Which order?"}\n')

    assert golden("import", "assistant", str(samples), "--from", "openai-evals")[0] == 0
    assert (desk.folder / "workloads" / "assistant" / "golden.jsonl").exists()
    assert golden("stats", "assistant")[0] == 0


def test_a_promptfoo_configuration_says_which_scorer_fits(golden, tmp_path):
    config = tmp_path / "promptfooconfig.yaml"
    config.write_text("tests:\n  - vars: {ticket: Hi}\n    assert: [{type: icontains, value: hello}]\n")

    code, _, err = golden("import", NAME, str(config), "--from", "promptfoo", "--prefix", "pf")
    assert code == 0
    assert "such cases are scored with `scorers: [regex]`" in err


def test_good_calls_become_candidates_and_those_a_person_has_reviewed_cases(golden, desk):
    variables = {"product": "Ledgerly", "plan": "pro", "ticket": "My e-mail is jo@example.com, I was charged twice."}
    with headworks.connect(desk.folder) as gateway, gateway.openai() as client:
        ids = [
            client.responses.with_raw_response.create(
                model=NAME, prompt={"id": NAME, "variables": {**variables, "ticket": f"{variables['ticket']} {n}"}}
            ).headers["x-headworks-call-id"]
            for n in range(3)
        ]
    assert golden("import", NAME, "--from", "calls")[2].endswith("the outcome that says that an answer was good\n")
    code, _, err = golden("import", NAME, "--from", "calls", "--outcome", "accepted")
    assert code == 1
    assert "has a good outcome `accepted`" in err
    right = {"category": "billing", "urgency": 2, "team": "finance", "order": None, "summary": "Charged twice"}
    assert desk.run("outcomes", "report", ids[0], "accepted=true")[0] == 0
    assert desk.run("outcomes", "report", ids[1], f"accepted={json.dumps(right)}", "--kind", "demonstration")[0] == 0

    code, out, err = golden("import", NAME, "--from", "calls", "--outcome", "accepted")
    assert (code, err) == (0, "")
    assert out.startswith("2 candidates in ")
    path = desk.triage / CANDIDATES_FILE
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert "jo@example.com" not in path.read_text()
    assert {line["id"] for line in lines} == set(ids[:2])
    assert [line["expected"] for line in lines if line["id"] == ids[1]] == [right]
    assert all(line["reviewed"] is False and line["input"] == [] for line in lines)
    assert golden("import", NAME, str(path), "--from", "candidates")[0] == 1
    path.write_text(path.read_text().replace('"reviewed":false', '"reviewed":true'))
    assert golden("import", NAME, str(path), "--from", "candidates")[1].startswith("2 cases added")
    assert golden("import", NAME, "--from", "calls", "--outcome", "accepted")[2].endswith("remove it first\n")


def test_calls_whose_content_is_kept_as_it_was_are_refused(golden, desk):
    desk.edit("workload.yaml", "content: redacted", "content: full")
    with headworks.connect(desk.folder) as gateway, gateway.openai() as client:
        answer = client.responses.with_raw_response.create(
            model=NAME, prompt={"id": NAME, "variables": {"product": "L", "plan": "pro", "ticket": "Hi"}}
        )
    assert desk.run("outcomes", "report", answer.headers["x-headworks-call-id"], "accepted=true")[0] == 0

    code, _, err = golden("import", NAME, "--from", "calls", "--outcome", "accepted")
    assert code == 1
    assert "a golden set may hold no personal data" in err
