import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.limits import forecast


def use(days, first, growth, *, weekend=1.0, noise=0.0, seed=1):
    """Hours of a working day: little at night, a peak at noon."""
    chance = random.Random(seed)
    hours = []
    for day in range(days):
        peak = (first + growth * day) * (weekend if day % 7 >= 5 else 1.0) * (1 + noise * chance.uniform(-1, 1))
        hours += [peak * (1.0 if hour == 12 else 0.4) for hour in range(24)]
    return hours


def test_even_growth_is_forecast_exactly():
    seen = forecast(use(10, 100, 10), 390)

    assert (seen.peak, seen.growth_per_day) == (pytest.approx(190), pytest.approx(10))
    assert seen.hit_in_days == pytest.approx(20)
    assert seen.ask_for >= (190 + 900) * 1.25
    assert str(seen).startswith("in 20 days (between 20 days and 20 days); ask for 1,4")


def test_weekends_are_no_fall():
    seen = forecast(use(28, 100, 2, weekend=0.3), 250)

    assert seen.growth_per_day == pytest.approx(2, rel=0.1)
    assert seen.hit_in_days == pytest.approx((250 - 154) / 2, rel=0.2)


def test_wild_days_do_not_move_the_trend_far():
    hourly = use(28, 100, 2)
    for day in (3, 9, 20):
        hourly[24 * day + 12] = 5_000

    assert forecast(hourly, 250).growth_per_day == pytest.approx(2, rel=0.3)


def test_the_interval_has_what_comes_about_most_of_the_time():
    hits = 0
    for seed in range(100):
        seen = forecast(use(28, 1_000, 10, noise=0.1, seed=seed), 1_700)
        real = (1_700 - 1_270) / 10
        hits += (seen.earliest_days or 90) * 0.8 <= real <= (seen.latest_days or 90) * 1.25

    assert hits >= 75


def test_what_does_not_grow_is_not_hit_and_what_is_hit_is_said():
    assert str(forecast(use(10, 100, 0), 200)) == "not within 90 days"
    assert forecast(use(10, 100, 0), 200).ask_for is None
    assert str(forecast(use(10, 100, 0), 90)) == "hit already; ask for 130"


def test_a_few_days_say_nothing():
    assert forecast(use(3, 100, 10), 200) is None


@given(st.lists(st.floats(0, 1e9), max_size=24 * 30), st.floats(1, 1e9))
def test_whatever_was_seen_the_days_are_in_order(hourly, limit):
    seen = forecast(hourly, limit)

    if seen is not None:
        far = 1e9
        days = [seen.earliest_days, seen.hit_in_days, seen.latest_days]
        assert [far if day is None else day for day in days] == sorted(far if day is None else day for day in days)
        assert seen.ask_for is None or seen.ask_for >= limit
        assert str(seen)
