"""What is fast enough: the measures of the report and the bars that `docs/explanation/performance.md` sets for them."""

from enum import Enum

import msgspec

from benchmarks.figures import Spread, paired_ratio, spread

YARDSTICK = "nginx"


class Verdict(Enum):
    """How a figure stands to its bar."""

    AIM = "aim"
    ENOUGH = "at least"
    MISSED = "MISSED"


class Bar(msgspec.Struct, frozen=True):
    """The figure to aim for and the figure that must be reached.

    Attributes:
        is_ratio: the bar is on the ratio to nginx, not on the figure.
        is_floor: more is better.
    """

    aim: float
    at_least: float
    is_ratio: bool = False
    is_floor: bool = False

    def judge(self, figure: float) -> Verdict:
        def reaches(bar: float) -> bool:
            return figure >= bar if self.is_floor else figure <= bar

        if reaches(self.aim):
            return Verdict.AIM
        return Verdict.ENOUGH if reaches(self.at_least) else Verdict.MISSED


class Measure(msgspec.Struct, frozen=True):
    """One line of the report.

    Attributes:
        key: its name in the JSON.
        bar: what Headworks must reach; None for a line that only informs.
        has_ratio: a ratio to nginx says something.
    """

    key: str
    title: str
    unit: str
    bar: Bar | None = None
    has_ratio: bool = True


MEASURES = (
    Measure("call_us", "plain call, 16 connections: CPU of the workers", "µs", Bar(1.6, 2.0, is_ratio=True)),
    Measure(
        "limited_call_us",
        "plain call under limits of provider and team: CPU of the workers",
        "µs",
        Bar(1.6, 2.0, is_ratio=True),
    ),
    Measure("call_all_us", "plain call, 16 connections: CPU of all processes", "µs"),
    Measure("responses_call_us", "plain call of /v1/responses: CPU of the workers", "µs"),
    Measure("large_call_us", "plain call, body of 40 KB: CPU of the workers", "µs", Bar(2.0, 3.0, is_ratio=True)),
    Measure("work_added_us", "added by a workload with prompt and schema: CPU of the workers", "µs", Bar(60, 120)),
    Measure("calls_per_s", "calls a second on one core, 64 connections", "/s", Bar(35_000, 25_000, is_floor=True)),
    Measure("added_p50_us", "latency added to a plain call, p50", "µs", Bar(140, 200)),
    Measure("added_p99_us", "latency added to a plain call, p99", "µs", Bar(220, 350)),
    Measure("chunk_us", "streamed chunk, paced streams: CPU of the workers", "µs", Bar(1.3, 1.6, is_ratio=True)),
    Measure("chunk_all_us", "streamed chunk, paced streams: CPU of all processes", "µs"),
    Measure("responses_chunk_us", "streamed chunk of /v1/responses: CPU of the workers", "µs"),
    Measure(
        "bridged_call_us", "translation of a call of 4 KB and its answer, the dearest of all pairs", "µs", Bar(60, 120)
    ),
    Measure("bridged_chunk_us", "translation of a streamed chunk, the dearest of all pairs", "µs"),
    Measure("streams_core_percent", "the streams' share of a core", "%", Bar(35, 45)),
    Measure("chunk_p50_ms", "latency of a chunk, upstream to client, p50", "ms", has_ratio=False),
    Measure("chunk_p99_ms", "latency of a chunk, upstream to client, p99", "ms", has_ratio=False),
    Measure(
        "chunk_added_p99_ms", "latency added to a chunk, p99 of a quarter second", "ms", Bar(1, 3), has_ratio=False
    ),
    Measure("streams_resident_mb", "memory with the streams live", "MB", Bar(50, 80), has_ratio=False),
    Measure("resident_mb", "memory after the plain calls", "MB", Bar(45, 70), has_ratio=False),
    Measure("growth_mb", "memory grown over the plain calls after the first round", "MB", Bar(1, 3), has_ratio=False),
    Measure("failures", "calls and streams that were not right", "", Bar(0, 0), has_ratio=False),
    Measure("ready_s", "`serve` until ready", "s", Bar(0.25, 0.5), has_ratio=False),
    Measure("help_s", "`--help`", "s", Bar(0.15, 0.5), has_ratio=False),
)
"""In the order of the report. "Flat" memory is read as at most 1 MB (3 MB) more at the end than after one round."""


class Line(msgspec.Struct, frozen=True):
    """A measure with what the systems reached in it.

    Attributes:
        figures: by system.
        ratios: to nginx in the same round, by system, where that says something.
        verdict: on the judged system; None without a bar or a figure.
    """

    key: str
    title: str
    unit: str
    figures: dict[str, Spread]
    ratios: dict[str, Spread]
    bar: Bar | None
    verdict: Verdict | None


def lines(rounds: dict[str, dict[str, list[float]]], judged: str = "headworks") -> list[Line]:
    """The report's lines from the figures of all rounds: `rounds[key][system]`; measures without figures are left out.

    Rounds of nginx and of another system are paired in order, as many as both have.
    """
    return [_line(measure, rounds[measure.key], judged) for measure in MEASURES if rounds.get(measure.key)]


def _line(measure: Measure, by_system: dict[str, list[float]], judged: str) -> Line:
    ratios = {}
    yardstick = by_system.get(YARDSTICK, [])
    if measure.has_ratio and yardstick and all(figure > 0 for figure in yardstick):
        for system, values in by_system.items():
            beside = min(len(values), len(yardstick))
            if system != YARDSTICK and beside:
                ratios[system] = paired_ratio(values[:beside], yardstick[:beside])
    figures = {system: spread(values) for system, values in by_system.items() if values}
    verdict = None
    if measure.bar is not None:
        judged_on = ratios if measure.bar.is_ratio else figures
        if judged in judged_on:
            verdict = measure.bar.judge(judged_on[judged].median)
    return Line(
        key=measure.key,
        title=measure.title,
        unit=measure.unit,
        figures=figures,
        ratios=ratios,
        bar=measure.bar,
        verdict=verdict,
    )
