"""How this worker stands: the health of its targets, its quotas and what waits, read when somebody publishes it."""

from collections import deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from headworks.calls import PRIORITIES
from headworks.limiting import Limiter
from headworks.limits import QuotaMeter
from headworks.probing import ProbeNote
from headworks.routing import BreakerState, HealthView, RouteTable, Target
from headworks.stations import Station
from headworks.telemetry import PROBES, Held, QueueStanding, QuotaStanding, Standing, TargetStanding

_STEPS = 30
"""Marks that are kept of a quota's window: what was used in it is known to a thirtieth of its length."""


class WindowUse:
    """What was used in the window that ends now, from a sum that is looked at now and then.

    State: marks, the sum at a time, of which the oldest is the last one at or before the window's beginning.
    """

    def __init__(self, window_s: float, total: int, now_s: float) -> None:
        self._window_s = window_s
        self._marks = deque([(now_s, total)])

    def used(self, total: int, now_s: float) -> float:
        """Used in the window, now that the sum is `total`; since the first look, where the window began before."""
        marks = self._marks
        if now_s - marks[-1][0] >= self._window_s / _STEPS:
            marks.append((now_s, total))
        while len(marks) > 1 and marks[1][0] <= now_s - self._window_s:
            marks.popleft()
        return max(0.0, float(total - marks[0][1]))


class Surveyor:
    """Reads the standing of one worker. State, over reloads: what was used of each quota, and which nobody uses."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._uses: dict[str, tuple[float, WindowUse]] = {}
        self._idle: set[str] = set()

    def standing(
        self,
        table: RouteTable[Station],
        now_s: float,
        *,
        is_ready: bool,
        sheds_from: int = PRIORITIES,
        probe_notes: Mapping[str, ProbeNote] = MappingProxyType({}),
    ) -> Standing:
        """How it stands.

        Arguments:
            table: the targets of the configuration in force.
            now_s: monotonic.
            sheds_from: the highest class whose calls are refused.
            probe_notes: the last results of active probes, by pool.
        """
        targets = list(table.targets())
        ours = {meter for target in targets if target.station.limits for meter in target.station.limits.meters}
        return Standing(
            is_ready,
            self._limiter.is_away,
            tuple(_target(target, now_s, probe_notes.get(target.provider)) for target in targets),
            tuple(self._quotas(ours, now_s)),
            tuple(QueueStanding(of, sum(waiting), waiting) for of, waiting in self._limiter.queues()),
            sheds_from=sheds_from,
        )

    def _quotas(self, ours: set[QuotaMeter], now_s: float) -> Iterator[QuotaStanding]:
        """The quotas of configured targets, and those of keys, teams and other targets that were used of late."""
        for meter in self._limiter.meters:
            quota = meter.quota
            if not meter.is_kept and quota.name in self._idle and meter not in ours:
                continue  # there may be thousands of keys, and few that call
            window_s, use = self._uses.get(quota.name, (0.0, None))
            if use is None or window_s != quota.window_s:
                # What was spent before the first look was spent since this worker started, a second ago.
                use = WindowUse(quota.window_s, 0 if use is None else meter.spent, now_s)
                self._uses[quota.name] = (quota.window_s, use)
            used = use.used(meter.spent, now_s)
            if not (meter in ours or meter.is_kept or used):
                self._idle.add(quota.name)
            else:
                self._idle.discard(quota.name)
                of, _, kind = quota.name.rpartition("/")
                held = max(0, meter.balance) if now_s < meter.expires_s else 0
                yield QuotaStanding(of, kind, quota.amount, quota.window_s, used, held, meter.unreported)


def _target(target: Target[Station], now_s: float, note: ProbeNote | None) -> TargetStanding:
    view = target.station.health.view(now_s)
    model = target.station.price.model
    return TargetStanding(
        f"{target.provider}/{target.model}",
        view.state.value,
        view.open_for_s,
        view.opens_in_s,
        view.rests_s,
        view.pending,
        view.took_s,
        view.calls,
        view.failures,
        view.budget_used,
        "" if note is None else PROBES[note.verdict],
        0.0 if note is None else now_s - note.began_s,
        "" if model is None else model.shutdown_on,
        "" if view.rest_for is None else view.rest_for.value,
        _held(view),
    )


def _held(view: HealthView) -> Held:
    if view.streamed is not BreakerState.CLOSED:
        return "streams"
    return "whole answers" if view.whole is not BreakerState.CLOSED else ""


__all__ = ["Surveyor", "WindowUse"]
