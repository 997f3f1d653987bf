"""The migration of one workload: who goes, what was captured of it, who may come, and what headworks.lock would say."""

import argparse
import datetime as dt
import difflib
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import msgspec

from headworks.catalogue import PriceArchive, Retirement, retirement_of
from headworks.cli.eval_paired import Compared, compare_sides, no_comparison
from headworks.cli.eval_scoring import eval_folder
from headworks.cli.eval_session import RunTerms
from headworks.cli.lines import no_golden_set
from headworks.cli.lock_file import write_lock
from headworks.cli.migrate_runs import Captured, Capturing, arms_of, run_successors
from headworks.cli.prompt_gate import RELEASE
from headworks.cli.tables import plain
from headworks.config import (
    DETERMINISTIC,
    LOCK_FILE,
    Locked,
    Project,
    Workload,
    find_retiring,
    load_workloads,
    lock_text,
    model_of_rung,
    price_book,
    read_lock,
)
from headworks.errors import CommandError
from headworks.evals.migration import Finding, Successor, choose, part_of_alpha, successors, worst_word
from headworks.evals.pairing import Side
from headworks.evals.running import End
from headworks.evals.runs import Arm, RunFolder

_PICO = 10**12
_DAYS = 30
_CODES = {"not worse": 0, "worse": 1, "too thin": 3}


class Tried(msgspec.Struct, frozen=True):
    """One successor, held against the incumbent. `served_model` is the snapshot that the provider has named."""

    successor: Successor
    compared: Compared
    served_model: str = ""

    @property
    def cost_pico_usd(self) -> int | None:
        """Of a call on average."""
        return None if self.compared.new is None else self.compared.new.bill.cost_pico_usd


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out for one workload.

    Attributes:
        incumbent: the model that goes, as it is named; `target` is `provider/model`.
        retirement: None where no end of it is known.
        captured: its answers.
        tried: its successors.
        chosen: the one that takes its place; None where none does.
        why_not: why there is no comparison, where there is none.
        lock_change: of headworks.lock, as a unified diff; "" where there is none.
        is_written: the lock says so now.
        is_fixed: the contract names its model, which goes before the lock.
        named_at: where else the model that goes is named: files with lines.
        calls_per_day: as the contract expects.
        bar: of the contract.
        code: the exit code.
    """

    workload: str
    incumbent: str
    target: str
    retirement: Retirement | None
    captured: Captured
    tried: tuple[Tried, ...] = ()
    chosen: Successor | None = None
    why_not: str = ""
    lock_change: str = ""
    is_written: bool = False
    is_fixed: bool = False
    named_at: tuple[str, ...] = ()
    calls_per_day: int = 0
    bar: float = 0.0
    code: int = 0

    def per_month(self, cost_pico_usd: int | None) -> int | None:
        """What a month's calls cost at so much a call, in pico-dollars."""
        return None if cost_pico_usd is None else cost_pico_usd * self.calls_per_day * _DAYS


def model_in_use(project: Project, workload: Workload) -> str:
    """The rung that calls are made with."""
    locked = read_lock(project.folder / LOCK_FILE).workloads.get(workload.name, Locked())
    return workload.contract.model or locked.model or workload.contract.ladder[0]


class Migration:
    """One workload on its way from one model to another."""

    def __init__(self, project: Project, workload: Workload, options: argparse.Namespace) -> None:
        """Raises CommandError: a model that is named is none, or there is no golden set."""
        if workload.files.golden is None:
            raise no_golden_set(workload.name)
        self._project = project
        self._workload = workload
        self._options = options
        self._book = price_book(project, PriceArchive(project.storage).current())
        self._today = dt.datetime.now(dt.UTC).date()
        self._incumbent = options.incumbent or model_in_use(project, workload)
        self._target = self._target_of(self._incumbent)
        self._asked_for = [Successor(name, self._target_of(name), "asked for") for name in options.to]
        self._retirement = self._retirement_of(self._target)
        self._terms = RunTerms(
            repeats=options.repeats, seed=options.seed, concurrency=options.concurrency, cap_usd=options.cap
        )

    def result(self) -> Migrated:
        """Capture, run, compare; write the lock where that is asked for."""
        (arm,) = arms_of(self._project, self._workload, (self._incumbent,))
        captured = self._captured(Capturing(self._project, self._workload, self._incumbent, arm, self._terms))
        found = Migrated(
            workload=self._workload.name,
            incumbent=self._incumbent,
            target=self._target,
            retirement=self._retirement,
            captured=captured,
            is_fixed=self._workload.contract.model is not None,
            named_at=self._named_at(),
            calls_per_day=self._workload.contract.volume.calls_per_day,
            bar=self._workload.contract.quality.bar,
        )
        if not captured.is_whole:
            return self._uncaptured(found)
        return found if self._options.capture else self._tried(found, captured, arm)

    # -- the incumbent ------------------------------------------------------------------------------------------------

    def _captured(self, capturing: Capturing) -> Captured:
        """What there is, else what the model answers now; of a model that is gone, what it had answered to another
        prompt."""
        kept = capturing.kept()
        if kept.run and not kept.is_of_another_prompt:
            return kept
        is_gone = self._retirement is not None and self._retirement.is_gone
        if is_gone and kept.run:
            return kept
        captured = capturing.capture()
        return captured if captured.is_whole or not kept.run else kept

    def _uncaptured(self, found: Migrated) -> Migrated:
        if found.captured.end == "capped":
            why = "the cap was reached before every answer was captured; what was answered is kept"
            return msgspec.structs.replace(found, why_not=why, code=3)
        why = (
            f"{found.target} does not answer (any more), and no answers of it were kept while it did: nothing can be "
            f"held against it. `headworks select {found.workload}` finds a model that is good enough by itself"
        )
        return msgspec.structs.replace(found, why_not=why, code=1)

    # -- successors ---------------------------------------------------------------------------------------------------

    def _tried(self, found: Migrated, captured: Captured, arm: Arm) -> Migrated:
        offered = successors(self._target, self._offered())
        if not offered:
            why = (
                "there is no successor to try: the catalogue knows none that this project's provider serves, and the "
                "ladder has no other rung that stays; name one with --to"
            )
            return msgspec.structs.replace(found, why_not=why, code=1)
        terms = self._terms
        if terms.cap_usd is not None:
            left = terms.cap_usd - Decimal(captured.spent_pico_usd) / _PICO
            if left <= 0:
                why = "the cap was reached by what was captured; it is kept, and the same command goes on from there"
                return msgspec.structs.replace(found, why_not=why, code=3)
            terms = msgspec.structs.replace(terms, cap_usd=left)

        def concluded(folder: RunFolder, end: End) -> tuple[Tried, ...]:
            return tuple(self._compared(folder, end, number, captured, offered) for number in range(len(offered)))

        names = [one.name for one in offered]
        tried = run_successors(self._project, self._workload, names, terms, concluded)
        findings = [Finding(one.successor, one.compared.judgement.word, one.cost_pico_usd) for one in tried]
        chosen = choose(findings)
        found = msgspec.structs.replace(found, tried=tried, chosen=chosen, code=_CODES[worst_word(findings)])
        if chosen is None:
            return found
        return self._with_lock(found, next(one for one in tried if one.successor == chosen), captured, arm)

    def _compared(
        self, folder: RunFolder, end: End, number: int, captured: Captured, offered: tuple[Successor, ...]
    ) -> Tried:
        successor = offered[number]
        if end == "capped":
            reason = "the cap was reached before every case was asked; what was answered is kept"
            return Tried(successor, no_comparison(self._workload.name, "too thin", reason, run=folder.manifest.run))
        path = eval_folder(self._project.storage) / captured.run
        with closing(RunFolder.open(path, scorer_hash=folder.scorer_hash)) as before:
            compared = compare_sides(
                Side(before, 0), Side(folder, number), margin=self._options.margin, alpha=part_of_alpha(len(offered))
            )
        served = (
            one.answered.reply.served_model
            for one in folder.results()
            if one.unit.arm == number and one.answered.reply.served_model
        )
        return Tried(successor, compared, next(served, ""))

    def _offered(self) -> Iterator[Successor]:
        config = self._project.config
        if self._asked_for:
            yield from self._asked_for
            return
        ladder = {
            self._target_of(rung): rung for rung in reversed(self._workload.contract.ladder) if rung != DETERMINISTIC
        }
        if self._retirement is not None and self._retirement.successor:
            name = f"{self._target.partition('/')[0]}/{self._retirement.successor}"
            model = model_of_rung(config, name)
            if model is not None and self._stays(name):
                yield Successor(ladder.get(name, name), name, "recommended")
        for target, rung in reversed(ladder.items()):
            if self._stays(target):
                yield Successor(rung, target, "rung")

    def _stays(self, target: str) -> bool:
        return self._retirement_of(target) is None

    def _retirement_of(self, target: str) -> Retirement | None:
        provider, _, model = target.partition("/")
        known = self._book.for_target(provider, model).model
        return None if known is None else retirement_of(known, self._today)

    def _target_of(self, name: str) -> str:
        model = model_of_rung(self._project.config, name)
        if model is None:
            raise CommandError(
                f"`{plain(name[:80])}` is no model of this project: name a role (nano), a public name or provider/model"
            )
        return f"{model.provider}/{model.model}"

    # -- what changes -------------------------------------------------------------------------------------------------

    def _with_lock(self, found: Migrated, taken: Tried, captured: Captured, arm: Arm) -> Migrated:
        lock = read_lock(self._project.folder / LOCK_FILE)
        locked = lock.workloads.get(self._workload.name, Locked())
        changed = msgspec.structs.replace(
            locked,
            model=taken.successor.name,
            served_model=taken.served_model,
            evidence=self._evidence(locked, taken, captured, arm),
        )
        workloads = {**lock.workloads, self._workload.name: changed}
        before, after = lock_text(lock), lock_text(msgspec.structs.replace(lock, workloads=workloads))
        diff = difflib.unified_diff(before.splitlines(), after.splitlines(), LOCK_FILE, LOCK_FILE, lineterm="", n=2)
        is_written = self._options.write and write_lock(self._project, lock, self._workload.name, changed)
        return msgspec.structs.replace(found, lock_change="\n".join(diff), is_written=is_written)

    def _evidence(self, locked: Locked, taken: Tried, captured: Captured, arm: Arm) -> dict[str, object]:
        """What the decision rests on. That of the prompt's release stays."""
        compared = taken.compared
        paired = compared.judgement.paired
        evidence: dict[str, object] = {
            "run": compared.run,
            "golden_hash": compared.golden_hash,
            "migrated_from": {"model": self._target, "run": captured.run},
            "verdict": compared.judgement.word,
            "reasons": list(compared.judgement.reasons),
            "statistics": None if paired is None else msgspec.to_builtins(paired),
        }
        if arm.prompt_hash:
            evidence["prompt_hash"] = f"sha256:{arm.prompt_hash}"
        if locked.evidence is not None and RELEASE in locked.evidence:
            evidence[RELEASE] = locked.evidence[RELEASE]
        return evidence

    def _named_at(self) -> tuple[str, ...]:
        """Where files name the model that goes."""
        found = find_retiring(self._project, self._book, load_workloads(self._project), self._today)
        places = (place for one in found if one.target == self._target for place in one.places)
        return tuple(dict.fromkeys(f"{place.file}:{place.line}" for place in places if place.line))
