"""Scenarios in which the wall clock is set under load: an hour forward, then two hours back.

All processes of the gateways have libfaketime before them, which adds what a file says to the time of day, anew each
time that somebody asks for it. The monotonic clock stays what it is, as when a person or NTP sets a machine's clock.
The providers keep their own, true time.
"""

import importlib.util
import platform
import sys
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock

import httpx2
from e2e_processes import Gateway
from faults_load import Wish, drive
from faults_providers import CHAIN, SECOND, Bar
from faults_result import Result, Size, settle
from faults_sharing import Killer, children, scene_of, shared
from faults_stage import Stage
from faults_store import troubled
from faults_upstreams import Upstream, storm_on, well

IS_THERE = sys.platform == "linux" and platform.machine() == "x86_64"
"""Whether libfaketime comes as a wheel for this machine; elsewhere these scenarios cannot be played."""

NOT_HERE = "not proven here: a clock can be set on Linux on x86_64 only, where libfaketime comes as a wheel"

HOUR_S = 3600.0
FORTY_DAYS_S = 40 * 86_400.0
"""So far apart, calls are of other months, which have partitions of their own in PostgreSQL."""

HEARD_WITHIN_S = 30.0
"""A worker looks at the clock with its calls' heads; one that was just started, or stands still, has not yet."""

SEEN_WITHIN_S = 5.0
"""A `date` header is renewed every second, and the machine may be slow."""


class Clock:
    """The time of day of the processes that are started with its variables. State: how far ahead it is, in seconds.

    Attributes:
        looking: who looks at what goes by it holds this; meanwhile it is not set.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.looking = Lock()
        self.ahead_s = 0.0
        self.set(0.0)

    def set(self, ahead_s: float) -> None:
        """Have it be so much ahead of the true time from now on."""
        fresh = self._file.with_suffix(".new")
        with self.looking:  # on a busy machine somebody may still wait for what follows from the time before
            fresh.write_text(f"{ahead_s:+.0f}\n")
            fresh.replace(self._file)  # whoever asks for the time must not find half of it
            self.ahead_s = ahead_s

    def steps(self, *acts: tuple[float, float]) -> list[tuple[float, Callable[[], object]]]:
        """Moments, each with the step to so many seconds ahead."""
        return [(moment, lambda ahead_s=ahead_s: self.set(ahead_s)) for moment, ahead_s in acts]

    @property
    def variables(self) -> dict[str, str]:
        """What has a process go by this clock."""
        found = importlib.util.find_spec("libfaketime")
        assert found is not None, "a clock cannot be set without libfaketime (requirements/dev.txt; Linux, x86_64)"
        libraries = [str(path) for path in Path(str(found.origin)).parent.rglob("libfaketime.so.1")]
        assert libraries, "libfaketime has no library for this machine; it has one for Linux on x86_64"
        return {
            "LD_PRELOAD": libraries[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


class _Watch:
    """Looks at a gateway after each step. State: what was not as it should be."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock
        self._ends_s = time.time() + HOUR_S / 2
        self._key = gateway.new_key("ends in half an hour", expires_at=self._ends_s)
        self.troubles: list[str] = []
        self()

    def __call__(self) -> None:
        """Its clock is what we have set; a key that expires does so by it; a new key is good at once."""
        with self._clock.looking:
            self._look()

    def _look(self) -> None:
        # In this order: a key that is not known may be looked for only now and then.
        self._expect("a new key", self._gateway.new_key("new"), 200)
        is_over = time.time() + self._clock.ahead_s >= self._ends_s
        self._expect("a key with half an hour left", self._key, 401 if is_over else 200)
        due_s = time.monotonic() + SEEN_WITHIN_S
        while abs((told_s := self._ahead_s()) - self._clock.ahead_s) > SEEN_WITHIN_S:
            if time.monotonic() > due_s:
                self.troubles.append(f"its clock is {told_s:+.0f} s ahead and not {self._clock.ahead_s:+.0f} s")
                return
            time.sleep(0.1)

    def _ahead_s(self) -> float:
        """By the `date` of its answers, which is renewed every second."""
        answer = httpx2.get(f"{self._gateway.process.address}/metrics", timeout=30)
        return parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()

    @property
    def remark(self) -> str:
        return f"; not as it should be: {self.troubles}" if self.troubles else ""

    def _expect(self, what: str, key: str, status: int) -> None:
        ahead_s = self._clock.ahead_s
        headers = {"authorization": f"Bearer {key}"}
        due_s = time.monotonic() + HEARD_WITHIN_S
        while (
            said := httpx2.get(f"{self._gateway.base_url}/models", headers=headers, timeout=30).status_code
        ) != status:
            if time.monotonic() > due_s:
                self.troubles.append(f"{what}, {ahead_s:+.0f} s: {said}")
                return
            time.sleep(0.2)


def _clock_of(stage: Stage) -> Clock:
    """A clock for the gateways that are started from now on."""
    clock = Clock(stage.folder)
    stage.variables = clock.variables
    return clock


def _look_at_processes(gateway: Gateway) -> None:
    """All of a gateway's processes go by the clock that is set."""
    pids = [gateway.process.pid, *children(gateway, "")]
    assert len(pids) >= 4, f"a supervisor, a control plane and two workers: {pids}"
    for pid in pids:
        assert "libfaketime" in Path(f"/proc/{pid}/maps").read_text(), f"process {pid} has the true time"


def clock_set(stage: Stage, size: Size) -> Result:
    """One machine's limits, keys and journals."""
    clock = _clock_of(stage)
    scene = scene_of(stage)
    gateway = scene.gateways[0]
    _look_at_processes(gateway)
    watch = _Watch(gateway, clock)
    load = scene.drive(size, *clock.steps((0.3, HOUR_S), (0.6, -HOUR_S)), (0.4, watch), (0.7, watch))
    return scene.result(stage, "clock set", load, size, f"+1 h, then -2 h{watch.remark}")


def clock_set_and_killed(stage: Stage, size: Size) -> Result:
    """With each step whoever keeps the books is killed, and later a worker: others go on by what they have written."""
    clock = _clock_of(stage)
    scene = scene_of(stage)
    gateway = scene.gateways[0]
    watch = _Watch(gateway, clock)
    books, worker = Killer(gateway, "drain.lock", 1), Killer(gateway, "keys.db", 2)

    def strike(ahead_s: float) -> None:
        clock.set(ahead_s)
        books()  # at once: what it has written is of before the step

    acts = ((0.2, lambda: strike(HOUR_S)), (0.3, worker), (0.6, lambda: strike(-HOUR_S)), (0.8, worker))
    load = scene.drive(size, *acts, (0.4, watch), (0.9, watch))
    remark = f"control plane and a worker killed after each{watch.remark}"
    return scene.result(stage, "clock set, processes killed", load, size, remark)


def clock_set_with_valkey(stage: Stage, size: Size) -> Result:
    """Two gateways with four workers and the Valkey that they share are set at once."""
    clock = _clock_of(stage)
    return shared(stage, size, "clock set, Valkey's too", *clock.steps((0.3, HOUR_S), (0.6, -HOUR_S)))


def clock_set_with_postgres(stage: Stage, size: Size) -> Result:
    """Two gateways record into other months than before."""
    clock = _clock_of(stage)
    acts = clock.steps((0.3, FORTY_DAYS_S), (0.6, -FORTY_DAYS_S))
    return troubled(stage, size, "clock set by months, PostgreSQL", *acts)


def clock_set_in_outage(stage: Stage, size: Size) -> Result:
    """The primary is down and comes back, each with a step of the clock: its breaker opens and closes in its time."""
    clock = _clock_of(stage)
    first, second = stage.provider("first"), stage.provider("second")
    gateway = stage.gateway([first.configured(), second.configured()], [CHAIN])
    wish = Wish(calls=size.calls, a_second=size.a_second, deadline_ms=2000)
    healthy = drive([gateway], wish)
    before = len(first.requests()) + len(second.requests())
    first.fault(kind="outage")
    seconds = size.calls / size.a_second
    steps = clock.steps((0.1 * seconds, HOUR_S), (0.3 * seconds, -HOUR_S))
    load = drive([gateway], wish, [*steps, (0.3 * seconds, first.mend)])
    last = {one.target for one in load.calls[-size.calls // 20 :]}
    remark = "back after three tenths of the time"
    if last != {"first"}:
        remark += f"; not as it should be: the last calls were answered by {sorted(last)}"
    return settle(stage, "clock set, primary down and back", load, healthy=healthy, before=before, remark=remark)


def clock_set_in_storm(stage: Stage, size: Size) -> Result:
    """One of two pools answers 429 and says with a date when to come again. By a clock that is ahead the date is long
    past, by one that is behind it is far away: the second that is meant counts."""
    clock = _clock_of(stage)
    upstream, calm = stage.keep(Upstream(storm_on("sk-key-one", is_dated=True))), stage.keep(Upstream(well))
    pools = "pools: {one: {api_key: 'file:key-one'}, two: {api_key: 'file:key-two'}}"
    gateway = stage.gateway(
        [
            f"stormy: {{kind: openai-compatible, base_url: '{upstream.address}/v1', {pools}}}",
            f"calm: {{kind: openai-compatible, base_url: '{calm.address}/v1', {pools}}}",
        ],
        ["fast: stormy/m", "calm-one: calm/m"],
    )
    healthy = drive([gateway], Wish(model="calm-one", calls=size.calls, a_second=size.a_second))
    wish = Wish(calls=size.calls, a_second=size.a_second)
    seconds = size.calls / size.a_second
    asked_late: list[int] = []
    steps = clock.steps((0.0, HOUR_S), (0.4 * seconds, -HOUR_S))
    load = drive([gateway], wish, [*steps, (0.7 * seconds, lambda: asked_late.append(_refused(upstream)))])
    remark = f"{_refused(upstream)} refused with a date"
    if seconds > 5 and _refused(upstream) == asked_late[0]:
        remark += "; not as it should be: the pool rests for as long as the clock is behind"
    return settle(
        stage, "clock set, 429 with dates", load, healthy=healthy, attempts=len(upstream.asked), remark=remark
    )


def _refused(upstream: Upstream) -> int:
    return sum(one.headers["authorization"] == "Bearer sk-key-one" for one in upstream.asked)


SHARED_BARS = (
    Bar(clock_set, answered=0.0),
    Bar(clock_set_and_killed, answered=0.0),
    Bar(clock_set_with_valkey, answered=0.0),
)
BARS = (
    Bar(clock_set_with_postgres, is_quick=False),
    Bar(clock_set_in_outage, within_s=2.0, targets=SECOND | {"first"}, is_quick=False),
    Bar(clock_set_in_storm),
)
