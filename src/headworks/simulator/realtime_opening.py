"""How a session of the Realtime API begins: a request to upgrade, which the simulated provider takes or refuses."""

import asyncio
import urllib.parse
from collections.abc import Mapping

import msgspec

from headworks.calls import Endpoint, Failure, FailureKind
from headworks.errors import Refusal
from headworks.exchange import Request, WireEnd, WireSink
from headworks.simulator.plan import Cut, Failing, Fault, Outage, SlowStart, Stall
from headworks.simulator.provider import Provider, Visit
from headworks.simulator.realtime import RealtimeSession
from headworks.simulator.realtime_playing import RealtimePlaying
from headworks.simulator.rejection import Rejection, missing
from headworks.websocket import Offer, answer_headers, read_offer

PATH = "/v1/realtime"


class Opened(msgspec.Struct):
    """A session that has begun: `offer` is what its client sent, `delay_s` how late it is answered. Where
    `is_silent`, the connection breaks without an answer."""

    session: RealtimeSession
    offer: Offer
    fault: Fault | None = None
    delay_s: float = 0.0
    is_silent: bool = False

    @property
    def headers(self) -> bytes:
        """Of the answer, beside `upgrade` and `connection`."""
        return answer_headers(self.offer, "realtime" if "realtime" in self.offer.protocols else "")


def model_of(request: Request) -> str:
    """The model that a session asks for; Azure's older paths call it a deployment."""
    query = dict(urllib.parse.parse_qsl(request.query))
    return query.get("model") or query.get("deployment", "")


def opened(provider: Provider, visit: Visit, fault: Fault | None) -> Opened:
    """The session of a request. Raises Rejection: the API's errors."""
    request = visit.request
    try:
        offer = read_offer(request.headers)
    except Refusal as refusal:
        raise Rejection(refusal.status, refusal.message, code=refusal.code) from None
    wanted = model_of(request)
    if not wanted:
        raise missing("model")
    name, model = provider.model(wanted, "realtime", Endpoint.REALTIME, visit.now)
    visit.failure = fault if isinstance(fault, Failing) else None
    delay_s = provider.rhythm(visit, model).first_token_s / 4
    is_silent = False
    match fault:
        case Outage(is_silent=True) | Cut(before_head=True):
            is_silent = True
        case Stall(before_head=True):
            delay_s = float("inf") if fault.for_s is None else delay_s + fault.for_s
        case SlowStart():
            delay_s += fault.delay_s
    return Opened(RealtimeSession(provider, visit, name, model), offer, fault, delay_s, is_silent)


class PendingSession:
    """A session that a server is about to take up. Implements `exchange.Running`."""

    def __init__(self, found: Opened, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        self._found = found
        self._upgrade = request.upgrade
        self._playing = RealtimePlaying(found.session, loop, found.fault)
        self._timer = None if found.delay_s == float("inf") else loop.call_later(found.delay_s, self._accept)

    def cancel(self) -> None:
        """The client has gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._playing.cancel()

    def stop(self) -> None:
        """The simulator stops."""
        if self._timer is not None:
            self._timer.cancel()
        self._playing.stop()

    def _accept(self) -> None:
        if self._upgrade is not None:
            self._playing.start(self._upgrade.accept(self._found.headers, self._playing))


class LoopedSession:
    """A session in the same process: two wires whose bytes come in the next turn of the loop. Implements
    `exchange.Flight`."""

    def __init__(self, found: Opened, sink: WireSink, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        self._sink = sink
        self._found = found
        self._loop = loop
        self._playing = RealtimePlaying(found.session, loop, found.fault)
        late = found.delay_s > patience_s
        self._timer = loop.call_later(min(found.delay_s, patience_s), self._give_up if late else self._open)

    def pause(self) -> None:
        """There is nothing to pause before it is a wire."""

    def resume(self) -> None:
        """As `pause`."""

    def cancel(self) -> None:
        self._timer.cancel()
        self._playing.cancel()

    def _give_up(self) -> None:
        self._sink.on_failure(Failure(FailureKind.TIMEOUT, "the simulator took longer than the time limit: first byte"))

    def _open(self) -> None:
        if self._found.is_silent:
            self._sink.on_failure(Failure(FailureKind.BROKEN, "the simulator cut the connection"))
            return
        ours, theirs = _LoopedWire(self._loop), _LoopedWire(self._loop)
        ours.other, theirs.other = theirs, ours
        end = self._sink.on_wire(_lines(self._found.headers), ours)
        if end is None:
            self._sink.on_failure(Failure(FailureKind.INVALID, "the simulator was not understood"))
            return
        ours.end, theirs.end = end, self._playing
        self._playing.start(theirs)


class _LoopedWire:
    """One end of two. State: who listens here, and whether it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.end: WireEnd | None = None
        self.other: _LoopedWire | None = None
        self._is_closed = False

    def write(self, data: bytes) -> None:
        if not self._is_closed and self.other is not None:
            self._loop.call_soon(self.other.hear, data)

    def pause(self) -> None:
        if self.other is not None and self.other.end is not None:
            self.other.end.on_full()

    def resume(self) -> None:
        if self.other is not None and self.other.end is not None:
            self.other.end.on_free()

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.end = None
            if self.other is not None:
                self._loop.call_soon(self.other.lose)

    def hear(self, data: bytes) -> None:
        if self.end is not None:
            self.end.on_data(data)

    def lose(self) -> None:
        end, self.end = self.end, None
        self._is_closed = True
        if end is not None:
            end.on_lost()


def _lines(block: bytes) -> Mapping[bytes, bytes]:
    found = {b"upgrade": b"websocket"}
    for line in block.split(b"\r\n"):
        name, colon, value = line.partition(b": ")
        if colon:
            found[name] = value
    return found
