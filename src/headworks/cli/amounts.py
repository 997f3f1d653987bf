"""Amounts of money: short for people, exact for programs. Always from whole pico-dollars, never by way of a float."""

from decimal import ROUND_HALF_EVEN, Decimal

from headworks.catalogue.money import PICO_PER_USD, usd_text


def dollars(pico: int) -> str:
    """Pico-dollars for people: cents from one dollar on, below it three digits that count."""
    usd = Decimal(pico) / PICO_PER_USD
    if abs(usd) >= 1 or not usd:
        return f"${usd.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,}".replace("$-", "-$")
    digits = f"{usd.quantize(Decimal(1).scaleb(usd.adjusted() - 2), ROUND_HALF_EVEN):f}"
    return f"${digits.rstrip('0')}".replace("$-", "-$")


def cost(pico: int | None, *, is_estimated: bool = False) -> str:
    """A cost in a table: `$0.000123`, `~$0.000123` where tokens were counted here, `$0` for free, `-` for not known."""
    if pico is None:
        return "-"
    return ("~" if is_estimated else "") + (dollars(pico) if pico else "$0")


def known_cost(pico: int, *, calls: int, unknown: int, is_estimated: bool = False) -> str:
    """What calls cost together, in a table: `-` where of none of them it is known."""
    return cost(pico if unknown < calls else None, is_estimated=is_estimated)


def mean_cost(pico: int, *, calls: int, unknown: int) -> int | None:
    """What a call costs of those whose cost is known, rounded to a pico-dollar; None where there are none."""
    known = calls - unknown
    return round(Decimal(pico) / known) if known > 0 else None


def usd(pico: int | None) -> str | None:
    """Dollars for programs, exact, as a decimal string; None for not known."""
    return None if pico is None else usd_text(pico)
