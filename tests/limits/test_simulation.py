"""Many workers, one quota, a bad network: the quota holds by the count of somebody who only watches the calls."""

import heapq
import random

import pytest

from headworks.limits import FairQueue, LeaseKeeper, Ledger, LimitSet, LocalAuthority, Quota, Waiter

AMOUNT, WINDOW_S, WARM_S = 12_000, 2.0, 4.0


class Watcher:
    """A token bucket that sees only what is spent."""

    def __init__(self, amount, window_s):
        self.amount, self.rate = amount, amount / window_s
        self.level, self.at, self.spent, self.lowest = float(amount), 0.0, 0, float(amount)

    def spend(self, units, now):
        self.level = min(self.amount, self.level + (now - self.at) * self.rate) - units
        self.at = now
        self.spent += units
        self.lowest = min(self.lowest, self.level)


class Worker:
    def __init__(self, name, now):
        self.name, self.is_alive, self.serial = name, True, 0
        self.keeper = LeaseKeeper(now)
        self.meter = self.keeper.meter(Quota("q", AMOUNT, WINDOW_S))
        self.limits = LimitSet(requests=(self.meter,))
        self.backlog = 0
        self.flight = 0


def simulate(seed, *, workers, calls_per_s, seconds, loss=0.0, deaths_per_s=0.0, believes=False):  # noqa: C901 - a closure for each event
    """Poisson arrivals at workers that keep what they cannot serve at once. Messages take 1 to 60 ms each way and one
    in a hundred up to 500 ms, so that they overtake one another; some are lost, answers too. Returns the watcher, and
    what was spent of what refilled after the start.
    """
    chance = random.Random(seed)
    quota = Quota("q", AMOUNT, WINDOW_S)
    ledger, watcher = Ledger(quota, 0.0), Watcher(AMOUNT, WINDOW_S)
    events, order = [], iter(range(10**9))

    def at(time, do, *args):
        heapq.heappush(events, (time, next(order), do, args))

    def delay():
        return chance.uniform(0.001, 0.06 if chance.random() < 0.99 else 0.5)

    def start(now, name):
        worker = Worker(name, now)
        at(now + chance.random() * 0.1, arrive, worker)
        at(now + chance.random() * 0.1, beat, worker)
        at(now + 0.01, serve, worker)
        return worker

    def arrive(now, worker):
        if worker.is_alive:
            worker.backlog = min(worker.backlog + 1, 1_000)
            worker.meter.waiting = worker.backlog
            drain(now, worker)
            at(now + chance.expovariate(calls_per_s / workers), arrive, worker)

    def drain(now, worker):
        while worker.backlog and worker.limits.reserve(0, now):
            worker.backlog -= 1
            watcher.spend(1, now)
        worker.meter.waiting = worker.backlog

    def serve(now, worker):
        if worker.is_alive:
            drain(now, worker)
            at(now + 0.05, serve, worker)

    def beat(now, worker):
        if not worker.is_alive:
            return
        if believes:
            left = min(watcher.amount, watcher.level + (now - watcher.at) * watcher.rate)
            worker.meter.believe(int(left), 0.0, now)
        asks = worker.keeper.beat(now)
        if asks:
            worker.serial += 1
            worker.flight = flight = worker.serial
            if chance.random() >= loss:
                at(now + delay(), receive, worker, flight, asks)
            at(now + 0.25, give_up, worker, flight)
        at(max(min(worker.keeper.due_s(), now + 0.1), now + 0.01), beat, worker)

    def receive(now, worker, flight, asks):
        leases = [ledger.renew(worker.name, a.spent, a.wanted, now, remaining=a.remaining, serial=flight) for a in asks]
        assert ledger.held <= AMOUNT
        if chance.random() >= loss:
            at(now + delay(), answer, worker, flight, leases)

    def answer(now, worker, flight, leases):
        if worker.is_alive and worker.flight == flight:
            worker.flight = 0
            worker.keeper.take(leases, now)
            drain(now, worker)

    def give_up(now, worker, flight):
        if worker.is_alive and worker.flight == flight:
            worker.flight = 0
            worker.keeper.fail(now)

    def die(now):
        victim = chance.randrange(len(alive))
        alive[victim].is_alive = False
        alive[victim] = start(now, f"w{next(order)}")
        at(now + chance.expovariate(deaths_per_s), die)

    alive = [start(0.0, f"w{n}") for n in range(workers)]
    if deaths_per_s:
        at(chance.expovariate(deaths_per_s), die)
    early = 0
    while events and events[0][0] < seconds:
        time, _, do, args = heapq.heappop(events)
        if time < WARM_S:  # what was saved up is spent by then
            early = watcher.spent
        do(time, *args)
    return watcher, (watcher.spent - early) / (watcher.rate * (seconds - WARM_S))


@pytest.mark.parametrize(
    ("trouble", "least"),
    [
        ({}, 0.95),
        ({"loss": 0.02}, 0.95),
        ({"loss": 0.02, "deaths_per_s": 1.0}, 0.92),
        ({"loss": 0.02, "believes": True}, 0.95),
    ],
    ids=["quiet", "losses", "deaths", "believing"],
)
def test_the_quota_is_never_exceeded_and_is_used(trouble, least):
    watcher, use = simulate(1, workers=20, calls_per_s=9_000, seconds=14.0, **trouble)

    assert watcher.lowest >= -1e-6
    assert use >= least


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("deaths_per_s", [0.0, 2.0])
def test_a_hundred_workers_keep_the_quota_for_a_minute(seed, deaths_per_s):
    watcher, use = simulate(seed, workers=100, calls_per_s=10_000, seconds=60.0, loss=0.01, deaths_per_s=deaths_per_s)

    assert watcher.lowest >= -1e-6
    assert use >= 0.95


def simulate_tokens(seed, *, workers, calls_per_s, seconds):  # noqa: C901 - a closure for each event
    """Calls that reserve more tokens than they come to, wait in fair queues, and some of which are cancelled; returns
    the watchers of requests and tokens, and what of the tokens was used."""
    chance = random.Random(seed)
    quotas = [Quota("rpm", AMOUNT, WINDOW_S), Quota("tpm", AMOUNT * 60, WINDOW_S)]
    clock = [0.0]
    authority = LocalAuthority(lambda: clock[0])
    requests, tokens = (Watcher(quota.amount, quota.window_s) for quota in quotas)
    events, order, counts = [], iter(range(10**9)), {"in": 0, "out": 0, "late": 0}

    def at(time, do, *args):
        heapq.heappush(events, (time, next(order), do, args))

    def arrive(now, keeper, limits, queue):
        real, team = chance.randint(40, 100), chance.choice("ab")
        counts["in"] += 1

        def ready(reservation):
            counts["out"] += 1
            if chance.random() < 0.02:
                reservation.cancel()
                return
            requests.spend(1, clock[0])
            tokens.spend(real, clock[0])
            at(clock[0] + chance.uniform(0.05, 1.0), lambda _: reservation.settle(real))

        def refused(wait_s):
            counts["late"] += 1

        waiter = Waiter(limits, 100, now + 2.0, ready, refused, flow=team, priority=chance.randint(0, 3))
        if queue.enter(waiter, now) is not None:
            counts["late"] += 1
        elif chance.random() < 0.05:
            counts["late"] += waiter.is_waiting
            queue.leave(waiter)
        queue.pump(now)
        at(now + chance.expovariate(calls_per_s / workers), arrive, keeper, limits, queue)

    def beat(now, name, keeper, queue):
        asks = keeper.beat(now)
        if asks:
            at(now + chance.uniform(0.001, 0.02), lambda then: at(
                then + chance.uniform(0.001, 0.02), answer, keeper, queue, authority.renew_now(name, asks)
            ))  # fmt: skip
        queue.pump(now)
        at(max(min(keeper.due_s(), now + 0.1), now + 0.01), beat, name, keeper, queue)

    def answer(now, keeper, queue, leases):
        keeper.take(leases, now)
        queue.pump(now)

    all_queues = []
    for n in range(workers):
        keeper = LeaseKeeper(0.0)
        rpm, tpm = map(keeper.meter, quotas)
        limits = LimitSet((rpm,), (tpm,))
        queue = FairQueue(limits, max_waiters=500)
        all_queues.append(queue)
        at(chance.random() * 0.1, arrive, keeper, limits, queue)
        at(chance.random() * 0.1, beat, f"w{n}", keeper, queue)
    early = 0
    while events[0][0] < seconds:
        clock[0], _, do, args = heapq.heappop(events)
        if clock[0] < WARM_S:
            early = tokens.spent
        do(clock[0], *args)
    assert counts["in"] == counts["out"] + counts["late"] + sum(map(len, all_queues))
    return requests, tokens, (tokens.spent - early) / (tokens.rate * (seconds - WARM_S))


@pytest.mark.uncounted
def test_requests_and_tokens_are_kept_when_calls_come_to_less_than_was_reserved():
    requests, tokens, use = simulate_tokens(1, workers=10, calls_per_s=7_500, seconds=7.0)

    assert requests.lowest >= -1e-6
    assert tokens.lowest >= -1e-6
    assert use >= 0.95
