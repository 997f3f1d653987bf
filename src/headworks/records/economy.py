"""Output economy: what was paid for and thrown away, how long answers are, and whether they have grown. Pure."""

import itertools
from collections.abc import Iterable, Sequence

import msgspec

from headworks.records.stores.lengths import (
    WASTE_REASONS,
    OutputCount,
    OutputLengths,
    Wasted,
    WasteReason,
    bounds_of,
)

LEAST_CALLS = 100
"""A version with fewer answers says too little to be compared."""

GROWTH = 1.2
"""Answers have grown when the median of a version is more than that many times the median of the one before."""

SAVING_PERCENTILE = 0.99
"""A lower maximum is looked for at the length that this share of the answers does not exceed."""


class Lengths(msgspec.Struct, frozen=True):
    """How long the answers of one prompt version are, in output tokens; `models` are those that gave them.

    `median` and `p95` are estimates from a histogram.
    """

    prompt_version: str
    models: tuple[str, ...]
    calls: int
    tokens: int
    median: float
    p95: float


class Growth(msgspec.Struct, frozen=True):
    """How long the answers of a version are beside those of the one before. `factor` is 1.3 for 30 % longer.

    `is_same_model` is False when other models answered, so that the prompt may not be the cause.
    """

    prompt_version: str
    before: str
    factor: float
    is_same_model: bool


class Thrown(msgspec.Struct, frozen=True):
    """Output that was thrown away for one reason. `share` is of all output tokens, given or not."""

    reason: WasteReason
    calls: int
    tokens: int
    share: float


class Saving(msgspec.Struct, frozen=True):
    """What a maximum of `max_tokens` would save: the share of the output tokens, and how many answers it would cut."""

    max_tokens: int
    share: float
    cut_calls: int
    calls: int


class Economy(msgspec.Struct, frozen=True):
    """The output economy of one workload. Versions are in their order, the oldest first.

    `compared` has each version that has one before it, `growth` those of them that raise the alarm.
    """

    workload: str
    versions: tuple[Lengths, ...]
    thrown: tuple[Thrown, ...]
    compared: tuple[Growth, ...]
    growth: tuple[Growth, ...]
    saving: Saving | None


def economy(lengths: Sequence[OutputLengths], wasted: Sequence[Wasted], counts: Sequence[OutputCount]) -> list[Economy]:
    """The economy of each workload that is in any of the three, by name."""
    names = sorted(
        {one.workload for one in lengths} | {one.workload for one in wasted} | {one.workload for one in counts}
    )
    return [
        _of_workload(
            name,
            [one for one in lengths if one.workload == name],
            [one for one in wasted if one.workload == name],
            [one for one in counts if one.workload == name],
        )
        for name in names
    ]


def _of_workload(
    workload: str, lengths: Sequence[OutputLengths], wasted: Sequence[Wasted], counts: Sequence[OutputCount]
) -> Economy:
    by_version: dict[str, list[OutputLengths]] = {}
    for one in lengths:
        by_version.setdefault(one.prompt_version, []).append(one)
    order = sorted(by_version, key=lambda version: (_precedence(version), _first_hour(by_version[version])))
    versions = tuple(_lengths(version, by_version[version]) for version in order)
    compared = tuple(_compared(versions))
    return Economy(
        workload,
        versions,
        tuple(_thrown(wasted, sum(version.tokens for version in versions))),
        compared,
        tuple(one for one in compared if one.factor > GROWTH),
        lower_maximum(counts),
    )


def _precedence(version: str) -> tuple[int, ...]:
    """Numbers of a semantic version; what is none comes first, by when it was first used."""
    core = version.partition("+")[0].partition("-")[0]
    parts = core.split(".")
    # A pre-release goes before its release (Semantic Versioning 2.0.0 §11).
    is_release = "-" not in version.partition("+")[0]
    return (*map(int, parts), is_release) if all(part.isascii() and part.isdigit() for part in parts) else ()


def _first_hour(lengths: Sequence[OutputLengths]) -> int:
    return min(one.first_hour for one in lengths)


def _lengths(version: str, lengths: Sequence[OutputLengths]) -> Lengths:
    return Lengths(
        version,
        tuple(sorted({one.model for one in lengths})),
        sum(one.calls for one in lengths),
        sum(one.tokens for one in lengths),
        percentile(lengths, 0.5),
        percentile(lengths, 0.95),
    )


def _thrown(wasted: Sequence[Wasted], given_tokens: int) -> Iterable[Thrown]:
    # An answer that was cut was given all the same; all else that was thrown away is not among what was given.
    paid = given_tokens + sum(one.tokens for one in wasted if one.reason != "cut")
    for reason in WASTE_REASONS:
        tokens = sum(one.tokens for one in wasted if one.reason == reason)
        if tokens:
            calls = sum(one.calls for one in wasted if one.reason == reason)
            yield Thrown(reason, calls, tokens, tokens / max(1, paid))


def _compared(versions: Sequence[Lengths]) -> Iterable[Growth]:
    """Each version against the nearest before it; those with too few answers are passed over."""
    known = [version for version in versions if version.calls >= LEAST_CALLS]
    for before, version in itertools.pairwise(known):
        if before.median > 0:
            factor = version.median / before.median
            yield Growth(version.prompt_version, before.prompt_version, factor, version.models == before.models)


def percentile(lengths: Iterable[OutputLengths], share: float) -> float:
    """The length that this share of the answers does not exceed, estimated from the histogram; 0 if there are none.

    Within a bucket, whose bounds are a factor of two apart, lengths are taken to be spread so that their mean is the
    bucket's, which is known: an estimate that is exact at the bounds and moves with every token between them.
    """
    sums: dict[int, tuple[int, int]] = {}
    for one in lengths:
        calls, tokens = sums.get(one.bucket, (0, 0))
        sums[one.bucket] = calls + one.calls, tokens + one.tokens
    rest = share * sum(calls for calls, _ in sums.values())
    for bucket, (calls, tokens) in sorted(sums.items()):
        if rest <= calls and calls:
            return _within(bounds_of(bucket), tokens / calls, rest / calls)
        rest -= calls
    return 0.0


def _within(bounds: tuple[int, int], mean: float, share: float) -> float:
    """The quantile of a spread `least + width * share^power` that has this mean."""
    least, most = bounds
    above = min(max(mean, least), most) - least
    if above <= 0:
        return float(least)
    width = most - least
    power = width / above - 1
    return float(least + width * share**power)


def lower_maximum(counts: Sequence[OutputCount], share: float = SAVING_PERCENTILE) -> Saving | None:
    """What a maximum at that share of the answers would save; None without answers.

    Arguments:
        counts: how many answers had which length.
    """
    by_length = sorted((one.output_tokens, one.calls) for one in counts)
    calls = sum(count for _, count in by_length)
    if not calls:
        return None
    wanted = share * calls
    reached = 0
    maximum = by_length[-1][0]
    for length, count in by_length:
        reached += count
        if reached >= wanted:
            maximum = length
            break
    return saving_of(counts, maximum)


def saving_of(counts: Sequence[OutputCount], maximum: int) -> Saving:
    """What this maximum would save, in output tokens of one answer."""
    tokens = sum(one.output_tokens * one.calls for one in counts)
    beyond = [one for one in counts if one.output_tokens > maximum]
    saved = sum((one.output_tokens - maximum) * one.calls for one in beyond)
    calls = sum(one.calls for one in counts)
    return Saving(maximum, saved / max(1, tokens), sum(one.calls for one in beyond), calls)
