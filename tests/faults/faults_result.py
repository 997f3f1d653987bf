"""What a scenario comes to, and what must hold in each."""

import msgspec
from faults_load import Load
from faults_stage import Ledger, Stage, gauges, ledger, name_of_call

from headworks.routing.retrying import RETRIES_IN_WINDOW, RETRY_RATIO, WINDOW_S


class Size(msgspec.Struct, frozen=True):
    """How much load: the short form is what CI runs, beside other tests, on whatever machine.

    Attributes:
        patience: times as much time as in the long form do calls have, and the answers that must come in time.
    """

    calls: int
    a_second: float
    patience: float = 1.0

    def deadline_ms(self, seconds: float) -> int:
        """A caller's deadline."""
        return round(seconds * self.patience * 1000)


SHORT = Size(calls=60, a_second=50.0, patience=4.0)
LONG = Size(calls=1000, a_second=100.0)
SHORT_SHARED = Size(calls=400, a_second=100.0)
LONG_SHARED = Size(calls=3000, a_second=100.0)
"""Of these, what counts is the time: the limit says how many calls there are."""

LOAD_A_WINDOW = WINDOW_S * LONG.a_second
"""Calls in the window of a retry budget, at the usual rate."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario's.

    Attributes:
        attempts: requests that reached the upstreams, by their own count.
        further: at each upstream the calls that it was asked, and the requests beyond the first of each, by its own
            count, what was asked before the fault included.
        workers: that made them.
        excess: requests that the provider refused by its own buckets, or that its own count shows beyond the limit.
        leaked: calls in flight or waiting when the load was over.
        healthy: the same load before the fault; None where the fault is all there is.
    """

    name: str
    load: Load
    healthy: Load | None = None
    attempts: int
    further: tuple[tuple[int, int], ...]
    workers: int
    excess: int | None = None
    leaked: int
    ledger: Ledger
    remark: str = ""

    def added_ms(self, share: float) -> float | None:
        """By how much the fault puts off an answer, at this quantile."""
        if self.healthy is None or not self.load.answered:
            return None
        return (self.load.took_s(share) - self.healthy.took_s(share)) * 1000

    def summary(self) -> str:
        """In a line, for whoever looks at a test that failed."""
        load = self.load
        times = f"p50 {load.took_s(0.5):.3f} s, p99 {load.took_s(0.99):.3f} s"
        return (
            f"{self.name}: {load.answered} of {len(load.calls)} by {load.by_target()}, not {load.by_failure()}, "
            f"{times}, {self.attempts} attempts, {self.most_at_one:.2f} at one, {self.excess} in excess, "
            f"{self.leaked} leaked, {self.ledger}; {self.remark}"
        )

    @property
    def attempts_a_call(self) -> float:
        return self.attempts / len(self.load.calls)

    @property
    def most_at_one(self) -> float:
        """Calls and the requests that asked one upstream again, for each call: at the one that was asked again most."""
        return 1.0 + max((further for _, further in self.further), default=0) / len(self.load.calls)

    @property
    def beyond_budget(self) -> int:
        """Requests that asked an upstream again beyond the retry budgets: a fifth of its calls, and what each worker
        may beside that, in each window."""
        return max((int(further - self._budget(calls)) for calls, further in self.further), default=0)

    def _budget(self, calls: int) -> float:
        windows = 1 + sum(len(load.calls) for load in (self.load, self.healthy) if load) / LOAD_A_WINDOW
        return RETRY_RATIO * calls + RETRIES_IN_WINDOW * self.workers * windows


def further_at(stage: Stage) -> tuple[tuple[int, int], ...]:
    """Of each upstream of the stage, the calls, and the requests beyond the first of each."""
    asked = [provider.asked() for provider in stage.providers]
    asked += [[name_of_call(one.body) for one in upstream.asked] for upstream in stage.upstreams]
    return tuple((len(set(names)), len(names) - len(set(names))) for names in asked)


def closed(stage: Stage) -> int:
    """Calls that are in flight or waiting on the stage's gateways although the load is over."""
    found = [gauges(gateway) for gateway in stage.gateways]
    return int(sum(one["headworks_calls_in_flight"] + one["headworks_calls_waiting"] for one in found))


def settle(
    stage: Stage,
    name: str,
    load: Load,
    *,
    healthy: Load | None = None,
    before: int = 0,
    excess: int | None = None,
    attempts: int | None = None,
    remark: str = "",
) -> Result:
    """Stop the stage's gateways and put together what was found.

    Arguments:
        before: requests that the providers had seen when the fault began.
        attempts: counted by another upstream than the stage's providers.
    """
    if healthy is not None:
        assert healthy.answered == len(healthy.calls), healthy.by_failure()
    leaked = closed(stage)
    count = sum(len(provider.requests()) for provider in stage.providers) - before if attempts is None else attempts
    further = further_at(stage)
    for gateway in stage.gateways:
        assert gateway.process.stop() == 0, gateway.process.said
    seen = load.ids() | (healthy.ids() if healthy is not None else {})
    return Result(
        name=name,
        load=load,
        healthy=healthy,
        attempts=count,
        further=further,
        workers=2 * len(stage.gateways),
        excess=excess,
        leaked=leaked,
        ledger=ledger(stage.gateways, seen),
        remark=remark,
    )


def failings(result: Result, unseen: float = 0.0) -> list[str]:
    """Which of the invariants of every scenario do not hold.

    Arguments:
        unseen: calls that were made before the first of them could have shown that something is wrong.
    """
    checks = {
        f"{result.leaked} calls were still in flight, or waited": result.leaked == 0,
        f"the provider counted {result.excess} more than its limit": not result.excess,
        f"records are not the answers seen: {result.ledger}": result.ledger.is_whole,
        f"asked again beyond the budget at one upstream: {result.further}": result.beyond_budget <= 0,
        f"a retry storm: {result.attempts} attempts": result.attempts <= 1.2 * len(result.load.calls) + unseen + 30,
    }
    return [what for what, holds in checks.items() if not holds]
