"""The example project holds together: contracts, golden sets, schemas, and what the simulator says."""

import importlib.util
import json
from pathlib import Path

import jsonschema_rs
import pytest

from headworks.config import Examination, examine_workloads, load, load_workloads
from headworks.exchange import Request
from headworks.simulator import Simulator, load_plan
from headworks.workloads import check_files, derive, read_facts, steps_of

DESK = Path(__file__).parents[2] / "examples" / "support-desk"
SETS = {"ticket-triage": ("ticket", 50), "invoice-extraction": ("invoice", 100)}


@pytest.fixture(scope="module")
def workloads():
    return {workload.name: workload for workload in load_workloads(load(DESK))}


def cases(name):
    return [json.loads(line) for line in (DESK / "workloads" / name / "golden.jsonl").read_text().splitlines()]


def test_every_contract_and_file_passes(workloads):
    assert sorted(workloads) == ["assistant", "invoice-extraction", "ticket-triage"]
    assert examine_workloads(tuple(workloads.values()), (check_files,)) == Examination()


def test_every_workload_has_steps_and_a_plan(workloads):
    project = load(DESK)
    for workload in workloads.values():
        facts = read_facts(project, workload)
        assert steps_of(workload, facts)
        assert derive(workload, facts).questions


@pytest.mark.parametrize("name", SETS)
def test_golden_answers_satisfy_the_schema(name):
    schema = json.loads((DESK / "workloads" / name / "schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)

    assert len(cases(name)) == SETS[name][1]
    assert [case["id"] for case in cases(name) if not validator.is_valid(case["expected"])] == []


def test_invoices_add_up_and_vary():
    golden = cases("invoice-extraction")
    for case in golden:
        expected = case["expected"]
        assert round(sum(line["amount"] for line in expected["lines"]), 2) == expected["net"]
        assert round(expected["net"] + expected["tax"], 2) == expected["total"]
        assert all(round(line["quantity"] * line["unit_price"], 2) == line["amount"] for line in expected["lines"])
    assert {tag for case in golden for tag in case["tags"]} == {
        "EUR", "USD", "GBP", "CHF", "SEK", "JPY", "table", "letter", "slip", "scan", "no-due-date",
    }  # fmt: skip
    assert len({case["variables"]["invoice"] for case in golden}) == 100


def test_the_generator_writes_what_is_there():
    specification = importlib.util.spec_from_file_location("make_golden", DESK / "make_golden.py")
    generator = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generator)

    assert [path.name for path, text in generator.files().items() if path.read_text("utf-8") != text] == []


@pytest.mark.parametrize(("name", "model", "right"), [
    ("ticket-triage", "gpt-6-luna", 46),
    ("ticket-triage", "gpt-6.1-sol", 50),
    ("invoice-extraction", "gpt-6-luna", 80),
    ("invoice-extraction", "gpt-6.1-terra", 94),
])  # fmt: skip
def test_each_tier_is_right_on_its_share_of_the_golden_set(name, model, right):
    simulator = Simulator(load_plan(DESK / "simulator.yaml"), now=lambda: 1_795_000_000.0)
    schema = json.loads((DESK / "workloads" / name / "schema.json").read_text())
    variable = SETS[name][0]

    count = 0
    for case in cases(name):
        body = {
            "model": model,
            "input": f"Before it.\n{case['variables'][variable]}\nAfter it.",
            "text": {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": schema}},
        }
        script = simulator.answer(
            Request("POST", "/v1/responses", headers={b"authorization": b"Bearer any"}, body=json.dumps(body).encode())
        )
        answer = json.loads(b"".join(beat.data for beat in script.beats))
        assert script.status == 200, answer
        (text,) = [part["text"] for item in answer["output"] for part in item.get("content") or () if "text" in part]
        count += json.loads(text) == case["expected"]

    assert count == right
