"""Steps 3 to 9 of a workload's call: prompt, chain of targets, judgement, repair, and last the deterministic answer.

An answer that is not streamed is judged before the caller sees any of it, so that it can be mended or asked for
elsewhere. A stream goes on as it comes, held to the schema piece by piece; what breaks it ends it with an error, and
rules are asked before its last piece goes out.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from time import perf_counter
from typing import Literal, Protocol

import msgspec

from headworks.access import Grant
from headworks.answering import (
    JSON,
    STOPPED,
    STREAM_HEADERS,
    AnswerHead,
    UpstreamRefusal,
    answer_head,
    is_error_object,
    refusal_of,
    with_patience_of,
)
from headworks.attempts import Policy, begin, tell
from headworks.calls import NO_USAGE, AttemptFailed, Endpoint, Failure, FailureKind, Outcome, Verdict
from headworks.compiled import CompiledWorkload
from headworks.composing import (
    LIMIT_NAMES,
    PromptMessage,
    append_turns,
    prompt_reference,
)
from headworks.dialects import RequestHead
from headworks.dialects.canonical import AnswerMessage, AnswerText, ModelAnswer, UpstreamError
from headworks.dialects.reading import Fields
from headworks.dialects.structured import wants_json
from headworks.dialects.whole import answer_text, read_answer, summary_of, write_answer, write_stream
from headworks.errors import Refusal
from headworks.exchange import SHARE_WITH_MORE, STATIC_ANSWER_S, Reply
from headworks.flow import Ending
from headworks.held_calls import HeldCalls, shown
from headworks.holding import HeldAnswers
from headworks.judging import GOOD, Judgement, RulesContext, judge, judge_rules, verdict_of
from headworks.limiting import Limiter
from headworks.outcome import charge, estimate_usage, note
from headworks.planning import Admission, Plan, Planner
from headworks.privacy_bridge import CallPrivacy, Kept
from headworks.routing import Gathering
from headworks.settlement import OpenCall, Settlement
from headworks.stream_screen import StreamScreen
from headworks.streaming import StreamRelay, StreamTerms, usage_of_both
from headworks.workload_request import Composed, compose_call

FALLS_BACK = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.TIMEOUT,
        FailureKind.BROKEN,
        FailureKind.INVALID,
        FailureKind.RATE_LIMITED,
        FailureKind.QUOTA,
        FailureKind.OVERLOADED,
        FailureKind.ERROR,
        FailureKind.UNAUTHORIZED,
        FailureKind.OPEN,
        FailureKind.LIMITED,
    }
)
"""Failures after which another target may do better. What a provider refuses, the next would refuse as well."""

JUDGED_CODES = frozenset({"output_invalid", "output_blocked", "action_denied", "action_held"})
"""Of refusals: those of an answer that was judged, which is noted where it is judged."""

_DEGRADED = "headworks/deterministic"
"""What a static answer calls its model."""


class Vault(Protocol):
    """Seals what people wrote: `records.content.ContentVault`."""

    def seal(
        self, call_id: str, workload: str, kind: Literal["request", "response", "values"], data: bytes, /
    ) -> bytes:
        """The data as it may be written down."""
        ...


_Attempted = tuple[int, AnswerHead, bytes, ModelAnswer | None]
"""Status, head and body of an answer, and what the body says."""


class WorkloadCalls:
    """Makes the calls of workloads; implements `gateway.Works`.

    Arguments:
        works: the workloads by name.
        settlement: where calls are opened and settled.
        planner: makes the request for a target.
        streams: relays what is streamed.
        vault: seals what contracts have kept; None where there is no secret to seal it with.
        held: the answers that wait for people; None where no contract holds a tool.
        loop: the event loop.
        secret: of this installation; needed where a contract screens or keeps anything.
        answer_bytes: bound on an answer.
        policy: which further attempts are made at one target.
        limiter: admits calls where there are quotas.
        now: Unix seconds.
    """

    def __init__(
        self,
        works: Mapping[str, CompiledWorkload],
        settlement: Settlement,
        planner: Planner,
        streams: StreamRelay,
        *,
        vault: Vault | None,
        held: HeldAnswers | None,
        loop: asyncio.AbstractEventLoop,
        secret: bytes,
        answer_bytes: int,
        policy: Policy,
        limiter: Limiter,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.names: Collection[str] = works.keys()
        self._works = works
        self.settlement = settlement
        self.planner = planner
        self.streams = streams
        self.vault = vault
        self.secret = secret
        self.held = HeldCalls(held, settlement, loop)
        self.serve_held = self.held.serve
        self.serve_approvals = self.held.approvals
        self.answer_bytes = answer_bytes
        self.policy = policy
        self.limiter = limiter
        self.now = now

    def find(self, head: RequestHead, grant: Grant) -> CompiledWorkload | None:
        """The workload whose name stands for a model, or whose prompt is asked for."""
        work = self._works.get(head.model)
        if work is None and "prompt" in head.fields:
            work = self._works.get(prompt_reference(head.fields).id)
            if work is not None and not grant.may_use(work.name):
                return None  # who may not use it does not learn that it is there
            if work is not None and head.model:
                raise Refusal(
                    400,
                    "parameter_fixed",
                    f"The prompt `{work.name}` is a workload's, whose contract chooses the model: leave `model` out, "
                    "or send the workload's name.",
                    param="model",
                )
        return work

    def priority_of(self, head: RequestHead, grant: Grant) -> int:
        """The class of a call: its workload's, else its key's."""
        work = self.find(head, grant)
        return grant.priority if work is None or work.priority is None else work.priority

    async def run(
        self,
        call: OpenCall,
        work: CompiledWorkload,
        head: RequestHead,
        admission: Admission,
        grant: Grant,
        reply: Reply,
        ending: Ending,
    ) -> None:
        """Make the call and answer it.

        Raises:
            Refusal: it is not to be made, or came to nothing good.
            StorageError: it cannot be recorded.
        """
        asked = compose_call(call, work, head, admission, grant, self.planner, self.secret)
        if self.limiter.is_needed(grant):
            longest_s = admission.due_s(work.contract.latency.total_s, is_streamed=call.is_streamed)
            has_more = len(work.chain) > 1 or work.deterministic is not None or bool(work.chain[0].pools)
            first = work.chain[0].station
            await self.limiter.wait(
                call, first, grant, work.name, longest_s, ending, has_more=has_more, priority=work.priority
            )
        run = _Run(self, call, head, admission, asked, reply, ending)
        self.settlement.open(call)
        try:
            if call.is_streamed:
                await run.stream()
            else:
                await run.answer()
        except (Refusal, asyncio.CancelledError):
            run.keep_what_there_is()
            raise


class _Run:
    """One call of a workload. State: what was learnt on the way."""

    def __init__(
        self,
        shared: WorkloadCalls,
        call: OpenCall,
        head: RequestHead,
        admission: Admission,
        asked: Composed,
        reply: Reply,
        ending: Ending,
    ) -> None:
        self._shared = shared
        self._call = call
        work = self._work = asked.work
        self._head = head
        self._admission = admission
        self._endpoint = admission.route.endpoint
        self._path = admission.route.upstream_path
        self._reply = reply
        self._ending = ending
        longest_s = admission.due_s(work.contract.latency.total_s, is_streamed=call.is_streamed)
        self._due_s = call.started_s + longest_s
        self._asked = asked
        self._reasons: list[str] = []
        self._judgement = GOOD
        self._verdict: Verdict | None = None
        self._spent = NO_USAGE
        self._is_stopped = False
        self._last_body = b""
        self._screen: StreamScreen | None = None
        self._repairs = 0

    @property
    def _is_kept(self) -> bool:
        return self._work.contract.retention.content != "off" and self._shared.vault is not None

    # -- an answer that is gathered whole -------------------------------------------------------------------------

    async def answer(self) -> None:
        """Go along the chain until an answer is good."""
        refusal: Refusal | None = None
        for index in range(len(self._work.chain)):
            try:
                if await self._try_target(index):
                    return
            except Refusal as error:
                self._note_failed(error)
                if not self._may_go_on(error, index):
                    raise
                refusal = error
                self._reasons.append(error.code)
        if self._work.deterministic is None:
            assert refusal is not None, "a chain has a target"
            raise refusal
        self._answer_statically()

    def _note_failed(self, error: Refusal) -> None:
        """Into the record, why an attempt gave nothing to judge."""
        record = self._call.work
        assert record is not None, "it was made with the call"
        if error.code not in JUDGED_CODES:
            if not record.is_attempt_open:  # it came to nothing before anything was sent
                record.note_attempt(f"{self._call.provider}/{self._call.model}")
            record.note_end(error.code)

    def _may_go_on(self, error: Refusal, index: int) -> bool:
        if self._is_last(index):
            return False
        if error.code in ("output_invalid", "output_blocked"):
            return self._work.contract.validation.otherwise == "fallback"
        return error.code in FALLS_BACK

    def _is_last(self, index: int) -> bool:
        return index + 1 == len(self._work.chain) and self._work.deterministic is None

    async def _try_target(self, index: int) -> bool:
        """Ask one target, and again while its answer may be mended; True when the call has been answered."""
        fields, work, record = self._asked.fields, self._work, self._call.work
        assert record is not None, "it was made with the call"
        due_s = self._due_s_of(index)
        for repairs in range(work.contract.validation.repairs + 1):
            plan, (status, head, body, answer) = await self._ask(index, fields, due_s)
            output_tokens = self._take_usage(plan)
            judged = GOOD if answer is None else await judge(work, answer, self._context(plan))
            how = verdict_of(judged)
            record.note_end(
                f"{how} ({judged.reason})" if judged.reason else how if self._work.judges_output else "good"
            )
            if judged.finding == "held":
                await self._hold(plan, head, body)
                return True
            if judged.finding in ("good", "marked") or self._is_to_be_marked(judged, repairs):
                self._judgement = judged
                self._verdict = "repaired" if repairs and judged.finding == "good" else None
                self._finish("answered", status, head.render(self._call, self._headers(plan), JSON), body)
                return True
            record.wasted_tokens += output_tokens
            self._judgement = judged
            if not judged.may_repair or repairs == work.contract.validation.repairs:
                raise self._refusal_of(judged)
            record.repairs += 1
            fields = self._with_repair(fields, "" if answer is None else answer_text(answer), judged)
        raise AssertionError("the last turn answers or raises")

    async def _ask(self, index: int, fields: Fields, due_s: float) -> tuple[Plan, _Attempted]:
        """Ask one target, and again while its failure is one that passes."""
        again = 0
        while True:
            plan = self._plan(index, fields, due_s)
            try:
                return plan, await self._attempt(plan)
            except UpstreamRefusal as error:
                await self._pause(error, plan, again, due_s)
                again += 1

    async def _pause(self, error: UpstreamRefusal, plan: Plan, again: int, due_s: float) -> None:
        """Wait before the same target is asked again.

        Raises:
            Refusal: it is not to be.
        """
        pause_s = self._shared.policy.pause_s(error.failure, plan.target, again, perf_counter(), due_s)
        if pause_s is None:
            raise error
        self._note_failed(error)
        if pause_s > 0:
            await self._shared.streams.pause(pause_s, self._ending)

    def _due_s_of(self, index: int) -> float:
        """When the attempts at a target must be over, so that there is time for what comes after it."""
        left_s = max(0.0, self._due_s - perf_counter())
        if index + 1 < len(self._work.chain):
            left_s *= SHARE_WITH_MORE
        elif self._work.deterministic is not None:
            left_s -= min(STATIC_ANSWER_S, left_s / 10)
        return perf_counter() + left_s

    async def _hold(self, plan: Plan, head: AnswerHead, body: bytes) -> None:
        """Keep the answer until a person has decided, and say so; it is as good as answered."""
        self._judgement, found = await self._shared.held.hold(self._call, self._work, self._endpoint, body)
        if found is None or self._endpoint is Endpoint.CHAT:
            raise self._refusal_of(self._judgement)
        block = head.render(self._call, self._headers(plan), JSON)
        self._finish("answered", 202, block, shown(found), kept=body)

    async def _hold_stream(self, body: bytes) -> Judgement:
        self._judgement, _ = await self._shared.held.hold(self._call, self._work, self._endpoint, body)
        return self._judgement

    def _is_to_be_marked(self, judged: Judgement, repairs: int) -> bool:
        validation = self._work.contract.validation
        is_last_turn = not judged.may_repair or repairs == validation.repairs
        return judged.finding == "blocked" and validation.otherwise == "mark" and is_last_turn

    def _plan(self, index: int, fields: Fields, due_s: float) -> Plan:
        target = self._work.chain[index]
        if target.pools:
            target = self._shared.planner.in_best_pool(target, self._head)
        total_s = due_s - perf_counter()
        has_more = index + 1 < len(self._work.chain)
        if total_s <= 0:
            raise refusal_of(Failure(FailureKind.TIMEOUT, f"no time was left to ask {target.provider}"))
        self._call.provider, self._call.model = target.provider, target.model
        limit_name = target.station.provider.limit_name
        if self._endpoint in target.speaks and self._endpoint is Endpoint.CHAT and limit_name not in fields:
            fields = {limit_name if name in LIMIT_NAMES[Endpoint.CHAT] else name: raw for name, raw in fields.items()}
        if target.station.provider.caches_by_key and "prompt_cache_key" not in fields:
            fields = {**fields, "prompt_cache_key": self._work.cache_key}
        head = msgspec.structs.replace(self._head, fields=fields)
        planner = self._shared.planner
        forwarded, stop = self._admission.forwarded, self._work.stop
        plan = planner.plan_to(target, head, self._endpoint, self._path, forwarded, stop)
        privacy, bridge = self._asked.privacy, plan.bridge
        if privacy is not None:
            is_json = wants_json(self._endpoint, fields)
            bridge = privacy.bridge(self._endpoint, self._head.fields, bridge, is_json=is_json)
        timeouts = target.station.timeouts.within(total_s)
        first_s = self._work.contract.latency.first_token_s
        if first_s is not None and has_more and self._call.is_streamed:
            # Only where another target may be quicker: late words are better than none.
            left_s = max(0.0, self._call.started_s + first_s - perf_counter())
            first_byte_s = min(timeouts.first_byte_s, left_s * SHARE_WITH_MORE)
            timeouts = msgspec.structs.replace(timeouts, first_byte_s=first_byte_s)
        return msgspec.structs.replace(plan, bridge=bridge, timeouts=timeouts)

    async def _attempt(self, plan: Plan) -> _Attempted:
        call, record = self._call, self._call.work
        assert record is not None, "it was made with the call"
        if self._is_stopped:
            raise refusal_of(STOPPED)
        health = plan.target.station.health
        unmade = begin(plan.target, call, perf_counter())
        if unmade is not None:
            raise refusal_of(unmade)
        record.note_attempt(f"{plan.target.provider}/{plan.target.model}")
        try:
            attempted = await self._answer_of(plan)
        except UpstreamRefusal as error:
            tell(health, call, error.failure)
            raise
        except BaseException:
            health.gave_up()
            raise
        tell(health, call, None)
        return attempted

    async def _answer_of(self, plan: Plan) -> _Attempted:
        call, record = self._call, self._call.work
        assert record is not None, "it was made with the call"
        sink = Gathering(self._shared.answer_bytes)
        flight = plan.target.station.upstream.send(plan.request, sink, plan.timeouts or plan.target.station.timeouts)
        self._ending.act = partial(self._stop, sink)
        try:
            failure = await sink.ended
        except BaseException:
            flight.cancel()
            raise
        call.head_s = sink.head_s
        if failure is not None:
            flight.cancel()
            raise refusal_of(failure)
        if call.quota is not None:
            call.quota.believe(plan.target.station, sink.headers, perf_counter())
        head = answer_head(sink.headers, is_plain=sink.status < 300)
        call.upstream_request_id = head.request_id[:128].decode("latin-1")
        if sink.status >= 300:
            self._refuse_as_upstream(plan, sink)
        body = sink.body
        try:
            if plan.bridge is not None:
                body, summary = plan.bridge.answer(body)
            else:
                summary = summary_of(self._endpoint, body)
            # What is not judged may be of a kind that is not known here.
            answer = read_answer(self._endpoint, body) if self._work.judges_output else None
        except AttemptFailed as error:
            call.usage = error.usage or NO_USAGE
            record.wasted_tokens += self._take_usage(plan)
            if error.failure.kind is FailureKind.BLOCKED:
                record.verdict = "blocked"
                record.note_end(f"blocked ({error.failure.detail})")
            raise refusal_of(error.failure) from None
        if isinstance(answer, UpstreamError) or summary.terminal == "failed":
            call.usage = summary.usage or NO_USAGE
            record.wasted_tokens += self._take_usage(plan)
            raise refusal_of(Failure(FailureKind.ERROR, f"{plan.target.provider} answered with an error"))
        call.usage = NO_USAGE
        self._last_body = body
        note(call, summary)
        estimate_usage(call, plan, summary.text)
        return sink.status, head, body, answer

    def _stop(self, sink: Gathering) -> None:
        self._is_stopped = True  # an answer may be with the rules just now: it is the last one that is asked for
        sink.on_failure(STOPPED)

    def _refuse_as_upstream(self, plan: Plan, sink: Gathering) -> None:
        """Raise what an answer that is no success means for the chain and for the caller."""
        failure = plan.target.station.provider.classify(sink.status, sink.headers, sink.body)
        failure = with_patience_of(failure, sink.headers)
        refusal = refusal_of(failure, status=sink.status if failure.kind is FailureKind.REJECTED else 0)
        if failure.kind is FailureKind.REJECTED and is_error_object(sink.body):
            error = msgspec.json.decode(sink.body)["error"]
            message = f"The provider refused the request: {str(error.get('message'))[:500]}"
            refusal = UpstreamRefusal(sink.status, failure.kind.value, message, kind="upstream_error")
            refusal.failure = failure
        raise refusal

    # -- a stream -------------------------------------------------------------------------------------------------

    async def stream(self) -> None:
        """Relay the first target that begins to answer."""
        refusal: Refusal | None = None
        for index in range(len(self._work.chain)):
            try:
                await self._stream_from(index)
            except Refusal as error:
                if self._call.is_settled:
                    raise
                self._note_failed(error)
                self._take_usage()
                if self._screen is not None and self._screen.judgement.finding in ("denied", "held"):
                    raise self._refusal_of(self._screen.judgement) from None
                if not self._may_go_on(error, index):
                    raise
                refusal = error
                self._reasons.append(error.code)
            else:
                return
        if self._work.deterministic is None:
            assert refusal is not None, "a chain has a target"
            raise refusal
        self._answer_statically()

    async def _stream_from(self, index: int) -> None:
        """Relay one target's stream; ask again while it fails in a way that passes, and nothing has gone out."""
        record = self._call.work
        assert record is not None, "it was made with the call"
        due_s, again = self._due_s_of(index), 0
        fields = self._asked.fields
        self._screen, self._repairs = None, 0
        while True:
            plan = self._plan(index, fields, due_s)
            screen = self._screen = self._screen_of(plan)
            terms = StreamTerms(
                self._headers(plan),
                screen,
                self._seal if self._is_kept else None,
                () if self._is_last(index) else FALLS_BACK,
                self._spent,
            )
            record.note_attempt(f"{plan.target.provider}/{plan.target.model}")
            try:
                await self._shared.streams.stream(self._call, plan, self._reply, self._ending, terms)
            except UpstreamRefusal as error:
                if self._call.is_settled:
                    raise
                mended = self._mended(screen, fields)
                if mended is not None:
                    fields = mended
                    continue
                await self._pause(error, plan, again, due_s)
                again += 1
            else:
                return

    def _mended(self, screen: StreamScreen | None, fields: Fields) -> Fields | None:
        """The conversation that asks the model to mend a stream of which nothing has gone out; None where it is not to
        be."""
        record = self._call.work
        assert record is not None, "it was made with the call"
        judged = GOOD if screen is None else screen.judgement
        if screen is None or not judged.may_repair or self._repairs == self._work.contract.validation.repairs:
            return None
        self._repairs += 1
        record.repairs += 1
        self._take_usage()
        return self._with_repair(fields, screen.text, judged)

    def _with_repair(self, fields: Fields, said: str, judged: Judgement) -> Fields:
        """The conversation with what the model said, and what is wrong with it."""
        if self._asked.privacy is not None:
            said = self._asked.privacy.redact_text(said)
        turns = [PromptMessage("assistant", said), PromptMessage("user", judged.repair)]
        return append_turns(fields, self._endpoint, [turn for turn in turns if turn.text])

    def _screen_of(self, plan: Plan) -> StreamScreen | None:
        work = self._work
        if not work.judges_output:
            return None
        context = self._context(plan)
        assert self._call.work is not None, "it was made with the call"
        ask_rules = partial(judge_rules, work, context=context)
        is_mended = self._repairs > 0
        return StreamScreen(self._endpoint, work, self._call.work, ask_rules, self._hold_stream, is_mended=is_mended)

    # -- the end --------------------------------------------------------------------------------------------------

    def _answer_statically(self) -> None:
        """The last rung: an answer that no model gave, and that says so."""
        call, text = self._call, self._work.deterministic
        assert text is not None, "who asks has looked"
        call.provider, call.model, call.served_model = "", _DEGRADED, _DEGRADED
        created = int(self._shared.now())
        answer = ModelAnswer(call.call_id, _DEGRADED, created, (AnswerMessage((AnswerText(text),)),), usage=None)
        headers = b"content-type: %b\r\nx-request-id: %b\r\nx-headworks-call-id: %b\r\n%b%b" % (
            b"text/event-stream; charset=utf-8" if call.is_streamed else JSON,
            call.call_id.encode(),
            call.call_id.encode(),
            self._headers(None),
            call.timings(),
        )
        call.finish_reason, call.response_id, call.error_code = "degraded", "", ""
        metadata = {**self._asked.metadata, "headworks.degraded": self._reasons[-1] if self._reasons else "true"}
        fields = {**self._head.fields, "metadata": msgspec.Raw(msgspec.json.encode(metadata))}
        if call.is_streamed:
            body = write_stream(answer, self._endpoint, fields)
            self._finish("answered", 200, headers + STREAM_HEADERS, body)
        else:
            self._finish("answered", 200, headers, write_answer(answer, self._endpoint, fields))

    def _finish(self, outcome: Outcome, status: int, headers: bytes, body: bytes, *, kept: bytes = b"") -> None:
        call = self._call
        assert call.work is not None, "it was made with the call"
        call.work.verdict = self._said
        if self._is_kept:
            self._seal(kept or body)
        call.usage = self._spent
        call.response_bytes = len(body)
        self._shared.settlement.settle(call, outcome, status)
        self._reply.respond(status, headers, body)

    def keep_what_there_is(self) -> None:
        """Keep the content of a call that comes to nothing: it is the one that people want to see again. What the model
        has said last goes for the answer."""
        if self._is_kept and not self._call.is_settled:
            self._seal(self._last_body)

    def _seal(self, body: bytes) -> None:
        """Put what the contract has kept into the record, sealed."""
        call, record, vault = self._call, self._call.work, self._shared.vault
        assert record is not None, "it was made with the call"
        assert vault is not None, "who asks has looked"
        name = self._work.name
        kept = Kept(msgspec.json.encode(self._asked.fields), body, msgspec.json.encode(self._asked.values))
        if self._work.keeping is not None:
            tenant = call.caller.team or call.caller.key_id
            privacy = CallPrivacy(self._work.keeping, self._shared.secret, tenant)
            kept = privacy.redact_kept(kept, self._endpoint, call.call_id, is_streamed=call.is_streamed)
        call.request_body = vault.seal(call.call_id, name, "request", kept.request)
        call.response_body = vault.seal(call.call_id, name, "response", kept.response)
        record.template_values = vault.seal(call.call_id, name, "values", kept.values)
        record.content_expires_us = int((self._shared.now() + self._work.contract.retention.days * 86_400) * 1e6)

    @property
    def _said(self) -> Verdict:
        """How the output was judged, for the record and the caller."""
        if not self._work.judges_output or self._call.served_model == _DEGRADED:
            return ""
        if self._verdict is not None:
            return self._verdict
        is_blocked = self._judgement.finding == "blocked"
        if is_blocked and self._work.contract.validation.otherwise == "mark" and not self._call.error_code:
            return "marked"
        return verdict_of(self._judgement)

    def _refusal_of(self, judged: Judgement) -> Refusal:
        assert self._call.work is not None, "it was made with the call"
        self._call.work.verdict = self._said
        self._call.usage = self._spent
        if judged.finding in ("denied", "held"):
            code = f"action_{judged.finding}"
            return Refusal(403, code, f"{judged.reason[:1].upper()}{judged.reason[1:]}.", kind="permission_error")
        code = "output_invalid" if judged.finding == "invalid" else "output_blocked"
        what = "breaks the workload's schema" if judged.finding == "invalid" else "is blocked by the workload's rules"
        return Refusal(
            502, code, f"The model's answer {what} ({judged.reason}) and was not passed on.", kind="output_error"
        )

    def _headers(self, plan: Plan | None) -> bytes:
        lines = self._work.static_headers
        if plan is not None:
            lines = plan.target.headers + lines
        if self._asked.version:
            lines += b"x-headworks-prompt-version: %b\r\n" % self._asked.version.encode("ascii")
        if self._said and not self._call.is_streamed:
            lines += b"x-headworks-verdict: %b\r\n" % self._said.encode("ascii")
        if self._reasons:
            reasons = ", ".join(self._reasons).encode("ascii")
            name = b"x-headworks-fallback" if plan is not None else b"x-headworks-degraded"
            lines += b"%b: %b\r\n" % (name, reasons)
        return lines

    def _context(self, plan: Plan) -> RulesContext:
        asked = self._asked
        return RulesContext(
            self._call.call_id, self._work.name, plan.target.model, asked.version, asked.values, asked.metadata
        )

    def _take_usage(self, plan: Plan | None = None) -> int:
        """Add what the last attempt used to what the call has used; returns the attempt's output tokens.

        Arguments:
            plan: of the attempt, which is to be charged; None where that is done.
        """
        call, spent = self._call, self._spent
        last = call.usage
        if plan is not None:
            charge(call, plan)
        self._spent = call.usage = usage_of_both(spent, last)
        return last.output_tokens
