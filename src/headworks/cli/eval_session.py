"""One run of a workload's golden set, from the gateway's start to what is made of it."""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec

from headworks.cli.eval_gateway import EvalGateway
from headworks.cli.eval_preparing import ArmSource, EvalArms, check_fit, prepare_sources
from headworks.cli.eval_report import ProgressLine
from headworks.cli.eval_retrieval import Retrieval
from headworks.cli.eval_scoring import Scoring, eval_folder, new_run
from headworks.config import Project, Workload
from headworks.errors import CommandError
from headworks.evals.answer_cache import AnswerCache
from headworks.evals.golden import Wanted
from headworks.evals.running import End, Limits, Runner
from headworks.evals.runs import RunFolder
from headworks.evals.scorers import scorer_hash

_Made = TypeVar("_Made")


class RunTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is made, as the flags of `headworks eval` say it.

    Attributes:
        cap_usd: what it may cost; None for no bound.
        is_fresh: what earlier runs have answers to is asked again.
        split: the part of the golden set that is asked.
    """

    repeats: int = 1
    seed: int = 1
    concurrency: int = 8
    cap_usd: Decimal | None = None
    is_fresh: bool = False
    split: Wanted = "deciding"

    @classmethod
    def of(cls, options: argparse.Namespace) -> "RunTerms":
        """What the flags say."""
        return cls(
            repeats=options.repeats,
            seed=options.seed,
            concurrency=options.concurrency,
            cap_usd=options.cap,
            is_fresh=options.fresh,
            split=options.split,
        )


def run_arms(
    project: Project,
    workload: Workload,
    sources: Sequence[ArmSource],
    terms: RunTerms,
    conclude: Callable[[RunFolder, End], _Made],
    *,
    resumed: Path | None = None,
    is_fit: bool = False,
    also: Callable[[RunFolder, Scoring], Awaitable[None]] | None = None,
) -> _Made:
    """Run a workload's golden set on arms; gives what `conclude` makes of the run.

    Arguments:
        resumed: a run to go on with.
        is_fit: who calls has looked whether the prompts take the cases, and what becomes of those that they do not.
        also: what else is to be asked of models, once the run is complete.

    Raises:
        CommandError: an arm cannot be asked, a prompt does not take the cases, or the run that is to be gone on with
            was of other arms.
    """
    project.storage.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="headworks-eval-") as state:
        arms = prepare_sources(project, workload.name, sources, Path(state))
        if resumed is None and not is_fit:
            check_fit(arms, workload, terms.split)
        return asyncio.run(_Session(project, workload, arms, terms, resumed).run(conclude, also))


def score_again(project: Project, workload: Workload, path: Path, *, concurrency: int = 8) -> str:
    """Score a run's answers as `evals.yaml` says today; gives the scorer's hash. No model is called: what a judge has
    not seen stays without a score.

    Raises:
        CommandError: another process is at the run.
        StorageError: it is not whole.
    """
    return asyncio.run(_scored_again(project, workload, path, concurrency))


async def _scored_again(project: Project, workload: Workload, path: Path, concurrency: int) -> str:
    with closing(AnswerCache(eval_folder(project.storage))) as cache:
        async with Scoring(workload, cache, call=None, embed=None) as scoring:
            digest = scorer_hash(scoring.scorer)
            with RunFolder.open(path, scorer_hash=digest, is_writing=True) as folder:
                limits = Limits(concurrency=concurrency, timeout_s=scoring.settings.timeout_s)
                await Runner(folder, scoring.scorer, None, limits).run()
            return digest


class _Session:
    """One run, while it is under way."""

    def __init__(
        self,
        project: Project,
        workload: Workload,
        arms: EvalArms,
        terms: RunTerms,
        resumed: Path | None,
    ) -> None:
        self._project = project
        self._workload = workload
        self._arms = arms
        self._terms = terms
        self._resumed = resumed

    async def run(
        self,
        conclude: Callable[[RunFolder, End], _Made],
        also: Callable[[RunFolder, Scoring], Awaitable[None]] | None = None,
    ) -> _Made:
        """Do it."""
        gateway = EvalGateway(self._arms, self._project, self._workload.name)
        kept = eval_folder(self._project.storage)
        with closing(AnswerCache(kept)) as judged, closing(AnswerCache(kept, is_fresh=self._terms.is_fresh)) as cache:
            scoring = Scoring(self._workload, judged, call=gateway.call, embed=gateway.embed)
            async with gateway, scoring:
                folder = self._folder(scoring, gateway)
                with folder:
                    async with Retrieval(self._arms, folder) as retrieval:
                        await retrieval.gather(scoring.settings.retrieval, self._terms.concurrency)
                        end = await self._go_on(folder, scoring, gateway, cache, retrieval)
                        if also is not None and end == "complete":
                            await also(folder, scoring)
                    return conclude(folder, end)

    def _folder(self, scoring: Scoring, gateway: EvalGateway) -> RunFolder:
        digest = scorer_hash(scoring.scorer)
        if self._resumed is not None:
            folder = RunFolder.open(self._resumed, scorer_hash=digest, is_writing=True)
            if [arm.identity for arm in folder.manifest.arms] != [arm.identity for arm in self._arms.arms]:
                folder.close()
                raise CommandError(
                    "prompt, schema, rules or contract have changed since that run began: begin a new one; what is "
                    "still the same comes from the answers that are kept"
                )
            return folder
        return new_run(
            self._project,
            self._workload,
            self._arms.arms,
            scoring,
            price_version=gateway.price_version,
            repeats=self._terms.repeats,
            seed=self._terms.seed,
            wanted=self._terms.split,
        )

    async def _go_on(
        self, folder: RunFolder, scoring: Scoring, gateway: EvalGateway, cache: AnswerCache, retrieval: Retrieval
    ) -> End:
        terms = self._terms
        line = ProgressLine(folder.manifest)
        runner = Runner(
            folder,
            scoring.scorer,
            retrieval.asking(gateway.ask),
            Limits(concurrency=terms.concurrency, timeout_s=scoring.settings.timeout_s, cap_usd=terms.cap_usd),
            cache=cache,
            request_hash=retrieval.request_hash,
            on_progress=line,
        )
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(runner.run())
        has_begun_to_stop = False

        def interrupted() -> None:
            nonlocal has_begun_to_stop
            if has_begun_to_stop:
                running.cancel()
                return
            has_begun_to_stop = True
            runner.stop()
            line.close()
            print("headworks: finishing what is under way; Ctrl-C again ends at once", file=sys.stderr, flush=True)

        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            return await running
        except asyncio.CancelledError:
            return "stopped"
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            line.close()
