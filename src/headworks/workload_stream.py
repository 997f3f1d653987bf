"""A workload's answer, streamed: held to schema and rules while it passes; what fails before its first piece is out is
mended or asked for elsewhere, and later gone on with where the contract says so."""

from functools import partial

from headworks.answering import UpstreamRefusal
from headworks.calls import NO_USAGE
from headworks.composing import PromptMessage, append_turns
from headworks.continuing import GO_ON, ContinuedStream
from headworks.dialects.reading import Fields
from headworks.errors import Refusal
from headworks.judging import GOOD, Judgement, judge_rules
from headworks.planning import Plan
from headworks.stream_screen import StreamScreen
from headworks.stream_terms import StreamTerms
from headworks.workload_run import FALLS_BACK, Run


class StreamedRun(Run):
    """Relays the first target that begins to answer."""

    _screen: StreamScreen | None = None
    _continued: ContinuedStream | None = None
    _repairs = 0

    async def answer(self) -> None:
        """Relay the first target that begins to answer; where the contract says so, have others go on with it."""
        # A version from before may have had a schema.
        if self._work.contract.streaming.on_break == "continue" and self._work.schema is None:
            self._continued = ContinuedStream(self._endpoint, self._head.fields)
        try:
            await self._stream_along()
        except Refusal as error:
            if not self._is_begun or self._call.is_settled:
                raise
            self._call.usage = self._spent
            self._shared.streams.end_broken(self._call, error, self._reply, self._terms(b"", None, 0))

    @property
    def _is_begun(self) -> bool:
        """Whether something of a stream that others may go on with is out."""
        return self._continued is not None and self._continued.is_begun

    async def _stream_along(self) -> None:
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
        if self._work.deterministic is None or self._is_begun:
            assert refusal is not None, "a chain has a target"
            raise refusal
        self._answer_statically()

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
            screen, terms = self._screen, self._terms(self._headers(plan), self._screen, index)
            record.note_attempt(f"{plan.target.provider}/{plan.target.model}{self._seam}")
            try:
                await self._shared.streams.stream(self._call, plan, self._reply, self._ending, terms)
            except UpstreamRefusal as error:
                if self._call.is_settled:
                    raise
                if self._is_begun:
                    self._take_usage()
                    self._call.usage = NO_USAGE  # it is in what is spent
                mended = self._mended(screen, fields)
                if mended is not None:
                    fields = mended
                    continue
                await self._pause(error, plan, again, due_s)
                again += 1
            else:
                return

    def _terms(self, headers: bytes, screen: StreamScreen | None, index: int) -> StreamTerms:
        return StreamTerms(
            headers,
            screen,
            self._seal if self._is_kept else None,
            () if self._is_last(index) else FALLS_BACK,
            self._spent,
            self._continued,
        )

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
