"""What `headworks models` speaks of: models at providers, at the prices that hold for a project."""

import datetime as dt
import difflib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headworks.catalogue import Catalogue, Model, PriceArchive, PriceBook, TargetPrice, Terms, shipped
from headworks.cli.tables import plain
from headworks.config import Project, load, model_of_rung, price_book
from headworks.errors import CommandError

_MAKERS = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "meta", "moonshotai", "zai")
"""Whose offer is meant by a model's name alone, before that of a provider who serves others' models."""


class Offer(msgspec.Struct, frozen=True):
    """A model at a provider: `name` is how to ask for it here."""

    name: str
    price: TargetPrice

    @property
    def model(self) -> Model | None:
        """What the catalogue knows of it."""
        return self.price.model


class Offers:
    """The catalogue as a project sees it. Without a project: list prices, and every provider of the catalogue."""

    def __init__(self, project: Project | None, catalogue: Catalogue) -> None:
        self.project = project
        self.catalogue = catalogue
        self.today = dt.datetime.now(dt.UTC).date()
        listed = {name: Terms(catalogue=name) for name in catalogue.provider_names}
        self.listed = PriceBook(catalogue, listed)
        self.book = self.listed if project is None else price_book(project, catalogue)

    @classmethod
    def of(cls, config: Path | None) -> "Offers":
        """Those of a headworks.yaml, or of none.

        Raises:
            ConfigError: the file is not good.
            StorageError: the price tables in its state folder are not.
        """
        if config is None:
            return cls(None, shipped())
        project = load(config)
        return cls(project, PriceArchive(project.storage).current())

    def find(self, name: str) -> Offer:
        """The offer that a name means.

        Raises:
            CommandError: it means none; says the nearest that do.
        """
        provider, slash, model = name.partition("/")
        if self.project is not None:
            target = model_of_rung(self.project.config, name)
            if target is not None:
                shown = f"{target.provider}/{target.model}"
                return Offer(shown, self.book.for_target(target.provider, target.model))
        if slash and provider in self.catalogue.provider_names:
            found = self._listed(provider, model)
            if found is not None:
                return found
        else:
            for each in self._providers():
                found = self._listed(each, name)
                if found is not None:
                    return found
        raise CommandError(f"no model is called `{plain(name)}`{self._hint(name)}")

    def listed_at(self, offer: Offer) -> str:
        """The catalogue's provider whose offer it is; nothing where that is not known."""
        provider = offer.name.partition("/")[0]
        own = None if self.project is None else self.book.terms.get(provider)
        return provider if own is None else own.catalogue

    def of_provider(self, name: str) -> Iterator[Offer]:
        """All offers of a provider of the project, or of the catalogue.

        Raises:
            CommandError: there is no such provider.
        """
        if self.project is not None and name in self.project.config.providers:
            yield from self._of_project(name)
        elif name in self.catalogue.provider_names:
            for model in self.catalogue.models(name):
                yield Offer(f"{name}/{model.name}", TargetPrice(model.prices, self.listed.version, model))
        else:
            near = difflib.get_close_matches(name, self.catalogue.provider_names, n=3)
            hint = f"; did you mean {_either(near)}?" if near else "; `headworks models providers` lists them"
            raise CommandError(f"no provider is called `{plain(name)}`{hint}")

    def of_project(self) -> Iterator[Offer]:
        """All offers of the project's providers; without a project, of the best-known makers."""
        names = self.project.config.providers if self.project is not None else _MAKERS[:3]
        for name in names:
            yield from self.of_provider(name)

    def everything(self) -> Iterator[Offer]:
        """Every offer of the project, then all of the catalogue at list prices."""
        own = self.project.config.providers if self.project is not None else {}
        for name in own:
            yield from self._of_project(name)
        for name in self.catalogue.provider_names:
            if name not in own:
                yield from self.of_provider(name)

    def _of_project(self, name: str) -> Iterator[Offer]:
        assert self.project is not None
        terms, only = self.book.terms[name], self.project.config.providers[name].models
        listed = self.catalogue.names(terms.catalogue) if terms.catalogue else ()
        for model in dict.fromkeys((*(only or (*terms.deployments, *listed)), *terms.models)):
            yield Offer(f"{name}/{model}", self.book.for_target(name, model))

    def _listed(self, provider: str, model: str) -> Offer | None:
        price = self.listed.for_target(provider, model)
        return None if price.model is None else Offer(f"{provider}/{model}", price)

    def _providers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*_MAKERS, *self.catalogue.provider_names)))

    def _hint(self, name: str) -> str:
        own = () if self.project is None else (*self.project.config.models, *self.project.config.providers)
        provider, slash, _ = name.partition("/")
        if slash and provider in self.catalogue.provider_names:
            known = [f"{provider}/{each}" for each in self.catalogue.names(provider)]
        elif slash and provider in own:
            assert self.project is not None
            known = [offer.name for offer in self._of_project(provider)]
        else:
            known = [*own, *(each for maker in _MAKERS for each in self._names(maker))]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        return f"; did you mean {_either(near)}?" if near else "; `headworks models list --all` lists all"

    def _names(self, provider: str) -> tuple[str, ...]:
        return self.catalogue.names(provider) if provider in self.catalogue.provider_names else ()


def _either(names: list[str]) -> str:
    shown = [f"`{plain(name)}`" for name in names]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" or {shown[-1]}"
