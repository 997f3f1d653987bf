"""The simulated provider as an upstream, in process: no socket, the same words."""

import asyncio
from collections.abc import Mapping

from headworks.body import BodyStream
from headworks.calls import Failure, FailureKind
from headworks.errors import Refusal
from headworks.exchange import Flight, Request, Sink, Timeouts, UpstreamRequest, WireSink
from headworks.simulator.playing import Patience, Playing
from headworks.simulator.realtime_opening import LoopedSession, Opened
from headworks.simulator.simulator import Simulator


class SimulatedUpstream:
    """An `exchange.Upstream` whose other end is a simulator in the same process.

    Answers come in the next turn of the loop at the earliest, and all that is due comes in one turn. Limits of
    time fail as on a network: `Failure(TIMEOUT)`; a cut answer is `Failure(BROKEN)`.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._flights: set[_SinkStage] = set()

    def send(self, request: UpstreamRequest, sink: Sink, timeouts: Timeouts) -> Flight:
        """Ask the simulator now; play its answer from the next turn of the loop on."""
        script = self._simulator.answer(_as_request(request))
        stage = _SinkStage(sink, self._flights)
        patience = Patience(timeouts.first_byte_s, timeouts.between_bytes_s, timeouts.total_s)
        stage.playing = Playing(script, stage, asyncio.get_running_loop(), patience)
        self._flights.add(stage)
        stage.playing.start(at_once=False)
        return stage

    def upload(self, request: UpstreamRequest, body: BodyStream, sink: Sink, timeouts: Timeouts) -> Flight:
        """Gather the body, then ask."""
        return _Gathering(self, request, body, sink, timeouts)

    def connect(self, request: UpstreamRequest, sink: WireSink, timeouts: Timeouts) -> Flight:
        """Open a session in the same process, or have its refusal played."""
        loop = asyncio.get_running_loop()
        found = self._simulator.open_session(_as_request(request))
        if isinstance(found, Opened):
            return LoopedSession(found, sink, loop, timeouts.first_byte_s)
        stage = _SinkStage(sink, self._flights)
        stage.playing = Playing(found, stage, loop)
        self._flights.add(stage)
        stage.playing.start(at_once=False)
        return stage

    async def close(self) -> None:
        """Requests under way fail."""
        for flight in tuple(self._flights):
            flight.fail(FailureKind.BROKEN, "the simulator was closed")


class _SinkStage:
    """A stage that is a sink; and the flight that its sender holds."""

    __slots__ = ("_flights", "_sink", "_status", "playing")

    playing: Playing

    def __init__(self, sink: Sink, flights: "set[_SinkStage]") -> None:
        self._sink = sink
        self._flights = flights
        self._status = 0

    def pause(self) -> None:
        self.playing.pause()

    def resume(self) -> None:
        self.playing.resume()

    def cancel(self) -> None:
        self.playing.cancel()
        self._flights.discard(self)

    def head(self, status: int, headers: Mapping[bytes, bytes], length: int | None) -> None:  # noqa: ARG002
        self._status = status
        self._sink.on_head(status, headers)

    def data(self, data: bytes) -> None:
        self._sink.on_body(data)

    def end(self) -> None:
        self._flights.discard(self)
        self._sink.on_end()

    def cut(self) -> None:
        self.fail(FailureKind.BROKEN, "the simulator cut the connection")

    def late(self, limit: str) -> None:
        self.fail(FailureKind.TIMEOUT, f"the simulator took longer than the time limit: {limit}")

    def fail(self, kind: FailureKind, detail: str) -> None:
        """End the flight with a failure."""
        self.cancel()
        self._sink.on_failure(Failure(kind, detail, self._status))


class _Gathering:
    """A flight whose body is still to come. State: its pieces; then the flight that has begun."""

    __slots__ = ("_body", "_flight", "_pieces", "_request", "_sink", "_timeouts", "_upstream")

    def __init__(
        self, upstream: SimulatedUpstream, request: UpstreamRequest, body: BodyStream, sink: Sink, timeouts: Timeouts
    ) -> None:
        self._upstream = upstream
        self._request = request
        self._body = body
        self._sink = sink
        self._timeouts = timeouts
        self._pieces: list[bytes] = []
        self._flight: Flight | None = None
        body.attach(self._pieces.append, self._ended)

    def pause(self) -> None:
        if self._flight is not None:
            self._flight.pause()

    def resume(self) -> None:
        if self._flight is not None:
            self._flight.resume()

    def cancel(self) -> None:
        self._body.abandon()
        if self._flight is not None:
            self._flight.cancel()

    def _ended(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._sink.on_failure(Failure(FailureKind.BROKEN, "the request's body did not come to its end"))
            return
        request = UpstreamRequest(self._request.line, self._request.headers, b"".join(self._pieces))
        self._flight = self._upstream.send(request, self._sink, self._timeouts)


def _as_request(request: UpstreamRequest) -> Request:
    method, target, _ = request.line.decode("ascii").split(" ", 2)
    path, _, query = target.partition("?")
    headers: dict[bytes, bytes] = {}
    for line in request.headers.split(b"\r\n"):
        name, separator, value = line.partition(b":")
        if separator:
            headers[name.strip().lower()] = value.strip()
    return Request(method, path, query, headers, request.body)
