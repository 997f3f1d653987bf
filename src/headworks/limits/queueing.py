"""The queue of calls that wait for room in a quota: fair between teams, by priority, without starvation. Pure.

    queue = FairQueue(target_limits, max_waiters=1_000)
    waiter = Waiter(limits, tokens, deadline_s, on_ready, on_refused, flow="team-a", priority=1)
    wait_s = queue.enter(waiter, now_s)      # None: it waits, and one of the two is called, once
    queue.leave(waiter)                      # its caller has gone: nothing stays behind
    wake_s = queue.pump(now_s)               # serve whom there is room for; call again by then

Between *flows* (teams) it is start-time fair queueing by tokens: who was served least for its weight goes first, and
within a flow who came first. A lower *priority* number goes before every higher one; a waiter moves up one class for
each `ageing_s` that it waits, so nobody waits for ever. Where the head lacks room in what all share, nobody overtakes
it, or a large call would never be served; where it lacks room in a quota of its own (its key's), others go on.
"""

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Collection

from headworks.calls import PRIORITIES, USUAL_PRIORITY
from headworks.limits.holding import LimitSet, Reservation
from headworks.limits.tokens import TokenCount, whole

_AGEING_S = 10.0
_MOST_SKIPPED = 64
"""Waiters that are passed over in one go because of quotas of their own; more would make a pump slow."""

_STALE_ALLOWED = 64
"""Times and flows without meaning that may lie about before they are swept."""


class Waiter:
    """One call that waits.

    Arguments:
        limits: all quotas that the call is under, the queue's shared ones among them.
        tokens: to reserve.
        deadline_s: when it is of no use any more.
        on_ready: called with the reservation when it has been made.
        on_refused: called with the seconds after which to try again, when the deadline has passed.
        flow: whose share it is served from, a team's name say.
        weight: of that share; of a flow's waiters, the one that came last says.
    """

    __slots__ = (
        "cost", "deadline_s", "entered_s", "flow", "lane", "limits", "look", "on_ready", "on_refused", "priority",
        "tokens", "weight",
    )  # fmt: skip

    def __init__(
        self,
        limits: LimitSet,
        tokens: TokenCount,
        deadline_s: float,
        on_ready: Callable[[Reservation], None],
        on_refused: Callable[[float], None],
        *,
        flow: str = "",
        weight: float = 1.0,
        priority: int = USUAL_PRIORITY,
    ) -> None:
        self.limits = limits
        self.tokens = tokens
        self.cost = max(1, whole(tokens))  # of its flow's share
        self.deadline_s = deadline_s
        self.on_ready = on_ready
        self.on_refused = on_refused
        self.flow = flow
        self.weight = weight
        self.priority = min(max(priority, 0), PRIORITIES - 1)
        self.entered_s = 0.0
        self.lane: _Lane | None = None  # where it waits; None when it does not
        self.look: _Look | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether neither of its callbacks was called, and it has not left."""
        return self.lane is not None


class _Look:
    """When to see to a waiter; without one, a time that has no meaning any more."""

    __slots__ = ("number", "time_s", "waiter")

    def __init__(self, time_s: float, number: int, waiter: Waiter) -> None:
        self.time_s = time_s
        self.number = number
        self.waiter: Waiter | None = waiter

    def __lt__(self, other: "_Look") -> bool:
        return (self.time_s, self.number) < (other.time_s, other.number)


class _Flow:
    """A flow's place on the virtual clock, as long as any of it waits or it is ahead of that clock."""

    __slots__ = ("lanes", "name", "tag", "weight")

    def __init__(self, name: str, weight: float, tag: float) -> None:
        self.name = name
        self.weight = weight
        self.tag = tag
        self.lanes = 0


class _Lane:
    """The waiters of one flow in one class, who came first first."""

    __slots__ = ("cost", "flow", "priority", "waiters")

    def __init__(self, flow: _Flow, priority: int) -> None:
        self.flow = flow
        self.priority = priority
        self.cost = 0
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()


class FairQueue:
    """Those who wait for one set of shared quotas. State: the lanes, the flows, and the times at which to look.

    Arguments:
        shared: the quotas that all waiters have in common.
        max_waiters: who comes when so many wait is refused, unless somebody of a lower class can be refused instead.
        ageing_s: seconds of waiting that are worth one class of priority.
    """

    def __init__(self, shared: LimitSet, *, max_waiters: int = 1_000, ageing_s: float = _AGEING_S) -> None:
        self._shared = shared
        self._shared_meters = frozenset(map(id, shared.meters))
        self._max_waiters = max_waiters
        self._ageing_s = ageing_s
        self._classes: tuple[OrderedDict[str, _Lane], ...] = tuple(OrderedDict() for _ in range(PRIORITIES))
        self._flows: dict[str, _Flow] = {}
        self._virtual = 0.0
        self._waiting = 0
        self._looks: list[_Look] = []  # a heap
        self._numbers = 0
        self._is_pumping = False

    def __len__(self) -> int:
        return self._waiting

    @property
    def shared(self) -> LimitSet:
        """The quotas that all who wait have in common."""
        return self._shared

    def enter(self, waiter: Waiter, now_s: float) -> float | None:
        """Let a call wait: None. Or refuse it at once, when it could not be served by its deadline or too many wait:
        the seconds after which to try again (infinity: never); its callbacks are not called then. Where too many wait,
        one of a lower class makes room: it is refused, through its callback."""
        wait_s = self.wait_s(waiter, now_s)
        if now_s + wait_s > waiter.deadline_s:
            return wait_s
        if self._waiting >= self._max_waiters:
            last = self._last_below(waiter.priority)
            if last is None:
                return wait_s
            self._refuse(last, now_s)
        waiter.entered_s = now_s
        self._join(waiter, waiter.priority)
        self._waiting += 1
        waiter.limits.begin_waiting(waiter.tokens)
        self._look_at(waiter, self._next_look(waiter))
        return None

    def leave(self, waiter: Waiter) -> None:
        """The call is gone; harmless when it does not wait. Takes the same time however many wait."""
        if waiter.lane is not None:
            self._remove(waiter)

    def wait_s(self, waiter: Waiter, now_s: float) -> float:
        """In how many seconds a call that entered now would be served, as far as can be known: after all of a higher
        class, after its own flow's, and after as much of each other flow as its weight gives that meanwhile."""
        ahead = 0.0
        for priority in range(waiter.priority):
            ahead += sum(lane.cost for lane in self._classes[priority].values())
        lanes = self._classes[waiter.priority]
        mine = lanes.get(waiter.flow)
        own = waiter.cost + (mine.cost if mine is not None else 0)
        for lane in lanes.values():
            if lane is mine:
                ahead += lane.cost
            else:
                ahead += min(float(lane.cost), own * lane.flow.weight / waiter.weight)
        calls = self._waiting * ahead / self._cost() if self._waiting else 0.0
        own_s = waiter.limits.wait_s(waiter.tokens, now_s)
        return max(own_s, self._shared.wait_s(waiter.tokens, now_s, calls, ahead))

    def pump(self, now_s: float) -> float:
        """Refuse whose deadline has passed, move up who has waited long, and serve whom there is room for. Returns
        when to call again at the latest; infinity when nobody waits. To be called, too, when there is more room.
        Callbacks may let calls enter and leave."""
        if self._is_pumping:  # from a callback; the one under way goes on anyway
            return now_s
        self._is_pumping = True
        try:
            self._look(now_s)
            self._serve(now_s)
        finally:
            self._is_pumping = False
        while self._looks and self._looks[0].waiter is None:
            heapq.heappop(self._looks)
        return self._wake_s(now_s)

    def _wake_s(self, now_s: float) -> float:
        if not self._waiting:
            return math.inf
        wake_s = self._looks[0].time_s
        head = self._next(())
        if head is not None:
            wait_s = head.limits.wait_s(head.tokens, now_s)
            wake_s = min(wake_s, now_s + max(wait_s, 0.001))
        return wake_s

    def _serve(self, now_s: float) -> None:
        passed: set[Waiter] = set()
        while (waiter := self._next(passed)) is not None:
            lane = waiter.lane
            assert lane is not None, "it waits"
            reservation = waiter.limits.reserve(waiter.tokens, now_s)
            if reservation is None:
                if id(waiter.limits.blocker) in self._shared_meters or len(passed) >= _MOST_SKIPPED:
                    return
                passed.add(waiter)
                continue
            flow = lane.flow
            self._virtual = max(self._virtual, flow.tag)
            flow.tag += waiter.cost / flow.weight
            self._remove(waiter)
            waiter.on_ready(reservation)
        self._forget()

    def _forget(self) -> None:
        """Drop flows of whom nobody waits and that the virtual clock has overtaken."""
        if len(self._flows) > 2 * self._waiting + _STALE_ALLOWED:
            for name in [n for n, f in self._flows.items() if not f.lanes and f.tag <= self._virtual]:
                del self._flows[name]

    def _next(self, passed: Collection[Waiter]) -> Waiter | None:
        """Who is to be served next, but for those who were passed over."""
        for lanes in self._classes:
            best: Waiter | None = None
            best_tag = math.inf
            for lane in lanes.values():
                if lane.flow.tag < best_tag:
                    first = next((waiter for waiter in lane.waiters if waiter not in passed), None)
                    if first is not None:
                        best, best_tag = first, lane.flow.tag
            if best is not None:
                return best
        return None

    def _last_below(self, priority: int) -> Waiter | None:
        """Who is refused for the sake of a call of this class: of the lowest class the flow that waits with the most,
        and of that who came last. Who has waited long is in a higher class by now."""
        for below in range(PRIORITIES - 1, priority, -1):
            lanes = self._classes[below].values()
            if lanes:
                return next(reversed(max(lanes, key=lambda lane: lane.cost).waiters))
        return None

    def _refuse(self, waiter: Waiter, now_s: float) -> None:
        self._remove(waiter)
        waiter.on_refused(waiter.limits.wait_s(waiter.tokens, now_s))

    def waiting(self) -> tuple[int, ...]:
        """How many wait in each class, as they came."""
        counts = [0] * PRIORITIES
        for lanes in self._classes:
            for lane in lanes.values():
                for waiter in lane.waiters:
                    counts[waiter.priority] += 1
        return tuple(counts)

    def _look(self, now_s: float) -> None:
        """See to those whose time has come."""
        while self._looks and self._looks[0].time_s <= now_s:
            waiter = heapq.heappop(self._looks).waiter
            if waiter is None or waiter.lane is None:
                continue
            if waiter.deadline_s <= now_s:
                self._refuse(waiter, now_s)
                continue
            lane = waiter.lane
            entry_priority = max(0, waiter.priority - int((now_s - waiter.entered_s) / self._ageing_s + 1e-9))
            if entry_priority < lane.priority:
                self._quit(waiter)
                self._join(waiter, entry_priority)
            self._look_at(waiter, max(self._next_look(waiter), now_s + 1e-6))

    def _next_look(self, waiter: Waiter) -> float:
        """When a waiter moves up, or else its deadline."""
        assert waiter.lane is not None, "it waits"
        if waiter.lane.priority == 0:
            return waiter.deadline_s
        classes_up = waiter.priority - waiter.lane.priority + 1
        return min(waiter.deadline_s, waiter.entered_s + classes_up * self._ageing_s)

    def _look_at(self, waiter: Waiter, time_s: float) -> None:
        self._numbers += 1
        waiter.look = _Look(time_s, self._numbers, waiter)
        heapq.heappush(self._looks, waiter.look)

    def _join(self, waiter: Waiter, priority: int) -> None:
        flow = self._flows.get(waiter.flow)
        if flow is None:
            flow = self._flows[waiter.flow] = _Flow(waiter.flow, waiter.weight, self._virtual)
        elif not flow.lanes:
            flow.tag = max(flow.tag, self._virtual)
        flow.weight = waiter.weight
        lane = self._classes[priority].get(waiter.flow)
        if lane is None:
            lane = self._classes[priority][waiter.flow] = _Lane(flow, priority)
            flow.lanes += 1
        lane.waiters[waiter] = None
        lane.cost += waiter.cost
        waiter.lane = lane

    def _quit(self, waiter: Waiter) -> None:
        """Out of its lane, which ends with its last waiter; so does a flow, unless it was served ahead of others: then
        it would be served ahead again if it came again at once."""
        lane = waiter.lane
        assert lane is not None, "it waits"
        waiter.lane = None
        del lane.waiters[waiter]
        lane.cost -= waiter.cost
        if not lane.waiters:
            flow = lane.flow
            del self._classes[lane.priority][flow.name]
            flow.lanes -= 1
            if not flow.lanes and flow.tag <= self._virtual:
                del self._flows[flow.name]

    def _remove(self, waiter: Waiter) -> None:
        self._quit(waiter)
        self._waiting -= 1
        waiter.limits.end_waiting(waiter.tokens)
        if waiter.look is not None:
            waiter.look.waiter = None
            waiter.look = None
        if len(self._looks) > 2 * self._waiting + _STALE_ALLOWED:  # so rarely that it costs each one nothing
            self._looks = [look for look in self._looks if look.waiter is not None]
            heapq.heapify(self._looks)
        if not self._waiting:
            self._flows.clear()
            self._virtual = 0.0

    def _cost(self) -> int:
        return sum(lane.cost for lanes in self._classes for lane in lanes.values())
