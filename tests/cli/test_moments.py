import argparse
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.cli.moments import clock, day, duration, iso, moment, parse_duration

NOON = 1_795_435_200.0  # 2026-11-23 12:00 UTC


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1.5h", 5400), ("30d", 2_592_000), ("4w", 2_419_200), ("0s", 0)]
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 minutes", "1e9d", "5mm", "\u0661d", "1.2.3d"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "sign", "seconds"),
    [
        ("1h", 1, NOON + 3600),
        ("1h", -1, NOON - 3600),
        ("2026-11-23", 1, NOON - 43_200),
        ("2026-11-23T12:00", -1, NOON),
        ("2026-11-23T13:00:00+01:00", 1, NOON),
        ("2026-11-23T12:00:00Z", 1, NOON),
    ],
)
def test_moments_are_durations_from_now_or_dates(text, sign, seconds):
    assert moment(text, now=lambda: NOON, sign=sign) == seconds


@given(st.text(max_size=20))
def test_no_text_does_harm(text):
    with contextlib.suppress(argparse.ArgumentTypeError):
        assert isinstance(moment(text, now=lambda: NOON, sign=1), float)


def test_times_are_shown_in_utc():
    assert iso(NOON + 0.25) == "2026-11-23T12:00:00.250Z"
    assert iso(None) is None
    assert day(NOON) == "2026-11-23 12:00"
    assert day(None) == "-"
    assert clock(NOON, now=NOON + 60) == "12:00:00"
    assert clock(NOON, now=NOON + 86_400) == "2026-11-23 12:00:00"


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [
        (0, "-"),
        (843, "843us"),
        (12_400, "12.4ms"),
        (312_000, "312ms"),
        (999_499, "999ms"),
        (999_500, "1.00s"),
        (1_240_000, "1.24s"),
        (12_340_000, "12.3s"),
        (59_949_000, "59.9s"),
        (59_951_000, "1m00s"),
        (123_000_000, "2m03s"),
        (3_660_000_000, "1h01m"),
    ],
)
def test_durations_are_shown_to_about_three_digits(microseconds, shown):
    assert duration(microseconds) == shown
