"""Measure what Headworks costs, beside nginx in the same run: `make bench`, `make bench-peers`.

Prints a table and writes JSON to benchmarks/results/. Needs Linux, nginx and wrk (apt-get install nginx-light wrk).
The gateway runs under the system's Python, or under the one that BENCH_PYTHON names;
docs/explanation/performance.md tells what is measured and how.
"""

import argparse
import contextlib
import functools
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import bars, cores, gateways, peers, python_builds, report, rounds, targets
from benchmarks.rounds import Bench, Findings, Plan
from benchmarks.targets import CannotMeasure, Start, Target

_START: dict[str, Callable[[int, Path, Path], Start]] = {
    "nginx": lambda upstream, folder, _: gateways.nginx(upstream, folder),
    "nginx+log": lambda upstream, folder, _: gateways.nginx(upstream, folder, has_access_log=True),
    "headworks": gateways.headworks,
    "headworks+limits": functools.partial(gateways.headworks, has_limits=True),
    "headworks+source": functools.partial(gateways.headworks, is_source=True),
    "headworks+work": functools.partial(gateways.headworks, has_workload=True),
    "litellm": lambda upstream, folder, _: peers.litellm(upstream, folder),
    "portkey": lambda upstream, folder, _: peers.portkey(upstream, folder),
}
_ONLY_PLAIN_CALLS = ("nginx+log", "headworks+limits", "headworks+source")
_ONLY_WORKLOADS = ("headworks+work",)


def main() -> int:
    options = _options()
    missed: list[str] = []
    try:
        for names, plan in _matches(options):
            made = _measure(names, plan, is_bare=options.bare)
            file = report.write(made)
            print(f"{report.table(made)}\n\nwritten to {file}\n", flush=True)
            missed += report.missed(made)
    except CannotMeasure as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 2
    if missed:
        print(f"bars missed: {'; '.join(missed)}")
    return 1 if missed and options.enforce else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="under a minute, for development")
    length.add_argument("--long", action="store_true", help="more rounds, and a million calls for memory")
    parser.add_argument("--peers", action="store_true", help="LiteLLM and Portkey instead, at rates that they can keep")
    parser.add_argument("--enforce", action="store_true", help="exit with 1 when a bar is missed")
    parser.add_argument(
        "--without", action="append", default=[], choices=sorted(_START.keys() - {"nginx"}), help="leave a system out"
    )
    parser.add_argument("--bare", action="store_true", help="the upstream adds no headers, unlike the OpenAI API")
    return parser.parse_args()


def _matches(options: argparse.Namespace) -> list[tuple[list[str], Plan]]:
    """Which systems run beside each other, and for how long."""
    if options.peers:
        matches = [(["nginx", "headworks", name], plan) for name, plan in peers.PLANS.items()]
        matches = [match for match in matches if match[0][-1] not in options.without]
    else:
        plan = rounds.QUICK if options.quick else rounds.LONG if options.long else rounds.NORMAL
        matches = [(["nginx", "headworks", *_ONLY_PLAIN_CALLS, *_ONLY_WORKLOADS], plan)]
    return [([name for name in names if name not in options.without], plan) for names, plan in matches]


def _measure(names: list[str], plan: Plan, *, is_bare: bool) -> report.Report:
    python = python_builds.gateway_python()
    build = python_builds.describe(python)
    began, begun, load_before = report.now(), time.monotonic(), report.load_average()
    chosen = cores.choose()
    findings = Findings()
    if chosen.gateway == chosen.load:
        findings.remarks.append("one core only: the gateway shares it with the load, and no figure means much")
    with contextlib.ExitStack() as stack:
        stack.enter_context(cores.on_core(chosen.load))
        folder = stack.enter_context(targets.scratch())
        upstream = stack.enter_context(targets.stub(chosen.load, python=python, is_bare=is_bare))
        starts = {name: _START[name](upstream.port, folder, python) for name in names}
        for name, start in starts.items():
            if name in _ONLY_WORKLOADS:
                continue
            rounds.starts(start, chosen, plan, findings)
        if "headworks" in names:
            rounds.helps("headworks", [str(python), "-m", "headworks", "--help"], plan, findings)
            rounds.bridges(python, findings)
        up = {name: stack.enter_context(targets.running(start, chosen)) for name, start in starts.items()}
        few = (*_ONLY_PLAIN_CALLS, *_ONLY_WORKLOADS)
        bench = Bench(
            plan,
            upstream,
            systems=[target for name, target in up.items() if name not in few],
            extras=[target for name, target in up.items() if name in _ONLY_PLAIN_CALLS],
            works=[target for name, target in up.items() if name in _ONLY_WORKLOADS],
            cores=chosen,
            folder=folder,
            findings=findings,
        )
        if "headworks" in up:
            with _everything_on(up["headworks"], findings):
                bench.run()
        else:
            bench.run()
    return report.Report(
        plan=plan.name,
        began=began,
        seconds=time.monotonic() - begun,
        commit=report.commit(),
        machine=report.Machine(
            processor=report.processor(),
            kernel=platform.release(),
            cores=chosen,
            load_before=load_before,
            load_after=report.load_average(),
        ),
        gateway_python=build,
        versions={name: start.version for name, start in starts.items()},
        lines=bars.lines(findings.rounds),
        remarks=findings.remarks,
    )


@contextlib.contextmanager
def _everything_on(gateway: Target, findings: Findings) -> Iterator[None]:
    """Make sure that the figures are of a gateway that checks keys, keeps records and counts.

    Raises CannotMeasure when it takes a call without a key or wrote nothing down.
    """
    status = targets.status_of_a_call(gateway, headers={"content-type": "application/json"})
    if status != 401:
        raise CannotMeasure(f"{gateway.name} answers {status} to a call without a key: its keys are not on")
    before = _bytes_in(gateway.folder)
    yield
    grown = _bytes_in(gateway.folder) - before
    if grown <= 0:
        raise CannotMeasure(f"{gateway.name} wrote no records in the whole run: its journal is not on")
    findings.remarks.append(f"{gateway.name}: wrote {grown / 1e6:.0f} MB of records")


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main())
