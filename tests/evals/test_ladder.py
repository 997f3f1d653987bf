"""The ladder: what it chooses, how often it is wrong, and how much it saves."""

import re
from collections import Counter
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import CommandError
from headworks.evals.ladder import Decision, Ladder, Terms, check_power, evidence_of, power_of, render_record
from headworks.evals.statistics import floor_plan, tango_score
from headworks.evals.trial import Trial


def climb(truth, terms, *, at_once=8, reference="", must_pass=()):
    """A ladder over rungs whose outcomes are known."""
    ladder = Ladder(terms, list(truth), reference=reference, must_pass=must_pass)
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


def play(trial, outcomes, reference=()):
    """A trial of these outcomes to its end; its verdict."""
    for outcome in outcomes:
        trial.observe(outcome)
        while (case := next(trial.awaited(), None)) is not None:
            trial.compare(reference[case])
        if trial.verdict is not None:
            break
    return trial.verdict


def of(seed, *, right=0, wrong=0, **others):
    """So many outcomes of each kind, shuffled."""
    kinds = {"right": right, "wrong": wrong} | others
    outcomes = [kind for kind, count in kinds.items() for _ in range(count)]
    return Random(seed).sample(outcomes, len(outcomes))


def simulate(shares, *, cases=150, floor=0.85, runs=200, alike=None):
    """How often which rung is chosen, and the share of all calls that are made.

    Arguments:
        alike: compare with the best rung, with which a rung shares luck in so large a share of cases; None: do not.
    """
    random, chosen, calls = Random(7), Counter(), 0
    for _ in range(runs):
        luck = [random.random() for _ in range(cases)]
        truth = {
            rung: [
                "right" if (one if random.random() < (alike or 0.0) else random.random()) < share else "wrong"
                for one in luck
            ]
            for rung, share in shares.items()
        }
        reference = list(shares)[-1] if alike is not None else ""
        decision, asked = climb(truth, Terms(floor=floor, cases=cases), reference=reference)
        chosen[decision.chosen] += 1
        calls += sum(asked.values())
    return chosen, calls / runs / (cases * len(shares))


def test_a_good_cheap_rung_is_chosen_after_few_calls():
    """97.7 % of runs and a quarter of the calls, in ten thousand runs."""
    chosen, share = simulate({"nano": 0.95, "mini": 0.97, "flagship": 0.98})
    assert chosen["nano"] >= 190
    assert share <= 0.27


def test_a_bad_cheap_rung_is_left_soon_and_the_next_one_is_chosen():
    chosen, share = simulate({"nano": 0.7, "mini": 0.95, "flagship": 0.98})
    assert chosen["mini"] >= 190
    assert chosen["nano"] == 0
    assert share <= 0.38


@pytest.mark.uncounted
def test_where_none_is_good_enough_none_is_chosen():
    chosen, share = simulate({"nano": 0.5, "mini": 0.6, "flagship": 0.7})
    assert chosen == {"": 200}
    assert share <= 0.52


AT_THE_BAR = {"nano": 0.85, "mini": 0.85, "flagship": 0.95}
AT_THE_MARGIN = {"nano": 0.88, "mini": 0.88, "flagship": 0.98}


@pytest.mark.uncounted
@pytest.mark.parametrize(
    ("shares", "floor", "alike"), [(AT_THE_BAR, 0.85, None), (AT_THE_BAR, 0.85, 0.8), (AT_THE_MARGIN, 0.6, 0.5)]
)
def test_rungs_exactly_at_the_bar_or_the_margin_are_chosen_no_more_often_than_alpha(shares, floor, alike):
    chosen, _ = simulate(shares, floor=floor, alike=alike, runs=250)
    assert chosen["nano"] + chosen["mini"] <= 0.05 * 250 + 2 * (250 * 0.05 * 0.95) ** 0.5


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("shares", "floor", "alike"),
    [(AT_THE_BAR, 0.85, None), (AT_THE_BAR, 0.85, 0.8), (AT_THE_MARGIN, 0.6, 0.0), (AT_THE_MARGIN, 0.6, 0.8)],
)
def test_the_same_over_ten_thousand_runs(shares, floor, alike):
    chosen, _ = simulate(shares, floor=floor, alike=alike, runs=10_000)
    assert (chosen["nano"] + chosen["mini"]) / 10_000 <= 0.05


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("shares", "best", "share"),
    [
        ({"nano": 0.95, "mini": 0.97, "flagship": 0.98}, "nano", 0.25),
        ({"nano": 0.7, "mini": 0.95, "flagship": 0.98}, "mini", 0.37),
        ({"nano": 0.5, "mini": 0.6, "flagship": 0.7}, "", 0.50),
    ],
)
def test_the_right_rung_is_chosen_and_most_calls_are_saved_over_ten_thousand_runs(shares, best, share):
    chosen, asked = simulate(shares, runs=10_000)
    assert 1 - chosen[best] / 10_000 <= 0.03
    assert asked <= share


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


@given(
    seed=st.integers(0, 10_000),
    cases=st.sampled_from([30, 60, 100]),
    share=st.floats(0.6, 1.0),
    best=st.none() | st.floats(0.5, 1.0),
    invalid=st.sampled_from([0.0, 0.01]),
)
@settings(max_examples=150)
def test_stopping_as_soon_as_no_look_can_be_passed_any_more_changes_no_verdict(seed, cases, share, best, invalid):
    chance = Random(seed)
    weights = (share * (1 - invalid), (1 - share) * (1 - invalid), invalid)
    outcomes = chance.choices(("right", "wrong", "invalid"), weights, k=cases)
    reference = chance.choices(("right", "wrong", "invalid"), (best or 1, 1 - (best or 1), invalid), k=cases)
    terms = Terms(floor=0.7, cases=cases)
    stopping = Trial(terms, 0.025, is_compared=best is not None)
    whole = Trial(terms, 0.025, is_compared=best is not None, is_stopping=False)

    assert (play(stopping, outcomes, reference) == "passed") is (play(whole, outcomes, reference) == "passed")
    assert stopping.asked <= whole.asked
    if stopping.verdict == "passed":
        assert stopping.asked == whole.asked


@given(seed=st.integers(0, 10_000), share=st.floats(0.6, 1.0), reference=st.sampled_from(["", "mini", "flagship"]))
@settings(max_examples=90)
def test_outcomes_that_come_in_another_order_or_again_after_a_crash_come_to_the_same_decision(seed, share, reference):
    """Outcomes are handed over as a window of calls under way would: at random among them."""
    truth = drawn(Random(seed), {"nano": share, "mini": 0.9, "flagship": 0.95}, 60)
    terms = Terms(floor=0.75, cases=60)
    expected, _ = climb(truth, terms, at_once=1, reference=reference)
    ladder, log, order = Ladder(terms, list(truth), reference=reference), [], Random(seed + 1)
    while (wanted := ladder.wanted(8)) is not None:
        rung, cases = wanted
        log.append((rung, order.choice(cases)))
        ladder.observe(*log[-1], truth[rung][log[-1][1]])
        if order.random() < 0.05:
            ladder = Ladder(terms, list(truth), reference=reference)
            for rung, case in order.sample(log, len(log)):
                ladder.observe(rung, case, truth[rung][case])

    seen = [(one.verdict, one.reason, one.asked, one.right, one.looks) for one in expected.rungs]
    assert [(one.verdict, one.reason, one.asked, one.right, one.looks) for one in ladder.decision.rungs] == seen
    assert ladder.decision.chosen == expected.chosen
    assert ladder.decision.calls == len(log)


def test_what_every_rung_was_asked_beforehand_is_used_when_its_turn_comes_and_is_paid_all_the_same():
    ladder = Ladder(Terms(floor=0.8, cases=100), ["nano", "mini", "flagship"])
    for rung in ("flagship", "mini", "nano"):
        for case in range(10):
            ladder.observe(rung, case, "right")
    assert ladder.wanted(3) == ("nano", (10, 11, 12))
    for case in range(10, 50):
        ladder.observe("nano", case, "right")

    assert ladder.decision.chosen == "nano"
    assert [(one.asked, one.surplus, one.saved) for one in ladder.decision.rungs] == [(50, 0, 50)] + [(0, 10, 90)] * 2
    assert (ladder.decision.calls, ladder.decision.calls_saved) == (70, 230)


def test_a_rung_that_is_above_the_bar_and_worse_than_the_best_is_not_chosen():
    truth = {"nano": ["right"] * 80 + ["wrong"] * 20, "flagship": ["right"] * 100}
    order = Random(3).sample(range(100), 100)
    truth = {rung: [outcomes[index] for index in order] for rung, outcomes in truth.items()}
    decision, _ = climb(truth, Terms(floor=0.6, cases=100), reference="flagship")

    assert decision.chosen == "flagship"
    assert decision.rungs[0].reason in ("futility", "non-inferiority")
    assert decision.rungs[0].losses > 0


def test_where_infrastructure_fails_the_result_is_void_and_no_rung_passes_on_it():
    decision, _ = climb({"nano": ["invalid"] * 100, "flagship": ["right"] * 100}, Terms(floor=0.8, cases=100))

    assert (decision.rungs[0].verdict, decision.rungs[0].asked) == ("void", 3)
    assert decision.chosen == "flagship"


@pytest.mark.parametrize("floor", [0.7, 0.9])
def test_invalid_outcomes_are_left_out_on_both_sides(floor):
    """Two of a hundred: looked at are the others, at bounds of their own."""
    outcomes = Random(5).sample(["right"] * 97 + ["wrong"] * 3, 100)
    outcomes[20] = outcomes[90] = "invalid"
    trial = Trial(Terms(floor=floor, cases=100), 0.025, is_compared=True, is_stopping=False)
    play(trial, outcomes, ["right"] * 100)

    for look in trial.looks:
        assert look.valid == look.asked - outcomes[: look.asked].count("invalid")
    assert trial.looks[-1].losses <= 3
    assert trial.looks[-1].needed <= floor_plan(100, floor, 0.025).passes[len(trial.looks) - 1]


def test_a_reference_whose_infrastructure_fails_makes_the_comparison_void():
    truth = {"nano": of(3, right=93, wrong=7), "best": ["invalid"] * 100}
    decision, asked = climb(truth, Terms(floor=0.6, cases=100), reference="best")

    assert (decision.rungs[0].verdict, decision.rungs[0].reason) == ("void", "invalid")
    assert decision.chosen == ""
    assert asked["best"] == 100


@pytest.mark.parametrize("with_reference", [False, True])
def test_cases_that_are_invalid_at_the_bar_do_not_make_a_false_pass_more_probable(with_reference):
    """At the bar and at the margin at once, with one case in a hundred invalid."""
    chance, passed, runs = Random(21), 0, 300
    terms = Terms(floor=0.8, cases=60)
    for _ in range(runs):
        reference = ["right" if chance.random() < 0.9 else "wrong" for _ in range(60)]
        outcomes = chance.choices(("right", "wrong", "invalid"), (0.792, 0.198, 0.01), k=60)
        passed += play(Trial(terms, 0.05, is_compared=with_reference), outcomes, reference) == "passed"
    assert passed / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_every_verdict_is_one_that_the_figures_bear(seed):
    chance = Random(seed)
    truth = drawn(chance, {"nano": chance.uniform(0.6, 1), "mini": chance.uniform(0.8, 1), "best": 0.95}, 80)
    decision, _ = climb(truth, Terms(floor=0.8, cases=80), reference="best")
    for one in decision.rungs:
        if one.verdict == "passed":
            assert one.right >= one.looks[-1].needed
            assert one.score >= one.looks[-1].bound
            assert one.interval[1] > 0.8
        elif one.verdict == "inconclusive":
            assert one.interval[1] >= 0.8 if one.reason == "floor" else one.difference[1] >= -0.1
        assert one.asked + one.surplus + one.saved == 80
    assert decision.calls + decision.calls_saved == 240


def test_the_last_rung_too_is_left_as_soon_as_it_cannot_come_up_to_the_bar():
    outcomes = of(1, right=70, wrong=30)
    decision, asked = climb({"best": outcomes}, Terms(floor=0.9, cases=100))

    assert (decision.chosen, decision.rungs[0].verdict, decision.rungs[0].reason) == ("", "failed", "floor")
    assert asked["best"] <= outcomes.index("wrong") + 60
    assert decision.rungs[0].asked - decision.rungs[0].right == 11
    exactly, _ = climb({"best": of(1, right=90, wrong=10)}, Terms(floor=0.9, cases=100))
    assert exactly.chosen == "best"


@pytest.mark.parametrize("floor", [0.07, 0.55, 0.57, 0.58])
def test_a_share_that_is_the_bar_is_at_the_bar_however_it_is_rounded(floor):
    right = round(100 * floor)
    assert climb({"best": of(1, right=right, wrong=100 - right)}, Terms(floor=floor, cases=100))[0].chosen == "best"
    assert not climb({"best": of(1, right=right - 1, wrong=101 - right)}, Terms(floor=floor, cases=100))[0].chosen


def test_the_last_rung_too_is_left_for_a_case_that_must_pass_as_soon_as_it_is_wrong():
    outcomes = ["right"] * 3 + ["wrong"] + ["right"] * 96
    decision, asked = climb({"best": outcomes}, Terms(floor=0.8, cases=100), must_pass=[3], at_once=1)
    assert (decision.chosen, decision.rungs[0].reason, asked["best"]) == ("", "must pass", 4)


def test_one_rung_alone_is_tried_to_its_end():
    decision, asked = climb({"only": ["right"] * 95 + ["wrong"] * 5}, Terms(floor=0.9, cases=100))
    assert (decision.chosen, asked["only"], decision.rungs[0].verdict) == ("only", 100, "chosen last")


def test_a_set_that_is_too_small_is_refused_with_how_many_cases_it_takes():
    with pytest.raises(CommandError, match=r"50 cases cannot defend a bar of 90%.*It takes about \d+ cases"):
        check_power(Terms(floor=0.9, cases=50), 3)
    check_power(Terms(floor=0.85, cases=150), 3)
    check_power(Terms(floor=0.99, cases=5), 1)
    assert power_of(Terms(floor=0.95, cases=50), 3) == 0.0


def test_a_set_that_is_too_small_for_its_margin_is_refused_where_there_is_a_comparison():
    terms = Terms(floor=0.6, cases=60, margin=0.05)
    check_power(terms, 3)
    with pytest.raises(CommandError, match=r"60 cases cannot show that a model is worse by less than 5%.*about 1\d\d "):
        check_power(terms, 3, is_compared=True)
    check_power(Terms(floor=0.6, cases=100), 3, is_compared=True)
    check_power(Terms(floor=0.6, cases=1), 1, is_compared=True)


def test_what_was_observed_twice_or_late_changes_nothing():
    ladder = Ladder(Terms(floor=0.8, cases=50), ["nano", "flagship"])
    for _ in range(3):
        ladder.observe("nano", 0, "wrong")
        ladder.observe("flagship", 0, "wrong")
        ladder.observe("nano", 7, "wrong")
    assert ladder.wanted() == ("nano", (1,))


def test_the_evidence_is_json_and_the_record_says_what_was_promised():
    truth = drawn(Random(1), {"nano": 0.97, "mini": 0.97, "flagship": 0.98}, 150)
    decision, _ = climb(truth, Terms(floor=0.85, cases=150))
    evidence, record = evidence_of(decision), render_record("triage", decision, [("seed", "1")])

    assert evidence["chosen"] == "nano"
    assert evidence["rungs"][1] == {"rung": "mini", "verdict": "not tried", "saved": 150}
    assert record.startswith("# Model of triage: `nano`")
    assert "at most 5%" in record
    assert "- seed: 1" in record


def test_a_record_says_how_it_looked_and_what_would_change_the_answer():
    """87 of 100 where more than 80 % are asked for is near, and not enough."""
    chance = Random(2)
    outcomes = chance.sample(["right"] * 87 + ["wrong"] * 13, 100)
    decision, _ = climb(
        {"nano": outcomes, "mini": ["wrong"] * 100, "best": ["wrong"] * 100}, Terms(floor=0.8, cases=100)
    )
    record = render_record("triage", decision)

    assert [one.verdict for one in decision.rungs] == ["inconclusive", "failed", "failed"]
    assert decision.needed == decision.rungs[0].needed > 100
    assert "none: mend the prompt, or lower the bar" in record
    assert f"about {decision.needed:,} cases" in record
    assert "| nano | 50 | " in record
    nothing, _ = climb({"best": ["wrong"] * 100}, Terms(floor=0.8, cases=100))
    assert "More cases would not" in render_record("triage", nothing)


def test_a_record_of_a_comparison_shows_its_interval_and_what_an_acceptable_answer_costs():
    truth = drawn(Random(3), {"nano": 0.97, "best": 0.98}, 150)
    ladder = Ladder(
        Terms(floor=0.85, cases=150),
        list(truth),
        costs={"nano": 1_000_000, "best": 20_000_000},
        reference="best",
    )
    while (wanted := ladder.wanted(16)) is not None:
        for case in wanted[1]:
            ladder.observe(wanted[0], case, truth[wanted[0]][case])
    record = render_record("triage", ladder.decision)

    assert ladder.decision.chosen == "nano"
    assert "not above the bar, or worse than `best` by 10% or more, is at most 5%" in record
    assert "better, " in record
    assert "| is it |" not in record  # `best` was asked no case of its own
    assert re.search(r"\| \$0\.00000100 \| \$0\.000001\d\d \(\$0\.000001\d\d to \$0\.000001\d\d\) \|", record)
    assert msgspec.json.decode(msgspec.json.encode(evidence_of(ladder.decision)), type=Decision) == ladder.decision


def test_a_rung_that_gets_a_case_wrong_that_must_pass_is_left_however_good_it_is():
    """The case stands behind the look at which nano passes: it is asked all the same before nano is chosen."""
    nano = ["right"] * 90 + ["wrong"] + ["right"] * 9
    truth = {"nano": nano, "mini": ["right"] * 100, "best": ["right"] * 100}
    terms = Terms(floor=0.8, cases=100)

    free, _ = climb(truth, terms)
    bound, asked = climb(truth, terms, must_pass=[5, 90])
    assert (free.chosen, free.rungs[0].asked) == ("nano", 50)
    assert bound.chosen == "mini"
    assert (bound.rungs[0].verdict, bound.rungs[0].reason) == ("failed", "must pass")
    assert (asked["nano"], bound.rungs[0].surplus, bound.rungs[1].surplus) == (51, 1, 1)
    assert "failed (must pass)" in render_record("triage", bound)

    early, asked = climb(truth | {"nano": ["right"] * 5 + ["wrong"] + ["right"] * 94}, terms, must_pass=[5, 90])
    assert (early.chosen, early.rungs[0].asked) == ("mini", 6)


@pytest.mark.parametrize(("outcome", "reason"), [("wrong", "must pass"), ("invalid", "invalid")])
def test_where_no_rung_gets_the_cases_right_that_must_pass_none_is_chosen(outcome, reason):
    outcomes = ["right"] * 99 + [outcome]
    decision, _ = climb({"nano": outcomes, "best": outcomes}, Terms(floor=0.8, cases=100), must_pass=[99])

    assert decision.chosen == ""
    assert [one.reason for one in decision.rungs] == [reason, reason]


@pytest.mark.parametrize("wrong_on", ["nano", "best"])
def test_cases_behind_those_that_count_are_asked_because_they_must_pass_and_not_counted(wrong_on):
    """A hundred count; the hundred-and-first is another one of a cluster."""
    outcomes = {"nano": ["right"] * 101, "best": ["right"] * 101}
    outcomes[wrong_on] = ["right"] * 100 + ["wrong"]
    if wrong_on == "best":
        outcomes["nano"] = ["wrong"] * 101
    decision, asked = climb(outcomes, Terms(floor=0.8, cases=100), must_pass=[100])

    assert decision.chosen == ("best" if wrong_on == "nano" else "")
    assert decision.rungs[-1].asked == 100
    assert asked["best"] == 101
    assert decision.calls_saved == 100 - asked["nano"]


@given(seed=st.integers(0, 10_000), share=st.floats(0.8, 1.0), at_once=st.sampled_from([1, 8, 64]))
@settings(max_examples=40)
def test_cases_that_must_pass_only_take_choices_away(seed, share, at_once):
    truth = drawn(Random(seed), {"nano": share, "mini": 0.95, "best": 0.98}, 60)
    must_pass, terms = Random(seed + 1).sample(range(60), 3), Terms(floor=0.75, cases=60)
    free, _ = climb(truth, terms)
    bound, _ = climb(truth, terms, must_pass=must_pass, at_once=at_once)

    if bound.chosen:
        assert all(truth[bound.chosen][case] == "right" for case in must_pass)
    rungs = [*truth, ""]
    assert rungs.index(bound.chosen) >= rungs.index(free.chosen)


@pytest.mark.parametrize(("rungs", "floor", "cases"), [([], 0.8, 10), (["a"], 1.0, 10), (["a"], 0.8, 0)])
def test_a_ladder_without_rungs_cases_or_floor_is_none(rungs, floor, cases):
    with pytest.raises(ValueError, match="a ladder needs"):
        Ladder(Terms(floor=floor, cases=cases), rungs)


def test_what_no_ladder_has_is_refused():
    with pytest.raises(ValueError, match="each rung once"):
        Ladder(Terms(floor=0.8, cases=10), ["a", "a"])
    with pytest.raises(ValueError, match="the reference `c` is no rung"):
        Ladder(Terms(floor=0.8, cases=10), ["a", "b"], reference="c")
    ladder = Ladder(Terms(floor=0.8, cases=10), ["a", "b"])
    for rung, case in (("c", 0), ("a", 10), ("a", -1)):
        with pytest.raises(ValueError, match="has no case"):
            ladder.observe(rung, case, "right")


def test_what_comes_after_the_decision_changes_nothing():
    ladder = Ladder(Terms(floor=0.8, cases=10), ["only"])
    for case in range(10):
        ladder.observe("only", case, "right")
    decision = ladder.decision
    ladder.observe("only", 3, "wrong")

    assert ladder.decision is decision
    assert ladder.wanted() is None


def test_what_was_under_way_when_it_was_decided_was_paid_and_is_counted():
    truth = {"nano": ["right"] * 100, "best": ["right"] * 100}
    ladder = Ladder(Terms(floor=0.8, cases=100), list(truth))
    for case in range(50):
        ladder.observe("nano", case, truth["nano"][case])
    chosen, calls = ladder.decision.chosen, ladder.decision.calls
    for rung, case in (("nano", 50), ("best", 0), ("best", 0)):
        ladder.observe(rung, case, "wrong")

    assert ladder.decision.chosen == chosen == "nano"
    assert (calls, ladder.decision.calls, ladder.decision.rungs[0].surplus) == (50, 52, 1)


@pytest.mark.parametrize(("invalid", "verdict"), [(2, "chosen last"), (3, "void")])
def test_of_the_best_rung_too_infrastructure_may_fail_once_in_fifty_cases(invalid, verdict):
    decision, _ = climb({"best": ["right"] * (100 - invalid) + ["invalid"] * invalid}, Terms(floor=0.9, cases=100))

    assert decision.rungs[0].verdict == verdict
    assert decision.chosen == ("best" if verdict == "chosen last" else "")
    assert f"{100 - invalid} of {100 - invalid}, {invalid} invalid" in render_record("triage", decision)


def test_a_record_of_a_small_set_says_that_it_is_one_and_promises_of_the_best_rung_only_what_is_so():
    terms = Terms(floor=0.9, cases=30)
    decision = Ladder(terms, ["nano", "best"], is_underpowered=True)
    for rung in ("nano", "best"):
        for case in range(30):
            decision.observe(rung, case, "wrong" if rung == "nano" or case < 3 else "right")
    record = render_record("triage", decision.decision)

    assert decision.decision.chosen == "best"
    assert "**Underpowered**" in record
    assert "`best` is what is left" in record


def test_a_rung_that_is_a_little_worse_than_a_perfect_one_is_not_left_for_its_first_losses():
    """Worse by 3 points where ten are allowed: without futility 91 % of such runs pass."""
    chance, passed = Random(41), 0
    for _ in range(100):
        outcomes = ["wrong" if chance.random() < 0.03 else "right" for _ in range(150)]
        trial = Trial(Terms(floor=0.5, cases=150), 0.025, is_compared=True)
        passed += play(trial, outcomes, ["right"] * 150) == "passed"
    assert passed >= 80


# -- the comparison ---------------------------------------------------------------------------------------------------


def test_a_rung_that_is_hardly_ever_wrong_is_as_good_as_any_and_nobody_else_is_asked():
    """Wrong in two of a hundred it cannot be worse by ten in a hundred, whatever the reference says."""
    truth = {"nano": of(1, right=98, wrong=2), "mini": ["right"] * 100, "best": ["right"] * 100}
    decision, asked = climb(truth, Terms(floor=0.8, cases=100), reference="best")

    assert decision.chosen == "nano"
    assert asked["best"] == 0
    assert (decision.rungs[0].compared, decision.rungs[0].losses) == (0, 0)
    assert decision.rungs[0].score > decision.rungs[0].looks[-1].bound
    assert "0 better, 0 worse of 0 compared, at worst T = " in render_record("triage", decision)


def test_the_reference_is_asked_about_what_the_rung_has_wrong_and_about_no_more_where_that_settles_it():
    """Wrong in 7 of 100, and the reference in the same ones: no case is lost."""
    nano = of(1, right=93, wrong=7)
    truth = {"nano": nano, "mini": nano, "best": nano}
    decision, asked = climb(truth, Terms(floor=0.8, cases=100), reference="best")

    assert decision.chosen == "nano"
    assert 3 <= asked["best"] <= 7
    assert decision.rungs[0].losses == 0
    assert decision.rungs[2].surplus == asked["best"]
    assert decision.calls == asked["best"] + asked["nano"]


def test_the_reference_is_asked_about_what_the_rung_has_right_at_the_last_look_alone():
    """Ten losses are too many without a win, and few enough with two of eight: the rest need not be asked."""
    nano, best = ["right"] * 150, ["right"] * 150
    order = Random(4).sample(range(150), 18)
    for case in order[:10]:
        nano[case] = "wrong"
    for case in order[10:]:
        best[case] = "wrong"
    decision, asked = climb({"nano": nano, "best": best}, Terms(floor=0.8, cases=150), reference="best", at_once=1)

    assert decision.chosen == "nano"
    assert [look.wins for look in decision.rungs[0].looks[:-1]] == [0, 0]
    assert decision.rungs[0].wins == 2
    assert 12 < asked["best"] < 100


def test_a_rung_that_does_not_show_the_floor_is_compared_with_nothing():
    truth = {"nano": of(1, right=60, wrong=40), "best": ["right"] * 100}
    ladder = Ladder(Terms(floor=0.8, cases=100), list(truth), reference="best")
    while (wanted := ladder.wanted())[0] == "nano":
        for case in wanted[1]:
            ladder.observe("nano", case, truth["nano"][case])

    assert wanted == ("best", (0,))
    assert not ladder._trials[0].compared


def test_neither_the_reference_nor_the_last_rung_is_compared():
    """A reference in the middle of the ladder: what is locked today, say."""
    truth = {"nano": ["wrong"] * 100, "mini": of(2, right=92, wrong=8), "best": ["right"] * 100}
    decision, asked = climb(truth, Terms(floor=0.8, cases=100), reference="mini")

    assert decision.chosen == "mini"
    assert asked["best"] == 0
    assert decision.rungs[1].score is None
    assert "is it" in render_record("triage", decision)
    last, _ = climb(truth | {"mini": ["wrong"] * 100}, Terms(floor=0.8, cases=100), reference="mini")
    assert (last.chosen, last.rungs[2].score) == ("best", None)


def test_what_was_not_compared_is_said_with_how_many_cases_would_show_it():
    nano = of(5, right=90, wrong=10)
    best = ["right"] * 100
    decision, _ = climb({"nano": nano, "mini": nano, "best": best}, Terms(floor=0.6, cases=100), reference="best")
    few = msgspec.structs.replace(
        decision.rungs[0], losses=6, wins=2, compared=100, reason="non-inferiority", needed=130
    )
    record = render_record("triage", msgspec.structs.replace(decision, rungs=(few, *decision.rungs[1:])))

    assert decision.chosen == "best"
    assert "`nano` was better in 2 and worse in 6 of 100 cases: if that is what it is, about 130 cases" in record


@given(seed=st.integers(0, 10_000), nano=st.floats(0.8, 1.0), best=st.floats(0.8, 1.0), alike=st.floats(0.0, 1.0))
@settings(max_examples=100)
def test_a_rung_that_passes_would_pass_with_all_of_the_reference_known(seed, nano, best, alike):
    chance = Random(seed)
    luck = [chance.random() for _ in range(100)]
    mine = ["right" if (one if chance.random() < alike else chance.random()) < nano else "wrong" for one in luck]
    theirs = ["right" if one < best else "wrong" for one in luck]
    terms = Terms(floor=0.6, cases=100)
    trial = Trial(terms, 0.025, is_compared=True)
    if play(trial, mine, theirs) != "passed":
        return
    seen = list(zip(mine[: trial.asked], theirs, strict=False))
    losses, wins = seen.count(("wrong", "right")), seen.count(("right", "wrong"))
    assert tango_score(losses, wins, trial.asked, terms.margin) >= trial.looks[-1].bound
    assert trial.losses <= losses <= trial.losses + len(seen) - trial.compared


def test_what_is_asked_first_because_it_is_wrong_is_no_evidence_before_its_turn():
    """Ten wrong in a row at the end: as evidence looked at first they would be the end of the rung."""
    outcomes = ["right"] * 103 + ["wrong"] * 10
    trial = Trial(Terms(floor=0.5, cases=150), 0.025, is_compared=True)
    while next(trial.awaited(), None) is None:
        trial.observe(outcomes[trial.asked])
    assert trial.asked == 112
    while (case := next(trial.awaited(), None)) is not None:
        assert case >= 103
        trial.compare("right")
    assert trial.losses >= 3
    assert trial.futility is None
    assert trial.verdict is None


def test_an_arm_that_disagrees_too_much_is_never_taken_for_as_good():
    """A reference that is wrong nearly everywhere: more wins than there may be disagreements change nothing."""
    trial = Trial(Terms(floor=0.1, cases=60, margin=0.3), 0.025, is_compared=True)
    assert play(trial, ["wrong"] * 32 + ["right"] * 28, ["right"] * 32 + ["wrong"] * 28) in ("failed", "inconclusive")
    assert trial.reason in ("non-inferiority", "futility")


# -- answers that come too late ---------------------------------------------------------------------------------------


def test_a_rung_that_is_good_enough_and_too_slow_is_left():
    """Right in four of five is above the bar; that the others were late is shown to be more than one in twenty."""
    truth = {"nano": of(6, right=80, late=20), "mini": ["right"] * 100, "best": ["right"] * 100}
    decision, _ = climb(truth, Terms(floor=0.6, cases=100))

    assert decision.chosen == "mini"
    assert (decision.rungs[0].verdict, decision.rungs[0].reason) == ("failed", "latency")
    assert decision.rungs[0].late > 0
    record = render_record("triage", decision)
    assert "failed (latency)" in record
    assert f"{decision.rungs[0].late} late" in record
    assert "`nano` was too slow" in record


def test_a_few_late_answers_are_wrong_and_nothing_more():
    decision, _ = climb({"nano": of(6, right=96, late=4), "best": ["right"] * 100}, Terms(floor=0.8, cases=100))
    assert decision.chosen == "nano"


def test_where_the_last_rung_is_too_slow_none_is_chosen():
    outcomes = of(6, right=80, late=20)
    decision, _ = climb({"nano": outcomes, "best": outcomes}, Terms(floor=0.7, cases=100))

    assert decision.chosen == ""
    assert decision.rungs[1].reason == "latency"


def test_a_case_that_must_pass_must_do_so_in_time():
    truth = {"nano": ["late", *["right"] * 99], "best": ["right"] * 100}
    decision, _ = climb(truth, Terms(floor=0.8, cases=100), must_pass=[0])
    assert (decision.chosen, decision.rungs[0].reason) == ("best", "must pass")
