import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.evals.scorers import Answer, ByExpected, OfField, ScoringFailed
from headworks.evals.scorers.contract import Rules, Schema
from headworks.evals.scorers.exact import Exact
from headworks.evals.scorers.fields import FieldRule, Fields
from headworks.evals.scorers.label import Label, normalised
from headworks.evals.scorers.members import Collection
from headworks.evals.scorers.number import Number, numbers_in
from headworks.evals.scorers.regex import Regex, pattern_problem
from headworks.evals.scorers.tool_calls import ToolCalls


@pytest.mark.parametrize(
    ("scorer", "text", "expected", "is_right"),
    [
        (Exact(), " yes\n", "yes", True),
        (Exact(), "Yes", "yes", False),
        (Exact(), "b", ["a", "b"], True),
        (Label(), "  **Billing.** ", "billing", True),
        (Label(), "how-to", "how_to", True),
        (Label(), "billing, I think", "billing", False),
        (Label(), "Invoices", "billing", False),
        (Label({"billing": ["invoices"]}), "Invoices", "billing", True),
        (Label(), "True", True, True),
        (Label(), "C++", "C", False),
        (Number(), "The total is 1,234.50 EUR.", 1234.5, True),
        (Number(), "1'234.50", "1234.5", True),
        (Number(), "12", 13, False),
        (Number(absolute=1), "12", 13, True),
        (Number(relative=0.1), "98", 110, False),
        (Number(relative=0.1), "99", 109, True),
        (Number(), "either 3 or 4", 4, False),
        (Number(), "4, so 4", 4, True),
        (Number(), "none", 4, False),
        (Number(), "0.1", 0.1, True),
        (Number(), "-5", 5, False),
        (Number(), "1.234,50", 1.234, False),
        (Regex(), "see A.B here", "(?i)a\\.b", True),
        (Regex(), "ab", ["a", "c"], False),
        (Regex(["^x"]), "xy", "anything", True),
        (Collection("set"), '["b", "a", "a"]', ["a", "b"], True),
        (Collection("set"), "- A\n- B", ["b", "a"], True),
        (Collection("set"), "a, b; c", ["a", "b"], False),
        (Collection("set", at_least=0.8), "a, b; c", ["a", "b"], True),
        (Collection("list"), "b, a", ["a", "b"], False),
        (Collection("list"), '[1, {"x": 2}]', [1, {"x": 2}], True),
        (Collection("set"), "[]", [], True),
        (Fields(), '{"a": 1, "b": "X."}', {"a": 1.0, "b": "x"}, True),
        (Fields(), '{"a": 1, "c": 2}', {"a": 1}, False),
        (Fields(allows_more=True), '{"a": 1, "c": 2}', {"a": 1}, True),
        (Fields(), '{"a": true}', {"a": 1}, False),
        (Fields(), '{"a": 1}', {"a": True}, False),
        (Fields(), '{"a": null}', {"a": None}, True),
        (Fields(), "no JSON", {"a": 1}, False),
        (Fields(), "[1]", {"a": 1}, False),
        (Fields({"a": FieldRule(absolute=0.01)}), '{"a": 1.005}', {"a": 1}, True),
        (Fields({"s": FieldRule(weight=0)}), '{"s": "whatever", "a": 1}', {"s": "x", "a": 1}, True),
        (Fields({"s": FieldRule(text="present")}), '{"s": "whatever"}', {"s": "x"}, True),
        (Fields({"s": FieldRule(text="present")}), '{"s": " "}', {"s": "x"}, False),
        (Fields({"s": FieldRule(text="exact")}), '{"s": "X"}', {"s": "x"}, False),
        (Fields({"l.n": FieldRule(absolute=1)}), '{"l": [{"n": 1}, {"n": 3}]}', {"l": [{"n": 1}, {"n": 2}]}, True),
        (Fields(), '{"l": [1]}', {"l": [1, 2]}, False),
        (ByExpected(), '{"a": 1}', {"a": 1}, True),
        (ByExpected(), "Yes.", "yes", True),
        (ByExpected(), "it is 5", 5, True),
        (ByExpected(), "[1, 2]", [1, 2], True),
        (OfField(Label(), "team.name"), '{"team": {"name": "A"}}', {"team": {"name": "a"}}, True),
        (OfField(Label(), "team.name"), '{"team": {}}', {"team": {"name": "a"}}, False),
    ],
)
def test_an_answer_is_right_or_wrong(judged, scorer, text, expected, is_right):
    score = judged(scorer, text, expected)

    assert score.is_acceptable is is_right
    assert 0 <= score.value <= 1
    assert bool(score.reason) is not is_right


@pytest.mark.parametrize(
    "scorer", [Exact(), Label(), Number(), Regex(), Collection("set"), Fields(), ToolCalls(), ByExpected()]
)
def test_a_case_that_expects_nothing_is_never_right_by_chance(judged, scorer):
    assert judged(scorer, "").is_acceptable is False


def test_fields_count_by_their_weight_and_each_says_what_is_wrong(judged):
    scorer = Fields({"b": FieldRule(weight=3)}, at_least=0.75)
    score = judged(scorer, '{"a": 2, "b": 1}', {"a": 1, "b": 1})

    assert score.value == 0.75
    assert score.is_acceptable
    assert score.reason == "a differs"
    assert [(part.name, part.value) for part in score.parts] == [("a", 0.0), ("b", 1.0)]


def test_a_reason_quotes_neither_case_nor_answer(judged):
    scores = [judged(Fields(), '{"a": "secret"}', {"a": "hidden"}), judged(Label(), "secret", "hidden")]

    assert all("secret" not in score.reason and "hidden" not in score.reason for score in scores)


def test_a_pattern_that_could_run_away_does_not(judged):
    begin = time.process_time()

    assert judged(Regex(["(a+)+$"]), "a" * 20_000 + "!").is_acceptable is False
    assert time.process_time() - begin < 2
    assert "linear time" in pattern_problem("(?=a)b")


def test_a_case_with_a_pattern_that_is_none_is_no_wrong_answer(judged):
    with pytest.raises(ScoringFailed, match="no regular expression"):
        judged(Regex(), "x", "(")


@pytest.mark.parametrize(
    ("scorer", "made", "is_right"),
    [
        (ToolCalls(), [("look_up", '{"order": "1"}'), ("refund", '{"n": 1.0}')], True),
        (ToolCalls(), [("refund", '{"n": 1}'), ("look_up", '{"order": "1"}')], True),
        (ToolCalls(order="same"), [("refund", '{"n": 1}'), ("look_up", '{"order": "1"}')], False),
        (ToolCalls(), [("look_up", '{"order": "1", "x": 2}'), ("refund", '{"n": 1}')], False),
        (ToolCalls(arguments="given"), [("look_up", '{"order": "1", "x": 2}'), ("refund", '{"n": 1}')], True),
        (ToolCalls(arguments="ignored"), [("look_up", "{"), ("refund", "")], True),
        (ToolCalls(), [("look_up", "{"), ("refund", '{"n": 1}')], False),
        (ToolCalls(), [("look_up", '{"order": "1"}')], False),
        (ToolCalls(), [("look_up", '{"order": "1"}'), ("refund", '{"n": 1}'), ("refund", '{"n": 1}')], False),
        (ToolCalls(), [], False),
        (ByExpected(), [("look_up", '{"order": "1"}'), ("refund", '{"n": 1}')], True),
    ],
)
def test_tool_calls_are_compared_by_name_arguments_and_order(judged, scorer, made, is_right):
    expected = [{"name": "look_up", "arguments": {"order": "1"}}, {"name": "refund", "arguments": {"n": 1}}]

    for form in (expected, {"tool_calls": expected}):
        assert judged(scorer, "", form, calls=made).is_acceptable is is_right


def test_no_call_may_be_what_is_right(judged):
    assert judged(ToolCalls(), "", []).is_acceptable
    assert judged(ToolCalls(), "", [], calls=[("refund", "{}")]).is_acceptable is False


def test_schema_and_rules_are_asked_as_they_are_passed_in(judged):
    async def holds(case, answer):
        return "" if answer.text == case.variables["q"] else "rule echo: says something else"

    assert judged(Schema(lambda text: "" if text == "{}" else "/a: is missing", "h"), "[]").reason == "/a: is missing"
    assert judged(Rules(holds, "h"), "?").is_acceptable
    assert judged(Rules(holds, "h"), "!").reason == "rule echo: says something else"


@given(st.text())
def test_a_label_is_itself_however_often_it_is_normalised(text):
    assert normalised(normalised(text)) == normalised(text)


@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_a_number_is_found_however_it_is_grouped(whole, digits):
    text = f"{whole / 10**digits:,.{digits}f}"

    assert [float(one) for one in numbers_in(f"about {text} pieces")] == [round(whole / 10**digits, digits)]


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_f1_is_symmetric_and_one_only_for_equals(one, other):
    import msgspec

    from headworks.evals.golden import GoldenCase

    def value(kind, said, wanted):
        case = GoldenCase("a", expected=msgspec.Raw(msgspec.json.encode(wanted)))
        return Collection(kind).compare(case, Answer(msgspec.json.encode(said).decode())).value

    for kind in ("set", "list"):
        assert value(kind, one, other) == value(kind, other, one)
    assert (value("list", one, other) == 1) == (one == other)
    assert (value("set", one, other) == 1) == (set(one) == set(other))


@given(st.text())
def test_no_answer_breaks_a_comparison(text):
    import msgspec

    from headworks.evals.golden import GoldenCase

    for expected in ({"a": 1}, "x", 5, ["x"], [1], {"tool_calls": []}):
        case = GoldenCase("a", expected=msgspec.Raw(msgspec.json.encode(expected)))
        assert 0 <= ByExpected().compare(case, Answer(text)).value <= 1


def test_an_answer_nested_beyond_reason_is_no_json(judged):
    assert judged(Fields(), "[" * 100_000, {"a": 1}).reason == "is no JSON object"
