"""Money as whole pico-dollars (10^-12 USD): what every price and every cost here is counted in.

Why this unit. A price is quoted in dollars per million tokens, so one token at $1 per million costs 10^6
pico-dollars, a whole number; the finest quotes (six digits after the point, batch halves of them included) stay
whole. Costs are then products and sums of whole numbers: they need no rounding, the parts sum to the whole, and any
grouping of calls sums to the same total. A float does neither. `Decimal` rounds at the digits of a context that
anyone may change, takes twice the time, and has no type in a database. A coarser unit (nano, micro) would have to
round every call; a finer one (femto) overflows the 64 bits of a database at $9,223 in one sum, this one at $9.2
million.

Where something has to be rounded, it is a *price*, once, when it is read: never a cost. A contract's discount of a
third is rounded to a whole pico-dollar for each token, which is a millionth of a dollar in a million tokens.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

PICO_PER_USD = 1_000_000_000_000

MTOK = 1_000_000
"""Prices are quoted for so many tokens."""

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_USD = re.compile(r"[0-9]{1,12}(\.[0-9]{1,24})?")


def pico_usd(usd: Decimal, *, per: int = 1) -> int:
    """What one unit costs, in whole pico-dollars, where `per` units cost so many dollars. Halves go to the even
    side."""
    exact = _CONTEXT.divide(_CONTEXT.multiply(usd, Decimal(PICO_PER_USD)), Decimal(per))
    return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def scaled(pico: int, factor: Decimal) -> int:
    """A price times a factor, in whole pico-dollars. Halves go to the even side."""
    product = _CONTEXT.multiply(Decimal(pico), factor)
    return int(product.to_integral_value(rounding=ROUND_HALF_EVEN))


def decimal_usd(text: str) -> Decimal:
    """A price as it is written.

    Raises:
        ValueError: not a plain decimal number of dollars, or negative.
    """
    if not _USD.fullmatch(text):
        raise ValueError("expected dollars as a plain decimal number, like 0.125")
    return Decimal(text)


def usd_text(pico: int) -> str:
    """Pico-dollars as dollars, exact, without zeros at the end: `0.000125`."""
    sign = "-" if pico < 0 else ""
    whole, rest = divmod(abs(pico), PICO_PER_USD)
    digits = f"{rest:012}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def dollars(pico: int) -> str:
    """Pico-dollars for people: cents from one dollar on, below it three digits that count."""
    usd = _CONTEXT.divide(Decimal(pico), Decimal(PICO_PER_USD))
    if abs(usd) >= 1 or not usd:
        return f"${usd.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,}".replace("$-", "-$")
    digits = f"{usd.quantize(Decimal(1).scaleb(usd.adjusted() - 2), ROUND_HALF_EVEN):f}"
    return f"${digits.rstrip('0').rstrip('.')}".replace("$-", "-$")


def mean_pico(pico: int, count: int) -> int:
    """What one of so many costs, rounded to a whole pico-dollar; at least one. Halves go to the even side."""
    return round(Fraction(pico, count))


def per_mtok_text(pico: int) -> str:
    """The price of one token as dollars per million tokens, exact: `1.25`."""
    return usd_text(pico * MTOK)
