"""Non-inferiority looked at more than once, exactly: the bounds of Tango's score at each look.

The usual bounds are those of a normal statistic. Tango's score of a small set is a discrete one, and how it is
distributed depends on a nuisance: on how large a share of the cases the two arms disagree. Here the bounds are found
by following every outcome (losses, wins) from look to look, at every value of the nuisance on a grid, so that passing
at any look is no more probable than alpha, whatever the nuisance is. The smallest candidate that is still inferior,
worse by exactly the margin, is the worst case: the score grows with wins and falls with losses (Barnard's convexity,
which makes the greatest error lie on the border of the null hypothesis; Röhmel and Mansmann 1999).
"""

import math
from functools import lru_cache

from headworks.evals.statistics.distributions import NORMAL, at_most, binomial, binomial_row, log_factorial
from headworks.evals.statistics.looks import normal_bounds

Cell = tuple[int, int]
"""Losses and wins."""

Chances = dict[Cell, float]
Ranked = tuple[tuple[float, Cell, float], ...]
"""Score, outcome, and the logarithm of the number of ways to it."""

_GRID, _FINE_GRID = 40, 120
"""Values of the nuisance that are looked at, denser where disagreement is rare, as it is. The error is smooth between
them: tests look at others. One look alone is cheap enough for a fine one."""

EXACT_CASES = 300
"""Up to so many cases bounds are found by following outcomes, which takes seconds at most; above, they are a normal
statistic's, raised where the error at a look would be larger than a normal statistic's."""

_BETWEEN = 0.9995
"""The part of the allowed error that is used: the rest is for what lies between the values of the nuisance."""

_NORMAL_ALPHA = 0.98

MOST_DISAGREEMENT = 0.5
"""Arms that disagree on a larger share of cases than this are never taken for as good as one another: nothing that
happens with arms that are good enough. Without it the bounds of all sets would have to guard against arms that hardly
ever agree, whose scores lie on a coarser lattice: 2.01 for 1.97 with 100 cases and a margin of ten points. A loss less
never leads out of what passes, so the worst candidate is one at the margin still."""

_NEGLIGIBLE = 1e-9
"""Outcomes that are less probable are not followed to the next look, as if they had not passed before: bounds get
higher by it, if anything."""

_ALIKE = 1e-9
"""Scores that differ by less are the same one, with rounding."""


def tango_score(losses: int, wins: int, cases: int, margin: float) -> float:
    """The statistic of H0: the candidate's share is lower by `margin` or more (Tango 1998, Statistics in Medicine
    17:891, with the constrained maximum likelihood estimate in closed form). From the bound on it is rejected: not
    inferior.

    Arguments:
        losses: cases that the reference has right and the candidate wrong.
        wins: the other way round.
        cases: all of them.
        margin: a share; negative to ask whether the candidate is better by that much.
    """
    if cases == 0:
        return 0.0
    first = 2 * cases
    second = -wins - losses - (2 * cases - wins + losses) * margin
    third = losses * margin * (1 + margin)
    root = math.sqrt(max(0.0, second * second - 4 * first * third))
    estimate = (root - second) / (2 * first)
    variance = cases * (2 * estimate - margin * (1 + margin))
    score = wins - losses + cases * margin
    if variance <= 0.0:
        return math.copysign(math.inf, score) if score else 0.0
    return score / math.sqrt(variance)


def most_disagreements(cases: int) -> int:
    """On how many of so many cases two arms may disagree at most, for one to be as good as the other."""
    return math.floor(cases * MOST_DISAGREEMENT)


def is_as_good(losses: int, wins: int, cases: int, *, margin: float, bound: float) -> bool:
    """Whether the candidate is shown to be worse by less than the margin: what the bounds here are for."""
    return losses + wins <= math.floor(cases * MOST_DISAGREEMENT) and tango_score(losses, wins, cases, margin) >= bound


@lru_cache(maxsize=256)
def paired_bounds(counts: tuple[int, ...], margin: float, allowed: tuple[float, ...]) -> tuple[float, ...]:
    """The least bounds for `is_as_good` at each look, with which passing at it or before is no more probable than is
    allowed until then, for a candidate that is worse by the margin or more. Infinite where nothing may pass.

    Arguments:
        counts: the cases at each look, rising, above 0.
        margin: above 0, below 1.
        allowed: the error that may have been spent at each look, rising.
    """
    if counts[-1] > EXACT_CASES:
        return _large_bounds(counts, margin, allowed)
    bounds: list[float] = []
    steps = _GRID if len(counts) > 1 else _FINE_GRID
    shares = [(1.0 - margin) / 2.0 * (step / steps) ** 2 for step in range(steps + 1)]
    passed_before: list[Chances] = [{} for _ in shares]
    spent = [0.0] * len(shares)
    seen = 0
    for count, limit in zip(counts, allowed, strict=True):
        ranked = _ranked(count, margin)
        places = [_Nuisance(count, win, win + margin) for win in shares]
        arrived = [
            _carried(passed, count - seen, win, win + margin) if passed else {}
            for passed, win in zip(passed_before, shares, strict=True)
        ]
        bound = max(
            _bound_at(ranked, place, count, passed, _BETWEEN * limit - used)
            for place, passed, used in zip(places, arrived, spent, strict=True)
        )
        bounds.append(bound)
        if len(bounds) < len(counts):  # nothing follows the last look
            for index, place in enumerate(places):
                passed_before[index], more = _crossed(ranked, place, count, arrived[index], bound)
                spent[index] += more
        seen = count
    return tuple(bounds)


def _large_bounds(counts: tuple[int, ...], margin: float, allowed: tuple[float, ...]) -> tuple[float, ...]:
    """As `paired_bounds`, for sets that are too large to follow every outcome from look to look: at each look by itself
    the error is that of a normal statistic at most, enumerated; how looks depend on one another is taken to be as it
    is for that, and a part of alpha is left unused for it."""
    bounds = normal_bounds(tuple(count / counts[-1] for count in counts), tuple(_NORMAL_ALPHA * one for one in allowed))
    return tuple(_raised(count, margin, bound) for count, bound in zip(counts, bounds, strict=True))


def _raised(cases: int, margin: float, bound: float) -> float:
    """The bound at which one look's error is that of a normal statistic at this bound, whatever the nuisance is."""
    allowed = NORMAL.cdf(-bound)
    most = (1.0 - margin) / 2.0
    shares = [0.0, *(one for step in range(16) if (one := 0.25 / cases * 2.0**step) < most)]
    for win in shares:
        low, high = bound, bound + 0.5
        if _error(cases, margin, bound, win) <= allowed:
            continue
        for _ in range(10):
            middle = (low + high) / 2.0
            low, high = (low, middle) if _error(cases, margin, middle, win) <= allowed else (middle, high)
        bound = high
    return bound


def _error(cases: int, margin: float, bound: float, win: float) -> float:
    """How probable it is that a candidate worse by the margin passes one look: for each number of wins, at most so many
    losses pass."""
    total = 0.0
    loss = (win + margin) / (1.0 - win)
    for wins, chance in binomial_row(cases, win):
        low, high = -1, most_disagreements(cases) - wins
        while low < high:
            middle = (low + high + 1) // 2
            if is_as_good(middle, wins, cases, margin=margin, bound=bound):
                low = middle
            else:
                high = middle - 1
        if low >= 0 and chance > _NEGLIGIBLE:
            total += chance * at_most(low, cases - wins, loss)
    return total


def exact_bound(cases: int, margin: float, alpha: float) -> float:
    """The least bound of the score when it is looked at once, at the end, with error at most `alpha` whatever share of
    cases the arms disagree on. The asymptotic one is a little too low for most small sets.

    Arguments:
        margin: above 0, below 1.
        alpha: one-sided.
    """
    return paired_bounds((cases,), margin, (alpha,))[0]


@lru_cache(maxsize=16)
def _ranked(cases: int, margin: float) -> Ranked:
    """What could pass, the clearest first."""
    whole = log_factorial(cases)
    found = []
    for losses in range(cases + 1):
        for wins in range(most_disagreements(cases) - losses + 1):
            score = tango_score(losses, wins, cases, margin)
            if score > 1.0:
                ways = whole - log_factorial(losses) - log_factorial(wins) - log_factorial(cases - losses - wins)
                found.append((score, (losses, wins), ways))
    return tuple(sorted(found, reverse=True))


class _Nuisance:
    """How probable outcomes are where wins and losses have these probabilities: their logarithms, by number."""

    __slots__ = ("losses", "none", "wins")

    def __init__(self, cases: int, win: float, loss: float) -> None:
        self.wins = _multiples(win, cases)
        self.losses = _multiples(loss, cases)
        self.none = _multiples(max(0.0, 1.0 - win - loss), cases)


def _multiples(share: float, most: int) -> list[float]:
    if share <= 0.0:
        return [0.0] + [-math.inf] * most
    log = math.log(share)
    return [count * log for count in range(most + 1)]


def _bound_at(ranked: Ranked, at: _Nuisance, cases: int, passed: Chances, left: float) -> float:
    """The least bound at one value of the nuisance: above the first outcome with which the error would be too large."""
    total = 0.0
    least = math.inf
    for score, cell, ways in ranked:
        losses, wins = cell
        total += math.exp(ways + at.losses[losses] + at.wins[wins] + at.none[cases - losses - wins])
        total -= passed.get(cell, 0.0)
        if total > left:
            # What is equal to it stays out with it.
            return least if least - score > _ALIKE else score + _ALIKE
        least = score
    return least


def _crossed(ranked: Ranked, at: _Nuisance, cases: int, passed: Chances, bound: float) -> tuple[Chances, float]:
    """The outcomes of those runs that have passed at this look or before, and how probable it is to pass first now."""
    more = 0.0
    for score, cell, ways in ranked:
        if score < bound:
            break
        losses, wins = cell
        now = math.exp(ways + at.losses[losses] + at.wins[wins] + at.none[cases - losses - wins])
        more += now - passed.get(cell, 0.0)
        passed[cell] = now
    return {cell: one for cell, one in passed.items() if one > _NEGLIGIBLE}, more


def _carried(passed: Chances, further: int, win: float, loss: float) -> Chances:
    """Where the outcomes are after so many further cases."""
    steps = [
        (losses, wins, chance)
        for losses in range(further + 1)
        for wins in range(further - losses + 1)
        if (chance := trinomial(losses, wins, further, loss, win)) > _NEGLIGIBLE
    ]
    arrived: Chances = {}
    get = arrived.get
    for (losses, wins), chance in passed.items():
        for more_losses, more_wins, weight in steps:
            cell = (losses + more_losses, wins + more_wins)
            arrived[cell] = get(cell, 0.0) + chance * weight
    return arrived


def trinomial(losses: int, wins: int, cases: int, loss: float, win: float) -> float:
    """How probable exactly so many losses and wins are."""
    either = loss + win
    if either <= 0.0:
        return float(losses == wins == 0)
    return binomial(losses + wins, cases, min(1.0, either)) * binomial(losses, losses + wins, loss / either)
