"""`make faults`: plays every scenario in its long form, and writes what came of it into the documentation.

Arguments: names of scenarios, if only some are to be played; then only their lines are written anew.
"""

import datetime as dt
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e")]

import faults_budgets  # noqa: E402  (their folder is on the path from here on)
import faults_clock  # noqa: E402
import faults_network  # noqa: E402
import faults_providers  # noqa: E402
import faults_sharing  # noqa: E402
import faults_store  # noqa: E402
from faults_providers import Bar, broken_frames, cut_streams  # noqa: E402
from faults_result import LONG, LONG_SHARED, Result, Size  # noqa: E402
from faults_stage import Stage  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "explanation" / "reliability.md"
BEGIN, END = "<!-- results of make faults: begin -->", "<!-- results of make faults: end -->"
HEAD = (
    "fault",
    "calls",
    "answered",
    "by",
    "added p50 / p99 (ms)",
    "attempts a call",
    "at one upstream",
    "over the limit",
    "remarks",
)

PLAYS: tuple[tuple[Bar, Size], ...] = (
    *((bar, LONG) for bar in faults_providers.BARS),
    (Bar(cut_streams, answered=0.0, unseen_s=10.0), LONG),
    (Bar(broken_frames, answered=0.95, unseen_s=10.0), LONG),
    *((bar, LONG) for bar in faults_network.BARS),
    *((bar, LONG_SHARED) for bar in faults_sharing.BARS),
    *((bar, LONG) for bar in faults_store.BARS),
    *((bar, LONG_SHARED) for bar in faults_budgets.BARS),
    *((bar, LONG_SHARED) for bar in faults_clock.SHARED_BARS),
    *((bar, LONG) for bar in faults_clock.BARS),
)
"""Every scenario, in the order of the table."""

CLOCK_BARS = (*faults_clock.SHARED_BARS, *faults_clock.BARS)


def row(result: Result) -> list[str]:
    """A scenario's line."""
    load = result.load
    p50, p99 = result.added_ms(0.5), result.added_ms(0.99)
    whom = ", ".join(f"{name} {count}" for name, count in load.by_target().items())
    whys = ", ".join(f"{count} of {why.removeprefix('0 ')}" for why, count in load.by_failure().items())
    lost = f"{result.ledger.lost} recorded as lost" if result.ledger.lost else ""
    return [
        result.name,
        str(len(load.calls)),
        f"{100 * load.answered / len(load.calls):.1f} %",
        whom,
        "" if p50 is None or p99 is None else f"{p50:.0f} / {p99:.0f}",
        f"{result.attempts_a_call:.2f}",
        f"{result.most_at_one:.2f}",
        "" if result.excess is None else str(result.excess),
        "; ".join(part for part in (result.remark, f"not answered: {whys}" if whys else "", lost) if part),
    ]


def table(rows: list[list[str]]) -> str:
    """In Markdown."""
    lines = [list(HEAD), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    printed = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
    printed.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(printed)


def commit() -> str:
    """The commit of the working tree, with a plus sign when there are changes."""
    command = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()


def write(rows: list[list[str]], stamp: str, *, is_whole: bool) -> None:
    """Put the lines where the page has the last ones."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    if is_whole:
        notes = [f"`make faults`, {stamp}."]
    else:
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in old.splitlines() if line.startswith("| ")]
        new = {line[0]: line for line in rows}
        rows = [new.pop(line[0], line) for line in lines[1:]] + list(new.values())
        again = " ".join(sys.argv[1:])
        notes = [line for line in old.splitlines() if line and not line.startswith("|")]
        notes.append(f"Lines played again: `make faults ARGS='{again}'`, {stamp}.")
    text = "\n".join(notes) + "\n\n" + table(rows)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main(names: list[str]) -> int:
    """Play, and tell what did not hold; the exit code says whether anything did not."""
    unknown = sorted(set(names) - {bar.name() for bar, _ in PLAYS})
    if unknown:
        there = ", ".join(bar.name() for bar, _ in PLAYS)
        print(f"there is no line `{unknown[0]}`; there are: {there}", file=sys.stderr)
        return 2
    rows, broken, stamp = [], [], f"{dt.datetime.now(dt.UTC).date()}, commit {commit()}"
    for bar, size in PLAYS:
        if names and bar.name() not in names:
            continue
        if bar in CLOCK_BARS and not faults_clock.IS_THERE:
            broken.append(f"{bar.name()}: {faults_clock.NOT_HERE}")
            continue
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
            result = bar.play(stage, size)
        failed = bar.failings(result, size)
        rows.append(row(result))
        broken += [f"{result.name}: {why}" for why in failed]
        print(f"{time.monotonic() - began_s:5.1f} s  {result.summary()}", *failed, sep="\n         ", flush=True)
    write(rows, stamp, is_whole=not names)
    print(*broken, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
