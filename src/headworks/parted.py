"""One call that an upstream is asked in several requests, a few at a time, and answered as if it had been one.

    request 1 -> answer 1
    request 2 -> answer 2      -> all answers together -> the call's sink
    request 3 -> answer 3

For callers it is one attempt: it is good when every part is. Where one fails, no further is sent, and those under way
are waited for: they are paid for, and so what they used is known.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

from headworks.calls import Failure, FailureKind, Usage
from headworks.dialects.embeddings import PartAnswer, packed_answers
from headworks.exchange import Flight, Sink, Timeouts, Upstream, UpstreamRequest

MOST_AT_ONCE = 8
"""Requests of one call that are under way at once: enough to hide a provider's latency, and no call takes a pool of
connections for itself."""

MOST_BYTES = 64 * 1024 * 1024
"""Of all answers together; as of every answer (`gateway_parts.ANSWER_BYTES`)."""

_TOKENS = b"x-amzn-bedrock-input-token-count"
"""Where Bedrock says how many tokens a request had, whatever the body says (Amazon Bedrock, InvokeModel, 2026-11)."""

_LEAST_S = 0.05


class PartedRequest:
    """Everything that a call sends to one target. State: what the parts of the last attempt were answered.

    Arguments:
        upstream: the way there.
        requests: one at least.
        used: what the parts used whose answers these are (see `packed_answers`); None where that is not known.
    """

    __slots__ = ("_answers", "_upstream", "_used", "requests")

    def __init__(
        self, upstream: Upstream, requests: Sequence[UpstreamRequest], used: Callable[[bytes], Usage | None]
    ) -> None:
        self.requests = requests
        self._upstream = upstream
        self._used = used
        self._answers: dict[int, PartAnswer] = {}

    def send(self, sink: Sink, timeouts: Timeouts) -> Flight:
        """Send them all; what is answered goes to `sink` as one answer, or the first that went wrong does."""
        self._answers = {}
        flight = PartedFlight(self._upstream, self.requests, sink, timeouts, self._answers)
        flight.start()
        return flight

    @property
    def is_begun(self) -> bool:
        """Whether any part of the last attempt was answered, and so is paid for."""
        return bool(self._answers)

    def used(self) -> Usage | None:
        """What those parts used; None where nobody says how much it was."""
        return self._used(packed_answers(list(self._answers.values())))


class PartedFlight:
    """The parts of one attempt. Implements `exchange.Flight`.

    State: which part is sent next, which are under way, and what went wrong first.
    """

    __slots__ = (
        "_answers",
        "_begun_s",
        "_fault",
        "_flying",
        "_headers",
        "_is_over",
        "_next",
        "_requests",
        "_sink",
        "_size",
        "_timeouts",
        "_upstream",
    )

    def __init__(
        self,
        upstream: Upstream,
        requests: Sequence[UpstreamRequest],
        sink: Sink,
        timeouts: Timeouts,
        answers: dict[int, PartAnswer],
    ) -> None:
        self._upstream = upstream
        self._requests = requests
        self._sink = sink
        self._timeouts = timeouts
        self._answers = answers
        self._begun_s = perf_counter()
        self._flying: dict[int, Flight | None] = {}
        self._next = 0
        self._size = 0
        self._is_over = False
        self._headers: Mapping[bytes, bytes] = {}
        self._fault: Failure | tuple[int, Mapping[bytes, bytes], bytes] | None = None

    # -- the flight -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Send the first."""
        self._go_on()

    def pause(self) -> None:
        for flight in self._under_way():
            flight.pause()

    def resume(self) -> None:
        for flight in self._under_way():
            flight.resume()

    def cancel(self) -> None:
        self._is_over = True
        for flight in self._under_way():
            flight.cancel()
        self._flying.clear()

    def _under_way(self) -> list[Flight]:
        return [flight for flight in self._flying.values() if flight is not None]

    # -- of parts -------------------------------------------------------------------------------------------------

    def has_room(self, more: int) -> bool:
        """Whether so many bytes more may be kept."""
        self._size += more
        return self._size <= MOST_BYTES

    def answered(self, index: int, status: int, headers: Mapping[bytes, bytes], body: bytes) -> None:
        """A part has its answer."""
        self._flying.pop(index, None)
        if status < 300:
            if index == 0:
                self._headers = headers
            tokens = headers.get(_TOKENS, b"")
            self._answers[index] = PartAnswer(body, int(tokens) if tokens.isdigit() and len(tokens) < 10 else -1)
        elif self._fault is None:
            self._fault = (status, headers, body)
        self._go_on()

    def failed(self, index: int, failure: Failure) -> None:
        """A part will have none."""
        self._flying.pop(index, None)
        if self._fault is None:
            self._fault = failure
        self._go_on()

    def give_up(self, index: int) -> None:
        """Read nothing more of a part."""
        flight = self._flying.get(index)
        if flight is not None:
            flight.cancel()
        self.failed(index, Failure(FailureKind.INVALID, f"the answer is over {MOST_BYTES} bytes"))

    def _go_on(self) -> None:
        """Send what is next, as long as there is room; tell the sink when nothing is left to wait for."""
        while (
            not self._is_over
            and self._fault is None
            and self._next < len(self._requests)
            and len(self._flying) < MOST_AT_ONCE
        ):
            index, self._next = self._next, self._next + 1
            left_s = self._timeouts.total_s - (perf_counter() - self._begun_s)
            if left_s < _LEAST_S:
                self._fault = Failure(FailureKind.TIMEOUT, "not all parts of the call were answered in time")
                break
            self._flying[index] = None
            flight = self._upstream.send(self._requests[index], _PartSink(self, index), self._timeouts.within(left_s))
            if index in self._flying:  # else it was answered at once
                self._flying[index] = flight
        if not self._is_over and not self._flying:
            self._is_over = True
            self._tell()

    def _tell(self) -> None:
        fault, sink = self._fault, self._sink
        if isinstance(fault, Failure):
            sink.on_failure(fault)
            return
        status, headers, body = fault or (200, self._headers, b"")
        if fault is None:
            body = packed_answers([self._answers[index] for index in range(len(self._requests))])
        sink.on_head(status, headers)
        sink.on_body(body)
        sink.on_end()


class _PartSink:
    """Where the answer of one part goes. Implements `exchange.Sink`."""

    __slots__ = ("_flight", "_headers", "_index", "_is_over", "_pieces", "_status")

    def __init__(self, flight: PartedFlight, index: int) -> None:
        self._flight = flight
        self._index = index
        self._status = 0
        self._headers: Mapping[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._is_over = False

    def on_head(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self._status, self._headers = status, headers

    def on_body(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._flight.has_room(len(data)):
            self._pieces.append(data)
        else:
            self._is_over = True
            self._flight.give_up(self._index)

    def on_end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._flight.answered(self._index, self._status, self._headers, b"".join(self._pieces))

    def on_failure(self, failure: Failure) -> None:
        if not self._is_over:
            self._is_over = True
            self._flight.failed(self._index, failure)
