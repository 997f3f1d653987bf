"""The arithmetic of the report: percentiles, medians of rounds, ratios of rounds that ran beside each other."""

import statistics
from collections.abc import Sequence

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The median of some rounds with the least and the greatest, so that noise is seen and not only smoothed."""

    median: float
    least: float
    greatest: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(median=statistics.median(values), least=min(values), greatest=max(values), rounds=len(values))


def paired_ratio(values: Sequence[float], yardstick: Sequence[float]) -> Spread:
    """The spread of each round's value over the yardstick's in the same round.

    Rounds alternate, so a noisy minute falls on both sides of a pair and mostly leaves the ratio alone.
    """
    return spread([value / beside for value, beside in zip(values, yardstick, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed (nearest rank); of at least one value."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]
