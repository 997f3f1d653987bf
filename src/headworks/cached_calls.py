"""A workload's answers, given again: the step before a call goes up, and the one behind its answer.

A call whose contract has `cache` is looked up first, before any quota or budget is asked: what is found costs nothing
and is charged to nobody. Of calls that are the same and come at once, in one worker, the first goes up and the others
wait for its answer. What the leader's caller got is kept as it went out, if it was judged good (`_good`), and played
again. Where a store is away, or the leader's answer is not for others, calls go up as if there were no cache.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from time import perf_counter

import msgspec

from headworks.admission import Admission
from headworks.answering import EVENT_STREAM, JSON, STREAM_HEADERS
from headworks.cached_replies import ECHOED, RecordedReply, echoing
from headworks.calls import AttemptFailed, Endpoint
from headworks.compiled import CompiledWorkload
from headworks.dialects.canonical import AnswerMessage, AnswerReasoning, ModelAnswer
from headworks.dialects.reading import Fields, kind_of
from headworks.dialects.whole import answer_text, body_of_stream, read_answer
from headworks.exchange import SHARE_WITH_MORE, Reply
from headworks.judging import refuses
from headworks.plain_answer import DEGRADED
from headworks.response_cache import (
    Asked,
    CachedAnswer,
    Flights,
    Landed,
    ResponseCache,
    key_of,
    tenant_of,
)
from headworks.settlement import OpenCall, Settlement
from headworks.workload_request import Composed

Make = Callable[[Reply], Awaitable[None]]
"""Makes a call, and answers it there."""

Count = Callable[[str, str, int], None]
"""Told of each call of a workload that has a cache: its name, `hit`, `miss` or `bypass`, and what a hit saved, in
pico-dollars (-1: not known)."""

_STATEFUL = ("previous_response_id", "conversation")
_OWN_TOOLS = ("function", "custom")
"""Tools that the caller runs; any other is run by the provider, and may act there."""

_decode_tools = msgspec.json.Decoder(list[Fields]).decode


class CachedWorkload(msgspec.Struct, frozen=True):
    """One workload's cache, and a hash of what its answers depend on beside the request."""

    cache: ResponseCache
    fingerprint: str


def settings_hash(work: CompiledWorkload, rules: bytes) -> str:
    """A hash of the contract and the text of its rules: where one of them changes, answers are asked for anew."""
    return sha256(msgspec.json.encode(work.contract) + b"\0" + rules).hexdigest()


class CachedCalls:
    """Gives the answers of earlier calls. State: the flights under way in this worker.

    Arguments:
        caches: by the workload's name.
        settlement: where calls are settled.
        loop: the event loop.
        secret: of this installation.
        count: told how each call came out.
        now: Unix seconds.
    """

    def __init__(
        self,
        caches: Mapping[str, CachedWorkload],
        settlement: Settlement,
        loop: asyncio.AbstractEventLoop,
        secret: bytes,
        count: Count,
        now: Callable[[], float],
    ) -> None:
        self._caches = caches
        self._settlement = settlement
        self._loop = loop
        self._secret = secret
        self._count = count
        self._now = now
        self._flights = Flights()

    async def answer(self, call: OpenCall, asked: Composed, admission: Admission, reply: Reply, make: Make) -> None:
        """Answer a call with an earlier call's answer, or make it.

        Raises:
            Refusal, StorageError: as `make` does.
        """
        settings, work = self._caches[asked.work.name], asked.work
        wishes = admission.cache_control.lower()
        key = None if b"no-store" in wishes else self._key(call, asked, admission, settings.fingerprint)
        if key is None or b"no-cache" in wishes:
            self._count(work.name, "bypass", -1)
            recorded = RecordedReply(reply, b"bypass", self._loop.time)
            await make(recorded)
            if key is not None:
                await self._keep(key, call, asked, admission, recorded)
            return
        while True:
            flight, is_ours = self._flights.join(key)
            if is_ours:
                break
            landed = await flight.wait(self._loop, self._patience_s(call, work, admission))
            if landed.answer is not None:
                await self._replay(call, asked, admission, landed.answer, reply)
                return
            if landed.how != "gone":
                self._count(work.name, "miss", -1)
                await make(RecordedReply(reply, b"miss", self._loop.time))
                return
        try:
            found = await settings.cache.find(key)
            if found is not None:
                flight.land(Landed("good", found))
                await self._replay(call, asked, admission, found, reply)
                return
            self._count(work.name, "miss", -1)
            recorded = RecordedReply(reply, b"miss", self._loop.time)
            await make(recorded)
            answer = self._good(call, asked, admission, recorded)
            if answer is None:
                flight.land(Landed("none" if call.is_settled and recorded.is_over else "gone"))
                return
            flight.land(Landed("good", answer))
            await settings.cache.keep(key, answer)
        except asyncio.CancelledError:
            raise
        except Exception:
            flight.land(Landed("none"))
            raise
        finally:
            self._flights.end(key, flight)

    def _patience_s(self, call: OpenCall, work: CompiledWorkload, admission: Admission) -> float:
        """How long to wait for another call's answer: there is to be time for one of its own."""
        longest_s = admission.due_s(work.contract.latency.total_s, is_streamed=call.is_streamed)
        return max(0.0, call.started_s + longest_s - perf_counter()) * SHARE_WITH_MORE

    def _key(self, call: OpenCall, asked: Composed, admission: Admission, fingerprint: str) -> bytes | None:
        """The call's key; None where its answer depends on what is not in it, or making it has effects."""
        work, fields = asked.work, asked.fields
        cache = work.contract.cache
        assert cache is not None, "who asks has looked"
        if asked.privacy is not None or asked.injection is not None or work.contract.actions or call.home:
            return None
        if any(not _is_null(fields.get(name)) for name in _STATEFUL) or not _is_pure(fields):
            return None
        caller = call.caller
        record = call.work
        assert record is not None, "it was made with the call"
        return key_of(
            Asked(
                work.name,
                tenant_of(cache.scope, caller.key_id, caller.team, call.user),
                admission.route.endpoint.value,
                call.is_streamed,
                tuple((target.provider.partition(":")[0], target.model) for target in work.chain),
                fingerprint,
                asked.version,
                record.schema_hash,
                _without_key(admission.forwarded),
                fields,
                asked.values,
                asked.metadata if work.rules is not None else None,
            ),
            self._secret,
        )

    async def _keep(
        self, key: bytes, call: OpenCall, asked: Composed, admission: Admission, recorded: "RecordedReply"
    ) -> None:
        """Keep the answer of a call that did not want an older one."""
        answer = self._good(call, asked, admission, recorded)
        if answer is not None:
            await self._caches[asked.work.name].cache.keep(key, answer)

    def _good(
        self, call: OpenCall, asked: Composed, admission: Admission, recorded: "RecordedReply"
    ) -> CachedAnswer | None:
        """What others may be given of the answer that has gone out; None where they must not.

        It is whole, a success, and of the rung in use (a fallback's is worth less); it was judged and found good, at
        once or mended; it is text, neither a tool call nor a refusal, and complete.
        """
        work, record = asked.work, call.work
        assert record is not None, "it was made with the call"
        if not (recorded.is_over and recorded.status == 200 and recorded.is_complete and call.is_settled):
            return None
        if call.error_code or call.served_model == DEGRADED or record.verdict not in ("", "valid", "repaired"):
            return None
        if call.model != work.chain[0].model or call.provider not in _providers(work):
            return None
        endpoint = admission.route.endpoint
        data = b"".join([piece for _, piece in recorded.pieces])
        try:
            answer = read_answer(endpoint, body_of_stream(endpoint, data) if call.is_streamed else data)
        except (AttemptFailed, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if not isinstance(answer, ModelAnswer) or answer.end_reason or refuses(answer) or not answer_text(answer):
            return None
        if not all(isinstance(item, AnswerMessage | AnswerReasoning) for item in answer.output):
            return None
        cache = work.contract.cache
        assert cache is not None, "who asks has looked"
        now_s = self._now()
        return CachedAnswer(
            int(now_s * 1e6),
            int((now_s + cache.ttl_s) * 1e6),
            call.model,
            call.served_model,
            call.finish_reason,
            record.verdict,
            call.cost_pico if call.price_version else -1,
            {name: bytes(asked.fields[name]) for name in ECHOED if name in asked.fields},
            tuple(recorded.pieces),
            call.price_version,
        )

    async def _replay(
        self, call: OpenCall, asked: Composed, admission: Admission, answer: CachedAnswer, reply: Reply
    ) -> None:
        """Give an earlier call's answer."""
        record, cache = call.work, asked.work.contract.cache
        assert record is not None, "it was made with the call"
        assert cache is not None, "who asks has looked"
        age_s = answer.age_s(self._now())
        record.cached = answer.cost_pico, age_s
        record.verdict = "valid" if answer.verdict in ("valid", "repaired") else ""
        record.course = f"response cache: {age_s} s old"
        # Nobody was asked: no provider, no usage, no response of the caller's own.
        call.provider, call.model, call.served_model = "", answer.model, answer.served_model
        call.finish_reason = answer.finish_reason
        pieces = [piece for _, piece in answer.pieces]
        times = [at_us for at_us, _ in answer.pieces]
        if admission.route.endpoint is Endpoint.RESPONSES:
            echo = {name: bytes(asked.fields[name]) for name in ECHOED if name in asked.fields}
            if echo != answer.echo:
                pieces, times = echoing(pieces, times, echo, is_streamed=call.is_streamed)
        call.response_bytes = sum(map(len, pieces))
        headers = self._headers(call, asked, answer, age_s)
        self._count(asked.work.name, "hit", answer.cost_pico)
        if not call.is_streamed:
            self._settlement.settle(call, "answered", 200)
            reply.respond(200, headers, b"".join(pieces))
            return
        call.first_s = perf_counter()
        if cache.replay == "original" and len(pieces) > 1:
            reply.begin(200, headers, pieces[0])
            begun_s = self._loop.time()
            for at_us, piece in zip(times[1:-1], pieces[1:-1], strict=True):
                await self._until(begun_s + at_us / 1e6)
                reply.write(piece)
            await self._until(begun_s + times[-1] / 1e6)
            self._settlement.settle(call, "answered", 200)
            reply.end(pieces[-1])
            return
        self._settlement.settle(call, "answered", 200)
        reply.respond(200, headers, b"".join(pieces))

    async def _until(self, at_s: float) -> None:
        """Wait until this time of the loop's clock."""
        if at_s <= self._loop.time():
            return
        over: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_at(at_s, _ring, over)
        try:
            await over
        finally:
            timer.cancel()

    def _headers(self, call: OpenCall, asked: Composed, answer: CachedAnswer, age_s: int) -> bytes:
        call_id = call.call_id.encode()
        lines = b"content-type: %b\r\nx-request-id: %b\r\nx-headworks-call-id: %b\r\n%b" % (
            EVENT_STREAM if call.is_streamed else JSON,
            call_id,
            call_id,
            asked.work.static_headers,
        )
        if asked.version:
            lines += b"x-headworks-prompt-version: %b\r\n" % asked.version.encode("ascii")
        if answer.verdict and not call.is_streamed:
            lines += b"x-headworks-verdict: valid\r\n"
        lines += b"x-headworks-cache: hit\r\nage: %d\r\n%b" % (age_s, call.timings())
        return lines + STREAM_HEADERS if call.is_streamed else lines


def _ring(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)


def _is_null(raw: msgspec.Raw | None) -> bool:
    return raw is None or bytes(raw) == b"null"


def _is_pure(fields: Fields) -> bool:
    """Whether making the call changes nothing: nothing is to be stored for the caller to find, and no tool is one that
    the provider runs. A response is stored by default; who says that it is to be means a response of its own."""
    if bytes(fields.get("store", b"")) == b"true":
        return False
    if not _is_null(fields.get("web_search_options")):
        return False
    raw = fields.get("tools")
    if raw is None or kind_of(raw) != "array":
        return _is_null(raw)
    try:
        kinds = {str(msgspec.json.decode(tool.get("type", b"null"))) for tool in _decode_tools(raw)}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return kinds.issubset(_OWN_TOOLS)


def _providers(work: CompiledWorkload) -> set[str]:
    """The providers, with their pools, of the rung in use."""
    return {target.provider for target in (work.chain[0], *work.chain[0].pools)}


def _without_key(forwarded: bytes) -> bytes:
    """The headers that go up, without the one that names a call."""
    lines = forwarded.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.startswith(b"idempotency-key:"))
