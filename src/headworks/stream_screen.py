"""Step 8 for a workload's stream: held to the schema piece by piece; rules are asked before its last piece goes out."""

from collections.abc import Awaitable, Callable

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind, Verdict
from headworks.compiled import CompiledWorkload
from headworks.dialects.deltas import TextDeltas
from headworks.dialects.whole import body_of_stream
from headworks.judging import GOOD, Judgement, judge_calls, judge_names, of_fault, verdict_of
from headworks.screening import IncrementalCheck, OutputFault
from headworks.settlement import Work

_KINDS = {"invalid": FailureKind.UNFIT, "denied": FailureKind.DENIED, "held": FailureKind.HELD}


class StreamScreen:
    """Looks at one stream as it goes to the caller.

    A stream in which the model calls a tool that may not act, or with other arguments than the tool has, is ended, too:
    its pieces may have gone out, so the call is not complete and must not be acted on. From a call on that waits for a
    person nothing goes out any more, and the whole answer is held. Nor does it from one on that may have to wait, until
    its arguments have been seen.

    Arguments:
        endpoint: the dialect of what is looked at.
        work: whose answers these are.
        record: of the call; what is found goes there.
        ask_rules: judges the whole text by the rules.
        hold: keeps the whole answer, given as a body, until a person has decided.
        is_mended: the model has been told what was wrong with its last answer.

    Attributes:
        judgement: what was found wrong; good as long as nothing was.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        work: CompiledWorkload,
        record: Work,
        ask_rules: Callable[[str], Awaitable[Judgement]],
        hold: Callable[[bytes], Awaitable[Judgement]],
        *,
        is_mended: bool = False,
    ) -> None:
        self._good: Verdict = "repaired" if is_mended else "valid"
        self._endpoint = endpoint
        self._deltas = TextDeltas(endpoint)
        self._seen: list[bytes] | None = [] if work.policy.has_holds else None
        self._is_held = False
        self._withheld: list[bytes] = []
        self._hold = hold
        self._work = work
        self._check = None if work.schema is None else IncrementalCheck(work.schema)
        self._may_mark = work.contract.validation.otherwise == "mark"
        self._ask_rules = ask_rules
        self._text: list[str] = []
        self._record = record
        self.judgement = GOOD
        record.verdict = ""  # what was found in another target's stream is not about this one

    @property
    def text(self) -> str:
        """What the model has said."""
        return "".join(self._text)

    def feed(self, data: bytes) -> bytes:
        """Look at what is about to go out; returns what may.

        Raises:
            AttemptFailed: it already breaks the schema, or calls a tool that may not act.
        """
        deltas = self._deltas
        if self._seen is not None:
            self._seen.append(data)
        text = deltas.feed(data)
        if deltas.has_calls and not self._is_held:
            judged = judge_names(self._work, deltas.called)
            self._is_held = judged.finding == "held"
            if not self._is_held:
                self._fail_on(judged)
        if text:
            self._text.append(text)
            if self._check is not None:
                self._fail_on_fault(self._check.feed(text))
        if self._is_held:
            self._withheld.append(data)
            return b""
        return data

    def end(self) -> None:
        """The stream is whole.

        Raises:
            AttemptFailed: it breaks the schema, or a tool's.
        """
        deltas = self._deltas
        judged = judge_calls(self._work, deltas.calls)
        if judged.finding == "held":
            self._is_held = True
            return
        if self._work.policy.waits_for_arguments:
            self._is_held = False  # they are there, and may go on
        self._fail_on(judged)
        if deltas.has_calls or deltas.has_refused:
            return
        if self._check is not None:
            self._fail_on_fault(self._check.finish())
        final = deltas.final_text
        if final is not None and final != self.text:
            # The end may be all that a caller reads.
            self._text = [final]
            if self._work.schema is not None:
                self._fail_on_fault(self._work.schema.check(final))

    async def last_words(self) -> Failure | None:
        """What the rules say, before the last piece goes out."""
        if self._is_held:
            assert self._seen is not None, "only a policy with holds finds one"
            try:
                body = body_of_stream(self._endpoint, b"".join(self._seen))
            except AttemptFailed as error:
                return error.failure
            return self._failure(await self._hold(body))
        if self._deltas.has_calls or self._deltas.has_refused:
            self._record.verdict = self._good
            return None
        judged = await self._ask_rules(self.text)
        if judged.finding == "good":
            self._record.verdict = self._good
            return None
        if judged.finding == "marked" or self._may_mark:
            self._record.verdict = "marked"
            return None
        return self._failure(judged)

    def closing(self, last: bytes) -> bytes:
        """The last piece, behind what was withheld. Where a rule failed and the answer goes on all the same, a comment
        stands before it: the head, which says so of other answers, is out."""
        last = b"".join([*self._withheld, last])
        return b": x-headworks-verdict: marked\n\n" + last if self._record.verdict == "marked" else last

    def _fail_on_fault(self, fault: OutputFault | None) -> None:
        if fault is not None:
            self._fail_on(of_fault(fault))

    def _fail_on(self, judged: Judgement) -> None:
        if judged.finding != "good":
            raise AttemptFailed(self._failure(judged))

    def _failure(self, judged: Judgement) -> Failure:
        self.judgement = judged
        self._record.verdict = verdict_of(judged)
        self._record.note_end(f"{self._record.verdict} ({judged.reason})")
        return Failure(_KINDS.get(judged.finding, FailureKind.BLOCKED), judged.reason)
