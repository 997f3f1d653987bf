"""Step 8 for a workload's stream: held to the schema piece by piece; rules are asked before its last piece goes out."""

from collections.abc import Awaitable, Callable

from headworks.calls import AttemptFailed, Endpoint, Failure, FailureKind
from headworks.compiled import CompiledWorkload
from headworks.dialects.deltas import TextDeltas
from headworks.judging import Judgement
from headworks.screening import IncrementalCheck, OutputFault
from headworks.settlement import Work


class StreamScreen:
    """Looks at one stream as it goes to the caller.

    A stream in which the model calls a tool with a side effect that may not act is ended, too: its pieces have gone
    out, so the call is not complete and must not be acted on.

    Arguments:
        endpoint: the dialect of what is looked at.
        work: whose answers these are.
        record: of the call; what is found goes there.
        ask_rules: judges the whole text by the rules.

    """

    def __init__(
        self,
        endpoint: Endpoint,
        work: CompiledWorkload,
        record: Work,
        ask_rules: Callable[[str], Awaitable[Judgement]],
    ) -> None:
        self._deltas = TextDeltas(endpoint)
        self._check = None if work.schema is None else IncrementalCheck(work.schema)
        self._may_mark = work.contract.validation.otherwise == "mark"
        self._ask_rules = ask_rules
        self._text: list[str] = []
        self._record = record

    def feed(self, data: bytes) -> None:
        """Look at what is about to go out.

        Raises:
            AttemptFailed: it already breaks the schema.
        """
        text = self._deltas.feed(data)
        if not text:
            return
        self._text.append(text)
        if self._check is not None:
            self._fail_on(self._check.feed(text))

    def end(self) -> None:
        """The stream is whole.

        Raises:
            AttemptFailed: it breaks the schema.
        """
        if self._check is not None and not (self._deltas.has_calls or self._deltas.has_refused):
            self._fail_on(self._check.finish())

    async def last_words(self) -> Failure | None:
        """What the rules say, before the last piece goes out."""
        if self._deltas.has_calls or self._deltas.has_refused:
            return None
        judged = await self._ask_rules("".join(self._text))
        if judged.finding == "good":
            self._record.verdict = "valid"
            return None
        if judged.finding == "marked" or self._may_mark:
            self._record.verdict = "marked"
            return None
        self._record.verdict = "blocked"
        return Failure(FailureKind.BLOCKED, judged.reason)

    def _fail_on(self, fault: OutputFault | None) -> None:
        if fault is not None:
            reason = f"{fault.pointer or 'the answer'}: {fault.message}"
            self._record.verdict = "invalid"
            raise AttemptFailed(Failure(FailureKind.UNFIT, reason))
