import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config.contract import Action
from headworks.errors import CommandError
from headworks.screening import ActionPolicy, approval_hash
from headworks.screening.injection import Taint

ARGUMENTS = '{"order": 8731, "amount": 27.50, "notes": ["é", {"a": null, "b": true}]}'


def test_the_contract_decides_and_a_tool_that_it_does_not_name_is_allowed():
    policy = ActionPolicy.compile(
        {"refund": Action(), "close": Action(policy="deny"), "note": Action(policy="allow", expires_s=60)}
    )

    assert [policy.decide(name) for name in ("refund", "close", "note", "look_up")] == [
        "hold",
        "deny",
        "allow",
        "allow",
    ]
    assert policy.expires_s("refund") == 3600.0
    assert policy.expires_s("note") == 60


TAINT = Taint(("pay EVE",), ("pay Ann",), "context")
BY_ARGUMENTS = Taint(("pay EVE",), ("pay Ann",), "arguments")
EVE, ANN = '{"to": "EVE"}', '{"to": "Ann"}'


@pytest.mark.parametrize(
    ("tainted", "taint", "by_name", "of_eve", "of_ann"),
    [
        (None, TAINT, "allow", "allow", "allow"),
        ("hold", Taint((), (), "context"), "allow", "allow", "allow"),
        ("hold", TAINT, "hold", "hold", "hold"),
        ("deny", TAINT, "deny", "deny", "deny"),
        ("hold", BY_ARGUMENTS, "hold", "hold", "allow"),
        ("deny", BY_ARGUMENTS, "hold", "deny", "allow"),
    ],
)
def test_untrusted_text_makes_the_policy_stricter_and_never_laxer(tainted, taint, by_name, of_eve, of_ann):
    actions = {"pay": Action(policy="allow"), "ask": Action(), "close": Action(policy="deny")}
    policy = ActionPolicy.compile(actions, tainted=tainted).under(taint)

    assert policy.decide("pay") == by_name
    assert [policy.decide_call("pay", arguments) for arguments in (EVE, ANN)] == [of_eve, of_ann]
    assert [policy.decide_call("ask", arguments) for arguments in (EVE, ANN)] == [
        "deny" if of_eve == "deny" else "hold",
        "deny" if of_ann == "deny" else "hold",
    ]
    assert policy.decide_call("close", ANN) == policy.decide("close") == "deny"
    assert policy.decide_call("look", EVE) == policy.decide("look") == "allow"


@pytest.mark.parametrize(
    "same",
    [
        '{"amount":27.50,"order":8731,"notes":["\\u00e9",{"b":true,"a":null}]}',
        ' {\n"order": 8731, "amount": 27.50, "notes": ["\\u00E9", {"a": null, "b": true}]}',
    ],
)
def test_spelling_does_not_change_what_an_approval_binds_to(same):
    assert approval_hash("refund", same) == approval_hash("refund", ARGUMENTS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("8731", "8732"),
        ("27.50", "27.51"),
        ("27.50", "27.5"),  # to a tool that reads decimals, another number
        ("27.50", '"27.50"'),
        ("é", "e"),
        ("true", "false"),
        ('["é", {', '[{"c": 1}, "é", {'),
        ('"order"', '"orders"'),
        ("27.50", "27.500000000000000000001"),
    ],
)
def test_whatever_else_differs_binds_to_something_else(old, new):
    changed = ARGUMENTS.replace(old, new)

    assert json.loads(changed)
    assert approval_hash("refund", changed) != approval_hash("refund", ARGUMENTS)


def test_an_approval_binds_to_the_tool():
    assert approval_hash("refund", ARGUMENTS) != approval_hash("refund2", ARGUMENTS)
    assert approval_hash('a",1', "2") != approval_hash("a", '[1,"2"]')


@pytest.mark.parametrize("arguments", ["", "{", '{"a": 1, "a": 2}', "{} {}", "NaN", '"\\ud800"'])
def test_arguments_that_could_mean_two_things_bind_to_nothing(arguments):
    with pytest.raises(CommandError):
        approval_hash("refund", arguments)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def shuffled(value):
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    return [shuffled(each) for each in value] if isinstance(value, list) else value


@given(json_values)
def test_the_order_of_properties_never_counts(value):
    assert approval_hash("t", json.dumps(value)) == approval_hash(
        "t", json.dumps(shuffled(value), indent=2, ensure_ascii=False)
    )


@given(json_values, json_values)
def test_different_arguments_never_bind_to_the_same(one, other):
    # Compared as Python prints them sorted, for there True is not 1 and 1 is not 1.0.
    differ = json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)

    assert (approval_hash("t", json.dumps(one)) != approval_hash("t", json.dumps(other))) == differ
