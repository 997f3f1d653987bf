"""Realtime sessions: calls that are conversations over a WebSocket.

    ask        who, which model; may it be screened (it may not)
    admit      a request of its quotas, and money for one response
    open       the upstream's handshake, through one pool after another; what it refuses is answered as HTTP
    relay      `realtime_relay`: until one of the two closes, or this gateway must
    settle     one record a session, with the sums of all its responses; durable before the caller sees the close

A session is one call: its record has the tokens and the cost of all responses together.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from secrets import token_hex
from time import perf_counter, time
from typing import TYPE_CHECKING

import msgspec

from headworks.access import Grant
from headworks.admission import Admission
from headworks.admitting import Ask
from headworks.answering import (
    JSON,
    STOPPED,
    answer_head,
    is_error_object,
    own_headers,
    refusal_of,
    with_patience,
    with_patience_of,
)
from headworks.attempts import Policy, begin, tell
from headworks.budgeting import CallMoney
from headworks.calls import NO_BUDGET, Endpoint, Failure, FailureKind
from headworks.dialects import refusal_body
from headworks.errors import Refusal, StorageError
from headworks.exchange import Reply, Request, Wire, WireEnd
from headworks.flow import Ending
from headworks.gateway_parts import Parts
from headworks.limiting import CallQuota
from headworks.planning import Planner
from headworks.realtime import Meter
from headworks.realtime_asking import SessionAsk, read_ask
from headworks.realtime_relay import Relay, RelayLimits, SessionEnd
from headworks.realtime_rules import SessionPurse, SessionRules
from headworks.routing import Gathering, Target
from headworks.settlement import OpenCall, Settlement, Work
from headworks.shedding import journal_full
from headworks.stations import Station
from headworks.websocket import CloseCode, answer_headers, check_answer, request_headers

if TYPE_CHECKING:
    from headworks.realtime_hooks import SessionChecks

_SWITCHED = 101
_KIND = "sessions"
"""What sessions are called where is learnt how many tokens calls take: none, for their responses count."""

_LONGEST_ASK_S = 30.0
"""A session that cannot be opened by then is refused: whoever wants to talk does not wait longer."""


class RealtimeCalls:
    """Serves sessions. State: how many are open.

    Arguments:
        identify: who sent a request, as the key ring has it now.
    """

    def __init__(
        self,
        parts: Parts,
        planner: Planner,
        settlement: Settlement,
        policy: Policy,
        identify: Callable[[Request], Grant],
    ) -> None:
        self._parts = parts
        self._bounds = parts.realtime
        self._planner = planner
        self._settlement = settlement
        self._policy = policy
        self._identify = identify
        self.open = 0

    async def serve(
        self, call: OpenCall, request: Request, admission: Admission, grant: Grant, reply: Reply, ending: Ending
    ) -> None:
        """Hold a session.

        Raises:
            Refusal: it is not opened.
            StorageError: it cannot be recorded.
        """
        asked = read_ask(request, is_known=bool(grant.caller.key_id))
        self._check_room(grant)
        if admission.caller_key:
            call.work = Work(caller_key=admission.caller_key)
        call.is_streamed = True
        target = self._planner.target_for(call, asked.model, admission.route, grant)
        self._check_screening(grant, asked.model)
        checks = await self._checked(call, asked.model)
        self.open += 1
        try:
            await self._admit(call, target, grant, ending)
            self._settlement.open(call)
            opened = await self._open(_Session(call, request, admission, grant, asked, reply, ending, checks), target)
            if opened is not None:
                await self._hold(opened)
        finally:
            self.open -= 1

    # -- before ---------------------------------------------------------------------------------------------------

    def _check_room(self, grant: Grant) -> None:
        if self._parts.journal.is_full:
            raise journal_full()
        if self._parts.load.is_shedding and self._parts.load.sheds(grant.priority):
            raise self._parts.load.refusal()
        if self.open >= self._bounds.sessions:
            raise Refusal(
                503,
                "too_many_sessions",
                "This gateway has as many Realtime sessions as it is configured for (`realtime.sessions`); try again "
                "when others have ended.",
                kind="server_error",
                headers=(("retry-after", "5"),),
            )

    def _check_screening(self, grant: Grant, model: str) -> None:
        """Nothing of a session is screened, so that one whose calls must be is not held."""
        screening = self._parts.screening
        if screening is not None and screening.policy_for(grant.caller.team, model) is not None:
            raise Refusal(
                403,
                "session_not_screened",
                f"Calls to `{model}` are screened for personal data here (`screening` in headworks.yaml), and a "
                "Realtime session cannot be: use the Responses API, or have the operator list the model under "
                "`screening.unscreened`.",
                param="model",
                kind="permission_error",
            )

    async def _checked(self, call: OpenCall, model: str) -> "SessionChecks | None":
        """Asks hooks about a session; None where there are none.

        Raises:
            Refusal: there is not to be one.
        """
        hooks = self._parts.hooks
        if hooks is None or not hooks.asks_before:
            return None
        from headworks.realtime_hooks import SessionChecks  # only who has both loads it

        checks = SessionChecks(hooks, call, model)
        await checks.begin()
        return checks

    async def _admit(self, call: OpenCall, target: Target[Station], grant: Grant, ending: Ending) -> None:
        """Wait for room for a request, and for money.

        Raises:
            Refusal: 429.
        """
        admissions = self._parts.admissions
        if not admissions.is_needed(grant):
            return
        admissions.limiter.expectations.learn(_KIND, 0, 0, 0)
        ask = Ask(call, target.station, grant, _KIND, _LONGEST_ASK_S, {}, has_more=False)
        await admissions.wait(ask, ending)

    # -- the handshake --------------------------------------------------------------------------------------------

    async def _open(self, session: "_Session", target: Target[Station]) -> "_Opened | None":
        """Open the session at one of those that serve the model; None where the upstream's refusal was passed on.

        Raises:
            Refusal: none can be reached, or may be asked.
        """
        tried = {target.key}
        while True:
            call = session.call
            call.provider, call.model = target.provider, target.model
            opened = self._prepared(session, target)
            opened.rules.hold_ahead()
            try:
                failure = await self._shake(opened)
            except BaseException:
                opened.rules.let_go()
                raise
            if failure is None:
                assert opened.sink.wire is not None, "else it has failed"
                opened.relay.upstream_end.wire = opened.sink.wire
                return opened
            opened.rules.let_go()
            other = self._policy.another(failure, target, tried, perf_counter(), is_streamed=True)
            if other is None:
                sink = opened.sink
                if not sink.status:
                    raise refusal_of(failure)
                self._pass_on(session, target, sink, failure)
                return None
            tried.add(other.key)
            target = other

    def _prepared(self, session: "_Session", target: Target[Station]) -> "_Opened":
        """The session with a target."""
        call, station = session.call, target.station
        call.price_version = station.price.version  # until something is said, nothing is owed
        quota = call.quota
        money = quota.money if isinstance(quota, CallQuota) else None
        provider = target.provider.partition(":")[0]
        price_of = partial(self._parts.price_of, provider)
        purse = None if money is None else self._purse(session, station, money)
        meter = Meter(station.price, price_of, call.opened_us, purse)
        limiter = self._parts.admissions.limiter
        rules = SessionRules(
            limiter.quotas(session.grant, station),
            limiter.wake,
            is_hard=money is not None and money.is_hard,
            price_of=price_of,
            may_use=session.may_use,
            asked_model=session.asked.model,
            model=target.model,
            is_revoked=partial(self._is_revoked, session),
        )
        bounds = self._bounds
        limits = RelayLimits(bounds.message_bytes, bounds.idle_s, bounds.session_s, bounds.ping_s)
        relay = Relay(meter, rules, limits, self._parts.loop, lambda: f"event_{token_hex(12)}", checks=session.checks)
        if purse is not None:
            purse.changed = relay.money_changed
        key, block = request_headers(os.urandom(16))
        return _Opened(session, target, meter, rules, relay, _Handshake(relay.upstream_end, key), block)

    def _purse(self, session: "_Session", station: Station, money: CallMoney) -> SessionPurse:
        admissions = self._parts.admissions

        def make() -> CallMoney | None:
            return admissions.wallet.money(session.grant, {}, _KIND, NO_BUDGET, 0, Endpoint.REALTIME)

        return SessionPurse(money, make, station.price, lambda cost_pico: admissions.count(session.grant, cost_pico))

    async def _shake(self, opened: "_Opened") -> Failure | None:
        """Ask the upstream for a session; how that failed, if it did."""
        session, target, sink = opened.session, opened.target, opened.sink
        call, station = session.call, target.station
        failure = begin(target, call, perf_counter())
        if failure is not None:
            return failure
        provider = station.provider
        path = provider.call_path(Endpoint.REALTIME, target.model, is_streamed=True)
        sent = provider.request("GET", path, b"", b"", session.forwarded + opened.block)
        flight = station.upstream.connect(sent, sink, station.timeouts.within(session.left_s(self._planner.deadline_s)))
        session.ending.act = partial(sink.on_failure, STOPPED)
        try:
            failure = await sink.ended
        except BaseException:
            flight.cancel()
            station.health.gave_up(call.is_streamed)
            raise
        finally:
            session.ending.act = None
        if failure is STOPPED:
            flight.cancel()
        call.head_s = sink.head_s
        if failure is None and sink.wire is None:
            failure = provider.classify(sink.status, sink.headers, sink.body)
            failure = with_patience_of(failure, sink.headers)
        if call.quota is not None:
            call.quota.believe(station, sink.status, sink.headers, perf_counter())
        tell(station.health, call, failure)
        return failure

    def _pass_on(self, session: "_Session", target: Target[Station], answer: "_Handshake", failure: Failure) -> None:
        """Answer with what the upstream said instead of opening a session.

        Raises:
            Refusal: it is not for the caller.
        """
        call, status, body = session.call, answer.status, answer.body
        if failure.kind in (FailureKind.UNAUTHORIZED, FailureKind.INVALID) or status < 400:
            raise refusal_of(failure)
        head = with_patience(answer_head(answer.headers, is_plain=False), failure)
        call.upstream_request_id = head.request_id[:128].decode("latin-1")
        content_type = head.content_type or JSON
        if not is_error_object(body):
            body, content_type = refusal_body(refusal_of(failure, status=status), call.endpoint), JSON
        call.error_code = failure.kind.value
        call.response_bytes = len(body)
        self._settlement.settle(call, "failed", status)
        session.reply.respond(status, head.render(call, target.headers, content_type), body)

    # -- the session ----------------------------------------------------------------------------------------------

    async def _hold(self, opened: "_Opened") -> None:
        session, relay, meter = opened.session, opened.relay, opened.meter
        call = session.call
        try:
            self._take_over(opened)
            upgrade = session.request.upgrade
            assert upgrade is not None, "it was asked for"
            caller = upgrade.accept(self._headers(opened), relay.caller_end)
            relay.start(caller, session.left_s(self._bounds.session_s))
            session.ending.act = relay.stop
            end = await relay.ended
        except BaseException:
            relay.give_up()
            meter.close()
            self._sum_up(opened, "cancelled")
            raise
        finally:
            opened.rules.let_go()
            session.ending.act = None
        meter.close()
        self._sum_up(opened, end.how)
        if end.outcome != "answered":
            call.error_code = end.error or end.how
        try:
            self._settlement.settle(call, end.outcome, _SWITCHED)
        except StorageError:
            words = "The record of this session could not be written."
            relay.say_goodbye(SessionEnd("failed", "unrecorded", CloseCode.INTERNAL_ERROR, words, "internal_error"))
            raise
        relay.say_goodbye(end)

    def _take_over(self, opened: "_Opened") -> None:
        """The call's own reservations end here; the session reserves response by response."""
        call = opened.session.call
        quota, call.quota = call.quota, None
        if isinstance(quota, CallQuota):
            opened.budget_lines = quota.headers()
            quota.hand_over()

    def _headers(self, opened: "_Opened") -> bytes:
        session = opened.session
        lines = own_headers(session.call).partition(b"\r\n")[2]  # there is no content, and no type of it
        return (
            answer_headers(session.asked.offer, session.asked.protocol)
            + lines
            + opened.target.headers
            + opened.budget_lines
        )

    def _sum_up(self, opened: "_Opened", how: str) -> None:
        call, sums, relay = opened.session.call, opened.meter.sums, opened.relay
        call.usage = sums.usage()
        call.cost_pico = sums.cost_pico
        call.price_version = sums.price_version or opened.target.station.price.version
        call.first_s = relay.first_s
        call.finish_reason = how
        call.response_id = relay.session_id[:128]
        call.upstream_request_id = opened.sink.headers.get(b"x-request-id", b"")[:128].decode("latin-1")
        call.response_bytes = relay.bytes_down
        call.request_bytes = relay.bytes_up
        if call.entry is not None:
            call.entry = msgspec.structs.replace(call.entry, request_bytes=relay.bytes_up)
        call.served_model = opened.target.model

    def _is_revoked(self, session: "_Session") -> bool:
        """Whether the key is gone, has expired, or may not do this any more."""
        ring, grant = self._parts.ring, session.grant
        if ring.edition is session.edition and time() < grant.expires_at:
            return False
        try:
            grant = self._identify(session.request)
        except Refusal:
            return True
        session.edition, session.grant = ring.edition, grant
        return not grant.may_call(Endpoint.REALTIME) or not grant.may_use(session.asked.model)


class _Session:
    """A session that is asked for. State: the grant, and the edition of the ring that it was found in."""

    def __init__(
        self,
        call: OpenCall,
        request: Request,
        admission: Admission,
        grant: Grant,
        asked: SessionAsk,
        reply: Reply,
        ending: Ending,
        checks: "SessionChecks | None",
    ) -> None:
        self.checks = checks
        self.call = call
        self.request = request
        self.grant = grant
        self.edition = admission.edition
        self.asked = asked
        self.reply = reply
        self.ending = ending
        self._deadline_s = admission.deadline_s
        self.forwarded = admission.forwarded
        if asked.is_beta and b"openai-beta:" not in self.forwarded:
            self.forwarded += b"openai-beta: realtime=v1\r\n"

    def may_use(self, model: str) -> bool:
        """Whether its key may use a model, as the ring was when it was last looked at."""
        return self.grant.may_use(model)

    def left_s(self, longest_s: float) -> float:
        """Seconds that are left of a time which the caller may have shortened."""
        if self._deadline_s is None:
            return longest_s
        return max(0.1, min(longest_s, self._deadline_s - (perf_counter() - self.call.started_s)))


class _Opened:
    """A session with its target. `block` are the headers that ask for a WebSocket, `budget_lines` those that tell its
    caller what is left."""

    def __init__(
        self,
        session: _Session,
        target: Target[Station],
        meter: Meter,
        rules: SessionRules,
        relay: Relay,
        sink: "_Handshake",
        block: bytes,
    ) -> None:
        self.session = session
        self.target = target
        self.meter = meter
        self.rules = rules
        self.relay = relay
        self.sink = sink
        self.block = block
        self.budget_lines = b""


class _Handshake(Gathering):
    """Implements `exchange.WireSink`: gathers the answer of an upstream that does not open a session."""

    def __init__(self, end: WireEnd, key: bytes) -> None:
        super().__init__(_ERROR_BYTES)
        self._end = end
        self._key = key
        self.wire: Wire | None = None

    def on_wire(self, headers: Mapping[bytes, bytes], wire: Wire) -> WireEnd | None:
        self.headers = headers
        self.head_s = perf_counter()
        if check_answer(headers, self._key) or self.ended.is_set:
            return None
        self.wire = wire
        self.ended.set(None)
        return self._end


_ERROR_BYTES = 1024 * 1024
"""Bound on an answer that refuses a session."""
