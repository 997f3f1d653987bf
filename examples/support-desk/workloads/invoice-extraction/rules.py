"""Arithmetic that holds on every invoice. An answer that breaks it was misread."""

from decimal import Decimal

from headworks.screening import Verdict


def lines_add_up(output, context) -> Verdict:
    """Every line is quantity times price, and the lines together are the net amount."""
    lines = output["lines"]
    for number, line in enumerate(lines, 1):
        if _money(line["amount"]) != line["quantity"] * _money(line["unit_price"]):
            return Verdict.repair(f"line {number}: the amount is not quantity times unit price")
    if sum(_money(line["amount"]) for line in lines) != _money(output["net"]):
        return Verdict.repair("the amounts of the lines do not add up to net")
    return Verdict.ok()


def total_is_net_and_tax(output, context) -> Verdict:
    """What is to be paid is net plus tax; anything else must not be booked."""
    if _money(output["net"]) + _money(output["tax"]) != _money(output["total"]):
        return Verdict.block("total is not net plus tax")
    return Verdict.ok()


def _money(value) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))
