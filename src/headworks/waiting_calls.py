"""The calls that wait before or between their attempts: streams, and those whose target depends on what lies where.

A call waits for the owner of what it refers to, for its turn under a quota, or for an answer that comes piece by piece.
Each of these is a coroutine, which `gateway` runs as a `flow.Flow`; a plain call does without.
"""

from typing import Any

from headworks.access import Grant
from headworks.admission import Admission, note_keys
from headworks.admitting import Ask
from headworks.calls import Endpoint
from headworks.dialects import RequestHead
from headworks.errors import Refusal
from headworks.exchange import Reply, Request
from headworks.flow import Ending, Signal
from headworks.gateway_parts import WORKABLE, Parts, Works
from headworks.ownership import ObjectOwners, ResponseOwners, bare_shelf
from headworks.planning import Planner
from headworks.plans import Plan, stored_id
from headworks.references import may_refer, references_of
from headworks.settlement import OpenCall, Settlement
from headworks.shedding import journal_full
from headworks.streaming import StreamRelay
from headworks.unary import UnaryCall, UnaryCalls
from headworks.weighing import weigh

_COUNTING = "/responses/input_tokens"
"""A path of the Responses API at which nothing is answered but a count."""


class WaitingCalls:
    """Plans calls that wait, makes them and answers them.

    Arguments:
        owners, objects: whose the responses and the other things are that calls refer to.
    """

    def __init__(
        self,
        parts: Parts,
        planner: Planner,
        settlement: Settlement,
        *,
        owners: ResponseOwners,
        objects: ObjectOwners,
        streams: StreamRelay,
        unary_calls: UnaryCalls,
        works: Works | None,
    ) -> None:
        self._journal = parts.journal
        self._screening = parts.screening
        self._keeps_bodies = parts.keeps_bodies
        self._admissions = parts.admissions
        self._limiter = parts.admissions.limiter
        self._planner = planner
        self._settlement = settlement
        self._owners = owners
        self._objects = objects
        self._streams = streams
        self._unary_calls = unary_calls
        self._works = works
        self._hooks = parts.hooks
        self._mark = (parts.shelf or bare_shelf()).mark

    async def plan_when_read(
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
                self.note_request(call, request, head, admission)
            return self._planner.read(call, request, head, admission, grant)
        call.requested_model = model
        request, admission, treat = await screening.screen(policy, call, request, head, admission)
        if head is not None:
            head = self._planner.head_of(request, admission)
        if head is not None:
            self.note_request(call, request, head, admission)
        return treat(self._planner.read(call, request, head, admission, grant))

    def note_request(self, call: OpenCall, request: Request, head: RequestHead, admission: Admission) -> None:
        """Put what the caller says of its call into the record, and the body where bodies are kept."""
        note_keys(call, head, admission)
        call.request_body = request.body if self._keeps_bodies else b""

    def weigh(self, call: OpenCall, plan: Plan, grant: Grant) -> None:
        """Note what a call holds, where that matters."""
        if plan.head is not None and self._limiter.counts_tokens(grant):
            model = plan.target.station.stands_for or call.model
            call.weight = weigh(plan.head.fields, model, call.request_bytes)

    def ask(self, call: OpenCall, plan: Plan, grant: Grant) -> Ask:
        """What a call asks of quotas and budgets."""
        fields = {} if plan.head is None else plan.head.fields
        longest_s = self._planner.longest_s(plan)
        self.weigh(call, plan, grant)
        return Ask(call, plan.target.station, grant, call.model, longest_s, fields, has_more=self._has_more(plan, call))

    async def attempt(
        self, call: OpenCall, plan: Plan, reply: Reply, ending: Ending, grant: Grant | None = None
    ) -> None:
        """Ask the target of a plan, and whatever comes after it, and answer the call.

        Arguments:
            grant: whose quotas and budgets the call waits for; None where it is under none.

        Raises:
            Refusal: whatever keeps it from being answered.
        """
        if plan.previous_response_id:
            owner = await self._owners.find_previous(plan.previous_response_id, call.caller)
            if owner is not None:
                plan = self._planner.pinned(call, plan, owner.provider, "previous_response_id")
        if grant is not None and self._admissions.is_needed(grant):
            await self._admissions.wait(self.ask(call, plan, grant), ending)
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

    async def attempt_at_home(
        self,
        call: OpenCall,
        request: Request,
        head: RequestHead,
        admission: Admission,
        grant: Grant,
        reply: Reply,
        ending: Ending,
        *,
        work: object | None = None,
    ) -> None:
        """The call of what may refer to things at a provider: it goes where they are.

        Arguments:
            work: its workload as hooks have left it; None to look for it.

        Raises:
            Refusal: whatever keeps it from being answered.
        """
        home, param = await self._objects.home_of(references_of(request.body), call.caller)
        works = self._works
        if works is not None and admission.route.upstream_path in WORKABLE:
            work = work or works.find(head, grant)
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
        plan = await self.plan_when_read(call, request, head, admission, grant)
        if home:
            plan = self._planner.pinned(call, plan, home, param)
        await self.attempt(call, plan, reply, ending, grant)

    async def attempt_hooked(
        self,
        call: OpenCall,
        request: Request,
        head: RequestHead | None,
        admission: Admission,
        grant: Grant,
        reply: Reply,
        ending: Ending,
    ) -> None:
        """Any call, where there are hooks: they are asked, and what they make of it goes on as it would without them.

        Raises:
            Refusal: whatever keeps it from being answered.
        """
        assert self._hooks is not None, "who has none does not come here"
        works: Any = self._works
        work = None
        if works is not None and head is not None and admission.route.upstream_path in WORKABLE:
            work = works.find(head, grant)
        asked_model, screening, team = "" if head is None else head.model, self._screening, grant.caller.team
        if head is not None and admission.route.upstream_path == _COUNTING:
            await self.check_count(call, request, head)
        else:
            found = await self._hooks.before(call, request, head, admission, grant, work, self._planner.head_of)
            request, head, work = found.request, found.head, found.work
        if head is not None and head.model != asked_model and screening is not None:
            is_weaker = screening.policy_for(team, head.model) is None
            if is_weaker and screening.policy_for(team, asked_model) is not None:
                raise Refusal(
                    503,
                    "hook_failed",
                    "A hook has chosen a model whose calls are not screened, for a call that has to be.",
                    kind="server_error",
                )
        if head is not None and self._mark[0] and may_refer(request.body, head):
            await self.attempt_at_home(call, request, head, admission, grant, reply, ending, work=work)
            return
        if works is not None and work is not None and head is not None:
            home = ""
            if admission.route.endpoint is Endpoint.RESPONSES and head.previous_response_id:
                owner = await self._owners.find_previous(head.previous_response_id, call.caller)
                home = "" if owner is None else owner.provider
            await works.run(call, work, head, admission, grant, reply, ending, home=home)
            return
        plan = await self.plan_when_read(call, request, head, admission, grant)
        if asked_model:
            call.requested_model = asked_model
        await self.attempt(call, plan, reply, ending, grant)

    async def check_count(self, call: OpenCall, request: Request, head: RequestHead) -> None:
        """Ask hooks about the tokens of a message being counted.

        Raises:
            Refusal: one refuses it, or has failed.
        """
        assert self._hooks is not None, "who has none does not come here"
        from headworks.hook_checks import facts_of_fields  # only who has hooks loads it

        call.requested_model = head.model
        asked = facts_of_fields(call, "count", call.endpoint, head.fields, len(request.body))
        await self._hooks.check(call, asked, (head.model,), what="counting tokens", why="it is no call")

    async def of_stored(
        self, call: OpenCall, request: Request, admission: Admission, reply: Reply, ending: Ending
    ) -> None:
        """The call for a stored response, which goes where that lies.

        Raises:
            Refusal: whatever keeps it from being answered.
        """
        owner = await self._owners.find(stored_id(admission.route))
        plan = self._planner.read_object(call, request, admission, owner)
        if self._screening is not None:
            plan = await self._screening.restoring(call, call.response_id, plan)
        if self._journal.is_full:
            raise journal_full()
        await self.attempt(call, plan, reply, ending)

    def _has_more(self, plan: Plan, call: OpenCall) -> bool:
        """Whether a call that finds no room could be answered otherwise than by its first target: by another one, or by
        the text that configuration has. A caller may have said that it must not."""
        target, admission = plan.target, plan.admission
        may_hop = admission is None or admission.may_hop
        may_fall_back = admission is None or admission.may_fall_back
        if may_fall_back and call.requested_model in self._planner.answers:
            return True
        if plan.previous_response_id:
            return False
        return bool((target.pools and may_hop) or (target.fallback and may_fall_back))
