"""A Realtime session that is under way: two wires, and what goes from one to the other.

    caller -> frames -> message -> may it? -> frame -> upstream
    caller <- frame <- message <- what does it say of usage? <- frames <- upstream

Every message is read before it goes on: nothing that costs money is asked for without being reserved, and nothing is
answered without being counted. It goes on in the turn in which its last byte came. Pings, pongs and closes are each
hop's own.

    open -> winding -> over

*Winding* is a session that is to end while the provider is at work: it is told to stop, and waited for, a moment, for
what that has cost. How a session ends is decided once, by whoever comes first: `Ending` is that, for the record and
for the caller.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import msgspec

from headworks.calls import Failure, FailureKind, Outcome
from headworks.exchange import Wire
from headworks.flow import Signal
from headworks.realtime import (
    ClientEvent,
    Meter,
    ServerEvent,
    UnreadableEvent,
    error_event,
    read_client_event,
    read_server_event,
)
from headworks.realtime_hop import Hop
from headworks.websocket import CloseCode, ClosingWords, ProtocolError

if TYPE_CHECKING:
    from headworks.realtime_hooks import EventChecks

USAGE_WAIT_S = 2.0
"""How long a session that ends waits to be told what was used."""

_STOP_WAIT_S = 0.5
"""The same where this gateway stops: it breaks connections off a second after it has said so (`server.listening`)."""

_LOOK_S = 1.0
"""How often a session sees to its time limits, and whether its key is still good."""

_CANCEL = b'{"type":"response.cancel"}'
_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
_PAID = ("response.done", _TRANSCRIBED)
"""What has cost money when it comes."""

_AT_THE_END = frozenset({"response.cancel", "output_audio_buffer.clear", "conversation.item.truncate"})
"""Of what a caller says, what may go up when no response is to follow: it makes none."""

_THEIRS = "invalid_request_error"
_MONEY = "money"
_CHECKS = "checks"


class RelayLimits(msgspec.Struct, frozen=True):
    """Bounds of one session: bytes of a message; seconds without a message from either side, of the whole session, and
    of silence after which a side is asked whether it is there (and taken for gone after as many again)."""

    message_bytes: int = 4 * 1024 * 1024
    idle_s: float = 300.0
    session_s: float = 3600.0
    ping_s: float = 20.0


class SessionEnd(msgspec.Struct, frozen=True):
    """How a session ends.

    Attributes:
        how: a word for the record.
        close: what the caller's connection is closed with; None where the caller has gone.
        reason: goes with it, and is the text of the error, if there is one.
        error: the code of the error event that comes before it; "" for none.
    """

    outcome: Outcome
    how: str
    close: int | None
    reason: str = ""
    error: str = ""
    kind: str = "server_error"


class Rules(Protocol):
    """What a session may do, beyond what it can pay for."""

    def may_ask(self) -> Failure | None:
        """Reserve for a response that the caller asks for; why it may not, if it may not."""
        ...

    def may_set(self, event: ClientEvent) -> str:
        """Why these settings are not passed on; "" if they are."""
        ...

    def take_back(self) -> None:
        """What was reserved last is not made after all."""
        ...

    def named(self, message: bytes) -> bytes:
        """Settings that name the session's model, by the name that the upstream knows it by."""
        ...

    def began(self) -> None:
        """A response has begun, asked for or not."""
        ...

    def ended(self, input_tokens: int, output_tokens: int) -> None:
        """It has ended."""
        ...

    def is_revoked(self) -> bool:
        """Whether the caller's key is not good any more."""
        ...


class Relay:
    """Relays one session.

    State: the two wires, what has been decided of its end, whether only what is under way may still be answered,
    whether the caller still listens, and when each side was heard last; what is asked about an event, and what the
    caller has said since.

    Arguments:
        make_id: a new id for an event of ours.
        checks: is asked about some events of the caller before they go up; None for nobody.
    """

    def __init__(
        self,
        meter: Meter,
        rules: Rules,
        limits: RelayLimits,
        loop: asyncio.AbstractEventLoop,
        make_id: Callable[[], str],
        checks: "EventChecks | None" = None,
    ) -> None:
        self.ended: Signal[SessionEnd] = Signal()
        most_bytes = limits.message_bytes
        self.caller_end = Hop(
            self._from_caller, self._caller_lost, self._caller_closed, self._caller_broken, most_bytes, is_server=True
        )
        self.upstream_end = Hop(
            self._from_upstream,
            self._upstream_lost,
            self._upstream_closed,
            self._upstream_broken,
            most_bytes,
            is_server=False,
        )
        self.caller_end.other, self.upstream_end.other = self.upstream_end, self.caller_end
        self.session_id = ""
        self.first_s = 0.0
        self.bytes_up = 0
        self.bytes_down = 0
        self._meter = meter
        self._rules = rules
        self._limits = limits
        self._loop = loop
        self._make_id = make_id
        self._checks = checks
        self._asking: asyncio.Task[None] | None = None
        self._held: deque[bytes] = deque()
        self._end: SessionEnd | None = None
        self._last: Failure | None = None
        self._is_heard = True
        self._timer: asyncio.TimerHandle | None = None
        self._message_s = self._end_s = 0.0

    # -- from outside ---------------------------------------------------------------------------------------------

    def start(self, caller: Wire, left_s: float) -> None:
        """Both sides are there.

        Arguments:
            left_s: of the session at most.
        """
        self.caller_end.wire = caller
        self._meter.begin()
        now_s = self._message_s = self._loop.time()
        self._end_s = now_s + min(left_s, self._limits.session_s)
        self.caller_end.heard_s = self.upstream_end.heard_s = now_s
        self._beat()

    def stop(self) -> None:
        """This gateway stops."""
        words = "This gateway is stopping; connect again."
        self._finish(
            SessionEnd("failed", "gateway_stopping", CloseCode.GOING_AWAY, words, FailureKind.STOPPED.value),
            _STOP_WAIT_S,
        )

    def say_goodbye(self, end: SessionEnd) -> None:
        """Tell both sides that it is over, and why; it has been recorded."""
        self._stop_timer()
        self._stop_asking()
        self.upstream_end.close(CloseCode.NORMAL)
        if end.close is None:
            self.caller_end.abort()
            return
        if end.error:
            self._tell(end.kind, end.error, end.reason)
        self.caller_end.close(end.close if end.close != _NOT_SAID else None, end.reason)

    def give_up(self) -> None:
        """Break both sides off."""
        self._stop_timer()
        self._stop_asking()
        self.upstream_end.abort()
        self.caller_end.abort()

    # -- what comes from the caller -------------------------------------------------------------------------------

    def _from_caller(self, message: bytes) -> None:
        if self._end is not None:
            return
        self._message_s = self._loop.time()
        if self._asking is not None:
            self._held.append(message)  # it came with the one that is asked about: nothing is read meanwhile
            return
        self._hear(message)

    def _hear(self, message: bytes) -> None:
        try:
            event = read_client_event(message)
        except UnreadableEvent as error:
            self._tell(_THEIRS, "invalid_json", f"{str(error)[:1].upper()}{str(error)[1:]}.")
            return
        if self._checks is not None and self._checks.concerns(event.type):
            self.caller_end.pause(_CHECKS)
            self._asking = self._loop.create_task(self._ask(self._checks, event, message))
            return
        self._pass_on(event, message)

    async def _ask(self, checks: "EventChecks", event: ClientEvent, message: bytes) -> None:
        """Pass an event on, or say why not, and then hear what has come meanwhile."""
        refusal = await checks.ask(event, message)
        self._asking = None
        if self._end is not None:
            return
        if refusal is None:
            self._pass_on(event, message)
        else:
            self._tell(_THEIRS, refusal.code, refusal.message, about=event.event_id)
        while self._held and self._may_hear:
            self._hear(self._held.popleft())
        if self._may_hear:
            self.caller_end.resume(_CHECKS)

    @property
    def _may_hear(self) -> bool:
        return self._asking is None and self._end is None

    def _pass_on(self, event: ClientEvent, message: bytes) -> None:
        refused = self._judge(event)
        if refused is not None:
            self._tell(*refused, about=event.event_id)
        if refused is not None or self._end is not None:
            return
        if event.session is not None and event.session.model is not None:
            message = self._rules.named(message)
        self.bytes_up += len(message)
        self.upstream_end.send(message)

    def _judge(self, event: ClientEvent) -> tuple[str, str, str] | None:
        """Why an event of the caller does not go up, as an error is told: kind, code, message."""
        kind = event.type
        if self._last is not None and kind not in _AT_THE_END:
            return _as_error(self._last)
        if kind == "session.update":
            why = self._rules.may_set(event)
            return (_THEIRS, "setting_not_allowed", why) if why else None
        if kind != "response.create":
            return None
        if self._rules.is_revoked():
            self._revoked()
            return None
        failure = self._rules.may_ask()
        if failure is None:
            failure = self._meter.may_ask(event)
            if failure is not None:
                self._rules.take_back()
        return None if failure is None else _as_error(failure)

    def _caller_lost(self) -> None:
        self._is_heard = False
        self._finish(SessionEnd("cancelled", "client_disconnected", None, error="client_disconnected"), USAGE_WAIT_S)

    def _caller_closed(self, words: ClosingWords) -> None:
        self._is_heard = False
        self._finish(SessionEnd("answered", "client_closed", words.code or _NOT_SAID), USAGE_WAIT_S)

    def _caller_broken(self, error: ProtocolError) -> None:
        self._is_heard = False
        self._finish(SessionEnd("cancelled", "protocol_error", error.code, error.reason), USAGE_WAIT_S)

    # -- what comes from the upstream -----------------------------------------------------------------------------

    def _from_upstream(self, message: bytes) -> None:
        try:
            event = read_server_event(message)
        except UnreadableEvent as error:
            self._upstream_failed(FailureKind.INVALID, str(error))
            return
        self._message_s = self._loop.time()
        self._count(event)
        if not self.ended.is_set:
            if self._is_heard:
                self.bytes_down += len(message)
                self.caller_end.send(message)
            self._go_on(event.type)

    def _count(self, event: ServerEvent) -> None:
        """What an event says of money, before it is passed on."""
        kind, meter = event.type, self._meter
        if not self.first_s and kind.endswith(".delta"):
            self.first_s = perf_counter()
        if kind == "response.created":
            self._rules.began()
            meter.began()
            self._check_money()
        elif kind == "response.done":
            used = meter.ended(None if event.response is None else event.response.usage)
            self._rules.ended(used.usage.input_tokens, used.usage.output_tokens)
            self._check_money()
        elif kind in ("session.created", "session.updated") and event.session is not None:
            self.session_id = self.session_id or event.session.id or ""
            meter.transcribes_with(event.session.transcribes_with)
        elif kind == _TRANSCRIBED:
            meter.transcribed(event.usage)
            self._check_money()
        elif kind == "error" and event.error is not None and meter.refused(event.error):
            self._rules.take_back()

    def _go_on(self, kind: str) -> None:
        """What follows from an event when it has been passed on."""
        if self._end is not None:
            if not self._meter.is_busy:
                self._over()
            elif kind == "response.created":
                self.upstream_end.send(_CANCEL)
            return
        if kind not in _PAID:
            return
        if self._last is not None and not self._meter.under_way:
            self._spent_up(self._last)
        elif self._rules.is_revoked():
            self._revoked()

    def _check_money(self) -> None:
        """While a slot is waited for, the caller is not heard; when there will be none, nothing follows what is under
        way."""
        self._last = self._meter.spent_up
        if self._last is None and not self._meter.is_covered:
            self.caller_end.pause(_MONEY)
        else:
            self.caller_end.resume(_MONEY)

    def money_changed(self) -> None:
        """A slot has come that was waited for, or will not."""
        if self._end is not None:
            return
        self._check_money()
        if self._last is not None and not self._meter.under_way:
            self._spent_up(self._last)

    def _spent_up(self, failure: Failure) -> None:
        kind, code, words = _as_error(failure)
        self._finish(SessionEnd("failed", "spent_up", CloseCode.POLICY_VIOLATION, words, code, kind), USAGE_WAIT_S)

    def _revoked(self) -> None:
        words = "The key of this session is not good any more."
        self._finish(
            SessionEnd("failed", "key_revoked", CloseCode.POLICY_VIOLATION, words, "invalid_api_key", _THEIRS),
            USAGE_WAIT_S,
        )

    def _upstream_lost(self) -> None:
        self._upstream_failed(FailureKind.BROKEN, "the upstream closed the connection before the session ended")

    def _upstream_broken(self, error: ProtocolError) -> None:
        self.upstream_end.close(error.code, error.reason)
        self._upstream_failed(FailureKind.INVALID, error.reason)

    def _upstream_closed(self, words: ClosingWords) -> None:
        code = _NOT_SAID if words.code is None else words.code
        if code in (CloseCode.NORMAL, _NOT_SAID):
            end = SessionEnd("answered", "upstream_closed", code, words.reason)
        else:
            end = SessionEnd("failed", "upstream_closed", code, words.reason)
        self._finish(end, 0.0)

    def _upstream_failed(self, kind: FailureKind, detail: str) -> None:
        words = f"The upstream failed: {detail}. Connect again; if it stays so, the gateway's operator must look at it."
        self._finish(SessionEnd("failed", kind.value, CloseCode.INTERNAL_ERROR, words, kind.value), 0.0)

    # -- the end --------------------------------------------------------------------------------------------------

    def _finish(self, end: SessionEnd, wait_s: float) -> None:
        """It is to end like this; whoever said so first is right. So long the usage of what is under way is waited
        for, while the upstream is there."""
        if self._end is not None:
            if not wait_s and not self.ended.is_set:
                self._over()  # the upstream has gone: nothing more will be told
            return
        self._end = end
        self._stop_timer()
        if not wait_s or not self._meter.is_busy or not self.upstream_end.is_open:
            self._over()
            return
        if self._meter.under_way:
            self.upstream_end.send(_CANCEL)
        self.upstream_end.resume()  # it was not read, maybe, for a caller that has gone
        self._timer = self._loop.call_later(wait_s, self._over)

    def _over(self) -> None:
        self._stop_timer()
        assert self._end is not None, "it was decided"
        if not self.ended.is_set:
            self.ended.set(self._end)

    # -- time -----------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """See whether anybody has been silent for too long, and look again when somebody can have been."""
        self._timer = None
        now_s, limits = self._loop.time(), self._limits
        if now_s >= self._end_s:
            words = "The session has lasted as long as this gateway allows; connect again to go on."
            self._finish(
                SessionEnd("answered", "session_limit", CloseCode.NORMAL, words, "session_expired", _THEIRS),
                USAGE_WAIT_S,
            )
            return
        if now_s >= self._message_s + limits.idle_s:
            words = f"Nothing was said for {limits.idle_s:g} s; connect again to go on."
            self._finish(SessionEnd("answered", "idle", CloseCode.NORMAL, words, "session_idle", _THEIRS), USAGE_WAIT_S)
            return
        for hop, lost in ((self.caller_end, self._caller_lost), (self.upstream_end, self._upstream_lost)):
            if hop.is_silent(now_s, limits.ping_s):
                lost()
                return
        if self._rules.is_revoked():
            self._revoked()
            return
        due_s = min(self._end_s, self._message_s + limits.idle_s, now_s + min(limits.ping_s / 2, _LOOK_S))
        self._timer = self._loop.call_at(due_s, self._beat)

    def _stop_asking(self) -> None:
        self._held.clear()
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self, kind: str, code: str, message: str, *, about: str | None = None) -> None:
        """An error of our own, to the caller. Who does not read what it is told gets no more of it."""
        if self.caller_end.is_full and self._end is None:
            self._finish(
                SessionEnd("cancelled", "errors_unread", CloseCode.POLICY_VIOLATION, "errors were not read"),
                USAGE_WAIT_S,
            )
            return
        self.caller_end.send(error_event(self._make_id(), kind, code, message, about=about))


_NOT_SAID = 1005
"""Stands for a close without a code (RFC 6455 §7.4.1); it is passed on as one without a code."""


def _as_error(failure: Failure) -> tuple[str, str, str]:
    kind = "insufficient_quota" if failure.kind is FailureKind.BUDGET else "rate_limit_error"
    return kind, failure.kind.value, f"{failure.detail[:1].upper()}{failure.detail[1:]}."
