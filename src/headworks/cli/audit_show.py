"""How `headworks audit` shows entries and verdicts."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headworks.cli.lines import json_line, note
from headworks.cli.tables import GREEN, GREY, RED, YELLOW, Cell, Table, has_colours, plain, terminal_width

if TYPE_CHECKING:
    from headworks.audit.entries import AuditEntry
    from headworks.audit.verifying import Verdict

_COLOURS = {"answered": GREEN, "done": GREEN, "refused": YELLOW, "failed": RED, "lost": RED}


_ONE = {"entries": "entry", "segments": "segment", "checkpoints": "checkpoint"}


def print_verdict(verdict: "Verdict", options: argparse.Namespace, *, log: str = "") -> int:
    """Say what `verify` came to; returns the exit code. `log` names which one, where several are looked at."""
    if options.json:
        shown: dict[str, object] = {
            "is_good": verdict.is_good,
            "entries": verdict.entries,
            "segments": verdict.segments,
            "checkpoints": verdict.checkpoints,
            "anchors": verdict.anchors,
            "findings": [
                {"file": finding.file, "line": finding.line, "message": finding.message} for finding in verdict.findings
            ],
        }
        print(json_line(({"log": log} if log else {}) | shown))
        return 0 if verdict.is_good else 1
    for finding in verdict.findings:
        print(plain(str(finding)))
    counts = {"entries": verdict.entries, "segments": verdict.segments, "checkpoints": verdict.checkpoints}
    entries, segments, checkpoints = (
        f"{count:,} {_ONE[name] if count == 1 else name}" for name, count in counts.items()
    )
    what = f"{entries} in {segments}, {checkpoints}"
    if verdict.findings:
        print(f"The log is not as it was written: {len(verdict.findings)} findings ({what}).")
        return 1
    print(f"The log is as it was written: {what}.")
    if not verdict.anchors:
        note("no anchors were looked at: who has the keys and the ledger could have cut off the end", "audit")
    else:
        print(f"{verdict.anchors:,} anchored checkpoints are in it.")
    return 0


def print_entries(entries: "Sequence[AuditEntry]", options: argparse.Namespace) -> None:
    """A table of entries, or JSON lines."""
    from headworks.audit.exporting import as_json

    if options.json:
        for entry in entries:
            print(as_json(entry).decode())
        return
    if not entries:
        note("nothing is found", "audit")
        return
    head = ["#", "TIME", "WHAT", "OUTCOME", "WHO", "FROM", "TARGET", "WORKLOAD", "ID"]
    rows = [_row(entry) for entry in entries]
    if any(entry.log for entry in entries):
        head.append("LOG")
        for row, entry in zip(rows, entries, strict=True):
            row.append(Cell(entry.log))
    flexible, spare = frozenset({4, 5, 6, 7}), (7, 5)
    table = Table(tuple(head), coloured=has_colours(), flexible=flexible, width=terminal_width(), spare=spare)
    print("\n".join(table.lines(rows)))


def _row(entry: "AuditEntry") -> list[Cell]:
    body = entry.body
    at = _at(entry)[:19].replace("T", " ")
    sealed = Cell("(erased)", GREY)
    return [
        Cell(str(entry.number)),
        Cell(at),
        Cell(entry.what),
        Cell(entry.outcome, _COLOURS.get(entry.outcome, 0)),
        sealed if body is None else Cell(body.who),
        sealed if body is None else Cell(body.source),
        sealed if body is None else Cell(body.target),
        sealed if body is None else Cell(body.workload),
        Cell(entry.entry_id),
    ]


def as_lines(entry: "AuditEntry", *, is_json: bool) -> list[str]:
    """One entry, field by field."""
    import msgspec

    from headworks.audit.exporting import as_json

    data = as_json(entry)
    if is_json:
        return [data.decode()]
    shown = msgspec.json.decode(data, type=dict[str, object])
    lines = []
    for name, value in shown.items():
        if isinstance(value, dict):
            lines += [f"  {plain(str(key)):<16} {plain(str(one))}" for key, one in value.items()]
        else:
            lines.append(f"{name:<18} {plain(str(value))}")
    return [*lines, ""]


def _at(entry: "AuditEntry") -> str:
    from headworks.cli.moments import iso

    return iso(entry.at_us / 1e6) or ""
