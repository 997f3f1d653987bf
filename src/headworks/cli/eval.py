"""Run a workload's golden set on one or many arms, score the answers, and say what each costs.

  headworks eval WORKLOAD [--arm ARM ...]   run it; short for `headworks eval run WORKLOAD`
  headworks eval --changed [WORKLOAD]       run what a change touches, old against new, and say whether it is worse
  headworks eval compare RUN [RUN]          two runs, or the two arms of one, case by case; RUN:ARM names an arm
  headworks eval compare WORKLOAD --arm A --arm B
                                            two models or two versions of the prompt: B against A; --outcome NAME
                                            goes by what was reported of their live calls, and asks no model; these
                                            may also be of two times: --arm until=MOMENT --arm since=MOMENT
  headworks eval show RUN                   look at a run again; --rescore with today's scorers, without any call
  headworks eval list [WORKLOAD]            the runs so far

An arm is a model (`mini`, `openai/gpt-6-luna`), or KEY=VALUE pairs: model, prompt (`folder`, `active`, a published
version), temperature, max_tokens, reasoning_effort, verbosity, name. Without --arm: the rung in use, with the folder's
prompt. How answers are scored stands in evals.yaml beside the contract; without it, what fits the cases' `expected`.

Answers are kept: what was answered once is not asked again, by this run or by another, as long as the same bytes would
be sent. Ctrl-C finishes what is under way and leaves a run that --resume goes on with; so does a crash. Exit code 1:
the run is not complete, or too many answers are invalid.

--changed holds each workload against the commit that --base names; without --base against headworks.lock, and against
HEAD where the lock does not know a workload. Exit codes of --changed and compare: 0 not worse, shown within --margin;
1 worse, shown, or a case that must pass does not; 3 the evidence is too thin to say either, which with --release is 1
as well: what goes out must be shown to be no worse.
"""

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.call_filters import common_arguments
from headworks.cli.lines import json_line, no_golden_set, note
from headworks.cli.moments import iso
from headworks.cli.parsing import Parser, UsageError
from headworks.cli.tables import GREY, Cell, Table, has_colours, plain
from headworks.errors import CommandError

if TYPE_CHECKING:
    from headworks.cli.eval_arms import ArmSpec
    from headworks.config import Project, Workload
    from headworks.evals.running import End
    from headworks.evals.runs import RunFolder


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    _run_arguments(_action(commands, "run", "Run a golden set, or what a change touches (the default action)"))
    compare_arguments(_action(commands, "compare", "Compare two runs, arms, models or versions, case by case"))
    show = _action(commands, "show", "Look at a run again")
    show.add_argument(
        "run_id", nargs="?", default="", metavar="RUN", help="its id, its beginning, or `last`: the default"
    )
    show.add_argument("--case", metavar="ID", help="one case with its input and every arm's answer")
    show.add_argument("--rescore", action="store_true", help="with today's scorers; no model is called")
    show.add_argument("--concurrency", type=positive, default=8, metavar="N", help="answers scored at once. Default: 8")
    _report_arguments(show)
    listing = _action(commands, "list", "List the runs so far")
    listing.add_argument("workload", nargs="?", default="", metavar="WORKLOAD", help="of this workload; all without it")
    if isinstance(parser, Parser):
        parser.default_action = "run"


def _action(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary}.")
    common_arguments(parser, has_defaults=True)
    return parser


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", default="", metavar="WORKLOAD", help="the workload; with --changed all of them without it"
    )
    parser.add_argument("--changed", action="store_true", help="run what a change touches; say whether it is worse")
    parser.add_argument("--release", action="store_true", help="of --changed: too thin is not enough either")
    parser.add_argument("--base", metavar="REF", help="of --changed: the commit to hold it against")
    _margin_argument(parser)
    _arm_argument(parser)
    _call_arguments(parser)
    parser.add_argument("--resume", metavar="RUN", help="go on with this run (`last` for the latest)")
    parser.add_argument(
        "--split",
        choices=("deciding", "train", "dev", "test", "all"),
        default="deciding",
        help="the part of the golden set to ask. Default: what decides (`test` where a case has it, else all but "
        "`train`); `dev` is for work on the prompt",
    )
    _report_arguments(parser)
    parser.set_defaults(outcome="")


def compare_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of a comparison."""
    parser.add_argument(
        "run_id",
        nargs="?",
        default="",
        metavar="WORKLOAD | RUN",
        help="the older run: its id, its beginning, or `last`; RUN:ARM is an arm of it. With --arm, a workload",
    )
    parser.add_argument("other", nargs="?", default="", metavar="RUN", help="the newer run")
    _margin_argument(parser)
    _arm_argument(parser)
    parser.add_argument("--outcome", default="", metavar="NAME", help="compare by what became of live calls")
    parser.add_argument(
        "--prefer", action="store_true", help="have the judge of evals.yaml say which answers are better"
    )
    _call_arguments(parser)
    parser.set_defaults(split="deciding")


def _margin_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--margin",
        type=share,
        metavar="SHARE",
        help="by less than this a change may be worse. Default: 0.05 with 200 cases or more, else 0.1",
    )


def _arm_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--arm",
        action="append",
        default=[],
        type=_arm,
        metavar="ARM",
        help="a model, or KEY=VALUE pairs (see `headworks eval --help`); can be repeated",
    )


def _call_arguments(parser: argparse.ArgumentParser) -> None:
    """How the golden set is asked."""
    parser.add_argument("--repeats", type=positive, default=1, metavar="N", help="ask each case so often")
    parser.add_argument("--seed", type=positive, default=1, metavar="N", help="of the order of cases. Default: 1")
    parser.add_argument("--concurrency", type=positive, default=8, metavar="N", help="calls at once. Default: 8")
    parser.add_argument("--cap", type=usd, metavar="USD", help="what the run may cost; it then stops, to be resumed")
    parser.add_argument("--fresh", action="store_true", help="ask again what earlier runs have answers to")


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.md, .html, .json and junit.xml there")
    parser.add_argument("--cases", action="store_true", help="show failing cases with inputs and answers")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.config import load

    if options.action == "compare":
        return run_comparison(options)
    if options.action == "run":
        _check_flags(options)
    project = load(options.config)
    match options.action:
        case "list":
            return _list(project, options)
        case "show":
            return _show(project, options)
        case _ if options.changed:
            from headworks.cli.eval_changed import run_changed

            return run_changed(project, options)
        case _:
            return _eval(project, options)


def run_comparison(options: argparse.Namespace) -> int:
    """Compare what `compare_arguments` declares; returns the exit code."""
    from headworks.config import load

    _check_live(options)
    project = load(options.config)
    if options.outcome:
        from headworks.cli.eval_live import run_live

        return run_live(project, options)
    from headworks.cli.eval_compare import run_compare

    return run_compare(project, options)


def _check_flags(options: argparse.Namespace) -> None:
    """Refuse flags of a run that would mean nothing.

    Raises:
        UsageError: one of them does.
    """
    if options.changed and (options.arm or options.resume or options.repeats > 1):
        raise UsageError("--changed takes at most a workload; its arms are the old and the new, asked once")
    if options.base is not None and not options.changed:
        raise UsageError("--base belongs to --changed: headworks eval --changed --base REF")
    if options.release and not options.changed:
        raise UsageError("--release belongs to --changed: headworks eval --changed --release")
    if options.margin is not None and not options.changed:
        raise UsageError("--margin belongs to --changed and to `eval compare`: a run by itself compares nothing")
    if options.split != "deciding" and options.changed:
        raise UsageError("--split belongs to a run of a workload: what is compared is what decides")
    if options.resume is not None and options.split != "deciding":
        raise UsageError("--resume goes on with the cases that the run has: leave --split out")
    _check_live(options)
    if not options.what and not options.changed:
        raise UsageError("say a workload, or --changed; `headworks eval --help` lists what else there is")


def _check_live(options: argparse.Namespace) -> None:
    """Refuse times where no live calls are compared.

    Raises:
        UsageError: an arm has some.
    """
    if not options.outcome and any(arm.since_us or arm.until_us for arm in options.arm):
        raise UsageError("`since` and `until` are of live calls: `headworks compare WORKLOAD --outcome NAME`")


# -- run --------------------------------------------------------------------------------------------------------------


def _eval(project: "Project", options: argparse.Namespace) -> int:
    from headworks.cli.eval_preparing import ArmSource
    from headworks.cli.eval_scoring import eval_folder
    from headworks.cli.eval_session import RunTerms, run_arms
    from headworks.cli.workloads import find_workload

    workload = find_workload(project, options.what)
    if workload.files.golden is None:
        raise no_golden_set(workload.name)
    specs, resumed = _what_to_run(eval_folder(project.storage), workload, options)
    sources = [ArmSource(workload, spec) for spec in specs]
    return run_arms(
        project,
        workload,
        sources,
        RunTerms.of(options),
        lambda folder, end: _finish(folder, end, options),
        resumed=resumed,
    )


def _what_to_run(
    folder: Path, workload: "Workload", options: argparse.Namespace
) -> "tuple[Sequence[ArmSpec], Path | None]":
    """The arms, and the run to go on with; None for a new one."""
    from headworks.cli.eval_arms import ArmSpec, arm_again
    from headworks.evals.runs import find_run, read_manifest

    if options.resume is None:
        return options.arm or [ArmSpec()], None
    if options.arm:
        raise UsageError("--resume goes on with the arms that the run has: leave --arm out")
    path = find_run(folder, options.resume)
    manifest = read_manifest(path)
    if manifest.workload != workload.name:
        raise UsageError(f"the run {manifest.run} is of the workload {plain(manifest.workload)}")
    if manifest.climb is not None:
        raise UsageError(
            f"the run {manifest.run} is of `select`: headworks select {workload.name} --resume {manifest.run}"
        )
    return [arm_again(arm.parameters) for arm in manifest.arms], path


def _finish(folder: "RunFolder", end: "End", options: argparse.Namespace) -> int:
    from headworks.cli.eval_report import print_report, write_files
    from headworks.evals.plain_intervals import PlainIntervals
    from headworks.evals.rendering import json_report
    from headworks.evals.reporting import make_report

    report = make_report(folder, PlainIntervals())
    if options.report is not None:
        write_files(report, folder, options.report)
    if options.json:
        sys.stdout.write(json_report(report).decode())
    else:
        print_report(report, shows_cases=options.cases)
    manifest = folder.manifest
    if end == "complete":
        return 1 if any(arm.is_void for arm in report.arms) else 0
    reason = "it reached its cap" if end == "capped" else "it was stopped"
    note(f"{reason}; go on with: headworks eval {manifest.workload} --resume {manifest.run}", "eval")
    return 1 if end == "capped" else 130


# -- look back --------------------------------------------------------------------------------------------------------


def _show(project: "Project", options: argparse.Namespace) -> int:
    from headworks.cli.eval_scoring import eval_folder
    from headworks.evals.runs import RunFolder, find_run

    path = find_run(eval_folder(project.storage), options.run_id or "last")
    if options.rescore:
        return _rescore(project, path, options)
    with RunFolder.open(path) as folder:
        if options.case is not None:
            return _show_case(folder, options)
        return _finish(folder, "complete", options)


def _show_case(folder: "RunFolder", options: argparse.Namespace) -> int:
    from headworks.cli.eval_report import print_case
    from headworks.evals.reporting import failing_case

    for index in folder.order:
        if folder.cases[index].id == options.case:
            found = failing_case(folder, index)
            if options.json:
                print(json_line({name: getattr(found, name) for name in found.__struct_fields__}))
            else:
                print_case(found)
            return 0
    raise CommandError(f"the run {folder.manifest.run} has no case `{plain(options.case[:80])}`")


def _rescore(project: "Project", path: Path, options: argparse.Namespace) -> int:
    from headworks.cli.eval_session import score_again
    from headworks.cli.workloads import find_workload
    from headworks.evals.runs import RunFolder, read_manifest

    manifest = read_manifest(path)
    digest = score_again(project, find_workload(project, manifest.workload), path, concurrency=options.concurrency)
    if digest != manifest.scorer_hash:
        note("scored as evals.yaml says today, which is not as when the run was made", "eval")
    with RunFolder.open(path, scorer_hash=digest) as folder:
        return _finish(folder, "complete", options)


def _list(project: "Project", options: argparse.Namespace) -> int:
    from headworks.cli.eval_scoring import eval_folder
    from headworks.errors import StorageError
    from headworks.evals.runs import list_runs, read_manifest

    rows = []
    for path in list_runs(eval_folder(project.storage)):
        try:
            manifest = read_manifest(path)
        except StorageError as error:
            note(str(error), "eval")
            continue
        if options.workload and manifest.workload != options.workload:
            continue
        names = [arm.name for arm in manifest.arms]
        created = iso(manifest.created_us / 1e6) or "-"
        if options.json:
            shown = {"run": manifest.run, "at": created, "workload": manifest.workload, "arms": names}
            print(json_line({**shown, "cases": manifest.cases, "repeats": manifest.repeats}))
        figures = [Cell(f"{manifest.cases:,}"), Cell(str(manifest.repeats)), Cell(", ".join(names))]
        rows.append([Cell(manifest.run), Cell(created, GREY), Cell(manifest.workload), *figures])
    if options.json:
        return 0
    if not rows:
        note("no eval has been run yet; `headworks eval WORKLOAD` runs one", "eval")
        return 0
    head = ("RUN", "TIME", "WORKLOAD", "CASES", "REPEATS", "ARMS")
    print("\n".join(Table(head, right=frozenset({3, 4}), coloured=has_colours()).lines(rows)))
    return 0


# -- flags ------------------------------------------------------------------------------------------------------------


def _arm(text: str) -> "ArmSpec":
    from headworks.cli.eval_arms import arm_spec

    return arm_spec(text)


def positive(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text[:9]) <= 1_000_000 or len(text) > 7:
        raise argparse.ArgumentTypeError("expected a whole number from 1 on")
    return int(text)


def share(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.0 < found < 0.5:
        raise argparse.ArgumentTypeError("expected a share above 0 and below 0.5, such as 0.05")
    return found


def usd(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(0)
    if not amount.is_finite() or amount <= 0 or amount > 1_000_000:
        raise argparse.ArgumentTypeError("expected dollars, such as 2.50")
    return amount
