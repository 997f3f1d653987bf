"""The hall: a request comes in, and goes through the steps of a call in order.

    1 authenticate   `Gateway.admit`: the route, the key, what it may call
    2 decode         `planning`: only the top-level fields that routing needs
    3 resolve        `planning`: the public model name becomes a target
    6 admit          `Gateway.handle`, then `unary` or `streaming`: room in the journal; the opened entry is durable
    7 attempt        the same: one request to the target
    8 relay          the same: bytes as they come, or translated between dialects
    9 settle         `settlement`: usage, one settled entry, durable before the caller sees the end

Step 5, screening, is `privacy_bridge` for workloads, and `screened_calls` for the plain calls that configuration has
screened; step 4, conversation state, is not built yet. A plain call pays only for what stands here. The gateway knows
no socket: it answers through an `exchange.Reply`, so that the server and the library run the same pipeline.
"""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from secrets import token_hex
from time import time_ns
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from headworks.access import Door, Grant, WrongNetwork
from headworks.admission import Admission, admission_of, note_keys
from headworks.admitting import Admissions, Ask
from headworks.answering import (
    EVENT_STREAM,
    JSON,
    STREAM_HEADERS,
    UpstreamRefusal,
    error_headers,
    own_headers,
    request_id_line,
)
from headworks.attempts import Policy
from headworks.body import BodyStream
from headworks.calls import WITHHELD, Caller, Endpoint, ObjectNote, Outcome
from headworks.catalogue import TargetPrice, loaded_tokenizer_for
from headworks.counting import count_request
from headworks.dialects import RequestHead, refusal_body
from headworks.endpoints import GENERATE_PATH, Manner, Route, find_route, name_of_path
from headworks.errors import Refusal, StorageError
from headworks.exchange import Reply, Request, Running
from headworks.flow import Ending, Flow, Signal
from headworks.object_calls import ObjectCalls
from headworks.ownership import ObjectOwners, ResponseOwner, ResponseOwners, Shelf, previous_not_found
from headworks.planning import Planner
from headworks.plans import Plan, stored_id
from headworks.pulse import PulseStreams, read_query
from headworks.records import Journal, ObjectSelection, read_outcomes
from headworks.references import may_refer, references_of
from headworks.routing import RouteTable
from headworks.settlement import CallMaker, OpenCall, Settlement
from headworks.shedding import Load
from headworks.sightings import Sightings
from headworks.stations import NO_PRICE, Station
from headworks.stored_routes import Act
from headworks.stream_heart import HEARTBEAT_S
from headworks.streaming import StreamRelay
from headworks.telemetry import Metrics, report
from headworks.unary import UnaryCall, UnaryCalls
from headworks.weighing import weigh

if TYPE_CHECKING:
    from headworks.tracing import Ingested

ANSWER_BYTES = 64 * 1024 * 1024
"""Bound on an answer that is gathered whole."""

_UNKNOWN = 401

_WORKABLE = ("/responses", "/chat/completions", "/messages", GENERATE_PATH)
"""Where a workload can be called."""


def random_up_to(most: float) -> float:
    """For pauses and choices: no secrets."""
    return random.random() * most  # noqa: S311


class Ring(Protocol):
    """Who calls: `access` implements it. `edition` is another object whenever a grant may have changed."""

    @property
    def edition(self) -> object: ...
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
        self, policy: Any, call: OpenCall, request: Request, head: RequestHead | None, admission: Admission
    ) -> tuple[Request, Admission, Callable[[Plan], Plan]]:
        """What of a request may go on, and what has its plan's answer treated. Raises Refusal."""
        ...

    def screen_object(self, call: OpenCall, request: Request, admission: Admission) -> tuple[Request, Admission]:
        """The same for what providers store. Raises Refusal."""
        ...

    def restoring(self, call: OpenCall, response_id: str, plan: Plan) -> Plan:
        """The plan of a call for a stored response, whose tokens are turned back. Raises Refusal."""
        ...


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
    `door` knows from where callers come, and how many bad keys did. `keep_traces` keeps what a key sends of its
    agents' runs.
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
    answer_bytes: int = ANSWER_BYTES
    models_created: int = 0
    retries: int = 2
    deadline_s: float = 600.0
    uniform: Callable[[float], float] = random_up_to
    heartbeat_s: float = HEARTBEAT_S
    answers: Mapping[str, str] = {}
    screening: Screening | None = None
    keep_traces: Callable[["Ingested", str], Awaitable[None]] | None = None


class Gateway:
    """Implements `exchange.Application`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._loop = parts.loop
        self._ring = parts.ring
        self._door = parts.door or Door()
        self._table = parts.table
        self._journal = parts.journal
        self._sightings = parts.sightings
        self._keeps_bodies = parts.keeps_bodies
        self._begin = CallMaker().begin
        self._planner = Planner(parts.table, parts.uniform, parts.deadline_s)
        self._owners = ResponseOwners(parts.find_owner)
        shelf = parts.shelf or _bare_shelf()
        self._mark = shelf.mark
        self._objects = ObjectOwners(shelf, self._owners, parts.journal.append)
        self._pulses = PulseStreams(parts.loop.time)
        self._settlement = Settlement(
            parts.journal,
            parts.metrics.observe,
            self._note_response,
            lambda error: report(f"a record could not be written: {error}"),
        )
        policy = Policy(parts.retries, parts.uniform, parts.table.resolve)
        self._streams = StreamRelay(
            self._settlement,
            unknown_model=self._planner.unknown,
            keeps_bodies=parts.keeps_bodies,
            planner=self._planner,
            policy=policy,
            loop=parts.loop,
            heartbeat_s=parts.heartbeat_s,
        )
        self._unary_calls = UnaryCalls(
            self._settlement,
            refuse=self._refuse,
            fault=self._fault,
            unknown_model=self._planner.unknown,
            keeps_bodies=parts.keeps_bodies,
            answer_bytes=parts.answer_bytes,
            loop=parts.loop,
            planner=self._planner,
            policy=policy,
        )
        make_works = parts.make_works
        self._works = None if make_works is None else make_works(self._settlement, self._planner, self._streams, policy)
        self._work_names = () if self._works is None else tuple(self._works.names)
        self._admissions = parts.admissions
        self._limiter = parts.admissions.limiter
        self._has_budgets = parts.admissions.wallet.has_teams
        reached = [(name, parts.table.station_of(name)) for name in parts.providers]
        self._object_calls = ObjectCalls(
            self._objects,
            {name: target for name, target in reached if target is not None},
            self._planner,
            self._settlement,
            self._streams,
            parts.admissions,
            price_of=parts.price_of,
            answer_bytes=parts.answer_bytes,
        )
        self._load = parts.load
        self._screening = parts.screening
        self._planner.works = frozenset(self._work_names)
        self._planner.answers = parts.answers
        self._idle: asyncio.Event | None = None
        self.in_flight = 0
        """Calls under way."""

    # -- 1 authenticate -------------------------------------------------------------------------------------------

    def admit(self, request: Request) -> None:
        known = request.admission
        if isinstance(known, Admission):
            if known.edition is self._ring.edition:
                return
            request.peer = request.peer or known.peer
        route = find_route(request.method, request.path)
        grant: Grant | None = None
        edition = self._ring.edition
        if route.needs_key:
            grant = self._identify(request)
            if not grant.may_call(route.endpoint):
                raise Refusal(
                    403,
                    "endpoint_not_allowed",
                    f"This key may not call {route.endpoint.value}; ask its owner for one that may.",
                    kind="permission_error",
                )
            if self._sightings is not None:
                self._sightings.used(grant.caller.key_id, self._door.origin(request.peer, request.headers))
            if not grant.is_lasting:
                edition = object()  # it must be asked for anew each time
        request.admission = admission_of(request, route, grant, edition)
        if route.stored is not None and route.stored.act in (Act.UPLOAD, Act.FILL):
            request.incoming = BodyStream()

    def _identify(self, request: Request) -> Grant:
        headers = request.headers
        shown = headers.get(b"authorization") or _api_key(request)
        try:
            grant = self._ring.identify(shown)
        except Refusal as refusal:
            if shown and refusal.status == _UNKNOWN:
                self._door.note_bad_key(request.peer, headers)
            raise
        if grant.networks is not None:
            self._door.check(grant, request.peer, headers)
        return grant

    def refuse(self, refusal: Refusal, request: Request | None, reply: Reply) -> None:
        call = self._begin("http" if request is None else name_of_path(request.path), Caller())
        if request is not None:
            call.request_bytes = len(request.body)
            admission = request.admission
            is_told = True
            if isinstance(refusal, WrongNetwork):
                call.caller = refusal.caller
            elif isinstance(admission, Admission) and admission.grant is not None:
                call.caller = admission.grant.caller
                is_told = False  # it had come in: its record says whose it was
            if is_told and self._sightings is not None:
                origin = self._door.origin(request.peer, request.headers)
                self._sightings.refused(refusal.code, origin, call.endpoint, call.caller.key_id)
        self._refuse(call, refusal, reply)

    def handle(self, request: Request, reply: Reply) -> Running | None:  # noqa: C901 - a step apart costs each call
        admission = request.admission
        assert isinstance(admission, Admission), "the server admits before it handles"
        grant = admission.grant
        if grant is None:
            self._tell_state(admission.route, reply)
            return None
        route = admission.route
        call = self._begin(route.endpoint, grant.caller, len(request.body))
        self.in_flight += 1
        try:
            if (
                not route.is_model_call
                or self._journal.is_full
                or (self._load.is_shedding and self._sheds(request, admission, grant))
            ):
                return self._handle_other(call, request, admission, grant, reply)
            head = self._planner.head_of(request, admission)
            if head is not None:
                if self._mark[0] and may_refer(request.body, head):
                    return self._handle_referring(call, request, head, admission, grant, reply)
                if self._works is not None and route.upstream_path in _WORKABLE:
                    running = self._handle_work(self._works, call, head, admission, grant, reply)
                    if running is not None:
                        return running
                if self._keeps_bodies or admission.caller_key or "metadata" in head.fields:
                    self._note_request(call, request, head, admission)
            if self._screening is not None:
                running = self._handle_screened(self._screening, call, request, head, admission, grant, reply)
                if running is not None:
                    return running
            plan = self._planner.read(call, request, head, admission, grant)
            if plan.is_streamed or plan.is_raw or plan.previous_response_id:
                return self._handle_stream(call, plan, grant, reply)
            unary = UnaryCall(self._unary_calls, call, plan, reply, self._call_ended)
            if self._limiter.has_quotas or grant.is_bound or self._has_budgets:
                self._start_within(call, plan, grant, unary)
            else:
                self._unary_calls.start(unary)
        except Refusal as refusal:
            self._refuse(call, refusal, reply)
        except Exception as error:  # noqa: BLE001 - the edge: a bug of ours must answer, be recorded and be seen
            self._fault(call, error, reply)
        else:
            return unary
        self._call_ended()
        return None

    def _handle_stream(self, call: OpenCall, plan: Plan, grant: Grant, reply: Reply) -> Running | None:
        # Apart, since what a closure holds on to is slower to reach, also for the calls that need none.
        return self._run(lambda ending: self._attempt(call, plan, reply, ending, grant), call, reply)

    def _handle_screened(
        self,
        screening: Screening,
        call: OpenCall,
        request: Request,
        head: RequestHead | None,
        admission: Admission,
        grant: Grant,
        reply: Reply,
    ) -> Running | None:
        if screening.policy_for(grant.caller.team, "" if head is None else head.model) is None:
            return None

        async def screened(ending: Ending) -> None:
            plan = self._plan_of(call, request, head, admission, grant)
            await self._attempt(call, plan, reply, ending, grant)

        return self._run(screened, call, reply)

    def _plan_of(
        self, call: OpenCall, request: Request, head: RequestHead | None, admission: Admission, grant: Grant
    ) -> Plan:
        """The plan of a plain call, screened where configuration says so.

        Raises:
            Refusal: whatever is wrong with it.
        """
        model = "" if head is None else head.model
        screening = self._screening
        policy = None if screening is None else screening.policy_for(grant.caller.team, model)
        if screening is None or policy is None:
            if head is not None:
                self._note_request(call, request, head, admission)
            return self._planner.read(call, request, head, admission, grant)
        call.requested_model = model
        request, admission, treat = screening.screen(policy, call, request, head, admission)
        if head is not None:
            head = self._planner.head_of(request, admission)
        if head is not None:
            self._note_request(call, request, head, admission)
        return treat(self._planner.read(call, request, head, admission, grant))

    def _screened_object(self, call: OpenCall, request: Request, admission: Admission) -> tuple[Request, Admission]:
        screening = self._screening
        return (request, admission) if screening is None else screening.screen_object(call, request, admission)

    def _handle_referring(
        self,
        call: OpenCall,
        request: Request,
        head: RequestHead,
        admission: Admission,
        grant: Grant,
        reply: Reply,
    ) -> Running:
        """A call that may refer to things at a provider: it goes where they are."""
        return self._run(
            lambda ending: self._attempt_at_home(call, request, head, admission, grant, reply, ending), call, reply
        )

    async def _attempt_at_home(
        self,
        call: OpenCall,
        request: Request,
        head: RequestHead,
        admission: Admission,
        grant: Grant,
        reply: Reply,
        ending: Ending,
    ) -> None:
        home, param = await self._objects.home_of(references_of(request.body), call.caller)
        works = self._works
        if works is not None and admission.route.upstream_path in _WORKABLE:
            work = works.find(head, grant)
            if work is not None:
                if home and param != "previous_response_id" and not works.is_at(work, home):
                    raise Refusal(
                        400,
                        "model_elsewhere",
                        f"What `{param}` refers to lies at `{home}`, where this workload has no model.",
                        param=param,
                    )
                call.home = home
                await works.run(call, work, head, admission, grant, reply, ending, home=home)
                return
        plan = self._plan_of(call, request, head, admission, grant)
        if home:
            plan = self._planner.pinned(call, plan, home, param)
        await self._attempt(call, plan, reply, ending, grant)

    def _note_request(self, call: OpenCall, request: Request, head: RequestHead, admission: Admission) -> None:
        note_keys(call, head, admission)
        call.request_body = request.body if self._keeps_bodies else b""

    def _handle_other(
        self, call: OpenCall, request: Request, admission: Admission, grant: Grant, reply: Reply
    ) -> Running | None:
        """What asks no model; or cannot, as there is no room to record it, or too much to do."""
        route = admission.route
        if route.is_model_call:
            raise _journal_full() if self._journal.is_full else self._load.refusal()
        if route.manner is Manner.COUNT:
            return self._count(call, request, admission, grant, reply)
        if route.manner is Manner.OBJECT:
            return self._run(lambda ending: self._of_stored(call, request, admission, reply, ending), call, reply)
        row = route.stored
        if row is not None:
            if self._journal.is_full:
                raise _journal_full()
            serve = self._object_calls.serve
            sent, known = self._screened_object(call, request, admission)
            return self._run(
                lambda ending: serve(call, row, sent, known, grant, reply, ending),
                call,
                reply,
            )
        if route.manner is Manner.PULSE:
            return self._run(lambda _: self._send_pulses(call, request, reply), call, reply)
        works = self._works
        if route.manner is Manner.HELD:
            if works is None:
                name = stored_id(route)
                raise Refusal(404, "response_not_found", f"Response with id '{name}' not found.", param="response_id")
            return self._run(lambda _: works.serve_held(call, route, reply), call, reply)
        if route.manner in (Manner.APPROVALS, Manner.APPROVAL):
            if works is None:
                raise Refusal(404, "approval_not_found", "No workload here holds calls: there is nothing to approve.")
            return self._run(lambda _: works.serve_approvals(call, route, request.body, grant, reply), call, reply)
        if route.manner in (Manner.OUTCOMES, Manner.TRACES):
            return self._take_reports(call, request, route, grant, reply)
        self._models(call, reply, route, grant)
        self._call_ended()
        return None

    def _take_reports(
        self, call: OpenCall, request: Request, route: Route, grant: Grant, reply: Reply
    ) -> Running | None:
        """What an application tells of calls that it has made."""
        if route.manner is Manner.TRACES:
            return self._run(lambda _: self._take_traces(call, request, grant, reply), call, reply)
        self._take_outcomes(call, request, grant, reply)
        self._call_ended()
        return None

    def _sheds(self, request: Request, admission: Admission, grant: Grant) -> bool:
        """Whether there is too much to do for a model call of this class, which its workload may say.

        Raises:
            Refusal: what is wrong with it, if it has to be read to know its class.
        """
        works, priority = self._works, grant.priority
        if works is not None and admission.route.upstream_path in _WORKABLE and not self._load.sheds(0):
            head = self._planner.head_of(request, admission)
            priority = priority if head is None else works.priority_of(head, grant)
        return self._load.sheds(priority)

    def _handle_work(
        self, works: Works, call: OpenCall, head: RequestHead, admission: Admission, grant: Grant, reply: Reply
    ) -> Running | None:
        work = works.find(head, grant)
        if work is None:
            return None

        async def made(ending: Ending) -> None:
            home = ""
            if admission.route.endpoint is Endpoint.RESPONSES and head.previous_response_id:
                owner = await self._check_previous(call, head.previous_response_id)
                home = "" if owner is None else owner.provider
            await works.run(call, work, head, admission, grant, reply, ending, home=home)

        return self._run(made, call, reply)

    async def drain(self) -> None:
        """Wait until no call is under way."""
        while self.in_flight:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def _call_ended(self, _: Flow | None = None) -> None:
        self.in_flight -= 1
        if self._idle is not None and not self.in_flight:
            self._idle.set()

    # -- the call -------------------------------------------------------------------------------------------------

    def _run(self, work: Callable[[Ending], Coroutine[Any, Any, None]], call: OpenCall, reply: Reply) -> Flow:
        """Start what has to wait in between; a plain call does without."""
        ending = Ending()

        async def guarded() -> None:
            try:
                await work(ending)
            except Refusal as refusal:
                self._refuse(call, refusal, reply)
            except asyncio.CancelledError:
                self._settlement.settle_cancelled(call)
                raise
            except Exception as error:  # noqa: BLE001 - the edge, as in `handle`
                self._fault(call, error, reply)

        flow = Flow(guarded(), self._loop, self._call_ended, ending)
        flow.resume()
        return flow

    def _start_within(self, call: OpenCall, plan: Plan, grant: Grant, unary: UnaryCall) -> None:
        """Step 6 of a unary call that may be under quotas or budgets: it starts now, or is told later."""
        leave = self._admissions.admit(self._ask(call, plan, grant), unary.admitted, unary.refused)
        if leave is None:
            self._unary_calls.start(unary)
        else:
            unary.wait(leave)

    def _ask(self, call: OpenCall, plan: Plan, grant: Grant) -> Ask:
        fields = {} if plan.head is None else plan.head.fields
        longest_s = self._planner.longest_s(plan)
        if plan.head is not None and self._limiter.counts_tokens(grant):
            call.weight = weigh(fields, call.model, call.request_bytes)
        return Ask(call, plan.target.station, grant, call.model, longest_s, fields, has_more=_has_more(plan))

    async def _attempt(
        self, call: OpenCall, plan: Plan, reply: Reply, ending: Ending, grant: Grant | None = None
    ) -> None:
        if plan.previous_response_id:
            owner = await self._check_previous(call, plan.previous_response_id)
            if owner is not None:
                plan = self._planner.pinned(call, plan, owner.provider, "previous_response_id")
        if grant is not None and self._admissions.is_needed(grant):
            await self._admissions.wait(self._ask(call, plan, grant), ending)
        if not plan.is_streamed and not plan.is_raw:
            over: Signal[None] = Signal()
            unary = UnaryCall(self._unary_calls, call, plan, reply, lambda: over.set(None))
            ending.act = unary.stop
            self._unary_calls.start(unary)
            try:
                await over
            finally:
                unary.cancel()
            return
        self._settlement.open(call)
        await self._streams.stream(call, plan, reply, ending)

    async def _of_stored(
        self, call: OpenCall, request: Request, admission: Admission, reply: Reply, ending: Ending
    ) -> None:
        owner = await self._owners.find(stored_id(admission.route))
        plan = self._planner.read_object(call, request, admission, owner)
        if self._screening is not None:
            plan = self._screening.restoring(call, call.response_id, plan)
        if self._journal.is_full:
            raise _journal_full()
        await self._attempt(call, plan, reply, ending)

    async def _check_previous(self, call: OpenCall, response_id: str) -> ResponseOwner | None:
        """A caller may go on only from responses of its own; ones made elsewhere are the provider's to judge.

        Returns whose it is, and where it lies; None where that is not known.
        """
        owner = await self._owners.find(response_id)
        if owner is not None and not owner.may_be_seen_by(call.caller):
            raise previous_not_found(response_id)
        return owner

    def _note_response(self, call: OpenCall) -> None:
        is_withheld = call.work is not None and call.work.verdict in WITHHELD
        if call.model and call.endpoint == Endpoint.RESPONSES and not is_withheld:
            self._owners.note(call.response_id, ResponseOwner(call.caller.key_id, call.caller.team, call.provider))

    def _refuse(self, call: OpenCall, refusal: Refusal, reply: Reply) -> None:
        """Answer with an error as soon as the record of it is durable."""
        if call.is_settled:
            reply.abort()  # an answer was under way and its record is written: end it as what it is, broken
            return
        if call.home and isinstance(refusal, UpstreamRefusal):
            refusal.message += f" What this call refers to lies at `{call.home}`, so it goes nowhere else."
        headers = error_headers(call, refusal)
        body = refusal_body(refusal, call.endpoint)
        call.error_code = refusal.code
        call.response_bytes = len(body)
        outcome: Outcome = "failed" if call.attempts else "refused"
        if self._journal.is_full and not call.attempts:
            # What cannot be recorded is not served; saying so needs no record.
            self._settlement.settle_unrecorded(call, outcome, refusal.status)
            reply.respond(refusal.status, headers, body)
            return

        self._settlement.settle_gone(call, outcome, refusal.status)
        reply.respond(refusal.status, headers, body)

    def _fault(self, call: OpenCall, error: Exception, reply: Reply) -> None:
        """Our own code failed. The place goes to the log, values do not: an exception's text may quote what it had."""
        where = traceback.extract_tb(error.__traceback__)[-1:]
        what = str(error) if isinstance(error, StorageError) else type(error).__name__
        report(f"{call.call_id}: {what}" + "".join(f" at {frame.filename}:{frame.lineno}" for frame in where))
        refusal = Refusal(500, "internal_error", "The gateway failed; its log says where.", kind="server_error")
        self._refuse(call, refusal, reply)

    # -- what we answer ourselves ---------------------------------------------------------------------------------

    def _tell_state(self, route: Route, reply: Reply) -> None:
        status, body, content_type = 200, b'{"status":"live"}', JSON
        if route.manner is Manner.READY:
            is_ready = self._parts.is_ready() and not self._journal.is_full and self._journal.failure is None
            status, body = (200, b'{"status":"ready"}') if is_ready else (503, b'{"status":"not ready"}')
        elif route.manner is Manner.METRICS:
            body, content_type = self._parts.render_metrics(), b"text/plain; version=0.0.4; charset=utf-8"
        reply.respond(status, own_headers(self._begin("", Caller()), content_type), body)

    def _models(self, call: OpenCall, reply: Reply, route: Route, grant: Grant) -> None:
        visible = [name for name in (*self._work_names, *self._table.names) if grant.may_use(name)]
        if route.manner is Manner.MODEL:
            name = route.path.removeprefix("/v1/models/")
            call.requested_model = name
            if name not in visible:
                raise self._table.unknown(name, visible)
            body = msgspec.json.encode(self._model_object(name))
        else:
            body = msgspec.json.encode({"object": "list", "data": [self._model_object(name) for name in visible]})
        call.response_bytes = len(body)
        self._settlement.settle(call, "answered", 200)
        reply.respond(200, own_headers(call), body)

    async def _send_pulses(self, call: OpenCall, request: Request, reply: Reply) -> None:
        asked = read_query(request.query)
        call.endpoint = "diagnostics"
        headers = own_headers(call, EVENT_STREAM) + STREAM_HEADERS
        await self._pulses.send(asked, reply, headers, lambda: self._settlement.settle(call, "answered", 200))

    def _count(
        self, call: OpenCall, request: Request, admission: Admission, grant: Grant, reply: Reply
    ) -> Running | None:
        """How many tokens a message would take: the provider says it, or it is counted here and marked as estimated."""
        if self._journal.is_full:
            raise _journal_full()
        head = self._planner.head_of(request, admission)
        if head is not None and not self._planner.counts(call, head, grant):
            model = call.model or head.model
            count = count_request(head.fields, model, tokenizer=loaded_tokenizer_for(model))
            body = msgspec.json.encode({"input_tokens": count.tokens})
            call.response_bytes = len(body)
            self._settlement.settle(call, "answered", 200)
            lines = f"x-headworks-usage: estimated\r\n{request_id_line(call)}".encode()
            reply.respond(200, own_headers(call) + lines, body)
            self._call_ended()
            return None
        plan = self._plan_of(call, request, head, admission, grant)
        unary = UnaryCall(self._unary_calls, call, plan, reply, self._call_ended)
        self._unary_calls.start(unary)
        return unary

    def _take_outcomes(self, call: OpenCall, request: Request, grant: Grant, reply: Reply) -> None:
        """Write what an application reports; it is joined to its calls when it is drained."""
        if self._journal.is_full:
            raise _journal_full()
        caller = grant.caller
        reports = read_outcomes(
            request.body,
            now_us=time_ns() // 1000,
            key_id=caller.key_id,
            team=caller.team,
            make_id=lambda: f"outcome_{token_hex(12)}",
        )
        for report_ in reports:
            self._journal.append(report_)
        answer = [{"id": one.outcome_id, "object": "outcome", "name": one.name} for one in reports]
        body = msgspec.json.encode({"object": "list", "data": answer})
        call.response_bytes = len(body)
        self._settlement.settle(call, "answered", 200)
        reply.respond(200, own_headers(call), body)

    async def _take_traces(self, call: OpenCall, request: Request, grant: Grant, reply: Reply) -> None:
        """Keep what an agent's SDK tells of its runs."""
        keep = self._parts.keep_traces
        if keep is None:
            raise Refusal(404, "unknown_url", "This gateway keeps no traces.")
        from headworks.tracing import read_traces  # only who is sent traces loads it

        ingested = read_traces(request.body)
        try:
            await keep(ingested, grant.caller.key_id)
        except StorageError as error:
            report(f"traces could not be kept: {error}")
            raise Refusal(503, "traces_unavailable", "The traces cannot be kept now.", kind="server_error") from None
        told = {"object": "traces.ingested", "traces": len(ingested.traces), "spans": len(ingested.spans)}
        body = msgspec.json.encode(told)
        call.response_bytes = len(body)
        self._settlement.settle(call, "answered", 200)
        reply.respond(200, own_headers(call), body)

    def _model_object(self, name: str) -> dict[str, str | int | None]:
        """As the OpenAI API has it, `shutdown_date` included. A workload outlives its model, and has none."""
        target = None if name in self._work_names else self._table.resolve(name)
        model = None if target is None else target.station.price.model
        return {
            "id": name,
            "object": "model",
            "created": self._parts.models_created,
            "owned_by": "headworks" if target is None else target.provider,
            "shutdown_date": (model.shutdown_on or None) if model is not None else None,
        }


def _bare_shelf() -> Shelf:
    """Nothing is known of objects, but what this gateway makes itself."""

    async def look_up(_: str, waits: bool) -> None:  # noqa: ARG001
        return None

    async def select(_: ObjectSelection) -> list[ObjectNote]:
        return []

    return Shelf(look_up, select, bytearray(1))


def _has_more(plan: Plan) -> bool:
    """Whether a call could go on to another target than its first."""
    return bool(plan.target.pools or plan.target.fallback) and not plan.previous_response_id


def _api_key(request: Request) -> bytes | None:
    """A virtual key in the place where clients of Anthropic's API have theirs, or of Google's."""
    key = request.headers.get(b"x-api-key") or request.headers.get(b"x-goog-api-key")
    return None if key is None else b"Bearer " + key


def _journal_full() -> Refusal:
    return Refusal(
        503,
        "journal_full",
        "This gateway cannot record any more calls and so takes none: its journal has reached its bound. "
        "Its operator should see whether the control plane runs and its disk has room.",
        kind="server_error",
        headers=(("retry-after", "5"),),
    )
