"""Find the cheapest model of a workload's ladder that is provably good enough, and lock the workload to it.

The golden set is run on the cheapest rung first (cheapest by what calls really cost, reasoning included; of equal ones
the quicker first), and on the next only when that has failed. A rung passes when exact tests show that its share of
right answers is above the contract's `quality.bar`, and that it is worse than the reference by less than --margin. It
is left as soon as it cannot pass any more, and looked at three times on the way, so that a clear case takes few calls.
Of the cases of a cluster, and of those that ask the same, one is counted: the others are not independent. A rung that
gets a case wrong that must pass is left, and one of which it is shown that more than one answer in twenty is not there
within `latency.total_s`. All rungs together err with a probability of at most 5 %.

The reference is the dearest rung, unless --reference says otherwise. It is asked only when a rung is shown to be above
the bar, first about the cases that the rung has wrong, and about no more than it takes: none where the rung is hardly
ever wrong, every case at most.

A set that is too small for its bar or its margin is refused with how many cases it takes.

The decision goes into headworks.lock with its evidence, and into decision.md beside the contract, for who reviews it;
running gateways take it over when they reload. Ctrl-C, a crash or a cap costs nothing twice: --resume goes on with the
run. Exit code 1: no rung is good enough, or the result is void.
"""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from headworks.cli.eval import positive, share, usd
from headworks.cli.lines import no_golden_set
from headworks.cli.parsing import UsageError
from headworks.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headworks.cli.select_session import Wanted
    from headworks.config import Project, Workload
    from headworks.evals.golden import GoldenFile
    from headworks.evals.ladder import Terms

BEST, LOCKED, NONE = "best", "locked", "none"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of `headworks select`."""
    parser.add_argument("workload", metavar="WORKLOAD", help="whose ladder to climb")
    parser.add_argument(
        "--reference",
        metavar="RUNG",
        help="what a rung must not be worse than: a rung, `best` (the dearest of the ladder; the default), `locked` "
        "(what headworks.lock says today), or `none`: the bar alone",
    )
    parser.add_argument(
        "--margin",
        type=share,
        metavar="SHARE",
        help="how much worse than the reference a rung may be. Default: 0.05 with 200 cases or more, else 0.1",
    )
    parser.add_argument("--underpowered", action="store_true", help="go on with a set that is too small")
    parser.add_argument("--dry-run", action="store_true", help="decide, and change neither lock nor record")
    parser.add_argument("--seed", type=positive, metavar="N", help="of the order of cases. Default: 1")
    parser.add_argument("--concurrency", type=positive, default=8, metavar="N", help="calls at once. Default: 8")
    parser.add_argument("--cap", type=usd, metavar="USD", help="what it may cost; it then stops, to be resumed")
    parser.add_argument("--resume", metavar="RUN", help="go on with this run (`last` for the latest)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--config", type=Path, default=Path("headworks.yaml"), metavar="FILE", help="default: %(default)s"
    )


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from headworks.cli.eval_arms import ArmSpec
    from headworks.cli.eval_preparing import check_fit, prepare_arms
    from headworks.cli.eval_scoring import eval_folder
    from headworks.cli.select_session import begin
    from headworks.cli.workloads import find_workload
    from headworks.config import load
    from headworks.evals.answer_cache import AnswerCache
    from headworks.evals.ladder import check_power

    project = load(options.config)
    workload = find_workload(project, options.workload)
    rungs = rungs_of(workload)
    if options.resume is None:
        wanted = _wanted(project, workload, rungs, options)
        if not options.underpowered:
            check_power(wanted.terms, len(rungs), is_compared=bool(wanted.reference))
    else:
        wanted = _wanted_before(project, workload, options)
    project.storage.mkdir(parents=True, exist_ok=True)
    cache = AnswerCache(eval_folder(project.storage))
    try:
        with tempfile.TemporaryDirectory(prefix="headworks-select-") as state:
            arms = prepare_arms(project, workload, [ArmSpec(model=rung) for rung in rungs], Path(state))
            check_fit(arms, workload, "deciding")
            return begin(project, workload, arms, cache, wanted)
    finally:
        cache.close()


def rungs_of(workload: "Workload") -> tuple[str, ...]:
    """The rungs that there are to choose among."""
    return tuple(dict.fromkeys(workload.contract.ladder))


def terms_of(workload: "Workload", margin: float | None = None) -> "Terms":
    """What is to be shown, with the cases that decide and are independent.

    Arguments:
        margin: None for the usual one.

    Raises:
        CommandError: it has no golden set, or no case of that decides.
        ConfigError: its golden set cannot be used.
    """
    import msgspec

    from headworks.evals.golden import GoldenFile, indexes_of, part_of
    from headworks.evals.ladder import Terms

    if workload.files.golden is None:
        raise no_golden_set(workload.name)
    with GoldenFile(workload.files.golden) as cases:
        deciding = indexes_of(cases, part_of(cases, "deciding"))
        terms = Terms.of(workload.contract.quality.bar, len(independent(cases, deciding)))
    return terms if margin is None else msgspec.structs.replace(terms, margin=margin)


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


def _wanted(project: "Project", workload: "Workload", rungs: tuple[str, ...], options: argparse.Namespace) -> "Wanted":
    """What the flags ask for.

    Raises:
        CommandError: the reference is no rung.
        UsageError: there is a margin and nothing to be compared with.
    """
    from headworks.cli.select_session import Wanted

    reference = _reference(project, workload, rungs, options.reference or BEST)
    if options.margin is not None and not reference:
        raise UsageError("--margin is about the comparison with a reference: there is none")
    return Wanted(
        terms=terms_of(workload, options.margin),
        reference=reference,
        seed=options.seed or 1,
        concurrency=options.concurrency,
        cap_usd=options.cap,
        is_dry=options.dry_run,
        is_json=options.json,
    )


def _reference(project: "Project", workload: "Workload", rungs: tuple[str, ...], name: str) -> str:
    """The rung that is meant; `best` where costs are to say which, "" for none."""
    from headworks.config import LOCK_FILE, Locked, read_lock

    if len(rungs) < 2:
        return ""
    if name in rungs or name == BEST:
        return name
    if name == NONE:
        return ""
    found = name
    if name == LOCKED:
        found = read_lock(project.folder / LOCK_FILE).workloads.get(workload.name, Locked()).model
        if not found:
            raise CommandError(f"--reference locked: headworks.lock knows no model of `{workload.name}`")
    if found not in rungs:
        raise CommandError(f"--reference: `{found[:80]}` is no rung of `{workload.name}`: it has {', '.join(rungs)}")
    return found


def _wanted_before(project: "Project", workload: "Workload", options: argparse.Namespace) -> "Wanted":
    """What a run was begun with: it is frozen from then on.

    Raises:
        CommandError: there is no such run, or what it is about has changed.
        UsageError: a flag would change it, or it is another command's.
    """
    from headworks.cli.eval_scoring import eval_folder
    from headworks.cli.select_session import Wanted
    from headworks.evals.golden import GoldenFile
    from headworks.evals.runs import find_run, read_manifest

    if options.seed is not None or options.margin is not None or options.reference is not None:
        raise UsageError("--resume goes on as the run was begun: leave --seed, --margin and --reference out")
    path = find_run(eval_folder(project.storage), options.resume)
    manifest = read_manifest(path)
    if manifest.workload != workload.name or manifest.climb is None:
        raise UsageError(f"the run {manifest.run} is no `headworks select {workload.name}`")
    terms = terms_of(workload, manifest.climb.margin)
    assert workload.files.golden is not None, "its terms were read of it"
    with GoldenFile(workload.files.golden) as cases:
        if cases.hash != manifest.golden_hash or workload.contract.quality.bar != manifest.bar:
            raise CommandError(
                "the golden set or `quality.bar` has changed since that run began: begin a new one; what is still the "
                "same comes from the answers that are kept"
            )
    return Wanted(
        terms=terms,
        reference=manifest.climb.reference,
        seed=manifest.seed,
        concurrency=options.concurrency,
        cap_usd=options.cap,
        is_dry=options.dry_run,
        is_json=options.json,
        resumed=path,
    )
