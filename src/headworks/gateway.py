"""The hall: a request comes in, and goes through the steps of a call in order.

    1 authenticate   `admit`: the route, the key, what it may call
    2 decode         `_read`: only the top-level fields that routing needs
    3 resolve        `_read`: the public model name becomes a target
    6 admit          `_open`: room in the journal; the opened entry is durable
    7 attempt        `_unary`, `_stream`: one request to the target
    8 relay          the same: bytes as they come, or translated between dialects
    9 settle         `_settle`: usage, one settled entry, durable before the caller sees the end

Steps 4 and 5 (conversation state, screening) belong to workloads and are not built yet. A plain call pays only for
what stands here. The gateway knows no socket: it answers through an `exchange.Reply`, so that the server and the
library run the same pipeline.
"""

import asyncio
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from headworks.access import Grant
from headworks.calls import AttemptFailed, Caller, Endpoint, Failure, FailureKind, JournalEntry, Outcome, Settled, Usage
from headworks.catalogue import count_tokens
from headworks.dialects import (
    BRIDGES,
    AnswerSummary,
    Bridge,
    ChatTail,
    RequestHead,
    ResponsesTail,
    read_chat_answer,
    read_embeddings_answer,
    read_form,
    read_head,
    read_responses_answer,
)
from headworks.dialects.endings import error_ending
from headworks.dialects.texts import input_text
from headworks.endpoints import Manner, Route, find_route
from headworks.errors import Refusal, StorageError
from headworks.exchange import Flight, Reply, Request, Running, Timeouts, Upstream, UpstreamRequest
from headworks.flow import Flow, Signal
from headworks.providers import Provider
from headworks.records import Journal
from headworks.routing import Answer, RouteTable, StreamSink, Target, UnarySink
from headworks.settlement import CallIds, OpenCall
from headworks.telemetry import Metrics, report

_now = time.perf_counter
"""The clock of a call's timings; the event loop's own stands still within a turn and counts milliseconds."""

MODEL_HEADERS_FORWARDED = (b"openai-beta", b"idempotency-key", b"x-client-request-id")
"""Headers of the caller that go upstream. Everything else stays here: an allow-list, so that no credential, cookie
or routing header of one side reaches the other."""

_RELAYED = frozenset(
    {b"openai-processing-ms", b"openai-version", b"openai-organization", b"retry-after", b"retry-after-ms"}
    | {b"x-should-retry", b"content-disposition"}
)
"""Headers of the upstream that go to the caller, beside `x-ratelimit-*`."""

_JSON = b"application/json"
_EVENT_STREAM = b"text/event-stream; charset=utf-8"
_STREAM_HEADERS = b"cache-control: no-cache, no-transform\r\nx-accel-buffering: no\r\n"
"""Ask proxies in front not to buffer or re-compress a stream (nginx `proxy_buffering`, 2026 documentation)."""

_STATUS_OF_FAILURE = {
    FailureKind.TIMEOUT: 504,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.QUOTA: 429,
    FailureKind.OVERLOADED: 503,
    FailureKind.REJECTED: 400,
}
_REMEMBERED_RESPONSES = 4096


class Relayed(Protocol):
    """Relays or translates one stream; as `routing.Steps`, and knows at the end what it was."""

    def feed(self, data: bytes) -> bytes: ...
    @property
    def is_complete(self) -> bool: ...
    def summary(self) -> AnswerSummary: ...


class Station(msgspec.Struct, frozen=True):
    """A provider and the way to it."""

    provider: Provider
    upstream: Upstream
    timeouts: Timeouts


class Ring(Protocol):
    """Who calls: `access` implements it."""

    def identify(self, header: bytes | None) -> Grant: ...


class ResponseOwner(msgspec.Struct, frozen=True):
    """Who made a stored response, and where it lies."""

    key_id: str
    team: str
    provider: str


class Parts(msgspec.Struct, frozen=True):
    """What a gateway is put together from (`assembly` does it).

    `find_owner` looks a response id up in the store; `render_metrics` makes the text of `/metrics`; `is_ready` is
    False while the process stops. `models_created` is what `/v1/models` gives as creation time, in Unix seconds.
    """

    ring: Ring
    table: RouteTable[Station]
    journal: Journal
    metrics: Metrics
    find_owner: Callable[[str], Awaitable[ResponseOwner | None]]
    render_metrics: Callable[[], bytes]
    is_ready: Callable[[], bool]
    loop: asyncio.AbstractEventLoop
    keeps_bodies: bool = False
    answer_bytes: int = 64 * 1024 * 1024
    models_created: int = 0


class _Admission:
    __slots__ = ("grant", "route")

    def __init__(self, route: Route, grant: Grant | None) -> None:
        self.route = route
        self.grant = grant


class _Plan(msgspec.Struct, frozen=True):
    """A call that has been read: where it goes and how its answer comes back."""

    target: Target[Station]
    request: UpstreamRequest
    endpoint: Endpoint
    is_streamed: bool
    bridge: Bridge | None = None
    hides_usage: bool = False
    is_raw: bool = False
    path: str = ""
    head: RequestHead | None = None


class Gateway:
    """Implements `exchange.Application`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._loop = parts.loop
        self._ring = parts.ring
        self._table = parts.table
        self._journal = parts.journal
        self._metrics = parts.metrics
        self._ids = CallIds()
        self._running: set[Flow] = set()
        self._idle: asyncio.Event | None = None
        self._owners: OrderedDict[str, ResponseOwner] = OrderedDict()
        self._forward_keys = MODEL_HEADERS_FORWARDED

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return len(self._running)

    # -- 1 authenticate -------------------------------------------------------------------------------------------

    def admit(self, request: Request) -> None:
        route = find_route(request.method, request.path)
        grant: Grant | None = None
        if route.needs_key:
            grant = self._ring.identify(request.headers.get(b"authorization"))
            if not grant.may_call(route.endpoint):
                raise Refusal(
                    403,
                    "endpoint_not_allowed",
                    f"This key may not call {route.endpoint.value}; ask its owner for one that may.",
                    kind="permission_error",
                )
        request.admission = _Admission(route, grant)

    def refuse(self, refusal: Refusal, request: Request | None, reply: Reply) -> None:
        call = self._new_call("http" if request is None else request.path.removeprefix("/v1/")[:64], Caller())
        if request is not None:
            call.request_bytes = len(request.body)
            admission = request.admission
            if isinstance(admission, _Admission) and admission.grant is not None:
                call.caller = admission.grant.caller
        self._refuse(call, refusal, reply)

    def handle(self, request: Request, reply: Reply) -> Running | None:
        admission = request.admission
        assert isinstance(admission, _Admission), "the server admits before it handles"
        route = admission.route
        match route.manner:
            case Manner.LIVE:
                self._plain(reply, 200, b'{"status":"live"}')
            case Manner.READY:
                ready = self._parts.is_ready() and not self._journal.is_full and self._journal.failure is None
                self._plain(reply, 200 if ready else 503, b'{"status":"%b"}' % (b"ready" if ready else b"not ready"))
            case Manner.METRICS:
                self._plain(reply, 200, self._parts.render_metrics(), b"text/plain; version=0.0.4; charset=utf-8")
            case _:
                assert admission.grant is not None, "every other route needs a key"
                flow = Flow(self._call(request, reply, route, admission.grant), self._loop, self._call_ended)
                self._running.add(flow)
                flow.resume()
                return flow
        return None

    async def drain(self) -> None:
        """Wait until no call is under way."""
        while self._running:
            self._idle = asyncio.Event()
            await self._idle.wait()

    def _call_ended(self, flow: Flow) -> None:
        self._running.discard(flow)
        if self._idle is not None and not self._running:
            self._idle.set()

    # -- the call -------------------------------------------------------------------------------------------------

    async def _call(self, request: Request, reply: Reply, route: Route, grant: Grant) -> None:
        call = self._new_call(route.endpoint.value, grant.caller)
        call.request_bytes = len(request.body)
        try:
            match route.manner:
                case Manner.MODELS | Manner.MODEL:
                    await self._models(call, reply, route, grant)
                    return
                case Manner.OBJECT:
                    plan = await self._read_object(call, request, route, grant)
                case _:
                    plan = self._read(call, request, route, grant)
                    if plan.endpoint is Endpoint.RESPONSES and call.response_id:
                        await self._check_previous(call)
            await self._open(call)
            if plan.is_streamed or plan.is_raw:
                await self._stream(call, plan, reply)
            else:
                await self._unary(call, plan, reply)
        except Refusal as refusal:
            self._refuse(call, refusal, reply)
        except asyncio.CancelledError:
            self._settle_cancelled(call)
            raise
        except Exception as error:  # noqa: BLE001 - the edge: a bug of ours must answer, be recorded and be seen
            _report(call, error)
            self._refuse(call, _internal_error(), reply)

    # -- 2 decode, 3 resolve --------------------------------------------------------------------------------------

    def _read(self, call: OpenCall, request: Request, route: Route, grant: Grant) -> _Plan:
        content_type = request.headers.get(b"content-type", b"")
        if content_type.startswith(b"multipart/form-data"):
            if route.manner is not Manner.FORM:
                raise _wrong_content_type("application/json")
            return self._read_form(call, request, route, grant, content_type)
        if content_type and not _is_json(content_type):
            raise _wrong_content_type("application/json or multipart/form-data" if route.manner is Manner.FORM else "")
        head = read_head(request.body, route.endpoint, default_model=route.default_model)
        target = self._resolve(call, head.model, route.endpoint, grant)
        call.user = head.user or ""
        is_streamed = call.is_streamed = head.is_streamed
        bridge = self._bridge(route, target, request.body)
        hides_usage = False
        if bridge is not None:
            body = bridge.request(request.body, target.model)
        else:
            if is_streamed and route.endpoint is Endpoint.CHAT:
                hides_usage = not head.includes_usage
            if route.endpoint is Endpoint.RESPONSES:
                call.response_id = head.previous_response_id or ""
            body = head.splice(model=target.model, include_usage=hides_usage)
        if self._parts.keeps_bodies:
            call.request_body = request.body
        path = route.upstream_path if bridge is None else _OTHER_PATH[route.endpoint]
        return _Plan(
            target,
            target.station.provider.request("POST", path, body, _JSON, self._forwarded(request.headers)),
            route.endpoint,
            is_streamed,
            bridge,
            hides_usage,
            route.is_raw,
            route.upstream_path,
            head,
        )

    def _read_form(self, call: OpenCall, request: Request, route: Route, grant: Grant, content_type: bytes) -> _Plan:
        form = read_form(content_type.decode("latin-1"), request.body)
        name = route.default_model if "model" not in form.fields and route.default_model else form.model
        target = self._resolve(call, name, route.endpoint, grant)
        body = form.splice_model(target.model) if "model" in form.fields else request.body
        call.is_streamed = form.is_streamed
        forwarded = self._forwarded(request.headers)
        upstream_request = target.station.provider.request("POST", route.upstream_path, body, content_type, forwarded)
        return _Plan(target, upstream_request, route.endpoint, call.is_streamed, is_raw=call.is_streamed)

    async def _read_object(self, call: OpenCall, request: Request, route: Route, grant: Grant) -> _Plan:
        response_id = route.path.split("/")[3]
        owner = await self._owner(response_id)
        target = None if owner is None else self._table.station_of(owner.provider)
        if owner is None or target is None or not _may_see(grant.caller, owner):
            raise Refusal(
                404, "response_not_found", f"Response with id '{response_id}' not found.", param="response_id"
            )
        call.response_id = response_id
        call.provider = target.provider
        call.is_streamed = "stream=true" in request.query.split("&")
        query = f"?{request.query}" if request.query else ""
        upstream_request = target.station.provider.request(
            request.method,
            route.upstream_path + query,
            request.body,
            _JSON if request.body else b"",
            self._forwarded(request.headers),
        )
        return _Plan(target, upstream_request, Endpoint.MODELS, call.is_streamed, is_raw=call.is_streamed)

    def _resolve(self, call: OpenCall, name: str, endpoint: Endpoint, grant: Grant) -> Target[Station]:
        call.requested_model = name
        if not grant.may_use(name):
            visible = [known for known in self._table.names if grant.may_use(known)]
            raise self._table.unknown(name, visible)
        target = self._table.resolve(name)
        call.provider = target.provider
        call.model = target.model
        if endpoint in target.speaks or (endpoint in BRIDGES and _OTHER_ENDPOINT[endpoint] in target.speaks):
            return target
        served = ", ".join(sorted(one.value for one in target.speaks))
        raise Refusal(
            400,
            "endpoint_not_supported",
            f"The model `{name}` is at a provider that does not serve {endpoint.value}; it serves {served}.",
            param="model",
        )

    def _bridge(self, route: Route, target: Target[Station], body: bytes) -> Bridge | None:
        if route.endpoint in target.speaks:
            return None
        if route.upstream_path not in _BRIDGED_PATHS:
            raise Refusal(
                400,
                "endpoint_not_supported",
                f"{route.path} is not served by this model's provider, and cannot be translated.",
                param="model",
            )
        return BRIDGES[route.endpoint](body)

    # -- 6 admit --------------------------------------------------------------------------------------------------

    async def _open(self, call: OpenCall) -> None:
        if self._journal.is_full:
            raise Refusal(
                503,
                "journal_full",
                "This gateway cannot record any more calls and so takes none: its journal has reached its bound. "
                "Its operator should see whether the control plane runs and its disk has room.",
                kind="server_error",
                headers=(("retry-after", "5"),),
            )
        await self._write(call.opened())

    # -- 7 attempt, 8 relay ---------------------------------------------------------------------------------------

    async def _unary(self, call: OpenCall, plan: _Plan, reply: Reply) -> None:
        station = plan.target.station
        sink = UnarySink(self._parts.answer_bytes)
        call.attempts += 1
        call.sent_s = _now()
        flight = station.upstream.send(plan.request, sink, station.timeouts)
        try:
            result = await sink.done
        except asyncio.CancelledError:
            flight.cancel()
            raise
        call.head_s = sink.head_s
        if isinstance(result, Failure):
            flight.cancel()
            raise _failed(result)
        body = result.body
        call.upstream_request_id = _text(result.headers.get(b"x-request-id"))
        failure = station.provider.classify(result.status, result.headers, body)
        if failure is not None:
            await self._relay_error(call, plan, failure, result, reply)
            return
        summary: AnswerSummary | None
        if plan.bridge is not None:
            try:
                body, summary = plan.bridge.answer(body)
            except AttemptFailed as error:
                call.usage = error.usage or call.usage
                raise _failed(error.failure) from None
        else:
            read = _ANSWER_READERS.get(plan.path)
            noted = None if read is None else read(body)
            if isinstance(noted, Failure):
                raise _failed(noted)
            summary = noted
        if summary is not None:
            self._note(call, summary)
            if summary.terminal != "none":  # a response in the background has no usage yet
                self._fill_usage(call, plan, summary.text)
        if self._parts.keeps_bodies:
            call.response_body = body
        call.response_bytes = len(body)
        await self._settle(call, "answered", result.status)
        content_type = result.headers.get(b"content-type", _JSON)
        reply.respond(result.status, self._headers(call, plan.target, result.headers, content_type), body)

    async def _stream(self, call: OpenCall, plan: _Plan, reply: Reply) -> None:
        station = plan.target.station
        steps = _steps(plan)
        sink = StreamSink(steps)
        call.attempts += 1
        call.sent_s = _now()
        flight = station.upstream.send(plan.request, sink, station.timeouts)
        try:
            failure = await sink.started
            call.head_s = sink.head_s
            call.first_s = sink.first_s if plan.is_streamed else 0.0
            if failure is not None:
                if steps is not None:
                    self._note(call, steps.summary())
                raise _failed(failure)
            call.upstream_request_id = _text(sink.headers.get(b"x-request-id"))
            if sink.is_error:
                await self._stream_refused(call, plan, sink, reply)
                return
            await self._relay(call, plan, sink, steps, flight, reply)
        except asyncio.CancelledError:
            flight.cancel()
            if not call.is_settled:
                self._sum_up(call, plan, steps, None)
            raise
        except Refusal:
            flight.cancel()
            raise

    async def _relay(
        self, call: OpenCall, plan: _Plan, sink: StreamSink, steps: Relayed | None, flight: Flight, reply: Reply
    ) -> None:
        """Send the stream on while it comes; hold its last piece until the call has settled."""
        kept: list[bytes] | None = [] if self._parts.keeps_bodies else None
        write = reply.write

        def forward(data: bytes) -> None:
            call.response_bytes += len(data)
            if kept is not None:
                kept.append(data)
            write(data)

        headers = self._stream_headers(call, plan, sink, is_events=steps is not None)
        is_begun = not sink.ended.is_set
        if is_begun:
            first = sink.take()
            call.response_bytes += len(first)
            if kept is not None:
                kept.append(first)
            reply.begin(200, headers, first)
            sink.forward = forward
            reply.set_flow(flight.pause, flight.resume)
            failure = await sink.ended
            last = sink.last
        else:
            # It was over within one turn of the loop: nothing has been sent yet, and nothing may before it settles.
            failure = sink.ended.value
            last = sink.take() + sink.last
        if failure is not None:
            flight.cancel()
        if failure is not None:
            flight.cancel()  # the stream may go on although it can no longer be read
        if failure is not None and steps is not None:
            last += error_ending(plan.endpoint, failure.kind.value, _words(failure))
        self._sum_up(call, plan, steps, failure)
        call.response_bytes += len(last)
        if kept is not None:
            call.response_body = b"".join([*kept, last])
        await self._settle(call, "failed" if call.error_code else "answered", 200)
        if not is_begun:
            reply.begin(200, headers)
        if failure is not None and steps is None:
            reply.abort()  # nothing in these bytes could say that they are not all
        else:
            reply.end(last)

    def _sum_up(self, call: OpenCall, plan: _Plan, steps: Relayed | None, failure: Failure | None) -> None:
        """What the stream has said of itself, and what its end says of it."""
        text = ""
        if steps is not None:
            summary = steps.summary()
            self._note(call, summary)
            text = summary.text
        if failure is not None:
            call.error_code = failure.kind.value
        self._fill_usage(call, plan, text)

    def _stream_headers(self, call: OpenCall, plan: _Plan, sink: StreamSink, *, is_events: bool) -> bytes:
        content_type = _EVENT_STREAM if is_events else sink.headers.get(b"content-type", b"application/octet-stream")
        headers = self._headers(call, plan.target, sink.headers, content_type)
        return headers + _STREAM_HEADERS if content_type.startswith(b"text/event-stream") else headers

    async def _stream_refused(self, call: OpenCall, plan: _Plan, sink: StreamSink, reply: Reply) -> None:
        failure = sink.ended.value if sink.ended.is_set else await sink.ended
        if failure is not None:
            raise _failed(failure)
        answer = Answer(sink.status, sink.headers, sink.error_body)
        refused = plan.target.station.provider.classify(sink.status, sink.headers, sink.error_body)
        if refused is None:
            refused = Failure(FailureKind.INVALID, f"{plan.target.provider} answered a stream with something else", 200)
            raise _failed(refused)
        call.first_s = 0.0
        await self._relay_error(call, plan, refused, answer, reply)

    async def _relay_error(self, call: OpenCall, plan: _Plan, failure: Failure, answer: Answer, reply: Reply) -> None:
        """Pass the provider's own refusal on when it is one that the caller can understand."""
        if failure.kind in (FailureKind.UNAUTHORIZED, FailureKind.INVALID):
            raise _failed(failure)
        body = answer.body
        if not _is_error_object(body):
            refusal = _failed(failure, status=answer.status)
            body = refusal.body()
        call.error_code = failure.kind.value
        call.response_bytes = len(body)
        if self._parts.keeps_bodies:
            call.response_body = body
        await self._settle(call, "failed", answer.status)
        reply.respond(answer.status, self._headers(call, plan.target, answer.headers, _JSON), body)

    # -- 9 settle -------------------------------------------------------------------------------------------------

    async def _settle(self, call: OpenCall, outcome: Outcome, status: int) -> None:
        await self._write(self._settled(call, outcome, status))

    async def _write(self, entry: JournalEntry) -> None:
        written: Signal[StorageError | None] = Signal()
        self._journal.append_then(entry, written.set)
        error = await written
        if error is not None:
            raise error

    def _settled(self, call: OpenCall, outcome: Outcome, status: int) -> Settled:
        settled = call.settled(outcome, status, _now())
        self._metrics.observe(settled)
        if call.response_id and outcome == "answered" and call.endpoint == Endpoint.RESPONSES and call.model:
            self._owners[call.response_id] = ResponseOwner(call.caller.key_id, call.caller.team, call.provider)
            if len(self._owners) > _REMEMBERED_RESPONSES:
                self._owners.popitem(last=False)
        return settled

    def _settle_cancelled(self, call: OpenCall) -> None:
        """The caller has gone. 499 is nginx's word for it; no caller sees it."""
        if not call.is_settled:
            call.error_code = call.error_code or "client_disconnected"
            self._journal.append_nowait(self._settled(call, "cancelled", 499))

    def _refuse(self, call: OpenCall, refusal: Refusal, reply: Reply) -> None:
        """Answer with an error as soon as the record of it is durable."""
        headers = self._error_headers(call, refusal)
        body = refusal.body()
        call.error_code = refusal.code
        call.response_bytes = len(body)
        outcome: Outcome = "failed" if call.attempts else "refused"
        if call.is_settled:
            reply.abort()  # an answer was under way and its record is written: end it as what it is, broken
            return
        settled = self._settled(call, outcome, refusal.status)
        if self._journal.is_full and not call.attempts:
            # What cannot be recorded is not served; saying so needs no record.
            reply.respond(refusal.status, headers, body)
            return

        def answer(error: StorageError | None) -> None:
            if error is not None:
                report(f"a record could not be written: {error}")
            reply.respond(refusal.status, headers, body)

        self._journal.append_then(settled, answer)

    def _note(self, call: OpenCall, summary: AnswerSummary) -> None:
        call.response_id = summary.response_id
        call.served_model = summary.served_model
        call.finish_reason = summary.finish_reason
        call.error_code = summary.error_code
        if summary.usage is not None:
            call.usage = summary.usage

    def _fill_usage(self, call: OpenCall, plan: _Plan, delta_text: str) -> None:
        """Count what the provider did not: text went up or came down and no usage was told."""
        if call.usage.source == "none" and plan.head is not None and plan.path in _COUNTED:
            call.usage = Usage(
                input_tokens=count_tokens(input_text(plan.head.fields)),
                output_tokens=count_tokens(delta_text),
                source="estimated",
            )

    # -- models and stored responses ------------------------------------------------------------------------------

    async def _models(self, call: OpenCall, reply: Reply, route: Route, grant: Grant) -> None:
        visible = [name for name in self._table.names if grant.may_use(name)]
        if route.manner is Manner.MODEL:
            name = route.path.removeprefix("/v1/models/")
            call.requested_model = name
            if name not in visible:
                raise self._table.unknown(name, visible)
            body = msgspec.json.encode(self._model_object(name))
        else:
            body = msgspec.json.encode({"object": "list", "data": [self._model_object(name) for name in visible]})
        call.response_bytes = len(body)
        await self._settle(call, "answered", 200)
        reply.respond(200, self._headers(call, None, {}, _JSON), body)

    def _model_object(self, name: str) -> dict[str, str | int | None]:
        return {
            "id": name,
            "object": "model",
            "created": self._parts.models_created,
            "owned_by": self._table.resolve(name).provider,
            "shutdown_date": None,
        }

    async def _owner(self, response_id: str) -> ResponseOwner | None:
        return self._owners.get(response_id) or await self._parts.find_owner(response_id)

    async def _check_previous(self, call: OpenCall) -> None:
        """A caller may go on only from responses of its own; ones made elsewhere are the provider's to judge."""
        previous, call.response_id = call.response_id, ""
        owner = await self._owner(previous)
        if owner is not None and not _may_see(call.caller, owner):
            raise Refusal(
                404,
                "previous_response_not_found",
                f"Previous response with id '{previous}' not found.",
                param="previous_response_id",
            )

    # -- headers and small things ---------------------------------------------------------------------------------

    def _new_call(self, endpoint: str, caller: Caller) -> OpenCall:
        return OpenCall(self._ids.next(), caller, endpoint, _now(), time.time_ns() // 1000)

    def _forwarded(self, headers: Mapping[bytes, bytes]) -> bytes:
        block = b""
        for name in self._forward_keys:
            if name in headers:
                block += b"%b: %b\r\n" % (name, headers[name])
        return block

    def _headers(
        self, call: OpenCall, target: Target[Station] | None, upstream: Mapping[bytes, bytes], content_type: bytes
    ) -> bytes:
        call_id = call.call_id.encode()
        block = b"content-type: %b\r\nx-request-id: %b\r\nx-headworks-call-id: %b\r\n%b%b" % (
            content_type,
            upstream.get(b"x-request-id", call_id),
            call_id,
            b"" if target is None else target.headers,
            call.timings(_now()),
        )
        for name, value in upstream.items():
            if name in _RELAYED or name.startswith(b"x-ratelimit-"):
                block += b"%b: %b\r\n" % (name, value)
        return block

    def _error_headers(self, call: OpenCall, refusal: Refusal) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in refusal.headers)
        return self._headers(call, None, {}, _JSON) + lines.encode("latin-1")

    def _plain(self, reply: Reply, status: int, body: bytes, content_type: bytes = _JSON) -> None:
        call = self._new_call("", Caller())
        reply.respond(status, self._headers(call, None, {}, content_type), body)


_OTHER_ENDPOINT = {Endpoint.RESPONSES: Endpoint.CHAT, Endpoint.CHAT: Endpoint.RESPONSES}
_OTHER_PATH = {Endpoint.RESPONSES: "/chat/completions", Endpoint.CHAT: "/responses"}
_BRIDGED_PATHS = frozenset({"/responses", "/chat/completions"})
_COUNTED = frozenset({"/responses", "/chat/completions"})
_ANSWER_READERS = {
    "/chat/completions": read_chat_answer,
    "/responses": read_responses_answer,
    "/embeddings": read_embeddings_answer,
}
"""Of answers on other paths nothing is read: they may be something other than JSON (transcripts, audio)."""


def _steps(plan: _Plan) -> Relayed | None:
    if plan.is_raw or not plan.is_streamed:
        return None
    if plan.bridge is not None:
        return plan.bridge.stream()
    if plan.endpoint is Endpoint.CHAT:
        return ChatTail(hides_usage=plan.hides_usage)
    return ResponsesTail() if plan.endpoint is Endpoint.RESPONSES else None


def _failed(failure: Failure, *, status: int = 0) -> Refusal:
    """What the caller is told of an attempt that failed without an answer worth passing on."""
    return Refusal(
        status or _STATUS_OF_FAILURE.get(failure.kind, 502), failure.kind.value, _words(failure), kind="upstream_error"
    )


def _words(failure: Failure) -> str:
    if failure.kind is FailureKind.UNAUTHORIZED:
        return (
            f"The upstream refused this gateway's own credentials ({failure.detail}). "
            "Your key is fine; the gateway's operator must look at the provider's key."
        )
    return f"The upstream failed: {failure.detail}."


def _internal_error() -> Refusal:
    return Refusal(500, "internal_error", "The gateway failed; its log says where.", kind="server_error")


def _report(call: OpenCall, error: Exception) -> None:
    """A bug's place goes to the log, its values do not: an exception's text may quote what it worked on."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    what = str(error) if isinstance(error, StorageError) else type(error).__name__
    report(f"{call.call_id}: {what} at {where.filename}:{where.lineno}")


def _wrong_content_type(expected: str) -> Refusal:
    return Refusal(
        415,
        "unsupported_content_type",
        f"The body must be {expected or 'application/json'}, and content-type must say so.",
    )


def _is_json(content_type: bytes) -> bool:
    kind = content_type.split(b";", 1)[0].strip().lower()
    return kind == _JSON or kind.endswith(b"+json")


class _ErrorObject(msgspec.Struct):
    error: dict[str, msgspec.Raw]


_decode_error_object = msgspec.json.Decoder(_ErrorObject).decode


def _is_error_object(body: bytes) -> bool:
    try:
        return "message" in _decode_error_object(body).error
    except (msgspec.DecodeError, RecursionError):
        return False


def _may_see(caller: Caller, owner: ResponseOwner) -> bool:
    """A stored response belongs to the key that made it, and to its team where it has one."""
    return caller.key_id == owner.key_id or (caller.team != "" and caller.team == owner.team)


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("latin-1")[:128]
