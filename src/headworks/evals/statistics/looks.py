"""Looking at a run before it is over, without losing the guarantee: O'Brien-Fleming-type spending of alpha."""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import msgspec

from headworks.evals.statistics.rates import at_least, binomial

_NORMAL = NormalDist()

LOOKS = (0.5, 0.75, 1.0)
"""Shares of a run after which it is looked at: three looks cost at most three points of power (evals reference 2.4)."""

_POINTS = 401
_REACH = 6.0


def spent(alpha: float, share: float) -> float:
    """How much of a one-sided alpha may be spent when this share of a run is over (Lan and DeMets 1983, their
    O'Brien-Fleming-type function)."""
    if share >= 1.0:
        return alpha
    return 2.0 * (1.0 - _NORMAL.cdf(_NORMAL.inv_cdf(1.0 - alpha / 2.0) / math.sqrt(share)))


@lru_cache(maxsize=64)
def spending_bounds(alpha: float, shares: tuple[float, ...] = LOOKS) -> tuple[float, ...]:
    """The bound of a standardised statistic at each look, so that all looks together have the error `alpha`.

    Found look by look, by integrating over where the statistic may be that has not crossed before (Armitage,
    McPherson, Rowe 1969).
    """
    bounds: list[float] = []
    step = 2 * _REACH / (_POINTS - 1)
    grid = [-_REACH + step * index for index in range(_POINTS)]
    density: list[float] = []
    before = 0.0
    for number, share in enumerate(shares):
        wanted = spent(alpha, share) - (spent(alpha, shares[number - 1]) if number else 0.0)
        if number == 0:
            bounds.append(_NORMAL.inv_cdf(1.0 - wanted))
            density = [_NORMAL.pdf(z) if z < bounds[0] else 0.0 for z in grid]
        else:
            # From the score at one look to that at the next: B(t) = Z(t) sqrt(t) has independent increments.
            scale, root = math.sqrt(share - before), math.sqrt(share)
            weights = [
                (z * math.sqrt(before), weight * step) for z, weight in zip(grid, density, strict=True) if weight
            ]

            def crossing(
                bound: float, weights: list[tuple[float, float]] = weights, root: float = root, scale: float = scale
            ) -> float:
                return math.fsum(weight * (1.0 - _NORMAL.cdf((bound * root - at) / scale)) for at, weight in weights)

            low, high = 0.0, _REACH
            for _ in range(60):
                middle = (low + high) / 2.0
                low, high = (middle, high) if crossing(middle) > wanted else (low, middle)
            bounds.append((low + high) / 2.0)
            density = [
                math.fsum(weight * _NORMAL.pdf((z * root - at) / scale) for at, weight in weights) * root / scale
                if z < bounds[-1]
                else 0.0
                for z in grid
            ]
        before = share
    return tuple(bounds)


class FloorPlan(msgspec.Struct, frozen=True):
    """When an exact group-sequential test of a floor ends.

    Attributes:
        cases: of the whole run.
        at: after how many cases there is a look.
        passes: with how many right answers the floor is shown at each look; one more than there are cases where it
            cannot be.
        most_errors: with more wrong answers than these the last look cannot be passed any more.
    """

    cases: int
    at: tuple[int, ...]
    passes: tuple[int, ...]
    most_errors: int

    def power(self, share: float) -> float:
        """How probable it is that a model with this true share passes."""
        return _passing(self.at, self.passes, share)

    @property
    def can_pass(self) -> bool:
        """Whether anything could pass."""
        return self.passes[-1] <= self.cases


@lru_cache(maxsize=256)
def floor_plan(cases: int, floor: float, alpha: float, shares: tuple[float, ...] = LOOKS) -> FloorPlan:
    """The plan of testing that a share is above a floor. The error is at most `alpha`, exactly: each look's bound is
    the least with which passing at it or before is no more probable, at the floor, than alpha spent until then.
    """
    at = tuple(dict.fromkeys(max(1, math.floor(cases * share)) for share in shares))
    passes: list[int] = []
    for number, look in enumerate(at):
        allowed = spent(alpha, look / cases)
        low, high = 0, look + 1
        while low < high:
            middle = (low + high) // 2
            if _passing(at[: number + 1], (*passes, middle), floor) <= allowed:
                high = middle
            else:
                low = middle + 1
        passes.append(low)
    return FloorPlan(cases, at, tuple(passes), cases - passes[-1])


def _passing(at: Sequence[int], passes: Sequence[int], share: float) -> float:
    """The probability of passing at any of the looks: exact recursion over the number of right answers."""
    if len(at) == 1:
        return at_least(passes[0], at[0], share)
    total, before = 0.0, 0
    going = {0: 1.0}
    for look, least in zip(at, passes, strict=True):
        further = look - before
        chances = [binomial(one, further, share) for one in range(further + 1)]
        arrived: dict[int, float] = {}
        for right, chance in going.items():
            for one, weight in enumerate(chances):
                arrived[right + one] = arrived.get(right + one, 0.0) + chance * weight
        total += math.fsum(chance for right, chance in arrived.items() if right >= least)
        going = {right: chance for right, chance in arrived.items() if right < least}
        before = look
    return total
