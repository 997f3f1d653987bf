"""Where the data of a workload may go: what its contract asks, against what each provider says of itself. Pure."""

from collections.abc import Iterator
from typing import get_args

from headworks.config.contract import Data
from headworks.config.naming import model_named
from headworks.config.sections.base import Sensitivity
from headworks.config.sections.providers import Provider
from headworks.config.shape import Config

SENSITIVITIES: tuple[str, ...] = get_args(Sensitivity)
"""From the least harmful to the most."""


def data_faults(data: Data, name: str, provider: Provider) -> Iterator[tuple[str, str]]:
    """Why data must not go to a provider: the contract's field in `data`, and what is wrong. Nothing where it may.

    A simulator is in this process: nothing goes anywhere.

    Arguments:
        name: the provider's in headworks.yaml.
    """
    if provider.kind == "simulator":
        return
    allowed, needed = frozenset(data.residency), frozenset(data.agreements)
    if allowed and not provider.regions:
        yield "residency", f"`providers.{name}` of headworks.yaml does not say where it processes data (`regions`)"
    elif allowed and not allowed.issuperset(provider.regions):
        elsewhere = ", ".join(sorted(set(provider.regions) - allowed))
        yield "residency", f"does not allow {elsewhere}, where `providers.{name}` processes data"
    if not needed.issubset(provider.agreements):
        missing = ", ".join(sorted(needed.difference(provider.agreements)))
        yield "agreements", f"{missing}: not among `agreements` of `providers.{name}` in headworks.yaml"
    if SENSITIVITIES.index(data.sensitivity) > SENSITIVITIES.index(provider.sensitivity):
        most = f"`providers.{name}` of headworks.yaml may see data up to `{provider.sensitivity}` (`sensitivity` there)"
        yield "sensitivity", f"{most}, and this is {data.sensitivity}"


def why_not_to(config: Config, data: Data, name: str) -> str:
    """Why a workload's data must not go to a model that its contract does not name, in a few words; "" where it may.

    Arguments:
        name: the model as a caller would name it. One that means nothing here goes to whoever takes any name.
    """
    found = model_named(config, name)
    takers = [provider for provider, one in config.providers.items() if one.models is None]
    pairs = [(taker, name) for taker in takers] if found is None else found.pairs
    faults = [
        f"data.{field}: {message}"
        for provider, _ in pairs
        for field, message in data_faults(data, provider, config.providers[provider])
    ]
    return "; ".join(dict.fromkeys(faults))
