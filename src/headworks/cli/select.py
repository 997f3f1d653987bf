"""Find the cheapest model of a workload's ladder that is provably good enough, and lock the workload to it.

The golden set is run on the cheapest rung first (cheapest by what calls really cost, reasoning included), and on the
next only when that has failed. A rung passes when an exact test shows that its share of right answers is above the
contract's `quality.bar`; it is left as soon as it cannot pass any more, and looked at three times on the way, so that a
clear case takes few calls. Of the cases of a cluster, and of those that ask the same, one is counted: the others are
not independent. A rung that gets a case wrong that must pass is left. All rungs together err with a probability of at
most 5 %. A set that is too small for its bar is refused with how many cases it takes.

The decision goes into headworks.lock with its evidence, and into decision.md beside the contract, for who reviews it;
running gateways take it over when they reload. Answers are kept: Ctrl-C, a crash or a cap costs nothing twice.
Exit code 1: no rung is good enough, or the result is void.
"""

import argparse
import asyncio
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headworks.cli.eval import positive, share, usd
from headworks.cli.lines import json_line, no_golden_set, note
from headworks.cli.lock_file import replace_file, write_lock
from headworks.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from headworks.cli.eval_gateway import EvalGateway
    from headworks.cli.eval_preparing import EvalArms
    from headworks.cli.eval_scoring import Scoring
    from headworks.config import Project, Workload
    from headworks.evals.answer_cache import AnswerCache
    from headworks.evals.golden import GoldenFile
    from headworks.evals.ladder import Decision, Outcome, Terms
    from headworks.evals.running import Runner
    from headworks.evals.runs import RunFolder, Unit

RECORD_FILE = "decision.md"
_PROBES = 10
"""Cases that every rung is asked to learn what a call costs: reasoning can turn the list prices round."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks select`."""
    parser.add_argument("workload", metavar="WORKLOAD", help="whose ladder to climb")
    parser.add_argument("--margin", type=share, metavar="SHARE", help="how much worse than the best rung a rung may be")
    parser.add_argument("--against-best", action="store_true", help="run the best rung first, and compare with it")
    parser.add_argument("--underpowered", action="store_true", help="go on with a set that is too small for its bar")
    parser.add_argument("--dry-run", action="store_true", help="decide, and change neither lock nor record")
    parser.add_argument("--seed", type=positive, default=1, metavar="N", help="of the order of cases. Default: 1")
    parser.add_argument("--concurrency", type=positive, default=8, metavar="N", help="calls at once. Default: 8")
    parser.add_argument("--cap", type=usd, metavar="USD", help="what it may cost")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.cli.eval_arms import ArmSpec
    from headworks.cli.eval_preparing import check_fit, prepare_arms
    from headworks.cli.eval_scoring import eval_folder
    from headworks.cli.workloads import find_workload
    from headworks.config import load
    from headworks.evals.answer_cache import AnswerCache
    from headworks.evals.ladder import check_power

    if options.margin is not None and not options.against_best:
        raise CommandError("--margin is about the comparison with the best rung: it belongs to --against-best")
    project = load(options.config)
    workload = find_workload(project, options.workload)
    rungs = rungs_of(workload)
    terms = terms_of(workload)
    if options.margin is not None:
        terms = msgspec.structs.replace(terms, margin=options.margin)
    if not options.underpowered:
        check_power(terms, len(rungs), is_compared=options.against_best)
    project.storage.mkdir(parents=True, exist_ok=True)
    cache = AnswerCache(eval_folder(project.storage))
    try:
        with tempfile.TemporaryDirectory(prefix="headworks-select-") as state:
            arms = prepare_arms(project, workload, [ArmSpec(model=rung) for rung in rungs], Path(state))
            check_fit(arms, workload, "deciding")
            return asyncio.run(_Selection(project, workload, arms, cache, terms, options).run())
    except KeyboardInterrupt:
        note(
            "stopped before there was a decision; what was answered is kept: the same command goes on from there",
            "select",
        )
        raise
    finally:
        cache.close()


def rungs_of(workload: "Workload") -> tuple[str, ...]:
    """The rungs that there are to choose among."""
    return tuple(dict.fromkeys(workload.contract.ladder))


def terms_of(workload: "Workload") -> "Terms":
    """What is to be shown, with the cases that decide and are independent.

    Raises:
        CommandError: it has no golden set, or no case of that decides.
        ConfigError: its golden set cannot be used.
    """
    from headworks.evals.golden import GoldenFile, indexes_of, part_of
    from headworks.evals.ladder import Terms

    if workload.files.golden is None:
        raise no_golden_set(workload.name)
    with GoldenFile(workload.files.golden) as cases:
        deciding = indexes_of(cases, part_of(cases, "deciding"))
        return Terms.of(workload.contract.quality.bar, len(independent(cases, deciding)))


class _Selection:
    """One `headworks select`, from the gateway's start to the lock."""

    def __init__(
        self,
        project: "Project",
        workload: "Workload",
        arms: "EvalArms",
        cache: "AnswerCache",
        terms: "Terms",
        options: argparse.Namespace,
    ) -> None:
        self._project = project
        self._workload = workload
        self._arms = arms
        self._cache = cache
        self._terms = terms
        self._options = options

    async def run(self) -> int:
        """Do it; returns the exit code."""
        from headworks.cli.eval_gateway import EvalGateway
        from headworks.cli.eval_scoring import Scoring, new_run

        gateway = EvalGateway(self._arms, self._project, self._workload.name)
        scoring = Scoring(self._workload, self._cache, call=gateway.call, embed=gateway.embed)
        async with gateway, scoring:
            if not scoring.scorer.may_gate:
                raise CommandError(
                    f"the scorer of `{self._workload.name}` may not decide (a judge that is not calibrated, say): "
                    "`headworks eval` shows what it finds"
                )
            folder = new_run(
                self._project,
                self._workload,
                self._arms.arms,
                scoring,
                price_version=gateway.price_version,
                repeats=1,
                seed=self._options.seed,
            )
            with folder:
                runner = self._runner(folder, scoring, gateway)
                with self._interruptible(runner):
                    decision = await self._climb(folder, runner)
                return self._conclude(folder, decision)

    @contextmanager
    def _interruptible(self, runner: "Runner") -> "Iterator[None]":
        """Ctrl-C finishes what is under way, so that it is not paid for in vain; again, it ends at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "it is run in a task"
        has_begun_to_stop = False

        def interrupted() -> None:
            nonlocal has_begun_to_stop
            if has_begun_to_stop:
                task.cancel()
                return
            has_begun_to_stop = True
            runner.stop()
            note("finishing what is under way; Ctrl-C again ends at once", "select")

        loop.add_signal_handler(signal.SIGINT, interrupted)
        try:
            yield
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def _runner(self, folder: "RunFolder", scoring: "Scoring", gateway: "EvalGateway") -> "Runner":
        from headworks.cli.eval_report import ProgressLine
        from headworks.evals.running import Limits, Runner

        limits = Limits(
            concurrency=self._options.concurrency, timeout_s=scoring.settings.timeout_s, cap_usd=self._options.cap
        )
        line = ProgressLine(folder.manifest)
        return Runner(
            folder,
            scoring.scorer,
            gateway.ask,
            limits,
            cache=self._cache,
            request_hash=self._arms.request_hash,
            on_progress=line,
        )

    async def _climb(self, folder: "RunFolder", runner: "Runner") -> "Decision":
        """Try rung after rung; the cheapest by what the first cases cost goes first."""
        from headworks.evals.ladder import Ladder
        from headworks.evals.runs import Unit

        counted = independent(folder.cases, folder.order)
        others = set(folder.order).difference(counted)
        order = counted + [case for case in folder.order if case in others and folder.cases[case].must_pass]
        count = len(self._arms.arms)
        probes = [Unit(arm, case, 0) for case in order[:_PROBES] for arm in range(count)]
        await self._ask(runner, probes)
        costs = {arm: cost for arm in range(count) if (cost := _mean_cost(folder, arm, order[:_PROBES])) is not None}
        # A rung whose price nobody knows stays where the ladder has it.
        ranked = sorted(range(count), key=lambda arm: (costs.get(arm, -1) if len(costs) == count else arm, arm))
        reference = None
        if self._options.against_best and count > 1:
            best = ranked[-1]
            await self._ask(runner, [Unit(best, case, 0) for case in counted])
            found = [_outcome(folder, Unit(best, case, 0)) for case in counted]
            reference = [None if one == "invalid" else one == "right" for one in found]
        names = [self._arms.arms[arm].name for arm in ranked]
        arm_of = dict(zip(names, ranked, strict=True))
        place_of = {case: place for place, case in enumerate(order)}
        ladder = Ladder(
            self._terms,
            names,
            costs={self._arms.arms[arm].name: cost for arm, cost in costs.items()},
            reference=reference,
            is_underpowered=self._options.underpowered and self._is_underpowered(count),
            must_pass=[place for place, case in enumerate(order) if folder.cases[case].must_pass],
        )
        asked = probes if reference is None else [*probes, *(Unit(ranked[-1], case, 0) for case in counted)]
        for unit in asked:  # and paid, whether the rung is tried or not
            ladder.observe(self._arms.arms[unit.arm].name, place_of[unit.case], _outcome(folder, unit))
        while (wanted := ladder.wanted(self._options.concurrency)) is not None:
            rung, cases = wanted
            units = [Unit(arm_of[rung], order[case], 0) for case in cases]
            await self._ask(runner, units)
            for case, unit in zip(cases, units, strict=True):
                ladder.observe(rung, case, _outcome(folder, unit))
        assert ladder.decision is not None, "nothing is wanted any more"
        return _with_costs(ladder.decision, folder, arm_of, order)

    def _is_underpowered(self, rungs: int) -> bool:
        from headworks.evals.ladder import check_power

        try:
            check_power(self._terms, rungs, is_compared=self._options.against_best)
        except CommandError:
            return True
        return False

    async def _ask(self, runner: "Runner", units: "list[Unit]") -> None:
        end = await runner.run(units)
        if end == "stopped":
            raise KeyboardInterrupt
        if end == "capped":
            raise CommandError("the cap was reached before there was a decision; what was answered is kept")

    def _conclude(self, folder: "RunFolder", decision: "Decision") -> int:
        from headworks.evals.ladder import evidence_of, render_record
        from headworks.evals.runs import MANY_PROMPTS, prompts_tried

        manifest = folder.manifest
        facts = [
            ("run", f"`headworks eval show {manifest.run}`"),
            ("date", time.strftime("%Y-%m-%d", time.gmtime(manifest.created_us / 1e6))),
            ("seed", str(manifest.seed)),
            ("golden set", f"sha256 {manifest.golden_hash}{self._in_groups(manifest.cases)}"),
            ("split", manifest.split and f"{manifest.cases} cases of `{manifest.split}`"),
            ("prompt", f"{self._arms.arms[0].prompt_version} (sha256 {self._arms.arms[0].prompt_hash})"),
            ("schema", manifest.schema_hash and f"sha256 {manifest.schema_hash}"),
            ("rules", manifest.rules_hash and f"sha256 {manifest.rules_hash}"),
            ("scorer", f"sha256 {manifest.scorer_hash}"),
            ("prices", manifest.versions.get("prices", "")),
        ]
        tried = prompts_tried(folder.path.parent, manifest.workload, manifest.golden_hash, manifest.split)
        if tried > MANY_PROMPTS:
            facts.append(("worn", f"{tried} prompts were tried on this golden set: the last may only fit it. Renew it"))
            note(
                f"{tried} prompts were tried on this golden set: what it says of the last one is to be doubted",
                "select",
            )
        record = render_record(self._workload.name, decision, [(name, value) for name, value in facts if value])
        snapshot = _snapshot(folder, decision.chosen)
        is_written = False
        if decision.chosen and not self._options.dry_run:
            evidence = {"run": manifest.run, "golden_hash": manifest.golden_hash, **evidence_of(decision)}
            is_written = self._lock(decision.chosen, snapshot, evidence)
            replace_file(self._workload.folder / RECORD_FILE, record.encode())
        if self._options.json:
            print(
                json_line(
                    {"run": manifest.run, "served_model": snapshot, "locked": is_written, **evidence_of(decision)}
                )
            )
        else:
            print(record, end="")
        if is_written:
            note(
                f"locked to {decision.chosen}: commit headworks.lock and {RECORD_FILE}; gateways reload by SIGHUP",
                "select",
            )
        return 0 if decision.chosen else 1

    def _in_groups(self, cases: int) -> str:
        counted = self._terms.cases
        return f"; {cases} cases in {counted} independent groups, of each of which one is counted" * (counted < cases)

    def _lock(self, chosen: str, snapshot: str, evidence: dict[str, object]) -> bool:
        from headworks.cli.prompt_release import folder_release, schema_digest
        from headworks.config import LOCK_FILE, Locked, read_lock

        lock = read_lock(self._project.folder / LOCK_FILE)
        locked = lock.workloads.get(self._workload.name, Locked())
        changes: dict[str, object] = {"model": chosen, "served_model": snapshot, "evidence": evidence}
        if self._workload.files.prompt is not None:
            release = folder_release(self._workload)
            schema = release.companions.schema if release.companions is not None else ""
            prompt_hash = f"sha256:{release.prompt.hash}"
            changes |= {
                "prompt_version": release.prompt.version,
                "prompt_hash": prompt_hash,
                "schema_hash": schema_digest(schema),
                "evidence": {**evidence, "prompt_hash": prompt_hash},
            }
        return write_lock(self._project, lock, self._workload.name, msgspec.structs.replace(locked, **changes))


def independent(cases: "GoldenFile", order: "Iterable[int]") -> list[int]:
    """Of the cases in this order, those that stand alone, and the first of each cluster, and of those that ask the
    same: what the ladder's tests may count. Which one is the first goes by the run's seed."""
    found, seen = list[int](), set[str]()
    for index in order:
        names = cases[index].belongs_to
        if seen.isdisjoint(names):
            found.append(index)
        seen.update(names)
    return found


def _outcome(folder: "RunFolder", unit: "Unit") -> "Outcome":
    result = folder.result(unit)
    return "invalid" if result is None else result.verdict


def _mean_cost(folder: "RunFolder", arm: int, cases: "Iterable[int]") -> int | None:
    """What a call of an arm costs on average, by its answers to these cases; None where that is not known."""
    from headworks.evals.runs import Unit

    costs = []
    for case in cases:
        answered = folder.answered(Unit(arm, case, 0))
        if answered is not None and answered.reply.cost_pico_usd is not None:
            costs.append(answered.reply.cost_pico_usd)
    return round(sum(costs) / len(costs)) if costs else None


def _with_costs(
    decision: "Decision", folder: "RunFolder", arm_of: "Mapping[str, int]", order: "list[int]"
) -> "Decision":
    """With what a call of each rung has cost by all that it was asked, and not only by what put the rungs in order."""
    rungs = [
        msgspec.structs.replace(one, cost_pico_usd=_mean_cost(folder, arm_of[one.rung], order))
        for one in decision.rungs
    ]
    return msgspec.structs.replace(decision, rungs=tuple(rungs))


def _snapshot(folder: "RunFolder", rung: str) -> str:
    """The snapshot that the provider says it used for a rung."""
    from headworks.evals.runs import Unit

    arms = [arm.name for arm in folder.manifest.arms]
    if rung not in arms:
        return ""
    for case in folder.order:
        answered = folder.answered(Unit(arms.index(rung), case, 0))
        if answered is not None and answered.reply.served_model:
            return answered.reply.served_model
    return ""
