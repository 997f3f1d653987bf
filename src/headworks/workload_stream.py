"""A workload's answer, streamed: held to schema and rules while it passes; what fails before its first piece is out is
mended or asked for elsewhere, and later gone on with where the contract says so."""

from functools import partial
from time import perf_counter

import msgspec

from headworks.answering import UpstreamRefusal
from headworks.calls import NO_USAGE, Usage
from headworks.composing import PromptMessage, append_turns
from headworks.continuing import GO_ON, ContinuedStream
from headworks.dialects.reading import Fields
from headworks.errors import Refusal
from headworks.hedging import FirstTokens
from headworks.judging import GOOD, Judgement, judge_rules
from headworks.plans import Plan
from headworks.stream_heart import Heartbeat
from headworks.stream_screen import StreamScreen
from headworks.stream_sums import usage_of_both
from headworks.stream_terms import Hedge, Lane, StreamTerms
from headworks.workload_run import Run


class StreamedRun(Run):
    """Relays the first target that begins to answer."""

    _screen: StreamScreen | None = None
    _continued: ContinuedStream | None = None
    _beat: Heartbeat | None = None
    _repairs = 0

    async def answer(self) -> None:
        """Relay the first target that begins to answer; where the contract says so, have others go on with it."""
        # A version from before may have had a schema.
        if self._work.contract.streaming.on_break == "continue" and self._work.schema is None:
            self._continued = ContinuedStream(self._endpoint, self._head.fields)
        call, streams = self._call, self._shared.streams
        beat = self._beat = streams.heartbeat(call, self._reply, self._work.static_headers)
        try:
            await self._stream_along()
        except Refusal as error:
            if call.is_settled or not (self._is_begun or beat.is_early):
                raise
            call.usage = self._spent
            if self._is_begun:
                streams.end_broken(call, error, self._reply, self._terms(b"", None, 0))
            else:
                self.keep_what_there_is()
                streams.end_early(call, error, self._reply, self._endpoint)
        except Exception:
            streams.settle_early(call, beat)
            raise
        finally:
            beat.stop()

    @property
    def _is_begun(self) -> bool:
        """Whether something of a stream that others may go on with is out."""
        return self._continued is not None and self._continued.is_begun

    @property
    def _awaits_first_token(self) -> bool:
        return not self._is_begun

    async def _stream_along(self) -> None:
        refusal: Refusal | None = None
        for index in self._indices():
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
        if self._work.deterministic is None or self._is_begun:
            assert refusal is not None, "a chain has a target"
            raise refusal
        assert refusal is not None, "a chain has a target"
        await self._answer_last(refusal)

    async def _stream_from(self, index: int) -> None:
        """Relay one target's stream; ask again while it fails in a way that passes, and nothing has gone out."""
        record = self._call.work
        assert record is not None, "it was made with the call"
        due_s, again = self._due_s_of(index), 0
        fields = self._asked.fields
        self._repairs = 0
        if not self._is_begun:
            self._screen = None
        while True:
            plan = self._plan(index, self._going_on(fields), due_s)
            if not self._is_begun:
                self._screen = self._screen_of(plan)
            terms = self._terms(self._headers(plan), self._screen, index)
            if self._work.contract.latency.hedge and not self._is_begun:
                terms = msgspec.structs.replace(terms, hedge=self._hedge(plan, index, fields, due_s))
            has_more = index + 1 < len(self._work.chain)
            if self._work.contract.latency.first_token_s is not None and has_more and self._awaits_first_token:
                assert plan.timeouts is not None, "a workload's attempts have time limits of their own"
                terms = msgspec.structs.replace(terms, begins_within_s=plan.timeouts.first_byte_s)
            record.note_attempt(f"{plan.named}{self._seam}")
            try:
                await self._shared.streams.stream(self._call, plan, self._reply, self._ending, terms)
            except UpstreamRefusal as error:
                if self._call.is_settled:
                    raise
                if self._is_begun:
                    self._take_usage()
                    self._call.usage = NO_USAGE  # it is in what is spent
                mended = self._mended(self._screen, fields)
                if mended is not None:
                    fields = mended
                    continue
                await self._pause(error, plan, index, again, due_s)
                again += 1
            else:
                self._note_first_token()
                return

    def _note_first_token(self) -> None:
        call = self._call
        if self._work.contract.latency.hedge and call.first_s:
            self._first_tokens(call.provider, call.model).note(call.first_s - call.sent_s)

    def _first_tokens(self, provider: str, model: str) -> FirstTokens:
        return self._shared.first_tokens.setdefault((self._work.name, provider, model), FirstTokens())

    def _hedge(self, plan: Plan, index: int, fields: Fields, due_s: float) -> Hedge | None:
        """The second attempt that is made when this one's first token is late; None where nothing is known yet."""
        after_s = self._first_tokens(plan.target.provider, plan.target.model).late_s
        if after_s is None:
            return None
        return Hedge(after_s, partial(self._ask_second, index, fields, due_s), self._decided)

    def _ask_second(self, index: int, fields: Fields, due_s: float) -> tuple[Plan, StreamTerms] | None:
        """Ask the next of the chain, or, where there is none, the same once more: another of its machines answers."""
        other = min(index + 1, len(self._work.chain) - 1)
        if not self._work.chain[other].station.health.take_retry(perf_counter()):
            return None
        try:
            plan = self._plan(other, fields, due_s)
        except Refusal:
            return None  # it cannot be asked this, or there is no time
        headers = self._headers(plan) + b"x-headworks-hedged: true\r\n"
        terms = self._terms(headers, self._screen_of(plan), other)
        if terms.continued is not None:
            terms = msgspec.structs.replace(terms, continued=ContinuedStream(self._endpoint, self._head.fields))
        return plan, terms

    def _decided(self, first: Lane, winner: Lane, other: Lane, how: str, lost: Usage) -> Lane:
        record = self._call.work
        assert record is not None, "it was made with the call"
        assert winner.terms is not None, "a workload has terms"
        if other is first:
            record.note_end("late" if how == "given up" else f"late, {how}")
            record.note_attempt(f"{winner.plan.named} (hedge)")
        else:
            record.note_end("late")
            record.note_attempt(f"{other.plan.named} (hedge)")
            record.note_end(how)
            record.note_attempt(winner.plan.named)
        if how == "given up":
            given_up = other.plan.target
            self._first_tokens(given_up.provider, given_up.model).note(perf_counter() - other.sent_s)
        self._spent = usage_of_both(self._spent, lost)
        screen = winner.terms.screen
        self._screen = screen if isinstance(screen, StreamScreen) else None
        self._continued = winner.terms.continued
        return msgspec.structs.replace(winner, terms=msgspec.structs.replace(winner.terms, spent=self._spent))

    def _terms(self, headers: bytes, screen: StreamScreen | None, index: int) -> StreamTerms:
        return StreamTerms(
            headers,
            screen,
            self._seal if self._is_kept else None,
            () if self._is_last(index) else self._falls_back,
            self._spent,
            self._continued,
            beat=self._beat,
        )

    def _send(self, status: int, headers: bytes, body: bytes) -> None:
        if self._beat is not None and self._beat.is_early:
            self._reply.end(self._beat.told(self._headers(None)) + body)
        else:
            super()._send(status, headers, body)

    @property
    def _seam(self) -> str:
        """For the record, where an attempt goes on."""
        if self._continued is None or not self._continued.is_begun:
            return ""
        return f" (goes on behind {len(self._continued.said)} characters)"

    def _going_on(self, fields: Fields) -> Fields:
        """The conversation that asks for what is missing of a stream that broke off."""
        if self._continued is None or not self._continued.said:
            return fields
        said = self._continued.said
        if self._asked.privacy is not None:
            said = self._asked.privacy.redact_text(said)
        return append_turns(fields, self._endpoint, [PromptMessage("assistant", said), PromptMessage("user", GO_ON)])

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

    def _screen_of(self, plan: Plan) -> StreamScreen | None:
        work = self._work
        if not work.judges_output:
            return None
        context = self._context(plan)
        assert self._call.work is not None, "it was made with the call"
        ask_rules = partial(judge_rules, work, context=context)
        is_mended = self._repairs > 0
        return StreamScreen(self._endpoint, work, self._call.work, ask_rules, self._hold_stream, is_mended=is_mended)

    async def _hold_stream(self, body: bytes) -> Judgement:
        self._judgement, _ = await self._shared.held.hold(self._call, self._work, self._endpoint, body)
        return self._judgement
