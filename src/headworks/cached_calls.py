"""A workload's answers, given again: the step before a call goes up, and the one behind its answer.

A call whose contract has `cache` is looked up first, before any quota or budget is asked: what is found costs nothing
and is charged to nobody. Of calls that are the same and come at once the first goes up, and the others wait for its
answer: in one worker for its flight, in several, where they share a store, for its lease. What the leader's caller got
is kept as it went out, if it was judged good (`_good`), and played again. Where the contract has `cache.semantic`, a
call that is like an earlier one in a text, and the same in all else, is given that one's answer, and told so. Where a
store is away, or the leader's answer is not for others, calls go up as if there were no cache.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from time import perf_counter

import msgspec

from headworks.admission import Admission
from headworks.answering import EVENT_STREAM, JSON, NO_COST, STREAM_HEADERS
from headworks.cached_keys import Compared, asked_of, compared_of
from headworks.cached_privately import given_form, kept_form
from headworks.cached_replies import ECHOED, RecordedReply, echoing
from headworks.calls import AttemptFailed, Endpoint
from headworks.compiled import CompiledWorkload
from headworks.dialects.canonical import AnswerMessage, AnswerReasoning, ModelAnswer
from headworks.dialects.reading import Fields
from headworks.dialects.whole import answer_text, body_of_stream, read_answer
from headworks.exchange import SHARE_WITH_MORE, Reply
from headworks.judging import refuses
from headworks.plain_answer import DEGRADED
from headworks.response_cache import (
    Asked,
    CachedAnswer,
    Flight,
    Flights,
    Landed,
    Lease,
    Neighbours,
    ResponseCache,
    key_of,
)
from headworks.settlement import OpenCall, Settlement
from headworks.workload_request import Composed

Make = Callable[[Reply], Awaitable[None]]
"""Makes a call, and answers it there."""

Count = Callable[[str, str, int], None]
"""Told of each call of a workload that has a cache: its name, `hit`, `semantic`, `miss` or `bypass`, and what a hit
saved, in pico-dollars (-1: not known)."""

_POLL_S = 0.02
_LONGEST_POLL_S = 0.25
"""Between two looks at what another process is making: short at first, for most answers take a second or two."""


class Semantic(msgspec.Struct, frozen=True):
    """What of a workload's calls may be another text.

    Attributes:
        neighbours: finds answers to texts that are like others.
        over: the prompt's variable whose text it is; "" for the caller's last message.
        prompt_hash: of the prompt with which the rate of false hits was measured; calls with another are only ever the
            same.
    """

    neighbours: Neighbours
    over: str = ""
    prompt_hash: str = ""


class CachedWorkload(msgspec.Struct, frozen=True):
    """One workload's cache, and a hash of what its answers depend on beside the request; `semantic` where a text may be
    another that is like it."""

    cache: ResponseCache
    fingerprint: str
    semantic: Semantic | None = None


class _Wanted(msgspec.Struct, frozen=True, eq=False):
    """A call that an earlier answer may do for.

    Attributes:
        own: the caller's fields.
        exact: what makes it the same as another, and `key` of that; None where no answer of another's will do.
    """

    settings: CachedWorkload
    call: OpenCall
    asked: Composed
    admission: Admission
    own: Fields
    exact: Asked | None
    key: bytes | None


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

    async def answer(
        self, call: OpenCall, asked: Composed, own: Fields, admission: Admission, reply: Reply, make: Make
    ) -> None:
        """Answer a call with an earlier call's answer, or make it.

        Arguments:
            own: the caller's fields.

        Raises:
            Refusal, StorageError: as `make` does.
        """
        wishes = admission.cache_control.lower()
        wanted = self._wanted(call, asked, own, admission, is_kept=b"no-store" not in wishes)
        if wanted.key is None or b"no-cache" in wishes:
            recorded = await self._make(wanted, b"bypass", reply, make)
            answer = None if wanted.key is None else self._good(wanted, recorded)
            if answer is not None:
                await self._keep(wanted, answer)
            return
        while True:
            flight, is_ours = self._flights.join(wanted.key)
            if is_ours:
                break
            landed = await flight.wait(self._loop, self._patience_s(wanted))
            if landed.answer is not None:
                answer = self._given(wanted, landed.answer)
                if answer is not None:
                    await self._replay(wanted, answer, reply, landed.similarity)
                    return
            elif landed.how == "gone":
                continue
            await self._make(wanted, b"miss", reply, make)
            return
        try:
            await self._lead(wanted, flight, reply, make)
        except asyncio.CancelledError:
            raise
        except Exception:
            flight.land(Landed("none"))
            raise
        finally:
            self._flights.end(wanted.key, flight)

    def _wanted(self, call: OpenCall, asked: Composed, own: Fields, admission: Admission, *, is_kept: bool) -> _Wanted:
        settings = self._caches[asked.work.name]
        exact = asked_of(call, asked, admission, settings.fingerprint) if is_kept else None
        key = None if exact is None else key_of(exact, self._secret)
        return _Wanted(settings, call, asked, admission, own, exact, key)

    def _compared(self, wanted: _Wanted) -> Compared | None:
        """The text of a call that may be another; None where there is none."""
        semantic, record = wanted.settings.semantic, wanted.call.work
        if semantic is None or wanted.exact is None or record is None or record.prompt_hash != semantic.prompt_hash:
            return None
        cache = wanted.asked.work.contract.cache
        if cache is not None and cache.scope == "user" and not wanted.call.user:
            return None  # nobody says that those who are not named are one person
        endpoint = wanted.admission.route.endpoint
        return compared_of(wanted.exact, wanted.asked, endpoint, semantic.over, self._secret)

    async def _lead(self, wanted: _Wanted, flight: Flight, reply: Reply, make: Make) -> None:
        """Answer a call that others of this worker wait for."""
        assert wanted.key is not None, "only such calls are waited for"
        cache = wanted.settings.cache
        landed = await self._found(wanted)
        lease = None
        try:
            if landed is None:
                lease = await cache.claim(wanted.key)
                if lease is None:
                    landed, lease = await self._elsewhere(wanted)
            answer = None if landed is None or landed.answer is None else self._given(wanted, landed.answer)
            if landed is not None and answer is not None:
                flight.land(landed)
                await self._replay(wanted, answer, reply, landed.similarity)
                return
            if lease is not None:
                lease.hold(self._loop)
            recorded = await self._make(wanted, b"miss", reply, make)
            kept = self._good(wanted, recorded)
            if kept is None:
                is_answered = wanted.call.is_settled and recorded.is_over
                flight.land(Landed("none" if is_answered else "gone"))
                if is_answered:
                    await cache.give_none(wanted.key)
                return
            flight.land(Landed("good", kept))
            await self._keep(wanted, kept)
        except Exception:
            await cache.give_none(wanted.key)
            raise
        finally:
            if lease is not None:
                lease.let_go(self._loop)

    async def _found(self, wanted: _Wanted) -> Landed | None:
        """The answer to the same call, else to the one that is most like it."""
        assert wanted.key is not None, "who looks has a key"
        found = await wanted.settings.cache.find(wanted.key)
        if found is not None:
            return Landed("good", found)
        compared = self._compared(wanted)
        if compared is None or wanted.settings.semantic is None:
            return None
        near = await wanted.settings.semantic.neighbours.find(compared.context, compared.text)
        return None if near is None else Landed("good", near.answer, near.similarity)

    async def _elsewhere(self, wanted: _Wanted) -> tuple[Landed | None, Lease | None]:
        """Wait for the answer of a call that another process makes: the answer; or the right to make the call because
        that one has gone or died; or neither, for its answer is not for others, or no time is left to wait."""
        assert wanted.key is not None, "who waits has a key"
        cache = wanted.settings.cache
        until_s = self._loop.time() + self._patience_s(wanted)
        pause_s = _POLL_S
        while self._loop.time() < until_s:
            await self._until(min(until_s, self._loop.time() + pause_s))
            pause_s = min(_LONGEST_POLL_S, pause_s * 1.5)
            found = await cache.find(wanted.key)
            if found is not None:
                return Landed("good", found), None
            if await cache.gives_none(wanted.key):
                break
            lease = await cache.claim(wanted.key)
            if lease is not None:
                # It may have come to its end between the two.
                found = await cache.find(wanted.key)
                return (None if found is None else Landed("good", found)), lease
        return None, None

    async def _make(self, wanted: _Wanted, how: bytes, reply: Reply, make: Make) -> RecordedReply:
        self._count(wanted.asked.work.name, how.decode(), -1)
        recorded = RecordedReply(reply, how, self._loop.time)
        await make(recorded)
        return recorded

    async def _keep(self, wanted: _Wanted, answer: CachedAnswer) -> None:
        assert wanted.key is not None, "who keeps has a key"
        await wanted.settings.cache.keep(wanted.key, answer)
        compared, semantic = self._compared(wanted), wanted.settings.semantic
        if compared is not None and semantic is not None:
            await semantic.neighbours.keep(compared.context, compared.text, wanted.key, answer.expires_us)

    def _patience_s(self, wanted: _Wanted) -> float:
        """How long to wait for another call's answer: there is to be time for one of its own."""
        call, total_s = wanted.call, wanted.asked.work.contract.latency.total_s
        longest_s = wanted.admission.due_s(total_s, is_streamed=call.is_streamed)
        return max(0.0, call.started_s + longest_s - perf_counter()) * SHARE_WITH_MORE

    def _good(self, wanted: _Wanted, recorded: RecordedReply) -> CachedAnswer | None:
        """What others may be given of the answer that has gone out; None where they must not.

        It is whole, a success, and of the rung in use (a fallback's is worth less), which was told all of the request;
        it was judged and found good, at once or mended; it is text, neither a tool call nor a refusal, and complete;
        and without what the caller's personal data are.
        """
        call, asked = wanted.call, wanted.asked
        work, record = asked.work, call.work
        assert record is not None, "it was made with the call"
        if not (recorded.is_over and recorded.status == 200 and recorded.is_complete and call.is_settled):
            return None
        if call.error_code or call.served_model == DEGRADED or record.verdict not in ("", "valid", "repaired"):
            return None
        if call.model != work.chain[0].model or call.provider not in _providers(work):
            return None
        if record.dropped:  # others would not be told
            return None
        endpoint = wanted.admission.route.endpoint
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
        echo = {name: bytes(asked.fields[name]) for name in ECHOED if name in asked.fields}
        pieces = tuple(recorded.pieces)
        if asked.privacy is not None:
            kept = kept_form(asked.privacy, endpoint, asked.fields, wanted.own, data)
            if kept is None:
                return None
            echo, pieces = {}, ((0, kept),)
        now_s = self._now()
        return CachedAnswer(
            int(now_s * 1e6),
            int((now_s + cache.ttl_s) * 1e6),
            call.model,
            call.served_model,
            call.finish_reason,
            record.verdict,
            call.cost_pico if call.price_version else -1,
            echo,
            pieces,
            call.price_version,
        )

    def _given(self, wanted: _Wanted, answer: CachedAnswer) -> CachedAnswer | None:
        """An answer that was kept, as this caller gets it; None where it cannot be given."""
        privacy = wanted.asked.privacy
        if privacy is None:
            return answer
        endpoint, fields = wanted.admission.route.endpoint, wanted.asked.fields
        body = given_form(privacy, endpoint, fields, wanted.own, b"".join([piece for _, piece in answer.pieces]))
        return None if body is None else msgspec.structs.replace(answer, pieces=((0, body),))

    async def _replay(
        self, wanted: _Wanted, answer: CachedAnswer, reply: Reply, similarity: float | None = None
    ) -> None:
        """Give an earlier call's answer.

        Arguments:
            similarity: of the text that it was given to; None where that was the same.
        """
        call, asked = wanted.call, wanted.asked
        record, cache = call.work, asked.work.contract.cache
        assert record is not None, "it was made with the call"
        assert cache is not None, "who asks has looked"
        age_s = answer.age_s(self._now())
        record.cached = answer.cost_pico, age_s
        record.verdict = "valid" if answer.verdict in ("valid", "repaired") else ""
        how = "" if similarity is None else f", semantic, similarity {similarity:.3f}"
        said = f"response cache: {age_s} s old{how}"
        record.course = f"{record.course}; {said}" if record.course else said
        # Nobody was asked: no provider, no usage, no response of the caller's own.
        call.provider, call.model, call.served_model = "", answer.model, answer.served_model
        call.finish_reason = answer.finish_reason
        pieces = [piece for _, piece in answer.pieces]
        times = [at_us for at_us, _ in answer.pieces]
        if wanted.admission.route.endpoint is Endpoint.RESPONSES and asked.privacy is None:
            echo = {name: bytes(asked.fields[name]) for name in ECHOED if name in asked.fields}
            if echo != answer.echo:
                pieces, times = echoing(pieces, times, echo, is_streamed=call.is_streamed)
        call.response_bytes = sum(map(len, pieces))
        headers = self._headers(call, asked, answer, age_s, similarity)
        self._count(asked.work.name, "hit" if similarity is None else "semantic", answer.cost_pico)
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

    def _headers(
        self, call: OpenCall, asked: Composed, answer: CachedAnswer, age_s: int, similarity: float | None
    ) -> bytes:
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
        how = b"hit" if similarity is None else b"semantic\r\nx-headworks-cache-similarity: %.3f" % similarity
        lines += b"x-headworks-cache: %b\r\nage: %d\r\n%b%b" % (how, age_s, call.timings(), NO_COST)
        return lines + STREAM_HEADERS if call.is_streamed else lines


def _ring(over: "asyncio.Future[None]") -> None:
    if not over.done():
        over.set_result(None)


def _providers(work: CompiledWorkload) -> set[str]:
    """The providers, with their pools, of the rung in use."""
    return {target.provider for target in (work.chain[0], *work.chain[0].pools)}
