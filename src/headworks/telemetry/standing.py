"""How a worker stands at one moment: its targets, its quotas, who waits. And how several workers stand together.

A worker leaves this with its figures once a second (`sharing`); nothing of it is kept while calls are served.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Literal, TypeVar

import msgspec

from headworks.calls import PRIORITIES
from headworks.telemetry.exposition import head, label_text

Item = TypeVar("Item")

Breaker = Literal["closed", "half_open", "open"]

BREAKERS: tuple[Breaker, ...] = ("closed", "half_open", "open")
"""From the best to the worst."""

Held = Literal["", "streams", "whole answers"]
"""What alone of a target's answers is held back, since it fails while the rest does not."""

Probe = Literal["", "good", "failed", "silent"]

PROBES: tuple[Probe, ...] = ("good", "failed", "silent")
"""What an active probe finds: the target is well, it is not, or the answer says neither."""

MOST_TARGETS = 200
MOST_QUOTAS = 400
MOST_QUEUES = 100
"""Bounds on what is published, and on the labels of `/metrics`: names of models, keys and teams may be many."""


class TargetStanding(msgspec.Struct, frozen=True):
    """One model at one provider, through one pool. Times are in seconds; counts are of the last 20.

    Attributes:
        target: `provider/model`, with several pools `provider:pool/model`.
        open_for_s: since the breaker opened; 0 where it is closed.
        opens_in_s: until the next probe may be made.
        rests_s: until a rate limit or a refused key is over.
        pending: attempts under way.
        took_s: smoothed time to the head of an answer; 0 before the first.
        budget_used: share of the retry budget that is used up.
        probe: what the last active probe of its pool has found; empty before the first, and where there are none.
        probed_ago_s: since then.
        shutdown_on: the ISO day (UTC) from which its provider serves the model no more; "" where none is known.
        rest_for: the kind of the failure that it rests for (`calls.FailureKind`); "" where it does not.
        held: what alone is held back, by a breaker of its own; "" where nothing is.
    """

    target: str
    breaker: Breaker
    open_for_s: float
    opens_in_s: float
    rests_s: float
    pending: int
    took_s: float
    calls: float
    failures: float
    budget_used: float
    probe: Probe = ""
    probed_ago_s: float = 0.0
    shutdown_on: str = ""
    rest_for: str = ""
    held: Held = ""


class QuotaStanding(msgspec.Struct, frozen=True):
    """One quota, in requests or tokens.

    Attributes:
        of: whose it is: `target/...`, `key/...` or `team/...`.
        kind: `rpm`, `rpd`, `tpm`, `tpd`, `itpm` or `otpm`.
        limit: what may be spent in the window.
        used: what these workers have spent in it, since they started at the earliest.
        held: what they may spend without asking.
        unreported: what they have spent and not yet told who keeps the books.
    """

    of: str
    kind: str
    limit: int
    window_s: float
    used: float
    held: int
    unreported: int

    @property
    def headroom(self) -> float:
        """What may still be spent in the window, as far as these workers know."""
        return max(0.0, self.limit - self.used)


class QueueStanding(msgspec.Struct, frozen=True):
    """Calls that wait for room. `of` as in `QuotaStanding`; `by_priority` counts those of each class."""

    of: str
    calls: int
    by_priority: tuple[int, ...]


class Standing(msgspec.Struct, frozen=True):
    """All of it. `is_away` says that who keeps the books of quotas does not answer; `sheds_from` is the highest class
    whose calls are refused because there is too much to do, every lower one with it, `PRIORITIES` where none is;
    `left_out` counts targets, quotas and queues beyond the bounds; `forgot_s` is the latest wish to forget answers in
    memory that was fulfilled, in Unix seconds."""

    is_ready: bool = False
    is_away: bool = False
    targets: tuple[TargetStanding, ...] = ()
    quotas: tuple[QuotaStanding, ...] = ()
    queues: tuple[QueueStanding, ...] = ()
    left_out: int = 0
    sheds_from: int = PRIORITIES
    forgot_s: float = 0.0


def bounded(standing: Standing) -> Standing:
    """The same within the bounds: what is not well, and what is used most, comes before the rest."""
    targets = _first(standing.targets, MOST_TARGETS, lambda one: (_is_well(one), -one.pending, -one.calls))
    quotas = _first(standing.quotas, MOST_QUOTAS, lambda one: (-one.used / max(1, one.limit),))
    queues = _first(standing.queues, MOST_QUEUES, lambda one: (-one.calls,))
    shown = len(targets) + len(quotas) + len(queues)
    there = len(standing.targets) + len(standing.quotas) + len(standing.queues)
    return Standing(
        standing.is_ready,
        standing.is_away,
        tuple(sorted(targets, key=lambda one: one.target)),
        tuple(sorted(quotas, key=lambda one: (one.of, one.kind))),
        tuple(sorted(queues, key=lambda one: one.of)),
        standing.left_out + there - shown,
        standing.sheds_from,
        standing.forgot_s,
    )


def together(standings: Sequence[Standing]) -> Standing:
    """How several workers stand. Each has a breaker of its own: of a target the worst one is shown, with the longest
    rest and the fullest retry budget; attempts and calls are summed up, and the time is the mean of all calls. The
    quota's amount is the same for all; what is used and held of it is summed up."""
    targets: dict[str, list[TargetStanding]] = {}
    quotas: dict[tuple[str, str], list[QuotaStanding]] = {}
    queues: dict[str, QueueStanding] = {}
    for standing in standings:
        for target in standing.targets:
            targets.setdefault(target.target, []).append(target)
        for quota in standing.quotas:
            quotas.setdefault((quota.of, quota.kind), []).append(quota)
        for queue in standing.queues:
            before = queues.get(queue.of)
            queues[queue.of] = queue if before is None else _queue(before, queue)
    return bounded(
        Standing(
            bool(standings) and all(one.is_ready for one in standings),
            any(one.is_away for one in standings),
            tuple(map(_target, targets.values())),
            tuple(map(_quota, quotas.values())),
            tuple(queues.values()),
            max((one.left_out for one in standings), default=0),
            min((one.sheds_from for one in standings), default=PRIORITIES),
            min((one.forgot_s for one in standings), default=0.0),
        )
    )


def _target(seen: Sequence[TargetStanding]) -> TargetStanding:
    calls = sum(one.calls for one in seen)
    timed = [one for one in seen if one.took_s]
    weights = sum(one.calls for one in timed)
    took_s = (
        sum(one.took_s * one.calls for one in timed) / weights
        if weights
        else max((one.took_s for one in timed), default=0.0)
    )
    worst = max(seen, key=lambda one: (BREAKERS.index(one.breaker), one.open_for_s))
    longest = max(seen, key=lambda one: one.rests_s)
    probed = min((one for one in seen if one.probe), key=lambda one: one.probed_ago_s, default=worst)
    return TargetStanding(
        worst.target,
        worst.breaker,
        worst.open_for_s,
        worst.opens_in_s,
        longest.rests_s,
        sum(one.pending for one in seen),
        took_s,
        calls,
        sum(one.failures for one in seen),
        max(one.budget_used for one in seen),
        probed.probe,
        probed.probed_ago_s,
        worst.shutdown_on,
        longest.rest_for,
        next((one.held for one in seen if one.held), ""),
    )


def _queue(one: QueueStanding, other: QueueStanding) -> QueueStanding:
    by_priority = tuple(map(sum, zip_longest(one.by_priority, other.by_priority, fillvalue=0)))
    return QueueStanding(one.of, one.calls + other.calls, by_priority)


def _quota(seen: Sequence[QuotaStanding]) -> QuotaStanding:
    return msgspec.structs.replace(
        seen[0],
        used=sum(one.used for one in seen),
        held=sum(one.held for one in seen),
        unreported=sum(one.unreported for one in seen),
    )


def render_standing(standing: Standing) -> list[str]:
    """The lines of `/metrics` about it. They need no key to be read: they name no key and no team."""
    targets = [(label_text((("target", one.target),)), one) for one in standing.targets]
    quotas = [(label_text((("quota", one.of), ("kind", one.kind))), one) for one in standing.quotas if _is_open(one.of)]
    waiting: dict[tuple[str, int], int] = {}
    for queue in standing.queues:
        of = queue.of if _is_open(queue.of) else "callers"
        for priority, calls in enumerate(queue.by_priority):
            waiting[of, priority] = waiting.get((of, priority), 0) + calls
    lines = head("breaker_state", "1 for the state of the target's breaker, the worst of all workers'.", "gauge")
    for labels, target in targets:
        lines += [
            f'headworks_breaker_state{{{labels},state="{state}"}} {int(target.breaker == state)}' for state in BREAKERS
        ]
    lines += head("answers_held", "1 where such answers fail while the rest does not, and are held back.", "gauge")
    lines += [
        f'headworks_answers_held{{{labels},answers="{label}"}} {int(target.held == held)}'
        for labels, target in targets
        for held, label in _HELD
    ]
    lines += head("probe_result", "1 for what the last active probe of the target's pool has found.", "gauge")
    probed = [(labels, target) for labels, target in targets if target.probe]
    lines += [
        f'headworks_probe_result{{{labels},result="{result}"}} {int(target.probe == result)}'
        for labels, target in probed
        for result in PROBES
    ]
    lines += head("probe_age_seconds", "Since that probe.", "gauge")
    lines += [f"headworks_probe_age_seconds{{{labels}}} {target.probed_ago_s:g}" for labels, target in probed]
    lines += head("target_shutdown_timestamp_seconds", "When the target's model is shut down, in Unix time.", "gauge")
    lines += [
        f"headworks_target_shutdown_timestamp_seconds{{{labels}}} {_midnight(target.shutdown_on):.0f}"
        for labels, target in targets
        if target.shutdown_on
    ]
    for name, description, of_target in _TARGET_GAUGES:
        lines += head(name, description, "gauge")
        lines += [f"headworks_{name}{{{labels}}} {of_target(target):g}" for labels, target in targets]
    for name, description, of_quota in _QUOTA_GAUGES:
        lines += head(name, description, "gauge")
        lines += [f"headworks_{name}{{{labels}}} {of_quota(quota):.10g}" for labels, quota in quotas]
    lines += head("queue_waiting", "Calls that wait, by whose quotas they wait for and by priority.", "gauge")
    lines += [
        f"headworks_queue_waiting{{{label_text((('queue', of), ('priority', str(priority))))}}} {calls}"
        for (of, priority), calls in waiting.items()
    ]
    lines += head("priority_refused", "Whether a worker has too much to do for calls of this priority.", "gauge")
    lines += [
        f'headworks_priority_refused{{priority="{priority}"}} {int(priority >= standing.sheds_from)}'
        for priority in range(PRIORITIES)
    ]
    lines += head("standing_left_out", "Targets, quotas and queues beyond the bound on labels.", "gauge")
    return [*lines, f"headworks_standing_left_out {standing.left_out}"]


def _midnight(day: str) -> float:
    return dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC).timestamp()


def _is_open(of: str) -> bool:
    return of.startswith("target/")


_HELD: tuple[tuple[Held, str], ...] = (("streams", "streamed"), ("whole answers", "whole"))

_TARGET_GAUGES: tuple[tuple[str, str, Callable[[TargetStanding], float]], ...] = (
    ("target_pending", "Attempts under way.", lambda one: one.pending),
    ("target_rest_seconds", "Until a rate limit or a refused key is over, the longest.", lambda one: one.rests_s),
    ("target_head_seconds", "Smoothed time to the head of an answer, mean of all workers.", lambda one: one.took_s),
    ("target_recent_calls", "Attempts that ended in the last 20 seconds.", lambda one: one.calls),
    ("target_recent_failures", "Those of them that the breaker counts as failed.", lambda one: one.failures),
    ("retry_budget_used_ratio", "Share of the retry budget that is used up, the most.", lambda one: one.budget_used),
)

_QUOTA_GAUGES: tuple[tuple[str, str, Callable[[QuotaStanding], float]], ...] = (
    ("quota_limit", "Requests or tokens that may be spent in the quota's window.", lambda one: one.limit),
    ("quota_window_seconds", "The quota's window.", lambda one: one.window_s),
    ("quota_used", "Spent in the window by this gateway's workers, since they started.", lambda one: one.used),
    ("quota_held", "Leased to workers and not spent.", lambda one: one.held),
    ("quota_unreported", "Spent by workers and not yet told to who keeps the books.", lambda one: one.unreported),
)


def _is_well(target: TargetStanding) -> bool:
    return target.breaker == "closed" and not target.rests_s and not target.held


def _first(items: Sequence[Item], most: int, rank: Callable[[Item], tuple[float, ...]]) -> Sequence[Item]:
    return items if len(items) <= most else sorted(items, key=rank)[:most]
