import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.limits.expecting import Expectations


@pytest.mark.parametrize(("mean", "spread"), [(4.0, 0.3), (6.0, 1.0), (8.0, 0.1)])
def test_most_outputs_are_within_what_is_expected_and_it_is_not_far_above_them(mean, spread):
    chance = random.Random(1)
    expectations, above, expected, real = Expectations(), 0, 0, 0
    for call in range(4_000):
        output = int(chance.lognormvariate(mean, spread)) + 1
        if call >= 1_000:
            guess = expectations.tokens("w", 0)
            above += output > guess
            expected += guess
            real += output
        expectations.learn("w", 400, 100, output)

    assert above / 3_000 == pytest.approx(0.15, abs=0.03)
    assert expected <= 3.0 * real


def test_it_follows_when_outputs_change():
    expectations = Expectations()
    for output in [100] * 500 + [1_000] * 300:
        expectations.learn("w", 400, 100, output)

    assert 900 <= expectations.tokens("w", 0) <= 1_200


def test_more_than_a_call_may_produce_is_never_expected():
    expectations = Expectations()

    assert expectations.tokens("new", 400, max_output_tokens=16) == 100 + 16
    assert expectations.tokens("new", 400, input_tokens=7, max_output_tokens=16) == 7 + 16


def test_the_size_of_a_token_is_learnt():
    expectations = Expectations()
    for _ in range(200):
        expectations.learn("chinese", 2_000, 1_000, 1)

    assert expectations.tokens("chinese", 4_000, max_output_tokens=0) == pytest.approx(2_000, rel=0.05)


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6))))
def test_memory_is_bounded_and_every_expectation_is_sane(calls):
    expectations = Expectations(keys=4)
    for kind, body_bytes, given_tokens, output in calls:
        expectations.learn(str(kind), body_bytes, given_tokens, output)

        assert len(expectations) <= 4
        assert 0 <= expectations.tokens(str(kind), body_bytes) <= body_bytes + 10**8


def test_what_counts_are_billed_as_is_learnt():
    expectations = Expectations()
    for _ in range(200):
        expectations.learn("w", 4_000, 1_200, 1, counted_tokens=1_000)

    assert expectations.tokens("w", 0, input_tokens=2_000, max_output_tokens=0) == pytest.approx(2_400, rel=0.01)


def test_media_count_as_they_are_said_and_teach_nothing_of_text():
    expectations = Expectations()
    for _ in range(100):
        expectations.learn("w", 4_000, 1_000, 1)
    for _ in range(100):
        expectations.learn("w", 100, 5_000, 1, media_tokens=4_000)

    assert expectations.tokens("w", 4_000, max_output_tokens=0, media_tokens=765) == pytest.approx(1_765, rel=0.01)
