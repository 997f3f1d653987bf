import msgspec
import pytest

from headworks.config import json_schema, json_schema_text, workload_schema, workload_schema_text

jsonschema_rs = pytest.importorskip("jsonschema_rs")

SIMULATOR = {"sim": {"kind": "simulator"}}


@pytest.fixture(scope="module")
def schema():
    return jsonschema_rs.validator_for(json_schema())


def test_the_schema_is_itself_valid():
    jsonschema_rs.meta.validate(json_schema())


def test_the_published_text_is_the_schema():
    assert msgspec.json.decode(json_schema_text()) == json_schema()
    assert json_schema_text().endswith("}\n")


@pytest.mark.parametrize(
    "config",
    [
        {"providers": SIMULATOR},
        {"providers": SIMULATOR, "models": {"fast": "sim/x"}},
        {"providers": SIMULATOR, "models": {"fast": {"provider": "sim", "model": "x"}}},
        {"providers": {"a": {"kind": "openai", "api_key": "env:KEY", "timeouts": {"total_s": 3}}}},
    ],
)
def test_an_editor_accepts_what_is_right(schema, config):
    assert schema.is_valid(config)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"providers": {}},
        {"providers": SIMULATOR, "sever": {}},
        {"providers": {"a": {"kind": "opnai"}}},
        {"providers": {"A": {"kind": "simulator"}}},
        {"providers": {"a": {"kind": "openai", "api_key": "sk-1"}}},
        {"providers": SIMULATOR, "server": {"port": 70_000}},
        {"providers": SIMULATOR, "server": {"port": "80"}},
        {"providers": SIMULATOR, "models": {"fast": "sim"}},
    ],
)
def test_an_editor_marks_what_is_wrong(schema, config):
    assert not schema.is_valid(config)


def test_every_field_says_what_it_means():
    definitions = json_schema()["$defs"]
    properties = [json_schema()["properties"], *(d.get("properties", {}) for d in definitions.values())]

    assert all(field.get("description") for fields in properties for field in fields.values())


OWNED = {"owner": "support", "description": "Sort tickets."}


@pytest.fixture(scope="module")
def contract_schema():
    jsonschema_rs.meta.validate(workload_schema())
    return jsonschema_rs.validator_for(msgspec.json.decode(workload_schema_text()))


@pytest.mark.parametrize(
    "contract",
    [
        OWNED,
        {**OWNED, "latency": {"total_s": 3}, "actions": {"refund": {"policy": "deny"}}, "fallback": ["deterministic"]},
        {**OWNED, "output": {"max_tokens": 5, "temperature": 0}, "canary": {"version": "1.1.0"}},
    ],
)
def test_an_editor_accepts_a_contract_that_is_right(contract_schema, contract):
    assert contract_schema.is_valid(contract)


@pytest.mark.parametrize(
    "contract",
    [
        {},
        {**OWNED, "ladder": []},
        {**OWNED, "urgncy": "deferred"},
        {**OWNED, "output": {"max_tokens": 0}},
        {**OWNED, "actions": {"a b": {}}},
    ],
)
def test_an_editor_marks_what_is_wrong_in_a_contract(contract_schema, contract):
    assert not contract_schema.is_valid(contract)


def test_every_field_of_a_contract_says_what_it_means():
    schema = workload_schema()
    properties = [schema["properties"], *(d.get("properties", {}) for d in schema["$defs"].values())]

    assert all(field.get("description") for fields in properties for field in fields.values())
