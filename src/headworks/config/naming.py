"""Which model a name means, and which names are taken. The table that calls are routed by is `routing`'s own."""

from headworks.config.sections.models import TIER_ROLES, Model
from headworks.config.shape import Config

DETERMINISTIC = "deterministic"
"""The last rung of a fallback chain: what the workload's `fallback.json`, `fallback.md` or `fallback.py` says."""


def model_named(config: Config, name: str) -> Model | None:
    """The model that a public name or `provider/model` means; None if it means none."""
    if name in config.models:
        return config.models[name]
    provider_name, slash, model = name.partition("/")
    provider = config.providers.get(provider_name)
    if not (slash and model) or provider is None:
        return None
    if provider.models is not None and model not in provider.models:
        return None
    return Model(provider_name, model)


def model_of_rung(config: Config, name: str) -> Model | None:
    """The model that a name in a contract means: a tier's role that is bound, a public name or `provider/model`.

    A role that is bound goes before a public model of the same name.
    """
    bound = getattr(config.tiers, name) if name in TIER_ROLES else None
    return model_named(config, bound if bound is not None else name)


def target_of_rung(config: Config, name: str) -> str | None:
    """The name under which the table of routes has what a name in a contract means: `provider/model`, or a public name
    that stands for several. None if it means none."""
    model = model_of_rung(config, name)
    if model is None:
        return None
    bound = getattr(config.tiers, name) if name in TIER_ROLES else None
    return (bound or name) if model.targets else f"{model.provider}/{model.model}"


def taken_names(config: Config) -> frozenset[str]:
    """Names that mean something already, so that no workload can be called so."""
    listed = (model for provider in config.providers.values() for model in provider.models or ())
    return frozenset((*config.models, *listed, *TIER_ROLES, DETERMINISTIC))
