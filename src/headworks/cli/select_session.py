"""One climb of a workload's ladder, from the gateway's start to the lock."""

import asyncio
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import msgspec

from headworks.cli.eval_gateway import EvalGateway
from headworks.cli.eval_preparing import EvalArms
from headworks.cli.eval_report import ProgressLine
from headworks.cli.eval_scoring import Scoring, new_run
from headworks.cli.lines import json_line, note
from headworks.cli.lock_file import replace_file, write_lock
from headworks.cli.prompt_release import folder_release, schema_digest
from headworks.cli.select import BEST, independent
from headworks.config import LOCK_FILE, Locked, Project, Workload, read_lock
from headworks.errors import CommandError
from headworks.evals.amounts import money
from headworks.evals.answer_cache import AnswerCache
from headworks.evals.ladder import Decision, Ladder, Outcome, Terms, check_power, evidence_of, render_record
from headworks.evals.reporting import percentile
from headworks.evals.running import TIMEOUTS, Limits, Runner
from headworks.evals.runs import MANY_PROMPTS, Climb, RunFolder, Unit, prompts_tried
from headworks.evals.scorers import scorer_hash

RECORD_FILE = "decision.md"
_PROBES = 10
"""Cases that every rung is asked to learn what a call costs: reasoning can turn the list prices round."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be decided, and how.

    Attributes:
        reference: a rung; `best` for the dearest, "" for none.
        cap_usd: what it may cost; None for no bound.
        is_dry: neither lock nor record is changed.
        resumed: the run that is gone on with; None for a new one.
    """

    terms: Terms
    reference: str
    seed: int
    concurrency: int
    cap_usd: Decimal | None
    is_dry: bool
    is_json: bool
    resumed: Path | None = None


def begin(project: Project, workload: Workload, arms: EvalArms, cache: AnswerCache, wanted: Wanted) -> int:
    """Climb the ladder; returns the exit code.

    Raises:
        CommandError: the scorer may not decide, a run that is gone on with was of something else, or the cap was
            reached.
        KeyboardInterrupt: it was stopped.
    """
    return asyncio.run(_Selection(project, workload, arms, cache, wanted).run())


class _Selection:
    """One `headworks select`."""

    def __init__(
        self, project: Project, workload: Workload, arms: EvalArms, cache: AnswerCache, wanted: Wanted
    ) -> None:
        self._project = project
        self._workload = workload
        self._arms = arms
        self._names = [arm.name for arm in arms.arms]
        self._cache = cache
        self._wanted = wanted
        self._terms = wanted.terms

    async def run(self) -> int:
        """Do it; returns the exit code."""
        gateway = EvalGateway(self._arms, self._project, self._workload.name)
        scoring = Scoring(self._workload, self._cache, call=gateway.call, embed=gateway.embed)
        async with gateway, scoring:
            if not scoring.scorer.may_gate:
                raise CommandError(
                    f"the scorer of `{self._workload.name}` may not decide (a judge that is not calibrated, say): "
                    "`headworks eval` shows what it finds"
                )
            with self._folder(scoring, gateway) as folder:
                if folder.lost:
                    note(
                        f"{folder.lost} questions were under way when the run's process died: they may have been paid "
                        "for, and are asked again",
                        "select",
                    )
                runner = self._runner(folder, scoring, gateway)
                with self._interruptible(runner, folder):
                    decision = await self._climb(folder, runner)
                return self._conclude(folder, decision)

    def _folder(self, scoring: Scoring, gateway: EvalGateway) -> RunFolder:
        if self._wanted.resumed is None:
            return new_run(
                self._project,
                self._workload,
                self._arms.arms,
                scoring,
                price_version=gateway.price_version,
                repeats=1,
                seed=self._wanted.seed,
                climb=Climb(self._terms.margin, self._wanted.reference),
            )
        folder = RunFolder.open(self._wanted.resumed, is_writing=True)
        manifest = folder.manifest
        is_same = [arm.identity for arm in manifest.arms] == [arm.identity for arm in self._arms.arms]
        if not is_same or manifest.scorer_hash != scorer_hash(scoring.scorer):
            folder.close()
            raise CommandError(
                "prompt, schema, rules, scorers or contract have changed since that run began: begin a new one; what "
                "is still the same comes from the answers that are kept"
            )
        return folder

    @contextmanager
    def _interruptible(self, runner: Runner, folder: RunFolder) -> Iterator[None]:
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
        except (asyncio.CancelledError, KeyboardInterrupt):
            note(
                f"stopped before there was a decision; what was answered is kept. Go on with: {self._going_on(folder)}",
                "select",
            )
            raise KeyboardInterrupt from None
        finally:
            loop.remove_signal_handler(signal.SIGINT)

    def _going_on(self, folder: RunFolder) -> str:
        return f"headworks select {self._workload.name} --resume {folder.manifest.run}"

    def _runner(self, folder: RunFolder, scoring: Scoring, gateway: EvalGateway) -> Runner:
        limits = Limits(
            concurrency=self._wanted.concurrency, timeout_s=scoring.settings.timeout_s, cap_usd=self._wanted.cap_usd
        )
        return Runner(
            folder,
            scoring.scorer,
            gateway.ask,
            limits,
            cache=self._cache,
            request_hash=self._arms.request_hash,
            on_progress=ProgressLine(folder.manifest),
        )

    async def _climb(self, folder: RunFolder, runner: Runner) -> Decision:
        """Try rung after rung; the cheapest by what the first cases cost goes first."""
        counted = independent(folder.cases, folder.order)
        others = set(folder.order).difference(counted)
        order = counted + [case for case in folder.order if case in others and folder.cases[case].must_pass]
        place_of = {case: place for place, case in enumerate(order)}
        count = len(self._names)
        probes = [Unit(arm, case, 0) for case in order[:_PROBES] for arm in range(count)]
        await self._ask(folder, runner, probes)
        ranked, costs = self._ranked(folder, order[:_PROBES])
        names = [self._names[arm] for arm in ranked]
        reference = names[-1] if self._wanted.reference == BEST and BEST not in names else self._wanted.reference
        ladder = Ladder(
            self._terms,
            names,
            costs={self._names[arm]: cost for arm, cost in costs.items()},
            reference=reference,
            is_underpowered=self._is_underpowered(count),
            must_pass=[place for place, case in enumerate(order) if folder.cases[case].must_pass],
        )
        for unit in probes:  # and paid, whether the rung is tried or not
            ladder.observe(self._names[unit.arm], place_of[unit.case], _outcome(folder, unit))
        has_told = False
        while (wanted := ladder.wanted(self._wanted.concurrency)) is not None:
            rung, cases = wanted
            if rung == reference and rung != ladder.rung and not has_told:
                has_told = True
                self._tell_of_comparison(ladder.rung, reference, costs)
            units = [Unit(self._names.index(rung), order[case], 0) for case in cases]
            await self._ask(folder, runner, units)
            for case, unit in zip(cases, units, strict=True):
                ladder.observe(rung, case, _outcome(folder, unit))
        assert ladder.decision is not None, "nothing is wanted any more"
        return self._with_costs(ladder.decision, folder, order)

    def _ranked(self, folder: RunFolder, cases: list[int]) -> tuple[list[int], dict[int, int]]:
        """The arms from the cheapest to the dearest, and what a call of each costs, where that is known. Of those that
        cost the same, the one whose 95th percentile of times is lower goes first."""
        arms = range(len(self._names))
        costs = {arm: cost for arm in arms if (cost := _mean_cost(folder, arm, cases)) is not None}
        if len(costs) < len(arms):
            return list(arms), costs  # a rung whose price nobody knows stays where the ladder has it
        return sorted(arms, key=lambda arm: (costs[arm], _p95_ms(folder, arm, cases), arm)), costs

    def _tell_of_comparison(self, rung: str, reference: str, costs: Mapping[int, int]) -> None:
        cost = costs.get(self._names.index(reference))
        price = "" if cost is None else f", at about {money(cost)} each"
        note(
            f"{rung} is above the bar: {reference} is asked about the cases that {rung} has wrong{price}, and about "
            "others where these do not settle it (--reference none does without)",
            "select",
        )

    def _is_underpowered(self, rungs: int) -> bool:
        try:
            check_power(self._terms, rungs, is_compared=bool(self._wanted.reference))
        except CommandError:
            return True
        return False

    async def _ask(self, folder: RunFolder, runner: Runner, units: list[Unit]) -> None:
        end = await runner.run(units)
        if end == "stopped":
            raise KeyboardInterrupt
        if end == "capped":
            raise CommandError(
                "the cap was reached before there was a decision; what was answered is kept. Go on with a higher one: "
                f"{self._going_on(folder)}"
            )

    def _with_costs(self, decision: Decision, folder: RunFolder, order: list[int]) -> Decision:
        """With what a call of each rung has cost by all that it was asked, and not only by what put the rungs in
        order."""
        rungs = [
            msgspec.structs.replace(one, cost_pico_usd=_mean_cost(folder, self._names.index(one.rung), order))
            for one in decision.rungs
        ]
        return msgspec.structs.replace(decision, rungs=tuple(rungs))

    def _conclude(self, folder: RunFolder, decision: Decision) -> int:
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
        if decision.chosen and not self._wanted.is_dry:
            evidence = {"run": manifest.run, "golden_hash": manifest.golden_hash, **evidence_of(decision)}
            is_written = self._lock(decision.chosen, snapshot, evidence)
            replace_file(self._workload.folder / RECORD_FILE, record.encode())
        if self._wanted.is_json:
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


def _outcome(folder: RunFolder, unit: Unit) -> Outcome:
    result = folder.result(unit)
    if result is None:
        return "invalid"
    error = result.answered.reply.error
    return "late" if error is not None and error.code in TIMEOUTS else result.verdict


def _mean_cost(folder: RunFolder, arm: int, cases: Iterable[int]) -> int | None:
    """What a call of an arm costs on average, by its answers to these cases; None where that is not known."""
    costs = []
    for case in cases:
        answered = folder.answered(Unit(arm, case, 0))
        if answered is not None and answered.reply.cost_pico_usd is not None:
            costs.append(answered.reply.cost_pico_usd)
    return round(sum(costs) / len(costs)) if costs else None


def _p95_ms(folder: RunFolder, arm: int, cases: Iterable[int]) -> float:
    """Within how many milliseconds 95 of 100 answers of an arm are there, by these cases."""
    found = [
        answered.reply.latency_ms for case in cases if (answered := folder.answered(Unit(arm, case, 0))) is not None
    ]
    return percentile(found, 0.95) or 0.0


def _snapshot(folder: RunFolder, rung: str) -> str:
    """The snapshot that the provider says it used for a rung."""
    arms = [arm.name for arm in folder.manifest.arms]
    if rung not in arms:
        return ""
    for case in folder.order:
        answered = folder.answered(Unit(arms.index(rung), case, 0))
        if answered is not None and answered.reply.served_model:
            return answered.reply.served_model
    return ""
