"""When a fine-tuned model has paid for its training."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from headworks.workloads import pay_off

amounts = st.integers(0, 10**18)


@given(training=amounts, month=amounts, tuned_month=amounts, calls=st.integers(1, 10**9))
def test_after_the_break_even_training_is_paid_and_one_call_before_it_is_not(training, month, tuned_month, calls):
    found = pay_off(training, calls=Fraction(calls), month=month, tuned_month=tuned_month)

    assert found.saves == month - tuned_month
    if found.saves <= 0:
        assert found.calls is None
        return
    a_call = Fraction(found.saves, calls)
    assert found.calls * a_call >= training
    assert (found.calls - 1) * a_call < training or found.calls == 0


def test_without_calls_nothing_is_paid_off():
    assert pay_off(5, calls=Fraction(0), month=0, tuned_month=0).calls is None
