"""The ladder: what it chooses, how often it is wrong, and how much it saves."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import CommandError
from headworks.evals.ladder import Ladder, Terms, check_power, evidence_of, power_of, render_record
from headworks.evals.statistics import floor_successes


def climb(truth, terms, *, at_once=8, reference=None, order=None):
    """A ladder over rungs whose outcomes are known."""
    ladder = Ladder(terms, list(truth), reference=reference)
    asked = Counter()
    while (wanted := ladder.wanted(at_once)) is not None:
        rung, cases = wanted
        assert len(cases)
        for case in cases:
            asked[rung] += 1
            ladder.observe(rung, case, truth[rung][case])
    return ladder.decision, asked


def drawn(random, shares, cases):
    return {
        rung: ["right" if random.random() < share else "wrong" for _ in range(cases)] for rung, share in shares.items()
    }


def simulate(shares, *, cases=150, floor=0.85, runs=200, with_reference=False):
    random, chosen, calls = Random(7), Counter(), 0
    for _ in range(runs):
        truth = drawn(random, shares, cases)
        last = list(shares)[-1]
        reference = [one == "right" for one in truth[last]] if with_reference else None
        decision, _ = climb(truth, Terms(floor=floor, cases=cases), reference=reference)
        chosen[decision.chosen] += 1
        calls += decision.calls
    return chosen, calls / runs / (cases * len(shares))


def test_a_good_cheap_rung_is_chosen_after_few_calls():
    chosen, share = simulate({"nano": 0.95, "mini": 0.97, "flagship": 0.98})
    assert chosen["nano"] >= 190
    assert share <= 0.30


def test_a_bad_cheap_rung_is_left_soon_and_the_next_one_is_chosen():
    chosen, share = simulate({"nano": 0.7, "mini": 0.95, "flagship": 0.98})
    assert chosen["mini"] >= 190
    assert chosen["nano"] == 0
    assert share <= 0.40


def test_where_none_is_good_enough_none_is_chosen():
    chosen, _ = simulate({"nano": 0.5, "mini": 0.6, "flagship": 0.7})
    assert chosen == {"": 200}


@pytest.mark.parametrize("with_reference", [False, True])
def test_rungs_exactly_at_the_bar_are_chosen_no_more_often_than_alpha(with_reference):
    chosen, _ = simulate({"nano": 0.85, "mini": 0.85, "flagship": 0.95}, runs=400, with_reference=with_reference)
    assert chosen["nano"] + chosen["mini"] <= 0.05 * 400 + 2 * (400 * 0.05 * 0.95) ** 0.5


@pytest.mark.long
def test_the_same_over_ten_thousand_runs():
    chosen, _ = simulate({"nano": 0.85, "mini": 0.85, "flagship": 0.95}, runs=10_000)
    assert (chosen["nano"] + chosen["mini"]) / 10_000 <= 0.05


@given(seed=st.integers(0, 10_000), at_once=st.sampled_from([1, 3, 8, 64]), share=st.floats(0.5, 1.0))
@settings(max_examples=60)
def test_how_many_are_asked_at_once_changes_no_verdict(seed, at_once, share):
    truth = drawn(Random(seed), {"nano": share, "mini": 0.9, "flagship": 0.95}, 100)
    terms = Terms(floor=0.8, cases=100)
    one, _ = climb(truth, terms, at_once=1)
    many, _ = climb(truth, terms, at_once=at_once)

    assert [(rung.verdict, rung.asked, rung.right) for rung in many.rungs] == [
        (rung.verdict, rung.asked, rung.right) for rung in one.rungs
    ]


@given(seed=st.integers(0, 10_000), share=st.floats(0.6, 1.0))
@settings(max_examples=60)
def test_stopping_a_hopeless_rung_early_never_changes_what_it_would_have_come_to(seed, share):
    """A rung that fails early could not have passed the last look with every case that was left."""
    truth = drawn(Random(seed), {"nano": share, "flagship": 1.0}, 100)
    decision, _ = climb(truth, Terms(floor=0.85, cases=100))
    nano = decision.rungs[0]
    if nano.verdict == "failed":
        assert nano.right + (100 - nano.asked) < floor_successes(100, 0.85, 0.05)


def test_a_rung_that_is_above_the_bar_and_worse_than_the_best_is_not_chosen():
    truth = {"nano": ["right"] * 80 + ["wrong"] * 20, "flagship": ["right"] * 100}
    order = Random(3).sample(range(100), 100)
    truth = {rung: [outcomes[index] for index in order] for rung, outcomes in truth.items()}
    decision, _ = climb(truth, Terms(floor=0.6, cases=100), reference=[True] * 100)

    assert decision.chosen == "flagship"
    assert decision.rungs[0].reason in ("futility", "non-inferiority")
    assert decision.rungs[0].losses > 0


def test_where_infrastructure_fails_the_result_is_void_and_no_rung_passes_on_it():
    decision, _ = climb({"nano": ["invalid"] * 100, "flagship": ["right"] * 100}, Terms(floor=0.8, cases=100))

    assert (decision.rungs[0].verdict, decision.rungs[0].asked) == ("void", 3)
    assert decision.chosen == "flagship"


def test_one_rung_alone_is_tried_to_its_end():
    decision, asked = climb({"only": ["right"] * 95 + ["wrong"] * 5}, Terms(floor=0.9, cases=100))
    assert (decision.chosen, asked["only"], decision.rungs[0].verdict) == ("only", 100, "chosen last")


def test_a_set_that_is_too_small_is_refused_with_how_many_cases_it_takes():
    with pytest.raises(CommandError, match=r"50 cases cannot defend a bar of 90%.*It takes about \d+ cases"):
        check_power(Terms(floor=0.9, cases=50), 3)
    check_power(Terms(floor=0.85, cases=150), 3)
    assert power_of(Terms(floor=0.95, cases=50), 3) == 0.0


def test_what_was_observed_twice_or_late_changes_nothing():
    ladder = Ladder(Terms(floor=0.8, cases=50), ["nano", "flagship"])
    for _ in range(3):
        ladder.observe("nano", 0, "wrong")
        ladder.observe("flagship", 0, "wrong")
        ladder.observe("nano", 7, "wrong")
    assert ladder.wanted() == ("nano", range(1, 2))


def test_the_evidence_is_json_and_the_record_says_what_was_promised():
    truth = drawn(Random(1), {"nano": 0.97, "mini": 0.97, "flagship": 0.98}, 150)
    decision, _ = climb(truth, Terms(floor=0.85, cases=150))
    evidence, record = evidence_of(decision), render_record("triage", decision, [("seed", "1")])

    assert evidence["chosen"] == "nano"
    assert evidence["rungs"][1] == {"rung": "mini", "verdict": "not tried"}
    assert record.startswith("# Model of triage: `nano`")
    assert "at most 5%" in record
    assert "- seed: 1" in record


@pytest.mark.parametrize(("rungs", "floor", "cases"), [([], 0.8, 10), (["a"], 1.0, 10), (["a"], 0.8, 0)])
def test_a_ladder_without_rungs_cases_or_floor_is_none(rungs, floor, cases):
    with pytest.raises(ValueError, match="a ladder needs"):
        Ladder(Terms(floor=floor, cases=cases), rungs)
