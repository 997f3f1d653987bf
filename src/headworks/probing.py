"""Active probes: while a target's breaker is open, a small request finds out whether it is well again, so that no
caller's does. Where a provider has `probe` in configuration; without it none of this runs.

Each worker has breakers of its own, and all of them ask the same question. So a pool's probes go by one small file in
the run folder: who gets its lock makes the probe and leaves the result there for all. A lock that dies with its
process needs neither a control plane that is up nor anybody who grants leases. Machines probe each for themselves:
they may have different ways to the provider.

What a result does (`Health.hold_open`, `half_open`): failed, the breaker stays open until the next one is in; good, it
is half open at once. As long as no result is in it is held, too, but never for much longer than a probe takes: if the
prober hangs, the breaker goes by its own clock again.
"""

import enum
import fcntl
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from headworks.calls import Failure
from headworks.exchange import Flight, Timeouts, Upstream, UpstreamRequest
from headworks.providers import Provider
from headworks.routing import Health, Target
from headworks.routing.health import COUNTED
from headworks.stations import Station
from headworks.wheel import Timer, TimerWheel

LOOK_S = 0.5
"""How often a worker looks at its breakers. A breaker is open for four seconds at least, so none is missed."""

_HEARD_BYTES = 65_536
"""Of an error's body, what is kept to tell what it means; of any other answer nothing is."""

_NOTE = struct.Struct("<dB")


class Verdict(enum.IntEnum):
    """What a probe says of the target: that it is well, that it is not, or nothing (a wrong path, a refused key)."""

    GOOD = 0
    FAILED = 1
    SILENT = 2


class ProbeNote(msgspec.Struct, frozen=True):
    """The result of a probe. `began_s` is on the machine's monotonic clock, which all its processes share."""

    began_s: float
    verdict: Verdict


class ProbeFile:
    """The last result of one pool's probes, and the right to make the next one. State: the file, once it is needed.

    Raises (in every method):
        OSError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def read(self, now_s: float) -> ProbeNote | None:
        """The last result; None if there is none, or only one from before the machine was started."""
        data = os.pread(self._open(), _NOTE.size, 0)
        if len(data) < _NOTE.size:
            return None
        began_s, verdict = _NOTE.unpack(data)
        return ProbeNote(began_s, Verdict(verdict)) if began_s <= now_s and verdict in set(Verdict) else None

    def try_lock(self) -> bool:
        """Take the right to probe, unless another process has it."""
        try:
            fcntl.flock(self._open(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Give it back."""
        fcntl.flock(self._open(), fcntl.LOCK_UN)

    def write(self, note: ProbeNote) -> None:
        """Leave a result for all: a few bytes in one go, which nobody sees by halves."""
        os.pwrite(self._open(), _NOTE.pack(note.began_s, note.verdict), 0)

    def close(self) -> None:
        """Let go of the file, and of the right."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> int:
        if self._file < 0:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file


class ProbePlan(msgspec.Struct, frozen=True):
    """How one pool is probed.

    Attributes:
        request: what is sent.
        every_s: from one probe to the next.
        timeout_s: what it may take.
    """

    provider: Provider
    upstream: Upstream
    request: UpstreamRequest
    every_s: float
    timeout_s: float

    @property
    def wait_s(self) -> float:
        """For a result that another worker may just have begun to find."""
        return self.timeout_s + 2 * LOOK_S


class _Probe:
    """One probe under way: the sink of its answer."""

    def __init__(self, plan: ProbePlan, ended: Callable[[Verdict], None]) -> None:
        self._plan = plan
        self._ended = ended
        self._status = 0
        self._headers: Mapping[bytes, bytes] = {}
        self._body = b""
        self._flight: Flight | None = None

    def start(self) -> None:
        self._flight = self._plan.upstream.send(self._plan.request, self, Timeouts().within(self._plan.timeout_s))

    def cancel(self) -> None:
        if self._flight is not None:
            self._flight.cancel()

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self._status, self._headers = status, headers

    def on_body(self, data: bytes) -> None:
        if self._status >= 300 and len(self._body) < _HEARD_BYTES:
            self._body += data

    def on_end(self) -> None:
        if self._status < 300:
            self._ended(Verdict.GOOD)
        else:
            failure = self._plan.provider.classify(self._status, self._headers, self._body)
            self._ended(Verdict.FAILED if failure.kind in COUNTED else Verdict.SILENT)

    def on_failure(self, failure: Failure) -> None:  # noqa: ARG002 - whatever it is, there was no answer
        self._ended(Verdict.FAILED)


class Prober:
    """Looks at the breakers of one configuration's targets, and probes where one is open.

    State: by pool, the last result, and the probe that this worker is making.

    Arguments:
        plans: by pool, `provider` or `provider:pool`.
        targets: all targets, each time it is asked.
        folder: where the files of results lie.
        now: seconds of the monotonic clock that targets' health goes by.
        report: told what keeps it from its work.
    """

    def __init__(
        self,
        plans: Mapping[str, ProbePlan],
        targets: Callable[[], Iterable[Target[Station]]],
        folder: Path,
        wheel: TimerWheel,
        now: Callable[[], float],
        report: Callable[[str], None],
    ) -> None:
        self._plans = plans
        self._targets = targets
        self._files = {name: ProbeFile(folder / f"{name.replace(':', '_')}.probe") for name in plans}
        self._wheel = wheel
        self._now = now
        self._report = report
        self._timer = Timer(self._beat)
        self._under_way: dict[str, _Probe] = {}
        self._is_hindered = False
        self.notes: dict[str, ProbeNote] = {}
        if plans:
            wheel.arm(self._timer, LOOK_S)

    def close(self) -> None:
        """Probe no more."""
        self._timer.disarm()
        for probe in self._under_way.values():
            probe.cancel()
        self._under_way.clear()
        for file in self._files.values():
            file.close()

    def _beat(self) -> None:
        try:
            self.look()
            self._is_hindered = False
        except OSError as error:
            if not self._is_hindered:  # said once, not twice a second
                self._report(f"targets cannot be probed: {error.strerror}")
            self._is_hindered = True
        finally:
            self._wheel.arm(self._timer, LOOK_S)

    def look(self) -> None:
        """See to every breaker. Raises OSError."""
        now_s = self._now()
        open_: dict[str, list[Health]] = {}
        for target in self._targets():
            if target.provider in self._plans and target.station.health.is_open(now_s):
                open_.setdefault(target.provider, []).append(target.station.health)
        for name, healths in open_.items():
            self._see_to(name, healths, now_s)

    def _see_to(self, name: str, healths: Sequence[Health], now_s: float) -> None:
        plan, file = self._plans[name], self._files[name]
        note = file.read(now_s)
        if note is not None:
            self.notes[name] = note
        for health in healths:
            _apply(plan, note, health, now_s)
        is_due = note is None or now_s >= note.began_s + plan.every_s
        if is_due and name not in self._under_way and file.try_lock():
            again = file.read(now_s)
            if again != note and again is not None:  # another worker was just done
                file.unlock()
                return
            self._begin(name, plan, now_s)

    def _begin(self, name: str, plan: ProbePlan, now_s: float) -> None:
        def ended(verdict: Verdict) -> None:
            self._under_way.pop(name, None)
            file, note = self._files[name], ProbeNote(now_s, verdict)
            self.notes[name] = note
            try:
                file.write(note)
                file.unlock()
            except OSError as error:
                self._report(f"the result of a probe cannot be written: {error.strerror}")

        probe = self._under_way[name] = _Probe(plan, ended)
        probe.start()


def _apply(plan: ProbePlan, note: ProbeNote | None, health: Health, now_s: float) -> None:
    """What the last result means for an open breaker."""
    is_old = note is None or now_s > note.began_s + plan.every_s + plan.wait_s
    if note is not None and not is_old and note.verdict is Verdict.FAILED:
        health.hold_open(note.began_s + plan.every_s + plan.wait_s, has_failed=True)
    elif note is not None and note.began_s >= health.opened_s:
        if note.verdict is Verdict.GOOD:
            health.half_open(now_s)
    else:  # the next result decides; it must be in by then
        begins_s = health.opened_s if note is None or is_old else max(health.opened_s, note.began_s + plan.every_s)
        health.hold_open(begins_s + plan.wait_s, has_failed=False)


__all__ = ["LOOK_S", "ProbeFile", "ProbeNote", "ProbePlan", "Prober", "Verdict"]
