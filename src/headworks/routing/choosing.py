"""Which of several equal targets, the pools of one provider, an attempt goes to. Pure."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import log
from typing import Protocol, TypeVar

from headworks.routing.health import Health


class Lot(Protocol):
    """What is chosen. `weight` is its share against the others'; while any of a lower `tier` may be asked, none of a
    higher one is."""

    @property
    def weight(self) -> float: ...
    @property
    def tier(self) -> int: ...


Pool = TypeVar("Pool", bound=Lot)

STICKY_FACTOR = 1.25
"""How much more than its share of the load a pool may have and still be the one that a cache key stays with
(Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016)."""

SLOW_FACTOR = 1.5
"""A pool that takes so much longer than the quickest gets less; below that, configuration alone decides."""

TOLERATED = 1.0
"""Attempts that a pool may be above its share, beside another: with few under way shares are fractions of one."""


def choose(
    pools: Sequence[Pool],
    health_of: Callable[[Pool], Health],
    now_s: float,
    uniform: Callable[[float], float],
    *,
    key: str = "",
    headroom_of: Callable[[Pool], float] | None = None,
    is_streamed: bool = False,
) -> Pool | None:
    """The pool to ask; None where none may be asked now.

    Of the pools of the lowest tier that has any that may be asked: two are drawn by their shares, and the first goes,
    unless it is further above its share of what is under way than the second ("power of two choices", Mitzenmacher
    2001). A share is the weight, less where little is left of a pool's limits, and less where it is slow (peak-EWMA, as
    in Finagle). A cache key stays with its pool as long as that has no more than its share of the load: there the
    prefix is cached.

    Arguments:
        key: calls with the same one go together where they can; "" for none.
        headroom_of: what is left of a pool's limits, from 0 to 1; None where there are none.
        is_streamed: a stream is asked for.
    """
    able = [pool for pool in pools if health_of(pool).may_pass(now_s, is_streamed)]
    if not able:
        return None
    tier = min(pool.tier for pool in able)
    able = [pool for pool in able if pool.tier == tier]
    if len(able) == 1:
        return able[0]
    if key:
        sticky = max(able, key=lambda pool: _score(key, pools.index(pool), pool.weight))
        pending = sum(health_of(pool).pending for pool in able)
        weights = sum(pool.weight for pool in able)
        share = (pending + 1) * sticky.weight / weights
        if health_of(sticky).pending <= STICKY_FACTOR * share + 1 and (headroom_of is None or headroom_of(sticky) > 0):
            return sticky
    costs_s = [health_of(pool).cost_s(now_s) for pool in able]
    usual_s = SLOW_FACTOR * min(costs_s)
    shares = [
        pool.weight
        * (1.0 if headroom_of is None else headroom_of(pool))
        * (usual_s / cost_s if cost_s > usual_s > 0 else 1.0)
        for pool, cost_s in zip(able, costs_s, strict=True)
    ]
    first = _drawn(shares, uniform)
    second = _drawn([0.0 if index == first else share for index, share in enumerate(shares)], uniform)
    under_way = [health_of(pool).pending for pool in able]
    each = sum(under_way) / (sum(shares) or 1.0)
    above = [count - share * each for count, share in zip(under_way, shares, strict=True)]
    return able[second] if above[first] - above[second] > TOLERATED else able[first]


def _drawn(weights: Sequence[float], uniform: Callable[[float], float]) -> int:
    """An index, as often as its weight says; the first where none has any."""
    point = uniform(sum(weights))
    for index, weight in enumerate(weights):
        if weight > 0:
            if point < weight:
                return index
            point -= weight
    return max(range(len(weights)), key=weights.__getitem__)


def _score(key: str, index: int, weight: float) -> float:
    """Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights as in Resch 2015)."""
    digest = blake2b(f"{index}\0{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    unit = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -weight / log(unit)
