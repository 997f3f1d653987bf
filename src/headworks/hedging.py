"""Step 8 of a workload's stream whose first token is late: a second target is asked as well, and whoever begins first
is taken (Dean and Barroso, "The Tail at Scale", 2013: hedged requests).
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter

from headworks.answering import STOPPED, with_patience_of
from headworks.attempts import JUDGED, tell
from headworks.calls import NO_USAGE, AttemptFailed, Failure, Usage
from headworks.flow import Ending, Signal, any_of
from headworks.outcome import charge, estimate_usage
from headworks.plans import Plan
from headworks.routing.attempt import Later
from headworks.settlement import OpenCall
from headworks.stream_terms import Hedge, Lane, StreamTerms

LATE_SHARE = 0.95
"""A first token is late when so many of those before it were quicker."""

LEAST_SEEN = 20
"""With fewer of them nothing is late: one in twenty is what the share is about."""

MOST_SEEN = 256
_AGAIN_EVERY = 16


class FirstTokens:
    """When streams began, of one target of one workload, as this process has seen it. State: the latest times."""

    __slots__ = ("_late_s", "_since", "_times_s")

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=MOST_SEEN)
        self._late_s: float | None = None
        self._since = 0

    def note(self, took_s: float) -> None:
        """A stream began after so many seconds; or had not begun by then, and was given up. To leave those out would
        make every later one seem late."""
        self._times_s.append(took_s)
        self._since += 1

    @property
    def late_s(self) -> float | None:
        """After how many seconds a stream is late; None as long as too little is known."""
        if len(self._times_s) < LEAST_SEEN:
            return None
        if self._late_s is None or self._since >= _AGAIN_EVERY:
            self._since = 0
            times_s = sorted(self._times_s)
            self._late_s = times_s[int(LATE_SHARE * len(times_s))]
        return self._late_s


async def race(
    call: OpenCall,
    first: Lane,
    hedge: Hedge,
    begin: Callable[[OpenCall, Plan, StreamTerms], Lane],
    ending: Ending,
    later: Later,
) -> Lane:
    """Wait for a stream to begin; where it is late, begin a second one and give one of them up.

    Arguments:
        first: what is under way; `ending` knows how to end it.
        begin: begins another.

    Returns:
        Whoever has begun, or has failed when nobody had; or `first`, where it was not late.
    """
    late: Signal[None] = Signal()
    left_s = hedge.after_s - (perf_counter() - first.sent_s)
    timer = later(max(0.0, left_s), partial(late.set, None))
    try:
        await any_of(first.sink.started, late)
    finally:
        timer.cancel()
    if _has_started(first):
        return first
    second = _second(call, first, hedge, begin)
    if second is None:
        return first

    def stop() -> None:
        first.sink.on_failure(STOPPED)
        second.sink.on_failure(STOPPED)

    ending.act = stop
    try:
        await any_of(first.sink.started, second.sink.started)
        is_first = _has_started(first)
        winner, other = (first, second) if is_first else (second, first)
        if _failure_of(winner) is not None:
            winner, other = other, winner
            await winner.sink.started
    except BaseException:
        second.flight.cancel()
        second.plan.target.station.health.gave_up(call.is_streamed)
        raise
    how, lost = _give_up(call, other)
    call.provider, call.model, call.sent_s = winner.plan.target.provider, winner.plan.target.model, winner.sent_s
    ending.act = partial(winner.sink.on_failure, STOPPED)
    return hedge.decided(first, winner, other, how, lost)


def _second(
    call: OpenCall, first: Lane, hedge: Hedge, begin: Callable[[OpenCall, Plan, StreamTerms], Lane]
) -> Lane | None:
    asked = hedge.ask()
    if asked is not None:
        try:
            return begin(call, *asked)
        except AttemptFailed:  # it rests, or has no room: the first goes on, as if nobody had asked
            pass
    call.provider, call.model, call.sent_s = first.plan.target.provider, first.plan.target.model, first.sent_s
    return None


def _has_started(lane: Lane) -> bool:
    return lane.sink.started.is_set


def _failure_of(lane: Lane) -> Failure | None:
    """Why a stream is none, once that is known."""
    sink = lane.sink
    if not sink.started.is_set:
        return None
    if sink.started.value is not None or not sink.is_error:
        return sink.started.value
    failure = lane.plan.target.station.provider.classify(sink.status, sink.headers, sink.error_body)
    return with_patience_of(failure, sink.headers)


def _give_up(call: OpenCall, lane: Lane) -> tuple[str, Usage]:
    """End a stream that is not taken: how it stood, for the record, and what it used, which is charged."""
    failure = _failure_of(lane)
    health = lane.plan.target.station.health
    lane.flight.cancel()
    call.sent_s, call.head_s = lane.sent_s, lane.sink.head_s
    if failure is None:
        health.gave_up(call.is_streamed)
    else:
        tell(health, call, failure)
    call.usage = NO_USAGE
    if lane.steps is not None and (failure is None or failure.kind in JUDGED):
        # What was asked of it is paid for, however far it has come.
        summary = lane.steps.summary()
        call.usage = summary.usage or NO_USAGE
        estimate_usage(call, lane.plan, summary.text)
        charge(call, lane.plan)
    lost, call.usage = call.usage, NO_USAGE
    return "given up" if failure is None else failure.kind.value, lost
