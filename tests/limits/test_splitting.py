"""Quotas that count input and output apart."""

import math

from hypothesis import given
from hypothesis import strategies as st

from headworks.limits import Lease, LimitSet, Quota, QuotaMeter, SplitLimitSet, Tokens


def meter(name: str, amount: int) -> QuotaMeter:
    found = QuotaMeter(Quota(name, amount, 60.0))
    found.ask(amount, 0.0)
    found.take_lease(Lease(amount, 60.0, 0.0), 0.0)
    return found


def limits_of(**amounts: int) -> SplitLimitSet:
    return SplitLimitSet(**{kind: (meter(kind, amount),) for kind, amount in amounts.items()})


def balances(limits: SplitLimitSet) -> dict[str, int]:
    return {one.quota.name: one.balance for one in limits.meters}


def test_each_kind_is_taken_from_its_own_quota():
    limits = limits_of(requests=2, tokens=100, inputs=50, outputs=20)
    reservation = limits.reserve(Tokens(40, read=30, written=10), 1.0)
    assert reservation is not None
    assert balances(limits) == {"requests": 1, "tokens": 60, "inputs": 20, "outputs": 10}
    reservation.settle(Tokens(36, read=5, written=7))
    reservation.settle(Tokens(1, read=1, written=1))
    assert balances(limits) == {"requests": 1, "tokens": 64, "inputs": 45, "outputs": 13}


def test_where_one_kind_has_too_little_nothing_is_taken_and_it_is_named():
    limits = limits_of(requests=2, tokens=100, inputs=50, outputs=5)
    assert limits.reserve(Tokens(40, read=30, written=10), 1.0) is None
    assert balances(limits) == {"requests": 2, "tokens": 100, "inputs": 50, "outputs": 5}
    assert limits.blocker is limits.outputs[0]
    assert limits.wait_s(Tokens(40, read=30, written=10), 1.0) == math.inf


def test_who_waits_is_waited_for_in_each_kind():
    limits = limits_of(inputs=50, outputs=20)
    tokens = Tokens(100, read=80, written=20)
    limits.begin_waiting(tokens)
    assert [one.waiting for one in limits.meters] == [80, 20]
    limits.end_waiting(tokens)
    assert [one.waiting for one in limits.meters] == [0, 0]


def test_tokens_of_which_nobody_knows_the_parts_may_be_all_of_either():
    limits = limits_of(inputs=50, outputs=50)
    assert limits.reserve(40, 1.0) is not None
    assert balances(limits) == {"inputs": 10, "outputs": 10}


figures = st.integers(0, 400)


@given(st.lists(st.tuples(figures, figures, st.none() | st.tuples(figures, figures)), max_size=30))
def test_whatever_is_reserved_settled_and_cancelled_what_is_spent_is_what_calls_came_to(calls):
    limits = limits_of(requests=50, tokens=5_000, inputs=3_000, outputs=2_000)
    made = read = written = 0
    for wanted_read, wanted_written, real in calls:
        reservation = limits.reserve(
            Tokens(wanted_read + wanted_written, read=wanted_read, written=wanted_written), 1.0
        )
        if reservation is None:
            continue
        if real is None:
            reservation.cancel()
            continue
        reservation.settle(Tokens(sum(real), read=real[0], written=real[1]))
        made, read, written = made + 1, read + real[0], written + real[1]
    spent = {one.quota.name: one.spent for one in limits.meters}
    assert spent == {"requests": made, "tokens": read + written, "inputs": read, "outputs": written}


def test_all_quotas_that_have_too_little_are_asked_for_at_once():
    bare = [QuotaMeter(Quota(name, 100, 60.0)) for name in ("requests", "tokens", "inputs", "outputs")]
    limits = SplitLimitSet(*((one,) for one in bare))
    assert limits.reserve(Tokens(40, read=30, written=10), 1.0) is None
    assert [one.needed for one in bare] == [1, 40, 30, 10]
    plain = [QuotaMeter(Quota(name, 100, 60.0)) for name in ("requests", "tokens")]
    assert LimitSet(plain[:1], plain[1:]).reserve(40, 1.0) is None
    assert [one.needed for one in plain] == [1, 40]
