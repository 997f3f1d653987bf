"""Steps 6 to 9 of a call whose answer is gathered whole: its usage stands at its end, and garbage must not get out.

    start: opened in the journal, sent -> on_head, on_body -> on_end: read, settled in the journal, replied

The arrows are the upstream's callbacks: the plain call is the hot path, and a coroutine that waits costs more than the
steps themselves.
"""

from collections.abc import Callable, Mapping
from time import perf_counter

import msgspec

from headworks.access import Grant
from headworks.answering import JSON, STOPPED, AnswerHead, answer_head, is_error_object, is_unknown_model, refusal_of
from headworks.calls import AttemptFailed, Failure, FailureKind, Outcome
from headworks.dialects import AnswerSummary, read_chat_answer, read_embeddings_answer, read_responses_answer
from headworks.errors import Refusal
from headworks.exchange import Flight, Reply
from headworks.outcome import estimate_usage, note
from headworks.planning import Plan
from headworks.settlement import OpenCall, Settlement

_ANSWER_READERS: dict[str, Callable[[bytes], AnswerSummary | Failure]] = {
    "/chat/completions": read_chat_answer,
    "/responses": read_responses_answer,
    "/embeddings": read_embeddings_answer,
}
"""Of answers on other paths nothing is read: they may be something other than JSON (transcripts, audio)."""


class UnaryCalls:
    """What all unary calls of a gateway share.

    Arguments:
        settlement: where calls are opened and settled.
        refuse: answers a call with an error.
        fault: answers a call at which our own code failed, and reports it.
        unknown_model: the refusal of a model that does not exist.
        keeps_bodies: records hold bodies, too.
        answer_bytes: bound on an answer.
    """

    __slots__ = ("answer_bytes", "fault", "keeps_bodies", "refuse", "settlement", "unknown_model")

    def __init__(
        self,
        settlement: Settlement,
        *,
        refuse: Callable[[OpenCall, Refusal, Reply], None],
        fault: Callable[[OpenCall, Exception, Reply], None],
        unknown_model: Callable[[str, Grant], Refusal],
        keeps_bodies: bool,
        answer_bytes: int,
    ) -> None:
        self.unknown_model = unknown_model
        self.settlement = settlement
        self.refuse = refuse
        self.fault = fault
        self.keeps_bodies = keeps_bodies
        self.answer_bytes = answer_bytes


class UnaryCall:
    """One such call: the sink of its answer, and what is cancelled when the caller goes.

    State: which step is under way shows in `_flight` (None before and after the attempt) and `_is_over`.

    Arguments:
        ended: told once that the call is over.
    """

    __slots__ = (
        "_body",
        "_call",
        "_ended",
        "_flight",
        "_head",
        "_headers",
        "_is_over",
        "_pieces",
        "_plan",
        "_reply",
        "_shared",
        "_size",
        "_status",
    )

    _head: AnswerHead
    _headers: Mapping[bytes, bytes]

    def __init__(self, shared: UnaryCalls, call: OpenCall, plan: Plan, reply: Reply, ended: Callable[[], None]) -> None:
        self._shared = shared
        self._ended = ended
        self._call = call
        self._plan = plan
        self._reply = reply
        self._flight: Flight | None = None
        self._is_over = False
        self._status = 0
        self._size = 0
        self._body = b""
        self._pieces: list[bytes] | None = None

    def start(self) -> None:
        """Open the call and send it; the rest follows.

        Raises:
            StorageError: it could not be opened; nothing has gone up.
        """
        call = self._call
        self._shared.settlement.open(call)
        station = self._plan.target.station
        call.attempts += 1
        call.sent_s = perf_counter()
        self._flight = station.upstream.send(self._plan.request, self, station.timeouts)

    def cancel(self) -> None:
        """The caller has gone: give the upstream up, and record it."""
        if self._is_over:
            return
        flight = self._flight
        if flight is not None:
            flight.cancel()
        self._shared.settlement.settle_cancelled(self._call)
        self._end()

    def stop(self) -> None:
        """Time is up."""
        if not self._is_over:
            self._refuse(refusal_of(STOPPED))

    # -- the sink -------------------------------------------------------------------------------------------------

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self._status = status
        self._headers = headers
        self._call.head_s = perf_counter()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._shared.answer_bytes:
            self.on_failure(
                Failure(FailureKind.INVALID, f"the answer is over {self._shared.answer_bytes} bytes", self._status)
            )
        elif self._pieces is not None:
            self._pieces.append(data)
        elif self._body:
            self._pieces = [self._body, data]
        else:
            self._body = data  # most answers come in one piece

    def on_failure(self, failure: Failure) -> None:
        if not self._is_over:
            self._refuse(refusal_of(failure))

    def on_end(self) -> None:
        if self._is_over:
            return
        try:
            self._flight = None
            if self._pieces is not None:
                self._body = b"".join(self._pieces)
            head = self._head = answer_head(self._headers, is_plain=self._status < 300)
            if head.request_id:
                self._call.upstream_request_id = head.request_id[:128].decode("latin-1")
            if self._status < 300:
                self._answer()
            else:
                self._relay_error()
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)

    # -- steps ----------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        call, plan, body = self._call, self._plan, self._body
        if plan.bridge is None:
            read = _ANSWER_READERS.get(plan.path)
            summary = None if read is None else read(body)
            if isinstance(summary, Failure):
                raise refusal_of(summary)
        else:
            try:
                body, summary = plan.bridge.answer(body)
            except AttemptFailed as error:
                call.usage = error.usage or call.usage
                raise refusal_of(error.failure) from None
            self._body = body
        if summary is not None:
            note(call, summary)
            if summary.usage is None and summary.terminal != "none":  # in the background there is no usage yet
                estimate_usage(call, plan, summary.text)
        self._settle("answered")

    def _relay_error(self) -> None:
        """Pass the provider's own refusal on when it is one that the caller can understand."""
        plan = self._plan
        if plan.unlisted is not None and is_unknown_model(self._status, self._body):
            raise self._shared.unknown_model(self._call.requested_model, plan.unlisted)
        failure = plan.target.station.provider.classify(self._status, self._headers, self._body)
        if failure.kind in (FailureKind.UNAUTHORIZED, FailureKind.INVALID):
            raise refusal_of(failure)
        if not is_error_object(self._body):
            self._body = refusal_of(failure, status=self._status).body()
        self._head = msgspec.structs.replace(self._head, content_type=JSON)
        self._call.error_code = failure.kind.value
        self._settle("failed")

    def _settle(self, outcome: Outcome) -> None:
        call = self._call
        call.response_bytes = len(self._body)
        if self._shared.keeps_bodies:
            call.response_body = self._body
        self._shared.settlement.settle(call, outcome, self._status)
        head = self._head
        headers = head.render(call, self._plan.target.headers, head.content_type or JSON)
        self._reply.respond(self._status, headers, self._body)
        self._end()

    def _refuse(self, refusal: Refusal) -> None:
        self._give_up()
        self._shared.refuse(self._call, refusal, self._reply)
        self._end()

    def _fault(self, error: Exception) -> None:
        self._give_up()
        self._shared.fault(self._call, error, self._reply)
        self._end()

    def _give_up(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.cancel()

    def _end(self) -> None:
        self._is_over = True
        self._ended()
