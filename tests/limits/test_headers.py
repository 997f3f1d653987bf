import datetime as dt
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.limits.headers import (
    NO_LIMITS,
    KindLimit,
    ProviderLimits,
    parse_duration,
    parse_limits,
    parse_retry_after,
    render_duration,
    render_limits,
)

NOW = 1_795_435_200.0


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(b"1s", 1), (b"6m0s", 360), (b"250ms", 0.25), (b"1h2m3.5s", 3723.5), (b"59", 59), (b"0.5", 0.5), (b"1d", 86_400),
     (b"1m6ms", 60.006), (b"", None), (b"soon", None), (b"-1s", None), (b"9e9", None), (b"99999999999s", None)],
)  # fmt: skip
def test_durations_are_read_in_every_form_that_providers_use(written, seconds):
    assert parse_duration(written) == seconds


@given(st.floats(0, 1e6))
def test_a_duration_that_was_written_is_read_as_long_enough_and_not_a_millisecond_too_long(seconds):
    read = parse_duration(render_duration(seconds).encode())

    assert seconds - 1e-6 <= read <= seconds + 0.001 + 1e-6


def test_openais_headers_are_read():
    limits = parse_limits(
        {
            b"x-ratelimit-limit-requests": b"60",
            b"x-ratelimit-remaining-requests": b"59",
            b"x-ratelimit-reset-requests": b"1s",
            b"x-ratelimit-limit-tokens": b"150000",
            b"x-ratelimit-remaining-tokens": b"149984",
            b"x-ratelimit-reset-tokens": b"6m0s",
        },
        NOW,
    )

    assert limits.requests == KindLimit(60, 59, 1.0)
    assert limits.tokens == KindLimit(150_000, 149_984, 360.0)


def test_anthropics_headers_are_read():
    limits = parse_limits(
        {
            b"anthropic-ratelimit-input-tokens-limit": b"50000",
            b"anthropic-ratelimit-input-tokens-remaining": b"0",
            b"anthropic-ratelimit-input-tokens-reset": dt.datetime.fromtimestamp(NOW + 30, dt.UTC)
            .isoformat()
            .replace("+00:00", "Z")
            .encode(),
            b"retry-after": b"30",
        },
        NOW,
    )

    assert limits.input_tokens == KindLimit(50_000, 0, 30.0)
    assert limits.output_tokens == KindLimit()
    assert limits.retry_after_s == 30.0


def test_mistral_and_cerebras_name_the_minute():
    mistral = {
        b"x-ratelimit-limit-req-minute": b"50",
        b"x-ratelimit-remaining-req-minute": b"49",
        b"x-ratelimit-limit-tokens-minute": b"50000",
        b"x-ratelimit-remaining-tokens-minute": b"47300",
    }
    assert parse_limits(mistral, NOW) == ProviderLimits(KindLimit(50, 49), KindLimit(50_000, 47_300))
    cerebras = {
        b"x-ratelimit-limit-requests-day": b"14400",
        b"x-ratelimit-limit-requests-minute": b"30",
        b"x-ratelimit-remaining-requests-minute": b"0",
        b"x-ratelimit-reset-requests-minute": b"12.5",
    }
    assert parse_limits(cerebras, NOW).requests == KindLimit(30, 0, 12.5)


def test_what_together_allows_a_second_is_a_sixtieth_of_a_minute_s():
    together = {
        b"x-ratelimit-limit": b"10",
        b"x-ratelimit-remaining": b"9",
        b"x-ratelimit-reset": b"1",
        b"x-tokenlimit-limit": b"3000",
        b"x-tokenlimit-remaining": b"0",
    }
    assert parse_limits(together, NOW) == ProviderLimits(KindLimit(600, 9, 1.0), KindLimit(180_000, 0))
    others = {name: value for name, value in together.items() if name.startswith(b"x-ratelimit")}
    assert parse_limits(others, NOW) == NO_LIMITS, "by these names alone others mean a day"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({b"retry-after": b"20", b"retry-after-ms": b"1500"}, 1.5),
        ({b"retry-after": b"20"}, 20.0),
        ({b"retry-after": email.utils.formatdate(NOW + 90, usegmt=True).encode()}, 90.0),
        ({b"retry-after": email.utils.formatdate(NOW - 90, usegmt=True).encode()}, 0.0),
        ({b"retry-after": b"tomorrow"}, None),
        ({b"retry-after": b"\xff"}, None),
        ({}, None),
    ],
)
def test_when_to_try_again_is_read_from_seconds_milliseconds_and_dates(headers, seconds):
    assert parse_retry_after(headers, NOW) == seconds


@pytest.mark.parametrize("ahead_s", [-3600.0, 0.0, 3600.0])
def test_dates_count_from_the_date_of_the_answer_and_not_from_a_clock_that_may_be_wrong(ahead_s):
    headers = {
        b"date": email.utils.formatdate(NOW, usegmt=True).encode(),
        b"retry-after": email.utils.formatdate(NOW + 90, usegmt=True).encode(),
        b"anthropic-ratelimit-requests-reset": dt.datetime.fromtimestamp(NOW + 30, dt.UTC).isoformat().encode(),
    }

    limits = parse_limits(headers, NOW + ahead_s)

    assert (limits.retry_after_s, limits.requests.reset_s) == (90.0, 30.0)


def test_a_date_of_the_answer_that_cannot_be_read_is_as_none():
    headers = {b"date": b"today", b"retry-after": email.utils.formatdate(NOW + 90, usegmt=True).encode()}

    assert parse_retry_after(headers, NOW) == 90.0


NAMES = [
    b"date",
    b"x-ratelimit-reset-tokens",
    b"x-ratelimit-remaining-tokens",
    b"anthropic-ratelimit-tokens-reset",
    b"retry-after",
    b"retry-after-ms",
]


@given(st.dictionaries(st.sampled_from(NAMES), st.binary()))
def test_no_header_however_broken_breaks_the_answer(headers):
    limits = parse_limits(headers, NOW)

    assert limits.tokens.remaining is None or limits.tokens.remaining >= 0


def test_an_answer_without_limits_says_nothing():
    assert parse_limits({b"content-type": b"application/json"}, NOW) is NO_LIMITS


def test_ours_are_written_as_openai_writes_them():
    assert render_limits(KindLimit(60, 0, 1.2), KindLimit(1000, -5), 1.2001) == (
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-requests", "1.2s"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("retry-after", "2"),
        ("retry-after-ms", "1201"),
    )
