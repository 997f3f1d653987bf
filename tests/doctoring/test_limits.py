"""Limits as providers state them, whatever their window, against those of the file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.config.sections.limits import Limits
from headworks.config.sections.providers import Provider
from headworks.config.sections.upstreams import ProviderPool
from headworks.doctoring.limits import Stated, compare, configured_limits, duration_s, stated_limits
from headworks.simulator.buckets import duration


def headers(**given):
    return {name.replace("_", "-").encode(): str(value).encode() for name, value in given.items()}


def openai(what, limit, used, window_s):
    reset = duration(window_s * used / limit)
    return headers(
        **{
            f"x_ratelimit_limit_{what}": limit,
            f"x_ratelimit_remaining_{what}": limit - used,
            f"x_ratelimit_reset_{what}": reset,
        }
    )


def test_limits_of_a_minute_and_of_a_day_are_told_apart_by_how_fast_they_come_back():
    assert stated_limits(openai("requests", 500, 1, 60)) == Stated(requests_per_minute=500)
    assert stated_limits(openai("requests", 10_000, 1, 86_400)) == Stated(requests_per_day=10_000)
    both = openai("requests", 14_400, 30, 86_400) | openai("tokens", 90_000, 20, 60)
    assert stated_limits(both) == Stated(requests_per_day=14_400, tokens_per_minute=90_000)


@given(
    limit=st.integers(10, 10_000_000),
    share=st.floats(0.001, 1),
    window=st.sampled_from([(60, "requests_per_minute"), (86_400, "requests_per_day")]),
)
def test_the_window_is_right_whatever_is_used(limit, share, window):
    used = max(1, int(limit * share))
    stated = stated_limits(openai("requests", limit, used, window[0]))
    # A duration is rounded up to a millisecond, which counts where a single request is worth less.
    if window[0] * used / limit > 0.002:
        assert getattr(stated, window[1]) == limit


def test_anthropics_names_are_known_and_nonsense_is_no_limit():
    told = headers(anthropic_ratelimit_requests_limit=50, anthropic_ratelimit_tokens_limit=30_000)
    assert stated_limits(told) == Stated(requests_per_minute=50, tokens_per_minute=30_000)
    apart = headers(anthropic_ratelimit_input_tokens_limit=50_000, anthropic_ratelimit_output_tokens_limit=10_000)
    assert stated_limits(apart) == Stated(input_tokens_per_minute=50_000, output_tokens_per_minute=10_000)
    mistral = headers(x_ratelimit_limit_req_minute=50, x_ratelimit_remaining_req_minute=49)
    assert stated_limits(mistral) == Stated(requests_per_minute=50)
    assert stated_limits(headers(x_ratelimit_limit_requests="many")) == Stated()
    assert stated_limits({}) == Stated()


@given(st.floats(0, 400_000))
def test_durations_are_read_as_they_are_written(seconds):
    assert duration_s(duration(seconds)) == pytest.approx(seconds, abs=0.0011)


@pytest.mark.parametrize("text", ["", "x", "6", "1.5", "6m 0s", "-1s", "6m0s!"])
def test_what_is_no_duration_is_none(text):
    assert duration_s(text) == (float(text) if text in ("6", "1.5") else None)


def test_what_the_file_says_of_a_model_goes_before_what_it_says_of_all():
    provider = Provider(
        kind="openai",
        limits=Limits(requests_per_minute=1),
        model_limits={"m": Limits(requests_per_minute=2)},
    )
    pool = ProviderPool(limits=Limits(requests_per_minute=3), model_limits={"m": Limits(requests_per_minute=4)})
    bare = ProviderPool()

    def rpm(*arguments):
        return configured_limits(provider, *arguments).requests_per_minute

    assert (rpm("x"), rpm("m"), rpm("x", pool), rpm("m", pool), rpm("x", bare), rpm("m", bare)) == (1, 2, 3, 4, 1, 2)
    assert rpm("m", ProviderPool(limits=Limits(requests_per_minute=3))) == 2


def test_too_much_is_a_problem_nothing_a_warning_and_less_is_well():
    stated = Stated(requests_per_minute=500, tokens_per_minute=30_000, requests_per_day=1000)
    ours = Limits(requests_per_minute=5000, requests_per_day=400)

    findings = {one.about: one for one in compare(stated, ours, "m", "providers.a.model_limits.m")}

    assert findings["requests_per_minute m"].verdict == "problem"
    assert "`providers.a.model_limits.m.requests_per_minute: 500`" in findings["requests_per_minute m"].way_out
    assert findings["tokens_per_minute m"].verdict == "warning"
    assert findings["requests_per_day m"].verdict == "ok"
    assert "400 of the provider's 1,000 requests a day" in findings["requests_per_day m"].says
