import json
import math
import xml.etree.ElementTree as ET

import pytest

from headworks.evals.rendering import html_report, json_report, junit_report, latency, markdown_report, money
from headworks.evals.reporting import make_report, percentile
from headworks.evals.runs import CallError, Reply
from headworks.evals.scorers import Calibration, Combined, Score, Weighted

from .conftest import LABEL, Model, numbered, reply


class Intervals:
    """Intervals that show how they were asked for."""

    def share(self, right, cases):
        return max(0.0, right / cases - 0.1), min(1.0, right / cases + 0.1)

    def mean(self, values):
        return min(values), max(values)


def says(**by_case):
    return lambda arm, case: by_case.get(case.id.replace("-", "_"), f"answer {case.id.removeprefix('case-')}")


@pytest.fixture
def reported(bench):
    """The report of a run of these cases, asked of this model."""

    def do(cases, model, *, arms=("nano",), **options):
        repeats = options.pop("repeats", 1)
        scorer = options.pop("scorer", LABEL)
        fields = {name: options.pop(name) for name in ("gates", "calibration", "run") if name in options}
        with bench.create(cases, arms=arms, repeats=repeats, scorer=scorer, **fields) as folder:
            bench.run(folder, model, scorer=scorer, **options)
            do.junit = "".join(junit_report(make_report(folder, Intervals()), folder))
            return make_report(folder, Intervals())

    return do


def test_scores_costs_and_latencies_are_those_of_decided_answers(reported):
    wrong = reply("another", cost_pico_usd=3_000_000, latency_ms=100.0)
    broken = Reply(error=CallError("upstream_overloaded", is_infrastructure=True))
    report = reported(numbered(10), Model(says(case_0=wrong, case_1=broken)), attempts=1)
    (arm,) = report.arms

    assert (arm.right, arm.wrong, arm.invalid, arm.cases) == (8, 1, 1, 9)
    assert arm.score == 8 / 9
    assert (arm.low, arm.high) == (pytest.approx(8 / 9 - 0.1), pytest.approx(8 / 9 + 0.1))
    assert arm.cost_pico_usd == 11_000_000
    assert arm.cost_per_call_pico_usd == round(11_000_000 / 9)
    assert arm.cost_per_right_pico_usd == 1_375_000
    assert (arm.p50_ms, arm.p95_ms) == (5.0, 100.0)
    assert arm.errors == {"upstream_overloaded": 1}
    assert arm.is_void
    assert arm.flicker is None


def test_what_there_is_nothing_of_is_none_and_never_nan(reported):
    broken = Reply(error=CallError("down", is_infrastructure=True))
    report = reported(numbered(2), Model(lambda arm, case: broken), attempts=1)
    (arm,) = report.arms

    assert (arm.score, arm.low, arm.value, arm.cost_pico_usd, arm.p50_ms) == (None,) * 5
    assert not any(isinstance(value, float) and math.isnan(value) for value in _floats(json.loads(json_report(report))))
    assert "NaN" not in json_report(report).decode()
    for text in (markdown_report(report), html_report(report)):
        assert "nan" not in text.lower().replace("nano", "")


def _floats(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [inner for each in value for inner in _floats(each)]
    return [value]


def test_no_price_is_no_cost_and_is_said(reported):
    report = reported(numbered(2), Model(lambda arm, case: reply("x", cost_pico_usd=None)))

    assert report.arms[0].cost_per_call_pico_usd is None
    assert "no price is known of sim/nano" in markdown_report(report)


def test_repeats_are_averaged_by_case_and_flicker_is_told(reported):
    asked = []

    def sometimes(arm, case):
        asked.append(case.id)
        return "no" if case.id == "case-0" and asked.count("case-0") == 2 else f"answer {case.id[-1]}"

    report = reported(numbered(4), Model(sometimes), repeats=3)
    (arm,) = report.arms

    assert arm.score == pytest.approx((2 / 3 + 3) / 4)
    assert (arm.low, arm.high) == (pytest.approx(2 / 3), 1.0)
    assert arm.flicker == 0.25
    assert [(one.id, one.answers[0].right, one.answers[0].asked) for one in report.failing] == [("case-0", 2, 3)]


def test_a_cluster_counts_once_in_the_interval(reported):
    cases = [*numbered(2, cluster="doc"), *numbered(5)[2:]]
    report = reported(cases, Model(says(case_0="no")))

    assert report.arms[0].score == 0.8
    assert report.arms[0].low == 0.5  # the mean of the cluster of two, one of which is right


def test_tags_are_slices_and_failing_cases_stand_side_by_side(reported):
    cases = numbered(6)
    for case in cases[:3]:
        case["tags"] = ["hard"]
    cases[4]["must_pass"] = True

    def arms_differ(arm, case):
        if case.id in ("case-0", "case-4") or (case.id == "case-1" and arm.name == "nano"):
            return "no <b>idea</b>"
        return f"answer {case.id[-1]}"

    report = reported(cases, Model(arms_differ), arms=("nano", "mini"))

    assert [(one.tag, one.cases, one.score) for one in report.arms[1].slices] == [("hard", 3, pytest.approx(2 / 3))]
    assert [one.id for one in report.failing] == ["case-4", "case-1", "case-0"]  # must pass, then where arms differ
    assert [(one.arm, one.verdict) for one in report.failing[1].answers] == [("nano", "wrong"), ("mini", "right")]
    assert report.arms[0].must_pass_failed == ("case-4",)
    html = html_report(report)
    assert "no &lt;b&gt;idea&lt;/b&gt;" in html
    assert "<script" not in html
    assert "question 0" in html
    assert "answer 0" in html
    assert "http" not in html.replace("http-equiv", "")


def test_markdown_and_junit_hold_no_inputs_and_no_answers(reported):
    cases = [{"id": "a|b", "input": "private question", "expected": "hidden"}]
    report = reported(cases, Model(lambda arm, case: "private answer"))
    text = markdown_report(report)

    assert "a\\|b" in text
    assert "is another label than expected" in text
    for rendered in (text, reported.junit):
        assert "private" not in rendered
        assert "hidden" not in rendered


def test_junit_is_xml_with_failures_errors_and_cases_that_were_not_asked(reported):
    broken = Reply(error=CallError("down", 'a "quoted" \x01 thing', is_infrastructure=True))
    reported(numbered(4), Model(says(case_0="no", case_1=broken)), attempts=1)
    root = ET.fromstring(reported.junit)
    (suite,) = root

    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped"), suite.get("tests")) == (
        "1",
        "1",
        "0",
        "4",
    )
    kinds = {test.get("name"): [child.tag for child in test] for test in suite}
    assert kinds == {"case-0": ["failure"], "case-1": ["error"], "case-2": [], "case-3": []}


def test_a_run_that_is_not_complete_says_so(bench):
    with bench.create(numbered(3)) as folder:
        report = make_report(folder, Intervals())
        assert "<skipped/>" in "".join(junit_report(report, folder))
    assert not report.is_complete
    assert "not complete: 0 of 3 questions are answered" in markdown_report(report)
    assert report.arms[0].score is None


class Warner:
    name, identity, may_gate = "judge", {"scorer": "judge"}, False

    async def score(self, case, answer):
        return Score(0.0, is_acceptable=False, reason="is rude", cost_pico_usd=7)

    async def close(self): ...


def test_what_may_not_decide_warns_and_its_cost_is_counted(reported):
    both = Combined([*LABEL._members, Weighted(Warner(), "judge")])
    report = reported(numbered(2), Model(), scorer=both)

    assert report.arms[0].score == 1.0
    assert report.warnings == {"judge: is rude": 2}
    assert report.spent_pico_usd == 2_000_014
    assert "2 times a scorer that may not decide said: judge: is rude" in markdown_report(report)


def test_the_errors_that_a_judge_is_known_to_make_are_taken_out(reported):
    """It accepts 0.95 of what is good and 0.05 of what is not: 70 of 80 judged are about 92.1 %; 20 gave no answer."""
    broken = {f"case_{n}": Reply(error=CallError("output_invalid", "breaks the schema")) for n in range(20)}
    rejected = {f"case_{n}": "no" for n in range(20, 30)}
    calibration = Calibration(40, 38, 40, 38)
    report = reported(numbered(100), Model(says(**broken, **rejected)), calibration=calibration)

    share, low, high = report.arms[0].corrected
    assert report.arms[0].score == 0.7
    assert share == pytest.approx(0.8 * (70 / 80 - 0.05) / 0.9)
    assert low < 0.7 < share < high <= 0.8
    assert "a judge decides, and errs: by what people said of it, about 73.3 % are good" in markdown_report(report)
    assert reported(numbered(2), Model(), run="20261125-120000-ef01").arms[0].corrected is None
    sure = reported(numbered(40), Model(), calibration=Calibration(40, 40, 40, 40), run="20261125-120000-ef02").arms[0]
    assert sure.corrected == (1.0, pytest.approx(0.9119, abs=1e-3), 1.0)  # as for a share of 40 of 40


def test_a_run_in_which_nothing_may_decide_says_so(reported):
    report = reported(numbered(2), Model(), scorer=Combined([Weighted(Warner(), "judge")]), gates=False)

    assert "no scorer may decide" in markdown_report(report)


@pytest.mark.parametrize(
    ("pico", "text"),
    [(None, "-"), (0, "$0"), (1, "$0.000000000001"), (123_456, "$0.000000123"),
     (10**12, "$1.00"), (12_345 * 10**11, "$1,234.50"), (999 * 10**9, "$1.00")],
)  # fmt: skip
def test_money_is_shown_to_three_digits_that_count(pico, text):
    assert money(pico) == text


def test_percentiles_are_values_that_occurred():
    assert percentile([], 0.5) is None
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert (latency(None), latency(12.3), latency(1234)) == ("-", "12 ms", "1.23 s")
