"""How a provider's prompt cache works, as its documentation says: what is kept, how long, and where calls go."""

import msgspec

from headworks.catalogue import CacheFacts

_ASSUMED = CacheFacts(minimum_tokens=1024, step_tokens=128, ttl_s=300)
"""Where the catalogue does not know a model's cache: OpenAI's minimum and step, and the shortest time to live that a
provider names (OpenAI prompt-caching guide: 5 to 10 minutes of inactivity; Anthropic's: 5 minutes; 2026-11)."""

OPENAI_PER_MINUTE = 15
"""About so many requests a minute with one prefix and key go to one machine; the rest spill over to others, which have
not seen the prefix (OpenAI prompt-caching guide, 2026-11)."""

ROUTE_TOKENS = 256
"""About so many tokens of the beginning decide on the machine, with the key (OpenAI prompt-caching guide, 2026-11)."""


class CacheRules(msgspec.Struct, frozen=True):
    """The rules of one model's cache.

    Attributes:
        minimum_tokens: the shortest prefix that is kept.
        step_tokens: prefixes end at the minimum, or so many tokens further on.
        ttl_s: how long one is kept after its last use, in seconds.
        bills_writes: what is written costs more than plain input.
        needs_mark: only prefixes whose end the request marks are kept (Anthropic's `cache_control`).
        most_per_minute: how many requests a minute with one prefix and key one machine takes; 0 for no bound.
        knows_keys: requests have a key (`prompt_cache_key`), and what has another is kept elsewhere.
        assumed: which of this the catalogue does not say, so that it is assumed.
    """

    minimum_tokens: int = 1024
    step_tokens: int = 128
    ttl_s: int = 300
    bills_writes: bool = False
    needs_mark: bool = False
    most_per_minute: int = 0
    knows_keys: bool = False
    assumed: tuple[str, ...] = ()

    def ends_at(self, tokens: int) -> int:
        """The longest prefix that can be kept of so many tokens; 0 for none."""
        beyond = tokens - self.minimum_tokens
        return 0 if beyond < 0 else self.minimum_tokens + beyond // self.step_tokens * self.step_tokens


def rules_of(kind: str, facts: CacheFacts | None) -> CacheRules:
    """The rules of a model.

    Arguments:
        kind: of its provider, as in headworks.yaml (`openai`, `anthropic`, ...).
        facts: what the catalogue knows of its cache.
    """
    known = facts or _ASSUMED
    assumed: tuple[str, ...] = () if facts else ("minimum", "step", "time to live")
    if facts and not facts.ttl_s:
        assumed = ("time to live",)
    return CacheRules(
        known.minimum_tokens,
        known.step_tokens,
        known.ttl_s or _ASSUMED.ttl_s,
        known.bills_writes,
        needs_mark=kind == "anthropic",
        most_per_minute=OPENAI_PER_MINUTE if kind == "openai" else 0,
        knows_keys=kind in ("openai", "simulator"),
        assumed=assumed,
    )
