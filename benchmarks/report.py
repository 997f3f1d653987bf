"""What a run leaves: a table for the reader, a file for the next run to compare with."""

import datetime as dt
import os
import platform
import subprocess
from pathlib import Path

import msgspec

from benchmarks.bars import YARDSTICK, Bar, Line, Verdict
from benchmarks.cores import Cores
from benchmarks.figures import Spread
from benchmarks.python_builds import PythonBuild

_RESULTS = Path(__file__).resolve().parent / "results"


class Machine(msgspec.Struct, frozen=True):
    """Where a run took place. Loads are the kernel's one-minute averages, which tell of company on the machine."""

    processor: str
    kernel: str
    cores: Cores
    load_before: float
    load_after: float


class Report(msgspec.Struct, frozen=True):
    """One run."""

    plan: str
    began: str
    seconds: float
    commit: str
    machine: Machine
    gateway_python: PythonBuild
    versions: dict[str, str]
    lines: list[Line]
    remarks: list[str]


def processor() -> str:
    """The processor's name as the kernel gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    """The commit of the working tree, with a plus sign when there are changes; empty outside a repository."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=_RESULTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def load_average() -> float:
    return os.getloadavg()[0]


def write(report: Report) -> Path:
    """Write the report as JSON under `benchmarks/results/`; the file."""
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"{report.began.replace(':', '').replace('+0000', '')}-{report.plan}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return file


def table(report: Report) -> str:
    """The report as Markdown, so that it can stand in the documentation as it is."""
    systems = _systems(report.lines)
    others = [system for system in systems if system not in (YARDSTICK, "direct")]
    head = ["measure", *systems, *(f"{system} / {YARDSTICK}" for system in others), "aim / at least", "verdict"]
    rows = [_row(line, systems, others) for line in report.lines]
    used = [
        position
        for position, name in enumerate(head)
        if position == 0 or any(row[position] for row in rows) or not name
    ]
    rows = [head, *rows]
    rows = [[row[position] for position in used] for row in rows]
    widths = [max(len(row[position]) for row in rows) for position in range(len(used))]
    printed = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    printed.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([*printed, "", *_notes(report)])


def missed(report: Report) -> list[str]:
    """The titles of the bars that were not reached."""
    return [line.title for line in report.lines if line.verdict is Verdict.MISSED]


def _systems(lines: list[Line]) -> list[str]:
    found = {system: None for line in lines for system in line.figures}
    return sorted(found, key=lambda system: (system != YARDSTICK, system == "direct", list(found).index(system)))


def _row(line: Line, systems: list[str], others: list[str]) -> list[str]:
    title = f"{line.title} ({line.unit})" if line.unit else line.title
    # Where no ratio shows the spread of the rounds, the figures do.
    figures = [_figure(line.figures.get(system), has_spread=not line.ratios) for system in systems]
    ratios = [_spread(line.ratios.get(system)) for system in others]
    return [title, *figures, *ratios, _bar(line.bar), line.verdict.value if line.verdict else ""]


def _figure(figure: Spread | None, *, has_spread: bool) -> str:
    if figure is None:
        return ""
    if has_spread and figure.greatest > figure.least:
        return f"{_number(figure.median)} ({_number(figure.least)}-{_number(figure.greatest)})"
    return _number(figure.median)


def _spread(ratio: Spread | None) -> str:
    if ratio is None:
        return ""
    if ratio.rounds == 1:
        return _number(ratio.median)
    return f"{_number(ratio.median)} ({_number(ratio.least)}-{_number(ratio.greatest)})"


def _bar(bar: Bar | None) -> str:
    if bar is None:
        return ""
    sign = "≥" if bar.is_floor else "≤"
    mark = " times" if bar.is_ratio else ""
    return f"{sign} {bar.aim:g} / {bar.at_least:g}{mark}"


def _number(figure: float) -> str:
    """About three significant digits, which is more than the noise leaves."""
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    if abs(figure) >= 10:
        return f"{figure:.1f}"
    return f"{figure:.2f}" if abs(figure) >= 0.1 or not figure else f"{figure:.2g}"


def _notes(report: Report) -> list[str]:
    python = report.gateway_python
    build = "optimised" if python.is_optimised else "NOT optimised"
    path = "compiled" if python.is_compiled else "NOT compiled"
    machine = report.machine
    cores = f"gateway on core {machine.cores.gateway}, load and upstream on core {machine.cores.load}"
    return [
        f"- {report.plan} run of {report.began}, {report.seconds:.0f} s, commit {report.commit or 'unknown'}",
        f"- {machine.processor}, Linux {machine.kernel}; {cores}",
        f"- load average {machine.load_before:.2f} before, {machine.load_after:.2f} after",
        f"- gateway's Python {python.version}, {build} ({python.reason}; test loop {python.loop_ms} ms)",
        f"- headworks' hot path is {path}",
        f"- {', '.join(f'{name} {version}' for name, version in report.versions.items())}",
        "- figures are medians of rounds; ratios are medians of rounds paired with nginx (least-greatest)",
        *(f"- {remark}" for remark in report.remarks),
    ]
