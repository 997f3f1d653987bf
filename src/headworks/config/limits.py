"""Which limits a target has: the model's own in its pool, else the pool's, else the provider's."""

from collections.abc import Mapping

import msgspec

from headworks.config.sections.limits import Limits
from headworks.config.sections.providers import Provider
from headworks.config.shape import Config


class TargetLimits(msgspec.Struct, frozen=True):
    """What one pool may ask of each model. `by_model` are those that differ."""

    of_others: Limits
    by_model: Mapping[str, Limits]

    def of(self, model: str) -> Limits:
        """What it may ask of this one."""
        return self.by_model.get(model, self.of_others)


def limits_by_pool(provider: Provider) -> dict[str, TargetLimits]:
    """The limits of each pool, by its name; "" is that of a provider without pools."""
    if not provider.pools:
        return {"": TargetLimits(provider.limits, provider.model_limits)}
    return {
        name: TargetLimits(
            provider.limits if pool.limits is None else pool.limits, {**provider.model_limits, **pool.model_limits}
        )
        for name, pool in provider.pools.items()
    }


def limits_of_target(config: Config, provider: str, model: str) -> Limits | None:
    """What may be asked of a model; None if there is no such provider, or pool, any more.

    Arguments:
        provider: as calls are recorded, with the pool's name behind a colon.
    """
    name, _, pool = provider.partition(":")
    found = config.providers.get(name)
    pools = {} if found is None else limits_by_pool(found)
    return pools[pool].of(model) if pool in pools else None


def listed_targets(config: Config) -> list[tuple[str, str]]:
    """Provider (with the pool) and model of every target that the file names."""
    models = [(name, model) for name, provider in config.providers.items() for model in provider.models or ()]
    models += [pair for one in config.models.values() for pair in one.pairs]
    models += [(name, model) for name, one in config.providers.items() for model in one.model_limits]
    return [
        (f"{name}:{pool}" if pool else name, model)
        for name, model in dict.fromkeys(models)
        for pool in limits_by_pool(config.providers[name])
    ]
