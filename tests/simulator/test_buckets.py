import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.simulator.buckets import Bucket, ModelLimits, duration, retry_headers
from headworks.simulator.plan import Limits, Model
from headworks.simulator.rejection import Rejection


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 200), st.integers(1, 1000)), max_size=60),
)
def test_a_bucket_never_gives_more_than_its_capacity_and_what_flowed_in(capacity, steps):
    bucket = Bucket(capacity, 60.0, 0.0)
    now, taken = 0.0, 0
    for pause, amount in steps:
        now += pause
        if bucket.wait_s(amount, now) == 0:
            bucket.take(amount, now)
            taken += amount
        assert -1e-6 <= bucket.level(now) <= capacity
    assert taken <= capacity + now * capacity / 60.0 + 1e-3


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 1000))
def test_after_the_wait_that_it_names_a_bucket_gives(capacity, first, second):
    first, second = min(first, capacity), min(second, capacity)
    bucket = Bucket(capacity, 60.0, 0.0)
    bucket.take(first, 0.0)
    wait_s = bucket.wait_s(second, 0.0)
    assert bucket.wait_s(second, wait_s + 1e-9) < 1e-6
    if wait_s > 0.01:
        assert bucket.wait_s(second, wait_s - 0.01) > 0


def test_time_that_runs_backwards_gives_nothing():
    bucket = Bucket(10, 60.0, 100.0)
    bucket.take(10, 100.0)
    assert bucket.level(0.0) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.006, "6ms"), (0.0001, "1ms"), (1, "1s"), (1.2, "1.2s"), (8.64, "8.64s"), (60, "1m0s"),
        (72, "1m12s"), (3600, "1h0m0s"), (7384.5, "2h3m4.5s"),
    ],
)  # fmt: skip
def test_durations_are_written_as_the_api_writes_them(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e5))
def test_a_duration_reads_back_and_is_never_too_short(seconds):
    factors = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"([\d.]+)(ms|h|m|s)", duration(seconds))
    read = sum(float(number) * factors[unit] for number, unit in parts)
    assert seconds - 1e-6 <= read <= seconds + 0.0011


def test_retry_headers_round_up():
    assert retry_headers(1.2341) == {b"retry-after": b"2", b"retry-after-ms": b"1235"}


def test_a_request_is_charged_to_every_limit_or_to_none():
    limits = ModelLimits("m", Limits(rpm=10, tpm=100), "org", 0.0)
    limits.admit(90, 0.0)
    with pytest.raises(Rejection):
        limits.admit(50, 0.0)
    assert limits.headers(0.0)[b"x-ratelimit-remaining-requests"] == b"9"


def test_the_longest_wait_is_the_one_that_is_told():
    limits = ModelLimits("m", Limits(rpm=1, tpd=100), "org", 0.0)
    limits.admit(100, 0.0)
    with pytest.raises(Rejection, match=r"tokens per day \(TPD\)") as told:
        limits.admit(100, 0.0)
    assert told.value.kind == "tokens"


def limited(**limits):
    return {"models": {"gpt-6-luna": Model(tier="nano", limits=Limits(**limits))}}


def test_answers_carry_the_limit_headers_of_the_api(desk_with):
    desk = desk_with(limited(rpm=60, tpm=6000))
    script = desk.ask("POST", "/v1/responses", {"model": "gpt-6-luna", "input": "Hi", "max_output_tokens": 97})
    told = {name: value for name, value in script.headers.items() if name.startswith(b"x-ratelimit")}
    assert told == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-limit-tokens": b"6000",
        b"x-ratelimit-remaining-requests": b"59",
        b"x-ratelimit-remaining-tokens": b"5900",
        b"x-ratelimit-reset-requests": b"1s",
        b"x-ratelimit-reset-tokens": b"1s",
    }


def test_a_request_beyond_the_limit_gets_the_429_of_the_api_until_the_time_it_names(desk_with):
    desk = desk_with(limited(rpm=2))
    for _ in range(2):
        desk.chat()
    script = desk.ask(
        "POST", "/v1/chat/completions", {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "x"}]}
    )
    assert script.status == 429
    assert script.headers[b"retry-after"] == b"30"
    assert script.headers[b"retry-after-ms"] == b"30000"
    assert script.headers[b"x-ratelimit-remaining-requests"] == b"0"
    error = desk.chat(status=429)["error"]
    assert (error["type"], error["code"], error["param"]) == ("requests", "rate_limit_exceeded", None)
    assert (
        "gpt-6-luna in organization org-simulator on requests per min (RPM): Limit 2, Used 2, Requested 1"
        in error["message"]
    )
    assert "try again in 30s" in error["message"]
    desk.clock.move(30)
    desk.chat()


def test_a_request_larger_than_the_limit_never_fits(desk_with):
    error = desk_with(limited(tpm=100)).chat("word " * 200, status=429)["error"]
    assert error["type"] == "tokens"
    assert error["message"].startswith("Request too large for gpt-6-luna")


def test_the_sdk_waits_and_retries_as_it_is_told(desk_with, monkeypatch):
    desk = desk_with(limited(rpm=60))
    for _ in range(60):
        desk.chat()
    client = desk.client(max_retries=2)
    waits = []
    monkeypatch.setattr("time.sleep", lambda seconds: (waits.append(seconds), desk.clock.move(seconds)))
    client.responses.create(model="gpt-6-luna", input="Hi")
    assert waits == [1.0]
