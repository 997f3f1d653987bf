"""The runs of a migration: the incumbent's answers, found again or captured, and those of its successors."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgspec

from headworks.cli.eval_arms import ArmSpec
from headworks.cli.eval_preparing import ArmSource, prepare_sources
from headworks.cli.eval_scoring import eval_folder
from headworks.cli.eval_session import RunTerms, run_arms, score_again
from headworks.cli.lines import note
from headworks.config import Project, Workload
from headworks.errors import StorageError
from headworks.evals.golden import GoldenFile, deciding_part
from headworks.evals.running import End
from headworks.evals.runs import Arm, RunFolder, list_runs, read_manifest
from headworks.evals.terms import most_invalid

_MOST_LOOKED_AT = 500
"""Earlier runs in which answers are looked for."""

_Made = TypeVar("_Made")


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """The incumbent's answers.

    Attributes:
        run: where they are; "" where there are none.
        cases, repeats: of that run.
        right: of the answers, how many; `decided` are those that are right or wrong.
        is_whole: every case was answered so often, but for a few where infrastructure failed.
        is_of_another_prompt: they were given to another prompt, schema or contract than today's.
        spent_pico_usd: what they cost now.
        end: how the run ended.
    """

    run: str = ""
    cases: int = 0
    repeats: int = 0
    right: int = 0
    decided: int = 0
    is_whole: bool = False
    is_of_another_prompt: bool = False
    spent_pico_usd: int = 0
    end: End = "complete"


def spec_of(model: str) -> ArmSpec:
    """The arm of a model as a migration asks it: with the prompt that calls are made with."""
    return ArmSpec(model=model, prompt="active", name=model)


def arms_of(project: Project, workload: Workload, models: Sequence[str]) -> tuple[Arm, ...]:
    """What runs call the arms of these models.

    Raises:
        CommandError: a model is none.
    """
    with tempfile.TemporaryDirectory(prefix="headworks-migrate-") as state:
        sources = [ArmSource(workload, spec_of(model)) for model in models]
        return prepare_sources(project, workload.name, sources, Path(state)).arms


class Capturing:
    """The incumbent of one workload.

    Arguments:
        model: as the arm is named.
        arm: as runs know it.
    """

    def __init__(self, project: Project, workload: Workload, model: str, arm: Arm, terms: RunTerms) -> None:
        self._project = project
        self._workload = workload
        self._model = model
        self._arm = arm
        self._terms = terms
        golden = workload.files.golden
        assert golden is not None, "who migrates has looked"
        with GoldenFile(golden) as cases:
            self._asked = cases.hash, deciding_part(cases)

    def kept(self) -> Captured:
        """The best of what was captured before: whole, of today's set and prompt; else of the same model with another
        prompt. `run` is "" where nothing is."""
        other: Path | None = None
        for path in self._runs():
            manifest = read_manifest(path)
            is_todays = manifest.arms[0].identity == self._arm.identity
            if manifest.repeats < self._terms.repeats or (other is not None and not is_todays):
                continue
            with closing(RunFolder.open(path)) as folder:
                is_whole = _is_whole(folder)
            if is_whole and is_todays:
                return self._seen(path)
            other = path if is_whole else other
        return Captured() if other is None else self._seen(other)

    def capture(self) -> Captured:
        """Ask the incumbent what is not answered yet: a run that was left unfinished is gone on with."""
        unfinished = next((path for path in self._runs() if self._is_unfinished(path)), None)

        def concluded(folder: RunFolder, end: End) -> Captured:
            return self._of(folder, end)

        return _run(self._project, self._workload, (self._model,), self._terms, concluded, unfinished)

    def _runs(self) -> list[Path]:
        """Runs of this workload's golden set on the incumbent alone, the latest first."""
        found = []
        for path in list(list_runs(eval_folder(self._project.storage)))[:_MOST_LOOKED_AT]:
            try:
                manifest = read_manifest(path)
            except StorageError as error:
                note(str(error), "migrate")
                continue
            if (
                manifest.workload == self._workload.name
                and [arm.model for arm in manifest.arms] == [self._arm.model]
                and (manifest.golden_hash, manifest.split) == self._asked
            ):
                found.append(path)
        return found

    def _is_unfinished(self, path: Path) -> bool:
        manifest = read_manifest(path)
        if manifest.arms[0].identity != self._arm.identity or manifest.repeats != self._terms.repeats:
            return False
        with closing(RunFolder.open(path)) as folder:
            return not _is_whole(folder)

    def _seen(self, path: Path) -> Captured:
        digest = score_again(self._project, self._workload, path)
        with closing(RunFolder.open(path, scorer_hash=digest)) as folder:
            return msgspec.structs.replace(self._of(folder, "complete"), spent_pico_usd=0)

    def _of(self, folder: RunFolder, end: End) -> Captured:
        manifest = folder.manifest
        verdicts = [one.verdict for one in folder.results()]
        return Captured(
            run=manifest.run,
            cases=manifest.cases,
            repeats=manifest.repeats,
            right=verdicts.count("right"),
            decided=len(verdicts) - verdicts.count("invalid"),
            is_whole=_is_whole(folder),
            is_of_another_prompt=manifest.arms[0].identity != self._arm.identity,
            spent_pico_usd=folder.spent_pico_usd,
            end=end,
        )


def run_successors(
    project: Project,
    workload: Workload,
    models: Sequence[str],
    terms: RunTerms,
    conclude: Callable[[RunFolder, End], _Made],
) -> _Made:
    """Ask the successors; the last run of the same arms is gone on with."""
    wanted = [arm.identity for arm in arms_of(project, workload, models)]
    last = None
    for path in list(list_runs(eval_folder(project.storage)))[:_MOST_LOOKED_AT]:
        try:
            manifest = read_manifest(path)
        except StorageError:
            continue  # it was told of when the captures were looked for
        if manifest.workload != workload.name or [arm.identity for arm in manifest.arms] != wanted:
            continue
        if manifest.repeats == terms.repeats and (manifest.golden_hash, manifest.split) == _asked(workload):
            last = path
            break
    return _run(project, workload, models, terms, conclude, last)


def _asked(workload: Workload) -> tuple[str, str]:
    """What a run asks: the golden set's hash, and the part of it that decides."""
    assert workload.files.golden is not None, "who migrates has looked"
    with GoldenFile(workload.files.golden) as cases:
        return cases.hash, deciding_part(cases)


def _run(
    project: Project,
    workload: Workload,
    models: Sequence[str],
    terms: RunTerms,
    conclude: Callable[[RunFolder, End], _Made],
    resumed: Path | None,
) -> _Made:
    def concluded(folder: RunFolder, end: End) -> _Made:
        if end == "stopped":
            note("stopped; what was answered is kept: the same command goes on from there", "migrate")
            raise KeyboardInterrupt
        return conclude(folder, end)

    sources = [ArmSource(workload, spec_of(model)) for model in models]
    return run_arms(project, workload, sources, terms, concluded, resumed=resumed)


def _is_whole(folder: RunFolder) -> bool:
    """Whether every question has an answer, and infrastructure failed in so few that the figures hold."""
    answered = invalid = 0
    for one in folder.results():
        answered += 1
        invalid += one.answered.reply.error is not None and one.answered.reply.error.is_infrastructure
    return answered == folder.units and invalid <= most_invalid(folder.units)
