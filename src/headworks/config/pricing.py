"""What `headworks.yaml` says of prices, as the catalogue's own values: terms for each provider."""

import re
from decimal import Decimal

import msgspec

from headworks.catalogue import Catalogue, Machine, Period, PriceBook, Prices, Rates, Step, Terms, machine_prices
from headworks.catalogue.money import MTOK, pico_usd, scaled
from headworks.config.project import Project
from headworks.config.sections.prices import OwnPrices, ProviderPrices, SelfHosted
from headworks.config.sections.providers import Provider
from headworks.config.walk import suggestion
from headworks.errors import ConfigError

_OPENAI = "openai"
_CLOUDS = {"azure": "azure", "bedrock": "aws"}
_MAKERS = ("openai", "anthropic", "google")
"""Whose models the clouds serve under names of their own."""

_UNLISTED = re.compile(r"(?:[a-z-]+\.)?cohere\.embed-[a-z0-9:.-]+")
"""Models that are known here by what they are asked, though the catalogue has none of their prices."""

_PER_TOKEN = (
    "input", "cached_input", "cache_write", "cache_write_long", "output", "reasoning", "audio_input", "audio_output",
    "image_input", "image_output", "training",
)  # fmt: skip
_PER_UNIT = ("request", "web_search", "file_search", "audio_hour")
_OUTPUT = frozenset({"output", "reasoning", "audio_output", "image_output"})
_TIERS = {"batch": "batch_factor", "flex": "flex_factor", "priority": "priority_factor"}


def price_book(project: Project, catalogue: Catalogue) -> PriceBook:
    """What every target of a project costs.

    Raises:
        ConfigError: the file names a provider that the catalogue does not have.
    """
    return PriceBook(catalogue, price_terms(project, catalogue))


def price_terms(project: Project, catalogue: Catalogue) -> dict[str, Terms]:
    """The terms of each provider of a project.

    A provider that `prices` does not name has the list prices of the catalogue's provider whose API is at its URL; the
    simulator has OpenAI's. Where the catalogue knows no such provider, its calls have no price.

    Raises:
        ConfigError: the file names a provider that the catalogue does not have.
    """
    config = project.config
    problems = []
    terms = {}
    for name, provider in config.providers.items():
        prices = config.prices.providers.get(name, ProviderPrices())
        listed = prices.catalogue
        if listed is not None and listed not in catalogue.provider_names:
            hint = suggestion(listed, catalogue.provider_names)
            place = ("prices", "providers", name, "catalogue")
            problems.append(project.problem(place, f"the catalogue of models has no such provider{hint}"))
            continue
        if prices.self_hosted is not None:
            listed = listed or ""
        listed = _listed_at(provider, catalogue) if listed is None else listed
        for deployment, model in provider.deployments.items() if listed else ():
            if catalogue.find(listed, model) is None and _UNLISTED.fullmatch(model) is None:
                known = (name for maker in (listed, *_MAKERS) for name in catalogue.names(maker))
                hint = suggestion(model, dict.fromkeys(known))
                place = ("providers", name, "deployments", deployment)
                problems.append(project.problem(place, f"the catalogue of models has no `{model}` of {listed}{hint}"))
        own = {
            target.partition("/")[2]: _own(model)
            for target, model in config.prices.models.items()
            if target.partition("/")[0] == name
        }
        terms[name] = Terms(
            catalogue=listed,
            discount_percent=prices.discount_percent,
            models=own,
            every=None if prices.self_hosted is None else machine_prices(_machine(prices.self_hosted)),
            deployments=dict(provider.deployments),
            container_run=None if prices.container_run is None else pico_usd(prices.container_run),
        )
    if problems:
        raise ConfigError(*problems)
    return terms


def _listed_at(provider: Provider, catalogue: Catalogue) -> str:
    """The catalogue's provider that this one is, or nothing."""
    if provider.kind == "simulator":
        return _OPENAI
    if provider.kind in _CLOUDS:
        return _CLOUDS[provider.kind]  # also behind an address of one's own
    return catalogue.provider_at(provider.base_url) or ""


def _machine(given: SelfHosted) -> Machine:
    return Machine(
        gpu_hour_usd=given.gpu_hour,
        output_tokens_per_s=given.output_tokens_per_s,
        input_tokens_per_s=given.input_tokens_per_s,
        gpus=given.gpus,
        busy_percent=given.busy_percent,
    )


def _own(given: OwnPrices) -> Prices:
    rates = {name: pico_usd(usd, per=MTOK) for name in _PER_TOKEN if (usd := getattr(given, name)) is not None}
    units = {name: pico_usd(usd) for name in _PER_UNIT if (usd := getattr(given, name)) is not None}
    period = Period(rates=Rates(**rates, **units))
    if (long := given.long_context) is not None:
        higher = {
            name: scaled(rate, long.output_factor if name in _OUTPUT else long.input_factor)
            for name, rate in rates.items()
        }
        step = Step(above=long.above, rates=Rates(**higher, **units))
        period = msgspec.structs.replace(period, steps=(step,))
    factors: dict[str, Decimal | None] = {tier: getattr(given, field) for tier, field in _TIERS.items()}
    tiers: dict[str, tuple[Period, ...]] = {
        tier: (period.times(factor),) for tier, factor in factors.items() if factor is not None
    }
    return Prices(periods=(period,), tiers=tiers)
