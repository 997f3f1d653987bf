"""A plan: one call to one target, written as that target wants it. Which target it is, `planning` decides."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from headworks.access import Grant
from headworks.admission import Admission, metadata_of
from headworks.answering import JSON, request_id_line
from headworks.calls import Endpoint
from headworks.dialects import BRIDGES, Bridge, Form, RequestHead, read_form
from headworks.dialects.leaving_out import leaving_out
from headworks.dialects.reading import Fields
from headworks.dialects.stopping import STOPPABLE, with_stop
from headworks.dialects.structured import emulated_by, schema_bridge, wants_schema
from headworks.dialects.wishes import Wishes
from headworks.endpoints import Manner, Route
from headworks.errors import Refusal
from headworks.exchange import Request, Timeouts, UpstreamRequest
from headworks.object_caches import parent_at, with_full_name
from headworks.routing import Target
from headworks.settlement import OpenCall, Work
from headworks.stations import Station, check_bridge, spoken_by

_ASKED_FOR_USAGE = (Endpoint.CHAT, Endpoint.COMPLETIONS)
"""Whose streams tell their usage only if they are asked to. Those of the latter are read as those of the former, which
say the same of themselves."""

_OPENAI = (Endpoint.RESPONSES, Endpoint.CHAT, Endpoint.COMPLETIONS)


if TYPE_CHECKING:
    from headworks.parted import PartedRequest


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
        dropped: fields of the request that were left out, since the target has nothing for them.
        parts: all that is sent, where that is more than `request`, or must be gathered otherwise.
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
    dropped: tuple[str, ...] = ()
    parts: "PartedRequest | None" = None

    @property
    def named(self) -> str:
        """The target, for the record, and what it was not told."""
        name = f"{self.target.provider}/{self.target.model}"
        return f"{name} (without {', '.join(self.dropped)})" if self.dropped else name


def plan_of_call(
    call: OpenCall,
    request: Request,
    head: RequestHead,
    admission: Admission,
    target: Target[Station],
    unlisted: Grant | None,
) -> Plan:
    """The plan of asking this target what a caller asks, relayed as it is or translated.

    Arguments:
        unlisted: whose call it is, where its model's name is passed on without our knowing it.

    Raises:
        Refusal: 400, for what this target cannot honour.
    """
    try:
        return _plan_of_call(call, request, head, admission, target, unlisted)
    except Refusal as refusal:
        return _plan_without(refusal, call, request, head, admission, target, unlisted)


def _plan_without(
    refusal: Refusal,
    call: OpenCall,
    request: Request,
    head: RequestHead,
    admission: Admission,
    target: Target[Station],
    unlisted: Grant | None,
) -> Plan:
    """The plan without what the target refuses and may do without, which its answer and the record name.

    Raises:
        Refusal: of anything else, by the name that it has in the caller's request.
    """

    def planned(fields: Fields) -> Plan:
        fewer = msgspec.structs.replace(head, fields=fields)
        sent = msgspec.structs.replace(request, body=fewer.splice())
        return _plan_of_call(call, sent, fewer, admission, target, unlisted)

    user = call.user  # whom the call is for is still known, whatever a target is told
    plan, left = leaving_out(refusal, head.fields, target.droppable, planned)
    call.user = user
    told = msgspec.structs.replace(plan.target, headers=plan.target.headers + dropped_line(left))
    # Another target is asked all of it again.
    plan = msgspec.structs.replace(plan, target=told, head=head, asked=request, dropped=left)
    record = call.work = call.work or Work()
    record.dropped = tuple(dict.fromkeys((*record.dropped, *left)))
    record.note_attempt(plan.named)
    return plan


def dropped_line(names: Sequence[str]) -> bytes:
    """The header that names what was left out of a request."""
    return f"x-headworks-dropped: {', '.join(names)}\r\n".encode("ascii")


def _plan_of_call(
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
        if endpoint is Endpoint.EMBEDDINGS:
            return _plan_of_embeddings(request, head, admission, target, spoken, unlisted)
        is_in_path = endpoint is Endpoint.GENERATE_CONTENT
        bridge = BRIDGES[endpoint, spoken](head.splice() if is_in_path else request.body)
        provider = target.station.provider
        body = bridge.request(
            request.body, target.model, limit_name=provider.limit_name, stands_for=target.station.stands_for
        )
        upstream_path = provider.call_path(spoken, target.model, is_streamed=is_streamed)
        sent = provider.json_request(upstream_path, body, _forwarded(admission.forwarded, endpoint, spoken))
        return Plan(
            target,
            sent,
            endpoint if endpoint is not Endpoint.COMPLETIONS else Endpoint.CHAT,
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


def _plan_of_embeddings(
    request: Request,
    head: RequestHead,
    admission: Admission,
    target: Target[Station],
    spoken: Endpoint,
    unlisted: Grant | None,
) -> Plan:
    from headworks.dialects.embeddings import EmbeddingsBridge  # here and below: only who has them of others' models
    from headworks.parted import PartedRequest

    station, bridge = target.station, EmbeddingsBridge(request.body)
    path = station.provider.call_path(spoken, target.model, is_streamed=False)
    requests = [
        station.provider.json_request(part.path, part.body, b"")
        for part in bridge.parts(path, target.model, station.stands_for)
    ]
    return Plan(
        target,
        requests[0],
        Endpoint.EMBEDDINGS,
        admission.route.upstream_path,
        head.is_streamed,
        head,
        bridge,
        unlisted=unlisted,
        asked=request,
        admission=admission,
        parts=PartedRequest(station.upstream, requests, bridge.used),
    )


def plan_to(
    target: Target[Station],
    head: RequestHead,
    endpoint: Endpoint,
    path: str,
    forwarded: bytes,
    stop: Sequence[str] = (),
    wishes: Wishes | None = None,
) -> Plan:
    """The plan of asking this target, on behalf of a workload: `head` is what goes up, but for the model.

    Arguments:
        stop: the contract's stop sequences. Responses has no place for them: such a call is translated.
        wishes: what of the fields has no place in Responses either; None for callers of it.

    Raises:
        Refusal: 400, for what this target cannot honour.
    """
    provider, is_streamed = target.station.provider, head.is_streamed
    mode = provider.structured_output
    emulated = None if mode == "json_schema" else emulated_by(target.speaks, mode)
    if emulated is not None and not wants_schema(endpoint, head.fields):
        emulated = None
    stop = stop if endpoint is Endpoint.RESPONSES else ()
    wished = None
    if wishes is not None:
        wished, fields = wishes.apart(head.fields)
        head = msgspec.structs.replace(head, fields=fields)
    is_more = stop or (wished is not None and wished.needs_more)
    if emulated is None and not is_more and endpoint in target.speaks:
        hides_usage = is_streamed and endpoint is Endpoint.CHAT and not head.includes_usage
        body = head.splice(model=target.model, include_usage=hides_usage)
        sent = provider.json_request(path, body, forwarded)
        return Plan(target, sent, endpoint, path, is_streamed, head, None, hides_usage)
    body = head.splice(model=target.model)
    bridge: Bridge
    if emulated is not None:
        spoken, bridge = emulated, schema_bridge(endpoint, emulated, body, mode, wished=wished)
    else:
        if wished is not None and not stop and target.speaks.isdisjoint(STOPPABLE):
            wished.check_responses()
        spoken = _with_stop(target) if is_more else check_bridge(target, head.model, endpoint, path)
        bridge = BRIDGES[endpoint, spoken](body, wished=wished)
    body = bridge.request(body, target.model, limit_name=provider.limit_name, stands_for=target.station.stands_for)
    if stop:
        body = with_stop(body, spoken, stop)
    upstream_path = provider.call_path(spoken, target.model, is_streamed=is_streamed)
    sent = provider.json_request(upstream_path, body, _forwarded(forwarded, endpoint, spoken))
    return Plan(target, sent, endpoint, path, is_streamed, head, bridge)


def _with_stop(target: Target[Station]) -> Endpoint:
    """A dialect that this target speaks and that has a place for stop sequences.

    Raises:
        Refusal: 400, there is none.
    """
    for spoken in STOPPABLE:
        if spoken in target.speaks:
            return spoken
    raise Refusal(
        400,
        "endpoint_not_supported",
        f"The contract has stop sequences, which the API that {target.provider} serves has no place for.",
        param="model",
    )


def _relayed_to_google(
    target: Target[Station], request: Request, head: RequestHead, admission: Admission, unlisted: Grant | None
) -> Plan:
    path = admission.route.upstream_path
    provider = target.station.provider
    upstream_path = provider.call_path(Endpoint.GENERATE_CONTENT, target.model, is_streamed=head.is_streamed)
    body = request.body
    if "cachedContent" in head.fields or "cached_content" in head.fields:
        parent = parent_at(provider)
        body = with_full_name(body, parent) if parent else body
    sent = provider.json_request(upstream_path, body, b"")
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


def form_of(request: Request, route: Route) -> Form:
    """The form that a call is made with, which is not in JSON.

    Raises:
        Refusal: 415, there is no form or none is expected; 400, it cannot be read.
    """
    content_type = request.headers.get(b"content-type", b"")
    if route.manner is not Manner.FORM or not content_type.startswith(b"multipart/form-data"):
        expected = "application/json"
        if route.manner is Manner.FORM:
            expected += " or multipart/form-data"
        raise Refusal(415, "unsupported_content_type", f"The body must be {expected}, and content-type must say so.")
    return read_form(content_type.decode("latin-1"), request.body)


def plan_of_form(request: Request, form: Form, admission: Admission, target: Target[Station]) -> Plan:
    """The plan of sending a form on to this target, with its name for the model."""
    body = form.splice_model(target.model) if "model" in form.fields else request.body
    path = admission.route.upstream_path
    kind = request.headers.get(b"content-type", b"")
    return Plan(
        target,
        target.station.provider.request("POST", path, body, kind, admission.forwarded),
        admission.route.endpoint,
        path,
        form.is_streamed,
        is_raw=form.is_streamed,
        asked=request,
        admission=admission,
    )


def plan_of_object(request: Request, admission: Admission, target: Target[Station]) -> Plan:
    """The plan of a call for a response that lies at this target."""
    path = admission.route.upstream_path
    is_streamed = "stream=true" in request.query.split("&")
    query = f"?{request.query}" if request.query else ""
    kind = JSON if request.body else b""
    sent = target.station.provider.request(request.method, path + query, request.body, kind, admission.forwarded)
    return Plan(target, sent, Endpoint.MODELS, path, is_streamed, is_raw=is_streamed)


def stored_id(route: Route) -> str:
    """The response that a path below `/v1/responses/` names."""
    return route.path.split("/")[3]
