"""A budget on the command line: its flags, and how it is shown."""

import argparse
from decimal import Decimal

import msgspec

from headworks.calls import NO_BUDGET, Budget

_FLAGS = {"budget_day": "day_pico", "budget_month": "month_pico"}


def budget_flags(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare them."""
    for flag, span in (("--budget-day", "day"), ("--budget-month", "month")):
        shown = f"most dollars that its calls may cost in a calendar {span} (UTC). {default}"
        parser.add_argument(flag, type=_usd, metavar="USD", help=shown)
    parser.add_argument(
        "--budget-mode",
        choices=("refuse", "tell"),
        help="refuse: calls that could exceed it are not made. tell: they are, and it is told. Default: refuse",
    )


def budget_from(options: argparse.Namespace, before: Budget) -> Budget:
    """The budget with what the flags change of it."""
    from headworks.catalogue.money import pico_usd  # only who sets one loads it

    changes: dict[str, object] = {}
    for flag, name in _FLAGS.items():
        given = getattr(options, flag)
        if given is not None:
            changes[name] = None if given < 0 else pico_usd(given)
    if options.budget_mode is not None:
        changes["is_hard"] = options.budget_mode == "refuse"
    changed = msgspec.structs.replace(before, **changes)
    return NO_BUDGET if changed.day_pico is None and changed.month_pico is None else changed


def budget_shown(budget: Budget) -> str:
    """In words; "" for none."""
    from headworks.catalogue.money import dollars

    parts = [
        f"{dollars(cap)} a {span}"
        for cap, span in ((budget.day_pico, "day"), (budget.month_pico, "month"))
        if cap is not None
    ]
    return ", ".join(parts) + ("" if budget.is_hard or not parts else " (told, not refused)")


def budget_json(budget: Budget) -> dict[str, object] | None:
    """For programs: exact decimal strings."""
    from headworks.catalogue.money import usd_text

    if budget == NO_BUDGET:
        return None
    return {
        "day_usd": None if budget.day_pico is None else usd_text(budget.day_pico),
        "month_usd": None if budget.month_pico is None else usd_text(budget.month_pico),
        "mode": "refuse" if budget.is_hard else "tell",
        "alert_at": budget.alert_at,
    }


def _usd(text: str) -> Decimal:
    """Dollars; -1 stands for none."""
    from headworks.catalogue.money import decimal_usd

    if text == "none":
        return Decimal(-1)
    try:
        return decimal_usd(text.removeprefix("$"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, or none") from None
