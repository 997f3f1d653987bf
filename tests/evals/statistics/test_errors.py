"""No test errs more often than it says: every outcome enumerated by numpy, for 50 to 200 cases, at the bar itself."""

import math
from functools import lru_cache

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from headworks.evals.statistics import (
    allowed_errors,
    exact_bound,
    floor_passes,
    floor_plan,
    floor_successes,
    is_as_good,
    is_shown_as_good,
    look_places,
    mcnemar_exact,
    mcnemar_midp,
    mcnemar_power,
    paired_bounds,
    spending_bounds,
    tango_score,
)


def long(values):
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


@lru_cache(maxsize=64)
def passing(cases, margin, bound):
    """Which outcomes show non-inferiority, by losses and wins."""
    return np.array(
        [
            [
                losses + wins <= cases and is_as_good(losses, wins, cases, margin=margin, bound=bound)
                for wins in range(cases + 1)
            ]
            for losses in range(cases + 1)
        ]
    )


def false_passes(cases, margin, bound, win):
    """How probable it is that a candidate worse by the margin passes."""
    losses, wins = np.meshgrid(np.arange(cases + 1), np.arange(cases + 1), indexing="ij")
    shown = passing(cases, margin, bound)
    losses, wins = losses[shown], wins[shown]
    rest = cases - losses - wins
    logs = special.gammaln(cases + 1) - sum(special.gammaln(one + 1) for one in (losses, wins, rest))
    logs += special.xlogy(losses, win + margin) + special.xlogy(wins, win)
    logs += special.xlogy(rest, max(0.0, 1 - 2 * win - margin))
    return np.exp(logs).sum()


@pytest.mark.uncounted
@pytest.mark.parametrize("cases", [*range(50, 201, 25), *long(range(51, 201, 3))])
@pytest.mark.parametrize(("margin", "alpha"), [(0.1, 0.05), (0.1, 0.025), (0.05, 0.0125)])
def test_non_inferiority_is_never_shown_more_often_than_alpha_at_the_margin(cases, margin, alpha):
    """Over the whole nuisance parameter, on a grid that is not the bound's own; a lower bound would not do."""
    bound = exact_bound(cases, margin, alpha)
    wins = [(1 - margin) / 2 * (step / 61.3) ** 2 for step in range(62)]

    assert max(false_passes(cases, margin, bound, win) for win in wins) <= alpha
    assert max(false_passes(cases, margin, bound - 0.2, win) for win in wins) > alpha


@pytest.mark.uncounted
@pytest.mark.parametrize("cases", [50, 100, *long(range(60, 201, 20))])
@pytest.mark.parametrize(("margin", "alpha"), [(0.1, 0.05), (0.05, 0.0125), (0.02, 0.05)])
def test_arms_that_disagree_nearly_everywhere_may_be_shown_to_be_better_and_alpha_is_kept(cases, margin, alpha):
    """The whole nuisance parameter again, and near a half of the cases, where the two tests meet, in small steps."""
    losses, wins = np.meshgrid(np.arange(cases + 1), np.arange(cases + 1), indexing="ij")
    shown = np.array(
        [
            [
                lost + won <= cases and is_shown_as_good(lost, won, cases, margin=margin, alpha=alpha)
                for won in range(cases + 1)
            ]
            for lost in range(cases + 1)
        ]
    )
    lost, won = losses[shown], wins[shown]
    rest = cases - lost - won
    ways = special.gammaln(cases + 1) - sum(special.gammaln(one + 1) for one in (lost, won, rest))
    most = (1 - margin) / 2
    for win in [
        *(most * (step / 40) ** 2 for step in range(41)),
        *(0.25 - margin / 2 + n / 400 for n in range(-20, 21)),
    ]:
        logs = ways + special.xlogy(lost, win + margin) + special.xlogy(won, win)
        assert np.exp(logs + special.xlogy(rest, max(0.0, 1 - 2 * win - margin))).sum() <= alpha

    assert shown[0, cases]
    assert not shown[cases // 3, cases // 3 + 1]


@pytest.mark.parametrize("cases", [301, 400])
def test_above_what_is_followed_exactly_the_bounds_are_still_high_enough(cases):
    for margin, alpha in ((0.1, 0.05), (0.05, 0.0125)):
        bound = exact_bound(cases, margin, alpha)
        assert max(false_passes(cases, margin, bound, (1 - margin) / 2 * (i / 40) ** 2) for i in range(41)) <= alpha


def ever_shown(cases, margin, bounds, win, *, is_lazy=False):
    """How probable it is that a candidate worse by the margin passes at any look: case by case, from one array of all
    outcomes to the next.

    Arguments:
        is_lazy: an outcome passes, too, where it would with fewer of its wins: those that nobody has asked about.
    """
    chance, total = np.zeros((cases + 1, cases + 1)), 0.0
    chance[0, 0] = 1.0
    places = look_places(cases)
    for asked in range(1, cases + 1):
        arrived = chance * max(0.0, 1 - 2 * win - margin)
        arrived[1:, :] += chance[:-1, :] * (win + margin)
        arrived[:, 1:] += chance[:, :-1] * win
        chance = arrived
        if asked in places:
            here = chance[: asked + 1, : asked + 1]
            now = passing(asked, margin, bounds[places.index(asked)])
            if is_lazy:
                now = np.logical_or.accumulate(now, axis=1)
            total += here[now].sum()
            here[now] = 0.0
    return total


@pytest.mark.uncounted
@pytest.mark.parametrize("cases", [50, 77, 100, *long(range(110, 201, 10))])
@pytest.mark.parametrize(("margin", "alpha"), [(0.1, 0.05), (0.05, 0.025)])
def test_looking_three_times_shows_non_inferiority_no_more_often_than_alpha_at_the_margin(cases, margin, alpha):
    bounds = paired_bounds(look_places(cases), margin, allowed_errors(cases, alpha))
    errors = [ever_shown(cases, margin, bounds, (1 - margin) / 2 * (step / 23.7) ** 2) for step in range(24)]

    assert 0.6 * alpha < max(errors) <= alpha


@pytest.mark.uncounted
@pytest.mark.parametrize("cases", [50, 77, 100, *long(range(110, 201, 10))])
@pytest.mark.parametrize(("margin", "alpha"), [(0.1, 0.05), (0.1, 0.025), (0.05, 0.025)])
def test_nor_where_the_reference_is_asked_about_no_more_than_it_takes(cases, margin, alpha):
    """What the ladder does: it knows each loss that counts, and as many wins as are asked about. So an arm passes that
    has more wins than an arm may that is never taken for as good."""
    bounds = paired_bounds(look_places(cases), margin, allowed_errors(cases, alpha))
    shares = [(1 - margin) / 2 * (step / 23.7) ** 2 for step in range(24)]
    errors = [ever_shown(cases, margin, bounds, win, is_lazy=True) for win in shares]

    assert max(errors) <= alpha
    assert max(errors) >= max(ever_shown(cases, margin, bounds, win) for win in shares)


@given(cases=st.integers(2, 200), data=st.data(), margin=st.sampled_from([0.02, 0.05, 0.1, 0.2]))
def test_the_score_grows_with_wins_and_falls_with_losses_and_a_further_tie_takes_no_pass_away(cases, data, margin):
    """What exactness at the border of the hypothesis rests on, and curtailment."""
    losses = data.draw(st.integers(0, cases // 2))
    wins = data.draw(st.integers(0, cases // 2 - losses))
    score = tango_score(losses, wins, cases, margin)

    assert tango_score(losses, wins + 1, cases, margin) >= score - 1e-9
    assert losses == 0 or tango_score(losses - 1, wins, cases, margin) >= score - 1e-9
    assert score < 1.6 or tango_score(losses, wins, cases + 1, margin) >= score - 1e-9


def ever_passes(plan, share):
    """How probable it is to pass a plan, case after case."""
    chance, total = np.array([1.0]), 0.0
    for asked in range(1, plan.cases + 1):
        chance = np.convolve(chance, [1 - share, share])
        if asked in plan.at:
            least = plan.passes[plan.at.index(asked)]
            total += chance[least:].sum()
            chance[least:] = 0.0
    return total


@pytest.mark.parametrize("floor", [0.8, 0.9])
@pytest.mark.parametrize("alpha", [0.05, 0.025])
def test_every_plan_for_fifty_to_two_hundred_cases_keeps_its_alpha_and_one_right_less_would_break_it(floor, alpha):
    for cases in range(50, 201):
        plan = floor_plan(cases, floor, alpha)
        assert plan.power(floor) == pytest.approx(ever_passes(plan, floor), abs=1e-12)
        assert ever_passes(plan, floor) <= alpha
        easier = msgspec.structs.replace(plan, passes=(*plan.passes[:-1], plan.passes[-1] - 1))
        assert ever_passes(easier, floor) > alpha


def test_where_cases_are_missing_the_plan_is_that_of_what_is_left():
    allowed = allowed_errors(100, 0.025)
    assert floor_passes((50, 75, 100), 0.85, allowed) == floor_plan(100, 0.85, 0.025).passes

    missing = msgspec.structs.replace(
        floor_plan(98, 0.85, 0.025), at=(49, 73, 98), passes=floor_passes((49, 73, 98), 0.85, allowed)
    )
    assert 0.01 < ever_passes(missing, 0.85) <= 0.025


@pytest.mark.uncounted
def test_a_set_of_ten_thousand_cases_is_planned_in_no_time():
    plan = floor_plan(10_000, 0.85, 0.025)
    assert plan.passes[-1] == pytest.approx(floor_successes(10_000, 0.85, 0.025), abs=10)
    assert plan.power(0.85) <= 0.025
    bounds = paired_bounds(look_places(10_000), 0.05, allowed_errors(10_000, 0.025))
    assert bounds == pytest.approx(spending_bounds(0.98 * 0.025), abs=0.03)


@pytest.mark.parametrize("is_midp", [True, False])
def test_the_power_of_mcnemars_test_is_that_of_every_outcome(is_midp):
    share = stats.multinomial(40, [0.2, 0.05, 0.75])
    p_value = mcnemar_midp if is_midp else mcnemar_exact
    every = math.fsum(
        share.pmf([losses, wins, 40 - losses - wins])
        for losses in range(41)
        for wins in range(41 - losses)
        if p_value(losses, wins) < 0.05
    )
    assert mcnemar_power(40, 0.05, win=0.05, loss=0.2, is_midp=is_midp) == pytest.approx(every, abs=1e-9)
    assert mcnemar_power(40, 0.05, win=0.0, loss=0.0) == 0.0


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_mcnemars_test_finds_a_regression_where_there_is_none_no_more_often_than_it_says(rate):
    """The exact one never; the mid-p one by a tenth at most."""
    for cases in range(50, 201, 10):
        assert mcnemar_power(cases, 0.05, win=rate, loss=rate, is_midp=False) <= 0.05
        assert mcnemar_power(cases, 0.05, win=rate, loss=rate) <= 0.055
