"""Use by the hour against limits by the minute and by the day."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import NO_LIMITS, Limits
from headworks.limits.headroom import HOUR_S, HourUse, headroom_of

DAY_S = 24 * HOUR_S
NOW_S = 1_000 * DAY_S + 1_800.0  # half an hour into a day


def hours_ago(**calls):
    """Use by hour: `h3=60` are 60 calls of ten tokens, three hours ago."""
    now_s = int(NOW_S) // HOUR_S * HOUR_S
    return {now_s - int(name[1:]) * HOUR_S: HourUse(count, 10 * count) for name, count in calls.items()}


def growing(days, first, growth):
    """A busy noon every day until today, of so many calls a minute."""
    today_s = int(NOW_S) // DAY_S * DAY_S
    return {
        today_s - (days - day) * DAY_S + 12 * HOUR_S: HourUse(60 * (first + growth * day), 0) for day in range(days)
    }


def test_the_peak_of_a_minute_is_the_mean_of_its_busiest_hour():
    (found,) = headroom_of(hours_ago(h5=600, h3=1200), Limits(requests_per_minute=50), now_s=NOW_S)

    assert (found.kind, found.limit, found.peak, found.left, found.hours) == ("rpm", 50, 20.0, 30.0, 6)
    assert NOW_S - found.peak_hour_s == 3 * HOUR_S + 1_800
    assert str(found) == "too little seen: four days are needed"


def test_the_peak_of_a_day_is_the_largest_sum_of_24_hours_wherever_they_begin():
    limits = Limits(requests_per_day=1000, tokens_per_day=10_000)
    requests, tokens = headroom_of(hours_ago(h40=100, h30=500, h17=300, h2=50), limits, now_s=NOW_S)

    assert (requests.peak, tokens.peak) == (900.0, 9_000.0)
    assert (requests.left, tokens.left) == (100.0, 1_000.0)


def test_growth_is_told_in_the_unit_of_the_limit():
    (found,) = headroom_of(growing(14, 100, 10), Limits(requests_per_minute=400), now_s=NOW_S)

    assert found.forecast.growth_per_day == pytest.approx(10)
    assert found.is_hit_within(30)
    assert not found.is_hit_within(5)
    assert "ask for" in str(found)


def test_what_came_before_the_first_call_is_no_growth():
    (found,) = headroom_of(growing(6, 100, 0), Limits(requests_per_minute=400), now_s=NOW_S)

    assert str(found) == "not within 90 days"


def test_a_limit_that_was_met_is_hit_already_even_if_little_was_seen():
    (found,) = headroom_of(hours_ago(h1=6_000), Limits(requests_per_minute=90), now_s=NOW_S)

    assert (found.left, str(found)) == (0.0, "hit already")
    assert found.is_hit_within(1)


def test_where_nothing_is_limited_the_rates_are_told_and_nothing_is_forecast():
    rpm, tpm = headroom_of(growing(14, 100, 10), NO_LIMITS, now_s=NOW_S)

    assert (rpm.kind, rpm.peak, tpm.kind) == ("rpm", 230.0, "tpm")
    assert (str(rpm), rpm.left, rpm.is_hit_within(90)) == ("no limit configured", None, False)


def test_what_was_never_called_has_all_of_its_limit():
    (found,) = headroom_of({}, Limits(tokens_per_minute=100), now_s=NOW_S)

    assert (found.peak, found.left) == (0.0, 100.0)


@given(st.dictionaries(st.integers(0, 80), st.integers(0, 10_000), max_size=40))
def test_a_days_peak_is_what_counting_finds(calls):
    now_s = int(NOW_S) // HOUR_S * HOUR_S
    hours = {now_s - ago * HOUR_S: HourUse(count) for ago, count in calls.items()}
    (found,) = headroom_of(hours, Limits(requests_per_day=1), now_s=NOW_S)

    counted = max(sum(calls.get(end + hour, 0) for hour in range(24)) for end in range(81))
    assert found.peak == counted
