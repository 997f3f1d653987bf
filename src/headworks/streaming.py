"""Steps 7 to 9 of a streamed call: attempt, relay, settle.

Pieces go on as they come; the last one waits until the settled entry is durable.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import NoReturn

from headworks.access import Grant
from headworks.answering import (
    EVENT_STREAM,
    IN_VAIN,
    JSON,
    NO_RETRY,
    STOPPED,
    STREAM_HEADERS,
    AnswerHead,
    answer_head,
    is_error_object,
    is_unknown_model,
    own_headers,
    refusal_of,
    with_patience,
    with_patience_of,
    without_retry,
    words_for,
)
from headworks.attempts import JUDGED, RULES, Attempts, Further, Policy, begin, tell
from headworks.calls import NO_USAGE, AttemptFailed, Endpoint, Failure, FailureKind
from headworks.dialects import ChatTail, GeminiTail, MediaWatch, MessagesTail, ResponsesTail, refusal_body
from headworks.dialects.bridging import BridgeStream
from headworks.errors import Refusal
from headworks.exchange import Reply
from headworks.flow import Ending, Signal
from headworks.hedging import race
from headworks.plain_answer import plain_answer
from headworks.planning import Planner
from headworks.plans import Plan
from headworks.routing import StreamSink
from headworks.settlement import OpenCall, Settlement, saved
from headworks.stream_heart import HEARTBEAT_S, Heartbeat
from headworks.stream_sums import failed_within, note_part, note_unsent, sum_up, usage_of_both, watch_of
from headworks.stream_terms import Lane, Screened, StreamTerms

_HOLD_S = 86_400.0
"""For as long as an attempt may last, the beginning of a stream that has no content waits for it, so that somebody else
may give the answer: heartbeats keep the connection alive meanwhile."""

_TAILS: dict[Endpoint, Callable[[], BridgeStream]] = {
    Endpoint.CHAT: ChatTail,
    Endpoint.RESPONSES: ResponsesTail,
    Endpoint.MESSAGES: MessagesTail,
    Endpoint.GENERATE_CONTENT: GeminiTail,
}


class _Declined(AttemptFailed):
    """The provider has answered with an error that may be passed on."""

    def __init__(self, failure: Failure, relay: Callable[[], None]) -> None:
        super().__init__(failure)
        self.relay = relay


class StreamRelay:
    """Makes the attempts of a streamed call and relays its answer.

    Arguments:
        settlement: where a call's end is written.
        unknown_model: the refusal of a model that does not exist.
        keeps_bodies: records hold bodies, too.
        planner: makes the plan of asking another target.
        policy: which further attempts are made.
        loop: the running event loop.
        heartbeat_s: seconds of silence after which something goes out.
    """

    def __init__(
        self,
        settlement: Settlement,
        *,
        unknown_model: Callable[[str, Grant], Refusal],
        keeps_bodies: bool,
        planner: Planner,
        policy: Policy,
        loop: asyncio.AbstractEventLoop,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._planner = planner
        self._policy = policy
        self._loop = loop
        self._unknown_model = unknown_model
        self._settle = settlement.settle
        self._keeps_bodies = keeps_bodies

    async def stream(
        self,
        call: OpenCall,
        plan: Plan,
        reply: Reply,
        ending: Ending,
        terms: StreamTerms | None = None,
    ) -> None:
        """Make the attempts that it takes, and send the answer on, piece by piece.

        Arguments:
            ending: is told how to end this before its time.
            terms: a workload's, which makes further attempts itself; None for a plain call.

        Raises:
            Refusal: the last attempt failed before anything was sent on.
            StorageError: the call's end could not be written.
        """
        if terms is not None:
            await self._stream(call, plan, reply, ending, terms, terms.beat)
            return
        if plan.is_raw or not plan.is_streamed:
            await self._stream(call, plan, reply, ending, None, None)
            return
        beat = self.heartbeat(call, reply)
        try:
            await self._stream(call, plan, reply, ending, None, beat)
        except Refusal as refusal:
            if not beat.is_early or call.is_settled:
                raise
            self.end_early(call, refusal, reply, plan.endpoint)
        except Exception:
            self.settle_early(call, beat)
            raise
        finally:
            beat.stop()

    def heartbeat(self, call: OpenCall, reply: Reply, named: bytes = b"") -> Heartbeat:
        """What keeps the connection alive from now on, until it is stopped; `named` as in `Heartbeat`."""
        return Heartbeat(self._loop, call, reply, self._heartbeat_s, named)

    async def _stream(
        self,
        call: OpenCall,
        plan: Plan,
        reply: Reply,
        ending: Ending,
        terms: StreamTerms | None,
        beat: Heartbeat | None,
    ) -> None:
        attempts: Attempts | None = None
        while True:
            try:
                await self._try(call, plan, reply, ending, terms, beat)
            except AttemptFailed as error:
                failure = error.failure
                further: Further | None = None
                if terms is None:
                    attempts = attempts or Attempts(self._planner, self._policy, call, plan)
                    further = attempts.after(failure, perf_counter())
                if further is None:
                    reasons = () if attempts is None else attempts.reasons
                    if terms is None and self._answers_itself(call, plan, failure, reasons, reply, beat):
                        return
                    is_early = beat is not None and beat.is_early
                    if isinstance(error, _Declined) and not is_early and _is_to_be_told(failure, terms):
                        error.relay()
                        return
                    raise self._refusal(call, failure, terms) from None
                plan = further.plan
                if further.after_s > 0:
                    await self.pause(further.after_s, ending)
            else:
                return

    def _refusal(self, call: OpenCall, failure: Failure, terms: StreamTerms | None) -> Refusal:
        refusal = refusal_of(failure)
        if terms is None and call.attempts > 1:
            refusal.add(headers=NO_RETRY)
        return refusal

    async def pause(self, after_s: float, ending: Ending) -> None:
        """Wait.

        Raises:
            Refusal: it must end before that.
        """
        over: Signal[Failure | None] = Signal()
        timer = self._loop.call_later(after_s, over.set, None)
        ending.act = partial(over.set, STOPPED)
        try:
            failure = await over
        finally:
            timer.cancel()
            ending.act = None
        if failure is not None:
            raise refusal_of(failure)

    async def _try(
        self,
        call: OpenCall,
        plan: Plan,
        reply: Reply,
        ending: Ending,
        terms: StreamTerms | None,
        beat: Heartbeat | None,
    ) -> None:
        """One attempt.

        Raises:
            AttemptFailed: before anything was sent on.
        """
        lane = self._begin(call, plan, terms)
        ending.act = partial(lane.sink.on_failure, STOPPED)
        timer = None
        if terms is not None and terms.begins_within_s is not None:
            timer = self._loop.call_later(terms.begins_within_s, _give_up_waiting, lane, terms.begins_within_s)
        try:
            if terms is not None and terms.hedge is not None:
                lane = await race(call, lane, terms.hedge, self._begin, ending, self._loop.call_later)
            failure = await lane.sink.started
            if timer is not None:
                timer.cancel()
            failure = await self._take(call, lane, failure, reply, beat)
        except asyncio.CancelledError:
            lane.flight.cancel()
            lane.plan.target.station.health.gave_up(call.is_streamed)
            if not call.is_settled:
                sum_up(call, lane.plan, lane.steps, None, lane.terms)
            raise
        except AttemptFailed as error:
            lane.flight.cancel()
            tell(lane.plan.target.station.health, call, error.failure)
            raise
        except BaseException:
            lane.flight.cancel()
            lane.plan.target.station.health.gave_up(call.is_streamed)
            raise
        tell(lane.plan.target.station.health, call, failure)

    def _begin(self, call: OpenCall, plan: Plan, terms: StreamTerms | None) -> Lane:
        """
        Raises:
            AttemptFailed: it is not to be made.
        """
        station = plan.target.station
        steps = _steps(plan)
        if terms is not None and terms.continued is not None:
            terms.continued.read_from(None if plan.bridge is None else plan.bridge.stream())
            steps = terms.continued
        if terms is not None and terms.screen is not None and steps is not None:
            steps = Screened(steps, terms.screen)
        sink = StreamSink(steps, self._hold)
        call.usage = NO_USAGE  # of this attempt: what those before it used is in the terms
        unmade = begin(plan.target, call, perf_counter(), plan.timeouts)
        if unmade is not None:
            raise AttemptFailed(unmade)
        flight = station.upstream.send(plan.request, sink, plan.timeouts or station.timeouts)
        return Lane(plan, terms, steps, sink, flight, call.sent_s)

    def _hold(self, _: float, then: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(_HOLD_S, then)

    async def _take(
        self, call: OpenCall, lane: Lane, failure: Failure | None, reply: Reply, beat: Heartbeat | None
    ) -> Failure | None:
        """The stream has begun, or has failed: pass on what it is. Returns what broke it.

        Raises:
            AttemptFailed: it is not to be passed on, and nothing of it was.
        """
        plan, terms, steps, sink = lane.plan, lane.terms, lane.steps, lane.sink
        call.head_s = sink.head_s
        call.first_s = sink.first_s if plan.is_streamed else 0.0
        if failure is not None:
            if steps is not None:
                note_unsent(call, plan, steps, failure)
            raise AttemptFailed(failure)
        if call.quota is not None:
            call.quota.believe(plan.target.station, sink.status, sink.headers, perf_counter())
        head = answer_head(sink.headers, is_plain=steps is not None and not sink.is_error)
        call.upstream_request_id = _text(head.request_id)
        if sink.is_error:
            await self._stream_refused(call, plan, sink, head, reply, terms)
        named = plan.target.headers if terms is None else terms.headers
        block = _stream_headers(call, named, head, is_events=steps is not None)

        def begin(first: bytes) -> None:
            if beat is None:
                reply.begin(200, block, first)
            else:
                beat.begin(block, named, first)

        return await self._pass_on(call, lane, begin, reply)

    async def _pass_on(
        self, call: OpenCall, lane: Lane, begin: Callable[[bytes], None], reply: Reply
    ) -> Failure | None:
        """Send the stream on while it comes; hold its last piece until the call has settled. Returns what broke it.

        Raises:
            AttemptFailed: it is not to be passed on, and nothing of it was.
        """
        plan, terms, steps, sink, flight = lane.plan, lane.terms, lane.steps, lane.sink, lane.flight
        screen = None if terms is None else terms.screen
        continued = None if terms is None else terms.continued
        is_out = continued is not None and continued.is_begun
        keep = self._keeper(call, plan, terms)
        kept = None if keep is None else list[bytes]() if continued is None else continued.kept
        watch = watch_of(plan, steps)
        if not sink.ended.is_set:
            first = sink.take()
            if is_out:
                reply.write(_seam(plan) + first)
            else:
                begin(first)
                is_out = True
            if continued is not None:
                continued.is_begun = True
            sink.forward = _watched(watch, first, _forward_to(reply, call, kept))
            call.response_bytes += len(first)
            if kept is not None:
                kept.append(first)
            reply.set_flow(flight.pause, flight.resume)
            failure = await sink.ended
            last = sink.last
        else:
            # It was over before its content had gone out: nothing has been sent yet, and nothing may before it settles.
            failure = sink.ended.value or failed_within(steps)
            last = sink.take() + sink.last
            if watch is not None:
                watch.see(last)
        if failure is None and screen is not None:
            failure = await screen.last_words()
            last = screen.closing(last) if failure is None else b""  # it would say that all is well
        if failure is not None:
            _raise_where_others_may(call, plan, steps, failure, terms, is_out=is_out)
            flight.cancel()  # the stream may go on although it can no longer be read
            if steps is not None:
                last += steps.broken(failure.kind.value, words_for(failure))
        await saved(call)
        sum_up(call, plan, steps, failure, terms, watch)
        call.response_bytes += len(last)
        if kept is not None and keep is not None:
            keep(b"".join([*kept, last]))
        self._settle(call, "failed" if call.error_code else "answered", 200)
        if not is_out:
            begin(b"")
        if failure is not None and steps is None:
            reply.abort()  # nothing in these bytes could say that they are not all
        else:
            reply.end(last)
        return failure

    def end_broken(self, call: OpenCall, refusal: Refusal, reply: Reply, terms: StreamTerms) -> None:
        """End a stream with which nobody goes on.

        Raises:
            StorageError: the call's end could not be written.
        """
        continued = terms.continued
        assert continued is not None, "who asks has one"
        last = continued.broken(refusal.code, refusal.message)
        call.error_code = refusal.code
        call.response_bytes += len(last)
        if terms.keep is not None:
            terms.keep(b"".join([*continued.kept, last]))
        self._settle(call, "failed", 200)
        reply.end(last)

    def _answers_itself(
        self, call: OpenCall, plan: Plan, failure: Failure, reasons: Sequence[str], reply: Reply, beat: Heartbeat | None
    ) -> bool:
        """Give the answer that configuration has for when nobody else has; False where there is none."""
        answers = self._planner.answers
        answer = plain_answer(call, plan, failure, reasons, answers) if answers and beat is not None else None
        if answer is None or beat is None:
            return False
        call.response_bytes = len(answer.body)
        if self._keeps_bodies:
            call.response_body = answer.body
        self._settle(call, "answered", 200)
        headers = own_headers(call, EVENT_STREAM) + answer.headers + STREAM_HEADERS
        if beat.is_early:
            reply.end(beat.told(answer.headers) + answer.body)
        else:
            reply.respond(200, headers, answer.body)
        return True

    def settle_early(self, call: OpenCall, beat: Heartbeat) -> None:
        """Settle a call at which our own code failed, where the head is out: no answer can say it any more.

        Raises:
            StorageError: the call's end could not be written.
        """
        if beat.is_early and not call.is_settled:
            call.error_code = "internal_error"
            self._settle(call, "failed", 200)

    def end_early(self, call: OpenCall, refusal: Refusal, reply: Reply, endpoint: Endpoint) -> None:
        """End a stream of which the head alone is out, in its dialect's own way of saying that it failed.

        Arguments:
            endpoint: the dialect that the reply takes.

        Raises:
            StorageError: the call's end could not be written.
        """
        last = _TAILS[endpoint]().broken(refusal.code, refusal.message)
        call.error_code = refusal.code
        call.response_bytes += len(last)
        self._settle(call, "failed", 200)
        reply.end(last)

    def _keeper(self, call: OpenCall, plan: Plan, terms: StreamTerms | None) -> Callable[[bytes], None] | None:
        if terms is not None:
            return terms.keep
        kept = plan.kept
        if kept is not None and self._keeps_bodies:
            return lambda _: setattr(call, "response_body", kept())
        return partial(setattr, call, "response_body") if self._keeps_bodies else None

    async def _stream_refused(
        self, call: OpenCall, plan: Plan, sink: StreamSink, head: AnswerHead, reply: Reply, terms: StreamTerms | None
    ) -> NoReturn:
        failure = sink.ended.value if sink.ended.is_set else await sink.ended
        if failure is not None:
            raise AttemptFailed(failure)
        if sink.status < 300:
            detail = f"{plan.target.provider} answered a stream with something else"
            raise AttemptFailed(Failure(FailureKind.INVALID, detail, 200))
        if plan.unlisted is not None and is_unknown_model(sink.status, sink.error_body):
            raise self._unknown_model(call.requested_model, plan.unlisted)
        failure = plan.target.station.provider.classify(sink.status, sink.headers, sink.error_body)
        failure = with_patience_of(failure, sink.headers)
        if failure.kind in (FailureKind.UNAUTHORIZED, FailureKind.INVALID):
            raise AttemptFailed(failure)
        raise _Declined(failure, partial(self._error, call, plan, head, sink, reply, terms, failure))

    def _error(
        self,
        call: OpenCall,
        plan: Plan,
        head: AnswerHead,
        sink: StreamSink,
        reply: Reply,
        terms: StreamTerms | None,
        failure: Failure,
    ) -> None:
        """Pass the provider's own refusal on: it is one that the caller can understand."""
        body = sink.error_body
        if plan.bridge is not None:
            body = plan.bridge.error(body, sink.status)
        if not is_error_object(body):
            body = refusal_body(refusal_of(failure, status=sink.status), call.endpoint)
        call.error_code = failure.kind.value
        call.response_bytes = len(body)
        if terms is None:
            if self._keeps_bodies:
                call.response_body = body if plan.kept is None else plan.kept()
        else:
            call.usage = usage_of_both(terms.spent, call.usage)
        self._settle(call, "failed", sink.status)
        named = plan.target.headers if terms is None else terms.headers
        head = with_patience(head, failure)
        if call.attempts > 1 or failure.kind in IN_VAIN:
            head = without_retry(head)
        reply.respond(sink.status, head.render(call, named, JSON), body)


def _watched(watch: MediaWatch | None, first: bytes, forward: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Have what goes by looked at, where anybody looks: the first piece, and what is forwarded."""
    if watch is None:
        return forward
    see = watch.see
    see(first)

    def through(data: bytes) -> None:
        see(data)
        forward(data)

    return through


def _steps(plan: Plan) -> BridgeStream | None:
    if plan.is_raw or not plan.is_streamed:
        return None
    if plan.bridge is not None:
        return plan.bridge.stream()
    if plan.endpoint is Endpoint.CHAT:
        return ChatTail(hides_usage=plan.hides_usage)
    if plan.endpoint is Endpoint.MESSAGES:
        return MessagesTail()
    if plan.endpoint is Endpoint.GENERATE_CONTENT:
        return GeminiTail()
    return ResponsesTail() if plan.endpoint is Endpoint.RESPONSES else None


def _give_up_waiting(lane: Lane, waited_s: float) -> None:
    """An answer's head may come at once, and its first token never."""
    if not lane.sink.started.is_set:
        detail = f"{lane.plan.target.provider} sent no token within {waited_s:.3g} s"
        lane.sink.on_failure(Failure(FailureKind.TIMEOUT, detail))


def _raise_where_others_may(
    call: OpenCall, plan: Plan, steps: BridgeStream | None, failure: Failure, terms: StreamTerms | None, *, is_out: bool
) -> None:
    """
    Raises:
        AttemptFailed: nothing of the stream is out yet, so that another attempt may answer; or one may go on with it.
    """
    if is_out:
        continued = None if terms is None else terms.continued
        if continued is not None and continued.may_go_on and failure.kind in RULES:
            note_part(call, plan, continued)
            raise AttemptFailed(failure)
    elif failure.kind in JUDGED or failure.kind in RULES:
        assert steps is not None, "they say when a stream is over, and a screen looks at what comes out of them"
        note_unsent(call, plan, steps, failure)
        raise AttemptFailed(failure)


def _forward_to(reply: Reply, call: OpenCall, kept: list[bytes] | None) -> Callable[[bytes], None]:
    write = reply.write

    def forward(data: bytes) -> None:
        call.response_bytes += len(data)
        if kept is not None:
            kept.append(data)
        write(data)

    return forward


def _seam(plan: Plan) -> bytes:
    """Who goes on from here: the head of the answer, which names who began it, is out."""
    return b": x-headworks-continued: %b\n\n" % f"{plan.target.provider}/{plan.target.model}".encode()


def _is_to_be_told(failure: Failure, terms: StreamTerms | None) -> bool:
    """Whether the provider's own refusal may be what the caller gets."""
    if terms is None:
        return True
    is_begun = terms.continued is not None and terms.continued.is_begun
    return failure.kind not in terms.goes_on_after and not is_begun


def _stream_headers(call: OpenCall, named: bytes, head: AnswerHead, *, is_events: bool) -> bytes:
    content_type = EVENT_STREAM if is_events else head.content_type or b"application/octet-stream"
    headers = head.render(call, named, content_type)
    return headers + STREAM_HEADERS if content_type.startswith(b"text/event-stream") else headers


def _text(value: bytes) -> str:
    return value[:128].decode("latin-1")
