"""Schemas of older drafts, as other gateways have them, mean the same in ours."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.importing.schemas import in_our_draft

SEVEN = "http://json-schema.org/draft-07/schema#"
PARTS = [
    {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": False},
    {"items": [{"type": "integer"}]},
    {"items": {"type": "integer"}, "additionalItems": False},
    {"dependencies": {"a": ["b"], "b": {"properties": {"c": {"type": "integer"}}}}},
    {"properties": {"a": {"items": [{"const": 1}], "additionalItems": {"const": 2}}}},
    {"definitions": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/definitions/n", "maximum": 1}}},
    {"anyOf": [{"items": [{"type": "integer"}]}, {"required": ["a"]}]},
    {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
    {"properties": {"items": {"type": "integer"}, "dependencies": {"type": "integer"}}},
    {"const": {"items": [1], "additionalItems": 2}},
]
VALUES = st.recursive(
    st.sampled_from([0, 1, 2, "x", None, True]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "items", "dependencies"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def test_what_stands_beside_a_reference_counts_from_2019_09_on():
    part = {"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n", "maximum": 1}}}
    found = in_our_draft(json.dumps({"$schema": "https://json-schema.org/draft/2019-09/schema"} | part))

    assert json.loads(found) == part


@given(part=st.sampled_from(PARTS), value=VALUES)
def test_an_older_schema_takes_and_refuses_the_same_values(part, value):
    ours = json.loads(in_our_draft(json.dumps({"$schema": SEVEN} | part)))
    old, new = jsonschema.Draft7Validator(part), jsonschema.Draft202012Validator(ours)

    assert old.is_valid(value) == new.is_valid(value)


def test_the_exclusive_bounds_of_draft_04_become_bounds():
    text = json.dumps(
        {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True, "maximum": 9}
    )

    assert json.loads(in_our_draft(text)) == {"exclusiveMinimum": 1, "maximum": 9}


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"type": "object"}', '{"$schema": "https://json-schema.org/draft/2020-12/schema", "items": []}'],
)
def test_what_says_no_older_draft_stays_as_it_is(text):
    assert in_our_draft(text) == text


@pytest.mark.parametrize("reference", ["#/items/0", "#/dependencies/a", "#/properties/a/additionalItems"])
def test_a_reference_to_what_changes_its_name_cannot_be_rewritten(reference):
    assert in_our_draft(json.dumps({"$schema": SEVEN, "properties": {"b": {"$ref": reference}}})) is None
