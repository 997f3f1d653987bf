"""How near counts come to what providers bill. Pure."""

from collections.abc import Iterable

import msgspec

from headworks.catalogue import Certainty


class Sample(msgspec.Struct, frozen=True):
    """One call: what it was counted as, and the input tokens that its provider billed. `model` is provider/model."""

    model: str
    encoding: str
    certainty: Certainty
    counted: int
    billed: int


class Calibration(msgspec.Struct, frozen=True):
    """The counts of one model against its bills.

    Attributes:
        certainty: of the least sure of the counts.
        calls: that were counted.
        counted, billed: tokens of all of them.
        ratio: counted by billed, of all tokens: above 1 the counts are too high.
        low, high: of the ratios of single calls, those that 1 in 10 is below, and above.
    """

    model: str
    encoding: str
    certainty: Certainty
    calls: int
    counted: int
    billed: int
    ratio: float
    low: float
    high: float


_SURENESS = ("exact", "presumed", "estimated")


def calibrate(samples: Iterable[Sample]) -> list[Calibration]:
    """Each model's, the most frequent first. Calls of which nothing was billed say nothing."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.billed > 0:
            found.setdefault(sample.model, []).append(sample)
    made = [_calibration(model, of) for model, of in found.items()]
    return sorted(made, key=lambda one: (-one.calls, one.model))


def _calibration(model: str, samples: list[Sample]) -> Calibration:
    counted, billed = sum(one.counted for one in samples), sum(one.billed for one in samples)
    ratios = sorted(one.counted / one.billed for one in samples)
    last = len(ratios) - 1
    return Calibration(
        model,
        samples[0].encoding,
        max((one.certainty for one in samples), key=_SURENESS.index),
        len(samples),
        counted,
        billed,
        counted / billed,
        ratios[round(last * 0.1)],
        ratios[round(last * 0.9)],
    )
