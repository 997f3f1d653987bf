"""`headworks eval --changed`: which workloads' evidence a change touches, and whether the change makes them worse."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from headworks.cli.eval_arms import ArmSpec
from headworks.cli.eval_base import Base, bases_of, newest_snapshot
from headworks.cli.eval_paired import Compared, compare_sides, no_comparison, print_compared
from headworks.cli.eval_preparing import ArmSource, EvalArms, prepare_sources
from headworks.cli.eval_report import write_files
from headworks.cli.eval_scoring import eval_folder
from headworks.cli.eval_session import RunTerms, run_arms
from headworks.cli.lines import json_line, note
from headworks.cli.prompt_release import folder_release, release_digest
from headworks.cli.tables import plain
from headworks.cli.workloads import find_workload
from headworks.config import LOCK_FILE, Project, Workload, load_workloads, read_lock
from headworks.errors import CommandError, ConfigError, HeadworksError, StorageError
from headworks.evals.gate import EXIT_CODES, Word
from headworks.evals.golden import CaseReader, GoldenFile, indexes_of, part_of
from headworks.evals.pairing import Side
from headworks.evals.plain_intervals import PlainIntervals
from headworks.evals.reporting import make_report
from headworks.evals.running import End
from headworks.evals.runs import RunFolder, list_runs, read_manifest
from headworks.evals.terms import most_invalid
from headworks.evals.verdict_log import Verdict, keep_verdict

_MOST_KEPT = 20
_GRAVITY: tuple[Word, ...] = ("not worse", "too thin", "worse")
_MOST_LOOKED_AT = 200
"""Earlier runs in which answers of an earlier snapshot are looked for."""


class Touched(msgspec.Struct, frozen=True, eq=False):
    """A workload whose evidence a change touches.

    Attributes:
        reasons: what has changed, for people.
        asks_alike: every request is the same as before.
        unfit: the cases that the prompt does not take any more, with why; `unfit_before` those that only the base's
            does not, of `cases` that decide.
    """

    workload: Workload
    base: Base
    reasons: tuple[str, ...]
    asks_alike: bool = False
    unfit: Mapping[str, str] = {}
    unfit_before: Mapping[str, str] = {}
    cases: int = 0

    @property
    def is_comparable(self) -> bool:
        """Whether the base can be asked nearly all of the cases."""
        return len(self.unfit_before) <= most_invalid(self.cases)


def run_changed(project: Project, options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    only = [find_workload(project, options.what)] if options.what else load_workloads(project)
    terms = RunTerms.of(options)
    found: list[Compared] = []
    untouched: list[str] = []
    with bases_of(project, options.base) as bases:
        for workload in only:
            touched = _look(project, workload, bases.base_of(workload))
            if touched is None:
                untouched.append(workload.name)
                continue
            if not options.json:
                print(f"{workload.name}: {plain(', '.join(touched.reasons))} against {plain(touched.base.label)}")
            compared = _Examination(project, touched, terms, options).result()
            _keep(project, touched, compared)
            found.append(compared)
            if not options.json:
                print_compared(compared)
                print()
    words: list[Word] = ["not worse", *(one.judgement.word for one in found)]
    word = max(words, key=_GRAVITY.index)
    code = 1 if options.release and word == "too thin" else EXIT_CODES[word]
    if options.json:
        shown = {"verdict": word, "exit_code": code, "untouched": untouched}
        print(json_line({**shown, "workloads": [one.as_json() for one in found]}))
    elif not found:
        looked_at = (
            f"{len(untouched):,} workload{'' if len(untouched) == 1 else 's'}" if untouched else "no workload yet"
        )
        print(f"Nothing that evidence rests on has changed ({looked_at}); nothing was run.")
    else:
        unchanged = f"; untouched: {', '.join(untouched)}" if untouched else ""
        print(f"{word}: {', '.join(f'{one.workload} {one.judgement.word}' for one in found)}{unchanged}")
    sys.stdout.flush()
    return code


# -- what is touched --------------------------------------------------------------------------------------------------


def _look(project: Project, workload: Workload, base: Base) -> Touched | None:
    """What has changed of a workload; None where no evidence rests on it."""
    if base.missing:
        return Touched(workload, base, base.changed or ("the model",)) if base.changed or base.source is None else None
    if base.source is None:
        return Touched(workload, base, ("is new",))
    with tempfile.TemporaryDirectory(prefix="headworks-eval-") as state:
        prepare_sources(project, workload.name, [_new(workload)], Path(state))  # what is wrong with it is told
        try:
            arms = prepare_sources(project, workload.name, [base.source, _new(workload)], Path(state))
        except (CommandError, ConfigError) as error:
            missing = f"the workload as it was cannot be asked any more: {_without(error, base.source.workload.folder)}"
            return Touched(workload, msgspec.structs.replace(base, missing=missing), (*base.changed, "the model"))
    reasons = list(_reasons(arms, base, workload))
    if base.snapshot:
        now = newest_snapshot(project, base.source.spec.model)
        reasons.append(f"the provider's snapshot: {base.snapshot} -> {now}")
    if not reasons:
        return None
    before, after, cases = _unfit(arms, workload)
    return Touched(
        workload,
        base,
        tuple(reasons),
        _asks_alike(arms, workload),
        unfit={case: why for case, why in after.items() if case not in before},
        unfit_before={case: why for case, why in before.items() if case not in after},
        cases=cases,
    )


def _without(error: HeadworksError, folder: Path) -> str:
    """What is said, without the folder that the commit was written out to for a moment."""
    return str(error).replace(f"{folder}/", "")


def _reasons(arms: EvalArms, base: Base, workload: Workload) -> Iterator[str]:
    old, new = arms.arms
    yield from base.changed
    if old.prompt_hash != new.prompt_hash and not any(name.endswith(".md") for name in base.changed):
        yield "the prompt"
    if old.model != new.model:
        yield f"the model: {old.model} -> {new.model}"
    elif arms.sent_beside["old"] != arms.sent_beside["new"] and not base.changed:
        yield "the contract"
    if base.bar is not None and base.bar != workload.contract.quality.bar:
        yield f"the bar: {base.bar:.0%} -> {workload.contract.quality.bar:.0%}"


def _asks_alike(arms: EvalArms, workload: Workload) -> bool:
    golden = workload.files.golden
    if golden is None:
        return False
    old, new = arms.arms
    return all(arms.request_hash(old, found.case) == arms.request_hash(new, found.case) for found in CaseReader(golden))


def _unfit(arms: EvalArms, workload: Workload) -> tuple[dict[str, str], dict[str, str], int]:
    """The cases that decide and that the old prompt does not take, and the new one; and how many decide."""
    golden = workload.files.golden
    if golden is None:
        return {}, {}, 0
    old, new = dict[str, str](), dict[str, str]()
    with GoldenFile(golden) as cases:
        asked = indexes_of(cases, part_of(cases, "deciding"))
        for case in (cases[index] for index in asked):
            for arm, found in zip(arms.arms, (old, new), strict=True):
                if why := arms.unfit(arm, case):
                    found[case.id] = why
    return old, new, len(asked)


def _new(workload: Workload) -> ArmSource:
    return ArmSource(workload, ArmSpec(name="new"))


# -- what it comes to -------------------------------------------------------------------------------------------------


class _Examination:
    """One touched workload, run and judged."""

    def __init__(self, project: Project, touched: Touched, terms: RunTerms, options: argparse.Namespace) -> None:
        self._project = project
        self._touched = touched
        self._terms = terms
        self._options = options

    def result(self) -> Compared:
        """Run what is to be run, and judge."""
        touched = self._touched
        workload, base = touched.workload, touched.base
        if workload.files.golden is None and base.source is None and not base.missing:
            return no_comparison(workload.name, "not worse", "it is new, and has no golden set: nothing guards it yet")
        if workload.files.golden is None:
            return no_comparison(workload.name, "too thin", "it has no golden set, so that nothing can be said")
        if base.missing:
            return no_comparison(workload.name, "too thin", base.missing)
        if touched.unfit:
            return self._refused()
        if base.source is None or not touched.is_comparable:
            return self._run([_new(workload)], self._alone)
        if touched.asks_alike and base.snapshot:
            return self._against_snapshot()
        if touched.asks_alike:
            return self._run([_new(workload)], self._alone)
        return self._run([base.source, _new(workload)], self._paired)

    def _run(
        self, sources: Sequence[ArmSource], conclude: Callable[[RunFolder], Compared], *, is_fresh: bool = False
    ) -> Compared:
        terms = msgspec.structs.replace(self._terms, is_fresh=True) if is_fresh else self._terms

        def concluded(folder: RunFolder, end: End) -> Compared:
            if self._options.report is not None:
                target = self._options.report / folder.manifest.workload
                write_files(make_report(folder, PlainIntervals()), folder, target)
            if end == "stopped":
                note("stopped before there was a verdict; what was answered is kept, and not paid for again", "eval")
                raise KeyboardInterrupt
            if end == "capped":
                reason = "the cap was reached before every case was asked; what was answered is kept"
                return no_comparison(self._touched.workload.name, "too thin", reason, run=folder.manifest.run)
            return conclude(folder)

        return run_arms(self._project, self._touched.workload, sources, terms, concluded, is_fit=True)

    def _paired(self, folder: RunFolder) -> Compared:
        return compare_sides(Side(folder, 0), Side(folder, 1), margin=self._options.margin)

    def _refused(self) -> Compared:
        """The prompt asks for other variables, and cases were left as they were: callers' requests will be refused."""
        touched = self._touched
        name, count = touched.workload.name, len(touched.unfit)
        reason = (
            f"{count:,} of {touched.cases:,} cases were taken before, and the prompt refuses them now. "
            f"{next(iter(touched.unfit.values()))} Nothing was asked; `headworks golden lint {name}` names each"
        )
        return msgspec.structs.replace(no_comparison(name, "worse", reason), broken=tuple(touched.unfit))

    def _alone(self, folder: RunFolder) -> Compared:
        """A workload without anything to be worse than: it is new, what it asks is what it asked before, or it asks for
        variables that its base did not have."""
        manifest = folder.manifest
        (arm,) = make_report(folder, PlainIntervals()).arms
        score = f"{arm.right:,} of {arm.right + arm.wrong:,} are right, {arm.invalid:,} invalid"
        word: Word = "not worse"
        if arm.must_pass_failed:
            word, reason = "worse", f"cases that must pass do not; {score}"
        elif arm.is_void:
            word, reason = "too thin", f"{arm.invalid:,} answers are invalid: nobody knows"
        elif not self._touched.is_comparable:
            before = self._touched.unfit_before
            reason = (
                f"{len(before):,} cases cannot be asked of the prompt as it was, so that there is nothing to compare "
                f"with. {next(iter(before.values()))} Now {score}, the bar is {manifest.bar:.0%}"
            )
            word = "worse" if arm.high is not None and arm.high < manifest.bar else "too thin"
        elif self._touched.base.source is not None:
            reason = f"every request is the same as before, so that nothing can have become worse; {score}"
        elif arm.high is not None and arm.high < manifest.bar:
            word, reason = "worse", f"it is new, and shown to be below its bar of {manifest.bar:.0%}; {score}"
        else:
            reason = f"it is new, so that there is nothing to compare with; {score}, the bar is {manifest.bar:.0%}"
        found = no_comparison(manifest.workload, word, reason, run=manifest.run)
        return msgspec.structs.replace(
            found, broken=arm.must_pass_failed, spent_pico_usd=folder.spent_pico_usd, golden_hash=manifest.golden_hash
        )

    def _against_snapshot(self) -> Compared:
        """The provider serves another snapshot for the same name: today's answers against those that were kept."""
        workload, snapshot = self._touched.workload, self._touched.base.snapshot

        def concluded(folder: RunFolder) -> Compared:
            with ExitStack() as stack:
                identity = folder.manifest.arms[0].identity
                earlier = [path for path in list_runs(eval_folder(self._project.storage)) if path != folder.path]
                for path in earlier[:_MOST_LOOKED_AT]:
                    side = _side_of(stack, path, identity, snapshot)
                    if side is not None:
                        return compare_sides(side, Side(folder, 0), margin=self._options.margin)
            reason = f"no run is left with answers of {snapshot}, and they cannot be had any more"
            return no_comparison(workload.name, "too thin", reason, run=folder.manifest.run)

        return self._run([_new(workload)], concluded, is_fresh=True)


def _side_of(stack: ExitStack, path: Path, identity: str, snapshot: str) -> Side | None:
    """The arm of an earlier run that asked the same, and was answered by a snapshot."""
    try:
        manifest = read_manifest(path)
        places = [number for number, arm in enumerate(manifest.arms) if arm.identity == identity]
        if not places:
            return None
        folder = stack.enter_context(closing(RunFolder.open(path)))
    except StorageError as error:
        note(str(error), "eval")
        return None
    served = {
        one.answered.reply.served_model
        for one in folder.results()
        if one.unit.arm in places and one.answered.reply.answer
    }
    return Side(folder, places[0]) if served == {snapshot} else None


def _keep(project: Project, touched: Touched, compared: Compared) -> None:
    """Write down what was found, for who publishes the prompt."""
    workload = touched.workload
    if workload.files.prompt is None or workload.files.golden is None:
        return
    if compared.judgement.word == "too thin" and compared.judgement.paired is None:
        return  # nothing was compared: what was found before still counts
    locked = read_lock(project.folder / LOCK_FILE).workloads.get(workload.name)
    release = folder_release(workload)
    paired = compared.judgement.paired
    keep_verdict(
        eval_folder(project.storage),
        Verdict(
            at_us=time.time_ns() // 1000,
            workload=workload.name,
            release=release_digest(release.prompt.hash, release.companions),
            prompt_version=release.prompt.version,
            model=workload.contract.model
            or (locked.model if locked is not None else "")
            or workload.contract.ladder[0],
            word=compared.judgement.word,
            reasons=compared.judgement.reasons,
            base=touched.base.label,
            base_release=_base_release(touched.base),
            golden_hash=compared.golden_hash or _golden_hash(workload.files.golden),
            run=compared.run,
            broken=compared.broken[:_MOST_KEPT],
            lost=0 if paired is None else paired.counts.losses,
            won=0 if paired is None else paired.counts.wins,
            cases=0 if paired is None else paired.counts.cases,
        ),
    )


def _base_release(base: Base) -> str:
    source = base.source
    if source is None:
        return ""
    if source.publication is not None:
        return release_digest(source.publication.hash, source.publication.companions)
    release = folder_release(source.workload)
    return release_digest(release.prompt.hash, release.companions)


def _golden_hash(path: Path) -> str:
    with GoldenFile(path) as cases:
        return cases.hash
