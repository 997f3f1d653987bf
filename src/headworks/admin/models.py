"""The models that can be called here: names, targets, prices and shutdown dates."""

import datetime as dt

import msgspec

from headworks.access import Right
from headworks.admin.desk import Desk
from headworks.catalogue import PriceArchive, PriceBook, retirement_of
from headworks.catalogue.money import per_mtok_text
from headworks.config import price_book


class CallableModel(msgspec.Struct, frozen=True):
    """A name that callers may send as `model`. Prices are dollars per million tokens, exact; None: not known.

    Attributes:
        targets: what it stands for, each `provider/model`; prices and shutdown are the first one's.
    """

    name: str
    targets: tuple[str, ...]
    input_usd_per_mtok: str | None
    output_usd_per_mtok: str | None
    context_tokens: int | None
    shutdown_on: str | None
    successor: str | None


def list_models(desk: Desk) -> list[CallableModel]:
    """Every public name, then every model that a provider's `models` lists.

    Raises:
        Forbidden: whoever asks may not know.
        StorageError: the prices in use cannot be read.
    """
    desk.teams(Right.READ_MODELS)
    config = desk.project.config
    book = price_book(desk.project, PriceArchive(desk.project.storage).current())
    today = dt.datetime.fromtimestamp(desk.now(), dt.UTC).date()
    named = [(name, tuple("/".join(pair) for pair in model.pairs)) for name, model in config.models.items()]
    named += [
        (f"{provider}/{model}", (f"{provider}/{model}",))
        for provider, one in config.providers.items()
        for model in one.models or ()
    ]
    return [_model(name, targets, book, today) for name, targets in named]


def _model(name: str, targets: tuple[str, ...], book: PriceBook, today: dt.date) -> CallableModel:
    provider, _, model = targets[0].partition("/")
    price = book.for_target(provider, model)
    rates = None if price.prices is None else price.prices.at(today).rates
    found = None if price.model is None else retirement_of(price.model, today, within_days=None)
    return CallableModel(
        name,
        targets,
        None if rates is None or rates.input is None else per_mtok_text(rates.input),
        None if rates is None or rates.output is None else per_mtok_text(rates.output),
        None if price.model is None else price.model.context_tokens,
        None if found is None else found.shutdown_on,
        (found.successor or None) if found else None,
    )
