"""Steps 6 to 9 of a call whose answer is gathered whole: its usage stands at its end, and garbage must not get out.

    start: open (journal), send -> on_head, on_body -> on_end: read, settle (journal), reply

The arrows are the upstream's callbacks: the plain call is the hot path, and a coroutine that waits costs more than the
steps themselves.

Calls that start in one turn of the loop take their steps together in the next, and so do those whose answers end: each
step for all of them, then the next step for all. The code and data of one step stay in the processor's caches, and
whoever reads at the other end is woken once for many. Answers wait a few turns for one another as long as they keep
coming. With 16 callers all this is a fifth of a call's cost.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import msgspec

from headworks.access import Grant
from headworks.answering import (
    IN_VAIN,
    JSON,
    NO_RETRY,
    STOPPED,
    AnswerHead,
    answer_head,
    is_error_object,
    is_unknown_model,
    refusal_of,
    with_patience,
    with_patience_of,
    without_retry,
)
from headworks.attempts import REQUEST_AT_FAULT, Attempts, Policy, begin
from headworks.calls import NO_USAGE, AttemptFailed, Failure, FailureKind, JournalEntry, Opened, Outcome, Settled
from headworks.dialects import ANSWER_READERS, refusal_body
from headworks.errors import Refusal
from headworks.exchange import Flight, Reply
from headworks.outcome import charge, estimate_usage, note
from headworks.plain_answer import plain_answer
from headworks.planning import Planner
from headworks.plans import Plan
from headworks.routing import Health
from headworks.settlement import OpenCall, Settlement

_STAYS = REQUEST_AT_FAULT - {FailureKind.TOO_LONG, FailureKind.OVERSIZED}
"""Refusals that no other target is asked after."""

_LEAST_TOGETHER = 2
"""Entries that are written at once: one has nothing to share."""

_LEAST_TURNS = 2
_MOST_TURNS = 6
"""Turns of the loop for which an answer waits for others to end; a turn under load takes some 0.1 ms."""


class UnaryCalls:
    """What all unary calls of a gateway share.

    Arguments:
        settlement: where calls are opened and settled.
        admit: starts a call that may be under quotas or budgets, or lets it wait; may raise Refusal.
        refuse: answers a call with an error.
        fault: answers a call at which our own code failed, and reports it.
        unknown_model: the refusal of a model that does not exist.
        keeps_bodies: records hold bodies, too.
        answer_bytes: bound on an answer.
        loop: the running event loop.
        planner: makes the plan of asking another target.
        policy: which further attempts are made.

    State: the calls that wait for the next turn, to start or to end.
    """

    __slots__ = (
        "_call_soon",
        "_ending",
        "_entering",
        "_is_entering",
        "_seen",
        "_starting",
        "_turns",
        "admit",
        "answer_bytes",
        "append",
        "append_all",
        "call_later",
        "fault",
        "keeps_bodies",
        "planner",
        "policy",
        "refuse",
        "settlement",
        "unknown_model",
    )

    def __init__(
        self,
        settlement: Settlement,
        *,
        admit: Callable[["UnaryCall", OpenCall, Plan, Grant], None],
        refuse: Callable[[OpenCall, Refusal, Reply], None],
        fault: Callable[[OpenCall, Exception, Reply], None],
        unknown_model: Callable[[str, Grant], Refusal],
        keeps_bodies: bool,
        answer_bytes: int,
        loop: asyncio.AbstractEventLoop,
        planner: Planner,
        policy: Policy,
    ) -> None:
        self._call_soon = loop.call_soon
        self.call_later = loop.call_later
        self.planner = planner
        self.policy = policy
        self.admit = admit
        self._entering: list[tuple[UnaryCall, OpenCall, Plan, Grant]] = []
        self._is_entering = False
        self._starting: list[UnaryCall] = []
        self._ending: list[UnaryCall] = []
        self._turns = 0
        self._seen = 0
        self.unknown_model = unknown_model
        self.settlement = settlement
        self.append = settlement.append
        self.append_all = settlement.append_all
        self.refuse = refuse
        self.fault = fault
        self.keeps_bodies = keeps_bodies
        self.answer_bytes = answer_bytes

    def start(self, call: "UnaryCall") -> None:
        """Open and send it in the next turn; the rest follows."""
        if not self._starting and not self._is_entering:
            self._call_soon(self._start_all)
        self._starting.append(call)

    def enter(self, unary: "UnaryCall", call: OpenCall, plan: Plan, grant: Grant) -> None:
        """The same for one that is to be admitted first."""
        if not self._entering:
            self._call_soon(self._enter_all)
        self._entering.append((unary, call, plan, grant))

    def start_again(self, call: "UnaryCall") -> None:
        """Send what is open already, now."""
        call.send(perf_counter())

    def end(self, call: "UnaryCall") -> None:
        """Read its answer, settle it and reply, soon."""
        if not self._ending:
            self._turns = self._seen = 0
            self._call_soon(self._gather)
        self._ending.append(call)

    def _enter_all(self) -> None:
        entering, self._entering = self._entering, []
        is_due = bool(self._starting)
        self._is_entering = True
        for unary, call, plan, grant in entering:
            unary.enter(call, plan, grant)
        self._is_entering = False
        if self._starting and not is_due:
            self._start_all()

    def _start_all(self) -> None:
        calls, self._starting = self._starting, []
        opened = [call.opened() for call in calls if not call.is_over]
        if not self._append_together(opened):
            for call in calls:
                call.open()
        now_s = perf_counter()
        for call in calls:
            call.send(now_s)

    def _append_together(self, entries: Sequence[JournalEntry]) -> bool:
        """Write what several calls have to say at once; False where each must be written for itself."""
        if len(entries) < _LEAST_TOGETHER:
            return False
        try:
            return self.append_all(entries)
        except Exception:  # noqa: BLE001 - one of them is at fault: written one by one, that one fails alone and says why
            return False

    def _gather(self) -> None:
        """Wait a turn more as long as further answers come, so that under load there is more to do at once."""
        self._turns += 1
        count = len(self._ending)
        # Never in the same turn as what starts: what goes out in one turn should go one way, for the same reasons.
        if self._turns < _LEAST_TURNS or (count > self._seen and self._turns < _MOST_TURNS):
            self._seen = count
            self._call_soon(self._gather)
        else:
            self._end_all()

    def _end_all(self) -> None:
        calls, self._ending = self._ending, []
        now_s = perf_counter()
        for call in calls:
            call.read(now_s)
        now_s = perf_counter()
        settled = [call.settled(now_s) for call in calls if call.is_read and not call.is_over]
        entries = [entry for entry in settled if entry is not None]
        for call in calls:
            call.tell()
        if not self._append_together(entries):
            for call in calls:
                call.settle()
        for call in calls:
            call.reply(now_s)


class _Later:
    """What a call has that does not go straight through: further attempts, a pause before one, a place in a queue."""

    __slots__ = ("attempts", "leave", "timer")

    def __init__(self) -> None:
        self.attempts: Attempts | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.leave: Callable[[], None] | None = None

    def give_up(self) -> None:
        """It waits for nothing more."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()
        if self.leave is not None:
            self.leave()


class UnaryCall:
    """One such call: the sink of its answer, and what is cancelled when the caller goes.

    State: which step is under way shows in `_flight` (None before and after the attempt) and `is_over`. Each step
    catches what fails in it, for those of other calls come after it.

    Arguments:
        ended: told once that the call is over.
    """

    __slots__ = (
        "_asked",
        "_body",
        "_call",
        "_ended",
        "_entry",
        "_flight",
        "_head",
        "_headers",
        "_later",
        "_outcome",
        "_pieces",
        "_plan",
        "_reply",
        "_shared",
        "_size",
        "_status",
        "is_over",
        "is_read",
    )

    _entry: Settled
    _head: AnswerHead
    _headers: Mapping[bytes, bytes]
    _outcome: Outcome

    def __init__(self, shared: UnaryCalls, call: OpenCall, plan: Plan, reply: Reply, ended: Callable[[], None]) -> None:
        self._shared = shared
        self._ended = ended
        self._call = call
        self._plan = plan
        self._reply = reply
        self._flight: Flight | None = None
        self.is_over = False
        self._status = 0
        self._size = 0
        self._body = b""
        self._pieces: list[bytes] | None = None
        self.is_read = False
        self._asked: Health | None = None
        self._later: _Later | None = None

    def wait(self, leave: Callable[[], None]) -> None:
        """It waits for room in a quota; `leave` takes it out of the queue."""
        self._later = _Later()
        self._later.leave = leave

    def enter(self, call: OpenCall, plan: Plan, grant: Grant) -> None:
        """Ask for room."""
        if self.is_over:
            return
        try:
            self._shared.admit(self, call, plan, grant)
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the edge, as below
            self._fault(error)

    def admitted(self) -> None:
        """Its turn has come."""
        self._later = None
        if not self.is_over:
            self._shared.start(self)

    def refused(self, refusal: Refusal) -> None:
        """Its turn will not come in time."""
        self._later = None
        if not self.is_over:
            self._refuse(refusal)

    def opened(self) -> Opened:
        """What is to be written before the call is made."""
        return self._call.opened()

    def open(self) -> None:
        """Write that the call is about to be made."""
        if self.is_over:
            return
        try:
            self._shared.append(self.opened())
        except Exception as error:  # noqa: BLE001 - the edge: a bug of ours must answer, be recorded and be seen
            self._fault(error)

    def send(self, now_s: float) -> None:
        """Make the attempt. The batch's steps share one reading of the clock, here and below."""
        if self.is_over:
            return
        call, plan = self._call, self._plan
        station = plan.target.station
        health = station.health
        timeouts = plan.timeouts
        try:
            if (
                health.is_held
                or (call.quota is not None and not call.quota.covers(station))
                or (timeouts is not None and timeouts.first_byte_s < health.quick_s)
            ):
                failure = begin(plan.target, call, now_s, timeouts)
                if failure is not None:
                    self._fail(failure)
                    self._end_read()
                    return
            else:  # as `begin` does where nothing holds a call back, which is nearly always
                health.pending += 1
                call.attempts += 1
                call.sent_s = now_s
            self._asked = health
            if plan.parts is None:
                self._flight = station.upstream.send(plan.request, self, timeouts or station.timeouts)
            else:
                self._flight = plan.parts.send(self, timeouts or station.timeouts)
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)

    def cancel(self) -> None:
        """The caller has gone: give the upstream up, and record it."""
        if self.is_over:
            return
        self._give_up()
        self._shared.settlement.settle_cancelled(self._call)
        self._end()

    def stop(self) -> None:
        """Time is up."""
        if not self.is_over:
            self._refuse(refusal_of(STOPPED))

    # -- the sink -------------------------------------------------------------------------------------------------

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self._status = status
        self._headers = headers
        self._call.head_s = perf_counter()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._shared.answer_bytes:
            if not self.is_over:  # it would be as long again
                bound = f"the answer is over {self._shared.answer_bytes} bytes"
                self._refuse(refusal_of(Failure(FailureKind.INVALID, bound, self._status)))
        elif self._pieces is not None:
            self._pieces.append(data)
        elif self._body:
            self._pieces = [self._body, data]
        else:
            self._body = data  # most answers come in one piece

    def on_failure(self, failure: Failure) -> None:
        if self.is_over:
            return
        try:
            self._charge_parts()
            self._fail(failure)
            self._end_read()
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)

    def on_end(self) -> None:
        if not self.is_over:
            self._flight = None
            self._shared.end(self)

    # -- steps ----------------------------------------------------------------------------------------------------

    def read(self, now_s: float) -> None:
        """Find out what the answer is, and what it says of itself."""
        if self.is_over:
            return
        try:
            if self._pieces is not None:
                self._body = b"".join(self._pieces)
            limits = self._plan.target.station.limits
            if limits is not None and self._call.quota is not None and (self._status >= 300 or limits.listens(now_s)):
                self._call.quota.believe(self._plan.target.station, self._status, self._headers, now_s)
            head = self._head = answer_head(self._headers, is_plain=self._status < 300)
            if head.request_id:
                self._call.upstream_request_id = head.request_id[:128].decode("latin-1")
            if self._status < 300:
                self._answer(now_s)
            else:
                self._relay_error(now_s)
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)

    def _answer(self, now_s: float) -> None:
        call, plan, body = self._call, self._plan, self._body
        if plan.bridge is None:
            read = ANSWER_READERS.get(plan.path)
            summary = None if read is None else read(body)
            if isinstance(summary, Failure):
                self._fail(summary)
                return
        else:
            try:
                body, summary = plan.bridge.answer(body)
            except AttemptFailed as error:
                call.usage = error.usage or NO_USAGE
                charge(call, plan)
                self._fail(error.failure)
                return
            self._body = body
        if summary is not None:
            note(call, summary)
            if summary.usage is None and summary.terminal != "none":  # in the background there is no usage yet
                estimate_usage(call, plan, summary.text)
            if plan.target.station.price.is_known:
                charge(call, plan)
            else:
                call.cost_pico = -1
        health, self._asked = self._asked, None
        assert health is not None, "an answer belongs to an attempt"
        health.succeeded(now_s, call.head_s - call.sent_s)
        self._outcome = "answered"
        if call.saving is None or call.saving.done():
            self.is_read = True
        else:
            call.saving.add_done_callback(self._saved)

    def _saved(self, _: "asyncio.Future[None]") -> None:
        """What its answer needs is on disk."""
        if not self.is_over:
            self.is_read = True
            self._end_read()

    def _charge_parts(self) -> None:
        """Of an attempt in several parts, some were answered: they cost what they cost, though it failed."""
        parts, call = self._plan.parts, self._call
        if parts is None or not parts.is_begun:
            return
        usage = parts.used()
        if usage is None:
            call.cost_pico = -1
        else:
            call.usage = usage
            charge(call, self._plan)

    def _end_attempt(self, now_s: float) -> None:
        """The target has answered, whatever it says."""
        health, self._asked = self._asked, None
        assert health is not None, "an answer belongs to an attempt"
        health.refused(now_s, self._call.head_s - self._call.sent_s)

    def _fail(self, failure: Failure) -> None:
        """The attempt gave nothing that could be passed on.

        Raises:
            Refusal: and no other is made.
        """
        if not self._goes_on(failure) and not self._answers_itself(failure):
            raise refusal_of(failure)

    def _answers_itself(self, failure: Failure) -> bool:
        """Whether configuration has an answer for when nobody else has: then it is this call's."""
        planner, plan = self._shared.planner, self._plan
        if not planner.answers:
            return False
        attempts = None if self._later is None else self._later.attempts
        reasons = () if attempts is None else attempts.reasons
        answer = plain_answer(self._call, plan, failure, reasons, planner.answers)
        if answer is None:
            return False
        self._plan = msgspec.structs.replace(plan, target=msgspec.structs.replace(plan.target, headers=answer.headers))
        self._status, self._body, self._head = 200, answer.body, AnswerHead(JSON, b"", b"")
        self._outcome, self.is_read = "answered", True
        return True

    def _end_read(self) -> None:
        """Settle and reply outside of a batch, where that is due."""
        if self.is_read:
            now_s = perf_counter()
            if self.settled(now_s) is not None:
                self.tell()
                self.settle()
                self.reply(now_s)

    def _goes_on(self, failure: Failure) -> bool:
        """Whether another attempt is made, now or after a pause."""
        shared, now_s = self._shared, perf_counter()
        health, self._asked = self._asked, None
        if health is not None:
            health.failed(now_s, failure.kind, failure.retry_after_s)
        later = self._later = self._later or _Later()
        if later.attempts is None:
            later.attempts = Attempts(shared.planner, shared.policy, self._call, self._plan)
        further = later.attempts.after(failure, now_s)
        if further is None:
            return False
        self._give_up()
        self._plan = further.plan
        self._status = self._size = 0
        self._body, self._pieces = b"", None
        if further.after_s > 0:
            later.timer = shared.call_later(further.after_s, shared.start_again, self)
        else:
            shared.start_again(self)
        return True

    def _relay_error(self, now_s: float) -> None:
        """Pass the provider's own refusal on when it is one that the caller can understand."""
        plan = self._plan
        self._charge_parts()
        if plan.unlisted is not None and is_unknown_model(self._status, self._body):
            raise self._shared.unknown_model(self._call.requested_model, plan.unlisted)
        failure = plan.target.station.provider.classify(self._status, self._headers, self._body)
        if failure.kind in _STAYS:
            self._end_attempt(now_s)
        else:
            failure = with_patience_of(failure, self._headers)
            if self._goes_on(failure) or self._answers_itself(failure):
                return
        if failure.kind in (FailureKind.UNAUTHORIZED, FailureKind.INVALID):
            raise refusal_of(failure)
        if plan.bridge is not None:
            self._body = plan.bridge.error(self._body, self._status)
        if not is_error_object(self._body):
            self._body = refusal_body(refusal_of(failure, status=self._status), self._call.endpoint)
        head = with_patience(self._head, failure)
        if self._call.attempts > 1 or failure.kind in IN_VAIN:
            head = without_retry(head)
        self._head = AnswerHead(JSON, head.request_id, head.relayed)
        self._call.error_code = failure.kind.value
        self._outcome = "failed"
        self.is_read = True

    def settled(self, now_s: float) -> Settled | None:
        """What is to be written of how the call ended, before the caller sees it; None where that went wrong."""
        call, shared = self._call, self._shared
        call.response_bytes = len(self._body)
        if shared.keeps_bodies:
            kept = self._plan.kept
            call.response_body = self._body if kept is None else kept()
        try:
            self._entry = call.settled(self._outcome, self._status, now_s)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)
            return None
        return self._entry

    def tell(self) -> None:
        """Tell everybody else how it ended."""
        if self.is_over or not self.is_read:
            return
        try:
            self._shared.settlement.tell(self._call, self._entry)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)

    def settle(self) -> None:
        """Write it, if it is there."""
        if self.is_over or not self.is_read:
            return
        try:
            self._shared.append(self._entry)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)

    def reply(self, now_s: float) -> None:
        """Let the caller see the answer, which is on record now."""
        if self.is_over or not self.is_read:
            return
        head = self._head
        try:
            headers = head.render(self._call, self._plan.target.headers, head.content_type or JSON, now_s)
            self._reply.respond(self._status, headers, self._body)
        except Exception as error:  # noqa: BLE001 - the edge, as above
            self._fault(error)
        else:
            self.is_over = True
            self._ended()

    def _refuse(self, refusal: Refusal) -> None:
        self._give_up()
        if self._call.attempts > 1:
            refusal.add(headers=NO_RETRY)
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
        health, self._asked = self._asked, None
        if health is not None:
            health.gave_up()
        if self._later is not None:
            self._later.give_up()

    def _end(self) -> None:
        self.is_over = True
        self._ended()
