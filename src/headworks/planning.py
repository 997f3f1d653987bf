"""Steps 2 and 3, decode and resolve: from a request to a plan of where it goes and how its answer comes back.

What a target can serve is in `stations`, what is sent to it in `plans`, what the head of a request settles in
`admission`.
"""

from collections.abc import Callable, Collection, Mapping
from time import perf_counter

import msgspec

from headworks.access import Grant
from headworks.admission import Admission, KnownTimes
from headworks.calls import Endpoint
from headworks.dialects import RequestHead, read_fields, read_head
from headworks.endpoints import Route, model_in
from headworks.errors import Refusal
from headworks.exchange import SHARE_WITH_MORE, Request, Timeouts
from headworks.ownership import ResponseOwner
from headworks.plans import Plan, form_of, plan_of_call, plan_of_form, plan_of_object, stored_id
from headworks.routing import RouteTable, Target
from headworks.settlement import OpenCall
from headworks.stations import Station, check_bridge, may_serve, pick, pool_not_configured

_RELAYED = frozenset(Endpoint) - {Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.COMPLETIONS}
"""What is relayed as it comes where the target speaks it, with nothing more to say about it."""


class Planner:
    """Reads requests against the table of one configuration. `works` are the names of the workloads beside it,
    `answers` the texts that models have for when nobody can answer.

    Arguments:
        uniform: a random number from 0 up to the one given.
        deadline_s: for a whole call.
        now: seconds of the clock that targets' health goes by.
    """

    def __init__(
        self,
        table: RouteTable[Station],
        uniform: Callable[[float], float],
        deadline_s: float,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self.deadline_s = deadline_s
        self.works: Collection[str] = ()
        self.answers: Mapping[str, str] = {}
        self._table = table
        self._targets = table.named
        self._uniform = uniform
        self._now = now

    def head_of(self, request: Request, admission: Admission) -> RequestHead | None:
        """The head of a model call's body; None for a form.

        Raises:
            Refusal: whatever is wrong with it.
        """
        if not admission.is_json:
            return None
        route = admission.route
        if route.endpoint is Endpoint.GENERATE_CONTENT:
            return _head_of_gemini(request, route)
        return read_head(request.body, route.endpoint, default_model=route.default_model)

    def read(
        self, call: OpenCall, request: Request, head: RequestHead | None, admission: Admission, grant: Grant
    ) -> Plan:
        """The plan of a model call.

        Raises:
            Refusal: whatever is wrong with it.
        """
        route = admission.route
        if head is None:
            return self._read_form(call, request, admission, grant)
        endpoint = route.endpoint
        target = self._targets.get(head.model) if grant.has_all_models else None
        if target is None or endpoint not in target.speaks:
            target = self._resolve(call, head.model, route, grant)
        else:
            call.requested_model = head.model
            call.provider = target.provider
            call.model = target.model
        if target.pools:
            target = self._chosen(call, target, head, route)
        if ("user" in head.fields or "safety_identifier" in head.fields) and endpoint is not Endpoint.MESSAGES:
            call.user = head.user or ""
        is_streamed = call.is_streamed = head.is_streamed
        unlisted = None if target.is_listed else grant
        if endpoint not in _RELAYED or endpoint not in target.speaks or target.fallback or target.droppable:
            plan = plan_of_call(call, request, head, admission, target, unlisted)
            return self._timed(plan, admission) if admission.times is not None or target.fallback else plan
        # The plain call, as `plan_of_call` would have it: it is what nearly every call is.
        path = route.upstream_path
        hides_usage = is_streamed and endpoint is Endpoint.CHAT and not head.includes_usage
        body = head.splice(model=target.model, include_usage=hides_usage)
        station, times, timeouts = target.station, admission.times, None
        if times is not None:
            is_known = times.limits is station.timeouts and times.planner is self and times.is_streamed is is_streamed
            timeouts = times.timeouts if is_known else self._find_times(times, admission, station, is_streamed)
        return Plan(
            target,
            station.provider.json_request(path, body, admission.forwarded),
            endpoint,
            path,
            is_streamed,
            head,
            None,
            hides_usage,
            route.is_raw,
            (head.previous_response_id or "") if endpoint is Endpoint.RESPONSES else "",
            unlisted,
            timeouts,
            request,
            admission,
        )

    def _find_times(
        self, times: KnownTimes, admission: Admission, station: Station, is_streamed: bool
    ) -> Timeouts | None:
        """As `_timed` would have them, and to be known from now on."""
        total_s = admission.due_s(self.deadline_s, is_streamed=is_streamed)
        times.planner, times.limits, times.is_streamed = self, station.timeouts, is_streamed
        times.timeouts = None if total_s >= station.timeouts.total_s else station.timeouts.within(total_s)
        return times.timeouts

    def _chosen(
        self, call: OpenCall, target: Target[Station], head: RequestHead | None, route: Route
    ) -> Target[Station]:
        best = self.in_best_pool(target, head, route.endpoint, route.upstream_path)
        call.provider, call.model = best.provider, best.model
        return best

    def _timed(self, plan: Plan, admission: Admission) -> Plan:
        """The plan with time limits that leave time for what may come after its attempt."""
        total_s = admission.due_s(self.deadline_s, is_streamed=plan.is_streamed)
        if plan.target.fallback and admission.may_fall_back:
            total_s *= SHARE_WITH_MORE
        limits = plan.target.station.timeouts
        return plan if total_s >= limits.total_s else msgspec.structs.replace(plan, timeouts=limits.within(total_s))

    def longest_s(self, plan: Plan) -> float:
        """Seconds that a call may take in all."""
        if plan.admission is None:
            return self.deadline_s
        return plan.admission.due_s(self.deadline_s, is_streamed=plan.is_streamed)

    def target_for(self, call: OpenCall, name: str, route: Route, grant: Grant) -> Target[Station]:
        """The target of a call that has no body: of several that serve the name, what it should go to now.

        Raises:
            Refusal: there is no such model for this caller, or it does not serve this endpoint.
        """
        target = self._resolve(call, name, route, grant)
        return self._chosen(call, target, None, route) if target.pools else target

    def offered(self, call: OpenCall, name: str, route: Route, grant: Grant) -> Target[Station]:
        """The model of this name, with all that serves it: some of it this endpoint, too.

        Raises:
            Refusal: there is no such model for this caller, or it does not serve this endpoint.
        """
        return self._resolve(call, name, route, grant)

    def in_best_pool(
        self, target: Target[Station], head: RequestHead | None, endpoint: Endpoint, path: str
    ) -> Target[Station]:
        """Of all that serve the same name, what a call should go to now; calls with one cache key go together."""
        pools = target.pools
        if target.is_mixed:
            pools = tuple(one for one in pools if may_serve(one, endpoint, path)) or pools
        raw = None if head is None else head.fields.get("prompt_cache_key")
        key = "" if raw is None else bytes(raw).decode("utf-8", "replace")
        now_s = self._now()
        is_streamed = head is not None and head.is_streamed
        best = pick(pools, now_s, self._uniform, key=key, is_streamed=is_streamed)
        return pools[0] if best is None else best

    def at_home(self, target: Target[Station], provider: str) -> Target[Station]:
        """The same model through this pool; the target as it is where it has none of that name."""
        return self._table.in_pool(target, provider)

    def pinned(self, call: OpenCall, plan: Plan, provider: str, param: str) -> Plan:
        """The plan with the pool that has what the call refers to, and with nowhere else to go.

        Arguments:
            param: the field that refers to it.

        Raises:
            Refusal: the call's model is not there, or there is no such pool any more.
        """
        target = plan.target
        found = next((one for one in (target, *target.pools) if one.provider == provider), None)
        if found is None and ":" not in provider and target.provider.startswith(f"{provider}:"):
            found = target.pools[0]  # made before the provider had pools, with what is the first one's key now
        if found is None:
            if self._table.station_of(provider) is None:
                raise pool_not_configured(provider)
            raise Refusal(
                400,
                "model_elsewhere",
                f"What `{param}` refers to lies at `{provider}`, and the model `{call.requested_model}` is not there: "
                "ask a model of that provider.",
                param=param,
            )
        call.home = provider
        alone = msgspec.structs.replace(found, pools=(), fallback=())
        if found is target:
            return msgspec.structs.replace(plan, target=alone)
        return self.again(call, plan, alone)

    def again(self, call: OpenCall, plan: Plan, target: Target[Station]) -> Plan:
        """The plan of asking this target what another one was asked.

        Raises:
            Refusal: 400, for what this target cannot honour.
        """
        asked, admission = plan.asked, plan.admission
        assert asked is not None, "who asks has looked"
        assert admission is not None, "who asks has looked"
        route = admission.route
        if plan.target.droppable != target.droppable:  # the name that is called says it for all that it falls back to
            target = msgspec.structs.replace(target, droppable=plan.target.droppable)
        if plan.head is not None:
            if route.endpoint not in target.speaks:
                check_bridge(target, call.requested_model, route.endpoint, route.upstream_path)
            again = plan_of_call(call, asked, plan.head, admission, target, plan.unlisted)
        else:
            kind = asked.headers.get(b"content-type", b"")
            provider = target.station.provider
            sent = provider.request("POST", route.upstream_path, plan.request.body, kind, admission.forwarded)
            again = msgspec.structs.replace(plan, target=target, request=sent)
        call.provider, call.model = target.provider, target.model
        return again if plan.treat is None else plan.treat(again)

    def counts(self, call: OpenCall, head: RequestHead, grant: Grant) -> bool:
        """Whether the target of this call counts tokens itself.

        Raises:
            Refusal: there is no such model for this caller.
        """
        return Endpoint.MESSAGES in self._target(call, head.model, grant).speaks

    def read_object(self, call: OpenCall, request: Request, admission: Admission, owner: ResponseOwner | None) -> Plan:
        """The plan of a call for a stored response, whose owner was looked up.

        Raises:
            Refusal: 404 where there is none, or where it is somebody else's.
        """
        target = None if owner is None else self._table.station_of(owner.provider)
        response_id = stored_id(admission.route)
        is_kept = target is not None and Endpoint.RESPONSES in target.speaks  # else we wrote it, from other words
        if owner is None or target is None or not is_kept or not owner.may_be_seen_by(call.caller):
            raise Refusal(
                404, "response_not_found", f"Response with id '{response_id}' not found.", param="response_id"
            )
        call.response_id = response_id
        call.provider = target.provider
        plan = plan_of_object(request, admission, target)
        call.is_streamed = plan.is_streamed
        return plan

    def _read_form(self, call: OpenCall, request: Request, admission: Admission, grant: Grant) -> Plan:
        route = admission.route
        form = form_of(request, route)
        name = route.default_model if "model" not in form.fields and route.default_model else form.model
        target = self._resolve(call, name, route, grant)
        if target.pools:
            target = self._chosen(call, target, None, route)
        call.is_streamed = form.is_streamed
        return self._timed(plan_of_form(request, form, admission, target), admission)

    def _resolve(self, call: OpenCall, name: str, route: Route, grant: Grant) -> Target[Station]:
        target = self._target(call, name, grant)
        if route.endpoint not in target.speaks:
            able = target.is_mixed and any(may_serve(one, route.endpoint, route.upstream_path) for one in target.pools)
            if not able:
                check_bridge(target, name, route.endpoint, route.upstream_path)
        return target

    def _target(self, call: OpenCall, name: str, grant: Grant) -> Target[Station]:
        call.requested_model = name
        if not name:
            raise Refusal(
                404,
                "prompt_not_found",
                "The prompt does not exist or you do not have access to it: `prompt.id` is the name of a workload.",
                param="prompt.id",
            )
        if not grant.may_use(name):
            raise self.unknown(name, grant)
        if name in self.works:
            raise Refusal(
                400,
                "endpoint_not_supported",
                f"`{name}` is a workload: it is called at /v1/responses, /v1/chat/completions, /v1/messages or "
                "generateContent, not at this endpoint.",
                param="model",
            )
        target = self._table.resolve(name)
        call.provider = target.provider
        call.model = target.model
        return target

    def unknown(self, name: str, grant: Grant) -> Refusal:
        """The refusal of a model that does not exist, or not for this caller, with the nearest names that do."""
        return self._table.unknown(name, [known for known in self._table.names if grant.may_use(known)])


def _head_of_gemini(request: Request, route: Route) -> RequestHead:
    """The head of a call of Google's API: what its path says, written as the other APIs have it in the body."""
    model, is_streamed = model_in(route.path)
    if is_streamed and "alt=sse" not in request.query.split("&"):
        raise Refusal(400, "invalid_value", "A stream is served as events only: ask with `alt=sse`.", param="alt")
    fields = read_fields(request.body)
    request_fields = {**fields, "model": msgspec.Raw(msgspec.json.encode(model))}
    request_fields["stream"] = msgspec.Raw(b"true" if is_streamed else b"false")
    return RequestHead(request_fields, model, is_streamed)
