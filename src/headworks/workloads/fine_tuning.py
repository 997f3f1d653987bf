"""After how many calls a fine-tuned model has paid for its training. Pure; whole pico-dollars.

Training is paid once; each call then costs what the tuned model costs, which is more a token than its base and may be
fewer tokens: what a prompt explained, the model has learnt. Where a call is not cheaper, training never pays.
"""

import math
from fractions import Fraction

import msgspec


class PayOff(msgspec.Struct, frozen=True):
    """A fine-tuned model beside a model. Amounts are pico-dollars.

    Attributes:
        training: what it costs once.
        month: what its calls cost in a month.
        saves: what they cost less than those of the model; below zero, more.
        calls: after how many calls the training is paid for; None: never.
        months: after how many months, with a month's calls; None: never.
    """

    training: int
    month: int
    saves: int
    calls: int | None
    months: float | None


def pay_off(training: int, *, calls: Fraction, month: int, tuned_month: int) -> PayOff:
    """When training has paid.

    Arguments:
        training: what it costs, in pico-dollars.
        calls: calls in a month.
        month, tuned_month: what they cost with the model, and with the tuned one.
    """
    saves = month - tuned_month
    if saves <= 0 or not calls:
        return PayOff(training, tuned_month, saves, None, None)
    needed = math.ceil(training * calls / saves)
    return PayOff(training, tuned_month, saves, needed, round(training / saves, 2))
