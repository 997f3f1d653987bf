"""The calls that no model answers: probes, metrics, the list of models, pulses, what applications report, approvals.

They cost no money; all but probes and metrics are on record like any other.
"""

from collections.abc import Callable, Coroutine
from secrets import token_hex
from time import gmtime, strftime, time_ns
from typing import Any

import msgspec

from headworks.access import Grant
from headworks.answering import EVENT_STREAM, JSON, STREAM_HEADERS, own_headers, request_id_line
from headworks.calls import Caller, Endpoint
from headworks.catalogue import loaded_tokenizer_for
from headworks.counting import count_request
from headworks.dialects import RequestHead, refusal_body
from headworks.endpoints import Manner, Route
from headworks.errors import Refusal, StorageError
from headworks.exchange import Reply, Request
from headworks.gateway_parts import Parts, Works
from headworks.plans import stored_id
from headworks.pulse import PulseStreams, read_query
from headworks.records import read_outcomes
from headworks.settlement import OpenCall, Settlement
from headworks.shedding import journal_full
from headworks.telemetry import report

ModelObject = dict[str, str | int | None]


class OwnAnswers:
    """Answers what a gateway knows by itself.

    Arguments:
        begin: makes a call, for what has none.
    """

    def __init__(
        self, parts: Parts, settlement: Settlement, works: Works | None, begin: Callable[[str, Caller], OpenCall]
    ) -> None:
        self._parts = parts
        self._journal = parts.journal
        self._table = parts.table
        self._settlement = settlement
        self._works = works
        self._work_names = () if works is None else tuple(works.names)
        self._begin = begin
        self._pulses = PulseStreams(parts.loop.time)

    def tell_state(self, route: Route, reply: Reply) -> None:
        """Answer whoever watches the process: whether it lives, whether it takes calls, what it counts."""
        status, body, content_type = 200, b'{"status":"live"}', JSON
        if route.manner is Manner.READY:
            is_ready = self._parts.is_ready() and not self._journal.is_full and self._journal.failure is None
            status, body = (200, b'{"status":"ready"}') if is_ready else (503, b'{"status":"not ready"}')
        elif route.manner is Manner.METRICS:
            body, content_type = self._parts.render_metrics(), b"text/plain; version=0.0.4; charset=utf-8"
        reply.respond(status, own_headers(self._begin("", Caller()), content_type), body)

    def answer(
        self, call: OpenCall, request: Request, route: Route, grant: Grant, reply: Reply
    ) -> Coroutine[Any, Any, None] | None:
        """Answer a call now; or return what answers it and has to wait in between.

        Raises:
            Refusal: what is wrong with it.
        """
        manner = route.manner
        if manner is Manner.PULSE:
            return self._send_pulses(call, request, reply)
        if manner is Manner.HELD:
            if self._works is None:
                name = stored_id(route)
                raise Refusal(404, "response_not_found", f"Response with id '{name}' not found.", param="response_id")
            return self._works.serve_held(call, route, reply)
        if manner in (Manner.APPROVALS, Manner.APPROVAL):
            if self._works is None:
                raise Refusal(404, "approval_not_found", "No workload here holds calls: there is nothing to approve.")
            return self._works.serve_approvals(call, route, request.body, grant, reply)
        if manner is Manner.TRACES:
            return self._take_traces(call, request, grant, reply)
        if manner is Manner.OUTCOMES:
            self._take_outcomes(call, request, grant, reply)
        else:
            self._models(call, reply, route, grant, is_anthropics=b"anthropic-version" in request.headers)
        return None

    def tell_count(self, call: OpenCall, head: RequestHead, reply: Reply) -> None:
        """Say how many tokens a message would take, as it is counted here: marked as estimated."""
        model = call.model or head.model
        count = count_request(head.fields, model, tokenizer=loaded_tokenizer_for(model))
        body = msgspec.json.encode({"input_tokens": count.tokens})
        call.response_bytes = len(body)
        self._settlement.settle(call, "answered", 200)
        lines = f"x-headworks-usage: estimated\r\n{request_id_line(call)}".encode()
        reply.respond(200, own_headers(call) + lines, body)

    def _models(self, call: OpenCall, reply: Reply, route: Route, grant: Grant, *, is_anthropics: bool) -> None:
        """The models that a key may use, or one of them.

        Arguments:
            is_anthropics: they are asked for by Anthropic's API, which has the same path.
        """
        visible = [name for name in (*self._work_names, *self._table.names) if grant.may_use(name)]
        describe = self._anthropics_model if is_anthropics else self._model_object
        status = 200
        if route.manner is Manner.MODEL:
            name = route.path.removeprefix("/v1/models/")
            call.requested_model = name
            if name in visible:
                body = msgspec.json.encode(describe(name))
            elif is_anthropics:
                refusal = self._table.unknown(name, visible)
                status, call.error_code = refusal.status, refusal.code
                body = refusal_body(refusal, Endpoint.MESSAGES)
            else:
                raise self._table.unknown(name, visible)
        else:
            listed = {"data": [describe(name) for name in visible]}
            ends = {"first_id": visible[0], "last_id": visible[-1]} if visible else {"first_id": None, "last_id": None}
            more = {"has_more": False, **ends} if is_anthropics else {"object": "list"}
            body = msgspec.json.encode({**more, **listed})
        call.response_bytes = len(body)
        self._settlement.settle(call, "refused" if call.error_code else "answered", status)
        reply.respond(status, own_headers(call), body)

    async def _send_pulses(self, call: OpenCall, request: Request, reply: Reply) -> None:
        asked = read_query(request.query)
        call.endpoint = "diagnostics"
        headers = own_headers(call, EVENT_STREAM) + STREAM_HEADERS
        await self._pulses.send(asked, reply, headers, lambda: self._settlement.settle(call, "answered", 200))

    def _take_outcomes(self, call: OpenCall, request: Request, grant: Grant, reply: Reply) -> None:
        """Write what an application reports; it is joined to its calls when it is drained."""
        if self._journal.is_full:
            raise journal_full()
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

    def _anthropics_model(self, name: str) -> ModelObject:
        """As Anthropic's API has it ("List models", 2026-11)."""
        target = None if name in self._work_names else self._table.resolve(name)
        model = None if target is None else target.station.price.model
        return {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(self._parts.models_created)),
            "lifecycle": "deprecated" if model is not None and model.shutdown_on else "active",
            "max_input_tokens": None if model is None else model.context_tokens,
            "max_tokens": None if model is None else model.max_output_tokens,
        }

    def _model_object(self, name: str) -> ModelObject:
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
