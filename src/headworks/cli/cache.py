"""Show and clear the answers that are given again, and measure whether answers to what is alike may be.

A workload whose contract has `cache` gives the answers of earlier calls to calls that are the same. This is about the
file that workers of one machine share (`cache: {store: sqlite}`): how many answers lie in it, and how to remove them,
which takes effect at once. Answers in the memory of workers go with a reload; those in Valkey go by themselves when
their time is over. What was saved is told by `headworks calls savings`.

`measure` runs the golden set of a workload with `cache: {semantic: ...}` through the local embedding model: cases that
are alike enough for one's answer to be given to the other, and that expect something else, are false hits. Where their
share is shown to be below `most_false`, the evidence goes into headworks.lock, without which such a cache is not
served; exit code 1 where it is not shown. No model of a provider is called.
"""

import argparse
from pathlib import Path

from headworks.cli.lines import json_line, note
from headworks.cli.moments import day, iso
from headworks.cli.state import load_project, tell_audit
from headworks.cli.tables import Cell, Table, has_colours


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    for name, summary in (
        ("stats", "Show how many answers lie in the file, by workload"),
        ("clear", "Remove the answers of a workload, or all of them"),
    ):
        command = commands.add_parser(name, help=summary, description=f"{summary}.")
        command.add_argument(
            "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
        )
        command.add_argument("--json", action="store_true", help="print JSON, one object a line")
        if name == "clear":
            command.add_argument("--workload", default="", metavar="NAME", help="of this workload; all without it")

    measure = commands.add_parser(
        "measure",
        help="Measure how often a semantic cache would give a wrong answer",
        description="Measure how often a semantic cache would give a wrong answer, on the workload's golden set.",
    )
    measure.add_argument("workload", metavar="WORKLOAD", help="whose contract has `cache: {semantic: ...}`")
    measure.add_argument("--dry-run", action="store_true", help="measure, and leave headworks.lock as it is")
    measure.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )
    measure.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if options.action == "measure":
        from headworks.cli.cache_measure import run_measure

        return run_measure(options)
    from headworks.response_cache import CACHE_FILE, clear_file, stats_of_file

    project = load_project(options.config, "cache")
    file = project.storage / CACHE_FILE
    if options.action == "clear":
        removed = clear_file(file, options.workload)
        tell_audit(project, "cache", "cache.cleared", options.workload, {"answers": removed})
        print(json_line({"removed": removed}) if options.json else f"removed {removed:,} answers")
        return 0
    found = stats_of_file(file)
    if options.json:
        for one in found:
            line = {"workload": one.workload, "answers": one.entries, "bytes": one.sealed_bytes}
            print(json_line(line | {"oldest": iso(one.oldest_us / 1e6)}))
    elif not found:
        note(
            "no answer lies in the file: a workload with `cache: {ttl_s: N, store: sqlite}` keeps its answers there",
            "cache",
        )
    else:
        table = Table(("WORKLOAD", "ANSWERS", "BYTES", "OLDEST"), right=frozenset((1, 2)), coloured=has_colours())
        rows = [
            [
                Cell(one.workload),
                Cell(f"{one.entries:,}"),
                Cell(f"{one.sealed_bytes:,}"),
                Cell(day(one.oldest_us / 1e6)),
            ]
            for one in found
        ]
        print("\n".join(table.lines(rows)))
    return 0
