"""A workload's answer, gathered whole: judged before the caller sees any of it, mended, or asked for elsewhere."""

from functools import partial
from time import perf_counter

import msgspec

from headworks.answering import (
    JSON,
    STOPPED,
    AnswerHead,
    UpstreamRefusal,
    answer_head,
    is_error_object,
    refusal_of,
    with_patience_of,
)
from headworks.attempts import REQUEST_AT_FAULT, begin, tell
from headworks.calls import NO_USAGE, AttemptFailed, Endpoint, Failure, FailureKind
from headworks.dialects.canonical import ModelAnswer, UpstreamError
from headworks.dialects.reading import Fields
from headworks.dialects.whole import answer_text, read_answer, summary_of
from headworks.errors import Refusal
from headworks.held_calls import shown
from headworks.judging import GOOD, Judgement, judge, refuses, verdict_of
from headworks.outcome import estimate_usage, note
from headworks.plans import Plan
from headworks.routing import Gathering
from headworks.settlement import saved
from headworks.workload_run import Run

_Attempted = tuple[int, AnswerHead, bytes, ModelAnswer | None]
"""Status, head and body of an answer, and what the body says."""


class WholeRun(Run):
    """Goes along the chain until an answer is good."""

    _is_stopped = False

    async def answer(self) -> None:
        """Go along the chain until an answer is good."""
        refusal: Refusal | None = None
        for index in self._indices():
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
        assert refusal is not None, "a chain has a target"
        await self._answer_last(refusal)

    async def _try_target(self, index: int) -> bool:
        """Ask one target, and again while its answer may be mended; True when the call has been answered."""
        fields, work, record = self._asked.fields, self._work, self._call.work
        assert record is not None, "it was made with the call"
        due_s = self._due_s_of(index)
        for repairs in range(work.contract.validation.repairs + 1):
            plan, (status, head, body, answer) = await self._ask(index, fields, due_s)
            output_tokens = self._take_usage(plan)
            self._raise_declined(index, plan, answer)
            judged = GOOD
            if answer is not None and work.judges_output:
                judged = await judge(work, answer, self._context(plan))
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

    def _raise_declined(self, index: int, plan: Plan, answer: ModelAnswer | None) -> None:
        """
        Raises:
            Refusal: the model declines, and the contract has the next of the chain asked.
        """
        if answer is None or self._is_last(index) or self._work.contract.refusals == "pass":
            return
        if refuses(answer) or answer.end_reason == "content_filter":
            raise refusal_of(Failure(FailureKind.REFUSED, f"{plan.target.provider}'s model declined"))

    async def _ask(self, index: int, fields: Fields, due_s: float) -> tuple[Plan, _Attempted]:
        """Ask one target, and again while its failure is one that passes."""
        again = 0
        while True:
            plan = self._plan(index, fields, due_s)
            try:
                return plan, await self._attempt(plan)
            except UpstreamRefusal as error:
                await self._pause(error, plan, index, again, due_s)
                again += 1

    async def _hold(self, plan: Plan, head: AnswerHead, body: bytes) -> None:
        """Keep the answer until a person has decided, and say so; it is as good as answered."""
        self._judgement, found = await self._shared.held.hold(self._call, self._work, self._endpoint, body)
        if found is None or self._call.endpoint != Endpoint.RESPONSES:
            raise self._refusal_of(self._judgement)
        block = head.render(self._call, self._headers(plan), JSON)
        self._finish("answered", 202, block, shown(found), kept=body)

    def _is_to_be_marked(self, judged: Judgement, repairs: int) -> bool:
        validation = self._work.contract.validation
        is_last_turn = not judged.may_repair or repairs == validation.repairs
        return judged.finding == "blocked" and validation.otherwise == "mark" and is_last_turn

    async def _attempt(self, plan: Plan) -> _Attempted:
        call, record = self._call, self._call.work
        assert record is not None, "it was made with the call"
        if self._is_stopped:
            raise refusal_of(STOPPED)
        health = plan.target.station.health
        unmade = begin(plan.target, call, perf_counter(), plan.timeouts)
        if unmade is not None:
            raise refusal_of(unmade)
        record.note_attempt(plan.named)
        try:
            attempted = await self._answer_of(plan)
        except UpstreamRefusal as error:
            tell(health, call, error.failure)
            raise
        except BaseException:
            health.gave_up(call.is_streamed)
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
            call.quota.believe(plan.target.station, sink.status, sink.headers, perf_counter())
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
            is_read = self._work.judges_output or self._work.contract.refusals == "fallback"
            answer = read_answer(self._endpoint, body) if is_read else None
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
        await saved(call)
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
        is_of_request = failure.kind in REQUEST_AT_FAULT or failure.kind is FailureKind.GONE
        refusal = refusal_of(failure, status=sink.status if is_of_request else 0)
        body = sink.body if plan.bridge is None else plan.bridge.error(sink.body, sink.status)
        if is_of_request and is_error_object(body):
            error = msgspec.json.decode(body)["error"]
            message = f"The provider refused the request: {str(error.get('message'))[:500]}"
            refusal = UpstreamRefusal(sink.status, failure.kind.value, message, kind="upstream_error")
            refusal.failure = failure
        raise refusal
