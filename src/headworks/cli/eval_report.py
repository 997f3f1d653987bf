"""A run on the terminal: the table, what must be said beside it, slices, failing cases; and the files of `--report`."""

import sys
import time
from pathlib import Path

from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width
from headworks.errors import StorageError
from headworks.evals.rendering import (
    html_report,
    json_report,
    junit_report,
    latency,
    markdown_report,
    money,
    notes_of,
    percent,
    score_with_interval,
)
from headworks.evals.reporting import ArmReport, FailingCase, Report
from headworks.evals.running import Progress
from headworks.evals.runs import Manifest, RunFolder

_MOST_LISTED = 10
_MOST_TEXT = 2000
_EVERY_S = 0.1


def print_report(report: Report, *, shows_cases: bool) -> None:
    """The report for a person.

    Arguments:
        shows_cases: inputs and answers of failing cases, whole.
    """
    manifest = report.manifest
    repeats = f", each {manifest.repeats} times" if manifest.repeats > 1 else ""
    print(f"{manifest.workload}: {manifest.cases:,} cases{repeats}, bar {percent(manifest.bar, 0)}, run {manifest.run}")
    print()
    head = ("ARM", "MODEL", "SCORE", "95 %", "RIGHT", "WRONG", "INVALID", "$/CALL", "$/RIGHT", "P50", "P95")
    has_repeats = manifest.repeats > 1
    table = Table(
        (*head, "FLICKER") if has_repeats else head,
        right=frozenset(range(2, 12)),
        coloured=has_colours(),
        flexible=frozenset({1}),
        width=terminal_width(),
    )
    print("\n".join(table.lines([_row(arm, manifest.bar, has_repeats=has_repeats) for arm in report.arms])))
    notes = list(notes_of(report))
    if notes:
        print()
        print("\n".join(f"- {plain(one)}" for one in notes))
    _print_slices(report)
    _print_failing(report, shows_cases=shows_cases)
    print()
    print(f"cost {money(report.spent_pico_usd)}; what came from earlier runs cost nothing")


def write_files(report: Report, folder: RunFolder, target: Path) -> None:
    """Write report.md, report.html, report.json and junit.xml.

    Raises:
        StorageError: they cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / "report.md").write_text(markdown_report(report), "utf-8")
        (target / "report.html").write_text(html_report(report), "utf-8")
        (target / "report.json").write_bytes(json_report(report))
        with (target / "junit.xml").open("w", encoding="utf-8") as opened:
            opened.writelines(junit_report(report, folder))
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}") from error


class ProgressLine:
    """One line on a terminal's standard error, written anew as the run goes on; nothing where it is no terminal."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._is_terminal = sys.stderr.isatty()
        self._shown_s = 0.0
        self._began_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Show how far the run is, ten times a second at most."""
        now_s = time.monotonic()
        is_last = progress.done == progress.units
        if not self._is_terminal or (now_s - self._shown_s < _EVERY_S and not is_last):
            return
        self._shown_s = now_s
        arms = "  ".join(
            f"{plain(arm.name)} {percent(right / decided) if decided else '-'}"
            for arm, right, decided in zip(self._manifest.arms, progress.right, progress.decided, strict=True)
        )
        left_s = (now_s - self._began_s) / progress.done * (progress.units - progress.done) if progress.done else 0
        invalid = f"  {progress.invalid:,} invalid" if progress.invalid else ""
        line = (
            f"{progress.done:,}/{progress.units:,}  {arms}{invalid}  {money(progress.spent_pico_usd)}  "
            f"{'done' if is_last else f'{left_s:.0f} s left'}"
        )
        width = terminal_width() or 120
        print(f"\r\x1b[2K{line[: width - 1]}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the line as it is and go to the next."""
        if self._is_terminal and self._shown_s:
            print(file=sys.stderr)


def _row(arm: ArmReport, bar: float, *, has_repeats: bool) -> list[Cell]:
    colour = 0
    if arm.score is not None and arm.low is not None and arm.high is not None:
        colour = GREEN if arm.low >= bar else RED if arm.high < bar else YELLOW
    cells = [
        Cell(arm.arm.name),
        Cell(arm.arm.model, GREY),
        Cell(percent(arm.score), colour),
        Cell(score_with_interval(arm.low, arm.high)),
        Cell(f"{arm.right:,}"),
        Cell(f"{arm.wrong:,}"),
        Cell(f"{arm.invalid:,}", RED if arm.invalid else GREY),
        Cell(money(arm.cost_per_call_pico_usd)),
        Cell(money(arm.cost_per_right_pico_usd)),
        Cell(latency(arm.p50_ms)),
        Cell(latency(arm.p95_ms)),
    ]
    return [*cells, Cell(percent(arm.flicker))] if has_repeats else cells


def _print_slices(report: Report) -> None:
    tags = list({one.tag: None for arm in report.arms for one in arm.slices})[:_MOST_LISTED]
    if not tags:
        return
    print()
    count = len(report.arms)
    names = [arm.arm.name for arm in report.arms]
    table = Table(("TAG", "CASES", *names), right=frozenset(range(1, count + 2)), coloured=has_colours())
    rows = []
    for tag in tags:
        found = [next((one for one in arm.slices if one.tag == tag), None) for arm in report.arms]
        cases = max(one.cases for one in found if one is not None)
        scores = [Cell("-" if one is None else percent(one.score)) for one in found]
        rows.append([Cell(tag), Cell(f"{cases:,}"), *scores])
    print("\n".join(table.lines(rows)))


def _print_failing(report: Report, *, shows_cases: bool) -> None:
    if not report.failing:
        return
    print()
    if shows_cases:
        for case in report.failing:
            print_case(case)
        return
    names = [arm.arm.name for arm in report.arms]
    table = Table(
        ("WRONG", *names),
        coloured=has_colours(),
        flexible=frozenset(range(1, len(names) + 1)),
        width=terminal_width(),
    )
    rows = []
    for case in report.failing[:_MOST_LISTED]:
        said = {one.arm: one for one in case.answers}
        cells = []
        for name in names:
            answer = said.get(name)
            is_right = answer is not None and answer.verdict == "right"
            text = "-" if answer is None else "right" if is_right else answer.reason or answer.verdict
            cells.append(Cell(text, GREEN if is_right else RED))
        rows.append([Cell(case.id + (" (must pass)" if case.must_pass else "")), *cells])
    print("\n".join(table.lines(rows)))
    if report.failing_count > _MOST_LISTED:
        print(f"and {report.failing_count - _MOST_LISTED:,} more; --cases shows them with inputs and answers")


def print_case(case: FailingCase) -> None:
    """A case with its input, what is expected, and what every arm answered."""
    print(f"{plain(case.id)}{' (must pass)' if case.must_pass else ''}  {plain(', '.join(case.tags))}".rstrip())
    _print_text("asked", case.asked)
    if case.expected:
        _print_text("expected", case.expected)
    for answer in case.answers:
        often = f", {answer.right} of {answer.asked} right" if answer.asked > 1 else ""
        reason = f": {answer.reason}" if answer.reason else ""
        print(f"  {plain(answer.arm)} is {answer.verdict}{often}{plain(reason)}")
        _print_text("", answer.text)
    print()


def _print_text(title: str, text: str) -> None:
    if title:
        print(f"  {title}")
    for line in text[:_MOST_TEXT].splitlines():
        print(f"    {plain(line)}")
    if len(text) > _MOST_TEXT:
        print("    ...")
