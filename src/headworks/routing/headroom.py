"""How much is left of a target's quotas, as far as one worker can know without asking anybody. Pure.

A worker holds slices of a quota (`limits`), and what it holds says nothing of what is left: that is the books', a round
trip away. But it knows what it has spent itself. So it keeps a bucket of its own of each quota, its share of the whole,
that refills as the quota does and from which it takes what it spent: workers have about the same load, so that each
one's bucket is about as full as all. What the provider itself says is left comes first. It is for choosing only:
whether a call may go is said by the slices.
"""

from collections.abc import Sequence
from typing import Protocol

LEAST = 0.05
"""A target whose own bucket is empty may still have room in that of others: it is chosen seldom, not never."""


class Amount(Protocol):
    """A quota: so many units in so many seconds."""

    @property
    def amount(self) -> int: ...
    @property
    def window_s(self) -> float: ...


class Meter(Protocol):
    """What a worker knows of a quota: `limits.QuotaMeter` implements it."""

    @property
    def quota(self) -> Amount: ...
    @property
    def spent(self) -> int: ...
    @property
    def remaining(self) -> int | None: ...


class _Bucket:
    __slots__ = ("_at_s", "_level", "_meter", "_spent")

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._spent = meter.spent
        self._level = 1.0
        self._at_s = 0.0

    def level(self, now_s: float, share: float) -> float:
        """How full it is, from 0 to 1."""
        meter, quota = self._meter, self._meter.quota
        spent = meter.spent
        level = min(1.0, self._level + (now_s - self._at_s) / quota.window_s)
        level -= (spent - self._spent) / (quota.amount * share)
        if meter.remaining is not None:
            level = min(level, meter.remaining / quota.amount)
        self._level, self._at_s, self._spent = max(0.0, min(1.0, level)), now_s, spent
        return self._level


class Headroom:
    """Of one target. State: the buckets.

    Arguments:
        meters: of requests and of tokens.
        share: of each quota, what falls to this worker, above 0.
    """

    __slots__ = ("_buckets", "_share")

    def __init__(self, meters: Sequence[Meter], share: float) -> None:
        self._buckets = tuple(map(_Bucket, meters))
        self._share = share

    def left(self, now_s: float) -> float:
        """What is left of the tightest quota, from `LEAST` to 1."""
        share = self._share
        return max(LEAST, min([bucket.level(now_s, share) for bucket in self._buckets], default=1.0))
