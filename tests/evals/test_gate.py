"""The one word that a change gets: when it is which, how often it errs, and what it says."""

from random import Random

import pytest

from headworks.evals.comparing import Case
from headworks.evals.gate import EXIT_CODES, judge, usual_margin


def cases(*, both=0, losses=0, wins=0, invalid=0, **of_losses):
    kinds = [("right", "right")] * both + [("wrong", "right")] * wins + [("right", "invalid")] * invalid
    found = [Case(case_id=f"k{n}", reference=old, candidate=new) for n, (old, new) in enumerate(kinds)]
    lost = [Case(case_id=f"l{n}", reference="right", candidate="wrong", **of_losses) for n in range(losses)]
    return [*found, *lost]


@pytest.mark.parametrize(
    ("given", "word", "reason"),
    [
        ({"both": 50}, "not worse", "if it is worse, then by less than 10%, with an error of at most 5%"),
        ({"both": 46, "wins": 6}, "not worse", "better"),
        ({"both": 4, "wins": 146}, "not worse", "better"),
        ({"both": 40, "losses": 10}, "worse", "right before and wrong now: 10, the other way round: 0"),
        ({"both": 99, "losses": 1, "must_pass": True}, "worse", "1 case that must pass does not"),
        ({"both": 10}, "too thin", "10 cases with 0 lost and 0 won show neither that it is worse nor that"),
        ({"both": 48, "losses": 2}, "too thin", "about 62 would, four times in five"),
        ({"both": 50, "invalid": 10}, "too thin", "10 cases came to no outcome: nobody knows"),
        ({}, "too thin", "no case was asked of both"),
    ],
)
def test_a_word_is_given_with_its_reason(given, word, reason):
    found = judge(cases(**given), margin=0.1)

    assert found.word == word
    assert reason in found.reasons[0]


def test_a_scorer_that_may_not_decide_decides_nothing():
    assert judge(cases(both=40, losses=10), margin=0.1, may_gate=False).word == "too thin"


def test_a_regression_that_is_shown_is_not_excused_by_what_is_invalid():
    assert judge(cases(both=40, losses=10, invalid=10), margin=0.1).word == "worse"


def test_each_word_has_an_exit_code_and_none_is_that_of_wrong_usage():
    assert EXIT_CODES == {"not worse": 0, "worse": 1, "too thin": 3}


def test_the_usual_margin_is_what_a_set_can_see():
    assert (usual_margin(199), usual_margin(200)) == (0.1, 0.05)


def simulated(chance, count, *, lose, win):
    outcomes = {"loss": ("right", "wrong"), "win": ("wrong", "right"), "both": ("right", "right")}
    kinds = chance.choices(list(outcomes), weights=[lose, win, 1 - lose - win], k=count)
    return [Case(case_id=str(n), reference=outcomes[k][0], candidate=outcomes[k][1]) for n, k in enumerate(kinds)]


def test_a_change_that_is_worse_by_the_margin_seldom_passes_and_one_that_changes_nothing_is_seldom_blamed():
    """300 runs each; 5 % of them are 15, and of as many as 26 the probability is below 0.5 %."""
    chance = Random(5)
    worse = [judge(simulated(chance, 100, lose=0.12, win=0.02), margin=0.1).word for _ in range(300)]
    same = [judge(simulated(chance, 100, lose=0.03, win=0.03), margin=0.1).word for _ in range(300)]

    assert worse.count("not worse") <= 26
    assert worse.count("worse") >= 240
    assert same.count("worse") <= 26
    assert same.count("not worse") >= 200
