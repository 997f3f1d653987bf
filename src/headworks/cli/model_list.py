"""`headworks models list` and `providers`."""

import argparse
from collections.abc import Iterator
from decimal import Decimal

from headworks.catalogue import Period, retirement_of
from headworks.catalogue.money import MTOK, per_mtok_text, pico_usd
from headworks.cli.lines import json_line, note
from headworks.cli.model_offers import Offer, Offers
from headworks.cli.tables import GREY, RED, YELLOW, Cell, Table, has_colours, tokens

_NEVER = "9999-12-31"


def list_models(offers: Offers, options: argparse.Namespace) -> None:
    """Print the offers that were asked for, a line each."""
    chosen = [offer for offer in _asked_for(offers, options) if _fits(offer, offers, options)]
    if options.sort == "price":
        chosen.sort(key=lambda offer: _dearness(_period(offer, offers)))
    elif options.sort == "shutdown":
        chosen.sort(key=lambda offer: (offer.model and offer.model.shutdown_on) or _NEVER)
    if options.json:
        for offer in chosen:
            print(json_line(_as_json(offer, offers)))
        return
    if not chosen:
        note("no model fits; `headworks models list --all` lists all", "models")
        return
    head = ("MODEL", "INPUT", "CACHED", "OUTPUT", "CONTEXT", "SHUTDOWN")
    table = Table(head, right=frozenset({1, 2, 3, 4}), coloured=has_colours())
    print("\n".join(table.lines([_row(offer, offers) for offer in chosen])))


def list_providers(offers: Offers, options: argparse.Namespace) -> None:
    """Print the catalogue's providers."""
    providers = [offers.catalogue.provider(name) for name in offers.catalogue.provider_names]
    if options.json:
        for provider in providers:
            shown = {"name": provider.name, "title": provider.title, "models": provider.model_count}
            print(json_line(shown | {"urls": provider.urls}))
        return
    table = Table(("PROVIDER", "MODELS", "TITLE", "PRICES PUBLISHED AT"), right=frozenset({1}), coloured=has_colours())
    rows = [
        [
            Cell(each.name),
            Cell(f"{each.model_count:,}"),
            Cell(each.title),
            Cell(each.urls[0] if each.urls else "-", GREY),
        ]
        for each in providers
    ]
    print("\n".join(table.lines(rows)))


def life(offer: Offer, offers: Offers) -> Cell:
    """When a model is shut down, and how many days are left."""
    found = None if offer.model is None else retirement_of(offer.model, offers.today, within_days=None)
    if found is None:
        return Cell("-", GREY)
    if found.is_gone:
        return Cell(f"{found.shutdown_on}, gone", RED)
    days = "1 day" if found.days_left == 1 else f"{found.days_left} days"
    return Cell(f"{found.shutdown_on}, in {days}", YELLOW if found.days_left <= 180 else 0)


def _asked_for(offers: Offers, options: argparse.Namespace) -> Iterator[Offer]:
    if options.provider:
        return offers.of_provider(options.provider)
    return offers.everything() if options.all else offers.of_project()


def _fits(offer: Offer, offers: Offers, options: argparse.Namespace) -> bool:
    model, period = offer.model, _period(offer, offers)
    if options.name and options.name.lower() not in offer.name.lower():
        return False
    if any(word not in (model.capabilities if model else ()) for word in options.can):
        return False
    if options.context and (model is None or (model.context_tokens or 0) < options.context):
        return False
    if not _is_within(period, "input", options.max_input) or not _is_within(period, "output", options.max_output):
        return False
    retirement = None if model is None else retirement_of(model, offers.today, within_days=None)
    if options.retiring is not None:
        return retirement is not None and not retirement.is_gone and retirement.days_left <= options.retiring
    return retirement is None or not retirement.is_gone or options.all


def _is_within(period: Period | None, kind: str, most: Decimal | None) -> bool:
    if most is None:
        return True
    rate = None if period is None else getattr(period.rates, kind)
    return rate is not None and rate <= pico_usd(most, per=MTOK)


def _period(offer: Offer, offers: Offers) -> Period | None:
    return None if offer.price.prices is None else offer.price.prices.at(offers.today)


def _dearness(period: Period | None) -> tuple[bool, int]:
    """What sorts by price: a token of input and one of output, those without a price last."""
    if period is None:
        return True, 0
    return False, (period.rates.input or 0) + (period.rates.output or 0)


def _row(offer: Offer, offers: Offers) -> list[Cell]:
    period, model = _period(offer, offers), offer.model
    kinds = ("input", "cached_input", "output")
    rates = [None if period is None else getattr(period.rates, kind) for kind in kinds]
    context = "-" if model is None or model.context_tokens is None else tokens(model.context_tokens)
    prices = [Cell("-", GREY) if rate is None else Cell(per_mtok_text(rate)) for rate in rates]
    return [Cell(offer.name), *prices, Cell(context), life(offer, offers)]


def _as_json(offer: Offer, offers: Offers) -> dict[str, object]:
    period, model = _period(offer, offers), offer.model
    retirement = None if model is None else retirement_of(model, offers.today, within_days=None)
    return {
        "name": offer.name,
        "title": model.title if model else "",
        "pico_usd": {} if period is None else period.rates.set_rates(),
        "is_priced": period is not None,
        "context_tokens": model.context_tokens if model else None,
        "max_output_tokens": model.max_output_tokens if model else None,
        "capabilities": model.capabilities if model else (),
        "shutdown_on": retirement.shutdown_on if retirement else None,
        "days_left": retirement.days_left if retirement else None,
        "successor": (retirement.successor or None) if retirement else None,
        "version": offers.book.version,
    }
