import jsonschema_rs
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headworks.config import load, load_workloads
from headworks.workloads import Answers, check_files, first_files

PROJECT = "providers: {sim: {kind: simulator}}\ntiers: {nano: sim/a, mini: sim/b, flagship: sim/c}\n"
lines = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=60).filter(
    str.strip
)


@given(
    st.builds(
        Answers,
        owner=lines,
        description=lines,
        calls_per_day=st.integers(0, 10**12),
        does_wait=st.booleans(),
        sensitivity=st.sampled_from(["public", "internal", "confidential", "restricted"]),
        is_json=st.booleans(),
        ladder=st.sampled_from([(), ("nano",), ("sim/x", "mini")]),
    )
)
def test_a_new_workload_is_what_was_answered_and_passes_its_check(tmp_path_factory, answers):
    folder = tmp_path_factory.mktemp("project")
    (folder / "headworks.yaml").write_text(PROJECT)
    (folder / "workloads" / "new").mkdir(parents=True)
    for name, text in first_files(answers).items():
        (folder / "workloads" / "new" / name).write_text(text, encoding="utf-8")

    (workload,) = load_workloads(load(folder))

    contract = workload.contract
    assert (contract.owner, contract.description) == (answers.owner, answers.description)
    assert contract.volume.calls_per_day == answers.calls_per_day
    assert contract.urgency == ("interactive" if answers.does_wait else "deferred")
    assert contract.data.sensitivity == answers.sensitivity
    assert (workload.files.schema is not None) is answers.is_json
    assert check_files(workload) == ()


def test_the_contract_is_five_lines_and_hints():
    text = first_files(Answers(owner="support", description="Sort tickets."))["workload.yaml"]

    assert text.split("\n\n")[0].splitlines() == [
        "owner: support",
        "description: Sort tickets.",
        "volume: {calls_per_day: 1000}",
        "urgency: interactive",
        "data: {sensitivity: internal}",
    ]


def test_every_hint_is_valid_once_uncommented(tmp_path):
    hints = [
        line.removeprefix("# ")
        for line in first_files(Answers(owner="a", description="b"))["workload.yaml"].splitlines()
        if line.startswith("# ") and ": " in line and line[2:].split(":")[0].isidentifier()
    ]
    (tmp_path / "headworks.yaml").write_text(PROJECT)
    (tmp_path / "workloads" / "w").mkdir(parents=True)
    (tmp_path / "workloads" / "w" / "workload.yaml").write_text("owner: a\ndescription: b\n" + "\n".join(hints))

    assert len(hints) == 7
    assert load_workloads(load(tmp_path))[0].contract.output.max_tokens == 500


def test_the_prompt_has_front_matter_a_developer_section_and_a_place_for_the_caller():
    text = first_files(Answers(owner="a", description="Count {{ sheep }}, {% if %} any."))["prompt.md"]

    _, front, template = text.split("---\n")
    assert yaml.safe_load(front) == {"version": "1.0.0", "variables": {}}
    assert template.startswith("{% developer %}\nCount { { sheep }}, { % if %} any.\n")
    assert template.rstrip().endswith("{% input %}")


def test_the_schema_is_one_that_strict_mode_takes():
    schema = msgspec.json.decode(first_files(Answers(owner="a", description="b", is_json=True))["schema.json"])

    jsonschema_rs.meta.validate(schema)
    assert schema["required"] == list(schema["properties"])
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("text", ["yes", "a: b", "# no", "'", "- x", "null", "010"])
def test_text_that_yaml_would_take_for_something_else_stays_text(text):
    contract = first_files(Answers(owner=text, description=text))["workload.yaml"]

    assert yaml.safe_load(contract)["owner"] == text
