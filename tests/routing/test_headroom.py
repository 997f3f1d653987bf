"""How much is left of a target's quotas, as one worker sees it."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.routing import Headroom
from headworks.routing.headroom import LEAST


def meter(amount=60, window_s=60.0):
    return SimpleNamespace(quota=SimpleNamespace(amount=amount, window_s=window_s), spent=0, remaining=None)


def test_what_is_spent_is_missing_until_it_has_refilled():
    one = meter()
    headroom = Headroom([one], 1.0)
    assert headroom.left(0.0) == 1.0
    one.spent = 30
    assert headroom.left(0.0) == pytest.approx(0.5)
    assert headroom.left(15.0) == pytest.approx(0.75)
    assert headroom.left(60.0) == 1.0


def test_the_tightest_of_requests_and_tokens_counts():
    requests, tokens = meter(), meter(amount=1000)
    headroom = Headroom([requests, tokens], 1.0)
    headroom.left(0.0)
    requests.spent, tokens.spent = 6, 800
    assert headroom.left(0.0) == pytest.approx(0.2)


def test_a_worker_goes_by_its_share_of_the_whole():
    one = meter()
    headroom = Headroom([one], 0.25)
    headroom.left(0.0)
    one.spent = 6
    assert headroom.left(0.0) == pytest.approx(0.6)


def test_what_the_provider_says_is_left_comes_first():
    one = meter()
    headroom = Headroom([one], 1.0)
    one.remaining = 6
    assert headroom.left(0.0) == pytest.approx(0.1)
    one.remaining = None
    assert headroom.left(6.0) == pytest.approx(0.2)


def test_a_target_that_is_used_up_is_chosen_seldom_and_one_without_quotas_always():
    one = meter()
    headroom = Headroom([one], 0.5)
    headroom.left(0.0)
    one.spent = 500
    assert headroom.left(0.0) == LEAST
    assert Headroom([], 1.0).left(0.0) == 1.0


@given(
    st.lists(st.tuples(st.integers(-50, 100), st.floats(0, 90), st.none() | st.integers(0, 200)), max_size=30),
    st.floats(0.01, 1),
)
def test_it_is_a_share_whatever_is_spent_given_back_or_said(steps, share):
    one, now_s = meter(), 100.0
    headroom = Headroom([one], share)
    for spent, later_s, remaining in steps:
        one.spent += spent
        one.remaining = remaining
        now_s += later_s
        assert LEAST <= headroom.left(now_s) <= 1.0
