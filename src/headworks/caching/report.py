"""The cache report of one group of calls: the measured hit rate beside the achievable one, the money between them, and
where calls part. Pure.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from headworks.caching.replaying import NO_USE, Charge, SeenCall, Use, cost_of_uses, replay, replay_marked
from headworks.caching.rules import CacheRules
from headworks.caching.tree import Parting, partings, shared_depths

_MOST_DEPTHS = 8
_MOST_PARTINGS = 3

Way = Literal["automatic", "marked", "none"]
"""How a cache is used: every prefix by itself; one prefix whose end each request marks; not at all."""


class Money(msgspec.Struct, frozen=True):
    """What the input of the calls costs, in pico-dollars, four ways: as it was paid, without any cache, with one that
    takes every prefix by itself, with one prefix marked. None where that way is not to be had."""

    paid: int
    without: int
    automatic: int | None
    marked: int | None

    @property
    def saved(self) -> int:
        """What caching saved; below zero, it lost that."""
        return self.without - self.paid

    @property
    def best(self) -> tuple[Way, int]:
        """The cheapest way, and what the input costs so. What was paid may still be less: a provider may do better
        than it promises."""
        ways: list[tuple[int, Way]] = [(self.without, "none")]
        if self.automatic is not None:
            ways.append((self.automatic, "automatic"))
        if self.marked is not None:
            ways.append((self.marked, "marked"))
        cost, way = min(ways, key=lambda one: one[0])
        return way, cost

    @property
    def between(self) -> int:
        """What the cheapest way would have cost less."""
        return max(0, self.paid - self.best[1])


class CacheReport(msgspec.Struct, frozen=True):
    """What is known of the cache of calls that share a workload, a prompt version and a model.

    Attributes:
        calls: whose prefixes are known; all figures are of these.
        input_tokens: theirs; of these, `cached_tokens` were read, `written_tokens` written.
        achievable_tokens: how many could have been read: by a cache that works as documented, all calls with one key
            or with their own, whichever reads more, and never fewer than were.
        split_tokens: how many of these are lost because callers send keys of their own; `keys` is how many.
        marked_blocks: how many blocks the prefix has that is worth to be marked; 0 for none.
        marked_tokens: how many tokens could have been read of it.
        partings: where calls part, the ones with most tokens behind them.
        money: None where a price is not known.
    """

    calls: int
    input_tokens: int
    cached_tokens: int
    written_tokens: int
    achievable_tokens: int
    split_tokens: int
    keys: int
    marked_blocks: int
    marked_tokens: int
    partings: tuple[Parting, ...]
    money: Money | None

    @property
    def hit_rate(self) -> float:
        """The measured one: the share of the input that was read from the cache."""
        return self.cached_tokens / max(1, self.input_tokens)

    @property
    def achievable_rate(self) -> float:
        """The share that could have been."""
        return self.achievable_tokens / max(1, self.input_tokens)


def cache_report(calls: Sequence[SeenCall], rules: CacheRules, charge: Charge | None) -> CacheReport:
    """The report of calls of one workload, prompt version and model.

    Arguments:
        calls: in the order of time.
        charge: what the input of each would cost with another use of the cache; None where no price is known.
    """
    automatic = replay(calls, rules, by_key=False)
    depth, marked = _best_mark(calls, rules, charge)
    keys = len({call.key for call in calls}) if rules.knows_keys else 1
    split = 0
    if keys > 1:
        by_key = replay(calls, rules, by_key=True)
        split = sum(use.cached for use in automatic) - sum(use.cached for use in by_key)
        # Where there are many calls a minute, keys that divide them keep them on machines that know them.
        automatic = by_key if split < 0 else automatic
    ideal = marked if rules.needs_mark else automatic
    money = None
    if charge is not None:
        money = Money(
            cost_of_uses([Use(call.cached_tokens, call.written_tokens) for call in calls], charge),
            cost_of_uses([NO_USE] * len(calls), charge),
            None if rules.needs_mark else cost_of_uses(automatic, charge),
            cost_of_uses(marked, charge) if depth else None,
        )
    return CacheReport(
        len(calls),
        sum(call.input_tokens for call in calls),
        sum(call.cached_tokens for call in calls),
        sum(call.written_tokens for call in calls),
        # What was read could be read, whatever the estimate of where a token lies says.
        sum(max(use.cached, call.cached_tokens) for use, call in zip(ideal, calls, strict=True)),
        max(0, split),
        keys,
        depth,
        sum(use.cached for use in marked),
        tuple(partings(calls)[:_MOST_PARTINGS]),
        money,
    )


def _best_mark(calls: Sequence[SeenCall], rules: CacheRules, charge: Charge | None) -> tuple[int, list[Use]]:
    """Behind how many blocks a mark is worth most, and what the cache does then; 0 and nothing where it is worth
    nothing, or the provider knows none."""
    best: tuple[int, int, list[Use]] = (0, 0, [NO_USE] * len(calls))
    if not (rules.needs_mark or rules.bills_writes):
        return best[1:]
    without = 0 if charge is None else cost_of_uses([NO_USE] * len(calls), charge)
    for depth in shared_depths(calls, _MOST_DEPTHS):
        uses = replay_marked(calls, rules, depth)
        worth = sum(use.cached for use in uses) if charge is None else without - cost_of_uses(uses, charge)
        if worth > best[0]:
            best = (worth, depth, uses)
    return best[1:]
