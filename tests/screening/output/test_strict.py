import json

import pytest

from headworks.screening import OutputSchema, strict_problems


def thing(properties, **others):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    } | others


GOOD = thing(
    {
        "kind": {"type": "string", "enum": ["a", "b"], "description": "which"},
        "when": {"type": ["string", "null"], "format": "date-time"},
        "amount": {"type": "number", "minimum": 0, "multipleOf": 0.01},
        "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": 9},
        "result": {"anyOf": [thing({"ok": {"const": True}}), {"type": "null"}]},
        "again": {"$ref": "#"},
    },
    **{"$defs": {"step": thing({"next": {"anyOf": [{"$ref": "#/$defs/step"}, {"type": "null"}]}})}},
)


def test_a_schema_within_the_subset_has_no_problems():
    assert strict_problems(GOOD) == []
    assert OutputSchema.compile(json.dumps(GOOD).encode(), name="x").is_strict


@pytest.mark.parametrize(
    ("schema", "pointer", "rule", "way_out"),
    [
        (True, "", "root-object", "object"),
        ({"type": "array", "items": {"type": "string"}}, "", "root-object", "under a property"),
        ({"anyOf": [thing({})]}, "/anyOf", "root-any-of", "under a property"),
        ({"type": "object", "properties": {}, "required": []}, "", "additional-properties", "false"),
        (thing({"a": {"type": "object"}}), "/properties/a", "additional-properties", "false"),
        (thing({"a": {"type": "string"}}, required=[]), "/properties/a", "required", '"null"'),
        (thing({}, required=["b"]), "/required", "required", "add it"),
        (thing({"a": {"type": "string", "format": "uri"}}), "/properties/a/format", "format", "date-time"),
        (thing({"a": {"type": "array"}}), "/properties/a", "items", "items"),
        (thing({"a": {"description": "x"}}), "/properties/a", "type", '"type"'),
        (thing({"a": True}), "/properties/a", "boolean-schema", "type"),
        (thing({"a": {"$ref": "other.json"}}), "/properties/a/$ref", "ref", "#/$defs"),
        (thing({"a": {"$ref": "#", "description": "x"}}), "/properties/a", "ref-alone", "move"),
        (thing({"a/b": {"type": "string", "minLength": 1}}), "/properties/a~1b/minLength", "keyword", "pattern"),
    ],
)
def test_a_broken_rule_is_named_with_its_place_and_a_way_out(schema, pointer, rule, way_out):
    (problem,) = strict_problems(schema)

    assert (problem.pointer, problem.rule) == (pointer, rule)
    assert way_out in problem.message


@pytest.mark.parametrize(
    "keyword",
    [
        *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"),
        *("default", "maxLength", "uniqueItems", "prefixItems", "unevaluatedProperties", "propertyNames", "$anchor"),
    ],
)
def test_a_keyword_outside_the_subset_is_refused(keyword):
    (problem,) = strict_problems(thing({"a": {"type": "string", keyword: {}}}))

    assert (problem.pointer, problem.rule) == (f"/properties/a/{keyword}", "keyword")
    assert keyword in problem.message


def test_a_schema_may_name_its_draft_at_the_root_only():
    assert strict_problems({"$schema": "https://json-schema.org/draft/2020-12/schema"} | thing({})) == []
    assert [problem.rule for problem in strict_problems(thing({"a": thing({}, **{"$schema": "x"})}))] == ["keyword"]


def nested(levels):
    return thing({"a": nested(levels - 1)}) if levels > 1 else thing({})


@pytest.mark.parametrize(
    ("within", "beyond", "rule"),
    [
        (nested(10), nested(11), "nesting-depth"),
        (
            thing({f"p{n}": {"type": "null"} for n in range(5000)}),
            thing({f"p{n}": {"type": "null"} for n in range(5001)}),
            "property-count",
        ),
        (
            thing({"a": {"enum": list(range(1000))}}),
            thing({"a": {"enum": list(range(1001))}}),
            "enum-count",
        ),
        (thing({"a": {"const": "x" * 119_999}}), thing({"a": {"const": "x" * 120_000}}), "name-length"),
        (
            thing({"a": {"enum": [f"{n:060}" for n in range(250)]}}),
            thing({"a": {"enum": [f"{n:060}" for n in range(251)]}}),
            "enum-length",
        ),
    ],
)
def test_a_limit_may_be_reached_and_not_passed(within, beyond, rule):
    assert strict_problems(within) == []
    assert [problem.rule for problem in strict_problems(beyond)] == [rule]


def test_nesting_counts_through_references_and_what_recurs_counts_once():
    definitions = {f"d{n}": thing({"a": {"$ref": f"#/$defs/d{n + 1}"}}) for n in range(10)} | {"d10": thing({})}

    assert [p.rule for p in strict_problems(thing({"a": {"$ref": "#/$defs/d0"}}, **{"$defs": definitions}))] == [
        "nesting-depth"
    ]
    assert strict_problems(thing({"a": {"$ref": "#"}})) == []


def test_every_problem_is_found_at_once():
    schema = {"type": "object", "properties": {"a": {"type": "string", "format": "uri"}, "b": {"allOf": []}}}

    assert {problem.rule for problem in strict_problems(schema)} == {
        "additional-properties",
        "required",
        "format",
        "keyword",
        "type",
    }
