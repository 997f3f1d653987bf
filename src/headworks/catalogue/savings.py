"""What a call saved against a naive default, and which choice saved it: the same tokens, charged eight ways. Pure.

Three choices make a call cheaper than the default, or dearer: the model, the prompt cache, the tier. The saving is
divided among them by the Shapley value: what each choice changes, averaged over the six orders in which the three can
be made. So none is favoured for being counted first, a choice that changes nothing gets nothing, and the parts sum to
the whole (L. S. Shapley, "A Value for n-Person Games", 1953; as a way to divide up a difference: A. F. Shorrocks,
"Decomposition procedures for distributional analysis", Journal of Economic Inequality 11, 2013).
"""

import msgspec

from headworks.calls import Usage
from headworks.catalogue.book import TargetPrice
from headworks.catalogue.prices import STANDARD

_Corner = tuple[bool, bool, bool]
"""Which of the choices were made: model, cache, tier."""

_CORNERS: tuple[_Corner, ...] = tuple(
    (model, cache, tier) for model in (False, True) for cache in (False, True) for tier in (False, True)
)

_STANDARD_TOO = ("", STANDARD, "default", "auto")
"""Words for the standard tier: none, ours, and those of providers."""

_ORDERS = 6
"""Of three choices; the Shapley value divides by it."""


class Saving(msgspec.Struct, frozen=True):
    """What one call saved against its baseline, in pico-dollars; negative where a choice made it dearer.

    `baseline` less `paid` is the sum of `model`, `cache` and `tier`, exactly. A part is rounded to a whole pico-dollar
    by the largest remainder, so this holds for each call, and for any sum of calls.
    """

    baseline: int
    paid: int
    model: int
    cache: int
    tier: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.baseline - self.paid


def saving_of(
    usage: Usage, price: TargetPrice, baseline: TargetPrice, *, at_us: int, tier: str = STANDARD
) -> Saving | None:
    """What a call saved by its model, its use of the prompt cache and its tier; None where a price is not known.

    The baseline is the same tokens at `baseline`, all input at the full price, in the standard tier. Another model may
    need other tokens for the same text: how many, nobody knows, so they are taken as the same.

    Arguments:
        usage: the call's tokens.
        price: of the target that was called.
        baseline: of the target that would have been called.
        at_us: when it began, in microseconds since the Unix epoch.
        tier: as the provider says that it served it.
    """
    plain = msgspec.structs.replace(usage, cached_tokens=0, cache_write_tokens=0)
    targets, uses, tiers = (baseline, price), (plain, usage), (STANDARD, tier)
    is_made = (
        price is not baseline,
        usage.cached_tokens > 0 or usage.cache_write_tokens > 0,
        tier not in _STANDARD_TOO,
    )
    corners: dict[_Corner, int] = {}
    for corner in _CORNERS:
        # A choice that was not made changes nothing, so most corners are the same as another.
        model, cache, own_tier = same = (
            corner[0] and is_made[0],
            corner[1] and is_made[1],
            corner[2] and is_made[2],
        )
        if same not in corners:
            cost = targets[model].cost(uses[cache], at_us=at_us, tier=tiers[own_tier])
            if cost is None or not cost.is_complete:
                return None
            corners[same] = cost.total
        corners[corner] = corners[same]
    sixths = [_sixths(corners, place) for place in range(3)]
    return Saving(corners[False, False, False], corners[True, True, True], *_whole(sixths))


def _sixths(corners: dict[_Corner, int], place: int) -> int:
    """Six times the Shapley value of one choice.

    With none or both of the others made before it, it comes first or last, in two orders of six each; with one of
    them, in one order each.
    """
    weighted = 0
    for before, cost in corners.items():
        if not before[place]:
            model, cache, tier = (made or at == place for at, made in enumerate(before))
            weight = 1 if sum(before) == 1 else 2
            weighted += weight * (cost - corners[model, cache, tier])
    return weighted


def _whole(sixths: list[int]) -> list[int]:
    """Whole numbers with the same sum. What is left over goes to the largest remainders: a part without one, as that
    of a choice that changed nothing, gets none of it."""
    parts = [one // _ORDERS for one in sixths]
    left = sum(sixths) // _ORDERS - sum(parts)
    by_remainder = sorted(range(len(sixths)), key=lambda place: -(sixths[place] % _ORDERS))
    for place in by_remainder[:left]:
        parts[place] += 1
    return parts
