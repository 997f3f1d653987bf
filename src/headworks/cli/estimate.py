"""Say what a month of calls will cost: volume x tokens x cache share x batch share x tier.

For a workload, or from flags for a project that does not exist yet:

  headworks estimate ticket-triage --compare
  headworks estimate --model gpt-6-luna --calls-per-day 12000 --input-tokens 650 --output-tokens 60

Every figure says where it is from. `measured`: recorded calls of the workload show it, and its range is that of a mean
over so many calls (two standard errors). `assumed`: the contract says it, you do, or nobody (a default). A flag goes
before traffic, traffic before the contract.

A count is given as `12000`, which is taken as a fifth more or less, or as `LOW..HIGH`; the same bound twice means
exactly that. A share is given as `0.5`, which is exact, or as `0.4..0.7`. The range of the total has every figure at
its cheapest and at its dearest bound at once: what is to be expected lies well within.

Input is the whole input of a call. Static tokens are those of it that every call begins with. The cache share is how
much of these is read from the provider's cache: 0.4 to 0.7 is assumed where nothing is measured. Newer models bill
what is written to the cache, at 1.25 times the input: what is not read is taken as written, and below the share that
the report names, caching loses money. A prefix below the model's minimum is not cached.

A machine of your own is compared where headworks.yaml has one (`prices.providers.NAME.self_hosted`), or with --gpu-hour
and --output-tokens-per-s; a fine-tuned model with --fine-tune and --training-tokens. A month has 30 days. Nothing is
called, nothing is changed.
"""

import argparse
import re
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.estimate_tuned import tuned_arguments, tuned_of
from headworks.cli.moments import MOMENT_FORM, past
from headworks.cli.parsing import UsageError

if TYPE_CHECKING:
    from headworks.catalogue import Machine
    from headworks.cli.estimate_report import Report
    from headworks.cli.model_offers import Offer, Offers
    from headworks.config import Workload
    from headworks.records import Record
    from headworks.workloads import Load

_CONFIG = Path("headworks.yaml")
_FIFTH = Fraction(1, 5)
_COUNTS = {
    "calls_per_day": "calls a day",
    "input_tokens": "tokens of input of a call, static ones included",
    "output_tokens": "tokens of output of a call, reasoning included",
    "static_tokens": "tokens of input that every call begins with",
    "reasoning_tokens": "tokens of output that are reasoning",
    "long_input_tokens": "tokens of input of the calls of --long-share",
}
_SHARES = {
    "cache_share": "how much of the static tokens is read from the provider's cache",
    "batch_share": "how many of the calls go by batch",
    "long_share": "how many of the calls have a long input, with --long-input-tokens",
}

Bounds = tuple[Fraction, Fraction, Fraction]
"""Low, most likely, high."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks estimate`."""
    parser.add_argument("name", nargs="?", metavar="WORKLOAD", help="the workload; left out: flags say it all")
    parser.add_argument("--config", type=Path, default=_CONFIG, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--model", metavar="NAME", help="the model. Default: the workload's")
    parser.add_argument(
        "--compare",
        nargs="*",
        metavar="NAME",
        help="other models beside it. Without names: the ladder's, or the tiers'",
    )
    figures = parser.add_argument_group("figures", "counts: 12000 or 10000..15000; shares: 0.5 or 0.4..0.7")
    for name, meaning in _COUNTS.items():
        figures.add_argument(_flag(name), type=_counts, metavar="N", help=meaning)
    for name, meaning in _SHARES.items():
        figures.add_argument(_flag(name), type=_shares, metavar="SHARE", help=meaning)
    figures.add_argument(
        "--tier", default="standard", metavar="NAME", help="of calls outside of batch. Default: %(default)s"
    )
    figures.add_argument(
        "--since",
        type=past,
        default="7d",
        metavar="WHEN",
        help=f"recorded calls count from then on: {MOMENT_FORM}. Default: 7d",
    )
    machine = parser.add_argument_group("a machine of your own")
    machine.add_argument("--gpu-hour", type=_usd, metavar="USD", help="one GPU in one hour, everything included")
    machine.add_argument("--gpus", type=_many, default=1, metavar="N", help="of the machine. Default: %(default)s")
    machine.add_argument("--output-tokens-per-s", type=_usd, metavar="N", help="what it writes, all requests together")
    machine.add_argument(
        "--input-tokens-per-s", type=_usd, metavar="N", help="what it reads. Default: no time is needed"
    )
    machine.add_argument(
        "--busy-percent",
        type=_usd,
        default=Decimal(100),
        metavar="N",
        help="in how much of the paid hours it can work. Default: %(default)s",
    )
    tuned_arguments(parser)
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="default: %(default)s")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def run(options: argparse.Namespace) -> int:
    """Print the estimate; returns the exit code: 1 where the model has no price."""
    from headworks.cli.estimate_report import as_json, as_markdown, as_text
    from headworks.cli.tables import has_colours

    report = _report(options)
    match options.format:
        case "json":
            print(as_json(report))
        case "markdown":
            print(as_markdown(report), end="")
        case _:
            print(as_text(report, coloured=has_colours()), end="")
    return 0 if report.chosen.estimate is not None else 1


def _report(options: argparse.Namespace) -> "Report":
    from headworks.cli.estimate_figures import recorded_costs
    from headworks.cli.estimate_report import Recorded, Report, answer, meeting
    from headworks.cli.model_offers import Offers

    has_project = options.name is not None or options.config != _CONFIG or _CONFIG.exists()
    offers = Offers.of(options.config if has_project else None)
    title, offer, names, load, records = _question(options, offers)
    recorded, unknown = recorded_costs(records)
    at_us = time.time_ns() // 1000
    chosen = answer(offer, load, at_us=at_us, today=offers.today)
    others = []
    for name in dict.fromkeys(names):
        other = offers.find(name)
        if other.name != offer.name:
            others.append(answer(other, load, at_us=at_us, today=offers.today))
    others.sort(key=lambda one: (one.estimate is None, one.estimate.total if one.estimate else 0))
    machines = {} if chosen.estimate is None else _machines(options, offers)
    return Report(
        title=title,
        load=load,
        chosen=chosen,
        others=tuple(others),
        machines=tuple(meeting(name, machine, chosen, load) for name, machine in machines.items()),
        tuned=None if chosen.estimate is None else tuned_of(options, offers, load, chosen.estimate, at_us=at_us),
        version=offers.book.version,
        recorded=tuple(Recorded(name, *sums) for name, sums in recorded.items()),
        unknown=unknown,
    )


def _question(
    options: argparse.Namespace, offers: "Offers"
) -> "tuple[str, Offer, tuple[str, ...], Load, list[Record]]":
    """What is asked: in words, of which model, beside which others, with how many calls, and what is recorded."""
    from headworks.cli.estimate_figures import first_bound, from_flags, from_workload, measured_calls
    from headworks.cli.workloads import find_workload
    from headworks.workloads import read_facts

    flags: dict[str, Bounds] = {
        name: value for name in (*_COUNTS, *_SHARES) if (value := getattr(options, name)) is not None
    }
    if (options.long_share is None) != (options.long_input_tokens is None):
        raise UsageError("--long-share and --long-input-tokens go together")
    if options.name is None:
        if options.model is None:
            raise UsageError("name a workload, or a model with --model")
        missing = [_flag(name) for name in ("calls_per_day", "input_tokens", "output_tokens") if name not in flags]
        if missing:
            raise UsageError(f"without a workload, {' and '.join(missing)} must say how much there is to do")
        names = _compared(options, _tiers(offers))
        offer = offers.find(options.model)
        return offer.name, offer, names, from_flags(flags, tier=options.tier), []
    assert offers.project is not None
    workload = find_workload(offers.project, options.name)
    facts = read_facts(offers.project, workload)
    rung = options.model or workload.contract.model or facts.locked_model or workload.contract.ladder[0]
    offer = offers.find(rung)
    records = measured_calls(offers.project, workload.name, since_s=time.time() - options.since)
    load = from_workload(
        workload, facts, records, flags, tier=options.tier, bound=first_bound(offer.price), now=time.time()
    )
    return workload.name, offer, _compared(options, _ladder(workload)), load, records


def _compared(options: argparse.Namespace, default: tuple[str, ...]) -> tuple[str, ...]:
    if options.compare is None:
        return ()
    if not options.compare and not default:
        raise UsageError("there is no ladder to compare with: name models after --compare")
    return tuple(options.compare) or default


def _ladder(workload: "Workload") -> tuple[str, ...]:
    from headworks.config import DETERMINISTIC

    return tuple(name for name in workload.contract.ladder if name != DETERMINISTIC)


def _tiers(offers: "Offers") -> tuple[str, ...]:
    if offers.project is None:
        return ()
    tiers = offers.project.config.tiers
    return tuple(name for name in tiers.__struct_fields__ if getattr(tiers, name) is not None)


def _machines(options: argparse.Namespace, offers: "Offers") -> "dict[str, Machine]":
    """Machines of one's own, by name: the project's, and that of the flags."""
    from headworks.catalogue import Machine

    found = {}
    if offers.project is not None:
        for name, prices in offers.project.config.prices.providers.items():
            if (own := prices.self_hosted) is not None:
                found[name] = Machine(
                    gpu_hour_usd=own.gpu_hour,
                    output_tokens_per_s=own.output_tokens_per_s,
                    input_tokens_per_s=own.input_tokens_per_s,
                    gpus=own.gpus,
                    busy_percent=own.busy_percent,
                )
    if (options.gpu_hour is None) != (options.output_tokens_per_s is None):
        raise UsageError("a machine needs --gpu-hour and --output-tokens-per-s")
    if options.gpu_hour is not None:
        if options.busy_percent > 100:
            raise UsageError("--busy-percent is at most 100")
        found["own machine"] = Machine(
            gpu_hour_usd=options.gpu_hour,
            output_tokens_per_s=options.output_tokens_per_s,
            input_tokens_per_s=options.input_tokens_per_s,
            gpus=options.gpus,
            busy_percent=options.busy_percent,
        )
    return found


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _counts(text: str) -> Bounds:
    if not re.fullmatch(r"[0-9][0-9_]{0,11}(\.\.[0-9][0-9_]{0,11})?", text):
        raise argparse.ArgumentTypeError("expected a whole number or LOW..HIGH")
    low, dots, high = text.partition("..")
    if not dots:
        count = Fraction(int(low))
        return count * (1 - _FIFTH), count, count * (1 + _FIFTH)
    return _between(Fraction(int(low)), Fraction(int(high)))


def _shares(text: str) -> Bounds:
    number = r"(?:0(?:\.[0-9]{1,9})?|1(?:\.0{1,9})?)"
    if not re.fullmatch(rf"{number}(\.\.{number})?", text):
        raise argparse.ArgumentTypeError("expected a share from 0 to 1, or LOW..HIGH, like 0.4..0.7")
    low, dots, high = text.partition("..")
    return _between(Fraction(low), Fraction(high if dots else low))


def _between(low: Fraction, high: Fraction) -> Bounds:
    if low > high:
        raise argparse.ArgumentTypeError("the lower bound comes first")
    return low, (low + high) / 2, high


def _usd(text: str) -> Decimal:
    from headworks.catalogue.money import decimal_usd

    try:
        value = decimal_usd(text)
    except ValueError:
        raise argparse.ArgumentTypeError("expected a plain decimal number, like 2.40") from None
    if not value:
        raise argparse.ArgumentTypeError("expected more than 0")
    return value


def _many(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise argparse.ArgumentTypeError("expected a whole number from 1 on")
    return int(text)
