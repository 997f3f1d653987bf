"""What the catalogue knows of a model: names, bounds, life, cache, limits and prices, each with its source."""

from typing import Literal

import msgspec

from headworks.catalogue.prices import Prices


class _Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    pass


Standing = Literal["page", "copy", "account"]
"""How near a source is to the provider's own word: its own page; a copy of that page, word for word; what somebody else
says that the provider says."""


class Citation(_Fact, frozen=True, kw_only=True):
    """Where a fact is from. `of` names the field (`prices`, `shutdown_on`); `seen_on` is the day it was read, or of
    the page, or of the copy: its month or its year where no more is known; `standing` is how near it is to the
    provider's own word."""

    of: str
    source: str
    seen_on: str
    url: str = ""
    standing: Standing = "page"


class CacheFacts(_Fact, frozen=True, kw_only=True):
    """How a model's prompt cache works.

    `minimum_tokens` is the shortest prefix that is kept, in steps of `step_tokens`. `ttl_s` is how long one is kept by
    default, in seconds, `long_ttl_s` how long if asked for (0: that cannot be asked for). `bills_writes`: writing
    costs more than reading the tokens once.
    """

    minimum_tokens: int
    step_tokens: int = 1
    ttl_s: int = 0
    long_ttl_s: int = 0
    bills_writes: bool = False


class RateLimits(_Fact, frozen=True, kw_only=True):
    """What an account of a usage tier may use of a model, as the provider documents it. None is open or unknown.

    Attributes:
        tier: the provider's word for it (`3`, `build`); of a cloud, with the kind of deployment (`global-3`).
        at: who grants it, where that is not the provider whose model it is: a cloud that serves it, too.
        queued_tokens: of input, that may wait in batches at once.
        source, seen_on, standing: as of `Citation`.
    """

    tier: str
    at: str = ""
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    queued_tokens: int | None = None
    source: str = ""
    seen_on: str = ""
    standing: Standing = "page"

    def figures(self) -> dict[str, int]:
        """What is known, by name."""
        return {name: figure for name in LIMIT_NAMES if (figure := getattr(self, name)) is not None}


LIMIT_NAMES = (
    "requests_per_minute",
    "requests_per_day",
    "tokens_per_minute",
    "tokens_per_day",
    "input_tokens_per_minute",
    "output_tokens_per_minute",
    "queued_tokens",
)
"""What a usage tier bounds."""


class Model(_Fact, frozen=True, kw_only=True):
    """One model at one provider. Nothing here is guessed: what no source says is None or empty.

    `aliases` and `snapshots` are the exact further names at these prices, the latter those with a date; names may
    also be known by their beginning, so a dated name that is new can still be this model. `own_lives` are those names
    that go earlier or later than the rest: day of shutdown and successor. `context_tokens` bounds input and output
    together. Dates are ISO days (UTC): on `shutdown_on` the model is gone, `successor` is what its provider
    recommends. `is_deprecated` may be known without a date.
    """

    name: str
    provider: str = ""
    title: str = ""
    aliases: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: tuple[str, ...] = ()
    is_deprecated: bool = False
    deprecated_on: str = ""
    shutdown_on: str = ""
    successor: str = ""
    own_lives: dict[str, tuple[str, str]] = {}
    cache: CacheFacts | None = None
    limits: tuple[RateLimits, ...] = ()
    prices: Prices | None = None
    citations: tuple[Citation, ...] = ()

    def limits_at(self, provider: str) -> tuple[RateLimits, ...]:
        """What each usage tier of a provider (the catalogue's name of it) may use of this model."""
        return tuple(row for row in self.limits if (row.at or self.provider) == provider)


class Provider(_Fact, frozen=True, kw_only=True):
    """Who serves models. `urls` are where its prices are published."""

    name: str
    title: str
    urls: tuple[str, ...] = ()
    model_count: int = 0
