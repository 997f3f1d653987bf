from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.catalogue import Machine
from headworks.workloads import break_even

USD = 10**12
MACHINE = Machine(
    gpu_hour_usd=Decimal("2.40"), gpus=2, output_tokens_per_s=Decimal(1000), input_tokens_per_s=Decimal(10000),
    busy_percent=Decimal(50),
)  # fmt: skip


def meet(machine=MACHINE, *, per_call, calls=1000, input_tokens=1000, output_tokens=100):
    return break_even(
        machine,
        per_call=Fraction(per_call),
        calls=Fraction(calls),
        input_tokens=Fraction(input_tokens),
        output_tokens=Fraction(output_tokens),
    )


def test_a_machine_by_hand():
    """2 GPUs at $2.40 for 720 hours; a call takes 0.2 seconds of the half of them in which it works."""
    found = meet(per_call=USD // 100)

    assert found.machine_month == 3456 * USD
    assert found.capacity == 720 * 3600 * 5 // 2
    assert found.calls == 345_600
    assert (found.machines, found.month) == (1, found.machine_month)


def test_where_one_machine_cannot_do_so_many_there_is_no_break_even():
    found = meet(per_call=USD // 10_000)

    assert found.calls is None
    assert found.call_at_capacity > USD // 10_000


def test_more_than_one_machine_can_do_needs_the_next():
    assert meet(per_call=USD, calls=720 * 3600 * 5 // 2 + 1).machines == 2


def test_a_call_that_takes_no_time_is_refused():
    machine = Machine(gpu_hour_usd=Decimal(1), output_tokens_per_s=Decimal(1))
    with pytest.raises(ValueError, match="takes the machine no time"):
        meet(machine, per_call=1, output_tokens=0)


@given(st.integers(1, USD), st.integers(1, 10_000), st.integers(1, 10_000))
def test_at_the_break_even_the_machine_costs_no_more_and_one_call_below_it_does(per_call, input_tokens, output_tokens):
    found = meet(per_call=per_call, input_tokens=input_tokens, output_tokens=output_tokens)

    if found.calls is not None:
        assert found.calls * per_call >= found.machine_month > (found.calls - 1) * per_call
        assert found.calls <= found.capacity
