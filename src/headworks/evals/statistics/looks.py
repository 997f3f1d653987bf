"""Looking at a run before it is over, without losing the guarantee: O'Brien-Fleming-type spending of alpha."""

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from headworks.evals.statistics.distributions import NEGLIGIBLE, NORMAL, at_least, binomial_row

LOOKS = (0.5, 0.75, 1.0)
"""Shares of a run after which it is looked at: three looks cost at most three points of power (evals reference 2.4)."""

_POINTS = 401
"""Of Simpson's rule over the statistic that has not crossed; odd."""

_REACH = 8.0
"""How far the statistic is followed, in standard deviations: what lies beyond has a probability of 1e-15."""


def spent(alpha: float, share: float) -> float:
    """How much of a one-sided alpha may be spent when this share of a run is over (Lan and DeMets 1983, their
    O'Brien-Fleming-type function)."""
    if share >= 1.0:
        return alpha
    return 2.0 * (1.0 - NORMAL.cdf(NORMAL.inv_cdf(1.0 - alpha / 2.0) / math.sqrt(share)))


def spending_bounds(alpha: float, shares: tuple[float, ...] = LOOKS) -> tuple[float, ...]:
    """The bound of a normal statistic at each look, so that all looks together have the error `alpha`. For statistics
    that are nearly normal; sets of cases have exact bounds of their own, `floor_plan` and `paired_bounds`.

    Arguments:
        shares: of the whole run, rising, the last one 1.
    """
    return normal_bounds(shares, tuple(spent(alpha, share) for share in shares))


@lru_cache(maxsize=256)
def normal_bounds(shares: tuple[float, ...], allowed: tuple[float, ...]) -> tuple[float, ...]:
    """The bound of a normal statistic at each look, with which crossing it or one before is as probable as is allowed.

    Found look by look, by integrating over where the statistic may be that has not crossed before (Armitage,
    McPherson, Rowe 1969; Jennison and Turnbull 2000, chapter 19).

    Arguments:
        shares: of the information at the last look, rising, above 0.
        allowed: the error that may have been spent at each look, rising.
    """
    bounds = [NORMAL.inv_cdf(1.0 - allowed[0])]
    masses = [(z, weight * NORMAL.pdf(z)) for z, weight in _below(bounds[0])]
    for number in range(1, len(shares)):
        before, share = shares[number - 1], shares[number]
        wanted = allowed[number] - allowed[number - 1]
        # B(t) = Z(t) sqrt(t) has independent increments.
        root, scale = math.sqrt(share), math.sqrt(share - before)
        starts = [(z * math.sqrt(before), mass) for z, mass in masses]

        def crossing(
            bound: float, starts: list[tuple[float, float]] = starts, root: float = root, scale: float = scale
        ) -> float:
            return math.fsum(mass * NORMAL.cdf((start - bound * root) / scale) for start, mass in starts)

        low, high = 0.0, _REACH
        for _ in range(50):
            middle = (low + high) / 2.0
            low, high = (middle, high) if crossing(middle) > wanted else (low, middle)
        bounds.append(high)
        if number < len(shares) - 1:
            masses = [
                (
                    z,
                    weight * root / scale
                    * math.fsum(mass * NORMAL.pdf((z * root - start) / scale) for start, mass in starts),
                )
                for z, weight in _below(high)
            ]  # fmt: skip
    return tuple(bounds)


def _below(bound: float) -> list[tuple[float, float]]:
    """Places below a bound with the weights of Simpson's rule: the density breaks off at the bound, so there the grid
    ends."""
    step = (bound + _REACH) / (_POINTS - 1)
    inner = [4.0 if index % 2 else 2.0 for index in range(1, _POINTS - 1)]
    return [(-_REACH + step * index, weight * step / 3.0) for index, weight in enumerate([1.0, *inner, 1.0])]


class FloorPlan(msgspec.Struct, frozen=True):
    """When an exact group-sequential test of a floor ends.

    Attributes:
        cases: of the whole run.
        at: after how many cases there is a look.
        passes: with how many right answers the floor is shown at each look; one more than there are cases where it
            cannot be.
        most_errors: with more wrong answers than these no look can be passed any more.
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

    def expected_cases(self, share: float) -> float:
        """How many cases are asked on average of a model with this true share: it ends where it passes, and where so
        many answers are wrong that it cannot pass any more."""
        total, before = 0.0, 0
        going = {0: 1.0}  # by right answers
        for look, least in zip(self.at, self.passes, strict=True):
            for asked in range(before + 1, look + 1):
                total += math.fsum(going.values())
                arrived: dict[int, float] = {}
                for right, chance in going.items():
                    arrived[right + 1] = arrived.get(right + 1, 0.0) + chance * share
                    if asked - right <= self.most_errors:
                        arrived[right] = arrived.get(right, 0.0) + chance * (1.0 - share)
                going = {right: chance for right, chance in arrived.items() if chance > NEGLIGIBLE}
            going = {right: chance for right, chance in going.items() if right < least}
            before = look
        return total


def look_places(cases: int, shares: tuple[float, ...] = LOOKS) -> tuple[int, ...]:
    """After how many of so many cases there is a look."""
    return tuple(dict.fromkeys(max(1, math.floor(cases * share)) for share in shares))


def allowed_errors(cases: int, alpha: float, shares: tuple[float, ...] = LOOKS) -> tuple[float, ...]:
    """The error that may have been spent at each look of `look_places`."""
    return tuple(spent(alpha, place / cases) for place in look_places(cases, shares))


@lru_cache(maxsize=256)
def floor_plan(cases: int, floor: float, alpha: float, shares: tuple[float, ...] = LOOKS) -> FloorPlan:
    """The plan of testing that a share is above a floor. The error is at most `alpha`, exactly: each look's bound is
    the least with which passing at it or before is no more probable, at the floor, than alpha spent until then.
    """
    at = look_places(cases, shares)
    passes = floor_passes(at, floor, allowed_errors(cases, alpha, shares))
    most = max((place - least for place, least in zip(at, passes, strict=True)), default=-1)
    return FloorPlan(cases, at, passes, most)


@lru_cache(maxsize=1024)
def floor_passes(counts: tuple[int, ...], floor: float, allowed: tuple[float, ...]) -> tuple[int, ...]:
    """With how many right answers the floor is shown at each look, when there were so many cases at each.

    Arguments:
        counts: cases at each look, never falling. They may be fewer than planned, as long as what is missing does not
            depend on whether it was right.
        allowed: the error that may have been spent at each look, rising.
    """
    passes: list[int] = []
    going: dict[int, float] = {0: 1.0}  # by right answers: how probable it is to be there and not to have passed
    before, used = 0, 0.0
    for count, limit in zip(counts, allowed, strict=True):
        going = _further(going, count - before, floor)
        least, more = count + 1, 0.0
        while least > 0 and used + more + going.get(least - 1, 0.0) <= limit:
            least -= 1
            more += going.get(least, 0.0)
        passes.append(least)
        going = {right: chance for right, chance in going.items() if right < least}
        before, used = count, used + more
    return tuple(passes)


def _further(going: dict[int, float], cases: int, share: float) -> dict[int, float]:
    """Where those that go on are after so many further cases."""
    chances = binomial_row(cases, share)
    arrived: dict[int, float] = {}
    for right, chance in going.items():
        if chance > NEGLIGIBLE:
            for one, weight in chances:
                arrived[right + one] = arrived.get(right + one, 0.0) + chance * weight
    return arrived


def _passing(at: Sequence[int], passes: Sequence[int], share: float) -> float:
    """The probability of passing at any of the looks: exact recursion over the number of right answers."""
    if len(at) == 1:
        return at_least(passes[0], at[0], share)
    total, before = 0.0, 0
    going = {0: 1.0}
    for look, least in zip(at, passes, strict=True):
        going = _further(going, look - before, share)
        total += math.fsum(chance for right, chance in going.items() if right >= least)
        going = {right: chance for right, chance in going.items() if right < least}
        before = look
    return total
