"""Find out what can take the place of a model that is shut down, while it still answers.

  headworks migrate --capture          keep what the models that go answer to their golden sets: afterwards nobody can
  headworks migrate [WORKLOAD ...]     run successors, hold them against what was captured, say what breaks and costs
  headworks migrate WORKLOAD --write   and lock the workload to the cheapest that is shown to be no worse

Without WORKLOAD: every workload whose model in use is shut down within 180 days, or is already. One that is named is
looked at in any case. Tried are the model that the provider recommends and the other rungs of the ladder, unless
--to names others. Incumbent and successors are asked each case so often as --repeats says, with the prompt that calls
are made with; a case counts as right where most of its answers are. A successor passes where it is shown, by an exact
test, to be worse than the incumbent by less than the margin: the error of 5 % is divided among those that are tried.

Answers are kept: Ctrl-C, a crash or a cap costs nothing twice, and the same command goes on. Exit code 0: each workload
has a successor (--capture: is captured). 1: one has none, or nothing was captured while its model answered. 3: the
evidence is too thin to say, or the cap was reached.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.eval import positive, share, usd
from headworks.cli.parsing import UsageError

if TYPE_CHECKING:
    from headworks.cli.migrate_workload import Migrated
    from headworks.config import Project, Workload


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks migrate`."""
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="default: those whose model goes")
    parser.add_argument("--capture", action="store_true", help="only keep what the models that go answer")
    parser.add_argument("--to", action="append", default=[], metavar="MODEL", help="a successor; can be repeated")
    parser.add_argument("--from", dest="incumbent", metavar="MODEL", help="the model that goes, if not the one in use")
    parser.add_argument("--write", action="store_true", help="write the change to headworks.lock")
    parser.add_argument("--margin", type=share, metavar="SHARE", help="by less than this a successor may be worse")
    parser.add_argument("--repeats", type=positive, default=3, metavar="N", help="ask each case so often. Default: 3")
    parser.add_argument("--seed", type=positive, default=1, metavar="N", help="of the order of cases. Default: 1")
    parser.add_argument("--concurrency", type=positive, default=8, metavar="N", help="calls at once. Default: 8")
    parser.add_argument("--cap", type=usd, metavar="USD", help="what the runs of each workload may cost")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.cli.lines import json_line, note
    from headworks.cli.migrate_report import as_json, print_migrated
    from headworks.cli.migrate_workload import Migration
    from headworks.config import load

    if options.capture and (options.to or options.write):
        raise UsageError("--capture asks the models that go, and no successor: leave --to and --write out")
    project = load(options.config)
    found: list[Migrated] = []
    chosen, unguarded = _chosen(project, options.workloads)
    for name in unguarded:
        advice = "`headworks golden import` makes one of calls"
        note(f"{name}: its model goes, and it has no golden set to find a successor by; {advice}", "migrate")
    for workload in chosen:
        migrated = Migration(project, workload, options).result()
        found.append(migrated)
        if not options.json:
            if len(found) > 1:
                print()
            print_migrated(migrated, captures=options.capture)
    code = max((*(one.code for one in found), int(bool(unguarded))), key=(0, 3, 1).index)
    if options.json:
        print(json_line({"exit_code": code, "workloads": [as_json(one) for one in found]}))
    elif not found and not unguarded:
        print("No workload's model is shut down within 180 days; name a workload to look at it all the same.")
    return code


def _chosen(project: "Project", names: list[str]) -> "tuple[list[Workload], list[str]]":
    """The workloads that are named; without a name, those whose model in use goes, and the names of those among them
    that have no golden set."""
    import datetime as dt

    from headworks.catalogue import PriceArchive, retirement_of
    from headworks.cli.migrate_workload import model_in_use
    from headworks.cli.workloads import find_workload
    from headworks.config import load_workloads, model_of_rung, price_book

    if names:
        return [find_workload(project, name) for name in dict.fromkeys(names)], []
    book, today = price_book(project, PriceArchive(project.storage).current()), dt.datetime.now(dt.UTC).date()
    chosen = []
    for workload in load_workloads(project):
        target = model_of_rung(project.config, model_in_use(project, workload))
        model = None if target is None else book.for_target(target.provider, target.model).model
        if model is not None and retirement_of(model, today) is not None:
            chosen.append(workload)
    guarded = [workload for workload in chosen if workload.files.golden is not None]
    return guarded, [workload.name for workload in chosen if workload.files.golden is None]
