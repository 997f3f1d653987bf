import json

import pytest

from headworks.prompts.outputs import broken_output


def object_of(required=None, **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties) if required is None else required,
        "additionalProperties": False,
    }


def broken(old, new):
    return broken_output(json.dumps(old), json.dumps(new))


TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
TREE = {"$ref": "#/$defs/node", "$defs": {"node": object_of(value=WHOLE, next={"$ref": "#/$defs/node"})}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (object_of(a=TEXT), object_of(a=TEXT)),
        (object_of(a=TEXT), object_of(a={"description": "more", **TEXT})),
        (object_of(a=TEXT), object_of(a=TEXT, b=WHOLE)),
        (object_of([], a=TEXT), object_of(a=TEXT)),
        (object_of(a=NUMBER), object_of(a=WHOLE)),
        (object_of(a=TEXT), object_of(a={"type": "string", "enum": ["x"]})),
        (object_of(a={"enum": ["x", "y"]}), object_of(a={"const": "x"})),
        (object_of(a={"type": ["string", "null"]}), object_of(a=TEXT)),
        (object_of(a={"type": "integer", "maximum": 4}), object_of(a={"type": "integer", "maximum": 3, "minimum": 1})),
        (object_of(a=TEXT), object_of(a={"type": "string", "pattern": "^x"})),
        (object_of(a={"anyOf": [TEXT, WHOLE]}), object_of(a={"anyOf": [WHOLE]})),
        ({"type": "array", "items": NUMBER}, {"type": "array", "items": WHOLE, "maxItems": 3}),
        (TREE, TREE | {"title": "A tree"}),
        (True, object_of(a=TEXT)),
    ],
)
def test_what_only_takes_away_or_adds_a_property_breaks_nothing(old, new):
    assert broken(old, new) == ()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (object_of(a=TEXT, b=TEXT), object_of(a=TEXT), "`b` is gone"),
        (object_of(a=TEXT), object_of([], a=TEXT), "`a` may be missing"),
        (object_of(a=WHOLE), object_of(a=NUMBER), "`a` may be of type number"),
        (object_of(a=TEXT), object_of(a={"type": ["string", "null"]}), "`a` may be of type null"),
        (object_of(a=TEXT), object_of(a={"enum": ["x", 1]}), "`a` may be of type integer"),
        (object_of(a={"enum": ["x"]}), object_of(a={"enum": ["x", "y"]}), "`a` may have further values"),
        (object_of(a={"enum": [1]}), object_of(a={"enum": [True]}), "`a` may have further values"),
        (object_of(a={"const": "x"}), object_of(a=TEXT), "`a` is no longer one of a few values"),
        (object_of(a={"maximum": 4}), object_of(a={"maximum": 5}), "`a`: `maximum` takes more than before"),
        (object_of(a={"minLength": 4}), object_of(a={}), "`a`: `minLength` takes more than before"),
        (object_of(a={"pattern": "x"}), object_of(a={"pattern": "y"}), "`a`: `pattern` changes"),
        (object_of(a={"anyOf": [TEXT]}), object_of(a={"anyOf": [TEXT, WHOLE]}), "`a`: `anyOf` changes"),
        (object_of(a={"oneOf": [TEXT]}), object_of(a={"oneOf": [WHOLE]}), "`a`: `oneOf` changes"),
        (object_of(a=object_of(b=TEXT)), object_of(a=object_of(b=WHOLE)), "`a.b` may be of type integer"),
        ({"items": TEXT}, {"items": WHOLE}, "`[]` may be of type integer"),
        ({"items": TEXT}, {}, "`[]` takes more than before"),
        ({"additionalProperties": TEXT}, {}, "`*` takes more than before"),
        (TREE, TREE | {"$defs": {"node": object_of(value=TEXT, next=TREE)}}, "`value` may be of type string"),
        (False, True, "`the answer` takes more than before"),
    ],
)
def test_what_may_let_something_new_through_breaks_the_contract(old, new, reason):
    assert reason in broken(old, new)


def test_text_and_json_are_not_the_same_to_a_consumer():
    assert broken_output("", '{"type": "object"}') == ("answers were free text and are JSON now",)
    assert broken_output('{"type": "object"}', "") == ("the output's schema is gone",)
    assert broken_output("", "") == ()


def test_of_many_breaks_some_are_named():
    old = object_of(**{f"p{number}": TEXT for number in range(9)})

    assert broken(old, object_of()) == tuple(f"`p{number}` is gone" for number in range(5))
