"""How often a semantic cache would give a wrong answer: golden cases that are alike, and expect something else.

A case is a *hit* where another one of the same context is like it enough, so that its answer would be given; the hit is
*false* where one of those is right for one of the two and wrong for the other: which of them lies in the cache is
chance, so the worst counts. Hits are not independent: of three cases that are alike, each is the others' hit. So cases
that hang together by likeness are one group, and of a group one case is counted, the first by the hash of its text; the
interval of false hits among those is exact (Clopper and Pearson 1934).
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from headworks.errors import CommandError
from headworks.evals.statistics import clopper_pearson

ALPHA = 0.05
"""The probability that the true share of false hits is above the one that is stated as its upper end."""

THRESHOLDS = tuple(round(0.99 - 0.01 * step, 2) for step in range(25))
"""Thresholds that are tried for a recommendation, from 0.99 to 0.75. Each has a part of `ALPHA` (Bonferroni), for
the best of many looks better than it is."""

MOST_PAIRS = 1_000_000
"""Each is held in memory and judged."""


class Probe(msgspec.Struct, frozen=True):
    """A golden case as the cache sees it.

    Attributes:
        context: what must be the same for two to be compared.
        text: what is compared.
        vector: of the text.
    """

    context: bytes
    text: str
    vector: bytes


class Pair(msgspec.Struct, frozen=True):
    """Two probes, by their places, that are of one context and may stand for one another; and how like they are."""

    one: int
    other: int
    similarity: float


class Rate(msgspec.Struct, frozen=True):
    """What was found at one threshold.

    Attributes:
        pairs, false_pairs: that are so much alike; those that expect something else.
        hits, false_hits: independent hits, and the false ones among them.
        upper: the share of false hits that is not exceeded.
    """

    threshold: float
    pairs: int
    false_pairs: int
    hits: int
    false_hits: int
    upper: float

    @property
    def share(self) -> float | None:
        """Of false hits among hits; None where there is no hit."""
        return self.false_hits / self.hits if self.hits else None


def find_pairs(
    probes: Sequence[Probe],
    lowest: float,
    cosines: Callable[[bytes, bytes], Sequence[float]],
    may_stand: Callable[[int, int], bool],
) -> list[Pair]:
    """Every pair that is at least so much alike.

    Arguments:
        cosines: of a vector with each of others, which stand behind one another.
        may_stand: whether a probe may stand for another beside their likeness.

    Raises:
        CommandError: there are so many that nothing can be said of them.
    """
    contexts: dict[bytes, list[int]] = {}
    for place, probe in enumerate(probes):
        if probe.vector:
            contexts.setdefault(probe.context, []).append(place)
    found = []
    for places in contexts.values():
        for at, one in enumerate(places[:-1]):
            others = places[at + 1 :]
            near = cosines(probes[one].vector, b"".join([probes[other].vector for other in others]))
            found += [
                Pair(one, other, similarity)
                for other, similarity in zip(others, near, strict=True)
                if similarity >= lowest and may_stand(one, other)
            ]
            if len(found) > MOST_PAIRS:
                raise CommandError(
                    f"more than {MOST_PAIRS:,} pairs of cases are at least {lowest:.2f} alike: that tells nothing "
                    "apart; raise `at_least`, or have one variable's texts compared (`over`)"
                )
    return found


async def false_pairs(
    pairs: Sequence[Pair], is_right: Callable[[int, int], Awaitable[bool]]
) -> frozenset[tuple[int, int]]:
    """The pairs in which what one expects is wrong for the other.

    Arguments:
        is_right: whether what the first expects is right for the second.
    """
    found = set()
    for pair in pairs:
        if not (await is_right(pair.one, pair.other) and await is_right(pair.other, pair.one)):
            found.add((pair.one, pair.other))
    return frozenset(found)


def rate_at(
    threshold: float,
    probes: Sequence[Probe],
    pairs: Sequence[Pair],
    false: frozenset[tuple[int, int]],
    alpha: float = ALPHA,
) -> Rate:
    """What would happen with this threshold.

    Arguments:
        alpha: the probability that the true share is above `upper`.
    """
    alike = [pair for pair in pairs if pair.similarity >= threshold]
    group = {place: place for pair in alike for place in (pair.one, pair.other)}

    def root(place: int) -> int:
        while group[place] != place:
            group[place] = group[group[place]]
            place = group[place]
        return place

    for pair in alike:
        group[root(pair.one)] = root(pair.other)
    counted: dict[int, int] = {}
    for place in sorted(group, key=lambda one: hashlib.sha256(probes[one].text.encode(errors="replace")).digest()):
        counted.setdefault(root(place), place)
    wrong = [pair for pair in alike if (pair.one, pair.other) in false]
    misled = {place for pair in wrong for place in (pair.one, pair.other)}
    hits = len(counted)
    false_hits = sum(place in misled for place in counted.values())
    # Two sides of which one is looked at.
    upper = clopper_pearson(false_hits, hits, 1.0 - 2.0 * alpha)[1]
    return Rate(threshold, len(alike), len(wrong), hits, false_hits, upper)


def recommend(
    most_false: float, probes: Sequence[Probe], pairs: Sequence[Pair], false: frozenset[tuple[int, int]]
) -> float | None:
    """The lowest threshold at which false hits are shown to be rarer than allowed; None where there is none."""
    alpha = ALPHA / len(THRESHOLDS)
    good = [one for one in THRESHOLDS if rate_at(one, probes, pairs, false, alpha).upper < most_false]
    return min(good, default=None)
