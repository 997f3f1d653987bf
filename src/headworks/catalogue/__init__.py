"""Models, what they cost and how long they live: data, and the arithmetic on it.

`shipped` is the catalogue of this release, `PriceArchive` what an installation has in its state folder: newer ones, and
every one that a call was charged by. A `PriceBook` is a catalogue with the installation's own terms; `for_target` binds
it to one model at one provider, and `cost` then charges a call in about a microsecond. Money is whole pico-dollars
(`money`), never a float. The data is made by `tools/catalogue/refresh.py`.

May import `calls` and `errors`. Only `archive` and `shipped` touch the disk.
"""

from headworks.calls import Extras
from headworks.catalogue.archive import PriceArchive
from headworks.catalogue.bill import Bill, BillLine
from headworks.catalogue.book import CHARGED, PriceBook, TargetPrice
from headworks.catalogue.changes import Changes, changes_between
from headworks.catalogue.cost import Cost, Most, cost_of
from headworks.catalogue.life import WARNING_DAYS, Retirement, retirement_of
from headworks.catalogue.models import LIMIT_NAMES, CacheFacts, Citation, Model, Provider, RateLimits, Standing
from headworks.catalogue.pack import Catalogue, CatalogueError, read_catalogue, shipped
from headworks.catalogue.prices import ON_REQUEST, STANDARD, Period, Prices, Rates, Step
from headworks.catalogue.savings import Saving, saving_of
from headworks.catalogue.tariffs import Deck, deck_of
from headworks.catalogue.terms import Machine, Terms, machine_prices
from headworks.catalogue.tokenizers import (
    RULE,
    Certainty,
    Tokenizer,
    has_tokenizers,
    load_tokenizer,
    loaded_tokenizer_for,
    tokenizer_for,
)
from headworks.catalogue.tokens import count_tokens

__all__ = [
    "CHARGED",
    "LIMIT_NAMES",
    "ON_REQUEST",
    "RULE",
    "STANDARD",
    "WARNING_DAYS",
    "Bill",
    "BillLine",
    "CacheFacts",
    "Catalogue",
    "CatalogueError",
    "Certainty",
    "Changes",
    "Citation",
    "Cost",
    "Deck",
    "Extras",
    "Machine",
    "Model",
    "Most",
    "Period",
    "PriceArchive",
    "PriceBook",
    "Prices",
    "Provider",
    "RateLimits",
    "Rates",
    "Retirement",
    "Saving",
    "Standing",
    "Step",
    "TargetPrice",
    "Terms",
    "Tokenizer",
    "changes_between",
    "cost_of",
    "count_tokens",
    "deck_of",
    "has_tokenizers",
    "load_tokenizer",
    "loaded_tokenizer_for",
    "machine_prices",
    "read_catalogue",
    "retirement_of",
    "saving_of",
    "shipped",
    "tokenizer_for",
]
