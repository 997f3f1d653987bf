"""Judges that err: what the share of answers they accept says of the true one, and how far they agree with people."""

import math
from collections.abc import Sequence

import msgspec

from headworks.evals.statistics.distributions import NORMAL
from headworks.evals.statistics.means import standard_error


class Estimate(msgspec.Struct, frozen=True):
    """A figure, its standard error, and its interval."""

    value: float
    error: float
    low: float
    high: float


class JudgeLabels(msgspec.Struct, frozen=True, kw_only=True):
    """How a judge did on answers that people have labelled.

    Attributes:
        acceptable: answers that people accept, and `accepted` of these by the judge too.
        unacceptable: answers that people reject, and `rejected` of these by the judge too.
    """

    acceptable: int
    accepted: int
    unacceptable: int
    rejected: int

    @property
    def sensitivity(self) -> float:
        """The share of acceptable answers that the judge accepts; 0 of none."""
        return self.accepted / self.acceptable if self.acceptable else 0.0

    @property
    def specificity(self) -> float:
        """The share of unacceptable answers that the judge rejects; 0 of none."""
        return self.rejected / self.unacceptable if self.unacceptable else 0.0


def rogan_gladen(accepted: int, cases: int, labels: JudgeLabels, confidence: float = 0.95) -> Estimate:
    """The true share of acceptable answers, from the share that the judge accepts (Rogan and Gladen 1978; the variance
    with that of the calibration: Lee et al. 2025, arXiv 2511.21140). Cut to 0 and 1.

    Raises:
        ValueError: no case or label, or a judge that is no better than chance: it says nothing.
    """
    skill = labels.sensitivity + labels.specificity - 1.0
    if not cases or not labels.acceptable or not labels.unacceptable or skill <= 0.0:
        raise ValueError("a judge that is not better than chance, or has no labels of both kinds, measures nothing")
    seen = accepted / cases
    value = min(1.0, max(0.0, (seen + labels.specificity - 1.0) / skill))
    variance = (
        _variance(accepted, cases)
        + (1.0 - value) ** 2 * _variance(labels.rejected, labels.unacceptable)
        + value**2 * _variance(labels.accepted, labels.acceptable)
    ) / skill**2
    return _estimate(value, math.sqrt(variance), confidence, least=0.0)


def _variance(count: int, cases: int) -> float:
    """Of a share. Of none or all it is that of the share that is half a case away: that nothing differed makes nothing
    certain."""
    share = count / cases if 0 < count < cases else (count + 0.5) / (cases + 1.0)
    return share * (1.0 - share) / cases


def cohens_kappa(table: Sequence[Sequence[int]], confidence: float = 0.95) -> Estimate:
    """How far two raters agree beyond chance (Cohen 1960, with his standard error): 1 always, 0 as by chance.

    Arguments:
        table: how often the first gave label i and the second label j.

    Raises:
        ValueError: not square, or empty.
    """
    size, total = len(table), sum(map(sum, table))
    if total == 0 or any(len(row) != size for row in table):
        raise ValueError("agreement is counted in a square table that is not empty")
    agreed = sum(table[index][index] for index in range(size)) / total
    chance = math.fsum(sum(table[index]) * sum(row[index] for row in table) for index in range(size)) / total**2
    if chance >= 1.0:  # both always say the same one thing
        return Estimate(0.0, math.inf, -1.0, 1.0)
    error = math.sqrt(agreed * (1.0 - agreed) / total) / (1.0 - chance)
    return _estimate((agreed - chance) / (1.0 - chance), error, confidence, least=-1.0)


def ppi_difference(
    judged: Sequence[float], labelled: Sequence[tuple[float, float]], confidence: float = 0.95
) -> Estimate:
    """The difference of two arms by a judge whose bias differs between them, mended by what people say of some cases:
    prediction-powered inference (Angelopoulos et al. 2023, Science 382:669).

    Arguments:
        judged: candidate less reference by the judge, of each case without human labels.
        labelled: the same by people and by the judge, of each case with them.

    Raises:
        ValueError: fewer than two cases of either kind.
    """
    if len(judged) < 2 or len(labelled) < 2:
        raise ValueError("it takes at least two cases that only the judge has seen, and two with human labels")
    mended = [human - judge for human, judge in labelled]
    value = math.fsum(judged) / len(judged) + math.fsum(mended) / len(mended)
    return _estimate(value, math.hypot(standard_error(judged), standard_error(mended)), confidence, least=-1.0)


def _estimate(value: float, error: float, confidence: float, *, least: float) -> Estimate:
    half = NORMAL.inv_cdf(1.0 - (1.0 - confidence) / 2.0) * error
    return Estimate(value, error, max(least, value - half), min(1.0, value + half))
