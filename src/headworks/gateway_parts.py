"""What a gateway is put together from: its parts, and the seams to rooms that only some installations load."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from headworks.access import Door, Grant, Hosts
from headworks.admission import Admission
from headworks.admitting import Admissions
from headworks.attempts import Policy
from headworks.catalogue import TargetPrice
from headworks.dialects import RequestHead
from headworks.endpoints import GENERATE_PATH, Route
from headworks.exchange import Reply, Request
from headworks.flow import Ending
from headworks.ownership import ResponseOwner, Shelf
from headworks.planning import Planner
from headworks.plans import Plan
from headworks.records import Journal
from headworks.routing import RouteTable
from headworks.settlement import OpenCall, Settlement
from headworks.shedding import Load
from headworks.sightings import Sightings
from headworks.stations import NO_PRICE, Station
from headworks.stream_heart import HEARTBEAT_S
from headworks.streaming import StreamRelay
from headworks.telemetry import Metrics

if TYPE_CHECKING:
    from headworks.hooking import Hooks
    from headworks.tracing import Ingested

ANSWER_BYTES = 64 * 1024 * 1024
"""Bound on an answer that is gathered whole."""

WORKABLE = ("/responses", "/chat/completions", "/messages", GENERATE_PATH)
"""Where a workload can be called."""


def random_up_to(most: float) -> float:
    """For pauses and choices: no secrets."""
    return random.random() * most  # noqa: S311


class Ring(Protocol):
    """Who calls: `access` implements it. `edition` is another object whenever a grant may have changed; `hosts` are the
    names by which the gateway may be reached where no key is needed."""

    @property
    def edition(self) -> object: ...
    @property
    def hosts(self) -> Hosts | None: ...
    def identify(self, header: bytes | None) -> Grant: ...


class Works(Protocol):
    """The workloads of a gateway: `workload_call` implements it, which only a project with workloads loads."""

    names: Collection[str]

    def find(self, head: RequestHead, grant: Grant) -> object | None:
        """The workload that a call is of, by its model or by its prompt; None if it is of none.

        Raises:
            Refusal: it names a workload's prompt and a model beside it.
        """
        ...

    def priority_of(self, head: RequestHead, grant: Grant) -> int:
        """The class of a call. Raises Refusal as `find` does."""
        ...

    def is_at(self, work: Any, provider: str) -> bool:
        """Whether a workload has a model at this provider, through this pool."""
        ...

    def run(
        self,
        call: OpenCall,
        work: Any,
        head: RequestHead,
        admission: Admission,
        grant: Grant,
        reply: Reply,
        ending: Ending,
        *,
        home: str = "",
    ) -> Coroutine[Any, Any, None]:
        """Make the call and answer it."""
        ...

    def serve_held(self, call: OpenCall, route: Route, reply: Reply) -> Coroutine[Any, Any, None]:
        """Answer who asks for an answer that waits, or has waited, for a person."""
        ...

    def serve_approvals(
        self, call: OpenCall, route: Route, data: bytes, grant: Grant, reply: Reply
    ) -> Coroutine[Any, Any, None]:
        """Show and decide what waits for a person."""
        ...


class Screening(Protocol):
    """What screens plain calls: `screened_calls` implements it, which only who screens them loads."""

    def policy_for(self, team: str, model: str) -> object | None:
        """By which a call is screened; None if it is not."""
        ...

    def screen(
        self,
        policy: Any,
        call: OpenCall,
        request: Request,
        head: RequestHead | None,
        admission: Admission,
    ) -> Coroutine[Any, Any, tuple[Request, Admission, Callable[[Plan], Plan]]]:
        """What of a request may go on, and what has its plan's answer treated. Raises Refusal."""
        ...

    def screen_object(
        self, call: OpenCall, request: Request, admission: Admission
    ) -> Coroutine[Any, Any, tuple[Request, Admission]]:
        """The same for what providers store. Raises Refusal."""
        ...

    async def restoring(self, call: OpenCall, response_id: str, plan: Plan) -> Plan:
        """The plan of a call for a stored response, whose tokens are turned back. Raises Refusal."""
        ...


class RealtimeBounds(msgspec.Struct, frozen=True):
    """Bounds of Realtime sessions, as `realtime` in `headworks.yaml` has them: how many at one time, how many seconds
    each and without a message, seconds of silence until a side is asked whether it is there, bytes of a message."""

    sessions: int = 256
    session_s: float = 3600.0
    idle_s: float = 300.0
    ping_s: float = 20.0
    message_bytes: int = 4 * 1024 * 1024


class Parts(msgspec.Struct, frozen=True):
    """What a gateway is put together from (`assembly` does it).

    `find_owner` looks a response id up in the store; `render_metrics` makes the text of `/metrics`; `is_ready` is
    False while the process stops. `make_works` makes what serves workloads, if there are any. `models_created` is what
    `/v1/models` gives as creation time, in Unix seconds. `retries` are further attempts at one target, `deadline_s` is
    for a whole call, `uniform` gives a random number up to another. `admissions` admits calls where there are quotas or
    budgets, `load` says whether there is too much to do. After `heartbeat_s` seconds of silence something goes into a
    stream. `answers` are given where a model and its fallbacks have failed. `shelf` knows what was made at providers
    (`providers` are their names, in order), `price_of` what a model costs there. `sightings` is told from where keys
    are used. `screening` is None where plain calls go up as they are.
    `hooks` are other packages' code before and after calls; None where there is none.
    `door` knows from where callers come, and how many bad keys did. `realtime` bounds sessions.
    `keep_traces` keeps what a key sends of its agents' runs.
    """

    ring: Ring
    table: RouteTable[Station]
    journal: Journal
    metrics: Metrics
    find_owner: Callable[[str], Awaitable[ResponseOwner | None]]
    render_metrics: Callable[[], bytes]
    is_ready: Callable[[], bool]
    loop: asyncio.AbstractEventLoop
    admissions: Admissions
    load: Load
    shelf: Shelf | None = None
    providers: tuple[str, ...] = ()
    price_of: Callable[[str, str], TargetPrice] = lambda provider, model: NO_PRICE  # noqa: ARG005
    make_works: Callable[[Settlement, Planner, StreamRelay, Policy], Works] | None = None
    sightings: Sightings | None = None
    door: Door | None = None
    keeps_bodies: bool = False
    seal_bodies: Callable[[OpenCall], None] | None = None
    answer_bytes: int = ANSWER_BYTES
    models_created: int = 0
    retries: int = 2
    deadline_s: float = 600.0
    uniform: Callable[[float], float] = random_up_to
    heartbeat_s: float = HEARTBEAT_S
    answers: Mapping[str, str] = {}
    screening: Screening | None = None
    realtime: RealtimeBounds = RealtimeBounds()
    hooks: "Hooks | None" = None
    keep_traces: Callable[["Ingested", str], Awaitable[None]] | None = None
