"""Steps 2 and 3, decode and resolve: from a request to a plan of where it goes and how its answer comes back."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from time import perf_counter

import msgspec

from headworks.access import Grant
from headworks.answering import JSON, request_id_line
from headworks.calls import Endpoint
from headworks.catalogue import TargetPrice
from headworks.dialects import BRIDGES, Bridge, RequestHead, read_fields, read_form, read_head
from headworks.dialects.structured import SchemaBridge, wants_schema
from headworks.endpoints import GENERATE_PATH, Manner, Route, model_in
from headworks.errors import Refusal
from headworks.exchange import SHARE_WITH_MORE, Request, Timeouts, Upstream, UpstreamRequest
from headworks.limits import SOON_S, LimitSet
from headworks.ownership import ResponseOwner
from headworks.providers import Provider
from headworks.routing import Headroom, Health, RouteTable, Target, choose
from headworks.settlement import OpenCall, Work

FORWARDED = (b"openai-beta", b"idempotency-key", b"x-client-request-id")
"""Headers of the caller that go upstream. Everything else stays here: an allow-list, so that no credential, cookie
or routing header of one side reaches the other."""

_FORWARDED_OF_MESSAGES = (b"anthropic-version", b"anthropic-beta", b"idempotency-key")
"""The same for callers of Anthropic's API."""

_EARLY_S = 0.2
_EARLY_SHARE = 0.05
"""So long before a client's own timeout it is answered: an error that it sees is better than none. Time limits are kept
to a tenth of a second (`wheel`)."""

DEADLINE = b"x-headworks-deadline-ms"
_READ_TIMEOUTS = (b"x-stainless-read-timeout", b"x-stainless-timeout")
"""In seconds: what the SDKs of OpenAI and Anthropic say of how long they wait (`_base_client.py`; `client.ts`). Of a
stream they mean each piece, so that only other calls are bound by it."""

_MOST_HINT = 86_400_000.0
_MOST_KEY_BYTES = 512
"""As long as a value of `metadata` may be (OpenAI API reference, 2026-10)."""

_PATHS = {
    Endpoint.RESPONSES: "/responses",
    Endpoint.CHAT: "/chat/completions",
    Endpoint.MESSAGES: "/messages",
    Endpoint.GENERATE_CONTENT: GENERATE_PATH,
}
"""Where calls can be bridged from; what lies below these paths cannot."""

_ASKED_FOR_USAGE = (Endpoint.CHAT, Endpoint.COMPLETIONS)
"""Whose streams tell their usage only if they are asked to. Those of the latter are read as those of the former, which
say the same of themselves."""

_OPENAI = (Endpoint.RESPONSES, Endpoint.CHAT)
_RELAYED = frozenset(Endpoint) - {Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT, Endpoint.COMPLETIONS}
"""What is relayed as it comes where the target speaks it, with nothing more to say about it."""

_BRIDGED = {
    Endpoint.RESPONSES: (Endpoint.CHAT, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT),
    Endpoint.CHAT: (Endpoint.RESPONSES, Endpoint.MESSAGES, Endpoint.GENERATE_CONTENT),
    Endpoint.MESSAGES: (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.GENERATE_CONTENT),
    Endpoint.GENERATE_CONTENT: (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.MESSAGES),
}
"""By the endpoint that is called: the dialects that it can be translated to, the one that can say most first."""


NO_PRICE = TargetPrice(None, "")


class Station(msgspec.Struct, frozen=True):
    """A model at a provider, through one pool, and the way to it. `price` is what its calls cost; `health` what is
    learnt of it; `limits` the quotas that its calls are under, and `headroom` what is left of them."""

    provider: Provider
    upstream: Upstream
    timeouts: Timeouts
    price: TargetPrice
    health: Health
    limits: LimitSet | None = None
    headroom: Headroom | None = None


FALLBACK = b"x-headworks-fallback"
RETRIES = b"x-headworks-retries"
"""With these a caller says of one call that no other name is to be asked (`off`), and how many further attempts may be
made at a target of the one that it asks for; with 0 there is one attempt in all, beside those at other names."""

_MOST_RETRIES = 10


class KnownTimes:
    """The time limits of the last attempt that was planned for one admission: the next has nearly always the same.
    State: whose plan it was, and for what."""

    __slots__ = ("is_streamed", "limits", "planner", "timeouts")

    def __init__(self) -> None:
        self.planner: Planner | None = None
        self.limits: Timeouts | None = None
        self.is_streamed = False
        self.timeouts: Timeouts | None = None


class Admission(msgspec.Struct, frozen=True):
    """What the head of a request has settled. `forwarded` is the header block that goes upstream, `edition` the ring's
    at that time: while it is the same, the same head means the same admission. `caller_key` is the caller's own name
    for the call. `deadline_s` is how long the caller lets it take, `patience_s` how long its client waits for an answer
    that is not streamed. `times` is None where the caller says nothing of time. `may_fall_back` and `retries` are what
    the caller allows of further attempts, None where it says nothing. `cache_control` is what it says of answers that
    were given before. `peer` is who sent that head: a request that is taken for one like it comes over the same
    connection."""

    route: Route
    grant: Grant | None
    edition: object
    is_json: bool
    forwarded: bytes
    caller_key: str = ""
    deadline_s: float | None = None
    patience_s: float | None = None
    times: KnownTimes | None = None
    may_fall_back: bool = True
    retries: int | None = None
    cache_control: bytes = b""
    peer: str = ""

    def due_s(self, longest_s: float, *, is_streamed: bool) -> float:
        """Seconds that a call may take, of which configuration allows `longest_s`."""
        if self.deadline_s is not None:
            longest_s = min(longest_s, self.deadline_s)
        if self.patience_s is not None and not is_streamed:
            early_s = max(_EARLY_S, self.patience_s * _EARLY_SHARE)
            longest_s = min(longest_s, max(self.patience_s - early_s, self.patience_s / 2))
        return longest_s


class Plan(msgspec.Struct, frozen=True, gc=False):
    """A call that has been read: where it goes and how its answer comes back.

    Attributes:
        path: of the API, below the base URL, as the caller asked for it.
        previous_response_id: of a stored response that this call goes on from; "" if none.
        bridge: translates, where the upstream speaks another dialect.
        hides_usage: the usage of this stream is asked for by us and not for the caller.
        is_raw: the answer is relayed as it comes, whatever it is.
        unlisted: whose call it is, where its model's name was passed on without our knowing it.
        timeouts: of the attempt, where they are not the target's own.
        asked, admission: what it was made of, for asking another target the same; None where that is not to be.
        treat: makes another target's plan treat its answer as this one does; None where answers pass as they are.
        kept: the answer as records may hold it; None where that is what the caller gets.
    """

    target: Target[Station]
    request: UpstreamRequest
    endpoint: Endpoint
    path: str
    is_streamed: bool
    head: RequestHead | None = None
    bridge: Bridge | None = None
    hides_usage: bool = False
    is_raw: bool = False
    previous_response_id: str = ""
    unlisted: Grant | None = None
    timeouts: Timeouts | None = None
    asked: Request | None = None
    admission: Admission | None = None
    treat: Callable[["Plan"], "Plan"] | None = None
    kept: Callable[[], bytes] | None = None


def admission_of(request: Request, route: Route, grant: Grant | None, edition: object) -> Admission:
    """What is known of a request from its head alone.

    Raises:
        Refusal: 400 `invalid_header`: what is to be left out must not be done because it was not understood.
    """
    headers = request.headers
    content_type = headers.get(b"content-type", b"")
    names = _FORWARDED_OF_MESSAGES if route.endpoint is Endpoint.MESSAGES else FORWARDED
    forwarded = b"".join(b"%b: %b\r\n" % (name, headers[name]) for name in names if name in headers)
    key = headers.get(b"idempotency-key", b"")[:_MOST_KEY_BYTES].decode("utf-8", "replace")
    deadline_ms = _number(headers, DEADLINE)
    patience_s = next((found for name in _READ_TIMEOUTS if (found := _number(headers, name)) is not None), None)
    return Admission(
        route,
        grant,
        edition,
        not content_type or _is_json(content_type),
        forwarded,
        key,
        None if deadline_ms is None else deadline_ms / 1000,
        patience_s,
        None if deadline_ms is None and patience_s is None else KnownTimes(),
        _may_fall_back(headers),
        _retries(headers),
        headers.get(b"cache-control", b""),
        request.peer,
    )


def _may_fall_back(headers: Mapping[bytes, bytes]) -> bool:
    said = headers.get(FALLBACK)
    if said is None:
        return True
    wish = said.strip().lower()
    if wish not in (b"on", b"off"):
        raise _unreadable(FALLBACK, "`off` or `on`")
    return wish == b"on"


def _retries(headers: Mapping[bytes, bytes]) -> int | None:
    said = headers.get(RETRIES)
    if said is None:
        return None
    wish = said.strip()
    if not wish.isdigit() or len(wish) > len(str(_MOST_RETRIES)) or int(wish) > _MOST_RETRIES:
        raise _unreadable(RETRIES, f"a whole number from 0 to {_MOST_RETRIES}")
    return int(wish)


def _unreadable(name: bytes, expected: str) -> Refusal:
    header = name.decode("ascii")
    return Refusal(400, "invalid_header", f"The header `{header}` must be {expected}.", param=header)


def _number(headers: Mapping[bytes, bytes], name: bytes) -> float | None:
    """A positive number; None where there is none, whatever there is instead: a hint that cannot be read is none."""
    try:
        found = float(headers[name])
    except (KeyError, ValueError):
        return None
    return found if 0 < found < _MOST_HINT else None


def metadata_of(head: RequestHead) -> dict[str, str]:
    """What the caller says of the call in `metadata`; nothing where that is not readable: the provider judges it."""
    raw = head.fields.get("metadata")
    try:
        found = None if raw is None else msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def note_keys(call: OpenCall, head: RequestHead, admission: Admission) -> dict[str, str]:
    """Put the caller's own key and trace into the record, by which outcomes find the call; returns the metadata."""
    metadata = metadata_of(head)
    key = metadata.get("headworks_key", "") or admission.caller_key
    trace = metadata.get("trace_id", "")
    if key or trace:
        call.work = call.work or Work()
        call.work.caller_key, call.work.trace_id = key[:_MOST_KEY_BYTES], trace[:_MOST_KEY_BYTES]
    return metadata


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
        if endpoint not in _RELAYED or endpoint not in target.speaks or target.fallback:
            plan = self._plan(call, request, head, admission, target, unlisted)
            return self._timed(plan, admission) if admission.times is not None or target.fallback else plan
        # The plain call, as `_plan` would have it: it is what nearly every call is.
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
        best = pick(pools, now_s, self._uniform, key=key)
        return pools[0] if best is None else best

    def at_home(self, target: Target[Station], provider: str) -> Target[Station]:
        """The same model through this pool; the target as it is where it has none of that name."""
        return self._table.in_pool(target, provider)

    def in_pool(self, call: OpenCall, plan: Plan, provider: str) -> Plan:
        """The plan with the pool that something lies in which the call refers to."""
        target = self._table.in_pool(plan.target, provider)
        return plan if target is plan.target else self.again(call, plan, target)

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
        if plan.head is not None:
            if route.endpoint not in target.speaks:
                self._check_bridge(target, call.requested_model, route.endpoint, route.upstream_path)
            again = self._plan(call, asked, plan.head, admission, target, plan.unlisted)
        else:
            kind = asked.headers.get(b"content-type", b"")
            provider = target.station.provider
            sent = provider.request("POST", route.upstream_path, plan.request.body, kind, admission.forwarded)
            again = msgspec.structs.replace(plan, target=target, request=sent)
        call.provider, call.model = target.provider, target.model
        return again if plan.treat is None else plan.treat(again)

    def _plan(
        self,
        call: OpenCall,
        request: Request,
        head: RequestHead,
        admission: Admission,
        target: Target[Station],
        unlisted: Grant | None,
    ) -> Plan:
        route = admission.route
        endpoint, path, is_streamed = route.endpoint, route.upstream_path, head.is_streamed
        if endpoint is Endpoint.MESSAGES:
            target = _for_messages(call, head, target)
        if endpoint not in target.speaks:
            spoken = spoken_by(target.speaks, endpoint, head)
            assert spoken is not None, "the target was checked when it was resolved"
            is_in_path = endpoint is Endpoint.GENERATE_CONTENT
            bridge = BRIDGES[endpoint, spoken](head.splice() if is_in_path else request.body)
            provider = target.station.provider
            body = bridge.request(request.body, target.model, limit_name=provider.limit_name)
            upstream_path = provider.call_path(spoken, target.model, is_streamed=is_streamed)
            sent = provider.json_request(upstream_path, body, _forwarded(admission.forwarded, endpoint, spoken))
            return Plan(
                target,
                sent,
                endpoint,
                path,
                is_streamed,
                head,
                bridge,
                unlisted=unlisted,
                asked=request,
                admission=admission,
            )
        if endpoint is Endpoint.GENERATE_CONTENT:
            return _relayed_to_google(target, request, head, admission, unlisted)
        hides_usage = is_streamed and endpoint in _ASKED_FOR_USAGE and not head.includes_usage
        body = head.splice(model=target.model, include_usage=hides_usage)
        return Plan(
            target,
            target.station.provider.json_request(path, body, admission.forwarded),
            endpoint if endpoint is not Endpoint.COMPLETIONS else Endpoint.CHAT,
            path,
            is_streamed,
            head,
            None,
            hides_usage,
            route.is_raw,
            (head.previous_response_id or "") if endpoint is Endpoint.RESPONSES else "",
            unlisted,
            None,
            request,
            admission,
        )

    def counts(self, call: OpenCall, head: RequestHead, grant: Grant) -> bool:
        """Whether the target of this call counts tokens itself.

        Raises:
            Refusal: there is no such model for this caller.
        """
        return Endpoint.MESSAGES in self._target(call, head.model, grant).speaks

    def plan_to(
        self,
        target: Target[Station],
        head: RequestHead,
        endpoint: Endpoint,
        path: str,
        forwarded: bytes,
        stop: Sequence[str] = (),
    ) -> Plan:
        """The plan of asking this target, on behalf of a workload: `head` is what goes up, but for the model.

        Arguments:
            stop: the contract's stop sequences. Responses has no place for them: such a call is translated.

        Raises:
            Refusal: 400, for what this target cannot honour.
        """
        provider, is_streamed = target.station.provider, head.is_streamed
        mode = provider.structured_output
        is_emulated = mode != "json_schema" and Endpoint.CHAT in target.speaks and wants_schema(endpoint, head.fields)
        stop = stop if endpoint is Endpoint.RESPONSES else ()
        if not is_emulated and not stop and endpoint in target.speaks:
            hides_usage = is_streamed and endpoint is Endpoint.CHAT and not head.includes_usage
            body = head.splice(model=target.model, include_usage=hides_usage)
            sent = provider.json_request(path, body, forwarded)
            return Plan(target, sent, endpoint, path, is_streamed, head, None, hides_usage)
        body = head.splice(model=target.model)
        bridge: Bridge
        if is_emulated:
            assert mode != "json_schema", "that is nothing to emulate"
            spoken, bridge = Endpoint.CHAT, SchemaBridge(endpoint, body, mode)
        else:
            spoken = _with_stop(target) if stop else self._check_bridge(target, head.model, endpoint, path)
            bridge = BRIDGES[endpoint, spoken](body)
        body = bridge.request(body, target.model, limit_name=provider.limit_name)
        if stop:
            name = "stop" if spoken is Endpoint.CHAT else "stop_sequences"
            body = msgspec.json.encode({**read_fields(body), name: stop})
        upstream_path = provider.call_path(spoken, target.model, is_streamed=is_streamed)
        sent = provider.json_request(upstream_path, body, _forwarded(forwarded, endpoint, spoken))
        return Plan(target, sent, endpoint, path, is_streamed, head, bridge)

    def read_object(self, call: OpenCall, request: Request, admission: Admission, owner: ResponseOwner | None) -> Plan:
        """The plan of a call for a stored response, whose owner was looked up.

        Raises:
            Refusal: 404 where there is none, or where it is somebody else's.
        """
        route = admission.route
        target = None if owner is None else self._table.station_of(owner.provider)
        response_id = stored_id(route)
        if owner is None or target is None or not owner.may_be_seen_by(call.caller):
            raise Refusal(
                404, "response_not_found", f"Response with id '{response_id}' not found.", param="response_id"
            )
        call.response_id = response_id
        call.provider = target.provider
        call.is_streamed = "stream=true" in request.query.split("&")
        query = f"?{request.query}" if request.query else ""
        sent = target.station.provider.request(
            request.method,
            route.upstream_path + query,
            request.body,
            JSON if request.body else b"",
            admission.forwarded,
        )
        return Plan(target, sent, Endpoint.MODELS, route.upstream_path, call.is_streamed, is_raw=call.is_streamed)

    def _read_form(self, call: OpenCall, request: Request, admission: Admission, grant: Grant) -> Plan:
        route = admission.route
        content_type = request.headers.get(b"content-type", b"")
        if route.manner is not Manner.FORM or not content_type.startswith(b"multipart/form-data"):
            expected = "application/json"
            if route.manner is Manner.FORM:
                expected += " or multipart/form-data"
            raise Refusal(
                415, "unsupported_content_type", f"The body must be {expected}, and content-type must say so."
            )
        form = read_form(content_type.decode("latin-1"), request.body)
        name = route.default_model if "model" not in form.fields and route.default_model else form.model
        target = self._resolve(call, name, route, grant)
        if target.pools:
            target = self._chosen(call, target, None, route)
        body = form.splice_model(target.model) if "model" in form.fields else request.body
        call.is_streamed = form.is_streamed
        path = route.upstream_path
        sent = target.station.provider.request("POST", path, body, content_type, admission.forwarded)
        plan = Plan(
            target,
            sent,
            route.endpoint,
            path,
            call.is_streamed,
            is_raw=call.is_streamed,
            asked=request,
            admission=admission,
        )
        return self._timed(plan, admission)

    def _resolve(self, call: OpenCall, name: str, route: Route, grant: Grant) -> Target[Station]:
        target = self._target(call, name, grant)
        if route.endpoint not in target.speaks:
            able = target.is_mixed and any(may_serve(one, route.endpoint, route.upstream_path) for one in target.pools)
            if not able:
                self._check_bridge(target, name, route.endpoint, route.upstream_path)
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

    def _check_bridge(self, target: Target[Station], name: str, endpoint: Endpoint, path: str) -> Endpoint:
        spoken = spoken_by(target.speaks, endpoint)
        if spoken is None:
            served = ", ".join(sorted(one.value for one in target.speaks))
            raise Refusal(
                400,
                "endpoint_not_supported",
                f"The model `{name}` is at a provider that does not serve {endpoint.value}; it serves {served}.",
                param="model",
            )
        if path != _PATHS[endpoint]:
            raise Refusal(
                400,
                "endpoint_not_supported",
                f"/v1{path} is not served by this model's provider, and cannot be translated.",
                param="model",
            )
        return spoken


def _with_stop(target: Target[Station]) -> Endpoint:
    """A dialect that this target speaks and that has a place for stop sequences.

    Raises:
        Refusal: 400, there is none.
    """
    for spoken in (Endpoint.CHAT, Endpoint.MESSAGES):
        if spoken in target.speaks:
            return spoken
    raise Refusal(
        400,
        "endpoint_not_supported",
        f"The contract has stop sequences, which the API that {target.provider} serves has no place for.",
        param="model",
    )


def _head_of_gemini(request: Request, route: Route) -> RequestHead:
    """The head of a call of Google's API: what its path says, written as the other APIs have it in the body."""
    model, is_streamed = model_in(route.path)
    if is_streamed and "alt=sse" not in request.query.split("&"):
        raise Refusal(400, "invalid_value", "A stream is served as events only: ask with `alt=sse`.", param="alt")
    fields = read_fields(request.body)
    request_fields = {**fields, "model": msgspec.Raw(msgspec.json.encode(model))}
    request_fields["stream"] = msgspec.Raw(b"true" if is_streamed else b"false")
    return RequestHead(request_fields, model, is_streamed)


def _relayed_to_google(
    target: Target[Station], request: Request, head: RequestHead, admission: Admission, unlisted: Grant | None
) -> Plan:
    path = admission.route.upstream_path
    provider = target.station.provider
    upstream_path = provider.call_path(Endpoint.GENERATE_CONTENT, target.model, is_streamed=head.is_streamed)
    sent = provider.json_request(upstream_path, request.body, b"")
    return Plan(
        target,
        sent,
        Endpoint.GENERATE_CONTENT,
        path,
        head.is_streamed,
        head,
        unlisted=unlisted,
        asked=request,
        admission=admission,
    )


def spoken_by(speaks: frozenset[Endpoint], endpoint: Endpoint, head: RequestHead | None = None) -> Endpoint | None:
    """The dialect to which a call of `endpoint` is translated for a target that speaks these; None if it cannot be."""
    if head is not None and "stop_sequences" in head.fields and Endpoint.CHAT in speaks:
        return Endpoint.CHAT  # Responses has no place for them
    return next((one for one in _BRIDGED.get(endpoint, ()) if one in speaks), None)


def _for_messages(call: OpenCall, head: RequestHead, target: Target[Station]) -> Target[Station]:
    """Note whom the caller of Anthropic's API says that the call is for; returns the target, with headers that tell its
    client the call's id where the upstream's answer will not."""
    call.user = metadata_of(head).get("user_id", "")
    if Endpoint.MESSAGES in target.speaks:
        return target
    return msgspec.structs.replace(target, headers=target.headers + request_id_line(call).encode())


def _forwarded(block: bytes, called: Endpoint, spoken: Endpoint) -> bytes:
    """Of the caller's headers, those that mean something to an upstream of another maker's API: none."""
    return block if called in _OPENAI and spoken in _OPENAI else b""


def _headroom(now_s: float, target: Target[Station]) -> float:
    """How much is left of the tightest limit of a target, as far as this worker knows; 0 where a call has no room."""
    station = target.station
    limits = station.limits
    if limits is None:
        return 1.0
    if limits.wait_s(1, now_s) > SOON_S:
        return 0.0
    return 1.0 if station.headroom is None else station.headroom.left(now_s)


def may_serve(target: Target[Station], endpoint: Endpoint, path: str) -> bool:
    """Whether a call of this endpoint can go to a target, translated if need be."""
    if endpoint in target.speaks:
        return True
    return path == _PATHS.get(endpoint) and spoken_by(target.speaks, endpoint) is not None


def pick(
    pools: Sequence[Target[Station]], now_s: float, uniform: Callable[[float], float], *, key: str = ""
) -> Target[Station] | None:
    """Which of several that serve the same name is asked now; None where none may be. See `choose`."""
    return choose(pools, health_of, now_s, uniform, key=key, headroom_of=partial(_headroom, now_s))


def pool_not_configured(provider: str) -> Refusal:
    """Where something lies is configured no more. It is nowhere else."""
    return Refusal(
        503,
        "pool_not_configured",
        f"What this refers to lies at `{provider}`, which is not in this gateway's configuration any more, and nowhere "
        "else. Its operator can configure it again.",
        kind="server_error",
        headers=(("x-should-retry", "false"),),
    )


def health_of(target: Target[Station]) -> Health:
    """What is learnt of a target."""
    return target.station.health


def stored_id(route: Route) -> str:
    """The response that a path below `/v1/responses/` names."""
    return route.path.split("/")[3]


def _is_json(content_type: bytes) -> bool:
    kind = content_type.split(b";", 1)[0].strip().lower()
    return kind == JSON or kind.endswith(b"+json")


__all__ = ["Admission", "Plan", "Planner", "Station", "admission_of", "stored_id"]
