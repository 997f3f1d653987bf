"""The catalogue as one file: read quickly, decoded only where it is asked.

The file is JSON, one model a line, so that a refresh is reviewed as a diff. Opening it finds where each provider's part
is and no more; a provider's names are decoded when one of its models is looked up, a model's facts when it is found. A
worker that serves five models of one provider decodes one list of names and five models.

The version is the day of publishing and a hash of the file's bytes: two files of one version hold the same, and a call
that keeps the version of its prices can be charged again by them for as long as the file is kept (`archive`).
"""

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from headworks.catalogue.matching import is_meant, literal_beginning, with_dashed_day
from headworks.catalogue.models import Citation, Model, Provider, RateLimits, Standing
from headworks.errors import HeadworksError

FORMAT = 1
"""The version of the file's form."""

MAX_BYTES = 33_554_432
"""Size of a catalogue's file; the shipped one takes less than a thirtieth of it."""

Clauses = tuple[str | tuple[str, ...], ...]

T = TypeVar("T", bound=msgspec.Struct)


class CatalogueError(HeadworksError):
    """Bytes that are no catalogue, or of a form that this release does not know."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    name: str
    clauses: Clauses
    facts: msgspec.Raw


class _Section(msgspec.Struct, frozen=True):
    """A provider. `api` are the beginnings of its API's URLs as a regular expression; `fallbacks` are the providers
    whose
    models it serves, too; `source` is what its models' prices are from, a key of the file's `sources`."""

    title: str
    api: str
    urls: tuple[str, ...]
    source: str
    fallbacks: tuple[str, ...]
    models: tuple[_Entry, ...]


class _SectionHead(msgspec.Struct, frozen=True):
    """As much of a section as tells whose API a URL is."""

    title: str
    api: str
    urls: tuple[str, ...]
    count: int


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where facts are from. `seen_on` is the day they were read; `standing` is how near it is to the provider's own
    word."""

    title: str
    seen_on: str
    url: str = ""
    licence: str = ""
    standing: Standing = "page"


class _File(msgspec.Struct, frozen=True):
    format: int
    published: str
    sources: dict[str, Source]
    providers: dict[str, msgspec.Raw]


class Catalogue:
    """All models of one version. Lookups are remembered; nothing else changes."""

    def __init__(self, content: bytes) -> None:
        """Open a catalogue's bytes.

        Raises:
            CatalogueError: they are none.
        """
        try:
            file = msgspec.json.decode(content, type=_File)
        except msgspec.MsgspecError as error:
            raise CatalogueError(f"not a catalogue of models: {error}") from None
        if file.format != FORMAT:
            raise CatalogueError(
                f"a catalogue of format {file.format}, and this release of Headworks knows format {FORMAT}: "
                "use a release that knows it, or a catalogue for this one"
            )
        self.content = content
        self.published = file.published
        self.version = f"{file.published}-{hashlib.sha256(content).hexdigest()[:12]}"
        self.sources = file.sources
        self._raw = file.providers
        self._sections: dict[str, _Section] = {}

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Every provider, in the order of the file."""
        return tuple(self._raw)

    def provider(self, name: str) -> Provider:
        """What is known of a provider. Raises KeyError for an unknown one."""
        head = _decode(self._raw[name], _SectionHead)
        return Provider(name=name, title=head.title, urls=head.urls, model_count=head.count)

    def provider_at(self, url: str) -> str | None:
        """The provider whose API is at a URL, if one is known there."""
        for name, raw in self._raw.items():
            pattern = _decode(raw, _SectionHead).api
            beginning = literal_beginning(f"^{pattern}")
            if pattern and url.startswith(beginning) and re.match(pattern, url):
                return name
        return None

    def find(self, provider: str, name: str) -> Model | None:
        """The model that a name means at a provider, or None.

        Names are tried as they are, then with a compact date (`-20251211`) spelt out; first among the provider's own
        models, then among those of providers whose models it serves, too. Last, the entry of exactly this name: some
        are called by a family's name, which no caller would send.
        """
        if provider not in self._raw:
            return None
        wanted = name.lower()
        for spelling in dict.fromkeys((wanted, with_dashed_day(wanted))):
            for where in (provider, *self._section(provider).fallbacks):
                entry = self._entry(where, spelling)
                if entry is not None:
                    return _living(self._model(where, entry), spelling)
        named = next((entry for entry in self._section(provider).models if entry.name.lower() == wanted), None)
        return None if named is None else self._model(provider, named)

    def models(self, provider: str) -> Iterator[Model]:
        """Every model of a provider, in the order of the file. Raises KeyError for an unknown provider."""
        for entry in self._section(provider).models:
            yield self._model(provider, entry)

    def names(self, provider: str) -> tuple[str, ...]:
        """The names of a provider's models. Raises KeyError for an unknown provider."""
        return tuple(entry.name for entry in self._section(provider).models)

    def _section(self, provider: str) -> _Section:
        section = self._sections.get(provider)
        if section is None:
            section = self._sections[provider] = _decode(self._raw[provider], _Section)
        return section

    def _entry(self, provider: str, name: str) -> _Entry | None:
        if provider not in self._raw:
            return None
        return next((entry for entry in self._section(provider).models if is_meant(name, entry.clauses)), None)

    def _model(self, provider: str, entry: _Entry) -> Model:
        model = _decode(entry.facts, Model)
        section = self._section(provider)
        citations = [self._cited(citation) for citation in model.citations]
        if not any(citation.of == "prices" for citation in citations):
            source = self.sources[section.source]
            url = section.urls[0] if section.urls else source.url
            cited = Citation(
                of="prices", source=source.title, seen_on=source.seen_on, url=url, standing=source.standing
            )
            citations.insert(0, cited)
        limits = tuple(self._sourced(row) for row in model.limits)
        return msgspec.structs.replace(model, provider=provider, citations=tuple(citations), limits=limits)

    def _cited(self, citation: Citation) -> Citation:
        """A citation as the file has it, its source a key, with the source itself."""
        source = self.sources[citation.source]
        return Citation(
            of=citation.of,
            source=source.title,
            seen_on=source.seen_on,
            url=source.url,
            standing=source.standing,
        )

    def _sourced(self, row: RateLimits) -> RateLimits:
        """The limits of a tier as the file has them, their source a key, with the source itself."""
        if not row.source:
            return row  # of a release whose tiers were cited with the model alone
        source = self.sources[row.source]
        return msgspec.structs.replace(row, source=source.title, seen_on=source.seen_on, standing=source.standing)


def read_catalogue(content: bytes) -> Catalogue:
    """A catalogue, every part of it decoded once: for bytes that come from outside.

    Raises:
        CatalogueError: some part is not as it must be; says which.
    """
    catalogue = Catalogue(content)
    for provider in catalogue.provider_names:
        catalogue.provider(provider)
        try:
            for model in catalogue.models(provider):
                if model.prices is not None and not model.prices.periods:
                    raise CatalogueError(f"{provider}/{model.name} has prices without a period")
        except KeyError as error:
            raise CatalogueError(f"{provider} refers to the unknown source {error}") from None
    return catalogue


@functools.cache
def shipped() -> Catalogue:
    """The catalogue that came with this release."""
    return Catalogue((Path(__file__).parent / "data" / "catalogue.json").read_bytes())


def _living(model: Model, name: str) -> Model:
    """A model as it is under one of its names, which may have a shutdown of its own."""
    own = model.own_lives.get(name)
    if own is None:
        return model
    day, successor = own
    return msgspec.structs.replace(model, shutdown_on=day, successor=successor, is_deprecated=True)


def _decode(raw: msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise CatalogueError(f"a part of the catalogue of models is not as it must be: {error}") from None
