"""What a workload's call does, streamed or not: plans along its chain, usage, the static answer, what is kept."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from time import perf_counter
from typing import Literal, Protocol

import msgspec

from headworks.admission import Admission
from headworks.answering import JSON, NO_COST, STREAM_HEADERS, UpstreamRefusal, refusal_of
from headworks.attempts import RULES, Policy, goes_on_at_once, may_hold_more, rules_of, takes_no_more
from headworks.calls import NO_USAGE, Endpoint, Failure, FailureKind, Outcome, Verdict
from headworks.compiled import CompiledWorkload
from headworks.composing import LIMIT_NAMES, PromptMessage, append_turns, last_words
from headworks.config import FIRST_CODE_FILE
from headworks.config.droppable import STOPS
from headworks.conversation_values import ConversationValues
from headworks.deterministic import LastAnswer
from headworks.dialects import RequestHead
from headworks.dialects.canonical import AnswerMessage, AnswerText, ModelAnswer
from headworks.dialects.leaving_out import leaving_out
from headworks.dialects.reading import Fields
from headworks.dialects.structured import wants_json
from headworks.dialects.whole import write_answer, write_stream
from headworks.errors import Refusal
from headworks.exchange import SHARE_WITH_MORE, Reply
from headworks.flow import Ending
from headworks.hedging import FirstTokens
from headworks.held_calls import HeldCalls
from headworks.judging import GOOD, Judgement, RulesContext, verdict_of
from headworks.outcome import charge
from headworks.plain_answer import DEGRADED
from headworks.planning import Planner
from headworks.plans import Plan, dropped_line, plan_to
from headworks.privacy_bridge import CallPrivacy, Kept, ScreenedBridge
from headworks.routing import Target
from headworks.settlement import OpenCall, Settlement
from headworks.stations import Station, may_serve
from headworks.stream_sums import usage_of_both
from headworks.streaming import StreamRelay
from headworks.workload_request import Composed

FALLS_BACK = frozenset(kind for kind, rules in RULES.items() if rules.onward)
"""Failures after which another target may do better. What a provider refuses, the next would refuse as well."""

JUDGED_CODES = frozenset({"output_invalid", "output_blocked", "action_denied", "action_held"})
"""Of refusals: those of an answer that was judged, which is noted where it is judged."""


_BY_CODE = b"x-headworks-decided-by: code\r\n" + NO_COST


class Vault(Protocol):
    """Seals what people wrote: `records.content.ContentVault`."""

    def seal(
        self, call_id: str, workload: str, kind: Literal["request", "response", "values"], data: bytes, /
    ) -> bytes:
        """The data as it may be written down."""
        ...


class Shared(msgspec.Struct, frozen=True):
    """What all calls of workloads use; see `WorkloadCalls`. `first_tokens` are by workload, provider and model."""

    settlement: Settlement
    planner: Planner
    streams: StreamRelay
    vault: Vault | None
    values: ConversationValues
    held: HeldCalls
    answer_bytes: int
    policy: Policy
    now: Callable[[], float] = time.time
    first_tokens: dict[tuple[str, str, str], FirstTokens] = msgspec.field(default_factory=dict)


class Run(ABC):
    """One call of a workload. State: what was learnt on the way."""

    def __init__(
        self,
        shared: Shared,
        call: OpenCall,
        head: RequestHead,
        admission: Admission,
        asked: Composed,
        reply: Reply,
        ending: Ending,
    ) -> None:
        self._shared = shared
        self._call = call
        self._policy = shared.policy.at_most(_retries(asked.work, admission))
        work = self._work = asked.work if _may_fall_back(asked.work, admission) else _without_fallback(asked.work)
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
        self._last_body = b""
        self._too_small: Target[Station] | None = None
        self._home = ""
        self._tried: dict[int, set[tuple[str, str]]] = {}  # targets of one name, by place in the chain
        self._next_pool: Target[Station] | None = None
        self._furthest = 0  # the place in the chain up to which was planned

    @property
    def _is_kept(self) -> bool:
        return self._work.contract.retention.content != "off" and self._shared.vault is not None

    def stay_at(self, home: str) -> None:
        """Ask only where what the call goes on from lies: a provider, with its pool; "" for anywhere."""
        self._home = home
        if home:  # it may lie further down the chain, and nobody else is asked
            self._work = msgspec.structs.replace(self._work, chain=self._asked.work.chain)

    @abstractmethod
    async def answer(self) -> None:
        """Go along the chain until the caller has an answer.

        Raises:
            Refusal: nobody had a good one.
            StorageError: the call's end could not be written.
        """

    def _note_failed(self, error: Refusal) -> None:
        """Into the record, why an attempt gave nothing to judge."""
        record = self._call.work
        assert record is not None, "it was made with the call"
        if error.code not in JUDGED_CODES:
            if not record.is_attempt_open:  # it came to nothing before anything was sent
                record.note_attempt(f"{self._call.provider}/{self._call.model}")
            record.note_end(error.code)

    def _may_go_on(self, error: Refusal, index: int) -> bool:
        if error.code == FailureKind.TOO_LONG:
            self._too_small = self._work.chain[index]
        if self._is_last(index):
            return False
        if error.code in ("output_invalid", "output_blocked"):
            return self._work.contract.validation.otherwise == "fallback"
        return error.code in self._falls_back

    def _indices(self) -> Iterator[int]:
        """Places in the chain, in order, without those that do not know what the call goes on from, and those that are
        known to be too small for it."""
        chain = self._work.chain
        home = self._home.partition(":")[0]
        at_home = [index for index, target in enumerate(chain) if home in _providers_of(target)]
        for index in at_home[:1] if at_home else range(1 if self._goes_on_from_stored else len(chain)):
            target = chain[index]
            too_small = self._too_small
            if too_small is None or any(may_hold_more(one, too_small) for one in target.pools or (target,)):
                yield index

    @property
    def _awaits_first_token(self) -> bool:
        """Whether this is a stream of which nothing is out yet."""
        return False

    @property
    def _goes_on_from_stored(self) -> bool:
        """Whether the call goes on from a response that the provider has stored, and no other has."""
        return self._endpoint is Endpoint.RESPONSES and bool(self._head.previous_response_id)

    @property
    def _falls_back(self) -> Collection[FailureKind]:
        """Failures after which the next of the chain is asked."""
        return FALLS_BACK | {FailureKind.REFUSED} if self._work.contract.refusals == "fallback" else FALLS_BACK

    def _is_last(self, index: int) -> bool:
        return index + 1 == len(self._work.chain) and self._work.deterministic is None

    async def _pause(self, error: UpstreamRefusal, plan: Plan, index: int, again: int, due_s: float) -> None:
        """Wait before the same target is asked again; or do not, where another of its pools is.

        Raises:
            Refusal: it is not to be.
        """
        now_s = perf_counter()
        self._next_pool = None
        if not self._goes_on_from_stored:
            self._next_pool = self._other(error.failure, plan.target, index, now_s)
        if self._next_pool is not None:
            self._note_failed(error)
            return
        pause_s = None
        if not self._goes_on_at_once(error.failure, plan.target, index, now_s):
            pause_s = self._policy.pause_s(
                error.failure, plan.target, again, now_s, due_s, is_streamed=self._call.is_streamed
            )
        if pause_s is None:
            raise error
        self._note_failed(error)
        if pause_s > 0:
            await self._shared.streams.pause(pause_s, self._ending)

    def _goes_on_at_once(self, failure: Failure, target: Target[Station], index: int, now_s: float) -> bool:
        if not rules_of(failure).onward or self._home or self._goes_on_from_stored:
            return False
        onward = self._work.chain[index + 1 :]
        return goes_on_at_once(target, onward, now_s, is_streamed=self._call.is_streamed)

    def _other(self, failure: Failure, than: Target[Station], index: int, now_s: float) -> Target[Station] | None:
        """What else serves the same name and was not asked yet, where that may help."""
        tried = self._tried.setdefault(index, set())
        while True:
            other = self._policy.another(failure, than, tried, now_s, is_streamed=self._call.is_streamed)
            if other is None or may_serve(other, self._endpoint, self._path):
                return other
            tried.add(other.key)

    def _due_s_of(self, index: int) -> float:
        """When the attempts at a target must be over, so that there is time for what comes after it."""
        left_s = max(0.0, self._due_s - perf_counter())
        if index + 1 < len(self._work.chain):
            left_s *= SHARE_WITH_MORE
        elif self._work.deterministic is not None:
            left_s -= self._work.deterministic.set_aside_s(left_s)
        return perf_counter() + left_s

    def _plan(self, index: int, fields: Fields, due_s: float) -> Plan:
        target = self._work.chain[index]
        is_another = fields is not self._asked.fields  # a repair, or the rest of a stream: not what the key stands for
        if target.pools:
            target = self._in_pool(target)
            self._tried.setdefault(index, set()).add(target.key)
        total_s = due_s - perf_counter()
        has_more = index + 1 < len(self._work.chain)
        if index > self._furthest:
            self._furthest = index
            if self._reasons and not target.station.health.take_hop(perf_counter()):
                raise refusal_of(takes_no_more(target))
        if total_s <= 0:
            raise refusal_of(Failure(FailureKind.TIMEOUT, f"no time was left to ask {target.provider}"))
        self._call.provider, self._call.model = target.provider, target.model
        limit_name = target.station.provider.limit_name
        if self._endpoint in target.speaks and self._endpoint is Endpoint.CHAT and limit_name not in fields:
            fields = {limit_name if name in LIMIT_NAMES[Endpoint.CHAT] else name: raw for name, raw in fields.items()}
        if target.station.provider.caches_by_key and "prompt_cache_key" not in fields:
            fields = {**fields, "prompt_cache_key": self._work.cache_key}
        prefix = self._work.prefix
        if prefix is not None and prefix.is_marked_at(target, self._endpoint):
            fields = prefix.mark(fields, self._endpoint)
        head = msgspec.structs.replace(self._head, fields=fields)
        forwarded = self._admission.forwarded
        plan = self._planned(target, head, _without_key(forwarded) if is_another else forwarded)
        filters, bridge = self._asked.filters, plan.bridge
        if filters:
            is_json = wants_json(self._endpoint, fields)
            bridge = ScreenedBridge(filters, self._endpoint, self._head.fields, bridge, is_json=is_json)
        timeouts = target.station.timeouts.within(total_s)
        first_s = self._work.contract.latency.first_token_s
        if first_s is not None and has_more and self._awaits_first_token:
            # Only where another target may be quicker: late words are better than none.
            left_s = max(0.0, self._call.started_s + first_s - perf_counter())
            first_byte_s = min(timeouts.first_byte_s, left_s * SHARE_WITH_MORE)
            timeouts = msgspec.structs.replace(timeouts, first_byte_s=first_byte_s)
        return msgspec.structs.replace(plan, bridge=bridge, timeouts=timeouts)

    def _planned(self, target: Target[Station], head: RequestHead, forwarded: bytes) -> Plan:
        """The plan of asking this target, without what it refuses and the contract can do without.

        Raises:
            Refusal: of anything else.
        """
        endpoint, path, stop, asked = self._endpoint, self._path, self._work.stop, self._asked
        left, wishes = tuple[str, ...](), asked.wishes
        if wishes is not None and "stop" in head.fields:
            stop = ()  # the contract's own, or others that it lets the caller choose
        try:
            plan = plan_to(target, head, endpoint, path, forwarded, stop, wishes)
        except Refusal as refusal:

            def planned(fields: Fields) -> Plan:
                fewer = msgspec.structs.replace(head, fields=fields)
                return plan_to(target, fewer, endpoint, path, forwarded, stop, wishes)

            # A published prompt may have been given stop sequences that the contract no longer has.
            droppable = [name for name in self._work.contract.droppable if not (stop and name in STOPS)]
            plan, left = leaving_out(refusal, head.fields, droppable, planned, asked.own)
        if not left:
            return plan
        record = self._call.work
        assert record is not None, "it was made with the call"
        record.dropped = tuple(dict.fromkeys((*record.dropped, *left)))
        return msgspec.structs.replace(plan, dropped=left)

    def _in_pool(self, target: Target[Station]) -> Target[Station]:
        if self._home:
            return self._shared.planner.at_home(target, self._home)
        chosen, self._next_pool = self._next_pool, None
        return chosen if chosen in target.pools else self._best_of(target)

    def _best_of(self, target: Target[Station]) -> Target[Station]:
        return self._shared.planner.in_best_pool(target, self._head, self._endpoint, self._path)

    def _with_repair(self, fields: Fields, said: str, judged: Judgement) -> Fields:
        """The conversation with what the model said, and what is wrong with it."""
        if self._asked.privacy is not None:
            said = self._asked.privacy.redact_text(said)
        turns = [PromptMessage("assistant", said), PromptMessage("user", judged.repair)]
        return append_turns(fields, self._endpoint, [turn for turn in turns if turn.text])

    async def _answer_last(self, refusal: Refusal) -> None:
        """The last rung: an answer that no model gave, and that says so.

        Raises:
            Refusal: the one given, where there is no such answer either.
        """
        call, work, asked = self._call, self._work, self._asked
        assert work.deterministic is not None, "who asks has looked"
        assert call.work is not None, "it was made with the call"
        context = RulesContext(call.call_id, work.name, DEGRADED, asked.version, asked.values, asked.metadata)
        text = await work.deterministic.say(
            last_words(self._head.fields, self._endpoint),
            {**msgspec.structs.asdict(context), "reason": refusal.code},
            asked.values,
            runner=work.answerer,
            due_s=self._due_s,
            record=call.work,
        )
        if text is None:
            raise refusal
        own = self._asked.metadata if self._endpoint is Endpoint.RESPONSES else {}
        why = {**own, "headworks.degraded": self._reasons[-1] if self._reasons else "true"}
        self._answer_without_model(text, "degraded", why)

    async def answer_first(self) -> bool:
        """Answer by the workload's code, where it has an answer that the schema lets through; whether it had.

        Raises:
            StorageError: the call's end could not be written.
        """
        call, work, asked = self._call, self._work, self._asked
        assert work.first is not None, "who asks has looked"
        assert call.work is not None, "it was made with the call"
        context = RulesContext(call.call_id, work.name, DEGRADED, asked.version, asked.values, asked.metadata)
        text = await LastAnswer(None, work.schema, work.first.timeout_s).say(
            last_words(self._head.fields, self._endpoint),
            msgspec.structs.asdict(context),
            asked.values,
            runner=work.first,
            due_s=self._due_s,
            record=call.work,
            file=FIRST_CODE_FILE,
        )
        if text is None:
            return False
        call.work.note_attempt(FIRST_CODE_FILE)
        call.work.note_end("answered")
        own = asked.metadata if self._endpoint is Endpoint.RESPONSES else {}
        self._answer_without_model(text, "stop", own, _BY_CODE)
        return True

    def _answer_without_model(
        self, text: str, finish_reason: str, metadata: Mapping[str, str], lines: bytes = b""
    ) -> None:
        call = self._call
        call.provider, call.model, call.served_model = "", DEGRADED, DEGRADED
        created = int(self._shared.now())
        answer = ModelAnswer(call.call_id, DEGRADED, created, (AnswerMessage((AnswerText(text),)),), usage=None)
        headers = b"content-type: %b\r\nx-request-id: %b\r\nx-headworks-call-id: %b\r\n%b%b" % (
            b"text/event-stream; charset=utf-8" if call.is_streamed else JSON,
            call.call_id.encode(),
            call.call_id.encode(),
            self._headers(None) + lines,
            call.timings(),
        )
        call.finish_reason, call.response_id, call.error_code = finish_reason, "", ""
        write = write_stream if call.is_streamed else write_answer
        body = write(answer, self._endpoint, self._head.fields, metadata=metadata)
        self._finish("answered", 200, headers + STREAM_HEADERS if call.is_streamed else headers, body)

    def _finish(self, outcome: Outcome, status: int, headers: bytes, body: bytes, *, kept: bytes = b"") -> None:
        call = self._call
        assert call.work is not None, "it was made with the call"
        call.work.verdict = self._said
        if self._is_kept:
            self._seal(kept or body)
        call.usage = self._spent
        call.response_bytes = len(body)
        self._shared.settlement.settle(call, outcome, status)
        self._send(status, headers, body)

    def _send(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer, recorded already, goes to the caller."""
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
            known = None if self._asked.privacy is None else self._asked.privacy.entities
            privacy = CallPrivacy(self._work.keeping, self._shared.values, call, entities=known)
            ahead = self._asked.ahead
            kept = privacy.redact_kept(kept, self._endpoint, is_streamed=call.is_streamed, ahead=ahead)
        call.request_body = vault.seal(call.call_id, name, "request", kept.request)
        call.response_body = vault.seal(call.call_id, name, "response", kept.response)
        record.template_values = vault.seal(call.call_id, name, "values", kept.values)
        record.content_expires_us = int((self._shared.now() + self._work.contract.retention.days * 86_400) * 1e6)

    @property
    def _said(self) -> Verdict:
        """How the output was judged, for the record and the caller."""
        if not self._work.judges_output or self._call.served_model == DEGRADED:
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
            if plan.dropped:
                lines += dropped_line(plan.dropped)
        if self._asked.version:
            lines += b"x-headworks-prompt-version: %b\r\n" % self._asked.version.encode("ascii")
        if self._said and not self._call.is_streamed:
            lines += b"x-headworks-verdict: %b\r\n" % self._said.encode("ascii")
        if self._asked.left_out:
            lines += b"x-headworks-turns-left-out: %d\r\n" % self._asked.left_out
        if self._asked.injection is not None:
            lines += self._asked.injection.headers()
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


def _providers_of(target: Target[Station]) -> set[str]:
    """The providers of what serves a name, without their pools' names."""
    return {one.provider.partition(":")[0] for one in target.pools or (target,)}


def has_more(work: CompiledWorkload, admission: Admission, head: RequestHead, home: str) -> bool:
    """Whether a call that finds no room at its first target could go on to another one, or to an answer that no model
    gave.

    Arguments:
        home: where what it goes on from lies; "" for anywhere.
    """
    if home or (admission.route.endpoint is Endpoint.RESPONSES and head.previous_response_id):
        return False
    if _may_fall_back(work, admission) and (len(work.chain) > 1 or work.deterministic is not None):
        return True
    return bool(work.chain[0].pools) and _retries(work, admission) != 0


# The contract says how its calls are made, but for what it leaves to their callers.


def _may_fall_back(work: CompiledWorkload, admission: Admission) -> bool:
    return admission.may_fall_back or "fallback" not in work.contract.caller_may_set


def _retries(work: CompiledWorkload, admission: Admission) -> int | None:
    return admission.retries if "retries" in work.contract.caller_may_set else None


def _without_fallback(work: CompiledWorkload) -> CompiledWorkload:
    """The workload with nothing behind the rung in use."""
    return msgspec.structs.replace(work, chain=work.chain[:1], deterministic=None)


def _without_key(forwarded: bytes) -> bytes:
    """The header block without the caller's idempotency key: what goes up under it must be the same each time."""
    lines = forwarded.split(b"\r\n")[:-1]
    return b"".join(b"%b\r\n" % line for line in lines if not line.startswith(b"idempotency-key:"))
