"""The price book of an installation: list prices and its own terms, bound to the targets that it calls.

book = PriceBook(shipped(), {"openai": Terms(catalogue="openai")})
price = book.for_target("openai", "gpt-6-luna")        # once, when the target is loaded
cost = price.cost(usage, at_us=opened_us, tier="flex")  # each call: about a microsecond
"""

import hashlib
from collections.abc import Mapping

import msgspec

from headworks.calls import Extras, Usage
from headworks.catalogue.bill import Bill, bill_of
from headworks.catalogue.cost import Cost, Most, cost_of, most_of
from headworks.catalogue.models import Model
from headworks.catalogue.pack import Catalogue
from headworks.catalogue.prices import STANDARD, Prices
from headworks.catalogue.tariffs import Deck, deck_of
from headworks.catalogue.terms import Terms

CHARGED = "+charged"
"""Behind the version that a call keeps: its cost is what the provider said that it had charged."""


class TargetPrice:
    """The prices of one target. Immutable; costs nothing to keep.

    `prices` are None where no price is known: every cost is None then. `model` is None where the catalogue does not
    know the model.
    """

    __slots__ = ("_deck", "model", "prices", "version")

    def __init__(self, prices: Prices | None, version: str, model: Model | None = None) -> None:
        self.prices = prices
        self.version = version
        self.model = model
        self._deck: Deck | None = None if prices is None else deck_of(prices)

    @property
    def is_known(self) -> bool:
        """Whether there is a price."""
        return self.prices is not None

    def cost(self, usage: Usage, *, at_us: int, tier: str = STANDARD, extras: Extras | None = None) -> Cost | None:
        """What a call costs (see `cost_of`), or None where that is not known.

        Arguments:
            usage: the call's tokens.
            at_us: when it began, in microseconds since the Unix epoch.
            tier: as the provider says that it served it; `default` and `auto` are standard.
            extras: what it used beyond tokens of text; None: as the usage says.
        """
        return cost_of(usage, self._deck, at_us=at_us, tier=tier, extras=extras, version=self.version)

    def most(self, input_tokens: int, output_tokens: int, *, at_us: int, has_media: bool = False) -> int | None:
        """The most that a call can cost (see `most_of`); None where that is not known."""
        most = Most(input_tokens, output_tokens, has_media=has_media)
        return None if self._deck is None else most_of(self._deck, most, at_us=at_us)

    def most_together(self, most: Most, *, at_us: int, tier: str = "") -> int | None:
        """The most that calls can cost together (see `most_of`), of one tier or of the dearest; None where that is not
        known."""
        return None if self._deck is None else most_of(self._deck, most, at_us=at_us, tier=tier)

    def first_step(self, *, at_us: int, tier: str) -> int | None:
        """The least input of a call, in tokens, beyond which it has higher prices; None where there are none."""
        steps = () if self._deck is None else self._deck.card(tier, at_us).steps
        return min((bound for bound, _ in steps), default=None)

    def of_short_calls(self) -> "TargetPrice":
        """The same without the higher prices of long input: for the tokens of many calls together, each of which was
        short."""
        if self.prices is None:
            return self
        return TargetPrice(self.prices.without_steps(), self.version, self.model)

    def training(self, tokens: int, *, at_us: int) -> int | None:
        """What so many tokens of training cost; None where that is not known."""
        rate = None if self._deck is None else self._deck.card(STANDARD, at_us).base.training
        return None if not rate else rate * tokens

    def bill(self, usage: Usage, *, at_us: int, tier: str = STANDARD) -> Bill | None:
        """How a cost comes about, line by line (see `bill_of`), or None where it is not known."""
        return bill_of(usage, self._deck, at_us=at_us, tier=tier)


class PriceBook:
    """What every target costs.

    `version` names the catalogue and the terms: `2026-11-25-3f2a9c1b7d04.5e6f7a8b`. A call keeps it, and `PriceArchive`
    finds the book of a version again.
    """

    def __init__(self, catalogue: Catalogue, terms: Mapping[str, Terms]) -> None:
        """Arguments:
        catalogue: list prices and facts.
        terms: what holds for each provider, by its name in `headworks.yaml`.
        """
        self.catalogue = catalogue
        self.terms = dict(terms)
        self.version = f"{catalogue.version}.{terms_hash(self.terms)}"

    def for_target(self, provider: str, model: str) -> TargetPrice:
        """The prices of a model at a provider.

        Arguments:
            provider: its name in `headworks.yaml`. The name of a pool behind a colon, as calls are recorded with it,
                changes nothing: all pools of a provider have its terms.
            model: the upstream's name of the model.
        """
        terms = self.terms.get(provider.partition(":")[0])
        if terms is None:
            return TargetPrice(None, self.version)
        listed = terms.deployments.get(model, model)
        found = self.catalogue.find(terms.catalogue, listed) if terms.catalogue else None
        own = terms.models.get(model, terms.every)
        if own is not None:
            return TargetPrice(terms.reckoned(own), self.version, found)
        if found is None or found.prices is None:
            return TargetPrice(None, self.version, found)
        return TargetPrice(terms.reckoned(terms.discounted(found.prices)), self.version, found)


def terms_text(terms: Mapping[str, Terms]) -> bytes:
    """Terms as JSON, always in the same order."""
    return msgspec.json.encode(dict(terms), order="deterministic")


def terms_hash(terms: Mapping[str, Terms]) -> str:
    """What tells terms apart: eight hexadecimal digits."""
    return hashlib.sha256(terms_text(terms)).hexdigest()[:8]
