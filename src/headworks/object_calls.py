"""Calls for what providers store: each goes to the pool that made the object, and only for whoever it belongs to.

    create   references, place -> ask -> note the id -> settle, reply
    list     our notes, page -> ask for each -> reply
    the rest whose is it, where does it lie -> ask -> note what has become of it -> settle, reply

Bodies are relayed byte for byte, but for lists, which are put together here. Nothing is tried twice: what makes
something must not make it twice.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, time_ns
from typing import TYPE_CHECKING

import msgspec

from headworks.access import Grant
from headworks.admission import Admission
from headworks.admitting import Admissions, Ask
from headworks.answering import (
    JSON,
    answer_head,
    is_error_object,
    own_headers,
    refusal_of,
    with_patience,
    with_patience_of,
)
from headworks.batch_lines import ModelLines, read_models, write_models
from headworks.batch_settling import id_in, seen_in
from headworks.body import BodyStream
from headworks.budgeting import CallMoney
from headworks.calls import Failure, FailureKind, ObjectNote
from headworks.catalogue import TargetPrice
from headworks.dialects import read_fields, refusal_body
from headworks.dialects.form_watch import FormWatch
from headworks.endpoints import find_route
from headworks.errors import Refusal
from headworks.eval_models import models_of_eval
from headworks.exchange import Flight, Reply, Request, UpstreamRequest
from headworks.flow import Ending
from headworks.object_caches import (
    cache_for,
    cache_in,
    model_of_cache,
    parent_at,
    read_cache_page,
    shown_cache,
    write_cache_page,
)
from headworks.object_endings import ObjectEndings, end_of, long_timeouts
from headworks.object_lists import Page, is_wanted, read_page, write_page
from headworks.object_money import BUDGETED, ObjectMoney
from headworks.object_placing import PROVIDER, find_pool, place, place_of_model
from headworks.ownership import ObjectOwners, not_found, owns
from headworks.planning import Planner
from headworks.plans import Plan
from headworks.records import ObjectSelection
from headworks.references import FINE_TUNED, Reference, references_of
from headworks.routing import Gathering, Target
from headworks.settlement import OpenCall, Settlement
from headworks.stations import Station, pool_not_configured
from headworks.stored_routes import BATCH, CACHE, EVAL, JOB, UPLOAD, Act, StoredRoute
from headworks.streaming import StreamRelay
from headworks.upload_watch import UploadWatch, check_form

if TYPE_CHECKING:
    from headworks.hook_checks import ObjectChecks

_AT_ONCE = 8
"""Objects of a page that are asked for at the same time."""

_MOST_ASKED = 300
"""Objects that are asked for to fill one page, where some are gone or not selected."""


class ObjectCalls:
    """Serves them.

    Arguments:
        providers: the providers themselves, by name, in the order of configuration.
        price_of: the price of a model, by provider (without its pool) and name.
        answer_bytes: bound on an answer that is gathered.
        checks: asks hooks about what asks models; None where there are none.
    """

    def __init__(
        self,
        owners: ObjectOwners,
        providers: Mapping[str, Target[Station]],
        planner: Planner,
        settlement: Settlement,
        streams: StreamRelay,
        admissions: Admissions,
        *,
        price_of: Callable[[str, str], TargetPrice],
        answer_bytes: int,
        checks: "ObjectChecks | None" = None,
    ) -> None:
        self._owners = owners
        self._checks = checks
        self._providers = providers
        self._planner = planner
        self._settlement = settlement
        self._streams = streams
        self._admissions = admissions
        self._money = ObjectMoney(admissions, price_of)
        self._endings = ObjectEndings(owners, settlement, admissions, self._money, price_of=price_of, at=self._at)
        self._answer_bytes = answer_bytes

    async def serve(
        self,
        call: OpenCall,
        row: StoredRoute,
        request: Request,
        admission: Admission,
        grant: Grant,
        reply: Reply,
        ending: Ending,
    ) -> None:
        """Answer such a call.

        Raises:
            Refusal: it is not to be made, or came to nothing good.
            StorageError: it cannot be recorded.
        """
        asked = _Asked(call, row, request, admission, grant, reply, ending)
        incoming = request.incoming
        try:
            if row.act is Act.LIST:
                await self._list(asked)
            elif row.act is Act.CREATE and row.kind == CACHE:
                await self._create_cache(asked)
            elif row.act in (Act.CREATE, Act.UPLOAD):
                await self._create(asked)
            else:
                await self._use(asked)
        finally:
            if incoming is not None:
                incoming.abandon()

    # -- new ones -------------------------------------------------------------------------------------------------

    async def _create(self, asked: "_Asked") -> None:
        call, request, grant = asked.call, asked.request, asked.grant
        references: list[Reference] = []
        fields: dict[str, str] = {}
        if asked.row.act is Act.CREATE and request.body:
            fields = _text_fields(request)
            references = references_of(request.body)
        home, _ = await self._owners.home_of(references, call.caller)
        if fields:
            await self._check_models(asked.row.kind, call, fields, grant)
        if asked.row.kind == EVAL:
            self._check_eval(asked)
        wanted = request.headers.get(PROVIDER)
        target = place(self._providers, asked.row.endpoint, wanted, home, call.caller)
        if self._checks is not None and asked.row.act is Act.CREATE:
            await self._check(self._checks, asked, target, fields)
        watch = None
        if asked.row.act is Act.UPLOAD:
            watch = UploadWatch(request, self._money.token_bound(target.provider))
        money = await self._set_aside(asked, target, fields)
        try:
            answer = await self._ask(asked, target, None if watch is None else watch.form)
            object_id = _id_made(target, answer)
        except BaseException as error:
            if money is not None:
                self._money.not_made(money, error)
            raise
        if object_id:
            label, models = ("", await self._asked_in(asked, fields)) if watch is None else watch.found()
            now_us, caller = time_ns() // 1000, call.caller
            note = ObjectNote(
                object_id, asked.row.kind, now_us, now_us, target.provider, caller.key_id, caller.team, label, models
            )
            if money is not None:
                note = msgspec.structs.replace(note, label=BUDGETED)
                await self._money.made(money, target.provider, object_id)
            self._owners.note(note)
        elif money is not None:
            self._money.not_made(money)
        self._answer(asked, target, answer)

    async def _check(
        self, checks: "ObjectChecks", asked: "_Asked", target: Target[Station], fields: Mapping[str, str]
    ) -> None:
        """Ask hooks about what is made.

        Raises:
            Refusal: it must not be.
        """
        if asked.row.kind == BATCH:
            named = fields.get("input_file_id", "")
            await checks.batch(asked.call, target, named, fields.get("endpoint", ""), asked.ending)
        elif asked.row.kind == EVAL:
            await checks.run(asked.call, target, asked.request.body)

    async def _create_cache(self, asked: "_Asked") -> None:
        """Have a model's provider keep the beginning of prompts. It is of that model alone, so the model says where."""
        call, grant, request = asked.call, asked.grant, asked.request
        model = self._planner.offered(call, model_of_cache(request.body), asked.admission.route, grant)
        target = place_of_model(model, asked.row.endpoint, request.headers.get(PROVIDER), call.caller)
        call.model = target.model
        await self._money.check_cache(grant, asked.ending)
        parent = parent_at(target.station.provider)
        asked.request = request.again(cache_for(request.body, target.model, parent))
        answer = await self._ask(asked, target)
        if answer.status < 300:
            name, call.usage = cache_in(shown_cache(answer.body, parent))
            if not name:
                raise _has_no_name(target, answer)
            now_us, caller = time_ns() // 1000, call.caller
            self._owners.note(
                ObjectNote(name, CACHE, now_us, now_us, target.provider, caller.key_id, caller.team, target.model)
            )
        self._answer(asked, target, answer)

    async def _set_aside(self, asked: "_Asked", target: Target[Station], fields: Mapping[str, str]) -> CallMoney | None:
        """What a batch or a job can cost, where it is under a budget.

        Raises:
            Refusal: 403 or 429.
        """
        kind, grant = asked.row.kind, asked.grant
        if asked.row.act is not Act.CREATE or kind not in (BATCH, JOB):
            return None
        named = fields.get("input_file_id" if kind == BATCH else "training_file", "")
        models = await self._models_in(named, asked.call)
        if kind == BATCH:
            return await self._money.for_batch(grant, target.provider, models, asked.ending)
        return await self._money.for_job(grant, target.provider, asked.request.body, models, asked.ending)

    async def _models_in(self, file_id: str, call: OpenCall) -> tuple[ModelLines, ...]:
        """What the lines of a file of the caller's ask for; nothing where that is not known."""
        note = await self._owners.find(file_id)
        return () if note is None or not owns(note, call.caller) else read_models(note.models)

    async def _asked_in(self, asked: "_Asked", fields: Mapping[str, str]) -> str:
        """What is kept with a batch of what its input asks for; nothing for what is no batch."""
        if asked.row.kind != BATCH:
            return ""
        return write_models(list(await self._models_in(fields.get("input_file_id", ""), asked.call)))

    async def _check_models(self, kind: str, call: OpenCall, fields: Mapping[str, str], grant: Grant) -> None:
        """Whether the caller may have these models asked, or trained.

        Raises:
            Refusal: 403 or 404.
        """
        if kind == JOB:
            model = call.requested_model = fields.get("model", "")[:200]
            if model and FINE_TUNED not in model and not grant.may_use(model):
                raise self._planner.unknown(model, grant)
        if kind != BATCH:
            return
        path = fields.get("endpoint", "")
        if path.startswith("/v1/") and not grant.may_call(find_route("POST", path).endpoint):
            message = f"This key may not call {path}, which is what the batch would do."
            raise Refusal(403, "endpoint_not_allowed", message, param="endpoint", kind="permission_error")
        if grant.has_all_models:
            return
        models = await self._models_in(fields.get("input_file_id", ""), call)
        if not models:
            raise Refusal(
                403,
                "batch_models_unknown",
                "This key may use some models only, and it is not known which ones the lines of this input file ask "
                "for. Upload it at /v1/files with the purpose `batch`; each line must name its model.",
                param="input_file_id",
                kind="permission_error",
            )
        for one in models:
            if not grant.may_use(one.model):
                raise self._planner.unknown(one.model, grant)

    def _check_eval(self, asked: "_Asked") -> None:
        """Whether the caller may have the models asked that an eval, or a run of one, names.

        Raises:
            Refusal: 404; 400, it names too many.
        """
        grant = asked.grant
        if grant.has_all_models:
            return
        for fields in models_of_eval(asked.request.body):
            model = msgspec.json.decode(fields["model"], type=str)
            if not grant.may_use(model):
                raise self._planner.unknown(model[:200], grant)

    # -- one object -----------------------------------------------------------------------------------------------

    async def _use(self, asked: "_Asked") -> None:
        call, row, request = asked.call, asked.row, asked.request
        note = await self._owners.find(row.object_id)
        if note is None or note.kind != row.kind or note.is_gone or not owns(note, call.caller):
            raise not_found(row.kind, row.object_id)
        target = self._at(note)
        call.home = note.provider
        if request.body and row.act is Act.USE:
            read_fields(request.body)  # what is not JSON goes nowhere
            own = Reference(row.object_id, "id")
            beside = await self._owners.home_of(references_of(request.body), call.caller)
            if beside[0] and beside[0] != note.provider:
                raise Refusal(
                    400,
                    "objects_in_different_pools",
                    f"`{own.object_id}` lies at `{note.provider}`, and what `{beside[1]}` refers to at `{beside[0]}`: "
                    "what is used together must lie together.",
                    param=beside[1],
                )
        if row.act is Act.READ:
            await self._read(asked, target)
            return
        await self._check_use(asked, target)
        answer = await self._ask(asked, target)
        if answer.status < 300:
            if row.act is Act.DELETE:
                self._owners.renote(note, is_gone=True)
            elif row.kind in (BATCH, JOB, UPLOAD):
                await self._endings.learn(note, seen_in(answer.body), asked.call, asked.grant, asked.ending)
        self._answer(asked, target, answer)

    async def _check_use(self, asked: "_Asked", target: Target[Station]) -> None:
        """Whether what a call does with something is allowed to its caller, where it costs.

        Raises:
            Refusal: it is not.
        """
        request, kind = asked.request, asked.row.kind
        if kind == EVAL and request.method == "POST":
            self._check_eval(asked)
            if self._checks is not None:
                await self._checks.run(asked.call, target, request.body)
            if request.path.endswith("/runs"):
                await self._money.check_run(asked.grant, asked.ending)
        elif kind == CACHE and request.method == "PATCH":
            await self._money.check_cache(asked.grant, asked.ending)

    def _at(self, note: ObjectNote) -> Target[Station]:
        target = self._providers.get(note.provider.partition(":")[0])
        found = None if target is None else find_pool(target, note.provider)
        if found is None:
            raise pool_not_configured(note.provider)
        return found

    async def _read(self, asked: "_Asked", target: Target[Station]) -> None:
        """Relay the bytes of a file as they come."""
        call, station = asked.call, target.station
        sent = self._request(asked, target)
        path = asked.admission.route.upstream_path
        plan = Plan(
            target, sent, asked.row.endpoint, path, is_streamed=False, is_raw=True, timeouts=long_timeouts(station)
        )
        await self._admit(asked, station)
        call.provider = target.provider
        self._settlement.open(call)
        await self._streams.stream(call, plan, asked.reply, asked.ending)

    # -- lists ----------------------------------------------------------------------------------------------------

    async def _list(self, asked: "_Asked") -> None:
        call, row = asked.call, asked.row
        is_of_caches = row.kind == CACHE
        page = read_cache_page(asked.request.query) if is_of_caches else read_page(asked.request.query, row.label)
        is_backwards = bool(page.before)
        is_ascending = page.is_ascending != is_backwards
        cursor = await self._cursor(page.after or page.before, row.kind, asked)
        station = next((target.station for target in self._providers.values()), None)
        if station is not None:
            await self._admit(asked, station)
        self._settlement.open(call)
        found: list[tuple[str, bytes]] = []
        tried = 0
        while len(found) <= page.limit and tried < _MOST_ASKED:
            wanted = page.limit + 1 - len(found)
            notes = await self._owners.list(
                ObjectSelection(row.kind, call.caller, page.label, cursor, is_ascending, wanted)
            )
            if not notes:
                break
            tried += len(notes)
            cursor = (notes[-1].made_us, notes[-1].object_id)
            found += await self._present(asked, notes, page)
        has_more = len(found) > page.limit or tried >= _MOST_ASKED
        found = found[: page.limit]
        if is_backwards:
            found.reverse()
        body = (write_cache_page if is_of_caches else write_page)(found, has_more=has_more)
        call.response_bytes = len(body)
        self._settlement.settle(call, "answered", 200)
        asked.reply.respond(200, own_headers(call), body)

    async def _cursor(self, object_id: str, kind: str, asked: "_Asked") -> tuple[int, str] | None:
        if not object_id:
            return None
        note = await self._owners.find(object_id)
        if note is None or note.kind != kind or not owns(note, asked.call.caller):
            raise not_found(kind, object_id, "after")
        return note.made_us, note.object_id

    async def _present(self, asked: "_Asked", notes: Sequence[ObjectNote], page: Page) -> list[tuple[str, bytes]]:
        """Those that are still there, as they are now. The others have expired, or were deleted elsewhere; or the pool
        has another project's key by mistake, which nobody may take for an end of everything."""
        found = []
        missing: list[ObjectNote] = []
        alive: set[str] = set()
        for start in range(0, len(notes), _AT_ONCE):
            some = notes[start : start + _AT_ONCE]
            for note, answer in zip(some, await self._ask_for(asked, some), strict=True):
                # Of a cache that has expired Google says that it may not be read.
                if answer.status == 404 or (answer.status == 403 and note.kind == CACHE):
                    missing.append(note)
                elif answer.status >= 300:
                    raise self._refusal(self._at(note), answer)
                else:
                    alive.add(note.provider)
                    if note.kind in (BATCH, JOB):
                        await self._endings.learn(note, seen_in(answer.body), asked.call, asked.grant, asked.ending)
                    body = answer.body
                    if note.kind == CACHE:
                        body = shown_cache(body, parent_at(self._at(note).station.provider))
                    if is_wanted(page, body):
                        found.append((note.object_id, body))
        for note in missing:
            if note.provider in alive:
                self._owners.renote(note, is_gone=True)
        return found

    async def _ask_for(self, asked: "_Asked", notes: Sequence[ObjectNote]) -> list[Gathering]:
        path = asked.admission.route.upstream_path
        sinks: list[Gathering] = []
        flights: list[Flight] = []
        call = asked.call
        try:
            for note in notes:
                target = self._at(note)
                call.provider = target.provider
                one = f"/{note.object_id}" if note.kind == CACHE else f"{path}/{note.object_id}"
                sent = target.station.provider.request("GET", one, b"", b"", b"")
                sinks.append(Gathering(self._answer_bytes))
                call.attempts += 1
                call.sent_s = perf_counter()
                flights.append(target.station.upstream.send(sent, sinks[-1], target.station.timeouts))
            for sink in sinks:
                failure = await end_of(sink, asked.ending)
                call.head_s = sink.head_s
                if failure is not None:
                    raise refusal_of(failure)
        finally:
            for flight in flights:
                flight.cancel()
        return sinks

    # -- what they share ------------------------------------------------------------------------------------------

    async def _admit(self, asked: "_Asked", station: Station) -> None:
        """Wait for room in the quotas of the key and its team. Such a call takes a request and no tokens."""
        call, grant = asked.call, asked.grant
        if not self._admissions.limiter.is_needed(grant):
            return
        size, call.request_bytes = call.request_bytes, 0
        self._admissions.limiter.expectations.learn(_KIND, 0, 0, 0)
        ask = Ask(call, station, grant, _KIND, self._planner.deadline_s, {}, has_more=False, is_free=True)
        try:
            await self._admissions.wait(ask, asked.ending)
        finally:
            call.request_bytes = size

    def _request(self, asked: "_Asked", target: Target[Station]) -> UpstreamRequest:
        request = asked.request
        query = f"?{request.query}" if request.query else ""
        kind = request.headers.get(b"content-type", b"")
        if asked.row.act in (Act.CREATE, Act.USE):
            kind = JSON if request.body else b""
        body = b"" if asked.is_upload else request.body
        path = asked.admission.route.upstream_path + query
        return target.station.provider.request(request.method, path, body, kind, asked.admission.forwarded)

    async def _ask(self, asked: "_Asked", target: Target[Station], watch: FormWatch | None = None) -> Gathering:
        """Ask the provider once, and gather its answer.

        Raises:
            Refusal: there is none.
        """
        call, station, ending = asked.call, target.station, asked.ending
        call.provider = target.provider
        sent = self._request(asked, target)
        incoming: BodyStream | None = None
        if asked.is_upload:
            check_form(asked.request)
            incoming = asked.request.incoming
            if incoming is None or not incoming.is_bound:
                incoming = BodyStream.of(asked.request.body)
            if watch is not None:
                incoming.tap = watch.feed
        await self._admit(asked, station)
        self._settlement.open(call)
        sink = Gathering(self._answer_bytes)
        call.attempts += 1
        call.sent_s = perf_counter()
        upstream = station.upstream
        if incoming is None:
            flight = upstream.send(sent, sink, station.timeouts)
        else:
            flight = upstream.upload(sent, incoming, sink, long_timeouts(station))
        try:
            failure = await end_of(sink, ending)
        finally:
            flight.cancel()
            if incoming is not None:
                _note_size(call, incoming.taken)
        call.head_s = sink.head_s
        if failure is not None:
            if incoming is not None and incoming.failure is not None:
                raise incoming.failure
            raise refusal_of(failure)
        return sink

    def _answer(self, asked: "_Asked", target: Target[Station], answer: Gathering) -> None:
        """Settle the call and pass the answer on."""
        call, status, body = asked.call, answer.status, answer.body
        if asked.row.kind == CACHE and status < 300:
            body = shown_cache(body, parent_at(target.station.provider))
            if asked.request.method == "PATCH":
                call.cost_pico = -1  # to be kept for longer costs by the hour
        head = answer_head(answer.headers, is_plain=status < 300)
        call.upstream_request_id = head.request_id[:128].decode("latin-1")
        content_type = head.content_type or JSON
        if status >= 300:
            failure = self._failure(target, answer)
            if failure.kind in (FailureKind.UNAUTHORIZED, FailureKind.INVALID):
                raise refusal_of(failure)
            if not is_error_object(body):
                body, content_type = refusal_body(refusal_of(failure, status=status), call.endpoint), JSON
            call.error_code = failure.kind.value
            head = with_patience(head, failure)
        call.response_bytes = len(body)
        self._settlement.settle(call, "failed" if call.error_code else "answered", status)
        asked.reply.respond(status, head.render(call, target.headers, content_type), body)

    def _failure(self, target: Target[Station], answer: Gathering) -> Failure:
        failure = target.station.provider.classify(answer.status, answer.headers, answer.body)
        return with_patience_of(failure, answer.headers)

    def _refusal(self, target: Target[Station], answer: Gathering) -> Refusal:
        return refusal_of(self._failure(target, answer))


class _Asked(msgspec.Struct):
    """One such call, with all that belongs to it."""

    call: OpenCall
    row: StoredRoute
    request: Request
    admission: Admission
    grant: Grant
    reply: Reply
    ending: Ending

    @property
    def is_upload(self) -> bool:
        """Whether its body is a form, which goes through piece by piece."""
        return self.row.act in (Act.UPLOAD, Act.FILL)


_KIND = "stored objects"
"""What such calls are called where is learnt how many tokens calls take: none."""


def _id_made(target: Target[Station], answer: Gathering) -> str:
    """The id of what was made; "" where nothing was.

    Raises:
        Refusal: there is something without an id, so that nobody could own it.
    """
    if answer.status >= 300:
        return ""
    object_id = id_in(answer.body)
    if not object_id:
        raise _has_no_name(target, answer)
    return object_id


def _has_no_name(target: Target[Station], answer: Gathering) -> Refusal:
    detail = f"{target.provider} has made something without saying its id"
    return refusal_of(Failure(FailureKind.INVALID, detail, answer.status))


def _note_size(call: OpenCall, size: int) -> None:
    call.request_bytes = size
    if call.entry is not None:
        call.entry = msgspec.structs.replace(call.entry, request_bytes=size)


def _text_fields(request: Request) -> dict[str, str]:
    """The fields of a JSON body that are texts.

    Raises:
        Refusal: 400, it is no JSON object.
    """
    found = {}
    for name, raw in read_fields(request.body).items():
        try:
            found[name] = msgspec.json.decode(raw, type=str)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # something else than a text: the provider judges it
    return found


__all__ = ["ObjectCalls"]
