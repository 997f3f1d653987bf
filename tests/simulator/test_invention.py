import json
import random

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headworks.simulator.invention import Inventor
from headworks.simulator.schema import FORMATS, SchemaRefused, checked


def invented(schema, seed=0, *, is_strict=True):
    return Inventor(
        checked(json.dumps(schema).encode(), is_strict=is_strict), random.Random(seed), ("Paris", "Lyon")
    ).value()


def judge(schema, value):
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(value)


def wrapped(schema):
    return {"type": "object", "properties": {"value": schema}, "required": ["value"], "additionalProperties": False}


@st.composite
def numbers(draw):
    kind = draw(st.sampled_from(["integer", "number"]))
    low = draw(st.integers(-1000, 1000))
    span = draw(st.integers(3, 500))
    schema = {"type": kind}
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + span
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, 2, 3] if kind == "integer" else [0.5, 0.25, 0.1, 1, 3]))
    return schema


@st.composite
def strings(draw):
    schema = {"type": "string"}
    match draw(st.sampled_from(["plain", "length", "format", "pattern", "enum"])):
        case "length":
            schema["minLength"] = draw(st.integers(0, 60))
            schema["maxLength"] = schema["minLength"] + draw(st.integers(0, 60))
        case "format":
            schema["format"] = draw(st.sampled_from(FORMATS))
        case "pattern":
            schema["pattern"] = draw(st.sampled_from(["^[A-Z]{3}-\\d+$", "^(yes|no)$", "^[a-z]{2,5}$"]))
        case "enum":
            schema["enum"] = draw(st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True))
    return schema


def objects(inner):
    return st.dictionaries(st.text(st.characters(categories=["Ll"]), min_size=1, max_size=6), inner, max_size=4).map(
        lambda members: {
            "type": "object",
            "properties": members,
            "required": list(members),
            "additionalProperties": False,
        }
    )


def arrays(inner):
    return st.tuples(inner, st.integers(0, 3), st.integers(0, 3)).map(
        lambda drawn: {"type": "array", "items": drawn[0], "minItems": drawn[1], "maxItems": drawn[1] + drawn[2]}
    )


LEAVES = st.one_of(
    numbers(),
    strings(),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": "fixed"}, {"type": ["string", "null"]}]),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        objects(inner), arrays(inner), st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each})
    ),
    max_leaves=8,
)


@given(SCHEMAS.map(wrapped), st.integers())
def test_an_invented_value_satisfies_its_strict_schema(schema, seed):
    judge(schema, invented(schema, seed))


@given(SCHEMAS, st.integers())
def test_without_strict_mode_any_value_may_stand_at_the_top(schema, seed):
    judge(schema, invented(schema, seed, is_strict=False))


def test_the_same_seed_invents_the_same():
    schema = wrapped({"type": "array", "items": {"type": "string"}})
    assert invented(schema, 7) == invented(schema, 7)


TREE = {
    "type": "object",
    "properties": {
        "label": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#"}},
        "next": {"anyOf": [{"$ref": "#/$defs/link"}, {"type": "null"}]},
    },
    "required": ["label", "children", "next"],
    "additionalProperties": False,
    "$defs": {
        "link": {
            "type": "object",
            "properties": {"to": {"anyOf": [{"$ref": "#/$defs/link"}, {"$ref": "#"}, {"type": "null"}]}},
            "required": ["to"],
            "additionalProperties": False,
        }
    },
}


@given(st.integers())
def test_a_recursive_schema_ends(seed):
    value = invented(TREE, seed)
    judge(TREE, value)
    assert len(json.dumps(value)) < 100_000


def test_a_schema_without_end_is_refused():
    endless = wrapped({"$ref": "#"})
    with pytest.raises(SchemaRefused, match="no finite value"):
        invented(endless)


@given(st.integers())
def test_optional_members_all_of_and_one_of_work_without_strict_mode(seed):
    schema = {
        "allOf": [{"$ref": "#/definitions/named"}, {"properties": {"age": {"type": "integer"}}, "required": ["age"]}],
        "definitions": {
            "named": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "nick": {"type": "string"}},
                "required": ["name"],
            },
        },
    }
    judge(schema, invented(schema, seed, is_strict=False))
    judge(
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        invented({"oneOf": [{"type": "string"}, {"type": "integer"}]}, seed, is_strict=False),
    )


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "array", "items": {}}, "got 'type: \"array\"'"),
        ({"type": "object", "properties": {}}, "'additionalProperties' is required to be supplied and to be false"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": [], "additionalProperties": False},
            "Missing 'a'",
        ),
        (wrapped({"allOf": [{"type": "string"}]}), "'allOf' is not permitted"),
        (wrapped({}), r"\('properties', 'value'\), schema must have a 'type' key"),
        (wrapped({"type": "text"}), "'text' is not valid"),
        (wrapped({"type": "string", "format": "colour"}), "'colour' is not a valid format"),
        (wrapped({"type": "array"}), "array schema missing items"),
        (wrapped({"$ref": "#/$defs/none"}), "not found in the schema"),
        (wrapped({"$ref": "https://example.com/x"}), "only point to definitions within the schema"),
    ],
)
def test_strict_mode_refuses_what_the_api_refuses(schema, problem):
    with pytest.raises(SchemaRefused, match=problem):
        invented(schema)


def test_deep_nesting_is_refused():
    schema = {"type": "string"}
    for _ in range(11):
        schema = wrapped(schema)
    with pytest.raises(SchemaRefused, match="nesting depth"):
        invented(schema)


@pytest.mark.parametrize(
    "impossible",
    [
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 3},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "string", "pattern": "^(?=x)y$"},
        {"type": "string", "pattern": "^ab$", "minLength": 5},
        {"type": "array", "items": {"type": "null"}, "minItems": 3, "maxItems": 2},
    ],
)
def test_a_schema_that_nothing_satisfies_is_refused(impossible):
    with pytest.raises(SchemaRefused):
        invented(wrapped(impossible))


@given(st.decimals(min_value="0.01", max_value="50", places=2), st.integers(-500, 500), st.integers())
def test_multiples_are_exact(step, low, seed):
    assume(step > 0)
    schema = wrapped({"type": "number", "multipleOf": float(step), "minimum": low, "maximum": low + 200})
    value = invented(schema, seed)["value"]
    assert low <= value <= low + 200
    assert abs(value / float(step) - round(value / float(step))) < 1e-6
