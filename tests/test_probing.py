"""Active probes: one worker asks while a breaker is open, and all of them go by what it finds."""

import asyncio

import msgspec
import pytest

from headworks.calls import Endpoint, FailureKind
from headworks.exchange import Timeouts
from headworks.probing import LOOK_S, ProbeFile, ProbeNote, ProbePlan, Prober, Verdict
from headworks.providers import ProviderSettings
from headworks.providers.openai import OpenAIProvider
from headworks.routing import BreakerState, Health, Reach, RouteTable
from headworks.routing.breaker import FAILURES_IN_A_ROW, FIRST_OPEN_S
from headworks.simulator import Plan, SimulatedUpstream, Simulator
from headworks.simulator.plan import ErrorFault, Outage
from headworks.stations import NO_PRICE, Station
from headworks.wheel import TimerWheel

EVERY_S = 10.0
TIMEOUT_S = 2.0


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


class Workers:
    """Several workers with a prober each, one provider and one clock; a test lets time pass."""

    def __init__(self, folder, loop, upstream):
        self.folder, self.loop = folder, loop
        self.now_s = 1000.0
        self.upstream = upstream
        self.said = []
        self.healths, self.probers = [], []

    def add(self):
        provider = OpenAIProvider(ProviderSettings("stub", "/v1", "upstream-key"))
        health = Health(lambda most: most)
        station = Station(provider, self.upstream, Timeouts(), NO_PRICE, health)
        table = RouteTable([Reach("stub", (("", lambda model: station),), frozenset({Endpoint.CHAT}), ("m",))], [])
        plan = ProbePlan(provider, self.upstream, provider.request("GET", "/models", b"", b"", b""), EVERY_S, TIMEOUT_S)
        wheel = TimerWheel(self.loop)
        prober = Prober({"stub": plan}, table.targets, self.folder, wheel, lambda: self.now_s, self.said.append)
        self.healths.append(health)
        self.probers.append(prober)

    def open(self, *which):
        for health in which or self.healths:
            for _ in range(FAILURES_IN_A_ROW):
                health.begin(self.now_s)
                health.failed(self.now_s, FailureKind.ERROR)

    def pass_time(self, seconds, answer=None):
        """Look as often as workers do; `answer` ends each probe at once."""
        for _ in range(round(seconds / LOOK_S)):
            self.now_s += LOOK_S
            asked = len(self.flights)
            for prober in self.probers:
                prober._beat()
            for flight in self.flights[asked:]:
                if answer is not None:
                    answer(flight)

    @property
    def flights(self):
        return self.upstream.flights

    def states(self):
        return [health.view(self.now_s).state for health in self.healths]

    def close(self):
        for prober in self.probers:
            prober.close()


@pytest.fixture
def workers(tmp_path, hall):
    made = Workers(tmp_path / "run", hall.loop, hall.upstream)
    for _ in range(3):
        made.add()
    yield made
    made.close()


def fails(flight):
    flight.answer({"error": {"message": "no"}}, status=503)


def is_good(flight):
    flight.answer({"object": "list", "data": []})


def test_nothing_is_asked_as_long_as_no_breaker_is_open(workers):
    workers.pass_time(60)
    assert workers.flights == []
    assert not workers.folder.exists()


def test_a_probe_is_a_get_with_the_providers_key_and_a_deadline_of_its_own(workers):
    workers.open()
    workers.pass_time(LOOK_S)
    (flight,) = workers.flights
    assert flight.request.line == b"GET /v1/models HTTP/1.1\r\n"
    assert b"upstream-key" in flight.request.headers
    assert flight.request.body == b""
    assert flight.timeouts.total_s == flight.timeouts.first_byte_s == TIMEOUT_S


def test_one_worker_probes_and_while_it_fails_nobody_lets_a_call_through(workers):
    workers.open()
    for _ in range(600):  # five minutes
        workers.pass_time(LOOK_S, fails)
        assert not any(health.may_pass(workers.now_s) for health in workers.healths)
    assert 29 <= len(workers.flights) <= 31
    assert workers.probers[0].notes["stub"].verdict is Verdict.FAILED


def test_a_good_probe_half_opens_the_breakers_of_all_workers_before_their_time(workers):
    workers.open()
    workers.pass_time(2 * LOOK_S, is_good)
    assert workers.now_s < 1000.0 + FIRST_OPEN_S / 2
    assert workers.states() == [BreakerState.HALF_OPEN] * 3
    assert len(workers.flights) == 1


def test_after_failed_probes_a_good_one_lets_calls_through_within_its_interval(workers):
    workers.open()
    workers.pass_time(60, fails)
    workers.pass_time(EVERY_S + LOOK_S, is_good)
    assert workers.states() == [BreakerState.HALF_OPEN] * 3


def test_an_answer_that_says_nothing_leaves_the_breaker_to_its_own_clock(workers):
    workers.open()
    workers.pass_time(LOOK_S, lambda flight: flight.answer({"error": {"message": "no such path"}}, status=404))
    workers.pass_time(FIRST_OPEN_S)
    assert workers.states() == [BreakerState.HALF_OPEN] * 3
    assert workers.probers[0].notes["stub"].verdict is Verdict.SILENT


def test_a_breaker_is_not_held_for_ever_by_a_prober_that_hangs(workers):
    held = ProbeFile(workers.folder / "stub.probe")
    assert held.try_lock()
    workers.open()
    workers.pass_time(TIMEOUT_S + FIRST_OPEN_S + 1)
    assert workers.flights == []
    assert workers.states() == [BreakerState.HALF_OPEN] * 3
    held.close()


def test_another_worker_goes_on_when_the_one_that_probes_is_gone(workers):
    workers.open()
    workers.pass_time(LOOK_S)
    workers.probers[0].close()  # its probe has no end
    gone = workers.probers.pop(0)
    workers.pass_time(2 * LOOK_S, is_good)
    assert len(workers.flights) == 2
    assert gone.notes == {}
    assert workers.states()[1:] == [BreakerState.HALF_OPEN] * 2


def test_a_target_whose_probes_are_good_and_whose_answers_fail_is_asked_as_seldom_as_without_probes(workers):
    health = workers.healths[0]
    workers.open(health)
    attempts = 0
    for _ in range(240):  # two minutes
        workers.pass_time(LOOK_S, is_good)
        if health.may_pass(workers.now_s):
            attempts += 1
            health.begin(workers.now_s)
            health.failed(workers.now_s, FailureKind.ERROR)
    assert attempts <= 6  # the first at once; then after 10, 20, 40 and 60 s


def test_a_result_of_before_the_machine_was_started_counts_for_nothing(tmp_path):
    file = ProbeFile(tmp_path / "x.probe")
    assert file.read(1.0) is None
    file.write(ProbeNote(50.0, Verdict.GOOD))
    assert file.read(10.0) is None
    assert file.read(60.0) == ProbeNote(50.0, Verdict.GOOD)
    file.close()


def test_where_the_folder_cannot_be_used_it_is_said_once_and_breakers_go_by_their_own_clock(workers):
    (workers.folder / "stub.probe").mkdir(parents=True)
    workers.open()
    workers.pass_time(FIRST_OPEN_S + 1)
    assert workers.states() == [BreakerState.HALF_OPEN] * 3
    assert workers.said == ["targets cannot be probed: Is a directory"] * 3


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (None, BreakerState.HALF_OPEN),
        (ErrorFault(status=500), BreakerState.OPEN),
        (ErrorFault(status=400), BreakerState.HALF_OPEN),
        (Outage(is_silent=True), BreakerState.OPEN),
    ],
)
def test_the_simulators_faults_decide(tmp_path, loop, fault, state):
    plan = msgspec.structs.replace(Plan(), pace=0.0, faults=() if fault is None else (fault,))
    upstream = SimulatedUpstream(Simulator(plan, now=lambda: 0.0))
    upstream.flights = []
    workers = Workers(tmp_path, loop, upstream)
    workers.add()
    workers.open()

    async def play():
        for _ in range(round((FIRST_OPEN_S + 2) / LOOK_S)):
            workers.pass_time(LOOK_S)
            for _ in range(5):
                await asyncio.sleep(0)
        workers.close()

    loop.run_until_complete(play())
    assert workers.states() == [state]
