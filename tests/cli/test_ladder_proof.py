"""The ladder of `headworks select`, end to end, on tiers of known quality."""

import pytest

from tests.cli.ladder_proof import BAR, CASES, MARGIN, SCENARIOS, play

GOOD, MINI, NONE, AT_THE_BAR, AT_THE_MARGIN, *_ = SCENARIOS


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=lambda scenario: scenario.name)
def test_the_cheapest_tier_that_is_good_enough_is_chosen_and_calls_are_saved(scenario):
    """One seed in CI: docs/explanation/evals-proof.md has the figures of two hundred."""
    played = play(scenario, 1)

    assert played.chosen in scenario.best
    assert played.calls + played.saved == 3 * CASES
    assert played.saved >= 0.3 * 3 * CASES


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("scenario", "most_wrong", "least_saved"),
    [(GOOD, 0.03, 0.67), (MINI, 0.03, 0.58), (NONE, 0.0, 0.60)],
    ids=lambda value: getattr(value, "name", None),
)
def test_over_two_hundred_seeds_few_decisions_are_wrong_and_most_calls_are_saved(scenario, most_wrong, least_saved):
    played = [play(scenario, seed) for seed in range(1, 201)]

    assert sum(one.chosen not in scenario.best for one in played) <= most_wrong * 200
    assert sum(one.saved for one in played) >= least_saved * 200 * 3 * CASES


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", [AT_THE_BAR, AT_THE_MARGIN], ids=lambda scenario: scenario.name)
def test_tiers_exactly_at_the_bar_or_the_margin_are_chosen_no_more_often_than_alpha(scenario):
    """By more than two standard deviations above 5 % of two hundred, it would be no chance."""
    nano, mini, flagship = scenario.shares
    assert nano == mini
    assert nano == BAR or flagship - nano == pytest.approx(MARGIN)
    chosen = [play(scenario, seed).chosen for seed in range(1, 201)]
    assert sum(one in ("nano", "mini") for one in chosen) <= 0.05 * 200 + 2 * (200 * 0.05 * 0.95) ** 0.5
