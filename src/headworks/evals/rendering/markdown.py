"""The report as Markdown, for a pull request: figures, ids and reasons."""

from collections.abc import Iterator, Sequence

from headworks.evals.amounts import NONE, money
from headworks.evals.rendering.words import latency, notes_of, percent, score_with_interval
from headworks.evals.reporting import Report

_MOST_FAILING = 30


def markdown_report(report: Report) -> str:
    """The report as Markdown."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    manifest = report.manifest
    yield f"## Eval of {_plain(manifest.workload)}"
    yield ""
    repeats = f", each {manifest.repeats} times" if manifest.repeats > 1 else ""
    yield (
        f"Run `{manifest.run}`: {manifest.cases:,} cases{repeats}, bar {percent(manifest.bar, 0)}, "
        f"cost {money(report.spent_pico_usd)}."
    )
    yield ""
    head = ("arm", "model", "score", "95 %", "cost a call", "cost a right answer", "p50", "p95", "flicker")
    yield from _table(
        head,
        [
            (
                _plain(arm.arm.name),
                _plain(arm.arm.model),
                percent(arm.score),
                score_with_interval(arm.low, arm.high),
                money(arm.cost_per_call_pico_usd),
                money(arm.cost_per_right_pico_usd),
                latency(arm.p50_ms),
                latency(arm.p95_ms),
                percent(arm.flicker),
            )
            for arm in report.arms
        ],
    )
    notes = list(notes_of(report))
    if notes:
        yield ""
        yield from (f"- {_plain(note)}" for note in notes)
    tags = {one.tag: None for arm in report.arms for one in arm.slices}
    if tags:
        yield ""
        yield "### By tag"
        yield ""
        rows = []
        for tag in tags:
            found = [{one.tag: one for one in arm.slices}.get(tag) for arm in report.arms]
            cases = max(one.cases for one in found if one is not None)
            rows.append((_plain(tag), f"{cases:,}", *(NONE if one is None else percent(one.score) for one in found)))
        yield from _table(("tag", "cases", *(_plain(arm.arm.name) for arm in report.arms)), rows)
    if report.failing:
        yield ""
        yield f"### Cases that went wrong ({report.failing_count:,})"
        yield ""
        rows = []
        for case in report.failing[:_MOST_FAILING]:
            said = {one.arm: one for one in case.answers}
            cells = []
            for arm in report.arms:
                answer = said.get(arm.arm.name)
                cells.append(NONE if answer is None else _plain(f"{answer.verdict} {answer.reason}".strip()))
            rows.append((_plain(case.id) + (" (must pass)" if case.must_pass else ""), *cells))
        yield from _table(("case", *(_plain(arm.arm.name) for arm in report.arms)), rows)
        if report.failing_count > _MOST_FAILING:
            yield ""
            yield f"And {report.failing_count - _MOST_FAILING:,} more."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _plain(text: str) -> str:
    """Text that can neither leave its cell nor be taken for markup."""
    kept = "".join(one if one.isprintable() else " " for one in text)
    return "".join(f"\\{one}" if one in r"\`*_{}[]<>#|~" else one for one in kept)[:300]
