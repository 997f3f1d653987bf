"""The hall: a request comes in, and goes through the steps of a call in order.

    1 authenticate   `Gateway.admit`: the route, the key, what it may call
    2 decode         `planning`: only the top-level fields that routing needs
    3 resolve        `planning`: the public model name becomes a target
    6 admit          `Gateway.handle`, then `unary` or `streaming`: room in the journal; the opened entry is durable
    7 attempt        the same: one request to the target, and what follows if it fails (`attempts`)
    8 relay          the same: bytes as they come, or translated between dialects
    9 settle         `settlement`: usage, one settled entry, durable before the caller sees the end

Step 5, screening, is `privacy_bridge` for workloads, and `screened_calls` for the plain calls that configuration has
screened; step 4, conversation state, is not built yet. A plain call pays only for what stands here; calls that wait in
between are in `waiting_calls`, those that no model answers in `own_answers`. The gateway knows no socket: it answers
through an `exchange.Reply`, so that the server and the library run the same pipeline.
"""

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from headworks.access import Door, Grant, WrongNetwork
from headworks.admission import Admission, admission_of
from headworks.answering import UpstreamRefusal, error_headers
from headworks.attempts import Policy
from headworks.body import BodyStream
from headworks.calls import NO_BUDGET, WITHHELD, Caller, Endpoint, Outcome
from headworks.dialects import RequestHead, refusal_body
from headworks.endpoints import Manner, find_route, name_of_path
from headworks.errors import Refusal, StorageError
from headworks.exchange import Reply, Request, Running
from headworks.flow import Ending, Flow
from headworks.gateway_parts import WORKABLE, Parts, Screening, Works
from headworks.object_calls import ObjectCalls
from headworks.own_answers import OwnAnswers
from headworks.ownership import ObjectOwners, ResponseOwner, ResponseOwners, bare_shelf
from headworks.planning import Planner
from headworks.plans import Plan
from headworks.realtime_asking import key_in_protocols, unmetered
from headworks.references import may_refer
from headworks.settlement import CallMaker, OpenCall, Settlement
from headworks.shedding import journal_full
from headworks.stored_routes import Act
from headworks.streaming import StreamRelay
from headworks.telemetry import report
from headworks.unary import UnaryCall, UnaryCalls
from headworks.waiting_calls import WaitingCalls

if TYPE_CHECKING:
    from headworks.realtime_calls import RealtimeCalls

_UNKNOWN = 401


class Gateway:
    """Implements `exchange.Application`."""

    def __init__(self, parts: Parts) -> None:
        self._loop = parts.loop
        self._ring = parts.ring
        self._door = parts.door or Door()
        self._journal = parts.journal
        self._sightings = parts.sightings
        self._keeps_bodies = parts.keeps_bodies
        self._begin = CallMaker(parts.seal_bodies).begin
        self._planner = Planner(parts.table, parts.uniform, parts.deadline_s)
        self._owners = ResponseOwners(parts.find_owner)
        shelf = parts.shelf or bare_shelf()
        self._mark = shelf.mark
        self._objects = ObjectOwners(shelf, self._owners, parts.journal.append)
        self._settlement = Settlement(
            parts.journal,
            parts.metrics.observe if parts.hooks is None else parts.hooks.observing(parts.metrics.observe),
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
            admit=self._start_within,
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
        self._admissions = parts.admissions
        self._limiter = parts.admissions.limiter
        self._has_budgets = parts.admissions.wallet.has_teams
        reached = [(name, parts.table.station_of(name)) for name in parts.providers]
        self._asks_hooks = parts.hooks is not None and parts.hooks.asks_before
        self._object_calls = ObjectCalls(
            self._objects,
            {name: target for name, target in reached if target is not None},
            self._planner,
            self._settlement,
            self._streams,
            parts.admissions,
            price_of=parts.price_of,
            answer_bytes=parts.answer_bytes,
            checks=None if parts.hooks is None or not self._asks_hooks else parts.hooks.objects(parts.table.named),
        )
        self._load = parts.load
        self._screening = parts.screening
        self._planner.works = frozenset(() if self._works is None else self._works.names)
        self._planner.answers = parts.answers
        self._waiting = WaitingCalls(
            parts,
            self._planner,
            self._settlement,
            owners=self._owners,
            objects=self._objects,
            streams=self._streams,
            unary_calls=self._unary_calls,
            works=self._works,
        )
        self._own_answers = OwnAnswers(parts, self._settlement, self._works, self._begin)
        self._parts = parts
        self._policy = policy
        self._sessions: RealtimeCalls | None = None
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
        source = ""
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
                source = self._door.origin(request.peer, request.headers)
                self._sightings.used(grant.caller.key_id, source)
            if not grant.is_lasting:
                edition = object()  # it must be asked for anew each time
        request.admission = admission_of(request, route, grant, edition, source)
        if route.stored is not None and route.stored.act in (Act.UPLOAD, Act.FILL):
            request.incoming = BodyStream()

    def _identify(self, request: Request) -> Grant:
        headers = request.headers
        if self._ring.hosts is not None:
            self._ring.hosts.check(headers)
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
                call.source = admission.source
                is_told = False  # it had come in: its record says whose it was
            if is_told and self._sightings is not None:
                call.source = self._door.origin(request.peer, request.headers)
                self._sightings.refused(refusal.code, call.source, call.endpoint, call.caller.key_id)
        self._refuse(call, refusal, reply)

    def handle(self, request: Request, reply: Reply) -> Running | None:  # noqa: C901 - a step apart costs each call
        admission = request.admission
        assert isinstance(admission, Admission), "the server admits before it handles"
        grant = admission.grant
        if grant is None:
            self._own_answers.tell_state(admission.route, reply)
            return None
        route = admission.route
        call = self._begin(route.endpoint, grant.caller, len(request.body), admission.source)
        self.in_flight += 1
        try:
            if (
                not route.is_model_call
                or self._journal.is_full
                or (self._load.is_shedding and self._sheds(request, admission, grant))
            ):
                return self._handle_other(call, request, admission, grant, reply)
            head = self._planner.head_of(request, admission)
            if self._asks_hooks:
                hooked = self._waiting.attempt_hooked
                return self._run(lambda end: hooked(call, request, head, admission, grant, reply, end), call, reply)
            if head is not None:
                if self._mark[0] and may_refer(request.body, head):
                    return self._handle_referring(call, request, head, admission, grant, reply)
                if self._works is not None and route.upstream_path in WORKABLE:
                    running = self._handle_work(self._works, call, head, admission, grant, reply)
                    if running is not None:
                        return running
                if self._keeps_bodies or admission.caller_key or "metadata" in head.fields:
                    self._waiting.note_request(call, request, head, admission)
            if self._screening is not None:
                running = self._handle_screened(self._screening, call, request, head, admission, grant, reply)
                if running is not None:
                    return running
            plan = self._planner.read(call, request, head, admission, grant)
            if plan.is_streamed or plan.is_raw or plan.previous_response_id:
                return self._handle_stream(call, plan, grant, reply)
            unary = UnaryCall(self._unary_calls, call, plan, reply, self._call_ended)
            if self._limiter.has_quotas or grant.is_bound or self._has_budgets:
                self._unary_calls.enter(unary, call, plan, grant)
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
        return self._run(lambda ending: self._waiting.attempt(call, plan, reply, ending, grant), call, reply)

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
            plan = await self._waiting.plan_when_read(call, request, head, admission, grant)
            await self._waiting.attempt(call, plan, reply, ending, grant)

        return self._run(screened, call, reply)

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
            lambda ending: self._waiting.attempt_at_home(call, request, head, admission, grant, reply, ending),
            call,
            reply,
        )

    def _handle_other(
        self, call: OpenCall, request: Request, admission: Admission, grant: Grant, reply: Reply
    ) -> Running | None:
        """What asks no model; or cannot, as there is no room to record it, or too much to do."""
        route = admission.route
        if route.is_model_call:
            raise journal_full() if self._journal.is_full else self._load.refusal()
        if route.manner is Manner.COUNT:
            return self._count(call, request, admission, grant, reply)
        if route.manner is Manner.OBJECT:
            return self._run(
                lambda ending: self._waiting.of_stored(call, request, admission, reply, ending), call, reply
            )
        row = route.stored
        if row is not None:
            if self._journal.is_full:
                raise journal_full()
            screening = self._screening

            async def served(ending: Ending) -> None:
                sent, known = request, admission
                if screening is not None:
                    sent, known = await screening.screen_object(call, request, admission)
                await self._object_calls.serve(call, row, sent, known, grant, reply, ending)

            return self._run(served, call, reply)
        if route.manner is Manner.SESSION:
            return self._talk(call, request, admission, grant, reply)
        if route.manner is Manner.UNMETERED:
            raise unmetered()
        waits = self._own_answers.answer(call, request, route, grant, reply)
        if waits is not None:
            return self._run(lambda _: waits, call, reply)
        self._call_ended()
        return None

    def _talk(self, call: OpenCall, request: Request, admission: Admission, grant: Grant, reply: Reply) -> Running:
        """A session of the Realtime API."""
        if self._sessions is None:
            from headworks.realtime_calls import RealtimeCalls  # only who has sessions loads it

            self._sessions = RealtimeCalls(self._parts, self._planner, self._settlement, self._policy, self._identify)
        serve = self._sessions.serve
        return self._run(lambda ending: serve(call, request, admission, grant, reply, ending), call, reply)

    @property
    def sessions(self) -> int:
        """Sessions of the Realtime API that are open."""
        return 0 if self._sessions is None else self._sessions.open

    def _count(
        self, call: OpenCall, request: Request, admission: Admission, grant: Grant, reply: Reply
    ) -> Running | None:
        """How many tokens a message would take: the provider says it, or it is counted here and marked as estimated."""
        if self._journal.is_full:
            raise journal_full()
        head = self._planner.head_of(request, admission)
        if self._asks_hooks and head is not None:
            return self._count_hooked(call, request, head, admission, grant, reply)
        if head is not None and not self._planner.counts(call, head, grant):
            self._own_answers.tell_count(call, head, reply)
            self._call_ended()
            return None
        if (
            self._screening is not None
            and self._screening.policy_for(grant.caller.team, head.model if head else "") is not None
        ):

            async def counted(ending: Ending) -> None:
                plan = await self._waiting.plan_when_read(call, request, head, admission, grant)
                await self._waiting.attempt(call, plan, reply, ending)

            return self._run(counted, call, reply)
        if head is not None:
            self._waiting.note_request(call, request, head, admission)
        plan = self._planner.read(call, request, head, admission, grant)
        unary = UnaryCall(self._unary_calls, call, plan, reply, self._call_ended)
        self._unary_calls.start(unary)
        return unary

    def _count_hooked(
        self, call: OpenCall, request: Request, head: RequestHead, admission: Admission, grant: Grant, reply: Reply
    ) -> Running:
        """The same, behind hooks: what they refuse is not shown to a provider either."""

        async def counted(ending: Ending) -> None:
            await self._waiting.check_count(call, request, head)
            if not self._planner.counts(call, head, grant):
                self._own_answers.tell_count(call, head, reply)
                return
            plan = await self._waiting.plan_when_read(call, request, head, admission, grant)
            await self._waiting.attempt(call, plan, reply, ending)

        return self._run(counted, call, reply)

    def _sheds(self, request: Request, admission: Admission, grant: Grant) -> bool:
        """Whether there is too much to do for a model call of this class, which its workload may say.

        Raises:
            Refusal: what is wrong with it, if it has to be read to know its class.
        """
        works, priority = self._works, grant.priority
        if works is not None and admission.route.upstream_path in WORKABLE and not self._load.sheds(0):
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
                owner = await self._owners.find_previous(head.previous_response_id, call.caller)
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

    def _start_within(self, unary: UnaryCall, call: OpenCall, plan: Plan, grant: Grant) -> None:
        """Step 6 of a unary call that may be under quotas or budgets: it starts now, or is told later."""
        if not self._has_budgets and grant.budget is NO_BUDGET:
            self._waiting.weigh(call, plan, grant)
            if self._limiter.admits_now(call, plan.target.station, grant, call.model):
                self._unary_calls.start(unary)
                return
        leave = self._admissions.admit(self._waiting.ask(call, plan, grant), unary.admitted, unary.refused)
        if leave is None:
            self._unary_calls.start(unary)
        else:
            unary.wait(leave)

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
            refusal.add(f" What this call refers to lies at `{call.home}`, so it goes nowhere else.")
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


def _api_key(request: Request) -> bytes | None:
    """A virtual key in the place where clients of Anthropic's API have theirs, or of Google's, or browsers that open a
    WebSocket."""
    key = request.headers.get(b"x-api-key") or request.headers.get(b"x-goog-api-key")
    return key_in_protocols(request.headers) if key is None else b"Bearer " + key
