"""Figures in words, the same in every form of a report. What there is none of is `-`."""

from collections.abc import Iterator

import msgspec

from headworks.evals.amounts import NONE
from headworks.evals.reporting import ArmReport, Report


def percent(share: float | None, digits: int = 1) -> str:
    """A share: `92.0 %`."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def score_with_interval(low: float | None, high: float | None) -> str:
    """An interval: `80.8 to 97.8 %`."""
    return NONE if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def latency(ms: float | None) -> str:
    """A duration: `480 ms`, `1.25 s`."""
    if ms is None:
        return NONE
    return f"{ms:.0f} ms" if ms < 999.5 else f"{ms / 1000:.2f} s"


def notes_of(report: Report) -> Iterator[str]:
    """What must be said beside the figures."""
    manifest = report.manifest
    if not report.is_complete:
        yield f"not complete: {report.answered:,} of {report.units:,} questions are answered"
    if manifest.split:
        use = "they decide" if manifest.split == "test" else "for work on the prompt, where others decide"
        yield f"asked are the {manifest.cases:,} cases of the split `{manifest.split}`: {use}"
    if not manifest.gates:
        yield "no scorer may decide (a judge is not calibrated, or `gates: false`): scores are to be looked at, no more"
    for arm in report.arms:
        if arm.invalid:
            kinds = ", ".join(f"{count} {code}" for code, count in _invalid_kinds(arm))
            void = ": too many, the figures say little" if arm.is_void else ""
            yield f"{arm.arm.name}: {arm.invalid:,} answers are invalid ({kinds}){void}"
        if arm.corrected is not None:
            share, low, high = arm.corrected
            yield (
                f"{arm.arm.name}: a judge decides, and errs: by what people said of it, about {percent(share)} are "
                f"good ({score_with_interval(low, high)})"
            )
        if arm.must_pass_failed:
            names = ", ".join(arm.must_pass_failed[:5]) + (" and others" if len(arm.must_pass_failed) > 5 else "")
            yield f"{arm.arm.name}: cases that must pass and do not: {names}"
        if arm.cost_pico_usd is None and arm.right + arm.wrong:
            yield f"{arm.arm.name}: no price is known of {arm.arm.model}: say it under `prices` in headworks.yaml"
    if report.lost:
        yield f"{report.lost:,} questions were under way when the run's process died: they may have been paid for"
    for warning, count in report.warnings.items():
        yield f"{count:,} times a scorer that may not decide said: {warning}"


def json_report(report: Report) -> bytes:
    """The report as JSON, for programs: the fields of `reporting.Report`."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _invalid_kinds(arm: ArmReport) -> Iterator[tuple[str, int]]:
    yield from arm.errors.items()
    if arm.failed_scoring:
        yield "not scored", arm.failed_scoring
