"""Evidence that may be looked at at any time: its promise is simulated, looked at after every case."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.evals.statistics import (
    CanarySequence,
    DifferenceSequence,
    Tally,
    always_valid_interval,
    evidence_above,
    evidence_below,
    futility,
)
from headworks.evals.statistics.betting import FUTILITY_STAKES


def differences(chance, cases, *, loss, win):
    return chance.choices((-1, 0, 1), weights=(loss, 1 - loss - win, win), k=cases)


def slack(rate, runs):
    """What chance adds to a rate in so many runs, three standard deviations of it."""
    return 3 * math.sqrt(rate * (1 - rate) / runs)


@given(losses=st.integers(0, 300), wins=st.integers(0, 300), ties=st.integers(0, 300))
def test_futility_is_the_mean_of_the_products_over_the_stakes(losses, wins, ties):
    products = [(1 - stake) ** wins * (1 + stake) ** losses for stake in FUTILITY_STAKES]
    assert futility(losses, wins, losses + wins + ties) == pytest.approx(sum(products) / 12, rel=1e-9)


@given(win=st.floats(0.001, 0.4), tolerance=st.sampled_from([0.0, 0.025, 0.05]))
def test_a_bet_on_a_game_at_the_edge_gains_nothing_on_average(win, tolerance):
    """After one case: the expectation over what may come is what there was."""
    loss = win + tolerance
    each = [futility(1, 0, 1, tolerance), futility(0, 1, 1, tolerance), futility(0, 0, 1, tolerance)]
    assert loss * each[0] + win * each[1] + (1 - win - loss) * each[2] == pytest.approx(1)
    above = [evidence_above({value: 1}, -tolerance) for value in (-1, 1, 0)]
    assert loss * above[0] + win * above[1] + (1 - win - loss) * above[2] == pytest.approx(1)


def stops_as_futile(chance, cases, beta, *, tolerance=0.0, **shares):
    losses = wins = 0
    for number, difference in enumerate(differences(chance, cases, **shares), 1):
        losses += difference < 0
        wins += difference > 0
        if futility(losses, wins, number, tolerance) >= 1 / beta:
            return True
    return False


@pytest.mark.uncounted
@pytest.mark.parametrize("tolerance", [0.0, 0.05])
@pytest.mark.parametrize("share", [0.01, 0.04, 0.2])
def test_a_candidate_that_is_good_enough_is_left_no_more_often_than_beta(share, tolerance):
    chance, runs = Random(11), 400
    stopped = sum(
        stops_as_futile(chance, 200, 0.1, tolerance=tolerance, loss=share + tolerance, win=share) for _ in range(runs)
    )
    assert stopped / runs <= 0.1 + slack(0.1, runs)


def test_a_candidate_twenty_points_worse_is_left_soon():
    chance = Random(12)
    for tolerance, cases in ((0.0, 100), (0.05, 150)):
        left = sum(stops_as_futile(chance, cases, 0.1, tolerance=tolerance, loss=0.22, win=0.02) for _ in range(100))
        assert left >= 97


def misses(sequence, drawn, mean):
    """Whether any of the intervals, looked at again and again, misses the mean."""
    for number, difference in enumerate(drawn):
        sequence.observe(difference)
        if number % 11 == 0:
            low, high = sequence.interval()
            if not low <= mean <= high:
                return True
    return False


@pytest.mark.uncounted
@pytest.mark.parametrize(("loss", "win"), [(0.05, 0.05), (0.2, 0.1), (0.01, 0.0)])
def test_the_intervals_of_a_paired_sequence_miss_the_mean_no_more_often_than_alpha(loss, win):
    chance, runs = Random(13), 40
    missed = sum(
        misses(DifferenceSequence(0.2), differences(chance, 200, loss=loss, win=win), win - loss) for _ in range(runs)
    )
    assert missed / runs <= 0.2 + slack(0.2, runs)


def ever_above(chance, cases, alpha):
    """Whether a canary that is exactly as good is ever called better, looked at after every call."""
    canary = CanarySequence(baseline_per_canary=3, alpha=alpha)
    share = 0.9
    for _ in range(cases):
        share = min(0.95, max(0.5, share + chance.uniform(-0.02, 0.02)))  # moves for both arms alike
        canary.observe_canary(chance.random() < share)
        for _ in range(3):
            canary.observe_baseline(chance.random() < share)
        if canary.sequence.evidence_above(0.0) >= 1 / alpha:
            return True
    return False


@pytest.mark.uncounted
def test_a_canary_that_is_no_better_is_rarely_called_better_though_both_arms_drift():
    chance, runs = Random(14), 200
    assert sum(ever_above(chance, 150, 0.1) for _ in range(runs)) / runs <= 0.1 + slack(0.1, runs)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_both_promises_hold_over_many_more_runs():
    chance, runs = Random(15), 4_000
    assert sum(ever_above(chance, 300, 0.05) for _ in range(runs)) / runs <= 0.05
    assert sum(stops_as_futile(chance, 200, 0.1, loss=0.05, win=0.05) for _ in range(10_000)) / 10_000 <= 0.1


def test_a_sequence_gets_narrower_and_holds_what_was_seen():
    sequence, widths = DifferenceSequence(), []
    assert (sequence.interval(), sequence.mean, sequence.seen) == ((-1.0, 1.0), 0.0, 0)
    for difference in differences(Random(16), 600, loss=0.05, win=0.05):
        sequence.observe(difference)
        if sequence.seen % 50 == 0:
            low, high = sequence.interval()
            assert low <= sequence.mean <= high
            widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.15
    assert sequence.evidence_below(0.5) > 1e6 < sequence.evidence_above(-0.5)


@given(
    drawn=st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60),
    order=st.randoms(use_true_random=False),
)
def test_evidence_does_not_depend_on_the_order_and_turns_with_the_sign(drawn, order):
    counts = {value: drawn.count(value) for value in (-1, 0, 1)}
    turned = {value: drawn.count(-value) for value in (-1, 0, 1)}
    shuffled = DifferenceSequence()
    for one in order.sample(drawn, len(drawn)):
        shuffled.observe(one)

    assert shuffled.evidence_above(0.1) == pytest.approx(evidence_above(counts, 0.1))
    assert evidence_below(counts, 0.1) == pytest.approx(evidence_above(turned, -0.1))


def test_a_difference_of_more_than_one_and_a_canary_without_baseline_are_refused():
    with pytest.raises(ValueError, match="between -1 and 1"):
        DifferenceSequence().observe(2)
    with pytest.raises(ValueError, match="at least one call"):
        CanarySequence(baseline_per_canary=0)


def test_a_canary_is_set_against_its_group_of_the_baseline_in_whatever_order_they_come():
    canary = CanarySequence(baseline_per_canary=2)
    canary.observe_baseline(True)
    canary.observe_canary(True)
    canary.observe_canary(False)
    assert canary.sequence.seen == 0

    for is_good in (False, True, True):
        canary.observe_baseline(is_good)

    assert (canary.sequence.seen, canary.sequence.mean) == (2, pytest.approx((0.5 - 1.0) / 2))


def rates_missed(chance, first, second, alpha):
    """Whether intervals of two rates, looked at as answers of two arms come in turn, ever miss the difference."""
    goods, cases = [0, 0], [0, 0]
    for number in range(300):
        arm = int(number % 4 == 0)
        cases[arm] += 1
        goods[arm] += chance.random() < (first, second)[arm]
        if number % 10 == 9:
            low, high = always_valid_interval(Tally(goods[0], cases[0]), Tally(goods[1], cases[1]), alpha)
            if not low <= second - first <= high:
                return True
    return False


@pytest.mark.uncounted
@pytest.mark.parametrize(("first", "second"), [(0.9, 0.9), (0.5, 0.7), (1.0, 0.97)])
def test_intervals_of_two_rates_miss_the_difference_no_more_often_than_alpha(first, second):
    chance, runs = Random(17), 30
    assert sum(rates_missed(chance, first, second, 0.2) for _ in range(runs)) / runs <= 0.2 + slack(0.2, runs)
