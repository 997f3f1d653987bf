"""The official JSON Schema Test Suite against our wrapper: data in `json_schema_suite/`, see its README."""

import json
from pathlib import Path

import pytest

from headworks.errors import ConfigError
from headworks.screening import OutputSchema

SUITE = Path(__file__).parent.parent / "json_schema_suite" / "draft2020-12"

# What the suite's own server holds under http://localhost:1234, and we refuse to fetch, on purpose.
REMOTE_FILES = frozenset({"refRemote"})
REMOTE_GROUPS = frozenset(
    {
        "strict-tree schema, guards against misspelled properties",
        "tests for implementation dynamic anchor and reference link",
        "$ref and $dynamicAnchor are independent of order - $defs first",
        "$ref and $dynamicAnchor are independent of order - $ref first",
        "$ref to $dynamicRef finds detached $dynamicAnchor",
        "schema that uses custom metaschema with with no validation vocabulary",
        "ignore unrecognized optional vocabulary",
    }
)


def _groups(folder):
    return list(_each_group(folder))


def _each_group(folder):
    for path in sorted(folder.glob("*.json")):
        for group in json.loads(path.read_text()):
            yield pytest.param(path.stem, group, id=f"{path.stem}-{group['description']}")


def _is_remote(file, group):
    return file in REMOTE_FILES or group["description"] in REMOTE_GROUPS


@pytest.mark.parametrize(("file", "group"), _groups(SUITE))
def test_a_required_case_is_judged_as_the_suite_says(file, group):
    text = json.dumps(group["schema"]).encode()
    if _is_remote(file, group):
        with pytest.raises(ConfigError):
            OutputSchema.compile(text, name="suite", asserts_formats=False)
        pytest.skip("refers to another document, and is refused")
    schema = OutputSchema.compile(text, name="suite", asserts_formats=False)

    for case in group["tests"]:
        fault = schema.check(json.dumps(case["data"]))
        assert (fault is None) == case["valid"], (case["description"], fault)


@pytest.mark.parametrize(("file", "group"), _groups(SUITE / "optional" / "format"))
def test_a_format_of_structured_outputs_is_judged_as_the_suite_says(file, group):
    schema = OutputSchema.compile(json.dumps(group["schema"]).encode(), name="suite")

    for case in group["tests"]:
        fault = schema.check(json.dumps(case["data"]))
        assert (fault is None) == case["valid"], (case["description"], fault)


def test_how_much_of_the_suite_is_judged():
    cases = {True: 0, False: 0}
    for file, group in (parameters.values for parameters in _groups(SUITE)):
        cases[_is_remote(file, group)] += len(group["tests"])

    assert cases == {False: 1250, True: 49}
