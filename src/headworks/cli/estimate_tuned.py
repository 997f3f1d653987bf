"""`headworks estimate --fine-tune`: a fine-tuned model beside the one that is estimated."""

import argparse
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from headworks.catalogue import retirement_of
from headworks.cli.parsing import UsageError
from headworks.errors import CommandError
from headworks.workloads import Assumption, Estimate, Load, PayOff, estimate, fixed, pay_off

if TYPE_CHECKING:
    from headworks.cli.model_offers import Offers

_EPOCHS = 3
"""What OpenAI takes for most files where nothing is said ("Fine-tuning", 2026-05)."""


class Tuned(msgspec.Struct, frozen=True):
    """A fine-tuned model's month beside that of the model, and what to look out for."""

    name: str
    found: PayOff
    per_call: int
    remarks: tuple[str, ...]


def tuned_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of a fine-tuned model."""
    group = parser.add_argument_group("a fine-tuned model")
    group.add_argument("--fine-tune", metavar="NAME", help="the model that would be trained: openai/gpt-4.1-mini")
    group.add_argument("--training-tokens", type=_tokens, metavar="N", help="tokens of its training file")
    group.add_argument(
        "--epochs", type=_tokens, default=_EPOCHS, metavar="N", help="passes over the file. Default: %(default)s"
    )
    group.add_argument(
        "--tuned-input-tokens",
        type=_tokens,
        metavar="N",
        help="tokens of input of a call of it, whose prompt may be shorter. Default: the same",
    )


def tuned_of(options: argparse.Namespace, offers: "Offers", load: Load, found: Estimate, *, at_us: int) -> Tuned | None:
    """What is asked of a fine-tuned model; None where nothing is.

    Arguments:
        found: the month of the model that it is held against.

    Raises:
        CommandError: its prices are not known.
        UsageError: a flag is missing.
    """
    if (options.fine_tune is None) != (options.training_tokens is None):
        raise UsageError("--fine-tune and --training-tokens go together")
    if options.fine_tune is None:
        return None
    base = offers.find(options.fine_tune)
    training = base.price.training(options.training_tokens * options.epochs, at_us=at_us)
    model = base.model
    if training is None or model is None:
        raise CommandError(
            f"what it costs to train {base.name} is not known; `models list` has who can be trained, and "
            "`prices.models` in headworks.yaml can state a price of `training`"
        )
    offer = offers.find(f"{base.name.partition('/')[0]}/ft:{model.name}")
    month = estimate(offer.price, _shorter(load, options.tuned_input_tokens), at_us=at_us)
    if month is None:
        raise CommandError(f"what a fine-tuned {model.name} costs is not known; `prices.models` can state it")
    remarks = []
    gone = retirement_of(model, offers.today)
    if gone is not None:
        remarks.append(f"{base.name} is shut down on {gone.shutdown_on}, and what was made of it goes with it")
    result = pay_off(training, calls=found.calls, month=found.total, tuned_month=month.total)
    return Tuned(offer.name, result, month.per_call, tuple(remarks))


def _shorter(load: Load, input_tokens: int | None) -> Load:
    """The same calls with another input: what is left out is of what every call begins with."""
    if input_tokens is None:
        return load
    less = max(Fraction(0), load.input_tokens.value - input_tokens)
    prefix = load.prefix_tokens
    value, low, high = (max(Fraction(0), bound - less) for bound in (prefix.value, prefix.low, prefix.high))
    shorter = Assumption(prefix.name, value, low, high, prefix.source, prefix.note)
    given = fixed("input_tokens", input_tokens, "given", "by flag")
    return msgspec.structs.replace(load, input_tokens=given, prefix_tokens=shorter)


def _tokens(text: str) -> int:
    plain = text.replace("_", "")
    if not plain.isdecimal() or len(plain) > 12 or not int(plain):
        raise argparse.ArgumentTypeError("expected a whole number from 1 on")
    return int(plain)
