"""From which volume on a machine of one's own is cheaper than a model by the token. Pure; whole pico-dollars.

A machine is paid by the hour, whether it works or not: below its break-even it is dearer, however fast it is. It can
only do so much: where its break-even lies beyond that, the next machine is needed before the first has paid off, and
it never does.
"""

import math
from fractions import Fraction

import msgspec

from headworks.catalogue import Machine
from headworks.catalogue.money import PICO_PER_USD
from headworks.workloads.plan import DAYS_PER_MONTH

_HOURS_PER_MONTH = DAYS_PER_MONTH * 24


class BreakEven(msgspec.Struct, frozen=True):
    """A machine beside a model.

    Attributes:
        machine_month: what one machine costs in a month, in pico-dollars.
        capacity: calls that one machine can do in a month, in the share of its hours that it may be busy.
        machines: how many the volume needs.
        month: what they cost in a month, in pico-dollars.
        calls: from how many calls a month on one machine is cheaper than the model; None: from none, as it cannot do
            so many.
        call_at_capacity: what a call costs at least on a machine, in pico-dollars.
    """

    machine_month: int
    capacity: int
    machines: int
    month: int
    calls: int | None
    call_at_capacity: int


def break_even(
    machine: Machine, *, per_call: Fraction, calls: Fraction, input_tokens: Fraction, output_tokens: Fraction
) -> BreakEven:
    """Where a machine meets a model.

    Arguments:
        machine: its price and its speed; a speed for input that is not given counts as none needed.
        per_call: what a call costs with the model, in pico-dollars.
        calls: calls in a month.
        input_tokens, output_tokens: of a call.

    Raises:
        ValueError: a call takes the machine no time: it has no output, and the speed for input is not given.
    """
    month = Fraction(machine.gpu_hour_usd) * machine.gpus * _HOURS_PER_MONTH * PICO_PER_USD
    call_s = output_tokens / Fraction(machine.output_tokens_per_s)
    if machine.input_tokens_per_s is not None:
        call_s += input_tokens / Fraction(machine.input_tokens_per_s)
    if not call_s:
        raise ValueError("a call takes the machine no time: give its speed for input, or calls with output")
    capacity = math.floor(_HOURS_PER_MONTH * 3600 * Fraction(machine.busy_percent) / 100 / call_s)
    meets = math.ceil(month / per_call) if per_call else None
    machines = math.ceil(calls / capacity) if capacity else 0
    return BreakEven(
        machine_month=round(month),
        capacity=capacity,
        machines=machines,
        month=round(month * machines),
        calls=meets if meets is not None and meets <= capacity else None,
        call_at_capacity=round(month / capacity) if capacity else 0,
    )
