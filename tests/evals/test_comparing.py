"""Gates and comparisons: what they let through, how often they err, and what they say of it."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headworks.evals.comparing import (
    Case,
    PairedVerdict,
    cases_to_compare,
    compare_spans,
    count_pairs,
    gate_change,
    gate_release,
)
from headworks.evals.statistics import Tally, exact_bound, tango_score


def paired(*, both=0, losses=0, wins=0, neither=0, invalid=0):
    """So many cases of each kind."""
    outcomes = (
        [("right", "right")] * both
        + [("right", "wrong")] * losses
        + [("wrong", "right")] * wins
        + [("wrong", "wrong")] * neither
        + [("right", "invalid")] * invalid
    )
    return [Case(case_id=str(number), reference=one, candidate=two) for number, (one, two) in enumerate(outcomes)]


@given(
    both=st.integers(0, 50),
    losses=st.integers(0, 50),
    wins=st.integers(0, 50),
    neither=st.integers(0, 50),
    invalid=st.integers(0, 5),
    order=st.randoms(use_true_random=False),
)
def test_pairs_are_counted_whatever_their_order(both, losses, wins, neither, invalid, order):
    cases = paired(both=both, losses=losses, wins=wins, neither=neither, invalid=invalid)
    counts = count_pairs(order.sample(cases, len(cases)))

    assert (counts.losses, counts.wins, counts.invalid) == (losses, wins, invalid)
    assert counts.reference_right == both + losses
    assert counts.candidate_right == both + wins
    assert counts.cases == both + losses + wins + neither


@pytest.mark.parametrize(("losses", "is_open"), [(4, True), (5, False)])
def test_a_change_is_blocked_by_a_significant_regression(losses, is_open):
    """Mid-p of 4 losses and no win is 1/32, of 5 with one win .0625."""
    verdict = gate_change(paired(both=90, losses=losses + 1, wins=2 if is_open else 0))

    assert verdict.is_open is is_open
    assert verdict.blocks == (() if is_open else ("regression",))
    test = stats.binomtest(verdict.counts.losses, verdict.counts.losses + verdict.counts.wins, alternative="greater")
    assert verdict.p_exact == pytest.approx(test.pvalue)
    assert verdict.p_value < verdict.p_exact
    assert verdict.interval[0] <= verdict.difference <= verdict.interval[1]


def test_a_change_is_blocked_by_a_case_that_must_pass_and_by_a_broken_contract_though_all_else_is_better():
    cases = paired(both=50, wins=20)
    cases.append(Case(case_id="refund", reference="wrong", candidate="wrong", must_pass=True))
    cases.append(Case(case_id="form", reference="right", candidate="wrong", is_contract_broken=True))
    verdict = gate_change(cases)

    assert verdict.blocks == ("must pass", "contract")
    assert (verdict.must_pass, verdict.broken) == (("refund",), ("form",))


def test_where_infrastructure_fails_nothing_is_let_through():
    assert gate_change(paired(both=95, invalid=5)).blocks == ("infrastructure",)
    assert gate_change(paired(both=99, invalid=1)).is_open
    assert gate_change([]).blocks == ("infrastructure",)
    unknown = [*paired(both=99), Case(case_id="a", reference="right", candidate="invalid", must_pass=True)]
    assert gate_change(unknown).blocks == ("infrastructure",)


def test_a_change_that_changes_nothing_is_rarely_blocked():
    chance, blocked, runs = Random(31), 0, 1_000
    for _ in range(runs):
        losses = chance.choices((-1, 0, 1), (0.05, 0.9, 0.05), k=100)
        blocked += not gate_change(paired(both=losses.count(0), losses=losses.count(1), wins=losses.count(-1))).is_open
    assert blocked / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.uncounted
@given(losses=st.integers(0, 20), wins=st.integers(0, 20))
def test_a_release_goes_out_only_if_shown_to_be_as_good(losses, wins):
    cases = 100
    verdict = gate_release(paired(both=cases - losses - wins, losses=losses, wins=wins), margin=0.1)
    is_shown = tango_score(losses, wins, cases, 0.1) >= exact_bound(cases, 0.1, 0.05)

    assert ("not shown to be as good" in verdict.blocks) is not is_shown
    assert verdict.is_open is (is_shown and verdict.p_value >= 0.05)
    assert (verdict.needed == 0) is is_shown
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=PairedVerdict) == verdict


def test_a_set_that_is_too_small_for_the_margin_passes_as_a_change_and_not_as_a_release():
    cases = paired(both=30)

    assert gate_change(cases).is_open
    verdict = gate_release(cases, margin=0.05)
    assert verdict.blocks == ("not shown to be as good",)
    assert verdict.power < 0.5
    assert 60 < verdict.needed < 200


def test_a_release_without_a_valid_case_is_not_let_out():
    verdict = gate_release([], margin=0.1)
    assert verdict.blocks == ("infrastructure", "not shown to be as good")
    assert (verdict.score, verdict.bound, verdict.power) == (None, None, 0.0)


def test_a_release_that_is_worse_by_the_margin_is_rarely_let_out():
    chance, out, runs = Random(32), 0, 1_000
    for _ in range(runs):
        drawn = chance.choices((-1, 0, 1), (0.12, 0.86, 0.02), k=100)
        out += gate_release(
            paired(both=drawn.count(0), losses=drawn.count(-1), wins=drawn.count(1)), margin=0.1
        ).is_open
    assert out / runs <= 0.05


def test_how_many_cases_a_comparison_takes_grows_as_the_margin_shrinks():
    found = [cases_to_compare(margin, 0.05, 0.02) for margin in (0.2, 0.1, 0.05, 0.03)]
    assert found == sorted(found)
    assert 40 <= found[1] <= 70
    assert cases_to_compare(0.1, 0.05, 0.02, least=500) == 500


@pytest.mark.parametrize(
    ("second", "once", "always"),
    [
        (915, "no difference shown", "no difference shown"),
        (870, "worse", "no difference shown"),
        (500, "worse", "worse"),
    ],
)
def test_two_spans_are_told_apart_more_carefully_when_one_looks_again_and_again(second, once, always):
    first, second = Tally(900, 1000), Tally(second, 1000)
    only = compare_spans(first, second, is_only_look=True)

    assert only.finding == once
    assert compare_spans(first, second).finding == always
    assert only.interval[0] <= only.difference <= only.interval[1]
    assert only.always[0] < only.interval[0] < only.interval[1] < only.always[1]
    assert only.first_interval[0] < 0.9 < only.first_interval[1]


def test_a_better_span_is_called_better():
    assert compare_spans(Tally(500, 1000), Tally(900, 1000)).finding == "better"
    assert compare_spans(Tally(0, 0), Tally(900, 1000)).finding == "no difference shown"


def test_arms_that_disagree_on_half_of_the_cases_are_not_promised_any_number():
    assert cases_to_compare(0.1, 0.05, 0.3) == 0


@pytest.mark.parametrize("rate", [0.1, 0.2])
def test_arms_that_disagree_often_take_about_what_a_normal_test_says(rate):
    found = cases_to_compare(0.1, 0.05, rate)
    assert found == pytest.approx(6.18 * 2 * rate / 0.01, rel=0.25)
