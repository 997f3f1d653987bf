"""`headworks models show`: all that is known of one model."""

import argparse
from collections.abc import Iterator

import msgspec

from headworks.catalogue import CacheFacts, Model, Period, Prices, Rates, Standing
from headworks.catalogue.money import per_mtok_text, usd_text
from headworks.catalogue.prices import RATE_NAMES, TOKEN_RATES
from headworks.cli.lines import json_line
from headworks.cli.model_list import life
from headworks.cli.model_offers import Offer, Offers
from headworks.cli.tables import GREY, Cell, Table, has_colours, plain

_TITLE_WIDTH = 12


def show_model(offers: Offers, options: argparse.Namespace) -> None:
    """Print it."""
    offer = offers.find(options.name)
    if options.json:
        print(json_line(_as_json(offer)))
        return
    print(plain(f"{offer.name}  {offer.model.title if offer.model else ''}".rstrip()))
    if offer.model is None:
        print(_line("", "the catalogue does not know this model"))
    else:
        for title, text in _facts(offer, offer.model, offers):
            print(_line(title, text))
    prices = offer.price.prices
    if prices is None:
        print(
            "\nNo price is known: the cost of its calls is unknown, not zero. `prices` in headworks.yaml can state one."
        )
    else:
        _print_prices(prices, offers)
    if offer.model is not None:
        _print_limits(offer.model, offers.listed_at(offer))
    _print_sources(offer)
    print(f"\nprice table {offer.price.version}")


def _facts(offer: Offer, model: Model, offers: Offers) -> Iterator[tuple[str, str]]:
    if f"/{model.name}" not in f"/{offer.name}":
        yield "is", f"{model.provider}/{model.name}"
    sizes = [f"{model.context_tokens:,} tokens"] if model.context_tokens else []
    if model.max_output_tokens:
        sizes.append(f"{model.max_output_tokens:,} of output at most")
    if sizes:
        yield "context", ", ".join(sizes)
    if model.capabilities:
        yield "can", ", ".join(model.capabilities)
    if names := (*model.aliases, *model.snapshots):
        yield "also", ", ".join(names)
    if model.shutdown_on:
        successor = f"; {model.successor} is recommended" if model.successor else ""
        yield "shut down", f"{life(offer, offers).text}{successor}"
    elif model.is_deprecated:
        yield "shut down", "deprecated; no date is known"
    if model.cache is not None:
        yield "cache", _cache(model.cache)


def _cache(cache: CacheFacts) -> str:
    parts = [f"prefixes from {cache.minimum_tokens:,} tokens"]
    if cache.step_tokens > 1:
        parts[0] += f" in steps of {cache.step_tokens:,}"
    if cache.ttl_s:
        kept = f"kept for {_span(cache.ttl_s)}"
        parts.append(f"{kept}, on request for {_span(cache.long_ttl_s)}" if cache.long_ttl_s else kept)
    parts.append("writes are billed" if cache.bills_writes else "writes are free")
    return "; ".join(parts)


def _span(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min"


def _print_prices(prices: Prices, offers: Offers) -> None:
    """Today's prices of every tier, then what else holds at other times."""
    tiers: dict[Period, list[str]] = {}
    for tier in ("standard", *prices.tiers):
        tiers.setdefault(prices.at(offers.today, tier), []).append(tier)
    bounds = "; `>` is for the whole call above so much input" if any(period.steps for period in tiers) else ""
    print(f"\nUSD per million tokens, today{bounds}")
    _print_rates([row for period, names in tiers.items() for row in _rows(", ".join(names), period)])
    if prices.least_audio_s:
        print(f"a request pays for {prices.least_audio_s} seconds of audio at least")
    for tier, periods in (("standard", prices.periods), *prices.tiers.items()):
        for period in periods:
            if period.hours is not None or period.since > offers.today.isoformat():
                print(f"\n{tier}, {_when(period)}")
                _print_rates(_rows(tier, period))


def _when(period: Period) -> str:
    if period.hours is None:
        return f"from {period.since} on"
    start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in period.hours)
    return f"every day from {start} to {end} UTC"


def _rows(title: str, period: Period) -> list[tuple[str, Rates]]:
    return [(title, period.rates), *((f"  >{step.above:,}", step.rates) for step in period.steps)]


def _print_rates(rows: list[tuple[str, Rates]]) -> None:
    """A line for each tier and step; what is not for tokens below, where it is the same in all of them."""
    kinds = [kind for kind in RATE_NAMES if any(getattr(rates, kind) is not None for _, rates in rows)]
    shared = [kind for kind in kinds if kind not in TOKEN_RATES and len({getattr(each, kind) for _, each in rows}) == 1]
    shown = [kind for kind in kinds if kind not in shared]
    if shown:
        head = ("TIER", *(_title(kind).upper() for kind in shown))
        table = Table(head, right=frozenset(range(1, len(head))), coloured=has_colours())
        cells = [[Cell(title), *(_cell(kind, getattr(rates, kind)) for kind in shown)] for title, rates in rows]
        print("\n".join(table.lines(cells)))
    for kind in shared:
        print(f"{_title(kind)}: {usd_text(getattr(rows[0][1], kind))} USD")


def _title(kind: str) -> str:
    name = kind.replace("_", " ")
    return name if kind in TOKEN_RATES else f"each {name}"


def _cell(kind: str, rate: int | None) -> Cell:
    if rate is None:
        return Cell("-", GREY)
    return Cell(per_mtok_text(rate) if kind in TOKEN_RATES else usd_text(rate))


_LIMIT_TITLES = {
    "requests_per_minute": "REQUESTS/MIN",
    "requests_per_day": "REQUESTS/DAY",
    "tokens_per_minute": "TOKENS/MIN",
    "tokens_per_day": "TOKENS/DAY",
    "input_tokens_per_minute": "INPUT/MIN",
    "output_tokens_per_minute": "OUTPUT/MIN",
    "queued_tokens": "IN BATCHES",
}
STANDINGS: dict[Standing, str] = {
    "page": "the provider's page",
    "copy": "a copy of its page",
    "account": "told by others",
}
"""How near a source is to the provider's own word, for people."""


def _print_limits(model: Model, provider: str) -> None:
    """What each usage tier may use of it at the provider that is asked, and how sure that is."""
    rows = model.limits_at(provider)
    if not rows:
        return
    known = [name for name in _LIMIT_TITLES if any(name in row.figures() for row in rows)]
    head = ("USAGE TIER", *(_LIMIT_TITLES[name] for name in known), "SEEN ON", "HOW SURE")
    table = Table(head, right=frozenset(range(1, len(known) + 1)), coloured=has_colours())
    cells = [
        [
            Cell(row.tier),
            *(_count(row.figures().get(name)) for name in known),
            Cell(row.seen_on),
            Cell(STANDINGS[row.standing]),
        ]
        for row in rows
    ]
    print("\nWhat an account may use, by its tier")
    print("\n".join(table.lines(cells)))


def _count(figure: int | None) -> Cell:
    return Cell("-", GREY) if figure is None else Cell(f"{figure:,}")


def _print_sources(offer: Offer) -> None:
    """Each source with the facts that are from it."""
    by_source: dict[tuple[str, str, str, Standing], list[str]] = {}
    for each in offer.model.citations if offer.model else ():
        by_source.setdefault((each.source, each.seen_on, each.url, each.standing), []).append(each.of)
    listed = offer.model.prices if offer.model else None
    if by_source:
        print("\nSources")
    for (source, seen_on, url, standing), fields in by_source.items():
        print(plain(f"  {', '.join(fields)}"))
        print(plain(f"    {source}, seen on {seen_on} ({STANDINGS[standing]}): {url}"))
    if offer.price.prices != listed:
        print("  prices here\n    `prices` in headworks.yaml")


def _line(title: str, text: str) -> str:
    return plain(f"  {title:<{_TITLE_WIDTH}} {text}".rstrip())


def _as_json(offer: Offer) -> dict[str, object]:
    known = {} if offer.model is None else msgspec.to_builtins(offer.model)
    return {
        **known,
        "asked_for": offer.name,
        "list_prices": known.get("prices"),
        "prices": None if offer.price.prices is None else msgspec.to_builtins(offer.price.prices),
        "unit": "pico-dollar (10^-12 USD) for each unit",
        "version": offer.price.version,
    }
