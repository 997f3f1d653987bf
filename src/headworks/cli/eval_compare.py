"""`headworks eval compare`: two runs, or two arms of one, or two arms that are run for it."""

import argparse
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from headworks.cli.eval_paired import Compared, compare_sides, no_comparison, print_compared
from headworks.cli.eval_preparing import ArmSource
from headworks.cli.eval_scoring import Scoring, check_judge, eval_folder
from headworks.cli.eval_session import RunTerms, run_arms
from headworks.cli.lines import json_line, no_golden_set, note
from headworks.cli.parsing import UsageError
from headworks.cli.tables import plain
from headworks.cli.workloads import find_workload
from headworks.config import Project, load_workloads
from headworks.errors import CommandError
from headworks.evals.gate import EXIT_CODES
from headworks.evals.pairing import Side
from headworks.evals.preferring import Preferences, prefer
from headworks.evals.running import End
from headworks.evals.runs import RunFolder, find_run, read_manifest, scores_file

_USAGE = (
    "say what to compare: RUN RUN, or RUN with two arms, or RUN:ARM RUN:ARM, or WORKLOAD with --arm twice, such as "
    "--arm prompt=1.0.0 --arm prompt=folder or --arm mini --arm nano"
)


def run_compare(project: Project, options: argparse.Namespace) -> int:
    """Do it; returns the exit code, as `--changed` does."""
    first, second = options.run_id, options.other
    if options.prefer and not options.arm:
        raise CommandError("--prefer asks a judge about answers of a run that is made for it: WORKLOAD --arm A --arm B")
    if options.arm:
        found = _arms(project, first, options)
    elif not first:
        raise UsageError(_USAGE)
    elif not second and any(one.name == first for one in load_workloads(project)):
        raise UsageError(f"which arms of `{plain(first)}`? {_USAGE}")
    else:
        found = _runs(project, first, second, margin=options.margin)
    if options.json:
        print(json_line({**found.as_json(), "exit_code": EXIT_CODES[found.judgement.word]}))
    else:
        print_compared(found)
    return EXIT_CODES[found.judgement.word]


def _arms(project: Project, name: str, options: argparse.Namespace) -> Compared:
    """Two arms that are run now; what was answered before comes from the answers that are kept."""
    if len(options.arm) != 2 or options.other:
        raise UsageError(_USAGE)
    workload = find_workload(project, name)
    if workload.files.golden is None:
        raise no_golden_set(workload.name)

    def conclude(folder: RunFolder, end: End) -> Compared:
        if end != "complete":
            run = folder.manifest.run
            reason = f"the run was {end}; go on with: headworks eval {workload.name} --resume {run}"
            if end == "stopped":
                note(reason, "eval")
                raise KeyboardInterrupt
            return no_comparison(workload.name, "too thin", reason, run=run)
        found = compare_sides(Side(folder, 0), Side(folder, 1), margin=options.margin)
        return msgspec.structs.replace(found, preferences=preferences)

    if options.prefer:
        check_judge(workload)
    preferences: Preferences | None = None

    async def also(folder: RunFolder, scoring: Scoring) -> None:
        nonlocal preferences
        judge, timeout_s = scoring.judge(), scoring.settings.timeout_s
        sides = Side(folder, 0), Side(folder, 1)
        preferences = await prefer(judge, *sides, concurrency=options.concurrency, timeout_s=timeout_s)

    sources = [ArmSource(workload, spec) for spec in options.arm]
    terms = RunTerms.of(options)
    return run_arms(project, workload, sources, terms, conclude, also=also if options.prefer else None)


def _runs(project: Project, first: str, second: str, *, margin: float | None) -> Compared:
    folder = eval_folder(project.storage)
    paths = [find_run(folder, word.partition(":")[0]) for word in (first, second or first)]
    scores = _common_scores(*paths)
    with ExitStack() as stack:
        opened = {
            path: stack.enter_context(closing(RunFolder.open(path, scorer_hash=scores)))
            for path in dict.fromkeys(paths)
        }
        old, new = (
            _side(opened[path], word.partition(":")[2], is_alone=not second, is_second=number == 1)
            for number, (path, word) in enumerate(zip(paths, (first, second or first), strict=True))
        )
        if old.folder.manifest.workload != new.folder.manifest.workload:
            names = f"{old.folder.manifest.workload} and {new.folder.manifest.workload}"
            raise CommandError(f"these are runs of two workloads: {plain(names)}")
        return compare_sides(old, new, margin=margin)


def _common_scores(old: Path, new: Path) -> str:
    """The scorer that has scored both runs: the newer run's, else the last with which both were scored again; "" where
    there is none."""
    hashes = [read_manifest(path).scorer_hash for path in (new, old)]
    for digest in hashes:
        if all((path / scores_file(digest)).exists() for path in (old, new)):
            return digest
    common = [path for path in new.glob("scores-*.jsonl") if (old / path.name).exists()]
    latest = max(common, key=lambda path: path.stat().st_mtime, default=None)
    return "" if latest is None else latest.stem.removeprefix("scores-")


def _side(folder: RunFolder, arm: str, *, is_alone: bool, is_second: bool) -> Side:
    manifest = folder.manifest
    names = [one.name for one in manifest.arms]
    listed = plain(", ".join(names))
    if arm:
        if arm not in names:
            raise CommandError(f"the run {manifest.run} has no arm `{plain(arm[:40])}`; it has: {listed}")
        return Side(folder, names.index(arm))
    if is_alone:
        if len(names) != 2:
            raise CommandError(f"the run {manifest.run} has {len(names)} arms ({listed}): say two as RUN:ARM RUN:ARM")
        return Side(folder, int(is_second))
    if len(names) != 1:
        raise CommandError(f"the run {manifest.run} has {len(names)} arms ({listed}): say which one as RUN:ARM")
    return Side(folder, 0)
