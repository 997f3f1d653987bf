"""A gateway whose upstream and caller are played by the test: what it sends up, what it is told, what it answers."""

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from pathlib import Path
from types import FunctionType

import pytest
from hypothesis import settings

from headworks.access import Grant
from headworks.admitting import Admissions
from headworks.budgeting import Wallet
from headworks.calls import Caller, Endpoint, Opened, Settled
from headworks.errors import LimitsUnavailable, Refusal
from headworks.exchange import Request, Timeouts
from headworks.gateway import Gateway
from headworks.gateway_parts import Parts
from headworks.limiting import Limiter
from headworks.limits import LocalAuthority
from headworks.ownership import ResponseOwner
from headworks.providers import AnthropicProvider, GeminiProvider, OpenAIProvider, ProviderSettings
from headworks.providers.bedrock import BedrockProvider
from headworks.records import Journal
from headworks.records.frames import MAGIC, scan
from headworks.routing import Health, Reach, RouteTable
from headworks.shedding import Load
from headworks.stations import NO_PRICE, Station
from headworks.telemetry import Metrics

sys.path.insert(0, str(Path(__file__).parent))

from played_work import Work
from postgres_process import PostgresProcess

settings.register_profile("check", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=2000, deadline=None)
settings.load_profile("search" if os.environ.get("SEARCH") else "check")
# A check of a change must not fail for what the change has nothing to do with: `make search` looks for the new.

if "PYTEST_XDIST_WORKER" in os.environ and not os.environ.get("COVER_PROCESSES"):
    # Coverage is that of this process: counting lines makes whatever a test starts half as fast, and what it starts is
    # covered by tests that call it. COVER_PROCESSES=1 counts there, too.
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

gc.disable()  # until everything is collected: nothing of that ever becomes garbage


def pytest_collection_finish(session):
    """Tests' modules and items, millions of objects, stay until the end: no collection of garbage looks at them."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # what is left is small, and was gone through every few tests
    gc.enable()


def pytest_runtest_setup(item):
    if not isinstance(Gateway.handle, FunctionType) and item.get_closest_marker("replaces"):
        pytest.skip("the methods of what is compiled stay what they are")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Counting lines makes arithmetic up to five times as slow: what plays a thousand times what others play once is
    not counted."""
    counting = None
    if "COVERAGE_RUN" in os.environ and item.get_closest_marker("uncounted"):
        counting = importlib.import_module("coverage").Coverage.current()
    if counting is None:
        return (yield)
    counting.stop()
    try:
        return (yield)
    finally:
        counting.start()


CHAT_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "m-2026",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello there."}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


def only(station):
    """The one pool of a provider, which has the same station for every model."""
    return (("", lambda model: station),)


def health():
    """Of a target that is well."""
    return Health(lambda most: 0.0)


NAMES = [
    ("nano", "stub", "m", ()),
    ("bridged", "only-chat", "c", ()),
    ("smart", "stub", "m", ("only-chat/c", "anthropic/claude-x")),
]

AT_AWS = ("claude-at-aws", "amazon.titan-embed-text-v2:0", "cohere.embed-v4:0")


class PlayedFlight:
    """One request that has gone up; the test answers it."""

    def __init__(self, request, sink, timeouts):
        self.request = request
        self.timeouts = timeouts
        self.sink = sink
        self.is_cancelled = False
        self.is_paused = False

    @property
    def body(self):
        return json.loads(self.request.body)

    def pause(self):
        self.is_paused = True

    def resume(self):
        self.is_paused = False

    def cancel(self):
        self.is_cancelled = True

    def answer(self, body=CHAT_ANSWER, status=200, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        self.sink.on_head(status, {b"content-type": b"application/json"} | given)
        self.sink.on_body(data)
        self.sink.on_end()


class PlayedUpstream:
    """Keeps what is sent."""

    def __init__(self):
        self.flights = []

    def send(self, request, sink, timeouts):
        assert isinstance(timeouts, Timeouts)
        self.flights.append(PlayedFlight(request, sink, timeouts))
        return self.flights[-1]

    def upload(self, request, body, sink, timeouts):
        """The pieces of the body are in `uploaded`, and how it ended in `upload_ends`."""
        flight = self.send(request, sink, timeouts)
        flight.uploaded, flight.upload_ends = [], []
        body.attach(flight.uploaded.append, flight.upload_ends.append)
        return flight

    def connect(self, request, sink, timeouts):
        """A request to change to another protocol: the test answers it, or takes the wire up."""
        return self.send(request, sink, timeouts)

    async def close(self):
        """Nothing to close."""


class Answered:
    """A reply in memory."""

    def __init__(self):
        self.status = 0
        self.headers = {}
        self.body = b""
        self.is_over = False
        self.is_aborted = False
        self.flow = None

    def respond(self, status, headers, body):
        self.begin(status, headers, body)
        self.is_over = True

    def begin(self, status, headers, first=b"", length=None):
        assert not self.status
        lines = [line.split(b": ", 1) for line in headers.split(b"\r\n")[:-1]]
        self.status, self.headers = status, {name.decode(): value.decode() for name, value in lines}
        self.body = first

    def write(self, data):
        assert not self.is_over
        self.body += data

    def end(self, data=b""):
        self.write(data)
        self.is_over = True

    def abort(self):
        self.is_over = self.is_aborted = True

    def set_flow(self, pause, resume):
        self.flow = (pause, resume)

    @property
    def error(self):
        return json.loads(self.body)["error"]


class NoBooks:
    """No call of a test that uses them is under a budget."""

    async def claim(self, holder, claims):
        raise LimitsUnavailable("there are no books of budgets")


class Ring:
    """One key, `good`, whose grant the test sets."""

    def __init__(self):
        self.edition = object()
        self.grant = Grant(Caller("key_1", "ann", "search"))
        self.hosts = None
        self.looked = 0

    def identify(self, header):
        self.looked += 1
        if header != b"Bearer good":
            raise Refusal(401, "invalid_api_key", "No.")
        return self.grant


class Hall:
    """The gateway with everything around it."""

    def __init__(self, folder: Path, loop):
        self.loop = loop
        self.folder = folder
        self.ring = Ring()
        self.upstream = PlayedUpstream()
        self.metrics = Metrics()
        self.owners = {}
        self.is_ready = True
        self.limit_name = "max_completion_tokens"
        self.structured_output = "json_schema"
        self.says_cost = False
        self.caches_by_key = False
        self.price = NO_PRICE
        self.load = Load()
        self.limiter = Limiter(LocalAuthority(time.monotonic), "w", loop, share=0.0, teams={})
        self.wallet = Wallet(NoBooks(), "w", loop)
        self.journal = Journal(
            folder, worker="w", segment_bytes=1 << 20, limit_bytes=1 << 30, loop=loop, now=lambda: 1.0
        )
        self.gateway = self.make()

    @property
    def admissions(self):
        return Admissions(self.limiter, self.wallet)

    def make(self, *, takes_any_model=False, retries=0, groups=None, more_reaches=(), **options):
        settings = ProviderSettings(
            "stub",
            "/v1",
            "upstream-key",
            limit_name=self.limit_name,
            structured_output=self.structured_output,
            says_cost=self.says_cost,
            caches_by_key=self.caches_by_key,
        )
        provider = OpenAIProvider(settings)
        station = Station(provider, self.upstream, Timeouts(), self.price, health())
        everything = frozenset(Endpoint)
        reaches = [
            Reach("stub", only(station), everything, ("m",)),
            Reach(
                "only-chat",
                only(Station(provider, self.upstream, Timeouts(), self.price, health())),
                frozenset({Endpoint.CHAT}),
                ("c",),
            ),
            Reach("anthropic", only(self.anthropic_station()), frozenset({Endpoint.MESSAGES}), ("claude-x",)),
            Reach("google", only(self.gemini_station()), frozenset({Endpoint.GENERATE_CONTENT}), ("gemini-x",)),
            Reach("aws", only(self.bedrock_station()), frozenset({Endpoint.CONVERSE, Endpoint.INVOKE_MODEL}), AT_AWS),
            *more_reaches,
            Reach("pooled", tuple((pool, self.pool_maker(pool)) for pool in ("one", "two")), everything, ("p",)),
        ]

        if takes_any_model:
            reaches.append(Reach("open", only(station), everything))

        async def find_owner(response_id):
            await asyncio.sleep(0)
            return self.owners.get(response_id)

        self.table = RouteTable(reaches, [*NAMES, *((name, "", "", ()) for name in groups or ())], groups or {})
        self.gateway = Gateway(
            Parts(
                ring=self.ring,
                table=self.table,
                journal=self.journal,
                metrics=self.metrics,
                find_owner=find_owner,
                render_metrics=self.metrics.render,
                is_ready=lambda: self.is_ready,
                loop=self.loop,
                admissions=self.admissions,
                load=self.load,
                retries=retries,
                uniform=lambda most: 0.0,
                **options,
            )
        )
        return self.gateway

    def pool_maker(self, pool):
        provider = OpenAIProvider(ProviderSettings(f"pooled:{pool}", "/v1", f"key-of-{pool}"))
        return lambda model: Station(provider, self.upstream, Timeouts(), self.price, health())

    def anthropic_station(self):
        return Station(
            AnthropicProvider(ProviderSettings("anthropic", "", "sk-ant")),
            self.upstream,
            Timeouts(),
            self.price,
            health(),
        )

    def gemini_station(self):
        return Station(
            GeminiProvider(ProviderSettings("google", "", "AIza")), self.upstream, Timeouts(), self.price, health()
        )

    def bedrock_station(self):
        provider = BedrockProvider(ProviderSettings("aws", "", "bedrock-key"))
        return Station(provider, self.upstream, Timeouts(), self.price, health())

    def own(self, response_id, key_id="key_1", team="", provider="stub"):
        self.owners[response_id] = ResponseOwner(key_id, team, provider)

    def turn(self, times=3):
        """Let the loop run what is due."""
        for _ in range(times):
            self.loop.run_until_complete(asyncio.sleep(0))

    def rest(self, seconds):
        """Let the loop run for so long, and for the turns that there are in it: one that stood still meanwhile, on a
        busy machine, has made none, and what takes a few of them one after another would not be there."""

        async def turns():
            for _ in range(20):
                await asyncio.sleep(seconds / 20)

        self.loop.run_until_complete(turns())

    def until(self, holds, limit_s=20.0):
        """Let the loop run until this holds: what a thread does takes no number of turns."""
        due_s = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < due_s, "it does not come to hold"
            self.loop.run_until_complete(asyncio.sleep(0.001))

    def ask(self, path, body=None, method="POST", query="", turns=3, **headers):
        """A request up to its attempt; the answer is there when it was refused."""
        given = {b"authorization": b"Bearer good", b"content-type": b"application/json"}
        given |= {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request = Request(method, path, query, given, data)
        answered = Answered()
        try:
            self.gateway.admit(request)
        except Refusal as refusal:
            self.gateway.refuse(refusal, request, answered)
        else:
            answered.running = self.gateway.handle(request, answered)
        self.turn(turns)
        return answered

    def chat(self, **fields):
        """A chat call up to its attempt."""
        return self.ask(
            "/v1/chat/completions", {"model": "nano", "messages": [{"role": "user", "content": "x"}]} | fields
        )

    @property
    def flight(self):
        return self.upstream.flights[-1]

    def answer(self, *arguments, **headers):
        self.flight.answer(*arguments, **headers)
        self.turn()

    def entries(self):
        data = b"".join(path.read_bytes()[len(MAGIC) :] for path in sorted(self.folder.glob("*.journal")))
        return scan(data, start=0, whole=True, limit=1000).entries

    @property
    def settled(self) -> Settled:
        """The only settled entry; with it stands at most one opened entry, of the same call, before it."""
        entries = self.entries()
        (settled,) = [entry for entry in entries if isinstance(entry, Settled)]
        opened = [entry for entry in entries if isinstance(entry, Opened)]
        assert [one.call_id for one in opened] in ([], [settled.opened.call_id])  # another target may have answered
        assert entries[-1] is settled
        return settled


@pytest.fixture
def hall(tmp_path, monkeypatch):
    # How many turns a screening takes must not hang on how fast the machine is; tests/test_slicing.py has that.
    monkeypatch.setattr("headworks.slicing.FIRST_S", 60.0)
    loop = asyncio.new_event_loop()
    hall = Hall(tmp_path, loop)
    yield hall
    assert hall.gateway.in_flight == 0
    hall.journal.close()
    loop.close()


@pytest.fixture(scope="session")
def postgresql():
    """A server for all tests; each makes a database of its own."""
    server = PostgresProcess()
    yield server
    server.kill()


@pytest.fixture
def own_postgresql():
    """A server for one test, which may stop it."""
    server = PostgresProcess()
    yield server
    server.kill()


@pytest.fixture
def work(hall, tmp_path):
    work = Work(hall, tmp_path)
    yield work
    if work.rules is not None:
        hall.loop.run_until_complete(work.rules.close())
    if work.answerer is not None:
        hall.loop.run_until_complete(work.answerer.close())
    if work.first is not None:
        hall.loop.run_until_complete(work.first.close())
