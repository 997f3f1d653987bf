import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import OutcomeReport
from headworks.records.replay import SHORT_TEXT_WORDS, diff_answers, reconstruct
from headworks.records.stores import Batch

WORK = {
    "workload": "triage",
    "prompt_version": "1.2.0",
    "prompt_hash": "sha256:aa",
    "schema_hash": "sha256:bb",
    "verdict": "repaired",
    "repairs": 1,
    "wasted_tokens": 1200,
    "caller_key": "order-17",
    "trace_id": "trace-1",
}


@pytest.fixture
def record(store, calls):
    store.commit(Batch(settled=[calls.settled(1, **WORK)]))
    return store.get("call_000001")


def test_a_call_is_put_together_from_record_content_and_outcomes(record):
    content = {
        "request": b'{"tools": [{"type": "function", "name": "look_up"}]}',
        "response": b'{"output": [{"type": "function_call", "name": "look_up", "arguments": "{\\"id\\":1}"}]}',
        "values": b'{"ticket": "It is broken", "tries": 3}',
    }
    call = reconstruct(record, content, [OutcomeReport("out_1", 5, "accepted", "boolean", "true", source="api")])

    assert call.variables == (("ticket", '"It is broken"'), ("tries", "3"))
    assert call.details() == [
        ("workload", "triage"),
        ("prompt version", "1.2.0"),
        ("prompt hash", "sha256:aa"),
        ("schema hash", "sha256:bb"),
        ("caller's key", "order-17"),
        ("trace", "trace-1"),
        ("  ticket", '"It is broken"'),
        ("  tries", "3"),
        ("tools offered", "look_up"),
        ("tools called", 'look_up({"id":1})'),
        ("judged", "repaired, 1 repair turn, 1,200 output tokens thrown away"),
        ("outcome accepted", "true (api)"),
    ]


def test_without_content_what_the_record_knows_is_left(record):
    call = reconstruct(record, {})

    assert not call.has_content
    assert (call.variables, call.tools, call.answer) == ((), (), None)
    assert ("prompt version", "1.2.0") in call.details()


def test_values_that_are_no_object_are_shown_as_they_are(record):
    assert reconstruct(record, {"values": b"[1"}).variables == (("(values)", "[1"),)


def test_a_long_value_is_cut(record):
    value = json.dumps({"ticket": "x" * 5000}).encode()
    shown = dict(reconstruct(record, {"values": value}).details())["  ticket"]

    assert shown.endswith("... (5,002 characters)")
    assert len(shown) < 250


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("the same", "the same", ""),
        ("a quick fox", "a slow fox", "a [-quick-] {+slow+} fox"),
        ("a fox", "a fox runs", "a fox {+runs+}"),
        ("fox runs", "runs", "[-fox-] runs"),
        ("", "a fox", "{+a fox+}"),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', ""),
        ('{"a": 1}', '{"a": true}', "  a: 1 -> true"),
        ('{"a": {"b": [1, 2]}, "c": 0}', '{"a": {"b": [1, 3, 4]}, "d": 0}', None),
        ("a  fox", "a\nfox ", "(only white space differs)"),
        ("[1, 2]", "[1]", "- [1]: 2"),
        ("[]", "{}", "  (all): [] -> {}"),
        ('{"a": 1}', "no JSON", '[-{"a": 1}-] {+no JSON+}'),
    ],
)
def test_a_difference_can_be_read(old, new, difference):
    if difference is None:
        difference = "  a.b[1]: 2 -> 3\n+ a.b[2]: 4\n- c: 0\n+ d: 0"

    assert diff_answers(old, new) == difference


def test_long_stretches_without_a_difference_are_left_out():
    words = [f"w{n}" for n in range(200)]
    shown = diff_answers(" ".join(words), " ".join([*words[:100], "new", *words[100:]]))

    assert "{+new+}" in shown
    assert "..." in shown
    assert len(shown.split()) < 20


def test_long_texts_are_compared_line_by_line():
    lines = [f"line {n} of a long text" for n in range(SHORT_TEXT_WORDS)]
    changed = [*lines[:9], "another", *lines[10:]]
    shown = diff_answers("\n".join(lines), "\n".join(changed)).splitlines()

    assert shown[:2] == ["--- old", "+++ new"]
    assert "-line 9 of a long text" in shown
    assert "+another" in shown


word = st.text("ab", min_size=1, max_size=3)


@given(st.lists(word, max_size=12), st.lists(word, max_size=12))
def test_from_a_short_difference_both_texts_can_be_read(old, new):
    shown = diff_answers(" ".join(old), " ".join(new))
    if "..." in shown or not shown:
        return
    without_new = re.sub(r"\{\+.*?\+\}", " ", shown)
    without_old = re.sub(r"\[-.*?-\]", " ", shown)
    assert re.sub(r"\[-|-\]", " ", without_new).split() == old
    assert re.sub(r"\{\+|\+\}", " ", without_old).split() == new


@given(st.text(), st.text())
def test_no_two_texts_are_too_strange_to_be_compared(old, new):
    assert isinstance(diff_answers(old, new), str)
    assert diff_answers(old, old) == ""


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("xyz", max_size=1), values), st.dictionaries(st.text("xyz", max_size=1), values))
def test_answers_of_json_differ_just_when_their_values_do(old, new):
    shown = diff_answers(json.dumps(old, indent=2), json.dumps(new))

    assert (shown == "") == (json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True))
