"""Evidence that may be looked at as often as one likes: e-processes that bet on differences between -1 and 1.

A bettor starts with 1 and stakes, at each case, a share of what he has on the difference being above (or below) a
supposed mean. If the mean is what is supposed, his wealth does not grow on average, so it ever reaches 1 / alpha with
a probability of at most alpha (Ville 1939). No number of cases need be planned, and cases may depend on what came
before, as long as each one's expected difference is what is supposed (Waudby-Smith and Ramdas 2024, "Estimating means
of bounded random variables by betting", JRSS B 86:1).

With fixed stakes, wealth depends on how often each difference was seen and not on their order, so all that is kept is
a count of each.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from headworks.evals.statistics.distributions import rising_root

FUTILITY_STAKES = tuple(0.05 + 0.9 * index / 11 for index in range(12))
"""Twelve stakes from 0.05 to 0.95, whose wealth is averaged (evals reference 2.4)."""

_STAKES = tuple(0.004 * (0.95 / 0.004) ** (index / 23) for index in range(24))
"""Stakes of the sequences, from what grows best with tens of thousands of nearly equal cases to what does with a few
that are clear."""

_EDGE = 1e-12


def futility(losses: int, wins: int, cases: int, tolerance: float = 0.0) -> float:
    """The evidence that a candidate is worse than the reference by more than `tolerance`: the mean over the stakes of
    prod(1 - stake * (difference + tolerance) / (1 + tolerance)).

    To leave the candidate when this is at least 1 / beta, looked at after every case, leaves one that is worse by no
    more than that with a probability of at most beta (Ville). It can only reject, so it never makes a false pass more
    probable.

    Arguments:
        losses, wins: cases that only the reference, and only the candidate has right.
        cases: all of them.
        tolerance: a share, from 0 on.
    """
    ties = cases - losses - wins
    parts = [stake / (1.0 + tolerance) for stake in FUTILITY_STAKES]
    return math.exp(
        _log_mean(
            wins * math.log1p(-part * (1.0 + tolerance))
            + losses * math.log1p(part * (1.0 - tolerance))
            + ties * math.log1p(-part * tolerance)
            for part in parts
        )
    )


def evidence_above(counts: Mapping[float, int], mean: float) -> float:
    """The evidence that the mean is above this one: an e-process if it is not.

    Arguments:
        counts: how often each difference, from -1 to 1, was seen.
        mean: above -1.
    """
    return math.exp(min(700.0, _log_wealth(counts, mean)))


def evidence_below(counts: Mapping[float, int], mean: float) -> float:
    """The evidence that the mean is below this one; as `evidence_above`, with `mean` below 1."""
    return evidence_above({-value: count for value, count in counts.items()}, -mean)


def _log_wealth(counts: Mapping[float, int], mean: float) -> float:
    """Of a bettor on differences above the mean, whose stakes are shares of what he can lose at most: 1 + mean. It
    falls as the mean rises, whatever was seen."""
    room = max(_EDGE, 1.0 + mean)
    return _log_mean(
        math.fsum(count * math.log((1.0 - stake) + stake * (1.0 + value) / room) for value, count in counts.items())
        for stake in _STAKES
    )


def _log_mean(logs: Iterable[float]) -> float:
    """The logarithm of the mean of what these are logarithms of."""
    found = list(logs)
    most = max(found)
    return most + math.log(math.fsum(math.exp(one - most) for one in found) / len(found))


class DifferenceSequence:
    """A confidence sequence: intervals that all hold the true mean difference, at every moment, at once.

        canary = DifferenceSequence()
        canary.observe(int(candidate_is_good) - int(reference_is_good))
        low, high = canary.interval()     # as often as you like

    State: how often each difference was seen, and the narrowest interval so far.

    Arguments:
        alpha: the probability that any of the intervals, however many are looked at, misses the mean.
    """

    def __init__(self, alpha: float = 0.05) -> None:
        self._log_needed = math.log(2.0 / alpha)
        self._counts: Counter[float] = Counter()
        self._low, self._high = -1.0, 1.0

    @property
    def seen(self) -> int:
        """How many differences."""
        return self._counts.total()

    @property
    def mean(self) -> float:
        """Of what was seen; 0 of nothing."""
        seen = self.seen
        return math.fsum(value * count for value, count in self._counts.items()) / seen if seen else 0.0

    def observe(self, difference: float) -> None:
        """One more difference: candidate less reference, from -1 to 1.

        Raises:
            ValueError: it is not within these bounds.
        """
        if not -1.0 <= difference <= 1.0:
            raise ValueError("a difference of two shares lies between -1 and 1")
        self._counts[difference] += 1

    def interval(self) -> tuple[float, float]:
        """Where the mean is, by all that was seen. Never wider than it was before; crossed (low above high) only where
        the mean has moved, which is a finding of its own."""
        if self._counts:
            turned = {-value: count for value, count in self._counts.items()}
            self._low = max(self._low, self._least_mean(self._counts))
            self._high = min(self._high, -self._least_mean(turned))
        return self._low, self._high

    def evidence_above(self, mean: float) -> float:
        """The evidence that the mean is above this one: with 1 / alpha, it is shown."""
        return evidence_above(self._counts, mean)

    def evidence_below(self, mean: float) -> float:
        """The evidence that the mean is below this one."""
        return evidence_below(self._counts, mean)

    def _least_mean(self, counts: Mapping[float, int]) -> float:
        """The greatest mean that so many differences speak against as too low."""
        return rising_root(lambda mean: self._log_needed - _log_wealth(counts, mean), -1.0, 1.0, precision=1e-9)


class CanarySequence:
    """A confidence sequence for two independent arms that get calls side by side: good answers of the canary less
    those of the baseline.

    Each answer of the canary is set against the next `baseline_per_canary` of the baseline, in the order in which they
    come: the difference of each such group is a bet. So what changes over the day for both arms alike does no harm. A
    call must be given to an arm by chance or by rotation, never by what it asks.

    State: the sequence, and those answers that wait for the other arm's.

    Arguments:
        baseline_per_canary: how many calls the baseline gets for one of the canary, fixed in advance.
        alpha: as of `DifferenceSequence`.

    Raises:
        ValueError: fewer than 1.
    """

    def __init__(self, baseline_per_canary: int = 1, alpha: float = 0.05) -> None:
        if baseline_per_canary < 1:
            raise ValueError("the baseline gets at least one call for one of the canary")
        self.sequence = DifferenceSequence(alpha)
        self._group = baseline_per_canary
        self._canary: list[bool] = []
        self._baseline: list[bool] = []

    def observe_canary(self, is_good: bool) -> None:
        """An answer of the canary."""
        self._canary.append(is_good)
        self._match()

    def observe_baseline(self, is_good: bool) -> None:
        """An answer of the baseline."""
        self._baseline.append(is_good)
        self._match()

    def _match(self) -> None:
        if self._canary and len(self._baseline) >= self._group:
            group, self._baseline = self._baseline[: self._group], self._baseline[self._group :]
            self.sequence.observe(int(self._canary.pop(0)) - sum(group) / self._group)
