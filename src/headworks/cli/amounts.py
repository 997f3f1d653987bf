"""Amounts of money: short for people, exact for programs. Always from whole pico-dollars, never by way of a float."""

from headworks.catalogue.money import dollars, usd_text


def cost(pico: int | None, *, is_estimated: bool = False) -> str:
    """A cost in a table: `$0.000123`, `~$0.000123` where tokens were counted here, `$0` for free, `-` for not known."""
    if pico is None:
        return "-"
    return ("~" if is_estimated else "") + (dollars(pico) if pico else "$0")


def known_cost(pico: int, *, calls: int, unknown: int, is_estimated: bool = False) -> str:
    """What calls cost together, in a table: `-` where of none of them it is known."""
    return cost(pico if unknown < calls else None, is_estimated=is_estimated)


def usd(pico: int | None) -> str | None:
    """Dollars for programs, exact, as a decimal string; None for not known."""
    return None if pico is None else usd_text(pico)
