"""What providers document for the usage tier of an account, beside the limits that `headworks.yaml` has for it."""

from collections.abc import Iterator

import msgspec

from headworks.calls import Limits
from headworks.catalogue import PriceBook, RateLimits
from headworks.config.limits import limits_by_pool, listed_targets
from headworks.config.project import Project
from headworks.config.sections.providers import Provider
from headworks.config.walk import suggestion
from headworks.errors import Problem

_ENFORCED = Limits.__struct_fields__
"""What of a tier can be limited here."""


class TierLimits(msgspec.Struct, frozen=True):
    """What the account's tier may use of one target.

    Attributes:
        provider, model: the target; the pool stands behind a colon.
        place: where in headworks.yaml the limits of this target are to be written.
        tier: as the file names it.
        documented: the tier as the catalogue has it; None where it does not.
        known: the tiers that the catalogue has of this model there.
        configured: what headworks.yaml allows.
    """

    provider: str
    model: str
    place: str
    tier: str
    documented: RateLimits | None
    known: tuple[str, ...]
    configured: Limits

    def missing(self) -> dict[str, int]:
        """What is documented and not configured."""
        return {name: figure for name, figure in self.figures().items() if getattr(self.configured, name) is None}

    def exceeded(self) -> dict[str, int]:
        """What is documented, and configured higher."""
        own = self.configured
        return {
            name: figure
            for name, figure in self.figures().items()
            if (allowed := getattr(own, name)) is not None and allowed > figure
        }

    def figures(self) -> dict[str, int]:
        """What is documented of what can be limited here."""
        known = {} if self.documented is None else self.documented.figures()
        return {name: figure for name, figure in known.items() if name in _ENFORCED}


def tier_limits(project: Project, book: PriceBook) -> Iterator[TierLimits]:
    """Each target of a provider whose account's tier is named, if the catalogue knows tiers of its model there.

    Arguments:
        book: knows the models.
    """
    config = project.config
    for target, model in listed_targets(config):
        name, _, pool = target.partition(":")
        provider = config.providers[name]
        tier = tier_of(provider, pool)
        found = book.for_target(name, model).model if tier else None
        rows = () if found is None else found.limits_at(book.terms[name].catalogue)
        if tier is None or not rows:
            continue
        documented = next((row for row in rows if row.tier == tier), None)
        place = f"providers.{name}.pools.{pool}" if pool else f"providers.{name}"
        yield TierLimits(
            target,
            model,
            f"{place}.model_limits.{model}",
            tier,
            documented,
            tuple(row.tier for row in rows),
            limits_by_pool(provider)[pool].of(model),
        )


def tier_of(provider: Provider, pool: str) -> str | None:
    """The usage tier of a pool's account; of the provider's own for ""."""
    own = provider.pools[pool].usage_tier if pool else None
    return own or provider.usage_tier


def tier_warnings(project: Project, book: PriceBook) -> Iterator[Problem]:
    """What of the limits does not fit the tier, at the place where the tier is named."""
    config = project.config
    for one in tier_limits(project, book):
        name, _, pool = one.provider.partition(":")
        own = pool and config.providers[name].pools[pool].usage_tier
        place = ("providers", name, "pools", pool, "usage_tier") if own else ("providers", name, "usage_tier")
        target = f"{one.provider}/{one.model}"
        if one.documented is None:
            hint = suggestion(one.tier, one.known)
            yield project.problem(place, f"the catalogue knows no tier `{one.tier}` of {target}{hint}")
            continue
        if exceeded := one.exceeded():
            says = f"tier {one.tier} may use less of {target} than headworks.yaml allows: {limits_words(exceeded)}"
            yield project.problem(place, f"{says} ({source_words(one.documented)})")
        if missing := one.missing():
            says = f"tier {one.tier} may use {limits_words(missing)} of {target}"
            yield project.problem(
                place,
                f"{says}, and headworks.yaml says nothing of it: calls would fail instead of waiting; write "
                f"`{one.place}: {limits_setting(missing)}` ({source_words(one.documented)})",
            )


def limits_words(figures: dict[str, int]) -> str:
    """Limits as a person says them."""
    return " and ".join(
        f"{figure:,} {name.replace('_per_', ' a ').replace('_', ' ')}" for name, figure in figures.items()
    )


def limits_setting(figures: dict[str, int]) -> str:
    """Limits as headworks.yaml has them."""
    return "{" + ", ".join(f"{name}: {figure}" for name, figure in figures.items()) + "}"


_HOW_SURE = {
    "page": "as the provider documents it",
    "copy": "as a copy of the provider's page has it",
    "account": "as others say that the provider documents it",
}


def source_words(row: RateLimits) -> str:
    """How sure a tier's figures are, and of which day."""
    return f"{_HOW_SURE[row.standing]}, seen on {row.seen_on}; your account may have others"
