"""What a newer catalogue says that an older one does not."""

import msgspec

from headworks.catalogue.models import Model
from headworks.catalogue.pack import Catalogue


class Changes(msgspec.Struct, frozen=True):
    """Models by `provider/name`: those that came, those that went, those with other prices or another shutdown."""

    came: tuple[str, ...]
    went: tuple[str, ...]
    repriced: tuple[str, ...]
    retired: tuple[str, ...]


def changes_between(old: Catalogue, new: Catalogue) -> Changes:
    """How two catalogues differ. Decodes both."""
    before, after = _by_name(old), _by_name(new)
    both = [name for name in after if name in before]
    return Changes(
        came=tuple(name for name in after if name not in before),
        went=tuple(name for name in before if name not in after),
        repriced=tuple(name for name in both if before[name].prices != after[name].prices),
        retired=tuple(name for name in both if before[name].shutdown_on != after[name].shutdown_on),
    )


def _by_name(catalogue: Catalogue) -> dict[str, Model]:
    return {
        f"{provider}/{model.name}": model
        for provider in catalogue.provider_names
        for model in catalogue.models(provider)
    }
