import json
import math
import statistics
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import Refusal
from headworks.records.outcomes import mean_interval, rates, read_outcomes, wilson
from headworks.records.stores import Figures, Tally

SECRET = "patient Zero"
CALL = "call_1a20bc82d040079c116f6000001"
GOOD = {"call_id": CALL, "name": "accepted", "value": True}


def read(body, **details):
    numbers = count(1)
    settings = {"now_us": 1000, "key_id": "key_a", "make_id": lambda: f"out_{next(numbers)}"} | details
    return read_outcomes(body if isinstance(body, bytes) else json.dumps(body).encode(), **settings)


def refused(body) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        read(body)
    assert refusal.value.status == 400
    assert SECRET not in refusal.value.message
    assert SECRET not in (refusal.value.param or "")
    return refusal.value


def test_one_outcome_is_read():
    (report,) = read(GOOD, team="search")

    assert (report.outcome_id, report.reported_us, report.name, report.kind, report.value) == (
        "out_1",
        1000,
        "accepted",
        "boolean",
        "true",
    )
    assert (report.call_id, report.trace_id, report.caller_key) == (CALL, "", "")
    assert (report.key_id, report.team, report.source) == ("key_a", "search", "api")


def test_several_are_read_and_the_later_in_the_body_are_the_later_in_time():
    reports = read({"outcomes": [GOOD, GOOD | {"value": False}, GOOD | {"name": "b"}]})

    assert [(report.outcome_id, report.reported_us, report.value) for report in reports] == [
        ("out_1", 1000, "true"),
        ("out_2", 1001, "false"),
        ("out_3", 1002, "true"),
    ]


@pytest.mark.parametrize(("target", "value"), [("call_id", CALL), ("trace_id", "run 17"), ("caller_key", "order 17")])
def test_a_report_is_about_a_call_a_trace_or_the_callers_own_key(target, value):
    (report,) = read({target: value, "name": "accepted", "value": True})

    assert [getattr(report, name) for name in ("call_id", "trace_id", "caller_key") if getattr(report, name)] == [value]
    assert getattr(report, target) == value


@given(st.integers(0, 2**40), st.integers(0, 2**24 - 1))
def test_every_id_that_a_call_can_have_can_be_reported_on(ms, number):
    call_id = f"call_{ms:011x}{'0f' * 5}{number:06x}"

    assert read(GOOD | {"call_id": call_id})[0].call_id == call_id


@pytest.mark.parametrize(
    ("value", "kind", "read_kind", "as_json"),
    [
        (True, None, "boolean", "true"),
        (False, "boolean", "boolean", "false"),
        (1, None, "number", "1.0"),
        (-0.25, "number", "number", "-0.25"),
        ("refund", None, "label", '"refund"'),
        ("a\nb", "text", "text", '"a\\nb"'),
        ("", "text", "text", '""'),
        ("so", "demonstration", "demonstration", '"so"'),
        ({"a": [1]}, "demonstration", "demonstration", '{"a":[1]}'),
    ],
)
def test_each_kind_of_value_is_read(value, kind, read_kind, as_json):
    (report,) = read(GOOD | {"value": value, "kind": kind})

    assert (report.kind, report.value) == (read_kind, as_json)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": SECRET}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"source": SECRET}, "source"),
        ({"source": 5}, "source"),
        ({"kind": SECRET}, "kind"),
        ({"kind": ["boolean"]}, "kind"),
        ({"value": None}, "value"),
        ({"value": [SECRET]}, "value"),
        ({"value": {}}, "value"),
        ({"value": SECRET, "kind": "boolean"}, "value"),
        ({"value": 1, "kind": "boolean"}, "value"),
        ({"value": True, "kind": "number"}, "value"),
        ({"value": SECRET, "kind": "number"}, "value"),
        ({"value": 1, "kind": "text"}, "value"),
        ({"value": 1, "kind": "demonstration"}, "value"),
        ({"value": 1e16}, "value"),
        ({"value": 10**400}, "value"),
        ({"value": ""}, "value"),
        ({"value": SECRET * 30}, "value"),
        ({"value": SECRET * 6000, "kind": "text"}, "value"),
        ({"call_id": SECRET + "\n"}, "call_id"),
        ({"call_id": ""}, "call_id"),
        ({"call_id": 5}, "call_id"),
        ({"call_id": "c" * 513}, "call_id"),
        ({"call_id": SECRET}, "call_id"),
        ({"call_id": CALL[:-1]}, "call_id"),
        ({"call_id": CALL.upper()}, "call_id"),
        ({"call_id": CALL + "\n"}, "call_id"),
        ({"call_id": "call_TOLV3K0CWvTbZ3Q9b8cRBlrz"}, "call_id"),  # a model's, of a tool
        ({"call_id": "resp_0123456789abcdef"}, "call_id"),
    ],
)
def test_what_is_wrong_is_named_by_index_and_field_and_never_quoted(change, field):
    in_list = refused({"outcomes": [GOOD, GOOD | change]})
    alone = refused(GOOD | change)

    assert (in_list.param, alone.param) == (f"outcomes[1].{field}", field)
    assert in_list.message.startswith(f"outcomes[1].{field} ")
    assert in_list.code == "invalid_outcome"


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        ({"name": "a", "value": 1}, "exactly one of call_id, trace_id, caller_key"),
        (GOOD | {"trace_id": SECRET}, "exactly one of"),
        (GOOD | {SECRET: 1}, "a field that an outcome does not have; there are call_id"),
        (SECRET, "must be an object"),
    ],
)
def test_what_is_wrong_with_a_report_as_a_whole_is_named_by_index(outcome, problem):
    refusal = refused({"outcomes": [outcome]})

    assert refusal.param == "outcomes[0]"
    assert problem in refusal.message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_refused(body):
    assert refused(body).code == "invalid_json"


@pytest.mark.parametrize(
    "body",
    [[], 5, {"outcomes": []}, {"outcomes": GOOD}, {"outcomes": [GOOD] * 1001}, {"outcomes": [GOOD], "name": "a"}],
)
def test_what_has_another_form_is_refused(body):
    assert refused(body).code == "invalid_outcome"


def test_a_thousand_are_taken():
    assert len(read({"outcomes": [GOOD] * 1000})) == 1000


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_any_value_is_read_back_or_refused(value):
    body = json.dumps(GOOD | {"value": value}).encode()
    try:
        (report,) = read(body)
    except Refusal as refusal:
        assert refusal.status == 400  # noqa: PT017 - either may happen
    else:
        assert json.loads(report.value) == value


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 0, 0.0, 1.0),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilsons_interval_has_the_published_values(successes, total, low, high):
    assert wilson(successes, total) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@given(st.integers(0, 10**9).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilsons_interval_lies_within_0_and_1_and_around_the_share(drawn):
    successes, total = drawn
    low, high = wilson(successes, total)

    assert 0 <= low <= high <= 1
    if total:
        assert low <= successes / total + 1e-12
        assert high >= successes / total - 1e-12


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_a_means_interval_is_that_of_the_standard_error(values):
    middle = statistics.fmean(values)
    mean, low, high = mean_interval(sum(values), sum((value - middle) ** 2 for value in values), len(values))

    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    assert mean == pytest.approx(middle, abs=1e-6)
    assert high - low == pytest.approx(2 * half, abs=1e-5)


def test_nothing_bounds_the_mean_of_one_observation():
    assert mean_interval(5.0, 0.0, 1) == (5.0, -math.inf, math.inf)
    assert math.isnan(mean_interval(0.0, 0.0, 0)[0])


def test_rates_stand_beside_what_the_calls_came_to():
    group = ("triage", "1.0.0")
    found = rates(
        [
            Tally(group, "accepted", "api", "boolean", "", 10, 8.0, 1.6),
            Tally(group, "category", "user", "label", '"bug"', 3, 0.0, 0.0),
            Tally(group, "category", "user", "label", '"refund"', 1, 0.0, 0.0),
            Tally(group, "note", "user", "text", "", 2, 0.0, 0.0),
            Tally(group, "score", "api", "number", "", 4, 10.0, 5.0),
            Tally(group, "score", "user", "number", "", 1, 10.0, 0.0),
        ],
        [Figures(group, 20, 16, 900, 1600, 320, 5_000, 2)],
    )

    accepted, bug, refund, note, score, single = found
    assert (accepted.measure, accepted.value) == ("share", 0.8)
    assert (accepted.low, accepted.high) == wilson(8, 10)
    assert (accepted.calls, accepted.median_us, accepted.input_tokens, accepted.output_tokens) == (20, 900, 100, 20)
    assert (accepted.cost_pico, accepted.unknown_costs) == (5_000, 2)
    assert (bug.label, bug.value, refund.value) == ("bug", 0.75, 0.25)
    assert (note.measure, note.value, note.low) == ("count", 2, None)
    assert (score.measure, score.value) == ("mean", 2.5)
    assert score.low < 2.5 < score.high
    assert (single.low, single.high) == (None, None)
