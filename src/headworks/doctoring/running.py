"""How a running gateway stands, from what its processes leave in its state folder.

No connection is opened, and no call made. A gateway that hangs or was killed leaves its last words, and their time
tells.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from headworks.calls import PRIORITIES, FailureKind
from headworks.config import Project, store_url
from headworks.doctoring.store import Backlog, backlog_of, judge_backlog
from headworks.records import JOURNAL_FOLDER, has_store
from headworks.secrets import SecretsStanding, read_standing
from headworks.state_claim import Holder, read_holder
from headworks.telemetry import RUN_FOLDER, Left, Standing, read_left, together

STALE_S = 5.0
"""Workers publish once a second: one that has not for so long hangs, or was killed with its supervisor."""


_REFUSED = {
    FailureKind.UNAUTHORIZED.value: "its provider refuses the key, so put a good one where `api_key` says",
    FailureKind.QUOTA.value: "its provider says that the project is out of credit, so buy some or raise its limit",
}
"""What a target rests for that only a person mends. A rate limit passes."""


class SinkSeen(msgspec.Struct, frozen=True):
    """A sink of records: how many it is still to be given, how often in a row it has failed, and how many seconds ago
    it has last taken some; None: it has not since the control plane began."""

    name: str
    pending: int
    failures: int
    taken_ago_s: float | None


class Running(msgspec.Struct, frozen=True):
    """What there is to see of a gateway.

    Attributes:
        state: *running*, *none* (never started, or stopped), or *stale*: it was killed or hangs.
        seen_s: seconds since the newest of its words; 0 where there are none.
        workers: how many publish.
        workers_compiled: of how many the hot path runs compiled.
        is_ready: all of them take calls.
        books: who keeps the books of quotas that workers share: the control plane or Valkey.
        are_books_away: a worker that asks them gets no answer.
        standing: of all workers together; empty unless running.
        waiting_bytes: in journals and not in the store.
        sinks: what records are given to beside the store.
        problems: what is not well, in sentences; none: all is.
    """

    state: Literal["running", "none", "stale"]
    seen_s: float
    workers: int
    is_ready: bool
    calls_in_flight: int
    calls_waiting: int
    books: Literal["control plane", "Valkey"]
    are_books_away: bool
    standing: Standing
    waiting_bytes: int
    sinks: tuple[SinkSeen, ...]
    problems: tuple[str, ...]
    workers_compiled: int = 0


def look_at_running(project: Project, *, now_s: float) -> Running:
    """How the gateway of this project stands.

    Arguments:
        now_s: Unix seconds.

    Raises:
        StorageError, OSError: its state folder cannot be read.
    """
    folder = project.storage / RUN_FOLDER
    left = read_left(folder) if folder.is_dir() else []
    backlog = Backlog(0.0, 0, 0, 0)
    url = store_url(project)
    if has_store(project.storage, url) and (project.storage / JOURNAL_FOLDER).is_dir():
        backlog = backlog_of(project.storage, url, now_s=now_s)
    drained = judge_backlog(backlog, project.config.storage.journal_bytes)
    found = judge_left(left, now_s=now_s, books="Valkey" if project.config.quotas.valkey else "control plane")
    problems = found.problems if drained.verdict == "ok" else (*found.problems, drained.says)
    if found.state == "running":
        problems = (*problems, *_stale(read_standing(folder), now_s))
    return msgspec.structs.replace(found, waiting_bytes=backlog.waiting_bytes, problems=problems)


def fresh_workers(project: Project, *, now_s: float) -> list[Left]:
    """What the workers of this project's gateway have published of late.

    Arguments:
        now_s: Unix seconds.

    Raises:
        OSError: its state folder cannot be read.
    """
    folder = project.storage / RUN_FOLDER
    return _fresh(read_left(folder), now_s) if folder.is_dir() else []


def find_running(project: Project, *, now_s: float) -> Holder | None:
    """The gateway of this project that runs, and where it listens, whatever the file says of that (`headworks serve
    --port`); None where none runs, or it is not known where.

    Arguments:
        now_s: Unix seconds.

    Raises:
        OSError: its state folder cannot be read.
    """
    if not fresh_workers(project, now_s=now_s):
        return None
    holder = read_holder(project.storage)
    return holder if holder is not None and holder.port else None


def judge_left(left: Sequence[Left], *, now_s: float, books: Literal["control plane", "Valkey"]) -> Running:
    """What follows from the words that processes left."""
    serving = [one for one in left if one.standing is not None]
    fresh = _fresh(serving, now_s)
    standing = together([one.standing for one in fresh if one.standing is not None])
    seen_s = max(0.0, now_s - max((one.left_s for one in serving), default=now_s))
    sinks = _sinks(left, now_s)
    state: Literal["running", "none", "stale"] = "running" if fresh else "stale" if serving else "none"
    return Running(
        state,
        round(seen_s, 1),
        len(fresh),
        standing.is_ready,
        round(sum(one.gauges.get("calls_in_flight", 0.0) for one in fresh)),
        round(sum(one.gauges.get("calls_waiting", 0.0) for one in fresh)),
        books,
        standing.is_away,
        standing,
        0,
        sinks if fresh else (),
        (*_problems(state, seen_s, left, fresh, standing, books), *(_failing(sinks) if fresh else ())),
        round(sum(one.gauges.get("workers_compiled", 0.0) for one in fresh)),
    )


def _fresh(left: Sequence[Left], now_s: float) -> list[Left]:
    """Of workers that have published of late."""
    return [one for one in left if one.standing is not None and now_s - one.left_s < STALE_S]


def _sinks(left: Sequence[Left], now_s: float) -> tuple[SinkSeen, ...]:
    families = next((one.families for one in left if one.worker == "sinks"), {})

    def of(name: str) -> dict[tuple[str, ...], float]:
        family = families.get(name)
        return {} if family is None else family.values

    pending, taken = of("sink_pending_records"), of("sink_last_taken_timestamp_seconds")
    return tuple(
        SinkSeen(
            labels[0],
            round(pending.get(labels, 0)),
            round(failures),
            None if labels not in taken else round(max(0.0, now_s - taken[labels]), 1),
        )
        for labels, failures in of("sink_failures").items()
    )


def _failing(sinks: Sequence[SinkSeen]) -> list[str]:
    return [
        f"the sink {one.name} has failed {one.failures} times in a row: its records wait in the store; the log says why"
        for one in sinks
        if one.failures
    ]


def _stale(standing: SecretsStanding | None, now_s: float) -> list[str]:
    """The provider keys that could not be looked at."""
    return [
        f"{'calls with it are refused' if one.is_expired else 'the last known key goes on'}, of "
        f"{max(0.0, now_s - one.looked_s):,.0f} s ago: {one.problem}"
        for one in (() if standing is None else standing.secrets)
        if one.problem
    ]


def _priorities_from(standing: Standing) -> str:
    """The classes whose calls are refused, in words."""
    first, last = standing.sheds_from, PRIORITIES - 1
    return f"{first}" if first == last else f"{first} to {last}"


def _problems(
    state: str, seen_s: float, left: Sequence[Left], fresh: Sequence[Left], standing: Standing, books: str
) -> list[str]:
    if state == "none":
        return ["no gateway of this project is running"]
    if state == "stale":
        return [f"the gateway's last word is {seen_s:,.0f} s old: it hangs, or was killed"]
    problems = [] if standing.is_ready else ["not every worker takes calls"]
    alive = {one.worker for one in fresh}
    newest_s = max(one.left_s for one in fresh)
    for one in left:
        if one.worker.startswith("worker_") and one.worker not in alive:
            how = "has died or ended" if one.standing is None else f"says nothing for {newest_s - one.left_s:,.0f} s"
            problems.append(f"{one.worker} {how}")
    problems += [
        f"{target.target}: its circuit breaker is open for {target.open_for_s:,.0f} s"
        for target in standing.targets
        if target.breaker == "open"
    ]
    problems += [
        f"{target.target}: its {target.held} fail and are not asked for, while the rest of its answers is good"
        for target in standing.targets
        if target.held and target.breaker == "closed"
    ]
    problems += [
        f"{target.target}: {_REFUSED[target.rest_for]}; it is asked again in {target.rests_s:,.0f} s"
        for target in standing.targets
        if target.rest_for in _REFUSED
    ]
    if standing.sheds_from < PRIORITIES:
        problems.append(f"a worker has too much to do: it refuses calls of priority {_priorities_from(standing)}")
    refused = round(sum(one.gauges.get("provider_keys_refused", 0.0) for one in fresh))
    if refused:
        problems.append(
            "the newest key of a provider is refused: an older one is used (`headworks keys provider status`)"
        )
    if standing.is_away:
        problems.append(f"{books} does not answer: workers live on their share of each quota, or refuse")
    return problems
