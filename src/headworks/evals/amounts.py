"""Money as reports and records show it."""

from headworks.catalogue.money import PICO_PER_USD

NONE = "-"
"""What there is none of."""


def money(pico_usd: int | None) -> str:
    """Dollars to three digits that count: `$0.000123`, `$1.23`."""
    if pico_usd is None:
        return NONE
    usd = pico_usd / PICO_PER_USD
    if usd == 0:
        return "$0"
    if usd >= 0.995:
        return f"${usd:,.2f}"
    digits = 2
    while digits < 12 and usd * 10**digits < 99.5:
        digits += 1
    return f"${usd:.{digits}f}"
