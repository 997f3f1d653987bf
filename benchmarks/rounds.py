"""The scenarios, in rounds that alternate between the systems, so that what disturbs one disturbs all.

The order of a round is the order of the systems, with nginx first. What a scenario finds goes into `Findings`.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import calls, streams, targets, wire
from benchmarks.bars import YARDSTICK
from benchmarks.cores import Cores, on_core
from benchmarks.targets import CannotMeasure, Start, Target

_MB = 1024 * 1024
_WORTH_TELLING_S = 0.05
_SATURATED = 0.93
"""Share of its core from which on a gateway, and not the load, is what limits the calls a second."""


class Plan(msgspec.Struct, frozen=True):
    """How often and how long each scenario runs.

    Attributes:
        seconds: of one round of plain calls.
        other_rounds: of large bodies and of the Responses endpoint; 0 leaves them out.
        memory_calls: over which growth of memory is looked for; 0 leaves that out.
        starts: how often a system is started to find how long that takes.
    """

    name: str
    seconds: float
    call_rounds: int
    capacity_rounds: int
    other_rounds: int
    latency_rounds: int
    latency_calls: int
    stream_rounds: int
    streams: int
    stream_window_s: float
    starts: int
    memory_calls: int
    call_connections: int = 16
    capacity_connections: int = 64


QUICK = Plan(
    name="quick",
    seconds=1,
    call_rounds=3,
    capacity_rounds=1,
    other_rounds=1,
    latency_rounds=3,
    latency_calls=400,
    stream_rounds=1,
    streams=1000,
    stream_window_s=2,
    starts=2,
    memory_calls=20_000,
)
NORMAL = Plan(
    name="normal",
    seconds=2,
    call_rounds=7,
    capacity_rounds=3,
    other_rounds=3,
    latency_rounds=7,
    latency_calls=1000,
    stream_rounds=3,
    streams=1000,
    stream_window_s=5,
    starts=5,
    memory_calls=250_000,
)
LONG = msgspec.structs.replace(
    NORMAL,
    name="long",
    seconds=4,
    call_rounds=9,
    capacity_rounds=5,
    other_rounds=5,
    stream_rounds=5,
    memory_calls=1_000_000,
)


class Findings:
    """The figures of all rounds, by measure and system, and remarks for the reader."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, list[float]]] = {}
        self.remarks: list[str] = []

    def note(self, key: str, system: str, figure: float) -> None:
        self.rounds.setdefault(key, {}).setdefault(system, []).append(figure)

    def fail(self, system: str, count: int, what: str) -> None:
        """Count wrong calls or streams; none must not look like a measure that was not taken."""
        failures = self.rounds.setdefault("failures", {}).setdefault(system, [0])
        failures[0] += count
        if count:
            self.remarks.append(f"{system}: {count} {what}")


class Bench:
    """One run: the systems that are up, and where the load comes from.

    Arguments:
        systems: those that take part in every scenario, nginx first.
        extras: those that take part in the plain calls only.
        works: those that a workload is called of; each is compared with the plain calls of who it is named after.
    """

    def __init__(
        self,
        plan: Plan,
        upstream: Target,
        systems: Sequence[Target],
        *,
        extras: Sequence[Target] = (),
        works: Sequence[Target] = (),
        cores: Cores,
        folder: Path,
        findings: Findings,
    ) -> None:
        self.plan = plan
        self.upstream = upstream
        self.systems = systems
        self.extras = extras
        self.works = works
        self.cores = cores
        self.folder = folder
        self.findings = findings

    def run(self) -> None:
        """All scenarios; progress goes to standard error."""
        for title, scenario in (
            ("plain calls", self._plain_calls),
            ("memory", self._memory),
            ("plain calls of /v1/responses", self._responses_calls),
            ("large bodies", self._large_calls),
            ("calls of a workload", self._work_calls),
            ("calls a second", self._capacity),
            ("latency", self._latency),
            ("streams", self._streams),
            ("streams of /v1/responses", self._responses_streams),
        ):
            begun = time.monotonic()
            scenario()
            taken_s = time.monotonic() - begun
            if taken_s > _WORTH_TELLING_S:
                print(f"benchmarks: {title}: {taken_s:.0f} s", file=sys.stderr, flush=True)

    def _plain_calls(self) -> None:
        for _ in range(self.plan.call_rounds):
            for target in (*self.systems, *self.extras):
                costs = self._burst(target)
                self.findings.note("call_us", target.name, costs.worker_us)
                self.findings.note("call_all_us", target.name, costs.all_us)
                system, _, variant = target.name.partition("+")
                if variant == "limits" or target.name == YARDSTICK:
                    self.findings.note("limited_call_us", system, costs.worker_us)

    def _memory(self) -> None:
        """The first burst warms what grows once; what grows after it is what a long run would add up to."""
        for target in self.systems if self.plan.memory_calls else ():
            first = self._burst(target)
            last, made = first, 0
            while made < self.plan.memory_calls:
                last = self._burst(target)
                made += last.calls
            self.findings.note("resident_mb", target.name, last.resident_bytes / _MB)
            self.findings.note("growth_mb", target.name, (last.resident_bytes - first.resident_bytes) / _MB)
            self.findings.remarks.append(f"{target.name}: memory over {made} calls")

    def _responses_calls(self) -> None:
        for _ in range(self.plan.other_rounds):
            for target in self.systems:
                costs = self._burst(target, path=wire.RESPONSES_PATH, body=wire.responses_body())
                self.findings.note("responses_call_us", target.name, costs.worker_us)

    def _large_calls(self) -> None:
        for _ in range(self.plan.other_rounds):
            for target in self.systems:
                costs = self._burst(target, body=wire.chat_body(body_bytes=40_000))
                self.findings.note("large_call_us", target.name, costs.worker_us)

    def _work_calls(self) -> None:
        """What prompt, schema and judgement add to a call: the difference to a plain one in the same round."""
        plain = {target.name: target for target in self.systems}
        for _ in range(self.plan.other_rounds):
            for target in self.works:
                system = target.name.partition("+")[0]
                costs = self._burst(target, body=wire.work_body())
                added_us = costs.worker_us - self._burst(plain[system]).worker_us
                self.findings.note("work_added_us", system, added_us)

    def _capacity(self) -> None:
        for _ in range(self.plan.capacity_rounds):
            for target in self.systems:
                costs = self._burst(target, connections=self.plan.capacity_connections)
                self.findings.note("calls_per_s", target.name, costs.per_s)
                busy = costs.all_us * costs.calls / 1e6 / costs.seconds
                if busy < _SATURATED:
                    self.findings.remarks.append(
                        f"{target.name}: the load was the limit at {self.plan.capacity_connections} connections, "
                        f"the gateway's core was busy for {busy:.0%}"
                    )

    def _latency(self) -> None:
        """The direct calls start on the gateway's core, so that they cross between cores as a gateway's do."""
        for _ in range(self.plan.latency_rounds):
            with on_core(self.cores.gateway):
                direct = calls.latencies(calls.one_by_one(self.upstream, self.plan.latency_calls))
            for target in self.systems:
                taken = calls.latencies(calls.one_by_one(target, self.plan.latency_calls))
                self.findings.note("added_p50_us", target.name, taken.p50_us - direct.p50_us)
                self.findings.note("added_p99_us", target.name, taken.p99_us - direct.p99_us)

    def _streams(self) -> None:
        for _ in range(self.plan.stream_rounds):
            direct = self._stream(self.upstream, wire.CHAT_PATH)
            self.findings.note("chunk_p50_ms", self.upstream.name, direct.p50_us / 1000)
            self.findings.note("chunk_p99_ms", self.upstream.name, direct.p99_us / 1000)
            for target in self.systems:
                costs = self._stream(target, wire.CHAT_PATH)
                self.findings.note("chunk_us", target.name, costs.worker_us)
                self.findings.note("chunk_all_us", target.name, costs.all_us)
                self.findings.note("streams_core_percent", target.name, costs.core_share * 100)
                self.findings.note("chunk_p50_ms", target.name, costs.p50_us / 1000)
                self.findings.note("chunk_p99_ms", target.name, costs.p99_us / 1000)
                self.findings.note(
                    "chunk_added_p99_ms", target.name, (costs.steady_p99_us - direct.steady_p99_us) / 1000
                )
                self.findings.note("streams_resident_mb", target.name, costs.resident_bytes / _MB)

    def _responses_streams(self) -> None:
        for target in self.systems if self.plan.other_rounds else ():
            costs = self._stream(target, wire.RESPONSES_PATH)
            self.findings.note("responses_chunk_us", target.name, costs.worker_us)

    def _burst(
        self, target: Target, *, path: str = wire.CHAT_PATH, body: bytes | None = None, connections: int | None = None
    ) -> calls.Burst:
        costs = calls.burst(
            target,
            self.upstream,
            path=path,
            body=body or wire.chat_body(),
            connections=connections or self.plan.call_connections,
            seconds=self.plan.seconds,
            folder=self.folder,
            core=self.cores.load,
        )
        self.findings.fail(target.name, costs.failures, f"plain calls of {path} failed")
        return costs

    def _stream(self, target: Target, path: str) -> streams.StreamCosts:
        costs = streams.measure(target, path=path, streams=self.plan.streams, window_s=self.plan.stream_window_s)
        wrong = costs.streams - costs.complete
        self.findings.fail(target.name, wrong, f"streams of {path} were not complete: {costs.problem}")
        if costs.chunks < 0.98 * costs.offered:
            self.findings.remarks.append(
                f"{target.name} falls behind: {costs.chunks} chunks of {path} where {costs.offered} were offered"
            )
        return costs


def starts(start: Start, cores: Cores, plan: Plan, findings: Findings) -> None:
    """Start and stop a system a few times."""
    for _ in range(plan.starts):
        with targets.running(start, cores) as target:
            findings.note("ready_s", start.name, target.ready_s)


def helps(name: str, command: Sequence[str], plan: Plan, findings: Findings) -> None:
    """Ask a program for its help a few times. Raises CannotMeasure when it fails."""
    for _ in range(plan.starts):
        begun = time.monotonic()
        done = subprocess.run(list(command), capture_output=True, text=True, check=False)
        findings.note("help_s", name, time.monotonic() - begun)
        if done.returncode:
            raise CannotMeasure(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")


def bridges(python: Path, findings: Findings) -> None:
    """What translation between APIs costs. Raises CannotMeasure when its program fails."""
    command = [str(python), "-m", "benchmarks.micro_bridge", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotMeasure(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    for key, figure in msgspec.json.decode(done.stdout, type=dict[str, float]).items():
        findings.note(key, "headworks", figure)
